"""Files for the API: inlined in a body as data URIs, or uploaded first."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from io import BufferedReader

from ..api.client import Client
from ..errors import ApiError, UsageError
from ..jsontext import Json, encoded
from ..settings import url_fault
from .download import Emit, storage_error
from .media import EXTENSIONS, MEDIA, judged

MAX_DATA_URI = 5_242_880  # characters as encoded; the API's limit
MAX_UPLOAD = 200 * 1024 * 1024  # bytes; the API's limit is 200 MB
PIECE = 512 * 1024  # bytes read and sent at a time; twice as much costs more memory and gains nothing
QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # in a form, as browsers do (HTML, multipart form data)


class InputFile:
    """A file that becomes a value of a body: uploaded, or inlined as a data URI. `size` is in bytes.

    Its media `type` is that of its content; the name decides only if the content does not. `name` is the file's, with
    an extension of that type, and `note` warns if the file's own extension is of another one.

    Raises UsageError, which names `option`, for a file that is not media, is empty or too large, or cannot be read, and
    for a pipe or a device, which might block for ever.
    """

    def __init__(self, path: str, option: str, *, is_upload: bool) -> None:
        self.path = path
        self.is_upload = is_upload
        self._option = option
        name = os.fsencode(os.path.basename(path)).decode("utf-8", "replace")  # as it can be sent
        if os.path.exists(path) and not os.path.isfile(path):
            raise self._refused("is not a file")
        with self._opened() as file:
            status = os.fstat(file.fileno())
            self.size = status.st_size
            self._stamp = (status.st_size, status.st_mtime_ns)
            kind, named = judged(name, file)
        if not self.size:
            raise self._refused("is empty")
        if kind is None or not kind.startswith(MEDIA):
            what = f"its content is {kind}" if kind else "neither its content nor its name tells a media type"
            raise self._refused(f"is not a media file: {what}")
        if is_upload and self.size > MAX_UPLOAD:
            raise self._refused("is larger than 200 MB, the API's limit: use an https URL instead")
        if not is_upload and len(f"data:{kind};base64,") + (self.size + 2) // 3 * 4 > MAX_DATA_URI:
            raise self._refused("is over the limit of 5 MiB as encoded: use --upload instead")
        self.type = kind
        self.note = f"{path} is {kind}, not {named}: sent as {kind}" if named not in (None, kind) else None
        if kind != named:
            name = f"{os.path.splitext(name)[0] if named else name}.{EXTENSIONS[kind]}"
        self.name = name

    def _refused(self, reason: str) -> UsageError:
        return UsageError(f"{self._option}: {self.path!r} {reason}")

    @contextmanager
    def _opened(self) -> Iterator[BufferedReader]:
        try:
            with open(self.path, "rb") as file:
                yield file
        except (OSError, ValueError) as error:
            raise self._refused(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None

    @cached_property
    def digest(self) -> str:
        """Returns a hash of the content, computed at its first use. Raises UsageError."""
        import hashlib

        found = hashlib.sha256()
        with self._opened() as file:
            while piece := file.read(PIECE):
                found.update(piece)
        return found.hexdigest()

    def check_unchanged(self) -> None:
        """Raises UsageError if the file has changed since it was checked, and its job identified by its content."""
        with suppress(OSError):
            status = os.stat(self.path)
            if (status.st_size, status.st_mtime_ns) == self._stamp:
                return
        raise self._refused("was changed or removed during the run")

    def data_uri(self) -> str:
        """Returns the file inlined, as `data:TYPE;base64,…`. Raises UsageError."""
        import base64

        with self._opened() as file:
            return f"data:{self.type};base64,{base64.b64encode(file.read()).decode('ascii')}"

    def placeholder(self) -> str:
        """Returns the value that stands for the file in a body that is not sent."""
        return f"runway://… ({self.name})" if self.is_upload else self.data_uri()


def refuse_service(client: Client) -> None:
    """Raises UsageError where the service takes no uploads."""
    if client.service.upload_refusal:
        raise UsageError(client.service.upload_refusal, drop=("--gateway", "--url-format"))


def upload(client: Client, file: InputFile, emit: Emit) -> str:
    """Uploads a file and returns its `runway://` URI, which is valid for 24 hours. `emit` receives the progress.

    The storage host gets the form that the API prescribed, and none of Runway's headers. An upload costs nothing, so
    it is retried like a PUT; if the host found it too slow, or its policy has expired, a new upload URL is used once.
    Raises ApiError, NetworkError, or UsageError for a file that became shorter.
    """
    if file.note:
        client.console.note(file.note)
    try:
        return _uploaded(client, file, emit)
    except ApiError as failure:
        if failure.status not in (400, 403) or not re.search("(?i)RequestTimeout|expired", failure.message):
            raise
        client.console.note(f"{failure.message}; trying once more with a new upload URL")
    return _uploaded(client, file, emit)


def _uploaded(client: Client, file: InputFile, emit: Emit) -> str:
    slot = client.call("POST", "/v1/uploads", encoded({"filename": file.name, "type": "ephemeral"})).value
    found = slot if isinstance(slot, dict) else {}
    url, fields, uri = found.get("uploadUrl"), found.get("fields"), found.get("runwayUri")
    if not isinstance(url, str) or not isinstance(fields, dict) or not isinstance(uri, str):
        raise ApiError("the answer of /v1/uploads has no uploadUrl, fields and runwayUri", status=200)
    if fault := url_fault(url):
        raise ApiError(f"the upload URL {url!r} {fault}", status=200)
    form = Form(fields, file)

    def mask(text: str) -> str:  # a storage host may repeat the form's values
        for secret in sorted((str(value) for value in fields.values() if len(str(value)) > 7), key=len, reverse=True):
            text = text.replace(secret, "***")
        return client.console.mask(text)

    def attempt() -> None:
        with closing(form.pieces(emit)) as pieces, closing(client.stream("POST", url, form.headers, pieces)) as answer:
            if not 200 <= answer.status < 300:
                raise storage_error("the upload was refused", answer, mask)

    client.retry("PUT", attempt)
    return uri


class Form:
    """A presigned form as multipart/form-data (RFC 7578): its fields in order, then the file, last."""

    def __init__(self, fields: Mapping[str, Json], file: InputFile) -> None:
        boundary = os.urandom(16).hex()
        start = f"--{boundary}\r\nContent-Disposition: form-data; name="
        head = "".join(f'{start}"{name.translate(QUOTED)}"\r\n\r\n{value}\r\n' for name, value in fields.items())
        head += f'{start}"file"; filename="{file.name.translate(QUOTED)}"\r\nContent-Type: {file.type}\r\n\r\n'
        self.file = file
        self.head = head.encode("utf-8", "surrogateescape")
        self.tail = f"\r\n--{boundary}--\r\n".encode()
        size = len(self.head) + file.size + len(self.tail)
        self.headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(size)}

    def pieces(self, emit: Emit) -> Generator[bytes, None, None]:
        """Yields the form's bytes. Raises UsageError if the file became shorter while it was read."""
        yield self.head
        sent = 0
        with open(self.file.path, "rb") as opened:
            while piece := opened.read(min(PIECE, self.file.size - sent)):
                yield piece
                sent += len(piece)
                emit(sent, self.file.size)
        if sent != self.file.size:
            raise UsageError(f"upload: {self.file.path!r} became shorter while it was read")
        yield self.tail
