"""Schemas as a flat list of fields with dotted names, as `request -f` takes them.

A field is {"name", "type"}, "required" where it is true, and what the schema tells of "values", "default", "limits",
"when" (only with these values of other fields), "deprecated" and "description", in this order.
"""

from __future__ import annotations

from .forms import (
    hashable,
    joined,
    kind_of_form,
    limits_by_scheme,
    limits_of_form,
    scheme_of_form,
    type_of_form,
    values_of_form,
    widen,
)
from .schema import Schemas, as_list
from .sentences import MAX_BINDING, binding, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .schema import Form, Schema, Seen

    Field = dict[str, Any]

MAX_CANDIDATES = 50  # properties that are tried for the one that tells the forms of a union apart


class Fields(Schemas):
    """Describes the schemas of one document."""

    def field(self, name: str, schema: Any, required: bool, seen: Seen) -> Field:
        """One field, without those below it."""
        node, _ = self.plain(schema, seen)
        forms = self.forms(schema, seen)
        type_, values, limits = self._facts(forms)
        field: Field = {"name": name, "type": type_}
        if required:
            field["required"] = True
        if values:
            field["values"] = values
        if "default" in node:
            field["default"] = node["default"]
        if limits:
            field["limits"] = limits
        if node.get("deprecated") is True:
            field["deprecated"] = True
        description = _description(node, [form for form, _ in forms])
        if description and not (type_.startswith("uri (") and "data URI" in description):  # which the type says
            field["description"] = description
        return field

    def below(self, prefix: str, forms: Iterable[Form], depth: int, discriminator: Any = None) -> Iterator[Field]:
        """The fields inside a value, each named with `prefix` before it."""
        forms = list(forms)
        objects = [form for form in forms if kind_of_form(form[0]) == "object"]
        if len(objects) == 1:
            yield from self._properties(prefix, objects[0], depth)
        elif objects:
            yield from self._union(prefix, objects, depth, discriminator)
        for form, seen in forms:
            if "items" in form and depth > 0:
                yield from self._inside(prefix + "0.", form["items"], seen, depth - 1)

    def labels(self, forms: list[Form], discriminator: Any) -> tuple[str, list[list[str]]]:
        """The property that tells forms apart, "" if none does, and its values in each form."""
        named = discriminator.get("propertyName") if isinstance(discriminator, dict) else None
        names = sorted(properties_of(forms[0][0]), key=lambda name: name != "model")
        candidates = [named] if isinstance(named, str) else names[:MAX_CANDIDATES]
        for candidate in candidates:
            found = [self._told(form, candidate, discriminator) for form in forms]
            words = [word for told in found for word in told]
            if all(found) and (named or len(set(words)) == len(words)):
                return candidate, found
        return "", [
            [str(form.get("title") or f"form {number} of {len(forms)}")] for number, (form, _) in enumerate(forms, 1)
        ]

    def _told(self, form: Form, name: str, discriminator: Any) -> list[str]:
        """The values of a property that mean this form: its constants, else what the discriminator maps to it."""
        node, seen = form
        values = self._facts(self.forms(properties_of(node).get(name), seen))[1]
        if values:
            return [str(value) for value in values]
        ref = node.get("x-ref")
        mapping = discriminator.get("mapping") if isinstance(discriminator, dict) else None
        mapped = [value for value, to in mapping.items() if to == ref] if isinstance(mapping, dict) else []
        return mapped or ([ref.rpartition("/")[2]] if isinstance(ref, str) and discriminator else [])

    def _inside(self, prefix: str, schema: Any, seen: Seen, depth: int) -> Iterator[Field]:
        node, _ = self.plain(schema, seen)
        yield from self.below(prefix, self.forms(schema, seen), depth, node.get("discriminator"))

    def _properties(self, prefix: str, form: Form, depth: int) -> Iterator[Field]:
        node, seen = form
        required = {name for name in as_list(node.get("required")) if isinstance(name, str)}
        inner = [(name, schema, name in required) for name, schema in properties_of(node).items()]
        free = node.get("additionalProperties")
        if isinstance(free, dict) and free:
            keys, _ = self.plain(node.get("propertyNames"), seen)
            inner.append(("{" + str(keys.get("format", "key")) + "}", free, False))
        for name, schema, is_required in inner:
            yield self.field(prefix + name, schema, is_required, seen)
            if depth > 0:
                yield from self._inside(f"{prefix}{name}.", schema, seen, depth - 1)

    def _union(self, prefix: str, objects: list[Form], depth: int, discriminator: Any) -> Iterator[Field]:
        """The fields of all forms, each once; one that not all forms have says `when` it is for."""
        name, labels = self.labels(objects, discriminator)
        laid: dict[str, list[tuple[Field, list[str]]]] = {}
        order: list[tuple[Field, list[str]]] = []
        for form, words in zip(objects, labels):
            for field in self._properties(prefix, form, depth):
                same_name = laid.setdefault(field["name"], [])
                new = _lay(field, words, same_name, is_discriminator=bool(name) and field["name"] == prefix + name)
                if new is not None:
                    same_name.append(new)
                    order.append(new)
        everywhere = sum(map(len, labels))
        for field, words in order:
            if len(words) < everywhere:
                outer = (f"{prefix}{name}=" if name else "") + "|".join(words)
                field["when"] = f"{outer}, {field['when']}" if "when" in field else outer
                if "description" in field:
                    field["description"] = field.pop("description")  # last, as everywhere
            yield field

    def _facts(self, forms: list[Form]) -> tuple[str, list[Any], dict[str, Any]]:
        """Type, allowed values (empty: any) and limits of a value that has one of these forms."""
        types: list[str] = []
        values: list[Any] = []
        limits: dict[str, Any] = {}
        schemes: dict[str, dict[str, Any]] = {}
        for form, _ in forms:
            if scheme_of_form(form):
                widen(schemes.setdefault(scheme_of_form(form), {}), limits_of_form(form))
        constant = all(values_of_form(form) is not None for form, _ in forms if form.get("type") != "null")
        for form, seen in forms:
            allowed = values_of_form(form)
            if scheme_of_form(form):
                types.append(f"uri ({', '.join(schemes)})")
                continue
            if allowed is not None and not constant:
                types += [f'"{value}"' for value in allowed]
            elif kind_of_form(form) == "array":
                inner, values_inside, limits_inside = self._facts(self.forms(form.get("items"), seen))
                types.append(f"array of {inner}" if " | " not in inner else f"array of ({inner})")
                values += values_inside
                widen(limits, limits_inside)
            else:
                types.append(type_of_form(form))
            values += allowed or [] if constant else []
            widen(limits, limits_of_form(form))
        limits = {**limits_by_scheme(schemes), **limits} if schemes else limits
        return joined(types), list(dict.fromkeys(map(hashable, values))), limits


def properties_of(node: Schema) -> dict[str, Any]:
    """The properties of an object's schema; {} without any."""
    properties = node.get("properties")
    return properties if isinstance(properties, dict) else {}


def _description(node: Schema, forms: list[Schema]) -> str:
    """What is said of a value, and what the descriptions of its forms add that binds."""
    line = one_line(node.get("description") or node.get("title"))
    for form in forms if len(forms) > 1 else ():
        more = binding(form.get("description"))
        if more and form.get("description") != node.get("description") and more not in line and _fits(line, more):
            line = f"{line} {more}".lstrip()
    return line


def _fits(line: str, more: str) -> bool:
    return len(line) + len(more) < 2 * MAX_BINDING


def _lay(
    field: Field, words: list[str], known: list[tuple[Field, list[str]]], is_discriminator: bool
) -> tuple[Field, list[str]] | None:
    """Puts a form's field to the one of the forms before it that says the same; else it is a new one."""
    for other, labels in known:
        if is_discriminator:
            other["values"] = [*other.get("values", ()), *field.get("values", ())]
            other.pop("description", None)
        elif _without_words(other) != _without_words(field):
            continue
        labels.extend(words)
        return None
    return field, list(words)


def _without_words(field: Field) -> Field:
    return {key: value for key, value in field.items() if key != "description"}
