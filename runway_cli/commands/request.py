"""`request`: any endpoint; from a prompt to a saved file with --wait and --download."""

from __future__ import annotations

import re
import sys

from .. import jsontext
from ..client import METHODS, PAGE, UNSAFE, connect, pages
from ..errors import ApiError, ClosedOutput, Interrupted, OutputError, RunwayError, UsageError
from ..output import command_line, is_terminal
from ..paths import checked_path, with_query
from ..settings import target_options
from . import fields, waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..client import Client
    from ..media import Media
    from ..parser import Parser
    from .fields import Field

    class Arguments(waiting.WaitArguments):
        method: str
        path: str
        body: str | None
        stdin: bool
        fields: list[Field]
        dry_run: bool
        paginate: bool
        wait: bool


def configure(parser: Parser) -> None:
    parser.operands = "METHOD PATH"
    parser.examples = (
        ("request", "POST", "/v1/image_to_video", "-f", "model=gen4_turbo", "-f", "promptText=slow dolly in",
         "-f", "ratio=1280:720", "--upload", "promptImage=cat.png", "--wait", "--download", "generated/cat.mp4"),
        ("request", "GET", "/v1/organization"),
        ("request", "PATCH", "/v1/avatars/ID", "--body", '{"name":"Ada"}'),
        ("request", "DELETE", "/v1/avatars/ID", "--dry-run"),
    )
    parser.example = ("request", "GET", "/v1/organization")  # an error must not offer what costs credits
    parser.add_argument("method", metavar="METHOD", type=str.upper, choices=METHODS, help=", ".join(METHODS))
    parser.add_argument("path", metavar="PATH", help="below the base URL, such as /v1/organization")
    parser.option("--body", metavar="JSON", help="the body: JSON, @FILE, or - for stdin; it is sent as it is")
    parser.option("--stdin", action="store_true", help="read the body from stdin")
    for names, kind, metavar, words in (
        (("-f", "--field"), "text", "KEY=TEXT", "a text in the body (GET, DELETE: in the query); dots go deeper"),
        (("-F", "--json-field"), "json", "KEY=JSON", "the same for a number, true, null, a list or an object"),
        (("--data-uri",), "data-uri", "KEY=FILE", "a file of up to 5 MiB, inlined in the body"),
        (("--upload",), "upload", "KEY=FILE", "a file of up to 200 MB, uploaded first"),
    ):
        parser.option(*names, metavar=metavar, dest="fields", action="append", read=fields.reader(kind), help=words)
    parser.option("--dry-run", action="store_true", help="show the request and send nothing")
    parser.option("--paginate", action="store_true", help="GET every page and print one list")
    parser.option("--wait", action="store_true", help="wait for what the POST started")
    waiting.add_options(parser)
    parser.set_defaults(run=run)


def run(args: Arguments) -> int:
    """Sends the request and prints the answer; waits for what it started, if asked to."""
    client = connect(args, with_secret=not args.dry_run)
    args.path = checked_path(args.path, client.target.base_url)
    _check_options(args)
    uploads = [_media(args, field) for field in args.fields or () if field.kind == "upload"]
    body = _body(args)
    path = args.path
    if args.method in ("GET", "DELETE"):
        path = with_query(path, fields.query(args.fields or []))
    if args.paginate and not re.search(r"[?&]limit=", path):
        path = with_query(path, [("limit", str(PAGE))])
    placeholders = [f"runway://… ({media.name})" for media in uploads]
    shown = _laid_over(args, body, placeholders)  # a key that cannot be used is refused before anything is uploaded
    if args.dry_run:
        return _show(args, client, path, shown)
    if args.paginate:
        return _print_pages(args, client, path)
    client.check_secret()
    if args.download:
        from ..downloads import check_destination

        check_destination(args.download, force=args.force)
    uris = [_upload(args, client, media) for media in uploads]
    return _send(args, client, path, _laid_over(args, body, uris) if uploads else shown)


def _check_options(args: Arguments) -> None:
    """Refuses options that contradict the method or each other. Raises UsageError."""
    from ..tasks import watched

    if args.method in ("GET", "DELETE") and (args.body is not None or args.stdin):
        raise UsageError(f"{args.method} takes no body: use -f KEY=TEXT for its query, or another method",
                         example=("request", args.method, args.path))
    if args.body is not None and args.stdin:
        raise UsageError("--body and --stdin are two bodies: give one")
    if args.paginate and args.method != "GET":
        raise UsageError(f"--paginate is for GET, not {args.method}",
                         example=("request", "GET", args.path, "--paginate"))
    if args.wait and (args.method != "POST" or not watched(args.path, "ID")):
        raise UsageError(f"--wait is for a POST that starts something, not for {args.method} {args.path}: "
                         "text_to_image and the other generations, generate/*, recipes/*, workflows/ID, avatars, "
                         "voices, realtime_sessions")
    if args.download and not args.wait:
        raise UsageError("--download needs --wait: there is nothing to save before the task has ended")


def _body(args: Arguments) -> bytes | None:
    """The body of --body or --stdin, checked to be JSON and unchanged; None without one. Raises UsageError."""
    if args.stdin or args.body in ("-", "@-"):
        source, data = "stdin", _read_stdin()
    elif args.body is None:
        return None
    elif args.body.startswith("@"):
        source, data = args.body[1:], _read_file(args.body[1:])
    else:
        source, data = "--body", args.body.encode("utf-8", "surrogateescape")
    try:
        if data.startswith(b"\xef\xbb\xbf"):
            raise ValueError("it begins with a byte order mark: save it as UTF-8 without one")
        jsontext.check(data)
    except ValueError as error:
        raise UsageError(f"the body from {source} is not JSON: {error}") from None
    return data


def _laid_over(args: Arguments, body: bytes | None, uris: list[str]) -> bytes | None:
    """The body with the fields put into it: the very bytes that were given where there are none."""
    if not args.fields or args.method in ("GET", "DELETE"):
        return body
    rest = iter(uris)
    values = [(field, next(rest) if field.kind == "upload" else _value(field)) for field in args.fields]
    value = fields.laid_over(fields.NOTHING if body is None else jsontext.loads(body), values)
    return jsontext.dumps(value).encode("utf-8", "backslashreplace")


def _value(field: Field) -> Any:
    if field.kind == "data-uri":
        from ..media import data_uri

        return data_uri(field.value)
    return field.value


def _media(args: Arguments, field: Field) -> Media:
    from ..media import checked_upload
    from .upload import refuse_gateway

    refuse_gateway(args)
    return checked_upload(field.value)


def _upload(args: Arguments, client: Client, media: Media) -> str:
    from ..media import upload
    from ..progress import Transfer

    with Transfer(args.console, media.name) as bar:
        return upload(client, media, bar)


def _send(args: Arguments, client: Client, path: str, body: bytes | None) -> int:
    answer = None
    try:
        answer = client.call(args.method, path, body).value
        if args.wait:
            return _wait(args, client, answer)
        _print_once(args, client, answer)
        return 0
    except ApiError as error:
        if error.status in (400, 404, 405, 422) and error.example is None:
            error.example = _reference(args, body, error)
        raise
    except Interrupted as stop:
        if args.method in UNSAFE:
            stop.example = stop.example or client.dialect.look
            if isinstance(answer, dict) and isinstance(answer.get("id"), str):
                stop.details.setdefault("id", answer["id"])
            elif answer is not None:
                stop.details["maybeAccepted"] = True
        raise


def _print_once(args: Arguments, client: Client, answer: Any) -> None:
    """The answer on stdout; when it cannot be written, what a POST started is named, and no second one proposed."""
    identity = answer.get("id") if isinstance(answer, dict) and args.method in UNSAFE else None
    try:
        args.console.result(answer)
    except (ClosedOutput, OutputError, Interrupted) as stop:
        if identity is not None:
            args.console.tell(f"the answer could not be written; its id is {identity}")
        if not isinstance(stop, ClosedOutput) and args.method in UNSAFE:
            stop.example = client.dialect.look
        raise


def _wait(args: Arguments, client: Client, answer: Any) -> int:
    """Waits for what the POST started. From here on every way to fail names it."""
    from ..tasks import Watch, watched

    identity = answer.get("id") if isinstance(answer, dict) else None
    name = watched(args.path, identity) if isinstance(identity, str) and identity else None
    try:
        watch = Watch(name, args.interval) if name else None
    except UsageError:
        watch = None
    if watch is None:
        _print_once(args, client, answer)
        raise ApiError("the answer has no id that could be waited for", status=200, example=client.dialect.look,
                       maybeAccepted=True)
    going_on = waiting.resume(args, [watch.name])
    try:
        shown = command_line((*going_on, *target_options(args.given)))
        args.console.tell(f"started {watch.name}; to go on waiting: {shown}")
        return waiting.finish(args, client, [watch], answer)
    except (RunwayError, Interrupted) as stop:
        stop.details.setdefault("id", watch.id)
        stop.example = stop.example or going_on
        raise


def _print_pages(args: Arguments, client: Client, path: str) -> int:
    records: list[Any] = []
    for found, _more in pages(client, path, {}, None):
        records += found
    args.console.result({"data": records})
    return 0


def _show(args: Arguments, client: Client, path: str, body: bytes | None) -> int:
    """The request as it would be sent, masked."""
    from .. import masking

    args.console.result({
        "dry_run": True,
        "method": args.method,
        "url": masking.url(client.address(args.method, path), own=True),
        "headers": client.headers(body is not None),
        "body": None if body is None else masking.value(jsontext.loads(body)),
    })
    return 0


def _reference(args: Arguments, body: bytes | None, error: ApiError) -> tuple[str, ...]:
    """The call that shows what the endpoint takes, for the model that was sent to a generation and not refused."""
    from ..tasks import watched

    path = args.path.partition("?")[0]
    value = jsontext.loads(body) if body and watched(path, "ID") == "ID" else None
    model = value.get("model") if isinstance(value, dict) else None
    refused = any(issue.get("field") == "model" for issue in error.details.get("issues", ()))
    return ("reference", args.method, path, *(("--model", model) if isinstance(model, str) and not refused else ()))


def _read_stdin() -> bytes:
    if sys.stdin is None or is_terminal(sys.stdin):
        raise UsageError("the body is read from stdin, and nothing is piped in: pipe it in, or use --body")
    return sys.stdin.buffer.read()


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise UsageError(f"--body: {path!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
