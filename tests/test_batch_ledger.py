"""The ledger of `batch`: what it proves, what it does not, and who may use it."""

from __future__ import annotations

import subprocess
import sys

from tests.batches import PATH, BatchTest, by_name, statuses
from tests.fake import SECRET, Fault
from tests.program import ROOT, environment
from tests.served import pasted


class UncertainTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("fox", "owl")

    def test_a_lost_answer_is_never_sent_again_by_itself(self) -> None:
        self.fake.fault(Fault("forward_then_reset"), path=PATH)
        result = self.download("--parallel", "1")
        self.assert_error(result, 1, kind="api", maybeAccepted=True)
        row = by_name(result)["1"]
        self.assertEqual(row["status"], "UNCERTAIN")
        self.assertTrue(row["maybeAccepted"])
        self.assertEqual(pasted(result), ["request", "GET", "/v1/organization"])
        again = self.download("--retry-failed")
        self.assert_error(again, 1, maybeAccepted=True)
        self.assertEqual(statuses(again), {"1": "UNCERTAIN", "2": "SUCCEEDED"})
        self.assertEqual(self.prompts_sent(), ["fox", "owl"])

    def test_retry_uncertain_sends_it_again(self) -> None:
        self.fake.fault(Fault("status", 500), path=PATH)
        self.assert_error(self.download("--parallel", "1"), 1)
        self.assert_success(self.download("--retry-uncertain"))
        self.assertEqual(self.prompts_sent(), ["fox", "owl", "fox"])

    def test_where_the_history_has_the_id_it_counts(self) -> None:
        self.assert_success(self.download())
        self.forget_answers()
        self.assertEqual(self.download("--dry-run").lines, [])
        result = self.download("--retry-uncertain")
        self.assert_success(result)
        self.assertEqual(statuses(result), {"1": "SUCCEEDED", "2": "SUCCEEDED"})
        self.assertEqual(len(self.fake.accepted), 2)
        self.assertEqual({row["id"] for row in self.attempts()}, {accepted.id for accepted in self.fake.accepted})

    def test_a_price_is_known_from_the_ledger_alone(self) -> None:
        off = {"RUNWAY_SKILLS_HISTORY": "off"}
        self.assert_success(self.download(env=off))
        self.write("fox", "owl", "hen")
        self.assertIn("1 row: 1 × 5 credits known", self.download("--dry-run", env=off).notes[-1])

    def test_without_a_history_an_intent_alone_is_uncertain(self) -> None:
        self.assert_success(self.batch(env={"RUNWAY_SKILLS_HISTORY": "off"}))
        self.forget_answers()
        result = self.batch(env={"RUNWAY_SKILLS_HISTORY": "off"})
        self.assert_error(result, 1, maybeAccepted=True)
        self.assertEqual(statuses(result), {"1": "UNCERTAIN", "2": "UNCERTAIN"})

    def test_an_answer_without_an_id_is_uncertain(self) -> None:
        self.fake.fault(Fault("status", 200, body={"ok": True}), path=PATH)
        self.assertEqual(statuses(self.download("--parallel", "1")), {"1": "UNCERTAIN", "2": "SUCCEEDED"})

    def test_through_a_gateway_a_502_proves_nothing(self) -> None:
        self.fake.fault(Fault("status", 502), server="gateway", method="POST")
        self.write("fox")
        result = self.batch("--gateway", "lowcodeapi", env=self.fake.gateway_env())
        self.assertEqual(statuses(result), {"1": "UNCERTAIN"})


class LedgerTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("fox")

    def test_another_key_is_refused(self) -> None:
        self.assert_success(self.batch())
        for words in ((), ("--dry-run",)):
            with self.subTest(words):
                result = self.batch(*words, env={"RUNWAY_SKILLS_API_SECRET": SECRET + "x"})
                self.assert_error(result, 2, kind="usage")
                self.assertIn("another API key", result.error["error"])
                self.assertLessEqual({"--log", f"{self.prompts}.batch-2.db", "--dry-run"}, {*pasted(result)})

    def test_another_base_url_is_refused(self) -> None:
        self.assert_success(self.batch())
        result = self.batch(env={"RUNWAY_SKILLS_BASE_URL": self.fake.url.replace("127.0.0.1", "localhost")})
        self.assertIn("another base URL", result.error["error"])
        self.assertEqual(len(self.fake.accepted), 1)

    def test_a_key_that_was_refused_can_be_corrected(self) -> None:
        self.fake.fault(Fault("status", 401), path=PATH)
        self.assert_error(self.batch(env={"RUNWAY_SKILLS_API_SECRET": SECRET + "x"}), 77)
        self.fake.clear_faults()
        self.assert_success(self.batch())

    def test_a_file_that_is_no_ledger_is_refused_and_kept(self) -> None:
        for content in (b'{"name": "package"}\n', b"text", self.prompts.read_bytes(), b"SQLite format 3\0" * 99):
            with self.subTest(content[:20]):
                path = self.file("other", content)
                for words in ((), ("--dry-run",)):
                    self.assert_refused(self.batch("--log", path, *words))
                self.assertEqual(path.read_bytes(), content)
        self.assertEqual(self.listing(), ["other", "prompts.jsonl"])

    def test_the_history_and_a_folder_are_no_ledgers_of_a_batch(self) -> None:
        self.assert_refused(self.batch("--log", self.history), "is the history")
        self.assert_refused(self.batch("--log", self.folder), "is not a file")

    def test_a_log_of_an_earlier_version_is_refused_by_name(self) -> None:
        old = self.file("prompts.jsonl.batch.jsonl", b'{"event":"batch"}\n')
        self.assert_refused(self.batch(), "prompts.jsonl.batch.jsonl' was written by version 2")
        old.rename(self.folder / "moved")
        self.assert_success(self.batch())
        (self.folder / "moved").rename(old)
        self.assert_success(self.batch())

    def test_a_ledger_in_use_is_refused(self) -> None:
        self.assert_success(self.batch())
        hold = (
            "import sys, time; from runway_cli.jobs.ledger import Ledger\n"
            "from tests.test_ledger import service\n"
            "ledger = Ledger(sys.argv[1], service(time), exclusive=True)\n"
            "with ledger.transaction(): pass\n"
            "print(flush=True); input()"
        )
        words = [sys.executable, "-c", hold, str(self.ledger)]
        env = environment({"PYTHONPATH": str(ROOT)})
        with subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdin and other.stdout
            other.stdout.readline()
            for extra in ((), ("--dry-run",)):
                self.assert_refused(self.batch(*extra), "is in use by another process", sent=1)
            other.kill()
            other.wait()
        self.assert_success(self.batch())

    def test_rows_that_are_no_longer_there_are_left_alone_and_named(self) -> None:
        self.write("fox", "owl")
        task = self.fake.add_task(statuses=["RUNNING"])
        self.fake.fault(Fault("status", 200, body={"id": task}), path=PATH)
        self.assert_error(self.batch("--parallel", "1", "--max-wait", "3"), 75)
        self.fake.requests.clear()
        self.write("owl")
        result = self.batch()
        self.assert_success(result)
        self.assertEqual(result.notes[0], f"unfinished rows in the ledger that are no longer in ROWS: 1 ({task})")
        self.assertNotIn(f"/v1/tasks/{task}", self.polls())

    def test_the_intent_is_on_the_disk_before_the_post(self) -> None:
        seen: list[list[str]] = []

        def look(_: object) -> None:
            seen.append([self.attempts(path)[0]["status"] for path in (self.ledger, self.history)])

        self.fake.on("post accepted", look)
        self.assert_success(self.batch())
        self.assertEqual(seen[0], ["UNCERTAIN", "UNCERTAIN"])
