"""Tasks, and everything else that has a status to wait for.

From a POST to a saved file: `created_by` tells what the id in the answer is of, `PolledTask.step` polls it until its
status is one of GOOD_ENDS or BAD_ENDS, and saves the outputs after a good end.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ..api.client import Client
from ..api.paths import api_path, segment
from ..api.retry import MAX_RETRY_AFTER, may_poll_again
from ..errors import ApiError, DeniedError, Mistyped, NetworkError, RunwayError, TaskError, UsageError, WaitTimeout
from ..jsontext import Json
from ..settings import MIN_INTERVAL, QUOTES, absolute, counted, number_of, relative, shown_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ledger import Ledger
    from .schedule import Emit

    # The event of a poll, or, with the bytes that are done and the total, of an output that is being saved
    Progress = tuple["PolledTask", "int | None", "int | None"]

TASKS = "/v1/tasks/"  # created by every POST that is not listed here: so a new endpoint works on its first day
SESSIONS = "/v1/realtime_sessions/"
# The path above the ids of a pollable resource, and the path (if it ends in a slash, its beginning) that creates one
FAMILIES = {
    "/v1/workflow_invocations/": "/v1/workflows/",
    "/v1/avatars/": "/v1/avatars",
    "/v1/voices/": "/v1/voices",
    SESSIONS: "/v1/realtime_sessions",
}
SUCCEEDED, FAILED, CANCELLED = "SUCCEEDED", "FAILED", "CANCELLED"
GOOD_ENDS = (SUCCEEDED, "READY", "COMPLETED")
BAD_ENDS = (FAILED, CANCELLED)
GONE = "GONE"  # the API no longer knows it
STARTS_NOTHING = ("/v1/documents", "/v1/uploads", "/v1/organization/usage", "/v1/routers", "/v1/voices/preview")

# The beginning of a failure code, the longer one first, and what to do. Source: the API's page on task failures.
ADVICE = (
    ("SAFETY", "moderation refused it: do not repeat the call unchanged"),
    ("INTERNAL.BAD_OUTPUT", "the output was bad: the same call may be tried again"),
    ("INTERNAL", "an error of the service: the same call may be tried again"),
    ("ASSET.INVALID", "an input file or URL cannot be used: fix the input"),
    ("THIRD_PARTY", "the model's provider failed: the same call may be tried again later"),
)


def is_safety(code: Json) -> bool:
    """Returns whether a failure code means that moderation refused the request."""
    return str(code).startswith("SAFETY")


class Pollable:
    """A resource that can be polled, by its id and its family, the path above it. `parse` reads its `name`."""

    def __init__(self, family: str, id: str) -> None:
        self.family = family
        self.id = id
        self.path = family + segment(id)  # of the API
        self.name = id if family == TASKS and id != "-" else family + id  # "-" means stdin


def parse(name: str) -> Pollable:
    """Returns the resource with this name: a task's id, or the path of a family with an id. Raises UsageError."""
    path = name if name.startswith("/") else f"/{name}"
    family = next(filter(path.startswith, (TASKS, *FAMILIES)), "")
    identity = path[len(family) :] if family else name
    if is_id(identity):
        return Pollable(family or TASKS, identity)
    api_path(name)
    if any(mark in name for mark in f"{QUOTES}{{}}[]"):
        bare = name.strip(f"{QUOTES}[],")
        words = f"{name!r} is JSON or in quotes, not an id: `jq -r .id` and `--select id` print ids without quotes"
        raise Mistyped(words, wrong=name, right=bare) if is_id(bare) else UsageError(words, try_next=("history",))
    paths = ", ".join(family + "ID" for family in (TASKS, *FAMILIES))
    raise UsageError(f"{name!r} is not an id, nor one of {paths}", try_next=("history",))


def is_id(text: str) -> bool:
    """Returns whether a text can be an id: it must stay within one segment of a path."""
    return text not in ("", ".", "..") and text.isprintable() and not any(c in f" /\\?#{{}}{QUOTES}" for c in text)


def created_by(path: str) -> str | None:
    """Returns the family of what a POST to this path creates, None where it creates nothing to pay or wait for."""
    plain = "/" + path.partition("?")[0].strip("/")
    for family, made_by in FAMILIES.items():
        if plain == made_by or (made_by.endswith("/") and plain.startswith(made_by)):
            return family
    return None if plain in STARTS_NOTHING else TASKS


def credits_of(answer: Json) -> Json:
    """Returns the credits in an answer: `cost`, else `estimatedCost`, its own or of its `routing`; None without any."""
    found = _object(answer)
    for cost in (found.get("cost"), found.get("estimatedCost"), _object(found.get("routing")).get("estimatedCost")):
        credits = number_of(_object(cost).get("credits"))
        if credits is not None:
            return credits
    return None


def urls_of(answer: Json) -> list[str]:
    """Returns the output URLs of a task (a list) or of a workflow invocation ({nodeId: list}), in their order."""
    output = _object(answer).get("output")
    lists = output.values() if isinstance(output, dict) else [output]
    return [url for urls in lists for url in (urls if isinstance(urls, list) else [urls]) if isinstance(url, str)]


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


class PolledTask:
    """A resource that is polled until it ends, and whose outputs are saved then, as a job of the scheduler.

    `interval` is in seconds, `deadline` a moment of the client's clock. Outputs are saved as `destination`, or in that
    folder by the id; `may_be_ours` tells whether a file may be an output that was saved before, by default any in a
    folder. `is_paid`: this run or an earlier call started the task, so it exists. If not, and the first polls fail for
    a reason that time cannot cure, polling ends after --retries more.
    """

    def __init__(
        self,
        client: Client,
        pollable: Pollable,
        *,
        interval: float = MIN_INTERVAL,
        deadline: float | None = None,
        is_paid: bool = True,
        destination: str | None = None,
        force: bool = False,
        may_be_ours: Callable[[str], bool] | None = None,
    ) -> None:
        self.client = client
        self.pollable = pollable
        self.name = pollable.name
        self.interval = 1.0 if pollable.family == SESSIONS else interval  # as the API allows
        self.deadline = deadline
        self.destination = destination
        self._force = force
        self._may_be_ours = may_be_ours
        self._folder: str | None = None  # of the outputs, once saving has begun
        self._paths: list[str] = []  # where they go
        self._denied: DeniedError | None = None  # why the URLs have to be read again
        self._is_paid = is_paid
        self._tries = client.target.retries + 1  # polls that may fail in that way at first
        self.answer: dict[str, Json] | None = None  # the last one
        self.status = ""  # of the answer, like the next three
        self.progress: float | None = None  # from 0 to 1, None where it is unknown
        self.credits: Json = None
        self.node_errors: dict[str, Json] = {}  # the failed nodes of a workflow invocation, by their id
        self.error: RunwayError | None = None  # what ended the polling early
        self.trouble: RunwayError | None = None  # why the last poll failed, where polling continues
        self.saved: list[str] = []  # the paths of the outputs
        self.warnings: list[str] = []
        self.is_saved = False  # every output is on the disk

    @property
    def has_ended(self) -> bool:
        """Returns whether there is nothing more to wait for."""
        return self.error is not None or self.status in (*GOOD_ENDS, *BAD_ENDS)

    @property
    def is_missing(self) -> bool:
        """Returns whether the API itself, not a gateway, answered that it does not exist."""
        return isinstance(self.error, ApiError) and self.error.status == 404 and self.error.from_provider

    def step(self, emit: Emit) -> float | None:
        """Polls once, and saves the outputs after a good end. Returns the seconds to the next poll, None at the end."""
        if self.deadline is not None and self.client.clock.monotonic() >= self.deadline:
            self.error = self._denied and (self.trouble or self._denied)
            return None
        self._poll()
        emit((self, None, None))
        if self.destination and self.status in GOOD_ENDS and not self.error and not self.trouble:
            try:
                self._save(self.destination, emit)
            except DeniedError as denied:  # signed URLs expire, and the API signs new ones
                if not self._denied:
                    self.client.console.note(f"{self.name}: the output URLs have expired; reading the task once more")
                    self._denied = denied
                    return self.interval
                self.error = denied
            except RunwayError as error:
                self.error = error
            else:
                self._denied = None
        if self.error or (self.has_ended and not self._denied):
            return None
        retry_after = self.trouble.retry_after if isinstance(self.trouble, ApiError) else 0.0
        return max(self.interval, min(retry_after, MAX_RETRY_AFTER))

    def read(self) -> None:
        """Reads the resource into `answer`, `status` and so on. Raises as `client.call`, ApiError for other JSON."""
        found = self.client.call("GET", self.pollable.path, retries=0, deadline=self.deadline).value
        if not isinstance(found, dict):
            words = f"the answer for {self.name} is not an object"
            raise ApiError(words, status=200, is_json=False, permanent=True)
        self.answer, status, share = found, found.get("status"), number_of(found.get("progress"))
        self.status = status if isinstance(status, str) else ""
        self.progress = share if share is not None and share <= 1 else None
        self.credits = credits_of(found)
        self.node_errors = _object(found.get("nodeErrors"))

    def _poll(self) -> None:
        """Calls `read`, and keeps its failure: as `trouble` where polling continues, as `error` where it ends."""
        before, self.trouble = self.trouble, None
        try:
            self.read()
        except RunwayError as failure:
            if not self._is_paid and self.answer is None and failure.fact("permanent"):
                self._tries -= 1
            if not may_poll_again(failure) or self._tries <= 0:
                self.error = failure
                return
            self.trouble = failure
            if before is None or before.message != failure.message:
                self.client.console.note(f"{self.name}: {failure.message}; polling continues")

    def _save(self, destination: str, emit: Emit) -> None:
        """Saves every output, adding each path to `saved` once its file is whole."""
        from ..files.download import ANY, Download, check_name, destinations, is_folder, remove_part_files, safe_name

        client, force, deadline, urls = self.client, self._force, self.deadline, urls_of(self.answer)
        if not urls and not self._denied:
            client.console.note(f"{self.name} has no outputs to save")
        in_folder = is_folder(destination)
        if in_folder:
            id = self.pollable.id
            stem = safe_name(id)
            if stem != id:  # two ids may have the same safe name
                import hashlib

                stem += f"-{hashlib.sha256(id.encode('utf-8', 'replace')).hexdigest()[:8]}"
            destination = os.path.join(destination, stem + ANY)
        self._folder = os.path.dirname(absolute(destination))
        may_be_ours = self._may_be_ours or (lambda _: in_folder)
        paths = destinations(destination, len(urls))
        if self._denied and paths != self._paths:
            raise ApiError(f"{self.name} no longer has its {counted(len(self._paths), 'output')}", status=200)
        self._paths = paths
        left = list(zip(urls, paths))[len(self.saved) :]
        for _, path in left:  # before the first one is saved: files that appear later are this run's
            if not may_be_ours(path):
                check_name(path, force=force)

        # What a killed run has left of them goes; a run that is at work has its part files locked.
        remove_part_files(self._folder, [os.path.splitext(os.path.basename(path))[0] for path in paths])

        for url, path in left:
            download = Download(client, url, path, may_be_ours=may_be_ours, force=force, deadline=deadline)
            download.save(lambda done, total: emit((self, done, total)))
            self.saved.append(download.path)
            self.warnings += [download.warning] if download.warning else []
        self.is_saved = bool(urls)

    def record_end(self, ledger: Ledger) -> None:
        """Records an end, and the outputs only once all are saved: otherwise the same call has to save them."""
        is_good = self.status in GOOD_ENDS
        if self.error and self.is_missing and not is_good:  # a missing output does not mean a missing task
            ledger.ended(self.name, GONE, error=self.error.message)
        elif is_good or self.status in BAD_ENDS:
            bad_end = self._bad_end()
            facts = {"credits": self.credits, "code": (self.answer or {}).get("failureCode")}
            if is_good and not self.error:
                facts.update(saved=[absolute(path) for path in self.saved], folder=self._folder)
            ledger.ended(self.name, self.status, error=bad_end.message if bad_end else None, **facts)

    def fault(self, max_wait: float) -> RunwayError | None:
        """Returns why it failed or is unfinished, None if it ended well."""
        facts: dict[str, Json] = {"task_id": self.pollable.id}
        if error := self.error:
            facts["destination"] = relative(self.destination) if self.destination else None
            can_resume = error.kind in ("io", "network", "timeout") or (self.answer and error.kind != "auth")
            if self._is_paid or can_resume:
                facts["waiting_for"] = (self.name,)
            elif error.fact("permanent"):  # another server may have answered
                facts["try_next"] = ("auth", "status")
            return error.but(**facts)
        if not self.has_ended:
            last = f"still {self.status}" if self.status else "without a status" if self.answer else "of unknown status"
            trouble = f" ({self.trouble.message})" if self.trouble else ""
            words = f"{self.name} is {last} after {shown_number(max_wait)} s{trouble}"
            is_unheard = not self._is_paid and self.answer is None and isinstance(self.trouble, NetworkError)
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
            reason, code = _object(error).get("message"), _object(error).get("failureCode")
            words.append(f"node {node}: {str(reason or 'failed').rstrip('.')}{f', {code}' if code else ''}")
        code = answer["failureCode"] if isinstance(answer.get("failureCode"), str) else None
        words += [advice for start, advice in ADVICE if str(code).startswith(start)][:1]
        look = ("request", "GET", self.pollable.path)
        return TaskError(": ".join(words), task_id=self.pollable.id, failure_code=code, try_next=look)
