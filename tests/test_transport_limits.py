"""Time and signals: nothing holds the program, and nothing that moves is given up."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, suppress
from functools import partial
from typing import Callable
from unittest import mock

from runway_cli import transport
from runway_cli.errors import Interrupted, NetworkError
from tests.loopback import OK, WINE, Conversation, Script, SilentListener, TransportTest, answering
from tests.program import ROOT
from tests.served import eventually

BOUND = 0.4  # seconds
GRACE = 1.0  # seconds that a busy machine may take besides
LARGE = [b"x" * 524288] * 96
FULL_QUEUE = "the queue of a listener is full after a known number on Linux only"
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


def trickled_trailers(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    conversation.trickle(b"X-A: b\r\n" * 90, 0.1, size=8)


def trickled_body(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.say(HEAD % 100_000)
    conversation.trickle(b"x" * 100_000, 0.02)


def silent_body(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.say(HEAD % 100_000 + b"x" * 10)
    conversation.wait()


class TimeTest(TransportTest):
    def assert_bounded(self, call: Callable[[], object], words: str) -> NetworkError:
        """Asserts that a call fails when BOUND is over, with a message that ends with these words."""
        start = time.monotonic()
        failure = self.failure(call)
        elapsed = time.monotonic() - start
        self.assertGreaterEqual(elapsed, BOUND * 0.9)
        self.assertLess(elapsed, BOUND + GRACE)
        self.assertTrue(failure.message.endswith(f"{words} {BOUND} s"), failure.message)
        return failure

    def test_no_server_holds_a_request_longer_than_its_timeout(self) -> None:
        for script in (silent, trickled_header, endless_headers, endless_interim, trickled_body, silent_body):
            with self.subTest(script.__name__):
                url = self.start(script).url
                failure = self.assert_bounded(partial(self.post, url, BOUND), ": no complete answer within")
                self.assertTrue(failure.maybe_received)

    def test_no_server_holds_a_transfer_in_the_headers_of_its_answer(self) -> None:
        for script in (silent, trickled_header, endless_headers, endless_interim):
            with self.subTest(script.__name__):
                url = self.start(script).url
                self.assert_bounded(lambda url=url: list(self.download(url, BOUND)), ": no answer within")  # type: ignore[misc]
                failure = self.assert_bounded(partial(self.upload, url, [b"x" * 1000], BOUND), ": no answer within")
                self.assertTrue(failure.maybe_received)

    def test_a_silence_ends_a_download(self) -> None:
        url = self.start(silent_body).url
        self.assert_bounded(lambda: list(self.download(url, BOUND)), ": silent for")

    def test_no_server_holds_a_transfer_in_its_trailers(self) -> None:
        url = self.start(trickled_trailers).url
        self.assert_bounded(lambda: list(self.download(url, BOUND)), ": no answer within")

    def test_a_slow_download_may_take_longer_than_the_idle_timeout(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_request()
            conversation.say(HEAD % 12)
            conversation.trickle(b"x" * 12, BOUND / 4)

        self.assertEqual(b"".join(self.download(self.start(script).url, BOUND)), b"x" * 12)

    def test_a_time_limit_ends_transfers_that_trickle(self) -> None:
        url = self.start(trickled_body).url
        self.assert_bounded(lambda: list(self.download(url, time_limit=BOUND)), ": no complete answer within")
        url = self.start(reading_at(200_000)).url
        self.assertTrue(self.failure(lambda: self.upload(url, LARGE, time_limit=BOUND)).maybe_received)

    @unittest.skipIf(sys.platform == "win32", WINE)
    def test_an_upload_that_is_read_slowly_but_steadily_succeeds(self) -> None:
        # as 100 kB/s are for a timeout of 2 s, which needs more patience
        self.assertEqual(self.upload(self.start(reading_at(400_000)).url, [b"x" * 400_000] * 3, 0.5), 200)

    def test_a_server_that_reads_nothing_does_not_hold_what_is_sent(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_head()
            time.sleep(BOUND + GRACE)

        url = self.start(script).url
        failure = self.failure(lambda: self.upload(url, LARGE, BOUND))
        self.assertTrue(failure.message.endswith(f": silent for {BOUND} s"), failure.message)
        self.assertTrue(failure.maybe_received)
        failure = self.assert_bounded(lambda: self.post(url, BOUND, b"x" * 20_000_000), ": no complete answer within")
        self.assertTrue(failure.maybe_received)

    def test_the_wait_for_an_answer_begins_when_the_upload_is_done(self) -> None:
        def pieces() -> Iterator[bytes]:
            for _ in range(3):
                time.sleep(BOUND / 2)
                yield b"x"

        def script(conversation: Conversation) -> None:
            conversation.read_request()
            conversation.wait(BOUND / 2)
            conversation.say(OK)

        url = self.start(script).url
        length = {"Content-Length": "3"}
        with closing(self.transport.stream("POST", url, length, pieces(), idle_timeout=BOUND)) as stream:
            self.assertEqual(stream.status, 200)

    def test_a_name_server_that_never_answers_was_never_a_request(self) -> None:
        never = threading.Event()
        self.addCleanup(never.set)
        with mock.patch("socket.getaddrinfo", lambda *_: never.wait(60)):
            failure = self.failure(lambda: self.post("https://api.example.test", BOUND))
        self.assertEqual(failure.message, f"api.example.test: no complete answer within {BOUND} s (no connection)")
        self.assertFalse(failure.maybe_received)

    @unittest.skipUnless(sys.platform == "linux", FULL_QUEUE)
    def test_a_host_that_accepts_no_connection_was_never_a_request(self) -> None:
        with SilentListener(is_full=True) as dead:
            url = f"http://127.0.0.1:{dead.address[1]}"
            for call in (lambda: self.post(url, BOUND), lambda: list(self.download(url, BOUND))):
                failure = self.failure(call)
                self.assertTrue(failure.message.endswith(f"within {BOUND} s (no connection)"), failure.message)
                self.assertFalse(failure.maybe_received)

    @unittest.skipUnless(sys.platform == "linux", FULL_QUEUE)
    def test_an_address_that_is_dead_or_refuses_costs_a_moment(self) -> None:
        server = self.start(answering())
        closed = self.start(answering())
        closed.__exit__()
        with SilentListener(is_full=True) as dead:
            for first, is_dead in ((dead.address, True), (closed.server_address, False)):
                self.setUp()
                with self.subTest(first), self.found(first, server.server_address):
                    start = time.monotonic()
                    self.post(server.url, 60)
                    elapsed = time.monotonic() - start
                    self.assertEqual(elapsed >= transport.HEAD_START, is_dead)
                    self.assertLess(elapsed, transport.HEAD_START + GRACE)
        self.assertEqual(len(server.heads), 2)

    def found(self, *addresses: object) -> AbstractContextManager[object]:
        """Every name has these addresses."""
        places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        return mock.patch("socket.getaddrinfo", lambda *_: places)


class InterruptTest(TransportTest):
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
                stop = self.interrupt(lambda url=server.url: self.post(url, 60), lambda on=server: on.heads)  # type: ignore[misc]
                self.assertTrue(stop.fact("maybe_received"))

    def test_a_signal_ends_a_transfer_that_never_has_to_wait(self) -> None:
        def fast(conversation: Conversation) -> None:
            conversation.read_request()
            conversation.say(HEAD % 10**12)
            while True:
                conversation.say(b"x" * 1_000_000)

        url = self.start(fast).url
        self.interrupt(lambda: sum(map(len, self.download(url, 60))))

    def test_a_signal_ends_an_upload(self) -> None:
        for rate in (1, 200_000):
            with self.subTest(bytes_per_second=rate):
                self.setUp()
                server = self.start(reading_at(rate))
                stop = self.interrupt(lambda url=server.url: self.upload(url, LARGE, 60))  # type: ignore[misc]
                self.assertTrue(stop.fact("maybe_received"))

    def test_a_signal_ends_the_look_up_of_a_name(self) -> None:
        never = threading.Event()
        self.addCleanup(never.set)
        with mock.patch("socket.getaddrinfo", lambda *_: never.wait(60)):
            stop = self.interrupt(lambda: self.post("https://api.example.test", 60))
        self.assertFalse(stop.fact("maybe_received"))

    @unittest.skipUnless(sys.platform == "linux", FULL_QUEUE)
    def test_a_signal_ends_the_wait_for_a_connection(self) -> None:
        with SilentListener(is_full=True) as dead:
            stop = self.interrupt(lambda: self.post(f"http://127.0.0.1:{dead.address[1]}", 60))
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

        self.assertEqual(self.post(self.start(script).url).body, b"{}")
        with self.assertRaises(Interrupted):
            self.shutdown.check()

    @unittest.skipIf(sys.platform == "win32", "it has no such signals")
    def test_a_second_signal_ends_a_process_whose_stderr_nobody_reads(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        for size in (65536, 1):
            with suppress(BlockingIOError):
                while os.write(writer, b"x" * size):
                    pass
        os.set_blocking(writer, True)
        code = "import os, time; from runway_cli.shutdown import *; shutdown = Shutdown(); shutdown.handle_signals()"
        code += "\nfor _ in range(2): os.kill(os.getpid(), signal.SIGTERM); time.sleep(GRACE + 0.1)"
        done = subprocess.run([sys.executable, "-c", code], stderr=writer, cwd=ROOT, timeout=20, check=False)
        self.assertEqual(done.returncode, 143)
        os.close(reader)
        os.close(writer)

    def test_the_end_of_the_run_ends_the_transfer_of_a_worker_thread(self) -> None:
        server = self.start(silent_body)
        failures: list[NetworkError] = []

        def work() -> None:
            try:
                self.post(server.url, 60)
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


def reading_at(rate: int) -> Script:
    """Reads an upload at a steady rate, in bytes per second, then answers."""

    def script(conversation: Conversation) -> None:
        for piece in conversation.read_body(conversation.read_head(), max(1, rate // 20)):
            time.sleep(len(piece) / rate)
        conversation.say(OK)

    return script
