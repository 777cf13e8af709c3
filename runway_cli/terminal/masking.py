"""The secrets of a run, and text without them."""

from __future__ import annotations

import re

from .. import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable
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


# --- What is hidden where a request or an answer is shown for inspection: dry runs, traces, notes, errors.

# The secrets themselves are `secrets.Secrets`. This is for what the data contains: gateway tokens, session keys, the
# fields of upload forms, signatures in URLs, and data URIs that are too long to read. Every pattern takes linear time.


MAX_DATA_URI = 200  # characters that are shown whole
TOO_DEEP = "… (nested too deeply to be shown)"

_HIDDEN_KEYS = {"sessionKey", "api_token", "Authorization"}
_AFTER_URL = ".,;:!)]}'"  # what ends a sentence or a value, and not a URL
# the patterns are compiled when a text has the word that they look for: that saves every short run 3 ms
_URL = r"""https?:(?:\\*/){2}(?:[^\s"<>\\]|\\+(?:/|u[0-9a-fA-F]{4}))*"""  # which JSON may have escaped
_ENCODED_URL = r"""https?%3A%2F%2F[^\s"<>&\\?]*"""
_DATA_URI = r"""data:(?:[\w.+-]+\\*/[\w.+-]+(?:;[\w=.+-]+)*|;base64),(?:[^\s"'<>\\]|\\+(?:/|u[0-9a-fA-F]{4}))*"""
# to the end of the text, where an answer is cut off before the end of what is masked
_NAMED = (
    r"""((?:sessionKey|api_token)\\*["']?\s*(?:[:=]|%3D)\s*)(?:(\\*["'])(?:(?!\2)(?:\\.|[^\\]))*|([^"'\\\s&<>]+))"""
)
_KEY = r"key_[0-9a-z]{32,}"  # of the API, even where it is not this run's
_FIELDS = r"""("fields\\*"\s*:\s*)\{(?:[^{}"\\]|\{[^{}"\\]*\}|(\\*)"(?:(?!\2")(?:\\.|[^\\]))*\2")*(?:\}|.*)"""


def value(shown: Any) -> Any:
    """A JSON value with the same things masked, and all else as it is; TOO_DEEP for what cannot be searched."""
    try:
        return _masked(shown)
    except RecursionError:
        return TOO_DEEP


def text(shown: str, own: str = "") -> str:
    """Text, or a body that may be cut off or not JSON at all: the same things are recognized by their look.

    In URLs below `own`, a service's base URL, the query stays readable.
    """
    lowered = shown.lower()
    if "data:" in lowered:
        shown = _replaced(_DATA_URI, _short_data_uri, shown)
    if "http" in lowered:
        shown = _replaced(_URL, lambda match: _without_query(match[0], own), shown)
        shown = _replaced(_ENCODED_URL, _without_encoded_query, shown)
    if "sessionkey" in lowered or "api_token" in lowered:
        shown = _replaced(_NAMED, _without_named, shown)
    if "key_" in lowered:
        shown = _replaced(_KEY, lambda _: MASK, shown)
    if "fields" in lowered:
        shown = _replaced(_FIELDS, lambda match: f'{match[1]}"{MASK}"', shown)
    return shown


def own_url(shown: str) -> str:
    """The URL of a request to the service itself: its query is readable, except for what is masked in text."""
    path, mark, query = shown.partition("?")
    if not mark:
        return shown
    query = _replaced(_URL, lambda match: _without_query(match[0], ""), query)
    return path + mark + "&".join(map(_parameter, query.split("&")))


def body(shown: bytes) -> str:
    """A body as text, masked; JSON on one line."""
    try:
        return jsontext.dumps(value(jsontext.loads(shown))) if shown else ""
    except (ValueError, RecursionError):
        return text(shown.decode("utf-8", "replace"))


def excerpt(shown: str, limit: int, mask: Callable[[str], str]) -> str:
    """The beginning of a text as one line of `limit` characters: masked first, cut after."""
    line = mask(" ".join(mask(shown).split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def readable_size(size: float) -> str:
    """Bytes as people read them: 999 B, 1.2 MB."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95 or unit == "GB":
            break
    return f"{size:.1f} {unit}"


def _masked(shown: Any) -> Any:
    if isinstance(shown, str):
        return text(shown)
    if isinstance(shown, dict):
        hidden = _HIDDEN_KEYS | ({"fields"} if "uploadUrl" in shown else set())
        return {key: MASK if key in hidden else _masked(item) for key, item in shown.items()}
    if isinstance(shown, (list, tuple)):
        return [_masked(item) for item in shown]
    return shown


def _replaced(pattern: str, replace: Callable[[re.Match[str]], str], shown: str) -> str:
    return re.sub(pattern, replace, shown, flags=re.IGNORECASE | re.DOTALL)


def _short_data_uri(match: re.Match[str]) -> str:
    uri = match[0]
    if len(uri) <= MAX_DATA_URI:
        return uri
    head, _, content = uri.partition(",")
    size = len(content) * 3 // 4 if head.endswith(";base64") else len(content)
    return f"{head},… ({readable_size(size)})"


def _without_query(shown: str, own: str) -> str:
    if own and shown.startswith(own + "/"):
        return own_url(shown)
    path, mark, query = shown.partition("?")
    kept = query.rstrip(_AFTER_URL)
    return path + mark + MASK + query[len(kept) :] if kept else shown


def _without_encoded_query(match: re.Match[str]) -> str:
    """A percent-encoded URL, as it is a parameter of another one."""
    shown = match[0]
    end = shown.upper().find("%3F")
    return shown if end < 0 else shown[: end + 3] + MASK


def _without_named(match: re.Match[str]) -> str:
    """A session key or token that follows its name."""
    if match[2]:
        return match[1] + match[2] + MASK
    kept = match[3].rstrip(_AFTER_URL)
    return match[1] + MASK + match[3][len(kept) :] if kept else match[0]


def _parameter(shown: str) -> str:
    """A query parameter, as it is unless its decoded form, such as a signed URL, has something to mask."""
    from urllib.parse import unquote

    name, mark, _ = shown.partition("=")
    if mark and name in _HIDDEN_KEYS:
        return name + mark + MASK
    plain = unquote(shown)
    masked = text(plain)
    return masked if masked != plain or MASK in plain else shown  # a dry run has a mask for a token already
