"""The other end of the wire: the fewest lines that answer, in a process of its own so that its work is not measured.

`python3 -m tests.benchmarks.server [CERTFILE KEYFILE]` prints its http URL, and its https URL where it has a
certificate, and serves until its stdin is closed. It keeps nothing of what it is sent.
"""

from __future__ import annotations

import json
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PIECE = memoryview(bytes(1 << 18))
CONTRACT = Path(__file__).resolve().parents[1] / "data" / "contract.json"
TASK_TIME = 5.0  # seconds that a timed task takes
LISTED = 50  # records that /v1/avatars holds


class Server(socketserver.ThreadingTCPServer):
    """One origin on loopback."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.context = context
        self.url = f"{'https://localhost' if context else 'http://127.0.0.1'}:{self.server_address[1]}"

    def start(self) -> None:
        """Serves in a thread until the process ends."""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client may leave when it has what it wants
            super().handle_error(request, client_address)


class Connection(socketserver.StreamRequestHandler):
    """One connection, as long as its client keeps it."""

    server: Server
    disable_nagle_algorithm = True

    def setup(self) -> None:
        if self.server.context:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        while True:
            words = self.rfile.readline().split()
            if len(words) != 3:
                return
            lines = iter(self.rfile.readline, b"\r\n")
            pairs = (line.decode("latin-1").partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            self._drain(headers)
            self._answer(words[1].decode("ascii"), headers)
            if headers.get("connection", "").lower() == "close":
                return

    def _drain(self, headers: dict[str, str]) -> None:
        if "expect" in headers:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = int(headers.get("content-length", "0"))
        buffer = memoryview(bytearray(len(PIECE)))
        while left:
            read = self.rfile.readinto(buffer[: min(left, len(buffer))])
            if not read:
                return
            left -= read

    def _answer(self, target: str, headers: dict[str, str]) -> None:
        parts = urlsplit(target)
        place, _, name = parts.path.rpartition("/")
        if place == "/zeros":
            size = int(name.partition(".")[0])
            self._head(size, "application/octet-stream")
            for start in range(0, size, len(PIECE)):
                self.wfile.write(PIECE[: min(len(PIECE), size - start)])
            return
        if place == "/v1" and name == "uploads":
            url = f"{self.server.url}/storage"
            body = _json({"uploadUrl": url, "fields": {"key": "uploads/film"}, "runwayUri": "runway://film"})
        else:
            body = content(place, name, parts.query)
        self._head(len(body), "application/json")
        self.wfile.write(body)

    def _head(self, length: int, media_type: str) -> None:
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (media_type.encode(), length)
        )


def content(place: str, name: str, query: str) -> bytes:
    """The JSON of a path: a list, a page of `/v1/records/TOTAL`, `/v1/json/BYTES` of records, a task that is done."""
    if place == "/v1" and name == "avatars":
        return page(0, LISTED, LISTED)
    if place == "/v1/records":
        asked = parse_qs(query)
        return page(int(asked.get("cursor", ["0"])[0]), int(asked["limit"][0]), int(name))
    if place == "/v1/json":
        return records(int(name))
    if name == "contract.json":
        return CONTRACT.read_bytes()
    if name == "timed":  # a POST that starts a task of TASK_TIME seconds, whose id tells when it began
        return _json({"id": f"timed-{time.monotonic():.6f}", "estimatedCost": {"credits": 5}})
    if name.startswith("timed-") and time.monotonic() - float(name[6:]) < TASK_TIME:
        return _json({"id": name, "status": "RUNNING", "createdAt": "2026-10-01T09:00:00.000Z"})
    return _json(
        {
            "id": name,
            "status": "SUCCEEDED",
            "createdAt": "2026-10-01T09:00:00.000Z",
            "output": ["https://storage.example/output.png?token=0"],
            "cost": {"credits": 5},
        }
    )


@lru_cache(maxsize=256)
def page(start: int, limit: int, total: int) -> bytes:
    """One page of a list of `total` records."""
    end = min(start + limit, total)
    more = end < total
    return _json(
        {
            "data": [record(number) for number in range(start, end)],
            "hasMore": more,
            "nextCursor": str(end) if more else None,
        }
    )


@lru_cache(maxsize=2)
def records(size: int) -> bytes:
    """A list of records that is about `size` bytes long, one at least."""
    each = len(_json(record(0))) + 1
    return _json({"data": [record(number) for number in range(max(1, size // each))]})


def record(number: int) -> dict[str, Any]:
    """An avatar as the API gives it, its id made of `number`."""
    return {
        "id": identity(number),
        "name": f"Guide {number}",
        "status": "READY",
        "personality": "Calm and precise. " * 12,
        "startScript": "Good morning! What brings you here today?",
        "documentIds": [identity(number)],
        "voice": {"type": "runway-live-preset", "presetId": "clara", "name": "Clara", "description": "Soft"},
        "referenceImageUri": "https://storage.example/reference.png?token=0",
        "processedImageUri": None,
        "createdAt": "2026-10-01T09:00:00.000Z",
        "updatedAt": "2026-10-01T09:30:00.000Z",
    }


def identity(number: int) -> str:
    """The id with this number."""
    return f"123e4567-e89b-42d3-a456-{number:012d}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _servers(certificate: list[str]) -> Iterator[Server]:
    yield Server()
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        yield Server(context)


def main() -> None:
    """Serves until stdin is closed."""
    servers = list(_servers(sys.argv[1:]))
    for server in servers:
        server.start()
    print(*(server.url for server in servers), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
