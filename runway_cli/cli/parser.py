"""The words of a call → its command and options, read by argparse."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Collection, Sequence
from functools import partial
from importlib import import_module

from ..commands.options import GLOBAL_OPTIONS, HELP_FLAGS, VERSION_FLAGS, Command, Options, resolved, tokens
from ..errors import ConfigError, Mistyped, UsageError
from ..settings import as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

Path = tuple[str, ...]  # of a command: ("auth", "login")
# The lines of the help, in order: the first words of commands, the module that declares them if its name differs, and
# what the help says about them, which is also the summary of a command that declares none.
COMMAND_LINES = (
    ("generate", "", "make a picture, video or sound, and save it"),
    ("request", "", "call any endpoint, wait, and save the outputs"),
    ("batch", "", "send many requests, each paid for once"),
    ("wait", "", "wait for tasks to end, and save their outputs"),
    ("cancel", "", "cancel running tasks; finished work is kept"),
    ("history", "", "show what was started here, and its cost"),
    ("upload download", "files", "files to the API's storage; outputs to files"),
    ("avatars voices documents", "lists", "list them"),
    ("models reference", "reference", "the API's models and endpoints, and their values"),
    ("auth", "", "check the API key; show how to set it"),
    ("schema skill", "", "for agents: describe or install this program"),
    ("completions", "", "print completions for a shell"),
)
COMMAND_MODULES = {name: module or name for names, module, _ in COMMAND_LINES for name in names.split()}
SUMMARIES = {names: summary for names, _, summary in COMMAND_LINES}
COMMAND_NAMES = tuple(COMMAND_MODULES)
TOPICS = ("options", "environment", "exit")
SIMILARITY = 0.65  # from 0 to 1, that a word needs to be suggested for a mistyped one


class HelpRequested(Exception):
    """A request for help. `args`: the path of a command, and perhaps a topic, which may be "version"."""


class Call:
    """A call that can be run: the path of its command, the command, and its options."""

    def __init__(self, path: Path, command: Command, options: Any) -> None:
        self.path = path
        self.command = command
        self.options = options


def load(name: str) -> dict[Path, Command]:
    """Returns the commands with this first word, by their paths: ("wait",) or ("auth", "login")."""
    commands: dict[str, Command] = import_module(f"..commands.{COMMAND_MODULES[name]}", __package__).COMMANDS
    for words, command in commands.items():
        command.summary = command.summary or SUMMARIES[words]
    paths = {tuple(words.split()): command for words, command in commands.items()}
    return {path: command for path, command in paths.items() if path[0] == name}


def declared_commands() -> dict[Path, Command]:
    """Returns every command by its path."""
    return {path: command for name in COMMAND_NAMES for path, command in load(name).items()}


def declared(path: Path) -> Command | None:
    """Returns the command at a path, None where the path is only its beginning."""
    return load(path[0]).get(path) if path else None


def parse(words: Sequence[str]) -> Call:
    """Returns the call of these words. Raises HelpRequested, or UsageError or ConfigError with the fact `path`."""
    if words and words[0] == "help":
        names = [word for word in words[1:] if not word.startswith("-")]
        if names and names[0] in TOPICS:
            raise HelpRequested((), names[0])
        if names and names[0] not in COMMAND_NAMES:
            raise mistyped(f"unknown command or topic {names[0]!r}", names[0], (*COMMAND_NAMES, *TOPICS))
        words = ["--help", *words[1:]]
    path, command, rest = _command_of(words)
    if command is None:
        raise HelpRequested(path, "version" if {*VERSION_FLAGS} & {*rest} else None)
    try:
        given, operands = _given(path, command, rest)
        values = _operands(command, operands)
        if given.get("output", "json") != "json" and not command.has_rows:
            message = f"--output {given['output']} is for commands that print rows; {' '.join(path)} prints one result"
            raise UsageError(message, drop=("--output",))
        found = resolved(given, [*command.options, *GLOBAL_OPTIONS])
        return Call(path, command, Options(**found, is_output_given="output" in given, **values))
    except (UsageError, ConfigError) as error:
        raise error.but(path=path) from None


def _command_of(words: Sequence[str]) -> tuple[Path, Command | None, list[str]]:
    """Returns the path of the command, the command, None where the path is only its beginning, and the other words."""
    path: Path = ()
    group: dict[Path, Command] = {}
    others: list[str] = []
    rest = list(words)
    known = [*(flag for option in GLOBAL_OPTIONS for flag in option.flags), *HELP_FLAGS, *VERSION_FLAGS]
    for flag, word, typed in tokens(rest, GLOBAL_OPTIONS):
        if flag:
            if flag not in (*known, "--"):
                from .translate import unknown_option

                raise unknown_option(typed[0], rest, known, None).but(path=path)
            others += typed
            continue
        names = [other[1] for other in group] if path else COMMAND_NAMES
        command = (*path, str(word))
        if word not in names:
            message, choice = f"unknown command {' '.join(command)!r}", f": use one of {', '.join(names)}"
            raise mistyped(message, command[-1], names, choice, path=path, unknown_command=command)
        path, group = command, group or load(command[0])
        if path in group:
            break
    return path, group.get(path), [*others, *rest]


def mistyped(message: str, wrong: str, known: Collection[str], otherwise: str = "", **facts: Any) -> UsageError:
    """Returns the error for an unknown word: Mistyped with the nearest known one, else the message and `otherwise`."""
    import difflib  # only an error needs it

    plain = wrong.lstrip("-")  # shared dashes do not make words similar
    words = {word.lstrip("-"): word for word in known}
    close = difflib.get_close_matches(plain, words, 1, SIMILARITY)
    affirmed = re.sub("^(no|non|not|un|dis|de|without)-?", "", plain)  # --no-open and uninstall are opposites, no typos
    likeness = [difflib.SequenceMatcher(None, word, near).ratio() for word in (affirmed, plain) for near in close]
    if close and words[close[0]] != wrong and likeness[0] <= likeness[1]:
        near = words[close[0]]
        return Mistyped(f"{message}; did you mean {near}?", wrong=wrong, right=near, **facts)
    return UsageError(message + otherwise, **facts)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        message = message.replace("argument ", "", 1).replace("expected one argument", "needs a value")
        raise UsageError(re.sub(r"ignored explicit argument (.*)", r"takes no value, not \1", message))


def _given(path: Path, command: Command, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Returns the options that the words give, by `dest`, and the operands among them."""
    options = [*command.options, *GLOBAL_OPTIONS]
    valued = [flag for option in options if not option.is_switch for flag in option.flags]
    known = [*(flag for option in options for flag in option.flags), *HELP_FLAGS, *VERSION_FLAGS]
    for flag, _, _ in tokens(list(words), options):
        if flag in (*HELP_FLAGS, *VERSION_FLAGS):
            raise HelpRequested(path, "version" if flag in VERSION_FLAGS else None)

    typed: list[str] = []
    operands: list[str] = []
    before = ""  # the option before, if it lacks its value
    rest = list(words)
    for flag, value, parts in tokens(rest, options):
        word = parts[0]
        if before and re.match("-[^-]", word) and word not in known:
            raise UsageError(f"{before}: {word!r} begins with a dash: write {before}=…", dashed=(before, word))
        if flag == "":
            operands.append(str(value))
        elif flag in known:
            typed += parts
        elif re.match(r"-\w* ", word):
            raise UsageError(f"{word!r} begins with a dash: put it after --", dashed=("", word))
        elif flag != "--":
            from .translate import unknown_option

            raise unknown_option(word, rest, known, command)
        before = flag if flag in valued and value is None else ""

    plain = partial(argparse.HelpFormatter, width=80)  # else argparse reads the terminal's width at each option
    parser = _Parser(formatter_class=plain, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for option in options:
        if option.is_switch:
            parser.add_argument(*option.flags, dest=option.dest, action="store_true")
        else:
            read = partial(_value, option.read, option.flags)
            action = "append" if option.is_list else "store"
            parser.add_argument(*option.flags, dest=option.dest, action=action, type=read)
    return vars(parser.parse_args(typed)), operands


def _operands(command: Command, words: list[str]) -> dict[str, Any]:
    """Returns the operands by `dest`. Raises UsageError for one that is missing, unexpected or cannot be read."""
    found: dict[str, Any] = {}
    rest = words
    for index, operand in enumerate(command.operands):
        if not rest and operand.is_required:
            missing = [other.metavar for other in command.operands[index:] if other.is_required]
            raise UsageError(f"missing {' and '.join(missing)}")
        taken, rest = (rest, []) if operand.repeats else (rest[:1], rest[1:])
        values = [_value(operand.read, (), word) for word in taken]
        found[operand.dest] = values if operand.repeats else next(iter(values), None)
    if rest:
        message = f"unexpected argument {rest[0]!r}"
        field = re.fullmatch(r"([A-Za-z_][\w.]*)(:=|==?)(.*)", rest[0], re.DOTALL)  # as httpie and replicate take it
        if field and any("--field" in option.flags for option in command.options):
            ours = ["-F" if field[2] == ":=" else "-f", f"{field[1]}={field[3]}"]
            raise Mistyped(f"{message}; did you mean {' '.join(ours)}?", wrong=rest[0], ours=ours)
        raise UsageError(message)
    return found


def _value(read: Callable[[str], Any], flags: Sequence[str], text: str) -> Any:
    """Returns the value of an option, or of an operand without flags. Raises UsageError, with the nearest choice."""
    try:
        if not text.isascii() and not any(map(os.path.exists, (text, text[1:], text.partition("=")[2]))):
            as_text(text)  # only an existing file may have a name that is not UTF-8
        return read(text)
    except ValueError as error:
        message = f"{'/'.join(flags)}: {error}" if flags else str(error)
        known, instead = getattr(error, "known", ()), getattr(error, "instead", None)
        raise mistyped(message, text, known, bad_value=(flags, text), instead=instead) from None
