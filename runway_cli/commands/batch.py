"""`batch`: many generations from one file, each paid for once, whatever happens to the process."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from .. import settings as values
from ..api.client import Client
from ..api.paths import api_path
from ..errors import ConfigError, Failure, RunwayError, UsageError
from ..files.download import PART_FILE, check_destination, free_path, listing, remove_part_files
from ..files.upload import refuse_service
from ..jobs.batch import Batch, saved_files
from ..jobs.ledger import OPEN, STARTED, UNCERTAIN, Attempt, Ledger, LedgerMissing
from ..jobs.rows import PRINT, SEND, WAIT, Row, read_rows, refuse, set_names
from ..jobs.start import find_started, over_limit, price_of, shape
from ..jobs.tasks import is_safety
from ..terminal.tables import Column
from .context import Context
from .options import COSTS, Command, Operand, Option, Options
from .request import BODY_OPTIONS
from .wait import WAIT_OPTIONS

OPTIONS = (
    *BODY_OPTIONS,
    Option("--download DIR", "folder to save outputs in, named by row", values.destination),
    Option("--log FILE", "the ledger (default: ROWS.batch.db)", values.destination),
    Option("--parallel N", "rows in flight, 64 at most (default: 4)", values.integer(1, 64), default=4),
    WAIT_OPTIONS[0],  # --max-wait, for each row
    Option("--max-time SECONDS", "start no row after this time", values.seconds_or_forever, default=0.0),
    Option("--max-credits N", "start no row that would bring the total above N credits", values.integer(1)),
    Option("--check", "check every row against the API's contract first"),
    Option("--dry-run", "show the requests that would be sent, and send nothing"),
    Option("--retry-failed", "send failed rows again"),
    Option("--retry-uncertain", "send rows of unknown outcome again: they may be charged twice"),
    Option("--force", "let outputs replace files"),
)
DRY_RUN_COLUMNS = (Column("Row", "row"), Column("Name", "name"), Column("Url", "url", rank=1), Column("Body", "body"))
STDIN = "-"
MAX_NAMES = 10  # of rows that a note names


def run(context: Context, options: Options) -> int:
    """Sends, waits for and saves every row that the ledger does not have as done, and prints each as it ends."""
    # Read and check all input.
    is_stdin = options.rows == STDIN
    if is_stdin and not options.log and not options.download:
        words = "ROWS from stdin need --log FILE or --download DIR: without a ledger a batch cannot be resumed"
        raise UsageError(words, add=("--download", "outputs/"))
    client = context.client()
    if not options.dry_run:
        client.check_secret()
    rows = read_rows(options, base_url=client.target.base_url, shutdown=context.shutdown)
    if options.download:
        options.download = os.path.join(options.download, "")  # in a batch it is always a folder
    try:
        if options.download and not options.dry_run:
            check_destination(options.download, force=options.force)
        history, ledger = context.history(client), _opened(context, options, client)

        # The last attempt at each row. If the ledger lacks the outcome of a POST, the history may have the id.
        attempts: dict[str, Attempt] = {}
        for each in ledger.attempts():
            attempts[each.job] = each
            fate = history.last(key=each.key) if each.status == UNCERTAIN else None
            if fate is not None and fate.id:
                vars(each).update(status=STARTED, id=fate.id, credits=fate.credits)
                if not options.dry_run:
                    ledger.settle(each.key, STARTED, id=fate.id, credits=fate.credits)

        _plan(options, client, attempts, rows)
        batch = Batch(client, history, ledger, rows, options=options)
        if options.dry_run:
            return _show(context, batch)
        if batch.blocked:
            find_started(client, history, None, again=False)  # notes a history that cannot be kept
        _clear(context, rows, attempts, batch.folder)
        from .display import BatchDisplay

        return batch.run(BatchDisplay(context.console, context.clock, batch))
    except Failure as failure:
        call = failure.fact("batch_call") or ("same" if failure.kind == "interrupted" else None)
        if is_stdin and (isinstance(call, str) or failure.fact("taken") or failure.fact("drop")):
            call = ("wait", "--unfinished")  # stdin cannot be read again
        elif failure.fact("taken"):  # it would have to name another folder
            call = None
        raise failure.but(batch_call=call) from None


def _opened(context: Context, options: Options, client: Client) -> Ledger:
    """Returns the ledger, locked until the end of the run; a dry run creates none. Raises UsageError."""
    beside = os.path.join(options.download or "", "batch") if options.rows == STDIN else f"{options.rows}.batch"
    path, old = values.absolute(options.log or f"{beside}.db"), values.absolute(f"{beside}.jsonl")
    if not options.log and os.path.lexists(old) and not os.path.lexists(path):
        words = f"{old!r} was written by version 2: finish that batch with version 2,"
        raise UsageError(f"{words} or move the log away to pay for every row again")
    if os.path.realpath(path) == os.path.realpath(values.history_path() or ""):
        raise UsageError(f"the ledger {path!r} is the history: choose another file with --log")
    options.log = path
    ledger = context.ledger(client, path, exclusive=True)
    if options.dry_run and not os.path.lexists(path):
        return ledger
    try:
        with ledger.transaction():
            other = ledger.other_account()
    except ConfigError as error:
        words = f"the ledger of a batch is needed: {error}" if isinstance(error, LedgerMissing) else error.message
        raise UsageError(f"{words}: choose another file with --log") from None
    if other is not None and client.target.secret:
        what = "API key" if other.startswith(f"{client.target.base_url} ") else "base URL"
        words = f"the ledger {path!r} belongs to another {what}: use that one, or --log FILE to pay for every row again"
        raise UsageError(words, drop=("--log",), add=("--log", values.relative(free_path(path)), "--dry-run"))
    ledger.account = other or ledger.account  # a dry run without a key
    return ledger


def _plan(options: Options, client: Client, attempts: dict[str, Attempt], rows: Sequence[Row]) -> None:
    """Names the rows and sets what is to be done with each, by the last attempts at them. Raises UsageError."""
    set_names(rows, {key: attempt.name or "" for key, attempt in attempts.items()})
    is_retry = options.retry_failed or options.retry_uncertain
    if is_retry and attempts and not any(row.key in attempts for row in rows):
        words = "the ledger has none of these rows: use the file and the options of the earlier run"
        raise UsageError(words, batch_call=("batch", "--help"))
    folder = values.absolute(options.download) if options.download else None
    for row in rows:
        row.attempt = last = attempts.get(row.key)
        if last is None:
            continue
        if last.status == UNCERTAIN:
            row.todo = SEND if options.retry_uncertain else PRINT
        elif last.has_failed:
            row.todo = SEND if options.retry_failed and not is_safety(last.code) else PRINT
        else:
            row.todo = WAIT if last.status == STARTED or saved_files(last, folder) is None else PRINT
        row.has_succeeded = None if row.todo == SEND or last.status == STARTED else last.is_done
    unsent = [row for row in rows if row.todo == SEND]
    if any(each.is_upload for row in unsent for each in row.inputs):
        refuse_service(client)
    if folder:
        new = [row for row in rows if row.todo != PRINT] if options.force else unsent
        refuse(_in_the_way(options, folder, new, attempts.values()), taken=options.download)
    if options.check and unsent:
        from .body import Checker

        checker = Checker(client)
        faults = [
            (row.line, issue["field"] or "the body", "; ".join(issue["messages"]))
            for row in unsent
            for issue in checker.issues("POST", row.path, row.value() if row.has_body else {})
        ]
        refuse(faults, f"the API's contract of {checker.contract.date} refuses rows: ", **checker.facts)


def _in_the_way(
    options: Options, folder: str, rows: Sequence[Row], attempts: Iterable[Attempt]
) -> list[tuple[int, str, str]]:
    """Returns the rows whose name a file in the folder has, unless it is another row's, as `refuse` takes them.

    With --force only ROWS and ledgers are in the way.
    """
    kept = {os.path.realpath(path) for path in (options.rows, options.log, values.history_path()) if path}
    own = {row.key for row in rows}
    others = {path for attempt in attempts if attempt.job not in own for path in attempt.saved.get(folder, ())}
    files: dict[str, str] = {}
    for name in listing(folder):
        path = os.path.join(folder, name)
        if not PART_FILE.fullmatch(name) and (not options.force or os.path.realpath(path) in kept):
            stem = unicodedata.normalize("NFC", os.path.splitext(name)[0]).casefold()
            files[stem] = name
            if path not in others:
                files.setdefault(re.sub(r"-\d+$", "", stem), name)
    advice = "use another @name" if options.force else "use another @name or --force"
    taken = [(row, files[row.name.casefold()]) for row in rows if row.name.casefold() in files]
    return [(row.line, "", f"{os.path.join(options.download, file)!r} exists: {advice}") for row, file in taken]


def _clear(context: Context, rows: Sequence[Row], attempts: Mapping[str, Attempt], folder: str | None) -> None:
    """Notes the unfinished rows that are no longer in ROWS, and removes part files that a killed run left behind."""
    open_keys = [key for key, each in attempts.items() if each.status in OPEN]
    left = [attempts[key] for key in open_keys if key not in {row.key for row in rows}]
    if left:
        names = ", ".join(f"{each.name} ({each.id or 'outcome unknown'})" for each in left[:MAX_NAMES])
        more = ", …" * (len(left) > MAX_NAMES)
        context.console.note(f"unfinished rows in the ledger that are no longer in ROWS: {names}{more}")
    known = attempts.values()
    folders = {os.path.dirname(path) for each in known for path in (each.destination, *each.files) if path}
    for each in {*folders, folder or ""} - {""}:
        remove_part_files(each, [attempt.name or "" for attempt in known])


def _show(context: Context, batch: Batch) -> int:
    """Prints the request of every row that would be sent, masked, and notes what is known of their cost."""
    options, client, keyless_client = batch.options, batch.client, context.client(with_secret=False)
    batch.release()
    unsent = [row for row in batch.rows if row.todo == SEND and row.has_succeeded is None]
    try:
        for row in unsent:
            request = keyless_client.preview("POST", row.path, row.value(), has_body=row.has_body)
            context.console.row({"dry_run": True, "row": row.number, "name": row.name, **request}, alone=False)
    finally:
        context.console.end_rows(DRY_RUN_COLUMNS)

    prices = []
    for row in unsent:  # for the price only the kind of an input matters
        value = row.value(lambda each: "data:" + getattr(each, "type", ""))
        prices.append(price_of(shape(row.path, value), batch.ledger, batch.history))
    counts = Counter(prices)
    words = [f"{counts[price]} × {values.counted(price, 'credit')}" for price in counts if price is not None]
    words = [f"{', '.join(words)} known"] if words else []
    words += [f"{counts[None]} unknown"] if counts[None] else []
    found = [values.counted(len(unsent), "row") + (f": {', '.join(words)}" if words else "")]
    if options.max_credits is not None:
        spent, allowed = batch.ledger.prices(), 0
        for price in prices:
            if over_limit(options.max_credits, "--max-credits", spent, price):
                break
            spent.append(price)
            allowed += 1
        found.append(f"--max-credits {options.max_credits} allows {allowed}")
    command, *_, path = client.service.balance_call
    if client.target.secret and command == "request" and not options.quiet:
        try:
            account = client.call("GET", path, retries=0).value
        except RunwayError:
            account = None
        balance = values.number_of(account.get("creditBalance")) if isinstance(account, dict) else None
        found += [] if balance is None else [f"balance {balance}"]
    context.console.note("; ".join(found))
    return 0


EXAMPLE = "batch /v1/text_to_image prompts.jsonl -f model=gen4_image -f ratio=1280:720 --download sky/"
COMMANDS = {
    "batch": Command(
        run,
        operands=(
            Operand("path", "PATH", "the endpoint of the POSTs, such as /v1/text_to_image", api_path),
            Operand("rows", "ROWS", "FILE.jsonl, FILE.csv, FILE.tsv, or - for JSON Lines on stdin", values.not_empty),
        ),
        options=OPTIONS,
        examples=(EXAMPLE, f"{EXAMPLE} --retry-failed --dry-run"),
        prints='{"row", "name", "id", "status", "credits", "saved"} for each row as it ends, with `error` if it failed',
        effect=COSTS,
        has_rows=True,
        notes=(
            "A row's keys are fields: in JSON Lines as with -F, in CSV KEY for text and KEY:json for JSON. "
            "@name, @path, @upload.KEY and @data-uri.KEY name its files and endpoint, "
            "@output-of.KEY another row whose output it needs. "
            "Run the same command again to resume: what is done or was paid for is not sent again."
        ),
    )
}
