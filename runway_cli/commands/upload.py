"""`upload`: files to the API's storage."""

from __future__ import annotations

from ..client import connect
from ..errors import RunwayError, UsageError
from ..settings import GATEWAY_TOKEN, SECRET
from .waiting import summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..client import Arguments as GlobalArguments
    from ..parser import Parser

    class Arguments(GlobalArguments):
        files: list[str]


COLUMNS = {"File": "file", "Uri": "uri", "Bytes": "bytes"}


def configure(parser: Parser) -> None:
    parser.operands = "FILE..."
    parser.examples = (("upload", "cat.png"), ("upload", "cat.png", "dog.mp4", "--timeout", "120"))
    parser.add_argument("files", nargs="+", metavar="FILE", help="an image, a video or a sound, 200 MB at most")
    parser.several = "files"
    parser.set_defaults(run=run)


def run(args: Arguments) -> int:
    """Checks every file, then uploads each and prints its URI; one that fails does not stop the others."""
    from ..media import checked_upload, upload
    from ..progress import Transfer

    refuse_gateway(args)
    files = [checked_upload(path) for path in args.files]
    client = connect(args)
    failures: list[tuple[str, RunwayError]] = []
    try:
        for media in files:
            try:
                with Transfer(args.console, media.name) as bar:
                    uri = upload(client, media, bar)
            except RunwayError as error:
                failures.append((media.path, error))
                continue
            args.console.row({"uri": uri, "file": media.path, "bytes": media.size}, alone=len(files) == 1)
    finally:
        args.console.end_rows(COLUMNS)
    if failures:
        raise summary(failures, len(files))
    return 0


def refuse_gateway(args: GlobalArguments) -> None:
    """Raises UsageError where the gateway would have to take an upload, which it does not offer."""
    if args.gateway:
        refusal = UsageError(f"uploads need a Runway key, and the gateway has only {GATEWAY_TOKEN}: set {SECRET} and "
                             "leave --gateway out, or pass an https URL instead of a file")
        refusal.directly = True
        raise refusal
