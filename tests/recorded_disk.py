"""The system's calls on files, written down in order, with failures where a test asks for them."""

from __future__ import annotations

import errno
import os

ENOSPC = errno.ENOSPC


class RecordedDisk:
    """Behaves as `os` for what a journal calls. `calls` has what changed the disk, as (call, file name or bytes)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.failing: dict[str, int] = {}  # call: the errno that it fails with
        self.max_write: list[int] = []  # how many bytes the next writes take at most
        self._names: dict[int, str] = {}

    def fail(self, call: str, number: int = ENOSPC) -> None:
        """Lets every further one of these calls fail."""
        self.failing[call] = number

    def open(self, path: str, flags: int, mode: int = 0o777, /) -> int:
        if self.failing.get("open"):
            raise OSError(self.failing["open"], os.strerror(self.failing["open"]))
        descriptor = os.open(path, flags, mode)
        self._names[descriptor] = os.path.basename(path)
        return descriptor

    def read(self, descriptor: int, length: int, /) -> bytes:
        return os.read(descriptor, length)

    def write(self, descriptor: int, data: bytes, /) -> int:
        self._record("write", data)
        length = self.max_write.pop(0) if self.max_write else len(data)
        return os.write(descriptor, data[:length])

    def lseek(self, descriptor: int, position: int, whence: int, /) -> int:
        return os.lseek(descriptor, position, whence)

    def fsync(self, descriptor: int, /) -> None:
        self._record("fsync", self._names[descriptor])
        os.fsync(descriptor)

    def fstat(self, descriptor: int, /) -> os.stat_result:
        return os.fstat(descriptor)

    def stat(self, path: str, /) -> os.stat_result:
        return os.stat(path)

    def close(self, descriptor: int, /) -> None:
        os.close(descriptor)

    def replace(self, source: str, target: str, /) -> None:
        self._record("replace", os.path.basename(target))
        os.replace(source, target)

    def mkdir(self, path: str, mode: int = 0o777, /) -> None:
        self._record("mkdir", os.path.basename(path))
        os.mkdir(path, mode)

    def _record(self, call: str, what: object) -> None:
        self.calls.append((call, what))
        if call in self.failing:
            raise OSError(self.failing[call], os.strerror(self.failing[call]))
