"""The storage host: another origin, which takes uploads by signed form and hands out outputs by signed URL.

It knows no secret and refuses one, in XML.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.fake.contract import data
from tests.fake.messages import PIECE, Answer, BrokenOff, Request, json_answer
from tests.fake.multipart import StorageRefusal, read_form
from tests.fake.samples import media_type, pseudo_content

UPLOAD_LIMIT = 200 * 1024 * 1024  # bytes


@dataclass
class Output:
    """A file behind signed URLs, and how it misbehaves. `content` is bytes, or a size of pseudo-content."""

    id: str
    name: str
    media_type: str
    content: bytes | int
    ranges: bool = True
    break_after: int | None = None
    breaks: int = 1
    wrong_length: int | None = None
    no_length: bool = False
    redirect_to: str | None = None
    changes_to: bytes | None = None
    reads: int = 0

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.content if isinstance(self.content, int) else len(self.content)

    @property
    def etag(self) -> str:
        """A strong validator that follows the content."""
        if isinstance(self.content, int):
            return f'"pseudo-{self.content}"'
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'

    def part(self, start: int, stop: int) -> Iterator[bytes]:
        """Its bytes from `start` to before `stop`, in pieces."""
        if isinstance(self.content, int):
            yield from pseudo_content(start, stop)
            return
        for at in range(start, stop, PIECE):
            yield self.content[at : min(at + PIECE, stop)]


@dataclass
class _Grant:
    output: Output
    uses: int | None


class Storage:
    """Outputs and uploads. `url` is set once the host's port is known; `upload_limit` is in bytes."""

    def __init__(self) -> None:
        self.url = ""
        self.upload_limit = UPLOAD_LIMIT
        self.outputs: dict[str, Output] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self._grants: dict[str, _Grant] = {}
        self._lock = threading.Lock()

    def add(self, output: Output) -> Output:
        """Keep an output."""
        with self._lock:
            self.outputs[output.id] = output
        return output

    def sign(self, output: Output, *, uses: int | None = None) -> str:
        """A fresh signed URL for an output, good for `uses` reads (None: until `expire`)."""
        token = "eyJhbGciOiJIUzI1NiJ9." + secrets.token_urlsafe(240)
        with self._lock:
            self._grants[token] = _Grant(output, uses)
        return f"{self.url}/{output.id}/{quote(output.name, safe='%')}?_jwt={token}"

    def expire(self) -> None:
        """Expire every URL signed so far."""
        with self._lock:
            self._grants.clear()

    def destroy(self, output_id: str) -> None:
        """Delete an output for ever."""
        with self._lock:
            self.outputs.pop(output_id, None)

    def open_upload(self, filename: str) -> dict[str, Any]:
        """What `POST /v1/uploads` answers for a file."""
        name = str(uuid.uuid4())
        uri = f"runway://ephemeral/{name}"
        fields = {
            "Content-Type": media_type(filename),
            "key": f"ephemeral/{name}/{filename}",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "policy": secrets.token_urlsafe(200),
            "x-amz-signature": secrets.token_hex(32),
        }
        with self._lock:
            self.uploads[uri] = {"filename": filename, "fields": fields, "path": f"/uploads/{name}", "received": 0}
        return {"uploadUrl": f"{self.url}/uploads/{name}", "fields": dict(fields), "runwayUri": uri}

    def service(self, request: Request) -> Answer:
        """Answer one request."""
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
        if not upload:
            raise StorageRefusal(404, "NoSuchBucket", "The specified bucket does not exist")
        if request.method != "POST":
            raise StorageRefusal(405, "MethodNotAllowed", "The specified method is not allowed")
        foreign = [name for name in request.headers if name.startswith("x-runway")]
        if foreign:
            raise StorageRefusal(400, "InvalidArgument", f"Header not expected here: {foreign[0]}")
        if request.body.length is None:
            raise StorageRefusal(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        received = read_form(request, upload["fields"], self.upload_limit)
        with self._lock:
            upload.update(received, received=upload["received"] + 1)
        return Answer(204, {"ETag": f'"{received["sha256"][:32]}"'})

    def _hand_out(self, request: Request) -> Answer:
        if request.method != "GET":
            raise StorageRefusal(403, "SignatureDoesNotMatch", "The signature was made for GET")
        with self._lock:
            grant = self._grants.get(request.first("_jwt") or "")
            if not grant or grant.uses == 0 or request.path.split("/")[1] != grant.output.id:
                raise StorageRefusal(403, "AccessDenied", "Request has expired")
            if grant.output.id not in self.outputs:
                raise StorageRefusal(404, "NoSuchKey", "The specified key does not exist.")
            if grant.uses is not None:
                grant.uses -= 1
            output = grant.output
            output.reads += 1
            if output.changes_to is not None and output.reads > 1:
                output.content = output.changes_to
            return _deliver(output, request)


def _deliver(output: Output, request: Request) -> Answer:
    if output.redirect_to:
        return Answer(302, {"Location": output.redirect_to})
    headers = {"Content-Type": output.media_type, "ETag": output.etag}
    if output.ranges:
        headers["Accept-Ranges"] = "bytes"
    start, stop, status = 0, output.size, 200
    span = _range(request, output) if output.ranges else None
    if span:
        start, stop, status = span[0], span[1], 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{output.size}"
    length = stop - start if output.wrong_length is None else output.wrong_length
    pieces: Iterable[bytes] = output.part(start, stop)
    if output.wrong_length is not None:
        pieces = _cut(pieces, stop - start)
    if output.break_after is not None and output.breaks > 0:
        output.breaks -= 1
        pieces = _cut(pieces, output.break_after)
    moments = {"halfway": "output half sent", "after": "output sent", "record_id": output.id}
    return Answer(status, headers, pieces, None if output.no_length else length, **moments)


def _range(request: Request, output: Output) -> tuple[int, int] | None:
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", "").strip())
    if not match or match.group(0) == "bytes=-":
        return None
    if request.headers.get("if-range", output.etag) != output.etag:
        return None
    first, last = match.groups()
    if not first:
        return max(0, output.size - int(last)), output.size
    start, stop = int(first), min(int(last) + 1 if last else output.size, output.size)
    if start >= output.size:
        raise StorageRefusal(416, "InvalidRange", "The requested range is not satisfiable")
    return (start, stop) if start < stop else None


def _cut(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Pass `size` bytes on, then break the connection."""
    for piece in pieces:
        if len(piece) >= size:
            yield piece[:size]
            break
        size -= len(piece)
        yield piece
    raise BrokenOff
