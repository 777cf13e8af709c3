"""--verbose: a transport that shows what passes through it on stderr."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import Message

    from ..terminal.console import Console
    from ..transport.http import Request, Response, Stream
    from .interfaces import Sender


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
