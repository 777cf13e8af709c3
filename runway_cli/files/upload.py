"""Files for the API: inlined in a body as data URIs, or uploaded first."""

from __future__ import annotations

import os
import re

from .. import jsontext
from ..errors import ApiError, UsageError
from ..settings import url_fault
from .download import storage_error
from .media import checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from typing import Any

    from ..api.client import Client
    from .download import Emit
    from .media import Media

MAX_DATA_URI = 5_242_880  # characters as encoded; the API's limit
MAX_UPLOAD = 200 * 1024 * 1024  # bytes; the API's limit is 200 MB
PIECE = 512 * 1024  # bytes read and sent at a time; twice as much costs more memory and gains nothing


def data_uri(path: str, option: str = "--data-uri") -> str:
    """Returns the file as `data:TYPE;base64,…`. Raises UsageError as `checked_inline`."""
    media = checked_inline(path, option)
    import base64

    with open(path, "rb") as file:
        return f"data:{media.type};base64,{base64.b64encode(file.read()).decode('ascii')}"


def checked_inline(path: str, option: str) -> Media:
    """Returns the file as media that fits into a data URI. Raises UsageError, with the option in its message."""
    media = checked(path, option)
    if len(f"data:{media.type};base64,") + (media.size + 2) // 3 * 4 > MAX_DATA_URI:
        words = f"{option}: {path!r} is over the limit of 5 MiB as encoded: use --upload instead"
        raise UsageError(words, use_upload=path)
    return media


def checked_upload(path: str, option: str = "upload") -> Media:
    """Returns the file as media that the API takes as an upload. Raises UsageError, with the option in its message."""
    media = checked(path, option)
    if media.size > MAX_UPLOAD:
        raise UsageError(f"{option}: {path!r} is larger than 200 MB, the API's limit: use an https URL instead")
    return media


def refuse_service(client: Client) -> None:
    """Raises UsageError where the service takes no uploads."""
    if client.service.upload_refusal:
        raise UsageError(client.service.upload_refusal, drop=("--gateway", "--url-format"))


def upload(client: Client, media: Media, emit: Emit) -> str:
    """Uploads a file and returns its `runway://` URI, which works for 24 hours. `emit` takes the progress.

    The storage host gets the form that the API prescribed, and none of Runway's headers. An upload costs nothing, so
    that it is retried like a PUT; where the host found it too slow, or its policy has expired, it gets a fresh place
    once. Raises ApiError, NetworkError, or UsageError for a file that became shorter.
    """
    if media.note:
        client.console.note(media.note)
    try:
        return _uploaded(client, media, emit)
    except ApiError as failure:
        if failure.status not in (400, 403) or not re.search("(?i)RequestTimeout|expired", failure.message):
            raise
        client.console.note(f"{failure.message}: once more, to a fresh place")
    return _uploaded(client, media, emit)


def _uploaded(client: Client, media: Media, emit: Emit) -> str:
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
    headers = {"Content-Type": form.type, "Content-Length": str(form.size)}

    def attempt(_: object) -> None:
        pieces = form.pieces(emit)
        try:
            with client.stream("POST", url, headers, pieces) as answer:
                if not 200 <= answer.status < 300:
                    mask = client.console.mask
                    raise storage_error("the upload was refused", answer, lambda text: mask(form.mask(text)))
        finally:
            pieces.close()  # closes the file, also where the upload broke off

    client.retry("PUT", attempt)
    return uri


class Form:
    """A presigned form as multipart/form-data (RFC 7578): its fields in order, then the file, last."""

    def __init__(self, fields: Mapping[str, Any], media: Media) -> None:
        boundary = os.urandom(16).hex()
        head = ""
        for name, value in fields.items():
            head += f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(media.name)}"\r\n'
        head += f"Content-Type: {media.type}\r\n\r\n"
        self.media = media
        self.secrets = sorted((str(value) for value in fields.values() if len(str(value)) > 7), key=len, reverse=True)
        self.type = f"multipart/form-data; boundary={boundary}"
        self.head = head.encode("utf-8", "surrogateescape")
        self.tail = f"\r\n--{boundary}--\r\n".encode()
        self.size = len(self.head) + media.size + len(self.tail)  # in bytes

    def mask(self, text: str) -> str:
        """Returns `text` without the form's values, which a storage host may repeat."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text

    def pieces(self, emit: Emit) -> Generator[bytes, None, None]:
        """Yields the form's bytes. Raises UsageError if the file became shorter while it was read."""
        yield self.head
        sent = 0
        with open(self.media.path, "rb") as file:
            while piece := file.read(min(PIECE, self.media.size - sent)):
                yield piece
                sent += len(piece)
                emit(sent, self.media.size)
        if sent != self.media.size:
            raise UsageError(f"upload: {self.media.path!r} became shorter while it was read")
        yield self.tail


def _quoted(name: str) -> str:
    """Escapes a name inside the quotes of Content-Disposition as browsers do (HTML, multipart form data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


HASHED = 1 << 20  # bytes that are hashed at a time


class InputFile:
    """A file that becomes a value of a body: uploaded, or inlined as a data URI. `digest` is a hash of its content.

    Raises UsageError, which names `option`, for a file that the API would not take.
    """

    __slots__ = ("_option", "_stamp", "digest", "is_upload", "media")

    def __init__(self, path: str, option: str, *, is_upload: bool) -> None:
        import hashlib

        self.media = (checked_upload if is_upload else checked_inline)(path, option)
        self.is_upload = is_upload
        self._option = option
        self._stamp = _stamp(path)
        found = hashlib.sha256()
        try:
            with open(path, "rb") as file:
                while piece := file.read(HASHED):
                    found.update(piece)
        except OSError as error:
            raise UsageError(f"{option}: {path!r} cannot be read: {error.strerror or error}") from None
        self.digest = found.hexdigest()

    def check_unchanged(self) -> None:
        """Raises UsageError if the file is no longer the one that its row's key was made from."""
        if _stamp(self.media.path) != self._stamp:
            raise UsageError(f"{self._option}: {self.media.path!r} was changed or removed during the run")

    def data_uri(self) -> str:
        """Returns the file inlined. Raises UsageError."""
        return data_uri(self.media.path, self._option)

    def shown(self) -> str:
        """Returns the value that stands for the file in a body that is not sent."""
        return f"runway://… ({self.media.name})" if self.is_upload else self.data_uri()


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
