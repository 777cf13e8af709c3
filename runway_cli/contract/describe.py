"""Describes endpoints and models of the API's contract as short, plain values. No I/O.

A field is {"name", "type"}, "required" where it is true, and what the schema tells of "values", "default", "limits",
"when" (only with these values of other fields), "deprecated", "description" and "inside" (the names of fields that are
not shown). Its name is dotted, as `request -f` takes it.
"""

from __future__ import annotations

import re

from .. import jsontext
from ..errors import UsageError
from .schema import (
    as_list,
    beginning_of,
    binding,
    endpoints,
    full_path,
    key_of,
    matching,
    nearest_words,
    one_line,
    properties_of,
    reading,
    short_name,
    values_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from .schema import Endpoint, Schema, Schemas

    Field = dict[str, Any]

BODY_DEPTH = 6  # levels of dotted names
RESPONSE_DEPTH = 3
MAX_VALUES = 12  # of a response's field; who reads one will see which
MAX_PATTERN = 40  # characters; a longer pattern is noise
BOUNDS = {"default": "default", "when": "when", "varies": "differs by model:", "inside": "inside"}  # words of a row
LARGEST_LIMIT = 2**53 - 1  # as a limit it says only that JavaScript reads the number
SHOWN_LEVELS = 2  # of names; what is optional and further inside is only named
OBVIOUS = ("id", "name", "status", "createdAt", "updatedAt")  # keys of an answer that are shown without a description
SENT_ANYWAY = ("x-runway-version", "authorization")  # headers that every request carries
LIMITS = (
    *("minimum", "maximum", "exclusiveMinimum"),  # min, max, exclusiveMin
    *("minLength", "maxLength", "minItems", "maxItems", "pattern"),
)


def describe(document: Schema, endpoint: Endpoint, model: str | None = None, *, all_fields: bool = False) -> Schema:
    """Returns an endpoint's parameters, body and response; of a body for several models, one or what all share.

    {"method", "path", "summary"?, "parameters"?: [field], "body"?: {"models"?, "note"?, "fields": [field]}, "response":
    {name: type}, "about"?: {name of the response: description}}. Without `all_fields`, what is inside optional fields
    below SHOWN_LEVELS is only named. Raises UsageError for a model that it does not have, and ContractError where a
    document nests too deeply or says too much.
    """
    described: Schema = {"method": endpoint.method, "path": endpoint.path}
    if endpoint.summary:
        described["summary"] = endpoint.summary
    with reading(document) as schemas:
        parameters = list(_parameters(schemas, as_list(endpoint.operation.get("parameters"))))
        if parameters:
            described["parameters"] = parameters
        schema = schemas.content(endpoint.operation.get("requestBody"))
        if schema is not None or model is not None:
            described["body"] = body = _body(schemas, schema, endpoint, model)
            shown = body["fields"] if all_fields else _folded(body["fields"])
            if len(shown) < len(body["fields"]):
                notes = filter(None, (body.get("note"), "--all shows what is `inside` too"))
                body.pop("fields")
                body.update(note="; ".join(notes), fields=shown)
        described["response"], about = _response(schemas, endpoint.operation.get("responses"), all_fields)
        if about:
            described["about"] = about
    return described


def _level(name: str) -> int:
    """Returns how many names a dotted name has, without indices."""
    return sum(not part.isdigit() for part in name.split("."))


def _folded(fields: list[Field]) -> list[Field]:
    """Returns the fields without what is inside optional ones below SHOWN_LEVELS, which name it as `inside`."""
    shown: list[Field] = []
    optional: dict[str, Field] = {}
    for field in fields:
        name = field["name"]
        above = next((name[:end] for end, mark in enumerate(name) if mark == "." and name[:end] in optional), None)
        if above is None:
            shown.append(field)
            if "required" not in field and _level(name) >= SHOWN_LEVELS:
                optional[name] = field
        elif _level(inner := name[len(above) + 1 :]) == 1:
            optional[above]["inside"] = list(dict.fromkeys([*optional[above].get("inside", ()), inner]))
    return shown


def _parameters(schemas: Schemas, parameters: list[Any]) -> Iterator[Field]:
    """Yields the parameters, without the headers of every request."""
    for parameter in parameters:
        node = schemas.plain(parameter)
        name = node.get("name")
        if isinstance(name, str) and name.lower() not in SENT_ANYWAY:
            field = _field(schemas, name, node.get("schema"), node.get("required") is True)
            if node.get("description"):
                field["description"] = one_line(node["description"])
            yield {"name": name, "in": str(node.get("in")), **field}


def _body(schemas: Schemas, schema: Any, endpoint: Endpoint, model: str | None) -> Schema:
    """Describes a body: for one model, for all forms, or what several models share."""
    forms = schemas.forms(schema)
    by_model = _by_model(schemas, forms)
    if model is None:
        described = {"models": list(by_model)} if by_model else {}
        if len(forms) == 1 or not by_model:
            return {**described, "fields": list(_below(schemas, "", forms, BODY_DEPTH))}
        lists = [
            [field for field in _below(schemas, "", [form], BODY_DEPTH) if field["name"] != "model"] for form in forms
        ]
        note = "these fields are common to all models; --model M shows all that M takes"
        return {**described, "note": note, "fields": _shared(lists)}
    call = ("reference", endpoint.method, endpoint.path)
    if not by_model:
        raise UsageError(f"{endpoint.method} {endpoint.path} has no models: leave --model out", try_next=call)
    if model not in by_model:
        known = list(dict.fromkeys([*nearest_words(model, by_model), *by_model]))
        words = f"{endpoint.path} has no model {model!r}; it has {', '.join(known)}"
        raise UsageError(words, try_next=(*call, "--model", known[0]))
    fields = list(_below(schemas, "", by_model[model], BODY_DEPTH))
    for field in fields:
        if field["name"] == "model":
            field["values"] = [model]
            field.pop("description", None)
    return {"fields": fields}


def _by_model(schemas: Schemas, forms: list[Schema]) -> dict[str, list[Schema]]:
    """Returns each value of the property `model` with the forms that have it; {} where one form takes any model."""
    found: dict[str, list[Schema]] = {}
    for form in forms:
        values = schemas.values(properties_of(form).get("model"))
        if not values:
            return {}
        for value in values:
            found.setdefault(str(value), []).append(form)
    return found


def _shared(lists: list[list[Field]]) -> list[Field]:
    """Returns the fields that all lists have; what they say differently is left out and named in `varies`."""
    by_name = [{field["name"]: field for field in fields} for fields in lists]
    shared = []
    for field in lists[0]:
        same = [fields.get(field["name"], {}) for fields in by_name]
        if not all(same):
            continue
        keys = dict.fromkeys(key for found in same for key in found)
        varying = [key for key in keys if any(found.get(key) != field.get(key) for found in same)]
        kept = {key: value for key, value in field.items() if key not in varying}
        if "type" in varying:
            kept = {"name": kept.pop("name"), "type": joined(found["type"] for found in same), **kept}
        told = [key for key in varying if key != "description" or any(binding(found.get(key)) for found in same)]
        shared.append({**kept, "varies": told} if told else kept)
    return shared


def _response(schemas: Schemas, responses: Any, all_fields: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Returns {name: type, or values} of the first success that has a body, ? after what may be missing.

    And {name: description}, unless the one above has one already.
    """
    answers = responses.items() if isinstance(responses, dict) else ()
    successes = [schemas.content(answer) for status, answer in answers if str(status).startswith("2")]
    schema = next((schema for schema in successes if schema is not None), None)
    brief: dict[str, dict[str, None]] = {}
    about: dict[str, str] = {}
    optional = set()
    for field in _below(schemas, "", schemas.forms(schema), RESPONSE_DEPTH):
        name, values = field["name"], field.get("values", ())
        words = map(str, values) if 0 < len(values) <= MAX_VALUES else [field["type"]]
        brief.setdefault(name, {}).update(dict.fromkeys(words))
        parent, _, key = name.rpartition(".")
        if "required" not in field or "when" in field or parent in optional:
            optional.add(name)
        if "description" in field and key not in OBVIOUS and (all_fields or parent not in about):
            about.setdefault(name, field["description"])
    parents = {name.rpartition(".")[0] for name in brief}
    types = {
        name: "|".join(words) + ("?" if name in optional else "")
        for name, words in brief.items()
        if list(words) != ["object"] or name not in parents
    }
    return types, about


def _below(schemas: Schemas, prefix: str, forms: list[Schema], depth: int) -> Iterator[Field]:
    """Yields the fields inside a value that has one of these forms, each named with `prefix` before it.

    Of several objects each field comes once; one that not all of them have says `when` it applies.
    """
    objects = [form for form in forms if form.get("type", "object") == "object"]
    name, tags = schemas.told_apart(objects) if objects else ("", [])
    titles = [[form.get("title") or f"form {number} of {len(objects)}"] for number, form in enumerate(objects, 1)]
    found: dict[tuple[str, str], tuple[Field, list[str]]] = {}
    for form, values in zip(objects, tags or titles):
        for field in _properties(schemas, prefix, form, depth):
            tells_apart = bool(name) and field["name"] == prefix + name
            facts = {key: value for key, value in field.items() if key != "description"}
            key = (field["name"], "" if tells_apart else jsontext.dumps(facts))
            known, labels = found.setdefault(key, (field, []))
            labels += map(str, values)
            if tells_apart and known is not field:
                known.setdefault("values", []).extend(field.get("values", ()))
                known.pop("description", None)
    everywhere = sum(map(len, tags or titles))
    for field, labels in found.values():
        if len(labels) < everywhere:
            outer = (f"{prefix}{name}=" if name else "") + "|".join(labels)
            field["when"] = f"{outer}, {field['when']}" if "when" in field else outer
        yield field
    for form in forms:
        if "items" in form and depth > 0:
            yield from _below(schemas, prefix + "0.", schemas.forms(form["items"]), depth - 1)


def _properties(schemas: Schemas, prefix: str, form: Schema, depth: int) -> Iterator[Field]:
    inner, free = dict(properties_of(form)), form.get("additionalProperties")
    if isinstance(free, dict) and free:
        key = schemas.plain(form.get("propertyNames")).get("format", "key")
        inner[f"{{{key}}}"] = free
    for name, schema in inner.items():
        yield _field(schemas, prefix + name, schema, name in as_list(form.get("required")))
        if depth > 0:
            yield from _below(schemas, f"{prefix}{name}.", schemas.forms(schema), depth - 1)


def _field(schemas: Schemas, name: str, schema: Any, required: bool) -> Field:
    """Returns one field, without those below it."""
    node, forms = schemas.plain(schema), schemas.forms(schema)
    type_, values, limits = _facts(schemas, forms)
    description = _description(node, forms)
    is_told = type_.startswith("uri (") and "data URI" in description
    told = (
        ("required", True, required),
        ("values", values, values),
        ("default", node.get("default"), "default" in node),
        ("limits", limits, limits),
        ("deprecated", True, node.get("deprecated") is True),
        ("description", description, description and not is_told),
    )
    return {"name": name, "type": type_, **{key: value for key, value, is_said in told if is_said}}


def _facts(schemas: Schemas, forms: list[Schema]) -> tuple[str, list[Any], dict[str, Any]]:
    """Returns type, allowed values (empty: any) and limits of a value that has one of these forms."""
    types: list[str] = []
    values: list[Any] = []
    limits: dict[str, Any] = {}
    lengths: dict[str, Any] = {}  # of each kind of URI, None where it has no limit
    constant = all(values_of(form) is not None for form in forms if form.get("type") != "null")
    for form in forms:
        allowed = values_of(form) or []
        if scheme_of(form):
            lengths[scheme_of(form)] = form.get("maxLength")
            continue
        if allowed and not constant:
            types += [f'"{value}"' for value in allowed]
        elif form.get("type") == "array":
            inner, values_inside, limits_inside = _facts(schemas, schemas.forms(form.get("items")))
            types.append(f"array of {inner}" if " | " not in inner else f"array of ({inner})")
            values += values_inside
            _widen(limits, limits_inside)
        else:
            types.append(str(form.get("format") or form.get("type", "any")))
        values += allowed if constant else ()
        _widen(limits, _limits(form))
    if lengths:
        types.insert(0, f"uri ({', '.join(lengths)})")
        told = {scheme: length for scheme, length in lengths.items() if length is not None}
        if told:
            same = next(iter(told.values()))
            limits = {"maxLength": same if list(lengths.values()) == [same] * len(lengths) else told, **limits}
    return joined(types), list({key_of(value): value for value in values}.values()), limits


def scheme_of(form: Schema) -> str:
    """Returns what kind of URI a string has to be: https, runway, data:image…; "" where nothing says so."""
    begin = beginning_of(form)
    return begin.rstrip(":/") if ":" in begin else ""


def _limits(form: Schema) -> dict[str, Any]:
    """Returns the limits that tell more than the type, or common sense, has told."""
    found = {key.replace("imum", ""): form[key] for key in LIMITS if key in form}
    if "format" in form or len(str(found.get("pattern"))) > MAX_PATTERN:
        found.pop("pattern", None)
    return {key: value for key, value in found.items() if not isinstance(value, int) or abs(value) < LARGEST_LIMIT}


def _widen(limits: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Lets `limits` allow what `more` allows."""
    for key, value in more.items():
        known = limits.get(key, value)
        comparable = isinstance(value, (int, float)) and isinstance(known, (int, float))
        limits[key] = (min if "min" in key.lower() else max)(known, value) if comparable else value


def joined(types: Iterable[str]) -> str:
    """Returns types as one, each part once, null last: `string` and `string | null` are `string | null`."""
    outside_parentheses = r" \| (?![^(]*\))"
    parts = dict.fromkeys(part for type_ in types for part in re.split(outside_parentheses, type_))
    return " | ".join(sorted(parts, key=lambda part: part == "null"))


def _description(node: Schema, forms: list[Schema]) -> str:
    """Returns what is said of a value, and what the descriptions of its forms add that binds."""
    line = one_line(node.get("description") or node.get("title"))
    for form in forms if len(forms) > 1 else ():
        more = binding(form.get("description"))
        if more not in line:
            line = f"{line} {more}".lstrip()
    return line


def field_rows(fields: Iterable[Field]) -> list[dict[str, str]]:
    """Returns each field as a row of texts: name, type, required, values (and all else that bounds it), description."""
    rows = []
    for field in fields:
        told = {BOUNDS[key]: value for key, value in field.items() if key in BOUNDS}
        words = [f"{key} {_words(value)}" for key, value in {**field.get("limits", {}), **told}.items()]
        rows.append(
            {
                "name": field["name"],
                "type": field["type"] + (f" ({field['in']})" if "in" in field else ""),
                "required": "yes" if "required" in field else "",
                "values": "; ".join(filter(None, [_words(field.get("values", []), " | "), *words])),
                "description": field.get("description", ""),
            }
        )
    return rows


def _words(value: Any, mark: str = ", ") -> str:
    """Returns a value as words: a limit that differs by the kind of URI as `9 (https), 8 (runway)`."""
    if isinstance(value, dict):
        return mark.join(f"{_words(item)} ({kind})" for kind, item in value.items())
    if isinstance(value, list):
        return mark.join(map(_words, value))
    return value if isinstance(value, str) else jsontext.dumps(value)


def models(document: Schema) -> list[dict[str, Any]]:
    """Returns every model with the short names of its endpoints: [{"model", "endpoints": ["image_to_video", …]}].

    A model is a value of the property `model` of a JSON body. In the document's order. Raises ContractError.
    """
    found: dict[str, dict[str, None]] = {}
    with reading(document) as schemas:
        for endpoint in endpoints(document):
            for model in _by_model(schemas, schemas.forms(schemas.content(endpoint.operation.get("requestBody")))):
                found.setdefault(model, {})[short_name(endpoint.path)] = None
    return [{"model": model, "endpoints": list(names)} for model, names in found.items()]


def models_of(document: Schema, endpoint: Endpoint) -> list[dict[str, Any]]:
    """Returns each model of an endpoint with what it lets choose from: [{"model", "ratio"?, …, "required"?}].

    A field of the body whose values are listed is that list; of the fields inside others only what must be chosen, such
    as `voice.presetId`. `duration` without a list is its range or type in words, such as "2-10", "4-15 or auto" or
    "integer". `required` names the required fields that are not lists. Raises ContractError.
    """
    with reading(document) as schemas:
        forms = schemas.forms(schemas.content(endpoint.operation.get("requestBody")))
        by_model = _by_model(schemas, forms).items()
        return [{"model": model, **_choosable(list(_below(schemas, "", forms, 1)))} for model, forms in by_model]


def choices(document: Schema, name: str, model: str | None) -> dict[str, list[str]]:
    """Returns each field of a POST with the values that it may have, [] for any: for a model, else for all of them."""
    endpoint = next((each for each in matching(endpoints(document), full_path(name)) if each.method == "POST"), None)
    body = describe(document, endpoint).get("body", {}) if endpoint else {}
    models = body.get("models", [])
    known = models if model is None or model not in models else [model]
    bodies = [describe(document, endpoint, each, all_fields=True)["body"] for each in known if endpoint]
    found: dict[str, dict[str, None]] = {"model": {}} if models else {}
    for field in [field for each in bodies or [body] for field in each.get("fields", ())]:
        found.setdefault(field["name"], {}).update(dict.fromkeys(map(str, field.get("values", ()))))
    return {name: list(values) for name, values in found.items()}


def _choosable(fields: list[Field]) -> dict[str, Any]:
    required = {field["name"] for field in fields if field.get("required")} - {"model"}
    lists: dict[str, dict[Any, Any]] = {"ratio": {}, "duration": {}}  # what a model is chosen by comes first
    ranges: dict[str, str] = {}
    for field in fields:
        name, values, limits = field["name"], field.get("values", ()), field.get("limits", {})
        parent, dot, _ = name.rpartition(".")
        if name != "model" and (not dot or required.issuperset((parent, name))):
            lists.setdefault(name, {}).update((key_of(value), value) for value in values)
        if name == "duration":
            words = sorted(field["type"].split(" | "), key=lambda word: '"' in word)  # such as integer and "auto"
            if {"min", "max"} <= limits.keys():
                words[0] = "{min}-{max}".format(**limits)
            ranges[name] = " or ".join(word.strip('"') for word in words)
    choices = {name: list(values.values()) or ranges.get(name) for name, values in lists.items()}
    parents = {name.rpartition(".")[0] for name in lists if lists[name]}
    rest = [name for name in lists if name in required - parents and not lists[name]]
    return {**{name: found for name, found in choices.items() if found}, **({"required": rest} if rest else {})}
