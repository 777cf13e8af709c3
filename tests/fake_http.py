"""The wire of the stand-in services: HTTP/1.1 on loopback, one thread a connection, every request written down.

A service is a function from `Request` to `Answer`. Bodies may be streams both ways, so that 200 MB never sit in memory.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any, Callable, Protocol
from urllib.parse import parse_qs, urlsplit

PIECE = 64 * 1024  # bytes read or written at a time
KEEP = 16 * 1024 * 1024  # bytes of a request's body that are kept for the record, unless a service keeps fewer


class Aborted(ConnectionError):
    """This side reset the connection on purpose."""


class BrokenOff(Exception):
    """Raised by an answer's stream: what was promised does not follow, the connection closes."""


@dataclass(frozen=True)
class Recorded:
    """One request as a server saw it: `target` as on the wire, header names in lower case, `at` in monotonic seconds.

    `body` is what was read of it; it stays empty where the body was larger than the server keeps. `method` is empty
    where the connection was reset before anything was read.
    """

    server: str
    method: str
    target: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        """The body as JSON. Raises ValueError where it is none."""
        return json.loads(self.body)


class Journal:
    """What all servers saw, in order of arrival."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self._lock = threading.Lock()

    def arrived(self, recorded: Recorded) -> None:
        with self._lock:
            self.requests.append(recorded)

    def replace(self, old: Recorded, new: Recorded) -> None:
        """Put the record with its body in the place of the one without; do nothing if a test has cleared the list."""
        with self._lock:
            for index in range(len(self.requests) - 1, -1, -1):
                if self.requests[index] is old:
                    self.requests[index] = new
                    return


class Body:
    """A request's body, read once and as it comes."""

    def __init__(
        self,
        stream: BufferedIOBase,
        headers: Mapping[str, str],
        *,
        keep: int = KEEP,
        on_read: Callable[[bytes], None] | None = None,
    ) -> None:
        self.chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        declared = headers.get("content-length", "")
        self.length = int(declared) if declared.isdigit() and not self.chunked else None
        self._pieces = self._chunks(stream) if self.chunked else self._counted(stream, self.length or 0)
        self._keep = keep
        self._kept = bytearray()
        self._size = 0
        self._on_read = on_read

    def pieces(self) -> Iterator[bytes]:
        """Yield what is still unread. Raises ConnectionAbortedError where the client leaves too early."""
        try:
            for piece in self._pieces:
                self._note(piece)
                yield piece
        finally:
            self._tell()

    def read(self) -> bytes:
        """Read what is still unread."""
        return b"".join(self.pieces())

    def take(self, size: int) -> None:
        """Read at least `size` bytes, or all if there are fewer."""
        while self._size < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._note(piece)
        self._tell()

    def _note(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._keep:
            self._kept += piece
        else:
            self._kept.clear()

    def _tell(self) -> None:
        if self._on_read:
            self._on_read(bytes(self._kept))

    def _counted(self, stream: BufferedIOBase, left: int) -> Iterator[bytes]:
        while left:
            piece = stream.read1(min(left, PIECE))
            if not piece:
                raise ConnectionAbortedError("the client left in the middle of its body")
            left -= len(piece)
            yield piece

    def _chunks(self, stream: BufferedIOBase) -> Iterator[bytes]:
        while True:
            line = stream.readline(1024).split(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError:
                raise ConnectionAbortedError("the client's chunks broke off") from None
            yield from self._counted(stream, size)
            if not size:
                while stream.readline(1024).strip():
                    pass
                return
            stream.readline(1024)


@dataclass
class Request:
    """What a service is asked. `path` is without the query; header names are in lower case."""

    server: str
    method: str
    target: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Body

    def first(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return self.query[name][0] if name in self.query else None


@dataclass(frozen=True)
class Answer:
    """What a service answers. With a stream as `body`, `length` is its Content-Length; None: ended by closing."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None

    def promised(self) -> int | None:
        """The Content-Length to send."""
        return len(self.body) if isinstance(self.body, bytes) and self.length is None else self.length

    def content(self) -> bytes:
        """The whole body, however it comes."""
        return self.body if isinstance(self.body, bytes) else b"".join(self.body)


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that holds a value as JSON in UTF-8."""
    body = json.dumps(value, ensure_ascii=False).encode("utf-8")
    return Answer(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, body)


class Interceptor(Protocol):
    """What may stand between a connection and the service: the faults."""

    def resets(self, server: str) -> bool:
        """Whether the connection that was just accepted is to be reset unread."""

    def meet(self, exchange: Exchange, request: Request) -> bool:
        """Meet the request in the service's stead; False: nothing stands in the way."""


class Exchange(BaseHTTPRequestHandler):
    """One connection: reads requests, lets the service answer, and knows how to answer badly."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FakeServer

    def handle_one_request(self) -> None:
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            return
        request = self._request()
        try:
            if not self.server.interceptor.meet(self, request):
                self.respond(self.server.service(request), request)
        except (BrokenOff, ConnectionError):
            self.close_connection = True

    def _request(self) -> Request:
        target = self.raw_requestline.split()[1].decode("latin-1")
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            lowered = name.lower()
            headers[lowered] = f"{headers[lowered]}, {value}" if lowered in headers else value
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        recorded = Recorded(self.server.name, self.command, target, parts.path, query, headers, b"", time.monotonic())
        self.server.journal.arrived(recorded)
        self._recorded = recorded
        body = Body(self.rfile, headers, keep=self.server.keep, on_read=self._note)
        return Request(self.server.name, self.command, target, parts.path, query, headers, body)

    def _note(self, body: bytes) -> None:
        whole = replace(self._recorded, body=body)
        self.server.journal.replace(self._recorded, whole)
        self._recorded = whole

    def respond(self, answer: Answer, request: Request) -> None:
        """Send an answer; what the service left unread of the request is read first, so that nothing is reset."""
        for _ in request.body.pieces():
            pass
        head = self.head(answer)
        if isinstance(answer.body, bytes):
            self.connection.sendall(head + answer.body)
            return
        self.connection.sendall(head)
        for piece in answer.body:
            self.connection.sendall(piece)

    def head(self, answer: Answer) -> bytes:
        """The status line and the headers as bytes; decides whether the connection stays open."""
        headers = {"Date": self.date_time_string(), **answer.headers}
        length = answer.promised()
        if answer.status not in (204, 304):
            if length is None:
                self.close_connection = True
            else:
                headers["Content-Length"] = str(length)
        if self.close_connection:
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def abort(self) -> None:
        """Reset the connection. Raises Aborted."""
        reset(self.connection)
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
        raise Aborted

    def pause(self, seconds: float) -> bool:
        """Wait; False as soon as the client has gone away or the server stops."""
        until = time.monotonic() + seconds
        while not self.server.stopping.is_set():
            left = until - time.monotonic()
            if left <= 0:
                return True
            readable, _, _ = select.select([self.connection], [], [], min(left, 0.05))
            if readable:  # a client that waits for its answer sends nothing: it has closed
                return False
        return False

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def reset(connection: socket.socket) -> None:
    """Make the coming close of a connection an RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class FakeServer(ThreadingHTTPServer):
    """One origin on loopback. `service` answers; `name` is what the journal calls it; `tls`: (certfile, keyfile)."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(
        self,
        name: str,
        service: Callable[[Request], Answer],
        journal: Journal,
        interceptor: Interceptor,
        *,
        tls: tuple[str, str] | None = None,
        keep: int = KEEP,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.name = name
        self.service = service
        self.journal = journal
        self.interceptor = interceptor
        self.keep = keep
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._tls: ssl.SSLContext | None = None
        if tls:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*tls)
        self.url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{self.server_address[1]}"

    def server_bind(self) -> None:
        # HTTPServer's own would look up a name for the address.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def start(self) -> None:
        """Serve in a thread of its own until `stop`."""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Stop, and leave no connection open."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            _shut(connection)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.interceptor.resets(self.name):
            self.journal.arrived(Recorded(self.name, "", "", "", {}, {}, b"", time.monotonic()))
            reset(request)
            request.close()
            return
        connection = self._tls.wrap_socket(request, server_side=True) if self._tls else request
        self._open.add(connection)
        try:
            super().finish_request(connection, client_address)
        finally:
            self._open.discard(connection)
            _shut(connection)
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away is everyday life; anything else is a fault in the fake and must be seen.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
