"""Avatars, voices, documents and workflows: what a test or a POST makes, and what a PATCH changes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from tests.fake.contract import operation_of
from tests.fake.pace import Pace, Record
from tests.fake.refusals import Refusal, invalid_field
from tests.fake.samples import EXTENSIONS, MEDIA_TYPES, sample
from tests.fake.storage import Output, Storage
from tests.fake.tasks import NODES

AVATAR_FIELDS = ("name", "personality", "startScript", "documentIds")


class Records:
    """What the API keeps for an account, each kind by id. `valid` are the ids whose records the contract allows."""

    def __init__(self, storage: Storage, pace: Pace) -> None:
        self._storage, self._pace = storage, pace
        self.avatars: dict[str, Any] = {}
        self.voices: dict[str, Any] = {}
        self.documents: dict[str, Any] = {}
        self.workflows: dict[str, Any] = {}
        self.valid: set[str] = set()
        self._courses: dict[str, Record] = {}

    def add_avatar(self, *, statuses: Sequence[str] = ("READY",), **fields: Any) -> str:
        """Make an avatar that goes through `statuses`, one a GET; `fields` are laid over it. Returns its id."""
        voice = {"type": "runway-live-preset", "presetId": "clara", "name": "Clara", "description": "Warm"}
        avatar = {
            **self._stamped("avatar"),
            "personality": "Friendly and brief.",
            "startScript": None,
            "voice": voice,
            "referenceImageUri": None,
            "processedImageUri": None,
            "documentIds": [],
            **fields,
        }
        return self._keep(self.avatars, avatar, statuses, "/v1/avatars/{id}")

    def add_voice(self, *, statuses: Sequence[str] = ("READY",), **fields: Any) -> str:
        """Make a voice that goes through `statuses`, one a GET; `fields` are laid over it. Returns its id."""
        voice = {**self._stamped("voice"), "description": None, **fields}
        voice.pop("updatedAt")
        return self._keep(self.voices, voice, statuses, "/v1/voices/{id}")

    def add_document(self, **fields: Any) -> str:
        """Make a document; `fields` are laid over it. Returns its id."""
        document = {**self._stamped("document"), "type": "text", "content": "Some words.", **fields}
        self.documents[document["id"]] = document
        return self._judge(self.with_users(document), "/v1/documents/{id}")

    def add_workflow(self, **fields: Any) -> str:
        """Make a workflow; `fields` are laid over it. Returns its id."""
        graph = {"nodes": [{"id": node} for node in NODES], "edges": [], "version": 1}
        workflow = {**self._stamped("workflow"), "description": None, "version": 1, "graph": graph, **fields}
        self.workflows[workflow["id"]] = workflow
        return self._judge(workflow, "/v1/workflows/{id}")

    def create_avatar(self, body: Record) -> Record:
        """The avatar that a POST makes."""
        record_id = self.add_avatar(statuses=self._pace.record_statuses(), **self._avatar_fields(body))
        avatar = self.avatars[record_id]
        assert isinstance(avatar, dict)
        return avatar

    def change_avatar(self, avatar: Record, body: Record) -> Record:
        """The avatar after a PATCH. Raises Refusal: 400, or 409 for a new image while it is PROCESSING."""
        if "referenceImage" in body and avatar["status"] == "PROCESSING":
            raise Refusal(409, "The reference image cannot be updated while the avatar is processing.")
        return self.change(avatar, self._avatar_fields(body))

    def create_voice(self, body: Record) -> Record:
        """What a POST of a voice is answered with."""
        fields = {"name": body["name"], "description": body.get("description")}
        return {"id": self.add_voice(statuses=self._pace.record_statuses(), **fields)}

    def change(self, record: Record, fields: Record) -> Record:
        """A record after a PATCH."""
        record.update(fields)
        if "updatedAt" in record:
            record["updatedAt"] = self._pace.stamp()
        return record

    def delete_document(self, document_id: str) -> None:
        """Delete a document, and detach it."""
        del self.documents[document_id]
        for avatar in self.avatars.values():
            if isinstance(avatar, dict) and document_id in (avatar.get("documentIds") or []):
                avatar["documentIds"].remove(document_id)

    def with_users(self, document: Any) -> Any:
        """A document as the API shows it; one that a test made of another kind, as it is."""
        if not isinstance(document, dict) or "avatarId" in document:
            return document
        users = [
            {"id": avatar["id"], "name": avatar.get("name"), "imageUrl": avatar.get("processedImageUri")}
            for avatar in self.avatars.values()
            if isinstance(avatar, dict) and document.get("id") in (avatar.get("documentIds") or [])
        ]
        return {"usedBy": users, **document}

    def workflow_versions(self) -> Record:
        """All workflows, as their list shows them."""
        by_name: dict[str, list[Record]] = {}
        for workflow in self.workflows.values():
            version = {key: workflow[key] for key in ("id", "version", "createdAt")}
            by_name.setdefault(workflow["name"], []).append(version)
        return {"data": [{"name": name, "versions": versions} for name, versions in by_name.items()]}

    def look(self, record_id: str, record: Any, *, poll: bool) -> Any:
        """A record as it is now; `poll`: this look counts."""
        course = self._courses.get(record_id)
        if course:
            record["status"] = self._pace.status(course, poll=poll)
            self._finish(record, course["statuses"][-1])
        return record

    def sample_url(self, kind: str) -> str:
        """A signed URL of a small file of a kind."""
        output = Output(str(uuid.uuid4()), f"preview.{EXTENSIONS[kind]}", MEDIA_TYPES[kind], sample(kind))
        return self._storage.sign(self._storage.add(output))

    def _avatar_fields(self, body: Record) -> Record:
        fields = {key: body[key] for key in AVATAR_FIELDS if key in body}
        for index, document in enumerate(fields.get("documentIds", ())):
            if document not in self.documents:
                raise invalid_field(["documentIds", index], "Document not found")
        if "voice" in body:
            fields["voice"] = self._voice_of(body["voice"])
        return fields

    def _voice_of(self, voice: Record) -> Record:
        if voice["type"] == "runway-live-preset":
            name = voice["presetId"].capitalize()
            return {"type": voice["type"], "presetId": voice["presetId"], "name": name, "description": "A preset voice"}
        if voice["id"] not in self.voices:
            raise invalid_field(["voice", "id"], "Voice not found")
        return {"type": "custom", "id": voice["id"], "deleted": False, "name": self.voices[voice["id"]]["name"]}

    def _stamped(self, noun: str) -> Record:
        now = self._pace.stamp()
        return {"id": str(uuid.uuid4()), "name": f"A {noun}", "createdAt": now, "updatedAt": now}

    def _keep(self, records: dict[str, Any], record: Record, statuses: Sequence[str], template: str) -> str:
        record_id = str(record["id"])
        records[record_id] = record
        record.setdefault("status", statuses[0])
        if len(statuses) > 1:
            self._courses[record_id] = self._pace.course(statuses)
        self._finish(record, statuses[-1])
        return self._judge(record, template)

    def _finish(self, record: Record, end: str) -> None:
        if record["status"] != end:
            return
        if end == "FAILED":
            record.setdefault("failureReason", "The image does not show a face.")
        if end == "READY" and record["id"] in self.voices and "previewUrl" not in record:
            record["previewUrl"] = self.sample_url("audio")

    def _judge(self, record: Record, template: str) -> str:
        if not operation_of("GET", template).answer_problems(200, record):
            self.valid.add(record["id"])
        return str(record["id"])
