"""`upload`: files to the API's storage; `download`: signed output URLs as files."""

from __future__ import annotations

import os

from ..errors import DeniedError, OutputError, UsageError
from ..settings import destination, not_empty, url_fault
from ..terminal.tables import Column
from .context import Context, for_each
from .options import WRITES, Command, Operand, Option, Options

UPLOAD_COLUMNS = (Column("File", "file"), Column("Uri", "uri"), Column("Bytes", "bytes", rank=1))
DOWNLOAD_COLUMNS = (Column("Saved", "saved"), Column("Bytes", "bytes", rank=1))


def run_upload(context: Context, options: Options) -> int:
    """Checks every file, then uploads each and prints its URI; one that fails does not stop the others."""
    from ..files.upload import InputFile, refuse_service, upload
    from .display import transfer_line

    client = context.client()
    refuse_service(client)
    files = [InputFile(path, "upload", is_upload=True) for path in options.files]

    def upload_one(file: InputFile) -> None:
        with transfer_line(context.console, context.clock, file.name) as line:
            uri = upload(client, file, line)
        context.console.row({"uri": uri, "file": file.path, "bytes": file.size}, alone=len(files) == 1)

    return for_each(context.console, UPLOAD_COLUMNS, [(file.path, file) for file in files], upload_one)


def run_download(context: Context, options: Options) -> int:
    """Saves each URL and prints where; one that fails does not stop the others."""
    from ..files.download import Download, check_destination, destinations, encoded, free_name, is_folder, name_of
    from .display import transfer_line

    for url in options.urls:
        if fault := url_fault(encoded(url)):
            raise UsageError(f"{url!r} {fault}")
    check_destination(options.to, force=options.force, failure=OutputError)
    client = context.client(with_secret=False)

    # In a folder they get the URLs' own names, made safe and unique; else the given name.
    paths = destinations(options.to, len(options.urls))
    in_folder = is_folder(options.to)
    if in_folder:
        names: list[str] = []
        for url in options.urls:
            names.append(free_name(name_of(url), names))
        paths = [os.path.join("" if options.to == os.curdir else options.to, name) for name in names]

    def download_one(job: tuple[str, str]) -> None:
        url, path = job
        saved = Download(client, url, path, may_be_ours=lambda _: in_folder, force=options.force)
        try:
            with transfer_line(context.console, context.clock, os.path.basename(path)) as line:
                saved.save(line)
        except DeniedError as error:
            words = f"{error.message}; for a fresh URL read its task: wait ID --download PATH"
            raise error.but(words, try_next=("history",)) from None
        warnings = {"warnings": [saved.warning]} if saved.warning else {}
        context.console.row(
            {"saved": saved.path, "bytes": os.path.getsize(saved.path), **warnings}, alone=len(paths) == 1
        )

    jobs = [(path, (url, path)) for url, path in zip(options.urls, paths)]
    return for_each(context.console, DOWNLOAD_COLUMNS, jobs, download_one)


COMMANDS = {
    "upload": Command(
        run_upload,
        summary="upload files for use in requests",
        operands=(Operand("files", "FILE...", "an image, a video or a sound, 200 MB at most", not_empty),),
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
