"""Descriptions made short: the first sentence, and every sentence that binds whoever fills in the field."""

from __future__ import annotations

import contextlib
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    Schema = dict[str, Any]
    Seen = frozenset[str]
    Form = tuple[Schema, Seen]


MAX_DESCRIPTION = 100  # characters, where no sentence binds
MAX_BINDING = 400  # characters with the sentences that bind
MAX_READ = 4_000  # characters of a description that are looked at

_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z`])")
_WEIGHTY = re.compile(r"default|requir|deprecated", re.IGNORECASE)
_BINDING = re.compile(
    r"\breplaces\b|\bmust\b|\bonly\b|\bnot with\b|\bat most\b|\bwhen\b|\bforbid|\bor omit\b|\bomit \w+ (?:for|when)\b"
    r"|\bexceed|\bcannot\b|\bmay not\b|\bnone may\b",
    re.IGNORECASE,
)


def one_line(text: object) -> str:
    """Markdown as one line of MAX_DESCRIPTION characters: its first sentence, then those that bind or tell a default.

    Where the sentences that bind do not fit, they stand alone and whole, up to MAX_BINDING characters. "" for what is
    not a string.
    """
    sentences = _sentences(text)
    if not sentences:
        return ""
    line = sentences[0]
    for sentence in sentences[1:]:
        if is_binding(sentence) or (tells_default(sentence) and _fits(line, sentence, MAX_DESCRIPTION)):
            line += " " + sentence
    if len(line) <= MAX_DESCRIPTION:
        return line
    return binding(text) or _cut(sentences[0], MAX_DESCRIPTION)


def binding(text: object) -> str:
    """Only the sentences that bind."""
    line = ""
    for sentence in filter(is_binding, _sentences(text)):
        if _fits(line, sentence, MAX_BINDING):
            line = f"{line} {sentence}".lstrip()
    return line


def is_binding(text: str) -> bool:
    """Whether a text says what has to hold."""
    return _BINDING.search(text) is not None


def tells_default(text: str) -> bool:
    """Whether a text tells a default, a requirement, or that something is deprecated."""
    return _WEIGHTY.search(text) is not None


def _sentences(text: object) -> list[str]:
    if not isinstance(text, str):
        return []
    plain = _LINK.sub(r"\1", " ".join(text[:MAX_READ].split()))
    parts = _SENTENCE_END.split(plain)
    return [part for part in parts if part and not part.startswith(("See ", "You can read"))]


def _fits(line: str, sentence: str, most: int) -> bool:
    return len(line) + 1 + len(sentence) <= most


def _cut(sentence: str, most: int) -> str:
    if len(sentence) <= most:
        return sentence
    return sentence[: most - 1].rpartition(" ")[0].rstrip(" ,;:.") + "…"


# --- Reads an OpenAPI document, 3.0 or 3.1: its endpoints, and its schemas with references and `allOf` resolved. No I/O.

# No document makes it run long or deep: chains of references are followed in a loop, and a union has MAX_FORMS forms at
# most. What nests deeper than Python can follow raises RecursionError, which the public functions of the package turn
# into a ValueError with `deep_nesting_as_value_error`; what is too much raises ValueError by itself, after MAX_STEPS.


METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE")
MAX_SUGGESTIONS = 3  # paths that an error names
MAX_FORMS = 200  # forms of a union; the largest of the Runway API has 30
MAX_STEPS = 1_000_000  # keywords that one description may read, about 2 s; the largest endpoint of Runway takes 5,000


class Endpoint:
    """One operation: `method` in capitals, `path` a template, `summary` one line, `operation` with all parameters."""

    __slots__ = ("method", "operation", "path", "summary")

    def __init__(self, method: str, path: str, operation: Schema) -> None:

        self.method = method
        self.path = path
        self.operation = operation
        self.summary = one_line(
            operation.get("summary") or operation.get("description") or operation.get("operationId")
        )


def is_openapi(document: Any) -> bool:
    """Whether a JSON value is an OpenAPI document with endpoints."""
    return isinstance(document, dict) and isinstance(document.get("paths"), dict)


def endpoints(document: Schema) -> list[Endpoint]:
    """Every operation, in the document's order. Raises ValueError for a document that nests too deeply."""
    schemas = Schemas(document)
    found = []
    with deep_nesting_as_value_error():
        for path, written in document["paths"].items():
            item, _ = schemas.plain(written)
            for key, operation in item.items():
                if key.upper() in METHODS and isinstance(operation, dict):
                    parameters = [*as_list(operation.get("parameters")), *as_list(item.get("parameters"))]
                    found.append(Endpoint(key.upper(), path, {**operation, "parameters": parameters}))
    return found


def matching(known: Iterable[Endpoint], path: str) -> list[Endpoint]:
    """The endpoints that a path leads to, concrete or a template, the most literal ones first."""
    words = _segments(path)
    ranked = []
    for endpoint in known:
        pattern = _pattern(endpoint)
        if len(words) == len(pattern) and all(map(_schema_fits, words, pattern)):
            ranked.append((sum(word != part for word, part in zip(words, pattern)), endpoint))
    return [endpoint for _, endpoint in sorted(ranked, key=lambda pair: pair[0])]


def full_path(name: str) -> str:
    """`image_to_video`, `v1/image_to_video` and `/v1/image_to_video` name the same endpoint: its path."""
    plain = name.strip("/")
    return "/" + plain if plain.startswith("v1/") else "/v1/" + plain


def nearest(known: Iterable[Endpoint], path: str) -> list[str]:
    """The paths most like a mistyped one, MAX_SUGGESTIONS at most."""
    import difflib  # only a mistyped path needs it

    paths = {endpoint.path: "/".join(_segments(endpoint.path)) for endpoint in known}
    near = difflib.get_close_matches("/".join(_segments(path)), list(paths.values()), MAX_SUGGESTIONS, 0.6)
    return [next(path for path, plain in paths.items() if plain == found) for found in near]


def content_of(document: Schema, holder: Any) -> tuple[str, Any]:
    """Media type and schema of a body or answer, JSON before others; ("", None) without one.

    `holder` is a requestBody, response, parameter or header, or a `$ref` to one.
    """
    return Schemas(document).content(holder)


def pointed(document: Schema, ref: str) -> Any:
    """What a reference into this document points at (RFC 6901); {} for any other and for one that leads nowhere."""
    from urllib.parse import unquote

    node: Any = document if ref.startswith("#") else {}
    for part in ref[1:].split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and name.isdecimal() and len(name) < 9 and int(name) < len(node):
            node = node[int(name)]
        elif isinstance(node, dict) and name in node:
            node = node[name]
        else:
            return {}
    return node


@contextlib.contextmanager
def deep_nesting_as_value_error() -> Iterator[None]:
    """Turns a RecursionError inside into a ValueError with words for a user."""
    try:
        yield
    except RecursionError:
        raise ValueError("the contract, or what is checked against it, nests too deeply") from None


def as_list(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


class Schemas:
    """Reads the schemas of one document. `seen` are the references on the way to a schema: they end its cycles."""

    def __init__(self, document: Schema) -> None:
        self.document = document
        self._steps = MAX_STEPS

    def content(self, holder: Any) -> tuple[str, Any]:
        """As `content_of`."""
        content = self.plain(holder)[0].get("content")
        if not isinstance(content, dict) or not content:
            return "", None
        kind = next((kind for kind in content if "json" in kind), next(iter(content)))
        described = content[kind]
        return kind, described.get("schema") if isinstance(described, dict) else None

    def plain(self, schema: Any, seen: Seen = frozenset()) -> Form:
        """An object of the document with its `$ref` and `allOf` carried out."""
        here: set[str] = set()
        plain = self._plain(schema, seen, here)
        return plain, seen | here

    def _plain(self, schema: Any, seen: Seen, here: set[str]) -> Schema:
        """As `plain`; `here` are the references that were followed for the same value: once more they add nothing."""
        layers: list[Schema] = []  # what stands beside each reference of a chain, the outermost first
        while isinstance(schema, dict):
            self._steps -= 1 + len(schema)
            if self._steps < 0:
                raise ValueError("the contract says more of this than can be described")
            layers.append({key: value for key, value in schema.items() if key not in ("$ref", "allOf")})
            parts = [self._plain(part, seen, here) for part in as_list(schema.get("allOf"))]
            layers += reversed(parts)
            ref = schema.get("$ref")
            if not isinstance(ref, str) or ref in here:
                break
            if ref in seen:
                layers.append({"type": "object (recursive)"})
                break
            here.add(ref)
            layers.append({"x-ref": ref})
            schema = pointed(self.document, ref)
        result: Schema = {}
        for layer in reversed(layers):
            if layer:
                result = merged(result, layer)
        return result

    def forms(self, schema: Any, seen: Seen) -> list[Form]:
        """What a value may look like: a schema without `oneOf`, `anyOf` and lists of types for each form.

        MAX_FORMS at most: the rest of a larger union is left out.
        """
        return self._forms(schema, seen, MAX_FORMS)

    def _forms(self, schema: Any, seen: Seen, most: int) -> list[Form]:
        node, seen = self.plain(schema, seen)
        key = next((key for key in ("oneOf", "anyOf") if as_list(node.get(key))), None)
        found: list[Form] = []
        if key:
            base = {name: value for name, value in node.items() if name not in (key, "description", "title", "x-ref")}
            for written in node[key]:
                if len(found) >= most:
                    break
                branch, below = self.plain(written, seen)
                found += self._forms(merged(base, branch), below, most - len(found))
        elif isinstance(node.get("type"), list):
            found = [({**node, "type": kind}, seen) for kind in node["type"]]
        else:
            found = [(node, seen)]
        if node.get("nullable") is True and not any(form.get("type") == "null" for form, _ in found):
            found.append(({"type": "null"}, seen))
        return found


def merged(base: Schema, over: Schema) -> Schema:
    """Two schemas that both hold, as one."""
    both = {**base, **over}
    for key in ("properties", "required", "oneOf", "anyOf"):
        if key in base and key in over:
            both[key] = _both(key, base[key], over[key])
    return both


def _both(key: str, base: Any, over: Any) -> Any:
    if key == "properties":
        if not isinstance(base, dict) or not isinstance(over, dict):
            return over if isinstance(over, dict) else base
        shared = {name: {"allOf": [base[name], schema]} for name, schema in over.items() if name in base}
        return {**base, **over, **shared}
    if key == "required":
        return [*as_list(base), *as_list(over)]
    return [{"allOf": [branch, {key: over}]} for branch in as_list(base)]


def _segments(path: str) -> list[str]:
    """A path's parts without host, query and parameters' names."""
    import re

    path = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/]*", "", re.split(r"[?#]", path)[0])
    return [re.sub(r"^\{.*\}$", "{}", part) for part in path.strip("/").split("/")]


def _pattern(endpoint: Endpoint) -> list[str]:
    """The parts of an endpoint's path, "{}" for a parameter; a gateway writes /tasks/id?id=ID for /tasks/{id}."""
    parts = _segments(endpoint.path)
    parameters = as_list(endpoint.operation.get("parameters"))
    names = {parameter.get("name") for parameter in parameters if isinstance(parameter, dict)}
    return [*parts[:-1], "{}"] if parts[-1:] == ["id"] and "id" in names else parts


def _schema_fits(word: str, part: str) -> bool:
    return part in (word, "{}")
