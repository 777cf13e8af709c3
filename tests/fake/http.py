"""The stand-in's HTTP/1.1 server on loopback: one thread a connection, every request recorded.

A service is a function from `Request` to `Answer`. Request bodies are read as they arrive. A test can act at these
moments of an exchange, which continues when the callback returns, or hold it there:

| moment           | when                                                                                        |
|------------------|---------------------------------------------------------------------------------------------|
| post accepted    | a POST was accepted and is in `accepted`; nothing of its answer has been sent               |
| post answered    | the last byte of that answer has been sent                                                  |
| first poll       | the first GET of a task, invocation or session arrived; nothing of its answer has been sent |
| output half sent | half of an output's bytes have been sent                                                    |
| output sent      | the last byte of an output has been sent                                                    |
"""

from __future__ import annotations

import contextlib
import io
import json
import select
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Callable
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from tests.fake.faults import Faults

MOMENTS = ("post accepted", "post answered", "first poll", "output half sent", "output sent")
PIECE = 64 * 1024  # bytes read or written at a time
KEEP = 16 * 1024 * 1024  # bytes of a request's body that are recorded
FOREVER = 3600.0  # seconds; no test waits for it


class NoAnswer(Exception):
    """Raised by a service that never answers this request."""


class Request:
    """One request as a server saw it.

    `target` is as on the wire, `path` without the query; header names are in lower case; `at` is in monotonic seconds.
    `method` is empty where the connection was reset before anything was read. The body is read once and as it arrives;
    `length` is None where none was declared, as in a chunked one, which no service accepts.
    """

    def __init__(
        self, server: str, method: str, target: str, headers: dict[str, str], *, stream: io.BufferedIOBase
    ) -> None:
        self.server, self.method, self.target, self.headers = server, method, target, headers
        self.path = urlsplit(target).path
        self.query = parse_qs(urlsplit(target).query, keep_blank_values=True)
        self.at = time.monotonic()
        self.length = int(headers["content-length"]) if "content-length" in headers else None
        self._unread = _counted(stream, self.length or 0)
        self._size, self._kept = 0, bytearray()

    @property
    def body(self) -> bytes:
        """What was read of the body; nothing where it is larger than KEEP."""
        return bytes(self._kept)

    def json(self) -> Any:
        """Returns the body as JSON. Raises ValueError where it is not JSON."""
        return json.loads(self.body)

    def first(self, name: str) -> str | None:
        """Returns the first value of a query parameter."""
        return self.query[name][0] if name in self.query else None

    def pieces(self) -> Iterator[bytes]:
        """Yields what is still unread. Raises ConnectionAbortedError where the client leaves too early."""
        for piece in self._unread:
            self._size += len(piece)
            self._kept += piece
            if self._size > KEEP:
                self._kept.clear()
            yield piece

    def read(self) -> bytes:
        """Reads what is still unread."""
        return b"".join(self.pieces())

    def take(self, size: int) -> None:
        """Reads at least `size` bytes, or all if there are fewer."""
        pieces = self.pieces()
        while self._size < size and next(pieces, b""):
            pass


def _counted(stream: io.BufferedIOBase, left: int) -> Iterator[bytes]:
    while left:
        piece = stream.read1(min(left, PIECE))
        if not piece:
            raise ConnectionAbortedError("the client left in the middle of its body")
        left -= len(piece)
        yield piece


@dataclass(frozen=True)
class Answer:
    """What a service answers. `length` is its Content-Length (None: the body's own; -1: none, ended by closing).

    After `cut` bytes of the body the connection closes. `before`, `halfway` and `after` name the moments that its
    sending passes, on behalf of `record_id`.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    cut: int | None = None
    before: str = ""
    halfway: str = ""
    after: str = ""
    record_id: str = ""


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """Returns an answer that holds a value as JSON in UTF-8."""
    body = json.dumps(value, ensure_ascii=False).encode("utf-8")
    return Answer(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, body)


class Hold:
    """Exchanges that wait at a moment. `ids` are the records (or outputs) they are about, in order of arrival."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._released = threading.Event()
        self.release = self._released.set  # lets them continue, and those that come later pass

    def stop(self, record_id: str) -> None:
        """Holds an exchange about this record."""
        self.ids.append(record_id)
        self._released.wait()


class Moments:
    """The callbacks of each moment; they run in the exchange's thread."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[[str], None]]] = {moment: [] for moment in MOMENTS}

    def on(self, moment: str, callback: Callable[[str], None]) -> None:
        """Calls `callback(record_id)` at every such moment from now on. Raises KeyError for an unknown moment."""
        self._callbacks[moment].append(callback)

    @contextlib.contextmanager
    def hold(self, moment: str) -> Iterator[Hold]:
        """Holds every exchange that comes to the moment, until `release` or the end of the block."""
        hold = Hold()
        self.on(moment, hold.stop)
        try:
            yield hold
        finally:
            hold.release()
            self._callbacks[moment].remove(hold.stop)

    def reach(self, moment: str, record_id: str) -> None:
        """Runs the callbacks of a moment; nothing happens where its name is empty."""
        for callback in list(self._callbacks[moment]) if moment else ():
            callback(record_id)


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
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            lowered = name.lower()
            headers[lowered] = f"{headers[lowered]}, {value}" if lowered in headers else value
        target = self.raw_requestline.split()[1].decode("latin-1")
        request = Request(self.server.name, self.command, target, headers, stream=self.rfile)
        self.server.requests.append(request)
        try:
            fault = self.server.faults.pick(self.server.name, request)
            if fault:
                fault.apply(self, request)
            else:
                self.respond(self.act(request), request)
        except NoAnswer:
            request.read()
            self.close_connection = True
            self.pause(FOREVER)
        except ConnectionError:
            self.close_connection = True

    def act(self, request: Request) -> Answer:
        """Lets the service act on a request; nothing is sent yet."""
        answer = self.server.service(request)
        self.server.moments.reach(answer.before, answer.record_id)
        return answer

    def respond(self, answer: Answer, request: Request) -> None:
        """Sends an answer; what the service left unread of the request is read first, so that nothing is reset."""
        for _ in request.pieces():
            pass
        sent, half = answer.body[: answer.cut], len(answer.body) // 2
        self.connection.sendall(self.head(answer) + sent[:half])
        if len(sent) >= half:
            self.server.moments.reach(answer.halfway, answer.record_id)
        self.connection.sendall(sent[half:])
        if answer.cut is not None:
            raise ConnectionAbortedError("broken off on purpose")
        self.server.moments.reach(answer.after, answer.record_id)

    def head(self, answer: Answer) -> bytes:
        """Returns the status line and the headers; decides whether the connection stays open."""
        headers = {"Date": self.date_time_string(), **answer.headers}
        if answer.length == -1:
            self.close_connection = True
        elif answer.status not in (204, 304):
            headers["Content-Length"] = str(len(answer.body) if answer.length is None else answer.length)
        headers["Connection"] = "close" if self.close_connection else "keep-alive"
        lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def abort(self) -> None:
        """Resets the connection. Raises ConnectionAbortedError."""
        reset(self.connection)
        for each in (self.rfile, self.wfile, self.connection):
            each.close()
        raise ConnectionAbortedError

    def pause(self, seconds: float) -> bool:
        """Waits; returns False as soon as the client has gone away or the server stops."""
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
        """Says nothing."""


def reset(connection: socket.socket) -> None:
    """Makes the coming close of a connection an RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class FakeServer(ThreadingHTTPServer):
    """One origin on loopback. `service` answers; `requests` records under `name`; `tls`: (certfile, keyfile)."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(
        self,
        name: str,
        service: Callable[[Request], Answer],
        requests: list[Request],
        faults: Faults,
        moments: Moments,
        *,
        tls: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.name, self.service, self.requests = name, service, requests
        self.faults, self.moments = faults, moments
        self.stopping = threading.Event()
        self.connections: set[socket.socket] = set()
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
        """Serves in a thread of its own until `stop`."""
        threading.Thread(target=self.serve_forever, args=(0.004,), daemon=True).start()

    def stop(self) -> None:
        """Stops, and leaves no connection open."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            _shut(connection)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.faults.pick(self.name):
            self.requests.append(Request(self.name, "", "", {}, stream=io.BytesIO()))
            reset(request)
            request.close()
            return
        connection = self._tls.wrap_socket(request, server_side=True) if self._tls else request
        self.connections.add(connection)
        try:
            super().finish_request(connection, client_address)
        finally:
            self.connections.discard(connection)
            _shut(connection)
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away is everyday life; anything else is a fault in the fake and must be seen.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
