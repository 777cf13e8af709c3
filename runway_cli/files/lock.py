"""Locks that end with the process: one set of names over flock and Windows' locking of ranges.

A lock belongs to the descriptor, so two descriptors in one process exclude each other too.
"""

from __future__ import annotations

import errno
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

INTERVAL = 0.01  # seconds between two attempts
MAX_RENAME = 1.0  # seconds for which another process may be at renaming a file

if sys.platform == "win32":
    import msvcrt

    # Locked bytes cannot be read by others there, so a byte far beyond the end is locked. The C runtime takes 31 bits.
    POSITION = 0x7FFF0000

    def try_lock(descriptor: int) -> bool:
        """Locks the file, or returns False where another descriptor has it locked. Raises OSError."""
        os.lseek(descriptor, POSITION, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, 0):  # 0: a C runtime that gives no reason
                raise
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Ends the lock; closing alone does so some time later on Windows."""
        os.lseek(descriptor, POSITION, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        except OSError:
            pass  # closing the descriptor ends it

    def try_lock_byte(descriptor: int, position: int) -> bool:
        """Locks one byte of a file for this process, or returns False where another process has it. Raises OSError."""
        os.lseek(descriptor, position, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, 0):
                raise
            return False
        return True

    def unlock_byte(descriptor: int, position: int) -> None:
        """Ends the lock of one byte."""
        os.lseek(descriptor, position, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        except OSError:
            pass

else:
    import fcntl

    def try_lock_byte(descriptor: int, position: int) -> bool:
        """Locks one byte of a file for this process, or returns False where another process has it. Raises OSError."""
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, position)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def unlock_byte(descriptor: int, position: int) -> None:
        """Ends the lock of one byte."""
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, position)

    def try_lock(descriptor: int) -> bool:
        """Locks the file, or returns False where another descriptor has it locked. Raises OSError."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # lockf would end with any close of the file
        except (BlockingIOError, PermissionError):
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Ends the lock."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def open_patiently(act: Callable[[], T]) -> T:
    """What `act` opens, where a refusal may be one of Windows: for the moment in which another process renames it."""
    deadline = time.monotonic() + MAX_RENAME
    while True:
        try:
            return act()
        except PermissionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(INTERVAL)


class LockFile:
    """A lock in the form of a file beside what it protects.

    The file stays: were it deleted, one process could lock the deleted file and another one the next.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self, timeout: float = 0.0) -> bool:
        """Gets the lock, or returns False where another one had it for `timeout` seconds. Raises OSError."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + timeout
        is_locked = False
        try:
            is_locked = try_lock(descriptor)
            while not is_locked and time.monotonic() < deadline:
                time.sleep(INTERVAL)
                is_locked = try_lock(descriptor)
        finally:
            if not is_locked:
                os.close(descriptor)
        self._descriptor = descriptor if is_locked else -1
        return is_locked

    def release(self) -> None:
        """Ends the lock."""
        unlock(self._descriptor)
        os.close(self._descriptor)
