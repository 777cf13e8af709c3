"""Live lines at the bottom of a terminal, and the words that they are made of."""

from __future__ import annotations

import sys
from threading import RLock

from ..settings import setting
from . import console as streams
from .masking import readable_size
from .tables import columns_taken, display_width, fitted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Union

    from .console import Console

    Line = Union[str, tuple[str, str]]  # a line, or a name and the rest: of these, the name is cut first


BAR = 10  # characters: a task's line, its id and all, fits into 80 columns
MIN_NAME = 8  # columns of a name that are kept: the first group of an id tells tasks apart
REDRAW = 0.1  # seconds between two drawings that bring no news
MIN_RATE_TIME = 1.0  # seconds of a transfer before its rate says something
MAX_REMAINING = 100 * 3600  # seconds


def live(console: Console) -> Live | None:
    """Returns the console's live lines; None with --quiet, or where stderr is not a terminal that can show them."""
    can_redraw = streams.is_terminal(sys.stderr) and setting("TERM") != "dumb" and streams.enable_ansi()
    if console.live is None and not console.quiet and can_redraw:
        console.live = Live(console.shown)
    return console.live


class Live:
    """Lines at the bottom of a terminal that are drawn again as they change.

    `shown` masks a text and makes it printable. Safe to use from several threads, and from a signal handler.
    """

    def __init__(self, shown: Callable[[str], str]) -> None:
        self._shown = shown
        self._drawn: list[str] = []  # the lines on the screen
        self._lock = RLock()

    def show(self, lines: Sequence[Line]) -> None:
        """Draws these lines in place of the ones before."""
        width, height = _size()
        texts = [self._fitted(line, width - 1) for line in lines[: max(height - 1, 1)]]
        if len(lines) > height - 1:  # what has left the screen at its top could not be drawn over
            texts[-1] = fitted(f"… and {len(lines) - len(texts) + 1} more", width - 1)
        with self._lock:
            self._draw("", texts)

    def above(self, text: str) -> None:
        """Writes `text`, whole lines, so that it stands above the live ones."""
        with self._lock:
            self._draw(text, self._drawn)

    def close(self) -> None:
        """Takes the lines away: what is written next stands where they were."""
        with self._lock:
            self._draw("", [])

    def _draw(self, text: str, lines: list[str]) -> None:
        """Draws with one write, so that no frame is half drawn. A window that became narrower has wrapped the lines."""
        erasing = ""
        if self._drawn:
            width, height = _size()
            count = sum(screen_lines(line, width) for line in self._drawn)
            erasing = f"\r\x1b[{min(count, height - 1)}A\x1b[J"
        self._drawn = lines
        drawing = erasing + text + "".join(line + "\n" for line in lines)
        if drawing:
            streams.write_stderr(drawing)

    def _fitted(self, line: Line, width: int) -> str:
        """Returns a line that does not wrap: one that does could not be drawn over."""
        if isinstance(line, str):
            return fitted(self._shown(line), width)
        name, rest = map(self._shown, line)
        room = max(width - display_width(rest) - 1, MIN_NAME)
        return fitted(f"{fitted(name, room)} {rest}", width)


def screen_lines(line: str, width: int) -> int:
    """Returns how many lines of a screen `line` takes, which was drawn on a wider one."""
    count, left = 1, width
    for columns in map(columns_taken, line):
        if columns > left:  # a wide character is not halved
            count, left = count + 1, width
        left -= columns
    return count


def _size() -> tuple[int, int]:
    """Returns columns and lines of the terminal, 2 at least."""
    columns, lines = streams.terminal_size(sys.stderr, sys.__stdout__, sys.__stdin__)
    return max(columns, 2), max(lines, 2)


def bar(share: float) -> str:
    """Returns [#####-----] for a share from 0 to 1."""
    full = int(max(0.0, min(share, 1.0)) * BAR)
    return "[" + "#" * full + "-" * (BAR - full) + "]"


def transferred(done: int, total: int | None, seconds: float = 0.0) -> str:
    """Returns bytes as people read them, with a bar if the total is known, the rate, and the remaining time.

    `seconds` is the time since the transfer began.
    """
    words = [f"{bar(done / total)} {readable_size(done)} of {readable_size(total)}" if total else readable_size(done)]
    rate = done / seconds if seconds >= MIN_RATE_TIME else 0.0
    if rate > 0:
        words.append(f"{readable_size(rate)}/s")
        if total and 0 < (total - done) / rate < MAX_REMAINING:
            words.append(f"{readable_time((total - done) / rate)} left")
    return ", ".join(words)


def readable_time(seconds: float) -> str:
    """Returns seconds as people read them: 45 s, 3 min 20 s, 1 h 5 min."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
