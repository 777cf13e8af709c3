"""Runway's own API, production and staging."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .. import __version__
from ..errors import ApiError, DeniedError, NetworkError
from ..jsontext import Json
from ..settings import Target
from .answers import Answer, unexpected
from .retry import DIRECT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .client import Client

SECRET = "RUNWAY_SKILLS_API_SECRET"
SDK_SECRET = "RUNWAYML_API_SECRET"  # the name that the official SDKs read
STAGE_SECRET = "RUNWAY_SKILLS_API_SECRET_STAGE"
API_VERSION = "2024-11-06"


class Service:
    """Runway's API: its addresses, its headers, and what its answers mean. A gateway overrides what differs.

    `secret_names`: the variables that are tried for the secret, in order, by whether it is for staging; `base_urls` by
    the same. `contract_urls`: the sources of its OpenAPI document, tried in turn. `upload_refusal`: why it takes none.
    """

    policy = DIRECT
    secret_names: Mapping[bool, tuple[str, ...]] = {False: (SECRET, SDK_SECRET), True: (STAGE_SECRET, SECRET)}
    base_variable = "RUNWAY_SKILLS_BASE_URL"
    base_urls: Mapping[bool, str] = {False: "https://api.dev.runwayml.com", True: "https://api.dev-stage.runwayml.com"}
    variables: Sequence[tuple[str, str]] = (  # and what `help environment` says about them
        (SECRET, f"the API key; else {SDK_SECRET}"),
        (STAGE_SECRET, "the key for --stage, tried first"),
        (base_variable, "another address of the API"),
    )
    key_source = "a key from https://dev.runwayml.com/settings/api-keys"
    balance_call: Sequence[str] = ("request", "GET", "/v1/organization")  # our call that shows the account
    contract_urls: Sequence[str] = (
        "https://docs.dev.runwayml.com/openapi.json",
        "https://raw.githubusercontent.com/runwayml/openapi/refs/heads/main/openapi.json",
    )
    upload_refusal: str | None = None

    def __init__(self, target: Target) -> None:
        self.target = target

    def address(self, method: str, path: str) -> str:
        """Returns the URL of a path that `checked_path` has passed."""
        return self.target.base_url + path

    def exchange(self, client: Client, method: str, path: str, ask: Callable[[str], Answer]) -> Answer:
        """Makes one attempt of a call: `ask` sends it to a URL, and returns its answer or raises its failure."""
        return ask(self.address(method, path))

    def headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.target.secret}",
            "X-Runway-Version": API_VERSION,
            "X-Runway-Client-Id": self.target.client_id,
            "X-Runway-Source-Application": "skills",
            "X-Runway-Source-Application-Version": __version__,
        }

    def unwrap(self, status: int, value: Json) -> Answer:
        """Returns the answer as Runway gives it, without a gateway's envelope."""
        return Answer(status, value)

    def check_key(self, client: Client) -> dict[str, Json]:
        """Returns the organization and its credits, or a note if only a list can be read, which also proves the key.

        Raises DeniedError where the key is refused, else the first failure, with the fact `undecided`.
        """

        def look(path: str) -> Json:
            answer = client.call("GET", path, retries=0)
            if answer.is_empty or not isinstance(answer.value, dict):  # any server might answer nothing, null or a list
                raise unexpected(answer, path, "a JSON object", client.console.mask)
            return answer.value

        try:
            account = look("/v1/organization")
            return {"organization": account.get("name"), "creditBalance": account.get("creditBalance")}
        except (ApiError, NetworkError) as error:
            first, status = error, error.fact("status")
        if status == 401:
            raise first
        try:
            look("/v1/avatars?limit=1")
        except (ApiError, NetworkError) as second:
            if second.fact("status") == 401 or status == second.fact("status") == 403:
                raise DeniedError(first.message, status=second.fact("status")) from None
            reason = second if isinstance(first, DeniedError) else first
            raise reason.but(undecided=first.message) from None
        return {"note": f"the key works, but /v1/organization does not answer: {first.message}"}
