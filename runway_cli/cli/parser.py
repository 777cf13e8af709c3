"""The words of a call → its command and options.

The words that name the command are taken out first; argparse reads the rest with a parser for that command alone. `--`
ends the options, on every version of Python alike: argparse never sees it.
"""

from __future__ import annotations

import argparse
import re
from importlib import import_module

from ..commands.options import GLOBAL_OPTIONS, HELP_FLAGS, VERSION_FLAGS, Command, Option, Options, resolved
from ..errors import Mistyped, UsageError
from ..settings import UnknownWord, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any, NoReturn, Union

    Path = tuple[str, ...]
    Found = Union[Command, dict[str, Command]]


# The lines of the help, in order: the first words of commands, the module that declares them where it is not called so,
# and what the help says where several share a line.
COMMAND_LINES = (
    ("request", "", ""),
    ("batch", "", ""),
    ("wait", "", ""),
    ("cancel", "", ""),
    ("history", "", ""),
    ("upload download", "files", "files to the API's storage; outputs to files"),
    ("avatars voices documents", "lists", "list them"),
    ("models", "reference", ""),
    ("reference", "", ""),
    ("auth", "", "check the API key; show how to set it"),
    ("schema skill", "", "for agents: describe or install this program"),
    ("completions", "", ""),
)
COMMAND_MODULES = {name: module or name for names, module, _ in COMMAND_LINES for name in names.split()}
COMMAND_NAMES = tuple(COMMAND_MODULES)
TOPICS = ("options", "environment", "exit")
_VALUED = {flag for option in GLOBAL_OPTIONS if not option.is_switch for flag in option.flags}
_KNOWN = {flag for option in GLOBAL_OPTIONS for flag in option.flags} | {*HELP_FLAGS, *VERSION_FLAGS}


class HelpRequested(Exception):
    """Help was asked for: of the command at `path`, or of a `topic`."""

    def __init__(self, path: Path, topic: str | None = None) -> None:
        super().__init__(path)
        self.path = path
        self.topic = topic


class VersionRequested(Exception):
    """The version was asked for."""


class Call:
    """A call that can be run: the path of its command, the command, and its options."""

    __slots__ = ("command", "options", "path")

    def __init__(self, path: Path, command: Command, options: Any) -> None:
        self.path = path
        self.command = command
        self.options = options


class Program:
    """The declared command line: every command by its path, and the global options."""

    def __init__(self) -> None:
        self.commands: dict[Path, Command] = {}
        self.global_options = GLOBAL_OPTIONS
        for name in COMMAND_NAMES:
            found = load(name)
            if isinstance(found, Command):
                self.commands[(name,)] = found
            else:
                self.commands.update({(name, word): command for word, command in found.items()})


def load(name: str) -> Found:
    """Returns the command with this first word, or, where there are several, a command for each second word."""
    commands: dict[str, Command] = import_module(f"..commands.{COMMAND_MODULES[name]}", __package__).COMMANDS
    found = {key.partition(" ")[2]: command for key, command in commands.items() if key.split(" ")[0] == name}
    return found.get("", found)


def declared(path: Path) -> Command | None:
    """Returns the command at a path, None where the path is only its beginning."""
    found = load(path[0]) if path else None
    if isinstance(found, dict):
        return found.get(path[1]) if len(path) > 1 else None
    return found


def parse(words: Sequence[str]) -> Call:
    """Returns the call that these words make.

    Raises HelpRequested, VersionRequested, UsageError with the fact `path`, or ConfigError for a variable of an option.
    """
    if words and words[0] == "help":
        raise _help(words[1:])
    path, command, before, after = _command_of(words)
    if command is None:
        _refuse_unknown_options(before, path)
        raise VersionRequested if any(word in VERSION_FLAGS for word in before) else HelpRequested(path)
    try:
        given, operands = _parsed(command, before)
        values = _operands(command, [*operands, *after])
        return Call(path, command, Options({**resolved(given, [*command.options, *GLOBAL_OPTIONS]), **values}))
    except HelpRequested:
        raise HelpRequested(path) from None
    except UsageError as error:
        raise error.but(path=path) from None


def _help(words: Sequence[str]) -> HelpRequested:
    """Returns what `help`, `help COMMAND [WORD]` or `help TOPIC` asks for. Raises UsageError for anything else."""
    names = [word for word in words if not _is_option(word)]
    if len(names) == 1 and names[0] in TOPICS:
        return HelpRequested((), names[0])
    return HelpRequested(_command_of([*words, "--help"])[0])


def _command_of(words: Sequence[str]) -> tuple[Path, Command | None, list[str], list[str]]:
    """Returns the path of the command, the command, and the other words: before and after `--`."""
    cut = list(words).index("--") if "--" in words else len(words)
    before, after = list(words[:cut]), list(words[cut + 1 :])
    path: Path = ()
    found: Found = {}
    while not isinstance(found, Command):
        index = _first_operand(before, path)
        if index is not None:
            word = before.pop(index)
        elif after and not any(flag in before for flag in (*HELP_FLAGS, *VERSION_FLAGS)):
            word = after.pop(0)
        else:
            return path, None, before, after
        names = tuple(found) if path else COMMAND_NAMES
        typed = (*path, word)
        if word not in names:
            error = unknown(f"unknown command {' '.join(typed)!r}", word, names, path=path, unknown_command=typed)
            more = "" if isinstance(error, Mistyped) else f": use one of {', '.join(names)}"
            raise error.but(error.message + more)
        path, found = typed, found[word] if path else load(word)
    return path, found, before, after


def _first_operand(words: Sequence[str], path: Path) -> int | None:
    """Returns the index of the first word that is neither a global option nor its value."""
    index = 0
    while index < len(words):
        if not _is_option(words[index]):
            return index
        _refuse_unknown_options([words[index]], path)
        index += 2 if words[index] in _VALUED else 1
    return None


def _refuse_unknown_options(words: Sequence[str], path: Path) -> None:
    """Raises UsageError for the first word that looks like an option and is not a global one."""
    is_value = False
    for word in words:
        name = word.partition("=")[0]
        if not is_value and _is_option(word) and name not in _KNOWN:
            raise unknown(f"unknown option {name}", name, _KNOWN, path=path)
        is_value = not is_value and word in _VALUED


def unknown(message: str, wrong: str, known: Collection[str], **facts: Any) -> UsageError:
    """Returns the error for a word that is not known, with the nearest known one."""
    from .examples import mistyped  # only an error needs it

    return mistyped(message, wrong, known, **facts)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raises UsageError, in this program's words."""
        message = message.replace("argument -", "-", 1).replace("expected one argument", "needs a value")
        raise UsageError(re.sub(r"ignored explicit argument (.*)", r"takes no value, not \1", message))


class _Help(argparse.Action):
    def __call__(self, *_: Any) -> None:
        raise HelpRequested(())


class _Version(argparse.Action):
    def __call__(self, *_: Any) -> None:
        raise VersionRequested


def _parsed(command: Command, words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Returns the options that the words give, by `dest`, and the operands among them."""
    parser = _Parser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    options = [*command.options, *GLOBAL_OPTIONS]
    for option in options:
        if option.is_switch:
            parser.add_argument(*option.flags, dest=option.dest, action="store_true")
        else:
            action = "append" if option.is_list else "store"
            parser.add_argument(*option.flags, dest=option.dest, action=action, type=_reader(option))
    parser.add_argument(*HELP_FLAGS, action=_Help, nargs=0)
    parser.add_argument(*VERSION_FLAGS, action=_Version, nargs=0)
    namespace, rest = parser.parse_known_args(words)
    for word in filter(_is_option, rest):
        name = word.partition("=")[0]
        known = [flag for option in options for flag in option.flags]
        raise unknown(f"unknown option {name}", name, [*known, *HELP_FLAGS])
    return vars(namespace), rest


def _operands(command: Command, words: list[str]) -> dict[str, Any]:
    """Returns the operands by `dest`. Raises UsageError for one that is missing, unexpected or cannot be read."""
    found: dict[str, Any] = {}
    rest = list(words)
    for index, operand in enumerate(command.operands):
        is_single = operand.takes in ("1", "?")
        if not rest and operand.takes in ("1", "+"):
            missing = [other.metavar for other in command.operands[index:] if other.takes in ("1", "+")]
            raise UsageError(f"missing {' and '.join(missing)}")
        taken, rest = (rest[:1], rest[1:]) if is_single else (rest, [])
        values = [_value(operand.read or str, word) for word in taken]
        found[operand.dest] = values if not is_single else values[0] if values else None
    if rest:
        raise UsageError(f"unexpected argument {rest[0]!r}")
    return found


def _reader(option: Option) -> Callable[[str], Any]:
    """Returns what reads the option's text; argparse lets its UsageError through."""
    read = option.read or (one_of(*option.choices) if option.choices else str)
    return lambda text: _value(read, text, f"{'/'.join(option.flags)}: ", bad_value=(option.flags, text))


def _value(read: Callable[[str], Any], text: str, name: str = "", **facts: Any) -> Any:
    """Returns the value of an option or operand. Raises UsageError, with the word that is nearest to a choice."""
    try:
        return read(text)
    except ValueError as error:
        known = error.known if isinstance(error, UnknownWord) else ()
        raise unknown(f"{name}{error}", text, known, **facts) from None


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"
