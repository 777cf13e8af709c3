"""When a row of a batch may be sent: the reasons to stop, the pace after 429, and the answers on their way.

Rules:
1. Whatever stops the starting of rows, rows that have started go on.
2. After 429 no POST is sent for the time that the service asks for, and then one at a time, further and further apart
   until one is accepted. Polling keeps its pace.
3. Where 429 does not end, or several rows one after the other use up their tries, the rest is left for another run.
"""

from __future__ import annotations

import os
from threading import Lock

from .. import jsontext
from ..api.retry import DIRECT
from ..errors import ApiError, ConfigError, DeniedError, NetworkError, OutputError, RunwayError, UsageError
from ..files.download import destinations
from .batch_log import DONE, FAILED, NEW, STARTED, UNCERTAIN, amount
from .rows import saved_files
from .schedule import Scheduler
from .start import no_id, start
from .tasks import GOOD_ENDS, PolledTask, credits_of, parse, saver, urls_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from ..api.client import Client
    from ..errors import Failure
    from .batch_log import BatchLog, LogState
    from .history import History
    from .rows import InputFile, Row
    from .schedule import Emit
    from .tasks import PolledTask, Save


MAX_GAP = 30.0  # seconds between two POSTs after 429
MAX_EXHAUSTED = 3  # rows one after the other whose tries are used up
MAX_ROUNDS = 4  # of POSTs that are answered 429 and none accepted, beyond --retries: a daily limit may be reached


class Starts:
    """The permission to send. Safe to use from several threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = Lock()
        self._not_before = 0.0
        self._gap = 0.0
        self._exhausted = 0
        self.rounds = 0  # how often a POST that was sent after the last 429 was answered 429 again
        self.is_stopped = False
        self.sending = 0  # POSTs whose answer has not been recorded yet

    def stop(self) -> None:
        """No further row is sent."""
        with self._lock:
            self.is_stopped = True

    def enter(self) -> float | None:
        """0 if a POST may be sent now, which `leave` ends; else the seconds to wait; None where none may be sent."""
        with self._lock:
            if self.is_stopped:
                return None
            now = self._client.clock.monotonic()
            if now < self._not_before:
                return self._not_before - now
            if self._gap:
                self._not_before = now + self._gap
            self.sending += 1
            return 0.0

    def leave(self) -> None:
        """The answer of a POST is recorded, or there was none."""
        with self._lock:
            self.sending -= 1

    def accepted(self) -> None:
        """A POST was accepted: the pace recovers."""
        with self._lock:
            self._exhausted = self.rounds = 0
            self._gap = 0.0 if self._gap <= 1 else self._gap / 2

    def delay(self, failure: RunwayError, tries: int, rounds: int) -> float | None:
        """Seconds until a row is tried again, of which `tries` failed before this one; None where it must not be.

        `rounds` is what it was when the row was sent. The row is left then, and if that means that all others are left
        too, `is_stopped` is set.
        """
        if isinstance(failure, (DeniedError, ConfigError, OutputError)):
            self.stop()
        if isinstance(failure, DeniedError) or not isinstance(failure, (ApiError, NetworkError)):
            return None
        is_throttled = failure.fact("status") == 429
        delay = self._client.retry_delay("POST", failure, 0 if is_throttled else tries)
        is_news = True
        with self._lock:
            if is_throttled:
                is_news = self.rounds == rounds  # and not one of several that were on their way together
                delay = self._throttle(delay, self._client.target.retries, is_news)
            if delay is None:
                self._exhausted += 1
                self.is_stopped = self.is_stopped or self._exhausted >= MAX_EXHAUSTED
        if delay is not None and is_news:
            self._client.console.note(f"{failure.message}: trying again in {delay:.1f} s")
        return delay

    def _throttle(self, delay: float | None, retries: int, is_news: bool) -> float | None:
        """Slows the starting of rows; the delay, None where 429 does not end."""
        if is_news:
            self.rounds += 1
            self._gap = min(max(1.0, 2 * self._gap), MAX_GAP)
        if self.rounds > retries + MAX_ROUNDS:
            self.is_stopped = True
            delay = None
        now = self._client.clock.monotonic()
        self._not_before = max(self._not_before, now + (self._gap if delay is None else max(delay, self._gap)))
        return delay


def is_unsent(failure: RunwayError) -> bool:
    """Whether a POST that was surely not accepted may be sent again as it is; else the API has refused the row."""
    if isinstance(failure, ApiError):
        return isinstance(failure, DeniedError) or DIRECT.is_retryable("POST", failure)
    return True


# --- Where the outputs of a batch go: one folder, and in it a name for each row.


class BatchOutputs:
    """The folder of a run, with a slash at its end; `force` lets outputs replace files."""

    def __init__(self, folder: str, rows: Iterable[Row], *, force: bool) -> None:
        self.folder = folder
        self._force = force
        self._owners = {row.name.casefold(): row for row in rows}

    def saver(self, row: Row) -> Save:
        """What saves the outputs of a row: NAME.png, or NAME-1.png, NAME-2.png, …"""
        save_all = saver(self.folder, force=self._force, stem=row.name)

        def save(task: PolledTask, emit: Emit) -> None:
            for target in destinations(self.folder, row.name, len(urls_of(task.answer))):
                owner = self._owners.get(os.path.basename(target.path).casefold(), row)
                if owner is not row:
                    words = f"{target.path} would be a file of line {owner.line} too: save it with `wait`"
                    raise OutputError(words, taken=target.path)
            save_all(task, emit)

        return save


# --- A row at work: its uploads, its POST, then the polling of what it started.


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


# --- The run of a batch: which rows are to be done, and their work, several at once.

# `BatchPlan` sorts the rows by what the log knows: to be printed from it, to be waited for, to be sent. `Batch` does the
# work and yields each row as its work ends. The caller records the end, so that a row is recorded before it is printed.


DRAIN = 5.0  # seconds that answers on their way are awaited when the run is interrupted


class BatchPlan:
    """The rows by what is to be done. `folder` is the absolute path of the folder for outputs, None without one.

    `known` are done or failed, or nobody knows; `waiting` have an id; `unsent` are to be sent.
    """

    def __init__(
        self, rows: Sequence[Row], state: LogState, *, folder: str | None, retry_failed: bool, retry_uncertain: bool
    ) -> None:
        self.known: list[Row] = []
        self.waiting: list[Row] = []
        self.unsent: list[Row] = []
        again = {NEW, *((FAILED,) if retry_failed else ()), *((UNCERTAIN,) if retry_uncertain else ())}
        for row in rows:
            found = state.rows.get(row.key)
            standing = found.standing if found else NEW
            if standing in again:
                self.unsent.append(row)
            elif standing == STARTED or (found and standing == DONE and saved_files(found, folder) is None):
                self.waiting.append(row)
            else:
                self.known.append(row)


class Limits:
    """The limits of a run: rows in flight, seconds for each row (0: none), credits in all (None: no limit)."""

    __slots__ = ("max_credits", "max_wait", "parallel")

    def __init__(self, *, parallel: int, max_wait: float, max_credits: int | None) -> None:
        self.parallel = parallel
        self.max_wait = max_wait
        self.max_credits = max_credits


class Batch:
    """A run. `in_flight` are the jobs at work, `left` the rows that are still to be sent, `log` knows the others."""

    def __init__(
        self,
        client: Client,
        history: History,
        log: BatchLog,
        plan: BatchPlan,
        *,
        limits: Limits,
        outputs: BatchOutputs | None,
    ) -> None:
        self.in_flight: list[RowJob] = []
        self.left = list(reversed(plan.unsent))
        self.starts = Starts(client)
        self._sent: set[str] = set()  # keys of the rows that this run sends
        self._work = Work(client, history, log, self.starts, limits.max_wait)
        self._waiting = list(reversed(plan.waiting))
        self.log = log
        self._limits = limits
        self._outputs = outputs
        self._scheduler: Scheduler | None = None

    @property
    def is_at_budget(self) -> bool:
        """Whether --max-credits lets no further row start."""
        return self._limits.max_credits is not None and not self._is_within(self._limits.max_credits)

    def run(self, emit: Emit) -> Iterator[RowJob]:
        """Yields each row whose work has ended: done, failed, out of time or not sent. Raises Interrupted."""
        work = len(self.left) + len(self._waiting)
        if not work:
            return
        client = self._work.client

        def handle(event: object) -> None:
            if event is None:  # time has passed, or a job has something new
                self._fill()
            emit(event)

        # threads even for one row: a signal must not break off a POST
        self._scheduler = Scheduler(client.clock, client.shutdown, handle, min(self._limits.parallel, work))
        self._fill()
        for job in self._scheduler.run():
            assert isinstance(job, RowJob)
            if job.is_denied:
                self.starts.stop()
            yield job
            self.in_flight.remove(job)
            self._fill()

    def drain(self) -> Iterator[RowJob]:
        """Ends a run that was stopped: no further row is sent, and answers on their way are awaited for a while.

        Yields the rows whose work ends meanwhile.
        """
        self.starts.stop()
        if self._scheduler is None or not self.starts.sending:
            return
        for job in self._scheduler.drain(DRAIN):
            if isinstance(job, RowJob) and (job.failure or (job.task and job.task.has_ended)):
                yield job
            if not self.starts.sending:
                return

    def _fill(self) -> None:
        """Puts rows to work while there is room; those that have started come first."""
        while self._scheduler and len(self.in_flight) < self._limits.parallel:
            if self._waiting:
                row = self._waiting.pop()
                save = self._outputs.saver(row) if self._outputs else None
                job = RowJob(self._work, row, save, self._work.task(self.log.state.rows[row.key].id, save))
            elif self.left and self._may_send():
                row = self.left.pop()
                self._sent.add(row.key)
                job = RowJob(self._work, row, self._outputs.saver(row) if self._outputs else None)
            else:
                return
            self.in_flight.append(job)
            self._scheduler.add(job)

    def _may_send(self) -> bool:
        """Whether one more row may be sent."""
        return not (self.starts.is_stopped or self.log.failure or self.is_at_budget)

    def _is_within(self, limit: int) -> bool:
        """Whether all rows of the log cost less than this, and what is on its way with them.

        An attempt whose cost is not known counts as what a row has cost at most. Where no row has told yet, the first
        one of this run has to.
        """
        state = self.log.state
        unknown, spent, most = dict(state.unknown), state.spent, state.most
        for job in self.in_flight:
            row = state.rows.get(job.row.key)
            past = row.past_unknown if row else 0
            if job.credits is None:
                unknown[job.row.key] = max(unknown.get(job.row.key, 0), past + 1)
            else:
                unknown[job.row.key] = past
                spent += amount(job.credits) - (amount(row.credits) if row else 0.0)
                most = max(most, amount(job.credits))
        if not most and any(unknown.get(key) for key in self._sent):
            return False
        return spent + sum(unknown.values()) * most < limit
