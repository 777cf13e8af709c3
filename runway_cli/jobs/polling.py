"""Polls a task until it has ended, no more often than the API allows, and saves its outputs.

While waiting, failures that may pass (the policy `retry.POLLING`: network errors, 408, 429, 5xx, an answer that is not
JSON) are noted and polling goes on at its pace; every other failure ends the task's polling.
"""

from __future__ import annotations

from ..api.retry import MAX_RETRY_AFTER, POLLING
from ..errors import ApiError, NetworkError, RunwayError
from ..settings.values import MIN_INTERVAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..api.client import Client
    from .pollable import Pollable
    from .scheduler import Emit

    Save = Callable[["PolledTask", Emit], None]

GOOD_ENDS = ("SUCCEEDED", "READY", "COMPLETED")
BAD_ENDS = ("FAILED", "CANCELLED")


class TaskProgress:
    """The event of polling or of a transfer: `task` has news; `done` of `total` bytes while an output is saved."""

    __slots__ = ("done", "task", "total")

    def __init__(self, task: PolledTask, done: int | None = None, total: int | None = None) -> None:
        self.task = task
        self.done = done
        self.total = total


class PolledTask:
    """Something that is polled until it ends, as a job of the scheduler.

    `answer` is the last answer, None before the first; `error` is what ended the polling early; `trouble` why the last
    poll brought nothing; `saved` are the paths of its outputs, `warnings` what is wrong with them.
    """

    def __init__(
        self,
        client: Client,
        pollable: Pollable,
        *,
        interval: float = MIN_INTERVAL,
        deadline: float | None = None,
        save: Save | None = None,
    ) -> None:
        self.client = client
        self.pollable = pollable
        self.interval = pollable.interval(interval)
        self.deadline = deadline
        self._save = save
        self.answer: dict[str, Any] | None = None
        self.error: RunwayError | None = None
        self.trouble: RunwayError | None = None
        self.saved: list[str] = []
        self.warnings: list[str] = []
        self.is_saved = False  # every output is on the disk

    @property
    def name(self) -> str:
        return self.pollable.name

    @property
    def status(self) -> str:
        """The last status seen, "" before the first."""
        status = self.answer.get("status") if self.answer else None
        return status if isinstance(status, str) else ""

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.error is not None or self.status in (*GOOD_ENDS, *BAD_ENDS)

    @property
    def progress(self) -> float | None:
        """From 0 to 1, None where the task tells none."""
        try:
            share = float(self.answer["progress"]) if self.answer else -1.0
        except (KeyError, TypeError, ValueError):
            return None
        return share if 0 <= share <= 1 else None

    @property
    def credits(self) -> Any:
        """What it costs, by its `cost`, else its `estimatedCost`; None where neither is known."""
        return credits_of(self.answer)

    @property
    def node_errors(self) -> dict[str, Any]:
        """The failed nodes of a workflow invocation, by their id."""
        found = self.answer.get("nodeErrors") if self.answer else None
        return found if isinstance(found, dict) else {}

    def step(self, emit: Emit) -> float | None:
        """Polls once; saves the outputs at a good end. Returns the seconds until the next poll, None at the end."""
        if self.deadline is not None and self.client.clock.monotonic() >= self.deadline:
            return None
        self.poll()
        emit(TaskProgress(self))
        if self.error is None and self.status in GOOD_ENDS and self._save:
            try:
                self._save(self, emit)
            except RunwayError as error:
                self.error = error
        if self.has_ended:
            return None
        retry_after = self.trouble.retry_after if isinstance(self.trouble, ApiError) else 0.0
        return max(self.interval, min(retry_after, MAX_RETRY_AFTER))

    def poll(self) -> None:
        """Asks once. A failure that may pass becomes `trouble`, any other `error`."""
        before, self.trouble = self.trouble, None
        try:
            found = self.client.call("GET", self.pollable.path, retries=0, deadline=self.deadline).value
        except (ApiError, NetworkError) as failure:
            if not POLLING.is_retryable("GET", failure):
                self.error = failure
                return
            self.trouble = failure
            if before is None or before.message != failure.message:
                self.client.console.note(f"{self.name}: {failure.message}; polling goes on")
            return
        except RunwayError as failure:
            self.error = failure
            return
        if isinstance(found, dict):
            self.answer = found
        else:
            self.error = ApiError(f"the answer for {self.name} is not an object", status=200)


def credits_of(answer: Any) -> Any:
    """The credits that an answer names: `cost`, else `estimatedCost`, its own or of its `routing`; None without."""
    found = answer if isinstance(answer, dict) else {}
    routing = found.get("routing")
    estimate = routing.get("estimatedCost") if isinstance(routing, dict) else None
    for cost in (found.get("cost"), found.get("estimatedCost"), estimate):
        if isinstance(cost, dict) and cost.get("credits") is not None:
            return cost["credits"]
    return None
