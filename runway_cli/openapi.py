"""What an OpenAPI document, 3.0 or 3.1, says of an API, as plain values that are short to read. No I/O.

A schema becomes a flat list of fields with dotted names, as `request -f` takes them: {"name", "type"}, "required" where
it is true, and what the schema tells of "values", "default", "limits", "when" (only with these values of other fields),
"deprecated" and "description".
"""

from __future__ import annotations

import re

from .jsontext import Number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    Schema = dict[str, Any]
    Field = dict[str, Any]
    Seen = frozenset[str]
    Form = tuple[Schema, Seen]

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE")
LONGEST_DESCRIPTION = 100  # characters
LONGEST_PATTERN = 40  # characters; a longer one is noise
LARGEST_LIMIT = 2**53 - 1  # as a limit it says only that JavaScript reads the number
BODY_DEPTH = 6  # levels of dotted names
RESPONSE_DEPTH = 3
MOST_VALUES = 12  # of a response's field; an agent that reads one will see which
NEAR = 3  # names that an error suggests

_LIMITS = {
    "minimum": "min", "maximum": "max", "exclusiveMinimum": "exclusiveMin", "exclusiveMaximum": "exclusiveMax",
    "multipleOf": "multipleOf", "minLength": "minLength", "maxLength": "maxLength", "minItems": "minItems",
    "maxItems": "maxItems", "minProperties": "minProperties", "maxProperties": "maxProperties", "pattern": "pattern",
}
_SENT_ANYWAY = ("x-runway-version", "authorization")  # headers that every request carries
_MEDIA = re.compile(r"\^(https|runway|data)\b(?::(\w+))?")
_WEIGHTY = re.compile(r"default|must|requir|\bonly\b|cannot|at most|deprecated", re.IGNORECASE)


class Endpoint:
    """One operation: `method` in capitals, `path` a template, `summary` one line, `operation` with all parameters."""

    __slots__ = ("method", "operation", "path", "summary")

    def __init__(self, method: str, path: str, operation: Schema) -> None:
        self.method = method
        self.path = path
        self.operation = operation
        self.summary = one_line(operation.get("summary") or operation.get("description")
                                or operation.get("operationId"))


class UnknownModel(ValueError):
    """The endpoint has no such model; `models` are those that it has, the nearest first, perhaps none."""

    def __init__(self, models: list[str]) -> None:
        super().__init__(models)
        self.models = models


def is_openapi(document: Any) -> bool:
    """Whether a JSON value is an OpenAPI document with endpoints."""
    return isinstance(document, dict) and isinstance(document.get("paths"), dict)


def endpoints(document: Schema) -> list[Endpoint]:
    """Every operation, in the document's order."""
    schemas = _Schemas(document)
    found = []
    for path, written in document["paths"].items():
        item, _ = schemas.plain(written)
        for key, operation in item.items():
            if key.upper() in METHODS and isinstance(operation, dict):
                parameters = [*_list(operation.get("parameters")), *_list(item.get("parameters"))]
                found.append(Endpoint(key.upper(), path, {**operation, "parameters": parameters}))
    return found


def matching(known: Iterable[Endpoint], path: str) -> list[Endpoint]:
    """The endpoints that a path leads to, concrete or a template, the most literal ones first."""
    words = _segments(path)
    ranked = []
    for endpoint in known:
        pattern = _segments(endpoint.path)
        if len(words) == len(pattern) and all(map(_fits, words, pattern)):
            ranked.append((sum(word != part for word, part in zip(words, pattern)), endpoint))
    return [endpoint for _, endpoint in sorted(ranked, key=lambda pair: pair[0])]


def nearest(known: Iterable[Endpoint], path: str) -> list[str]:
    """The paths most like a mistyped one."""
    import difflib  # only a mistyped path needs it

    paths = {endpoint.path: "/".join(_segments(endpoint.path)) for endpoint in known}
    near = difflib.get_close_matches("/".join(_segments(path)), list(paths.values()), NEAR, 0.6)
    return [next(path for path, plain in paths.items() if plain == found) for found in near]


def describe(document: Schema, endpoint: Endpoint, model: str | None = None) -> Schema:
    """An endpoint's parameters, body and response; of a body that is a union, one model or what all models share.

    Raises UnknownModel.
    """
    schemas = _Schemas(document)
    described: Schema = {"method": endpoint.method, "path": endpoint.path, "summary": endpoint.summary}
    parameters = list(_parameters(schemas, endpoint.operation["parameters"]))
    if parameters:
        described["parameters"] = parameters
    content_type, schema = _content(schemas, endpoint.operation.get("requestBody"))
    if schema is not None:
        described["body"] = _body(schemas, schema, model)
        if content_type != "application/json":
            described["body"]["contentType"] = content_type
    elif model is not None:
        raise UnknownModel([])
    described["response"] = _response(schemas, endpoint.operation.get("responses"))
    return described


def one_line(text: Any) -> str:
    """Markdown as a line of LONGEST_DESCRIPTION characters at most: its first sentence, then those that bind."""
    if not isinstance(text, str):
        return ""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(text.split()))
    parts = re.split(r"(?<=[.!?]) (?=[A-Z`])", text)
    sentences = [part for part in parts if not part.startswith(("See ", "You can read"))]
    if not sentences:
        return ""
    if len(sentences[0]) > LONGEST_DESCRIPTION:
        return sentences[0][: LONGEST_DESCRIPTION - 1].rpartition(" ")[0].rstrip(" ,;:.") + "…"
    line = sentences[0]
    for sentence in sentences[1:]:
        if _WEIGHTY.search(sentence) and len(line) + 1 + len(sentence) <= LONGEST_DESCRIPTION:
            line += " " + sentence
    return line


class _Schemas:
    """Reads the schemas of one document. `seen` are the references on the way to a schema: they end its cycles."""

    def __init__(self, document: Schema) -> None:
        self.document = document

    def plain(self, schema: Any, seen: Seen = frozenset()) -> Form:
        """An object of the document with its `$ref` and `allOf` carried out."""
        if not isinstance(schema, dict):  # JSON Schema's true and false too
            return {}, seen
        parts = _list(schema.get("allOf"))
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        ref = schema.get("$ref")
        if isinstance(ref, str):
            if ref in seen:
                return {"type": "object (recursive)", **own}, seen
            seen |= {ref}
            parts = [self._pointed(ref), {"x-ref": ref}, *parts]
        found: Schema = {}
        for part in parts:
            inner, seen = self.plain(part, seen)
            found = _merged(found, inner)
        return _merged(found, own), seen

    def forms(self, schema: Any, seen: Seen) -> list[Form]:
        """What a value may look like: a schema without `oneOf`, `anyOf` and lists of types for each form."""
        node, seen = self.plain(schema, seen)
        key = next((key for key in ("oneOf", "anyOf") if _list(node.get(key))), None)
        if key:
            base = {name: value for name, value in node.items() if name not in (key, "description", "title", "x-ref")}
            inner = [(self.plain(branch, seen)) for branch in node[key]]
            found = [form for branch, below in inner for form in self.forms(_merged(base, branch), below)]
        elif isinstance(node.get("type"), list):
            found = [({**node, "type": kind}, seen) for kind in node["type"]]
        else:
            found = [(node, seen)]
        if node.get("nullable") is True and not any(form.get("type") == "null" for form, _ in found):
            found.append(({"type": "null"}, seen))
        return found

    def field(self, name: str, schema: Any, required: bool, seen: Seen) -> Field:
        """One field, without those below it."""
        node, _ = self.plain(schema, seen)
        type_, values, limits = self._facts(self.forms(schema, seen))
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
        description = one_line(node.get("description") or node.get("title"))
        if description and not (type_.startswith("uri (") and "data URI" in description):  # which the type says
            field["description"] = description
        return field

    def below(self, prefix: str, forms: Iterable[Form], depth: int, discriminator: Any = None) -> Iterator[Field]:
        """The fields inside a value, each named with `prefix` before it."""
        forms = list(forms)
        objects = [form for form in forms if _kind(form[0]) == "object"]
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
        candidates = [named] if named else [*forms[0][0].get("properties", ())]
        for candidate in candidates:
            found = [self._told(form, candidate, discriminator) for form in forms]
            if all(found) and (named or len({word for words in found for word in words}) == sum(map(len, found))):
                return candidate, found
        return "", [[str(form.get("title") or f"form {number} of {len(forms)}")]
                    for number, (form, _) in enumerate(forms, 1)]

    def _told(self, form: Form, name: str, discriminator: Any) -> list[str]:
        """The values of a property that mean this form: its constants, else what the discriminator maps to it."""
        node, seen = form
        values = self._facts(self.forms(node.get("properties", {}).get(name), seen))[1]
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
        required = _list(node.get("required"))
        properties = node.get("properties")
        inner = [(name, schema, name in required) for name, schema in (properties or {}).items()]
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
        merged: list[tuple[Field, list[str]]] = []
        for form, words in zip(objects, labels):
            for field in self._properties(prefix, form, depth):
                _lay(field, words, merged, prefix + name)
        everywhere = sum(map(len, labels))
        for field, words in merged:
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
        media = [scheme for form, _ in forms for scheme in [_scheme(form)] if scheme]
        constant = all(_values(form) is not None for form, _ in forms if form.get("type") != "null")
        for form, seen in forms:
            allowed = _values(form)
            if _scheme(form):
                types.append(f"uri ({', '.join(dict.fromkeys(media))})")
            elif allowed is not None and not constant:
                types += [f'"{value}"' for value in allowed]
            elif _kind(form) == "array":
                inner, values_inside, limits_inside = self._facts(self.forms(form.get("items"), seen))
                types.append(f"array of {inner}" if " | " not in inner else f"array of ({inner})")
                values += values_inside
                _widen(limits, limits_inside)
            else:
                types.append(_type(form))
            values += allowed or [] if constant else []
            _widen(limits, _limits(form))
        types = sorted(dict.fromkeys(types), key=lambda kind: kind == "null")
        return " | ".join(types), list(dict.fromkeys(map(_hashable, values))), limits

    def _pointed(self, ref: str) -> Any:
        """What a reference into this document points at (RFC 6901); {} for any other."""
        from urllib.parse import unquote

        node: Any = self.document if ref.startswith("#") else {}
        for part in ref[1:].split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and name.isdigit() and int(name) < len(node):
                node = node[int(name)]
            else:
                node = node.get(name) if isinstance(node, dict) else None
        return node


def _parameters(schemas: _Schemas, parameters: list[Any]) -> Iterator[Field]:
    """The parameters, an operation's own before those of its path, without the headers of every request."""
    seen: set[tuple[Any, Any]] = set()
    for parameter in parameters:
        node, below = schemas.plain(parameter)
        name, place = node.get("name"), node.get("in")
        if not isinstance(name, str) or (name, place) in seen or name.lower() in _SENT_ANYWAY:
            continue
        seen.add((name, place))
        schema = node["schema"] if "schema" in node else _content(schemas, node)[1]
        field = schemas.field(name, schema, node.get("required") is True, below)
        if node.get("description"):
            field["description"] = one_line(node["description"])
        yield {"name": name, "in": place, **field}


def _body(schemas: _Schemas, schema: Any, model: str | None) -> Schema:
    """The fields of a body: of one model, of all forms, or what several models share."""
    node, seen = schemas.plain(schema)
    forms = [form for form in schemas.forms(schema, frozenset()) if _kind(form[0]) == "object"]
    discriminator = node.get("discriminator")
    if not forms:
        return {"type": schemas.field("", schema, True, seen)["type"],
                "fields": list(schemas.below("", schemas.forms(schema, frozenset()), BODY_DEPTH))}
    name, labels = schemas.labels(forms, discriminator) if len(forms) > 1 or discriminator else ("model", [])
    labels = labels or [schemas.labels(forms, {"propertyName": "model"})[1][0]] * ("model" in _names(forms[0]))
    if model is not None:
        chosen = [form for form, words in zip(forms, labels) if model in words]
        if not chosen:
            raise UnknownModel(_by_likeness(model, labels))
        fields = list(schemas.below("", chosen, BODY_DEPTH))
        return {"fields": [_narrowed(field, model) if field["name"] == name else field for field in fields]}
    models = [word for words in labels for word in words] if name == "model" else []
    if len(forms) < 2 or name != "model":
        fields = list(schemas.below("", forms, BODY_DEPTH, discriminator))
        return {"models": models, "fields": fields} if models else {"fields": fields}
    lists = [[field for field in schemas.below("", [form], BODY_DEPTH) if field["name"] != name] for form in forms]
    return {"models": models, "note": "these fields are common to all models; --model M shows all that M takes",
            "fields": _shared(lists)}


def _response(schemas: _Schemas, responses: Any) -> dict[str, str]:
    """{name: type, or values} of the first success that has a body; ? behind what may be missing."""
    answers = responses.items() if isinstance(responses, dict) else ()
    successes = [_content(schemas, answer)[1] for status, answer in answers if str(status).startswith("2")]
    schema = next((schema for schema in successes if schema is not None), None)
    brief: dict[str, list[str]] = {}
    optional = set()
    for field in schemas.below("", schemas.forms(schema, frozenset()), RESPONSE_DEPTH):
        values = field.get("values", ())
        words = [str(value) for value in values if len(values) <= MOST_VALUES] or [field["type"]]
        known = brief.setdefault(field["name"], [])
        known += [word for word in words if word not in known]
        if "required" not in field or "when" in field or field["name"].rpartition(".")[0] in optional:
            optional.add(field["name"])
    parents = {name.rpartition(".")[0] for name in brief}
    return {name: "|".join(words) + ("?" if name in optional else "") for name, words in brief.items()
            if words != ["object"] or name not in parents}


def _content(schemas: _Schemas, holder: Any) -> tuple[str, Any]:
    """Media type and schema of a body or answer, JSON before others; None for the schema without one."""
    content = schemas.plain(holder)[0].get("content")
    if not isinstance(content, dict) or not content:
        return "", None
    kind = next((kind for kind in content if "json" in kind), next(iter(content)))
    return kind, (content[kind] or {}).get("schema")


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
            kept["type"] = " | ".join(dict.fromkeys(found["type"] for found in same))
        told = [key for key in varying if key != "description"]
        shared.append({**kept, "varies": told} if told else kept)
    return shared


def _lay(field: Field, words: list[str], merged: list[tuple[Field, list[str]]], discriminator: str) -> None:
    """Puts a form's field among those of the forms before it."""
    for known, labels in merged:
        if field["name"] == known["name"] == discriminator:
            known["values"] = [*known.get("values", ()), *field.get("values", ())]
            known.pop("description", None)
            labels.extend(words)
            return
        if _without_words(known) == _without_words(field):
            labels.extend(words)
            return
    merged.append((field, list(words)))


def _without_words(field: Field) -> Field:
    return {key: value for key, value in field.items() if key != "description"}


def _narrowed(field: Field, value: str) -> Field:
    return {key: item for key, item in {**field, "values": [value]}.items() if key not in ("limits", "description")}


def _by_likeness(model: str, labels: list[list[str]]) -> list[str]:
    import difflib  # only a mistyped model needs it

    words = [word for words in labels for word in words]
    return sorted(words, key=lambda word: -difflib.SequenceMatcher(None, model.lower(), word.lower()).ratio())


def _names(form: Form) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = form[0].get("properties", {})
    return properties


def _merged(base: Schema, over: Schema) -> Schema:
    """Two schemas that both hold, as one."""
    merged = {**base, **over}
    for key in ("properties", "required", "oneOf", "anyOf"):
        if key in base and key in over:
            merged[key] = _both(key, base[key], over[key])
    return merged


def _both(key: str, base: Any, over: Any) -> Any:
    if key == "properties":
        return {**base, **{name: {"allOf": [base[name], schema]} if name in base else schema
                           for name, schema in over.items()}}
    if key == "required":
        return [*base, *over]
    return [{"allOf": [branch, {key: over}]} for branch in base]


def _kind(form: Schema) -> str:
    """object, array, or "" for a value without anything inside."""
    kind = form.get("type")
    if kind == "object" or (kind is None and ("properties" in form or "additionalProperties" in form)):
        return "object"
    return "array" if kind == "array" or (kind is None and "items" in form) else ""


def _type(form: Schema) -> str:
    kind = _kind(form) or form.get("type")
    if kind == "string" and isinstance(form.get("format"), str):
        return str(form["format"])
    if kind is None:
        values = _values(form)
        return {str: "string", bool: "boolean", int: "integer", float: "number", Number: "number"}.get(
            type(values[0]) if values else object, "any")
    return str(kind)


def _scheme(form: Schema) -> str:
    """What kind of URI a string has to be: https, runway, data:image…; "" where nothing says so."""
    pattern = form.get("pattern")
    match = _MEDIA.match(pattern) if isinstance(pattern, str) else None
    return ":".join(filter(None, match.groups())) if match else ""


def _values(form: Schema) -> list[Any] | None:
    if "const" in form:
        return [form["const"]]
    return form["enum"] if isinstance(form.get("enum"), list) else None


def _limits(form: Schema) -> dict[str, Any]:
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
        return bool(_scheme(form)) or "format" in form or len(str(value)) > LONGEST_PATTERN
    if key == "minLength":
        return bool(_scheme(form))
    return isinstance(value, int) and abs(value) >= LARGEST_LIMIT


def _widen(limits: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Lets `limits` allow what `more` allows."""
    for key, value in more.items():
        known = limits.get(key, value)
        comparable = isinstance(value, (int, float)) and isinstance(known, (int, float))
        limits[key] = (min if "min" in key.lower() else max)(known, value) if comparable else value


def _hashable(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None), Number)) else str(value)


def _segments(path: str) -> list[str]:
    """A path's parts without host, query and parameters' names."""
    path = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/]*", "", re.split(r"[?#]", path)[0])
    return [re.sub(r"^\{.*\}$", "{}", part) for part in path.strip("/").split("/")]


def _fits(word: str, part: str) -> bool:
    return part in (word, "{}")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
