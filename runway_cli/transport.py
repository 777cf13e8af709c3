"""What is HTTP about a call: one exchange over urllib, bounded in time, without redirects.

Knows nothing of Runway, and no scheme but http and https. Every answer of the server, whatever its status, is a
Response; everything else is a NetworkError that says whether the request may have been received: no before the
connection and its TLS handshake stand, maybe from the first byte that was sent.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
import time
import urllib.request
from urllib.parse import unquote, urlsplit

from .errors import ConfigError, Interrupted, NetworkError
from .settings import is_loopback, proxy_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from email.message import Message
    from typing import Any
    from urllib.parse import SplitResult

LONGEST_IDLE = 2.0  # seconds; servers close what is idle for longer, perhaps just as it is used again
LARGEST_UNPACKED = 1 << 30  # bytes that a compressed answer may unpack to

# OpenSSL's verification results that deserve words of their own (x509_vfy.h)
_CERTIFICATE_FAULTS = {
    10: "its certificate has expired",
    9: "its certificate is not valid yet",
    18: "its certificate is self-signed",
    19: "its certificate chain ends in a self-signed one that is not trusted",
    20: "its certificate was issued by an authority that is not trusted",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}


class Response:
    """A complete answer. `headers` finds names in any case; `body` is bytes, decompressed."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Message, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Transport:
    """Sends requests. Safe to use from several threads.

    The TLS context is made once, for the first https URL. A GET leaves its connection for a next GET to the same origin
    within two seconds: pages over TLS take half the time. No other method is sent over a used connection, which may be
    stale: nobody could tell whether the request was lost with it.
    """

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None
        self._idle: dict[str, list[_Connection]] = {}  # by origin

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None,
                 seconds: float) -> Response:
        """One request and its whole answer within `seconds`."""
        line = _Line(seconds, whole=True)
        leave = False
        try:
            with self._open(method, url, headers, body, line, keep=method == "GET") as answer:
                content = answer.read()
                leave = method == "GET" and not answer.will_close
                return Response(answer.status, answer.headers, _unpacked(content, answer.headers))
        except Interrupted as stop:
            stop.maybe_received = line.sent
            raise
        except _FAILURES as error:
            raise _failure(error, line) from None
        finally:
            if leave and line.connection:
                line.connection.left = time.monotonic()
                self._idle.setdefault(line.connection.origin, []).append(line.connection)
            elif line.connection:
                line.connection.close()

    def stream(self, method: str, url: str, headers: Mapping[str, str], body: Iterable[bytes] | None,
               silence: float) -> Stream:
        """A request whose body or answer is streamed; `silence` bounds each wait in seconds, not their sum.

        The caller closes the Stream. Content-Length is the caller's header to give with a body.
        """
        line = _Line(silence, whole=False)
        try:
            return Stream(self._open(method, url, headers, body, line, keep=False), line)
        except _FAILURES as error:
            raise _failure(error, line) from None

    def _open(self, method: str, url: str, headers: Mapping[str, str], body: Any, line: _Line, *,
              keep: bool) -> http.client.HTTPResponse:
        """The answer, its body still to be read."""
        if not url.isprintable():
            raise ValueError("it holds a control character")
        request = urllib.request.Request(url, body, {**headers, "Connection": "keep-alive" if keep else "close"},
                                         method=method)
        opener = urllib.request.OpenerDirector()  # bare: no redirects, no errors for statuses, no other schemes
        opener.add_handler(_Handler(self, line, reuse=keep))
        answer: http.client.HTTPResponse | None = opener.open(request)
        if answer is None:
            raise ValueError("no http or https URL")
        if line.ended:  # within the headers, which http.client takes for their end
            answer.close()
            if line.connection:
                line.connection.close()
            raise http.client.IncompleteRead(b"")
        if not keep and line.connection and line.connection.sock:
            line.connection.sock.close()  # in name only: the answer holds it open until it is closed itself
        return answer

    def connected(self, url: str, line: _Line, *, reuse: bool) -> _Connection:
        """A connection to the URL's origin that stands: one that was left, if that is allowed, else a new one."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        while reuse:
            idle = self._left(origin)
            if idle is None:
                break
            if idle.is_fresh():
                idle.take(line)
                return idle
            idle.close()
        connection = self._connection(parts)
        connection.origin = origin
        connection.take(line)
        connection.connect()
        return connection

    def close(self) -> None:
        """Closes the connections that were left for a next GET."""
        for origin in list(self._idle):
            while (connection := self._left(origin)) is not None:
                connection.close()

    def _left(self, origin: str) -> _Connection | None:
        try:
            return self._idle[origin].pop()  # one call: another thread may take the last one at any time
        except LookupError:
            return None

    def _connection(self, parts: SplitResult) -> _Connection:
        """The connection that a URL asks for, not made yet."""
        if not parts.hostname:
            raise ValueError("it names no host")
        place = parts.netloc.rpartition("@")[2]
        if parts.scheme == "http":
            return _Connection(parts.netloc, place)
        proxy = None if is_loopback(parts.hostname) else _proxy(parts.netloc)
        if proxy is None:
            return _SecureConnection(parts.netloc, place, context=self._tls())
        address, headers = proxy
        connection = _SecureConnection(address, f"{place} through the proxy {address}", context=self._tls())
        connection.set_tunnel(parts.netloc, headers=headers)
        return connection

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            try:
                self._context = ssl.create_default_context()
            except (OSError, ValueError) as error:
                raise ConfigError(f"the trusted certificates cannot be read, see SSL_CERT_FILE: {error}") from None
            self._context.sslsocket_class = _SecureSocket
        return self._context


class Stream:
    """An answer that is read in pieces: `status`, `headers`, `read`, `close`."""

    def __init__(self, answer: http.client.HTTPResponse, line: _Line) -> None:
        self.status = answer.status
        self.headers: Message = answer.headers
        self._answer = answer
        self._line = line

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most; empty at the end. NetworkError when the answer is cut off."""
        try:
            piece = self._answer.read(size)
        except _FAILURES as error:
            raise _failure(error, self._line) from None
        missing = self._answer.length  # what Content-Length promised and is still to come
        if not piece and missing:
            raise _failure(http.client.IncompleteRead(b"", missing), self._line)
        return piece

    def close(self) -> None:
        self._answer.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Line:
    """The time one exchange has, and how far it got."""

    def __init__(self, seconds: float, *, whole: bool) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds if whole else None
        self.sent = False
        self.ended = False  # by the other side
        self.place = ""  # words that name the other side
        self.connection: _Connection | None = None

    def left(self) -> float:
        """Seconds that the next wait may take."""
        if self.end is None:
            return self.seconds
        left = self.end - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        return left


# The last two: a Content-Length or a chunk that claims more than there is memory for
_FAILURES = (OSError, http.client.HTTPException, ValueError, MemoryError, OverflowError)


class _Bounded(socket.socket):
    """A socket whose waits, added up, keep within its line's time.

    The socket's own timeout starts anew with each byte, which a server that trickles can use to hold a client for ever.
    """

    line: _Line | None = None

    def recv_into(self, *args: Any, **options: Any) -> int:
        if self.line is None:
            return super().recv_into(*args, **options)
        self.settimeout(self.line.left())
        size = super().recv_into(*args, **options)
        self.line.ended = not size
        return size

    def send(self, *args: Any, **options: Any) -> int:
        if self.line is not None:
            self.settimeout(self.line.left())
        return super().send(*args, **options)

    def sendall(self, *args: Any, **options: Any) -> None:
        if self.line is not None:
            self.settimeout(self.line.left())
        return super().sendall(*args, **options)


class _SecureSocket(_Bounded, ssl.SSLSocket):
    """The same over TLS."""


class _Handler(urllib.request.BaseHandler):
    """All that the opener has: http and https, over connections that keep to their line's time."""

    def __init__(self, transport: Transport, line: _Line, *, reuse: bool) -> None:
        self.transport = transport
        self.line = line
        self.reuse = reuse

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        connection = self.transport.connected(request.full_url, self.line, reuse=self.reuse)
        headers = {name.title(): value for name, value in request.headers.items()}
        try:
            connection.request(request.get_method(), request.selector, request.data, headers)
            return connection.getresponse()
        except BaseException:
            connection.close()
            raise

    https_open = http_open


class _Connection(http.client.HTTPConnection):
    """Knows when the first byte of the request is sent, and reads an answer that came early."""

    line: _Line
    origin: str

    def __init__(self, host: str, place: str, **options: Any) -> None:
        super().__init__(host, **options)
        self.place = place  # words that name the other side
        self._create_connection = self._dial  # http.client's own seam; it knows no total time
        self.made = False
        self.left = 0.0  # the moment of the last use

    def take(self, line: _Line) -> None:
        """Works to this line's time from now on."""
        self.line = line
        line.connection = self
        line.place = self.place
        if isinstance(self.sock, _Bounded):
            self.sock.line = line

    def is_fresh(self) -> bool:
        """Whether a connection that was left may be used: not for long, not closed, and without a word too many."""
        import select

        try:
            return time.monotonic() - self.left < LONGEST_IDLE and not select.select([self.sock], [], [], 0)[0]
        except (OSError, ValueError):
            return False

    def connect(self) -> None:
        try:
            super().connect()
        except BaseException:
            self.close()
            raise
        self.take(self.line)
        self.made = True

    def send(self, data: Any) -> None:
        self.line.sent = self.made  # before, it is the proxy that is spoken to
        try:
            super().send(data)
        except (ConnectionError, ssl.SSLEOFError):
            pass  # a server that refuses a body may answer before it has read it: the answer tells, or its absence

    def _tunnel(self) -> None:
        super()._tunnel()  # type: ignore[misc]
        self.sock.settimeout(self.line.left())  # for the TLS handshake

    def _dial(self, address: tuple[str, int], *_: object) -> socket.socket:
        failure: Exception = OSError("no address")
        found = _addresses(*address, self.line.left())
        for number, (family, kind, protocol, _name, place) in enumerate(found):
            link = None
            try:
                link = _Bounded(family, kind, protocol)
                link.settimeout(self.line.left() / (len(found) - number))  # a dead address leaves time for the next
                link.connect(place)
                link.settimeout(self.line.left())  # for the TLS handshake
                link.line = self.line
                return link
            except OSError as error:
                failure = error
                if link:
                    link.close()
        raise failure


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


def _addresses(host: str, port: int, seconds: float) -> list[Any]:
    """What getaddrinfo says, within `seconds`: on its own it can neither be bounded nor interrupted."""
    if is_loopback(host):
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    import threading  # only names that have to be looked up

    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise socket.timeout("the name server did not answer")
    if isinstance(found[0], Exception):
        raise found[0]
    return list(found[0])


def _proxy(netloc: str) -> tuple[str, dict[str, str]] | None:
    """The environment's proxy for https to this host: its host:port and the headers it is given. None without one."""
    proxy = urllib.request.getproxies().get("https")
    if not proxy or urllib.request.proxy_bypass(netloc):
        return None
    try:
        parts = urlsplit(proxy if "://" in proxy else "http://" + proxy)
        place = parts.netloc.rpartition("@")[2].rstrip(":") + (":80" if parts.port is None else "")
        usable = parts.scheme == "http" and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        variable = proxy_variable()
        raise ConfigError(f"{variable} is no http:// proxy such as http://proxy.example:8080", variable)
    if parts.username is None:
        return place, {}
    from base64 import b64encode

    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return place, {"Proxy-Authorization": "Basic " + b64encode(login.encode()).decode()}


def _unpacked(content: bytes, headers: Message) -> bytes:
    """The content without the compression that a server applied though nobody asked for it."""
    if not content or headers.get("Content-Encoding", "").strip().lower() not in ("gzip", "x-gzip"):
        return content
    import zlib

    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(content, LARGEST_UNPACKED)
    except zlib.error as error:
        raise OSError(f"its gzip content is damaged: {error}") from None
    if not unpacker.eof or unpacker.unused_data:
        raise OSError("its gzip content is cut off, too large, or followed by something else")
    return plain


def _failure(error: Exception, line: _Line) -> NetworkError:
    words = _words(error, line)
    permanent = not line.sent and isinstance(error, (ValueError, http.client.InvalidURL))  # and bad certificates
    return NetworkError(f"{line.place}: {words}" if line.place else words, maybe_received=line.sent,
                        permanent=permanent)


def _words(error: Exception, line: _Line) -> str:
    """What went wrong, for a user."""
    if isinstance(error, ssl.SSLCertVerificationError):
        fault = _CERTIFICATE_FAULTS.get(error.verify_code, error.verify_message)
        return f"not trusted, {fault} ({error.verify_message}){_certificate_advice(error.verify_code)}"
    if isinstance(error, socket.timeout):
        silence = "no complete answer within" if line.end is not None else "silent for"
        return f"{silence} {line.seconds:g} s" + ("" if line.sent else " (no connection)")
    if isinstance(error, socket.gaierror):
        return f"the name was not found ({error.strerror})"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was cut off" + (f", {error.expected} bytes are missing" if error.expected else "")
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({(error.reason or error.strerror or 'no reason given').replace('_', ' ').lower()})"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    if isinstance(error, (MemoryError, OverflowError)):
        return "the answer is larger than this machine's memory"
    if not line.sent:
        return f"the URL cannot be used ({error})"
    return f"the answer is not HTTP ({str(error).strip() or type(error).__name__})"


def _certificate_advice(code: int) -> str:
    if sys.platform == "darwin" and code in (19, 20):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f'; run "/Applications/Python {version}/Install Certificates.command" once'
    if code in (18, 19, 20):
        return "; SSL_CERT_FILE names a file of further authorities"
    return ""
