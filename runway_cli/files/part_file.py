"""A file that is on its way: hidden beside its destination until it is whole, and never over another file."""

from __future__ import annotations

import os
import re
import stat

from ..errors import OutputError
from .destination import reason, taken_message
from .file_lock import try_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedRandom, FileIO
    from typing import TypeVar

    from ..shutdown import Clock, Shutdown

    T = TypeVar("T")

NAME = re.compile(r"\..+\.[0-9a-f]{12}\.part")
MAX_AGE = 86_400  # seconds that a part file may be left by another run, which may be at work
SHOWN_NAME = 40  # characters of the destination's name in it: up to four bytes each


class PartFile:
    """The file that becomes `path`. Made at once, with its folder; raises OutputError where that fails.

    `shutdown` removes it when the run ends early.
    """

    def __init__(self, path: str, shutdown: Shutdown, clock: Clock) -> None:
        folder, name = os.path.split(path)
        self.size = 0  # in bytes
        self._path = path
        self._shutdown = shutdown
        self._part = os.path.join(folder, f".{name[:SHOWN_NAME]}.{os.urandom(6).hex()}.part")
        _writing(path, lambda: os.makedirs(folder or ".", exist_ok=True))
        remove_old_part_files(folder, clock.time())
        self._file: FileIO = _writing(path, lambda: shutdown.create_part_file(self._part))
        if os.name != "nt":  # where an open file cannot be removed anyway
            _try_lock(self._file)

    def write(self, piece: bytes) -> None:
        """Adds a piece. Raises OutputError."""
        _writing(self._path, lambda: _write_all(self._file, piece))
        self.size += len(piece)

    def clear(self) -> None:
        """Begins again with an empty file. Raises OutputError."""
        self.size = 0
        self._file.seek(0)
        _writing(self._path, self._file.truncate)

    def equals(self, path: str) -> bool:
        """Whether a file holds the same bytes. Raises OutputError."""
        import filecmp

        return _writing(path, lambda: os.path.isfile(path) and filecmp.cmp(self._part, path, shallow=False))

    def take_name(self, *, force: bool) -> None:
        """Gives the file its name, in place of another only with `force`; else it is removed. Raises OutputError."""
        try:
            _writing(self._path, self._file.close)
            _writing(self._path, lambda: (os.replace if force else link_or_rename)(self._part, self._path))
        finally:
            self.remove()

    def remove(self) -> None:
        """Leaves nothing behind; the file is closed first, because Windows removes no open file."""
        self._file.close()  # nothing is buffered, so that nothing can fail here
        self._shutdown.remove_part_file(self._part)


def link_or_rename(part: str, path: str) -> None:
    """Renames a file only where its new name is free. Raises FileExistsError."""
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


def remove_old_part_files(folder: str, now: float) -> None:
    """Removes the part files in a folder that a killed run left more than a day ago."""
    try:
        entries = list(os.scandir(folder or "."))
    except OSError:
        return
    for entry in entries:
        if NAME.fullmatch(entry.name):
            try:
                if now - entry.stat(follow_symlinks=False).st_mtime > MAX_AGE:
                    remove_abandoned(entry.path)
            except OSError:
                continue


def remove_abandoned(path: str) -> None:
    """Removes a part file, unless the run that writes it is at work: that has it locked, or open on Windows."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return
        if os.name == "nt":
            os.unlink(path)
            return
        with open(path, "r+b") as file:  # a lock over NFS needs the right to write
            if _try_lock(file):
                os.unlink(path)
    except OSError:
        pass


def _try_lock(file: FileIO | BufferedRandom) -> bool:
    """Locks a file, or returns False where another run has it locked; True where the file system has no locks."""
    try:
        return try_lock(file.fileno())
    except OSError:
        return True


def _writing(path: str, act: Callable[[], T]) -> T:
    """What `act` returns; its OSError as an OutputError."""
    try:
        return act()
    except FileExistsError:
        raise OutputError(taken_message(path), taken=path) from None
    except (OSError, ValueError) as error:
        raise OutputError(f"{path!r} could not be written: {reason(error)}") from None


def _write_all(file: FileIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]
