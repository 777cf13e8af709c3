"""One connection over http.client, and the connections that are kept for a next GET."""

from __future__ import annotations

import http.client
import ssl
import time

from .proxy import connect_request
from .sockets import BoundedSocket, connect, is_readable, secure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .address import Address
    from .exchange import Exchange
    from .proxy import Proxy

MAX_IDLE = 2.0  # seconds; servers close what is idle for longer, perhaps just as it is used again


class FinalResponse(http.client.HTTPResponse):
    """The final answer: every interim one, 1xx except 101, is skipped (RFC 9110, 15.2). http.client skips only 100."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status >= 200 or status == 101:
                return version, status, reason
            http.client.parse_headers(self.fp)


class Connection(http.client.HTTPConnection):
    """A connection to one origin, directly or through a proxy. Serves one exchange at a time."""

    response_class = FinalResponse
    auto_open = 0  # never connects again by itself: that would send a request twice
    exchange: Exchange  # the one that is served

    def __init__(self, address: Address, proxy: Proxy | None, context: ssl.SSLContext | None) -> None:
        self.default_port = 443 if address.is_secure else 80  # for the Host header
        super().__init__(address.host, address.port)
        self.address = address
        self.proxy = proxy
        self.context = context
        self.name = f"{address.netloc} through the proxy {proxy.name}" if proxy else address.netloc
        self.sock: BoundedSocket | None = None
        self.last_used = 0.0

    def serve(self, exchange: Exchange) -> None:
        """Keeps to the limits of this exchange from now on."""
        self.exchange = exchange
        exchange.peer = self.name
        if self.sock:
            self.sock.exchange = exchange

    def connect(self) -> None:
        """Connects, through the proxy where there is one, and does the TLS handshake."""
        if self.proxy:
            self.sock = connect(self.proxy.host, self.proxy.port, self.exchange)
            self._open_tunnel(self.sock, self.proxy)
        else:
            self.sock = connect(self.address.host, self.address.port, self.exchange)
        if self.context:
            self.sock = secure(self.sock, self.context, self.address.host, self.exchange)

    def ask(
        self, method: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None
    ) -> http.client.HTTPResponse:
        """Sends a request and reads its answer's headers; the answer's body is still to be read."""
        names = {name.lower() for name in headers}
        self.putrequest(method, self.address.target, skip_accept_encoding="accept-encoding" in names)
        for name, value in headers.items():
            self.putheader(name, value)
        if isinstance(body, bytes) or (body is None and method in ("POST", "PUT", "PATCH")):
            self.putheader("Content-Length", str(len(body or b"")))
        try:
            self.endheaders()
            if body:
                self._send_body(body)
        except (ConnectionError, ssl.SSLEOFError):
            # A server that refuses a body may answer before it has read it: the answer tells, or its absence.
            if not self.exchange.sent:
                raise
        answer = self.getresponse()
        if self.exchange.is_at_end:  # within the headers, which http.client takes for their end
            answer.close()
            raise http.client.IncompleteRead(b"")
        return answer

    def send(self, data: object) -> None:
        if not self.exchange.sent:
            self.exchange.check()  # the last moment at which nothing is lost
            self.exchange.sent = True
        super().send(data)  # type: ignore[arg-type]

    def is_fresh(self) -> bool:
        """Whether a connection that was kept may be used: not idle for long, not closed, nothing unasked arrived."""
        try:
            is_recent = time.monotonic() - self.last_used < MAX_IDLE
            return is_recent and self.sock is not None and not is_readable(self.sock)
        except (OSError, ValueError):
            return False

    def _send_body(self, body: bytes | Iterable[bytes]) -> None:
        self.exchange.limit_waits()
        for piece in (body,) if isinstance(body, bytes) else body:
            self.send(piece)
        self.exchange.limit_part()  # the headers of the answer

    def _open_tunnel(self, connection: BoundedSocket, proxy: Proxy) -> None:
        connection.sendall(connect_request(self.address, proxy))
        answer = self.response_class(connection, method="CONNECT")
        try:
            answer.begin()
            if not 200 <= answer.status < 300:
                raise OSError(f"the proxy refused the connection: {answer.status} {answer.reason}".rstrip())
        finally:
            answer.close()  # the connection stays open


class ConnectionPool:
    """Connections that were kept, by origin. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Connection]] = {}

    def take(self, origin: str) -> Connection | None:
        """A connection that may be used, None where there is none. Those that may not are closed."""
        while (connection := self._pop(origin)) is not None:
            if connection.is_fresh():
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        connection.last_used = time.monotonic()
        self._kept.setdefault(connection.address.origin, []).append(connection)

    def close(self) -> None:
        for origin in list(self._kept):
            while (connection := self._pop(origin)) is not None:
                connection.close()

    def _pop(self, origin: str) -> Connection | None:
        try:
            return self._kept[origin].pop()  # one call: another thread may take the last one at any time
        except LookupError:
            return None
