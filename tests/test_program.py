"""Calls that can be pasted into a shell, named the way the program was started."""

from __future__ import annotations

import os
import sys
import types
import unittest
from contextlib import ExitStack
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
