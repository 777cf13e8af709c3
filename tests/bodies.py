"""Bodies made from a schema: valid ones, and valid ones with one fault."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from tests.fake.instances import instance, text

UPLOAD = "runway://ephemeral/known"  # whoever sends these bodies has to know of this upload
WRONG_TYPES: dict[str, Any] = {"string": 17, "integer": "x", "number": "x", "boolean": "x", "array": "x", "object": 17}
MOST_CHARACTERS = 50_000  # longer texts are not made

Path = tuple[Any, ...]


def branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives of a schema; itself, where it has none."""
    found: list[dict[str, Any]] = schema.get("oneOf") or schema.get("anyOf") or [schema]
    return found


def valid(schema: dict[str, Any]) -> Iterator[Any]:
    """The smallest and the fullest body of each alternative, with three choices among the alternatives of its parts."""
    for branch in branches(schema):
        yield instance(branch)
        for choice in range(3):
            yield fullest(branch, choice)


def fullest(schema: dict[str, Any], choice: int = 0) -> Any:
    """A body with every field; `choice` selects among alternatives and values."""
    options = branches(schema)
    if options != [schema]:
        return fullest(options[choice % len(options)], choice)
    if "const" in schema or "enum" in schema:
        values = schema.get("enum") or [schema["const"]]
        return values[choice % len(values)]
    kind = schema.get("type")
    if kind == "object":
        return {name: fullest(part, choice) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [fullest(schema["items"], choice)] * max(schema.get("minItems", 1), 1)
    if kind in ("integer", "number"):
        return schema.get("maximum", 7) if choice else instance(schema)
    return _text(schema) if kind == "string" else instance(schema)


def _text(schema: dict[str, Any]) -> str:
    return UPLOAD if "runway:" in schema.get("pattern", "") else text(schema)


def invalid(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is wrong, and the fullest body of each alternative with just that fault."""
    for branch in branches(schema):
        whole = fullest(branch)
        for path, fault, value in _faults(branch, whole, ()):
            yield f"{'.'.join(map(str, path))}: {fault}", _changed(whole, path, value)


GONE = object()  # in place of a value: the field is left out


def _faults(schema: dict[str, Any], value: Any, path: Path) -> Iterator[tuple[Path, str, Any]]:
    options = branches(schema)
    if options != [schema]:
        yield from _shared(options, value, path)
        return
    kind = schema.get("type", "")
    if "const" in schema or "enum" in schema:
        yield path, "other value", "no such value"
    elif kind in WRONG_TYPES:
        yield path, "wrong type", WRONG_TYPES[kind]
    if kind == "string":
        yield from _faults_of_text(schema, value, path)
    if kind in ("integer", "number"):
        yield from _faults_of_number(schema, path)
    if kind == "array":
        if schema.get("maxItems", 1000) < 1000:
            yield path, "too many", [value[0]] * (schema["maxItems"] + 1)
        yield from _faults(schema["items"], value[0], (*path, 0))
    if kind == "object":
        if schema.get("additionalProperties") is False:
            yield (*path, "noSuchField"), "unknown", 1
        for name in schema.get("required", ()):
            yield (*path, name), "missing", GONE
        for name, part in schema.get("properties", {}).items():
            yield from _faults(part, value[name], (*path, name))


def _shared(options: list[dict[str, Any]], value: Any, path: Path) -> Iterator[tuple[Path, str, Any]]:
    """A fault that no alternative allows: the value of another type, or the first alternative's faults inside it."""
    if {option.get("type") for option in options} <= {"string", "null"}:
        yield path, "wrong type", 17
        if all("pattern" in option or option["type"] == "null" for option in options):
            yield path, "no form fits", "fits nothing"
    elif isinstance(value, (dict, list)):
        yield path, "wrong type", 17
        if all("type" in option.get("properties", {}) for option in options):
            yield from _faults(options[0], value, path)


def _faults_of_text(schema: dict[str, Any], value: str, path: Path) -> Iterator[tuple[Path, str, Any]]:
    if schema.get("minLength", 0) > 0:
        yield path, "empty", ""
    if 0 < schema.get("maxLength", 0) < MOST_CHARACTERS:
        yield path, "too long", value + "a" * schema["maxLength"]
    if "pattern" in schema:
        yield path, "malformed", "§"


def _faults_of_number(schema: dict[str, Any], path: Path) -> Iterator[tuple[Path, str, Any]]:
    if schema["type"] == "integer":
        yield path, "not whole", schema.get("minimum", 1) + 0.5
    if "minimum" in schema:
        yield path, "too small", schema["minimum"] - 1
    if "maximum" in schema:
        yield path, "too large", schema["maximum"] + 1


def _changed(whole: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    body = deepcopy(whole)
    place = body
    for step in path[:-1]:
        place = place[step]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return body
