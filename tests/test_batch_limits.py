"""What ends or slows a `batch`: credits, time, a refused key, 429, a service that is down, a full disk."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import unittest
from typing import Any
from unittest import mock

from runway_cli.jobs.journal import ExclusiveJournal
from tests.batches import PATH, SHARED, BatchTest, by_name, statuses
from tests.fake import Fault
from tests.program import ROOT, environment
from tests.served import pasted

NOT_STARTED = "NOT_STARTED"


class CreditsTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.write(*map(str, range(8)))

    def test_no_further_row_starts_at_the_budget(self) -> None:
        result = self.batch("--max-credits", "12")
        words = "the budget of 12 credits is reached: 5 of 8 rows are not started; raise --max-credits to continue"
        self.assert_error(result, 75, kind="timeout", error=words)
        self.assertEqual(len(self.fake.accepted), 3)
        self.assertEqual(list(statuses(result).values()).count(NOT_STARTED), 5)
        self.assertEqual(pasted(result)[-1], "--dry-run")
        self.assertEqual(len(self.call(*pasted(result), env=self.env).lines), 5)

    def test_the_budget_counts_earlier_runs_and_raising_it_resumes(self) -> None:
        for credits, accepted, exit_status in (("10", 2, 75), ("10", 2, 75), ("20", 4, 75), ("100", 8, 0)):
            with self.subTest(credits=credits, accepted=accepted):
                self.assertEqual(self.batch("--max-credits", credits).exit, exit_status)
                self.assertEqual(len(self.fake.accepted), accepted)

    def test_what_a_retried_row_cost_before_counts(self) -> None:
        self.write("fox")
        self.next_task(statuses=["CANCELLED"], credits=7, answer={"estimatedCost": {"credits": 7}})
        self.assert_error(self.batch(), 1)
        self.assert_error(self.batch("--retry-failed", "--max-credits", "7"), 75)
        self.assertEqual(len(self.fake.accepted), 0)

    def test_a_cost_counts_wherever_the_api_names_it(self) -> None:
        routing = {"routing": {"estimatedCost": {"credits": 5}}}
        for place, answer, cost, sent in (("routing", routing, 5, 2), ("the end", {}, 5, 2), ("nowhere", {}, None, 1)):
            with self.subTest(place):
                self.log.unlink(missing_ok=True)
                self.fake.clear_faults()
                self.fake.requests.clear()
                for _ in range(8):
                    task = self.next_task(answer=answer)
                    ended = {"id": task, "status": "SUCCEEDED", "cost": {"credits": cost}}
                    self.fake.fault(Fault("status", 200, body=ended), path=f"/v1/tasks/{task}", times=None)
                self.assert_error(self.batch("--max-credits", "10", "--parallel", "8"), 75, kind="timeout")
                self.assertEqual(len(self.posts()), sent)

    def test_a_row_of_unknown_outcome_counts_as_the_dearest_one(self) -> None:
        lost = "forward_then_status"
        self.fake.fault(Fault(lost, 500), path=PATH, after=1)
        self.batch("--max-credits", "10", "--parallel", "1")
        self.assertEqual(len(self.fake.accepted), 2)
        self.batch("--max-credits", "15", "--parallel", "1", "--retry-uncertain")  # both attempts count
        self.assertEqual(len(self.fake.accepted), 3)

    def test_where_no_cost_is_known_the_first_row_of_a_run_has_to_tell_it(self) -> None:
        self.fake.fault(Fault("forward_then_status", 500), path=PATH)
        self.assert_error(self.batch("--max-credits", "100"), 1)
        self.assertEqual(len(self.fake.accepted), 1)
        self.batch("--max-credits", "100")
        self.assertEqual(len(self.fake.accepted), 8)

    def test_failed_rows_weigh_more_than_the_budget_and_are_counted_apart(self) -> None:
        self.fake.fault(Fault("status", 400, body={"error": "No"}), path=PATH)
        result = self.batch("--max-credits", "5", "--parallel", "1")
        self.assert_error(result, 1, kind="api")
        budget = "the budget of 5 credits is reached: 6 of 8 rows are not started; raise --max-credits to continue"
        self.assertEqual(result.error["error"], f"1 of 8 failed: No; {budget}")
        self.assertEqual(pasted(result)[-2:], ["--retry-failed", "--dry-run"])


class TimeTest(BatchTest):
    def test_a_row_past_its_time_stays_started(self) -> None:
        self.write("fox", "owl")
        task = self.next_task(statuses=["RUNNING"] * 3 + ["SUCCEEDED"], answer={"estimatedCost": {"credits": 5}})
        words = ("--download", f"{self.sky}/", "--parallel", "1", "--max-wait", "12")
        result = self.batch(*words)
        self.assert_error(result, 75, kind="timeout")
        self.assertEqual(statuses(result), {"1": "RUNNING", "2": "SUCCEEDED"})
        self.assertEqual(by_name(result)["1"]["id"], task)
        self.assertEqual(pasted(result), ["batch", PATH, str(self.prompts), *SHARED, *words])
        self.assert_success(self.call(*pasted(result), env=self.env))
        self.assertEqual(len(self.prompts_sent()), 2)


class RefusedKeyTest(BatchTest):
    def test_a_refused_key_stops_the_batch_and_with_a_good_one_the_rest_is_sent(self) -> None:
        self.write(*map(str, range(6)))
        for status in (401, 403):
            with self.subTest(status):
                self.log.unlink(missing_ok=True)
                self.fake.requests.clear()
                self.fake.fault(Fault("status", status, body={"error": "Bad key"}), path=PATH, after=2, times=None)
                result = self.batch("--parallel", "1")
                self.assert_error(result, 77, kind="auth", status=status)
                self.assertEqual(list(statuses(result).values()), ["SUCCEEDED", "SUCCEEDED", *[NOT_STARTED] * 4])
                self.assertEqual(pasted(result), ["auth", "status"])
                self.fake.clear_faults()
                self.assert_success(self.batch("--parallel", "1"))
                self.assertEqual(self.prompts_sent(), ["0", "1", "2", "2", "3", "4", "5"])

    def test_a_key_that_is_refused_while_polling_stops_the_batch_too(self) -> None:
        self.write("fox", "owl", "elk")
        task = self.next_task(statuses=["RUNNING"])
        self.fake.fault(Fault("status", 401), path=f"/v1/tasks/{task}", after=1)
        result = self.batch("--parallel", "1")
        self.assert_error(result, 77, kind="auth", status=401)
        self.assertEqual(statuses(result), {"1": "RUNNING", "2": NOT_STARTED, "3": NOT_STARTED})


class PaceTest(BatchTest):
    def test_429_slows_the_starting_of_rows_and_all_are_sent(self) -> None:
        self.write(*map(str, range(5)))
        self.fake.fault(Fault("status", 429), path=PATH, times=6)  # 429 ends before the rounds that a batch waits for
        self.assert_success(self.batch())
        self.assertEqual(len(self.fake.accepted), 5)
        self.assertEqual(self.fake.hasty, [])

    def test_where_429_or_an_outage_does_not_end_the_rest_is_left_for_the_next_call(self) -> None:
        self.write(*map(str, range(40)))
        for status in (429, 503):
            with self.subTest(status):
                self.log.unlink(missing_ok=True)
                self.fake.accepted.clear()
                self.fake.requests.clear()
                self.fake.fault(Fault("status", status, body={"error": "Not now"}), path=PATH, times=None)
                result = self.batch()
                self.assert_error(result, 1, status=status)
                self.assertLess(len(self.posts()), 21)
                self.assertEqual(set(statuses(result).values()), {NOT_STARTED})
                self.assertEqual(pasted(result), ["batch", PATH, str(self.prompts), *SHARED])
                self.fake.clear_faults()
                self.assert_success(self.batch())
                self.assertEqual(len(self.fake.accepted), 40)

    def test_retry_after_holds_back_every_row(self) -> None:
        self.write("fox", "owl", "elk")
        self.fake.fault(Fault("status", 429, headers={"Retry-After": "20"}), path=PATH)
        before, accepted = self.clock.now, list[float]()
        self.fake.on("post accepted", lambda _: accepted.append(self.clock.now))
        self.assert_success(self.batch("--parallel", "2"))
        late = [moment for moment in accepted if moment >= before + 20]
        self.assertGreaterEqual(len(late), 2, "one row may have been in progress when the 429 came")

    def test_what_was_never_sent_is_recorded_as_unsent(self) -> None:
        self.write("fox")
        result = self.batch("--retries", "0", env={"RUNWAY_SKILLS_BASE_URL": "http://127.0.0.1:9"})
        self.assert_error(result, 69, kind="network")
        self.assertEqual(statuses(result), {"1": NOT_STARTED})
        self.assertEqual(len(self.records("unsent")), 1)

    def test_one_row_that_is_refused_for_a_while_does_not_stop_the_others(self) -> None:
        self.write("fox", "owl", "elk")
        self.fake.fault(Fault("status", 502), path=PATH, times=3)
        result = self.batch("--parallel", "1")
        self.assert_error(result, 1, status=502)
        self.assertEqual(list(statuses(result).values()), [NOT_STARTED, "SUCCEEDED", "SUCCEEDED"])

    def test_an_upload_that_fails_leaves_its_row_unsent(self) -> None:
        cat = self.file("cat.png", b"\x89PNG\r\n\x1a\n1")
        self.write("fox", {"promptText": "owl", "@upload.referenceImages.0.uri": str(cat)})
        self.fake.fault(Fault("status", 500), path="/v1/uploads", times=None)
        result = self.batch()
        self.assert_error(result, 1, status=500, maybeAccepted=None)
        self.assertEqual(statuses(result), {"1": "SUCCEEDED", "2": NOT_STARTED})
        self.assertNotIn("maybeAccepted", by_name(result)["2"])


class FullDiskTest(BatchTest):
    def full_after(self, count: int) -> Any:
        """Let the log's disk be full after that many records."""
        append, left = ExclusiveJournal.append, [count]

        def limited(journal: ExclusiveJournal, record: dict[str, Any]) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            append(journal, record)

        return mock.patch.object(ExclusiveJournal, "append", limited)

    def test_what_cannot_be_recorded_is_not_paid_for(self) -> None:
        self.write(*map(str, range(4)))
        for count in range(1, 8):
            with self.subTest(count), self.full_after(count):
                self.log.unlink(missing_ok=True)
                self.fake.accepted.clear()
                result = self.batch("--parallel", "1")
                self.assert_error(result, 74, kind="io")
                self.assertEqual(len(self.fake.accepted), len(self.records("intent")))
                self.assertIn(os.strerror(errno.ENOSPC), result.error["error"])

    def test_the_same_call_resumes_when_there_is_room(self) -> None:
        self.write(*map(str, range(4)))
        for count in (3, 3, 2, 3):
            with self.full_after(count):
                result = self.download("--parallel", "2")
                self.assert_error(result, 74)
            self.assertEqual(pasted(result)[0], "batch")
        self.assert_success(self.download())
        self.assertEqual(len(self.fake.accepted), 4)
        self.assertEqual(self.saved(), ["1.png", "2.png", "3.png", "4.png"])

    @unittest.skipUnless(os.name == "posix", "limits of a shell")
    def test_a_log_that_cannot_grow_stops_a_real_run(self) -> None:
        self.write(*map(str, range(20)))
        words = [sys.executable, "-m", "runway_cli", "batch", PATH, str(self.prompts), *SHARED]
        limited = ["/bin/sh", "-c", 'ulimit -f 2; exec "$@"', "sh", *words]
        self.fake.pace.polls_to_finish = 0
        env = environment({**self.fake.env(), "PYTHONPATH": str(ROOT), "RUNWAY_SKILLS_HISTORY": "off"})
        done = subprocess.run(limited, env=env, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 74, done)
        self.assertLess(len(self.fake.accepted), 20)
        intents = [line for line in self.log.read_bytes().splitlines() if b'"event":"intent"' in line and b"}" in line]
        self.assertLessEqual(len(self.fake.accepted), len(intents))
