"""The standard streams: text out as UTF-8, and what is known about the terminal behind them."""

from __future__ import annotations

import errno
import os
import sys

from .. import jsontext
from ..errors import ClosedOutput, OutputError
from .masking import MIN_LENGTH_IN_RESULTS, Secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from .masking import Secrets
    from .progress import Live
    from .tables import Column, Row


DEFAULT_SIZE = (80, 24)  # columns and lines where no stream knows
REPLACEMENT = "\ufffd"

_STD_ERROR_HANDLE = -12  # learn.microsoft.com/windows/console/getstdhandle
_ENABLE_VIRTUAL_TERMINAL_PROCESSING = 4  # learn.microsoft.com/windows/console/setconsolemode
_JOINERS = "\u200c\u200d"  # parts of words and of emoji


def write_stdout(text: str) -> None:
    """Writes text on stdout, as UTF-8 whatever the locale.

    Raises ClosedOutput if nobody reads it any more, OutputError if it cannot be written.
    """
    if sys.stdout is None:
        raise ClosedOutput
    try:
        _write(sys.stdout, text)
    except ValueError:  # a closed stream
        raise ClosedOutput from None
    except OSError as error:
        if is_closed_pipe(error, os.name):
            raise ClosedOutput from None
        raise OutputError(f"stdout could not be written: {error.strerror or error}") from None


def write_stderr(text: str) -> None:
    """Writes text on stderr, as UTF-8. A stderr that is closed or full does not matter."""
    try:
        _write(sys.stderr, text)
    except (AttributeError, ValueError, OSError):
        pass


def is_closed_pipe(error: OSError, system: str) -> bool:
    """Whether the reader has gone. Windows (`system` "nt") reports that as EINVAL."""
    return isinstance(error, BrokenPipeError) or (system == "nt" and error.errno == errno.EINVAL)


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal; False for None and for a closed one."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def terminal_size(*streams: Any) -> tuple[int, int]:
    """Columns and lines of the first of these streams that is a terminal, else DEFAULT_SIZE."""
    for stream in streams:
        try:
            columns, lines = os.get_terminal_size(stream.fileno())
        except (AttributeError, ValueError, OSError):
            continue
        return columns or DEFAULT_SIZE[0], lines or DEFAULT_SIZE[1]
    return DEFAULT_SIZE


def terminal_width() -> int:
    """Columns of the terminal that the program was started in."""
    return terminal_size(sys.__stdout__, sys.__stderr__, sys.__stdin__)[0]


def enable_ansi() -> bool:
    """Whether the terminal behind stderr understands ANSI escape sequences; on Windows, after asking for them."""
    if sys.platform == "win32":
        import ctypes

        return enable_virtual_terminal(ctypes.windll.kernel32, ctypes)
    return True


def enable_virtual_terminal(kernel32: Any, ctypes: Any) -> bool:
    """Switches ANSI escape sequences on for the Windows console behind stderr. False for older consoles."""
    try:
        kernel32.GetStdHandle.restype = ctypes.c_void_p  # a handle has 64 bits
        handle = ctypes.c_void_p(kernel32.GetStdHandle(_STD_ERROR_HANDLE))
        mode = ctypes.c_ulong()
        if not kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
            return False
        return bool(kernel32.SetConsoleMode(handle, mode.value | _ENABLE_VIRTUAL_TERMINAL_PROCESSING))
    except (AttributeError, OSError):
        return False


def printable(text: str) -> str:
    """`text` on one line that cannot steer a terminal: white space as spaces, control characters replaced."""
    if text.isprintable():
        return text
    return "".join(_printable(character) for character in text)


def _printable(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    return " " if character.isspace() else REPLACEMENT


def _write(stream: Any, text: str) -> None:
    """Past Python's buffer: what could not be written must not be tried again when the interpreter ends."""
    buffer = getattr(stream, "buffer", None)
    if buffer is None:  # a stream of text alone, such as io.StringIO
        stream.write(text)
        return
    raw = getattr(buffer, "raw", buffer)
    rest = memoryview(text.encode("utf-8", "backslashreplace"))
    while rest:
        written = raw.write(rest)
        if written is None:  # a pipe that does not block and is full
            import select

            select.select([], [raw], [])
        rest = rest[written or 0 :]


# --- `--select PATH[,PATH…]`: parts of a result.

# A path is dotted: `cost.credits`. A number is the index of a list, `*` each element of a list or each value of an
# object. An object's own key counts first; where it leads nowhere, keys that contain dots are tried (`models.veo3.1`).
# Keys that contain a comma cannot be named.


EACH = "*"
MAX_PARTS = 100  # of one path; each part is one call deep
MAX_KEYS = 30  # that a note names


class Selection:
    """The paths of one `--select`, as they were written."""

    __slots__ = ("paths",)

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def lines(self, value: Any) -> list[str]:
        """The lines that stand for `value`.

        One path: one line per match, strings raw, everything else compact JSON; `null` where nothing matches. A string
        that does not fit on one line (a line break or another control character) is printed as JSON too, so that a
        match is one line always. Several paths: one compact JSON object.
        """
        if len(self.paths) > 1:
            return [jsontext.dumps(self.row(value))]
        return [_line(match) for match in matches(value, self.paths[0].split("."))] or ["null"]

    def row(self, value: Any) -> dict[str, Any]:
        """What each path matches in `value`, by path: null for nothing; a list where the path has a `*`."""
        row: dict[str, Any] = {}
        for path in self.paths:
            parts = path.split(".")
            found = matches(value, parts)
            row[path] = (found if EACH in parts else found[0]) if found else None
        return row

    def unmatched(self, value: Any) -> list[str]:
        """The paths that match nothing in `value`."""
        return [path for path in self.paths if not matches(value, path.split("."))]


def parse(text: str) -> Selection:
    """The selection that an option's text describes. Raises ValueError with words for a user."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # an ASCII locale does not decode é
    paths = [path.strip() for path in text.split(",")]
    for path in paths:
        _check(path, text)
    return Selection(paths)


def matches(value: Any, parts: Sequence[str]) -> list[Any]:
    """Everything in `value` that a path leads to, in order."""
    if not parts:
        return [value]
    part, rest = parts[0], parts[1:]
    if part == EACH:
        return [match for item in _elements(value) for match in matches(item, rest)]
    if isinstance(value, list):
        index = _index(part)
        return matches(value[index], rest) if index is not None and index < len(value) else []
    if isinstance(value, dict):
        for end in range(1, len(parts) + 1):
            key = ".".join(parts[:end])
            found = matches(value[key], parts[end:]) if key in value else []
            if found:
                return found
    return []


def explain(value: Any, path: str) -> str:
    """Why a path matches nothing in `value`: what is there at the last place that it reaches."""
    place: list[str] = []
    for part in path.split("."):
        following = matches(value, [part])
        if not following:
            break
        value = following[0]
        place.append(part)
    return f"--select {path} matches nothing: {_description(value, '.'.join(place))}"


def _check(path: str, whole: str) -> None:
    parts = path.split(".")
    if not path:
        words = "must name a path, such as id or output.0"
        raise ValueError(f"{words}; {whole!r} has an empty one" if whole.strip(" ,") or "," in whole else words)
    if any("[" in part and part.endswith("]") for part in parts):
        raise ValueError(f"{path!r} has brackets: write output.0 for the first element, output.* for each")
    if not all(parts):
        raise ValueError(f"{path!r} has an empty part: write id or data.*.id, without a dot at either end")
    if len(parts) > MAX_PARTS:
        raise ValueError(f"a path has {MAX_PARTS} parts at most, not {len(parts)}")


def _line(value: Any) -> str:
    text = jsontext.dumps(value)
    if not isinstance(value, str):
        return text
    is_one_line = text[1:-1] == value.replace("\\", "\\\\").replace('"', '\\"')  # nothing else had to be escaped
    return value if is_one_line else text


def _elements(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _index(part: str) -> int | None:
    return int(part) if part.isascii() and part.isdigit() and len(part) < 10 else None


def _description(value: Any, place: str) -> str:
    if isinstance(value, dict) and value:
        keys = [*list(value)[:MAX_KEYS], *(["…"] if len(value) > MAX_KEYS else [])]
        return f"the keys{' of ' + place if place else ''} are {', '.join(keys)}"
    place = place or "the result"
    if isinstance(value, dict):
        return f"{place} has no keys"
    if isinstance(value, list):
        count = f"{len(value)} element{'' if len(value) == 1 else 's'}"
        return f"{place} is a list of {count}: use a number from 0, or *" if value else f"{place} is an empty list"
    kind = {str: "a string", bool: "true or false", type(None): "null"}.get(type(value), "a number")
    return f"{place} is {kind}"


# --- An error object in plain text, for people at a terminal.


def plain_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """`error: message`, a line for each issue and for each of several failures, and `  try: example`."""
    accepted = " (the request may have been accepted)" if document.get("maybeAccepted") else ""
    yield f"error: {document['error']}{accepted}"
    for issue in document.get("issues") or ():
        yield "  " + ": ".join(filter(None, (str(issue.get("field", "")), "; ".join(issue.get("messages") or ()))))
    for failure in document.get("failed") or ():
        yield f"  {failure.get('id')}: {failure.get('error')}"
    if document.get("example"):
        yield f"  try: {document['example']}"


# --- Shows a file with the system's viewer.


def show(path: str) -> bool:
    """Opens a file with the program that the system chooses for it. Returns False where there is none."""
    if sys.platform == "win32":
        try:
            os.startfile(path)
        except OSError:
            return False
        return True
    import subprocess  # only for this

    opener = "open" if sys.platform == "darwin" else "xdg-open"
    quiet = subprocess.DEVNULL
    try:
        subprocess.Popen([opener, os.path.abspath(path)], stdin=quiet, stdout=quiet, stderr=quiet)
    except OSError:
        return False
    return True


# --- Results in the format asked for, whole or the parts that --select names.


TABLES = ("table", "markdown")


class Results:
    """What a command prints. `write` takes text for stdout, `note` a line for stderr."""

    def __init__(
        self,
        format: str,
        select: Selection | None,
        secrets: Secrets,
        write: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self._format = format
        self._select = select
        self._secrets = secrets
        self._write = write
        self._note = note
        self._waiting: list[Row] = []
        self._explained: set[str] = set()

    def result(self, value: Any, full: Any) -> None:
        """One document. Raises OutputError with its `id` as `task_id`, as `row` does."""
        self._print(value, full, is_row=False, indent=2 if is_terminal(sys.stdout) else None)

    def row(self, row: Row, full: Row, *, alone: bool) -> None:
        """One of several results; in a table it waits for `end_rows`."""
        if self._format in TABLES:
            self._waiting.append(full if self._select else row)
        else:
            is_document = alone and self._format == "json" and is_terminal(sys.stdout)
            self._print(row, full, is_row=True, indent=2 if is_document else None)

    def end_rows(self, columns: Sequence[Column]) -> None:
        """Prints the rows that waited."""
        rows, self._waiting = self._waiting, []
        if rows:
            self.rows(rows, columns, {})

    def rows(self, rows: Sequence[Row], columns: Sequence[Column], more: Mapping[str, Any]) -> None:
        """A list; in JSON, `more` stands beside `data`."""
        if self._format in TABLES:
            self._write_table(rows, columns)
        elif self._select:
            self._write_selected(rows, is_row=True)
        elif self._format == "jsonl":
            for row in rows:
                self._write_json(row, None)
        else:
            document = {"data": rows, **more}
            self.result(document, document)
            return
        if more.get("truncated"):
            self._note("there are more: raise --limit")

    def _print(self, value: Any, full: Any, *, is_row: bool, indent: int | None) -> None:
        try:
            if self._select:
                self._write_selected([full], is_row=is_row)
            else:
                self._write_json(value, indent)
        except OutputError as error:
            if isinstance(value, dict) and isinstance(value.get("id"), str):
                raise error.but(task_id=value["id"]) from None
            raise

    def _write_json(self, value: Any, indent: int | None) -> None:
        text = _json(value, indent)
        if self._secrets.mask(text, MIN_LENGTH_IN_RESULTS) != text:
            text = _json(self._masked(value), indent)  # masked as a value, it is still JSON
        self._write(text + "\n")

    def _write_selected(self, values: Sequence[Any], *, is_row: bool) -> None:
        assert self._select is not None
        self._explain(values, is_row=is_row)
        lines = [line for value in values for line in self._select.lines(self._masked(value))]
        self._write("".join(line + "\n" for line in lines))

    def _write_table(self, rows: Sequence[Row], columns: Sequence[Column]) -> None:
        """Masked before anything is escaped or cut."""
        from ..terminal import tables  # only these formats need it
        from .tables import Column, with_id

        if self._select:
            self._explain(rows, is_row=True)
            columns = [Column(path, path) for path in self._select.paths]
            rows = [self._select.row(row) for row in rows]
        elif self._format == "table":
            columns = with_id(columns, rows)
        columns = [self._masked_column(column) for column in columns]
        rows = [self._masked(row) for row in rows]
        if self._format == "markdown":
            self._write(tables.markdown(rows, columns))
        else:
            width = terminal_width() if is_terminal(sys.stdout) else None
            self._write(tables.table(rows, columns, width))

    def _explain(self, values: Sequence[Any], *, is_row: bool) -> None:
        """A note, once for each path, about what matches in none of these values."""
        assert self._select is not None
        if not values:
            return

        unmatched = [self._select.unmatched(value) for value in values]
        for path in unmatched[0]:
            if path not in self._explained and all(path in paths for paths in unmatched):
                self._explained.add(path)
                hint = " (paths are relative to a row)" if is_row and path.startswith("data.") else ""
                self._note(explain(values[0], path) + hint)

    def _masked_column(self, column: Column) -> Column:
        """A column as the masked rows have it: its words may come from an answer or from --select."""
        from .tables import Column

        heading, key = (self._secrets.mask(word, MIN_LENGTH_IN_RESULTS) for word in (column.heading, column.key))
        return Column(heading, key, link=column.link, wrap=column.wrap)

    def _masked(self, value: Any) -> Any:
        try:
            return self._secrets.mask_value(value, MIN_LENGTH_IN_RESULTS)
        except RecursionError:  # nested so deeply that it is masked as text, by `write`
            return value


def _json(value: Any, indent: int | None) -> str:
    try:
        return jsontext.dumps(value, indent)
    except RecursionError:
        if indent is None:
            raise
        return jsontext.dumps(value)  # indenting recurses in Python, one line does not


# --- What a run prints: results on stdout; notes, traces, live lines and errors on stderr.

# stdout is data: only the secrets are masked there. Every line for stderr passes `Console.shown`, which masks first and
# makes the text printable after; a JSON error is masked value by value, so that it stays JSON. Text is cut last: what is
# masked must not be cut in two before that.


MAX_BODY = 2048  # characters of a body that --verbose shows
MAX_NOTE = 1000  # characters
MAX_MESSAGE = 4000  # characters of an error's message
_INSPECTED = (
    "data:",
    "http",
    "key",
    "token",
    "fields",
    "authorization",
)  # a text without them holds nothing that `masking` masks


class Console:
    """The streams of one run.

    `format` is json, jsonl, table or markdown. `needs_rows`: the format has rows, so that a command whose result has
    none must refuse it. `live` are the live lines of `progress.live`.
    """

    def __init__(
        self,
        *,
        format: str | None = None,
        select: Selection | None = None,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self.secrets = Secrets()
        self.live: Live | None = None
        self._has_ended = False
        self.configure(format=format, select=select, quiet=quiet, verbose=verbose)

    def configure(self, *, format: str | None, select: Selection | None, quiet: bool, verbose: bool) -> None:
        """Sets what the options say, once they are known. `format` is None if --output was not given."""
        self.format = format or "json"
        self.needs_rows = self.format != "json"
        self.quiet = quiet
        self.verbose = verbose
        self._wants_json_errors = format == "json"
        self._results = Results(self.format, select, self.secrets, self.write, self.note)

    def keep_secret(self, secret: str) -> None:
        """Masks `secret` from now on, in every encoding."""
        self.secrets.keep(secret)

    def result(self, value: Any, full: Any = None) -> None:
        """One JSON document on stdout: indented on a terminal, else on one line. --select looks at `full`, if given.

        Raises ClosedOutput or, with the `id` of the document as `task_id`, OutputError.
        """
        self._results.result(value, value if full is None else full)
        if self.needs_rows:  # what was paid for must not be lost because a command did not refuse the format
            self.note(f"--output {self.format} does not apply here: this is JSON")

    def row(self, row: Row, *, alone: bool, full: Row | None = None) -> None:
        """One of several results, printed as soon as it is there; in a table it waits for `end_rows`.

        `alone`: it is the only one, a JSON document by itself. --select looks at `full`, if given.
        """
        self._results.row(row, row if full is None else full, alone=alone)

    def end_rows(self, columns: Sequence[Column]) -> None:
        """Prints the rows that waited to become a table."""
        self._results.end_rows(columns)

    def rows(self, rows: Sequence[Row], columns: Sequence[Column], more: Mapping[str, Any]) -> None:
        """A list in the format asked for. In JSON, `more` stands beside `data`."""
        self._results.rows(rows, columns, more)

    def write(self, text: str) -> None:
        """Text on stdout, without secrets of 8 characters or more. Raises ClosedOutput or OutputError."""
        if self.live is not None:
            self.live.close()
        write_stdout(self.secrets.mask(text, MIN_LENGTH_IN_RESULTS))

    def note(self, text: str) -> None:
        """A line on stderr, unless --quiet."""
        if not self.quiet:
            self._put(text, MAX_NOTE)

    def tell(self, text: str) -> None:
        """A line on stderr, with --quiet too: what must not be lost, such as the id of what was paid for."""
        self._put(text)

    def trace(self, mark: str, lines: Iterable[str], body: bytes = b"", own: str = "") -> None:
        """With --verbose: `lines` about a request or an answer, then the beginning of its body.

        In the URLs of `lines` that are below `own`, the service's base URL, the query stays readable.
        """
        if not self.verbose:
            return
        from ..terminal import masking

        text = self.mask(masking.body(body))
        for line in lines:
            self._put(f"{mark} {line}", MAX_BODY, own)
        for line in text[:MAX_BODY].splitlines():
            self._put(f"{mark} {line}")
        if len(text) > MAX_BODY:
            self._put(f"{mark} … {len(text) - MAX_BODY} characters more")

    def error(self, document: Mapping[str, Any]) -> None:
        """The failure, last on stderr: a JSON object on one line; on a terminal plain text, unless --output json.

        `document` has `error` and `example`. Later notes are dropped.
        """
        shown: dict[str, Any] = {}
        for key, item in document.items():  # one by one: what is nested too deeply must not hide the rest
            shown.update(self._masked({key: item}))
        shown["error"] = shown["error"][:MAX_MESSAGE]
        if isinstance(shown.get("issues"), list):
            shown["issues"] = [_shortened(issue) for issue in shown["issues"]]
        if self.live is not None:
            self.live.close()
        if is_terminal(sys.stderr) and not self._wants_json_errors:
            for line in plain_lines(shown):
                self._put(line)
        else:
            write_stderr(jsontext.dumps(shown) + "\n")
        self._has_ended = True

    def mask(self, text: str, own: str = "") -> str:
        """`text` without the secrets and all else that must not be shown for inspection.

        In URLs below `own`, a service's base URL, the query stays readable.
        """
        text = self.secrets.mask(text)
        lowered = text.lower()
        if not any(word in lowered for word in _INSPECTED):
            return text
        from ..terminal import masking

        return masking.text(text, own)

    def inspected(self, value: Any) -> Any:
        """A JSON value as it may be shown for inspection; the secrets themselves are masked where it is printed."""
        try:
            lowered = jsontext.dumps(value).lower()
            if not any(word in lowered for word in _INSPECTED):
                return value  # most dry runs: they do without a module
        except RecursionError:
            pass  # `masking` says that it is nested too deeply
        from ..terminal import masking

        return masking.value(value)

    def shown(self, text: str, own: str = "") -> str:
        """`text` as stderr may show it: masked, then on one line that cannot steer a terminal."""
        return printable(self.mask(text, own))

    def _masked(self, document: Mapping[str, Any]) -> dict[str, Any]:
        from ..terminal import masking

        try:
            masked = masking.value(self.secrets.mask_value(document))
        except RecursionError:
            masked = masking.TOO_DEEP
        return masked if isinstance(masked, dict) else dict.fromkeys(map(self.mask, document), masked)

    def _put(self, text: str, limit: int | None = None, own: str = "") -> None:
        """The one way to stderr, for a line: masked, made printable, cut to `limit` characters, in this order."""
        line = self.shown(text, own)
        if limit is not None and len(line) > limit:
            line = line[: limit - 1] + "…"
        if self._has_ended:  # the error is the last word, whatever other threads still have to say
            return
        if self.live is not None:
            self.live.above(line + "\n")
        else:
            write_stderr(line + "\n")


def _shortened(issue: Any) -> Any:
    """An issue with messages of MAX_NOTE characters at most."""
    messages = issue.get("messages") if isinstance(issue, dict) else None
    if not isinstance(messages, list):
        return issue
    return {**issue, "messages": [word[:MAX_NOTE] if isinstance(word, str) else word for word in messages]}
