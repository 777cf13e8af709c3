"""The API's rules, from tests/data/contract.json: which requests are taken, and which answers are valid."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from runway_cli.contract.check import check_schema
from tests.fake.refusals import Issue, Refusal, invalid_request, issue

DATA = Path(__file__).resolve().parent.parent / "data"

# Words of a check's message, and the code that the API gives such an issue. The first that are found count.
CODES = {
    "unknown field": "unrecognized_keys",
    "must be one of": "invalid_value",
    "must begin with": "invalid_format",
    "must match": "invalid_format",
    "at least": "too_small",
    "greater than": "too_small",
    "at most": "too_big",
    "less than": "too_big",
}


@cache
def data(name: str) -> Any:
    """A JSON document of tests/data, read once: `contract`, `openapi` (small, with prose), `gateway-definition`."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


@dataclass
class Operation:
    """One method of one path. `body` is the schema of its body, None where it takes none."""

    method: str
    template: str
    pattern: re.Pattern[str]
    parameters: list[dict[str, Any]]
    body: dict[str, Any] | None
    answers: dict[str, Any] = field(default_factory=dict)

    def answer_schema(self, status: int) -> dict[str, Any] | None:
        """The schema of an answer's JSON; None where there is none."""
        return _json_schema(self.answers.get(str(status), {}))

    def check_path(self, values: Mapping[str, str]) -> None:
        """Raises Refusal (400) unless the path's parameters are valid."""
        self._check_parameters("path", {name: [value] for name, value in values.items()})

    def check_query(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """The query's values, with numbers as such. Raises Refusal (400) unless they are valid."""
        return self._check_parameters("query", query)

    def check_body(self, body: Any) -> None:
        """Raises Refusal (400) unless the body is valid."""
        if self.body is not None:
            found = issues(self.body, body)
            if found:
                raise invalid_request("body", found)

    def answer_problems(self, status: int, value: Any) -> list[Issue]:
        """What the contract finds wrong with an answer. A status that it does not list is an error of any kind."""
        if str(status) not in self.answers:
            known_error = status >= 400 and isinstance(value, dict) and isinstance(value.get("error"), str)
            return [] if known_error else [issue([], f"{status} is not an answer of {self.method} {self.template}")]
        schema = self.answer_schema(status)
        if schema is None:
            return [] if value is None else [issue([], f"{status} has no body")]
        return issues(schema, value)

    def _check_parameters(self, place: str, given: Mapping[str, list[str]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        found: list[Issue] = []
        for parameter in self.parameters:
            name, schema = parameter["name"], parameter["schema"]
            if parameter["in"] != place:
                continue
            if name in given:
                values[name] = _typed(given[name], schema)
                found += issues(schema, values[name], name)
            elif parameter.get("required"):
                found.append(issue([name], f"Invalid input: expected {schema['type']}, received undefined"))
        if found:
            raise invalid_request(place, found)
        return values


def issues(schema: dict[str, Any], value: Any, *at: str) -> list[Issue]:
    """What is wrong with a value, as the API's `issues` have it; `at` is where the value stands."""
    found = []
    for problem in check_schema(data("contract"), schema, value):
        path = [*at, *(int(part) if part.isdigit() else part for part in problem["field"].split(".") if part)]
        for message in problem["messages"]:
            code = next((code for words, code in CODES.items() if words in message), "invalid_type")
            if code == "unrecognized_keys":
                found.append(issue(path[:-1], f'Unrecognized key: "{path[-1]}"', code, keys=path[-1:]))
            else:
                found.append(issue(path, f"Invalid input: {message}", code))
    return found


def _typed(values: list[str], schema: dict[str, Any]) -> Any:
    """A parameter's value as its schema wants it; what cannot be one stays text, and is refused later."""
    if len(values) > 1:
        return values
    text = values[0]
    if schema["type"] in ("integer", "number") and re.fullmatch(r"-?[0-9]{1,9}", text):
        return int(text)
    return text


@lru_cache(maxsize=1)
def operations() -> list[Operation]:
    """Every operation; paths without a parameter come first."""
    found = []
    for template, item in sorted(data("contract")["paths"].items(), key=lambda entry: entry[0].count("{")):
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))
        for method, operation in item.items():
            parameters = [_resolved(parameter) for parameter in operation["parameters"]]
            body = _json_schema(operation.get("requestBody", {}))
            found.append(Operation(method.upper(), template, pattern, parameters, body, operation["responses"]))
    return found


def find(method: str, path: str) -> tuple[Operation, dict[str, str]]:
    """The operation that a request is for, and its path's parameters. Raises Refusal: 404, or 405 with `Allow`."""
    allowed = []
    for operation in operations():
        match = operation.pattern.fullmatch(path)
        if match and operation.method == method:
            return operation, {name: unquote(value) for name, value in match.groupdict().items()}
        if match:
            allowed.append(operation.method)
    if allowed:
        raise Refusal(405, f"{method} is not allowed here", headers={"Allow": ", ".join(allowed)})
    raise Refusal(404, f"Cannot {method} {path}")


def operation_of(method: str, template: str) -> Operation:
    """The operation with this template. Raises StopIteration where there is none."""
    return next(op for op in operations() if (op.method, op.template) == (method, template))


def _json_schema(content: dict[str, Any]) -> dict[str, Any] | None:
    schema = content.get("content", {}).get("application/json", {}).get("schema")
    assert schema is None or isinstance(schema, dict)
    return schema


def _resolved(parameter: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in parameter:
        found = data("contract")["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
        assert isinstance(found, dict)
        return found
    return parameter
