"""Turns an HTTP answer into a JSON value, or into an error in the service's words."""

from __future__ import annotations

import re
import time

from .. import jsontext
from ..errors import REPORTED, ApiError, CreditsError, DeniedError
from ..terminal.console import MAX_MESSAGE
from ..terminal.masking import TAG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from ..transport.http import Response
    from .runway import Service


CREDITS_PAGE = "https://dev.runwayml.com/ (Billing)"
MAX_EXCERPT = 300  # characters of an answer that is not JSON
MAX_READ = 1 << 20  # bytes of such an answer that are looked at: to mask much more would hold a signal back
MAX_SECRET = 4096  # characters, more than any secret has
MAX_MORE = 2000  # characters of further keys of an error body, as JSON
MAX_ISSUES = 100
KNOWN_KEYS = ("error", "kind", "message", "example", *REPORTED.values())


class Answer:
    """An answer as Runway itself gives it, without a gateway's envelope: HTTP status, JSON value and some facts."""

    from_provider = True  # False for what only a gateway says
    is_json = True  # False for a body that cannot be read
    is_empty = False  # the value is {} then
    headers: Mapping[str, Any] = {}  # Runway's, where a gateway hides them

    def __init__(self, status: int, value: Any, **facts: Any) -> None:
        self.status = status
        self.value = value
        vars(self).update(facts)


def decode(response: Response, service: Service, mask: Callable[[str], str]) -> Answer:
    """Returns the success that a response holds. Raises ApiError for everything else. `mask` hides secrets in text."""
    reason = "its JSON is broken"
    try:
        value = jsontext.loads(response.body) if response.body.strip() else {}
    except (ValueError, MemoryError) as error:
        reason = str(error) or "too large for the memory of this machine"
        answer = Answer(response.status, None, from_provider=False, is_json=False)
    else:
        answer = service.unwrap(response.status, value)
    if not 200 <= answer.status < 300:
        raise error_of(answer, response, mask)
    if not answer.is_json:
        words = f"the answer is not JSON ({reason}): {excerpt(response.body, mask)}".rstrip(": ")
        raise ApiError(words, status=response.status, is_json=False, permanent=True)
    answer.is_empty = not response.body.strip()
    return answer


def error_of(answer: Answer, response: Response, mask: Callable[[str], str]) -> ApiError:
    """Returns the error of an answer, in the API's words (`error`, `issues`, `docUrl`, sometimes `message`, `code`)."""
    status = answer.status
    headers = {name.lower(): str(text) for name, text in (*response.headers.items(), *answer.headers.items())}
    body = answer.value if isinstance(answer.value, dict) else {}
    inner = body.get("error")
    if isinstance(inner, dict):
        body = {**body, **inner}
        inner = None
    facts: dict[str, Any] = {}
    for key, name in (("code", "code"), ("docUrl", "doc_url")):
        found = body.get(key)
        if isinstance(found, (str, int)) and not isinstance(found, bool) and len(str(found)) <= MAX_MORE:
            facts[name] = found
    issues = body.get("issues")
    if isinstance(issues, list) and issues:
        facts["issues"] = [_issue(issue) for issue in issues[:MAX_ISSUES] if isinstance(issue, dict)]
    words = _message(status, (inner, body.get("message")), response, mask)
    kind = DeniedError if status in (401, 403) else ApiError
    reasons = [word for issue in facts.get("issues", ()) for word in issue["messages"]]
    said = (words, str(facts.get("code", "")), *reasons)
    if status == 402 or (400 <= status < 500 and status != 401 and any(map(_are_credits_missing, said))):
        kind, facts["try_next"] = CreditsError, ("auth", "status")
        words = f"{words.rstrip('.')}: buy credits at {CREDITS_PAGE}"
    return kind(
        words,
        status=status,
        from_provider=answer.from_provider,
        retry_after=_retry_after(headers),
        final=headers.get("x-should-retry", "").strip().lower() == "false" or kind is CreditsError,
        more=_more(body),
        **facts,
    )


def _are_credits_missing(words: str) -> bool:
    """Returns whether an error's words, or its code, say that there are too few credits: none is documented."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]", " ", words[:MAX_MESSAGE]).lower()
    few = "(not|n.t|no longer) have (enough|sufficient|any)|not enough|insufficient|too few|out of|no more|only have"
    low = "insufficient|exhausted|depleted|used up|too low"
    pattern = rf"({few})\b.{{0,30}}\b(credit|balance)|\bcredit.{{0,30}}\b({low})\b|exceed.{{0,30}}\bbalance"
    return re.search(pattern, words) is not None


def _message(status: int, words: tuple[Any, ...], response: Response, mask: Callable[[str], str]) -> str:
    location = response.headers.get("Location") if 300 <= status < 400 else None
    if location:
        return f"HTTP {status}: a redirect to {mask(location)} is not followed"
    found = next((word for word in words if isinstance(word, str) and word.strip()), None)
    if found and not found.lstrip().startswith("<"):
        return mask(found)[:MAX_MESSAGE]
    page = found.encode("utf-8", "replace") if found else response.body  # a gateway passes a page on as text
    return f"HTTP {status}: {excerpt(page, mask)}".rstrip(": ")


def _more(body: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the further keys of an error body, in their order, while they fit."""
    kept: dict[str, Any] = {}
    room = MAX_MORE
    for key, value in body.items():
        if key not in KNOWN_KEYS and (size := len(jsontext.dumps({key: value}))) <= room:
            kept[key] = value
            room -= size
    return kept


def _issue(issue: Mapping[str, Any]) -> dict[str, Any]:
    """Returns {"field": "a.0.b", "messages": […]}: of a union those of its branches, each once; else the code."""
    path = issue.get("path")
    steps = path if isinstance(path, list) else [path]
    messages = list(dict.fromkeys(_branch_messages(issue.get("errors"))))
    outer = issue.get("message")
    if isinstance(outer, str) and (not messages or outer != "Invalid input"):
        messages.insert(0, outer)
    if not messages and isinstance(issue.get("code"), str):
        messages = [issue["code"]]
    return {"field": ".".join(str(step) for step in steps if isinstance(step, (str, int))), "messages": messages}


def _branch_messages(branches: Any) -> Iterator[str]:
    """Yields the messages of a union's branches. A loop: an answer may nest deeper than Python's calls may."""
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


def unexpected(answer: Answer, path: str, wanted: str, mask: Callable[[str], str]) -> ApiError:
    """Returns the error of a success that is not what the API answers: another service may be speaking."""
    shown = "empty" if answer.is_empty else excerpt(jsontext.encoded(answer.value), mask)
    return ApiError(f"the answer of {path} is not {wanted}: {shown}", status=answer.status, permanent=True)


def excerpt(body: bytes, mask: Callable[[str], str]) -> str:
    """Returns the beginning of a body that should have been JSON, as one line without HTML tags."""
    text = body[:MAX_READ].decode("utf-8", "replace")
    if len(body) > MAX_READ:
        text = text[:-MAX_SECRET]  # this cut may have gone through a secret
    text = re.sub(rf"(?is)<(script|style)\b.*?(</\1>|$)|{TAG}", " ", text)
    if "&" in text:
        from html import unescape

        text = unescape(text)
    text = mask(" ".join(text.split()))  # before it is cut
    return text if len(text) <= MAX_EXCERPT else text[:MAX_EXCERPT] + "…"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds to wait: a header holds them, thousandths of them, or a date (RFC 9110, 10.2.3)."""
    text = ""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):  # as the SDKs read them, in this order
        text = headers.get(name, "").strip()
        if text.isascii() and text.replace(".", "", 1).isdigit():
            return float(text) / unit
    if not text:
        return None
    from email.utils import mktime_tz, parsedate_tz

    try:
        date = parsedate_tz(text)
        return max(0.0, mktime_tz(date) - time.time()) if date else None
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
