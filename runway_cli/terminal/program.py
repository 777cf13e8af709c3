"""Calls of this program that can be pasted into a shell, named the way it was started.

On Windows a call is quoted for PowerShell, in single quotes, which a POSIX shell there mostly takes too. Paths have
forward slashes there for the same reason.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

NAME = "runway-cli"
PACKAGE = "runway_cli"
IS_WINDOWS = os.name == "nt"
_PLAIN_ON_WINDOWS = "_-./:=+*?\\[]!"  # beside letters and digits: PowerShell gives them no meaning in a word


def command_line(words: Sequence[str]) -> str:
    """Returns `words` as a call of this program, named the way it was started, quoted for a shell."""
    return " ".join(quoted_call(words))


def quoted_call(words: Sequence[str]) -> list[str]:
    """Returns the same, word by word."""
    program, *more = [_word(word.replace("\\", "/") if IS_WINDOWS else word) for word in _program()]
    if IS_WINDOWS and program.startswith("'"):
        program = f"& {program}"  # PowerShell would print the path instead of starting it
    return [program, *more, *map(_word, words)]


def _word(word: str) -> str:
    if not IS_WINDOWS:
        return shlex.quote(word)
    is_plain = all(character.isalnum() or character in _PLAIN_ON_WINDOWS for character in word)
    is_split = word.startswith("-") and ("." in word or ":" in word)  # PowerShell makes two words of -a.b
    return word if word and is_plain and not is_split else "'" + word.replace("'", "''") + "'"


def _program() -> list[str]:
    """Returns the words that started this program: `runway-cli`, or a Python and the package, folder or archive."""
    script = sys.argv[0]
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    main = spec.name if spec else ""
    if main.startswith((PACKAGE, "__main__")) or script.endswith(".py"):
        python: str = getattr(sys, "orig_argv", [""])[0]  # as it was typed; from Python 3.10 on
        if not python or os.path.dirname(python):
            names = ("python3", "python", os.path.basename(sys.executable))
            python = next((name for name in names if _is_on_path(name, sys.executable)), sys.executable or "python3")
        return [python, *(["-m", PACKAGE] if main.startswith(PACKAGE) else [script])]
    folder, name = os.path.split(script)
    if not folder:
        return [NAME]
    if IS_WINDOWS and name.lower().endswith(".exe"):
        name = name[:-4]
    return [name if _is_on_path(name, script) else script]


def _is_on_path(name: str, file: str) -> bool:
    """Returns whether a shell starts `file` when given `name`. A virtual environment's Python is a link to another."""
    import shutil

    found = shutil.which(name)
    if not found or os.path.realpath(os.path.dirname(found)) != os.path.realpath(os.path.dirname(file)):
        return False
    if IS_WINDOWS:  # where a script may lack the .exe of its launcher
        found, file = (os.path.splitext(os.path.normcase(path))[0] for path in (found, file))
    return os.path.realpath(found) == os.path.realpath(file)
