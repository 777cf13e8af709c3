"""`upload`: files to the API's storage; `download`: signed output URLs as files."""

from __future__ import annotations

import os

from ..errors import DeniedError, OutputError, UsageError
from ..settings import destination, input_file, url_fault
from ..terminal.tables import Column
from .context import for_each
from .options import WRITES, Command, Operand, Option, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..files.download import Destination
    from ..files.upload import InputFile
    from .context import Context


UPLOAD_COLUMNS = (Column("File", "file"), Column("Uri", "uri"), Column("Bytes", "bytes", rank=1))
DOWNLOAD_COLUMNS = (Column("Saved", "saved"), Column("Bytes", "bytes", rank=1))


def run_upload(context: Context, options: Options) -> int:
    """Checks every file, then uploads each and prints its URI; one that fails does not stop the others."""
    from ..files.upload import InputFile, refuse_service, upload
    from .display import TransferLine

    client = context.client()
    refuse_service(client)
    files = [InputFile(path, "upload", is_upload=True) for path in options.files]

    def upload_one(file: InputFile) -> None:
        with TransferLine(context.console, context.clock, file.name) as line:
            uri = upload(client, file, line)
        context.console.row({"uri": uri, "file": file.path, "bytes": file.size}, alone=len(files) == 1)

    return for_each(context.console, UPLOAD_COLUMNS, [(file.path, file) for file in files], upload_one)


def run_download(context: Context, options: Options) -> int:
    """Saves each URL and prints where; one that fails does not stop the others."""
    from ..files.download import Download, check_destination, encoded
    from .display import TransferLine

    for url in options.urls:
        fault = url_fault(encoded(url))
        if fault:
            raise UsageError(f"{url!r} {fault}")
    check_destination(options.to, force=options.force, failure=OutputError)
    client = context.client(with_secret=False)

    def download_one(job: tuple[str, Destination]) -> None:
        url, target = job
        try:
            with TransferLine(context.console, context.clock, os.path.basename(target.path)) as line:
                saved = Download(client, url, target, force=options.force, emit=line).save()
        except DeniedError as error:
            words = f"{error.message}; for a fresh URL read its task: wait ID --download PATH"
            raise error.but(words, try_next=("history",)) from None
        warnings = {"warnings": [saved.warning]} if saved.warning else {}
        context.console.row({"saved": saved.path, "bytes": saved.size, **warnings}, alone=len(options.urls) == 1)

    jobs = [(each.path, (url, each)) for url, each in zip(options.urls, _targets(options.urls, options.to))]
    return for_each(context.console, DOWNLOAD_COLUMNS, jobs, download_one)


def _targets(urls: list[str], to: str) -> list[Destination]:
    """Returns where each URL goes.

    In a folder they have the URLs' own names made safe, each once; else the name given, numbered where there are
    several.
    """
    from ..files.download import Destination, destinations, is_folder, name_of

    if not is_folder(to):
        return destinations(to, "", len(urls))
    folder = "" if to == os.curdir else to
    found: dict[str, Destination] = {}  # by name, ignoring case
    for url in urls:
        root, extension = os.path.splitext(name_of(url))
        name, number = root + extension, 1
        while name.lower() in found:
            number += 1
            name = f"{root}-{number}{extension}"
        found[name.lower()] = Destination(os.path.join(folder, name), may_be_saved=lambda _: True)
    return list(found.values())


COMMANDS = {
    "upload": Command(
        run_upload,
        summary="upload files for use in requests",
        operands=(Operand("files", "FILE...", "an image, a video or a sound, 200 MB at most", input_file),),
        examples=("upload cat.png", "upload cat.png dog.mp4 --timeout 120"),
        prints='{"uri": "runway://…", "file", "bytes"}, a line for each file',
        effect=WRITES,
        has_rows=True,
    ),
    "download": Command(
        run_download,
        summary="save output URLs as files",
        operands=(Operand("urls", "URL...", "an output's URL, https only"),),
        options=(
            Option("--to PATH", "a folder (it exists, or ends in /) or a file (default: .)", destination, default="."),
            Option("--force", "replace files that exist"),
        ),
        examples=("download URL", "download URL --to outputs/", "download URL --to fox.png"),
        prints='{"saved", "bytes"} for each URL',
        has_rows=True,
    ),
}
