"""What `avatars list`, `voices list` and `documents list` share: pages into compact rows."""

from __future__ import annotations

from ..api.pages import pages
from ..settings.values import positive
from ._command import Command, GlobalOptions, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from ..terminal.columns import Column
    from ._context import Context

    Row = dict[str, Any]
    Record = Mapping[str, Any]

MAX_ROWS = 1000  # without --limit
LIMIT = Option("--limit", metavar="N", read=positive, help="print N rows at most (default: 1000)")


class ListOptions(GlobalOptions):
    limit: int | None


class List:
    """A list endpoint: its path, the row of a record, and a table's headings with the rows' keys.

    `query` gives further parameters, `keep` filters records.
    """

    def __init__(
        self,
        path: str,
        compact: Callable[[Record], Row],
        columns: Sequence[Column],
        *,
        query: Callable[[Any], Mapping[str, str]] = lambda options: {},
        keep: Callable[[Any, Record], bool] | None = None,
        is_filtered: Callable[[Any], bool] = lambda options: False,
    ) -> None:
        self.path = path
        self.compact = compact
        self.columns = columns
        self.query = query
        self.keep = keep
        self.is_filtered = is_filtered

    def run(self, context: Context, options: ListOptions) -> int:
        """Prints the records of all pages as rows, as many as --limit allows."""
        most = options.limit or MAX_ROWS
        is_filtered = self.is_filtered(options)
        rows: list[Row] = []
        truncated = False
        client = context.client()
        for records, has_more in pages(client, self.path, self.query(options), None if is_filtered else most):
            kept = [record for record in map(_mapping, records) if not is_filtered or self._keeps(options, record)]
            truncated = has_more or len(rows) + len(kept) > most
            rows += [self.compact(record) for record in kept[: most - len(rows)]]
            if len(rows) >= most:
                break
        context.console.rows(rows, self.columns, {"truncated": True} if truncated else {})
        return 0

    def _keeps(self, options: ListOptions, record: Record) -> bool:
        return self.keep is None or self.keep(options, record)


def list_command(
    endpoint: List, name: str, keys: str, examples: Sequence[Sequence[str]], options: Sequence[Option] = ()
) -> Command:
    """The declaration of a list command."""
    return Command(
        endpoint.run,
        summary=f"list {name}: {keys}",
        options=(*options, LIMIT),
        examples=((name, "list"), *examples),
        prints=f'{{"data": [{{{keys}}}]}}, with "truncated": true where there are more',
        has_rows=True,
    )


def iso_time(value: Any) -> Any:
    """A date as YYYY-MM-DDTHH:MM:SS.mmmZ, read as UTC where it names no zone; anything else unchanged."""
    if not isinstance(value, str):
        return value
    import re
    from datetime import datetime, timedelta

    match = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s*(?:[Zz]|([+-])(\d\d):?(\d\d))?)?",
        value.strip(),
        re.ASCII,
    )
    if not match:
        return value
    *numbers, fraction, sign, hours, minutes = match.groups()
    try:
        year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
        moment = datetime(year, month, day, hour, minute, second)
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            moment = moment - offset if sign == "+" else moment + offset
    except (ValueError, OverflowError):
        return value
    return f"{moment.isoformat(timespec='seconds')}.{(fraction or '0')[:3]:<03}Z"


def _mapping(record: Any) -> Record:
    """A record of an unexpected shape never breaks the list."""
    return record if isinstance(record, dict) else {}
