"""--verbose: a transport that shows what passes through it on stderr."""

from __future__ import annotations

from .. import __version__, jsontext
from ..errors import ApiError, AuthError, Interrupted, NetworkError
from .answers import Answer, decode, excerpt
from .paths import checked_path, with_query
from .retry import MAX_RETRY_AFTER, UNSAFE_METHODS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from email.message import Message
    from typing import Any

    from ..errors import RunwayError
    from ..settings import Target
    from ..shutdown import Clock, Shutdown
    from ..terminal.console import Console
    from ..transport.http import Request, Response, Stream
    from .answers import Answer
    from .retry import Retrying, RetryPolicy
    from .services import Sender, Service


class TracingTransport:
    """Shows every request and answer, without the content of transfers, then does what its transport does."""

    def __init__(self, transport: Sender, console: Console, base_url: str) -> None:
        self._transport = transport
        self._console = console
        self._base_url = base_url

    def send(self, request: Request, timeout: float) -> Response:
        self._show_request(request)
        response = self._transport.send(request, timeout)
        self._show_answer(response.status, response.headers, response.body)
        return response

    def stream(self, request: Request, idle_timeout: float, time_limit: float | None = None) -> Stream:
        self._show_request(request)
        answer = self._transport.stream(request, idle_timeout, time_limit)
        self._show_answer(answer.status, answer.headers, b"")
        return answer

    def close(self) -> None:
        self._transport.close()

    def _show_request(self, request: Request) -> None:
        headers = {name: "Bearer ***" if name == "Authorization" else text for name, text in request.headers.items()}
        lines = [f"{request.method} {request.url}", *(f"{name}: {text}" for name, text in headers.items())]
        body = request.body if isinstance(request.body, bytes) else b""
        self._console.trace(">", lines, body, self._base_url)

    def _show_answer(self, status: int, headers: Message, body: bytes) -> None:
        lines = [str(status), *(f"{name}: {text}" for name, text in headers.items())]
        self._console.trace("<", lines, body)


# --- Calls one service: the secret, the retries and the addresses of a request, and the answer as JSON or an error.


class Client:
    """Calls one service. Safe to use from several threads. `deadline`s are moments of the clock."""

    def __init__(
        self,
        target: Target,
        service: Service,
        *,
        console: Console,
        clock: Clock,
        shutdown: Shutdown,
        make_transport: Callable[[], Sender],
    ) -> None:
        self.target = target
        self.service = service
        self.console = console
        self.clock = clock
        self.shutdown = shutdown
        self._make_transport = make_transport
        self._transport: Sender | None = None

    @property
    def transport(self) -> Sender:
        """Made at its first use: urllib and ssl are half of a start, and a dry run does without."""
        if self._transport is None:
            self._transport = self._make_transport()
            if self.console.verbose:
                self._transport = TracingTransport(self._transport, self.console, self.target.base_url)
        return self._transport

    def close(self) -> None:
        """Closes the connections that were kept for a next request."""
        if self._transport is not None:
            self._transport.close()

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        """The JSON value of a GET."""
        return self.call("GET", with_query(path, query)).value

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        retries: int | None = None,
        deadline: float | None = None,
    ) -> Answer:
        """One call of the API, sent again where the service's policy allows.

        `path` is below the base URL; `body` is JSON and sent unchanged. Raises ApiError, DeniedError, AuthError or
        NetworkError, with the fact `may_have_been_accepted` where a POST or PATCH may have been carried out.
        """
        path = checked_path(path, self.target.base_url)
        self.check_secret()
        _ = self.transport  # imported before anything is sent

        return Attempts(self, method, path, body, deadline).run(retries)

    def retrying(
        self, policy: RetryPolicy | None = None, *, retries: int | None = None, deadline: float | None = None
    ) -> Retrying:
        """The retry loop with this run's limits; the service's own policy unless another one is given."""
        from .retry import Retrying

        return Retrying(
            policy or self.service.policy,
            retries=self.target.retries if retries is None else retries,
            clock=self.clock,
            shutdown=self.shutdown,
            note=self.console.note,
            deadline=deadline,
        )

    def transfer_retrying(self, deadline: float | None = None) -> Retrying:
        """The retry loop of a transfer to or from a storage host, which costs nothing and may be sent again."""
        from .retry import DIRECT

        return self.retrying(DIRECT, deadline=deadline)

    def check_secret(self) -> None:
        """Raises AuthError where there is no secret, before anything else is done."""
        if not self.target.secret:
            names = " or ".join(self.target.secret_names)
            raise AuthError(f"no API key: set {names} in the environment")

    def address(self, method: str, path: str) -> str:
        """The URL that a call would be sent to first."""
        return self.service.addresses(method, checked_path(path, self.target.base_url))[0]

    def headers(self, with_body: bool) -> dict[str, str]:
        """The headers of a call."""
        headers = {**self.service.headers(), "Accept": "application/json", "User-Agent": user_agent()}
        if with_body:
            headers["Content-Type"] = "application/json"
        return headers

    def fetch(self, url: str, headers: Mapping[str, str], timeout: float) -> Response:
        """The whole answer of a GET to another host, without the secret."""
        from ..transport.http import Request

        return self.transport.send(Request("GET", url, {**headers, "User-Agent": user_agent()}), timeout)

    def stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Iterable[bytes] | None = None,
        *,
        deadline: float | None = None,
    ) -> Stream:
        """A transfer to or from another host, without the secret."""
        from ..transport.http import Request

        limit = None if deadline is None else max(0.1, deadline - self.clock.monotonic())
        request = Request(method, url, {**headers, "User-Agent": user_agent()}, body)
        return self.transport.stream(request, self.target.timeout, limit)


def user_agent() -> str:
    """What every host is told about this program."""
    return f"runway-cli/{__version__}"


# --- The attempts of one call: each goes to the service's addresses in turn, and its answer is read or is an error.


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
            return self._try_addresses() if self._method in UNSAFE_METHODS else self._try_addresses()
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


# --- The pages of a list.


PAGE = 100  # records, the largest page that the API gives
MAX_EMPTY_PAGES = 10  # in a row


def pages(client: Client, path: str, query: Mapping[str, str], most: int | None) -> Iterator[tuple[list[Any], bool]]:
    """The pages of a list: (records, whether more are to come), asking for no more than `most` still needs.

    Understands {"data", "hasMore", "nextCursor"} and the bare array of older answers; a limit in the query of `path` is
    kept. Raises ApiError for an answer that is neither. A cursor that repeats ends the list, and so do MAX_EMPTY_PAGES
    pages without a record.
    """
    from urllib.parse import parse_qsl

    bare, _, rest = path.partition("?")
    given = [*parse_qsl(rest, keep_blank_values=True), *query.items()]
    named = {name for name, _ in given}
    cursor: str | None = None
    seen: set[str] = set()
    empty = 0
    while True:
        size = PAGE if most is None else min(PAGE, most)
        asked = given if "limit" in named else [("limit", str(size)), *given]
        if cursor:
            asked = [*((name, value) for name, value in asked if name != "cursor"), ("cursor", cursor)]
        records, cursor, has_more = _page(client, bare, client.get(bare, asked))
        yield records, has_more
        empty = 0 if records else empty + 1
        if most is not None:
            most -= len(records)
        if not cursor or cursor in seen or empty == MAX_EMPTY_PAGES or (most is not None and most <= 0):
            return
        seen.add(cursor)


def _page(client: Client, path: str, answer: Any) -> tuple[list[Any], str | None, bool]:
    """The records of a page, the cursor of the next one, and whether there is more."""
    if isinstance(answer, list):
        return answer, None, False
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        shown = excerpt(jsontext.dumps(answer).encode("utf-8", "replace"), client.console.mask)
        raise ApiError(f"the answer of {path} is not a list: {shown}", status=200)
    cursor = answer.get("nextCursor")
    has_more = answer.get("hasMore", bool(cursor)) is True
    if not has_more or not isinstance(cursor, str):
        return answer["data"], None, has_more
    if not cursor.isprintable():
        raise ApiError(f"the answer of {path} has a nextCursor that cannot be used: {cursor!r}", status=200)
    return answer["data"], cursor, has_more
