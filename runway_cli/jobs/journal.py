"""Locks that end with the process: one set of names over flock and Windows' locking of ranges.

A lock belongs to the descriptor, so two descriptors in one process exclude each other too.
"""

from __future__ import annotations

import errno
import os
import stat

from .. import jsontext
from ..files.lock import LockFile, open_patiently, try_lock, unlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")
    from collections.abc import Iterator
    from typing import Any, BinaryIO, Protocol

    Record = dict[str, Any]

    class System(Protocol):
        """The calls that change a file; the module `os` has them."""

        def open(self, path: str, flags: int, mode: int = ..., /) -> int: ...
        def read(self, descriptor: int, length: int, /) -> bytes: ...
        def write(self, descriptor: int, data: bytes, /) -> int: ...
        def lseek(self, descriptor: int, position: int, whence: int, /) -> int: ...
        def fsync(self, descriptor: int, /) -> None: ...
        def fstat(self, descriptor: int, /) -> os.stat_result: ...
        def stat(self, path: str, /) -> os.stat_result: ...
        def close(self, descriptor: int, /) -> None: ...
        def replace(self, source: str, target: str, /) -> None: ...
        def mkdir(self, path: str, mode: int = ..., /) -> None: ...

    from collections.abc import Iterable


# --- Append-only files of JSON Lines that survive the end of the process.

# The log of a batch is one that belongs to a single process; `shared_journal` has the one of the history.
# Rules:
# 1. A record is one line, written by one `write` to a descriptor that appends, so that the lines of several processes
#    never mix. Windows does not promise that: there a lock file is held meanwhile.
# 2. When `append` returns, the record is on the disk (fsync).
# 3. A line that was cut off is never completed. The next record starts on a line of its own, and whatever is not a JSON
#    object is skipped when the file is read.


FILE_MODE = 0o600
IS_WINDOWS = os.name == "nt"
MAX_WRITES = 3  # of one line, where the system writes a part of it
# O_RDWR: whether the last line is whole takes one byte to read
FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)  # a device, or a folder on some file systems


class JournalLocked(ValueError):
    """Another process has the journal open for itself."""


class ExclusiveJournal:
    """A journal that one process alone reads and writes while it has it open. Its threads may append at the same time.

    Raises JournalLocked if another process has it open, OSError if it cannot be opened, written or locked.
    """

    def __init__(self, path: str, *, system: System = os) -> None:
        import threading  # its user has started threads already

        self._path = path
        self._system = system
        self._turn = threading.Lock()
        self._descriptor = system.open(path, FLAGS, FILE_MODE)
        is_locked = False
        try:
            is_locked = try_lock(self._descriptor)
        finally:
            if not is_locked:
                system.close(self._descriptor)
        if not is_locked:
            raise JournalLocked(f"{path!r} is in use by another process")

    def append(self, record: Record) -> None:
        """Adds a record, and returns when it is on the disk. Raises OSError."""
        with self._turn:
            write_line(self._descriptor, line_of(record), self._path, self._system)

    def records(self) -> Iterator[Record]:
        """The records from the beginning. Raises OSError."""
        with open(self._path, "rb") as file:
            yield from records_of(file)

    def close(self) -> None:
        """Ends the lock, for others to open the journal."""

        unlock(self._descriptor)
        self._system.close(self._descriptor)

    def __enter__(self) -> ExclusiveJournal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_records(path: str) -> Iterator[Record]:
    """The records of a journal that stays closed to others; none if there is no such file. Raises OSError."""
    file = open_to_read(path)
    if file:
        with file:
            yield from records_of(file)


def line_of(record: Record) -> bytes:
    """The line that a record is in the file."""
    return jsontext.encoded(record) + b"\n"


def write_line(descriptor: int, line: bytes, path: str, system: System) -> None:
    """Writes a line to the end and to the disk. Raises OSError."""
    status = system.fstat(descriptor)
    if stat.S_ISFIFO(status.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe, which keeps nothing")
    size = status.st_size
    if size and not _ends_a_line(descriptor, system):
        line = b"\n" + line
    for _ in range(MAX_WRITES):
        if system.write(descriptor, line) == len(line):
            break
        line = b"\n" + line.lstrip()  # whole again: the rest alone could come behind another process's line
    else:
        raise OSError(errno.EIO, "only parts of a line could be written")
    _sync(descriptor, system)
    if not size:
        _sync_folder(os.path.dirname(path), system)


def _ends_a_line(descriptor: int, system: System) -> bool:
    system.lseek(descriptor, -1, os.SEEK_END)
    return system.read(descriptor, 1) == b"\n"


def _sync(descriptor: int, system: System) -> None:
    try:
        system.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise


def _sync_folder(folder: str, system: System) -> None:
    """Makes the name of a new file last; Windows has no call for it."""
    if IS_WINDOWS:
        return
    try:
        descriptor = system.open(folder or ".", os.O_RDONLY)
    except PermissionError:
        return  # a folder that may be written and not read
    try:
        _sync(descriptor, system)
    finally:
        system.close(descriptor)


def open_to_read(path: str) -> BinaryIO | None:
    """None if there is no such file, or none with an end: a pipe or a terminal."""
    try:
        mode = os.stat(path).st_mode
        return None if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) else open(path, "rb")
    except (FileNotFoundError, NotADirectoryError):
        return None


def records_of(file: BinaryIO) -> Iterator[Record]:
    """The records of an open file; lines that are no JSON object are skipped. Raises OSError."""
    for line in file:
        try:
            record = jsontext.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


# --- The journal that many processes append to: the history. See `journal` for what a record is.

# Rules, beyond those of every journal:
# 1. A journal that would grow above its maximum size is renamed to `PATH.1`, which drops the one before it. The
#    size is checked again under a lock, so that of many writers one renames. Nobody waits for that: who does not get the
#    lock appends to the full file. A writer that finds its file neither at PATH nor at PATH.1 afterwards appends again.


FOLDER_MODE = 0o700
MAX_ATTEMPTS = 5  # where another process changed the files meanwhile
MAX_LOCK_WAIT = 10.0  # seconds


class SharedJournal:
    """A journal that many processes append to, in a folder that is made when it is missing.

    `max_size` is in bytes. Nothing is open between two calls, and `append` reads no more than one byte of the file.
    """

    def __init__(self, path: str, *, max_size: int, system: System = os, uses_lock: bool = IS_WINDOWS) -> None:
        self._path = path
        self._old_path = path + ".1"
        self._max_size = max_size
        self._system = system
        self._uses_lock = uses_lock

    def append(self, record: Record) -> None:
        """Adds a record, and returns when it is on the disk. Raises OSError."""
        line = line_of(record)
        append = self._append_under_lock if self._uses_lock else self._append
        try:
            append(line)
        except FileNotFoundError:
            _make_folder(os.path.dirname(self._path), self._system)
            append(line)

    def records(self) -> Iterator[Record]:
        """The records of the old file, then of the current one.

        Raises OSError if a file is there and cannot be read.
        """

        files = open_patiently(self._open_both) if self._uses_lock else self._open_both()
        try:
            for file in files:
                yield from records_of(file)
        finally:
            _close(files)

    def _append_under_lock(self, line: bytes) -> None:

        lock = LockFile(self._path + ".lock")
        if not lock.acquire(MAX_LOCK_WAIT):
            raise TimeoutError(errno.ETIMEDOUT, "another process keeps it locked")
        try:
            self._append(line)
        finally:
            lock.release()

    def _append(self, line: bytes) -> None:
        for _ in range(MAX_ATTEMPTS):
            descriptor = self._open_for(len(line))
            try:
                write_line(descriptor, line, self._path, self._system)
                written = self._system.fstat(descriptor)
            finally:
                self._system.close(descriptor)
            if self._is_read(written):
                return

    def _open_for(self, length: int) -> int:
        """A descriptor to append `length` bytes to; of a new file if the current one is full."""
        descriptor = self._system.open(self._path, FLAGS, FILE_MODE)
        if not self._is_full(self._system.fstat(descriptor), length):
            return descriptor
        self._system.close(descriptor)  # Windows renames no file that is open
        try:
            self._rotate(length)
        except OSError:
            pass  # a journal that grows is better than a record that is lost
        return self._system.open(self._path, FLAGS, FILE_MODE)

    def _rotate(self, length: int) -> None:
        """Renames the current file, unless another process does that or has done it."""
        if self._uses_lock:
            self._rename_if_full(length)  # under the lock already
            return

        lock = LockFile(self._path + ".lock")
        if lock.acquire():
            try:
                self._rename_if_full(length)
            finally:
                lock.release()

    def _rename_if_full(self, length: int) -> None:
        if self._is_full(self._system.stat(self._path), length):
            self._system.replace(self._path, self._old_path)

    def _is_full(self, status: os.stat_result, length: int) -> bool:
        return status.st_size > 0 and status.st_size + length > self._max_size

    def _is_read(self, written: os.stat_result) -> bool:
        """Whether a file is one of the two that readers read."""
        # in this order, because a file moves from the first path to the second
        return any(_is_same(written, self._status(path)) for path in (self._path, self._old_path))

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return self._system.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _open_both(self) -> list[BinaryIO]:
        """The old file and the current one, as they were at one moment: another process may rename them."""
        files: list[BinaryIO] = []
        for _ in range(MAX_ATTEMPTS):
            _close(files)
            current = open_to_read(self._path)
            files = [file for file in (open_to_read(self._old_path), current) if file]
            status = self._status(self._path)
            if _is_same(os.fstat(current.fileno()), status) if current else status is None:
                break
        return files


def _make_folder(folder: str, system: System) -> None:
    """Makes a folder, and what is missing above it, for its user alone (XDG Base Directory Specification)."""
    try:
        system.mkdir(folder, FOLDER_MODE)
    except FileExistsError:
        pass
    except FileNotFoundError:
        if os.path.dirname(folder) in ("", folder):
            raise
        _make_folder(os.path.dirname(folder), system)
        system.mkdir(folder, FOLDER_MODE)


def _close(files: Iterable[BinaryIO]) -> None:
    for file in files:
        file.close()


def _is_same(one: os.stat_result, other: os.stat_result | None) -> bool:
    return other is not None and os.path.samestat(one, other)
