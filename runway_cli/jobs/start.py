"""The one way to pay: look in the ledger, respect the budget, record the intent, send the POST, record the id.

`request` and `batch` send every POST that may start something through `start`, and nothing else does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from .. import jsontext
from ..api.client import Client
from ..api.retry import DIRECT
from ..errors import ApiError, BudgetError, ConfigError, Failure, InternalError, TaskError, UsageError, WaitTimeout
from ..files.download import ANY, free_path
from ..jsontext import Json
from ..settings import BUDGET_VARIABLE, HISTORY_VARIABLE, budget, counted, number_of, relative, shown_number
from .fields import ADDRESS
from .ledger import REFUSED, STARTED, UNCERTAIN, Attempt, Ledger, LedgerMissing
from .tasks import FAILED, GONE, SUCCEEDED, TASKS, Pollable, created_by, credits_of, is_id, is_safety, parse

DAY = 86_400.0  # seconds, the period of the budget
AGAIN = "--again sends it once more, which may cost credits again"
LOOK = 0.1  # seconds between two looks at a job that another process is sending, or at a used-up budget
# Endpoints whose price also depends on the length of a text, a sound or a video
UNPRICED = r"(?i)speech|sound|dub|isolation|audio|upscale|video_to|performance|avatar_videos|voices"
TEXTS = r"(?i)(text|prompt|seed|name|description|personality|script|tag|info|concept)$"  # fields that change no price
MEDIA = r"(?i)video|audio|media"  # fields and types of references whose length determines the price


class Job:
    """Something that is paid for once: its `name` in the ledger, and the `digest` of its request.

    `once` is the caller's own name for it. Without one, the job is identified by its request and the file at
    `destination`, an absolute path, or by that folder if its file is to be named after `stem`.
    """

    def __init__(self, path: str, value: Json, *, once: str | None, destination: str | None, stem: str | None) -> None:
        self.digest = digest(path, _comparable(value))
        self.folder, self.stem = destination or "", stem
        self.once = once
        self.name = digest("file", [self.digest, destination]) if once is None else digest("once", once)


class Started:
    """A started job: the POST's `answer`, or the `attempt` in the ledger if an earlier call sent it."""

    def __init__(self, pollable: Pollable | None, *, answer: Json = None, attempt: Attempt | None = None) -> None:
        self.pollable = pollable  # what to wait for, None if the answer has no id
        self.destination = attempt.destination if attempt else None  # of its outputs
        self.answer = answer
        self.attempt = attempt


def start(
    client: Client,
    history: Ledger,
    path: str,
    body: bytes | None,
    value: Json,
    *,
    job: Job | None = None,
    again: bool = False,
    destination: str | None = None,
    retries: int | None = None,
    batch: Ledger | None = None,
    row: Mapping[str, str] | None = None,
    max_credits: int | None = None,
) -> Started:
    """Sends a POST, unless its job was started before. `value` is the body as a JSON value, for the record.

    The intent is on the disk before the POST is sent, and the id before the answer is used; no signal is raised
    between the answer and that record. A row of a `batch` is recorded in that ledger too, its intent there first:
    `row` has its columns `job` and `name`, and `max_credits` is what the whole batch may cost.

    Raises what `client.call` and the ledgers raise; BudgetError; TaskError for a job that must not be repeated;
    WaitTimeout where another process has been sending it for longer than the client's timeout.
    """
    client.check_secret()
    family = created_by(path)
    if not needs_ledger(path, value, job):
        return Started(None, answer=client.call("POST", path, body, retries=retries).value)
    facts: dict[str, Json] = {"key": os.urandom(16).hex(), "destination": destination, "shape": shape(path, value)}
    facts.update(row or {})
    is_limited = max_credits is not None or budget() is not None
    # Read outside transactions, as the budget of a row below: none waits for another ledger.
    price = price_of(facts["shape"], batch or history, history) if is_limited else None

    def keep_to(limit: float | None, name: str, ledger: Ledger, since: float = -1.0, period: str = "") -> None:
        if limit is not None and family:
            refusal = over_limit(limit, name, ledger.prices(since), price, period=period)
            if refusal:
                raise refusal.but(try_next=("history", "--since", "1d"))

    def keep_to_budget() -> None:
        keep_to(budget(), BUDGET_VARIABLE, history, client.clock.time() - DAY, " in 24 hours")

    def record_in_batch() -> None:
        assert batch
        keep_to(max_credits, "--max-credits", batch)
        batch.intend(path, value, **facts)

    if batch:
        keep_to_budget()  # checked again in the history's own transaction, since other processes pay too
        batch.commit(record_in_batch)
    facts.update(job=job.name if job else None, digest=job.digest if job else None)

    def record_in_history() -> None:
        keep_to_budget()
        if job and job.stem:
            facts["destination"] = free_path(job.folder + job.stem + ANY, history.claimed())
        history.intend(path, value, **facts)

    try:
        found = find_started(client, history, job, again=again, if_due=record_in_history)
    except BaseException:
        if batch:
            batch.forget(facts["key"])
        raise
    if found is not None:
        return found
    if job and job.stem and not facts["destination"]:  # there is no ledger
        facts["destination"] = free_path(job.folder + job.stem + ANY)
    ledgers = [history, batch] if batch else [history]
    started = _post(lambda: client.call("POST", path, body, retries=retries).value, ledgers, facts["key"], family)
    started.destination = facts["destination"]
    return started


def needs_ledger(path: str, value: Json, job: Job | None) -> bool:
    """Returns whether a POST has to be recorded: it may start something, or is a job."""
    return not is_api_dry_run(path, value) and (created_by(path) is not None or job is not None)


def _post(send: Callable[[], Json], ledgers: Sequence[Ledger], key: str, family: str | None) -> Started:
    """Sends the POST, and records its outcome in each ledger: the history, then that of a batch."""
    try:
        answer = send()
    except Failure as failure:
        is_open = failure.fact("may_have_been_accepted")  # then the intents stay
        for ledger in () if is_open else ledgers:
            if ledger is ledgers[0] or is_unsent(failure):
                ledger.forget(key)
            else:
                ledger.settle(key, REFUSED, error=failure.message, code=field_of(failure))
        raise
    except Exception as defect:
        raise InternalError.of(defect, may_have_been_accepted=True) from None
    identity = answer.get("id") if isinstance(answer, dict) else None
    pollable = Pollable(family or TASKS, identity) if isinstance(identity, str) and is_id(identity) else None
    for ledger in ledgers:
        if not family:  # it creates nothing to wait for, so it has ended
            ledger.settle(key, SUCCEEDED, id=pollable and pollable.name, credits=0)
        elif pollable is not None:
            ledger.settle(key, STARTED, id=pollable.name, credits=credits_of(answer))
    return Started(pollable if family else None, answer=answer)


def is_unsent(failure: Failure) -> bool:
    """Returns whether a POST that was not accepted may be sent again unchanged; if not, the API has refused it."""
    if not isinstance(failure, ApiError) or failure.kind in ("auth", "credits"):
        return True
    return DIRECT.is_retryable("POST", failure)


def field_of(failure: Failure) -> str | None:
    """Returns the names of the fields in a failure's issues, separated by commas."""
    fields = [str(issue.get("field") or "") for issue in failure.fact("issues") or ()]
    return ", ".join(dict.fromkeys(filter(None, fields))) or None


def find_started(
    client: Client, history: Ledger, job: Job | None, *, again: bool, if_due: Callable[[], None] | None = None
) -> Started | None:
    """Returns the job as an earlier call started it, None if a POST is due. Waits while another process is sending it.

    If a POST is due, calls `if_due`, which records the intent, in the transaction that has read the ledger: so no two
    processes start the same job. Without it, only makes sure that the ledger can be written. Raises as `start` does.
    """
    attempt: Attempt | None = None
    is_due = True

    def decide() -> None:
        nonlocal attempt, is_due
        attempt, is_due = _last(history, job, again=again)  # another process may have started it meanwhile
        if is_due and if_due:
            if_due()

    deadline = client.clock.monotonic() + client.target.timeout
    while True:
        try:
            attempt, is_due = _last(history, job, again=again)
            if is_due:  # what cannot be recorded is noticed before anything is uploaded
                history.commit(decide)
                if is_due:
                    return None
        except LedgerMissing as missing:  # continue without a history, unless a promise depends on it
            once = "--once" if job is not None and job.once is not None else ""
            needed = once if budget() is None else BUDGET_VARIABLE
            if needed:
                words = f"{needed} needs the history, which cannot be kept: {missing}"
                raise ConfigError(words, variable=HISTORY_VARIABLE) from None
            if not history.is_unavailable and (job is not None or not missing.fact("off")):
                client.console.note(f"the history is not kept: {missing}")
            history.is_unavailable = True
            return None
        assert attempt
        if not history.is_sending(attempt):
            break
        if client.clock.monotonic() >= deadline:
            words = f"another process has been sending this request for more than {client.target.timeout:g} s"
            raise WaitTimeout(words)
        client.shutdown.sleep(client.clock, LOOK)
    if attempt.status == UNCERTAIN:
        words = f"this request was sent before and its outcome is unknown: it may have been accepted. {AGAIN}"
        raise TaskError(words, may_have_been_accepted=True)
    if attempt.has_failed:
        failure = failure_of(attempt)
        raise failure.but(f"{failure.message}. {AGAIN}", recorded=recorded(attempt, job), try_next=("history",))
    return Started(parse(attempt.id) if attempt.id else None, attempt=attempt)


def _last(history: Ledger, job: Job | None, *, again: bool) -> tuple[Attempt | None, bool]:
    """Returns the last attempt at a job, and whether a new one is due; `again`: the user asks for one."""
    attempt = history.last(job=job.name) if job else None
    if job is None or attempt is None:
        return None, True
    if attempt.digest != job.digest:
        words = f"--once {job.once} already stands for another request, to {attempt.path}: choose another name"
        raise UsageError(words, try_next=("history",))
    may_repeat = (attempt.status == FAILED and not is_safety(attempt.code)) or (again and attempt.status != STARTED)
    return attempt, may_repeat and not history.is_sending(attempt)


def failure_of(attempt: Attempt) -> ApiError | TaskError:
    """Returns the failure of an attempt, as the run that saw it reported it."""
    words, facts = attempt.error or f"{attempt.id} is {attempt.status}", {}
    if attempt.id:
        found = parse(attempt.id)
        facts = {"task_id": found.id, "try_next": ("request", "GET", found.path)}
    if attempt.status == REFUSED:
        return ApiError(words, issues=[{"field": attempt.code, "messages": []}] if attempt.code else None, **facts)
    if attempt.status == GONE:
        return ApiError(words, status=404, **facts)
    return TaskError(words, failure_code=attempt.code, **facts)


def has_files(attempt: Attempt, destination: str) -> bool:
    """Returns whether all outputs are still at `destination`, an absolute path that ends in a slash for a folder."""
    folder, name = os.path.split(destination)
    files = [path for path in attempt.saved.get(folder, []) if not name or _outputs(destination).fullmatch(path)]
    return bool(files) and all(map(os.path.isfile, files))


def may_own(attempt: Attempt, path: str) -> bool:
    """Returns whether the file at an absolute path is an output of the attempt, or may be an unrecorded one."""
    if attempt.saved or attempt.has_failed or not attempt.id or not attempt.destination:
        return path in attempt.files
    name = "" if os.path.basename(attempt.destination) else f"{attempt.id}.*"
    return bool(_outputs(attempt.destination + name).fullmatch(path))


def _outputs(destination: str) -> re.Pattern[str]:
    """Returns the pattern of the paths of outputs at a destination, numbered or not."""
    root, extension = os.path.splitext(destination)
    return re.compile(re.escape(root) + r"(-\d+)?" + (r"\.\w+" if extension == ANY else re.escape(extension)))


def recorded(attempt: Attempt, job: Job | None) -> dict[str, Json]:
    """Returns what the ledger has recorded of a job, as a result to print."""
    name = parse(attempt.id).id if attempt.id else None
    cost = {} if attempt.credits is None else {"cost": {"credits": attempt.credits}}
    once = {"once": job.once} if job and job.once is not None else {}
    return {"id": name, "status": attempt.status, **cost, "saved": list(map(relative, attempt.files)), **once}


def price_of(shape: str | None, *ledgers: Ledger) -> Json:
    """Returns the cost of the last job with this shape, None if unknown."""
    for ledger in ledgers:
        with suppress(LedgerMissing):
            same = ledger.last(shape=shape, status=SUCCEEDED)
            if same:
                return same.credits
    return None


def over_limit(limit: float, name: str, prices: Sequence[Json], price: Json, *, period: str = "") -> BudgetError | None:
    """Returns why no job of this price may start within a limit of credits for a period, None where it may.

    `name` is what sets the limit, `prices` are those of the jobs so far. An unknown price, None, is taken to be the
    highest known one. While no price is known, the next job has to wait until the first one has told its price.
    """
    known = [each for each in prices if each is not None]
    unknown = len(prices) - len(known)
    dearest = max(filter(None, [*known, price]), default=None)
    spent, cost = sum(known) + unknown * (dearest or 0), (dearest or 0) if price is None else price
    if dearest is None and unknown:
        words = "no further job while no price is known"
    elif limit > 0 and spent + cost <= limit:
        return None
    else:
        words = f"{counted(limit, 'credit')}{period}, {shown_number(spent)} {'is' if spent == 1 else 'are'} spent"
        if unknown:
            words += f", {counted(unknown, 'job')} of unknown price counted as {shown_number(dearest or 0)} each"
        if cost:
            words += f", and the next {'counts as' if price is None else 'costs'} {shown_number(cost)}"
    return BudgetError(f"{name} allows {words}", spent=number_of(spent), limit=number_of(limit))


def foreseen(history: Ledger, path: str, value: Json, job: Job | None) -> dict[str, Json]:
    """Returns what a dry run shows of a job that was started before, and of the cost of similar ones."""
    last = history.last(job=job.name) if job else None
    found = {"job": {"id": last.id, "status": last.status}} if last else {}
    same = history.last(shape=shape(path, value), status=SUCCEEDED)
    if same and same.credits is not None:
        found["estimate"] = {"credits": same.credits, "from": same.id, "at": same.startedAt}
    return found


def digest(path: str, value: Json) -> str:
    """Returns what identifies a request: a hash of its path and body, in which files are hashes of their content."""
    import hashlib

    return hashlib.sha256(jsontext.encoded([path, value], is_sorted=True)).hexdigest()[:32]


def shape(path: str, value: Json) -> str | None:
    """Returns a hash of what determines a price, without texts, seeds and URLs; None if a duration or length does."""

    def priced(value: Json, key: str = "") -> Json:
        if isinstance(value, dict):
            if str(value.get("type")) in ("video", "audio"):
                raise ValueError
            return {name: priced(item, name) for name, item in value.items() if not re.search(TEXTS, name)}
        if isinstance(value, list):
            return [priced(item, key) for item in value]
        if isinstance(value, str) and ADDRESS.match(value):
            if re.search(MEDIA, key) or re.match(r"data:(video|audio)", value):
                raise ValueError
            return "address"
        return value

    try:
        return None if re.search(UNPRICED, path) else digest(path, priced(value))
    except ValueError:  # a sound or a video is among the inputs
        return None


def _comparable(value: Json) -> Json:
    """Returns a body with each value as text: whether `generate` sends 5 or "5" depends on the contract it has."""
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return list(map(_comparable, value))
    if not isinstance(value, str):
        return value if value is None else jsontext.dumps(value)
    try:
        found = jsontext.loads(value)
        return _comparable(found) if isinstance(found, (dict, list)) else value
    except (ValueError, RecursionError):
        return value


def is_api_dry_run(path: str, value: Json) -> bool:
    """Returns whether the body asks the API to start nothing: `/v1/generate/*` take "dryRun": true."""
    return path.startswith("/v1/generate/") and isinstance(value, dict) and value.get("dryRun") is True


def no_id(answer: Json) -> ApiError:
    """Returns the failure of a POST whose answer names nothing to wait for."""
    found = answer.get("id") if isinstance(answer, dict) else None
    words = "the answer has no id to wait for" + ("" if found is None else f", but {jsontext.dumps(found)}")
    return ApiError(words, status=200, may_have_been_accepted=True)
