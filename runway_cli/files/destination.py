"""Where outputs go: names that no server chooses, inside their folder, never over another file without --force."""

from __future__ import annotations

import os
import re
import stat

from ..errors import OutputError, UsageError
from .media import EXTENSIONS, media_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import Message

MAX_NAME = 120  # characters; file systems end at 255 bytes, and a number and an extension are still to come
MAX_EXTENSION = 20  # characters of it, with the dot
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # Windows devices, with any extension


class Destination:
    """Where one output goes: `path`, without its extension where `needs_extension`.

    `in_folder`: the name is ours, so that a file that has it may be this output. It is by its name and size where no
    other output has the name, else (`by_content`) by its bytes alone.
    """

    __slots__ = ("by_content", "in_folder", "needs_extension", "path")

    def __init__(self, path: str, *, in_folder: bool, needs_extension: bool = False, by_content: bool = False) -> None:
        self.path = path
        self.in_folder = in_folder
        self.needs_extension = needs_extension
        self.by_content = by_content

    def file_name(self, url: str, headers: Message) -> str:
        """The path with the extension that the URL's last part has, else the media type's, else `.bin`."""
        if not self.needs_extension:
            return self.path
        match = re.search(r"\.([A-Za-z0-9]{1,5})$", name_of(url))
        extension = match[1].lower() if match else EXTENSIONS.get(media_type(headers), "bin")
        return f"{self.path}.{extension}"


def is_folder(path: str) -> bool:
    """Whether PATH of an option names a folder: one that exists, or any with a slash at its end."""
    return path.endswith(("/", os.sep)) or os.path.isdir(path)


def destinations(path: str, stem: str, count: int, *, by_content: bool = False) -> list[Destination]:
    """Of `count` outputs: in a folder STEM or STEM-1, STEM-2, …; else `path`, or fox-1.png, fox-2.png, …"""
    numbers = [""] if count == 1 else [f"-{number}" for number in range(1, count + 1)]
    if is_folder(path):
        stem = safe_name(stem)
        return [
            Destination(os.path.join(path, stem + number), in_folder=True, needs_extension=True, by_content=by_content)
            for number in numbers
        ]
    root, extension = os.path.splitext(path)
    return [Destination(root + number + extension, in_folder=False) for number in numbers]


def check_destination(path: str, *, force: bool) -> None:
    """Makes the folder of a destination before anything is paid for.

    Raises UsageError if the folder cannot be made or written to, or if the file exists and may not be replaced.
    """
    if not is_folder(path) and _exists(path):
        refusal = replacement_fault(path) if force else taken_message(path)
        if refusal:
            raise UsageError(refusal, taken=path)
    folder = path if is_folder(path) else os.path.dirname(path)
    try:
        os.makedirs(folder or ".", exist_ok=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"the folder of {path!r} cannot be created: {reason(error)}") from None
    if not os.access(folder or ".", os.W_OK):
        raise UsageError(f"the folder of {path!r} cannot be written to")


def check_output(path: str, *, force: bool) -> None:
    """The same where nothing will be paid for: Raises OutputError."""
    try:
        check_destination(path, force=force)
    except UsageError as error:
        raise OutputError(error.message, **error.facts) from None


def refuse_taken(named: list[Destination]) -> None:
    """Raises OutputError if a file name that the user chose exists already."""
    for destination in named:
        if not destination.in_folder and os.path.lexists(destination.path):
            raise OutputError(taken_message(destination.path), taken=destination.path)


def taken_message(path: str) -> str:
    """What is said about a file that exists."""
    return f"{path!r} exists: choose another name, or use --force to replace it"


def replacement_fault(path: str) -> str | None:
    """Why --force may not replace what has this name: only regular files are replaced. None where it may."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None if not os.path.lexists(path) else f"{path!r} is a broken symbolic link: --force does not replace it"
    except OSError as error:
        return f"{path!r} cannot be replaced: {reason(error)}"
    return None if stat.S_ISREG(mode) else f"{path!r} is not a regular file: --force does not replace it"


def first_free(path: str) -> str:
    """`path`, or the first of fox-2.png, fox-3.png, … that does not exist."""
    root, extension = os.path.splitext(path)
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = f"{root}-{number}{extension}"
    return free


def free_folder(path: str) -> str:
    """A folder that does not exist yet, beside this one; inside of it where it has no name of its own."""
    plain = path.rstrip("/" + os.sep)
    if os.path.basename(plain) in ("", os.curdir, os.pardir):
        plain = os.path.join(path, "outputs")
    return first_free(plain) + "/"


def safe_name(name: str) -> str:
    """A file name of ASCII letters, digits, dots, dashes and underscores.

    It is never empty, hidden, reserved, too long, an option's look-alike, or with a dot at its end.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")
    root, extension = os.path.splitext(name)
    extension = extension[:MAX_EXTENSION]
    name = (root[: MAX_NAME - len(extension)] + extension).rstrip("._-")
    if _RESERVED.match(name):
        name = ("_" + name)[:MAX_NAME].rstrip("._-")
    return name or "output"


def name_of(url: str) -> str:
    """A safe file name from the last part of a URL's path."""
    from urllib.parse import unquote, urlsplit

    return safe_name(unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]))


def reason(error: OSError | ValueError) -> str:
    """The system's words for a failure."""
    return getattr(error, "strerror", None) or str(error)


def _exists(path: str) -> bool:
    """Whether something has this name, be it a broken link. Raises UsageError for an impossible name."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise UsageError(f"{path!r} cannot be written: {reason(error)}") from None
    return True
