"""Runs jobs step by step, several at once. The main thread alone keeps the time and the books."""

from __future__ import annotations

import heapq
import queue
import threading

from ..shutdown import SLICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from ..shutdown import Clock, Shutdown

    Emit = Callable[[Any], None]  # takes events for the display

    class Job(Protocol):
        """Work in steps. `deadline` is a moment of the clock, None without a limit."""

        @property
        def deadline(self) -> float | None: ...

        def step(self, emit: Emit) -> float | None:
            """Does what is due and returns the seconds until the next step, None at the end.

            A step at or past the deadline must end the job.
            """


OPEN_FILES, OWN_FILES, FILES_OF_JOB = 512, 24, 4  # enough for all; what the process has beside its jobs; of each job
TICK = 1.0  # seconds between two events that only say that time has passed


def most_at_once(wanted: int, note: Callable[[str], None]) -> int:
    """Returns how many of the jobs wanted at once the limit of open files allows, which is raised where it can be."""
    try:
        import resource
    except ImportError:  # Windows
        return wanted
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < OPEN_FILES:
        try:
            raised = OPEN_FILES if most < 0 else min(most, OPEN_FILES)
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, most))
            limit = raised
        except (OSError, ValueError):
            pass
    found = wanted if limit < 0 else min(wanted, max(1, (limit - OWN_FILES) // FILES_OF_JOB))
    if found < wanted:
        note(f"{found} at once, not {wanted}: the limit of open files is {limit}")
    return found


class Scheduler:
    """Runs the steps of jobs in `workers` threads, each step when it is due.

    Without workers a step runs in the thread of `run`: one job needs no thread, and a test can provide the clock.
    """

    def __init__(self, clock: Clock, shutdown: Shutdown, emit: Emit, workers: int = 0) -> None:
        self._clock = clock
        self._shutdown = shutdown
        self._emit = emit
        self._workers = workers
        self._due: list[tuple[float, int, Job]] = []  # a heap; the number keeps jobs of the same moment in order
        self._count = 0
        self._running = 0  # steps that have begun and whose results are still to be collected
        self._orders: queue.SimpleQueue[Job] = queue.SimpleQueue()
        # not a SimpleQueue: its `get` waits for ever where a signal is handled later than its timeout
        self._results: queue.Queue[tuple[str, Any, float | None]] = queue.Queue()
        for _ in range(workers):
            threading.Thread(target=self._work, daemon=True).start()

    def add(self, job: Job, delay: float = 0.0) -> None:
        """Adds a job whose next step is due after `delay` seconds, at its deadline at the latest."""
        now = self._clock.monotonic()
        when = now + delay if job.deadline is None else min(now + delay, max(job.deadline, now))
        self._count += 1
        heapq.heappush(self._due, (when, self._count, job))

    def run(self) -> Iterator[Job]:
        """Yields each job when it has ended. Jobs may be added meanwhile. Raises Interrupted, or a job's defect."""
        while self._due or self._running:
            self._shutdown.check()
            now = self._clock.monotonic()
            while self._due and self._due[0][0] <= now:
                self._begin(heapq.heappop(self._due)[2])
            until = min(TICK, self._due[0][0] - now) if self._due else TICK
            done = self._wait(max(0.0, until))
            self._emit(None)
            if done is None:
                continue
            job, delay = done
            if delay is None:
                yield job
            else:
                self.add(job, delay)

    def drain(self, seconds: float) -> Iterator[Job]:
        """Yields the jobs whose current step ends within `seconds`, without beginning another. For the end of a run.

        A further defect does not end it: the other jobs may have been paid for.
        """
        end = self._clock.monotonic() + seconds
        while self._running and self._clock.monotonic() < end:
            try:
                done = self._collect(SLICE)
            except Exception:
                continue
            if done is not None:
                yield done[0]

    def _begin(self, job: Job) -> None:
        if self._workers:
            self._orders.put(job)
        else:
            self._results.put(("done", job, job.step(self._emit)))
        self._running += 1

    def _wait(self, seconds: float) -> tuple[Job, float | None] | None:
        """Returns the next job whose step has ended and its delay; None where there is none within `seconds`."""
        if not self._running:
            self._shutdown.sleep(self._clock, seconds)
            return None
        end = self._clock.monotonic() + seconds
        while True:
            self._shutdown.check()
            left = end - self._clock.monotonic()
            done = self._collect(max(0.0, min(SLICE, left)))
            if done is not None or left <= SLICE:
                return done

    def _collect(self, seconds: float) -> tuple[Job, float | None] | None:
        """Takes one result of a worker: returns a job whose step has ended, passes an event on, or raises a defect."""
        try:
            kind, content, delay = self._results.get(timeout=seconds)
        except queue.Empty:
            return None
        if kind == "event":
            self._emit(content)
            return None
        self._running -= 1
        if kind == "defect":
            raise content
        return content, delay

    def _work(self) -> None:
        while True:
            job = self._orders.get()
            try:
                delay = job.step(lambda event: self._results.put(("event", event, None)))
            except BaseException as defect:  # the main thread reports it
                self._results.put(("defect", defect, None))
            else:
                self._results.put(("done", job, delay))
