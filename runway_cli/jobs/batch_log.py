"""The log of a batch: what is known about each of its rows, on the disk before anything depends on it.

A journal with one record for each event. `row` is the key of the row, `key` that of the intent in the history:

    batch     first: the account that pays
    folder    outputs are going to be saved there
    upload    a file was uploaded: the hash of its content, its URI, when
    intent    before a POST is sent
    started   after its answer: the id, the estimated credits
    unsent    the POST was surely not accepted, and may be sent again
    refused   the API refused the POST: it stays refused unless it is retried on purpose
    ended     an end was seen: status, credits, the files, and the folder where all of them are

The last intent of a row decides: with `started` it has an id, with neither that nor `unsent` nobody knows.
"""

from __future__ import annotations

import math
import os
import threading

from ..errors import OutputError, UsageError
from .journal import ExclusiveJournal, JournalLocked, read_records
from .ledger import iso_time
from .tasks import GOOD_ENDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ..shutdown import Clock
    from .journal import Record
    from .ledger import Ledger


NEW, UNCERTAIN, STARTED, DONE, FAILED = "new", "uncertain", "started", "done", "failed"


class RowState:
    """What the log knows about one row: its last attempt, and the credits of those before."""

    __slots__ = (
        *("credits", "error", "id", "intent", "is_bad", "is_refused", "name", "past_credits", "past_unknown", "saved"),
        "status",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.intent = ""  # the key of the last intent, "" where none counts
        self.id = ""
        self.status = ""  # the end that was seen
        self.credits: Any = None
        self.error: str | None = None
        self.is_bad = False  # it ended badly
        self.is_refused = False
        self.past_credits = 0.0
        self.past_unknown = 0  # attempts before whose cost is not known
        self.saved: dict[str, list[str]] = {}  # folder: the files of all outputs

    @property
    def standing(self) -> str:
        """NEW, UNCERTAIN, STARTED, DONE or FAILED."""
        if not self.intent:
            return NEW
        if self.is_refused:
            return FAILED
        if not self.id:
            return UNCERTAIN
        if not self.status:
            return STARTED
        return DONE if self.status in GOOD_ENDS and not self.is_bad else FAILED

    @property
    def has_unknown_cost(self) -> bool:
        """Whether it cost something that nobody knows: it may have been accepted, or ended well, without a price."""
        return self.credits is None and self.standing in (UNCERTAIN, STARTED, DONE)

    @property
    def total_credits(self) -> float:
        """The credits of all its attempts."""
        return self.past_credits + amount(self.credits)

    def files(self, folder: str | None) -> list[str]:
        """The files saved in a folder; without one, those that were saved last."""
        if folder is not None:
            return self.saved.get(folder, [])
        return next(reversed(list(self.saved.values())), [])

    def begin(self, key: str, name: str) -> None:
        """Notes a new attempt."""
        self.past_credits = self.total_credits
        self.past_unknown += self.has_unknown_cost
        self.intent, self.name = key, name
        self.id, self.status, self.credits, self.error = "", "", None, None
        self.is_bad = self.is_refused = False
        self.saved = {}


class LogState:
    """What a log says, by its records. Safe for several threads.

    `spent` are the credits of all rows and all their attempts, as far as they are known, `most` those of the dearest
    row; `unknown` counts the attempts whose cost is not known, by the keys of their rows.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.spent = 0.0
        self.most = 0.0
        self.unknown: dict[str, int] = {}
        self._turn = threading.Lock()
        self.accounts: list[str] = []
        self.folders: list[str] = []
        self.uploads: dict[str, tuple[str, float]] = {}  # hash of the content: (URI, seconds of the epoch)
        self.rows: dict[str, RowState] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Takes in one record; one of a kind or form that is not known is skipped."""
        with self._turn:
            self._add(record)

    def _add(self, record: Record) -> None:
        event, key = record.get("event"), record.get("row")
        if event == "batch" and isinstance(record.get("account"), str):
            self.accounts.append(record["account"])
        elif event == "folder" and isinstance(record.get("folder"), str):
            self.folders.append(record["folder"])
        elif event == "upload" and isinstance(record.get("uri"), str) and isinstance(record.get("time"), (int, float)):
            self.uploads[str(record.get("digest"))] = (record["uri"], record["time"])
        elif isinstance(key, str) and (event == "intent" or key in self.rows):
            state = self.rows.get(key) or RowState("")
            before = state.total_credits
            if event == "intent":
                state.begin(str(record.get("key")), str(record.get("name") or ""))
            else:
                _take(state, record)
            self.rows[key] = state
            self.spent += state.total_credits - before
            self.most = max(self.most, amount(state.credits))
            self.unknown.pop(key, None)
            if state.past_unknown or state.has_unknown_cost:  # few: the budget looks at all of them for every row
                self.unknown[key] = state.past_unknown + state.has_unknown_cost

    def resolve(self, history: Ledger, found: Callable[[str, str, str], None]) -> None:
        """Asks the history about intents without an answer: `found(row, key, id)`, the id "" for a refusal."""
        uncertain = {state.intent: key for key, state in self.rows.items() if state.standing == UNCERTAIN}
        for intent, identity in history.fates(uncertain).items():
            found(uncertain[intent], intent, identity)


def amount(credits: Any) -> float:
    """Credits as a number, 0 where they are not known."""
    try:
        found = 0.0 if credits is None or isinstance(credits, (bool, str)) else float(credits)
    except (TypeError, ValueError):
        return 0.0
    return found if math.isfinite(found) else 0.0


def _take(state: RowState, record: Record) -> None:
    event, identity, status = record.get("event"), record.get("id"), record.get("status")
    if event == "ended":
        if identity == state.id and isinstance(status, str):
            _end(state, record)
    elif record.get("key") != state.intent:
        return
    elif event == "started" and isinstance(identity, str):
        state.id, state.credits = identity, record.get("credits")
    elif event == "unsent":
        state.intent = ""
    elif event == "refused":
        state.is_refused, state.error = True, _text(record.get("error"))


def _end(state: RowState, record: Record) -> None:
    credits, saved, folder = record.get("credits"), record.get("saved"), record.get("folder")
    state.status, state.is_bad = str(record["status"]), record.get("bad") is True
    state.credits = state.credits if credits is None else credits
    state.error = _text(record.get("error"))
    if isinstance(folder, str) and isinstance(saved, list):
        state.saved.pop(folder, None)  # the last one comes last
        state.saved[folder] = [path for path in saved if isinstance(path, str)]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


# --- The log of a batch on the disk: opened, checked to be this batch's, and written. What it says is `batch_state`'s.


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
