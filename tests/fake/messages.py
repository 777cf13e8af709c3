"""What goes over the wire of the stand-in services: requests, answers, and the journal of both."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import Any, Callable

PIECE = 64 * 1024  # bytes read or written at a time
KEEP = 16 * 1024 * 1024  # bytes of a request's body that are recorded, unless a service keeps fewer


class Aborted(ConnectionError):
    """This side reset the connection on purpose."""


class BrokenOff(Exception):
    """Raised by an answer's stream: the rest does not follow, the connection closes."""


class NoAnswer(Exception):
    """Raised by a service that never answers this request."""


@dataclass(frozen=True)
class Recorded:
    """One request as a server saw it: `target` as on the wire, header names in lower case, `at` in monotonic seconds.

    `body` is what was read of it; it is empty where the body was larger than the server keeps. `method` is empty
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
        """The body as JSON. Raises ValueError where it is not JSON."""
        return json.loads(self.body)


class Journal:
    """What all servers saw, in order of arrival."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self._lock = threading.Lock()

    def add(self, recorded: Recorded) -> None:
        """Record a request."""
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
    """What a service answers. With a stream as `body`, `length` is its Content-Length; None: ended by closing.

    `before`, `halfway` and `after` name the moments (see `moments`) that its sending passes, on behalf of `record_id`.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None
    before: str = ""
    halfway: str = ""
    after: str = ""
    record_id: str = ""

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
