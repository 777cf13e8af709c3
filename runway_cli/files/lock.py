"""File locks that end with the process: flock, or locked ranges on Windows.

A lock belongs to a descriptor: two descriptors of one file exclude each other in one process too.
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
MAX_RENAME = 1.0  # seconds for which another process may be renaming a file

if sys.platform == "win32":
    import msvcrt

    # Others cannot read a locked byte there, so one far beyond the end is locked; positions have 31 bits.
    POSITION = 0x7FFF0000

    def try_lock(descriptor: int) -> bool:
        """Locks the file; returns False where another descriptor holds the lock. Raises OSError."""
        os.lseek(descriptor, POSITION, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, 0):  # 0: a C runtime that gives no reason
                raise
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Releases the lock now; closing alone does so some time later on Windows."""
        os.lseek(descriptor, POSITION, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        except OSError:
            pass  # closing the descriptor releases it

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
        """Locks the file; returns False where another descriptor holds the lock. Raises OSError."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # lockf would end with any close of the file
        except (BlockingIOError, PermissionError):
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Releases the lock."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class LockFile:
    """A lock in a file of its own.

    The file stays: were it deleted, one process could lock the deleted file while another locks a new one.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self, timeout: float = 0.0) -> bool:
        """Returns whether the lock was acquired within `timeout` seconds. Raises OSError."""
        deadline = time.monotonic() + timeout
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not try_lock(descriptor):
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return False
                time.sleep(INTERVAL)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Releases the lock."""
        unlock(self._descriptor)
        os.close(self._descriptor)


def open_patiently(act: Callable[[], T]) -> T:
    """Returns what `act` opens. Windows refuses while another process renames the file: then it is tried again."""
    deadline = time.monotonic() + MAX_RENAME
    while True:
        try:
            return act()
        except PermissionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(INTERVAL)
