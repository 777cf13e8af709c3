"""Which call helps after a failure. One table of rules decides, from the facts that the failure carries.

The rules of an example: it never overwrites a file, deletes anything or starts something that costs credits, unless the
failed call was exactly that step and nothing was sent; so it never contains --force. It is the failed call itself only
where failing was a matter of time. It repeats the caller's own values, but none that is masked elsewhere.
"""

from __future__ import annotations

from ..errors import NetworkError, UsageError
from ..terminal import masking
from ..terminal.program import command_line
from . import hint_rules, word_rules
from .attempt import Attempt
from .options import GLOBAL_OPTIONS, SERVICE_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Optional

    from ..errors import Failure
    from .parser import Call

    Words = Sequence[str]
    Rule = Callable[[Attempt], Optional[Words]]

MAX_EXAMPLE = 1000  # characters of a failed call that are worth repeating; the ids of a wait are kept, however many

# In this order: the first rule whose answer can be used decides.
RULES: tuple[Rule, ...] = (
    hint_rules.go_on_with_the_batch,
    hint_rules.go_on_waiting,
    hint_rules.look_at_the_balance,
    hint_rules.call_directly,
    hint_rules.fix_the_environment,
    hint_rules.log_in,
    hint_rules.try_next,
    word_rules.take_a_free_name,
    word_rules.name_a_folder,
    word_rules.upload_the_file,
    hint_rules.save_the_outputs,
    hint_rules.show_the_deletion,
    word_rules.use_the_known_words,
    word_rules.translate_other_tools,
    word_rules.change_the_options,
    word_rules.save_to_the_file,
    word_rules.use_text_for_json,
    word_rules.use_json_for_text,
    word_rules.use_the_suggested_values,
    hint_rules.wait_for_the_resource,
    hint_rules.look_for_the_id,
    hint_rules.look_at_the_task,
    hint_rules.read_the_reference,
    hint_rules.try_again,
    hint_rules.look_at_the_account,
    hint_rules.usual,
)


def example(failure: Failure, words: Words, call: Call | None) -> str:
    """The call that helps, as it can be pasted."""
    attempt = Attempt(failure, words, call)
    prefix = hint_rules.environment_prefix(attempt)
    chosen = _without_deletion(attempt, _first_answer(attempt, prefix))
    return prefix + command_line([*chosen, *_service_words(attempt, chosen)])


def _first_answer(attempt: Attempt, prefix: str) -> Words:
    for rule in RULES:
        found = rule(attempt)
        if found is not None and _is_usable(attempt, found, prefix):
            return found
    return (*attempt.path, "--help")


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
    """Whether a call may be shown: nothing forced, masked or too long, not the failed call unless time may help."""
    if (
        "--force" in words
        or any(masking.text(word) != word for word in words)
        or (sum(map(len, words)) > MAX_EXAMPLE and words[:1] != ["wait"])
    ):
        return False
    return (
        not attempt.is_same(words)
        or bool(prefix)
        or hint_rules.is_matter_of_time(attempt)
        or attempt.command == "batch"
    )


def _service_words(attempt: Attempt, words: Words) -> list[str]:
    """The options that choose the service, where the chosen call does not have them yet."""
    if "--help" in words or attempt.fact("call_directly") or attempt.fact("drop") or words[:1] == ("help",):
        return []
    kept = [option for option in GLOBAL_OPTIONS if option.dest in SERVICE_OPTIONS]
    return [word for option in kept if option.flags[-1] not in words for word in attempt.typed(option)]
