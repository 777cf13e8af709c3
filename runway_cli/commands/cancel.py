"""`cancel`: stops running tasks, and leaves finished ones alone."""

from __future__ import annotations

from ..client import connect
from ..errors import ApiError, RunwayError, TaskError, UsageError
from ..tasks import BAD_ENDS, GOOD_ENDS, path_of
from .waiting import summary

TYPE_CHECKING = False
if TYPE_CHECKING:
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
    parser.add_argument("ids", nargs="+", metavar="ID", help="a task's id")
    parser.several = "ids"
    parser.option("--force", action="store_true", help="also delete finished tasks, which destroys their outputs")
    parser.set_defaults(run=run)


def run(args: Arguments) -> int:
    """Cancels each task and prints what became of it; one that fails does not stop the others."""
    paths = {name: _path(name) for name in args.ids}
    client = connect(args)
    failures: list[tuple[str, RunwayError]] = []
    for name, path in paths.items():
        try:
            status, cancelled = _cancel(client, path, args.force)
        except RunwayError as error:
            failures.append((name, error))
            continue
        args.console.row({"id": name, "cancelled": cancelled, "status": status}, alone=len(paths) == 1)
        if not cancelled:
            failures.append((name, TaskError(
                f"{name} {f'is {status}' if status else 'has no status'}: nothing was changed, because deleting a "
                "finished task destroys its output",
                example=("wait", name, "--download", "outputs/"))))
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


def _cancel(client: Client, path: str, force: bool) -> tuple[str | None, bool]:
    """The status last seen, and whether the task is cancelled. What is gone already counts as cancelled."""
    try:
        task = client.get(path)
        found = task.get("status") if isinstance(task, dict) else None
        status = found if isinstance(found, str) else None
        if status == "CANCELLED":
            return status, True
        if not force and (status is None or status in (*GOOD_ENDS, *BAD_ENDS)):
            return status, False
    except ApiError as error:
        if error.status != 404:
            raise
        return None, True
    try:
        client.call("DELETE", path)
    except ApiError as error:
        if error.status != 404:
            raise
    return status, True
