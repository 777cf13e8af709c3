"""SIGINT and SIGTERM at real processes: a JSON error, an exit status, and the truth about what was paid for."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from runway_cli.client import Client
from runway_cli.commands import waiting
from runway_cli.output import Console
from tests.fake_runway import Fault
from tests.program import ROOT, Result, checked, environment
from tests.served import PATIENCE, ServiceTest, eventually, pasted

BODY = '{"model":"gen4_image","promptText":"a fox","ratio":"1280:720"}'
ENDS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}


@contextmanager
def signalled(place: Any, name: str, number: int = signal.SIGINT) -> Iterator[None]:
    """Within this process: the signal arrives when this function is called."""
    function = getattr(place, name)

    def interrupted(*args: Any, **options: Any) -> Any:
        signal.raise_signal(number)
        return function(*args, **options)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with mock.patch.object(place, name, interrupted):
            yield
    finally:
        signal.signal(signal.SIGINT, before)


@unittest.skipIf(os.name == "nt", "Windows has no such signals")
class SignalTest(ServiceTest):
    """Every process here is stopped while it waits for somebody."""

    def stopped(self, number: int, *words: str, requests: int = 1, note: str = "", ignored: bool = False) -> Result:
        """A process that gets a signal once `requests` have arrived and stderr has shown `note`."""
        surroundings = environment({"PYTHONPATH": str(ROOT), **self.fake.env()})
        # A shell that starts tests in the background has them ignore SIGINT, and children inherit that.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
        try:
            process = subprocess.Popen([sys.executable, "-m", "runway_cli", *words], env=surroundings,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        finally:
            signal.signal(signal.SIGINT, before)
        with process:
            assert process.stderr
            eventually(lambda: len(self.fake.requests) >= requests)
            seen = b""
            while note.encode() not in seen:
                line = process.stderr.readline()
                self.assertTrue(line, seen)
                seen += line
            process.send_signal(number)
            if ignored:
                process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=PATIENCE)
        return checked(Result(words, process.returncode, stdout, seen + stderr), surroundings)

    def test_a_get_that_is_stopped_ends_at_once(self) -> None:
        for number, (exit_status, word) in ENDS.items():
            with self.subTest(number):
                self.forget()
                self.fake.fault(Fault("no_answer"))
                result = self.stopped(number, "request", "GET", "/v1/organization")
                self.assert_error(result, exit_status, kind="interrupted", error=word, maybeAccepted=None)
                self.assertEqual((result.stdout, len(result.stderr.splitlines())), ("", 1), result)
                self.assertEqual(shlex.split(result.error["example"])[-3:], ["request", "GET", "/v1/organization"])

    def test_a_post_that_is_stopped_may_have_been_accepted(self) -> None:
        for number, (exit_status, word) in ENDS.items():
            with self.subTest(number):
                self.forget()
                self.fake.fault(Fault("no_answer"))
                result = self.stopped(number, "request", "POST", "/v1/text_to_image", "--body", BODY)
                self.assert_error(result, exit_status, kind="interrupted", error=word, maybeAccepted=True)
                self.assertEqual(shlex.split(result.error["example"])[-3:], ["request", "GET", "/v1/organization"])
                self.assertEqual(len(self.fake.sent("POST")), 1)

    def test_a_post_that_was_refused_and_waits_for_its_next_try_was_not_accepted(self) -> None:
        self.fake.fault(Fault("status", status=503, headers={"Retry-After": "60"}))
        words = ("request", "POST", "/v1/text_to_image", "--body", BODY)
        result = self.stopped(signal.SIGINT, *words, note="trying again")
        self.assert_error(result, 130, kind="interrupted", maybeAccepted=None)
        self.assertEqual(len(self.fake.requests), 1)

    def test_a_wait_that_is_stopped_tells_how_to_go_on(self) -> None:
        for number, (exit_status, _) in ENDS.items():
            for count in (1, 2):
                with self.subTest(number, tasks=count):
                    self.forget()
                    tasks = [self.fake.add_task() for _ in range(count)]
                    result = self.stopped(number, "wait", *tasks, requests=count, note="PENDING")
                    self.assert_error(result, exit_status, kind="interrupted", maybeAccepted=None)
                    example = shlex.split(result.error["example"])
                    self.assertEqual(example[example.index("wait"):], ["wait", *tasks])
                    for task in tasks:
                        self.assertIn(task, result.error["error"])

    def test_what_a_post_has_started_is_named_when_its_wait_is_stopped(self) -> None:
        for number, (exit_status, _) in ENDS.items():
            with self.subTest(number):
                self.forget()
                result = self.stopped(number, "request", "POST", "/v1/text_to_image", "--body", BODY, "--wait",
                                      requests=2, note="PENDING")
                task = list(self.fake.tasks)[-1]
                self.assert_error(result, exit_status, kind="interrupted", id=task)
                example = shlex.split(result.error["example"])
                self.assertEqual(example[example.index("wait"):], ["wait", task])
                self.assertEqual(len(self.fake.sent("POST")), 1)

    def test_a_sigint_that_the_caller_has_ignored_stays_ignored(self) -> None:
        self.fake.fault(Fault("no_answer"))
        result = self.stopped(signal.SIGINT, "request", "GET", "/v1/organization", ignored=True)
        self.assert_error(result, 143, kind="interrupted", error="terminated")

    def test_a_second_one_does_not_cut_off_the_words_about_the_first(self) -> None:
        write = Console.error

        def interrupted(console: Console, document: Mapping[str, Any]) -> None:
            signal.raise_signal(signal.SIGINT)
            write(console, document)
            signal.raise_signal(signal.SIGTERM)

        with mock.patch.object(Console, "error", interrupted), signalled(Client, "_read"), \
                signalled(Client, "close", signal.SIGTERM):
            result = self.request("GET", "/v1/organization")
        self.assert_error(result, 130, kind="interrupted", error="interrupted")
        self.assertEqual((result.stdout, len(result.stderr.splitlines())), ("", 1), result)

    def test_a_post_that_was_answered_is_never_the_example(self) -> None:
        look = ["request", "GET", "/v1/organization"]
        for place, name, options, goes_on in (
            (Client, "_read", ["--wait"], False), (Client, "_read", [], False), (waiting, "resume", ["--wait"], False),
            (Console, "tell", ["--wait"], True), (waiting, "finish", ["--wait"], True), (Console, "result", [], False),
        ):
            with self.subTest(name, options=options):
                self.forget()
                self.fake.tasks.clear()
                with signalled(place, name):
                    result = self.request("POST", "/v1/text_to_image", "--body", BODY, *options)
                (task,) = self.fake.tasks
                self.assert_error(result, 130, kind="interrupted", error="interrupted")
                self.assertEqual((pasted(result), len(self.fake.requests)), (["wait", task] if goes_on else look, 1))
                if place is not Client:  # the answer has been read
                    self.assertIn(task, result.stderr)

    def test_a_name_that_is_being_looked_up_does_not_hold_a_signal_back(self) -> None:
        script = ("import socket, sys, threading\n"
                  "never = threading.Event()\n"
                  "def look_up(*_):\n"
                  "    print('looking', file=sys.stderr, flush=True)\n"
                  "    never.wait(60)\n"
                  "socket.getaddrinfo = look_up\n"
                  "from runway_cli.cli import main\n"
                  "raise SystemExit(main())\n")
        env = environment({"PYTHONPATH": str(ROOT), **self.fake.env(), "RUNWAY_SKILLS_BASE_URL": "https://api.example"})
        process = subprocess.Popen([sys.executable, "-c", script, "request", "POST", "/v1/x", "--body", "{}"], env=env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            assert process.stderr
            self.assertEqual(process.stderr.readline(), b"looking\n")
            process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=PATIENCE)
        result = checked(Result(["request"], process.returncode, stdout, stderr), env)
        self.assert_error(result, 143, kind="interrupted", maybeAccepted=None)
