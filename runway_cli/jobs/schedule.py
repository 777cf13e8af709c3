"""Runs jobs step by step, several at once. Workers run the steps; the main thread decides when."""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
from collections.abc import Callable, Iterator

from ..api.client import Client
from ..errors import ApiError, NetworkError, RunwayError
from ..shutdown import SLICE, Shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    from ..shutdown import Clock
    from .batch import RowJob
    from .tasks import PolledTask

    Emit = Callable[[Any], None]  # receives events for the display
    Job = Union[PolledTask, RowJob]

OWN_FILES, FILES_OF_JOB = 24, 4  # open files of the process itself, and of each job
MAX_GAP = 30.0  # seconds between two POSTs after 429
MAX_EXHAUSTED = 3  # rows in succession whose retries are used up
MAX_ROUNDS = 4  # of 429s in addition to --retries: then a daily limit may be reached
TICK = 1.0  # seconds between two events that only say that time has passed


def most_at_once(wanted: int, note: Callable[[str], None]) -> int:
    """Returns how many of the jobs wanted at once the limit on open files allows."""
    try:
        import resource
    except ImportError:  # Windows
        return wanted
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = wanted if limit < 0 else min(wanted, max(1, (limit - OWN_FILES) // FILES_OF_JOB))
    if found < wanted:
        note(f"{found} at once, not {wanted}: the limit on open files is {limit}")
    return found


class Scheduler:
    """A scheduler that runs the steps of jobs in `workers` threads, each step when it is due.

    A step returns the seconds until the next one, None at the end; past its `deadline` it ends the job.
    Without workers a step runs in the thread of `run`: one job needs no thread, and a test can provide the clock.
    """

    def __init__(self, clock: Clock, shutdown: Shutdown, emit: Emit, workers: int = 0) -> None:
        self._clock = clock
        self._shutdown = shutdown
        self._emit = emit
        self._workers = workers
        self._due: list[tuple[float, int, Job]] = []  # a heap; the number keeps jobs of the same moment in order
        self._numbers = itertools.count()
        self._running = 0  # steps that have begun and whose results are still to be collected
        self._orders: queue.SimpleQueue[Job] = queue.SimpleQueue()
        # (job, delay until its next step, or its exception) or (None, event). Not a SimpleQueue: its `get`
        # waits for ever where a signal is handled later than its timeout.
        self._results: queue.Queue[tuple[Job | None, Any]] = queue.Queue()
        for _ in range(workers):
            threading.Thread(target=self._work, daemon=True).start()

    def add(self, job: Job, delay: float = 0.0) -> None:
        """Adds a job whose next step is due after `delay` seconds, at its deadline at the latest."""
        now = self._clock.monotonic()
        when = now + delay if job.deadline is None else min(now + delay, max(job.deadline, now))
        heapq.heappush(self._due, (when, next(self._numbers), job))

    def run(self) -> Iterator[Job]:
        """Yields each job when it has ended. Jobs may be added meanwhile. Raises Interrupted, or a job's defect."""
        tick = 0.0
        while self._due or self._running:
            self._shutdown.check()
            now = self._clock.monotonic()
            while self._due and self._due[0][0] <= now:
                self._running += 1
                job = heapq.heappop(self._due)[2]
                if self._workers:
                    self._orders.put(job)
                else:
                    self._results.put((job, job.step(self._emit)))
            if now >= tick:
                tick = now + TICK
                self._emit(None)
            left = min(TICK, max(0.0, self._due[0][0] - now)) if self._due else TICK
            if not self._running:
                self._shutdown.sleep(self._clock, left)
                continue
            try:
                ended, result = self._results.get(timeout=min(SLICE, left))
            except queue.Empty:
                continue
            if ended is None:
                self._emit(result)
                continue
            self._running -= 1
            if isinstance(result, BaseException):
                raise result
            if result is None:
                yield ended
            else:
                self.add(ended, result)

    def _work(self) -> None:
        while True:
            job = self._orders.get()
            try:
                result: Any = job.step(lambda event: self._results.put((None, event)))
            except BaseException as defect:  # the main thread raises it
                result = defect
            self._results.put((job, result))


class Pace:
    """The pace at which POSTs are sent. Safe for several threads.

    After 429 none is sent for the time that the service asks for. Then they go one at a time, with growing gaps, until
    some are accepted. If the 429s do not end, or several jobs in a row use up their retries, no further POST is sent.
    """

    def __init__(self, client: Client) -> None:
        self.is_stopped = False  # no further POST is sent; the caller that knows why sets it
        self.sending = 0  # POSTs whose answer has not been recorded yet
        self._client = client
        self._lock = threading.Condition()
        self._not_before = 0.0  # the moment of the next POST
        self._rounds = 0  # of POSTs that were answered 429; half of them are forgiven for each that is accepted
        self._exhausted = 0

    def drain(self, seconds: float) -> None:
        """Waits until the outcome of each POST is recorded, `seconds` at most."""
        with self._lock:
            self._lock.wait_for(lambda: not self.sending, seconds)

    def begin_post(self) -> float | None:
        """Returns 0 if a POST may be sent now (`end_post` must follow), else the seconds to wait; None for never."""
        with self._lock:
            if self.is_stopped:
                return None
            left = self._not_before - self._client.clock.monotonic()
            if left > 0 or (self._rounds and self.sending):
                return max(left, TICK)
            self.sending += 1
            return 0.0

    def end_post(self, *, is_accepted: bool) -> None:
        """Ends what `begin_post` began, once the POST's outcome is recorded. An accepted one lets the pace recover."""
        with self._lock:
            self.sending -= 1
            self._lock.notify_all()
            if is_accepted:
                self._exhausted = 0
                self._rounds //= 2

    def delay(self, failure: RunwayError, tries: int) -> float | None:
        """Returns the seconds until a row that failed `tries` times before is retried; None if it is not."""
        if failure.kind in ("auth", "budget", "credits", "config", "io"):
            self.is_stopped = True
            return None
        if not isinstance(failure, (ApiError, NetworkError)):
            return None
        is_throttled = failure.fact("status") == 429
        retries = self._client.target.retries
        delay = self._client.service.policy.delay("POST", failure, 0 if is_throttled else tries, retries)
        with self._lock:
            now = self._client.clock.monotonic()
            is_told = not is_throttled or now >= self._not_before  # not for each of several that were sent together
            if is_throttled:
                self._rounds += is_told
                if self._rounds > retries + MAX_ROUNDS:
                    self.is_stopped, delay = True, None
                gap = max(delay or 0.0, min(2.0 ** (self._rounds - 1), MAX_GAP))
                self._not_before = max(self._not_before, now + gap)
            if delay is None:
                self._exhausted += 1
                self.is_stopped = self.is_stopped or self._exhausted >= MAX_EXHAUSTED
        if delay is not None and is_told:
            self._client.console.note(f"{failure.message}: retrying in {delay:.1f} s")
        return delay
