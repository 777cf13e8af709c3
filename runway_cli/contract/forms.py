"""What one form of a schema says of a value: its type, allowed values, limits and, for media, the kind of URI."""

from __future__ import annotations

import re

from ..jsontext import Number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping
    from typing import Any

    from .schema import Schema

MAX_PATTERN = 40  # characters; a longer pattern is noise
LARGEST_LIMIT = 2**53 - 1  # as a limit it says only that JavaScript reads the number

_LIMITS = {
    "minimum": "min",
    "maximum": "max",
    "exclusiveMinimum": "exclusiveMin",
    "exclusiveMaximum": "exclusiveMax",
    "multipleOf": "multipleOf",
    "minLength": "minLength",
    "maxLength": "maxLength",
    "minItems": "minItems",
    "maxItems": "maxItems",
    "minProperties": "minProperties",
    "maxProperties": "maxProperties",
    "pattern": "pattern",
}
_MEDIA = re.compile(r"\^(https|runway|data)\b(?::(\w+))?")
_TYPES_OF_VALUES = {str: "string", bool: "boolean", int: "integer", float: "number", Number: "number"}


def kind_of_form(form: Schema) -> str:
    """object, array, or "" for a value without anything inside."""
    kind = form.get("type")
    if kind == "object" or (kind is None and ("properties" in form or "additionalProperties" in form)):
        return "object"
    return "array" if kind == "array" or (kind is None and "items" in form) else ""


def type_of_form(form: Schema) -> str:
    """The type's name for a reader: its format where it has one, "any" where nothing is said."""
    kind = kind_of_form(form) or form.get("type")
    if kind == "string" and isinstance(form.get("format"), str):
        return str(form["format"])
    if kind is None:
        values = values_of_form(form)
        return _TYPES_OF_VALUES.get(type(values[0]) if values else object, "any")
    return str(kind)


def scheme_of_form(form: Schema) -> str:
    """What kind of URI a string has to be: https, runway, data:image…; "" where nothing says so."""
    pattern = form.get("pattern")
    match = _MEDIA.match(pattern) if isinstance(pattern, str) else None
    return ":".join(filter(None, match.groups())) if match else ""


def values_of_form(form: Schema) -> list[Any] | None:
    """The allowed values; None where any is allowed."""
    if "const" in form:
        return [form["const"]]
    return form["enum"] if isinstance(form.get("enum"), list) else None


def limits_of_form(form: Schema) -> dict[str, Any]:
    """The limits that mean something to who fills in the field."""
    found: dict[str, Any] = {}
    for key, name in _LIMITS.items():
        value = form.get(key)
        if isinstance(value, bool):  # 3.0's exclusiveMinimum turns minimum into a bound that is itself outside
            value = found.pop(name.replace("exclusiveM", "m"), None) if value else None
        if value is not None and not _is_noise(form, key, value):
            found[name] = value
    return found


def _is_noise(form: Schema, key: str, value: Any) -> bool:
    """Whether a limit tells nothing that the type, or common sense, has not told."""
    if key == "pattern":
        return bool(scheme_of_form(form)) or "format" in form or len(str(value)) > MAX_PATTERN
    if key == "minLength":
        return bool(scheme_of_form(form))
    return isinstance(value, int) and abs(value) >= LARGEST_LIMIT


def widen(limits: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Lets `limits` allow what `more` allows."""
    for key, value in more.items():
        known = limits.get(key, value)
        comparable = isinstance(value, (int, float)) and isinstance(known, (int, float))
        limits[key] = (min if "min" in key.lower() else max)(known, value) if comparable else value


def limits_by_scheme(schemes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The limits of a URI: a value where all kinds of URI share it, else {kind: value}."""
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for limits in schemes.values() for key in limits):
        values = {scheme: limits[key] for scheme, limits in schemes.items() if key in limits}
        first = next(iter(values.values()))
        is_shared = len(values) == len(schemes) and all(value == first for value in values.values())
        found[key] = first if is_shared else values
    return found


def joined(types: Iterable[str]) -> str:
    """Types as one, each part once, null last: `string` and `string | null` are `string | null`."""
    parts = dict.fromkeys(part for type_ in types for part in _parts(type_))
    return " | ".join(sorted(parts, key=lambda part: part == "null"))


def hashable(value: Any) -> Hashable:
    """A value that can be a key, as it is shown; an array or object becomes its text."""
    return value if isinstance(value, (str, int, float, bool, type(None), Number)) else str(value)


def _parts(type_: str) -> list[str]:
    """The alternatives of a type, not those inside of its parentheses."""
    parts, depth = [""], 0
    for word in type_.split(" | "):
        parts[-1] = f"{parts[-1]} | {word}" if depth else word
        depth += word.count("(") - word.count(")")
        if depth <= 0:
            depth = 0
            parts.append("")
    return [part for part in parts if part]
