"""One run: from its words to its exit status, and the one place where an exception becomes an error object."""

from __future__ import annotations

import os
import sys

from .. import __version__, settings
from ..errors import CLOSED_OUTPUT, ClosedOutput, InternalError, Interrupted, RunwayError
from ..shutdown import Shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from ..shutdown import Clock
    from .parser import Call


LAST_RESORT = "runway-cli history --unfinished"  # the example where choosing one failed


def main(argv: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Runs one call and returns its exit status; never raises. `clock` is the module `time` unless a test waits."""
    shutdown = Shutdown()
    shutdown.handle_signals()
    try:
        return Run(sys.argv[1:] if argv is None else argv, clock, shutdown).status()
    finally:
        shutdown.restore_signals()


def run() -> NoReturn:
    """Runs one call and ends the process at once.

    Nothing is left to be flushed, and to take the interpreter down in order would cost 10 ms, a tenth of a short call.
    """
    shutdown = Shutdown()
    shutdown.handle_signals()
    os._exit(Run(sys.argv[1:], None, shutdown).status())


class Run:
    """One call of the program, from its words to its exit status."""

    def __init__(self, words: Sequence[str], clock: Clock | None, shutdown: Shutdown) -> None:
        from ..terminal.console import Console  # imported late: the signal handlers have to be installed before

        self.words = list(words)
        named = [word for word in words if word.startswith("--output")] or settings.setting(settings.OUTPUT_VARIABLE)
        wants_json = named == "json" or "--output=json" in words or ("--output", "json") in zip(words, words[1:])
        self.console = Console(format="json" if wants_json else None)  # until the options are known
        self.console.shutdown = self.shutdown = shutdown
        self.call: Call | None = None
        self._clock = clock

    def status(self) -> int:
        """Does what the words say, and reports what failed; never raises."""
        try:
            self.shutdown.check()
            if self.words in (["-v"], ["-V"], ["--version"]):  # imports nothing more
                self.console.write(__version__ + "\n")
                return 0
            return self._run()
        except ClosedOutput:
            return CLOSED_OUTPUT
        except (RunwayError, Interrupted) as failure:
            return self.report(failure)
        except Exception as error:  # a defect of this program: still an error object and no traceback
            return self.report(InternalError.of(error))

    def report(self, failure: RunwayError | Interrupted) -> int:
        """Writes the failure on stderr, last. Returns its exit status."""
        self.shutdown.end()
        try:
            from . import examples

            example = examples.example(failure, self.words, self.call, self.console.mask)
        except Exception:  # two signals may have stopped an import halfway: the facts must be told all the same
            example = LAST_RESORT
        document = {"error": failure.message, "kind": failure.kind, **failure.reported(), "example": example}
        self.console.error(document, failure.fact("heading", "error: "))
        return failure.exit_status

    def _run(self) -> int:
        import time

        from ..api.client import secrets
        from ..commands.context import Context
        from .parser import HelpRequested, VersionRequested, declared_commands, parse

        for secret in secrets():
            self.console.secrets.keep(secret)
        try:
            call = self.call = parse(self.words)
        except HelpRequested as request:
            from . import help

            self.console.write(help.text(request.path, request.topic))
            return 0
        except VersionRequested:
            self.console.write(__version__ + "\n")
            return 0
        options = call.options
        self.console.configure(
            format=options.output,
            select=options.select,
            is_wish=not options.is_output_given,
            quiet=options.quiet,
            verbose=options.verbose,
        )
        context = Context(self.console, self._clock or time, self.shutdown, options=options, program=declared_commands)
        try:
            return call.command.run(context, options)
        finally:
            context.close()
