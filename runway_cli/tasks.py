"""Polling: looks at tasks until each has ended, several at a time, no more often than the API allows."""

from __future__ import annotations

import heapq

from .client import LONGEST_RETRY_AFTER
from .errors import ApiError, NetworkError, RunwayError, UsageError
from .paths import segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from .client import Client, Clock

INTERVAL = 5.0  # seconds between two looks at a task: the API asks for no less
SESSION_INTERVAL = 1.0  # seconds; realtime sessions may be looked at every second
CREW = 8  # threads that look and download at the same time
GOOD_ENDS = ("SUCCEEDED", "READY", "COMPLETED")
BAD_ENDS = ("FAILED", "CANCELLED")
SESSIONS = "/v1/realtime_sessions/"
FOLDERS = ("/v1/tasks/", "/v1/workflow_invocations/", "/v1/avatars/", "/v1/voices/", SESSIONS)

# What a POST to a path starts, by the place where it can be looked at
_GENERATIONS = (
    "text_to_image", "text_to_video", "image_to_video", "video_to_video", "character_performance", "text_to_speech",
    "sound_effect", "voice_isolation", "voice_dubbing", "speech_to_speech", "image_upscale", "video_upscale",
    "video_to_audio", "video_to_hdr", "avatar_videos",
)


class Watch:
    """Something that is looked at until it ends.

    `name` is what the user calls it by: an id, or a path such as /v1/avatars/ID. `task` is the last answer, None
    before the first; `error` what ended the watch early; `saved` the paths of its outputs.
    """

    def __init__(self, name: str, interval: float = INTERVAL) -> None:
        self.name = name
        self.path = path_of(name)
        self.id = self.path.rpartition("/")[2]
        self.interval = SESSION_INTERVAL if self.path.startswith(SESSIONS) else interval
        self.task: dict[str, Any] | None = None
        self.error: RunwayError | None = None
        self.trouble: RunwayError | None = None  # why the last look brought nothing, while it goes on
        self.saved: list[str] = []
        self.transfer = ""  # how far a download of its outputs is, for a terminal

    @property
    def status(self) -> str:
        """The last status seen, "" before the first."""
        status = self.task.get("status") if self.task else None
        return status if isinstance(status, str) else ""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.error is not None or self.status in GOOD_ENDS or self.status in BAD_ENDS

    @property
    def progress(self) -> float | None:
        """From 0 to 1, None where the task tells none."""
        try:
            share = float(self.task["progress"]) if self.task else -1.0
        except (KeyError, TypeError, ValueError):
            return None
        return share if 0 <= share <= 1 else None


def path_of(name: str) -> str:
    """The path that an id, or one of the paths in FOLDERS with an id behind it, stands for.

    Raises UsageError for what could be anything else.
    """
    folder, identity = "/v1/tasks/", name
    for known in FOLDERS:
        if name.startswith(known):
            folder, identity = known, name[len(known):]
    strange = any(c in "/\\?#" or c.isspace() or not c.isprintable() for c in identity)
    if not identity or identity in (".", "..") or strange:
        raise UsageError(f"{name!r} is no id, nor one of {', '.join(known + 'ID' for known in FOLDERS)}")
    return folder + segment(identity)


def watched(path: str, identity: str) -> str | None:
    """The name to wait by for what a POST to `path` started; None where there is nothing to wait for."""
    path = "/" + path.partition("?")[0].strip("/")
    place, _, rest = path.removeprefix("/v1/").partition("/") if path.startswith("/v1/") else ("", "", "")
    if place == "workflows" and rest:
        return "/v1/workflow_invocations/" + identity
    if path + "/" in FOLDERS and place not in ("tasks", "workflow_invocations"):
        return f"{path}/{identity}"
    if (place in _GENERATIONS and not rest) or (place in ("generate", "recipes") and rest):
        return identity
    return None


def follow(client: Client, watches: Sequence[Watch], end: float | None, *, finish: Callable[[Watch], None],
           show: Callable[[Watch | None], None]) -> Iterator[Watch]:
    """Looks at every watch at its interval and yields each once it has ended, or when the clock has reached `end`.

    No two watches may have the same path. `finish` is called for what ended well, in the thread that saw it; what it
    raises becomes the watch's error. `show` is called after every look with what was looked at, and about every second
    with None. While waiting, what may pass (network errors, 408, 429, 5xx, an answer that is not JSON) is noted and
    does not end a watch; every other error does.
    """
    clock = client.clock

    def work(watch: Watch) -> None:
        look(client, watch, end)
        if not watch.error and watch.status in GOOD_ENDS:
            try:
                finish(watch)
            except RunwayError as error:
                watch.error = error

    crew: _Alone | _Crew = _Alone(work, clock) if len(watches) == 1 else _Crew(work, clock, min(CREW, len(watches)))
    numbers = {watch.path: number for number, watch in enumerate(watches)}
    due = [(clock.monotonic(), number) for number in range(len(watches))]
    while due or crew.busy:
        now = clock.monotonic()
        late = end is not None and now >= end
        if late and not crew.busy:
            break
        while due and due[0][0] <= now and not late:
            crew.submit(watches[heapq.heappop(due)[1]])
        until = 1.0 if late or not due else min(1.0, due[0][0] - now)
        if end is not None and not late:
            until = min(until, end - now)
        done = crew.collect(max(0.0, until))
        show(done)
        if done is None:
            continue
        if done.ended:
            yield done
        else:
            asked = getattr(done.trouble, "retry_after", None) or 0.0
            pause = max(done.interval, min(asked, LONGEST_RETRY_AFTER))
            heapq.heappush(due, (clock.monotonic() + pause, numbers[done.path]))
    for _, number in sorted(due, key=lambda item: item[1]):
        yield watches[number]


def look(client: Client, watch: Watch, end: float | None) -> None:
    """Asks once. A failure that may pass is left in `watch.trouble`, any other in `watch.error`."""
    watch.trouble, before = None, watch.trouble
    try:
        answer = client.call("GET", watch.path, retries=0, end=end).value
    except (ApiError, NetworkError) as error:
        if not _may_pass(error):
            watch.error = error
            return
        watch.trouble = error
        if before is None or before.message != error.message:
            client.console.note(f"{watch.name}: {error.message}; it is asked again")
        return
    except RunwayError as error:
        watch.error = error
        return
    if isinstance(answer, dict):
        watch.task = answer
    else:
        watch.error = ApiError(f"the answer for {watch.name} is no object", status=200)


def _may_pass(error: ApiError | NetworkError) -> bool:
    if isinstance(error, NetworkError):
        return not error.permanent
    return error.status in (408, 429) or error.status >= 500 or not error.is_json


class _Alone:
    """One watch: the work is done where it is submitted, so that time can be a test's and Ctrl-C acts at once."""

    def __init__(self, work: Callable[[Watch], None], clock: Clock) -> None:
        self.work = work
        self.clock = clock
        self.done: list[Watch] = []

    @property
    def busy(self) -> int:
        return len(self.done)

    def submit(self, watch: Watch) -> None:
        self.work(watch)
        self.done.append(watch)

    def collect(self, seconds: float) -> Watch | None:
        if self.done:
            return self.done.pop()
        self.clock.sleep(seconds)
        return None


class _Crew:
    """Several watches: threads take what is submitted. The main thread alone keeps the time and the books."""

    def __init__(self, work: Callable[[Watch], None], clock: Clock, size: int) -> None:
        import queue
        import threading  # only several watches need both

        self.clock = clock
        self.empty = queue.Empty
        self.busy = 0
        self.orders: queue.SimpleQueue[Watch] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[tuple[Watch, BaseException | None]] = queue.SimpleQueue()
        self.work = work
        for _ in range(size):
            threading.Thread(target=self._serve, daemon=True).start()

    def submit(self, watch: Watch) -> None:
        self.busy += 1
        self.orders.put(watch)

    def collect(self, seconds: float) -> Watch | None:
        if not self.busy:
            self.clock.sleep(seconds)
            return None
        try:
            watch, defect = self.results.get(timeout=seconds)
        except self.empty:
            return None
        self.busy -= 1
        if defect:
            raise defect
        return watch

    def _serve(self) -> None:
        while True:
            watch = self.orders.get()
            try:
                self.work(watch)
            except BaseException as defect:  # carried over to the main thread, which reports it
                self.results.put((watch, defect))
            else:
                self.results.put((watch, None))
