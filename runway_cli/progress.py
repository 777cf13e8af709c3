"""Progress on stderr: live lines on a terminal, else a line only when there is news."""

from __future__ import annotations

import os
import sys
import time
from threading import Lock

from .masking import readable_size
from .output import is_terminal, printable, terminal_width, write_stderr
from .settings import is_dumb_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .output import Console, LiveLines

BAR = 10  # characters: a task's line, its id and all, fits into 80 columns
REDRAW = 0.1  # seconds between two redraws that carry no news


class Live:
    """Some lines at the bottom of a terminal that are drawn again as they change. Never used on anything else."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._drawn = 0  # lines on the screen
        self._lock = Lock()  # threads that download have notes to tell

    def show(self, lines: list[str]) -> None:
        """Draws these lines in place of the ones before."""
        width, height = terminal_width() - 1, _terminal_height() - 1
        if len(lines) > height:  # what has left the screen at its top could not be drawn over
            lines = [*lines[:height - 1], f"… and {len(lines) - height + 1} more"]
        with self._lock:
            self.lines = [_fitting(printable(line), width) for line in lines]
            write_stderr(self._erasing() + self._drawing())

    def above(self, text: str) -> None:
        """Writes `text` so that it stands above the lines."""
        with self._lock:
            write_stderr(self._erasing() + text + self._drawing())

    def close(self) -> None:
        """Takes the lines away: what is written next stands where they were."""
        with self._lock:
            self.lines = []
            write_stderr(self._erasing())

    def _erasing(self) -> str:
        drawn, self._drawn = self._drawn, 0
        return f"\r\x1b[{drawn}A\x1b[J" if drawn else ""

    def _drawing(self) -> str:
        self._drawn = len(self.lines)
        return "".join(line + "\n" for line in self.lines)


def _fitting(line: str, width: int) -> str:
    """`line` cut to `width` columns: one that wraps could not be drawn over."""
    if line.isascii():
        return line[:width]
    from .tables import cut, display_width  # only names that are not ASCII need the widths of characters

    return line if display_width(line) <= width else cut(line, width)


def _terminal_height() -> int:
    """Lines of the terminal, 24 where nothing tells."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).lines or 24
    except (AttributeError, ValueError, OSError):
        return 24


def live(console: Console) -> LiveLines | None:
    """The console's live lines, None where stderr is no terminal that can show them, or with --quiet."""
    if console.live is None and not console.quiet and is_terminal(sys.stderr) and not is_dumb_terminal():
        console.live = Live()
    return console.live


class Transfer:
    """The progress of one upload or download: a bar on a terminal, nothing elsewhere, taken away at its end."""

    def __init__(self, console: Console, name: str) -> None:
        self._live = live(console)
        self._name = name
        self._start = time.monotonic()
        self._drawn = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        """Hears of bytes done, of a total that may be unknown."""
        now = time.monotonic()
        if self._live is None or (now - self._drawn < REDRAW and done != total):
            return
        self._drawn = now
        self._live.show([f"{self._name}  {transferred(done, total)}  {now - self._start:.0f} s"])

    def __enter__(self) -> Transfer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.close()


def transferred(done: int, total: int | None) -> str:
    """Bytes for a person, with a bar where the total is known."""
    if not total:
        return readable_size(done)
    return f"{bar(done / total)} {readable_size(done)} of {readable_size(total)}"


def bar(share: float) -> str:
    """[#####-----] for a share from 0 to 1."""
    full = int(max(0.0, min(share, 1.0)) * BAR)
    return "[" + "#" * full + "-" * (BAR - full) + "]"
