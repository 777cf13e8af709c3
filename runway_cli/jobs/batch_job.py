"""A row at work: its uploads, its POST, then the polling of what it started."""

from __future__ import annotations

from .. import jsontext
from ..errors import DeniedError, OutputError, RunwayError, UsageError
from .batch_start import is_unsent
from .pollable import parse
from .polling import GOOD_ENDS, PolledTask, credits_of
from .starting import no_id, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..api.client import Client
    from ..errors import Failure
    from .batch_log import BatchLog
    from .batch_row import InputFile, Row
    from .batch_start import Starts
    from .history import History
    from .polling import Save
    from .scheduler import Emit


class Work:
    """What all rows of a run share. `save` makes what saves the outputs under a name, None where nothing is saved."""

    def __init__(self, client: Client, history: History, log: BatchLog, starts: Starts, max_wait: float) -> None:
        self.client = client
        self.history = history
        self.log = log
        self.starts = starts
        self.max_wait = max_wait
        self.uploads = Uploads(client, log)

    def task(self, name: str, save: Save | None) -> PolledTask:
        """The task of an id or path, to be waited for from now on."""
        deadline = self.client.clock.monotonic() + self.max_wait if self.max_wait else None
        return PolledTask(self.client, parse(name), deadline=deadline, save=save)


class RowJob:
    """One row, as a job of the scheduler.

    `task` is what is polled, None before the POST was accepted. `failure` is why there is none: `is_uncertain` where
    the POST may have been accepted, `is_refused` where the API refused it; else the row is unsent.
    """

    def __init__(self, work: Work, row: Row, save: Save | None, task: PolledTask | None = None) -> None:
        self.row = row
        self.task = task
        self.failure: RunwayError | None = None
        self.is_uncertain = False
        self.is_refused = False
        self.activity = "" if task else "waiting to be sent"
        self._work = work
        self._save = save
        self._tries = 0
        self._rounds = 0
        self._estimate: Any = None

    @property
    def deadline(self) -> float | None:
        return self.task.deadline if self.task else None

    @property
    def is_sent(self) -> bool:
        """Whether there is something to wait for."""
        return self.task is not None

    @property
    def is_denied(self) -> bool:
        """Whether the key was refused while the task was polled; an expired URL of an output says nothing about it."""
        task = self.task
        return task is not None and isinstance(task.error, DeniedError) and task.status not in GOOD_ENDS

    @property
    def credits(self) -> Any:
        """What it costs, as far as that is known."""
        found = self.task.credits if self.task else None
        return self._estimate if found is None else found

    def step(self, emit: Emit) -> float | None:
        """Sends the row, or polls what it started."""
        return self.task.step(emit) if self.task else self._send()

    def _send(self) -> float | None:
        try:
            files = [file for file in self.row.files() if file.is_upload]
            if files and not self._work.starts.is_stopped:
                self.activity = "uploading"
            uris = {file.digest: self._uri(file) for file in files if not self._work.starts.is_stopped}
            for file in self.row.files():
                file.check_unchanged()
        except UsageError as changed:
            self.failure = OutputError(changed.message)
            return None
        except RunwayError as failure:
            self.failure = failure.but(may_have_been_accepted=False)  # an upload costs nothing
            return self._try_again(failure, self._work.client.target.retries + 1)
        wait = self._work.starts.enter()
        if wait is None:
            return None
        if wait:
            return wait
        self._rounds = self._work.starts.rounds
        try:
            return self._post(uris)
        finally:
            self._work.starts.leave()

    def _post(self, uris: dict[str, str]) -> float | None:
        self.activity = "sending"
        row, work = self.row, self._work
        try:
            value = row.value(lambda file: uris[file.digest] if file.is_upload else file.data_uri())
            body = jsontext.encoded(value) if row.has_body else None
            started = start(work.client, work.history, row.path, body, value, retries=0, recorder=self)
        except UsageError as changed:
            self.failure = OutputError(changed.message)
            return None
        except RunwayError as failure:
            return self._failed(failure)
        work.starts.accepted()
        if started.pollable is None:
            self.failure, self.is_uncertain = no_id(work.client, started.answer), True
            return None
        self.failure = None
        self._estimate = credits_of(started.answer)
        self.task = work.task(started.pollable.name, self._save)
        return 0.0

    def _failed(self, failure: RunwayError) -> float | None:
        """What follows from a POST that failed: the delay before the next try, None if there is none."""
        self.failure = failure
        self.activity = "waiting to be sent"
        if failure.fact("may_have_been_accepted"):
            self.is_uncertain = True
            return None
        if not is_unsent(failure):
            self.is_refused = True
            return None
        return self._try_again(failure, 1)

    def _try_again(self, failure: RunwayError, used: int) -> float | None:
        """The delay before the next try after `used` more tries that failed, None if there is none."""
        self._tries += used
        return self._work.starts.delay(failure, self._tries - 1, self._rounds)

    def _uri(self, file: InputFile) -> str:
        return self._work.uploads.uri(file)

    # -- the record of the POST in the log; see `starting.Recorder` --

    def intend(self, key: str) -> None:
        self._work.log.intend(self.row.key, key, self.row.name)

    def started(self, key: str, name: str, credits: Any) -> None:
        self._work.log.started(self.row.key, key, name, credits)

    def refused(self, key: str, failure: Failure) -> None:
        if isinstance(failure, RunwayError) and not is_unsent(failure):
            self._work.log.refused(self.row.key, key, failure.message)
        else:
            self._work.log.unsent(self.row.key, key)


class Uploads:
    """The uploads of a batch: a file that several rows have is uploaded once, and again when the API has dropped it."""

    def __init__(self, client: Client, log: BatchLog) -> None:
        import threading  # the rows run in threads

        self._client = client
        self._log = log
        self._make_lock = threading.Lock
        self._turn = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def uri(self, file: InputFile) -> str:
        """The URI of a file, uploaded now or before. Raises what `upload` raises, and UsageError if it was changed."""
        from ..files.upload import upload

        with self._turn:
            lock = self._locks.setdefault(file.digest, self._make_lock())
        with lock:
            known = self._log.upload(file.digest)
            if known:
                return known
            file.check_unchanged()
            moment = self._client.clock.time()
            uri = upload(self._client, file.media, lambda _: None)
            self._log.uploaded(file.digest, uri, moment)
            return uri
