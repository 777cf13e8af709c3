"""The run of a batch: rows are uploaded, sent, polled and saved, several at once, and each is paid for once.

1. Whatever stops the sending of rows, rows that have started are waited for.
2. After 429 no POST is sent for the time that the service asks for. Then they go one at a time, with growing gaps,
   until one is accepted. Polling keeps its pace.
3. If 429 does not end, or if several rows in succession use up their retries, the rest is left for another run.
"""

from __future__ import annotations

import os
import re
from collections import deque
from threading import Lock

from .. import jsontext
from ..api.retry import DIRECT
from ..errors import ApiError, ConfigError, DeniedError, NetworkError, OutputError, RunwayError, UsageError
from ..files import download, upload
from ..settings import absolute
from .rows import SEND, WAIT
from .schedule import Scheduler
from .start import no_id, start
from .tasks import GOOD_ENDS, PolledTask, credits_of, parse, save_outputs, urls_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from ..api.client import Client
    from ..errors import Failure
    from .batch_log import BatchLog, LogState, RowState
    from .ledger import Ledger
    from .rows import InputFile, Row
    from .schedule import Emit
    from .tasks import Pollable


DRAIN = 5.0  # seconds that the answers to POSTs are awaited when the run is interrupted
MAX_GAP = 30.0  # seconds between two POSTs after 429
MAX_EXHAUSTED = 3  # rows in succession whose retries are used up
MAX_ROUNDS = 4  # of POSTs that are all answered 429, beyond --retries: a daily limit may be reached


class Batch:
    """A run. `in_flight` are the jobs at work, `unsent` the rows still to be sent; `log` knows the others.

    `folder` ends with a slash; None saves nothing. At most `parallel` rows are in flight; `max_wait` are the seconds
    for each, 0 without a limit. What RowJob calls is safe for several threads.
    """

    def __init__(
        self,
        client: Client,
        history: Ledger,
        log: BatchLog,
        rows: Sequence[Row],
        *,
        folder: str | None,
        force: bool,
        parallel: int,
        max_wait: float,
        max_credits: int | None,
    ) -> None:
        self.client = client
        self.history = history
        self.log = log
        self.owners = {row.name.casefold(): row for row in rows}
        self.unsent = deque(row for row in rows if row.todo == SEND)
        self.in_flight: list[RowJob] = []
        self.folder = folder
        self.force = force
        self.max_wait = max_wait
        self.is_stopped = False  # no further row is sent
        self.sending = 0  # POSTs whose answer has not been recorded yet
        self.rounds = 0  # how often a POST that was sent after the last 429 was answered 429 again
        self._started = deque(row for row in rows if row.todo == WAIT)
        self._parallel = parallel
        self._max_credits = max_credits
        self._sent: set[str] = set()  # keys of the rows that this run sends
        self._scheduler: Scheduler | None = None
        self._lock = Lock()
        self._uploads = {file.digest: Lock() for row in self.unsent for file in row.files() if file.is_upload}
        self._not_before = 0.0  # the moment of the next POST
        self._gap = 0.0
        self._exhausted = 0

    def run(self, emit: Emit) -> Iterator[RowJob]:
        """Yields each row whose work has ended: done, failed, out of time or not sent. Raises Interrupted."""
        count = len(self.unsent) + len(self._started)
        if not count:
            return

        def handle(event: object) -> None:
            if event is None:  # time has passed
                self._fill()
            emit(event)

        # threads even for one row: a signal must not break off a POST
        self._scheduler = Scheduler(self.client.clock, self.client.shutdown, handle, min(self._parallel, count))
        self._fill()
        for job in self._scheduler.run():
            assert isinstance(job, RowJob)
            task = job.task
            if task and isinstance(task.error, DeniedError) and task.status not in GOOD_ENDS:
                self.stop()  # the key was refused; where an output was, its URL had only expired
            yield job
            self.in_flight.remove(job)
            self._fill()

    def drain(self) -> Iterator[RowJob]:
        """Ends a run that was stopped: yields the rows whose work ends while answers to POSTs are awaited."""
        self.stop()
        if self._scheduler is None or not self.sending:
            return
        for job in self._scheduler.drain(DRAIN):
            if isinstance(job, RowJob) and (job.failure or (job.task and job.task.has_ended)):
                yield job
            if not self.sending:
                return

    def _fill(self) -> None:
        """Puts rows to work while there is room, those that have started first."""
        while self._scheduler and len(self.in_flight) < self._parallel:
            if self._started:
                job = RowJob(self, self._started.popleft())
                job.wait_for(parse(self.log.state.rows[job.row.key].id))
            elif self.unsent and not (self.is_stopped or self.log.failure or self.is_at_budget):
                job = RowJob(self, self.unsent.popleft())
                self._sent.add(job.row.key)
            else:
                return
            self.in_flight.append(job)
            self._scheduler.add(job)

    @property
    def is_at_budget(self) -> bool:
        """Whether the credits of all rows in the log, and of those in flight, let no further row start.

        An attempt of unknown cost counts as what a row has cost at most. Where no cost is known yet, the first row of
        this run has to tell one.
        """
        if self._max_credits is None:
            return False
        state = self.log.state
        about_to_be_sent = {job.row.key: 1 for job in self.in_flight if not job.task}  # perhaps not in the log yet
        unknown = {**about_to_be_sent, **state.unknown}
        if not state.most and any(key in unknown for key in self._sent):
            return True
        return state.spent + sum(unknown.values()) * state.most >= self._max_credits

    def stop(self) -> None:
        """Lets no further row be sent."""
        with self._lock:
            self.is_stopped = True

    def upload(self, file: InputFile) -> str:
        """Returns the URI of a file, uploaded now or before. Raises what `upload.upload` raises, and UsageError."""
        with self._uploads[file.digest]:
            known = self.log.upload(file.digest)
            if known:
                return known
            file.check_unchanged()
            moment = self.client.clock.time()
            uri = upload.upload(self.client, file.media, lambda done, total: None)
            self.log.uploaded(file.digest, uri, moment)
            return uri

    def begin_post(self) -> float | None:
        """Returns 0 if a POST may be sent now, else the seconds to wait, None if none may be sent.

        After 0, `end_post` has to be called.
        """
        with self._lock:
            if self.is_stopped:
                return None
            now = self.client.clock.monotonic()
            if now < self._not_before:
                return self._not_before - now
            if self._gap:
                self._not_before = now + self._gap
            self.sending += 1
            return 0.0

    def end_post(self, *, is_accepted: bool) -> None:
        """Notes that what came of a POST is recorded. One that was accepted lets the pace recover."""
        with self._lock:
            self.sending -= 1
            if is_accepted:
                self._exhausted = self.rounds = 0
                self._gap = 0.0 if self._gap <= 1 else self._gap / 2

    def delay(self, failure: RunwayError, tries: int, rounds: int) -> float | None:
        """Returns the seconds until a row is tried again, None if it is left for another run.

        `tries` have failed before this one, and `rounds` is what it was when the POST was sent.
        """
        if isinstance(failure, (DeniedError, ConfigError, OutputError)):
            self.stop()
        if isinstance(failure, DeniedError) or not isinstance(failure, (ApiError, NetworkError)):
            return None
        is_throttled = failure.fact("status") == 429
        delay = self.client.retry_delay("POST", failure, 0 if is_throttled else tries)
        with self._lock:
            is_first = not is_throttled or self.rounds == rounds  # not one of several that were sent together
            if is_throttled:
                if is_first:
                    self.rounds += 1
                    self._gap = min(max(1.0, 2 * self._gap), MAX_GAP)
                if self.rounds > self.client.target.retries + MAX_ROUNDS:
                    self.is_stopped = True
                    delay = None
                self._not_before = max(self._not_before, self.client.clock.monotonic() + max(delay or 0.0, self._gap))
            if delay is None:
                self._exhausted += 1
                self.is_stopped = self.is_stopped or self._exhausted >= MAX_EXHAUSTED
        if delay is not None and is_first:
            self.client.console.note(f"{failure.message}: retrying in {delay:.1f} s")
        return delay


class RowJob:
    """A row at work, as a job of the scheduler: its uploads, its POST, then the polling of what that created.

    `task` is what is polled, None before the POST was accepted. If there will be none, `failure` is the reason (None:
    the batch was stopped before) and `status` NOT_STARTED, FAILED (the API refused the row) or UNCERTAIN (the POST may
    have been accepted). `activity` says what is done before there is a task.
    """

    def __init__(self, batch: Batch, row: Row) -> None:
        self.row = row
        self.task: PolledTask | None = None
        self.failure: RunwayError | None = None
        self.status = "NOT_STARTED"
        self.activity = "waiting to be sent"
        self._batch = batch
        self._tries = 0
        self._rounds = 0
        self._estimate: Any = None

    @property
    def deadline(self) -> float | None:
        return self.task.deadline if self.task else None

    @property
    def credits(self) -> Any:
        """What it costs, None where that is unknown."""
        found = self.task.credits if self.task else None
        return self._estimate if found is None else found

    def wait_for(self, pollable: Pollable) -> None:
        """Lets the next steps poll this."""
        batch = self._batch
        deadline = batch.client.clock.monotonic() + batch.max_wait if batch.max_wait else None
        save = self._save if batch.folder else None
        self.task = PolledTask(batch.client, pollable, deadline=deadline, save=save)

    def step(self, emit: Emit) -> float | None:
        """Polls what the row has started, else sends it. Returns the seconds until the next step, None at the end."""
        return self.task.step(emit) if self.task else self._send()

    def _send(self) -> float | None:
        batch, row = self._batch, self.row
        uris: dict[str, str] = {}
        try:
            for file in row.files():
                if file.is_upload and not batch.is_stopped:
                    self.activity = "uploading"
                    uris[file.digest] = batch.upload(file)
        except RunwayError as failure:  # it has been tried again already, and costs nothing
            return self._failed(failure.but(may_have_been_accepted=False), batch.client.target.retries + 1)

        def of_file(file: InputFile) -> str:
            file.check_unchanged()
            return uris[file.digest] if file.is_upload else file.data_uri()

        wait = batch.begin_post()
        if wait is None or wait:
            return wait
        self._rounds = batch.rounds
        self.activity = "sending"
        is_accepted = False
        try:
            value = row.value(of_file)
            body = jsontext.encoded(value) if row.has_body else None
            started = start(batch.client, batch.history, row.path, body, value, retries=0, recorder=self)
            is_accepted = True
        except RunwayError as failure:
            if failure.fact("may_have_been_accepted"):
                self.status = "UNCERTAIN"
            elif not is_unsent(failure):
                self.status = "FAILED"
            else:
                return self._failed(failure, 1)
            self.failure = failure
            return None
        finally:
            batch.end_post(is_accepted=is_accepted)
        if started.pollable is None:
            self.failure, self.status = no_id(batch.client, started.answer), "UNCERTAIN"
            return None
        self.failure = None
        self._estimate = credits_of(started.answer)
        self.wait_for(started.pollable)
        return 0.0

    def _failed(self, failure: RunwayError, tries: int) -> float | None:
        """Returns the seconds until the row is tried again after `tries` more that failed, None if it is left."""
        self.failure = failure
        if isinstance(failure, UsageError):  # an input file was changed or removed
            self.failure = OutputError(failure.message)
        self.activity = "waiting to be sent"
        self._tries += tries
        return self._batch.delay(failure, self._tries - 1, self._rounds)

    def _save(self, task: PolledTask, emit: Emit) -> None:
        """Saves the outputs as NAME.png, or NAME-1.png, NAME-2.png, … Raises OutputError for a name of another row."""
        batch = self._batch
        assert batch.folder
        targets = download.destinations(batch.folder, self.row.name, len(urls_of(task.answer)))
        for target in targets:
            owner = batch.owners.get(os.path.basename(target.path).casefold(), self.row)
            if owner is not self.row:
                words = f"{target.path} is the name of line {owner.line}'s output: save this one with `wait`"
                raise OutputError(words, taken=target.path)
        save_outputs(task, targets, emit, force=batch.force)

    # the record of the POST in the log: `start` calls these, and continues once it is on the disk

    def intend(self, key: str) -> None:
        self._batch.log.intend(self.row.key, key, self.row.name)

    def started(self, key: str, name: str, credits: Any) -> None:
        self._batch.log.started(self.row.key, key, name, credits)

    def refused(self, key: str, failure: Failure) -> None:
        if isinstance(failure, RunwayError) and not is_unsent(failure):
            self._batch.log.refused(self.row.key, key, failure.message)
        else:
            self._batch.log.unsent(self.row.key, key)


def is_unsent(failure: RunwayError) -> bool:
    """Whether a POST that was surely not accepted may be sent again as it is; otherwise the API has refused the row."""
    if isinstance(failure, ApiError):
        return isinstance(failure, DeniedError) or DIRECT.is_retryable("POST", failure)
    return True


def saved_files(known: RowState, folder: str | None) -> list[str] | None:
    """Returns the files of a row that is done, None where they have to be saved in the folder (again).

    Without a folder nothing has to be saved: then they are what was saved before.
    """
    if folder is None:
        return known.files(None)
    files = known.saved.get(absolute(folder))
    return files if files is not None and all(map(os.path.isfile, files)) else None


def files_in_the_way(rows: Sequence[Row], folder: str, state: LogState, log_path: str) -> list[tuple[Row, str]]:
    """Returns the rows whose name has a file in the folder already, with that file; not for other rows' files."""
    folder, log_path = absolute(folder), absolute(log_path)
    own = {row.key for row in rows}
    others = {path for key, known in state.rows.items() if key not in own for path in known.files(folder)}
    files: dict[str, str] = {}
    for name in _listing(folder):
        path = os.path.join(folder, name)
        if path != log_path and not download.NAME.fullmatch(name):
            stem = os.path.splitext(name)[0].casefold()
            files[stem] = name
            if path not in others:
                files.setdefault(re.sub(r"-\d+$", "", stem), name)
    return [(row, files[row.name.casefold()]) for row in rows if row.name.casefold() in files]


def remove_part_files(folders: Iterable[str], names: Iterable[str]) -> None:
    """Removes the part files of rows with these names that a killed run left. The log is locked: no run is at work."""
    owners = [name.casefold() for name in names]
    for folder in folders:
        for entry in _listing(folder):
            if download.NAME.fullmatch(entry):
                shown = entry[1 : -len(".0123456789ab.part")].casefold()
                if any(_is_output(shown, name) for name in owners):
                    download.remove_abandoned(os.path.join(folder, entry))


def _is_output(shown: str, name: str) -> bool:
    """Whether a part file that shows this, perhaps cut, is of an output of the row with this name."""
    if len(name) >= len(shown):
        return len(shown) == download.SHOWN_NAME and name.startswith(shown)
    return shown.startswith(name) and bool(re.fullmatch(r"(-\d*)?(\.\w*)?", shown[len(name) :]))


def _listing(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []
