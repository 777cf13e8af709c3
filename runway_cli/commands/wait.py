"""Ids as operands."""

from __future__ import annotations

import sys

from .. import settings as values
from ..errors import (
    ClosedOutput,
    DeniedError,
    Failure,
    InternalError,
    Interrupted,
    NetworkError,
    OutputError,
    RunwayError,
    TaskError,
    UsageError,
    WaitTimeout,
)
from ..jobs.fields import read_stdin
from ..jobs.schedule import Scheduler
from ..jobs.tasks import BAD_ENDS, GOOD_ENDS, PolledTask, advice
from ..settings import absolute
from ..terminal.console import TABLES, is_terminal
from ..terminal.tables import Column
from .context import summary
from .display import Display
from .options import Command, GlobalOptions, Operand, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..api.client import Client
    from ..jobs.history import History
    from ..jobs.tasks import Pollable
    from ..shutdown import Shutdown
    from .context import Context


def expanded(words: Sequence[str], shutdown: Shutdown) -> list[str]:
    """The ids, with '-' replaced by those on stdin. Raises UsageError where stdin is a terminal, or has none."""
    return [name for word in words for name in (_from_stdin(shutdown) if word == "-" else [word])]


def _from_stdin(shutdown: Shutdown) -> list[str]:
    ids = read_stdin("'-', a list of ids,", shutdown).decode("utf-8-sig", "surrogateescape").split()
    if not ids:
        raise UsageError("there are no ids on stdin")
    return ids


# --- The options of waiting, which `wait` and `request --wait` share. Light: a dry run imports them too.


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


# --- What `wait` and `request --wait` share: the progress, what is printed, and how waiting ends.


MAX_WORKERS = 8  # threads that poll and download at the same time
COLUMNS = (
    Column("Id", "id"),
    Column("Status", "status"),
    Column("Credits", "credits"),
    Column("Output", "output", link="open"),
)
SAVED_COLUMNS = (
    Column("Id", "id"),
    Column("Status", "status"),
    Column("Credits", "credits"),
    Column("Saved", "saved"),
)


def wait_for(
    context: Context,
    options: WaitOptions,
    client: Client,
    history: History,
    *,
    pollables: Sequence[Pollable],
    answer: dict[str, Any] | None = None,
) -> int:
    """Waits for all, prints each as it ends, and raises for what ended badly; 0 if all ended well.

    `answer` is what a POST returned: the one task is laid over it.
    """
    tasks = _tasks(options, client, pollables)
    display = Display(context.console, context.clock, tasks)
    is_alone = len(tasks) == 1
    scheduler = Scheduler(
        context.clock, context.shutdown, display.handle, 0 if is_alone else min(MAX_WORKERS, len(tasks))
    )
    failures: list[tuple[str, RunwayError]] = []
    left = dict.fromkeys(tasks)
    try:
        try:
            for task in tasks:
                scheduler.add(task)
            for job in scheduler.run():
                assert isinstance(job, PolledTask)
                record_end(history, job)
                failure = failure_of(job, options.max_wait, is_paid=answer is not None)
                if failure:
                    failures.append((job.name, failure))
                if job.answer is not None:
                    full = _row(job, answer, options.download is not None)
                    shown = _shown(job, full, has_columns=context.console.format in TABLES)
                    context.console.row(shown, alone=is_alone, full=full)
                del left[job]
        finally:
            context.console.end_rows(SAVED_COLUMNS if options.download else COLUMNS)
    except (Interrupted, Exception) as stop:
        context.shutdown.end()  # threads may still be at work: the error is to be the last word
        raise _while_waiting(stop, list(left or tasks)) from None
    finally:
        display.close()
    if options.open:
        _open(context, tasks)
    if failures:
        raise summary(failures, len(tasks))
    return 0


def record_end(history: History, task: PolledTask) -> None:
    """Records how a task ended, where that was seen."""
    is_missing = task.error is not None and task.error.fact("status") == 404 and task.error.fact("from_provider", True)
    if is_missing and task.status not in GOOD_ENDS:  # a missing output does not make the task a missing one
        history.ended(task.name, "GONE", None, [])
    elif task.status in (*GOOD_ENDS, *BAD_ENDS):
        history.ended(task.name, task.status, task.credits, [absolute(path) for path in task.saved])


def failure_of(task: PolledTask, max_wait: float, *, is_paid: bool = False) -> RunwayError | None:
    """Why a task failed or is unfinished, None if it ended well. `is_paid`: this run started it."""
    facts: dict[str, Any] = {"task_id": task.pollable.id, "polled": task.name}
    if task.error:
        can_resume = is_paid or isinstance(task.error, (OutputError, NetworkError, WaitTimeout)) or bool(task.answer)
        if can_resume and (is_paid or not isinstance(task.error, DeniedError)):
            facts["waiting_for"] = (task.name,)
        return task.error.but(**facts)
    if not task.has_ended:
        return _timeout(task, max_wait, facts)
    if task.status in BAD_ENDS or task.node_errors:
        return _task_error(task, facts)
    return None


def _tasks(options: WaitOptions, client: Client, pollables: Sequence[Pollable]) -> list[PolledTask]:
    deadline = client.clock.monotonic() + options.max_wait if options.max_wait else None
    save = None
    if options.download:
        from ..jobs.tasks import saver

        save = saver(options.download, force=options.force)
    return [
        PolledTask(client, pollable, interval=options.interval, deadline=deadline, save=save) for pollable in pollables
    ]


def _row(task: PolledTask, answer: dict[str, Any] | None, has_download: bool) -> dict[str, Any]:
    """The task over the POST's answer, so that what only that told is kept, with the saved files."""
    row = {**(answer or {}), **(task.answer or {})}
    if has_download and task.status in GOOD_ENDS:
        row["saved"] = task.saved
    if task.warnings:
        row["warnings"] = task.warnings
    return row


def _shown(task: PolledTask, row: dict[str, Any], *, has_columns: bool) -> dict[str, Any]:
    """What is printed of it: once every output is saved, the signed URLs are left out. A table has its credits."""
    if has_columns:
        return {**row, "credits": task.credits}
    return {key: value for key, value in row.items() if key != "output" or not task.is_saved}


def _timeout(task: PolledTask, max_wait: float, facts: dict[str, Any]) -> WaitTimeout:
    last = f"still {task.status}" if task.status else "without a status" if task.answer else "of unknown status"
    trouble = f" ({task.trouble.message})" if task.trouble else ""
    limit = values.shown_number(max_wait)
    words = f"{task.name} is {last} after {limit} s{trouble}"
    return WaitTimeout(words, **facts, waiting_for=(task.name,))


def _task_error(task: PolledTask, facts: dict[str, Any]) -> TaskError:
    found = task.answer or {}
    words = [f"{task.name} is {task.status}"]
    words += [str(found[key]).rstrip(".") for key in ("failure", "failureReason") if found.get(key)]
    if task.node_errors:
        words += [f"node {node}: {_node_message(error)}" for node, error in task.node_errors.items()]
    code = found.get("failureCode")
    if isinstance(code, str):
        facts = {**facts, "failure_code": code}
        words += filter(None, [advice(code)])
    return TaskError(": ".join(words), **facts, try_next=("request", "GET", task.pollable.path))


def _node_message(error: Any) -> str:
    found = error if isinstance(error, dict) else {}
    parts = [str(found.get("message") or "failed").rstrip(".")]
    if found.get("failureCode"):
        parts.append(str(found["failureCode"]))
    return ", ".join(parts)


def _while_waiting(stop: BaseException, left: Sequence[PolledTask]) -> BaseException:
    """Whatever ends the waiting, be it a defect of this program, names what is still running."""
    if isinstance(stop, ClosedOutput):
        return stop
    names = tuple(task.name for task in left)
    failure = stop if isinstance(stop, Failure) else InternalError.of(stop)
    assert isinstance(failure, (Interrupted, RunwayError))
    facts = {"task_id": left[0].pollable.id} if len(left) == 1 else {}
    return failure.but(f"{failure.message} while waiting for {', '.join(names)}", waiting_for=names, **facts)


def _open(context: Context, tasks: Sequence[PolledTask]) -> None:
    from ..terminal.console import show

    for task in tasks:
        for path in task.saved:
            if not show(path):
                context.console.note(f"{path} could not be opened with the system's viewer")


# --- `wait`: waits for tasks, prints each when it has ended, saves outputs.


class Options(WaitOptions):
    ids: list[str]
    unfinished: bool


def run(context: Context, options: Options) -> int:
    """Waits for each id; with --unfinished for every one that the history knows as started and not ended."""
    from ..jobs.tasks import parse_all

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
    from ..jobs.tasks import parse_all

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
    from ..files.download import check_output, is_folder

    if count > 1 and not is_folder(options.download):
        words = "--download: name a folder for the outputs of several tasks, with a / at its end"
        raise UsageError(words, as_folder=options.download)
    check_output(options.download, force=options.force)


COMMANDS = {
    "wait": Command(
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
}
