"""How the stand-in's records move from status to status, and the time stamps that they carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

Record = dict[str, Any]


@dataclass
class Pace:
    """By polls; or by time, where `seconds_to_finish` is set. `clock` gives monotonic seconds."""

    polls_to_finish: int
    seconds_to_finish: float | None
    clock: Callable[[], float]
    _last_stamp: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def task_statuses(self) -> list[str]:
        """The statuses that a task goes through, one a poll."""
        if self.polls_to_finish == 0:
            return ["SUCCEEDED"]
        return ["PENDING", *["RUNNING"] * (self.polls_to_finish - 1), "SUCCEEDED"]

    def record_statuses(self) -> list[str]:
        """The statuses that a new avatar or voice goes through."""
        return ["PROCESSING"] * max(self.polls_to_finish, 1) + ["READY"]

    def session_statuses(self) -> list[str]:
        """The statuses that a new realtime session goes through."""
        return ["NOT_READY"] * self.polls_to_finish + ["READY"]

    def course(self, statuses: Sequence[str]) -> Record:
        """What `status` needs to know of a record."""
        return {"statuses": tuple(statuses), "polls": 0, "started": self.clock()}

    def status(self, course: Record, *, poll: bool) -> str:
        """The status of a record now; `poll`: this look at it counts."""
        course["polls"] += poll
        last = len(course["statuses"]) - 1
        if self.seconds_to_finish is None:
            step = max(course["polls"] - 1, 0)
        elif self.seconds_to_finish <= 0:
            step = last
        else:
            step = int((self.clock() - course["started"]) / self.seconds_to_finish * last)
        return str(course["statuses"][min(step, last)])

    def stamp(self, *, minutes: int = 0) -> str:
        """The time (in so many minutes) as the API writes it. No two stamps are the same."""
        now = max(datetime.now(timezone.utc), self._last_stamp + timedelta(milliseconds=1))
        self._last_stamp = now
        moment = now + timedelta(minutes=minutes)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
