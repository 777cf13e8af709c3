"""Completions: what the TAB key does in the shells themselves."""

from __future__ import annotations

import os
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from runway_cli.cli.parser import COMMAND_NAMES, declared_commands
from runway_cli.commands.completions import SCRIPTS
from runway_cli.commands.options import GLOBAL_OPTIONS
from tests.fake import Fault
from tests.program import ROOT, ProgramTest, call, run
from tests.served import ServedTest

PATIENCE = 20  # seconds for a shell's answer

# a line as it is typed, TAB at its end, and the words that the program then gets; the last one is what TAB completes
TYPED = [
    ("runway-cli av", ["avatars"]),
    ("runway-cli help wa", ["help", "wait"]),
    ("runway-cli avatars li", ["avatars", "list"]),
    ("runway-cli --stage avatars list --li", ["--stage", "avatars", "list", "--limit"]),
    ("runway-cli --timeout 5 avatars li", ["--timeout", "5", "avatars", "list"]),
    ("runway-cli request PA", ["request", "PATCH"]),
    ("runway-cli reference DEL", ["reference", "DELETE"]),
    ("runway-cli request GET /v1/x --pag", ["request", "GET", "/v1/x", "--paginate"]),
    ("runway-cli voices list --output ta", ["voices", "list", "--output", "table"]),
    ("runway-cli --output=ma", ["--output=markdown"]),
    ("runway-cli completions z", ["completions", "zsh"]),
    ("runway-cli skill install co", ["skill", "install", "codex"]),
    ("runway-cli skill install ./fo", ["skill", "install", "./folder/"]),
    ("runway-cli upload ca", ["upload", "cat.png"]),
    ("runway-cli upload dog\\ ", ["upload", "dog two.mp4"]),
    ("runway-cli upload cat.png do", ["upload", "cat.png", "dog two.mp4"]),
    ("runway-cli upload folder/in", ["upload", "folder/inner.png"]),
    ("runway-cli upload 'folder/[", ["upload", "folder/[x].png"]),
    ("runway-cli upload ~/place/ca", ["upload", "~/place/cat.png"]),
    ("runway-cli download https://example.com/x --to fo", ["download", "https://example.com/x", "--to", "folder/"]),
    ("runway-cli wait ID --download fo", ["wait", "ID", "--download", "folder/"]),
    ("runway-cli request POST /v --upload image=ca", ["request", "POST", "/v", "--upload", "image=cat.png"]),
    ("runway-cli request POST /v --upload image=do", ["request", "POST", "/v", "--upload", "image=dog two.mp4"]),
    ("runway-cli request POST /v --upload=image=ca", ["request", "POST", "/v", "--upload=image=cat.png"]),
    ("runway-cli request POST /v --data-uri a.0=fo", ["request", "POST", "/v", "--data-uri", "a.0=folder/"]),
    ("runway-cli generate image_to_video promptImage=ca", ["generate", "image_to_video", "promptImage=cat.png"]),
]  # fmt: skip


class ShellTest(unittest.TestCase):
    """A folder with files to complete, the program in PATH, and the script of one shell."""

    shell = ""

    def setUp(self) -> None:
        if not shutil.which(self.shell):
            self.skipTest(f"{self.shell} is not installed")
        self.folder = Path(tempfile.mkdtemp()).resolve()
        self.addCleanup(shutil.rmtree, self.folder)
        self.place = self.folder / "place"
        for name in (
            "bin/runway-cli",
            "place/cat.png",
            "place/dog two.mp4",
            "place/folder/inner.png",
            "place/folder/x.png",
            "place/folder/[x].png",
        ):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).touch(0o755)
        start = f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m runway_cli "$@"\n'
        (self.folder / "bin" / "runway-cli").write_text(start, encoding="utf-8")
        self.script = self.folder / "script"
        self.script.write_text(run("completions", self.shell).stdout, encoding="utf-8")
        self.environment = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "TERM": "xterm",
            "LC_ALL": "C",
            "INPUTRC": os.devnull,
            "HISTFILE": "",
        }

    def check_typed_lines(self, *arguments: str, setting_up: str = "") -> None:
        """Types each line into the shell, where a stand-in for the program prints its words."""
        stand_in = self.folder / "stand-in"
        stand_in.write_text("runway-cli() { printf '<<'; printf '%s|' \"$@\"; printf '>>\\n'; }\n", encoding="utf-8")
        terminal = Terminal(self, arguments)
        self.addCleanup(terminal.close)
        for line in (setting_up, f"source {self.script}", f"source {stand_in}", "PS1='rea''dy> '"):
            terminal.type(line + "\r")
        terminal.read_until("ready> ")
        for line, words in TYPED:
            with self.subTest(line=line):
                terminal.type(line + "\t\r")
                got = terminal.read_until("<<(.*?)>>.*ready> ").group(1)
                self.assertEqual(got.replace(str(self.folder), "~").split("|")[:-1], words)

    def run_shell(self, *arguments: str) -> list[str]:
        """The lines that the shell prints."""
        done = subprocess.run(
            [self.shell, *arguments],
            cwd=self.place,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout.splitlines()


class Terminal:
    """An interactive shell behind a pseudo-terminal, whose prompt is `ready>`."""

    def __init__(self, test: ShellTest, arguments: Sequence[str]) -> None:
        self.file, terminal = os.openpty()
        self.shell = subprocess.Popen(
            [test.shell, *arguments],
            cwd=test.place,
            env=test.environment,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)

    def close(self) -> None:
        self.shell.kill()
        self.shell.wait()
        os.close(self.file)

    def type(self, text: str) -> None:
        os.write(self.file, text.encode())

    def read_until(self, pattern: str) -> re.Match[str]:
        """Reads on until the pattern shows up. Raises AssertionError with what came instead."""
        text, end = "", time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if select.select([self.file], [], [], 0.2)[0]:
                text += os.read(self.file, 65536).decode("utf-8", "replace")
                match = re.search(pattern, text, re.DOTALL)
                if match:
                    return match
        raise AssertionError(f"no {pattern!r} in {text!r}")


class Bash(ShellTest):
    shell = "bash"

    def setUp(self) -> None:
        super().setUp()
        if int(self.run_shell("-c", "echo $BASH_VERSINFO")[0]) < 4:
            self.skipTest("bash 3 takes words apart in another way")

    @unittest.skipIf(os.name == "nt", "Windows has no pseudo-terminals")
    def test_tab_completes_what_was_typed(self) -> None:
        self.check_typed_lines("--norc", "--noprofile", "-i")


class Zsh(ShellTest):
    shell = "zsh"

    @unittest.skipIf(os.name == "nt", "Windows has no pseudo-terminals")
    def test_tab_completes_what_was_typed(self) -> None:
        start = "autoload -U compinit; compinit -D -u; unsetopt AUTO_REMOVE_SLASH"
        self.check_typed_lines("-f", "-i", setting_up=start)

    def test_the_script_is_also_a_function_of_fpath(self) -> None:
        shutil.copy(self.script, self.folder / "_runway-cli")
        start = f"fpath=({self.folder} $fpath); autoload -U compinit; compinit -D -u; echo $_comps[runway-cli]"
        self.assertEqual(self.run_shell("-f", "-c", start), ["_runway-cli"])


class Fish(ShellTest):
    shell = "fish"

    def test_tab_completes_what_was_typed(self) -> None:
        for line, words in TYPED:
            with self.subTest(line=line):
                found = self.run_shell("--no-config", "-c", f"source {self.script}; complete -C $argv[1]", line)
                self.assertEqual([word.split("\t")[0] for word in found], words[-1:])


class OfferedWordsTest(ServedTest):
    """The words that a shell is given: endpoints and models of the cached contract, ids of the history."""

    def setUp(self) -> None:
        super().setUp()
        self.env = {"XDG_CACHE_HOME": str(self.folder), "RUNWAY_SKILLS_HISTORY": str(self.folder / "history")}

    def offers(self, line: str) -> list[str]:
        """The words that may stand at the end of a line; they are found without a request."""
        before = len(self.fake.requests)
        result = self.call("completions", "fish", "--", line, env=self.env)
        self.assert_success(result, stderr="")
        self.assertEqual(len(self.fake.requests), before, "completions never use the network")
        return result.stdout.splitlines()

    def test_every_matching_word_is_offered(self) -> None:
        for line, offered in {
            "runway-cli ": " ".join((*COMMAND_NAMES, "help")),
            "runway-cli documents ": "list",
            "runway-cli --output ": "json jsonl table markdown",
            "runway-cli download URL --": "--stage --gateway --url-format --client-id --timeout --retries --output "
            "--select --quiet --verbose --to --force --help --version",
            "runway-cli wait ": "",
            "runway-cli wait ID --download ": "",
            "runway-cli request GET /v1/x ": "",
        }.items():
            with self.subTest(line):
                self.assertEqual(self.offers(line), offered.split())

    def test_endpoints_and_models_are_offered_from_the_cache_else_from_the_program_itself(self) -> None:
        for _ in range(2):
            for line, word in {
                "runway-cli request POST /v1/text_to_im": "/v1/text_to_image",
                "runway-cli reference --model gen4_im": "gen4_image",
                "runway-cli models text_to_im": "text_to_image",
                "runway-cli models gen4_im": "gen4_image",
                "runway-cli generate text_to_im": "text_to_image",
                "runway-cli generate text_to_image 'a fox' model=gen4_im": "model=gen4_image",
                "runway-cli request POST /v1/x -f model=gen4_im": "model=gen4_image",
            }.items():
                with self.subTest(line):
                    self.assertIn(word, self.offers(line))
            self.assertEqual(self.fake.sent(path="/openapi.json"), [])
            self.assert_success(self.call("reference", env=self.env))
            self.fake.requests.clear()

    def test_ids_of_unfinished_tasks_are_offered(self) -> None:
        post = ("request", "POST", "/v1/text_to_image", "-f", "model=gen4_image", "-f", "ratio=1280:720")
        first, second = (self.call(*post, "-f", "promptText=a fox", env=self.env).json["id"] for _ in range(2))
        self.assertCountEqual(self.offers("runway-cli wait "), [first, second])
        self.assertEqual(self.offers(f"runway-cli cancel {first[:-1]}"), [first])
        self.assert_success(self.call("wait", first, env=self.env))
        self.assertEqual(self.offers("runway-cli wait "), [second])
        self.fake.fault(Fault("status", 200, body={"id": "--force"}), path="/v1/text_to_image")
        self.call(*post, "-f", "promptText=a fox", env=self.env)
        self.assertEqual(self.offers("runway-cli cancel "), [second], "an id is never taken for an option")
        with closing(sqlite3.connect(self.folder / "history", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            start = time.monotonic()
            self.assertEqual(self.offers("runway-cli wait "), [])
        self.assertLess(time.monotonic() - start, 3, "TAB does not wait for another process")


class ScriptsTest(ProgramTest):
    def test_every_option_name_takes_a_value_everywhere_or_nowhere(self) -> None:
        found: dict[str, set[bool]] = {}
        for options in (GLOBAL_OPTIONS, *(command.options for command in declared_commands().values())):
            for option in options:
                for flag in option.flags:
                    found.setdefault(flag, set()).add(option.is_switch)
        self.assertIn("--download", found)
        self.assertEqual({name: takes for name, takes in found.items() if len(takes) > 1}, {})

    def test_a_wrong_call_is_a_usage_error(self) -> None:
        words = "must be one of bash, zsh, fish, not 'powershell'"
        self.assert_error(call("completions", "powershell"), 2, kind="usage", error=words)

    def test_nothing_of_the_environment_is_needed(self) -> None:
        for shell, script in SCRIPTS.items():
            self.assertEqual(run("completions", shell, env={"HOME": "/nonexistent"}).stdout, script)
