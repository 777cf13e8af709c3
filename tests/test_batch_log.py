"""The log of `batch`: what it proves, what it does not, and who may use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.batches import PATH, SHARED, BatchTest, by_name, statuses
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
        self.change_log(without="ended")
        self.change_log(without="started")
        result = self.download()
        self.assert_success(result)
        self.assertEqual(statuses(result), {"1": "SUCCEEDED", "2": "SUCCEEDED"})
        self.assertEqual(len(self.fake.accepted), 2)
        self.assertEqual(len(self.records("started")), 2)

    def test_where_the_history_says_that_it_was_refused_the_row_is_unsent(self) -> None:
        self.fake.fault(Fault("status", 503), path=PATH, times=None)
        self.assert_error(self.download("--retries", "0"), 1, status=503)
        self.change_log(without="unsent")
        self.fake.clear_faults()
        self.assert_success(self.download())
        self.assertEqual(len(self.fake.accepted), 2)

    def test_without_a_history_an_intent_alone_is_uncertain(self) -> None:
        self.assert_success(self.batch(env={"RUNWAY_SKILLS_HISTORY": "off"}))
        self.change_log(without="ended")
        self.change_log(without="started")
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


class LogTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("fox")

    def test_a_log_torn_three_times_is_read_up_to_there(self) -> None:
        self.assert_success(self.download())
        for _ in range(3):
            self.log.write_bytes(self.log.read_bytes()[:-9])
            result = self.download()
            self.assert_success(result)
            self.assertEqual(result.lines[0]["status"], "SUCCEEDED")
        self.assertEqual(len(self.fake.accepted), 1)
        self.assertEqual(self.saved(), ["1.png"])

    def test_a_log_torn_anywhere_pays_for_nothing_again(self) -> None:
        self.assert_success(self.download())
        whole = self.log.read_bytes()
        intent = whole.index(b'{"event":"intent"') + len(self.records("intent")[0]) + 100
        end = whole.index(b"\n", intent)
        for size in range(end + 1, len(whole), 37):
            self.log.write_bytes(whole[:size])
            self.download()
            self.assertEqual(len(self.fake.accepted), 1, size)

    def test_a_log_torn_in_its_first_line_is_begun_again(self) -> None:
        for size in (0, 1, 9, 30):
            with self.subTest(size):
                self.log.write_bytes(b'{"event":"batch","account":"http://127.0.0.1:1 abc"}\n'[:size])
                self.assert_success(self.batch("--retry-failed"))
                self.assertEqual(len(self.records_after_tear()), 1)

    def records_after_tear(self) -> list[str]:
        found = [line for line in self.log.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        return [line for line in found if json.loads(line)["event"] == "batch"]

    def test_another_key_is_refused(self) -> None:
        self.assert_success(self.batch())
        for words in ((), ("--dry-run",)):
            with self.subTest(words):
                result = self.batch(*words, env={"RUNWAY_SKILLS_API_SECRET": SECRET + "x"})
                self.assert_error(result, 2, kind="usage")
                self.assertIn("another API key", result.error["error"])

    def test_another_base_url_is_refused(self) -> None:
        self.assert_success(self.batch())
        result = self.batch(env={"RUNWAY_SKILLS_BASE_URL": self.fake.url.replace("127.0.0.1", "localhost")})
        self.assertIn("another base URL", result.error["error"])
        self.assertEqual(len(self.fake.accepted), 1)

    def test_a_file_that_is_not_a_log_is_refused_and_kept(self) -> None:
        for content in (b'{"name": "package"}\n', b"{\n}\n", b"text", self.prompts.read_bytes()):
            with self.subTest(content):
                path = self.file("other", content)
                self.assert_error(self.batch("--log", path), 2, kind="usage")
                self.assertEqual(path.read_bytes(), content)
        self.assertEqual(self.posts(), [])

    def test_a_log_in_use_is_refused(self) -> None:
        self.assert_success(self.batch())
        hold = (
            "import sys; from runway_cli.jobs.journal import ExclusiveJournal\n"
            "journal = ExclusiveJournal(sys.argv[1]); print(flush=True); input()"
        )
        words = [sys.executable, "-c", hold, str(self.log)]
        env = environment({"PYTHONPATH": str(ROOT)})
        with subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdin and other.stdout
            other.stdout.readline()
            self.assert_error(self.batch(), 2, kind="usage")
            self.assert_success(self.batch("--dry-run"))
            other.kill()
            other.wait()
        self.assert_success(self.batch())

    def test_a_log_in_a_folder_that_is_missing_is_refused(self) -> None:
        self.assert_error(self.batch("--log", self.folder / "no" / "log"), 2, kind="usage")

    def test_rows_that_are_no_longer_there_are_left_alone_and_named(self) -> None:
        self.write("fox", "owl")
        task = self.fake.add_task(statuses=["RUNNING"])
        self.fake.fault(Fault("status", 200, body={"id": task}), path=PATH)
        self.assert_error(self.batch("--parallel", "1", "--max-wait", "3"), 75)
        self.fake.requests.clear()
        self.write("owl")
        result = self.batch()
        self.assert_success(result)
        self.assertEqual(result.notes[0], f"unfinished rows in the log that are no longer in ROWS: 1 ({task})")
        self.assertNotIn(f"/v1/tasks/{task}", self.polls())

    def test_part_files_of_a_killed_run_are_removed_and_others_stay(self) -> None:
        name = "n" * 60
        self.write("fox", {"promptText": "owl", "@name": name}, {"promptText": "elk", "@name": "elk"})
        self.assert_success(self.download())
        own = (".1.png.0123456789ab.part", ".elk-2.png.0123456789ab.part", f".{name[:40]}.0123456789ab.part")
        other = (".7.png.0123456789ab.part", ".x.part", f".{'n' * 39}m.0123456789ab.part", ".elk.png.part")
        for part in (*own, *other):
            self.file(f"sky/{part}")
        self.assert_success(self.batch())
        self.assertEqual([path for path in self.saved() if path.startswith(".")], sorted(other))

    def test_the_log_is_readable_by_its_owner_alone(self) -> None:
        self.assert_success(self.batch())
        if os.name != "nt":
            self.assertEqual(self.log.stat().st_mode & 0o777, 0o600)

    def test_the_key_of_an_intent_is_the_one_in_the_history(self) -> None:
        self.assert_success(self.batch())
        lines = self.history.read_text(encoding="utf-8").splitlines()
        keys = {record["key"] for record in map(json.loads, lines) if record["event"] == "intent"}
        self.assertEqual(keys, {record["key"] for record in self.records("intent")})

    def test_nothing_is_known_of_rows_before_the_intent_is_on_the_disk(self) -> None:
        seen: list[str] = []
        self.fake.on("post accepted", lambda _: seen.append(self.log.read_text(encoding="utf-8")))
        self.assert_success(self.batch(*SHARED[:0]))
        self.assertIn('"event":"intent"', seen[0])
        self.assertNotIn('"event":"started"', seen[0])
