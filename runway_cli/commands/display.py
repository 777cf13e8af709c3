"""Progress on stderr: live lines on a terminal, elsewhere at most one line a minute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..settings import counted
from ..terminal.console import Console
from ..terminal.progress import MIN_NAME, REDRAW, bar, live, transferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..files.download import Emit
    from ..jobs.batch import Batch, RowJob
    from ..jobs.ledger import Ledger
    from ..jobs.tasks import PolledTask, Progress
    from ..shutdown import Clock


NOTE_INTERVAL = 60.0  # seconds between two lines where no terminal shows live ones


class Display:
    """The tasks of one wait: a line for each that has not ended, or whose outputs are still being saved.

    On a terminal a line begins with the short id, and the model and prompt that the history has.
    """

    def __init__(
        self, console: Console, clock: Clock, tasks: Sequence[PolledTask] = (), history: Ledger | None = None
    ) -> None:
        self._console = console
        self._clock = clock
        self._tasks = tasks
        self._live = live(console)
        self._interval = REDRAW if self._live else NOTE_INTERVAL
        self._start = clock.monotonic()
        self._next = self._start + self._interval
        self._was_throttled = False
        self._transfers: dict[PolledTask, tuple[int, int | None, float]] = {}  # bytes done, in all, start
        attempts = history.attempts() if history and self._live else []
        self._names = {each.id: (each.model or "", each.prompt or "") for each in attempts}

    def handle(self, event: Progress | None) -> None:
        """Takes an event; None says that time has passed."""
        now = self._clock.monotonic()
        if event:
            task, done, total = event
            if done is not None:
                self._transfers[task] = (done, total, self._transfers.get(task, (0, None, now))[2])
            if task.status == "THROTTLED" and not self._was_throttled:
                self._was_throttled = True
                words = "queued until a running generation ends; your tier limits how many run at once"
                self._console.note(f"THROTTLED: {words}")
        if now < self._next and not (self._live and event is None):
            return
        self._next = now + self._interval
        if self._live:
            self._live.show(self.lines())
        else:
            self._console.note(self.summary())

    def close(self) -> None:
        """Removes the live lines."""
        if self._live:
            self._live.close()

    def lines(self) -> list[list[str]]:
        """Returns the live lines of this moment, each as its cells."""
        names = self._names
        return [
            [task.pollable.id[:MIN_NAME], *names.get(task.name, ("", "")), *self.cells(task, self._start)]
            for task in self._active()
        ]

    def summary(self) -> str:
        """Returns one line for a minute of waiting."""
        active = self._active()
        if len(active) == 1:
            return " ".join(filter(None, (active[0].name, *self.cells(active[0], self._start))))
        seconds = self._clock.monotonic() - self._start
        return f"{len(self._tasks) - len(active)} of {len(self._tasks)} ended, {seconds:.0f} s"

    def _active(self) -> list[PolledTask]:
        return [task for task in self._tasks if not task.has_ended or (task in self._transfers and not task.is_saved)]

    def cells(self, task: PolledTask, since: float) -> list[str]:
        """Returns the status, progress or transfer, time and credits of a task; `since` is a moment of the clock."""
        now, share = self._clock.monotonic(), task.progress
        progress = "" if share is None else f"{bar(share)} {share:.0%}" if self._live else f"{share:.0%}"
        if task in self._transfers:
            done, total, started = self._transfers[task]
            progress = transferred(done, total, now - started)
        credits = "" if task.credits is None else f"{task.credits} credit{'s' * (str(task.credits) != '1')}"
        return [task.status, progress, f"{now - since:.0f} s", credits]


class BatchDisplay(Display):
    """A line for the whole batch and one for each row in flight."""

    def __init__(self, console: Console, clock: Clock, batch: Batch) -> None:
        super().__init__(console, clock)
        self._batch = batch
        self._since: dict[RowJob, float] = {}

    def lines(self) -> list[list[str]]:
        found = [[self.summary()]]
        for job in self._batch.in_flight:
            since = self._since.setdefault(job, self._clock.monotonic())
            found.append([job.row.name, "", "", *(self.cells(job.task, since) if job.task else [job.activity])])
        return found

    def summary(self) -> str:
        """Returns how many rows are done, running and failed, and the credits."""
        batch, counts = self._batch, self._batch.counts
        credits = batch.credits + sum(job.credits or 0 for job in batch.in_flight if job.is_sent)
        running = sum(job.task is not None for job in batch.in_flight)
        rows = f"{counts['done']} of {len(batch.rows)} done, {running} running, {counts['failed']} failed"
        return f"{rows}, {counted(credits, 'credit')}"


@contextmanager
def transfer_line(console: Console, clock: Clock, name: str) -> Iterator[Emit]:
    """Yields what shows the progress of one upload or download: a bar on a terminal, nothing elsewhere."""
    lines, start, drawn = live(console), clock.monotonic(), 0.0

    def show(done: int, total: int | None) -> None:
        nonlocal drawn
        now = clock.monotonic()
        if lines and (now - drawn >= REDRAW or done == total):
            drawn = now
            lines.show([[f"{name}  {transferred(done, total, now - start)}"]])

    try:
        yield show
    finally:
        if lines:
            lines.close()
