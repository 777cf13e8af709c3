"""From a prompt to a saved file in one command: paid for once, and not lost whatever fails meanwhile."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from tests.fake import Fault, sample
from tests.program import ROOT, Result, environment, run
from tests.served import ServedTest, pasted

POST = "/v1/image_to_video"
FOREVER = None
SHORT = ((), ("--timeout", "1"))  # a short timeout only where it is waited for: a busy machine is slow


class FlowTest(ServedTest):
    def setUp(self) -> None:
        super().setUp()
        self.cat = self.file("cat.png", sample("image"))

    @property
    def saved(self) -> Path:
        return self.folder / "generated" / "cat.mp4"

    @property
    def free(self) -> str:
        """Returns the first free name beside the saved file."""
        return str(self.saved.with_name("cat-2.mp4"))

    def words(self, *argv: str) -> list[str]:
        """Returns the most common call: upload, generate, wait, save."""
        fields = ("-f", "model=gen4_turbo", "-f", "promptText=slow dolly in", "-f", "ratio=1280:720")
        upload = ("--upload", f"promptImage={self.cat}")
        return ["request", "POST", POST, *fields, *upload, "--wait", "--download", str(self.saved), *argv]

    def anew(self) -> None:
        """Forgets everything that happened."""
        self.fake.clear_faults()
        self.fake.requests.clear()
        self.fake.tasks.clear()
        self.fake.hasty.clear()
        self.fake.organization["creditBalance"] = 10_000
        self.saved.unlink(missing_ok=True)

    def pay_for(self, task: str) -> None:
        """Lets every POST start this task, which has already succeeded."""
        self.fake.fault(Fault("forward_then_status", status=200, body={"id": task}), path=POST, times=FOREVER)
        self.fake.add_task(task_id=task, kind="video", statuses=["SUCCEEDED"])

    def assert_done(self, result: Result, posts: int = 1) -> None:
        """Asserts that one task was paid for, its output and nothing else was saved, and no poll came too early."""
        self.assert_success(result)
        self.assertEqual((result.json["status"], result.json["saved"]), ("SUCCEEDED", [str(self.saved)]))
        self.assertEqual(self.saved.read_bytes(), sample("video"))
        self.assertEqual(self.listing(), ["cat.png", "generated/cat.mp4"])
        self.assert_paid_once(posts)

    def assert_paid_once(self, posts: int = 1) -> None:
        self.assertEqual(self.posts(), [POST] * posts)
        self.assertEqual(len(self.fake.tasks), 1)
        self.assertEqual(self.fake.organization["creditBalance"], 10_000 - 25)
        self.assertEqual(self.fake.hasty, [])

    def assert_resumes(self, result: Result) -> None:
        """Asserts that the error names what was paid for, and that its example, pasted, succeeds."""
        (task,) = self.fake.tasks
        self.assertEqual(result.error["id"], task, result)
        words = pasted(result)
        self.assertEqual(words[:2], ["wait", task], result)
        self.fake.clear_faults()
        self.clock.sleep(6)
        again = self.call(*words)
        self.assert_done(again)
        self.assertEqual(again.json["id"], task)


class OneCommand(FlowTest):
    def test_an_image_becomes_a_video_on_the_disk(self) -> None:
        result = self.call(*self.words())
        self.assert_done(result)
        self.assertEqual(list(result.json), ["id", "estimatedCost", "status", "createdAt", "cost", "saved"])
        self.assertEqual(
            [f"{seen.server} {seen.method}" for seen in self.fake.requests],
            ["api POST", "storage POST", "api POST", "api GET", "api GET", "api GET", "storage GET"],
        )
        (uri,) = self.fake.uploads
        self.assertEqual(
            self.fake.sent("POST", POST)[0].json(),
            {"model": "gen4_turbo", "promptText": "slow dolly in", "ratio": "1280:720", "promptImage": uri},
        )

    def test_as_a_process_in_the_users_folder(self) -> None:
        for task in ("slow", "soon"):
            with self.subTest(task):
                self.anew()
                self.pay_for(task)
                words = self.words("--quiet") if task == "soon" else self.words()
                words[words.index(str(self.saved))] = "generated/cat.mp4"
                history = str(self.folder / f"{task}.db")
                result = run(*words, env={**self.fake.env(), "RUNWAY_SKILLS_HISTORY": history}, cwd=self.folder)
                self.assert_success(result, stderr=f"started {task}\n")
                self.assertEqual(result.json["saved"], ["generated/cat.mp4"])
                self.assertLess(len(result.stdout) + len(result.stderr), 450, "what an agent has to read")

    def test_the_example_resumes_in_the_same_environment(self) -> None:
        result = self.call(*self.words("--stage", "--max-wait", "9", "--timeout", "30"))
        self.assert_error(result, 75, kind="timeout")
        (task,) = self.fake.tasks
        self.assertIn(f"started {task}", result.notes)
        words = pasted(result)
        options = ["--download", str(self.saved), "--max-wait", "9", "--timeout", "30", "--stage"]
        self.assertEqual(words, ["wait", task, *options])
        self.clock.sleep(6)
        self.assert_done(self.call(*words))

    def test_passing_failures_are_survived_and_paid_for_once(self) -> None:
        polls: dict[str, Any] = {"method": "GET", "server": "api"}
        output: dict[str, Any] = {"method": "GET", "server": "storage"}
        form: dict[str, Any] = {"method": "POST", "server": "storage"}
        for fault, where, posts in (
            (Fault("status", status=429), {"path": "/v1/uploads"}, 1),
            (Fault("reset_mid_body"), form, 1),
            (Fault("half_answer"), form, 1),
            (Fault("status", status=503), {"path": POST}, 2),
            (Fault("no_answer"), polls, 1),
            (Fault("reset_after_request"), {**polls, "times": 3}, 1),
            (Fault("half_answer"), output, 1),
            (Fault("no_answer"), output, 1),
            (Fault("status", status=403), output, 1),
        ):
            with self.subTest(fault.kind, where=where, status=fault.status):
                self.anew()
                self.fake.fault(fault, **where)
                self.assert_done(self.call(*self.words(*SHORT[fault.kind == "no_answer"])), posts)


class NothingIsLost(FlowTest):
    def test_the_example_resumes_whatever_ended_the_waiting(self) -> None:
        polls: dict[str, Any] = {"method": "GET", "server": "api", "times": FOREVER}
        output: dict[str, Any] = {"method": "GET", "server": "storage", "times": FOREVER}
        for fault, where, expected in (
            (Fault("status", status=401), polls, 77),
            (Fault("status", status=403), polls, 77),
            (Fault("status", status=404), polls, 1),
            (Fault("status", status=400), polls, 1),
            (Fault("status", status=200, body=[]), polls, 75),
            (Fault("redirect", target="https://x"), polls, 1),
            (Fault("status"), polls, 75),
            (Fault("reset_after_request"), polls, 75),
            (Fault("html"), polls, 75),
            (Fault("status", status=200, body={"id": "x", "status": "RUNNING"}), polls, 75),
            (Fault("status"), output, 1),
            (Fault("status", status=404), output, 1),
            (Fault("status", status=403), output, 77),
            (Fault("reset_after_headers"), output, 69),
            (Fault("half_answer", body=b"12345678"), output, 69),
            (Fault("redirect", target="http://example.com"), output, 1),
        ):
            with self.subTest(fault.kind, where=where, status=fault.status):
                self.anew()
                self.fake.fault(fault, **where)
                result = self.call(*self.words("--max-wait", "60", "--retries", "1"))
                self.assert_error(result, expected)
                self.assert_resumes(result)

    def test_a_defect_of_the_program_does_not_lead_to_paying_again(self) -> None:
        for place in ("runway_cli.jobs.tasks.PolledTask._poll", "runway_cli.jobs.tasks.PolledTask._save"):
            with self.subTest(place), mock.patch(place, side_effect=TypeError("a defect")):
                self.anew()
                result = self.call(*self.words())
            self.assert_error(result, 1, kind="internal")
            self.assert_resumes(result)

    def test_a_defect_after_the_file_was_saved_does_not_lead_to_replacing_it(self) -> None:
        with mock.patch("runway_cli.commands.wait._print", side_effect=TypeError("a defect")):
            result = self.call(*self.words())
        (task,) = self.fake.tasks
        self.assert_error(result, 1, kind="internal", id=task)
        self.assertEqual(pasted(result), ["wait", task, "--download", self.free])
        self.clock.sleep(6)
        self.assertEqual(self.call(*pasted(result)).json["saved"], [self.free])
        self.assert_paid_once()

    @unittest.skipUnless(Path("/dev/full").exists(), "there is no /dev/full")
    def test_a_result_that_cannot_be_written(self) -> None:
        self.pay_for("paid")
        for options in ([], ["--output", "table"]):
            with self.subTest(options):
                self.saved.unlink(missing_ok=True)
                result = self.unwritten(*self.words(*options))
                self.assert_error(result, 74, kind="io", id="paid")
                self.assertEqual(pasted(result), ["wait", "paid", "--download", self.free, *options])
        result = self.unwritten(*self.words()[:11])
        self.assert_error(result, 74, kind="io", id="paid")
        self.assertEqual(pasted(result), ["wait", "paid"])

    def unwritten(self, *words: str) -> Result:
        """Runs a call whose stdout is a full disk."""
        with open("/dev/full", "wb") as full:
            command, env = [sys.executable, "-m", "runway_cli", *words], environment(self.fake.env())
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, check=False, cwd=ROOT, env=env, timeout=30
            )
        return Result(words, done.returncode, b"", done.stderr)

    def test_a_failed_task_is_shown_and_not_waited_for_again(self) -> None:
        failed = {"id": "x", "status": "FAILED", "failureCode": "SAFETY.INPUT"}
        self.fake.fault(Fault("status", status=200, body=failed), method="GET", server="api")
        result = self.call(*self.words())
        self.assert_error(result, 1, kind="task", id=next(iter(self.fake.tasks)))
        self.assertEqual(result.json["status"], "FAILED")
        self.assertEqual(pasted(result)[:2], ["request", "GET"])
        self.assert_paid_once()


class NothingIsPaidTwice(FlowTest):
    def test_a_post_without_an_answer_leads_to_the_balance(self) -> None:
        kinds = {"forward_then_reset": 69, "half_answer": 69, "html": 1, "forward_then_status": 1, "no_answer": 69}
        for kind, expected in kinds.items():
            with self.subTest(kind):
                self.anew()
                self.fake.fault(Fault(kind), path=POST)
                result = self.call(*self.words(*SHORT[kind == "no_answer"]))
                self.assert_error(result, expected, maybeAccepted=True)
                self.assertEqual(pasted(result), ["request", "GET", "/v1/organization"])
                self.assertEqual(self.posts(), [POST])
                self.assertEqual(result.stdout, "")

    def test_what_fails_before_the_post_costs_nothing(self) -> None:
        for fault, where, expected in (
            (Fault("status", status=401), {"path": "/v1/uploads"}, 77),
            (Fault("html"), {"path": "/v1/uploads"}, 1),
            (Fault("reset_after_headers"), {"path": "/v1/uploads"}, 69),
            (Fault("status", status=400), {"server": "storage"}, 1),
            (Fault("reset_after_request"), {"server": "storage", "times": FOREVER}, 69),
        ):
            with self.subTest(fault.kind, where=where):
                self.anew()
                self.fake.fault(fault, **where)
                self.assert_error(self.call(*self.words()), expected)
                self.assertEqual(self.posts(), [])
                self.assertEqual(self.listing(), ["cat.png"])
