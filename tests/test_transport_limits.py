"""Time and signals: nothing holds the program, and nothing that moves is given up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Callable
from unittest import mock

from runway_cli.errors import Interrupted, NetworkError
from runway_cli.shutdown import Shutdown
from runway_cli.transport.http import Request, Transport
from tests.loopback import OK, WINE, Conversation, Script, Server, SilentListener, answering, content_length, eventually

BOUND = 0.4  # seconds
GRACE = 1.0  # seconds that a busy machine may take besides
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def silent(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.wait()


def trickled_header(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.trickle(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 5000, 0.02)


def endless_headers(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.say(b"HTTP/1.1 200 OK\r\n")
    conversation.trickle(b"X-A: b\r\n" * 90, 0.1, size=8)


def endless_interim(conversation: Conversation) -> None:
    conversation.read_request()
    while conversation.wait(0.01):
        conversation.say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n")


def trickled_body(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.say(HEAD % 100_000)
    conversation.trickle(b"x" * 100_000, 0.02)


def silent_body(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.say(HEAD % 100_000 + b"x" * 10)
    conversation.wait()


class LimitTest(unittest.TestCase):
    def setUp(self) -> None:
        self.shutdown = Shutdown()
        self.transport = Transport(self.shutdown)
        self.addCleanup(self.transport.close)

    def start(self, script: Script) -> Server:
        server = Server(script)
        self.addCleanup(server.__exit__)
        return server

    def download(self, url: str, idle_timeout: float, time_limit: float | None = None) -> int:
        """The bytes of a transfer."""
        size = 0
        with self.transport.stream(Request("GET", url, {}), idle_timeout, time_limit) as stream:
            while piece := stream.read(65536):
                size += len(piece)
        return size

    def upload(self, url: str, size: int, idle_timeout: float, time_limit: float | None = None) -> int:
        """The status of a transfer of so many bytes, handed over in pieces of 512 KiB."""
        rest = size % 524288
        pieces = [*[b"x" * 524288] * (size // 524288), b"x" * rest]
        request = Request("POST", url, {"Content-Length": str(size)}, pieces)
        with self.transport.stream(request, idle_timeout, time_limit) as stream:
            return stream.status

    def post(self, url: str, timeout: float = 60) -> None:
        self.transport.send(Request("POST", url, {}, b"{}"), timeout)

    def failure(self, call: Callable[[], object]) -> NetworkError:
        """The NetworkError of a call, which must come when BOUND is over."""
        start = time.monotonic()
        with self.assertRaises(NetworkError) as caught:
            call()
        elapsed = time.monotonic() - start
        self.assertGreaterEqual(elapsed, BOUND * 0.9)
        self.assertLess(elapsed, BOUND + GRACE)
        return caught.exception


class TimeTest(LimitTest):
    def test_no_server_holds_a_request_longer_than_its_timeout(self) -> None:
        for script in (silent, trickled_header, endless_headers, endless_interim, trickled_body, silent_body):
            with self.subTest(script.__name__):
                url = self.start(script).url
                failure = self.failure(lambda url=url: self.post(url, BOUND))  # type: ignore[misc]
                self.assertTrue(failure.message.endswith(f": no complete answer within {BOUND} s"), failure.message)
                self.assertTrue(failure.maybe_received)

    def test_no_server_holds_a_transfer_in_its_headers(self) -> None:
        for script in (silent, trickled_header, endless_headers, endless_interim):
            with self.subTest(script.__name__):
                url = self.start(script).url
                failure = self.failure(lambda url=url: self.download(url, BOUND))  # type: ignore[misc]
                self.assertTrue(failure.message.endswith(f": no answer within {BOUND} s"), failure.message)

    def test_no_server_holds_an_upload_in_the_headers_of_its_answer(self) -> None:
        for script in (silent, trickled_header, endless_headers, endless_interim):
            with self.subTest(script.__name__):
                url = self.start(script).url
                failure = self.failure(lambda url=url: self.upload(url, 1000, BOUND))  # type: ignore[misc]
                self.assertTrue(failure.message.endswith(f": no answer within {BOUND} s"), failure.message)
                self.assertTrue(failure.maybe_received)

    def test_a_silence_ends_a_download(self) -> None:
        failure = self.failure(lambda: self.download(self.start(silent_body).url, BOUND))
        self.assertTrue(failure.message.endswith(f": silent for {BOUND} s"), failure.message)

    def test_a_slow_download_may_take_longer_than_the_idle_timeout(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_request()
            conversation.say(HEAD % 12)
            conversation.trickle(b"x" * 12, BOUND / 4)

        self.assertEqual(self.download(self.start(script).url, BOUND), 12)

    def test_a_time_limit_ends_a_download_that_trickles(self) -> None:
        failure = self.failure(lambda: self.download(self.start(trickled_body).url, 20, time_limit=BOUND))
        self.assertTrue(failure.message.endswith(f": no complete answer within {BOUND} s"), failure.message)

    def test_a_time_limit_ends_an_upload_that_is_read_slowly(self) -> None:
        url = self.start(reading_at(200_000)).url
        failure = self.failure(lambda: self.upload(url, 50_000_000, 20, time_limit=BOUND))
        self.assertTrue(failure.maybe_received)

    @unittest.skipIf(sys.platform == "win32", WINE)
    def test_an_upload_that_is_read_slowly_but_steadily_succeeds(self) -> None:
        # as 100 kB/s are for a timeout of 2 s, which needs more patience
        self.assertEqual(self.upload(self.start(reading_at(400_000)).url, 1_200_000, 0.5), 200)

    def test_an_upload_that_nobody_reads_ends(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_head()
            time.sleep(BOUND + GRACE)

        url = self.start(script).url
        with self.assertRaises(NetworkError) as caught:
            self.upload(url, 50_000_000, BOUND)
        self.assertTrue(caught.exception.message.endswith(f": silent for {BOUND} s"), caught.exception.message)
        self.assertTrue(caught.exception.maybe_received)

    def test_the_wait_for_an_answer_begins_when_the_upload_is_done(self) -> None:
        def pieces() -> Iterator[bytes]:
            for _ in range(3):
                time.sleep(BOUND / 2)
                yield b"x"

        def script(conversation: Conversation) -> None:
            conversation.read_request()
            conversation.wait(BOUND / 2)
            conversation.say(OK)

        request = Request("POST", self.start(script).url, {"Content-Length": "3"}, pieces())
        with self.transport.stream(request, BOUND) as stream:
            self.assertEqual(stream.status, 200)

    def test_a_server_that_reads_nothing_does_not_hold_a_request(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_head()
            time.sleep(BOUND + GRACE)

        request = Request("POST", self.start(script).url, {}, b"x" * 20_000_000)
        self.assertTrue(self.failure(lambda: self.transport.send(request, BOUND)).maybe_received)

    def test_a_name_server_that_never_answers_was_never_a_request(self) -> None:
        never = threading.Event()
        self.addCleanup(never.set)
        with mock.patch("socket.getaddrinfo", lambda *_: never.wait(60)):
            failure = self.failure(lambda: self.post("https://api.example.test", BOUND))
        self.assertEqual(
            failure.message, f"api.example.test: no complete answer within {BOUND} s (no connection)", failure.message
        )
        self.assertFalse(failure.maybe_received)

    @unittest.skipUnless(sys.platform == "linux", "the queue of a listener is full after a known number on Linux only")
    def test_a_host_that_accepts_no_connection_was_never_a_request(self) -> None:
        with SilentListener(is_full=True) as dead:
            url = f"http://127.0.0.1:{dead.address[1]}"
            for call in (lambda: self.post(url, BOUND), lambda: self.download(url, BOUND)):
                failure = self.failure(call)
                self.assertTrue(failure.message.endswith(f"within {BOUND} s (no connection)"), failure.message)
                self.assertFalse(failure.maybe_received)

    @unittest.skipUnless(sys.platform == "linux", "the queue of a listener is full after a known number on Linux only")
    def test_a_dead_address_leaves_time_for_the_next_one(self) -> None:
        server = self.start(answering())
        with SilentListener(is_full=True) as dead:
            places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", to) for to in (dead.address, server.server_address)]
            with mock.patch("socket.getaddrinfo", lambda *_: places):
                self.post(server.url, 1.0)
        self.assertEqual(len(server.heads), 1)

    def test_an_address_that_refuses_leaves_the_next_one(self) -> None:
        server = self.start(answering())
        closed = self.start(answering())
        closed.__exit__()
        places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one.server_address) for one in (closed, server)]
        with mock.patch("socket.getaddrinfo", lambda *_: places):
            self.post(server.url, 20)
        self.assertEqual(len(server.heads), 1)


class InterruptTest(LimitTest):
    """A signal is noted at any moment and acts where the transport waits."""

    def interrupt(self, call: Callable[[], object], ready: Callable[[], object] = lambda: True) -> Interrupted:
        """The Interrupted of a call that a signal reaches once `ready`."""
        noticed = []

        def notice() -> None:
            eventually(ready)
            time.sleep(0.3)
            noticed.append(time.monotonic())
            self.shutdown.notice(signal.SIGINT)

        thread = threading.Thread(target=notice)
        thread.start()
        with self.assertRaises(Interrupted) as caught:
            call()
        elapsed = time.monotonic() - noticed[0]
        thread.join()
        self.assertLess(elapsed, 1.0)
        self.assertEqual(caught.exception.exit_status, 130)
        return caught.exception

    def test_a_signal_ends_a_wait_for_an_answer(self) -> None:
        for script in (silent, trickled_header, endless_interim, trickled_body, silent_body):
            with self.subTest(script.__name__):
                self.setUp()
                server = self.start(script)
                stop = self.interrupt(lambda url=server.url: self.post(url), lambda on=server: on.heads)  # type: ignore[misc]
                self.assertTrue(stop.fact("maybe_received"))

    def test_a_signal_ends_a_download(self) -> None:
        for script in (silent, trickled_body, silent_body):
            with self.subTest(script.__name__):
                self.setUp()
                url = self.start(script).url
                self.interrupt(lambda url=url: self.download(url, 60))  # type: ignore[misc]

    def test_a_signal_ends_a_transfer_that_never_has_to_wait(self) -> None:
        def fast(conversation: Conversation) -> None:
            conversation.read_request()
            conversation.say(HEAD % 10**12)
            while True:
                conversation.say(b"x" * 1_000_000)

        self.interrupt(lambda: self.download(self.start(fast).url, 60))

    def test_a_signal_ends_an_upload(self) -> None:
        for rate in (1, 200_000):
            with self.subTest(bytes_per_second=rate):
                self.setUp()
                server = self.start(reading_at(rate))
                stop = self.interrupt(lambda url=server.url: self.upload(url, 50_000_000, 60))  # type: ignore[misc]
                self.assertTrue(stop.fact("maybe_received"))

    def test_a_signal_ends_the_look_up_of_a_name(self) -> None:
        never = threading.Event()
        self.addCleanup(never.set)
        with mock.patch("socket.getaddrinfo", lambda *_: never.wait(60)):
            stop = self.interrupt(lambda: self.post("https://api.example.test"))
        self.assertFalse(stop.fact("maybe_received"))

    @unittest.skipUnless(sys.platform == "linux", "the queue of a listener is full after a known number on Linux only")
    def test_a_signal_ends_the_wait_for_a_connection(self) -> None:
        with SilentListener(is_full=True) as dead:
            stop = self.interrupt(lambda: self.post(f"http://127.0.0.1:{dead.address[1]}"))
        self.assertFalse(stop.fact("maybe_received"))

    def test_nothing_is_sent_after_a_signal(self) -> None:
        server = self.start(answering())
        self.shutdown.notice(signal.SIGTERM)
        with self.assertRaises(Interrupted) as caught:
            self.post(server.url)
        self.assertFalse(caught.exception.fact("maybe_received"))
        self.assertEqual(server.heads, [])

    def test_an_answer_that_arrives_with_the_signal_is_returned(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_request()
            self.shutdown.notice(signal.SIGINT)
            conversation.say(OK)

        request = Request("POST", self.start(script).url, {}, b"{}")
        self.assertEqual(self.transport.send(request, 20).body, b"{}")
        with self.assertRaises(Interrupted):
            self.shutdown.check()

    def test_the_end_of_the_run_ends_the_transfer_of_a_worker_thread(self) -> None:
        server = self.start(silent_body)
        failures: list[NetworkError] = []

        def work() -> None:
            try:
                self.post(server.url)
            except NetworkError as error:
                failures.append(error)

        worker = threading.Thread(target=work)
        worker.start()
        eventually(lambda: server.heads)
        self.shutdown.notice(signal.SIGINT)  # is for the main thread alone
        worker.join(0.6)
        self.assertTrue(worker.is_alive())
        self.shutdown.end()
        worker.join(1.0)
        self.assertFalse(worker.is_alive())
        self.assertTrue(failures[0].message.endswith(": the program is ending"))
        self.assertTrue(failures[0].maybe_received)

    @unittest.skipIf(os.name == "nt", "Windows has no such signals")
    def test_a_real_signal_ends_a_process_within_a_second(self) -> None:
        program = (
            "import json, sys\n"
            "from runway_cli.shutdown import SignalHandlers\n"
            "from runway_cli.errors import Interrupted\n"
            "from runway_cli.shutdown import Shutdown\n"
            "from runway_cli.transport.http import Request, Transport\n"
            "shutdown = Shutdown()\n"
            "handlers = SignalHandlers(); handlers.install(); handlers.attach(shutdown)\n"
            "try:\n"
            "    Transport(shutdown).send(Request('POST', sys.argv[1], {}, b'{}'), 60)\n"
            "except Interrupted as stop:\n"
            "    print(json.dumps({**stop.facts, 'exit': stop.exit_status}))\n"
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                server = self.start(silent)
                with start_python(program, server.url) as process:
                    eventually(lambda on=server: on.heads)  # type: ignore[misc]
                    start = time.monotonic()
                    process.send_signal(number)
                    output, _ = process.communicate(timeout=10)
                    self.assertLess(time.monotonic() - start, 1.0)
                found = json.loads(output)
                self.assertEqual(found["signal"], number)
                self.assertEqual(found["exit"], 128 + number)
                self.assertIs(found["maybe_received"], True)


def start_python(program: str, *words: str) -> subprocess.Popen[bytes]:
    """A process that handles signals as one in the foreground does, even where this one has them ignored."""
    names = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = [signal.signal(name, signal.SIG_DFL) for name in names]
    try:
        return subprocess.Popen(
            [sys.executable, "-c", program, *words],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
    finally:
        for name, handler in zip(names, before):
            signal.signal(name, handler)


def reading_at(rate: int) -> Script:
    """Reads an upload at a steady rate, in bytes per second, then answers."""

    def script(conversation: Conversation) -> None:
        left = content_length(conversation.read_head())
        step = max(1, rate // 20)
        while left > 0 and not conversation.server.is_stopping:
            piece = conversation.connection.recv(min(left, step))
            if not piece:
                return
            left -= len(piece)
            time.sleep(len(piece) / rate)
        conversation.say(OK)

    return script


if __name__ == "__main__":
    unittest.main()
