"""The options of `batch`, and the paths that follow from them."""

from __future__ import annotations

import os

from .. import settings as values
from ..api.retry import may_pass
from ..errors import (
    ApiError,
    ClosedOutput,
    DeniedError,
    Failure,
    InternalError,
    Interrupted,
    NetworkError,
    OutputError,
    RunwayError,
    TaskError,
    UsageError,
    WaitTimeout,
)
from ..jobs import fields as _body
from ..jobs.batch import BatchPlan
from ..jobs.batch_log import DONE, FAILED, UNCERTAIN, amount, check_account, read_state
from ..jobs.history import account
from ..jobs.rows import Faults, saved_files, set_keys, set_names, taken_names
from ..jobs.tasks import BAD_ENDS, GOOD_ENDS
from ..settings import absolute, shown_credits
from ..terminal import masking
from ..terminal.tables import Column
from .body import BODY_OPTIONS
from .context import summary
from .options import COSTS, Command, GlobalOptions, Operand, Option
from .wait import MAX_WAIT, failure_of, record_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..api.client import Client
    from ..jobs.batch import Batch, RowJob
    from ..jobs.batch_log import BatchLog, LogState
    from ..jobs.history import History
    from ..jobs.rows import InputFile, Row
    from ..jobs.tasks import PolledTask
    from ..terminal.console import Console
    from .context import Context


STDIN = "-"


class Options(GlobalOptions):
    path: str
    rows: str
    body: str | None
    fields: Sequence[_body.Field]
    download: str | None
    log: str | None
    parallel: int
    max_wait: float
    max_credits: int | None
    check: bool
    dry_run: bool
    retry_failed: bool
    retry_uncertain: bool
    force: bool


OPTIONS = (
    *BODY_OPTIONS,
    Option("--download", metavar="DIR", read=values.destination, help="save the outputs in a folder, by row name"),
    Option("--log", metavar="FILE", read=values.destination, help="the log (default: ROWS.batch.jsonl)"),
    Option(
        "--parallel",
        metavar="N",
        read=values.parallel,
        default=4,
        help="rows at the same time, 64 at most (default: 4)",
    ),
    Option(
        "--max-wait",
        metavar="SECONDS",
        read=values.seconds_or_forever,
        default=MAX_WAIT,
        help="stop waiting for a row after this time, 0 for no limit (default: 600)",
    ),
    Option(
        "--max-credits", metavar="N", read=values.positive, help="start no more rows once the batch has cost N credits"
    ),
    Option("--check", help="check every row against the API's contract first"),
    Option("--dry-run", help="show the requests that would be sent, and send nothing"),
    Option("--retry-failed", help="send the rows that failed again"),
    Option("--retry-uncertain", help="send the rows again whose answer is not known: they may be charged twice"),
    Option("--force", help="let outputs replace files"),
)


def folder_of(options: Options) -> str | None:
    """--download, which is always a folder here."""
    path = options.download
    return path if path is None or path.endswith(("/", os.sep)) else path + "/"


def in_another_folder(words: Sequence[str], options: Options) -> list[str]:
    """The words of the call with a folder that does not exist yet, beside the one of --download."""
    from ..files.download import free_folder

    given = str(options.download)
    other = free_folder(given)
    changed = {given: other, f"--download={given}": f"--download={other}"}
    return [changed.get(word, word) for word in words if word != "--force"]


def log_path(options: Options) -> str:
    """The path of the log."""
    if options.log:
        return options.log
    if options.rows == STDIN:
        return os.path.join(folder_of(options) or "", "batch.jsonl")
    return f"{options.rows}.batch.jsonl"


# --- What a batch is going to do: the rows checked against the log, the folder and the contract before any is sent.


def make_plan(context: Context, options: Options, client: Client, state: LogState, rows: list[Row]) -> BatchPlan:
    """What is to be done, checked as a whole. Raises UsageError, and NetworkError for --check without a contract."""
    folder, faults = folder_of(options), Faults()
    set_keys(rows)
    for row, words in set_names(rows, state):
        faults.add(row.line, words)
    faults.check()
    if (
        (options.retry_failed or options.retry_uncertain)
        and state.rows
        and not any(row.key in state.rows for row in rows)
    ):
        words = "the log knows none of these rows: use the file and the options of the earlier run"
        raise UsageError(words, batch_call=("batch", "--help"))
    plan = BatchPlan(
        rows,
        state,
        folder=absolute(folder) if folder else None,
        retry_failed=options.retry_failed,
        retry_uncertain=options.retry_uncertain,
    )
    if any(file.is_upload for row in plan.unsent for file in row.files()):
        from ..files.upload import refuse_service

        refuse_service(client)
    if folder and not options.force:
        _refuse_taken(context, options, taken_names(plan.unsent, folder, state, log_path(options)))
    if options.check and plan.unsent:
        _check(client, plan.unsent)
    return plan


def _refuse_taken(context: Context, options: Options, taken: list[tuple[Row, str]]) -> None:
    """Raises UsageError for new rows whose files would have the names of others."""
    faults = Faults()
    for row, file in taken:
        faults.add(row.line, f"{os.path.join(folder_of(options) or '', file)!r} exists: use another @name or --force")
    try:
        faults.check()
    except UsageError as error:
        raise error.but(batch_call=in_another_folder(context.words, options)) from None


def _check(client: Client, rows: Sequence[Row]) -> None:
    """Raises UsageError where the API's contract refuses a row, NetworkError without a contract."""
    from .body import Checker

    checker, faults = Checker(client), Faults()
    for row in rows:
        body = row.value(shown_file)
        for issue in checker.issues("POST", row.path, body if row.has_body else {}):
            faults.add(row.line, "; ".join(issue["messages"]), issue["field"] or "the body")
    try:
        faults.check()
    except UsageError as error:
        words = f"the API's contract of {checker.contract.date} refuses rows: {error.message}"
        raise error.but(words, **checker.facts()) from None


def shown_file(file: InputFile) -> str:
    """What stands for a file in a body that is not sent."""
    return f"runway://… ({file.media.name})" if file.is_upload else file.data_uri()


# --- `batch --dry-run`: the request of every row that would be sent. No lock, no log, no change on the disk.


DRY_RUN_COLUMNS = (
    Column("Row", "row"),
    Column("Name", "name"),
    Column("Url", "url"),
    Column("Body", "body"),
)


def show(context: Context, options: Options, client: Client, rows: list[Row]) -> int:
    """The request of every row that would be sent, masked; nothing is changed."""
    path = log_path(options)
    shown_client = context.client(with_secret=False)
    state = read_state(path)
    if client.target.secret:
        check_account(state, account(client.target.base_url, client.target.secret), path)
        state.resolve(context.history(client), lambda row, key, identity: _resolved(state, row, key, identity))
    plan = make_plan(context, options, client, state, rows)
    try:
        for row in plan.unsent:
            body = row.value(shown_file)
            shown = {
                "dry_run": True,
                "row": row.number,
                "name": row.name,
                "method": "POST",
                "url": masking.own_url(shown_client.address("POST", row.path)),
                "headers": shown_client.headers(row.has_body),
                "body": masking.value(body) if row.has_body else None,
            }
            context.console.row(shown, alone=False)
    finally:
        context.console.end_rows(DRY_RUN_COLUMNS)
    context.console.note(f"{len(plan.unsent)} of {len(rows)} rows would be sent")
    return 0


def _resolved(state: LogState, row: str, key: str, identity: str) -> None:
    event = {"event": "started", "id": identity} if identity else {"event": "unsent"}
    state.add({**event, "row": row, "key": key})


# --- What a batch says about its rows: a line for each on stdout, the records of their ends, and how the whole ended.


COLUMNS = (
    Column("Row", "row"),
    Column("Name", "name"),
    Column("Id", "id"),
    Column("Status", "status"),
    Column("Credits", "credits"),
    Column("Saved", "saved"),
    Column("Error", "error", wrap=True),
)
MAX_FAILED = 20  # rows that the error object names; stdout has them all
NO_COST = "the cost of a row is not known"
UNCERTAIN_WORDS = (
    "the POST may have been accepted, and no answer is known: look for it in the account; "
    "--retry-uncertain sends it again"
)


class Report:
    """The rows that have ended. `folder` is what --download named, None without it."""

    def __init__(
        self, console: Console, log: BatchLog, history: History, *, total: int, folder: str | None, max_wait: float
    ) -> None:
        self.total = total
        self.count = 0
        self.failed = 0
        self.credits = 0.0
        self._console = console
        self._log = log
        self._history = history
        self._folder = folder
        self._max_wait = max_wait
        self._failures: list[tuple[str, RunwayError]] = []
        self._not_started = 0

    def known(self, row: Row) -> None:
        """Prints a row from the log: done, failed, or one whose fate is unknown."""
        state = self._log.state.rows[row.key]
        if state.standing == UNCERTAIN:
            self._uncertain(row, ApiError(UNCERTAIN_WORDS, status=0, may_have_been_accepted=True))
            return
        files = saved_files(state, None if self._folder is None else absolute(self._folder)) or []
        failure = None
        if state.standing == FAILED:
            failure = TaskError(state.error or f"{state.id} is {state.status}", batch_call="retry failed")
        facts = {"identity": state.id or None, "credits": state.credits, "saved": self._shown(files)}
        line = self._line(row, state.status or "FAILED", failure, **facts)
        self._print(row, {**line, "skipped": True}, failure)

    def ended(self, job: RowJob) -> None:
        """Records the end of a row's work, then prints it; a row that was not sent is only counted."""
        if job.task:
            self._polled(job, job.task)
        elif job.is_uncertain and job.failure:
            self._uncertain(job.row, job.failure)
        elif job.failure:
            status = "FAILED" if job.is_refused else "NOT_STARTED"
            failure = job.failure.but(batch_call="retry failed" if job.is_refused else _again(job.failure))
            self._print(job.row, self._line(job.row, status, failure), failure)
        else:
            self.not_started(job.row)

    def not_started(self, row: Row) -> None:
        """Prints a row that was left."""
        self._not_started += 1
        self._console.row(self._line(row, "NOT_STARTED"), alone=False)

    def end(self, *, at_budget: int | None) -> RunwayError | None:
        """Prints the last note. Returns why the whole failed, None if it did not.

        `at_budget` is the limit of credits if it lets no further row start.
        """
        self.note()
        failures = list(self._failures)
        if self._log.failure and not any(failure is self._log.failure for _, failure in failures):
            failures.append((self._log.path, self._log.failure))
        left = f"{self._not_started} of {self.total} rows are not started"
        if self._not_started and at_budget is not None:
            advice = "raise --max-credits" if self._log.state.most else "leave --max-credits out"
            why = f"the budget of {at_budget} credits is reached" if self._log.state.most else NO_COST
            left = f"{why}: {left}; {advice} to go on"
            if not failures:
                return WaitTimeout(left, batch_call="dry run")
        if not failures:
            return None
        error = summary(failures, max(self.total, 2) if len(failures) > 1 else self.total)
        facts = {"failed": error.fact("failed", [])[:MAX_FAILED], "waiting_for": None}
        more = f"; {left}" if self._not_started else ""
        return error.but(error.message + more, **(facts if error.fact("failed") else {"waiting_for": None}))

    def note(self) -> None:
        """The note that comes last on stderr."""
        succeeded = self.count - self.failed
        self._console.note(f"{succeeded} of {self.total} succeeded, {shown_credits(self.credits)} credits")

    def _polled(self, job: RowJob, task: PolledTask) -> None:
        row, state = job.row, self._log.state.rows[job.row.key]
        was_done = state.standing == DONE
        failure = failure_of(task, self._max_wait, is_paid=True)
        is_good = task.status in GOOD_ENDS
        is_gone = _is_gone(task)
        ended_badly = task.has_ended and (task.status in BAD_ENDS or bool(task.node_errors))
        if failure:
            is_over = ended_badly or (is_gone and not was_done)
            failure = failure.but(batch_call="retry failed" if is_over else _again(failure), waiting_for=None)
        status = task.status or ("SUCCEEDED" if was_done else "STARTED")
        credits = job.credits if job.credits is not None else state.credits
        if task.status in (*GOOD_ENDS, *BAD_ENDS) or (is_gone and not was_done):
            status = "GONE" if is_gone and not is_good else status
            folder = absolute(self._folder) if self._folder and is_good and task.error is None else None
            self._log.ended(
                row.key,
                state.id,
                status,
                credits=credits,
                folder=folder,
                saved=[absolute(path) for path in task.saved],
                error=failure.message if failure else None,
                is_bad=ended_badly,
            )
            record_end(self._history, task)
        line = self._line(row, status, failure, identity=state.id, credits=credits, saved=task.saved)
        self._print(row, {**line, "skipped": True} if was_done and not failure else line, failure)

    def _uncertain(self, row: Row, failure: RunwayError) -> None:
        line = self._line(row, "UNCERTAIN", failure)
        words = failure.message if failure.message == UNCERTAIN_WORDS else f"{failure.message}; {UNCERTAIN_WORDS}"
        uncertain = ApiError(words, **{**failure.facts, "batch_call": None})
        self._print(row, {**line, "error": self._console.mask(words), "maybeAccepted": True}, uncertain)

    def _line(
        self,
        row: Row,
        status: str,
        failure: RunwayError | None = None,
        *,
        identity: str | None = None,
        credits: Any = None,
        saved: Sequence[str] = (),
    ) -> dict[str, Any]:
        line = {"row": row.number, "name": row.name, "id": identity, "status": status, "credits": credits}
        error = {"error": self._console.mask(failure.message)} if failure else {}
        return {**line, "saved": list(saved), **error}

    def _print(self, row: Row, line: dict[str, Any], failure: RunwayError | None) -> None:
        self.count += 1
        self.credits += amount(line["credits"])
        if failure:
            self.failed += 1
            self._failures.append((row.name, failure))
        self._console.row(line, alone=False)

    def _shown(self, files: list[str]) -> list[str]:
        """The paths as --download names their folder."""
        return [os.path.join(self._folder, os.path.basename(path)) for path in files] if self._folder else files


def _is_gone(task: PolledTask) -> bool:
    """Whether the API no longer has a task whose end was not seen."""
    error = task.error
    is_missing = error is not None and error.fact("status") == 404 and bool(error.fact("from_provider", True))
    return is_missing and task.status not in GOOD_ENDS


def _again(failure: RunwayError) -> str | Sequence[str] | None:
    """What helps after this failure: the same call, or another one, None where neither is known."""
    if isinstance(failure, DeniedError):
        return ("auth", "status")
    return "same" if may_pass(failure) or isinstance(failure, (NetworkError, OutputError, WaitTimeout)) else None


# --- `batch`: many generations from one file, each paid for once, whatever happens to the process.


GO_ON_WAITING = ("wait", "--unfinished")
MAX_NAMES = 10  # of rows that a note names


def run(context: Context, options: Options) -> int:
    """Sends, waits for and saves every row that the log does not know as done, and prints each as it ends."""
    from ..jobs.rows import Faults, Shared, read_rows

    _check_options(context, options)
    client = context.client()
    if not options.dry_run:
        client.check_secret()
    faults = Faults()
    base_url = client.target.base_url
    shared = Shared(options.path, options.body, options.fields, base_url=base_url, shutdown=context.shutdown)
    rows = read_rows(options.rows, shared, faults)
    faults.check()
    if options.dry_run:
        return show(context, options, client, rows)
    try:
        with _opened_log(context, options, client) as log:
            return _run(context, options, client, log, rows)
    except (RunwayError, Interrupted) as failure:
        raise _going_on(context, options, failure) from None


def _check_options(context: Context, options: Options) -> None:
    if options.rows.startswith(("/v1/", "v1/")):
        swapped = [word for word in context.words if word != "--force"]
        last = len(swapped) - 1 - swapped[::-1].index(options.rows)
        first = last - 1 - swapped[:last][::-1].index(options.path)
        swapped[first], swapped[last] = swapped[last], swapped[first]
        raise UsageError("PATH comes first, then ROWS", batch_call=swapped)
    if options.rows != STDIN:
        return
    if not options.log and not options.download:
        words = "ROWS from stdin need --log FILE or --download DIR: the log is what makes a batch repeatable"
        raise UsageError(words, add=("--download", "outputs/"))
    is_read_twice = options.body in (STDIN, "@-") or any(
        field.kind == _body.TEXT_FILE and field.value == STDIN for field in options.fields
    )
    if is_read_twice:
        raise UsageError("stdin holds ROWS already: read the body or the text from a file")


def _opened_log(context: Context, options: Options, client: Client) -> BatchLog:
    from ..jobs.batch_log import BatchLog
    from ..jobs.history import account

    folder = folder_of(options)
    if folder:
        from ..files.download import check_destination

        check_destination(folder, force=options.force)
    payer = account(client.target.base_url, client.target.secret or "")
    return BatchLog(log_path(options), payer, clock=context.clock, mask=context.console.mask)


def _run(context: Context, options: Options, client: Client, log: BatchLog, rows: list[Row]) -> int:
    from ..jobs.batch import Batch, BatchOutputs, Limits
    from ..jobs.rows import remove_part_files

    history, folder = context.history(client), folder_of(options)

    def found(row: str, key: str, identity: str) -> None:
        if identity:
            log.started(row, key, identity, None)
        else:
            log.unsent(row, key)

    log.state.resolve(history, found)
    plan = make_plan(context, options, client, log.state, rows)
    _note_left_rows(context, log.state, rows)
    remove_part_files(log.state.folders, [state.name for state in log.state.rows.values()])
    outputs = None
    if folder:
        outputs = BatchOutputs(folder, rows, force=options.force)
        if plan.waiting or plan.unsent:
            log.saving_to(absolute(folder))
    report = Report(context.console, log, history, total=len(rows), folder=folder, max_wait=options.max_wait)
    limits = Limits(parallel=options.parallel, max_wait=options.max_wait, max_credits=options.max_credits)
    batch = Batch(client, history, log, plan, limits=limits, outputs=outputs)
    try:
        for row in plan.known:
            report.known(row)
        _work(context, options, batch, report)
        for row in reversed(batch.left):
            report.not_started(row)
    finally:
        context.console.end_rows(COLUMNS)
    failure = report.end(at_budget=options.max_credits if batch.is_at_budget else None)
    if failure:
        raise failure
    return 0


def _work(context: Context, options: Options, batch: Batch, report: Report) -> None:
    """Does what is to be done. Whatever ends it early, answers on their way are awaited and recorded before."""
    from .display import BatchDisplay

    display = BatchDisplay(context.console, context.clock, batch, report)
    try:
        for job in batch.run(display.handle):
            display.ended(job)
            report.ended(job)
    except (Interrupted, Exception) as stop:
        for job in batch.drain():
            if not isinstance(stop, ClosedOutput):
                report.ended(job)
        display.close()
        if isinstance(stop, ClosedOutput):
            raise
        context.console.note(display.whole())
        context.shutdown.end()  # threads may still be at work: the error is to be the last word
        raise _while_running(stop, batch) from None
    finally:
        display.close()


def _while_running(stop: BaseException, batch: Batch) -> Failure:
    """Whatever ends the run, be it a defect of this program, says what is left; the same call goes on."""
    failure = stop if isinstance(stop, Failure) else InternalError.of(stop)
    running = sum(job.is_sent for job in batch.in_flight)
    words = [f"rows running: {running}", f"not started: {len(batch.left)}"]
    if batch.starts.sending:
        words.append(f"without an answer: {batch.starts.sending}")
    if batch.log.failure:  # nothing else knows them
        names = [job.task.name for job in batch.in_flight if job.task]
        words.append(f"{batch.log.failure.message}; in no log: {', '.join(names) or 'none'}")
    return failure.but(
        f"{failure.message}: {', '.join(words)}; run the same command again to continue", batch_call="same"
    )


def _note_left_rows(context: Context, state: LogState, rows: list[Row]) -> None:
    """A note about rows that have started and are no longer in ROWS."""
    from ..jobs.rows import unfinished

    found = [f"{known.name} ({known.id or 'no answer known'})" for known in unfinished(rows, state).values()]
    if found:
        more = f" and {len(found) - MAX_NAMES} more" if len(found) > MAX_NAMES else ""
        context.console.note(
            f"rows of the log that have not ended and are no longer in ROWS: {', '.join(found[:MAX_NAMES])}{more}"
        )


def _going_on(context: Context, options: Options, failure: RunwayError | Interrupted) -> RunwayError | Interrupted:
    """The failure with the call that goes on. ROWS from stdin cannot be read again: what was started is waited for."""
    call = failure.fact("batch_call") or ("same" if isinstance(failure, Interrupted) else None)
    if call == "same" and failure.fact("taken"):
        call = in_another_folder(context.words, options)
    if options.rows == STDIN and (call in ("same", "dry run", "retry failed") or isinstance(call, list)):
        call = GO_ON_WAITING
    return failure.but(batch_call=call)


def _rows_operand(text: str) -> str:
    if not text:
        raise ValueError("ROWS is empty: is a variable unset?")
    return text


COMMANDS = {
    "batch": Command(
        run,
        summary="send many requests, each paid for once",
        operands=(
            Operand("path", "PATH", help="the endpoint of the POSTs, such as /v1/text_to_image"),
            Operand("rows", "ROWS", help="FILE.jsonl, FILE.csv, or - for JSON Lines on stdin", read=_rows_operand),
        ),
        options=OPTIONS,
        examples=(
            (
                *("batch", "/v1/text_to_image", "prompts.jsonl", "-f", "model=gen4_image", "-f", "ratio=1280:720"),
                *("--download", "sky/"),
            ),
            (
                *("batch", "/v1/text_to_image", "prompts.jsonl", "-f", "model=gen4_image", "-f", "ratio=1280:720"),
                *("--download", "sky/", "--retry-failed", "--dry-run"),
            ),
        ),
        prints='{"row", "name", "id", "status", "credits", "saved"} for each row as it ends, with `error` where it failed',
        effect=COSTS,
        has_rows=True,
        after_error=("batch", "--help"),
        notes=(
            "A row's keys are fields: in JSON Lines as with -F, in CSV KEY for text and KEY:json for JSON. @name, @path, "
            "@upload.KEY and @data-uri.KEY name its files and endpoint.",
            "Run the same command again to continue: what is done or was paid for is not sent again.",
        ),
    )
}
