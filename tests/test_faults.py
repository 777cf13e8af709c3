"""The fault matrix: every method meets every fault, and no request that may have been accepted is sent again."""

from __future__ import annotations

import socket
import unittest
from typing import NamedTuple, Optional

from runway_cli.api.retry import DIRECT, GATEWAY, SAFE_RETRIES
from tests.fake import Fault
from tests.program import BODY as FOX
from tests.program import Clock, Result, call
from tests.served import ServiceTest, arrived

SAFE, UNSAFE = ("GET", "PUT", "DELETE"), ("POST", "PATCH")
PATH, BODY = "/v1/image_to_video", '{"promptText":"a fox that runs"}'
KINDS = {1: "api", 69: "network", 77: "auth"}
ONCE, THRICE = 1, 3  # requests on the wire; --retries is 2


class Outcome(NamedTuple):
    """What a user meets: requests on the wire, exit status, and whether maybeAccepted is said."""

    requests: int
    exit: int
    maybe_accepted: bool = False


class Row(NamedTuple):
    """A fault, and its outcome for safe methods, for unsafe ones, and for unsafe ones through the gateway."""

    fault: Optional[Fault]  # None: the port is closed  # noqa: UP045
    safe: Outcome
    unsafe: Outcome
    gateway: Outcome


def _status(status: int, safe: Outcome, unsafe: Outcome, gateway: Outcome) -> Row:
    return Row(Fault("status", status=status), safe, unsafe, gateway)


LOST = (Outcome(THRICE, 69), Outcome(ONCE, 69, True), Outcome(ONCE, 69, True))
# A reset on arrival may be noticed before the first byte has left, which is as good as refused, at any of the tries
EARLY = Outcome(-1, 69)
RESET_EARLY = (*(Outcome(tries, 69, True) for tries in (1, 2, 3)), Outcome(THRICE, 69))
REFUSED_AGAIN = (Outcome(THRICE, 1), Outcome(THRICE, 1), Outcome(ONCE, 1, True))
FINAL = (Outcome(ONCE, 1),) * 3

EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

MATRIX = {
    "refused": Row(None, *(Outcome(THRICE, 69),) * 3),
    "reset before the request": Row(Fault("reset_before"), Outcome(THRICE, 69), EARLY, EARLY),
    "reset after the headers": Row(Fault("reset_after_headers"), *LOST),
    "reset after half the body": Row(Fault("reset_mid_body"), *LOST),
    "reset after the request": Row(Fault("reset_after_request"), *LOST),
    "half an answer": Row(Fault("half_answer", body={"id": "0123456789"}), *LOST),
    "half the headers": Row(Fault("raw", body=b"HTTP/1.1 200 OK\r\nContent-Ty"), *LOST),
    "no answer": Row(Fault("no_answer"), *LOST),
    "400": _status(400, *FINAL),
    "401": _status(401, *(Outcome(ONCE, 77),) * 3),
    "403": _status(403, *(Outcome(ONCE, 77),) * 3),
    "404": _status(404, *FINAL),
    "405": _status(405, *FINAL),
    "408": _status(408, Outcome(THRICE, 1), Outcome(ONCE, 1, True), Outcome(ONCE, 1, True)),
    "429": _status(429, *(Outcome(THRICE, 1),) * 3),
    "500": _status(500, Outcome(THRICE, 1), Outcome(ONCE, 1, True), Outcome(ONCE, 1, True)),
    "501": _status(501, Outcome(ONCE, 1), Outcome(ONCE, 1, True), Outcome(ONCE, 1, True)),
    "502": _status(502, *REFUSED_AGAIN),
    "503": _status(503, *REFUSED_AGAIN),
    "504": _status(504, *REFUSED_AGAIN),
    "520": _status(520, Outcome(ONCE, 1), Outcome(ONCE, 1, True), Outcome(ONCE, 1, True)),
    "524": _status(524, Outcome(ONCE, 1), Outcome(ONCE, 1, True), Outcome(ONCE, 1, True)),
    "103 and nothing more": Row(Fault("raw", body=EARLY_HINTS), *LOST),
    "103 and an answer": Row(Fault("raw", body=EARLY_HINTS + ANSWER), *(Outcome(ONCE, 0),) * 3),
    "503 in HTML": Row(Fault("html", status=503), *REFUSED_AGAIN),
    "HTML 200": Row(Fault("html"), Outcome(ONCE, 1), Outcome(ONCE, 1, True), Outcome(ONCE, 1, True)),
    "empty 200": Row(Fault("empty"), *(Outcome(ONCE, 0),) * 3),
    "redirect": Row(Fault("redirect", target="https://elsewhere.example/"), *FINAL),
}


class FaultMatrixTest(ServiceTest):
    """Each cell of the table is one call of `request`, over real sockets."""

    def test_every_method_meets_every_fault(self) -> None:
        for name, row in MATRIX.items():
            for method in (*SAFE, *UNSAFE):
                with self.subTest(fault=name, method=method):
                    result, found = self.meet(row.fault, method, "api", self.fake.env())
                    self.check(result, found, row.safe if method in SAFE else row.unsafe)

    def test_every_method_meets_every_fault_of_the_gateway(self) -> None:
        for name, row in MATRIX.items():
            for method in ("GET", *UNSAFE):
                with self.subTest(fault=name, method=method):
                    result, found = self.meet(row.fault, method, "gateway", self.fake.gateway_env())
                    self.check(result, found, row.safe if method in SAFE else row.gateway)

    def test_a_generation_whose_answer_is_lost_is_requested_once(self) -> None:
        for kind, exit_status in (("forward_then_reset", 69), ("forward_then_status", 1)):
            with self.subTest(kind):
                self.forget()
                before = len(self.fake.tasks)
                self.fake.fault(Fault(kind))
                result = self.request("POST", "/v1/text_to_image", "--body", FOX)
                self.assert_error(result, exit_status, maybeAccepted=True)
                self.assertEqual(len(self.fake.tasks), before + 1, result)

    def meet(self, fault: Fault | None, method: str, server: str, env: dict[str, str]) -> tuple[Result, Outcome]:
        """One call while every request meets the fault, and what came of it."""
        self.forget()
        words = ["request", method, PATH, "--timeout", "0.2" if fault and fault.kind == "no_answer" else "30"]
        words += ["--body", BODY] if method in ("POST", "PATCH", "PUT") else []
        words += ["--gateway", "lowcodeapi"] if server == "gateway" else []
        if fault:
            self.fake.fault(fault, server=server, times=None)
        else:
            variable = "LOWCODEAPI_BASE_URL" if server == "gateway" else "RUNWAY_SKILLS_BASE_URL"
            env = {**env, variable: f"http://127.0.0.1:{closed_port()}"}
        clock = Clock()
        result = call(*words, env=env, clock=clock)
        tries = len(clock.slept) + 1
        sent = len(arrived(self.fake, tries)) if fault else tries
        said = result.error.get("maybeAccepted", False) if result.exit else False
        return result, Outcome(sent, result.exit, said)

    def check(self, result: Result, found: Outcome, expected: Outcome) -> None:
        if expected == EARLY:
            self.assertIn(found, RESET_EARLY, result)
        else:
            self.assertEqual(found, expected, result)
        if not expected.exit:
            self.assertEqual(result.stdout, "{}\n")
            return
        self.assertEqual(result.stdout, "")
        self.assert_error(result, expected.exit, kind=KINDS[expected.exit])
        if expected.exit == 77:
            return  # whose example is the same where a gateway is asked
        looking = (" request GET /v1/organization", " auth status --gateway lowcodeapi", f" request GET {PATH}")
        looks = result.argv[1] in UNSAFE and result.error["example"].endswith(looking)
        self.assertEqual(looks, found.maybe_accepted, "after a call that may have been paid for, and only then")


class TableTest(unittest.TestCase):
    """The matrix above is complete."""

    def test_every_outcome_of_the_retry_policy_is_met(self) -> None:
        statuses = {row.fault.status for row in MATRIX.values() if row.fault and row.fault.kind == "status"}
        outcomes = {*SAFE_RETRIES, *DIRECT.unsafe_retries, *GATEWAY.unsafe_retries}
        self.assertLessEqual({outcome for outcome in outcomes if isinstance(outcome, int)}, statuses)


def closed_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
