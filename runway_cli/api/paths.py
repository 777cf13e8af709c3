"""Paths and queries of requests: whatever the user gives, the host stays that of the base URL."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from ..errors import Mistyped, UsageError
from ..settings import IN_REQUEST_LINE


def with_query(path: str, query: Sequence[tuple[str, str]]) -> str:
    """Returns `path` with a query added to the one it may have."""
    if not query:
        return path
    from urllib.parse import quote, urlencode

    return path + ("&" if "?" in path else "?") + urlencode(query, quote_via=quote, errors="surrogateescape")


def segment(text: str) -> str:
    """Returns one segment of a path: everything that could end it or leave it is percent-encoded."""
    from urllib.parse import quote

    return quote(text, safe="")


def api_path(text: str) -> str:
    """Reads a path of the API. Raises Mistyped for what Git Bash makes of one: C:/Program Files/Git/v1/tasks."""
    found = re.fullmatch(r"[A-Za-z]:[/\\](?:.*[/\\])?(v1[/\\].+)", text, re.DOTALL)
    if not found or os.path.exists(text):
        return text
    words = f"{text!r} is a path of this machine: Git Bash changes what begins with a slash; leave the slash out"
    raise Mistyped(words, wrong=text, right=found[1].replace("\\", "/"))


def checked_path(path: str, base_url: str) -> str:
    """Returns a path with its query, `/…`, encoded for a request line, which cannot change the host of a base URL.

    Spaces and non-ASCII are percent-encoded, what is encoded already stays. A full URL is taken on the base's own
    origin only. Raises UsageError for an empty path, another origin, control characters, a fragment, `.` and `..`.
    """
    if re.fullmatch(r"/?[\w-]+(/[\w-]+)*", path, re.ASCII):
        return "/" + path.lstrip("/")  # most paths have nothing to encode; urllib.parse takes 2 ms
    from urllib.parse import quote, unquote, urlsplit

    if not path.strip():
        raise UsageError("PATH is empty: is a variable unset?")
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in path):
        raise UsageError(f"the path {path!r} contains a control character")
    if "#" in path:
        raise UsageError(f"the path {path!r} contains '#': a fragment is never sent. Write %23 for the character")
    if re.match("[A-Za-z][A-Za-z0-9+.-]*://", path):
        base, default = urlsplit(base_url), {"https": 443, "http": 80}
        try:
            parts = urlsplit(path)
            origins = {(each.scheme, each.hostname, each.port or default.get(each.scheme)) for each in (parts, base)}
            if len(origins) > 1 or "@" in parts.netloc or not (parts.path + "/").startswith(base.path + "/"):
                raise ValueError
        except ValueError:
            raise UsageError(f"the URL {path!r} is not below {base_url}: pass the path alone") from None
        path = parts.path[len(base.path) :] + ("?" + parts.query if parts.query else "")
    plain, mark, query = path.partition("?")
    if any(unquote(part) in (".", "..") for part in re.split(r"[/\\]|%2f|%5c", plain, flags=re.IGNORECASE)):
        raise UsageError(f"the path {path!r} contains a '.' or '..' segment")
    text = re.sub(r"%(?![0-9a-fA-F]{2})", "%25", "/" + plain.lstrip("/") + mark + query)
    return quote(text.encode("utf-8", "surrogateescape"), safe=IN_REQUEST_LINE)
