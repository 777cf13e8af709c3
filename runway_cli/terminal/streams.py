"""The standard streams: text out as UTF-8, and what is known about the terminal behind them."""

from __future__ import annotations

import errno
import os
import sys

from ..errors import ClosedOutput, OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_SIZE = (80, 24)  # columns and lines where no stream knows
REPLACEMENT = "\ufffd"

_STD_ERROR_HANDLE = -12  # learn.microsoft.com/windows/console/getstdhandle
_ENABLE_VIRTUAL_TERMINAL_PROCESSING = 4  # learn.microsoft.com/windows/console/setconsolemode
_JOINERS = "\u200c\u200d"  # parts of words and of emoji


def write_stdout(text: str) -> None:
    """Writes text on stdout, as UTF-8 whatever the locale.

    Raises ClosedOutput if nobody reads it any more, OutputError if it cannot be written.
    """
    if sys.stdout is None:
        raise ClosedOutput
    try:
        _write(sys.stdout, text)
    except ValueError:  # a closed stream
        raise ClosedOutput from None
    except OSError as error:
        if is_closed_pipe(error, os.name):
            raise ClosedOutput from None
        raise OutputError(f"stdout could not be written: {error.strerror or error}") from None


def write_stderr(text: str) -> None:
    """Writes text on stderr, as UTF-8. A stderr that is closed or full does not matter."""
    try:
        _write(sys.stderr, text)
    except (AttributeError, ValueError, OSError):
        pass


def is_closed_pipe(error: OSError, system: str) -> bool:
    """Whether the reader has gone. Windows (`system` "nt") reports that as EINVAL."""
    return isinstance(error, BrokenPipeError) or (system == "nt" and error.errno == errno.EINVAL)


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal; False for None and for a closed one."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def terminal_size(*streams: Any) -> tuple[int, int]:
    """Columns and lines of the first of these streams that is a terminal, else DEFAULT_SIZE."""
    for stream in streams:
        try:
            columns, lines = os.get_terminal_size(stream.fileno())
        except (AttributeError, ValueError, OSError):
            continue
        return columns or DEFAULT_SIZE[0], lines or DEFAULT_SIZE[1]
    return DEFAULT_SIZE


def terminal_width() -> int:
    """Columns of the terminal that the program was started in."""
    return terminal_size(sys.__stdout__, sys.__stderr__, sys.__stdin__)[0]


def enable_ansi() -> bool:
    """Whether the terminal behind stderr understands ANSI escape sequences; on Windows, after asking for them."""
    if sys.platform == "win32":
        import ctypes

        return enable_virtual_terminal(ctypes.windll.kernel32, ctypes)
    return True


def enable_virtual_terminal(kernel32: Any, ctypes: Any) -> bool:
    """Switches ANSI escape sequences on for the Windows console behind stderr. False for older consoles."""
    try:
        kernel32.GetStdHandle.restype = ctypes.c_void_p  # a handle has 64 bits
        handle = ctypes.c_void_p(kernel32.GetStdHandle(_STD_ERROR_HANDLE))
        mode = ctypes.c_ulong()
        if not kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
            return False
        return bool(kernel32.SetConsoleMode(handle, mode.value | _ENABLE_VIRTUAL_TERMINAL_PROCESSING))
    except (AttributeError, OSError):
        return False


def printable(text: str) -> str:
    """`text` on one line that cannot steer a terminal: white space as spaces, control characters replaced."""
    if text.isprintable():
        return text
    return "".join(_printable(character) for character in text)


def _printable(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    return " " if character.isspace() else REPLACEMENT


def _write(stream: Any, text: str) -> None:
    """Past Python's buffer: what could not be written must not be tried again when the interpreter ends."""
    buffer = getattr(stream, "buffer", None)
    if buffer is None:  # a stream of text alone, such as io.StringIO
        stream.write(text)
        return
    raw = getattr(buffer, "raw", buffer)
    rest = memoryview(text.encode("utf-8", "backslashreplace"))
    while rest:
        written = raw.write(rest)
        if written is None:  # a pipe that does not block and is full
            import select

            select.select([], [raw], [])
        rest = rest[written or 0 :]
