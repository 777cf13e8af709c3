"""The front door: dispatch, signals, and the one place where an exception becomes JSON and an exit status."""

from __future__ import annotations

import os
import signal
import sys

from . import __version__
from .errors import (
    ClosedOutput,
    DeniedError,
    InternalError,
    Interrupted,
    OutputError,
    RunwayError,
    UsageError,
)
from .output import Console, command_line
from .settings import complete, secrets, target_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from .client import Clock

LONGEST_EXAMPLE = 1000  # characters of a failed call that are worth repeating as its own example


def main(argv: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Runs one call and returns its exit status; never raises. `clock` is the module `time` unless a test waits."""
    words = list(sys.argv[1:] if argv is None else argv)
    console = Console()
    args: Any = None
    handlers = _handle_signals()
    try:
        for secret in secrets():
            console.keep_secret(secret)
        if words in (["-v"], ["-V"], ["--version"]):  # without argparse, which is half of such a start
            console.write(__version__ + "\n")
            return 0
        from .parser import Text, parse  # after the signal handlers, so that Ctrl-C is never a traceback

        try:
            args = parse(words)
        except Text as text:
            console.write(str(text))
            return 0
        return _run(args, console, clock)
    except ClosedOutput as closed:
        return closed.exit_status
    except (RunwayError, Interrupted) as failure:
        _ignore_signals(handlers)
        _report(console, failure, words, args)
        return failure.exit_status
    except Exception as error:  # a defect of this program: still one JSON object and no traceback
        _ignore_signals(handlers)
        _report(console, InternalError(f"{type(error).__name__}: {error}"), words, args)
        return InternalError.exit_status
    finally:
        _restore_signals(handlers)


def run() -> NoReturn:
    """The process: `main`, then out at once.

    Nothing is left to be flushed, and to take the interpreter down in order would cost 5 ms, a tenth of a list.
    """
    try:
        status = main()
    except (Interrupted, KeyboardInterrupt):  # at the very end, when all is said
        status = 130
    os._exit(status)


def _run(args: Any, console: Console, clock: Clock | None) -> int:
    complete(args)
    console.format = args.output or "json"
    console.quiet = args.quiet
    console.verbose = args.verbose
    args.console = console
    if clock is None:
        import time

        clock = time
    args.clock = clock
    args.client = None
    try:
        status: int = args.run(args)
        return status
    finally:
        if args.client:
            args.client.close()


def _report(console: Console, failure: RunwayError | Interrupted, words: list[str], args: Any) -> None:
    """The failure as the last JSON object on stderr, masked."""
    from . import masking

    details = {key: item if key == "docUrl" else masking.value(item) for key, item in failure.details.items()}
    console.error({
        "error": masking.text(failure.message),
        "kind": failure.kind,
        **details,
        "example": _example(failure, words, args),
    })


def _example(failure: RunwayError | Interrupted, words: list[str], args: Any) -> str:
    """The call that helps, as it can be pasted: the error's own, else the failed call, else the command's example.

    A call that would show what is masked elsewhere, such as a signed URL, is none.
    """
    from . import masking

    variable = getattr(failure, "variable", None)
    given = target_options(getattr(args, "given", []))
    if getattr(failure, "directly", False):
        variable = None if "--gateway" in given else "RUNWAY_SKILLS_GATEWAY"
        given = []
    prefix = f"env -u {variable} " if variable and os.name != "nt" else ""
    helping = failure.example or _usual_example(failure, args)
    usual = getattr(args, "example", None) or ("--help",)
    calls = [[*helping, *(given if "--help" not in helping else ())]] if helping else []
    repeatable = not isinstance(failure, UsageError) and sum(map(len, words)) <= LONGEST_EXAMPLE
    if not helping and (prefix or repeatable):
        calls.append(words)
    calls.append([*usual, *given])
    return prefix + command_line(next(
        call for call in calls if call is calls[-1] or all(masking.text(word) == word for word in call)))


def _usual_example(failure: RunwayError | Interrupted, args: Any) -> Sequence[str] | None:
    """What helps after a failure that names no call itself, None where the failed one is worth repeating."""
    if isinstance(failure, DeniedError):
        return ("auth", "status")
    late = isinstance(failure, (OutputError, InternalError, Interrupted))
    if late and getattr(args, "method", None) in ("POST", "PATCH"):
        # it may have done its work, and a second one may be a second charge; a gateway shows no balance
        return ("auth", "status") if args.gateway else ("request", "GET", "/v1/organization")
    return None


def _handle_signals() -> list[tuple[int, Any]]:
    """SIGINT and SIGTERM as exceptions, except where the caller has them ignored; what they did before."""
    before: list[tuple[int, Any]] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            if signal.getsignal(number) != signal.SIG_IGN:
                before.append((number, signal.signal(number, _interrupt)))
        except ValueError:  # not the main thread
            pass
    return before


def _interrupt(number: int, _frame: object) -> None:
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)  # a second one would cut off the words about the first
    raise Interrupted(number)


def _ignore_signals(handlers: list[tuple[int, Any]]) -> None:
    for number, _handler in handlers:
        signal.signal(number, signal.SIG_IGN)


def _restore_signals(handlers: list[tuple[int, Any]]) -> None:
    for number, handler in handlers:
        signal.signal(number, handler)
