"""Calls that can be pasted into a shell: POSIX shells, cmd and PowerShell."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import types
import unittest
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from runway_cli.terminal import program


def call(script: str, spec: str | None, *words: str, typed: str = "python3", path: str = "") -> str:
    """The call that a program prints which was started as `script`, its `__main__` loaded as `spec`."""
    main = types.ModuleType("__main__")
    main.__spec__ = types.SimpleNamespace(name=spec) if spec else None  # type: ignore[assignment]
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(sys.modules, {"__main__": main}))
        stack.enter_context(mock.patch.object(sys, "argv", [script]))
        stack.enter_context(mock.patch.object(sys, "orig_argv", [typed], create=True))
        stack.enter_context(mock.patch.dict(os.environ, {"PATH": path}))
        return program.command_line(words)


class TemporaryFolder(unittest.TestCase):
    def setUp(self) -> None:
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.folder = Path(kept.name).resolve()

    def file(self, name: str) -> str:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        return str(path)


@unittest.skipIf(os.name == "nt", "the words are quoted for a POSIX shell")
class Started(TemporaryFolder):
    def test_a_module_is_named_as_one(self) -> None:
        self.assertEqual(call("/x/runway_cli/__main__.py", "runway_cli.__main__", "wait"), "python3 -m runway_cli wait")

    def test_a_folder_or_an_archive_is_named_as_it_was(self) -> None:
        self.assertEqual(call("skills/runway_cli", "__main__", "wait"), "python3 skills/runway_cli wait")
        self.assertEqual(call("my tools/x.pyz", "__main__"), "python3 'my tools/x.pyz'")

    def test_an_installed_script_is_named_alone_if_a_shell_finds_it(self) -> None:
        script = self.file("bin/runway-cli")
        self.assertEqual(call(script, None, "wait", path=str(self.folder / "bin")), "runway-cli wait")

    def test_a_script_that_another_one_hides_is_named_with_its_folder(self) -> None:
        script = self.file("bin/runway-cli")
        other = self.file("other/runway-cli")
        folders = os.pathsep.join((os.path.dirname(other), os.path.dirname(script)))
        self.assertEqual(call(script, None, path=folders), script)

    def test_a_python_that_was_named_by_its_folder_is_found_by_its_name(self) -> None:
        python = self.file("bin/python3")
        with mock.patch.object(sys, "executable", python):
            shown = call("x", "runway_cli.__main__", typed=python, path=str(self.folder / "bin"))
            self.assertEqual(shown, "python3 -m runway_cli")
            self.assertEqual(call("x", "runway_cli.__main__", typed=python), f"{python} -m runway_cli")

    def test_words_are_quoted_for_a_posix_shell(self) -> None:
        words = ["a b", "it's", "$x", "data.*.id", '{"a":1}', "", "~", "id,name"]
        shown = call("runway-cli", None, *words)
        self.assertEqual(shlex.split(shown), ["runway-cli", *words])

    def test_control_characters_are_not_repeated(self) -> None:
        self.assertEqual(call("runway-cli", None, "a\x1b[2Jb\nc"), "runway-cli 'a\ufffd[2Jb c'")

    def test_it_is_quoted_word_by_word(self) -> None:
        self.assertEqual(call("runway-cli", None, "a b", "c").split(" ", 1)[0], "runway-cli")
        self.assertEqual(program.quoted_call(["a b", "c"])[-2:], ["'a b'", "c"])


class Windows(TemporaryFolder):
    def test_words_are_quoted_where_cmd_or_powershell_needs_it(self) -> None:
        for word, quoted in (
            ("wait", "wait"),
            ("-F", "-F"),
            ("duration=5", "duration=5"),
            ("/v1/text_to_image", "/v1/text_to_image"),
            ("1280:720", "1280:720"),
            ("data.*.id", "data.*.id"),
            ("C:\\out\\", "C:\\out\\"),
            ("狐.png", "狐.png"),
            ("", '""'),
            ("a b", '"a b"'),
            ("id,name", '"id,name"'),
            ("a&b", '"a&b"'),
            ("50%", '"50%"'),
            ("x^y", '"x^y"'),
            ("(x)", '"(x)"'),
            ("@file.json", '"@file.json"'),
            ("#1", '"#1"'),
            ("it's", '"it\'s"'),
            ("$x", '"$x"'),
            ("a;b", '"a;b"'),
            ("{x}", '"{x}"'),
            ("~", '"~"'),
            ("--select=output.0", '"--select=output.0"'),
            ("C:\\my files\\", '"C:\\my files\\\\"'),
            ('{"a":"x\\"}', '"{\\"a\\":\\"x\\\\\\"}"'),
        ):
            with self.subTest(word):
                self.assertEqual(program.windows_word(word), quoted)

    def test_what_c_programs_are_given_is_the_word(self) -> None:
        for word in ('a"b', 'a\\"b c', "a b\\", 'say "hi" \\\\', ' " '):
            with self.subTest(word):
                self.assertEqual(unquoted(program.windows_word(word)), word)

    def test_a_name_is_found_with_the_extensions_of_programs(self) -> None:
        launcher = self.file("Scripts/runway-cli.EXE")
        folders = [str(self.folder), str(self.folder / "Scripts")]
        self.assertEqual(program.find("runway-cli", folders, ["", ".COM", ".EXE"]), launcher)
        self.assertIsNone(program.find("runway-cli", folders, [""]))

    def test_a_launcher_is_the_script_that_it_starts(self) -> None:
        launcher = self.file("Scripts/runway-cli.EXE")
        script = str(self.folder / "Scripts" / "runway-cli")
        with mock.patch.object(program, "IS_WINDOWS", True):
            self.assertTrue(program.is_same_program(launcher, script))
            self.assertFalse(program.is_same_program(launcher, str(self.folder / "runway-cli")))
        with mock.patch.object(program, "IS_WINDOWS", False):
            self.assertFalse(program.is_same_program(launcher, script))

    def test_paths_have_forward_slashes(self) -> None:
        with mock.patch.object(program, "IS_WINDOWS", True):
            shown = call("C:\\my skills\\runway_cli", "__main__", "--to", "C:\\out\\", typed="python")
        self.assertEqual(shown, 'python "C:/my skills/runway_cli" --to C:\\out\\')


def unquoted(word: str) -> str:
    """A word as the C run-time of Windows reads it."""
    found, quoted, backslashes = "", False, 0
    for character in word:
        if character == "\\":
            backslashes += 1
            continue
        if character == '"':
            found += "\\" * (backslashes // 2)
            if backslashes % 2:
                found += '"'
            else:
                quoted = not quoted
        else:
            assert quoted or character != " ", "a space ends the word"
            found += "\\" * backslashes + character
        backslashes = 0
    assert not quoted, "the quotes are not closed"
    return found + "\\" * backslashes


if __name__ == "__main__":
    unittest.main()
