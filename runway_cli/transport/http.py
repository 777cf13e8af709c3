"""One HTTP exchange: limited in time, without redirects, to any http or https URL.

Every answer of the server, whatever its status, is a Response or a Stream. Everything else is a NetworkError that says
whether the request may have been received: no before the connection and its TLS handshake are complete, maybe from the
first byte that was sent. (Why http.client and not urllib.request: CONTRIBUTING.md.)
"""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

from ..errors import ConfigError, Interrupted, NetworkError
from ..settings import url_fault
from .sockets import Connection, Exchange, Framed, OutOfTime

try:
    import ssl

    from . import tls

    TLS_FAULTS: tuple[type[OSError], ...] = (ssl.SSLError,)
except ImportError:  # a Python without OpenSSL, which reaches http on loopback all the same
    TLS_FAULTS = ()

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from email.message import Message
    from typing import Any

    from ..shutdown import Shutdown


PIECE = 64 * 1024  # bytes read at a time; TLS gives 16 KiB, and to make room for more takes time for nothing
MAX_UNPACKED = 1 << 30  # bytes that a compressed answer may unpack to


class Response:
    """A complete answer. `headers` finds names in any case; `body` is bytes, decompressed."""

    def __init__(self, status: int, headers: Message, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Stream:
    """An answer that is read in pieces. `headers` finds names in any case. The caller closes it."""

    def __init__(self, answer: Framed, connection: Connection) -> None:
        self.status = answer.status
        self.headers: Message = answer.headers
        self.answer = answer
        self.connection = connection

    def read(self) -> bytes:
        """Returns what arrives next, PIECE bytes at most; empty at the end. Raises NetworkError if it is cut off.

        A piece is returned as it comes: what arrived before the connection broke is never lost.
        """
        with reported_failures(self.connection.exchange):
            piece = self.answer.read1(PIECE)
            missing = self.answer.length  # what Content-Length promised and is still to come
            if not piece and missing:
                raise http.client.IncompleteRead(b"", missing)
            return piece

    def read_all(self) -> bytes:
        """Returns the whole answer, without the gzip that a server may apply unasked. Raises NetworkError."""
        with reported_failures(self.connection.exchange):
            content = b"".join(iter(self.read, b""))
            return _unpacked(content) if content.startswith(b"\x1f\x8b") else content  # as no JSON begins

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


class Transport:
    """Sends requests. Safe to use from several threads.

    A body is bytes, an iterable of bytes with its Content-Length among the headers, or None. A GET of `send` may leave
    its connection for a next GET to the same origin within two seconds: pages over TLS take half the time. No other
    method is sent over a used connection, which may be stale: nobody could tell whether the request was lost with it.
    """

    def __init__(self, shutdown: Shutdown) -> None:
        self._shutdown = shutdown
        self._kept: dict[tuple[str, str], Connection] = {}  # by origin; of two threads that pop one, one gets it
        self._winners: dict[tuple[str, int], Any] = {}  # host and port: the address that accepted
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
            content = stream.read_all()
        except BaseException:
            stream.close()
            raise
        stream.answer.close()  # the connection stays open
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
            fault = url_fault(url)
            if fault:
                raise ValueError(f"the URL {fault}")
            parts = urlsplit(url)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            kept = self._kept.pop((parts.scheme, parts.netloc), None) if keep else None
            if kept and not kept.is_fresh():
                kept.close()
                kept = None
            context = self._tls() if parts.scheme == "https" else None
            connection = kept or Connection(parts, context, self._winners)
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
        if not TLS_FAULTS:
            raise ConfigError("this Python was built without the module ssl: it cannot reach an https URL")
        if self._context is None:
            self._context = tls.new_context()
        return self._context


@contextmanager
def reported_failures(exchange: Exchange) -> Iterator[None]:
    """Raises what goes wrong in an exchange as its callers expect it: see `Transport.send`."""
    try:
        yield
    except Interrupted as stop:
        raise stop.but(maybe_received=exchange.sent) from None
    except (OSError, http.client.HTTPException, ValueError, MemoryError) as error:
        # ValueError: a URL, a header or a certificate; each stays as it is
        is_final = not exchange.sent and isinstance(error, (ValueError, http.client.InvalidURL))
        refusals = (ConnectionRefusedError, socket.gaierror, TLS_FAULTS)
        raise NetworkError(
            (f"{exchange.peer}: " if exchange.peer else "") + _words(error, exchange.sent),
            maybe_received=exchange.sent,
            permanent=is_final or (not exchange.sent and isinstance(error, refusals)),
            final=is_final,
        ) from None


def _words(error: Exception, was_sent: bool) -> str:
    """Returns what went wrong, in words for a user."""
    if isinstance(error, TLS_FAULTS):
        return tls.words(error)
    if isinstance(error, OutOfTime):
        return str(error) if was_sent else f"{error} (no connection)"
    if isinstance(error, socket.gaierror):
        return f"the host name was not found ({error.strerror})"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was cut off" + (f", {error.expected} bytes are missing" if error.expected else "")
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower().rstrip(".")
    if not was_sent:
        return f"the request cannot be sent ({str(error) or type(error).__name__})"
    return f"the answer is not HTTP ({str(error).strip() or type(error).__name__})"


def _unpacked(content: bytes) -> bytes:
    """Returns what gzip holds. Raises OSError."""
    import zlib

    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(content, MAX_UNPACKED)
        if unpacker.eof and not unpacker.unused_data:
            return plain
    except zlib.error:
        pass
    raise OSError("the gzip body is invalid")
