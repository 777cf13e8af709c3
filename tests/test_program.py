"""Calls that can be pasted into a shell, named the way the program was started."""

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


@unittest.skipIf(os.name == "nt", "the words are quoted for a POSIX shell")
class StartedTest(unittest.TestCase):
    def setUp(self) -> None:
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.folder = Path(kept.name).resolve()

    def executable(self, name: str) -> str:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch(0o755)
        return str(path)

    def test_a_module_a_folder_and_an_archive_are_named_as_they_were(self) -> None:
        for script, spec, shown in (
            ("/x/runway_cli/__main__.py", "runway_cli.__main__", "python3 -m runway_cli wait"),
            ("skills/runway_cli", "__main__", "python3 skills/runway_cli wait"),
            ("my tools/x.pyz", "__main__", "python3 'my tools/x.pyz' wait"),
        ):
            with self.subTest(script):
                self.assertEqual(call(script, spec, "wait"), shown)

    def test_an_installed_script_is_named_alone_if_a_shell_finds_it(self) -> None:
        script, other = self.executable("bin/runway-cli"), self.executable("other/runway-cli")
        for folders, shown in (
            ([os.path.dirname(script)], "runway-cli"),
            ([os.path.dirname(other), os.path.dirname(script)], script),
            ([], script),
        ):
            with self.subTest(folders):
                self.assertEqual(call(script, None, path=os.pathsep.join(folders)), shown)

    def test_a_python_that_was_named_by_its_folder_is_found_by_its_name(self) -> None:
        python = self.executable("bin/python3")
        with mock.patch.object(sys, "executable", python):
            for path, shown in ((os.path.dirname(python), "python3 -m runway_cli"), ("", f"{python} -m runway_cli")):
                self.assertEqual(call("x", "runway_cli.__main__", typed=python, path=path), shown)

    def test_words_are_quoted_for_a_posix_shell(self) -> None:
        words = ["a b", "it's", "$x", "data.*.id", '{"a":1}', "", "~", "id,name"]
        self.assertEqual(shlex.split(call("runway-cli", None, *words)), ["runway-cli", *words])

    def test_words_are_repeated_character_for_character(self) -> None:
        self.assertEqual(call("runway-cli", None, "a\x1b[2Jb\nc"), "runway-cli 'a\x1b[2Jb\nc'")


class WindowsTest(unittest.TestCase):
    def setUp(self) -> None:
        windows = mock.patch.object(program, "IS_WINDOWS", True)
        windows.start()
        self.addCleanup(windows.stop)

    def test_words_are_quoted_where_powershell_needs_it(self) -> None:
        for word in (
            *("wait", "-F", "duration=5", "/v1/text_to_image", "1280:720", "data.*.id", "C:\\out\\", "狐.png"),
        ):
            with self.subTest(word):
                self.assertEqual(call("runway-cli", None, word), f"runway-cli {word}")
        for word in (
            *("", "a b", "id,name", "a&b", "50%", "x^y", "(x)", "@file.json", "#1", "$x", "a;b", "{x}", "~", '{"a":1}'),
            *("--select=output.0", "C:\\my files\\"),
        ):
            with self.subTest(word):
                self.assertEqual(call("runway-cli", None, word), f"runway-cli '{word}'")
        self.assertEqual(call("runway-cli", None, "it's"), "runway-cli 'it''s'")

    def test_paths_of_the_program_have_forward_slashes(self) -> None:
        shown = call("C:\\my skills\\runway_cli", "__main__", "--to", "C:\\out\\", typed="python")
        self.assertEqual(shown, "python 'C:/my skills/runway_cli' --to C:\\out\\")

    def test_a_program_whose_path_is_quoted_is_started_with_an_ampersand(self) -> None:
        with mock.patch.object(sys, "executable", "C:\\my files\\python.exe"):
            shown = call("x", "runway_cli.__main__", "wait", typed="C:\\my files\\python.exe")
        self.assertEqual(shown, "& 'C:/my files/python.exe' -m runway_cli wait")
