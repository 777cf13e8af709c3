"""A stand-in for LowCodeAPI's open-source gateway, which behaves as its release of November 2025 was seen to.

It knows the old URL format only, answers a route that it does not know before it looks at the token, and never answers
where the provider's success has no Content-Type (a DELETE's 204), although the provider has acted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any, Callable
from urllib.parse import urljoin, urlsplit

from tests.fake.contract import data
from tests.fake.faults import Faults
from tests.fake.gateway import PROVIDER, TOKEN, GatewayRefusal, carries_provider_key, upstream_request
from tests.fake.messages import Answer, NoAnswer, Request, json_answer
from tests.fake.refusals import API_VERSION

ROUTES = ("POST /v1/image_to_video", "GET /v1/tasks/id", "DELETE /v1/tasks/id")
NOT_FOUND = {"message": "Not Found"}
TOKEN_REQUIRED = "A valid API token is required to access this API."
NOT_CONNECTED = f"No access token is associated with this api_token, authorize your {PROVIDER} with LowCodeAPI."
BROKEN = {"half_answer": "stream has been aborted"}  # what other faults of the provider become: read ECONNRESET


@dataclass
class SelfHostedGateway:
    """One gateway of the open-source release.

    `sends_version`: that it sends X-Runway-Version, which as published it does not. `connected`: that the account of
    the token has a key of the provider. `faults` for the server `upstream` befall what it asks of the provider.
    """

    provider: Callable[[Request], Answer]
    faults: Faults
    sends_version: bool = True
    connected: bool = True
    errors_under_200: bool = False

    def service(self, request: Request) -> Answer:
        """Check one request, forward it with the provider's key, and wrap what comes back."""
        body = request.body.read()
        prefix, path = f"/{PROVIDER}", request.path
        if path == f"{prefix}/definition":
            return json_answer(200, data("gateway-definition"))
        if not path.startswith(prefix) or f"{request.method} {path[len(prefix) :]}" not in ROUTES:
            return json_answer(404, NOT_FOUND)
        try:
            sent = _body(request, body)
            self._check(request, body)
        except GatewayRefusal as refusal:
            own = {"message": refusal.message, "provider": PROVIDER, "error": refusal.more}
            return json_answer(refusal.status, own if refusal.status != 400 else {"message": refusal.message})
        # The id is put into the URL as it is, and the URL is then resolved: ../organization leads there.
        task_path = urljoin("http://upstream/v1/tasks/", request.first("id") or "undefined")
        target = "/v1/image_to_video" if request.method == "POST" else urlsplit(task_path).path
        headers = {"x-runway-version": API_VERSION} if self.sends_version else {}
        return self._ask(upstream_request(request.method, target, sent, headers))

    def _check(self, request: Request, body: bytes) -> None:
        tokens = request.query.get("api_token", [])
        if carries_provider_key(request, body):
            raise GatewayRefusal(400, "The provider's own key is not expected here")
        if len(tokens) > 1:
            raise GatewayRefusal(500, "PrismaClientValidationError: \nInvalid `prisma.users_api_tokens.findFirst()`")
        if not tokens or not tokens[0].startswith("at_"):
            query = {key: values[0] for key, values in request.query.items()}
            logged = {"method": request.method, "status_code": 401, "message": TOKEN_REQUIRED, "path": request.path}
            logged.update(headers=request.headers, query=query)
            raise GatewayRefusal(401, TOKEN_REQUIRED, code=401, logging=logged)
        if tokens != [TOKEN]:
            raise GatewayRefusal(403, "Invalid api_token", code=403)
        if not self.connected:
            raise GatewayRefusal(403, NOT_CONNECTED, code=403)

    def _ask(self, request: Request) -> Answer:
        fault = self.faults.pick(request)
        if fault is None:
            return self._wrap(self.provider(request))
        if fault.kind.startswith("forward_then"):
            self.provider(request)
        answer = fault.own_answer()
        if answer:
            return self._wrap(answer)
        if fault.kind == "no_answer":
            raise NoAnswer
        words = BROKEN.get(fault.kind, "read ECONNRESET")
        return json_answer(500, {"message": words, "provider": PROVIDER, "error": {"message": words}})

    def _wrap(self, answer: Answer) -> Answer:
        content = answer.content()
        headers = {"date": formatdate(usegmt=True), **{name.lower(): text for name, text in answer.headers.items()}}
        headers["content-length"] = str(len(content))
        media_type = headers.get("content-type", "")
        value = _parsed(content)
        if answer.status >= 400:
            shown: dict[str, Any] = {"message": f"Error received from the {PROVIDER} API", "provider": PROVIDER}
            shown["error"] = value if content else {"headers": headers, "code": answer.status}
            return json_answer(200 if self.errors_under_200 else answer.status, {**shown, "headers": headers})
        if not media_type or value is None:
            raise NoAnswer
        if media_type.partition(";")[0] != "application/json":
            return replace(answer, body=content)
        message = value.get("message", "Request completed") if isinstance(value, dict) else "Request completed"
        shown = {"message": message, "provider": PROVIDER, "result": value, "response_headers": headers}
        wrapped = json_answer(200, shown)
        return replace(answer, status=200, headers=wrapped.headers, body=wrapped.body)


def _body(request: Request, body: bytes) -> bytes:
    """The body as it is forwarded: JSON as JavaScript reads it; an empty object where another type was sent."""
    if request.method != "POST":
        return b""
    if not body or request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return b"{}"
    try:
        value = json.loads(body, parse_int=lambda digits: int(float(digits)) if len(digits) > 15 else int(digits))
    except ValueError as error:
        raise GatewayRefusal(400, str(error)) from None
    if not isinstance(value, (dict, list)):
        raise GatewayRefusal(400, f"Unexpected token, {body.decode('utf-8', 'replace')!r} is not valid JSON")
    return json.dumps(value).encode("utf-8")


def _parsed(content: bytes) -> Any:
    """The provider's answer: text where it is not JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")
