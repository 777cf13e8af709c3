"""The one way to send a POST that may cost credits: recorded before it is sent and before its answer is used."""

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
        """A second record of the same POST, under the history's key. `intend` may raise OutputError: no POST."""

        def intend(self, key: str) -> None: ...
        def started(self, key: str, name: str, credits: Any) -> None: ...
        def refused(self, key: str, failure: Failure) -> None: ...


class Started:
    """A POST that was answered: the answer, and the resource that it created, None where it names no id."""

    __slots__ = ("answer", "pollable")

    def __init__(self, answer: Any, pollable: Pollable | None = None) -> None:
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
    """Sends a POST once, apart from `retries` where nothing was accepted, and returns what it created.

    `value` is the body as a JSON value, for the record. The history, and then the recorder, get the intent before the
    request is sent, and the id before anything else happens with the answer. Raises what `client.call` raises, and
    OutputError of the recorder.
    """
    client.check_secret()
    if not may_start(path) or is_api_dry_run(path, value):
        return Started(client.call("POST", path, body, retries=retries).value)
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
        raise InternalError.of(defect, may_have_been_accepted=True) from None
    identity = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(identity, str) or not is_id(identity):
        return Started(answer)
    pollable = started_by(path, identity)
    for record in (history, recorder):
        if record:
            record.started(key, pollable.name, credits_of(answer))
    return Started(answer, pollable)


def is_api_dry_run(path: str, value: Any) -> bool:
    """Returns whether the body asks the API to create nothing: `/v1/generate/*` take "dryRun": true."""
    return path.startswith("/v1/generate/") and isinstance(value, dict) and value.get("dryRun") is True


def no_id(client: Client, answer: Any) -> ApiError:
    """Returns the failure of a POST whose answer has no id to wait for."""
    found = answer.get("id") if isinstance(answer, dict) else None
    words = "the answer has no id to wait for" + ("" if found is None else f", but {jsontext.dumps(found)}")
    return ApiError(words, status=200, may_have_been_accepted=True)
