"""The client of a service: chooses the service and its secret, retries, and returns JSON or raises an error."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial

from .. import __version__, settings
from ..errors import ApiError, AuthError, ConfigError, Interrupted, NetworkError
from ..jsontext import Json
from ..terminal import masking
from ..terminal.console import Console
from . import lowcodeapi
from .answers import Answer, decode, unexpected
from .paths import checked_path, with_query
from .runway import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import Message
    from typing import Any, TypeVar

    from ..shutdown import Clock, Shutdown
    from ..transport import Stream, Transport

    T = TypeVar("T")

PAGE = 100  # records, the largest page that the API gives
MAX_PAGES = 1000
USER_AGENT = f"runway-cli/{__version__}"
# By the name of its gateway. A new gateway is a module of this folder and a line here.
SERVICES: dict[str | None, type[Service]] = {None: Service, "lowcodeapi": lowcodeapi.Service}
GATEWAYS = tuple(filter(None, SERVICES))


def secrets() -> list[str]:
    """Returns what no run may show: the values of all services' variables for secrets, and the proxy's login."""
    names = {name for each in SERVICES.values() for tried in each.secret_names.values() for name in tried}
    values = [settings.setting(name) or "" for name in names]
    parts = [part for value in values for part in (value, *value.split())]
    words = [*parts, *(part.strip(settings.QUOTES) for part in parts)]
    login = (settings.setting(settings.proxy_variable() or "") or "").rpartition("@")[0].rpartition("//")[2]
    if login:
        from urllib.parse import unquote

        words += [word for text in (login, unquote(login)) for word in (text, text.partition(":")[2])]
    return words


def service(options: Any, *, with_secret: bool = True) -> Service:
    """Returns the service that the options choose, with *** for a secret unless `with_secret`. Raises ConfigError."""
    chosen = SERVICES[options.gateway]
    names = chosen.secret_names[options.stage]
    found = ((settings.secret(name), name) for name in names)
    secret, variable = next((pair for pair in found if pair[0]), (None, None)) if with_secret else ("***", None)
    target = settings.Target(
        base_url=settings.base_url(chosen.base_variable, chosen.base_urls[options.stage]),
        secret=secret,
        variable=variable,
        secret_names=names,
        url_format=options.url_format,
        client_id=options.client_id or settings.uuid(os.urandom(16), version=4),
        timeout=options.timeout,
        retries=options.retries,
    )
    return chosen(target)


class Client:
    """The client of one service. Safe to use from several threads. A `deadline` is a moment of the clock."""

    def __init__(self, service: Service, *, console: Console, clock: Clock, shutdown: Shutdown) -> None:
        self.service = service
        self.target = service.target
        self.console = console
        self.clock = clock
        self.shutdown = shutdown

    @cached_property
    def transport(self) -> Transport:
        """Returns the transport, made at its first use: ssl is half of the start-up time, and a dry run needs none."""
        try:
            from ..transport import Transport
        except ImportError:
            raise ConfigError("this Python was built without the module ssl, which every call needs") from None
        return Transport(self.shutdown)

    def close(self) -> None:
        """Closes its connections."""
        if "transport" in vars(self):
            self.transport.close()

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        retries: int | None = None,
        deadline: float | None = None,
    ) -> Answer:
        """Calls the API, and retries where the service's policy allows.

        `path` is below the base URL; `body` is JSON and sent unchanged. Raises ApiError, DeniedError, AuthError or
        NetworkError, with the fact `may_have_been_accepted` where a POST or PATCH may have been carried out.
        """
        path = checked_path(path, self.target.base_url)
        self.check_secret()
        was_lost = False  # a request that may have been received got no answer

        def ask(url: str) -> Answer:
            nonlocal was_lost
            timeout = self.target.timeout
            if deadline is not None:
                timeout = max(0.001, min(timeout, deadline - self.clock.monotonic()))
            try:
                answer = self.fetch(url, self.headers(body is not None), timeout, method, body)
            except NetworkError as failure:
                was_lost = was_lost or failure.maybe_received
                raise
            return decode(answer, self.service, self.console.mask)

        attempt = partial(self.service.exchange, self, method, path, ask)
        try:
            return self.retry(method, attempt, retries=retries, deadline=deadline)
        except (ApiError, NetworkError, Interrupted) as failure:
            if method == "DELETE" and was_lost and failure.fact("status") == 404 and failure.fact("from_provider"):
                self.console.note("already deleted by an earlier attempt")
                return Answer(404, {})
            is_uncertain = self.service.policy.may_have_been_accepted(method, failure)
            raise failure.but(may_have_been_accepted=is_uncertain) from None

    def retry(
        self,
        method: str,
        attempt: Callable[[], T],
        *,
        retries: int | None = None,
        deadline: float | None = None,
        progress: Callable[[], int] = lambda: 0,
    ) -> T:
        """Returns what `attempt` returns, called again where the service's policy for `method` allows.

        Progress earns new tries: whenever `progress()` has grown, the count of tries begins again. Raises the last
        failure. Transfers to and from a storage host are retried as GET or PUT: they cost nothing.
        """
        retries = self.target.retries if retries is None else retries
        tries, farthest = 0, progress()
        while True:
            try:
                return attempt()
            except (ApiError, NetworkError) as failure:
                if progress() > farthest:
                    tries, farthest = 0, progress()
                delay = self.service.policy.delay(method, failure, tries, retries)
                if delay is None or (deadline is not None and self.clock.monotonic() + delay > deadline):
                    raise
                self.console.note(f"{failure.message}: retrying in {delay:.1f} s")
            self.shutdown.sleep(self.clock, delay)
            tries += 1

    def check_secret(self) -> None:
        """Raises AuthError where there is no secret, before anything else is done."""
        if not self.target.secret:
            names = " or ".join(self.target.secret_names)
            raise AuthError(f"no API key: set {names} in the environment")

    def headers(self, with_body: bool) -> dict[str, str]:
        headers = {**self.service.headers(), "Accept": "application/json", "User-Agent": USER_AGENT}
        return {**headers, "Content-Type": "application/json"} if with_body else headers

    def preview(self, method: str, path: str, body: Json, *, has_body: bool) -> dict[str, Json]:
        """Returns a request as a dry run shows it, masked."""
        url = masking.text(self.service.address(method, path), self.target.base_url)
        return {"method": method, "url": url, "headers": self.headers(has_body), "body": masking.value(body)}

    def fetch(
        self, url: str, headers: Mapping[str, str], timeout: float, method: str = "GET", body: bytes | None = None
    ) -> Stream:
        """Returns a complete answer from any host; no secret is added to the headers."""
        headers = {**headers, "User-Agent": USER_AGENT}
        self._trace(">", f"{method} {url}", headers, body or b"", self.target.base_url)
        answer = self.transport.send(method, url, headers, body, timeout=timeout)
        self._trace("<", str(answer.status), answer.headers, answer.body)
        return answer

    def stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Iterable[bytes] | None = None,
        *,
        deadline: float | None = None,
    ) -> Stream:
        """Begins a transfer to or from another host, without the secret. Returns the answer, its body unread."""
        limit = float("inf") if deadline is None else max(0.1, deadline - self.clock.monotonic())
        headers = {**headers, "User-Agent": USER_AGENT}
        self._trace(">", f"{method} {url}", headers, b"")
        answer = self.transport.stream(method, url, headers, body, idle_timeout=self.target.timeout, time_limit=limit)
        self._trace("<", str(answer.status), answer.headers, b"")
        return answer

    def _trace(self, mark: str, first: str, headers: Mapping[str, str] | Message, body: bytes, own: str = "") -> None:
        lines = [f"{name}: {'Bearer ***' if name == 'Authorization' else text}" for name, text in headers.items()]
        self.console.trace(mark, [first, *lines], body, own)


def pages(client: Client, path: str, query: Mapping[str, str], most: float) -> Iterator[tuple[list[Any], bool]]:
    """Yields the pages of a list as (records, whether there are more), asking for no more than `most` still needs.

    Understands {"data", "hasMore", "nextCursor"} and the bare array of older answers; a limit in the query of `path` is
    kept. Raises ApiError for an answer that is neither. A cursor that repeats ends the list, and so do MAX_PAGES.
    """
    from urllib.parse import parse_qsl

    bare, _, rest = path.partition("?")
    asked = [*parse_qsl(rest, keep_blank_values=True), *query.items()]
    has_limit = any(name == "limit" for name, _ in asked)
    seen = {""}
    for _ in range(MAX_PAGES):
        answer = client.call("GET", with_query(bare, asked if has_limit else [("limit", str(min(PAGE, most))), *asked]))
        found = {"data": answer.value} if isinstance(answer.value, list) else answer.value
        if not isinstance(found, dict) or not isinstance(found.get("data"), list):
            raise unexpected(answer, bare, "a list", client.console.mask)
        cursor = found.get("nextCursor")
        has_more = found.get("hasMore", bool(cursor)) is True
        yield found["data"], has_more
        most -= len(found["data"])
        if not has_more or not isinstance(cursor, str) or cursor in seen or most <= 0:
            return
        seen.add(cursor)
        asked = [*((name, value) for name, value in asked if name != "cursor"), ("cursor", cursor)]
