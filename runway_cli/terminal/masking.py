"""What is hidden where a request or an answer is shown for inspection: dry runs, traces, notes, errors.

The secrets themselves are `secrets.Secrets`. This is for what the data contains: gateway tokens, session keys, the
fields of upload forms, signatures in URLs, and data URIs that are too long to read. Every pattern takes linear time.
"""

from __future__ import annotations

import re

from .. import jsontext
from .secrets import MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

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
