"""What the rows of a batch and their files are called, and what is in the way of those names."""

from __future__ import annotations

import os
import re

from ..files import part_file
from .batch_state import STARTED, UNCERTAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .batch_row import Row
    from .batch_state import LogState, RowState

TAIL = len(".0123456789ab.part")  # characters after the name in a part file's
MAX_REST = 12  # characters after a row's name in that of its file: a number and an extension


def set_names(rows: Sequence[Row], state: LogState) -> list[tuple[Row, str]]:
    """Names the rows without an @name: as the log knows them, else by their number or the next one that is free.

    Returns the rows whose @name another row has, with the words that say so.
    """
    taken = {known.name.casefold() for known in state.rows.values()}
    named: dict[str, Row] = {}
    faults: list[tuple[Row, str]] = []
    for row in rows:
        known = state.rows.get(row.key)
        if row.label is None and known and known.name:
            row.name = known.name
        if row.name:
            first = named.setdefault(row.name.casefold(), row)
            if first is not row:
                late = row if row.label is not None else first  # the one that can be changed
                other = first if late is row else row
                faults.append((late, f"the name {late.name!r} is taken by line {other.line}"))
    taken.update(named)
    last = 0  # up to this number, none is free that a later row could have
    for row in rows:
        if not row.name:
            number = row.number
            if str(number) in taken:
                number = max(number, last) + 1
                while str(number) in taken:
                    number += 1
                last = number
            row.name = str(number)
            taken.add(row.name)
    return faults


def taken_names(rows: Sequence[Row], folder: str, state: LogState, log_path: str) -> list[tuple[Row, str]]:
    """The rows whose name has a file in the folder already, with that file. Files of other rows do not count."""
    folder = os.path.abspath(folder)
    new = {row.key for row in rows}
    known = {path for key, other in state.rows.items() if key not in new for path in other.files(folder)}
    files: dict[str, str] = {}
    numbered: dict[str, str] = {}
    for name in _listing(folder):
        path = os.path.join(folder, name)
        if path == os.path.abspath(log_path) or part_file.NAME.fullmatch(name):
            continue
        stem = os.path.splitext(name)[0].casefold()
        files.setdefault(stem, name)
        if path not in known:
            numbered.setdefault(_without_number(stem), name)
    found = ((row, files.get(row.name.casefold()) or numbered.get(row.name.casefold())) for row in rows)
    return [(row, file) for row, file in found if file]


def remove_part_files(folders: Iterable[str], names: Iterable[str]) -> None:
    """Removes the part files that a killed run of this batch left. The log is locked: no other run of it has any."""
    own = {name.casefold() for name in names}
    long = [name for name in own if len(name) > part_file.SHOWN_NAME - MAX_REST]
    for folder in folders:
        for entry in _listing(folder):
            if part_file.NAME.fullmatch(entry):
                shown = entry[1:-TAIL].casefold()
                stem = os.path.splitext(shown)[0]
                is_cut = len(shown) == part_file.SHOWN_NAME and any(_is_beginning(shown, name) for name in long)
                if stem in own or _without_number(stem) in own or is_cut:
                    part_file.remove_abandoned(os.path.join(folder, entry))


def saved_files(known: RowState, folder: str | None) -> list[str] | None:
    """The files of a row that was done, where all are still there; None where they must be saved (again).

    Without a folder nothing is to be saved: then it is what was saved before.
    """
    if folder is None:
        return known.files(None)
    if folder not in known.saved:
        return None
    files = known.saved[folder]
    return files if all(map(os.path.isfile, files)) else None


def unfinished(rows: Iterable[Row], state: LogState) -> Mapping[str, RowState]:
    """The rows of the log that are not among these and have not ended, by their keys."""
    keys = {row.key for row in rows}
    return {
        key: known for key, known in state.rows.items() if key not in keys and known.standing in (STARTED, UNCERTAIN)
    }


def _listing(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []


def _is_beginning(shown: str, name: str) -> bool:
    """Whether a cut name is that of a file of the row `name`."""
    rest = shown[len(name) :]
    return shown == name[: part_file.SHOWN_NAME] or (
        shown.startswith(name) and bool(re.fullmatch(r"(-\d*)?(\.\w*)?", rest))
    )


def _without_number(stem: str) -> str:
    return re.sub(r"-\d+$", "", stem)
