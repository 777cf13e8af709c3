"""`wait`: waits for tasks, prints each at its end, saves its outputs; `request --wait` shares options and `wait_for`.

A dry run imports this module, so what waits is imported where it is used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from ..api.client import Client
from ..errors import ClosedOutput, Failure, InternalError, Interrupted, OutputError, RunwayError, UsageError
from ..jobs.fields import read_source
from ..settings import MIN_INTERVAL, absolute, counted, destination, interval, seconds_or_forever
from ..shutdown import Shutdown
from ..terminal.console import TABLES, is_terminal
from .context import Context, summary
from .options import Command, Operand, Option, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..jobs.ledger import Ledger
    from ..jobs.tasks import Pollable, PolledTask
    from ..terminal.tables import Column

MAX_WAIT = 600.0  # seconds
UNSAVED = 2 * 86_400.0  # seconds in which unsaved outputs are still saved: their URLs work no longer than that
MAX_WORKERS = 8  # threads that poll and download at the same time
WAIT_OPTIONS = (
    Option("--max-wait SECONDS", "time limit, 0 for none (default: 600)", seconds_or_forever, default=MAX_WAIT),
    Option("--interval SECONDS", "time between polls, 5 or more (default: 5)", interval, default=MIN_INTERVAL),
    Option("--download PATH", "save the outputs: a folder (it exists, or ends in /) or a file", destination),
    Option("--force", "replace files"),
    Option("--open", "open the saved files in the system's viewer (on a terminal only)"),
)


def run(context: Context, options: Options) -> int:
    """Waits for each id; with --unfinished for every one that the history lists as unfinished or unsaved."""
    if bool(options.ids) == options.unfinished:
        raise UsageError("name the ids to wait for, or use --unfinished" + (", not both" if options.ids else ""))
    check_open(options)
    pollables = named(options.ids, context.shutdown)
    client = context.client()
    client.check_secret()
    history = context.history(client)
    history.check()
    found = _unfinished(context, history) if options.unfinished else dict.fromkeys(pollables)
    if not found:
        return 0
    if options.unfinished and options.download:
        options.download = os.path.join(options.download, "")  # a folder
    elsewhere = [pollable for pollable, own in found.items() if not own]
    if options.download and elsewhere:
        from ..files.download import check_destination, is_folder

        if len(elsewhere) > 1 and not is_folder(options.download):
            words = "--download: name a folder for the outputs of several tasks, with a / at its end"
            raise UsageError(words, as_folder=True)
        check_destination(options.download, force=options.force, failure=OutputError)
    return wait_for(context, client, history, found)


def check_open(options: Options) -> None:
    """Raises UsageError where --open cannot show anything."""
    if options.open and not options.download and not options.is_typed:
        raise UsageError("--open needs --download: it shows the saved files", drop=("--open",))
    if options.open and not is_terminal(sys.stderr):
        raise UsageError("--open needs a terminal", drop=("--open",))


def named(words: Sequence[str], shutdown: Shutdown) -> list[Pollable]:
    """Returns what the ids stand for, each once; '-' stands for ids on stdin. Raises UsageError."""
    from ..jobs.tasks import parse

    ids = [word for word in words if word != "-"]
    if "-" in words:
        ids += read_source("-", "'-', a list of ids,", shutdown).decode("utf-8", "surrogateescape").split()
        if not ids:
            raise UsageError("there are no ids on stdin")
    return list({pollable.path: pollable for pollable in map(parse, ids)}.values())


def _unfinished(context: Context, history: Ledger) -> dict[Pollable, str | None]:
    """Returns what the history has as unfinished, or as good and unsaved, and where its own call was to save it."""
    from ..jobs.ledger import STARTED, UNCERTAIN
    from ..jobs.tasks import GOOD_ENDS, parse

    attempts = history.attempts()
    found: dict[str, tuple[Pollable, str | None]] = {}
    since = context.clock.time() - UNSAVED
    for each in attempts:
        is_unsaved = each.status in GOOD_ENDS and each.destination and not each.saved and each.at > since
        if each.status == STARTED or is_unsaved:
            try:
                pollable = parse(each.id or "")
            except UsageError:  # a server may have returned an id that is not valid
                continue
            found[pollable.name] = pollable, each.destination
    if not found:
        context.console.note("nothing to wait for: the history has no unfinished tasks of this account")
    if uncertain := sum(each.status == UNCERTAIN for each in attempts):
        words = f"{counted(uncertain, 'request')} of unknown outcome"
        context.console.note(f"{words}, which may have been accepted: see `history`")
    return dict(found.values())


def wait_for(
    context: Context, client: Client, history: Ledger, pollables: Mapping[Pollable, str | None], answer: Any = None
) -> int:
    """Waits for all, prints each as it ends, and returns 0 if all succeeded. Raises RunwayError if one did not.

    `pollables` maps each to the destination that an earlier call chose for it; where that is None, --download is used.
    `answer` is what the POST returned that started the one task: the task is merged into it.
    """
    from ..jobs.schedule import Scheduler
    from ..jobs.start import may_own
    from ..jobs.tasks import PolledTask
    from .display import Display

    options = context.options
    has_saved = bool(options.download) or any(pollables.values())
    attempts = history.attempts() if any(pollables.values()) else []

    def is_unclaimed(name: str, path: str) -> bool:
        """Returns whether a file may be this task's output, saved before: no other attempt may own it."""
        return not any(may_own(each, absolute(path)) for each in attempts if each.id != name)

    tasks = [
        PolledTask(
            client,
            pollable,
            interval=options.interval,
            deadline=client.clock.monotonic() + options.max_wait if options.max_wait else None,
            is_paid=answer is not None,
            destination=own or options.download,
            force=options.force,
            may_be_ours=partial(is_unclaimed, pollable.name) if own else None,
        )
        for pollable, own in pollables.items()
    ]
    display = Display(context.console, context.clock, tasks, history)
    workers = 0 if len(tasks) == 1 else min(MAX_WORKERS, len(tasks))
    scheduler = Scheduler(context.clock, context.shutdown, display.handle, workers)

    # Poll until each has ended; record and print its end at once.
    failures: list[tuple[str, RunwayError]] = []
    left = dict.fromkeys(tasks)
    try:
        for task in tasks:
            scheduler.add(task)
        try:
            for job in scheduler.run():
                assert isinstance(job, PolledTask)
                job.record_end(history)
                if failure := job.fault(options.max_wait):
                    failures.append((job.name, failure))
                if job.answer is not None:
                    _print(context, job, answer or {}, alone=len(tasks) == 1, with_saved=has_saved)
                del left[job]
        finally:
            context.console.end_rows(columns(has_saved=has_saved))
    except (Interrupted, Exception) as stop:  # whatever ends the wait names what is still running
        context.shutdown.end()  # threads may still be running: the error has to be the last output
        if isinstance(stop, ClosedOutput):
            raise
        stopped = stop if isinstance(stop, Failure) else InternalError.of(stop)
        names = tuple(task.name for task in left or tasks)
        id = None if names[1:] else next(iter(left or tasks)).pollable.id
        words = f"{stopped.message} while waiting for {', '.join(names)}"
        raise stopped.but(words, waiting_for=names, task_id=id) from None
    finally:
        display.close()

    if options.open:
        open_files(context, [path for task in tasks for path in task.saved])
    if options.unfinished:
        credits = counted(sum(task.credits or 0 for task in tasks), "credit")
        context.console.note(f"{len(tasks) - len(failures)} of {len(tasks)} succeeded, {credits}")
    if failures:
        raise summary(failures, len(tasks))
    return 0


def columns(*, has_saved: bool) -> tuple[Column, ...]:
    """Returns the columns of a table of tasks."""
    from ..terminal.tables import Column

    outputs = Column("Saved", "saved") if has_saved else Column("Output", "output", link="open")
    return Column("Id", "id"), Column("Status", "status"), Column("Credits", "credits"), outputs


def _print(context: Context, task: PolledTask, answer: dict[str, Any], *, alone: bool, with_saved: bool) -> None:
    """Prints a task merged into the POST's answer; JSON leaves the signed URLs out once every output is saved."""
    from ..jobs.tasks import GOOD_ENDS

    full = {**answer, **(task.answer or {})}
    if with_saved and task.status in GOOD_ENDS:
        full["saved"] = task.saved
    if task.warnings:
        full["warnings"] = task.warnings
    if context.console.format in TABLES:
        row = {**full, "credits": task.credits}
    else:
        row = {key: value for key, value in full.items() if key != "output" or not task.is_saved}
    context.console.row(row, alone=alone, full=full)


def open_files(context: Context, paths: Sequence[str]) -> None:
    """Opens saved files in the system's viewer."""
    import subprocess

    quiet = subprocess.DEVNULL
    for path in paths:
        try:
            if sys.platform == "win32":
                os.startfile(path)
            else:
                viewer = "open" if sys.platform == "darwin" else "xdg-open"
                subprocess.Popen([viewer, os.path.abspath(path)], stdin=quiet, stdout=quiet, stderr=quiet)
        except OSError:
            context.console.note(f"{path} could not be opened in the system's viewer")


COMMANDS = {
    "wait": Command(
        run,
        operands=(Operand("ids", "[ID...]", "a task's id, '-' for ids on stdin, or a path such as /v1/avatars/ID"),),
        options=(*WAIT_OPTIONS, Option("--unfinished", "every task in this account's history that has not ended")),
        examples=("wait ID", "wait ID1 ID2 --max-wait 100 --download out/", "wait --unfinished --download outputs/"),
        prints="each task as JSON when it has ended, with `saved`, and without `output` once everything is saved",
        has_rows=True,
    )
}
