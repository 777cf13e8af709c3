"""What a batch is going to do: the rows checked against the log, the folder and the contract before any is sent."""

from __future__ import annotations

import os

from ..errors import UsageError
from ..jobs.batch import BatchPlan
from ..jobs.batch_names import set_names, taken_names
from ..jobs.batch_row import set_keys
from ..settings.environment import absolute
from ._batch_options import folder_of, in_another_folder, log_path
from ._batch_rows import Faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..api.client import Client
    from ..jobs.batch_row import InputFile, Row
    from ..jobs.batch_state import LogState
    from ._batch_options import Options
    from ._context import Context


def make_plan(context: Context, options: Options, client: Client, state: LogState, rows: list[Row]) -> BatchPlan:
    """What is to be done, checked as a whole. Raises UsageError, and NetworkError for --check without a contract."""
    folder, faults = folder_of(options), Faults()
    set_keys(rows)
    for row, words in set_names(rows, state):
        faults.add(row.line, words)
    faults.check()
    if (
        (options.retry_failed or options.retry_uncertain)
        and state.rows
        and not any(row.key in state.rows for row in rows)
    ):
        words = "the log knows none of these rows: use the file and the options of the earlier run"
        raise UsageError(words, batch_call=("batch", "--help"))
    plan = BatchPlan(
        rows,
        state,
        folder=absolute(folder) if folder else None,
        retry_failed=options.retry_failed,
        retry_uncertain=options.retry_uncertain,
    )
    if any(file.is_upload for row in plan.unsent for file in row.files()):
        from ..files.upload import refuse_service

        refuse_service(client)
    if folder and not options.force:
        _refuse_taken(context, options, taken_names(plan.unsent, folder, state, log_path(options)))
    if options.check and plan.unsent:
        _check(client, plan.unsent)
    return plan


def _refuse_taken(context: Context, options: Options, taken: list[tuple[Row, str]]) -> None:
    """Raises UsageError for new rows whose files would have the names of others."""
    faults = Faults()
    for row, file in taken:
        faults.add(row.line, f"{os.path.join(folder_of(options) or '', file)!r} exists: use another @name or --force")
    try:
        faults.check()
    except UsageError as error:
        raise error.but(batch_call=in_another_folder(context.words, options)) from None


def _check(client: Client, rows: Sequence[Row]) -> None:
    """Raises UsageError where the API's contract refuses a row, NetworkError without a contract."""
    from ._check import Checker

    checker, faults = Checker(client), Faults()
    for row in rows:
        body = row.value(shown_file)
        for issue in checker.issues("POST", row.path, body if row.has_body else {}):
            faults.add(row.line, "; ".join(issue["messages"]), issue["field"] or "the body")
    try:
        faults.check()
    except UsageError as error:
        words = f"the API's contract of {checker.contract.date} refuses rows: {error.message}"
        raise error.but(words, **checker.facts()) from None


def shown_file(file: InputFile) -> str:
    """What stands for a file in a body that is not sent."""
    return f"runway://… ({file.media.name})" if file.is_upload else file.data_uri()
