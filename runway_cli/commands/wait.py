"""`wait`: waits for tasks, prints each when it has ended, saves outputs."""

from __future__ import annotations

from ..errors import UsageError
from ._command import Command, Operand, Option
from ._ids import expanded
from ._wait_options import WAIT_OPTIONS, WaitOptions, check_open

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..jobs.history import History
    from ..jobs.pollable import Pollable
    from ._context import Context


class Options(WaitOptions):
    ids: list[str]
    unfinished: bool


def run(context: Context, options: Options) -> int:
    """Waits for each id; with --unfinished for every one that the history knows as started and not ended."""
    from ..jobs.pollable import parse_all
    from ._waiting import wait_for

    if bool(options.ids) == options.unfinished:
        raise UsageError("name the ids to wait for, or use --unfinished" + (", not both" if options.ids else ""))
    check_open(options)
    pollables = parse_all(expanded(options.ids, context.shutdown))
    _check_download(options, len(pollables))
    client = context.client()
    client.check_secret()
    history = context.history(client)
    if options.unfinished:
        pollables = _unfinished(context, history)
        if not pollables:
            return 0
        _check_download(options, len(pollables))
    return wait_for(context, options, client, history, pollables=pollables)


def _unfinished(context: Context, history: History) -> list[Pollable]:
    """What the history knows as started and not ended; notes say what else there is."""
    from ..jobs.history import is_unfinished
    from ..jobs.pollable import parse_all

    rows = history.entries()
    uncertain = sum(row["status"] == "UNCERTAIN" for row in rows)
    found = parse_all([row["id"] for row in rows if is_unfinished(row)])
    if not found:
        others = "; it also has entries of other keys or base URLs" if history.has_others and not rows else ""
        context.console.note(f"nothing to wait for: the history has no unfinished tasks of this account{others}")
    if uncertain:
        context.console.note(f"requests with no known answer, which may have been accepted: {uncertain}; see `history`")
    return found


def _check_download(options: Options, count: int) -> None:
    """Refuses a destination that cannot take the outputs. Raises UsageError, OutputError for a file that exists."""
    if not options.download:
        return
    from ..files.destination import check_output, is_folder

    if count > 1 and not is_folder(options.download):
        words = "--download: name a folder for the outputs of several tasks, with a / at its end"
        raise UsageError(words, as_folder=options.download)
    check_output(options.download, force=options.force)


COMMAND = Command(
    run,
    summary="wait for tasks to end, and save their outputs",
    operands=(
        Operand("ids", "ID", takes="*", help="a task's id, '-' for ids on stdin, or a path such as /v1/avatars/ID"),
    ),
    options=(
        *WAIT_OPTIONS,
        Option("--unfinished", help="every id in the history of this account that has started and not ended"),
    ),
    examples=(
        ("wait", "ID"),
        ("wait", "ID1", "ID2", "--max-wait", "100", "--download", "outputs/"),
        ("wait", "--unfinished", "--download", "outputs/"),
        ("wait", "/v1/workflow_invocations/ID"),
    ),
    prints="each task as JSON when it has ended, with `saved`, and without `output` once all is saved",
    has_rows=True,
    after_error=("wait", "--help"),
)
