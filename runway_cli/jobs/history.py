"""What was started from this machine, kept in a file so that nothing that was paid for is forgotten.

The file is a journal with one record for each event:

    intent    before a POST is sent: path, model, the beginning of the prompt
    started   after its answer: the id to wait for, or a path such as /v1/avatars/ID, and the estimated credits
    refused   the POST started nothing
    ended     an end was seen: status, credits, files

An intent, its `started` and its `refused` have the same `key`; an end belongs to what was started by its `id`. Only the
order of several ends of one id matters, because a writer may be late and still write to the file before.
Every record names the account; those of other accounts are never shown.
"""

from __future__ import annotations

import math
import os
import time

from ..errors import OutputError
from ..jsontext import Number
from .journal import SharedJournal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from typing import Any, Protocol

    from .journal import Record, System

    Row = dict[str, Any]

    class Clock(Protocol):
        def time(self) -> float: ...


MAX_SIZE = 8 << 20  # bytes
MAX_PROMPT = 80  # characters
PROMPT_FIELDS = ("promptText", "text", "prompt", "personality", "name")  # the first that is there counts
SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
MAX_MOMENT = 32535215999.0  # seconds; the last of the year 3000: Windows knows no later one


def account(base_url: str, secret: str) -> str:
    """The name of an account: the base URL and a hash that tells keys apart and does not give them away."""
    import hashlib

    return f"{base_url} {hashlib.sha256(secret.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"


class History:
    """The only writer and reader of the history file.

    `path` None turns it off: nothing is written or read. `mask` hides secrets and signatures of URLs in a text. `note`
    prints a note for the user. Writing never fails: the first failure of a run is a note.
    """

    def __init__(
        self,
        path: str | None,
        *,
        account: str,
        client_id: str,
        clock: Clock,
        note: Callable[[str], None],
        mask: Callable[[str], str],
        max_size: int = MAX_SIZE,
        system: System = os,
    ) -> None:
        self._path = path
        self._journal = SharedJournal(path, max_size=max_size, system=system) if path else None
        self._account = account
        self._client_id = client_id
        self._clock = clock
        self._note = note
        self._mask = mask
        self._is_noted = False
        self.has_others = False  # whether `entries` met those of other accounts

    def intend(self, path: str, body: Any) -> str:
        """Records a POST that is about to be sent, and returns its key. `body` is the JSON value that is sent."""
        key = os.urandom(16).hex()
        fields = body if isinstance(body, dict) else {}
        prompt = next((fields[name] for name in PROMPT_FIELDS if isinstance(fields.get(name), str)), None)
        model = self._short(fields.get("model"))
        self._write("intent", key=key, path=self._private(path), model=model, prompt=self._short(prompt))
        return key

    def started(self, key: str, name: str | None, credits: Any = None) -> None:
        """Records a successful answer: the id or path to wait for, None if it has none, and the estimated credits."""
        self._write("started", key=key, id=self._mask(name) if name else None, credits=_number(credits))

    def refused(self, key: str) -> None:
        """Records that a POST started nothing: it was never sent, or answered with a complete 4xx."""
        self._write("refused", key=key)

    def ended(self, name: str, status: str, credits: Any = None, saved: Sequence[str] = ()) -> None:
        """Records the end of what was started as `name`, with the absolute paths of the files saved."""
        files = [self._mask(path) for path in saved]
        self._write("ended", id=self._mask(name), status=self._mask(status), credits=_number(credits), saved=files)

    def entries(self, *, since: float | None = None, unfinished: bool = False, session: bool = False) -> list[Row]:
        """What was started with this account, newest first.

        `since` is in seconds of the epoch. `unfinished` leaves what can be waited for; `session`, what this client id
        started. Raises OutputError if the file is there and cannot be read.
        """
        if not self._journal:
            return []
        try:
            rows = _joined(self._own_records(), self._client_id if session else None)
        except OSError as error:
            raise OutputError(f"the history cannot be read: {error.strerror or error}") from None
        if since is not None:
            earliest = iso_time(since)
            rows = [row for row in rows if row["startedAt"] >= earliest]
        if unfinished:
            rows = [row for row in rows if is_unfinished(row)]
        return rows

    def _own_records(self) -> Iterator[Record]:
        for record in self._journal.records() if self._journal else ():
            if record.get("account") == self._account:
                yield record
            else:
                self.has_others = True

    def fates(self, keys: Collection[str]) -> dict[str, str]:
        """What became of these intents, by their keys: the id or path that was started, "" for a POST that was refused.

        Those of which neither was recorded are left out; all of them where the file cannot be read, with a note.
        """
        found: dict[str, str] = {}
        if not self._journal or not keys:
            return found
        try:
            for record in self._journal.records():
                key = _text(record, "key") or ""
                if key in keys and record.get("account") == self._account:
                    identity = _text(record, "id")
                    if record.get("event") == "started" and identity:
                        found[key] = identity
                    elif record.get("event") == "refused":
                        found.setdefault(key, "")
        except OSError as error:
            self._note_once(f"the history cannot be read: {self._path!r}: {error.strerror or error}")
        return found

    def _write(self, event: str, **facts: Any) -> None:
        if not self._journal:
            return
        whose = {"account": self._account, "clientId": self._client_id}
        record = {"event": event, "at": iso_time(self._clock.time()), **facts, **whose}
        try:
            self._journal.append(record)
        except OSError as error:
            self._note_once(f"the history cannot be written: {self._path!r}: {error.strerror or error}")

    def _note_once(self, text: str) -> None:
        if not self._is_noted:
            self._is_noted = True
            self._note(text)

    def _short(self, text: Any) -> str | None:
        """The beginning of a text; masked first, so that the cut leaves no part of a secret."""
        return self._private(text)[:MAX_PROMPT] if isinstance(text, str) else None

    def _private(self, text: str) -> str:
        """A text without secrets and signatures, and up to its first data URI."""
        import re

        masked = self._mask(text)
        return re.sub(r'(?is)data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w.+="-]+)*,.*', "data:…", masked)


def is_unfinished(row: Row) -> bool:
    """Whether it has started and no end was seen: it can be waited for."""
    return row["status"] == "STARTED" and bool(row["id"])


def total(credits: Iterable[Any]) -> float:
    """The sum of those credits that are known: an int where it is whole."""
    found = sum(float(number) if isinstance(number, Number) else number for number in credits if number is not None)
    return int(found) if found == int(found) else found


def iso_time(moment: float) -> str:
    """Seconds of the epoch as YYYY-MM-DDTHH:MM:SS.mmmZ."""
    milliseconds = int(min(max(moment, 0.0), MAX_MOMENT) * 1000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{whole}.{milliseconds % 1000:03}Z"


def parse_since(text: str, now: float) -> float:
    """`2h` before `now`, `today`, or a date or date-time, in seconds of the epoch. Raises ValueError.

    A date or time without a zone is in UTC, as the times in the rows are.
    """
    import re
    from datetime import datetime, timezone

    if text == "today":
        return now - now % SECONDS["d"]
    span = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
    if span:
        return now - int(span[1]) * SECONDS[span[2]]
    form = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{3})?)?(Z|[+-]\d\d:\d\d)?)?"
    try:
        if not re.fullmatch(form, text, re.ASCII):
            raise ValueError
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        words = f"must be a time such as 2h, 3d, today, 2026-11-24 or 2026-11-24T09:30, not {text!r}"
        raise ValueError(words) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _joined(records: Iterable[Record], client_id: str | None) -> list[Row]:
    """The rows of these records, newest first; only what this client id started where one is given."""
    rows: dict[str, Row] = {}
    refused: set[str] = set()
    ends: dict[str | None, list[Record]] = {}
    for record in records:
        event = record.get("event")
        key = _text(record, "key") or ""
        if event == "ended":
            ends.setdefault(_text(record, "id"), []).append(record)
        elif event == "refused":
            refused.add(key)
        elif event in ("intent", "started") and key and client_id in (None, record.get("clientId")):
            _add_start(rows.setdefault(key, _new_row()), record)
    shown = [row for key, row in rows.items() if row["status"] == "STARTED" or key not in refused]
    for row in shown:
        if row["id"]:
            _add_ends(row, ends.get(row["id"], ()))
    shown.reverse()  # of equal times the last comes first
    return sorted(shown, key=_started_at, reverse=True)


def _new_row() -> Row:
    row = dict.fromkeys(("id", "startedAt", "path", "model", "prompt", "status", "credits", "saved"))
    return {**row, "startedAt": "", "status": "UNCERTAIN", "saved": []}


def _add_start(row: Row, record: Record) -> None:
    """Adds an intent or its `started`; each can be the only one: the other was not written, or is too old."""
    if record["event"] == "intent":
        row.update((name, _text(record, name)) for name in ("path", "model", "prompt"))
    else:
        row.update(id=_text(record, "id"), status="STARTED", credits=_number(record.get("credits")))
    moment = _text(record, "at") or ""
    row["startedAt"] = min(row["startedAt"], moment) if row["startedAt"] else moment


def _add_ends(row: Row, ends: Iterable[Record]) -> None:
    """Adds the ends that were seen: the last status and credits, and all files."""
    for record in ends:
        row["status"] = _text(record, "status") or row["status"]
        credits = _number(record.get("credits"))
        row["credits"] = row["credits"] if credits is None else credits
        saved = record.get("saved")
        files = [path for path in saved if isinstance(path, str)] if isinstance(saved, list) else []
        row["saved"] += [path for path in files if path not in row["saved"]]


def _started_at(row: Row) -> str:
    return str(row["startedAt"])


def _text(record: Record, name: str) -> str | None:
    value = record.get(name)
    return value if isinstance(value, str) else None


def _number(value: Any) -> Any:
    """A JSON number that can be added, None for anything else."""
    is_number = isinstance(value, (int, float, Number)) and not isinstance(value, bool)
    return value if is_number and math.isfinite(float(value)) else None
