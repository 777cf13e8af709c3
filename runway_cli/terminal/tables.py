"""How many columns of a terminal a text takes."""

from __future__ import annotations

import re
import unicodedata

from .. import jsontext
from .console import REPLACEMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    Row = Mapping[str, Any]


ELLIPSIS = "…"
JOINERS = "\u200c\u200d"

_JOINER = "\u200d"
_EMOJI_STYLE = "\ufe0f"


def display_width(text: str) -> int:
    """The columns that a terminal needs for a line of text."""
    return len(text) if text.isascii() else sum(width for _, width in clusters(text))


def cut(text: str, width: int) -> str:
    """The beginning of `text` in exactly `width` columns, an ellipsis included."""
    kept, left = _beginning(text, width - len(ELLIPSIS))
    return text[:kept] + ELLIPSIS + " " * left


def wrapped(text: str, width: int) -> list[str]:
    """`text` on lines of at most `width` columns, broken at spaces; a word is broken only if it is wider than that."""
    lines = [""]
    for word in text.split(" "):
        pieces = list(_pieces(word, width))
        longer = f"{lines[-1]} {pieces[0]}" if lines[-1] else pieces[0]
        if len(pieces) == 1 and display_width(longer) <= width:
            lines[-1] = longer
        else:
            lines += pieces
    return lines if lines[0] else lines[1:] or [""]


def clusters(text: str) -> Iterator[tuple[str, int]]:
    """The parts of `text` that share their columns, and how many: a character with its marks, an emoji of several."""
    start = 0
    while start < len(text):
        end = _cluster_end(text, start)
        yield text[start:end], _cluster_width(text[start:end])
        start = end


def _pieces(word: str, width: int) -> Iterator[str]:
    """A word in parts of at most `width` columns."""
    while display_width(word) > width:
        kept = max(_beginning(word, width)[0], 1)
        yield word[:kept]
        word = word[kept:]
    yield word


def _beginning(text: str, width: int) -> tuple[int, int]:
    """How many characters of `text` fit in `width` columns, and how many columns are left."""
    kept = 0
    for cluster, columns in clusters(text):
        if columns > width:
            break
        kept += len(cluster)
        width -= columns
    return kept, width


def _cluster_end(text: str, start: int) -> int:
    end = start + 1
    if _is_flag_half(text[start]) and end < len(text) and _is_flag_half(text[end]):
        end += 1
    while end < len(text):
        joins = text[end - 1] == _JOINER and _is_emoji(text[start]) and _is_emoji(text[end])
        tints = _is_skin_tone(text[end]) and _is_emoji(text[start])
        if not (joins or tints or _is_mark(text[end])):
            break
        end += 1
    return end


def _cluster_width(cluster: str) -> int:
    first = cluster[0]
    if _is_mark(first):
        return 0
    if len(cluster) > 1 and _is_flag_half(cluster[1]):
        return 2
    if _EMOJI_STYLE in cluster and unicodedata.category(first)[0] in "LNPS":
        return 2
    return 2 if unicodedata.east_asian_width(first) in "WF" or _is_new_emoji(first) else 1


def _is_mark(character: str) -> bool:
    """Whether a character takes no column of its own: combining marks, joiners, vowels and finals of old Hangul."""
    return (
        unicodedata.category(character) in ("Mn", "Me")
        or character in JOINERS
        or "\u1160" <= character <= "\u11ff"
        or "\ud7b0" <= character <= "\ud7fb"
    )


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_skin_tone(character: str) -> bool:
    return "\U0001f3fb" <= character <= "\U0001f3ff"


def _is_emoji(character: str) -> bool:
    return unicodedata.category(character) == "So" or _is_new_emoji(character)


def _is_new_emoji(character: str) -> bool:
    """Whether this is an emoji, or reserved for one, that this Python's Unicode does not know yet."""
    return "\U0001f300" <= character <= "\U0001faff" and unicodedata.category(character) == "Cn"


# --- The columns of a table, as commands declare them. Light: commands are imported at every start.


class Column:
    """A column of a table: its heading, and the key of its values in a row.

    `link` is the text of a link that stands for a URL in Markdown. `wrap`: on a terminal, values that do not fit go on
    in the next line instead of being cut.
    """

    __slots__ = ("heading", "key", "link", "wrap")

    def __init__(self, heading: str, key: str, *, link: str = "link", wrap: bool = False) -> None:
        self.heading = heading
        self.key = key
        self.link = link
        self.wrap = wrap

    @property
    def is_id(self) -> bool:
        return self.key in ("id", "model") or self.key.endswith("Id")


def with_id(columns: Sequence[Column], rows: Sequence[Row]) -> Sequence[Column]:
    """These columns, and the rows' ids first if they have any."""
    if any(column.key == "id" for column in columns) or not any("id" in row for row in rows):
        return columns
    return [Column("Id", "id"), *columns]


def rows_of(answer: Any) -> list[Row] | None:
    """The rows of an answer that is {"data": […]} or a list; None for any other.

    An item that is not an object becomes {"value": item}.
    """
    items = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(items, list):
        return None
    return [item if isinstance(item, dict) else {"value": item} for item in items]


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """A column for each key of these rows, in the order in which they appear."""
    return [Column(key, key) for key in dict.fromkeys(key for row in rows for key in row)]


# --- Rows as a Markdown table, or as aligned columns for a terminal. Secrets are masked before rows come here.


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
