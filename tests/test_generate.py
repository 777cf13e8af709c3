"""`generate`: a prompt in plain words, typed by the contract, paid for once, and saved under a name of its own."""

from __future__ import annotations

import json
import os
import re
import sys
import unittest
from pathlib import Path
from unittest import mock

from tests.fake import Fault
from tests.program import Result
from tests.served import ServedTest, pasted

FOX = ("generate", "text_to_image", "A red fox!", "model=gen4_image", "ratio=1280:720")
CLIP = ("generate", "image_to_video", "model=gen4_turbo", "ratio=1280:720")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(600)


class GenerateTest(ServedTest):
    def setUp(self) -> None:
        super().setUp()
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        self.work = self.folder / "work"
        self.work.mkdir()
        os.chdir(self.work)

    def program(self, *words: str, stdin: bytes = b"") -> Result:
        return self.call(*words, stdin=stdin, env={"RUNWAY_SKILLS_HISTORY": str(self.folder / "history.db")})

    def body(self, *words: str, stdin: bytes = b"") -> dict[str, object]:
        """Returns the body that a call would send."""
        found = self.program(*words, "--dry-run", stdin=stdin)
        self.assert_success(found)
        body: dict[str, object] = found.json["body"]
        return body

    def names(self) -> list[str]:
        return sorted(os.listdir(self.work))

    def assert_paid(self, count: int) -> None:
        self.assertEqual(len(self.fake.accepted), count, self.fake.accepted)


class SavingTest(GenerateTest):
    def test_a_prompt_becomes_a_file_named_after_it(self) -> None:
        found = self.program(*FOX)
        self.assert_success(found)
        self.assertEqual(found.json["saved"], ["a-red-fox.png"])
        self.assertEqual(self.names(), ["a-red-fox.png"])
        self.assertEqual(self.fake.accepted[0].body["promptText"], "A red fox!")

    def test_the_same_call_again_pays_and_saves_nothing_more(self) -> None:
        first, again = self.program(*FOX), self.program(*FOX)
        self.assertEqual((again.json["id"], again.json["saved"]), (first.json["id"], ["a-red-fox.png"]))
        self.assertEqual(self.names(), ["a-red-fox.png"])
        self.assert_paid(1)

    def test_a_call_that_ran_out_of_time_is_continued_under_the_name_that_it_chose(self) -> None:
        timeout = self.program(*FOX, "--max-wait", "1")
        self.assert_error(timeout, 75)
        self.assertEqual(pasted(timeout), [*FOX, "--max-wait", "1"])
        other = self.program(*FOX, "seed=5")  # the name is taken, although the file is not there yet
        self.assertEqual(other.json["saved"], ["a-red-fox-2.png"])
        self.assertEqual(self.program(*FOX).json["saved"], ["a-red-fox.png"])
        self.assert_paid(2)

    def test_a_task_that_no_history_has_or_whose_text_was_piped_in_is_waited_for(self) -> None:
        piped = self.program(*FOX[:2], "-", *FOX[3:], "--max-wait", "1", stdin=b"A red fox!")
        for timeout in (self.call(*FOX, "--max-wait", "1", env={"RUNWAY_SKILLS_HISTORY": "off"}), piped):
            self.assert_error(timeout, 75)
            self.assertEqual(pasted(timeout), ["wait", timeout.error["id"], "--max-wait", "1"])

    def test_what_is_unfinished_is_saved_under_the_name_that_was_chosen(self) -> None:
        self.assertEqual(self.program(*FOX, "--no-wait").exit, 0)
        self.assertEqual(self.names(), [])
        self.clock.now += 12
        self.assert_success(self.program("wait", "--unfinished"))
        self.assertEqual(self.names(), ["a-red-fox.png"])
        self.assertEqual(self.program(*FOX).json["saved"], ["a-red-fox.png"])
        self.assert_paid(1)

    def test_a_name_that_is_taken_stays_as_it_is(self) -> None:
        for taken in ("a-red-fox.jpg", "a-red-fox-2-1.png"):
            (self.work / taken).write_bytes(b"mine")
        self.assertEqual(self.program(*FOX).json["saved"], ["a-red-fox-3.png"])
        self.assertEqual(self.program(*FOX, "--again").json["saved"], ["a-red-fox-4.png"])
        self.assert_paid(2)

    def test_a_name_that_the_user_took_meanwhile_stays_and_the_example_saves_elsewhere(self) -> None:
        self.program(*FOX, "--no-wait")
        (self.work / "a-red-fox.png").write_bytes(b"mine")
        self.clock.now += 30
        taken = self.program(*FOX)
        self.assert_error(taken, 74)
        self.assertEqual(pasted(taken)[-2:], ["--download", os.path.join(".", "")])
        self.clock.now += 30
        saved = [f"{taken.error['id']}.png"]
        self.assertEqual([os.path.basename(path) for path in self.program(*pasted(taken)).json["saved"]], saved)
        self.assertEqual(self.program(*FOX).json["saved"], saved)
        self.assertEqual((self.work / "a-red-fox.png").read_bytes(), b"mine")

    def test_a_name_is_kept_for_a_job_that_ended_and_is_not_saved_yet(self) -> None:
        task = self.program(*FOX, "--no-wait").json["id"]
        self.clock.now += 30
        self.assert_success(self.program("wait", task))
        self.assertEqual(self.program(*FOX, "seed=2").json["saved"], ["a-red-fox-2.png"])
        self.clock.now += 30
        self.assertEqual(self.program(*FOX).json["saved"], ["a-red-fox.png"])

    def test_the_file_of_another_job_is_never_taken_for_a_numbered_output(self) -> None:
        task = self.program(*FOX, "--no-wait").json["id"]
        self.fake.tasks[task]["outputs"] *= 2
        self.program(*FOX, "seed=2", "--no-wait")
        self.clock.now += 30
        (self.work / "a-red-fox-2.png").write_bytes(PNG)  # what the other call has saved and not recorded
        for output in self.fake.storage.outputs.values():
            output.content = PNG[:-1] + output.id[-1:].encode()
        waited = self.program("wait", "--unfinished")
        self.assert_error(waited, 74)
        self.assertEqual(self.names(), ["a-red-fox-1.png", "a-red-fox-2.png"])
        self.assertEqual((self.work / "a-red-fox-2.png").read_bytes(), PNG)

    def test_what_request_started_under_a_name_is_saved_once(self) -> None:
        sent = ("-f", "promptText=A red fox!", "-f", "model=gen4_image", "-f", "ratio=1280:720")
        self.program("request", "POST", "/v1/text_to_image", *sent, "--once", "x", "--wait")
        for _ in range(3):
            self.clock.now += 30
            self.assertEqual(self.program(*FOX, "--once", "x").json["saved"], ["a-red-fox.png"])
        self.assertEqual(self.names(), ["a-red-fox.png"])
        self.assert_paid(1)

    def test_a_new_contract_does_not_make_it_another_job(self) -> None:
        contract = self.folder / "contract.json"
        steps = ("steps=5", "hd=true", 'tags=["a", 1]', "promptText=7")
        kinds: tuple[dict[str, object], ...] = (
            {},
            {"steps": {"type": "integer"}, "hd": {"type": "boolean"}, "tags": {"type": "array", "items": {}}},
        )
        for types in kinds:
            schema = {"type": "object", "properties": {"promptText": {"type": "string"}, **types}}
            body = {"content": {"application/json": {"schema": schema}}}
            paths = {"/v1/text_to_image": {"post": {"requestBody": body}}}
            contract.write_text(json.dumps({"openapi": "3.1.0", "paths": paths}), encoding="utf-8")
            env = {"RUNWAY_SKILLS_OPENAPI_URL": str(contract), "RUNWAY_SKILLS_HISTORY": str(self.folder / "history.db")}
            self.fake.fault(Fault("status", status=200, body={"id": "paid"}), path="/v1/text_to_image")
            found = self.call("generate", "text_to_image", *steps, "--no-wait", env=env)
            self.assertEqual((found.exit, found.json["id"]), (0, "paid"), found)
        self.assertEqual(len(self.posts()), 1)

    @unittest.skipUnless(sys.platform == "linux", "elsewhere file names are UTF-8 or UTF-16")
    def test_a_folder_whose_name_is_not_utf_8_is_saved_in(self) -> None:
        odd = os.path.join(os.fsencode(self.work), b"d\xff")
        os.mkdir(odd)
        os.chdir(odd)
        self.program(*FOX, "--no-wait")
        os.chdir(self.work)
        self.clock.now += 30
        self.assert_success(self.program("wait", "--unfinished"))
        self.assertEqual((os.listdir(os.fsencode(self.work)), os.listdir(odd)), ([b"d\xff"], [b"a-red-fox.png"]))
        os.chdir(odd)
        self.assertEqual(self.program(*FOX).json["saved"], ["a-red-fox.png"])
        self.assert_paid(1)

    def test_files_get_names_of_every_script_and_reasonable_length(self) -> None:
        long = "a fox and " * 20
        for text, name in (
            ("Лиса, зимой", "лиса-зимой"),
            ("狐狸", "狐狸"),
            ("../../etc/passwd", "etc-passwd"),
            ("con", "_con"),
            (long, "a-fox-and-a-fox-and-a-fox-and-a-fox-and-a-fox-and"),
        ):
            with self.subTest(text=text):
                saved = self.program("generate", "text_to_image", text, *FOX[3:]).json["saved"]
                self.assertEqual(saved, [f"{name}.png"])

    def test_the_extension_follows_the_output(self) -> None:
        call = ("generate", "text_to_speech", "Hello there", "model=eleven_multilingual_v2")
        saved = self.program(*call, "voice.type=runway-preset", "voice.presetId=Maya").json["saved"]
        self.assertEqual(saved, ["hello-there.wav"])

    def test_to_names_the_file(self) -> None:
        self.assertEqual(self.program(*FOX, "--to", "out/fox.png").json["saved"], ["out/fox.png"])
        taken = self.program(*FOX, "seed=1", "--to", "out/fox.png")
        self.assert_error(taken, 2)
        self.assertEqual(pasted(taken)[-2:], ["--to", "out/fox-2.png"])
        self.assert_paid(1)

    def test_a_post_of_unknown_outcome_is_never_repeated(self) -> None:
        self.fake.fault(Fault("forward_then_reset"), path="/v1/text_to_image")
        lost = self.program(*FOX)
        self.assert_error(lost, 69)
        self.assertTrue(lost.error["maybeAccepted"])
        self.assertNotIn("generate", pasted(lost))
        self.assert_error(self.program(*FOX), 1)
        self.assert_paid(1)


class FieldsTest(GenerateTest):
    def test_values_get_the_types_of_the_contract(self) -> None:
        Path("cat.png").write_bytes(PNG)
        for words, expected in (
            (("duration=5",), {"duration": 5}),
            (("promptImage=https://example.com/a.png",), {"promptImage": "https://example.com/a.png"}),
            (("promptImage=runway://abcdef",), {"promptImage": "runway://abcdef"}),
            (("promptImage=cat.png",), {"promptImage": "runway://… (cat.png)"}),
            (("contentModeration.publicFigureThreshold=low",), {"contentModeration": {"publicFigureThreshold": "low"}}),
            (("seed:=7", 'x:={"a": 1.10}'), {"seed": 7, "x": {"a": 1.1}}),
            (("newField=5",), {"newField": "5"}),
            (("42",), {"promptText": "42"}),
        ):
            with self.subTest(words=words):
                image = () if "promptImage" in words[0] else ("promptImage=https://example.com/b.png",)
                duration = () if "duration" in words[0] else ("duration=5",)
                body = self.body(*CLIP, *duration, *image, *words)
                self.assertEqual({key: body[key] for key in expected}, expected)

    def test_a_file_is_uploaded(self) -> None:
        Path("cat.png").write_bytes(PNG)
        self.assert_success(self.program(*CLIP, "duration=5", "promptImage=cat.png", "slowly"))
        self.assertTrue(self.fake.accepted[0].body["promptImage"].startswith("runway://"))

    def test_the_output_of_an_earlier_task_is_an_input(self) -> None:
        body = self.body(*CLIP, "duration=5", "--output-of", "promptImage=abc")
        self.assertEqual(body["promptImage"], "https://… (output 0 of abc)")

    def test_the_text_comes_from_stdin(self) -> None:
        body = self.body("generate", "text_to_image", "-", *FOX[3:], stdin=b"Ein Fuchs\n")
        self.assertEqual(body["promptText"], "Ein Fuchs")

    def test_what_the_contract_does_not_know_is_sent_as_it_is_with_a_note(self) -> None:
        for words, told in (
            (
                ("text_to_image", "a fox", "ratio=1:1", "model=gen4_imag"),
                "the model 'gen4_imag' (did you mean gen4_image?)",
            ),
            ((*FOX[1:], "seeed=5"), "'seeed' (did you mean seed?)"),
            ((*FOX[1:], "contentModeration.x=5"), "'contentModeration.x'"),
            (("thought_to_film", "thought=a fox"), "POST /v1/thought_to_film"),
        ):
            with self.subTest(words=words):
                found = self.program("generate", *words, "--dry-run")
                self.assertIn(words[-1].partition("=")[2], str(found.json["body"]))
                self.assertRegex(
                    found.stderr, f"contract of .* does not know {re.escape(told)}; it is sent as it is\n$"
                )

    def test_what_is_wrong_is_refused_with_the_valid_values(self) -> None:
        for words, field, told, example in (
            (("a fox", "ratio=1280:720"), "model", "gen4_image", ["models", "text_to_image"]),
            (("a fox", "model=", "ratio=1280:720"), "model", "gen4_image", ["models", "text_to_image"]),
            (("a fox", "model=gen4_image"), "ratio", "1280:720", ["reference", "POST", "/v1/text_to_image"]),
            (("a fox", "model=gen4_image", "ratio=1280:721"), "ratio", "1920:1080", ["reference", "POST"]),
            (("model=gen4_image", "ratio=1280:720"), "promptText", "required", ["reference", "POST"]),
        ):
            with self.subTest(words=words):
                found = self.program("generate", "text_to_image", *words)
                self.assert_error(found, 2)
                issue = next(issue for issue in found.error["issues"] if issue["field"] == field)
                self.assertIn(told, issue["messages"][0])
                self.assertEqual(pasted(found)[: len(example)], example)
        self.assert_paid(0)

    def test_all_that_is_missing_is_told_at_once(self) -> None:
        for words, told in ((), "requires model, promptText"), (("model=gen4_image",), "requires promptText, ratio"):
            found = self.program("generate", "text_to_image", *words)
            self.assertEqual(found.error["error"], f"/v1/text_to_image {told}")

    def test_words_that_make_no_call_are_refused(self) -> None:
        for words, told, example in (
            (("text_to_image", "a", "red", "fox", *FOX[3:]), "'a red fox'", ["generate", "text_to_image", "a red fox"]),
            (("text_to_imge", "a fox"), "did you mean text_to_image?", ["generate", "text_to_image", "a fox"]),
            (("gen4_turbo", "a fox"), "a model of image_to_video", ["generate", "image_to_video", "a fox"]),
            (("image_upscale", f"imageUri={__file__}"), "imageUri: ", ["generate", "--help"]),
            (
                ("image_upscale", f"imageUri:={json.dumps(__file__)}"),
                "use imageUri=FILE",
                ["generate", "image_upscale", f"imageUri={__file__}"],
            ),
            (("tasks/123", "a fox"), "no POST /v1/tasks/123", ["reference"]),
            (("voice_isolation", "a fox"), "no field for TEXT", ["reference", "POST", "/v1/voice_isolation"]),
            (("image_upscale", "imageUri=cot.png"), "no file 'cot.png'", ["generate", "--help"]),
            (("documents", "name=x"), "`request`", ["reference", "POST", "/v1/documents"]),
            (("text_to_image", "a fox", "--no-wait", "--max-wait", "5"), "--no-wait", ["generate", "text_to_image"]),
        ):
            with self.subTest(words=words):
                found = self.program("generate", *words)
                self.assert_error(found, 2)
                self.assertIn(told, found.error["error"])
                self.assertEqual(pasted(found)[: len(example)], example)
        self.assertEqual(self.fake.requests, [])

    def test_what_is_clearly_meant_otherwise_is_refused_with_the_call_that_was_meant(self) -> None:
        Path("cat.png").write_bytes(PNG)
        image, clip = ("text_to_image", *FOX[3:]), (*CLIP[1:], "duration=5", "promptImage=cat.png")
        dry = "--dry-run"  # where the words may have been meant otherwise
        for words, example in (
            ((*clip, "the", "cat", "and", "the", "dog"), (clip[0], "the cat and the dog", *clip[1:], dry)),
            (
                (*image, "a", "--to", "fox", "red", "seed=5", "fox"),
                ("text_to_image", "a red fox", *FOX[3:], "--to", "fox", "seed=5", dry),
            ),
            ((*image, "text_to_image", "fox"), ("text_to_image", "text_to_image fox", *FOX[3:], dry)),
            ((*clip, "E=mc2 on a blackboard"), (*clip, "promptText=E=mc2 on a blackboard")),
            ((*image, "a fox", "referenceImages.0=cat.png"), (*image, "a fox", "referenceImages.0.uri=cat.png")),
            ((*image, "a fox", "referenceImages=cat.png"), (*image, "a fox", "referenceImages.0.uri=cat.png")),
        ):
            with self.subTest(words=words):
                found = self.program("generate", *words)
                self.assert_error(found, 2)
                self.assertEqual(pasted(found), ["generate", *example])
                self.assert_success(self.program(*pasted(found), dry))
        found = self.program("generate", *image, "a fox", 'referenceImages:=[{"uri":"cat.png"}]')
        self.assertIn("use referenceImages.0.uri=FILE", found.error["error"])
        self.assertEqual(self.fake.requests, [])
        self.assert_success(self.program("generate", *clip, "x=any words", "promptText=a fox", "--dry-run"))
        shown = self.program("generate", *clip[:-1], "a fox", "promptImage=@cat.png", "--dry-run").json
        self.assertEqual(shown["body"]["promptImage"], "runway://… (cat.png)", "as curl names files")

    def test_it_never_waits_for_the_network_for_the_contract(self) -> None:
        with mock.patch("runway_cli.contract.source._fetched", side_effect=AssertionError):
            self.assert_success(self.program(*FOX))
