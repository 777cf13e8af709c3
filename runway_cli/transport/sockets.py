"""Connections whose every wait keeps to the limits of an exchange, in slices that let signals through.

A socket's own timeout begins anew with each byte, and while it waits, Windows holds signals back. Rules:

1. Connecting, sending the request's headers and reading those of its answer is one part of an exchange, limited as a
   whole: a server that sends a byte now and then cannot prolong it.
2. The body of a transfer takes as long as it takes: there each wait is limited, the silence and not the transfer.
3. A time limit, where there is one, ends everything.
4. All waiting is done in slices (see `runway_cli.shutdown`), with a look at the signals between them.
"""

from __future__ import annotations

import errno
import http.client
import os
import re
import selectors
import socket
import threading
import time
from urllib.parse import unquote, urlsplit

from ..errors import ConfigError
from ..settings import bypasses_proxy, is_loopback, proxy_variable, setting
from ..shutdown import SLICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any
    from urllib.parse import SplitResult

    from ..shutdown import Shutdown


HEAD_START = 0.25  # seconds that an address has before the next one is tried too (RFC 8305, 8)
MAX_SENT = 64 * 1024  # bytes handed to the system at a time
MAX_UNSENT = 64 * 1024  # bytes that the system may hold back before it sends them
STOPPED = 2.0  # seconds that a wait may last too long on a busy machine; after more the process was stopped
MAX_TRAILERS = 100  # lines
MAX_IDLE = 2.0  # seconds; servers close what is idle for longer, perhaps just as it is used again
# connect has begun and goes on; Windows says "would block"
IN_PROGRESS = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, getattr(errno, "WSAEWOULDBLOCK", errno.EAGAIN))


class OutOfTime(OSError):
    """A limit of the exchange was reached; the message says which."""


class Ended(OSError):
    """The run has ended while a worker thread was still in an exchange."""


class Exchange:
    """One request and its answer: its limits, and how far it got.

    `timeout` and `time_limit` are seconds; no `time_limit` means no limit. `sent`: a byte of the request was sent.
    `is_at_end`: the other side has closed the connection. `peer` names the other side in messages.
    """

    def __init__(self, shutdown: Shutdown, timeout: float, time_limit: float | None = None) -> None:
        now = time.monotonic()
        self._shutdown = shutdown
        self._end = None if time_limit is None else now + time_limit
        self._part_end: float | None = now + timeout
        self.timeout = timeout
        self.time_limit = time_limit
        self.checked = 0.0  # when `check` was last called
        self.sent = False
        self.is_at_end = False
        self.peer = ""

    def limit_part(self) -> None:
        """Limits what follows to `timeout`, all waits together."""
        self._part_end = time.monotonic() + self.timeout

    def limit_waits(self) -> None:
        """Limits each wait from now on to `timeout`."""
        self._part_end = None

    def left(self, since: float) -> float:
        """Returns the seconds, more than 0, left of a wait that began at `since`, a time of `time.monotonic`.

        Raises OutOfTime.
        """
        now = time.monotonic()
        if self._end is not None and now >= self._end:
            raise OutOfTime(f"no complete answer within {round(self.time_limit or 0, 2):g} s")
        end = since + self.timeout if self._part_end is None else self._part_end
        if now >= end:
            words = "silent for" if self._part_end is None else "no answer within"
            raise OutOfTime(f"{words} {round(self.timeout, 2):g} s")
        return (end if self._end is None else min(end, self._end)) - now

    def extend(self, seconds: float) -> None:
        """Does not count a time for which the process was stopped: an answer may have arrived meanwhile."""
        if self._end is not None:
            self._end += seconds
        if self._part_end is not None:
            self._part_end += seconds

    def check(self) -> None:
        """Raises Interrupted if a signal has arrived (in the main thread), Ended if the run is over."""
        self.checked = time.monotonic()
        self._shutdown.check()
        if self._shutdown.is_over:
            raise Ended("the program is ending")


def proxy_for(parts: SplitResult) -> SplitResult | None:
    """Returns the proxy for a URL, None if its host is reached directly: a loopback address always is.

    Raises ConfigError for a proxy that cannot be used.
    """
    host, variable = parts.hostname or "", proxy_variable()
    if not variable or is_loopback(host) or bypasses_proxy(host, parts.port or 443):
        return None
    url = setting(variable) or ""
    try:
        proxy = urlsplit(url if "://" in url else "http://" + url)
        if proxy.scheme == "http" and proxy.hostname and proxy.port != 0:
            return proxy
    except ValueError:
        pass
    words = f"{variable} is not an http:// proxy such as http://proxy.example:8080"
    raise ConfigError(words, variable=variable)


class BoundedSocket(socket.socket):
    """A connection that serves one `exchange` at a time, and keeps to its limits."""

    exchange: Exchange

    def recv_into(self, *args: Any, **options: Any) -> int:
        size: int = self._in_slices(super().recv_into, *args, **options)
        self.exchange.is_at_end = not size
        return size

    def send(self, *args: Any, **options: Any) -> int:
        size: int = self._in_slices(super().send, *args, **options)
        return size

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Sends in pieces: each one that the system accepts ends a silence."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.send(rest[:MAX_SENT], flags) :]

    def _in_slices(self, operation: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Repeats an operation until it is done. One that times out has lost nothing, over TLS too."""
        since = time.monotonic()
        if since - self.exchange.checked >= SLICE:  # a transfer may never have to wait
            self.exchange.check()
        while True:
            wait = min(self.exchange.left(since), SLICE)
            self.settimeout(wait)
            began = time.monotonic()
            try:
                return operation(*args, **options)
            except socket.timeout as error:
                if error.errno:  # the system's own: the connection was lost
                    raise
            finally:
                stopped = time.monotonic() - began - wait
                if stopped > STOPPED:
                    since += stopped
                    self.exchange.extend(stopped)
            self.exchange.check()


def connect(host: str, port: int, exchange: Exchange, winners: dict[tuple[str, int], Any]) -> BoundedSocket:
    """Connects to the address of a host that accepts first; the next time, the one among the `winners` is tried first.

    An address that swallows packets must not cost a time limit: after HEAD_START seconds, or at once when one has
    failed, the next is tried too (RFC 8305). Raises OSError.
    """
    places = sorted(_look_up(host, port, exchange), key=lambda place: place[4] != winners.get((host, port)))
    fault = OSError("no address")
    since = due = time.monotonic()
    with selectors.DefaultSelector() as selector:
        trying = selector.get_map()
        try:
            while places or trying:
                if places and (not trying or time.monotonic() >= due):
                    due = time.monotonic() + HEAD_START
                    try:
                        _begin(places.pop(0), exchange, selector)
                    except OSError as error:
                        fault, due = error, 0.0
                    continue
                wait = min(exchange.left(since), SLICE, max(0.0, due - time.monotonic()) if places else SLICE)
                for key, _ in selector.select(wait):
                    connection = key.fileobj
                    assert isinstance(connection, BoundedSocket)
                    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    selector.unregister(connection)
                    if not code:
                        winners[host, port] = key.data
                        return connection
                    connection.close()
                    fault, due = _fault(code), 0.0
                exchange.check()
        finally:
            for key in list(trying.values()):
                key.fileobj.close()  # type: ignore[union-attr]
    raise fault


def _begin(place: Any, exchange: Exchange, selector: selectors.BaseSelector) -> None:
    """Begins to connect to an address of `_look_up`, and registers the connection. Raises OSError."""
    family, kind, protocol, _name, address = place
    connection = BoundedSocket(family, kind, protocol)
    try:
        connection.exchange = exchange
        connection.setblocking(False)
        code = connection.connect_ex(address)
        if code and code not in IN_PROGRESS:
            raise _fault(code)
        selector.register(connection, selectors.EVENT_WRITE, address)  # on Windows: also what has failed
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # Linux and macOS buffer megabytes, and report room only when a third of that is free again: over a slow
            # line the silence in between would look like a stall.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT)
    except BaseException:
        connection.close()
        raise


def _fault(code: int) -> OSError:
    return OSError(code, getattr(socket, "errorTab", {}).get(code) or os.strerror(code))  # errorTab: Windows alone


def _look_up(host: str, port: int, exchange: Exchange) -> list[Any]:
    """Returns what getaddrinfo says. On its own it can be neither limited nor interrupted."""
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


class Framed(http.client.HTTPResponse):
    """An answer whose end is certain: what frames its body is read as RFC 9112, 6.3 says, or the answer refused.

    http.client takes a frame that it does not understand for none. Interim answers, 1xx except 101, are skipped
    (RFC 9110, 15.2), of which it skips only 100. Gzip inside chunks counts as a Content-Encoding.
    """

    exchange: Exchange

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status >= 200 or status == 101:
                return version, status, reason
            http.client.parse_headers(self.fp)

    def begin(self) -> None:
        super().begin()
        rest = self.headers.get_payload()  # what follows a line that `email` does not accept, such as `Name : value`
        for line in rest.splitlines() if isinstance(rest, str) else ():
            name, colon, value = line.partition(":")
            if colon and name.strip():
                self.headers[name.strip()] = value.strip()
        if self.status < 200 or self.status in (204, 304) or self._method == "CONNECT":  # type: ignore[attr-defined]
            self.chunked, self.length = False, 0
            return
        codings = [coding for coding in self._listed("Transfer-Encoding") if coding not in ("", "identity")]
        lengths = set(self._listed("Content-Length"))
        if codings:
            if codings[-1] != "chunked" or set(codings) - {"gzip", "x-gzip", "chunked"}:
                raise http.client.HTTPException(f"Transfer-Encoding: {', '.join(codings)[:60]!r}")
            if codings[0] != "chunked":
                self.headers["Content-Encoding"] = "gzip"
            self.chunked, self.chunk_left, self.length = True, None, None
        elif lengths:
            length = lengths.pop()
            if lengths or not re.fullmatch("[0-9]{1,18}", length):
                raise http.client.HTTPException(f"Content-Length: {', '.join((length, *lengths))[:60]!r}")
            self.length = int(length)

    def _listed(self, name: str) -> list[str]:
        """Returns the elements of a header's lists, in lower case."""
        lines = map(str, self.headers.get_all(name, ()))
        return [element.strip().lower() for line in lines for element in line.split(",")]

    def _read_next_chunk_size(self) -> int:
        """Reads the line before a chunk strictly: http.client reads -1 as "all that follows"."""
        line = self.fp.readline(4096)
        size = line.partition(b";")[0].strip()
        if not line.endswith(b"\n") or not re.fullmatch(b"[0-9a-fA-F]{1,15}", size):
            raise ValueError
        return int(size, 16)

    def _read_and_discard_trailer(self) -> None:
        """Skips the trailers, within one part of the exchange: http.client waits for their end for ever."""
        self.exchange.limit_part()
        for _ in range(MAX_TRAILERS):
            if self.fp.readline(4096) in (b"\r\n", b"\n", b""):
                return
        raise http.client.HTTPException(f"more than {MAX_TRAILERS} trailers")


class Connection(http.client.HTTPConnection):
    """A connection to one origin, directly or through a proxy. Serves one exchange at a time."""

    response_class = Framed
    auto_open = 0  # never connects again by itself: that would send a request twice
    exchange: Exchange  # the one that is served

    def __init__(self, parts: SplitResult, context: ssl.SSLContext | None, winners: dict[tuple[str, int], Any]) -> None:
        """Takes the URL's parts, what TLS trusts, and the addresses that `connect` has found to accept."""
        self.default_port = 443 if context else 80  # for the Host header
        super().__init__(parts.hostname or "", parts.port or self.default_port)
        self.origin = (parts.scheme, parts.netloc)
        self.proxy = proxy_for(parts)
        self.winners = winners
        self.context = context
        self.sock: BoundedSocket | None = None
        self.last_used = 0.0

    def serve(self, exchange: Exchange) -> None:
        """Keeps to the limits of this exchange from now on. Connects, with TLS, unless this is a kept connection."""
        self.exchange = exchange
        exchange.peer = self.origin[1]
        if self.proxy:
            exchange.peer += f" through the proxy {self.proxy.netloc.rpartition('@')[2]}"
        if self.sock:
            self.sock.exchange = exchange
            return
        if self.proxy:
            self.sock = connect(self.proxy.hostname or "", self.proxy.port or 80, exchange, self.winners)
            self._open_tunnel(self.sock, self.proxy)
        else:
            self.sock = connect(self.host, self.port, exchange, self.winners)
        if self.context:
            secured: Any = self.context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
            self.sock = secured
            secured.exchange = exchange
            secured.do_handshake()

    def _open_tunnel(self, connection: BoundedSocket, proxy: SplitResult) -> None:
        """Asks the proxy for a tunnel (RFC 9110, 9.3.6)."""
        authority = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if proxy.username is not None:
            from base64 import b64encode

            login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
            lines.append(f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}")
        connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        answer = self.response_class(connection, method="CONNECT")
        try:
            answer.begin()
            if not 200 <= answer.status < 300:
                # Its own words are not repeated: they may hold the credentials that it was sent.
                words = http.client.responses.get(answer.status, "")
                raise OSError(f"the proxy refused the connection: {answer.status} {words}".rstrip())
        finally:
            answer.close()  # the connection stays open

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None) -> Framed:
        """Sends a request and reads its answer's headers; the answer's body is still to be read."""
        names = {name.lower() for name in headers}
        self.putrequest(method, target, skip_accept_encoding="accept-encoding" in names)
        for name, value in headers.items():
            self.putheader(name, value)
        if isinstance(body, bytes) or (body is None and method in ("POST", "PUT", "PATCH")):
            self.putheader("Content-Length", str(len(body or b"")))
        try:
            self.endheaders()
            if body:
                self.exchange.limit_waits()
                for piece in (body,) if isinstance(body, bytes) else body:
                    self.send(piece)
                self.exchange.limit_part()  # the headers of the answer
        except ConnectionError:
            # A server that refuses a body may answer before it has read it: the answer tells, or its absence.
            if not self.exchange.sent:
                raise
        answer = self.getresponse()
        assert isinstance(answer, Framed)
        answer.exchange = self.exchange
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
        """Returns whether a kept connection may be used: it is recent, open, and nothing has arrived unasked."""
        if self.sock is None or time.monotonic() - self.last_used >= MAX_IDLE:
            return False
        with selectors.DefaultSelector() as selector:
            try:
                selector.register(self.sock, selectors.EVENT_READ)
                return not selector.select(0)
            except (OSError, ValueError):
                return False
