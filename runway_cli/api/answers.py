"""Turns an HTTP answer into a JSON value, or into an error in the service's words."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping

from ..errors import REPORTED, ApiError, CreditsError, DeniedError
from ..jsontext import Json, dumps, encoded, loads
from ..terminal.console import MAX_MESSAGE
from ..terminal.masking import TAG
from .retry import MAX_RETRY_AFTER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..transport import Stream
    from .runway import Service

CREDITS_PAGE = "https://dev.runwayml.com/ (Billing)"
# What an error or its code may say if there are too few credits: no wording is documented.
_FEW = "(not|n.t|no longer) have (enough|sufficient|any)|not enough|insufficient|too few|out of|no more|only have"
_LOW = "insufficient|exhausted|depleted|used up|too low"
NO_CREDITS = rf"({_FEW})\b.{{0,30}}\b(credit|balance)|\bcredit.{{0,30}}\b({_LOW})\b|exceed.{{0,30}}\bbalance"
MAX_EXCERPT = 300  # characters of an answer that is not JSON
MAX_READ = 1 << 20  # bytes of such an answer that are read: masking much more would delay a signal
MAX_SECRET = 4096  # characters, more than any secret has
MAX_MORE = 2000  # characters of further keys of an error body, as JSON
MAX_ISSUES = 100
KNOWN_KEYS = ("error", "kind", "message", "example", *REPORTED.values())


class Answer:
    """An answer as Runway itself gives it, without a gateway's envelope: HTTP status, JSON value and facts."""

    from_provider = True  # False for what only a gateway says
    is_json = True  # False for a body that cannot be read
    is_empty = False  # the value is {} then
    headers: Mapping[str, Json] = {}  # Runway's, where a gateway hides them

    def __init__(self, status: int, value: Json, **facts: object) -> None:
        self.status = status
        self.value = value
        vars(self).update(facts)


def decode(response: Stream, service: Service, mask: Callable[[str], str]) -> Answer:
    """Returns the success that a response holds. Raises ApiError for everything else. `mask` hides secrets in text."""
    reason = "its JSON is broken"
    is_empty = not response.body.strip()
    try:
        answer = service.unwrap(response.status, {} if is_empty else loads(response.body))
    except (ValueError, MemoryError) as error:
        reason = str(error) or "too large for the memory of this machine"
        answer = Answer(response.status, None, from_provider=False, is_json=False)
    if not 200 <= answer.status < 300:
        raise _error(answer, response, mask)
    if not answer.is_json:
        words = f"the answer is not JSON ({reason}): {excerpt(response.body, mask)}".rstrip(": ")
        raise ApiError(words, status=response.status, is_json=False, permanent=True)
    answer.is_empty = is_empty
    return answer


def _error(answer: Answer, response: Stream, mask: Callable[[str], str]) -> ApiError:
    """Returns the error of an answer, in the API's words (`error`, `issues`, `docUrl`, sometimes `message`, `code`)."""
    status = answer.status
    headers = {name.lower(): str(text) for name, text in (*response.headers.items(), *answer.headers.items())}
    body = answer.value if isinstance(answer.value, dict) else {}
    inner = body.get("error")
    if isinstance(inner, dict):
        body, inner = {**body, **inner}, None
    facts: dict[str, Json] = {"status": status, "from_provider": answer.from_provider}
    for key, name in (("code", "code"), ("docUrl", "doc_url")):
        found = body.get(key)
        if isinstance(found, (str, int)) and not isinstance(found, bool) and len(str(found)) <= MAX_MORE:
            facts[name] = found
    issues = body.get("issues")
    if isinstance(issues, list) and issues:
        facts["issues"] = [_issue(issue) for issue in issues[:MAX_ISSUES] if isinstance(issue, dict)]

    said = next((word for word in (inner, body.get("message")) if isinstance(word, str) and word.strip()), None)
    if 300 <= status < 400 and "location" in headers:
        words = f"HTTP {status}: a redirect to {mask(headers['location'])} is not followed"
    elif said and not said.lstrip().startswith("<"):
        words = mask(said)[:MAX_MESSAGE]
    else:  # a gateway may pass on an HTML page as text
        page = said.encode("utf-8", "replace") if said else response.body
        words = f"HTTP {status}: {excerpt(page, mask)}".rstrip(": ")
    retry_after = _retry_after(headers.get("retry-after", "").strip())
    if retry_after > MAX_RETRY_AFTER:
        words += f" (the service asks to wait {retry_after:.0f} s)"

    kind = DeniedError if status in (401, 403) else ApiError
    reasons = [words, str(facts.get("code", ""))]
    reasons += [word for issue in facts.get("issues", ()) for word in issue["messages"]]
    said = re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]", " ", "\n".join(reasons)[:MAX_READ]).lower()
    if status == 402 or (400 <= status < 500 and status != 401 and re.search(NO_CREDITS, said)):
        kind, facts["try_next"] = CreditsError, ("auth", "status")
        words = f"{words.rstrip('.')}: buy credits at {CREDITS_PAGE}"

    further: dict[str, Json] = {}  # the other keys of the body, as long as they fit
    room = MAX_MORE
    for key, value in body.items():
        if key not in KNOWN_KEYS and (size := len(dumps({key: value}))) <= room:
            further[key] = value
            room -= size
    return kind(words, retry_after=retry_after, final=kind is CreditsError, more=further, **facts)


def _issue(issue: Mapping[str, Json]) -> dict[str, Json]:
    """Returns {"field": "a.0.b", "messages": […]}: for a union those of its branches, each once; else the code."""
    messages: dict[str, None] = {}
    waiting: list[Json] = [issue]
    while waiting:  # a loop, because an answer may nest deeper than Python allows recursion
        found = waiting.pop()
        if isinstance(found, list):
            waiting += reversed(found)
        elif isinstance(found, dict):
            waiting.append(found.get("errors"))
            if isinstance(found.get("message"), str):
                messages[found["message"]] = None
    if len(messages) > 1:
        messages.pop("Invalid input", None)  # the empty words around a union
    path, code = issue.get("path"), issue.get("code")
    steps = path if isinstance(path, list) else [path]
    return {
        "field": ".".join(str(step) for step in steps if isinstance(step, (str, int))),
        "messages": list(messages) or ([code] if isinstance(code, str) else []),
    }


def _retry_after(text: str) -> float:
    """Returns the seconds to wait by Retry-After, which is a number or a date (RFC 9110, 10.2.3)."""
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    from email.utils import mktime_tz, parsedate_tz

    try:
        date = parsedate_tz(text)
        return max(0.0, mktime_tz(date) - time.time()) if date else 0.0
    except (TypeError, ValueError, IndexError, OverflowError):
        return 0.0


def unexpected(answer: Answer, path: str, wanted: str, mask: Callable[[str], str]) -> ApiError:
    """Returns the error of a success that is not what the API answers: another service may be speaking."""
    shown = "empty" if answer.is_empty else excerpt(encoded(answer.value), mask)
    return ApiError(f"the answer of {path} is not {wanted}: {shown}", status=answer.status, permanent=True)


def excerpt(body: bytes, mask: Callable[[str], str]) -> str:
    """Returns the beginning of a body that should have been JSON, as one line without HTML tags."""
    text = body[:MAX_READ].decode("utf-8", "replace")
    if len(body) > MAX_READ:
        text = text[:-MAX_SECRET]  # the cut above may have gone through a secret
    text = re.sub(rf"(?is)<(script|style)\b.*?(</\1>|$)|{TAG}", " ", text)
    from html import unescape

    text = mask(" ".join(unescape(text).split()))  # before it is cut
    return text if len(text) <= MAX_EXCERPT else text[:MAX_EXCERPT] + "…"
