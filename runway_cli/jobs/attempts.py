"""Attempts at jobs, as the ledger has them, and what they cost.

A status of an attempt is one of these words, or whatever else the API has said last:

    SENDING    the intent, recorded before the POST is sent; UNCERTAIN once the process that sent it is gone
    STARTED    the POST was answered with an id
    UNSENT     the POST was surely not accepted: as if it had never been
    REFUSED    the API refused it: a row of a batch stays refused until it is retried
    GONE       the API no longer knows it
    SUCCEEDED, FAILED, CANCELLED …   the end that was seen
"""

from __future__ import annotations

import os
import re
import time

from .. import jsontext
from ..errors import BudgetError
from ..settings import counted, shown_credits

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from typing import Any

SENDING, UNCERTAIN, STARTED, UNSENT, REFUSED, GONE = "SENDING", "UNCERTAIN", "STARTED", "UNSENT", "REFUSED", "GONE"
NOT_STARTED, SKIPPED = "NOT_STARTED", "SKIPPED"  # rows of a batch that no attempt was made at
SUCCEEDED, FAILED, CANCELLED = "SUCCEEDED", "FAILED", "CANCELLED"
OPEN = (SENDING, STARTED)  # in progress, as far as the ledger knows
GOOD_ENDS = (SUCCEEDED, "READY", "COMPLETED")
BAD_ENDS = (FAILED, CANCELLED)
MAX_MOMENT = 32535215999.0  # seconds; the end of the year 3000, the latest that Windows supports
MAX_CREDITS = 1e12  # of one job; more than that is not taken for a price
# The columns of a ledger. PRAGMA user_version counts the steps that a file has seen.
MIGRATIONS = (
    """
    CREATE TABLE attempts (
      n INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE NOT NULL, account TEXT NOT NULL, client TEXT,
      job TEXT, digest TEXT, shape TEXT, at REAL NOT NULL, path TEXT, model TEXT, prompt TEXT, status TEXT NOT NULL,
      id TEXT, credits REAL, ended REAL, code TEXT, error TEXT, destination TEXT, name TEXT, saved TEXT);
    CREATE INDEX attempts_by_job ON attempts (account, job);
    CREATE INDEX attempts_by_id ON attempts (id);
    CREATE TABLE uploads (digest TEXT PRIMARY KEY, uri TEXT NOT NULL, at REAL NOT NULL);
    """,
)


class Attempt:
    """A row of the table: one attempt. `at` and `ended` are seconds of the epoch, `saved` is {folder: [paths]}."""

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
        milliseconds = int(min(max(self.at, 0.0), MAX_MOMENT) * 1000)
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
        return f"{whole}.{milliseconds % 1000:03}Z"

    @property
    def shown_status(self) -> str:
        """Returns the status for a user: UNCERTAIN where no answer was seen."""
        return UNCERTAIN if self.is_uncertain else self.status

    @property
    def is_uncertain(self) -> bool:
        """Returns whether its outcome is unknown, unless the process that sends it lives."""
        return self.status == SENDING

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

    def is_repeatable(self, *, again: bool) -> bool:
        """Returns whether a new attempt may be made after this one; `again`: the user asks for one."""
        return (self.status == FAILED and not is_safety(self.code)) or (again and self.status != STARTED)

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


class Spending:
    """What attempts have cost, and whether one more of this `price` stays within a limit; None is an unknown price.

    `spent` is a sum of credits, in which each of the `unknown` attempts counts as the dearest job that is known.
    """

    def __init__(self, prices: Sequence[Any], price: Any = None) -> None:
        known = [each for each in prices if each is not None]
        self.unknown = len(prices) - len(known)
        self.dearest = max(filter(None, [*known, price]), default=None)
        self.spent = sum(known) + self.unknown * (self.dearest or 0)
        self._price = self.dearest if price is None else price

    def allows(self, limit: float) -> bool:
        """Returns whether the job may start. While no price is known at all, one has to tell before the next."""
        if self.dearest is None:
            return not self.unknown and limit > 0
        return bool(self.spent + self._price <= limit)

    def refusal(self, limit: float, name: str, period: str = "") -> BudgetError | None:
        """Returns why the job may not start, None where it may. `name` is what sets the limit, for a `period`."""
        if self.allows(limit):
            return None
        verb = "is" if self.spent == 1 else "are"
        words = f"{counted(limit, 'credit')}{period}, and {shown_credits(self.spent)} {verb} spent"
        if self.dearest is None and self.unknown:
            words = "no further job while no price is known"
        elif self.unknown:
            words += (
                f", {counted(self.unknown, 'job')} of unknown price counted as {shown_credits(self.dearest or 0)} each"
            )
        return BudgetError(f"{name} allows {words}", spent=self.spent, limit=number_of(limit))


def _outputs(destination: str) -> re.Pattern[str]:
    """Returns the pattern of the paths that outputs get at a destination, numbered or not."""
    from ..files.download import ANY

    root, extension = os.path.splitext(destination)
    return re.compile(re.escape(root) + r"(-\d+)?" + (r"\.\w+" if extension == ANY else re.escape(extension)))


def is_safety(code: Any) -> bool:
    """Returns whether a failure code means that moderation refused the request (the API's page on task failures)."""
    return str(code).startswith("SAFETY")


def number_of(credits: Any) -> Any:
    """Returns credits as an int or a float, also where they come as text; None for what is not a price."""
    if isinstance(credits, bool) or not isinstance(credits, (int, float, str, jsontext.Number)):
        return None
    try:
        found = float(str(credits))
    except (ValueError, OverflowError):
        return None
    if not 0 <= found < MAX_CREDITS:  # not NaN either
        return None
    return int(found) if found == int(found) else found
