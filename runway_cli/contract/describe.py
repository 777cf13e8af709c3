"""What an OpenAPI document says of one endpoint, as plain values that are short to read. No I/O."""

from __future__ import annotations

from .. import jsontext
from .fields import Fields, properties_of
from .forms import joined, kind_of_form
from .schema import deep_nesting_as_value_error
from .sentences import is_binding, one_line, tells_default

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .fields import Field
    from .schema import Endpoint, Form, Schema

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
