"""A body against the API's contract: with `--check` before anything is sent, else to explain what the API refused."""

from __future__ import annotations

from ..errors import ApiError, ConfigError, NetworkError, UsageError
from ..jobs.fields import DATA_URI, JSON, TEXT, TEXT_FILE, UPLOAD, reader
from .options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..api.client import Client
    from ..contract.schema import Endpoint
    from ..contract.source import Contract

BODY_OPTIONS = (
    Option("--body", metavar="JSON", help="the body: JSON, @FILE, or - for stdin; it is sent unchanged"),
    *(
        Option(*flags, metavar=metavar, dest="fields", is_list=True, read=reader(kind), help=words)
        for flags, kind, metavar, words in (
            (
                ("-f", "--field"),
                TEXT,
                "KEY=TEXT",
                "set a body field to text; dots nest (GET, DELETE: a query parameter)",
            ),
            (("-F", "--json-field"), JSON, "KEY=JSON", "the same for a number, true, null, a list or an object"),
            (("--text-file",), TEXT_FILE, "KEY=FILE", "the text of a file, - for stdin"),
            (("--data-uri",), DATA_URI, "KEY=FILE", "a file of up to 5 MiB, inlined in the body"),
            (("--upload",), UPLOAD, "KEY=FILE", "a file of up to 200 MB, uploaded first"),
        )
    ),
)


class Checker:
    """The contract of one run, loaded once."""

    def __init__(self, client: Client) -> None:
        from ..contract.schema import endpoints

        self._client = client
        self.contract = _loaded(client)
        self._known = endpoints(self.contract.document)
        self._noted: set[str] = set()

    def issues(self, method: str, path: str, body: Any) -> list[dict[str, Any]]:
        """What is wrong with a body, as [{"field", "messages"}]; a note for an endpoint that is not in the contract."""
        from ..contract.check import unnamed

        endpoint = self._endpoint(method, path)
        if endpoint is not None:
            for name in unnamed(self.contract.document, endpoint, body):
                self._note_once(f"--check: the contract of {path} does not name {name!r}; the API may ignore it")
            return _issues(self._client, self.contract, endpoint, body)
        plain = path.partition("?")[0]
        self._note_once(f"--check: the contract has no {method} {plain}; the body is not checked")
        return []

    def _note_once(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self._client.console.note(text)

    def facts(self) -> dict[str, Any]:
        """The facts of the contract that an error reports."""
        return {"contract": {"date": self.contract.date, "source": self.contract.source}}

    def _endpoint(self, method: str, path: str) -> Endpoint | None:
        from ..contract.schema import matching

        found = matching(self._known, path.partition("?")[0])
        return next((endpoint for endpoint in found if endpoint.method == method), None)


def check_body(client: Client, method: str, path: str, body: Any, *, has_body: bool) -> None:
    """Raises UsageError with `issues` where the contract refuses the body; NetworkError without a contract."""
    from ..contract.check import NO_BODY

    checker = Checker(client)
    issues = checker.issues(method, path, body if has_body else NO_BODY)
    if issues:
        raise refusal(checker, issues)


def refusal(checker: Checker, issues: list[dict[str, Any]]) -> UsageError:
    """The error for a body that the contract refuses."""
    fields = ", ".join(issue["field"] or "the body" for issue in issues)
    words = (
        f"the API's contract of {checker.contract.date} refuses {fields}. The contract may be older than the API; "
        "without --check the call is sent as it is"
    )
    return UsageError(words, issues=issues, **checker.facts())


def _issues(client: Client, contract: Contract, endpoint: Endpoint, body: Any) -> list[dict[str, Any]]:
    """What the contract refuses; values are masked before they are shortened. Raises UsageError."""
    from ..contract.check import check, shown

    try:
        return check(contract.document, endpoint, body, show=lambda value: shown(masked(client, value)))
    except ValueError as error:
        raise UsageError(f"the body cannot be checked against the API's contract: {error}") from None


def masked(client: Client, value: Any) -> Any:
    """A JSON value without secrets, for messages."""
    return client.console.secrets.mask_value(value)


def explained(client: Client, method: str, path: str, body: Any, error: ApiError) -> ApiError:
    """A refusal with what the contract in the cache knows about it; never from the network.

    Adds the allowed values to the API's own issues, and the fact `endpoint`: the (method, path) that the contract has,
    or has under the most similar name, None where it has none.
    """
    try:
        return _explained(client, method, path, body, error)
    except (ConfigError, UsageError):  # what cannot be explained is reported as it is
        return error


def _explained(client: Client, method: str, path: str, body: Any, error: ApiError) -> ApiError:
    from ..contract import source
    from ..contract.schema import endpoints, matching, nearest

    contract = source.kept(client)
    if contract is None:
        return error
    known = endpoints(contract.document)
    plain = path.partition("?")[0]
    found = [endpoint for endpoint in matching(known, plain) if endpoint.method == method]
    if not found:
        near = nearest(known, plain)[:1]
        methods = [endpoint.method for endpoint in known if endpoint.path in near]
        return error.but(endpoint=(method if method in methods else methods[0], near[0]) if near else None)
    allowed = {issue["field"]: issue["messages"] for issue in _issues(client, contract, found[0], body)}
    issues = [
        {**issue, "messages": list(dict.fromkeys([*issue["messages"], *allowed.get(issue["field"], ())]))}
        for issue in error.fact("issues") or ()
    ]
    return error.but(endpoint=(method, plain), issues=issues or None)


def _loaded(client: Client) -> Contract:
    from ..contract import source

    try:
        return source.load(client)
    except (ApiError, NetworkError) as error:
        words = f"the API's contract is not available, so the body cannot be checked: {error.message}"
        raise NetworkError(words) from None
