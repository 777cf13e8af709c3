"""`auth`: tells whether the API key works. Nothing is ever stored, so there is nothing to log in to."""

from __future__ import annotations

from ..client import connect
from ..errors import ApiError, AuthError, DeniedError, NetworkError, RunwayError, UsageError
from ..settings import GATEWAY_TOKEN, SECRET, STAGE_SECRET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..client import Arguments, Client
    from ..parser import Parser

KEYS = "https://dev.runwayml.com/settings/api-keys"
SHOWN_KEY = 8  # characters of a key, and never more than a third of it


def configure(parser: Parser) -> None:
    parser.examples = (("auth", "status"),)
    parser.command("status", "show whether the key works, and the credit balance", _configure_status)
    parser.command("login", "tell how to set the key", _configure_login)
    parser.command("logout", "tell how to unset the key", _configure_logout)


def _configure_status(parser: Parser) -> None:
    parser.examples = (("auth", "status"), ("auth", "status", "--stage"))
    parser.set_defaults(run=status)


def _configure_login(parser: Parser) -> None:
    parser.examples = (("auth", "login"),)
    parser.set_defaults(run=login)


def _configure_logout(parser: Parser) -> None:
    parser.examples = (("auth", "logout"),)
    parser.set_defaults(run=logout)


def status(args: Arguments) -> int:
    """Prints what is known of the key. Raises what kept it from working, which decides the exit status."""
    client = connect(args)
    shown: dict[str, Any] = {
        "authenticated": False,
        "source": client.target.source,
        "baseUrl": client.target.base_url,
        "keyPrefix": _prefix(client.target.secret),
        "organization": None,
        "creditBalance": None,
    }
    failure: RunwayError | None = None
    try:
        shown.update(authenticated=True, **_probe(client))
    except _Undecided as error:
        shown.update(authenticated=None, error=error.words)
        failure = error.reason
    except (AuthError, DeniedError) as error:
        shown.update(authenticated=False, error=error.message)
        failure = error
    args.console.result(shown)
    if failure:
        raise failure
    return 0


def login(args: Arguments) -> int:
    """Says where the key goes instead."""
    source = "a token of LowCodeAPI" if args.gateway else f"a key from {KEYS}"
    raise UsageError(f"nothing is stored by this program: set {_variable(args)} in the environment to {source}, "
                     "then start this session anew", example=("auth", "status"))


def logout(args: Arguments) -> int:
    """Says what to unset instead."""
    raise UsageError(f"nothing is stored by this program: unset {_variable(args)} in the environment",
                     example=("auth", "status"))


class _Undecided(Exception):
    """The service could not be asked: `words` of the first failure, and the `reason` that is reported."""

    def __init__(self, words: str, reason: RunwayError) -> None:
        super().__init__(words)
        self.words = words
        self.reason = reason


def _probe(client: Client) -> dict[str, Any]:
    """What the service says of the account. Raises AuthError, DeniedError or _Undecided.

    The organization's endpoint may fail where the data endpoints work, so a list decides when it does.
    """
    if client.target.dialect == "lowcodeapi":
        return _probe_gateway(client)
    try:
        found = client.call("GET", "/v1/organization", retries=0).value
        account = found if isinstance(found, dict) else {}
        return {"organization": account.get("name"), "creditBalance": account.get("creditBalance")}
    except (ApiError, NetworkError) as error:
        first = error
        if _status(first) == 401:
            raise
    try:
        client.call("GET", "/v1/avatars?limit=1", retries=0)
    except (ApiError, NetworkError) as second:
        if _status(second) == 401 or _status(first) == _status(second) == 403:
            raise DeniedError(first.message, status=_status(second)) from None
        raise _Undecided(first.message, second if isinstance(first, DeniedError) else first) from None
    return {"note": f"the key works, but /v1/organization does not answer: {first.message}"}


def _probe_gateway(client: Client) -> dict[str, Any]:
    """The gateway has no endpoint that tells, so a task that does not exist is asked for.

    What the provider answers came through: the token works. Raises DeniedError or _Undecided.
    """
    from ..lowcodeapi import NO_TASK

    try:
        client.call("GET", NO_TASK, retries=0)
    except DeniedError:
        raise
    except (ApiError, NetworkError) as error:
        if not isinstance(error, ApiError) or error.status not in (400, 404) or not error.from_provider:
            raise _Undecided(error.message, error) from None
    return {"note": "the token works; the gateway does not tell the organization or its credits"}


def _status(failure: ApiError | NetworkError) -> int:
    return failure.status if isinstance(failure, ApiError) else 0


def _variable(args: Arguments) -> str:
    return GATEWAY_TOKEN if args.gateway else STAGE_SECRET if args.stage else SECRET


def _prefix(secret: str | None) -> str | None:
    if not secret:
        return None
    return secret[: min(SHOWN_KEY, len(secret) // 3)] + "..."
