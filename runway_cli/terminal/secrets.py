"""The secrets of a run, and text without them."""

from __future__ import annotations

from .. import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import Any

MASK = "***"
MIN_LENGTH = 4  # characters; hiding a shorter value would blot out ordinary words
MIN_LENGTH_IN_RESULTS = 8  # the same on stdout, where text is data
_ENTITIES = {"&": "amp|#38", "<": "lt|#60", ">": "gt|#62", '"': "quot|#34", "'": "apos|#0?39|#x27"}


class Secrets:
    """The values that must not be shown, in any of the encodings that a URL, JSON, HTML or a shell gives them."""

    def __init__(self) -> None:
        self._kept: dict[str, re.Pattern[str] | None] = {}  # the longest first

    def keep(self, secret: str) -> None:
        """Masks `secret` from now on, unless it is shorter than MIN_LENGTH."""
        if len(secret) < MIN_LENGTH or secret in self._kept:
            return
        kept = dict(self._kept)
        for word in (secret, _bytes(secret).decode("utf-8", "replace")):  # an ASCII locale does not decode é
            plain = word.replace("_", "").replace("-", "")
            is_same_everywhere = plain.isascii() and plain.isalnum()
            kept[word] = None if is_same_everywhere else _pattern(word)
        self._kept = {word: kept[word] for word in sorted(kept, key=len, reverse=True)}

    def mask(self, text: str, min_length: int = MIN_LENGTH) -> str:
        """`text` without the secrets of `min_length` characters or more."""
        for secret, pattern in self._kept.items():
            if len(secret) < min_length:
                break
            text = pattern.sub(MASK, text) if pattern else text.replace(secret, MASK)
        return text

    def mask_value(self, value: Any, min_length: int = MIN_LENGTH) -> Any:
        """A JSON value without the secrets, in its keys too. Raises RecursionError if it is nested too deeply."""
        if isinstance(value, str):
            return self.mask(value, min_length)
        if isinstance(value, dict):
            return {self.mask(key, min_length): self.mask_value(item, min_length) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.mask_value(item, min_length) for item in value]
        if isinstance(value, (int, float, jsontext.Number)):
            text = str(value)
            return value if self.mask(text, min_length) == text else MASK
        return value


def _pattern(secret: str) -> re.Pattern[str]:
    """Matches an unusual secret in all its encodings, mixed ones included.

    Linear on hostile text: a run of backslashes, which escaping may double, is one part of the pattern.
    """
    import re

    parts: list[str] = []
    for run in re.findall(r"\\+|[^\\]", secret):
        if run[0] == "\\":
            parts.append(rf"(?:(?<!\\)\\{{{len(run)},}}|(?:%5[Cc]){{{len(run)}}})")
        else:
            # escaping may put backslashes before a character; after a run of them they are part of the run
            parts.append(_character(run, may_be_escaped=bool(parts) and not parts[-1].startswith(r"(?:(?<!\\)\\")))
    return re.compile("".join(parts))


def _character(character: str, *, may_be_escaped: bool) -> str:
    """The pattern of one character of a secret in all its encodings."""
    import re

    if character.isascii() and (character.isalnum() or character in "-_"):
        return character
    escape = r"\\+" if may_be_escaped else r"\\"
    data = _bytes(character)
    pair = character.encode("utf-16-be", "surrogatepass")  # two bytes, or four of a surrogate pair
    units = [rf"u{pair[at]:02x}{pair[at + 1]:02x}" for at in range(0, len(pair), 2)]
    forms = [
        (r"\\*" if may_be_escaped else "") + re.escape(character),
        "(?i:" + "".join(f"%{byte:02x}" for byte in data) + ")",
        f"(?i:{escape}" + r"\\+".join(units) + ")",
        rf"(?i:{escape}x{ord(character):02x})",
    ]
    if character in _ENTITIES:
        forms.append(f"&(?i:{_ENTITIES[character]});")
    if character == "'":
        forms.insert(0, r"""'\\*"'\\*"'""")  # in a word quoted for a POSIX shell
    if character == " ":
        forms.append(r"\+")
    return f"(?:{'|'.join(forms)})"


def _bytes(text: str) -> bytes:
    """The bytes that `text`, perhaps from an environment that the locale could not decode, stands for."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
