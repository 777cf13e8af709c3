"""Append-only files of JSON Lines that survive the end of the process.

The log of a batch is one that belongs to a single process; `shared_journal` has the one of the history.

Rules:
1. A record is one line, written by one `write` to a descriptor that appends, so that the lines of several processes
   never mix. Windows does not promise that: there a lock file is held meanwhile.
2. When `append` returns, the record is on the disk (fsync).
3. A line that was cut off is never completed. The next record starts on a line of its own, and whatever is not a JSON
   object is skipped when the file is read.
"""

from __future__ import annotations

import errno
import os
import stat

from .. import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
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

        from ..files.file_lock import try_lock

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
        from ..files.file_lock import unlock

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
