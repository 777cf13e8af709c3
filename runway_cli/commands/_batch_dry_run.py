"""`batch --dry-run`: the request of every row that would be sent. No lock, no log, no change on the disk."""

from __future__ import annotations

from ..jobs.batch_log import check_account, read_state
from ..jobs.history import account
from ..terminal import masking
from ..terminal.columns import Column
from ._batch_options import log_path
from ._batch_plan import make_plan, shown_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.client import Client
    from ..jobs.batch_row import Row
    from ..jobs.batch_state import LogState
    from ._batch_options import Options
    from ._context import Context

COLUMNS = (
    Column("Row", "row"),
    Column("Name", "name"),
    Column("Url", "url"),
    Column("Body", "body"),
)


def show(context: Context, options: Options, client: Client, rows: list[Row]) -> int:
    """The request of every row that would be sent, masked; nothing is changed."""
    path = log_path(options)
    shown_client = context.client(with_secret=False)
    state = read_state(path)
    if client.target.secret:
        check_account(state, account(client.target.base_url, client.target.secret), path)
        state.resolve(context.history(client), lambda row, key, identity: _resolved(state, row, key, identity))
    plan = make_plan(context, options, client, state, rows)
    try:
        for row in plan.unsent:
            body = row.value(shown_file)
            shown = {
                "dry_run": True,
                "row": row.number,
                "name": row.name,
                "method": "POST",
                "url": masking.own_url(shown_client.address("POST", row.path)),
                "headers": shown_client.headers(row.has_body),
                "body": masking.value(body) if row.has_body else None,
            }
            context.console.row(shown, alone=False)
    finally:
        context.console.end_rows(COLUMNS)
    context.console.note(f"{len(plan.unsent)} of {len(rows)} rows would be sent")
    return 0


def _resolved(state: LogState, row: str, key: str, identity: str) -> None:
    event = {"event": "started", "id": identity} if identity else {"event": "unsent"}
    state.add({**event, "row": row, "key": key})
