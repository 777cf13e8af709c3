"""`completions`: a script for bash, zsh or fish, generated from the declared commands.

Each script walks over the words before the cursor to the place where it stands, and offers what one table has for it:
"--option" (its value), "command:0" (an operand, "*" any), "command-" (its own options). The words of the table stand
for themselves, except FILE, @FILE and KEY=FILE, which are files, alone or after a mark. Endpoint paths and models come
from the cached contract, never from the network.
"""

from __future__ import annotations

from ..errors import UsageError
from ..settings.values import one_of
from ._command import Command, GlobalOptions, Operand
from ._shells import BASH, FISH, WALK, ZSH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from ._command import Option
    from ._context import Context

    Path = tuple[str, ...]
    Known = dict[str, list[str]]

SHELLS = ("bash", "zsh", "fish")
FILES = {
    "--body": "@FILE",
    "--download": "FILE",
    "--to": "FILE",
    "--log": "FILE",
    "FILE": "FILE",
    "ROWS": "FILE",
    "KEY=FILE": "KEY=FILE",
}


class Options(GlobalOptions):
    shell: str


def run(context: Context, options: Options) -> int:
    """Prints the script."""
    if options.select:
        raise UsageError("--select applies to JSON, not to a script", drop=("--select",))
    program = context.program()
    context.console.write(script(options.shell, program.commands, program.global_options, _contract_words(context)))
    return 0


def script(
    shell: str, program: Mapping[Path, Command], global_options: Sequence[Option], contract: Known | None = None
) -> str:
    """The completions for one of SHELLS. `contract` has the words for PATH and for M, if they are known."""
    from .request import METHODS
    from .skill import HOSTS

    known: Known = {
        **{name: [files] for name, files in FILES.items()},
        "HOST": [*HOSTS, "FILE"],
        "METHOD": list(METHODS),
        "SHELL": list(SHELLS),
        **(contract or {}),
    }
    table = {place: words for place, words in _places(program, global_options, known) if words}
    options = [*global_options, *(option for command in program.values() for option in command.options)]
    valued = dict.fromkeys(flag for option in options if not option.is_switch for flag in option.flags)
    steps = dict.fromkeys("/" + "/".join(path[:size]) for path in program for size in range(1, len(path) + 1))
    if shell == "fish":
        lines = [f"case '{place}'\n            __runway_cli_offer {' '.join(words)}" for place, words in table.items()]
        return _filled(FISH, " ".join(valued), " ".join(steps), ("\n" + " " * 8).join(lines))
    lines = [f"{place}) _runway_cli_offer {' '.join(words)} ;;" for place, words in table.items()]
    template = {"bash": BASH, "zsh": ZSH}[shell].replace("@WALK@", WALK)
    return _filled(template, "|".join(valued), "|".join(steps), "\n    ".join(lines))


def _filled(template: str, valued: str, steps: str, table: str) -> str:
    return template.replace("@VALUED@", valued).replace("@STEPS@", steps).replace("@TABLE@", table)


def _places(
    program: Mapping[Path, Command], global_options: Sequence[Option], known: Known
) -> Iterator[tuple[str, list[str]]]:
    """What is offered where."""
    options = [*global_options, *(option for command in program.values() for option in command.options)]
    for option in options:
        words = _values(option, known)
        for flag in option.flags:
            yield flag, words
    yield "-", [*(flag for option in global_options for flag in option.flags), "-h", "--help", "-v", "-V", "--version"]
    names = dict.fromkeys(path[0] for path in program)
    yield ":0", [*names, "help"]
    for name in names:
        nested = [path[1] for path in program if path[0] == name and len(path) > 1]
        yield f"/{name}:0", nested
    for path, command in program.items():
        at = "/" + "/".join(path)
        yield f"{at}-", [flag for option in command.options for flag in option.flags]
        yield from _operand_places(at, command, known)


def _operand_places(at: str, command: Command, known: Known) -> Iterator[tuple[str, list[str]]]:
    number = 0
    for operand in command.operands:
        names = operand.metavar.split()
        for name in names:
            is_any = operand.takes in ("*", "+") and len(names) == 1
            yield f"{at}:{'*' if is_any else number}", known.get(name, [])
            number += 1


def _values(option: Option, known: Known) -> list[str]:
    if option.choices:
        return list(option.choices)
    names = [*option.flags, option.metavar or ""]
    return next((known[name] for name in names if name in known), [])


def _contract_words(context: Context) -> Known:
    """The endpoints' paths and the models of the contract in the cache; nothing where there is none."""
    from ..contract import source

    contract = source.kept(context.client(with_secret=False))
    if contract is None:
        return {}
    from ..contract.models import models
    from ..contract.schema import endpoints

    paths = dict.fromkeys(found.path for found in endpoints(contract.document))
    rows: list[dict[str, Any]] = models(contract.document)
    plain = [path for path in paths if _is_plain(path.replace("{", "").replace("}", ""))]
    names = [str(row["model"]) for row in rows if _is_plain(str(row["model"]))]
    ends = dict.fromkeys(end for row in rows for end in row["endpoints"] if _is_plain(end))
    return {"PATH": [path.replace("{", "").replace("}", "") for path in plain], "M": names, "ENDPOINT": list(ends)}


def _is_plain(word: str) -> bool:
    """Whether a word needs no quotes in any shell."""
    import re

    return re.fullmatch(r"[A-Za-z0-9/_.-]+", word, re.ASCII) is not None


COMMAND = Command(
    run,
    summary="print completions for a shell",
    operands=(
        Operand(
            "shell", "SHELL", help="bash, zsh or fish; the script's first lines say where it goes", read=one_of(*SHELLS)
        ),
    ),
    examples=tuple(("completions", shell) for shell in SHELLS),
    prints="a script",
)
