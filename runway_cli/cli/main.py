"""One run: from its words to its exit status, and the one place where an exception becomes an error object."""

from __future__ import annotations

import os
import sys
import time

from .. import __version__, settings
from ..errors import CLOSED_OUTPUT, REPORTED, ClosedOutput, Failure, InternalError
from ..shutdown import Shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..shutdown import Clock
    from ..terminal.console import Console
    from .parser import Call

LAST_RESORT = "runway-cli history --unfinished"  # the example if choosing one has failed


def main(argv: list[str] | None = None, clock: Clock | None = None) -> int:
    """Runs one call and returns its exit status; never raises. `clock` is the module `time` unless a test waits."""
    shutdown = Shutdown()
    shutdown.handle_signals()
    try:
        return _status(sys.argv[1:] if argv is None else argv, clock, shutdown)
    finally:
        shutdown.restore_signals()


def run() -> None:
    """Runs one call and ends the process at once: an orderly exit of the interpreter would cost 10 ms."""
    shutdown = Shutdown()
    try:
        shutdown.handle_signals()
    except KeyboardInterrupt:  # Python's own handler was still there
        os._exit(130)
    os._exit(_status(sys.argv[1:], None, shutdown))


def _status(words: list[str], clock: Clock | None, shutdown: Shutdown) -> int:
    """Runs what the words say, and reports a failure. Returns the exit status; never raises."""
    from ..terminal.console import Console  # imported late: the signal handlers have to be installed before

    named = [word for word in words if word.startswith("--output")] or settings.setting(settings.OUTPUT_VARIABLE)
    wants_json = named == "json" or "--output=json" in words or ("--output", "json") in zip(words, words[1:])
    console = Console("json" if wants_json else None, shutdown=shutdown)  # until the options are parsed
    call: Call | None = None
    try:
        shutdown.check()
        if words in (["-v"], ["-V"], ["--version"]):  # without further imports
            console.write(__version__ + "\n")
            return 0
        from ..api.client import secrets
        from .parser import HelpRequested, declared_commands, parse

        for secret in secrets():
            console.secrets.keep(secret)
        try:
            call = parse(words)
        except HelpRequested as request:
            from . import help

            console.write(help.text(*request.args))
            return 0
        from ..commands.context import Context

        options = call.options
        console = Console(
            options.output,
            options.select,
            is_from_variable=not options.is_output_given,
            quiet=options.quiet,
            verbose=options.verbose,
            secrets=console.secrets,
            shutdown=shutdown,
        )
        context = Context(console, clock or time, shutdown, options, declared_commands)
        try:
            return call.command.run(context, options)
        finally:
            context.close()
    except ClosedOutput:
        return CLOSED_OUTPUT
    except Failure as failure:
        return report(failure, words, call, console)
    except Exception as error:  # a defect of this program: still an error object and no traceback
        return report(InternalError.of(error), words, call, console)


def report(failure: Failure, words: list[str], call: Call | None, console: Console) -> int:
    """Writes the failure on stderr, last. Returns its exit status."""
    if console.shutdown:
        console.shutdown.end()
    try:
        from .examples import example

        suggested = example(failure, words, call, console.mask)
    except Exception:  # two signals may have stopped an import halfway: the facts must be reported all the same
        suggested = LAST_RESORT
    facts = {key: failure.fact(name, False) for name, key in REPORTED.items()}
    told = {key: fact for key, fact in facts.items() if fact is not False} | failure.fact("more", {})
    document = {"error": failure.message, "kind": failure.kind, **told, "example": suggested}
    console.error(document, failure.fact("heading", "error: "))
    return failure.exit_status
