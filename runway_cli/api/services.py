"""The services that this program can call. A new gateway is a module of this folder and a line in SECRET_VARIABLES."""

from __future__ import annotations

from importlib import import_module

from .. import settings as environment
from ..settings import Target, random_uuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from .answers import Answer
    from .client import Client
    from .retry import RetryPolicy

    class Service(Protocol):
        """How a service wants to be asked, and what its answers mean in Runway's words."""

        policy: RetryPolicy
        balance_call: Sequence[str]  # the call that shows the state of the account after a POST with no answer
        upload_refusal: str | None  # why it takes no uploads

        @property
        def contract_urls(self) -> Sequence[str]:
            """Returns the sources of its OpenAPI document, tried in turn."""

        def address(self, method: str, path: str) -> str:
            """Returns the URL of a path that `checked_path` has passed."""

        def exchange(self, client: Client, method: str, path: str, ask: Callable[[str], Answer]) -> Answer:
            """Makes one attempt of a call: `ask` sends it to a URL, and returns its answer or raises its failure."""

        def headers(self) -> dict[str, str]: ...

        def unwrap(self, status: int, value: Any) -> Answer: ...

        def check_key(self, client: Client) -> dict[str, Any]:
            """Returns what `auth status` shows about the account. Raises what kept the service from telling."""


RUNWAY = "runway"
# Service: the variables that may hold its secret. Every run masks those of every service, and imports no other service.
SECRET_VARIABLES = {
    RUNWAY: ("RUNWAY_SKILLS_API_SECRET", "RUNWAYML_API_SECRET", "RUNWAY_SKILLS_API_SECRET_STAGE"),
    "lowcodeapi": ("LOWCODEAPI_API_TOKEN",),
}
GATEWAYS = tuple(name for name in SECRET_VARIABLES if name != RUNWAY)


def service_module(name: str | None) -> Any:
    """Returns the module of a gateway; Runway's own for None."""
    return import_module(f".{name or RUNWAY}", __package__)


def secret_variables() -> list[str]:
    """Returns the variables that may hold a secret, of every service."""
    return [name for names in SECRET_VARIABLES.values() for name in names]


def target(options: Any, *, with_secret: bool = True) -> Target:
    """Returns where this run's requests go, by the global options.

    A call that needs no secret reads none: its secret is then ***. Raises ConfigError for a base URL or secret that
    cannot be used.
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
    """Returns the service by its name, for a target."""
    made: Service = service_module(name).Service(target)
    return made
