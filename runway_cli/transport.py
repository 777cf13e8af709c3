"""HTTP exchanges, limited in time, without redirects, with any http or https URL.

Every answer of the server, whatever its status, is a Stream. Everything else is a NetworkError that says whether the
request may have been received: no until the connection and its TLS handshake are complete, maybe after that.

A socket's own timeout starts again with each byte, and while it waits, Windows delays signals. Here:

1. A part of an exchange, such as connecting or reading the headers of the answer, is limited as a whole: a server that
   sends a byte now and then cannot prolong it.
2. A body may take any time: there each wait is limited, that is the silence, not the transfer.
3. A time limit, where there is one, ends everything.
4. All waiting is done in slices (see `runway_cli.shutdown`), with a check for signals between them.
"""

from __future__ import annotations

import http.client
import os
import re
import selectors
import socket
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import chain
from urllib.parse import SplitResult, unquote, urlsplit

from .errors import ConfigError, Interrupted, NetworkError
from .settings import bypasses_proxy, is_loopback, proxy_variable, setting
from .shutdown import SLICE, Shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PIECE = 64 * 1024  # bytes read or passed to the system at a time, and the most that it buffers; TLS gives 16 KiB
FOREVER = float("inf")
HEAD_START = 0.25  # seconds that an address has before the next one is tried too (RFC 8305, 8)
KEPT = 2.0  # seconds in which a GET may use the last connection again: servers wait longer before they close one
STOPPED = 2.0  # seconds that a wait may overrun on a busy machine; if it is more, the process was stopped
UNKNOWN_AUTHORITY = (18, 19, 20, 21)  # OpenSSL's verification results that SSL_CERT_FILE can help with (x509_vfy.h)


class Transport:
    """The sender of requests. Safe to use from several threads, each of which keeps its last connection for a GET."""

    def __init__(self, shutdown: Shutdown) -> None:
        self._shutdown = shutdown
        self._trusted: Any = None  # made once: reading the certificates takes longer than a request
        self._kept: dict[int, BoundedSocket] = {}  # by thread

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, timeout: float
    ) -> Stream:
        """Sends a request and returns its answer with the whole `body`, decompressed, all within `timeout` seconds.

        Raises NetworkError; ConfigError for a proxy or certificates that cannot be used; Interrupted with the fact
        `maybe_received`.
        """
        answer = self.stream(method, url, headers, body, idle_timeout=timeout, time_limit=timeout)
        with closing(answer), _reported(answer.exchange):
            answer.body = b"".join(iter(answer.next_piece, b""))
            if answer.body.startswith(b"\x1f\x8b"):  # gzip, which a server may send unasked; no JSON begins so
                answer.body = zlib.decompress(answer.body, zlib.MAX_WBITS | 16)
            # Where the server does not promise it, it may close the connection at any moment.
            is_kept = str(answer.headers["Connection"]).lower() == "keep-alive"
            if answer.connection and is_kept and not answer.will_close:
                self._kept[threading.get_ident()] = answer.connection
                answer.connection = None  # it stays open
        return answer

    def stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None = None,
        *,
        idle_timeout: float,
        time_limit: float = FOREVER,
    ) -> Stream:
        """Sends a request and returns its answer, with the body unread.

        A body in pieces has its Content-Length among the headers. `idle_timeout` seconds bound connecting, each silence
        while the request is sent, the headers of the answer, and each silence in its body; `time_limit` seconds bound
        it all. Raises as `send` does.
        """
        exchange = Exchange(self._shutdown, idle_timeout, time_limit)
        with _reported(exchange):
            parts = urlsplit(url)
            proxy = proxy_for(parts)
            exchange.peer = parts.netloc + (f" through the proxy {proxy.netloc.rpartition('@')[2]}" if proxy else "")
            place = f"{parts.scheme}://{exchange.peer}"
            # After a POST over a connection that the server is closing, nobody knows whether it was received.
            kept = self._kept_connection(place if method == "GET" else "")
            connection = kept or self._connect(parts, proxy, exchange)
            connection.exchange, connection.place = exchange, place
            try:
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                sent = {"Host": parts.netloc, "Accept-Encoding": "identity", **headers}
                if isinstance(body, bytes) or (body is None and method in ("POST", "PUT", "PATCH")):
                    sent["Content-Length"] = str(len(body or b""))
                    body = (body or b"",)
                head = _head(f"{method} {target}", sent)
                exchange.check()  # the last moment at which nothing is lost
                exchange.sent = True
                exchange.part_end = FOREVER
                try:
                    for piece in chain((head,), body or ()):
                        connection.sendall(piece)
                except (ConnectionError, ssl.SSLError):
                    pass  # a server may refuse a body before it has read it: its answer says why
                exchange.limit_part()
                answer = Stream(connection, method)
            except BaseException:
                connection.close()
                raise
        exchange.part_end = FOREVER
        return answer

    def _connect(self, parts: SplitResult, proxy: SplitResult | None, exchange: Exchange) -> BoundedSocket:
        """Returns a new connection to the host of a URL, through a proxy if there is one, with TLS for https."""
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme == "https" and not self._trusted:
            self._trusted = trusted_authorities()
        place = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
        connection: Any = connect(*place, exchange)
        try:
            if proxy:
                _open_tunnel(connection, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", proxy)
            if parts.scheme == "https":
                connection = self._trusted.wrap_socket(
                    connection, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
                )
                connection.exchange = exchange
                connection.do_handshake()
        except BaseException:
            connection.close()
            raise
        return connection  # type: ignore[no-any-return]

    def _kept_connection(self, place: str) -> BoundedSocket | None:
        """Returns this thread's kept connection if it leads to `place`, is fresh and open; closes any other."""
        kept = self._kept.pop(threading.get_ident(), None)
        if kept and kept.place == place and time.monotonic() - kept.exchange.checked < KEPT:
            kept.setblocking(False)
            try:
                socket.socket.recv(kept, 1, socket.MSG_PEEK)  # its end, or bytes that nobody asked for
            except BlockingIOError:
                if not (isinstance(kept, SecureSocket) and kept.pending()):  # such bytes that TLS has decrypted
                    return kept
            except OSError:
                pass
        if kept:
            kept.close()
        return None

    def close(self) -> None:
        """Closes the connections that are kept."""
        with suppress(KeyError):  # none is left; threads that are still at work take theirs meanwhile
            while True:
                self._kept.popitem()[1].close()


class Stream(http.client.HTTPResponse):
    """An answer whose headers have been read, and whose body is read in pieces. The caller closes it.

    Its end is certain: framing is read as RFC 9112, 6.3 says, or the answer is refused; http.client ignores framing
    that it does not understand. All interim answers are skipped (RFC 9110, 15.2).
    """

    body = b""  # all of it, where `Transport.send` has read it

    def __init__(self, connection: BoundedSocket, method: str) -> None:
        super().__init__(connection, method=method)
        self.connection: BoundedSocket | None = connection
        self.exchange = connection.exchange
        try:
            self.begin()
        except BaseException:
            self.close()
            raise

    def next_piece(self) -> bytes:
        """Returns what arrives next, PIECE bytes at most; empty at the end. Raises NetworkError if it is cut off.

        A piece is returned as it comes: what arrived before the connection broke is never lost.
        """
        with _reported(self.exchange):
            piece = self.read1(PIECE)
            if not piece and self.length:  # bytes that Content-Length promised and that are still to come
                raise http.client.IncompleteRead(b"", self.length)
            return piece

    def close(self) -> None:
        super().close()
        if self.connection:
            self.connection.close()

    def begin(self) -> None:
        super().begin()
        if self.exchange.is_at_end:  # within the headers: http.client takes that for their end
            raise http.client.IncompleteRead(b"")
        rest = self.headers.get_payload()  # what follows a line that `email` does not accept, such as `Name : value`
        if rest and isinstance(rest, str):
            raise http.client.HTTPException("a header line is malformed")
        if self.status < 200 or self.status in (204, 304) or self._method == "CONNECT":  # type: ignore[attr-defined]
            self.chunked, self.length = False, 0
            return
        codings = ",".join(self.headers.get_all("Transfer-Encoding", ())).lower().split(",")
        codings = [coding.strip() for coding in codings if coding.strip() not in ("", "identity")]
        lengths = {text.strip() for text in self.headers.get_all("Content-Length", ())}
        if codings:
            if codings[-1] != "chunked" or set(codings) - {"gzip", "x-gzip", "chunked"}:
                raise http.client.HTTPException(f"Transfer-Encoding: {', '.join(codings)[:60]!r}")
            if codings[0] != "chunked":
                self.headers["Content-Encoding"] = "gzip"  # inside the chunks
            self.chunked, self.chunk_left, self.length = True, None, None
        elif lengths:
            length = ", ".join(sorted(lengths))
            if not re.fullmatch("[0-9]{1,18}", length):
                raise http.client.HTTPException(f"Content-Length: {length[:60]!r}")
            self.length = int(length)

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status >= 200 or status == 101:
                return version, status, reason
            http.client.parse_headers(self.fp)

    def _read_next_chunk_size(self) -> int:
        """Reads the line before a chunk strictly: http.client reads -1 as "all that follows"."""
        size = re.fullmatch(rb"([0-9a-fA-F]{1,15})\s*(;.*)?\n", self.fp.readline(4096), re.DOTALL)
        if not size:
            raise ValueError
        return int(size[1], 16)

    def _read_and_discard_trailer(self) -> None:
        """Skips the trailers, within the time limit of one part: http.client might wait for their end for ever."""
        self.exchange.limit_part()
        while self.fp.readline(4096) not in (b"\r\n", b"\n", b""):
            pass


def _open_tunnel(connection: BoundedSocket, authority: str, proxy: SplitResult) -> None:
    """Asks a proxy for a tunnel to a host and port (RFC 9110, 9.3.6)."""
    headers = {"Host": authority}
    if proxy.username is not None:
        from base64 import b64encode

        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    connection.sendall(_head(f"CONNECT {authority}", headers))
    with closing(Stream(connection, "CONNECT")) as answer:
        answer.connection = None  # it stays open
        if not 200 <= answer.status < 300:
            # Its own words are not repeated: they may hold the credentials that it was sent.
            words = http.client.responses.get(answer.status, "")
            raise OSError(f"the proxy refused the connection: {answer.status} {words}".rstrip())


def _head(request: str, headers: Mapping[str, str]) -> bytes:
    """Returns a request's first line and headers as they are sent. Raises ValueError for a line break within one."""
    lines = [f"{request} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header contains a line break")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@contextmanager
def _reported(exchange: Exchange) -> Iterator[None]:
    """Turns the errors of an exchange into those that `Transport.send` raises."""
    try:
        yield
    except Interrupted as stop:
        raise stop.but(maybe_received=exchange.sent) from None
    except (OSError, http.client.HTTPException, zlib.error, ValueError, MemoryError) as error:
        # ValueError: a URL, a header or a certificate; each stays as it is
        is_final = not exchange.sent and isinstance(error, ValueError)
        refusals = (ConnectionRefusedError, socket.gaierror, ssl.SSLError)
        raise NetworkError(
            (f"{exchange.peer}: " if exchange.peer else "") + _words(error, exchange.sent),
            maybe_received=exchange.sent,
            permanent=is_final or (not exchange.sent and isinstance(error, refusals)),
            final=is_final,
        ) from None


def _words(error: Exception, was_sent: bool) -> str:
    """Returns what went wrong, in words for a user."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"its certificate is not trusted ({error.verify_message.rstrip('.')})"
        if error.verify_code not in UNKNOWN_AUTHORITY:
            return words
        if sys.platform == "darwin":
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            return f'{words}; run "/Applications/Python {version}/Install Certificates.command" once'
        return f"{words}; SSL_CERT_FILE can name a file of additional authorities"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or error.strerror or "no reason given"  # PyPy has no reason
        if isinstance(error, ssl.SSLEOFError) or reason == "UNEXPECTED_EOF_WHILE_READING":  # without a close_notify
            return "the connection was cut off"
        return f"TLS failed ({str(reason).replace('_', ' ').lower()})"
    if isinstance(error, socket.gaierror):
        return f"the host name was not found ({error.strerror})"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was cut off" + (f", {error.expected} bytes are missing" if error.expected else "")
    if isinstance(error, zlib.error):
        return "the gzip body is invalid"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower().rstrip(".")
    reason = str(error).strip() or type(error).__name__
    return f"the answer is not HTTP ({reason})" if was_sent else f"the request cannot be sent ({reason})"


class Exchange:
    """One request and its answer: its time limits, in seconds, and how far it has got."""

    def __init__(self, shutdown: Shutdown, timeout: float, time_limit: float = FOREVER) -> None:
        now = time.monotonic()
        self.shutdown = shutdown
        self.timeout = timeout
        self.time_limit = time_limit
        self.end = now + time_limit
        self.part_end = now + timeout  # FOREVER: each wait is limited to `timeout` instead
        self.checked = 0.0  # when `check` was last called
        self.peer = ""  # the other side, in messages
        self.sent = False  # a byte of the request may have been sent
        self.is_at_end = False  # the other side has closed the connection

    def limit_part(self) -> None:
        """Limits what follows to `timeout`, all waits together."""
        self.part_end = time.monotonic() + self.timeout

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
    """A connection that obeys the limits of its `exchange`."""

    exchange: Exchange
    place: str  # what it leads to: scheme, host, port and proxy

    def recv_into(self, *args: Any, **options: Any) -> int:
        size: int = self._in_slices(super().recv_into, *args, **options)
        self.exchange.is_at_end = not size
        return size

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Sends in pieces: each one that the system accepts ends a silence."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._in_slices(super().send, rest[:PIECE], flags) :]

    def _in_slices(self, operation: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Repeats an operation until it is done. A timeout loses nothing, not even over TLS."""
        exchange, since = self.exchange, time.monotonic()
        if since - exchange.checked >= SLICE:  # a fast transfer may never wait: look here too
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
                if stopped > STOPPED:  # that time is not counted: an answer may have arrived meanwhile
                    since += stopped
                    exchange.end += stopped
                    exchange.part_end += stopped
            if stopped <= SLICE:  # else the process was stopped: what arrived meanwhile comes before a signal
                exchange.check()


class SecureSocket(BoundedSocket, ssl.SSLSocket):
    """A bounded connection over TLS."""

    def do_handshake(self, block: bool = False) -> None:
        self._in_slices(super().do_handshake)


def connect(host: str, port: int, exchange: Exchange) -> BoundedSocket:
    """Connects to whichever address of a host accepts first. Raises OSError.

    An address that drops packets must not use up the time limit: after HEAD_START seconds, or as soon as one has
    failed, the next one is tried too (RFC 8305).
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
                for key, _ in selector.select(wait):  # on Windows, failed ones too
                    connection: Any = key.fileobj
                    selector.unregister(connection)
                    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not code:
                        return connection  # type: ignore[no-any-return]
                    connection.close()
                    words = getattr(socket, "errorTab", {}).get(code) or os.strerror(code)  # errorTab: Windows only
                    fault, due = OSError(code, words), 0.0
                exchange.check()
        finally:
            for key in list(trying.values()):
                key.fileobj.close()  # type: ignore[union-attr]
    raise fault


def _look_up(host: str, port: int, exchange: Exchange) -> list[Any]:
    """Returns the result of getaddrinfo, run in a thread: it can be neither limited nor interrupted itself."""
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
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, PIECE)
        connection.connect(address)
    except BlockingIOError:  # the connection is being made
        pass
    except OSError:
        connection.close()
        raise
    return connection


def proxy_for(parts: SplitResult) -> SplitResult | None:
    """Returns the proxy for a URL, None where its host is reached directly, as loopback is. Raises ConfigError."""
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
    raise ConfigError(f"{variable} is not an http:// proxy such as http://proxy.example:8080", variable=variable)


def trusted_authorities() -> ssl.SSLContext:
    """Returns the context for TLS: it trusts the system's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR.

    Raises ConfigError for a SSL_CERT_FILE without certificates. This is not `ssl.create_default_context`: from Python
    3.13 on it refuses authorities that curl, Node and earlier versions accept (VERIFY_X509_STRICT), and it fails where
    SSLKEYLOGFILE cannot be written.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= 0x80000  # X509_V_FLAG_PARTIAL_CHAIN, which `ssl` names from Python 3.10 on
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # an attacker could cut an answer short
    context.sslsocket_class = SecureSocket
    if sys.platform == "win32":
        context.load_default_certs()  # those of the system's store
    # OpenSSL itself would ignore a missing file, take an empty variable as a name, and wait for a FIFO.
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
