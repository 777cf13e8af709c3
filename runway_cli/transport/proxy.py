"""The proxy for https: where the environment or the system names one, and how a tunnel through it is opened.

Requests over http go to loopback addresses only and never use a proxy.
"""

from __future__ import annotations

import sys
from urllib.parse import unquote, urlsplit

from ..errors import ConfigError
from ..settings.environment import is_loopback, proxy_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .address import Address


class Proxy:
    """An HTTP proxy: `host` and `port`, `name` as messages show it, `headers` for it alone."""

    __slots__ = ("headers", "host", "name", "port")

    def __init__(self, host: str, port: int, name: str, headers: dict[str, str]) -> None:
        self.host = host
        self.port = port
        self.name = name
        self.headers = headers


def proxy_for(address: Address) -> Proxy | None:
    """The proxy that a request uses, None if it goes directly. Raises ConfigError for a proxy that cannot be used."""
    if not address.is_secure or is_loopback(address.host):
        return None
    variable = proxy_variable()
    if variable is None and sys.platform not in ("win32", "darwin"):
        return None  # these two have settings besides the variables; elsewhere urllib need not be imported
    import urllib.request

    url = urllib.request.getproxies().get("https")
    if not url or urllib.request.proxy_bypass(address.netloc):
        return None
    if variable is None and url.startswith("https://"):
        url = "http://" + url[len("https://") :]  # Windows has no scheme; older urllib guesses that of the request
    return _proxy(url, variable)


def connect_request(address: Address, proxy: Proxy) -> bytes:
    """The request that opens a tunnel (RFC 9110, 9.3.6)."""
    lines = [f"CONNECT {address.authority} HTTP/1.1", f"Host: {address.authority}"]
    lines += [f"{name}: {value}" for name, value in proxy.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _proxy(url: str, variable: str | None) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else "http://" + url)
        host, port = parts.hostname, 80 if parts.port is None else parts.port
        is_usable = parts.scheme == "http" and port != 0
    except ValueError:
        host, port, is_usable = None, 0, False
    if not host or not is_usable:
        example = "an http:// proxy such as http://proxy.example:8080"
        if variable is None:
            raise ConfigError(f"the system's proxy settings do not name {example}")
        raise ConfigError(f"{variable} is not {example}", variable=variable)
    name = parts.netloc.rpartition("@")[2].rstrip(":") + (":80" if parts.port is None else "")
    if parts.username is None:
        return Proxy(host, port, name, {})
    from base64 import b64encode

    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(host, port, name, {"Proxy-Authorization": "Basic " + b64encode(login.encode()).decode()})
