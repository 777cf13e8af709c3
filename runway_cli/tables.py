"""Rows as a Markdown table or as aligned columns for a terminal. `columns` maps the headings to the rows' keys."""

from __future__ import annotations

import re
import unicodedata

from . import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

GAP = "  "
CUT = "…"
SHORTEST = 6  # columns; a cell that is cut further tells nothing
REPLACEMENT = "\ufffd"

_JOINER = "\u200d"
_NON_JOINER = "\u200c"
_EMOJI_STYLE = "\ufe0f"
_SPACES = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_MARKUP = re.compile(r"[\\`|<>*~\[\]]"
                     r"|(?<![^\W_])_|_(?![^\W_])"  # within a word an underscore stands for itself
                     r"|&(?=#?\w+;)")
_ADDRESS = re.compile(r"https?://[\w\-.~:/?#@!$&()+,;=%]+", re.ASCII)


def markdown(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """A GitHub table; the headings alone where there are no rows. No cell can start markup, HTML or a named link."""
    lines = [list(columns), ["---"] * len(columns)]
    lines += [[_escaped(_text(row.get(key))) for key in columns.values()] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], width: int | None) -> str:
    """Columns aligned by what a terminal shows, headings first.

    With a `width`, in terminal columns, the widest ones are cut to fit, ids last, none below SHORTEST.
    """
    lines = [list(columns), *([_text(row.get(key)) for key in columns.values()] for row in rows)]
    widths = [max(map(display_width, cells)) for cells in zip(*lines)]
    if width is not None:
        ids = [key == "id" or key.endswith("Id") for key in columns.values()]
        widths = _fitted(widths, ids, width - len(GAP) * (len(widths) - 1))
    return "".join(GAP.join(map(_padded, line, widths)).rstrip() + "\n" for line in lines)


def display_width(text: str) -> int:
    """The columns that a terminal needs for a line of text."""
    return len(text) if text.isascii() else sum(width for _, width in _clusters(text))


def _text(value: Any) -> str:
    """A value as one line that cannot steer a terminal."""
    if value is None:
        return ""
    if isinstance(value, list):
        text = ", ".join(item if isinstance(item, str) else jsontext.dumps(item) for item in value)
    else:
        text = value if isinstance(value, str) else jsontext.dumps(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(REPLACEMENT if _is_steering(c) else c for c in _SPACES.sub(" ", text))


def _is_steering(character: str) -> bool:
    """Control characters, what turns the writing direction or is invisible, and halves of surrogate pairs."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in (_JOINER, _NON_JOINER)


def _escaped(text: str) -> str:
    """A cell of a Markdown table. An address stays as it is: in one, a backslash would become part of the link."""
    return " ".join(word if _ADDRESS.fullmatch(word.rstrip(",")) else _MARKUP.sub(r"\\\g<0>", word)
                    for word in text.split(" ")).strip()


def _fitted(widths: Sequence[int], ids: Sequence[bool], room: int) -> list[int]:
    """The widths cut down to `room` together, the widest first."""
    fitted = [min(width, max(room, SHORTEST)) for width in widths]
    for group in (False, True):
        while sum(fitted) > room:
            widest = max((index for index, is_id in enumerate(ids) if is_id is group),
                         key=fitted.__getitem__, default=None)
            if widest is None or fitted[widest] <= SHORTEST:
                break
            fitted[widest] -= 1
    return fitted


def _padded(text: str, width: int) -> str:
    """`text` filled up with spaces to `width` columns, or cut to them."""
    missing = width - display_width(text)
    return text + " " * missing if missing >= 0 else cut(text, width)


def cut(text: str, width: int) -> str:
    """The beginning of `text` in `width` columns, with an ellipsis."""
    kept, left = [], width - len(CUT)
    for cluster, columns in _clusters(text):
        if columns > left:
            break
        kept.append(cluster)
        left -= columns
    return "".join(kept) + CUT + " " * left


def _clusters(text: str) -> Iterator[tuple[str, int]]:
    """The parts of `text` that share their columns, each with their number: a character with its marks, an emoji
    made of several, a flag."""
    start = 0
    while start < len(text):
        end = _cluster_end(text, start)
        yield text[start:end], _cluster_width(text[start:end])
        start = end


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
    return (unicodedata.category(character) in ("Mn", "Me") or character in (_JOINER, _NON_JOINER)
            or "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7fb")


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_skin_tone(character: str) -> bool:
    return "\U0001f3fb" <= character <= "\U0001f3ff"


def _is_emoji(character: str) -> bool:
    return unicodedata.category(character) == "So" or _is_new_emoji(character)


def _is_new_emoji(character: str) -> bool:
    """Whether this is an emoji, or kept for one, that this Python's Unicode does not know yet."""
    return "\U0001f300" <= character <= "\U0001faff" and unicodedata.category(character) == "Cn"
