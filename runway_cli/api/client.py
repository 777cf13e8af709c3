"""Calls one service: the secret, the retries and the addresses of a request, and the answer as JSON or an error."""

from __future__ import annotations

from .. import __version__
from ..errors import AuthError
from .paths import checked_path, with_query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from ..settings.target import Target
    from ..shutdown import Clock, Shutdown
    from ..terminal.console import Console
    from ..transport.http import Response, Stream
    from .interfaces import Sender, Service
    from .responses import Answer
    from .retry import Retrying, RetryPolicy


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
                from .tracing import TracingTransport

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
        from .attempts import Attempts  # a dry run does without

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
