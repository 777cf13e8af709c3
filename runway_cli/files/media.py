"""Media types of uploads and downloads, by the extension of a name and by the first bytes of a file."""

from __future__ import annotations

import os

from ..errors import UsageError

# media type, its extensions (the first one is for new names), and how its files begin: (offset, bytes).
# A mark that is the beginning of another one stands behind it.
MEDIA: tuple[tuple[str, str, tuple[tuple[int, bytes], ...]], ...] = (
    ("image/jpeg", "jpg jpeg", ((0, b"\xff\xd8\xff"),)),
    ("image/png", "png", ((0, b"\x89PNG\r\n\x1a\n"),)),
    ("image/webp", "webp", ((8, b"WEBP"),)),
    ("image/gif", "gif", ((0, b"GIF8"),)),
    ("image/avif", "avif", ((4, b"ftypavif"),)),
    ("image/heic", "heic", ((4, b"ftypheic"),)),
    ("image/bmp", "bmp", ()),
    ("image/tiff", "tif tiff", ()),
    ("video/quicktime", "mov", ((4, b"ftypqt"),)),
    ("video/x-m4v", "m4v", ((4, b"ftypM4V"),)),
    ("video/3gpp", "3gp", ((4, b"ftyp3gp"),)),
    ("audio/mp4", "m4a", ((4, b"ftypM4A"),)),
    ("video/mp4", "mp4", ((4, b"ftyp"),)),
    ("video/webm", "webm", ((0, b"\x1aE\xdf\xa3"),)),
    ("video/x-matroska", "mkv", ()),
    ("video/x-msvideo", "avi", ((8, b"AVI "),)),
    ("video/ogg", "ogv", ()),
    ("video/mpeg", "mpg mpeg", ()),
    ("video/mp2t", "ts", ()),
    ("video/x-flv", "flv", ()),
    ("application/mxf", "mxf", ()),
    ("audio/mpeg", "mp3", ((0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"))),
    ("audio/wav", "wav", ((8, b"WAVE"),)),
    ("audio/flac", "flac", ((0, b"fLaC"),)),
    ("audio/aac", "aac", ((0, b"\xff\xf1"), (0, b"\xff\xf9"))),
    ("audio/ogg", "ogg oga opus", ((0, b"OggS"),)),
    ("audio/aiff", "aif aiff", ()),
)
# What servers call an output besides, and its extension.
OTHER_TYPES = {
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "application/json": "json",
    "text/plain": "txt",
    "application/zip": "zip",
}
# Types that share a container: neither name is wrong for such a file.
ALIKE = (
    {"video/mp4", "video/x-m4v", "video/quicktime", "audio/mp4", "video/3gpp"},
    {"video/webm", "video/x-matroska"},
    {"audio/ogg", "video/ogg"},
)
HEAD = 16  # bytes that tell a media type
MAX_FILENAME = 255  # characters, the API's limit
TYPES = {extension: kind for kind, extensions, _ in MEDIA for extension in extensions.split()}
EXTENSIONS = {**{kind: extensions.split()[0] for kind, extensions, _ in MEDIA}, **OTHER_TYPES}


class Media:
    """A file that may be uploaded: its path, `size` in bytes, `name` with a media extension, and media `type`."""

    __slots__ = ("name", "path", "size", "type")

    def __init__(self, path: str, name: str, size: int, type: str) -> None:
        self.path = path
        self.name = name
        self.size = size
        self.type = type


def checked(path: str, option: str) -> Media:
    """Returns the file at `path` as media. Messages begin with `option`, such as "--upload".

    Raises UsageError unless it is a readable file, not empty, whose name or first bytes tell a media type.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"{option}: {path!r} is not a file")
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD)
    except (OSError, ValueError) as error:
        raise UsageError(f"{option}: {path!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not head:
        raise UsageError(f"{option}: {path!r} is empty")
    name = os.fsencode(os.path.basename(path)).decode("utf-8", "replace")  # what is no text cannot be sent
    kind = type_by_name(name)
    if kind is None:
        kind = type_by_content(head)
        if kind is None:
            words = "its name should end in .png, .jpg, .webp, .mp4, .mp3 or another media extension"
            raise UsageError(f"{option}: {path!r} is not a media file: {words}")
        name = f"{name}.{EXTENSIONS[kind]}"
    return Media(path, name[-MAX_FILENAME:], size, kind)


def mismatch(path: str) -> str | None:
    """Returns a warning where a file's extension belongs to another media type than its content, else None."""
    named = type_by_name(os.path.basename(path))
    if named is None:
        return None
    try:
        with open(path, "rb") as file:
            found = type_by_content(file.read(HEAD))
    except OSError:
        return None
    if found in (None, named) or any({found, named} <= alike for alike in ALIKE):
        return None
    return f"{path} is {found}, not {named}"


def type_by_name(name: str) -> str | None:
    """Returns the media type of a file name's extension; None without one (.png is a hidden file, not an extension)."""
    return TYPES.get(name.rpartition(".")[2].lower()) if "." in name.lstrip(".") else None


def type_by_content(head: bytes) -> str | None:
    """Returns the media type that the first HEAD bytes of a file tell, None where they tell none."""
    return next((kind for kind, _, marks in MEDIA for at, mark in marks if head[at:].startswith(mark)), None)
