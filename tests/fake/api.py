"""A stand-in for the Runway API: checks a request against the contract, acts on it, and checks its own answer."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tests.fake import contract
from tests.fake.contract import Operation
from tests.fake.endpoints import Call, Endpoints
from tests.fake.messages import Answer, Request, json_answer
from tests.fake.pace import Pace
from tests.fake.refusals import Refusal, check_headers, check_media, read_json
from tests.fake.storage import Storage

POLLED = ("/v1/tasks/{id}", "/v1/workflow_invocations/{id}", "/v1/realtime_sessions/{id}")


class Api:
    """The API. `invalid_answers` are answers of its own that the contract does not allow: faults of the stand-in."""

    def __init__(self, storage: Storage, pace: Pace) -> None:
        self.endpoints = Endpoints(storage, pace)
        self.invalid_answers: list[str] = []
        self._uploads = storage.uploads
        self._polled: set[str] = set()
        self._lock = threading.RLock()

    def service(self, request: Request) -> Answer:
        """Answer one request, alone with the state."""
        operation = None
        try:
            check_headers(request)
            operation, parameters = contract.find(request.method, request.path)
            call = self._checked(operation, parameters, request)
            with self._lock:
                return self._acted(operation, call)
        except Refusal as refusal:
            if not operation:
                return refusal.answer()
            if operation.template.startswith("/v1/generate/"):
                refusal.value.pop("docUrl", None)  # which these do not have
            return self._judged(operation, refusal.answer(), refusal.value, ())

    def add_router(self, **fields: Any) -> str:
        """Make a router; `fields` are laid over it. Returns its id."""
        operation = contract.operation_of("POST", "/v1/routers")
        made = self.endpoints.generic.add("/v1/routers", operation, {"slug": "default", **fields})
        return str(made["id"])

    def _checked(self, operation: Operation, parameters: dict[str, str], request: Request) -> Call:
        if request.method == "GET" and (request.body.chunked or request.body.length):
            raise Refusal(400, "A GET request must not have a body")
        record_id = next(iter(parameters.values()), "")
        if record_id not in self.endpoints.ids():  # a test may have chosen an id that is not a UUID
            operation.check_path(parameters)
        query = operation.check_query(request.query)
        body = None
        if operation.body is not None:
            body = read_json(request)
            operation.check_body(body)
            check_media(body, self._uploads)
        return Call(request.path, record_id, query, body)

    def _acted(self, operation: Operation, call: Call) -> Answer:
        accepted = self.endpoints.account.accepted
        before = len(accepted)
        value = self.endpoints.act(operation, call)
        answer = Answer(204) if value is None else json_answer(200, value)
        answer = self._judged(operation, answer, value, _shown_ids(call, value))
        if len(accepted) > before:
            return replace(answer, before="post accepted", after="post answered", record_id=accepted[-1].id)
        if operation.method == "GET" and operation.template in POLLED and call.id not in self._polled:
            self._polled.add(call.id)
            return replace(answer, before="first poll", record_id=call.id)
        return answer

    def _judged(self, operation: Operation, answer: Answer, value: Any, shown: Iterable[str]) -> Answer:
        """The answer, if it is valid or shows what a test has put there in a shape of its own."""
        problems = operation.answer_problems(answer.status, value)
        if not problems or self.endpoints.scripted_ids().intersection(shown):
            return answer
        words = f"{operation.method} {operation.template} {answer.status}: {json.dumps(problems)}"
        self.invalid_answers.append(words)
        print(f"THE STAND-IN'S ANSWER IS INVALID: {words}", file=sys.__stderr__)
        return json_answer(500, {"error": f"the stand-in's answer is invalid: {words}"})


def _shown_ids(call: Call, value: Any) -> list[str]:
    """The ids of the records that an answer shows."""
    rows = value.get("data", [value]) if isinstance(value, dict) else [value]
    return [call.id, *(str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row)]
