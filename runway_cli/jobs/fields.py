"""Bodies and queries from `--body`, `-f KEY=TEXT`, `-F KEY=JSON`, and the options that name a file or an output.

A merged body holds its inputs, each an InputFile or OutputOf, as values; `rendered` replaces them.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from io import FileIO

from .. import jsontext
from ..errors import ApiError, Mistyped, UsageError
from ..settings import Miswritten, as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    from ..api.client import Client
    from ..files.upload import InputFile
    from ..shutdown import Shutdown

    Input = Union[InputFile, "OutputOf"]
    Files = dict[tuple[str, str], InputFile]  # by their paths and the kinds of their fields

NOTHING: Any = object()  # a missing body, which is not the same as null
TEXT, JSON, TEXT_FILE, DATA_URI, UPLOAD, OUTPUT_OF = "text", "json", "text-file", "data-uri", "upload", "output-of"
FLAGS = {TEXT: "-f", JSON: "-F"}  # for other kinds it is --KIND
FIELD_FLAGS = ("-f", "--field", "-F", "--json-field")
FORMS = {TEXT: "TEXT", JSON: "JSON", OUTPUT_OF: "ID[.N]"}  # of the value; for other kinds it is FILE
MAX_DEPTH = 100  # levels of a body, and parts of a key; a body of the API has fewer than ten
ADDRESS = re.compile(r"(https?|runway)://|data:", re.IGNORECASE)
TAKES_ADDRESS = ("image", "video", "audio", "uri", "url")  # the ends of the names of fields that take a URL
CONSTANTS = {"true": "true", "false": "false", "none": "null"}  # as JSON, Python and spreadsheets write them


class Field:
    """One value of a body: `kind` is one of the words above, `key` its parts between dots, `value` as given."""

    def __init__(self, kind: str, key: list[str], value: Any) -> None:
        self.kind = kind
        self.key = key
        self.value = value
        self.option = f"--{kind}"  # what messages call it; "" where the user typed the key alone

    @property
    def name(self) -> str:
        """Returns the key as it was written."""
        return ".".join(self.key)


class OutputOf:
    """The output number `index`, from 0, of the task with the id `name`; in ROWS, of the `row` with that @name."""

    is_upload = False  # only an InputFile may be one

    def __init__(self, text: str) -> None:
        name, _, number = text.rpartition(".")
        is_numbered = name and number.isascii() and number.isdigit() and len(number) < 4
        self.text = text
        self.name, self.index = (name, int(number)) if is_numbered else (text, 0)
        self.row: Any = None

    def placeholder(self) -> str:
        """Returns the value that stands for the output in a body that is not sent."""
        return f"https://… (output {self.index} of {self.name})"

    def url(self, client: Client) -> str:
        """Returns a fresh URL of a task's output. Raises UsageError where there is none, and what `call` raises."""
        from .tasks import GOOD_ENDS, parse, urls_of

        try:
            answer = client.call("GET", parse(self.name).path).value
        except ApiError as error:
            raise error.but(try_next=("history",) if error.status in (400, 404) else None) from None
        status = answer.get("status") if isinstance(answer, dict) else None
        urls = urls_of(answer) if status in GOOD_ENDS else []
        if self.index >= len(urls):
            counted = f"has {len(urls)} outputs: there is no number {self.index}, counted from 0"
            is_dashed = self.name.startswith("-")
            try_next = ("wait", *["--"] * is_dashed, self.name)
            raise UsageError(f"--output-of: {self.name} is {status} and {counted}", try_next=try_next)
        return urls[self.index]


def reader(kind: str) -> Callable[[str], Field]:
    """Returns a function that reads the text of an option of this kind. It raises ValueError in words for a user."""

    def read(text: str) -> Field:
        name, mark, value = text.partition("=")
        if not mark or not all(name.split(".")):
            raise ValueError(f"must be KEY={FORMS.get(kind, 'FILE')}, not {text!r}")
        try:
            key = parts(as_text(name))
        except Miswritten as error:
            raise Miswritten(str(error), (FLAGS.get(kind, f"--{kind}"), f"{error.instead[0]}={value}")) from None
        if kind in (TEXT, JSON, OUTPUT_OF) or (kind == UPLOAD and ADDRESS.match(value)):
            value = as_text(value)
        if kind == JSON:
            try:
                return Field(kind, key, read_json(value.encode()))
            except ValueError as error:
                raise _not_json(f"{name}: {_short(value, 300)!r} is not JSON ({error})", value, name) from None
        return Field(kind, key, value)

    return read


def read_inline(text: str) -> str:
    """Reads the value of --body, and checks the JSON that it may be. Raises ValueError."""
    if text and text != "-" and not text.startswith("@"):
        try:
            read_json(as_text(text).encode())
        except ValueError as error:
            raise _not_json(f"the body is not JSON: {error}", text, "") from None
    return text


def _not_json(words: str, text: str, name: str) -> ValueError:
    """Returns the error for the value of a field, or of --body if `name` is "", with what was probably meant."""
    if text[:1] == text[-1:] == "'":
        text = text[1:-1]
    number = re.sub(r"^-?(?=\.\d)", r"\g<0>0", text.lstrip("+").rstrip(".,"))  # .5, +5 and 5.
    for candidate in (text, text.replace('\\"', '"'), CONSTANTS.get(text.lower(), text), number):
        try:
            found = read_json(candidate.encode())
        except ValueError:
            continue
        if name and isinstance(found, str):
            return Miswritten(words, ("-f", f"{name}={found}"))
        return Miswritten(words, ("-F", f"{name}={candidate}") if name else ("--body", candidate))
    if re.match(r"\s*[{[]\s*\w[^\"']*$", text):
        return ValueError(f"{words}; did PowerShell take its double quotes? Use -f and -F, or --body @FILE")
    if not name or text.startswith(("[", "{")):
        return ValueError(words)
    if text.startswith("@") and os.path.isfile(text[1:]):
        flag = "--upload" if named_file(name.split("."), text) else "--text-file"
        return Miswritten(f"{words}; for a file use {flag}", (flag, f"{name}={text[1:]}"))
    return Miswritten(f"{words}; for plain text use -f", ("-f", f"{name}={text}"))


def read_json(data: bytes, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Returns the value of JSON from the user. Raises ValueError as `jsontext.loads`, which has `pairs` too.

    Half of a surrogate pair is refused too: JSON can write it, but UTF-8 cannot.
    """
    value = jsontext.loads(data, pairs)
    try:
        if re.search(rb"\\u[dD]", data):
            jsontext.dumps(value).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise ValueError(f"{half} is half of a surrogate pair: write the character itself") from None
    return value


def parts(key: str) -> list[str]:
    """Returns the parts of a key. Raises ValueError for one that a body cannot have, Miswritten for brackets."""
    dotted = ".".join(filter(None, (part.strip("\"'") for part in re.split(r"[][.]+", key.replace("[]", ".0")))))
    if dotted and re.search(r"[][]", key):
        raise Miswritten(f"the key {key!r} has brackets: write {dotted}", (dotted,))
    found = key.split(".")
    if not all(found) or not dotted:
        raise ValueError(f"{key!r} is not a field key: it has an empty part")
    if len(found) > MAX_DEPTH:
        raise ValueError(f"a key has {MAX_DEPTH} parts at most")
    return found


def merge(body: Any, fields: Iterable[tuple[Field, Any]], under: Iterable[tuple[Field, Any]] = ()) -> Any:
    """Returns `body`, which may be NOTHING, with each field's value put at its key; `body` itself is not changed.

    Dots nest, a number is a list index; the items of a list may come in any order. The fields `under` come first,
    except for keys that `fields` have too. Raises UsageError for a key given twice, an index past the end of its list,
    a key through a value that is neither an object nor a list, and a file's name where the API takes a URL.
    """
    fields = list(fields)
    check_keys([field for field, _ in fields])
    own = [field.key for field, _ in fields]
    rest = [each for each in under if not any(each[0].key[: len(key)] == key for key in own)]
    # sorted by their indices only, smaller ones first: an index has no leading zeros
    for field, value in sorted([*rest, *fields], key=lambda each: [(len(i), i) for i in each[0].key if _is_index(i)]):
        body = _put(body, field, 0, value)
    _check_addresses(body)
    return body


def check_keys(fields: Iterable[Field]) -> None:
    """Raises UsageError for a field that would overwrite another one."""
    keys = sorted(field.key for field in fields)
    for one, other in zip(keys, keys[1:]):
        if other[: len(one)] == one:
            raise UsageError(f"{_short('.'.join(other))} is given twice, or as a part of another field")


def _put(container: Any, field: Field, depth: int, value: Any) -> Any:
    """Returns the container, which is `depth` parts down the field's key, with the value at the rest of the key."""
    if depth == len(field.key):
        return value
    part = field.key[depth]
    what = f"{_short(field.name)}: {_short('.'.join(field.key[:depth])) or 'the body'}"
    if container is NOTHING:
        container = [] if _is_index(part) else {}
    if isinstance(container, dict):
        return {**container, part: _put(container.get(part, NOTHING), field, depth + 1, value)}
    if not isinstance(container, list):
        raise UsageError(f"{what} is neither an object nor a list")
    if not _is_index(part):
        raise UsageError(f"{what} is a list, so {part!r} should be a number")
    if len(part) > 9 or int(part) > len(container):
        raise UsageError(f"{what} has {len(container)} items, so the next index is {len(container)}")
    before, after = container[: int(part)], container[int(part) :] or [NOTHING]
    return [*before, _put(after[0], field, depth + 1, value), *after[1:]]


def _is_index(part: str) -> bool:
    """Returns whether it is an index as in JSON Pointer (RFC 6901): no leading zeros, so that each has one spelling."""
    return part.isascii() and part.isdigit() and (part == "0" or part[0] != "0")


def _check_addresses(value: Any, field: Field | None = None) -> None:
    """Raises UsageError where a body, or a field's value, names a file and the API takes a URL; or nests too deeply."""
    rest = [(value, list(field.key) if field else [])]
    while rest:
        value, path = rest.pop()
        if isinstance(value, (dict, list)):
            if len(path) >= MAX_DEPTH:
                raise UsageError("nested too deeply")
            items = value.items() if isinstance(value, dict) else enumerate(value)
            rest += [(item, [*path, str(part)]) for part, item in items]
        elif file := named_file(path, value):
            name = ".".join(path)
            is_typed = field is not None and not field.option  # by `generate`, which has no --upload
            use = f"{name}=FILE" if is_typed else f"--upload {name}=FILE, or in ROWS @upload.{name}"
            wrong = (("",), f"{name}:=") if is_typed else (FIELD_FLAGS, f"{name}=")
            facts = {"bad_value": wrong, "instead": (*(() if is_typed else ("--upload",)), f"{name}={file}")}
            is_inside = field is not None and path != field.key  # no option sets a part of a value
            words = f"{name}: {_short(value)!r} is a file, and the field takes a URL: use {use}"
            raise UsageError(words, **({} if is_inside else facts))


def named_file(key: Sequence[str], value: Any) -> str | None:
    """Returns the file that the value at a key names, also as @FILE or file:///FILE, where the API takes a URL."""
    last = next((part for part in reversed(key) if not _is_index(part)), "")
    is_url = last.lower().removesuffix("s").endswith(TAKES_ADDRESS)
    if not is_url or not isinstance(value, str) or ADDRESS.match(value):
        return None
    from urllib.parse import unquote

    return next(filter(os.path.isfile, (value, unquote(re.sub("^@|^file://+(?=/|[A-Za-z]:)", "", value)))), None)


def _short(name: str, most: int = 80) -> str:
    """Cuts a name for a message, so that the reason after the name is not lost."""
    return name if len(name) <= most else name[: most - 1] + "…"


def rendered(value: Any, of_input: Callable[[Input], Any]) -> Any:
    """Returns a merged body as a JSON value, with what `of_input` returns for each input."""
    if isinstance(value, dict):
        return {key: rendered(item, of_input) for key, item in value.items()}
    if isinstance(value, list):
        return [rendered(item, of_input) for item in value]
    return of_input(value) if hasattr(value, "placeholder") else value


def content_of(each: Input) -> Any:
    """Returns what stands for an input in comparisons of requests: a file's content, not its name; an output's task."""
    if isinstance(each, OutputOf):
        return {"@output-of": [each.row.key if each.row else each.name, each.index]}
    return {"@content": each.digest}


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


def read_body(text: str | None, stdin: bool, shutdown: Shutdown) -> tuple[bytes | None, Any]:
    """Returns the body of --body or --stdin and its value, else None and NOTHING. Raises UsageError if not JSON."""
    if stdin or text == "-":
        text = "@-"
    if text is None:
        return None, NOTHING
    if text.startswith("@"):
        data = read_source(text[1:], "the body", shutdown)
    else:
        data = text.removeprefix("\ufeff").encode("utf-8", "surrogateescape")
    try:
        return data, read_json(data)
    except ValueError as error:
        raise UsageError(f"the body{f' from {text[1:]}' * text.startswith('@')} is not JSON: {error}") from None


def value_of(field: Field, files: Files, shutdown: Shutdown) -> Any:
    """Returns the value of a field in the body, an Input for a file or an output. Raises UsageError."""
    given, option = field.value, field.option or field.name
    if field.kind == OUTPUT_OF:
        from .tasks import parse

        found = OutputOf(given)
        try:
            found.name = parse(found.name).name
        except Mistyped as error:  # the error is about a part of what was typed
            whole, right = f"{field.name}={given}", error.fact("right")
            raise error.but(wrong=whole, right=whole.replace(found.name, right)) from None
        return found
    if field.kind == DATA_URI or (field.kind == UPLOAD and not ADDRESS.match(given)):
        from ..files.upload import InputFile

        if (given, field.kind) not in files:  # a file is read once, however often it is given
            files[given, field.kind] = InputFile(given, option, is_upload=field.kind == UPLOAD)
        return files[given, field.kind]
    if field.kind != TEXT_FILE:
        _check_addresses(given, field)
        return given
    try:
        return re.sub(r"\r?\n\Z", "", read_source(given, option, shutdown).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{option}: {given!r} is not UTF-8 (byte {error.start + 1})") from None


def read_source(path: str, what: str, shutdown: Shutdown, *, is_rows: bool = False) -> bytes:
    """Returns all of a file, or of stdin for -, without the byte order mark of UTF-8 that PowerShell writes.

    A named pipe is allowed too, except for ROWS: it might block for long. Raises UsageError that begins with `what`.
    """
    if path == "-":
        from ..terminal.console import is_terminal

        if sys.stdin is None or is_terminal(sys.stdin):
            raise UsageError(f"{what} is read from stdin, but nothing is piped in")
        data: bytes = shutdown.interruptible(sys.stdin.buffer.read)
    else:
        try:
            mode = os.stat(path).st_mode
            if not stat.S_ISREG(mode) and (is_rows or not stat.S_ISFIFO(mode)):
                raise ValueError(f"it is not a regular file{': use - for rows on stdin' * is_rows}")
            with shutdown.interruptible(FileIO, path) as file:
                data = shutdown.interruptible(file.read)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{what}: {_short(path, 300)!r} cannot be read: {reason}") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{what}: {_short(path, 300)!r} is UTF-16: save it as UTF-8")
    return data.removeprefix(b"\xef\xbb\xbf")
