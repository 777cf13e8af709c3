"""The words of a call → its command and options. One argparse parser is built a call: that of its command.

`--` ends the options, on every version of Python alike: argparse never sees it.
"""

from __future__ import annotations

import argparse
import re
from importlib import import_module

from .. import settings as values
from ..commands.options import GLOBAL_OPTIONS, HELP_FLAGS, VERSION_FLAGS, Command, Option, Options, resolved
from ..errors import Mistyped, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any, NoReturn, Union

    Path = tuple[str, ...]
    Found = Union[Command, Mapping[str, Command]]


# In the order of the help: the first word of a command and the module that declares it.
COMMAND_MODULES = {
    "request": "request",
    "batch": "batch",
    "wait": "wait",
    "cancel": "cancel",
    "history": "history",
    "upload": "files",
    "download": "files",
    "avatars": "lists",
    "voices": "lists",
    "documents": "lists",
    "models": "reference",
    "reference": "reference",
    "auth": "auth",
    "schema": "schema",
    "skill": "skill",
    "completions": "completions",
}
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
    """A call that can be run: its words, the command they name, and the options; `given` are those in the words."""

    __slots__ = ("command", "given", "options", "path", "words")

    def __init__(self, words: Sequence[str], path: Path, command: Command, given: dict[str, Any], options: Any) -> None:
        self.words = words
        self.path = path
        self.command = command
        self.given = given
        self.options = options


def parse(words: Sequence[str]) -> Call:
    """The call that these words make. Raises HelpRequested, VersionRequested, or UsageError with the fact `path`."""
    if words and words[0] == "help":
        raise _help(words[1:])
    path, found, before, after = _command_of(words)
    if not isinstance(found, Command):
        _refuse_unknown_options(before, path)
        if VERSION_FLAGS and any(word in VERSION_FLAGS for word in before):
            raise VersionRequested
        raise HelpRequested(path)
    try:
        given, operands = _parsed(found, before)
        given.update(_operands(found, [*operands, *after]))
        options = [*found.options, *GLOBAL_OPTIONS]
        operand_values = {operand.dest: given[operand.dest] for operand in found.operands}
        return Call(words, path, found, given, Options({**resolved(given, options), **operand_values}))
    except HelpRequested:
        raise HelpRequested(path) from None
    except UsageError as error:
        raise error.but(path=path) from None


def load(name: str) -> Found:
    """Returns the command with this first word, or, where there are several, a command for each second word."""
    commands = import_module(f"..commands.{COMMAND_MODULES[name]}", __package__).COMMANDS
    found: dict[str, Command] = {
        key.partition(" ")[2]: command for key, command in commands.items() if key.split(" ")[0] == name
    }
    return found.get("", found)


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


def _command_of(words: Sequence[str]) -> tuple[Path, Found | None, list[str], list[str]]:
    """The path of the command, its declaration, and the other words: before and after `--`."""
    cut = list(words).index("--") if "--" in words else len(words)
    before, after = list(words[:cut]), list(words[cut + 1 :])
    path: Path = ()
    found: Found | None = None
    while not isinstance(found, Command):
        index = _first_operand(before, path)
        if index is not None:
            word = before.pop(index)
        elif after and not any(flag in before for flag in (*HELP_FLAGS, *VERSION_FLAGS)):
            word = after.pop(0)
        else:
            break
        names = COMMAND_NAMES if found is None else tuple(found)
        if word not in names:
            raise _unknown_command(word, names, path, words)
        path = (*path, word)
        found = load(word) if found is None else found[word]
    return path, found, before, after


def _first_operand(words: Sequence[str], path: Path) -> int | None:
    """The index of the first word that is neither a global option nor its value. Raises for an unknown option."""
    index = 0
    while index < len(words):
        word = words[index]
        if not _is_option(word):
            return index
        _refuse_unknown_options([word], path)
        index += 2 if word in _VALUED else 1
    return None


def _refuse_unknown_options(words: Sequence[str], path: Path) -> None:
    """Raises UsageError for the first word that looks like an option and is not a global one."""
    skip = False
    for word in words:
        if not skip and _is_option(word) and word.partition("=")[0] not in _KNOWN:
            raise _unknown(f"unknown option {word.partition('=')[0]}", word.partition("=")[0], _KNOWN, path=path)
        skip = not skip and word in _VALUED


def _unknown_command(word: str, names: Sequence[str], path: Path, words: Sequence[str]) -> UsageError:
    what = " ".join((*path, word))
    facts = {"path": path, "unknown_command": (*path, word)}
    error = _unknown(f"unknown command {what!r}", word, names, **facts)
    return error if isinstance(error, Mistyped) else error.but(f"{error.message}: use one of {', '.join(names)}")


def _unknown(message: str, wrong: str, known: Collection[str], **facts: Any) -> UsageError:
    from .examples import unknown

    return unknown(message, wrong, known, **facts)


class _ArgumentParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        message = message.replace("argument ", "", 1) if message.startswith("argument -") else message
        message = message.replace("expected one argument", "needs a value")
        raise UsageError(re.sub(r"ignored explicit argument (.*)", r"takes no value, not \1", message))


def _formatter(prog: str) -> argparse.HelpFormatter:
    """argparse makes one for every option; without a width it would import shutil, which costs 3 ms."""
    return argparse.HelpFormatter(prog, width=80)


class _HelpAction(argparse.Action):
    def __call__(self, *_: Any) -> None:
        raise HelpRequested(())


class _VersionAction(argparse.Action):
    def __call__(self, *_: Any) -> None:
        raise VersionRequested


def _parsed(command: Command, words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The options that the words give, by `dest`, and the operands among them."""
    # argparse would search for translations of words that are never shown, for 2 ms
    argparse._ = str  # type: ignore[attr-defined]
    parser = _ArgumentParser(
        prog="",
        usage="",
        add_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=_formatter,
    )
    options = [*command.options, *GLOBAL_OPTIONS]
    names = {word.partition("=")[0] for word in words}
    names |= {word[:2] for word in words if _is_option(word)}  # -fKEY=TEXT
    for option in options:
        if not names.isdisjoint(option.flags):  # the others cannot be meant; adding them all costs 1 ms
            _add(parser, option)
    parser.add_argument(*HELP_FLAGS, action=_HelpAction, nargs=0)
    parser.add_argument(*VERSION_FLAGS, action=_VersionAction, nargs=0)
    namespace, rest = parser.parse_known_args(words)
    unknown = next((word for word in rest if _is_option(word)), None)
    if unknown is not None:
        name = unknown.partition("=")[0]
        known = [flag for option in options for flag in option.flags]
        raise _unknown(f"unknown option {name}", name, [*known, *HELP_FLAGS])
    return vars(namespace), rest


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    if option.is_switch:
        parser.add_argument(*option.flags, dest=option.dest, action="store_true")
        return
    action = "append" if option.is_list else "store"
    parser.add_argument(*option.flags, dest=option.dest, action=action, type=_typed(option), metavar=option.metavar)


def _typed(option: Option) -> Callable[[str], Any]:
    """What reads the option's text. Raises UsageError, which argparse lets through."""
    read = option.read or (values.one_of(*option.choices) if option.choices else str)

    def convert(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            message = f"{'/'.join(option.flags)}: {error}"
            raise _unknown(message, text, _known(error), bad_value=(option.flags, text)) from None

    return convert


def _operands(command: Command, words: list[str]) -> dict[str, Any]:
    """The operands by `dest`. Raises UsageError for one that is missing, one too many, or one that cannot be read."""
    found: dict[str, Any] = {}
    rest = list(words)
    for index, operand in enumerate(command.operands):
        if operand.takes in ("1", "?"):
            if not rest and operand.takes == "1":
                missing = [other.metavar for other in command.operands[index:] if other.takes in ("1", "+")]
                raise UsageError(f"missing {' and '.join(missing)}")
            found[operand.dest] = _read(operand.read, rest.pop(0)) if rest else None
        else:
            if not rest and operand.takes == "+":
                raise UsageError(f"missing {operand.metavar}")
            found[operand.dest] = [_read(operand.read, word) for word in rest]
            rest = []
    if rest:
        raise UsageError(f"unexpected argument {rest[0]!r}")
    return found


def _read(read: Callable[[str], Any] | None, text: str) -> Any:
    try:
        return read(text) if read else text
    except ValueError as error:
        raise _unknown(str(error), text, _known(error)) from None


def _known(error: ValueError) -> Sequence[str]:
    """The words that an option or operand takes, if it takes only some."""
    return error.known if isinstance(error, values.UnknownWord) else ()


def _help(words: Sequence[str]) -> HelpRequested:
    """`help`, `help COMMAND [WORD]` or `help TOPIC`. Raises UsageError for anything else."""
    names = [word for word in words if not _is_option(word)]
    if len(names) == 1 and names[0] in TOPICS:
        return HelpRequested((), names[0])
    path, _, _, _ = _command_of([*words, "--help"])
    return HelpRequested(path)


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"
