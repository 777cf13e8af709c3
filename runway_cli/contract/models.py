"""Which models an API has, and what each of them lets choose from: rows for JSON and for a table of one screen.

A model is a value of the property `model` of a JSON body. No I/O.
"""

from __future__ import annotations

import re

from .describe import Body
from .fields import Fields
from .schema import deep_nesting_as_value_error, endpoints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .fields import Field
    from .schema import Endpoint, Schema

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
                _row(model, [field for field in chosen if field["name"] != body.name and _is_chosen(field, required)])
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


def _row(model: str, fields: list[Field]) -> dict[str, Any]:
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
