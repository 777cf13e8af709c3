"""LowCodeAPI's runwayml gateway: a Runway request as its URL, and its envelope as what Runway would have said.

The gateway keeps the customer's Runway key and takes a token of its own, in the query. It has two URL formats. New:
path parameters stay in the path, /v1/tasks/ID. Old: they go into the query, /v1/tasks/id?id=ID. There is one path
with a parameter. Source of both and of the envelopes: the gateway's documentation and its OpenAPI document.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .errors import ApiError
    from .settings import Target

DOCUMENT = "https://backend.lowcodeapi.com/runwayml/openapi"
OFFERED = "POST /v1/image_to_video, GET /v1/tasks/ID and DELETE /v1/tasks/ID"
NO_TASK = "/v1/tasks/00000000-0000-4000-8000-000000000000"  # asked for to see whether the token works
_TASK = re.compile(r"/v1/tasks/([^/?]+)(?:\?(.*))?$")
_OFFERED = {"POST": re.compile(r"/v1/image_to_video/?(\?|$)"), "GET": _TASK, "DELETE": _TASK}
_ROUTE = re.compile(r"\b(route|endpoint|cannot (get|post|put|patch|delete))\b", re.IGNORECASE)
PROVIDER_FAILED = 500  # the gateway's status for an error of the provider that has none of its own
_FORMAT_ERRORS = (400, 404, 405, 422)  # and 5xx: what a gateway that knows only the other format may answer


class LowCodeAPI:
    """The dialect of one process: once a URL format has worked, it stays with it."""

    proves_refusal = False  # its 502 may come after Runway has accepted the POST
    look: Sequence[str] = ("auth", "status")  # it shows no balance, nor a list of tasks

    def __init__(self, target: Target) -> None:
        self.base_url = target.base_url
        self.token = target.secret or ""
        self.format = target.url_format

    def addresses(self, method: str, path: str) -> list[str]:
        """The new format first, and the old one for a GET or DELETE with a path parameter: a POST goes out once."""
        new = self._with_token(path)
        task = _TASK.match(path)
        if not task or method not in ("GET", "DELETE") or self.format == "new":
            return [new]
        from urllib.parse import quote, unquote

        query = "&".join(filter(None, ("id=" + quote(unquote(task[1]), safe=""), task[2])))
        old = self._with_token("/v1/tasks/id?" + query)
        return [old] if self.format == "old" else [new, old]

    def headers(self) -> dict[str, str]:
        """None: the token stands in the query, and Runway's headers tell of an account that is not the gateway's."""
        return {}

    def unwrapped(self, status: int, value: Any) -> tuple[int, Any, bool]:
        """Hosted {"data": …} and self-hosted {"provider", "result" | "error", …} without their envelope."""
        if not isinstance(value, dict):
            return status, value, False
        if "provider" in value and "result" in value:
            return status, _filled(value["result"]), True
        if "provider" in value and "error" in value:
            body = value["error"]
            return _error(status, body if isinstance(body, dict) else {"error": body or value.get("message")})
        if list(value) != ["data"]:
            return status, value, False
        inner = value["data"]
        if isinstance(inner, dict) and inner.get("error"):
            return _error(status, inner)
        return status, _filled(inner), True

    def another_may_help(self, path: str, error: ApiError) -> bool:
        """Whether the error may be the format's fault. The task that does not exist has answered its question."""
        if path == NO_TASK and error.from_provider:
            return False
        return error.status in _FORMAT_ERRORS or error.status >= 500

    def preferred(self, first: ApiError, second: ApiError) -> ApiError:
        """The first, unless only the second are the API's own words."""
        return second if second.from_provider and not first.from_provider else first

    def worked(self, url: str) -> str | None:
        """Stays with the format that worked; a note when that is the old one."""
        if self.format != "auto" or not url.startswith(self.base_url + "/v1/tasks/"):
            return None
        if not url.startswith(self.base_url + "/v1/tasks/id?"):
            self.format = "new"
            return None
        self.format = "old"
        return "the gateway knows the old URL format: --url-format old saves a request"

    def explained(self, method: str, path: str, error: ApiError) -> ApiError:
        """The error, with what the gateway offers where it was asked for something else."""
        offered = _OFFERED.get(method)
        if error.status in (404, 405) and not (offered and offered.match(path)):
            error.message += (f". The gateway offers {OFFERED}; for anything else call Runway itself: without "
                              "--gateway, with RUNWAY_SKILLS_API_SECRET")
            error.example = ("request", method, path.partition("?")[0], "--dry-run")
            error.directly = True
        return error

    def _with_token(self, path: str) -> str:
        from urllib.parse import quote

        return f"{self.base_url}{path}{'&' if '?' in path else '?'}api_token={quote(self.token, safe='*')}"


def _filled(inner: Any) -> Any:
    """What an empty answer of the provider is in an envelope, as the direct API's is read."""
    return {} if inner in (None, "") else inner


def _error(status: int, body: dict[str, Any]) -> tuple[int, Any, bool]:
    """An error's status and body as Runway's: {"error": words, "code", "issues", "docUrl"}.

    One under HTTP 200 takes its status from its code, where that is one.
    """
    inner = body.get("error")
    if isinstance(inner, dict):
        body = {**body, **inner, "error": inner.get("error") or inner.get("message")}
    code = str(body.get("code", ""))
    if status < 400:
        status = int(code) if len(code) == 3 and code.isdigit() and "400" <= code <= "599" else PROVIDER_FAILED
    if code == str(status):
        body = {key: item for key, item in body.items() if key != "code"}
    words = body.get("error") or body.get("message")
    return status, body, not (status == 404 and _ROUTE.search(str(words)))
