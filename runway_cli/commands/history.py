"""`history`: what was started from this machine with this account, without the network."""

from __future__ import annotations

from ..errors import UsageError
from ..jobs.history import parse_since, total
from ..settings import shown_number
from ..terminal.console import TABLES
from ..terminal.tables import Column
from .lists import LIMIT, MAX_ROWS
from .options import Command, GlobalOptions, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .context import Context


COLUMNS = (
    Column("Started", "startedAt"),
    *(Column(key.capitalize(), key) for key in ("model", "prompt", "status", "credits", "saved")),
)


class Options(GlobalOptions):
    limit: int | None
    since: str | None
    unfinished: bool
    session: bool


def run(context: Context, options: Options) -> int:
    """Prints the history of the account, newest first."""
    if options.session and not options.client_id:
        words = "--session shows what one client id started: add --client-id ID, or set RUNWAY_SKILLS_CLIENT_ID"
        raise UsageError(words, drop=("--session",))
    client = context.client()
    client.check_secret()
    since = parse_since(options.since, context.clock.time()) if options.since else None
    history = context.history(client)
    rows = history.entries(since=since, unfinished=options.unfinished, session=options.session)
    shown = rows[: options.limit or MAX_ROWS]
    more: dict[str, Any] = {"credits": total(row["credits"] for row in shown)}
    if len(shown) < len(rows):
        more["truncated"] = True
    context.console.rows(shown, COLUMNS, more)
    if not rows and history.has_others:
        context.console.note("the history also has entries of other keys or base URLs")
    if context.console.format in TABLES:
        context.console.note(f"{len(shown)} rows, {shown_number(more['credits'])} credits")
    return 0


def _since(text: str) -> str:
    """Returns the text of a moment such as 2h, 3d or a date, which is read again against the clock of the run."""
    parse_since(text, 0.0)
    return text


COMMANDS = {
    "history": Command(
        run,
        summary="show what was started here, and its cost",
        options=(
            LIMIT,
            Option("--since", metavar="WHEN", read=_since, help="only jobs started since: 2h, 3d, today, or a date"),
            Option("--unfinished", help="only jobs that have started and not ended"),
            Option("--session", help="only jobs that this client id started"),
        ),
        examples=(("history",), ("history", "--since", "2h", "--output", "table"), ("history", "--unfinished")),
        prints='{"data": [{"id", "startedAt", "path", "model", "prompt", "status", "credits", "saved"}], '
        '"credits": their sum}',
        has_rows=True,
    )
}
