"""One row of a batch: what it sends, and what makes it the same row in the next run.

A row is known by its endpoint, its merged body with files by their content, its @name where one is given, and, among
equal rows, its count. So neither its place in the file nor the name of an input file matters.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter

from .. import jsontext
from ..api.paths import checked_path
from ..errors import UsageError
from ..files import download as part_file
from ..files.download import safe_name
from ..files.upload import checked_inline, checked_upload, data_uri
from ..jobs import fields as _body
from .batch_log import STARTED, UNCERTAIN
from .fields import Field
from .start import is_api_dry_run
from .tasks import may_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from ..files.media import Media
    from ..shutdown import Shutdown
    from .batch_log import LogState, RowState


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


# --- What the rows of a batch and their files are called, and what is in the way of those names.


TAIL = len(".0123456789ab.part")  # characters after the name in a part file's
MAX_REST = 12  # characters after a row's name in that of its file: a number and an extension


def set_names(rows: Sequence[Row], state: LogState) -> list[tuple[Row, str]]:
    """Names the rows without an @name: as the log knows them, else by their number or the next one that is free.

    Returns the rows whose @name another row has, with the words that say so.
    """
    taken = {known.name.casefold() for known in state.rows.values()}
    named: dict[str, Row] = {}
    faults: list[tuple[Row, str]] = []
    for row in rows:
        known = state.rows.get(row.key)
        if row.label is None and known and known.name:
            row.name = known.name
        if row.name:
            first = named.setdefault(row.name.casefold(), row)
            if first is not row:
                late = row if row.label is not None else first  # the one that can be changed
                other = first if late is row else row
                faults.append((late, f"the name {late.name!r} is taken by line {other.line}"))
    taken.update(named)
    last = 0  # up to this number, none is free that a later row could have
    for row in rows:
        if not row.name:
            number = row.number
            if str(number) in taken:
                number = max(number, last) + 1
                while str(number) in taken:
                    number += 1
                last = number
            row.name = str(number)
            taken.add(row.name)
    return faults


def taken_names(rows: Sequence[Row], folder: str, state: LogState, log_path: str) -> list[tuple[Row, str]]:
    """The rows whose name has a file in the folder already, with that file. Files of other rows do not count."""
    folder = os.path.abspath(folder)
    new = {row.key for row in rows}
    known = {path for key, other in state.rows.items() if key not in new for path in other.files(folder)}
    files: dict[str, str] = {}
    numbered: dict[str, str] = {}
    for name in _listing(folder):
        path = os.path.join(folder, name)
        if path == os.path.abspath(log_path) or part_file.NAME.fullmatch(name):
            continue
        stem = os.path.splitext(name)[0].casefold()
        files.setdefault(stem, name)
        if path not in known:
            numbered.setdefault(_without_number(stem), name)
    found = ((row, files.get(row.name.casefold()) or numbered.get(row.name.casefold())) for row in rows)
    return [(row, file) for row, file in found if file]


def remove_part_files(folders: Iterable[str], names: Iterable[str]) -> None:
    """Removes the part files that a killed run of this batch left. The log is locked: no other run of it has any."""
    own = {name.casefold() for name in names}
    long = [name for name in own if len(name) > part_file.SHOWN_NAME - MAX_REST]
    for folder in folders:
        for entry in _listing(folder):
            if part_file.NAME.fullmatch(entry):
                shown = entry[1:-TAIL].casefold()
                stem = os.path.splitext(shown)[0]
                is_cut = len(shown) == part_file.SHOWN_NAME and any(_is_beginning(shown, name) for name in long)
                if stem in own or _without_number(stem) in own or is_cut:
                    part_file.remove_abandoned(os.path.join(folder, entry))


def saved_files(known: RowState, folder: str | None) -> list[str] | None:
    """The files of a row that was done, where all are still there; None where they must be saved (again).

    Without a folder nothing is to be saved: then it is what was saved before.
    """
    if folder is None:
        return known.files(None)
    if folder not in known.saved:
        return None
    files = known.saved[folder]
    return files if all(map(os.path.isfile, files)) else None


def unfinished(rows: Iterable[Row], state: LogState) -> Mapping[str, RowState]:
    """The rows of the log that are not among these and have not ended, by their keys."""
    keys = {row.key for row in rows}
    return {
        key: known for key, known in state.rows.items() if key not in keys and known.standing in (STARTED, UNCERTAIN)
    }


def _listing(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []


def _is_beginning(shown: str, name: str) -> bool:
    """Whether a cut name is that of a file of the row `name`."""
    rest = shown[len(name) :]
    return shown == name[: part_file.SHOWN_NAME] or (
        shown.startswith(name) and bool(re.fullmatch(r"(-\d*)?(\.\w*)?", rest))
    )


def _without_number(stem: str) -> str:
    return re.sub(r"-\d+$", "", stem)


# --- ROWS: the file with one request a row, laid together with the fields that all rows share.

# Every fault is named with its line, all of them at once, before anything is sent.


NAME, PATH, UPLOAD, DATA_URI = "@name", "@path", "@upload.", "@data-uri."
MAX_SHOWN = 20  # faults that the message names; `issues` has all
MAX_CELL = 1 << 26  # characters of a cell; the csv module stops at 131,072 by itself
_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")


class Faults:
    """What is wrong with the rows, by their lines."""

    def __init__(self) -> None:
        self._found: list[tuple[int, str, str]] = []

    def add(self, line: int, message: str, field: str = "") -> None:
        """Notes a fault of a line, perhaps of one field."""
        self._found.append((line, field, message))

    def check(self) -> None:
        """Raises UsageError with every fault, if there is any."""
        if not self._found:
            return
        found = sorted(self._found, key=lambda fault: fault[0])
        shown = [f"line {line}: {field + ': ' if field else ''}{message}" for line, field, message in found]
        more = f"; and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
        issues = [
            {"field": f"line {line}" + (f": {field}" if field else ""), "messages": [message]}
            for line, field, message in found
        ]
        raise UsageError("; ".join(shown[:MAX_SHOWN]) + more, issues=issues)


class Shared:
    """What all rows have in common: the endpoint, the body, the fields."""

    def __init__(
        self, path: str, body: str | None, fields: Sequence[Field], *, base_url: str, shutdown: Shutdown
    ) -> None:
        self.base_url = base_url
        self.shutdown = shutdown
        self.path = checked_endpoint(path, base_url)
        self.files = InputFiles()
        data = _body.read_body(body, False, shutdown)
        base = _body.NOTHING if data is None else jsontext.loads(data)
        self.body = _body.laid_over(base, [(field, self._value(field)) for field in fields])  # NOTHING without one

    def _value(self, field: Field) -> Any:
        if field.kind in (_body.UPLOAD, _body.DATA_URI):
            return self.files.get(field.value, f"--{field.kind}", is_upload=field.kind == _body.UPLOAD)
        return _body.field_value(field, self.shutdown)


def read_rows(source: str, shared: Shared, faults: Faults) -> list[Row]:
    """The rows of a file, or of stdin for `-`; faulty ones are left out and noted. Raises UsageError."""
    if source == "-":
        data = _body.read_stdin("ROWS, as JSON Lines,", shared.shutdown)
    else:
        data = _body.read_file(source, "ROWS", shared.shutdown)
    if data.startswith(_OTHER_BOMS):
        raise UsageError(f"ROWS {source!r} is UTF-16: save it as UTF-8")
    if data.startswith(_BOM):
        data = data[len(_BOM) :]
    read = _csv_rows if os.path.splitext(source)[1].lower() == ".csv" else _json_rows
    rows: list[Row] = []
    number = 0
    for line, cells in read(data, faults):
        number += 1
        if cells is None:
            continue
        try:
            rows.append(_row(number, line, cells, shared))
        except (UsageError, ValueError) as error:
            faults.add(line, str(error))
        except RecursionError:
            faults.add(line, "nested too deeply")
    if not number:
        faults.check()
        raise UsageError(f"ROWS {source!r} has no rows")
    return rows


def checked_endpoint(path: str, base_url: str) -> str:
    """The path of a POST that starts something. Raises UsageError."""
    found = checked_path(path, base_url)
    if not may_start(found):
        raise UsageError(f"a POST to {found.partition('?')[0]} starts nothing to wait for: use `request`")
    return found


def _row(number: int, line: int, cells: dict[str, Any], shared: Shared) -> Row:
    """The row of these cells. Raises UsageError or ValueError."""
    path, label = shared.path, None
    fields: list[tuple[Field, Any]] = []
    for key, value in cells.items():
        if key == NAME:
            label = _label(value)
        elif key == PATH:
            path = checked_endpoint(_text(key, value), shared.base_url)
        elif key.startswith((UPLOAD, DATA_URI)):
            head = UPLOAD if key.startswith(UPLOAD) else DATA_URI
            file = shared.files.get(_text(key, value), key, is_upload=head == UPLOAD)
            fields.append((Field(head[1:-1], _parts(key[len(head) :]), value), file))
        elif key.startswith("@"):
            raise UsageError(f"unknown key {key!r}: use @name, @path, @upload.KEY or @data-uri.KEY")
        else:
            fields.append((Field(_body.JSON, _parts(key), value), value))
    body = _body.laid_over(shared.body, fields)
    has_body = body is not _body.NOTHING
    if is_api_dry_run(path, body):
        raise UsageError("dryRun: true starts nothing: use `request` for it")
    return Row(number, line, path, body if has_body else None, has_body=has_body, label=label)


def _label(value: Any) -> str:
    """A name as its files have it."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"@name must be a text that is not empty, not {jsontext.dumps(value)}")
    return safe_name(value)


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{key} must be a text that is not empty, not {jsontext.dumps(value)}")
    return value


def _parts(key: str) -> list[str]:
    parts = key.split(".")
    if not all(parts):
        raise UsageError(f"{key!r} is not a field key: it has an empty part")
    return parts


def _json_rows(data: bytes, faults: Faults) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """The rows of JSON Lines with their lines; None for one that is faulty. Empty lines are skipped."""
    for line, text in enumerate(data.split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            found = jsontext.loads(text.decode("utf-8"), _object)
        except UnicodeDecodeError as error:
            faults.add(line, f"not UTF-8 (byte {error.start + 1})")
            found = None
        except ValueError as error:
            faults.add(line, f"not JSON: {str(error).replace('line 1, ', '')}")
            found = None
        else:
            if not isinstance(found, dict):
                faults.add(line, "not a JSON object")
                found = None
        yield line, found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these members. Raises ValueError where one of two would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"duplicate key {twice!r}")
    return found


def _csv_rows(data: bytes, faults: Faults) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """The rows of a table with their first lines; None for one that is faulty. Raises UsageError for its header."""
    import csv
    import io

    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"line {line}: not UTF-8: save the table as UTF-8") from None
    before = csv.field_size_limit(MAX_CELL)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header: list[str] | None = None
        line = 1
        for cells in reader:
            if header is None:
                header = _header(cells, line) if any(cells) else None
            elif any(cells):
                yield line, _cells(header, cells, line, faults)
            line = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"line {line}: not CSV: {error}") from None
    finally:
        csv.field_size_limit(before)


def _header(cells: list[str], line: int) -> list[str]:
    """The keys of the columns. Raises UsageError."""
    keys = [cell.strip() for cell in cells]
    if len(keys) == 1 and any(mark in keys[0] for mark in ";\t"):
        raise UsageError(f"line {line}: the header is one column: separate the columns with commas")
    plain = [key[: -len(":json")] if key.endswith(":json") else key for key in keys if key]
    counts = Counter(plain)
    twice = next((key for key in plain if counts[key] > 1), None)
    if twice is not None:
        raise UsageError(f"line {line}: the column {twice!r} is there twice")
    return keys


def _cells(header: list[str], cells: list[str], line: int, faults: Faults) -> dict[str, Any] | None:
    """The cells that are not empty, by their keys; None for a faulty row."""
    if any(cells[len(header) :]) or any(cell for key, cell in zip(header, cells) if not key):
        faults.add(line, "a cell has no column in the header: quote a cell that has a comma")
        return None
    found: dict[str, Any] = {}
    for key, cell in zip(header, cells):
        if not cell:
            continue
        if not key.endswith(":json"):
            found[key] = cell
            continue
        name = key[: -len(":json")]
        try:
            found[name] = jsontext.loads(cell)
        except ValueError as error:
            faults.add(line, f"{cell!r} is not JSON ({error})", name)
            return None
    return found
