"""Outputs on their way to the disk: whole or not at all, inside their folder, never over another file."""

from __future__ import annotations

import functools
import os
import re
from threading import Lock

from .errors import ApiError, NetworkError, OutputError, RunwayError, UsageError
from .media import TYPES, storage_error, url_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message
    from io import FileIO
    from typing import Any

    from .client import Client
    from .transport import Stream

    Report = Callable[[int, "int | None"], None]

MOST_REDIRECTS = 5
PIECE = 256 * 1024  # bytes read and written at a time
LONGEST_NAME = 120  # characters; file systems end at 255 bytes, and a number and an extension are still to come
SHOWN_NAME = 40  # characters of it that a part file shows: up to four bytes each
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # Windows devices, with any extension
_EXTENSIONS = {**{kind: end for end, kind in reversed(list(TYPES.items()))}, "audio/x-wav": "wav", "audio/wave": "wav",
               "application/json": "json", "text/plain": "txt", "application/zip": "zip"}
_parts: set[str] = set()  # files begun and not yet whole, for when the program ends in the middle of one
_beginning = Lock()  # held while one is begun, so that none is once they are removed


class Place:
    """Where one output goes: `path`, without an extension where `open_ended`; `folder` tells that its name is ours."""

    __slots__ = ("folder", "open_ended", "path")

    def __init__(self, path: str, *, folder: bool, open_ended: bool = False) -> None:
        self.path = path
        self.folder = folder
        self.open_ended = open_ended


class Saved:
    """A file that is there, whole: its path and its size in bytes; `skipped` if it was there before."""

    __slots__ = ("path", "size", "skipped")

    def __init__(self, path: str, size: int, skipped: bool) -> None:
        self.path = path
        self.size = size
        self.skipped = skipped


def is_folder(path: str) -> bool:
    """Whether PATH of an option names a folder: one that exists, or any with a slash at its end."""
    return path.endswith(("/", os.sep)) or os.path.isdir(path)


def places(path: str, stem: str, count: int) -> list[Place]:
    """The places of `count` outputs: in a folder STEM or STEM-1, STEM-2, …; else `path`, or fox-1.png, fox-2.png, …"""
    numbers = [""] if count == 1 else [f"-{number}" for number in range(1, count + 1)]
    if is_folder(path):
        return [Place(os.path.join(path, safe_name(stem) + number), folder=True, open_ended=True) for number in numbers]
    root, extension = os.path.splitext(path)
    return [Place(root + number + extension, folder=False) for number in numbers]


def check_destination(path: str, *, force: bool) -> None:
    """Makes the folder of a destination before anything is paid for. Raises UsageError if it cannot be written to."""
    folder = path if is_folder(path) else os.path.dirname(path)
    if not is_folder(path) and _exists(path) and not force:
        raise _taken(UsageError, path)
    try:
        os.makedirs(folder or ".", exist_ok=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"the folder of {path!r} cannot be made: {_reason(error)}") from None
    if not os.access(folder or ".", os.W_OK):
        raise UsageError(f"the folder of {path!r} cannot be written to")


def refuse_taken(named: list[Place]) -> None:
    """Raises OutputError if one of these places has a name that is not ours and exists already."""
    for place in named:
        if not place.folder and os.path.lexists(place.path):
            raise _taken(OutputError, place.path)


def save(client: Client, url: str, place: Place, *, force: bool, report: Report, end: float | None = None) -> Saved:
    """Saves what `url` gives at `place`; a download that breaks off is taken up where it was.

    `report` hears of the bytes there and their total, None if unknown; `end` is a moment of the client's clock past
    which no further try is made. Raises OutputError (the file exists, the disk is full), ApiError (DeniedError for an
    expired URL) or NetworkError.
    """
    download = _Download(client, url, place, force=force, report=report, end=end)
    try:
        attempt = farthest = 0
        while True:
            try:
                return download.run()
            except (ApiError, NetworkError) as error:
                if download.done > farthest:  # progress earns new tries
                    attempt, farthest = 0, download.done
                if attempt >= client.target.retries or not client.paused("GET", error, attempt, end):
                    if end is not None and client.clock.monotonic() >= end:
                        error.message += ", and the time to wait is over"
                    raise
                attempt += 1
    finally:
        download.close()


def remove_parts(client: Client) -> None:
    """Removes what unfinished downloads left, when the program ends while threads still write."""
    with _beginning:
        client.over = True
        for part in list(_parts):
            _remove(part)


def safe_name(name: str) -> str:
    """A file name made of letters, digits, dots, dashes and underscores: not hidden, not reserved, not too long."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._ ").lstrip("-")
    root, extension = os.path.splitext(name)
    name = root[: LONGEST_NAME - len(extension[:20])] + extension[:20]
    if _RESERVED.match(name):
        name = "_" + name
    return name or "output"


def name_of(url: str) -> str:
    """A safe file name from the last part of a URL's path."""
    from urllib.parse import unquote, urlsplit

    return safe_name(unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]))


class _Download:
    """One file: begun, perhaps taken up again, then given its name."""

    def __init__(self, client: Client, url: str, place: Place, *, force: bool, report: Report,
                 end: float | None) -> None:
        self.client = client
        self.url = url
        self.place = place
        self.force = force
        self.report = report
        self.end = end
        self.done = 0  # bytes in the part file
        self.total: int | None = None
        self.validator = ""  # the ETag or date that a Range must still match
        self.path = ""
        self.part = ""
        self.file: FileIO | None = None

    def run(self) -> Saved:
        """One try, from where the last one broke off."""
        with self._open() as answer:
            self._begin(answer)
            if self._is_there():
                return Saved(self.path, self.total or 0, skipped=True)
            file = self._part_file()
            while piece := answer.read(PIECE):
                _writing(self.path, functools.partial(_write_all, file, piece))
                self.done += len(piece)
                self.report(self.done, self.total)
        if self.total is not None and self.done != self.total:
            raise NetworkError(f"{self.path}: {self.done} bytes came of {self.total}", maybe_received=True)
        self._name()
        return Saved(self.path, self.done, skipped=False)

    def close(self) -> None:
        """Leaves no part file behind."""
        if self.file:
            self.file.close()  # nothing is buffered, so that nothing can fail here
            self.file = None
        if self.part:
            _remove(self.part)

    def _open(self) -> Stream:
        """The answer to a GET, with as many redirects followed as may be; its status is 200, 206 or 416."""
        url = self.url
        headers = {"User-Agent": self.client.user_agent, "Accept": "*/*"}
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
            if self.validator:
                headers["If-Range"] = self.validator
        for _ in range(MOST_REDIRECTS + 1):
            answer = self.client.stream("GET", url, headers, end=self.end)
            if answer.status not in (301, 302, 303, 307, 308):
                return self._checked(answer)
            answer.close()
            url = _redirected(url, answer.headers.get("Location"))
        raise ApiError(f"the download was redirected more than {MOST_REDIRECTS} times", status=answer.status)

    def _checked(self, answer: Stream) -> Stream:
        """The answer if its body is worth reading. Raises ApiError."""
        try:
            if answer.status not in (200, 206, 416):
                raise storage_error("the download was refused", answer)
            packed = answer.headers.get("Content-Encoding", "identity").lower()
            if packed != "identity":
                raise ApiError(f"the download came {packed}-compressed, which was not asked for", status=answer.status)
            if answer.status != 200 and (not self.done or self._range_start(answer) != self.done):
                self._forget()
                raise NetworkError("the rest of the download was not to be had: it begins again", maybe_received=True)
        except BaseException:
            answer.close()
            raise
        return answer

    def _range_start(self, answer: Stream) -> int:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if not match or (match[2] != "*" and self.total is not None and int(match[2]) != self.total):
            return -1
        return int(match[1])

    def _begin(self, answer: Stream) -> None:
        """Takes note of what the headers say; a whole answer to a Range starts the file anew."""
        if answer.status == 206:
            return
        self._forget()
        length = answer.headers.get("Content-Length", "")
        self.total = int(length) if length.isascii() and length.isdigit() else None
        tag = answer.headers.get("ETag", "")
        self.validator = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
        self.path = self.place.path
        if self.place.open_ended:
            self.path += "." + (_extension(self.url) or _EXTENSIONS.get(_media_type(answer.headers), "bin"))

    def _forget(self) -> None:
        self.done = 0
        if self.file:
            self.file.seek(0)
            _writing(self.path, self.file.truncate)

    def _is_there(self) -> bool:
        """Whether the file was saved before. Raises OutputError if something else has its name."""
        if self.force or not os.path.lexists(self.path):
            return False
        if self.place.folder and os.path.isfile(self.path) and os.path.getsize(self.path) == self.total:
            return True
        raise _taken(OutputError, self.path)

    def _part_file(self) -> FileIO:
        if self.file is None:
            folder, name = os.path.split(self.path)
            part = os.path.join(folder, f".{name[:SHOWN_NAME]}.{os.urandom(6).hex()}.part")
            _writing(self.path, lambda: os.makedirs(folder or ".", exist_ok=True))
            with _beginning:
                if self.client.over:
                    raise OutputError(f"{self.path!r} was not begun: the program ends")
                self.part = part
                _parts.add(part)
                self.file = _writing(self.path, lambda: open(part, "xb", buffering=0))  # noqa: SIM115 - stays open
        return self.file

    def _name(self) -> None:
        """Gives the whole file its name; without --force never in place of another, even one made just now."""
        file, self.file = self.file, None
        assert file is not None
        _writing(self.path, file.close)
        if self.force:
            _writing(self.path, lambda: os.replace(self.part, self.path))
        else:
            _writing(self.path, lambda: _link(self.part, self.path))
        _remove(self.part)
        self.part = ""


def _writing(path: str, act: Callable[[], Any]) -> Any:
    """What `act` returns; its OSError as an OutputError."""
    try:
        return act()
    except FileExistsError:
        raise _taken(OutputError, path) from None
    except (OSError, ValueError) as error:
        raise OutputError(f"{path!r} could not be written: {_reason(error)}") from None


def _write_all(file: FileIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest):]


def _exists(path: str) -> bool:
    """Whether something has this name, be it a link that leads nowhere. Raises UsageError for an impossible name."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise UsageError(f"{path!r} cannot be written: {_reason(error)}") from None
    return True


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _taken(kind: type[RunwayError], path: str) -> RunwayError:
    error = kind(f"{path!r} exists: choose another name, or --force to replace it")
    error.force_helps = True
    return error


def _link(part: str, path: str) -> None:
    """Renames a file only where its new name is free."""
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


def _remove(part: str) -> None:
    try:
        os.unlink(part)
    except OSError:
        pass
    _parts.discard(part)


def _redirected(url: str, location: str | None) -> str:
    from urllib.parse import urljoin

    target = urljoin(url, location or "")
    fault = url_fault(target) if location else "has no Location"
    if fault:
        raise ApiError(f"the download was redirected to {target!r}, which {fault}", status=302)
    return target


def _extension(url: str) -> str:
    """The extension of a URL's last part, "" where it has none that a file could carry."""
    match = re.search(r"\.([A-Za-z0-9]{1,5})$", name_of(url))
    return match[1].lower() if match else ""


def _media_type(headers: Message) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()
