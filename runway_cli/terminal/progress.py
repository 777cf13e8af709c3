"""Live lines at the bottom of a terminal, and the words that they are made of."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from itertools import zip_longest
from threading import RLock

from ..settings import readable_size, readable_time
from . import console as streams
from .console import DIM, YELLOW, Console
from .tables import GAP, STATUS_STYLES, aligned, columns_taken, display_width, fitted

BAR = 10  # characters: a task's line, its id and all, fits into 80 columns
MAX_CELL = 500  # characters: more is never seen
MIN_NAME = 8  # columns of a name that are kept: the first group of an id tells tasks apart
REDRAW = 0.1  # seconds between two drawings that bring no news
MIN_RATE_TIME = 1.0  # seconds of a transfer before its rate says something


def live(console: Console) -> Live | None:
    """Returns the console's live lines; None with --quiet, or where stderr is not a terminal that can show them."""
    if console.live is None and not console.quiet and streams.has_ansi(sys.stderr):
        console.live = Live(console)
    return console.live


class Live:
    """Lines at the bottom of a terminal that are drawn again as they change.

    Safe to use from several threads, and from a signal handler.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: list[str] = []  # the lines on the screen
        self._lock = RLock()

    def show(self, lines: Sequence[list[str] | tuple[str, ...]]) -> None:
        """Draws these lines in place of the ones before, each a text alone or its cells: three names, a status, more.

        The cells are aligned, and so cut that no line wraps: it could not be erased.
        """
        columns, height = streams.terminal_size()
        width = columns - 1
        rows = [[self._console.shown(cell)[:MAX_CELL] for cell in line] for line in lines[: max(height - 1, 1)]]
        by_column = zip_longest(*(row for row in rows if len(row) > 1), fillvalue="")
        widths = [max(map(display_width, cells)) for cells in by_column]
        excess = sum(size + GAP for size in widths if size) - GAP - width
        for at, least in ((2, 0), (1, 0), (0, MIN_NAME)) if excess > 0 else ():  # the prompt gives way first
            cut = max(0, min(excess, widths[at] - least))
            widths[at] -= cut
            excess -= cut
        is_coloured = excess <= 0 and streams.has_styles(sys.stderr)  # a style must not be cut
        texts = []
        for row in rows:
            text = row[0]
            if len(row) > 1:
                styles = ["", DIM, DIM, STATUS_STYLES.get(row[3], YELLOW)] if is_coloured else []
                cells = [
                    ([fitted(cell, size)], size, style)
                    for cell, size, style in zip(row, widths, [*styles, *[""] * len(row)])
                    if size
                ]
                text = aligned(cells).rstrip()
            texts.append(text if "\x1b" in text else fitted(text, width))
        if len(lines) > height - 1:  # what has left the screen at its top could not be drawn over
            texts[-1] = fitted(f"… and {len(lines) - len(texts) + 1} more", width)
        self._draw("", texts)

    def above(self, text: str) -> None:
        """Writes `text`, whole lines, so that it stands above the live ones."""
        self._draw(text)

    def close(self) -> None:
        """Takes the lines away: what is written next stands where they were."""
        self._draw("", [])

    def _draw(self, text: str, lines: list[str] | None = None) -> None:
        """Draws with one write, so that no frame is half drawn. A window that became narrower has wrapped the lines.

        Lines are erased one by one: terminals keep a whole screen that is erased from its top in their history.
        """
        with self._lock:
            drawing = ""
            if self._drawn:
                width, height = streams.terminal_size()
                count = min(sum(screen_lines(line, width) for line in self._drawn), height - 1)
                drawing = f"\r\x1b[{count}A" + "\x1b[K\n" * count + f"\x1b[{count}A"
            self._drawn = self._drawn if lines is None else lines
            drawing += text + "".join(line + "\n" for line in self._drawn)
            if drawing:
                self._console.write_stderr(drawing)


def screen_lines(line: str, width: int) -> int:
    """Returns how many lines of a screen `line` takes, which was drawn on a wider one."""
    count, left = 1, width
    for columns in map(columns_taken, re.sub(r"\x1b\[\d+m", "", line)):
        if columns > left:  # a wide character is not halved
            count, left = count + 1, width
        left -= columns
    return count


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
        if total and done < total:
            words.append(f"{readable_time((total - done) / rate)} left")
    return ", ".join(words)
