"""--timeout bounds one whole exchange, whatever the other side does or does not do."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import tempfile
import threading
import time
import unittest
from contextlib import closing
from unittest import mock

from tests.fake import SECRET, Fault
from tests.program import Result, call
from tests.served import ServiceTest, eventually

BOUND = 0.25  # seconds
GRACE = 1.0  # seconds that the program may take to end after its bound


def setUpModule() -> None:
    ssl.create_default_context()  # a system's certificates may take long when they are read for the first time


class TimeoutTest(ServiceTest):
    """Each server here would hold a client for ever."""

    def test_no_server_holds_the_program_longer_than_the_bound(self) -> None:
        for name, fault in {
            "never answers": Fault("no_answer"),
            "answers too late": Fault("slow", seconds=60),
            "trickles a byte at a time": Fault("drip"),
            "never ends its headers": Fault("endless_headers", seconds=0.02),
        }.items():
            for method, accepted in (("GET", None), ("POST", True)):
                with self.subTest(name, method=method):
                    self.forget()
                    self.fake.fault(fault, times=None)
                    result = self.timed(method, "/v1/organization" if method == "GET" else "/v1/text_to_image")
                    self.assert_error(result, 69, kind="network", maybeAccepted=accepted)
                    self.assertIn(f"no complete answer within {BOUND} s", result.error["error"])

    def test_bytes_that_come_quickly_but_without_end_are_bounded_too(self) -> None:
        for _ in range(20):
            self.fake.add_avatar()
        self.fake.fault(Fault("drip", chunk=5, seconds=0.001))
        self.assert_error(self.timed("GET", "/v1/avatars?limit=100"), 69, kind="network")

    def test_a_server_that_reads_nothing_does_not_hold_an_upload_of_json(self) -> None:
        with tempfile.TemporaryDirectory() as folder, closing(silent_listener()) as listener:
            path = os.path.join(folder, "body.json")
            with open(path, "w", encoding="ascii") as file:
                file.write('"' + "x" * 12_000_000 + '"')
            result = self.timed("POST", "/v1/text_to_image", "--body", "@" + path, url=url_of(listener))
        self.assert_error(result, 69, kind="network", maybeAccepted=True)

    def test_a_tls_handshake_that_never_ends_was_never_a_request(self) -> None:
        with closing(silent_listener()) as listener:
            result = self.timed("POST", "/v1/text_to_image", url=url_of(listener, "https"))
        self.assert_error(result, 69, kind="network", maybeAccepted=None)
        self.assertIn("(no connection)", result.error["error"])

    def test_a_name_server_that_never_answers_was_never_a_request(self) -> None:
        never = threading.Event()
        self.addCleanup(never.set)
        with mock.patch("socket.getaddrinfo", lambda *_: never.wait(60)):
            result = self.timed("POST", "/v1/text_to_image", url="https://api.example.test")
        self.assert_error(result, 69, kind="network", maybeAccepted=None)
        self.assertIn("api.example.test: no complete answer", result.error["error"])

    @unittest.skipUnless(sys.platform == "linux", "the queue of a listener is full after a known number on Linux only")
    def test_a_dead_address_leaves_time_for_the_next_one(self) -> None:
        port = int(self.fake.url.rpartition(":")[2])
        with full_listener() as dead:
            places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in (dead, ("127.0.0.1", port))]
            with mock.patch("socket.getaddrinfo", lambda *_: places):
                result = self.timed("GET", "/v1/organization", bound=1.0)
        self.assertEqual(result.exit, 0, result)

    def test_the_bound_is_of_each_try_and_not_of_their_sum(self) -> None:
        self.fake.fault(Fault("no_answer"))
        result = self.timed("GET", "/v1/organization", "--retries", "1", tries=2)
        self.assertEqual(result.exit, 0, result)
        self.assertEqual(len(self.fake.requests), 2)

    def test_an_answer_in_time_is_an_answer(self) -> None:
        self.fake.fault(Fault("drip", chunk=100, seconds=0.01))
        result = self.timed("GET", "/v1/organization", bound=20)
        self.assertEqual(result.exit, 0, result)
        self.assertEqual(result.json, self.fake.organization, result)

    def test_a_client_that_gives_up_leaves_no_connection_open(self) -> None:
        self.fake.fault(Fault("no_answer"))
        threads = threading.active_count()
        self.timed("GET", "/v1/organization")
        eventually(lambda: threading.active_count() <= threads)  # the server's thread ends when its client has gone

    def timed(self, method: str, path: str, *words: str, url: str = "", bound: float = BOUND, tries: int = 1) -> Result:
        """One call under a bound, which fails when the bound does not hold."""
        env = {**self.fake.env(), **({"RUNWAY_SKILLS_BASE_URL": url} if url else {})}
        if method == "POST" and not words:
            words = ("--body", "{}")
        start = time.monotonic()
        result = call("request", method, path, "--timeout", str(bound), "--retries", "0", *words, env=env)
        self.assertLess(time.monotonic() - start, bound * tries + GRACE, result)
        self.assertNotIn(SECRET, result.stderr)
        return result


class full_listener:
    """An address of loopback that lets nobody in: its queue is full, so that a connection is never made."""

    def __enter__(self) -> tuple[str, int]:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        place: tuple[str, int] = self.listener.getsockname()
        self.waiting = []
        for _ in range(8):
            link = socket.socket()
            link.setblocking(False)
            link.connect_ex(place)
            self.waiting.append(link)
        return place

    def __exit__(self, *_: object) -> None:
        for link in (*self.waiting, self.listener):
            link.close()


def silent_listener() -> socket.socket:
    """A port of loopback that takes connections and says nothing."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
