"""One job is paid for once, whoever repeats what: named files, --once, --again, budgets, and processes that die."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from typing import Any
from unittest import mock

from runway_cli.files.upload import upload
from tests.fake import Fault
from tests.program import ROOT, Result, environment
from tests.served import ServedTest, eventually, pasted

POST = "/v1/text_to_image"
FOX = ("request", "POST", POST, "-f", "model=gen4_image", "-f", "ratio=1280:720", "-f", "promptText=a red fox")
HEN = (*FOX[:-1], "promptText=a hen")
ONCE = (*FOX, "--once", "fox")


class OnceTest(ServedTest):
    def setUp(self) -> None:
        super().setUp()
        self.history = self.folder / "state" / "history.db"
        self.fox = self.folder / "fox.png"
        self.save = (*FOX, "--wait", "--download", str(self.fox))

    def program(self, *words: str, **env: str) -> Result:
        return self.call(*words, env={"RUNWAY_SKILLS_HISTORY": str(self.history), **env})

    def started(self, *words: str) -> subprocess.Popen[bytes]:
        """A process of the program on the real clock."""
        env = environment({**self.fake.env(), "RUNWAY_SKILLS_HISTORY": str(self.history), "PYTHONPATH": str(ROOT)})
        process = subprocess.Popen(
            [sys.executable, "-m", "runway_cli", *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def assert_paid(self, count: int) -> None:
        self.assertEqual(len(self.fake.accepted), count, self.fake.accepted)

    def change(self, **columns: object) -> None:
        """Sets columns of every attempt in the history."""
        ledger = sqlite3.connect(self.history)
        names = ", ".join(f"{name} = ?" for name in columns)
        ledger.execute(f"UPDATE attempts SET {names}", tuple(columns.values()))
        ledger.commit()
        ledger.close()

    def end(self, status: str, **facts: Any) -> str:
        """Starts the job fox, and lets its task end in this way. Returns its id."""
        task: str = self.program(*ONCE).json["id"]
        self.fake.tasks[task].update(statuses=[status], failure=facts or None)
        self.clock.now += 6
        self.assertEqual(self.program("wait", task).exit, 0 if status == "SUCCEEDED" else 1)
        self.clock.now += 6
        return task


class FileTest(OnceTest):
    def test_a_call_that_ran_out_of_time_is_continued_by_the_same_call(self) -> None:
        first = self.program(*self.save, "--max-wait", "1")
        self.assert_error(first, 75)
        self.clock.now += 40
        again = self.program(*self.save)
        self.assert_success(again)
        self.assertEqual(again.json["saved"], [str(self.fox)])
        self.assertIn(f"continuing {first.error['id']}, started 41 s ago", again.stderr)
        self.assert_paid(1)

    def test_a_job_that_is_done_is_printed_without_the_network(self) -> None:
        first = self.program(*self.save).json
        sent = len(self.fake.requests)
        again = self.program(*self.save)
        cost = {"credits": first["cost"]["credits"]}
        self.assertEqual(again.json, {"id": first["id"], "status": "SUCCEEDED", "cost": cost, "saved": [str(self.fox)]})
        self.assertEqual(len(self.fake.requests), sent)

    def test_a_file_that_is_gone_is_saved_again(self) -> None:
        self.program(*self.save)
        self.fox.unlink()
        self.clock.now += 6
        self.assert_success(self.program(*self.save))
        self.assertTrue(self.fox.exists())
        self.assert_paid(1)

    def test_a_file_that_was_saved_but_not_recorded_is_recognized(self) -> None:
        self.program(*self.save)
        before = self.fox.stat().st_mtime_ns
        self.change(status="STARTED", saved=None)
        self.clock.now += 6
        again = self.program(*self.save)
        self.assertEqual((again.exit, again.json["saved"]), (0, [str(self.fox)]), again)
        self.assertEqual(self.fox.stat().st_mtime_ns, before)
        self.assert_paid(1)

    def test_somebody_elses_file_is_not_replaced(self) -> None:
        self.fox.write_bytes(b"mine")
        self.assert_error(self.program(*self.save), 2)
        self.program(*ONCE)
        self.clock.now += 6
        self.assert_error(self.program(*ONCE, "--wait", "--download", str(self.fox)), 74)
        self.assertEqual(self.fox.read_bytes(), b"mine")
        self.assert_paid(1)

    def test_another_request_into_the_same_file_is_another_job(self) -> None:
        self.program(*self.save)
        result = self.program(*HEN, "--wait", "--download", str(self.fox))
        self.assert_error(result, 2)
        self.assertEqual(pasted(result)[-1], str(self.folder / "fox-2.png"))
        self.assert_paid(1)

    def test_a_folder_or_no_destination_is_a_new_job_each_time(self) -> None:
        for words in (FOX, (*FOX, "--wait", "--download", f"{self.folder}/out/")):
            for _ in range(2):
                self.assert_success(self.program(*words))
                self.clock.now += 6
        self.assert_paid(4)

    def test_an_output_that_is_gone_does_not_make_the_job_unpaid(self) -> None:
        task = self.program(*self.save).json["id"]
        self.fox.unlink()
        self.fake.tasks[task]["deleted"] = True
        self.clock.now += 6
        for _ in range(2):
            self.assertEqual(self.program(*self.save).exit, 1)
        self.assertEqual(self.program("history").json["data"][0]["status"], "SUCCEEDED")
        self.assert_paid(1)

    def test_unfinished_jobs_are_saved_where_their_own_calls_said(self) -> None:
        self.program(*self.save, "--max-wait", "1")
        self.program(*HEN)
        self.clock.now += 60
        result = self.program("wait", "--unfinished", "--max-wait", "1", "--download", f"{self.folder}/rest")
        self.assert_error(result, 75)
        self.assertEqual(pasted(result)[:2], ["wait", "--unfinished"])
        self.clock.now += 60
        result = self.program("wait", "--unfinished", "--download", f"{self.folder}/rest")
        self.assert_success(result)
        self.assertEqual(result.notes[-1], "2 of 2 succeeded, 10 credits")
        files = [name for name in self.listing() if name.endswith(".png")]
        self.assertEqual([name.split("/")[0] for name in files], ["fox.png", "rest"])

    def test_what_ended_and_was_not_saved_is_unfinished_business(self) -> None:
        task = self.program(*self.save, "--max-wait", "1").error["id"]
        self.clock.now += 60
        self.fake.fault(Fault("status", status=503), server="storage", times=None)
        broken = self.program("wait", "--unfinished", "--retries", "0")
        self.assertNotEqual(broken.exit, 0)
        self.fake.clear_faults()
        self.fox.write_bytes(b"mine")
        self.clock.now += 60
        taken = self.program("wait", "--unfinished")
        self.assert_error(taken, 74)
        free = str(self.folder / "fox-2.png")
        self.assertEqual(pasted(taken), ["wait", task, "--download", free])
        self.clock.now += 60
        self.assertEqual(self.program(*pasted(taken)).json["saved"], [free])
        sent = len(self.fake.requests)
        self.assert_success(self.program("wait", "--unfinished"))
        self.assertEqual((len(self.fake.requests), self.fox.read_bytes()), (sent, b"mine"))

    def test_what_has_no_outputs_or_ended_long_ago_is_not_waited_for_again(self) -> None:
        task = self.program(*self.save, "--max-wait", "1").error["id"]
        for outputs, pause in (([], 60), (self.fake.tasks[task]["outputs"], 3 * 86_400)):
            self.change(status="STARTED", saved=None)
            self.fake.tasks[task]["outputs"] = outputs
            self.fake.fault(Fault("status", status=404), server="storage", times=None)
            self.clock.now += 60
            self.program("wait", "--unfinished")
            self.clock.now += pause
            sent = len(self.fake.requests)
            self.assert_success(self.program("wait", "--unfinished"))
            self.assertEqual(len(self.fake.requests), sent)

    def test_two_unfinished_jobs_with_one_destination_are_not_taken_for_each_other(self) -> None:
        self.program(*self.save, "--max-wait", "1")
        hen = self.program(*HEN, "--wait", "--download", str(self.fox), "--max-wait", "1").error["id"]
        self.fake.storage.outputs[self.fake.tasks[hen]["outputs"][0]].content = b"another picture"
        self.clock.now += 60
        result = self.program("wait", "--unfinished")
        self.assertEqual(result.exit, 74, result)
        self.assertEqual(result.stdout.count('"saved":["'), 1, result)


class NameTest(OnceTest):
    def test_cancelling_a_refused_job_does_not_free_it(self) -> None:
        task = self.program(*ONCE).json["id"]
        self.fake.tasks[task].update(statuses=["FAILED"], failure={"failure": "No.", "failureCode": "SAFETY.INPUT"})
        for _ in range(2):  # whether its end is seen for the first time or again
            self.clock.now += 6
            self.assert_error(self.program("cancel", task), 1, kind="task")
            self.assert_error(self.program(*ONCE), 1, kind="task", failureCode="SAFETY.INPUT")
        self.assert_paid(1)

    def test_a_workflow_with_failed_nodes_fails_in_the_repeated_call_too(self) -> None:
        task = self.program(*ONCE, "--wait").json["id"]
        self.change(error="a node failed")
        self.assert_error(self.program(*ONCE), 1, kind="task", id=task)
        self.assert_paid(1)

    def test_a_users_own_file_is_never_taken_for_the_output(self) -> None:
        self.program(*ONCE, "--wait", "--download", str(self.fox))
        hen = self.file("hen.png", self.fox.read_bytes())
        self.assert_error(self.program(*ONCE, "--wait", "--download", str(hen)), 2)

    def test_a_repeated_call_prints_a_table_where_one_is_asked_for(self) -> None:
        self.program(*ONCE, "--wait")
        again = self.program(*ONCE, "--wait", "--output", "table")
        self.assertTrue(again.stdout.startswith("Id "), again)
        self.assertEqual(again.notes, [])

    def test_a_name_is_paid_for_once(self) -> None:
        first = self.program(*ONCE).json["id"]
        again = self.program(*ONCE)
        self.assertEqual((again.json["id"], again.json["status"], again.json["once"]), (first, "STARTED", "fox"))
        self.assert_paid(1)

    def test_names_that_differ_only_in_what_is_masked_are_different_jobs(self) -> None:
        names = [f"https://shop.test/p?id={number}" for number in (1, 2, 1)]
        ids = [self.program(*FOX, "--once", name).json["id"] for name in names]
        self.assertEqual((ids[0] == ids[2], ids[0] == ids[1]), (True, False))
        self.assertEqual(self.program(*FOX, "--once", names[0]).json["once"], names[0])
        self.assertNotIn(b"id=1", self.history.read_bytes())
        self.assert_paid(2)

    def test_the_same_body_in_another_order_is_the_same_job(self) -> None:
        self.program(*ONCE)
        body = '{"promptText":"a red fox","ratio":"1280:720","model":"gen4_image"}'
        self.assert_success(self.program("request", "POST", POST, "--body", body, "--once", "fox"))
        self.assert_paid(1)

    def test_a_file_counts_by_its_content(self) -> None:
        image = (*FOX[:2], "/v1/image_to_video", "-f", "model=gen4_turbo", "-f", "ratio=1280:720", "--once", "cat")
        one = self.file("one.png", b"\x89PNG\r\n\x1a\n" + bytes(600))
        two = self.file("two.png", one.read_bytes())
        other = self.file("other.png", one.read_bytes() + b"x")
        self.assert_success(self.program(*image, "--upload", f"promptImage={one}", "-F", "duration=5"))
        self.assert_success(self.program(*image, "--upload", f"promptImage={two}", "-F", "duration=5"))
        self.assert_error(self.program(*image, "--upload", f"promptImage={other}", "-F", "duration=5"), 2)
        self.assert_paid(1)
        self.assertEqual(len(self.fake.uploads), 1)

    def test_a_file_that_changes_before_it_is_uploaded_is_not_sent_under_the_name(self) -> None:
        image = (*FOX[:2], "/v1/image_to_video", "-f", "model=gen4_turbo", "-f", "ratio=1280:720", "--once", "cat")
        cat, real = self.file("cat.png", b"\x89PNG\r\n\x1a\n" + bytes(600)), upload

        def changed(*words: Any) -> str:
            cat.write_bytes(cat.read_bytes() + b"x")
            return real(*words)

        with mock.patch("runway_cli.files.upload.upload", changed):
            result = self.program(*image, "--upload", f"promptImage={cat}", "-F", "duration=5")
        self.assert_error(result, 2)
        self.assertIn("was changed or removed during the run", result.error["error"])
        self.assert_paid(0)

    def test_misuse_is_refused_before_anything_is_sent(self) -> None:
        self.program(*ONCE)
        sent = len(self.fake.requests)
        for words in (
            (*HEN, "--once", "fox"),
            (*FOX, "--once", ""),
            ("request", "GET", "/v1/organization", "--once", "fox"),
            ("request", "DELETE", "/v1/tasks/x", "--again"),
        ):
            with self.subTest(words):
                self.assert_error(self.program(*words), 2, kind="usage")
        self.assertEqual(len(self.fake.requests), sent)

    def test_what_creates_no_task_is_done_with_its_answer(self) -> None:
        document = ("request", "POST", "/v1/documents", "-f", "name=rules", "-f", "content=Be kind.", "--once", "rules")
        first = self.program(*document).json["id"]
        again = self.program(*document).json
        self.assertEqual((again["id"], again["status"]), (first, "SUCCEEDED"))
        self.assertEqual(len(self.fake.documents), 1)

    def test_how_a_job_ended_decides_whether_it_is_sent_again(self) -> None:
        safety, broken = "SAFETY.INPUT.TEXT", "INTERNAL.BAD_OUTPUT.CODE01"
        for status, code, expected in (
            ("SUCCEEDED", "", 1),
            ("FAILED", broken, 2),
            ("FAILED", safety, 1),
            ("CANCELLED", "", 1),
        ):
            with self.subTest(status, code=code):
                self.setUp()
                task = self.end(status, **({"failure": "No.", "failureCode": code} if code else {}))
                result = self.program(*ONCE)
                self.assert_paid(expected)
                if expected == 2 or status == "SUCCEEDED":
                    self.assertEqual(result.exit, 0)
                else:
                    self.assert_error(result, 1, kind="task", id=task)
                    self.assertEqual(result.json["status"], status)
                    self.assertIn("--again sends it once more, which may cost credits again", result.error["error"])
                    self.assertEqual(pasted(result), ["history"])
                self.assertEqual(self.program(*ONCE, "--again").exit, 0)
                self.assert_paid(2)

    def test_a_request_that_was_refused_is_sent_again(self) -> None:
        self.fake.fault(Fault("status", status=429), path=POST, times=9)
        self.assert_error(self.program(*ONCE), 1)
        self.fake.clear_faults()
        self.assert_success(self.program(*ONCE))
        self.assert_paid(1)

    def test_a_request_of_unknown_outcome_is_sent_again_only_with_again(self) -> None:
        self.fake.fault(Fault("forward_then_reset"), path=POST)
        self.assert_error(self.program(*ONCE), 69, maybeAccepted=True)
        result = self.program(*ONCE)
        self.assert_error(result, 1, kind="task", maybeAccepted=True)
        self.assertEqual(pasted(result), ["request", "GET", "/v1/organization"])
        self.assert_paid(1)
        self.assert_success(self.program(*ONCE, "--again"))
        self.assert_paid(2)

    def test_a_job_that_runs_is_continued_even_with_again(self) -> None:
        for _ in range(3):
            self.assert_success(self.program(*ONCE, "--again"))
        self.assert_paid(1)

    def test_another_key_has_other_jobs(self) -> None:
        self.program(*ONCE)
        self.assert_error(self.program(*ONCE, RUNWAY_SKILLS_API_SECRET="key_" + "1" * 128), 77)

    def test_without_a_history_the_name_is_refused_and_a_file_noted(self) -> None:
        self.assert_error(self.program(*ONCE, RUNWAY_SKILLS_HISTORY="off"), 78, kind="config")
        self.assert_paid(0)
        result = self.program(*self.save, RUNWAY_SKILLS_HISTORY="off")
        self.assertEqual(result.notes[0], "the history is not kept: it is off")

    def test_a_history_that_cannot_be_used_is_not_proposed_to_be_left_out(self) -> None:
        self.program(*ONCE)
        ledger = sqlite3.connect(self.history)
        ledger.execute("PRAGMA user_version = 9")
        ledger.close()
        result = self.program(*ONCE)
        self.assert_error(result, 78)
        self.assertNotIn("env -u", result.error["example"])
        self.assert_paid(1)

    def test_a_file_that_is_no_history_is_refused_by_what_would_write_it(self) -> None:
        notes = self.file("notes.txt", b"my notes")
        task = self.program(*ONCE).json["id"]
        sent = len(self.fake.requests)
        for words in (FOX, ("wait", task), ("cancel", task), ("history",)):
            with self.subTest(words):
                self.assert_error(self.program(*words, RUNWAY_SKILLS_HISTORY=str(notes)), 78)
        self.assertEqual((len(self.fake.requests), notes.read_bytes()), (sent, b"my notes"))

    def test_a_history_that_cannot_be_used_is_noticed_before_anything_is_uploaded(self) -> None:
        self.program(*FOX)
        damaged = self.file("damaged.db", self.history.read_bytes()[:-1000])
        notes, cat = self.file("notes.txt", b"my notes" * 99), self.file("cat.png", b"\x89PNG\r\n\x1a\n" + bytes(600))
        rows = self.file("rows.jsonl", b'{"@upload.promptImage": "%s"}' % cat.as_posix().encode())
        clip = ("/v1/image_to_video", "-f", "model=gen4_turbo", "-f", "ratio=1280:720", "-F", "duration=5")
        self.fake.requests.clear()
        for words in (
            ("request", "POST", *clip, "--upload", f"promptImage={cat}"),
            ("request", "POST", *clip, "--upload", f"promptImage={cat}", "--wait", "--download", f"{self.folder}/out/"),
            ("batch", clip[0], str(rows), *clip[1:]),
        ):
            for env, status in (
                ({"RUNWAY_SKILLS_HISTORY": str(damaged)}, 74),
                ({"RUNWAY_SKILLS_HISTORY": str(notes)}, 78),
                ({"RUNWAY_SKILLS_HISTORY": "off", "RUNWAY_SKILLS_MAX_CREDITS": "50"}, 78),
            ):
                with self.subTest(words[:3], **env):
                    self.assert_error(self.program(*words, **env), status)
                    self.assertEqual(self.fake.requests, [])

    def test_a_dry_run_needs_no_history(self) -> None:
        notes = self.file("notes.txt", b"my notes")
        result = self.program(*ONCE, "--dry-run", RUNWAY_SKILLS_HISTORY=str(notes))
        self.assert_success(result)
        self.assertIn("is not a ledger of this program", result.stderr)

    def test_a_dry_run_shows_the_job_and_what_the_same_has_cost(self) -> None:
        self.assertNotIn("job", self.program(*ONCE, "--dry-run").json)
        task = self.end("SUCCEEDED")
        shown = self.program(*ONCE, "--dry-run").json
        self.assertEqual(shown["job"], {"id": task, "status": "SUCCEEDED"})
        self.assertEqual((shown["estimate"]["credits"], shown["estimate"]["from"]), (5, task))
        self.assertEqual(self.program(*HEN, "--dry-run").json["estimate"]["from"], task)
        self.assertNotIn("estimate", self.program(*FOX[:-2], "-F", "outputCount=2", "--dry-run").json)
        self.assert_paid(1)


class ProcessesTest(OnceTest):
    def test_several_at_once_start_one_job(self) -> None:
        with self.fake.hold("post accepted") as held:
            processes = [self.started(*ONCE) for _ in range(6)]
            eventually(lambda: self.fake.accepted)
            time.sleep(0.5)
            self.assertTrue(all(process.poll() is None for process in processes))
            held.release()
            results = [process.communicate(timeout=30) for process in processes]
        self.assertEqual([process.returncode for process in processes], [0] * 6, results)
        self.assert_paid(1)

    def test_one_that_waits_too_long_for_another_says_so(self) -> None:
        with self.fake.hold("post accepted"):
            self.started(*ONCE)
            eventually(lambda: self.fake.accepted)
            result = self.program(*ONCE, "--timeout", "3")
        self.assert_error(result, 75, kind="timeout")
        self.assertEqual(pasted(result), [*ONCE, "--timeout", "3"])
        self.assert_paid(1)

    def test_what_a_killed_process_was_sending_is_of_unknown_outcome_at_once(self) -> None:
        with self.fake.hold("post accepted"):
            process = self.started(*ONCE)
            eventually(lambda: self.fake.accepted)
            process.kill()
            process.wait(10)
            self.assert_error(self.program(*ONCE), 1, kind="task", maybeAccepted=True)
        self.assertEqual(self.clock.slept, [])
        self.assert_paid(1)

    def test_killed_at_any_moment_and_repeated_a_job_is_paid_for_once(self) -> None:
        saved, uncertain = 0, 0
        for number in range(8):
            target = self.folder / f"{number}.png"
            words = (*FOX, "--wait", "--interval", "5", "--download", str(target))
            paid = len(self.fake.accepted)
            process = self.started(*words)
            time.sleep(0.1 + 0.04 * number)
            process.kill()
            process.wait(10)
            self.clock.now += 6
            result = self.program(*words)
            self.assertLessEqual(len(self.fake.accepted), paid + 1)
            saved += target.exists()
            uncertain += result.exit == 1 and result.error.get("maybeAccepted") is True
        self.assertEqual(saved + uncertain, 8)
        self.assertGreater(saved, 0)


class BudgetTest(OnceTest):
    def test_no_call_spends_more_than_the_budget_of_a_day(self) -> None:
        budget = {"RUNWAY_SKILLS_MAX_CREDITS": "12"}
        self.program(*FOX, **budget)
        self.program(*FOX, **budget)
        words = "RUNWAY_SKILLS_MAX_CREDITS allows 12 credits in 24 hours, 10 are spent, and the next counts as 5"
        self.assert_error(self.program(*FOX, **budget), 1, kind="budget", spent=10, limit=12, error=words)
        self.assert_paid(2)
        self.clock.now += 2 * 86_400
        self.assert_error(self.program(*FOX, **budget), 1, kind="budget")  # both are still in progress
        self.program("wait", "--unfinished")
        self.clock.now += 2 * 86_400
        self.assert_success(self.program(*FOX, **budget))
        self.assert_paid(3)

    def test_while_no_price_is_known_one_job_at_a_time_and_then_those_count_as_the_dearest(self) -> None:
        for _ in range(2):
            self.fake.fault(Fault("status", status=200, body={"id": "paid"}), path=POST)
        self.program(*FOX, RUNWAY_SKILLS_MAX_CREDITS="100")
        words = "RUNWAY_SKILLS_MAX_CREDITS allows no further job while no price is known"
        self.assert_error(self.program(*FOX, RUNWAY_SKILLS_MAX_CREDITS="100"), 1, kind="budget", error=words)
        self.assert_paid(0)
        self.program(*FOX)
        self.program(*FOX)
        words = "RUNWAY_SKILLS_MAX_CREDITS allows 1 credit in 24 hours, 15 are spent"
        counted = ", 2 jobs of unknown price counted as 5 each, and the next counts as 5"
        self.assert_error(self.program(*FOX, RUNWAY_SKILLS_MAX_CREDITS="1"), 1, spent=15, error=words + counted)

    def test_what_costs_nothing_is_not_held_up(self) -> None:
        document = ("request", "POST", "/v1/documents", "-f", "name=rules", "-f", "content=Be kind.", "--once", "rules")
        self.program(*FOX)
        self.assert_success(self.program(*document, RUNWAY_SKILLS_MAX_CREDITS="5"))
        self.assert_success(self.program(*HEN, RUNWAY_SKILLS_MAX_CREDITS="10"))

    def test_a_budget_that_cannot_be_kept_is_refused(self) -> None:
        for env in (
            {"RUNWAY_SKILLS_MAX_CREDITS": "5", "RUNWAY_SKILLS_HISTORY": "off"},
            {"RUNWAY_SKILLS_MAX_CREDITS": "x"},
        ):
            self.assert_error(self.program(*FOX, **env), 78, kind="config")
        self.assert_paid(0)
