"""What is HTTP about a call: one exchange over http.client, bounded in time, without redirects.

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
from urllib.parse import unquote, urlsplit

from .errors import ConfigError, Interrupted, NetworkError
from .settings import is_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from email.message import Message
    from typing import Any
    from urllib.parse import SplitResult

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
    """Sends requests. Safe to use from several threads; the TLS context is made once, for the first https URL."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None,
                 seconds: float) -> Response:
        """One request and its whole answer within `seconds`."""
        line = _Line(seconds, whole=True)
        try:
            with self._open(method, url, headers, body, line) as answer:
                content = answer.read()
                return Response(answer.status, answer.headers, _unpacked(content, answer.headers))
        except Interrupted as stop:
            stop.maybe_received = line.sent
            raise
        except _FAILURES as error:
            raise _failure(error, line) from None

    def stream(self, method: str, url: str, headers: Mapping[str, str], body: Iterable[bytes] | None,
               silence: float) -> Stream:
        """A request whose body or answer is streamed; `silence` bounds each wait in seconds, not their sum.

        The caller closes the Stream. Content-Length is the caller's header to give with a body.
        """
        line = _Line(silence, whole=False)
        try:
            return Stream(self._open(method, url, headers, body, line), line)
        except _FAILURES as error:
            raise _failure(error, line) from None

    def _open(self, method: str, url: str, headers: Mapping[str, str], body: Any,
              line: _Line) -> http.client.HTTPResponse:
        if not url.isprintable():
            raise ValueError("it holds a control character")
        parts = urlsplit(url)
        line.place = parts.netloc.rpartition("@")[2]
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        connection = self._connection(parts, line)
        try:
            connection.connect()
            connection.request(method, target, body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        if connection.sock:
            connection.sock.close()  # in name only: the answer holds it open until it is closed itself
        if line.ended:  # within the headers, which http.client takes for their end
            answer.close()
            raise http.client.IncompleteRead(b"")
        return answer

    def _connection(self, parts: SplitResult, line: _Line) -> _Connection:
        """The connection that a URL asks for, not made yet."""
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("no http or https URL")
        if parts.scheme == "http":
            return _Connection(parts.netloc, line)
        proxy = None if is_loopback(parts.hostname) else _proxy(parts.netloc)
        if proxy is None:
            return _SecureConnection(parts.netloc, line, context=self._tls())
        place, headers = proxy
        connection = _SecureConnection(place, line, context=self._tls())
        connection.set_tunnel(parts.netloc, headers=headers)
        line.place += f" through the proxy {place}"
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


class _Connection(http.client.HTTPConnection):
    """Knows when the first byte of the request is sent, and reads an answer that came early."""

    def __init__(self, host: str, line: _Line, **options: Any) -> None:
        super().__init__(host, **options)
        self._create_connection = self._dial  # http.client's own seam; it knows no total time
        self.line = line
        self.made = False

    def connect(self) -> None:
        super().connect()
        assert isinstance(self.sock, _Bounded)
        self.sock.line = self.line
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
    from urllib.request import getproxies, proxy_bypass  # 5 ms that a loopback address does not need

    proxy = getproxies().get("https")
    if not proxy or proxy_bypass(netloc):
        return None
    try:
        parts = urlsplit(proxy if "://" in proxy else "http://" + proxy)
        place = parts.netloc.rpartition("@")[2].rstrip(":") + (":80" if parts.port is None else "")
        usable = parts.scheme == "http" and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("HTTPS_PROXY is no http:// proxy such as http://proxy.example:8080")
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
