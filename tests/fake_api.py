"""A stand-in for the Runway API: its records, what it does with a request, and what it refuses."""

from __future__ import annotations

import base64
import binascii
import re
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

from tests import fake_checks as checks
from tests.fake_checks import Refusal, bad_body, bad_query, issue
from tests.fake_generation import ENDPOINTS, ROUTED
from tests.fake_http import Answer, Request, json_answer
from tests.fake_storage import EXTENSIONS, MEDIA_TYPES, Output, Storage, sample

POLL_INTERVAL = 5.0  # seconds; a task may be polled no more often
POLL_SLACK = 0.05  # seconds by which two requests may differ in how long they take to arrive
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
MEDIA_NAME = re.compile(
    r".+\.(jpe?g|png|webp|gif|mp4|mov|mkv|webm|mp3|wav|flac|m4a|aac|ogg)", re.IGNORECASE | re.DOTALL
)
WORKFLOW_CREDITS = 10
NODES = ("a1b2c3d4-e5f6-4890-abcd-ef1234567890", "b2c3d4e5-f6a7-4901-8cde-f12345678901")

Record = dict[str, Any]
Handler = Callable[[Request, str], Any]


@dataclass
class Api:
    """The API and its state.

    Records are what the API shows, by id. Tasks and invocations hold more: `statuses` is what polls will find, one a
    poll (or spread over `seconds_to_finish`), the last one for good; `deleted` is true when a GET finds no more of it.
    """

    storage: Storage
    polls_to_finish: int = 2
    seconds_to_finish: float | None = None
    clock: Callable[[], float] = time.monotonic
    avatars: dict[str, Any] = field(default_factory=dict)
    voices: dict[str, Any] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    routers: dict[str, Any] = field(default_factory=dict)
    router_requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    conversations: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    audit_logs: dict[str, Any] = field(default_factory=dict)
    workflows: dict[str, Any] = field(default_factory=dict)
    tasks: dict[str, Record] = field(default_factory=dict)
    invocations: dict[str, Record] = field(default_factory=dict)
    sessions: dict[str, Record] = field(default_factory=dict)
    organization: Record = field(default_factory=dict)
    hasty: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.organization.update(
            tier={
                "maxMonthlyCreditSpend": 100000,
                "models": {"gen4_image": {"maxConcurrentGenerations": 5, "maxDailyGenerations": 1000}},
            },
            creditBalance=10000,
            usage={"models": {"gen4_image": {"dailyGenerations": 0}}},
        )
        self._lock = threading.RLock()
        self._growing: dict[str, Record] = {}
        self._routes = [
            (re.compile(pattern.replace("{id}", "([^/]+)")), ways) for pattern, ways in self._table().items()
        ]

    # -- one request ---------------------------------------------------------------------------------------------

    def service(self, request: Request) -> Answer:
        """Answer one request, alone with the state."""
        try:
            checks.check_headers(request)
            handler, record_id = self._route(request)
            if request.method == "GET" and (request.body.chunked or request.body.length):
                raise Refusal(400, "A GET request must not have a body")
            with self._lock:
                value = handler(request, record_id)
        except Refusal as refusal:
            return refusal.answer()
        return Answer(204) if value is None else json_answer(200, value)

    def _route(self, request: Request) -> tuple[Handler, str]:
        for pattern, ways in self._routes:
            match = pattern.fullmatch(request.path)
            if match and request.method in ways:
                return ways[request.method], "".join(match.groups())
            if match:
                refusal = Refusal(405, f"{request.method} is not allowed here")
                refusal.headers["Allow"] = ", ".join(ways)
                raise refusal
        raise Refusal(404, f"Cannot {request.method} {request.path}")

    def _table(self) -> dict[str, dict[str, Handler]]:
        return {
            "/v1/avatars": {"GET": self._lister("avatars"), "POST": self._create_avatar},
            "/v1/avatars/{id}": {"GET": self._get_avatar, "PATCH": self._patch_avatar, "DELETE": self._delete_avatar},
            "/v1/voices": {"GET": self._lister("voices"), "POST": self._create_voice},
            "/v1/voices/preview": {"POST": self._preview_voice},
            "/v1/voices/{id}": {"GET": self._get_voice, "PATCH": self._patch_voice, "DELETE": self._delete_voice},
            "/v1/documents": {"GET": self._list_documents, "POST": self._create_document},
            "/v1/documents/{id}": {
                "GET": self._get_document,
                "PATCH": self._patch_document,
                "DELETE": self._delete_document,
            },
            "/v1/routers": {"GET": self._lister("routers"), "POST": self._create_router},
            "/v1/routers/{id}": {"GET": self._get_router, "PATCH": self._patch_router, "DELETE": self._delete_router},
            "/v1/routers/{id}/requests": {"GET": self._list_router_requests},
            "/v1/avatar_usage": {"GET": self._get_avatar_usage},
            "/v1/avatar_conversations": {"GET": self._lister("conversations")},
            "/v1/avatar_conversations/{id}": {"GET": self._get_conversation, "DELETE": self._delete_conversation},
            "/v1/organization": {"GET": self._get_organization},
            "/v1/organization/usage": {"POST": self._query_usage},
            "/v1/organization/webapp/usage": {"GET": self._list_usage},
            "/v1/organization/webapp/audit_logs": {"GET": self._lister("audit_logs")},
            "/v1/workflows": {"GET": self._list_workflows},
            "/v1/workflows/{id}": {"GET": self._get_workflow, "POST": self._run_workflow},
            "/v1/workflow_invocations/{id}": {"GET": self._get_invocation},
            "/v1/realtime_sessions": {"POST": self._create_session},
            "/v1/realtime_sessions/{id}": {"GET": self._get_session, "DELETE": self._delete_session},
            "/v1/tasks/{id}": {"GET": self._get_task, "DELETE": self._delete_task},
            "/v1/uploads": {"POST": self._create_upload},
            **{path: {"POST": self._generate} for path in ENDPOINTS},
            **{path: {"POST": self._generate_routed} for path in ROUTED},
        }

    # -- lists ---------------------------------------------------------------------------------------------------

    def _lister(self, name: str) -> Handler:
        return lambda request, _: self._page(request, name, self._shown(getattr(self, name)))

    def _shown(self, records: Mapping[str, Any]) -> list[Any]:
        for record_id in records:
            if record_id in self._growing:
                self._grow(records[record_id], poll=False)
        return list(records.values())

    def _page(self, request: Request, name: str, rows: list[Any]) -> Record:
        limit = checks.query_limit(request)
        start = _cursor_start(request.first("cursor"), name)
        more = start + limit < len(rows)
        cursor = base64.urlsafe_b64encode(f"{name}:{start + limit}".encode()).decode() if more else None
        return {"data": rows[start : start + limit], "hasMore": more, "nextCursor": cursor}

    def _list_documents(self, request: Request, _: str) -> Record:
        sort = checks.query_choice(request, "sort", ("createdAt", "updatedAt"))
        order = checks.query_choice(request, "order", ("asc", "desc"))
        rows = [self._with_users(document) for document in self.documents.values()]
        rows.sort(key=lambda row: str(row.get(sort, "")) if isinstance(row, dict) else "", reverse=order == "desc")
        for row in rows:
            if isinstance(row, dict):
                row.pop("content", None)
        return self._page(request, "documents", rows)

    def _list_router_requests(self, request: Request, router_id: str) -> Record:
        _found(self.routers, router_id, "Router")
        return self._page(
            request, f"router_requests/{router_id}", list(self.router_requests.get(router_id, {}).values())
        )

    def _list_usage(self, request: Request, _: str) -> Record:
        checks.query_present(request, "from", "to")
        return self._page(request, "usage", list(self.usage.values()))

    def _list_workflows(self, _: Request, __: str) -> Record:
        by_name: dict[str, list[Record]] = {}
        for workflow in self.workflows.values():
            version = {key: workflow[key] for key in ("id", "version", "createdAt")}
            by_name.setdefault(workflow["name"], []).append(version)
        return {"data": [{"name": name, "versions": versions} for name, versions in by_name.items()]}

    # -- records that a test, a seed or a POST may make ------------------------------------------------------------

    def add_avatar(self, *, statuses: Sequence[str] = ("READY",), **fields: Any) -> str:
        """Make an avatar that goes through `statuses`, one a GET; `fields` are laid over it. Returns its id."""
        avatar = {
            **self._stamped("avatar"),
            "personality": "Friendly and brief.",
            "startScript": None,
            "voice": {"type": "runway-live-preset", "presetId": "clara", "name": "Clara", "description": "Warm"},
            "referenceImageUri": None,
            "processedImageUri": None,
            "documentIds": [],
            **fields,
        }
        return self._keep(self.avatars, avatar, statuses)

    def add_voice(self, *, statuses: Sequence[str] = ("READY",), **fields: Any) -> str:
        """Make a voice that goes through `statuses`, one a GET; `fields` are laid over it. Returns its id."""
        voice = {**self._stamped("voice"), "description": None, **fields}
        voice.pop("updatedAt")
        return self._keep(self.voices, voice, statuses)

    def add_document(self, **fields: Any) -> str:
        """Make a document; `fields` are laid over it. Returns its id."""
        document = {**self._stamped("document"), "type": "text", "content": "Some words.", **fields}
        self.documents[document["id"]] = document
        return str(document["id"])

    def add_router(self, **fields: Any) -> str:
        """Make a router; `fields` are laid over it. Returns its id."""
        settings = {"schemaVersion": 1, "optimizeFor": "quality"}
        router = {**self._stamped("router"), "slug": "default", "description": None, "version": 1, "settings": settings}
        router.update(fields)
        self.routers[router["id"]] = router
        return str(router["id"])

    def add_workflow(self, **fields: Any) -> str:
        """Make a workflow; `fields` are laid over it. Returns its id."""
        graph = {"nodes": [{"id": node} for node in NODES], "edges": [], "version": 1}
        workflow = {**self._stamped("workflow"), "description": None, "version": 1, "graph": graph, **fields}
        self.workflows[workflow["id"]] = workflow
        return str(workflow["id"])

    def add_session(self, *, statuses: Sequence[str] | None = None, **fields: Any) -> str:
        """Make a realtime session. Its session key is shown once, with the first READY. Returns its id."""
        steps = tuple(statuses or ["NOT_READY"] * self.polls_to_finish + ["READY"])
        session = {**self._stamped("session"), **fields, "statuses": steps, "polls": 0, "started": self.clock()}
        self.sessions[session["id"]] = session
        return str(session["id"])

    def add_task(
        self,
        *,
        kind: str = "image",
        statuses: Sequence[str] | None = None,
        progress: float | Sequence[float] | None = None,
        outputs: int | Sequence[bytes | str] = 1,
        failure: str = "The generation failed.",
        failureCode: str | None = "INTERNAL.BAD_OUTPUT.CODE01",
        credits: int = 5,
        stale_reads: int = 0,
        task_id: str | None = None,
    ) -> str:
        """Make a task; with the kind `workflow`, a workflow invocation. Returns its id. Nothing is charged.

        `statuses` are found one a poll, the last for good. `progress` is one value, or one for each RUNNING in turn.
        `outputs` counts them, or holds their bytes, or URLs that are shown as they are. The URLs of the first
        `stale_reads` reads of the ended task have expired when they are handed out.
        """
        task = {
            **self._stamped("task", task_id),
            "kind": kind,
            "statuses": tuple(statuses or self._course()),
            "polls": 0,
            "started": self.clock(),
            "polled": None,
            "progress": progress,
            "failure": failure,
            "failureCode": failureCode,
            "credits": credits,
            "charged": 0,
            "stale_reads": stale_reads,
            "deleted": False,
        }
        task["outputs"] = [self._make_output(task, item) for item in _contents(outputs, kind)]
        (self.invocations if kind == "workflow" else self.tasks)[task["id"]] = task
        return str(task["id"])

    def _course(self) -> list[str]:
        if self.polls_to_finish == 0:
            return ["SUCCEEDED"]
        return ["PENDING", *["RUNNING"] * (self.polls_to_finish - 1), "SUCCEEDED"]

    def _make_output(self, task: Record, item: bytes | str) -> str:
        if isinstance(item, str):
            return item
        output_id, kind = str(uuid.uuid4()), task["kind"]
        name = f"{task['id']}.{EXTENSIONS[kind]}"
        return self.storage.add(Output(output_id, name, MEDIA_TYPES[kind], item)).id

    def _stamped(self, noun: str, record_id: str | None = None) -> Record:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = {"id": record_id or str(uuid.uuid4()), "name": f"A {noun}", "createdAt": now, "updatedAt": now}
        if noun in ("task", "session"):
            del record["name"], record["updatedAt"]
        return record

    def _keep(self, records: dict[str, Any], record: Record, statuses: Sequence[str]) -> str:
        record_id = str(record["id"])
        record.setdefault("status", statuses[0])
        self._growing[record_id] = {"statuses": tuple(statuses), "polls": 0, "started": self.clock()}
        records[record_id] = record
        if len(statuses) == 1:
            self._growing.pop(record_id)
            self._finish_record(record)
        return record_id

    def _grow(self, record: Record, *, poll: bool) -> None:
        course = self._growing[record["id"]]
        record["status"] = self._status(course, poll=poll)
        if record["status"] == course["statuses"][-1]:
            self._finish_record(record)

    def _finish_record(self, record: Record) -> None:
        if record["status"] == "FAILED":
            record.setdefault("failureReason", "The image does not show a face.")
        if record["status"] == "READY" and record["id"] in self.voices:
            record.setdefault("previewUrl", self._sample_url("preview", "audio"))

    def _sample_url(self, name: str, kind: str) -> str:
        output = Output(str(uuid.uuid4()), f"{name}.{EXTENSIONS[kind]}", MEDIA_TYPES[kind], sample(kind))
        return self.storage.sign(self.storage.add(output))

    def _status(self, course: Record, *, poll: bool) -> str:
        """Where something stands on its course; by polls, or by time where `seconds_to_finish` is set."""
        course["polls"] += poll
        last = len(course["statuses"]) - 1
        if self.seconds_to_finish is None:
            step = max(course["polls"] - 1, 0)
        elif self.seconds_to_finish <= 0:
            step = last
        else:
            step = int((self.clock() - course["started"]) / self.seconds_to_finish * last)
        return str(course["statuses"][min(step, last)])

    # -- avatars, voices, documents, routers, conversations ---------------------------------------------------------

    def _create_avatar(self, request: Request, _: str) -> Any:
        body = checks.read_json(request)
        checks.check_fields(body, ("name", "referenceImage", "personality", "voice"))
        record = self._avatar_fields(body)
        record.setdefault("documentIds", [])
        return self.avatars[self.add_avatar(statuses=self._readying(), **record)]

    def _readying(self) -> list[str]:
        return ["PROCESSING"] * max(self.polls_to_finish, 1) + ["READY"]

    def _avatar_fields(self, body: Record) -> Record:
        checks.check_text(body, "name", 255)
        checks.check_text(body, "personality", 10000)
        checks.check_media(body, self.storage.uploads)
        record: Record = {
            key: body[key] for key in ("name", "personality", "startScript", "documentIds") if key in body
        }
        documents = record.get("documentIds", [])
        if not isinstance(documents, list):
            raise bad_body(issue(["documentIds"], "Invalid input: expected array"))
        unknown = [index for index, document in enumerate(documents) if document not in self.documents]
        if unknown:
            raise bad_body(*(issue(["documentIds", index], "Document not found", "custom") for index in unknown))
        if "voice" in body:
            record["voice"] = self._voice_of(body["voice"])
        return record

    def _voice_of(self, voice: Any) -> Record:
        if (
            isinstance(voice, dict)
            and voice.get("type") == "runway-live-preset"
            and isinstance(voice.get("presetId"), str)
        ):
            name = voice["presetId"].capitalize()
            return {"type": voice["type"], "presetId": voice["presetId"], "name": name, "description": "A preset voice"}
        if isinstance(voice, dict) and voice.get("type") == "custom" and voice.get("id") in self.voices:
            return {"type": "custom", "id": voice["id"], "deleted": False, "name": self.voices[voice["id"]]["name"]}
        branches = [
            [issue(["type"], 'Invalid input: expected "runway-live-preset"', "invalid_value")],
            [issue(["type"], 'Invalid input: expected "custom" with the id of a voice', "invalid_value")],
        ]
        raise bad_body(issue(["voice"], "Invalid input", "invalid_union", errors=branches))

    def _get_avatar(self, _: Request, avatar_id: str) -> Any:
        return self._grown(self.avatars, avatar_id, "Avatar")

    def _grown(self, records: dict[str, Any], record_id: str, noun: str) -> Any:
        record = _found(records, record_id, noun)
        if record_id in self._growing:
            self._grow(record, poll=True)
        return record

    def _patch_avatar(self, request: Request, avatar_id: str) -> Any:
        avatar = _found(self.avatars, avatar_id, "Avatar")
        avatar.update(self._avatar_fields(checks.read_json(request)))
        return avatar

    def _delete_avatar(self, _: Request, avatar_id: str) -> None:
        _found(self.avatars, avatar_id, "Avatar")
        del self.avatars[avatar_id]

    def _create_voice(self, request: Request, _: str) -> Record:
        body = checks.read_json(request)
        checks.check_fields(body, ("name", "from"))
        checks.check_text(body, "name", 100)
        source = body["from"] if isinstance(body["from"], dict) else {}
        if source.get("type") not in ("audio", "text"):
            raise checks.unknown_type("from", ["audio", "text"])
        checks.check_fields(source, ("audio",) if source["type"] == "audio" else ("prompt", "model"))
        voice_id = self.add_voice(statuses=self._readying(), name=body["name"], description=body.get("description"))
        return {"id": voice_id}

    def _preview_voice(self, request: Request, _: str) -> Record:
        checks.check_fields(checks.read_json(request), ("prompt", "model"))
        return {"url": self._sample_url("preview", "audio"), "durationSecs": 0.2}

    def _get_voice(self, _: Request, voice_id: str) -> Any:
        return self._grown(self.voices, voice_id, "Voice")

    def _patch_voice(self, request: Request, voice_id: str) -> Any:
        voice = _found(self.voices, voice_id, "Voice")
        body = checks.read_json(request)
        checks.check_fields(body, (), strict=("name", "description"))
        voice.update(body)
        return voice

    def _delete_voice(self, _: Request, voice_id: str) -> None:
        _found(self.voices, voice_id, "Voice")
        del self.voices[voice_id]

    def _with_users(self, document: Any) -> Any:
        if not isinstance(document, dict):
            return document
        users = [
            {"id": avatar["id"], "name": avatar.get("name"), "imageUrl": avatar.get("processedImageUri")}
            for avatar in self.avatars.values()
            if isinstance(avatar, dict) and document.get("id") in (avatar.get("documentIds") or [])
        ]
        return {"usedBy": users, **document} if "avatarId" not in document else dict(document)

    def _create_document(self, request: Request, _: str) -> Any:
        body = checks.read_json(request)
        checks.check_fields(body, ("name", "content"), strict=("name", "content"))
        self._check_document(body)
        return self._with_users(self.documents[self.add_document(**body)])

    def _check_document(self, body: Record) -> None:
        checks.check_text(body, "name", 255)
        checks.check_text(body, "content", 200_000)

    def _get_document(self, _: Request, document_id: str) -> Any:
        return self._with_users(_found(self.documents, document_id, "Document"))

    def _patch_document(self, request: Request, document_id: str) -> None:
        document = _found(self.documents, document_id, "Document")
        body = checks.read_json(request)
        checks.check_fields(body, (), strict=("name", "content"))
        self._check_document(body)
        document.update(body)

    def _delete_document(self, _: Request, document_id: str) -> None:
        _found(self.documents, document_id, "Document")
        del self.documents[document_id]
        for avatar in self.avatars.values():
            if isinstance(avatar, dict) and document_id in (avatar.get("documentIds") or []):
                avatar["documentIds"].remove(document_id)

    def _create_router(self, request: Request, _: str) -> Any:
        body = checks.read_json(request)
        checks.check_fields(body, ("slug",))
        fields = {key: body[key] for key in ("slug", "name", "description", "settings") if key in body}
        return self.routers[self.add_router(**fields)]

    def _get_router(self, _: Request, router_id: str) -> Any:
        return _found(self.routers, router_id, "Router")

    def _patch_router(self, request: Request, router_id: str) -> Any:
        router = _found(self.routers, router_id, "Router")
        body = checks.read_json(request)
        router.update({key: body[key] for key in ("name", "description", "settings") if key in body})
        router["version"] += 1
        return router

    def _delete_router(self, _: Request, router_id: str) -> None:
        _found(self.routers, router_id, "Router")
        del self.routers[router_id]

    def _get_conversation(self, _: Request, conversation_id: str) -> Any:
        return _found(self.conversations, conversation_id, "Conversation")

    def _delete_conversation(self, _: Request, conversation_id: str) -> None:
        _found(self.conversations, conversation_id, "Conversation")
        del self.conversations[conversation_id]

    def _get_avatar_usage(self, request: Request, _: str) -> Record:
        checks.query_present(request, "startDate", "endDate")
        return {"totalSeconds": 0, "totalSessions": 0, "avgDurationSeconds": 0, "byDay": []}

    def _query_usage(self, request: Request, _: str) -> Record:
        checks.check_fields(checks.read_json(request), (), strict=("startDate", "beforeDate"))
        return {"results": [], "models": []}

    def _get_organization(self, _: Request, __: str) -> Record:
        return self.organization

    # -- what costs ----------------------------------------------------------------------------------------------

    def _generate(self, request: Request, _: str) -> Record:
        endpoint, body = ENDPOINTS[request.path], checks.read_json(request)
        endpoint.check(body)
        checks.check_media(body, self.storage.uploads)
        price = endpoint.price(body)
        task_id = self._charged_task(endpoint.kind, price, _output_count(body))
        return (
            {"id": task_id}
            if request.path == "/v1/avatar_videos"
            else {"id": task_id, "estimatedCost": {"credits": price}}
        )

    def _generate_routed(self, request: Request, _: str) -> Record:
        body = checks.read_json(request)
        checks.check_fields(body, ("configId", "input"), strict=("configId", "input"))
        router = next((r for r in self.routers.values() if body["configId"] in (r["id"], r["slug"])), None)
        if not router:
            raise Refusal(404, "Router config not found", code="router_config_not_found")
        wanted = body["input"]
        if not isinstance(wanted, dict):
            raise bad_body(issue(["input"], "Invalid input: expected object"))
        kind = request.path.rpartition("/")[2]
        if kind != "video" and "promptText" not in wanted:
            raise bad_body(issue(["input", "promptText"], "Invalid input: expected string, received undefined"))
        checks.check_media(wanted, self.storage.uploads, ("input",))
        price = {"video": 25, "image": 5, "audio": 2}[kind]
        routing = {
            "model": ROUTED[request.path],
            "provider": "runway",
            "configId": router["id"],
            "resolvedSettings": {"optimizeFor": "quality", "priceCeiling": None},
            "resolvedInput": dict(wanted),
            "estimatedCost": {"credits": price},
        }
        return {"id": self._charged_task(kind, price, _output_count(wanted)), "routing": routing}

    def _charged_task(self, kind: str, price: int, outputs: int = 1) -> str:
        if self.organization["creditBalance"] < price:
            raise Refusal(400, "You do not have enough credits to run this task.")
        self.organization["creditBalance"] -= price
        task_id = self.add_task(kind=kind, credits=price, outputs=outputs)
        (self.invocations if kind == "workflow" else self.tasks)[task_id]["charged"] = price
        return task_id

    def _get_workflow(self, _: Request, workflow_id: str) -> Any:
        return _found(self.workflows, workflow_id, "Workflow")

    def _run_workflow(self, request: Request, workflow_id: str) -> Record:
        _found(self.workflows, workflow_id, "Workflow")
        checks.check_media(checks.read_json(request), self.storage.uploads)
        return {"id": self._charged_task("workflow", WORKFLOW_CREDITS, len(NODES))}

    def _create_upload(self, request: Request, _: str) -> Record:
        body = checks.read_json(request)
        checks.check_fields(body, ("filename", "type"))
        checks.check_text(body, "filename", 255)
        if len(body["filename"]) < 3 or not MEDIA_NAME.fullmatch(body["filename"]):
            raise bad_body(
                issue(["filename"], "The filename must have the extension of a supported media type", "custom")
            )
        if body["type"] != "ephemeral":
            raise bad_body(issue(["type"], 'Invalid input: expected "ephemeral"', "invalid_value"))
        return self.storage.open_upload(body["filename"])

    # -- what is waited for ----------------------------------------------------------------------------------------

    def _get_task(self, _: Request, task_id: str) -> Record:
        return self._polled(self.tasks, task_id, "Task")

    def _get_invocation(self, _: Request, invocation_id: str) -> Record:
        return self._polled(self.invocations, invocation_id, "Workflow invocation")

    def _polled(self, records: dict[str, Record], record_id: str, noun: str) -> Record:
        task = _found(records, record_id, noun)
        if task["deleted"]:
            raise Refusal(404, f"{noun} not found.")
        now = self.clock()
        if task["polled"] is not None and now - task["polled"] < POLL_INTERVAL - POLL_SLACK:
            self.hasty.append((record_id, now - task["polled"]))
        task["polled"] = now
        status = self._status(task, poll=True)
        if status in ("FAILED", "CANCELLED"):
            self._refund(task)
        shown = {"id": record_id, "status": status, "createdAt": task["createdAt"]}
        return {**shown, **(self._workflow_details if task["kind"] == "workflow" else self._task_details)(task, status)}

    def _refund(self, task: Record) -> None:
        self.organization["creditBalance"] += task["charged"]
        task["charged"] = task["credits"] = 0

    def _task_details(self, task: Record, status: str) -> Record:
        cost = {"credits": task["credits"]}
        if status == "SUCCEEDED":
            return {"output": self._urls(task), "cost": cost}
        if status == "FAILED":
            return {**_failure(task), "cost": cost}
        if status == "CANCELLED":
            return {"cost": cost}
        if status == "RUNNING":
            return {"progress": _progress(task), "estimatedCost": cost}
        return {"estimatedCost": cost}

    def _workflow_details(self, task: Record, status: str) -> Record:
        if status == "FAILED":
            return _failure(task)
        if status not in ("RUNNING", "SUCCEEDED"):
            return {}
        output: dict[str, list[str]] = {}
        for index, url in enumerate(self._urls(task)):
            output.setdefault(NODES[index % len(NODES)], []).append(url)
        if status == "SUCCEEDED":
            return {"output": output}
        return {"progress": _progress(task), "output": dict(list(output.items())[:1])}

    def _urls(self, task: Record) -> list[str]:
        stale = task["stale_reads"] > 0
        task["stale_reads"] -= stale
        outputs = self.storage.outputs
        return [
            self.storage.sign(outputs[item], uses=0 if stale else None) if item in outputs else item
            for item in task["outputs"]
        ]

    def _delete_task(self, _: Request, task_id: str) -> None:
        task = _found(self.tasks, task_id, "Task")
        if task["deleted"]:
            raise Refusal(404, "Task not found.")
        task["deleted"] = True
        if self._status(task, poll=False) in ENDED:
            for output_id in task["outputs"]:
                self.storage.destroy(output_id)
        else:
            task["statuses"] = ("CANCELLED",)

    def _create_session(self, request: Request, _: str) -> Record:
        body = checks.read_json(request)
        checks.check_fields(body, ("model", "avatar"))
        if body["model"] != "gwm1_avatars":
            raise checks.unknown_variant("model", ["gwm1_avatars"])
        return {"id": self.add_session()}

    def _get_session(self, _: Request, session_id: str) -> Record:
        session = _found(self.sessions, session_id, "Session")
        status = "RUNNING" if session.get("joined") else self._status(session, poll=True)
        shown = {"id": session_id, "createdAt": session["createdAt"], "status": status}
        if status == "READY":
            session["joined"] = True
            expires = datetime.now(timezone.utc) + timedelta(minutes=5)
            shown["expiresAt"] = expires.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            shown["sessionKey"] = f"session_{uuid.uuid4().hex}"
        if status == "COMPLETED":
            shown["duration"] = 12
        if status == "FAILED":
            shown.update(failure="The session could not start.", failureCode="INTERNAL")
        return shown

    def _delete_session(self, _: Request, session_id: str) -> None:
        _found(self.sessions, session_id, "Session")
        del self.sessions[session_id]


def _cursor_start(cursor: str | None, name: str) -> int:
    if cursor is None:
        return 0
    try:
        owner, _, start = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("utf-8").rpartition(":")
    except (binascii.Error, ValueError):
        owner, start = "", ""
    if owner != name or not start.isdigit():
        raise bad_query(issue(["cursor"], "Invalid cursor", "custom"))
    return int(start)


def _found(records: Mapping[str, Any], record_id: str, noun: str) -> Any:
    if record_id not in records:
        raise Refusal(404, f"{noun} not found.")
    return records[record_id]


def _contents(outputs: int | Sequence[bytes | str], kind: str) -> list[bytes | str]:
    return [sample(kind)] * outputs if isinstance(outputs, int) else list(outputs)


def _output_count(body: Record) -> int:
    count = body.get("outputCount", 1)
    if not isinstance(count, int) or not 1 <= count <= 10:
        raise bad_body(issue(["outputCount"], "Invalid input: expected an integer from 1 to 10", "invalid_value"))
    return count


def _progress(task: Record) -> float:
    """The value for this RUNNING: the next of those that were given, else by how far the course has come."""
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
