"""When a row of a batch may be sent: the reasons to stop, the pace after 429, and the answers on their way.

Rules:
1. Whatever stops the starting of rows, rows that have started go on.
2. After 429 no POST is sent for the time that the service asks for, and then one at a time, further and further apart
   until one is accepted. Polling keeps its pace.
3. Where 429 does not end, or several rows one after the other use up their tries, the rest is left for another run.
"""

from __future__ import annotations

from threading import Lock

from ..errors import ApiError, ConfigError, DeniedError, NetworkError, OutputError, RunwayError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.client import Client

MAX_GAP = 30.0  # seconds between two POSTs after 429
MAX_EXHAUSTED = 3  # rows one after the other whose tries are used up
MAX_ROUNDS = 4  # of POSTs that are answered 429 and none accepted, beyond --retries: a daily limit may be reached
TRANSIENT = (429, 502, 503, 504)


class Starts:
    """The permission to send. Safe to use from several threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = Lock()
        self._not_before = 0.0
        self._gap = 0.0
        self._exhausted = 0
        self.rounds = 0  # how often a POST that was sent after the last 429 was answered 429 again
        self.is_stopped = False
        self.sending = 0  # POSTs whose answer has not been recorded yet

    def stop(self) -> None:
        """No further row is sent."""
        with self._lock:
            self.is_stopped = True

    def enter(self) -> float | None:
        """0 if a POST may be sent now, which `leave` ends; else the seconds to wait; None where none may be sent."""
        with self._lock:
            if self.is_stopped:
                return None
            now = self._client.clock.monotonic()
            if now < self._not_before:
                return self._not_before - now
            if self._gap:
                self._not_before = now + self._gap
            self.sending += 1
            return 0.0

    def leave(self) -> None:
        """The answer of a POST is recorded, or there was none."""
        with self._lock:
            self.sending -= 1

    def accepted(self) -> None:
        """A POST was accepted: the pace recovers."""
        with self._lock:
            self._exhausted = self.rounds = 0
            self._gap = 0.0 if self._gap <= 1 else self._gap / 2

    def delay(self, failure: RunwayError, tries: int, rounds: int) -> float | None:
        """Seconds until a row is tried again, of which `tries` failed before this one; None where it must not be.

        `rounds` is what it was when the row was sent. The row is left then, and if that means that all others are left
        too, `is_stopped` is set.
        """
        if isinstance(failure, (DeniedError, ConfigError, OutputError)):
            self.stop()
        if isinstance(failure, DeniedError) or not isinstance(failure, (ApiError, NetworkError)):
            return None
        is_throttled = failure.fact("status") == 429
        retrying = self._client.retrying()
        delay = retrying.delay("POST", failure, 0 if is_throttled else tries)
        is_news = True
        with self._lock:
            if is_throttled:
                is_news = self.rounds == rounds  # and not one of several that were on their way together
                delay = self._throttle(delay, retrying.retries, is_news)
            if delay is None:
                self._exhausted += 1
                self.is_stopped = self.is_stopped or self._exhausted >= MAX_EXHAUSTED
        if delay is not None and is_news:
            retrying.note(f"{failure.message}: trying again in {delay:.1f} s")
        return delay

    def _throttle(self, delay: float | None, retries: int, is_news: bool) -> float | None:
        """Slows the starting of rows; the delay, None where 429 does not end."""
        if is_news:
            self.rounds += 1
            self._gap = min(max(1.0, 2 * self._gap), MAX_GAP)
        if self.rounds > retries + MAX_ROUNDS:
            self.is_stopped = True
            delay = None
        now = self._client.clock.monotonic()
        self._not_before = max(self._not_before, now + (self._gap if delay is None else max(delay, self._gap)))
        return delay


def is_unsent(failure: RunwayError) -> bool:
    """Whether a POST that was surely not accepted may be sent again as it is; else the API has refused the row."""
    if isinstance(failure, ApiError):
        return isinstance(failure, DeniedError) or failure.status in TRANSIENT
    return True
