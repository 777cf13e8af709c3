"""Everything that can go wrong between a client and a service, on order.

| kind                | what the client meets                                                          |
|---------------------|--------------------------------------------------------------------------------|
| status              | any `status` (503), with `body` and `headers`, in the service's stead          |
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
| endless_headers     | header lines for ever, one every `seconds` (0.05)                              |
| raw                 | the bytes of `body` as they are, then a close                                  |
| forward_then_reset  | the service acts, its answer is lost in an RST                                 |
| forward_then_status | the service acts, `status` (500) is answered, with `body` and `headers`        |

A `body` of bytes is sent as it is, any other value as JSON.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Callable

from tests.fake.http import FOREVER, Exchange
from tests.fake.messages import Answer, Request, json_answer

PAGE = b"<!doctype html><html><title>Welcome</title></html>\n"


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
        if self.kind not in _KINDS and self.kind != "reset_before":
            raise ValueError(f"no such fault: {self.kind}")

    def own_answer(self) -> Answer | None:
        """What is answered in the service's stead by a kind that does; None for the others."""
        if self.kind == "html":
            page = self.body if isinstance(self.body, bytes) else PAGE
            return Answer(self.status or 200, {"Content-Type": "text/html; charset=utf-8"}, page)
        if self.kind == "empty":
            return Answer(self.status or 200, self.headers)
        if self.kind == "redirect":
            return Answer(self.status or 302, {"Location": self.target, **self.headers})
        statuses = {"status": 503, "forward_then_status": 500}
        return self.answer(statuses[self.kind]) if self.kind in statuses else None

    def answer(self, status: int) -> Answer:
        """The answer that the fault itself carries."""
        if isinstance(self.body, bytes):
            return Answer(self.status or status, self.headers, self.body)
        value = {"error": "a fault was ordered"} if self.body is None else self.body
        return json_answer(self.status or status, value, self.headers)


@dataclass
class _Order:
    fault: Fault
    server: str
    method: str | None
    path: str | None
    times: int | None
    after: int

    def takes(self) -> bool:
        """Count one matching request; whether it meets the fault."""
        if self.after:
            self.after -= 1
            return False
        if self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """The orders. The first that matches takes the request; those behind it do not count it."""

    def __init__(self) -> None:
        self._orders: list[_Order] = []
        self._lock = threading.Lock()

    def add(
        self, fault: Fault, *, server: str, method: str | None, path: str | None, times: int | None, after: int
    ) -> None:
        """Order a fault. Raises ValueError for a `reset_before` by method or path: neither is read then."""
        if fault.kind == "reset_before" and (method or path):
            raise ValueError("reset_before reads nothing and cannot match a method or path: see reset_after_headers")
        with self._lock:
            self._orders.append(_Order(fault, server, method, path, times, after))

    def clear(self) -> None:
        """Forget every order."""
        with self._lock:
            self._orders.clear()

    def resets(self, server: str) -> bool:
        """Whether the connection that was just accepted is to be reset unread."""
        with self._lock:
            matching = (o for o in self._orders if o.fault.kind == "reset_before" and o.server == server)
            return any(order.takes() for order in matching)

    def meet(self, exchange: Exchange, request: Request) -> bool:
        """Meet the request in the service's stead; False: nothing stands in the way."""
        fault = self.pick(request)
        if fault:
            _KINDS[fault.kind](exchange, request, fault)
        return fault is not None

    def pick(self, request: Request) -> Fault | None:
        """The fault that a request meets, counted."""
        with self._lock:
            for order in self._orders:
                matches = (
                    order.fault.kind != "reset_before"
                    and order.server == request.server
                    and order.method in (None, request.method)
                    and order.path in (None, request.path)
                )
                if matches and order.takes():
                    return order.fault
        return None


def _own_answer(exchange: Exchange, request: Request, fault: Fault) -> None:
    if fault.kind == "forward_then_status":
        exchange.act(request)
    answer = fault.own_answer()
    assert answer
    exchange.respond(answer, request)


def _reset(exchange: Exchange, request: Request, fault: Fault) -> None:
    if fault.kind == "forward_then_reset":
        exchange.act(request)
    if fault.kind == "reset_mid_body":
        request.body.take((request.body.length or 2) // 2)
    elif fault.kind != "reset_after_headers":
        request.body.read()
    exchange.abort()


def _half_answer(exchange: Exchange, request: Request, fault: Fault) -> None:
    answer = exchange.act(request) if fault.body is None else fault.answer(200)
    request.body.read()
    exchange.close_connection = True
    head, content = exchange.head(answer), answer.content()
    cut = len(head) + len(content) // 2 if content else len(head) // 2
    exchange.connection.sendall((head + content)[:cut])


def _no_answer(exchange: Exchange, request: Request, fault: Fault) -> None:
    request.body.read()
    exchange.close_connection = True
    exchange.pause(FOREVER if fault.seconds is None else fault.seconds)


def _slow(exchange: Exchange, request: Request, fault: Fault) -> None:
    answer = exchange.act(request)
    request.body.read()
    if exchange.pause(1.0 if fault.seconds is None else fault.seconds):
        exchange.respond(answer, request)
    else:
        exchange.close_connection = True


def _drip(exchange: Exchange, request: Request, fault: Fault) -> None:
    answer = exchange.act(request)
    exchange.close_connection = True
    whole = exchange.head(answer) + answer.content()
    _trickle(exchange, request, fault, (whole[at : at + fault.chunk] for at in range(0, len(whole), fault.chunk)))


def _endless_headers(exchange: Exchange, request: Request, fault: Fault) -> None:
    lines = (f"X-Filler-{number}: and so on\r\n".encode("ascii") for number in itertools.count())
    _trickle(exchange, request, fault, itertools.chain([b"HTTP/1.1 200 OK\r\n"], lines))


def _trickle(exchange: Exchange, request: Request, fault: Fault, pieces: Iterable[bytes]) -> None:
    request.body.read()
    exchange.close_connection = True
    for piece in pieces:
        exchange.connection.sendall(piece)
        if not exchange.pause(0.05 if fault.seconds is None else fault.seconds):
            return


def _raw(exchange: Exchange, request: Request, fault: Fault) -> None:
    request.body.read()
    exchange.close_connection = True
    exchange.connection.sendall(fault.body if isinstance(fault.body, bytes) else b"")


_KINDS: dict[str, Callable[[Exchange, Request, Fault], None]] = {
    **dict.fromkeys(("status", "html", "empty", "redirect", "forward_then_status"), _own_answer),
    **dict.fromkeys(("reset_after_headers", "reset_mid_body", "reset_after_request", "forward_then_reset"), _reset),
    "half_answer": _half_answer,
    "no_answer": _no_answer,
    "slow": _slow,
    "drip": _drip,
    "endless_headers": _endless_headers,
    "raw": _raw,
}
