"""Rows as a Markdown table, or as aligned columns for a terminal. Secrets are masked before rows come here.

Columns of a terminal are counted by character, so that an emoji of several characters may look narrower than counted.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import zip_longest

from .. import jsontext
from .console import DIM, GREEN, RED, YELLOW, printable, styled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Row = Mapping[str, Any]


GAP = "  "
ELLIPSIS = "…"
MIN_TEXT = 22  # columns of a terminal; less of a text says nothing
MAX_LINES = 3  # of a list in one of several rows
ITEM = ",\n"  # between the elements of a list, in a cell before it is shown; no text has a line break there
MAX_WORD = 30  # columns; a longer word may be broken where its column wraps
STATUS_STYLES = {
    **dict.fromkeys(("SUCCEEDED", "READY", "COMPLETED"), GREEN),
    **dict.fromkeys(("FAILED", "CANCELLED", "GONE"), RED),
}  # any other goes on, or needs a look: YELLOW

_MARKUP = (
    r"[\\`|<>*~\[\]]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # within a word an underscore stands for itself
    r"|&(?=#?\w+;)"
)
_URL = r"(?i:https?://[^\s\"'`]+)"
_AFTER_URL = ".,;:!?)]}>"  # what ends a sentence or brackets, and not a URL


class Column:
    """A column of a table, as commands declare it: its heading, and the key of its values in a row.

    `link` is the text of a link that stands for a URL in Markdown. `wrap`: on a terminal, values that do not fit go on
    on the next line instead of being cut. A narrow window does without the highest `rank` first, never without 0.
    """

    def __init__(self, heading: str, key: str, *, link: str = "link", wrap: bool = False, rank: int = 0) -> None:
        self.heading = heading
        self.key = key
        self.link = link
        self.wrap = wrap
        self.stays = key in ("id", "status", "credits", "output")  # as it is, in a window of any width
        self.is_time = key.endswith("At")
        self.rank = 0 if self.stays else 2 if self.is_time else rank

    def renamed(self, heading: str, key: str) -> Column:
        """Returns the same with another heading and key."""
        return Column(heading, key, link=self.link, wrap=self.wrap, rank=self.rank)


def rows_of(answer: Any) -> list[Row] | None:
    """Returns the rows of an answer that is {"data": […]} or a list; None for any other.

    An item that is not an object becomes {"value": item}.
    """
    items = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(items, list):
        return None
    return [item if isinstance(item, dict) else {"value": item} for item in items]


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """Returns a column for each key of these rows, in the order in which they appear."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return [Column(key, key, rank=min(at, 1)) for at, key in enumerate(keys)]


def markdown(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Returns a GitHub table, in which no cell can start markup or HTML, and a URL is a link."""
    lines = [[_escaped(printable(column.heading)) for column in columns], ["---"] * len(columns)]
    lines += [[_markdown_cell(row.get(column.key), column.link) for column in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _markdown_cell(value: Any, link: str) -> str:
    from urllib.parse import quote

    text, cell, end = _text(value).strip(), "", 0
    for match in re.finditer(_URL, text):
        url = match[0].rstrip(_AFTER_URL)
        target = quote(url.encode("utf-8", "replace"), safe="/?%:@!$&*+,;=~#-._")  # brackets would end it
        cell += f"{_escaped(text[end : match.start()])}[{link}]({target})"
        end = match.start() + len(url)
    return cell + _escaped(text[end:])


def _escaped(text: str) -> str:
    return re.sub(_MARKUP, r"\\\g<0>", text)


def table(
    rows: Sequence[Row], columns: Sequence[Column], width: int | None, *, is_coloured: bool = False
) -> tuple[str, list[str]]:
    """Returns columns aligned by what a terminal shows, headings first, and the headings that were left out.

    In a window of `width` columns, times are relative, whole columns are left out, then texts are cut; lists wrap, and
    what its column says. Where not even the columns of rank 0 fit, each row becomes lines of `heading  value`.
    """
    lists = {column.key for column in columns for row in rows if isinstance(row.get(column.key), list)}
    columns = [Column(each.heading, each.key, wrap=each.wrap or each.key in lists, rank=each.rank) for each in columns]
    lines = [[printable(column.heading) for column in columns]]
    lines += [[_cell(row.get(column.key), column, width, len(rows)) for column in columns] for row in rows]
    natural = [max(map(display_width, cells)) for cells in zip(*lines)]
    size = sum(natural) + len(GAP) * (len(natural) - 1)
    widths = natural if width is None or size <= width else _fitted(columns, lines, natural, width)
    if widths is None:
        return _records(columns, lines, width or 0, is_coloured), []
    shown = [at for at, size in enumerate(widths) if size]
    text = ""
    for number, line in enumerate(lines):
        styles = [DIM if number == 0 else _style(column, cell) for column, cell in zip(columns, line)]
        text += aligned([(line[at], widths[at], columns[at].wrap, styles[at] if is_coloured else "") for at in shown])
    return text, [heading for at, (heading, *cells) in enumerate(zip(*lines)) if at not in shown and any(cells)]


def _style(column: Column, cell: str) -> str:
    return STATUS_STYLES.get(cell, YELLOW) if column.key == "status" else ""


def _cell(value: Any, column: Column, width: int | None, rows: int) -> str:
    mark = ", " if width is None or column.stays or rows == 1 else ITEM
    return _text(ago(value) if width is not None and column.is_time and isinstance(value, str) else value, mark)


def _text(value: Any, mark: str = ", ") -> str:
    """Returns a value on one line, the elements of a list with a mark between them."""
    items = value if isinstance(value, list) else [] if value is None else [value]
    return mark.join(printable(item if isinstance(item, str) else jsontext.dumps(item)) for item in items)


def ago(moment: str) -> str:
    """Returns an ISO 8601 moment as `2 h ago`, as its date where it is long past, and what is none as it is."""
    import time
    from datetime import datetime

    try:
        seconds = time.time() - datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError):
        return moment
    for unit, size, most in (("s", 1, 60), ("min", 60, 60), ("h", 3600, 24), ("d", 86_400, 30)):
        if 0 <= seconds < size * most:
            return f"{int(seconds // size)} {unit} ago"
    return moment[:10] if seconds > 0 else moment


def _fitted(
    columns: Sequence[Column], lines: Sequence[Sequence[str]], natural: Sequence[int], width: int
) -> list[int] | None:
    """Returns the width of each column in a window, 0 for one that is left out; None where they cannot fit."""

    def least(at: int) -> int:
        heading, *cells = (line[at] for line in lines)
        is_text = columns[at].wrap or any(" " in cell for cell in cells)
        if columns[at].stays or columns[at].is_time or not is_text:
            return natural[at]  # half a URL or name of a model says nothing
        longest = max((display_width(word) for cell in cells if columns[at].wrap for word in cell.split()), default=0)
        return min(natural[at], max(MIN_TEXT, display_width(heading), min(longest, MAX_WORD)))

    smallest, room = [0] * len(columns), width + len(GAP)
    # The columns with values, by rank and then the fullest first, as far as there is room.
    filled = [sum(map(bool, cells)) for _, *cells in zip(*lines)]
    for at in sorted(range(len(columns)), key=lambda at: (columns[at].rank, -filled[at])):
        size = least(at) if filled[at] or not lines[1:] else width
        if size + len(GAP) <= room:
            smallest[at] = size
            room -= size + len(GAP)
        elif columns[at].rank == 0 and filled[at]:
            return None
    # What is left goes to the texts: the least important and then the widest are cut first.
    widths = [min(size, width) if least else 0 for size, least in zip(natural, smallest)]
    for _ in range(sum(widths) - sum(smallest) - room):
        found = [at for at, size in enumerate(widths) if size > smallest[at]]
        widths[max(found, key=lambda at: (columns[at].rank, widths[at]))] -= 1
    return widths


def _records(columns: Sequence[Column], lines: Sequence[Sequence[str]], width: int, is_coloured: bool) -> str:
    """Returns each row as lines of `heading  value`, with an empty line between two rows."""
    headings, *rows = lines
    indent = max(map(display_width, headings))
    room = max(width - indent - len(GAP), MIN_TEXT)
    blocks = []
    for row in rows:
        block = ""
        for column, heading, cell in zip(columns, headings, row):
            size = room if len(cell.split()) > 1 else max(room, display_width(cell))  # a word can be copied
            styles = (DIM, _style(column, cell)) if is_coloured else ("", "")
            block += aligned([(heading, indent, False, styles[0]), (cell, size, True, styles[1])]) if cell else ""
        blocks.append(block)
    return "\n".join(blocks)


def aligned(cells: Sequence[tuple[str, int, bool, str]]) -> str:
    """Returns the lines of cells, each a text, a width, whether it is wrapped, and a style."""
    parts = [_listed(text, width) if wraps else [fitted(text, width)] for text, width, wraps, _ in cells]
    lines = []
    for pieces in zip_longest(*parts, fillvalue=""):
        line = ""
        for piece, (_, width, _, style) in zip(pieces, cells):
            line += styled(piece, style) + " " * (width - display_width(piece) + len(GAP))
        lines.append(line.rstrip() + "\n")
    return "".join(lines)


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
    room = width - len(ELLIPSIS)
    for end, character in enumerate(text):
        room -= columns_taken(character)
        if room < 0:
            return text[:end] + ELLIPSIS
    return text


def _listed(text: str, width: int) -> list[str]:
    """Returns a cell on its lines; of a list as many elements as MAX_LINES hold, and how many more there are."""
    items = text.split(ITEM)
    lines = wrapped(", ".join(items), width)
    for count in range(1, len(items)) if len(lines) > MAX_LINES else ():
        longer = wrapped(f"{', '.join(items[:count])}, … {len(items) - count} more", width)
        if count > 1 and len(longer) > MAX_LINES:
            break
        lines = longer
    return lines


def wrapped(text: str, width: int, *, breaks_words: bool = True) -> list[str]:
    """Returns `text` on lines of `width` columns, broken at spaces; with `breaks_words`, wider words are broken too."""
    lines, room = [""], width
    for word in text.split(" "):
        size = display_width(word)
        if lines[-1] and size < room:
            lines[-1] += f" {word}"
            room -= size + 1
            continue
        if lines[-1]:
            lines.append("")
            room = width
        chunks = re.split(r"(?<=/)", word) if breaks_words and size > width else [word]
        for piece in word if breaks_words and max(map(display_width, chunks)) > width else chunks:
            taken = display_width(piece)
            if taken > room and lines[-1]:
                lines.append("")
                room = width
            lines[-1] += piece
            room -= taken
    return lines
