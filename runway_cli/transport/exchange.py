"""The limits of one exchange: its time, the signals, and how far it got.

Rules:
1. Connecting, sending the request's headers and reading those of its answer is one part of an exchange, limited as a
   whole: a server that sends a byte now and then cannot prolong it.
2. Bodies of transfers take as long as they take. There each wait is limited: the silence, not the transfer.
3. A time limit, where there is one, ends everything.
4. All waiting is done in slices (see `runway_cli.shutdown`); `check` is called between them.
"""

from __future__ import annotations

import time

from ..shutdown import SLICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..shutdown import Shutdown


class OutOfTime(OSError):
    """A limit of the exchange was reached. The message says which one."""


class Ended(Exception):
    """The run has ended while a worker thread was still in an exchange."""


class Exchange:
    """One request and its answer. `timeout` and `time_limit` are seconds; no `time_limit` means no limit.

    `sent`: a byte of the request was sent. `is_at_end`: the other side has closed the connection.
    """

    __slots__ = ("_checked", "_end", "_part_end", "_shutdown", "is_at_end", "peer", "sent", "time_limit", "timeout")

    def __init__(self, shutdown: Shutdown, timeout: float, time_limit: float | None = None) -> None:
        now = time.monotonic()
        self._shutdown = shutdown
        self._checked = 0.0
        self._end = None if time_limit is None else now + time_limit
        self._part_end: float | None = now + timeout
        self.timeout = timeout
        self.time_limit = time_limit
        self.sent = False
        self.is_at_end = False
        self.peer = ""  # names the other side in messages

    def limit_part(self) -> None:
        """From now on: what follows takes at most `timeout`, all waits together."""
        self._part_end = time.monotonic() + self.timeout

    def limit_waits(self) -> None:
        """From now on: each wait takes at most `timeout`."""
        self._part_end = None

    def left(self, since: float) -> float:
        """Seconds, more than 0, left of a wait that began at `since`, a time of `time.monotonic`. Raises OutOfTime."""
        now = time.monotonic()
        if self._end is not None and self.time_limit is not None and now >= self._end:
            raise OutOfTime(f"no complete answer within {_shown(self.time_limit)} s")
        end = since + self.timeout if self._part_end is None else self._part_end
        if now >= end:
            words = "silent for" if self._part_end is None else "no answer within"
            raise OutOfTime(f"{words} {_shown(self.timeout)} s")
        return (end if self._end is None else min(end, self._end)) - now

    def check(self) -> None:
        """Raises Interrupted if a signal has arrived (in the main thread), Ended if the run is over."""
        self._checked = time.monotonic()
        self._shutdown.check()
        if self._shutdown.is_over:
            raise Ended("the program is ending")

    def check_if_due(self) -> None:
        """The same, at most once in SLICE seconds: for a transfer that never has to wait."""
        if time.monotonic() - self._checked >= SLICE:
            self.check()


def _shown(seconds: float) -> str:
    return f"{round(seconds, 2):g}"
