"""The run of a batch: rows are uploaded, sent, polled, saved and printed, several at once, each paid for once.

1. Whatever stops the sending of rows, rows that have started are waited for.
2. A row that needs the output of another one is sent once that has succeeded.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Sequence
from threading import Lock

from ..api.client import Client
from ..api.retry import may_poll_again
from ..errors import ApiError, ClosedOutput, Failure, InternalError, OutputError, RunwayError, WaitTimeout, heaviest
from ..files.download import ANY
from ..files.upload import upload
from ..jsontext import Json, encoded
from ..settings import absolute, counted, relative, shown_number
from ..terminal.tables import Column
from .fields import OutputOf
from .ledger import REFUSED, STARTED, UNCERTAIN, Attempt, Ledger
from .rows import PRINT, SEND, WAIT, Row
from .schedule import Pace, Scheduler, most_at_once
from .start import LOOK, failure_of, field_of, is_unsent, no_id, start
from .tasks import BAD_ENDS, FAILED, GONE, GOOD_ENDS, SUCCEEDED, PolledTask, credits_of, is_safety, parse, urls_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..commands.display import BatchDisplay
    from ..commands.options import Options
    from .fields import Input
    from .schedule import Emit
    from .tasks import Pollable, Progress

DRAIN = 5.0  # seconds that the answers to POSTs are awaited when the run is interrupted, or past --max-time
MAX_UPLOAD_AGE = 86_400 - 300  # seconds; the API keeps an upload for 24 hours, and a row needs some time to be sent
COLUMNS = (
    *(Column("Row", "row"), Column("Name", "name"), Column("Id", "id"), Column("Status", "status")),
    *(Column("Credits", "credits"), Column("Saved", "saved", rank=1), Column("Error", "error", wrap=True)),
)
NOT_STARTED, SKIPPED = "NOT_STARTED", "SKIPPED"  # statuses of rows that were never attempted
# The counts of the last note
OK, BAD, SKIPS, IN_PROGRESS, LEFT = "done", "failed", "skipped", "in progress", "not started"
WAITING, SENDING = "waiting to be sent", "sending"  # activities
UNCERTAIN_WORDS = (
    "the POST may have been accepted, but its outcome is unknown: look for it in the account; "
    "--retry-uncertain sends it again"
)


class Batch:
    """The run of a batch. `in_flight` are the running jobs, `unsent` rows that can be sent, `blocked` rows that wait.

    `counts` are of the printed rows, `credits` of those that this run has sent. `options` are those of the command;
    their `download` ends with a slash. Everything that RowJob calls is safe for several threads.
    """

    def __init__(
        self, client: Client, history: Ledger, ledger: Ledger, rows: Sequence[Row], *, options: Options
    ) -> None:
        self.client = client
        self.history = history
        self.ledger = ledger
        self.rows = rows
        self.options = options
        self.folder = absolute(options.download) if options.download else None
        self.owners = {row.name.casefold(): row for row in rows}
        self.unsent: deque[Row] = deque()
        self.blocked = [row for row in rows if row.todo == SEND]
        self.in_flight: list[RowJob] = []
        self.pace = Pace(client)
        self.deadline = client.clock.monotonic() + options.max_time if options.max_time else float("inf")
        self.counts: Counter[str] = Counter()
        self.credits: Json = 0
        self._console = client.console
        self._failures: list[RunwayError] = []
        self._started = deque(row for row in rows if row.todo == WAIT)
        self._parallel: int = options.parallel
        self.uploads: dict[str, Lock] = {}  # by the hash of the file
        self.settled = 0  # POSTs with an outcome, and rows that have ended: each may make room in a budget
        self.answers: dict[str, Json] = {}  # of rows that have succeeded in this run, by the keys of the rows

    def run(self, display: BatchDisplay) -> int:
        """Runs all rows, and prints each as it ends. Returns 0 if all succeeded, else raises the worst failure.

        Whatever ends it early, answers to POSTs are awaited and recorded first.
        """
        try:
            for row in self.rows:
                if row.todo == PRINT:
                    self._print_recorded(row)
            self.release()
            count = len(self.unsent) + len(self.blocked) + len(self._started)
            self._parallel = min(most_at_once(self._parallel, self._console.note), count)

            def handle(event: Progress | None) -> None:
                if event is None:  # time has passed
                    self._fill()
                display.handle(event)

            # In threads even for one row: a signal must not interrupt a POST.
            self._scheduler = Scheduler(self.client.clock, self.client.shutdown, handle, self._parallel)
            try:
                self._fill()
                for job in self._scheduler.run():
                    assert isinstance(job, RowJob)
                    self._ended(job)
                    self.in_flight.remove(job)
                    self.release()
                    self._fill()
            except (Failure, Exception) as stop:
                raise self._stopped(stop, display) from None
            finally:
                display.close()
            for row in (*self.unsent, *self.blocked):
                self._print(row, NOT_STARTED)
        finally:
            self._console.end_rows(COLUMNS)

        return self._summary()

    def _fill(self) -> None:
        """Starts rows while fewer than --parallel run, those sent before first. Raises WaitTimeout after --max-time."""
        if self.in_flight and self.client.clock.monotonic() >= self.deadline + DRAIN:
            raise WaitTimeout(f"the time limit of {shown_number(self.options.max_time)} s was reached")
        while len(self.in_flight) < self._parallel:
            if self._started:
                row = self._started.popleft()
            elif self.unsent and not self.is_over():
                row = self.unsent.popleft()
            else:
                return
            self.in_flight.append(RowJob(self, row))
            self._scheduler.add(self.in_flight[-1])

    def is_over(self) -> bool:
        """Returns whether no further row may be sent."""
        if self.ledger.failure or self.client.clock.monotonic() >= self.deadline:
            self.pace.is_stopped = True
        return self.pace.is_stopped

    def release(self) -> None:
        """Lets blocked rows be sent once their inputs exist, and prints as SKIPPED those that need a failed row."""
        is_new = True
        while is_new:
            is_new, waiting, self.blocked = False, self.blocked, []
            for row in waiting:
                failed = [parent.name for parent in row.parents if parent.has_succeeded is False]
                if failed:
                    is_new, row.has_succeeded = True, False
                    if not self.options.dry_run:
                        self._print(row, SKIPPED, error=f"{failed[0]} has not succeeded")
                elif all(parent.has_succeeded for parent in row.parents):  # soon: the URLs of outputs expire
                    (self.unsent.appendleft if row.parents else self.unsent.append)(row)
                else:
                    self.blocked.append(row)

    def _stopped(self, stop: BaseException, display: BatchDisplay) -> BaseException:
        """Ends the run early: awaits the answers to POSTs. Returns the failure, which names what is in progress."""
        self.pace.is_stopped = True
        self.pace.drain(min(DRAIN, self.deadline + DRAIN - self.client.clock.monotonic()))
        display.close()
        self.client.shutdown.end()  # threads may still be at work
        self.pace.drain(DRAIN)  # now each gives up its POST, but records an answer: the history may be locked
        running = [job.task.name for job in self.in_flight if job.task and not job.task.has_ended]
        unanswered = sum(not job.task and job.activity == SENDING and job.status != FAILED for job in self.in_flight)
        names = f" ({', '.join(running)})" if running else ""
        words = [f"in progress: {len(running)}{names}", f"not started: {len(self.unsent) + len(self.blocked)}"]
        if unanswered:
            words.append(f"without an answer: {unanswered}")
        if self.ledger.failure:
            words.append(self.ledger.failure.message)
        advice = "run the same command again, without --retry-failed and --retry-uncertain, to resume"
        if isinstance(stop, ClosedOutput):
            if running or unanswered:
                self._console.tell(f"{'; '.join(words)}; {advice}")
            return stop
        self._console.note(display.summary())
        failure = stop if isinstance(stop, Failure) else InternalError.of(stop)
        text = f"{failure.message}: rows {', '.join(words)}; {advice}"
        return failure.but(text, batch_call="same", task_id=None)

    def _print_recorded(self, row: Row) -> None:
        attempt = row.attempt
        assert attempt
        if attempt.status == UNCERTAIN:
            self._print(row, UNCERTAIN, ApiError(UNCERTAIN_WORDS, may_have_been_accepted=True))
            return
        files = list(map(relative, saved_files(attempt, self.folder) or []))
        status = FAILED if attempt.status == REFUSED else attempt.status
        facts = {"id": attempt.id or None, "credits": attempt.credits, "saved": files, "skipped": True}
        self._print(row, status, failure_of(attempt) if attempt.has_failed else None, **facts)

    def _ended(self, job: RowJob) -> None:
        """Prints a row whose work has ended."""
        row, task, failure = job.row, job.task, job.failure
        self.settled += 1
        if task is None:
            row.has_succeeded = False if job.status in (FAILED, UNCERTAIN) else None
            if failure and job.status == UNCERTAIN:
                failure = ApiError(f"{failure.message}; {UNCERTAIN_WORDS}", **failure.facts)
            self._print(row, job.status, failure)
            return
        is_good = task.status in GOOD_ENDS
        is_gone = task.is_missing and not job.was_done and not is_good
        if is_good and not task.node_errors:
            row.has_succeeded = True
            self.answers[row.key] = task.answer
        elif task.has_ended and (task.error is None or task.is_missing):
            row.has_succeeded = False
        if task.error and task.error.kind == "auth" and not is_good:
            self.pace.is_stopped = True  # the key was refused; where an output was, its URL had only expired
        failure = task.fault(job.limit)
        more: dict[str, Json] = {"skipped": True} if job.was_done and not failure else {}
        more.update({"warnings": task.warnings} if task.warnings else {})
        status = GONE if is_gone else task.status or (SUCCEEDED if job.was_done else STARTED)
        self._print(row, status, failure, id=task.name, credits=job.credits, saved=task.saved, **more)

    def _print(self, row: Row, status: str, failure: RunwayError | None = None, **facts: Json) -> None:
        """Prints a row with these facts, and counts it."""
        line: dict[str, Json] = {"row": row.number, "name": row.name, "id": None, "status": status}
        line.update({"credits": None, "saved": [], **facts})
        line.update({"maybeAccepted": True} if status == UNCERTAIN else {})
        if failure:
            call = None  # after a bad end a retry may help, otherwise waiting
            if failure.kind == "task" or status in (FAILED, GONE):
                call = None if is_safety(failure.fact("failure_code")) else "retry failed"
            elif status != UNCERTAIN and (failure.kind in ("network", "io", "timeout") or may_poll_again(failure)):
                call = "same"
            elif failure.kind == "budget":
                call = "dry run"
            self._failures.append(failure.but(batch_call=call, waiting_for=None))
            line["error"] = self._console.mask(failure.message)
            field = field_of(failure)
            line.update({"field": field} if field else {})
        is_open = bool(line["id"]) and status not in (*GOOD_ENDS, *BAD_ENDS, GONE)
        word = IN_PROGRESS if is_open else BAD if failure else OK
        self.counts[{SKIPPED: SKIPS, NOT_STARTED: LEFT}.get(status, word)] += 1
        if row.todo == SEND and line["id"]:
            self.credits += line["credits"] or 0
        self._console.row(line, alone=False)

    def _summary(self) -> int:
        """Notes how many rows ended in which way. Returns 0 if all succeeded, else raises the failure of the batch."""
        total, counts = len(self.rows), self.counts
        words = [f"{counts[OK]} of {total} succeeded"]
        words += [f"{counts[word]} {word}" for word in (BAD, SKIPS, IN_PROGRESS, LEFT) if counts[word]]
        self._console.note(", ".join([*words, counted(self.credits, "credit")]))
        failures = sorted(self._failures, key=lambda failure: failure.fact("batch_call") is None)
        if self.ledger.failure:
            failures.append(self.ledger.failure.but(batch_call="same"))
        told = ", ".join(
            f"{counts[word]} of {total} {word}" for word in (BAD, IN_PROGRESS) if counts[word] and total > 1
        )
        others = [failure for failure in failures if failure.kind != "budget"]
        words = [": ".join(filter(None, (told, heaviest(others).message)))] if others else []
        words += [failure.message for failure in failures if failure.kind == "budget"][:1]  # the one that ended the run
        if counts[LEFT]:
            words.append(f"{counts[LEFT]} of {total} rows are not started")
            failures = failures or [WaitTimeout("the time limit was reached", batch_call="same")]
        if not failures:
            return 0
        worst = heaviest(failures)
        facts: dict[str, Json] = {"task_id": None} if len(failures) > 1 else {}
        if any(failure.fact("may_have_been_accepted") for failure in failures):
            facts["may_have_been_accepted"] = True
        elif counts[IN_PROGRESS] and worst.kind in ("api", "task"):  # what was paid for comes first
            facts["batch_call"] = "same"
        raise worst.but("; ".join(words), **facts)


class RowJob:
    """A row in flight, as a job of the scheduler: its uploads, its POST, then the polling of what that created.

    `task` is what is polled, None before the POST was accepted. If there will be none, `failure` is the reason (None:
    the batch was stopped before) and `status` NOT_STARTED, FAILED (the API refused the row) or UNCERTAIN (the POST
    may have been accepted). `activity` says what happens before there is a task; after `limit` seconds it is left
    unfinished. `is_sent` tells whether this run has sent it.
    """

    def __init__(self, batch: Batch, row: Row) -> None:
        self.row = row
        self.task: PolledTask | None = None
        self.failure: RunwayError | None = None
        self.status = NOT_STARTED
        self.activity = WAITING
        self.limit: float = batch.options.max_wait
        self.deadline: float | None = batch.deadline
        self.is_sent = False
        self._batch = batch
        self._tries = 0
        self._held: int | None = None  # how much was settled when a budget refused the row
        self.was_done = bool(row.attempt and row.attempt.is_done and row.todo == WAIT)
        self._estimate: Json = None
        if row.todo == WAIT and row.attempt:
            self._estimate = row.attempt.credits
            self._wait_for(parse(row.attempt.id or ""))

    @property
    def credits(self) -> Json:
        """Returns what it costs, None where that is unknown."""
        found = self.task.credits if self.task else None
        return self._estimate if found is None else found

    def step(self, emit: Emit) -> float | None:
        """Polls what the row has started, else sends it. Returns the seconds until the next step.

        None is the end: it is recorded.
        """
        if not self.task:
            return self._send()
        delay = self.task.step(emit)
        if delay is None and not (self.was_done and self.task.is_missing):  # its record stays though its output is gone
            self.task.record_end(self._batch.ledger)
            self.task.record_end(self._batch.history)
        return delay

    def _wait_for(self, pollable: Pollable) -> None:
        batch = self._batch
        end = batch.client.clock.monotonic() + self.limit if self.limit else float("inf")
        if batch.deadline < end:
            end, self.limit = batch.deadline, batch.options.max_time
        self.deadline = None if end == float("inf") else end
        folder = batch.options.download
        self.task = PolledTask(
            batch.client,
            pollable,
            deadline=self.deadline,
            destination=folder and folder + self.row.name + ANY,
            force=batch.options.force,
            may_be_ours=self._is_own,
        )

    def _send(self) -> float | None:
        batch, row = self._batch, self.row
        if batch.is_over():
            return None
        if self._held == batch.settled:
            return LOOK
        try:
            value = row.value(self._input)
        except RunwayError as failure:  # the client has retried already, and nothing was paid
            self.failure = failure.but(may_have_been_accepted=False)
            if failure.kind == "usage":  # an input file was changed or removed
                self.failure = OutputError(failure.message)
            return batch.pace.delay(failure, batch.client.target.retries)
        self.activity = WAITING
        wait = batch.pace.begin_post()
        if wait is None or wait:
            return wait
        self.activity = SENDING
        is_accepted, settled, self._held = False, batch.settled, None
        try:
            started = start(
                batch.client,
                batch.history,
                row.path,
                encoded(value) if row.has_body else None,
                value,
                retries=0,
                destination=os.path.join(batch.folder, "") if batch.folder else None,
                batch=batch.ledger,
                row={"job": row.key, "name": row.name},
                max_credits=batch.options.max_credits,
            )
            is_accepted = True
            if started.pollable is None:
                self.failure, self.status = no_id(started.answer), UNCERTAIN
                return None
            self.failure, self.is_sent, self._estimate = None, True, credits_of(started.answer)
            self._wait_for(started.pollable)
            return 0.0
        except RunwayError as failure:
            self.failure = failure
            if failure.fact("may_have_been_accepted"):
                self.status = UNCERTAIN
                return None
            if not is_unsent(failure):
                self.status = FAILED
                return None
            self.activity = WAITING
            if failure.kind == "budget" and any(job.task or job.activity == SENDING for job in tuple(batch.in_flight)):
                self._held = settled
                return LOOK  # a row in progress will tell what it costs
            self._tries += 1
            return batch.pace.delay(failure, self._tries - 1)
        finally:
            batch.settled += self._held is None
            batch.pace.end_post(is_accepted=is_accepted)

    def _input(self, each: Input) -> str:
        """Returns the value that is sent for a file or an output of another row."""
        batch = self._batch
        if isinstance(each, OutputOf):
            row = each.row
            urls = urls_of(batch.answers.get(row.key) or batch.client.call("GET", parse(row.attempt.id).path).value)
            if each.index >= len(urls):
                raise ApiError(f"{row.name} has no output number {each.index}, counted from 0", status=404)
            return urls[each.index]
        self.activity = "uploading"
        each.check_unchanged()
        if not each.is_upload:
            uri = each.data_uri()
        else:
            with batch.uploads.setdefault(each.digest, Lock()):  # rows that share a file wait for one upload
                moment = batch.client.clock.time()
                uri = batch.ledger.upload(each.digest, moment - MAX_UPLOAD_AGE) or ""
                if not uri:
                    uri = upload(batch.client, each, lambda done, total: None)
                    batch.ledger.uploaded(each.digest, uri, moment)
        each.check_unchanged()  # and not while it was being read either
        return uri

    def _is_own(self, path: str) -> bool:
        """Returns True: a file of this name may be this row's. Raises OutputError if it is another row's name."""
        root = os.path.splitext(path)[0]
        owner = self._batch.owners.get(os.path.basename(root).casefold(), self.row)
        if owner is not self.row:
            words = f"{root} belongs to the output of line {owner.line}: save this row's with `wait`"
            raise OutputError(words, taken=root)
        return True


def saved_files(attempt: Attempt, folder: str | None) -> list[str] | None:
    """Returns a done row's files in an absolute folder, None if some are missing; without a folder those saved last."""
    if folder is None:
        return next(reversed(attempt.saved.values()), [])
    files = attempt.saved.get(folder)
    return files if files is not None and all(map(os.path.isfile, files)) else None
