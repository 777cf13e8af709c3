"""Runs jobs step by step, several at once. The main thread alone keeps the time and the books."""

from __future__ import annotations

import heapq
import queue
import threading
from contextlib import suppress

from ..errors import ApiError, NetworkError
from ..shutdown import SLICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from ..api.client import Client
    from ..errors import RunwayError
    from ..shutdown import Clock, Shutdown

    Emit = Callable[[Any], None]  # takes events for the display

    class Runnable(Protocol):
        """Work in steps. `deadline` is a moment of the clock, None without a limit."""

        @property
        def deadline(self) -> float | None: ...

        def step(self, emit: Emit) -> float | None:
            """Does what is due and returns the seconds until the next step, None at the end.

            A step at or past the deadline must end the job.
            """


OPEN_FILES, OWN_FILES, FILES_OF_JOB = 512, 24, 4  # enough for all; what the process has beside its jobs; of each job
MAX_GAP = 30.0  # seconds between two POSTs after 429
MAX_EXHAUSTED = 3  # rows in succession whose retries are used up
MAX_ROUNDS = 4  # of POSTs that are all answered 429, beyond --retries: a daily limit may be reached
TICK = 1.0  # seconds between two events that only say that time has passed


def most_at_once(wanted: int, note: Callable[[str], None]) -> int:
    """Returns how many of the jobs wanted at once the limit of open files allows, which is raised where it can be."""
    try:
        import resource
    except ImportError:  # Windows
        return wanted
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < OPEN_FILES:
        with suppress(OSError, ValueError):
            raised = OPEN_FILES if most < 0 else min(most, OPEN_FILES)
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, most))
            limit = raised
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
        self._due: list[tuple[float, int, Runnable]] = []  # a heap; the number keeps jobs of the same moment in order
        self._count = 0
        self._running = 0  # steps that have begun and whose results are still to be collected
        self._orders: queue.SimpleQueue[Runnable] = queue.SimpleQueue()
        # not a SimpleQueue: its `get` waits for ever where a signal is handled later than its timeout
        self._results: queue.Queue[tuple[str, Any, float | None]] = queue.Queue()
        for _ in range(workers):
            threading.Thread(target=self._work, daemon=True).start()

    def add(self, job: Runnable, delay: float = 0.0) -> None:
        """Adds a job whose next step is due after `delay` seconds, at its deadline at the latest."""
        now = self._clock.monotonic()
        when = now + delay if job.deadline is None else min(now + delay, max(job.deadline, now))
        self._count += 1
        heapq.heappush(self._due, (when, self._count, job))

    def run(self) -> Iterator[Runnable]:
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

    def drain(self, seconds: float) -> Iterator[Runnable]:
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

    def _begin(self, job: Runnable) -> None:
        if self._workers:
            self._orders.put(job)
        else:
            self._results.put(("done", job, job.step(self._emit)))
        self._running += 1

    def _wait(self, seconds: float) -> tuple[Runnable, float | None] | None:
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

    def _collect(self, seconds: float) -> tuple[Runnable, float | None] | None:
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


class Pace:
    """How fast POSTs are sent. Safe for several threads.

    After 429 none is sent for the time that the service asks for. Then they go one at a time, with growing gaps, until
    one is accepted. If 429 does not end, or if several jobs in succession use up their retries, no further one is.
    """

    def __init__(self, client: Client) -> None:
        self.is_stopped = False  # no further one is sent
        self.sending = 0  # POSTs whose answer has not been recorded yet
        self._rounds = 0  # how often a POST that was sent after the last 429 was answered 429 again
        self._is_new_round = True
        self._client = client
        self._lock = threading.Lock()
        self._not_before = 0.0  # the moment of the next POST
        self._gap = 0.0
        self._exhausted = 0

    def stop(self) -> None:
        """Lets no further POST be sent."""
        with self._lock:
            self.is_stopped = True

    def begin(self) -> float | None:
        """Returns 0 if a POST may be sent now, else the seconds to wait, None if none may be sent.

        After 0, `end` has to be called.
        """
        with self._lock:
            now = self._client.clock.monotonic()
            if self.is_stopped:
                return None
            if now < self._not_before:
                return self._not_before - now
            if self._gap:
                self._not_before = now + self._gap
            self._is_new_round = True
            self.sending += 1
            return 0.0

    def end(self, *, is_accepted: bool) -> None:
        """Notes that what came of a POST is recorded. One that was accepted lets the pace recover."""
        with self._lock:
            self.sending -= 1
            if is_accepted:
                self._exhausted = self._rounds = 0
                self._gap = 0.0 if self._gap <= 1 else self._gap / 2

    def delay(self, failure: RunwayError, tries: int) -> float | None:
        """Returns the seconds until a row is tried again, `tries` of which failed before; None if it is left."""
        if failure.kind in ("auth", "budget", "credits", "config", "io"):
            self.stop()
        if failure.kind not in ("api", "network") or not isinstance(failure, (ApiError, NetworkError)):
            return None
        is_throttled = failure.fact("status") == 429
        delay = self._client.retry_delay("POST", failure, 0 if is_throttled else tries)
        with self._lock:
            is_first = not is_throttled or self._is_new_round  # not one of several that were sent together
            if is_throttled:
                if is_first:
                    self._is_new_round = False
                    self._rounds += 1
                    self._gap = min(max(1.0, 2 * self._gap), MAX_GAP)
                if self._rounds > self._client.target.retries + MAX_ROUNDS:
                    self.is_stopped = True
                    delay = None
                self._not_before = max(self._not_before, self._client.clock.monotonic() + max(delay or 0.0, self._gap))
            if delay is None:
                self._exhausted += 1
                self.is_stopped = self.is_stopped or self._exhausted >= MAX_EXHAUSTED
        if delay is not None and is_first:
            self._client.console.note(f"{failure.message}: retrying in {delay:.1f} s")
        return delay
