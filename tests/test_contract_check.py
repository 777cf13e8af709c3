"""What `check` finds wrong with a body, and in which words."""

from __future__ import annotations

import unittest
from typing import Any

from runway_cli import jsontext
from runway_cli.contract.check import NO_BODY, check, check_schema
from runway_cli.contract.schema import endpoints

UUID = "123e4567-e89b-42d3-a456-426614174000"
HTTPS = {"type": "string", "pattern": "^https:\\/\\/.*", "maxLength": 30}
DATA = {"type": "string", "pattern": "^data:image\\/.*", "maxLength": 90}


def thing(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), **more}


MODELS: dict[str, Any] = {
    "oneOf": [
        thing({"model": {"const": "one"}, "ratio": {"enum": ["1:1"]}, "text": {"type": "string"}}, "model", "text"),
        thing({"model": {"enum": ["two", "three"]}, "ratio": {"enum": ["2:1"]}}, "model"),
    ],
    "discriminator": {"propertyName": "model"},
}


def document(schema: Any, version: str = "3.1.0", required: bool = False, **components: Any) -> dict[str, Any]:
    """A document with one endpoint, POST /v1/make, that takes this body."""
    content = {"application/json": {"schema": schema}}
    return {
        "openapi": version,
        "paths": {"/v1/make": {"post": {"requestBody": {"required": required, "content": content}}}},
        "components": {"schemas": components},
    }


def issues(schema: Any, body: Any, version: str = "3.1.0", **components: Any) -> list[dict[str, Any]]:
    made = document(schema, version, **components)
    return check(made, endpoints(made)[0], body)


def messages(schema: Any, body: Any, version: str = "3.1.0", **components: Any) -> dict[str, list[str]]:
    return {issue["field"]: issue["messages"] for issue in issues(schema, body, version, **components)}


class VerdictTest(unittest.TestCase):
    """Every keyword: a value that is valid, and one that is not."""

    CASES: tuple[tuple[Any, Any, Any], ...] = (
        (True, 5, None),
        (None, None, None),  # not a schema: anything is allowed
        ({"type": "string"}, "a", 5),
        ({"type": ["string", "null"]}, None, 5),
        ({"type": "integer"}, 5, 5.5),
        ({"type": "integer"}, 5.0, True),
        ({"type": "number"}, 5.5, "5"),
        ({"type": "boolean"}, False, 0),
        ({"type": "object"}, {}, []),
        ({"enum": ["a", 1]}, 1.0, True),
        ({"const": {"a": [1]}}, {"a": [1.0]}, {"a": [True]}),
        ({"minimum": 2}, 2, 1),
        ({"maximum": 2}, 2, 2.01),
        ({"exclusiveMinimum": 2}, 2.01, 2),
        ({"exclusiveMaximum": 2}, 1, 2),
        ({"minimum": 2, "exclusiveMinimum": True}, 3, 2),
        ({"maximum": 2, "exclusiveMaximum": True}, 1, 2),
        ({"minimum": 2, "exclusiveMinimum": False}, 2, 1),
        ({"multipleOf": 0.1}, 0.3, 0.35),
        ({"multipleOf": 5}, 15, 7),
        ({"minLength": 2}, "ab", "a"),
        ({"maxLength": 2}, "😀😀", "😀😀😀"),
        ({"pattern": "^[a-z]+$"}, "ab", "ab\n"),
        ({"pattern": "b"}, "abc", "ac"),
        ({"format": "uuid"}, UUID, UUID + "0"),
        ({"format": "date"}, "2024-02-29", "2023-02-29"),
        ({"format": "date-time"}, "2026-01-31T12:00:00.5+01:00", "2026-01-31T25:00:00Z"),
        ({"format": "uri"}, "wss://example.com/a?b", "a b"),
        ({"minItems": 1}, [1], []),
        ({"maxItems": 1}, [1], [1, 2]),
        ({"uniqueItems": True}, [1, True, "1"], [1, 1.0]),
        ({"items": {"type": "integer"}}, [1, 2], [1, "a"]),
        ({"items": False}, [], [1]),
        ({"prefixItems": [{"const": 1}], "items": {"type": "string"}}, [1, "a"], [1, 2]),
        ({"required": ["a"]}, {"a": None}, {}),
        ({"properties": {"a": {"type": "integer"}}}, {"b": "x"}, {"a": "x"}),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
        ({"additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "x"}),
        ({"patternProperties": {"^x-": {}}, "additionalProperties": False}, {"x-a": 1}, {"a": 1}),
        ({"propertyNames": {"format": "uuid"}}, {UUID: 1}, {"a": 1}),
        ({"minProperties": 1}, {"a": 1}, {}),
        ({"maxProperties": 1}, {"a": 1}, {"a": 1, "b": 2}),
        ({"allOf": [{"type": "integer"}, {"minimum": 5}]}, 5, 4),
        ({"anyOf": [{"type": "integer"}, {"minimum": 5}]}, 7, 4.5),
        ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, 4, 7),
        ({"not": {"type": "integer"}}, "a", 5),
        ({"$ref": "#/components/schemas/Short", "minLength": 2}, "ab", "a"),
        ({"$ref": "#/components/schemas/Short"}, "ab", "abcd"),
        ({"$ref": "#/components/schemas/a~1b%20c"}, 5, "a"),
    )

    def test_keywords(self) -> None:
        components: dict[str, Any] = {"Short": {"type": "string", "maxLength": 3}, "a/b c": {"type": "integer"}}
        for schema, valid, invalid in self.CASES:
            with self.subTest(schema=schema):
                self.assertEqual(issues(schema, valid, **components), [])
                if isinstance(schema, dict):
                    self.assertNotEqual(issues(schema, invalid, **components), [])

    def test_false_allows_nothing(self) -> None:
        self.assertEqual(messages(thing({"a": False}), {"a": 5}), {"a": ["is not allowed, but is 5"]})

    def test_references_that_lead_nowhere_allow_everything(self) -> None:
        for ref in ("#/components/schemas/Nowhere", "https://example.com/schema.json", "#/paths/~1v1~1make/get/0"):
            with self.subTest(ref=ref):
                self.assertEqual(issues({"$ref": ref}, 5), [])

    def test_nullable_in_3_0(self) -> None:
        for schema in (
            {"type": "string", "nullable": True, "enum": ["a"]},
            {"$ref": "#/components/schemas/Name", "nullable": True},
        ):
            with self.subTest(schema=schema):
                self.assertEqual(issues(schema, None, "3.0.3", Name={"type": "string"}), [])
                self.assertNotEqual(issues(schema, None, "3.1.0", Name={"type": "string"}), [])

    def test_what_stands_beside_a_reference_in_3_0_is_ignored(self) -> None:
        schema = {"$ref": "#/components/schemas/Name", "maxLength": 1}
        self.assertEqual(issues(schema, "ab", "3.0.3", Name={"type": "string"}), [])
        self.assertNotEqual(issues(schema, "ab", "3.1.0", Name={"type": "string"}), [])

    def test_numbers_that_python_would_round(self) -> None:
        cases = [
            ("5.00", True),
            ("1e1", True),
            ("5.10", False),
            ("1e400", False),
            ("1e-400", False),
            ("-0", True),
            ("1e99999999999999999999", False),
            ("123456789012345678901", False),
        ]
        for text, expected in cases:
            with self.subTest(text=text):
                found = issues({"type": "integer", "maximum": 100, "multipleOf": 5}, jsontext.loads(text))
                self.assertEqual(not found, expected)

    def test_limits_that_python_would_round(self) -> None:
        schema = jsontext.loads('{"minimum": 0.50, "maximum": 1e1, "enum": [1.0, 2.50]}')
        self.assertEqual(issues(schema, 1), [])
        self.assertEqual(issues(schema, 2.5), [])

    def test_a_recursive_schema(self) -> None:
        node = thing({"next": {"$ref": "#/components/schemas/Node"}}, additionalProperties=False)
        schema = {"$ref": "#/components/schemas/Node"}
        self.assertEqual(issues(schema, {"next": {"next": {}}}, Node=node), [])
        self.assertEqual(
            messages(schema, {"next": {"next": 5}}, Node=node), {"next.next": ["must be an object, not 5"]}
        )


class BodyTest(unittest.TestCase):
    def test_a_missing_body(self) -> None:
        made = document({}, required=True)
        self.assertEqual(check(made, endpoints(made)[0], NO_BODY), [{"field": "", "messages": ["a body is required"]}])

    def test_a_missing_body_that_may_be_missing(self) -> None:
        made = document({"type": "object"})
        self.assertEqual(check(made, endpoints(made)[0], NO_BODY), [])

    def test_a_body_that_is_null_is_not_missing(self) -> None:
        self.assertEqual(messages({"type": "object"}, None), {"": ["must be an object, not null"]})

    def test_an_endpoint_that_describes_no_json_body(self) -> None:
        made: dict[str, Any] = {
            "paths": {
                "/a": {"post": {}, "put": {"requestBody": {"content": {"text/plain": {"schema": {"type": "string"}}}}}}
            }
        }
        for endpoint in endpoints(made):
            with self.subTest(method=endpoint.method):
                self.assertEqual(check(made, endpoint, 5), [])

    def test_a_body_that_is_described_elsewhere(self) -> None:
        made = document({})
        made["components"]["requestBodies"] = {
            "Make": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
        }
        made["paths"]["/v1/make"]["post"]["requestBody"] = {"$ref": "#/components/requestBodies/Make"}
        (endpoint,) = endpoints(made)
        self.assertNotEqual(check(made, endpoint, 5), [])
        self.assertNotEqual(check(made, endpoint, NO_BODY), [])

    def test_a_schema_by_itself(self) -> None:
        made = document({}, Limit={"type": "integer", "maximum": 100})
        self.assertEqual(
            check_schema(made, {"$ref": "#/components/schemas/Limit"}, 101),
            [{"field": "", "messages": ["must be at most 100, not 101"]}],
        )


class MessageTest(unittest.TestCase):
    """A message names the value and what is allowed."""

    def test_an_unknown_value(self) -> None:
        schema = thing({"ratio": {"enum": ["1280:720", "720:1280"]}})
        self.assertEqual(
            messages(schema, {"ratio": "16:9"}), {"ratio": ['must be one of 1280:720, 720:1280, not "16:9"']}
        )

    def test_a_mistyped_value(self) -> None:
        schema = thing({"quality": {"enum": ["standard", "high"]}})
        self.assertEqual(
            messages(schema, {"quality": "standrad"}),
            {"quality": ['must be one of standard, high, not "standrad"; did you mean standard?']},
        )

    def test_a_field_inside(self) -> None:
        schema = thing({"a": {"type": "array", "items": thing({"b": {"type": "integer", "maximum": 5}})}})
        self.assertEqual(messages(schema, {"a": [{"b": 1}, {"b": 9}]}), {"a.1.b": ["must be at most 5, not 9"]})

    def test_a_missing_field(self) -> None:
        schema = thing({"text": {"type": "string"}, "mode": {"enum": ["auto", "custom"]}}, "text", "mode")
        self.assertEqual(messages(schema, {}), {"text": ["is required"], "mode": ["is required: one of auto, custom"]})

    def test_a_missing_field_that_was_mistyped(self) -> None:
        schema = thing({"promptText": {"type": "string"}}, "promptText")
        self.assertEqual(
            messages(schema, {"prompttext": "a"}), {"promptText": ["is required; did you misspell it as prompttext?"]}
        )

    def test_an_unknown_field(self) -> None:
        schema = thing({"ratio": {}, "seed": {}}, additionalProperties=False)
        self.assertEqual(
            messages(schema, {"ration": 1, "quality": 2}),
            {
                "ration": ["unknown field; did you mean ratio?"],
                "quality": ["unknown field; the known ones are ratio, seed"],
            },
        )

    def test_a_long_value_is_shortened(self) -> None:
        (message,) = messages({"type": "string", "pattern": "^b"}, "a" * 5000)[""]
        self.assertLess(len(message), 100)

    def test_a_data_uri_is_named_by_its_size(self) -> None:
        (message,) = messages({"pattern": "^https:\\/\\/.*"}, "data:image/png;base64," + "A" * 1_600_000)[""]
        self.assertEqual(message, 'must begin with https://, not "data:image/png;base64,… (1.2 MB)"')

    def test_what_is_inside_of_a_wrong_value_is_not_shown(self) -> None:
        self.assertEqual(messages({"type": "string"}, ["secret"] * 3), {"": ["must be a string, not an array of 3"]})
        self.assertEqual(messages({"type": "string"}, {"a": "secret"}), {"": ["must be a string, not an object"]})

    def test_who_asks_decides_how_a_value_is_shown(self) -> None:
        made = document({"type": "integer"})
        self.assertEqual(
            check(made, endpoints(made)[0], "secret", show=lambda _: "***"),
            [{"field": "", "messages": ["must be an integer, not ***"]}],
        )

    def test_a_format_is_told_before_its_pattern(self) -> None:
        self.assertEqual(
            messages({"format": "uuid", "pattern": "^[0-9a-f]{8}-"}, "x"), {"": ['must be a UUID, not "x"']}
        )

    def test_the_name_of_a_field(self) -> None:
        self.assertEqual(
            messages({"propertyNames": {"format": "uuid"}}, {"a": 1}), {"a": ['the name must be a UUID, not "a"']}
        )

    def test_sizes(self) -> None:
        cases = [
            ({"minLength": 1}, "", "must have at least 1 character, not 0"),
            ({"maxLength": 2}, "abc", "must have at most 2 characters, not 3"),
            ({"maxItems": 1}, [1, 2], "must have at most 1 item, not 2"),
            ({"minProperties": 2}, {}, "must have at least 2 fields, not 0"),
            ({"uniqueItems": True}, [1, 2, 1], "must not repeat item 0"),
        ]
        for schema, value, message in cases:
            with self.subTest(schema=schema):
                self.assertEqual(list(messages(schema, value).values()), [[message]])

    def test_many_issues_are_cut(self) -> None:
        self.assertEqual(len(issues({"items": {"type": "string"}}, list(range(1000)))), 50)


class UnionTest(unittest.TestCase):
    """Of a union, only the form that the value selects is reported."""

    def test_the_model_selects(self) -> None:
        self.assertEqual(messages(MODELS, {"model": "three", "ratio": "1:1"}), {"ratio": ['must be 2:1, not "1:1"']})
        self.assertEqual(messages(MODELS, {"model": "one"}), {"text": ["is required"]})

    def test_a_wrong_model_lists_all(self) -> None:
        self.assertEqual(
            messages(MODELS, {"model": "four", "ratio": "x"}),
            {"model": ['must be one of one, two, three, not "four"']},
        )

    def test_a_missing_model_lists_all(self) -> None:
        self.assertEqual(messages(MODELS, {"ratio": "x"}), {"model": ["is required: one of one, two, three"]})

    def test_any_constant_selects_without_a_discriminator(self) -> None:
        union = {
            "anyOf": [
                thing({"name": {}, "kind": {"const": "a"}, "x": {"type": "integer"}}, "kind"),
                thing({"name": {}, "kind": {"const": "b"}, "y": {"type": "integer"}}, "kind"),
                {"type": "null"},
            ]
        }
        self.assertEqual(messages(union, {"kind": "b", "x": "?", "y": "?"}), {"y": ['must be an integer, not "?"']})

    def test_a_mapping_selects(self) -> None:
        union = {
            "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
            "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/components/schemas/Cat"}},
        }
        parts: dict[str, Any] = {
            "Cat": thing({"purrs": {"type": "boolean"}}, "purrs"),
            "Dog": thing({"barks": {"type": "boolean"}}, "barks"),
        }
        self.assertEqual(messages(union, {"kind": "cat"}, **parts), {"purrs": ["is required"]})
        self.assertEqual(messages(union, {"kind": "Dog"}, **parts), {"barks": ["is required"]})

    def test_kinds_of_uri(self) -> None:
        union = {"anyOf": [HTTPS, DATA, {"type": "array"}]}
        self.assertEqual(
            messages(union, "ftp://x"), {"": ['must be an array or begin with https:// or data:image/, not "ftp://x"']}
        )
        self.assertEqual(messages(union, "https://" + "a" * 30), {"": ["must have at most 30 characters, not 38"]})
        self.assertEqual(messages(union, 5), {"": ["must be a string or an array, not 5"]})

    def test_a_number_or_a_word(self) -> None:
        union = {"anyOf": [{"type": "integer", "maximum": 5}, {"const": "auto"}]}
        self.assertEqual(messages(union, "x"), {"": ['must be auto or be an integer, not "x"']})
        self.assertEqual(messages(union, 9), {"": ["must be at most 5, not 9"]})

    def test_the_form_with_the_fewest_issues(self) -> None:
        union = {"anyOf": [thing({"a": {}, "b": {}}, "a", "b"), thing({"c": {}}, "c")]}
        self.assertEqual(messages(union, {}), {"c": ["is required"]})

    def test_two_forms_at_once(self) -> None:
        self.assertEqual(
            messages({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, 7), {"": ["must match one of 2 forms, not 2"]}
        )


class HostileTest(unittest.TestCase):
    """Neither a document nor a body can make it run long or deep."""

    def linked(self, link: Any, count: int) -> dict[str, Any]:
        parts = {f"L{number}": link({"$ref": f"#/components/schemas/L{number + 1}"}) for number in range(count)}
        return {**parts, f"L{count}": {"type": "string"}}

    def test_unions_that_double(self) -> None:
        for keyword in ("oneOf", "anyOf", "allOf"):
            with self.subTest(keyword=keyword):
                parts = self.linked(lambda ref, key=keyword: {key: [ref, ref]}, 40)
                self.assertEqual(
                    messages({"$ref": "#/components/schemas/L0"}, 5, **parts), {"": ["must be a string, not 5"]}
                )

    def test_a_chain_of_references(self) -> None:
        parts = self.linked(lambda ref: ref, 3000)
        self.assertEqual(len(issues({"items": {"$ref": "#/components/schemas/L0"}}, [5] * 10_000, **parts)), 50)

    def test_references_in_a_circle(self) -> None:
        parts: dict[str, Any] = {
            "A": {"$ref": "#/components/schemas/B"},
            "B": {"allOf": [{"$ref": "#/components/schemas/A"}]},
        }
        self.assertEqual(issues({"$ref": "#/components/schemas/A"}, 5, **parts), [])

    def test_what_nests_too_deeply_is_told(self) -> None:
        deep: Any = {}
        for _ in range(2000):
            deep = {"next": deep}
        node = thing({"next": {"$ref": "#/components/schemas/Node"}})
        with self.assertRaisesRegex(ValueError, "nests too deeply"):
            issues({"$ref": "#/components/schemas/Node"}, deep, Node=node)
        with self.assertRaisesRegex(ValueError, "nests too deeply"):
            issues({"$ref": "#/components/schemas/L0"}, 5, **self.linked(lambda ref: {"allOf": [ref]}, 3000))

    def test_patterns_that_explode_are_not_applied(self) -> None:
        for pattern in (
            "(a+)+$",
            "^(a|a)*$",
            "(a?){30}a{30}$",
            "^" + "a?" * 30 + "a" * 30 + "$",
            "^" + "(a|a)" * 40 + "$",
            "a*a*a*a*b$",
            "^(([a-z])+.)+[A-Z]$",
            "(.*)*\\1$",
        ):
            with self.subTest(pattern=pattern):
                self.assertEqual(issues({"pattern": pattern}, "a" * 5000 + "!"), [])

    def test_patterns_that_python_does_not_have_are_not_applied(self) -> None:
        for pattern in ("((((", "[]", "\\p{L}", "a" * 5000, "(" * 900 + ")" * 900, "(?i)a", "*"):
            with self.subTest(pattern=pattern[:9]):
                self.assertEqual(issues({"pattern": pattern}, "!"), [])

    def test_long_texts_with_plain_patterns_are_checked(self) -> None:
        text = "data:image/png;base64," + "A" * 6_000_000
        self.assertEqual(issues({"pattern": "^data:image\\/.*"}, text), [])
        self.assertNotEqual(issues({"pattern": "^https:\\/\\/.*"}, text), [])
        self.assertNotEqual(issues({"pattern": "^[a-z]+$"}, "a" * 100_000 + "!"), [])

    def test_patterns_of_identifiers_and_dates(self) -> None:
        date = "^(?:(?:\\d\\d[2468][048])-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])))$"
        cases = [("^[a-z][a-z0-9_-]{0,63}$", "fox-1", "Fox"), (date, "2026-01-31", "2026-01-32"),
                 ("^(?=.*[0-9])[a-z0-9]+$", "a1", "a"), ("^[[&~|]$", "[", "a"), ("^(?<year>[0-9]{4})$", "2026", "26"),
                 ("^.$", "😀", "\u2028"), ("^a{2,}$", "aaa", "a"), ("^x{$", "x{", "x")]  # fmt: skip
        for pattern, valid, invalid in cases:
            with self.subTest(pattern=pattern):
                self.assertEqual(issues({"pattern": pattern}, valid), [])
                self.assertNotEqual(issues({"pattern": pattern}, invalid), [])


if __name__ == "__main__":
    unittest.main()
