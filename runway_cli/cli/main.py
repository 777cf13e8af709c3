"""The start of the program. Signal handlers are installed first: until then this imports as little as possible."""

from __future__ import annotations

import gc
import os
import sys

from .signals import SignalHandlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from ..shutdown import Clock


def main(argv: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Runs one call and returns its exit status; never raises. `clock` is the module `time` unless a test waits."""
    handlers = SignalHandlers()
    handlers.install()
    try:
        return _status(handlers, argv, clock)
    finally:
        handlers.restore()


def run() -> NoReturn:
    """The process: one call, then out at once.

    Nothing is left to be flushed, and to take the interpreter down in order would cost 5 ms, a tenth of a list.
    """
    handlers = SignalHandlers()
    handlers.install()
    gc.disable()  # to look for garbage among modules just imported costs 2 ms; a command runs with it enabled
    os._exit(_status(handlers, None, None))


def _status(handlers: SignalHandlers, argv: Sequence[str] | None, clock: Clock | None) -> int:
    from .dispatch import Run

    one = Run(sys.argv[1:] if argv is None else argv, clock)
    handlers.attach(one.shutdown, one.report_signal)
    return one.status()
