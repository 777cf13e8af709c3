"""The ledger: every job that was paid for, in a SQLite file, on the disk before anything depends on it.

One class serves the history of this machine, which many processes write, and the ledger beside a batch's rows, which
one process holds as long as it runs. A row of its table is one attempt at a job, with one of these statuses or the last
one that the API gave:

    UNCERTAIN  the intent, recorded before the POST is sent: its outcome is not known yet, or never will be
    STARTED    the POST was answered with an id
    REFUSED    the API refused it: a row of a batch stays refused until it is retried
    GONE       the API no longer knows it
    SUCCEEDED, FAILED, CANCELLED …   the end that was seen

A process that sends holds a lock on one byte of a file beside the ledger, the byte numbered as the attempt: the lock
is released when its process dies, so all others can see whether an answer may still come.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from ..api.client import Client
from ..errors import ConfigError, OutputError, RunwayError, UsageError
from ..jsontext import Json, encoded, loads
from ..settings import HISTORY_VARIABLE, LEDGER_ID, number_of
from ..terminal.masking import MIN_LENGTH_IN_RESULTS
from .tasks import GONE, GOOD_ENDS, SUCCEEDED

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    Change = tuple[Callable[[], object], bool]  # what makes it, and whether it records what has happened already

UNCERTAIN, STARTED, REFUSED = "UNCERTAIN", "STARTED", "REFUSED"
OPEN = (UNCERTAIN, STARTED)  # in progress, as far as is recorded
MIGRATIONS = (  # PRAGMA user_version counts those that a file has seen
    """
    CREATE TABLE attempts (
      n INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE NOT NULL, account TEXT NOT NULL, client TEXT, job TEXT,
      digest TEXT, shape TEXT, at REAL NOT NULL, path TEXT, model TEXT, prompt TEXT, status TEXT NOT NULL, id TEXT,
      credits NUMERIC, code TEXT, error TEXT, destination TEXT, name TEXT, saved TEXT);
    CREATE INDEX attempts_by_job ON attempts (account, job);
    CREATE INDEX attempts_by_id ON attempts (id);
    CREATE TABLE uploads (digest TEXT PRIMARY KEY, uri TEXT NOT NULL, at REAL NOT NULL)
    """,
)
SELECT = "SELECT *, strftime('%Y-%m-%dT%H:%M:%fZ', at, 'unixepoch') AS startedAt FROM attempts WHERE"
WAIT, TRIES = 0.2, 50  # seconds that one try waits for another process's lock, and the number of tries
FULL_CHECK = 2 << 20  # bytes of a ledger whose indexes are compared with its table at each start
PROMPT_FIELDS = ("promptText", "text", "prompt", "personality", "name")  # the first one present is used
MAX_TEXT = 80  # characters of a model, a prompt and a failure code, up to the first data URI
DATA_URI = r'(?is)data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w.+="-]+)*,.*'
IS_ODD = re.compile("[\ud800-\udfff]").search  # a text that is not valid UTF-8 is stored as bytes
UNMASKED = ("key", "job", "digest", "shape", "saved")  # columns of hashes, and of paths that were masked before

# Locks and frees bytes of a file for this process, from the current position on
if sys.platform == "win32":
    import msvcrt

    lock, TAKE, FREE = msvcrt.locking, msvcrt.LK_NBLCK, msvcrt.LK_UNLCK
else:
    lock, TAKE, FREE = os.lockf, os.F_TLOCK, os.F_ULOCK


class LedgerMissing(ConfigError):
    """The lack of a ledger: it is off (fact: `off`), its folder cannot be written, or Python has no sqlite3."""


class Attempt:
    """A row of the ledger, its columns as attributes: `at` in seconds of the epoch, `saved` as {folder: [paths]}."""

    if TYPE_CHECKING:

        def __getattr__(self, column: str) -> Json: ...

    def __init__(self, cursor: sqlite3.Cursor, row: Iterable[Json]) -> None:
        for (name, *_), value in zip(cursor.description, row):  # a text that is not valid UTF-8 was stored as bytes
            vars(self)[name] = value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value
        saved = vars(self).get("saved")
        self.saved: dict[str, list[str]] = loads(saved) if saved else {}

    @property
    def files(self) -> list[str]:
        """Returns every file that was saved, by absolute path."""
        return list(dict.fromkeys(path for paths in self.saved.values() for path in paths))

    @property
    def is_done(self) -> bool:
        """Returns whether it has ended well."""
        return self.status in GOOD_ENDS and not self.error

    @property
    def has_failed(self) -> bool:
        """Returns whether it has ended in any other way."""
        return self.status not in OPEN and not self.is_done


class Ledger:
    """The attempts of one account, that of the client, in one file. Safe for several threads.

    `exclusive`, for the ledger of a batch, locks other processes out until `close`. A missing folder is created with
    mode 0700, a missing file with 0600. Methods raise OutputError where the file is damaged, full or locked,
    ConfigError for any other file, LedgerMissing where there can be none, UsageError where another process runs the
    batch, and Interrupted while they wait for one. `settle`, `forget` and `ended` record what has happened already, and
    raise nothing: the first `failure` is noted.
    """

    def __init__(self, path: str | None, client: Client, *, exclusive: bool = False) -> None:
        import threading

        self.path = os.path.realpath(path) if path else ""  # so that links to one file share one lock file
        self.account = client.target.account
        self.tries = TRIES
        self.failure: RunwayError | None = None  # why something that has happened could not be recorded
        self.is_unavailable = False  # there can be none, and the user was told so where it matters
        self._client = client
        self._mask = client.console.mask
        self._is_exclusive = exclusive
        self._lock_file = "" if exclusive else self.path + "-lock"
        self._old = "" if exclusive else os.path.join(os.path.dirname(self.path), "history.jsonl")  # of version 2
        self._turn = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._locks = -1  # the descriptor of the file whose bytes are locked
        self._waiting: list[Change] = []  # for a commit
        self._intended: list[int] = []  # in this transaction

    def close(self) -> None:
        """Closes the file, and ends every lock on it."""
        with self._turn:
            if self._db is not None:
                self._db.close()
            if self._locks >= 0:
                os.close(self._locks)
            self._db, self._locks = None, -1

    def commit(self, act: Callable[[], object], *, is_past: bool = False) -> None:
        """Calls `act`, whose reads and writes are one step for all others, and returns once they are on the disk.

        One commit serves all threads that wait for one: on a busy disk it takes longer than a request. `is_past`: it
        has happened already, so a record that fails joins every later commit.
        """
        change = (act, is_past)
        self._waiting.append(change)
        with self._turn:
            group = self._waiting[:]
            own = [each for each in group if each is change or each[1]]
            try:
                while change in self._waiting:  # else another thread has made it
                    try:
                        with self.transaction():
                            for made, _ in group:
                                made()
                        for each in group:
                            self._waiting.remove(each)
                    except RunwayError:
                        if len(group) == len(own):
                            raise
                        group = own  # the others will make theirs
            finally:  # before another thread's turn, which would make what was refused
                if not is_past and change in self._waiting:
                    self._waiting.remove(change)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Makes the reads and writes of the `with` block one step for all other processes and threads."""
        with self._turn:
            if self._db is not None and self._db.in_transaction:  # already in a transaction
                yield
                return
            self._run("BEGIN IMMEDIATE")
            self._intended.clear()
            try:
                yield
                for number in self._intended:  # not before: one that is refused leaves its number to another process
                    self._lock(number)
                self._run("COMMIT")
                self.tries = TRIES
            finally:
                if self._db is not None and self._db.in_transaction:
                    self._run("ROLLBACK")

    def intend(self, path: str, body: Json, **facts: Json) -> None:
        """Records a POST that is about to be sent. `body` is the JSON value that is sent.

        `facts` are columns: `key`, `job`, `digest`, `shape`, `destination`, `name`.
        """
        fields = body if isinstance(body, dict) else {}
        prompt = next((fields[name] for name in PROMPT_FIELDS if isinstance(fields.get(name), str)), None)
        row: dict[str, Json] = {"key": os.urandom(16).hex(), "account": self.account, "at": self._client.clock.time()}
        row.update(client=self._client.target.client_id, status=UNCERTAIN)
        row.update(self._columns(path=path, model=fields.get("model"), prompt=prompt, **facts))
        with self.transaction():
            if not self._is_exclusive:
                # Counted from the last records, not from now: the clock may be wrong.
                year_ago = "SELECT MIN(at) - 365 * 86400 FROM (SELECT at FROM attempts ORDER BY n DESC LIMIT 100)"
                self._run(f"DELETE FROM attempts WHERE status NOT IN (?, ?) AND at < ({year_ago})", *OPEN)
            places = ", ".join("?" * len(row))
            self._run(f"INSERT INTO attempts ({', '.join(row)}) VALUES ({places})", *row.values())
            if not self._is_exclusive:
                self._intended.append(self._run("SELECT last_insert_rowid() AS n")[0].n)

    def settle(self, key: str, status: str, **facts: Json) -> None:
        """Records the outcome of a POST: `id`, `credits`, `error` and `code` as far as they are known."""
        self._record(lambda: self._update(key, status=status, **facts))

    def forget(self, key: str) -> None:
        """Records that a POST was surely not accepted: removes its intent."""
        self._record(lambda: self._run("DELETE FROM attempts WHERE key = ?", key))

    def ended(
        self, name: str, status: str, *, saved: Iterable[str] = (), folder: str | None = None, **facts: Json
    ) -> None:
        """Records the end of what was started as `name`, with the absolute paths of all its files.

        `folder` is where all of them are, even if there are none. `facts` are `credits`, `code` and `error`.
        """
        folders: dict[str, list[str]] = {folder: []} if folder else {}
        for path in map(self._mask, saved):
            folders.setdefault(os.path.dirname(path), []).append(path)

        def record() -> None:
            for attempt in self._read(f"{SELECT} account = ? AND id = ?", self.account, self._columns(id=name)["id"]):
                if status == GONE and attempt.status not in OPEN:
                    continue  # its end was recorded before
                changes = {"status": status, **{key: fact for key, fact in facts.items() if fact is not None}}
                if attempt.status != status:  # else this end was recorded before, and this call may not know the reason
                    changes = {"code": None, "error": None, **changes}
                older = {each: paths for each, paths in attempt.saved.items() if each not in folders}
                if older or folders:
                    changes["saved"] = encoded({**older, **folders}).decode()
                self._update(attempt.key, **changes)

        self._record(record)

    def _record(self, change: Callable[[], object]) -> None:
        """Records what has already happened, in order. A failure is noted, and tried again with the next record."""
        try:
            if self._is_there:
                self.commit(change, is_past=True)
        except RunwayError as failure:
            if self.failure is None and not self.is_unavailable:
                self.failure = failure
                self._client.console.note(failure.message)

    def uploaded(self, digest: str, uri: str, moment: float) -> None:
        """Records the URI of an uploaded file by the hash of its content, for this account."""
        self._run("REPLACE INTO uploads VALUES (?, ?, ?)", f"{self.account} {digest}", uri, moment)

    def upload(self, digest: str, since: float) -> str | None:
        """Returns the URI of an upload that was made after a moment."""
        words = "SELECT uri FROM uploads WHERE digest = ? AND at > ?"
        return next((row.uri for row in self._read(words, f"{self.account} {digest}", since)), None)

    def check(self) -> None:
        """Raises ConfigError for a file that is not a ledger; one that is locked or damaged passes."""
        with suppress(OutputError, LedgerMissing):
            self._read("SELECT 1")

    def attempts(self) -> list[Attempt]:
        """Returns the attempts of this account, oldest first."""
        return self._read(f"{SELECT} account = ? ORDER BY n", self.account)

    def last(self, **columns: str | None) -> Attempt | None:
        """Returns the last attempt of this account with these columns; a column that is None matches nothing."""
        words = f"{SELECT} account = ?" + "".join(f" AND {name} = ?" for name in columns) + " ORDER BY n DESC LIMIT 1"
        return next(iter(self._read(words, self.account, *columns.values())), None)

    def prices(self, since: float = -1.0) -> list[float | None]:
        """Returns the credits, None if unknown, of each attempt since a moment and of each open one."""
        words = "SELECT credits FROM attempts WHERE account = ? AND status <> ? AND (at > ? OR status IN (?, ?))"
        return [row.credits for row in self._read(words, self.account, REFUSED, since, *OPEN)]

    def claimed(self) -> set[str]:
        """Returns the destinations of what is in progress, or succeeded and is unsaved, of all accounts."""
        rows = self._read(f"{SELECT} status IN (?, ?) OR (status = ? AND saved IS NULL)", *OPEN, SUCCEEDED)
        return {row.destination for row in rows if row.destination}

    def other_account(self) -> str | None:
        """Returns the name of another account that has paid, or may have; None where there is none."""
        rows = self._read("SELECT account FROM attempts WHERE account <> ? LIMIT 1", self.account)
        return rows[0].account if rows else None

    def is_sending(self, attempt: Attempt) -> bool:
        """Returns whether a live process is waiting for the answer to this attempt's POST."""
        return attempt.status == UNCERTAIN and not self._lock(attempt.n, release=True)

    def _columns(self, **facts: Json) -> dict[str, Json]:
        """Returns facts as they are stored: texts are masked before they are cut, so no part of a secret is left."""
        for name, fact in facts.items():
            if name == "credits":
                facts[name] = number_of(fact)
            elif not isinstance(fact, str):
                facts[name] = None
            elif name == "id":  # an id may contain a short key by chance
                facts[name] = self._client.console.secrets.mask(fact, MIN_LENGTH_IN_RESULTS)
            elif name in ("model", "prompt", "code"):
                facts[name] = re.sub(DATA_URI, "data:…", self._mask(fact))[:MAX_TEXT]
            elif name not in UNMASKED:
                facts[name] = self._mask(fact)
        return facts

    def _update(self, key: str, **facts: Json) -> None:
        names = ", ".join(f"{name} = ?" for name in facts)
        self._run(f"UPDATE attempts SET {names} WHERE key = ?", *self._columns(**facts).values(), key)

    @property
    def _is_there(self) -> bool:
        """Returns whether there is anything to read: the file, or a history of version 2 to import."""
        if self._db is not None or not self.path:
            return bool(self.path)
        is_old = os.path.lexists(self._old) and os.access(os.path.dirname(self._old), os.W_OK)
        return is_old or os.path.lexists(self.path)

    def _read(self, words: str, *values: Json) -> list[Attempt]:
        """Returns the rows of a statement that only reads: none if the file is missing; it is not created."""
        return self._run(words, *values) if self._is_there else []

    def _run(self, words: str, *values: Json) -> list[Attempt]:
        """Runs a statement and returns its rows. Raises the exceptions that the class names."""
        try:
            import sqlite3
        except ImportError:
            raise LedgerMissing("this Python has no sqlite3") from None
        left = self.tries
        plain = [each.encode("utf-8", "surrogatepass") if IS_ODD(str(each)) else each for each in values]
        while True:
            try:
                with self._turn:
                    return (self._db or self._open()).execute(words, plain).fetchall()
            except (sqlite3.Error, ValueError) as error:
                left -= 1
                if not left:
                    self.tries = 1  # so that not each thread waits as long for the same process
                if "locked" not in str(error) or self._is_exclusive or not left:
                    raise self._failure(str(error)) from None
            if not any(is_past for _, is_past in self._waiting):  # what has happened already is recorded first
                self._client.shutdown.check()

    def _open(self) -> sqlite3.Connection:
        """Opens the file, creates it if missing, checks all of it, and brings its schema up to date."""
        import sqlite3

        self._make_file()
        self._db = db = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None, check_same_thread=False)

        def pragma(name: str) -> Json:
            return next(db.execute(f"PRAGMA {name}"))[0]

        try:
            # Not WAL: the ledger stays one file that can be copied, and works on network folders.
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("PRAGMA fullfsync = 1")  # macOS: on the disk, not in its cache
            if self._is_exclusive:
                db.execute("PRAGMA locking_mode = EXCLUSIVE")
            # Refuse a file that is not ours to change; from the first read on no other process changes it.
            db.execute("BEGIN EXCLUSIVE" if self._is_exclusive else "BEGIN")
            version, size = pragma("user_version"), os.path.getsize(self.path)
            if not size:
                if os.path.lexists(self._lock_file):
                    raise self._failure("it is empty, and had attempts")
            elif pragma("application_id") != LEDGER_ID:
                raise self._no_ledger("is not a ledger of this program")
            elif version > len(MIGRATIONS):
                raise self._no_ledger("was written by a newer version of this program")
            elif pragma("page_count") * pragma("page_size") != size:  # SQLite misses a few bytes that were cut off
                raise self._failure("its size is wrong")
            elif pragma("integrity_check(1)" if size < FULL_CHECK else "quick_check(1)") != "ok":
                raise self._failure("it is damaged")
            db.execute("ROLLBACK")  # after a commit, a kill would leave an empty database that every later run refuses

            db.row_factory = Attempt
            if version < len(MIGRATIONS):
                with self.transaction():
                    self._migrate()
        except BaseException:
            db.close()
            self._db = None
            raise
        return db

    def _make_file(self) -> None:
        if not self.path:
            raise LedgerMissing("it is off", off=True)
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            with suppress(FileNotFoundError):
                os.unlink(self._lock_file)  # left from a ledger that was removed
        except OSError as error:
            if not os.path.exists(self.path):
                raise LedgerMissing(f"{self.path!r}: {error.strerror or error}") from None
            if not os.path.isfile(self.path):  # a pipe might never answer
                raise self._no_ledger("is not a file") from None

    def _migrate(self) -> None:
        """Brings the schema up to date; a new history imports that of version 2 beside it."""
        version = self._run("PRAGMA user_version")[0].user_version  # another process may have migrated it meanwhile
        for statement in ";".join(MIGRATIONS[version:]).split(";"):
            self._run(statement)
        self._run(f"PRAGMA application_id = {LEDGER_ID}")
        self._run(f"PRAGMA user_version = {len(MIGRATIONS)}")
        if version == 0 and self._old:
            self._take_over()

    def _take_over(self) -> None:
        """Copies the attempts of a history of version 2, JSON Lines."""
        from datetime import datetime, timezone

        lines: list[bytes] = []
        for path in filter(os.path.isfile, (f"{self._old}.1", self._old)):  # a pipe might never answer
            with suppress(OSError), open(path, "rb") as file:
                lines += file.readlines()
        for line in lines * 2:  # another process may have written an end before the start
            try:
                record = loads(line)
                text = {name: value for name, value in record.items() if isinstance(value, str)}
                event, account, key = text["event"], text["account"], text["key" if "key" in record else "id"]
                moment = datetime.strptime(text["at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
                files = record.get("saved") or ()  # all in one folder
                saved = encoded({os.path.dirname(files[0]): files}).decode() if files else None
            except (ValueError, TypeError, AttributeError, KeyError):  # a line that was cut off
                continue
            credits, shown = number_of(record.get("credits")), map(text.get, ("clientId", "path", "model", "prompt"))
            if event == "refused":
                self._run("DELETE FROM attempts WHERE key = ?", key)
            elif event == "ended":
                changes = "status = ?, credits = COALESCE(?, credits), saved = COALESCE(?, saved)"
                words = f"UPDATE attempts SET {changes} WHERE account = ? AND id = ?"
                self._run(words, text.get("status", GONE), credits, saved, account, key)
            else:
                names = "key, account, at, status, client, path, model, prompt"
                words = f"INSERT OR IGNORE INTO attempts ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                self._run(words, key, account, moment.timestamp(), UNCERTAIN, *shown)
            if event == "started" and "id" in text:
                words = "UPDATE attempts SET status = ?, id = ?, credits = ? WHERE key = ? AND id IS NULL"
                self._run(words, STARTED, text["id"], credits, key)

    def _failure(self, words: str) -> Exception:
        if "not a database" in words:
            return self._no_ledger("is not a ledger of this program")
        if "locked" in words and self._is_exclusive:
            words = f"the ledger {self.path!r} is in use by another process: this batch is running already"
            return UsageError(words, batch_call="same")
        if self._locks < 0 and re.search("(unable to|not) open|readonly", words):  # no attempt of this run is recorded
            return LedgerMissing(f"{self.path!r}: {words}")
        reason = f"another process has kept it locked for {WAIT * TRIES:.0f} s" if "locked" in words else words
        return OutputError(f"the ledger {self.path!r} cannot be used: {reason}")

    def _no_ledger(self, words: str) -> ConfigError:
        return ConfigError(f"{self.path!r} {words}", variable=None if self._is_exclusive else HISTORY_VARIABLE)

    def _lock(self, byte: int, *, release: bool = False) -> bool:
        """Locks the byte of an attempt, with `release` only to test it. Returns False if another process holds it."""
        try:
            if self._locks < 0:
                self._locks = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
            os.lseek(self._locks, byte, os.SEEK_SET)
            lock(self._locks, TAKE, 1)
            if release:
                lock(self._locks, FREE, 1)
        except OSError as error:
            if self._locks >= 0 and error.errno in (errno.EACCES, errno.EAGAIN, 0):  # 0: a C runtime gives no reason
                return False
            raise self._failure(f"{self._lock_file!r}: {error.strerror}") from None
        return True
