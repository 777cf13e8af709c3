"""Stand-ins for LowCodeAPI's gateways, which keep the provider's key and forward three calls."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any, Callable
from urllib.parse import unquote, urljoin, urlsplit

from tests.fake.api import API_VERSION, SECRET, STAGE_SECRET
from tests.fake.contract import data
from tests.fake.http import Answer, NoAnswer, Request, json_answer

TOKEN = "at_0123456789abcdef0123456789abcdef"  # obviously fake, and accepted
PROVIDER = "runwayml"
METHODS = ("POST", "GET", "DELETE")
SELF_HOSTED_ROUTES = ("POST /v1/image_to_video", "GET /v1/tasks/id", "DELETE /v1/tasks/id")
OWN_KEY = "The provider's own key is not expected here"
TOKEN_REQUIRED = "A valid API token is required to access this API."


class GatewayRefusal(Exception):
    """What a gateway refuses by itself. `more` are further keys of a self-hosted one's `error`."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.more = status, message, more


@dataclass
class HostedGateway:
    """The service at api.lowcodeapi.com, as its page describes it: both URL formats, `{"data": …}` around all."""

    provider: Callable[[Request], Answer]

    def service(self, request: Request) -> Answer:
        """Checks one request, forwards it with the provider's key, and wraps what comes back."""
        body = request.read()
        try:
            if "authorization" in request.headers:
                raise GatewayRefusal(400, "The Authorization header is not expected here")
            if _carries_provider_key(request):
                raise GatewayRefusal(400, OWN_KEY)
            if request.query.get("api_token") != [TOKEN]:
                raise GatewayRefusal(401, "Invalid or missing api_token")
            path = self._provider_path(request)
        except GatewayRefusal as refusal:
            error = {"message": refusal.message, "code": refusal.status}
            return json_answer(refusal.status, {"data": {"error": error}})
        answer = self.provider(_forwarded(request.method, path, body))
        content = answer.body
        value: Any = json.loads(content) if content else {}
        if answer.status < 400:
            return _wrapped(answer, 200, {"data": value})
        error = {"message": value["error"], "code": answer.status}
        return _wrapped(answer, answer.status, {"data": {"error": error}})

    def _provider_path(self, request: Request) -> str:
        match = re.fullmatch(rf"/{PROVIDER}(/v1/tasks/([^/]+)|/v1/image_to_video)", request.path)
        if not match or (request.method == "POST") != (match[2] is None) or request.method not in METHODS:
            raise GatewayRefusal(404, f"Route not found: {request.method} {request.path}")
        if unquote(match[2] or "") not in ("id", "{id}"):
            return match[1]
        if not request.first("id"):
            raise GatewayRefusal(400, "The parameter id is missing")
        return f"/v1/tasks/{request.first('id')}"


@dataclass
class SelfHostedGateway:
    """The open-source gateway, which behaves as its release of November 2025 was seen to.

    It knows the old URL format only, answers a route that it does not know before it looks at the token, and never
    answers where the provider's success has no body (a DELETE's 204), although the provider has acted. It sends
    X-Runway-Version, which as published it does not.
    """

    provider: Callable[[Request], Answer]

    def service(self, request: Request) -> Answer:
        """Checks one request, forwards it with the provider's key, and wraps what comes back."""
        request.read()
        route = f"{request.method} {request.path}"
        if route == f"GET /{PROVIDER}/definition":
            return json_answer(200, data("gateway-definition"))
        if route.replace(f"/{PROVIDER}", "", 1) not in SELF_HOSTED_ROUTES:
            return json_answer(404, {"message": "Not Found"})
        try:
            self._check(request)
        except GatewayRefusal as refusal:
            own = {"message": refusal.message, "provider": PROVIDER, "error": refusal.more}
            return json_answer(refusal.status, own)
        # The id is put into the URL as it is, and the URL is then resolved: ../organization leads there.
        task_path = urljoin("http://upstream/v1/tasks/", request.first("id") or "undefined")
        path = "/v1/image_to_video" if request.method == "POST" else urlsplit(task_path).path
        return self._wrap(self.provider(_forwarded(request.method, path, request.body)))

    def _check(self, request: Request) -> None:
        tokens = request.query.get("api_token", [])
        if _carries_provider_key(request):
            raise GatewayRefusal(400, OWN_KEY)
        if len(tokens) > 1:
            raise GatewayRefusal(500, "PrismaClientValidationError: \nInvalid `prisma.users_api_tokens.findFirst()`")
        if not tokens or not tokens[0].startswith("at_"):
            query = {key: values[0] for key, values in request.query.items()}
            logged = {"method": request.method, "status_code": 401, "message": TOKEN_REQUIRED, "path": request.path}
            logged.update(headers=request.headers, query=query)
            raise GatewayRefusal(401, TOKEN_REQUIRED, code=401, logging=logged)
        if tokens != [TOKEN]:
            raise GatewayRefusal(403, "Invalid api_token", code=403)

    def _wrap(self, answer: Answer) -> Answer:
        headers = {"date": formatdate(usegmt=True), **{name.lower(): text for name, text in answer.headers.items()}}
        headers["content-length"] = str(len(answer.body))
        if not answer.body:
            raise NoAnswer
        value = json.loads(answer.body)
        if answer.status >= 400:
            words = f"Error received from the {PROVIDER} API"
            shown = {"message": words, "provider": PROVIDER, "error": value, "headers": headers}
            return json_answer(answer.status, shown)
        message = value.get("message", "Request completed")
        shown = {"message": message, "provider": PROVIDER, "result": value, "response_headers": headers}
        return _wrapped(answer, 200, shown)


def _carries_provider_key(request: Request) -> bool:
    """Returns whether the provider's own key is anywhere in a request: no gateway may ever get it."""
    carried = [request.target, *request.headers.values(), request.body.decode("utf-8", "replace")]
    return any(secret in text for text in carried for secret in (SECRET, STAGE_SECRET))


def _forwarded(method: str, path: str, body: bytes) -> Request:
    """Returns what a gateway asks of the provider, with the key that it keeps."""
    sent = {"authorization": f"Bearer {SECRET}", "x-runway-version": API_VERSION}
    if body:
        sent.update({"content-length": str(len(body)), "content-type": "application/json"})
    return Request("upstream", method, path, sent, stream=io.BytesIO(body))


def _wrapped(answer: Answer, status: int, value: Any) -> Answer:
    """Returns an answer that holds another value and passes the same moments."""
    shown = json_answer(status, value)
    return replace(answer, status=status, headers=shown.headers, body=shown.body)
