"""`wait`: its pace, output, tolerance of failures and end; several ids together, and none of them lost."""

from __future__ import annotations

import uuid
from unittest import mock

from tests.fake import Fault
from tests.program import in_markdown
from tests.served import ServedTest, pasted

RUNNING = "RUNNING"


class Pace(ServedTest):
    def test_a_task_is_polled_every_five_seconds_until_it_ends_and_printed_whole(self) -> None:
        task = self.fake.add_task(statuses=["PENDING", RUNNING, RUNNING, "SUCCEEDED"])
        result = self.call("wait", task)
        self.assert_success(result)
        self.assertEqual(list(result.json), ["id", "status", "createdAt", "output", "cost"])
        self.assertEqual((result.json["id"], result.json["status"]), (task, "SUCCEEDED"))
        self.assertEqual(self.polls(), [f"/v1/tasks/{task}"] * 4)
        self.assertAlmostEqual(sum(self.clock.slept), 15)
        self.assertEqual(self.fake.hasty, [])

    def test_a_longer_interval_is_kept_and_a_shorter_one_refused(self) -> None:
        task = self.fake.add_task(statuses=["PENDING", "SUCCEEDED"])
        self.assert_error(self.call("wait", task, "--interval", "4.9"), 2, kind="usage")
        self.assertEqual(self.call("wait", task, "--interval", "7.5").exit, 0)
        self.assertEqual(sum(self.clock.slept), 7.5)

    def test_a_session_is_polled_every_second_until_it_is_ready(self) -> None:
        session = self.fake.add_session(statuses=["NOT_READY", "NOT_READY", "NOT_READY", "READY"])
        result = self.call("wait", f"/v1/realtime_sessions/{session}", "--download", f"{self.folder}/")
        self.assert_success(result)
        self.assertEqual((result.json["status"], result.json["saved"]), ("READY", []))
        self.assertEqual(sum(self.clock.slept), 3.0)
        self.assertTrue(result.json["sessionKey"].startswith("session_"))
        self.assertIn(f"/v1/realtime_sessions/{session} has no outputs to save", result.notes)

    def test_avatars_voices_and_workflows_are_waited_for_by_their_paths(self) -> None:
        for folder, identity in (
            ("avatars", self.fake.add_avatar(statuses=["PROCESSING", "READY"])),
            ("voices", self.fake.add_voice(statuses=["PROCESSING", "READY"])),
            ("workflow_invocations", self.fake.add_task(kind="workflow", statuses=["SUCCEEDED"], nodeErrors={})),
            ("tasks", self.fake.add_task(statuses=[RUNNING, "SUCCEEDED"])),
        ):
            with self.subTest(folder):
                result = self.call("wait", f"/v1/{folder}/{identity}")
                self.assert_success(result)
                self.assertEqual(result.json["id"], identity, result)
        bad = self.fake.add_avatar(statuses=["PROCESSING", "FAILED"])
        words = f"/v1/avatars/{bad} is FAILED: The image does not show a face"
        self.assert_error(self.call("wait", f"/v1/avatars/{bad}"), 1, kind="task", id=bad, error=words)

    def test_zero_waits_for_ever(self) -> None:
        task = self.fake.add_task(statuses=[RUNNING] * 199 + ["SUCCEEDED"])
        self.assertEqual(self.call("wait", task, "--max-wait", "0").exit, 0)
        self.assertAlmostEqual(sum(self.clock.slept), 995)


class Progress(ServedTest):
    def test_without_a_terminal_it_tells_of_work_once_and_then_once_a_minute(self) -> None:
        working = [f"RUNNING 50% {seconds} s 5 credits" for seconds in (0, 60, 120, 180)]
        for statuses, progress, notes in (
            (["SUCCEEDED"], [], []),
            (["PENDING"] * 2 + [RUNNING] * 5, [0.05, 0.09, 0.11, 0.19, 0.35], ["RUNNING 5% 10 s 5 credits"]),
            (["PENDING"] * 15, [], ["PENDING 60 s 5 credits"]),
            (["PENDING"] * 13 + [RUNNING] * 2, [0.5], ["PENDING 60 s 5 credits"]),
            ([RUNNING] * 40, [0.5], working),
        ):
            with self.subTest(notes):
                task = self.fake.add_task(statuses=[*statuses, "SUCCEEDED"], progress=progress)
                self.assert_success(self.call("wait", task), notes=[f"{task} {note}" for note in notes])
        task = self.fake.add_task(statuses=[RUNNING, "SUCCEEDED"], progress=[0.5], credits=1)
        self.assertEqual(self.call("wait", task).notes, [f"{task} RUNNING 50% 0 s 1 credit"])

    def test_quiet_says_nothing(self) -> None:
        task = self.fake.add_task(statuses=["THROTTLED", RUNNING, "SUCCEEDED"])
        self.fake.fault(Fault("status"), method="GET")
        self.assertEqual(self.call("wait", task, "--quiet").stderr, "")

    def test_a_strange_progress_breaks_nothing(self) -> None:
        for progress in ("1e400", "-1", "2", "null", '"half"', '"nan"', "[1]", "true"):
            with self.subTest(progress):
                body = '{"id":"x","status":"RUNNING","progress":' + progress + ',"cost":5,"estimatedCost":[1]}'
                self.fake.fault(Fault("status", status=200, body=body.encode()))
                self.fake.fault(Fault("status", status=200, body={"status": "SUCCEEDED"}))
                self.assertEqual(self.call("wait", "x").exit, 0)


class Failures(ServedTest):
    def test_a_failed_task_is_printed_and_explained_by_its_code(self) -> None:
        for code, advice in (
            ("SAFETY.INPUT.TEXT", ": moderation refused it: do not repeat the call unchanged"),
            ("SAFETY.OUTPUT.IMAGE", ": moderation refused it: do not repeat the call unchanged"),
            ("INTERNAL.BAD_OUTPUT.CODE01", ": the output was bad: the same call may be tried again"),
            ("INTERNAL", ": an error of the service: the same call may be tried again"),
            ("ASSET.INVALID", ": an input file or URL cannot be used: fix the input"),
            ("THIRD_PARTY.UNAVAILABLE", ": the model's provider failed: the same call may be tried again later"),
            ("NEW.CODE", ""),
        ):
            with self.subTest(code):
                task = self.fake.add_task(statuses=[RUNNING, "FAILED"], failure="It went wrong.", failureCode=code)
                result = self.call("wait", task)
                words = f"{task} is FAILED: It went wrong{advice}"
                self.assert_error(result, 1, kind="task", id=task, failureCode=code, error=words)
                self.assertEqual((result.json["status"], result.json["failureCode"]), ("FAILED", code))
        task = self.fake.add_task(statuses=[RUNNING, "CANCELLED"])
        self.assert_error(self.call("wait", task), 1, kind="task", error=f"{task} is CANCELLED")

    def test_passing_failures_are_noted_and_polling_continues_at_its_pace(self) -> None:
        task = self.fake.add_task(statuses=[RUNNING, RUNNING, "SUCCEEDED"])  # half an answer is a poll, too
        faults = [
            *(Fault("status", status=status) for status in (408, 429, 500, 503)),
            *map(Fault, ("html", "half_answer", "reset_after_request", "reset_before")),
            Fault("status", status=200, body=b"null"),
            Fault("status", status=502, body=b"<h1>Bad gateway</h1>"),
        ]
        for fault in faults:
            self.fake.fault(fault, path=f"/v1/tasks/{task}" if fault.kind != "reset_before" else None)
        result = self.call("wait", task)
        self.assert_success(result)
        self.assertEqual(self.fake.hasty, [], result)
        self.assertEqual(len(self.fake.requests), len(faults) + 2)
        self.assertAlmostEqual(sum(self.clock.slept), 5 * (len(faults) + 1))
        self.assertGreaterEqual(len([note for note in result.notes if note.endswith("; polling continues")]), 6)

    def test_a_poll_that_gets_no_answer_ends_at_the_timeout(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        self.fake.fault(Fault("no_answer"))
        result = self.call("wait", task, "--timeout", "0.3")
        self.assert_success(result)
        self.assertIn("no complete answer within 0.3 s; polling continues", result.notes[0])

    def test_the_same_failure_is_noted_once_and_retry_after_is_respected(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        self.fake.fault(Fault("status", status=429, headers={"Retry-After": "30"}), times=3)
        result = self.call("wait", task)
        self.assertEqual(len([note for note in result.notes if "polling continues" in note]), 1)
        self.assertAlmostEqual(sum(self.clock.slept), 90)

    def test_a_refusal_ends_the_wait(self) -> None:
        for status, expected in ((401, 77), (403, 77), (404, 1), (400, 1), (410, 1), (302, 1)):
            with self.subTest(status):
                self.fake.requests.clear()
                task = self.fake.add_task()
                self.fake.fault(Fault("status", status=status))
                result = self.call("wait", task)
                self.assert_error(result, expected, status=status, id=task)
                self.assertEqual(result.stdout, "")
                self.assertEqual(len(self.fake.requests), 1)


class Nothing(ServedTest):
    """Where no poll can ever be answered, `wait` ends; what has been started is waited for all the same."""

    def test_what_cannot_pass_by_itself_ends_the_wait_after_the_retries(self) -> None:
        page, refused = Fault("html"), {"RUNWAY_SKILLS_BASE_URL": "http://127.0.0.1:9"}
        for fault, env, words, status in (
            (None, refused, ("--retries", "2"), 69),
            (None, refused, ("--retries", "0"), 69),
            (page, {}, (), 1),
            (Fault("status", status=200, body=b"null"), {}, (), 1),
        ):
            with self.subTest(words, status=status):
                self.clock.slept.clear()
                self.fake.clear_faults()
                if fault:
                    self.fake.fault(fault, times=None)
                result = self.call("wait", "x", *words, env=env)
                self.assert_error(result, status, id="x")
                self.assertAlmostEqual(sum(self.clock.slept), 0 if "0" in words else 10)
                self.assertEqual(pasted(result), ["auth", "status"] if fault else ["wait", "x", *words])
        result = self.call("wait", "x", "y", "--max-wait", "60", env=refused)
        self.assert_error(result, 69, kind="network")

    def test_a_service_that_answers_later_is_waited_for(self) -> None:
        task = self.fake.add_task(statuses=[RUNNING, "SUCCEEDED"])
        self.fake.fault(Fault("html"), times=2)
        self.fake.fault(Fault("html"), times=5, after=3)
        self.assert_success(self.call("wait", task))

    def test_a_task_that_this_call_has_started_is_waited_for_until_the_time_is_up(self) -> None:
        words = ("request", "POST", "/v1/text_to_image", "-f", "model=gen4_image", "-f", "ratio=1280:720")
        for fault in (Fault("html"), *(Fault("status", 200, body=body) for body in (b"null", b"[]", b'"x"', b"{}"))):
            with self.subTest(fault):
                self.fake.clear_faults()
                self.fake.fault(fault, method="GET", times=None)
                result = self.call(*words, "-f", "promptText=fox", "--wait", "--max-wait", "60")
                self.assert_error(result, 75, kind="timeout")


class Ids(ServedTest):
    def test_what_is_no_id_is_refused_with_the_word_that_was_meant(self) -> None:
        for word, right in (
            ('"x"', "x"),
            ("'x'", "x"),
            ("`x`", "x"),
            ("\u201cx\u201d", "x"),
            ("C:/Program Files/Git/v1/avatars/x", "v1/avatars/x"),
            ("D:\\msys64\\v1\\voices\\x", "v1/voices/x"),
        ):
            with self.subTest(word):
                result = self.call("wait", word, "--max-wait", "9")
                self.assert_error(result, 2, kind="usage")
                self.assertEqual(pasted(result), ["wait", right, "--max-wait", "9"])
        for word in ('{"id":"x"}', "a b", "a\u00a0b", "a/b", "a?b", "", ".."):
            with self.subTest(word):
                self.assert_error(self.call("wait", word), 2, kind="usage")
        result = self.call("wait", "-", stdin=b'"x"\n"y"\n')
        self.assert_error(result, 2, kind="usage")
        self.assertIn("`jq -r .id` and `--select id` print ids without quotes", result.error["error"])
        self.assertEqual(self.fake.requests, [])


class Results(ServedTest):
    def test_signed_urls_are_left_out_once_every_output_is_saved(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=2)
        shown = self.call("wait", task, "--download", f"{self.folder}/out/").json
        self.assertEqual(list(shown), ["id", "status", "createdAt", "cost", "saved"])
        self.assertEqual(shown["saved"], [f"{self.folder}/out/{task}-{number}.png" for number in (1, 2)])

    def test_a_tilde_is_the_home_folder_also_where_no_shell_has_replaced_it(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        home = {"HOME": str(self.folder), "USERPROFILE": str(self.folder)}
        for number, given in enumerate((("--download=~/out/",), ("--download", "~/fox.png"))):
            self.clock.sleep(5)
            self.assert_success(self.call("wait", task, *given, env=home))
            self.assertEqual(self.listing()[0], ("out/", "fox.png")[number] + (f"{task}.png", "")[number])
        self.clock.sleep(5)
        late = self.fake.add_task(statuses=[RUNNING])
        words = ["wait", late, "--max-wait", "1", "--download", "~/late.png"]
        self.assertEqual(pasted(self.call(*words, env=home)), words)
        taken = self.call("wait", task, "--download=~/fox.png", env=home)
        self.assertEqual(pasted(taken), ["wait", task, f"--download={self.folder}/fox-2.png"])

    def test_a_tilde_without_a_home_folder_is_refused_before_anything_is_sent(self) -> None:
        for option, words in (("--download", ("wait", "x")), ("--to", ("download", "https://example.com/a"))):
            with mock.patch("os.path.expanduser", lambda path: path):
                found = self.call(*words, option, "~/fox.png")
            self.assert_error(found, 2, kind="usage")
            self.assertIn("'~/fox.png': the home folder is not known", found.error["error"])
        with mock.patch("os.path.expanduser", lambda path: path):
            self.assert_error(self.call("history", env={"RUNWAY_SKILLS_HISTORY": "~/h.db"}), 78, kind="config")
        self.assertEqual(self.fake.requests, [])

    def test_they_can_still_be_selected(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        result = self.call("wait", task, "--download", f"{self.folder}/", "--select", "output.0,saved.0")
        self.assert_success(result)
        self.assertTrue(result.json.pop("output.0").startswith(self.fake.storage_url), result)
        self.assertEqual(result.json["saved.0"], f"{self.folder}/{task}.png")

    def test_they_stay_where_an_output_could_not_be_saved(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=2)
        self.fake.fault(Fault("status", status=404), server="storage", after=1, times=None)
        result = self.call("wait", task, "--download", f"{self.folder}/")
        self.assert_error(result, 1, kind="api", id=task)
        self.assertEqual(len(result.json["output"]), 2)
        self.assertEqual(result.json["saved"], [f"{self.folder}/{task}-1.png"])

    def test_a_workflow_with_failed_nodes_ends_badly_and_its_outputs_are_saved(self) -> None:
        one, two = "11111111-2222-4333-8444-555555555551", "11111111-2222-4333-8444-555555555552"
        codes = {one: ("No face found.", "INPUT.BAD"), two: ("Boom", "INTERNAL")}
        errors = {node: {"message": message, "failureCode": code} for node, (message, code) in codes.items()}
        identity = self.fake.add_task(kind="workflow", statuses=["SUCCEEDED"], outputs=1, nodeErrors=errors)
        result = self.call("wait", f"/v1/workflow_invocations/{identity}", "--download", f"{self.folder}/out/")
        self.assert_error(result, 1, kind="task", id=identity)
        self.assertIn(f"node {one}: No face found, INPUT.BAD", result.error["error"])
        self.assertIn(f"node {two}: Boom, INTERNAL", result.error["error"])
        self.assertEqual(result.json["nodeErrors"], errors)
        self.assertEqual(result.json["saved"], [f"{self.folder}/{name}" for name in self.listing()])
        self.assertEqual(len(self.listing()), 1)


class TimeIsUp(ServedTest):
    def test_the_last_state_is_printed_and_the_example_keeps_every_option_and_resumes(self) -> None:
        task = self.fake.add_task(statuses=[RUNNING] * 3 + ["SUCCEEDED"])
        out = f"{self.folder}/out put/"
        pairs = ["--max-wait", "12", "--interval", "6", "--download", out, "--client-id", str(uuid.uuid4())]
        pairs += ["--timeout", "9.5", "--retries", "1", "--output", "json"]
        result = self.call("wait", task, *pairs, "--quiet", "--force")
        self.assert_error(result, 75, kind="timeout", id=task, error=f"{task} is still RUNNING after 12 s")
        self.assertEqual(result.json["status"], RUNNING)
        words = pasted(result)
        self.assertEqual(words, ["wait", task, *pairs, "--quiet"])
        self.clock.sleep(5)
        again = self.call(*words)
        self.assertEqual(again.json["saved"], [f"{out}{task}.png"], again)

    def test_no_example_replaces_a_file(self) -> None:
        task = self.fake.add_task(statuses=[RUNNING])
        fox = self.file("fox.png", b"old")
        free = ["--download", str(self.folder / "fox-2.png")]
        result = self.call("wait", task, "--max-wait", "1", "--download", fox, "--force")
        self.assertEqual(pasted(result), ["wait", task, "--max-wait", "1", *free])
        result = self.call("wait", task, "--download", fox)
        self.assert_error(result, 74, kind="io")
        self.assertEqual(pasted(result), ["wait", task, *free])

    def test_max_wait_ends_a_poll_that_gets_no_answer(self) -> None:
        self.fake.fault(Fault("no_answer"), times=None)
        words = ["wait", "x", "--max-wait", "0.3"]
        result = self.call(*words)
        self.assert_error(result, 69, kind="network")
        self.assertEqual(pasted(result), words)
        self.assertRegex(result.error["error"], r"^x is of unknown status after 0\.3 s \(.*within 0\.3 s\)$")
        self.assertEqual(result.stdout, "")
        self.assertEqual(len(self.fake.requests), 1)

    def test_it_ends_at_its_time_and_no_poll_comes_later(self) -> None:
        for seconds, polls in ((3, 1), (14, 3)):
            with self.subTest(seconds):
                self.fake.requests.clear()
                self.clock.slept.clear()
                task = self.fake.add_task(statuses=[RUNNING])
                result = self.call("wait", task, "--max-wait", str(seconds))
                self.assert_error(result, 75, error=f"{task} is still RUNNING after {seconds} s")
                self.assertEqual(self.polls(), [f"/v1/tasks/{task}"] * polls)
                self.assertEqual(sum(self.clock.slept), seconds)

    def test_a_task_without_a_status_is_waited_for_like_any_other(self) -> None:
        self.fake.fault(Fault("status", status=200, body={"id": "x"}), times=None)
        result = self.call("wait", "x", "--max-wait", "11")
        self.assert_error(result, 75, error="x is without a status after 11 s")
        self.assertEqual(result.json, {"id": "x"})
        self.assertEqual(len(self.polls()), 3)


class Several(ServedTest):
    def test_each_is_a_line_as_soon_as_it_ends(self) -> None:
        late = self.fake.add_task(statuses=[RUNNING, RUNNING, RUNNING, "SUCCEEDED"])
        soon = self.fake.add_task(statuses=["SUCCEEDED"])
        avatar = self.fake.add_avatar(statuses=["PROCESSING", "READY"])
        result = self.call("wait", late, f"/v1/avatars/{avatar}", soon)
        self.assertEqual([line["id"] for line in result.lines], [soon, avatar, late], result)
        self.assert_success(result)
        self.assertEqual(self.fake.hasty, [])
        self.assertAlmostEqual(sum(self.clock.slept), 15)

    def test_ids_come_from_stdin_and_each_counts_once(self) -> None:
        one, two = (self.fake.add_task(statuses=["SUCCEEDED"]) for _ in range(2))
        result = self.call("wait", "-", one, f"/v1/tasks/{two}", stdin=f" {two}\n\n{one}\t{two}\n".encode())
        self.assertEqual(sorted(line["id"] for line in result.lines), sorted([one, two]))
        self.assertEqual(len(self.polls()), 2)
        self.assert_error(self.call("wait", "-", stdin=b" \n"), 2, kind="usage")

    def test_a_hundred_at_once_keep_the_pace(self) -> None:
        ids = [self.fake.add_task(statuses=["PENDING", RUNNING, "SUCCEEDED"]) for _ in range(100)]
        result = self.call("wait", *ids)
        self.assert_success(result)
        self.assertEqual(sorted(line["id"] for line in result.lines), sorted(ids))
        self.assertEqual(self.fake.hasty, [])
        self.assertEqual(len(self.polls()), 300)

    def test_throttled_is_explained_once_for_all(self) -> None:
        ids = [self.fake.add_task(statuses=["THROTTLED", "PENDING", "THROTTLED", "SUCCEEDED"]) for _ in range(3)]
        words = "THROTTLED: queued until a running generation ends; your tier limits how many run at once"
        self.assertEqual(self.call("wait", *ids).notes, [words])

    def test_one_that_fails_does_not_stop_the_others_and_the_worst_exit_counts(self) -> None:
        good = self.fake.add_task(statuses=[RUNNING, "SUCCEEDED"])
        failed = self.fake.add_task(statuses=["FAILED"], failure="No.", failureCode=None)
        endless, slow = (self.fake.add_task(statuses=[RUNNING]) for _ in range(2))
        denied = self.fake.add_task()
        self.fake.fault(Fault("status", status=403), path=f"/v1/tasks/{denied}", times=None)
        for ids, expected, kind in (
            ([good, failed], 1, "task"),
            ([good, endless], 75, "timeout"),
            ([slow, endless], 75, "timeout"),
            ([endless, failed], 1, "task"),
            ([failed, denied, endless, good], 77, "auth"),
            (["missing", denied], 77, "auth"),
            (["missing", endless], 1, "api"),
        ):
            with self.subTest(ids):
                self.clock.sleep(10)
                result = self.call("wait", *ids, "--max-wait", "20")
                bad = [name for name in ids if name != good]
                self.assert_error(result, expected, kind=kind)
                self.assertEqual(sorted(entry["id"] for entry in result.error["failed"]), sorted(bad))
                self.assertRegex(result.error["error"], f"^{len(bad)} of {len(ids)} failed: ")
                if endless in ids:
                    running = [name for name in ids if name in (endless, slow)]
                    self.assertEqual(sorted(pasted(result)), sorted(["wait", *running, "--max-wait", "20"]))
        self.assertEqual(self.fake.hasty, [])

    def test_outputs_of_several_go_into_a_folder(self) -> None:
        one, two = self.fake.add_task(statuses=["SUCCEEDED"]), self.fake.add_task(statuses=[RUNNING, "SUCCEEDED"])
        fox = self.folder / "fox.png"
        result = self.call("wait", one, two, "--download", fox, "--output", "json")
        self.assert_error(result, 2, kind="usage")
        self.assertEqual(pasted(result), ["wait", one, two, "--download", f"{fox}/", "--output", "json"])
        self.assert_success(self.call(*pasted(result)))
        self.assertEqual(self.listing(), sorted([f"fox.png/{one}.png", f"fox.png/{two}.png"]))

    def test_only_the_download_that_failed_is_in_the_example(self) -> None:
        one, two = (self.fake.add_task(statuses=["SUCCEEDED"]) for _ in range(2))
        taken = self.file(f"out/{one}.png", b"something else")
        out = taken.parent
        result = self.call("wait", one, two, "--download", out)
        self.assert_error(result, 74, kind="io")
        self.assertEqual(pasted(result), ["wait", one, "--download", f"{out}-2/"])
        saved = {line["id"]: line.get("saved") for line in result.lines}
        self.assertEqual(saved, {one: [], two: [str(out / f"{two}.png")]})
        self.clock.sleep(5)
        self.assertEqual(self.call(*pasted(result)).json["saved"], [f"{out}-2/{one}.png"])
        self.assertEqual(taken.read_bytes(), b"something else")

    def test_a_table_of_what_was_saved_has_paths_and_no_urls(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        result = self.call("wait", task, "--download", f"{self.folder}/", "--output", "markdown")
        head, _, row = result.stdout.replace("\\_", "_").splitlines()  # a folder's name may hold a _
        self.assertEqual(head, "| Id | Status | Credits | Saved |")
        self.assertEqual(row, f"| {task} | SUCCEEDED | 5 | {in_markdown(self.folder)}/{task}.png |")
