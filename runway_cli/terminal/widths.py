"""How many columns of a terminal a text takes."""

from __future__ import annotations

import unicodedata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

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
