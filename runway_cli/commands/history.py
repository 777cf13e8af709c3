"""`history`: what was started from this machine with this account, without the network."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence

from ..errors import UsageError
from ..jobs.ledger import STARTED, Attempt
from ..jsontext import Json
from ..settings import counted, number_of, relative
from ..terminal.console import TABLES
from ..terminal.tables import Column
from .context import Context
from .lists import LIMIT, MAX_ROWS
from .options import Command, Option, Options

COLUMNS: Sequence[Column] = (
    Column("Started", "startedAt"),
    Column("Model", "model", rank=2),
    Column("Prompt", "prompt", rank=1),
    Column("Status", "status"),
    Column("Credits", "credits"),
    Column("Saved", "saved", rank=1),
)
COUNTS = (Column("Jobs", "jobs"), Column("Credits", "credits"))
SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def run(context: Context, options: Options) -> int:
    """Prints the history of the account, newest first, or its cost by day, model or endpoint."""
    if options.session and not options.client_id:
        words = "--session shows what one client id started: add --client-id ID, or set RUNWAY_SKILLS_CLIENT_ID"
        raise UsageError(words, drop=("--session",))
    client = context.client()
    client.check_secret()
    history, now = context.history(client), context.clock.time()
    since = moment(options.since, now) if options.since else 0.0
    until = moment(options.until, now, is_end=True) if options.until else float("inf")
    found = history.attempts()
    attempts = [
        attempt
        for attempt in sorted(found, key=lambda attempt: (attempt.at, attempt.n), reverse=True)
        if since <= attempt.at < until
        and (not options.unfinished or attempt.status == STARTED)
        and (not options.session or attempt.client == client.target.client_id)
    ]
    keys = ("id", "startedAt", "path", "model", "prompt", "status", "credits")
    rows = [{**{key: vars(each)[key] for key in keys}, "saved": list(map(relative, each.files))} for each in attempts]
    columns = COLUMNS
    if options.by:
        rows, columns = _grouped(attempts, options.by), (Column(options.by.capitalize(), options.by), *COUNTS)
    shown = rows[: options.limit or MAX_ROWS]
    credits = _sum(row["credits"] or 0 for row in shown)
    context.console.rows(shown, columns, is_cut=len(shown) < len(rows), credits=credits)
    if not found and os.path.lexists(history.path) and history.other_account():
        context.console.note("the history also has entries of other keys or base URLs")
    if context.console.format in TABLES:
        context.console.note(f"{counted(len(shown), 'row')}, {counted(credits, 'credit')}")
    return 0


def _sum(credits: Iterable[Json]) -> Json:
    return number_of(round(sum(credits), 4))


def _grouped(attempts: Sequence[Attempt], by: str) -> list[dict[str, Json]]:
    """Returns a row for each day (local time), model or endpoint of the attempts: its jobs and their credits."""
    from datetime import datetime

    rows: dict[str | None, dict[str, Json]] = {}
    for attempt in attempts:
        day = datetime.fromtimestamp(attempt.at).strftime("%Y-%m-%d") if by == "day" else None
        key = {"day": day, "model": attempt.model, "endpoint": attempt.path}[by]
        row = rows.setdefault(key, {by: key, "jobs": 0, "credits": 0})
        row["jobs"] += 1
        row["credits"] = _sum([row["credits"], attempt.credits or 0])
    return list(rows.values())


def moment(text: str, now: float, *, is_end: bool = False) -> float:
    """Returns `2h` before `now`, `today`, `yesterday`, or a date or time in seconds of the epoch. Raises ValueError.

    A date or time without a zone is local. A day means its start, or its end with `is_end`.
    """
    from datetime import datetime, timedelta

    if span := re.fullmatch(r"([0-9]{1,6})([mhdw])", text):
        return now - int(span[1]) * SECONDS[span[2]]
    try:
        if text in ("today", "yesterday"):
            text = (datetime.fromtimestamp(now) - timedelta(days=text == "yesterday")).strftime("%Y-%m-%d")
        # The same on every Python: `fromisoformat` itself takes more from version to version.
        if not re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{3})?)?(Z|[+-]\d\d:\d\d)?)?", text, re.ASCII):
            raise ValueError
        is_day = len(text) == len("2026-11-24")
        found = datetime.fromisoformat(text.replace("Z", "+00:00")) + timedelta(days=is_day and is_end)
        return found.timestamp()
    except (ValueError, OverflowError, OSError):
        words = "must be a time such as 2h, 3d, today, yesterday, 2026-11-24 or 2026-11-24T09:30"
        raise ValueError(f"{words}, not {text!r}") from None


def _checked(text: str) -> str:
    for is_end in (False, True):  # only a check: `run` parses it again with its own clock
        moment(text, time.time(), is_end=is_end)
    return text


COMMANDS = {
    "history": Command(
        run,
        options=(
            LIMIT,
            Option("--since WHEN", "only jobs started since: 2h, 3d, today, or a date", _checked),
            Option("--until WHEN", "only jobs started up to then", _checked),
            Option("--unfinished", "only jobs that have started and not ended"),
            Option("--session", "only jobs that this client id started"),
            Option("--by GROUP", "jobs and credits by day, model or endpoint", choices=("day", "model", "endpoint")),
        ),
        examples=("history", "history --since 2h --output table", "history --by day"),
        prints='{"data": [{"id", "startedAt", "path", "model", "prompt", "status", "credits", "saved"}], '
        '"credits": their sum}; with --by {"data": [{"day", "jobs", "credits"}], …}',
        has_rows=True,
    )
}
