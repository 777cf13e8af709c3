"""Request bodies and queries from `--body`, `-f KEY=TEXT`, `-F KEY=JSON` and the options that read a file."""

from __future__ import annotations

import sys

from .. import jsontext
from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ..shutdown import Shutdown


NOTHING: Any = object()  # stands for no body yet, which null is not
TEXT, JSON, TEXT_FILE, DATA_URI, UPLOAD = "text", "json", "text-file", "data-uri", "upload"
MAX_PARTS = 100  # of one key; each part is one level of the body
_BOMS = ((b"\xef\xbb\xbf", ""), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


class Field:
    """One value of a body: `kind` is one of the words above, `key` its parts between dots, `value` as it was given."""

    __slots__ = ("key", "kind", "value")

    def __init__(self, kind: str, key: list[str], value: Any) -> None:
        self.kind = kind
        self.key = key
        self.value = value

    @property
    def name(self) -> str:
        """The key as it was written."""
        return ".".join(self.key)


def reader(kind: str) -> Callable[[str], Field]:
    """A function that reads the text of an option of this kind, with ValueError for a user."""

    def read(text: str) -> Field:
        name, mark, value = text.partition("=")
        if not mark or not all(name.split(".")):
            raise ValueError(f"must be KEY={kind.upper() if kind in (TEXT, JSON) else 'FILE'}, not {text!r}")
        if name.count(".") >= MAX_PARTS:
            raise ValueError(f"a key has {MAX_PARTS} parts at most")
        if kind in (DATA_URI, UPLOAD, TEXT_FILE) and not value:
            raise ValueError(f"{name}: the file name is empty: is a variable unset?")
        if kind in (DATA_URI, UPLOAD) and value == "-":
            raise ValueError(f"{name}: '-' is not a file name: files are not read from stdin here")
        return Field(kind, name.split("."), json_value(name, value) if kind == JSON else value)

    return read


def json_value(name: str, text: str) -> Any:
    """The value of a JSON text. Raises ValueError with words for a user."""
    try:
        return jsontext.loads(text.encode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise ValueError(f"{name}: {text!r} is not JSON ({error}); for plain text use -f") from None


def laid_over(body: Any, fields: Iterable[tuple[Field, Any]]) -> Any:
    """`body`, which may be NOTHING, with each field's value put at its key; `body` itself stays as it is.

    Dots nest, a number is a list index. Raises UsageError for a key given twice, an index past the end of its list, and
    a key through a value that is neither an object nor a list.
    """
    placed: set[tuple[str, ...]] = set()
    prefixes: set[tuple[str, ...]] = set()
    root = [body]
    for field, value in fields:
        key = tuple(field.key)
        ways = {key[:size] for size in range(1, len(key) + 1)}
        if key in prefixes or ways & placed:
            raise UsageError(f"{_short(field.name)} is given twice, or as a part of another field")
        placed.add(key)
        prefixes |= ways
        _put(root, field, value)
    return root[0]


def query(fields: Sequence[Field]) -> list[tuple[str, str]]:
    """The fields as a query: lists repeat their key. Raises UsageError for what a query cannot hold."""
    pairs = []
    for field in fields:
        if field.kind not in (TEXT, JSON):
            raise UsageError(f"--{field.kind} needs a body: use it with POST, PATCH or PUT")
        values = field.value if isinstance(field.value, list) else [field.value]
        for value in values:
            if value is None or isinstance(value, (dict, list)):
                raise UsageError(f"{field.name}: a query holds text, numbers, true and false, and lists of them")
            pairs.append((field.name, value if isinstance(value, str) else jsontext.dumps(value)))
    return pairs


def read_body(text: str | None, stdin: bool, shutdown: Shutdown) -> bytes | None:
    """The body of --body or --stdin, checked to be JSON and unchanged; None without one. Raises UsageError."""
    if stdin or text in ("-", "@-"):
        source, data = "stdin", read_stdin("the body", shutdown)
    elif text is None:
        return None
    elif text.startswith("@"):
        source, data = text[1:], read_file(text[1:], "--body", shutdown)
    else:
        source, data = "--body", text.encode("utf-8", "surrogateescape")
    for mark, name in _BOMS:
        if data.startswith(mark):
            if name:
                raise UsageError(f"the body from {source} is {name}: save it as UTF-8")
            data = data[len(mark) :]  # which PowerShell writes
    try:
        jsontext.check(data)
    except ValueError as error:
        raise UsageError(f"the body from {source} is not JSON: {error}") from None
    return data


def field_value(field: Field, shutdown: Shutdown) -> Any:
    """What a field puts into the body; for an upload, the checked file (Media). Raises UsageError for a bad file."""
    if field.kind == TEXT_FILE:
        return _text(field, shutdown)
    if field.kind in (DATA_URI, UPLOAD):
        from ..files.upload import checked_upload, data_uri

        return data_uri(field.value) if field.kind == DATA_URI else checked_upload(field.value, "--upload")
    return field.value


def read_stdin(what: str, shutdown: Shutdown) -> bytes:
    """All of stdin. Raises UsageError where it is a terminal."""
    from ..terminal.console import is_terminal

    if sys.stdin is None or is_terminal(sys.stdin):
        raise UsageError(f"{what} is read from stdin, but nothing is piped in")
    data: bytes = shutdown.interruptible(sys.stdin.buffer.read)
    return data


def read_file(path: str, option: str, shutdown: Shutdown) -> bytes:
    """All of a file. Raises UsageError."""

    def read() -> bytes:
        with open(path, "rb") as file:  # perhaps a pipe, which may say nothing for long
            return file.read()

    try:
        return shutdown.interruptible(read)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{option}: {_short(path, 300)!r} cannot be read: {reason}") from None


def _text(field: Field, shutdown: Shutdown) -> str:
    """The UTF-8 text of a file without its final line break."""
    path = field.value
    if path == "-":
        data = read_stdin(f"--text-file {field.name}", shutdown)
    else:
        data = read_file(path, "--text-file", shutdown)
    if data.startswith(_BOMS[0][0]):
        data = data[3:]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"--text-file: {path!r} is not UTF-8 (byte {error.start + 1})") from None
    return text[:-2] if text.endswith("\r\n") else text[:-1] if text.endswith("\n") else text


def _put(root: list[Any], field: Field, value: Any) -> None:
    """Sets what the key leads to, making objects and lists on its way."""
    container: Any = root
    slot: Any = 0
    for depth, part in enumerate(field.key):
        if container[slot] is NOTHING:
            container[slot] = [] if _is_index(part) else {}
        container[slot] = container = _own(container[slot])
        if isinstance(container, list):
            slot = _index(container, part, field, depth)
            if slot == len(container):
                container.append(NOTHING)
        elif isinstance(container, dict):
            slot = part
            container.setdefault(slot, NOTHING)
        else:
            raise UsageError(f"{_short(field.name)}: {_way(field, depth)} is neither an object nor a list")
    container[slot] = value


def _own(container: Any) -> Any:
    """A container that may be changed: others may have this one too."""
    return container.copy() if isinstance(container, (dict, list)) else container


def _index(container: list[Any], part: str, field: Field, depth: int) -> int:
    if not _is_index(part):
        raise UsageError(f"{_short(field.name)}: {_way(field, depth)} is a list, so {part!r} should be a number")
    if len(part) > 9 or int(part) > len(container):
        words = f"{_way(field, depth)} has {len(container)} items, so the next index is {len(container)}"
        raise UsageError(f"{_short(field.name)}: {words}")
    return int(part)


def _way(field: Field, depth: int) -> str:
    return _short(".".join(field.key[:depth])) or "the body"


def _short(name: str, most: int = 80) -> str:
    """A name in a message, which is cut at its end: the reason behind the name must not be lost."""
    return name if len(name) <= most else name[: most - 1] + "…"


def _is_index(part: str) -> bool:
    """Whether it is a number as JSON Pointer (RFC 6901) has them: without leading zeros, so that each has one name."""
    return part.isascii() and part.isdigit() and (part == "0" or part[0] != "0")
