"""The `example` of an error: a suggested next command.

Where it is raised, a failure names that command in the fact `try_next`, as its words. Where it depends on what the user
typed, it carries one of these facts instead, and the typed words are changed here:

    wrong, right, ours   an unknown word, the closest known word, or our words for it
    operands             the operands that follow the first one
    dashed               an option ("" for none) and its value or a text, which begins with a dash
    drop, add            options that the call should lose or gain
    taken                a path that exists: the call with a free name
    as_folder            True where --download has to be a folder: the call with a / at its end
    waiting_for          ids of what is still running: `wait` with the options that it shares with the call
    destination          the path that the outputs of such an id were to be saved as
    batch_call           how a batch continues: a key of BATCH_CALLS, or the words of a call
    variable             an environment variable that caused the failure; `is_secret` if it holds a secret
    bad_value            the flags and the text of a value that cannot be read
    instead              the words that give this value as its option wants it
    issues               what is wrong with fields
    unknown_command      the words of a command that does not exist
    endpoint             the (method, path) that the contract has for the call, or one like it
    may_have_been_accepted, was_sent   True for a request that must not be repeated

No example overwrites a file, deletes anything or starts what costs credits, unless the failed call was exactly that
step and nothing was sent: so none contains a word of NEVER. None is the failed call itself, unless waiting may help.
None shows what is masked elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence

from ..api.client import SERVICES
from ..api.retry import may_pass
from ..commands.options import GLOBAL_OPTIONS, SERVICE_FLAGS, tokens
from ..commands.request import METHODS
from ..contract.schema import endpoints, full_path, matching, short_name
from ..contract.source import snapshot
from ..errors import AuthError, ConfigError, DeniedError, Failure, Mistyped, UsageError
from ..files.download import ANY, free_path, is_folder
from ..jobs.tasks import FAMILIES
from ..settings import destination
from ..terminal.program import command_line
from . import translate
from .parser import COMMAND_MODULES, Call, HelpRequested, declared, load, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from ..commands.options import Token

    Words = Sequence[str]
    Change = Callable[[str, Optional[str]], Optional[Words]]

NEVER = ("--force", "--again")  # replace a file; pay again
MAX_EXAMPLE = 1000  # characters of a failed call that is worth repeating; a `wait` keeps any number of ids

TEXT_FLAGS = {"-f": "-F", "--field": "--json-field"}  # KEY=TEXT: the flag for KEY=JSON in the same spelling
BODY_FLAGS = {*TEXT_FLAGS, *TEXT_FLAGS.values(), "--text-file", "--data-uri", "--upload", "--body"}
OUTPUT_FLAGS = ("--download", "--to")
RETRY_FLAGS = ("--retry-failed", "--retry-uncertain")
WANTS_JSON = re.compile(r"(?i)(expected|must be) (an? )?(number|integer|int|boolean|array|object|list)\b")  # messages
# The fact `batch_call`: the options that the call of a batch loses, and those that it gains.
BATCH_CALLS = {
    "same": (RETRY_FLAGS, ()),  # rows that this run has sent again are not to be sent once more
    "dry run": (RETRY_FLAGS, ("--dry-run",)),
    "retry failed": ((), ("--retry-failed", "--dry-run")),
}


def example(failure: Failure, words: Words, call: Call | None, mask: Callable[[str], str]) -> str:
    """Returns the suggested next command, as it can be pasted; no word is shown that `mask` would change."""
    failed = FailedCall(failure, words, call)
    found = (words for words in _candidates(failed) if words and _is_usable(failed, words, mask))
    chosen = next(found, (*failed.path, "--help"))
    if "--help" in chosen or chosen[0] == "help":
        return command_line(chosen)
    if "request" in chosen and "DELETE" in map(str.upper, chosen) and "--dry-run" not in chosen:
        look = ("request", "GET", failed.endpoint)  # where it may have been sent
        chosen = _extended(chosen, ["--dry-run"]) if isinstance(failure, UsageError) else look
    with_service = _extended(chosen, failed.typed({*SERVICE_FLAGS} - {*chosen, *failed.fact("drop", ())}))
    return command_line(chosen if _fault(with_service) else with_service)


class FailedCall:
    """A failed call: the failure, the words except those of NEVER, and the parsed call as far as it got.

    `path` is that of the command. `method` and `endpoint` are METHOD and PATH as the words name them, "" without any.
    """

    def __init__(self, failure: Failure, words: Words, call: Call | None) -> None:
        self.failure = failure
        self.fact = failure.fact
        self.call = call
        self.path: tuple[str, ...] = call.path if call else tuple(failure.fact("path", ()))
        self.name = self.path[0] if self.path else ""
        self.command = declared(self.path)
        self.words = list(words)
        self.words = self.without(NEVER)
        self.method = self.endpoint = ""
        operands = ["POST"] if self.name in ("batch", "generate") else []
        method, path, *_ = [*operands, *self.operands()[1:], "", ""]
        if self.name in ("request", "batch", "generate") and method.upper() in METHODS:
            before, mark, rest = path.partition("/v1/")
            self.method, self.endpoint = method.upper(), mark + rest if "://" in before else path  # a full URL

    def option(self, name: str) -> Any:
        return getattr(self.call.options, name, None) if self.call else None

    def is_same(self, words: Words) -> bool:
        """Returns whether these words repeat the failed call, in whatever order its options are."""
        operands = [[word for word in each if not word.startswith("-")] for each in (words, self.words)]
        return sorted(words) == sorted(self.words) and operands[0] == operands[1]

    def may_succeed_later(self) -> bool:
        """Returns whether the same call may succeed later, and is safe to repeat."""
        if self.fact("may_have_been_accepted") or self.fact("was_sent"):
            return False
        return may_pass(self.failure) or self.failure.kind in ("timeout", "interrupted")

    def tokens(self) -> Iterator[Token]:
        options = [*GLOBAL_OPTIONS, *(self.command.options if self.command else ())]
        return tokens(list(self.words), options, [self.fact("wrong")] if self.fact("value") is not None else [])

    def changed(self, change: Change) -> list[str]:
        """Returns the words with each option and operand replaced by what `change` returns; None keeps it as typed."""
        found: list[str] = []
        for flag, value, typed in self.tokens():
            new = change(flag, value)
            if new and len(new) == 2 and new[0].startswith("--") and typed == [f"{flag}={value}"]:
                new = ["=".join(new)]
            found += typed if new is None else new
        return found

    def operands(self) -> list[str]:
        return [value for flag, value, _ in self.tokens() if flag == "" and value is not None]

    def typed(self, flags: Collection[str]) -> list[str]:
        return [word for flag, _, words in self.tokens() if flag in flags for word in words]

    def without(self, flags: Collection[str]) -> list[str]:
        return self.changed(lambda flag, _: [] if flag in flags else None)


def _extended(call: Words, new: Words) -> list[str]:
    """Returns a call with these options added, before any `--`; a switch that it has already is not repeated."""
    end = list(call).index("--") if "--" in call else len(call)
    added = [word for word in new if word not in call or not word.startswith("--")]
    return [*call[:end], *added, *call[end:]]


def _candidates(failed: FailedCall) -> Iterator[Words | None]:
    """Yields the calls that may help, best first; None where a rule does not apply."""
    fact, status = failed.fact, failed.fact("status")
    # What was paid for, or may have been, comes before anything that was wrong with the call.
    batch_call = fact("batch_call")
    if isinstance(batch_call, str):
        dropped, added = BATCH_CALLS[batch_call]
        batch_call = _extended(failed.without(dropped), added)
    yield batch_call
    if failed.option("is_resumable") and failed.may_succeed_later() and "-" not in failed.operands():
        yield failed.words
    yield _wait(failed)
    yield _look(failed)
    yield fact("try_next")
    # The environment and the key.
    if fact("variable"):
        yield ("auth", "login") if fact("is_secret") else ("help", "environment")
    if isinstance(failed.failure, (AuthError, DeniedError)):
        yield ("auth", "login") if failed.path == ("auth", "status") else ("auth", "status")
    # The words of the call, corrected.
    yield _corrected(failed)
    yield ("help", "environment") if "--gateway" in fact("drop", ()) else None  # a variable names it
    # Another call that shows more: which ids exist, or a resource that is not ready yet.
    parts = failed.endpoint.partition("?")[0].strip("/").split("/")
    if failed.name in ("wait", "cancel") and status in (400, 404):
        yield ("history",)
    if failed.name == "request" and status == 404 and len(parts) == 3:
        yield ("history",) if parts[1] == "tasks" else None
        yield (parts[1], "list") if COMMAND_MODULES.get(parts[1]) == "lists" else None
    if status == 409 and f"/{'/'.join(parts[:2])}/" in FAMILIES:
        yield ("wait", f"/{'/'.join(parts[:3])}") if parts[2:] else None
    yield _reference(failed)
    if failed.may_succeed_later():
        yield failed.words


def _is_usable(failed: FailedCall, words: Words, mask: Callable[[str], str]) -> bool:
    """Returns whether to show a call: nothing forced, masked or too long; the failed call only if waiting may help."""
    is_shown = all(mask(word) == word and not re.search("[\ud800-\udfff]", word) for word in words)  # and decodable
    is_short = sum(map(len, words)) <= MAX_EXAMPLE or words[0] == "wait"
    may_repeat = failed.may_succeed_later() or (failed.fact("batch_call") and failed.failure.kind != "config")
    is_new = may_repeat or not failed.is_same(words)
    return bool(is_shown and is_short and is_new) and {*NEVER}.isdisjoint(words) and not _fault(words)


def _fault(words: Words) -> UsageError | None:
    """Returns what is wrong with the words of a call, None where they can be parsed."""
    try:
        parse(words)
    except (HelpRequested, ConfigError):
        return None
    except UsageError as error:
        return error
    return None


def _wait(failed: FailedCall) -> Words | None:
    """Returns the `wait` for what the call started or waited for, with the options of the call that apply."""
    names = failed.fact("waiting_for")
    if not names or (failed.name == "wait" and isinstance(failed.failure, DeniedError)):
        return None
    if failed.option("unfinished") and failed.may_succeed_later():
        return failed.words  # `wait --unfinished` knows the destination of each
    kept = {flag for option in (*GLOBAL_OPTIONS, *load("wait")["wait",].options) for flag in option.flags}
    kept -= {"--unfinished", *SERVICE_FLAGS}  # the ids are named; every example gets the service flags later

    def change(flag: str, value: str | None) -> Words | None:
        if flag in OUTPUT_FLAGS and value:
            return ["--download", _free(value) if failed.fact("taken") or not is_folder(destination(value)) else value]
        return None if flag in kept else []

    call = ["wait", *["--"] * any(name.startswith("-") for name in names), *names]
    words = _extended(call, failed.changed(change))
    path = failed.fact("destination")
    if path and "--download" not in words:
        folder = os.path.join(os.path.dirname(path) or os.curdir, "")
        words = _extended(words, ["--download", folder if names[1:] or path.endswith(ANY) else _free(path)])
    if failed.is_same(words) and not failed.may_succeed_later():  # if the disk is full, the URLs can still be read
        return _extended(call, failed.typed(kept - {"--download", "--open"}))
    return words


def _free(path: str) -> str:
    """Returns the path if nothing exists there, else a free one beside it."""
    full = destination(path)
    found = free_path(full)
    return path if found == full else found


def _look(failed: FailedCall) -> Words | None:
    """Returns the call that shows the record or the account, after a POST or PATCH that may have been accepted."""
    is_uncertain = failed.fact("may_have_been_accepted") or failed.fact("was_sent")
    is_cut_off = failed.name in ("request", "generate") and failed.failure.kind in ("internal", "io", "interrupted")
    if not is_uncertain and not (is_cut_off and failed.method in ("POST", "PATCH")):
        return None
    is_patch = failed.method == "PATCH" and not failed.option("gateway")
    return ("request", "GET", failed.endpoint) if is_patch else SERVICES[failed.option("gateway")].balance_call


def _corrected(failed: FailedCall) -> Words | None:
    """Returns the call with all its mistakes corrected; the command's help if one of them is not understood."""
    words = _correction(failed)
    if words is None or list(words) == failed.words:
        return None
    other = _fault(words)
    return words if other is None else _corrected(FailedCall(other, words, None)) or (*other.fact("path", ()), "--help")


def _correction(failed: FailedCall) -> Words | None:
    """Returns the words of the call without the mistake that the failure names; None where it names none."""
    fact, words = failed.fact, failed.words
    if fact("unknown_command") and not isinstance(failed.failure, Mistyped):  # a command of another tool
        name, rest = fact("unknown_command")[0], failed.operands()[1:]
        if name.upper() in METHODS and "/" in "".join(rest[:1]):
            return ["request", *words]
        return translate.command([name, *rest])
    if fact("dashed"):
        flag, value = fact("dashed")
        at = words.index(value)
        if flag:
            return [*words[: at - 1], f"{flag}={value}", *words[at + 1 :]]
        return [*words[:at], *words[at + 1 :], *([] if "--" in words else ["--"]), value]

    flags, text = fact("bad_value", ((), ""))
    operands = iter([*failed.operands()[:2], *fact("operands", ())])
    refused = [issue["field"] for issue in fact("issues", ()) if WANTS_JSON.search(str(issue["messages"]))]
    wrong, ours = fact("wrong"), fact("ours", [fact("right")])

    def change(flag: str, value: str | None) -> Words | None:
        key = str(value).partition("=")[0]
        if flag in fact("drop", ()):
            return []
        if flag in TEXT_FLAGS and key in refused:
            return [TEXT_FLAGS[flag], str(value)]
        if flag in OUTPUT_FLAGS and value and (fact("taken") or fact("as_folder")):
            return [flag, f"{value}/" if fact("as_folder") else _free(value)]
        if fact("instead") and flag in flags and key == text.partition("=")[0]:
            return list(fact("instead"))
        if fact("operands") and not flag:
            return list(filter(None, [next(operands, None)]))
        is_option = flag == wrong and fact("value") in (None, value)
        is_word = value == wrong and (not flag or fact("ours") is None)
        if wrong is None or not (is_option or is_word):
            return None
        if not ours or ours[0] in (*NEVER, *failed.operands()):  # not needed, or already there: -X GET
            return []
        if is_option:
            return [*ours, *([] if value == fact("value") else [str(value)])]
        return [flag, *ours] if flag else ours

    changed = failed.changed(change)
    if changed == words and fact("instead"):
        return _extended(words, fact("instead"))  # a field replaces what is in the body
    if changed == words and "--output" in flags and re.search(r"[./\\]", text):  # a file
        name = "--to" if failed.name in ("generate", "download") else "--download"
        changed = failed.changed(lambda flag, _: [name, text] if flag == "--output" else None)
        return _extended(changed, ["--wait"] if failed.name == "request" and failed.method == "POST" else [])
    if changed == words and failed.name == "request" and not flags and "/" in text:  # METHOD was left out
        is_post = failed.typed({*BODY_FLAGS, "--stdin", "--wait", "--check"})
        changed.insert(words.index(text), "POST" if is_post else "GET")
        return _extended(changed, ["--dry-run"] if is_post else [])
    return _extended(changed, fact("add", ()))


def _reference(failed: FailedCall) -> Words | None:
    """Returns the `reference` of the endpoint, for the model of the call unless it was refused, or of a similar one."""
    flags, status = failed.fact("bad_value", ((), ""))[0], failed.fact("status")
    is_about_body = status in (400, 404, 405, 409, 415, 422)
    if isinstance(failed.failure, UsageError):  # only for options of the body, and for what the contract refused
        is_about_body = bool(BODY_FLAGS & {*flags}) if flags else failed.name == "request" or failed.fact("contract")
    if not is_about_body or not failed.endpoint or ":" in failed.endpoint.partition("/")[0]:
        return None
    if status in (404, 405):
        return ["reference", *failed.fact("endpoint", ())]
    path = full_path(failed.endpoint.partition("?")[0])
    if all(each.method != failed.method for each in matching(endpoints(snapshot().document), path)):
        return ["reference"]
    is_refused = any(issue["field"] == "model" for issue in failed.fact("issues", ()))
    if is_refused and failed.name == "generate":
        return ["models", short_name(path)]
    models = [str(value)[len("model=") :] for _, value, _ in failed.tokens() if str(value).startswith("model=")]
    return ["reference", failed.method, path, *(["--model", models[0]] if models and not is_refused else [])]
