"""stdout and stderr: results as JSON or rows, notes, traces, errors; what is masked; how the program was started."""

from __future__ import annotations

import os
import sys

from . import jsontext
from .errors import ClosedOutput, OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Protocol

    class LiveLines(Protocol):
        """Lines at the bottom of a terminal that are drawn again and again."""

        def show(self, lines: list[str]) -> None: ...

        def above(self, text: str) -> None:
            """Writes `text` so that it stands above them."""

        def close(self) -> None: ...

SHOWN_BODY = 2048  # characters of a body that --verbose shows
SHORTEST_MASKED = 4  # characters; a shorter secret is no secret, and hiding it would blot out ordinary words
SHORTEST_IN_RESULTS = 8  # the same on stdout, where words are data


class Console:
    """Where one run writes: `format` is json, jsonl, table or markdown; None means json.

    `secrets` are the values that must not be shown on either stream, in any encoding a URL may give them.
    """

    def __init__(self, *, format: str | None = None, quiet: bool = False, verbose: bool = False) -> None:
        self.format = format or "json"
        self.quiet = quiet
        self.verbose = verbose
        self.secrets: list[str] = []
        self.live: LiveLines | None = None
        self._waiting: list[Mapping[str, Any]] = []

    def keep_secret(self, secret: str) -> None:
        """Masks `secret` from now on, as it is and percent-encoded."""
        if len(secret) < SHORTEST_MASKED:
            return
        forms = {secret}
        if not secret.replace("_", "").replace("-", "").isalnum():
            from urllib.parse import quote, quote_plus  # a key of letters and digits looks the same everywhere

            encoded = secret.encode("utf-8", "surrogateescape")
            forms |= {quote(encoded, safe=""), quote_plus(encoded), quote(encoded), jsontext.dumps(secret)[1:-1]}
        self.secrets = sorted({*self.secrets, *forms}, key=len, reverse=True)

    def result(self, value: Any) -> None:
        """One JSON document on stdout: a line where stdout is no terminal, indented where it is one.

        Raises OutputError when it could not be written, with the document's `id` if it has one.
        """
        try:
            self.write(self._document(value) + "\n")
        except OutputError as error:
            if isinstance(value, dict) and isinstance(value.get("id"), str):
                error.details["id"] = value["id"]
            raise

    def row(self, row: Mapping[str, Any], *, alone: bool) -> None:
        """A result that comes by itself or, unless `alone`, as one of several: a line of JSON as soon as it is there.

        In a table it waits for `end_rows`.
        """
        if self.format in ("table", "markdown"):
            self._waiting.append(row)
        elif alone and self.format == "json":
            self.result(row)
        else:
            self.write(jsontext.dumps(row) + "\n")

    def end_rows(self, columns: Mapping[str, str]) -> None:
        """Prints the rows that waited to be a table with these headings and keys."""
        rows, self._waiting = self._waiting, []
        if rows:
            self.rows(rows, columns, {})

    def rows(self, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], more: Mapping[str, Any]) -> None:
        """A list in the format asked for. `columns` maps a table's headings to the rows' keys; `more` joins `data`."""
        if self.format == "json":
            self.result({"data": rows, **more})
        elif self.format == "jsonl":
            self.write("".join(jsontext.dumps(row) + "\n" for row in rows))
        else:
            from . import tables  # only these formats need it

            if self.format == "markdown":
                text = tables.markdown(rows, columns)
            else:
                text = tables.table(rows, columns, terminal_width() if is_terminal(sys.stdout) else None)
            self.write(text)
        if self.format != "json" and more.get("truncated"):
            self.note("there are more: raise --limit")

    def note(self, text: str) -> None:
        """A line on stderr, unless --quiet."""
        if not self.quiet:
            self.tell(text)

    def tell(self, text: str) -> None:
        """A line on stderr, --quiet or not: what must not be lost. A closed stderr does not matter."""
        (self.live.above if self.live else write_stderr)(self.mask(printable(text)) + "\n")

    def trace(self, mark: str, lines: Iterable[str], body: str) -> None:
        """What --verbose shows of a request or an answer; the body is cut after its secrets are masked, not before."""
        body = self.mask(body)
        rest = len(body) - SHOWN_BODY
        for line in (*lines, *body[:SHOWN_BODY].splitlines(), *([f"… {rest} characters more"] if rest > 0 else [])):
            self.tell(f"{mark} {line}")

    def error(self, document: Mapping[str, Any]) -> None:
        """The JSON object that explains a failure, last on stderr."""
        if self.live is not None:
            self.live.close()
        indent = 2 if is_terminal(sys.stderr) else None
        write_stderr(jsontext.dumps(self.mask_value(document), indent) + "\n")

    def write(self, text: str) -> None:
        """Text on stdout, as UTF-8 whatever the locale. Raises ClosedOutput or OutputError."""
        if self.live is not None:
            self.live.close()
        if sys.stdout is None:
            raise ClosedOutput
        try:
            _write(sys.stdout.buffer, self.mask(text, SHORTEST_IN_RESULTS).encode("utf-8", "backslashreplace"))
        except BrokenPipeError:
            raise ClosedOutput from None
        except OSError as error:
            raise OutputError(f"stdout could not be written: {error.strerror or error}") from None

    def mask(self, text: str, shortest: int = SHORTEST_MASKED) -> str:
        """`text` without the secrets of `shortest` characters and more."""
        for secret in self.secrets:
            if len(secret) >= shortest and secret in text:
                text = text.replace(secret, "***")
        return text

    def mask_value(self, value: Any) -> Any:
        """A JSON value without the secrets."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return {self.mask(key): self.mask_value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.mask_value(item) for item in value]
        return value

    def _document(self, value: Any) -> str:
        if is_terminal(sys.stdout):
            try:
                return jsontext.dumps(value, 2)
            except RecursionError:  # indenting recurses in Python, one line does not
                pass
        return jsontext.dumps(value)


def command_line(words: Sequence[str]) -> str:
    """`words` as a call of this program, named the way it was started, quoted for a shell."""
    return " ".join(quoted_call(words))


def quoted_call(words: Sequence[str]) -> list[str]:
    """The same, word by word."""
    import shlex  # only examples need it

    return [*_program(), *(shlex.quote(printable(word)) for word in words)]


def terminal_width() -> int:
    """Columns of the terminal, 80 where nothing tells."""
    for stream in (sys.__stdout__, sys.__stderr__, sys.__stdin__):
        try:
            return os.get_terminal_size(stream.fileno()).columns or 80  # type: ignore[union-attr]
        except (AttributeError, ValueError, OSError):
            continue
    return 80


def is_terminal(stream: Any) -> bool:
    """Whether a person looks at this stream; False for a closed one."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def printable(text: str) -> str:
    """One line of `text` with every control character replaced, so that no server steers a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == " " else "\ufffd" for c in text)


def write_stderr(text: str) -> None:
    """Text on stderr as UTF-8; that stderr is closed or full does not matter."""
    try:
        _write(sys.stderr.buffer, text.encode("utf-8", "backslashreplace"))
    except (AttributeError, ValueError, OSError):
        pass


def _write(stream: Any, data: bytes) -> None:
    """Past Python's buffer: what could not be written must not be tried again when the interpreter ends."""
    raw = getattr(stream, "raw", stream)
    rest = memoryview(data)
    while rest:
        written = raw.write(rest)
        if written is None:  # a pipe that does not block and is full
            import select

            select.select([], [raw], [])
        rest = rest[written or 0:]


def _program() -> list[str]:
    """The words that started this program: `runway-cli`, or a Python and the package, folder or archive."""
    import shlex

    script = sys.argv[0]
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name.startswith("runway_cli"):
        return [_python(), "-m", "runway_cli"]
    if spec is not None and spec.name == "__main__":  # a folder or an archive, run as a script
        return [_python(), shlex.quote(script)]
    if script.endswith(".py"):
        return [_python(), shlex.quote(script)]
    name = os.path.basename(script)
    if os.sep in script and not _on_path(name, script):
        return [shlex.quote(script)]
    return [shlex.quote(name) if os.sep in script else "runway-cli"]


def _python() -> str:
    import shlex

    typed: str = getattr(sys, "orig_argv", [sys.executable])[0]  # from Python 3.10 on
    if not os.path.dirname(typed) and typed:
        return typed
    for name in ("python3", "python", os.path.basename(sys.executable)):
        if _on_path(name, sys.executable):
            return name
    return shlex.quote(sys.executable or "python3")


def _on_path(name: str, file: str) -> bool:
    """Whether a shell that is given `name` starts `file`."""
    for folder in os.get_exec_path():
        found = os.path.join(folder, name)
        if os.path.isfile(found):
            same_folder = os.path.realpath(folder) == os.path.realpath(os.path.dirname(file))
            return same_folder and os.path.realpath(found) == os.path.realpath(file)
    return False
