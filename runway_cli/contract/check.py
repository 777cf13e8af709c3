"""JSON values as a schema sees them: exact numbers, equality, and a short form for messages."""

from __future__ import annotations

import re

from .. import jsontext
from ..jsontext import Number
from .schema import Schemas, as_list, content_of, deep_nesting_as_value_error, pointed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from decimal import Decimal
    from typing import Any, Union

    Exact = Union[int, Decimal]
    from collections.abc import Callable, Iterable

    Path = tuple[Union[str, int], ...]
    Allowed = tuple[tuple[str, str], ...]
    from collections.abc import Iterator
    from typing import Protocol

    from .schema import Schema

    class Checker(Protocol):
        """What rules need of the check that they are part of."""

        patterns: Patterns
        variants: Variants
        show: Callable[[Any], str]

        def issues(self, schema: Any, value: Any) -> tuple[Issue, ...]: ...

    Rule = Callable[[Checker, Schema, Any, Any], Iterator["Issue"]]
    from .schema import Endpoint, Schema

    Show = Callable[[Any], str]


MAX_SHOWN = 60  # characters of a value
_KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    Number: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def kind_of(value: Any) -> str:
    """The JSON type of a value: null, boolean, number, string, array or object; "" for anything else."""
    return _KINDS.get(type(value), "")


def exact(value: Any) -> Exact | None:
    """A number as an int or a Decimal, nothing rounded; None for what is not a number."""
    if type(value) is int:
        return value
    if not isinstance(value, (float, Number)):
        return None
    from decimal import Decimal, InvalidOperation  # only for numbers that are not plain integers

    try:
        return Decimal(repr(value))
    except InvalidOperation:  # an exponent of 19 digits
        sign = "-" if repr(value).startswith("-") else ""
        return Decimal(f"{sign}1e-999999" if "e-" in repr(value).lower() else f"{sign}Infinity")


def is_integer(number: Exact) -> bool:
    """Whether a number has no fraction: 1.0 and 1e3 have none (JSON Schema 2020-12, validation 6.1.1)."""
    return isinstance(number, int) or bool(number == number.to_integral_value())


def is_multiple(number: Exact, divisor: Exact) -> bool:
    """Whether a number is a whole multiple of another, in decimal digits: 0.3 is one of 0.1."""
    value, exponent = _split(number)
    unit, unit_exponent = _split(divisor)
    if unit == 0:
        return True
    shift = exponent - unit_exponent
    if shift >= 0:
        return value * pow(10, shift, abs(unit)) % unit == 0
    if value == 0 or -shift > value.bit_length():  # fewer digits than the divisor has zeros
        return value == 0
    zeros: int = 10**-shift
    return value % (unit * zeros) == 0


def key_of(value: Any) -> Hashable:
    """What two values have in common if and only if JSON Schema calls them equal: 1 and 1.0, but not 1 and true."""
    number = exact(value)
    if number is not None:
        return ("number", number)
    if isinstance(value, list):
        return ("array", tuple(map(key_of, value)))
    if isinstance(value, dict):
        return ("object", frozenset((name, key_of(item)) for name, item in value.items()))
    return (kind_of(value), value)


def shown(value: Any) -> str:
    """A value in a message: at most MAX_SHOWN characters, without what is inside of arrays and objects."""
    if isinstance(value, str):
        return _shown_text(value)
    if isinstance(value, list):
        return f"an array of {len(value)}"
    return "an object" if isinstance(value, dict) else _cut(jsontext.dumps(value))


def plain(value: Any) -> str:
    """An allowed value in a message: strings without quotes where they can be read so."""
    if isinstance(value, str) and value and value.isprintable() and value == value.strip() and ", " not in value:
        return _cut(value)
    return shown(value)


def _shown_text(text: str) -> str:
    if text.startswith("data:") and len(text) > MAX_SHOWN:
        head, comma, content = text.partition(",")
        size = len(content) * 3 // 4 if head.endswith(";base64") else len(content)
        if comma and len(head) <= MAX_SHOWN:
            return jsontext.dumps(f"{head},… ({readable_size(size)})")
    return jsontext.dumps(_cut(text))


def readable_size(size: float) -> str:
    """Bytes as a person reads them: 999 B, 1.2 MB."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95 or unit == "GB":
            break
    return f"{size:.1f} {unit}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _split(number: Exact) -> tuple[int, int]:
    """A number's digits and its power of ten."""
    if isinstance(number, int):
        return number, 0
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):  # infinite
        return 0, 0
    from decimal import Decimal

    return int(Decimal((sign, digits, 0))), exponent


# --- What a check finds: where, what is wrong, and what would be allowed; and how the findings of a union become one.


MAX_VALUES = 60  # allowed values that a message lists
MAX_ISSUES = 50  # that one check reports
MAX_NAMES = 20  # known fields that a message lists
MAX_COMPARED = 500  # words that are searched for the one nearest to a mistyped word

TYPES = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


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
        """The same issue, seen from the value that holds this one."""
        return Issue((step, *self.path), self.message, self.allowed)


def other(value: Any, allowed: Allowed, show: Callable[[Any], str] = shown) -> Issue:
    """The issue of a value that is another than what is allowed."""
    grouped: dict[str, dict[str, None]] = {}
    for verb, what in allowed:
        grouped.setdefault(verb, {})[what] = None
    phrases = []
    for verb in ("be one of", "be", "begin with", "match"):
        words = list(grouped.get(verb, ()))
        if verb == "be one of" and words:
            phrases.append(f"be {words[0]}" if len(words) == 1 else f"be one of {listed(words, MAX_VALUES)}")
        elif words:
            phrases.append(f"{verb} {alternatives(words)}")
    near = nearest(value, grouped["be one of"]) if "be one of" in grouped and isinstance(value, str) else ""
    hint = f"; did you mean {near}?" if near and len(grouped["be one of"]) > 1 else ""
    return Issue((), f"must {' or '.join(phrases)}, not {show(value)}{hint}", allowed)


def values_allowed(values: Iterable[Any]) -> Allowed:
    """What an enumeration allows."""
    return tuple(("be one of", plain(value)) for value in values)


def distinct(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """The first MAX_ISSUES issues, each once."""
    found: dict[tuple[Path, str], Issue] = {}
    for issue in issues:
        found.setdefault((issue.path, issue.message), issue)
        if len(found) >= MAX_ISSUES:
            break
    return tuple(found.values())


def closest(value: Any, results: list[tuple[Issue, ...]], show: Callable[[Any], str] = shown) -> tuple[Issue, ...]:
    """What to report where a value has none of several forms, each with its issues: those of the form it resembles."""
    of_type = [issues for issues in results if not is_other(issues)]
    if of_type:
        return min(of_type, key=len)
    allowed = dict.fromkeys(pair for issues in results for issue in issues for pair in issue.allowed)
    return (other(value, tuple(allowed), show),)


def is_other(issues: tuple[Issue, ...]) -> bool:
    """Whether the value itself, not only something inside it, is another than a form allows."""
    return any(issue.allowed and not issue.path for issue in issues)


def beginning_of(pattern: str) -> str:
    """The text that a pattern such as `^https:\\/\\/.*` wants at the beginning; "" for another pattern."""
    if not pattern.startswith("^") or not pattern.endswith(".*"):
        return ""
    text = pattern[1:-2].replace("\\/", "/")
    return text if text and all(char.isalnum() or char in ":/-" for char in text) else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like a mistyped one, "" without one."""
    if len(word) > 60:
        return ""
    import difflib  # only a mistyped word needs it
    from itertools import islice

    found = difflib.get_close_matches(word, list(islice(known, MAX_COMPARED)), 1, 0.6)
    return found[0] if found else ""


def listed(words: list[str], most: int) -> str:
    """`a, b, c`, cut after so many."""
    rest = f", … ({len(words) - most} more)" if len(words) > most else ""
    return ", ".join(words[:most]) + rest


def alternatives(words: list[str]) -> str:
    """`a, b or c`."""
    words = words[:MAX_VALUES]
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


# --- Regular expressions and formats of a document, applied so that no document and no value can make them explode.

# A schema's `pattern` is ECMAScript's, and searched for. `Patterns` translates it to Python's, with ECMAScript's meaning
# of `$`, `.` and `\\d`, and bounds the steps that backtracking can take before a pattern is run: each quantifier and each
# alternative multiplies the ways through it, so that `^[a-z]+$` costs as many steps as the text has characters, and
# `(a+)+$` grows by a power for each character. All patterns of one check may take MAX_STEPS together. A pattern that
# could take more than what is left, or that Python cannot read, is not applied: the text counts as matching.


MAX_STEPS = 20_000_000  # about half a second
MAX_PATTERN = 2_000  # characters; a longer pattern is not applied
MAX_POWER = 64  # repetitions of a group with choices that are counted exactly

FORMATS = {
    "uuid": "a UUID",
    "date": "a date such as 2026-01-31",
    "uri": "an absolute URI",
    "date-time": "a date and time such as 2026-01-31T12:00:00Z",
}

_QUANTIFIER = re.compile(r"(?:([*+?])|\{([0-9]{1,9})(,?)([0-9]{0,9})\})(\??)")
_GROUP = re.compile(r"\((?:\?(?::|=|!|<=|<!|<([A-Za-z_][A-Za-z0-9_]*)>))?")
_CLASS = re.compile(r"\[\^?(?:[^\]\\]|\\.)+\]", re.DOTALL)
_IN_CLASS = re.compile(r"\\.|[\[&~|]", re.DOTALL)  # escapes, and what Python may read as a set operation one day
_DOT = "[^\\n\\r\\u2028\\u2029]"
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?(?:[zZ]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NOT_IN_URI = re.compile(r"[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]|%(?![0-9A-Fa-f]{2})")


def has_format(text: str, name: str) -> bool:
    """Whether a text has a format: uuid (RFC 9562), date, date-time (RFC 3339), uri (RFC 3986). Any other: True."""
    if name == "uuid":
        return _UUID.fullmatch(text) is not None
    if name == "date":
        return _is_date(text)
    if name == "date-time":
        return _is_date(text[:10]) and text[10:11] in ("T", "t", " ") and _TIME.fullmatch(text, 11) is not None
    if name == "uri":
        return _SCHEME.match(text) is not None and _NOT_IN_URI.search(text) is None
    return True


class Patterns:
    """The patterns of one check, and the steps that are left to them."""

    __slots__ = ("_plans", "_steps")

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._steps = steps
        self._plans: dict[str, _Plan | None] = {}

    def matches(self, pattern: str, text: str) -> bool:
        """Whether a pattern is found in a text; True where finding out could take too long."""
        if pattern not in self._plans:
            self._plans[pattern] = _planned(pattern)
        plan = self._plans[pattern]
        if plan is None:
            return True
        steps = plan.steps(len(text), self._steps)
        if steps > self._steps:
            return True
        self._steps -= steps
        return plan.expression.search(text) is not None


class _Plan:
    """A pattern in Python's syntax, and its ways: `factor * (characters + 1) ** degree * base ** characters`."""

    __slots__ = ("_anchored", "_size", "_ways", "expression")

    def __init__(self, expression: re.Pattern[str], ways: _Ways, anchored: bool, size: int) -> None:
        self.expression = expression
        self._ways = ways
        self._anchored = anchored
        self._size = size

    def steps(self, length: int, most: int) -> int:
        """An upper bound of the steps that a search takes in a text of this length; more than `most` is not exact."""
        ways = self._ways
        if ways.base > 1 and length > most.bit_length():
            return most + 1
        starts = 1 if self._anchored else length + 1
        power: int = ways.base**length
        return ways.factor * int((length + 1) ** ways.degree) * power * self._size * starts


class _Ways:
    """In how many ways a part of a pattern can match."""

    __slots__ = ("base", "degree", "factor")

    def __init__(self, factor: int = 1, degree: int = 0, base: int = 1) -> None:
        self.factor = factor
        self.degree = degree
        self.base = base

    def then(self, other: _Ways) -> _Ways:
        return _Ways(self.factor * other.factor, self.degree + other.degree, self.base * other.base)

    def alternatively(self, other: _Ways) -> _Ways:
        return _Ways(self.factor + other.factor, max(self.degree, other.degree), max(self.base, other.base))

    def repeated(self, least: int, most: int | None) -> _Ways:
        if most == least == 1:
            return self
        if (self.factor, self.degree, self.base) == (1, 0, 1):  # no choices inside: only how often
            return _Ways(1, 1) if most is None else _Ways(max(most - least, 0) + 1)
        if most is None or most > MAX_POWER:
            return _Ways(self.factor, self.degree, (self.factor + 1) * 2**self.degree * self.base * 2)
        most = max(most, 1)
        return _Ways(self.factor**most * (most - least + 1), self.degree * most, self.base**most)


class _Unreadable(Exception):
    """Python has no counterpart to a part of the pattern."""


class _Reader:
    """Reads a pattern from left to right, without recursion."""

    __slots__ = ("_at", "_pattern", "_stack", "out", "size")

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._stack = [(_Ways(0), _Ways())]  # of each open group: the finished alternatives, and the open one
        self.out: list[str] = []
        self.size = 1

    @property
    def ways(self) -> _Ways:
        finished, current = self._stack[0]
        return current if finished.factor == 0 else finished.alternatively(current)

    @property
    def anchored(self) -> bool:
        return self._pattern.startswith("^") and self._stack[0][0].factor == 0

    def read(self) -> None:
        """Raises _Unreadable."""
        while self._at < len(self._pattern):
            self.size += 1
            char = self._pattern[self._at]
            if char == "(":
                self._open()
            elif char == "|":
                finished, current = self._stack[-1]
                self._stack[-1] = (current if finished.factor == 0 else finished.alternatively(current), _Ways())
                self._emit("|", 1)
            elif char in "^$":
                self._emit(r"\Z" if char == "$" else "^", 1)
            else:
                self._atom(char)
        if len(self._stack) != 1:
            raise _Unreadable

    def _open(self) -> None:
        match = _GROUP.match(self._pattern, self._at)
        if match is None or self._pattern.startswith("?", match.end()):
            raise _Unreadable
        self._emit(f"(?P<{match[1]}>" if match[1] else match[0], len(match[0]))
        self._stack.append((_Ways(0), _Ways()))

    def _atom(self, char: str) -> None:
        ways = _Ways()
        if char == "\\":
            self._emit(self._pattern[self._at : self._at + 2], 2)
        elif char == "[":
            self._class()
        elif char == ")":
            if len(self._stack) == 1:
                raise _Unreadable
            finished, current = self._stack.pop()
            ways = current if finished.factor == 0 else finished.alternatively(current)
            self._emit(")", 1)
        elif char in "*+?":
            raise _Unreadable  # nothing to repeat
        else:
            self._emit(_DOT if char == "." else re.escape(char), 1)
        finished, current = self._stack[-1]
        self._stack[-1] = (finished, current.then(self._quantified(ways)))

    def _class(self) -> None:
        match = _CLASS.match(self._pattern, self._at)
        inner = match[0][1:-1] if match else ""
        if match is None or inner == "^" or "--" in inner:
            raise _Unreadable
        inner = _IN_CLASS.sub(lambda part: part[0] if len(part[0]) > 1 else "\\" + part[0], inner)
        self._emit(f"[{inner}]", len(match[0]))

    def _quantified(self, ways: _Ways) -> _Ways:
        match = _QUANTIFIER.match(self._pattern, self._at)
        if match is None:
            return ways
        least, most = _bounds(match)
        if (most is not None and most < least) or self._pattern[match.end() : match.end() + 1] in ("+", "*", "?"):
            raise _Unreadable
        text = match[0]
        if match.end() == len(self._pattern) and len(self._stack) == 1 and self._stack[0][0].factor == 0:
            text, most = f"{{{least}}}", least  # the end of what is searched for: the least is enough
        self._emit(text, len(match[0]))
        self.size += least
        return ways.repeated(least, most)

    def _emit(self, text: str, length: int) -> None:
        self.out.append(text)
        self._at += length


def _planned(pattern: str) -> _Plan | None:
    """None where the pattern cannot be applied."""
    if len(pattern) > MAX_PATTERN:
        return None
    reader = _Reader(pattern)
    try:
        reader.read()
        expression = re.compile("".join(reader.out), re.ASCII)
    except (_Unreadable, re.error, RecursionError, OverflowError):
        return None
    return _Plan(expression, reader.ways, reader.anchored, reader.size)


def _bounds(match: re.Match[str]) -> tuple[int, int | None]:
    """The least and the most repetitions, None without an upper bound."""
    if match[1]:
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[match[1]]
    least = int(match[2])
    return least, (int(match[4]) if match[4] else None) if match[3] else least


def _is_date(text: str) -> bool:
    if _DATE.fullmatch(text) is None:
        return False
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return 1 <= month <= 12 and 1 <= day <= longest[month - 1]


# --- Which property tells the forms of a union apart, and by which values.


MAX_CANDIDATES = 50  # properties that are tried


class Variants:
    """Reads allowed values from schemas. `chain` gives a schema and those that its `$ref` leads to."""

    def __init__(self, chain: Callable[[Any], list[Any]]) -> None:
        self._chain = chain
        self._known: dict[tuple[int, str | None], list[Any] | None] = {}

    def told_apart(self, forms: list[Any], discriminator: Any) -> tuple[str, list[list[Any]]]:
        """The property that tells forms apart, and its values in each; ("", []) where none does."""
        named = discriminator.get("propertyName") if isinstance(discriminator, dict) else None
        if isinstance(named, str):
            tags = [self.of_property(form, named) or _mapped(form, discriminator) for form in forms]
            return (named, tags) if all(tags) else ("", [])
        for name in self._names(forms[0]) if len(forms) > 1 else ():
            values = [self.of_property(form, name) for form in forms]
            tags = [value for value in values if value]
            if len(tags) == len(forms) and _are_disjoint(tags):
                return name, tags
        return "", []

    def of_property(self, schema: Any, name: str) -> list[Any] | None:
        """The allowed values of a property; None where any value, or none, is allowed."""
        key = id(schema), name
        if key not in self._known:
            self._known[key] = None
            self._known[key] = self._of_property(schema, name)
        return self._known[key]

    def _of_property(self, schema: Any, name: str) -> list[Any] | None:
        for node in self._nodes(schema):
            properties = node.get("properties")
            values = self._values(properties[name]) if isinstance(properties, dict) and name in properties else None
            if values is not None:
                return values
        return self._of_forms(schema, lambda form: self.of_property(form, name))

    def _values(self, schema: Any) -> list[Any] | None:
        key = id(schema), None
        if key not in self._known:
            self._known[key] = None
            for node in self._nodes(schema):
                if "const" in node or isinstance(node.get("enum"), list):
                    self._known[key] = [node["const"]] if "const" in node else node["enum"]
                    break
            else:
                self._known[key] = self._of_forms(schema, self._values)
        return self._known[key]

    def _of_forms(self, schema: Any, read: Callable[[Any], list[Any] | None]) -> list[Any] | None:
        """The values of all forms of a union, each once."""
        for node in self._nodes(schema):
            forms = as_list(node.get("oneOf")) or as_list(node.get("anyOf"))
            values = [read(form) for form in forms]
            if forms and None not in values:
                return list({key_of(value): value for each in values for value in each or ()}.values())
        return None

    def _names(self, schema: Any) -> list[str]:
        names = dict.fromkeys(
            name
            for node in self._nodes(schema)
            if isinstance(node.get("properties"), dict)
            for name in list(node["properties"])[:MAX_CANDIDATES]
        )
        return sorted(names, key=lambda name: name != "model")[:MAX_CANDIDATES]

    def _nodes(self, schema: Any) -> Iterator[dict[str, Any]]:
        """The schemas that all hold where this one holds, without recursion."""
        waiting, seen = [schema], set()
        while waiting:
            for node in self._chain(waiting.pop()):
                if isinstance(node, dict) and id(node) not in seen:
                    seen.add(id(node))
                    yield node
                    waiting += reversed(as_list(node.get("allOf")))


def _are_disjoint(tags: list[list[Any]]) -> bool:
    keys = [key_of(value) for each in tags for value in each]
    return len(set(keys)) == len(keys)


def _mapped(form: Any, discriminator: dict[str, Any]) -> list[Any]:
    """The values that a discriminator's `mapping` gives a form, or else the last part of its reference."""
    ref = form.get("$ref") if isinstance(form, dict) else None
    if not isinstance(ref, str):
        return []
    mapping = discriminator.get("mapping")
    name = ref.rpartition("/")[2]
    found = [value for value, to in mapping.items() if to in (ref, name)] if isinstance(mapping, dict) else []
    return found or [name]


# --- The keywords of JSON Schema, one rule each; `RULES` and `COMBINING` at the end say which value each is for.


def enum_or_const(checker: Checker, schema: Schema, value: Any) -> Iterator[Issue]:
    for allowed in ([schema["const"]] if "const" in schema else None, schema.get("enum")):
        if isinstance(allowed, list) and key_of(value) not in set(map(key_of, allowed)):
            yield other(value, values_allowed(allowed), checker.show)
            return


def types(checker: Checker, schema: Schema, value: Any) -> Iterator[Issue]:
    written = schema.get("type")
    wanted = [kind for kind in (written if isinstance(written, list) else [written]) if kind in tuple(TYPES)]
    if wanted and not any(_is_of_type(value, kind) for kind in wanted):
        yield other(value, tuple(("be", TYPES[kind]) for kind in wanted), checker.show)


def _is_of_type(value: Any, kind: str) -> bool:
    if kind == "integer":
        number = exact(value)
        return number is not None and is_integer(number)
    return kind_of(value) == kind


def _limit(words: str, holds: Callable[[Any, Any], bool], exclusive: str = "") -> Rule:
    """A bound of a number; `exclusive` is the keyword that in OpenAPI 3.0 takes the bound itself out."""
    strict = {"at least": "greater than", "at most": "less than"}.get(words, words)

    def rule(checker: Checker, schema: Schema, value: Any, limit: Any) -> Iterator[Issue]:
        number, bound = exact(value), exact(limit)
        if number is None or bound is None:
            return
        is_strict = schema.get(exclusive) is True
        if not holds(number, bound) or (is_strict and number == bound):
            yield Issue((), f"must be {strict if is_strict else words} {plain(limit)}, not {checker.show(value)}")

    return rule


def _size(least: bool, what: str) -> Rule:
    """A bound of a length, in characters (code points), items or fields."""

    def rule(_: Checker, __: Schema, value: Any, limit: Any) -> Iterator[Issue]:
        bound = exact(limit)
        if bound is None or (len(value) >= bound if least else len(value) <= bound):
            return
        counted = f"{plain(limit)} {what[:-1] if bound == 1 else what}"
        yield Issue((), f"must have at {'least' if least else 'most'} {counted}, not {len(value)}")

    return rule


def _pattern(checker: Checker, schema: Schema, value: str, pattern: Any) -> Iterator[Issue]:
    if not isinstance(pattern, str) or any(_format(checker, schema, value, schema.get("format"))):
        return  # the format's words are easier to read
    if not checker.patterns.matches(pattern, value):
        begin = beginning_of(pattern)
        yield other(value, (("begin with", begin) if begin else ("match", plain(pattern)),), checker.show)


def _format(checker: Checker, _: Schema, value: str, name: Any) -> Iterator[Issue]:
    if isinstance(name, str) and not has_format(value, name):
        yield other(value, (("be", FORMATS[name]),), checker.show)


def _items(checker: Checker, schema: Schema, value: list[Any], items: Any) -> Iterator[Issue]:
    for index in range(len(as_list(schema.get("prefixItems"))), len(value)):
        for issue in checker.issues(items, value[index]):
            yield issue.below(index)


def _prefix_items(checker: Checker, _: Schema, value: list[Any], schemas: Any) -> Iterator[Issue]:
    for index, (schema, item) in enumerate(zip(as_list(schemas), value)):
        for issue in checker.issues(schema, item):
            yield issue.below(index)


def _unique_items(_: Checker, __: Schema, value: list[Any], wanted: Any) -> Iterator[Issue]:
    first: dict[Any, int] = {}
    for index, item in enumerate(value if wanted is True else ()):
        known = first.setdefault(key_of(item), index)
        if known != index:
            yield Issue((index,), f"must not repeat item {known}")


def _required(checker: Checker, schema: Schema, value: dict[str, Any], names: Any) -> Iterator[Issue]:
    for name in as_list(names):
        if isinstance(name, str) and name not in value:
            yield Issue((name,), "is required" + _hint(checker, schema, value, name))


def _hint(checker: Checker, schema: Schema, value: dict[str, Any], name: str) -> str:
    """What helps to fill in a missing field: an unknown field that may be meant for it, or its allowed values."""
    known = _dict(schema.get("properties"))
    near = nearest(name, [word for word in value if word not in known])
    if near:
        return f"; did you misspell it as {plain(near)}?"
    allowed = list(map(plain, checker.variants.of_property(schema, name) or ()))
    return f": {'one of ' if len(allowed) > 1 else ''}{listed(allowed, MAX_VALUES)}" if allowed else ""


def _properties(checker: Checker, _: Schema, value: dict[str, Any], schemas: Any) -> Iterator[Issue]:
    for name, schema in _dict(schemas).items():
        if name in value:
            for issue in checker.issues(schema, value[name]):
                yield issue.below(name)


def _pattern_properties(checker: Checker, _: Schema, value: dict[str, Any], schemas: Any) -> Iterator[Issue]:
    for pattern, schema in _dict(schemas).items():
        for name, item in value.items():
            if checker.patterns.matches(pattern, name):
                for issue in checker.issues(schema, item):
                    yield issue.below(name)


def _additional_properties(checker: Checker, schema: Schema, value: dict[str, Any], free: Any) -> Iterator[Issue]:
    known = _dict(schema.get("properties"))
    patterns = list(_dict(schema.get("patternProperties")))
    for name, item in value.items():
        if name in known or any(checker.patterns.matches(pattern, name) for pattern in patterns):
            continue
        if free is False:
            yield Issue((name,), _unknown(name, known, value))
            continue
        for issue in checker.issues(free, item):
            yield issue.below(name)


def _unknown(name: str, known: Schema, value: dict[str, Any]) -> str:
    free = [word for word in known if word not in value]
    near = nearest(name, free)
    if near:
        return f"unknown field; did you mean {near}?"
    names = listed(list(map(plain, known)), MAX_NAMES)
    return f"unknown field; the known ones are {names}" if names else "unknown field: none is allowed here"


def _property_names(checker: Checker, _: Schema, value: dict[str, Any], names: Any) -> Iterator[Issue]:
    for name in value:
        for issue in checker.issues(names, name):
            yield Issue((name,), f"the name {issue.message}")


def _all_of(checker: Checker, _: Schema, value: Any, schemas: Any) -> Iterator[Issue]:
    for schema in as_list(schemas):
        yield from checker.issues(schema, value)


def _any_of(checker: Checker, schema: Schema, value: Any, forms: Any) -> Iterator[Issue]:
    results = []
    for form in as_list(forms):
        results.append(checker.issues(form, value))
        if not results[-1]:
            return
    if results:
        yield from _nearest_form(checker, schema, value, as_list(forms), results)


def _one_of(checker: Checker, schema: Schema, value: Any, forms: Any) -> Iterator[Issue]:
    results = [checker.issues(form, value) for form in as_list(forms)]
    matched = sum(not issues for issues in results)
    if matched > 1:
        yield Issue((), f"must match one of {len(results)} forms, not {matched}")
    elif results and not matched:
        yield from _nearest_form(checker, schema, value, as_list(forms), results)


def _nearest_form(
    checker: Checker, schema: Schema, value: Any, forms: list[Any], results: list[tuple[Issue, ...]]
) -> Iterator[Issue]:
    """What is wrong by the form that the value selects, or else by the one that it resembles."""
    objects = [number for number, issues in enumerate(results) if not is_other(issues)]
    if isinstance(value, dict) and objects:
        name, tags = checker.variants.told_apart([forms[number] for number in objects], schema.get("discriminator"))
        every = [tag for each in tags for tag in each]
        if name and name not in value:
            yield Issue((name,), f"is required: one of {listed(list(map(plain, every)), MAX_VALUES)}")
            return
        if name:
            key = key_of(value[name])
            results = [results[number] for number, each in zip(objects, tags) if key in set(map(key_of, each))]
            if not results:
                yield other(value[name], values_allowed(every), checker.show).below(name)
                return
    yield from closest(value, results, checker.show)


def _not(checker: Checker, _: Schema, value: Any, schema: Any) -> Iterator[Issue]:
    if not checker.issues(schema, value):
        yield Issue((), f"is not allowed, but is {checker.show(value)}")


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


RULES: dict[str, dict[str, Rule]] = {
    "number": {
        "minimum": _limit("at least", lambda number, bound: bool(number >= bound), "exclusiveMinimum"),
        "maximum": _limit("at most", lambda number, bound: bool(number <= bound), "exclusiveMaximum"),
        "exclusiveMinimum": _limit("greater than", lambda number, bound: bool(number > bound)),
        "exclusiveMaximum": _limit("less than", lambda number, bound: bool(number < bound)),
        "multipleOf": _limit("a multiple of", is_multiple),
    },
    "string": {
        "pattern": _pattern,
        "format": _format,
        "minLength": _size(True, "characters"),
        "maxLength": _size(False, "characters"),
    },
    "array": {
        "minItems": _size(True, "items"),
        "maxItems": _size(False, "items"),
        "uniqueItems": _unique_items,
        "prefixItems": _prefix_items,
        "items": _items,
    },
    "object": {
        "required": _required,
        "additionalProperties": _additional_properties,
        "propertyNames": _property_names,
        "minProperties": _size(True, "fields"),
        "maxProperties": _size(False, "fields"),
        "properties": _properties,
        "patternProperties": _pattern_properties,
    },
}
COMBINING: dict[str, Rule] = {"allOf": _all_of, "anyOf": _any_of, "oneOf": _one_of, "not": _not}
ASSERTIONS = frozenset(("type", "enum", "const", *COMBINING, *(name for rules in RULES.values() for name in rules)))


# --- Checks a value against a schema of an OpenAPI document: JSON Schema 2020-12 as far as OpenAPI 3.0 and 3.1 use it.

# The verdict is JSON Schema's; `discriminator` changes nothing about it (OpenAPI 3.1.1, 4.8.25) and only helps to choose
# what is reported of a union. A `$ref` that leads nowhere, and a keyword without a rule in `rules`, allow everything. A
# schema that is met again for the same value while it is being checked adds nothing, which ends cycles, and what a schema
# says of a value is worked out once, which keeps unions inside unions short.


NO_BODY: Any = type("NoBody", (), {"__repr__": lambda _: "NO_BODY"})()  # in place of a body: the request has none


def check(document: Schema, endpoint: Endpoint, body: Any, show: Show = shown) -> list[dict[str, Any]]:
    """What is wrong with a JSON body, as [{"field": "a.0.b", "messages": [...]}]; [] for a valid one.

    NO_BODY stands for a request without a body. Where the contract describes no JSON body, any is taken. `show` turns a
    refused value into the words of a message. Raises ValueError where the body or the contract nests too deeply.
    """
    with deep_nesting_as_value_error():
        holder = endpoint.operation.get("requestBody")
        kind, schema = content_of(document, holder)
        if body is NO_BODY:
            if isinstance(holder, dict) and _resolved(document, holder).get("required") is True:
                return [{"field": "", "messages": ["a body is required"]}]
            body = {}  # Runway's document never says that a body is required: its fields do
    if schema is None or "json" not in kind:
        return []
    return check_schema(document, schema, body, show)


def unnamed(document: Schema, endpoint: Endpoint, body: Any) -> list[str]:
    """The fields of a body that no variant of the contract names, although it may allow them: mistyped ones, mostly."""
    with deep_nesting_as_value_error():
        schema = content_of(document, endpoint.operation.get("requestBody"))[1]
        if schema is None or not isinstance(body, dict):
            return []
        forms = [form for form, _ in Schemas(document).forms(schema, frozenset())]
    if any(isinstance(form.get("additionalProperties"), dict) for form in forms):
        return []
    named = {name for form in forms for name in form.get("properties") or ()}
    return [name for name in body if name not in named]


def check_schema(document: Schema, schema: Any, value: Any, show: Show = shown) -> list[dict[str, Any]]:
    """What is wrong with a value for a schema of the document, in the form of `check`. Raises ValueError as it does."""
    with deep_nesting_as_value_error():
        issues = _Checker(document, show).issues(schema, value)
    fields: dict[str, list[str]] = {}
    for issue in issues:
        fields.setdefault(".".join(map(str, issue.path)), []).append(issue.message)
    return [{"field": field, "messages": messages} for field, messages in fields.items()]


class _Checker:
    """One check: what is known already of schemas and values, by their identity, which both keep while it lasts."""

    def __init__(self, document: Schema, show: Show) -> None:
        self.document = document
        self.show = show
        self.is_3_0 = str(document.get("openapi", "")).startswith("3.0")
        self.honours_nullable = not str(document.get("openapi", "")).startswith("3.1")
        self.patterns = Patterns()
        self.variants = Variants(self.chain)
        self._chains: dict[int, list[Any]] = {}
        self._known: dict[tuple[int, int], tuple[Issue, ...]] = {}

    def issues(self, schema: Any, value: Any) -> tuple[Issue, ...]:
        """What is wrong with a value; MAX_ISSUES at most."""
        chain = self.chain(schema)
        if len(chain) == 1:
            return self._issues(chain[0], value)
        return distinct(issue for part in chain for issue in self._issues(part, value))

    def chain(self, schema: Any) -> list[Any]:
        """A schema without its `$ref`, and those that the reference leads to, one after the other."""
        known = self._chains.get(id(schema))
        if known is not None:
            return known
        chain: list[Any] = []
        start, seen = id(schema), set()
        while id(schema) not in seen:
            seen.add(id(schema))
            ref = schema.get("$ref") if isinstance(schema, dict) else None
            if not isinstance(ref, str):
                chain.append(schema)
                break
            if self.is_3_0:  # beside a reference it ignores everything, but many documents count on this one
                if schema.get("nullable") is True:
                    chain = [{"anyOf": [{"type": "null"}, pointed(self.document, ref)]}]
                    break
            elif not ASSERTIONS.isdisjoint(schema):
                chain.append(schema)
            schema = pointed(self.document, ref)
        self._chains[start] = chain
        return chain

    def _issues(self, schema: Any, value: Any) -> tuple[Issue, ...]:
        """What is wrong by the keywords beside `$ref`."""
        if schema is False:
            return (Issue((), f"is not allowed, but is {self.show(value)}"),)
        if not isinstance(schema, dict):
            return ()
        key = id(schema), id(value)
        if key not in self._known:
            self._known[key] = ()  # while it is being worked out
            self._known[key] = distinct(self._broken(schema, value))
        return self._known[key]

    def _broken(self, schema: Schema, value: Any) -> Iterator[Issue]:
        if value is None and self.honours_nullable and schema.get("nullable") is True:
            return
        for rule in (enum_or_const, types):  # who breaks one of these is not told of the others
            broken = list(rule(self, schema, value))
            if broken:
                yield from broken
                return
        for rules in (RULES.get(kind_of(value), {}), COMBINING):
            for keyword, rule_of in rules.items():
                if keyword in schema:
                    yield from rule_of(self, schema, value, schema[keyword])


def _resolved(document: Schema, holder: Schema) -> Schema:
    for _ in range(100):
        ref = holder.get("$ref")
        if not isinstance(ref, str):
            break
        holder = pointed(document, ref)
        if not isinstance(holder, dict):
            return {}
    return holder
