"""`reference`: what an agent learns of an endpoint in one short answer, and where the contract comes from."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from runway_cli import cli, lowcodeapi, openapi
from runway_cli.commands import reference
from runway_cli.settings import REFERENCE
from tests.fake_openapi import DOCUMENT
from tests.fake_runway import SECRET, FakeRunway, Fault

ROOT = Path(__file__).resolve().parent.parent
DAY = 24 * 3600  # seconds
STRING = {"type": "string"}


class Clock:
    """Real dates, `ahead` seconds later; sleeping takes no time and is written down."""

    def __init__(self, ahead: float = 0) -> None:
        self.ahead = ahead
        self.slept: list[float] = []

    def time(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)


class Result:
    """What a call left behind."""

    def __init__(self, status: int, out: bytes, err: bytes) -> None:
        self.status = status
        self.out = out.decode()
        self.err = err.decode()

    def json(self) -> Any:
        return json.loads(self.out)

    def error(self) -> Any:
        return json.loads(self.err.splitlines()[-1])


class Stream(io.TextIOWrapper):
    """A stream like stdout whose bytes stay readable."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="utf-8")


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
    return openapi.describe(made, openapi.endpoints(made)[0], model)["body"]


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
            ({"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
             {"type": "integer", "default": 3, "limits": {"min": 1, "max": 9}}),
            ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "limits": {"exclusiveMin": 0}}),
            ({"type": "number", "minimum": 0, "exclusiveMinimum": True},
             {"type": "number", "limits": {"exclusiveMin": 0}}),
            ({"type": "number", "minimum": 0, "exclusiveMinimum": False}, {"type": "number", "limits": {"min": 0}}),
            ({"type": "integer", "maximum": 2**53 - 1}, {"type": "integer"}),
            ({"type": "string", "pattern": "^[a-z]+$"}, {"type": "string", "limits": {"pattern": "^[a-z]+$"}}),
            ({"type": "string", "pattern": "^" + 50 * "a"}, {"type": "string"}),
            ({"type": ["string", "null"]}, {"type": "string | null"}),
            ({"type": "string", "nullable": True}, {"type": "string | null"}),
            ({"anyOf": [{"type": "null"}, {"type": "string", "enum": ["a"]}]},
             {"type": "string | null", "values": ["a"]}),
            ({"oneOf": [{"type": "integer", "maximum": 5}, {"const": "auto"}]},
             {"type": 'integer | "auto"', "limits": {"max": 5}}),
            ({"anyOf": [{"type": "string", "maxLength": 5}, {"type": "string", "maxLength": 9}]},
             {"type": "string", "limits": {"maxLength": 9}}),
            ({"type": "array", "maxItems": 2, "items": {"type": "string", "enum": ["a", "b"]}},
             {"type": "array of string", "values": ["a", "b"], "limits": {"maxItems": 2}}),
            ({"type": "array", "items": {"type": "array", "items": {"type": ["string", "number"]}}},
             {"type": "array of (array of (string | number))"}),
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
        media = {"anyOf": [{"type": "string", "pattern": pattern, "minLength": 13, "maxLength": most}
                           for pattern, most in schemes]}
        self.assertEqual(
            fields(thing({"promptImage": {"description": "The first frame.", "anyOf": [
                media, {"type": "array", "maxItems": 1, "items": thing({"uri": media}, "uri")}]}}, "promptImage")),
            [{"name": "promptImage", "type": "uri (https, runway, data:image) | array of object", "required": True,
              "limits": {"maxLength": 99, "maxItems": 1}, "description": "The first frame."},
             {"name": "promptImage.0.uri", "type": "uri (https, runway, data:image)", "required": True,
              "limits": {"maxLength": 99}}])

    def test_nested_objects_have_dotted_names(self) -> None:
        schema = thing({"a": thing({"b": {"type": "array", "items": thing({"c": STRING}, "c")}}),
                        "m": {"type": "object", "propertyNames": {"format": "uuid"},
                              "additionalProperties": thing({"d": STRING})}}, "a")
        self.assertEqual(fields(schema), [
            {"name": "a", "type": "object", "required": True},
            {"name": "a.b", "type": "array of object"},
            {"name": "a.b.0.c", "type": "string", "required": True},
            {"name": "m", "type": "object"},
            {"name": "m.{uuid}", "type": "object"},
            {"name": "m.{uuid}.d", "type": "string"}])

    def test_all_of_is_merged(self) -> None:
        schema = {"allOf": [{"$ref": "#/components/schemas/Base"}, thing({"y": {"maxLength": 4}, "z": STRING}, "z")]}
        self.assertEqual(fields(schema, Base=thing({"x": STRING, "y": STRING}, "x")), [
            {"name": "x", "type": "string", "required": True},
            {"name": "y", "type": "string", "limits": {"maxLength": 4}},
            {"name": "z", "type": "string", "required": True}])

    def test_all_of_two_unions_keeps_every_form(self) -> None:
        schema = {"allOf": [{"oneOf": [thing({"a": STRING}), thing({"b": STRING})]},
                            {"oneOf": [thing({"c": STRING}), thing({"d": STRING})]}]}
        self.assertEqual({field["name"] for field in fields(schema)}, {"a", "b", "c", "d"})

    def test_cycles_end(self) -> None:
        node = thing({"value": STRING, "next": {"$ref": "#/components/schemas/Node"},
                      "all": {"allOf": [{"$ref": "#/components/schemas/Node"}]}})
        self.assertEqual(fields({"$ref": "#/components/schemas/Node"}, Node=node), [
            {"name": "value", "type": "string"},
            {"name": "next", "type": "object (recursive)"},
            {"name": "all", "type": "object (recursive)"}])
        self.assertEqual(fields({"$ref": "#/components/schemas/A"}, A={"$ref": "#/components/schemas/B"},
                                B={"$ref": "#/components/schemas/A"}), [])

    def test_depth_is_bounded(self) -> None:
        schema = STRING
        for _ in range(40):
            schema = thing({"x": schema})
        self.assertEqual([field["name"] for field in fields(schema)][-1], ".".join("x" * (openapi.BODY_DEPTH + 1)))

    def test_forms_of_a_nested_union_say_when(self) -> None:
        voice = {"oneOf": [thing({"type": {"const": "preset"}, "presetId": STRING, "pace": STRING}, "type", "presetId"),
                           thing({"type": {"const": "custom"}, "id": STRING, "pace": STRING}, "type", "id")],
                 "discriminator": {"propertyName": "type"}}
        self.assertEqual(fields(thing({"voice": voice}, "voice")), [
            {"name": "voice", "type": "object", "required": True},
            {"name": "voice.type", "type": "string", "required": True, "values": ["preset", "custom"]},
            {"name": "voice.presetId", "type": "string", "required": True, "when": "voice.type=preset"},
            {"name": "voice.pace", "type": "string"},
            {"name": "voice.id", "type": "string", "required": True, "when": "voice.type=custom"}])

    def test_forms_without_a_discriminator_are_numbered(self) -> None:
        self.assertEqual(fields({"anyOf": [thing({"seconds": STRING}), {**thing({"at": STRING}), "title": "Share"}]}), [
            {"name": "seconds", "type": "string", "when": "form 1 of 2"},
            {"name": "at", "type": "string", "when": "Share"}])

    def test_discriminator_with_a_mapping(self) -> None:
        union = {"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
                 "discriminator": {"propertyName": "model", "mapping": {"cat-1": "#/components/schemas/Cat"}}}
        parts: dict[str, Any] = {"Cat": thing({"model": STRING, "purr": STRING}),
                                 "Dog": thing({"model": STRING, "bark": STRING})}
        self.assertEqual(body(union, **parts)["models"], ["cat-1", "Dog"])
        self.assertEqual(body(union, "cat-1", **parts), {"fields": [
            {"name": "model", "type": "string", "values": ["cat-1"]}, {"name": "purr", "type": "string"}]})

    def test_union_of_models_shows_what_they_share(self) -> None:
        union = {"oneOf": [
            thing({"model": {"const": "one"}, "text": {"type": "string", "maxLength": 5, "description": "Five."},
                   "seed": {"type": "integer"}, "size": {"const": "s"}}, "model", "text"),
            thing({"model": {"const": "two"}, "text": {"type": "string", "maxLength": 9, "description": "Nine."},
                   "seed": {"type": "integer"}}, "model")]}
        shown = body(union)
        self.assertEqual(shown["models"], ["one", "two"])
        self.assertEqual(shown["fields"], [
            {"name": "text", "type": "string", "varies": ["required", "limits"]}, {"name": "seed", "type": "integer"}])
        self.assertEqual(body(union, "two")["fields"], [
            {"name": "model", "type": "string", "required": True, "values": ["two"]},
            {"name": "text", "type": "string", "limits": {"maxLength": 9}, "description": "Nine."},
            {"name": "seed", "type": "integer"}])

    def test_union_by_another_property_is_shown_whole(self) -> None:
        union = {"oneOf": [thing({"mode": {"const": "auto"}, "prompt": STRING}, "mode"),
                           thing({"mode": {"const": "custom"}, "shots": STRING}, "mode")],
                 "discriminator": {"propertyName": "mode"}}
        self.assertEqual(body(union), {"fields": [
            {"name": "mode", "type": "string", "required": True, "values": ["auto", "custom"]},
            {"name": "prompt", "type": "string", "when": "mode=auto"},
            {"name": "shots", "type": "string", "when": "mode=custom"}]})

    def test_single_models(self) -> None:
        lone = thing({"model": {"enum": ["one", "two"]}, "text": STRING}, "model")
        self.assertEqual(body(lone)["models"], ["one", "two"])
        self.assertEqual(body(lone, "two")["fields"][0]["values"], ["two"])
        self.assertEqual(body({"oneOf": [thing({"model": {"const": "one"}, "text": STRING})],
                               "discriminator": {"propertyName": "model"}}),
                         {"models": ["one"], "fields": [{"name": "model", "type": "string", "values": ["one"]},
                                                        {"name": "text", "type": "string"}]})

    def test_bodies_that_are_no_object(self) -> None:
        self.assertEqual(body({"type": "array", "items": thing({"x": STRING})}),
                         {"type": "array of object", "fields": [{"name": "0.x", "type": "string"}]})

    def test_parameters_and_responses(self) -> None:
        made: dict[str, Any] = {
            "paths": {"/v1/tasks/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": STRING,
                                "description": "Its id."},
                               {"name": "limit", "in": "query", "schema": STRING}],
                "get": {"description": "Get *it*. See there.", "parameters": [
                    {"$ref": "#/components/parameters/Limit"},
                    {"name": "X-Runway-Version", "in": "header", "schema": STRING}],
                    "responses": {"404": {"description": "gone"}, "200": {"$ref": "#/components/responses/Task"}}}}},
            "components": {
                "parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 9}}},
                "responses": {"Task": {"content": {"application/json": {"schema": {"oneOf": [
                    thing({"status": {"const": "PENDING"}, "cost": thing({"credits": {"type": "number"}}, "credits")},
                          "status", "cost"),
                    thing({"status": {"const": "FAILED"}, "failure": STRING}, "status", "failure")]}}}}}}}
        self.assertEqual(openapi.describe(made, openapi.endpoints(made)[0]), {
            "method": "GET", "path": "/v1/tasks/{id}", "summary": "Get *it*.",
            "parameters": [
                {"name": "limit", "in": "query", "type": "integer", "limits": {"max": 9}},
                {"name": "id", "in": "path", "type": "string", "required": True, "description": "Its id."}],
            "response": {"status": "PENDING|FAILED", "cost.credits": "number?", "failure": "string?"}})

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
                self.assertEqual(openapi.one_line(text), line)
                self.assertLessEqual(len(line), openapi.LONGEST_DESCRIPTION)


class MatchingTest(unittest.TestCase):
    """A path is found however it is written."""

    def setUp(self) -> None:
        paths = ("/v1/tasks/{id}", "/v1/voices/{id}", "/v1/voices/preview", "/v1/text_to_image")
        self.known = [openapi.Endpoint("GET", path, {}) for path in paths]

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
                self.assertEqual([endpoint.path for endpoint in openapi.matching(self.known, path)], expected)

    def test_nearest(self) -> None:
        for path, expected in (("/v1/text_to_imgae", "/v1/text_to_image"), ("text_to_image", "/v1/text_to_image"),
                               ("/v1/task/{id}", "/v1/tasks/{id}")):
            with self.subTest(path=path):
                self.assertEqual(openapi.nearest(self.known, path)[0], expected)
        self.assertEqual(openapi.nearest(self.known, "qqq"), [])


class ReferenceCase(unittest.TestCase):
    """A stand-in that serves a document, and a home folder of its own for each test."""

    def setUp(self) -> None:
        self.fake = FakeRunway()
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        self.cache = self.home / "cache" / "runway-cli"
        self.env = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.home),
                    "XDG_CACHE_HOME": str(self.cache.parent), **self.fake.env()}

    def call(self, *words: str, clock: Clock | None = None, **env: str) -> Result:
        """`reference` in this process."""
        out, err = Stream(), Stream()
        with mock.patch.dict(os.environ, {**self.env, **env}, clear=True), \
                mock.patch.multiple(sys, stdout=out, stderr=err):
            status = cli.main(["reference", *words], clock or Clock())
        return Result(status, out.bytes.getvalue(), err.bytes.getvalue())

    def serve(self, content: Any, status: int = 200, times: int | None = 1) -> None:
        """Lets the source answer with this instead of its document."""
        fault = Fault("status", status=status, body=content)
        self.fake.fault(fault, path="/openapi.json", server="storage", times=times)

    def fetches(self) -> int:
        return len(self.fake.sent(path="/openapi.json"))

    def copies(self) -> list[Path]:
        return sorted(self.cache.iterdir()) if self.cache.exists() else []


class CommandTest(ReferenceCase):
    def test_endpoints_one_a_line(self) -> None:
        result = self.call()
        self.assertEqual((result.status, result.err), (0, ""))
        shown = [(row["method"], row["path"], row["summary"]) for row in result.json()["data"]]
        self.assertEqual(shown, [(method.upper(), path, operation["summary"])
                                 for path, item in DOCUMENT["paths"].items() for method, operation in item.items()])
        lines = self.call("--output", "jsonl").out.splitlines()
        self.assertEqual(json.loads(lines[0]), {"method": "GET", "path": "/v1/avatars", "summary": "List avatars"})
        self.assertEqual(len(lines), len(shown))

    def test_one_model(self) -> None:
        result = self.call("post", "v1/text_to_image", "--model", "gen4_image_turbo")
        self.assertEqual((result.status, result.err), (0, ""))
        shown = result.json()
        self.assertEqual(list(shown), ["method", "path", "summary", "body", "response"])
        self.assertEqual([field["name"] for field in shown["body"]["fields"]],
                         ["promptText", "ratio", "seed", "referenceImages", "referenceImages.0.uri",
                          "referenceImages.0.tag", "model"])
        self.assertEqual(shown["response"], {"id": "uuid", "estimatedCost.credits": "number?"})
        self.assertLess(len(result.out.encode()), 2000)
        self.assertEqual(result.out.count("\n"), 1)

    def test_numbers_are_spelt_as_in_the_contract(self) -> None:
        number = {"type": "number"}
        schema = {"x": {"enum": ["A", "B"]}, "y": {**number, "minimum": "A", "default": "B"}}
        content = json.dumps(document(thing(schema))).replace('"A"', "0.50").replace('"B"', "1.0")
        self.serve(content.encode())
        result = self.call("POST", "/v1/make")
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertIn('{"name":"x","type":"number","values":[0.50,1.0]}', result.out)
        self.assertIn('{"name":"y","type":"number","default":1.0,"limits":{"min":0.50}}', result.out)

    def test_operands_around_options(self) -> None:
        plain = self.call("POST", "/v1/text_to_image", "--model", "gen4_image")
        for words in (("POST", "--model", "gen4_image", "/v1/text_to_image"),
                      ("--model", "gen4_image", "--quiet", "POST", "/v1/text_to_image")):
            with self.subTest(words=words):
                self.assertEqual(self.call(*words).out, plain.out)

    def test_fields_as_lines(self) -> None:
        lines = [json.loads(line) for line in
                 self.call("POST", "/v1/text_to_image", "--output", "jsonl").out.splitlines()]
        self.assertEqual(lines[0], {"name": "model", "type": "string", "required": True,
                                    "values": ["gen4_image", "gen4_image_turbo"]})
        self.assertEqual([line["name"] for line in lines[1:4]], ["promptText", "ratio", "seed"])

    def test_fields_as_a_table_row(self) -> None:
        field = {"name": "seed", "in": "query", "type": "integer", "required": True, "values": [1, "x"],
                 "default": True, "limits": {"min": 0, "max": 9}, "when": "a=b", "varies": ["limits"],
                 "description": "Luck."}
        self.assertEqual(reference._row(field), {
            "name": "seed", "type": "integer (query)", "required": "yes", "description": "Luck.",
            "values": "1 | x; min 0; max 9; default true; when a=b; by model: limits"})

    def test_wrong_calls_name_the_right_one(self) -> None:
        cases = [
            (("POST", "/v1/text_to_imgae"), "/v1/text_to_image", "reference POST /v1/text_to_image"),
            (("GET", "/v1/text_to_imgae"), "/v1/text_to_image", "reference POST /v1/text_to_image"),
            (("POST", "text_to_image", "--model", "gen4_image"), "/v1/text_to_image",
             "reference POST /v1/text_to_image --model gen4_image"),
            (("DELETE", "/v1/text_to_image"), "it takes POST", "reference POST /v1/text_to_image"),
            (("PUT", "/v1/tasks/7"), "it takes GET and DELETE", "reference GET '/v1/tasks/{id}'"),
            (("GET", "qqq"), "no endpoint like 'qqq'", "reference"),
            (("POST", "/v1/text_to_image", "--model", "gen4_imag"), "it has gen4_image, gen4_image_turbo",
             "reference POST /v1/text_to_image --model gen4_image"),
            (("POST", "/v1/documents", "--model", "x"), "has no models", "reference POST /v1/documents"),
            (("GET", "/v1/avatars", "--model", "x"), "has no models", "reference GET /v1/avatars"),
        ]
        for words, told, example in cases:
            with self.subTest(words=words):
                result = self.call(*words)
                error = result.error()
                self.assertEqual((result.status, error["kind"], result.out), (2, "usage", ""))
                self.assertIn(told, error["error"])
                self.assertTrue(error["example"].endswith(" " + example), error["example"])
        self.assertEqual(self.fetches(), 1)

    def test_calls_that_can_mean_nothing_fetch_nothing(self) -> None:
        cases = [
            (("GET",), "reference GET /v1/text_to_image"),
            (("/v1/avatars",), "reference POST /v1/avatars"),
            (("GET", "/v1/avatars", "more"), "reference GET /v1/avatars"),
            (("FETCH", "/v1/avatars"), "reference POST /v1/avatars"),
            (("--model", "gen4_image"), "reference POST /v1/text_to_image --model gen4_image"),
        ]
        for words, example in cases:
            with self.subTest(words=words):
                result = self.call(*words)
                self.assertEqual((result.status, result.error()["kind"]), (2, "usage"))
                self.assertTrue(result.error()["example"].endswith(" " + example), result.error()["example"])
        self.assertEqual(self.fetches(), 0)

    def test_example_for_an_error(self) -> None:
        self.assertEqual(reference.example_for("/v1/x", "m"), ("reference", "POST", "/v1/x", "--model", "m"))
        self.assertEqual(reference.example_for("/v1/x", None), ("reference", "POST", "/v1/x"))


class SourceTest(ReferenceCase):
    def test_nothing_of_the_user_is_sent(self) -> None:
        self.assertEqual(self.call("--verbose").status, 0)
        (sent,) = self.fake.requests
        self.assertEqual(set(sent.headers), {"accept", "accept-encoding", "user-agent", "host", "connection"})
        self.assertNotIn(SECRET, repr(sent))

    def test_no_secret_is_needed(self) -> None:
        self.assertEqual(self.call(RUNWAY_SKILLS_API_SECRET="").status, 0)

    def test_default_sources(self) -> None:
        cases = [("", None, REFERENCE), ("", "lowcodeapi", lowcodeapi.DOCUMENT),
                 (self.fake.openapi_url, "lowcodeapi", self.fake.openapi_url)]
        for variable, gateway, url in cases:
            with self.subTest(url=url), mock.patch.dict(os.environ, {"RUNWAY_SKILLS_OPENAPI_URL": variable}):
                self.assertEqual(reference._source(mock.Mock(gateway=gateway)), url)

    def test_what_is_no_contract_is_an_error_and_not_kept(self) -> None:
        cases: list[tuple[Any, int, str, int]] = [
            ({"swagger": "2.0"}, 200, "no OpenAPI document", 1),
            ([1], 200, "no OpenAPI document", 1),
            (b"<html>", 200, "is not JSON", 1),
            (b"", 200, "is not JSON", 1),
            (b"not found", 404, "HTTP 404", 1),
            (b"", 403, "HTTP 403", 77),
        ]
        for content, status, told, expected in cases:
            with self.subTest(told=told, content=content):
                self.serve(content, status)
                result = self.call()
                self.assertEqual((result.status, result.out, self.copies()), (expected, "", []))
                self.assertIn(told, result.error()["error"])
                self.assertEqual(result.error()["status"], status)

    def test_what_is_too_large_is_refused(self) -> None:
        self.serve(b'{"paths":{}}' + b" " * reference.LARGEST)
        result = self.call()
        self.assertEqual((result.status, self.copies()), (1, []))
        self.assertIn("larger than 20 MB", result.error()["error"])

    def test_redirects_are_not_followed(self) -> None:
        self.fake.fault(Fault("redirect", target=self.fake.url + "/elsewhere"), path="/openapi.json", server="storage")
        result = self.call()
        self.assertEqual(result.status, 1)
        self.assertIn("/elsewhere, which is not followed", result.error()["error"])
        self.assertEqual(len(self.fake.requests), 1)

    def test_one_more_try(self) -> None:
        clock = Clock()
        self.serve(b"busy", 503)
        self.assertEqual(self.call("--quiet", clock=clock).status, 0)
        self.assertEqual((self.fetches(), len(clock.slept)), (2, 1))

    def test_no_more_than_one_and_none_without_retries(self) -> None:
        self.serve(b"busy", 503, times=None)
        self.assertEqual(self.call().status, 1)
        self.assertEqual(self.fetches(), 2)
        self.assertEqual(self.call("--retries", "0").status, 1)
        self.assertEqual(self.fetches(), 3)


class CacheTest(ReferenceCase):
    """The contract is fetched once a day, and an old one is better than none."""

    def test_a_fresh_copy_is_used(self) -> None:
        first = self.call()
        self.assertEqual(self.call(clock=Clock(DAY - 60)).out, first.out)
        self.assertEqual(self.fetches(), 1)
        (copy,) = self.copies()
        self.assertRegex(copy.name, r"^openapi-[0-9a-f]{12}\.json$")
        if os.name != "nt":
            self.assertEqual(stat.S_IMODE(self.cache.stat().st_mode), 0o700)

    def test_after_a_day_it_is_fetched_again(self) -> None:
        self.call()
        self.serve(document(STRING))
        result = self.call(clock=Clock(DAY + 60))
        self.assertEqual([row["path"] for row in result.json()["data"]], ["/v1/make"])
        self.assertEqual((self.fetches(), len(self.copies())), (2, 1))
        self.assertEqual(self.call().out, result.out)

    def test_a_copy_from_the_future_is_fetched_again(self) -> None:
        self.call()
        self.call(clock=Clock(-DAY))
        self.assertEqual(self.fetches(), 2)

    def test_each_source_has_its_own_copy(self) -> None:
        self.call()
        self.fake.fault(Fault("status", status=200, body=document(STRING)), path="/other.json", server="storage")
        other = self.call(RUNWAY_SKILLS_OPENAPI_URL=self.fake.storage_url + "/other.json")
        self.assertEqual([row["path"] for row in other.json()["data"]], ["/v1/make"])
        self.assertEqual(len(self.copies()), 2)

    def test_offline_the_old_copy_is_used_with_a_note(self) -> None:
        first = self.call()
        cases = [Fault("status", status=503), Fault("reset_after_request"), Fault("html"), Fault("half_answer")]
        for fault in cases:
            with self.subTest(fault=fault.kind):
                self.fake.fault(fault, path="/openapi.json", server="storage")
                clock = Clock(3 * DAY + 60)
                result = self.call(clock=clock)
                self.assertEqual((result.status, result.out, clock.slept), (0, first.out, []))
                self.assertIn("a copy of 3 days ago", result.err)
        self.fake.fault(cases[0], path="/openapi.json", server="storage")
        self.assertEqual(self.call("--quiet", clock=Clock(3 * DAY)).err, "")

    def test_offline_without_a_copy(self) -> None:
        result = self.call(RUNWAY_SKILLS_OPENAPI_URL="http://127.0.0.1:1/openapi.json")
        self.assertEqual((result.status, result.error()["kind"], result.out), (69, "network", ""))

    def test_a_damaged_copy_is_ignored(self) -> None:
        first = self.call()
        (copy,) = self.copies()
        for damaged in (b"", b"{", b"[]", b"\xff", copy.read_bytes()[:-9]):
            with self.subTest(damaged=damaged[:5]):
                copy.write_bytes(damaged)
                self.assertEqual(self.call().out, first.out)
        self.assertEqual((self.fetches(), self.copies()), (6, [copy]))

    def test_a_folder_that_cannot_be_written_does_not_matter(self) -> None:
        self.cache.parent.mkdir()
        self.cache.write_text("a file where the folder should be", encoding="utf-8")
        self.assertEqual(self.call().status, 0)
        self.cache.unlink()
        with mock.patch("os.replace", side_effect=PermissionError):
            self.assertEqual(self.call().status, 0)
        self.assertEqual(self.copies(), [])
        self.assertEqual(self.fetches(), 2)

    @unittest.skipIf(os.name == "nt" or getattr(os, "geteuid", lambda: 0)() == 0, "for root nothing is read-only")
    def test_a_read_only_folder_does_not_matter(self) -> None:
        self.cache.mkdir(parents=True, mode=0o500)
        self.assertEqual(self.call().status, 0)
        self.assertEqual(self.copies(), [])

    def test_without_a_home(self) -> None:
        with mock.patch("runway_cli.commands.reference.cache_folder", return_value=None):
            self.assertEqual([self.call().status, self.call().status], [0, 0])
        self.assertEqual((self.fetches(), self.copies()), (2, []))


class ProcessTest(ReferenceCase):
    """The real program, as an agent's shell starts it."""

    def start(self, *words: str, **env: str) -> Result:
        done = subprocess.run([sys.executable, str(ROOT / "runway_cli"), "reference", *words], check=False,
                              capture_output=True, timeout=30, env={**self.env, **env}, cwd=self.home)
        return Result(done.returncode, done.stdout, done.stderr)

    def test_two_calls_one_fetch(self) -> None:
        first = self.start("POST", "/v1/image_to_video", "--model", "gen4.5")
        self.assertEqual((first.status, first.err), (0, ""))
        names = [field["name"] for field in first.json()["body"]["fields"] if field.get("required")]
        self.assertEqual(names, ["promptText", "promptImage", "ratio", "duration", "model"])
        self.assertEqual(self.start("POST", "/v1/image_to_video", "--model", "gen4.5").out, first.out)
        self.assertEqual((self.fetches(), len(self.copies())), (1, 1))

    def test_home_that_is_nowhere(self) -> None:
        nowhere = str(self.home / "file")
        Path(nowhere).write_text("", encoding="utf-8")
        result = self.start("GET", "/v1/tasks/1", HOME=nowhere, XDG_CACHE_HOME="")
        self.assertEqual((result.status, result.err, result.json()["path"]), (0, "", "/v1/tasks/{id}"))


if __name__ == "__main__":
    unittest.main()
