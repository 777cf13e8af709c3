"""SIGINT, SIGTERM and SIGHUP: a JSON error, an exit status, and the truth about what was paid for."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import Any, Callable
from unittest import mock

if sys.platform != "win32":
    import fcntl
    import termios

from runway_cli import shutdown, transport
from runway_cli.api.client import Client
from runway_cli.cli import main as cli_main
from runway_cli.cli import parser
from runway_cli.commands.context import Context
from runway_cli.terminal.console import Console
from runway_cli.transport import Transport
from tests.fake import Fault
from tests.program import BODY, ROOT, Clock, Result, checked, environment
from tests.served import PATIENCE, ServiceTest, eventually, pasted

POST = ("request", "POST", "/v1/text_to_image", "--body")
LOOK = ["request", "GET", "/v1/organization"]
NUMBERS = [getattr(signal, name) for name in shutdown.SIGNALS if hasattr(signal, name)]
ENDS = {"SIGINT": (130, "interrupted"), "SIGTERM": (143, "terminated"), "SIGHUP": (129, "terminated")}


# a process that sends itself signals: when a module is imported, or at the lines of the program's code
AT_IMPORT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
name, count = sys.argv[1], int(sys.argv[2])
sys.argv[1:] = sys.argv[3:]
class Finder:
    @staticmethod
    def find_spec(found, *_):
        global count
        while found == name and count:
            count -= 1
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder)
from runway_cli.cli.main import run
run()
"""
AT_LINES = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
moments = {int(sys.argv[1]): signal.SIGINT, int(sys.argv[2]): signal.SIGTERM}
sys.argv[1:] = sys.argv[3:]
count = 0
def line(frame, event, _):
    global count
    if event == "line" and signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        count += 1
        if count in moments:
            signal.raise_signal(moments[count])
    return line
from runway_cli.cli.main import run
sys.settrace(lambda frame, *_: line if "runway_cli" in frame.f_code.co_filename else None)
run()
"""


def number_of(name: str) -> int:
    """The number of a signal, by its name: Windows does not have all of them."""
    return int(getattr(signal, name))


def unread(process: subprocess.Popen[bytes]) -> int:
    """How many bytes of its stdin a process has not read yet."""
    assert process.stdin
    return int.from_bytes(fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)), sys.byteorder)


@contextmanager
def handled(number: int, handler: Any) -> Iterator[None]:
    """This process handles a signal so, and so do, as far as that is inherited, the processes that it starts."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def signalled(place: Any, name: str, number: int = signal.SIGINT, *, after: bool = False) -> Iterator[None]:
    """Within this process: the signal arrives when this function is called, or `after` it."""
    function = getattr(place, name)
    signals = [number]  # a second one would end this process

    def interrupted(*args: Any, **given: Any) -> Any:
        try:
            if signals and not after:
                signal.raise_signal(signals.pop())
            return function(*args, **given)
        finally:
            if signals and after:
                signal.raise_signal(signals.pop())

    with handled(signal.SIGINT, signal.default_int_handler), mock.patch.object(place, name, interrupted):
        yield


class ProcessTest(ServiceTest):
    """Real processes, which get signals while they wait for somebody."""

    @contextmanager
    def started(
        self,
        *words: str,
        ignored: str = "",
        stdin: int = subprocess.DEVNULL,
        script: str = "",
        **env: str,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The program, or a script that runs it, as a process. Its caller ignores one signal, as nohup does."""
        self.surroundings = environment({"PYTHONPATH": str(ROOT), **self.fake.env(), **env})
        with ExitStack() as handlers:
            # A shell that starts tests in the background has them ignore SIGINT, and children inherit that.
            handlers.enter_context(handled(signal.SIGINT, signal.default_int_handler))
            if ignored:
                handlers.enter_context(handled(number_of(ignored), signal.SIG_IGN))
            process = subprocess.Popen(
                [sys.executable, *(("-c", script) if script else ("-m", "runway_cli")), *words],
                env=self.surroundings,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        with process:
            yield process

    def ended(self, process: subprocess.Popen[bytes], words: tuple[str, ...], seen: bytes = b"") -> Result:
        """How a process ended. What was read of its stderr before is `seen`."""
        stdout, stderr = process.communicate(timeout=PATIENCE)
        return checked(Result(words, process.returncode, stdout, seen + stderr), self.surroundings)

    def stopped(self, name: str, *words: str, requests: int = 1, note: str = "") -> Result:
        """A process that gets a signal once `requests` have arrived and stderr has shown `note`."""
        with self.started(*words) as process:
            assert process.stderr
            eventually(lambda: len(self.fake.requests) >= requests)
            seen = b""
            while note.encode() not in seen:
                line = process.stderr.readline()
                self.assertTrue(line, seen)
                seen += line
            process.send_signal(number_of(name))
            return self.ended(process, words, seen)

    def injected(self, script: str, *words: str) -> Result:
        """The end of a process that sends signals to itself."""
        with self.started(*words, script=script) as process:
            return self.ended(process, words)


@unittest.skipIf(os.name == "nt", "Windows has no such signals")
class SignalTest(ProcessTest):
    def test_a_request_that_is_stopped_ends_at_once_and_a_post_may_have_been_accepted(self) -> None:
        for words, accepted in ((LOOK, None), ([*POST, BODY], True)):
            for name, (exit_status, word) in ENDS.items():
                with self.subTest(words[1], signal=name):
                    self.forget()
                    self.fake.fault(Fault("no_answer"))
                    result = self.stopped(name, *words)
                    self.assert_error(result, exit_status, kind="interrupted", error=word, maybeAccepted=accepted)
                    self.assertEqual(result.stdout, "", result)
                    self.assertEqual(len(result.stderr.splitlines()), 1, result)
                    self.assertEqual(pasted(result), LOOK)
                    self.assertEqual(len(self.fake.requests), 1)

    def test_a_post_that_was_refused_and_waits_for_its_next_try_was_not_accepted(self) -> None:
        self.fake.fault(Fault("status", status=503, headers={"Retry-After": "60"}))
        result = self.stopped("SIGINT", *POST, BODY, note="retrying")
        self.assert_error(result, 130, kind="interrupted", maybeAccepted=None)
        self.assertEqual(len(self.fake.requests), 1)

    def test_a_wait_that_is_stopped_tells_how_to_go_on(self) -> None:
        for name, (exit_status, _) in ENDS.items():
            for count in (1, 2):
                with self.subTest(name, tasks=count):
                    self.forget()
                    tasks = [self.fake.add_task() for _ in range(count)]
                    result = self.stopped(name, "wait", *tasks, requests=count)
                    self.assert_error(result, exit_status, kind="interrupted", maybeAccepted=None)
                    self.assertEqual(pasted(result), ["wait", *tasks])
                    for task in tasks:
                        self.assertIn(task, result.error["error"])

    def test_a_started_task_is_named_when_its_wait_is_stopped(self) -> None:
        for name, (exit_status, _) in ENDS.items():
            with self.subTest(name):
                self.forget()
                result = self.stopped(name, *POST, BODY, "--wait", requests=2, note="started")
                task = list(self.fake.tasks)[-1]
                self.assert_error(result, exit_status, kind="interrupted", id=task)
                self.assertEqual(pasted(result), ["wait", task])
                self.assertEqual(len(self.fake.sent("POST")), 1)

    def test_an_answer_that_arrived_while_the_process_was_paused_comes_before_the_signal(self) -> None:
        with self.fake.hold("post accepted") as held, self.started(*POST, BODY) as process:
            eventually(lambda: held.ids)
            process.send_signal(signal.SIGSTOP)
            held.release()
            time.sleep(3 * shutdown.SLICE)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGCONT)
            result = self.ended(process, (*POST, BODY))
        self.assertIn(self.fake.accepted[-1].id, result.stdout + result.stderr)

    def test_a_signal_that_the_caller_ignores_stays_ignored(self) -> None:
        for name in ("SIGINT", "SIGHUP"):
            with self.subTest(name), self.started(*LOOK, ignored=name) as process:
                self.forget()
                self.fake.fault(Fault("no_answer"))
                eventually(lambda: self.fake.requests)
                process.send_signal(number_of(name))
                process.send_signal(signal.SIGTERM)
                result = self.ended(process, tuple(LOOK))
                self.assert_error(result, 143, kind="interrupted", error="terminated")

    def test_input_that_never_comes_does_not_hold_a_signal_back(self) -> None:
        for words in (
            (*POST, "-"),
            ("request", "POST", "/v1/x", "--stdin"),
            ("request", "POST", "/v1/x", "--text-file", "a=-"),
            ("wait", "-"),
            ("cancel", "-"),
        ):
            with self.subTest(words), self.started(*words, stdin=subprocess.PIPE) as process:
                assert process.stdin
                process.stdin.write(b" ")
                process.stdin.flush()
                eventually(lambda: unread(process) == 0)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(PATIENCE), 143)
                result = self.ended(process, words)
                self.assert_error(result, 143, kind="interrupted", error="terminated", maybeAccepted=None)
        self.assertEqual(self.fake.requests, [])

    def test_a_name_that_is_being_looked_up_does_not_hold_a_signal_back(self) -> None:
        script = (
            "import socket, sys, threading\n"
            "never = threading.Event()\n"
            "def look_up(*_):\n"
            "    print('looking', file=sys.stderr, flush=True)\n"
            "    never.wait(60)\n"
            "socket.getaddrinfo = look_up\n"
            "from runway_cli.cli.main import run\n"
            "run()\n"
        )
        with self.started(*POST, "{}", script=script, RUNWAY_SKILLS_BASE_URL="https://api.example") as process:
            assert process.stderr
            self.assertEqual(process.stderr.readline(), b"looking\n")
            process.send_signal(signal.SIGTERM)
            result = self.ended(process, POST)
        self.assert_error(result, 143, kind="interrupted", maybeAccepted=None)

    def test_no_moment_of_the_start_leaves_a_traceback(self) -> None:
        for module in ("terminal.console", "cli.parser", "commands.request", "api.client"):
            for count in (1, 2):
                with self.subTest(module, signals=count):
                    result = self.injected(AT_IMPORT, f"runway_cli.{module}", str(count), *POST, "{}")
                    self.assert_error(result, 130, kind="interrupted", maybeAccepted=None)
                    self.assertEqual(self.fake.requests, [])

    def test_a_signal_that_comes_before_the_handlers_prints_no_traceback(self) -> None:
        handlers = mock.patch.object(shutdown.Shutdown, "handle_signals", side_effect=KeyboardInterrupt)
        ends = mock.patch("os._exit", side_effect=SystemExit)
        with handlers, ends as ended, self.assertRaises(SystemExit):
            cli_main.run()
        ended.assert_called_once_with(130)


@unittest.skipIf(os.name == "nt", "Windows has no such signals")
class SecondSignalTest(ProcessTest):
    def test_a_second_signal_ends_what_does_not_look_at_the_first_and_leaves_no_part_file(self) -> None:
        script = (
            "import runway_cli.shutdown\n"
            "runway_cli.shutdown.Shutdown.check = lambda _: None\n"
            "from runway_cli.cli.main import run\n"
            "run()\n"
        )
        self.fake.fault(Fault("drip", seconds=0.05, chunk=300), server="storage", times=None)
        words = ("download", self.fake.add_output(bytes(1_000_000)), "--to")
        for first, second in (("SIGTERM", "SIGINT"), ("SIGHUP", "SIGHUP")):
            with self.subTest(first), tempfile.TemporaryDirectory() as folder:
                with self.started(*words, f"{folder}/", script=script) as process:
                    eventually(partial(os.listdir, folder))
                    process.send_signal(number_of(first))
                    time.sleep(shutdown.GRACE + 0.1)
                    self.assertIsNone(process.poll())
                    process.send_signal(number_of(second))
                    result = self.ended(process, words)
                self.assert_error(result, ENDS[first][0], error="interrupted twice", example="runway-cli history")
                self.assertEqual(os.listdir(folder), [])

    def test_two_signals_during_the_report_do_not_change_it(self) -> None:
        self.fake.fault(Fault("forward_then_status"), method="POST")
        result = self.injected(AT_IMPORT, "runway_cli.cli.examples", "2", *POST, BODY)
        self.assert_error(result, 1, kind="api", status=500, maybeAccepted=True)
        self.assertEqual(pasted(result), LOOK)
        self.assertEqual(len(result.stderr.splitlines()), 1, result)

    def test_a_run_can_be_ended_while_it_is_ending(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run = shutdown.Shutdown()
            run.create_part_file(os.path.join(folder, "one.part"))
            run.create_part_file(os.path.join(folder, "two.part"))

            def remove(path: str) -> None:  # a second signal arrives here, whose report ends the run too
                mock.patch.stopall()
                run.end()

            mock.patch.object(shutdown, "remove", remove).start()
            self.addCleanup(mock.patch.stopall)
            thread = threading.Thread(target=run.end, daemon=True)
            thread.start()
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive())
            self.assertEqual(os.listdir(folder), ["one.part"])

    def test_two_signals_at_any_moments_lose_nothing_that_was_paid_for(self) -> None:
        chance = random.Random(20241106)
        for kind in ("", "forward_then_reset", "forward_then_status"):
            for _ in range(4):
                at = chance.randrange(1, 6000)
                gap = chance.choice((1, 10, 200))
                with self.subTest(kind, at=at, gap=gap):
                    self.forget()
                    self.fake.tasks.clear()
                    if kind:
                        self.fake.fault(Fault(kind), method="POST", path="/v1/text_to_image")
                    result = self.injected(AT_LINES, str(at), str(at + gap), *POST, BODY, "--wait", "--max-wait", "0.2")
                    assert_nothing_is_lost(self, result)


class AnyMomentTest(ServiceTest):
    """Within this process, a signal arrives at a line of the program's code."""

    def test_one_signal_at_any_moment_loses_nothing_that_was_paid_for(self) -> None:
        for kind, options in (
            ("", []),
            ("", ["--wait"]),
            ("forward_then_reset", []),
            ("forward_then_status", ["--wait"]),
            ("html", []),
        ):
            ends = set()
            for at in range(60, 3000, 181):
                with self.subTest(kind, options=options, at=at):
                    self.forget()
                    self.fake.tasks.clear()
                    if kind:
                        self.fake.fault(Fault(kind), method="POST")
                    with traced(at):
                        result = self.request(*POST[1:], BODY, *options)
                    assert_nothing_is_lost(self, result)
                    ends.add(result.exit)
            self.assertIn(130, ends, "some of these moments are within the call")


def assert_nothing_is_lost(case: ServiceTest, result: Result) -> None:
    """A POST that was carried out is named, or said to be so perhaps; the example never sends it again."""
    case.assertLessEqual(len(case.fake.sent("POST")), 1)
    if result.exit == 0:
        return
    case.assertNotEqual(result.error["kind"], "internal", result)
    case.assertTrue(result.error["example"], result)
    if case.fake.sent("POST"):
        task = next(iter(case.fake.tasks), "no task")
        is_named = task in result.stdout or result.error.get("id") == task
        case.assertTrue(is_named or result.error.get("maybeAccepted"), result)
        case.assertNotIn("POST", result.error["example"])


@contextmanager
def traced(at: int) -> Iterator[None]:
    """Within this process: SIGINT arrives at line number `at` that the program runs once its handlers are installed."""
    package = str(ROOT / "runway_cli")
    count = 0

    def line(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "line" and signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            count += 1
            if count == at:
                signal.raise_signal(signal.SIGINT)
        return line

    def trace(frame: FrameType, *_: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(package) else None

    kept = sys.gettrace()
    with handled(signal.SIGINT, signal.default_int_handler):
        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(kept)


class MomentTest(ServiceTest):
    """Within this process, a signal arrives at a certain moment of a call."""

    def test_a_signal_before_a_post_is_sent_sends_nothing(self) -> None:
        for place, name in (
            (parser, "resolved"),
            (parser, "parse"),
            (Context, "client"),
            (Client, "check_secret"),
            (transport, "connect"),
        ):
            with self.subTest(name):
                self.forget()
                with signalled(place, name):
                    result = self.request(*POST[1:], BODY, env={"RUNWAY_SKILLS_TIMEOUT": "9"})
                self.assert_error(result, 130, kind="interrupted", error="interrupted", maybeAccepted=None)
                self.assertEqual(self.fake.requests, [])

    def test_a_post_without_a_proper_answer_may_have_been_accepted_whenever_the_signal_comes(self) -> None:
        for kind, exit_status in (("forward_then_reset", 69), ("forward_then_status", 1), ("html", 1)):
            for place, name, after in (
                (Transport, "send", True),
                (cli_main, "report", False),
                (Console, "error", False),
            ):
                with self.subTest(kind, name=name):
                    self.forget()
                    self.fake.fault(Fault(kind), method="POST")
                    with signalled(place, name, after=after):
                        result = self.request(*POST[1:], BODY)
                    self.assertIn(result.exit, (exit_status, 130))
                    self.assert_error(result, result.exit, maybeAccepted=True)
                    self.assertEqual(pasted(result), LOOK)
                    self.assertEqual(len(self.fake.sent("POST")), 1)

    def test_a_post_that_was_answered_is_never_the_example(self) -> None:
        for place, name, options, goes_on in (
            (Transport, "send", ["--wait"], True),
            (Console, "tell", ["--wait"], True),
            (Transport, "send", [], False),
            (Console, "result", [], False),
        ):
            with self.subTest(name, options=options):
                self.forget()
                self.fake.tasks.clear()
                with signalled(place, name, after=name == "send"):
                    result = self.request(*POST[1:], BODY, *options)
                (task,) = self.fake.tasks
                self.assertEqual(len(self.fake.sent("POST")), 1)
                if goes_on:
                    self.assert_error(result, 130, kind="interrupted", id=task)
                    self.assertEqual(pasted(result), ["wait", task])
                else:  # nothing is waited for after the answer: it is printed
                    self.assertEqual(result.exit, 0, result)
                    self.assertEqual(result.json["id"], task)


@unittest.skipIf(os.name == "nt", "Windows has no such signals")
class PartFileTest(ProcessTest):
    def test_every_signal_leaves_no_part_file(self) -> None:
        self.fake.fault(Fault("drip", seconds=0.05, chunk=300), server="storage", times=None)
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[bytes(1_000_000)])
        url = self.fake.add_output(bytes(1_000_000))
        for words in (("wait", task, "--download"), ("download", url, "--to")):
            for name, (exit_status, _) in ENDS.items():
                with self.subTest(words, name=name), tempfile.TemporaryDirectory() as folder:
                    with self.started(*words, f"{folder}/") as process:
                        eventually(partial(os.listdir, folder))
                        process.send_signal(number_of(name))
                        result = self.ended(process, words)
                    self.assert_error(result, exit_status, kind="interrupted")
                    self.assertEqual(os.listdir(folder), [])


class OtherThreadTest(ProcessTest):
    """A signal as Windows delivers it: in a thread of its own, so that it ends no wait of the main thread."""

    SCRIPT = (
        "import signal, sys, threading\n"
        "def press():\n"
        "    sys.stdin.read()\n"
        "    signal.raise_signal(getattr(signal, name))\n"
        "name = sys.argv.pop(1)\n"
        "threading.Thread(target=press, daemon=True).start()\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from runway_cli.cli.main import run\n"
        "run()\n"
    )
    ENDS = (("SIGINT", 130), ("SIGTERM", 143), *([("SIGBREAK", 143)] if os.name == "nt" else []))

    def broken_off(self, name: str, *words: str, when: Callable[[Any], object]) -> Result:
        """The call, with the signal sent as soon as the condition holds for the process. It ends within a second."""
        with self.started(name, *words, script=self.SCRIPT, stdin=subprocess.PIPE) as process:
            eventually(partial(when, process))
            began = time.monotonic()
            result = self.ended(process, words)  # which closes stdin
            self.assertLess(time.monotonic() - began, 1)
        return result

    def test_during_a_request(self) -> None:
        for name, exit_status in self.ENDS:
            with self.subTest(name):
                self.forget()
                self.fake.fault(Fault("no_answer"))
                result = self.broken_off(name, *POST, BODY, when=lambda _: self.fake.requests)
                self.assert_error(result, exit_status, kind="interrupted", maybeAccepted=True)


class SleepTest(unittest.TestCase):
    def test_windows_where_sigint_alone_ends_a_sleep_sleeps_in_slices(self) -> None:
        clock = Clock()
        with mock.patch("os.name", "nt"):
            shutdown.Shutdown().sleep(clock, 1.1)
        self.assertEqual([round(seconds, 3) for seconds in clock.slept], [0.25, 0.25, 0.25, 0.25, 0.1])


class HandlersTest(unittest.TestCase):
    """Within this process, whose own handlers are put aside."""

    def setUp(self) -> None:
        for number in NUMBERS:
            self.addCleanup(signal.signal, number, signal.signal(number, signal.SIG_DFL))
        self.shutdown = shutdown.Shutdown()
        self.addCleanup(self.shutdown.restore_signals)

    def test_a_break_is_a_termination(self) -> None:
        with mock.patch("runway_cli.shutdown.SIGBREAK", signal.SIGINT):
            self.shutdown.handle_signals()
            signal.raise_signal(signal.SIGINT)
        self.assertEqual(self.shutdown.signal, signal.SIGTERM)

    def test_they_are_installed_before_most_modules_are_imported(self) -> None:
        program = "import sys; before = set(sys.modules); import runway_cli.shutdown; print(*set(sys.modules) - before)"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, encoding="ascii"
        )
        heavy = {"argparse", "json", "re", "ssl", "socket", "typing", "urllib"}
        self.assertEqual(heavy & set(done.stdout.split()), set())
