"""A minimal server, in a process of its own so that its work is not measured.

`python3 -m tests.benchmarks.server` prints its URL and serves until its stdin is closed. It keeps nothing of what it
is sent.
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fake.contract import data

KEEP = b"Connection: keep-alive\r\n"
PIECE = memoryview(bytes(1 << 18))
CONTRACT = Path(__file__).resolve().parents[2] / "runway_cli" / "contract" / "snapshot.json.gz"
TASK_TIME = 5.0  # seconds that a timed task takes
LISTED = 50  # records that /v1/avatars holds


class Server(socketserver.ThreadingTCPServer):
    """One origin on loopback."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client may leave when it has what it wants
            super().handle_error(request, client_address)


class Connection(socketserver.StreamRequestHandler):
    """One connection, as long as its client keeps it."""

    server: Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while True:
            words = self.rfile.readline().split()
            if len(words) != 3:
                return
            pairs = (line.decode("latin-1").partition(":") for line in iter(self.rfile.readline, b"\r\n"))
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            if "expect" in headers:
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            left, buffer = int(headers.get("content-length", "0")), memoryview(bytearray(len(PIECE)))
            while left:
                read = self.rfile.readinto(buffer[: min(left, len(buffer))])
                if not read:
                    return
                left -= read
            self._answer(words[1].decode("ascii"))
            if headers.get("connection", "").lower() == "close":
                return

    def _answer(self, target: str) -> None:
        place, _, name = urlsplit(target).path.rpartition("/")
        size = int(name.partition(".")[0]) if place == "/zeros" else 0
        body = b"" if size else content(self.server.url, place, name, urlsplit(target).query)
        kind = b"application/octet-stream" if size else b"application/json"
        length = size or len(body)
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n" % (kind, length, KEEP) + body
        )
        for start in range(0, size, len(PIECE)):
            self.wfile.write(PIECE[: min(len(PIECE), size - start)])


def content(origin: str, place: str, name: str, query: str) -> bytes:
    """Returns the JSON of a path: a list, a page of `/v1/records/TOTAL`, a done task."""
    if place == "/v1" and name == "uploads":
        return _json({"uploadUrl": f"{origin}/storage", "fields": {"key": "film"}, "runwayUri": "runway://film"})
    if place == "/v1" and name == "avatars":
        return page(0, LISTED, LISTED)
    if place == "/v1/records":
        asked = parse_qs(query)
        return page(int(asked.get("cursor", ["0"])[0]), int(asked["limit"][0]), int(name))
    if name == "contract.json":
        return _json(data("contract"))
    if name in ("timed", "quick"):  # a POST that starts a task of TASK_TIME seconds, or none, whose id tells when
        began = time.monotonic_ns() - (int(TASK_TIME * 1e9) if name == "quick" else 0)
        return _json({"id": f"timed-{began}", "estimatedCost": {"credits": 5}})
    task: dict[str, Any] = {"id": name, "status": "RUNNING", "createdAt": "2026-10-01T09:00:00.000Z"}
    if not name.startswith("timed-") or time.monotonic_ns() - int(name[6:]) >= TASK_TIME * 1e9:
        output = ["https://storage.example/output.png?token=0"]
        task.update(status="SUCCEEDED", output=output, cost={"credits": 5})
    return _json(task)


@lru_cache(maxsize=256)
def page(start: int, limit: int, total: int) -> bytes:
    """Returns one page of a list of `total` records."""
    end = min(start + limit, total)
    rows = [record(number) for number in range(start, end)]
    return _json({"data": rows, "hasMore": end < total, "nextCursor": str(end) if end < total else None})


def record(number: int) -> dict[str, Any]:
    """Returns an avatar as the API gives it, its id made of `number`."""
    return {
        "id": identity(number),
        "name": f"Guide {number}",
        "status": "READY",
        "personality": "Calm and precise. " * 16,
        "documentIds": [identity(number)],
        "voice": {"type": "runway-live-preset", "presetId": "clara", "name": "Clara", "description": "Soft"},
        "referenceImageUri": "https://storage.example/reference.png?token=0",
        "createdAt": "2026-10-01T09:00:00.000Z",
    }


def identity(number: int) -> str:
    """Returns the id with this number."""
    return f"123e4567-e89b-42d3-a456-{number:012d}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def main() -> None:
    """Serves until stdin is closed."""
    print(Server().url, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
