"""LowCodeAPI's runwayml gateway: turns Runway's paths into its URLs, and its envelopes into Runway's answers.

The gateway keeps the customer's Runway key and takes a token of its own, in the query. It has two URL formats. New:
path parameters stay in the path, /v1/tasks/ID. Old: they go into the query, /v1/tasks/id?id=ID. One path has a
parameter. Sources: the gateway's documentation, its OpenAPI document, and what the self-hosted server answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import ApiError, DeniedError, NetworkError
from ..jsontext import Json
from ..settings import Target
from .answers import Answer, unexpected
from .paths import segment
from .retry import GATEWAY
from .runway import Service as RunwayService

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .client import Client

TOKEN = "LOWCODEAPI_API_TOKEN"
HOSTED = "https://api.lowcodeapi.com/runwayml"
HOSTED_CONTRACTS = tuple(f"https://backend.lowcodeapi.com/runwayml/{name}" for name in ("openapi", "definition"))
PROVIDER = "/runwayml"  # the part of the path that names the provider
NO_TASK = "/v1/tasks/00000000-0000-4000-8000-000000000000"  # requested to see whether the token works
FORMAT_ERRORS = (400, 404, 405, 422)  # and 5xx: what a gateway that knows only the other format may answer
OFFERED = "POST /v1/image_to_video, GET /v1/tasks/ID and DELETE /v1/tasks/ID"
_TASK = r"/v1/tasks/([^/?]+)(?:\?(.*))?$"
_OFFERED = rf"POST /v1/image_to_video/?(\?|$)|(GET|DELETE) {_TASK}"
_ROUTE = r"(?i)\b(route|endpoint|cannot (get|post|put|patch|delete))\b"


class Service(RunwayService):
    """The gateway, for one process: once a URL format has worked, it keeps to that one."""

    policy = GATEWAY
    secret_names = dict.fromkeys((False, True), (TOKEN,))
    base_variable = "LOWCODEAPI_BASE_URL"
    base_urls = dict.fromkeys((False, True), HOSTED)
    variables = ((TOKEN, "the gateway's token"), (base_variable, "the address of a self-hosted gateway"))
    key_source = "a token of LowCodeAPI"
    balance_call = ("auth", "status")  # it shows neither a balance nor a list of tasks
    upload_refusal = (
        "uploads need a Runway key, which a gateway does not have: set RUNWAY_SKILLS_API_SECRET and leave "
        "--gateway out, or pass an https URL instead of a file"
    )

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.format = target.url_format
        origin = "/".join(target.base_url.split("/")[:3])  # where a self-hosted gateway describes itself
        own = () if target.base_url == HOSTED else (f"{origin}{PROVIDER}/definition",)
        self.contract_urls = (*own, *HOSTED_CONTRACTS)

    def address(self, method: str, path: str, *, is_old: bool = False) -> str:
        """Returns the URL; for a task in the new format, unless the old one is requested, pinned, or has worked."""
        is_old = (is_old or self.format == "old") and method in ("GET", "DELETE")
        if is_old and (task := re.match(_TASK, path)):
            from urllib.parse import unquote

            path = "/v1/tasks/id?" + "&".join(filter(None, ("id=" + segment(unquote(task[1])), task[2])))
        mark = "&" if "?" in path else "?"
        return f"{self.target.base_url}{path}{mark}api_token={segment(self.target.secret or '')}"

    def exchange(self, client: Client, method: str, path: str, ask: Callable[[str], Answer]) -> Answer:
        """Tries the new format first, then the old one where that may help: a POST is sent once."""
        url = self.address(method, path)
        old = self.address(method, path, is_old=True) if self.format == "auto" else url
        try:
            answer = ask(url)
            self.format = self.format if old == url else "new"
            return answer
        except (ApiError, NetworkError) as first:
            failure = first

        is_of_format = isinstance(failure, ApiError) and (failure.status in FORMAT_ERRORS or failure.status >= 500)
        is_no_task = path == NO_TASK and failure.fact("from_provider")  # a 404 is the expected answer for it
        if old != url and is_of_format and not is_no_task:
            try:
                answer = ask(old)
                self.format = "old"
                client.console.note("the gateway uses the old URL format: --url-format old saves a request")
                return answer
            except (ApiError, NetworkError) as second:
                is_lost = isinstance(second, NetworkError) and failure.fact("status") in (404, 405)
                is_telling = is_lost or isinstance(second, DeniedError) or second.fact("from_provider")
                if is_telling and not failure.fact("from_provider"):  # the first error was only the gateway's own
                    failure = second

        if isinstance(failure, NetworkError):
            if method == "DELETE" and failure.maybe_received and self._finds_deleted(client, path):
                return Answer(204, {})
        elif failure.status in (404, 405):
            if not re.match(_OFFERED, f"{method} {path}"):
                raise failure.but(
                    f"{failure.message}. The gateway offers {OFFERED}; for anything else call Runway directly: without "
                    "--gateway, with RUNWAY_SKILLS_API_SECRET",
                    try_next=("request", method, path.partition("?")[0], "--dry-run"),
                    drop=("--gateway", "--url-format"),
                )
            if not failure.from_provider and PROVIDER not in self.target.base_url:
                words = f"{failure.message}. {self.base_variable} should end in {PROVIDER}, the provider's name"
                raise failure.but(words, variable=self.base_variable)
        raise failure

    def _finds_deleted(self, client: Client, path: str) -> bool:
        """Returns whether a DELETE was carried out: the self-hosted gateway never passes its empty answer on."""
        try:
            task = client.call("GET", path.partition("?")[0], retries=0).value
            return isinstance(task, dict) and task.get("status") == "CANCELLED"
        except (ApiError, NetworkError) as error:
            return error.fact("status") == 404 and bool(error.fact("from_provider"))

    def headers(self) -> dict[str, str]:
        """Returns none: the token is in the query, and Runway's headers belong to another account."""
        return {}

    def unwrap(self, status: int, value: Json) -> Answer:
        """Returns hosted {"data": …} and self-hosted {"provider", "result" | "error", …} without their envelope."""
        if not isinstance(value, dict):
            return Answer(status, value, from_provider=False)
        if "provider" in value and "result" in value:
            result = {} if value["result"] in (None, "") else value["result"]
            return Answer(status, result, is_json=not isinstance(result, str))  # text if upstream's JSON was broken
        error: Json = value.get("error")
        # the gateway's own errors come without upstream's headers, and with only these keys inside
        is_own = "headers" not in value and isinstance(error, dict) and set(error) <= {"code", "logging", "message"}
        if "provider" in value and "error" in value and not is_own:
            return _error(status, error, value)
        if list(value) == ["data"]:
            data = value["data"]
            if isinstance(data, dict) and data.get("error"):
                return _error(status, data, {})
            return Answer(status, {} if data in (None, "") else data)
        if status >= 400:  # the gateway's own error, whose `logging` repeats the token
            message = value.get("message") or (error.get("message") if isinstance(error, dict) else error)
            value = {"error": message} if isinstance(message, str) else {}
        return Answer(status, value, from_provider=False)

    def check_key(self, client: Client) -> dict[str, Json]:
        """Returns a note: no endpoint shows the account, but Runway's answer for a missing task proves the token.

        Raises DeniedError, or another failure with the fact `undecided`.
        """
        note = "the token works; the gateway shows neither the organization nor its credits"
        try:
            answer = client.call("GET", NO_TASK, retries=0)
            if not isinstance(answer.value, dict) or not answer.value or not answer.from_provider:
                raise unexpected(answer, NO_TASK, "Runway's", client.console.mask)
        except (ApiError, NetworkError) as error:
            status = error.fact("status")
            if status not in (400, 404) or not error.fact("from_provider"):
                raise error.but(undecided=None if isinstance(error, DeniedError) else error.message) from None
            if status == 400:
                note += f". Runway's answer to a test request: {error.message}"
        return {"note": note}


def _error(status: int, body: Json, envelope: dict[str, Json]) -> Answer:
    """Returns an error's status and body as Runway's: {"error": words, "code", "issues", "docUrl"}.

    One under HTTP 200 takes its status from its code, where that is one. `body` is text where upstream's was not JSON;
    `envelope` holds the self-hosted gateway's `message` and upstream's `headers`.
    """
    body = body if isinstance(body, dict) else {"error": body}
    inner = body.get("error")
    if isinstance(inner, dict):
        body = {**body, **inner, "error": inner.get("error")}
    code = str(body.get("code", ""))
    if status < 400:
        status = int(code) if re.fullmatch("[45][0-9][0-9]", code) else 500
    if code == str(status):
        body = {key: item for key, item in body.items() if key != "code"}
    words = body.get("error") or body.get("message") or envelope.get("message")
    if envelope and status == 401:
        words = f"{words} (Runway refused the key that the gateway keeps; the token itself is good)"
    is_route = status == 404 and re.search(_ROUTE, str(words)) is not None
    headers = envelope["headers"] if isinstance(envelope.get("headers"), dict) else {}
    return Answer(status, {**body, "error": words}, from_provider=not is_route, headers=headers)
