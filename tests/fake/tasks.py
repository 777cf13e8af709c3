"""What changes by itself: tasks, workflow invocations and realtime sessions, and the account that pays for them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

from tests.fake.contract import Refusal
from tests.fake.storage import EXTENSIONS, MEDIA_TYPES, Output, Storage, pseudo_content, sample

POLL_INTERVAL = 5.0  # seconds; a task may be polled no more often
POLL_SLACK = 0.05  # seconds by which two requests may differ in how long they take to arrive
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
NODES = ("a1b2c3d4-e5f6-4890-abcd-ef1234567890", "b2c3d4e5-f6a7-4901-8cde-f12345678901")  # of a workflow

Record = dict[str, Any]


@dataclass
class Pace:
    """How records move from status to status: by polls; by time where `seconds_to_finish` is set.

    `clock` gives monotonic seconds.
    """

    polls_to_finish: int
    seconds_to_finish: float | None
    clock: Callable[[], float]
    _last_stamp: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def course(self, statuses: Sequence[str]) -> Record:
        """Returns what `status` needs to know of a record that goes through these statuses, one a poll."""
        return {"statuses": tuple(statuses), "polls": 0, "started": self.clock()}

    def status(self, course: Record, *, poll: bool = True) -> str:
        """Returns the status of a record now; `poll`: this look at it counts."""
        course["polls"] += poll
        last = len(course["statuses"]) - 1
        step = max(course["polls"] - 1, 0)
        if self.seconds_to_finish is not None:
            step = int((self.clock() - course["started"]) / (self.seconds_to_finish or 1e-9) * last)
        return str(course["statuses"][min(step, last)])

    def stamp(self, *, minutes: int = 0) -> str:
        """Returns the time (in so many minutes) as the API writes it. No two stamps are the same."""
        now = max(datetime.now(timezone.utc), self._last_stamp + timedelta(milliseconds=1))
        self._last_stamp = now
        moment = now + timedelta(minutes=minutes)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Accepted:
    """A POST that was accepted and charged: the id it was answered with, and what it cost in credits."""

    id: str
    path: str
    body: Any
    credits: int


class Tasks:
    """Tasks, workflow invocations and sessions, each by id.

    They hold more than the API shows: `statuses` is what polls will find, one a poll (or spread over time), the last
    one for good; `deleted` is true when a GET no longer finds it.
    """

    def __init__(self, storage: Storage, pace: Pace) -> None:
        self.storage, self.pace = storage, pace
        self.organization: Record = {
            "tier": {"maxMonthlyCreditSpend": 100000, "models": {}},
            "creditBalance": 10000,
            "usage": {"models": {}},
        }
        self.accepted: list[Accepted] = []
        self.tasks: dict[str, Record] = {}
        self.invocations: dict[str, Record] = {}
        self.sessions: dict[str, Record] = {}
        self.hasty: list[tuple[str, float]] = []
        self.output_size: int | None = None

    def charge(self, path: str, body: Any, credits: int, start: Callable[[], str]) -> str:
        """Takes the credits and starts what they pay for. Returns its id. Raises Refusal (400) for lack of credits."""
        if self.organization["creditBalance"] < credits:
            raise Refusal(400, "You do not have enough credits to run this task.")
        self.organization["creditBalance"] -= credits
        made = start()
        self.accepted.append(Accepted(made, path, body, credits))
        return made

    def add_task(
        self,
        *,
        kind: str = "image",
        statuses: Sequence[str] | None = None,
        progress: Sequence[float] = (),
        outputs: int | Sequence[bytes | str] = 1,
        failure: str = "The generation failed.",
        failureCode: str | None = "INTERNAL.BAD_OUTPUT.CODE01",
        nodeErrors: Record | None = None,
        credits: int = 5,
        stale_reads: int = 0,
        task_id: str | None = None,
        charged: int = 0,
    ) -> str:
        """Makes a task; with the kind `workflow`, a workflow invocation. Returns its id. Nothing is charged.

        `statuses` are found one a poll, the last for good. `progress` has a value for each RUNNING in turn.
        `outputs` counts them, or holds their bytes, or URLs that are shown as they are. The URLs of the first
        `stale_reads` reads of the ended task have expired when they are handed out. `nodeErrors` are an invocation's.
        `charged` is given back if it fails.
        """
        polls = self.pace.polls_to_finish
        if statuses is None:
            statuses = ["PENDING", *["RUNNING"] * (polls - 1), "SUCCEEDED"] if polls else ["SUCCEEDED"]
        task = {
            "id": task_id or str(uuid.uuid4()),
            "createdAt": self.pace.stamp(),
            **self.pace.course(statuses),
            "polled": None,
            "progress": progress,
            "failure": {"failure": failure, **({"failureCode": failureCode} if failureCode else {})},
            "nodeErrors": nodeErrors,
            "credits": credits,
            "charged": charged,
            "stale_reads": stale_reads,
            "deleted": False,
        }
        content = sample(kind) if self.output_size is None else b"".join(pseudo_content(0, self.output_size))
        contents = [content] * outputs if isinstance(outputs, int) else outputs
        name = f"{task['id']}.{EXTENSIONS[kind]}"
        task["outputs"] = [
            item
            if isinstance(item, str)
            else self.storage.add(Output(str(uuid.uuid4()), name, MEDIA_TYPES[kind], item)).id
            for item in contents
        ]
        (self.invocations if kind == "workflow" else self.tasks)[task["id"]] = task
        return str(task["id"])

    def show_task(self, task: Record) -> Record:
        """Returns a task as a poll finds it."""
        shown = self._poll(task)
        status, cost = shown["status"], {"credits": task["credits"]}
        if status == "RUNNING":
            return {**shown, "progress": _progress(task), "estimatedCost": cost}
        if status == "SUCCEEDED":
            return {**shown, "output": self._urls(task), "cost": cost}
        if status == "FAILED":
            return {**shown, **task["failure"], "cost": cost}
        return {**shown, "cost" if status == "CANCELLED" else "estimatedCost": cost}

    def show_invocation(self, task: Record) -> Record:
        """Returns a workflow invocation as a poll finds it; running, it shows the outputs of its first node."""
        shown = self._poll(task)
        status = shown["status"]
        if status == "FAILED":
            shown.update(task["failure"])
        if status in ("RUNNING", "SUCCEEDED"):
            urls = self._urls(task)
            output = {node: urls[index :: len(NODES)] for index, node in enumerate(NODES[: len(urls)])}
            shown["output"] = output if status == "SUCCEEDED" else dict(list(output.items())[:1])
        if status == "RUNNING":
            shown["progress"] = _progress(task)
        if task["nodeErrors"] and status in ("RUNNING", "SUCCEEDED", "FAILED"):
            shown["nodeErrors"] = task["nodeErrors"]
        return shown

    def delete_task(self, task: Record) -> None:
        """Cancels a running task, whose credits are gone, or deletes a finished one with its outputs."""
        task["deleted"] = True
        if self.pace.status(task, poll=False) in ENDED:
            for output_id in task["outputs"]:
                self.storage.outputs.pop(output_id, None)
        else:
            task["statuses"] = ("CANCELLED",)

    def add_session(self, *, statuses: Sequence[str] | None = None, **fields: Any) -> str:
        """Makes a realtime session. Its session key is shown once, with the first READY. Returns its id."""
        course = self.pace.course(statuses or [*["NOT_READY"] * self.pace.polls_to_finish, "READY"])
        session = {"id": str(uuid.uuid4()), "createdAt": self.pace.stamp(), **fields, **course}
        self.sessions[session["id"]] = session
        return str(session["id"])

    def show_session(self, session: Record) -> Record:
        """Returns a realtime session as a poll finds it."""
        status = "RUNNING" if session.get("joined") else self.pace.status(session)
        shown = {"id": session["id"], "createdAt": session["createdAt"], "status": status}
        if status == "READY":
            session["joined"] = True
            shown.update(expiresAt=self.pace.stamp(minutes=5), sessionKey=f"session_{uuid.uuid4().hex}")
        return shown

    def _poll(self, task: Record) -> Record:
        now = self.pace.clock()
        if task["polled"] is not None and now - task["polled"] < POLL_INTERVAL - POLL_SLACK:
            self.hasty.append((task["id"], now - task["polled"]))
        task["polled"] = now
        status = self.pace.status(task)
        if status == "FAILED" and not str(task["failure"].get("failureCode")).startswith("SAFETY.INPUT"):
            self.organization["creditBalance"] += task["charged"]
            task["charged"] = task["credits"] = 0
        return {"id": task["id"], "status": status, "createdAt": task["createdAt"]}

    def _urls(self, task: Record) -> list[str]:
        stale = task["stale_reads"] > 0
        task["stale_reads"] -= stale
        outputs = self.storage.outputs
        return [
            self.storage.sign(outputs[item], uses=0 if stale else None) if item in outputs else item
            for item in task["outputs"]
        ]


def _progress(task: Record) -> float:
    """Returns the value for this RUNNING: the next of those that were given, else by how far the task has come."""
    if task["progress"]:
        before = task["statuses"][: task["polls"]].count("RUNNING")
        return float(task["progress"][min(max(before, 1), len(task["progress"])) - 1])
    return float(round(min(task["polls"] / len(task["statuses"]), 0.99), 2))
