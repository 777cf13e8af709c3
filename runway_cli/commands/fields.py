"""Request bodies and queries from `-f KEY=TEXT`, `-F KEY=JSON`, `--data-uri KEY=FILE` and `--upload KEY=FILE`."""

from __future__ import annotations

from .. import jsontext
from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

NOTHING: Any = object()  # stands for no body yet, which null is not


class Field:
    """One of these options: `kind` is text, json, data-uri or upload; `key` its parts between dots."""

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
            raise ValueError(f"{text!r} is not KEY={'FILE' if kind in ('data-uri', 'upload') else kind.upper()}")
        if kind != "json":
            return Field(kind, name.split("."), value)
        try:
            return Field(kind, name.split("."), jsontext.loads(value.encode("utf-8", "surrogateescape")))
        except ValueError as error:
            raise ValueError(f"the value of {name} is not JSON ({error}); -f {name}=… takes plain text") from None

    return read


def laid_over(body: Any, fields: Iterable[tuple[Field, Any]]) -> Any:
    """`body`, which may be NOTHING, with each field's value put at its key.

    Dots go deeper, a number is an index of a list. Raises UsageError for a key given twice, an index past the
    end of its list, and a key that leads through a value that is no object or list.
    """
    placed: list[list[str]] = []
    root = [body]
    for field, value in fields:
        for other in placed:
            shorter = min(len(other), len(field.key))
            if other[:shorter] == field.key[:shorter]:
                raise UsageError(f"{field.name} and {'.'.join(other)} are both given, and one would undo the other")
        placed.append(field.key)
        _put(root, 0, field, value)
    return root[0]


def query(fields: Sequence[Field]) -> list[tuple[str, str]]:
    """The fields as a query: lists repeat their key. Raises UsageError for what a query cannot say."""
    pairs = []
    for field in fields:
        if field.kind not in ("text", "json"):
            raise UsageError(f"--{field.kind} needs a body: use it with POST, PATCH or PUT")
        values = field.value if isinstance(field.value, list) else [field.value]
        for value in values:
            if value is None or isinstance(value, (dict, list)):
                raise UsageError(f"{field.name}: a query holds text, numbers, true and false, and lists of them")
            pairs.append((field.name, value if isinstance(value, str) else jsontext.dumps(value)))
    return pairs


def _put(container: Any, slot: Any, field: Field, value: Any) -> None:
    """Sets what the key leads to from `container[slot]` on, making objects and lists on its way."""
    for depth, part in enumerate(field.key):
        if container[slot] is NOTHING:
            container[slot] = [] if _is_index(part) else {}
        container = container[slot]
        if isinstance(container, list):
            slot = _index(container, part, field, depth)
            if slot == len(container):
                container.append(NOTHING)
        elif isinstance(container, dict):
            slot = part
            container.setdefault(slot, NOTHING)
        else:
            way = ".".join(field.key[:depth]) or "the body"
            raise UsageError(f"{field.name}: {way} is neither an object nor a list")
    container[slot] = value


def _index(container: list[Any], part: str, field: Field, depth: int) -> int:
    way = ".".join(field.key[:depth]) or "the body"
    if not _is_index(part):
        raise UsageError(f"{field.name}: {way} is a list, so {part!r} should be a number")
    if len(part) > 9 or int(part) > len(container):
        raise UsageError(f"{field.name}: {way} has {len(container)} items, so the next index is {len(container)}")
    return int(part)


def _is_index(part: str) -> bool:
    """Whether it is a number as JSON Pointer (RFC 6901) has them: without leading zeros, so that each has one name."""
    return part.isascii() and part.isdigit() and (part == "0" or part[0] != "0")
