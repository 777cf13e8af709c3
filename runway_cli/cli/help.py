"""Help as text: of the program, of a command, and of the topics that all commands share."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable, Sequence

from .. import __version__, settings
from ..api.client import SERVICES
from ..commands.options import GLOBAL_OPTIONS, HELP_FLAGS, VERSION_FLAGS, Option
from ..errors import EXITS
from ..terminal.console import terminal_size
from ..terminal.program import IS_WINDOWS, command_line, quoted_call
from .parser import SUMMARIES, declared, load

TITLE = "The Runway API (generative video, images, audio, avatars) on the command line."
NO_BREAK = "\u00a0"  # a space at which no line is folded
MAX_WIDTH = 80  # columns of help at most
MIN_WIDTH = 40
EXAMPLES = ("generate text_to_image 'a red fox' model=gen4_image ratio=1280:720 --to fox.png", "auth status")
MORE = (
    "More: COMMAND --help, help options (--output, --stage, …), help environment (keys, budget), "
    "help exit (exit status)"
)


def text(path: tuple[str, ...], topic: str | None = None) -> str:
    """Returns the help of a command or a group of commands by its path, of the program for (), or of a topic."""
    command = declared(path)
    flags = ", ".join(option.flags[-1] for option in GLOBAL_OPTIONS)
    pointer = ["", *_folded(f"Global options: {flags}. See `{command_line(('help', 'options'))}`.")]
    if topic == "version":
        return f"{__version__}\n"
    if topic == "options":
        title = "Global options may come before or after any command. An option overrides its environment variable."
        last = [(", ".join(HELP_FLAGS), "show the help"), (", ".join(VERSION_FLAGS), "show the version")]
        lines = [*_folded(title), "", *_table([*_rows(GLOBAL_OPTIONS), *last])]
    elif topic == "environment":
        runway, *gateways = SERVICES.values()
        rows = [*runway.variables, *settings.VARIABLES, *(row for gateway in gateways for row in gateway.variables)]
        set_too = [option for option in GLOBAL_OPTIONS if option.variable]
        rows += [(str(option.variable), f"as {option.flags[-1]}: {option.help}") for option in set_too]
        lines = [*_folded("Environment variables. An empty one counts as unset."), "", *_table(rows)]
    elif topic == "exit":
        rows = [(f"{status:<4}{kind}", meaning) for status, kind, meaning in sorted(EXITS, key=lambda each: each[0])]
        lines = [*_folded("Exit statuses, and the `kind` of the error object on stderr."), "", *_table(rows)]
    elif command:
        words = [*(operand.spelling for operand in command.operands), "[options]"]
        lines = [*_folded(f"Usage: {command_line(path)} {' '.join(words)}"), ""]
        lines += [*_folded(f"{command.summary[0].upper()}{command.summary[1:]}."), *_folded(command.notes)]
        if command.operands:
            lines += ["", "Arguments:", *_table([(operand.metavar, operand.help) for operand in command.operands])]
        if command.options:
            lines += ["", "Options:", *_table(_rows(command.options))]
        lines += ["", *_folded(f"Prints {command.prints}."), "", "Examples:", *_examples(command.examples), *pointer]
    else:
        intro, more = ([], pointer) if path else (_folded(TITLE), _folded(MORE))
        group = load(path[0]) if path else {}
        rows = [(words[1], each.summary) for words, each in group.items()]
        rows = rows or [(names.replace(" ", ", "), summary) for names, summary in SUMMARIES.items()]
        examples = [each.examples[0] for each in group.values()] or EXAMPLES
        usage = _folded(f"Usage: {command_line(path)} COMMAND [options]")
        lines = [*usage, *intro, "", "Commands:", *_table(rows), "", "Examples:", *_examples(examples), *more]
    return "\n".join(lines).replace(NO_BREAK, " ") + "\n"


def _rows(options: Iterable[Option]) -> list[tuple[str, str]]:
    rows = []
    for option in options:
        variable = f" [env:{NO_BREAK}{option.variable}]" if option.variable else ""
        rows.append((f"{', '.join(option.flags)} {option.metavar or ''}".rstrip(), option.help + variable))
    return rows


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
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
    lines = []
    for example in examples:
        call = " ".join(word.replace(" ", NO_BREAK) for word in quoted_call(shlex.split(example)))
        call = re.sub(r" (-\S*) (?!-)", rf" \1{NO_BREAK}", call)  # an option stays on one line with its value
        parts = [call] if IS_WINDOWS else _folded(call, _width() - 4)
        lines.append("  " + " \\\n    ".join(parts))
    return lines


def _folded(words: str, width: int | None = None) -> list[str]:
    return textwrap.wrap(words, max(width or _width(), 20), break_long_words=False, break_on_hyphens=False)


def _width() -> int:
    return max(min(terminal_size()[0], MAX_WIDTH) - 1, MIN_WIDTH)
