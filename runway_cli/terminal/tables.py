"""Rows as a Markdown table, or as aligned columns for a terminal. The rows have no secrets left.

Width is counted by character, so an emoji of several characters may be narrower on a terminal than counted here.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from .. import jsontext
from ..settings import readable_time
from .console import DIM, GREEN, RED, YELLOW, printable, styled

Row = Mapping[str, object]
GAP = 2  # columns of a terminal between two columns of a table
MIN_TEXT = 22  # columns of a terminal; a shorter piece of a text is useless
DAY = 86_400  # seconds
STATUS_STYLES = {
    **dict.fromkeys(("SUCCEEDED", "READY", "COMPLETED"), GREEN),
    **dict.fromkeys(("FAILED", "CANCELLED", "GONE"), RED),
}  # any other is in progress, or needs attention: YELLOW

# A URL without what ends a sentence or brackets; else a character that would begin markup.
_MARKDOWN = (
    r"(?i:(https?://[^\s\"'`]*[^\s\"'`.,;:!?)\]}>]))"
    r"|[\\`|<>*~\[\]]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore within a word does not start emphasis
    r"|&(?=#?\w+;)"
)


class Column:
    """A column of a table, as commands declare it: its heading, and the key of its values in a row.

    `link` is the text of a link that stands for a URL in Markdown. `wrap`: on a terminal, values that do not fit
    continue on the next line instead of being cut. A narrow window leaves out the highest `rank` first, never 0.
    """

    def __init__(self, heading: str, key: str, *, link: str = "link", wrap: bool = False, rank: int = 0) -> None:
        self.heading = heading
        self.key = key
        self.link = link
        self.wrap = wrap
        self.stays = key in ("id", "status", "credits", "output")  # whole, in a window of any width
        self.is_time = key.endswith("At")
        self.rank = 0 if self.stays else 2 if self.is_time else rank


def rows_of(answer: object) -> list[Row] | None:
    """Returns the rows of an answer that is {"data": […]} or a list, an item "a" as {"value": "a"}; else None."""
    items = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(items, list):
        return None
    return [item if isinstance(item, dict) else {"value": item} for item in items]


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """Returns a column for each key of these rows, in the order in which they appear."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return [Column(key, key, rank=min(at, 1)) for at, key in enumerate(keys)]


def markdown(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Returns a GitHub table in which no cell can start markup or HTML, and URLs are links."""
    from urllib.parse import quote

    def cell(text: str, link: str) -> str:
        def escaped(found: re.Match[str]) -> str:
            if not found[1]:
                return "\\" + found[0]
            return f"[{link}]({quote(found[1].encode('utf-8', 'replace'), safe='/?%:@!$&*+,;=~#-._')})"

        return re.sub(_MARKDOWN, escaped, text.strip())

    lines = [[cell(printable(column.heading), column.link) for column in columns], ["---"] * len(columns)]
    lines += [[cell(_text(row.get(column.key)), column.link) for column in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def table(
    rows: Sequence[Row], columns: Sequence[Column], width: int | None, *, is_coloured: bool = False
) -> tuple[str, list[str]]:
    """Returns columns aligned by what a terminal shows, headings first, and the headings that were left out.

    To fit into `width` columns, times become relative, whole columns are left out, and texts are cut; lists wrap. If
    even the columns of rank 0 do not fit, each row becomes lines of `heading  value`.
    """
    fitting = [_FittedColumn(column, [row.get(column.key) for row in rows], width, is_coloured) for column in columns]
    if width is None or sum(each.width + GAP for each in fitting) <= width + GAP or _fit(fitting, width):
        lines = (aligned([each.cell(at) for each in fitting if each.width]) for at in range(len(rows) + 1))
        return "".join(lines), [each.cells[0] for each in fitting if each.has_values and not each.width]
    blocks, indent = [""] * len(rows), max(display_width(each.cells[0]) for each in fitting)
    for each in fitting:
        each.width, each.wraps = max(width - indent - GAP, each.least), True
        heading, _, style = each.cell(0)
        for at in range(len(rows)):
            blocks[at] += aligned([(heading, indent, style), each.cell(at + 1)]) if each.cells[at + 1] else ""
    return "\n".join(blocks), []


class _FittedColumn:
    """A column on a terminal: its cells, the heading first, and its `width`, 0 if it is left out."""

    def __init__(self, column: Column, values: Sequence[object], window: int | None, is_coloured: bool) -> None:
        if window is not None and column.is_time:
            values = [_ago(value) for value in values]
        texts = [_text(value) for value in values]
        self.column = column
        self.cells = [printable(column.heading), *texts]
        self.has_values = any(texts)
        self.width = self.natural = max(map(display_width, self.cells))
        self.wraps = column.wrap or any(isinstance(value, list) for value in values)
        self._is_coloured = is_coloured
        is_text = " " in "".join(texts) and not column.stays and not column.is_time
        self.least = min(self.natural, MIN_TEXT) if is_text else self.natural  # half a URL or id is useless

    def cell(self, at: int) -> tuple[list[str], int, str]:
        """Returns the lines of a cell, its width and its style."""
        text = self.cells[at]
        style = STATUS_STYLES.get(text, YELLOW) if self.column.key == "status" else DIM * (self.column.rank > 1)
        lines = wrapped(text, self.width) if self.wraps else [fitted(text, self.width)]
        return lines, self.width, (style if at else DIM) if self._is_coloured else ""


def _fit(columns: Sequence[_FittedColumn], width: int) -> bool:
    """Sets the widths of the columns in a window. Returns False if those that must not be left out do not fit."""
    room = width + GAP
    in_order = sorted(columns, key=lambda each: (each.column.rank, each.natural))
    for each in in_order:
        each.width = each.least if each.has_values and each.least + GAP <= room else 0
        if each.width:
            room -= each.width + GAP
        elif each.has_values and each.column.rank == 0:
            return False
    for each in in_order:  # the longest texts of the least important columns are cut
        more = min(each.natural - each.width, room) if each.width else 0
        each.width += more
        room -= more
    return True


def _text(value: object) -> str:
    """Returns a value on one line."""
    items = value if isinstance(value, list) else [] if value is None else [value]
    return ", ".join(printable(item if isinstance(item, str) else jsontext.dumps(item)) for item in items)


def _ago(moment: object) -> object:
    """Returns an ISO 8601 moment as `2 h 5 min ago`, or as its date after a day or more; any other value unchanged."""
    from datetime import datetime

    try:
        seconds = time.time() - datetime.fromisoformat(str(moment).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError):
        return moment
    return f"{readable_time(seconds)} ago" if 0 <= seconds < DAY else str(moment)[:10]


def aligned(cells: Sequence[tuple[list[str], int, str]]) -> str:
    """Returns the lines of a row of cells, each cell given as (lines, width, style)."""
    text = ""
    for pieces in zip_longest(*(lines for lines, _, _ in cells), fillvalue=""):
        line = ""
        for piece, (_, width, style) in zip(pieces, cells):
            line += styled(piece, style) + " " * (width - display_width(piece) + GAP)
        text += line.rstrip() + "\n"
    return text


def display_width(text: str) -> int:
    """Returns the columns that a terminal needs for a line of text."""
    return len(text) if text.isascii() else sum(map(columns_taken, text))


def columns_taken(character: str) -> int:
    """Returns the columns that a terminal gives to one character."""
    if character == "\ufe0f":  # makes the character before it a wide emoji
        return 1
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):  # drawn over the character before
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fitted(text: str, width: int) -> str:
    """Returns `text`, cut to `width` columns at most, an ellipsis included, if it is wider."""
    if display_width(text) <= width:
        return text
    end, room = 0, width - 1
    while (room := room - columns_taken(text[end])) >= 0:
        end += 1
    return text[:end] + "…"


def wrapped(text: str, width: int) -> list[str]:
    """Returns `text` on lines of `width` columns, broken at spaces, and within a word that is wider than a line."""
    import textwrap

    doubled = "".join(each + "\0" * (columns_taken(each) - 1) for each in text)  # textwrap counts characters
    return [line.replace("\0", "") for line in textwrap.wrap(doubled, width, break_on_hyphens=False)] or [""]
