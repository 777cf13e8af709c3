"""What one form of a schema says of a value: its type, allowed values, limits and, for media, the kind of URI."""

from __future__ import annotations

import re

from .. import jsontext
from ..jsontext import Number
from .schema import (
    MAX_BINDING,
    Schemas,
    as_list,
    binding,
    deep_nesting_as_value_error,
    endpoints,
    is_binding,
    one_line,
    tells_default,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping
    from typing import Any

    from .schema import Form, Schema, Seen

    Field = dict[str, Any]

    from .schema import Endpoint


MAX_PATTERN = 40  # characters; a longer pattern is noise
LARGEST_LIMIT = 2**53 - 1  # as a limit it says only that JavaScript reads the number

_LIMITS = {
    "minimum": "min",
    "maximum": "max",
    "exclusiveMinimum": "exclusiveMin",
    "exclusiveMaximum": "exclusiveMax",
    "multipleOf": "multipleOf",
    "minLength": "minLength",
    "maxLength": "maxLength",
    "minItems": "minItems",
    "maxItems": "maxItems",
    "minProperties": "minProperties",
    "maxProperties": "maxProperties",
    "pattern": "pattern",
}
_MEDIA = re.compile(r"\^(https|runway|data)\b(?::(\w+))?")
_TYPES_OF_VALUES = {str: "string", bool: "boolean", int: "integer", float: "number", Number: "number"}


def kind_of_form(form: Schema) -> str:
    """object, array, or "" for a value without anything inside."""
    kind = form.get("type")
    if kind == "object" or (kind is None and ("properties" in form or "additionalProperties" in form)):
        return "object"
    return "array" if kind == "array" or (kind is None and "items" in form) else ""


def type_of_form(form: Schema) -> str:
    """The type's name for a reader: its format where it has one, "any" where nothing is said."""
    kind = kind_of_form(form) or form.get("type")
    if kind == "string" and isinstance(form.get("format"), str):
        return str(form["format"])
    if kind is None:
        values = values_of_form(form)
        return _TYPES_OF_VALUES.get(type(values[0]) if values else object, "any")
    return str(kind)


def scheme_of_form(form: Schema) -> str:
    """What kind of URI a string has to be: https, runway, data:image…; "" where nothing says so."""
    pattern = form.get("pattern")
    match = _MEDIA.match(pattern) if isinstance(pattern, str) else None
    return ":".join(filter(None, match.groups())) if match else ""


def values_of_form(form: Schema) -> list[Any] | None:
    """The allowed values; None where any is allowed."""
    if "const" in form:
        return [form["const"]]
    return form["enum"] if isinstance(form.get("enum"), list) else None


def limits_of_form(form: Schema) -> dict[str, Any]:
    """The limits that mean something to who fills in the field."""
    found: dict[str, Any] = {}
    for key, name in _LIMITS.items():
        value = form.get(key)
        if isinstance(value, bool):  # 3.0's exclusiveMinimum turns minimum into a bound that is itself outside
            value = found.pop(name.replace("exclusiveM", "m"), None) if value else None
        if value is not None and not _is_noise(form, key, value):
            found[name] = value
    return found


def _is_noise(form: Schema, key: str, value: Any) -> bool:
    """Whether a limit tells nothing that the type, or common sense, has not told."""
    if key == "pattern":
        return bool(scheme_of_form(form)) or "format" in form or len(str(value)) > MAX_PATTERN
    if key == "minLength":
        return bool(scheme_of_form(form))
    return isinstance(value, int) and abs(value) >= LARGEST_LIMIT


def widen(limits: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Lets `limits` allow what `more` allows."""
    for key, value in more.items():
        known = limits.get(key, value)
        comparable = isinstance(value, (int, float)) and isinstance(known, (int, float))
        limits[key] = (min if "min" in key.lower() else max)(known, value) if comparable else value


def limits_by_scheme(schemes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The limits of a URI: a value where all kinds of URI share it, else {kind: value}."""
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for limits in schemes.values() for key in limits):
        values = {scheme: limits[key] for scheme, limits in schemes.items() if key in limits}
        first = next(iter(values.values()))
        is_shared = len(values) == len(schemes) and all(value == first for value in values.values())
        found[key] = first if is_shared else values
    return found


def joined(types: Iterable[str]) -> str:
    """Types as one, each part once, null last: `string` and `string | null` are `string | null`."""
    parts = dict.fromkeys(part for type_ in types for part in _parts(type_))
    return " | ".join(sorted(parts, key=lambda part: part == "null"))


def hashable(value: Any) -> Hashable:
    """A value that can be a key, as it is shown; an array or object becomes its text."""
    return value if isinstance(value, (str, int, float, bool, type(None), Number)) else str(value)


def _parts(type_: str) -> list[str]:
    """The alternatives of a type, not those inside of its parentheses."""
    parts, depth = [""], 0
    for word in type_.split(" | "):
        parts[-1] = f"{parts[-1]} | {word}" if depth else word
        depth += word.count("(") - word.count(")")
        if depth <= 0:
            depth = 0
            parts.append("")
    return [part for part in parts if part]


# --- Schemas as a flat list of fields with dotted names, as `request -f` takes them.

# A field is {"name", "type"}, "required" where it is true, and what the schema tells of "values", "default", "limits",
# "when" (only with these values of other fields), "deprecated" and "description", in this order.


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


# --- Fields of an endpoint as rows of a table: one row for each name.


def field_rows(fields: Iterable[Field]) -> list[dict[str, str]]:
    """Rows with name, type, required, values and description; fields of one name, which differ in `when`, share one."""
    named: dict[tuple[str, str], list[Field]] = {}
    for field in fields:
        named.setdefault((field["name"], field.get("in", "")), []).append(field)
    return [_row(same) for same in named.values()]


def _row(same: list[Field]) -> dict[str, str]:
    place = f" ({same[0]['in']})" if "in" in same[0] else ""
    always = all("required" in field for field in same)
    sometimes = any("required" in field for field in same)
    return {
        "name": same[0]["name"],
        "type": joined(field["type"] for field in same) + place,
        "required": "yes" if always else "for some" if sometimes else "",
        "values": " / ".join(dict.fromkeys(filter(None, map(_choices, same)))),
        "description": " / ".join(dict.fromkeys(filter(None, (field.get("description") for field in same)))),
    }


def _choices(field: Field) -> str:
    """Values, limits, default and condition as words."""
    limits = [f"{name} {_limit(value)}" for name, value in field.get("limits", {}).items()]
    values = [" | ".join(map(_word, field["values"]))] if field.get("values") else []
    default = [f"default {_word(field['default'])}"] if "default" in field else []
    when = [f"when {field['when']}"] if "when" in field else []
    varies = [f"by model: {', '.join(field['varies'])}"] if "varies" in field else []
    return "; ".join((*values, *limits, *default, *when, *varies))


def _limit(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{item} ({kind})" for kind, item in value.items())
    return _word(value)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else jsontext.dumps(value)


# --- What an OpenAPI document says of one endpoint, as plain values that are short to read. No I/O.


__all__ = ["UnknownModel", "describe", "one_line"]

BODY_DEPTH = 6  # levels of dotted names
RESPONSE_DEPTH = 3
MODEL_SIZE = 1_699  # bytes of JSON that the description of one model takes where leaving out descriptions is enough
MAX_VALUES = 12  # of a response's field; who reads one will see which
SENT_ANYWAY = ("x-runway-version", "authorization")  # headers that every request carries


class UnknownModel(ValueError):
    """The endpoint has no such model; `models` are those that it has, the nearest first, perhaps none."""

    def __init__(self, models: list[str]) -> None:
        super().__init__(models)
        self.models = models


def describe(document: Schema, endpoint: Endpoint, model: str | None = None) -> Schema:
    """An endpoint's parameters, body and response; of a body that is a union, one model or what all models share.

    {"method", "path", "summary", "parameters"?: [field], "body"?: {"models"?, "note"?, "fields": [field]}, "response":
    {name: type}}; `fields` says what a field is. Raises UnknownModel, and ValueError for a document that nests too
    deeply or says too much to be described.
    """
    fields = Fields(document)
    described: Schema = {"method": endpoint.method, "path": endpoint.path, "summary": endpoint.summary}
    with deep_nesting_as_value_error():
        parameters = list(_parameters(fields, endpoint.operation.get("parameters", [])))
        if parameters:
            described["parameters"] = parameters
        content_type, schema = fields.content(endpoint.operation.get("requestBody"))
        if schema is not None:
            described["body"] = _body(fields, schema, model)
            if content_type != "application/json":
                described["body"]["contentType"] = content_type
        elif model is not None:
            raise UnknownModel([])
        described["response"] = _response(fields, endpoint.operation.get("responses"))
        return described if model is None else _fitted(described)


class Body:
    """A body's forms that are objects, and the models that select them.

    `name` is the property that tells the forms apart, "" if none does; `labels` its values in each form.
    """

    __slots__ = ("discriminator", "forms", "labels", "name")

    def __init__(self, fields: Fields, schema: Any) -> None:
        node, _ = fields.plain(schema)
        self.discriminator = node.get("discriminator")
        self.forms = [form for form in fields.forms(schema, frozenset()) if kind_of_form(form[0]) == "object"]
        self.name = ""
        self.labels: list[list[str]] = []
        if len(self.forms) > 1 or (self.forms and self.discriminator):
            self.name, self.labels = fields.labels(self.forms, self.discriminator)
        elif self.forms and "model" in properties_of(self.forms[0][0]):
            self.name = "model"
            self.labels = fields.labels(self.forms, {"propertyName": "model"})[1]

    @property
    def models(self) -> list[str]:
        """The models that the endpoint has, perhaps none."""
        return list(dict.fromkeys(word for words in self.labels for word in words)) if self.name == "model" else []

    def forms_of(self, label: str) -> list[Form]:
        return [form for form, words in zip(self.forms, self.labels) if label in words]


def _parameters(fields: Fields, parameters: list[Any]) -> Iterator[Field]:
    """The parameters, an operation's own before those of its path, without the headers of every request."""
    seen: set[tuple[str, str]] = set()
    for parameter in parameters:
        node, below = fields.plain(parameter)
        name, place = node.get("name"), str(node.get("in"))
        if not isinstance(name, str) or (name, place) in seen or name.lower() in SENT_ANYWAY:
            continue
        seen.add((name, place))
        schema = node["schema"] if "schema" in node else fields.content(node)[1]
        field = fields.field(name, schema, node.get("required") is True, below)
        if node.get("description"):
            field["description"] = one_line(node["description"])
        yield {"name": name, "in": place, **field}


def _body(fields: Fields, schema: Any, model: str | None) -> Schema:
    """The fields of a body: of one model, of all forms, or what several models share."""
    body = Body(fields, schema)
    if model is not None:
        chosen = body.forms_of(model)
        if not chosen:
            raise UnknownModel(_by_likeness(model, body))
        below = list(fields.below("", chosen, BODY_DEPTH))
        return {"fields": [_narrowed(field, model) if field["name"] == body.name else field for field in below]}
    if not body.forms:
        return {
            "type": fields.field("", schema, True, frozenset())["type"],
            "fields": list(fields.below("", fields.forms(schema, frozenset()), BODY_DEPTH)),
        }
    if len(body.forms) < 2 or body.name != "model":
        below = list(fields.below("", body.forms, BODY_DEPTH, body.discriminator))
        return {"models": body.models, "fields": below} if body.models else {"fields": below}
    lists = [
        [field for field in fields.below("", [form], BODY_DEPTH) if field["name"] != body.name] for form in body.forms
    ]
    note = "these fields are common to all models; --model M shows all that M takes"
    return {"models": body.models, "note": note, "fields": _shared(lists)}


def _response(fields: Fields, responses: Any) -> dict[str, str]:
    """{name: type, or values} of the first success that has a body; ? behind what may be missing."""
    answers = responses.items() if isinstance(responses, dict) else ()
    successes = [fields.content(answer)[1] for status, answer in answers if str(status).startswith("2")]
    schema = next((schema for schema in successes if schema is not None), None)
    brief: dict[str, list[str]] = {}
    optional = set()
    for field in fields.below("", fields.forms(schema, frozenset()), RESPONSE_DEPTH):
        values = field.get("values", ())
        words = [str(value) for value in values if len(values) <= MAX_VALUES] or [field["type"]]
        known = brief.setdefault(field["name"], [])
        known += [word for word in words if word not in known]
        if "required" not in field or "when" in field or field["name"].rpartition(".")[0] in optional:
            optional.add(field["name"])
    parents = {name.rpartition(".")[0] for name in brief}
    return {
        name: "|".join(words) + ("?" if name in optional else "")
        for name, words in brief.items()
        if words != ["object"] or name not in parents
    }


def _shared(lists: list[list[Field]]) -> list[Field]:
    """The fields that all lists have; what they say differently is left out and named in `varies`."""
    others = [{field["name"]: field for field in fields} for fields in lists[1:]]
    shared = []
    for field in lists[0]:
        same = [field, *(other.get(field["name"], {}) for other in others)]
        if not all(same):
            continue
        keys = dict.fromkeys(key for found in same for key in found)
        varying = [key for key in keys if any(found.get(key) != field.get(key) for found in same)]
        kept = {key: value for key, value in field.items() if key not in varying}
        if "type" in varying:
            kept = {"name": kept.pop("name"), "type": joined(found["type"] for found in same), **kept}
        told = [key for key in varying if key != "description"]
        shared.append({**kept, "varies": told} if told else kept)
    return shared


def _fitted(described: Schema) -> Schema:
    """The description of a model in MODEL_SIZE bytes, or as it was where that cannot be.

    The descriptions that do not bind are left out, first where allowed values speak for themselves, then where limits
    do, the longest first; a default is left out last.
    """
    size = len(jsontext.dumps(described).encode("utf-8", "replace"))
    fields = list(described["body"]["fields"])
    spare = [number for number, field in enumerate(fields) if not is_binding(field.get("description", "must"))]
    for number in sorted(spare, key=lambda number: _worth(fields[number])):
        if size <= MODEL_SIZE:
            break
        description = fields[number]["description"]
        fields[number] = {key: value for key, value in fields[number].items() if key != "description"}
        size -= len(jsontext.dumps({"description": description}).encode("utf-8", "replace")) - 1
    return {**described, "body": {**described["body"], "fields": fields}} if size <= MODEL_SIZE else described


def _worth(field: Field) -> tuple[bool, int, int]:
    told = 0 if "values" in field else 1 if "limits" in field else 2
    return tells_default(field["description"]), told, -len(field["description"])


def _narrowed(field: Field, value: str) -> Field:
    return {key: item for key, item in {**field, "values": [value]}.items() if key not in ("limits", "description")}


def _by_likeness(model: str, body: Body) -> list[str]:
    import difflib  # only a mistyped model needs it

    words = [word for words in body.labels for word in words]
    return sorted(words, key=lambda word: -difflib.SequenceMatcher(None, model.lower(), word.lower()).ratio())


# --- Which models an API has, and what each of them lets choose from: rows for JSON and for a table of one screen.

# A model is a value of the property `model` of a JSON body. No I/O.


FIRST_COLUMNS = ("ratio", "duration")  # what a model is chosen by


def models(document: Schema) -> list[dict[str, Any]]:
    """Every model with the short names of its endpoints: [{"model", "endpoints": ["image_to_video", …]}].

    In the document's order. Raises ValueError for a document that nests too deeply.
    """
    found: dict[str, list[str]] = {}
    for endpoint in endpoints(document):
        for model in _models_of(document, endpoint):
            names = found.setdefault(model, [])
            if short_name(endpoint) not in names:
                names.append(short_name(endpoint))
    return [{"model": model, "endpoints": names} for model, names in found.items()]


def models_of(document: Schema, endpoint: Endpoint) -> list[dict[str, Any]]:
    """Each model of an endpoint with what it lets choose from: [{"model", "ratio"?, "duration"?, …}]; perhaps none.

    A field of the body whose values are listed is that list; of the fields inside of others only what must be chosen,
    such as `voice.presetId`. `duration` without a list is its range as words, such as "2-10". What a model does not
    take, or takes any value of, is left out. Raises ValueError for a document that nests too deeply.
    """
    with deep_nesting_as_value_error():
        fields = Fields(document)
        _, schema = fields.content(endpoint.operation.get("requestBody"))
        body = Body(fields, schema)
        rows = []
        for model in body.models:
            chosen = list(fields.below("", body.forms_of(model), 1))
            required = {field["name"] for field in chosen if field.get("required")}
            rows.append(
                _models_row(
                    model, [field for field in chosen if field["name"] != body.name and _is_chosen(field, required)]
                )
            )
    return rows


def short_name(endpoint: Endpoint) -> str:
    """An endpoint's path without the version: image_to_video, generate/video."""
    return re.sub(r"^/?(?:v[0-9]+/)?", "", endpoint.path)


def _models_of(document: Schema, endpoint: Endpoint) -> list[str]:
    with deep_nesting_as_value_error():
        fields = Fields(document)
        kind, schema = fields.content(endpoint.operation.get("requestBody"))
        return Body(fields, schema).models if "json" in kind else []


def _is_chosen(field: Field, required: set[str]) -> bool:
    """Whether a field is the body's own, or must be given inside one that must be given."""
    parent, dot, _ = field["name"].rpartition(".")
    return not dot or (parent in required and field["name"] in required)


def _models_row(model: str, fields: list[Field]) -> dict[str, Any]:
    choices: dict[str, Any] = {}
    for field in fields:
        name = field["name"]
        if field.get("values"):
            known = choices.get(name)
            before = known if isinstance(known, list) else []
            choices[name] = [*before, *(value for value in field["values"] if value not in before)]
        elif name == "duration" and name not in choices and _range(field):
            choices[name] = _range(field)
    ordered = sorted(choices, key=lambda name: FIRST_COLUMNS.index(name) if name in FIRST_COLUMNS else len(choices))
    return {"model": model, **{name: choices[name] for name in ordered}}


def _range(field: Field) -> str:
    """The limits of a number as words: "2-10", "at least 2", "at most 10"; "" without limits."""
    limits = field.get("limits", {})
    if "min" in limits and "max" in limits:
        return f"{limits['min']}-{limits['max']}"
    if "min" in limits:
        return f"at least {limits['min']}"
    return f"at most {limits['max']}" if "max" in limits else ""
