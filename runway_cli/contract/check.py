"""Checks a JSON body against the API's contract, before anything is sent. No I/O.

A schema is read as a list of forms without unions. Its type, its text or one of its fields, the discriminator, decides
of which forms a value may be; it is valid if nothing inside it is wrong by one of them. The rules are those of
JSON Schema 2020-12 for the keywords that the API's document uses; any other keyword allows everything.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from itertools import islice

from ..jsontext import Json, dumps
from ..terminal import masking
from .schema import Endpoint, Schema, Schemas, beginning_of, key_of, kind_of, nearest_words, reading, values_of

Path = tuple[Json, ...]  # to a field: names and numbers
Issue = tuple[Path, str]  # and a message
Wanted = list[tuple[str, str]]  # verb and object after "must": ("be", "a string"), ("begin with", "https://")
Show = Callable[[Json], str]

MAX_SHOWN = 60  # characters of a value, and values or names in a message
MAX_ISSUES = 50  # that one check reports at most
UNKNOWN, REQUIRED = "unknown field", "is required"  # beginnings of messages

TYPES = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
SIZES = {"string": ("Length", "character"), "array": ("Items", "item"), "number": ("imum", "")}  # keyword and unit
BOUNDS = (("min", "at least", operator.ge), ("max", "at most", operator.le), ("exclusiveMin", "above", operator.gt))
_DATE = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
TEXT_FORMATS = {  # RFC 9562, 3339 and 3986
    "uuid": ("a UUID", r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "date": ("a date such as 2026-01-31", _DATE),
    "date-time": (
        "a date and time such as 2026-01-31T12:00:00Z",
        _DATE + r"[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[zZ]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    ),
    "uri": ("an absolute URI", r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]*"),
}
# Only patterns of character classes, the last of which may repeat, are checked: they take linear time.
PATTERN = r"\^(?:\[[\w-]+\])+(?:[*+]|\{\d{1,3},\d{1,3}\})?\$"


class Hint(str):
    """A message that suggests the word that may be meant, `near`."""

    near: str

    def __new__(cls, message: str, near: str) -> Hint:
        made = super().__new__(cls, f"{message} {plain(near)}?")
        made.near = near
        return made


def check(
    document: Schema, endpoint: Endpoint, body: Json, show: Show | None = None, *, named_only: bool = False
) -> list[dict[str, Json]]:
    """Returns what is wrong with a JSON body, as [{"field": "a.0.b", "messages": [...]}]; [] for a valid one.

    Where the contract describes no JSON body, any is accepted. `show` turns a refused value into the words of a
    message, by default `abridged`. `named_only` also refuses a field of the body that the contract neither names nor
    forbids: the API would ignore it. Raises ContractError where the body or the contract nests too deeply.
    """
    fields: dict[str, list[str]] = {}
    with reading(document) as schemas:
        forms = schemas.body(endpoint)
        if named_only:
            forms = [{"additionalProperties": False, **form} if form.get("properties") else form for form in forms]
        for path, message in _Checker(schemas, show or abridged).issues({"anyOf": forms}, body):
            fields.setdefault(".".join(map(str, path)), []).append(message)
    return [{"field": field, "messages": messages} for field, messages in fields.items()]


class _Checker:
    def __init__(self, schemas: Schemas, show: Show) -> None:
        self.schemas = schemas
        self.show = show

    def issues(self, schema: Json, value: Json, path: Path = ()) -> list[Issue]:
        """Returns what is wrong with a value, by the form that it selects or is closest to; MAX_ISSUES at most."""
        forms = self.schemas.forms(schema)
        wanted = [self._wanted(form, value) for form in forms]
        fitting = [form for form, words in zip(forms, wanted) if not words]
        if not fitting:
            return [(path, self._other(value, [pair for words in wanted for pair in words]))]
        name, tags = self.schemas.told_apart(fitting) if len(fitting) > 1 and isinstance(value, dict) else ("", [])
        every = [plain(tag) for each in tags for tag in each]
        if name and name not in value:
            required = [form.get("required", ()) for form in fitting]
            common = [key for key in required[0] if key != name and all(key in each for each in required)]
            missing = [((*path, key), self._missing(fitting[0], value, key)) for key in common if key not in value]
            return [((*path, name), f"{REQUIRED}: {_choice(every)}"), *missing]
        if name:
            key = key_of(value[name])
            fitting = [form for form, each in zip(fitting, tags) if key in map(key_of, each)]
            if not fitting:
                return [((*path, name), self._other(value[name], [("be one of", tag) for tag in every]))]
        found = [list(islice(self._inside(form, value, path), MAX_ISSUES)) for form in fitting]
        return min(found, key=lambda issues: [sum(not each[1].startswith(UNKNOWN) for each in issues), len(issues)])

    def _wanted(self, form: Schema, value: Json) -> Wanted:
        """Returns what a value would have to be, if it is not of this form at all; else []."""
        values, wanted, kind = values_of(form), form.get("type"), kind_of(value)
        if values and key_of(value) not in map(key_of, values):
            return [("be one of", plain(allowed)) for allowed in values]
        # 1.0 and 1e3 are integers too (JSON Schema 2020-12, validation 6.1.1).
        is_integer = wanted == "integer" and kind == "number" and float(value).is_integer()
        if wanted in TYPES and wanted != kind and not is_integer:
            return [("be", TYPES[wanted])]
        if kind != "string":
            return []
        name, format_ = TEXT_FORMATS.get(str(form.get("format")), ("", ""))
        if name and not re.fullmatch(format_, value, re.ASCII):
            return [("be", name)]
        begin, pattern = beginning_of(form), str(form.get("pattern", ""))
        if begin:
            return [] if value.startswith(begin) else [("begin with", begin)]
        is_checked = re.fullmatch(PATTERN, pattern, re.ASCII)
        return [("match", plain(pattern))] if is_checked and not re.fullmatch(pattern, value, re.ASCII) else []

    def _inside(self, form: Schema, value: Json, path: Path) -> Iterator[Issue]:
        """Yields what is wrong with a value of this form: its size, and what is inside it."""
        keyword, unit = SIZES.get(kind_of(value), ("", ""))
        size = len(value) if unit else value
        for key, words, holds in BOUNDS if keyword else ():
            limit: Json = form.get(key + keyword)
            if kind_of(limit) == "number" and not holds(float(size), float(limit)):
                units = unit and f" {unit}{'' if limit == 1 else 's'}"
                yield path, f"must {'have' if unit else 'be'} {words} {plain(limit)}{units}, not {self.show(size)}"
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.issues(form.get("items"), item, (*path, index))
        elif isinstance(value, dict):
            properties, free = form.get("properties", {}), form.get("additionalProperties")
            for name in form.get("required", ()):
                if name not in value:
                    yield (*path, name), self._missing(form, value, name)
            for name, item in value.items():
                for _, message in self.issues(form.get("propertyNames"), name):
                    yield (*path, name), f"the name {message}"
                if name in properties or free is not False:
                    yield from self.issues(properties.get(name, free), item, (*path, name))
                elif near := nearest_words(name, (word for word in properties if word not in value)):
                    yield (*path, name), Hint(f"{UNKNOWN}; did you mean", near[0])
                else:
                    known = f"use {_choice(list(map(plain, properties)))}" if properties else "none is allowed here"
                    yield (*path, name), f"{UNKNOWN}: {known}"

    def _missing(self, form: Schema, value: dict[str, Json], name: str) -> str:
        """Returns the message for a missing field, with the unknown field that may be meant, or its allowed values."""
        properties = form.get("properties", {})
        if near := nearest_words(name, (word for word in value if word not in properties)):
            return Hint(f"{REQUIRED}; did you misspell it as", near[0])
        values = self.schemas.values(properties.get(name))
        return f"{REQUIRED}: {_choice(list(map(plain, values)))}" if values else REQUIRED

    def _other(self, value: Json, wanted: Wanted) -> str:
        """Returns the message for a value that is of none of the forms."""
        grouped: dict[str, list[str]] = {}
        for verb, words in dict.fromkeys(wanted):
            grouped.setdefault(verb, []).append(words)
        one_of = grouped.pop("be one of", [])
        phrases = [f"be {_choice(one_of)}"] if one_of else []
        phrases += [f"{verb} {' or '.join(words)}" for verb, words in grouped.items()]
        near = nearest_words(value, one_of) if isinstance(value, str) and len(one_of) > 1 else ()
        message = f"must {' or '.join(phrases)}, not {self.show(value)}"
        return Hint(f"{message}; did you mean", near[0]) if near else message


def abridged(value: Json) -> str:
    """Returns a value for a message: MAX_SHOWN characters at most, without what is inside arrays and objects."""
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    return dumps(_cut(masking.text(value))) if isinstance(value, str) else _cut(dumps(value))


def plain(value: Json) -> str:
    """Returns an allowed value for a message: a string without quotes where it can be read so."""
    if isinstance(value, str) and value and value.isprintable() and value == value.strip() and ", " not in value:
        return _cut(value)
    return abridged(value)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _choice(words: list[str]) -> str:
    """Returns `a`, or `one of a, b, c`, cut after MAX_SHOWN."""
    rest = f", … ({len(words) - MAX_SHOWN} more)" if len(words) > MAX_SHOWN else ""
    return words[0] if len(words) == 1 else f"one of {', '.join(words[:MAX_SHOWN])}{rest}"
