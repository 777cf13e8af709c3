"""Endpoints of which no test needs more than the contract says, served from it alone."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tests.fake.contract import Operation
from tests.fake.instances import instance
from tests.fake.pace import Pace, Record
from tests.fake.refusals import Refusal, invalid_request, issue


class Generic:
    """Records by the path of their list: `others["/v1/routers"]` is a dict of routers by id."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.others: dict[str, dict[str, Any]] = defaultdict(dict)

    def add(self, path: str, operation: Operation, fields: Mapping[str, Any]) -> Record:
        """Make a record as an operation answers it; `fields` that such a record has are laid over it."""
        record: Record = self._answer(operation)
        record.update(id=str(uuid.uuid4()), createdAt=self._pace.stamp(), updatedAt=self._pace.stamp())
        _lay_over(record, {key: value for key, value in fields.items() if key in record})
        self.others[path][record["id"]] = record
        return record

    def serve(self, operation: Operation, path: str, query: Mapping[str, Any], body: Any) -> Any:
        """Answer any operation. Raises Refusal: 404."""
        collection, _, record_id = path.rpartition("/")
        answer = self._answer(operation)
        if isinstance(answer, dict) and {"data", "hasMore"} <= answer.keys():
            return page(path, list(self.others[path].values()), query)
        if not operation.template.endswith("}"):
            known = isinstance(answer, dict) and {"id", "createdAt"} <= answer.keys()
            return self.add(path, operation, body) if known else answer
        record = self.others[collection].get(record_id)
        if record is None:
            raise Refusal(404, "Not found.")
        if operation.method == "DELETE":
            del self.others[collection][record_id]
            return None
        if operation.method == "PATCH":
            _lay_over(record, body)
            record.update(updatedAt=self._pace.stamp(), version=record.get("version", 0) + 1)
        return record

    @staticmethod
    def _answer(operation: Operation) -> Any:
        schema = operation.answer_schema(200)
        return None if schema is None else instance(schema)


def page(path: str, rows: list[Any], query: Mapping[str, Any]) -> Record:
    """One page of a list. Raises Refusal (400) for a cursor of another list."""
    start = _start(query["cursor"], path) if "cursor" in query else 0
    stop = start + query["limit"]
    cursor = base64.urlsafe_b64encode(f"{path} {stop}".encode()).decode() if stop < len(rows) else None
    return {"data": rows[start:stop], "hasMore": cursor is not None, "nextCursor": cursor}


def _start(cursor: str, path: str) -> int:
    try:
        owner, _, start = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("utf-8").rpartition(" ")
    except (binascii.Error, ValueError):
        owner, start = "", ""
    if owner != path or not start.isdigit():
        raise invalid_request("query", [issue(["cursor"], "Invalid cursor", "custom")])
    return int(start)


def _lay_over(record: Record, fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        if isinstance(value, dict) and isinstance(record.get(key), dict):
            _lay_over(record[key], value)
        else:
            record[key] = value
