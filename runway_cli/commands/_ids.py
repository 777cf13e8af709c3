"""Ids as operands."""

from __future__ import annotations

from ..errors import UsageError
from ._body import read_stdin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..shutdown import Shutdown


def expanded(words: Sequence[str], shutdown: Shutdown) -> list[str]:
    """The ids, with '-' replaced by those on stdin. Raises UsageError where stdin is a terminal, or has none."""
    return [name for word in words for name in (_from_stdin(shutdown) if word == "-" else [word])]


def _from_stdin(shutdown: Shutdown) -> list[str]:
    ids = read_stdin("'-', a list of ids,", shutdown).decode("utf-8-sig", "surrogateescape").split()
    if not ids:
        raise UsageError("there are no ids on stdin")
    return ids
