"""`batch`: one run from a file of rows to saved outputs."""

from __future__ import annotations

import json

from tests.batches import PATH, SHARED, BatchTest, by_name, statuses
from tests.fake import SECRET, Fault
from tests.served import pasted

FIELDS = ["row", "name", "id", "status", "credits", "saved"]


class RunTest(BatchTest):
    def test_every_row_is_sent_saved_and_printed_as_it_ends(self) -> None:
        self.write("fox", "owl", "elk")
        result = self.download()
        self.assert_success(result)
        self.assertEqual(sorted(self.prompts_sent()), ["elk", "fox", "owl"])
        self.assertEqual(self.saved(), ["1.png", "2.png", "3.png"])
        self.assertEqual([list(row) for row in result.lines], [FIELDS] * 3)
        row = by_name(result)["2"]
        self.assertEqual(row["row"], 2)
        self.assertEqual(row["status"], "SUCCEEDED")
        self.assertEqual(row["credits"], 5)
        self.assertEqual(row["saved"], [f"{self.sky}/2.png"])
        self.assertIn(row["id"], self.fake.tasks)

    def test_the_last_note_counts(self) -> None:
        self.write("fox", "owl")
        self.assertEqual(self.download().notes, ["2 of 2 succeeded, 10 credits"])
        self.assertEqual(self.download("--quiet").notes, [])

    def test_no_task_is_polled_more_often_than_every_five_seconds(self) -> None:
        self.write(*map(str, range(9)))
        self.assert_success(self.batch())
        self.assertEqual(self.fake.hasty, [])

    def test_as_many_rows_are_in_flight_as_parallel_says(self) -> None:
        self.write(*map(str, range(6)))
        most = 0

        def count(_: str) -> None:
            nonlocal most
            ended = [task for task in self.fake.tasks.values() if task["polls"] >= len(task["statuses"])]
            most = max(most, len(self.fake.tasks) - len(ended))

        self.fake.on("post accepted", count)
        self.assert_success(self.batch("--parallel", "2"))
        self.assertEqual(most, 2)

    def test_outputs_of_one_row_are_numbered(self) -> None:
        self.write({"promptText": "fox", "@name": "red fox!"})
        task = self.fake.add_task(outputs=2, statuses=["SUCCEEDED"])
        self.fake.fault(Fault("status", 200, body={"id": task}), path=PATH)
        self.assert_success(self.download())
        self.assertEqual(self.saved(), ["red_fox-1.png", "red_fox-2.png"])

    def test_an_output_that_would_have_the_name_of_another_row_is_not_saved(self) -> None:
        self.write({"promptText": "fox", "@name": "fox"}, {"promptText": "owl", "@name": "fox-1"})
        task = self.fake.add_task(outputs=2, statuses=["SUCCEEDED"])
        self.fake.fault(Fault("status", 200, body={"id": task}), path=PATH)
        result = self.download("--parallel", "1")
        self.assert_error(result, 74, kind="io")
        self.assertEqual(self.saved(), ["fox-1.png"])
        self.assertEqual(by_name(result)["fox-1"]["saved"], [f"{self.sky}/fox-1.png"])

    def test_a_row_may_have_another_endpoint(self) -> None:
        self.write({"promptText": "dawn", "@path": "v1/text_to_video", "model": "gen4.5", "duration": 5})
        self.assert_success(self.download())
        self.assertEqual(self.posts(), ["/v1/text_to_video"])
        self.assertEqual(self.saved(), ["1.mp4"])

    def test_a_workflow_is_polled_as_an_invocation(self) -> None:
        workflow = self.fake.add_workflow(name="Poster")
        self.prompts.write_text('{"@name": "poster"}\n', encoding="utf-8")
        result = self.call("batch", f"/v1/workflows/{workflow}", self.prompts, "--body", "{}", env=self.env)
        self.assert_success(result)
        self.assertTrue(result.lines[0]["id"].startswith("/v1/workflow_invocations/"))

    def test_select_and_tables_work_on_rows(self) -> None:
        self.write("fox")
        self.assertEqual(self.download("--select", "name").stdout, "1\n")
        table = self.download("--output", "markdown").stdout.splitlines()
        self.assertEqual(table[0], "| Row | Name | Id | Status | Credits | Saved | Error |")
        self.assertEqual(len(table), 3)

    def test_rows_come_from_stdin_with_a_log_in_the_folder(self) -> None:
        result = self.download(rows="-", stdin=b'{"promptText": "fox"}\n')
        self.assert_success(result)
        self.assertEqual(self.saved(), ["1.png", "batch.jsonl"])

    def test_rows_from_stdin_need_a_place_for_the_log(self) -> None:
        result = self.batch(rows="-", stdin=b'{"promptText": "fox"}\n')
        self.assert_error(result, 2, kind="usage")
        self.assertEqual(pasted(result)[-2:], ["--download", "outputs/"])

    def test_stdin_is_not_read_twice(self) -> None:
        self.assert_error(self.download("--body", "-", rows="-", stdin=b"{}"), 2, kind="usage")

    def test_the_folder_is_always_a_folder(self) -> None:
        self.write("fox")
        self.assert_success(self.batch("--download", self.sky))
        self.assertEqual(self.saved(), ["1.png"])

    def test_a_file_in_place_of_the_folder_is_refused(self) -> None:
        self.write("fox")
        self.sky.write_bytes(b"")
        self.assert_error(self.batch("--download", self.sky), 2, kind="usage")
        self.assertEqual(self.posts(), [])

    def test_a_throttled_task_is_told_once(self) -> None:
        self.write("fox", "owl")
        for _ in range(2):
            task = self.fake.add_task(statuses=["THROTTLED", "SUCCEEDED"])
            self.fake.fault(Fault("status", 200, body={"id": task}), path=PATH)
        notes = self.batch().notes
        self.assertEqual(sum(note.startswith("THROTTLED") for note in notes), 1)

    def test_without_a_terminal_there_is_a_note_a_minute(self) -> None:
        self.write("fox")
        task = self.fake.add_task(statuses=["RUNNING"] * 40 + ["SUCCEEDED"])
        self.fake.fault(Fault("status", 200, body={"id": task}), path=PATH)
        notes = self.batch().notes
        self.assertEqual(notes[0], "0 of 1 done, 1 running, 0 failed, 5 credits")
        self.assertEqual(len(notes), 4)

    def test_secrets_and_signed_urls_are_not_in_the_log(self) -> None:
        self.write("fox")
        self.assert_success(self.download())
        text = self.log.read_text(encoding="utf-8")
        self.assertNotIn(SECRET, text)
        self.assertNotIn("_jwt", text)

    def test_a_call_without_a_key_sends_nothing(self) -> None:
        self.write("fox")
        self.assert_error(self.batch(env={"RUNWAY_SKILLS_API_SECRET": ""}), 77, kind="auth")
        self.assertFalse(self.log.exists())

    def test_the_ends_are_in_the_history(self) -> None:
        self.write("fox")
        self.assert_success(self.download())
        row = self.call("history", env=self.env).json["data"][0]
        self.assertEqual(row["status"], "SUCCEEDED")
        self.assertEqual(row["prompt"], "fox")
        self.assertEqual(row["saved"], [str(self.sky / "1.png")])


class DryRunTest(BatchTest):
    def test_it_shows_each_request_and_sends_nothing(self) -> None:
        self.write("fox", {"promptText": "owl", "@name": "night"})
        result = self.download("--dry-run", env={"RUNWAY_SKILLS_API_SECRET": ""})
        self.assert_success(result)
        self.assertEqual([row["name"] for row in result.lines], ["1", "night"])
        first = result.lines[0]
        self.assertEqual(first["body"], {"model": "gen4_image", "ratio": "1280:720", "promptText": "fox"})
        self.assertEqual(first["url"], f"{self.fake.url}{PATH}")
        self.assertEqual(first["headers"]["Authorization"], "Bearer ***")
        self.assertEqual(self.fake.requests, [])
        self.assertFalse(self.log.exists())
        self.assertFalse(self.sky.exists())

    def test_it_shows_only_what_would_be_sent(self) -> None:
        self.write("fox")
        self.assert_success(self.batch())
        self.write("fox", "owl")
        result = self.batch("--dry-run")
        self.assertEqual([row["body"]["promptText"] for row in result.lines], ["owl"])
        self.assertEqual(result.notes, ["1 of 2 rows would be sent"])

    def test_it_changes_neither_log_nor_history(self) -> None:
        self.write("fox")
        self.assert_success(self.batch())
        before = self.log.read_bytes(), self.history.read_bytes()
        self.write("fox", "owl")
        self.batch("--dry-run")
        self.assertEqual((self.log.read_bytes(), self.history.read_bytes()), before)

    def test_files_are_shown_short(self) -> None:
        self.file("cat.png", b"\x89PNG\r\n\x1a\n" + bytes(3000))
        self.write({"promptText": "fox", "@data-uri.referenceImages.0.uri": str(self.folder / "cat.png"),
                    "@upload.referenceImages.1.uri": str(self.folder / "cat.png")})  # fmt: skip
        images = self.batch("--dry-run").lines[0]["body"]["referenceImages"]
        self.assertEqual(images[0]["uri"], "data:image/png;base64,… (3.0 kB)")
        self.assertEqual(images[1]["uri"], "runway://… (cat.png)")


class CheckTest(BatchTest):
    def test_every_row_is_checked_before_anything_is_sent(self) -> None:
        self.write("fox", {"promptText": "owl", "ratio": 7}, {"promptText": "elk", "seed": "many"})
        env = {"RUNWAY_SKILLS_OPENAPI_URL": self.fake.contract_url, "XDG_CACHE_HOME": str(self.folder)}
        result = self.batch("--check", env=env)
        self.assert_error(result, 2, kind="usage")
        fields = [issue["field"] for issue in result.error["issues"]]
        self.assertEqual(fields, ["line 2: ratio", "line 3: seed"])
        self.assertEqual(self.posts(), [])

    def test_good_rows_pass(self) -> None:
        self.write("fox")
        env = {"RUNWAY_SKILLS_OPENAPI_URL": self.fake.contract_url, "XDG_CACHE_HOME": str(self.folder)}
        self.assert_success(self.batch("--check", env=env))

    def test_rows_that_are_done_need_no_contract(self) -> None:
        self.write("fox")
        self.assert_success(self.batch())
        env = {"RUNWAY_SKILLS_OPENAPI_URL": "http://127.0.0.1:9/", "XDG_CACHE_HOME": str(self.folder)}
        self.assert_success(self.batch("--check", env=env))

    def test_without_a_contract_nothing_is_sent(self) -> None:
        self.write("fox")
        env = {"RUNWAY_SKILLS_OPENAPI_URL": "http://127.0.0.1:9/", "XDG_CACHE_HOME": str(self.folder)}
        self.assert_error(self.batch("--check", env=env), 69, kind="network")
        self.assertEqual(self.posts(), [])


class ShownWordsTest(BatchTest):
    def test_the_examples_of_failures_are_calls_that_go_on(self) -> None:
        self.write("fox")
        self.fake.fault(Fault("status", 400, body={"error": "No"}), path=PATH)
        result = self.batch()
        self.assert_error(result, 1, error="No")
        words = ["batch", PATH, str(self.prompts), *SHARED, "--retry-failed", "--dry-run"]
        self.assertEqual(pasted(result), words)
        self.assertEqual(statuses(result), {"1": "FAILED"})

    def test_with_stdin_the_example_waits_for_what_was_started(self) -> None:
        task = self.fake.add_task(statuses=["FAILED"])
        self.fake.fault(Fault("status", 200, body={"id": task}), path=PATH)
        result = self.download(rows="-", stdin=b'{"promptText": "fox"}\n')
        self.assert_error(result, 1, kind="task")
        self.assertEqual(pasted(result), ["wait", "--unfinished"])

    def test_the_error_object_names_few_rows_of_many(self) -> None:
        self.write(*map(str, range(30)))
        self.fake.fault(Fault("status", 400, body={"error": "No"}), path=PATH, times=None)
        result = self.batch()
        self.assert_error(result, 1)
        self.assertEqual(len(result.error["failed"]), 20)
        self.assertEqual(len(result.lines), 30)
        self.assertIn("30 of 30 failed", json.dumps(result.error))
