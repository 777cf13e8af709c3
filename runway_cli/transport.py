"""What is HTTP about a call: one exchange over urllib, bounded in time, without redirects.

Knows nothing of Runway. Every answer of the server, whatever its status, is a Response; everything else is a
NetworkError that says whether the request may have been received: no before the connection and its TLS handshake
stand, maybe from the first byte that was sent.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from .errors import ConfigError, Interrupted, NetworkError
from .settings import is_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from email.message import Message
    from typing import Any

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
        except NetworkError:
            raise
        except Interrupted as stop:
            stop.maybe_received = line.sent
            raise
        except _FAILURES as error:
            raise _failure(error, url, line) from None

    def stream(self, method: str, url: str, headers: Mapping[str, str], body: Iterable[bytes] | None,
               silence: float) -> Stream:
        """A request whose body or answer is streamed; `silence` bounds each wait in seconds, not their sum.

        The caller closes the Stream. Content-Length is the caller's header to give with a body.
        """
        line = _Line(silence, whole=False)
        try:
            return Stream(self._open(method, url, headers, body, line), url, line)
        except _FAILURES as error:
            raise _failure(error, url, line) from None

    def _open(self, method: str, url: str, headers: Mapping[str, str], body: Any,
              line: _Line) -> http.client.HTTPResponse:
        request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
        opener = urllib.request.OpenerDirector()  # bare: no redirects, no file:, ftp: or data:
        opener.addheaders = []
        secure = url.startswith("https:")
        handler = _SecureHandler(line, self._tls()) if secure else _PlainHandler(line)
        opener.add_handler(handler)
        if secure and not is_loopback(urlsplit(url).hostname or ""):
            proxy = _proxy()
            if proxy:
                opener.add_handler(urllib.request.ProxyHandler({"https": proxy}))
        answer: http.client.HTTPResponse = opener.open(request, timeout=line.seconds)
        return answer

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

    def __init__(self, answer: http.client.HTTPResponse, url: str, line: _Line) -> None:
        self.status = answer.status
        self.headers: Message = answer.headers
        self._answer = answer
        self._url = url
        self._line = line

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most; empty at the end. NetworkError when the answer is cut off."""
        try:
            piece = self._answer.read(size)
        except _FAILURES as error:
            raise _failure(error, self._url, self._line) from None
        missing = self._answer.length  # what Content-Length promised and is still to come
        if not piece and missing:
            raise _failure(http.client.IncompleteRead(b"", missing), self._url, self._line)
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

    def left(self) -> float:
        """Seconds that the next wait may take."""
        if self.end is None:
            return self.seconds
        left = self.end - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        return left


class _Unsent(Exception):
    """The connection could not be made: carries the reason."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(reason)
        self.reason = reason


_FAILURES = (_Unsent, OSError, http.client.HTTPException, ValueError, EOFError)


class _Bounded(socket.socket):
    """A socket whose waits, added up, keep within its line's time.

    The socket's own timeout starts anew with each byte, which a server that trickles can use to hold a client for ever.
    """

    line: _Line | None = None

    def recv_into(self, *args: Any, **options: Any) -> int:
        if self.line is not None:
            self.settimeout(self.line.left())
        return super().recv_into(*args, **options)

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
    """Tells a connection that could not be made from one that was lost, and reads an answer that came early."""

    line: _Line

    def connect(self) -> None:
        self._create_connection = self._dial  # http.client's own seam; it knows no total time
        try:
            super().connect()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise _Unsent(error) from None
        assert isinstance(self.sock, _Bounded)
        self.sock.line = self.line
        self.line.sent = False  # a proxy may have been spoken to, the service was not

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.line.sent = True
        try:
            super().send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a server that refuses a body may answer before it has read it: the answer tells, or its absence

    def _dial(self, address: tuple[str, int], *_: object) -> socket.socket:
        failure: Exception = OSError("no address")
        for family, kind, protocol, _name, place in _addresses(*address, self.line.left()):
            link = _Bounded(family, kind, protocol)
            link.line = self.line
            try:
                link.settimeout(self.line.left())
                link.connect(place)
                return link
            except OSError as error:
                link.close()
                failure = error
        raise failure


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


class _PlainHandler(urllib.request.HTTPHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self.line = line

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_factory(_Connection, self.line), req)


class _SecureHandler(urllib.request.HTTPSHandler):
    def __init__(self, line: _Line, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self.line = line
        self.tls = context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_factory(_SecureConnection, self.line), req, context=self.tls)


def _factory(kind: type[_Connection], line: _Line) -> Any:
    def connection(host: str, **options: Any) -> _Connection:
        made = kind(host, **options)
        made.line = line
        return made

    return connection


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


def _proxy() -> str | None:
    """The https proxy of the environment, None without one. ProxyHandler itself honours NO_PROXY."""
    proxy = urllib.request.getproxies().get("https")
    if not proxy:
        return None
    parts = urlsplit(proxy if "://" in proxy else "http://" + proxy)
    try:
        usable = parts.scheme == "http" and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("HTTPS_PROXY is no http:// proxy such as http://proxy.example:8080")
    return proxy


def _unpacked(content: bytes, headers: Message) -> bytes:
    """The content without the compression that a server applied though nobody asked for it."""
    if headers.get("Content-Encoding", "").strip().lower() not in ("gzip", "x-gzip"):
        return content
    import zlib

    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(content, LARGEST_UNPACKED)
    except zlib.error as error:
        raise OSError(f"its gzip content is damaged: {error}") from None
    if not unpacker.eof:
        raise OSError("its gzip content is cut off, or too large")
    return plain


def _failure(error: BaseException, url: str, line: _Line) -> NetworkError:
    host = urlsplit(url).netloc
    reason = error.reason if isinstance(error, (_Unsent, urllib.error.URLError)) else error
    words = _words(reason, line) if isinstance(reason, BaseException) else str(reason)
    return NetworkError(f"{host}: {words}", maybe_received=line.sent,
                        permanent=isinstance(reason, ssl.SSLCertVerificationError))


def _words(error: BaseException, line: _Line) -> str:
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
        expected = f" of {len(error.partial) + error.expected}" if error.expected is not None else ""
        return f"the answer was cut off after {len(error.partial)}{expected} bytes"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.HTTPException):
        return f"the answer is not HTTP ({type(error).__name__})"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return f"the answer cannot be read ({error})"


def _certificate_advice(code: int) -> str:
    if sys.platform == "darwin" and code in (19, 20):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f'; run "/Applications/Python {version}/Install Certificates.command" once'
    if code in (18, 19, 20):
        return "; SSL_CERT_FILE names a file of further authorities"
    return ""
