"""Rows as a Markdown table, or as aligned columns for a terminal. Secrets are masked before rows come here."""

from __future__ import annotations

import re
import unicodedata

from .. import jsontext
from .streams import REPLACEMENT
from .widths import JOINERS, cut, display_width, wrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .columns import Column, Row

GAP = "  "
MIN_WIDTH = 6  # columns; a cell that is cut further says nothing
MAX_WORD = 30  # columns; a longer word may be broken where its column wraps

_SPACES = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_MARKUP = re.compile(
    r"[\\`|<>*~\[\]]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # within a word an underscore stands for itself
    r"|&(?=#?\w+;)"
)
_URL = re.compile(r"https?://[^\s\"'`]+", re.IGNORECASE)
_AFTER_URL = ".,;:!?)]}>"  # what ends a sentence or brackets, and not a URL


def markdown(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """A GitHub table; the headings alone if there are no rows. No cell can start markup or HTML; a URL is a link."""
    lines = [[_escaped(_one_line(column.heading)) for column in columns], ["---"] * len(columns)]
    lines += [[_markdown_cell(row.get(column.key), column.link) for column in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def table(rows: Sequence[Row], columns: Sequence[Column], width: int | None) -> str:
    """Columns aligned by what a terminal shows, headings first.

    With a `width`, in terminal columns, the widest columns are made narrower to fit, ids last, none below MIN_WIDTH.
    Their values are cut, or wrapped if the column says so.
    """
    lines = [[_one_line(column.heading) for column in columns]]
    lines += [[_cell(row.get(column.key)) for column in columns] for row in rows]
    widths = [max(map(display_width, cells)) for cells in zip(*lines)]
    if width is not None:
        least = [_min_width(column, [line[at] for line in lines]) for at, column in enumerate(columns)]
        widths = _fitted(widths, least, [column.is_id for column in columns], width - len(GAP) * (len(widths) - 1))
    return "".join(_aligned(line, columns, widths) for line in lines)


def _aligned(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    """The lines of one row: one, or more where a cell is wrapped."""
    parts = [
        wrapped(cell, width) if column.wrap else [_fitting(cell, width)]
        for cell, column, width in zip(cells, columns, widths)
    ]
    text = ""
    for at in range(max(map(len, parts), default=0)):
        line = [part[at] if at < len(part) else "" for part in parts]
        padded = (cell + " " * (width - display_width(cell)) for cell, width in zip(line, widths))
        text += GAP.join(padded).rstrip() + "\n"
    return text


def _fitting(text: str, width: int) -> str:
    return text if display_width(text) <= width else cut(text, width)


def _min_width(column: Column, cells: Sequence[str]) -> int:
    """What a column keeps: a wrapped one its longest word."""
    if not column.wrap:
        return MIN_WIDTH
    longest = max(display_width(word) for cell in cells for word in cell.split(" "))
    return max(MIN_WIDTH, min(longest, MAX_WORD))


def _fitted(widths: Sequence[int], least: Sequence[int], ids: Sequence[bool], room: int) -> list[int]:
    """The widths reduced to `room` together, the widest first, ids last; none below its own in `least`."""
    fitted = [min(width, max(room, MIN_WIDTH)) for width in widths]
    for group in (False, True):
        while sum(fitted) > room:
            reducible = [at for at, is_id in enumerate(ids) if is_id is group and fitted[at] > least[at]]
            if not reducible:
                break
            fitted[max(reducible, key=fitted.__getitem__)] -= 1
    return fitted


def _cell(value: Any) -> str:
    """A value as one line of plain text."""
    return ", ".join(_texts(value))


def _texts(value: Any) -> list[str]:
    """The texts that a value consists of, a list's elements, each on one line."""
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    return [_one_line(item if isinstance(item, str) else jsontext.dumps(item)) for item in items]


def _one_line(text: str) -> str:
    """`text` on one line that cannot steer a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(REPLACEMENT if _is_steering(character) else character for character in _SPACES.sub(" ", text))


def _is_steering(character: str) -> bool:
    """Control characters, what turns the writing direction or is invisible, and halves of surrogate pairs."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in JOINERS


def _markdown_cell(value: Any, link: str) -> str:
    """A cell of a Markdown table. The links of several URLs are numbered."""
    texts = _texts(value)
    count = sum(len(_URL.findall(text)) for text in texts)
    names = (f"{link} {number}" if count > 1 else link for number in range(1, count + 1))
    cells = []
    for text in texts:
        pieces, end = [], 0
        for match in _URL.finditer(text):
            url = match[0].rstrip(_AFTER_URL)
            pieces += [_escaped(text[end : match.start()]), f"[{next(names)}]({_link_target(url)})"]
            end = match.start() + len(url)
        cells.append("".join([*pieces, _escaped(text[end:])]))
    return ", ".join(cells).strip()


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", text)


def _link_target(url: str) -> str:
    """A URL as the target of a Markdown link, where brackets end it and &lt; stands for a character."""
    from urllib.parse import quote

    encoded = quote(url.encode("utf-8", "replace"), safe="/?%:@!$&*+,;=~#-._")
    return re.sub(r"&(?=#?\w+;)", r"\\&", encoded)
