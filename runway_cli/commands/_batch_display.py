"""The progress of a batch: on a terminal a line for the whole and one for each row in flight, else a note a minute."""

from __future__ import annotations

from ..jobs.batch_state import amount
from ..settings.values import shown_credits
from ..terminal.progress import REDRAW, live, readable_time
from ._display import NOTE_INTERVAL, TaskLines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..jobs.batch import Batch
    from ..jobs.batch_job import RowJob
    from ..jobs.polling import TaskProgress
    from ..shutdown import Clock
    from ..terminal.console import Console
    from ._batch_report import Report


class BatchDisplay:
    """Takes the events of a batch. `report` knows which rows have ended, `batch` which are in flight."""

    def __init__(self, console: Console, clock: Clock, batch: Batch, report: Report) -> None:
        self._console = console
        self._clock = clock
        self._batch = batch
        self._report = report
        self._live = live(console)
        self._lines = TaskLines(console, clock, has_bars=self._live is not None)
        self._start = clock.monotonic()
        self._before = report.count  # rows that were printed from the log
        self._drawn = self._start
        self._next_note = self._start + NOTE_INTERVAL
        self._since: dict[RowJob, float] = {}

    def handle(self, event: TaskProgress | None) -> None:
        """Takes an event; None says that time has passed."""
        now = self._clock.monotonic()
        if event is not None and self._lines.take(event):
            self._next_note = now + NOTE_INTERVAL
        if self._live:
            if event is None or now - self._drawn > REDRAW:
                self._drawn = now
                self._live.show([self.whole(), *map(self._line, self._batch.in_flight)])
        elif now >= self._next_note:
            self._next_note = now + NOTE_INTERVAL
            self._console.note(self.whole())

    def ended(self, job: RowJob) -> None:
        """Drops what is kept about a row."""
        self._since.pop(job, None)
        if job.task:
            self._lines.forget(job.task)

    def close(self) -> None:
        """Takes the live lines away."""
        if self._live:
            self._live.close()

    def whole(self) -> str:
        """What is done, running and failed, and the credits, in words."""
        report, batch = self._report, self._batch
        words = [
            f"{report.count - report.failed} of {report.total} done",
            f"{sum(job.is_sent for job in batch.in_flight)} running",
            f"{report.failed} failed",
            f"{shown_credits(report.credits + sum(amount(job.credits) for job in batch.in_flight))} credits",
        ]
        return ", ".join([*words, *self._remaining()])

    def _remaining(self) -> list[str]:
        """The time left by the pace so far; nothing before the first row of this run has ended."""
        ended = self._report.count - self._before
        left = self._report.total - self._report.count
        if not ended or not left:
            return []
        return [f"{readable_time((self._clock.monotonic() - self._start) / ended * left)} left"]

    def _line(self, job: RowJob) -> tuple[str, str]:
        since = self._since.setdefault(job, self._clock.monotonic())
        words = self._lines.words(job.task, since) if job.task else job.activity
        return job.row.name, words
