"""How a command declares itself. Parser, help, completions and `schema` derive from these declarations.

A module of this package has one `COMMAND`, or `COMMANDS` by the words below its name: `avatars` has {"list": …}.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ._context import Context

    Run = Callable[[Context, Any], int]
    Example = Sequence[str]

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
        from ..settings.values import shown_number

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
