"""What a `batch` must not do: pay beyond the budget, pay again, take another's file for its own, forget a failure."""

from __future__ import annotations

import os
import sys
import unittest
import uuid
from pathlib import Path
from typing import Any

from runway_cli.files import lock as file_lock
from tests.batches import PATH, BatchTest, by_name, statuses
from tests.fake import Fault
from tests.served import pasted

ONE, OTHER = b"\x89PNG\r\n\x1a\nAAAA", b"\x89PNG\r\n\x1a\nBBBB"


class BudgetTest(BatchTest):
    """Eight rows at once, a budget for two."""

    def setUp(self) -> None:
        super().setUp()
        self.write(*map(str, range(8)))

    def sent(self, answer: dict[str, Any], cost: Any) -> int:
        """How many rows are sent where POSTs are answered with this beside the id, and ended tasks have this cost."""
        for _ in range(8):
            task = self.fake.add_task()
            self.fake.fault(Fault("status", 200, body={"id": task, **answer}), path=PATH)
            ended = {"id": task, "status": "SUCCEEDED", "cost": {"credits": cost}}
            self.fake.fault(Fault("status", 200, body=ended), path=f"/v1/tasks/{task}", times=None)
        result = self.batch("--max-credits", "10", "--parallel", "8")
        self.assert_error(result, 75, kind="timeout")
        return len(self.fake.sent("POST", PATH))

    def test_an_estimate_beside_the_routing_counts(self) -> None:
        self.assertEqual(self.sent({"routing": {"estimatedCost": {"credits": 5}}}, 5), 2)

    def test_a_cost_that_is_told_at_the_end_counts(self) -> None:
        self.assertEqual(self.sent({}, 5), 2)

    def test_where_no_cost_is_told_the_budget_ends_after_one_row(self) -> None:
        self.assertEqual(self.sent({}, None), 1)

    def test_where_nobody_knows_what_was_charged_the_budget_ends(self) -> None:
        self.fake.fault(Fault("forward_then_status", 500), path=PATH, times=None)
        result = self.batch("--max-credits", "5")
        self.assertEqual(result.exit, 1)
        self.assertEqual(len(self.fake.accepted), 1)

    def test_what_nobody_knows_counts_as_the_dearest_row(self) -> None:
        self.fake.fault(Fault("forward_then_status", 500), path=PATH, after=1)
        self.batch("--max-credits", "20", "--parallel", "1")
        self.assertEqual(len(self.fake.accepted), 4)

    def test_an_attempt_that_was_sent_again_still_counts(self) -> None:
        self.fake.fault(Fault("forward_then_status", 500), path=PATH, after=1)
        self.batch("--max-credits", "10", "--parallel", "1")
        self.assertEqual(len(self.fake.accepted), 2)
        self.batch("--max-credits", "15", "--parallel", "1", "--retry-uncertain")
        self.assertEqual(len(self.fake.accepted), 3)

    def test_a_row_without_an_answer_does_not_block_the_next_run(self) -> None:
        self.fake.fault(Fault("forward_then_status", 500), path=PATH)
        self.batch("--max-credits", "100")
        self.assertEqual(len(self.fake.accepted), 1)
        self.batch("--max-credits", "100")
        self.assertEqual(len(self.fake.accepted), 8)

    def test_a_budget_is_no_failed_row(self) -> None:
        self.fake.fault(Fault("forward_then_status", 500), path=PATH, after=1)
        result = self.batch("--max-credits", "10", "--parallel", "1")
        self.assertEqual(result.exit, 1)
        self.assertIn("the budget of 10 credits is reached: 6 of 8 rows are not started", result.error["error"])
        self.assertNotIn("2 of 8 failed", result.error["error"])


class ExampleTest(BatchTest):
    def test_rows_that_were_sent_again_are_not_sent_once_more(self) -> None:
        self.write("fox")
        failed = self.fake.add_task(statuses=["FAILED"])
        self.fake.fault(Fault("status", 200, body={"id": failed}), path=PATH)
        self.batch()
        slow = self.fake.add_task(statuses=["RUNNING"] * 99)
        self.fake.fault(Fault("status", 200, body={"id": slow}), path=PATH)
        result = self.batch("--retry-failed", "--max-wait", "6")
        self.assert_error(result, 75, kind="timeout")
        self.assertNotIn("--retry-failed", pasted(result))

    def test_rows_from_stdin_keep_their_log(self) -> None:
        rows = b'{"promptText":"fox"}\n'
        self.assertEqual(self.download(rows="-", stdin=rows).exit, 0)
        (self.sky / "2.png").write_bytes(b"mine")
        result = self.download(rows="-", stdin=rows + b'{"promptText":"owl"}\n')
        self.assert_error(result, 2, kind="usage")
        self.assertEqual(pasted(result), ["wait", "--unfinished"])

    def test_an_option_of_another_command_is_no_other_log(self) -> None:
        self.write("fox")
        result = self.batch("--to", self.sky)
        self.assert_error(result, 2, kind="usage")
        self.assertEqual(pasted(result)[-2:], ["--download", str(self.sky)])

    def test_a_file_that_appeared_means_another_folder(self) -> None:
        self.write("fox")
        self.assertEqual(self.batch().exit, 0)
        self.sky.mkdir()
        (self.sky / "1.png").write_bytes(b"mine")
        result = self.download()
        self.assert_error(result, 74, kind="io")
        self.assertIn(f"{self.sky}-2/", pasted(result))
        self.assertEqual(self.call(*pasted(result), env=self.env).exit, 0)
        self.assertEqual(len(self.fake.accepted), 1)

    def test_another_folder_for_the_working_directory_is_one_inside_of_it(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.write({"promptText": "fox", "@name": "fox"})
        self.file("fox.png", b"mine")
        result = self.batch("--download", ".")
        self.assert_error(result, 2, kind="usage")
        self.assertEqual(pasted(result)[-1], "./outputs/")

    def test_words_are_added_before_a_double_dash(self) -> None:
        self.write("fox", "owl")
        result = self.call("batch", "--max-credits", "5", "-f", "model=gen4_image", "-f", "ratio=1280:720",
                           "--", PATH, self.prompts, env=self.env)  # fmt: skip
        self.assert_error(result, 75, kind="timeout")
        words = pasted(result)
        self.assertLess(words.index("--dry-run"), words.index("--"))

    def test_rows_that_the_log_does_not_know_are_not_retried(self) -> None:
        self.write("fox")
        self.assertEqual(self.batch("-F", "seed=7").exit, 0)
        result = self.batch("--retry-failed")
        self.assert_error(result, 2, kind="usage")
        self.assertEqual(len(self.fake.accepted), 1)


class FilesTest(BatchTest):
    def test_an_output_of_another_batch_with_the_same_size_is_not_taken_for_its_own(self) -> None:
        for name, content in (("a", ONE), ("b", OTHER)):
            self.file(f"{name}.jsonl", b'{"promptText":"fox"}\n')
            task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[content])
            self.fake.fault(Fault("status", 200, body={"id": task}), path=PATH, after=int(name == "b"))
        self.assertEqual(self.download(rows=self.folder / "a.jsonl").exit, 0)
        self.assertEqual(self.batch(rows=self.folder / "b.jsonl").exit, 0)
        result = self.download(rows=self.folder / "b.jsonl")
        self.assert_error(result, 74, kind="io")
        self.assertEqual(by_name(result)["1"]["saved"], [])
        self.assertEqual((self.sky / "1.png").read_bytes(), ONE)

    @unittest.skipIf(sys.platform == "win32", "an open file cannot be removed there")
    def test_a_part_file_that_another_run_writes_is_left(self) -> None:
        self.write({"promptText": "fox", "@name": "fox"})
        self.assertEqual(self.download().exit, 0)
        at_work, left = (self.sky / f".fox-2.png.{mark * 12}.part" for mark in "ab")
        left.touch()
        with at_work.open("wb") as file:
            self.assertTrue(file_lock.try_lock(file.fileno()))
            self.assertEqual(self.download().exit, 0)
        self.assertEqual(self.saved(), [at_work.name, "fox.png"])


class NodeErrorsTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.workflow = self.fake.add_workflow(name="Poster")
        self.prompts.write_text('{"@name":"poster"}\n', encoding="utf-8")

    def run_with(self, *words: str | Path) -> Any:
        path = f"/v1/workflows/{self.workflow}"
        errors = {str(uuid.uuid4()): {"message": "bad"}}
        task = self.fake.add_task(kind="workflow", statuses=["SUCCEEDED"], outputs=2, nodeErrors=errors)
        self.fake.fault(Fault("status", 200, body={"id": task}), path=path)
        return self.call("batch", path, self.prompts, "--body", "{}", *words, env=self.env)

    def test_a_retry_that_could_not_be_saved_is_refused_before_it_is_paid(self) -> None:
        self.run_with("--download", f"{self.sky}/")
        self.assertEqual(self.saved(), ["poster-1.png", "poster-2.png"])
        result = self.run_with("--download", f"{self.sky}/", "--retry-failed")
        self.assert_error(result, 2, kind="usage")
        self.assertEqual(len(self.fake.sent("POST")), 1)

    def test_a_failure_is_remembered_where_saving_failed_too(self) -> None:
        self.fake.fault(Fault("status", 404), server="storage", times=None)
        self.run_with("--download", f"{self.sky}/")
        self.assertEqual(self.run_with().exit, 1)


class RowTest(BatchTest):
    def test_a_row_that_is_nested_too_deeply_is_named(self) -> None:
        self.prompts.write_text('{"promptText":"fox"}\n{"a":' + "[" * 5000 + "]" * 5000 + "}\n", encoding="utf-8")
        result = self.batch()
        self.assert_error(result, 2, kind="usage")
        self.assertRegex(result.error["error"], "^line 2: (not JSON: )?nested too deeply$")

    def test_a_key_that_is_there_twice_is_named(self) -> None:
        self.prompts.write_text('{"promptText":"fox","seed":1,"seed":2}\n', encoding="utf-8")
        result = self.batch()
        self.assert_error(result, 2, kind="usage")
        self.assertIn("line 1: not JSON: duplicate key 'seed'", result.error["error"])

    def test_the_fields_of_a_row_do_not_reach_the_next(self) -> None:
        self.write({"contentModeration.publicFigureThreshold": "low", "promptText": "fox"}, "owl")
        shared = '{"contentModeration":{"publicFigureThreshold":"auto"}}'
        result = self.batch("--body", shared, "--dry-run")
        thresholds = [line["body"]["contentModeration"]["publicFigureThreshold"] for line in result.lines]
        self.assertEqual(thresholds, ["low", "auto"])

    def test_credits_without_an_end_are_no_credits(self) -> None:
        self.write("fox")
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        body = f'{{"id":"{task}","estimatedCost":{{"credits":1e400}}}}'.encode()
        self.fake.fault(Fault("status", 200, body=body), path=PATH)
        self.assertEqual(statuses(self.batch()), {"1": "SUCCEEDED"})

    def test_an_id_that_cannot_be_waited_for_is_told(self) -> None:
        self.write("fox")
        self.fake.fault(Fault("status", 200, body={"id": 12345}), path=PATH)
        result = self.batch()
        self.assertIn("12345", by_name(result)["1"]["error"])


if __name__ == "__main__":
    unittest.main()
