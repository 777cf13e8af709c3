"""How a run ends early: the signal that arrived, and the part files that must not be left behind.

1. A signal handler only notes the signal. `check` raises it, once, where nothing can be lost: before a wait, between
   two parts of a wait, and before a request is sent. So an answer that was read is never thrown away.
2. Waits last at most SLICE seconds at a time, so that a signal acts within that time on every system.
3. A sleep, or reading the user's input, loses nothing: there the handler may raise at once.
4. Worker threads get no signals. They check `is_over`, which the main thread sets when the run ends.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from io import FileIO

from .errors import Interrupted, OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol, TypeVar

    T = TypeVar("T")

    class Clock(Protocol):
        """The functions of the module `time` that waiting needs."""

        def monotonic(self) -> float: ...
        def time(self) -> float: ...
        def sleep(self, seconds: float, /) -> None: ...


SLICE = 0.25  # seconds that a wait may last without a check for signals
GRACE = 0.5  # seconds in which a further signal is the same request: a terminal and a wrapper may each send one
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # as far as this system has them
SIGBREAK: int | None = getattr(signal, "SIGBREAK", None)  # Windows: Ctrl-Break, or the console was closed
LAST_WORDS = b'{"error":"interrupted twice","kind":"interrupted","example":"runway-cli history"}\n'


class Shutdown:
    """The end of one run. Safe for several threads. A further signal, after GRACE seconds, ends the process at once."""

    def __init__(self) -> None:
        self.is_over = False
        self.signal = 0  # the number of the signal that arrived first, 0 before one did
        self._noticed_at = 0.0
        self._is_raised = False
        self._may_raise = False
        self._replaced: dict[int, Any] = {}  # signal handlers from before
        self._part_files: dict[str, FileIO | None] = {}
        self._lock = threading.RLock()  # a second signal ends the run from within whatever the main thread does

    def handle_signals(self) -> None:
        """Handles each signal, except one that the caller ignores. Does nothing outside the main thread."""
        for number in [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]:
            if _is_main_thread() and signal.getsignal(number) not in (signal.SIG_IGN, None):  # None: not from Python
                self._replaced[number] = signal.signal(number, self.notice)

    def restore_signals(self) -> None:
        """Puts back the handlers from before `handle_signals`."""
        while self._replaced:
            signal.signal(*self._replaced.popitem())

    def notice(self, number: int, _frame: object = None) -> None:
        """Handles a signal: notes the first, ends the process at a further one. Raises Interrupted where it may."""
        if not self.signal:
            self._noticed_at = time.monotonic()
            self.signal = int(signal.SIGTERM) if number == SIGBREAK else number
            if self._may_raise:
                self._may_raise = False
                self.check()
        elif time.monotonic() - self._noticed_at > GRACE:
            try:
                self.end()
                if os.name == "nt" or select.select([], [2], [], 0)[1]:  # stderr is being read
                    os.write(2, LAST_WORDS)
            finally:
                os._exit(128 + self.signal)

    def check(self) -> None:
        """Raises Interrupted once, if a signal has arrived. For the main thread; in others it does nothing."""
        if self.signal and not self._is_raised and _is_main_thread():
            self._is_raised = True
            raise Interrupted("interrupted" if self.signal == signal.SIGINT else "terminated", signal=self.signal)

    def sleep(self, clock: Clock, seconds: float) -> None:
        """Sleeps, unless a signal has arrived or arrives meanwhile."""
        longest = SLICE if os.name == "nt" else seconds  # on Windows only SIGINT ends a sleep
        while seconds > 0:
            self.interruptible(clock.sleep, min(seconds, longest))
            seconds -= longest
        self.check()

    def interruptible(self, act: Callable[..., T], *arguments: object) -> T:
        """Returns what `act` returns: a call that may block, and that a signal may interrupt without loss."""
        self.check()
        self._may_raise = _is_main_thread()
        try:
            return act(*arguments)
        finally:
            self._may_raise = False

    def create_part_file(self, path: str) -> FileIO:
        """Creates a part file and remembers it. Raises OSError; OutputError if the run has ended."""
        with self._lock:
            if self.is_over:
                raise OutputError(f"{path!r} was not created: the program is ending")
            self._part_files[path] = None  # a second signal may end the run as soon as the file exists
            file = self._part_files[path] = open(path, "xb", buffering=0)  # noqa: SIM115 - the download closes it
            return file

    def remove_part_file(self, path: str) -> None:
        """Removes a part file, if it is still there, and forgets it."""
        self._part_files.pop(path, None)
        remove(path)

    def end(self) -> None:
        """Ends the run: nothing new is started, and part files are removed, even those that threads still write."""
        with self._lock:
            self.is_over = True
            for path, file in list(self._part_files.items()):
                try:
                    if file:
                        file.close()  # Windows cannot remove an open file
                except OSError:
                    pass
                self.remove_part_file(path)


def remove(path: str) -> None:
    """Removes a file if it is there."""
    try:
        os.unlink(path)
    except OSError:
        pass


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
