"""The run of a batch: rows are uploaded, sent, polled, saved and printed, several at once, each paid for once.

1. Whatever stops the sending of rows, rows that have started are waited for.
2. A row that needs the output of another one is sent once that has succeeded.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, deque
from contextlib import suppress
from threading import Lock

from .. import jsontext
from ..api.retry import may_poll_again
from ..errors import (
    ApiError,
    ClosedOutput,
    Failure,
    InternalError,
    OutputError,
    RunwayError,
    UsageError,
    WaitTimeout,
    heaviest,
)
from ..files import download, upload
from ..files.upload import InputFile
from ..settings import BUDGET_VARIABLE, absolute, budget, counted, shown_number
from ..terminal.tables import Column
from . import ledger as states
from .fields import OutputOf
from .ledger import BAD_ENDS, FAILED, GOOD_ENDS, STARTED, UNCERTAIN, LedgerMissing
from .rows import PRINT, SEND, WAIT
from .schedule import Pace, Scheduler, most_at_once
from .start import DAY, failure_of, field_of, is_unsent, last_priced, no_id, over_limit, shape, start
from .tasks import PolledTask, credits_of, is_safety, parse, urls_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from ..api.client import Client
    from ..commands.display import BatchDisplay
    from ..commands.options import Options
    from ..errors import BudgetError
    from .ledger import Attempt, Ledger
    from .rows import Row
    from .schedule import Emit
    from .tasks import Pollable


DRAIN = 5.0  # seconds that the answers to POSTs are awaited when the run is interrupted
MAX_UPLOAD_AGE = 86_400 - 300  # seconds; the API keeps an upload for 24 hours, and a row needs some time to be sent
MAX_ANSWER_AGE = 3600.0  # seconds for which the URLs in an answer are used; the API signs them for a day
COLUMNS = (
    Column("Row", "row"),
    Column("Name", "name"),
    Column("Id", "id"),
    Column("Status", "status"),
    Column("Credits", "credits"),
    Column("Saved", "saved", rank=1),
    Column("Error", "error", wrap=True),
)
NOT_STARTED, SKIPPED = "NOT_STARTED", "SKIPPED"  # statuses of rows that no attempt was made at
# What the last note counts
OK, BAD, IN_PROGRESS = "done", "failed", "in progress"
OTHERS = {SKIPPED: "skipped", NOT_STARTED: "not started"}  # by their status
MAX_NAMES = 10  # of rows that a note names
UNCERTAIN_WORDS = (
    "the POST may have been accepted, but its outcome is unknown: look for it in the account; "
    "--retry-uncertain sends it again"
)


class Batch:
    """A run. `in_flight` are the jobs at work, `unsent` the rows to be sent, `blocked` those that wait for others.

    `attempts` are the last ones, by the keys of their rows. `counts` are of the rows that were printed, `credits` of
    those that this run has sent. In `options`, those of the command, `download` ends with a slash. What RowJob calls is
    safe for several threads.
    """

    def __init__(
        self,
        client: Client,
        history: Ledger,
        ledger: Ledger,
        rows: Sequence[Row],
        attempts: Mapping[str, Attempt],
        *,
        options: Options,
    ) -> None:
        self.client = client
        self.history = history
        self.ledger = ledger
        self.rows = rows
        self.owners = {row.name.casefold(): row for row in rows}
        self.unsent: deque[Row] = deque()
        self.blocked = [row for row in rows if row.todo == SEND]
        self.in_flight: list[RowJob] = []
        self.folder = options.download
        self.options = options
        self.pace = Pace(client)
        self.deadline = client.clock.monotonic() + options.max_time if options.max_time else None
        self.counts: Counter[str] = Counter()
        self.credits = 0.0
        self._attempts = attempts
        self._console = client.console
        self._failures: list[RunwayError] = []
        self._started = deque(row for row in rows if row.todo == WAIT)
        self._parallel = options.parallel
        self._prices: dict[str | None, Any] = {}  # by shape
        self._scheduler: Scheduler | None = None
        self._uploads = {
            file.digest: Lock()
            for row in self.blocked
            for file in row.inputs
            if isinstance(file, InputFile) and file.is_upload
        }
        done = {row.key: bool(row.attempt and row.attempt.is_done) for row in rows}
        self._succeeded = {row.key: done[row.key] for row in rows if row.todo == PRINT or done[row.key]}
        self._ends: dict[str, tuple[PolledTask, float]] = {}  # of rows that have succeeded in this run, and when

    def run(self, display: BatchDisplay) -> int:
        """Does what is to be done, and prints each row as it ends. Returns 0 if all succeeded; raises why one did not.

        Whatever ends it early, answers to POSTs are awaited and recorded first.
        """
        keys = {row.key for row in self.rows}
        known = self._attempts.values()
        left = [each for each in known if each.job not in keys and each.status in states.OPEN]
        if left:
            more = f" and {len(left) - MAX_NAMES} more" if len(left) > MAX_NAMES else ""
            names = ", ".join(f"{each.name} ({each.id or 'outcome unknown'})" for each in left[:MAX_NAMES])
            self._console.note(f"unfinished rows in the ledger that are no longer in ROWS: {names}{more}")
        folders = {os.path.dirname(each.destination) for each in known if each.destination}
        folders.update(folder for each in known for folder in each.saved)
        folders.update([absolute(self.folder)] if self.folder else [])
        for folder in folders:
            download.remove_part_files(folder, [each.name or "" for each in known])
        try:
            for row in self.rows:
                if row.todo == PRINT:
                    self._print_known(row)
            try:
                self._work(display)
            except (Failure, Exception) as stop:
                raise self._stopped(stop, display) from None
            finally:
                display.close()
            for row in (*self.unsent, *self.blocked):
                self._print(row, NOT_STARTED)
        finally:
            self._console.end_rows(COLUMNS)
        kinds = (BAD, OTHERS[SKIPPED], IN_PROGRESS, OTHERS[NOT_STARTED])
        words = [f"{self.counts[word]} {word}" for word in kinds if self.counts[word]]
        told = ", ".join([f"{self.counts[OK]} of {len(self.rows)} succeeded", *words])
        self._console.note(f"{told}, {counted(self.credits, 'credit')}")
        failure = self._failure()
        if failure:
            raise failure
        return 0

    def _work(self, display: BatchDisplay) -> None:
        """Sends, waits and saves. Raises Interrupted, and WaitTimeout where time is up and an answer does not come."""

        def handle(event: Any) -> None:
            if event is None:  # time has passed
                late = -1.0 if self.deadline is None else self.client.clock.monotonic() - self.deadline
                if late >= 0:
                    self.pace.stop()
                if late >= DRAIN:
                    raise WaitTimeout(f"the time limit of {shown_number(self.options.max_time)} s was reached")
                self._fill()
            display.handle(event)

        self._print_skipped()
        count = len(self.unsent) + len(self.blocked) + len(self._started)
        self._parallel = min(most_at_once(self._parallel, self._console.note), count)
        # threads even for one row: a signal must not break off a POST
        self._scheduler = Scheduler(self.client.clock, self.client.shutdown, handle, self._parallel)
        self._fill()
        for job in self._scheduler.run():
            assert isinstance(job, RowJob)
            task = job.task
            if task and task.error and task.error.kind == "auth" and task.status not in GOOD_ENDS:
                self.pace.stop()  # the key was refused; where an output was, its URL had only expired
            self._ended(job)
            self.in_flight.remove(job)
            if task and task.status in GOOD_ENDS and not task.node_errors:
                self._succeeded[job.row.key] = True
                self._ends[job.row.key] = (task, self.client.clock.monotonic())
            elif job.has_failed:
                self._succeeded[job.row.key] = False
            self._print_skipped()
            self._fill()

    def _stopped(self, stop: BaseException, display: BatchDisplay) -> BaseException:
        """Ends the run early: awaits the answers to POSTs, and returns the failure, which names what is in progress."""
        self.pace.stop()
        now = self.client.clock.monotonic()
        seconds = DRAIN if self.deadline is None else min(DRAIN, self.deadline + DRAIN - now)
        for job in self._scheduler.drain(seconds) if self._scheduler and self.pace.sending else ():
            if isinstance(job, RowJob) and (job.failure or (job.task and job.task.has_ended)):
                with suppress(Failure, Exception):  # it is recorded; what ended the run is reported
                    self._ended(job)
            if not self.pace.sending:
                break
        display.close()
        self.client.shutdown.end()  # threads may still be at work
        running = [job.task.name for job in self.in_flight if job.task and not job.task.has_ended]
        words = [f"in progress: {len(running)}", f"not started: {len(self.unsent) + len(self.blocked)}"]
        if running:
            words[0] += f" ({', '.join(running)})"
        if self.pace.sending:
            words.append(f"without an answer: {self.pace.sending}")
        if self.ledger.failure:
            words.append(self.ledger.failure.message)
        # rows that this run has sent again are not to be sent once more
        retries = {"--retry-failed": self.options.retry_failed, "--retry-uncertain": self.options.retry_uncertain}
        flags = " and ".join(flag for flag, is_given in retries.items() if is_given)
        advice = f"run the same command again{' without ' * bool(flags)}{flags} to resume"
        if isinstance(stop, ClosedOutput):
            if running or self.pace.sending:
                self._console.tell(f"{'; '.join(words)}; {advice}")
            return stop
        self._console.note(display.summary())
        failure = stop if isinstance(stop, Failure) else InternalError.of(stop)
        text = f"{failure.message}: rows {', '.join(words)}; {advice}"
        return failure.but(text, batch_call="same", task_id=None)

    def release(self) -> list[tuple[Row, str]]:
        """Lets rows be sent whose inputs are there; returns those that need one that has failed, with its name."""
        skipped: list[tuple[Row, str]] = []
        count = -1
        while len(skipped) > count:
            count, waiting, self.blocked = len(skipped), self.blocked, []
            for row in waiting:
                failed = [parent.name for parent in row.parents if self._succeeded.get(parent.key) is False]
                if failed:
                    self._succeeded[row.key] = False
                    skipped.append((row, failed[0]))
                elif all(self._succeeded.get(parent.key) for parent in row.parents):
                    self.unsent.append(row)
                else:
                    self.blocked.append(row)
        return skipped

    def _print_skipped(self) -> None:
        for row, name in self.release():
            self._print(row, SKIPPED, error=f"{name} has not succeeded")

    def _fill(self) -> None:
        """Puts rows to work while there is room, those that have started first."""
        while self._scheduler and len(self.in_flight) < self._parallel:
            if self._started:
                row = self._started.popleft()
                job = RowJob(self, row)
                assert row.attempt
                job.wait_for(parse(row.attempt.id or ""))
            elif self.unsent and not (self.pace.is_stopped or self.ledger.failure or self.over_budget()):
                job = RowJob(self, self.unsent.popleft())
            else:
                return
            self.in_flight.append(job)
            self._scheduler.add(job)

    def over_budget(self) -> BudgetError | None:
        """Returns why the next row must not start yet: --max-credits or the account's budget; None where it may."""
        limit, in_day = self.options.max_credits, budget()
        if not self.unsent or (limit is None and in_day is None):
            return None
        price = self.price(self.unsent[0])
        in_flight = [self.price(job.row) if job.credits is None else job.credits for job in self.in_flight]
        keys = {job.key for job in self.in_flight}
        refusal = None
        if limit is not None:
            prices = self.ledger.prices(without=keys)
            refusal = over_limit(limit, "--max-credits", [*in_flight, *prices], price)
        if in_day is not None and not refusal:
            prices = self.history.prices(self.client.clock.time() - DAY, without=keys)
            refusal = over_limit(in_day, BUDGET_VARIABLE, [*in_flight, *prices], price, period=" in 24 hours")
        return refusal and refusal.but(batch_call="dry run")

    def allowed(self, rows: Sequence[Row]) -> int:
        """Returns how many of these rows --max-credits allows, as far as prices are known."""
        prices = self.ledger.prices()
        for count, row in enumerate(rows):
            price = self.price(row)
            if over_limit(self.options.max_credits or 0, "--max-credits", prices, price):
                return count
            prices.append(price)
        return len(rows)

    def price(self, row: Row) -> Any:
        """Returns what a request like this row's has cost, None where that is unknown."""

        def shown(given: InputFile | OutputOf) -> str:  # where only the kind of an input counts
            return f"data:{given.type}" if isinstance(given, InputFile) and not given.is_upload else "runway://"

        found = shape(row.path, row.value(shown))
        if self._prices.get(found) is None:
            with suppress(LedgerMissing):
                same = last_priced(self.ledger, found) or last_priced(self.history, found)
                self._prices[found] = same.credits if same else None
        return self._prices.get(found)

    def upload(self, file: InputFile) -> str:
        """Returns the URI of a file, uploaded now or before. Raises what `upload.upload` raises, and UsageError."""
        with self._uploads[file.digest]:
            moment = self.client.clock.time()
            known = self.ledger.upload(file.digest, moment - MAX_UPLOAD_AGE)
            if known:
                return known
            file.check_unchanged()
            uri = upload.upload(self.client, file, lambda done, total: None)
            self.ledger.uploaded(file.digest, uri, moment)
            return uri

    def output(self, wanted: OutputOf) -> str:
        """Returns the URL of another row's output. Raises what `client.call` raises; ApiError where there is none."""
        row = wanted.row
        task, moment = self._ends.get(row.key, (None, 0.0))
        if task and self.client.clock.monotonic() - moment < MAX_ANSWER_AGE:
            answer = task.answer
        else:
            pollable = task.pollable if task else parse((row.attempt.id if row.attempt else None) or "")
            answer = self.client.call("GET", pollable.path).value
        urls = urls_of(answer)
        if wanted.index >= len(urls):
            raise ApiError(f"{row.name} has no output number {wanted.index}, counted from 0", status=404)
        return urls[wanted.index]

    def _print_known(self, row: Row) -> None:
        """Prints a row from the ledger: done, failed, or one whose outcome is unknown."""
        known = row.attempt
        assert known
        if known.status == UNCERTAIN:
            failure: RunwayError | None = ApiError(UNCERTAIN_WORDS, may_have_been_accepted=True, batch_call=None)
            self._print(row, UNCERTAIN, failure, maybeAccepted=True)
            return
        call = None if is_safety(known.code) else "retry failed"
        failure = failure_of(known).but(batch_call=call) if known.has_failed else None
        folder = self.folder
        files = saved_files(known, folder) or []
        if folder:
            files = [os.path.join(folder, os.path.basename(path)) for path in files]
        shown = {"id": known.id or None, "credits": known.credits, "saved": files, "skipped": True}
        self._print(row, FAILED if known.status == states.REFUSED else known.status, failure, **shown)

    def _ended(self, job: RowJob) -> None:
        """Records how the work on a row ended, then prints it."""
        failure = job.failure
        if job.task:
            self._polled(job, job.task)
        elif failure and job.status == UNCERTAIN:
            facts = {**failure.facts, "batch_call": None}
            failure = ApiError(f"{failure.message}; {UNCERTAIN_WORDS}", **facts)
            self._print(job.row, UNCERTAIN, failure, maybeAccepted=True)
        else:
            if failure and job.status == FAILED:
                failure = failure.but(batch_call="retry failed")
            self._print(job.row, job.status, failure)

    def _polled(self, job: RowJob, task: PolledTask) -> None:
        row = job.row
        was_done = bool(row.attempt and row.attempt.is_done and row.todo == WAIT)
        is_gone = task.is_missing and not was_done and task.status not in GOOD_ENDS
        is_bad = task.has_ended and (task.status in BAD_ENDS or bool(task.node_errors))
        failure = task.fault(job.limit, is_paid=True)
        if failure and (is_bad or is_gone):
            failure = failure.but(batch_call=None if is_safety(failure.fact("failure_code")) else "retry failed")
        status = states.GONE if is_gone else task.status or (states.SUCCEEDED if was_done else STARTED)
        if not (was_done and task.is_missing):  # an output that is no longer there stays paid for
            task.record_end(self.ledger)
            task.record_end(self.history)
        more: dict[str, Any] = {"skipped": True} if was_done and not failure else {}
        more.update({"warnings": task.warnings} if task.warnings else {})
        self._print(row, status, failure, id=task.name, credits=job.credits, saved=task.saved, **more)

    def _print(self, row: Row, status: str, failure: RunwayError | None = None, **facts: Any) -> None:
        """Prints a row with these facts, and counts it unless it was left without a failure of its own."""
        line: dict[str, Any] = {
            "row": row.number,
            "name": row.name,
            "id": None,
            "status": status,
            "credits": None,
            "saved": [],
        }
        line.update(facts)
        if failure:
            if "batch_call" not in failure.facts:  # the same call, where time may help
                is_passing = failure.kind in ("network", "io", "timeout") or may_poll_again(failure)
                failure = failure.but(batch_call="same" if is_passing else None, waiting_for=None)
            line["error"] = self._console.mask(failure.message)
            field = field_of(failure)
            line.update({"field": field} if field else {})
            self._failures.append(failure)
        is_open = bool(line["id"]) and status not in (*GOOD_ENDS, *BAD_ENDS, states.GONE)
        self.counts[OTHERS.get(status, IN_PROGRESS if is_open else BAD if failure else OK)] += 1
        if row.todo == SEND and line["id"]:
            self.credits += line["credits"] or 0
        self._console.row(line, alone=False)

    def _failure(self) -> RunwayError | None:
        """Returns why the whole failed, None if it did not: the rows themselves are on stdout."""
        failures = sorted(self._failures, key=lambda failure: failure.fact("batch_call") is None)
        if self.ledger.failure:
            failures.append(self.ledger.failure.but(batch_call="same"))
        budget = None if self.pace.is_stopped else self.over_budget()
        told = [f"{self.counts[word]} of {len(self.rows)} {word}" for word in (BAD, IN_PROGRESS) if self.counts[word]]
        words = [", ".join(told if len(self.rows) > 1 else [])]
        words = [": ".join(filter(None, (*words, heaviest(failures).message)))] if failures else []
        failures += [budget] if budget else []
        words += [budget.message] if budget else []
        if self.counts[OTHERS[NOT_STARTED]]:
            words.append(f"{self.counts[OTHERS[NOT_STARTED]]} of {len(self.rows)} rows are not started")
            failures = failures or [WaitTimeout("the time limit was reached", batch_call="same")]
        if not failures:
            return None
        facts: dict[str, Any] = {"task_id": None} if len(failures) > 1 else {}
        if any(failure.fact("may_have_been_accepted") for failure in failures):
            facts["may_have_been_accepted"] = True
        elif self.counts[IN_PROGRESS] and heaviest(failures).kind in ("api", "task"):  # what was paid for comes first
            facts["batch_call"] = "same"
        return heaviest(failures).but("; ".join(words), waiting_for=None, **facts)


class RowJob:
    """A row at work, as a job of the scheduler: its uploads, its POST, then the polling of what that created.

    `task` is what is polled, None before the POST was accepted. If there will be none, `failure` is the reason (None:
    the batch was stopped before) and `status` NOT_STARTED, FAILED (the API refused the row) or UNCERTAIN (the POST
    may have been accepted). `activity` says what is done before there is a task; `key` is that of the last attempt, ""
    before it; `limit` are the seconds after which it is left unfinished.
    """

    def __init__(self, batch: Batch, row: Row) -> None:
        self.row = row
        self.task: PolledTask | None = None
        self.failure: RunwayError | None = None
        self.status = NOT_STARTED
        self.activity = "waiting to be sent"
        self.key = row.attempt.key if row.todo == WAIT and row.attempt else ""
        self.limit = batch.options.max_wait
        self._batch = batch
        self._tries = 0
        self._estimate = row.attempt.credits if row.todo == WAIT and row.attempt else None

    @property
    def is_sent(self) -> bool:
        """Returns whether this run has sent it."""
        return self.row.todo == SEND and self.task is not None

    @property
    def deadline(self) -> float | None:
        return self.task.deadline if self.task else self._batch.deadline

    @property
    def credits(self) -> Any:
        """Returns what it costs, None where that is unknown."""
        found = self.task.credits if self.task else None
        return self._estimate if found is None else found

    @property
    def has_failed(self) -> bool:
        """Returns whether this row has ended without the output that another one may need."""
        if self.task:
            return self.task.has_ended and (self.task.error is None or self.task.is_missing)
        return self.status in (FAILED, UNCERTAIN)

    def wait_for(self, pollable: Pollable) -> None:
        """Lets the next steps poll this."""
        batch = self._batch
        deadline = batch.client.clock.monotonic() + self.limit if self.limit else None
        if batch.deadline is not None and (deadline is None or batch.deadline < deadline):
            deadline, self.limit = batch.deadline, batch.options.max_time
        self.task = PolledTask(
            batch.client,
            pollable,
            deadline=deadline,
            destination=batch.folder,
            stem=self.row.name,
            force=batch.options.force,
            known=self._is_own,
        )

    def step(self, emit: Emit) -> float | None:
        """Polls what the row has started, else sends it. Returns the seconds until the next step, None at the end."""
        return self.task.step(emit) if self.task else self._send()

    def _send(self) -> float | None:
        batch, row = self._batch, self.row
        given: dict[InputFile | OutputOf, str] = {}
        try:
            for each in row.inputs:
                if isinstance(each, OutputOf):
                    given[each] = batch.output(each)
                elif each.is_upload and not batch.pace.is_stopped:
                    self.activity = "uploading"
                    given[each] = batch.upload(each)
        except RunwayError as failure:  # it has been tried again already, and costs nothing
            return self._failed(failure.but(may_have_been_accepted=False), batch.client.target.retries + 1)

        def of_input(each: InputFile | OutputOf) -> str:
            if isinstance(each, InputFile):
                each.check_unchanged()
            return given[each] if isinstance(each, OutputOf) or each.is_upload else each.data_uri()

        is_late = batch.deadline is not None and batch.client.clock.monotonic() >= batch.deadline
        wait = None if is_late or batch.ledger.failure else batch.pace.begin()
        if wait is None or wait:
            return wait
        self.activity = "sending"
        self.key = os.urandom(16).hex()
        is_accepted = False
        try:
            value = row.value(of_input)
            started = start(
                batch.client,
                batch.history,
                row.path,
                jsontext.encoded(value) if row.has_body else None,
                value,
                retries=0,
                destination=absolute(batch.folder) + "/" if batch.folder else None,
                batch=batch.ledger,
                row={"key": self.key, "job": row.key, "name": row.name},
            )
            is_accepted = True
        except RunwayError as failure:
            if failure.fact("may_have_been_accepted"):
                self.status = UNCERTAIN
            elif not is_unsent(failure):
                self.status = FAILED
            else:
                return self._failed(failure, 1)
            self.failure = failure
            return None
        finally:
            batch.pace.end(is_accepted=is_accepted)
        if started.pollable is None:
            self.failure, self.status = no_id(started.answer), UNCERTAIN
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
        return self._batch.pace.delay(failure, self._tries - 1)

    def _is_own(self, path: str) -> bool:
        """Returns True: a file of this name and size is this row's. Raises OutputError for the name of another row."""
        root = os.path.splitext(path)[0]
        owner = self._batch.owners.get(os.path.basename(root).casefold(), self.row)
        if owner is not self.row:
            words = f"{root} is the name of line {owner.line}'s output: save this one with `wait`"
            raise OutputError(words, taken=root)
        return True


def saved_files(attempt: Attempt, folder: str | None) -> list[str] | None:
    """Returns the files of a row that is done, None where they have to be saved in the folder (again).

    Without a folder nothing has to be saved: then they are what was saved last.
    """
    if folder is None:
        return next(reversed(list(attempt.saved.values())), [])
    files = attempt.saved.get(absolute(folder))
    return files if files is not None and all(map(os.path.isfile, files)) else None


def files_in_the_way(
    rows: Iterable[Row], folder: str, attempts: Iterable[Attempt], kept: Sequence[str], *, force: bool
) -> list[tuple[Row, str]]:
    """Returns the rows whose name has a file in the folder already, with that file; not for other rows' files.

    With `force` only the files `kept` are in the way: ROWS and ledgers.
    """
    folder, rows = absolute(folder), list(rows)
    real = os.path.realpath(folder)
    protected = {path for each in kept for path in (os.path.realpath(each), os.path.abspath(each))}
    own = {row.key for row in rows}
    others = {path for attempt in attempts if attempt.job not in own for path in attempt.saved.get(folder, ())}
    files: dict[str, str] = {}
    for name in download.listing(folder):
        path = os.path.join(folder, name)
        is_kept = not protected.isdisjoint((path, os.path.join(real, name)))
        if not download.PART_FILE.fullmatch(name) and (is_kept or not force):
            stem = unicodedata.normalize("NFC", os.path.splitext(name)[0]).casefold()
            files[stem] = name
            if path not in others:
                files.setdefault(re.sub(r"-\d+$", "", stem), name)
    return [(row, files[row.name.casefold()]) for row in rows if row.name.casefold() in files]
