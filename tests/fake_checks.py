"""What the stand-in for the API refuses, in the API's own shapes."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from tests.fake_http import Answer, Request, json_answer

SECRET = "key_" + "0123456789abcdef" * 4  # obviously fake, and accepted
STAGE_SECRET = "key_stage_" + "fedcba9876543210" * 4  # accepted as well
API_VERSION = "2024-11-06"
DOC_URL = "https://docs.dev.runwayml.com/api"
DATA_URI_LIMIT = 5_242_880  # characters, as encoded
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MEDIA_FIELDS = {
    "promptImage": "image",
    "imageUri": "image",
    "referenceImage": "image",
    "promptVideo": "video",
    "videoUri": "video",
    "audioUri": "audio",
    "uri": "",
}

Issue = dict[str, Any]


class Refusal(Exception):
    """An answer of the API that is no success."""

    def __init__(self, status: int, error: str, issues: list[Issue] | None = None, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.value: dict[str, Any] = {"error": error, **more}
        if issues is not None:
            self.value.update(issues=issues, docUrl=DOC_URL)
        self.headers: dict[str, str] = {}

    def answer(self) -> Answer:
        """The refusal as it goes over the wire."""
        return json_answer(self.status, self.value, self.headers)


def issue(path: list[str | int], message: str, code: str = "invalid_type", **more: Any) -> Issue:
    """One entry of `issues`."""
    return {"code": code, "path": path, "message": message, **more}


def bad_body(*issues: Issue) -> Refusal:
    """The 400 for a body that does not hold."""
    return Refusal(400, "Validation of body failed", list(issues))


def bad_query(*issues: Issue) -> Refusal:
    """The 400 for a query that does not hold."""
    return Refusal(400, "Validation of query failed", list(issues))


def check_headers(request: Request) -> None:
    """Refuse a request without the right secret, version, or with a client id that is no UUID."""
    authorization = request.headers.get("authorization", "")
    if authorization not in (f"Bearer {SECRET}", f"Bearer {STAGE_SECRET}"):
        words = "The API key you provided was incorrect" if authorization else "You did not provide an API key"
        raise Refusal(401, f"{words}. Keys are made at https://dev.runwayml.com/", docUrl=DOC_URL)
    if request.headers.get("x-runway-version") != API_VERSION:
        raise Refusal(400, f"The header X-Runway-Version must be {API_VERSION}", docUrl=DOC_URL)
    client_id = request.headers.get("x-runway-client-id")
    if client_id is not None and not UUID.fullmatch(client_id):
        raise Refusal(400, "The header X-Runway-Client-Id must be a UUID")


def read_json(request: Request) -> dict[str, Any]:
    """The request's body, which must be a JSON object sent as such."""
    body = request.body.read()
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "The Content-Type must be application/json")
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except ValueError:
        raise Refusal(400, "The body is not valid JSON") from None
    if not isinstance(value, dict):
        raise bad_body(issue([], f"Invalid input: expected object, received {_kind(value)}"))
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def check_fields(body: Mapping[str, Any], required: tuple[str, ...], *, strict: tuple[str, ...] | None = None) -> None:
    """Refuse a body that lacks required fields or, where `strict` names all there are, has others."""
    issues = [
        issue([name], "Invalid input: expected a value, received undefined") for name in required if name not in body
    ]
    unknown = [name for name in body if strict is not None and name not in strict]
    if unknown:
        words = ", ".join(f'"{name}"' for name in unknown)
        issues.append(issue([], f"Unrecognized keys: {words}", "unrecognized_keys", keys=unknown))
    if issues:
        raise bad_body(*issues)


def check_text(body: Mapping[str, Any], name: str, most: int) -> None:
    """Refuse a field, if it is there, that is no string of 1 to `most` characters."""
    if name not in body:
        return
    value = body[name]
    if not isinstance(value, str):
        raise bad_body(issue([name], f"Invalid input: expected string, received {_kind(value)}"))
    if not value:
        raise bad_body(issue([name], "Too small: expected string to have >=1 characters", "too_small"))
    if len(value) > most:
        raise bad_body(issue([name], f"Too big: expected string to have <={most} characters", "too_big"))


def query_present(request: Request, *names: str) -> None:
    """Refuse a query that lacks one of these parameters."""
    missing = [name for name in names if name not in request.query]
    if missing:
        raise bad_query(*(issue([name], "Invalid input: expected string, received undefined") for name in missing))


def query_choice(request: Request, name: str, choices: tuple[str, ...]) -> str:
    """A required query parameter with few values."""
    value = request.first(name)
    if value not in choices:
        words = "|".join(f'"{choice}"' for choice in choices)
        raise bad_query(issue([name], f"Invalid option: expected one of {words}", "invalid_value"))
    return value


def query_limit(request: Request) -> int:
    """The required `limit` of a list, 1 to 100."""
    value = request.first("limit")
    if value is None:
        raise bad_query(issue(["limit"], "Invalid input: expected number, received undefined"))
    if not re.fullmatch(r"-?\d{1,9}", value):
        raise bad_query(issue(["limit"], "Invalid input: expected number, received NaN"))
    if not 1 <= int(value) <= 100:
        big = int(value) > 100
        words = "Too big: expected number to be <=100" if big else "Too small: expected number to be >=1"
        raise bad_query(issue(["limit"], words, "too_big" if big else "too_small"))
    return int(value)


def unknown_variant(name: str, choices: list[str]) -> Refusal:
    """The 400 for a union none of whose branches fits the field that tells them apart."""
    branches = [[issue([], f'Invalid input: expected "{choice}"', "invalid_value")] for choice in choices]
    return bad_body(issue([name], "Invalid input", "invalid_union", errors=branches))


def unknown_type(name: str, choices: list[str]) -> Refusal:
    """The 400 for an object whose `type` is none of the known ones."""
    branches = [[issue(["type"], f'Invalid input: expected "{choice}"', "invalid_value")] for choice in choices]
    return bad_body(issue([name], "Invalid input", "invalid_union", errors=branches))


def check_media(value: Any, uploaded: Mapping[str, Mapping[str, Any]], path: tuple[str | int, ...] = ()) -> None:
    """Refuse media fields, however deep, that are no https URL, no finished upload and no data URI."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            check_media(item, uploaded, (*path, index))
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        if name in _MEDIA_FIELDS and isinstance(item, str):
            _check_uri(item, _MEDIA_FIELDS[name], uploaded, [*path, name])
        else:
            check_media(item, uploaded, (*path, name))


def _check_uri(uri: str, kind: str, uploaded: Mapping[str, Mapping[str, Any]], path: list[str | int]) -> None:
    if uri.startswith("https://"):
        return
    if uri.startswith("runway://"):
        if not uploaded.get(uri, {}).get("received"):
            raise bad_body(issue(path, "The upload does not exist or has no file", "custom"))
        return
    if re.match(rf"data:{kind or '(image|video|audio)'}/[\w.+-]+;base64,", uri):
        _check_data_uri(uri, path)
        return
    words = ("Invalid URL: it must begin with https://", "It must begin with runway://", "It must be a data URI")
    branches = [[issue([], message, "invalid_format")] for message in words]
    raise bad_body(issue(path, "Invalid input", "invalid_union", errors=branches))


def _check_data_uri(uri: str, path: list[str | int]) -> None:
    if len(uri) > DATA_URI_LIMIT:
        raise bad_body(issue(path, f"Too big: expected string to have <={DATA_URI_LIMIT} characters", "too_big"))
    try:
        base64.b64decode(uri.partition(",")[2], validate=True)
    except binascii.Error:
        raise bad_body(issue(path, "The data URI is not valid base64", "invalid_format")) from None


def _kind(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", type(None): "null"}
    return names.get(type(value), "object")
