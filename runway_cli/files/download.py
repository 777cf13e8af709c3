"""Downloads: where an output goes, the part file that it arrives in, and saving it, resumed where it broke off.

A file gets its name when it is whole, and replaces another one only with --force. No server chooses a name.
"""

from __future__ import annotations

import io
import os
import re
import sys
import time
import unicodedata
from contextlib import closing, contextmanager, suppress

from ..api.answers import excerpt
from ..errors import ApiError, DeniedError, NetworkError, OutputError, RunwayError, UsageError, WaitTimeout
from ..settings import is_ledger, url_fault
from .media import EXTENSIONS, HEAD, declared_type, mismatch, type_by_content

if sys.platform != "win32":
    import fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from email.message import Message
    from io import FileIO

    from ..api.client import Client
    from ..shutdown import Shutdown
    from ..transport.http import Stream

    Known = Callable[[str], bool]
    Emit = Callable[[int, "int | None"], None]  # takes the bytes done and in all, None where that is unknown

MAX_NAME = 120  # characters
MAX_BYTES = 200  # of a name; file systems end at 255, and a number and an extension are still to come
MAX_EXTENSION = 20  # characters of it, with the dot
ANY = ".*"  # in place of an extension: that of the output
KEPT = ("Mn", "Mc", "Me", "So", "Sk")  # of Unicode's categories, beside letters and digits: accents and emoji
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|(com|lpt)[\d¹²³])(\.|$)")  # Windows devices, with any extension


class Destination:
    """Where one output goes: `path`, whose extension follows the output where it is ANY.

    `may_be_saved` tells whether a file of that name and size is the same output, saved before: this program chose the
    name, or an earlier call had the same destination and no other task has.
    """

    def __init__(self, path: str, *, may_be_saved: Known) -> None:
        self.path = path
        self.may_be_saved = may_be_saved

    def file_name(self, url: str, headers: Message, pieces: Iterator[bytes]) -> tuple[str, bytes]:
        """Returns the path with the extension of the URL's last part, else of the media type, else of the content.

        For the last the first of the `pieces` are read, and returned too.
        """
        root, extension = os.path.splitext(self.path)
        if extension != ANY:
            return self.path, b""
        match = re.search(r"\.([A-Za-z0-9]{1,5})$", name_of(url))
        if match:
            return f"{root}.{match[1].lower()}", b""
        kind, head = declared_type(headers.get("Content-Type", "")), b""
        if not kind:
            head = _beginning(pieces)
            kind = type_by_content(io.BytesIO(head))
        return f"{root}.{EXTENSIONS.get(kind or '', 'bin')}", head


def destinations(path: str, stem: str, count: int, *, known: Known = lambda _: False) -> list[Destination]:
    """Returns where `count` outputs go: in a folder STEM or STEM-1, STEM-2, …; else `path`, or fox-1.png, fox-2.png.

    With `fox.*` the extension follows the output. `known` tells which file may be an output that was saved before.
    """
    numbers = [""] if count == 1 else [f"-{number}" for number in range(1, count + 1)]
    if is_folder(path):
        path, known = os.path.join(path, safe_name(stem) + ANY), lambda _: True
    root, extension = os.path.splitext(path)
    return [Destination(root + number + extension, may_be_saved=known) for number in numbers]


def is_folder(path: str) -> bool:
    """Returns whether the PATH of an option names a folder: one that exists, or any with a slash at its end."""
    return path.endswith(("/", os.sep)) or os.path.isdir(path)


def check_destination(path: str, *, force: bool, failure: type[RunwayError] = UsageError) -> None:
    """Makes the folder of a destination, before anything is paid for or polled, and clears it of old part files.

    Raises `failure` if the folder cannot be made or written to, or if the file exists and may not be replaced.
    """
    folder = path if is_folder(path) else os.path.dirname(path)
    try:
        fault = None if is_folder(path) else name_fault(path, force=force)
        if fault:
            raise failure(fault, taken=path)
        os.makedirs(folder or ".", exist_ok=True)
    except (OSError, ValueError) as error:
        raise failure(f"{path!r} cannot be written: {getattr(error, 'strerror', None) or error}") from None
    if not os.access(folder or ".", os.W_OK):
        raise failure(f"the folder of {path!r} cannot be written to")
    for entry in filter(NAME.fullmatch, listing(folder)):
        _remove_abandoned(os.path.join(folder, entry), before=time.time() - MAX_AGE)


def name_fault(path: str, *, force: bool) -> str | None:
    """Returns why no output may get this name, None where nothing has it, or a file that `force` replaces.

    Raises OSError or ValueError for a name that is not possible.
    """
    if path.endswith(ANY):  # not a real name: the extension is not known yet
        return None
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not force:
        return taken_message(path)
    if not os.path.isfile(path):
        return f"{path!r} is not a regular file: --force does not replace it"
    return f"{path!r} is a ledger of this program: --force does not replace it" if is_ledger(path) else None


def taken_message(path: str) -> str:
    """Returns the message for a file that exists."""
    return f"{path!r} exists: choose another name, or use --force to replace it"


def free_folder(path: str) -> str:
    """Returns a folder that does not exist yet, beside this one; within it where it has no name of its own."""
    plain = path.rstrip("/" + os.sep)
    if os.path.basename(plain) in ("", os.curdir, os.pardir):
        plain = os.path.join(path, "outputs")
    return free_path(plain) + "/"


def free_path(path: str) -> str:
    """Returns the path, or the first name beside it under which neither a file nor a numbered output exists."""
    root, extension = os.path.splitext(path)
    candidate, number = path, 1
    while os.path.lexists(candidate) or os.path.lexists(f"{os.path.splitext(candidate)[0]}-1{extension}"):
        number += 1
        candidate = f"{root}-{number}{extension}"
    return candidate


def free_name(folder: str, stem: str, taken: Collection[str]) -> str:
    """Returns STEM.* in a folder, or the first of STEM-2.* … that neither a file nor one of the paths `taken` has."""
    used = {os.path.splitext(entry)[0].casefold() for entry in listing(folder)}
    candidate, number = stem, 1
    while not used.isdisjoint((candidate.casefold(), f"{candidate}-1".casefold())) or (
        os.path.join(folder, candidate + ANY) in taken
    ):
        number += 1
        candidate = f"{stem}-{number}"
    return os.path.join(folder, candidate + ANY)


def name_of(url: str) -> str:
    """Returns a safe file name from the last part of a URL's path."""
    from urllib.parse import unquote, urlsplit

    return safe_name(unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]))


def safe_name(name: str) -> str:
    """Returns a file name of letters and signs of any script, digits, dots, dashes and underscores.

    It is never empty, hidden, reserved, longer than MAX_NAME, like an option, or with a dot at its end.
    """
    name = unicodedata.normalize("NFC", name).replace("\ufffd", "\0")  # for what was not UTF-8
    is_kept = [c in "._-" or c.isalnum() or unicodedata.category(c) in KEPT for c in name]
    name = re.sub(r"\0+", "_", "".join(c if kept else "\0" for c, kept in zip(name, is_kept)))
    name = re.sub(r"^[_-]+(?=\.\w+$)", "output", name).strip("._-")
    root, extension = os.path.splitext(name)
    extension = extension[:MAX_EXTENSION]
    root = root[: MAX_NAME - len(extension)].encode()[: MAX_BYTES - len(extension.encode())].decode("utf-8", "ignore")
    name = (root + extension).rstrip("._-")
    if RESERVED.match(name):
        name = ("_" + name)[:MAX_NAME].rstrip("._-")
    return name or "output"


# A part file is hidden beside its destination and locked by the run that writes it.
NAME = re.compile(r"\..+\.[0-9a-f]{12}\.part")
MAX_SHOWN = 230  # bytes of the destination's name in it: a name of the user's own may be as long as is possible
MAX_AGE = 86_400  # seconds after which a part file that no run has locked is removed


class PartFile:
    """The file that becomes `path`, created at once with its folder. Raises OutputError where that fails.

    `shutdown` removes it when the run ends early.
    """

    def __init__(self, path: str, shutdown: Shutdown) -> None:
        folder, name = os.path.split(path)
        self.size = 0  # in bytes
        self._path = path
        self._shutdown = shutdown
        while len(os.fsencode(name)) > MAX_SHOWN:
            name = name[:-1]
        self._part = os.path.join(folder, f".{name}.{os.urandom(6).hex()}.part")
        with _writing(path):
            os.makedirs(folder or ".", exist_ok=True)
            self._file: FileIO = shutdown.create_part_file(self._part)
        if sys.platform != "win32":  # where an open file cannot be removed anyway
            with suppress(OSError):  # a file system without locks
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, piece: bytes) -> None:
        """Appends a piece. Raises OutputError."""
        rest = memoryview(piece)
        with _writing(self._path):
            while rest:
                rest = rest[self._file.write(rest) :]
        self.size += len(piece)

    def take_name(self, *, force: bool) -> bool:
        """Gives the file its name, in place of another one only with `force`; returns False if that is the same file.

        Raises OutputError.
        """
        with _writing(self._path):
            self._file.close()
            try:
                (os.replace if force else _rename_if_free)(self._part, self._path)
            except OSError:
                from filecmp import cmp

                if not os.path.isfile(self._path) or not cmp(self._part, self._path, shallow=False):
                    raise
                return False
            return True

    def remove(self) -> None:
        """Closes and removes the part file, if it is still there."""
        self._file.close()  # first: Windows removes no open file. Nothing is buffered, so that this cannot fail
        self._shutdown.remove_part_file(self._part)


def _remove_abandoned(path: str, *, before: float = float("inf")) -> None:
    """Removes a part file that was last written `before` a time, unless a run has it locked, or open on Windows."""
    with suppress(OSError):
        if os.lstat(path).st_mtime > before:
            return
        if sys.platform != "win32":
            with open(path, "r+b") as file:  # a lock over NFS needs the right to write
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)


def remove_part_files(folders: Iterable[str], names: Iterable[str]) -> None:
    """Removes the part files of rows with these names that a killed run left. The ledger is locked: none is at work."""
    owners = {name.casefold() for name in names}
    for folder in folders:
        for entry in filter(NAME.fullmatch, listing(folder)):
            stem = os.path.splitext(entry[1 : -len(".0123456789ab.part")])[0].casefold()
            if stem in owners or re.sub(r"-\d+$", "", stem) in owners:
                _remove_abandoned(os.path.join(folder, entry))


def listing(folder: str) -> list[str]:
    """Returns the names in a folder, none where it cannot be read."""
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []


def _rename_if_free(part: str, path: str) -> None:
    """Renames a file where its new name is free. Raises FileExistsError where it is not."""
    try:
        (os.rename if os.name == "nt" else os.link)(part, path)  # on Windows a rename replaces nothing
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
        raise OutputError(f"{path!r} could not be written: {getattr(error, 'strerror', None) or error}") from None


MAX_REDIRECTS = 5
# Content codings that change the bytes. Servers also write aws-chunked, UTF-8, none or nothing there.
UNPACKED = {"gzip", "x-gzip", "deflate"}
COMPRESSIONS = {*UNPACKED, "br", "zstd", "compress", "x-compress", "dcb", "dcz"}


class Download:
    """One file, through all tries: each asks for what is missing (RFC 9110, 14: Range, If-Range).

    `deadline` is a moment of the client's clock that ends the download. Once it is saved, `path` is whole and has
    `size` bytes; it was there before if `is_skipped`; and `warning` tells where its name is wrong for its content.
    """

    def __init__(
        self, client: Client, url: str, target: Destination, *, force: bool, emit: Emit, deadline: float | None = None
    ) -> None:
        self.client = client
        self.url = encoded(url)
        self.target = target
        self.force = force
        self.emit = emit
        self.deadline = deadline
        self.total: int | None = None
        self.etag = ""  # which a Range must still match; "" where the download cannot be resumed
        self.path = target.path  # with its extension from the first answer on
        self.size = 0
        self.is_skipped = False
        self.warning: str | None = None
        self.part: PartFile | None = None

    def save(self) -> Download:
        """Saves what the URL returns, and returns itself. What breaks off is resumed as often as more bytes arrive.

        Raises OutputError (the file exists, the disk is full, the output is empty), ApiError (a URL that is never
        requested; DeniedError for one that has expired), NetworkError, or WaitTimeout past the deadline.
        """
        fault = url_fault(self.url)
        if fault:
            raise ApiError(f"the output {self.url!r} {fault}", status=200)
        try:
            self.client.retry("GET", self._attempt, deadline=self.deadline, progress=self._progress)
        except NetworkError:
            if self.deadline is not None and self.client.clock.monotonic() >= self.deadline:
                name = self.path.removesuffix(ANY)  # before the first answer
                raise WaitTimeout(f"{name}: the time limit was reached during the download") from None
            raise
        finally:
            self._drop_part()
        self.warning = mismatch(self.path)
        for note in (f"{self.path} is already saved" if self.is_skipped else None, self.warning):
            if note:
                self.client.console.note(note)
        return self

    @property
    def done(self) -> int:
        """Returns the number of bytes that have arrived."""
        return self.part.size if self.part else 0

    def _progress(self) -> int:
        """Returns what earns new tries, in steps of a thousandth of the file: a few bytes a try would take for days."""
        return self.done // max(100, min(16_384, (self.total or 1_000_000) // 1000))

    def _drop_part(self) -> None:
        """Forgets what has arrived."""
        if self.part:
            self.part.remove()
        self.part = None

    def _attempt(self) -> None:
        """Downloads from where the last try broke off; all of it where that cannot be continued."""
        with closing(self._open()) as answer:
            pieces: Iterator[bytes] = iter(answer.next_piece, b"")
            if answer.status != 206:  # all of it
                self._drop_part()
                is_packed = bool(_compressions(answer.headers))
                self.total, etag = None if is_packed else answer.length, answer.headers.get("ETag", "")
                self.etag = "" if is_packed or etag.startswith("W/") else etag  # If-Range needs a strong one
                pieces = _unpacked(pieces) if is_packed else pieces
                self.path, head = self.target.file_name(self.url, answer.headers, pieces)
                if self._is_saved():
                    self.size, self.is_skipped = self.total or 0, True
                    return
                self.part = PartFile(self.path, self.client.shutdown)
                self.part.write(head)
            assert self.part
            for piece in pieces:
                self.part.write(piece)
                self.emit(self.done, self.total)
                if self.total is not None and self.done > self.total:
                    break
        if self.total not in (None, self.done):
            arrived, total = self.done, self.total or 0
            if arrived > total:
                self._drop_part()
            raise NetworkError(f"{self.path}: {arrived} of {total} bytes arrived", maybe_received=True)
        if not self.done:
            raise OutputError(f"{self.path!r} was not saved: the output is empty")
        self.size = self.done
        self.is_skipped = not self.part.take_name(force=self.force)  # saved before, or by another run meanwhile

    def _open(self) -> Stream:
        """Returns the answer of a GET, behind its redirects, whose body is worth reading: its status is 200 or 206."""
        url = self.url
        headers = {"Accept": "*/*"}
        if self.done and self.etag:
            headers.update({"Range": f"bytes={self.done}-", "If-Range": self.etag})
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
            url = _redirected(url, answer.headers.get("Location", ""))
        raise ApiError(f"the download was redirected more than {MAX_REDIRECTS} times", status=answer.status)

    def _check(self, answer: Stream) -> None:
        """Raises ApiError for an answer without the file, NetworkError for a part that does not continue this one."""
        if answer.status not in (200, 203, 206, 416):
            raise storage_error("the download was refused", answer, self.client.console.mask)
        compressions = _compressions(answer.headers)
        if len(compressions) > 1 or not UNPACKED.issuperset(compressions):
            words = f"the download came {', '.join(compressions)}-compressed, which was not requested"
            raise ApiError(words, status=answer.status)
        found = answer.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", found, re.ASCII)
        is_framed = match and (answer.chunked or str(answer.length) == match[3])
        if answer.status == 206 and match and is_framed and match[1] == "0" and match[3] == str(int(match[2]) + 1):
            answer.status = 200  # a part that is the whole
        if answer.status in (200, 203):
            return
        is_same = answer.headers.get("ETag") == self.etag and not compressions
        is_of_total = match and match[3] in ("*", str(self.total or match[3]))
        if answer.status == 206 and is_of_total and match and is_same and 0 < self.done == int(match[1]):
            return
        self._drop_part()
        raise NetworkError("the server cannot resume the download; starting over", maybe_received=True)

    def _is_saved(self) -> bool:
        """Returns whether an earlier call saved this output; where it has no length, its bytes will tell.

        Raises OutputError if something else has its name.
        """
        is_ours = not self.force and os.path.isfile(self.path) and self.target.may_be_saved(self.path)
        if is_ours and self.total in (None, os.path.getsize(self.path)):
            return bool(self.total)
        with _writing(self.path):
            fault = name_fault(self.path, force=self.force)
        if fault:
            raise OutputError(fault, taken=self.path)
        return False


def encoded(url: str, encoding: str = "utf-8") -> str:
    """Returns a URL with spaces and what is not ASCII percent-encoded, as browsers send it; not in its host."""
    from urllib.parse import quote

    def quoted(found: re.Match[str]) -> str:
        return quote(found[0], encoding=encoding, errors="surrogatepass")

    found = re.sub("[^!-~]+", quoted, url.strip())
    return url if "%" in re.split("[/?#]", found.partition("://")[2])[0] else found


def _redirected(url: str, location: str) -> str:
    """Returns the URL that a redirect leads to. Raises ApiError for one that is never requested."""
    from urllib.parse import urljoin

    try:
        target = urljoin(url, encoded(location, "latin-1"))  # as http.client reads a header
    except ValueError:
        target = location
    fault = url_fault(target)
    if fault:
        raise ApiError(f"the download was redirected to {target!r}, which {fault}", status=302)
    return target


def _compressions(headers: Message) -> list[str]:
    """Returns the content codings of an answer that change its bytes."""
    named = ",".join(headers.get_all("Content-Encoding", [])).lower()
    return [word for word in re.split(r"[\s,]+", named) if word in COMPRESSIONS]


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yields what gzip or deflate holds. Raises ApiError where it is neither, NetworkError where it is cut off."""
    import zlib

    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either of the two
    try:
        for piece in pieces:
            yield unpacker.decompress(piece)
            if unpacker.unused_data:
                raise zlib.error
        yield unpacker.flush()
    except zlib.error:
        raise ApiError("the download is not compressed as its Content-Encoding says", status=200) from None
    if not unpacker.eof:
        raise NetworkError("the compressed download was cut off", maybe_received=True)


def _beginning(pieces: Iterable[bytes]) -> bytes:
    """Returns what the first pieces hold, HEAD bytes or more where there are as many."""
    found = b""
    for piece in pieces:
        found += piece
        if len(found) >= HEAD:
            break
    return found


def storage_error(what: str, answer: Stream, mask: Callable[[str], str]) -> ApiError:
    """Returns the error of a storage host's answer, which is XML or HTML. `what` begins the message."""
    answer.exchange.limit_part()
    body = b""
    with suppress(NetworkError):  # the status tells enough
        while len(body) < HEAD and (piece := answer.next_piece()):
            body += piece
    found = dict(re.findall(rb"(?s)<(Code|Message)>(.*?)</\1>", body))
    words = excerpt(b": ".join(filter(None, (found.get(b"Code"), found.get(b"Message")))) or body, mask)
    kind = DeniedError if answer.status in (401, 403) else ApiError
    return kind(f"{what}: HTTP {answer.status} {words}".rstrip(), status=answer.status)
