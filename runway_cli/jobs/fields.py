"""Bodies and queries from `--body`, `-f KEY=TEXT`, `-F KEY=JSON` and the options that read a file."""

from __future__ import annotations

import sys

from .. import jsontext
from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ..shutdown import Shutdown


NOTHING: Any = object()  # stands for a missing body, which null is not
TEXT, JSON, TEXT_FILE, DATA_URI, UPLOAD = "text", "json", "text-file", "data-uri", "upload"
MAX_PARTS = 100  # of one key; each part is one level of the body


class Field:
    """One value of a body: `kind` is one of the words above, `key` the parts between dots, `value` as it was given."""

    __slots__ = ("key", "kind", "value")

    def __init__(self, kind: str, key: list[str], value: Any) -> None:
        self.kind = kind
        self.key = key
        self.value = value

    @property
    def name(self) -> str:
        """Returns the key as it was written."""
        return ".".join(self.key)


def reader(kind: str) -> Callable[[str], Field]:
    """Returns a function that reads the text of an option of this kind. It raises ValueError in words for a user."""

    def read(text: str) -> Field:
        name, mark, value = text.partition("=")
        key = name.split(".")
        if not mark or not all(key):
            raise ValueError(f"must be KEY={kind.upper() if kind in (TEXT, JSON) else 'FILE'}, not {text!r}")
        if len(key) > MAX_PARTS:
            raise ValueError(f"a key has {MAX_PARTS} parts at most")
        if kind in (DATA_URI, UPLOAD, TEXT_FILE) and not value:
            raise ValueError(f"{name}: the file name is empty: is a variable unset?")
        if kind in (DATA_URI, UPLOAD) and value == "-":
            raise ValueError(f"{name}: '-' is not a file name: files are not read from stdin here")
        if kind != JSON:
            return Field(kind, key, value)
        try:
            return Field(kind, key, jsontext.loads(value.encode("utf-8", "surrogateescape")))
        except ValueError as error:
            raise ValueError(f"{name}: {value!r} is not JSON ({error}); for plain text use -f") from None

    return read


def merge(body: Any, fields: Iterable[tuple[Field, Any]], *, under: Sequence[tuple[Field, Any]] | None = None) -> Any:
    """Returns `body`, which may be NOTHING, with each field's value put at its key; `body` itself is not changed.

    Dots nest, a number is a list index. The fields `under` come first, but for keys that `fields` name too; then a list
    may be filled in any order. Raises UsageError for a key given twice, an index past the end of its list, and a key
    through a value that is neither an object nor a list.
    """
    root = [body]
    fields = list(fields)
    own = {tuple(field.key) for field, _ in fields}
    rest = [each for each in under or () if own.isdisjoint(_beginnings(each[0]))]
    check_keys([field for field, _ in fields])
    rest += fields
    while rest:
        late, fault = [], None
        for field, value in rest:
            try:
                _put(root, field, value)
            except _PastEnd as error:
                late.append((field, value))
                fault = fault or error
        if fault and (under is None or len(late) == len(rest)):
            raise fault
        rest = late
    return root[0]


class _PastEnd(UsageError):
    """An index is past the end of its list."""


def _beginnings(field: Field) -> list[tuple[str, ...]]:
    return [tuple(field.key[:size]) for size in range(1, len(field.key) + 1)]


def check_keys(fields: Iterable[Field]) -> None:
    """Raises UsageError for a field that would undo another one."""
    seen: dict[tuple[str, ...], bool] = {}  # True for a key, False for the beginning of one
    for field in fields:
        beginnings = _beginnings(field)
        if beginnings[-1] in seen or any(map(seen.get, beginnings)):
            raise UsageError(f"{_short(field.name)} is given twice, or as a part of another field")
        seen.update({**dict.fromkeys(beginnings, False), beginnings[-1]: True})


def _put(root: list[Any], field: Field, value: Any) -> None:
    """Sets the value at the field's key, making objects and lists on the way."""
    container: Any = root
    slot: Any = 0
    for depth, part in enumerate(field.key):
        found = container[slot]
        if found is NOTHING:
            found = [] if _is_index(part) else {}
        elif isinstance(found, (dict, list)):
            found = found.copy()  # the original may be shared
        else:
            raise UsageError(f"{_short(field.name)}: {_path(field, depth)} is neither an object nor a list")
        container[slot] = found
        container, slot = found, part
        if isinstance(found, list):
            slot = _index(found, field, depth)
            if slot == len(found):
                found.append(NOTHING)
        else:
            found.setdefault(part, NOTHING)
    container[slot] = value


def _index(container: list[Any], field: Field, depth: int) -> int:
    part, path, count = field.key[depth], _path(field, depth), len(container)
    if not _is_index(part):
        raise UsageError(f"{_short(field.name)}: {path} is a list, so {part!r} should be a number")
    if len(part) > 9 or int(part) > count:
        raise _PastEnd(f"{_short(field.name)}: {path} has {count} items, so the next index is {count}")
    return int(part)


def _is_index(part: str) -> bool:
    """Returns whether it is an index as in JSON Pointer (RFC 6901): no leading zeros, so that each has one name."""
    return part.isascii() and part.isdigit() and (part == "0" or part[0] != "0")


def _path(field: Field, depth: int) -> str:
    return _short(".".join(field.key[:depth])) or "the body"


def _short(name: str, most: int = 80) -> str:
    """A name cut for a message, so that the reason after the name is not lost."""
    return name if len(name) <= most else name[: most - 1] + "…"


def query(fields: Sequence[Field]) -> list[tuple[str, str]]:
    """Returns the fields as a query; a list repeats its key. Raises UsageError for what a query cannot hold."""
    pairs = []
    for field in fields:
        if field.kind not in (TEXT, JSON):
            raise UsageError(f"--{field.kind} needs a body: use it with POST, PATCH or PUT")
        for value in field.value if isinstance(field.value, list) else [field.value]:
            if value is None or isinstance(value, (dict, list)):
                raise UsageError(f"{field.name}: a query holds text, numbers, true and false, and lists of them")
            pairs.append((field.name, value if isinstance(value, str) else jsontext.dumps(value)))
    return pairs


def read_body(text: str | None, stdin: bool, shutdown: Shutdown) -> bytes | None:
    """Returns the body of --body or --stdin, checked to be JSON and unchanged; None without one. Raises UsageError."""
    if stdin or text in ("-", "@-"):
        source, data = "stdin", read_stdin("the body", shutdown)
    elif text is None:
        return None
    elif text.startswith("@"):
        source, data = text[1:], read_file(text[1:], "--body", shutdown)
    else:
        source, data = "--body", text.encode("utf-8", "surrogateescape")
    data = without_mark(data, f"the body from {source}")
    try:
        jsontext.loads(data)
    except ValueError as error:
        raise UsageError(f"the body from {source} is not JSON: {error}") from None
    return data


def field_value(field: Field, shutdown: Shutdown) -> Any:
    """Returns what a field puts into the body; for an upload, the checked file (Media). Raises UsageError."""
    path = field.value
    if field.kind in (DATA_URI, UPLOAD):
        from ..files.upload import checked_upload, data_uri

        return data_uri(path) if field.kind == DATA_URI else checked_upload(path, "--upload")
    if field.kind != TEXT_FILE:
        return field.value
    if path == "-":
        data = read_stdin(f"--text-file {field.name}", shutdown)
    else:
        data = read_file(path, "--text-file", shutdown)
    try:
        text = without_mark(data, f"--text-file: {path!r}").decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"--text-file: {path!r} is not UTF-8 (byte {error.start + 1})") from None
    return text[:-2] if text.endswith("\r\n") else text[:-1] if text.endswith("\n") else text


def read_stdin(what: str, shutdown: Shutdown) -> bytes:
    """Returns all of stdin. Raises UsageError if it is a terminal."""
    from ..terminal.console import is_terminal

    if sys.stdin is None or is_terminal(sys.stdin):
        raise UsageError(f"{what} is read from stdin, but nothing is piped in")
    data: bytes = shutdown.interruptible(sys.stdin.buffer.read)
    return data


def read_file(path: str, option: str, shutdown: Shutdown) -> bytes:
    """Returns all of a file. Raises UsageError."""

    def read() -> bytes:
        with open(path, "rb") as file:  # a pipe may stay silent for long
            return file.read()

    try:
        return shutdown.interruptible(read)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{option}: {_short(path, 300)!r} cannot be read: {reason}") from None


def without_mark(data: bytes, what: str) -> bytes:
    """Returns UTF-8 data without the byte order mark that PowerShell writes. Raises UsageError for UTF-16."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{what} is UTF-16: save it as UTF-8")
    return data[3:] if data.startswith(b"\xef\xbb\xbf") else data
