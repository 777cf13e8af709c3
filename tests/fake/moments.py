"""Moments of an exchange at which a test can act, or make the stand-in wait.

| moment           | when                                                                             |
|------------------|----------------------------------------------------------------------------------|
| post accepted    | a POST was accepted and is in `accepted`; nothing of its answer has been sent    |
| post answered    | the last byte of that answer has been sent                                       |
| first poll       | the first GET of a task, invocation or session arrived; nothing of its answer has been sent |
| output half sent | half of an output's bytes have been sent                                         |
| output sent      | the last byte of an output has been sent                                         |
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Callable

MOMENTS = ("post accepted", "post answered", "first poll", "output half sent", "output sent")


@dataclass(frozen=True)
class Accepted:
    """A POST that was accepted and charged: the id it was answered with, and what it cost in credits."""

    id: str
    path: str
    body: Any
    credits: int


@dataclass
class Hold:
    """Exchanges that wait at a moment. `ids` are the records (or outputs) they are about, in order of arrival."""

    moment: str
    ids: list[str] = field(default_factory=list)
    _reached: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float = 20.0) -> str:
        """Wait until an exchange has arrived at the moment; returns its id. Raises AssertionError where none does."""
        if not self._reached.wait(seconds):
            raise AssertionError(f"nothing has come to the moment {self.moment!r}")
        return self.ids[-1]

    def release(self) -> None:
        """Let the exchanges go on, and those that come later pass."""
        self._released.set()

    def stop(self, record_id: str) -> None:
        """Be held, as an exchange about this record."""
        self.ids.append(record_id)
        self._reached.set()
        self._released.wait()


class Moments:
    """Who wants to know of which moment. Callbacks run in the exchange's thread, which goes on when they return."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[[str], None]]] = {moment: [] for moment in MOMENTS}
        self._holds: list[Hold] = []

    def on(self, moment: str, callback: Callable[[str], None]) -> None:
        """Call `callback(record_id)` at every such moment from now on. Raises KeyError for an unknown moment."""
        self._callbacks[moment].append(callback)

    @contextmanager
    def hold(self, moment: str) -> Iterator[Hold]:
        """Hold every exchange that comes to the moment, until `release` or the end of the block."""
        hold = Hold(moment)
        self.on(moment, hold.stop)
        self._holds.append(hold)
        try:
            yield hold
        finally:
            hold.release()
            self._callbacks[moment].remove(hold.stop)

    def reach(self, moment: str, record_id: str) -> None:
        """Come to a moment; nothing happens where it is empty."""
        if moment:
            for callback in list(self._callbacks[moment]):
                callback(record_id)

    def forget(self) -> None:
        """Let everything go on, and call nobody any more."""
        for hold in self._holds:
            hold.release()
        self._holds.clear()
        for callbacks in self._callbacks.values():
            callbacks.clear()
