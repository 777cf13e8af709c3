"""A stand-in for the Runway API: checks a request against the contract, acts on it, and checks its own answer."""

from __future__ import annotations

import base64
import binascii
import json
import re
import sys
import threading
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Callable

from tests.fake import contract
from tests.fake.contract import Operation, Refusal, instance, invalid_field
from tests.fake.http import Answer, Request, json_answer
from tests.fake.storage import Output, Storage, sample
from tests.fake.tasks import NODES, Pace, Record, Tasks

SECRET = "key_" + "0123456789abcdef" * 4  # obviously fake, and accepted
STAGE_SECRET = "key_stage_" + "fedcba9876543210" * 4  # accepted as well
API_VERSION = "2024-11-06"
POLLED = ("/v1/tasks/{id}", "/v1/workflow_invocations/{id}", "/v1/realtime_sessions/{id}")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
MEDIA_NAME = re.compile(r"(?is).+\.(jpe?g|png|webp|gif|mp4|mov|mkv|webm|mp3|wav|flac|m4a|aac|ogg)")
# What an endpoint makes, by the last part of its path; every other makes videos.
KINDS = {
    "image": ("ad_localization", "image", "image_upscale", "marketing_stock_image", "product_campaign_image",
              "text_to_image"),
    "audio": ("audio", "sound_effect", "speech_to_speech", "text_to_speech", "video_to_audio", "voice_dubbing",
              "voice_isolation"),
}  # fmt: skip
WORKFLOW_CREDITS, SESSION_CREDITS = 10, 2
ROUTED_MODELS = {"video": "gen4_turbo", "image": "gen4_image", "audio": "eleven_multilingual_v2"}


@dataclass(frozen=True)
class Call:
    """A valid request. `id` is the one in its path, `rows` the records by id below that path's beginning."""

    operation: Operation
    path: str
    id: str
    query: Mapping[str, Any]
    body: Any
    rows: dict[str, Any]


class Api(Tasks):
    """The API and its state: `records`, by the path of their list, then by id.

    `add_avatar(**fields)` and its like make a record as the contract has it, with these fields merged in, and return
    its id; an avatar or voice goes through `statuses`, one a GET. `invalid_answers` are answers of its own that the
    contract does not allow: faults of the stand-in. `made` are the ids of what a POST has made; everything else was
    added by a test, and need not be valid.
    """

    def __init__(self, storage: Storage, pace: Pace) -> None:
        super().__init__(storage, pace)
        self.records: dict[str, dict[str, Any]] = defaultdict(dict)
        self.records["/v1/tasks"], self.records["/v1/workflow_invocations"] = self.tasks, self.invocations
        self.records["/v1/realtime_sessions"] = self.sessions
        self.avatars, self.voices = self.records["/v1/avatars"], self.records["/v1/voices"]
        self.documents, self.workflows = self.records["/v1/documents"], self.records["/v1/workflows"]
        self.invalid_answers: list[str] = []
        self.made: set[str] = set()
        self._courses: dict[str, Record] = {}
        self._polled: set[str] = set()
        self._lock = threading.RLock()
        self.add_avatar = partial(self._add, "/v1/avatars", voice={"presetId": "clara", "name": "Clara"})
        self.add_voice, self.add_document = partial(self._add, "/v1/voices"), partial(self._add, "/v1/documents")
        self.add_workflow, self.add_router = partial(self._add, "/v1/workflows"), partial(self._add, "/v1/routers")
        # What an endpoint does, where it does more than the contract tells: see `_act`.
        self._table: dict[str, Callable[[Call], Any]] = {
            "POST /v1/voices": lambda call: {"id": self._made(call)["id"]},
            "GET /v1/documents": self._list_documents,
            "GET /v1/workflows": self._list_workflows,
            "POST /v1/workflows/{id}": self._run_workflow,
            "GET /v1/organization": lambda _: self.organization,
            "DELETE /v1/tasks/{id}": lambda call: self.delete_task(existing(call)),
            "POST /v1/realtime_sessions": self._start_session,
            "DELETE /v1/realtime_sessions/{id}": lambda call: existing(call).update(statuses=["CANCELLED"], joined=0),
            "POST /v1/generate/video": self._generate_routed,
            "POST /v1/generate/image": self._generate_routed,
            "POST /v1/generate/audio": self._generate_routed,
            "POST /v1/uploads": self._open_upload,
        }
        self._shown: dict[str, Callable[[Any], Any]] = {  # by the path of their list
            "/v1/avatars": self._look,
            "/v1/voices": self._look,
            "/v1/documents": self._with_users,
            "/v1/tasks": self.show_task,
            "/v1/workflow_invocations": self.show_invocation,
            "/v1/realtime_sessions": self.show_session,
        }

    def service(self, request: Request) -> Answer:
        """Answers one request, alone with the state."""
        operation = None
        try:
            _check_headers(request)
            operation, parameters = contract.find(request.method, request.path)
            call = self._checked(operation, parameters, request)
            with self._lock:
                return self._acted(operation, call)
        except Refusal as refusal:
            if not operation:
                return refusal.answer()
            if operation.template.startswith("/v1/generate/"):
                refusal.value.pop("docUrl", None)  # which these do not have
            return self._judged(operation, refusal.answer(), refusal.value, set())

    def _checked(self, operation: Operation, parameters: dict[str, str], request: Request) -> Call:
        if request.method == "GET" and request.length:
            raise Refusal(400, "A GET request must not have a body")
        record_id = next(iter(parameters.values()), "")
        if not self._is_of_a_test(record_id):  # whose ids need not be UUIDs
            operation.check_parameters("path", parameters)
        given = {name: texts[0] if len(texts) == 1 else texts for name, texts in request.query.items()}
        query = operation.check_parameters("query", given)
        body = None
        if operation.body is not None:
            body = _read_json(request)
            own = json.dumps(f"{self.storage.url}/")[:-1]  # http on loopback, where Runway's outputs are https
            operation.check_body(json.loads(json.dumps(body).replace(own, '"https://storage.example/')))
            self._check_media(body, ())
        start = request.path if not operation.template.endswith("}") else request.path.rpartition("/")[0]
        return Call(operation, request.path, record_id, query, body, self.records[start])

    def _acted(self, operation: Operation, call: Call) -> Answer:
        before = len(self.accepted)
        value = self._act(call)
        if operation.method == "POST" and "id" in value:
            self.made.add(value["id"])
        answer = Answer(204) if value is None else json_answer(200, value)
        rows = value.get("data", [value]) if isinstance(value, dict) else [value]
        shown = {call.id, *(str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row)}
        answer = self._judged(operation, answer, value, shown)
        if len(self.accepted) > before:
            return replace(answer, before="post accepted", after="post answered", record_id=self.accepted[-1].id)
        if operation.method == "GET" and operation.template in POLLED and call.id not in self._polled:
            self._polled.add(call.id)
            return replace(answer, before="first poll", record_id=call.id)
        return answer

    def _judged(self, operation: Operation, answer: Answer, value: Any, shown: set[str]) -> Answer:
        """Returns the answer if it is valid or shows what a test has added, else a 500."""
        problems = operation.answer_problems(answer.status, value)
        if not problems or any(map(self._is_of_a_test, shown)):
            return answer
        words = f"{operation.method} {operation.template} {answer.status}: {json.dumps(problems)}"
        self.invalid_answers.append(words)
        print(f"THE STAND-IN'S ANSWER IS INVALID: {words}", file=sys.__stderr__)
        return json_answer(500, {"error": f"the stand-in's answer is invalid: {words}"})

    def _is_of_a_test(self, record_id: str) -> bool:
        return record_id not in self.made and any(record_id in rows for rows in list(self.records.values()))

    def _check_media(self, value: Any, path: tuple[str | int, ...]) -> None:
        """Refuses, however deep, an upload without a file and a data URI that is not base64."""
        if isinstance(value, (list, dict)):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                self._check_media(item, (*path, key))
        elif isinstance(value, str):
            if value.startswith("runway://") and not self.storage.uploads.get(value, {}).get("received"):
                raise invalid_field([*path], "The upload does not exist or has no file")
            if re.match(r"data:(image|video|audio)/[\w.+-]+;base64,", value):
                try:
                    base64.b64decode(value.partition(",")[2], validate=True)
                except binascii.Error:
                    raise invalid_field([*path], "The data URI is not valid base64") from None

    def _act(self, call: Call) -> Any:
        """Acts on a request; returns what is answered as JSON, None for nothing. Raises Refusal.

        An endpoint that is not in the table generates something, or makes, lists, shows, changes or deletes records
        that are as the contract has them, or answers the smallest value that the contract allows.
        """
        operation = call.operation
        handler = self._table.get(f"{operation.method} {operation.template}")
        if handler:
            return handler(call)
        schema = operation.answer_schema()
        if operation.template.endswith("}"):
            record = existing(call)
            if operation.method == "DELETE":
                del call.rows[call.id]
                return None
            if operation.method == "PATCH":
                self._change(record, call.body)
            return self._show(call, record) if schema else None
        smallest = instance(schema or {})
        if operation.method == "POST" and "id" in smallest:
            return self._show(call, self._made(call)) if "createdAt" in smallest else self._generate(call)
        if "hasMore" in smallest:
            return page(call, [self._look(record, poll=False) for record in call.rows.values()])
        return smallest

    def _show(self, call: Call, record: Any) -> Any:
        show = self._shown.get(call.operation.template.partition("/{")[0])
        return show(record) if show else record

    # Avatars, voices, documents, workflows and routers

    def _add(self, path: str, /, *, statuses: Sequence[str] = ("READY",), **fields: Any) -> str:
        record = instance(contract.find("GET", f"{path}/id")[0].answer_schema() or {})
        record.update(id=str(uuid.uuid4()), createdAt=self.pace.stamp())
        if "updatedAt" in record:
            record["updatedAt"] = record["createdAt"]
        _merge(record, fields)
        self.records[path][record["id"]] = record
        if "status" in record:
            record["status"] = fields.get("status", statuses[0])
            if len(statuses) > 1:
                self._courses[record["id"]] = self.pace.course(statuses)
            self._look(record, poll=False)
        return str(record["id"])

    def _made(self, call: Call) -> Any:
        """Makes what a POST asks for, of which an avatar or voice is processed first."""
        known = instance(contract.find("GET", f"{call.path}/id")[0].answer_schema() or {})
        statuses = [*["PROCESSING"] * max(self.pace.polls_to_finish, 1), "READY"]
        fields = self._with_whole_voice(_only(call.body, *known))
        return call.rows[self._add(call.path, statuses=statuses, **fields)]

    def _with_whole_voice(self, fields: Record) -> Record:
        """Returns the fields of an avatar with its voice as the API shows it."""
        if "type" not in (fields.get("voice") or {}):
            return fields
        voice = {"name": "A voice", "description": "Calm", **fields["voice"]}
        if voice["type"] == "custom":
            known = self.voices.get(voice["id"])
            voice.update(_only(known or {}, "name", "description"), deleted=known is None)
        return {**fields, "voice": voice}

    def _look(self, record: Any, *, poll: bool = True) -> Any:
        """Returns a record as it is now; `poll`: this look counts."""
        course = self._courses.get(record["id"])
        if course:
            record["status"] = self.pace.status(course, poll=poll)
        if record.get("status") == "FAILED":
            record.setdefault("failureReason", "The image does not show a face.")
        if record.get("status") == "READY" and record["id"] in self.voices and "previewUrl" not in record:
            preview = Output(str(uuid.uuid4()), "preview.wav", "audio/wav", sample("audio"))
            record["previewUrl"] = self.storage.sign(self.storage.add(preview))
        return record

    def _with_users(self, document: Any) -> Any:
        """Returns a document as the API shows it; one that a test made of another kind, as it is."""
        if "avatarId" in document:
            return document
        users = [
            {"id": avatar["id"], "name": avatar.get("name"), "imageUrl": avatar.get("processedImageUri")}
            for avatar in self.avatars.values()
            if document["id"] in (avatar.get("documentIds") or [])
        ]
        return {**document, "usedBy": users}

    def _list_documents(self, call: Call) -> Any:
        rows = [self._with_users(document) for document in self.documents.values()]
        rows.sort(key=lambda row: str(row.get(call.query["sort"], "")), reverse=call.query["order"] == "desc")
        return page(call, [{k: v for k, v in row.items() if k != "content"} for row in rows])

    def _list_workflows(self, _: Call) -> Any:
        versions: dict[str, list[Record]] = defaultdict(list)
        for workflow in self.workflows.values():
            versions[workflow["name"]].append(_only(workflow, "id", "version", "createdAt"))
        return {"data": [{"name": name, "versions": found} for name, found in versions.items()]}

    def _change(self, record: Record, fields: Record) -> None:
        _merge(record, self._with_whole_voice(_only(fields, *record)))
        if "version" in record:
            record["version"] += 1
        if "updatedAt" in record:
            record["updatedAt"] = self.pace.stamp()

    def _open_upload(self, call: Call) -> Any:
        if not MEDIA_NAME.fullmatch(call.body["filename"]):
            raise invalid_field(["filename"], "The filename must have the extension of a supported media type")
        return self.storage.open_upload(call.body["filename"])

    # What costs credits

    def _start(self, call: Call, kind: str, credits: int, outputs: int) -> str:
        start = partial(self.add_task, kind=kind, credits=credits, outputs=outputs, charged=credits)
        return self.charge(call.path, call.body, credits, start)

    def _generate(self, call: Call) -> dict[str, Any]:
        kind = _kind_of(call.path)
        credits = _price(kind, call.body)
        made = self._start(call, kind, credits, call.body.get("outputCount", 1))
        answer = {"id": made, "estimatedCost": {"credits": credits}}
        return _only(answer, *(call.operation.answer_schema() or {})["properties"])

    def _run_workflow(self, call: Call) -> dict[str, Any]:
        existing(call)
        return {"id": self._start(call, "workflow", WORKFLOW_CREDITS, len(NODES))}

    def _start_session(self, call: Call) -> dict[str, Any]:
        return {"id": self.charge(call.path, call.body, SESSION_CREDITS, self.add_session)}

    def _generate_routed(self, call: Call) -> dict[str, Any]:
        slug, wanted, kind = call.body["configId"], call.body["input"], _kind_of(call.path)
        router = next((router for router in self.records["/v1/routers"].values() if router["slug"] == slug), None)
        if router is None:
            raise Refusal(404, "Router config not found", code="router_config_not_found")
        model, credits, settings = ROUTED_MODELS[kind], _price(kind, wanted), router["settings"]
        models, most = settings.get("models", {}), settings.get("maxCreditsPerGeneration", {}).get(kind)
        is_allowed = (model in models.get("ids", ())) == (models.get("mode") == "allowlist_only")
        if not is_allowed or (most is not None and credits > most):
            reason = "price" if is_allowed else "allow_deny"
            stages = [{"type": "filter", "filter": reason, "models": []}]
            words = "No eligible model"
            raise Refusal(400, words, code="no_eligible_model", pipeline=stages, emptiedBy=[reason])
        routing = instance((call.operation.answer_schema() or {})["properties"]["routing"])
        routing.update(model=model, configId=slug, estimatedCost={"credits": credits})
        routing["resolvedInput"].update(_only(wanted, *routing["resolvedInput"]))
        if call.body.get("dryRun"):
            return {"routing": routing}
        return {"id": self._start(call, kind, credits, wanted.get("outputCount", 1)), "routing": routing}


def existing(call: Call) -> Any:
    """Returns the record of a path that is there and not marked as deleted. Raises Refusal: 404."""
    record = call.rows.get(call.id)
    if record is None or record.get("deleted"):
        noun = call.operation.template.split("/")[-2].rstrip("s").replace("_", " ").capitalize()
        raise Refusal(404, f"{noun} not found.")
    return record


def page(call: Call, rows: list[Any]) -> Record:
    """Returns one page of a list. Raises Refusal (400) for a cursor that no page has given."""
    cursor = re.fullmatch(r"([0-9]{1,9})=", call.query.get("cursor", "0="))
    if not cursor:
        raise invalid_field(["cursor"], "Invalid cursor", "query")
    start = int(cursor[1])
    stop = start + call.query["limit"]
    following = f"{stop}=" if stop < len(rows) else None
    return {"data": rows[start:stop], "hasMore": following is not None, "nextCursor": following}


def _check_headers(request: Request) -> None:
    """Refuses a request without the right secret, version, or with a client id that is not a UUID."""
    authorization = request.headers.get("authorization", "")
    if authorization not in (f"Bearer {SECRET}", f"Bearer {STAGE_SECRET}"):
        words = "The API key you provided was incorrect" if authorization else "You did not provide an API key"
        raise Refusal(401, f"{words}. Keys are made at https://dev.runwayml.com/", docUrl=contract.DOC_URL)
    if request.headers.get("x-runway-version") != API_VERSION:
        raise Refusal(400, f"The header X-Runway-Version must be {API_VERSION}", docUrl=contract.DOC_URL)
    if not UUID.fullmatch(request.headers.get("x-runway-client-id", NODES[0])):
        raise Refusal(400, "The header X-Runway-Client-Id must be a UUID")


def _read_json(request: Request) -> Any:
    """Returns the request's body as JSON, which must be sent as such; no body at all is an empty object."""
    body = request.read()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body and not media_type:
        return {}
    if media_type != "application/json":
        raise Refusal(415, "The Content-Type must be application/json")
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        json.dumps(found, allow_nan=False)  # 1e400
        return found
    except ValueError:
        raise Refusal(400, "The body is not valid JSON") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _only(fields: Mapping[str, Any], *names: str) -> Record:
    return {name: fields[name] for name in names if name in fields}


def _merge(record: Record, fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        if isinstance(value, dict) and isinstance(record.get(key), dict) and "type" not in value:
            _merge(record[key], value)
        else:
            record[key] = value


def _kind_of(path: str) -> str:
    name = path.rpartition("/")[2]
    return next((kind for kind, names in KINDS.items() if name in names), "video")


def _price(kind: str, body: Mapping[str, Any]) -> int:
    if kind == "video":
        return max(1, round(5 * float(body.get("duration", 5))))
    return 5 if kind == "image" else 2
