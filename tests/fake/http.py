"""The servers of the stand-in: HTTP/1.1 on loopback, one thread a connection, every request recorded.

A service is a function from `Request` to `Answer`. Bodies may be streams both ways, so that 200 MB never sit in memory.
"""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Callable
from urllib.parse import parse_qs, urlsplit

from tests.fake.messages import KEEP, Aborted, Answer, Body, BrokenOff, Journal, NoAnswer, Recorded, Request
from tests.fake.moments import Moments

if TYPE_CHECKING:
    from tests.fake.faults import Faults

FOREVER = 3600.0  # seconds; no test waits for it


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
            if not self.server.faults.meet(self, request):
                self.respond(self.act(request), request)
        except NoAnswer:
            request.body.read()
            self.close_connection = True
            self.pause(FOREVER)
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
        self.server.journal.add(recorded)
        self._recorded = recorded
        body = Body(self.rfile, headers, keep=self.server.keep, on_read=self._note)
        return Request(self.server.name, self.command, target, parts.path, query, headers, body)

    def _note(self, body: bytes) -> None:
        whole = replace(self._recorded, body=body)
        self.server.journal.replace(self._recorded, whole)
        self._recorded = whole

    def act(self, request: Request) -> Answer:
        """Let the service act on a request; nothing is sent yet."""
        answer = self.server.service(request)
        self.server.moments.reach(answer.before, answer.record_id)
        return answer

    def respond(self, answer: Answer, request: Request) -> None:
        """Send an answer; what the service left unread of the request is read first, so that nothing is reset."""
        for _ in request.body.pieces():
            pass
        head = self.head(answer)
        if isinstance(answer.body, bytes):
            self.connection.sendall(head + answer.body)
        else:
            self.connection.sendall(head)
            self._stream(answer, answer.body)
        self.server.moments.reach(answer.after, answer.record_id)

    def _stream(self, answer: Answer, pieces: Iterable[bytes]) -> None:
        until_half = answer.length // 2 if answer.halfway and answer.length else None
        for piece in pieces:
            if until_half is not None and len(piece) >= until_half:
                self.connection.sendall(piece[:until_half])
                self.server.moments.reach(answer.halfway, answer.record_id)
                self.connection.sendall(piece[until_half:])
                until_half = None
                continue
            if until_half is not None:
                until_half -= len(piece)
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
        lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}"]
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
        faults: Faults,
        moments: Moments,
        *,
        tls: tuple[str, str] | None = None,
        keep: int = KEEP,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.name = name
        self.service = service
        self.journal = journal
        self.faults = faults
        self.moments = moments
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
        threading.Thread(target=self.serve_forever, args=(0.004,), daemon=True).start()

    def stop(self) -> None:
        """Stop, and leave no connection open."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            _shut(connection)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.faults.resets(self.name):
            self.journal.add(Recorded(self.name, "", "", "", {}, {}, b"", time.monotonic()))
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
