"""One run: from its words to its exit status, and the one place where an exception becomes an error object."""

from __future__ import annotations

import os
import sys

from .. import __version__
from ..errors import CLOSED_OUTPUT, ClosedOutput, InternalError, Interrupted, RunwayError, UsageError
from ..shutdown import Shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from ..commands.context import Context
    from ..shutdown import Clock
    from .parser import Call


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
        self.console = Console()
        self.shutdown = shutdown
        self.call: Call | None = None
        self._clock = clock

    def status(self) -> int:
        """Does what the words say, and reports what failed; never raises."""
        try:
            self.shutdown.check()
            if self.words in (["-v"], ["-V"], ["--version"]):  # without argparse, which is half of such a start
                return self._version()
            self._keep_secrets()
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

            example = examples.example(failure, self.words, self.call)
        except Exception:  # two signals may have stopped an import halfway: the facts must be told all the same
            example = "runway-cli history"
        self.console.error({"error": failure.message, "kind": failure.kind, **failure.reported(), "example": example})
        return failure.exit_status

    def _run(self) -> int:
        from .parser import HelpRequested, VersionRequested, parse

        wants_json = "--output=json" in self.words or ("--output", "json") in zip(self.words, self.words[1:])
        self.console.configure(format="json" if wants_json else None)
        try:
            call = self.call = parse(self.words)
        except HelpRequested as request:
            from . import help

            self.console.write(help.text(request.path, request.topic))
            return 0
        except VersionRequested:
            return self._version()
        options = call.options
        if options.output not in (None, "json") and not call.command.has_rows:
            name = " ".join(call.path)
            words = f"--output {options.output} is for commands that print rows; {name} prints one result"
            raise UsageError(words, drop=("--output",))
        self.console.configure(
            format=options.output, select=options.select, quiet=options.quiet, verbose=options.verbose
        )
        context = self._context(call)
        try:
            return call.command.run(context, options)
        finally:
            context.close()

    def _version(self) -> int:
        self.console.write(__version__ + "\n")
        return 0

    def _keep_secrets(self) -> None:
        from ..api.services import secret_variables
        from ..settings import secret_words

        for secret in secret_words(secret_variables()):
            self.console.keep_secret(secret)

    def _context(self, call: Call) -> Context:
        import time

        from ..commands.context import Context
        from .parser import Program

        return Context(
            self.console, self._clock or time, self.shutdown, options=call.options, words=self.words, program=Program
        )
