"""Checks a JSON body against the API's contract, before anything is sent. No I/O.

A schema is read as a list of forms without unions, and a value is valid where it fits one of them. The rules are those
of JSON Schema 2020-12 for the keywords that the API's document uses; any other keyword allows everything.
"""

from __future__ import annotations

import operator
import re

from .. import jsontext
from ..jsontext import Number
from ..terminal.masking import readable_size
from .schema import (
    MAX_FORMS,
    Schemas,
    as_list,
    bounded_depth,
    key_of,
    kind_of,
    nearest_words,
    properties_of,
    values_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator
    from typing import Any, Union

    from .schema import Endpoint, Schema

    Path = tuple[Union[str, int], ...]
    Allowed = tuple[tuple[str, str], ...]
    Show = Callable[[Any], str]

MAX_SHOWN = 60  # characters of a value
MAX_VALUES = 60  # allowed values that a message lists
MAX_NAMES = 20  # known fields that a message lists
MAX_ISSUES = 50  # that one check reports

NO_BODY: Any = type("NoBody", (), {"__repr__": lambda _: "NO_BODY"})()  # in place of a body: the request has none

TYPES = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
NOT_READ = ("nullable", "patternProperties", "prefixItems")  # which allow what the rules below would refuse
LIMITS = (
    ("minimum", "at least", operator.ge),
    ("maximum", "at most", operator.le),
    ("exclusiveMinimum", "greater than", operator.gt),
    ("exclusiveMaximum", "less than", operator.lt),
)
FORMATS = {
    "uuid": "a UUID",
    "date": "a date such as 2026-01-31",
    "uri": "an absolute URI",
    "date-time": "a date and time such as 2026-01-31T12:00:00Z",
}


def check(document: Schema, endpoint: Endpoint, body: Any, show: Show | None = None) -> list[dict[str, Any]]:
    """Returns what is wrong with a JSON body, as [{"field": "a.0.b", "messages": [...]}]; [] for a valid one.

    NO_BODY stands for a request without a body. Where the contract describes no JSON body, any is accepted. `show`
    turns a refused value into the words of a message; `shown` without it. Raises ContractError, a ValueError, where the
    body or the contract nests too deeply.
    """
    schemas = Schemas(document)
    with bounded_depth():
        holder = schemas.plain(endpoint.operation.get("requestBody"))
        kind, schema = schemas.content(holder)
        if body is NO_BODY:
            if holder.get("required") is True:
                return [{"field": "", "messages": ["a body is required"]}]
            body = {}  # Runway's document never says that a body is required: its fields do
    return check_schema(document, schema, body, show) if "json" in kind else []


def check_schema(document: Schema, schema: Any, value: Any, show: Show | None = None) -> list[dict[str, Any]]:
    """Returns what is wrong with a value by a schema of the document, in the form of `check`. Raises as it does."""
    with bounded_depth():
        issues = _Checker(document, show or shown).issues(schema, value)
    fields: dict[str, list[str]] = {}
    for issue in issues:
        fields.setdefault(".".join(map(str, issue.path)), []).append(issue.message)
    return [{"field": field, "messages": messages} for field, messages in fields.items()]


def unnamed(document: Schema, endpoint: Endpoint, body: Any) -> list[str]:
    """Returns the fields of a body that no form of the contract names, although it may allow them: mostly mistyped."""
    schemas = Schemas(document)
    with bounded_depth():
        _, schema = schemas.content(endpoint.operation.get("requestBody"))
        forms = schemas.forms(schema)
    describes_others = any(isinstance(form.get("additionalProperties"), dict) for form in forms)
    if schema is None or describes_others or not isinstance(body, dict):
        return []
    named = {name for form in forms for name in properties_of(form)}
    return [name for name in body if name not in named]


class Issue:
    """One finding.

    `path` leads to the field from where the check began. `allowed` is not empty where the value is altogether another
    than the schema wants: pairs of a verb ("be", "be one of", "begin with", "match") and an object for it.
    """

    __slots__ = ("allowed", "message", "path")

    def __init__(self, path: Path, message: str, allowed: Allowed = ()) -> None:
        self.path = path
        self.message = message
        self.allowed = allowed

    def below(self, step: str | int) -> Issue:
        """Returns the same issue, seen from the value that holds this one."""
        return Issue((step, *self.path), self.message, self.allowed)


class _Checker:
    """One check. What it has found of a form and a value is kept by their identity: unions inside unions stay quick."""

    def __init__(self, document: Schema, show: Show) -> None:
        self.schemas = Schemas(document)
        self.show = show
        self._found: dict[tuple[int, int], tuple[Issue, ...]] = {}
        self._allowed: dict[int, tuple[set[Hashable], Allowed]] = {}

    def issues(self, schema: Any, value: Any) -> tuple[Issue, ...]:
        """Returns what is wrong with a value; MAX_ISSUES at most."""
        forms = self.schemas.forms(schema)
        if len(forms) >= MAX_FORMS:  # it may fit one that was left out
            return ()
        results = []
        for form in forms:
            key = id(form), id(value)
            if key not in self._found:
                self._found[key] = _distinct(self._of_form(form, value))
            if not self._found[key]:
                return ()
            results.append(self._found[key])
        if len(forms) < 2:
            return results[0] if results else ()
        return self._of_union(self.schemas.plain(schema).get("discriminator"), forms, value, results)

    def _of_form(self, form: Schema, value: Any) -> Iterator[Issue]:
        if any(keyword in form for keyword in NOT_READ):
            return
        values = values_of(form)
        if values is not None:
            if id(form) not in self._allowed:
                self._allowed[id(form)] = set(map(key_of, values)), _one_of(values)
            keys, allowed = self._allowed[id(form)]
            if key_of(value) not in keys:
                yield self._other(value, allowed)
                return
        wanted = form.get("type")
        if isinstance(wanted, str) and wanted in TYPES and not _is_of_type(value, wanted):
            yield self._other(value, (("be", TYPES[wanted]),))
        elif isinstance(value, str):
            yield from _size_issues(form, "Length", len(value), "character")
            yield from self._of_text(form, value)
        elif isinstance(value, list):
            yield from _size_issues(form, "Items", len(value), "item")
            for index, item in enumerate(value if "items" in form else ()):
                yield from _below(index, self.issues(form["items"], item))
        elif isinstance(value, dict):
            yield from self._of_object(form, value)
        elif kind_of(value) == "number":
            for keyword, words, holds in LIMITS:
                limit = _number(form.get(keyword))
                if limit is not None and not holds(_number(value), limit):
                    yield Issue((), f"must be {words} {plain(form[keyword])}, not {self.show(value)}")

    def _of_text(self, form: Schema, text: str) -> Iterator[Issue]:
        pattern = form.get("pattern")
        if not has_format(text, form.get("format")):
            yield self._other(text, (("be", FORMATS[form["format"]]),))
        elif isinstance(pattern, str) and not matches(pattern, text):
            begin = beginning_of(pattern)
            yield self._other(text, (("begin with", begin) if begin else ("match", plain(pattern)),))

    def _of_object(self, form: Schema, value: dict[str, Any]) -> Iterator[Issue]:
        properties = properties_of(form)
        for name in as_list(form.get("required")):
            if isinstance(name, str) and name not in value:
                yield Issue((name,), "is required" + self._hint(properties, value, name))
        names, free = form.get("propertyNames", {}), form.get("additionalProperties", {})
        for name, item in value.items():
            for issue in self.issues(names, name):
                yield Issue((name,), f"the name {issue.message}")
            if name in properties:
                yield from _below(name, self.issues(properties[name], item))
            elif free is False:
                yield Issue((name,), _unknown(name, properties, value))
            else:
                yield from _below(name, self.issues(free, item))

    def _hint(self, properties: Schema, value: dict[str, Any], name: str) -> str:
        """Returns what helps to fill in a missing field: the unknown field that may be meant, or its allowed values."""
        near = nearest_words(name, (word for word in value if word not in properties))
        if near:
            return f"; did you misspell it as {plain(near[0])}?"
        values = self.schemas.values(properties.get(name))
        return f": {_choice(list(map(plain, values)))}" if values else ""

    def _of_union(
        self, discriminator: Any, forms: list[Schema], value: Any, results: list[tuple[Issue, ...]]
    ) -> tuple[Issue, ...]:
        """Returns what is wrong by the form that the value selects, or else by the one that it resembles."""
        fitting = [number for number, issues in enumerate(results) if not _is_other(issues)]
        if isinstance(value, dict) and fitting:
            name, tags = self.schemas.told_apart([forms[number] for number in fitting], discriminator)
            every = [tag for each in tags for tag in each]
            if name and name not in value:
                return (Issue((name,), f"is required: {_choice(list(map(plain, every)))}"),)
            if name:
                key = key_of(value[name])
                results = [results[number] for number, each in zip(fitting, tags) if key in set(map(key_of, each))]
                if not results:
                    return (self._other(value[name], _one_of(every)).below(name),)
        of_type = [issues for issues in results if not _is_other(issues)]
        if of_type:
            return min(of_type, key=len)
        allowed = dict.fromkeys(pair for issues in results for issue in issues for pair in issue.allowed)
        return (self._other(value, tuple(allowed)),)

    def _other(self, value: Any, allowed: Allowed) -> Issue:
        """Returns the issue of a value that is another than what is allowed."""
        grouped: dict[str, dict[str, None]] = {}
        for verb, what in allowed:
            grouped.setdefault(verb, {})[what] = None
        one_of = list(grouped.pop("be one of", ()))
        phrases = [f"be {_choice(one_of)}"] if one_of else []
        for verb in ("be", "begin with", "match"):
            words = list(grouped.get(verb, ()))[:MAX_VALUES]
            if words:
                phrases.append(f"{verb} " + " or ".join(filter(None, (", ".join(words[:-1]), words[-1]))))
        near = nearest_words(value, one_of) if isinstance(value, str) and len(one_of) > 1 else ()
        hint = f"; did you mean {near[0]}?" if near else ""
        return Issue((), f"must {' or '.join(phrases)}, not {self.show(value)}{hint}", allowed)


def _distinct(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """Returns the first MAX_ISSUES issues, each once."""
    found: dict[tuple[Path, str], Issue] = {}
    for issue in issues:
        found.setdefault((issue.path, issue.message), issue)
        if len(found) >= MAX_ISSUES:
            break
    return tuple(found.values())


def _below(step: str | int, issues: tuple[Issue, ...]) -> Iterator[Issue]:
    return (issue.below(step) for issue in issues)


def _is_other(issues: tuple[Issue, ...]) -> bool:
    """Whether the value itself, not only something inside it, is another than a form allows."""
    return any(issue.allowed and not issue.path for issue in issues)


def _is_of_type(value: Any, wanted: str) -> bool:
    if wanted == "integer":  # 1.0 and 1e3 are integers too (JSON Schema 2020-12, validation 6.1.1)
        return kind_of(value) == "number" and (isinstance(value, int) or float(value).is_integer())
    return kind_of(value) == wanted


def _number(value: Any) -> Any:
    """Returns a JSON number as an int or a float; None for anything else."""
    if kind_of(value) != "number":
        return None
    return float(value) if isinstance(value, Number) else value


def _size_issues(form: Schema, keyword: str, size: int, noun: str) -> Iterator[Issue]:
    """Yields what is wrong with a length, in characters (code points) or items."""
    for key, words, holds in (("min", "at least", operator.ge), ("max", "at most", operator.le)):
        limit = _number(form.get(key + keyword))
        if limit is not None and not holds(size, limit):
            counted = f"{plain(limit)} {noun}" + ("" if limit == 1 else "s")
            yield Issue((), f"must have {words} {counted}, not {size}")


def _unknown(name: str, known: Schema, value: dict[str, Any]) -> str:
    near = nearest_words(name, (word for word in known if word not in value))
    if near:
        return f"unknown field; did you mean {near[0]}?"
    names = _listed(list(map(plain, known)), MAX_NAMES)
    return f"unknown field; the known ones are {names}" if names else "unknown field: none is allowed here"


# -- Formats and patterns

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?(?:[zZ]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NOT_IN_URI = re.compile(r"[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]|%(?![0-9A-Fa-f]{2})")


def has_format(text: str, name: Any) -> bool:
    """Whether a text is a uuid (RFC 9562), date, date-time (RFC 3339) or uri (RFC 3986). Any other format: True."""
    if name == "uuid":
        return _UUID.fullmatch(text) is not None
    if name == "date":
        return _is_date(text)
    if name == "date-time":
        return _is_date(text[:10]) and text[10:11] in ("T", "t", " ") and _TIME.fullmatch(text, 11) is not None
    if name == "uri":
        return _SCHEME.match(text) is not None and _NOT_IN_URI.search(text) is None
    return True


def _is_date(text: str) -> bool:
    from datetime import date

    try:
        return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:  # 2026-02-30
        return False


# Of the ECMAScript patterns in a contract only those are checked that take no longer than the text is long: literal
# characters and classes, with one part that may vary in length, or a group of alternatives of fixed length.
_ATOM = r"(?:[\w :@/-]|\\[dws./:-]|\[\^?[\w ./:-]+\])"
_FIXED = rf"{_ATOM}(?:\{{\d{{1,3}}\}})?"
_VARYING = rf"{_ATOM}(?:[*+?]|\{{\d{{1,3}},\d{{0,3}}\}})"
_PLAIN = re.compile(
    rf"\^(?:(?:{_FIXED})*(?:{_VARYING})?(?:{_FIXED})*|\((?:{_FIXED})+(?:\|(?:{_FIXED})+)*\))\$", re.ASCII
)


def matches(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern of the contract; True where the pattern is of a kind that is not checked."""
    begin = beginning_of(pattern)
    if begin:
        return text.startswith(begin)
    if len(pattern) > 500 or _PLAIN.fullmatch(pattern) is None:
        return True
    try:
        return re.fullmatch(pattern[1:-1], text, re.ASCII) is not None
    except re.error:  # such as [z-a]
        return True


def beginning_of(pattern: str) -> str:
    r"""Returns the text that a pattern such as `^https:\/\/.*` wants at the beginning; "" for another pattern."""
    found = re.fullmatch(r"\^((?:[\w:-]|\\?/)+)\.\*\$?", pattern, re.ASCII)
    return found[1].replace("\\/", "/") if found else ""


# -- Values in messages


def shown(value: Any) -> str:
    """Returns a value for a message: MAX_SHOWN characters at most, without what is inside arrays and objects."""
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    if not isinstance(value, str):
        return _cut(jsontext.dumps(value))
    head, comma, content = value.partition(",")
    if len(value) > MAX_SHOWN and value.startswith("data:") and comma and len(head) <= MAX_SHOWN:
        size = len(content) * 3 // 4 if head.endswith(";base64") else len(content)
        return jsontext.dumps(f"{head},… ({readable_size(size)})")
    return jsontext.dumps(_cut(value))


def plain(value: Any) -> str:
    """Returns an allowed value for a message: a string without quotes where it can be read so."""
    if isinstance(value, str) and value and value.isprintable() and value == value.strip() and ", " not in value:
        return _cut(value)
    return shown(value)


def _one_of(values: Iterable[Any]) -> Allowed:
    return tuple(("be one of", plain(value)) for value in values)


def _choice(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"one of {_listed(words, MAX_VALUES)}"


def _listed(words: list[str], most: int) -> str:
    """Returns `a, b, c`, cut after so many."""
    rest = f", … ({len(words) - most} more)" if len(words) > most else ""
    return ", ".join(words[:most]) + rest


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
