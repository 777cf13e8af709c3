"""Completions: what the TAB key does in the shells themselves."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest
from collections.abc import Sequence
from pathlib import Path

from runway_cli.cli.parser import COMMAND_NAMES, Program
from runway_cli.commands import completions
from tests.fake import FakeRunway
from tests.program import ProgramTest, call, run

PATIENCE = 20  # seconds for a shell's answer

# a line as it is typed, TAB at its end, and the words that the program then gets
TYPED = [
    ("runway-cli av", ["avatars"]),
    ("runway-cli avatars li", ["avatars", "list"]),
    ("runway-cli --stage avatars list --li", ["--stage", "avatars", "list", "--limit"]),
    ("runway-cli --timeout 5 avatars li", ["--timeout", "5", "avatars", "list"]),
    ("runway-cli auth st", ["auth", "status"]),
    ("runway-cli request PA", ["request", "PATCH"]),
    ("runway-cli reference DEL", ["reference", "DELETE"]),
    ("runway-cli request GET /v1/x --pag", ["request", "GET", "/v1/x", "--paginate"]),
    ("runway-cli voices list --output ta", ["voices", "list", "--output", "table"]),
    ("runway-cli --output=ma", ["--output=markdown"]),
    ("runway-cli --gateway l", ["--gateway", "lowcodeapi"]),
    ("runway-cli completions z", ["completions", "zsh"]),
    ("runway-cli skill install co", ["skill", "install", "codex"]),
    ("runway-cli skill install ./fo", ["skill", "install", "./folder/"]),
    ("runway-cli upload ca", ["upload", "cat.png"]),
    ("runway-cli upload cat.png do", ["upload", "cat.png", "dog two.mp4"]),
    ("runway-cli upload folder/in", ["upload", "folder/inner.png"]),
    ("runway-cli download https://example.com/x --to fo", ["download", "https://example.com/x", "--to", "folder/"]),
    ("runway-cli wait ID --download fo", ["wait", "ID", "--download", "folder/"]),
    (
        "runway-cli request POST /v1/x --upload promptImage=ca",
        ["request", "POST", "/v1/x", "--upload", "promptImage=cat.png"],
    ),
    (
        "runway-cli request POST /v1/x --data-uri a.0.uri=folder/in",
        ["request", "POST", "/v1/x", "--data-uri", "a.0.uri=folder/inner.png"],
    ),
    ("runway-cli request POST /v1/x --upload image=do", ["request", "POST", "/v1/x", "--upload", "image=dog two.mp4"]),
    ("runway-cli request POST /v1/x --upload=image=ca", ["request", "POST", "/v1/x", "--upload=image=cat.png"]),
    ("runway-cli request POST /v1/x --upload 'image=do", ["request", "POST", "/v1/x", "--upload", "image=dog two.mp4"]),
    (
        "runway-cli request POST /v1/x -f 'promptText=a red fox' --body @bo",
        ["request", "POST", "/v1/x", "-f", "promptText=a red fox", "--body", "@body.json"],
    ),
]

# the same where nothing is known: no file is offered
LEFT_ALONE = [
    ("runway-cli wait ca", ["wait", "ca"]),
    ("runway-cli request POST /v1/x -f ca", ["request", "POST", "/v1/x", "-f", "ca"]),
    ("runway-cli request POST /v1/x --body bo", ["request", "POST", "/v1/x", "--body", "bo"]),
    ("runway-cli cancel ID --pag", ["cancel", "ID", "--pag"]),
]


class Workplace(unittest.TestCase):
    """A folder with files to complete, and the script of one shell beside it."""

    shell = ""

    def setUp(self) -> None:
        if not shutil.which(self.shell):
            self.skipTest(f"{self.shell} is not here")
        self.folder = Path(tempfile.mkdtemp()).resolve()
        self.addCleanup(shutil.rmtree, self.folder)
        self.place = self.folder / "place"
        (self.place / "folder").mkdir(parents=True)
        for name in ("cat.png", "dog two.mp4", "body.json", "folder/inner.png"):
            (self.place / name).touch()
        self.script = self.folder / "script"
        self.script.write_text(run("completions", self.shell).stdout, encoding="utf-8")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TERM": "xterm",
            "LC_ALL": "C",
            "INPUTRC": os.devnull,
            "HISTFILE": "",
        }

    def check_typed_lines(self, arguments: Sequence[str], setting_up: str = "") -> None:
        """Types each line into the shell, where a stand-in for the program prints what it got."""
        stand_in = self.folder / "stand-in"
        stand_in.write_text("runway-cli() { printf '<<'; printf '%s|' \"$@\"; printf '>>\\n'; }\n", encoding="utf-8")
        terminal = Terminal(self, arguments)
        self.addCleanup(terminal.close)
        for line in (setting_up, f"source {self.script}", f"source {stand_in}", "PS1='rea''dy> '"):
            terminal.type(line + "\r")
        terminal.read_until("ready> ")
        for line, words in TYPED + LEFT_ALONE:
            with self.subTest(line=line):
                terminal.type(line + "\t\r")
                got = terminal.read_until("<<(.*?)>>.*ready> ").group(1)
                self.assertEqual(got.split("|")[:-1], words)

    def run_shell(self, *arguments: str) -> str:
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
        return done.stdout


class Terminal:
    """An interactive shell behind a pseudo-terminal, whose prompt is `ready>`."""

    def __init__(self, test: Workplace, arguments: Sequence[str]) -> None:
        controller, terminal = os.openpty()
        self.file = controller
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


class Bash(Workplace):
    shell = "bash"

    def setUp(self) -> None:
        super().setUp()
        version = subprocess.run(
            ["bash", "-c", "echo $BASH_VERSINFO"], capture_output=True, encoding="utf-8", check=True
        )
        if int(version.stdout) < 4:
            self.skipTest("bash 3 takes words apart in another way")

    @unittest.skipIf(os.name == "nt", "Windows has no pseudo-terminals")
    def test_tab_completes_what_was_typed(self) -> None:
        self.check_typed_lines(("--norc", "--noprofile", "-i"))

    def test_every_matching_word_is_offered(self) -> None:
        cases = {
            ("runway-cli", ""): " ".join((*COMMAND_NAMES, "help")),
            ("runway-cli", "documents", ""): "list",
            ("runway-cli", "--output", ""): "json jsonl table markdown",
            ("runway-cli", "download", "URL", "--"): "--stage --gateway --url-format --client-id --timeout --retries "
            "--output --select --quiet --verbose --help --version --to --force",
            ("runway-cli", "wait", ""): "",
        }
        for words, offered in cases.items():
            with self.subTest(words=words):
                self.assertEqual(self.offers(*words), offered.split())

    def offers(self, *words: str) -> list[str]:
        ask = (
            'source "$1"; shift; COMP_LINE="$*" COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _runway_cli; '
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        return self.run_shell("--norc", "-c", ask, "bash", str(self.script), *words).split()


class ContractWordsTest(ProgramTest):
    """Endpoints and models come from the copy of the API's contract in the cache."""

    def setUp(self) -> None:
        self.fake = FakeRunway()
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.env = {**self.fake.env(), "XDG_CACHE_HOME": folder.name}

    def test_endpoints_and_models_are_offered_once_the_contract_was_read(self) -> None:
        before = call("completions", "bash", env=self.env)
        self.assertNotIn("/v1/text_to_image", before.stdout)
        self.assert_success(call("reference", env=self.env))
        self.fake.requests.clear()
        for shell in completions.SHELLS:
            with self.subTest(shell):
                script = call("completions", shell, env=self.env).stdout
                for word in ("/v1/text_to_image", "gen4_image", "text_to_image"):
                    self.assertIn(f" {word} ", script.replace("\n", " "))
        self.assertEqual(self.fake.requests, [], "completions never use the network")

    def test_a_script_without_a_contract_uses_no_network(self) -> None:
        self.assert_success(call("completions", "bash", env=self.env), stderr="")
        self.assertEqual(self.fake.requests, [])


class Zsh(Workplace):
    shell = "zsh"

    @unittest.skipIf(os.name == "nt", "Windows has no pseudo-terminals")
    def test_tab_completes_what_was_typed(self) -> None:
        self.check_typed_lines(("-f", "-i"), "autoload -U compinit; compinit -D -u; unsetopt AUTO_REMOVE_SLASH")

    def test_the_script_is_also_a_function_of_fpath(self) -> None:
        shutil.copy(self.script, self.folder / "_runway-cli")
        out = self.run_shell(
            "-f", "-c", f"fpath=({self.folder} $fpath); autoload -U compinit; compinit -D -u;echo $_comps[runway-cli]"
        )
        self.assertEqual(out, "_runway-cli\n")


class Fish(Workplace):
    shell = "fish"

    def test_tab_completes_what_was_typed(self) -> None:
        for line, words in TYPED:
            with self.subTest(line=line):
                self.assertEqual(self.offers(line), words[-1:])
        for line, _ in LEFT_ALONE:
            with self.subTest(line=line):
                self.assertEqual(self.offers(line), [])

    def test_every_matching_word_is_offered(self) -> None:
        self.assertEqual(self.offers("runway-cli --output "), ["json", "jsonl", "markdown", "table"])
        self.assertEqual(
            self.offers("runway-cli request POST /v1/x --upload image="),
            ["image=body.json", "image=cat.png", "image=dog two.mp4", "image=folder/"],
        )
        self.assertEqual(self.offers("runway-cli wait "), [])
        self.assertIn("--paginate", self.offers("runway-cli request GET /v1/x -"))

    def offers(self, line: str) -> list[str]:
        out = self.run_shell("--no-config", "-c", f"source {self.script}; complete -C $argv[1]", line)
        return [found.split("\t")[0] for found in out.splitlines()]


class DeclarationsTest(unittest.TestCase):
    """What the scripts are made from."""

    def test_every_option_name_takes_a_value_everywhere_or_nowhere(self) -> None:
        program = Program()
        found: dict[str, set[bool]] = {}
        for options in (program.global_options, *(command.options for command in program.commands.values())):
            for option in options:
                for flag in option.flags:
                    found.setdefault(flag, set()).add(option.is_switch)
        self.assertIn("--download", found)
        self.assertEqual({name: takes for name, takes in found.items() if len(takes) > 1}, {})


class Shells(ProgramTest):
    def test_no_part_of_a_script_can_be_selected(self) -> None:
        self.assert_error(call("completions", "bash", "--select", "x"), 2, kind="usage")

    def test_a_shell_that_is_not_known_is_a_usage_error(self) -> None:
        self.assert_error(
            call("completions", "powershell"),
            2,
            kind="usage",
            error="must be one of bash, zsh, fish, not 'powershell'",
        )

    def test_nothing_of_the_environment_is_needed(self) -> None:
        program = Program()
        expected = completions.script("bash", program.commands, program.global_options)
        self.assertEqual(run("completions", "bash", env={"HOME": "/nonexistent"}).stdout, expected)


if __name__ == "__main__":
    unittest.main()
