"""Which models there are, and what each lets choose from."""

from __future__ import annotations

import unittest
from typing import Any

from runway_cli.contract.describe import models, models_of, short_name
from runway_cli.contract.schema import Endpoint, endpoints

STRING = {"type": "string"}


def form(model: Any, **properties: Any) -> dict[str, Any]:
    """The body that one model takes."""
    tag = {"enum": model} if isinstance(model, list) else {"const": model}
    return {"type": "object", "properties": {**properties, "model": tag}, "required": ["model"]}


def document(**bodies: Any) -> dict[str, Any]:
    """A document with an endpoint for each body."""
    paths = {
        f"/v1/{name}": {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}
        for name, schema in bodies.items()
    }
    return {"openapi": "3.1.0", "paths": {"/v1/tasks/{id}": {"get": {}}, **paths}}


def rows(schema: Any) -> list[dict[str, Any]]:
    """The rows of an endpoint with this body."""
    made = document(make=schema)
    return models_of(made, endpoints(made)[-1])


class ModelsTest(unittest.TestCase):
    def test_each_model_names_its_endpoints(self) -> None:
        made = document(
            image_to_video={"oneOf": [form("one"), form("two")], "discriminator": {"propertyName": "model"}},
            text_to_video={"oneOf": [form("two"), form(["three", "four"])]},
            avatars={"type": "object", "properties": {"name": STRING}},
        )
        self.assertEqual(
            models(made),
            [
                {"model": "one", "endpoints": ["image_to_video"]},
                {"model": "two", "endpoints": ["image_to_video", "text_to_video"]},
                {"model": "three", "endpoints": ["text_to_video"]},
                {"model": "four", "endpoints": ["text_to_video"]},
            ],
        )

    def test_a_body_for_one_model(self) -> None:
        self.assertEqual(models(document(make=form("only"))), [{"model": "only", "endpoints": ["make"]}])

    def test_an_api_without_models(self) -> None:
        self.assertEqual(models(document(make={"type": "string"}, other=form(None)["properties"])), [])

    def test_short_names(self) -> None:
        for path, name in (
            ("/v1/text_to_image", "text_to_image"),
            ("/v1/generate/video", "generate/video"),
            ("/health", "health"),
        ):
            with self.subTest(path=path):
                self.assertEqual(short_name(Endpoint("POST", path, {})), name)


class ChoicesTest(unittest.TestCase):
    def test_ratio_and_duration_come_first(self) -> None:
        schema = {
            "oneOf": [
                form(
                    "one", quality={"enum": ["low", "high"]}, duration={"enum": [4, 8]}, ratio={"enum": ["1:1", "2:1"]}
                ),
                form("two", ratio={"enum": ["3:1"]}),
            ]
        }
        first, second = rows(schema)
        self.assertEqual(list(first), ["model", "ratio", "duration", "quality"])
        self.assertEqual(first["ratio"], ["1:1", "2:1"])
        self.assertEqual(first["duration"], [4, 8])
        self.assertEqual(first["quality"], ["low", "high"])
        self.assertEqual(second, {"model": "two", "ratio": ["3:1"]})

    def test_a_duration_between_limits(self) -> None:
        cases = [
            ({"type": "integer", "minimum": 2, "maximum": 10}, "2-10"),
            ({"type": "number", "minimum": 0.5, "maximum": 30}, "0.5-30"),
            ({"type": "integer", "minimum": 2}, "at least 2"),
            ({"type": "integer", "maximum": 9}, "at most 9"),
        ]
        for schema, expected in cases:
            with self.subTest(schema=schema):
                self.assertEqual(rows(form("one", duration=schema)), [{"model": "one", "duration": expected}])

    def test_fields_without_a_list_are_left_out(self) -> None:
        schema = form(
            "one",
            duration={"type": "integer"},
            seed={"type": "integer", "maximum": 9},
            text=STRING,
            inner={"type": "object", "properties": {"level": {"enum": ["a", "b"]}}},
        )
        self.assertEqual(rows(schema), [{"model": "one"}])

    def test_what_must_be_chosen_inside_of_a_required_field_is_shown(self) -> None:
        voice = {
            "type": "object",
            "required": ["presetId"],
            "properties": {"presetId": {"enum": ["Maya", "Arjun"]}, "style": {"enum": ["calm", "lively"]}},
        }
        schema = form("one", voice=voice)
        schema["required"] = ["voice"]
        self.assertEqual(rows(schema), [{"model": "one", "voice.presetId": ["Maya", "Arjun"]}])

    def test_several_models_of_one_form(self) -> None:
        self.assertEqual(
            rows(form(["one", "two"], ratio={"enum": ["1:1"]})),
            [{"model": "one", "ratio": ["1:1"]}, {"model": "two", "ratio": ["1:1"]}],
        )

    def test_a_model_with_two_forms_lets_choose_from_both(self) -> None:
        schema = {
            "oneOf": [form("one", ratio={"enum": ["1:1"]}), form("one", ratio={"enum": ["1:1", "2:1"]})],
            "discriminator": {"propertyName": "model"},
        }
        self.assertEqual(rows(schema), [{"model": "one", "ratio": ["1:1", "2:1"]}])

    def test_an_endpoint_without_models(self) -> None:
        self.assertEqual(rows({"type": "object", "properties": {"name": STRING}}), [])

    def test_a_document_that_nests_too_deeply(self) -> None:
        schema: Any = form("one")
        for _ in range(3000):
            schema = {"oneOf": [schema]}
        with self.assertRaisesRegex(ValueError, "nests too deeply"):
            models(document(make=schema))


if __name__ == "__main__":
    unittest.main()
