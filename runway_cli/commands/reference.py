"""`reference` and `models`: the API's own contract, fetched once a day."""

from __future__ import annotations

from ..api.paths import api_path
from ..contract import source
from ..contract.describe import describe, field_rows, models_of
from ..contract.schema import (
    METHODS,
    Endpoint,
    endpoints,
    full_path,
    matching,
    models,
    nearest,
    nearest_words,
    short_name,
)
from ..errors import UsageError
from ..terminal.tables import Column
from .options import Command, Operand, Option, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .context import Context


FALLBACK = "/v1/text_to_image"  # in examples, where the call names no path
MODEL_COLUMNS = (Column("Model", "model"), Column("Endpoints", "endpoints", wrap=True))
ENDPOINT_COLUMNS = (Column("Method", "method"), Column("Path", "path", wrap=True), Column("Summary", "summary", rank=1))
FIELD_COLUMNS = (
    Column("Name", "name"),
    Column("Type", "type", wrap=True, rank=1),
    Column("Required", "required"),
    Column("Values", "values", wrap=True),
    Column("Description", "description", wrap=True, rank=2),
)


def run_reference(context: Context, options: Options) -> int:
    """Prints the endpoints, or what one of them takes and returns."""
    named = _named(context, options.endpoint, options.model)
    document = source.load(context.client(with_secret=False)).document
    known = endpoints(document)
    if not named:
        told = ({"summary": found.summary} if found.summary else {} for found in known)
        rows = [{"method": found.method, "path": found.path, **more} for found, more in zip(known, told)]
        context.console.rows(rows, ENDPOINT_COLUMNS, {})
        return 0
    endpoint = _endpoint(known, *named, options.model)
    described = describe(document, endpoint, options.model, all_fields=options.all)
    if context.console.format == "json":
        context.console.result(described, has_rows=True)
        return 0
    # As rows: parameters and the body's fields in one list.
    body = described.get("body", {})
    fields = body.get("fields", [])
    if "models" in body and all(field["name"] != "model" for field in fields):
        fields = [{"name": "model", "type": "string", "required": True, "values": body["models"]}, *fields]
    fields = [*described.get("parameters", []), *fields]
    note, is_table = body.get("note"), context.console.format != "jsonl"
    if is_table and not fields:
        fields = [{"name": name, "type": type_} for name, type_ in described["response"].items()]
        note = f"{endpoint.method} {endpoint.path} takes no fields{'; it returns these' * bool(fields)}"
    context.console.rows(field_rows(fields) if is_table else fields, FIELD_COLUMNS, {})
    if is_table and note:
        context.console.note(note)
    return 0


def _named(context: Context, words: list[str], model: str | None) -> tuple[str, str] | None:
    """Returns METHOD in capitals and PATH, None where neither is named. Raises UsageError for anything else."""
    methods = [word.upper() for word in words if word.upper() in METHODS]
    paths = [word for word in words if word.upper() not in METHODS]
    if len(words) == 2 and methods and paths:
        return methods[0], paths[0]
    if not words and model is None:
        return None
    message = f"name METHOD ({', '.join(METHODS)}) and PATH of one endpoint, or neither for a list of all"
    path = full_path(max(paths, key=lambda word: "/" in word)) if paths else FALLBACK
    document = source.load(context.client(with_secret=False), may_fetch=False).document
    known = sorted(matching(endpoints(document), path), key=lambda each: each.method not in (*methods, "POST"))
    raise UsageError(message, try_next=_call(known[0].method, path, model) if known else ("reference",))


def _call(method: str, path: str, model: str | None) -> tuple[str, ...]:
    return ("reference", method, path, *(("--model", model) if model else ()))


def _endpoint(known: list[Endpoint], method: str, path: str, model: str | None) -> Endpoint:
    """Returns the endpoint that is meant. Raises UsageError that names the nearest ones."""
    found = matching(known, path)
    for endpoint in found:
        if endpoint.method == method:
            return endpoint
    near = [found[0].path] if found else nearest(known, path)
    if not near:
        words = f"the contract has no endpoint like {path!r}: `reference` lists them all"
        raise UsageError(words, try_next=("reference",))
    methods = [endpoint.method for endpoint in known if endpoint.path == near[0]]
    words = f"the contract has no endpoint {path!r}; the nearest: {', '.join(near)}"
    if found:
        words = f"{near[0]} does not take {method}: it takes {' and '.join(methods)}"
    raise UsageError(words, try_next=_call(method if method in methods else methods[0], near[0], model))


def run_models(context: Context, options: Options) -> int:
    """Prints every model with its endpoints, or the models of one endpoint, or the endpoints of one model."""
    document = source.load(context.client(with_secret=False)).document
    if options.name is None:
        context.console.rows(models(document), MODEL_COLUMNS, {})
        return 0
    posts = [found for found in endpoints(document) if found.method == "POST"]
    endpoint = next(iter(matching(posts, full_path(options.name))), None)
    if endpoint:
        rows = models_of(document, endpoint)
        if not rows:
            raise UsageError(f"{endpoint.path} has no models", try_next=("reference", "POST", endpoint.path))
    else:
        known = {row["model"]: row["endpoints"] for row in models(document)}
        if options.name not in known:
            names = [*known, *(short_name(post.path) for post in posts)]
            near = nearest_words(short_name(options.name), names)
            suggestion = f"; the nearest: {', '.join(near)}" if near else ": `models` lists all of them"
            words = f"the contract has no POST endpoint or model {options.name!r}{suggestion}"
            raise UsageError(words, try_next=("models", *near[:1]))
        rows = [
            {"endpoint": short_name(post.path), **row}
            for post in posts
            if short_name(post.path) in known[options.name]
            for row in models_of(document, post)
            if row.pop("model") == options.name
        ]
    # A table compares rows by the keys that several have; JSON has all keys.
    keys = [key for row in rows for key in row]
    compared = dict.fromkeys(key for key in keys if len(rows) == 1 or keys.count(key) > 1)
    in_order = sorted(compared, key=lambda key: key == "required")  # which comes last
    first = in_order if not endpoint else (keys[0], "ratio", "duration", "required")
    columns = [Column(key[0].upper() + key[1:], key, rank=int(key not in first)) for key in in_order]
    context.console.rows(rows, columns, {})
    return 0


COMMANDS = {
    "reference": Command(
        run_reference,
        summary="show the API's endpoints and their fields",
        operands=(Operand("endpoint", "[METHOD PATH...]", "an endpoint; without it all are listed", api_path),),
        options=(
            Option("--model M", "only the fields that this model takes"),
            Option("--all", "also what is inside optional fields below the second level"),
        ),
        examples=(
            "reference",
            "reference POST /v1/text_to_image",
            "reference POST /v1/text_to_image --model gen4_image",
        ),
        prints="the endpoints, or the parameters, body and response of one",
        has_rows=True,
    ),
    "models": Command(
        run_models,
        summary="list the models and their allowed values",
        operands=(
            Operand(
                "name",
                "[ENDPOINT|MODEL]",
                "such as image_to_video or gen4.5; without it all models are listed",
                api_path,
            ),
        ),
        examples=("models", "models image_to_video", "models gen4.5 --output table"),
        prints="rows: each model with its endpoints, or each with its allowed `ratio`, `duration` and so on",
        has_rows=True,
    ),
}
