"""The words of a call → its command and options.

The words that name the command are taken out first; argparse reads the rest with a parser for that command alone. `--`
ends the options, on every version of Python alike: argparse never sees it.
"""

from __future__ import annotations

import argparse
import re
from functools import partial
from importlib import import_module

from ..commands.options import GLOBAL_OPTIONS, HELP_FLAGS, VERSION_FLAGS, Command, GlobalOptions, resolved
from ..errors import Mistyped, UsageError
from ..settings import UnknownWord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any, NoReturn

    Path = tuple[str, ...]


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
SIMILARITY = 0.65  # from 0 to 1, of a mistyped word and the one that is suggested for it
MIN_BEGINNING = 3  # characters that are enough to recognize the only word that begins with them
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

    def __init__(self, path: Path, command: Command, options: Any) -> None:
        self.path = path
        self.command = command
        self.options = options


def load(name: str) -> dict[Path, Command]:
    """Returns the commands with this first word, by their paths: ("wait",) or ("auth", "login")."""
    commands: dict[str, Command] = import_module(f"..commands.{COMMAND_MODULES[name]}", __package__).COMMANDS
    paths = {tuple(words.split()): command for words, command in commands.items()}
    return {path: command for path, command in paths.items() if path[0] == name}


def declared_commands() -> dict[Path, Command]:
    """Returns every command by its path."""
    return {path: command for name in COMMAND_NAMES for path, command in load(name).items()}


def declared(path: Path) -> Command | None:
    """Returns the command at a path, None where the path is only its beginning."""
    return load(path[0]).get(path) if path else None


def parse(words: Sequence[str]) -> Call:
    """Returns the call that these words make.

    Raises HelpRequested, VersionRequested, UsageError with the fact `path`, or ConfigError for a variable of an option.
    """
    if words and words[0] == "help":
        names = [word for word in words[1:] if not _is_option(word)]
        if len(names) == 1 and names[0] in TOPICS:
            raise HelpRequested((), names[0])
        raise HelpRequested(_command_of([*words[1:], "--help"])[0])
    path, command, before, after = _command_of(words)
    if command is None:
        raise VersionRequested if any(word in VERSION_FLAGS for word in before) else HelpRequested(path)
    try:
        given, operands = _parsed(path, command, before)
        values = _operands(command, [*operands, *after])
        options = GlobalOptions({**resolved(given, [*command.options, *GLOBAL_OPTIONS]), **values})
        if options.output not in (None, "json") and not command.has_rows:
            words = f"--output {options.output} is for commands that print rows; {' '.join(path)} prints one result"
            raise UsageError(words, drop=("--output",))
    except UsageError as error:
        raise error.but(path=path) from None
    return Call(path, command, options)


def _command_of(words: Sequence[str]) -> tuple[Path, Command | None, list[str], list[str]]:
    """Returns the path of the command, the command, and the other words: before and after `--`."""
    cut = list(words).index("--") if "--" in words else len(words)
    before, after = list(words[:cut]), list(words[cut + 1 :])
    path: Path = ()
    found: dict[Path, Command] = {}
    while path not in found:
        index = _first_operand(before, path)
        if index is not None:
            word = before.pop(index)
        elif after and not any(flag in before for flag in (*HELP_FLAGS, *VERSION_FLAGS)):
            word = after.pop(0)
        else:
            return path, None, before, after
        names = [known[1] for known in found] if path else COMMAND_NAMES
        path = (*path, word)
        if word not in names:
            raise mistyped(
                f"unknown command {' '.join(path)!r}",
                word,
                names,
                f": use one of {', '.join(names)}",
                path=path[:-1],
                unknown_command=path,
            )
        found = found or load(word)
    return path, found[path], before, after


def _first_operand(words: Sequence[str], path: Path) -> int | None:
    """Returns the index of the first word that is neither a global option nor its value."""
    is_value = False
    for index, word in enumerate(words):
        name = word.partition("=")[0]
        if not is_value and not _is_option(word):
            return index
        if not is_value and name not in _KNOWN:
            raise mistyped(f"unknown option {name}", name, _KNOWN, path=path)
        is_value = not is_value and word in _VALUED
    return None


def mistyped(message: str, wrong: str, known: Collection[str], otherwise: str = "", **facts: Any) -> UsageError:
    """Returns the error for an unknown word: Mistyped with the nearest known one, else the message and `otherwise`."""
    import difflib  # only an error needs it, and the words of other tools

    from .examples import OTHER_OPTIONS

    other = OTHER_OPTIONS.get(wrong, "")
    plain, words = wrong.lstrip("-"), {word.lstrip("-"): word for word in known}  # equal dashes are no likeness
    longer = [word for word in words if len(plain) >= MIN_BEGINNING and word.startswith(plain)]
    close = longer if len(longer) == 1 else difflib.get_close_matches(plain, words, 1, SIMILARITY)
    near = [other] if other.partition(" ")[0] in known else [words[word] for word in close]
    if near and near[0] != wrong:
        return Mistyped(f"{message}; did you mean {near[0]}?", wrong=wrong, right=near[0], **facts)
    return UsageError(message + otherwise, **facts)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raises UsageError, in this program's words."""
        message = message.replace("argument -", "-", 1).replace("expected one argument", "needs a value")
        raise UsageError(re.sub(r"ignored explicit argument (.*)", r"takes no value, not \1", message))


class _Raise(argparse.Action):
    """An option that ends the call before it begins, with the exception that is its `const`."""

    def __call__(self, *_: Any) -> None:
        raise self.const


def _parsed(path: Path, command: Command, words: list[str]) -> tuple[Mapping[str, Any], list[str]]:
    """Returns the options that the words give, by `dest`, and the operands among them."""
    parser = _Parser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    options = [*command.options, *GLOBAL_OPTIONS]
    for option in options:
        if option.is_switch:
            parser.add_argument(*option.flags, dest=option.dest, action="store_true")
        else:
            action, read = "append" if option.is_list else "store", partial(_value, option.read, option.flags)
            parser.add_argument(*option.flags, dest=option.dest, action=action, type=read)
    parser.add_argument(*HELP_FLAGS, action=_Raise, nargs=0, const=HelpRequested(path))
    parser.add_argument(*VERSION_FLAGS, action=_Raise, nargs=0, const=VersionRequested())
    namespace, rest = parser.parse_known_args(words)
    for word in filter(_is_option, rest):
        name = word.partition("=")[0]
        known = [flag for option in options for flag in option.flags]
        raise mistyped(f"unknown option {name}", name, [*known, *HELP_FLAGS])
    return vars(namespace), rest


def _operands(command: Command, words: list[str]) -> dict[str, Any]:
    """Returns the operands by `dest`. Raises UsageError for one that is missing, unexpected or cannot be read."""
    found: dict[str, Any] = {}
    rest = words
    for index, operand in enumerate(command.operands):
        is_single = operand.takes in ("1", "?")
        if not rest and operand.takes in ("1", "+"):
            missing = [other.metavar for other in command.operands[index:] if other.takes in ("1", "+")]
            raise UsageError(f"missing {' and '.join(missing)}")
        taken, rest = (rest[:1], rest[1:]) if is_single else (rest, [])
        values = [_value(operand.read, (), word) for word in taken]
        found[operand.dest] = values if not is_single else values[0] if values else None
    if rest:
        raise UsageError(f"unexpected argument {rest[0]!r}")
    return found


def _value(read: Callable[[str], Any], flags: Sequence[str], text: str) -> Any:
    """Returns the value of an option, or of an operand without flags. Raises UsageError, with the nearest choice."""
    try:
        return read(text)
    except ValueError as error:
        message = f"{'/'.join(flags)}: {error}" if flags else str(error)
        known = error.known if isinstance(error, UnknownWord) else ()
        raise mistyped(message, text, known, bad_value=(flags, text)) from None


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"
