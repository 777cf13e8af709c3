"""What a run prints: results on stdout; notes, traces, live lines and errors on stderr.

stdout is data: only secrets are masked there. Text for stderr is masked, then made printable, and only then cut: a
secret that was cut first would not be recognized. A JSON error is masked value by value, so that it stays JSON.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence

from .. import jsontext
from ..errors import ClosedOutput, Interrupted, OutputError, UsageError
from ..settings import setting
from . import masking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..commands.display import Live
    from ..shutdown import Shutdown
    from .tables import Column, Row

TABLES = ("table", "markdown")  # each is a function of `tables`
FORMATS = ("json", "jsonl", *TABLES)
MAX_BODY = 2048  # characters of a body that --verbose shows
MAX_NOTE = 1000  # characters
MAX_MESSAGE = 4000  # characters of an error's message
SLICE = 0.25  # seconds between two checks for a signal while nobody reads


class Console:
    """The output streams of one run.

    `format` is json, jsonl, table or markdown, None if nothing names one. A format `is_from_variable` is the preference
    of a person: it is ignored where stdout is a pipe or a result has no rows. `needs_rows`: --output asked for rows, so
    that a command whose result has none must refuse it. `live` are the live lines of `commands.display`.
    """

    def __init__(
        self,
        format: str | None = None,
        select: Sequence[str] | None = None,
        *,
        is_from_variable: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        secrets: masking.Secrets | None = None,
        shutdown: Shutdown | None = None,
    ) -> None:
        self.format = format if format and (not is_from_variable or is_terminal(sys.stdout)) else "json"
        self.needs_rows = self.format != "json" and not is_from_variable
        self.quiet = quiet
        self.verbose = verbose
        self.secrets = secrets or masking.Secrets()
        self.shutdown = shutdown
        self.live: Live | None = None
        self._select = select or ()
        self._wants_json_errors = format == "json"
        self._has_ended = False
        self._waiting: list[Row] = []  # rows that are to become a table
        self._unmatched: dict[str, str] = {}  # why a path of --select matches nothing, "" once it does

    # Results, on stdout.

    def result(self, value: Any, *, has_rows: bool = False) -> None:
        """Prints one JSON document: indented on a terminal, else on one line.

        Raises ClosedOutput, OutputError with its `id` or, if it `has_rows`, UsageError where --select matches nothing.
        """
        self._print([value], is_document=True)
        self._explain(is_error=has_rows)

    def row(self, row: Row, *, alone: bool, full: Row | None = None) -> None:
        """Prints one of several results at once; in a table it waits for `end_rows`.

        `alone`: it is the only one, a JSON document by itself. --select looks at `full`, if given.
        """
        row = full if full is not None and self._select else row
        if self.format in TABLES:
            self._waiting.append(row)
        else:
            self._print([row], is_document=alone and self.format == "json")

    def end_rows(self, columns: Sequence[Column]) -> None:
        """Prints the table of the rows that waited for it, and notes what --select found in none."""
        rows, self._waiting = self._waiting, []
        if rows:
            self._write_table(rows, columns)
        self._explain()

    def rows(self, rows: Sequence[Row], columns: Sequence[Column], *, is_cut: bool = False, **more: Any) -> None:
        """Prints a list in the format asked for, `more` beside `data` in JSON. Raises UsageError as `result`."""
        if self.format == "json" and not self._select:
            return self.result({"data": rows, **more, **({"truncated": True} if is_cut else {})})
        if self.format in TABLES:
            self._write_table(rows, columns)
        else:
            self._print(rows)
        if is_cut:
            self.note("more rows exist: raise --limit")
        self._explain(is_error=True)

    def write(self, text: str) -> None:
        """Writes text without secrets of 8 characters or more, as UTF-8. Raises ClosedOutput or OutputError."""
        if self.live is not None:
            self.live.close()
        try:
            if not text.isascii():
                text = re.sub("[\ud800-\udfff]", REPLACEMENT, text)  # a lone surrogate is not text
            self._write(sys.stdout, self.secrets.mask(text, masking.MIN_LENGTH_IN_RESULTS, in_disguise=False))
        except (AttributeError, ValueError):  # no stream, or a closed one
            raise ClosedOutput from None
        except OSError as error:
            if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
                raise ClosedOutput from None
            raise OutputError(f"stdout could not be written: {error.strerror or error}") from None

    def _print(self, values: Sequence[Any], *, is_document: bool = False) -> None:
        """Writes values as JSON, or what --select finds in them. An OutputError names the id of the only one."""
        indent, text = 2 if is_document and is_terminal(sys.stdout) else None, ""
        for value in values:
            self._match(value)
            shown = self.secrets.mask_value(value)
            lines = selected_lines(shown, self._select) if self._select else [jsontext.dumps(shown, indent)]
            text += "".join(f"{line}\n" for line in lines)
        try:
            self.write(text)
        except OutputError as error:
            only = values[0] if len(values) == 1 else None
            raise error.but(task_id=only.get("id") if isinstance(only, dict) else None) from None

    def _write_table(self, rows: Sequence[Row], columns: Sequence[Column]) -> None:
        """Writes a table, masked before anything is escaped or cut; headings may come from an answer or --select."""
        from . import tables  # which imports this module

        for row in rows:
            self._match(row)
        if self._select:
            columns = [tables.Column(path, path) for path in self._select]
            rows = [selected_row(row, self._select) for row in rows]
        elif self.format == "table" and any("id" in row for row in rows) and "id" not in [each.key for each in columns]:
            columns = [tables.Column("Id", "id"), *columns]
        hide = self.secrets.mask_value
        columns = [tables.Column(hide(c.heading), hide(c.key), link=c.link, wrap=c.wrap, rank=c.rank) for c in columns]
        rows = [hide(row) for row in rows]
        if self.format == "markdown":
            self.write(tables.markdown(rows, columns))
            return
        width = terminal_size()[0] if is_terminal(sys.stdout) else None
        text, left_out = tables.table(rows, columns, width, is_coloured=has_styles(sys.stdout))
        self.write(text)
        if left_out:
            self.note(f"columns left out to fit the window: {', '.join(left_out)}")

    def _match(self, value: Any) -> None:
        """Records which paths of --select have matched, and why the others have not."""
        for path in self._select:
            if matches(value, path.split(".")):
                self._unmatched[path] = ""
            elif path not in self._unmatched:
                self._unmatched[path] = explain(value, path)

    def _explain(self, *, is_error: bool = False) -> None:
        """Notes once which paths of --select matched nothing; with `is_error`, raises UsageError instead."""
        found = list(filter(None, self._unmatched.values()))
        self._unmatched = {}
        if found and is_error:
            raise UsageError("; ".join(found), drop=("--select",))
        for words in found:
            self.tell(words)

    # Everything else, on stderr.

    def note(self, text: str) -> None:
        """Writes a line, unless --quiet."""
        if not self.quiet:
            self._put(self.safe_line(text), MAX_NOTE)

    def tell(self, text: str) -> None:
        """Writes a line even with --quiet: what must not be lost, such as the id of what was paid for."""
        self._put(self.safe_line(text))

    def trace(self, mark: str, lines: Iterable[str], body: bytes = b"", own: str = "") -> None:
        """Writes, with --verbose, `lines` about a request or an answer, then the beginning of its body.

        In the URLs of `lines` that are below `own`, the service's base URL, the query stays readable.
        """
        if not self.verbose:
            return
        for line in lines:
            self._put(printable(masking.text(self.secrets.mask(f"{mark} {line}"), own)), MAX_BODY)
        text = masking.body(body, self.mask)
        for line in text[:MAX_BODY].splitlines():
            self._put(self.safe_line(f"{mark} {line}"))
        if len(text) > MAX_BODY:
            self._put(f"{mark} … {len(text) - MAX_BODY} characters more")

    def error(self, document: Mapping[str, Any], heading: str = "error: ") -> None:
        """Writes the failure, which has `error` and `example`, as JSON, or as text for a person. Nothing follows it."""
        masked = masking.value(document, self.mask)
        masked["error"] = masked["error"][:MAX_MESSAGE]
        for issue in masked.get("issues", ()):
            issue["messages"] = [message[:MAX_NOTE] for message in issue["messages"]]
        text = jsontext.dumps(masked)
        if is_terminal(sys.stderr) and not self._wants_json_errors:
            accepted = " (the request may have been accepted)" if masked.get("maybeAccepted") else ""
            lines = [f"{masked['error']}{accepted}"]
            for issue in masked.get("issues", ()):
                line = ": ".join(filter(None, (issue["field"], "; ".join(issue["messages"]))))
                if not issue["field"] or line not in masked["error"]:
                    lines.append(f"  {line}")
            lines += [f"  {failure['id']}: {failure['error']}" for failure in masked.get("failed", ())]
            red, dim = (RED, DIM) if has_styles(sys.stderr) else ("", "")
            text = styled(heading, red) + "".join(printable(line) + "\n" for line in lines)
            # it is to be pasted, so no character of a quoted word is replaced
            text += styled("  try: ", dim) + printable(masked["example"], is_pasted=True)
        if self.live is not None:
            self.live.close()
        self.write_stderr(text + "\n")
        self._has_ended = True

    def mask(self, text: str) -> str:
        """Returns `text` without secrets and everything else that must not be shown on stderr."""
        return masking.text(self.secrets.mask(text))

    def safe_line(self, text: str) -> str:
        """Returns `text` as stderr may show it: masked, then on one line that cannot control a terminal."""
        return printable(self.mask(text))

    def write_stderr(self, text: str) -> None:
        """Writes text to stderr, as UTF-8. Does nothing if stderr is closed, full or not read."""
        try:  # not `suppress`: contextlib would cost every call a millisecond
            self._write(sys.stderr, text)
        except (AttributeError, ValueError, OSError, Interrupted):
            pass

    def _put(self, line: str, limit: int | None = None) -> None:
        """Writes a line, as `safe_line` returns it and cut to `limit` characters, on stderr, above the live ones."""
        if limit is not None and len(line) > limit:
            line = line[: limit - 1] + "…"
        if self._has_ended:  # the error is the last output, even if other threads still write
            return
        if self.live is not None:
            self.live.draw(line + "\n")
        else:
            self.write_stderr(line + "\n")

    def _write(self, stream: Any, text: str) -> None:
        """Writes without Python's buffer: what could not be written must not be tried again when the interpreter exits.

        Raises Interrupted where nobody reads and a signal has arrived.
        """
        import select

        raw = getattr(stream.buffer, "raw", stream.buffer)
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        while rest:
            size = len(rest)
            try:
                while os.name != "nt":  # wait until somebody reads, then write as much as does not block
                    if select.select([], [raw], [], SLICE)[1]:
                        size = select.PIPE_BUF
                        break
                    if self.shutdown and self.shutdown.signal:
                        if stream is sys.stdout:
                            self.shutdown.check()
                        raise Interrupted("terminated", signal=self.shutdown.signal)
            except (OSError, ValueError, TypeError):  # not a system stream, or a closed one: the write will fail
                pass
            rest = rest[raw.write(rest[:size]) or 0 :]


# `--select PATH[,PATH…]`: parts of a result. A path is dotted: `cost.credits`. A number is the index of a list, `*` is
# each element of a list or each value of an object. An object's own key comes first; where it leads nowhere, keys that
# contain dots are tried (`models.veo3.1`). Keys that contain a comma cannot be named.

EACH = "*"
MAX_KEYS = 30  # that a note names


def parse(text: str) -> list[str]:
    """Returns the paths that an option's text names. Raises ValueError with words for a user."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # an ASCII locale does not decode é
    paths = [path.strip() for path in text.split(",")]
    for path in paths:
        if any("[" in part and part.endswith("]") for part in path.split(".")):
            raise ValueError(f"{path!r} has brackets: write output.0 for the first element, output.* for each")
        if not all(path.split(".")):
            raise ValueError(f"must be a path such as id, output.0 or data.*.id, or several with commas, not {text!r}")
    return paths


def selected_lines(value: Any, paths: Sequence[str]) -> list[str]:
    """Returns the lines that stand for `value`: one object for several paths; for one a line per match, else `null`."""
    if len(paths) > 1:
        return [jsontext.dumps(selected_row(value, paths))]
    lines = []
    for match in matches(value, paths[0].split(".")):
        text = jsontext.dumps(match)
        # a string is raw, if nothing but quotes and backslashes had to be escaped
        is_raw = isinstance(match, str) and text[1:-1] == match.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(match if is_raw else text)
    return lines or ["null"]


def selected_row(value: Any, paths: Sequence[str]) -> dict[str, Any]:
    """Returns what each path matches in `value`, by path: null for nothing; a list where the path has a `*`."""
    row: dict[str, Any] = {}
    for path in paths:
        parts = path.split(".")
        found = matches(value, parts)
        row[path] = (found if EACH in parts else found[0]) if found else None
    return row


def matches(value: Any, parts: Sequence[str]) -> list[Any]:
    """Returns everything in `value` that the parts of a path lead to, in order."""
    if not parts:
        return [value]
    part, rest = parts[0], parts[1:]
    if part == EACH:
        elements = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        return [match for element in elements for match in matches(element, rest)]
    if isinstance(value, list):
        is_index = part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(value)
        return matches(value[int(part)], rest) if is_index else []
    for end in range(1, len(parts) + 1) if isinstance(value, dict) else ():
        key = ".".join(parts[:end])
        if key in value and (found := matches(value[key], parts[end:])):
            return found
    return []


def explain(value: Any, path: str) -> str:
    """Returns why a path matches nothing in `value`: what is at the last place that it reaches."""
    reached: list[str] = []
    for part in path.split("."):
        following = matches(value, [part])
        if not following:
            break
        value, reached = following[0], [*reached, part]
    place = ".".join(reached)
    if isinstance(value, dict) and value:
        keys = [*list(value)[:MAX_KEYS], *(["…"] if len(value) > MAX_KEYS else [])]
        found = f"the keys{' of ' + place if place else ''} are {', '.join(keys)}"
    elif isinstance(value, list) and value:
        found = f"{place or 'the result'} is a list of {len(value)}: use a number from 0, or *"
    else:
        kinds = {str: "a string", dict: "empty", list: "empty", bool: "true or false", type(None): "null"}
        found = f"{place or 'the result'} is {kinds.get(type(value), 'a number')}"
    hint = " (where rows are printed, a path begins at a row)" if path.startswith("data.") and not place else ""
    return f"--select {path} matches nothing: {found}{hint}"


# The streams themselves, and the terminal behind them.

RED, GREEN, YELLOW, DIM = "31", "32", "33", "2"  # styles, as ANSI escape sequences name them
REPLACEMENT = "\ufffd"
_JOINERS = "\u200c\u200d"  # parts of words and of emoji
_HARMLESS = "\n\t\u00ad\u200b\u2060\ufeff"


def printable(text: str, *, is_pasted: bool = False) -> str:
    """Returns `text` on one line that cannot control a terminal.

    White space becomes spaces; control characters, what turns the writing direction or is invisible, and halves of
    surrogate pairs are replaced. What `is_pasted` into a shell keeps every character that a terminal does not obey.
    """
    if text.isprintable():
        return text
    import unicodedata

    shown = ""
    for each in text:
        category = unicodedata.category(each)
        if each in _JOINERS or (is_pasted and (category == "Zs" or each in _HARMLESS)):
            shown += each
        elif each.isspace():
            shown += " "
        else:
            is_tag = "\U000e0000" <= each < "\U000e0080"  # not all of them are Cf
            shown += REPLACEMENT if is_tag or category in ("Cc", "Cf", "Cs") else each
    return shown


def is_terminal(stream: Any) -> bool:
    """Returns whether a stream is a terminal; False for None and for a closed one."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def terminal_size() -> tuple[int, int]:
    """Returns columns and lines, 2 at least, of the terminal that started the program; 80 and 24 without one."""
    for stream in (sys.__stderr__, sys.__stdout__, sys.__stdin__):
        try:
            columns, lines = os.get_terminal_size(stream.fileno() if stream else -1)
        except (ValueError, OSError):
            continue
        return max(columns or 80, 2), max(lines or 24, 2)
    return 80, 24


def has_styles(stream: Any) -> bool:
    """Returns whether colours may be written to a stream: a terminal that supports them, without NO_COLOR."""
    return has_ansi(stream) and not setting("NO_COLOR")


def styled(text: str, style: str) -> str:
    """Returns text in a style, "" for none."""
    return f"\x1b[{style}m{text}\x1b[0m" if text and style else text


def has_ansi(stream: Any) -> bool:
    """Returns whether a stream is a terminal that obeys ANSI escape sequences; Windows is asked to enable them."""
    if os.name != "nt" or not is_terminal(stream):
        return is_terminal(stream) and setting("TERM") != "dumb"
    import ctypes

    kernel32: Any = vars(ctypes)["windll"].kernel32
    kernel32.GetStdHandle.restype = ctypes.c_void_p  # a handle has 64 bits
    number = -11 if stream is sys.stdout else -12  # STD_OUTPUT_HANDLE, STD_ERROR_HANDLE
    handle = ctypes.c_void_p(kernel32.GetStdHandle(number))
    return bool(kernel32.SetConsoleMode(handle, 7))  # processed, wrapped, ENABLE_VIRTUAL_TERMINAL_PROCESSING
