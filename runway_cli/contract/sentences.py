"""Descriptions made short: the first sentence, and every sentence that binds whoever fills in the field."""

from __future__ import annotations

import re

MAX_DESCRIPTION = 100  # characters, where no sentence binds
MAX_BINDING = 400  # characters with the sentences that bind
MAX_READ = 4_000  # characters of a description that are looked at

_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z`])")
_WEIGHTY = re.compile(r"default|requir|deprecated", re.IGNORECASE)
_BINDING = re.compile(
    r"\breplaces\b|\bmust\b|\bonly\b|\bnot with\b|\bat most\b|\bwhen\b|\bforbid|\bor omit\b|\bomit \w+ (?:for|when)\b"
    r"|\bexceed|\bcannot\b|\bmay not\b|\bnone may\b",
    re.IGNORECASE,
)


def one_line(text: object) -> str:
    """Markdown as one line of MAX_DESCRIPTION characters: its first sentence, then those that bind or tell a default.

    Where the sentences that bind do not fit, they stand alone and whole, up to MAX_BINDING characters. "" for what is
    not a string.
    """
    sentences = _sentences(text)
    if not sentences:
        return ""
    line = sentences[0]
    for sentence in sentences[1:]:
        if is_binding(sentence) or (tells_default(sentence) and _fits(line, sentence, MAX_DESCRIPTION)):
            line += " " + sentence
    if len(line) <= MAX_DESCRIPTION:
        return line
    return binding(text) or _cut(sentences[0], MAX_DESCRIPTION)


def binding(text: object) -> str:
    """Only the sentences that bind."""
    line = ""
    for sentence in filter(is_binding, _sentences(text)):
        if _fits(line, sentence, MAX_BINDING):
            line = f"{line} {sentence}".lstrip()
    return line


def is_binding(text: str) -> bool:
    """Whether a text says what has to hold."""
    return _BINDING.search(text) is not None


def tells_default(text: str) -> bool:
    """Whether a text tells a default, a requirement, or that something is deprecated."""
    return _WEIGHTY.search(text) is not None


def _sentences(text: object) -> list[str]:
    if not isinstance(text, str):
        return []
    plain = _LINK.sub(r"\1", " ".join(text[:MAX_READ].split()))
    parts = _SENTENCE_END.split(plain)
    return [part for part in parts if part and not part.startswith(("See ", "You can read"))]


def _fits(line: str, sentence: str, most: int) -> bool:
    return len(line) + 1 + len(sentence) <= most


def _cut(sentence: str, most: int) -> str:
    if len(sentence) <= most:
        return sentence
    return sentence[: most - 1].rpartition(" ")[0].rstrip(" ,;:.") + "…"
