"""A URL taken apart, as far as a request needs it."""

from __future__ import annotations

from urllib.parse import urlsplit


class Address:
    """Where a request goes: `host` and `port` to connect to, `target` for the request line, `origin` as a key."""

    __slots__ = ("host", "is_secure", "netloc", "origin", "port", "target")

    def __init__(self, url: str) -> None:
        """Raises ValueError, with words for a user, for a URL that cannot be used."""
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("the URL contains a space, a control character or a character that is not ASCII")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"the URL cannot be read: {error}") from None
        if parts.scheme not in ("http", "https"):
            raise ValueError("the URL is neither http nor https")
        if not host or port == 0:
            raise ValueError("the URL has no host" if not host else "the URL has port 0")
        if parts.username is not None:
            raise ValueError("the URL contains a user name")
        self.is_secure = parts.scheme == "https"
        self.host = host
        self.port = port or (443 if self.is_secure else 80)
        self.netloc = parts.netloc
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def authority(self) -> str:
        """host:port, as CONNECT names it (RFC 9110, 9.3.6)."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
