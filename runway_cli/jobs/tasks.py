"""Tasks, and whatever else has a status to wait for.

From a POST to a saved file: `started_by` tells which resource the id in the answer belongs to, `PolledTask.step` polls
it until its status is one of GOOD_ENDS or BAD_ENDS, and `save_outputs` saves the files of a good end.
"""

from __future__ import annotations

import os

from ..api.paths import api_path, segment
from ..api.retry import MAX_RETRY_AFTER, may_poll_again
from ..errors import (
    ApiError,
    DeniedError,
    Mistyped,
    NetworkError,
    OutputError,
    RunwayError,
    TaskError,
    UsageError,
    WaitTimeout,
)
from ..settings import MIN_INTERVAL, QUOTES, absolute, counted, number_of, relative, shown_number
from .ledger import BAD_ENDS, GONE, GOOD_ENDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Optional

    from ..api.client import Client
    from ..files.download import Known
    from .ledger import Ledger
    from .schedule import Emit

    Save = Callable[["PolledTask", Emit], None]
    # The event of a poll, or, with the bytes that are done and the total, of an output that is being saved
    Progress = tuple["PolledTask", Optional[int], Optional[int]]


TASKS = "/v1/tasks/"  # created by every POST that is not named here: so a new endpoint works on the day it appears
SESSIONS = "/v1/realtime_sessions/"
# The path above the ids of a resource that can be polled, and what a POST to creates one; below it, after a slash
CREATED_BY = {
    "/v1/workflow_invocations/": "/v1/workflows/",
    "/v1/avatars/": "/v1/avatars",
    "/v1/voices/": "/v1/voices",
    SESSIONS: "/v1/realtime_sessions",
}
INTERVALS = {SESSIONS: 1.0}  # seconds between two polls, where the API allows other ones than the caller chooses
STARTS_NOTHING = ("/v1/documents", "/v1/uploads", "/v1/organization/usage", "/v1/routers", "/v1/voices/preview")

# The beginning of a failure code, the longer one first, and what to do. Source: the API's page on task failures.
ADVICE = (
    ("SAFETY", "moderation refused it: do not repeat the call unchanged"),
    ("INTERNAL.BAD_OUTPUT", "the output was bad: the same call may be tried again"),
    ("INTERNAL", "an error of the service: the same call may be tried again"),
    ("ASSET.INVALID", "an input file or URL cannot be used: fix the input"),
    ("THIRD_PARTY", "the model's provider failed: the same call may be tried again later"),
)


def is_safety(code: Any) -> bool:
    """Returns whether a failure code means that moderation refused the request."""
    return str(code).startswith("SAFETY")


class Pollable:
    """A resource that can be polled, by its id and its family, the path above it."""

    __slots__ = ("family", "id")

    def __init__(self, family: str, id: str) -> None:
        self.family = family
        self.id = id

    @property
    def path(self) -> str:
        """Returns its path in the API."""
        return self.family + segment(self.id)

    @property
    def name(self) -> str:
        """Returns its name for users, which `parse` reads: a task's id, else its path (so for `-`, meaning stdin)."""
        return self.id if self.family == TASKS and self.id != "-" else self.family + self.id


def parse(name: str) -> Pollable:
    """Returns the resource with this name: a task's id, or the path of a family with an id. Raises UsageError."""
    path = name if name.startswith("/") else f"/{name}"
    family = next(filter(path.startswith, (TASKS, *CREATED_BY)), "")
    identity = path[len(family) :] if family else name
    if is_id(identity):
        return Pollable(family or TASKS, identity)
    api_path(name)
    if any(mark in name for mark in f"{QUOTES}{{}}[]"):
        bare = name.strip(f"{QUOTES}[],")
        words = f"{name!r} is JSON or in quotes, not an id: `jq -r .id` and `--select id` print ids without quotes"
        raise Mistyped(words, wrong=name, right=bare) if is_id(bare) else UsageError(words, try_next=("history",))
    paths = ", ".join(family + "ID" for family in (TASKS, *CREATED_BY))
    raise UsageError(f"{name!r} is not an id, nor one of {paths}", try_next=("history",))


def parse_all(names: Sequence[str]) -> list[Pollable]:
    """Returns the resources with these names, each once. Raises UsageError."""
    return list({pollable.path: pollable for pollable in map(parse, names)}.values())


def is_id(text: str) -> bool:
    """Returns whether a text can be an id: it must stay within its segment of a path."""
    return text not in ("", ".", "..") and text.isprintable() and not any(c in f" /\\?#{{}}{QUOTES}" for c in text)


def may_start(path: str) -> bool:
    """Returns whether a POST to this path may create something that costs credits or has a status to wait for."""
    return _plain(path) not in STARTS_NOTHING


def started_by(path: str, identity: str) -> Pollable:
    """Returns the resource that a POST to `path` created, by the id in its answer."""
    plain = _plain(path)
    for family, made_by in CREATED_BY.items():
        if plain == made_by or (made_by.endswith("/") and plain.startswith(made_by)):
            return Pollable(family, identity)
    return Pollable(TASKS, identity)


def _plain(path: str) -> str:
    return "/" + path.partition("?")[0].strip("/")


def credits_of(answer: Any) -> Any:
    """Returns the credits in an answer: `cost`, else `estimatedCost`, its own or of its `routing`; None without any."""
    found = answer if isinstance(answer, dict) else {}
    routing = found.get("routing")
    estimate = routing.get("estimatedCost") if isinstance(routing, dict) else None
    for cost in (found.get("cost"), found.get("estimatedCost"), estimate):
        credits = number_of(cost.get("credits")) if isinstance(cost, dict) else None
        if credits is not None:
            return credits
    return None


class PolledTask:
    """A resource that is polled until it ends, as a job of the scheduler.

    `interval` is in seconds, `deadline` a moment of the client's clock. `save` is called at a good end: see `saver`.
    Where nobody knows whether there is such a task (`is_known` is false), first polls that all fail with what cannot
    pass by itself end the polling after --retries more.

    `answer` is the last answer, None before the first one. `error` is what ended the polling early; `trouble` is why
    the last poll failed, where polling continues. `saved` are the paths of the outputs, `warnings` their defects.
    """

    def __init__(
        self,
        client: Client,
        pollable: Pollable,
        *,
        interval: float = MIN_INTERVAL,
        deadline: float | None = None,
        save: Save | None = None,
        is_known: bool = True,
    ) -> None:
        self.client = client
        self.pollable = pollable
        self.interval = INTERVALS.get(pollable.family, interval)
        self.deadline = deadline
        self._save = save
        self._tries = float("inf") if is_known else client.target.retries + 1  # polls that may fail so at first
        self.answer: dict[str, Any] | None = None
        self.error: RunwayError | None = None
        self.trouble: RunwayError | None = None
        self.destination: str | None = None  # once saving has begun
        self.saved: list[str] = []
        self.warnings: list[str] = []
        self.is_saved = False  # every output is on the disk

    @property
    def name(self) -> str:
        return self.pollable.name

    @property
    def status(self) -> str:
        """Returns the last status seen, "" before the first."""
        status = self.answer.get("status") if self.answer else None
        return status if isinstance(status, str) else ""

    @property
    def has_ended(self) -> bool:
        """Returns whether there is nothing more to wait for."""
        return self.error is not None or self.status in (*GOOD_ENDS, *BAD_ENDS)

    @property
    def is_missing(self) -> bool:
        """Returns whether the API itself, and not a gateway, said that there is none."""
        error = self.error
        return error is not None and error.fact("status") == 404 and bool(error.fact("from_provider", True))

    @property
    def progress(self) -> float | None:
        """Returns a number from 0 to 1, None where it is unknown."""
        try:
            share = float(self.answer["progress"]) if self.answer else -1.0
        except (KeyError, TypeError, ValueError):
            return None
        return share if 0 <= share <= 1 else None

    @property
    def credits(self) -> Any:
        """Returns the credits of the last answer: see `credits_of`."""
        return credits_of(self.answer)

    @property
    def node_errors(self) -> dict[str, Any]:
        """Returns the failed nodes of a workflow invocation, by their id."""
        found = self.answer.get("nodeErrors") if self.answer else None
        return found if isinstance(found, dict) else {}

    def step(self, emit: Emit) -> float | None:
        """Polls once and saves the outputs at a good end. Returns the seconds until the next poll, None at the end."""
        if self.deadline is not None and self.client.clock.monotonic() >= self.deadline:
            return None
        self.poll()
        emit((self, None, None))
        if self.error is None and self.status in GOOD_ENDS and self._save:
            try:
                self._save(self, emit)
            except RunwayError as error:
                self.error = error
        if self.has_ended:
            return None
        retry_after = self.trouble.retry_after if isinstance(self.trouble, ApiError) else 0.0
        return max(self.interval, min(retry_after, MAX_RETRY_AFTER))

    def poll(self) -> None:
        """Reads the resource once. A failure that may pass becomes `trouble`, any other `error`."""
        before, self.trouble = self.trouble, None
        try:
            found = self.client.call("GET", self.pollable.path, retries=0, deadline=self.deadline).value
            if not isinstance(found, dict):
                words = f"the answer for {self.name} is not an object"
                raise ApiError(words, status=200, is_json=False, permanent=True)
            self.answer = found
        except RunwayError as failure:
            self._tries -= self.answer is None and bool(failure.fact("permanent"))
            if not may_poll_again(failure) or self._tries <= 0:
                self.error = failure
                return
            self.trouble = failure
            if before is None or before.message != failure.message:
                self.client.console.note(f"{self.name}: {failure.message}; polling continues")

    def record_end(self, ledger: Ledger, folder: str | None = None) -> None:
        """Records how it ended, where that was seen. `folder` is where all its outputs were to go.

        Where only some of them were saved, none is recorded: the same call is to save the others.
        """
        if self.destination and not self.saved:  # what has no outputs counts as saved, too
            folder = folder or os.path.dirname(absolute(self.destination))
        # A missing output does not make the task missing.
        if self.error and self.is_missing and self.status not in GOOD_ENDS:
            ledger.ended(self.name, GONE, error=self.error.message)
        elif self.status in (*GOOD_ENDS, *BAD_ENDS):
            is_whole = self.error is None and self.status in GOOD_ENDS
            bad_end = self._bad_end()
            ledger.ended(
                self.name,
                self.status,
                credits=self.credits,
                saved=[absolute(path) for path in self.saved] if is_whole else (),
                folder=folder if is_whole else None,
                code=(self.answer or {}).get("failureCode"),
                error=bad_end.message if bad_end else None,
            )

    def fault(self, max_wait: float, *, is_paid: bool = False) -> RunwayError | None:
        """Returns why it failed or is unfinished, None if it ended well. `is_paid`: this run started it."""
        facts: dict[str, Any] = {"task_id": self.pollable.id}
        error = self.error
        if error:
            facts["destination"] = relative(self.destination) if self.destination else None
            can_resume = is_paid or isinstance(error, (OutputError, NetworkError, WaitTimeout)) or bool(self.answer)
            if can_resume and (is_paid or not isinstance(error, DeniedError)):
                facts["waiting_for"] = (self.name,)
            elif error.fact("permanent"):  # another server answers
                facts["try_next"] = ("auth", "status")
            return error.but(**facts)
        if not self.has_ended:
            last = f"still {self.status}" if self.status else "without a status" if self.answer else "of unknown status"
            trouble = f" ({self.trouble.message})" if self.trouble else ""
            words = f"{self.name} is {last} after {shown_number(max_wait)} s{trouble}"
            is_unheard = not is_paid and self.answer is None and isinstance(self.trouble, NetworkError)
            return (NetworkError if is_unheard else WaitTimeout)(words, **facts, waiting_for=(self.name,))
        return self._bad_end()

    def _bad_end(self) -> TaskError | None:
        """Returns the failure of one that ended badly: the API's reasons, the nodes that failed, and advice."""
        if self.status not in BAD_ENDS and not self.node_errors:
            return None
        answer = self.answer or {}
        words = [f"{self.name} is {self.status}"]
        words += [str(answer[key]).rstrip(".") for key in ("failure", "failureReason") if answer.get(key)]
        for node, error in self.node_errors.items():
            found = error if isinstance(error, dict) else {}
            reasons = [str(found.get("message") or "failed").rstrip("."), str(found.get("failureCode") or "")]
            words.append(f"node {node}: {', '.join(filter(None, reasons))}")
        code = answer.get("failureCode") if isinstance(answer.get("failureCode"), str) else None
        words += [advice for start, advice in ADVICE if code and code.startswith(start)][:1]
        look = ("request", "GET", self.pollable.path)
        return TaskError(": ".join(words), task_id=self.pollable.id, failure_code=code, try_next=look)


def urls_of(answer: Any) -> list[str]:
    """Returns the output URLs of a task (a list) or of a workflow invocation ({nodeId: list}), in their order."""
    output = answer.get("output") if isinstance(answer, dict) else None
    found: list[str] = []
    for item in output.values() if isinstance(output, dict) else [output]:
        found += [url for url in (item if isinstance(item, list) else [item]) if isinstance(url, str)]
    return found


def saver(path: str, *, force: bool, known: Known = lambda _: False) -> Save:
    """Returns what saves the outputs of a polled task as `path`, or in that folder by the task's id.

    `known` tells which file may be an output that an earlier call saved as `path`.
    """
    from ..files.download import destinations, is_folder, safe_name

    def save_all(task: PolledTask, emit: Emit) -> None:
        task.destination = path
        stem = task.pollable.id
        if safe_name(stem) != stem:  # two ids may be made safe alike
            import hashlib

            stem = f"{safe_name(stem)}-{hashlib.sha256(stem.encode('utf-8', 'replace')).hexdigest()[:8]}"
        targets = destinations(path, stem, len(urls_of(task.answer)))
        save_outputs(task, targets, emit, force=force, known=lambda file: is_folder(path) or known(file))

    return save_all


def save_outputs(task: PolledTask, targets: list[str], emit: Emit, *, force: bool, known: Known) -> None:
    """Saves every output at its target, adding each path to `task.saved` once its file is whole.

    `known` tells which file may be such an output, saved before.

    Only `force` lets it replace files. Raises OutputError, ApiError, NetworkError or WaitTimeout.
    """
    from ..files.download import Download, check_name

    client, urls = task.client, urls_of(task.answer)
    if not urls:
        client.console.note(f"{task.name} has no outputs to save")
    for target in targets:  # before the first one is saved: what is there afterwards is this run's
        if not known(target):
            check_name(target, force=force)

    def emit_bytes(done: int, total: int | None) -> None:
        emit((task, done, total))

    is_fresh = False
    for index, target in enumerate(targets):
        while True:
            try:
                download = Download(
                    client, urls[index], target, known=known, force=force, emit=emit_bytes, deadline=task.deadline
                )
                saved = download.save()
                break
            except DeniedError as denied:
                if is_fresh:
                    raise
                urls, is_fresh = _fresh_urls(task, len(urls), denied), True
        task.saved.append(saved.path)
        task.warnings += [saved.warning] if saved.warning else []
    task.is_saved = bool(urls)


def _fresh_urls(task: PolledTask, count: int, denied: DeniedError) -> list[str]:
    """Polls the task once more, at its pace: signed URLs expire, and the API signs new ones.

    Raises `denied` where the deadline comes first.
    """
    client = task.client
    client.console.note(f"{task.name}: the output URLs have expired; reading the task once more")
    trouble: RunwayError | None = denied
    while trouble:
        if task.deadline is not None and client.clock.monotonic() + task.interval > task.deadline:
            raise trouble
        client.shutdown.sleep(client.clock, task.interval)
        task.poll()
        if task.error:
            raise task.error
        trouble = task.trouble
    urls = urls_of(task.answer)
    if len(urls) != count:
        raise ApiError(f"{task.name} no longer has its {counted(count, 'output')}", status=200)
    return urls
