"""Regular expressions and formats of a document, applied so that no document and no value can make them explode.

A schema's `pattern` is ECMAScript's, and searched for. `Patterns` translates it to Python's, with ECMAScript's meaning
of `$`, `.` and `\\d`, and bounds the steps that backtracking can take before a pattern is run: each quantifier and each
alternative multiplies the ways through it, so that `^[a-z]+$` costs as many steps as the text has characters, and
`(a+)+$` grows by a power for each character. All patterns of one check may take MAX_STEPS together. A pattern that
could take more than what is left, or that Python cannot read, is not applied: the text counts as matching.
"""

from __future__ import annotations

import re

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
