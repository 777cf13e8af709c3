"""What uploads and downloads share: URLs that may be used, the errors of storage hosts, the event of a transfer."""

from __future__ import annotations

from ..api.responses import excerpt
from ..errors import ApiError, DeniedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..transport.http import Stream

ERROR_BODY = 8192  # bytes of a storage host's error that are read


class Transferred:
    """The event of a transfer: `done` bytes of `total`, which is None where it is not known."""

    __slots__ = ("done", "total")

    def __init__(self, done: int, total: int | None) -> None:
        self.done = done
        self.total = total


def storage_error(what: str, answer: Stream, mask: Callable[[str], str]) -> ApiError:
    """The error of a storage host, which answers in XML or HTML."""
    import re

    body = b""
    while len(body) < ERROR_BODY and (piece := answer.read(ERROR_BODY - len(body))):
        body += piece
    found = dict(re.findall(r"<(Code|Message)>([^<]*)<", body.decode("utf-8", "replace")))
    words = ": ".join(filter(None, (found.get("Code"), found.get("Message")))) or excerpt(body, mask)
    kind = DeniedError if answer.status in (401, 403) else ApiError
    return kind(f"{what}: HTTP {answer.status} {mask(words)}".rstrip(), status=answer.status)


def url_fault(url: str) -> str | None:
    """Why a URL is not used: only https is, and http to a loopback address. None where it is."""
    from urllib.parse import urlsplit

    from ..settings.environment import is_loopback

    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_usable = parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        return "is not an https URL"
    if not is_usable or not host or parts.username is not None or parts.scheme not in ("https", "http"):
        return "is not an https URL"
    if parts.scheme == "http" and not is_loopback(host):
        return "is http: only https is used, except for a loopback address"
    return None
