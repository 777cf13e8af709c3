"""How often a call is sent again, how long each try may take, and what is said when it gives up."""

from __future__ import annotations

import time
from email.utils import formatdate

from tests.fake import Fault
from tests.program import BODY, Clock
from tests.served import ServiceTest

POST = ("POST", "/v1/text_to_image", "--body", BODY)
GET = ("GET", "/v1/organization")
NO_TASK = "/v1/tasks/00000000-0000-4000-8000-000000000000"
HOLIDAY = "Sun, 06 Nov 1994 08:49:37 GMT"


class BackoffTest(ServiceTest):
    """The waits between two tries."""

    def test_the_waits_double_up_to_four_seconds_with_up_to_half_of_it_on_top(self) -> None:
        self.fake.fault(Fault("status", status=503), times=None)
        waits = []
        for _ in range(20):
            clock = Clock()
            self.request(*GET, "--retries", "5", clock=clock)
            waits.append(clock.slept)
        for attempt, base in enumerate((1.0, 2.0, 4.0, 4.0, 4.0)):
            seen = [slept[attempt] for slept in waits]
            with self.subTest(attempt):
                self.assertGreaterEqual(min(seen), base)
                self.assertLessEqual(max(seen), base * 1.5)
                self.assertGreater(len(set(seen)), 1, "jitter keeps clients from coming back together")

    def test_retries_is_the_number_of_tries_after_the_first(self) -> None:
        self.fake.fault(Fault("status", status=503), times=None)
        for words, variable, tries in (
            *((("--retries", "0"), "", 1), (("--retries", "1"), "", 2), (("--retries", "0"), "4", 1)),
            *(((), "", 3), ((), "4", 5)),
        ):
            with self.subTest(words=words, variable=variable):
                self.fake.requests.clear()
                result = self.request(*GET, *words, env={"RUNWAY_SKILLS_RETRIES": variable})
                self.assert_error(result, 1, status=503, maybeAccepted=None)
                self.assertEqual(len(self.fake.requests), tries)

    def test_a_call_that_succeeds_after_retries_is_a_success(self) -> None:
        self.fake.fault(Fault("status", status=502), times=2)
        clock = Clock()
        result = self.request(*POST, clock=clock)
        self.assertEqual(result.exit, 0, result)
        self.assertEqual(len(self.fake.requests), 3, result)
        self.assertEqual(len(clock.slept), 2, result)
        self.assertEqual({request.body for request in self.fake.requests}, {BODY.encode()})
        self.assertEqual([note.split(": retrying in ")[0] for note in result.notes], ["a fault was ordered"] * 2)


class RetryAfterTest(ServiceTest):
    """The service's own wish for a wait."""

    def test_retry_after_counts_where_it_is_longer(self) -> None:
        soon = time.time() + 40
        waits: tuple[tuple[str, float, float], ...] = (
            *(("30", 30, 30), ("60", 60, 60), ("2.5", 2.5, 2.5)),
            *(
                (header, 1, 1.5)
                for header in ("0", "soon", "-5", "", "\u00b2", HOLIDAY, "Sun, 99 Nov 1994 99:99:99 GMT")
            ),
            (formatdate(soon, usegmt=True), 25, 41),
            (time.strftime("%A, %d-%b-%y %H:%M:%S GMT", time.gmtime(soon)), 25, 41),
            (time.asctime(time.gmtime(soon)), 25, 41),  # RFC 9110 wants all three read
        )
        for header, least, most in waits:
            with self.subTest(header):
                self.forget()
                self.fake.fault(Fault("status", status=429, headers={"Retry-After": header}))
                clock = Clock()
                self.assert_success(self.request(*GET, clock=clock))
                (slept,) = clock.slept
                self.assertTrue(least <= slept <= most, slept)

    def test_more_than_a_minute_is_an_error_that_names_the_wait(self) -> None:
        for header, words in (
            ("61", "61 s"),
            ("3600", "3600 s"),
            ("9" * 400, "inf s"),
            (formatdate(time.time() + 7200, usegmt=True), "s)"),
        ):
            with self.subTest(header):
                self.forget()
                self.fake.fault(Fault("status", status=429, headers={"Retry-After": header}), times=None)
                clock = Clock()
                result = self.request(*POST, clock=clock)
                self.assert_error(result, 1, status=429, maybeAccepted=None)
                self.assertIn("the service asks to wait ", result.error["error"])
                self.assertIn(words, result.error["error"])
                self.assertEqual(len(self.fake.requests), 1)
                self.assertEqual(clock.slept, [])


class DeleteTest(ServiceTest):
    """A DELETE may be sent again, and then meets its own work."""

    def test_a_404_after_a_lost_answer_means_deleted(self) -> None:
        for kind in ("forward_then_reset", "half_answer"):
            with self.subTest(kind):
                self.forget()
                task = self.fake.add_task()
                path = f"/v1/tasks/{task}"
                self.fake.fault(Fault(kind), method="DELETE")
                result = self.request("DELETE", path)
                self.assertEqual(result.exit, 0, result)
                self.assertEqual(result.stdout, "{}\n", result)
                self.assertIn("already deleted by an earlier attempt", result.notes)
                self.assertEqual(len(self.fake.sent("DELETE", path)), 2)
                self.assertTrue(self.fake.tasks[task]["deleted"])

    def test_a_404_after_a_refusal_or_at_once_stays_an_error(self) -> None:
        for faults in (1, 0):
            self.forget()
            self.fake.fault(Fault("status", status=503), method="DELETE", times=faults)
            self.assert_error(self.request("DELETE", NO_TASK), 1, status=404)
            self.assertEqual(len(self.fake.requests), faults + 1)
