"""The ledger: every job that was paid for, in a SQLite file, on the disk before anything depends on it.

One class serves the history of this machine, which many processes write, and the ledger beside a batch's rows, which
one process holds for as long as it runs. A row of its table is one attempt at a job, with one of these statuses, or
whatever else the API has said last:

    SENDING    the intent, recorded before the POST is sent; UNCERTAIN once the process that sent it is gone
    STARTED    the POST was answered with an id
    UNSENT     the POST was surely not accepted: as if it had never been
    REFUSED    the API refused it: a row of a batch stays refused until it is retried
    GONE       the API no longer knows it
    SUCCEEDED, FAILED, CANCELLED …   the end that was seen

A process that sends holds a lock on one byte of a file beside the ledger, the byte numbered as the attempt: the lock
dies with its process, so everybody else sees at once whether the answer may still come.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

from .. import jsontext
from ..errors import ConfigError, OutputError, RunwayError
from ..settings import HISTORY_VARIABLE, LEDGER_ID
from ..terminal.masking import MIN_LENGTH_IN_RESULTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Any

    from ..api.client import Client

SENDING, UNCERTAIN, STARTED, UNSENT, REFUSED, GONE = "SENDING", "UNCERTAIN", "STARTED", "UNSENT", "REFUSED", "GONE"
SUCCEEDED, FAILED, CANCELLED = "SUCCEEDED", "FAILED", "CANCELLED"
OPEN = (SENDING, STARTED)  # in progress, as far as the ledger knows
GOOD_ENDS = (SUCCEEDED, "READY", "COMPLETED")
BAD_ENDS = (FAILED, CANCELLED)
# The schema. PRAGMA user_version counts the steps that a file has seen.
MIGRATIONS = (
    (
        """CREATE TABLE attempts (
        n INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE NOT NULL, account TEXT NOT NULL, client TEXT,
        job TEXT, digest TEXT, shape TEXT, at REAL NOT NULL, path TEXT, model TEXT, prompt TEXT, status TEXT NOT NULL,
        id TEXT, credits REAL, code TEXT, error TEXT, destination TEXT, name TEXT, saved TEXT)""",
        "CREATE INDEX attempts_by_job ON attempts (account, job)",
        "CREATE INDEX attempts_by_id ON attempts (id)",
        "CREATE TABLE uploads (digest TEXT PRIMARY KEY, uri TEXT NOT NULL, at REAL NOT NULL)",
    ),
)
LOCKS = "-lock"  # the end of the name of the file whose bytes are locked
LOCKED = 10.0  # seconds for which another process may keep the ledger locked
TRIES = 50  # in that time
CHECKED = 2 << 20  # bytes of a ledger whose indexes are compared with its table at each start
OLD_HISTORY = "history.jsonl"  # the name of version 2's
YEAR = 365 * 86_400.0
LAST = 100  # records that tell what time it is: the clock of this moment may be wrong
MAX_CREDITS = 1e12  # of one job; more than that is not taken for a price
MAX_PROMPT = 80  # characters
PROMPT_FIELDS = ("promptText", "text", "prompt", "personality", "name")  # the first that is there counts
DATA_URI = r'(?is)data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w.+="-]+)*,.*'
SHORT = ("model", "prompt", "code")  # columns that hold MAX_PROMPT characters at most
AS_IS = ("key", "digest", "shape", "saved")  # columns that are not masked: hashes, and what was masked before


class LedgerLocked(Exception):
    """Another process holds the ledger of a batch."""


class LedgerMissing(ConfigError):
    """There can be no ledger: it is off (`is_wanted`), its folder cannot be written, or Python has no sqlite3."""

    is_wanted = False


def number_of(credits: Any) -> Any:
    """Returns credits as an int or a float, also where they come as text; None for what is not a price."""
    try:
        found = float("nan" if isinstance(credits, bool) else str(credits))
    except ValueError:
        return None
    if not 0 <= found < MAX_CREDITS:  # not NaN either
        return None
    return int(found) if found == int(found) else found


def is_safety(code: Any) -> bool:
    """Returns whether a failure code means that moderation refused the request (the API's page on task failures)."""
    return str(code).startswith("SAFETY")


class Attempt:
    """A row of the table: one attempt. `at` is in seconds of the epoch, `saved` is {folder: [paths]}."""

    n: int
    key: str
    client: str | None
    path: str | None
    model: str | None
    prompt: str | None
    job: str | None
    digest: str | None
    at: float
    status: str
    id: str | None
    credits: Any
    code: str | None
    error: str | None
    destination: str | None
    name: str | None
    saved: dict[str, list[str]]

    def __init__(self, row: sqlite3.Row) -> None:
        for name, value in zip(row.keys(), row):  # a text that is not valid UTF-8 is there as bytes
            vars(self)[name] = value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value
        self.credits = number_of(self.credits)
        self.saved = jsontext.loads(row["saved"]) if row["saved"] else {}

    @property
    def files(self) -> list[str]:
        """Returns every file that was saved, by absolute path."""
        return list(dict.fromkeys(path for paths in self.saved.values() for path in paths))

    @property
    def started_at(self) -> str:
        """Returns the moment of its POST as YYYY-MM-DDTHH:MM:SS.mmmZ."""
        seconds, milliseconds = divmod(int(self.at * 1000), 1000)
        return time.strftime(f"%Y-%m-%dT%H:%M:%S.{milliseconds:03}Z", time.gmtime(seconds))

    @property
    def is_uncertain(self) -> bool:
        """Returns whether its outcome is unknown, unless the process that sends it lives."""
        return self.status == SENDING

    @property
    def shown_status(self) -> str:
        """Returns the status for a user: UNCERTAIN where no answer was seen."""
        return UNCERTAIN if self.is_uncertain else self.status

    @property
    def is_unfinished(self) -> bool:
        """Returns whether it has started and no end was seen: it can be waited for."""
        return self.status == STARTED and bool(self.id)

    @property
    def is_done(self) -> bool:
        """Returns whether it has ended well."""
        return self.status in GOOD_ENDS and not self.error

    @property
    def has_failed(self) -> bool:
        """Returns whether it has ended in any other way."""
        return self.status not in OPEN and not self.is_done

    def has_files(self, destination: str) -> bool:
        """Returns whether its outputs are all still at an absolute path, which ends in a slash for a folder."""
        folder, name = os.path.split(destination)
        files = [path for path in self.saved.get(folder, []) if not name or _outputs(destination).fullmatch(path)]
        return bool(files) and all(map(os.path.isfile, files))

    def may_own(self, path: str) -> bool:
        """Returns whether the file at an absolute path is its output, or may be one that was saved and not recorded."""
        if self.saved or self.has_failed or not self.id or not self.destination:
            return path in self.files
        name = "" if os.path.basename(self.destination) else f"{self.id}.*"
        return bool(_outputs(self.destination + name).fullmatch(path))


def _outputs(destination: str) -> re.Pattern[str]:
    """Returns the pattern of the paths that outputs get at a destination, numbered or not."""
    from ..files.download import ANY

    root, extension = os.path.splitext(destination)
    return re.compile(re.escape(root) + r"(-\d+)?" + (r"\.\w+" if extension == ANY else re.escape(extension)))


class Ledger:
    """The attempts of one account in one file. Safe for several threads.

    The account is the client's, whose secrets and signed URLs are masked. `exclusive` keeps other processes out until
    `close`. What is missing is made: the folder with mode 0700, the file with 0600. Methods raise OutputError where the
    file is damaged, full or locked, ConfigError for any other file, LedgerMissing where there can be none, and
    Interrupted while they wait for another process; an exclusive one raises LedgerLocked. Those that record what has
    happened already, `settle` and `ended`, raise nothing: the first `failure` is noted.
    """

    def __init__(self, path: str | None, client: Client, *, exclusive: bool = False) -> None:
        import threading

        self.path = os.path.realpath(path) if path else ""  # one file has one lock file, whatever its name
        self.account = client.target.account
        self.tries = TRIES
        self.failure: RunwayError | None = None  # why something that has happened could not be recorded
        self.is_missed = False  # it was told that there can be none
        self._client = client
        self._mask = client.console.mask
        self._is_exclusive = exclusive
        self._turn = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._locks = -1  # the descriptor of the file whose bytes are locked
        self._late: list[Callable[[], None]] = []  # what could not be recorded yet

    def close(self) -> None:
        """Closes the file, and ends every lock on it."""
        with self._turn:
            if self._db is not None:
                self._db.close()
                self._db = None
            if self._locks >= 0:
                os.close(self._locks)
                self._locks = -1

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Makes what is read and written in the `with` block one step for everybody else."""
        with self._turn:
            if self._db is not None and self._db.in_transaction:  # it is part of a longer one
                yield
                return
            self._run("BEGIN IMMEDIATE")
            try:
                yield
                self._run("COMMIT")
            finally:
                if self._db is not None and self._db.in_transaction:
                    self._run("ROLLBACK")

    # What is recorded

    def intend(self, path: str, body: Any, *, job: str | None = None, **facts: Any) -> Attempt:
        """Records a POST that is about to be sent, and returns it. `body` is the JSON value that is sent.

        `facts` are columns beside `job`: `key`, `digest`, `shape`, `destination`, `name`.
        """
        fields = body if isinstance(body, dict) else {}
        prompt = next((fields[name] for name in PROMPT_FIELDS if isinstance(fields.get(name), str)), None)
        row: dict[str, Any] = {
            "key": os.urandom(16).hex(),
            "account": self.account,
            "client": self._client.target.client_id,
        }
        row.update(self._columns(path=path, model=fields.get("model"), prompt=prompt, **facts))
        row.update(at=self._client.clock.time(), status=SENDING, job=self._job(job) if job else None)
        with self.transaction():
            if not self._is_exclusive:
                last = f"SELECT MIN(at) - ? FROM (SELECT at FROM attempts ORDER BY n DESC LIMIT {LAST})"
                self._run(f"DELETE FROM attempts WHERE status NOT IN (?, ?) AND at < ({last})", *OPEN, YEAR)
            places = ", ".join("?" * len(row))
            self._run(f"INSERT INTO attempts ({', '.join(row)}) VALUES ({places})", *row.values())
            (attempt,) = self._select("key = ?", row["key"])
            if not self._is_exclusive:
                self._lock(attempt.n)
        return attempt

    def settle(self, key: str, status: str, **facts: Any) -> None:
        """Records what came of a POST: the status, and columns of `facts`, such as `id`, `credits`, `error`, `code`.

        One whose outcome is unknown is not settled.
        """
        self._record(lambda: self._update(key, **self._columns(status=status, **facts)))

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
        folders: dict[str, list[str]] = {folder: []} if folder else {}
        for path in map(self._mask, saved):
            folders.setdefault(os.path.dirname(path), []).append(path)

        def record() -> None:
            id = self._columns(id=name)["id"]
            for attempt in self._select("id = ? AND account = ?", id, self.account):
                if status == GONE and attempt.status not in OPEN:
                    continue  # it was seen to end before
                facts: dict[str, Any] = {"status": status, "code": code, "error": error}
                if attempt.status == status and not error:  # seen again, by a call that was not told why
                    facts.update(code=attempt.code, error=attempt.error)
                if number_of(credits) is not None:
                    facts["credits"] = credits
                older = {each: paths for each, paths in attempt.saved.items() if each not in folders}
                if older or folders:
                    facts["saved"] = jsontext.encoded({**older, **folders}).decode()
                self._update(attempt.key, **self._columns(**facts))

        if self._is_there:
            self._record(record)

    def _record(self, change: Callable[[], None]) -> None:
        """Records what has happened already, in its order; what fails is noted, and tried again with the next."""
        self._late.append(change)
        try:
            with self._turn:
                while self._late:
                    with self.transaction():
                        self._late[0]()
                    del self._late[0]
        except LedgerMissing:
            pass
        except RunwayError as failure:
            if self.failure is None:
                self.failure = failure
                self._client.console.note(failure.message)

    def uploaded(self, digest: str, uri: str, moment: float) -> None:
        """Records the URI of an uploaded file by the hash of its content; another account has another one."""
        self._run("REPLACE INTO uploads VALUES (?, ?, ?)", f"{self.account} {digest}", uri, moment)

    # What is known

    def check(self) -> None:
        """Raises ConfigError for a file that is not a ledger, but nothing for one that is locked or damaged."""
        with suppress(OutputError, LedgerMissing):
            self._read("SELECT 1")

    def attempts(self) -> list[Attempt]:
        """Returns the attempts of this account in their order."""
        return self._select("account = ? AND status <> ? ORDER BY n", self.account, UNSENT)

    def attempt(self, key: str) -> Attempt | None:
        """Returns one attempt by its key."""
        return next(iter(self._select("key = ?", key)), None)

    def last(self, job: str) -> Attempt | None:
        """Returns the last attempt at a job of this account."""
        where = "account = ? AND job = ? AND status <> ? ORDER BY n DESC LIMIT 1"
        return next(iter(self._select(where, self.account, self._job(job), UNSENT)), None)

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

    def claimed(self) -> set[str]:
        """Returns the destinations of what is in progress, or ended well and was not saved, whoever started it."""
        found = self._select("status IN (?, ?) OR (status = ? AND saved IS NULL)", *OPEN, SUCCEEDED)
        return {each.destination for each in found if each.destination}

    def other_account(self) -> str | None:
        """Returns the name of another account that has paid, or may have; None where there is none."""
        words = "SELECT account FROM attempts WHERE account <> ? AND status <> ? LIMIT 1"
        return next((row["account"] for row in self._read(words, self.account, UNSENT)), None)

    def upload(self, digest: str, since: float) -> str | None:
        """Returns the URI of an upload that was made after a moment."""
        words = "SELECT uri FROM uploads WHERE digest = ? AND at > ?"
        return next((row["uri"] for row in self._read(words, f"{self.account} {digest}", since)), None)

    def is_sending(self, attempt: Attempt) -> bool:
        """Returns whether a living process waits for the answer to this attempt's POST."""
        return attempt.status == SENDING and not self._lock(attempt.n, release=True)

    # How it is stored

    def _columns(self, **facts: Any) -> dict[str, Any]:
        """Returns facts as they are stored: texts masked, and only then cut, so that no part of a secret is left."""
        for name, fact in facts.items():
            if name == "credits":
                facts[name] = number_of(fact)
            elif not isinstance(fact, str):
                facts[name] = None
            elif name == "id":  # a short key may be a part of one
                facts[name] = self._client.console.secrets.mask(fact, MIN_LENGTH_IN_RESULTS)
            elif name in SHORT:
                facts[name] = re.sub(DATA_URI, "data:…", self._mask(fact))[:MAX_PROMPT]
            elif name not in AS_IS:
                facts[name] = self._mask(fact)
        return facts

    def _job(self, name: str) -> str:
        """Returns the name of a job as it is stored: masked, with a hash that still tells it from others."""
        import hashlib

        masked, code = self._mask(name), hashlib.sha256(name.encode("utf-8", "surrogatepass"))
        return name if masked == name else f"{masked} {code.hexdigest()}"

    def _update(self, key: str, **columns: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        self._run(f"UPDATE attempts SET {names} WHERE key = ?", *columns.values(), key)

    def _select(self, where: str, *values: Any) -> list[Attempt]:
        try:
            return [Attempt(row) for row in self._read(f"SELECT * FROM attempts WHERE {where}", *values)]
        except ValueError:
            raise self._failure("it is damaged") from None

    @property
    def _is_there(self) -> bool:
        """Returns whether there is anything to read: the file, or a history of version 2 to take over."""
        folder = os.path.dirname(self.path)
        is_old = os.path.lexists(os.path.join(folder, OLD_HISTORY)) and os.access(folder, os.W_OK)
        return bool(self.path) and (os.path.lexists(self.path) or (is_old and not self._is_exclusive))

    def _read(self, words: str, *values: Any) -> list[sqlite3.Row]:
        """Returns the rows of a statement that only reads; none where there is no file, which is not made."""
        return self._run(words, *values) if self._db or self._is_there else []

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
                    return (self._db or self._open()).execute(words, _plain(*values)).fetchall()
            except (sqlite3.Error, UnicodeDecodeError) as error:
                left -= 1
                if "locked" not in str(error) or self._is_exclusive or not left:
                    raise self._failure(str(error)) from None
            if not self._late:  # what has happened already is recorded first
                self._client.shutdown.check()

    def _open(self) -> sqlite3.Connection:
        """Opens the file, made where it is missing and checked as a whole, and brings its schema up to date."""
        import sqlite3

        locks = self._make_file()
        wait = 1.0 if self._is_exclusive else LOCKED / TRIES
        db = sqlite3.connect(self.path, timeout=wait, isolation_level=None, check_same_thread=False)

        def pragma(name: str) -> Any:
            return db.execute(f"PRAGMA {name}").fetchone()[0]

        try:
            db.row_factory = sqlite3.Row
            # With the default journal one file can be copied, and network folders work.
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("PRAGMA fullfsync = 1")  # macOS: on the disk, not in its cache
            if self._is_exclusive:
                db.execute("PRAGMA locking_mode = EXCLUSIVE")

            # Refuse a file that must not be written to; from the first read on no other process changes it.
            db.execute("BEGIN EXCLUSIVE" if self._is_exclusive else "BEGIN")
            version, size = pragma("user_version"), os.path.getsize(self.path)
            if not size:
                if os.path.lexists(locks):
                    raise self._failure("it is empty, and had attempts")
            elif pragma("application_id") != LEDGER_ID:
                raise self._no_ledger("is not a ledger of this program")
            elif version > len(MIGRATIONS):
                raise self._no_ledger("was written by a newer version of this program")
            elif pragma("page_count") * pragma("page_size") != size:  # SQLite misses a few bytes that were cut off
                raise self._failure("its size is wrong")
            elif pragma("integrity_check(1)" if size < CHECKED else "quick_check(1)") != "ok":
                raise self._failure("it is damaged")
            db.execute("COMMIT")
            if version < len(MIGRATIONS):
                self._migrate(db)
        except BaseException:
            db.close()
            raise
        self._db = db
        return db

    def _make_file(self) -> str:
        """Makes the folder and the file where they are missing; returns the path of the locks, "" where it has none."""
        if not self.path:
            raise LedgerMissing("it is off", is_wanted=True)
        locks = "" if self._is_exclusive else self.path + LOCKS
        if not os.path.exists(self.path):
            try:
                os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
                if os.path.lexists(locks):  # of a ledger that was removed
                    os.unlink(locks)
            except FileExistsError:
                pass
            except OSError as error:
                raise LedgerMissing(f"{self.path!r}: {error.strerror or error}") from None
        elif not os.path.isfile(self.path):  # a pipe might never answer
            raise self._no_ledger("is not a file")
        return locks

    def _migrate(self, db: sqlite3.Connection) -> None:
        """Brings the schema up to date; a new history takes over that of version 2 beside it."""
        db.execute("BEGIN IMMEDIATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()  # another process may have been here in between
        for step in MIGRATIONS[version:]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {LEDGER_ID}")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        if version == 0 and not self._is_exclusive:
            _take_over(db, os.path.join(os.path.dirname(self.path), OLD_HISTORY))
        db.execute("COMMIT")

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

    def _lock(self, byte: int, *, release: bool = False) -> bool:
        """Locks the byte of an attempt, perhaps only to see; returns False where another process holds it."""
        try:
            if self._locks < 0:
                self._locks = os.open(self.path + LOCKS, os.O_RDWR | os.O_CREAT, 0o600)
            return _lock_byte(self._locks, byte, release=release)
        except OSError as error:
            raise self._failure(f"{self.path + LOCKS!r}: {error.strerror}") from None


if sys.platform == "win32":
    import errno
    import msvcrt

    def _lock_byte(descriptor: int, byte: int, *, release: bool) -> bool:
        os.lseek(descriptor, byte, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, 0):  # 0: a C runtime that gives no reason
                raise
            return False
        if release:
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        return True

else:
    import fcntl

    def _lock_byte(descriptor: int, byte: int, *, release: bool) -> bool:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):
            return False
        if release:
            fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, byte)
        return True


def _plain(*values: Any) -> list[Any]:
    """Returns the values with bytes for a text that is not valid UTF-8, as a file's name may be."""
    is_odd = re.compile("[\ud800-\udfff]").search
    return [each.encode("utf-8", "surrogatepass") if is_odd(str(each)) else each for each in values]


def _take_over(db: sqlite3.Connection, path: str) -> None:
    """Copies the attempts of a history of version 2, JSON Lines, into a new ledger."""
    from datetime import datetime, timezone

    def run(words: str, *values: Any) -> None:
        db.execute(words, _plain(*values))

    lines: list[bytes] = []
    for name in (f"{path}.1", path):
        if os.path.isfile(name):  # a pipe might never answer
            with suppress(OSError), open(name, "rb") as file:
                lines += file.readlines()
    ends: list[Any] = []
    for line in lines:
        try:
            record = jsontext.loads(line)
            text = {name: value for name, value in record.items() if isinstance(value, str)}
            event, account, key = text["event"], text["account"], text["id" if record["event"] == "ended" else "key"]
            moment = datetime.strptime(text["at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        except (ValueError, AttributeError, KeyError):  # a line that was cut off
            continue
        credits = number_of(record.get("credits"))
        if event == "ended":  # another process may have written it before the start
            files = record.get("saved")
            folders: dict[str, list[str]] = {}
            for each in map(str, files if isinstance(files, list) else ()):
                folders.setdefault(os.path.dirname(each), []).append(each)
            saved = jsontext.encoded(folders).decode() if folders else None
            ends.append((text.get("status", GONE), credits, saved, account, key))
        elif event == "refused":
            run("DELETE FROM attempts WHERE key = ?", key)
        else:
            row = (key, account, moment.timestamp(), SENDING, *map(text.get, ("clientId", "path", "model", "prompt")))
            names = "key, account, at, status, client, path, model, prompt"
            run(f"INSERT OR IGNORE INTO attempts ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row)
            if event == "started":
                words = "UPDATE attempts SET status = ?, id = ?, credits = ? WHERE key = ?"
                run(words, STARTED, text.get("id"), credits, key)
    for end in ends:
        changes = "status = ?, credits = COALESCE(?, credits), saved = COALESCE(?, saved)"
        run(f"UPDATE attempts SET {changes} WHERE account = ? AND id = ?", *end)
