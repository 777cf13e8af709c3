"""The interfaces around the client, for type checks: the service that it calls, and what it needs of a transport."""

from __future__ import annotations

from importlib import import_module

from .. import settings as environment
from ..settings import Target, random_uuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from ..errors import ApiError, RunwayError
    from ..transport.http import Request, Response, Stream
    from .answers import Unwrapped
    from .client import Client
    from .retry import RetryPolicy

    class Sender(Protocol):
        """What the client needs of a transport; a test injects its own."""

        def send(self, request: Request, timeout: float) -> Response: ...
        def stream(self, request: Request, idle_timeout: float, time_limit: float | None = None) -> Stream: ...
        def close(self) -> None: ...

    class Service(Protocol):
        """One service: how it wants to be asked, and what its answers mean in Runway's words. See `api.services`."""

        balance_call: Sequence[str]  # the call that shows the state of the account after a POST with no answer
        contract_urls: Sequence[str]  # the sources of its OpenAPI document, tried in turn
        upload_refusal: str | None  # why it takes no uploads

        @property
        def policy(self) -> RetryPolicy: ...

        def addresses(self, method: str, path: str) -> list[str]:
            """The URLs to try, in order, for a path that `checked_path` has passed."""

        def headers(self) -> dict[str, str]: ...

        def unwrap(self, status: int, value: Any) -> Unwrapped: ...

        def is_worth_another_address(self, path: str, error: ApiError) -> bool: ...

        def preferred(self, first: ApiError, second: RunwayError) -> RunwayError:
            """The error of two addresses' that is reported."""

        def worked(self, url: str) -> str | None:
            """Remembers the address that worked; a note for the user where that is news."""

        def explained(self, method: str, path: str, error: ApiError) -> ApiError:
            """The error with what only the service knows about its reason."""

        def check_key(self, client: Client) -> dict[str, Any]:
            """What `auth status` shows about the account. Raises what kept the service from telling."""

        def finds_deleted(self, client: Client, path: str) -> bool:
            """Whether a DELETE without an answer has done its work."""

    class TargetOptions(Protocol):
        """The global options that say how to reach a service."""

        stage: bool
        gateway: str | None
        url_format: str
        client_id: str
        timeout: float
        retries: int


# --- The services that this program can call. A new gateway is a module in `services` and a line here.

# Every run masks the secrets of every service: their variables stand here, so that no run imports another service.


RUNWAY = "runway"
SECRET_VARIABLES = {  # service: the variables that may hold its secret
    RUNWAY: ("RUNWAY_SKILLS_API_SECRET", "RUNWAYML_API_SECRET", "RUNWAY_SKILLS_API_SECRET_STAGE"),
    "lowcodeapi": ("LOWCODEAPI_API_TOKEN",),
}
GATEWAYS = tuple(name for name in SECRET_VARIABLES if name != RUNWAY)


def service_module(name: str | None) -> Any:
    """The module of a gateway; Runway's own for None."""
    return import_module(f".{name or RUNWAY}", __package__)


def secret_variables() -> list[str]:
    """The variables that may hold a secret, of every service."""
    return [name for names in SECRET_VARIABLES.values() for name in names]


def target(options: TargetOptions, *, with_secret: bool = True) -> Target:
    """Where this run's requests go. Raises ConfigError for a base URL or secret that cannot be used.

    A call that needs no secret reads none: its secret is then ***.
    """
    module = service_module(options.gateway)
    names: tuple[str, ...] = module.secret_names(options.stage)
    found = ((environment.secret(name), name) for name in names)
    secret, variable = next((pair for pair in found if pair[0]), (None, None)) if with_secret else ("***", None)
    return Target(
        base_url=environment.base_url(module.BASE_VARIABLE, module.base_url(options.stage)),
        secret=secret,
        variable=variable,
        secret_names=names,
        source="environment (stage)" if options.stage else "environment",
        url_format=options.url_format,
        client_id=options.client_id or random_uuid(),
        timeout=options.timeout,
        retries=options.retries,
    )


def service(name: str | None, target: Target) -> Service:
    """The service by its name, for a target."""
    made: Service = service_module(name).Service(target)
    return made
