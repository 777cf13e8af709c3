"""Results in the format asked for, whole or the parts that --select names."""

from __future__ import annotations

import sys

from .. import jsontext
from ..errors import OutputError
from . import streams
from .secrets import MIN_LENGTH_IN_RESULTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from .columns import Column, Row
    from .secrets import Secrets
    from .select import Selection

TABLES = ("table", "markdown")


class Results:
    """What a command prints. `write` takes text for stdout, `note` a line for stderr."""

    def __init__(
        self,
        format: str,
        select: Selection | None,
        secrets: Secrets,
        write: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self._format = format
        self._select = select
        self._secrets = secrets
        self._write = write
        self._note = note
        self._waiting: list[Row] = []
        self._explained: set[str] = set()

    def result(self, value: Any, full: Any) -> None:
        """One document. Raises OutputError with its `id` as `task_id`, as `row` does."""
        self._print(value, full, is_row=False, indent=2 if streams.is_terminal(sys.stdout) else None)

    def row(self, row: Row, full: Row, *, alone: bool) -> None:
        """One of several results; in a table it waits for `end_rows`."""
        if self._format in TABLES:
            self._waiting.append(full if self._select else row)
        else:
            is_document = alone and self._format == "json" and streams.is_terminal(sys.stdout)
            self._print(row, full, is_row=True, indent=2 if is_document else None)

    def end_rows(self, columns: Sequence[Column]) -> None:
        """Prints the rows that waited."""
        rows, self._waiting = self._waiting, []
        if rows:
            self.rows(rows, columns, {})

    def rows(self, rows: Sequence[Row], columns: Sequence[Column], more: Mapping[str, Any]) -> None:
        """A list; in JSON, `more` stands beside `data`."""
        if self._format in TABLES:
            self._write_table(rows, columns)
        elif self._select:
            self._write_selected(rows, is_row=True)
        elif self._format == "jsonl":
            for row in rows:
                self._write_json(row, None)
        else:
            document = {"data": rows, **more}
            self.result(document, document)
            return
        if more.get("truncated"):
            self._note("there are more: raise --limit")

    def _print(self, value: Any, full: Any, *, is_row: bool, indent: int | None) -> None:
        try:
            if self._select:
                self._write_selected([full], is_row=is_row)
            else:
                self._write_json(value, indent)
        except OutputError as error:
            if isinstance(value, dict) and isinstance(value.get("id"), str):
                raise error.but(task_id=value["id"]) from None
            raise

    def _write_json(self, value: Any, indent: int | None) -> None:
        text = _json(value, indent)
        if self._secrets.mask(text, MIN_LENGTH_IN_RESULTS) != text:
            text = _json(self._masked(value), indent)  # masked as a value, it is still JSON
        self._write(text + "\n")

    def _write_selected(self, values: Sequence[Any], *, is_row: bool) -> None:
        assert self._select is not None
        self._explain(values, is_row=is_row)
        lines = [line for value in values for line in self._select.lines(self._masked(value))]
        self._write("".join(line + "\n" for line in lines))

    def _write_table(self, rows: Sequence[Row], columns: Sequence[Column]) -> None:
        """Masked before anything is escaped or cut."""
        from . import tables  # only these formats need it
        from .columns import Column, with_id

        if self._select:
            self._explain(rows, is_row=True)
            columns = [Column(path, path) for path in self._select.paths]
            rows = [self._select.row(row) for row in rows]
        elif self._format == "table":
            columns = with_id(columns, rows)
        columns = [self._masked_column(column) for column in columns]
        rows = [self._masked(row) for row in rows]
        if self._format == "markdown":
            self._write(tables.markdown(rows, columns))
        else:
            width = streams.terminal_width() if streams.is_terminal(sys.stdout) else None
            self._write(tables.table(rows, columns, width))

    def _explain(self, values: Sequence[Any], *, is_row: bool) -> None:
        """A note, once for each path, about what matches in none of these values."""
        assert self._select is not None
        if not values:
            return
        from .select import explain

        unmatched = [self._select.unmatched(value) for value in values]
        for path in unmatched[0]:
            if path not in self._explained and all(path in paths for paths in unmatched):
                self._explained.add(path)
                hint = " (paths are relative to a row)" if is_row and path.startswith("data.") else ""
                self._note(explain(values[0], path) + hint)

    def _masked_column(self, column: Column) -> Column:
        """A column as the masked rows have it: its words may come from an answer or from --select."""
        from .columns import Column

        heading, key = (self._secrets.mask(word, MIN_LENGTH_IN_RESULTS) for word in (column.heading, column.key))
        return Column(heading, key, link=column.link, wrap=column.wrap)

    def _masked(self, value: Any) -> Any:
        try:
            return self._secrets.mask_value(value, MIN_LENGTH_IN_RESULTS)
        except RecursionError:  # nested so deeply that it is masked as text, by `write`
            return value


def _json(value: Any, indent: int | None) -> str:
    try:
        return jsontext.dumps(value, indent)
    except RecursionError:
        if indent is None:
            raise
        return jsontext.dumps(value)  # indenting recurses in Python, one line does not
