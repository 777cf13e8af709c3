"""A test case with the stand-in services running, and a look at what reached them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable

from tests.fake_runway import FakeRunway, Recorded
from tests.program import Clock, ProgramTest, Result, call

PATIENCE = 10.0  # seconds that a busy machine may take for what has surely been set off


class ServiceTest(ProgramTest):
    """`fake` serves one class; every test begins with no faults ordered and nothing sent."""

    fake: FakeRunway

    @classmethod
    def setUpClass(cls) -> None:
        cls.fake = FakeRunway()
        cls.fake.__enter__()
        cls.addClassCleanup(cls.fake.__exit__, None, None, None)

    def setUp(self) -> None:
        self.forget()

    def forget(self) -> None:
        """No faults are ordered and nothing was sent."""
        self.fake.clear_faults()
        self.fake.requests.clear()

    def request(self, *words: str, env: Mapping[str, str] | None = None, clock: Clock | None = None) -> Result:
        """`request` with these words, on the stand-in."""
        return call("request", *words, env={**self.fake.env(), **(env or {})}, clock=clock)


def arrived(fake: FakeRunway, number: int) -> list[Recorded]:
    """What the servers saw, once it is this many requests: a server may read what a client has already given up."""
    eventually(lambda: len(fake.requests) >= number)
    return list(fake.requests)


def eventually(condition: Callable[[], Any]) -> None:
    """Wait until the condition holds. Raises AssertionError when it does not."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it never came to that")
        time.sleep(0.005)
