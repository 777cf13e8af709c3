"""Downloads: where an output goes, the part file that it arrives in, and saving it, resumed where it broke off.

A file gets its name when it is whole, and replaces another one only with --force. No server chooses a name.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from contextlib import contextmanager

from ..api.answers import excerpt
from ..errors import ApiError, DeniedError, NetworkError, OutputError, UsageError, WaitTimeout
from ..settings import is_ledger, url_fault
from .lock import try_lock
from .media import EXTENSIONS, media_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from email.message import Message
    from io import BufferedRandom, FileIO

    from ..api.client import Client
    from ..shutdown import Clock, Shutdown
    from ..transport.http import Stream

    Emit = Callable[["Transferred"], None]


MAX_NAME = 120  # characters
MAX_BYTES = 200  # of a name; file systems end at 255, and a number and an extension are still to come
MAX_EXTENSION = 20  # characters of it, with the dot
RESERVED = re.compile(
    r"(con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³])(\.|$)", re.IGNORECASE
)  # Windows devices, with any extension


class Destination:
    """Where one output goes: `path`, without its extension where `needs_extension`.

    `may_be_saved`: a file of that name may be the same output, saved before: this program chose the name, or an earlier
    call had the same destination. That is told by its size, or by its bytes (`by_content`) where another output may have
    the same name.
    """

    __slots__ = ("by_content", "may_be_saved", "needs_extension", "path")

    def __init__(
        self, path: str, *, may_be_saved: bool, needs_extension: bool = False, by_content: bool = False
    ) -> None:
        self.path = path
        self.may_be_saved = may_be_saved
        self.needs_extension = needs_extension
        self.by_content = by_content

    def file_name(self, url: str, headers: Message) -> str:
        """Returns the path with the extension of the URL's last part, else of the media type, else `.bin`."""
        if not self.needs_extension:
            return self.path
        match = re.search(r"\.([A-Za-z0-9]{1,5})$", name_of(url))
        extension = match[1].lower() if match else EXTENSIONS.get(media_type(headers), "bin")
        return f"{self.path}.{extension}"


def destinations(
    path: str, stem: str, count: int, *, by_content: bool = False, resumed: bool = False
) -> list[Destination]:
    """Returns where `count` outputs go: in a folder STEM or STEM-1, STEM-2, …; else `path`, or fox-1.png, fox-2.png.

    `resumed`: an earlier call may have saved them there.
    """
    numbers = [""] if count == 1 else [f"-{number}" for number in range(1, count + 1)]
    if is_folder(path):
        root = os.path.join(path, safe_name(stem))
        return [
            Destination(root + number, may_be_saved=True, needs_extension=True, by_content=by_content)
            for number in numbers
        ]
    root, extension = os.path.splitext(path)
    return [Destination(root + number + extension, may_be_saved=resumed) for number in numbers]


def is_folder(path: str) -> bool:
    """Returns whether the PATH of an option names a folder: one that exists, or any with a slash at its end."""
    return path.endswith(("/", os.sep)) or os.path.isdir(path)


def check_destination(path: str, *, force: bool) -> None:
    """Makes the folder of a destination before anything is paid for.

    Raises UsageError if the folder cannot be made or written to, or if the file exists and may not be replaced.
    """
    folder = path
    if not is_folder(path):
        folder = os.path.dirname(path)
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (OSError, ValueError) as error:
            raise UsageError(f"{path!r} cannot be written: {_reason(error)}") from None
        else:
            fault = replacement_fault(path) if force else taken_message(path)
            if fault:
                raise UsageError(fault, taken=path)
    try:
        os.makedirs(folder or ".", exist_ok=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"the folder of {path!r} cannot be created: {_reason(error)}") from None
    if not os.access(folder or ".", os.W_OK):
        raise UsageError(f"the folder of {path!r} cannot be written to")


def check_output(path: str, *, force: bool) -> None:
    """Does the same for a call that pays for nothing: raises OutputError."""
    try:
        check_destination(path, force=force)
    except UsageError as error:
        raise OutputError(error.message, **error.facts) from None


def taken_message(path: str) -> str:
    """Returns the message for a file that exists."""
    return f"{path!r} exists: choose another name, or use --force to replace it"


def replacement_fault(path: str) -> str | None:
    """Returns why --force may not replace what has this name, None where it may: a regular file, or nothing."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return f"{path!r} is a broken symbolic link: --force does not replace it" if os.path.lexists(path) else None
    except OSError as error:
        return f"{path!r} cannot be replaced: {_reason(error)}"
    if not stat.S_ISREG(mode):
        return f"{path!r} is not a regular file: --force does not replace it"
    return f"{path!r} is a ledger of this program: --force does not replace it" if is_ledger(path) else None


def free_folder(path: str) -> str:
    """Returns a folder that does not exist yet, beside this one; within it where it has no name of its own."""
    plain = path.rstrip("/" + os.sep)
    if os.path.basename(plain) in ("", os.curdir, os.pardir):
        plain = os.path.join(path, "outputs")
    root, extension = os.path.splitext(plain)
    number = 1
    while os.path.lexists(plain):
        number += 1
        plain = f"{root}-{number}{extension}"
    return plain + "/"


def name_of(url: str) -> str:
    """Returns a safe file name from the last part of a URL's path."""
    from urllib.parse import unquote, urlsplit

    return safe_name(unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]))


def safe_name(name: str) -> str:
    """Returns a file name of letters of any script, digits, dots, dashes and underscores.

    It is never empty, hidden, reserved, longer than MAX_NAME, like an option, or with a dot at its end.
    """
    name = unicodedata.normalize("NFC", name)
    is_kept = [c in "._-" or c.isalnum() or unicodedata.category(c).startswith("M") for c in name]
    name = re.sub(r"\0+", "_", "".join(c if kept else "\0" for c, kept in zip(name, is_kept))).strip("._-")
    root, extension = os.path.splitext(name)
    extension = extension[:MAX_EXTENSION]
    root = root[: MAX_NAME - len(extension)].encode()[: MAX_BYTES - len(extension.encode())].decode("utf-8", "ignore")
    name = (root + extension).rstrip("._-")
    if RESERVED.match(name):
        name = ("_" + name)[:MAX_NAME].rstrip("._-")
    return name or "output"


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


# A part file is hidden beside its destination and locked by the run that writes it.
NAME = re.compile(r"\..+\.[0-9a-f]{12}\.part")
SHOWN_NAME = 40  # characters of the destination's name in it: up to four bytes each
MAX_AGE = 86_400  # seconds after which a part file that no run has locked is removed


class PartFile:
    """The file that becomes `path`, created at once with its folder. Raises OutputError where that fails.

    `shutdown` removes it when the run ends early.
    """

    def __init__(self, path: str, shutdown: Shutdown, clock: Clock) -> None:
        folder, name = os.path.split(path)
        self.size = 0  # in bytes
        self._path = path
        self._shutdown = shutdown
        self._part = os.path.join(folder, f".{name[:SHOWN_NAME]}.{os.urandom(6).hex()}.part")
        with _writing(path):
            os.makedirs(folder or ".", exist_ok=True)
            _remove_old_part_files(folder or ".", clock.time())
            self._file: FileIO = shutdown.create_part_file(self._part)
        if os.name != "nt":  # where an open file cannot be removed anyway
            _try_lock(self._file)

    def write(self, piece: bytes) -> None:
        """Appends a piece. Raises OutputError."""
        rest = memoryview(piece)
        with _writing(self._path):
            while rest:
                rest = rest[self._file.write(rest) :]
        self.size += len(piece)

    def clear(self) -> None:
        """Empties the file. Raises OutputError."""
        self.size = 0
        with _writing(self._path):
            self._file.seek(0)
            self._file.truncate()

    def equals(self, path: str) -> bool:
        """Returns whether a file holds the same bytes. Raises OutputError."""
        import filecmp

        with _writing(path):
            return os.path.isfile(path) and filecmp.cmp(self._part, path, shallow=False)

    def take_name(self, *, force: bool) -> None:
        """Gives the file its name, in place of another one only with `force`; else removes it. Raises OutputError."""
        try:
            with _writing(self._path):
                self._file.close()
                (os.replace if force else _rename_if_free)(self._part, self._path)
        finally:
            self.remove()

    def remove(self) -> None:
        """Closes and removes the part file, if it is still there."""
        self._file.close()  # first: Windows removes no open file. Nothing is buffered, so that this cannot fail
        self._shutdown.remove_part_file(self._part)


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


def remove_part_files(folders: Iterable[str], names: Iterable[str]) -> None:
    """Removes the part files of rows with these names that a killed run left. The ledger is locked: none is at work."""
    owners = [name.casefold() for name in names]
    for folder in folders:
        for entry in listing(folder):
            if NAME.fullmatch(entry):
                shown = entry[1 : -len(".0123456789ab.part")].casefold()
                if any(_is_output(shown, name) for name in owners):
                    remove_abandoned(os.path.join(folder, entry))


def _is_output(shown: str, name: str) -> bool:
    """Whether a part file that shows this, perhaps cut, is of an output of the row with this name."""
    if len(name) >= len(shown):
        return len(shown) == SHOWN_NAME and name.startswith(shown)
    return shown.startswith(name) and bool(re.fullmatch(r"(-\d*)?(\.\w*)?", shown[len(name) :]))


def listing(folder: str) -> list[str]:
    """Returns the names in a folder, none where it cannot be read."""
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []


def _remove_old_part_files(folder: str, now: float) -> None:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            if NAME.fullmatch(entry.name) and now - entry.stat(follow_symlinks=False).st_mtime > MAX_AGE:
                remove_abandoned(entry.path)
        except OSError:
            continue


def _try_lock(file: FileIO | BufferedRandom) -> bool:
    try:
        return try_lock(file.fileno())
    except OSError:
        return True  # the file system has no locks


def _rename_if_free(part: str, path: str) -> None:
    """Renames a file where its new name is free. Raises FileExistsError where it is not."""
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


@contextmanager
def _writing(path: str) -> Iterator[None]:
    """Raises an OSError of the block as an OutputError."""
    try:
        yield
    except FileExistsError:
        raise OutputError(taken_message(path), taken=path) from None
    except (OSError, ValueError) as error:
        raise OutputError(f"{path!r} could not be written: {_reason(error)}") from None


MAX_REDIRECTS = 5
PIECE = 256 * 1024  # bytes read and written at a time
ERROR_BODY = 8192  # bytes of a storage host's error that are read


class Transferred:
    """The event of a transfer: `done` bytes of `total`, which is None where it is unknown."""

    __slots__ = ("done", "total")

    def __init__(self, done: int, total: int | None) -> None:
        self.done = done
        self.total = total


class Saved:
    """A whole file: its path and its size in bytes; `skipped` if it was there before."""

    __slots__ = ("path", "size", "skipped")

    def __init__(self, path: str, size: int, skipped: bool) -> None:
        self.path = path
        self.size = size
        self.skipped = skipped


def save(
    client: Client, url: str, destination: Destination, *, force: bool, emit: Emit, deadline: float | None = None
) -> Saved:
    """Saves what `url` returns as a file. A download that breaks off is resumed, as often as more bytes arrive.

    `deadline` is a moment of the client's clock that ends the download. Raises OutputError (the file exists, the disk
    is full), ApiError (a URL that is never requested; DeniedError for one that has expired), NetworkError, or
    WaitTimeout past the deadline.
    """
    fault = url_fault(url)
    if fault:
        raise ApiError(f"the output {url!r} {fault}", status=200)
    download = _Download(client, url, destination, force=force, emit=emit, deadline=deadline)
    try:
        return client.retry("GET", lambda _: download.run(), deadline=deadline, progress=lambda: download.done)
    except NetworkError as error:
        if deadline is not None and client.clock.monotonic() >= deadline:
            name = download.path or destination.path
            raise WaitTimeout(f"{name}: the time limit was reached during the download") from None
        raise error
    finally:
        if download.part:
            download.part.remove()


class _Download:
    """One file, through all tries: each asks for what is missing (RFC 9110, 14: Range, If-Range)."""

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
        self.path = ""  # known from the first answer on
        self.part: PartFile | None = None

    @property
    def done(self) -> int:
        """The bytes that have arrived."""
        return self.part.size if self.part else 0

    def run(self) -> Saved:
        """Downloads from where the last try broke off."""
        with self._open() as answer:
            if answer.status != 206:
                self._begin(answer.headers)
            if self._is_there():
                return Saved(self.path, self.total or 0, skipped=True)
            if self.part is None:
                self.part = PartFile(self.path, self.client.shutdown, self.client.clock)
            while piece := answer.read(PIECE):
                self.part.write(piece)
                self.emit(Transferred(self.done, self.total))
        if self.total is not None and self.done != self.total:
            raise NetworkError(f"{self.path}: {self.done} of {self.total} bytes arrived", maybe_received=True)
        return self._finish(self.part)

    def _open(self) -> Stream:
        """Returns the answer of a GET, behind its redirects, whose body is worth reading: its status is 200 or 206."""
        url = self.url
        headers = {"Accept": "*/*"}
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
            if self.validator:
                headers["If-Range"] = self.validator
        for _ in range(MAX_REDIRECTS + 1):
            answer = self.client.stream("GET", url, headers, deadline=self.deadline)
            try:
                if answer.status not in (301, 302, 303, 307, 308):
                    self._check(answer)
                    return answer
            except BaseException:
                answer.close()
                raise
            answer.close()
            url = _redirected(url, answer.headers.get("Location"))
        raise ApiError(f"the download was redirected more than {MAX_REDIRECTS} times", status=answer.status)

    def _check(self, answer: Stream) -> None:
        """Raises ApiError for an answer without the file, NetworkError for a part that does not continue this one."""
        if answer.status not in (200, 206, 416):
            raise storage_error("the download was refused", answer, self.client.console.mask)
        encoding = answer.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity":
            raise ApiError(f"the download came {encoding}-compressed, which was not requested", status=answer.status)
        if answer.status == 200:
            return
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""), re.ASCII)
        if answer.status == 206 and match and self.done and int(match[1]) == self.done:
            total = self.total if match[2] == "*" else int(match[2])
            if self.total in (None, total):
                self.total = total  # which the first answer may not have told
                return
        if self.part:
            self.part.clear()
        raise NetworkError("the server cannot resume the download; starting over", maybe_received=True)

    def _begin(self, headers: Message) -> None:
        """Begins the file, again where the server sent all of it instead of a part."""
        if self.part:
            self.part.clear()
        length = headers.get("Content-Length", "")
        self.total = int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None
        tag = headers.get("ETag", "")
        self.validator = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
        self.path = self.destination.file_name(self.url, headers)

    def _is_there(self) -> bool:
        """Returns whether the file was saved before. Raises OutputError if something else has its name."""
        if not os.path.lexists(self.path):
            return False
        fault = replacement_fault(self.path) if self.force else taken_message(self.path)
        if fault and (self.force or not self._has_output_size()):
            raise OutputError(fault, taken=self.path)
        return not self.force and not self.destination.by_content  # the content is compared when all has arrived

    def _has_output_size(self) -> bool:
        """Returns whether the file that is there may be this output."""
        if not self.destination.may_be_saved or not os.path.isfile(self.path):
            return False
        if self.total is None:  # its bytes can tell, once they are there
            return self.destination.by_content
        return os.path.getsize(self.path) == self.total

    def _finish(self, part: PartFile) -> Saved:
        """Gives the whole file its name; without `force` never in place of another one, even one created just now."""
        if self.destination.by_content and not self.force and part.equals(self.path):
            return Saved(self.path, self.done, skipped=True)
        try:
            part.take_name(force=self.force)
        except OutputError:
            if self.force or self.destination.by_content or not self._has_output_size():
                raise
            return Saved(self.path, self.done, skipped=True)  # another run has saved the same output meanwhile
        return Saved(self.path, self.done, skipped=False)


def _redirected(url: str, location: str | None) -> str:
    """Returns the URL that a redirect leads to. Raises ApiError for one that is never requested."""
    from urllib.parse import urljoin

    try:
        target = urljoin(url, location or "")
        fault = url_fault(target) if location else "has no Location"
    except ValueError:
        target, fault = location or "", "is not a URL"
    if fault:
        raise ApiError(f"the download was redirected to {target!r}, which {fault}", status=302)
    return target


def storage_error(what: str, answer: Stream, mask: Callable[[str], str]) -> ApiError:
    """Returns the error of a storage host's answer, which is XML or HTML. `what` begins the message."""
    body = b""
    while len(body) < ERROR_BODY and (piece := answer.read(ERROR_BODY - len(body))):
        body += piece
    found = dict(re.findall(r"<(Code|Message)>([^<]*)<", body.decode("utf-8", "replace")))
    words = ": ".join(filter(None, (found.get("Code"), found.get("Message")))) or excerpt(body, mask)
    kind = DeniedError if answer.status in (401, 403) else ApiError
    return kind(f"{what}: HTTP {answer.status} {mask(words)}".rstrip(), status=answer.status)
