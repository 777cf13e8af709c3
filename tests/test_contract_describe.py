"""What is described of endpoints and models: each construct of a schema as fields that `request -f` can name."""

from __future__ import annotations

import unittest
from typing import Any

from runway_cli.contract.describe import BODY_DEPTH, describe, field_rows, joined, models_of
from runway_cli.contract.schema import Endpoint, endpoints, matching, one_line

STRING = {"type": "string"}


def thing(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    """The schema of an object."""
    return {"type": "object", "properties": properties, "required": list(required), **more}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def form(model: Any, **properties: Any) -> dict[str, Any]:
    """The body that one model takes, or several."""
    return thing({**properties, "model": {**STRING, "enum": model if isinstance(model, list) else [model]}}, "model")


def media(*limits: int) -> dict[str, Any]:
    """The schema of a URI, with a limit for each kind."""
    schemes = ("^https:\\/\\/.*", "^runway:\\/\\/.*", "^data:image\\/.*")
    forms = [{**STRING, "pattern": scheme, "minLength": 9, "maxLength": most} for scheme, most in zip(schemes, limits)]
    return {"anyOf": forms}


def document(schema: Any, **components: Any) -> dict[str, Any]:
    """A document with one endpoint, POST /v1/make, that takes this body."""
    operation = {"summary": "Make", "requestBody": {"content": {"application/json": {"schema": schema}}}}
    return {"openapi": "3.1.0", "paths": {"/v1/make": {"post": operation}}, "components": {"schemas": components}}


def union(name: str, *forms: dict[str, Any]) -> dict[str, Any]:
    """The schema of a union whose forms this property tells apart."""
    return {"oneOf": list(forms), "discriminator": {"propertyName": name}}


def body(schema: Any, model: str | None = None, **components: Any) -> Any:
    """What is said of a body with this schema."""
    made = document(schema, **components)
    return describe(made, endpoints(made)[0], model, all_fields=True)["body"]


def fields(schema: Any, **components: Any) -> Any:
    """The fields of a body with this schema."""
    return body(schema, **components)["fields"]


class FieldTest(unittest.TestCase):
    def test_one_field(self) -> None:
        uri = "uri (https, runway, data:image)"
        cases: list[tuple[Any, dict[str, Any]]] = [
            (STRING, {"type": "string"}),
            ({}, {"type": "any"}),
            (True, {"type": "any"}),
            ({"type": "string", "format": "uuid", "pattern": "^x$"}, {"type": "uuid"}),
            ({**STRING, "const": "fox"}, {"type": "string", "values": ["fox"]}),
            ({"type": "number", "enum": [1, 2]}, {"type": "number", "values": [1, 2]}),
            ({"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
             {"type": "integer", "default": 3, "limits": {"min": 1, "max": 9}}),
            ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "limits": {"exclusiveMin": 0}}),
            ({"type": "string", "pattern": "^[a-z]+$"}, {"type": "string", "limits": {"pattern": "^[a-z]+$"}}),
            ({"type": ["string", "null"]}, {"type": "string | null"}),
            ({"anyOf": [{"type": "null"}, {**STRING, "enum": ["a"]}]}, {"type": "string | null", "values": ["a"]}),
            ({"oneOf": [{"type": "integer", "maximum": 5}, {"const": "auto"}]},
             {"type": 'integer | "auto"', "limits": {"max": 5}}),
            ({"anyOf": [{**STRING, "maxLength": 5}, {**STRING, "maxLength": 9}]},
             {"type": "string", "limits": {"maxLength": 9}}),
            ({"type": "array", "maxItems": 2, "items": {**STRING, "enum": ["a", "b"]}},
             {"type": "array of string", "values": ["a", "b"], "limits": {"maxItems": 2}}),
            ({"type": "array", "items": {"type": "array", "items": {"type": ["string", "number"]}}},
             {"type": "array of (array of (string | number))"}),
            ({"type": "array"}, {"type": "array of any"}),
            (media(50, 50, 50), {"type": uri, "limits": {"maxLength": 50}}),
            (media(9, 8, 7), {"type": uri, "limits": {"maxLength": {"https": 9, "runway": 8, "data:image": 7}}}),
            ({"anyOf": [*media(9)["anyOf"], {**STRING, "pattern": "^runway:.*"}]},
             {"type": "uri (https, runway)", "limits": {"maxLength": {"https": 9}}}),
            ({"type": "array", "maxItems": 3, "items": media(9, 9, 9)},
             {"type": f"array of {uri}", "limits": {"maxLength": 9, "maxItems": 3}}),
            ({"type": "object", "additionalProperties": False}, {"type": "object"}),
            ({"type": "string", "deprecated": True}, {"type": "string", "deprecated": True}),
            (ref("Nowhere"), {"type": "any"}),
            ({"$ref": "https://example.com/schema.json"}, {"type": "any"}),
        ]  # fmt: skip
        for schema, expected in cases:
            with self.subTest(schema=schema):
                self.assertEqual(fields(thing({"x": schema})), [{"name": "x", **expected}])

    def test_nested_fields_have_dotted_names(self) -> None:
        free = thing({}, propertyNames={"format": "uuid"}, additionalProperties=thing({"d": STRING}))
        schema = thing({"a": thing({"b": {"type": "array", "items": thing({"c": STRING}, "c")}}), "m": free}, "a")
        self.assertEqual(
            fields(schema),
            [
                {"name": "a", "type": "object", "required": True},
                {"name": "a.b", "type": "array of object"},
                {"name": "a.b.0.c", "type": "string", "required": True},
                {"name": "m", "type": "object"},
                {"name": "m.{uuid}", "type": "object"},
                {"name": "m.{uuid}.d", "type": "string"},
            ],
        )

    def test_what_is_inside_optional_fields_below_the_second_level_is_only_named(self) -> None:
        shot = {"type": "array", "items": thing({"text": STRING, "more": thing({"x": STRING})}, "text")}
        inner = thing({"shots": shot, "size": thing({"y": STRING}, "y"), "z": STRING}, "size")
        made = document(thing({"input": inner}))
        shown = describe(made, endpoints(made)[0])["body"]
        self.assertEqual(
            [(field["name"], field.get("inside")) for field in shown["fields"]],
            [("input", None), ("input.shots", ["0.text", "0.more"]), ("input.size", None), ("input.size.y", None),
             ("input.z", None)],
        )  # fmt: skip
        self.assertIn("--all", shown["note"])

    def test_a_recursive_schema_is_described_down_to_a_depth(self) -> None:
        found = fields(ref("Node"), Node=thing({"next": ref("Node")}))
        self.assertEqual(found[-1]["name"], ".".join(["next"] * (BODY_DEPTH + 1)))

    def test_a_type_is_named_once(self) -> None:
        for types, expected in (
            (["string", "string | null"], "string | null"),
            (["string | null", "integer"], "string | integer | null"),
            (["array of (string | null)", "string"], "array of (string | null) | string"),
        ):
            with self.subTest(types=types):
                self.assertEqual(joined(types), expected)


class UnionTest(unittest.TestCase):
    def test_fields_of_some_forms_say_when(self) -> None:
        forms = [
            thing({"type": {**STRING, "const": "preset"}, "presetId": STRING, "pace": STRING}, "type", "presetId"),
            thing({"type": {**STRING, "const": "custom"}, "id": STRING, "pace": STRING}, "type", "id"),
        ]
        expected: list[dict[str, Any]] = [
            {"name": "type", "type": "string", "required": True, "values": ["preset", "custom"]},
            {"name": "presetId", "type": "string", "required": True, "when": "type=preset"},
            {"name": "pace", "type": "string"},
            {"name": "id", "type": "string", "required": True, "when": "type=custom"},
        ]
        self.assertEqual(fields(union("type", *forms)), expected)
        inside = fields(thing({"voice": {"anyOf": [union("type", *forms), {"type": "null"}]}}))[1:]
        self.assertEqual([field["name"] for field in inside], [f"voice.{field['name']}" for field in expected])
        self.assertEqual(inside[1]["when"], "voice.type=preset")

    def test_forms_without_a_discriminator_have_a_title_or_a_number(self) -> None:
        self.assertEqual(
            fields({"anyOf": [thing({"seconds": STRING}), {**thing({"at": STRING}), "title": "Share"}]}),
            [
                {"name": "seconds", "type": "string", "when": "form 1 of 2"},
                {"name": "at", "type": "string", "when": "Share"},
            ],
        )

    def test_several_models_are_described_by_what_they_share(self) -> None:
        text = {**STRING, "maxLength": 5, "description": "Five."}
        first = {**form("one", text=text, seed={"type": "integer"}, size={"const": "s"}), "required": ["model", "text"]}
        second = form(
            "two", text={"type": ["string", "null"]}, seed={"type": "integer", "description": "Costs credits."}
        )
        shown = body({"oneOf": [first, second]})
        self.assertEqual(shown["models"], ["one", "two"])
        self.assertEqual(
            shown["fields"],
            [
                {"name": "text", "type": "string | null", "varies": ["type", "required", "limits", "description"]},
                {"name": "seed", "type": "integer", "varies": ["description"]},
            ],
        )

    def test_one_model_is_described_alone(self) -> None:
        union = {"oneOf": [form(["one", "two"], text={**STRING, "maxLength": 9}), form("three", seed={})]}
        self.assertEqual(body(union["oneOf"][0])["models"], ["one", "two"])
        self.assertEqual(
            body(union, "two")["fields"],
            [
                {"name": "text", "type": "string", "limits": {"maxLength": 9}},
                {"name": "model", "type": "string", "required": True, "values": ["two"]},
            ],
        )


class EndpointTest(unittest.TestCase):
    def test_parameters_and_response(self) -> None:
        cost = thing({"credits": {"type": "number"}}, "credits")
        forms = [
            thing({"status": {"const": "PENDING"}, "cost": cost}, "status", "cost"),
            thing({"status": {"const": "FAILED"}, "failure": {**STRING, "description": "Why."}}, "status", "failure"),
        ]
        known = {"name": "id", "in": "path", "required": True, "schema": STRING, "description": "Its id."}
        made: dict[str, Any] = {
            "paths": {
                "/v1/tasks/{id}": {
                    "get": {
                        "description": "Get *it*. See there.",
                        "parameters": [
                            {"$ref": "#/components/parameters/Limit"},
                            {"name": "X-Runway-Version", "in": "header", "schema": STRING},
                            known,
                        ],
                        "responses": {"404": {"description": "gone"}, "200": {"$ref": "#/components/responses/Task"}},
                    },
                }
            },
            "components": {
                "parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 9}}},
                "responses": {"Task": {"content": {"application/json": {"schema": union("status", *forms)}}}},
            },
        }
        self.assertEqual(
            describe(made, endpoints(made)[0]),
            {
                "method": "GET",
                "path": "/v1/tasks/{id}",
                "summary": "Get *it*.",
                "parameters": [
                    {"name": "limit", "in": "query", "type": "integer", "limits": {"max": 9}},
                    {"name": "id", "in": "path", "type": "string", "required": True, "description": "Its id."},
                ],
                "response": {"status": "PENDING|FAILED", "cost.credits": "number?", "failure": "string?"},
                "about": {"failure": "Why."},
            },
        )

    def test_a_path_is_found_however_it_is_written(self) -> None:
        paths = ("/v1/tasks/{id}", "/v1/voices/{id}", "/v1/voices/preview", "/v1/text_to_image")
        known = [Endpoint("GET", path, {}) for path in paths]
        for path, expected in (
            ("/v1/text_to_image", ["/v1/text_to_image"]),
            ("v1/text_to_image/", ["/v1/text_to_image"]),
            ("/v1/text_to_image?x=1#y", ["/v1/text_to_image"]),
            ("https://api.dev.runwayml.com/v1/text_to_image", ["/v1/text_to_image"]),
            ("/v1/tasks/{taskId}", ["/v1/tasks/{id}"]),
            ("/v1/tasks/8b0f6e0a-5d0c-4c4e-9a51-1d2f3a4b5c6d", ["/v1/tasks/{id}"]),
            ("/v1/voices/preview", ["/v1/voices/preview", "/v1/voices/{id}"]),
            ("/v1/tasks", []),
            ("", []),
        ):
            with self.subTest(path=path):
                self.assertEqual([endpoint.path for endpoint in matching(known, path)], expected)


class DescriptionTest(unittest.TestCase):
    """A description is short, but never at the cost of a rule."""

    def test_one_short_line(self) -> None:
        long_rule = "The combined duration across all references must not exceed 15 seconds, whatever they are."
        for text, line in (
            ("Plain words", "Plain words"),
            ("Two\n lines.  More of it. Defaults to `x`. See [our docs](/a).", "Two lines. Defaults to `x`."),
            ("See [our docs](/a).", ""),
            ("Any of [these](https://example.com/a_b), or [those](/b).", "Any of these, or those."),
            ("Any of [these [two] things](/a(b)c).", "Any of [these [two] things](/a(b)c)."),
            ("An optional array. Of references. " + long_rule, "An optional array. " + long_rule),
            (None, ""),
        ):
            with self.subTest(text=text):
                self.assertEqual(one_line(text), line)

    def test_a_sentence_that_binds_or_costs_is_kept(self) -> None:
        for rule in (
            "Replaces all current attachments.",
            "The combined duration must not exceed 15 seconds.",
            "Use position `first`/`last` for keyframes, or omit position for references.",
            "This forbids ratio.",
            "Only valid when `outputFormat` is `prores`.",
            "At most one `source` is allowed.",
            "It is not with audio.",
            "A longer text affects the credits.",
            "Each image is billed separately.",
            "Other formats incur a surcharge.",
        ):
            with self.subTest(rule=rule):
                self.assertIn(rule, one_line("What it is. Something about it. " + rule + " More of that."))

    def test_a_field_has_the_rules_of_its_forms(self) -> None:
        many = {"type": "array", "items": {}, "description": "Images. The two modes cannot be mixed."}
        image: dict[str, Any] = {"description": "The image.", "anyOf": [STRING, many]}
        self.assertEqual(fields(thing({"image": image}))[0]["description"], "The image. The two modes cannot be mixed.")


class RowsTest(unittest.TestCase):
    def test_limits_in_words(self) -> None:
        field = {
            "name": "seed",
            "in": "query",
            "type": "integer",
            "required": True,
            "values": [1, "x"],
            "default": True,
            "limits": {"min": 0, "maxLength": {"https": 9, "runway": 8}},
            "when": "a=b",
            "varies": ["limits"],
            "description": "Luck.",
        }
        words = "1 | x; min 0; maxLength 9 (https), 8 (runway); default true; when a=b; differs by model: limits"
        self.assertEqual(
            field_rows([field]),
            [{"name": "seed", "type": "integer (query)", "required": "yes", "values": words, "description": "Luck."}],
        )


class ModelsTest(unittest.TestCase):
    def test_what_a_model_lets_choose_from(self) -> None:
        low: dict[str, Any] = {"enum": ["low", "high"]}
        ratio: dict[str, Any] = {"enum": ["1:1", "2:1"]}
        seconds, auto = {"type": "number"}, {"const": "auto"}
        voice = thing({"presetId": {"enum": ["Maya", "Arjun"]}, "style": low}, "presetId")
        cases: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
            ("ratio and duration come first", form("one", quality=low, duration={"enum": [4, 8]}, ratio=ratio),
             {"ratio": ["1:1", "2:1"], "duration": [4, 8], "quality": ["low", "high"]}),
            ("a range", {**form("one", duration={**seconds, "minimum": 0.5, "maximum": 30}), "required": ["duration"]},
             {"duration": "0.5-30", "required": ["duration"]}),
            ("a range or a word", form("one", duration={"oneOf": [{**seconds, "minimum": 4, "maximum": 15}, auto]}),
             {"duration": "4-15 or auto"}),
            ("a type or a word", form("one", duration={"oneOf": [auto, {"type": "integer"}]}),
             {"duration": "integer or auto"}),
            ("required", {**form("one", text=STRING, seed=seconds, voice=thing({"id": STRING}, "id")),
                          "required": ["text", "voice"]}, {"required": ["text", "voice", "voice.id"]}),
            ("not listed", form("one", seed={"maximum": 9}, inner=thing({"x": low})), {}),
            ("inside what is required", {**form("one", voice=voice), "required": ["voice"]},
             {"voice.presetId": ["Maya", "Arjun"]}),
            ("two forms", {"oneOf": [form("one", ratio={"enum": ["1:1"]}), form("one", ratio=ratio)],
                           "discriminator": {"propertyName": "model"}}, {"ratio": ["1:1", "2:1"]}),
        )  # fmt: skip
        for name, schema, expected in cases:
            with self.subTest(name):
                made = document(schema)
                (row,) = models_of(made, endpoints(made)[0])
                self.assertEqual(list(row.items()), [("model", "one"), *expected.items()])
