"""The services that this program can call. A new gateway is a module of this folder and a line in `SERVICES`."""

from __future__ import annotations

from .. import settings as environment
from . import lowcodeapi, runway

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


SERVICES: dict[str | None, type[runway.Service]] = {None: runway.Service, "lowcodeapi": lowcodeapi.Service}
GATEWAYS = tuple(filter(None, SERVICES))


def secrets() -> list[str]:
    """Returns what no run may show: what the variables for secrets hold, of every service, and the proxy's login."""
    names = {name for each in SERVICES.values() for tried in each.secret_names.values() for name in tried}
    words = environment.secret_words(names)
    login = (environment.setting(environment.proxy_variable() or "") or "").rpartition("@")[0]
    if login:
        from urllib.parse import unquote

        login = login.rpartition("//")[2]
        words += [word for text in (login, unquote(login)) for word in (text, text.partition(":")[2])]
    return words


def service(options: Any, *, with_secret: bool = True) -> runway.Service:
    """Returns the service that the global options choose.

    A call that needs no secret reads none: its secret is then ***. Raises ConfigError for a base URL or secret that
    cannot be used.
    """
    chosen = SERVICES[options.gateway]
    names = chosen.secret_names[options.stage]
    found = ((environment.secret(name), name) for name in names)
    secret, variable = next((pair for pair in found if pair[0]), (None, None)) if with_secret else ("***", None)
    target = environment.Target(
        base_url=environment.base_url(chosen.base_variable, chosen.base_urls[options.stage]),
        secret=secret,
        variable=variable,
        secret_names=names,
        url_format=options.url_format,
        client_id=options.client_id or environment.random_uuid(),
        timeout=options.timeout,
        retries=options.retries,
    )
    return chosen(target)
