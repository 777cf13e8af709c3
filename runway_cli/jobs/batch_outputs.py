"""Where the outputs of a batch go: one folder, and in it a name for each row."""

from __future__ import annotations

import os

from ..errors import OutputError
from ..files.destination import destinations
from .outputs import saver, urls_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .batch_row import Row
    from .polling import PolledTask, Save
    from .scheduler import Emit


class BatchOutputs:
    """The folder of a run, with a slash at its end; `force` lets outputs replace files."""

    def __init__(self, folder: str, rows: Iterable[Row], *, force: bool) -> None:
        self.folder = folder
        self._force = force
        self._owners = {row.name.casefold(): row for row in rows}

    def saver(self, row: Row) -> Save:
        """What saves the outputs of a row: NAME.png, or NAME-1.png, NAME-2.png, …"""
        save_all = saver(self.folder, force=self._force, stem=row.name)

        def save(task: PolledTask, emit: Emit) -> None:
            for target in destinations(self.folder, row.name, len(urls_of(task.answer))):
                owner = self._owners.get(os.path.basename(target.path).casefold(), row)
                if owner is not row:
                    words = f"{target.path} would be a file of line {owner.line} too: save it with `wait`"
                    raise OutputError(words, taken=target.path)
            save_all(task, emit)

        return save
