"""`models`: the models of the API's contract, and what each allows at an endpoint."""

from __future__ import annotations

from ..errors import ApiError, UsageError
from ..terminal.tables import Column
from .options import Command, GlobalOptions, Operand, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contract.schema import Endpoint
    from .context import Context


COLUMNS = (Column("Model", "model"), Column("Endpoints", "endpoints", wrap=True))


class Options(GlobalOptions):
    endpoint: str | None


def run(context: Context, options: Options) -> int:
    """Prints every model with its endpoints, or the models of one endpoint with their allowed values."""
    from ..contract import source
    from ..contract.describe import models, models_of
    from ..contract.schema import endpoints, full_path, matching, nearest

    document = source.load(context.client(with_secret=False)).document
    if options.endpoint is None:
        context.console.rows(models(document), COLUMNS, {})
        return 0
    path = full_path(options.endpoint)
    known = endpoints(document)
    endpoint = next((found for found in matching(known, path) if found.method == "POST"), None)
    if endpoint is None:
        near = [name.replace("/v1/", "", 1) for name in nearest(known, path)]
        suggestion = f"; the nearest: {', '.join(near)}" if near else ": `models` lists all of them"
        words = f"the contract has no POST endpoint {options.endpoint!r}{suggestion}"
        raise UsageError(words, try_next=("models", *near[:1]))
    rows = models_of(document, endpoint)
    if not rows:
        words = f"{endpoint.path} has no models"
        raise UsageError(words, try_next=("reference", "POST", endpoint.path))
    context.console.rows(rows, _columns(rows), {})
    return 0


def _columns(rows: list[dict[str, Any]]) -> list[Column]:
    """What a person compares models by: the keys that several models have. JSON has them all."""
    counts: dict[str, int] = {}
    for row in rows:
        for key in row:
            counts[key] = counts.get(key, 0) + 1
    keys = [key for key, count in counts.items() if count > 1 or len(rows) == 1]
    return [Column(key[0].upper() + key[1:], key, wrap=key != "model") for key in keys]


_MODELS = Command(
    run,
    summary="list the models and their allowed values",
    operands=(
        Operand("endpoint", "ENDPOINT", takes="?", help="such as image_to_video; without it all models are listed"),
    ),
    examples=(("models",), ("models", "image_to_video"), ("models", "text_to_image", "--output", "table")),
    prints="rows: each model with its endpoints, or with the allowed `ratio`, `duration` and other values",
    has_rows=True,
)


# --- `reference`: the API's own contract, fetched once a day: its endpoints, or one endpoint's fields.


ENDPOINT_COLUMNS = (
    Column("Method", "method"),
    Column("Path", "path"),
    Column("Summary", "summary"),
)
FIELD_COLUMNS = (
    Column("Name", "name"),
    Column("Type", "type"),
    Column("Required", "required"),
    Column("Values", "values", wrap=True),
    Column("Description", "description", wrap=True),
)
FALLBACK = "/v1/text_to_image"  # in examples, where the call names no path


class ReferenceOptions(GlobalOptions):
    endpoint: list[str]
    model: str | None


def reference_run(context: Context, options: ReferenceOptions) -> int:
    """Prints the endpoints, or what one of them takes and gives."""
    from ..contract import source
    from ..contract.describe import field_rows
    from ..contract.schema import METHODS, endpoints

    words = _checked(options.endpoint, options.model, METHODS)
    contract = source.load(context.client(with_secret=False))
    known = endpoints(contract.document)
    if not words:
        rows = [{"method": found.method, "path": found.path, "summary": found.summary} for found in known]
        context.console.rows(rows, ENDPOINT_COLUMNS, {})
        return 0
    endpoint = _endpoint(known, words[0], words[1], options.model)
    described = _described(contract.document, endpoint, options.model)
    if context.console.format == "json":
        context.console.result(described)
    elif context.console.format == "jsonl":
        context.console.rows(_fields(described), FIELD_COLUMNS, {})
    else:
        context.console.rows(field_rows(_fields(described)), FIELD_COLUMNS, {})
    return 0


def _checked(words: list[str], model: str | None, methods: tuple[str, ...]) -> list[str]:
    """METHOD in capitals and PATH, or nothing. Raises UsageError for anything else."""
    from ..contract.schema import full_path

    if not words and model is not None:
        raise UsageError("--model needs an endpoint: METHOD PATH", try_next=_call("POST", FALLBACK, model))
    known = [word for word in words if word.upper() in methods]
    others = [word for word in words if word.upper() not in methods]
    if len(words) not in (0, 2):
        method = known[0].upper() if known else "POST"
        words_ = "name METHOD and PATH of one endpoint, or neither for a list of all"
        raise UsageError(words_, try_next=_call(method, full_path(others[0]) if others else FALLBACK, model))
    if words and words[0].upper() not in methods:
        message = f"unknown METHOD {words[0]!r}: choose from {', '.join(methods)}"
        raise UsageError(message, try_next=_call("POST", full_path(words[1]), model))
    return [words[0].upper(), words[1]] if words else []


def _call(method: str, path: str, model: str | None = None) -> tuple[str, ...]:
    return ("reference", method, path, *(("--model", model) if model else ()))


def _endpoint(known: list[Endpoint], method: str, path: str, model: str | None) -> Endpoint:
    """The endpoint that is meant. Raises UsageError that names the nearest ones."""
    from ..contract.schema import matching, nearest

    found = matching(known, path)
    for endpoint in found:
        if endpoint.method == method:
            return endpoint
    if found:
        methods = list(dict.fromkeys(endpoint.method for endpoint in found))
        words = f"{found[0].path} does not take {method}: it takes {' and '.join(methods)}"
        raise UsageError(words, try_next=_call(methods[0], found[0].path))
    near = nearest(known, path)
    if not near:
        words = f"the contract has no endpoint like {path!r}: `reference` lists them all"
        raise UsageError(words, try_next=("reference",))
    methods = [endpoint.method for endpoint in known if endpoint.path == near[0]]
    words = f"the contract has no endpoint {path!r}; the nearest: {', '.join(near)}"
    raise UsageError(words, try_next=_call(method if method in methods else methods[0], near[0], model))


def _described(document: dict[str, Any], endpoint: Endpoint, model: str | None) -> dict[str, Any]:
    from ..contract.describe import UnknownModel, describe

    try:
        return describe(document, endpoint, model)
    except UnknownModel as error:
        name = f"{endpoint.method} {endpoint.path}"
        if not error.models:
            words = f"{name} has no models: leave --model out"
            raise UsageError(words, try_next=_call(endpoint.method, endpoint.path)) from None
        words = f"{endpoint.path} has no model {model!r}; it has {', '.join(error.models)}"
        raise UsageError(words, try_next=_call(endpoint.method, endpoint.path, error.models[0])) from None
    except ValueError as error:
        words = f"the contract's {endpoint.method} {endpoint.path} cannot be described: {error}"
        raise ApiError(words, status=200, is_json=False) from None


def _fields(described: dict[str, Any]) -> list[dict[str, Any]]:
    """Parameters and the body's fields as one list."""
    body = described.get("body", {})
    names = {field["name"] for field in body.get("fields", ())}
    models = []
    if "models" in body and "model" not in names:
        models = [{"name": "model", "type": "string", "required": True, "values": body["models"]}]
    return [*described.get("parameters", ()), *models, *body.get("fields", ())]


_REFERENCE = Command(
    reference_run,
    summary="show the API's endpoints and their fields",
    operands=(Operand("endpoint", "METHOD PATH", takes="*", help="an endpoint; without it all are listed"),),
    options=(Option("--model", metavar="M", help="only the fields that this model takes"),),
    examples=(
        ("reference",),
        ("reference", "POST", "/v1/text_to_image"),
        ("reference", "POST", "/v1/text_to_image", "--model", "gen4_image"),
    ),
    prints="the endpoints, or the parameters, body and response of one",
    has_rows=True,
)
COMMANDS = {"models": _MODELS, "reference": _REFERENCE}
