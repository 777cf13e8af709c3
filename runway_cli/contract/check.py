"""Checks a JSON body against the API's contract, before anything is sent. No I/O.

A schema is read as a list of forms without unions. A value may be of those forms that allow its type, its text, or one
of its fields, the discriminator; it is valid where nothing inside it is wrong by one of them. The rules are those of
JSON Schema 2020-12 for the keywords that the API's document uses; any other keyword allows everything.
"""

from __future__ import annotations

import operator
import re
from itertools import islice

from .. import jsontext
from ..terminal import masking
from .schema import as_list, beginning_of, key_of, kind_of, nearest_words, properties_of, reading, values_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Union

    from .schema import Endpoint, Schema, Schemas

    Issue = tuple[tuple[Union[str, int], ...], str]  # the path to a field, from where the check began, and a message
    Wanted = list[tuple[str, str]]  # what a value should do, such as ("be", "a string") or ("begin with", "https://")
    Show = Callable[[Any], str]

MAX_SHOWN = 60  # characters of a value
MAX_LISTED = 60  # allowed values, or known fields, in a message
MAX_ISSUES = 50  # that one check reports
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
BOUNDS = (
    ("min", "at least", operator.ge),
    ("max", "at most", operator.le),
    ("exclusiveMin", "greater than", operator.gt),
)
_DATE = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
FORMATS = {  # RFC 9562, 3339 and 3986
    "uuid": ("a UUID", r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "date": ("a date such as 2026-01-31", _DATE),
    "date-time": (
        "a date and time such as 2026-01-31T12:00:00Z",
        _DATE + r"[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[zZ]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    ),
    "uri": ("an absolute URI", r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]*"),
}


class Hint(str):
    """A message that names the word that may be meant, `near`: a "value", a "field", or what a "missing" one is."""

    about: str
    near: str

    def __new__(cls, about: str, message: str, near: str) -> Hint:
        made = super().__new__(cls, f"{message} {plain(near)}?")
        made.about, made.near = about, near
        return made


def check(document: Schema, endpoint: Endpoint, body: Any, show: Show | None = None) -> list[dict[str, Any]]:
    """Returns what is wrong with a JSON body, as [{"field": "a.0.b", "messages": [...]}]; [] for a valid one.

    Where the contract describes no JSON body, any is accepted. `show` turns a refused value into the words of a
    message; `shown` without it. Raises ContractError, a ValueError, where the body or the contract nests too deeply.
    """
    fields: dict[str, list[str]] = {}
    with reading(document) as schemas:
        schema = schemas.content(endpoint.operation.get("requestBody"))
        for path, message in _Checker(schemas, show or shown).issues(schema, body):
            fields.setdefault(".".join(map(str, path)), []).append(message)
    return [{"field": field, "messages": messages} for field, messages in fields.items()]


def unnamed(document: Schema, endpoint: Endpoint, body: Any) -> dict[str, str]:
    """Returns the fields of a body, quoted, that no form of the contract names, although it may allow them.

    They are mostly mistyped: with each comes the most similar name, or "".
    """
    with reading(document) as schemas:
        forms = schemas.forms(schemas.content(endpoint.operation.get("requestBody")))
    named = {name for form in forms for name in properties_of(form)}
    describes_others = any(isinstance(form.get("additionalProperties"), dict) for form in forms)
    if not named or describes_others or not isinstance(body, dict):
        return {}
    return {repr(name): "".join(nearest_words(name, named.difference(body))[:1]) for name in body if name not in named}


class _Checker:
    def __init__(self, schemas: Schemas, show: Show) -> None:
        self.schemas = schemas
        self.show = show

    def issues(self, schema: Any, value: Any) -> list[Issue]:
        """Returns what is wrong with a value by the form that it selects, or else resembles; MAX_ISSUES at most."""
        forms = self.schemas.forms(schema)
        wanted = [self._wanted(form, value) for form in forms]
        fitting = [form for form, words in zip(forms, wanted) if not words]
        if not fitting:
            return [((), self._other(value, [pair for words in wanted for pair in words]))]
        if len(fitting) > 1 and isinstance(value, dict):
            name, tags = self.schemas.told_apart(fitting)
            every = [tag for each in tags for tag in each]
            if name and name not in value:
                names = dict.fromkeys(key for form in fitting for key in properties_of(form))
                needed = [as_list(form.get("required")) for form in fitting]
                rest = [key for key in needed[0] if key not in (name, *value) and all(key in each for each in needed)]
                choice = f"{REQUIRED}: {_choice(list(map(plain, every)))}"
                return [((name,), choice), *(((key,), self._missing(names, value, key)) for key in rest)]
            if name:
                key = key_of(value[name])
                fitting = [form for form, each in zip(fitting, tags) if key in map(key_of, each)]
                if not fitting:
                    return [((name,), self._other(value[name], [("be one of", plain(tag)) for tag in every]))]
        found = [list(dict.fromkeys(islice(self._inside(form, value), MAX_ISSUES))) for form in fitting]
        return min(found, key=lambda issues: [sum(not each[1].startswith(UNKNOWN) for each in issues), len(issues)])

    def _wanted(self, form: Schema, value: Any) -> Wanted:
        """Returns what a value would have to be, where it is altogether another than the form wants; else []."""
        values, kind, pattern = values_of(form), form.get("type"), str(form.get("pattern", ""))
        if values and key_of(value) not in map(key_of, values):
            return [("be one of", plain(allowed)) for allowed in values]
        if kind in TYPES and not _is_of_type(value, kind):
            return [("be", TYPES[kind])]
        if not isinstance(value, str):
            return []
        name, format_ = FORMATS.get(str(form.get("format")), ("", ""))
        if name and not re.fullmatch(format_, value, re.ASCII):
            return [("be", name)]
        begin = beginning_of(form)
        if begin:
            return [] if value.startswith(begin) else [("begin with", begin)]
        return [("match", plain(pattern))] if pattern and not matches(pattern, value) else []

    def _inside(self, form: Schema, value: Any) -> Iterator[Issue]:
        """Yields what is wrong with a value of this form: its size, and what is inside it."""
        if isinstance(value, str):
            yield from _outside(form, "Length", len(value), str(len(value)), "character")
        elif isinstance(value, list):
            yield from _outside(form, "Items", len(value), str(len(value)), "item")
            for index, item in enumerate(value):
                yield from self._below(index, form.get("items"), item)
        elif isinstance(value, dict):
            yield from self._object_issues(form, value)
        elif kind_of(value) == "number":
            yield from _outside(form, "imum", float(value), self.show(value))

    def _object_issues(self, form: Schema, value: dict[str, Any]) -> Iterator[Issue]:
        properties = properties_of(form)
        for name in as_list(form.get("required")):
            if name not in value:
                yield (name,), self._missing(properties, value, name)
        names, free = form.get("propertyNames", {}), form.get("additionalProperties", {})
        for name, item in value.items():
            for _, message in self.issues(names, name):
                yield (name,), f"the name {message}"
            if name in properties or free is not False:
                yield from self._below(name, properties.get(name, free), item)
            else:
                yield (name,), _unknown(name, properties, value)

    def _below(self, step: str | int, schema: Any, value: Any) -> Iterator[Issue]:
        return (((step, *path), message) for path, message in self.issues(schema, value))

    def _missing(self, properties: Schema, value: dict[str, Any], name: str) -> str:
        """Returns the message for a missing field, with the unknown field that may be meant, or its allowed values."""
        near = nearest_words(name, (word for word in value if word not in properties))
        if near:
            return Hint("missing", f"{REQUIRED}; did you misspell it as", near[0])
        values = self.schemas.values(properties.get(name))
        return f"{REQUIRED}: {_choice(list(map(plain, values)))}" if values else REQUIRED

    def _other(self, value: Any, wanted: Wanted) -> str:
        """Returns the message for a value that is another than each of its forms wants."""
        grouped: dict[str, list[str]] = {}
        for verb, words in dict.fromkeys(wanted):
            grouped.setdefault(verb, []).append(words)
        one_of = grouped.pop("be one of", [])
        phrases = [f"be {_choice(one_of)}"] if one_of else []
        for verb, (*first, last) in grouped.items():
            phrases.append(f"{verb} {', '.join(first)} or {last}" if first else f"{verb} {last}")
        near = nearest_words(value, one_of) if isinstance(value, str) and len(one_of) > 1 else ()
        message = f"must {' or '.join(phrases)}, not {self.show(value)}"
        return Hint("value", f"{message}; did you mean", near[0]) if near else message


def _is_of_type(value: Any, wanted: str) -> bool:
    if wanted == "integer":  # 1.0 and 1e3 are integers too (JSON Schema 2020-12, validation 6.1.1)
        return kind_of(value) == "number" and float(value).is_integer()
    return kind_of(value) == wanted


def _outside(form: Schema, keyword: str, size: float, shown_size: str, noun: str = "") -> Iterator[Issue]:
    """Yields what is wrong with a number, or with a length in characters (code points) or items."""
    for key, words, holds in BOUNDS:
        limit: Any = form.get(key + keyword)
        if kind_of(limit) == "number" and not holds(size, float(limit)):
            unit = noun and f" {noun}{'' if limit == 1 else 's'}"
            yield (), f"must {'have' if noun else 'be'} {words} {plain(limit)}{unit}, not {shown_size}"


def _unknown(name: str, known: Schema, value: dict[str, Any]) -> str:
    near = nearest_words(name, (word for word in known if word not in value))
    if near:
        return Hint("field", f"{UNKNOWN}; did you mean", near[0])
    names = _listed(list(map(plain, known)))
    return f"{UNKNOWN}; the known ones are {names}" if names else f"{UNKNOWN}: none is allowed here"


# Of the ECMAScript patterns in a contract only those are checked that take no longer than the text is long: literal
# characters and classes, with one part that may vary in length, or a group of alternatives of fixed length.
_ATOM = r"(?:[\w :@/-]|\\[dws./:-]|\[\^?[\w ./:-]+\])"
_FIXED = rf"{_ATOM}(?:\{{\d{{1,3}}\}})?"
_VARYING = rf"{_ATOM}(?:[*+?]|\{{\d{{1,3}},\d{{0,3}}\}})"
_PLAIN = rf"\^(?:(?:{_FIXED})*(?:{_VARYING})?(?:{_FIXED})*|\((?:{_FIXED})+(?:\|(?:{_FIXED})+)*\))\$"


def matches(pattern: str, text: str) -> bool:
    """Returns whether a text matches a pattern of the contract; True for a kind of pattern that is not checked."""
    try:
        return not re.fullmatch(_PLAIN, pattern, re.ASCII) or bool(re.fullmatch(pattern[1:-1], text, re.ASCII))
    except re.error:  # such as [z-a]
        return True


def shown(value: Any) -> str:
    """Returns a value for a message: MAX_SHOWN characters at most, without what is inside arrays and objects."""
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    return jsontext.dumps(_cut(masking.text(value))) if isinstance(value, str) else _cut(jsontext.dumps(value))


def plain(value: Any) -> str:
    """Returns an allowed value for a message: a string without quotes where it can be read so."""
    if isinstance(value, str) and value and value.isprintable() and value == value.strip() and ", " not in value:
        return _cut(value)
    return shown(value)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _choice(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"one of {_listed(words)}"


def _listed(words: list[str]) -> str:
    """Returns `a, b, c`, cut after MAX_LISTED."""
    rest = f", … ({len(words) - MAX_LISTED} more)" if len(words) > MAX_LISTED else ""
    return ", ".join(words[:MAX_LISTED]) + rest
