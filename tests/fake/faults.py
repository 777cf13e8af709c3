"""What can go wrong between a client and a service, ordered by a test.

| kind                | what the client meets                                                          |
|---------------------|--------------------------------------------------------------------------------|
| status              | any `status` (503), with `body` and `headers`; the service never sees it       |
| html                | 200 with a page of HTML                                                        |
| empty               | 200 with no body                                                               |
| redirect            | 302 with `target` as its Location                                              |
| reset_before        | RST when the connection is accepted, unread (so matches no method or path)     |
| reset_after_headers | RST once the head was read                                                     |
| reset_mid_body      | RST after half of the request's body                                           |
| reset_after_request | RST after the whole request; the service never saw it                          |
| half_answer         | the service's answer (or `body`), the head whole, the body cut in half, closed |
| no_answer           | silence until the client leaves, or for `seconds` and then a close             |
| slow                | the service acts at once, its answer comes after `seconds` (1)                 |
| drip                | the service's answer, head and all, `chunk` bytes every `seconds` (0.05)       |
| raw                 | the bytes of `body` as they are, then a close                                  |
| forward_then_reset  | the service acts, its answer is lost in an RST                                 |
| forward_then_status | the service acts, `status` (500) is answered, with `body` and `headers`        |

A `body` of bytes is sent as it is, any other value as JSON.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.fake.http import FOREVER, Answer, Exchange, Request, json_answer

PAGE = b"<!doctype html><html><title>Welcome</title></html>\n"
ANSWERED = {"status": 503, "html": 200, "empty": 200, "redirect": 302, "forward_then_status": 500}  # kind: status
ACTED_ON = ("slow", "drip", "forward_then_reset", "forward_then_status")  # the service sees the request
RESET = ("reset_before", "reset_after_headers", "reset_mid_body", "reset_after_request", "forward_then_reset")
PACES = {"no_answer": FOREVER, "slow": 1.0, "drip": 0.05}  # seconds, unless a fault has its own
KINDS = (*ANSWERED, *RESET, *PACES, "half_answer", "raw")


@dataclass(frozen=True)
class Fault:
    """What a request meets instead of its answer; `seconds` None means the kind's own pace. See the table above."""

    kind: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    seconds: float | None = None
    chunk: int = 1
    target: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}")

    def answer(self) -> Answer:
        """Returns the answer that the fault itself carries."""
        status = self.status or ANSWERED.get(self.kind, 200)
        if self.kind == "html":
            page = self.body if isinstance(self.body, bytes) else PAGE
            return Answer(status, {"Content-Type": "text/html; charset=utf-8"}, page)
        if self.kind == "redirect":
            return Answer(status, {"Location": self.target, **self.headers})
        if self.kind == "empty" or isinstance(self.body, bytes):
            return Answer(status, self.headers, self.body if isinstance(self.body, bytes) else b"")
        return json_answer(status, {"error": "a fault was ordered"} if self.body is None else self.body, self.headers)

    def apply(self, exchange: Exchange, request: Request) -> None:
        """Gives a request its fault instead of its answer. Raises ConnectionAbortedError where that is a reset."""
        kind = self.kind
        pace = PACES.get(self.kind, 0) if self.seconds is None else self.seconds
        answer = self.answer()
        if kind in ACTED_ON or (kind == "half_answer" and self.body is None):
            acted = exchange.act(request)
            answer = acted if kind != "forward_then_status" else answer
        if kind == "reset_mid_body":
            request.take((request.length or 2) // 2)
        elif kind != "reset_after_headers":
            request.read()
        if kind in RESET:
            exchange.abort()
        if kind in ANSWERED or (kind == "slow" and exchange.pause(pace)):
            exchange.respond(answer, request)
            return
        exchange.close_connection = True
        head, content = exchange.head(answer), answer.body
        whole = head + content
        if kind == "no_answer":
            exchange.pause(pace)
        elif kind == "half_answer":
            exchange.connection.sendall(whole[: len(head) + len(content) // 2 if content else len(head) // 2])
        elif kind == "raw":
            exchange.connection.sendall(self.body if isinstance(self.body, bytes) else b"")
        elif kind == "drip":
            for start in range(0, len(whole), self.chunk):
                exchange.connection.sendall(whole[start : start + self.chunk])
                if not exchange.pause(pace):
                    return


@dataclass
class _Order:
    fault: Fault
    server: str
    method: str | None
    path: str | None
    times: int | None
    after: int

    def meets(self, server: str, request: Request | None) -> bool:
        """Returns whether a request meets the fault, and counts it if it matches."""
        if self.server != server or (self.fault.kind == "reset_before") != (request is None):
            return False
        if request and (self.method not in (None, request.method) or self.path not in (None, request.path)):
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return self.times is None or self.times >= 0


class Faults:
    """The orders. A request meets the first that matches; later ones do not count it."""

    def __init__(self) -> None:
        self._orders: list[_Order] = []
        self._lock = threading.Lock()

    def fault(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        server: str = "api",
        after: int = 0,
    ) -> None:
        """Lets the next `times` matching requests (None: all) meet the fault, after `after` that pass.

        `server`: `api`, `storage`, `gateway`, `self_hosted`. On a gateway `path` is the whole one, from `/runwayml`.
        Raises ValueError for a `reset_before` by method or path: neither is read then.
        """
        if fault.kind == "reset_before" and (method or path):
            raise ValueError("reset_before reads nothing and cannot match a method or path: see reset_after_headers")
        with self._lock:
            self._orders.append(_Order(fault, server, method, path, times, after))

    def clear(self) -> None:
        """Forgets every order."""
        with self._lock:
            self._orders.clear()

    def pick(self, server: str, request: Request | None = None) -> Fault | None:
        """Returns the fault that a request meets; without a request, one that meets a connection just accepted."""
        with self._lock:
            return next((order.fault for order in self._orders if order.meets(server, request)), None)
