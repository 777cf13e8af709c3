"""Progress on stderr: live lines on a terminal, elsewhere at most one line a minute."""

from __future__ import annotations

from ..settings import shown_credits
from ..terminal.progress import REDRAW, bar, live, readable_time, transferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..jobs.batch import Batch, RowJob
    from ..jobs.tasks import PolledTask, TaskProgress
    from ..shutdown import Clock
    from ..terminal.console import Console
    from ..terminal.progress import Line
    from .batch import BatchRun


NOTE_INTERVAL = 60.0  # seconds between two lines where no terminal shows live ones


class Display:
    """Turns the events of polling and of transfers into lines. A subclass says which: `lines` and `summary`."""

    announces_start = False  # whether the first task seen at work is worth a line of its own

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._live = live(console)
        self._start = self._drawn = clock.monotonic()
        self._next_note = self._start + NOTE_INTERVAL
        self._was_throttled = False
        self._transfers: dict[PolledTask, tuple[int, int | None, float]] = {}  # bytes done, in all, start

    def lines(self) -> Sequence[Line]:
        """Returns the live lines of this moment."""
        raise NotImplementedError

    def summary(self) -> str:
        """Returns one line for a minute of waiting."""
        raise NotImplementedError

    def handle(self, event: TaskProgress | None) -> None:
        """Takes an event; None says that time has passed."""
        now = self._clock.monotonic()
        if event and event.done is not None:
            started = self._transfers.get(event.task, (0, None, now))[2]
            self._transfers[event.task] = (event.done, event.total, started)
        if event and event.task.status == "THROTTLED" and not self._was_throttled:
            self._was_throttled, self.announces_start = True, False
            self._next_note = now + NOTE_INTERVAL
            self._console.note(
                "THROTTLED: queued until a running generation ends; your tier limits how many run at once"
            )
        if self._live:
            if event is None or now - self._drawn > REDRAW:
                self._drawn = now
                self._live.show(self.lines())
        elif now >= self._next_note or (self.announces_start and event and event.task.status == "RUNNING"):
            self.announces_start = False
            self._next_note = now + NOTE_INTERVAL
            self._console.note(self.summary())

    def close(self) -> None:
        """Removes the live lines."""
        if self._live:
            self._live.close()

    def words(self, task: PolledTask, since: float) -> str:
        """Returns the status, progress or transfer, time and credits of a task; `since` is a moment of the clock."""
        now, share = self._clock.monotonic(), task.progress
        progress = "" if share is None else f"{bar(share)} {share:.0%}" if self._live else f"{share:.0%}"
        if task in self._transfers:
            done, total, started = self._transfers[task]
            progress = transferred(done, total, now - started)
        credits = "" if task.credits is None else f"{task.credits} credits"
        return " ".join(filter(None, (task.status, progress, f"{now - since:.0f} s", credits)))


class WaitDisplay(Display):
    """The tasks of one wait: a line for each that has not ended, or whose outputs are still being saved."""

    announces_start = True

    def __init__(self, console: Console, clock: Clock, tasks: Sequence[PolledTask]) -> None:
        super().__init__(console, clock)
        self._tasks = tasks

    def lines(self) -> list[Line]:
        return [(task.name, self.words(task, self._start)) for task in self._active()]

    def summary(self) -> str:
        active = self._active()
        if len(active) == 1:
            return f"{active[0].name} {self.words(active[0], self._start)}"
        seconds = self._clock.monotonic() - self._start
        return f"{len(self._tasks) - len(active)} of {len(self._tasks)} ended, {seconds:.0f} s"

    def _active(self) -> list[PolledTask]:
        return [task for task in self._tasks if not task.has_ended or (task in self._transfers and not task.is_saved)]


class BatchDisplay(Display):
    """A line for the whole batch and one for each row in flight.

    `report` knows which rows have ended, `batch` which are in flight.
    """

    def __init__(self, console: Console, clock: Clock, batch: Batch, report: BatchRun) -> None:
        super().__init__(console, clock)
        self._batch = batch
        self._report = report
        self._ends = 0  # of rows in this run
        self._last = self._start  # the moment of the last one
        self._pace = 0.0  # seconds for each row, by those that have ended
        self._since: dict[RowJob, float] = {}

    def lines(self) -> list[Line]:
        found: list[Line] = [self.summary()]
        for job in self._batch.in_flight:
            since = self._since.setdefault(job, self._clock.monotonic())
            found.append((job.row.name, self.words(job.task, since) if job.task else job.activity))
        return found

    def summary(self) -> str:
        """Returns how many rows are done, running and failed, the credits, and the time left by the pace so far."""
        from ..jobs.attempts import number_of  # only a batch needs it

        report, batch = self._report, self._batch
        credits = report.credits + sum(number_of(job.credits) or 0 for job in batch.in_flight if job.is_sent)
        words = [
            f"{report.counts['done']} of {report.total} done",
            f"{sum(job.task is not None for job in batch.in_flight)} running",
            f"{report.counts['failed']} failed",
            f"{shown_credits(credits)} credits",
        ]
        left = self._pace * (report.total - sum(report.counts.values())) - (self._clock.monotonic() - self._last)
        if left > 0:  # from one end to the next it counts down
            words.append(f"{readable_time(left)} left")
        return ", ".join(words)

    def ended(self, job: RowJob) -> None:
        """Forgets a row that has ended, and takes its pace."""
        self._since.pop(job, None)
        if job.task and job.task.has_ended:
            self._last = self._clock.monotonic()
            self._ends += 1
            self._pace = (self._last - self._start) / self._ends
        if job.task:
            self._transfers.pop(job.task, None)


class TransferLine:
    """The progress of one upload or download: a bar on a terminal, nothing elsewhere, removed at its end."""

    def __init__(self, console: Console, clock: Clock, name: str) -> None:
        self._live = live(console)
        self._clock = clock
        self._name = name
        self._start = clock.monotonic()
        self._drawn = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        now = self._clock.monotonic()
        if self._live and (now - self._drawn >= REDRAW or done == total):
            self._drawn = now
            self._live.show([f"{self._name}  {transferred(done, total, now - self._start)}"])

    def __enter__(self) -> TransferLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.close()
