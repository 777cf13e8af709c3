"""ROWS of a batch: read from JSON, a table or stdin, merged with the fields that all rows share, keyed and named.

A row's key in the ledger follows from its endpoint, its merged body (files by their content, outputs of other rows by
the keys of those), its @name where it has one, and its count among equal rows. So neither its place in the file nor the
name of an input file matters. Every fault is reported with its line, all of them at once, before anything is sent.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from functools import partial
from graphlib import CycleError, TopologicalSorter

from .. import jsontext
from ..api.paths import checked_path
from ..contract.schema import full_path
from ..errors import Mistyped, UsageError
from ..files.download import safe_name
from ..files.upload import InputFile
from . import fields
from .fields import ADDRESS, NOTHING, Field, OutputOf, rendered
from .start import digest, is_api_dry_run
from .tasks import may_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from ..shutdown import Shutdown
    from .fields import Files, Input
    from .ledger import Attempt

    Fault = tuple[int, str, str]  # the line, the field or "", the message
    Parsed = Iterator[tuple[int, Callable[[], dict[str, Any]]]]  # the line of each row, and what parses the row


NAME, PATH, UPLOAD, DATA_URI, OUTPUT_OF = "@name", "@path", "@upload.", "@data-uri.", "@output-of."
SEND, WAIT, PRINT = "send", "wait", "print"
MAX_SHOWN = 20  # faults that the message names; `issues` has all
MAX_CELL = 1 << 26  # characters of a cell; the csv module's own limit is 131,072
MARK = b"\xef\xbb\xbf"  # the byte order mark of UTF-8
EXCEL = {"TRUE": "true", "FALSE": "false"}  # how a spreadsheet writes them


class Row:
    """One row, as it is sent. `body` may hold inputs as values, and is NOTHING where no body is sent.

    `number` counts the rows from 1, `line` is its line in the file, `key` identifies it in the ledger, whose last
    `attempt` at it may be None. `label` is its @name made safe, None without one; `name` is what its outputs are
    called, once `set_names` has run. `parents` are the rows whose outputs it needs. `todo` is what this run has to do:
    SEND it, WAIT for what it started, or PRINT what the ledger knows.
    """

    __slots__ = ("attempt", "body", "key", "label", "line", "name", "number", "parents", "path", "todo")

    def __init__(self, number: int, line: int, path: str, body: Any, *, label: str | None) -> None:
        self.number = number
        self.line = line
        self.path = path
        self.body = body
        self.label = label
        self.key = ""
        self.attempt: Attempt | None = None
        self.parents: list[Row] = []
        self.name = label or ""
        self.todo = SEND

    @property
    def has_body(self) -> bool:
        return self.body is not NOTHING

    def inputs(self) -> list[Input]:
        """Returns the files and outputs in its body, in their order."""
        found: list[Input] = []
        self.value(found.append)
        return found

    def files(self) -> list[InputFile]:
        """Returns the files among them."""
        return [each for each in self.inputs() if isinstance(each, InputFile)]

    def value(self, of_input: Callable[[Input], Any]) -> Any:
        """Returns the body as a JSON value, None where there is none; `of_input` gives the value for each input."""
        return rendered(self.body, of_input) if self.has_body else None


class RowReader:
    """Reads ROWS. `path`, `body` and `shared` are the endpoint, --body and the fields that all rows share.

    Raises UsageError for what is shared.
    """

    def __init__(
        self, path: str, body: str | None, shared: Sequence[Field], *, base_url: str, shutdown: Shutdown
    ) -> None:
        self._base_url = base_url
        self._shutdown = shutdown
        self._path = self._endpoint(path)
        self._files: Files = {}
        self._names: dict[str, Row] = {}  # by their labels
        self._outputs: list[tuple[Row, OutputOf]] = []  # the rows that need the outputs of others
        _, self._body = fields.read_body(body, False, shutdown)
        self._shared = [(field, fields.value_of(field, self._files, shutdown)) for field in shared]
        fields.check_keys(shared)
        fields.check_addresses(self._body, ())
        for field, value in self._shared:
            fields.check_addresses(value, shared, field.key)

    def read(self, source: str) -> list[Row]:
        """Returns the rows of a file, or of stdin for `-`. Raises UsageError, with every fault of a row."""
        data = fields.read_source(source, "ROWS", self._shutdown, is_rows=True)
        wrong = re.search(rb"\0|(?<![^\r\n])" + MARK, data)
        if wrong:
            words = "a second byte order mark" if wrong[0] == MARK else "a NUL byte: save it as UTF-8"
            raise UsageError(f"ROWS {source!r}: line {_line(data, wrong.start())} has {words}")
        kind = os.path.splitext(source)[1].lower()
        if kind in (".csv", ".tsv"):
            found = _table(data, "\t" if kind == ".tsv" else ",")
        elif data.lstrip().startswith(b"["):
            found = _json_array(data)
        else:
            lines = enumerate(data.splitlines(), 1)
            found = ((line, partial(_json_row, text)) for line, text in lines if text.strip())
        rows: list[Row] = []
        faults: list[Fault] = []
        for number, (line, parse) in enumerate(found, 1):
            try:
                rows.append(self._row(number, line, parse()))
            except UsageError as error:
                faults.append((line, error.fact("field", ""), error.message))
            except ValueError as error:
                faults.append((line, "", str(error)))
        refuse(faults)
        if not rows:
            raise UsageError(f"ROWS {source!r} has no rows")
        self._set_keys(rows)
        return rows

    def _row(self, number: int, line: int, cells: dict[str, Any]) -> Row:
        """Returns the row of these cells. Raises UsageError or ValueError."""
        path, name = self._path, ""
        own: list[tuple[Field, Any]] = []
        for key, given in cells.items():
            head = next((head for head in (UPLOAD, DATA_URI, OUTPUT_OF, NAME, PATH) if key.startswith(head)), "")
            text = str(given) if type(given) is int and head in (NAME, OUTPUT_OF) else given
            if key.startswith("@") and key != head and not head.endswith("."):
                known = "@name, @path, @upload.KEY, @data-uri.KEY or @output-of.KEY"
                raise UsageError(f"unknown key {key!r}: use {known}")
            if head and (not isinstance(text, str) or not text.strip()):
                raise UsageError(f"{key} must be a non-empty string, not {jsontext.dumps(given)}")
            if head == NAME:
                name = text
            elif head == PATH:
                path = self._endpoint(text)
            else:
                value = text
                if head == OUTPUT_OF:
                    value = OutputOf(text)
                elif head == DATA_URI or (head and not ADDRESS.match(text)):
                    value = fields.input_file(self._files, text, key, is_upload=head == UPLOAD)
                own.append((Field(fields.JSON, fields.parts(key[len(head) :]), given), value))
        body = fields.merge(self._body, own, self._shared)
        if is_api_dry_run(path, body):
            raise UsageError("dryRun: true creates no task: use `request`")
        row = Row(number, line, path, body, label=safe_name(name) if name else None)
        self._outputs += [(row, value) for _, value in own if isinstance(value, OutputOf)]
        if row.label:
            self._names[row.label] = row
        return row

    def _set_keys(self, rows: Sequence[Row]) -> None:
        """Sets the keys, first those of rows that others need. Raises UsageError for unknown names and circles."""
        faults: list[Fault] = []
        for row, each in self._outputs:
            if safe_name(each.text) in self._names:  # a name may end in a dot and a number itself
                each.name, each.index = each.text, 0
            each.row = self._names.get(safe_name(each.name))
            if each.row:
                row.parents.append(each.row)
            else:
                faults.append((row.line, "@output-of", f"no row has the @name {each.name!r}"))
        refuse(faults)
        counts: Counter[str] = Counter()
        try:
            for row in TopologicalSorter({row: row.parents for row in rows}).static_order():
                equal = digest(row.path, [row.has_body, row.value(fields.content_of), row.label])
                counts[equal] += 1
                row.key = digest(equal, counts[equal])
        except CycleError as error:
            circle = error.args[1][::-1]
            names = " → ".join(row.name for row in circle)
            raise UsageError(f"line {circle[0].line}: @output-of is circular: {names}") from None

    def _endpoint(self, path: str) -> str:
        """Returns the path of a POST that creates something. Raises UsageError."""
        found = checked_path(path, self._base_url)
        if not re.search(r"/v\d+/", self._base_url + found):
            right = full_path(found)
            raise Mistyped(f"{path!r} does not begin with /v1/; did you mean {right}?", wrong=path, right=right)
        if not may_start(found):
            raise UsageError(f"a POST to {found.partition('?')[0]} creates no task: use `request`")
        return found


def refuse(faults: Sequence[Fault], intro: str = "", **facts: Any) -> None:
    """Raises UsageError that lists every fault with its line, after `intro`; returns if there is none."""
    if not faults:
        return
    shown, issues = [], []
    for line, field, message in sorted(faults, key=lambda fault: fault[0]):
        place = f"line {line}: {field}" if field else f"line {line}"
        shown.append(f"{place}: {message}")
        issues.append({"field": place, "messages": [message]})
    more = f"; and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
    raise UsageError(intro + "; ".join(shown[:MAX_SHOWN]) + more, issues=issues, **facts)


def _line(data: bytes, end: int) -> int:
    """Returns the number of the line of a byte; a line may end in CR alone."""
    return len(re.findall(rb"\r\n|\n|\r", data[:end])) + 1


def _json_array(data: bytes) -> Parsed:
    """Reads one array of objects. Raises UsageError."""
    try:
        for line, value in jsontext.elements(data.decode("utf-8"), _object):
            yield line, partial(_object_of, value)
    except UnicodeDecodeError as error:
        raise UsageError(f"line {_line(data, error.start)}: not UTF-8") from None
    except ValueError as error:
        raise UsageError(f"ROWS is not a JSON array: {error}") from None


def _json_row(text: bytes) -> dict[str, Any]:
    """Returns the object of one line. Raises UsageError."""
    try:
        return _object_of(jsontext.loads(text, _object))
    except ValueError as error:
        raise UsageError(f"not JSON: {str(error).replace('line 1, ', '')}") from None


def _object_of(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError("not a JSON object")
    fields.check_unicode(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the object of these members. Raises ValueError where one of two would be lost."""
    duplicate = _duplicate([key for key, _ in pairs])
    if duplicate is not None:
        raise ValueError(f"duplicate key {duplicate!r}")
    return dict(pairs)


def _duplicate(keys: Sequence[str]) -> str | None:
    return next((key for key, count in Counter(keys).items() if count > 1), None)


def _table(data: bytes, delimiter: str) -> Parsed:
    """Reads a table with a header of field keys. Raises UsageError for what is not such a table."""
    import csv
    import io

    try:
        file = io.StringIO(data.rstrip(b"\r\n\x1a").decode("utf-8"), newline="")  # Ctrl-Z ends a file of DOS
    except UnicodeDecodeError as error:
        raise UsageError(f"line {_line(data, error.start)}: not UTF-8: save the table as UTF-8") from None
    start, line = 1, 1
    separator = re.match(r'"?sep=(\t|[^\s\w"])?', file.getvalue(), re.IGNORECASE)
    if separator:  # how a spreadsheet is told of the delimiter
        delimiter, start, line = separator[1], 2, 2
        file.readline()
    if not delimiter:
        raise UsageError("line 1: sep= does not name a separator such as , or ;")
    csv.field_size_limit(MAX_CELL)
    try:
        reader = csv.reader(file, strict=True, delimiter=delimiter, skipinitialspace=delimiter != "\t")
        header: list[str] | None = None
        for cells in reader:
            if any(cells):
                if header is None:
                    header = _header(cells, line)
                else:
                    yield line, partial(_table_row, header, cells)
            line = start + reader.line_num
    except csv.Error as error:
        raise UsageError(f"line {line}: not a table: {error}") from None


def _header(cells: list[str], line: int) -> list[str]:
    """Returns the keys of the columns. Raises UsageError."""
    keys = [cell.strip() for cell in cells]
    if len(keys) == 1 and re.search(r"[,;\t]", keys[0]):
        words = "columns are separated by commas (in .tsv by tabs), or by what a first line such as sep=; names"
        raise UsageError(f"line {line}: the header has only one column: {words}")
    names = [key[: -len(":json")] if key.endswith(":json") else key for key in keys if key]
    duplicate = _duplicate(names)
    if duplicate is not None:
        raise UsageError(f"line {line}: the column {duplicate!r} is duplicated")
    for name in names:
        try:
            fields.parts(name)
        except ValueError as error:
            raise UsageError(f"line {line}: {error}") from None
    return keys


def _table_row(header: list[str], cells: list[str]) -> dict[str, Any]:
    """Returns the cells that are not empty, by their keys. Raises UsageError."""
    found: dict[str, Any] = {}
    for key, cell in itertools.zip_longest(header, cells, fillvalue=""):
        if not cell:
            continue
        if not key:
            raise UsageError("a cell has no column in the header: quote cells that contain a comma")
        if not key.endswith(":json"):
            found[key] = cell
            continue
        name = key[: -len(":json")]
        try:
            found[name] = fields.read_json(EXCEL.get(cell.strip(), cell).encode())
        except ValueError as error:
            raise UsageError(f"{cell!r} is not JSON ({error})", field=name) from None
    return found


def set_names(rows: Sequence[Row], known: Mapping[str, str]) -> list[Fault]:
    """Names the rows without an @name: as the ledger has them, else by their number or the next one that is free.

    `known` are the names in the ledger, by the keys of their rows. Returns a fault for each name that two rows have.
    """
    faults: list[Fault] = []
    owners: dict[str, Row] = {}
    for row in rows:
        row.name = row.label or known.get(row.key, "")
        first = owners.setdefault(row.name.casefold(), row) if row.name else row
        if first is not row:
            late, other = (row, first) if row.label else (first, row)  # only an @name can be changed
            faults.append((late.line, "", f"the name {late.name!r} is taken by line {other.line}"))
    taken = {*owners, *(name.casefold() for name in known.values())}
    last = 0  # no number up to this one is free for a row whose own is taken
    for row in rows:
        if not row.name:
            number = row.number
            if str(number) in taken:
                number = last = next(n for n in itertools.count(max(number, last) + 1) if str(n) not in taken)
            row.name = str(number)
            taken.add(row.name)
    return faults
