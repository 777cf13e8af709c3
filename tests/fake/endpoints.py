"""What each endpoint of the API does with a valid request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from tests.fake.account import Account
from tests.fake.contract import Operation
from tests.fake.generation import SESSION_CREDITS, WORKFLOW_CREDITS, kind_of, price, routing
from tests.fake.generic import Generic, page
from tests.fake.pace import Pace
from tests.fake.records import Records
from tests.fake.refusals import Refusal, existing, invalid_field
from tests.fake.sessions import Sessions
from tests.fake.storage import Storage
from tests.fake.tasks import NODES, Tasks

MEDIA_NAME = re.compile(r"(?is).+\.(jpe?g|png|webp|gif|mp4|mov|mkv|webm|mp3|wav|flac|m4a|aac|ogg)")


@dataclass(frozen=True)
class Call:
    """A valid request: `id` is the one in its path, `query` holds numbers as such."""

    path: str
    id: str
    query: Mapping[str, Any]
    body: Any


class Endpoints:
    """The API's state, and its endpoints by method and path; those that are not in the table are served generically."""

    def __init__(self, storage: Storage, pace: Pace) -> None:
        self._storage = storage
        self.account, self.records = Account(), Records(storage, pace)
        self.tasks, self.sessions = Tasks(storage, pace, self.account), Sessions(pace)
        self.generic = Generic(pace)
        self._handlers = self._table()

    def act(self, operation: Operation, call: Call) -> Any:
        """Act on a request; returns what is answered as JSON, None for nothing. Raises Refusal."""
        handler = self._handlers.get(f"{operation.method} {operation.template}")
        if handler:
            return handler(call)
        schema = operation.answer_schema(200) or {}
        if operation.method == "POST" and "estimatedCost" in schema.get("properties", {}):
            return self._generate(call)
        return self.generic.serve(operation, call.path, call.query, call.body)

    def ids(self) -> set[str]:
        """The ids of all that there is, but for what is served generically."""
        records, tasks = self.records, self.tasks
        kept = {*records.avatars, *records.voices, *records.documents, *records.workflows}
        return {*kept, *tasks.tasks, *tasks.invocations, *self.sessions.sessions}

    def scripted_ids(self) -> set[str]:
        """The ids of what a test has put there in a shape of its own, which need not be valid."""
        tasks = self.tasks
        sound = {*tasks.tasks, *tasks.invocations} - tasks.scripted
        return self.ids() - self.records.valid - sound - self.sessions.sessions.keys()

    def _table(self) -> dict[str, Callable[[Call], Any]]:
        records, tasks, sessions = self.records, self.tasks, self.sessions
        avatars, voices, documents = records.avatars, records.voices, records.documents
        return {
            "GET /v1/avatars": lambda call: self._page(call, avatars),
            "POST /v1/avatars": lambda call: records.create_avatar(call.body),
            "GET /v1/avatars/{id}": lambda call: self._get(avatars, call, "Avatar"),
            "PATCH /v1/avatars/{id}": self._change_avatar,
            "DELETE /v1/avatars/{id}": lambda call: self._delete(avatars, call, "Avatar"),
            "GET /v1/voices": lambda call: self._page(call, voices),
            "POST /v1/voices": lambda call: records.create_voice(call.body),
            "POST /v1/voices/preview": lambda _: {"url": records.sample_url("audio"), "durationSecs": 0.2},
            "GET /v1/voices/{id}": lambda call: self._get(voices, call, "Voice"),
            "PATCH /v1/voices/{id}": lambda call: records.change(existing(voices, call.id, "Voice"), call.body),
            "DELETE /v1/voices/{id}": lambda call: self._delete(voices, call, "Voice"),
            "GET /v1/documents": self._list_documents,
            "POST /v1/documents": self._create_document,
            "GET /v1/documents/{id}": lambda call: records.with_users(existing(documents, call.id, "Document")),
            "PATCH /v1/documents/{id}": self._change_document,
            "DELETE /v1/documents/{id}": self._delete_document,
            "GET /v1/workflows": lambda _: records.workflow_versions(),
            "GET /v1/workflows/{id}": lambda call: existing(records.workflows, call.id, "Workflow"),
            "POST /v1/workflows/{id}": self._run_workflow,
            "GET /v1/organization": lambda _: self.account.organization,
            "GET /v1/tasks/{id}": lambda call: tasks.get_task(call.id),
            "DELETE /v1/tasks/{id}": lambda call: tasks.delete_task(call.id),
            "GET /v1/workflow_invocations/{id}": lambda call: tasks.get_invocation(call.id),
            "POST /v1/realtime_sessions": self._start_session,
            "GET /v1/realtime_sessions/{id}": lambda call: sessions.get_session(call.id),
            "DELETE /v1/realtime_sessions/{id}": lambda call: sessions.delete_session(call.id),
            "POST /v1/avatar_videos": lambda call: {"id": self._generate(call)["id"]},
            "POST /v1/generate/video": self._generate_routed,
            "POST /v1/generate/image": self._generate_routed,
            "POST /v1/generate/audio": self._generate_routed,
            "POST /v1/uploads": self._open_upload,
        }

    def _page(self, call: Call, records: dict[str, Any]) -> Any:
        rows = [self.records.look(record_id, record, poll=False) for record_id, record in records.items()]
        return page(call.path, rows, call.query)

    def _get(self, records: dict[str, Any], call: Call, noun: str) -> Any:
        return self.records.look(call.id, existing(records, call.id, noun), poll=True)

    def _list_documents(self, call: Call) -> Any:
        def by_time(row: Any) -> str:
            return str(row.get(call.query["sort"], "")) if isinstance(row, dict) else ""

        rows = [self.records.with_users(document) for document in self.records.documents.values()]
        rows.sort(key=by_time, reverse=call.query["order"] == "desc")
        shown = [{k: v for k, v in row.items() if k != "content"} if isinstance(row, dict) else row for row in rows]
        return page(call.path, shown, call.query)

    def _change_avatar(self, call: Call) -> Any:
        return self.records.change_avatar(existing(self.records.avatars, call.id, "Avatar"), call.body)

    def _create_document(self, call: Call) -> Any:
        made = self.records.add_document(name=call.body["name"], content=call.body["content"])
        return self.records.with_users(self.records.documents[made])

    def _change_document(self, call: Call) -> None:
        self.records.change(existing(self.records.documents, call.id, "Document"), call.body)

    def _delete_document(self, call: Call) -> None:
        existing(self.records.documents, call.id, "Document")
        self.records.delete_document(call.id)

    def _generate(self, call: Call) -> dict[str, Any]:
        kind = kind_of(call.path)
        credits = price(kind, call.body)
        return {"id": self._charge(call, kind, credits, call.body), "estimatedCost": {"credits": credits}}

    def _charge(self, call: Call, kind: str, credits: int, wanted: dict[str, Any]) -> str:
        outputs = wanted.get("outputCount", 1)
        return self.account.charge(call.path, call.body, credits, lambda: self.tasks.start(kind, credits, outputs))

    def _generate_routed(self, call: Call) -> dict[str, Any]:
        slug, wanted, kind = call.body["configId"], call.body["input"], kind_of(call.path)
        router = next((r for r in self.generic.others["/v1/routers"].values() if r["slug"] == slug), None)
        if not router:
            raise Refusal(404, "Router config not found", code="router_config_not_found")
        decided = routing(kind, wanted, router)
        if call.body.get("dryRun"):
            return {"routing": decided}
        return {"id": self._charge(call, kind, decided["estimatedCost"]["credits"], wanted), "routing": decided}

    def _run_workflow(self, call: Call) -> dict[str, Any]:
        existing(self.records.workflows, call.id, "Workflow")
        return {"id": self._charge(call, "workflow", WORKFLOW_CREDITS, {"outputCount": len(NODES)})}

    def _start_session(self, call: Call) -> dict[str, Any]:
        return {"id": self.account.charge(call.path, call.body, SESSION_CREDITS, self.sessions.add_session)}

    def _open_upload(self, call: Call) -> dict[str, Any]:
        if not MEDIA_NAME.fullmatch(call.body["filename"]):
            raise invalid_field(["filename"], "The filename must have the extension of a supported media type")
        return self._storage.open_upload(call.body["filename"])

    def _delete(self, records: dict[str, Any], call: Call, noun: str) -> None:
        existing(records, call.id, noun)
        del records[call.id]
