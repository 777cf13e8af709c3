"""Masks what must not be shown: the secrets of a run anywhere, and more where a request or an answer is shown.

`Secrets` masks the values themselves, on stdout too. `text`, `value` and `body` mask what a dry run, a trace, a note or
an error must not contain: gateway tokens, session keys, the fields of upload forms, the query of URLs, and data URIs
that are too long to read. Every pattern takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .. import jsontext
from ..jsontext import Json
from ..settings import IN_REQUEST_LINE, readable_size

MASK = "***"
MIN_LENGTH = 4  # characters; masking a shorter value would hide ordinary words
MIN_LENGTH_IN_RESULTS = 8  # the same on stdout, where text is data
MIN_LENGTH_IN_DISGUISE = 12  # letters and digits
TAG = r"""<[^<>"']*(?:(?:"[^"]*"|'[^']*')[^<>"']*){0,9}>|<[^<>]*>"""  # a > may stand in quotes
_TAG = TAG + r"|(?i:&(?:lt|#0{0,5}60|#x0{0,5}3c);[^<>]{0,200}?&(?:gt|#0{0,5}62|#x0{0,5}3e);)"  # or as entities
# Escapes of a terminal, and of JSON in JSON.
_ESCAPE = r"(?:\x1b|\\u001[bB])\[[0-?]*[ -/]*[@-~]|\\u[0-9a-fA-F]{4}|\\[nrt]"


class Secrets:
    """The values that must not be shown: as they are, as encoded in a URL, in JSON or in base64, and in disguise.

    A secret in disguise has other characters between its letters and digits, as where an answer is wrapped or contains
    tags or invisible characters; or some of its characters are percent-encoded or HTML entities.
    """

    def __init__(self) -> None:
        self._kept: list[str] = []  # the longest first
        self._bare: set[str] = set()  # the letters and digits of those that are long enough to be recognized by them

    def keep(self, secret: str) -> None:
        """Masks `secret` from now on, unless it is shorter than MIN_LENGTH."""
        if len(secret) < MIN_LENGTH:
            return
        from binascii import b2a_base64

        data, forms = secret.encode("utf-8", "replace"), {secret}
        for before in range(3):  # in base64 it may begin at any of three places
            whole = b2a_base64(bytes(before) + data, newline=False).decode()
            inner = whole[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]  # independent of the text around it
            if len(inner) >= MIN_LENGTH_IN_DISGUISE:
                forms |= {inner, inner.translate({ord("+"): "-", ord("/"): "_"})}
        if not secret.replace("_", "").replace("-", "").isalnum():  # keys of the API need no escapes anywhere
            from urllib.parse import quote

            forms |= {jsontext.dumps(secret)[1:-1], quote(data, safe=""), quote(data, safe=IN_REQUEST_LINE)}
        self._kept = sorted({*self._kept, *forms}, key=len, reverse=True)
        self._bare.update(bare for bare in map(_bare, forms) if len(bare) >= MIN_LENGTH_IN_DISGUISE)

    def mask(self, text: str, min_length: int = MIN_LENGTH, *, in_disguise: bool = True) -> str:
        """Returns `text` without the secrets of `min_length` characters or more; only MASK if one is in disguise."""
        if len(text) < min_length:  # as most keys of an object
            return text
        for secret in self._kept:
            if len(secret) >= min_length:
                text = text.replace(secret, MASK)
        if in_disguise and self._bare and len(text) >= MIN_LENGTH_IN_DISGUISE:
            for noise in (_ESCAPE, f"{_TAG}|{_ESCAPE}") if "<" in text or "&" in text else (_ESCAPE,):
                plain = re.sub(noise, "", text)
                if "&" in plain:
                    from html import unescape

                    plain = unescape(plain)
                if "%" in plain:
                    from urllib.parse import unquote

                    plain = unquote(plain)
                plain = _bare(plain)
                if any(bare in plain for bare in self._bare):
                    return MASK
        return text

    def mask_value(self, result: Json) -> Json:
        """Returns a result without the secrets, keys included; what is nested too deeply is masked as text later."""
        return value(result, lambda text: self.mask(text, MIN_LENGTH_IN_RESULTS), frozenset())


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text, flags=re.ASCII)


MAX_DATA_URI = 200  # characters that are shown whole
MAX_DEPTH = 100
TOO_DEEP = "… (nested too deeply to be shown)"
_HIDDEN_KEYS = frozenset(("sessionKey", "api_token", "Authorization"))
_LAST = r"""[^\s"'<>\\&.,;:!)\]}]"""  # the last character of a URL or a value: no punctuation, no bracket

_DATA_URI = r"""data:(?:[\w.+-]+\\*/[\w.+-]+(?:;[\w=.+-]+)*|;base64),(?:[^\s"'<>\\]|\\+(?:/|u[0-9a-fA-F]{4}))*"""
# JSON may have escaped some of its characters.
_URL = r"""https?:(?:\\*/){2}(?:[^\s"<>\\]|\\+(?:/|u[0-9a-fA-F]{4}))*(?:\\+u[0-9a-fA-F]{4}|""" + f"{_LAST})"
_ENCODED_URL = r"""https?%3A(?:%2F|/){2}[^\s"<>&\\?]*"""
# The text may be cut off within the value.
_NAMED = (
    r"""((?:sessionKey|api_token)\\*["']?\s*(?:[:=]|%3D)\s*)"""
    r"""(?:(\\*["'])(?:(?!\2)(?:\\.|[^\\]))*|[^"'\\\s&<>]*""" + _LAST + ")"
)
_KEY = r"key_[0-9a-z]{32,}"  # of the API, even where it is not this run's
_FIELDS = r"""("fields\\*"\s*:\s*)\{(?:[^{}"\\]|\{[^{}"\\]*\}|(\\*)"(?:(?!\2")(?:\\.|[^\\]))*\2")*(?:\}|.*)"""


def text(plain: str, own: str = "") -> str:
    """Returns text, JSON or not, with known patterns masked. In URLs below `own`, a base URL, the query is kept."""
    lowered = plain.lower()
    for word, pattern, replace in (
        ("data:", _DATA_URI, _short_data_uri),
        ("http", _URL, lambda match: _without_query(match[0], own)),
        ("http", _ENCODED_URL, lambda match: re.sub("(%3F).*", rf"\1{MASK}", match[0], flags=re.IGNORECASE)),
        ("sessionkey", _NAMED, rf"\1\2{MASK}"),
        ("api_token", _NAMED, rf"\1\2{MASK}"),
        ("key_", _KEY, MASK),
        ("fields", _FIELDS, rf'\1"{MASK}"'),
    ):
        if word in lowered:  # a pattern is compiled only when needed, which saves most runs 3 ms
            plain = re.sub(pattern, replace, plain, flags=re.IGNORECASE | re.DOTALL)
    return plain


def _short_data_uri(match: re.Match[str]) -> str:
    head, _, content = match[0].partition(",")
    size = len(content) * 3 // 4 if head.endswith(";base64") else len(content)
    return match[0] if len(match[0]) <= MAX_DATA_URI else f"{head},… ({readable_size(size)})"


def _without_query(url: str, own: str) -> str:
    path, mark, query = url.partition("?")
    return path + mark + (text(query) if own and url.startswith(own + "/") else MASK if query else "")


def value(
    plain: Json, mask: Callable[[str], str] = text, hidden: frozenset[str] = _HIDDEN_KEYS, depth: int = 0
) -> Json:
    """Returns a JSON value with each text and number masked, and the values of all `hidden` keys.

    What is below MAX_DEPTH levels is not searched: with hidden keys, TOO_DEEP replaces it.
    """
    if depth > MAX_DEPTH:
        return TOO_DEEP if hidden else plain
    if isinstance(plain, str):
        return mask(plain)
    if isinstance(plain, dict):
        here = hidden | {"fields"} if hidden and "uploadUrl" in plain else hidden
        return {mask(key): MASK if key in here else value(item, mask, hidden, depth + 1) for key, item in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [value(item, mask, hidden, depth + 1) for item in plain]
    if isinstance(plain, (int, float, jsontext.Number)):
        return plain if mask(str(plain)) == str(plain) else MASK
    return plain


def body(data: bytes, mask: Callable[[str], str] = text) -> str:
    """Returns a body as text, masked; JSON on one line."""
    try:
        return jsontext.dumps(value(jsontext.loads(data), mask)) if data else ""
    except ValueError:
        return mask(data.decode("utf-8", "replace"))
