"""Compares the verdicts of `runway_cli.contract.check` with those of the PyPI package `jsonschema`.

    python .ci/judge_contract.py [openapi.json]

For every operation with a JSON body it makes valid bodies (the smallest, the fullest, each branch and each boundary)
and bodies with one fault (missing, unknown, another type, another value, past a limit, against a pattern or format).
A grid of small schemas and values covers what those bodies do not meet. Exits 1 on any difference, and where too few
bodies were made for that to mean something.
"""

from __future__ import annotations

import copy
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from runway_cli import jsontext  # noqa: E402
from runway_cli.contract.check import check  # noqa: E402
from runway_cli.contract.schema import Endpoint, endpoints  # noqa: E402
from runway_cli.contract.source import snapshot  # noqa: E402

FEWEST_VALID = 375
FEWEST_INVALID = 2_000
MAX_LENGTH = 10_000  # characters of a generated string; a limit beyond is not tried
NESTED_STRIDE = 23  # one fault of so many is taken where a body differs from the first only inside
MAX_DEPTH = 7  # levels of a generated value
SHOWN = 20  # differences that are printed
UUID = "123e4567-e89b-42d3-a456-426614174000"
TEXTS = ("aaa", "a1", UUID, "2026-01-31", "2026-01-31T12:00:00Z", "https://example.com/a.png", "runway://upload/a",
         "data:image/png;base64,AAAA", "data:video/mp4;base64,AAAA", "data:audio/mp3;base64,AAAA")  # fmt: skip
WRONG_TEXTS = ("", " ", "!", "Aa-_.9", "not a uri", "ftp://example.com/a", "2026-02-32", "123e4567-e89b", "x" * 70)
OTHER_TYPES: tuple[Any, ...] = (None, True, 0, 7, 1.5, "text", [], [1], {}, {"a": 1})

GRID_SCHEMAS: tuple[dict[str, Any], ...] = (
    {}, {"type": ["string", "null"]}, {"type": "integer"}, {"type": "number", "minimum": 1.5, "maximum": 7},
    {"exclusiveMinimum": 1}, {"const": 1}, {"const": [1, {"a": True}]},
    {"enum": ["a", 1, None, True]}, {"items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
    {"properties": {"a": {"type": "integer"}}, "additionalProperties": False}, {"required": ["a"]},
    {"additionalProperties": {"type": "integer"}}, {"propertyNames": {"pattern": "^[a-z]$"}},
    {"oneOf": [{"type": "object", "required": ["a"]}, {"const": "a1"}]},
    {"anyOf": [{"type": "string", "maxLength": 1}, {"type": "array"}]}, {"pattern": "^[a-z][a-z0-9_-]{0,3}$"},
    {"minLength": 2, "maxLength": 3}, {"format": "uuid"}, {"format": "date"}, {"format": "date-time"},
    {"format": "uri"}, {"format": "of-our-own"}, {"$ref": "#/components/schemas/Node"},
    {"$ref": "#/components/schemas/Node", "required": ["next"]},
)  # fmt: skip
GRID_VALUES: tuple[Any, ...] = (
    *OTHER_TYPES, *TEXTS, *WRONG_TEXTS, False, 1, 1.0, 3, 5, -3, 0.3, 1e3, 10**30, 2.5e-7, [1, "a"], [1, {"a": True}],
    [1, {"a": 1}], [1, 2, 3], {"a": "x"}, {"b": 1}, {"a": 1, "b": 2}, {"ab": 1}, {"A": 1}, {"next": {"next": {}}},
    {"next": {"next": 5}}, {"next": {}, "value": 1}, "é", "日本語", "😀😀", "2026-01", "2024-02-29",
    "2026-13-01", "2026-01-31T12:00:00+01:00", "2026-01-31T25:00:00Z", "2026-01-31T12:00", UUID.upper(),
    "{" + UUID + "}", UUID.replace("-", ""), "mailto:a@example.com", "//example.com", "a b:c",
)  # fmt: skip
GRID_COMPONENTS = {
    "Node": {"properties": {"next": {"$ref": "#/components/schemas/Node"}}, "additionalProperties": False},
}


def branches(schema: Any) -> list[Any]:
    """Returns a schema's forms, with what stands beside `oneOf` and `anyOf` in each."""
    key = next((key for key in ("oneOf", "anyOf") if key in schema), None)
    if key is None:
        return [schema]
    rest = {name: value for name, value in schema.items() if name not in (key, "discriminator")}
    return [{**rest, **form} for branch in schema[key] for form in branches(branch)]


def valid(schema: Any, full: bool, depth: int = 0) -> list[Any]:
    """Returns valid values, the plainest first: one for each branch, each allowed value and each boundary."""
    return [value for form in branches(schema) for value in _valid(form, full, depth)]


def _valid(form: Any, full: bool, depth: int) -> list[Any]:
    if "const" in form:
        return [form["const"]]
    if "enum" in form:
        return list(form["enum"])
    kind = form.get("type", "object" if "properties" in form else "string")
    if kind in ("integer", "number"):
        return _numbers(form, 1 if kind == "integer" else 0.5)
    if kind == "string":
        return _strings(form)
    if kind == "array":
        return _arrays(form, full, depth)
    if kind == "object":
        return _objects(form, full, depth)
    return [True, False] if kind == "boolean" else [None]


def _strings(form: Any) -> list[str]:
    least, most = form.get("minLength", 0), form.get("maxLength", 1000)
    padded = (text + "a" * (least - len(text)) for text in TEXTS)
    found = [text for text in padded if _suits(form, text)][:1]
    for length in (least, most) if found else ():
        text = found[0][:length] + "a" * min(length - len(found[0]), MAX_LENGTH)
        if _suits(form, text):
            found.append(text)
    return list(dict.fromkeys(found))


def _suits(form: Any, text: str) -> bool:
    if not form.get("minLength", 0) <= len(text) <= form.get("maxLength", len(text)):
        return False
    if "pattern" in form and not re.search(form["pattern"], text):
        return False
    return "format" not in form or FORMATS.conforms(text, form["format"])


def _numbers(form: Any, step: float) -> list[Any]:
    least, most = form.get("minimum"), form.get("maximum")
    above = form.get("exclusiveMinimum")
    least = above + step if least is None and above is not None else least
    found = [number for number in (least, most) if number is not None] or [0]
    if len(found) == 2 and found[0] + step < found[1]:
        found.append(found[0] + step)
    return [*found, float(found[0])]


def _arrays(form: Any, full: bool, depth: int) -> list[Any]:
    least, most = form.get("minItems", 0), form.get("maxItems", 5)
    items = valid(form.get("items", {}), full, depth + 1) if depth < MAX_DEPTH else []
    if not items:
        return [[]]
    found: list[Any] = [[item, *[items[0]] * (max(least, 1) - 1)] for item in items]
    found += [[]] * (least == 0) + [[items[0]] * least, [items[0]] * min(most, 60)]
    return [copy.deepcopy(value) for value in found if most >= len(value) >= least]


def _objects(form: Any, full: bool, depth: int) -> list[Any]:
    required = form.get("required", ())
    choices = {
        name: valid(schema, full, depth + 1)
        for name, schema in form.get("properties", {}).items()
        if name in required or (full and depth < MAX_DEPTH)
    }
    free = form.get("additionalProperties")
    if isinstance(free, dict) and full and depth < MAX_DEPTH:
        name = valid({"type": "string", **form.get("propertyNames", {})}, full)[0]
        choices[name] = valid(free, full, depth + 1)
    base = {name: values[0] for name, values in choices.items() if values}
    others = [{**base, name: value} for name, values in choices.items() for value in values[1:]]
    return [copy.deepcopy(value) for value in (base, *others)]


def faulty(schema: Any, value: Any, depth: int = 0) -> Iterator[Any]:
    """Yields values with one fault each, as far as they can be told without judging them."""
    yield from (other for other in OTHER_TYPES if type(other) is not type(value))
    for form in branches(schema):
        if isinstance(value, dict):
            yield from _faulty_objects(form, value, depth)
        elif isinstance(value, list):
            yield from ([], value[:-1], value * (form.get("maxItems", 3) + 1), [*value, *value[-1:]])
            for other in faulty(form.get("items", {}), value[0], depth + 1) if value and depth < MAX_DEPTH else ():
                yield [other, *value[1:]]
        elif isinstance(value, str):
            yield from (*WRONG_TEXTS, value + "!", value.upper(), value[:-1], "x" + value)
            yield value[: max(form.get("minLength", 0) - 1, 0)]
            if form.get("maxLength", MAX_LENGTH) < MAX_LENGTH:
                yield value + "a" * (form["maxLength"] + 1 - len(value))
        elif isinstance(value, (int, float)):
            for key, step in (("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1)):
                if key in form:
                    yield from (form[key] + step, form[key] + step / 2)
            yield from (-1, 0.5, 1e-9, 10**20, -(10**20), 1e300)


def _faulty_objects(form: Any, value: dict[str, Any], depth: int) -> Iterator[Any]:
    for name in value:
        yield {key: item for key, item in value.items() if key != name}
        yield {(key.upper() + "!" if key == name else key): item for key, item in value.items()}
    yield {**value, "unknownField": 1}
    free = form.get("additionalProperties")
    for name, item in value.items() if depth < MAX_DEPTH else ():
        schema = form.get("properties", {}).get(name, free)
        for other in faulty(schema, item, depth + 1) if isinstance(schema, dict) else ():
            yield {**value, name: other}


def _formats() -> FormatChecker:
    """jsonschema's own uuid and date; it has date-time and uri only with further packages."""
    checker = FormatChecker(["uuid", "date"])

    @checker.checks("uri")
    def is_uri(value: object) -> bool:
        return not isinstance(value, str) or (bool(urlsplit(value).scheme) and not re.search(r"\s", value))

    @checker.checks("date-time", raises=ValueError)
    def is_date_time(value: object) -> bool:
        if not isinstance(value, str):
            return True
        if not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", value):
            return False
        return datetime.fromisoformat(value.upper().replace("Z", "+00:00")).tzinfo is not None

    return checker


FORMATS = _formats()


def _one_of(validator: Any, forms: list[Any], value: Any, _schema: Any) -> Iterator[ValidationError]:
    if sum(validator.evolve(schema=form).is_valid(value) for form in forms) != 1:
        yield ValidationError("is not of one form")


def _any_of(validator: Any, forms: list[Any], value: Any, _schema: Any) -> Iterator[ValidationError]:
    if not any(validator.evolve(schema=form).is_valid(value) for form in forms):
        yield ValidationError("is of no form")


# Of unions only the verdict is needed: jsonschema's own rules make every error of every form, in three times the time.
VALIDATOR = validators.extend(Draft202012Validator, {"oneOf": _one_of, "anyOf": _any_of})


class Judge:
    """Counts the verdicts and collects the differences."""

    def __init__(self) -> None:
        self.count: Counter[bool] = Counter()
        self.differences: list[str] = []

    def compare(self, title: str, value: Any, validator: Any, ours: Callable[[Any], list[dict[str, Any]]]) -> None:
        text = json.dumps(value, ensure_ascii=False)
        expected = bool(validator.is_valid(value))
        issues = ours(jsontext.loads(text))
        self.count[expected] += 1
        if (not issues) != expected:
            self.differences.append(f"{title}: jsonschema says {expected}, we say {issues} of {text[:600]}")


def judge_endpoint(document: dict[str, Any], endpoint: Endpoint) -> Judge:
    """Judges the bodies of one endpoint."""
    judge = Judge()
    schema = json.loads(jsontext.dumps(endpoint.operation["requestBody"]["content"]["application/json"]["schema"]))
    validator = VALIDATOR(schema, format_checker=FORMATS)
    for body in {json.dumps(body): body for body in _bodies(schema)}.values():
        judge.compare(f"{endpoint.method} {endpoint.path}", body, validator, partial(check, document, endpoint))
    return judge


def _bodies(schema: Any) -> Iterator[Any]:
    for form in branches(schema):
        for full in (False, True):
            found = valid(form, full)
            yield from found
            yield from faulty(form, found[0])
        for body in found[1:]:  # nested branches: their faults too, one level at a time
            for name, item in body.items() if isinstance(body, dict) else ():
                if isinstance(item, (dict, list)) and item != found[0].get(name):
                    for other in islice(faulty(form["properties"][name], item, 1), 0, None, NESTED_STRIDE):
                        yield {**body, name: other}


def judge_grid() -> Judge:
    """Judges small schemas that the document does not have, each with every small value."""
    judge = Judge()
    document = {"openapi": "3.1.0", "paths": {}, "components": {"schemas": GRID_COMPONENTS}}
    for schema in GRID_SCHEMAS:
        validator = VALIDATOR({**schema, "components": document["components"]}, format_checker=FORMATS)
        endpoint = Endpoint("POST", "", {"requestBody": {"content": {"application/json": {"schema": schema}}}})
        for value in GRID_VALUES:
            judge.compare(str(schema), value, validator, partial(check, document, endpoint))
    return judge


def main(arguments: list[str]) -> int:
    """Judges every endpoint, on all processors, and the grid."""
    document = jsontext.loads(Path(arguments[0]).read_bytes()) if arguments else snapshot().document
    taking = [found for found in endpoints(document) if "requestBody" in found.operation]
    taking.sort(key=lambda found: -len(str(found.operation)))  # the longest first, so that no processor waits for it
    with ProcessPoolExecutor() as pool:
        judges = [*pool.map(partial(judge_endpoint, document), taking), judge_grid()]
    count = sum((judge.count for judge in judges), Counter())
    differences = [difference for judge in judges for difference in judge.differences]
    print(
        f"{count[True]} valid, {count[False]} invalid, {len(differences)} differences", *differences[:SHOWN], sep="\n  "
    )
    if count[True] < FEWEST_VALID or count[False] < FEWEST_INVALID:
        print(f"too few bodies: at least {FEWEST_VALID} valid and {FEWEST_INVALID} invalid ones are needed")
        return 1
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
