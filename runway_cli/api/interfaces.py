"""The interfaces around the client, for type checks: the service that it calls, and what it needs of a transport."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from ..errors import ApiError, RunwayError
    from ..transport.http import Request, Response, Stream
    from .client import Client
    from .responses import Unwrapped
    from .retry import RetryPolicy

    class Sender(Protocol):
        """What the client needs of a transport; a test injects its own."""

        def send(self, request: Request, timeout: float) -> Response: ...
        def stream(self, request: Request, idle_timeout: float, time_limit: float | None = None) -> Stream: ...
        def close(self) -> None: ...

    class Service(Protocol):
        """One service: how it wants to be asked, and what its answers mean in Runway's words. See `api.services`."""

        balance_call: Sequence[str]  # the call that shows the state of the account after a POST with no answer
        contract_urls: Sequence[str]  # the sources of its OpenAPI document, tried in turn
        upload_refusal: str | None  # why it takes no uploads

        @property
        def policy(self) -> RetryPolicy: ...

        def addresses(self, method: str, path: str) -> list[str]:
            """The URLs to try, in order, for a path that `checked_path` has passed."""

        def headers(self) -> dict[str, str]: ...

        def unwrap(self, status: int, value: Any) -> Unwrapped: ...

        def is_worth_another_address(self, path: str, error: ApiError) -> bool: ...

        def preferred(self, first: ApiError, second: RunwayError) -> RunwayError:
            """The error of two addresses' that is reported."""

        def worked(self, url: str) -> str | None:
            """Remembers the address that worked; a note for the user where that is news."""

        def explained(self, method: str, path: str, error: ApiError) -> ApiError:
            """The error with what only the service knows about its reason."""

        def check_key(self, client: Client) -> dict[str, Any]:
            """What `auth status` shows about the account. Raises what kept the service from telling."""

        def finds_deleted(self, client: Client, path: str) -> bool:
            """Whether a DELETE without an answer has done its work."""
