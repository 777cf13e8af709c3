"""How this program was started, and calls of it that can be pasted into a shell.

On Windows a call is quoted for cmd and PowerShell alike: double quotes, and only where one of the two needs them. Paths
have forward slashes there, which a POSIX shell on Windows takes too. A word that itself has double quotes is for cmd.
"""

from __future__ import annotations

import os
import sys

from ..settings import setting
from .console import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


NAME = "runway-cli"
PACKAGE = "runway_cli"
IS_WINDOWS = os.name == "nt"
_PLAIN_ON_WINDOWS = "_-./:=+*?\\[]!"  # beside letters and digits: no shell of Windows gives them a meaning in a word


def command_line(words: Sequence[str]) -> str:
    """`words` as a call of this program, named the way it was started, quoted for a shell."""
    return " ".join(quoted_call(words))


def quoted_call(words: Sequence[str]) -> list[str]:
    """The same, word by word."""
    return [*map(_path_word, _program()), *(_word(printable(word)) for word in words)]


def windows_word(word: str) -> str:
    """A word quoted for cmd and PowerShell.

    The rules inside the quotes: learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments.
    """
    is_plain = all(character.isalnum() or character in _PLAIN_ON_WINDOWS for character in word)
    is_split = word.startswith("-") and ("." in word or ":" in word)  # PowerShell makes two words of -a.b
    if word and is_plain and not is_split:
        return word
    quoted, backslashes = "", 0
    for character in word:
        if character == '"':  # backslashes before a quote are doubled, the quote has one more
            quoted += "\\" * (backslashes + 1)
        backslashes = backslashes + 1 if character == "\\" else 0
        quoted += character
    return '"' + quoted + "\\" * backslashes + '"'


def find(name: str, folders: Sequence[str], extensions: Sequence[str]) -> str | None:
    """The file that a shell starts for `name`, looking into `folders` for the name with each of `extensions`."""
    for folder in folders:
        for extension in extensions:
            path = os.path.join(folder, name + extension)
            if os.path.isfile(path):
                return path
    return None


def is_same_program(found: str, file: str) -> bool:
    """Whether two paths name one program. On Windows a script's own name may lack the .exe of its launcher."""
    if os.path.realpath(os.path.dirname(found)) != os.path.realpath(os.path.dirname(file)):
        return False
    if os.path.realpath(found) == os.path.realpath(file):
        return True
    return IS_WINDOWS and _stem(found) == _stem(file)


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(os.path.normcase(path)))[0]


def _word(word: str) -> str:
    if IS_WINDOWS:
        return windows_word(word)
    import shlex  # only examples need it

    return shlex.quote(word)


def _path_word(word: str) -> str:
    return _word(word.replace("\\", "/") if IS_WINDOWS else word)


def _program() -> list[str]:
    """The words that started this program: `runway-cli`, or a Python and the package, folder or archive."""
    script = sys.argv[0]
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name.startswith(PACKAGE):
        return [_python(), "-m", PACKAGE]
    is_folder_or_archive = spec is not None and spec.name == "__main__"
    if is_folder_or_archive or script.endswith(".py"):
        return [_python(), script]
    name = os.path.basename(script)
    if IS_WINDOWS and name.lower().endswith(".exe"):
        name = name[:-4]
    if not os.path.dirname(script):
        return [NAME]
    return [name if _is_on_path(name, script) else script]


def _python() -> str:
    typed: str = getattr(sys, "orig_argv", [sys.executable])[0]  # from Python 3.10 on
    if typed and not os.path.dirname(typed):
        return typed
    for name in ("python3", "python", os.path.basename(sys.executable)):
        if _is_on_path(name, sys.executable):
            return name
    return sys.executable or "python3"


def _is_on_path(name: str, file: str) -> bool:
    """Whether a shell that is given `name` starts `file`."""
    found = find(name, os.get_exec_path(), _extensions())
    return found is not None and is_same_program(found, file)


def _extensions() -> list[str]:
    """What a shell adds to a name: PATHEXT on Windows, nothing elsewhere."""
    if not IS_WINDOWS:
        return [""]
    return ["", *(setting("PATHEXT") or ".COM;.EXE;.BAT;.CMD").split(";")]
