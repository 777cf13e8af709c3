"""What is hidden where a request or an answer is shown for looking at: dry runs, traces, errors.

The secrets themselves are masked by the console, on every stream; this is for what the data brings along: gateway
tokens, session keys, the fields of upload forms, signatures in URLs, and data URIs too long to look at.
"""

from __future__ import annotations

import re

from . import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHOWN_DATA_URI = 200  # characters shown whole
MASK = "***"

_DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*,[^\s\"'<>\\]*")
_SIGNED = re.compile(r"(https?:(?:\\?/){2}[^\s\"'<>?\\]{1,2000}\?)[^\s\"'<>\\]*[^\s\"'<>\\.,;:!)]")
_TOKEN = re.compile(r"(api_token=)[^&\s\"'<>\\]*[^&\s\"'<>\\.,;:!)]", re.IGNORECASE)
_SESSION_KEY = re.compile(r'(sessionKey\\*"?\s*[:=]\s*\\*"?)[^"\\\s,}]+')
_FIELDS = re.compile(r'("fields\\*"\s*:\s*)\{[^}]*\}?')
_HIDDEN_KEYS = {"sessionKey", "api_token", "Authorization"}


def value(shown: Any) -> Any:
    """A JSON value with what the contract lists masked, and all else as it is."""
    try:
        return _masked(shown)
    except RecursionError:
        return "… (nested too deeply to be shown)"


def _masked(shown: Any) -> Any:
    if isinstance(shown, str):
        return text(shown)
    if isinstance(shown, dict):
        hidden = _HIDDEN_KEYS | ({"fields"} if "uploadUrl" in shown else set())
        return {key: MASK if key in hidden else _masked(item) for key, item in shown.items()}
    if isinstance(shown, (list, tuple)):
        return [_masked(item) for item in shown]
    return shown


def text(shown: str) -> str:
    """Words, or a body that may be cut off or no JSON at all, with the same things masked by their look."""
    shown = _DATA_URI.sub(_short_data_uri, shown)
    shown = _SIGNED.sub(rf"\1{MASK}", shown)
    shown = _TOKEN.sub(rf"\1{MASK}", shown)
    shown = _SESSION_KEY.sub(rf"\1{MASK}", shown)
    return _FIELDS.sub(rf'\1"{MASK}"', shown)


def url(shown: str, own: bool) -> str:
    """The URL of a request: its query is readable on the service's own origin, where only a token is hidden."""
    if own:
        path, mark, query = shown.partition("?")
        return path + mark + "&".join(map(_parameter, text(query).split("&")))
    return text(shown)


def _parameter(shown: str) -> str:
    """One of a query, as it is unless its decoded form, such as a signed URL, has something to mask."""
    from urllib.parse import unquote

    plain = unquote(shown)
    masked = text(plain)
    return shown if masked == plain else masked


def _short_data_uri(match: re.Match[str]) -> str:
    uri = match[0]
    if len(uri) <= SHOWN_DATA_URI:
        return uri
    head, _, content = uri.partition(",")
    size = len(content) * 3 // 4 if head.endswith(";base64") else len(content)
    return f"{head},… ({readable_size(size)})"


def readable_size(size: float) -> str:
    """Bytes as a person reads them: 999 B, 1.2 MB."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95 or unit == "GB":
            break
    return f"{size:.1f} {unit}"


def body(shown: bytes) -> str:
    """A body in words, masked; JSON on one line."""
    try:
        return jsontext.dumps(value(jsontext.loads(shown))) if shown else ""
    except (ValueError, RecursionError):
        return text(shown.decode("utf-8", "replace"))
