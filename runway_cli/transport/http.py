"""One HTTP exchange: limited in time, without redirects, to any http or https URL.

Every answer of the server, whatever its status, is a Response or a Stream. Everything else is a NetworkError that says
whether the request may have been received: no before the connection and its TLS handshake are complete, maybe from the
first byte that was sent.

http.client is used and not urllib.request, which closes every connection, has no deadline, and cannot tell whether a
byte was sent.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
import time
from contextlib import contextmanager

from ..errors import ConfigError, Interrupted, NetworkError
from .sockets import Connection, Ended, Exchange, OutOfTime, SecureSocket, proxy_for, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from email.message import Message

    from ..shutdown import Shutdown


CERTIFICATE_FAULTS = {  # OpenSSL's verification results that are explained (x509_vfy.h)
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is self-signed",
    19: "its certificate chain ends in a self-signed one that is not trusted",
    20: "its certificate was issued by an authority that is not trusted",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}
TLS_RECORD = 16 * 1024  # bytes that a TLS record holds at most (RFC 8446, 5.1)
MAX_UNPACKED = 1 << 30  # bytes that a compressed answer may unpack to


class Response:
    """A complete answer. `headers` finds names in any case; `body` is bytes, decompressed."""

    def __init__(self, status: int, headers: Message, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Stream:
    """An answer that is read in pieces. `headers` finds names in any case. The caller closes it."""

    def __init__(self, answer: http.client.HTTPResponse, connection: Connection) -> None:
        self.status = answer.status
        self.headers: Message = answer.headers
        self.answer = answer
        self.connection = connection

    def read(self, size: int) -> bytes:
        """Returns what arrives next, 1 to `size` bytes; empty at the end. Raises NetworkError if the answer is cut off.

        A piece is returned as it comes: what arrived before the connection broke is never lost.
        """
        with reported_failures(self.connection.exchange):
            # A read over TLS gives one record. To make room for more each time takes as long as to decrypt it.
            piece = self.answer.read1(min(size, TLS_RECORD) if self.connection.context else size)
            missing = self.answer.length  # what Content-Length promised and is still to come
            if not piece and missing:
                raise http.client.IncompleteRead(b"", missing)
            return piece

    def close(self) -> None:
        self.answer.close()
        self.connection.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Transport:
    """Sends requests. Safe to use from several threads.

    A body is bytes, an iterable of bytes with its Content-Length among the headers, or None. A GET of `send` may leave
    its connection for a next GET to the same origin within two seconds: pages over TLS take half the time. No other
    method is sent over a used connection, which may be stale: nobody could tell whether the request was lost with it.
    """

    def __init__(self, shutdown: Shutdown) -> None:
        self._shutdown = shutdown
        self._kept: dict[tuple[str, str], Connection] = {}  # by origin; of two threads that pop one, one gets it
        self._context: ssl.SSLContext | None = None

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, timeout: float
    ) -> Response:
        """Sends a request and returns its whole answer, all within `timeout` seconds.

        Raises NetworkError; ConfigError for a proxy or certificates that cannot be used; Interrupted with the fact
        `maybe_received`.
        """
        is_get = method == "GET"
        stream = self.stream(method, url, headers, body, idle_timeout=timeout, time_limit=timeout, keep=is_get)
        try:
            with reported_failures(stream.connection.exchange):
                content = _unpacked(stream.answer.read(), stream.headers)
        except BaseException:
            stream.close()
            raise
        connection = stream.connection
        connection.last_used = time.monotonic()
        may_be_kept = is_get and not stream.answer.will_close
        if not may_be_kept or self._kept.setdefault(connection.origin, connection) is not connection:
            stream.close()
        return Response(stream.status, stream.headers, content)

    def stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None = None,
        *,
        idle_timeout: float,
        time_limit: float | None = None,
        keep: bool = False,
    ) -> Stream:
        """Sends a request and returns its answer, whose body is still to be read.

        `idle_timeout` seconds bound each silence in a body; connecting, sending the headers and waiting for those of
        the answer together; and, after a body was sent, the headers of the answer. `time_limit` seconds bound it all.
        `keep` asks the server to keep the connection open. Raises as `send` does.
        """
        exchange = Exchange(self._shutdown, idle_timeout, time_limit)
        with reported_failures(exchange):
            parts = split(url)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            kept = self._kept.pop((parts.scheme, parts.netloc), None) if keep else None
            if kept and not kept.is_fresh():
                kept.close()
                kept = None
            context = self._tls() if parts.scheme == "https" else None
            connection = kept or Connection(parts, proxy_for(parts), context)
            try:
                connection.serve(exchange)
                headers = {**headers, "Connection": "keep-alive" if keep else "close"}
                answer = connection.ask(method, target, headers, body)
            except BaseException:
                connection.close()
                raise
        exchange.limit_waits()
        return Stream(answer, connection)

    def close(self) -> None:
        """Closes what was kept for a next GET."""
        for origin in list(self._kept):
            kept = self._kept.pop(origin, None)  # unless another thread was faster
            if kept:
                kept.close()

    def _tls(self) -> ssl.SSLContext:
        """Returns what TLS trusts, made once: reading the certificates takes longer than a request."""
        if self._context is None:
            try:
                self._context = ssl.create_default_context()
            except (OSError, ValueError) as error:
                words = f"the trusted certificates cannot be read: {error}; check SSL_CERT_FILE and SSL_CERT_DIR"
                raise ConfigError(words) from None
            self._context.sslsocket_class = SecureSocket
        return self._context


@contextmanager
def reported_failures(exchange: Exchange) -> Iterator[None]:
    """Raises what goes wrong in an exchange as its callers expect it: see `Transport.send`."""
    try:
        yield
    except Interrupted as stop:
        raise stop.but(maybe_received=exchange.sent) from None
    except (OSError, http.client.HTTPException, ValueError, MemoryError, OverflowError, Ended) as error:
        # ValueError: a URL, a header or a certificate; each stays as it is
        is_final = not exchange.sent and isinstance(error, (ValueError, http.client.InvalidURL))
        refusals = (ConnectionRefusedError, socket.gaierror, ssl.SSLError)
        is_permanent = is_final or (not exchange.sent and isinstance(error, refusals))
        message = (f"{exchange.peer}: " if exchange.peer else "") + _words(error, exchange.sent)
        facts = {"maybe_received": exchange.sent, "permanent": is_permanent, "final": is_final}
        raise NetworkError(message, **facts) from None


def _words(error: Exception, was_sent: bool) -> str:
    """Returns what went wrong, in words for a user."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_words(getattr(error, "verify_code", 0), getattr(error, "verify_message", None))
    if isinstance(error, OutOfTime):
        return str(error) if was_sent else f"{error} (no connection)"
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
    if isinstance(error, (MemoryError, OverflowError)) and was_sent:  # as its Content-Length or a chunk claims
        return "the answer is larger than this machine's memory"
    if not was_sent:
        return f"the request cannot be sent ({str(error) or type(error).__name__})"
    return f"the answer is not HTTP ({str(error).strip() or type(error).__name__})"


def _certificate_words(code: int, message: str | None) -> str:
    """Returns why a certificate was refused, by OpenSSL's code and message, and what may help."""
    message = message or "the certificate was refused"
    fault = CERTIFICATE_FAULTS.get(code)
    words = f"not trusted, {fault} ({message})" if fault else f"not trusted, {message}"
    if sys.platform == "darwin" and code in (19, 20):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f'{words}; run "/Applications/Python {version}/Install Certificates.command" once'
    return words + ("; SSL_CERT_FILE can name a file of further authorities" if code in (18, 19, 20) else "")


def _unpacked(content: bytes, headers: Message) -> bytes:
    """Returns the content without gzip, which a server may apply although nobody asked for it. Raises OSError."""
    if not content or headers.get("Content-Encoding", "").strip().lower() not in ("gzip", "x-gzip"):
        return content
    import zlib

    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(content, MAX_UNPACKED)
        if unpacker.eof and not unpacker.unused_data:
            return plain
    except zlib.error:
        pass
    raise OSError("the gzip body is invalid")
