"""The handlers of SIGINT, SIGTERM and SIGHUP. Installed before most modules are imported: this one imports little.

The first signal is noted, and the run ends where nothing can be lost (see `runway_cli.shutdown`). A second one ends the
process at once, wherever it is, with the report and the exit status of the first.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # `signal` itself makes enums of its numbers, for 0.5 ms
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Noticing(Protocol):
        """What is told of the first signal: `runway_cli.shutdown.Shutdown`."""

        def notice(self, number: int) -> None: ...


SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # those that this system has
STDERR = 2
LAST_WORDS = b'{"error":"interrupted","kind":"interrupted","example":"runway-cli --help"}\n'
SIGBREAK: int | None = getattr(signal, "SIGBREAK", None)  # Windows: Ctrl-Break, or the console was closed


class SignalHandlers:
    """The handlers of one run."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}  # by the signal's number
        self._first = 0  # the signal that arrived first
        self._shutdown: Noticing | None = None
        self._report: Callable[[int], int | None] | None = None

    def install(self) -> None:
        """Handles each signal, except one that the caller ignores. Does nothing outside the main thread."""
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is None or signal.getsignal(number) in (signal.SIG_IGN, None):  # None: not set from Python
                continue
            try:
                self._before[number] = signal.signal(number, self._handle)
            except ValueError:  # not the main thread
                return

    def attach(self, shutdown: Noticing, report: Callable[[int], int | None]) -> None:
        """Tells `shutdown` of the first signal from now on, or of one that arrived already.

        `report` is called with the number of the first signal when a second one has arrived: it writes the failure,
        removes part files, and returns the exit status with which the process then ends; None if it is ending anyway.
        """
        self._report = report
        self._shutdown = shutdown
        if self._first:
            shutdown.notice(self._first)

    def restore(self) -> None:
        """Puts back what was there before `install`."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: object) -> None:
        if not self._first:
            self._first = int(signal.SIGTERM) if number == SIGBREAK else number
            if self._shutdown is not None:
                self._shutdown.notice(self._first)
            return
        for each in self._before:
            signal.signal(each, self._exit)  # a third one ends even a report that hangs
        status: int | None = 128 + self._first
        try:
            if self._report is None:
                os.write(STDERR, LAST_WORDS)
            else:
                status = self._report(self._first)
        except BaseException:  # what the signals interrupted may be half done
            os.write(STDERR, LAST_WORDS)
        if status is not None:
            os._exit(status)

    def _exit(self, _number: int, _frame: object) -> None:
        os._exit(128 + self._first)
