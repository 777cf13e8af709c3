"""Connections whose every wait keeps to the limits of an exchange, in slices that let signals through.

A socket's own timeout begins anew with each byte, and while it waits, Windows holds signals back. Rules:

1. A part of an exchange, such as connecting or reading the headers of the answer, is limited as a whole: a server that
   sends a byte now and then cannot prolong it.
2. A body takes as long as it takes: there each wait is limited, the silence and not the transfer.
3. A time limit, where there is one, ends everything.
4. All waiting is done in slices (see `runway_cli.shutdown`), with a look at the signals between them.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from ..errors import ConfigError
from ..settings import bypasses_proxy, is_loopback, proxy_variable, setting
from ..shutdown import SLICE, Shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


FOREVER = float("inf")
HEAD_START = 0.25  # seconds that an address has before the next one is tried too (RFC 8305, 8)
MAX_SENT = 64 * 1024  # bytes handed to the system at a time, and that it may hold back before it sends them
STOPPED = 2.0  # seconds that a wait may last too long on a busy machine; after more the process was stopped
PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN, which `ssl` names from Python 3.10 on


class Exchange:
    """One request and its answer: its limits in seconds, and how far it got."""

    def __init__(self, shutdown: Shutdown, timeout: float, time_limit: float = FOREVER) -> None:
        now = time.monotonic()
        self.shutdown = shutdown
        self.timeout = timeout
        self.time_limit = time_limit
        self.end = now + time_limit
        self.part_end = now + timeout  # FOREVER while each wait is limited instead
        self.checked = 0.0  # when `check` was last called
        self.peer = ""  # the other side, in messages
        self.sent = False  # a byte of the request may have been sent
        self.is_at_end = False  # the other side has closed the connection

    def limit_part(self) -> None:
        """Limits what follows to `timeout`, all waits together."""
        self.part_end = time.monotonic() + self.timeout

    def limit_waits(self) -> None:
        """Limits each wait from now on to `timeout`."""
        self.part_end = FOREVER

    def left(self, since: float) -> float:
        """Returns the seconds left of a wait that began at `since`, by `time.monotonic`. Raises OSError for none."""
        now = time.monotonic()
        end = min(self.end, self.part_end, since + self.timeout)
        if now < end:
            return end - now
        words, limit = "silent for" if self.part_end == FOREVER else "no answer within", self.timeout
        if now >= self.end:
            words, limit = "no complete answer within", self.time_limit
        raise OSError(f"{words} {round(limit, 2):g} s{'' if self.sent else ' (no connection)'}")

    def check(self) -> None:
        """Raises Interrupted if a signal has arrived (in the main thread), OSError if the run is over."""
        self.checked = time.monotonic()
        self.shutdown.check()
        if self.shutdown.is_over:
            raise OSError("the program is ending")


class BoundedSocket(socket.socket):
    """A connection that keeps to the limits of its `exchange`."""

    exchange: Exchange

    def recv_into(self, *args: Any, **options: Any) -> int:
        size: int = self._in_slices(super().recv_into, *args, **options)
        self.exchange.is_at_end = not size
        return size

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Sends in pieces: each one that the system accepts ends a silence."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._in_slices(super().send, rest[:MAX_SENT], flags) :]

    def _in_slices(self, operation: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Repeats an operation until it is done. One that times out has lost nothing, over TLS too."""
        exchange, since = self.exchange, time.monotonic()
        if since - exchange.checked >= SLICE:  # a transfer may never have to wait
            exchange.check()
        while True:
            wait = min(exchange.left(since), SLICE)
            self.settimeout(wait)
            began = time.monotonic()
            try:
                return operation(*args, **options)
            except socket.timeout as error:
                if error.errno:  # the system's own: the connection was lost
                    raise
            finally:
                stopped = time.monotonic() - began - wait
                if stopped > STOPPED:  # that time does not count: an answer may have arrived meanwhile
                    since += stopped
                    exchange.end += stopped
                    exchange.part_end += stopped
            exchange.check()


class SecureSocket(BoundedSocket, ssl.SSLSocket):
    """A bounded connection over TLS."""

    def do_handshake(self, block: bool = False) -> None:
        self._in_slices(super().do_handshake)


def connect(host: str, port: int, exchange: Exchange) -> BoundedSocket:
    """Connects to the address of a host that accepts first. Raises OSError.

    An address that swallows packets must not cost a time limit: after HEAD_START seconds, or at once when one has
    failed, the next is tried too (RFC 8305).
    """
    places = _look_up(host, port, exchange)
    fault = OSError("no address")
    since = due = time.monotonic()
    with selectors.DefaultSelector() as selector:
        trying = selector.get_map()
        try:
            while places or trying:
                if places and (not trying or time.monotonic() >= due):
                    due = time.monotonic() + HEAD_START
                    try:
                        selector.register(_begin(places.pop(0), exchange), selectors.EVENT_WRITE)
                    except OSError as error:
                        fault, due = error, 0.0
                    continue
                wait = min(exchange.left(since), SLICE, max(0.0, due - time.monotonic()) if places else SLICE)
                for key, _ in selector.select(wait):  # on Windows: also what has failed
                    connection = key.fileobj
                    assert isinstance(connection, BoundedSocket)
                    selector.unregister(connection)
                    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not code:
                        return connection
                    connection.close()
                    words = getattr(socket, "errorTab", {}).get(code) or os.strerror(code)  # errorTab: Windows alone
                    fault, due = OSError(code, words), 0.0
                exchange.check()
        finally:
            for key in list(trying.values()):
                key.fileobj.close()  # type: ignore[union-attr]
    raise fault


def _look_up(host: str, port: int, exchange: Exchange) -> list[Any]:
    """Returns what getaddrinfo says. On its own it can be neither limited nor interrupted."""
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


def _begin(place: Any, exchange: Exchange) -> BoundedSocket:
    """Returns a socket that has begun to connect to an address of `_look_up`. Raises OSError."""
    family, kind, protocol, _name, address = place
    connection = BoundedSocket(family, kind, protocol)
    connection.exchange = exchange
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # Linux and macOS buffer megabytes, and report room only when a third of that is free again: over a slow
            # line the silence in between would look like a stall.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_SENT)
        connection.connect(address)
    except BlockingIOError:  # it has begun and goes on
        pass
    except OSError:
        connection.close()
        raise
    return connection


def proxy_for(parts: SplitResult) -> SplitResult | None:
    """Returns the proxy for a URL, None if its host is reached directly: a loopback address always is.

    Raises ConfigError for a proxy that cannot be used.
    """
    host, variable = parts.hostname or "", proxy_variable()
    if not variable or is_loopback(host) or bypasses_proxy(host, parts.port or 443):
        return None
    url = setting(variable) or ""
    try:
        proxy = urlsplit(url if "://" in url else "http://" + url)
        if proxy.scheme == "http" and proxy.hostname and proxy.port != 0:
            return proxy
    except ValueError:
        pass
    words = f"{variable} is not an http:// proxy such as http://proxy.example:8080"
    raise ConfigError(words, variable=variable)


def trusted_authorities() -> ssl.SSLContext:
    """Returns what TLS trusts: the system's authorities, or what SSL_CERT_FILE and SSL_CERT_DIR name.

    Raises ConfigError for a SSL_CERT_FILE without certificates. This is not `ssl.create_default_context`: from Python
    3.13 on it refuses authorities that curl, Node and earlier versions accept (VERIFY_X509_STRICT), and it fails where
    SSLKEYLOGFILE cannot be written.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= PARTIAL_CHAIN
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # a peer has to close in order: anyone can cut off
    context.sslsocket_class = SecureSocket
    if sys.platform == "win32":
        context.load_default_certs()  # those of the system's store
    # OpenSSL itself would ignore what a variable names in vain, take an empty one as a name, and wait for a FIFO.
    file, system = setting("SSL_CERT_FILE"), ssl.get_default_verify_paths()
    try:
        if file and not os.path.isfile(file):
            raise FileNotFoundError
        context.load_verify_locations(cafile=file or system.openssl_cafile)
    except OSError:  # an SSLError is one too
        if file:
            words = f"SSL_CERT_FILE names no certificates: {file!r} is not a readable file of certificates in PEM form"
            raise ConfigError(f"{words}. Correct or unset it", variable="SSL_CERT_FILE") from None
    context.load_verify_locations(capath=setting("SSL_CERT_DIR") or system.openssl_capath)
    return context
