"""Rows as a Markdown table, or as aligned columns for a terminal. Secrets are masked before rows come here.

Columns of a terminal are counted by character, so that an emoji of several characters may look narrower than counted.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import zip_longest

from .. import jsontext
from .console import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Row = Mapping[str, Any]


GAP = "  "
ELLIPSIS = "…"
MIN_WIDTH = 6  # columns; a cell that is cut further says nothing
MAX_WORD = 30  # columns; a longer word may be broken where its column wraps

_MARKUP = (
    r"[\\`|<>*~\[\]]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # within a word an underscore stands for itself
    r"|&(?=#?\w+;)"
)
_URL = r"(?i:https?://[^\s\"'`]+)"
_AFTER_URL = ".,;:!?)]}>"  # what ends a sentence or brackets, and not a URL


class Column:
    """A column of a table, as commands declare it: its heading, and the key of its values in a row.

    `link` is the text of a link that stands for a URL in Markdown. `wrap`: on a terminal, values that do not fit are
    continued on the next line instead of being cut.
    """

    def __init__(self, heading: str, key: str, *, link: str = "link", wrap: bool = False) -> None:
        self.heading = heading
        self.key = key
        self.link = link
        self.wrap = wrap
        self.is_id = key in ("id", "model") or key.endswith("Id")


def with_id(columns: Sequence[Column], rows: Sequence[Row]) -> Sequence[Column]:
    """Returns these columns, and the rows' ids first if they have any."""
    if any(column.key == "id" for column in columns) or not any("id" in row for row in rows):
        return columns
    return [Column("Id", "id"), *columns]


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
    return [Column(key, key) for key in dict.fromkeys(key for row in rows for key in row)]


def markdown(rows: Sequence[Row], columns: Sequence[Column], width: int | None = None) -> str:
    """Returns a GitHub table of any width; the headings alone if there are no rows.

    No cell can start markup or HTML; a URL is a link.
    """
    lines = [[_escaped(printable(column.heading)) for column in columns], ["---"] * len(columns)]
    lines += [[_markdown_cell(row.get(column.key), column.link) for column in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _markdown_cell(value: Any, link: str) -> str:
    """Returns a cell of a Markdown table. The links of several URLs are numbered."""
    texts = _texts(value)
    count = sum(len(re.findall(_URL, text)) for text in texts)
    names = (f"{link} {number}" if count > 1 else link for number in range(1, count + 1))
    cells = []
    for text in texts:
        pieces, end = [], 0
        for match in re.finditer(_URL, text):
            url = match[0].rstrip(_AFTER_URL)
            pieces += [_escaped(text[end : match.start()]), f"[{next(names)}]({_link_target(url)})"]
            end = match.start() + len(url)
        cells.append("".join([*pieces, _escaped(text[end:])]))
    return ", ".join(cells).strip()


def _escaped(text: str) -> str:
    return re.sub(_MARKUP, r"\\\g<0>", text)


def _link_target(url: str) -> str:
    """Returns a URL as the target of a Markdown link, where brackets end it and &lt; stands for a character."""
    from urllib.parse import quote

    encoded = quote(url.encode("utf-8", "replace"), safe="/?%:@!$&*+,;=~#-._")
    return re.sub(r"&(?=#?\w+;)", r"\\&", encoded)


def table(rows: Sequence[Row], columns: Sequence[Column], width: int | None) -> str:
    """Returns columns aligned by what a terminal shows, headings first.

    With a `width`, in terminal columns, the widest columns are made narrower to fit, ids last, none below MIN_WIDTH.
    Their values are cut, or wrapped if the column says so.
    """
    lines = [[printable(column.heading) for column in columns]]
    lines += [[", ".join(_texts(row.get(column.key))) for column in columns] for row in rows]
    widths = [max(map(display_width, cells)) for cells in zip(*lines)]
    if width is not None:
        least = [_min_width(column, [line[at] for line in lines]) for at, column in enumerate(columns)]
        widths = _reduced(widths, least, [column.is_id for column in columns], width - len(GAP) * (len(widths) - 1))
    return "".join(_aligned(line, columns, widths) for line in lines)


def _texts(value: Any) -> list[str]:
    """Returns the texts that a value consists of, a list's elements, each on one line."""
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    return [printable(item if isinstance(item, str) else jsontext.dumps(item)) for item in items]


def _min_width(column: Column, cells: Sequence[str]) -> int:
    """Returns the width that a column keeps: a wrapped one that of its longest word."""
    if not column.wrap:
        return MIN_WIDTH
    longest = max(display_width(word) for cell in cells for word in cell.split(" "))
    return max(MIN_WIDTH, min(longest, MAX_WORD))


def _reduced(widths: Sequence[int], least: Sequence[int], ids: Sequence[bool], room: int) -> list[int]:
    """Returns the widths reduced to `room` together, the widest first, ids last; none below its own in `least`."""
    found = [min(width, max(room, MIN_WIDTH)) for width in widths]
    for group in (False, True):
        while sum(found) > room:
            reducible = [at for at, is_id in enumerate(ids) if is_id is group and found[at] > least[at]]
            if not reducible:
                break
            found[max(reducible, key=found.__getitem__)] -= 1
    return found


def _aligned(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    """Returns the lines of one row: one, or more where a cell is wrapped."""
    parts = [
        wrapped(cell, width) if column.wrap else [fitted(cell, width)]
        for cell, column, width in zip(cells, columns, widths)
    ]
    text = ""
    for line in zip_longest(*parts, fillvalue=""):
        padded = (cell + " " * (width - display_width(cell)) for cell, width in zip(line, widths))
        text += GAP.join(padded).rstrip() + "\n"
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
    """Returns `text`, cut to exactly `width` columns, an ellipsis included, if it is wider."""
    if display_width(text) <= width:
        return text
    kept = _beginning(text, width - len(ELLIPSIS))
    return kept + ELLIPSIS + " " * (width - len(ELLIPSIS) - display_width(kept))


def wrapped(text: str, width: int) -> list[str]:
    """Returns `text` on lines of `width` columns at most, broken at spaces; only a word wider than that is broken."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".lstrip()
        if display_width(longer) <= width:
            lines[-1] = longer
            continue
        rest = word
        while display_width(rest) > width:
            lines.append(_beginning(rest, width) or rest[0])
            rest = rest[len(lines[-1]) :]
        lines.append(rest)
    return lines if lines[0] else lines[1:] or [""]


def _beginning(text: str, width: int) -> str:
    """Returns as many characters of `text` as fit in `width` columns."""
    for end, character in enumerate(text):
        width -= columns_taken(character)
        if width < 0:
            return text[:end]
    return text
