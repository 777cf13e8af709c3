"""`auth`: checks the API key. Nothing is stored, so there is nothing to log in to."""

from __future__ import annotations

from ..api.client import SERVICES
from ..errors import ApiError, AuthError, DeniedError, NetworkError, RunwayError, UsageError
from .options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .context import Context
    from .options import Run


SHOWN_KEY = 8  # characters of a key, and never more than a third of it


def status(context: Context, options: Options) -> int:
    """Prints what is known about the key. Raises what kept it from working, which decides the exit status."""
    client = context.client()
    target = client.target
    shown: dict[str, Any] = {
        "authenticated": False,
        "source": "environment (stage)" if options.stage else "environment",
        "variable": target.variable,
        "baseUrl": target.base_url,
        "keyPrefix": target.secret[: min(SHOWN_KEY, len(target.secret) // 3)] + "..." if target.secret else None,
        "organization": None,
        "creditBalance": None,
    }
    failure: RunwayError | None = None
    try:
        shown.update(authenticated=True, **client.service.check_key(client))
    except (AuthError, ApiError, NetworkError) as error:
        undecided = error.fact("undecided")
        is_refused = undecided is None and isinstance(error, (AuthError, DeniedError))
        shown.update(authenticated=False if is_refused else None, error=undecided or error.message)
        failure = error
    context.console.result(shown)
    if failure:
        raise failure
    return 0


def nothing_stored(verb: str) -> Run:
    """Returns the command that says which variable to set or unset instead."""

    def run(context: Context, options: Options) -> int:
        service = SERVICES[options.gateway]
        words = f"this program stores nothing: {verb} {service.secret_names[options.stage][0]} in the environment"
        if verb == "set":
            words += f" to {service.key_source}, then start this session again"
        raise UsageError(words, heading="", try_next=("auth", "status"))

    return run


COMMANDS = {
    "auth status": Command(
        status,
        summary="check the key, and show the credit balance",
        examples=("auth status", "auth status --stage"),
        prints='{"authenticated", "source", "variable", "baseUrl", "keyPrefix", "organization", "creditBalance"}',
    ),
    **{
        f"auth {name}": Command(
            nothing_stored(verb),
            summary=f"show how to {verb} the key",
            examples=(f"auth {name}",),
            prints="nothing: the message on stderr names the variable",
            notes="The key goes into RUNWAY_SKILLS_API_SECRET (with --stage: RUNWAY_SKILLS_API_SECRET_STAGE; "
            "with --gateway lowcodeapi: LOWCODEAPI_API_TOKEN). This program stores nothing.",
        )
        for name, verb in (("login", "set"), ("logout", "unset"))
    },
}
