"""Describes endpoints and models of the API's contract as short, plain values. No I/O.

A field is {"name", "type"}, "required" where it is true, and what the schema says about "values", "default", "limits",
"when" (only with these values of other fields), "deprecated", "description" and "inside" (the names of fields that are
not shown). Its name is dotted, as `request -f` takes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..errors import UsageError
from ..jsontext import Json, dumps
from .schema import Endpoint, Schema, Schemas, beginning_of, key_of, nearest_words, one_line, reading, values_of

Field = dict[str, Json]

BODY_DEPTH = 6  # levels of dotted names below the first
RESPONSE_DEPTH = 3
MAX_VALUES = 12  # of a response's field: the answer itself shows which one applies
OBVIOUS = ("id", "name", "status", "createdAt", "updatedAt")  # keys of an answer that are shown without a description
SENT_ANYWAY = ("x-runway-version", "authorization")  # headers that every request carries
LIMITS = ("minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems", "maxItems", "pattern")


def describe(document: Schema, endpoint: Endpoint, model: str | None = None, *, all_fields: bool = False) -> Schema:
    """Returns an endpoint's parameters, body and response; of a body for several models, one or what all share.

    {"method", "path", "summary"?, "parameters"?: [field], "body"?: {"models"?, "note"?, "fields": [field]}, "response":
    {name: type}, "about"?: {name of the response: description}}. Without `all_fields`, what is inside an optional field
    of the second level or below is only named. Raises UsageError for a model that it does not have, and ContractError
    where a document nests too deeply or is too large.
    """
    with reading(document) as schemas:
        parameters = []
        for parameter in map(schemas.plain, endpoint.operation.get("parameters", ())):
            name, schema = str(parameter.get("name")), schemas.plain(parameter.get("schema"))
            if name.lower() not in SENT_ANYWAY:
                schema = {"description": parameter.get("description"), **schema}
                field = _field(schemas, name, schema, parameter.get("required") is True)
                parameters.append({"name": name, "in": parameter.get("in"), **field})
        body = _body(schemas, endpoint, model, all_fields) if model or schemas.body(endpoint) != [{}] else None
        response, about = _response(schemas, endpoint, all_fields)
    described: Schema = {"method": endpoint.method, "path": endpoint.path, "summary": endpoint.summary}
    described.update(parameters=parameters, body=body, response=response, about=about)
    return {key: value for key, value in described.items() if value or key == "response"}


def _body(schemas: Schemas, endpoint: Endpoint, model: str | None, all_fields: bool) -> Schema:
    """Describes a body: for one model, for all forms, or what several models share."""
    forms, by_model = schemas.body(endpoint), schemas.by_model(endpoint)
    groups = [[form] for form in forms] if by_model else [forms]
    if model is not None:
        call = ("reference", endpoint.method, endpoint.path)
        if not by_model:
            raise UsageError(f"{endpoint.method} {endpoint.path} has no models: leave --model out", try_next=call)
        if model not in by_model:
            known = list(dict.fromkeys([*nearest_words(model, by_model), *by_model]))
            words = f"{endpoint.path} has no model {model!r}; it has {', '.join(known)}"
            raise UsageError(words, try_next=(*call, "--model", known[0]))
        only = {"model": {"type": "string", "const": model}}
        groups = [[{**form, "properties": {**form["properties"], **only}} for form in by_model[model]]]
    lists = [list(_below(schemas, "", group, BODY_DEPTH, not all_fields)) for group in groups]
    fields = _shared(lists) if len(lists) > 1 else lists[0]
    notes = ["these fields are common to all models; --model M shows all that M takes"] if len(lists) > 1 else []
    if any("inside" in field for field in fields):
        notes.append("--all shows what is `inside` too")
    body = {"models": [] if model else list(by_model), "note": "; ".join(notes)}
    return {**{key: value for key, value in body.items() if value}, "fields": fields}


def _shared(lists: list[list[Field]]) -> list[Field]:
    """Returns the fields that all lists have, except `model`; the facts in which they differ are named in `varies`."""
    by_name = [{field["name"]: field for field in fields if field["name"] != "model"} for fields in lists]
    shared = []
    for name, field in by_name[0].items():
        same = [fields[name] for fields in by_name if name in fields]
        if len(same) == len(lists):
            keys = dict.fromkeys(key for each in same for key in each)
            varies = [key for key in keys if any(each.get(key) != field.get(key) for each in same)]
            kept = {key: value for key, value in field.items() if key not in varies}
            more = {"varies": varies} if varies else {}
            shared.append({"name": name, "type": joined(each["type"] for each in same), **kept, **more})
    return shared


def _response(schemas: Schemas, endpoint: Endpoint, all_fields: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Returns {name: type or values, ? if optional} of the first success with a body, and {name: description}."""
    answers = schemas.plain(endpoint.operation.get("responses")).items()
    successes = (schemas.content(answer) for status, answer in answers if str(status).startswith("2"))
    brief: dict[str, dict[str, None]] = {}
    about: dict[str, str] = {}
    optional = set()
    for field in _below(schemas, "", schemas.forms(next(filter(None, successes), None)), RESPONSE_DEPTH):
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


def _below(schemas: Schemas, prefix: str, forms: list[Schema], depth: int, folded: bool = False) -> Iterator[Field]:
    """Yields the fields inside a value that has one of these forms, each named with `prefix` before it.

    Of several objects each field comes once; one that not all of them have says `when` it applies. `depth` is the
    number of levels of names below these.
    """
    objects = [form for form in forms if form.get("type", "object") == "object"]
    name, tags = schemas.told_apart(objects)
    titles = [[form.get("title") or f"form {number} of {len(objects)}"] for number, form in enumerate(objects, 1)]
    found: dict[tuple[str, str], tuple[Field, list[str]]] = {}
    for form, values in zip(objects, tags or titles):
        for field in _properties(schemas, prefix, form, depth, folded):
            if name and field["name"] == prefix + name:  # the discriminator is one field, with the values of all forms
                field["values"] = list(dict.fromkeys(tag for each in tags for tag in each))
                field.pop("description", None)
            facts = dumps({key: value for key, value in field.items() if key != "description"})
            found.setdefault((field["name"], facts), (field, []))[1].extend(map(str, values))
    everywhere = sum(map(len, tags or titles))
    for field, labels in found.values():
        if len(labels) < everywhere:
            outer = (f"{prefix}{name}=" if name else "") + "|".join(labels)
            field["when"] = f"{outer}, {field['when']}" if "when" in field else outer
        yield field
    for form in forms:
        if "items" in form:
            yield from _below(schemas, prefix + "0.", schemas.forms(form["items"]), depth, folded)


def _properties(schemas: Schemas, prefix: str, form: Schema, depth: int, folded: bool) -> Iterator[Field]:
    inner, free = dict(form.get("properties", {})), form.get("additionalProperties")
    if isinstance(free, dict) and free:
        key = schemas.plain(form.get("propertyNames")).get("format", "key")
        inner[f"{{{key}}}"] = free
    for name, schema in inner.items():
        dotted, forms = prefix + name, schemas.forms(schema)
        field = _field(schemas, dotted, schema, name in form.get("required", ()))
        if folded and depth < BODY_DEPTH and "required" not in field:
            names = [each["name"][len(dotted) + 1 :] for each in _below(schemas, f"{dotted}.", forms, 0)]
            yield {**field, "inside": list(dict.fromkeys(names))} if names else field
        else:
            yield field
            if depth > 0:
                yield from _below(schemas, f"{dotted}.", forms, depth - 1, folded)


def _field(schemas: Schemas, name: str, schema: Json, required: bool) -> Field:
    """Returns one field, without those below it."""
    node, forms = schemas.plain(schema), schemas.forms(schema)
    type_, values, limits = _facts(schemas, forms)
    description = one_line(node.get("description") or node.get("title"))
    for form in forms if len(forms) > 1 else ():  # add their binding sentences
        more = one_line(form.get("description"), binding_only=True)
        description = description if more in description else f"{description} {more}".lstrip()
    if type_.startswith("uri (") and "data URI" in description:  # the type says it
        description = ""
    field: Field = {"name": name, "type": type_, "required": required, "values": values, "default": node.get("default")}
    field.update(limits=limits, deprecated=node.get("deprecated") is True, description=description)
    return {key: value for key, value in field.items() if value or (key == "default" and value is not None)}


def _facts(schemas: Schemas, forms: list[Schema]) -> tuple[str, list[Json], dict[str, Json]]:
    """Returns type, allowed values (empty: any) and limits of a value that has one of these forms."""
    types: list[str] = []
    values: list[Json] = []
    limits: dict[str, Json] = {}
    lengths: dict[str, Json] = {}  # of each kind of URI, None where it has no limit
    constant = all(values_of(form) for form in forms if form.get("type") != "null")
    for form in forms:
        allowed, scheme = values_of(form), beginning_of(form).rstrip(":/")
        if scheme:
            lengths[scheme] = form.get("maxLength")
            continue
        told = {key.replace("imum", ""): form[key] for key in LIMITS if key in form}
        if "format" in form:  # it says the same as the pattern
            told.pop("pattern", None)
        if form.get("type") == "array":
            inner, inside, its_limits = _facts(schemas, schemas.forms(form.get("items")))
            types.append(f"array of ({inner})" if " | " in inner else f"array of {inner}")
            values += inside
            told = {**its_limits, **told}
        elif allowed and not constant:
            types += [f'"{value}"' for value in allowed]
        else:
            types.append(str(form.get("format") or form.get("type", "any")))
        values += allowed if constant else ()
        for key, limit in told.items():  # the widest of all forms
            known = limits.get(key, limit)
            is_number = isinstance(limit, (int, float)) and isinstance(known, (int, float))
            limits[key] = (min if "min" in key.lower() else max)(known, limit) if is_number else limit
    if lengths:
        types.insert(0, f"uri ({', '.join(lengths)})")
        if told := {scheme: length for scheme, length in lengths.items() if length is not None}:
            limits = {"maxLength": told if len({*lengths.values()}) > 1 else max(told.values()), **limits}
    return joined(types), list({key_of(value): value for value in values}.values()), limits


def joined(types: Iterable[str]) -> str:
    """Returns types as one, each part once, null last: `string` and `string | null` are `string | null`."""
    parts = dict.fromkeys(part for type_ in types for part in re.split(r" \| (?![^(]*\))", type_))  # not inside ( )
    return " | ".join(sorted(parts, key=lambda part: part == "null"))


def field_rows(fields: Iterable[Field]) -> list[dict[str, str]]:
    """Returns each field as a row of texts: name, type, required, values (and other limits), description."""
    rows = []
    for field in fields:
        told = {"default": "default", "when": "when", "varies": "differs by model:", "inside": "inside"}
        bounds = {**field.get("limits", {}), **{told[key]: value for key, value in field.items() if key in told}}
        values = [_words(field["values"], " | ")] if "values" in field else []
        rows.append(
            {
                "name": field["name"],
                "type": field["type"] + (f" ({field['in']})" if "in" in field else ""),
                "required": "yes" if "required" in field else "",
                "values": "; ".join([*values, *(f"{key} {_words(value)}" for key, value in bounds.items())]),
                "description": field.get("description", ""),
            }
        )
    return rows


def _words(value: Json, mark: str = ", ") -> str:
    """Returns a value as words: a limit that differs by the kind of URI as `9 (https), 8 (runway)`."""
    if isinstance(value, dict):
        return mark.join(f"{_words(item)} ({kind})" for kind, item in value.items())
    if isinstance(value, list):
        return mark.join(map(_words, value))
    return value if isinstance(value, str) else dumps(value)


def models_of(document: Schema, endpoint: Endpoint) -> list[dict[str, Json]]:
    """Returns each model of an endpoint with its choices: [{"model", "ratio"?, …, "required"?}].

    A field of the body is the list of its allowed values; of fields inside others only required ones are included, such
    as `voice.presetId`. `duration` without a list is its range or type in words, such as "2-10", "4-15 or auto" or
    "integer". `required` names the required fields that are not lists. Raises ContractError.
    """
    rows = []
    with reading(document) as schemas:
        for model, forms in schemas.by_model(endpoint).items():
            fields = [field for field in _below(schemas, "", forms, 1) if field["name"] != "model"]
            required = {field["name"] for field in fields if "required" in field}
            found: dict[str, dict[Json, Json]] = {"ratio": {}, "duration": {}}  # the main criteria come first
            length = ""
            for field in fields:
                name, limits = field["name"], field.get("limits", {})
                parent, dot, _ = name.rpartition(".")
                if not dot or required.issuperset((parent, name)):
                    found.setdefault(name, {}).update((key_of(value), value) for value in field.get("values", ()))
                if name == "duration":
                    numbers = "{min}-{max}".format(**limits) if {"min", "max"} <= limits.keys() else ""
                    words = sorted(field["type"].split(" | "), key=lambda word: '"' in word)
                    length = " or ".join(word.strip('"') if '"' in word else numbers or word for word in words)
            lists = {name: list(values.values()) for name, values in found.items() if values}
            parents = {name.rpartition(".")[0] for name in lists}
            rest = [name for name in found if name in required - parents and name not in lists]
            chosen = {name: lists.get(name) or (length if name == "duration" else None) for name in found}
            row = {"model": model, **chosen, "required": rest}
            rows.append({key: value for key, value in row.items() if value})
    return rows
