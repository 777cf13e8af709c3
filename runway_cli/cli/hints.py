"""Which call helps after a failure. One table of rules decides, from the facts that the failure carries.

The rules of an example: it never overwrites a file, deletes anything or starts something that costs credits, unless the
failed call was exactly that step and nothing was sent; so it never contains --force. It is the failed call itself only
where failing was a matter of time. It repeats the caller's own values, but none that is masked elsewhere.
"""

from __future__ import annotations

from ..errors import NetworkError, UsageError
from ..terminal import masking
from ..terminal.program import command_line
from .attempt import Attempt
from .hint_rules import RULES, environment_prefix, is_matter_of_time
from .options import GLOBAL_OPTIONS, SERVICE_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import Failure
    from .parser import Call

    Words = Sequence[str]

MAX_EXAMPLE = 1000  # characters of a failed call that are worth repeating; the ids of a wait are kept, however many


def example(failure: Failure, words: Words, call: Call | None) -> str:
    """The call that helps, as it can be pasted."""
    attempt = Attempt(failure, words, call)
    prefix = environment_prefix(attempt)
    usable = [
        found for rule in RULES for found in [rule(attempt)] if found is not None and _is_usable(attempt, found, prefix)
    ]
    chosen = _without_deletion(attempt, usable[0] if usable else _help(attempt))
    return prefix + command_line([*chosen, *_service_words(attempt, chosen)])


def _without_deletion(attempt: Attempt, words: Words) -> Words:
    """A call that deletes becomes one that shows it, or one that looks; it stays where nothing can have been sent."""
    upper = [word.upper() for word in words]
    if "request" not in words or "DELETE" not in upper or "--dry-run" in words or "--help" in words:
        return words
    if isinstance(attempt.failure, UsageError):
        return [*words, "--dry-run"]
    if isinstance(attempt.failure, NetworkError) and not attempt.failure.maybe_received:
        return words
    return ("request", "GET", attempt.option("path"))


def _is_usable(attempt: Attempt, words: Words, prefix: str) -> bool:
    """Whether a call may be shown: nothing masked, nothing too long, not the failed call unless time may help."""
    if any(masking.text(word) != word for word in words) or (
        sum(map(len, words)) > MAX_EXAMPLE and words[:1] != ["wait"]
    ):
        return False
    return not attempt.is_same(words) or bool(prefix) or is_matter_of_time(attempt) or attempt.command == "batch"


def _service_words(attempt: Attempt, words: Words) -> list[str]:
    """The options that choose the service, where the chosen call does not have them yet."""
    if "--help" in words or attempt.fact("call_directly") or attempt.fact("drop") or words[:1] == ("help",):
        return []
    kept = [option for option in GLOBAL_OPTIONS if option.dest in SERVICE_OPTIONS]
    return [word for option in kept if option.flags[-1] not in words for word in attempt.typed(option)]


def _help(attempt: Attempt) -> Words:
    return (*attempt.path, "--help")
