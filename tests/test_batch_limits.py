"""What ends or slows a `batch`: credits, time, a refused key, 429, a service that is down, a full disk."""

from __future__ import annotations

import threading
import time
from typing import Any
from unittest import mock

from runway_cli.errors import OutputError
from runway_cli.jobs.ledger import Ledger
from runway_cli.jobs.tasks import PolledTask
from tests.batches import PATH, SHARED, BatchTest, by_name, statuses
from tests.fake import Fault
from tests.served import pasted

NOT_STARTED = "NOT_STARTED"
FULL = "database or disk is full"


class CreditsTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.write(*map(str, range(8)))

    def test_no_row_starts_that_would_go_beyond_the_limit(self) -> None:
        result = self.batch("--max-credits", "12")
        words = "--max-credits allows 12 credits, 10 are spent, and the next costs 5; 6 of 8 rows are not started"
        self.assert_error(result, 1, kind="budget", error=words, spent=10, limit=12)
        self.assertEqual(len(self.fake.accepted), 2)
        self.assertEqual(list(statuses(result).values()).count(NOT_STARTED), 6)
        self.assertEqual(pasted(result)[-1], "--dry-run")
        shown = self.call(*pasted(result), env=self.env)
        self.assertEqual(len(shown.lines), 6)
        self.assertIn("6 rows: 6 × 5 credits known; --max-credits 12 allows 0; balance", shown.notes[-1])

    def test_earlier_runs_count_and_raising_the_limit_resumes(self) -> None:
        for credits, accepted, exit_status in (("10", 2, 1), ("10", 2, 1), ("20", 4, 1), ("100", 8, 0)):
            with self.subTest(credits=credits, accepted=accepted):
                self.assertEqual(self.batch("--max-credits", credits).exit, exit_status)
                self.assertEqual(len(self.fake.accepted), accepted)

    def test_many_rows_at_once_do_not_go_beyond_the_limit(self) -> None:
        self.write(*map(str, range(99)))
        self.assert_error(self.batch("--parallel", "64", "--max-credits", "100"), 1, kind="budget")
        self.assertEqual(len(self.fake.accepted), 20)

    def test_a_dearer_request_counts_with_its_own_price(self) -> None:
        self.write({"promptText": "old", "seed": 1, "quality": "high"})
        task = self.next_task(credits=50)
        self.fake.fault(Fault("status", 200, body={"id": task, "estimatedCost": {"credits": 50}}), path=PATH)
        self.assert_success(self.batch())
        self.ledger.unlink()
        self.fake.clear_faults()
        self.write("fox", *({"promptText": str(number), "quality": "high"} for number in range(3)))
        self.assert_error(self.batch("--max-credits", "54", "--parallel", "1"), 1, kind="budget")
        self.assertEqual(self.prompts_sent()[-1], "fox")

    def test_what_a_retried_row_cost_before_counts(self) -> None:
        self.write("fox")
        self.next_task(statuses=["CANCELLED"], credits=7, answer={"estimatedCost": {"credits": 7}})
        self.assert_error(self.batch(), 1)
        self.assert_error(self.batch("--retry-failed", "--max-credits", "7"), 1, kind="budget")
        self.assertEqual(len(self.fake.accepted), 0)

    def test_a_cost_counts_wherever_the_api_names_it(self) -> None:
        routing = {"routing": {"estimatedCost": {"credits": 5}}}
        for place, answer, cost, sent in (
            ("routing", routing, 5, 2),
            ("the end", {}, 5, 2),
            ("nowhere", {}, None, 1),
            ("a text", {"estimatedCost": {"credits": "5"}}, "5", 2),
            ("no price", {"estimatedCost": {"credits": True}}, {"amount": 5}, 1),
        ):
            with self.subTest(place):
                self.ledger.unlink(missing_ok=True)
                self.history.unlink(missing_ok=True)
                self.fake.clear_faults()
                self.fake.requests.clear()
                for _ in range(8):
                    task = self.next_task(answer=answer)
                    ended = {"id": task, "status": "SUCCEEDED", "cost": {"credits": cost}}
                    self.fake.fault(Fault("status", 200, body=ended), path=f"/v1/tasks/{task}", times=None)
                self.assert_error(self.batch("--max-credits", "10", "--parallel", "8"), 1, kind="budget")
                self.assertEqual(len(self.posts()), sent)

    def test_a_row_of_unknown_outcome_counts_as_the_dearest_one(self) -> None:
        self.fake.fault(Fault("forward_then_status", 500), path=PATH, after=1)
        self.batch("--max-credits", "10", "--parallel", "1")
        self.assertEqual(len(self.fake.accepted), 2)
        self.batch("--max-credits", "15", "--parallel", "1", "--retry-uncertain")  # both attempts count
        self.assertEqual(len(self.fake.accepted), 3)

    def test_while_no_price_is_known_no_second_row_starts(self) -> None:
        self.fake.fault(Fault("forward_then_status", 500), path=PATH)
        result = self.batch("--max-credits", "100")
        self.assert_error(result, 1, kind="budget", spent=0, limit=100, maybeAccepted=True)
        self.assertEqual(len(self.fake.accepted), 1)
        self.assert_error(self.batch(), 1, kind="api")
        self.assertEqual(len(self.fake.accepted), 8)

    def test_the_limit_of_the_account_holds_for_a_batch_and_nothing_overrides_it(self) -> None:
        self.env["RUNWAY_SKILLS_MAX_CREDITS"] = "12"
        result = self.batch("--max-credits", "100")
        self.assert_error(result, 1, kind="budget", spent=10, limit=12)
        self.assertEqual(len(self.fake.accepted), 2)
        self.assertEqual(list(statuses(result).values()).count(NOT_STARTED), 6)
        self.env["RUNWAY_SKILLS_MAX_CREDITS"] = "40"
        self.assert_success(self.batch())

    def test_without_a_history_the_limit_of_the_account_cannot_be_kept(self) -> None:
        env = {"RUNWAY_SKILLS_MAX_CREDITS": "12", "RUNWAY_SKILLS_HISTORY": "off"}
        self.assert_error(self.batch(env=env), 78, kind="config")
        self.assertEqual(self.posts(), [])

    def test_too_few_credits_stop_the_batch_and_leave_its_rows_unsent(self) -> None:
        words = {"error": "You do not have enough credits to run this task."}
        for status in (400, 402, 403):
            with self.subTest(status):
                self.fake.fault(Fault("status", status, body=words), path=PATH, after=1, times=None)
                result = self.batch("--parallel", "1")
                self.assert_error(result, 1, kind="credits", status=status)
                self.assertIn("https://dev.runwayml.com/", result.error["error"])
                self.assertEqual(pasted(result), ["auth", "status"])
                self.assertEqual(list(statuses(result).values()).count(NOT_STARTED), 8 - len(self.fake.accepted))
                self.fake.clear_faults()
        self.assert_success(self.batch())
        self.assertEqual(sorted(set(self.prompts_sent())), list("01234567"))
        self.assertEqual(len(self.fake.accepted), 8)


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
        self.assertEqual(result.notes[-1], "1 of 2 succeeded, 1 in progress, 10 credits")
        self.assertEqual(result.error["error"], f"1 of 2 in progress: {task} is still RUNNING after 12 s")
        self.assert_success(self.call(*pasted(result), env=self.env))
        self.assertEqual(len(self.prompts_sent()), 2)

    def test_max_time_ends_the_whole_run_and_the_next_one_resumes(self) -> None:
        self.write(*map(str, range(6)))
        for _ in range(2):
            self.next_task(statuses=["RUNNING"] * 9 + ["SUCCEEDED"], answer={"estimatedCost": {"credits": 5}})
        result = self.download("--parallel", "2", "--max-time", "12")
        self.assert_error(result, 75, kind="timeout")
        self.assertEqual(list(statuses(result).values()), ["RUNNING"] * 2 + [NOT_STARTED] * 4)
        self.assertEqual(sorted(self.prompts_sent()), ["0", "1"])
        self.assertIn("after 12 s", by_name(result)["1"]["error"])
        words = [word for word in pasted(result) if word not in ("--max-time", "12")]
        self.assert_success(self.call(*words, env=self.env))
        self.assertEqual(sorted(self.prompts_sent()), list("012345"))


class RefusedKeyTest(BatchTest):
    def test_a_refused_key_stops_the_batch_and_with_a_good_one_the_rest_is_sent(self) -> None:
        self.write(*map(str, range(6)))
        for status in (401, 403):
            with self.subTest(status):
                self.ledger.unlink(missing_ok=True)
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
                self.ledger.unlink(missing_ok=True)
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

    def test_what_was_never_sent_is_forgotten(self) -> None:
        self.write("fox")
        result = self.batch("--retries", "0", env={"RUNWAY_SKILLS_BASE_URL": "http://127.0.0.1:9"})
        self.assert_error(result, 69, kind="network")
        self.assertEqual(statuses(result), {"1": NOT_STARTED})
        self.assertEqual(self.attempts(), [])

    def test_an_upload_that_fails_leaves_its_row_unsent(self) -> None:
        cat = self.file("cat.png", b"\x89PNG\r\n\x1a\n1")
        self.write("fox", {"promptText": "owl", "@upload.referenceImages.0.uri": str(cat)})
        self.fake.fault(Fault("status", 500), path="/v1/uploads", times=None)
        result = self.batch()
        self.assert_error(result, 1, status=500, maybeAccepted=None)
        self.assertEqual(statuses(result), {"1": "SUCCEEDED", "2": NOT_STARTED})
        self.assertNotIn("maybeAccepted", by_name(result)["2"])


class DefectTest(BatchTest):
    def test_answers_are_recorded_although_several_rows_have_a_defect(self) -> None:
        self.write(*map(str, range(4)))
        at_once = threading.Semaphore(3)
        self.fake.on("post accepted", lambda _: None if at_once.acquire(blocking=False) else time.sleep(0.6))
        with mock.patch.object(PolledTask, "_poll", side_effect=ValueError("a defect")):
            self.assert_error(self.batch(), 1, kind="internal")
        recorded = {attempt["id"] for attempt in self.attempts()}
        self.assertEqual(recorded, {accepted.id for accepted in self.fake.accepted})
        self.assertEqual(len(recorded), 4)


class FullDiskTest(BatchTest):
    def full_after(self, count: int) -> Any:
        """Let the disk of the batch's ledger be full after that many records."""
        run, left = Ledger._run, [count]

        def limited(ledger: Ledger, words: str, *values: Any) -> Any:
            if ledger.path == str(self.ledger) and words.startswith(("INSERT", "UPDATE")):
                left[0] -= 1
                if left[0] < 0:
                    raise OutputError(f"the ledger {ledger.path!r} cannot be used: {FULL}")
            return run(ledger, words, *values)

        return mock.patch.object(Ledger, "_run", limited)

    def test_what_cannot_be_recorded_is_not_paid_for(self) -> None:
        self.write(*map(str, range(4)))
        for count in range(8):
            with self.subTest(count), self.full_after(count):
                self.ledger.unlink(missing_ok=True)
                self.fake.accepted.clear()
                result = self.batch("--parallel", "1")
                self.assert_error(result, 74, kind="io")
                self.assertEqual(len(self.fake.accepted), len(self.attempts()))
                self.assertIn(FULL, result.error["error"])
                for accepted in self.fake.accepted:
                    self.assertIn(accepted.id, result.stdout + result.stderr)

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
