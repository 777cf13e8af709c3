"""What must not be shown: the secrets of a run anywhere, and more where a request or an answer is inspected.

`Secrets` masks the values themselves, on stdout too. `text`, `value` and `body` mask what a dry run, a trace, a note or
an error contains: gateway tokens, session keys, the fields of upload forms, signatures in URLs, and data URIs that are
too long to read. Every pattern takes linear time.
"""

from __future__ import annotations

import re

from .. import jsontext
from ..settings import IN_REQUEST_LINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


MASK = "***"
MIN_LENGTH = 4  # characters; masking a shorter value would blot out ordinary words
MIN_LENGTH_IN_RESULTS = 8  # the same on stdout, where text is data
MIN_LENGTH_IN_DISGUISE = 12  # letters and digits


class Secrets:
    """The values that must not be shown: as they are, as a URL, JSON or base64 writes them, and in disguise.

    A secret in disguise is one with anything but letters and digits between its own, as where an answer is wrapped over
    lines or cut by tags and invisible characters, or with some of them percent-encoded or written as HTML entities.
    """

    def __init__(self) -> None:
        self._kept: list[str] = []  # the longest first
        self._bare: set[str] = set()  # the letters and digits of those that are long enough to be known by them

    def keep(self, secret: str) -> None:
        """Masks `secret` from now on, unless it is shorter than MIN_LENGTH."""
        if len(secret) >= MIN_LENGTH:
            forms = _forms(secret)
            self._kept = sorted({*self._kept, *forms}, key=len, reverse=True)
            self._bare.update(bare for bare in map(_bare, forms) if len(bare) >= MIN_LENGTH_IN_DISGUISE)

    def mask(self, text: str, min_length: int = MIN_LENGTH, *, in_disguise: bool = True) -> str:
        """Returns `text` without the secrets of `min_length` characters or more."""
        for secret in self._kept:
            if len(secret) >= min_length:
                text = text.replace(secret, MASK)
        if in_disguise and self._bare and len(text) >= min(map(len, self._bare)):
            for noise in (f"{_TAG}|{_ESCAPE}", _ESCAPE) if "<" in text or "&" in text else (_ESCAPE,):
                plain = _bare(_undisguised(text, noise))
                if any(bare in plain for bare in self._bare):
                    text = _without_disguised(text, self._bare, noise)
        return text

    def mask_value(self, value: Any) -> Any:
        """Returns a result without the secrets, keys included; what is nested too deeply is masked as text later."""
        return _masked(value, lambda text: self.mask(text, MIN_LENGTH_IN_RESULTS), frozenset())


def _forms(secret: str) -> set[str]:
    """Returns a secret as it is, and as URLs, JSON and base64 write it, where it begins at any of three places."""
    from binascii import b2a_base64

    data = secret.encode("utf-8", "replace")
    forms = {secret}
    for before in range(3):
        whole = b2a_base64(bytes(before) + data, newline=False).decode()
        inner = whole[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]  # without what depends on the neighbours
        forms |= {inner, inner.translate({ord("+"): "-", ord("/"): "_"})}
    forms = {form for form in forms if form == secret or len(form) >= MIN_LENGTH_IN_DISGUISE}
    if not secret.replace("_", "").replace("-", "").isalnum():  # the API's keys are written alike everywhere
        from urllib.parse import quote

        forms |= {jsontext.dumps(secret)[1:-1], quote(data, safe=""), quote(data, safe=IN_REQUEST_LINE)}
    return forms


TAG = r"""<[^<>"']*(?:(?:"[^"]*"|'[^']*')[^<>"']*){0,9}>|<[^<>]*>"""  # a > may stand in quotes
_TAG = TAG + r"|(?i:&(?:lt|#0{0,5}60|#x0{0,5}3c);[^<>]{0,200}?&(?:gt|#0{0,5}62|#x0{0,5}3e);)"  # or as entities
# Escapes of a terminal, and of JSON in JSON.
_ESCAPE = r"(?:\x1b|\\u001[bB])\[[0-?]*[ -/]*[@-~]|\\u[0-9a-fA-F]{4}|\\[nrt]"


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text, flags=re.ASCII)


def _undisguised(text: str, noise: str) -> str:
    """Returns text without noise, HTML entities and percent-encoding. Takes linear time, as everything here does."""
    text = re.sub(noise, "", text)
    if "&" in text:
        from html import unescape

        text = unescape(text)
    if "%" in text:
        from urllib.parse import unquote

        text = unquote(text)
    return text


def _without_disguised(text: str, secrets: set[str], noise: str) -> str:
    """Returns text without these secrets, which are letters and digits alone; MASK where none of them is found."""
    bare: list[str] = []  # each letter or digit, and where it is written
    places: list[tuple[int, int]] = []
    for match in re.finditer(rf"{noise}|&#?\w+;|(?:%[0-9a-fA-F]{{2}})+|[^\W_]", text, re.ASCII):
        found = _bare(_undisguised(match[0], noise))
        bare += found
        places += [match.span()] * len(found)
    spans = [match.span() for secret in secrets for match in re.finditer(secret, "".join(bare))]
    shown, end = "", 0
    for first, last in sorted((places[start][0], places[stop - 1][1]) for start, stop in spans):
        if first >= end:
            shown += text[end:first] + MASK
        end = max(end, last)
    return shown + text[end:] if spans else MASK


MAX_DATA_URI = 200  # characters that are shown whole
MAX_DEPTH = 100
TOO_DEEP = "… (nested too deeply to be shown)"
_HIDDEN_KEYS = frozenset(("sessionKey", "api_token", "Authorization"))
_AFTER_URL = ".,;:!)]}'"  # what ends a sentence or a value, and not a URL

_DATA_URI = r"""data:(?:[\w.+-]+\\*/[\w.+-]+(?:;[\w=.+-]+)*|;base64),(?:[^\s"'<>\\]|\\+(?:/|u[0-9a-fA-F]{4}))*"""
_URL = r"""https?:(?:\\*/){2}(?:[^\s"<>\\]|\\+(?:/|u[0-9a-fA-F]{4}))*"""  # which JSON may have escaped
_ENCODED_URL = r"""https?%3A%2F%2F[^\s"<>&\\?]*"""
# to the end of the text, where an answer is cut off before the end of what is masked
_NAMED = (
    r"""((?:sessionKey|api_token)\\*["']?\s*(?:[:=]|%3D)\s*)(?:(\\*["'])(?:(?!\2)(?:\\.|[^\\]))*|([^"'\\\s&<>]+))"""
)
_KEY = r"key_[0-9a-z]{32,}"  # of the API, even where it is not this run's
_FIELDS = r"""("fields\\*"\s*:\s*)\{(?:[^{}"\\]|\{[^{}"\\]*\}|(\\*)"(?:(?!\2")(?:\\.|[^\\]))*\2")*(?:\}|.*)"""


def _masked(value: Any, mask: Callable[[str], str], hidden: frozenset[str], depth: int = 0) -> Any:
    """Returns a JSON value with each text and number masked, and, if there are `hidden` keys, what they lead to.

    More than MAX_DEPTH levels cannot be searched by recursion: TOO_DEEP stands for them beside hidden keys.
    """
    if depth > MAX_DEPTH:
        return TOO_DEEP if hidden else value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        here = hidden | {"fields"} if hidden and "uploadUrl" in value else hidden
        return {
            mask(key): MASK if key in here else _masked(item, mask, hidden, depth + 1) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_masked(item, mask, hidden, depth + 1) for item in value]
    if isinstance(value, (int, float, jsontext.Number)):
        return value if mask(str(value)) == str(value) else MASK
    return value


def text(shown: str, own: str = "") -> str:
    """Returns text, or a body that may be cut off or not JSON at all, with the same things masked by their look.

    In URLs below `own`, a service's base URL, the query stays readable.
    """
    lowered = shown.lower()
    for word, pattern, replace in (
        ("data:", _DATA_URI, _short_data_uri),
        ("http", _URL, lambda match: _without_query(match[0], own)),
        ("http", _ENCODED_URL, lambda match: re.sub("(%3F).*", rf"\1{MASK}", match[0], flags=re.IGNORECASE)),
        ("sessionkey", _NAMED, _without_named),
        ("api_token", _NAMED, _without_named),
        ("key_", _KEY, lambda _: MASK),
        ("fields", _FIELDS, lambda match: f'{match[1]}"{MASK}"'),
    ):
        if word in lowered:  # a pattern is compiled when it is needed: that saves most runs 3 ms
            shown = re.sub(pattern, replace, shown, flags=re.IGNORECASE | re.DOTALL)
    return shown


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
    return path + mark + _hidden(query)


def _without_named(match: re.Match[str]) -> str:
    """Returns a session key's or token's name with its value masked."""
    return match[1] + (match[2] + MASK if match[2] else _hidden(match[3]))


def _hidden(word: str) -> str:
    """Returns a mask for a word, and the punctuation that follows it in a sentence."""
    kept = word.rstrip(_AFTER_URL)
    return MASK + word[len(kept) :] if kept else word


def own_url(shown: str) -> str:
    """Returns the URL of a request to the service itself: its query is readable, except for what is masked in text."""
    path, mark, query = shown.partition("?")
    if not mark:
        return shown
    query = re.sub(_URL, lambda match: _without_query(match[0], ""), query, flags=re.IGNORECASE)
    return path + mark + "&".join(map(_parameter, query.split("&")))


def _parameter(shown: str) -> str:
    """Returns a query parameter, as it is unless its decoded form, such as a signed URL, has something to mask."""
    from urllib.parse import unquote

    name, mark, _ = shown.partition("=")
    if mark and name in _HIDDEN_KEYS:
        return name + mark + MASK
    plain = unquote(shown)
    masked = text(plain)
    return masked if masked != plain or MASK in plain else shown  # a dry run has a mask for a token already


def value(shown: Any, mask: Callable[[str], str] = text) -> Any:
    """Returns a JSON value with what must not be shown masked."""
    return _masked(shown, mask, _HIDDEN_KEYS)


def body(shown: bytes, mask: Callable[[str], str] = text) -> str:
    """Returns a body as text, masked; JSON on one line."""
    try:
        return jsontext.dumps(value(jsontext.loads(shown), mask)) if shown else ""
    except ValueError:
        return mask(shown.decode("utf-8", "replace"))


def readable_size(size: float) -> str:
    """Returns bytes as people read them: 999 B, 1.2 MB."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95 or unit == "GB":
            break
    return f"{size:.1f} {unit}"
