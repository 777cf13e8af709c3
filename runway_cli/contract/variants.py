"""Which property tells the forms of a union apart, and by which values."""

from __future__ import annotations

from .schema import as_list
from .values import key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

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
