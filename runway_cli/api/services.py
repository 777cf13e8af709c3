"""The services that this program can call. A new gateway is a module of this folder and a line in `_MODULES`."""

from __future__ import annotations

from .. import settings as environment
from ..settings import Target, random_uuid
from . import lowcodeapi, runway

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_MODULES: dict[str | None, Any] = {None: runway, "lowcodeapi": lowcodeapi}
GATEWAYS = tuple(filter(None, _MODULES))


def service_module(name: str | None) -> Any:
    """Returns the module of a gateway; Runway's own for None."""
    return _MODULES[name]


def secret_variables() -> set[str]:
    """Returns the variables that may hold a secret, of every service: every run masks them all."""
    return {name for module in _MODULES.values() for stage in (False, True) for name in module.secret_names(stage)}


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
        url_format=options.url_format,
        client_id=options.client_id or random_uuid(),
        timeout=options.timeout,
        retries=options.retries,
    )


def service(name: str | None, target: Target) -> runway.Service:
    """Returns the service by its name, for a target."""
    made: runway.Service = service_module(name).Service(target)
    return made
