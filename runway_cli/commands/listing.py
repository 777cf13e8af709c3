"""What `avatars list`, `voices list` and `documents list` share: pages into compact rows."""

from __future__ import annotations

from ..client import connect, pages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ..client import Arguments

    Row = dict[str, Any]

    class ListArguments(Arguments):
        """What every list takes."""

        limit: int | None


LONGEST_LIST = 1000  # rows without --limit


def print_list(args: ListArguments, path: str, compact: Callable[[Mapping[str, Any]], Row],
               columns: Mapping[str, str], *, query: Mapping[str, str] | None = None,
               keep: Callable[[Mapping[str, Any]], bool] | None = None) -> int:
    """Prints the records of all pages as rows, as many as --limit allows.

    `compact` makes a row of a record; `keep` filters records; `columns` are a table's headings and the rows' keys.
    """
    most = args.limit or LONGEST_LIST
    rows: list[Row] = []
    truncated = False
    for records, more in pages(connect(args), path, query or {}, None if keep else most):
        found = [compact(record) for record in map(_mapping, records) if not keep or keep(record)]
        truncated = more or len(rows) + len(found) > most
        rows += found[:most - len(rows)]
        if len(rows) >= most:
            break
    args.console.rows(rows, columns, {"truncated": True} if truncated else {})
    return 0


def iso_time(value: Any) -> Any:
    """A date as YYYY-MM-DDTHH:MM:SS.mmmZ, taken as UTC where it names no zone; what is no date as it came."""
    if not isinstance(value, str):
        return value
    import re
    from datetime import datetime, timedelta

    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
                         r"\s*(?:[Zz]|([+-])(\d\d):?(\d\d))?)?", value.strip())
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


def _mapping(record: Any) -> Mapping[str, Any]:
    """A record of an unexpected shape never breaks the list."""
    return record if isinstance(record, dict) else {}
