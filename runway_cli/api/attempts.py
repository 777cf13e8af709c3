"""The attempts of one call: each goes to the service's addresses in turn, and its answer is read or is an error."""

from __future__ import annotations

from ..errors import ApiError, Interrupted, NetworkError
from .responses import Answer, decode
from .retry import MAX_RETRY_AFTER, UNSAFE_METHODS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..errors import RunwayError
    from .client import Client


class Attempts:
    """One call of `client`, which may be sent several times. `deadline` is a moment of its clock."""

    def __init__(self, client: Client, method: str, path: str, body: bytes | None, deadline: float | None) -> None:
        self._client = client
        self._method = method
        self._path = path
        self._body = body
        self._deadline = deadline
        self._was_lost = False  # an earlier attempt may have been received

    def run(self, retries: int | None) -> Answer:
        """Sends it, again where the service's policy allows. See `Client.call`."""
        client = self._client
        try:
            return client.retrying(retries=retries, deadline=self._deadline).run(self._method, self.send)
        except (ApiError, NetworkError) as failure:
            raise self._reported(failure) from None
        except Interrupted as stop:
            is_uncertain = self._method in UNSAFE_METHODS and stop.fact("maybe_received", False)
            balance_call = client.service.balance_call
            raise stop.but(may_have_been_accepted=is_uncertain, balance_call=balance_call) from None

    def send(self, before: RunwayError | None) -> Answer:
        """One attempt; `before` is how the one before it failed. Raises ApiError, DeniedError or NetworkError."""
        self._was_lost = self._was_lost or (isinstance(before, NetworkError) and before.maybe_received)
        try:
            return self._watched() if self._method in UNSAFE_METHODS else self._try_addresses()
        except ApiError as failure:
            if self._method == "DELETE" and self._was_lost and failure.status == 404 and failure.from_provider:
                self._client.console.note("already deleted by an earlier attempt")
                return Answer(404, {})
            raise

    def _reported(self, failure: ApiError | NetworkError) -> ApiError | NetworkError:
        """The failure as it is reported: may the request have been accepted, what did the service ask for."""
        service, message = self._client.service, failure.message
        if isinstance(failure, ApiError) and failure.retry_after > MAX_RETRY_AFTER:
            message += f" (the service asks to wait {failure.retry_after:.0f} s)"
        is_uncertain = service.policy.may_have_been_accepted(self._method, failure)
        return failure.but(message, may_have_been_accepted=is_uncertain, balance_call=service.balance_call)

    def _watched(self) -> Answer:
        """While a POST or PATCH is under way, the report of a second signal says that it may be accepted."""
        service, shutdown = self._client.service, self._client.shutdown
        known = shutdown.facts
        shutdown.remember({"may_have_been_accepted": True, "balance_call": service.balance_call})
        try:
            answer = self._try_addresses()
        except (ApiError, NetworkError) as failure:
            if not service.policy.may_have_been_accepted(self._method, failure):
                shutdown.remember(known)
            raise
        shutdown.remember(known)
        return answer

    def _try_addresses(self) -> Answer:
        """Asks each address in turn while the service says that another one may help."""
        client, service = self._client, self._client.service
        failure: RunwayError | None = None
        for url in service.addresses(self._method, self._path):
            try:
                answer = self._ask(url)
            except ApiError as error:
                failure = service.preferred(failure, error) if isinstance(failure, ApiError) else error
                if not service.is_worth_another_address(self._path, error):
                    break
            except NetworkError as error:
                if self._method == "DELETE" and error.maybe_received and service.finds_deleted(client, self._path):
                    return Answer(204, {})
                failure = service.preferred(failure, error) if isinstance(failure, ApiError) else error
                break
            else:
                note = service.worked(url)
                if note:
                    client.console.note(note)
                return answer
        if isinstance(failure, ApiError):
            raise service.explained(self._method, self._path, failure)
        assert failure is not None
        raise failure

    def _ask(self, url: str) -> Answer:
        from ..transport.http import Request

        client = self._client
        timeout = client.target.timeout
        if self._deadline is not None:
            timeout = max(0.001, min(timeout, self._deadline - client.clock.monotonic()))
        request = Request(self._method, url, client.headers(self._body is not None), self._body)
        return decode(client.transport.send(request, timeout), client.service, client.console.mask)
