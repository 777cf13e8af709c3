"""The one way to send a POST that may start something: recorded before it is sent and before its answer is used."""

from __future__ import annotations

from .. import jsontext
from ..errors import ApiError, Failure, InternalError
from .tasks import Pollable, credits_of, is_id, may_start, started_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ..api.client import Client
    from .history import History

    class Recorder(Protocol):
        """A second record of the same POST, under the key that the history has."""

        def intend(self, key: str) -> None:
            """Records the intent. Raises OutputError where that is impossible: then nothing is sent."""

        def started(self, key: str, name: str, credits: Any) -> None: ...

        def refused(self, key: str, failure: Failure) -> None: ...


class Started:
    """A POST that was answered: the answer, and what it started, None where it names no id. `key`: of its record."""

    __slots__ = ("answer", "key", "pollable")

    def __init__(self, key: str, answer: Any, pollable: Pollable | None) -> None:
        self.key = key
        self.answer = answer
        self.pollable = pollable


def start(
    client: Client,
    history: History,
    path: str,
    body: bytes | None,
    value: Any,
    *,
    retries: int | None = None,
    recorder: Recorder | None = None,
) -> Started:
    """Sends a POST. `value` is the body as a JSON value, for the record.

    The history, and then the recorder, have its intent before it is sent, and its id before anything else happens with
    the answer: no signal is raised in between. Raises what `client.call` raises, and OutputError of the recorder.
    """
    client.check_secret()
    if not may_start(path) or is_api_dry_run(path, value):
        return Started("", client.call("POST", path, body, retries=retries).value, None)
    key = history.intend(path, value)
    try:
        if recorder:
            recorder.intend(key)
        answer = client.call("POST", path, body, retries=retries).value
    except Failure as failure:
        if not failure.fact("may_have_been_accepted"):
            history.refused(key)
            if recorder:
                recorder.refused(key, failure)
        raise
    except Exception as defect:
        facts = {"may_have_been_accepted": True, "balance_call": client.service.balance_call}
        raise InternalError.of(defect, **facts) from None
    identity = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(identity, str) or not is_id(identity):
        return Started(key, answer, None)
    pollable = started_by(path, identity)
    history.started(key, pollable.name, credits_of(answer))
    if recorder:
        recorder.started(key, pollable.name, credits_of(answer))
    return Started(key, answer, pollable)


def is_api_dry_run(path: str, value: Any) -> bool:
    """Whether the body asks the API to start nothing: `/v1/generate/*` take "dryRun": true."""
    return path.startswith("/v1/generate/") and isinstance(value, dict) and value.get("dryRun") is True


def no_id(client: Client, answer: Any) -> ApiError:
    """The failure of a POST whose answer names nothing to wait for."""
    found = answer.get("id") if isinstance(answer, dict) else None
    named = "" if found is None else f", but {jsontext.dumps(found)}"
    return ApiError(
        f"the answer has no id to wait for{named}",
        status=200,
        may_have_been_accepted=True,
        balance_call=client.service.balance_call,
    )
