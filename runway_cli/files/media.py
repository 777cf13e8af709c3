"""Media types, by the extension of a name and by the first bytes of a file."""

from __future__ import annotations

import os

from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import Message


HEAD = 16  # bytes that tell a media type
MAX_FILENAME = 255  # characters, the API's limit

TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
    "heic": "image/heic",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "mp4": "video/mp4",
    "m4v": "video/x-m4v",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "3gp": "video/3gpp",
    "ogv": "video/ogg",
    "mpg": "video/mpeg",
    "mpeg": "video/mpeg",
    "ts": "video/mp2t",
    "flv": "video/x-flv",
    "mxf": "application/mxf",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "aif": "audio/aiff",
    "aiff": "audio/aiff",
}
# media type: extension; the first extension of a type above wins
EXTENSIONS = {
    **{kind: extension for extension, kind in reversed(list(TYPES.items()))},
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "application/json": "json",
    "text/plain": "txt",
    "application/zip": "zip",
}
# (offset, bytes, extension): the more special one first
SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpg"),
    (8, b"WEBP", "webp"),
    (0, b"GIF8", "gif"),
    (4, b"ftypqt", "mov"),
    (4, b"ftypM4A", "m4a"),
    (4, b"ftypM4V", "m4v"),
    (4, b"ftyp3gp", "3gp"),
    (4, b"ftypavif", "avif"),
    (4, b"ftypheic", "heic"),
    (4, b"ftyp", "mp4"),
    (0, b"\x1aE\xdf\xa3", "webm"),
    (8, b"WAVE", "wav"),
    (8, b"AVI ", "avi"),
    (0, b"ID3", "mp3"),
    (0, b"\xff\xfb", "mp3"),
    (0, b"\xff\xf3", "mp3"),
    (0, b"\xff\xf1", "aac"),
    (0, b"\xff\xf9", "aac"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
)
# Types that one container holds: neither name is wrong for such a file.
_ALIKE = (
    {"video/mp4", "video/x-m4v", "video/quicktime", "audio/mp4", "video/3gpp"},
    {"video/webm", "video/x-matroska"},
    {"audio/ogg", "video/ogg"},
)


class Media:
    """A file that was checked: `size` in bytes, `name` with a media extension, `type` its media type."""

    __slots__ = ("name", "path", "size", "type")

    def __init__(self, path: str, name: str, size: int, type: str) -> None:
        self.path = path
        self.name = name
        self.size = size
        self.type = type


def checked(path: str, option: str) -> Media:
    """The file at `path` as media. `option` names the option for messages.

    Raises UsageError unless it is a readable file with content whose name or first bytes tell a media type.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"{option}: {path!r} is not a file")
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{option}: {path!r} cannot be read: {reason}") from None
    if not head:
        raise UsageError(f"{option}: {path!r} is empty")
    name = os.path.basename(path)
    extension = extension_of(name)
    if extension not in TYPES:
        extension = extension_by_content(head)
        name = f"{name}.{extension}"
    if not extension:
        words = "its name should end in .png, .jpg, .webp, .mp4, .mp3 or another media extension"
        raise UsageError(f"{option}: {path!r} is not a media file: {words}")
    return Media(path, name[-MAX_FILENAME:], size, TYPES[extension])


def extension_of(name: str) -> str:
    """The extension of a file name in lower case, "" without one."""
    return name.rpartition(".")[2].lower() if "." in name.lstrip(".") else ""


def extension_by_content(head: bytes) -> str:
    """The extension that the first bytes of a file tell, "" where they tell none."""
    return next((extension for at, mark, extension in SIGNATURES if head[at:].startswith(mark)), "")


def media_type(headers: Message) -> str:
    """The media type of an answer, without parameters."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def mismatch(path: str) -> str | None:
    """A warning where a file's extension belongs to another media type than its first bytes; else None."""
    named = TYPES.get(extension_of(os.path.basename(path)))
    if named is None:
        return None
    try:
        with open(path, "rb") as file:
            found = TYPES.get(extension_by_content(file.read(HEAD)))
    except OSError:
        return None
    if found is None or found == named or any({found, named} <= alike for alike in _ALIKE):
        return None
    return f"{path} is {found}, not {named}"
