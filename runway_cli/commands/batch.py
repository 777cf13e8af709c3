"""`batch`: many generations from one file, each paid for once, whatever happens to the process."""

from __future__ import annotations

import os

from .. import settings as values
from ..api.retry import may_poll_again
from ..errors import ApiError, ClosedOutput, Failure, InternalError, RunwayError, TaskError, UsageError, WaitTimeout
from ..jobs import fields
from ..jobs.batch import Batch, files_in_the_way, remove_part_files, saved_files
from ..jobs.batch_log import DONE, FAILED, NEW, STARTED, UNCERTAIN, BatchLog, amount, check_account, read_state
from ..jobs.ledger import account_of as account
from ..jobs.rows import PRINT, SEND, WAIT, InputFile, RowReader, refuse, set_names
from ..jobs.tasks import BAD_ENDS, GOOD_ENDS
from ..settings import absolute, shown_credits
from ..terminal import masking
from ..terminal.tables import Column
from .context import summary
from .options import COSTS, Command, GlobalOptions, Operand, Option
from .request import BODY_OPTIONS
from .wait import MAX_WAIT, failure_of, record_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..api.client import Client
    from ..jobs.batch import RowJob
    from ..jobs.batch_log import LogState
    from ..jobs.ledger import Ledger
    from ..jobs.rows import Fault, Row
    from .context import Context


class Options(GlobalOptions):
    path: str
    rows: str
    body: str | None
    fields: Sequence[fields.Field]
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
    Option("--download", metavar="DIR", read=values.destination, help="folder to save outputs in, named by row"),
    Option("--log", metavar="FILE", read=values.destination, help="the log (default: ROWS.batch.jsonl)"),
    Option("--parallel", metavar="N", read=values.parallel, default=4, help="rows in flight, 64 at most (default: 4)"),
    Option(
        "--max-wait",
        metavar="SECONDS",
        read=values.seconds_or_forever,
        default=MAX_WAIT,
        help="stop waiting for a row after this time, 0 for no limit (default: 600)",
    ),
    Option("--max-credits", metavar="N", read=values.positive, help="start no more rows once N credits are spent"),
    Option("--check", help="check every row against the API's contract first"),
    Option("--dry-run", help="show the requests that would be sent, and send nothing"),
    Option("--retry-failed", help="send failed rows again"),
    Option("--retry-uncertain", help="send rows of unknown outcome again: they may be charged twice"),
    Option("--force", help="let outputs replace files"),
)
COLUMNS = (
    Column("Row", "row"),
    Column("Name", "name"),
    Column("Id", "id"),
    Column("Status", "status"),
    Column("Credits", "credits"),
    Column("Saved", "saved"),
    Column("Error", "error", wrap=True),
)
DRY_RUN_COLUMNS = (Column("Row", "row"), Column("Name", "name"), Column("Url", "url"), Column("Body", "body"))
STDIN = "-"
MAX_FAILED = 20  # rows that the error object names; stdout has them all
MAX_NAMES = 10  # of rows that a note names
UNCERTAIN_WORDS = (
    "the POST may have been accepted, but its outcome is unknown: look for it in the account; "
    "--retry-uncertain sends it again"
)


def run(context: Context, options: Options) -> int:
    """Sends, waits for and saves every row that the log does not know as done, and prints each as it ends."""
    _check_options(context, options)
    client = context.client()
    if not options.dry_run:
        client.check_secret()
    base_url, shutdown = client.target.base_url, context.shutdown
    reader = RowReader(options.path, options.body, options.fields, base_url=base_url, shutdown=shutdown)
    rows = reader.read(options.rows)
    if options.dry_run:
        return _show(context, options, client, rows)
    folder = _folder_of(options)
    try:
        if folder:
            from ..files.download import check_destination

            check_destination(folder, force=options.force)
        payer = account(base_url, client.target.secret or "")
        with BatchLog(_log_path(options), payer, clock=context.clock, mask=context.console.mask) as log:
            return BatchRun(context, options, client, log, rows).run()
    except Failure as failure:
        raise failure.but(batch_call=_next_call(context, options, failure)) from None


def _check_options(context: Context, options: Options) -> None:
    if options.rows.startswith(("/v1/", "v1/")):
        other = {options.path: options.rows, options.rows: options.path}
        swapped = [other.get(word, word) for word in context.words if word != "--force"]
        raise UsageError("PATH comes first, then ROWS", batch_call=swapped)
    if options.rows != STDIN:
        return
    if not options.log and not options.download:
        words = "ROWS from stdin need --log FILE or --download DIR: the log is what makes a batch repeatable"
        raise UsageError(words, add=("--download", "outputs/"))
    texts = [field.value for field in options.fields if field.kind == fields.TEXT_FILE]
    if options.body in (STDIN, "@-") or STDIN in texts:
        raise UsageError("stdin holds ROWS already: read the body or the text from a file")


def _folder_of(options: Options) -> str | None:
    """Returns --download with a slash at its end: here it is always a folder."""
    path = options.download
    return path if path is None or path.endswith(("/", os.sep)) else path + "/"


def _log_path(options: Options) -> str:
    if options.log:
        return options.log
    if options.rows == STDIN:
        return os.path.join(_folder_of(options) or "", "batch.jsonl")
    return f"{options.rows}.batch.jsonl"


def _in_another_folder(context: Context, options: Options) -> list[str]:
    """Returns the words of the call with a folder that does not exist yet, beside the one of --download."""
    from ..files.download import free_folder

    given = str(options.download)
    other = free_folder(given)
    changed = {given: other, f"--download={given}": f"--download={other}"}
    return [changed.get(word, word) for word in context.words if word != "--force"]


def _next_call(context: Context, options: Options, failure: Failure) -> str | Sequence[str] | None:
    """Returns the call that continues after this failure. ROWS from stdin cannot be read again."""
    call: str | Sequence[str] | None = failure.fact("batch_call")
    if failure.kind == "interrupted":
        call = call or "same"
    if call == "same" and failure.fact("taken"):
        call = _in_another_folder(context, options)
    if options.rows == STDIN and (isinstance(call, list) or call in ("same", "dry run", "retry failed")):
        return ("wait", "--unfinished")
    return call


def _plan(context: Context, options: Options, client: Client, state: LogState, rows: list[Row]) -> list[Row]:
    """Names the rows and sets what is to be done with each. Returns those to be sent.

    Raises UsageError where one of these must not be sent, and NetworkError for --check without a contract.
    """
    refuse(set_names(rows, {key: known.name for key, known in state.rows.items()}))
    is_retry = options.retry_failed or options.retry_uncertain
    if is_retry and state.rows and not any(row.key in state.rows for row in rows):
        words = "the log knows none of these rows: use the file and the options of the earlier run"
        raise UsageError(words, batch_call=("batch", "--help"))
    folder = _folder_of(options)
    again = {NEW, *((FAILED,) if options.retry_failed else ()), *((UNCERTAIN,) if options.retry_uncertain else ())}
    for row in rows:
        known = state.rows.get(row.key)
        if known is None or known.standing in again:
            row.todo = SEND
        elif known.standing == DONE:
            row.todo = WAIT if saved_files(known, folder) is None else PRINT
        else:
            row.todo = WAIT if known.standing == STARTED else PRINT
    unsent = [row for row in rows if row.todo == SEND]
    if any(file.is_upload for row in unsent for file in row.files()):
        from ..files.upload import refuse_service

        refuse_service(client)
    taken = [] if not folder or options.force else files_in_the_way(unsent, folder, state, _log_path(options))
    if folder and taken:
        advice = "use another @name or --force"
        faults = [(row.line, "", f"{os.path.join(folder, file)!r} exists: {advice}") for row, file in taken]
        refuse(faults, batch_call=_in_another_folder(context, options))
    if options.check and unsent:
        _check(client, unsent)
    return unsent


def _check(client: Client, rows: Sequence[Row]) -> None:
    """Raises UsageError where the API's contract refuses a row, NetworkError without a contract."""
    from .body import Checker

    checker = Checker(client)
    faults: list[Fault] = []
    for row in rows:
        for issue in checker.issues("POST", row.path, row.value(InputFile.shown) if row.has_body else {}):
            faults.append((row.line, issue["field"] or "the body", "; ".join(issue["messages"])))
    refuse(faults, f"the API's contract of {checker.contract.date} refuses rows: ", **checker.facts())


def _show(context: Context, options: Options, client: Client, rows: list[Row]) -> int:
    """Prints the request of every row that would be sent, masked. No lock, no log, no change on the disk."""
    state = read_state(_log_path(options))
    if client.target.secret:
        check_account(state, account(client.target.base_url, client.target.secret), _log_path(options))
        _resolve(state, context.history(client), None)
    unsent = _plan(context, options, client, state, rows)
    shown_client = context.client(with_secret=False)
    try:
        for row in unsent:
            shown = {
                "dry_run": True,
                "row": row.number,
                "name": row.name,
                "method": "POST",
                "url": masking.own_url(shown_client.address("POST", row.path)),
                "headers": shown_client.headers(row.has_body),
                "body": masking.value(row.value(InputFile.shown)),
            }
            context.console.row(shown, alone=False)
    finally:
        context.console.end_rows(DRY_RUN_COLUMNS)
    context.console.note(f"{len(unsent)} of {len(rows)} rows would be sent")
    return 0


def _resolve(state: LogState, history: Ledger, log: BatchLog | None) -> None:
    """Looks in the history for POSTs whose outcome the log does not know; `log` records what is found."""

    def found(row: str, key: str, identity: str) -> None:
        if log is None:
            state.add({"event": "started" if identity else "unsent", "id": identity, "row": row, "key": key})
        elif identity:
            log.started(row, key, identity, None)
        else:
            log.unsent(row, key)

    state.resolve(history, found)


class BatchRun:
    """One run of the command. Of `total` rows `count` have been printed, `failed` of them as failed."""

    def __init__(self, context: Context, options: Options, client: Client, log: BatchLog, rows: list[Row]) -> None:
        self.total = len(rows)
        self.count = 0
        self.failed = 0
        self.credits = 0.0
        self._context = context
        self._console = context.console
        self._options = options
        self._client = client
        self._history = context.history(client)
        self._log = log
        self._rows = rows
        self._folder = _folder_of(options)
        self._not_started = 0
        self._failures: list[tuple[str, RunwayError]] = []

    def run(self) -> int:
        """Does what is to be done. Returns 0 if every row succeeded; raises why one did not."""
        options, log = self._options, self._log
        _resolve(log.state, self._history, log)
        _plan(self._context, options, self._client, log.state, self._rows)
        keys = {row.key for row in self._rows}
        left = [
            f"{known.name} ({known.id or 'outcome unknown'})"
            for key, known in log.state.rows.items()
            if key not in keys and known.standing in (STARTED, UNCERTAIN)
        ]
        if left:
            more = f" and {len(left) - MAX_NAMES} more" if len(left) > MAX_NAMES else ""
            names = ", ".join(left[:MAX_NAMES]) + more
            self._console.note(f"unfinished rows in the log that are no longer in ROWS: {names}")
        remove_part_files(log.state.folders, [known.name for known in log.state.rows.values()])
        if self._folder and any(row.todo != PRINT for row in self._rows):
            log.saving_to(absolute(self._folder))
        batch = Batch(
            self._client,
            self._history,
            log,
            self._rows,
            folder=self._folder,
            force=options.force,
            parallel=options.parallel,
            max_wait=options.max_wait,
            max_credits=options.max_credits,
        )
        try:
            for row in self._rows:
                if row.todo == PRINT:
                    self._print_known(row)
            self._work(batch)
            for row in batch.unsent:
                self._print(row, "NOT_STARTED")
        finally:
            self._console.end_rows(COLUMNS)
        succeeded = self.count - self.failed
        self._console.note(f"{succeeded} of {self.total} succeeded, {shown_credits(self.credits)} credits")
        failure = self._failure(batch)
        if failure:
            raise failure
        return 0

    def _work(self, batch: Batch) -> None:
        """Sends, waits and saves. Whatever ends it early, answers in progress are awaited and recorded first."""
        from .display import BatchDisplay

        display = BatchDisplay(self._console, self._context.clock, batch, self)
        try:
            for job in batch.run(display.handle):
                display.ended(job)
                self._ended(job)
        except ClosedOutput:
            for _ in batch.drain():
                pass  # their answers are recorded
            raise
        except (Failure, Exception) as stop:
            for job in batch.drain():
                self._ended(job)
            display.close()
            self._console.note(display.summary())
            self._context.shutdown.end()  # threads may still be at work: the error is to be the last word
            failure = stop if isinstance(stop, Failure) else InternalError.of(stop)
            running = sum(job.task is not None for job in batch.in_flight)
            words = [f"{failure.message}: rows running: {running}", f"not started: {len(batch.unsent)}"]
            if batch.sending:
                words.append(f"without an answer: {batch.sending}")
            if self._log.failure:  # nothing else knows them
                names = [job.task.name for job in batch.in_flight if job.task]
                words.append(f"{self._log.failure.message}; in no log: {', '.join(names) or 'none'}")
            text = f"{', '.join(words)}; run the same command again to resume"
            raise failure.but(text, batch_call="same") from None
        finally:
            display.close()

    def _print_known(self, row: Row) -> None:
        """Prints a row from the log: done, failed, or one whose outcome is unknown."""
        known = self._log.state.rows[row.key]
        if known.standing == UNCERTAIN:
            self._uncertain(row, UNCERTAIN_WORDS, may_have_been_accepted=True)
            return
        failure = None
        if known.standing == FAILED:
            failure = TaskError(known.error or f"{known.id} is {known.status}", batch_call="retry failed")
        files = saved_files(known, self._folder) or []
        if self._folder:
            files = [os.path.join(self._folder, os.path.basename(path)) for path in files]
        facts = {"id": known.id or None, "credits": known.credits, "saved": files, "skipped": True}
        self._print(row, known.status or "FAILED", failure, **facts)

    def _ended(self, job: RowJob) -> None:
        """Records how the work on a row ended, then prints it."""
        if job.task:
            self._polled(job)
        elif job.failure and job.status == "UNCERTAIN":
            self._uncertain(job.row, f"{job.failure.message}; {UNCERTAIN_WORDS}", **job.failure.facts)
        elif job.failure:
            call = "retry failed" if job.status == "FAILED" else _call_after(job.failure)
            self._print(job.row, job.status, job.failure.but(batch_call=call))
        else:
            self._print(job.row, job.status)

    def _polled(self, job: RowJob) -> None:
        row, task, known = job.row, job.task, self._log.state.rows[job.row.key]
        assert task
        was_done = known.standing == DONE
        is_gone = task.is_missing and not was_done and task.status not in GOOD_ENDS
        is_bad = task.has_ended and (task.status in BAD_ENDS or bool(task.node_errors))
        failure = failure_of(task, self._options.max_wait, is_paid=True)
        if failure:
            call = "retry failed" if is_bad or is_gone else _call_after(failure)
            failure = failure.but(batch_call=call, waiting_for=None)
        status = "GONE" if is_gone else task.status or ("SUCCEEDED" if was_done else "STARTED")
        credits = known.credits if job.credits is None else job.credits
        if is_gone or task.status in (*GOOD_ENDS, *BAD_ENDS):
            is_saved = self._folder and task.status in GOOD_ENDS and task.error is None
            self._log.ended(
                row.key,
                known.id,
                status,
                credits=credits,
                folder=absolute(self._folder) if self._folder and is_saved else None,
                saved=[absolute(path) for path in task.saved],
                error=failure.message if failure else None,
                is_bad=is_bad,
            )
            record_end(self._history, task)
        more = {"skipped": True} if was_done and not failure else {}
        self._print(row, status, failure, id=known.id, credits=credits, saved=task.saved, **more)

    def _uncertain(self, row: Row, words: str, **facts: Any) -> None:
        self._print(row, "UNCERTAIN", ApiError(words, **{**facts, "batch_call": None}), maybeAccepted=True)

    def _print(self, row: Row, status: str, failure: RunwayError | None = None, **facts: Any) -> None:
        """Prints a row with these facts, and counts it unless it was left without a failure of its own."""
        line = {"row": row.number, "name": row.name, "id": None, "status": status, "credits": None, "saved": []}
        line.update(facts)
        if failure:
            line["error"] = self._console.mask(failure.message)
            self.failed += 1
            self._failures.append((row.name, failure))
        if failure or status != "NOT_STARTED":
            self.count += 1
            self.credits += amount(line["credits"])
        else:
            self._not_started += 1
        self._console.row(line, alone=False)

    def _failure(self, batch: Batch) -> RunwayError | None:
        """Returns why the whole failed, None if it did not."""
        failures, lost = list(self._failures), self._log.failure
        if lost and all(failure.message != lost.message for _, failure in failures):
            failures.append((self._log.path, lost))
        left = f"{self._not_started} of {self.total} rows are not started"
        if self._not_started and batch.is_at_budget:
            if self._log.state.most:
                why, advice = f"the budget of {self._options.max_credits} credits is reached", "raise --max-credits"
            else:
                why, advice = "the cost of a row is unknown", "leave --max-credits out"
            left = f"{why}: {left}; {advice} to continue"
            if not failures:
                return WaitTimeout(left, batch_call="dry run")
        if not failures:
            return None
        error = summary(failures, max(self.total, 2) if len(failures) > 1 else self.total)
        failed = (error.fact("failed") or [])[:MAX_FAILED] or None
        words = f"{error.message}; {left}" if self._not_started else error.message
        return error.but(words, failed=failed, waiting_for=None)


def _call_after(failure: RunwayError) -> str | Sequence[str] | None:
    """Returns what helps after this failure: the same call, or another one, None where neither is known."""
    if failure.kind == "auth":
        return ("auth", "status")
    if isinstance(failure, ApiError):
        return "same" if may_poll_again(failure) else None
    return "same" if failure.kind in ("network", "io", "timeout") else None


def _rows_operand(text: str) -> str:
    if not text:
        raise ValueError("ROWS is empty: is a variable unset?")
    return text


EXAMPLE = (
    *("batch", "/v1/text_to_image", "prompts.jsonl", "-f", "model=gen4_image", "-f", "ratio=1280:720"),
    *("--download", "sky/"),
)
COMMANDS = {
    "batch": Command(
        run,
        summary="send many requests, each paid for once",
        operands=(
            Operand("path", "PATH", help="the endpoint of the POSTs, such as /v1/text_to_image"),
            Operand("rows", "ROWS", help="FILE.jsonl, FILE.csv, or - for JSON Lines on stdin", read=_rows_operand),
        ),
        options=OPTIONS,
        examples=(EXAMPLE, (*EXAMPLE, "--retry-failed", "--dry-run")),
        prints='{"row", "name", "id", "status", "credits", "saved"} for each row as it ends, with `error` if it failed',
        effect=COSTS,
        has_rows=True,
        notes=(
            "A row's keys are fields: in JSON Lines as with -F, in CSV KEY for text and KEY:json for JSON. "
            "@name, @path, @upload.KEY and @data-uri.KEY name its files and endpoint.",
            "Run the same command again to resume: what is done or was paid for is not sent again.",
        ),
    )
}
