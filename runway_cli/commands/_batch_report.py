"""What a batch says about its rows: a line for each on stdout, the records of their ends, and how the whole ended."""

from __future__ import annotations

import os

from ..errors import ApiError, DeniedError, NetworkError, OutputError, RunwayError, TaskError, WaitTimeout
from ..jobs.batch_names import saved_files
from ..jobs.batch_state import DONE, FAILED, UNCERTAIN, amount
from ..jobs.polling import BAD_ENDS, GOOD_ENDS
from ..settings.environment import absolute
from ..settings.values import shown_credits
from ..terminal.columns import Column
from ._summary import summary
from ._waiting import failure_of, record_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..jobs.batch_job import RowJob
    from ..jobs.batch_log import BatchLog
    from ..jobs.batch_row import Row
    from ..jobs.history import History
    from ..jobs.polling import PolledTask
    from ..terminal.console import Console

COLUMNS = (
    Column("Row", "row"),
    Column("Name", "name"),
    Column("Id", "id"),
    Column("Status", "status"),
    Column("Credits", "credits"),
    Column("Saved", "saved"),
    Column("Error", "error", wrap=True),
)
MAX_FAILED = 20  # rows that the error object names; stdout has them all
NO_COST = "the cost of a row is not known"
UNCERTAIN_WORDS = (
    "the POST may have been accepted, and no answer is known: look for it in the account; "
    "--retry-uncertain sends it again"
)


class Report:
    """The rows that have ended. `folder` is what --download named, None without it."""

    def __init__(
        self, console: Console, log: BatchLog, history: History, *, total: int, folder: str | None, max_wait: float
    ) -> None:
        self.total = total
        self.count = 0
        self.failed = 0
        self.credits = 0.0
        self._console = console
        self._log = log
        self._history = history
        self._folder = folder
        self._max_wait = max_wait
        self._failures: list[tuple[str, RunwayError]] = []
        self._not_started = 0

    def known(self, row: Row) -> None:
        """Prints a row from the log: done, failed, or one whose fate is unknown."""
        state = self._log.state.rows[row.key]
        if state.standing == UNCERTAIN:
            self._uncertain(row, ApiError(UNCERTAIN_WORDS, status=0, may_have_been_accepted=True))
            return
        files = saved_files(state, None if self._folder is None else absolute(self._folder)) or []
        failure = None
        if state.standing == FAILED:
            failure = TaskError(state.error or f"{state.id} is {state.status}", batch_call="retry failed")
        facts = {"identity": state.id or None, "credits": state.credits, "saved": self._shown(files)}
        line = self._line(row, state.status or "FAILED", failure, **facts)
        self._print(row, {**line, "skipped": True}, failure)

    def ended(self, job: RowJob) -> None:
        """Records the end of a row's work, then prints it; a row that was not sent is only counted."""
        if job.task:
            self._polled(job, job.task)
        elif job.is_uncertain and job.failure:
            self._uncertain(job.row, job.failure)
        elif job.failure:
            status = "FAILED" if job.is_refused else "NOT_STARTED"
            failure = job.failure.but(batch_call="retry failed" if job.is_refused else _again(job.failure))
            self._print(job.row, self._line(job.row, status, failure), failure)
        else:
            self.not_started(job.row)

    def not_started(self, row: Row) -> None:
        """Prints a row that was left."""
        self._not_started += 1
        self._console.row(self._line(row, "NOT_STARTED"), alone=False)

    def end(self, *, at_budget: int | None) -> RunwayError | None:
        """Prints the last note. Returns why the whole failed, None if it did not.

        `at_budget` is the limit of credits if it lets no further row start.
        """
        self.note()
        failures = list(self._failures)
        if self._log.failure and not any(failure is self._log.failure for _, failure in failures):
            failures.append((self._log.path, self._log.failure))
        left = f"{self._not_started} of {self.total} rows are not started"
        if self._not_started and at_budget is not None:
            advice = "raise --max-credits" if self._log.state.most else "leave --max-credits out"
            why = f"the budget of {at_budget} credits is reached" if self._log.state.most else NO_COST
            left = f"{why}: {left}; {advice} to go on"
            if not failures:
                return WaitTimeout(left, batch_call="dry run")
        if not failures:
            return None
        error = summary(failures, max(self.total, 2) if len(failures) > 1 else self.total)
        facts = {"failed": error.fact("failed", [])[:MAX_FAILED], "waiting_for": None}
        more = f"; {left}" if self._not_started else ""
        return error.but(error.message + more, **(facts if error.fact("failed") else {"waiting_for": None}))

    def note(self) -> None:
        """The note that comes last on stderr."""
        succeeded = self.count - self.failed
        self._console.note(f"{succeeded} of {self.total} succeeded, {shown_credits(self.credits)} credits")

    def _polled(self, job: RowJob, task: PolledTask) -> None:
        row, state = job.row, self._log.state.rows[job.row.key]
        was_done = state.standing == DONE
        failure = failure_of(task, self._max_wait, is_paid=True)
        is_good = task.status in GOOD_ENDS
        is_gone = _is_gone(task)
        ended_badly = task.has_ended and (task.status in BAD_ENDS or bool(task.node_errors))
        if failure:
            is_over = ended_badly or (is_gone and not was_done)
            failure = failure.but(batch_call="retry failed" if is_over else _again(failure), waiting_for=None)
        status = task.status or ("SUCCEEDED" if was_done else "STARTED")
        credits = job.credits if job.credits is not None else state.credits
        if task.status in (*GOOD_ENDS, *BAD_ENDS) or (is_gone and not was_done):
            status = "GONE" if is_gone and not is_good else status
            folder = absolute(self._folder) if self._folder and is_good and task.error is None else None
            self._log.ended(
                row.key,
                state.id,
                status,
                credits=credits,
                folder=folder,
                saved=[absolute(path) for path in task.saved],
                error=failure.message if failure else None,
                is_bad=ended_badly,
            )
            record_end(self._history, task)
        line = self._line(row, status, failure, identity=state.id, credits=credits, saved=task.saved)
        self._print(row, {**line, "skipped": True} if was_done and not failure else line, failure)

    def _uncertain(self, row: Row, failure: RunwayError) -> None:
        line = self._line(row, "UNCERTAIN", failure)
        words = failure.message if failure.message == UNCERTAIN_WORDS else f"{failure.message}; {UNCERTAIN_WORDS}"
        uncertain = ApiError(words, **{**failure.facts, "batch_call": None})
        self._print(row, {**line, "error": self._console.mask(words), "maybeAccepted": True}, uncertain)

    def _line(
        self,
        row: Row,
        status: str,
        failure: RunwayError | None = None,
        *,
        identity: str | None = None,
        credits: Any = None,
        saved: Sequence[str] = (),
    ) -> dict[str, Any]:
        line = {"row": row.number, "name": row.name, "id": identity, "status": status, "credits": credits}
        error = {"error": self._console.mask(failure.message)} if failure else {}
        return {**line, "saved": list(saved), **error}

    def _print(self, row: Row, line: dict[str, Any], failure: RunwayError | None) -> None:
        self.count += 1
        self.credits += amount(line["credits"])
        if failure:
            self.failed += 1
            self._failures.append((row.name, failure))
        self._console.row(line, alone=False)

    def _shown(self, files: list[str]) -> list[str]:
        """The paths as --download names their folder."""
        return [os.path.join(self._folder, os.path.basename(path)) for path in files] if self._folder else files


def _is_gone(task: PolledTask) -> bool:
    """Whether the API no longer has a task whose end was not seen."""
    error = task.error
    is_missing = error is not None and error.fact("status") == 404 and bool(error.fact("from_provider", True))
    return is_missing and task.status not in GOOD_ENDS


def _again(failure: RunwayError) -> str | Sequence[str] | None:
    """What helps after this failure: the same call, or another one, None where neither is known."""
    if isinstance(failure, DeniedError):
        return ("auth", "status")
    if isinstance(failure, ApiError):
        return "same" if failure.status in (408, 429) or failure.status >= 500 else None
    return "same" if isinstance(failure, (NetworkError, OutputError, WaitTimeout)) else None
