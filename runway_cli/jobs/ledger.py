"""The ledger: every job that was paid for, in a SQLite file, on the disk before anything depends on it.

One class serves the history of this machine, which many processes write, and the ledger beside a batch's rows, which
one process holds for as long as it runs. A row of the table is one attempt at a job.

A process that sends holds a lock on one byte of a file beside the ledger, the byte numbered as the attempt: the lock
dies with its process, so everybody else sees at once whether the answer may still come.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import suppress

from .. import jsontext
from ..errors import ConfigError, OutputError, RunwayError
from ..settings import HISTORY_VARIABLE, LEDGER_ID
from ..terminal.masking import MIN_LENGTH_IN_RESULTS
from .attempts import GONE, MIGRATIONS, OPEN, REFUSED, SENDING, STARTED, SUCCEEDED, UNSENT, Attempt, number_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterable
    from typing import Any

    from ..api.client import Client

LOCKS = "-lock"  # the end of the name of the file whose bytes are locked
LOCKED = 10.0  # seconds for which another process may keep the ledger locked
TRIES = 50  # in that time
OLD_HISTORY = "history.jsonl"  # the name of version 2's
YEAR = 365 * 86_400.0
LAST = 100  # records that tell what time it is
MAX_PROMPT = 80  # characters
PROMPT_FIELDS = ("promptText", "text", "prompt", "personality", "name")  # the first that is there counts
CHECKED = 2 << 20  # bytes of a ledger whose indexes are compared with its table at each start


class LedgerLocked(Exception):
    """Another process holds the ledger."""


class LedgerMissing(ConfigError):
    """There can be no ledger: it is off (`is_wanted`), its folder cannot be written, or Python has no sqlite3."""

    is_wanted = False


class Ledger:
    """The attempts of one account in one file. Safe for several threads.

    The account is the client's, whose secrets and signed URLs are masked. `exclusive` keeps other processes out until
    `close`. What is missing is made: the folder with mode 0700, the file with 0600. Methods raise OutputError where the
    file is damaged, full or locked, ConfigError for any other file, LedgerMissing where there can be none, and
    Interrupted while they wait for another process; an exclusive one raises LedgerLocked. Those that record what has
    happened already raise nothing: the first `failure` is noted.
    """

    def __init__(self, path: str | None, client: Client, *, exclusive: bool = False) -> None:
        import threading

        self.path = os.path.realpath(path) if path else ""  # one file has one lock file, whatever its name
        self.account = client.target.account
        self._client = client
        self._clock = client.clock
        self._mask = client.console.mask
        self.tries = TRIES
        self.failure: RunwayError | None = None  # why something that has happened could not be recorded
        self.is_missed = False  # it was told that there can be none
        self._is_exclusive = exclusive
        self._turn = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._depth = 0
        self._locks = -1  # the descriptor of the file whose bytes are locked
        self._sending: dict[str, int] = {}  # the numbers of the attempts whose bytes are locked, by their keys
        self._late: list[Callable[[], None]] = []  # what could not be recorded yet

    def __enter__(self) -> Ledger:
        """Begins a transaction: what is read and written until the end of the `with` is one step for everybody else."""
        self._turn.acquire()
        try:
            if self._depth == 0:
                self._run("BEGIN IMMEDIATE")
        except BaseException:
            self._turn.release()
            raise
        self._depth += 1
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._depth -= 1
        try:
            if self._depth == 0:
                try:
                    self._run("COMMIT" if kind is None else "ROLLBACK")
                finally:
                    if self._db is not None and self._db.in_transaction:  # the disk is full
                        self._db.execute("ROLLBACK")
        finally:
            self._turn.release()

    def close(self) -> None:
        """Closes the file, and ends every lock on it."""
        with self._turn:
            if self._db is not None:
                self._db.close()
                self._db = None
            if self._locks >= 0:
                os.close(self._locks)
                self._locks = -1

    def intend(self, path: str, body: Any, *, job: str | None = None, **facts: Any) -> Attempt:
        """Records a POST that is about to be sent, and returns it. `body` is the JSON value that is sent.

        `facts` are columns beside `job`: `key`, `digest`, `shape`, `destination`, `name`.
        """
        fields = body if isinstance(body, dict) else {}
        prompt = next((fields[name] for name in PROMPT_FIELDS if isinstance(fields.get(name), str)), None)
        facts = {name: self._mask(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
        facts["job"] = self._job(job) if job else None
        shown = {"path": path, "model": fields.get("model"), "prompt": prompt}
        shown = {name: self._short(text, None if name == "path" else MAX_PROMPT) for name, text in shown.items()}
        row = {
            "key": os.urandom(16).hex(),
            "account": self.account,
            "client": self._client.target.client_id,
            **shown,
            **facts,
        }
        row.update(at=self._clock.time(), status=SENDING)
        with self:
            if not self._is_exclusive:  # a year by its last records: the clock of this moment may be wrong
                last = f"SELECT MIN(at) - ? FROM (SELECT at FROM attempts ORDER BY n DESC LIMIT {LAST})"
                self._run(f"DELETE FROM attempts WHERE status NOT IN (?, ?) AND at < ({last})", *OPEN, YEAR)
            self._run(_insert("INSERT", row), *row.values())
            (attempt,) = self._select("key = ?", row["key"])
            if not self._is_exclusive:
                self._lock(attempt.n)
                self._sending[attempt.key] = attempt.n
        return attempt

    def started(self, key: str, name: str, credits: Any = None) -> None:
        """Records a successful answer: the id or path to wait for, and the estimated credits."""
        self._settle(key, status=STARTED, id=self._mask_id(name), credits=number_of(credits))

    def finished(self, key: str) -> None:
        """Records that an attempt has ended well with its answer, and started nothing that costs."""
        self._settle(key, status=SUCCEEDED, credits=0, ended=self._clock.time())

    def unsent(self, key: str) -> None:
        """Records that a POST was surely not accepted."""
        self._settle(key, status=UNSENT)

    def refused(self, key: str, error: str, field: str | None = None) -> None:
        """Records that the API refused a POST, and the field that it named, as the attempt's `code`."""
        self._settle(key, status=REFUSED, error=self._mask(error), code=field, ended=self._clock.time())

    def sent(self, key: str) -> None:
        """Ends the wait for an answer that this process will not see any more."""
        if key in self._sending:
            _unlock_byte(self._locks, self._sending.pop(key))

    def ended(
        self,
        name: str,
        status: str,
        *,
        credits: Any = None,
        saved: Iterable[str] = (),
        folder: str | None = None,
        code: Any = None,
        error: str | None = None,
    ) -> None:
        """Records an end that was seen of what was started as `name`, with the absolute paths of all its files.

        `folder` has all of them, even if there are none.
        """
        changes = {"status": self._mask(status), "ended": self._clock.time(), "code": self._short(code, MAX_PROMPT)}
        changes["error"] = self._mask(error) if error else None
        if number_of(credits) is not None:
            changes["credits"] = number_of(credits)
        found: dict[str, list[str]] = {folder: []} if folder else {}
        for path in map(self._mask, saved):
            found.setdefault(os.path.dirname(path), []).append(path)

        def record() -> None:
            for attempt in self._select("id = ? AND account = ?", self._mask_id(name), self.account):
                if status == GONE and attempt.status not in OPEN:
                    continue  # it was seen to end before
                if attempt.status == status and not error:  # seen again, by a call that was not told why
                    changes.update(code=attempt.code, error=attempt.error)
                older = {each: paths for each, paths in attempt.saved.items() if each not in found}
                folders = jsontext.encoded({**older, **found}).decode() if older or found else None
                self._update("n = ?", attempt.n, **changes, saved=folders)

        if self.is_there:
            self._record(record)

    def _settle(self, key: str, **changes: Any) -> None:
        """Records what came of a POST."""
        self._record(lambda: self._update("key = ?", key, **changes))
        self.sent(key)

    def _record(self, change: Callable[[], None]) -> None:
        """Records what has happened already, in its order; what fails is noted, and tried again with the next."""
        self._late.append(change)
        try:
            with self._turn:
                while self._late:
                    with self:
                        self._late[0]()
                    del self._late[0]
        except (LedgerLocked, LedgerMissing):
            pass
        except RunwayError as failure:
            if self.failure is None:
                self.failure = failure
                self._client.console.note(failure.message)

    def uploaded(self, digest: str, uri: str, moment: float) -> None:
        """Records the URI of an uploaded file by the hash of its content; another account has another one."""
        with self:
            self._run("REPLACE INTO uploads VALUES (?, ?, ?)", f"{self.account} {digest}", uri, moment)

    @property
    def is_there(self) -> bool:
        """Returns whether there is anything to read: the file, or a history of version 2 to take over."""
        old = os.path.join(os.path.dirname(self.path), OLD_HISTORY)
        is_old = not self._is_exclusive and os.path.lexists(old) and os.access(os.path.dirname(old), os.W_OK)
        return bool(self.path) and (os.path.lexists(self.path) or is_old)

    def check(self) -> None:
        """Raises ConfigError for a file that is not a ledger, but nothing for one that is locked or damaged."""
        with suppress(OutputError, LedgerMissing):
            self._read("SELECT 1")

    def attempt(self, key: str) -> Attempt | None:
        """Returns one attempt by its key."""
        return next(iter(self._select("key = ?", key)), None)

    def last(self, job: str) -> Attempt | None:
        """Returns the last attempt at a job of this account."""
        where = "account = ? AND job = ? AND status <> ? ORDER BY n DESC LIMIT 1"
        return next(iter(self._select(where, self.account, self._job(job), UNSENT)), None)

    def attempts(self) -> list[Attempt]:
        """Returns the attempts of this account in their order."""
        return self._select("account = ? AND status <> ? ORDER BY n", self.account, UNSENT)

    def claimed(self) -> set[str]:
        """Returns the destinations of what is in progress, or ended well and was not saved, whoever started it."""
        found = self._select("status IN (?, ?) OR (status = ? AND saved IS NULL)", *OPEN, SUCCEEDED)
        return {each.destination for each in found if each.destination}

    def other_account(self) -> str | None:
        """Returns the name of another account that has paid, or may have; None where there is none."""
        words = "SELECT account FROM attempts WHERE account <> ? AND status <> ? LIMIT 1"
        return next((row["account"] for row in self._read(words, self.account, UNSENT)), None)

    def is_sending(self, attempt: Attempt) -> bool:
        """Returns whether a living process waits for the answer to this attempt's POST."""
        if attempt.status != SENDING:
            return False
        is_free = self._lock(attempt.n)
        if is_free:
            _unlock_byte(self._locks, attempt.n)
        return not is_free

    def priced(self, shape: str | None) -> Attempt | None:
        """Returns the last attempt of the same shape whose cost is known; none has the shape None."""
        where = "account = ? AND shape = ? AND credits IS NOT NULL AND status = ? ORDER BY n DESC LIMIT 1"
        return next(iter(self._select(where, self.account, shape, SUCCEEDED)), None)

    def prices(self, since: float = -1.0, *, without: Collection[str] = ()) -> list[Any]:
        """Returns the credits of attempts since a moment, and of all in progress or UNCERTAIN; None where unknown.

        Those whose keys are in `without` are left out.
        """
        where = "account = ? AND status NOT IN (?, ?) AND (at > ? OR status IN (?, ?))"
        words = f"SELECT key, credits FROM attempts WHERE {where}"
        rows = self._read(words, self.account, UNSENT, REFUSED, since, *OPEN)
        return [number_of(row["credits"]) for row in rows if row["key"] not in without]

    def upload(self, digest: str, since: float) -> str | None:
        """Returns the URI of an upload that was made after a moment."""
        words = "SELECT uri FROM uploads WHERE digest = ? AND at > ?"
        found = self._read(words, f"{self.account} {digest}", since)
        return found[0]["uri"] if found else None

    def _update(self, where: str, *values: Any, **changes: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in changes)
        self._run(f"UPDATE attempts SET {names} WHERE {where}", *changes.values(), *values)

    def _select(self, where: str, *values: Any) -> list[Attempt]:
        try:
            return [Attempt(row) for row in self._read(f"SELECT * FROM attempts WHERE {where}", *values)]
        except ValueError:
            raise self._failure("it is damaged") from None

    def _read(self, words: str, *values: Any) -> list[sqlite3.Row]:
        """Returns the rows of a statement that only reads; none where there is no file, which is not made."""
        return self._run(words, *values) if self._db or self.is_there else []

    def _run(self, words: str, *values: Any) -> list[sqlite3.Row]:
        """Runs a statement and returns its rows. Raises the exceptions that the class names."""
        try:
            import sqlite3
        except ImportError:
            raise LedgerMissing("this Python has no sqlite3") from None
        left = self.tries
        while True:
            try:
                with self._turn:
                    return (self._db or self._opened()).execute(words, _plain(values)).fetchall()
            except (sqlite3.Error, UnicodeDecodeError) as error:
                left -= 1
                if "locked" not in str(error) or self._is_exclusive or not left:
                    raise self._failure(str(error)) from None
            if not self._late:  # what has happened already is recorded first
                self._client.shutdown.check()

    def _opened(self) -> sqlite3.Connection:
        """Opens the file, checks it as a whole, and brings its schema up to date."""
        import sqlite3

        self._make_file()
        wait = 1.0 if self._is_exclusive else LOCKED / TRIES
        db = sqlite3.connect(self.path, timeout=wait, isolation_level=None, check_same_thread=False)
        try:
            db.row_factory = sqlite3.Row
            # With the default journal one file can be copied, and network folders work.
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("PRAGMA fullfsync = 1")  # macOS: on the disk, not in its cache
            if self._is_exclusive:
                db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("BEGIN EXCLUSIVE" if self._is_exclusive else "BEGIN")
            self._check_file(db)
            db.execute("COMMIT")
            if _pragma(db, "user_version") < len(MIGRATIONS):
                self._migrate(db)
        except BaseException:
            db.close()
            raise
        self._db = db
        return db

    def _check_file(self, db: sqlite3.Connection) -> None:
        """Raises OutputError or ConfigError for a file that must not be written to."""
        version = _pragma(db, "user_version")  # from this read on no other process changes the file
        size = os.path.getsize(self.path)
        if not size:
            if not self._is_exclusive and os.path.lexists(self.path + LOCKS):
                raise self._failure("it is empty, and had attempts")
            return
        if _pragma(db, "application_id") != LEDGER_ID:
            raise self._no_ledger("is not a ledger of this program")
        if version > len(MIGRATIONS):
            raise self._no_ledger("was written by a newer version of this program")
        # SQLite itself misses a few bytes that were cut off.
        if _pragma(db, "page_count") * _pragma(db, "page_size") != size:
            raise self._failure("its size is wrong")
        if _pragma(db, "integrity_check(1)" if size < CHECKED else "quick_check(1)") != "ok":
            raise self._failure("it is damaged")

    def _migrate(self, db: sqlite3.Connection) -> None:
        """Brings the schema up to date; a new history takes over that of version 2 beside it."""
        db.execute("BEGIN IMMEDIATE")
        version = _pragma(db, "user_version")  # another process may have been here in between
        for number in range(version, len(MIGRATIONS)):
            for statement in filter(str.strip, MIGRATIONS[number].split(";")):
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {LEDGER_ID}")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        if version == 0 and not self._is_exclusive:
            for row in _of_version_2(os.path.join(os.path.dirname(self.path), OLD_HISTORY)):
                db.execute(_insert("INSERT OR IGNORE", row), _plain(row.values()))
        db.execute("COMMIT")

    def _make_file(self) -> None:
        """Makes the folder and the file where they are missing."""
        if not self.path:
            raise LedgerMissing("it is off", is_wanted=True)
        if os.path.exists(self.path):
            if not os.path.isfile(self.path):  # a pipe might never answer
                raise self._no_ledger("is not a file")
            return
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            if not self._is_exclusive and os.path.lexists(self.path + LOCKS):
                os.unlink(self.path + LOCKS)  # of a ledger that was removed
        except FileExistsError:
            pass
        except OSError as error:
            raise LedgerMissing(f"{self.path!r}: {error.strerror or error}") from None

    def _failure(self, words: str) -> Exception:
        if "not a database" in words:
            return self._no_ledger("is not a ledger of this program")
        if "locked" in words and self._is_exclusive:
            return LedgerLocked(self.path)
        is_untouched = self._locks < 0 and not self._is_exclusive  # nothing was recorded that could be lost
        if (self._db is None or is_untouched) and ("unable to open" in words or "readonly" in words):
            return LedgerMissing(f"{self.path!r}: {words}")
        reason = f"another process has kept it locked for {LOCKED:.0f} s" if "locked" in words else words
        return OutputError(f"the ledger {self.path!r} cannot be used: {reason}")

    def _no_ledger(self, words: str) -> ConfigError:
        return ConfigError(f"{self.path!r} {words}", variable=None if self._is_exclusive else HISTORY_VARIABLE)

    def _lock(self, number: int) -> bool:
        """Locks the byte of an attempt; returns False where another process holds it."""
        try:
            if self._locks < 0:
                self._locks = os.open(self.path + LOCKS, os.O_RDWR | os.O_CREAT, 0o600)
            return _lock_byte(self._locks, number)
        except OSError as error:
            raise self._failure(f"{self.path + LOCKS!r}: {error.strerror}") from None

    def _job(self, name: str) -> str:
        """Returns the name of a job as it is stored: masked, with a hash that still tells it from others."""
        import hashlib

        masked, code = self._mask(name), hashlib.sha256(name.encode("utf-8", "surrogatepass"))
        return name if masked == name else f"{masked} {code.hexdigest()}"

    def _mask_id(self, text: str) -> str:
        """Masks what may not even stand in an id: a short key may be a part of one."""
        return self._client.console.secrets.mask(text, MIN_LENGTH_IN_RESULTS)

    def _short(self, text: Any, most: int | None) -> str | None:
        """Returns a text up to its first data URI, cut after it was masked, so that no part of a secret is left."""
        if not isinstance(text, str):
            return None
        return re.sub(r'(?is)data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w.+="-]+)*,.*', "data:…", self._mask(text))[:most]


def _pragma(db: sqlite3.Connection, name: str) -> Any:
    return db.execute(f"PRAGMA {name}").fetchone()[0]


def _insert(verb: str, row: dict[str, Any]) -> str:
    return f"{verb} INTO attempts ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"


def _plain(values: Iterable[Any]) -> list[Any]:
    """Returns the values with bytes for a text that is not valid UTF-8, as a file's name may be."""
    is_odd = re.compile("[\ud800-\udfff]").search
    return [each.encode("utf-8", "surrogatepass") if is_odd(str(each)) else each for each in values]


if sys.platform == "win32":
    import msvcrt

    def _lock_byte(descriptor: int, position: int) -> bool:
        """Locks one byte of a file for this process; returns False where another process has it. Raises OSError."""
        os.lseek(descriptor, position, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, 0):  # 0: a C runtime that gives no reason
                raise
            return False
        return True

    def _unlock_byte(descriptor: int, position: int) -> None:
        os.lseek(descriptor, position, os.SEEK_SET)
        with suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock_byte(descriptor: int, position: int) -> bool:
        """Locks one byte of a file for this process; returns False where another process has it. Raises OSError."""
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, position)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock_byte(descriptor: int, position: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, position)


def _of_version_2(path: str) -> list[dict[str, Any]]:
    """Returns the columns of the attempts in a history of version 2, JSON Lines, in their order."""
    from datetime import datetime, timezone

    rows: dict[str, dict[str, Any]] = {}
    ends: list[dict[str, Any]] = []
    for line in [*_lines(path + ".1"), *_lines(path)]:
        try:
            record = jsontext.loads(line)
            texts = {name: value for name, value in record.items() if isinstance(value, str)}
            event, owner = texts["event"], texts["account"]
            time = datetime.strptime(texts["at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
            key = texts["id" if event == "ended" else "key"]
        except (ValueError, AttributeError, KeyError):  # a line that was cut off
            continue
        moment = time.timestamp()
        new = dict.fromkeys(("path", "model", "prompt", "id", "credits", "ended", "saved"))
        new.update(key=key, account=owner, client=texts.get("clientId"), at=moment, status=SENDING)
        if event == "ended":  # another process may have written it before the start
            ends.append({**record, "status": texts.get("status"), "ended": moment})
        elif event == "refused":
            rows.pop(key, None)
        elif event == "intent":
            rows.setdefault(key, new).update((column, texts.get(column)) for column in ("path", "model", "prompt"))
        elif event == "started":
            credits = number_of(record.get("credits"))
            rows.setdefault(key, new).update(status=STARTED, id=texts.get("id"), credits=credits)
    by_id = {(row["account"], row["id"]): row for row in rows.values()}
    for end in ends:
        row = by_id.get((end["account"], end["id"]), {})
        files = end.get("saved")
        folders: dict[str, list[str]] = {}
        for file in files if isinstance(files, list) else ():
            folders.setdefault(os.path.dirname(str(file)), []).append(str(file))
        credits = number_of(end.get("credits"))
        row.update(status=end["status"] or GONE, ended=end["ended"])
        row["credits"] = row.get("credits") if credits is None else credits
        row["saved"] = jsontext.encoded(folders).decode() if folders else row.get("saved")
    return sorted(rows.values(), key=lambda row: float(row["at"]))


def _lines(path: str) -> list[bytes]:
    if not os.path.isfile(path):
        return []  # none, or a pipe that might never answer
    try:
        with open(path, "rb") as file:
            return file.readlines()
    except OSError:
        return []
