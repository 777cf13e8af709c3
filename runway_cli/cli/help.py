"""Help as text: of the program, of a command, and of the topics that all commands share."""

from __future__ import annotations

import shlex
import textwrap

from .. import settings
from ..api.client import SERVICES
from ..commands.options import GLOBAL_OPTIONS, HELP_FLAGS, VERSION_FLAGS, Command
from ..errors import EXITS
from ..terminal.console import terminal_size
from ..terminal.program import IS_WINDOWS, command_line, quoted_call
from .parser import SUMMARIES, declared, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..commands.options import Option

    Rows = Sequence[tuple[str, str]]


TITLE = "The Runway API (generative video, images, audio, avatars) on the command line."
NO_BREAK = "\u00a0"  # a space at which no line is folded
MAX_WIDTH = 80  # columns that help keeps to
MIN_WIDTH = 40
EXAMPLES = ("generate text_to_image 'a red fox' model=gen4_image ratio=1280:720 --to fox.png", "auth status")
MORE = (
    "More: COMMAND --help, help options (--output, --stage, …), help environment (keys, budget), "
    "help exit (exit status)"
)


def text(path: tuple[str, ...], topic: str | None = None) -> str:
    """Returns the help of a command or a group of commands by its path, of the program for (), or of a topic."""
    command = declared(path)
    if topic:
        lines = {"options": _options, "environment": _environment, "exit": _exits}[topic]()
    elif command:
        lines = _command(path, command)
    elif path:
        group = load(path[0])
        rows = [(words[1], each.summary) for words, each in group.items()]
        lines = [*_commands(path, "", rows, [each.examples[0] for each in group.values()]), *_pointer()]
    else:
        rows = [(names.replace(" ", ", "), summary) for names, summary in SUMMARIES.items()]
        lines = [*_commands((), TITLE, rows, EXAMPLES), *_folded(MORE)]
    return "\n".join(lines).replace(NO_BREAK, " ") + "\n"


def _commands(path: tuple[str, ...], title: str, rows: Rows, examples: Sequence[str]) -> list[str]:
    usage = _folded(f"Usage: {command_line(path)} COMMAND [options]")
    return [*usage, *_folded(title), "", "Commands:", *_table(rows), "", "Examples:", *_examples(examples)]


def _command(path: tuple[str, ...], command: Command) -> list[str]:
    operands = [operand.spelling for operand in command.operands]
    lines = [
        *_folded(f"Usage: {command_line(path)} {' '.join([*operands, '[options]'])}"),
        "",
        *_folded(f"{command.summary[0].upper()}{command.summary[1:]}."),
        *_folded(command.notes),
    ]
    if command.operands:
        lines += ["", "Arguments:", *_table([(operand.metavar, operand.help) for operand in command.operands])]
    if command.options:
        lines += ["", "Options:", *_table(_rows(command.options))]
    lines += ["", *_folded(f"Prints {command.prints}."), "", "Examples:", *_examples(command.examples)]
    return [*lines, *_pointer()]


def _pointer() -> list[str]:
    flags = ", ".join(option.flags[-1] for option in GLOBAL_OPTIONS)
    return ["", *_folded(f"Global options: {flags}. See `{command_line(('help', 'options'))}`.")]


def _options() -> list[str]:
    title = "Global options stand before or after the command, on every command. An option wins over its variable."
    more = [(", ".join(HELP_FLAGS), "show the help"), (", ".join(VERSION_FLAGS), "show the version")]
    return [*_folded(title), "", *_table([*_rows(GLOBAL_OPTIONS), *more])]


def _environment() -> list[str]:
    runway, *gateways = SERVICES.values()
    rows = [*runway.variables, *settings.VARIABLES, *(row for gateway in gateways for row in gateway.variables)]
    rows += [(option.variable, f"as {option.flags[-1]}: {option.help}") for option in GLOBAL_OPTIONS if option.variable]
    return [*_folded("Environment variables. An empty one counts as unset."), "", *_table(rows)]


def _exits() -> list[str]:
    rows = [(f"{status:<4}{kind}", meaning) for status, kind, meaning in sorted(EXITS, key=lambda each: each[0])]
    return [*_folded("Exit statuses, and the `kind` of the error object on stderr."), "", *_table(rows)]


def _rows(options: Iterable[Option]) -> list[tuple[str, str]]:
    return [
        (
            ", ".join(option.flags) + (f" {option.metavar}" if option.metavar else ""),
            option.help + (f" [env:{NO_BREAK}{option.variable}]" if option.variable else ""),
        )
        for option in options
    ]


def _table(rows: Rows) -> list[str]:
    """Returns names and texts in two columns; a name that is too long stands on a line of its own."""
    column = min(max(len(name) for name, _ in rows), _width() // 3) + 4
    lines = []
    for name, words in rows:
        folded = _folded(words, _width() - column)
        first = f"  {name}"
        lines.append(f"{first:<{column}}{folded.pop(0)}" if len(first) + 2 <= column else first)
        lines += [" " * column + line for line in folded]
    return lines


def _examples(examples: Iterable[str]) -> list[str]:
    """Returns calls over several lines that a POSIX shell reads as one; on Windows each has one line."""
    if IS_WINDOWS:
        return ["  " + command_line(shlex.split(example)) for example in examples]
    width = _width()
    lines = []
    for example in examples:
        words: list[str] = []
        for word in quoted_call(shlex.split(example)):
            if words and words[-1].startswith("-") and " " not in words[-1] and not word.startswith("-"):
                words[-1] += f" {word}"  # an option stays on one line with its value
            else:
                words.append(word)
        line = "  "
        for word in words:
            if len(line) + len(word) > width - 3 and line.strip():
                lines.append(line + "\\")
                line = "    "
            line += word + " "
        lines.append(line.rstrip())
    return lines


def _folded(words: str, width: int | None = None) -> list[str]:
    return textwrap.wrap(words, max(width or _width(), 20), break_long_words=False, break_on_hyphens=False)


def _width() -> int:
    return max(min(terminal_size()[0], MAX_WIDTH) - 1, MIN_WIDTH)
