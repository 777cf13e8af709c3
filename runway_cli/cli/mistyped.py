"""What is said about a word that is not known: the nearest known one, if there is one. Loaded only when needed."""

from __future__ import annotations

import difflib

from ..errors import Mistyped, UsageError
from .other_words import OTHER_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

SIMILARITY = 0.65  # from 0 to 1, of a mistyped word and the one that is suggested for it
MIN_BEGINNING = 3  # characters that are enough to recognize the only word that begins with them


def unknown(message: str, wrong: str, known: Collection[str], **facts: Any) -> UsageError:
    """The error for a word that is not known, with the nearest known one."""
    other = OTHER_OPTIONS.get(wrong, "")
    is_other = other.partition(" ")[0] in known
    plain, words = wrong.lstrip("-"), {word.lstrip("-"): word for word in known}  # equal dashes are no likeness
    longer = [word for word in words if len(plain) >= MIN_BEGINNING and word.startswith(plain)]
    close = longer if len(longer) == 1 else difflib.get_close_matches(plain, words, 1, SIMILARITY)
    near = [other] if is_other else [words[word] for word in close]
    if near and near[0] != wrong:
        return Mistyped(f"{message}; did you mean {near[0]}?", wrong=wrong, right=near[0], **facts)
    return UsageError(message, **facts)
