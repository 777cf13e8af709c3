"""`cancel`: stops running tasks, and leaves finished ones alone."""

from __future__ import annotations

from ..client import connect
from ..errors import ApiError, RunwayError, TaskError, UsageError
from ..tasks import BAD_ENDS, GOOD_ENDS, path_of
from .waiting import ids_from_stdin, summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..client import Arguments as GlobalArguments
    from ..client import Client
    from ..parser import Parser

    class Arguments(GlobalArguments):
        ids: list[str]
        force: bool


COLUMNS = {"Id": "id", "Cancelled": "cancelled", "Status": "status"}


def configure(parser: Parser) -> None:
    parser.operands = "ID..."
    parser.examples = (("cancel", "ID"), ("cancel", "ID1", "ID2"))
    parser.add_argument("ids", nargs="+", metavar="ID", help="a task's id, or - for ids on stdin")
    parser.several = "ids"
    parser.option("--force", action="store_true", help="also delete finished tasks, which destroys their outputs")
    parser.set_defaults(run=run)


def run(args: Arguments) -> int:
    """Cancels each task and prints what became of it; one that fails does not stop the others."""
    names = [name for word in args.ids for name in (ids_from_stdin() if word == "-" else [word])]
    paths = {name: _path(name) for name in names}
    client = connect(args)
    failures: list[tuple[str, RunwayError]] = []
    try:
        for name, path in paths.items():
            row = {"id": name, "cancelled": False, "status": None}
            try:
                _cancel(client, path, row, args.force)
            except RunwayError as error:
                failures.append((name, error))
            args.console.row(row, alone=len(paths) == 1)
    finally:
        args.console.end_rows(COLUMNS)
    if failures:
        raise summary(failures, len(paths))
    return 0


def _path(name: str) -> str:
    path = path_of(name)
    if not path.startswith("/v1/tasks/"):
        raise UsageError(f"{name!r} is no task: DELETE it with request if that is meant",
                         example=("request", "DELETE", path, "--dry-run"))
    return path


def _cancel(client: Client, path: str, row: dict[str, Any], force: bool) -> None:
    """Cancels the task, telling the row's `status` as last seen and whether it is `cancelled`; gone counts as that.

    Raises TaskError for one that has ended.
    """
    try:
        task = client.get(path)
        found = task.get("status") if isinstance(task, dict) else None
        row["status"] = found if isinstance(found, str) else None
        if row["status"] != "CANCELLED":
            if not force and (row["status"] is None or row["status"] in (*GOOD_ENDS, *BAD_ENDS)):
                raise _refusal(row)
            client.call("DELETE", path)
    except ApiError as error:
        if error.status != 404:
            raise
    row["cancelled"] = True


def _refusal(row: dict[str, Any]) -> TaskError:
    words = f"is {row['status']}" if row["status"] else "has no status"
    return TaskError(f"{row['id']} {words}: nothing was changed, because deleting a finished task destroys its output",
                     example=("wait", row["id"], "--download", "outputs/"))
