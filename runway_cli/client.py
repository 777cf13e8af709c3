"""What is Runway about a call: its URL, headers, the retry policy, JSON, API errors and pages."""

from __future__ import annotations

from . import __version__, jsontext
from .errors import ApiError, AuthError, DeniedError, Interrupted, NetworkError
from .paths import checked_path, with_query
from .settings import target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from email.message import Message
    from typing import Any, Protocol

    from .output import Console
    from .settings import Options, Target
    from .transport import Response, Stream, Transport

    class Clock(Protocol):
        """What waiting needs of time; the module `time` has it."""

        def monotonic(self) -> float: ...
        def time(self) -> float: ...
        def sleep(self, seconds: float, /) -> None: ...

    class Arguments(Options):
        """What every command is given."""

        console: Console
        clock: Clock
        client: Client | None  # the one that was made, to be closed

    class Dialect(Protocol):
        """How a service wants to be asked, and what its answers mean in Runway's words."""

        proves_refusal: bool  # whether 502, 503 and 504 mean that a POST was not carried out
        look: Sequence[str]  # the call to run instead of a POST that may have been carried out

        def addresses(self, method: str, path: str) -> list[str]:
            """The URLs to try, the first one first, for a path that `checked_path` has passed."""

        def headers(self) -> dict[str, str]: ...

        def unwrapped(self, status: int, value: Any) -> tuple[int, Any, bool]:
            """Status and JSON value as Runway itself would have given them, and whether they come from it."""

        def another_may_help(self, path: str, error: ApiError) -> bool:
            """Whether the next address is worth trying after this error."""

        def preferred(self, first: ApiError, second: ApiError) -> ApiError:
            """Which of two addresses' errors tells more."""

        def worked(self, url: str) -> str | None:
            """Remembers the address that worked; a note for the user where that is news."""

        def explained(self, method: str, path: str, error: ApiError) -> ApiError:
            """The error, with what only the dialect knows of its reason."""


METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
UNSAFE = ("POST", "PATCH")  # a second one may be a second charge: the API has no idempotency key
PAGE = 100  # records, the largest page that the API gives
LONGEST_BACKOFF = 4.0  # seconds: 1, 2, then 4
MOST_EMPTY_PAGES = 10  # in a row
LONGEST_RETRY_AFTER = 60  # seconds
LONGEST_MESSAGE = 4000  # characters of the API's own words
LONGEST_EXCERPT = 300  # characters of an answer that is not JSON

# When to send again. UNSENT: no byte of the request left; LOST: it may have been received, no proper answer came.
# Columns: GET, PUT, DELETE · POST, PATCH · POST, PATCH through a gateway, whose 502 proves nothing of Runway.
UNSENT, LOST = "unsent", "lost"
AGAIN: dict[int | str, tuple[bool, bool, bool]] = {
    429: (True, True, True),
    502: (True, True, False),
    503: (True, True, False),
    504: (True, True, False),
    408: (True, False, False),
    500: (True, False, False),
    UNSENT: (True, True, True),
    LOST: (True, False, False),
}


class Answer:
    """A success: the HTTP status and the JSON value, {} for an empty body."""

    __slots__ = ("status", "value")

    def __init__(self, status: int, value: Any) -> None:
        self.status = status
        self.value = value


class Client:
    """Calls one service. Safe to use from several threads."""

    def __init__(self, target: Target, console: Console, clock: Clock) -> None:
        self.target = target
        self.console = console
        self.clock = clock
        self.dialect = _dialect(target)
        self._transport: Transport | None = None
        self.over = False  # the run ends, and threads must begin nothing more

    @property
    def transport(self) -> Transport:
        """The HTTP layer, imported here because urllib and ssl are half of a start: help and dry runs do without."""
        if self._transport is None:
            from .transport import Transport

            self._transport = Transport()
        return self._transport

    def close(self) -> None:
        """Ends what was left open for a next call."""
        if self._transport is not None:
            self._transport.close()

    @property
    def user_agent(self) -> str:
        """What every host is told of this program."""
        return f"runway-cli/{__version__}"

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        """The JSON value of a GET."""
        return self.call("GET", with_query(path, query)).value

    def call(self, method: str, path: str, body: bytes | None = None, *, retries: int | None = None,
             end: float | None = None) -> Answer:
        """One call of the API, sent again where the table AGAIN allows.

        `path` is below the base URL; `body` is JSON and sent as it is; `end` is a moment of the clock in seconds past
        which nothing is waited for. Raises ApiError, DeniedError, AuthError or NetworkError, with `maybeAccepted`
        in their details where a POST or PATCH may have been carried out.
        """
        path = checked_path(path, self.target.base_url)
        retries = self.target.retries if retries is None else retries
        self.check_secret()
        _ = self.transport  # imported before the try: a signal during that is none after something was sent
        answer_lost = False
        for attempt in range(retries + 1):
            try:
                return self._attempt(method, path, body, end)
            except Interrupted as stop:
                if method in UNSAFE and stop.maybe_received:
                    stop.details["maybeAccepted"] = True
                    stop.example = self.dialect.look
                raise
            except (ApiError, NetworkError) as error:
                failure = error
            if answer_lost and method == "DELETE" and isinstance(failure, ApiError) and failure.status == 404:
                self.console.note("the first DELETE, whose answer was lost, has done its work")
                return Answer(404, {})
            answer_lost = answer_lost or (isinstance(failure, NetworkError) and failure.maybe_received)
            if attempt == retries or not self.paused(method, failure, attempt, end):
                break
        raise self._explained(method, failure)

    def check_secret(self) -> None:
        """Raises AuthError where there is no secret, so that nothing needs to be begun."""
        if not self.target.secret:
            raise AuthError(f"there is no API key: set {' or '.join(self.target.secret_names)} in the environment",
                            example=("auth", "status"))

    def address(self, method: str, path: str) -> str:
        """The URL that a call would be sent to first."""
        return self.dialect.addresses(method, checked_path(path, self.target.base_url))[0]

    def headers(self, with_body: bool) -> dict[str, str]:
        """The headers of a call."""
        headers = {**self.dialect.headers(), "Accept": "application/json", "User-Agent": self.user_agent}
        if with_body:
            headers["Content-Type"] = "application/json"
        return headers

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float, *,
                 own: bool) -> Response:
        """One exchange with any host, shown by --verbose; `own` tells whether it is the service itself."""
        self._trace_request(method, url, headers, body, own=own)
        response = self.transport.exchange(method, url, headers, body, seconds)
        self._trace_answer(response.status, response.headers, response.body)
        return response

    def stream(self, method: str, url: str, headers: Mapping[str, str], body: Iterable[bytes] | None = None, *,
               end: float | None = None) -> Stream:
        """A transfer to or from another host than the service, shown by --verbose without what is transferred.

        Silence may last for the timeout, and past `end`, a moment of the clock, for a second.
        """
        self._trace_request(method, url, headers, None, own=False)
        silence = self.target.timeout
        if end is not None:
            silence = min(silence, max(1.0, end - self.clock.monotonic()))
        answer = self.transport.stream(method, url, headers, body, silence)
        self._trace_answer(answer.status, answer.headers, b"")
        return answer

    def paused(self, method: str, failure: ApiError | NetworkError, attempt: int, end: float | None = None) -> bool:
        """Waits after `attempt` (from 0) failed, with a note; False at once where there must be no other.

        `end` is a moment of the clock past which nothing is waited for.
        """
        wait = self._wait_before(method, failure, attempt)
        if wait is None or (end is not None and self.clock.monotonic() + wait > end):
            return False
        self.console.note(f"{failure.message}: trying again in {wait:.1f} s")
        self.clock.sleep(wait)
        return True

    def _wait_before(self, method: str, failure: ApiError | NetworkError, attempt: int) -> float | None:
        """Seconds before the next try, None where there must be none."""
        if isinstance(failure, NetworkError):
            outcome: int | str = LOST if failure.maybe_received else UNSENT
            asked = 0.0
            if failure.permanent:
                return None
        else:
            outcome = failure.status
            asked = failure.retry_after or 0.0
        safe, unsafe, through_gateway = AGAIN.get(outcome, (False, False, False))
        if method in UNSAFE:
            safe = unsafe if self.dialect.proves_refusal else through_gateway
        if not safe or asked > LONGEST_RETRY_AFTER or (isinstance(failure, ApiError) and not failure.is_json):
            return None
        import random  # only a failure needs jitter

        return max(asked, min(2.0**attempt, LONGEST_BACKOFF) * (1 + random.random() / 2))

    def _attempt(self, method: str, path: str, body: bytes | None, end: float | None) -> Answer:
        """One try, at each address in turn while the dialect says that another one may help."""
        failure: ApiError | None = None
        for url in self.dialect.addresses(method, path):
            try:
                answer = self._asked(method, url, body, end)
            except ApiError as error:
                failure = self.dialect.preferred(failure, error) if failure else error
                if not self.dialect.another_may_help(path, error):
                    break
            except NetworkError:
                if failure is None:
                    raise
                break
            else:
                note = self.dialect.worked(url)
                if note:
                    self.console.note(note)
                return answer
        assert failure is not None
        raise self.dialect.explained(method, path, failure)

    def _asked(self, method: str, url: str, body: bytes | None, end: float | None) -> Answer:
        headers = self.headers(body is not None)
        seconds = self.target.timeout
        if end is not None:
            seconds = max(0.001, min(seconds, end - self.clock.monotonic()))
        return self._read(self.exchange(method, url, headers, body, seconds, own=True))

    def _trace_request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *,
                       own: bool) -> None:
        if self.console.verbose:
            from . import masking

            shown = {**headers, "Authorization": "Bearer ***"} if "Authorization" in headers else headers
            lines = [f"{method} {masking.url(url, own=own)}", *(f"{name}: {item}" for name, item in shown.items())]
            self.console.trace(">", lines, masking.body(body or b""))

    def _trace_answer(self, status: int, headers: Message, body: bytes) -> None:
        if self.console.verbose:
            from . import masking

            lines = [str(status), *(f"{name}: {masking.text(item)}" for name, item in headers.items())]
            self.console.trace("<", lines, masking.body(body))

    def _read(self, response: Response) -> Answer:
        """The answer in Runway's words. Raises ApiError for everything but a success in JSON."""
        try:
            value = jsontext.loads(response.body) if response.body.strip() else {}
        except ValueError as error:
            if 200 <= response.status < 300:
                words = f"the answer is not JSON ({error}): {excerpt(response.body)}"
                raise ApiError(words, status=response.status, is_json=False) from None
            raise api_error(response.status, None, response, from_provider=False) from None
        status, value, from_provider = self.dialect.unwrapped(response.status, value)
        if 200 <= status < 300:
            return Answer(status, value)
        raise api_error(status, value, response, from_provider)

    def _explained(self, method: str, failure: ApiError | NetworkError) -> ApiError | NetworkError:
        """The failure as it is reported: may the request have been accepted, what did the service ask for."""
        if isinstance(failure, NetworkError):
            accepted = failure.maybe_received
        else:
            refused = self.dialect.proves_refusal and failure.status in (502, 503, 504)
            accepted = not failure.is_json or failure.status < 200 or failure.status == 408
            accepted = accepted or (failure.status >= 500 and not refused)
            if failure.retry_after and failure.retry_after > LONGEST_RETRY_AFTER:
                failure.message += f" (the service asks to wait {failure.retry_after:.0f} s)"
        if accepted and method in UNSAFE:
            failure.details["maybeAccepted"] = True
            failure.example = self.dialect.look
        return failure


def connect(args: Arguments, *, with_secret: bool = True) -> Client:
    """The client for this run, closed when the run ends; what needs no secret has *** for one.

    Raises ConfigError for an environment that cannot be used.
    """
    args.client = Client(target(args, with_secret=with_secret), args.console, args.clock)
    return args.client


def pages(client: Client, path: str, query: Mapping[str, str], most: int | None) -> Iterator[tuple[list[Any], bool]]:
    """The pages of a list: (records, whether more are to come), asking for no more than `most` still needs.

    Understands {"data", "hasMore", "nextCursor"} and the bare array of older answers; a limit that stands in `path`
    is kept. Raises ApiError for an answer that is neither. A cursor that comes again ends the list, and so do
    MOST_EMPTY_PAGES without a record.
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
        records, cursor, more = _page(client.get(bare, asked), bare)
        yield records, more
        empty = 0 if records else empty + 1
        if most is not None:
            most -= len(records)
        if not cursor or cursor in seen or empty == MOST_EMPTY_PAGES or (most is not None and most <= 0):
            return
        seen.add(cursor)


def excerpt(body: bytes) -> str:
    """The beginning of a body that should have been JSON, as one line without HTML tags."""
    import re

    text = body[: 20 * LONGEST_EXCERPT].decode("utf-8", "replace")
    text = re.sub(r"(?is)<(script|style)\b.*?(</\1>|$)|<[^>]*>", " ", text)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_EXCERPT else text[:LONGEST_EXCERPT] + "…"


def api_error(status: int, value: Any, response: Response, from_provider: bool = True) -> ApiError:
    """The error of an answer, in the API's words (`error`, `issues`, `docUrl`, sometimes `message` and `code`)."""
    body = value if isinstance(value, dict) else {}
    inner = body.get("error")
    if isinstance(inner, dict):
        body = {**body, **inner}
        inner = None
    words = [word for word in (inner, body.get("message")) if isinstance(word, str) and word.strip()]
    place = response.headers.get("Location") if 300 <= status < 400 else None
    if place:
        message = f"HTTP {status}: a redirect to {place} is not followed"
    elif words:
        message = words[0][:LONGEST_MESSAGE]
    else:
        message = f"HTTP {status}: {excerpt(response.body)}".rstrip(": ")
    details = {key: body[key] for key in ("code", "docUrl") if isinstance(body.get(key), (str, int))}
    issues = body.get("issues")
    if isinstance(issues, list) and issues:
        details["issues"] = [_issue(issue) for issue in issues if isinstance(issue, dict)]
    kind = DeniedError if status in (401, 403) else ApiError
    return kind(message, status=status, from_provider=from_provider,
                retry_after=_retry_after(response.headers.get("Retry-After")), **details)


class _Direct:
    """Runway itself."""

    proves_refusal = True  # the API's documentation: 429, 502, 503 and 504 may be sent again
    look: Sequence[str] = ("request", "GET", "/v1/organization")  # shows the balance

    def __init__(self, target: Target) -> None:
        self.target = target

    def addresses(self, method: str, path: str) -> list[str]:
        return [self.target.base_url + path]

    def headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.target.secret}",
            "X-Runway-Version": "2024-11-06",
            "X-Runway-Client-Id": self.target.client_id,
            "X-Runway-Source-Application": "skills",
            "X-Runway-Source-Application-Version": __version__,
        }

    def unwrapped(self, status: int, value: Any) -> tuple[int, Any, bool]:
        return status, value, True

    def another_may_help(self, path: str, error: ApiError) -> bool:
        return False

    def preferred(self, first: ApiError, second: ApiError) -> ApiError:
        return first

    def worked(self, url: str) -> str | None:
        return None

    def explained(self, method: str, path: str, error: ApiError) -> ApiError:
        return error


def _dialect(target: Target) -> Dialect:
    if target.dialect == "lowcodeapi":
        from .lowcodeapi import LowCodeAPI

        return LowCodeAPI(target)
    return _Direct(target)


def _page(answer: Any, path: str) -> tuple[list[Any], str | None, bool]:
    """A page's records, the cursor of the next one, and whether there is more."""
    if isinstance(answer, list):
        return answer, None, False
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise ApiError(f"the answer of {path} is no list: {excerpt(jsontext.dumps(answer).encode())}", status=200)
    cursor = answer.get("nextCursor")
    more = answer.get("hasMore", bool(cursor)) is True
    return answer["data"], cursor if more and isinstance(cursor, str) else None, more


def _issue(issue: Mapping[str, Any]) -> dict[str, Any]:
    """{"field": "a.0.b", "messages": […]}: of a union, the branches' messages, each once."""
    path = issue.get("path")
    steps = path if isinstance(path, list) else [path]
    messages = list(dict.fromkeys(_branch_messages(issue.get("errors"))))
    outer = issue.get("message")
    if isinstance(outer, str) and (not messages or outer != "Invalid input"):
        messages.insert(0, outer)
    return {"field": ".".join(str(step) for step in steps if isinstance(step, (str, int))), "messages": messages}


def _branch_messages(branches: Any) -> Iterator[str]:
    """The messages of a union's branches, in order. A loop: an answer may nest deeper than Python's calls may."""
    waiting = [branches]
    while waiting:
        branch = waiting.pop()
        if isinstance(branch, list):
            waiting += reversed(branch)
        elif isinstance(branch, dict):
            if isinstance(branch.get("errors"), list) and branch["errors"]:
                waiting.append(branch["errors"])
            elif isinstance(branch.get("message"), str):
                yield branch["message"]


def _retry_after(text: str | None) -> float | None:
    """Seconds to wait: the header holds them, or a date (RFC 9110, 10.2.3)."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    import time
    from calendar import timegm
    from email.utils import parsedate_tz

    try:
        date = parsedate_tz(text)
        return max(0.0, timegm(date[:9]) - (date[9] or 0) - time.time()) if date else None  # without a zone: GMT
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
