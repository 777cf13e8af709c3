"""The options of `batch`, and the paths that follow from them."""

from __future__ import annotations

import os

from ..settings import values
from . import _body
from ._command import GlobalOptions, Option
from ._wait_options import MAX_WAIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

STDIN = "-"


class Options(GlobalOptions):
    path: str
    rows: str
    body: str | None
    fields: Sequence[_body.Field]
    download: str | None
    log: str | None
    parallel: int
    max_wait: float
    max_credits: int | None
    check: bool
    dry_run: bool
    retry_failed: bool
    retry_uncertain: bool
    force: bool


OPTIONS = (
    *_body.BODY_OPTIONS,
    Option("--download", metavar="DIR", read=values.destination, help="save the outputs in a folder, by row name"),
    Option("--log", metavar="FILE", read=values.destination, help="the log (default: ROWS.batch.jsonl)"),
    Option(
        "--parallel",
        metavar="N",
        read=values.parallel,
        default=4,
        help="rows at the same time, 64 at most (default: 4)",
    ),
    Option(
        "--max-wait",
        metavar="SECONDS",
        read=values.seconds_or_forever,
        default=MAX_WAIT,
        help="stop waiting for a row after this time, 0 for no limit (default: 600)",
    ),
    Option(
        "--max-credits", metavar="N", read=values.positive, help="start no more rows once the batch has cost N credits"
    ),
    Option("--check", help="check every row against the API's contract first"),
    Option("--dry-run", help="show the requests that would be sent, and send nothing"),
    Option("--retry-failed", help="send the rows that failed again"),
    Option("--retry-uncertain", help="send the rows again whose answer is not known: they may be charged twice"),
    Option("--force", help="let outputs replace files"),
)


def folder_of(options: Options) -> str | None:
    """--download, which is always a folder here."""
    path = options.download
    return path if path is None or path.endswith(("/", os.sep)) else path + "/"


def in_another_folder(words: Sequence[str], options: Options) -> list[str]:
    """The words of the call with a folder that does not exist yet, beside the one of --download."""
    from ..files.destination import free_folder

    given = str(options.download)
    other = free_folder(given)
    changed = {given: other, f"--download={given}": f"--download={other}"}
    return [changed.get(word, word) for word in words if word != "--force"]


def log_path(options: Options) -> str:
    """The path of the log."""
    if options.log:
        return options.log
    if options.rows == STDIN:
        return os.path.join(folder_of(options) or "", "batch.jsonl")
    return f"{options.rows}.batch.jsonl"
