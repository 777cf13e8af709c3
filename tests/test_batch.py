"""`batch`: one run from a file of rows to saved outputs, its dry run, its check and its progress."""

from __future__ import annotations

import os
import re
import time
from unittest import mock

from runway_cli.cli.main import main
from tests.batches import PATH, SHARED, BatchTest, by_name
from tests.fake import SECRET, Fault
from tests.program import environment
from tests.served import pasted
from tests.streams import captured

ROW = b'{"promptText": "fox"}\n'


class RunTest(BatchTest):
    def test_every_row_is_sent_saved_and_printed_as_it_ends(self) -> None:
        self.write("fox", "owl", "elk")
        result = self.download()
        self.assert_success(result)
        self.assertEqual(sorted(self.prompts_sent()), ["elk", "fox", "owl"])
        self.assertEqual(self.saved(), ["1.png", "2.png", "3.png"])
        row = by_name(result)["2"]
        self.assertIn(row["id"], self.fake.tasks)
        expected = {"row": 2, "name": "2", "id": row["id"], "status": "SUCCEEDED", "credits": 5}
        self.assertEqual(list(row.items()), list({**expected, "saved": [f"{self.sky}/2.png"]}.items()))

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
        in_flight = []

        def count(_: str) -> None:
            ended = [task for task in self.fake.tasks.values() if task["polls"] >= len(task["statuses"])]
            in_flight.append(len(self.fake.tasks) - len(ended))

        self.fake.on("post accepted", count)
        self.assert_success(self.batch("--parallel", "2"))
        self.assertEqual(max(in_flight), 2)

    def test_outputs_of_one_row_are_numbered(self) -> None:
        self.write({"promptText": "fox", "@name": "red fox!"})
        self.next_task(outputs=2, statuses=["SUCCEEDED"])
        self.assert_success(self.download())
        self.assertEqual(self.saved(), ["red_fox-1.png", "red_fox-2.png"])

    def test_an_output_that_would_have_the_name_of_another_row_is_not_saved(self) -> None:
        self.write({"promptText": "fox", "@name": "fox"}, {"promptText": "owl", "@name": "fox-1"})
        self.next_task(outputs=2, statuses=["SUCCEEDED"])
        result = self.download("--parallel", "1")
        self.assert_error(result, 74, kind="io")
        self.assertEqual(self.saved(), ["fox-1.png"])
        self.assertEqual(by_name(result)["fox-1"]["saved"], [f"{self.sky}/fox-1.png"])

    def test_a_row_may_have_another_endpoint(self) -> None:
        self.write({"promptText": "dawn", "@path": "v1/text_to_video", "model": "gen4.5", "duration": 5})
        self.assert_success(self.download())
        self.assertEqual(self.posts(), ["/v1/text_to_video"])
        self.assertEqual(self.saved(), ["1.mp4"])

    def test_select_and_tables_work_on_rows(self) -> None:
        self.write("fox")
        self.assertEqual(self.download("--select", "name").stdout, "1\n")
        table = self.download("--output", "markdown").stdout.splitlines()
        self.assertEqual(table[0], "| Row | Name | Id | Status | Credits | Saved | Error |")
        self.assertEqual(len(table), 3)

    def test_rows_come_from_stdin_with_a_ledger_in_the_folder(self) -> None:
        self.assert_success(self.download(rows="-", stdin=ROW))
        self.assertEqual(self.saved(), ["1.png", "batch.db"])

    def test_rows_from_stdin_need_a_place_for_the_ledger_and_stdin_for_themselves(self) -> None:
        result = self.batch(rows="-", stdin=ROW)
        self.assert_refused(result)
        self.assertEqual(pasted(result)[-2:], ["--download", "outputs/"])
        self.assert_refused(self.download("--body", "-", rows="-", stdin=b"{}"), "has no rows")

    def test_the_folder_is_always_a_folder(self) -> None:
        self.write("fox")
        self.assert_success(self.batch("--download", self.sky))
        self.assertEqual(self.saved(), ["1.png"])
        file = self.file("sea")
        self.assert_refused(self.batch("--download", file), sent=1)

    def test_without_a_terminal_there_is_a_note_a_minute(self) -> None:
        self.write("fox")
        self.next_task(statuses=["RUNNING"] * 40 + ["SUCCEEDED"])
        notes = self.batch().notes
        self.assertEqual(notes[0], "0 of 1 done, 1 running, 0 failed, 5 credits")
        self.assertEqual(len(notes), 4)

    def test_secrets_and_signed_urls_are_not_in_the_ledger(self) -> None:
        self.write("fox")
        self.assert_success(self.download())
        for path in (self.ledger, self.history):
            self.assertNotIn(SECRET.encode(), path.read_bytes())
            self.assertNotIn(b"_jwt", path.read_bytes())

    def test_a_call_without_a_key_sends_nothing(self) -> None:
        self.write("fox")
        self.assert_error(self.batch(env={"RUNWAY_SKILLS_API_SECRET": ""}), 77, kind="auth")
        self.assertFalse(self.ledger.exists())

    def test_without_a_history_it_works_with_one_note(self) -> None:
        self.write("fox", "owl")
        result = self.batch("--parallel", "1", env={"RUNWAY_SKILLS_HISTORY": str(self.prompts / "history.db")})
        self.assert_success(result)
        self.assertEqual(result.stderr.count("the history is not kept"), 1)

    def test_the_ends_are_in_the_history(self) -> None:
        self.write("fox")
        self.assert_success(self.download())
        row = self.call("history", env=self.env).json["data"][0]
        self.assertEqual(row["status"], "SUCCEEDED")
        self.assertEqual(row["prompt"], "fox")
        self.assertEqual(row["saved"], [str(self.sky / "1.png")])

    def test_an_id_that_cannot_be_waited_for_is_named(self) -> None:
        self.write("fox")
        self.fake.fault(Fault("status", 200, body={"id": 12345}), path=PATH)
        self.assertIn("12345", by_name(self.batch())["1"]["error"])

    def test_each_failure_is_printed_once(self) -> None:
        self.write(*map(str, range(30)))
        self.fake.fault(Fault("status", 400, body={"error": "No"}), path=PATH, times=None)
        result = self.batch()
        self.assert_error(result, 1, error="30 of 30 failed: No")
        self.assertNotIn("failed", result.error)
        self.assertEqual([row["error"] for row in result.lines], ["No"] * 30)
        self.assertEqual(result.notes[-1], "0 of 30 succeeded, 30 failed, 0 credits")

    def test_the_field_that_an_error_names_is_in_the_line_of_its_row(self) -> None:
        self.write("fox")
        issues = [{"path": ["referenceImages", 0, "uri"], "message": "Bad"}]
        self.fake.fault(Fault("status", 400, body={"error": "Validation failed", "issues": issues}), path=PATH)
        row = by_name(self.batch())["1"]
        self.assertEqual(row["field"], "referenceImages.0.uri")
        self.assertEqual(by_name(self.batch())["1"], {**row, "skipped": True})


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
        self.assertFalse(self.ledger.exists())
        self.assertFalse(self.sky.exists())

    def test_it_shows_only_what_would_be_sent_and_changes_neither_ledger_nor_history(self) -> None:
        self.write("fox")
        self.assert_success(self.batch())
        before = self.ledger.read_bytes(), self.history.read_bytes()
        self.write("fox", "owl")
        result = self.batch("--dry-run")
        self.assertEqual([row["body"]["promptText"] for row in result.lines], ["owl"])
        self.assertEqual(result.notes, ["1 row: 1 × 5 credits known; balance 9995"])
        self.assertEqual((self.ledger.read_bytes(), self.history.read_bytes()), before)


class CheckTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.env |= {"RUNWAY_SKILLS_OPENAPI_URL": self.fake.contract_url, "XDG_CACHE_HOME": str(self.folder)}

    def test_every_row_is_checked_before_anything_is_sent(self) -> None:
        self.write("fox", {"promptText": "owl", "ratio": 7}, {"promptText": "elk", "seed": "many"})
        result = self.batch("--check")
        self.assert_refused(result)
        fields = [issue["field"] for issue in result.error["issues"]]
        self.assertEqual(fields, ["line 2: ratio", "line 3: seed"])


class TerminalTest(BatchTest):
    def frames(self, *words: str) -> list[list[str]]:
        """What was drawn, frame by frame."""
        env = environment({**self.fake.env(), **self.env, "TERM": "xterm"})
        argv = ["batch", PATH, str(self.prompts), *SHARED, *words]
        with mock.patch.dict(os.environ, env, clear=True), captured(err_is_terminal=True, columns=100) as kept:
            self.assertEqual(main(argv, self.clock), 0)
        self.text = kept.err.text
        return [frame.splitlines() for frame in re.split(r"\r\x1b\[\d+A(?:\x1b\[K\n)+\x1b\[\d+A", self.text)]

    def test_the_whole_and_each_row_in_flight_have_a_line(self) -> None:
        self.write({"promptText": "fox", "@name": "fox"}, {"promptText": "owl", "@name": "owl"})
        frames = self.frames()
        self.assertIn("0 of 2 done, 2 running, 0 failed, 10 credits", [frame[0] for frame in frames if frame])
        running = next(frame for frame in frames if len(frame) == 3 and "RUNNING" in frame[1])
        self.assertRegex(running[1], r"^(fox|owl) +RUNNING +\[#*-*\] \d+% +\d+ s +5 credits$")
        self.assertEqual(frames[-1], ["2 of 2 succeeded, 10 credits"], "the lines are removed at the end")

    def test_a_row_that_is_not_sent_yet_says_what_it_does(self) -> None:
        cat = self.file("cat.png", b"\x89PNG\r\n\x1a\n1")
        self.write({"promptText": "fox", "@upload.referenceImages.0.uri": str(cat)})
        self.fake.fault(Fault("slow", seconds=1.3), path="/v1/uploads")
        self.fake.pace.polls_to_finish = 0
        self.clock = time  # type: ignore[assignment]
        self.frames()
        self.assertRegex(self.text, r"\n1 +uploading\n")
