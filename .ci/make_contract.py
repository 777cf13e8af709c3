"""Writes runway_cli/contract/snapshot.json.gz: the facts of the API's OpenAPI document, and what its SDKs add to them.

    python3 .ci/make_contract.py openapi.json SITE-PACKAGES/runwayml 2026-10-23 [NODE_MODULES/@runwayml/sdk]

The date is the day on which the newest of these was published. Names, types, limits, values and answers are kept, and
no prose: NOTES puts what binds or costs credits into words of its own. The types of the Python SDK are read, not run:
they name the values and fields that are newer than the document. The Node SDK has nothing more, or its words are listed
and the exit status is 1.
"""

from __future__ import annotations

import ast
import gzip
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "runway_cli" / "contract" / "snapshot.json.gz"
PROSE = {"$schema", "contact", "description", "example", "examples", "externalDocs", "summary", "tags", "title"}
BY_NAME = {"callbacks", "headers", "parameters", "paths", "properties", "requestBodies", "responses", "schemas"}
VERBATIM = {"const", "default", "enum", "required"}
Schema = dict[str, Any]

# A sentence that has this → the note that stands for it, and is read by the rules of contract/schema.py.
NOTES = (
    # What it costs.
    (r"surcharge of (\d+) credits per second", r"Other formats than mp4 cost \1 credits a second more."),
    (r"surcharge: (\d+) credits per second for `prores` and `png_sequence`, and (\d+) .* (\d+) credits per second when",
     r"prores and png_sequence cost \1 credits a second more, 10-bit and HDR formats \2, above 4 megapixels \3."),
    (r"`auto` is billed at the variant maximum up front", "auto costs the maximum, the rest is refunded in the end."),
    (r"caps?, applied per generated output", "Caps the credits of each output."),
    (r"(\d+) credits per second of output, rising to (\d+) .* larger than (\d+) megapixels",
     r"Costs \1 credits a second, \2 above \3 megapixels."),
    (r"(?:number|value)[^.]*(?:affects?|scales)\b|affects credits|cost scales with", "More outputs cost more credits."),
    (r"Each image is billed separately|Each image costs 1 credit", "Each image costs credits."),
    (r"(?:Each|image) adds 1 credit", "Each image costs 1 credit more."),
    (r"2K ratios cost (\d+) additional credits", r"2K costs \1 credits more an image."),
    (r"1MP sizes cost (\d+) credits per image and 4MP sizes (\d+)", r"1 MP costs \1 credits an image, 4 MP \2."),
    (r"`low` costs (\d+) credits per image, `medium` (\d+) and `high` (\d+)",
     r"low costs \1 credits an image, medium \2, high \3."),
    (r"`low` is faster and costs (\d+) fewer credits", r"low costs \1 credits less an image."),
    (r"`medium` \((\d+) credits per image\) .* `high` \((\d+) credits\)",
     r"medium costs \1 credits an image and is the default with reference images, high \2."),
    (r"`low` costs (\d+) credits and `very_low` (\d+);.* not available with `preciseEdit`",
     r"low costs \1 credits, very_low \2, which is only for reference images without preciseEdit."),
    (r"qualities consume more credits|use fewer credits", "A higher quality costs more credits."),
    (r"Audio inclusion affects pricing", "Audio costs credits."),
    # What must hold.
    (r"Only valid when `(\w+)` is `(\w+)`", r"Only with \1=\2."),
    (r"For `hdr_prores`, only (`[\w ]+`, `[\w ]+` and `\w+`)", r"With hdr_prores only \1."),
    (r"Only applicable for video-to-video", "Only for a video that is edited."),
    (r"visually recognizable face must", "A face must stay visible."),
    (r"Must be a wss:// or https:// URL", "Must be wss:// or https:// on a public host."),
    (r"reference them in promptText as (@\w+)", r"promptText must name them \1 and so on."),
    (r"ids are excluded; when allowlist_only", "With allowlist_only only ids are used, else all but ids."),
    (r"Numeric durations must be between (\d+) and (\d+)", r"A number must be \1 to \2."),
    (r"Draft mode only supports `mp4`", "With draft only mp4."),
    (r"no other generation fields may be provided", "Replaces every other field."),
    (r"Replaces all current attachments", "Replaces the whole list."),
    (r"omit position for|Omit for a reference image", "Omit position for a plain reference image."),
    (r"two modes cannot be mixed", "Frames and plain reference images cannot be mixed."),
    (r"Only a `first` frame is supported|only supports a first frame", "Only a first frame."),
    (r"generating with only a last frame|last frame requires a first frame", "A last frame only with a first one."),
    (r"adaptive only when image or video references", "adaptive only with images or videos."),
    (r"(?:supports|supports only) (\w+ and \w+)(?: only)?\.", r"Only \1."),
    (r"references require a text prompt", "Only with promptText."),
    (r"[Rr]equires? at least one (?:image reference|reference image)", "Only with a reference image."),
    (r"capped at 720p", "At most 720p with image references."),
    (r"must use (`\w+`, `\w+`, or `\w+`)", r"With frames only \1."),
    (r"at least (\d+) pixels on both sides", r"Both sides must be \1 pixels or more."),
    (r"`ratio` is not supported on image-to-video", "ratio cannot be given."),
    (r"`extend`[^.]* requires `promptText`[^.]* `ratio` may not be", "extend must have promptText, cannot have ratio."),
    (r"still required when `shotType` is `\"(\w+)\"`", r"promptText must be there when shotType is \1."),
    (r"Not available with `maskUri` or `preciseEdit`", "Not with maskUri or preciseEdit."),
    (r"combined duration[^.]* not exceed (\d+) seconds|together at most (\d+) seconds",
     r"Together at most \1\2 seconds."),
    (r"combined duration must be less than (\d+) seconds", r"Together must be under \1 seconds."),
    (r"Total duration across all segments must be between (\d+) and (\d+) seconds",
     r"Together must last \1 to \2 seconds."),
    (r"[Rr]atio (?:\(width / height\) must be|which \(width / height\) must be) between ([\d.]+) and ([\d.]*\d)",
     r"Width / height must be \1 to \2."),
    (r"(?:[Dd]uration|clip|video) must be between ([\d.]+) and ([\d.]+) seconds", r"Must last \1 to \2 seconds."),
    (r"(?:input must be at most|Must be) (\d+) seconds(?: or shorter)?", r"At most \1 seconds."),
    (r"greater than ([\d.]+) seconds and less than (\d+) seconds", r"Must last \1 to \2 seconds."),
    (r"between 10 seconds and 5 minutes long and at most 10MB", "Must last 10 seconds to 5 minutes, at most 10 MB."),
    (r"Each input dimension must be between (\d+)px and (\d+)px", r"Both sides must be \1 to \2 pixels."),
    (r"width times height cannot exceed ([\d,]+\d)", r"Width times height at most \1 pixels."),
    (r"either set a range or none may", "Every keyframe must have a range, or none."),
    (r"keyframe timestamp must fall within it", "The keyframe must be within it."),
    (r"Per-shot durations must sum to `duration`", "Durations must add up to duration."),
    (r"At most one `first` and one `last`", "At most one first and one last."),
    (r"At most one `source` is allowed", "At most one source."),
    (r"Only (\w+) and (\w+) accept this field", r"Only with \1 and \2."),
    (r"(?:No two images may share the same|Tags must differ) tag", "Tags must differ."),
    (r"Must be (\d+)-(\d+) characters, start with a letter",
     r"Must be \1 to \2 letters, digits and underscores, a letter first."),
    (r"must not exceed 90 days|less than or equal to 90 days", "At most 90 days."),
    (r"slug is immutable", "Cannot be changed later."),
    (r"At least one (?:field|of `name` or `content`) must be provided", "At least one field must be given."),
    (r"supported media type \(image, video, or audio\)", "The extension must be of an image, video or audio."),
    # What an answer's key is for.
    (r"authenticating the /consume endpoint", "The bearer token of /consume, which joins the session."),
    (r"session credentials expire", "When sessionKey ends."),
    (r"URL to upload your media file to", "Where the file is posted."),
    (r"must be included in the file upload", "Form fields that must come before the file."),
    (r"Runway upload URI to use in other", "What a request gives in place of a URL."),
    (r"URLs that return the output of the task", "URLs of the outputs; they expire."),
)  # fmt: skip
# What a docstring of the SDK tells of a field that the document does not have.
LIMITS = (
    ("string", r"up to ([\d,]+) characters", ("maxLength",)),
    ("array", r"(?:[Uu]p to|one to) (\d+|three|one)\b", ("maxItems",)),
    ("array", r"(\d+) to (\d+) images", ("minItems", "maxItems")),
    ("integer", r"\((\d+)-(\d+)\)|between (\d+) and (\d+)", ("minimum", "maximum")),
)


# -- The document -----------------------------------------------------------------------------------------------------


def facts(value: Any) -> Any:
    """Returns the value without prose, where a key is a keyword and not a name."""
    if isinstance(value, list):
        return [facts(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept: Schema = {}
    for key, item in value.items():
        if key in VERBATIM:
            kept[key] = item
        elif key in BY_NAME and isinstance(item, dict):
            kept[key] = {name: facts(part) for name, part in item.items()}
        elif key not in PROSE and not key.startswith("x-"):
            kept[key] = facts(item)
    told = notes(value.get("description"))
    return {**kept, "description": told} if told else kept


def notes(text: Any) -> str:
    """Returns the notes for a description."""
    if not isinstance(text, str):
        return ""
    found = [match.expand(note) for pattern, note in NOTES for match in [re.search(pattern, " ".join(text.split()))]
             if match]  # fmt: skip
    return " ".join(dict.fromkeys(found))


def body_of(operation: Schema) -> Any:
    return operation["requestBody"]["content"]["application/json"]["schema"]


def answer_of(operation: Schema) -> Any:
    return operation["responses"]["200"]["content"]["application/json"]["schema"]


def branches(schema: Schema) -> list[Schema]:
    return [form for key in ("oneOf", "anyOf") for branch in schema.get(key, ()) for form in branches(branch)] or [
        schema
    ]


# -- The types of the Python SDK --------------------------------------------------------------------------------------


class Module:
    """The classes and aliases of one file of types, as schemas; a docstring is its `description`."""

    def __init__(self, path: Path) -> None:
        self.nodes: dict[str, Any] = {}
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                self.nodes[node.name] = node
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                self.nodes[ast.unparse(node).partition(" = ")[0].partition(":")[0]] = node.value
            elif isinstance(node, ast.ImportFrom) and node.level and node.module and node.module[0] != "_":
                file = path.parents[node.level - 1] / (node.module.replace(".", "/") + ".py")
                self.nodes.update({alias.name: (file, alias.name) for alias in node.names})

    def named(self, name: str) -> Schema:
        node = self.nodes[name]
        if isinstance(node, tuple):
            return module(node[0]).named(node[1])
        return self._object(node) if isinstance(node, ast.ClassDef) else self._schema(node)

    def _object(self, node: ast.ClassDef) -> Schema:
        bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        made: Schema = {"type": "object", "properties": {}, "required": []}
        for base in set(bases) - {"TypedDict", "BaseModel"}:
            made = self.named(base)
        for field, following in zip(node.body, [*node.body[1:], None]):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            source = ast.unparse(field)
            alias = re.search(r"alias='(\w+)'", source)
            name = alias[1] if alias else field.target.id
            schema = self._schema(field.annotation)
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                schema["description"] = str(following.value.value)
            made["properties"][name] = schema
            is_optional = re.search(r"= None$|default=", source)
            if "Required[" in source or ("BaseModel" in bases and not is_optional):
                made["required"].append(name)
            elif is_optional and "null" not in schema.get("description", "") and {"type": "null"} in schema["anyOf"]:
                schema["anyOf"].remove({"type": "null"})  # it is absent instead
        return made

    def _schema(self, node: Any) -> Schema:
        """Returns the schema of an annotation."""
        if isinstance(node, ast.Constant):
            return {"type": "null"}
        if isinstance(node, (ast.Name, ast.Attribute)):
            name = node.id if isinstance(node, ast.Name) else node.attr
            simple = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
            if name in simple:
                return {"type": simple[name]}
            if name in ("date", "datetime"):
                return {"type": "string", "format": name.replace("etime", "e-time")}
            return {} if name == "object" else self.named(name)
        assert isinstance(node, ast.Subscript)
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        kind = ast.unparse(node.value)
        if kind == "Literal":
            values = [ast.literal_eval(part) for part in inner]
            type_ = "string" if isinstance(values[0], str) else "integer"
            return {"type": type_, **({"enum": values} if len(values) > 1 else {"const": values[0]})}
        if kind in ("Required", "Annotated"):
            return self._schema(inner[0])
        if kind == "Dict":
            return {"type": "object", "additionalProperties": self._schema(inner[1])}
        if kind in ("Union", "Optional"):
            return {"anyOf": [*map(self._schema, inner), *([{"type": "null"}] if kind == "Optional" else [])]}
        return {"type": "array", "items": self._schema(inner[0])}


@cache
def module(path: Path) -> Module:
    return Module(path)


@cache
def package() -> Path:
    return Path(sys.argv[2])


def calls() -> Iterator[tuple[str, str, Schema | None, Schema | None]]:
    """Yields the method, path, body and answer of what the SDK calls, each twice."""
    call = (
        r'self\._(get|post|patch|put|get_api_list)\(\s*(?:path_template\()?"([^"]+)"(.*?)(?=\n    (?:async )?def |\Z)'
    )
    for file in sorted(package().glob("resources/**/*.py")):
        for method, path, rest in re.findall(call, file.read_text(encoding="utf-8"), re.DOTALL):
            body = re.search(r"body=.*?(\w+_params)\.(\w+)", rest, re.DOTALL)
            answer = re.search(r"(?:cast_to=|Any, |resource\(|Page\[)\s*([A-Z]\w+Response)\b", rest)
            made = _type("*_response", answer[1]) if answer else None
            if made and method == "get_api_list":
                made = {"type": "object", "properties": {"data": {"type": "array", "items": made}}}
            yield method.partition("_")[0], path, _type(body[1], body[2]) if body else None, made


@cache
def _type(file: str, name: str) -> Schema | None:
    modules = map(module, sorted(package().glob(f"types/**/{file}.py")))
    return next((found.named(name) for found in modules if name in found.nodes), None)


# -- Both together ----------------------------------------------------------------------------------------------------


class Merge:
    """Adds what the SDK's schemas have to the document's, whose limits stay."""

    def __init__(self, document: Schema) -> None:
        uris = [schema for schema in _schemas(document) if len(schema.get("anyOf", ())) == 3]
        self.uris = {
            kind: next(uri["anyOf"] for uri in uris if f"data:{kind}" in json.dumps(uri["anyOf"][2]))
            for kind in ("image", "video", "audio")
        }

    def new(self, schema: Schema, name: str = "") -> Schema:
        """Returns a schema that the document does not have, with the limits that its docstring tells."""
        text = " ".join(schema.get("description", "").split())
        made = {key: value for key, value in schema.items() if key not in ("description", "properties", "required")}
        kind, media = (
            schema.get("type"),
            re.search(r"`data:(\w+)/.*Runway upload URI|Runway upload URI.*`data:(\w+)/", text),
        )
        if kind == "string" and media:
            return {"anyOf": self.uris[media[1] or media[2]]}
        for of_kind, pattern, keywords in LIMITS:
            found = re.search(pattern, text) if kind == of_kind and "enum" not in schema else None
            numbers = filter(None, found.groups()) if found else ()
            words = {"one": "1", "three": "3"}
            made.update(zip(keywords, (int(words.get(number, number).replace(",", "")) for number in numbers)))
        if kind == "string" and "non-empty" in text:
            made["minLength"] = 1
        if "properties" in schema:
            made["properties"] = {name: self.new(part, name) for name, part in schema["properties"].items()}
            made.update({"required": schema["required"]} if schema["required"] else {})
            made.update({"additionalProperties": False} if "model" in schema["properties"] else {})
        medium = next((found for found in self.uris if found in name.lower()), "")
        if "items" in schema:
            uri = {"type": "object", "properties": {"uri": {"anyOf": self.uris.get(medium)}}, "required": ["uri"]}
            made["items"] = self.new(schema["items"], name) or (uri if medium else {})
        if "anyOf" in schema:
            made["anyOf"] = [self.new({"description": text, **form}, name) for form in schema["anyOf"]]
            lists = [form["items"].get("properties", {}) for form in made["anyOf"] if "items" in form]
            for form in made["anyOf"] if any("uri" in inner for inner in lists) else ():
                if form.get("type") == "string":  # such as promptImage: the image itself, or objects with its `uri`
                    form.clear()
                    form["anyOf"] = next(inner["uri"] for inner in lists if "uri" in inner)["anyOf"]
        told = notes(text)
        return {**made, "description": told} if told else made

    def merge(self, known: Schema, newer: Schema) -> None:
        """Changes `known` so that it allows what `newer` allows too."""
        forms = branches(known)
        for form in branches(newer):
            if form.keys() <= {"description"}:
                continue
            if "properties" in form:
                alike = [other for other in forms if "properties" in other and not _conflict(other, form)]
                if alike:
                    self._merge_object(max(alike, key=lambda other: _common(other, form)), form)
                else:
                    self._add(known, self.new(form), "oneOf" if "model" in form["properties"] else "anyOf")
                continue
            alike = [other for other in forms if _type_of(other) == _type_of(form)]
            values = form.get("enum") or ([form["const"]] if "const" in form else [])
            lists = [other for other in alike if "enum" in other or "const" in other]
            if "items" in form and alike:
                self.merge(alike[0]["items"], form["items"])
            elif "additionalProperties" in form and alike:
                self.merge(alike[0]["additionalProperties"], form["additionalProperties"])
            elif values and lists:
                had = lists[0].pop("enum", None) or [lists[0].pop("const")]
                both = list(dict.fromkeys([*had, *values]))
                lists[0].update({"enum": both} if len(both) > 1 else {"const": both[0]})
            elif values or not alike:
                self._add(known, self.new(form), "anyOf")

    def _merge_object(self, known: Schema, newer: Schema) -> None:
        for name, schema in newer["properties"].items():
            if name not in known["properties"]:
                known["properties"][name] = self.new(schema, name)
                continue
            self.merge(known["properties"][name], schema)
            text = schema.get("description", "")
            if text and "Runway upload URI" not in text:  # whose limits the document tells
                known["properties"][name].pop("description", None)
                told = notes(text)
                known["properties"][name].update({"description": told} if told else {})

    def _add(self, known: Schema, form: Schema, union: str) -> None:
        union = next((key for key in ("oneOf", "anyOf") if key in known), union)
        if union not in known:
            only = dict(known)
            known.clear()
            known[union] = [only]
            if "model" in only.get("properties", {}):
                known["discriminator"] = {"propertyName": "model"}
        known[union].append(form)


def _type_of(schema: Schema) -> Any:
    return "number" if schema.get("type") == "integer" else schema.get("type")


def _conflict(one: Schema, other: Schema) -> bool:
    """Returns whether a property tells two objects apart, such as `model`."""
    values = [
        {name: part["const"] for name, part in each["properties"].items() if "const" in part} for each in (one, other)
    ]
    return any(values[0][name] != values[1][name] for name in values[0].keys() & values[1].keys())


def _common(one: Schema, other: Schema) -> int:
    """Returns how much two objects resemble each other."""
    return -len(one["properties"].keys() ^ other["properties"].keys())


def _schemas(value: Any) -> Iterator[Schema]:
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _schemas(item)
    if isinstance(value, dict):
        yield value


def add_sdk(document: Schema) -> None:
    """Changes the document to what the SDK has."""
    merge, paths = Merge(document), document["paths"]
    for method, path, body, answer in calls():
        if method == "post" and path not in paths:
            paths[path] = {"post": json.loads(json.dumps(paths["/v1/video_upscale"]["post"]))}  # its answers
            content = paths[path]["post"]["requestBody"]["content"]["application/json"]
            content["schema"] = merge.new(body or {})
            continue
        operation = paths.get(path, {}).get(method)
        if operation and body and "requestBody" in operation:
            merge.merge(body_of(operation), body)
        if operation and answer and "content" in operation["responses"].get("200", {}):
            merge.merge(answer_of(operation), answer)


def add_pages(document: Schema) -> None:
    """Changes the document to what only the API's pages tell, and to what older answers have."""
    for kind in ("video", "image", "audio"):
        operation = document["paths"][f"/v1/generate/{kind}"]["post"]
        body_of(operation)["properties"]["dryRun"] = {"type": "boolean"}
        answer_of(operation)["required"].remove("id")  # a dry run starts nothing
    answer_of(document["paths"]["/v1/organization"]["get"])["properties"]["name"] = {"type": "string"}


def missing(document: Schema, node: Path) -> list[str]:
    """Returns the values in the types of the Node SDK that the document does not have."""
    known = {str(value) for schema in _schemas(document) for value in [*schema.get("enum", ()), schema.get("const")]}
    found = set()
    for file in node.glob("resources/**/*.d.ts"):
        text = re.sub(
            r"/\*.*?\*/|^(?:import|export \*).*?;", "", file.read_text(encoding="utf-8"), flags=re.DOTALL | re.M
        )
        found.update(re.findall(r"[:|] '([^']+)'", text))
    return sorted(found - known)


def packed(document: Schema) -> bytes:
    """Returns the document as lines of JSON, compressed.

    In the first one each operation is the number of a further line: a call looks into one or two.
    """
    items = document["paths"].items()
    operations = [operation for _, item in items for operation in item.values()]
    number = iter(range(len(operations)))
    paths = {path: {method: next(number) for method in item} for path, item in items}
    lines = [
        json.dumps(part, separators=(",", ":"), ensure_ascii=False)
        for part in [{**document, "paths": paths}, *operations]
    ]
    return gzip.compress("\n".join(lines).encode(), 9, mtime=0)


def main(argv: list[str]) -> int:
    """Reads the document and the SDKs, and writes the snapshot."""
    if len(argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    source = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    document = facts({key: source[key] for key in ("openapi", "info", "servers", "security", "components", "paths")})
    document["components"] = {key: value for key, value in document["components"].items() if value}
    document["info"]["x-date"] = argv[2]
    add_sdk(document)
    add_pages(document)
    TARGET.write_bytes(packed(document))
    lacking = missing(document, Path(argv[3])) if len(argv) == 4 else []
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes", *lacking, sep="\n  not in it: ")
    return 1 if lacking else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
