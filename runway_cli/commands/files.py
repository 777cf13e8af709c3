"""`upload`: files to the API's storage."""

from __future__ import annotations

import os

from ..errors import DeniedError, Interrupted, RunwayError, UsageError
from ..settings import destination, input_file, url_fault
from ..terminal.tables import Column
from .context import summary
from .options import WRITES, Command, GlobalOptions, Operand, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..api.client import Client
    from ..files.download import Destination, Saved
    from .context import Context


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
    from .display import TransferLine

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


_UPLOAD = Command(
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


# --- `download`: signed output URLs as files.


DOWNLOAD_COLUMNS = (
    Column("Saved", "saved"),
    Column("Bytes", "bytes"),
)


class DownloadOptions(GlobalOptions):
    urls: list[str]
    to: str
    force: bool


def download_run(context: Context, options: DownloadOptions) -> int:
    """Saves each URL and prints where; one that fails does not stop the others."""
    from ..files.download import check_output
    from ..files.media import mismatch

    for url in options.urls:
        fault = url_fault(url)
        if fault:
            raise UsageError(f"{url!r} {fault}")
    check_output(options.to, force=options.force)
    client = context.client(with_secret=False)
    is_alone = len(options.urls) == 1
    failures: list[tuple[str, RunwayError]] = []
    try:
        for url, target in zip(options.urls, _targets(options.urls, options.to)):
            try:
                saved = _save(context, client, url, target, options.force)
            except RunwayError as error:
                failures.append((target.path, error))
                continue
            if saved.skipped:
                context.console.note(f"{saved.path} is already saved")
            row: dict[str, Any] = {"saved": saved.path, "bytes": saved.size}
            warning = mismatch(saved.path)
            if warning:
                row["warnings"] = [warning]
                context.console.note(warning)
            context.console.row(row, alone=is_alone)
    except Interrupted as stop:
        raise stop.but(f"{stop.message}: incomplete files were removed") from None
    finally:
        context.console.end_rows(DOWNLOAD_COLUMNS)
    if failures:
        raise summary(failures, len(options.urls))
    return 0


def _save(context: Context, client: Client, url: str, target: Destination, force: bool) -> Saved:
    """One file, with a bar."""
    from ..files.download import save
    from .display import TransferLine

    try:
        with TransferLine(context.console, context.clock, os.path.basename(target.path)) as line:
            return save(client, url, target, force=force, emit=line)
    except DeniedError as error:
        words = f"{error.message}; for a fresh URL read its task: wait ID --download PATH"
        raise error.but(words, try_next=("history",)) from None


def _targets(urls: list[str], to: str) -> list[Destination]:
    """In a folder the URLs' own names made safe, each once; else the name given, numbered where there are several."""
    from ..files.download import Destination, destinations, is_folder, name_of

    if not is_folder(to):
        return destinations(to, "", len(urls))
    folder = "" if to == os.curdir else to
    taken: set[str] = set()
    found = []
    for url in urls:
        root, extension = os.path.splitext(name_of(url))
        name, number = root + extension, 1
        while name.lower() in taken:
            number += 1
            name = f"{root}-{number}{extension}"
        taken.add(name.lower())
        found.append(Destination(os.path.join(folder, name), in_folder=True))
    return found


_DOWNLOAD = Command(
    download_run,
    summary="save output URLs as files",
    operands=(Operand("urls", "URL", takes="+", help="an output's URL, https only"),),
    options=(
        Option(
            "--to",
            metavar="PATH",
            read=destination,
            default=".",
            help="a folder (it exists, or ends in /) or a file (default: .)",
        ),
        Option("--force", help="replace files that exist"),
    ),
    examples=(
        ("download", "URL"),
        ("download", "URL", "--to", "outputs/"),
        ("download", "URL", "--to", "fox.png"),
    ),
    prints='{"saved", "bytes"} for each URL',
    has_rows=True,
)
COMMANDS = {"upload": _UPLOAD, "download": _DOWNLOAD}
