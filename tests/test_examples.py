"""The `example` of an error: more than sixty mistakes, and what happens to who runs the example unchanged."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

from runway_cli.cli.parser import declared_commands
from runway_cli.commands.options import GLOBAL_OPTIONS
from tests.fake import SECRET, Fault, sample
from tests.served import ServedTest, pasted

# A mistake → the beginning of its example. A word in capitals stands for one of WORDS, or for a value of the test.
HARMLESS = """
# mistyped words
requst GET ORG → request GET ORG
document list → documents list
generate text_to_imge 'a fox' GEN → generate text_to_image 'a fox' GEN --dry-run
generate text_to_image 'a fox' seed 5 GEN → generate text_to_image 'a fox seed 5' GEN --dry-run
generate text_to_image GEN -- a fox → generate text_to_image 'a fox' model=gen4_image --dry-run
generate gen4_image 'a fox' ratio=1920:1080 → generate text_to_image 'a fox' ratio=1920:1080 model=gen4_image --dry-run
batch text_to_image ROWS RATIO --dry-run → batch /v1/text_to_image ROWS RATIO --dry-run
# the opposite of a known word
skill uninstall → skill --help
auth unset → auth --help
uncancel TASK → --help
wait TASK --no-open → wait --help
reference POST /v1/text_to_imge → reference POST /v1/text_to_image
IMAGE -f 'promptTxt=a red fox' --check → reference POST /v1/text_to_image --model gen4_image
# words of other tools
tasks → history
tasks get TASK → request GET /v1/tasks/TASK
tasks wait TASK → wait TASK
status TASK → request GET /v1/tasks/TASK
get TASK → request GET /v1/tasks/TASK
get ORG → request get ORG
create → generate --help
run text_to_image 'a fox' model=gen4_image ratio=1920:1080 → generate --help
list → avatars list
whoami → auth status
avatars get AVATAR → request GET /v1/avatars/AVATAR
avatars delete AVATAR → request DELETE /v1/avatars/AVATAR --dry-run
avatar show AVATAR → request GET /v1/avatars/AVATAR
documents create → reference POST /v1/documents
list voices → voices list
delete /v1/avatars/AVATAR → request delete /v1/avatars/AVATAR --dry-run
request GET ORG --jq .creditBalance → request GET ORG --select creditBalance
request GET /v1/avatars?limit=2 --jq '.data[] | .id' → request GET /v1/avatars?limit=2 --select data.*.id
avatars list --jq '.data[].id' → avatars list --select id
request GET ORG --jq '.data | length' → reference GET ORG
avatars list --json id,name → avatars list --select id,name
avatars list -n 5 -y → avatars list --limit 5
avatars list -ojsonl → avatars list --output jsonl
request -X GET ORG -H 'Accept: x' → request GET ORG
request GET ORG -XGET --raw → request GET ORG
FOX --json '{"a":1}' --dry-run → FOX --body '{"a":1}' --dry-run
wait TASK -o NEW → wait TASK --download NEW
wait TASK --out-dir NEW → wait TASK --download NEW/
upload --file PICTURE → upload PICTURE
--json avatars list → --output json avatars list
avatars list --markdown → avatars list --output markdown
IMAGE --prompt 'a red fox' --dry-run → FOX --dry-run
VIDEO -i model=gen4_turbo -i ratio=1280:720 --dry-run → VIDEO -f model=gen4_turbo -f ratio=1280:720 --dry-run
IMAGE --prompt --wait → reference POST /v1/text_to_image
IMAGE 'promptText=a red fox' --dry-run → FOX --dry-run
GENERATE --prompt a --model gen4_image -f ratio=1920:1080 --dry-run → GENERATE promptText=a model=gen4_image
request POST /v1/image_to_video -F promptImage=@PICTURE --dry-run → VIDEO --upload promptImage=PICTURE --dry-run
VIDEO -f promptImage=@PICTURE --dry-run → VIDEO --upload promptImage=PICTURE --dry-run
VIDEO -f promptImage=file://PICTURE --dry-run → VIDEO --upload promptImage=PICTURE --dry-run
VIDEO --output-of 'promptImage="x".1' --dry-run → VIDEO --output-of promptImage=x.1 --dry-run
request GET ORG -F x=@y → request GET ORG -f x=@y
# options that contradict the call, or cannot be read
request GET ORG --download NEW → request GET ORG
request GET ORG --body {} → request GET ORG
request GET ORG --wait → request GET ORG
request GET ORG --output table → request GET ORG
request DELETE /v1/avatars/AVATAR --wait → request DELETE /v1/avatars/AVATAR --dry-run
request DELETE /v1/avatars/AVATAR --paginate → request DELETE /v1/avatars/AVATAR --dry-run
auth status --output table → auth status
auth status --limit 2 → auth status --help
wait TASK --max-wait soon → wait --help
FOX --wait --max-wait ten → request --help
# words that are missing, too many or in the wrong place
request GET → request --help
request GET '' → request --help
request ORG → request GET ORG
request /v1/text_to_image -f model=gen4_image → request POST /v1/text_to_image -f model=gen4_image --dry-run
request POST /v1/avatars?limit=2 --paginate → request GET /v1/avatars?limit=2
request FETCH /v1/avatars → request --help
reference POST → reference POST /v1/text_to_image
reference text_to_image --model gen4_image → reference POST /v1/text_to_image --model gen4_image
batch /v1/text_to_image → batch --help
batch /v1/text_to_image ROWS --parallel 0 → batch --help
# bodies
request POST /v1/text_to_image → reference POST /v1/text_to_image
request POST /v1/text_to_image --body {nope → reference POST /v1/text_to_image
request POST /v1/text_to_image -f model=gen9 -f promptText=a → reference POST /v1/text_to_image
IMAGE → reference POST /v1/text_to_image --model gen4_image
FOX --upload referenceImages.0.uri=none.png → reference POST /v1/text_to_image
# paths that Git Bash has changed
request GET 'C:/Program Files/Git/v1/organization' → request GET v1/organization
request GET 'D:\\msys64\\v1\\avatars?limit=1' → request GET v1/avatars?limit=1
request GET C:/msys64/organization → request --help
wait C:/Git/v1/avatars/AVATAR → wait v1/avatars/AVATAR
reference POST C:/Git/v1/text_to_image → reference POST v1/text_to_image
models C:/Git/v1/text_to_image → models v1/text_to_image
batch C:/Git/v1/text_to_image ROWS RATIO --dry-run → batch v1/text_to_image ROWS RATIO --dry-run
# endpoints, records and tasks
request GET https://example.com/v1/avatars → reference GET /v1/avatars
request GET https://example.com/v1/x → reference
request GET /../x → reference
request POST text_to_image --body {} → reference POST /v1/text_to_image
reference FETCH /v1/tasks → reference
request POST /v1/text_to_imge --body {} → reference
request GET /v1/documents/GONE → documents list
request GET /v1/tasks/GONE → history
wait GONE → history
wait 44868203 → history
wait a/b → history
wait TASK --download TAKEN → wait TASK --download FREE
wait TASK OTHER --download NEW → wait TASK OTHER --download NEW/
cancel GONE → history
cancel TASK → wait TASK --download outputs/
cancel /v1/avatars/AVATAR → request DELETE /v1/avatars/AVATAR --dry-run
"""
# The failed call was exactly this step, and nothing was sent: the example may pay once.
PAYING = """
FOX --wiat → FOX --wait
IMAGE '--prompt=a red fox' → FOX
request POST /v1/text_to_image -X POST -d BODY → request POST /v1/text_to_image --body BODY
post /v1/text_to_image -f promptText=a RATIO → request post /v1/text_to_image -f promptText=a RATIO
FOX --poll -o NEW → FOX --wait --download NEW
FOX --wait --download -x.png → FOX --wait --download=-x.png
GENERATE '-a fox' model=gen4_image ratio=1920:1080 --to -y.png → GENERATE model=gen4_image ratio=1920:1080
FOX --output NEW → FOX --download NEW --wait
GENERATE a model=gen4_image ratio=1920:1080 --output NEW → GENERATE a model=gen4_image ratio=1920:1080 --to NEW
FOX --download NEW → FOX --download NEW --wait
FOX --max-wait 90 → FOX --max-wait 90 --wait
FOX --wait --download TAKEN → FOX --wait --download FREE
FOX --wait --download=TAKEN → FOX --wait --download=FREE
FOX -f seed=7 → FOX -F seed=7
FOX --check -f seed=7 → FOX --check -F seed=7
IMAGE -F promptText=fox → IMAGE -f promptText=fox
IMAGE -F promptText=@PROMPT → IMAGE --text-file promptText=PROMPT
request POST /v1/documents -F name=FAQ -f content=Hi → request POST /v1/documents -f name=FAQ -f content=Hi
request POST /v1/documents --body '{"name":"a","content":"b"}' --stdin → request POST /v1/documents --body
"""
WORDS = {
    "ORG": "/v1/organization",
    "GONE": "00000000-0000-4000-8000-000000000001",
    "RATIO": "-f model=gen4_image -f ratio=1920:1080",
    "GENERATE": "generate text_to_image",
    "GEN": "model=gen4_image ratio=1920:1080",
    "CLIP": "model=gen4_turbo ratio=1280:720 duration=5",
    "BODY": """'{"model":"gen4_image","promptText":"a fox","ratio":"1920:1080"}'""",
    "VIDEO": "request POST /v1/image_to_video",
    "FOX": "IMAGE -f 'promptText=a red fox'",
    "IMAGE": "request POST /v1/text_to_image -f model=gen4_image -f ratio=1920:1080",
}
# What a shell, a terminal or a careless join would change.
ODD = "a\n\t\u00a0\u00ad'\"$HOME`\\!~ --x"
VALUES = (ODD, f"key={ODD}", "key=[1, 2]", "12", "json", "old", "lowcodeapi", "day", "2h")
CONTENT = b"not to be replaced"


def accepted(read: Callable[[str], Any], *values: str) -> str:
    """The first value that an option or an operand can be."""
    for value in values:
        with suppress(ValueError):
            read(value)
            return value
    raise AssertionError(read)


class ExamplesTest(ServedTest):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.folder)  # an example may save into a folder of its own
        self.taken = self.file("fox.png", CONTENT)
        task, other = self.fake.add_task(), self.fake.add_task()
        self.values = {
            **WORDS,
            "AVATAR": self.fake.add_avatar(name="Mira"),
            "TASK": task,
            "OTHER": other,
            "TAKEN": str(self.taken),
            "FREE": str(self.folder / "fox-2.png"),
            "NEW": str(self.folder / "new"),
            "PROMPT": str(self.file("prompt.txt", b"a red fox")),
            "PICTURE": str(self.file("cat.png", sample("png"))),
            "ROWS": str(self.file("rows.jsonl", b'{"promptText":"a red fox"}\n')),
        }
        self.clock.now += 60
        self.call("wait", task, other)

    def words(self, line: str) -> list[str]:
        """A call with this test's ids and paths."""
        for name, value in self.values.items():
            line = re.sub(rf"\b{name}\b", lambda _, value=value: value.replace("\\", "/"), line)  # type: ignore[misc]
        return shlex.split(line)

    def test_examples_help_and_harm_nothing(self) -> None:
        for table, posts in ((HARMLESS, 0), (PAYING, 1)):
            for line in re.findall(r"(?m)^[^#\n].*", table):
                call, expected = map(self.words, line.split(" → "))
                with self.subTest(line):
                    failed = self.call(*call)
                    self.assertNotEqual(failed.exit, 0, failed)
                    paid = len(self.posts())
                    example = pasted(failed)
                    self.assertEqual(example[: len(expected)], expected, failed)
                    self.assertNotEqual(example, call, "the example is the failed call")
                    self.assertNotIn("--force", example)
                    helped = self.call(*example)
                    self.assertEqual(helped.exit, 0, helped)
                    self.assertLessEqual(len(self.posts()) - paid, posts, "the example paid")
                    self.assertEqual(self.taken.read_bytes(), CONTENT, "the example overwrote a file")
                    self.assertEqual(self.fake.sent("DELETE"), [], "the example deleted something")
                    for name in ("FREE", "NEW"):
                        if os.path.isfile(self.values[name]):
                            os.remove(self.values[name])
                        shutil.rmtree(self.values[name], ignore_errors=True)

    def test_a_mistyped_force_is_not_proposed(self) -> None:
        for line in ("cancel TASK", "wait TASK --download TAKEN", "download URL"):
            with self.subTest(line):
                words = self.words(line)
                self.assertEqual(pasted(self.call(*words, "--forse")), words)

    def test_an_example_repeats_the_words_of_the_caller(self) -> None:
        """Every option of every command, with a value that needs quotes where it may have one."""
        for path, command in declared_commands().items():
            operands = [accepted(operand.read, "GET", "bash", ODD) for operand in command.operands]
            for option in (*command.options, *GLOBAL_OPTIONS):
                given = [] if option.is_switch else [accepted(option.read, *VALUES)]
                more = ["--gateway", "lowcodeapi"] if option.dest == "url_format" else []
                words = [*path, *operands, option.flags[0], *given, *more]
                with self.subTest(words):
                    kept = [word for word in words if word not in ("--force", "--again")]
                    self.assertEqual(pasted(self.call(*words, "--verbos")), [*kept, "--verbose"])

    def test_no_example_repeats_a_call_whose_words_hold_a_secret(self) -> None:
        failed = self.call("request", "GET", "/v1/organization", "-f", f"key={SECRET}", "--verbos")
        self.assertEqual(pasted(failed), ["reference", "GET", "/v1/organization"])

    def test_what_a_wait_goes_on_with_is_in_the_words_of_the_caller(self) -> None:
        name = ODD if os.name == "posix" else "a $HOME"  # Windows has no such names
        more = ["--select", "id,output.0", "--interval", "7", "--max-wait", "5", "--download", f"{self.folder}/{name}/"]
        failed = self.call(*self.words("FOX --wait"), *more)
        self.assertEqual(pasted(failed), ["wait", failed.error["id"], *more])

    def test_no_call_that_pays_is_repeated_without_a_variable_that_it_needs(self) -> None:
        generate = self.words("GENERATE -- fox model=gen4_image ratio=1920:1080")
        for words in (generate, self.words("FOX"), self.words("batch /v1/text_to_image ROWS RATIO")):
            for variable in ("RUNWAY_SKILLS_STAGE", "RUNWAY_SKILLS_BASE_URL", "RUNWAY_SKILLS_MAX_CREDITS"):
                failed = self.call(*words, env={variable: "maybe", "RUNWAY_SKILLS_HISTORY": f"{self.folder}/h.db"})
                self.assert_error(failed, 78, example="runway-cli help environment")

    def test_a_key_on_the_command_line_leads_to_its_variable_and_is_not_repeated(self) -> None:
        for option in ("--api-key", "--apiKey", "--secret", "--auth-token=x1y2"):
            self.assertEqual(pasted(self.call("wait", "ID", option, "x1y2")), ["auth", "login"])

    def test_an_id_that_begins_with_a_dash_stands_behind_two_dashes(self) -> None:
        self.fake.fault(Fault("status", status=503), times=None)
        failed = self.call("wait", "--max-wait", "5", "--", "-x")
        self.assert_error(failed, 75, kind="timeout")
        self.assertEqual(pasted(failed), ["wait", "--max-wait", "5", "--", "-x"])
        self.fake.clear_faults()
        self.fake.fault(Fault("status", 200, body={"id": "-x", "status": "RUNNING"}))
        failed = self.call(*self.words("VIDEO --output-of promptImage=-x"))
        self.assertEqual(pasted(failed), ["wait", "--", "-x"])

    def test_a_conflict_while_an_avatar_is_processed_waits_for_it(self) -> None:
        path = f"/v1/avatars/{self.values['AVATAR']}"
        self.fake.fault(Fault("status", status=409, body={"error": "still PROCESSING"}), method="PATCH", path=path)
        failed = self.call("request", "PATCH", path, "-f", "name=Ada")
        self.assertEqual(pasted(failed), ["wait", path])

    def test_a_failure_is_reported_although_no_example_can_be_chosen(self) -> None:
        with (
            mock.patch("runway_cli.cli.examples.example", side_effect=ImportError),
            self.assertRaisesRegex(AssertionError, "choosing an example failed: .*'avatars', 'lst'.*exit 2"),
        ):
            self.call("avatars", "lst")
