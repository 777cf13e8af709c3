"""An upload's form, read part by part, so that a file is never held."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from email.message import Message
from typing import Any
from xml.sax.saxutils import escape

from tests.fake.messages import Answer, Request

KEEP_UPLOAD = 1024 * 1024  # bytes up to which an upload's content is kept
METADATA = ("metadata", "fileMetadata")  # fields that the SDKs' helpers may add before the file


class StorageRefusal(Exception):
    """What the storage host refuses, as its XML names it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def answer(self) -> Answer:
        """The refusal in the host's words."""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message></Error>"
        )
        return Answer(self.status, {"Content-Type": "application/xml"}, text.encode("utf-8"))


def read_form(request: Request, fields: dict[str, str], limit: int) -> dict[str, Any]:
    """Read an upload's form. Raises StorageRefusal unless the fields come first, in order, and `file` last."""
    parts = _Parts(request)
    for name, value in fields.items():
        head = parts.next_head()
        if head is None or _disposition(head, "name") != name:
            raise StorageRefusal(403, "AccessDenied", f"Invalid according to Policy: expected the field {name} here")
        if b"".join(parts.content()) != value.encode("utf-8"):
            raise StorageRefusal(403, "AccessDenied", f"Invalid according to Policy: the field {name} was changed")
    head = parts.next_head()
    if head is not None and _disposition(head, "name") in METADATA:
        for _ in parts.content():
            pass
        head = parts.next_head()
    if head is None or _disposition(head, "name") != "file":
        raise StorageRefusal(400, "InvalidArgument", "POST requires exactly one file upload per request.")
    if not head["Content-Type"]:
        raise StorageRefusal(400, "InvalidArgument", "The file has no Content-Type")
    received = _digest(parts.content())
    if parts.next_head() is not None:
        raise StorageRefusal(400, "InvalidArgument", "Nothing may follow the file")
    if received["size"] > limit:
        raise StorageRefusal(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
    return {**received, "mediaType": head["Content-Type"], "partFilename": _disposition(head, "filename")}


def _digest(pieces: Iterable[bytes]) -> dict[str, Any]:
    digest, size, kept = hashlib.sha256(), 0, bytearray()
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if size <= KEEP_UPLOAD:
            kept += piece
    content = bytes(kept) if size <= KEEP_UPLOAD else None
    return {"size": size, "sha256": digest.hexdigest(), "content": content}


class _Parts:
    """A multipart body, read part by part without holding one."""

    def __init__(self, request: Request) -> None:
        message = Message()
        message["Content-Type"] = request.headers.get("content-type", "")
        boundary = message.get_param("boundary")
        if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
            raise StorageRefusal(412, "PreconditionFailed", "The enclosing type must be multipart/form-data")
        self._pieces = request.body.pieces()
        self._held = b"\r\n"  # so that the first delimiter looks like the others
        self._delimiter = b"\r\n--" + boundary.encode("latin-1")
        if b"".join(self.content()):
            raise StorageRefusal(400, "MalformedPOSTRequest", "The body does not begin with its boundary")

    def next_head(self) -> Message | None:
        """The headers of the next part; None after the last."""
        while len(self._held) < 2:
            self._more()
        mark, self._held = self._held[:2], self._held[2:]
        if mark == b"--":
            return None
        if mark != b"\r\n":
            raise StorageRefusal(400, "MalformedPOSTRequest", "A boundary is followed by neither a line nor the end")
        head = Message()
        for line in b"".join(self._until(b"\r\n\r\n")).decode("utf-8").split("\r\n"):
            name, _, value = line.partition(":")
            head[name.strip()] = value.strip()
        return head

    def content(self) -> Iterator[bytes]:
        """The part's bytes, in pieces."""
        return self._until(self._delimiter)

    def _until(self, mark: bytes) -> Iterator[bytes]:
        margin = len(mark) - 1
        while True:
            at = self._held.find(mark)
            if at >= 0:
                before, self._held = self._held[:at], self._held[at + len(mark) :]
                yield before
                return
            if len(self._held) > margin:
                before, self._held = self._held[:-margin], self._held[-margin:]
                yield before
            self._more()

    def _more(self) -> None:
        piece = next(self._pieces, b"")
        if not piece:
            raise StorageRefusal(400, "MalformedPOSTRequest", "The body ends before its last boundary")
        self._held += piece


def _disposition(head: Message, name: str) -> str:
    value = head.get_param(name, header="content-disposition")
    return value if isinstance(value, str) else ""
