"""The pages of a list."""

from __future__ import annotations

from .. import jsontext
from ..errors import ApiError
from .responses import excerpt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from .client import Client

PAGE = 100  # records, the largest page that the API gives
MAX_EMPTY_PAGES = 10  # in a row


def pages(client: Client, path: str, query: Mapping[str, str], most: int | None) -> Iterator[tuple[list[Any], bool]]:
    """The pages of a list: (records, whether more are to come), asking for no more than `most` still needs.

    Understands {"data", "hasMore", "nextCursor"} and the bare array of older answers; a limit in the query of `path` is
    kept. Raises ApiError for an answer that is neither. A cursor that repeats ends the list, and so do MAX_EMPTY_PAGES
    pages without a record.
    """
    from urllib.parse import parse_qsl

    bare, _, rest = path.partition("?")
    given = [*parse_qsl(rest, keep_blank_values=True), *query.items()]
    named = {name for name, _ in given}
    cursor: str | None = None
    seen: set[str] = set()
    empty = 0
    while True:
        size = PAGE if most is None else min(PAGE, most)
        asked = given if "limit" in named else [("limit", str(size)), *given]
        if cursor:
            asked = [*((name, value) for name, value in asked if name != "cursor"), ("cursor", cursor)]
        records, cursor, has_more = _page(client, bare, client.get(bare, asked))
        yield records, has_more
        empty = 0 if records else empty + 1
        if most is not None:
            most -= len(records)
        if not cursor or cursor in seen or empty == MAX_EMPTY_PAGES or (most is not None and most <= 0):
            return
        seen.add(cursor)


def _page(client: Client, path: str, answer: Any) -> tuple[list[Any], str | None, bool]:
    """The records of a page, the cursor of the next one, and whether there is more."""
    if isinstance(answer, list):
        return answer, None, False
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        shown = excerpt(jsontext.dumps(answer).encode("utf-8", "replace"), client.console.mask)
        raise ApiError(f"the answer of {path} is not a list: {shown}", status=200)
    cursor = answer.get("nextCursor")
    has_more = answer.get("hasMore", bool(cursor)) is True
    if not has_more or not isinstance(cursor, str):
        return answer["data"], None, has_more
    if not cursor.isprintable():
        raise ApiError(f"the answer of {path} has a nextCursor that cannot be used: {cursor!r}", status=200)
    return answer["data"], cursor, has_more
