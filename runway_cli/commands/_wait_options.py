"""The options of waiting, which `wait` and `request --wait` share. Light: a dry run imports them too."""

from __future__ import annotations

import sys

from ..errors import UsageError
from ..settings import values
from ..terminal.streams import is_terminal
from ._command import GlobalOptions, Option


class WaitOptions(GlobalOptions):
    max_wait: float
    interval: float
    download: str | None
    force: bool
    open: bool


MAX_WAIT = 600.0  # seconds

WAIT_OPTIONS = (
    Option(
        "--max-wait",
        metavar="SECONDS",
        read=values.seconds_or_forever,
        default=MAX_WAIT,
        help="stop waiting after this time, 0 for no limit (default: 600)",
    ),
    Option(
        "--interval",
        metavar="SECONDS",
        read=values.interval,
        default=values.MIN_INTERVAL,
        help="polling interval, 5 seconds or more (default: 5)",
    ),
    Option(
        "--download",
        metavar="PATH",
        read=values.destination,
        help="save the outputs: a folder (it exists, or ends in /) or a file",
    ),
    Option("--force", help="let --download replace files"),
    Option("--open", help="show the saved files with the system's viewer (on a terminal only)"),
)


def check_open(options: WaitOptions) -> None:
    """Raises UsageError where --open cannot show anything."""
    if not options.open:
        return
    if not options.download:
        raise UsageError("--open needs --download: it shows the saved files", drop=("--open",))
    if not is_terminal(sys.stderr):
        raise UsageError("--open is for a terminal: nobody would see the file", drop=("--open",))
