"""When a request may be sent again, after how long, and what a failure proves: the whole policy.

Source of the rules: the API's documentation (429, 502, 503 and 504 may be sent again, with exponential backoff and up
to 50 % jitter; there is no idempotency key, so that a second POST is a second charge).
"""

from __future__ import annotations

from ..errors import ApiError, Failure, NetworkError

UNSAFE_METHODS = ("POST", "PATCH")
UNSENT = "unsent"  # no byte of the request left
LOST = "lost"  # it may have been received, and no complete answer came
NOT_JSON = "not JSON"  # a success whose body cannot be read
SAFE_RETRIES = (429, 502, 503, 504, 408, 500, UNSENT, LOST)  # for GET, PUT and DELETE
MAX_BACKOFF = 4.0  # seconds: 1, 2, then 4
MAX_RETRY_AFTER = 60.0  # seconds; if the service asks for more, the call fails and says so


class RetryPolicy:
    """What a service's failures allow and prove. A POST or PATCH is resent after `unsafe_retries` only."""

    def __init__(self, unsafe_retries: tuple[int | str, ...]) -> None:
        self.unsafe_retries = unsafe_retries

    def is_retryable(self, method: str, failure: ApiError | NetworkError) -> bool:
        """Returns whether a request may be sent again after a failure of this kind."""
        return _outcome(failure) in (self.unsafe_retries if method in UNSAFE_METHODS else SAFE_RETRIES)

    def delay(self, method: str, failure: ApiError | NetworkError, tries: int, retries: int) -> float | None:
        """Returns the seconds to wait before a request is sent again, None where it must not be.

        `tries` failed before this one, and `retries` may follow the first. A service that asks for more than
        MAX_RETRY_AFTER is not waited for.
        """
        asked = failure.retry_after if isinstance(failure, ApiError) else 0.0
        is_last = tries >= retries or failure.fact("final") or asked > MAX_RETRY_AFTER
        if is_last or not self.is_retryable(method, failure):
            return None
        from random import random  # a call that succeeds does not need it

        return max(asked, min(2.0**tries, MAX_BACKOFF) * (1 + random() / 2))

    def may_have_been_accepted(self, method: str, failure: Failure) -> bool:
        """Returns whether a POST or PATCH may have been carried out although it failed, or was interrupted."""
        outcome = _outcome(failure)
        is_refusal = isinstance(outcome, int) and 300 <= outcome < 500 and outcome != 408
        return method in UNSAFE_METHODS and not is_refusal and outcome not in self.unsafe_retries


DIRECT = RetryPolicy((429, 502, 503, 504, UNSENT))
GATEWAY = RetryPolicy((429, UNSENT))  # another party's 502 proves nothing about Runway


def _outcome(failure: Failure) -> int | str:
    """Returns the HTTP status, or one of the three words above."""
    if isinstance(failure, ApiError):
        return failure.status if failure.is_json else NOT_JSON
    return LOST if failure.fact("maybe_received") else UNSENT


def may_pass(failure: Failure) -> bool:
    """Returns whether waiting may help: no answer (except for a bad certificate or URL), 408, 429 and 5xx."""
    status = failure.fact("status") or 0
    return status in SAFE_RETRIES or status >= 500 or (failure.kind == "network" and not failure.fact("final"))


def may_poll_again(failure: Failure) -> bool:
    """Returns whether polling continues after a failure. It does where something other than a task was answered."""
    return may_pass(failure) or not failure.fact("is_json", True)
