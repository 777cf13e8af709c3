"""The run of a batch: which rows are to be done, and their work, several at once.

`BatchPlan` sorts the rows by what the log knows: to be printed from it, to be waited for, to be sent. `Batch` does the
work and yields each row as its work ends. The caller records the end, so that a row is recorded before it is printed.
"""

from __future__ import annotations

from .batch_job import RowJob, Work
from .batch_names import saved_files
from .batch_start import Starts
from .batch_state import DONE, FAILED, NEW, STARTED, UNCERTAIN, amount
from .scheduler import Scheduler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..api.client import Client
    from .batch_log import BatchLog
    from .batch_outputs import BatchOutputs
    from .batch_row import Row
    from .batch_state import LogState
    from .history import History
    from .scheduler import Emit

DRAIN = 5.0  # seconds that answers on their way are awaited when the run is interrupted


class BatchPlan:
    """The rows by what is to be done. `folder` is the absolute path of the folder for outputs, None without one.

    `known` are done or failed, or nobody knows; `waiting` have an id; `unsent` are to be sent.
    """

    def __init__(
        self, rows: Sequence[Row], state: LogState, *, folder: str | None, retry_failed: bool, retry_uncertain: bool
    ) -> None:
        self.known: list[Row] = []
        self.waiting: list[Row] = []
        self.unsent: list[Row] = []
        again = {NEW, *((FAILED,) if retry_failed else ()), *((UNCERTAIN,) if retry_uncertain else ())}
        for row in rows:
            found = state.rows.get(row.key)
            standing = found.standing if found else NEW
            if standing in again:
                self.unsent.append(row)
            elif standing == STARTED or (found and standing == DONE and saved_files(found, folder) is None):
                self.waiting.append(row)
            else:
                self.known.append(row)


class Limits:
    """The limits of a run: rows in flight, seconds for each row (0: none), credits in all (None: no limit)."""

    __slots__ = ("max_credits", "max_wait", "parallel")

    def __init__(self, *, parallel: int, max_wait: float, max_credits: int | None) -> None:
        self.parallel = parallel
        self.max_wait = max_wait
        self.max_credits = max_credits


class Batch:
    """A run. `in_flight` are the jobs at work, `left` the rows that are still to be sent, `log` knows the others."""

    def __init__(
        self,
        client: Client,
        history: History,
        log: BatchLog,
        plan: BatchPlan,
        *,
        limits: Limits,
        outputs: BatchOutputs | None,
    ) -> None:
        self.in_flight: list[RowJob] = []
        self.left = list(reversed(plan.unsent))
        self.starts = Starts(client)
        self._sent: set[str] = set()  # keys of the rows that this run sends
        self._work = Work(client, history, log, self.starts, limits.max_wait)
        self._waiting = list(reversed(plan.waiting))
        self.log = log
        self._limits = limits
        self._outputs = outputs
        self._scheduler: Scheduler | None = None

    @property
    def is_at_budget(self) -> bool:
        """Whether --max-credits lets no further row start."""
        return self._limits.max_credits is not None and not self._is_within(self._limits.max_credits)

    def run(self, emit: Emit) -> Iterator[RowJob]:
        """Yields each row whose work has ended: done, failed, out of time or not sent. Raises Interrupted."""
        work = len(self.left) + len(self._waiting)
        if not work:
            return
        client = self._work.client

        def handle(event: object) -> None:
            if event is None:  # time has passed, or a job has something new
                self._fill()
            emit(event)

        # threads even for one row: a signal must not break off a POST
        self._scheduler = Scheduler(client.clock, client.shutdown, handle, min(self._limits.parallel, work))
        self._fill()
        for job in self._scheduler.run():
            assert isinstance(job, RowJob)
            if job.is_denied:
                self.starts.stop()
            yield job
            self.in_flight.remove(job)
            self._fill()

    def drain(self) -> Iterator[RowJob]:
        """Ends a run that was stopped: no further row is sent, and answers on their way are awaited for a while.

        Yields the rows whose work ends meanwhile.
        """
        self.starts.stop()
        if self._scheduler is None or not self.starts.sending:
            return
        for job in self._scheduler.drain(DRAIN):
            if isinstance(job, RowJob) and (job.failure or (job.task and job.task.has_ended)):
                yield job
            if not self.starts.sending:
                return

    def _fill(self) -> None:
        """Puts rows to work while there is room; those that have started come first."""
        while self._scheduler and len(self.in_flight) < self._limits.parallel:
            if self._waiting:
                row = self._waiting.pop()
                save = self._outputs.saver(row) if self._outputs else None
                job = RowJob(self._work, row, save, self._work.task(self.log.state.rows[row.key].id, save))
            elif self.left and self._may_send():
                row = self.left.pop()
                self._sent.add(row.key)
                job = RowJob(self._work, row, self._outputs.saver(row) if self._outputs else None)
            else:
                return
            self.in_flight.append(job)
            self._scheduler.add(job)

    def _may_send(self) -> bool:
        """Whether one more row may be sent."""
        return not (self.starts.is_stopped or self.log.failure or self.is_at_budget)

    def _is_within(self, limit: int) -> bool:
        """Whether all rows of the log cost less than this, and what is on its way with them.

        An attempt whose cost is not known counts as what a row has cost at most. Where no row has told yet, the first
        one of this run has to.
        """
        state = self.log.state
        unknown, spent, most = dict(state.unknown), state.spent, state.most
        for job in self.in_flight:
            row = state.rows.get(job.row.key)
            past = row.past_unknown if row else 0
            if job.credits is None:
                unknown[job.row.key] = max(unknown.get(job.row.key, 0), past + 1)
            else:
                unknown[job.row.key] = past
                spent += amount(job.credits) - (amount(row.credits) if row else 0.0)
                most = max(most, amount(job.credits))
        if not most and any(unknown.get(key) for key in self._sent):
            return False
        return spent + sum(unknown.values()) * most < limit
