"""`upload`: files to the API's storage."""

from __future__ import annotations

from ..errors import RunwayError
from ..settings.values import input_file
from ..terminal.columns import Column
from ._command import WRITES, Command, GlobalOptions, Operand
from ._summary import summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._context import Context

COLUMNS = (
    Column("File", "file"),
    Column("Uri", "uri"),
    Column("Bytes", "bytes"),
)


class Options(GlobalOptions):
    files: list[str]


def run(context: Context, options: Options) -> int:
    """Checks every file, then uploads each and prints its URI; one that fails does not stop the others."""
    from ..files.upload import checked_upload, refuse_service, upload
    from ._display import TransferLine

    client = context.client()
    refuse_service(client)
    files = [checked_upload(path) for path in options.files]
    failures: list[tuple[str, RunwayError]] = []
    try:
        for media in files:
            try:
                with TransferLine(context.console, context.clock, media.name) as line:
                    uri = upload(client, media, line)
            except RunwayError as error:
                failures.append((media.path, error))
                continue
            row = {"uri": uri, "file": media.path, "bytes": media.size}
            context.console.row(row, alone=len(files) == 1)
    finally:
        context.console.end_rows(COLUMNS)
    if failures:
        raise summary(failures, len(files))
    return 0


COMMAND = Command(
    run,
    summary="upload files for use in requests",
    operands=(
        Operand("files", "FILE", takes="+", help="an image, a video or a sound, 200 MB at most", read=input_file),
    ),
    examples=(("upload", "cat.png"), ("upload", "cat.png", "dog.mp4", "--timeout", "120")),
    prints='{"uri": "runway://…", "file", "bytes"}, a line for each file',
    effect=WRITES,
    has_rows=True,
)
