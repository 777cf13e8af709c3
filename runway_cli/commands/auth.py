"""`auth`: checks the API key. Nothing is stored, so there is nothing to log in to."""

from __future__ import annotations

from functools import partial

from ..api.client import SERVICES
from ..errors import ApiError, AuthError, NetworkError, UsageError
from .context import Context
from .options import Command, Options

SHOWN_KEY = 8  # characters of a key, and never more than a third of it


def status(context: Context, options: Options) -> int:
    """Prints what is known about the key. Raises the failure that kept it from working, for the exit status."""
    client = context.client()
    target = client.target
    shown = {
        "authenticated": False,
        "source": "environment (stage)" if options.stage else "environment",
        "variable": target.variable,
        "baseUrl": target.base_url,
        "keyPrefix": target.secret[: min(SHOWN_KEY, len(target.secret) // 3)] + "..." if target.secret else None,
        "organization": None,
        "creditBalance": None,
    }
    try:
        shown.update(authenticated=True, **client.service.check_key(client))
    except (AuthError, ApiError, NetworkError) as error:
        undecided = error.fact("undecided")  # None if the key was refused, or there is none
        shown.update(authenticated=None if undecided else False, error=undecided or error.message)
        context.console.result(shown)
        raise
    context.console.result(shown)
    return 0


def explain(verb: str, context: Context, options: Options) -> int:
    """Says which variable to set or unset."""
    service = SERVICES[options.gateway]
    words = f"this program stores nothing: {verb} {service.secret_names[options.stage][0]} in the environment"
    if verb == "set":
        words += f" to {service.key_source}, then start this session again"
    raise UsageError(words, heading="", try_next=("auth", "status"))


COMMANDS = {
    "auth status": Command(
        status,
        summary="check the key, and show the credit balance",
        examples=("auth status", "auth status --stage"),
        prints='{"authenticated", "source", "variable", "baseUrl", "keyPrefix", "organization", "creditBalance"}',
    ),
    **{
        f"auth {name}": Command(
            partial(explain, verb),
            summary=f"show how to {verb} the key",
            examples=(f"auth {name}",),
            prints="nothing: the message on stderr names the variable",
        )
        for name, verb in (("login", "set"), ("logout", "unset"))
    },
}
