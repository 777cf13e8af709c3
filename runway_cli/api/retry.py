"""When a request may be sent again, after how long, and what a failure proves: the whole policy, and the loop.

Source of the rules: the API's documentation (429, 502, 503 and 504 may be sent again, with exponential backoff and up
to 50 % jitter; there is no idempotency key, so that a second POST is a second charge).
"""

from __future__ import annotations

from ..errors import ApiError, NetworkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar, Union

    from ..errors import Failure, RunwayError
    from ..shutdown import Clock, Shutdown

    T = TypeVar("T")
    Outcome = Union[int, str]  # an HTTP status, or one of the three words below


UNSAFE_METHODS = ("POST", "PATCH")
UNSENT = "unsent"  # no byte of the request left
LOST = "lost"  # it may have been received, and no complete answer came
NOT_JSON = "not JSON"  # a success whose body cannot be read
SAFE_RETRIES = (429, 502, 503, 504, 408, 500, UNSENT, LOST)  # for GET, PUT and DELETE
MAX_BACKOFF = 4.0  # seconds: 1, 2, then 4
MAX_RETRY_AFTER = 60.0  # seconds; a longer wait is an error that names it


class RetryPolicy:
    """What a service's failures allow and prove. `unsafe_retries` are the outcomes after which a POST is sent again."""

    __slots__ = ("unsafe_retries",)

    def __init__(self, unsafe_retries: tuple[Outcome, ...]) -> None:
        self.unsafe_retries = unsafe_retries

    def is_retryable(self, method: str, failure: ApiError | NetworkError) -> bool:
        """Whether the request may be sent again after this failure."""
        if failure.fact("permanent"):
            return False
        return _outcome(failure) in (self.unsafe_retries if method in UNSAFE_METHODS else SAFE_RETRIES)

    def may_have_been_accepted(self, method: str, failure: ApiError | NetworkError) -> bool:
        """Whether a POST or PATCH may have been carried out although it failed."""
        outcome = _outcome(failure)
        is_refusal = isinstance(outcome, int) and 300 <= outcome < 500 and outcome != 408
        return method in UNSAFE_METHODS and not is_refusal and outcome not in self.unsafe_retries


DIRECT = RetryPolicy((429, 502, 503, 504, UNSENT))
GATEWAY = RetryPolicy((429, UNSENT))  # another party's 502 proves nothing about Runway


def _outcome(failure: ApiError | NetworkError) -> Outcome:
    if isinstance(failure, NetworkError):
        return LOST if failure.maybe_received else UNSENT
    return failure.status if failure.is_json else NOT_JSON


def may_pass(failure: Failure) -> bool:
    """Whether time alone may end a failure: no answer (but for a bad certificate or URL), 408, 429 and 5xx."""
    status = failure.fact("status", 0)
    return status in (408, 429) or status >= 500 or (failure.kind == "network" and not failure.fact("permanent"))


def may_poll_again(failure: ApiError | NetworkError) -> bool:
    """Whether polling goes on after a failure: a page in place of JSON does not end a wait either."""
    return may_pass(failure) or not failure.fact("is_json", True)


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
        self, method: str, attempt: Callable[[RunwayError | None], T], progress: Callable[[], int] = lambda: 0
    ) -> T:
        """Returns what `attempt` returns; it is called with the failure before it, None at first.

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
        """Returns the seconds before the next try after `tries` that failed before this one, None if there is none."""
        asked = failure.retry_after if isinstance(failure, ApiError) else 0.0
        if tries >= self.retries or asked > MAX_RETRY_AFTER or not self.policy.is_retryable(method, failure):
            return None
        import random  # only a failure needs jitter

        delay: float = max(asked, min(2.0**tries, MAX_BACKOFF) * (1 + random.random() / 2))
        is_late = self.deadline is not None and self.clock.monotonic() + delay > self.deadline
        return None if is_late else delay
