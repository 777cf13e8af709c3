"""`wait`: waits for tasks, prints each when it has ended, saves outputs."""

from __future__ import annotations

from ..client import connect
from ..errors import OutputError, UsageError
from . import waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..parser import Parser

    class Arguments(waiting.WaitArguments):
        ids: list[str]


def configure(parser: Parser) -> None:
    parser.operands = "ID..."
    parser.examples = (
        ("wait", "ID"),
        ("wait", "ID1", "ID2", "--max-wait", "100", "--download", "outputs/"),
        ("wait", "/v1/workflow_invocations/ID"),
    )
    parser.add_argument("ids", nargs="+", metavar="ID",
                        help="a task's id, '-' for ids on stdin, or a path such as /v1/avatars/ID")
    parser.several = "ids"
    waiting.add_options(parser)
    parser.set_defaults(run=run)


def run(args: Arguments) -> int:
    """Waits for each id."""
    from ..tasks import Watch

    names = [name for word in args.ids for name in (waiting.ids_from_stdin() if word == "-" else [word])]
    watches = {watch.path: watch for watch in (Watch(name, args.interval) for name in names)}
    if args.download:
        from ..downloads import check_destination, is_folder

        if len(watches) > 1 and not is_folder(args.download):
            args.download += "/"
            raise UsageError("--download: name a folder for the outputs of several tasks, with a / at its end",
                             example=waiting.resume(args, names))
        try:
            check_destination(args.download, force=args.force)
        except UsageError as error:
            example = waiting.resume(args, names, replace=error.force_helps)
            raise OutputError(error.message, example=example if error.force_helps else None) from None
    return waiting.finish(args, connect(args), list(watches.values()))

