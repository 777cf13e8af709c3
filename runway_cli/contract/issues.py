"""What a check finds: where, what is wrong, and what would be allowed; and how the findings of a union become one."""

from __future__ import annotations

from .values import plain, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Union

    Path = tuple[Union[str, int], ...]
    Allowed = tuple[tuple[str, str], ...]

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
