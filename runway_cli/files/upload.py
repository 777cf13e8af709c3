"""Files on their way to the API: inlined as data URIs, or uploaded."""

from __future__ import annotations

import os

from .. import jsontext
from ..errors import ApiError, UsageError
from .download import Transferred, storage_error, url_fault
from .media import checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Any

    from ..api.client import Client
    from .media import Media

    Emit = Callable[[Transferred], None]


MAX_DATA_URI = 5_242_880  # characters as encoded; the API's limit
MAX_UPLOAD = 200 * 1024 * 1024  # bytes; the API's limit is 200 MB
PIECE = 512 * 1024  # bytes read and sent at a time; twice as much costs more memory and gains nothing


def data_uri(path: str, option: str = "--data-uri") -> str:
    """The file as `data:TYPE;base64,…`. Raises UsageError above the API's limit."""
    media = checked_inline(path, option)
    import base64

    with open(path, "rb") as file:
        return _data_uri_head(media) + base64.b64encode(file.read()).decode("ascii")


def checked_inline(path: str, option: str) -> Media:
    """The file as something that can be inlined. Raises UsageError, naming the fault."""
    media = checked(path, option)
    if len(_data_uri_head(media)) + (media.size + 2) // 3 * 4 > MAX_DATA_URI:
        words = f"{option}: {path!r} is over the limit of 5 MiB as encoded: use --upload instead"
        raise UsageError(words, use_upload=path)
    return media


def checked_upload(path: str, option: str = "upload") -> Media:
    """The file as something that can be uploaded. Raises UsageError, naming the fault."""
    media = checked(path, option)
    if media.size > MAX_UPLOAD:
        words = f"{option}: {path!r} is larger than 200 MB, the API's limit: use an https URL instead"
        raise UsageError(words)
    return media


def refuse_service(client: Client) -> None:
    """Raises UsageError where the service takes no uploads."""
    if client.service.upload_refusal:
        raise UsageError(client.service.upload_refusal, call_directly=True)


def upload(client: Client, media: Media, emit: Emit) -> str:
    """Uploads a file and returns its `runway://` URI, which works for 24 hours.

    `emit` hears of progress. The storage host gets the form that the API made, and none of Runway's headers. Raises
    ApiError or NetworkError; an upload costs nothing, so that it is sent again like a PUT.
    """
    body = jsontext.encoded({"filename": media.name, "type": "ephemeral"})
    slot = client.call("POST", "/v1/uploads", body).value
    found = slot if isinstance(slot, dict) else {}
    url, fields, uri = found.get("uploadUrl"), found.get("fields"), found.get("runwayUri")
    if not isinstance(url, str) or not isinstance(fields, dict) or not isinstance(uri, str):
        raise ApiError("the answer of /v1/uploads has no uploadUrl, fields and runwayUri", status=200)
    fault = url_fault(url)
    if fault:
        raise ApiError(f"the upload URL {url!r} {fault}", status=200)
    form = Form(fields, media)
    client.retry("PUT", lambda _: _send(client, url, form, emit))
    return uri


class Form:
    """A presigned form as multipart/form-data (RFC 7578): its fields in order, then the file, last."""

    def __init__(self, fields: Mapping[str, Any], media: Media) -> None:
        boundary = os.urandom(16).hex()
        self.media = media
        self.secrets = sorted((str(value) for value in fields.values() if len(str(value)) > 7), key=len, reverse=True)
        self.type = f"multipart/form-data; boundary={boundary}"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
            f'filename="{_quoted(media.name)}"\r\nContent-Type: {media.type}\r\n\r\n'
        )
        self.head = "".join(parts).encode("utf-8", "surrogateescape")
        self.tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self.head) + self.media.size + len(self.tail)

    def mask(self, text: str) -> str:
        """`text` without the form's values, which a storage host may repeat."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text

    def pieces(self, emit: Emit) -> Generator[bytes, None, None]:
        """The form's bytes. Raises UsageError when the file became shorter while it was read."""
        yield self.head
        sent = 0
        with open(self.media.path, "rb") as file:
            while piece := file.read(min(PIECE, self.media.size - sent)):
                yield piece
                sent += len(piece)
                emit(Transferred(sent, self.media.size))
        if sent != self.media.size:
            raise UsageError(f"upload: {self.media.path!r} became shorter while it was read")
        yield self.tail


def _send(client: Client, url: str, form: Form, emit: Emit) -> None:
    headers = {"Content-Type": form.type, "Content-Length": str(len(form))}
    pieces = form.pieces(emit)
    try:
        with client.stream("POST", url, headers, pieces) as answer:
            if not 200 <= answer.status < 300:
                raise storage_error(
                    "the upload was refused", answer, lambda text: client.console.mask(form.mask(text))
                )  # fmt: skip
    finally:
        pieces.close()  # the file is closed also where the upload broke off


def _data_uri_head(media: Media) -> str:
    return f"data:{media.type};base64,"


def _quoted(name: str) -> str:
    """A name inside the quotes of Content-Disposition, as browsers escape it (HTML, multipart form data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
