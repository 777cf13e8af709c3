"""Downloads: the path of an output, the part file that it arrives in, and saving it, resumed where it broke off.

A file gets its name when it is whole, and replaces another one only with --force. No server chooses a name.
"""

from __future__ import annotations

import os
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from io import BytesIO, FileIO
from itertools import chain

from ..api.answers import excerpt
from ..api.client import Client
from ..errors import ApiError, DeniedError, NetworkError, OutputError, RunwayError, UsageError, WaitTimeout
from ..settings import is_ledger, url_fault
from .media import EXTENSIONS, HEAD, declared_type, mismatch, type_by_content

if sys.platform != "win32":
    import fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..transport import Stream

Emit = Callable[[int, "int | None"], None]  # takes the bytes done and in all, None where that is unknown

MAX_NAME = 120  # characters
MAX_BYTES = 200  # of a name; file systems allow 255, and a number and an extension are added
MAX_EXTENSION = 20  # characters of it, with the dot
ANY = ".*"  # in place of an extension: that of the output
KEPT = ("Mn", "Mc", "Me", "So", "Sk")  # of Unicode's categories, beside letters and digits: accents and emoji
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|(com|lpt)[\d¹²³])(\.|$)")  # Windows devices, with any extension
TAKEN = "{!r} exists: choose another name, or use --force to replace it"
# A part file is hidden beside its destination and locked by the run that writes it.
PART_FILE = re.compile(r"\.(.+)\.[0-9a-f]{12}\.part")
MAX_SHOWN = 230  # bytes of the destination's name in it, which may be as long as the system allows
MAX_AGE = 86_400  # seconds after which a part file that no run has locked is removed


def destinations(path: str, count: int) -> list[str]:
    """Returns where `count` outputs go: `path`, or fox-1.png, fox-2.png, …; the extension of `fox.*` follows each."""
    root, extension = os.path.splitext(path)
    return [path] if count == 1 else [f"{root}-{number}{extension}" for number in range(1, count + 1)]


def is_folder(path: str) -> bool:
    """Returns whether the PATH of an option names a folder: one that exists, or any with a slash at its end."""
    return path.endswith(("/", os.sep)) or os.path.isdir(path)


def check_destination(path: str, *, force: bool, failure: type[RunwayError] = UsageError) -> None:
    """Creates the folder of a destination, before anything is paid for or polled, and removes old part files in it.

    Raises `failure` if the folder cannot be made or written to, or if the file exists and may not be replaced.
    """
    folder = path
    if not is_folder(path):
        check_name(path, force=force, failure=failure)
        folder = os.path.dirname(path)
    with _writing(path, failure):
        os.makedirs(folder or ".", exist_ok=True)
    if not os.access(folder or ".", os.W_OK):
        raise failure(f"the folder of {path!r} cannot be written to")
    remove_part_files(folder)


def check_name(path: str, *, force: bool, failure: type[RunwayError] = OutputError) -> None:
    """Raises `failure` for an impossible name, or for one that exists and that `force` may not replace."""
    if path.endswith(ANY):  # not a real name: the extension is not known yet
        return
    with _writing(path, failure), suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(path)
        if not force:
            raise failure(TAKEN.format(path), taken=path)
        if not os.path.isfile(path):
            raise failure(f"{path!r} is not a regular file: --force does not replace it", taken=path)
        if is_ledger(path):
            raise failure(f"{path!r} is a ledger of this program: --force does not replace it", taken=path)


def free_path(path: str, taken: Collection[str] = ()) -> str:
    """Returns the path, or the first of fox-2.png, fox-3.png, … that no file, numbered output or path of `taken` has.

    `fox.*` is free if no file is called fox, whatever its extension. For a folder, returns a new one beside it, with a
    slash at its end, or one inside it where it has no name of its own.
    """
    plain = path.rstrip("/" + os.sep)
    if os.path.basename(plain) in ("", os.curdir, os.pardir):
        plain = os.path.join(path, "outputs")
    folder, name = os.path.split(plain)
    used = [os.path.splitext(entry)[0] + ANY if name.endswith(ANY) else entry for entry in listing(folder)]
    used += [os.path.basename(each) for each in taken if os.path.dirname(each) == folder]
    return plain.removesuffix(name) + free_name(name, used) + "/" * is_folder(path)  # the separators stay as given


def free_name(name: str, used: Collection[str]) -> str:
    """Returns the name, or the first of fox-2.png, fox-3.png, … that is not used, numbered or not, in any case."""
    taken = {each.casefold() for each in used}
    stem, extension = os.path.splitext(name)
    root, number = stem, 1
    while not taken.isdisjoint((f"{root}{extension}".casefold(), f"{root}-1{extension}".casefold())):
        number += 1
        root = f"{stem}-{number}"
    return root + extension


def name_of(url: str) -> str:
    """Returns a safe file name from the last part of a URL's path."""
    from urllib.parse import unquote, urlsplit

    return safe_name(unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]))


def safe_name(name: str) -> str:
    """Returns a file name of letters and marks of any script, digits, dots, dashes and underscores.

    It is never empty, hidden, reserved or longer than MAX_NAME, and never looks like an option or ends in a dot.
    """
    name = unicodedata.normalize("NFC", name).replace("\ufffd", " ")  # for what was not UTF-8
    name = "".join(c if c in "._-" or c.isalnum() or unicodedata.category(c) in KEPT else " " for c in name)
    name = re.sub(r"^[_-]+(?=\.\w+$)", "output", re.sub(" +", "_", name)).strip("._-")
    root, extension = os.path.splitext(name)
    extension = extension[:MAX_EXTENSION]
    root = root[: MAX_NAME - len(extension)].encode()[: MAX_BYTES - len(extension.encode())].decode("utf-8", "ignore")
    name = (root + extension).rstrip("._-")
    if RESERVED.match(name):
        name = ("_" + name)[:MAX_NAME].rstrip("._-")
    return name or "output"


def listing(folder: str) -> list[str]:
    """Returns the names in a folder, none where it cannot be read."""
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []


def remove_part_files(folder: str, names: Collection[str] = ()) -> None:
    """Removes part files of outputs with these names, and any older than MAX_AGE, unless a run has them locked."""
    owners = {name.casefold() for name in names}
    for found in filter(None, map(PART_FILE.fullmatch, listing(folder))):
        path, stem = os.path.join(folder, found[0]), os.path.splitext(found[1])[0].casefold()
        is_own = stem in owners or re.sub(r"-\d+$", "", stem) in owners
        with suppress(OSError):
            if not is_own and os.lstat(path).st_mtime > time.time() - MAX_AGE:
                continue
            if sys.platform != "win32":
                with open(path, "r+b") as file:  # over NFS, a lock needs write access
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)


@contextmanager
def _writing(path: str, failure: type[RunwayError] = OutputError) -> Iterator[None]:
    """Turns an OSError of the block into `failure`."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise failure(f"{path!r} cannot be written: {getattr(error, 'strerror', None) or error}") from None


MAX_REDIRECTS = 5
# Content codings that change the bytes. Servers also write aws-chunked, UTF-8, none or nothing there.
COMPRESSIONS = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress", "dcb", "dcz"}
STEP = 16_384  # bytes that earn new tries: with only a few bytes in each try a download would take days


class Download:
    """One download, with all its tries: each requests what is missing (RFC 9110, 14: Range, If-Range).

    `may_be_ours` tells whether a file may be this output, saved before. At `deadline`, a moment of the client's clock,
    the download ends. Once it is saved, the file at `path` is whole, and `warning` tells if its extension is wrong.
    """

    def __init__(
        self,
        client: Client,
        url: str,
        path: str,
        *,
        may_be_ours: Callable[[str], bool],
        force: bool,
        deadline: float | None = None,
    ) -> None:
        self.client = client
        self.url = encoded(url)
        self.path = path  # its extension is known from the first answer on
        self.may_be_ours = may_be_ours
        self.force = force
        self.deadline = deadline
        self.warning: str | None = None
        self._done = 0  # bytes that have arrived
        self._total: int | None = None  # bytes, None where unknown
        self._etag = ""  # that a Range must still match; "" if the download cannot be resumed
        self._part = ""  # the path of the part file
        self._file: FileIO | None = None

    def save(self, emit: Emit) -> None:
        """Saves what the URL returns. A broken transfer is resumed as long as more bytes arrive.

        Raises OutputError (the file exists, the disk is full, the output is empty), ApiError (a URL that must
        not be requested; DeniedError for one that has expired), NetworkError, or WaitTimeout past the deadline.
        """
        client, attempt = self.client, partial(self._attempt, emit)
        try:
            is_new = client.retry("GET", attempt, deadline=self.deadline, progress=lambda: self._done // STEP)
        except NetworkError:
            if self.deadline is None or client.clock.monotonic() < self.deadline:
                raise
            words = f"{self.path.removesuffix(ANY)}: the time limit was reached during the download"
            raise WaitTimeout(words) from None
        finally:
            self._discard()
        self.warning = mismatch(self.path)
        for note in (None if is_new else f"{self.path} is already saved", self.warning):
            if note:
                client.console.note(note)

    def _begin(self) -> None:
        """Creates the part file, which is removed when the run ends early, and its folder. Raises OutputError."""
        folder, name = os.path.split(self.path)
        shown = os.fsencode(name)[:MAX_SHOWN].decode("utf-8", "ignore")
        self._part = os.path.join(folder, f".{shown}.{os.urandom(6).hex()}.part")
        with _writing(self.path):
            os.makedirs(folder or ".", exist_ok=True)
            self._file = self.client.shutdown.create_part_file(self._part)
        if sys.platform != "win32":  # where an open file cannot be removed anyway
            with suppress(OSError):  # a file system without locks
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _discard(self) -> None:
        """Closes and removes the part file: the next try begins at the first byte."""
        if self._file:
            self._file.close()  # first: Windows removes no open file. Nothing is buffered, so that this cannot fail
            self.client.shutdown.remove_part_file(self._part)
        self._file, self._done = None, 0

    def _attempt(self, emit: Emit) -> bool:
        """Downloads from where the last try broke off, or anew. Returns False if the file was saved before."""
        with closing(self._open()) as answer:
            self._check(answer)
            pieces: Iterator[bytes] = iter(answer.next_piece, b"")
            if answer.status != 206:  # all of it
                self._discard()
                self._total, etag = answer.length, answer.headers.get("ETag", "")
                self._etag = "" if self._total is None or etag.startswith("W/") else etag  # If-Range needs a strong one
                head = next(pieces, b"")
                self.path = self._named(answer.headers.get("Content-Type", ""), head)
                is_ours = not self.force and os.path.isfile(self.path) and self.may_be_ours(self.path)
                if is_ours and self._total and self._total == os.path.getsize(self.path):
                    return False
                if not is_ours or self._total is not None:  # without a length the content is compared later
                    check_name(self.path, force=self.force)
                self._begin()
                pieces = chain((head,), pieces)
            assert self._file
            for piece in pieces:
                rest = memoryview(piece)
                with _writing(self.path):
                    while rest:
                        rest = rest[self._file.write(rest) :]
                self._done += len(piece)
                emit(self._done, self._total)
                if self._total is not None and self._done > self._total:
                    break
        if self._total not in (None, self._done):
            words = f"{self.path}: {self._done} of {self._total} bytes arrived"
            if self._done > (self._total or 0):
                self._discard()
            raise NetworkError(words)
        if not self._done:
            raise OutputError(f"{self.path!r} was not saved: the output is empty")
        return self._take_name()

    def _take_name(self) -> bool:
        """Gives the file its name, replacing another only with `force`. Returns False if that has the same content."""
        assert self._file
        rename = os.replace if self.force else os.rename if os.name == "nt" else os.link  # Windows' replaces nothing
        with _writing(self.path):
            self._file.close()
            try:
                rename(self._part, self.path)
            except OSError:
                from filecmp import cmp

                if os.path.isfile(self.path) and cmp(self._part, self.path, shallow=False):
                    return False
                if self.force:
                    raise
                if os.path.lexists(self.path):
                    raise OutputError(TAKEN.format(self.path), taken=self.path) from None
                os.rename(self._part, self.path)  # a file system without links: the name was free a moment ago
            return True

    def _open(self) -> Stream:
        """Returns the answer of a GET after its redirects. Raises ApiError for a URL that must not be requested."""
        from urllib.parse import urljoin

        url, headers = self.url, {"Accept": "*/*"}
        if self._done and self._etag:
            headers.update({"Range": f"bytes={self._done}-", "If-Range": self._etag})
        for _ in range(MAX_REDIRECTS + 1):
            if fault := url_fault(url):
                raise ApiError(f"the output's URL {url!r} {fault}", status=200)
            answer = self.client.stream("GET", url, headers, deadline=self.deadline)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            answer.close()
            location = encoded(answer.headers.get("Location", ""), "latin-1")  # as http.client reads a header
            try:
                url = urljoin(url, location)
            except ValueError:
                url = location
        raise ApiError(f"the download was redirected more than {MAX_REDIRECTS} times", status=answer.status)

    def _check(self, answer: Stream) -> None:
        """Raises ApiError for an answer without the file, NetworkError for a range that does not continue this one."""
        status, headers = answer.status, answer.headers
        if status not in (200, 203, 206, 416):
            raise storage_error("the download was refused", answer, self.client.console.mask)
        codings = re.split(r"[\s,]+", ",".join(headers.get_all("Content-Encoding", [])).lower())
        if not COMPRESSIONS.isdisjoint(codings):
            raise ApiError(f"the download is {', '.join(codings)}-compressed, which was not requested", status=status)
        place = re.fullmatch(rf"bytes {self._done}-\d+/({self._total}|\*)", headers.get("Content-Range", ""))
        is_same = headers.get("ETag") == self._etag
        if status in (206, 416) and not (status == 206 and self._done and place and is_same):
            self._discard()
            raise NetworkError("the server cannot resume the download; starting over")

    def _named(self, content_type: str, head: bytes) -> str:
        """Returns the path with its extension: from the URL's last part, else the media type, else the content."""
        root, extension = os.path.splitext(self.path)
        if extension != ANY:
            return self.path
        if match := re.search(r"\.([A-Za-z0-9]{1,5})$", name_of(self.url)):
            return f"{root}.{match[1].lower()}"
        kind = declared_type(content_type) or type_by_content(BytesIO(head))
        return f"{root}.{EXTENSIONS.get(kind or '', 'bin')}"


def encoded(url: str, encoding: str = "utf-8") -> str:
    """Returns a URL with spaces and non-ASCII characters percent-encoded, as browsers send it, except in its host."""
    from urllib.parse import quote

    found = re.sub("[^!-~]+", lambda word: quote(word[0], encoding=encoding, errors="surrogatepass"), url.strip())
    return url if "%" in re.split("[/?#]", found.partition("://")[2])[0] else found


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
