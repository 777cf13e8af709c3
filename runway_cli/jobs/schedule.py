"""Runs jobs step by step, each at its time, several at once. The main thread alone keeps the time and the books."""

from __future__ import annotations

import heapq

from ..shutdown import SLICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import queue
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from ..shutdown import Clock, Shutdown

    Emit = Callable[[Any], None]

    class Job(Protocol):
        """Work in steps; `deadline` is a moment of the clock, None without a limit."""

        @property
        def deadline(self) -> float | None: ...

        def step(self, emit: Emit) -> float | None:
            """Does what is due. Returns the seconds until the next step, None at the end.

            `emit` takes events for the display. A step at or past the deadline must end the job.
            """


TICK = 1.0  # seconds between two events that only say that time has passed


class Scheduler:
    """Jobs, their times and the threads that run them.

    Without workers each step runs in the thread of `run`: one job needs no thread, and time can be a test's.
    """

    def __init__(self, clock: Clock, shutdown: Shutdown, emit: Emit, workers: int = 0) -> None:
        self._clock = clock
        self._shutdown = shutdown
        self._emit = emit
        self._due: list[tuple[float, int, Job]] = []
        self._count = 0
        self._workers = _Workers(workers) if workers else _Inline(emit)

    def add(self, job: Job, delay: float = 0.0) -> None:
        """Adds a job whose next step is due after `delay` seconds, at its deadline at the latest."""
        when = self._clock.monotonic() + delay
        if job.deadline is not None:
            when = min(when, max(job.deadline, self._clock.monotonic()))
        self._count += 1
        heapq.heappush(self._due, (when, self._count, job))

    def run(self) -> Iterator[Job]:
        """Yields each job when it has ended. Jobs may be added meanwhile. Raises Interrupted, or a job's defect."""
        while self._due or self._workers.busy:
            self._shutdown.check()
            now = self._clock.monotonic()
            while self._due and self._due[0][0] <= now:
                self._workers.submit(heapq.heappop(self._due)[2])
            until = min(TICK, self._due[0][0] - now) if self._due else TICK
            done = self._collect(max(0.0, until))
            self._emit(None)
            if done is None:
                continue
            job, delay = done
            if delay is None:
                yield job
            else:
                self.add(job, delay)

    def drain(self, seconds: float) -> Iterator[Job]:
        """Yields the jobs whose step, already begun, ends within `seconds`; begins none. For the end of a run."""
        end = self._clock.monotonic() + seconds
        while self._workers.busy and self._clock.monotonic() < end:
            done = self._workers.collect(SLICE, self._emit)
            if done is not None:
                yield done[0]

    def _collect(self, seconds: float) -> tuple[Job, float | None] | None:
        """The next job whose step has ended, None when there is none within `seconds`."""
        if not self._workers.busy:
            self._shutdown.sleep(self._clock, seconds)
            return None
        end = self._clock.monotonic() + seconds
        while True:
            self._shutdown.check()
            left = end - self._clock.monotonic()
            done = self._workers.collect(max(0.0, min(SLICE, left)), self._emit)
            if done is not None or left <= SLICE:
                return done


class _Inline:
    """Runs a step where it is submitted."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._done: list[tuple[Job, float | None]] = []

    @property
    def busy(self) -> int:
        return len(self._done)

    def submit(self, job: Job) -> None:
        self._done.append((job, job.step(self._emit)))

    def collect(self, seconds: float, emit: Emit) -> tuple[Job, float | None] | None:
        return self._done.pop() if self._done else None


class _Workers:
    """Threads that run what is submitted. Their events and results come back through one queue."""

    def __init__(self, size: int) -> None:
        import queue
        import threading  # only several jobs need both

        self.busy = 0
        self._empty = queue.Empty
        self._orders: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[str, Any, Any]] = queue.SimpleQueue()
        for _ in range(size):
            threading.Thread(target=self._serve, daemon=True).start()

    def submit(self, job: Job) -> None:
        self.busy += 1
        self._orders.put(job)

    def collect(self, seconds: float, emit: Emit) -> tuple[Job, float | None] | None:
        try:
            kind, content, delay = self._results.get(timeout=seconds) if seconds else self._results.get_nowait()
        except self._empty:
            return None
        if kind == "event":
            emit(content)
            return None
        self.busy -= 1
        if kind == "defect":
            raise content
        return content, delay

    def _serve(self) -> None:
        while True:
            job = self._orders.get()
            try:
                delay = job.step(lambda event: self._results.put(("event", event, None)))
            except BaseException as defect:  # carried over to the main thread, which reports it
                self._results.put(("defect", defect, None))
            else:
                self._results.put(("done", job, delay))
