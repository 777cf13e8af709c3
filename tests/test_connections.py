"""Connections: one that a GET has left serves the next GET, and no other request can be lost with one."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

from runway_cli import transport
from runway_cli.errors import NetworkError
from runway_cli.transport import Transport
from tests.fake_http import FakeServer
from tests.fake_runway import Fault
from tests.program import call
from tests.served import ServiceTest, eventually

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}"  # and then the fake closes
BODY = '{"model":"gen4_image","promptText":"a fox","ratio":"1280:720"}'


class ConnectionTest(ServiceTest):
    def setUp(self) -> None:
        super().setUp()
        self.made: list[str] = []
        accept = FakeServer.finish_request

        def counted(server: FakeServer, request: Any, address: Any) -> None:
            self.made.append(server.name)
            accept(server, request, address)

        patch = mock.patch.object(FakeServer, "finish_request", counted)
        patch.start()
        self.addCleanup(patch.stop)
        self.transport = Transport()
        self.addCleanup(self.transport.close)

    def send(self, method: str, path: str = "/v1/organization") -> int:
        """The status of one exchange of a transport that stays."""
        body = b"{}" if method == "POST" else None
        return self.transport.exchange(method, self.fake.url + path, {}, body, 20).status

    def closed(self, idle: Any) -> None:
        """Waits until what the server did with this connection has arrived."""
        with mock.patch.object(transport, "LONGEST_IDLE", 3600):
            eventually(lambda: not idle.is_fresh())

    def test_the_pages_of_a_list_come_over_one(self) -> None:
        for number in range(250):
            self.fake.voices[f"v{number}"] = {"id": f"v{number}"}
        self.addCleanup(self.fake.voices.clear)
        self.assertEqual(call("voices", "list", env=self.fake.env()).exit, 0)
        self.assertEqual((len(self.fake.requests), self.made), (3, ["api"]))

    def test_a_post_has_one_of_its_own_and_the_polls_share_another(self) -> None:
        self.fake.fault(Fault("status", status=429), method="POST")
        result = self.request("POST", "/v1/text_to_image", "--body", BODY, "--wait")
        self.assertEqual((result.exit, [seen.method for seen in self.fake.requests], self.made),
                         (0, ["POST", "POST", "GET", "GET", "GET"], ["api"] * 3), result)

    def test_only_a_get_takes_what_a_get_has_left(self) -> None:
        for method, made in (("GET", 1), ("POST", 2), ("PATCH", 3), ("PUT", 4), ("DELETE", 5), ("GET", 5)):
            self.send(method)
            self.assertEqual(len(self.made), made, method)
        self.assertEqual([seen.headers["connection"] for seen in self.fake.requests],
                         ["keep-alive", *["close"] * 4, "keep-alive"])

    def test_one_that_the_server_has_closed_is_not_used_again(self) -> None:
        self.fake.fault(Fault("raw", body=ANSWER), times=2)
        for expected in (1, 2, 3):
            self.assertEqual(self.send("GET"), 200 if expected < 3 else 401)
            self.assertEqual(len(self.made), expected)
            ((idle,),) = self.transport._idle.values()
            if expected < 3:
                self.closed(idle)

    def test_one_that_was_left_for_long_is_not_used_again(self) -> None:
        self.send("GET")
        with mock.patch.object(transport, "LONGEST_IDLE", 0):
            self.send("GET")
        self.assertEqual(len(self.made), 2)

    def test_a_server_that_says_a_word_too_many_is_not_listened_to(self) -> None:
        self.fake.fault(Fault("raw", body=ANSWER + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]"))
        self.send("GET")
        ((idle,),) = self.transport._idle.values()
        self.closed(idle)
        self.assertEqual((self.send("GET"), len(self.made)), (401, 2))

    def test_none_is_left_after_an_answer_that_was_not_whole(self) -> None:
        self.fake.fault(Fault("half_answer", body={"id": "0123456789"}))
        with self.assertRaises(NetworkError):
            self.send("GET")
        self.assertEqual(self.transport._idle, {})


if __name__ == "__main__":
    unittest.main()
