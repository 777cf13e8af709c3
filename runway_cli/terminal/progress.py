"""Live lines at the bottom of a terminal, and the words that they are made of."""

from __future__ import annotations

import sys
from threading import RLock

from ..settings import is_dumb_terminal
from ..terminal import console as streams
from .masking import readable_size

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
        """One write, so that no frame is half drawn."""
        erasing, self._drawn = _erasing(self._drawn), lines
        drawing = erasing + text + "".join(line + "\n" for line in lines)
        if drawing:
            streams.write_stderr(drawing)

    def _fitted(self, line: Line, width: int) -> str:
        if isinstance(line, str):
            return fitted(self._shown(line), width)
        from .tables import display_width

        name, rest = (self._shown(part) for part in line)
        room = max(width - display_width(rest) - 1, MIN_NAME)
        return fitted(f"{fitted(name, room)} {rest}", width)


def live(console: Console) -> Live | None:
    """The console's live lines; None with --quiet, or where stderr is not a terminal that can show them."""
    if console.live is None and not console.quiet and _can_redraw():
        console.live = Live(console.shown)
    return console.live


def fitted(line: str, width: int) -> str:
    """`line` cut to `width` columns: one that wraps could not be drawn over."""
    from .tables import cut, display_width

    return line if display_width(line) <= width else cut(line, width)


def screen_lines(line: str, width: int) -> int:
    """How many lines of a screen `line` takes, which was drawn on a wider one."""
    from .tables import clusters

    count, left = 1, width
    for _, columns in clusters(line):
        if columns > left:  # a wide character is not halved
            count, left = count + 1, width
        left -= columns
    return count


def bar(share: float) -> str:
    """[#####-----] for a share from 0 to 1."""
    full = int(max(0.0, min(share, 1.0)) * BAR)
    return "[" + "#" * full + "-" * (BAR - full) + "]"


def transferred(done: int, total: int | None, seconds: float = 0.0) -> str:
    """Bytes as people read them, with a bar if the total is known, the rate, and the remaining time.

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
    """Seconds as people read them: 45 s, 3 min 20 s, 1 h 5 min."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _erasing(lines: list[str]) -> str:
    """Takes drawn lines away. A window that has become narrower since has wrapped them."""
    if not lines:
        return ""
    width, height = _size()
    count = sum(screen_lines(line, width) for line in lines)
    return f"\r\x1b[{min(count, height - 1)}A\x1b[J"


def _can_redraw() -> bool:
    return streams.is_terminal(sys.stderr) and not is_dumb_terminal() and streams.enable_ansi()


def _size() -> tuple[int, int]:
    """Columns and lines of the terminal, 2 at least."""
    columns, lines = streams.terminal_size(sys.stderr, sys.__stdout__, sys.__stdin__)
    return max(columns, 2), max(lines, 2)
