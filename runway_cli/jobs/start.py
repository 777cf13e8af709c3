"""The one way to pay: look in the ledger, keep to the budget, record the intent, send the POST, record the id.

`request`, `generate` and `batch` send every POST that may start something through `start`, and nothing else does.
"""

from __future__ import annotations

import re

from .. import jsontext
from ..errors import ApiError, BudgetError, ConfigError, Failure, InternalError, TaskError, UsageError, WaitTimeout
from ..settings import BUDGET_VARIABLE, budget, shown_credits, shown_number
from .ledger import OPEN, SENDING, STARTED, LedgerMissing
from .tasks import Pollable, credits_of, is_id, may_start, parse, started_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..api.client import Client
    from .ledger import Attempt, Ledger

DAY = 86_400.0  # seconds; what a budget is for
LOOK = 0.1  # seconds between two looks at a job that another process is sending
# Endpoints where the length of a text, a sound or a video decides the price beside the request's values
UNPRICED = r"(?i)speech|sound|dub|isolation|audio|upscale|video_to|performance|avatar_videos|voices"
TEXTS = r"(?i)(text|prompt|seed|name|description|personality|script|tag|info|concept)$"  # fields that change no price
MEDIA = r"(?i)video|audio|media"  # fields, and types of references, whose length decides
ADDRESS = r"(?i)(https?|runway|data|sha256):"


class Job:
    """What is paid for once: its `name` in the ledger, and the `digest` of the request that it stands for.

    `once` is the caller's own name for it, None for a file; `destination` the absolute path of that file or folder.
    """

    __slots__ = ("destination", "digest", "name", "once")

    def __init__(self, path: str, value: Any, *, once: str | None = None, destination: str | None = None) -> None:
        self.digest = digest(path, value)
        self.once = once
        self.destination = destination
        self.name = f"once {once}" if once is not None else f"file {self.digest} {destination}"


class Started:
    """A job that was started, now or before: its `attempt` in the ledger, and the POST's `answer` where this call sent it.

    `pollable` is what to wait for, None where the answer names no id.
    """

    __slots__ = ("answer", "attempt", "is_new", "pollable")

    def __init__(self, attempt: Attempt | None, pollable: Pollable | None, answer: Any = None, *, is_new: bool) -> None:
        self.attempt = attempt
        self.pollable = pollable
        self.answer = answer
        self.is_new = is_new


def start(
    client: Client,
    history: Ledger,
    path: str,
    body: bytes | None,
    value: Any,
    *,
    job: Job | None = None,
    again: bool = False,
    retries: int | None = None,
    batch: Ledger | None = None,
    row: dict[str, Any] | None = None,
) -> Started:
    """Sends a POST, unless its job was started before. `value` is the body as a JSON value, for the record.

    `row` are the columns of a row of the ledger `batch`, which is written beside the history. The intent is on the disk
    before the POST is sent, the id before anything else happens with the answer; no signal is raised in between.
    Raises what `client.call` and the ledgers raise; BudgetError; TaskError for a job that must not be sent again; and
    WaitTimeout where another process has been sending it for longer than the client's timeout.
    """
    client.check_secret()
    if is_api_dry_run(path, value) or not (may_start(path) or job):
        return Started(None, None, client.call("POST", path, body, retries=retries).value, is_new=True)
    known = _known(client, history, job, again)
    if known is not None:
        return known
    key = os.urandom(16).hex()
    if batch is not None:
        batch.intend(path, value, key=key, **(row or {}))
    try:
        attempt = _intended(client, history, path, value, key, job, again)
    except BaseException:
        if batch is not None:
            batch.unsent(key)
        raise
    if attempt is not None and attempt.key != key:  # another process was faster
        return start(client, history, path, body, value, job=job, again=again, retries=retries)
    records = [ledger for ledger in (batch, history if attempt else None) if ledger is not None]
    try:
        answer = client.call("POST", path, body, retries=retries).value
    except Failure as failure:
        for ledger in records:
            _record_failure(ledger, key, failure, is_batch=ledger is batch)
        raise
    except Exception as defect:
        facts = {"may_have_been_accepted": True, "balance_call": client.service.balance_call}
        raise InternalError.of(defect, **facts) from None
    identity = answer.get("id") if isinstance(answer, dict) else None
    pollable = started_by(path, identity) if isinstance(identity, str) and is_id(identity) else None
    for ledger in records:
        _record_answer(client, ledger, key, path, answer, pollable)
    return Started(attempt, pollable, answer, is_new=True)


def known(client: Client, history: Ledger, job: Job | None, again: bool) -> Started | None:
    """Returns the job as it was started before; None where a POST is due. Raises as `start` does."""
    deadline = client.clock.monotonic() + client.target.timeout
    while True:
        try:
            attempt = history.last(job.name) if job else None
        except LedgerMissing as missing:
            _go_without(client, missing, job)
            return None
        if attempt is None or job is None:
            return None
        _check_same(attempt, job)
        if not history.is_sending(attempt):
            return None if _is_due(attempt, again) else _continued(client, attempt)
        if client.clock.monotonic() >= deadline:
            words = f"another process has been sending this request for {shown_number(client.target.timeout)} s"
            raise WaitTimeout(words)
        client.shutdown.sleep(client.clock, LOOK)


def _is_due(attempt: Attempt, again: bool) -> bool:
    """Returns whether a job's last attempt makes room for a new one."""
    if attempt.status == "FAILED" and not attempt.is_safety:
        return True
    return again and attempt.status != STARTED


def _check_same(attempt: Attempt, job: Job) -> None:
    if attempt.digest != job.digest:
        words = f"--once {job.once}: this name stands for another request, to {attempt.path}: choose another name"
        raise UsageError(words)


def _continued(client: Client, attempt: Attempt) -> Started:
    """Returns what a job's last attempt started. Raises TaskError where that must not be repeated."""
    if attempt.status == SENDING:
        words = "this request was sent before, and no answer was seen: it may have been accepted"
        raise TaskError(f"{words}. {AGAIN}", may_have_been_accepted=True, balance_call=client.service.balance_call)
    if attempt.status not in (STARTED, *GOOD_ENDS):
        words = f"{attempt.id} is {attempt.status}" + (f": {attempt.error}" if attempt.error else "")
        facts = {"failure_code": attempt.code, "task_id": attempt.id, "recorded": attempt}
        raise TaskError(f"{words}. {AGAIN}", **facts, try_next=("history",))
    return Started(attempt, parse(attempt.id) if attempt.id else None, is_new=False)


def _intended(
    client: Client, history: Ledger, path: str, value: Any, key: str, job: Job | None, again: bool
) -> Attempt | None:
    """Records the intent, in one transaction with the look at the job and at the budget.

    Returns the job's last attempt where another process has begun it meanwhile; None where there is no ledger.
    """
    limit = budget()
    price_shape = shape(path, value)
    facts = {"job": job.name, "digest": job.digest, "destination": job.destination} if job else {}
    try:
        with history:
            last = history.last(job.name) if job else None
            if last is not None and not (_is_due(last, again) and not history.is_sending(last)):
                return last
            if limit is not None:
                _check_budget(client, history, limit, price_shape)
            return history.intend(path, value, key=key, shape=price_shape, **facts)
    except LedgerMissing as missing:
        _go_without(client, missing, job)
        return None


def _check_budget(client: Client, history: Ledger, limit: float, price_shape: str | None) -> None:
    same = history.priced(price_shape) if price_shape else None
    spending = history.spending(client.clock.time() - DAY)
    if spending.allows(limit, same.credits if same else None):
        return
    spent = spending.known + spending.unknown * (spending.dearest or 0)
    words = f"{BUDGET_VARIABLE} allows {shown_credits(limit)} credits in 24 hours, and {shown_credits(spent)} are spent"
    if spending.unknown and spending.dearest is None:
        words = f"{BUDGET_VARIABLE} is set, and the price of a job in progress is not known yet"
    raise BudgetError(words, spent=spent, limit=limit)


def _go_without(client: Client, missing: LedgerMissing, job: Job | None) -> None:
    """Notes once that there is no ledger. Raises ConfigError where a promise depends on it."""
    if budget() is not None or (job is not None and job.once is not None):
        what = BUDGET_VARIABLE if budget() is not None else "--once"
        raise ConfigError(f"{what} needs the history, which cannot be kept: {missing}", variable=HISTORY_VARIABLE)
    client.console.note_once(f"the history is not kept: {missing}")


def _record_failure(ledger: Ledger, key: str, failure: Failure, *, is_batch: bool) -> None:
    if failure.fact("may_have_been_accepted"):
        ledger.sent(key)
    elif is_batch and not may_send_again(failure):
        ledger.refused(key, failure.message)
    else:
        ledger.unsent(key)


def _record_answer(ledger: Ledger, key: str, path: str, answer: Any, pollable: Pollable | None) -> None:
    """Records what an answer says. A failure is noted, with the id, and does not stop the call: it is paid for."""
    if pollable is None and may_start(path):
        ledger.sent(key)
        return
    identity = answer.get("id") if isinstance(answer, dict) else None
    ledger.started(key, pollable.name if pollable else str(identity or ""), credits_of(answer))
    if pollable is None:  # it starts nothing to wait for: its answer is its end
        ledger.finished(key, SUCCEEDED)


def digest(path: str, value: Any) -> str:
    """Returns what tells a request apart: a hash of its path and body. Files are expected as their content's hash."""
    import hashlib

    return hashlib.sha256(jsontext.dumps([path, _sorted(value)]).encode()).hexdigest()[:32]


def shape(path: str, value: Any) -> str | None:
    """Returns a hash of all that decides a price: the endpoint and the values, but for texts, seeds and addresses.

    None where the length of a text, a sound or a video decides too.
    """
    try:
        return None if re.search(UNPRICED, path) else digest(path, _priced(value))
    except _Unpriced:
        return None


class _Unpriced(Exception):
    """A sound or a video is among the inputs."""


def _priced(value: Any, key: str = "") -> Any:
    """Returns a value as far as it decides a price."""
    if isinstance(value, dict):
        if str(value.get("type")) in ("video", "audio"):
            raise _Unpriced
        return {name: _priced(item, name) for name, item in value.items() if not re.search(TEXTS, name)}
    if isinstance(value, list):
        return [_priced(item, key) for item in value]
    if isinstance(value, str) and re.match(ADDRESS, value):
        if re.search(MEDIA, key) or re.match(r"data:(video|audio)", value):
            raise _Unpriced
        return "address"
    return value


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def is_api_dry_run(path: str, value: Any) -> bool:
    """Returns whether the body asks the API to start nothing: `/v1/generate/*` take "dryRun": true."""
    return path.startswith("/v1/generate/") and isinstance(value, dict) and value.get("dryRun") is True


def no_id(client: Client, answer: Any) -> ApiError:
    """Returns the failure of a POST whose answer names nothing to wait for."""
    found = answer.get("id") if isinstance(answer, dict) else None
    named = "" if found is None else f", but {jsontext.dumps(found)}"
    return ApiError(
        f"the answer has no id to wait for{named}",
        status=200,
        may_have_been_accepted=True,
        balance_call=client.service.balance_call,
    )
