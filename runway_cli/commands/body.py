"""A body against the API's contract: with `--check` before anything is sent, else to explain what the API refused."""

from __future__ import annotations

from functools import cache

from ..api.client import Client
from ..contract import source
from ..contract.check import REQUIRED, UNKNOWN, abridged, check
from ..contract.schema import Endpoint, endpoints, matching, nearest
from ..contract.source import Contract
from ..errors import ApiError, ConfigError, UsageError
from ..jsontext import Json


class Checker:
    """A check of bodies. `lenient`: unknown fields and models are accepted. `facts` name the contract in an error."""

    def __init__(self, client: Client, contract: Contract | None = None, *, lenient: bool = False) -> None:
        self.contract = contract or source.load(client)
        self.endpoints = endpoints(self.contract.document)
        self.facts = {"contract": {"date": self.contract.date, "source": self.contract.source}}
        self._lenient = lenient
        self._mask = client.console.secrets.mask_value
        self._note = cache(client.console.note)  # never the same words twice

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        """Returns the endpoint that a path leads to."""
        found = matching(self.endpoints, path.partition("?")[0])
        return next((each for each in found if each.method == method), None)

    def refused(self, endpoint: Endpoint, body: Json) -> list[dict[str, Json]]:
        """Returns what the contract refuses; values are masked before they are shortened. Raises ContractError."""
        return check(self.contract.document, endpoint, body, lambda value: abridged(self._mask(value)), named_only=True)

    def issues(self, method: str, path: str, body: Json) -> list[dict[str, Json]]:
        """Returns what is wrong as [{"field", "messages"}], and notes what it does not know. Raises ContractError."""
        endpoint, plain = self.endpoint(method, path), path.partition("?")[0]
        issues = self.refused(endpoint, body) if endpoint else []
        unknown = {} if endpoint else {f"{method} {plain}": "".join(nearest(self.endpoints, plain)[:1])}
        for issue in list(issues) if self._lenient else ():
            field, message = issue["field"], issue["messages"][0]
            if field == "model" and body.get(field):  # all other issues depend on it
                issues, unknown[f"the model {body[field]!r}"] = [], getattr(message, "near", "")
                break
            if message.startswith(UNKNOWN):
                issues.remove(issue)
                unknown[repr(field)] = getattr(message, "near", "")
        for what, near in unknown.items():
            hint = f" (did you mean {near}?)" if near else ""
            self._note(f"the API's contract of {self.contract.date} does not know {what}{hint}; it is sent as it is")
        return issues

    def check(self, method: str, path: str, body: Json) -> str | None:
        """Returns the date of the contract that allows the body, None if it has no such endpoint. Raises UsageError."""
        issues = self.issues(method, path, body)
        fields = ", ".join(issue["field"] or "the body" for issue in issues)
        words = f"the API's contract of {self.contract.date} refuses {fields}. The contract may be older than the API; "
        words += "`request` sends the call unchecked" if self._lenient else "without --check the call is sent as it is"
        if self._lenient and all(each.startswith(REQUIRED) for issue in issues for each in issue["messages"]):
            words = f"{path} requires {fields}"
        if issues:
            raise UsageError(words, issues=issues, **self.facts)
        return self.contract.date if self.endpoint(method, path) else None


def explained(client: Client, method: str, path: str, body: Json, error: ApiError) -> ApiError:
    """Returns the API's refusal with what the local contract knows about it, without the network.

    Adds the allowed values to the API's own issues, and the fact `endpoint`: the (method, path) that the contract has,
    or has under the most similar name, None where it has none.
    """
    plain = path.partition("?")[0]
    try:
        checker = Checker(client, source.load(client, may_fetch=False))
        endpoint = checker.endpoint(method, plain)
        if endpoint is None:
            near = nearest(checker.endpoints, plain)[:1]
            methods = [other.method for other in checker.endpoints if other.path in near]
            return error.but(endpoint=(method if method in methods else methods[0], near[0]) if near else None)
        allowed = {issue["field"]: issue["messages"] for issue in checker.refused(endpoint, body)}
    except (ApiError, ConfigError):  # what cannot be explained is reported as it is
        return error
    issues = []
    for issue in error.fact("issues") or ():
        more = [words for words in allowed.get(issue["field"], ()) if words != REQUIRED]  # the API has already said so
        issues.append({**issue, "messages": list(dict.fromkeys([*issue["messages"], *more]))})
    return error.but(endpoint=(method, plain), issues=issues or None)
