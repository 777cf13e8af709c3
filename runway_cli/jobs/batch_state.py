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
import threading

from .polling import GOOD_ENDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .history import History
    from .journal import Record

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

    def resolve(self, history: History, found: Callable[[str, str, str], None]) -> None:
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
