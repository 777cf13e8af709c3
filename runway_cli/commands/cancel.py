"""`cancel`: stops running tasks, and leaves finished ones alone."""

from __future__ import annotations

from ..api.client import Client
from ..errors import ApiError, RunwayError, TaskError, UsageError
from ..jobs.tasks import CANCELLED, GOOD_ENDS, TASKS, PolledTask
from ..jsontext import Json
from ..terminal.tables import Column
from .context import Context, for_each
from .options import WRITES, Command, Operand, Option, Options
from .wait import named

COLUMNS = (Column("Id", "id"), Column("Cancelled", "cancelled"), Column("Status", "status"))


def run(context: Context, options: Options) -> int:
    """Cancels each task and prints the result; one that fails does not stop the others."""
    tasks = named(options.ids, context.shutdown)
    for task in tasks:
        if task.family != TASKS:
            delete = ("request", "DELETE", task.path, "--dry-run")
            raise UsageError(f"{task.name!r} is not a task: use request DELETE", try_next=delete)
    client = context.client()
    client.check_secret()
    history = context.history(client)
    history.check()

    def cancel(task: PolledTask) -> None:
        row: dict[str, Json] = {"id": task.name, "cancelled": False, "status": None}
        failure = None
        try:
            _cancel(client, task, force=options.force)
            row["cancelled"] = True
            history.ended(task.name, CANCELLED)
        except RunwayError as error:
            failure = error.but(task_id=task.pollable.id)
            task.record_end(history)
        context.console.row({**row, "status": task.status or None}, alone=len(tasks) == 1)
        if failure:
            raise failure

    return for_each(context.console, COLUMNS, [(task.name, PolledTask(client, task)) for task in tasks], cancel)


def _cancel(client: Client, task: PolledTask, *, force: bool) -> None:
    """Deletes a running task; afterwards `task` has the last answer that was read.

    Before a failed DELETE is sent again, the task is read again: if it has finished meanwhile, the DELETE would destroy
    its output. Raises TaskError for a task that has ended, ApiError for one that is unknown.
    """
    path = task.pollable.path
    was_deleted = False  # a DELETE was sent whose outcome is unknown

    def attempt() -> None:
        nonlocal was_deleted
        try:
            task.read()
        except ApiError as error:
            if was_deleted and error.status == 404 and error.from_provider:
                return  # an earlier DELETE has done its work
            raise
        if task.status == CANCELLED:
            return
        if not force and (task.has_ended or not task.status):
            words = f"is {task.status}" if task.status else "has no status"
            reason = "nothing was changed, because deleting a finished task destroys its output"
            save = ("wait", path if task.name.startswith("-") else task.name, "--download", "outputs/")
            next_call = save if task.status in GOOD_ENDS else ("request", "GET", path)
            raise TaskError(f"{task.name} {words}: {reason}", try_next=next_call)
        was_deleted = True
        try:
            client.call("DELETE", path, retries=0)
        except ApiError as error:
            if error.status != 404 or not error.from_provider:
                raise

    client.retry("DELETE", attempt)


COMMANDS = {
    "cancel": Command(
        run,
        operands=(Operand("ids", "ID...", "a task's id, or - for ids on stdin"),),
        options=(Option("--force", "also delete finished tasks, which destroys their outputs"),),
        examples=("cancel ID", "cancel ID1 ID2"),
        prints='{"id", "cancelled", "status"} for each task',
        effect=WRITES,
        has_rows=True,
    )
}
