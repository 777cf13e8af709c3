"""The keywords of JSON Schema, one rule each; `RULES` and `COMBINING` at the end say which value each is for."""

from __future__ import annotations

from . import issues as found
from .issues import Issue
from .patterns import FORMATS, has_format
from .schema import as_list
from .values import exact, is_integer, is_multiple, key_of, kind_of, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from .patterns import Patterns
    from .schema import Schema
    from .variants import Variants

    class Checker(Protocol):
        """What rules need of the check that they are part of."""

        patterns: Patterns
        variants: Variants
        show: Callable[[Any], str]

        def issues(self, schema: Any, value: Any) -> tuple[Issue, ...]: ...

    Rule = Callable[[Checker, Schema, Any, Any], Iterator[Issue]]


def enum_or_const(checker: Checker, schema: Schema, value: Any) -> Iterator[Issue]:
    for allowed in ([schema["const"]] if "const" in schema else None, schema.get("enum")):
        if isinstance(allowed, list) and key_of(value) not in set(map(key_of, allowed)):
            yield found.other(value, found.values_allowed(allowed), checker.show)
            return


def types(checker: Checker, schema: Schema, value: Any) -> Iterator[Issue]:
    written = schema.get("type")
    wanted = [kind for kind in (written if isinstance(written, list) else [written]) if kind in tuple(found.TYPES)]
    if wanted and not any(_is_of_type(value, kind) for kind in wanted):
        yield found.other(value, tuple(("be", found.TYPES[kind]) for kind in wanted), checker.show)


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
        begin = found.beginning_of(pattern)
        yield found.other(value, (("begin with", begin) if begin else ("match", plain(pattern)),), checker.show)


def _format(checker: Checker, _: Schema, value: str, name: Any) -> Iterator[Issue]:
    if isinstance(name, str) and not has_format(value, name):
        yield found.other(value, (("be", FORMATS[name]),), checker.show)


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
    near = found.nearest(name, [word for word in value if word not in known])
    if near:
        return f"; did you misspell it as {plain(near)}?"
    allowed = list(map(plain, checker.variants.of_property(schema, name) or ()))
    return f": {'one of ' if len(allowed) > 1 else ''}{found.listed(allowed, found.MAX_VALUES)}" if allowed else ""


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
    near = found.nearest(name, free)
    if near:
        return f"unknown field; did you mean {near}?"
    names = found.listed(list(map(plain, known)), found.MAX_NAMES)
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
    objects = [number for number, issues in enumerate(results) if not found.is_other(issues)]
    if isinstance(value, dict) and objects:
        name, tags = checker.variants.told_apart([forms[number] for number in objects], schema.get("discriminator"))
        every = [tag for each in tags for tag in each]
        if name and name not in value:
            yield Issue((name,), f"is required: one of {found.listed(list(map(plain, every)), found.MAX_VALUES)}")
            return
        if name:
            key = key_of(value[name])
            results = [results[number] for number, each in zip(objects, tags) if key in set(map(key_of, each))]
            if not results:
                yield found.other(value[name], found.values_allowed(every), checker.show).below(name)
                return
    yield from found.closest(value, results, checker.show)


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
