"""Bodies and queries from `--body`, `-f KEY=TEXT`, `-F KEY=JSON`, and the options that name a file or an output.

A merged body holds its inputs, each an InputFile or OutputOf, as values; `rendered` replaces them.
"""

from __future__ import annotations

import os
import re
import stat
import sys

from .. import jsontext
from ..errors import ApiError, Mistyped, UsageError
from ..settings import Miswritten, as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Union

    from ..api.client import Client
    from ..files.upload import InputFile
    from ..shutdown import Shutdown

    Input = Union[InputFile, "OutputOf"]
    Files = dict[tuple[str, bool], InputFile]  # by their path and whether they are uploaded


NOTHING: Any = object()  # stands for a missing body, which null is not
TEXT, JSON, TEXT_FILE, DATA_URI, UPLOAD, OUTPUT_OF = "text", "json", "text-file", "data-uri", "upload", "output-of"
FLAGS = {TEXT: "-f", JSON: "-F"}  # of others --KIND
FIELD_FLAGS = ("-f", "--field", "-F", "--json-field")
FORMS = {TEXT: "TEXT", JSON: "JSON", OUTPUT_OF: "ID[.N]"}  # of a value, of others FILE
MAX_DEPTH = 100  # levels of a body, and parts of a key; a body of the API has fewer than ten
ADDRESS = re.compile(r"(https?|runway)://|data:", re.IGNORECASE)
TAKES_ADDRESS = ("image", "video", "audio", "uri", "url")  # how the API's names of fields for a URL end
# What is written in place of JSON: strings in single quotes, a comma at the end, .5 and +5, True and None
ALMOST = r""""(?:[^"\\]|\\.)*"|'([^'"\\]*)'|(,)\s*(?=[]}]|$)|([+-]?(?:\d+\.?\d*|\.\d+))|([A-Za-z]+)"""
CONSTANTS = {"true": "true", "false": "false", "none": "null"}


class Field:
    """One value of a body: `kind` is one of the words above, `key` the parts between dots, `value` as it was given.

    `option` is the one that gives it in messages, "" where the user typed the key alone.
    """

    __slots__ = ("key", "kind", "option", "value")

    def __init__(self, kind: str, key: list[str], value: Any) -> None:
        self.kind = kind
        self.key = key
        self.value = value
        self.option = f"--{kind}"

    @property
    def name(self) -> str:
        """Returns the key as it was written."""
        return ".".join(self.key)


class OutputOf:
    """The output number `index`, from 0, of the task with the id `name`; in ROWS, of the `row` with that @name."""

    __slots__ = ("index", "name", "row", "text")

    def __init__(self, text: str) -> None:
        name, _, number = text.rpartition(".")
        is_numbered = name and number.isascii() and number.isdigit() and len(number) < 4
        self.text = text
        self.name, self.index = (name, int(number)) if is_numbered else (text, 0)
        self.row: Any = None

    def shown(self) -> str:
        """Returns the value that stands for the output in a body that is not sent."""
        return f"https://… (output {self.index} of {self.name})"

    def url(self, client: Client) -> str:
        """Returns a fresh URL of a task's output. Raises UsageError where there is none, and what `call` raises."""
        from .ledger import GOOD_ENDS
        from .tasks import parse, urls_of

        try:
            answer = client.call("GET", parse(self.name).path).value
        except ApiError as error:
            raise error.but(try_next=("history",) if error.status in (400, 404) else None) from None
        status = answer.get("status") if isinstance(answer, dict) else None
        urls = urls_of(answer) if status in GOOD_ENDS else []
        if self.index >= len(urls):
            words = (
                f"{self.name} is {status} and has {len(urls)} outputs: there is no number {self.index}, counted from 0"
            )
            is_dashed = self.name.startswith("-")
            raise UsageError(f"--output-of: {words}", try_next=("wait", *["--"] * is_dashed, self.name))
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
        if kind not in (TEXT, JSON) and not value:
            raise ValueError(f"{name}: the {'id' if kind == OUTPUT_OF else 'file name'} is empty: is a variable unset?")
        if kind in (DATA_URI, UPLOAD) and value == "-":
            raise ValueError(f"{name}: '-' is not a file name: files are not read from stdin here")
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
    """Returns the error for the value of a field, or of --body without a name, with what was meant as far as known."""
    inside = text[1:-1] if text[:1] == text[-1:] == "'" else text
    for candidate in (inside, text.replace('\\"', '"'), re.sub(ALMOST, _as_json, text)):
        try:
            found = read_json(candidate.encode())
        except ValueError:
            continue
        if name and isinstance(found, str):
            return Miswritten(words, ("-f", f"{name}={found}"))
        return Miswritten(words, ("-F", f"{name}={candidate}") if name else ("--body", candidate))
    if re.match(r"\s*[{[]\s*\w[^\"']*$", text):
        return ValueError(f"{words}; did PowerShell take its double quotes? Use -f and -F, or --body @FILE")
    if not name:
        return ValueError(words)
    flag = "-f"
    if re.fullmatch(r"@\S+\.\w+", text) or (text.startswith("@") and os.path.isfile(text[1:])):
        from ..files.media import TYPES

        text = text[1:]
        flag = "--upload" if text.rpartition(".")[2].lower() in TYPES else "--text-file"
    return Miswritten(f"{words}; for plain text use -f", (flag, f"{name}={text}"))


def _as_json(match: re.Match[str]) -> str:
    """Returns the JSON for a match of ALMOST."""
    single, comma, number, word = match.groups()
    if comma:
        return ""
    if number:
        whole, _, rest = number.lstrip("+-").partition(".")
        return ("-" if number[0] == "-" else "") + (whole or "0") + (f".{rest}" if rest else "")
    if word:
        return CONSTANTS.get(word.lower(), word)
    return match[0] if single is None else f'"{single}"'


def read_json(data: bytes) -> Any:
    """Returns the value of JSON from the user. Raises ValueError as `jsontext.loads` and `check_unicode`."""
    value = jsontext.loads(data)
    if re.search(rb"\\u[dD]", data):
        check_unicode(value)
    return value


def check_unicode(value: Any) -> None:
    """Raises ValueError for a text with half of a surrogate pair, which JSON can write and UTF-8 cannot."""
    try:
        jsontext.dumps(value).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise ValueError(f"{half} is half of a surrogate pair: write the character itself") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


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

    Dots nest, a number is a list index; the items of a list may come in any order. The fields `under` come first, but
    for keys that `fields` name too. Raises UsageError for a key given twice, an index past the end of its list, a key
    through a value that is neither an object nor a list, and a file's name where the API takes a URL.
    """
    root = [body]
    fields = list(fields)
    own = {tuple(field.key) for field, _ in fields}
    check_keys([field for field, _ in fields])
    rest = [each for each in under if own.isdisjoint(_beginnings(each[0]))]
    # by their indices alone, the smaller ones first: an index has no leading zeros
    for field, value in sorted([*rest, *fields], key=lambda each: [(len(i), i) for i in each[0].key if _is_index(i)]):
        _put(root, field, value)
    check_addresses(root[0], [field for field, _ in fields])
    return root[0]


def check_addresses(body: Any, fields: Sequence[Field], key: Sequence[str] = ()) -> None:
    """Raises UsageError where a body, or the value at a key, names a file and the API takes a URL; or nests too deeply.

    The value of one of the `fields` is replaced as a whole: for a file inside of it there is no other option.
    """
    rest = [(body, [*key])]
    while rest:
        value, path = rest.pop()
        if isinstance(value, (dict, list)):
            if len(path) >= MAX_DEPTH:
                raise UsageError("nested too deeply")
            items = value.items() if isinstance(value, dict) else enumerate(value)
            rest += [(item, [*path, str(part)]) for part, item in items]
        elif file := named_file(path, value):
            name = ".".join(path)
            is_typed = not all(field.option for field in fields)  # by `generate`, which has no --upload
            use = f"{name}=FILE" if is_typed else f"--upload {name}=FILE, or in ROWS @upload.{name}"
            words = f"{name}: {_short(value)!r} is a file, and the field takes a URL: use {use}"
            wrong = (("",), f"{name}:=") if is_typed else (FIELD_FLAGS, f"{name}=")
            facts = {"bad_value": wrong, "instead": (*(() if is_typed else ("--upload",)), f"{name}={file}")}
            is_inside = any(len(field.key) < len(path) and path[: len(field.key)] == field.key for field in fields)
            raise UsageError(words, **({} if is_inside else facts))


def named_file(key: Sequence[str], value: Any) -> str | None:
    """Returns the file that the value at a key names, also as @FILE or file:///FILE, where the API takes a URL."""
    last = next((part for part in reversed(key) if not _is_index(part)), "")
    is_url = last.lower().removesuffix("s").endswith(TAKES_ADDRESS)
    if not is_url or not isinstance(value, str) or ADDRESS.match(value):
        return None
    from urllib.parse import unquote

    return next(filter(os.path.isfile, (value, unquote(re.sub("^@|^file://(?=/)", "", value)))), None)


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
        what = f"{_short(field.name)}: {_short('.'.join(field.key[:depth])) or 'the body'}"
        found = container[slot]
        if found is NOTHING:
            found = [] if _is_index(part) else {}
        elif not isinstance(found, (dict, list)):
            raise UsageError(f"{what} is neither an object nor a list")
        container[slot] = container = found.copy()  # the original may be shared
        slot = part
        if isinstance(container, dict):
            container.setdefault(part, NOTHING)
        elif not _is_index(part):
            raise UsageError(f"{what} is a list, so {part!r} should be a number")
        elif len(part) > 9 or int(part) > len(container):
            raise UsageError(f"{what} has {len(container)} items, so the next index is {len(container)}")
        else:
            slot = int(part)
            container[slot:] = container[slot:] or [NOTHING]
    container[slot] = value


def _is_index(part: str) -> bool:
    """Returns whether it is an index as in JSON Pointer (RFC 6901): no leading zeros, so that each has one name."""
    return part.isascii() and part.isdigit() and (part == "0" or part[0] != "0")


def _short(name: str, most: int = 80) -> str:
    """A name cut for a message, so that the reason after the name is not lost."""
    return name if len(name) <= most else name[: most - 1] + "…"


def rendered(value: Any, of_input: Callable[[Input], Any]) -> Any:
    """Returns a merged body as a JSON value, with what `of_input` gives for each input."""
    if isinstance(value, dict):
        return {key: rendered(item, of_input) for key, item in value.items()}
    if isinstance(value, list):
        return [rendered(item, of_input) for item in value]
    return of_input(value) if hasattr(value, "shown") else value


def content_of(each: Input) -> Any:
    """Returns what stands for an input where requests are compared: not the name of a file, nor a URL of an output."""
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
        read_json(data)
    except ValueError as error:
        raise UsageError(f"the body from {source} is not JSON: {error}") from None
    return data


def value_of(field: Field, files: Files, shutdown: Shutdown) -> Any:
    """Returns what a field puts into the body, for a file or an output an Input. Raises UsageError."""
    path = field.value
    if field.kind == OUTPUT_OF:
        from .tasks import parse

        found = OutputOf(path)
        try:
            found.name = parse(found.name).name
        except Mistyped as error:  # its words are only a part of what was typed
            whole, right = f"{field.name}={path}", error.fact("right")
            raise error.but(wrong=whole, right=whole.replace(found.name, right)) from None
        return found
    if field.kind in (DATA_URI, UPLOAD) and not (field.kind == UPLOAD and ADDRESS.match(path)):
        return input_file(files, path, field.option or field.name, is_upload=field.kind == UPLOAD)
    if field.kind != TEXT_FILE:
        return field.value
    if path == "-":
        data = read_stdin(f"{field.option} {field.name}".lstrip(), shutdown)
    else:
        data = read_file(path, "--text-file", shutdown)
    try:
        text = without_mark(data, f"{field.option or field.name}: {path!r}").decode("utf-8")
    except UnicodeDecodeError as error:
        words = f"{field.option or field.name}: {path!r} is not UTF-8 (byte {error.start + 1})"
        raise UsageError(words) from None
    return text[:-2] if text.endswith("\r\n") else text[:-1] if text.endswith("\n") else text


def input_file(files: Files, path: str, option: str, *, is_upload: bool) -> InputFile:
    """Returns a file, which is read once however often it is given. Raises UsageError, which names `option`."""
    from ..files.upload import InputFile

    if (path, is_upload) not in files:
        files[path, is_upload] = InputFile(path, option, is_upload=is_upload)
    return files[path, is_upload]


def read_stdin(what: str, shutdown: Shutdown) -> bytes:
    """Returns all of stdin. Raises UsageError if it is a terminal."""
    from ..terminal.console import is_terminal

    if sys.stdin is None or is_terminal(sys.stdin):
        raise UsageError(f"{what} is read from stdin, but nothing is piped in")
    data: bytes = shutdown.interruptible(sys.stdin.buffer.read)
    return data


def read_file(path: str, option: str, shutdown: Shutdown, *, is_rows: bool = False) -> bytes:
    """Returns all of a file, or of a pipe unless it holds ROWS: a pipe may stay silent for long. Raises UsageError."""

    def read() -> bytes:
        with open(path, "rb") as file:
            return file.read()

    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and (is_rows or not stat.S_ISFIFO(mode)):
            raise ValueError(f"it is not a regular file{': use - for rows on stdin' * is_rows}")
        return shutdown.interruptible(read)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{option}: {_short(path, 300)!r} cannot be read: {reason}") from None


def without_mark(data: bytes, what: str) -> bytes:
    """Returns UTF-8 data without the byte order mark that PowerShell writes. Raises UsageError for UTF-16."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{what} is UTF-16: save it as UTF-8")
    return data[3:] if data.startswith(b"\xef\xbb\xbf") else data
