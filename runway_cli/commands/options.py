"""How commands and options are declared, and the options of every command.

Parser, help, completions, `schema` and examples derive from these declarations. A module of this package that has
commands has `COMMANDS`: each Command by its words, such as "avatars list".
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable, Collection, Iterator, Sequence

from .. import settings
from ..api.client import GATEWAYS
from ..errors import ConfigError, UsageError
from ..terminal.console import FORMATS
from ..terminal.console import parse as selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    Token = tuple[str, Optional[str], list[str]]

OURS = "RUNWAY_SKILLS_"  # the prefix of most variables
READS, WRITES, COSTS = "reads", "writes", "may cost credits"


class Option:
    """One option, declared once: `Option("-f --field KEY=TEXT", "set a body field to text")`.

    `spelling` has its flags, the long one last, and behind them the name of its value; a switch has none. `read` turns
    its text into a value, with ValueError for a user; without it, the text is one of `choices`, if there are any.
    `dest` is its attribute in the options; several options may share one, as a list of values in their order
    (`is_list`). With a `prefix`, the environment variable PREFIX plus `dest` in capitals sets it too.
    """

    def __init__(
        self,
        spelling: str,
        help: str,
        read: Callable[[str], Any] | None = None,
        *,
        default: Any = None,
        choices: Sequence[str] = (),
        prefix: str = "",
        dest: str | None = None,
        is_list: bool = False,
    ) -> None:
        words = spelling.split()
        self.flags = tuple(word for word in words if word.startswith("-"))
        self.is_switch = words[-1] in self.flags
        self.metavar = None if self.is_switch else words[-1]
        self.help = help
        self.read = read or (settings.switch if self.is_switch else settings.one_of(*choices) if choices else str)
        self.choices = choices
        self.is_list = is_list
        self.dest = dest or self.flags[-1].lstrip("-").replace("-", "_")
        self.variable = prefix + self.dest.upper() if prefix else None
        self.default = False if self.is_switch else () if is_list else default


class Operand:
    """An argument without a flag. `spelling` is as the help shows it: `[ID]` may be left out, `ID...` be repeated."""

    def __init__(self, dest: str, spelling: str, help: str, read: Callable[[str], Any] = str) -> None:
        self.dest = dest
        self.spelling = spelling
        self.metavar = spelling.strip("[].")
        self.is_required = not spelling.startswith("[")
        self.repeats = "..." in spelling
        self.help = help
        self.read = read


class Command:
    """One command: what it takes, prints and does to the account. Keywords set what differs from these defaults."""

    examples: Sequence[str]  # calls as a POSIX shell reads them, without the program's name
    prints: str  # what stdout has
    summary = ""  # a phrase that starts with a verb; by default the one of SUMMARIES in `cli.parser`
    operands: Sequence[Operand] = ()
    options: Sequence[Option] = ()
    effect = READS  # or WRITES or COSTS
    has_rows = False  # whether --output may apply
    notes = ""  # further sentences of its help

    def __init__(self, run: Callable[..., int], **declared: object) -> None:
        self.run = run
        vars(self).update(declared)


class Options(Namespace):
    """The values of one call by `dest`: of GLOBAL_OPTIONS and of the command's own options and operands."""

    is_typed = False  # by `generate`: the contract types the body, and outputs are named after the text
    is_resumable = False  # of `generate` without --to: the same call resumes what it has started
    unfinished = False  # of `wait`: it waits for every unfinished task of the history


GLOBAL_OPTIONS = (
    Option("--stage", "use the staging environment", prefix=OURS),
    Option("--gateway NAME", f"call through a gateway: {', '.join(GATEWAYS)}", choices=GATEWAYS, prefix=OURS),
    Option(
        "--url-format FORMAT",
        "the gateway's URLs: auto, new or old (default: auto)",
        choices=("auto", "new", "old"),
        default="auto",
        prefix="LOWCODEAPI_",
    ),
    Option("--client-id ID", "groups a session's requests (default: the agent's)", settings.client_id, prefix=OURS),
    Option(
        "--timeout SECONDS",
        "request timeout; for transfers, the idle timeout (default: 60)",
        settings.seconds,
        default=60.0,
        prefix=OURS,
    ),
    Option("--retries N", "maximum number of retries (default: 2)", settings.integer(0, 100), default=2, prefix=OURS),
    Option(
        "--output FORMAT",
        f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]} (default: {FORMATS[0]}); the variable: on a terminal only",
        choices=FORMATS,
        prefix=OURS,
    ),
    Option("--select PATH[,PATH]", "print parts of the result, or of each row: id, output.0", selection),
    Option("-q --quiet", "no progress or notes; the id of a started task is still shown", prefix=OURS),
    Option("--verbose", "show requests and answers on stderr", prefix=OURS),
)
# Every command has these too; they replace the call.
HELP_FLAGS = ("-h", "--help")
VERSION_FLAGS = ("-v", "-V", "--version")
VALUE = re.compile(r"(?!-)|-\Z|-\d*\.?\d+\Z|.* ", re.DOTALL)  # what may follow an option as its value: -5, but not -x
SERVICE_FLAGS = ("--stage", "--gateway", "--url-format")  # they choose the service, so every example keeps them


def tokens(rest: list[str], options: Sequence[Option], also: Collection[str] = ()) -> Iterator[Token]:
    """Takes words from `rest`, and yields (flag, value or None, words), or ("", operand, words).

    `words` are those that it was made of. `--`, which ends the options, is yielded as a flag without a value. `also`
    are further flags that have a value. The words need not be a complete or valid call: this finds the
    command before argparse, and serves completions and examples.
    """
    valued = {flag for option in options if not option.is_switch for flag in option.flags} | {*also}
    switches = {flag for option in options if option.is_switch for flag in option.flags}
    has_ended = False
    while rest:
        word = rest.pop(0)
        if not has_ended and word[:2] in switches and f"-{word[2:3]}" in valued:  # -qf KEY=TEXT
            yield word[:2], None, [word[:2]]
            word = f"-{word[2:]}"
        flag, mark, value = word.partition("=")
        if has_ended or not word.startswith("-") or word == "-":
            yield "", word, [word]
        elif word == "--":
            has_ended = True
            yield word, None, [word]
        elif mark and (flag.startswith("--") or flag in valued):
            yield flag, value, [word]
        elif word in valued and rest and VALUE.match(rest[0]):
            yield word, rest[0], [word, rest.pop(0)]
        elif word[:2] in valued and len(word) > 2:
            yield word[:2], word[2:], [word]
        else:
            yield word, None, [word]


def resolved(given: dict[str, Any], options: Sequence[Option]) -> dict[str, Any]:
    """Returns the options by `dest`: given, or from a variable, or the default. Raises ConfigError, UsageError."""
    found = {option.dest: option.default for option in options} | given
    for option in options:
        text = settings.setting(option.variable) if option.variable and option.dest not in given else None
        if text is not None:
            try:
                found[option.dest] = option.read(text)
            except ValueError as error:
                raise ConfigError(f"{option.variable} {error}", variable=option.variable) from None
    found["client_id"] = found["client_id"] or settings.session_uuid()
    if "url_format" in given and not found["gateway"]:
        raise UsageError("--url-format is for a gateway: add --gateway lowcodeapi", add=("--gateway", GATEWAYS[0]))
    if found["stage"] and found["gateway"]:
        words = "--stage and --gateway contradict each other: a gateway calls Runway's production environment"
        if "stage" in given and "gateway" in given:
            raise UsageError(words, drop=("--gateway", "--url-format"))
        raise UsageError(words, variable=f"RUNWAY_SKILLS_{'STAGE' if 'gateway' in given else 'GATEWAY'}")
    return found
