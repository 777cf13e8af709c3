"""`batch`: many generations from one file, each paid for once, whatever happens to the process."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress

from .. import settings as values
from ..api.paths import api_path
from ..api.retry import may_poll_again
from ..errors import (
    ApiError,
    ClosedOutput,
    ConfigError,
    Failure,
    InternalError,
    RunwayError,
    UsageError,
    WaitTimeout,
    heaviest,
)
from ..files.download import remove_part_files
from ..jobs import attempts as states
from ..jobs import fields
from ..jobs.attempts import FAILED, NOT_STARTED, SKIPPED, STARTED, UNCERTAIN, number_of
from ..jobs.batch import Batch, files_in_the_way, saved_files
from ..jobs.ledger import LedgerLocked, LedgerMissing
from ..jobs.rows import PRINT, SEND, WAIT, RowReader, refuse, set_names
from ..jobs.start import failure_of, field_of
from ..settings import absolute, history_path, shown_credits
from ..terminal import masking
from ..terminal.tables import Column
from .options import COSTS, Command, GlobalOptions, Operand, Option
from .request import BODY_OPTIONS
from .wait import WAIT_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..api.client import Client
    from ..jobs.attempts import Attempt
    from ..jobs.batch import RowJob
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
    max_time: float
    max_credits: int | None
    check: bool
    dry_run: bool
    retry_failed: bool
    retry_uncertain: bool
    force: bool


OPTIONS = (
    *BODY_OPTIONS,
    Option("--download", metavar="DIR", read=values.destination, help="folder to save outputs in, named by row"),
    Option("--log", metavar="FILE", read=values.destination, help="the ledger (default: ROWS.batch.db)"),
    Option(
        "--parallel", metavar="N", read=values.integer(1, 64), default=4, help="rows in flight, 64 at most (default: 4)"
    ),
    WAIT_OPTIONS[0],  # --max-wait, for each row
    Option(
        "--max-time",
        metavar="SECONDS",
        read=values.seconds_or_forever,
        default=0.0,
        help="stop after this time; what is in progress stays started",
    ),
    Option(
        "--max-credits",
        metavar="N",
        read=values.integer(1),
        help="start no row that would bring the total above N credits",
    ),
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
    Column("Saved", "saved", rank=1),
    Column("Error", "error", wrap=True),
)
DRY_RUN_COLUMNS = (Column("Row", "row"), Column("Name", "name"), Column("Url", "url"), Column("Body", "body"))
STDIN = "-"
BALANCE_WAIT = 10.0  # seconds that a dry run waits for the balance
# What the last note counts
OK, BAD, IN_PROGRESS = "done", "failed", "in progress"
OTHERS = {SKIPPED: "skipped", NOT_STARTED: "not started"}  # by their status
MAX_NAMES = 10  # of rows that a note names
UNCERTAIN_WORDS = (
    "the POST may have been accepted, but its outcome is unknown: look for it in the account; "
    "--retry-uncertain sends it again"
)


def run(context: Context, options: Options) -> int:
    """Sends, waits for and saves every row that the ledger does not know as done, and prints each as it ends."""
    _check_options(options)
    client = context.client()
    if not options.dry_run:
        client.check_secret()
    base_url, shutdown = client.target.base_url, context.shutdown
    reader = RowReader(options.path, options.body, options.fields, base_url=base_url, shutdown=shutdown)
    rows = reader.read(options.rows)
    if options.download:
        options.download = os.path.join(options.download, "")  # here it is always a folder
    try:
        if options.download and not options.dry_run:
            from ..files.download import check_destination

            check_destination(options.download, force=options.force)
        history, ledger = context.history(client), _opened(context, options, client)
        attempts = _known(ledger, history, is_dry_run=options.dry_run)
        _plan(options, client, attempts, rows)
        batch = Batch(client, history, ledger, rows, options=options)
        return _show(context, batch, rows) if options.dry_run else BatchRun(context, batch, rows, attempts).run()
    except Failure as failure:
        call: str | Sequence[str] | None = failure.fact("batch_call")
        call = call or ("same" if failure.kind == "interrupted" else None)
        if failure.fact("taken"):  # with another folder
            call = None
        if options.rows == STDIN and (isinstance(call, str) or failure.fact("taken")):  # it cannot be read again
            call = ("wait", "--unfinished")
        raise failure.but(batch_call=call) from None


def _check_options(options: Options) -> None:
    if options.rows != STDIN:
        return
    if not options.log and not options.download:
        words = "ROWS from stdin need --log FILE or --download DIR: the ledger is what makes a batch repeatable"
        raise UsageError(words, add=("--download", "outputs/"))
    texts = [field.value for field in options.fields if field.kind == fields.TEXT_FILE]
    if options.body in (STDIN, "@-") or STDIN in texts:
        raise UsageError("stdin holds ROWS already: read the body or the text from a file")


def _opened(context: Context, options: Options, client: Client) -> Ledger:
    """Returns the ledger, locked for this process until the end of the run; a dry run makes none.

    Raises UsageError where another process or another account has it, and where the file is not a
    ledger, which is left unchanged.
    """
    beside = os.path.join(options.download or "", "batch") if options.rows == STDIN else f"{options.rows}.batch"
    path, old = absolute(options.log or f"{beside}.db"), absolute(f"{beside}.jsonl")
    if not options.log and os.path.lexists(old) and not os.path.lexists(path):
        words = f"{old!r} was written by version 2: finish that batch with version 2,"
        raise UsageError(f"{words} or move the log away to pay for every row again")
    if os.path.realpath(path) == os.path.realpath(history_path() or ""):
        raise UsageError(f"the ledger {path!r} is the history: choose another file with --log")
    if not options.dry_run and not os.path.isdir(os.path.dirname(path)):
        raise UsageError(f"the folder of the ledger {path!r} does not exist: choose another file with --log")
    options.log = path
    ledger = context.ledger(client, path, exclusive=True)
    if options.dry_run and not os.path.lexists(path):
        return ledger
    try:
        with ledger:
            other = ledger.other_account()
    except LedgerLocked:
        words = f"the ledger {path!r} is in use by another process: this batch is running already"
        raise UsageError(words, batch_call="same") from None
    except ConfigError as error:
        words = f"the ledger of a batch is needed: {error}" if isinstance(error, LedgerMissing) else error.message
        raise UsageError(f"{words}: choose another file with --log") from None
    if other is not None and client.target.secret:
        what = "API key" if other.startswith(f"{client.target.base_url} ") else "base URL"
        words = f"the ledger {path!r} belongs to another {what}: use that one, or --log FILE for a new batch"
        raise UsageError(words, try_next=("auth", "status"))
    ledger.account = other or ledger.account  # a dry run without a key
    return ledger


def _plan(options: Options, client: Client, attempts: dict[str, Attempt], rows: list[Row]) -> None:
    """Names the rows and sets what is to be done with each.

    `attempts` are the last ones, by the keys of their rows. Raises UsageError where a row must not be sent, and
    NetworkError for --check without a contract.
    """
    refuse(set_names(rows, {key: attempt.name or "" for key, attempt in attempts.items()}))
    is_retry = options.retry_failed or options.retry_uncertain
    if is_retry and attempts and not any(row.key in attempts for row in rows):
        words = "the ledger knows none of these rows: use the file and the options of the earlier run"
        raise UsageError(words, batch_call=("batch", "--help"))
    folder = options.download
    for row in rows:
        row.attempt = known = attempts.get(row.key)
        if known is None:
            row.todo = SEND
        elif known.is_uncertain:
            row.todo = SEND if options.retry_uncertain else PRINT
        elif known.has_failed:
            row.todo = SEND if options.retry_failed and not states.is_safety(known.code) else PRINT
        else:
            row.todo = WAIT if known.status == STARTED or saved_files(known, folder) is None else PRINT
    unsent = [row for row in rows if row.todo == SEND]
    if any(file.is_upload for row in unsent for file in row.files()):
        from ..files.upload import refuse_service

        refuse_service(client)
    kept = [path for path in (options.rows, options.log, history_path()) if path]
    new = [row for row in rows if row.todo != PRINT] if options.force else unsent
    taken = files_in_the_way(new, folder, attempts.values(), kept, force=options.force) if folder else []
    if folder and taken:
        advice = "use another @name" if options.force else "use another @name or --force"
        faults = [(row.line, "", f"{os.path.join(folder, file)!r} exists: {advice}") for row, file in taken]
        refuse(faults, taken=folder)
    if options.check and unsent:
        _check(client, unsent)


def _check(client: Client, rows: Sequence[Row]) -> None:
    """Raises UsageError where the API's contract refuses a row, NetworkError without a contract."""
    from .body import Checker

    checker = Checker(client)
    faults: list[Fault] = []
    for row in rows:
        for issue in checker.issues("POST", row.path, row.value(lambda each: each.shown()) if row.has_body else {}):
            faults.append((row.line, issue["field"] or "the body", "; ".join(issue["messages"])))
    refuse(faults, f"the API's contract of {checker.contract.date} refuses rows: ", **checker.facts())


def _known(ledger: Ledger, history: Ledger, *, is_dry_run: bool) -> dict[str, Attempt]:
    """Returns the last attempt at each row, by its key.

    The history is asked about POSTs whose outcome the ledger does not know; what it has is recorded, but for a dry run.
    """
    attempts = ledger.attempts()
    told = [history.attempt(each.key) for each in attempts if each.is_uncertain]
    fates = {fate.key: fate for fate in told if fate and (fate.id or fate.status == states.UNSENT)}
    last: dict[str, Attempt] = {}
    for each in attempts:
        fate = fates.get(each.key)
        if fate is None or fate.id:
            last[each.job or ""] = each
        if fate is not None and fate.id:
            each.status, each.id, each.credits = STARTED, fate.id, fate.credits
        if fate is not None and not is_dry_run:
            ledger.started(each.key, fate.id, fate.credits) if fate.id else ledger.unsent(each.key)
    return last


def _show(context: Context, batch: Batch, rows: list[Row]) -> int:
    """Prints the request of every row that would be sent, masked, and its cost. Changes nothing on the disk."""
    skipped = {job.row for job in batch.release()}
    unsent = [row for row in rows if row.todo == SEND and row not in skipped]
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
                "body": masking.value(row.value(lambda each: each.shown())),
            }
            context.console.row(shown, alone=False)
    finally:
        context.console.end_rows(DRY_RUN_COLUMNS)
    context.console.note(_foreseen(batch, unsent))
    return 0


def _foreseen(batch: Batch, unsent: list[Row]) -> str:
    """Returns what the rows of a dry run would cost, and the balance: `2 rows: 1 × 25 credits known, 1 unknown`."""
    options, client = batch.options, batch.client
    prices: dict[Any, int] = {}
    for row in unsent:
        prices[batch.price(row)] = prices.get(batch.price(row), 0) + 1
    unknown = prices.pop(None, 0)
    known = ", ".join(f"{count} × {shown_credits(price)}" for price, count in prices.items())
    words = filter(None, (f"{known} credits known" if known else "", f"{unknown} unknown" if unknown else ""))
    found = [": ".join(filter(None, (f"{len(unsent)} row{'s' * (len(unsent) != 1)}", ", ".join(words))))]
    if options.max_credits is not None:
        found.append(f"--max-credits {options.max_credits} allows {batch.allowed(unsent)}")
    if client.target.secret and not options.gateway and not options.quiet:
        deadline = client.clock.monotonic() + BALANCE_WAIT
        try:
            account = client.call("GET", "/v1/organization", retries=0, deadline=deadline).value
        except RunwayError:
            account = None
        balance = number_of(account.get("creditBalance")) if isinstance(account, dict) else None
        found += [] if balance is None else [f"balance {balance}"]
    return "; ".join(found)


class BatchRun:
    """One run of the command. Of `total` rows `counts` have been printed; `credits` cost those that it has sent."""

    def __init__(self, context: Context, batch: Batch, rows: list[Row], attempts: dict[str, Attempt]) -> None:
        self.total = len(rows)
        self.counts: Counter[str] = Counter()
        self.credits = 0.0
        self._context = context
        self._console = context.console
        self._batch = batch
        self._rows = rows
        self._attempts = attempts
        self._failures: list[RunwayError] = []

    @property
    def _advice(self) -> str:
        """Returns how to go on; rows that this run has sent again are not to be sent once more."""
        found = vars(self._batch.options)
        flags = [flag for flag in ("retry_failed", "retry_uncertain") if found[flag]]
        without = " without " + " and ".join("--" + flag.replace("_", "-") for flag in flags) if flags else ""
        return f"run the same command again{without} to resume"

    def run(self) -> int:
        """Does what is to be done. Returns 0 if every row succeeded; raises why one did not."""
        batch, attempts = self._batch, self._attempts.values()
        keys = {row.key for row in self._rows}
        left = [
            f"{attempt.name} ({attempt.id or 'outcome unknown'})"
            for attempt in attempts
            if attempt.job not in keys and attempt.status in states.OPEN
        ]
        if left:
            more = f" and {len(left) - MAX_NAMES} more" if len(left) > MAX_NAMES else ""
            names = ", ".join(left[:MAX_NAMES]) + more
            self._console.note(f"unfinished rows in the ledger that are no longer in ROWS: {names}")
        folders = {os.path.dirname(attempt.destination) for attempt in attempts if attempt.destination}
        folders.update(folder for attempt in attempts for folder in attempt.saved)
        folders.update([absolute(batch.folder)] if batch.folder else [])
        remove_part_files(folders, [attempt.name or "" for attempt in attempts])
        try:
            for row in self._rows:
                if row.todo == PRINT:
                    self._print_known(row)
            self._work()
            for row in (*batch.unsent, *batch.blocked):
                self._print(row, NOT_STARTED)
        finally:
            self._console.end_rows(COLUMNS)
        kinds = (BAD, OTHERS[SKIPPED], IN_PROGRESS, OTHERS[NOT_STARTED])
        words = [f"{self.counts[word]} {word}" for word in kinds if self.counts[word]]
        told = ", ".join([f"{self.counts[OK]} of {self.total} succeeded", *words])
        self._console.note(f"{told}, {shown_credits(self.credits)} credits")
        failure = self._failure()
        if failure:
            raise failure
        return 0

    def _work(self) -> None:
        """Sends, waits and saves. Whatever ends it early, answers in progress are awaited and recorded first."""
        from .display import BatchDisplay

        batch = self._batch
        display = BatchDisplay(self._console, self._context.clock, batch, self)
        try:
            for job in batch.run(display.handle):
                self._ended(job)
        except (ClosedOutput, Failure, Exception) as stop:
            for job in batch.drain():
                with suppress(Failure, Exception):  # it is recorded; what ended the run is reported
                    self._ended(job)
            display.close()
            self._context.shutdown.end()  # threads may still be at work
            running = [job.task.name for job in batch.in_flight if job.task and not job.task.has_ended]
            words = [f"in progress: {len(running)}", f"not started: {len(batch.unsent) + len(batch.blocked)}"]
            if running:
                words[0] += f" ({', '.join(running)})"
            if batch.pace.sending:
                words.append(f"without an answer: {batch.pace.sending}")
            if batch.ledger.failure:
                words.append(batch.ledger.failure.message)
            if isinstance(stop, ClosedOutput):
                if running or batch.pace.sending:
                    self._console.tell(f"{'; '.join(words)}; {self._advice}")
                raise
            self._console.note(display.summary())
            failure = stop if isinstance(stop, Failure) else InternalError.of(stop)
            text = f"{failure.message}: rows {', '.join(words)}; {self._advice}"
            raise failure.but(text, batch_call="same", task_id=None) from None
        finally:
            display.close()

    def _print_known(self, row: Row) -> None:
        """Prints a row from the ledger: done, failed, or one whose outcome is unknown."""
        known = row.attempt
        assert known
        if known.is_uncertain:
            self._uncertain(row, UNCERTAIN_WORDS, may_have_been_accepted=True)
            return
        call = None if states.is_safety(known.code) else "retry failed"
        failure = failure_of(known).but(batch_call=call) if known.has_failed else None
        folder = self._batch.folder
        files = saved_files(known, folder) or []
        if folder:
            files = [os.path.join(folder, os.path.basename(path)) for path in files]
        shown = {"id": known.id or None, "credits": known.credits, "saved": files, "skipped": True}
        self._print(row, FAILED if known.status == states.REFUSED else known.status, failure, **shown)

    def _ended(self, job: RowJob) -> None:
        """Records how the work on a row ended, then prints it."""
        if job.task:
            self._polled(job)
        elif job.failure and job.status == UNCERTAIN:
            self._uncertain(job.row, f"{job.failure.message}; {UNCERTAIN_WORDS}", **job.failure.facts)
        elif job.failure:
            failure = job.failure.but(batch_call="retry failed") if job.status == FAILED else job.failure
            self._print(job.row, job.status, failure)
        elif job.skipped:
            self._print(job.row, job.status, error=job.skipped)
        else:
            self._print(job.row, job.status)

    def _polled(self, job: RowJob) -> None:
        batch, row, task = self._batch, job.row, job.task
        assert task
        was_done = bool(row.attempt and row.attempt.is_done and row.todo == WAIT)
        is_gone = task.is_missing and not was_done and task.status not in states.GOOD_ENDS
        is_bad = task.has_ended and (task.status in states.BAD_ENDS or bool(task.node_errors))
        is_last = task.deadline is not None and task.deadline == batch.deadline  # of the whole run
        limit = batch.options.max_time if is_last else batch.options.max_wait
        failure = task.fault(limit, is_paid=True)
        if failure and (is_bad or is_gone):
            failure = failure.but(batch_call=None if states.is_safety(failure.fact("failure_code")) else "retry failed")
        status = states.GONE if is_gone else task.status or (states.SUCCEEDED if was_done else STARTED)
        if not (was_done and task.is_missing):  # an output that is no longer there stays paid for
            task.record_end(batch.ledger, absolute(batch.folder) if batch.folder else None)
            task.record_end(batch.history)
        more: dict[str, Any] = {"skipped": True} if was_done and not failure else {}
        more.update({"warnings": task.warnings} if task.warnings else {})
        self._print(row, status, failure, id=task.name, credits=job.credits, saved=task.saved, **more)

    def _uncertain(self, row: Row, words: str, **facts: Any) -> None:
        self._print(row, UNCERTAIN, ApiError(words, **{**facts, "batch_call": None}), maybeAccepted=True)

    def _print(self, row: Row, status: str, failure: RunwayError | None = None, **facts: Any) -> None:
        """Prints a row with these facts, and counts it unless it was left without a failure of its own."""
        line = {"row": row.number, "name": row.name, "id": None, "status": status, "credits": None, "saved": []}
        line.update(facts)
        if failure:
            if "batch_call" not in failure.facts:  # the same call, where time may help
                is_passing = failure.kind in ("network", "io", "timeout") or may_poll_again(failure)
                failure = failure.but(batch_call="same" if is_passing else None, waiting_for=None)
            line["error"] = self._console.mask(failure.message)
            field = field_of(failure)
            line.update({"field": field} if field else {})
            self._failures.append(failure)
        is_open = bool(line["id"]) and status not in (*states.GOOD_ENDS, *states.BAD_ENDS, states.GONE)
        self.counts[OTHERS.get(status, IN_PROGRESS if is_open else BAD if failure else OK)] += 1
        if row.todo == SEND and line["id"]:
            self.credits += number_of(line["credits"]) or 0
        self._console.row(line, alone=False)

    def _failure(self) -> RunwayError | None:
        """Returns why the whole failed, None if it did not: the rows themselves are on stdout."""
        batch = self._batch
        failures = sorted(self._failures, key=lambda failure: failure.fact("batch_call") is None)
        if batch.ledger.failure:
            failures.append(batch.ledger.failure.but(batch_call="same"))
        budget = None if batch.pace.is_stopped else batch.over_budget()
        told = [f"{self.counts[word]} of {self.total} {word}" for word in (BAD, IN_PROGRESS) if self.counts[word]]
        words = [", ".join(told if self.total > 1 else [])]
        words = [": ".join(filter(None, (*words, heaviest(failures).message)))] if failures else []
        failures += [budget] if budget else []
        words += [budget.message] if budget else []
        if self.counts[OTHERS[NOT_STARTED]]:
            words.append(f"{self.counts[OTHERS[NOT_STARTED]]} of {self.total} rows are not started")
            failures = failures or [WaitTimeout("the time limit was reached", batch_call="same")]
        if not failures:
            return None
        facts: dict[str, Any] = {"task_id": None} if len(failures) > 1 else {}
        if any(failure.fact("may_have_been_accepted") for failure in failures):
            facts["may_have_been_accepted"] = True
        return heaviest(failures).but("; ".join(words), waiting_for=None, **facts)


EXAMPLE = (
    *("batch", "/v1/text_to_image", "prompts.jsonl", "-f", "model=gen4_image", "-f", "ratio=1280:720"),
    *("--download", "sky/"),
)
COMMANDS = {
    "batch": Command(
        run,
        operands=(
            Operand("path", "PATH", read=api_path, help="the endpoint of the POSTs, such as /v1/text_to_image"),
            Operand(
                "rows",
                "ROWS",
                help="FILE.jsonl, FILE.csv, FILE.tsv, or - for JSON Lines on stdin",
                read=values.not_empty,
            ),
        ),
        options=OPTIONS,
        examples=(EXAMPLE, (*EXAMPLE, "--retry-failed", "--dry-run")),
        prints='{"row", "name", "id", "status", "credits", "saved"} for each row as it ends, with `error` if it failed',
        effect=COSTS,
        has_rows=True,
        notes=(
            "A row's keys are fields: in JSON Lines as with -F, in CSV KEY for text and KEY:json for JSON. "
            "@name, @path, @upload.KEY and @data-uri.KEY name its files and endpoint, "
            "@output-of.KEY another row whose output it needs.",
            "Run the same command again to resume: what is done or was paid for is not sent again.",
        ),
    )
}
