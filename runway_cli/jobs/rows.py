"""ROWS of a batch: read from JSON, a table or stdin, merged with the fields that all rows share, keyed and named.

A row's key in the ledger is made from its endpoint, its merged body (files by their content, outputs of other rows by
their keys), its @name if it has one, and its count among equal rows. So neither its place in the file nor the name of
an input file matters. Every fault is reported with its line, all of them at once, before anything is sent.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from .. import jsontext
from ..api.paths import checked_path
from ..contract.schema import full_path
from ..errors import Mistyped, UsageError
from ..files.download import safe_name
from ..jsontext import Json
from ..shutdown import Shutdown
from . import fields
from .fields import Field, OutputOf
from .ledger import Attempt
from .start import digest, is_api_dry_run
from .tasks import created_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..commands.options import Options

Fault = tuple[int, str, str]  # the line, the field or "", the message
NAME, PATH = "@name", "@path"
INPUTS = {"@upload": fields.UPLOAD, "@data-uri": fields.DATA_URI, "@output-of": fields.OUTPUT_OF}
SEND, WAIT, PRINT = "send", "wait", "print"
DELIMITERS = {".csv": ",", ".tsv": "\t"}
TYPED = ":json"  # the suffix of the name of a column that holds JSON
MAX_SHOWN = 20  # faults that the message names; `issues` has all
MAX_CELL = 1 << 26  # characters of a cell; the csv module's own limit is 131,072
LINE_END = r"\r\n|\n|\r"
WRONG = {"\0": "a NUL byte: save it as UTF-8", "\ufeff": "a second byte order mark"}


class Row:
    """One row as it is sent. Its `body` contains the `inputs` as values, and is None if no body is sent.

    `number` counts the rows from 1, `line` is its line in the file, `key` identifies it in the ledger, whose last
    `attempt` at it may be None. `label` is its @name made safe, "" without one; `name` is what its outputs are called,
    once `set_names` has run. `parents` are the rows whose outputs it needs; `has_succeeded` is None while that is not
    known. `todo` is what this run has to do: SEND it, WAIT for what it started, or PRINT what the ledger knows.
    """

    def __init__(self, number: int, line: int, path: str, body: Json, label: str) -> None:
        self.number = number
        self.line = line
        self.path = path
        self.has_body = body is not fields.NOTHING
        self.body = body if self.has_body else None
        self.label = self.name = label
        self.inputs: list[fields.Input] = []
        self.value(self.inputs.append)
        self.parents: list[Row] = []
        self.key = ""
        self.attempt: Attempt | None = None
        self.todo = SEND
        self.has_succeeded: bool | None = None

    def value(self, of_input: Callable[[fields.Input], Json] = lambda each: each.placeholder()) -> Json:
        """Returns the body as a JSON value; `of_input` gives the value for each input."""
        return fields.rendered(self.body, of_input)


def read_rows(options: Options, *, base_url: str, shutdown: Shutdown) -> list[Row]:
    """Returns the rows of ROWS. Raises UsageError for a fault in what they share, else with the faults of all rows."""
    path = _endpoint(options.path, base_url)
    files: fields.Files = {}
    _, body = fields.read_body(options.body, False, shutdown)
    shared = [(field, fields.value_of(field, files, shutdown)) for field in options.fields]
    fields.check_keys(options.fields)

    source: str = options.rows
    text = fields.read_source(source, "ROWS", shutdown, is_rows=True).decode("utf-8", "surrogateescape")
    if wrong := re.search("[\0\udc80-\udcff]|(?<![^\r\n])\ufeff", text):
        line = len(re.split(LINE_END, text[: wrong.start()]))
        words = WRONG.get(wrong[0], "bytes that are not UTF-8: save it as UTF-8")
        raise UsageError(f"ROWS {source!r}: line {line} has {words}")
    delimiter = DELIMITERS.get(os.path.splitext(source)[1].lower())
    parse: Callable[[Json], dict[str, Json]] = _cells if delimiter else _json_object
    found = _table(text, delimiter) if delimiter else _json_texts(text)

    rows: list[Row] = []
    faults: list[Fault] = []
    for number, (line, given) in enumerate(found, 1):
        try:
            cells = parse(given)
            own = [_field(key, cell, files, shutdown) for key, cell in cells.items() if key not in (NAME, PATH)]
            name = _text(NAME, cells[NAME]) if NAME in cells else ""
            own_path = _endpoint(_text(PATH, cells[PATH]), base_url) if PATH in cells else path
            merged = fields.merge(body, own, shared)
            if is_api_dry_run(own_path, merged):
                raise UsageError("dryRun: true creates no task: use `request`")
            rows.append(Row(number, line, own_path, merged, safe_name(name) if name else ""))
        except UsageError as error:
            faults.append((line, error.fact("field", ""), error.message))
        except ValueError as error:
            faults.append((line, "", str(error)))
    refuse(faults)
    if not rows:
        raise UsageError(f"ROWS {source!r} has no rows")
    _set_keys(rows)
    return rows


def _field(key: str, given: Json, files: fields.Files, shutdown: Shutdown) -> tuple[Field, Json]:
    """Returns the field of a cell, and its value in the body. Raises UsageError or ValueError."""
    if not key.startswith("@"):
        field = Field(fields.JSON, fields.parts(key), given)
        return field, fields.value_of(field, files, shutdown)
    head, _, inner = key.partition(".")
    if head not in INPUTS or not inner:
        raise UsageError(f"unknown key {key!r}: use @name, @path, {'.KEY, '.join(INPUTS)}.KEY")
    field = Field(INPUTS[head], fields.parts(inner), _text(key, given))
    field.option = key
    is_output = field.kind == fields.OUTPUT_OF
    return field, OutputOf(field.value) if is_output else fields.value_of(field, files, shutdown)


def _text(key: str, given: Json) -> str:
    """Returns the text of a cell that names something. Raises UsageError."""
    text = str(given) if type(given) is int else given
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"{key} must be a non-empty string, not {jsontext.dumps(given)}")
    return text


def _endpoint(path: str, base_url: str) -> str:
    """Returns the path of a POST that creates something. Raises UsageError."""
    found = checked_path(path, base_url)
    if not re.search(r"/v\d+/", base_url + found):
        right = full_path(found)
        raise Mistyped(f"{path!r} does not begin with /v1/; did you mean {right}?", wrong=path, right=right)
    if not created_by(found):
        raise UsageError(f"a POST to {found.partition('?')[0]} creates no task: use `request`")
    return found


def refuse(faults: Sequence[Fault], intro: str = "", **facts: Json) -> None:
    """Raises UsageError that lists every fault with its line, after `intro`; returns if there is none."""
    issues = [
        {"field": f"line {line}{': ' * bool(field)}{field}", "messages": [message]}
        for line, field, message in sorted(faults, key=lambda fault: fault[0])
    ]
    listed = [f"{issue['field']}: {issue['messages'][0]}" for issue in issues[:MAX_SHOWN]]
    more = f"; and {len(issues) - MAX_SHOWN} more" if len(issues) > MAX_SHOWN else ""
    if issues:
        raise UsageError(intro + "; ".join(listed) + more, issues=issues, **facts)


def _json_texts(text: str) -> Iterator[tuple[int, str]]:
    """Yields the line and the text of each row of JSON Lines, or of one JSON array. Raises UsageError."""
    if not text.lstrip().startswith("["):
        yield from ((line, row) for line, row in enumerate(re.split(LINE_END, text), 1) if row.strip())
        return
    try:
        jsontext.loads(text)
    except ValueError as error:
        raise UsageError(f"ROWS is not a JSON array: {error}") from None
    from json import JSONDecoder

    decode = JSONDecoder(parse_int=str).raw_decode  # only to find the end of each element
    line, place = 1, text.index("[") + 1
    while text[place] != "]":
        if text[place] in " \t\r\n,":
            line += text[place] == "\n"
            place += 1
            continue
        end = decode(text, place)[1]
        yield line, text[place:end]
        line += text.count("\n", place, end)
        place = end


def _json_object(text: str) -> dict[str, Json]:
    try:
        found = fields.read_json(text.encode(), _members)
    except ValueError as error:
        raise UsageError(f"not JSON: {str(error).replace('line 1, ', '')}") from None
    if not isinstance(found, dict):
        raise UsageError("not a JSON object")
    return found


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Returns the object of these members. Raises ValueError for a duplicate key, whose first value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {max(keys, key=keys.count)!r}")
    return found


def _table(text: str, delimiter: str | None) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Yields the line and the cells of each row, with their keys in the header. Raises UsageError."""
    import csv
    import io

    file = io.StringIO(text.rstrip("\r\n\x1a"), newline="")  # Ctrl-Z ends a file of DOS
    start = line = 1
    separator = re.match(r'"?sep=(\t|[^\s\w"])?', text, re.IGNORECASE)
    if separator:  # how a spreadsheet program is told the delimiter
        delimiter = separator[1]
        start = line = 2
        file.readline()
    if not delimiter:
        raise UsageError("line 1: sep= does not name a separator such as , or ;")
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(file, strict=True, delimiter=delimiter, skipinitialspace=delimiter != "\t")
    header: list[str] = []
    try:
        for cells in reader:
            if any(cells) and header:
                yield line, list(itertools.zip_longest(header, cells, fillvalue=""))
            elif any(cells):
                header = [cell.strip() for cell in cells]
                if not header[1:] and re.search(r"[,;\t]", header[0]):
                    words = "columns are separated by commas (in .tsv by tabs), or as a first line such as sep=; says"
                    raise ValueError(f"the header has only one column: {words}")
                for name in _members([(key.removesuffix(TYPED), "") for key in header if key]):
                    fields.parts(name)
            line = start + reader.line_num
    except (csv.Error, ValueError) as error:
        raise UsageError(f"line {line}: {error}") from None


def _cells(given: list[tuple[str, str]]) -> dict[str, Json]:
    """Returns the cells of a row that are not empty, by their keys. Raises UsageError."""
    found: dict[str, Json] = {}
    for key, cell in given:
        if cell and not key:
            raise UsageError("a cell has no column in the header: quote cells that contain a comma")
        name = key.removesuffix(TYPED)
        try:
            if cell and key.endswith(TYPED):
                is_excel = cell.strip() in ("TRUE", "FALSE")
                found[name] = fields.read_json((cell.lower() if is_excel else cell).encode())
            elif cell:
                found[name] = cell
        except ValueError as error:
            raise UsageError(f"{cell!r} is not JSON ({error})", field=name) from None
    return found


def _set_keys(rows: Sequence[Row]) -> None:
    """Sets the parents and the keys, those of rows that others need first. Raises UsageError."""
    named = {row.label: row for row in rows if row.label}
    faults: list[Fault] = []
    for row in rows:
        for each in row.inputs:
            if not isinstance(each, OutputOf):
                continue
            if safe_name(each.text) in named:  # a name may end in a dot and a number itself
                each.name, each.index = each.text, 0
            each.row = named.get(safe_name(each.name))
            if each.row:
                row.parents.append(each.row)
            else:
                faults.append((row.line, "@output-of", f"no row has the @name {each.name!r}"))
    refuse(faults)
    counts: Counter[str] = Counter()
    try:
        for row in TopologicalSorter({row: row.parents for row in rows}).static_order():
            equal = digest(row.path, [row.has_body, row.value(fields.content_of), row.label or None])
            counts[equal] += 1
            row.key = digest(equal, counts[equal])
    except CycleError as error:
        circle = error.args[1][::-1]
        names = " → ".join(row.name for row in circle)
        raise UsageError(f"line {circle[0].line}: @output-of is circular: {names}") from None


def set_names(rows: Sequence[Row], known: Mapping[str, str]) -> None:
    """Names the rows without an @name: as in the ledger, else by their number or the next one that is free.

    `known` are the names in the ledger, by the keys of their rows. Raises UsageError where two rows have one name.
    """
    faults: list[Fault] = []
    owners: dict[str, Row] = {}
    for row in rows:
        row.name = row.label or known.get(row.key, "")
        first = owners.setdefault(row.name.casefold(), row) if row.name else row
        if first is not row:
            faults.append((row.line, "", f"the name {row.name!r} is taken by line {first.line}"))
    refuse(faults)
    taken = {*owners, *(name.casefold() for name in known.values())}
    free = (number for number in map(str, itertools.count(1)) if number not in taken)
    for row in rows:
        if not row.name:
            row.name = next(free) if str(row.number) in taken else str(row.number)
            taken.add(row.name)
