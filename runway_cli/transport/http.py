"""What can go wrong in an exchange, in words for a user."""

from __future__ import annotations

import http.client
import socket
import ssl
import sys

from ..errors import Interrupted, NetworkError
from .sockets import Address, Connection, ConnectionPool, Ended, Exchange, OutOfTime, make_context, proxy_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping
    from email.message import Message

    from ..shutdown import Shutdown


# What an exchange raises when it fails. MemoryError and OverflowError: a Content-Length or a chunk claims more than
# there is memory for.
FAILURES = (OSError, http.client.HTTPException, ValueError, MemoryError, OverflowError, Ended)

# OpenSSL's verification results that are explained (x509_vfy.h)
_CERTIFICATE_FAULTS = {
    10: "its certificate has expired",
    9: "its certificate is not valid yet",
    18: "its certificate is self-signed",
    19: "its certificate chain ends in a self-signed one that is not trusted",
    20: "its certificate was issued by an authority that is not trusted",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}


def network_error(error: Exception, exchange: Exchange) -> NetworkError:
    """The failure as it is reported: may the request have been received, can another try help."""
    words = _words(error, exchange)
    # ValueError: a URL, a header or a certificate; each stays as it is
    is_permanent = not exchange.sent and isinstance(error, (ValueError, http.client.InvalidURL))
    message = f"{exchange.peer}: {words}" if exchange.peer else words
    return NetworkError(message, maybe_received=exchange.sent, permanent=is_permanent)


def _words(error: Exception, exchange: Exchange) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_words(error)
    if isinstance(error, OutOfTime):
        return f"{error}{'' if exchange.sent else ' (no connection)'}"
    if isinstance(error, Ended):
        return str(error)
    if isinstance(error, socket.gaierror):
        return f"the host name was not found ({error.strerror})"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was cut off" + (f", {error.expected} bytes are missing" if error.expected else "")
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or error.strerror or "no reason given"  # PyPy has no reason
        return f"TLS failed ({str(reason).replace('_', ' ').lower()})"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower().rstrip(".")
    if isinstance(error, (MemoryError, OverflowError)) and exchange.sent:
        return "the answer is larger than this machine's memory"
    if not exchange.sent:
        return f"the request cannot be sent ({str(error) or type(error).__name__})"
    return f"the answer is not HTTP ({str(error).strip() or type(error).__name__})"


def _certificate_words(error: ssl.SSLCertVerificationError) -> str:
    code: int = getattr(error, "verify_code", 0)
    message: str = getattr(error, "verify_message", None) or "the certificate was refused"
    fault = _CERTIFICATE_FAULTS.get(code)
    return f"not trusted, {f'{fault} ({message})' if fault else message}{_advice(code)}"


def _advice(code: int) -> str:
    if sys.platform == "darwin" and code in (19, 20):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f'; run "/Applications/Python {version}/Install Certificates.command" once'
    if code in (18, 19, 20):
        return "; SSL_CERT_FILE can name a file of further authorities"
    return ""


# --- One HTTP exchange: limited in time, without redirects, to any http or https URL.

# Every answer of the server, whatever its status, is a Response or a Stream. Everything else is a NetworkError that says
# whether the request may have been received: no before the connection and its TLS handshake are complete, maybe from the
# first byte that was sent.


TLS_RECORD = 16 * 1024  # bytes that a TLS record holds at most (RFC 8446, 5.1)
MAX_UNPACKED = 1 << 30  # bytes that a compressed answer may unpack to


class Request:
    """What is sent. `body` is bytes, an iterable of bytes with its Content-Length among the headers, or None."""

    __slots__ = ("body", "headers", "method", "url")

    def __init__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None = None
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body


class Response:
    """A complete answer. `headers` finds names in any case; `body` is bytes, decompressed."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Message, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Stream:
    """An answer that is read in pieces. `headers` finds names in any case. The caller closes it."""

    def __init__(self, answer: http.client.HTTPResponse, connection: Connection, exchange: Exchange) -> None:
        self.status = answer.status
        self.headers: Message = answer.headers
        self._answer = answer
        self._connection = connection
        self._exchange = exchange
        self._is_secure = connection.context is not None

    def read(self, size: int) -> bytes:
        """What arrives next, 1 to `size` bytes; empty at the end. Raises NetworkError if the answer is cut off.

        A piece is returned as it comes: what arrived before the connection broke is never lost.
        """
        try:
            # A read over TLS gives one record. To make room for more each time takes as long as to decrypt it.
            piece = self._answer.read1(min(size, TLS_RECORD) if self._is_secure else size)
            missing = self._answer.length  # what Content-Length promised and is still to come
            if not piece and missing:
                raise http.client.IncompleteRead(b"", missing)
            return piece
        except FAILURES as error:
            raise network_error(error, self._exchange) from None

    def close(self) -> None:
        self._answer.close()
        self._connection.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Transport:
    """Sends requests. Safe to use from several threads.

    A GET of `send` leaves its connection for a next GET to the same origin within two seconds: pages over TLS take half
    the time. No other method is sent over a used connection, which may be stale: nobody could tell whether the request
    was lost with it.
    """

    def __init__(self, shutdown: Shutdown) -> None:
        self._shutdown = shutdown
        self._pool = ConnectionPool()
        self._context: ssl.SSLContext | None = None

    def send(self, request: Request, timeout: float) -> Response:
        """One request and its whole answer within `timeout` seconds.

        Raises NetworkError; ConfigError for a proxy or certificates that cannot be used; Interrupted with the fact
        `maybe_received`.
        """
        exchange = Exchange(self._shutdown, timeout, timeout)
        is_get = request.method == "GET"
        connection = None
        try:
            connection = self._connect(request, exchange, reuse=is_get)
            with self._ask(connection, request, keep=is_get) as answer:
                content = answer.read()
                response = Response(answer.status, answer.headers, _unpacked(content, answer.headers))
            if is_get and not answer.will_close:
                self._pool.keep(connection)
                connection = None
            return response
        except Interrupted as stop:
            raise stop.but(maybe_received=exchange.sent) from None
        except FAILURES as error:
            raise network_error(error, exchange) from None
        finally:
            if connection:
                connection.close()

    def stream(self, request: Request, idle_timeout: float, time_limit: float | None = None) -> Stream:
        """A request whose body or answer is a transfer.

        `idle_timeout` seconds bound each silence in a body; connecting, sending the headers and waiting for those of
        the answer together; and, after a body was sent, the headers of the answer. `time_limit` seconds bound it all.
        Raises as `send` does.
        """
        exchange = Exchange(self._shutdown, idle_timeout, time_limit)
        connection = None
        try:
            connection = self._connect(request, exchange, reuse=False)
            answer = self._ask(connection, request, keep=False)
            exchange.limit_waits()
            stream, connection = Stream(answer, connection, exchange), None
            return stream
        except Interrupted as stop:
            raise stop.but(maybe_received=exchange.sent) from None
        except FAILURES as error:
            raise network_error(error, exchange) from None
        finally:
            if connection:
                connection.close()

    def close(self) -> None:
        """Closes the connections that were kept for a next GET."""
        self._pool.close()

    def _connect(self, request: Request, exchange: Exchange, *, reuse: bool) -> Connection:
        """A connection to the request's origin: one that was kept, if that is allowed, else a new one."""
        address = Address(request.url)
        connection = self._pool.take(address.origin) if reuse else None
        if connection:
            connection.address = address
            connection.serve(exchange)
            return connection
        connection = Connection(address, proxy_for(address), self._tls() if address.is_secure else None)
        connection.serve(exchange)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def _ask(self, connection: Connection, request: Request, *, keep: bool) -> http.client.HTTPResponse:
        headers = {**request.headers, "Connection": "keep-alive" if keep else "close"}
        return connection.ask(request.method, headers, request.body)

    def _tls(self) -> ssl.SSLContext:
        """Made once, for the first https URL: reading the certificates takes longer than a request."""
        if self._context is None:
            self._context = make_context()
        return self._context


def _unpacked(content: bytes, headers: Message) -> bytes:
    """The content without compression, which a server may apply although it was not asked for. Raises OSError."""
    if not content or headers.get("Content-Encoding", "").strip().lower() not in ("gzip", "x-gzip"):
        return content
    import zlib

    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(content, MAX_UNPACKED)
    except zlib.error as error:
        raise OSError(f"its gzip content is damaged: {error}") from None
    if not unpacker.eof or unpacker.unused_data:
        raise OSError("its gzip content is cut off, too large, or followed by something else")
    return plain
