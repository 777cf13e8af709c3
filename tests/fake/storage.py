"""The storage host: another origin, which accepts uploads as signed forms and serves outputs by signed URL.

It expects no secret and refuses one, in XML. It also serves the contract.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import struct
import threading
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from tests.fake.contract import data
from tests.fake.http import Answer, Request, json_answer

METADATA = ("metadata", "fileMetadata")  # fields that the SDKs' helpers may add before the file
UPLOAD_LIMIT = 200 * 1024 * 1024  # bytes
EXTENSIONS = {"image": "png", "video": "mp4", "audio": "wav", "workflow": "png"}
MEDIA_TYPES = {"image": "image/png", "video": "video/mp4", "audio": "audio/wav", "workflow": "image/png"}
OF_EXTENSION = {extension: MEDIA_TYPES[kind] for kind, extension in EXTENSIONS.items()}


class StorageRefusal(Exception):
    """What the storage host refuses, as its XML names it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def answer(self) -> Answer:
        """Returns the refusal in the host's words."""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message></Error>"
        )
        return Answer(self.status, {"Content-Type": "application/xml"}, text.encode("utf-8"))


@dataclass
class Output:
    """A file behind signed URLs, and how it misbehaves."""

    id: str
    name: str
    media_type: str
    content: bytes
    ranges: bool = True
    break_after: int | None = None
    breaks: int = 1
    wrong_length: int | None = None
    no_length: bool = False
    redirect_to: str | None = None
    changes_to: bytes | None = None
    reads: int = 0

    @property
    def etag(self) -> str:
        """Returns a strong validator of the content."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


class Storage:
    """Outputs and uploads. `url` is set once the host's port is known; `upload_limit` is in bytes."""

    def __init__(self) -> None:
        self.url = ""
        self.upload_limit = UPLOAD_LIMIT
        self.outputs: dict[str, Output] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self._grants: dict[str, list[Any]] = {}  # by token: the output, and the reads that are left (None: no end)
        self._lock = threading.Lock()

    def add(self, output: Output) -> Output:
        """Keeps an output, and returns it."""
        self.outputs[output.id] = output
        return output

    def sign(self, output: Output, *, uses: int | None = None) -> str:
        """Returns a fresh signed URL for an output, good for `uses` reads (None: until `expire`)."""
        token = "eyJhbGciOiJIUzI1NiJ9." + secrets.token_urlsafe(240)
        with self._lock:
            self._grants[token] = [output, uses]
        return f"{self.url}/{output.id}/{quote(output.name, safe='%')}?_jwt={token}"

    def expire(self) -> None:
        """Expires every URL signed so far."""
        with self._lock:
            self._grants.clear()

    def open_upload(self, filename: str) -> dict[str, Any]:
        """Returns what `POST /v1/uploads` answers for a file."""
        name = str(uuid.uuid4())
        uri = f"runway://ephemeral/{name}"
        fields = {
            "Content-Type": OF_EXTENSION.get(filename.rpartition(".")[2].lower(), "application/octet-stream"),
            "key": f"ephemeral/{name}/{filename}",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "policy": secrets.token_urlsafe(200),
            "x-amz-signature": secrets.token_hex(32),
        }
        with self._lock:
            self.uploads[uri] = {"filename": filename, "fields": fields, "path": f"/uploads/{name}", "received": 0}
        return {"uploadUrl": f"{self.url}/uploads/{name}", "fields": dict(fields), "runwayUri": uri}

    def service(self, request: Request) -> Answer:
        """Answers one request."""
        try:
            if "authorization" in request.headers:
                raise StorageRefusal(400, "InvalidArgument", "Only one auth mechanism allowed")
            if request.path in ("/openapi.json", "/contract.json") and request.method == "GET":
                name = request.path[1:-5]
                return json_answer(200, data(name), {"ETag": f'"{name}"', "Cache-Control": "max-age=300"})
            if request.path.startswith("/uploads/"):
                return self._receive(request)
            return self._hand_out(request)
        except StorageRefusal as refusal:
            return refusal.answer()

    def _receive(self, request: Request) -> Answer:
        upload = next((u for u in self.uploads.values() if u["path"] == request.path), None)
        if not upload or request.method != "POST":
            raise StorageRefusal(404, "NoSuchBucket", "The specified bucket does not exist")
        foreign = [name for name in request.headers if name.startswith("x-runway")]
        if foreign:
            raise StorageRefusal(400, "InvalidArgument", f"Header not expected here: {foreign[0]}")
        if request.length is None:
            raise StorageRefusal(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        received = read_form(request, upload["fields"], self.upload_limit)
        with self._lock:
            upload.update(received, received=upload["received"] + 1)
        return Answer(204, {"ETag": f'"{received["sha256"][:32]}"'})

    def _hand_out(self, request: Request) -> Answer:
        if request.method != "GET":
            raise StorageRefusal(403, "SignatureDoesNotMatch", "The signature was made for GET")
        with self._lock:
            grant = self._grants.get(request.first("_jwt") or "", [None, 0])
            output: Output = grant[0]
            if grant[1] == 0 or request.path.split("/")[1] != output.id:
                raise StorageRefusal(403, "AccessDenied", "Request has expired")
            if output.id not in self.outputs:
                raise StorageRefusal(404, "NoSuchKey", "The specified key does not exist.")
            if grant[1] is not None:
                grant[1] -= 1
            output.reads += 1
            if output.changes_to is not None and output.reads > 1:
                output.content = output.changes_to
            return _deliver(output, request)


def _deliver(output: Output, request: Request) -> Answer:
    if output.redirect_to:
        return Answer(302, {"Location": output.redirect_to})
    headers, whole = {"Content-Type": output.media_type, "ETag": output.etag}, len(output.content)
    start, stop, status = 0, whole, 200
    if output.ranges:
        headers["Accept-Ranges"] = "bytes"
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if match and request.headers.get("if-range", output.etag) == output.etag:
            start, stop, status = int(match[1]), min(int(match[2] or whole) + 1, whole), 206
            if start >= whole:
                raise StorageRefusal(416, "InvalidRange", "The requested range is not satisfiable")
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{whole}"
    body, cut = output.content[start:stop], None
    if output.break_after is not None and output.breaks > 0:
        output.breaks -= 1
        cut = output.break_after
    elif output.wrong_length is not None:
        cut = len(body)
    length = -1 if output.no_length else output.wrong_length
    moments = {"halfway": "output half sent", "after": "output sent", "record_id": output.id}
    return Answer(status, headers, body, length, cut, **moments)


def read_form(request: Request, fields: dict[str, str], limit: int) -> dict[str, Any]:
    """Reads an upload's form. Raises StorageRefusal unless the fields come first, in order, and `file` last."""
    message = Message()
    message["Content-Type"] = request.headers.get("content-type", "")
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise StorageRefusal(412, "PreconditionFailed", "The enclosing type must be multipart/form-data")
    first, *parts = (b"\r\n" + request.read()).split(b"\r\n--" + boundary.encode("latin-1"))
    if first or not parts or not parts.pop().startswith(b"--"):
        raise StorageRefusal(400, "MalformedPOSTRequest", "The body does not begin and end with its boundary")
    found: list[tuple[Any, Message, bytes]] = []
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        headers = message_from_string(head.decode("utf-8").lstrip())
        found.append((headers.get_param("name", header="content-disposition"), headers, content))
    signed, rest = found[: len(fields)], found[len(fields) :]
    if [(name, content) for name, _, content in signed] != [(name, text.encode()) for name, text in fields.items()]:
        raise StorageRefusal(403, "AccessDenied", "Invalid according to Policy: the fields come first, unchanged")
    if rest and rest[0][0] in METADATA:
        rest.pop(0)
    if [name for name, _, _ in rest] != ["file"] or not rest[0][1]["Content-Type"]:
        raise StorageRefusal(400, "InvalidArgument", "POST requires exactly one file with a Content-Type, at the end")
    _, headers, content = rest[0]
    if len(content) > limit:
        raise StorageRefusal(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
    return {"content": content, "sha256": hashlib.sha256(content).hexdigest(), "mediaType": headers["Content-Type"]}


def pseudo_content(start: int, stop: int) -> Iterator[bytes]:
    """Yields bytes of which every 8 are their own number, big-endian."""
    yield b"".join(number.to_bytes(8, "big") for number in range((stop + 7) // 8))[start:stop]


def sample(kind: str) -> bytes:
    """Returns a tiny file of a kind that opens: a PNG, a WAV, or what begins like an MP4."""
    if kind == "audio":
        tone = bytes(128 + (40 if step // 20 % 2 else -40) for step in range(1600))
        head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(tone), b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8,
                           b"data", len(tone))  # fmt: skip
        return head + tone
    if kind == "video":
        brand = b"isom" + struct.pack(">I", 512) + b"isomiso2mp41"
        return struct.pack(">I4s", 8 + len(brand), b"ftyp") + brand + struct.pack(">I4s", 8 + 256, b"mdat") + bytes(256)
    rows = b"".join(b"\0" + bytes((x * 16, y * 16, 160)[c] for x in range(16) for c in range(3)) for y in range(16))
    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
