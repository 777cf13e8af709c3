"""`schema`: this command line as JSON, derived from the declared commands."""

from __future__ import annotations

import shlex

from .. import __version__
from ..errors import EXITS
from ..jsontext import Json
from ..terminal.console import FORMATS
from .context import Context
from .options import GLOBAL_OPTIONS, Command, Option, Options

TYPES = {"SECONDS": "number", "N": "integer"}  # by metavar; any other is a string


def run(context: Context, options: Options) -> int:
    """Prints the schema."""
    shown = {
        "name": "runway-cli",
        "version": __version__,
        "commands": [
            {
                "command": " ".join(path),
                "summary": command.summary,
                "operands": [
                    {"name": each.metavar, "required": each.is_required, "repeats": each.repeats, "help": each.help}
                    for each in command.operands
                ],
                "options": [_option(option) for option in command.options],
                "prints": command.prints,
                "effect": command.effect,
                "output": list(FORMATS if command.has_rows else FORMATS[:1]),
                "examples": [shlex.split(example) for example in command.examples],
            }
            for path, command in context.program().items()
        ],
        "globalOptions": [_option(option) for option in GLOBAL_OPTIONS],
        "exitStatuses": [dict(zip(("status", "kind", "meaning"), found)) for found in EXITS],
    }
    context.console.result(shown)
    return 0


def _option(option: Option) -> dict[str, Json]:
    facts = {
        "flags": list(option.flags),
        "type": TYPES.get(option.metavar, "string") if option.metavar else "switch",
        "value": option.metavar,
        "default": option.default,
        "values": list(option.choices),
        "variable": option.variable,
        "repeats": option.is_list,
        "help": option.help,
    }
    return {key: fact for key, fact in facts.items() if fact not in (None, False, [], ())}


COMMANDS = {
    "schema": Command(
        run,
        summary="describe this command line as JSON, for agents",
        examples=("schema", "schema --select 'commands.*.command'"),
        prints="commands, operands, options, what each prints and does, and the exit statuses",
    )
}
