"""`reference`: the API's own contract, fetched once a day: its endpoints, or one endpoint's fields."""

from __future__ import annotations

import os

from .. import jsontext, openapi
from ..errors import ApiError, DeniedError, NetworkError, UsageError
from ..settings import REFERENCE, cache_folder, reference_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..client import Arguments, Client
    from ..parser import Parser
    from ..transport import Response

    class ReferenceArguments(Arguments):
        endpoint: list[str]
        model: str | None


FRESH = 24 * 3600  # seconds that a copy is used without asking again
LARGEST = 20_000_000  # bytes of a document
TRIES = 2  # a document is worth one more try, not a long wait
ENDPOINT_COLUMNS = {"Method": "method", "Path": "path", "Summary": "summary"}
FIELD_COLUMNS = {"Name": "name", "Type": "type", "Required": "required", "Values": "values",
                 "Description": "description"}


def configure(parser: Parser) -> None:
    parser.examples = (("reference",), ("reference", "POST", "/v1/text_to_image"),
                       ("reference", "POST", "/v1/text_to_image", "--model", "gen4_image"))
    parser.operands = "[METHOD PATH]"
    parser.several = "endpoint"
    parser.option("endpoint", nargs="*", metavar="METHOD PATH", help="an endpoint; without it all are listed")
    parser.option("--model", metavar="M", help="only the fields that this model takes")
    parser.set_defaults(run=run)


def run(args: ReferenceArguments) -> int:
    """Prints the endpoints, or what one of them takes and gives."""
    words = _checked(args.endpoint, args.model)
    from ..client import connect  # wrong arguments are told without it

    document = _document(connect(args, with_secret=False), _source(args))
    known = openapi.endpoints(document)
    if not words:
        args.console.rows([{"method": endpoint.method, "path": endpoint.path, "summary": endpoint.summary}
                           for endpoint in known], ENDPOINT_COLUMNS, {})
        return 0
    endpoint = _endpoint(known, words[0], words[1], args.model)
    described = _described(document, endpoint, args.model)
    if args.console.format == "json":
        args.console.result(described)
    elif args.console.format == "jsonl":
        args.console.rows(_fields(described), FIELD_COLUMNS, {})
    else:
        args.console.rows([_row(field) for field in _fields(described)], FIELD_COLUMNS, {})
    return 0


def example_for(path: str, model: str | None) -> tuple[str, ...]:
    """The call that shows what a POST to `path` takes with this model."""
    return ("reference", "POST", path, *(("--model", model) if model else ()))


def _checked(words: list[str], model: str | None) -> list[str]:
    """METHOD in capitals and PATH, or nothing. Raises UsageError for anything else."""
    if not words and model is not None:
        raise UsageError("--model needs an endpoint: METHOD PATH", example=example_for("/v1/text_to_image", model))
    if len(words) not in (0, 2):
        path = next((word for word in words if word.upper() not in openapi.METHODS), "/v1/text_to_image")
        method = next((word.upper() for word in words if word.upper() in openapi.METHODS), "POST")
        raise UsageError("give METHOD and PATH of one endpoint, or neither for a list of all",
                         example=("reference", method, path))
    if words and words[0].upper() not in openapi.METHODS:
        raise UsageError(f"{words[0]!r} is no METHOD: choose from {', '.join(openapi.METHODS)}",
                         example=("reference", "POST", words[1]))
    return [words[0].upper(), words[1]] if words else []


def _source(args: Arguments) -> str:
    """The URL of the contract: a gateway has its own."""
    if args.gateway and not reference_url():
        from ..lowcodeapi import DOCUMENT

        return DOCUMENT
    return reference_url() or REFERENCE


def _endpoint(known: list[openapi.Endpoint], method: str, path: str, model: str | None) -> openapi.Endpoint:
    """The endpoint that is meant. Raises UsageError that names the nearest ones."""
    found = openapi.matching(known, path)
    for endpoint in found:
        if endpoint.method == method:
            return endpoint
    if found:
        methods = list(dict.fromkeys(endpoint.method for endpoint in found))
        raise UsageError(f"{found[0].path} takes no {method}: it takes {' and '.join(methods)}",
                         example=("reference", methods[0], found[0].path))
    near = openapi.nearest(known, path)
    if not near:
        raise UsageError(f"the API has no endpoint like {path!r}: `reference` lists them all", example=("reference",))
    methods = [endpoint.method for endpoint in known if endpoint.path == near[0]]
    raise UsageError(f"the API has no endpoint {path!r}; the nearest: {', '.join(near)}",
                     example=("reference", method if method in methods else methods[0], near[0],
                              *(("--model", model) if model else ())))


def _described(document: dict[str, Any], endpoint: openapi.Endpoint, model: str | None) -> dict[str, Any]:
    try:
        return openapi.describe(document, endpoint, model)
    except openapi.UnknownModel as error:
        call = ("reference", endpoint.method, endpoint.path)
        if not error.models:
            raise UsageError(f"{endpoint.method} {endpoint.path} has no models: leave --model out",
                             example=call) from None
        raise UsageError(f"{endpoint.path} has no model {model!r}; it has {', '.join(error.models)}",
                         example=(*call, "--model", error.models[0])) from None


def _fields(described: dict[str, Any]) -> list[dict[str, Any]]:
    """Parameters and body's fields as one list."""
    body = described.get("body", {})
    names = {field["name"] for field in body.get("fields", ())}
    models = [{"name": "model", "type": "string", "required": True, "values": body["models"]}] if (
        "models" in body and "model" not in names) else []
    return [*described.get("parameters", ()), *models, *body.get("fields", ())]


def _row(field: dict[str, Any]) -> dict[str, str]:
    """A field as a row of a table: its values, limits and default as words in one cell."""
    limits = [f"{name} {value}" for name, value in field.get("limits", {}).items()]
    default = [f"default {_word(field['default'])}"] if "default" in field else []
    varies = [f"by model: {', '.join(field['varies'])}"] if "varies" in field else []
    values = [" | ".join(map(_word, field["values"]))] if field.get("values") else []
    when = [f"when {field['when']}"] if "when" in field else []
    place = f" ({field['in']})" if "in" in field else ""
    return {"name": field["name"], "type": field["type"] + place, "required": "yes" if "required" in field else "",
            "values": "; ".join((*values, *limits, *default, *when, *varies)),
            "description": field.get("description", "")}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else jsontext.dumps(value)


def _document(client: Client, url: str) -> dict[str, Any]:
    """The contract: a copy of less than a day, else fetched, else an older copy with a note."""
    copy = _cache_path(url)
    age, cached = _cached(copy, client.clock.time())
    if cached is not None and 0 <= age < FRESH:
        return cached
    try:
        content, document = _fetched(client, url, TRIES if cached is None else 1)
    except (ApiError, NetworkError) as error:
        if cached is None:
            raise
        client.console.note(f"the API's contract is a copy of {_readable_age(age)} ago: {error.message}")
        return cached
    _keep(copy, content)
    return document


def _fetched(client: Client, url: str, tries: int) -> tuple[bytes, dict[str, Any]]:
    """The document as it came and as a value, by a request that carries nothing of the user."""
    attempt = 0
    while True:
        try:
            return _fetch(client, url)
        except (ApiError, NetworkError) as error:
            if attempt >= min(tries - 1, client.target.retries) or not client.paused("GET", error, attempt):
                raise
            attempt += 1


def _fetch(client: Client, url: str) -> tuple[bytes, dict[str, Any]]:
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": client.user_agent}
    response = client.exchange("GET", url, headers, None, client.target.timeout, own=False)
    return response.body, _read(url, response)


def _read(url: str, response: Response) -> dict[str, Any]:
    """The document of an answer. Raises ApiError for everything but OpenAPI."""
    if not 200 <= response.status < 300:
        location = response.headers.get("Location")
        words = f", a redirect to {location}, which is not followed" if location else ""
        kind = DeniedError if response.status in (401, 403) else ApiError
        raise kind(f"{url} answered HTTP {response.status}{words}", status=response.status)
    if len(response.body) > LARGEST:
        raise ApiError(f"{url} is larger than {LARGEST // 1_000_000} MB: that is no API's contract",
                       status=response.status, is_json=False)
    try:
        document = jsontext.loads(response.body)
    except ValueError as error:
        raise ApiError(f"{url} is not JSON ({error})", status=response.status, is_json=False) from None
    if not openapi.is_openapi(document):
        raise ApiError(f"{url} is no OpenAPI document: it has no paths", status=response.status, is_json=False)
    return document  # type: ignore[no-any-return]  # which is_openapi has looked at


def _cache_path(url: str) -> str | None:
    """Where a copy of the document is kept, a file for each source; None where the user has no cache."""
    folder = cache_folder()
    if folder is None:
        return None
    from hashlib import sha256

    return os.path.join(folder, f"openapi-{sha256(url.encode()).hexdigest()[:12]}.json")


def _cached(path: str | None, now: float) -> tuple[float, dict[str, Any] | None]:
    """The age in seconds of the copy, and the document; None for it where there is no copy that can be used."""
    if path is None:
        return 0, None
    try:
        with open(path, "rb") as file:
            age = now - os.fstat(file.fileno()).st_mtime
            document = jsontext.loads(file.read())
    except (OSError, ValueError):
        return 0, None
    return age, document if openapi.is_openapi(document) else None


def _keep(path: str | None, content: bytes) -> None:
    """Puts a copy in its place, whole or not at all. That it cannot be kept never matters: the next call fetches."""
    if path is None:
        return
    part = f"{path}.{os.urandom(6).hex()}.part"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        try:
            with open(part, "xb") as file:
                file.write(content)
            os.replace(part, path)
        except BaseException:
            os.unlink(part)
            raise
    except OSError:
        pass


def _readable_age(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0) // 60:.0f} minutes"
