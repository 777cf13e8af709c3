"""Runway's own API, production and staging."""

from __future__ import annotations

from .. import __version__
from ..errors import ApiError, DeniedError, NetworkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..errors import RunwayError
    from ..settings import Target
    from .answers import Unwrapped
    from .client import Client
    from .retry import RetryPolicy


SECRET = "RUNWAY_SKILLS_API_SECRET"
SDK_SECRET = "RUNWAYML_API_SECRET"  # the name that the official SDKs read
STAGE_SECRET = "RUNWAY_SKILLS_API_SECRET_STAGE"
BASE_VARIABLE = "RUNWAY_SKILLS_BASE_URL"
VARIABLES = (
    (SECRET, f"the API key; else {SDK_SECRET}"),
    (STAGE_SECRET, "the key for --stage, tried first"),
    (BASE_VARIABLE, "another address of the API"),
)
PRODUCTION = "https://api.dev.runwayml.com"
STAGE = "https://api.dev-stage.runwayml.com"
KEY_SOURCE = "a key from https://dev.runwayml.com/settings/api-keys"
API_VERSION = "2024-11-06"


def secret_names(stage: bool) -> tuple[str, ...]:
    """The variables that are tried for the secret, in order."""
    return (STAGE_SECRET, SECRET) if stage else (SECRET, SDK_SECRET)


def base_url(stage: bool) -> str:
    return STAGE if stage else PRODUCTION


class Service:
    """Runway itself: its words need no translation."""

    balance_call: Sequence[str] = ("request", "GET", "/v1/organization")
    contract_urls: Sequence[str] = (
        "https://docs.dev.runwayml.com/openapi.json",
        "https://raw.githubusercontent.com/runwayml/openapi/refs/heads/main/openapi.json",
    )
    upload_refusal: str | None = None

    def __init__(self, target: Target) -> None:
        self.target = target

    @property
    def policy(self) -> RetryPolicy:
        from .retry import DIRECT  # a dry run does without

        return DIRECT

    def addresses(self, method: str, path: str) -> list[str]:
        return [self.target.base_url + path]

    def headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.target.secret}",
            "X-Runway-Version": API_VERSION,
            "X-Runway-Client-Id": self.target.client_id,
            "X-Runway-Source-Application": "skills",
            "X-Runway-Source-Application-Version": __version__,
        }

    def unwrap(self, status: int, value: Any) -> Unwrapped:
        from .answers import Unwrapped  # a dry run does without

        return Unwrapped(status, value)

    def is_worth_another_address(self, path: str, error: ApiError) -> bool:
        return False

    def preferred(self, first: ApiError, second: RunwayError) -> RunwayError:
        return first

    def worked(self, url: str) -> str | None:
        return None

    def explained(self, method: str, path: str, error: ApiError) -> ApiError:
        return error

    def finds_deleted(self, client: Client, path: str) -> bool:
        return False

    def check_key(self, client: Client) -> dict[str, Any]:
        """The organization and its credits, else what a list proves: /v1/organization may fail where data works.

        Raises DeniedError where the key is refused, else the first failure, with the fact `undecided`.
        """
        try:
            found = client.call("GET", "/v1/organization", retries=0).value
            account = found if isinstance(found, dict) else {}
            return {"organization": account.get("name"), "creditBalance": account.get("creditBalance")}
        except (ApiError, NetworkError) as error:
            first = error
        if _status(first) == 401:
            raise first
        try:
            client.call("GET", "/v1/avatars?limit=1", retries=0)
        except (ApiError, NetworkError) as second:
            if _status(second) == 401 or _status(first) == _status(second) == 403:
                raise DeniedError(first.message, status=_status(second)) from None
            reason = second if isinstance(first, DeniedError) else first
            raise reason.but(undecided=first.message) from None
        return {"note": f"the key works, but /v1/organization does not answer: {first.message}"}


def _status(failure: ApiError | NetworkError) -> int:
    return failure.status if isinstance(failure, ApiError) else 0
