"""One row of a batch: what it sends, and what makes it the same row in the next run.

A row is known by its endpoint, its merged body with files by their content, its @name where one is given, and, among
equal rows, its count. So neither its place in the file nor the name of an input file matters.
"""

from __future__ import annotations

import hashlib
import os

from .. import jsontext
from ..errors import UsageError
from ..files.upload import checked_inline, checked_upload, data_uri

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ..files.media import Media

KEY_LENGTH = 32  # characters of the hash that names a row in the log
PIECE = 1 << 20  # bytes that are hashed at a time


class InputFile:
    """A file that becomes a value of a body: uploaded, or inlined as a data URI. `digest` is of its content."""

    __slots__ = ("digest", "is_upload", "media", "option", "stamp")

    def __init__(self, media: Media, digest: str, stamp: tuple[int, int], *, option: str, is_upload: bool) -> None:
        self.media = media
        self.digest = digest
        self.stamp = stamp
        self.option = option
        self.is_upload = is_upload

    def data_uri(self) -> str:
        """The file inlined. Raises UsageError."""
        return data_uri(self.media.path, self.option)

    def check_unchanged(self) -> None:
        """Raises UsageError where the file is no longer the one that the row was known by."""
        try:
            is_same = _stamp(os.stat(self.media.path)) == self.stamp
        except OSError:
            is_same = False
        if not is_same:
            path = self.media.path
            raise UsageError(f"{self.option}: {path!r} was changed or removed during the run")


class InputFiles:
    """The input files of a batch. Each is read once, however many rows have it."""

    def __init__(self) -> None:
        self._digests: dict[str, tuple[str, tuple[int, int]]] = {}
        self._found: dict[tuple[str, bool], InputFile] = {}

    def get(self, path: str, option: str, *, is_upload: bool) -> InputFile:
        """The file, checked. Raises UsageError."""
        found = self._found.get((path, is_upload))
        if found is None:
            media = (checked_upload if is_upload else checked_inline)(path, option)
            if path not in self._digests:
                self._digests[path] = _digest(path, option)
            found = InputFile(media, *self._digests[path], option=option, is_upload=is_upload)
            self._found[(path, is_upload)] = found
        return found


class Row:
    """A row as it is sent. `body` may hold InputFiles as values; `has_body` is False where nothing is sent as a body.

    `number` counts the rows from 1, `line` is its line in the file. `label` is its @name made safe, None without one;
    `name` is what its files are called, and `key` what the log knows it by: its `identity`, and its count among equals.
    Raises RecursionError for a body that is nested too deeply.
    """

    __slots__ = ("body", "has_body", "identity", "key", "label", "line", "name", "number", "path")

    def __init__(self, number: int, line: int, path: str, body: Any, *, has_body: bool, label: str | None) -> None:
        self.number = number
        self.line = line
        self.path = path
        self.body = body
        self.has_body = has_body
        self.label = label
        self.name = label or ""
        self.identity = _identity(path, body if has_body else None, has_body, label)
        self.key = ""

    def files(self) -> list[InputFile]:
        """The files that its body has, in their order."""
        return list(_files(self.body))

    def value(self, text: Callable[[InputFile], str]) -> Any:
        """The body as a JSON value, with the text that stands for each file."""
        return _rendered(self.body, text)


def set_keys(rows: list[Row]) -> None:
    """Gives each row the key that it has in the log."""
    counts: dict[bytes, int] = {}
    for row in rows:
        digest = row.identity.digest()
        counts[digest] = counts.get(digest, 0) + 1
        found = row.identity.copy()
        found.update(b"\n%d" % counts[digest])
        row.key = found.hexdigest()[:KEY_LENGTH]


def _identity(path: str, body: Any, has_body: bool, label: str | None) -> hashlib._Hash:
    """The hash of what makes a row the same row in the next run."""
    plain = _rendered(body, lambda file: {"@content": file.digest})
    return hashlib.sha256(jsontext.encoded(_sorted([path, has_body, plain, label])))


def _digest(path: str, option: str) -> tuple[str, tuple[int, int]]:
    """A hash of the content of a file, and its size and time of change before it was read. Raises UsageError."""
    found = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            stamp = _stamp(os.fstat(file.fileno()))
            while piece := file.read(PIECE):
                found.update(piece)
    except OSError as error:
        raise UsageError(f"{option}: {path!r} cannot be read: {error.strerror or error}") from None
    return found.hexdigest(), stamp


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _files(value: Any) -> Iterator[InputFile]:
    if isinstance(value, InputFile):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _files(item)


def _rendered(value: Any, text: Callable[[InputFile], Any]) -> Any:
    if isinstance(value, InputFile):
        return text(value)
    if isinstance(value, dict):
        return {key: _rendered(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [_rendered(item, text) for item in value]
    return value


def _sorted(value: Any) -> Any:
    """The value with the keys of its objects in order: moving a column of a table makes no other row."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
