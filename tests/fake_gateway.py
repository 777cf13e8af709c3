"""A stand-in for LowCodeAPI's gateway, hosted or self-hosted: it keeps the provider's key and forwards three calls."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from typing import Any, Callable
from urllib.parse import unquote

from tests.fake_checks import API_VERSION, SECRET, STAGE_SECRET
from tests.fake_http import Answer, Body, Request, json_answer

TOKEN = "at_0123456789abcdef0123456789abcdef"  # obviously fake, and accepted
PROVIDER = "runwayml"
ROUTES = ("POST /v1/image_to_video", "GET /v1/tasks/{id}", "DELETE /v1/tasks/{id}")


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Gateway:
    """One gateway. `formats` are the URL formats it knows: "new", "old"; `envelope`: "hosted" or "self_hosted".

    With `errors_under_200` an error of the provider comes under HTTP 200.
    """

    provider: Callable[[Request], Answer]
    envelope: str
    formats: tuple[str, ...]
    errors_under_200: bool = False

    def service(self, request: Request) -> Answer:
        """Check one request, forward it with the provider's key, and wrap what comes back."""
        body = request.body.read()
        try:
            self._check(request, body)
            forwarded = self._forward(request, body)
        except _Refused as refused:
            return self._refuse(refused)
        return self._wrap(self.provider(forwarded))

    def _check(self, request: Request, body: bytes) -> None:
        if "authorization" in request.headers:
            raise _Refused(400, "The Authorization header is not expected here")
        carried = [request.target, *request.headers.values(), body.decode("utf-8", "replace")]
        if any(secret in text for text in carried for secret in (SECRET, STAGE_SECRET)):
            raise _Refused(400, "The provider's own key is not expected here")
        if request.query.get("api_token") != [TOKEN]:
            raise _Refused(401, "Invalid or missing api_token")

    def _forward(self, request: Request, body: bytes) -> Request:
        path = self._provider_path(request)
        headers = {"authorization": f"Bearer {SECRET}", "x-runway-version": API_VERSION}
        if body:
            headers.update({"content-length": str(len(body)), "content-type": request.headers.get("content-type", "")})
        return Request("api", request.method, path, path, {}, headers, Body(io.BytesIO(body), headers))

    def _provider_path(self, request: Request) -> str:
        prefix, path = f"/{PROVIDER}/", request.path
        if not path.startswith(prefix):
            raise _Refused(404, f"No such provider: {path}")
        path = path[len(prefix) - 1 :]
        if request.method == "POST" and path == "/v1/image_to_video":
            return path
        match = re.fullmatch(r"/v1/tasks/([^/]+)", path)
        if not match or request.method not in ("GET", "DELETE"):
            raise _Refused(404, f"Route not found: {request.method} {path}. There are: {', '.join(ROUTES)}")
        if unquote(match.group(1)) in ("id", "{id}"):
            return self._old_path(request)
        if "new" not in self.formats:
            raise _Refused(404, f"Route not found: {request.method} {path}")
        return path

    def _old_path(self, request: Request) -> str:
        if "old" not in self.formats:
            raise _Refused(404, "Route not found: path parameters belong into the path")
        task_id = request.first("id")
        if not task_id:
            raise _Refused(400, "The parameter id is missing")
        return f"/v1/tasks/{task_id}"

    def _refuse(self, refused: _Refused) -> Answer:
        error = {"message": refused.message, "code": refused.status}
        if self.envelope == "hosted":
            return json_answer(refused.status, {"data": {"error": error}})
        return json_answer(
            refused.status, {"message": refused.message, "provider": PROVIDER, "error": error, "headers": {}}
        )

    def _wrap(self, answer: Answer) -> Answer:
        content = answer.content()
        value: Any = json.loads(content) if content else {}
        failed = answer.status >= 400
        status = 200 if self.errors_under_200 or not failed else answer.status
        if self.envelope == "hosted":
            return json_answer(status, {"data": {"error": _told(value, answer.status)} if failed else value})
        headers = dict(answer.headers)
        if failed:
            shown = {"message": "The provider answered with an error", "provider": PROVIDER, "error": value}
            return json_answer(status, {**shown, "headers": headers})
        shown = {"message": "Success", "provider": PROVIDER, "result": value}
        return json_answer(status, {**shown, "response_headers": headers})


def _told(value: Any, status: int) -> dict[str, Any]:
    return {"message": value["error"], "code": status}
