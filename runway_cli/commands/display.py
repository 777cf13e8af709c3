"""Progress on stderr: one display turns the events of polling and of transfers into lines."""

from __future__ import annotations

from ..jobs.batch_log import amount
from ..jobs.tasks import TaskProgress
from ..settings import shown_credits
from ..terminal.progress import REDRAW, bar, live, readable_time, transferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..files.download import Transferred
    from ..jobs.batch import Batch, RowJob
    from ..jobs.tasks import PolledTask, TaskProgress
    from ..shutdown import Clock
    from ..terminal.console import Console
    from .batch import BatchRun


NOTE_INTERVAL = 60.0  # seconds between two lines where no terminal shows live ones


class TaskLines:
    """What is told about tasks: their status, progress, time and credits, and the transfers of their outputs."""

    def __init__(self, console: Console, clock: Clock, *, has_bars: bool) -> None:
        self._console = console
        self._clock = clock
        self._has_bars = has_bars
        self._was_throttled = False
        self._transfers: dict[PolledTask, tuple[int, int | None, float]] = {}

    def take(self, event: TaskProgress) -> bool:
        """Takes an event in. The first task that is THROTTLED is a note: then True is returned."""
        if event.done is not None:
            started = self._transfers.get(event.task, (0, None, self._clock.monotonic()))[2]
            self._transfers[event.task] = (event.done, event.total, started)
        if event.task.status != "THROTTLED" or self._was_throttled:
            return False
        self._was_throttled = True
        self._console.note("THROTTLED: queued until a running generation ends; your tier limits how many run at once")
        return True

    def is_active(self, task: PolledTask) -> bool:
        """Whether it has not ended, or its outputs are still being saved."""
        return not task.has_ended or (task in self._transfers and not task.is_saved)

    def words(self, task: PolledTask, since: float) -> str:
        """What is told about a task that has been waited for since a moment of the clock."""
        share = task.progress
        drawn = "" if share is None else f"{bar(share)} {share:.0%}" if self._has_bars else f"{share:.0%}"
        if task in self._transfers:
            done, total, started = self._transfers[task]
            drawn = transferred(done, total, self._clock.monotonic() - started)
        seconds = f"{self._clock.monotonic() - since:.0f} s"
        credits = "" if task.credits is None else f"{task.credits} credits"
        return " ".join(filter(None, (task.status, drawn, seconds, credits)))

    def forget(self, task: PolledTask) -> None:
        """Drops what is kept about a task that has ended."""
        self._transfers.pop(task, None)


class Display:
    """One live line a task on a terminal; elsewhere one line when work is seen, then at most one a minute."""

    def __init__(self, console: Console, clock: Clock, tasks: Sequence[PolledTask]) -> None:
        self._console = console
        self._clock = clock
        self._live = live(console)
        self._tasks = tasks
        self._lines = TaskLines(console, clock, has_bars=self._live is not None)
        self._start = clock.monotonic()
        self._drawn = self._start
        self._next_note = self._start + NOTE_INTERVAL
        self._has_noted = False

    def handle(self, event: TaskProgress | None) -> None:
        """Takes an event; None says that time has passed."""
        now = self._clock.monotonic()
        if event is not None and self._lines.take(event):
            self._has_noted = True
            self._next_note = now + NOTE_INTERVAL
        if self._live:
            if event is None or now - self._drawn > REDRAW:
                self._drawn = now
                active = [task for task in self._tasks if self._lines.is_active(task)]
                # a narrow terminal cuts the name first
                self._live.show([(task.name, self._lines.words(task, self._start)) for task in active])
        elif now >= self._next_note or (event is not None and self._is_first_news(event.task)):
            self._next_note = now + NOTE_INTERVAL
            self._has_noted = True
            self._console.note(self._summary())

    def close(self) -> None:
        """Takes the live lines away."""
        if self._live:
            self._live.close()

    def _is_first_news(self, task: PolledTask) -> bool:
        """Whether this is the first time that a task is seen at work: a call that waits says so once, early."""
        return not self._has_noted and task.status == "RUNNING"

    def _summary(self) -> str:
        """The line for a minute of waiting."""
        active = [task for task in self._tasks if self._lines.is_active(task)]
        if len(active) == 1:
            return f"{active[0].name} {self._lines.words(active[0], self._start)}"
        seconds = self._clock.monotonic() - self._start
        return f"{len(self._tasks) - len(active)} of {len(self._tasks)} ended, {seconds:.0f} s"


class TransferLine:
    """The progress of one upload or download: a bar on a terminal, nothing elsewhere, taken away at its end."""

    def __init__(self, console: Console, clock: Clock, name: str) -> None:
        self._live = live(console)
        self._clock = clock
        self._name = name
        self._start = clock.monotonic()
        self._drawn = 0.0

    def __call__(self, event: Transferred) -> None:
        now = self._clock.monotonic()
        if self._live is None or (now - self._drawn < REDRAW and event.done != event.total):
            return
        self._drawn = now
        self._live.show([f"{self._name}  {transferred(event.done, event.total, now - self._start)}"])

    def __enter__(self) -> TransferLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.close()


# --- The progress of a batch: on a terminal a line for the whole and one for each row in flight, else a note a minute.


class BatchDisplay:
    """Takes the events of a batch. `report` knows which rows have ended, `batch` which are in flight."""

    def __init__(self, console: Console, clock: Clock, batch: Batch, report: BatchRun) -> None:
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
            f"{sum(job.task is not None for job in batch.in_flight)} running",
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
