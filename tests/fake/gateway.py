"""A stand-in for LowCodeAPI's hosted gateway: it keeps the provider's key and forwards three calls."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Callable
from urllib.parse import unquote

from tests.fake.messages import Answer, Body, Request, json_answer
from tests.fake.refusals import API_VERSION, SECRET, STAGE_SECRET

TOKEN = "at_0123456789abcdef0123456789abcdef"  # obviously fake, and accepted
PROVIDER = "runwayml"
ROUTES = ("POST /v1/image_to_video", "GET /v1/tasks/{id}", "DELETE /v1/tasks/{id}")


class GatewayRefusal(Exception):
    """What a gateway refuses by itself. `more` are further keys of a self-hosted one's `error`."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.more = status, message, more


def carries_provider_key(request: Request, body: bytes) -> bool:
    """Whether the provider's own key is anywhere in a request: no gateway may ever get it."""
    carried = [request.target, *request.headers.values(), body.decode("utf-8", "replace")]
    return any(secret in text for text in carried for secret in (SECRET, STAGE_SECRET))


def upstream_request(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Request:
    """What a gateway asks of the provider, with the key that it keeps."""
    sent = {"authorization": f"Bearer {SECRET}", **headers}
    if body:
        sent.update({"content-length": str(len(body)), "content-type": "application/json"})
    return Request("upstream", method, path, path, {}, sent, Body(io.BytesIO(body), sent))


@dataclass
class HostedGateway:
    """The service at api.lowcodeapi.com, as its page describes it: both URL formats, `{"data": …}` around everything.

    With `errors_under_200` an error of the provider comes under HTTP 200.
    """

    provider: Callable[[Request], Answer]
    errors_under_200: bool = False

    def service(self, request: Request) -> Answer:
        """Check one request, forward it with the provider's key, and wrap what comes back."""
        body = request.body.read()
        try:
            self._check(request, body)
            path = self._provider_path(request)
        except GatewayRefusal as refusal:
            error = {"message": refusal.message, "code": refusal.status}
            return json_answer(refusal.status, {"data": {"error": error}})
        version = {"x-runway-version": API_VERSION}
        return self._wrap(self.provider(upstream_request(request.method, path, body, version)))

    def _check(self, request: Request, body: bytes) -> None:
        if "authorization" in request.headers:
            raise GatewayRefusal(400, "The Authorization header is not expected here")
        if carries_provider_key(request, body):
            raise GatewayRefusal(400, "The provider's own key is not expected here")
        if request.query.get("api_token") != [TOKEN]:
            raise GatewayRefusal(401, "Invalid or missing api_token")

    def _provider_path(self, request: Request) -> str:
        prefix, path = f"/{PROVIDER}/", request.path
        if not path.startswith(prefix):
            raise GatewayRefusal(404, f"No such provider: {path}")
        path = path[len(prefix) - 1 :]
        if request.method == "POST" and path == "/v1/image_to_video":
            return path
        match = re.fullmatch(r"/v1/tasks/([^/]+)", path)
        if not match or request.method not in ("GET", "DELETE"):
            raise GatewayRefusal(404, f"Route not found: {request.method} {path}. There are: {', '.join(ROUTES)}")
        if unquote(match.group(1)) not in ("id", "{id}"):
            return path
        if not request.first("id"):
            raise GatewayRefusal(400, "The parameter id is missing")
        return f"/v1/tasks/{request.first('id')}"

    def _wrap(self, answer: Answer) -> Answer:
        content = answer.content()
        value: Any = json.loads(content) if content else {}
        failed = answer.status >= 400
        wrapped = {"error": {"message": value["error"], "code": answer.status}} if failed else value
        shown = json_answer(200 if self.errors_under_200 or not failed else answer.status, {"data": wrapped})
        return replace(answer, status=shown.status, headers=shown.headers, body=shown.body)
