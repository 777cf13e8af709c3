"""What the API accepts and answers, by the contract that comes with the program; its refusals in their own shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from runway_cli.contract.check import check
from runway_cli.contract.schema import Endpoint
from runway_cli.contract.source import snapshot
from tests.fake.http import Answer, json_answer

DATA = Path(__file__).resolve().parent.parent / "data"
DOC_URL = "https://docs.dev.runwayml.com/api"
# Tried in order for a string: the first that the schema allows is used.
TEXTS = (
    "text.png",
    "text",
    "some longer text that says enough",
    "https://example.com/a.png",
    "data:image/png;base64,AAAA",
    "data:video/mp4;base64,AAAA",
    "data:audio/wav;base64,AAAA",
    "2026-01-02T03:04:05.678Z",
    "2026-01-02",
    "0190f5c1-7f3a-7c3e-8a52-0123456789ab",
    "6f9619ff-8b86-4011-b42d-00c04fc964ff",
)

Schema = dict[str, Any]
Issue = dict[str, Any]


@cache
def data(name: str) -> Any:
    """Returns a document, read once: `contract` is the program's, `openapi` a small one with prose."""
    if name == "contract":
        document = snapshot().document
        paths = {
            path: {method: json.loads(line) for method, line in item.items()}
            for path, item in document["paths"].items()
        }
        return {**document, "paths": paths}
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


class Refusal(Exception):
    """An answer of the API that is an error. `more` are further keys of its body."""

    def __init__(self, status: int, error: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.value: dict[str, Any] = {"error": error, **more}
        self.headers = dict(headers or {})

    def answer(self) -> Answer:
        """Returns the refusal as it goes over the wire."""
        return json_answer(self.status, self.value, self.headers)


def invalid_field(path: list[str | int], message: str, part: str = "body") -> Refusal:
    """Returns the 400 for a value of the right shape that still cannot be used."""
    return _invalid(part, [{"code": "custom", "path": path, "message": message}])


def problems(schema: Schema, value: Any) -> list[Issue]:
    """Returns what is wrong with a value, in the form of the API's `issues`."""
    operation = {"requestBody": {"content": {"application/json": {"schema": schema}}}}
    found = check(data("contract"), Endpoint("POST", "", operation), value)
    return [
        {
            "code": "invalid_value",
            "path": [int(part) if part.isdigit() else part for part in problem["field"].split(".") if part],
            "message": f"Invalid input: {message}",
        }
        for problem in found
        for message in problem["messages"]
    ]


class Operation:
    """One method of one path. `body` is the schema of its body, None where it has none."""

    def __init__(self, method: str, template: str, operation: Schema) -> None:
        self.method = method
        self.template = template
        self.body = _json_schema(operation.get("requestBody", {}))
        self._answers = operation["responses"]
        self._parameters = [each for each in operation["parameters"] if "$ref" not in each]  # but for the version

    def answer_schema(self, status: int = 200) -> Schema | None:
        """Returns the schema of an answer's JSON; None where there is none."""
        return _json_schema(self._answers.get(str(status), {}))

    def check_body(self, body: Any) -> None:
        """Raises Refusal (400) unless the body is valid."""
        found = problems(self.body, body) if self.body is not None else []
        if found:
            raise _invalid("body", found)

    def answer_problems(self, status: int, value: Any) -> list[Issue]:
        """Returns what is wrong with an answer. A status that the contract does not list is an error of any kind."""
        schema = self.answer_schema(status)
        if schema is not None:
            return problems(schema, value)
        listed = str(status) in self._answers
        sound = value is None if listed else status >= 400 and isinstance(value.get("error"), str)
        return [] if sound else [{"code": "custom", "path": [], "message": f"{status} is not answered like this"}]

    def check_parameters(self, place: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the values of the path or query, with numbers as such. Raises Refusal (400) unless they are valid."""
        known = {each["name"]: each for each in self._parameters if each["in"] == place}
        values = {name: _typed(value, known[name]["schema"]) for name, value in given.items() if name in known}
        schema = {
            "type": "object",
            "properties": {name: each["schema"] for name, each in known.items()},
            "required": [name for name, each in known.items() if each.get("required")],
        }
        if found := problems(schema, values):
            raise _invalid(place, found)
        return values


@cache
def operations() -> list[Operation]:
    """Returns every operation; paths without a parameter come first."""
    paths = sorted(data("contract")["paths"].items(), key=lambda entry: entry[0].count("{"))
    return [Operation(method.upper(), template, op) for template, item in paths for method, op in item.items()]


def find(method: str, path: str) -> tuple[Operation, dict[str, str]]:
    """Returns the operation of a request and its path's parameters. Raises Refusal: 404, or 405 with `Allow`."""
    allowed = []
    for operation in operations():
        match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", operation.template), path)
        if match and operation.method == method:
            return operation, {name: unquote(value) for name, value in match.groupdict().items()}
        if match:
            allowed.append(operation.method)
    if allowed:
        raise Refusal(405, f"{method} is not allowed here", headers={"Allow": ", ".join(allowed)})
    raise Refusal(404, f"Cannot {method} {path}")


def instance(schema: Schema) -> Any:
    """Returns the smallest value that the schema allows: of alternatives the first, and null where that is one."""
    for union in ("oneOf", "anyOf"):
        if union in schema:
            null = any(branch.get("type") == "null" for branch in schema[union])
            return None if null else instance(schema[union][0])
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: instance(schema["properties"][name]) for name in schema.get("required", ())}
    if kind == "array":
        return [instance(schema["items"])] * schema.get("minItems", 0)
    if kind in ("integer", "number"):
        return schema["exclusiveMinimum"] + 1 if "exclusiveMinimum" in schema else max(schema.get("minimum", 0), 0)
    if kind == "string":
        return next(text for text in TEXTS if not problems(schema, text))
    return {"boolean": False, "null": None}.get(str(kind), {})


def _invalid(part: str, issues: list[Issue]) -> Refusal:
    return Refusal(400, f"Validation of {part} failed", issues=issues, docUrl=DOC_URL)


def _json_schema(content: Schema) -> Schema | None:
    schema: Schema | None = content.get("content", {}).get("application/json", {}).get("schema")
    return schema


def _typed(value: Any, schema: Schema) -> Any:
    """Returns a parameter's value as its schema wants it; what cannot be one stays text, and is refused later."""
    is_number = schema["type"] in ("integer", "number") and isinstance(value, str)
    return int(value) if is_number and re.fullmatch(r"-?[0-9]{1,9}", value) else value
