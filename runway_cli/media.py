"""Files on their way to the API: media types, data URIs and uploads."""

from __future__ import annotations

import os

from .client import excerpt
from .errors import ApiError, DeniedError, NetworkError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from .client import Client
    from .transport import Stream

LONGEST_DATA_URI = 5_242_880  # characters as encoded; the API's limit
LARGEST_UPLOAD = 200 * 1024 * 1024  # bytes; the API's limit is 200 MB
LONGEST_FILENAME = 255
PIECE = 512 * 1024  # bytes read and sent at a time; twice as much costs more memory and gains nothing

TYPES = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif",
    "avif": "image/avif", "heic": "image/heic", "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff",
    "mp4": "video/mp4", "m4v": "video/x-m4v", "mov": "video/quicktime", "webm": "video/webm", "mkv": "video/x-matroska",
    "avi": "video/x-msvideo", "3gp": "video/3gpp", "ogv": "video/ogg", "mpg": "video/mpeg", "mpeg": "video/mpeg",
    "ts": "video/mp2t", "flv": "video/x-flv", "mxf": "application/mxf",
    "mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac", "m4a": "audio/mp4", "aac": "audio/aac",
    "ogg": "audio/ogg", "oga": "audio/ogg", "opus": "audio/ogg", "aif": "audio/aiff", "aiff": "audio/aiff",
}
_SIGNATURES = (  # (offset, bytes, extension) of files whose name does not tell
    (0, b"\x89PNG\r\n\x1a\n", "png"), (0, b"\xff\xd8\xff", "jpg"), (8, b"WEBP", "webp"), (0, b"GIF8", "gif"),
    (4, b"ftypqt", "mov"), (4, b"ftypM4A", "m4a"), (4, b"ftypavif", "avif"), (4, b"ftypheic", "heic"),
    (4, b"ftyp", "mp4"), (0, b"\x1aE\xdf\xa3", "webm"), (8, b"WAVE", "wav"), (8, b"AVI ", "avi"),
    (0, b"ID3", "mp3"), (0, b"\xff\xfb", "mp3"), (0, b"fLaC", "flac"), (0, b"OggS", "ogg"),
)


class Media:
    """A file that was checked: `size` in bytes, `name` with a media extension, `type` its media type."""

    __slots__ = ("name", "path", "size", "type")

    def __init__(self, path: str, name: str, size: int, type: str) -> None:
        self.path = path
        self.name = name
        self.size = size
        self.type = type


def checked(path: str, what: str) -> Media:
    """The file at `path` as media. `what` names the option for messages.

    Raises UsageError unless it is a readable, not empty file whose name or first bytes tell a media type.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"{what}: {path!r} is no file")
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(16)
    except (OSError, ValueError) as error:
        raise UsageError(f"{what}: {path!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not head:
        raise UsageError(f"{what}: {path!r} is empty")
    name = os.path.basename(path)
    extension = name.rpartition(".")[2].lower() if "." in name.lstrip(".") else ""
    if extension not in TYPES:
        extension = next((end for at, mark, end in _SIGNATURES if head[at:].startswith(mark)), "")
        name = f"{name}.{extension}"
    if not extension:
        raise UsageError(f"{what}: {path!r} is no media file: its name should end in .png, .jpg, .webp, .mp4, .mp3 or "
                         "another media extension")
    return Media(path, name[-LONGEST_FILENAME:], size, TYPES[extension])


def data_uri(path: str) -> str:
    """The file as `data:TYPE;base64,…`. Raises UsageError above the API's limit."""
    media = checked(path, "--data-uri")
    head = f"data:{media.type};base64,"
    if len(head) + (media.size + 2) // 3 * 4 > LONGEST_DATA_URI:
        raise UsageError(f"--data-uri: {path!r} is over the limit of 5 MiB as encoded: use --upload instead")
    import base64

    with open(path, "rb") as file:
        return head + base64.b64encode(file.read()).decode("ascii")


def checked_upload(path: str) -> Media:
    """The file as something that can be uploaded. Raises UsageError, naming what is wrong."""
    media = checked(path, "upload")
    if media.size > LARGEST_UPLOAD:
        raise UsageError(f"upload: {path!r} is larger than 200 MB, which is the API's limit: use an https URL instead")
    return media


def upload(client: Client, media: Media, report: Callable[[int, int], None]) -> str:
    """Uploads a file and returns its `runway://` URI, which works for 24 hours.

    `report` hears of the bytes sent and their total. The storage host gets the form that the API made, and none of
    Runway's headers. Raises ApiError or NetworkError; an upload costs nothing, so that it is sent again like a PUT.
    """
    from . import jsontext

    body = jsontext.dumps({"filename": media.name, "type": "ephemeral"}).encode("utf-8", "backslashreplace")
    slot = client.call("POST", "/v1/uploads", body).value
    found = slot if isinstance(slot, dict) else {}
    url, fields, uri = found.get("uploadUrl"), found.get("fields"), found.get("runwayUri")
    if not isinstance(url, str) or not isinstance(fields, dict) or not isinstance(uri, str):
        raise ApiError("the answer of /v1/uploads has no uploadUrl, fields and runwayUri", status=200)
    form = Form(fields, media)
    attempt = 0
    while True:
        try:
            _send(client, url, form, report)
            return uri
        except (ApiError, NetworkError) as error:
            if attempt == client.target.retries or not client.paused("PUT", error, attempt):
                raise
            attempt += 1


class Form:
    """A presigned form as multipart/form-data (RFC 7578): its fields in order, then the file, last."""

    def __init__(self, fields: Mapping[str, Any], media: Media) -> None:
        boundary = os.urandom(16).hex()
        self.media = media
        self.secrets = sorted((str(value) for value in fields.values() if len(str(value)) > 7), key=len, reverse=True)
        self.type = f"multipart/form-data; boundary={boundary}"
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'
                 for name, value in fields.items()]
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
                     f'filename="{_quoted(media.name)}"\r\nContent-Type: {media.type}\r\n\r\n')
        self.head = "".join(parts).encode("utf-8", "surrogateescape")
        self.tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self.head) + self.media.size + len(self.tail)

    def masked(self, error: ApiError) -> ApiError:
        """The error without the form's values, which a storage host may repeat."""
        for secret in self.secrets:
            error.message = error.message.replace(secret, "***")
        return error

    def pieces(self, report: Callable[[int, int], None]) -> Iterator[bytes]:
        """The form's bytes. Raises UsageError when the file is no longer as long as it was."""
        yield self.head
        sent = 0
        with open(self.media.path, "rb") as file:
            while piece := file.read(min(PIECE, self.media.size - sent)):
                yield piece
                sent += len(piece)
                report(sent, self.media.size)
        if sent != self.media.size:
            raise UsageError(f"upload: {self.media.path!r} became shorter while it was read")
        yield self.tail


def _send(client: Client, url: str, form: Form, report: Callable[[int, int], None]) -> None:
    fault = url_fault(url)
    if fault:
        raise ApiError(f"the upload URL {url!r} {fault}", status=200)
    headers = {"Content-Type": form.type, "Content-Length": str(len(form)), "User-Agent": client.user_agent}
    with client.stream("POST", url, headers, form.pieces(report)) as answer:
        if not 200 <= answer.status < 300:
            raise form.masked(storage_error("the upload was refused", answer))


def storage_error(what: str, answer: Stream) -> ApiError:
    """The error of a storage host, which speaks XML or HTML."""
    import re

    body = answer.read(8192)
    found = dict(re.findall(r"<(Code|Message)>([^<]*)<", body.decode("utf-8", "replace")))
    words = ": ".join(filter(None, (found.get("Code"), found.get("Message")))) or excerpt(body)
    kind = DeniedError if answer.status in (401, 403) else ApiError
    return kind(f"{what}: HTTP {answer.status} {words}".rstrip(), status=answer.status)


def url_fault(url: str) -> str | None:
    """What keeps a URL from being asked for: only https, and http to a loopback address, is used. None if nothing."""
    from urllib.parse import urlsplit

    from .settings import is_loopback

    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        usable = parts.port != 0 and url.isascii() and url.isprintable() and " " not in url and parts.username is None
    except ValueError:
        return "is no https URL"
    if not usable or not host or parts.scheme not in ("https", "http"):
        return "is no https URL"
    if parts.scheme == "http" and not is_loopback(host):
        return "is plain http: only https is used, but for a loopback address"
    return None


def _quoted(name: str) -> str:
    """A name inside the quotes of Content-Disposition, as browsers escape it (HTML, multipart form data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
