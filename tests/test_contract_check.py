"""What `check` finds wrong with a body, and in which words."""

from __future__ import annotations

import unittest
from typing import Any

from runway_cli import jsontext
from runway_cli.contract.check import check
from runway_cli.contract.schema import endpoints
from tests.test_contract_describe import document, ref, thing

UUID = "123e4567-e89b-42d3-a456-426614174000"
UUID_4 = "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12})$"
HTTPS = {"type": "string", "pattern": "^https:\\/\\/.*", "maxLength": 30}
DATA = {"type": "string", "pattern": "^data:image\\/.*", "maxLength": 90}


MODELS: dict[str, Any] = {
    "oneOf": [
        thing({"model": {"const": "one"}, "ratio": {"enum": ["1:1"]}, "text": {"type": "string"}}, "model", "text"),
        thing({"model": {"enum": ["two", "three"]}, "ratio": {"enum": ["2:1"]}}, "model"),
    ],
    "discriminator": {"propertyName": "model"},
}
KINDS = {
    "oneOf": [thing({"name": {}, "kind": {"const": kind}, kind: {"type": "integer"}}, "kind") for kind in ("a", "b")],
    "discriminator": {"propertyName": "kind"},
}


def issues(schema: Any, body: Any, **components: Any) -> list[dict[str, Any]]:
    made = document(schema, **components)
    return check(made, endpoints(made)[0], body)


def messages(schema: Any, body: Any, **components: Any) -> dict[str, str]:
    return {issue["field"]: "; ".join(issue["messages"]) for issue in issues(schema, body, **components)}


class VerdictTest(unittest.TestCase):
    def test_each_keyword_allows_and_refuses(self) -> None:
        cases: tuple[tuple[dict[str, Any], Any, Any], ...] = (
            ({"type": "string"}, "a", 5),
            ({"type": ["string", "null"]}, None, 5),
            ({"type": "integer"}, 5, 5.5),
            ({"type": "integer"}, 5.0, True),
            ({"type": "number"}, 5.5, "5"),
            ({"type": "boolean"}, False, 0),
            ({"type": "object"}, {}, []),
            ({"enum": ["a", 1]}, 1.0, True),
            ({"enum": [2.5]}, jsontext.loads("2.50"), jsontext.loads("2.60")),
            ({"type": "integer", "maximum": jsontext.loads("1e2")}, jsontext.loads("1e1"), jsontext.loads("1e400")),
            ({"minimum": 2}, 2, 1),
            ({"maximum": 2}, 2, 2.01),
            ({"exclusiveMinimum": 2}, 2.01, 2),
            ({"minLength": 2}, "ab", "a"),
            ({"maxLength": 2}, "😀😀", "😀😀😀"),
            ({"format": "uuid"}, UUID, UUID + "0"),
            ({"format": "date"}, "2024-02-29", "2023-02-32"),
            ({"format": "date-time"}, "2026-01-31T12:00:00.5+01:00", "2026-01-31T25:00:00Z"),
            ({"format": "uri"}, "wss://example.com/a?b", "a b"),
            ({"minItems": 1}, [1], []),
            ({"maxItems": 1}, [1], [1, 2]),
            ({"items": {"type": "integer"}}, [1, 2], [1, "a"]),
            ({"required": ["a"]}, {"a": None}, {}),
            ({"properties": {"a": {"type": "integer"}}}, {"b": "x"}, {"a": "x"}),
            ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
            ({"additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "x"}),
            ({"propertyNames": {"format": "uuid"}}, {UUID: 1}, {"a": 1}),
            ({"anyOf": [{"type": "integer"}, {"minimum": 5}]}, 7, 4.5),
            ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, 4, 4.5),
            ({"type": "string", "anyOf": [{"maxLength": 1}, {"minLength": 3}]}, "abc", "ab"),
            ({**ref("Short"), "minLength": 2}, "ab", "a"),
            (ref("Short"), "ab", "abcd"),
            *(
                ({"pattern": pattern}, valid, invalid)
                for pattern, valid, invalid in (
                    ("^https:\\/\\/.*", "https://example.com", "http://example.com"),
                    ("^https:\\/\\/.*$", "https://example.com", "http://example.com"),
                    ("^data:image\\/.*", "data:image/png;base64," + "A" * 6_000_000, "A" * 6_000_000),
                    ("^[a-z][a-z0-9_-]{0,63}$", "fox-1", "Fox"),
                    ("^[a-z]+$", "ab", "ab\n"),
                )
            ),
        )
        components: dict[str, Any] = {"Short": {"type": "string", "maxLength": 3}}
        for schema, valid, invalid in cases:
            with self.subTest(schema=schema, valid=str(valid)[:60]):
                self.assertEqual(issues(schema, valid, **components), [])
                self.assertNotEqual(issues(schema, invalid, **components), [])

    def test_what_is_not_known_allows_everything(self) -> None:
        for schema in (
            True,
            None,
            {"multipleOf": 2},
            {"type": "unheard-of"},
            {"format": "of-our-own"},
            {"type": 5, "items": [5], "minLength": "x", "pattern": 5, "oneOf": {}},
            *(
                {"pattern": pattern}
                for pattern in ("b", "((((", "^\\p{L}$", "^(?=.*[0-9])[a-z]+$", "^(a|a)*$", "^a*a*b$")
            ),
            ref("Nowhere"),
            {"$ref": "https://example.com/schema.json"},
        ):
            with self.subTest(schema=schema):
                self.assertEqual([issues(schema, value) for value in (None, 5, "a", [5], {"a": 5})], [[]] * 5)

    def test_a_recursive_schema(self) -> None:
        node = thing({"next": ref("Node")}, additionalProperties=False)
        self.assertEqual(messages(ref("Node"), {"next": {"next": {}}}, Node=node), {})
        self.assertEqual(
            messages(ref("Node"), {"next": {"next": 5}}, Node=node), {"next.next": "must be an object, not 5"}
        )


class BodyTest(unittest.TestCase):
    def test_a_body_that_is_null_is_not_missing(self) -> None:
        self.assertEqual(messages({"type": "object"}, None), {"": "must be an object, not null"})

    def test_an_endpoint_that_describes_no_json_body(self) -> None:
        text = {"content": {"text/plain": {"schema": {"type": "string"}}}}
        made: dict[str, Any] = {"paths": {"/a": {"post": {}, "put": {"requestBody": text}}}}
        for endpoint in endpoints(made):
            with self.subTest(method=endpoint.method):
                self.assertEqual(check(made, endpoint, 5), [])

    def test_a_body_that_is_described_elsewhere(self) -> None:
        made = document({"type": "object"})
        operation = made["paths"]["/v1/make"]["post"]
        made["components"]["requestBodies"] = {"Make": operation["requestBody"]}
        operation["requestBody"] = {"$ref": "#/components/requestBodies/Make"}
        self.assertNotEqual(check(made, endpoints(made)[0], 5), [])

    def test_fields_that_are_neither_named_nor_forbidden(self) -> None:
        closed, free = {"model": "one", "text": "a", "ratoi": "1:1", "x": 1}, {"a": 1, "b": "x"}
        cases: list[tuple[Any, Any, list[str]]] = [
            (MODELS, closed, ["ratoi", "x"]),
            (thing({"a": {}}, additionalProperties={"type": "string"}), free, []),
            (thing({"a": thing({"c": {}})}), {"a": {"b": 1}}, []),
            (thing({}), free, []),
        ]
        for schema, body, expected in cases:
            with self.subTest(body=body):
                made = document(schema)
                found = check(made, endpoints(made)[0], body, named_only=True)
                self.assertEqual([issue["field"] for issue in found], expected)
                self.assertEqual(check(made, endpoints(made)[0], body), [])


class MessageTest(unittest.TestCase):
    """A message names the value and what is allowed; of a union, only the form that the value selects is reported."""

    def test_messages(self) -> None:
        text, ratio = {"type": "string"}, {"enum": ["1280:720", "720:1280"]}
        media: dict[str, Any] = {"anyOf": [HTTPS, DATA, {"type": "array"}]}
        number_or_word: dict[str, Any] = {"anyOf": [{"type": "integer", "maximum": 5}, {"const": "auto"}]}
        inside = thing({"a": {"type": "array", "items": thing({"b": {"type": "integer", "maximum": 5}})}})
        closed = thing({"ratio": {}, "seed": {}}, additionalProperties=False)
        cases: tuple[tuple[Any, Any, dict[str, str]], ...] = (
            # plain values
            (ratio, "16:9", {"": 'must be one of 1280:720, 720:1280, not "16:9"'}),
            (ratio, "1280:721", {"": 'must be one of 1280:720, 720:1280, not "1280:721"; did you mean 1280:720?'}),
            ({"enum": ["on", "off"]}, "OFF", {"": 'must be one of on, off, not "OFF"; did you mean off?'}),
            ({"minLength": 1}, "", {"": "must have at least 1 character, not 0"}),
            ({"maxLength": 2}, "abc", {"": "must have at most 2 characters, not 3"}),
            ({"maxItems": 1}, [1, 2], {"": "must have at most 1 item, not 2"}),
            ({"exclusiveMinimum": 0}, 0, {"": "must be above 0, not 0"}),
            ({"format": "uuid", "pattern": UUID_4}, "x", {"": 'must be a UUID, not "x"'}),
            (text, ["secret"] * 3, {"": "must be a string, not an array of 3"}),
            (text, {"a": "secret"}, {"": "must be a string, not an object"}),
            ({"pattern": "^https:\\/\\/.*"}, "data:image/png;base64," + "A" * 1_600_000,
             {"": 'must begin with https://, not "data:image/png;base64,… (1.2 MB)"'}),
            # fields
            (inside, {"a": [{"b": 1}, {"b": 9}]}, {"a.1.b": "must be at most 5, not 9"}),
            (thing({"text": text, "mode": ratio}, "text", "mode"), {},
             {"text": "is required", "mode": "is required: one of 1280:720, 720:1280"}),
            (thing({"promptText": text}, "promptText"), {"PromptText": "a"},
             {"promptText": "is required; did you misspell it as PromptText?"}),
            (closed, {"ration": 1, "quality": 2},
             {"ration": "unknown field; did you mean ratio?",
              "quality": "unknown field: use one of ratio, seed"}),
            ({"propertyNames": {"format": "uuid"}}, {"a": 1}, {"a": 'the name must be a UUID, not "a"'}),
            # unions
            (MODELS, {"model": "three", "ratio": "1:1"}, {"ratio": 'must be 2:1, not "1:1"'}),
            (MODELS, {"model": "one"}, {"text": "is required"}),
            (MODELS, {"model": "x", "ratio": "x"}, {"model": 'must be one of one, two, three, not "x"'}),
            (MODELS, {"ratio": "x"}, {"model": "is required: one of one, two, three"}),
            ({"anyOf": [KINDS, {"type": "null"}]}, {"kind": "b", "a": "?", "b": "?"},
             {"b": 'must be an integer, not "?"'}),
            ({"anyOf": [thing({"a": {}, "b": {}}, "a", "b"), thing({"c": {}}, "c")]}, {}, {"c": "is required"}),
            (media, "ftp://x", {"": 'must begin with https:// or data:image/ or be an array, not "ftp://x"'}),
            (media, "https://" + "a" * 30, {"": "must have at most 30 characters, not 38"}),
            (media, 5, {"": "must be a string or an array, not 5"}),
            (number_or_word, "x", {"": 'must be auto or be an integer, not "x"'}),
            (number_or_word, 9, {"": "must be at most 5, not 9"}),
        )  # fmt: skip
        for schema, value, expected in cases:
            with self.subTest(schema=schema, value=str(value)[:60]):
                self.assertEqual(messages(schema, value), expected)

    def test_a_long_value_is_shortened(self) -> None:
        self.assertLess(len(messages({"format": "uuid"}, "a" * 5000)[""]), 100)

    def test_who_asks_decides_how_a_value_is_shown(self) -> None:
        made = document({"type": "integer"})
        found = check(made, endpoints(made)[0], "secret", show=lambda _: "***")
        self.assertEqual(found, [{"field": "", "messages": ["must be an integer, not ***"]}])

    def test_many_issues_are_cut(self) -> None:
        self.assertEqual(len(issues({"items": {"type": "string"}}, list(range(1000)))), 50)


class HostileTest(unittest.TestCase):
    """A document or a body that would take for ever ends with one error."""

    def linked(self, link: Any, count: int) -> dict[str, Any]:
        """Schemas L0, L1, …, each made of a reference to the next one; the last is a string."""
        parts = {f"L{number}": link(ref(f"L{number + 1}")) for number in range(count)}
        return {**parts, f"L{count}": {"type": "string"}}

    def test_what_grows_or_nests_without_end_is_told(self) -> None:
        body: Any = {}
        for _ in range(2000):
            body = {"next": body}
        words = [f"word{number}" for number in range(50_000)]
        large, deep = "too large to read", "recursion"
        cases: tuple[tuple[str, Any, Any, dict[str, Any]], ...] = (
            (large, ref("L0"), "a", self.linked(lambda link: {"oneOf": [link, link]}, 40)),
            (large, {"items": {"enum": words}}, words, {}),
            (deep, ref("L0"), body, {"L0": thing({"next": ref("L0")})}),
            ("cannot be read", {"required": 5}, {}, {}),
            (deep, ref("L0"), 5, self.linked(lambda link: link, 3000)),
        )
        for told, schema, value, parts in cases:
            with self.subTest(told, parts=len(parts)), self.assertRaisesRegex(ValueError, told):
                issues(schema, value, **parts)

    def test_fifty_thousand_values(self) -> None:
        words = [f"word{number}" for number in range(50_000)]
        self.assertEqual(len(issues({"anyOf": [{"const": word} for word in words[:20_000]]}, "x")), 1)
        self.assertEqual(len(issues(thing({"a": {}}, additionalProperties=False), dict.fromkeys(words))), 50)
