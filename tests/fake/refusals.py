"""What the stand-in for the API refuses whatever the endpoint, in the API's own shapes."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from tests.fake.messages import Answer, Request, json_answer

SECRET = "key_" + "0123456789abcdef" * 4  # obviously fake, and accepted
STAGE_SECRET = "key_stage_" + "fedcba9876543210" * 4  # accepted as well
API_VERSION = "2024-11-06"
DOC_URL = "https://docs.dev.runwayml.com/api"
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Issue = dict[str, Any]


class Refusal(Exception):
    """An answer of the API that is an error. `more` are further keys of its body."""

    def __init__(self, status: int, error: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.value: dict[str, Any] = {"error": error, **more}
        self.headers = dict(headers or {})

    def answer(self) -> Answer:
        """The refusal as it goes over the wire."""
        return json_answer(self.status, self.value, self.headers)


def issue(path: list[str | int], message: str, code: str = "invalid_type", **more: Any) -> Issue:
    """One entry of `issues`."""
    return {"code": code, "path": path, "message": message, **more}


def invalid_request(part: str, issues: list[Issue]) -> Refusal:
    """The 400 for an invalid `part` of a request: its body, query or path."""
    return Refusal(400, f"Validation of {part} failed", issues=issues, docUrl=DOC_URL)


def invalid_field(path: list[str | int], message: str) -> Refusal:
    """The 400 for a field whose value is of the right shape and still cannot be used."""
    return invalid_request("body", [issue(path, message, "custom")])


def existing(records: Mapping[str, Any], record_id: str, noun: str) -> Any:
    """A record that is there and not marked as deleted. Raises Refusal: 404."""
    record = records.get(record_id)
    if record is None or (isinstance(record, dict) and record.get("deleted")):
        raise Refusal(404, f"{noun} not found.")
    return record


def check_headers(request: Request) -> None:
    """Refuse a request without the right secret, version, or with a client id that is not a UUID."""
    authorization = request.headers.get("authorization", "")
    if authorization not in (f"Bearer {SECRET}", f"Bearer {STAGE_SECRET}"):
        words = "The API key you provided was incorrect" if authorization else "You did not provide an API key"
        raise Refusal(401, f"{words}. Keys are made at https://dev.runwayml.com/", docUrl=DOC_URL)
    if request.headers.get("x-runway-version") != API_VERSION:
        raise Refusal(400, f"The header X-Runway-Version must be {API_VERSION}", docUrl=DOC_URL)
    client_id = request.headers.get("x-runway-client-id")
    if client_id is not None and not UUID.fullmatch(client_id):
        raise Refusal(400, "The header X-Runway-Client-Id must be a UUID")


def read_json(request: Request) -> Any:
    """The request's body as JSON, which must be sent as such; no body at all is an empty object."""
    body = request.body.read()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body and not media_type:
        return {}
    if media_type != "application/json":
        raise Refusal(415, "The Content-Type must be application/json")
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except ValueError:
        raise Refusal(400, "The body is not valid JSON") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def check_media(value: Any, uploads: Mapping[str, Mapping[str, Any]], path: tuple[str | int, ...] = ()) -> None:
    """Refuse, however deep, an upload without a file and a data URI that is not base64."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            check_media(item, uploads, (*path, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            check_media(item, uploads, (*path, name))
    elif isinstance(value, str):
        if value.startswith("runway://") and not uploads.get(value, {}).get("received"):
            raise invalid_field([*path], "The upload does not exist or has no file")
        if re.match(r"data:(image|video|audio)/[\w.+-]+;base64,", value):
            try:
                base64.b64decode(value.partition(",")[2], validate=True)
            except binascii.Error:
                raise invalid_field([*path], "The data URI is not valid base64") from None
