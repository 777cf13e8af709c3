"""The same `batch` call again: what the log knows is never paid for twice."""

from __future__ import annotations

from tests.batches import PATH, BatchTest, by_name, statuses
from tests.fake import Fault
from tests.fake.tasks import NODES
from tests.served import pasted


class DoneTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("fox", "owl")
        self.assert_success(self.download())
        self.fake.requests.clear()

    def test_done_rows_are_printed_from_the_log(self) -> None:
        before = self.log.read_bytes()
        result = self.download()
        self.assert_success(result)
        self.assertEqual([row["skipped"] for row in result.lines], [True, True])
        self.assertEqual(by_name(result)["1"]["saved"], [f"{self.sky}/1.png"])
        self.assertEqual(result.notes, ["2 of 2 succeeded, 10 credits"])
        self.assertEqual(self.fake.requests, [])
        self.assertEqual(self.log.read_bytes(), before)

    def test_a_row_put_first_is_the_only_one_that_is_sent(self) -> None:
        self.write("elk", "fox", "owl")
        result = self.download()
        self.assert_success(result)
        self.assertEqual(self.prompts_sent(), ["elk"])
        self.assertEqual({row["row"]: row["name"] for row in result.lines}, {1: "3", 2: "1", 3: "2"})
        self.assertEqual(self.saved(), ["1.png", "2.png", "3.png"])

    def test_rows_in_another_order_are_the_same(self) -> None:
        self.write("owl", "fox")
        result = self.download()
        self.assertEqual({row["row"]: row["name"] for row in result.lines}, {1: "2", 2: "1"})
        self.assertEqual(self.prompts_sent(), [])

    def test_a_changed_row_is_a_new_one_and_takes_the_next_number(self) -> None:
        self.write("red fox", "owl")
        result = self.download()
        self.assert_success(result)
        self.assertEqual(self.prompts_sent(), ["red fox"])
        self.assertEqual({row["row"]: row["name"] for row in result.lines}, {1: "3", 2: "2"})

    def test_a_changed_shared_field_makes_all_rows_new(self) -> None:
        self.assert_success(self.download("-F", "seed=1"))
        self.assertEqual(len(self.prompts_sent()), 2)

    def test_equal_rows_are_told_apart_by_their_count(self) -> None:
        self.write("fox", "fox", "fox", "owl")
        self.assert_success(self.download())
        self.assertEqual(self.prompts_sent(), ["fox", "fox"])
        self.write("fox", "fox", "owl")
        self.assertEqual([row["skipped"] for row in self.download().lines], [True] * 3)

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
        result = self.batch("--download", self.folder / "sea")
        self.assert_success(result)
        self.assertEqual(sorted(path.name for path in (self.folder / "sea").iterdir()), ["1.png", "2.png"])
        self.assertEqual(self.posts(), [])
        self.fake.requests.clear()
        self.assert_success(self.batch("--download", self.folder / "sea"))
        self.assert_success(self.download())
        self.assertEqual(self.fake.requests, [])

    def test_without_download_the_saved_files_are_still_named(self) -> None:
        result = self.batch()
        self.assertEqual(by_name(result)["1"]["saved"], [str(self.sky / "1.png")])
        self.assertEqual(self.fake.requests, [])

    def test_an_output_that_the_api_no_longer_has_stays_paid_for(self) -> None:
        (self.sky / "1.png").unlink()
        task = by_name(self.batch())["1"]["id"]
        del self.fake.tasks[task]
        result = self.download("--retry-failed")
        self.assert_error(result, 1, status=404)
        self.assertEqual(by_name(result)["1"]["status"], "SUCCEEDED")
        self.assertEqual(self.posts(), [])

    def test_a_row_with_a_name_that_changes_does_not_replace_its_file(self) -> None:
        self.write({"promptText": "a", "@name": "fox"})
        self.assert_success(self.download())
        self.fake.requests.clear()
        self.write({"promptText": "b", "@name": "fox"})
        self.assert_error(self.download(), 2, kind="usage")
        self.assertEqual(self.posts(), [])

    def test_a_log_elsewhere_is_another_batch(self) -> None:
        result = self.batch("--log", self.folder / "other.jsonl")
        self.assert_success(result)
        self.assertEqual(len(self.prompts_sent()), 2)


class DownloadLaterTest(BatchTest):
    def test_download_added_later_pays_for_nothing_again(self) -> None:
        self.write("fox")
        self.assert_success(self.batch())
        self.assert_success(self.download())
        self.assertEqual(self.saved(), ["1.png"])
        self.assertEqual(len(self.fake.accepted), 1)

    def test_a_download_that_failed_is_taken_up_again(self) -> None:
        self.write("fox")
        self.fake.fault(Fault("status", 404), server="storage", times=None)
        result = self.download()
        self.assert_error(result, 1)
        self.assertEqual(by_name(result)["1"]["status"], "SUCCEEDED")
        self.fake.clear_faults()
        self.assert_success(self.download())
        self.assertEqual(self.saved(), ["1.png"])
        self.assertEqual(len(self.fake.accepted), 1)


class FailedTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("fox", "owl")
        task = self.fake.add_task(statuses=["FAILED"])
        self.fake.fault(Fault("status", 200, body={"id": task, "estimatedCost": {"credits": 5}}), path=PATH)
        self.first = self.download("--parallel", "1")

    def test_a_failed_row_is_reported(self) -> None:
        self.assert_error(self.first, 1, kind="task", failureCode="INTERNAL.BAD_OUTPUT.CODE01")
        self.assertEqual(statuses(self.first), {"1": "FAILED", "2": "SUCCEEDED"})
        self.assertIn("the same call may be tried again", by_name(self.first)["1"]["error"])
        self.assertEqual(self.first.notes[-1], "1 of 2 succeeded, 5 credits")

    def test_it_stays_failed(self) -> None:
        self.fake.requests.clear()
        result = self.download()
        self.assert_error(result, 1, kind="task")
        row = by_name(result)["1"]
        self.assertEqual(row["status"], "FAILED")
        self.assertTrue(row["skipped"])
        self.assertEqual(row["error"], by_name(self.first)["1"]["error"])
        self.assertEqual(self.fake.requests, [])

    def test_the_example_shows_what_would_be_sent_again(self) -> None:
        words = pasted(self.first)
        self.assertEqual(words[-2:], ["--retry-failed", "--dry-run"])
        shown = self.call(*words, env=self.env)
        self.assertEqual([row["name"] for row in shown.lines], ["1"])

    def test_retry_failed_sends_it_again(self) -> None:
        result = self.download("--retry-failed")
        self.assert_success(result)
        self.assertEqual(self.prompts_sent(), ["fox", "owl", "fox"])
        self.assertEqual(self.saved(), ["1.png", "2.png"])

    def test_a_refused_row_stays_refused(self) -> None:
        self.write("fox", "owl", "elk")
        self.fake.fault(Fault("status", 400, body={"error": "No elks"}), path=PATH)
        row = by_name(self.download())["3"]
        self.assertEqual((row["status"], row["id"], row["error"]), ("FAILED", None, "No elks"))
        again = by_name(self.download())["3"]
        self.assertEqual((again["status"], again["error"], again["skipped"]), ("FAILED", "No elks", True))
        result = self.download("--retry-failed")
        self.assert_success(result)
        self.assertEqual(by_name(result)["3"]["status"], "SUCCEEDED")

    def test_a_task_that_is_gone_counts_as_failed(self) -> None:
        self.write("elk")
        task = self.fake.add_task(statuses=["RUNNING"])
        self.fake.fault(Fault("status", 200, body={"id": task}), path=PATH)
        self.fake.fault(Fault("status", 404), path=f"/v1/tasks/{task}", after=1)
        result = self.download()
        self.assert_error(result, 1, status=404)
        self.assertEqual([row["status"] for row in result.lines], ["GONE"])
        self.assertEqual([row["status"] for row in self.download().lines], ["GONE"])

    def test_nodes_that_failed_make_a_row_fail_and_its_outputs_are_saved(self) -> None:
        invocation = self.fake.add_task(
            kind="workflow", statuses=["SUCCEEDED"], nodeErrors={NODES[0]: {"message": "too dark"}}
        )
        workflow = self.fake.add_workflow(name="Poster")
        path = f"/v1/workflows/{workflow}"
        self.write({"@name": "poster", "@path": path})
        self.fake.fault(Fault("status", 200, body={"id": invocation}), path=path)
        words = ("batch", path, self.prompts, "--body", "{}", "--download", self.sky)
        result = self.call(*words, env=self.env)
        self.assert_error(result, 1, kind="task")
        self.assertIn("poster.png", self.saved())
        self.assertIn(f"node {NODES[0]}: too dark", result.lines[0]["error"])
        self.assertTrue(self.call(*words, env=self.env).lines[0]["skipped"])
