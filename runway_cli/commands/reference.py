"""`reference` and `models`: the API's own contract, fetched once a day."""

from __future__ import annotations

from ..api.paths import api_path
from ..contract import schema, source
from ..contract.describe import describe, field_rows, models_of
from ..contract.schema import METHODS, full_path, short_name
from ..errors import UsageError
from ..terminal.tables import Column
from .context import Context
from .options import Command, Operand, Option, Options

FALLBACK = "/v1/text_to_image"  # for examples, where the call names no path
MODEL_COLUMNS = (Column("Model", "model"), Column("Endpoints", "endpoints", wrap=True))
ENDPOINT_COLUMNS = (Column("Method", "method"), Column("Path", "path"), Column("Summary", "summary", rank=1))
FIELD_COLUMNS = (
    Column("Name", "name"),
    Column("Type", "type", wrap=True, rank=1),
    Column("Required", "required"),
    Column("Values", "values", wrap=True),
    Column("Description", "description", wrap=True, rank=2),
)


def run_reference(context: Context, options: Options) -> int:
    """Prints the endpoints, or what one of them takes and returns."""
    console = context.console
    document = source.load(context.client(with_secret=False)).document
    known = schema.endpoints(document)
    if not options.endpoint and options.model is None:
        rows = [{"method": each.method, "path": each.path, "summary": each.summary} for each in known]
        console.rows([{key: text for key, text in row.items() if text} for row in rows], ENDPOINT_COLUMNS)
        return 0
    endpoint = _endpoint(known, options.endpoint, options.model)
    described = describe(document, endpoint, options.model, all_fields=options.all)
    if console.format == "json":
        console.result(described, has_rows=True)
        return 0
    # As rows: parameters and the body's fields in one list.
    body = described.get("body", {})
    fields = body.get("fields", [])
    if "models" in body and all(field["name"] != "model" for field in fields):
        fields = [{"name": "model", "type": "string", "required": True, "values": body["models"]}, *fields]
    fields = [*described.get("parameters", []), *fields]
    note, is_table = body.get("note"), console.format != "jsonl"
    if not fields:
        note = f"{endpoint.method} {endpoint.path} takes no fields"
    console.rows(field_rows(fields) if is_table else fields, FIELD_COLUMNS)
    if is_table and note:
        console.note(note)
    return 0


def _endpoint(known: list[schema.Endpoint], words: list[str], model: str | None) -> schema.Endpoint:
    """Returns the endpoint that METHOD and PATH name. Raises UsageError, with the nearest one as its example."""
    methods = [word.upper() for word in words if word.upper() in METHODS]
    named = [word for word in words if word.upper() not in METHODS]
    path = full_path(max(named, key=lambda word: "/" in word)) if named else FALLBACK
    found = schema.matching(known, path)
    is_whole = len(words) == 2 and len(methods) == 1
    for endpoint in found if is_whole else ():
        if endpoint.method == methods[0]:
            return endpoint
    near = [found[0].path] if found else schema.nearest(known, path)
    there = [endpoint.method for endpoint in known if endpoint.path in near[:1]]
    if not is_whole:
        message = f"name METHOD ({', '.join(METHODS)}) and PATH of one endpoint, or neither for a list of all"
    elif found:
        message = f"{near[0]} does not take {methods[0]}: it takes {' and '.join(there)}"
    else:
        suggestion = f"; the nearest: {', '.join(near)}" if near else ": `reference` lists them all"
        message = f"the contract has no endpoint {named[0]!r}{suggestion}"
    best = [method for method in (*methods, "POST", *there) if method in there]
    call = ("reference", best[0], near[0], *(("--model", model) if model else ())) if near else ("reference",)
    raise UsageError(message, try_next=call)


def run_models(context: Context, options: Options) -> int:
    """Prints every model with its endpoints, or the models of one endpoint, or the endpoints of one model."""
    document, name = source.load(context.client(with_secret=False)).document, options.name
    rows = schema.models(document)
    if name is None:
        context.console.rows(rows, MODEL_COLUMNS)
        return 0
    ends = {row["model"]: row["endpoints"] for row in rows}
    posts = {short_name(found.path): found for found in schema.endpoints(document) if found.method == "POST"}
    endpoint = next(iter(schema.matching(posts.values(), full_path(name))), None)
    if endpoint:
        rows = models_of(document, endpoint)
        if not rows:
            raise UsageError(f"{endpoint.path} has no models", try_next=("reference", "POST", endpoint.path))
    elif name in ends:
        found = [(end, row) for end in ends[name] if end in posts for row in models_of(document, posts[end])]
        rows = [{"endpoint": end, **row} for end, row in found if row.pop("model") == name]
    else:
        near = schema.nearest_words(short_name(name), [*ends, *posts])
        suggestion = f"; the nearest: {', '.join(near)}" if near else ": `models` lists all of them"
        words = f"the contract has no POST endpoint or model {name!r}{suggestion}"
        raise UsageError(words, try_next=("models", *near[:1]))
    keys = list(dict.fromkeys(key for row in rows for key in row))
    first = (keys[0], "ratio", "duration", "required")  # a narrow window keeps what one chooses a model by
    columns = [Column(key[0].upper() + key[1:], key, rank=int(key not in first)) for key in keys]
    context.console.rows(rows, columns)
    return 0


COMMANDS = {
    "reference": Command(
        run_reference,
        summary="show the API's endpoints and their fields",
        operands=(Operand("endpoint", "[METHOD PATH...]", "an endpoint; without it, all are listed", api_path),),
        options=(
            Option("--model M", "only the fields that this model takes"),
            Option("--all", "also show what is inside optional fields below the second level"),
        ),
        examples=("reference", f"reference POST {FALLBACK}", f"reference POST {FALLBACK} --model gen4_image"),
        prints="the endpoints, or the parameters, body and response of one",
        has_rows=True,
    ),
    "models": Command(
        run_models,
        summary="list the models and their allowed values",
        operands=(
            Operand("name", "[ENDPOINT|MODEL]", "such as image_to_video or gen4.5; without it, all models", api_path),
        ),
        examples=("models", "models image_to_video", "models gen4.5 --output table"),
        prints="rows: each model with its endpoints, or each with its allowed `ratio`, `duration` and so on",
        has_rows=True,
    ),
}
