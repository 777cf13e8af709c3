"""`batch`: many generations from one file, each paid for once, whatever happens to the process."""

from __future__ import annotations

from ..errors import ClosedOutput, Failure, InternalError, Interrupted, RunwayError, UsageError
from ..settings.environment import absolute
from . import _body
from ._batch_options import OPTIONS, STDIN, Options, folder_of, in_another_folder, log_path
from ._command import COSTS, Command, Operand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.client import Client
    from ..jobs.batch import Batch
    from ..jobs.batch_log import BatchLog
    from ..jobs.batch_row import Row
    from ..jobs.batch_state import LogState
    from ._batch_report import Report
    from ._context import Context


GO_ON_WAITING = ("wait", "--unfinished")
MAX_NAMES = 10  # of rows that a note names


def run(context: Context, options: Options) -> int:
    """Sends, waits for and saves every row that the log does not know as done, and prints each as it ends."""
    from ._batch_rows import Faults, Shared, read_rows

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
        from ._batch_dry_run import show

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
        from ..files.destination import check_destination

        check_destination(folder, force=options.force)
    payer = account(client.target.base_url, client.target.secret or "")
    return BatchLog(log_path(options), payer, clock=context.clock, mask=context.console.mask)


def _run(context: Context, options: Options, client: Client, log: BatchLog, rows: list[Row]) -> int:
    from ..jobs.batch import Batch, Limits
    from ..jobs.batch_names import remove_part_files
    from ..jobs.batch_outputs import BatchOutputs
    from ._batch_plan import make_plan
    from ._batch_report import COLUMNS, Report

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
    from ._batch_display import BatchDisplay

    display = BatchDisplay(context.console, context.clock, batch, report)
    context.shutdown.remember({"batch_call": GO_ON_WAITING if options.rows == STDIN else "same"})
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
    failure = stop if isinstance(stop, Failure) else InternalError(f"{type(stop).__name__}: {stop}")
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
    from ..jobs.batch_names import unfinished

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


COMMAND = Command(
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
