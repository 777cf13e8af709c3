"""What `wait` and `request --wait` share: the options, the progress, the outputs, and how waiting ends."""

from __future__ import annotations

import sys

from .. import settings
from ..errors import (
    ApiError,
    ClosedOutput,
    DeniedError,
    InternalError,
    Interrupted,
    NetworkError,
    OutputError,
    RunwayError,
    TaskError,
    UsageError,
    WaitTimeout,
)
from ..output import is_terminal
from ..tasks import GOOD_ENDS, follow
from .board import Board

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..client import Arguments, Client
    from ..parser import Parser
    from ..tasks import Watch

    class WaitArguments(Arguments):
        max_wait: float
        interval: float
        download: str | None
        force: bool


COLUMNS = {"Id": "id", "Status": "status", "Output": "output"}
MAX_WAIT = 600.0  # seconds
LONGEST_WAIT = 10 * 365 * 86_400  # seconds
SHORTEST_INTERVAL = 5.0  # seconds, which the API asks for
_BY_WEIGHT = (78, 77, 2, 1, 74, 69, 75)  # of several exit statuses the first one here counts

_ADVICE = (  # failure codes by their beginning, and what the API's documentation says of them
    ("SAFETY.", "moderation refused it: do not repeat the call unchanged"),
    ("INTERNAL.BAD_OUTPUT", "the output was bad: the same call may be tried again"),
    ("INTERNAL", "a fault of the service: the same call may be tried again"),
    ("ASSET.INVALID", "an input file or URL cannot be used: mend the input"),
    ("THIRD_PARTY", "the model's provider failed: the same call may be tried again later"),
)


def add_options(parser: Parser) -> None:
    """The options of waiting."""
    parser.option("--max-wait", metavar="SECONDS", read=_limit, default=MAX_WAIT,
                  help="give up waiting after this time, 0 for never (default: 600)")
    parser.option("--interval", metavar="SECONDS", read=_interval, default=SHORTEST_INTERVAL,
                  help="look every so often (default: 5, which is the least)")
    parser.option("--download", metavar="PATH", help="save the outputs: a folder (it exists, or ends in /) or a file")
    parser.option("--force", action="store_true", help="let --download replace files")


def finish(args: WaitArguments, client: Client, watches: Sequence[Watch], answer: dict[str, Any] | None = None) -> int:
    """Waits for all, prints each as it ends, and raises for what did not end well; 0 if all did.

    `answer` is what a POST returned: the one task is laid over it.
    """
    end = client.clock.monotonic() + args.max_wait if args.max_wait else None
    failures: list[tuple[str, RunwayError]] = []
    left = dict.fromkeys(watches)
    board = Board(args.console, client.clock, watches)
    try:
        try:
            for watch in follow(client, watches, end, finish=_saver(args, client, end, board), show=board.show):
                failure = _failure(args, watch, paid=answer is not None)
                if failure:
                    failures.append((watch.name, failure))
                if watch.task is not None:
                    args.console.row(_shown(args, watch, answer), alone=len(watches) == 1)
                del left[watch]
        finally:
            args.console.end_rows({**COLUMNS, "Output": "saved"} if args.download else COLUMNS)
    except (Interrupted, Exception) as stop:
        args.console.quiet = True  # threads may still be at work: the error is to be the last word
        raise _naming_the_paid(args, stop, list(left or watches)) from None
    finally:
        board.close()
        if args.download:
            from ..downloads import remove_parts

            remove_parts(client)
    if failures:
        unfinished = [name for name, failure in failures if failure.exit_status in (69, 74, 75)]
        replace = any(failure.force_helps for _, failure in failures)
        raise summary(failures, len(watches), resume(args, unfinished, replace=replace) if unfinished else None)
    return 0


def resume(args: WaitArguments, names: Sequence[str], *, replace: bool = False) -> list[str]:
    """The words of a call that goes on waiting, with every option kept; `replace` adds --force."""
    words = ["wait", *names]
    if args.max_wait != MAX_WAIT:
        words += ["--max-wait", settings.shown_number(args.max_wait)]
    if args.interval != SHORTEST_INTERVAL:
        words += ["--interval", settings.shown_number(args.interval)]
    if args.download:
        words += ["--download", args.download]
    if args.force or replace:
        words.append("--force")
    return words + settings.other_options(args.given)


def _resume(args: WaitArguments, watches: Sequence[Watch], *, replace: bool = False) -> list[str]:
    """The same for these watches: a named file that this run has saved already must not stop the next one."""
    if args.download and any(watch.saved for watch in watches):
        from ..downloads import is_folder

        replace = not is_folder(args.download)
    return resume(args, [watch.name for watch in watches], replace=replace)


def summary(failures: list[tuple[str, RunwayError]], count: int, example: Sequence[str] | None = None) -> RunwayError:
    """One error for the (name, error) of all that did not end well, out of `count`: the heaviest exit status counts."""
    worst = min((error for _, error in failures), key=lambda error: _BY_WEIGHT.index(error.exit_status))
    if count == 1:
        return worst
    whole = RunwayError(
        f"{len(failures)} of {count} did not end well: {worst.message}", example=example or worst.example,
        **{key: item for key, item in worst.details.items() if key != "id"},
        failed=[{"id": name, "kind": error.kind, "error": error.message} for name, error in failures])
    whole.kind, whole.exit_status = worst.kind, worst.exit_status
    return whole


def _saver(args: WaitArguments, client: Client, end: float | None, board: Board) -> Callable[[Watch], None]:
    """What is done with a task that ended well: its outputs are saved if that was asked for."""

    def save(watch: Watch) -> None:
        if args.download:
            from .outputs import save_outputs

            try:
                save_outputs(client, watch, args.download, force=args.force, end=end,
                             report=lambda done, total: board.transfer(watch, done, total))
            finally:
                watch.transfer = ""

    return save


def _shown(args: WaitArguments, watch: Watch, answer: dict[str, Any] | None) -> dict[str, Any]:
    """The task as it is printed: over the POST's answer, so that what only that told is kept."""
    saved = {"saved": watch.saved} if args.download and watch.status in GOOD_ENDS else {}
    return {**(answer or {}), **(watch.task or {}), **saved}


def _failure(args: WaitArguments, watch: Watch, *, paid: bool) -> RunwayError | None:
    """Why a watch did not end well, None if it did; with what this run `paid` for the call that helps waits on."""
    look = ("request", "GET", watch.path)
    if watch.error:
        error = watch.error
        if paid or watch.task or isinstance(error, (OutputError, NetworkError)):
            error.example = _resume(args, [watch], replace=error.force_helps)
        elif isinstance(error, ApiError):
            error.example = ("auth", "status") if isinstance(error, DeniedError) else look
        error.details.setdefault("id", watch.id)
        return error
    if not watch.ended:
        last = f"it is {watch.status}" if watch.status else "it has no status" if watch.task else "it was never seen"
        trouble = f" ({watch.trouble.message})" if watch.trouble else ""
        limit = settings.shown_number(args.max_wait)
        return WaitTimeout(f"{watch.name} has not ended after {limit} s: {last}{trouble}",
                           example=resume(args, [watch.name]), id=watch.id)
    if watch.status in ("FAILED", "CANCELLED"):
        return _task_error(watch, look)
    return None


def _task_error(watch: Watch, look: Sequence[str]) -> TaskError:
    task = watch.task or {}
    words = [f"{watch.name} is {watch.status}"]
    words += [str(task[key]).rstrip(".") for key in ("failure", "failureReason") if task.get(key)]
    code = task.get("failureCode")
    details = {"id": watch.id}
    if isinstance(code, str):
        details["failureCode"] = code
        words += [advice for start, advice in _ADVICE if code.startswith(start)][:1]
    return TaskError(": ".join(words), example=look, **details)


def _naming_the_paid(args: WaitArguments, stop: Interrupted | Exception, left: Sequence[Watch]) -> BaseException:
    """Whatever ends the waiting, be it a defect of this program, names what is still running, and how to go on."""
    if isinstance(stop, ClosedOutput):
        return stop
    if not isinstance(stop, (Interrupted, RunwayError)):
        stop = InternalError(f"{type(stop).__name__}: {stop}")
    stop.message += f" while waiting for {', '.join(watch.name for watch in left)}"
    stop.example = _resume(args, left)
    return stop


def _limit(text: str) -> float:
    """Seconds; 0 stands for ever."""
    return 0.0 if text in ("0", "0.0") else settings.seconds(text, LONGEST_WAIT)


def ids_from_stdin() -> list[str]:
    """The words on stdin. Raises UsageError where it is a terminal, or holds none."""
    if sys.stdin is None or is_terminal(sys.stdin):
        raise UsageError("'-' reads ids from stdin, and nothing is piped in")
    ids = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split()
    if not ids:
        raise UsageError("there are no ids on stdin")
    return ids


def _interval(text: str) -> float:
    value = settings.seconds(text)
    if value < SHORTEST_INTERVAL:
        raise ValueError(f"{text!r} is under 5 seconds, the least that the API allows")
    return value
