"""Tasks and workflow invocations: what was started, and what a poll finds of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from tests.fake.account import Account
from tests.fake.pace import Pace, Record
from tests.fake.refusals import existing
from tests.fake.samples import EXTENSIONS, MEDIA_TYPES, sample
from tests.fake.storage import Output, Storage

POLL_INTERVAL = 5.0  # seconds; a task may be polled no more often
POLL_SLACK = 0.05  # seconds by which two requests may differ in how long they take to arrive
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
STATUSES = ("PENDING", "THROTTLED", "RUNNING", *ENDED)
NODES = ("a1b2c3d4-e5f6-4890-abcd-ef1234567890", "b2c3d4e5-f6a7-4901-8cde-f12345678901")


class Tasks:
    """Tasks and invocations, each by id.

    They hold more than the API shows: `statuses` is what polls will find, one a poll (or spread over
    time), the last one for good; `deleted` is true when a GET no longer finds it. `output_size` in bytes replaces the
    content of outputs that are made from now on. `scripted` are the ids whose values a test has chosen.
    """

    def __init__(self, storage: Storage, pace: Pace, account: Account) -> None:
        self._storage, self._pace, self._account = storage, pace, account
        self.tasks: dict[str, Record] = {}
        self.invocations: dict[str, Record] = {}
        self.hasty: list[tuple[str, float]] = []
        self.scripted: set[str] = set()
        self.output_size: int | None = None

    def add_task(
        self,
        *,
        kind: str = "image",
        statuses: Sequence[str] | None = None,
        progress: float | Sequence[float] | None = None,
        outputs: int | Sequence[bytes | str] = 1,
        failure: str = "The generation failed.",
        failureCode: str | None = "INTERNAL.BAD_OUTPUT.CODE01",
        nodeErrors: Record | None = None,
        credits: int = 5,
        stale_reads: int = 0,
        task_id: str | None = None,
    ) -> str:
        """Make a task; with the kind `workflow`, a workflow invocation. Returns its id. Nothing is charged.

        `statuses` are found one a poll, the last for good. `progress` is one value, or one for each RUNNING in turn.
        `outputs` counts them, or holds their bytes, or URLs that are shown as they are. The URLs of the first
        `stale_reads` reads of the ended task have expired when they are handed out. `nodeErrors` are an invocation's.
        """
        task = {
            "id": task_id or str(uuid.uuid4()),
            "createdAt": self._pace.stamp(),
            "kind": kind,
            **self._pace.course(statuses or self._pace.task_statuses()),
            "polled": None,
            "progress": progress,
            "failure": failure,
            "failureCode": failureCode,
            "nodeErrors": nodeErrors,
            "credits": credits,
            "charged": 0,
            "stale_reads": stale_reads,
            "deleted": False,
        }
        contents = [self._content(kind)] * outputs if isinstance(outputs, int) else outputs
        task["outputs"] = [self._make_output(task, item) for item in contents]
        (self.invocations if kind == "workflow" else self.tasks)[task["id"]] = task
        known = set(task["statuses"]) <= set(STATUSES)
        if task_id or progress is not None or not isinstance(outputs, int) or not known:
            self.scripted.add(task["id"])  # the values are the test's, and need not be valid
        return str(task["id"])

    def start(self, kind: str, credits: int, outputs: int) -> str:
        """Make a task or an invocation that was paid for. Returns its id."""
        made = self.add_task(kind=kind, credits=credits, outputs=outputs)
        (self.invocations if kind == "workflow" else self.tasks)[made]["charged"] = credits
        return made

    def get_task(self, task_id: str) -> Record:
        """A task as a poll finds it."""
        task = existing(self.tasks, task_id, "Task")
        shown = self._poll(task)
        status, cost = shown["status"], {"credits": task["credits"]}
        if status == "RUNNING":
            return {**shown, "progress": _progress(task), "estimatedCost": cost}
        if status == "SUCCEEDED":
            return {**shown, "output": self._urls(task), "cost": cost}
        if status == "FAILED":
            return {**shown, **_failure(task), "cost": cost}
        return {**shown, "cost" if status == "CANCELLED" else "estimatedCost": cost}

    def get_invocation(self, invocation_id: str) -> Record:
        """A workflow invocation as a poll finds it; running, it shows the outputs of its first node."""
        task = existing(self.invocations, invocation_id, "Workflow invocation")
        shown = self._poll(task)
        status = shown["status"]
        if status not in ("RUNNING", "SUCCEEDED", "FAILED"):
            return shown
        if status == "FAILED":
            shown.update(_failure(task))
        else:
            output: dict[str, list[str]] = {}
            for index, url in enumerate(self._urls(task)):
                output.setdefault(NODES[index % len(NODES)], []).append(url)
            shown["output"] = output if status == "SUCCEEDED" else dict(list(output.items())[:1])
        if status == "RUNNING":
            shown["progress"] = _progress(task)
        return {**shown, "nodeErrors": task["nodeErrors"]} if task["nodeErrors"] else shown

    def delete_task(self, task_id: str) -> None:
        """Cancel a running task, whose credits are gone, or delete a finished one with its outputs."""
        task = existing(self.tasks, task_id, "Task")
        task["deleted"] = True
        if self._pace.status(task, poll=False) in ENDED:
            for output_id in task["outputs"]:
                self._storage.destroy(output_id)
        else:
            task["statuses"] = ("CANCELLED",)

    def _poll(self, task: Record) -> Record:
        now = self._pace.clock()
        if task["polled"] is not None and now - task["polled"] < POLL_INTERVAL - POLL_SLACK:
            self.hasty.append((task["id"], now - task["polled"]))
        task["polled"] = now
        status = self._pace.status(task, poll=True)
        if status == "FAILED" and not str(task["failureCode"]).startswith("SAFETY.INPUT"):
            self._account.refund(task["charged"])
            task["charged"] = task["credits"] = 0
        return {"id": task["id"], "status": status, "createdAt": task["createdAt"]}

    def _content(self, kind: str) -> bytes | int:
        return sample(kind) if self.output_size is None else self.output_size

    def _make_output(self, task: Record, item: bytes | str | int) -> str:
        if isinstance(item, str):
            return item
        kind = task["kind"]
        name = f"{task['id']}.{EXTENSIONS[kind]}"
        return self._storage.add(Output(str(uuid.uuid4()), name, MEDIA_TYPES[kind], item)).id

    def _urls(self, task: Record) -> list[str]:
        stale = task["stale_reads"] > 0
        task["stale_reads"] -= stale
        outputs = self._storage.outputs
        return [
            self._storage.sign(outputs[item], uses=0 if stale else None) if item in outputs else item
            for item in task["outputs"]
        ]


def _progress(task: Record) -> float:
    """The value for this RUNNING: the next of those that were given, else by how far the task has come."""
    given = task["progress"]
    if isinstance(given, (int, float)):
        return float(given)
    if given:
        before = task["statuses"][: task["polls"]].count("RUNNING")
        return float(given[min(max(before - 1, 0), len(given) - 1)])
    return float(round(min(task["polls"] / len(task["statuses"]), 0.99), 2))


def _failure(task: Record) -> Record:
    code = {"failureCode": task["failureCode"]} if task["failureCode"] else {}
    return {"failure": task["failure"], **code}
