"""Sockets whose every wait keeps to the limits of an exchange, in slices that let signals through.

A socket's own timeout begins anew with each byte, and while it waits, Windows holds signals back.
"""

from __future__ import annotations

import errno
import http.client
import math
import os
import selectors
import socket
import ssl
import sys
import time
from urllib.parse import unquote, urlsplit

from ..errors import ConfigError
from ..settings import is_loopback, proxy_variable
from ..shutdown import SLICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from ..shutdown import Shutdown


MAX_SENT = 64 * 1024  # bytes handed to the system at a time
MAX_UNSENT = 64 * 1024  # bytes that the system may hold back before it sends them
# connect was begun and goes on; Windows says "would block"
_IN_PROGRESS = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, getattr(errno, "WSAEWOULDBLOCK", errno.EAGAIN))


# --- The limits of one exchange: its time, the signals, and how far it got.
# Rules:
# 1. Connecting, sending the request's headers and reading those of its answer is one part of an exchange, limited as a
#    whole: a server that sends a byte now and then cannot prolong it.
# 2. Bodies of transfers take as long as they take. There each wait is limited: the silence, not the transfer.
# 3. A time limit, where there is one, ends everything.
# 4. All waiting is done in slices (see `runway_cli.shutdown`); `check` is called between them.


class OutOfTime(OSError):
    """A limit of the exchange was reached. The message says which one."""


class Ended(Exception):
    """The run has ended while a worker thread was still in an exchange."""


class Exchange:
    """One request and its answer. `timeout` and `time_limit` are seconds; no `time_limit` means no limit.

    `sent`: a byte of the request was sent. `is_at_end`: the other side has closed the connection.
    """

    __slots__ = ("_checked", "_end", "_part_end", "_shutdown", "is_at_end", "peer", "sent", "time_limit", "timeout")

    def __init__(self, shutdown: Shutdown, timeout: float, time_limit: float | None = None) -> None:
        now = time.monotonic()
        self._shutdown = shutdown
        self._checked = 0.0
        self._end = None if time_limit is None else now + time_limit
        self._part_end: float | None = now + timeout
        self.timeout = timeout
        self.time_limit = time_limit
        self.sent = False
        self.is_at_end = False
        self.peer = ""  # names the other side in messages

    def limit_part(self) -> None:
        """From now on: what follows takes at most `timeout`, all waits together."""
        self._part_end = time.monotonic() + self.timeout

    def limit_waits(self) -> None:
        """From now on: each wait takes at most `timeout`."""
        self._part_end = None

    def left(self, since: float) -> float:
        """Seconds, more than 0, left of a wait that began at `since`, a time of `time.monotonic`. Raises OutOfTime."""
        now = time.monotonic()
        if self._end is not None and self.time_limit is not None and now >= self._end:
            raise OutOfTime(f"no complete answer within {_shown(self.time_limit)} s")
        end = since + self.timeout if self._part_end is None else self._part_end
        if now >= end:
            words = "silent for" if self._part_end is None else "no answer within"
            raise OutOfTime(f"{words} {_shown(self.timeout)} s")
        return (end if self._end is None else min(end, self._end)) - now

    def check(self) -> None:
        """Raises Interrupted if a signal has arrived (in the main thread), Ended if the run is over."""
        self._checked = time.monotonic()
        self._shutdown.check()
        if self._shutdown.is_over:
            raise Ended("the program is ending")

    def check_if_due(self) -> None:
        """The same, at most once in SLICE seconds: for a transfer that never has to wait."""
        if time.monotonic() - self._checked >= SLICE:
            self.check()


def _shown(seconds: float) -> str:
    return f"{round(seconds, 2):g}"


# --- A URL taken apart, as far as a request needs it.


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


# --- The proxy for https: where the environment or the system names one, and how a tunnel through it is opened.

# Requests over http go to loopback addresses only and never use a proxy.


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


class BoundedSocket(socket.socket):
    """A connection that is `exchange`'s for as long as it lasts."""

    exchange: Exchange | None = None

    def recv_into(self, *args: Any, **options: Any) -> int:
        if self.exchange is None:
            return super().recv_into(*args, **options)
        size: int = self._in_slices(self.exchange, super().recv_into, *args, **options)
        self.exchange.is_at_end = not size
        return size

    def send(self, *args: Any, **options: Any) -> int:
        if self.exchange is None:
            return super().send(*args, **options)
        size: int = self._in_slices(self.exchange, super().send, *args, **options)
        return size

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Sends in pieces: each one that the system accepts ends a silence."""
        with memoryview(data) as view, view.cast("B") as octets:
            sent = 0
            while sent < len(octets):
                sent += self.send(octets[sent : sent + MAX_SENT], flags)

    def _in_slices(self, exchange: Exchange, operation: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Repeats an operation until it is done. One that times out has lost nothing, over TLS too."""
        exchange.check_if_due()
        since = time.monotonic()
        while True:
            self._set_timeout(min(exchange.left(since), SLICE))
            try:
                return operation(*args, **options)
            except socket.timeout as error:
                if error.errno:  # the system's own: the connection was lost
                    raise
            exchange.check()

    def _set_timeout(self, seconds: float) -> None:
        if self.gettimeout() != seconds:  # else it would be a system call for nothing
            self.settimeout(seconds)


class SecureSocket(BoundedSocket, ssl.SSLSocket):
    """The same over TLS."""

    def do_handshake(self, block: bool = False) -> None:
        if self.exchange is None:
            super().do_handshake(block)
        else:
            self._in_slices(self.exchange, super().do_handshake)


def connect(host: str, port: int, exchange: Exchange) -> BoundedSocket:
    """A connection to the first address of the host that accepts one. Raises OSError."""
    failure = OSError("no address")
    addresses = _look_up(host, port, exchange)
    for number, (family, kind, protocol, _name, address) in enumerate(addresses):
        following = len(addresses) - number - 1
        left = exchange.left(time.monotonic())
        share = left / (following + 1) if following else math.inf  # a dead address leaves time for the next
        try:
            return _connected(BoundedSocket(family, kind, protocol), address, share, exchange)
        except OSError as error:
            failure = error
    raise failure


def secure(connection: BoundedSocket, context: ssl.SSLContext, host: str, exchange: Exchange) -> BoundedSocket:
    """TLS over a connection, its handshake done. The connection given is used up, also by an error."""
    wrapped = context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    assert isinstance(wrapped, SecureSocket)
    wrapped.exchange = exchange
    try:
        wrapped.do_handshake()
    except BaseException:
        wrapped.close()
        raise
    return wrapped


def make_context() -> ssl.SSLContext:
    """What TLS trusts. Raises ConfigError if that cannot be read."""
    try:
        context = ssl.create_default_context()
    except (OSError, ValueError) as error:
        words = f"the trusted certificates cannot be read: {error}; check SSL_CERT_FILE and SSL_CERT_DIR"
        raise ConfigError(words) from None
    context.sslsocket_class = SecureSocket
    return context


def is_readable(connection: socket.socket) -> bool:
    """Whether something has arrived, the end of the connection included. Raises OSError or ValueError if closed."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(0))


def _connected(connection: BoundedSocket, address: Any, seconds: float, exchange: Exchange) -> BoundedSocket:
    try:
        _connect(connection, address, seconds, exchange)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # Linux and macOS buffer megabytes, and report room only when a third of that is free again: over a slow
            # line the silence in between would look like a stall.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT)
    except BaseException:
        connection.close()
        raise
    connection.exchange = exchange
    return connection


def _connect(connection: BoundedSocket, address: Any, seconds: float, exchange: Exchange) -> None:
    since = time.monotonic()
    connection.setblocking(False)
    code = connection.connect_ex(address)
    if code in _IN_PROGRESS:
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_WRITE)  # on Windows: also what has failed
            while not selector.select(min(exchange.left(since), seconds, SLICE)):
                exchange.check()
                if time.monotonic() - since >= seconds:
                    raise OutOfTime(f"not accepted within {seconds:.3g} s")
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        words: dict[int, str] = getattr(socket, "errorTab", {})  # Windows: os.strerror does not know its codes
        raise OSError(code, words.get(code) or os.strerror(code))


def _look_up(host: str, port: int, exchange: Exchange) -> list[Any]:
    """What getaddrinfo says. On its own it can be neither limited nor interrupted."""
    if is_loopback(host):
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    import threading  # only names that have to be looked up

    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    since = time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(min(exchange.left(since), SLICE))
        exchange.check()
    if isinstance(found[0], Exception):
        raise found[0]
    return list(found[0])


# --- One connection over http.client, and the connections that are kept for a next GET.


MAX_IDLE = 2.0  # seconds; servers close what is idle for longer, perhaps just as it is used again


class FinalResponse(http.client.HTTPResponse):
    """The final answer: every interim one, 1xx except 101, is skipped (RFC 9110, 15.2). http.client skips only 100."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status >= 200 or status == 101:
                return version, status, reason
            http.client.parse_headers(self.fp)


class Connection(http.client.HTTPConnection):
    """A connection to one origin, directly or through a proxy. Serves one exchange at a time."""

    response_class = FinalResponse
    auto_open = 0  # never connects again by itself: that would send a request twice
    exchange: Exchange  # the one that is served

    def __init__(self, address: Address, proxy: Proxy | None, context: ssl.SSLContext | None) -> None:
        self.default_port = 443 if address.is_secure else 80  # for the Host header
        super().__init__(address.host, address.port)
        self.address = address
        self.proxy = proxy
        self.context = context
        self.name = f"{address.netloc} through the proxy {proxy.name}" if proxy else address.netloc
        self.sock: BoundedSocket | None = None
        self.last_used = 0.0

    def serve(self, exchange: Exchange) -> None:
        """Keeps to the limits of this exchange from now on."""
        self.exchange = exchange
        exchange.peer = self.name
        if self.sock:
            self.sock.exchange = exchange

    def connect(self) -> None:
        """Connects, through the proxy where there is one, and does the TLS handshake."""
        if self.proxy:
            self.sock = connect(self.proxy.host, self.proxy.port, self.exchange)
            self._open_tunnel(self.sock, self.proxy)
        else:
            self.sock = connect(self.address.host, self.address.port, self.exchange)
        if self.context:
            self.sock = secure(self.sock, self.context, self.address.host, self.exchange)

    def ask(
        self, method: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None
    ) -> http.client.HTTPResponse:
        """Sends a request and reads its answer's headers; the answer's body is still to be read."""
        names = {name.lower() for name in headers}
        self.putrequest(method, self.address.target, skip_accept_encoding="accept-encoding" in names)
        for name, value in headers.items():
            self.putheader(name, value)
        if isinstance(body, bytes) or (body is None and method in ("POST", "PUT", "PATCH")):
            self.putheader("Content-Length", str(len(body or b"")))
        try:
            self.endheaders()
            if body:
                self._send_body(body)
        except (ConnectionError, ssl.SSLEOFError):
            # A server that refuses a body may answer before it has read it: the answer tells, or its absence.
            if not self.exchange.sent:
                raise
        answer = self.getresponse()
        if self.exchange.is_at_end:  # within the headers, which http.client takes for their end
            answer.close()
            raise http.client.IncompleteRead(b"")
        return answer

    def send(self, data: object) -> None:
        if not self.exchange.sent:
            self.exchange.check()  # the last moment at which nothing is lost
            self.exchange.sent = True
        super().send(data)  # type: ignore[arg-type]

    def is_fresh(self) -> bool:
        """Whether a connection that was kept may be used: not idle for long, not closed, nothing unasked arrived."""
        try:
            is_recent = time.monotonic() - self.last_used < MAX_IDLE
            return is_recent and self.sock is not None and not is_readable(self.sock)
        except (OSError, ValueError):
            return False

    def _send_body(self, body: bytes | Iterable[bytes]) -> None:
        self.exchange.limit_waits()
        for piece in (body,) if isinstance(body, bytes) else body:
            self.send(piece)
        self.exchange.limit_part()  # the headers of the answer

    def _open_tunnel(self, connection: BoundedSocket, proxy: Proxy) -> None:
        connection.sendall(connect_request(self.address, proxy))
        answer = self.response_class(connection, method="CONNECT")
        try:
            answer.begin()
            if not 200 <= answer.status < 300:
                raise OSError(f"the proxy refused the connection: {answer.status} {answer.reason}".rstrip())
        finally:
            answer.close()  # the connection stays open


class ConnectionPool:
    """Connections that were kept, by origin. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Connection]] = {}

    def take(self, origin: str) -> Connection | None:
        """A connection that may be used, None where there is none. Those that may not are closed."""
        while (connection := self._pop(origin)) is not None:
            if connection.is_fresh():
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        connection.last_used = time.monotonic()
        self._kept.setdefault(connection.address.origin, []).append(connection)

    def close(self) -> None:
        for origin in list(self._kept):
            while (connection := self._pop(origin)) is not None:
                connection.close()

    def _pop(self, origin: str) -> Connection | None:
        try:
            return self._kept[origin].pop()  # one call: another thread may take the last one at any time
        except LookupError:
            return None
