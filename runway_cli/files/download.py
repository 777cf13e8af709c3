"""What uploads and downloads share: URLs that may be used, the errors of storage hosts, the event of a transfer."""

from __future__ import annotations

import os
import re
import stat

from ..api.answers import excerpt
from ..errors import ApiError, DeniedError, NetworkError, OutputError, UsageError, WaitTimeout
from .lock import try_lock
from .media import EXTENSIONS, media_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message
    from io import BufferedRandom, FileIO
    from typing import TypeVar

    from ..shutdown import Clock, Shutdown
    from ..transport.http import Stream

    T = TypeVar("T")
    from ..api.client import Client

    Emit = Callable[["Transferred"], None]


ERROR_BODY = 8192  # bytes of a storage host's error that are read


class Transferred:
    """The event of a transfer: `done` bytes of `total`, which is None where it is not known."""

    __slots__ = ("done", "total")

    def __init__(self, done: int, total: int | None) -> None:
        self.done = done
        self.total = total


def storage_error(what: str, answer: Stream, mask: Callable[[str], str]) -> ApiError:
    """The error of a storage host, which answers in XML or HTML."""
    import re

    body = b""
    while len(body) < ERROR_BODY and (piece := answer.read(ERROR_BODY - len(body))):
        body += piece
    found = dict(re.findall(r"<(Code|Message)>([^<]*)<", body.decode("utf-8", "replace")))
    words = ": ".join(filter(None, (found.get("Code"), found.get("Message")))) or excerpt(body, mask)
    kind = DeniedError if answer.status in (401, 403) else ApiError
    return kind(f"{what}: HTTP {answer.status} {mask(words)}".rstrip(), status=answer.status)


def url_fault(url: str) -> str | None:
    """Why a URL is not used: only https is, and http to a loopback address. None where it is."""
    from urllib.parse import urlsplit

    from ..settings import is_loopback

    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_usable = parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        return "is not an https URL"
    if not is_usable or not host or parts.username is not None or parts.scheme not in ("https", "http"):
        return "is not an https URL"
    if parts.scheme == "http" and not is_loopback(host):
        return "is http: only https is used, except for a loopback address"
    return None


# --- Where outputs go: names that no server chooses, inside their folder, never over another file without --force.


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


# --- A file that is on its way: hidden beside its destination until it is whole, and never over another file.


NAME = re.compile(r"\..+\.[0-9a-f]{12}\.part")
MAX_AGE = 86_400  # seconds that a part file may be left by another run, which may be at work
SHOWN_NAME = 40  # characters of the destination's name in it: up to four bytes each


class PartFile:
    """The file that becomes `path`. Made at once, with its folder; raises OutputError where that fails.

    `shutdown` removes it when the run ends early.
    """

    def __init__(self, path: str, shutdown: Shutdown, clock: Clock) -> None:
        folder, name = os.path.split(path)
        self.size = 0  # in bytes
        self._path = path
        self._shutdown = shutdown
        self._part = os.path.join(folder, f".{name[:SHOWN_NAME]}.{os.urandom(6).hex()}.part")
        _writing(path, lambda: os.makedirs(folder or ".", exist_ok=True))
        remove_old_part_files(folder, clock.time())
        self._file: FileIO = _writing(path, lambda: shutdown.create_part_file(self._part))
        if os.name != "nt":  # where an open file cannot be removed anyway
            _try_lock(self._file)

    def write(self, piece: bytes) -> None:
        """Adds a piece. Raises OutputError."""
        _writing(self._path, lambda: _write_all(self._file, piece))
        self.size += len(piece)

    def clear(self) -> None:
        """Begins again with an empty file. Raises OutputError."""
        self.size = 0
        self._file.seek(0)
        _writing(self._path, self._file.truncate)

    def equals(self, path: str) -> bool:
        """Whether a file holds the same bytes. Raises OutputError."""
        import filecmp

        return _writing(path, lambda: os.path.isfile(path) and filecmp.cmp(self._part, path, shallow=False))

    def take_name(self, *, force: bool) -> None:
        """Gives the file its name, in place of another only with `force`; else it is removed. Raises OutputError."""
        try:
            _writing(self._path, self._file.close)
            _writing(self._path, lambda: (os.replace if force else link_or_rename)(self._part, self._path))
        finally:
            self.remove()

    def remove(self) -> None:
        """Leaves nothing behind; the file is closed first, because Windows removes no open file."""
        self._file.close()  # nothing is buffered, so that nothing can fail here
        self._shutdown.remove_part_file(self._part)


def link_or_rename(part: str, path: str) -> None:
    """Renames a file only where its new name is free. Raises FileExistsError."""
    if os.name == "nt":
        os.rename(part, path)  # which refuses to replace
        return
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the name was free a moment ago
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        os.rename(part, path)


def remove_old_part_files(folder: str, now: float) -> None:
    """Removes the part files in a folder that a killed run left more than a day ago."""
    try:
        entries = list(os.scandir(folder or "."))
    except OSError:
        return
    for entry in entries:
        if NAME.fullmatch(entry.name):
            try:
                if now - entry.stat(follow_symlinks=False).st_mtime > MAX_AGE:
                    remove_abandoned(entry.path)
            except OSError:
                continue


def remove_abandoned(path: str) -> None:
    """Removes a part file, unless the run that writes it is at work: that has it locked, or open on Windows."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return
        if os.name == "nt":
            os.unlink(path)
            return
        with open(path, "r+b") as file:  # a lock over NFS needs the right to write
            if _try_lock(file):
                os.unlink(path)
    except OSError:
        pass


def _try_lock(file: FileIO | BufferedRandom) -> bool:
    """Locks a file, or returns False where another run has it locked; True where the file system has no locks."""
    try:
        return try_lock(file.fileno())
    except OSError:
        return True


def _writing(path: str, act: Callable[[], T]) -> T:
    """What `act` returns; its OSError as an OutputError."""
    try:
        return act()
    except FileExistsError:
        raise OutputError(taken_message(path), taken=path) from None
    except (OSError, ValueError) as error:
        raise OutputError(f"{path!r} could not be written: {reason(error)}") from None


def _write_all(file: FileIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


# --- Outputs on their way to the disk: whole or not at all, resumed where they broke off, never over another file.

# A file is written as a hidden part file beside its destination and gets its name at the end. The network may break it
# off at any byte: what has arrived is kept, and the next try asks for the rest (RFC 9110, 14: Range, If-Range).


MAX_REDIRECTS = 5
PIECE = 256 * 1024  # bytes read and written at a time


class Saved:
    """A file that is there, whole: its path and its size in bytes; `skipped` if it was there before."""

    __slots__ = ("path", "size", "skipped")

    def __init__(self, path: str, size: int, skipped: bool) -> None:
        self.path = path
        self.size = size
        self.skipped = skipped


def save(
    client: Client, url: str, destination: Destination, *, force: bool, emit: Emit, deadline: float | None = None
) -> Saved:
    """Saves what `url` gives; a download that breaks off is resumed.

    `emit` takes the events; `deadline` is a moment of the client's clock that ends the download. Raises OutputError
    (the file exists, the disk is full), ApiError (DeniedError for an expired URL), NetworkError, or WaitTimeout past
    the deadline.
    """
    download = _Download(client, url, destination, force=force, emit=emit, deadline=deadline)
    try:
        return client.retry("GET", lambda _: download.run(), deadline=deadline, progress=lambda: download.done)
    except NetworkError as error:
        if deadline is not None and client.clock.monotonic() >= deadline:
            raise WaitTimeout(f"{download.name}: the time limit was reached during the download") from None
        raise error
    finally:
        download.close()


class _Download:
    """One file: begun, perhaps resumed, then given its name."""

    def __init__(
        self, client: Client, url: str, destination: Destination, *, force: bool, emit: Emit, deadline: float | None
    ) -> None:
        self.client = client
        self.url = url
        self.destination = destination
        self.force = force
        self.emit = emit
        self.deadline = deadline
        self.total: int | None = None
        self.validator = ""  # the ETag or date that a Range must still match
        self.path = ""
        self.part: PartFile | None = None

    @property
    def name(self) -> str:
        return self.path or self.destination.path

    @property
    def done(self) -> int:
        """Bytes that have arrived."""
        return self.part.size if self.part else 0

    def run(self) -> Saved:
        """One try, from where the last one broke off."""

        with self._open() as answer:
            self._begin(answer)
            if self._is_there():
                return Saved(self.path, self.total or 0, skipped=True)
            if self.part is None:
                self.part = PartFile(self.path, self.client.shutdown, self.client.clock)
            while piece := answer.read(PIECE):
                self.part.write(piece)
                self.emit(Transferred(self.done, self.total))
        if self.total is not None and self.done != self.total:
            raise NetworkError(f"{self.path}: {self.done} of {self.total} bytes arrived", maybe_received=True)
        return self._finish()

    def close(self) -> None:
        """Leaves no part file behind."""
        if self.part:
            self.part.remove()

    def _open(self) -> Stream:
        """The answer to a GET after its redirects; its status is 200 or 206."""
        url = self.url
        headers = {"Accept": "*/*"}
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
            if self.validator:
                headers["If-Range"] = self.validator
        for _ in range(MAX_REDIRECTS + 1):
            answer = self.client.stream("GET", url, headers, deadline=self.deadline)
            if answer.status not in (301, 302, 303, 307, 308):
                return self._checked(answer)
            answer.close()
            url = _redirected(url, answer.headers.get("Location"))
        raise ApiError(f"the download was redirected more than {MAX_REDIRECTS} times", status=answer.status)

    def _checked(self, answer: Stream) -> Stream:
        """The answer if its body is worth reading. Raises ApiError or NetworkError."""
        try:
            if answer.status not in (200, 206, 416):
                raise storage_error("the download was refused", answer, self.client.console.mask)
            packed = answer.headers.get("Content-Encoding", "identity").lower()
            if packed != "identity":
                words = f"the download came {packed}-compressed, which was not requested"
                raise ApiError(words, status=answer.status)
            if answer.status != 200 and not self._continues(answer):
                self._start_over()
                words = "the server cannot resume the download; starting over"
                raise NetworkError(words, maybe_received=True)
        except BaseException:
            answer.close()
            raise
        return answer

    def _continues(self, answer: Stream) -> bool:
        """Whether a 206 holds the rest of this file; its Content-Range may tell a total that was not known."""
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""), re.ASCII)
        if answer.status != 206 or not self.done or not match or int(match[1]) != self.done:
            return False
        if match[2] == "*":
            return True
        if self.total is None:
            self.total = int(match[2])
        return int(match[2]) == self.total

    def _begin(self, answer: Stream) -> None:
        """Notes what the headers say; a whole answer to a Range starts the file anew."""
        if answer.status == 206:
            return
        self._start_over()
        length = answer.headers.get("Content-Length", "")
        self.total = int(length) if length.isascii() and length.isdigit() else None
        tag = answer.headers.get("ETag", "")
        self.validator = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
        self.path = self.destination.file_name(self.url, answer.headers)

    def _start_over(self) -> None:
        if self.part:
            self.part.clear()

    def _is_there(self) -> bool:
        """Whether the file was saved before. Raises OutputError if something else has its name."""
        if not os.path.lexists(self.path):
            return False
        if self.force:
            fault = replacement_fault(self.path)
            if fault:
                raise OutputError(fault, taken=self.path)
            return False
        if self._is_saved_output():
            return not self.destination.by_content  # that is seen when all has arrived
        raise OutputError(taken_message(self.path), taken=self.path)

    def _is_saved_output(self) -> bool:
        is_ours = self.destination.in_folder and os.path.isfile(self.path)
        return is_ours and self.total is not None and os.path.getsize(self.path) == self.total

    def _finish(self) -> Saved:
        """Gives the whole file its name; without --force never in place of another, even one made just now."""
        assert self.part is not None
        if self.destination.by_content and not self.force and self.part.equals(self.path):
            return Saved(self.path, self.done, skipped=True)
        try:
            self.part.take_name(force=self.force)
        except OutputError:
            if self.force or self.destination.by_content or not self._is_saved_output():
                raise
            return Saved(self.path, self.done, skipped=True)  # another run saved the same output meanwhile
        return Saved(self.path, self.done, skipped=False)


def _redirected(url: str, location: str | None) -> str:
    """The URL that a redirect leads to. Raises ApiError for one that is not used."""
    from urllib.parse import urljoin

    try:
        target = urljoin(url, location or "")
        fault = url_fault(target) if location else "has no Location"
    except ValueError:
        target, fault = location or "", "is not a URL"
    if fault:
        raise ApiError(f"the download was redirected to {target!r}, which {fault}", status=302)
    return target
