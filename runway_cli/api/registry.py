"""The services that this program can call. A new gateway is a module in `services` and a line here.

Every run masks the secrets of every service: their variables stand here, so that no run imports another service.
"""

from __future__ import annotations

from importlib import import_module

from ..settings import environment
from ..settings.target import Target
from ..settings.values import random_uuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from .interfaces import Service

    class TargetOptions(Protocol):
        """The global options that say how to reach a service."""

        stage: bool
        gateway: str | None
        url_format: str
        client_id: str
        timeout: float
        retries: int


RUNWAY = "runway"
SECRET_VARIABLES = {  # service: the variables that may hold its secret
    RUNWAY: ("RUNWAY_SKILLS_API_SECRET", "RUNWAYML_API_SECRET", "RUNWAY_SKILLS_API_SECRET_STAGE"),
    "lowcodeapi": ("LOWCODEAPI_API_TOKEN",),
}
GATEWAYS = tuple(name for name in SECRET_VARIABLES if name != RUNWAY)


def service_module(name: str | None) -> Any:
    """The module of a gateway; Runway's own for None."""
    return import_module(f".services.{name or RUNWAY}", __package__)


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
