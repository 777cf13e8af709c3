"""Checks a value against a schema of an OpenAPI document: JSON Schema 2020-12 as far as OpenAPI 3.0 and 3.1 use it.

The verdict is JSON Schema's; `discriminator` changes nothing about it (OpenAPI 3.1.1, 4.8.25) and only helps to choose
what is reported of a union. A `$ref` that leads nowhere, and a keyword without a rule in `rules`, allow everything. A
schema that is met again for the same value while it is being checked adds nothing, which ends cycles, and what a schema
says of a value is worked out once, which keeps unions inside unions short.
"""

from __future__ import annotations

from . import issues as found
from .issues import Issue
from .patterns import Patterns
from .rules import ASSERTIONS, COMBINING, RULES, enum_or_const, types
from .schema import Schemas, content_of, deep_nesting_as_value_error, pointed
from .values import kind_of, shown
from .variants import Variants

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .schema import Endpoint, Schema

    Show = Callable[[Any], str]

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
        return found.distinct(issue for part in chain for issue in self._issues(part, value))

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
            self._known[key] = found.distinct(self._broken(schema, value))
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
