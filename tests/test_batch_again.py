"""The same `batch` call again: what the ledger knows is never paid for twice; each failure names the call to resume.

And `@output-of`: a row starts when another one has succeeded, with its output as an input.
"""

from __future__ import annotations

import sys
import unittest
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import fcntl

from runway_cli.files.download import safe_name
from tests.batches import PATH, SHARED, BatchTest, by_name, statuses
from tests.fake import Fault
from tests.fake.tasks import NODES
from tests.program import Result
from tests.served import pasted

VIDEO = "/v1/image_to_video"
ROW = b'{"promptText":"fox"}\n'


class DoneTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("fox", "owl")
        self.assert_success(self.download())
        self.fake.requests.clear()

    def test_done_rows_are_printed_from_the_ledger(self) -> None:
        before = self.ledger.read_bytes()
        result = self.download()
        self.assert_success(result)
        self.assertEqual([row["skipped"] for row in result.lines], [True, True])
        self.assertEqual(by_name(result)["1"]["saved"], [str(self.sky / "1.png")])
        self.assertEqual(result.notes, ["2 of 2 succeeded, 0 credits"], "of this run")
        self.assertEqual(self.fake.requests, [])
        self.assertEqual(self.ledger.read_bytes(), before)

    def test_a_row_is_known_by_its_content_and_a_new_one_takes_the_next_number(self) -> None:
        for rows, names, sent in (
            (("elk", "fox", "owl"), {1: "3", 2: "1", 3: "2"}, ["elk"]),
            (("owl", "fox"), {1: "2", 2: "1"}, []),
            (("red fox", "owl"), {1: "4", 2: "2"}, ["red fox"]),
            (("fox", "fox", "fox", "owl"), {1: "1", 2: "5", 3: "6", 4: "2"}, ["fox", "fox"]),  # equal rows count
            (("fox", "fox", "owl"), {1: "1", 2: "5", 3: "2"}, []),
        ):
            with self.subTest(rows):
                self.fake.requests.clear()
                self.write(*rows)
                result = self.download()
                self.assert_success(result)
                self.assertEqual({row["row"]: row["name"] for row in result.lines}, names)
                self.assertEqual(self.prompts_sent(), sent)
        self.assertEqual(self.saved(), [f"{number}.png" for number in range(1, 7)])

    def test_a_changed_shared_field_or_another_ledger_makes_all_rows_new(self) -> None:
        self.assert_success(self.download("-F", "seed=1"))
        self.assertEqual(len(self.prompts_sent()), 2)
        self.assert_success(self.batch("--log", self.folder / "other.db"))
        self.assertEqual(len(self.prompts_sent()), 4)

    def test_a_file_that_is_gone_is_saved_again(self) -> None:
        (self.sky / "2.png").unlink()
        self.fake.expire_urls()
        result = self.download()
        self.assert_success(result)
        self.assertEqual(by_name(result)["2"]["saved"], [f"{self.sky}/2.png"])
        self.assertTrue(by_name(result)["2"]["skipped"])
        self.assertEqual(self.saved(), ["1.png", "2.png"])
        self.assertEqual(self.posts(), [])
        self.assertEqual(len(self.polls()), 1)

    def test_another_folder_pays_for_nothing_again(self) -> None:
        sea = self.folder / "sea"
        self.assert_success(self.batch("--download", sea))
        self.assertEqual(sorted(path.name for path in sea.iterdir()), ["1.png", "2.png"])
        self.assertEqual(self.posts(), [])
        self.fake.requests.clear()
        self.assert_success(self.batch("--download", sea))
        self.assert_success(self.download())
        self.assertEqual(self.fake.requests, [])

    def test_an_output_that_the_api_no_longer_has_stays_paid_for(self) -> None:
        (self.sky / "1.png").unlink()
        del self.fake.tasks[by_name(self.batch())["1"]["id"]]
        result = self.download("--retry-failed")
        self.assert_error(result, 1, status=404)
        self.assertEqual(by_name(result)["1"]["status"], "SUCCEEDED")
        self.assertEqual(self.posts(), [])

    def test_a_row_with_a_name_that_changes_does_not_replace_its_file(self) -> None:
        self.write({"promptText": "a", "@name": "fox"})
        self.assert_success(self.download())
        self.write({"promptText": "b", "@name": "fox"})
        self.assert_refused(self.download(), "fox.png' exists", sent=1)


class SavedLaterTest(BatchTest):
    def test_download_added_later_pays_for_nothing_again(self) -> None:
        self.write("fox")
        self.assert_success(self.batch())
        self.assert_success(self.download())
        self.assertEqual(self.saved(), ["1.png"])
        self.assertEqual(len(self.fake.accepted), 1)

    def test_a_download_that_failed_is_resumed(self) -> None:
        self.write("fox")
        self.fake.fault(Fault("status", 404), server="storage", times=None)
        result = self.download()
        self.assert_error(result, 1)
        self.assertEqual(by_name(result)["1"]["status"], "SUCCEEDED")
        self.fake.clear_faults()
        self.assert_success(self.download())
        self.assertEqual(self.saved(), ["1.png"])
        self.assertEqual(len(self.fake.accepted), 1)

    def test_an_output_of_another_batch_with_the_same_size_is_not_taken_for_its_own(self) -> None:
        content = [b"\x89PNG\r\n\x1a\nAAAA", b"\x89PNG\r\n\x1a\nBBBB"]
        batches = [self.file(f"{name}.jsonl", ROW) for name in "ab"]
        for number, output in enumerate(content):
            self.next_task(statuses=["SUCCEEDED"], outputs=[output], after=number)
        self.assert_success(self.download(rows=batches[0]))
        self.assert_success(self.batch(rows=batches[1]))
        result = self.download(rows=batches[1])
        self.assert_error(result, 74, kind="io")
        self.assertEqual(by_name(result)["1"]["saved"], [])
        self.assertEqual((self.sky / "1.png").read_bytes(), content[0])

    @unittest.skipIf(sys.platform == "win32", "an open file cannot be removed there")
    def test_part_files_are_removed_but_for_one_that_another_run_writes(self) -> None:
        long = "a-name-that-is-long-" * 6
        self.write({"promptText": "fox", "@name": "fox"}, {"promptText": "owl", "@name": long})
        self.assert_success(self.download())
        long = safe_name(long)
        names = ("fox-2.png", "fox.png", f"{long}.jpeg", f"{long}-1.png", "foxes.png", "elk.png")
        at_work, *_, foxes, elk = paths = [
            self.sky / f".{name}.{mark * 12}.part" for name, mark in zip(names, "abcdef")
        ]
        for path in paths:
            path.touch()
        with at_work.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.assert_success(self.download())
        self.assertEqual(self.saved(), sorted([at_work.name, foxes.name, elk.name, "fox.png", f"{long}.png"]))


class FailedTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("fox", "owl")
        self.next_task(statuses=["FAILED"], answer={"estimatedCost": {"credits": 5}})
        self.first = self.download("--parallel", "1")

    def test_a_failed_row_is_reported_and_stays_failed(self) -> None:
        self.assert_error(self.first, 1, kind="task", failureCode="INTERNAL.BAD_OUTPUT.CODE01")
        self.assertEqual(statuses(self.first), {"1": "FAILED", "2": "SUCCEEDED"})
        self.assertIn("the same call may be tried again", by_name(self.first)["1"]["error"])
        self.assertEqual(self.first.notes[-1], "1 of 2 succeeded, 1 failed, 5 credits")
        self.fake.requests.clear()
        result = self.download()
        self.assert_error(result, 1, kind="task")
        self.assertEqual(by_name(result)["1"], {**by_name(self.first)["1"], "skipped": True})
        self.assertEqual(self.fake.requests, [])

    def test_retry_failed_sends_it_again_and_the_example_shows_that(self) -> None:
        words = pasted(self.first)
        self.assertEqual(words[-2:], ["--retry-failed", "--dry-run"])
        self.assertEqual([row["name"] for row in self.call(*words, env=self.env).lines], ["1"])
        self.assert_success(self.download("--retry-failed"))
        self.assertEqual(self.prompts_sent(), ["fox", "owl", "fox"])
        self.assertEqual(self.saved(), ["1.png", "2.png"])

    def test_a_refused_row_stays_refused(self) -> None:
        self.write("fox", "owl", "elk")
        self.fake.fault(Fault("status", 400, body={"error": "No elks"}), path=PATH)
        row = by_name(self.download())["3"]
        self.assertEqual((row["status"], row["id"], row["error"]), ("FAILED", None, "No elks"))
        self.assertEqual(by_name(self.download())["3"], {**row, "skipped": True})
        result = self.download("--retry-failed")
        self.assert_success(result)
        self.assertEqual(by_name(result)["3"]["status"], "SUCCEEDED")

    def test_a_moderated_row_is_not_retried_until_it_changes(self) -> None:
        self.write("bad")
        self.next_task(statuses=["FAILED"], failureCode="SAFETY.INPUT.TEXT")
        for words in ((), (), ("--retry-failed",)):
            result = self.batch(*words)
            self.assert_error(result, 1, kind="task", failureCode="SAFETY.INPUT.TEXT")
            self.assertNotIn("--retry-failed", pasted(result))
            self.assertNotEqual(pasted(result)[0], "batch")
        self.assertEqual(self.prompts_sent(), ["fox", "owl", "bad"])
        self.write("good")
        self.assert_success(self.batch())

    def test_kind_and_id_are_the_same_in_the_next_run(self) -> None:
        for prompt in ("refused", "gone"):
            with self.subTest(prompt):
                self.write(prompt)
                if prompt == "gone":
                    self.fake.fault(Fault("status", 404), path=f"/v1/tasks/{self.next_task()}")
                else:
                    self.fake.fault(Fault("status", 400, body={"error": "No"}), path=PATH)
                first, again = self.batch(), self.batch()
                for key in ("kind", "id", "error"):
                    self.assertEqual(first.error.get(key), again.error.get(key))
                self.assertEqual(again.lines[0], {**first.lines[0], "skipped": True})
        self.write("fox")
        self.assertEqual(self.batch().error["id"], by_name(self.first)["1"]["id"])


class FailedNodesTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.path = f"/v1/workflows/{self.fake.add_workflow(name='Poster')}"
        self.prompts.write_text('{"@name":"poster"}\n', encoding="utf-8")

    def run_workflow(self, *words: str | Path) -> Result:
        """The batch, whose next POST starts an invocation with two outputs and a node that fails."""
        errors = {NODES[0]: {"message": "too dark"}}
        self.next_task(path=self.path, kind="workflow", statuses=["SUCCEEDED"], outputs=2, nodeErrors=errors)
        return self.call("batch", self.path, self.prompts, "--body", "{}", *words, env=self.env)

    def test_nodes_that_failed_make_a_row_fail_and_its_outputs_are_saved(self) -> None:
        result = self.run_workflow("--download", self.sky)
        self.assert_error(result, 1, kind="task")
        self.assertEqual(self.saved(), ["poster-1.png", "poster-2.png"])
        self.assertIn(f"node {NODES[0]}: too dark", result.lines[0]["error"])
        self.assertTrue(self.run_workflow("--download", self.sky).lines[0]["skipped"])

    def test_a_retry_that_could_not_be_saved_is_refused_before_it_is_paid(self) -> None:
        self.run_workflow("--download", self.sky)
        self.assert_refused(self.run_workflow("--download", self.sky, "--retry-failed"), "exists", sent=1)


class ExampleTest(BatchTest):
    def test_after_a_refused_row_it_shows_what_a_retry_would_send(self) -> None:
        self.write("fox")
        self.fake.fault(Fault("status", 400, body={"error": "No"}), path=PATH)
        result = self.batch()
        self.assert_error(result, 1, error="No")
        self.assertEqual(pasted(result), ["batch", PATH, str(self.prompts), *SHARED, "--retry-failed", "--dry-run"])
        self.assertEqual(statuses(result), {"1": "FAILED"})

    def test_while_rows_are_in_progress_it_is_the_same_call(self) -> None:
        self.write("fox", "owl")
        self.fake.fault(Fault("status", 400, body={"error": "No"}), path=PATH)
        self.next_task(statuses=["RUNNING"] * 99)
        result = self.batch("--max-wait", "6")
        self.assert_error(result, 1, kind="api")
        self.assertEqual(pasted(result), ["batch", PATH, str(self.prompts), *SHARED, "--max-wait", "6"])

    def test_rows_that_were_sent_again_are_not_sent_once_more(self) -> None:
        self.write("fox")
        self.next_task(statuses=["FAILED"])
        self.batch()
        self.next_task(statuses=["RUNNING"] * 99)
        result = self.batch("--retry-failed", "--max-wait", "6")
        self.assert_error(result, 75, kind="timeout")
        self.assertNotIn("--retry-failed", pasted(result))

    def test_with_stdin_it_waits_for_what_was_started(self) -> None:
        self.next_task(statuses=["FAILED"])
        result = self.download(rows="-", stdin=ROW)
        self.assert_error(result, 1, kind="task")
        self.assertEqual(pasted(result), ["wait", "--unfinished"])
        (self.sky / "2.png").write_bytes(b"mine")
        result = self.download(rows="-", stdin=ROW + b'{"promptText":"owl"}\n')
        self.assert_refused(result, "2.png' exists", sent=1)
        self.assertEqual(pasted(result), ["wait", "--unfinished"])

    def test_a_file_that_appeared_means_another_folder(self) -> None:
        self.write("fox")
        self.assert_success(self.batch())
        self.file("sky/1.png", b"mine")
        result = self.download()
        self.assert_error(result, 74, kind="io")
        self.assertIn(f"{self.sky}-2/", pasted(result))
        self.assert_success(self.call(*pasted(result), env=self.env))
        self.assertEqual(len(self.fake.accepted), 1)

    def test_the_words_of_the_call_are_repeated_character_for_character(self) -> None:
        shared = ("-f", "style=one\ntwo\tthree\u00a0four\u00adfive\u200bsix")
        self.write("fox")
        self.next_task(statuses=["RUNNING"] * 9)
        result = self.batch(*shared, "--max-wait", "6")
        self.assertEqual(pasted(result), ["batch", PATH, str(self.prompts), *SHARED, *shared, "--max-wait", "6"])

    def test_rows_that_the_ledger_does_not_know_are_not_retried(self) -> None:
        self.write("fox")
        self.assert_success(self.batch("-F", "seed=7"))
        self.assert_refused(self.batch("--retry-failed"), "the ledger has none of these rows", sent=1)


class ChainTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        clip = {"@path": VIDEO, "model": "gen4_turbo", "@output-of.promptImage": "fox"}
        self.rows: list[dict[str, Any]] = [
            {**clip, "@name": "clip", "promptText": "it runs"},
            {"@name": "fox", "promptText": "a fox"},
        ]
        self.write(*self.rows)

    def images(self) -> list[str]:
        return [seen.json()["promptImage"] for seen in self.fake.sent("POST", VIDEO)]

    def test_a_row_is_sent_after_the_one_that_it_needs_with_its_first_output(self) -> None:
        self.assert_success(self.download())
        self.assertEqual(self.posts(), [PATH, VIDEO])
        self.assertRegex(self.images()[0], r"^http.*\.png\?_jwt=")
        self.assertEqual(self.saved(), ["clip.mp4", "fox.png"])
        self.assertEqual(self.fake.hasty, [])

    def test_a_number_chooses_another_output(self) -> None:
        self.write({**self.rows[0], "@output-of.promptImage": "fox.1"}, self.rows[1])
        task = self.next_task(outputs=2, statuses=["SUCCEEDED"])
        self.assert_success(self.batch())
        urls = self.call("wait", task, env=self.env).json["output"]
        self.assertEqual(self.images()[0].partition("?")[0], urls[1].partition("?")[0])
        self.write({**self.rows[0], "@output-of.promptImage": "fox.7"}, self.rows[1])
        self.assertIn("no output number 7", by_name(self.batch())["clip"]["error"])

    def test_after_a_failure_it_is_skipped_and_starts_in_the_run_that_repeats_the_other(self) -> None:
        chained = {**self.rows[0], "@name": "cut", "@output-of.promptImage": "clip"}
        self.write(chained, *self.rows)
        self.next_task(statuses=["FAILED"])
        for sent in (1, 1):
            result = self.batch()
            self.assert_error(result, 1, kind="task")
            self.assertEqual(statuses(result), {"cut": "SKIPPED", "clip": "SKIPPED", "fox": "FAILED"})
            self.assertEqual(len(self.posts()), sent)
        self.assertEqual([row["name"] for row in self.batch("--dry-run").lines], [])
        self.assertEqual(len(self.batch("--dry-run", "--retry-failed").lines), 3)
        self.assert_success(self.batch("--retry-failed"))
        self.assertEqual(self.posts(), [PATH, PATH, VIDEO, VIDEO])

    def test_in_a_later_run_the_output_is_read_from_the_api_again(self) -> None:
        self.fake.clear_faults()
        self.fake.fault(Fault("status", 503), path=VIDEO, times=None)
        self.batch("--retries", "0")
        self.fake.clear_faults()
        self.next_task(path=VIDEO, statuses=["SUCCEEDED"])
        self.fake.requests.clear()
        self.assert_success(self.batch())
        self.assertEqual(self.posts(), [VIDEO])

    def test_a_name_is_found_however_its_letters_are_composed(self) -> None:
        self.write(
            {**self.rows[0], "@output-of.promptImage": "e\u0301te\u0301.0"}, {**self.rows[1], "@name": "\u00e9t\u00e9"}
        )
        self.assertEqual(len(self.batch("--dry-run").lines), 2)

    def test_another_input_makes_a_new_row(self) -> None:
        self.assert_success(self.batch())
        self.write(self.rows[0], {**self.rows[1], "promptText": "another fox"})
        self.assert_success(self.batch())
        self.assertEqual(self.posts(), [PATH, VIDEO] * 2)

    def test_unknown_names_and_circles_are_refused_before_anything_is_sent(self) -> None:
        row = self.rows[0]
        for rows, words in (
            ([row], "line 1: @output-of: no row has the @name 'fox'"),
            ([{**row, "@output-of.promptImage": "clip"}], "line 1: @output-of is circular: clip → clip"),
            (
                [{**row, "@name": name, "@output-of.promptImage": other} for name, other in ("ab", "bc", "ca")],
                "is circular: a → b → c → a",
            ),
        ):
            with self.subTest(words):
                self.write(*rows)
                self.assert_refused(self.batch(), words)

    def test_an_output_that_is_not_there_yet_passes_the_check(self) -> None:
        self.env |= {"RUNWAY_SKILLS_OPENAPI_URL": self.fake.contract_url, "XDG_CACHE_HOME": str(self.folder)}
        row = {**self.rows[0], "ratio": "1280:720", "duration": 5}
        self.write(row, self.rows[1])
        self.assert_success(self.batch("--check", "--dry-run"))

    def test_a_chain_may_be_long(self) -> None:
        count = 1200
        first = {"@name": "0", "promptText": "fox"}
        rest = [{"@name": str(n), "promptText": "on", "@output-of.image": str(n - 1)} for n in range(1, count)]
        self.write(*reversed([first, *rest]))
        self.assertEqual(len(self.batch("--dry-run").lines), count)
