"""ROWS: the file with one request a row, laid together with the fields that all rows share.

Every fault is named with its line, all of them at once, before anything is sent.
"""

from __future__ import annotations

import os
from collections import Counter

from .. import jsontext
from ..api.paths import checked_path
from ..errors import UsageError
from ..files.destination import safe_name
from ..jobs.batch_row import InputFiles, Row
from ..jobs.pollable import may_start
from ..jobs.starting import is_api_dry_run
from . import _body
from ._body import Field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from ..shutdown import Shutdown

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
