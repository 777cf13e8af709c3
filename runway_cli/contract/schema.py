"""Reads the API's OpenAPI document: its endpoints, and its schemas with references and unions resolved. No I/O."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Hashable, Iterable, Iterator

from ..errors import ApiError
from ..jsontext import Json, dumps, loads

Schema = dict[str, Json]

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE")
MAX_STEPS = 300_000  # keywords, names and values read for one call; Runway's largest endpoint takes 10,000
MAX_COMPARED = 500  # known words that are compared with a mistyped one


class ContractError(ApiError, ValueError):
    """A contract, or a value compared with it, that nests too deeply or is too large."""


class Endpoint:
    """One operation of the API: `method` in capitals, `path` a template."""

    def __init__(self, method: str, path: str, operation: Schema | bytes) -> None:
        self.method = method
        self.path = path
        self._operation: Json = operation

    @property
    def operation(self) -> Json:
        """Returns the operation as the document has it. That of the snapshot is parsed at its first use."""
        if isinstance(self._operation, bytes):
            self._operation = loads(self._operation)
        return self._operation

    @property
    def summary(self) -> str:
        """Returns what it does, in one line."""
        return one_line(next(filter(None, map(self.operation.get, ("summary", "description", "operationId"))), None))


def endpoints(document: Schema) -> list[Endpoint]:
    """Returns every operation, in the document's order."""
    return [
        Endpoint(key.upper(), path, operation)
        for path, item in document["paths"].items()
        for key, operation in item.items()
        if key.upper() in METHODS
    ]


def matching(known: Iterable[Endpoint], path: str) -> list[Endpoint]:
    """Returns the endpoints that a path or URL leads to, concrete or a template, the most literal ones first."""
    words = re.sub(r"(?s)^[A-Za-z][A-Za-z0-9+.-]*://[^/]*|[?#].*", "", path).strip("/").split("/")
    ranked = []
    for endpoint in known:
        parts = endpoint.path.strip("/").split("/")
        differing = [part for word, part in zip(words, parts) if word != part]
        # A gateway writes /tasks/id?id=ID for /tasks/{id}.
        if len(words) == len(parts) and all(part[:1] == "{" or part is parts[-1] == "id" for part in differing):
            ranked.append((len(differing), endpoint))
    return [endpoint for _, endpoint in sorted(ranked, key=lambda pair: pair[0])]


def nearest(known: Iterable[Endpoint], path: str) -> list[str]:
    """Returns the paths most similar to a mistyped one, three at most."""
    paths = {short_name(endpoint.path): endpoint.path for endpoint in known}
    return [paths[found] for found in nearest_words(short_name(path), paths)]


def short_name(path: str) -> str:
    """Returns the name of an endpoint as `models` and `generate` take it: image_to_video for /v1/image_to_video."""
    return re.sub(r"^/?(?:v[0-9]+/)?", "", path)


def full_path(name: str) -> str:
    """Returns the path of an endpoint that is named as image_to_video, v1/image_to_video or /v1/image_to_video."""
    return "/v1/" + short_name(name.strip("/"))


def nearest_words(word: str, known: Iterable[str]) -> list[str]:
    """Returns the known words most similar to a mistyped one, ignoring case, closest first, three at most."""
    import difflib  # only a mistyped word needs it

    words = {each.lower(): each for each in reversed(list(known)[:MAX_COMPARED])}
    return [words[found] for found in difflib.get_close_matches(word[:100].lower(), words)]


def models(document: Schema) -> list[dict[str, Json]]:
    """Returns every model with the names of its endpoints: [{"model", "endpoints": ["image_to_video", …]}]."""
    found: dict[str, dict[str, None]] = {}
    with reading(document) as schemas:
        for endpoint in endpoints(document):
            for model in schemas.by_model(endpoint):
                found.setdefault(model, {})[short_name(endpoint.path)] = None
    return [{"model": model, "endpoints": list(names)} for model, names in found.items()]


@contextlib.contextmanager
def reading(document: Schema) -> Iterator[Schemas]:
    """Yields the schemas of a document. Raises ContractError for what nests too deeply or is not OpenAPI."""
    try:
        yield Schemas(document)
    except (RecursionError, AttributeError, TypeError, re.error) as error:
        words = f"the contract, or what is checked against it, cannot be read ({error})"
        raise ContractError(words, status=200, is_json=False) from None


class Schemas:
    """The schemas of one document. Its methods raise ContractError after more than MAX_STEPS."""

    def __init__(self, document: Schema) -> None:
        self._document = document
        self._steps = MAX_STEPS

    def plain(self, schema: Json) -> Schema:
        """Returns an object of the document with its `$ref` followed; {} for what is not an object."""
        if not isinstance(schema, dict):
            return {}
        self._steps -= 1 + sum(len(value) if isinstance(value, (dict, list)) else 1 for value in schema.values())
        if self._steps < 0:
            raise ContractError("this part of the contract is too large to read", status=200, is_json=False)
        if "$ref" not in schema:
            return schema
        target: Json = self._document
        for part in str(schema["$ref"]).split("/")[1:]:
            target = target.get(part) if isinstance(target, dict) else None
        return {**self.plain(target), **{key: value for key, value in schema.items() if key != "$ref"}}

    def forms(self, schema: Json) -> list[Schema]:
        """Returns the forms that a value may have, each without unions: one, or those of `oneOf`, `anyOf`, `type`.

        Each form of a union also has the keywords beside the union, such as `discriminator`.
        """
        node = self.plain(schema)
        for union in ("oneOf", "anyOf"):
            if node.get(union):
                base = {key: value for key, value in node.items() if key not in (union, "description", "title")}
                return [form for branch in node[union] for form in self.forms({**base, **self.plain(branch)})]
        return [{**node, "type": kind} for kind in node["type"]] if isinstance(node.get("type"), list) else [node]

    def values(self, schema: Json) -> list[Json]:
        """Returns the values that a schema allows in all of its forms but null; [] where one form allows any."""
        found = [values_of(form) for form in self.forms(schema) if form.get("type") != "null"]
        return [value for values in found for value in values] if all(found) else []

    def told_apart(self, forms: list[Schema]) -> tuple[str, list[list[Json]]]:
        """Returns the property that the discriminator names, and its values in each form; ("", []) without one."""
        name = self.plain(forms[0].get("discriminator")).get("propertyName") if forms else None
        tags = [self.values(form.get("properties", {}).get(name)) for form in forms] if isinstance(name, str) else []
        return (str(name), tags) if tags and all(tags) else ("", [])

    def content(self, holder: Json) -> Json:
        """Returns the schema of the JSON of a body or an answer, None without any."""
        return self.plain(self.plain(self.plain(holder).get("content")).get("application/json")).get("schema")

    def body(self, endpoint: Endpoint) -> list[Schema]:
        """Returns the forms of the JSON body that an endpoint takes; one that allows anything where it takes none."""
        return self.forms(self.content(endpoint.operation.get("requestBody")))

    def by_model(self, endpoint: Endpoint) -> dict[str, list[Schema]]:
        """Returns each model of an endpoint with the forms of its body; {} if it has none, or one form allows any."""
        found: dict[str, list[Schema]] = {}
        for form in self.body(endpoint):
            values = self.values(form.get("properties", {}).get("model"))
            if not values:
                return {}
            for value in values:
                found.setdefault(str(value), []).append(form)
        return found


def values_of(form: Schema) -> list[Json]:
    """Returns the allowed values; [] where any is allowed."""
    return [form["const"]] if "const" in form else form.get("enum", [])


def kind_of(value: Json) -> str:
    """Returns the JSON type of a value: null, boolean, number, string, array or object."""
    kinds = {bool: "boolean", str: "string", list: "array", dict: "object", type(None): "null"}
    return kinds.get(type(value), "number")


def key_of(value: Json) -> Hashable:
    """Returns a key that is the same for equal JSON values: for 1 and 1.0, but not for 1 and true."""
    kind = kind_of(value)
    return kind, float(value) if kind == "number" else value if kind == "string" else dumps(value)


def beginning_of(form: Schema) -> str:
    r"""Returns what a URI must begin with by a pattern such as `^https:\/\/.*`; "" for another pattern."""
    found = re.fullmatch(r"\^(\w+:(?:\w|\\?/)*)\.\*\$?", str(form.get("pattern")), re.ASCII)
    return found[1].replace("\\/", "/") if found else ""


# Descriptions are shortened, but every sentence stays that restricts the value of a field or tells a price.
_BINDING = (
    r"(?i)\breplaces\b|\bmust\b|\bonly\b|\bnot with\b|\bat most\b|\bwhen\b|\bforbid|\bor omit\b|requir|deprecated"
    r"|\bomit \w+ (?:for|when)\b|\bexceed|\bcannot\b|\bmay not\b|default"
    r"|\bnone may\b|\bcredits?\b|\bsurcharge|\bcosts?\b|\bpric(?:e|ing)|\bbilled\b"
)


def one_line(text: Json, *, binding_only: bool = False) -> str:
    """Returns the first sentence of Markdown (not with `binding_only`) and those that bind, as one line."""
    plain = re.sub(r"\[([^\[\]]*)\]\([^()]*\)", r"\1", " ".join(text[:4_000].split())) if isinstance(text, str) else ""
    parts = re.split(r"(?<=[.!?]) (?=[A-Z`])", plain)
    sentences = [part for part in parts if part and not part.startswith(("See ", "You can read"))]
    first = [] if binding_only else sentences[:1]
    return " ".join([*first, *(each for each in sentences[len(first) :] if re.search(_BINDING, each))])
