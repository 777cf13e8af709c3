"""The columns of a table, as commands declare them. Light: commands are imported at every start."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Row = Mapping[str, Any]


class Column:
    """A column of a table: its heading, and the key of its values in a row.

    `link` is the text of a link that stands for a URL in Markdown. `wrap`: on a terminal, values that do not fit go on
    in the next line instead of being cut.
    """

    __slots__ = ("heading", "key", "link", "wrap")

    def __init__(self, heading: str, key: str, *, link: str = "link", wrap: bool = False) -> None:
        self.heading = heading
        self.key = key
        self.link = link
        self.wrap = wrap

    @property
    def is_id(self) -> bool:
        return self.key in ("id", "model") or self.key.endswith("Id")


def with_id(columns: Sequence[Column], rows: Sequence[Row]) -> Sequence[Column]:
    """These columns, and the rows' ids first if they have any."""
    if any(column.key == "id" for column in columns) or not any("id" in row for row in rows):
        return columns
    return [Column("Id", "id"), *columns]


def rows_of(answer: Any) -> list[Row] | None:
    """The rows of an answer that is {"data": […]} or a list; None for any other.

    An item that is not an object becomes {"value": item}.
    """
    items = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(items, list):
        return None
    return [item if isinstance(item, dict) else {"value": item} for item in items]


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """A column for each key of these rows, in the order in which they appear."""
    return [Column(key, key) for key in dict.fromkeys(key for row in rows for key in row)]
