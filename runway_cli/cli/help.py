"""Help as text: of the program, of a command, and of the topics that all commands share."""

from __future__ import annotations

import textwrap

from ..commands.options import GLOBAL_OPTIONS, HELP_FLAGS, VERSION_FLAGS, Command
from ..errors import EXITS
from ..terminal.console import terminal_width
from ..terminal.program import IS_WINDOWS, command_line, quoted_call
from .parser import COMMAND_NAMES, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..commands.options import Option


TITLE = "The Runway API (generative video, images, audio, avatars) on the command line."
NO_BREAK = "\u00a0"  # a space at which no line is folded
MAX_WIDTH = 80  # columns that help keeps to
MIN_WIDTH = 40
MAX_NAMES = 26  # columns of the names of options; what is longer has its text on the next line
EXAMPLES = (
    (
        *("request", "POST", "/v1/text_to_image", "-f", "model=gen4_image", "-f", "promptText=a red fox"),
        *("-f", "ratio=1280:720", "--wait", "--download", "fox.png"),
    ),
    ("auth", "status"),
)
GROUPS = {  # commands that share a line
    ("avatars", "voices", "documents"): "list them",
    ("upload", "download"): "files to the API's storage; outputs to files",
    ("schema", "skill"): "for agents: describe or install this program",
}
MORE = (
    "More: COMMAND --help, help options (--output, --stage, …), help environment (keys, NO_COLOR), "
    "help exit (exit status)"
)
SUMMARIES = {"auth": "check the API key; show how to set it"}

_VARIABLES = (
    ("RUNWAY_SKILLS_API_SECRET", "the API key; else RUNWAYML_API_SECRET"),
    ("RUNWAY_SKILLS_API_SECRET_STAGE", "the key for --stage, tried first"),
    ("RUNWAY_SKILLS_BASE_URL", "another address of the API"),
    ("RUNWAY_SKILLS_HISTORY", "the history file, or off"),
    ("RUNWAY_SKILLS_OPENAPI_URL", "where the API's contract comes from"),
    ("RUNWAY_SKILLS_DIR", "a checkout of the skill"),
    ("LOWCODEAPI_API_TOKEN", "the gateway's token"),
    ("LOWCODEAPI_BASE_URL", "the address of a self-hosted gateway"),
    ("HTTPS_PROXY, NO_PROXY", "the proxy, and hosts that are reached without it"),
    ("SSL_CERT_FILE", "further certificate authorities"),
)


def text(path: Sequence[str], topic: str | None = None) -> str:
    """The help of a command by its path, of the program for (), or of a topic."""
    if topic == "options":
        return _options_topic()
    if topic == "environment":
        return _environment_topic()
    if topic == "exit":
        return _exit_topic()
    if not path:
        return _program()
    found = load(path[0])
    if isinstance(found, Command):
        return _command(path, found)
    return _command(path, found[path[1]]) if len(path) > 1 else _group(path[0], found)


def summary(name: str) -> str:
    """What a command, or a group of commands, does."""
    if name in SUMMARIES:
        return SUMMARIES[name]
    found = load(name)
    return found.summary if isinstance(found, Command) else next(iter(found.values())).summary


def _program() -> str:
    grouped = {name: names for names in GROUPS for name in names}
    rows = []
    for name in COMMAND_NAMES:
        names = grouped.get(name)
        if names is None:
            rows.append((name, summary(name)))
        elif names[0] == name:
            rows.append((", ".join(names), GROUPS[names]))
    return _lines(
        f"Usage: {command_line(())} COMMAND [options]",
        *_folded(TITLE),
        "",
        "Commands:",
        *_table(rows),
        "",
        "Examples:",
        *_examples(EXAMPLES),
        *_folded(MORE),
    )


def _group(name: str, commands: Mapping[str, Command]) -> str:
    return _lines(
        *_folded(f"Usage: {command_line((name,))} COMMAND [options]"),
        "",
        "Commands:",
        *_table([(word, command.summary) for word, command in commands.items()]),
        "",
        "Examples:",
        *_examples([command.examples[0] for command in commands.values()]),
        *_pointer(),
    )


def _command(path: Sequence[str], command: Command) -> str:
    operands = [
        {
            "1": operand.metavar,
            "?": f"[{operand.metavar}]",
            "+": f"{operand.metavar}...",
            "*": f"[{operand.metavar}...]",
        }[operand.takes]
        for operand in command.operands
    ]
    lines = [
        *_folded(f"Usage: {command_line(path)} {' '.join([*operands, '[options]'])}"),
        "",
        *_folded(f"{command.summary[0].upper()}{command.summary[1:]}."),
        *_folded(" ".join(command.notes)),
    ]
    if command.operands:
        lines += ["", "Arguments:", *_table([(operand.metavar, operand.help) for operand in command.operands])]
    if command.options:
        lines += ["", "Options:", *_table(_rows(command.options))]
    lines += ["", *_folded(f"Prints {command.prints}.")]
    return _lines(*lines, "", "Examples:", *_examples(command.examples), *_pointer())


def _pointer() -> list[str]:
    flags = ", ".join(option.flags[-1] for option in GLOBAL_OPTIONS)
    return ["", *_folded(f"Global options: {flags}. See `{command_line(('help', 'options'))}`.")]


def _options_topic() -> str:
    rows = [*_rows(GLOBAL_OPTIONS), (", ".join(HELP_FLAGS), "show the help")]
    return _lines(
        *_folded(
            "Global options stand before or after the command, on every command. An option wins over its variable."
        ),
        "",
        *_table([*rows, (", ".join(VERSION_FLAGS), "show the version")]),
    )


def _environment_topic() -> str:
    rows = [*_VARIABLES, *((str(o.variable), f"as {o.flags[-1]}: {o.help}") for o in GLOBAL_OPTIONS if o.variable)]
    return _lines(*_folded("Environment variables. An empty one counts as unset."), "", *_table(rows, most=34))


def _exit_topic() -> str:
    rows = [
        (f"{found.status:<4}{found.kind}", found.meaning) for found in sorted(EXITS, key=lambda found: found.status)
    ]
    return _lines(*_folded("Exit statuses, and the `kind` of the error object on stderr."), "", *_table(rows))


def _rows(options: Sequence[Option]) -> list[tuple[str, str]]:
    rows = []
    for option in options:
        names = ", ".join(option.flags) + (f" {option.metavar}" if option.metavar else "")
        rows.append((names, option.help + (f" [env:{NO_BREAK}{option.variable}]" if option.variable else "")))
    return rows


def _table(rows: Sequence[tuple[str, str]], most: int = MAX_NAMES) -> list[str]:
    """Names and texts in two columns; a name that is too long stands on a line of its own."""
    width = _width()
    longest = max(len(word) for _, words in rows for word in words.split(" "))
    column = min(max(len(name) for name, _ in rows), most, width // 2) + 4
    column = max(6, min(column, width - longest))  # no word is broken in a narrow window
    lines = []
    for name, words in rows:
        folded = _folded(words, width - column)
        first = f"  {name}"
        if len(first) + 2 > column:
            lines.append(first)
        else:
            lines.append(f"{first:<{column}}{folded.pop(0)}")
        lines += [" " * column + line for line in folded]
    return lines


def _examples(examples: Sequence[Sequence[str]]) -> list[str]:
    """Calls over several lines that a shell still reads as one; cmd and PowerShell have no sign for that in common."""
    if IS_WINDOWS:
        return ["  " + command_line(example) for example in examples]
    width = _width()
    lines = []
    for example in examples:
        line = "  "
        for words in _with_values(quoted_call(example)):
            if len(line) + len(words) > width - 3 and line.strip():
                lines.append(line + "\\")
                line = "    "
            line += words + " "
        lines.append(line.rstrip())
    return lines


def _with_values(words: Sequence[str]) -> list[str]:
    """The words, an option and what follows it as one: a line does not end between them."""
    found: list[str] = []
    for word in words:
        if found and found[-1].startswith("-") and " " not in found[-1] and not word.startswith("-"):
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def _folded(words: str, width: int | None = None) -> list[str]:
    return textwrap.wrap(words, max(width or _width(), 20), break_long_words=False, break_on_hyphens=False)


def _width() -> int:
    return max(min(terminal_width(), MAX_WIDTH) - 1, MIN_WIDTH)


def _lines(*lines: str) -> str:
    return "\n".join(lines).replace(NO_BREAK, " ") + "\n"
