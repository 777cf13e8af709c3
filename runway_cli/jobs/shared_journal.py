"""The journal that many processes append to: the history. See `journal` for what a record is.

Rules, beyond those of every journal:
1. A journal that would grow above its maximum size is renamed to `PATH.1`, which drops the one before it. The
   size is checked again under a lock, so that of many writers one renames. Nobody waits for that: who does not get the
   lock appends to the full file. A writer that finds its file neither at PATH nor at PATH.1 afterwards appends again.
"""

from __future__ import annotations

import errno
import os

from .journal import FILE_MODE, FLAGS, IS_WINDOWS, line_of, open_to_read, records_of, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from .journal import Record, System

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
        from ..files.file_lock import open_patiently

        files = open_patiently(self._open_both) if self._uses_lock else self._open_both()
        try:
            for file in files:
                yield from records_of(file)
        finally:
            _close(files)

    def _append_under_lock(self, line: bytes) -> None:
        from ..files.file_lock import LockFile

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
        from ..files.file_lock import LockFile

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
