"""File locks that end with the process: flock, or locked ranges on Windows.

A lock belongs to a descriptor: two descriptors of one file exclude each other in one process too.
"""

from __future__ import annotations

import errno
import os
import sys

if sys.platform == "win32":
    import msvcrt

    # Others cannot read a locked byte there, so one far beyond the end is locked; positions have 31 bits.
    POSITION = 0x7FFF0000

    def try_lock(descriptor: int) -> bool:
        """Locks the file; returns False where another descriptor holds the lock. Raises OSError."""
        return try_lock_byte(descriptor, POSITION)

    def try_lock_byte(descriptor: int, position: int) -> bool:
        """Locks one byte of a file for this process, or returns False where another process has it. Raises OSError."""
        os.lseek(descriptor, position, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, 0):  # 0: a C runtime that gives no reason
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
