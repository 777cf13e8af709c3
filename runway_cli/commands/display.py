"""Progress on stderr: live lines on a terminal, elsewhere at most one line a minute."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock

from ..settings import counted, readable_size, readable_time
from ..terminal import console as streams
from ..terminal.console import Console
from ..terminal.tables import Column, fitted, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..files.download import Emit
    from ..jobs.batch import Batch, RowJob
    from ..jobs.ledger import Ledger
    from ..jobs.tasks import PolledTask, Progress
    from ..shutdown import Clock

NOTE_INTERVAL = 60.0  # seconds between two lines where no terminal shows live ones
BAR = 10  # characters, so that a task's line fits into 80 columns
MAX_CELL = 500  # characters; no window shows more
MIN_NAME = 8  # columns of a name that are kept: the first group of an id identifies a task
REDRAW = 0.1  # seconds between two drawings without news
MIN_RATE_TIME = 1.0  # seconds of a transfer before its rate says something
CELLS = {"name": 0, "model": 3, "prompt": 2, "status": 0, "progress": 1, "time": 1, "cost": 1}  # of a line: their ranks


class Display:
    """The progress of one wait: a line for each task that has not ended, or whose outputs are still being saved."""

    announces_start = True  # whether the first task that runs is worth a line of its own

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
        self._transfers: dict[PolledTask, tuple[int, int | None, float]] = {}  # bytes done, bytes in all, start
        attempts = history.attempts() if history and self._live else []
        self._names = {each.id: (each.model or "", each.prompt or "") for each in attempts}

    def handle(self, event: Progress | None) -> None:
        """Shows an event of the scheduler; None means only that time has passed."""
        now = self._clock.monotonic()
        if event:
            task, done, total = event
            if done is not None:
                self._transfers[task] = (done, total, self._transfers.get(task, (0, None, now))[2])
            if task.status == "THROTTLED" and not self._was_throttled:
                self._was_throttled, self.announces_start = True, False
                words = "queued until a running generation ends; your tier limits how many run at once"
                self._console.note(f"THROTTLED: {words}")
            if task.status == "RUNNING" and self.announces_start:
                self._next = now
        if now < self._next and not (self._live and event is None):
            return
        self._next, self.announces_start = now + self._interval, False
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
        """Returns the line that is written once a minute where there are no live lines."""
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
    """The progress of a batch: a line for the whole and one for each row in flight."""

    announces_start = False

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
    """Yields a function that shows the progress of one upload or download: a bar on a terminal, nothing elsewhere."""
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


# Live lines at the bottom of a terminal, and the parts of their text.


def live(console: Console) -> Live | None:
    """Returns the console's live lines; None with --quiet, or where stderr is not a terminal that can show them."""
    if console.live is None and not console.quiet and streams.has_ansi(sys.stderr):
        console.live = Live(console)
    return console.live


class Live:
    """Lines at the bottom of a terminal, redrawn as they change, by any thread or a signal handler."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: list[str] = []  # the lines on the screen
        self._lock = RLock()

    def show(self, lines: Sequence[list[str] | tuple[str, ...]]) -> None:
        """Draws these lines in place of the previous ones: first those that are one text, then those with CELLS."""
        width, height = streams.terminal_size()
        masked = [[self._console.safe_line(cell)[:MAX_CELL] for cell in line] for line in lines[:height]]
        shown = [fitted(line[0], width - 1) for line in masked if len(line) == 1]
        most = max(width // 3, MIN_NAME)  # columns of a name, which is never left out
        rows = [dict(zip(CELLS, (fitted(line[0], most), *line[1:]))) for line in masked if len(line) > 1]
        columns = [Column("", key, rank=rank) for key, rank in CELLS.items()]
        text, _ = table(rows, columns, width - 1, is_coloured=streams.has_styles(sys.stderr))
        shown += text.splitlines()[1:]
        if len(shown) > height - 1:  # lines that scroll off the screen can no longer be redrawn
            shown[height - 2 :] = [fitted(f"… and {len(lines) - height + 2} more", width - 1)]
        self.draw("", shown)

    def close(self) -> None:
        """Erases the lines: what is written next takes their place."""
        self.draw("", [])

    def draw(self, text: str, lines: list[str] | None = None) -> None:
        """Writes `text`, whole lines, above the live ones, and these with one write, so that no frame is half drawn.

        Lines are erased one by one: terminals keep a whole screen that is erased from its top in their history.
        """
        with self._lock:
            drawing = ""
            if self._drawn:
                count = len(self._drawn)
                drawing = f"\r\x1b[{count}A" + "\x1b[K\n" * count + f"\x1b[{count}A"
            self._drawn = self._drawn if lines is None else lines
            drawing += text + "".join(line + "\n" for line in self._drawn)
            if drawing:
                self._console.write_stderr(drawing)


def bar(share: float) -> str:
    """Returns [#####-----] for a share from 0 to 1."""
    full = int(max(0.0, min(share, 1.0)) * BAR)
    return "[" + "#" * full + "-" * (BAR - full) + "]"


def transferred(done: int, total: int | None, seconds: float = 0.0) -> str:
    """Returns bytes, with a bar if the total is known, the rate after `seconds`, and the remaining time."""
    words = [f"{bar(done / total)} {readable_size(done)} of {readable_size(total)}" if total else readable_size(done)]
    rate = done / seconds if seconds >= MIN_RATE_TIME else 0.0
    if rate > 0:
        words.append(f"{readable_size(rate)}/s")
        if total and done < total:
            words.append(f"{readable_time((total - done) / rate)} left")
    return ", ".join(words)
