"""`-f`, `-F`: bodies and queries without quoting JSON in a shell, and no field that undoes another."""

from __future__ import annotations

import unittest
from typing import Any

from runway_cli.errors import UsageError
from runway_cli.jobs.fields import NOTHING, Field, merge, query, reader


def text(*pairs: str) -> list[Field]:
    return [reader("text")(pair) for pair in pairs]


def over(body: Any, *fields: Field) -> Any:
    return merge(body, [(field, field.value) for field in fields])


class ReaderTest(unittest.TestCase):
    def test_the_value_is_everything_after_the_first_equals_sign(self) -> None:
        for pair, key, value in (
            ("a=b", ["a"], "b"),
            ("a=", ["a"], ""),
            ("a=b=c", ["a"], "b=c"),
            ("a.b.0=x.y", ["a", "b", "0"], "x.y"),
            ("ä=ö", ["ä"], "ö"),
            ("a=line\nline", ["a"], "line\nline"),
            ("a=[1]", ["a"], "[1]"),
        ):
            with self.subTest(pair):
                field = reader("text")(pair)
                self.assertEqual((field.kind, field.key, field.value), ("text", key, value))

    def test_json_keeps_its_types(self) -> None:
        values: dict[str, Any] = {"5": 5, "true": True, "null": None, '"5"': "5", '[{"b":1}]': [{"b": 1}], "{}": {}}
        for text, value in values.items():
            with self.subTest(text):
                self.assertEqual(reader("json")(f"a={text}").value, value)

    def test_a_malformed_field_is_answered_with_its_form(self) -> None:
        for kind, pair, words in (
            ("text", "a", "must be KEY=TEXT, not 'a'"),
            ("text", "=a", "must be KEY=TEXT, not '=a'"),
            ("text", "a..b=c", "must be KEY=TEXT, not 'a..b=c'"),
            ("text", ".a=c", "must be KEY=TEXT, not '.a=c'"),
            ("text", "a.=c", "must be KEY=TEXT, not 'a.=c'"),
            ("json", "a", "must be KEY=JSON, not 'a'"),
            ("upload", "cat.png", "must be KEY=FILE, not 'cat.png'"),
            ("data-uri", "cat.png", "must be KEY=FILE, not 'cat.png'"),
            ("text-file", "cat.txt", "must be KEY=FILE, not 'cat.txt'"),
            ("upload", "a=", "a: the file name is empty: is a variable unset?"),
            ("data-uri", "a=-", "a: '-' is not a file name: files are not read from stdin here"),
        ):
            with self.subTest(pair), self.assertRaises(ValueError) as caught:
                reader(kind)(pair)
            self.assertEqual(str(caught.exception), words)

    def test_bad_json_is_answered_with_the_option_for_text(self) -> None:
        for value in ("gen4", "", "{", "NaN", "-Infinity", "'a'", "1 2"):
            with self.subTest(value), self.assertRaises(ValueError) as caught:
                reader("json")(f"a.b={value}")
            message = str(caught.exception)
            self.assertTrue(message.startswith(f"a.b: {value!r} is not JSON ("), message)
            self.assertTrue(message.endswith("); for plain text use -f"), message)


class MergeTest(unittest.TestCase):
    def test_fields_make_objects_and_lists_and_leave_the_rest_of_the_body(self) -> None:
        for body, pairs, expected in (
            (NOTHING, ["a=1"], {"a": "1"}),
            (NOTHING, ["voice.type=custom", "voice.id=x"], {"voice": {"type": "custom", "id": "x"}}),
            (NOTHING, ["a.0.uri=x", "a.0.tag=y", "a.1.uri=z"], {"a": [{"uri": "x", "tag": "y"}, {"uri": "z"}]}),
            (NOTHING, ["0=x", "1.a=y"], ["x", {"a": "y"}]),
            (NOTHING, ["a.0.0=x", "a.0.1=y"], {"a": [["x", "y"]]}),
            ({"a": 1, "b": 2}, ["a=x"], {"a": "x", "b": 2}),
            ({"a": {"b": 1}}, ["a=x"], {"a": "x"}),
            ({"a": {"b": 1}}, ["a.c=x"], {"a": {"b": 1, "c": "x"}}),
            ({"a": [1, 2]}, ["a.0=x", "a.2=y"], {"a": ["x", 2, "y"]}),
            ({"a": {"0": 1}}, ["a.0=x", "a.7=y"], {"a": {"0": "x", "7": "y"}}),
            ({"a": None}, ["a=x"], {"a": "x"}),
            ([1], ["1=x"], [1, "x"]),
            (NOTHING, ["a.00=x"], {"a": {"00": "x"}}),
        ):
            with self.subTest(pairs, body=body):
                self.assertEqual(over(body, *text(*pairs)), expected)

    def test_new_keys_come_in_the_order_they_were_given(self) -> None:
        self.assertEqual(list(over({"z": 1}, *text("y=1", "b=2", "a=3"))), ["z", "y", "b", "a"])

    def test_a_field_that_would_undo_another_is_refused(self) -> None:
        for pairs in (["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=2", "a=1"], ["a.0=1", "a.0=2"], ["a.0.b=1", "a=2"]):
            with (
                self.subTest(pairs),
                self.assertRaisesRegex(UsageError, "is given twice, or as a part of another field$"),
            ):
                over(NOTHING, *text(*pairs))

    def test_a_key_through_a_wrong_value_is_refused_with_the_way_to_it(self) -> None:
        for body, pairs, words in (
            (NOTHING, ["a.1=x"], "a.1: a has 0 items, so the next index is 0"),
            (NOTHING, ["a.0=x", "a.2=y"], "a.2: a has 1 items, so the next index is 1"),
            (NOTHING, ["5=x"], "5: the body has 0 items, so the next index is 0"),
            ({"a": [1]}, ["a.999999999=x"], "a.999999999: a has 1 items, so the next index is 1"),
            ({"a": [1]}, ["a.99999999999999999999=x"], "a.99999999999999999999: a has 1 items, so the next index is 1"),
            ({"a": [1]}, ["a.-1=x"], "a.-1: a is a list, so '-1' should be a number"),
            ({"a": [1]}, ["a.b=x"], "a.b: a is a list, so 'b' should be a number"),
            ({"a": [1]}, ["a.00=x"], "a.00: a is a list, so '00' should be a number"),
            ({"a": [1]}, ["a.\u0661=x"], "a.\u0661: a is a list, so '\u0661' should be a number"),
            ({"a": "text"}, ["a.b=x"], "a.b: a is neither an object nor a list"),
            ({"a": {"b": 5}}, ["a.b.c=x"], "a.b.c: a.b is neither an object nor a list"),
            ({"a": None}, ["a.b=x"], "a.b: a is neither an object nor a list"),
            ([None], ["0.b=x"], "0.b: 0 is neither an object nor a list"),
            ("text", ["a=x"], "a: the body is neither an object nor a list"),
            (None, ["a=x"], "a: the body is neither an object nor a list"),
        ):
            with self.subTest(pairs, body=body), self.assertRaises(UsageError) as caught:
                over(body, *text(*pairs))
            self.assertEqual(caught.exception.message, words)


class QueryTest(unittest.TestCase):
    def test_texts_numbers_booleans_and_lists_become_parameters(self) -> None:
        fields = [*text("a=1", "b.c=x y"), *map(reader("json"), ("d=5", "e=true", 'f=[1,"two",false]', "g=1.10"))]
        found = [f"{key}={value}" for key, value in query(fields)]
        self.assertEqual(found, ["a=1", "b.c=x y", "d=5", "e=true", "f=1", "f=two", "f=false", "g=1.10"])

    def test_what_a_query_cannot_hold_is_refused(self) -> None:
        for kind, pair in (("json", "a=null"), ("json", 'a={"b":1}'), ("json", "a=[[1]]"), ("json", "a=[null]")):
            with self.subTest(pair), self.assertRaisesRegex(UsageError, "^a: a query holds text, numbers"):
                query([reader(kind)(pair)])

    def test_a_file_needs_a_body(self) -> None:
        for kind in ("upload", "data-uri", "text-file"):
            with self.subTest(kind), self.assertRaisesRegex(UsageError, f"^--{kind} needs a body: use it with POST"):
                query([reader(kind)("a=cat.png")])
