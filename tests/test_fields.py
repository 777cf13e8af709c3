"""`-f`, `-F`: bodies and queries without quoting JSON in a shell, and no field that undoes another."""

from __future__ import annotations

import json
import unittest
from typing import Any

from runway_cli.errors import UsageError
from runway_cli.jobs.fields import NOTHING, Field, merge, query, reader
from runway_cli.settings import Miswritten
from tests.fake import Fault, sample
from tests.program import Result, shell_words
from tests.served import ServedTest, without_program


def text(*pairs: str) -> list[Field]:
    return [reader("text")(pair) for pair in pairs]


def over(body: Any, *fields: Field) -> Any:
    return merge(body, [(field, field.value) for field in fields])


class ReaderTest(unittest.TestCase):
    def test_the_value_is_everything_after_the_first_equals_sign(self) -> None:
        for pair, key, value in (
            ("a=b", ["a"], "b"),
            ("a=b=c", ["a"], "b=c"),
            ("a.b.0=x.y", ["a", "b", "0"], "x.y"),
            ("ä=ö", ["ä"], "ö"),
            ("a=line\nline", ["a"], "line\nline"),
        ):
            with self.subTest(pair):
                field = reader("text")(pair)
                self.assertEqual((field.kind, field.key, field.value), ("text", key, value))

    def test_a_malformed_field_is_answered_with_its_form(self) -> None:
        for kind, pair, words in (
            ("text", "a", "must be KEY=TEXT, not 'a'"),
            ("text", "=a", "must be KEY=TEXT, not '=a'"),
            ("text", "a..b=c", "must be KEY=TEXT, not 'a..b=c'"),
            ("json", "a", "must be KEY=JSON, not 'a'"),
            ("upload", "cat.png", "must be KEY=FILE, not 'cat.png'"),
        ):
            with self.subTest(pair), self.assertRaises(ValueError) as caught:
                reader(kind)(pair)
            self.assertEqual(str(caught.exception), words)

    def test_bad_json_is_answered_with_what_was_meant(self) -> None:
        for value, instead in (
            ("gen4", "-f a.b=gen4"),
            ("", "-f a.b="),
            ("NaN", "-f a.b=NaN"),
            ("16:9", "-f a.b=16:9"),
            ("007", "-f a.b=007"),
            ("Trueish", "-f a.b=Trueish"),
            ("True", "-F a.b=true"),
            ("FALSE", "-F a.b=false"),
            ("None", "-F a.b=null"),
            (".5", "-F a.b=0.5"),
            ("-.5", "-F a.b=-0.5"),
            ("5.", "-F a.b=5"),
            ("+5", "-F a.b=5"),
            ("5,", "-F a.b=5"),
            ("'fox'", "-f a.b=fox"),
            ("'5'", "-F a.b=5"),
            ("[1,2],", "-F a.b=[1,2]"),
            ('{\\"a\\":1}', '-F a.b={"a":1}'),
            ("@fox wears a hat", "-f a.b=@fox wears a hat"),
        ):
            with self.subTest(value), self.assertRaises(Miswritten) as caught:
                reader("json")(f"a.b={value}")
            self.assertEqual(" ".join(caught.exception.instead), instead)
            self.assertTrue(str(caught.exception).startswith(f"a.b: {value!r} is not JSON ("), caught.exception)
        for value, words in (
            ("gen4", "for plain text use -f"),
            ("{c:[a]}", "--body @FILE"),
            ("[fox,owl]", "PowerShell"),
        ):
            with self.subTest(value), self.assertRaisesRegex(ValueError, words):
                reader("json")(f"a.b={value}")

    def test_a_key_with_brackets_is_answered_with_the_form_with_dots(self) -> None:
        for key, right in (
            ("referenceImages[0][uri]", "referenceImages.0.uri"),
            ("referenceImages[0].uri", "referenceImages.0.uri"),
            ("referenceImages[][uri]", "referenceImages.0.uri"),
            ("a['b']", "a.b"),
            ("[1].a", "1.a"),
            ("a[0", "a.0"),
        ):
            for kind, flag in (("text", "-f"), ("json", "-F"), ("upload", "--upload"), ("output-of", "--output-of")):
                with (
                    self.subTest(key, kind=kind),
                    self.assertRaisesRegex(Miswritten, f"has brackets: write {right}$") as caught,
                ):
                    reader(kind)(f"{key}=5")
                self.assertEqual(caught.exception.instead, (flag, f"{right}=5"))

    def test_what_is_no_text_is_refused_and_what_the_locale_did_not_decode_is_read(self) -> None:
        for kind, text in (
            ("text", "a=caf\udce9"),
            ("text", "\udce9=a"),
            ("text", "a=\ud83d"),
            ("json", 'a="\udce9"'),
            ("json", r'a="\ud83d"'),
            ("json", r'a={"b":["\udd8a x"]}'),
            ("upload", "a=https://example.com/\udce9"),
            ("output-of", "a=\udce9"),
        ):
            with self.subTest(text), self.assertRaisesRegex(ValueError, "is not UTF-8|half of a surrogate pair"):
                reader(kind)(text)
        self.assertEqual(reader("text")("a=\udcc3\udca9").value, "é")
        self.assertEqual(reader("json")(r'a="\ud83e\udd8a"').value, "\U0001f98a")
        self.assertEqual(reader("upload")("a=\udce9.png").value, "\udce9.png")


class MergeTest(unittest.TestCase):
    def test_fields_make_objects_and_lists_and_leave_the_rest_of_the_body(self) -> None:
        for body, pairs, expected in (
            (NOTHING, ["voice.type=custom", "voice.id=x"], {"voice": {"type": "custom", "id": "x"}}),
            (NOTHING, ["a.0.uri=x", "a.0.tag=y", "a.1.uri=z"], {"a": [{"uri": "x", "tag": "y"}, {"uri": "z"}]}),
            (NOTHING, ["0=x", "1.a=y"], ["x", {"a": "y"}]),
            (NOTHING, ["a.0.0=x", "a.0.1=y"], {"a": [["x", "y"]]}),
            ({"a": 1, "b": 2}, ["a=x"], {"a": "x", "b": 2}),
            ({"a": {"b": 1}}, ["a=x"], {"a": "x"}),
            ({"a": {"b": 1}}, ["a.c=x"], {"a": {"b": 1, "c": "x"}}),
            ({"a": [1, 2]}, ["a.0=x", "a.2=y"], {"a": ["x", 2, "y"]}),
            ({"a": {"0": 1}}, ["a.0=x", "a.7=y"], {"a": {"0": "x", "7": "y"}}),
            ([1], ["1=x"], [1, "x"]),
            (NOTHING, ["a.00=x"], {"a": {"00": "x"}}),
        ):
            with self.subTest(pairs, body=body):
                self.assertEqual(over(body, *text(*pairs)), expected)

    def test_new_keys_come_in_the_order_they_were_given(self) -> None:
        self.assertEqual(list(over({"z": 1}, *text("y=1", "b=2", "a=3"))), ["z", "y", "b", "a"])

    def test_a_field_that_would_undo_another_is_refused(self) -> None:
        for pairs in (["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=2", "a=1"], ["a.0=1", "a.0=2"], ["a.0.b=1", "a=2"]):
            with self.subTest(pairs), self.assertRaisesRegex(UsageError, "is given twice, or as a part of another"):
                over(NOTHING, *text(*pairs))

    def test_a_key_through_a_wrong_value_is_refused_with_the_way_to_it(self) -> None:
        for body, pairs, words in (
            (NOTHING, ["a.1=x"], "a.1: a has 0 items, so the next index is 0"),
            (NOTHING, ["a.0=x", "a.2=y"], "a.2: a has 1 items, so the next index is 1"),
            ({"a": [1]}, ["a.99999999999999999999=x"], "a.99999999999999999999: a has 1 items, so the next index is 1"),
            ({"a": [1]}, ["a.b=x"], "a.b: a is a list, so 'b' should be a number"),
            ({"a": [1]}, ["a.00=x"], "a.00: a is a list, so '00' should be a number"),
            ({"a": [1]}, ["a.\u0661=x"], "a.\u0661: a is a list, so '\u0661' should be a number"),
            ({"a": "text"}, ["a.b=x"], "a.b: a is neither an object nor a list"),
            ({"a": None}, ["a.b=x"], "a.b: a is neither an object nor a list"),
            ("text", ["a=x"], "a: the body is neither an object nor a list"),
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
        words = "^a: a query holds text, numbers"
        for kind, pair, words in (
            *(("json", f"a={value}", words) for value in ("null", '{"b":1}', "[[1]]", "[null]")),
            *((kind, "a=cat.png", f"^--{kind} needs a body: use it with POST") for kind in ("upload", "data-uri")),
        ):
            with self.subTest(pair), self.assertRaisesRegex(UsageError, words):
                query([reader(kind)(pair)])


class InputsTest(ServedTest):
    """What is uploaded, read or refused on the way into the body of a request."""

    def setUp(self) -> None:
        super().setUp()
        self.cat = self.file("cat.png", sample("image"))
        self.env = {"RUNWAY_SKILLS_HISTORY": str(self.folder / "history.db")}

    def post(self, *words: str, path: str = "/v1/image_to_video") -> Result:
        shared = ("-f", "model=gen4_turbo", "-f", "ratio=1280:720", "-f", "promptText=it runs")
        return self.call("request", "POST", path, *shared, *words, env=self.env)

    def images(self) -> list[str]:
        return [seen.json()["promptImage"] for seen in self.fake.sent("POST", "/v1/image_to_video")]

    def test_an_upload_that_is_an_address_stays_as_it_is(self) -> None:
        for address in ("https://example.com/a.png", "runway://1234", "data:image/png;base64,AAAA"):
            with self.subTest(address):
                result = self.post("--upload", f"promptImage={address}", "--dry-run")
                self.assert_success(result)
                self.assertEqual(result.json["body"]["promptImage"], address)
        self.assertEqual(self.fake.requests, [])

    def test_a_file_of_two_fields_is_uploaded_once(self) -> None:
        self.post("--upload", f"promptImage.0.uri={self.cat}", "--upload", f"promptImage.1.uri={self.cat}")
        self.assertEqual(len(self.fake.uploads), 1)

    def test_an_output_of_an_earlier_task_is_read_just_before_it_is_sent(self) -> None:
        task = self.fake.add_task(outputs=3, statuses=["SUCCEEDED"])
        for number, index in (("", 0), (".0", 0), (".2", 2)):
            with self.subTest(number):
                shown = self.post("--output-of", f"promptImage={task}{number}", "--dry-run")
                self.assertEqual(shown.json["body"]["promptImage"], f"https://… (output {index} of {task})")
                self.assertEqual(self.polls(), [])
                self.fake.fault(Fault("status", 200, body={"id": "x"}), path="/v1/image_to_video")
                self.assert_success(self.post("--output-of", f"promptImage={task}{number}"))
                output = self.call("wait", task, env=self.env).json["output"][index]
                self.assertEqual(self.images()[-1].partition("?")[0], output.partition("?")[0])
                self.fake.requests.clear()
                self.clock.now += 60

    def test_an_output_that_is_not_there_is_refused_before_the_post(self) -> None:
        running, failed = self.fake.add_task(), self.fake.add_task(statuses=["FAILED"])
        done = self.fake.add_task(statuses=["SUCCEEDED"])
        for name, status, words, example in (
            (running, 2, "PENDING", ["wait", running]),
            (failed, 2, "FAILED", ["wait", failed]),
            (f"{done}.1", 2, "there is no number 1", ["wait", done]),
            ("unknown", 1, "", ["history"]),
            (f'"{done}"', 2, "quotes", []),
            ("a/b", 2, "not an id", ["history"]),
            ("", 2, "not an id", []),
        ):
            with self.subTest(name):
                result = self.post("--output-of", f"promptImage={name}")
                self.assertEqual(result.exit, status, result)
                self.assertIn(words, result.error["error"])
                self.assertEqual(without_program(result.error["example"])[: len(example)], example)
        self.assertEqual(self.posts(), [])

    def test_a_job_is_known_by_the_task_and_the_number_of_an_output(self) -> None:
        task = self.fake.add_task(outputs=2, statuses=["SUCCEEDED"])
        for number, exit_status in (("", 0), (".0", 0), (".1", 2)):
            with self.subTest(number):
                self.fake.fault(Fault("status", 200, body={"id": "x"}), path="/v1/image_to_video")
                result = self.post("--output-of", f"promptImage={task}{number}", "--once", "clip")
                self.assertEqual(result.exit, exit_status, result)
                self.clock.now += 60
        self.assertEqual(len(self.posts()), 1)

    def test_a_file_where_the_api_takes_a_url_is_refused_with_upload(self) -> None:
        upload, text = ["--upload", f"promptImage={self.cat}"], json.dumps(str(self.cat))
        for words, example in (
            (["-f", upload[1]], upload),
            (["-F", f"promptImage={text}"], upload),
            (["--body", f'{{"promptImage":{text}}}'], upload),
            (["-f", f"referenceImages.0.uri={self.cat}"], ["--upload", f"referenceImages.0.uri={self.cat}"]),
            (["-F", f'promptImage=[{{"uri":{text}}}]'], ["reference"]),
        ):
            with self.subTest(words):
                result = self.post(*words)
                self.assert_error(result, 2, kind="usage")
                self.assertIn("is a file, and the field takes a URL", result.error["error"])
                self.assertIn(" ".join(example), " ".join(shell_words(result.error["example"])))
        self.assertEqual(self.fake.requests, [])

    def test_generate_takes_fields_alike(self) -> None:
        keys = ("generate", "text_to_image", "a fox")
        result = self.call(*keys, "a=1", "referenceImages[0][uri]=https://example.com/a.png", "--dry-run")
        self.assert_error(result, 2, kind="usage")
        right = [*keys, "a=1", "referenceImages.0.uri=https://example.com/a.png", "--dry-run"]
        self.assertEqual(without_program(result.error["example"]), right)
        shown = self.call("generate", "a_new_one", f"newImage={self.cat}", f"name={self.cat}", "--dry-run").json["body"]
        self.assertEqual(shown, {"newImage": "runway://… (cat.png)", "name": str(self.cat)})

    def test_names_of_files_may_stand_in_other_fields(self) -> None:
        result = self.post("-f", f"name={self.cat}", "-f", f"promptImage={self.folder}/none.png", "--dry-run")
        self.assertEqual(result.json["body"]["name"], str(self.cat))
