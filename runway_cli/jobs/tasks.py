"""What to do about a task that failed, by its failure code. Source: the API's documentation of task failures."""

from __future__ import annotations

from ..api.paths import segment
from ..api.retry import MAX_RETRY_AFTER, may_poll_again
from ..errors import ApiError, DeniedError, NetworkError, RunwayError, UsageError
from ..files.download import destinations, refuse_taken, save, url_fault
from ..files.media import mismatch
from ..settings import MIN_INTERVAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..api.client import Client
    from .schedule import Emit

    Save = Callable[["PolledTask", Emit], None]
    from ..files.download import Destination, Saved, Transferred


# The beginning of a failure code, the more special one first: advice
ADVICE = (
    ("SAFETY.", "moderation refused it: do not repeat the call unchanged"),
    ("INTERNAL.BAD_OUTPUT", "the output was bad: the same call may be tried again"),
    ("INTERNAL", "an error of the service: the same call may be tried again"),
    ("ASSET.INVALID", "an input file or URL cannot be used: fix the input"),
    ("THIRD_PARTY", "the model's provider failed: the same call may be tried again later"),
)


def advice(failure_code: str) -> str | None:
    """The advice for a failure code, None for one that is not known."""
    return next((words for start, words in ADVICE if failure_code.startswith(start)), None)


# --- What can be polled: the families of ids, and which one a POST starts.


SESSION_INTERVAL = 1.0  # seconds; realtime sessions may be polled every second


class Family:
    """A kind of resource with a status: the path above its ids. `interval` is None where a call may choose it."""

    __slots__ = ("interval", "path")

    def __init__(self, path: str, interval: float | None = None) -> None:
        self.path = path
        self.interval = interval


TASKS = Family("/v1/tasks/")
INVOCATIONS = Family("/v1/workflow_invocations/")
FAMILIES = (
    TASKS,
    INVOCATIONS,
    Family("/v1/avatars/"),
    Family("/v1/voices/"),
    Family("/v1/realtime_sessions/", SESSION_INTERVAL),
)
STARTED_IN_PLACE = ("/v1/avatars", "/v1/voices", "/v1/realtime_sessions")  # a POST here makes what is polled below it
STARTS_NOTHING = ("/v1/documents", "/v1/uploads", "/v1/organization/usage", "/v1/routers", "/v1/voices/preview")


class Pollable:
    """One resource that is polled until it ends."""

    __slots__ = ("family", "id")

    def __init__(self, family: Family, id: str) -> None:
        self.family = family
        self.id = id

    @property
    def path(self) -> str:
        """Its path in the API."""
        return self.family.path + segment(self.id)

    @property
    def name(self) -> str:
        """What a user calls it by: a task's id, else the path."""
        return self.id if self.family is TASKS else self.family.path + self.id

    def interval(self, chosen: float = MIN_INTERVAL) -> float:
        """Seconds between two polls."""
        return self.family.interval or chosen


def parse(name: str) -> Pollable:
    """The pollable that an id, or one of the families' paths with an id, stands for. Raises UsageError."""
    family = next((family for family in FAMILIES if name.startswith(family.path)), TASKS)
    identity = name[len(family.path) :] if name.startswith(family.path) else name
    if not is_id(identity):
        paths = ", ".join(family.path + "ID" for family in FAMILIES)
        raise UsageError(f"{name!r} is not an id, nor one of {paths}", bad_id=name)
    return Pollable(family, identity)


def parse_all(names: Sequence[str]) -> list[Pollable]:
    """The pollables of several names, each once."""
    return list({pollable.path: pollable for pollable in map(parse, names)}.values())


def is_id(text: str) -> bool:
    """Whether a text can be an id: it must not leave its segment of a path."""
    is_strange = any(c in "/\\?#" or c.isspace() or not c.isprintable() for c in text)
    return bool(text) and text not in (".", "..") and not is_strange


def may_start(path: str) -> bool:
    """Whether a POST to this path may start something that costs credits or is polled."""
    return _plain(path) not in STARTS_NOTHING


def started_by(path: str, identity: str) -> Pollable:
    """What a POST to `path` started: a new endpoint starts a task until the API says something else."""
    plain = _plain(path)
    if plain.startswith("/v1/workflows/"):
        return Pollable(INVOCATIONS, identity)
    family = next((f for f in FAMILIES if plain in STARTED_IN_PLACE and f.path == plain + "/"), TASKS)
    return Pollable(family, identity)


def _plain(path: str) -> str:
    return "/" + path.partition("?")[0].strip("/")


# --- Polls a task until it has ended, no more often than the API allows, and saves its outputs.

# While waiting, failures that may pass (`retry.may_poll_again`: network errors, 408, 429, 5xx, an answer that is not
# JSON) are noted and polling goes on at its pace; every other failure ends the task's polling.


GOOD_ENDS = ("SUCCEEDED", "READY", "COMPLETED")
BAD_ENDS = ("FAILED", "CANCELLED")


class TaskProgress:
    """The event of polling or of a transfer: `task` has news; `done` of `total` bytes while an output is saved."""

    __slots__ = ("done", "task", "total")

    def __init__(self, task: PolledTask, done: int | None = None, total: int | None = None) -> None:
        self.task = task
        self.done = done
        self.total = total


class PolledTask:
    """Something that is polled until it ends, as a job of the scheduler.

    `answer` is the last answer, None before the first; `error` is what ended the polling early; `trouble` why the last
    poll brought nothing; `saved` are the paths of its outputs, `warnings` what is wrong with them.
    """

    def __init__(
        self,
        client: Client,
        pollable: Pollable,
        *,
        interval: float = MIN_INTERVAL,
        deadline: float | None = None,
        save: Save | None = None,
    ) -> None:
        self.client = client
        self.pollable = pollable
        self.interval = pollable.interval(interval)
        self.deadline = deadline
        self._save = save
        self.answer: dict[str, Any] | None = None
        self.error: RunwayError | None = None
        self.trouble: RunwayError | None = None
        self.saved: list[str] = []
        self.warnings: list[str] = []
        self.is_saved = False  # every output is on the disk

    @property
    def name(self) -> str:
        return self.pollable.name

    @property
    def status(self) -> str:
        """The last status seen, "" before the first."""
        status = self.answer.get("status") if self.answer else None
        return status if isinstance(status, str) else ""

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.error is not None or self.status in (*GOOD_ENDS, *BAD_ENDS)

    @property
    def progress(self) -> float | None:
        """From 0 to 1, None where the task tells none."""
        try:
            share = float(self.answer["progress"]) if self.answer else -1.0
        except (KeyError, TypeError, ValueError):
            return None
        return share if 0 <= share <= 1 else None

    @property
    def credits(self) -> Any:
        """What it costs, by its `cost`, else its `estimatedCost`; None where neither is known."""
        return credits_of(self.answer)

    @property
    def node_errors(self) -> dict[str, Any]:
        """The failed nodes of a workflow invocation, by their id."""
        found = self.answer.get("nodeErrors") if self.answer else None
        return found if isinstance(found, dict) else {}

    def step(self, emit: Emit) -> float | None:
        """Polls once; saves the outputs at a good end. Returns the seconds until the next poll, None at the end."""
        if self.deadline is not None and self.client.clock.monotonic() >= self.deadline:
            return None
        self.poll()
        emit(TaskProgress(self))
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
        """Asks once. A failure that may pass becomes `trouble`, any other `error`."""
        before, self.trouble = self.trouble, None
        try:
            found = self.client.call("GET", self.pollable.path, retries=0, deadline=self.deadline).value
        except (ApiError, NetworkError) as failure:
            if not may_poll_again(failure):
                self.error = failure
                return
            self.trouble = failure
            if before is None or before.message != failure.message:
                self.client.console.note(f"{self.name}: {failure.message}; polling goes on")
            return
        except RunwayError as failure:
            self.error = failure
            return
        if isinstance(found, dict):
            self.answer = found
        else:
            self.error = ApiError(f"the answer for {self.name} is not an object", status=200)


def credits_of(answer: Any) -> Any:
    """The credits that an answer names: `cost`, else `estimatedCost`, its own or of its `routing`; None without."""
    found = answer if isinstance(answer, dict) else {}
    routing = found.get("routing")
    estimate = routing.get("estimatedCost") if isinstance(routing, dict) else None
    for cost in (found.get("cost"), found.get("estimatedCost"), estimate):
        if isinstance(cost, dict) and cost.get("credits") is not None:
            return cost["credits"]
    return None


# --- The outputs of a task that ended well: which URLs it has, and each saved as a file.


def saver(path: str, *, force: bool, stem: str | None = None) -> Callable[[PolledTask, Emit], None]:
    """What saves the outputs of a polled task at `path`, in a folder under the name `stem`, else the task's id."""

    def save_all(task: PolledTask, emit: Emit) -> None:
        name, count = stem or task.pollable.id, len(urls_of(task.answer))
        save_outputs(task, destinations(path, name, count, by_content=stem is not None), force, emit)

    return save_all


def save_outputs(task: PolledTask, targets: list[Destination], force: bool, emit: Emit) -> None:
    """Saves every output, adding each path to `task.saved` once its file is whole.

    Raises OutputError, ApiError, NetworkError or WaitTimeout.
    """
    client = task.client
    urls = urls_of(task.answer)
    if not urls:
        client.console.note(f"{task.name} has no outputs to save")
    if not force:
        refuse_taken(targets)  # before the first is saved, so that what is there afterwards is this run's

    def save_one(index: int) -> Saved:
        def report(event: Transferred) -> None:
            emit(TaskProgress(task, event.done, event.total))

        return save(client, _checked(urls[index]), targets[index], force=force, emit=report, deadline=task.deadline)

    is_fresh = False
    for index, target in enumerate(targets):
        try:
            saved = save_one(index)
        except DeniedError as denied:
            if is_fresh:
                raise
            is_fresh = True
            urls = _fresh_urls(task, len(urls), denied)
            saved = save_one(index)
        task.saved.append(saved.path)
        if saved.skipped:
            client.console.note(f"{saved.path} is already saved")
        warning = None if target.in_folder else mismatch(saved.path)
        if warning:
            task.warnings.append(warning)
            client.console.note(warning)
    task.is_saved = bool(urls)


def urls_of(answer: Any) -> list[str]:
    """The output URLs of a task (a list) or of a workflow invocation ({nodeId: list}), in their order."""
    output = answer.get("output") if isinstance(answer, dict) else None
    found: list[str] = []
    for item in output.values() if isinstance(output, dict) else [output]:
        found += [url for url in (item if isinstance(item, list) else [item]) if isinstance(url, str)]
    return found


def _checked(url: str) -> str:
    fault = url_fault(url)
    if fault:
        raise ApiError(f"the output {url!r} {fault}", status=200)
    return url


def _fresh_urls(task: PolledTask, count: int, denied: DeniedError) -> list[str]:
    """The URLs of the task polled once more, at its pace: signed URLs expire, and the API signs new ones.

    Raises `denied` when the time is up before that.
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
        raise ApiError(f"{task.name} no longer has its {count} outputs", status=200)
    return urls
