"""When a request may be sent again, after how long, and what a failure proves: the whole policy as values, one loop.

An outcome is an HTTP status, a class of statuses such as "5xx", or one of three words: UNSENT, no byte of the request
left; LOST, it may have been received and no complete answer came; NOT_JSON, a success whose body cannot be read.
Source of the tables: the API's documentation (429, 502, 503 and 504 may be sent again, with exponential backoff and up
to 50 % jitter; there is no idempotency key, so that a second POST is a second charge).
"""

from __future__ import annotations

from ..errors import ApiError, NetworkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar, Union

    from ..errors import RunwayError
    from ..shutdown import Clock, Shutdown

    T = TypeVar("T")
    Outcome = Union[int, str]
    Table = Mapping[Outcome, "tuple[bool, bool]"]


UNSAFE_METHODS = ("POST", "PATCH")
UNSENT, LOST, NOT_JSON = "unsent", "lost", "not JSON"
MAX_BACKOFF = 4.0  # seconds: 1, 2, then 4
MAX_RETRY_AFTER = 60.0  # seconds; a longer wish is an error that names it


class RetryPolicy:
    """Which outcomes are retryable, and which prove that a request was refused.

    `retryable` maps an outcome to (GET, PUT and DELETE; POST and PATCH). `refusals` are the outcomes that prove that a
    POST or PATCH was not carried out.
    """

    __slots__ = ("name", "refusals", "retryable")

    def __init__(self, name: str, retryable: Table, refusals: tuple[Outcome, ...]) -> None:
        self.name = name
        self.retryable = retryable
        self.refusals = refusals

    def is_retryable(self, method: str, failure: ApiError | NetworkError) -> bool:
        """Whether the request may be sent again after this failure."""
        if isinstance(failure, NetworkError) and failure.permanent:
            return False
        found = next((self.retryable[key] for key in outcomes(failure) if key in self.retryable), (False, False))
        return found[method in UNSAFE_METHODS]

    def may_have_been_accepted(self, method: str, failure: ApiError | NetworkError) -> bool:
        """Whether a POST or PATCH may have been carried out although it failed."""
        return method in UNSAFE_METHODS and not any(key in self.refusals for key in outcomes(failure))

    def delay(self, attempt: int, retry_after: float = 0.0) -> float:
        """Seconds to wait after attempt number `attempt`, from 0: backoff with jitter, or what the service asks for."""
        import random  # only a failure needs jitter

        return max(retry_after, min(2.0**attempt, MAX_BACKOFF) * (1 + random.random() / 2))

    def __repr__(self) -> str:
        rows = [f"{outcome}: {'again' if safe else 'no'}, {'again' if unsafe else 'no'}"
                for outcome, (safe, unsafe) in self.retryable.items()]  # fmt: skip
        return f"<{self.name}: outcome: GET PUT DELETE, POST PATCH; {'; '.join(rows)}; refused: {self.refusals}>"


# outcome:            GET PUT DELETE, POST PATCH
_DIRECT: Table = {
    429: (True, True),
    502: (True, True),
    503: (True, True),
    504: (True, True),
    408: (True, False),
    500: (True, False),
    UNSENT: (True, True),
    LOST: (True, False),
}
# Another party's 502 proves nothing about Runway.
_GATEWAY: Table = {**_DIRECT, 502: (True, False), 503: (True, False), 504: (True, False)}
# While something is waited for, whatever may pass does not end the wait.
_POLLING: Table = {**_DIRECT, "5xx": (True, False), NOT_JSON: (True, False)}
_CLIENT_ERRORS: tuple[Outcome, ...] = (UNSENT, "3xx", *(status for status in range(400, 500) if status != 408))

DIRECT = RetryPolicy("direct", _DIRECT, (*_CLIENT_ERRORS, 502, 503, 504))
GATEWAY = RetryPolicy("gateway", _GATEWAY, _CLIENT_ERRORS)
POLLING = RetryPolicy("polling", _POLLING, DIRECT.refusals)


def outcomes(failure: ApiError | NetworkError) -> tuple[Outcome, ...]:
    """What a failure is in the tables, the most special first."""
    if isinstance(failure, NetworkError):
        return (LOST if failure.maybe_received else UNSENT,)
    if not failure.is_json:
        return (NOT_JSON,)
    return (failure.status, f"{failure.status // 100}xx")


class Retrying:
    """The loop around one request: what it may cost in tries and time, and whom it tells.

    `retries` is the number of retries, `deadline` a moment of the clock past which nothing is waited for.
    """

    __slots__ = ("clock", "deadline", "note", "policy", "retries", "shutdown")

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        retries: int,
        clock: Clock,
        shutdown: Shutdown,
        note: Callable[[str], None],
        deadline: float | None = None,
    ) -> None:
        self.policy = policy
        self.retries = retries
        self.clock = clock
        self.shutdown = shutdown
        self.note = note
        self.deadline = deadline

    def run(
        self,
        method: str,
        attempt: Callable[[RunwayError | None], T],
        progress: Callable[[], int] = lambda: 0,
    ) -> T:
        """What `attempt` returns; it is called with the failure before it, None at first.

        Progress earns new tries: whenever `progress()` is more than ever before, the count begins anew. Raises the last
        failure, an ApiError or a NetworkError.
        """
        tries = 0
        before: RunwayError | None = None
        farthest = progress()
        while True:
            try:
                return attempt(before)
            except (ApiError, NetworkError) as failure:
                if progress() > farthest:
                    tries, farthest = 0, progress()
                delay = self.delay(method, failure, tries)
                if delay is None:
                    raise
                before = failure
            self.note(f"{before.message}: retrying in {delay:.1f} s")
            self.shutdown.sleep(self.clock, delay)
            tries += 1

    def delay(self, method: str, failure: ApiError | NetworkError, tries: int) -> float | None:
        """Seconds before the next try after `tries` that failed before this one, None where there must be none."""
        asked = failure.retry_after if isinstance(failure, ApiError) else 0.0
        if tries >= self.retries or asked > MAX_RETRY_AFTER or not self.policy.is_retryable(method, failure):
            return None
        delay = self.policy.delay(tries, asked)
        is_late = self.deadline is not None and self.clock.monotonic() + delay > self.deadline
        return None if is_late else delay
