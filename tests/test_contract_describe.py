"""What is described of an endpoint: every construct of a schema as fields that `request -f` can name."""

from __future__ import annotations

import unittest
from typing import Any

from runway_cli import jsontext
from runway_cli.contract.describe import BODY_DEPTH, MODEL_SIZE, UnknownModel, describe, field_rows, joined, one_line
from runway_cli.contract.schema import MAX_DESCRIPTION, Endpoint, endpoints, is_openapi, matching, nearest

STRING = {"type": "string"}


def thing(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """The schema of an object."""
    return {"type": "object", "properties": properties, "required": list(required)}


def document(schema: Any, **components: Any) -> dict[str, Any]:
    """A document with one endpoint, POST /v1/make, that takes this body."""
    operation = {"summary": "Make", "requestBody": {"content": {"application/json": {"schema": schema}}}}
    return {"openapi": "3.1.0", "paths": {"/v1/make": {"post": operation}}, "components": {"schemas": components}}


def body(schema: Any, model: str | None = None, **components: Any) -> Any:
    """What is said of a body with this schema."""
    made = document(schema, **components)
    return describe(made, endpoints(made)[0], model)["body"]


def fields(schema: Any, **components: Any) -> Any:
    """The fields of a body with this schema."""
    return body(schema, **components)["fields"]


class SchemaTest(unittest.TestCase):
    """Every construct of a schema becomes fields that `request -f` can name."""

    def test_one_field(self) -> None:
        cases: list[tuple[Any, dict[str, Any]]] = [
            (STRING, {"type": "string"}),
            ({}, {"type": "any"}),
            (True, {"type": "any"}),
            ({"type": "string", "format": "uuid", "pattern": "^x$"}, {"type": "uuid"}),
            ({"const": "fox"}, {"type": "string", "values": ["fox"]}),
            ({"enum": [1, 2]}, {"type": "integer", "values": [1, 2]}),
            (
                {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
                {"type": "integer", "default": 3, "limits": {"min": 1, "max": 9}},
            ),
            ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "limits": {"exclusiveMin": 0}}),
            (
                {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                {"type": "number", "limits": {"exclusiveMin": 0}},
            ),
            ({"type": "number", "minimum": 0, "exclusiveMinimum": False}, {"type": "number", "limits": {"min": 0}}),
            ({"type": "integer", "maximum": 2**53 - 1}, {"type": "integer"}),
            ({"type": "string", "pattern": "^[a-z]+$"}, {"type": "string", "limits": {"pattern": "^[a-z]+$"}}),
            ({"type": "string", "pattern": "^" + 50 * "a"}, {"type": "string"}),
            ({"type": ["string", "null"]}, {"type": "string | null"}),
            ({"type": "string", "nullable": True}, {"type": "string | null"}),
            (
                {"anyOf": [{"type": "null"}, {"type": "string", "enum": ["a"]}]},
                {"type": "string | null", "values": ["a"]},
            ),
            (
                {"oneOf": [{"type": "integer", "maximum": 5}, {"const": "auto"}]},
                {"type": 'integer | "auto"', "limits": {"max": 5}},
            ),
            (
                {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "string", "maxLength": 9}]},
                {"type": "string", "limits": {"maxLength": 9}},
            ),
            (
                {"type": "array", "maxItems": 2, "items": {"type": "string", "enum": ["a", "b"]}},
                {"type": "array of string", "values": ["a", "b"], "limits": {"maxItems": 2}},
            ),
            (
                {"type": "array", "items": {"type": "array", "items": {"type": ["string", "number"]}}},
                {"type": "array of (array of (string | number))"},
            ),
            ({"type": "array"}, {"type": "array of any"}),
            ({"type": "object", "additionalProperties": False}, {"type": "object"}),
            ({"type": "string", "deprecated": True}, {"type": "string", "deprecated": True}),
            ({"$ref": "#/components/schemas/Nowhere"}, {"type": "any"}),
            ({"$ref": "https://example.com/schema.json"}, {"type": "any"}),
        ]
        for schema, expected in cases:
            with self.subTest(schema=schema):
                self.assertEqual(fields(thing({"x": schema})), [{"name": "x", **expected}])

    def test_media_input_is_one_type(self) -> None:
        schemes = (("^https:\\/\\/.*", 9), ("^runway:\\/\\/.*", 8), ("^data:image\\/.*", 99))
        media = {
            "anyOf": [
                {"type": "string", "pattern": pattern, "minLength": 13, "maxLength": most} for pattern, most in schemes
            ]
        }
        self.assertEqual(
            fields(
                thing(
                    {
                        "promptImage": {
                            "description": "The first frame.",
                            "anyOf": [media, {"type": "array", "maxItems": 1, "items": thing({"uri": media}, "uri")}],
                        }
                    },
                    "promptImage",
                )
            ),
            [
                {
                    "name": "promptImage",
                    "type": "uri (https, runway, data:image) | array of object",
                    "required": True,
                    "limits": {"maxLength": {"https": 9, "runway": 8, "data:image": 99}, "maxItems": 1},
                    "description": "The first frame.",
                },
                {
                    "name": "promptImage.0.uri",
                    "type": "uri (https, runway, data:image)",
                    "required": True,
                    "limits": {"maxLength": {"https": 9, "runway": 8, "data:image": 99}},
                },
            ],
        )

    def test_nested_objects_have_dotted_names(self) -> None:
        schema = thing(
            {
                "a": thing({"b": {"type": "array", "items": thing({"c": STRING}, "c")}}),
                "m": {
                    "type": "object",
                    "propertyNames": {"format": "uuid"},
                    "additionalProperties": thing({"d": STRING}),
                },
            },
            "a",
        )
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

    def test_all_of_is_merged(self) -> None:
        schema = {"allOf": [{"$ref": "#/components/schemas/Base"}, thing({"y": {"maxLength": 4}, "z": STRING}, "z")]}
        self.assertEqual(
            fields(schema, Base=thing({"x": STRING, "y": STRING}, "x")),
            [
                {"name": "x", "type": "string", "required": True},
                {"name": "y", "type": "string", "limits": {"maxLength": 4}},
                {"name": "z", "type": "string", "required": True},
            ],
        )

    def test_all_of_two_unions_keeps_every_form(self) -> None:
        schema = {
            "allOf": [
                {"oneOf": [thing({"a": STRING}), thing({"b": STRING})]},
                {"oneOf": [thing({"c": STRING}), thing({"d": STRING})]},
            ]
        }
        self.assertEqual({field["name"] for field in fields(schema)}, {"a", "b", "c", "d"})

    def test_cycles_end(self) -> None:
        node = thing(
            {
                "value": STRING,
                "next": {"$ref": "#/components/schemas/Node"},
                "all": {"allOf": [{"$ref": "#/components/schemas/Node"}]},
            }
        )
        self.assertEqual(
            fields({"$ref": "#/components/schemas/Node"}, Node=node),
            [
                {"name": "value", "type": "string"},
                {"name": "next", "type": "object (recursive)"},
                {"name": "all", "type": "object (recursive)"},
            ],
        )
        self.assertEqual(
            fields(
                {"$ref": "#/components/schemas/A"},
                A={"$ref": "#/components/schemas/B"},
                B={"$ref": "#/components/schemas/A"},
            ),
            [],
        )

    def test_depth_is_bounded(self) -> None:
        schema = STRING
        for _ in range(40):
            schema = thing({"x": schema})
        self.assertEqual([field["name"] for field in fields(schema)][-1], ".".join("x" * (BODY_DEPTH + 1)))

    def test_forms_of_a_nested_union_say_when(self) -> None:
        voice = {
            "oneOf": [
                thing({"type": {"const": "preset"}, "presetId": STRING, "pace": STRING}, "type", "presetId"),
                thing({"type": {"const": "custom"}, "id": STRING, "pace": STRING}, "type", "id"),
            ],
            "discriminator": {"propertyName": "type"},
        }
        self.assertEqual(
            fields(thing({"voice": voice}, "voice")),
            [
                {"name": "voice", "type": "object", "required": True},
                {"name": "voice.type", "type": "string", "required": True, "values": ["preset", "custom"]},
                {"name": "voice.presetId", "type": "string", "required": True, "when": "voice.type=preset"},
                {"name": "voice.pace", "type": "string"},
                {"name": "voice.id", "type": "string", "required": True, "when": "voice.type=custom"},
            ],
        )

    def test_forms_without_a_discriminator_are_numbered(self) -> None:
        self.assertEqual(
            fields({"anyOf": [thing({"seconds": STRING}), {**thing({"at": STRING}), "title": "Share"}]}),
            [
                {"name": "seconds", "type": "string", "when": "form 1 of 2"},
                {"name": "at", "type": "string", "when": "Share"},
            ],
        )

    def test_discriminator_with_a_mapping(self) -> None:
        union = {
            "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
            "discriminator": {"propertyName": "model", "mapping": {"cat-1": "#/components/schemas/Cat"}},
        }
        parts: dict[str, Any] = {
            "Cat": thing({"model": STRING, "purr": STRING}),
            "Dog": thing({"model": STRING, "bark": STRING}),
        }
        self.assertEqual(body(union, **parts)["models"], ["cat-1", "Dog"])
        self.assertEqual(
            body(union, "cat-1", **parts),
            {"fields": [{"name": "model", "type": "string", "values": ["cat-1"]}, {"name": "purr", "type": "string"}]},
        )

    def test_union_of_models_shows_what_they_share(self) -> None:
        union = {
            "oneOf": [
                thing(
                    {
                        "model": {"const": "one"},
                        "text": {"type": "string", "maxLength": 5, "description": "Five."},
                        "seed": {"type": "integer"},
                        "size": {"const": "s"},
                    },
                    "model",
                    "text",
                ),
                thing(
                    {
                        "model": {"const": "two"},
                        "text": {"type": "string", "maxLength": 9, "description": "Nine."},
                        "seed": {"type": "integer"},
                    },
                    "model",
                ),
            ]
        }
        shown = body(union)
        self.assertEqual(shown["models"], ["one", "two"])
        self.assertEqual(
            shown["fields"],
            [{"name": "text", "type": "string", "varies": ["required", "limits"]}, {"name": "seed", "type": "integer"}],
        )
        self.assertEqual(
            body(union, "two")["fields"],
            [
                {"name": "model", "type": "string", "required": True, "values": ["two"]},
                {"name": "text", "type": "string", "limits": {"maxLength": 9}, "description": "Nine."},
                {"name": "seed", "type": "integer"},
            ],
        )

    def test_union_by_another_property_is_shown_whole(self) -> None:
        union = {
            "oneOf": [
                thing({"mode": {"const": "auto"}, "prompt": STRING}, "mode"),
                thing({"mode": {"const": "custom"}, "shots": STRING}, "mode"),
            ],
            "discriminator": {"propertyName": "mode"},
        }
        self.assertEqual(
            body(union),
            {
                "fields": [
                    {"name": "mode", "type": "string", "required": True, "values": ["auto", "custom"]},
                    {"name": "prompt", "type": "string", "when": "mode=auto"},
                    {"name": "shots", "type": "string", "when": "mode=custom"},
                ]
            },
        )

    def test_single_models(self) -> None:
        lone = thing({"model": {"enum": ["one", "two"]}, "text": STRING}, "model")
        self.assertEqual(body(lone)["models"], ["one", "two"])
        self.assertEqual(body(lone, "two")["fields"][0]["values"], ["two"])
        self.assertEqual(
            body(
                {
                    "oneOf": [thing({"model": {"const": "one"}, "text": STRING})],
                    "discriminator": {"propertyName": "model"},
                }
            ),
            {
                "models": ["one"],
                "fields": [{"name": "model", "type": "string", "values": ["one"]}, {"name": "text", "type": "string"}],
            },
        )

    def test_bodies_that_are_no_object(self) -> None:
        self.assertEqual(
            body({"type": "array", "items": thing({"x": STRING})}),
            {"type": "array of object", "fields": [{"name": "0.x", "type": "string"}]},
        )

    def test_parameters_and_responses(self) -> None:
        made: dict[str, Any] = {
            "paths": {
                "/v1/tasks/{id}": {
                    "parameters": [
                        {"name": "id", "in": "path", "required": True, "schema": STRING, "description": "Its id."},
                        {"name": "limit", "in": "query", "schema": STRING},
                    ],
                    "get": {
                        "description": "Get *it*. See there.",
                        "parameters": [
                            {"$ref": "#/components/parameters/Limit"},
                            {"name": "X-Runway-Version", "in": "header", "schema": STRING},
                        ],
                        "responses": {"404": {"description": "gone"}, "200": {"$ref": "#/components/responses/Task"}},
                    },
                }
            },
            "components": {
                "parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 9}}},
                "responses": {
                    "Task": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "oneOf": [
                                        thing(
                                            {
                                                "status": {"const": "PENDING"},
                                                "cost": thing({"credits": {"type": "number"}}, "credits"),
                                            },
                                            "status",
                                            "cost",
                                        ),
                                        thing({"status": {"const": "FAILED"}, "failure": STRING}, "status", "failure"),
                                    ]
                                }
                            }
                        }
                    }
                },
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
            },
        )

    def test_descriptions_are_one_short_line(self) -> None:
        cases = [
            ("Plain words", "Plain words"),
            ("Two\n lines.  More of it. Defaults to `x`. See [our docs](/a).", "Two lines. Defaults to `x`."),
            ("See [our docs](/a).", ""),
            ("A [link](https://example.com/a_b) inside", "A link inside"),
            ("word " * 40, ("word " * 19).strip() + "…"),
            (None, ""),
        ]
        for text, line in cases:
            with self.subTest(text=text):
                self.assertEqual(one_line(text), line)
                self.assertLessEqual(len(line), MAX_DESCRIPTION)


class MatchingTest(unittest.TestCase):
    """A path is found however it is written."""

    def setUp(self) -> None:
        paths = ("/v1/tasks/{id}", "/v1/voices/{id}", "/v1/voices/preview", "/v1/text_to_image")
        self.known = [Endpoint("GET", path, {}) for path in paths]

    def test_matches(self) -> None:
        cases = [
            ("/v1/text_to_image", ["/v1/text_to_image"]),
            ("v1/text_to_image/", ["/v1/text_to_image"]),
            ("/v1/text_to_image?x=1#y", ["/v1/text_to_image"]),
            ("https://api.dev.runwayml.com/v1/text_to_image", ["/v1/text_to_image"]),
            ("/v1/tasks/{id}", ["/v1/tasks/{id}"]),
            ("/v1/tasks/{taskId}", ["/v1/tasks/{id}"]),
            ("/v1/tasks/8b0f6e0a-5d0c-4c4e-9a51-1d2f3a4b5c6d", ["/v1/tasks/{id}"]),
            ("/v1/voices/preview", ["/v1/voices/preview", "/v1/voices/{id}"]),
            ("/v1/tasks", []),
            ("", []),
        ]
        for path, expected in cases:
            with self.subTest(path=path):
                self.assertEqual([endpoint.path for endpoint in matching(self.known, path)], expected)

    def test_nearest(self) -> None:
        for path, expected in (
            ("/v1/text_to_imgae", "/v1/text_to_image"),
            ("text_to_image", "/v1/text_to_image"),
            ("/v1/task/{id}", "/v1/tasks/{id}"),
        ):
            with self.subTest(path=path):
                self.assertEqual(nearest(self.known, path)[0], expected)
        self.assertEqual(nearest(self.known, "qqq"), [])


class SentencesTest(unittest.TestCase):
    """A description is short, but never at the price of a rule."""

    def test_a_sentence_that_binds_is_kept(self) -> None:
        for rule in (
            "Replaces all current attachments.",
            "The combined duration must not exceed 15 seconds.",
            "Use position `first`/`last` for keyframes, or omit position for references.",
            "This forbids ratio.",
            "Only valid when `outputFormat` is `prores`.",
            "At most one `source` is allowed.",
            "It is not with audio.",
        ):
            with self.subTest(rule=rule):
                self.assertIn(rule, one_line("What it is. Something about it. " + rule + " More of that."))

    def test_rules_stand_alone_where_all_is_too_long(self) -> None:
        rule = "The combined duration across all references must not exceed 15 seconds, whatever they are."
        self.assertEqual(one_line("An optional array of references to videos. " + rule), rule)

    def test_rules_of_the_forms_of_a_field_are_told(self) -> None:
        image: dict[str, Any] = {
            "description": "The image.",
            "anyOf": [STRING, {"type": "array", "items": {}, "description": "Images. The two modes cannot be mixed."}],
        }
        self.assertEqual(fields(thing({"image": image}))[0]["description"], "The image. The two modes cannot be mixed.")

    def test_links_become_their_text(self) -> None:
        self.assertEqual(one_line("Any of [these [two] things](/a(b)c)."), "Any of [these [two] things](/a(b)c).")
        self.assertEqual(one_line("Any of [these](/a), or [those](/b)."), "Any of these, or those.")


class LimitsTest(unittest.TestCase):
    """Limits of a URI by its kind, where they differ."""

    def media(self, *limits: int) -> dict[str, Any]:
        schemes = ("^https:\\/\\/.*", "^runway:\\/\\/.*", "^data:image\\/.*")
        return {
            "anyOf": [
                {"type": "string", "pattern": pattern, "maxLength": limit} for pattern, limit in zip(schemes, limits)
            ]
        }

    def test_limits_that_differ(self) -> None:
        self.assertEqual(
            fields(thing({"uri": self.media(2048, 5000, 5242880)}))[0]["limits"],
            {"maxLength": {"https": 2048, "runway": 5000, "data:image": 5242880}},
        )

    def test_limits_that_are_the_same(self) -> None:
        self.assertEqual(fields(thing({"uri": self.media(50, 50, 50)}))[0]["limits"], {"maxLength": 50})

    def test_limits_of_an_array_of_uris(self) -> None:
        uris = {"type": "array", "maxItems": 3, "items": self.media(10, 20, 30)}
        self.assertEqual(
            fields(thing({"uris": uris}))[0]["limits"],
            {"maxLength": {"https": 10, "runway": 20, "data:image": 30}, "maxItems": 3},
        )


class TypesTest(unittest.TestCase):
    def test_a_type_is_named_once(self) -> None:
        cases = [
            (["string", "string | null"], "string | null"),
            (["string | null", "integer"], "string | integer | null"),
            (["array of (string | null)", "string"], "array of (string | null) | string"),
        ]
        for types, expected in cases:
            with self.subTest(types=types):
                self.assertEqual(joined(types), expected)

    def test_a_field_that_only_some_models_may_leave_empty(self) -> None:
        union = {
            "oneOf": [
                thing({"model": {"const": "one"}, "text": STRING}),
                thing({"model": {"const": "two"}, "text": {"type": ["string", "null"]}}),
            ]
        }
        self.assertEqual(body(union)["fields"], [{"name": "text", "type": "string | null", "varies": ["type"]}])


class SizeTest(unittest.TestCase):
    """One model stays short enough to read in one go."""

    def described(self, count: int) -> Any:
        ratios = [f"{number}:{number}" for number in range(count)]
        schema = {
            "oneOf": [
                thing(
                    {
                        "model": {"const": "one"},
                        "ratio": {"enum": ratios, "description": "The resolution."},
                        **{
                            f"field{number}": {"type": "string", "maxLength": 9, "description": "Words " * 12}
                            for number in range(7)
                        },
                        "rule": {"type": "string", "description": "Only valid with the other."},
                        "level": {"enum": ["low", "high"], "description": "How much. Defaults to low."},
                    }
                ),
                thing({"model": {"const": "two"}}),
            ]
        }
        made = document(schema)
        return describe(made, endpoints(made)[0], "one")

    def descriptions(self, count: int) -> dict[str, str]:
        described = self.described(count)
        self.size = len(jsontext.dumps(described).encode())
        return {field["name"]: field.get("description", "") for field in described["body"]["fields"]}

    def test_a_short_one_is_left_alone(self) -> None:
        self.assertNotIn("", [text for name, text in self.descriptions(5).items() if name != "model"])

    def test_what_values_and_limits_tell_is_left_out_first(self) -> None:
        kept = self.descriptions(110)
        self.assertLessEqual(self.size, MODEL_SIZE)
        self.assertEqual(kept["ratio"], "")
        self.assertEqual(kept["rule"], "Only valid with the other.")
        self.assertEqual(kept["level"], "How much. Defaults to low.")

    def test_one_that_never_fits_keeps_its_descriptions(self) -> None:
        self.assertEqual(self.descriptions(900)["ratio"], "The resolution.")


class RowsTest(unittest.TestCase):
    def test_fields_of_one_name_share_a_row(self) -> None:
        voice = {
            "oneOf": [
                thing({"type": {"const": "preset"}, "id": {"enum": ["max", "mia"]}}, "type", "id"),
                thing({"type": {"const": "custom"}, "id": {"type": "string", "format": "uuid"}}, "type"),
            ],
            "discriminator": {"propertyName": "type"},
        }
        rows = {row["name"]: row for row in field_rows(fields(thing({"voice": voice})))}
        self.assertEqual(list(rows), ["voice", "voice.type", "voice.id"])
        self.assertEqual(rows["voice.id"]["type"], "string | uuid")
        self.assertEqual(rows["voice.id"]["required"], "for some")
        self.assertEqual(rows["voice.id"]["values"], "max | mia; when voice.type=preset / when voice.type=custom")

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
        (row,) = field_rows([field])
        self.assertEqual(row["type"], "integer (query)")
        self.assertEqual(row["required"], "yes")
        self.assertEqual(
            row["values"], "1 | x; min 0; maxLength 9 (https), 8 (runway); default true; when a=b; by model: limits"
        )
        self.assertEqual(row["description"], "Luck.")


class ModelsTest(unittest.TestCase):
    def test_an_unknown_model_names_the_nearest_first(self) -> None:
        union = {"oneOf": [thing({"model": {"const": name}}) for name in ("alpha", "beta_2", "beta_3")]}
        with self.assertRaises(UnknownModel) as caught:
            body(union, "beta3")
        self.assertEqual(caught.exception.models[0], "beta_3")

    def test_an_endpoint_without_models(self) -> None:
        with self.assertRaises(UnknownModel) as caught:
            body(thing({"x": STRING}), "beta")
        self.assertEqual(caught.exception.models, [])


class DocumentTest(unittest.TestCase):
    def test_a_document_without_paths(self) -> None:
        values: tuple[Any, ...] = (None, [], {}, {"paths": []}, "text")
        for value in values:
            with self.subTest(value=value):
                self.assertFalse(is_openapi(value))
        self.assertTrue(is_openapi({"paths": {}}))

    def test_a_schema_that_is_inherited_twice(self) -> None:
        parts: dict[str, Any] = {
            "Base": thing({"x": STRING}),
            "Left": {"allOf": [{"$ref": "#/components/schemas/Base"}]},
            "Right": {"allOf": [{"$ref": "#/components/schemas/Base"}]},
        }
        schema = {"allOf": [{"$ref": "#/components/schemas/Left"}, {"$ref": "#/components/schemas/Right"}]}
        self.assertEqual(fields(schema, **parts), [{"name": "x", "type": "string"}])

    def test_a_document_in_which_nothing_is_as_it_should_be(self) -> None:
        schema = {
            "type": 5,
            "properties": [1],
            "required": {"a": 1},
            "oneOf": {"a": 1},
            "enum": 5,
            "items": [1],
            "discriminator": 5,
            "allOf": 5,
            "pattern": 5,
            "format": [1],
            "minLength": "x",
        }
        made = document(thing({"x": schema, "y": 5, "z": None}))
        made["paths"]["/v1/make"]["post"]["parameters"] = [5, None, {"name": 5}, {"name": "x", "in": [1]}]
        made["paths"]["/v1/make"]["post"]["responses"] = {"200": 5, "201": {"content": 5}}
        made["paths"]["/v1/none"] = 5
        names = [field["name"] for field in describe(made, endpoints(made)[0])["body"]["fields"]]
        self.assertEqual(names, ["x", "y", "z"])


class HostileDocumentTest(unittest.TestCase):
    """A document cannot make it run long or deep."""

    def linked(self, link: Any, count: int) -> dict[str, Any]:
        parts = {f"L{number}": link({"$ref": f"#/components/schemas/L{number + 1}"}) for number in range(count)}
        return document({"$ref": "#/components/schemas/L0"}, **parts, **{f"L{count}": thing({"x": STRING})})

    def test_unions_that_double(self) -> None:
        for keyword in ("oneOf", "anyOf"):
            with self.subTest(keyword=keyword):
                made = self.linked(lambda ref, key=keyword: {key: [ref, ref]}, 40)
                names = {field["name"] for field in describe(made, endpoints(made)[0])["body"]["fields"]}
                self.assertEqual(names, {"x"})

    def test_unions_that_double_inside_of_objects(self) -> None:
        made = self.linked(
            lambda ref: thing({name: {"oneOf": [ref, {**ref, "title": name}]} for name in "abcdefgh"}), 40
        )
        with self.assertRaisesRegex(ValueError, "more of this than can be described"):
            describe(made, endpoints(made)[0])

    def test_a_chain_of_references(self) -> None:
        made = self.linked(lambda ref: ref, 3000)
        self.assertEqual(describe(made, endpoints(made)[0])["body"]["fields"], [{"name": "x", "type": "string"}])

    def test_a_chain_that_nests(self) -> None:
        made = self.linked(lambda ref: {"allOf": [ref]}, 3000)
        with self.assertRaisesRegex(ValueError, "nests too deeply"):
            describe(made, endpoints(made)[0])

    def test_a_summary_of_brackets(self) -> None:
        for text in ("[" * 60_000, "[a](" * 15_000, "](" * 30_000):
            with self.subTest(text=text[:4]):
                self.assertLessEqual(len(Endpoint("GET", "/v1/x", {"summary": text}).summary), MAX_DESCRIPTION)


if __name__ == "__main__":
    unittest.main()
