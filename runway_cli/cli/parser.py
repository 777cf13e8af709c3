"""The words of a call → its command and options, read by argparse."""

from __future__ import annotations

import argparse
import os
import re
from functools import partial
from importlib import import_module

from ..commands.options import GLOBAL_OPTIONS, HELP_FLAGS, VERSION_FLAGS, Command, Options, resolved, tokens
from ..errors import ConfigError, Mistyped, UsageError
from ..settings import UnknownWord, as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any, NoReturn

    from ..commands.options import Option

    Path = tuple[str, ...]


# The lines of the help, in order: the first words of commands, the module that declares them where it is not called so,
# and what the help says of them, which is the summary of a command that has no other.
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
SIMILARITY = 0.65  # from 0 to 1, of a mistyped word and the one that is suggested for it
MIN_BEGINNING = 3  # characters that are enough to recognize the only word that begins with them
NEGATION = re.compile(r"\A(?:no|non|not|un|dis|de|without)-?")
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
    """Returns the call that these words make.

    Raises HelpRequested, VersionRequested, or with the fact `path` UsageError, or ConfigError for an option's variable.
    """
    if words and words[0] == "help":
        names = [word for word in words[1:] if not word.startswith("-")]
        if len(names) != 1 or names[0] in COMMAND_NAMES:
            raise HelpRequested(_command_of(words[1:])[0])
        if names[0] in TOPICS:
            raise HelpRequested((), names[0])
        raise mistyped(f"unknown command or topic {names[0]!r}", names[0], (*COMMAND_NAMES, *TOPICS), path=())
    path, command, rest = _command_of(words)
    if command is None:
        raise VersionRequested if any(word in VERSION_FLAGS for word in rest) else HelpRequested(path)
    try:
        given, operands = _given(path, command, rest)
        values = _operands(command, operands)
        if given.get("output", "json") != "json" and not command.has_rows:
            message = f"--output {given['output']} is for commands that print rows; {' '.join(path)} prints one result"
            raise UsageError(message, drop=("--output",))
        found = resolved(given, [*command.options, *GLOBAL_OPTIONS])
        options = Options(**found, is_output_given="output" in given, **values)
    except (UsageError, ConfigError) as error:
        raise error.but(path=path) from None
    return Call(path, command, options)


def _command_of(words: Sequence[str]) -> tuple[Path, Command | None, list[str]]:
    """Returns the path of the command, the command, None where the path is only its beginning, and the other words."""
    path: Path = ()
    found: dict[Path, Command] = {}
    others: list[str] = []
    rest = list(words)
    for flag, word, typed in tokens(rest, GLOBAL_OPTIONS):
        if flag:
            if flag not in (*_KNOWN, "--"):
                raise _unknown_option(typed[0], rest, _KNOWN, None).but(path=path)
            others += typed
            continue
        names = [known[1] for known in found] if path else COMMAND_NAMES
        command = (*path, str(word))
        if word not in names:
            message, choice = f"unknown command {' '.join(command)!r}", f": use one of {', '.join(names)}"
            raise mistyped(message, command[-1], names, choice, path=path, unknown_command=command)
        path, found = command, found or load(command[0])
        if path in found:
            break
    return path, found.get(path), [*others, *rest]


def mistyped(message: str, wrong: str, known: Collection[str], otherwise: str = "", **facts: Any) -> UsageError:
    """Returns the error for an unknown word: Mistyped with the nearest known one, else the message and `otherwise`."""
    import difflib  # only an error needs it

    plain, words = (
        wrong.lstrip("-"),
        {word.lstrip("-"): word for word in known},
    )  # shared dashes do not make words similar
    longer = [word for word in words if len(plain) >= MIN_BEGINNING and word.startswith(plain)]
    close = longer if len(longer) == 1 else difflib.get_close_matches(plain, words, 1, SIMILARITY)
    affirmed = NEGATION.sub("", plain)  # --no-open and uninstall are opposites, not typing errors
    likeness = [difflib.SequenceMatcher(None, word, near).ratio() for word in (affirmed, plain) for near in close]
    if close and words[close[0]] != wrong and likeness[0] <= likeness[1]:
        near = words[close[0]]
        return Mistyped(f"{message}; did you mean {near}?", wrong=wrong, right=near, **facts)
    return UsageError(message + otherwise, **facts)


def _unknown_option(word: str, after: Sequence[str], known: Collection[str], command: Command | None) -> UsageError:
    """Returns the error for an option; `after` are the words behind it, of which the first may be its value."""
    from . import translate

    name = word.partition("=")[0]
    found = translate.option(word, "".join(after[:1]), known, command)
    if found:
        flag, value, ours, hint = found
        return Mistyped(f"unknown option {flag}; {hint}", wrong=flag, value=value, ours=ours)
    for part, call in translate.CALLS:
        if re.search(part, name, re.IGNORECASE):
            return UsageError(f"unknown option {name}", try_next=call)
    is_theirs = any(name in flags.split() for flags, _, _ in translate.OPTIONS)  # and not a slip of ours
    return mistyped(f"unknown option {name}", name, () if is_theirs else known)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        message = message.replace("argument ", "", 1).replace("expected one argument", "needs a value")
        raise UsageError(re.sub(r"ignored explicit argument (.*)", r"takes no value, not \1", message))


class _Asked(argparse.Action):
    """Ends the parsing where help or the version is asked for."""

    def __call__(self, *_: Any) -> None:
        raise VersionRequested if self.option_strings[0] in VERSION_FLAGS else HelpRequested(())


def _given(path: Path, command: Command, words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Returns the options that the words give, by `dest`, and the operands among them."""
    end = words.index("--") if "--" in words else len(words)  # what argparse makes of it differs between its versions
    plain = partial(argparse.HelpFormatter, width=80)  # or argparse asks for the terminal's width at each option
    parser = _Parser(
        "", "", formatter_class=plain, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS
    )
    parser.add_argument(*HELP_FLAGS, action=_Asked, nargs=0)
    parser.add_argument(*VERSION_FLAGS, action=_Asked, nargs=0)
    options = [*command.options, *GLOBAL_OPTIONS]
    for option in options:
        if option.is_switch:
            parser.add_argument(*option.flags, dest=option.dest, action="store_true")
        else:
            read = partial(_value, option.read, option.flags)
            action = "append" if option.is_list else "store"
            parser.add_argument(*option.flags, dest=option.dest, action=action, type=read)
    try:
        found, rest = parser.parse_known_args(words[:end])
    except HelpRequested:
        raise HelpRequested(path) from None
    except UsageError as error:
        raise (None if error.facts else _dashed(words[:end], options)) or error from None  # argparse's own has no facts
    for place, word in enumerate(rest):
        if word.startswith("-") and word != "-":
            known = [*(flag for option in options for flag in option.flags), *HELP_FLAGS, *VERSION_FLAGS]
            after = [*rest[place + 1 :], *words[end + 1 :]][:1]
            raise _dashed(words[:end], options) or _unknown_option(word, after, known, command)
    return vars(found), [*rest, *words[end + 1 :]]


def _dashed(words: list[str], options: Sequence[Option]) -> UsageError | None:
    """Returns the error for a value or a text that was taken for an option, as it begins with a dash; None without."""
    known = {flag: option for option in options for flag in option.flags}
    for before, word in zip(["", *words], words):
        has_value = before in known and not known[before].is_switch
        if has_value and re.match("-[^-]", word) and word not in (*known, *HELP_FLAGS, *VERSION_FLAGS):
            return UsageError(f"{before}: {word!r} begins with a dash: write {before}=…", dashed=(before, word))
        if not has_value and re.match(r"-\w* ", word):
            return UsageError(f"{word!r} begins with a dash: put it after --", dashed=("", word))
    return None


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
        from .translate import field

        message, ours = f"unexpected argument {rest[0]!r}", field(rest[0])
        if any(ours[:1] == [flag] for option in command.options for flag in option.flags):
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
        known = error.known if isinstance(error, UnknownWord) else ()
        instead = getattr(error, "instead", None)
        raise mistyped(message, text, known, bad_value=(flags, text), instead=instead) from None
