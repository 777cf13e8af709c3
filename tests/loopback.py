"""Servers on loopback that follow a script, byte by byte, and a transport that talks to them."""

from __future__ import annotations

import select
import socket
import socketserver
import ssl
import struct
import threading
import time
import unittest
from collections.abc import Iterator
from contextlib import closing
from typing import Callable

from runway_cli.errors import NetworkError
from runway_cli.shutdown import Shutdown
from runway_cli.transport import FOREVER, Stream, Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
WINE = "Wine buffers megabytes of an upload, as Linux does, and cannot be told to buffer less"


class Conversation:
    """One connection as the server sees it."""

    def __init__(self, connection: socket.socket, server: Server) -> None:
        self.connection = connection
        self.server = server

    def read_head(self) -> str:
        """Reads up to the end of a request's headers; empty where the client leaves before."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.connection.recv(1)
            if not byte:
                return ""
            head += byte
        self.server.heads.append(head.decode("latin-1"))
        return self.server.heads[-1]

    def read_request(self) -> str:
        """Reads a request with its body, and notes both."""
        head = self.read_head()
        if head:
            self.server.bodies.append(b"".join(self.read_body(head)))
        return head

    def read_body(self, head: str, size: int = 65536) -> Iterator[bytes]:
        """Yields the body that belongs to a head, in pieces of at most `size` bytes."""
        left = content_length(head)
        while left and not self.server.is_stopping:
            piece = self.connection.recv(min(left, size))
            if not piece:
                return
            left -= len(piece)
            yield piece

    def say(self, content: bytes) -> None:
        self.connection.sendall(content)

    def trickle(self, content: bytes, seconds: float, size: int = 1) -> None:
        """Sends piece by piece, with a pause after each, as long as the client stays."""
        for start in range(0, len(content), size):
            self.say(content[start : start + size])
            if not self.wait(seconds):
                return

    def wait(self, seconds: float = 60) -> bool:
        """Waits; returns False as soon as the client has gone or the server stops."""
        end = time.monotonic() + seconds
        while not self.server.is_stopping and time.monotonic() < end:
            if select.select([self.connection], [], [], min(0.02, seconds))[0]:
                try:
                    if not self.connection.recv(65536):
                        return False
                except OSError:
                    return False
        return not self.server.is_stopping

    def reset(self) -> None:
        """Makes the close an RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def content_length(head: str) -> int:
    """Returns the Content-Length of a head, 0 without one."""
    lengths = [line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
    return int(lengths[0]) if lengths else 0


Script = Callable[[Conversation], object]


class Server(socketserver.ThreadingTCPServer):
    """Runs its script for each connection. `heads` and `bodies` are the requests that arrived."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, script: Script, certificate: tuple[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.script = script
        self.accepted = 0
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.is_stopping = False
        self.tls: ssl.SSLContext | None = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.port: int = self.server_address[1]
        self.url = f"https://localhost:{self.port}" if certificate else f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def finish_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self.accepted += 1
        connection = self.tls.wrap_socket(request, server_side=True) if self.tls else request
        try:
            self.script(Conversation(connection, self))
        finally:
            connection.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores a client that goes away."""

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_stopping = True
        self.shutdown()
        self.server_close()


def answering(answer: bytes = OK, *, times: int = 1) -> Script:
    """Returns a script that reads a request and answers it, so many times on one connection."""

    def script(conversation: Conversation) -> None:
        for _ in range(times):
            if not conversation.read_request():
                return
            conversation.say(answer)

    return script


class SilentListener:
    """A port that accepts connections and says nothing; with `is_full`, one that accepts none (on Linux)."""

    def __init__(self, *, is_full: bool = False) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0 if is_full else 8)
        self.address: tuple[str, int] = self._listener.getsockname()
        self._waiting = []
        for _ in range(8 if is_full else 0):
            link = socket.socket()
            link.setblocking(False)
            link.connect_ex(self.address)
            self._waiting.append(link)

    def __enter__(self) -> SilentListener:
        return self

    def __exit__(self, *_: object) -> None:
        for link in (*self._waiting, self._listener):
            link.close()


class TransportTest(unittest.TestCase):
    """A transport, and servers that follow the script that a test starts them with."""

    def setUp(self) -> None:
        self.shutdown = Shutdown()
        self.transport = Transport(self.shutdown)
        self.addCleanup(self.transport.close)

    def start(self, script: Script, certificate: tuple[str, str] | None = None) -> Server:
        server = Server(script, certificate)
        self.addCleanup(server.__exit__)
        return server

    def post(self, url: str, timeout: float = 20, body: bytes = b"{}") -> Stream:
        return self.transport.send("POST", url, {}, body, timeout=timeout)

    def upload(self, url: str, pieces: list[bytes], idle_timeout: float = 20, time_limit: float = FOREVER) -> int:
        """Returns the status of a transfer to a server."""
        length = {"Content-Length": str(sum(map(len, pieces)))}
        stream = self.transport.stream("POST", url, length, pieces, idle_timeout=idle_timeout, time_limit=time_limit)
        with closing(stream):
            return stream.status

    def download(self, url: str, idle_timeout: float = 20, time_limit: float = FOREVER) -> Iterator[bytes]:
        """Yields the pieces of a transfer from a server."""
        with closing(self.transport.stream("GET", url, {}, idle_timeout=idle_timeout, time_limit=time_limit)) as stream:
            yield from iter(stream.next_piece, b"")

    def failure(self, call: Callable[[], object]) -> NetworkError:
        """Returns the NetworkError of a call."""
        with self.assertRaises(NetworkError) as caught:
            call()
        return caught.exception
