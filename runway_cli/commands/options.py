"""How a command declares itself. Parser, help, completions and `schema` derive from these declarations.

A module of this package has one `COMMAND`, or `COMMANDS` by the words below its name: `avatars` has {"list": …}.
"""

from __future__ import annotations

from .. import settings as values
from ..api.services import GATEWAYS
from ..errors import ConfigError, UsageError
from ..settings import setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .context import Context

    Run = Callable[[Context, Any], int]
    Example = Sequence[str]
    from collections.abc import Mapping, Sequence


READS, WRITES, COSTS = "reads", "writes", "may cost credits"


class Option:
    """One option, declared once.

    `flags` are its spellings, the long one last. `metavar` is None for a switch. `read` turns its text into a value,
    with ValueError for a user. `variable` is the environment variable that sets it too, read with `read`. `choices` are
    its allowed words, if it has only some. `dest` is its attribute in the options; several options may share one, as a
    list of values in their order (`is_list`).
    """

    __slots__ = ("choices", "default", "dest", "flags", "help", "is_list", "metavar", "read", "variable")

    def __init__(
        self,
        *flags: str,
        help: str,
        metavar: str | None = None,
        read: Callable[[str], Any] | None = None,
        default: Any = None,
        choices: Sequence[str] = (),
        variable: str | None = None,
        dest: str | None = None,
        is_list: bool = False,
    ) -> None:
        self.flags = flags
        self.metavar = metavar
        self.help = help
        self.read = read
        self.choices = choices
        self.variable = variable
        self.is_list = is_list
        self.dest = dest or flags[-1].lstrip("-").replace("-", "_")
        self.default = False if metavar is None and default is None else default

    @property
    def is_switch(self) -> bool:
        return self.metavar is None

    def words(self, value: Any) -> list[str]:
        """The words of a call that give this value, none for the default."""
        if value == self.default or self.is_list:
            return []
        if self.is_switch:
            return [self.flags[-1]]
        from ..settings import shown_number

        return [self.flags[-1], shown_number(value) if isinstance(value, float) else str(value)]


class Operand:
    """An argument without a flag. `takes`: "1", "?" (may be left out), "+" (one or more) or "*" (any number)."""

    __slots__ = ("dest", "help", "metavar", "read", "takes")

    def __init__(
        self, dest: str, metavar: str, *, help: str, takes: str = "1", read: Callable[[str], Any] | None = None
    ) -> None:
        self.dest = dest
        self.metavar = metavar
        self.help = help
        self.takes = takes
        self.read = read


class Command:
    """One command: what it takes, what it prints, and what it does to the account.

    `summary` is a phrase that starts with a verb. `prints` describes stdout. `effect` is READS, WRITES or COSTS.
    `has_rows` tells whether --output can apply; "maybe" where that depends on the answer. `after_error` is the example
    for a failed call where nothing better is known.
    """

    __slots__ = (
        "after_error",
        "effect",
        "examples",
        "has_rows",
        "notes",
        "operands",
        "options",
        "prints",
        "run",
        "summary",
    )

    def __init__(
        self,
        run: Run,
        *,
        summary: str,
        examples: Sequence[Example],
        prints: str,
        operands: Sequence[Operand] = (),
        options: Sequence[Option] = (),
        effect: str = READS,
        has_rows: bool | str = False,
        after_error: Example | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.run = run
        self.summary = summary
        self.examples = examples
        self.prints = prints
        self.operands = operands
        self.options = options
        self.effect = effect
        self.has_rows = has_rows
        self.after_error = after_error
        self.notes = notes


class Options:
    """The values of one call: attributes by `dest`, never written to after it was made."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"options are read-only: {name}")


class GlobalOptions(Options):
    """What every command is given; the table is `cli.options`."""

    stage: bool
    gateway: str | None
    url_format: str
    client_id: str
    timeout: float
    retries: int
    output: str | None
    select: Any
    quiet: bool
    verbose: bool


# --- The global options: each declared once. Parser, environment, precedence, help and examples derive from this table.


FORMATS = ("json", "jsonl", "table", "markdown")
URL_FORMATS = ("auto", "new", "old")


def _select(text: str) -> Any:
    from ..terminal.console import parse

    return parse(text)


GLOBAL_OPTIONS = (
    Option("--stage", help="use the staging environment", variable="RUNWAY_SKILLS_STAGE"),
    Option(
        "--gateway",
        metavar="NAME",
        choices=GATEWAYS,
        help=f"call through a gateway: {', '.join(GATEWAYS)}",
        variable="RUNWAY_SKILLS_GATEWAY",
    ),
    Option(
        "--url-format",
        metavar="FORMAT",
        choices=URL_FORMATS,
        default="auto",
        help="the gateway's URLs: auto, new or old (default: auto)",
        variable="LOWCODEAPI_URL_FORMAT",
    ),
    Option(
        "--client-id",
        metavar="UUID",
        read=values.client_id,
        help="groups the requests of a session (default: a new one)",
        variable="RUNWAY_SKILLS_CLIENT_ID",
    ),
    Option(
        "--timeout",
        metavar="SECONDS",
        read=values.seconds,
        default=60.0,
        help="request timeout; for transfers, the idle timeout (default: 60)",
        variable="RUNWAY_SKILLS_TIMEOUT",
    ),
    Option(
        "--retries",
        metavar="N",
        read=values.count,
        default=2,
        help="maximum number of retries (default: 2)",
        variable="RUNWAY_SKILLS_RETRIES",
    ),
    Option("--output", metavar="FORMAT", choices=FORMATS, help="json, jsonl, table or markdown (default: json)"),
    Option(
        "--select", metavar="PATH[,PATH]", read=_select, help="print parts of the result, or of each row: id, output.0"
    ),
    Option(
        "-q",
        "--quiet",
        help="no progress or notes; the id of a started task is still shown",
        variable="RUNWAY_SKILLS_QUIET",
    ),
    Option("--verbose", help="show requests and answers on stderr", variable="RUNWAY_SKILLS_VERBOSE"),
)
# Every command has these too; they end the call before it begins.
HELP_FLAGS = ("-h", "--help")
VERSION_FLAGS = ("-v", "-V", "--version")
SERVICE_OPTIONS = ("stage", "gateway", "url_format")  # which choose the service: every example keeps them


def resolved(given: Mapping[str, Any], options: Sequence[Option]) -> dict[str, Any]:
    """The value of each option: of the command line, else of its variable, else its default.

    Raises ConfigError for a variable that cannot be read, UsageError for options that contradict each other.
    """
    found = {option.dest: _value(option, given) for option in options}
    gateway, stage = found.get("gateway"), found.get("stage")
    if "url_format" in given and not gateway:
        raise UsageError("--url-format is for a gateway: add --gateway lowcodeapi", add=("--gateway", GATEWAYS[0]))
    if stage and gateway:
        words = "--stage and --gateway contradict each other: a gateway calls Runway's production environment"
        drop = tuple(f"--{name}" for name in ("stage", "gateway") if name in given)
        variable = (
            None if len(drop) == 2 else "RUNWAY_SKILLS_STAGE" if drop == ("--gateway",) else "RUNWAY_SKILLS_GATEWAY"
        )
        raise UsageError(words, drop=("--gateway", "--url-format") if not variable else (), variable=variable)
    return found


def _value(option: Option, given: Mapping[str, Any]) -> Any:
    if option.dest in given:
        return given[option.dest]
    text = setting(option.variable) if option.variable else None
    if text is None:
        return () if option.is_list else option.default
    try:
        return _from_variable(option, text)
    except ValueError as error:
        raise ConfigError(f"{option.variable} {error}", variable=option.variable) from None


def _from_variable(option: Option, text: str) -> Any:
    """The value of a variable's text. Raises ValueError."""
    if option.is_switch:
        return values.switch(text)
    is_off = text.lower() in values.OFF
    if is_off and option.default is None:
        return None
    read = option.read or values.one_of(*option.choices)
    try:
        return read("0" if is_off else text)
    except ValueError:
        if is_off and text != "0":
            return option.default  # off where 0 is not a value: as if it were unset
        raise
