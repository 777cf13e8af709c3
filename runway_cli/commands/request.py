"""`request`: any endpoint; from a prompt to a saved file with --wait and --download."""

from __future__ import annotations

from .. import jsontext
from ..api.paths import checked_path, with_query
from ..errors import ApiError, ClosedOutput, Failure, InternalError, Interrupted, OutputError, UsageError
from ..jobs import fields
from ..settings import MIN_INTERVAL, UnknownWord
from .body import BODY_OPTIONS
from .options import COSTS, Command, Operand, Option
from .wait import MAX_WAIT, WAIT_OPTIONS, WaitOptions, check_open

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..api.client import Client
    from ..files.media import Media
    from ..jobs.fields import Field
    from .context import Context


METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
BODY_METHODS = ("POST", "PATCH", "PUT")
MAX_RECORDED = 16 << 20  # bytes of a body that is parsed for its record: as a value it may take four times its size
REFUSED = (400, 404, 405, 422)  # statuses that the contract may explain


class Options(WaitOptions):
    method: str
    path: str
    body: str | None
    stdin: bool
    fields: Sequence[Field]
    dry_run: bool
    check: bool
    paginate: bool
    wait: bool


def run(context: Context, options: Options) -> int:
    """Sends the request and prints the answer; waits for what it started, if asked to."""
    client = context.client(with_secret=not options.dry_run)
    path = checked_path(options.path, client.target.base_url)
    _check_options(context, options, path)
    body = fields.read_body(options.body, options.stdin, context.shutdown)
    uploads = _uploads(client, options)
    path = _with_fields(options, path)
    values = _values(context, options)
    placeholders = [f"runway://… ({media.name})" for media in uploads]
    shown = _laid_over(body, values, placeholders)  # a wrong key is refused before anything is uploaded
    if options.check:
        _check_body(context, client, options, path, shown)
    if options.dry_run:
        return _show(context, client, options, path, shown)
    if options.paginate:
        return _print_pages(context, client, path)
    client.check_secret()
    if options.download:
        from ..files.download import check_destination

        check_destination(options.download, force=options.force)
    if uploads:
        shown = _laid_over(body, values, [_upload(context, client, media) for media in uploads])
    try:
        if options.method == "POST":
            return _post(context, client, options, path, shown)
        _print(context, client, options, client.call(options.method, path, shown).value)
        return 0
    except ApiError as error:
        if error.status not in REFUSED or error.fact("task_id"):
            raise
        from .body import explained

        body_value = None if shown is None else jsontext.loads(shown)
        raise explained(client, options.method, path, body_value, error) from None


def _check_options(context: Context, options: Options, path: str) -> None:
    """Refuses options that contradict the method or each other. Raises UsageError."""
    method = options.method
    if method not in BODY_METHODS and (options.body is not None or options.stdin):
        words = f"{method} takes no body: use -f KEY=TEXT for its query, or another method"
        raise UsageError(words, drop=("--body", "--stdin"))
    if options.body is not None and options.stdin:
        raise UsageError("use either --body or --stdin", drop=("--stdin",))
    texts = [field for field in options.fields if field.kind == fields.TEXT_FILE and field.value == "-"]
    if len(texts) + (options.stdin or options.body in ("-", "@-")) > 1:
        raise UsageError("stdin can be read only once: name a file for the other option")
    if options.paginate and method != "GET":
        raise UsageError(f"--paginate is for GET, not {method}", drop=("--paginate",))
    if options.check and method not in BODY_METHODS:
        raise UsageError(f"--check is for POST, PATCH and PUT, not {method}", drop=("--check",))
    if options.wait and (method != "POST" or not _may_start(path)):
        words = f"--wait is for a POST that starts something, not for {method} {path.partition('?')[0]}"
        raise UsageError(words, drop=("--wait", "--download", "--open", "--max-wait", "--interval"))
    if options.download and not options.wait:
        words = "--download needs --wait, which is for a POST: it saves the outputs of a task that has ended"
        raise UsageError(words, **({"add": ("--wait",)} if method == "POST" else {"drop": ("--download",)}))
    if not options.wait and (options.max_wait != MAX_WAIT or options.interval != MIN_INTERVAL):
        change = {"add": ("--wait",)} if method == "POST" else {"drop": ("--max-wait", "--interval")}
        raise UsageError("--max-wait and --interval need --wait", **change)
    check_open(options)
    if context.console.needs_rows and (options.dry_run or (method != "GET" and not options.wait)):
        words = f"--output {context.console.format} is for rows: a list, or the task of --wait"
        raise UsageError(words, drop=("--output",))


def _may_start(path: str) -> bool:
    from ..jobs.tasks import may_start  # a dry run does without

    return may_start(path)


def _with_fields(options: Options, path: str) -> str:
    """The path with the fields of a GET or DELETE as its query, and the largest page for --paginate."""
    if options.method not in BODY_METHODS:
        path = with_query(path, fields.query(options.fields))
    if options.paginate and "?limit=" not in path and "&limit=" not in path:
        from ..api.client import PAGE

        path = with_query(path, [("limit", str(PAGE))])
    return path


def _uploads(client: Client, options: Options) -> list[Media]:
    """The files of --upload, checked."""
    uploads = [field for field in options.fields if field.kind == fields.UPLOAD]
    if not uploads:
        return []
    from ..files.upload import checked_upload, refuse_service

    refuse_service(client)
    return [checked_upload(field.value, "--upload") for field in uploads]


def _values(context: Context, options: Options) -> list[tuple[Field, Any]]:
    """The fields of the body and what each puts there, read once; an upload's value is still to come."""
    if options.method not in BODY_METHODS:
        return []
    return [(field, fields.field_value(field, context.shutdown)) for field in options.fields]


def _laid_over(body: bytes | None, values: list[tuple[Field, Any]], uris: list[str]) -> bytes | None:
    """The body with the fields put into it: the very bytes that were given where there are none."""
    if not values:
        return body
    rest = iter(uris)
    placed = [(field, next(rest) if field.kind == fields.UPLOAD else value) for field, value in values]
    return jsontext.encoded(fields.merge(fields.NOTHING if body is None else jsontext.loads(body), placed))


def _check_body(context: Context, client: Client, options: Options, path: str, body: bytes | None) -> None:
    from .body import check_body

    check_body(client, options.method, path, None if body is None else jsontext.loads(body), has_body=body is not None)


def _upload(context: Context, client: Client, media: Media) -> str:
    from ..files.upload import upload
    from .display import TransferLine

    with TransferLine(context.console, context.clock, media.name) as line:
        return upload(client, media, line)


def _post(context: Context, client: Client, options: Options, path: str, body: bytes | None) -> int:
    """Sends a POST. From its answer on, every way to fail names what it started."""
    from ..jobs.start import is_api_dry_run, no_id, start

    value = jsontext.loads(body) if body is not None and len(body) <= MAX_RECORDED else None
    history = context.history(client)
    started = start(client, history, path, body, value)
    if started.pollable is None:
        _print(context, client, options, started.answer)
        if options.wait and not is_api_dry_run(path, value):
            raise no_id(client, started.answer)
        return 0
    facts: dict[str, Any] = {"task_id": started.pollable.id, "waiting_for": (started.pollable.name,)}
    try:
        if not options.wait:
            _print(context, client, options, started.answer)
            return 0
        from .wait import wait_for

        context.console.tell(f"started {started.pollable.name}")
        return wait_for(context, options, client, history, pollables=[started.pollable], answer=started.answer)
    except (Interrupted, Exception) as failure:
        if isinstance(failure, ClosedOutput):
            raise
        if not isinstance(failure, Failure):
            raise InternalError.of(failure, **facts) from None
        raise failure if failure.fact("waiting_for") or failure.fact("look_at") else failure.but(**facts)


def _print(context: Context, client: Client, options: Options, answer: Any) -> None:
    """The answer on stdout; where it cannot be written, what a POST started is named, and no second one proposed."""
    from ..api.retry import UNSAFE_METHODS  # a dry run does without

    is_unsafe = options.method in UNSAFE_METHODS
    identity = answer.get("id") if isinstance(answer, dict) and is_unsafe else None
    try:
        if options.method == "GET" and context.console.needs_rows:
            _print_rows(context, answer)
        else:
            context.console.result(answer)
    except ClosedOutput:
        if identity is not None:
            context.console.tell(f"the answer could not be written; its id is {identity}")
        raise
    except (OutputError, Interrupted) as failure:
        facts = {"task_id": identity} if isinstance(identity, str) else {}
        raise failure.but(**facts, balance_call=client.service.balance_call, was_sent=is_unsafe) from None


def _print_rows(context: Context, answer: Any) -> None:
    from ..terminal.tables import columns_of, rows_of

    rows = rows_of(answer)
    if rows is None:
        words = f"--output {context.console.format} is for rows, but the answer is not a list"
        raise UsageError(words, drop=("--output",))
    context.console.rows(rows, columns_of(rows), {})


def _print_pages(context: Context, client: Client, path: str) -> int:
    from ..api.client import pages

    records: list[Any] = []
    for found, _ in pages(client, path, {}, None):
        records += found
    if context.console.format == "json":
        context.console.result({"data": records})
    else:
        _print_rows(context, records)
    return 0


def _show(context: Context, client: Client, options: Options, path: str, body: bytes | None) -> int:
    """The request as it would be sent, masked."""
    url = client.address(options.method, path)
    if "?" in url:
        from ..terminal import masking

        url = masking.own_url(url)
    context.console.result(
        {
            "dry_run": True,
            "method": options.method,
            "url": url,
            "headers": client.headers(body is not None),
            "body": None if body is None else context.console.inspected(jsontext.loads(body)),
        }
    )
    return 0


def _method(text: str) -> str:
    method = text.upper()
    if not text.isascii() or method not in METHODS:
        raise UnknownWord(f"unknown METHOD {text!r}: choose from {', '.join(METHODS)}", METHODS)
    return method


COMMANDS = {
    "request": Command(
        run,
        summary="call any endpoint, wait, and save the outputs",
        operands=(
            Operand("method", "METHOD", help=", ".join(METHODS), read=_method),
            Operand("path", "PATH", help="below the base URL, such as /v1/organization"),
        ),
        options=(
            BODY_OPTIONS[0],
            Option("--stdin", help="read the body from stdin"),
            *BODY_OPTIONS[1:],
            Option("--dry-run", help="show the request and send nothing"),
            Option("--check", help="check the body against the API's contract first"),
            Option("--paginate", help="GET every page and print one list"),
            Option("--wait", help="wait for what the POST started"),
            *WAIT_OPTIONS,
        ),
        examples=(
            (
                *("request", "POST", "/v1/image_to_video", "-f", "model=gen4_turbo", "-f", "promptText=slow dolly in"),
                *("-f", "ratio=1280:720", "-F", "duration=5", "--upload", "promptImage=cat.png"),
                *("--wait", "--download", "generated/cat.mp4"),
            ),
            ("request", "GET", "/v1/organization"),
            ("request", "PATCH", "/v1/avatars/ID", "--body", '{"name":"Ada"}'),
            ("request", "DELETE", "/v1/avatars/ID", "--dry-run"),
        ),
        prints="the API's answer, {} for an empty success; with --wait, the finished task laid over it",
        effect=COSTS,
        has_rows="maybe",
        after_error=("request", "--help"),
    )
}
