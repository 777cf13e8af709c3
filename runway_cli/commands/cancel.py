"""`cancel`: stops running tasks, and leaves finished ones alone."""

from __future__ import annotations

from ..errors import ApiError, RunwayError, TaskError, UsageError
from ..jobs.tasks import BAD_ENDS, GOOD_ENDS, TASKS, parse
from ..terminal.tables import Column
from .context import summary
from .options import WRITES, Command, GlobalOptions, Operand, Option
from .wait import expanded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..api.client import Client
    from ..jobs.tasks import Pollable
    from .context import Context

    Row = dict[str, Any]


COLUMNS = (
    Column("Id", "id"),
    Column("Cancelled", "cancelled"),
    Column("Status", "status"),
)


class Options(GlobalOptions):
    ids: list[str]
    force: bool


def run(context: Context, options: Options) -> int:
    """Cancels each task and prints the result; one that fails does not stop the others."""
    tasks = {name: _task(name) for name in expanded(options.ids, context.shutdown)}
    client = context.client()
    client.check_secret()
    history = context.history(client)
    failures: list[tuple[str, RunwayError]] = []
    try:
        for name, task in tasks.items():
            row: Row = {"id": name, "cancelled": False, "status": None}
            try:
                _cancel(client, task, row, options.force)
            except RunwayError as error:
                failures.append((name, error.but(task_id=task.id)))
            if row["cancelled"]:
                history.ended(task.name, "CANCELLED", None, [])
            elif row["status"] in (*GOOD_ENDS, *BAD_ENDS):
                history.ended(task.name, row["status"], None, [])
            context.console.row(row, alone=len(tasks) == 1)
    finally:
        context.console.end_rows(COLUMNS)
    if failures:
        raise summary(failures, len(tasks))
    return 0


def _task(name: str) -> Pollable:
    found = parse(name)
    if found.family is not TASKS:
        raise UsageError(f"{name!r} is not a task: use request DELETE", delete_path=found.path)
    return found


def _cancel(client: Client, task: Pollable, row: Row, force: bool) -> None:
    """Deletes a running task, telling the row its status as last seen and whether it is `cancelled`.

    A DELETE that failed is sent again only after another look: the same DELETE destroys the output of a task that has
    finished meanwhile. Raises TaskError for a task that has ended, ApiError for one that is unknown.
    """
    was_deleted = False  # a DELETE was sent, and its answer is not known

    def attempt(before: RunwayError | None) -> None:
        nonlocal was_deleted
        try:
            found = client.call("GET", task.path, retries=0).value
        except ApiError as error:
            if was_deleted and error.status == 404 and error.from_provider:
                return  # an earlier DELETE has done its work
            raise
        status = found.get("status") if isinstance(found, dict) else None
        row["status"] = status if isinstance(status, str) else None
        if row["status"] == "CANCELLED":
            return
        if not force and (row["status"] is None or row["status"] in (*GOOD_ENDS, *BAD_ENDS)):
            raise _refusal(task, row["status"])
        was_deleted = True
        try:
            client.call("DELETE", task.path, retries=0)
        except ApiError as error:
            if error.status != 404 or not error.from_provider:
                raise

    client.retry("DELETE", attempt)
    row["cancelled"] = True


def _refusal(task: Pollable, status: str | None) -> TaskError:
    words = f"is {status}" if status else "has no status"
    reason = "nothing was changed, because deleting a finished task destroys its output"
    outputs_of = task.name if status in GOOD_ENDS else None
    return TaskError(f"{task.name} {words}: {reason}", save_outputs_of=outputs_of, look_at=task.path)


COMMANDS = {
    "cancel": Command(
        run,
        summary="cancel running tasks; finished work is kept",
        operands=(Operand("ids", "ID", takes="+", help="a task's id, or - for ids on stdin"),),
        options=(Option("--force", help="also delete finished tasks, which destroys their outputs"),),
        examples=(("cancel", "ID"), ("cancel", "ID1", "ID2")),
        prints='{"id", "cancelled", "status"} for each task',
        effect=WRITES,
        has_rows=True,
        after_error=("cancel", "--help"),
    )
}
