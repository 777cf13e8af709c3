"""The log of a batch on the disk: opened, checked to be this batch's, and written. What it says is `batch_state`'s."""

from __future__ import annotations

import os

from ..errors import OutputError, UsageError
from .batch_state import LogState
from .history import iso_time
from .journal import ExclusiveJournal, JournalLocked, read_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..shutdown import Clock
    from .journal import Record

HEAD = b'{"event":"batch",'  # how the first line of a log begins; killed runs may have left parts of it before
MAX_HEAD = 4096  # bytes that tell whether a file is a log
MAX_UPLOAD_AGE = 86_400 - 300  # seconds; the API keeps an upload for 24 hours, and a row needs some time to be sent


class BatchLog:
    """The log of a batch that runs: locked for this process, flushed with every record. Safe for several threads.

    `failure` is the first failure to write. From then on nothing that costs may be started. Raises UsageError where
    another process or another account has it, or where the file is not a log; OutputError if it cannot be written.
    """

    def __init__(self, path: str, account: str, *, clock: Clock, mask: Callable[[str], str]) -> None:
        check_is_log(path)
        self.path = path
        self.failure: OutputError | None = None
        self._clock = clock
        self._mask = mask
        try:
            self._journal = ExclusiveJournal(path)
        except JournalLocked:
            words = f"the log {path!r} is in use by another process: this batch is running already"
            raise UsageError(words, batch_call="same") from None
        except (OSError, ValueError) as error:
            words = (
                f"the log {path!r} cannot be written: {getattr(error, 'strerror', None) or error}; choose --log FILE"
            )
            raise UsageError(words) from None
        try:
            self.state = LogState(self._journal.records())
            check_account(self.state, account, path)
            if not self.state.accounts:
                self._append({"event": "batch", "account": account, "at": iso_time(clock.time())})
        except OSError as error:
            self._journal.close()
            raise OutputError(f"the log {path!r} cannot be read: {error.strerror or error}") from None
        except BaseException:
            self._journal.close()
            raise

    def __enter__(self) -> BatchLog:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the lock."""
        self._journal.close()

    def saving_to(self, folder: str) -> None:
        """Records a folder of outputs, so that a later run finds the part files of a killed one."""
        if folder not in self.state.folders:
            self._append({"event": "folder", "folder": folder})

    def upload(self, digest: str) -> str | None:
        """The URI of a file that was uploaded and that the API still has."""
        uri, moment = self.state.uploads.get(digest, ("", 0.0))
        return uri if uri and 0 <= self._clock.time() - moment < MAX_UPLOAD_AGE else None

    def uploaded(self, digest: str, uri: str, moment: float) -> None:
        """Records an upload that was begun at `moment`, in seconds of the epoch."""
        self._try({"event": "upload", "digest": digest, "uri": uri, "time": moment})

    def intend(self, row: str, key: str, name: str) -> None:
        """Records that a POST is about to be sent. Raises OutputError: then it must not be sent."""
        if self.failure:
            raise self.failure
        self._append({"event": "intent", "row": row, "key": key, "name": name, "at": iso_time(self._clock.time())})

    def started(self, row: str, key: str, identity: str, credits: Any) -> None:
        """Records a successful answer."""
        self._try({"event": "started", "row": row, "key": key, "id": identity, "credits": credits})

    def unsent(self, row: str, key: str) -> None:
        """Records that a POST was surely not accepted."""
        self._try({"event": "unsent", "row": row, "key": key})

    def refused(self, row: str, key: str, error: str) -> None:
        """Records that the API refused a POST."""
        self._try({"event": "refused", "row": row, "key": key, "error": self._mask(error)})

    def ended(
        self,
        row: str,
        identity: str,
        status: str,
        *,
        credits: Any,
        folder: str | None,
        saved: Sequence[str],
        error: str | None,
        is_bad: bool,
    ) -> None:
        """Records an end that was seen. `folder` is where all outputs are, None where they are not."""
        outcome = {"status": status, "credits": credits, "bad": is_bad, "error": error and self._mask(error)}
        self._try({"event": "ended", "row": row, "id": identity, **outcome, "folder": folder, "saved": list(saved)})

    def _try(self, record: Record) -> None:
        """Writes what has happened already: it counts in this run, written or not."""
        try:
            self._append(record)
        except OutputError:
            self.state.add(record)

    def _append(self, record: Record) -> None:
        try:
            self._journal.append(record)
        except OSError as error:
            words = f"the log {self.path!r} cannot be written: {error.strerror or error}"
            self.failure = self.failure or OutputError(words, batch_call="same")
            raise self.failure from None
        self.state.add(record)


def read_state(path: str) -> LogState:
    """What a log says, without a lock, a log or a change on the disk. Raises UsageError."""
    check_is_log(path)
    try:
        return LogState(read_records(path))
    except OSError as error:
        raise UsageError(f"the log {path!r} cannot be read: {error.strerror or error}") from None


def check_account(state: LogState, account: str, path: str) -> None:
    """Raises UsageError where another account has paid for the rows of a log."""
    if any(found != account for found in state.accounts):
        is_other_url = any(not found.startswith(account.partition(" ")[0] + " ") for found in state.accounts)
        words = "base URL" if is_other_url else "API key"
        text = f"the log {path!r} belongs to another {words}: use that one, or --log FILE for a new batch"
        raise UsageError(text, try_next=("auth", "status"))


def check_is_log(path: str) -> None:
    """Raises UsageError for a file that is there and is something else than a log, be it torn after some bytes."""
    try:
        if not os.path.exists(path):
            return
        if not os.path.isfile(path):
            raise UsageError(f"the log {path!r} is not a file")
        with open(path, "rb") as file:
            lines = file.read(MAX_HEAD).split(b"\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"the log {path!r} cannot be read: {reason}") from None
    first = next((line for line in lines if line is lines[-1] or not HEAD.startswith(line)), b"")
    if not (first.startswith(HEAD) or HEAD.startswith(first)):
        raise UsageError(f"{path!r} is not a log of a batch: choose another file with --log")
