"""One run: dispatch, and the one place where an exception becomes an error object and an exit status."""

from __future__ import annotations

import gc
import os

from .. import __version__
from ..errors import CLOSED_OUTPUT, ClosedOutput, InternalError, Interrupted, RunwayError, UsageError
from ..shutdown import Shutdown, SlicedClock
from ..terminal.console import Console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..commands._context import Context
    from ..shutdown import Clock
    from .parser import Call


class Run:
    """One call of the program, from its words to its exit status."""

    def __init__(self, words: Sequence[str], clock: Clock | None) -> None:
        self.words = list(words)
        self.console = Console()
        self.shutdown = Shutdown()
        self.call: Call | None = None
        self._clock = clock
        self._failure: RunwayError | Interrupted | None = None

    def status(self) -> int:
        """Does what the words say and reports what failed; never raises."""
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
            return self.report(InternalError(f"{type(error).__name__}: {error}", **self.shutdown.facts))

    def report(self, failure: RunwayError | Interrupted) -> int:
        """Writes the failure on stderr, last. Returns its exit status."""
        self._failure = failure
        self.shutdown.end()
        try:
            from . import hints

            example = hints.example(failure, self.words, self.call)
        except Exception:  # two signals may have stopped an import halfway: the facts must be told all the same
            example = "runway-cli history"
        document = {"error": failure.message, "kind": failure.kind, **failure.reported(), "example": example}
        self.console.error(document)
        return failure.exit_status

    def report_signal(self, number: int) -> int | None:
        """The report of a second signal, which ends the process at once. Returns its exit status.

        Returns None where a report is being written already: it knows more, and the process ends after it.
        """
        return self.report(self._interruption(number)) if self._failure is None else None

    def _interruption(self, number: int) -> Interrupted:
        """The failure for a signal, with all that is known at this moment."""
        stop, facts = Interrupted.by(number), self.shutdown.facts
        names = ", ".join(facts.get("waiting_for", ()))
        return stop.but(f"{stop.message} while waiting for {names}" if names else None, **facts)

    def _run(self) -> int:
        from .parser import HelpRequested, VersionRequested, parse

        wants_json = "--output=json" in self.words or ("--output", "json") in zip(self.words, self.words[1:])
        self.console.configure(format="json" if wants_json else None, select=None, quiet=False, verbose=False)
        try:
            self.call = parse(self.words)
        except HelpRequested as request:
            from . import help

            self.console.write(help.text(request.path, request.topic))
            return 0
        except VersionRequested:
            return self._version()
        options = self.call.options
        _check_output(self.call)
        self.console.configure(
            format=options.output, select=options.select, quiet=options.quiet, verbose=options.verbose
        )
        context = self._context()
        if not gc.isenabled():  # see `cli.main.run`
            if hasattr(gc, "freeze"):  # what is loaded by now stays: no collection looks through it again
                gc.freeze()
            gc.enable()
        try:
            return self.call.command.run(context, options)
        finally:
            context.close()

    def _version(self) -> int:
        self.console.write(__version__ + "\n")
        return 0

    def _keep_secrets(self) -> None:
        from ..api.registry import secret_variables
        from ..settings.environment import secret_words

        for secret in secret_words(secret_variables()):
            self.console.keep_secret(secret)

    def _context(self) -> Context:
        from ..commands._context import Context
        from .parser import Program

        assert self.call is not None
        clock = self._clock
        if clock is None:
            import time

            clock = SlicedClock(time) if os.name == "nt" else time
        return Context(self.console, clock, self.shutdown, options=self.call.options, words=self.words, program=Program)


def _check_output(call: Call) -> None:
    """Raises UsageError where --output cannot apply."""
    output = call.options.output
    if output in (None, "json") or call.command.has_rows:
        return
    name = " ".join(call.path)
    raise UsageError(f"--output {output} is for commands that print rows; {name} prints one result", drop=("--output",))
