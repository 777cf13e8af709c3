"""The `example` of an error: more than fifty mistakes, and what happens to who runs the example unchanged."""

from __future__ import annotations

import os
from pathlib import Path

from tests.fake import Fault, sample
from tests.program import Result
from tests.served import ServedTest, pasted

IMAGE = ("request", "POST", "/v1/text_to_image", "-f", "model=gen4_image", "-f", "ratio=1280:720")
FOX = (*IMAGE, "-f", "promptText=a red fox")
GONE = "00000000-0000-4000-8000-000000000001"

# name: (the call, the beginning of its example, POSTs that the example may send)
MISTAKES: dict[str, tuple[tuple[str, ...], tuple[str, ...], int]] = {
    "a mistyped command": (("requst", "GET", "/v1/organization"), ("request", "GET", "/v1/organization"), 0),
    "a mistyped list": (("avatrs", "list"), ("avatars", "list"), 0),
    "a mistyped second word": (("avatars", "lst"), ("avatars", "list"), 0),
    "a mistyped option of a POST": ((*FOX, "--wiat"), (*FOX, "--wait"), 1),
    "a mistyped option with a value": (("avatars", "list", "--limt=2"), ("avatars", "list", "--limit=2"), 0),
    "a word of other tools: tasks": (("tasks",), ("history",), 0),
    "a word of other tools: generate": (("generate",), ("models",), 0),
    "a word of other tools: list": (("list",), ("avatars", "list"), 0),
    "a word of other tools: whoami": (("whoami",), ("auth", "status"), 0),
    "avatars get": (("avatars", "get", "AVATAR"), ("request", "GET", "/v1/avatars/AVATAR"), 0),
    "avatars delete": (("avatars", "delete", "AVATAR"), ("request", "DELETE", "/v1/avatars/AVATAR", "--dry-run"), 0),
    "--json as a word": (("--json", "avatars", "list"), ("--output", "json", "avatars", "list"), 0),
    "--markdown as a word": (("avatars", "list", "--markdown"), ("avatars", "list", "--output", "markdown"), 0),
    "the beginning of a command": (("doc", "list"), ("documents", "list"), 0),
    "a field as an option": (
        (*IMAGE, "--prompt", "a red fox", "--dry-run"),
        (*IMAGE, "-f", "promptText=a red fox", "--dry-run"),
        0,
    ),
    "a field as an option, with =": ((*IMAGE, "--prompt=a red fox"), (*IMAGE, "-f", "promptText=a red fox"), 1),
    "a file for --output": ((*FOX, "--output", "NEW"), (*FOX, "--download", "NEW", "--wait"), 1),
    "a field as an option, without a value": ((*IMAGE, "--prompt", "--wait"), ("request", "--help"), 0),
    "a mistyped field with --check": (
        (*IMAGE[:5], "-f", "ratio=1920:1080", "-f", "promptTxt=a red fox", "--check"),
        (*IMAGE[:5], "-f", "ratio=1920:1080", "-f", "promptText=a red fox", "--check", "--dry-run"),
        0,
    ),
    "an image for -F": (
        ("request", "POST", "/v1/image_to_video", "-F", "promptImage=@PICTURE.png", "--dry-run"),
        ("request", "POST", "/v1/image_to_video", "--upload", "promptImage=PICTURE.png", "--dry-run"),
        0,
    ),
    "the text of a file for a GET": (
        ("request", "GET", "/v1/organization", "-F", "x=@y"),
        ("request", "GET", "/v1/organization", "-f", "x=@y"),
        0,
    ),
    "a mistyped model with --check": (
        (*IMAGE[:3], "-f", "model=gen4_imag", "-f", "promptText=a", "-f", "ratio=1920:1080", "--check"),
        (*IMAGE[:3], "-f", "model=gen4_image", "-f", "promptText=a", "-f", "ratio=1920:1080", "--check", "--dry-run"),
        0,
    ),
    "an unknown record": (("request", "GET", f"/v1/documents/{GONE}"), ("documents", "list"), 0),
    "an unknown task": (("request", "GET", f"/v1/tasks/{GONE}"), ("history",), 0),
    "an id that is no UUID": (("wait", "44868203"), ("history",), 0),
    "the reference of a short name": (
        ("reference", "text_to_image", "--model", "gen4_image"),
        ("reference", "POST", "/v1/text_to_image", "--model", "gen4_image"),
        0,
    ),
    "the text of a file for -F": (
        (*IMAGE, "-F", "promptText=@PROMPT"),
        (*IMAGE, "--text-file", "promptText=PROMPT"),
        1,
    ),
    "--download for a GET": (
        ("request", "GET", "/v1/organization", "--download", "NEW"),
        ("request", "GET", "/v1/organization"),
        0,
    ),
    "--max-wait without --wait": ((*FOX, "--max-wait", "90"), (*FOX, "--max-wait", "90", "--wait"), 1),
    "--max-wait as a word for a POST": ((*FOX, "--wait", "--max-wait", "ten"), ("request", "--help"), 0),
    "a bad option of auth status": (("auth", "status", "--limit", "2"), ("auth", "status", "--help"), 0),
    "a batch without rows": (("batch", "/v1/text_to_image"), ("batch", "--help"), 0),
    "a batch with bad --parallel": (("batch", "/v1/text_to_image", "ROWS", "--parallel", "0"), ("batch", "--help"), 0),
    "a batch the wrong way round": (
        ("batch", "ROWS", "/v1/text_to_image", "-f", "model=gen4_image", "-f", "ratio=1280:720", "--dry-run"),
        ("batch", "/v1/text_to_image", "ROWS", "-f", "model=gen4_image", "-f", "ratio=1280:720", "--dry-run"),
        0,
    ),
    "no path": (("request", "GET"), ("request", "--help"), 0),
    "an empty path": (("request", "GET", ""), ("request", "--help"), 0),
    "a bad method": (("request", "FETCH", "/v1/avatars"), ("request", "--help"), 0),
    "no body": (("request", "POST", "/v1/text_to_image"), ("reference", "POST", "/v1/text_to_image"), 0),
    "a missing field": (IMAGE, ("reference", "POST", "/v1/text_to_image", "--model", "gen4_image"), 0),
    "an unknown model": (
        ("request", "POST", "/v1/text_to_image", "-f", "model=gen9", "-f", "promptText=a", "-f", "ratio=1280:720"),
        ("reference", "POST", "/v1/text_to_image"),
        0,
    ),
    "bad JSON for -F": ((*IMAGE, "-F", "promptText=fox"), (*IMAGE, "-f", "promptText=fox"), 1),
    "a text for -F": (
        ("request", "POST", "/v1/documents", "-F", "name=FAQ", "-f", "content=Hi"),
        ("request", "POST", "/v1/documents", "-f", "name=FAQ", "-f", "content=Hi"),
        1,
    ),
    "a number as text": ((*FOX, "-f", "seed=7"), (*FOX, "-F", "seed=7"), 1),
    "a bad --body": (
        ("request", "POST", "/v1/text_to_image", "--body", "{nope"),
        ("reference", "POST", "/v1/text_to_image"),
        0,
    ),
    "a missing file": ((*FOX, "--upload", "referenceImages.0.uri=none.png"), ("reference", "POST"), 0),
    "a body for GET": (
        ("request", "GET", "/v1/organization", "--body", "{}"),
        ("request", "GET", "/v1/organization"),
        0,
    ),
    "two bodies": (
        ("request", "POST", "/v1/documents", "--body", '{"name":"a","content":"b"}', "--stdin"),
        ("request", "POST", "/v1/documents", "--body"),
        1,
    ),
    "--wait for a GET": (
        ("request", "GET", "/v1/organization", "--wait"),
        ("request", "GET", "/v1/organization"),
        0,
    ),
    "--wait for a DELETE": (
        ("request", "DELETE", "/v1/avatars/AVATAR", "--wait"),
        ("request", "DELETE", "/v1/avatars/AVATAR", "--dry-run"),
        0,
    ),
    "--paginate for a DELETE": (
        ("request", "DELETE", "/v1/avatars/AVATAR", "--paginate"),
        ("request", "DELETE", "/v1/avatars/AVATAR", "--dry-run"),
        0,
    ),
    "--download without --wait": ((*FOX, "--download", "NEW"), (*FOX, "--download", "NEW", "--wait"), 1),
    "a POST onto a file": ((*FOX, "--wait", "--download", "TAKEN"), (*FOX, "--wait", "--download", "FREE"), 1),
    "a POST onto a file, with =": ((*FOX, "--wait", "--download=TAKEN"), (*FOX, "--wait", "--download=FREE"), 1),
    "a wait onto a file": (("wait", "TASK", "--download", "TAKEN"), ("wait", "TASK", "--download", "FREE"), 0),
    "several tasks into a file": (
        ("wait", "TASK", "OTHER", "--download", "NEW"),
        ("wait", "TASK", "OTHER", "--download", "NEW/"),
        0,
    ),
    "an unknown id": (("wait", GONE), ("history",), 0),
    "an unknown id to cancel": (("cancel", GONE), ("history",), 0),
    "an id that cannot be one": (("wait", "a/b"), ("history",), 0),
    "a finished task to cancel": (("cancel", "TASK"), ("wait", "TASK", "--download", "outputs/"), 0),
    "a resource to cancel": (
        ("cancel", "/v1/avatars/AVATAR"),
        ("request", "DELETE", "/v1/avatars/AVATAR", "--dry-run"),
        0,
    ),
    "--output where it cannot apply": (("auth", "status", "--output", "table"), ("auth", "status"), 0),
    "--output for one object": (
        ("request", "GET", "/v1/organization", "--output", "table"),
        ("request", "GET", "/v1/organization"),
        0,
    ),
    "a full URL of another host": (("request", "GET", "https://example.com/v1/avatars"), ("reference", "GET"), 0),
    "a mistyped endpoint of the reference": (
        ("reference", "POST", "/v1/text_to_imge"),
        ("reference", "POST", "/v1/text_to_image"),
        0,
    ),
    "a method of the reference alone": (("reference", "POST"), ("reference", "POST", "/v1/text_to_image"), 0),
    "an unknown endpoint": (("request", "POST", "/v1/text_to_imge", "--body", "{}"), ("reference",), 0),
    "--max-wait as a word": (("wait", "TASK", "--max-wait", "soon"), ("wait", "--help"), 0),
}
CONTENT = b"not to be replaced"


class ExamplesTest(ServedTest):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.folder)  # an example may save into a folder of its own
        self.taken = self.file("fox.png", CONTENT)
        avatar = self.fake.add_avatar(name="Mira")
        task, other = self.fake.add_task(), self.fake.add_task()
        self.clock.now += 60
        self.values = {
            "AVATAR": avatar,
            "TASK": task,
            "OTHER": other,
            "TAKEN": str(self.taken),
            "FREE": str(self.folder / "fox-2.png"),
            "NEW": str(self.folder / "new"),
            "PROMPT": str(self.file("prompt.txt", b"a red fox")),
            "PICTURE.png": str(self.file("cat.png", sample("png"))),
            "ROWS": str(self.file("rows.jsonl", b'{"promptText":"a red fox"}\n')),
        }
        for name in (task, other):
            self.call("wait", name)

    def filled(self, words: tuple[str, ...]) -> list[str]:
        """A call with this test's ids and paths."""
        found = list(words)
        for name, value in self.values.items():
            found = [
                word.replace(name, value)
                if name in (*word.split("="), *word.split("/"), *word.split("@"), word.rstrip("/"))
                else word
                for word in found
            ]
        return found

    def charged(self) -> int:
        return len(self.posts())

    def run_example(self, failed: Result) -> tuple[list[str], Result]:
        words = pasted(failed)
        return words, self.call(*words)

    def test_examples_help_and_harm_nothing(self) -> None:
        for name, (call, expected, posts) in MISTAKES.items():
            with self.subTest(name):
                failed = self.call(*self.filled(call))
                self.assertNotEqual(failed.exit, 0, failed)
                charged = self.charged()
                words, helped = self.run_example(failed)
                beginning = self.filled(expected)
                self.assertEqual(words[: len(beginning)], beginning, failed)
                self.assertNotEqual(words, self.filled(call), "the example is the failed call")
                self.assertNotIn("--force", words)
                self.assertEqual(helped.exit, 0, helped)
                self.assertLessEqual(self.charged() - charged, posts, "the example paid")
                self.assertEqual(self.taken.read_bytes(), CONTENT, "the example overwrote a file")
                self.assertEqual(self.fake.sent("DELETE"), [], "the example deleted something")
                for made in (Path(self.values["FREE"]), Path(self.values["NEW"])):
                    if made.is_file():
                        made.unlink()

    def test_a_mistyped_force_is_not_proposed(self) -> None:
        for call in (("cancel", "TASK"), ("wait", "TASK", "--download", "TAKEN"), ("download", "URL")):
            with self.subTest(call):
                words = self.filled(call)
                self.assertEqual(pasted(self.call(*words, "--forse")), words)

    def test_without_a_key_the_example_says_how_to_set_it(self) -> None:
        failed = self.call("auth", "status", env={"RUNWAY_SKILLS_API_SECRET": ""})
        self.assertEqual(pasted(failed), ["auth", "login"])

    def test_with_a_refused_key_a_command_points_to_auth_status(self) -> None:
        failed = self.call("avatars", "list", env={"RUNWAY_SKILLS_API_SECRET": "key_that_nobody_knows"})
        self.assertEqual(pasted(failed), ["auth", "status"])

    def test_a_conflict_while_an_avatar_is_processed_waits_for_it(self) -> None:
        path = f"/v1/avatars/{self.values['AVATAR']}"
        self.fake.fault(Fault("status", status=409, body={"error": "still PROCESSING"}), method="PATCH", path=path)
        failed = self.call("request", "PATCH", path, "-f", "name=Ada")
        self.assertEqual(pasted(failed), ["wait", path])
