"""Sockets whose every wait keeps to the limits of an exchange, in slices that let signals through.

A socket's own timeout begins anew with each byte, and while it waits, Windows holds signals back.
"""

from __future__ import annotations

import errno
import math
import os
import selectors
import socket
import ssl
import time

from ..errors import ConfigError
from ..settings.environment import is_loopback
from ..shutdown import SLICE
from .exchange import OutOfTime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .exchange import Exchange

MAX_SENT = 64 * 1024  # bytes handed to the system at a time
MAX_UNSENT = 64 * 1024  # bytes that the system may hold back before it sends them
# connect was begun and goes on; Windows says "would block"
_IN_PROGRESS = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, getattr(errno, "WSAEWOULDBLOCK", errno.EAGAIN))


class BoundedSocket(socket.socket):
    """A connection that is `exchange`'s for as long as it lasts."""

    exchange: Exchange | None = None

    def recv_into(self, *args: Any, **options: Any) -> int:
        if self.exchange is None:
            return super().recv_into(*args, **options)
        size: int = self._in_slices(self.exchange, super().recv_into, *args, **options)
        self.exchange.is_at_end = not size
        return size

    def send(self, *args: Any, **options: Any) -> int:
        if self.exchange is None:
            return super().send(*args, **options)
        size: int = self._in_slices(self.exchange, super().send, *args, **options)
        return size

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Sends in pieces: each one that the system accepts ends a silence."""
        with memoryview(data) as view, view.cast("B") as octets:
            sent = 0
            while sent < len(octets):
                sent += self.send(octets[sent : sent + MAX_SENT], flags)

    def _in_slices(self, exchange: Exchange, operation: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Repeats an operation until it is done. One that times out has lost nothing, over TLS too."""
        exchange.check_if_due()
        since = time.monotonic()
        while True:
            self._set_timeout(min(exchange.left(since), SLICE))
            try:
                return operation(*args, **options)
            except socket.timeout as error:
                if error.errno:  # the system's own: the connection was lost
                    raise
            exchange.check()

    def _set_timeout(self, seconds: float) -> None:
        if self.gettimeout() != seconds:  # else it would be a system call for nothing
            self.settimeout(seconds)


class SecureSocket(BoundedSocket, ssl.SSLSocket):
    """The same over TLS."""

    def do_handshake(self, block: bool = False) -> None:
        if self.exchange is None:
            super().do_handshake(block)
        else:
            self._in_slices(self.exchange, super().do_handshake)


def connect(host: str, port: int, exchange: Exchange) -> BoundedSocket:
    """A connection to the first address of the host that accepts one. Raises OSError."""
    failure = OSError("no address")
    addresses = _look_up(host, port, exchange)
    for number, (family, kind, protocol, _name, address) in enumerate(addresses):
        following = len(addresses) - number - 1
        left = exchange.left(time.monotonic())
        share = left / (following + 1) if following else math.inf  # a dead address leaves time for the next
        try:
            return _connected(BoundedSocket(family, kind, protocol), address, share, exchange)
        except OSError as error:
            failure = error
    raise failure


def secure(connection: BoundedSocket, context: ssl.SSLContext, host: str, exchange: Exchange) -> BoundedSocket:
    """TLS over a connection, its handshake done. The connection given is used up, also by an error."""
    wrapped = context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    assert isinstance(wrapped, SecureSocket)
    wrapped.exchange = exchange
    try:
        wrapped.do_handshake()
    except BaseException:
        wrapped.close()
        raise
    return wrapped


def make_context() -> ssl.SSLContext:
    """What TLS trusts. Raises ConfigError if that cannot be read."""
    try:
        context = ssl.create_default_context()
    except (OSError, ValueError) as error:
        words = f"the trusted certificates cannot be read: {error}; check SSL_CERT_FILE and SSL_CERT_DIR"
        raise ConfigError(words) from None
    context.sslsocket_class = SecureSocket
    return context


def is_readable(connection: socket.socket) -> bool:
    """Whether something has arrived, the end of the connection included. Raises OSError or ValueError if closed."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(0))


def _connected(connection: BoundedSocket, address: Any, seconds: float, exchange: Exchange) -> BoundedSocket:
    try:
        _connect(connection, address, seconds, exchange)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # Linux and macOS buffer megabytes, and report room only when a third of that is free again: over a slow
            # line the silence in between would look like a stall.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT)
    except BaseException:
        connection.close()
        raise
    connection.exchange = exchange
    return connection


def _connect(connection: BoundedSocket, address: Any, seconds: float, exchange: Exchange) -> None:
    since = time.monotonic()
    connection.setblocking(False)
    code = connection.connect_ex(address)
    if code in _IN_PROGRESS:
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_WRITE)  # on Windows: also what has failed
            while not selector.select(min(exchange.left(since), seconds, SLICE)):
                exchange.check()
                if time.monotonic() - since >= seconds:
                    raise OutOfTime(f"not accepted within {seconds:.3g} s")
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        words: dict[int, str] = getattr(socket, "errorTab", {})  # Windows: os.strerror does not know its codes
        raise OSError(code, words.get(code) or os.strerror(code))


def _look_up(host: str, port: int, exchange: Exchange) -> list[Any]:
    """What getaddrinfo says. On its own it can be neither limited nor interrupted."""
    if is_loopback(host):
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    import threading  # only names that have to be looked up

    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    since = time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(min(exchange.left(since), SLICE))
        exchange.check()
    if isinstance(found[0], Exception):
        raise found[0]
    return list(found[0])
