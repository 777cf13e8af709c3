"""The `example` of an error: a suggested next command.

Where it is raised, a failure names that command in the fact `try_next`, as its words. Where it depends on what the user
typed, it carries one of these facts instead, and the typed words are changed here:

    operands             those of the call behind its first, None for one that should go
    dashed               an option, "" without any, and its value or a text that begins with a dash
    drop, add            options that the call should lose or gain
    taken                a path that exists: the call with a free name
    as_folder            True where --download has to be a folder: the call with a / at its end
    waiting_for          ids of what is still running: `wait` with the options that it shares with the call
    destination          the path that the outputs of such an id were to be saved as
    batch_call           how a batch goes on: a key of BATCH_CALLS, or the words of a call
    variable             an environment variable that stands in the way; `is_secret` where it holds a secret
    bad_value            the flags and the text of a value that cannot be read
    instead              the words that give this value as its option wants it
    issues               what is wrong with fields, sometimes with the word that was meant
    unknown_command      the words of a command that does not exist
    endpoint             the (method, path) that the contract has for the call, or one like it
    may_have_been_accepted, was_sent   True for a request that must not be repeated

No example overwrites a file, deletes anything or starts what costs credits, unless the failed call was exactly that
step and nothing was sent: so none contains a word of NEVER. None is the failed call itself, unless time may help. None
shows what is masked elsewhere.
"""

from __future__ import annotations

import os
import re
from functools import partial

from ..api.client import SERVICES
from ..api.retry import may_pass
from ..commands.options import GLOBAL_OPTIONS, SERVICE_FLAGS, Command, tokens
from ..commands.request import METHODS
from ..contract.schema import endpoints, full_path, matching, short_name
from ..contract.source import snapshot
from ..errors import ApiError, AuthError, ConfigError, DeniedError, Mistyped, UsageError
from ..files.download import ANY, free_folder, free_path, is_folder
from ..jobs.tasks import CREATED_BY
from ..settings import destination
from ..terminal.program import command_line
from . import translate
from .parser import COMMAND_MODULES, HelpRequested, declared, load, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import Any, Optional

    from ..commands.options import Token
    from ..errors import Failure
    from .parser import Call

    Words = Sequence[str]
    Unit = tuple[str, Optional[str]]  # an option and its value, None for a switch; "" and an operand

NEVER = ("--force", "--again")  # replace a file; pay again
MAX_EXAMPLE = 1000  # characters of a failed call that are worth repeating; the ids of a wait are kept, however many

TEXT_FLAGS = {"-f": "-F", "--field": "--json-field"}  # KEY=TEXT: the flag for KEY=JSON in the same spelling
JSON_FLAGS = {other: flag for flag, other in TEXT_FLAGS.items()}
WANTS_JSON = re.compile(r"(?i)(expected|must be) (an? )?(number|integer|int|boolean|array|object|list)\b")  # messages
BODY_FLAGS = {*TEXT_FLAGS, *JSON_FLAGS, "--text-file", "--data-uri", "--upload", "--body"}
OUTPUT_FLAGS = ("--download", "--to")
RETRY_FLAGS = ("--retry-failed", "--retry-uncertain")
# The fact `batch_call`: the options that the call of a batch loses, and those that it gains.
BATCH_CALLS = {
    "same": (RETRY_FLAGS, ()),  # rows that this run has sent again are not to be sent once more
    "dry run": (RETRY_FLAGS, ("--dry-run",)),
    "retry failed": ((), ("--retry-failed", "--dry-run")),
}


def example(failure: Failure, words: Words, call: Call | None, mask: Callable[[str], str]) -> str:
    """Returns the suggested next command, as it can be pasted.

    `call` is None where the words could not be parsed. No word is shown that `mask` would change.
    """
    failed = FailedCall(failure, words, call)
    prefix = _environment_prefix(failed)
    found = (words for words in _candidates(failed, prefix) if words and _is_usable(failed, words, prefix, mask))
    chosen = _without_deletion(failed, next(found, (*failed.path, "--help")))
    with_service = _extended(chosen, failed.typed({*SERVICE_FLAGS} - {*chosen}))
    is_help = "--help" in chosen or chosen[0] == "help" or failed.fact("drop") or _fault(with_service)
    return prefix + command_line(chosen if is_help else with_service)


class FailedCall:
    """A failed call: the failure, the words but those of NEVER, and as much of the parsed call as there is.

    `path` is that of the command. `method` and `endpoint` are METHOD and PATH as the words name them, "" without any.
    """

    def __init__(self, failure: Failure, words: Words, call: Call | None) -> None:
        self.failure = failure
        self.fact = failure.fact
        self.call = call
        self.path: tuple[str, ...] = call.path if call else tuple(failure.fact("path", ()))
        self.name = self.path[0] if self.path else ""
        self.command: Command | None = call.command if call else declared(self.path)
        self.words = list(words)
        self.words = self.without(NEVER)
        self.method, self.endpoint = self._endpoint()

    def _endpoint(self) -> tuple[str, str]:
        if self.name not in ("request", "batch", "generate"):
            return "", ""
        operands = self.operands()[1:]
        if self.name == "generate":
            return "POST", full_path("".join(operands[:1]))
        method, path = (*(["POST"] if self.name == "batch" else []), *operands, "", "")[:2]
        before, mark, rest = path.partition("/v1/")
        path = mark + rest if "://" in before else path  # a full URL
        return (method.upper(), path) if method.upper() in METHODS else ("", "")

    def option(self, name: str) -> Any:
        """Returns an option of the call, None where it was not parsed."""
        return getattr(self.call.options, name, None) if self.call else None

    def is_same(self, words: Words) -> bool:
        """Returns whether these words make the failed call again, in whatever order."""
        operands = [[word for word in each if not word.startswith("-")] for each in (words, self.words)]
        return sorted(words) == sorted(self.words) and operands[0] == operands[1]

    def is_matter_of_time(self) -> bool:
        """Returns whether the same call may go well later, and is safe to repeat."""
        if self.fact("may_have_been_accepted") or self.fact("was_sent"):
            return False
        return may_pass(self.failure) or self.failure.kind in ("timeout", "interrupted")

    def changed(self, change: Callable[[str, str | None], Unit | None]) -> list[str]:
        """Returns the words with each option and operand as `change` gives it, None to leave it out."""
        found: list[str] = []
        for flag, value, typed in self.tokens():
            new = change(flag, value)
            if new == (flag, value):
                found += typed
            elif new and new[0].startswith("--") and new[1] is not None and typed == [f"{flag}={value}"]:
                found.append(f"{new[0]}={new[1]}")
            elif new:
                found += [word for word in new if word]
        return found

    def tokens(self) -> Iterator[Token]:
        """Yields the options and operands, as `options.tokens` does."""
        options = [*GLOBAL_OPTIONS, *(self.command.options if self.command else ())]
        return tokens(list(self.words), options, [self.fact("wrong")] if self.fact("value") is not None else [])

    def operands(self) -> list[str]:
        """Returns the words that are not options, from the command on."""
        return [value for flag, value, _ in self.tokens() if flag == "" and value is not None]

    def typed(self, flags: Collection[str]) -> list[str]:
        """Returns the words of the call that give these options."""
        return [word for flag, _, words in self.tokens() if flag in flags for word in words]

    def without(self, flags: Collection[str]) -> list[str]:
        """Returns the words of the call without these options and their values."""
        return self.changed(lambda flag, value: None if flag in flags else (flag, value))


def _extended(call: Words, new: Words) -> list[str]:
    """Returns a call with these options too, before a `--`; a switch that it has stays once."""
    end = list(call).index("--") if "--" in call else len(call)
    added = [word for word in new if word not in call or not word.startswith("--")]
    return [*call[:end], *added, *call[end:]]


def _candidates(failed: FailedCall, prefix: str) -> Iterator[Words | None]:
    """Yields the calls that may help, the best first; None where a rule does not apply."""
    fact, failure = failed.fact, failed.failure
    # What was paid for, or may have been, comes before anything that was wrong with the call.
    batch_call = fact("batch_call")
    if isinstance(batch_call, str):
        dropped, added = BATCH_CALLS[batch_call]
        yield _extended(failed.without(dropped), added)
    else:
        yield batch_call
    if failed.option("is_recorded") and failed.is_matter_of_time() and "-" not in failed.operands():
        yield failed.words
    yield _wait(failed)
    yield _look(failed)
    yield fact("try_next")
    # The surroundings.
    if fact("variable"):
        yield ("auth", "login") if fact("is_secret") else failed.words if prefix else ("help", "environment")
    if isinstance(failure, (AuthError, DeniedError)):
        yield ("auth", "login") if failed.path == ("auth", "status") else ("auth", "status")
    # The words of the call, corrected.
    yield _corrected(failed)
    yield _refused_fields(failed)
    # Another call that tells more.
    yield _about_the_record(failed)
    yield _reference(failed)
    if failed.is_matter_of_time():
        yield failed.words


def _is_usable(failed: FailedCall, words: Words, prefix: str, mask: Callable[[str], str]) -> bool:
    """Returns whether to show a call: nothing forced, masked or too long; the failed call only where time may help."""
    if not {*NEVER}.isdisjoint(words) or any(mask(word) != word for word in words):
        return False
    if any(re.search("[\ud800-\udfff]", word) for word in words):  # undecodable bytes cannot be pasted
        return False
    if (sum(map(len, words)) > MAX_EXAMPLE and words[0] != "wait") or _fault(words):
        return False
    may_repeat = failed.is_matter_of_time() or (failed.fact("batch_call") and failed.failure.kind != "config")
    return bool(prefix or may_repeat) or not failed.is_same(words)


def _without_deletion(failed: FailedCall, words: Words) -> Words:
    """Makes a call that deletes one that only shows it or, where it may have been sent, one that looks."""
    if "request" not in words or "DELETE" not in map(str.upper, words) or {"--dry-run", "--help"} & {*words}:
        return words
    if isinstance(failed.failure, UsageError):
        return [*words, "--dry-run"]
    return ("request", "GET", failed.endpoint)


def _environment_prefix(failed: FailedCall) -> str:
    """Returns `env -u VARIABLE ` where a variable stands in the way of a call that only reads.

    Without a variable, any other call might cost something elsewhere, or more than it may. Windows has no such command.
    """
    variable = None if failed.fact("is_secret") else failed.fact("variable")
    if "--gateway" in (failed.fact("drop") or ()) and not failed.typed(("--gateway", "--url-format")):
        variable = "RUNWAY_SKILLS_GATEWAY"
    is_safe = failed.method in ("", "GET") or "--dry-run" in failed.words
    return f"env -u {variable} " if variable and is_safe and os.name != "nt" else ""


def _wait(failed: FailedCall) -> Words | None:
    """Waits for what the call started or waited for, with the options that it gave for that."""
    names = failed.fact("waiting_for")
    if not names or (failed.name == "wait" and isinstance(failed.failure, DeniedError)):
        return None
    if failed.option("unfinished") and failed.is_matter_of_time():
        return failed.words  # it knows the destination of each
    kept = {flag for option in (*GLOBAL_OPTIONS, *load("wait")["wait",].options) for flag in option.flags}
    kept -= {"--unfinished", *SERVICE_FLAGS}  # the ids are named; the service follows for every example

    def change(flag: str, value: str | None) -> Unit | None:
        if flag in OUTPUT_FLAGS and value:
            return "--download", _free(value, is_taken=bool(failed.fact("taken")))
        return (flag, value) if flag in kept else None

    operands = ["--", *names] if any(name.startswith("-") for name in names) else names
    words = _extended(["wait", *operands], failed.changed(change))
    path = failed.fact("destination")
    if path and "--download" not in words:
        folder = os.path.join(os.path.dirname(path) or os.curdir, "")
        words = _extended(words, ["--download", folder if names[1:] or path.endswith(ANY) else _free(path)])
    if failed.is_same(words) and not failed.is_matter_of_time():  # a disk is full: the URLs can still be had
        return _extended(["wait", *operands], failed.typed(kept - {"--download", "--open"}))
    return words


def _look(failed: FailedCall) -> Words | None:
    """Looks at the record or the account, after a POST or PATCH that may have been accepted."""
    is_uncertain = failed.fact("may_have_been_accepted") or failed.fact("was_sent")
    is_cut_off = failed.name in ("request", "generate") and failed.failure.kind in ("internal", "io", "interrupted")
    if not is_uncertain and not (is_cut_off and failed.method in ("POST", "PATCH")):
        return None
    is_patch = failed.method == "PATCH" and not failed.option("gateway")
    return ("request", "GET", failed.endpoint) if is_patch else SERVICES[failed.option("gateway")].balance_call


def _free(path: str, *, is_taken: bool = True) -> str:
    """Returns where outputs can go: the file or folder, or one beside it; a folder is replaced only if `is_taken`."""
    full = destination(path)
    if is_folder(full):
        return free_folder(full) if is_taken else path
    found = free_path(full)
    return path if found == full else found


def _corrected(failed: FailedCall) -> Words | None:
    """Returns the call with all its mistakes put right; the command's help where not all of them are understood."""
    words = _correction(failed)
    if words is None or list(words) == failed.words:
        return None
    other = _fault(words)
    return words if other is None else _corrected(FailedCall(other, words, None)) or (*other.fact("path", ()), "--help")


def _fault(words: Words) -> UsageError | None:
    """Returns what is wrong with the words of a call, None where they can be parsed."""
    try:
        parse(words)
    except (HelpRequested, ConfigError):
        return None
    except UsageError as error:
        return error
    return None


def _correction(failed: FailedCall) -> Words | None:
    """Returns the words of the call without the mistake that the failure names; None where it names none."""
    fact = failed.fact
    if fact("taken"):
        return failed.changed(lambda flag, value: (flag, _free(value) if value and flag in OUTPUT_FLAGS else value))
    if fact("as_folder"):
        return failed.changed(lambda flag, value: (flag, f"{value}/" if flag in OUTPUT_FLAGS else value))
    if fact("dashed"):
        (flag, value), words = fact("dashed"), failed.words
        at = words.index(value)
        behind = [] if "--" in words else ["--"]
        changed = [f"{flag}={value}", *words[at + 1 :]] if flag else [*words[at + 1 :], *behind, value]
        return [*words[: at - bool(flag)], *changed]
    if fact("operands"):
        operands = iter([*failed.operands()[:2], *fact("operands")])
        words = failed.changed(lambda flag, value: (flag, value if flag else next(operands, None)))
        return _extended(words, fact("add", ()))
    if fact("drop"):
        return _extended(failed.without(fact("drop")), fact("add", ()))
    if fact("unknown_command") and not isinstance(failed.failure, Mistyped):
        return _other_command(failed)
    if isinstance(failed.failure, Mistyped):
        return _extended(failed.changed(partial(_known_unit, failed, failed.operands())), fact("add", ()))
    if fact("add"):
        return _extended(failed.words, fact("add"))
    return _other_value(failed) if fact("bad_value") else None


def _known_unit(failed: FailedCall, operands: Words, flag: str, value: str | None) -> Unit | None:
    """Replaces an unknown word, where this is one: by the known word, or by our words for an option of other tools."""
    wrong, right, ours = failed.fact("wrong"), failed.fact("right"), failed.fact("ours")
    if ours is None:
        known = (flag, right if value == wrong else value) if flag != wrong else (right, value)
        return None if known[0] in NEVER else known
    if (flag, value) not in ((wrong, failed.fact("value")), ("", wrong)):
        return flag, value
    if not ours or ours[0] in operands:  # not needed here, or there already: -X GET
        return None
    option, *values = ours if ours[0].startswith("-") else ["", *ours]
    return option, next(iter(values), None)


def _other_command(failed: FailedCall) -> Words | None:
    """Translates a command of other tools."""
    typed, operands, last = failed.fact("unknown_command"), failed.operands(), failed.words[-1]
    if re.match("-(?![-qhvV]?$|-)", last) and len(operands) < 3:
        operands.append(last)  # an id that begins with a dash
    if len(typed) == 2:
        return translate.command(operands) if typed[0] in translate.LISTS else None
    if typed[0].upper() in METHODS and "/" in "".join(operands[1:2]):
        return ["request", *failed.words]
    if typed[0] in translate.GENERATE:
        words = failed.changed(lambda flag, value: (flag, "generate" if value == typed[0] else value))
        return words if operands[1:] else ("generate", "--help")
    return translate.command(operands)


def _other_value(failed: FailedCall) -> Words | None:
    """Gives a value as its option wants it, a file for --output as the command does, and a METHOD that was left out."""
    (flags, text), instead = failed.fact("bad_value"), failed.fact("instead")
    if instead:
        key = text.partition("=")[0]
        words: list[str] = []
        for flag, value, typed in failed.tokens():
            words += instead if flag in flags and (value or "").partition("=")[0] == key else typed
        return words if words != failed.words else _extended(words, instead)  # a field replaces what is in the body
    ours = {"request": "--download", "wait": "--download", "generate": "--to", "download": "--to"}.get(failed.name)
    if "--output" in flags and re.search(r"[./\\]", text) and ours:
        words = failed.changed(lambda flag, value: (ours if flag == "--output" else flag, value))
        return words if failed.name != "request" else _extended(words, ("--wait",)) if failed.method == "POST" else None
    if flags or failed.name != "request" or "/" not in text:
        return None
    is_post = failed.typed({*BODY_FLAGS, "--stdin", "--wait", "--check"})
    words = list(failed.words)
    words.insert(words.index(text), "POST" if is_post else "GET")
    return _extended(words, ("--dry-run",)) if is_post else words


def _refused_fields(failed: FailedCall) -> Words | None:
    """Corrects fields that the API or its contract refused: JSON for text; the nearest name or value, as a dry run.

    The nearest by its spelling may be another one than was meant, with another price.
    """
    wants_json: set[str] = set()
    names: dict[str, str] = {}
    values: dict[str, str] = {}
    is_local = isinstance(failed.failure, UsageError)  # of what the API refused, only what is sure is corrected
    for issue in failed.fact("issues") or ():
        field = str(issue.get("field"))
        inside = field[: field.rfind(".") + 1]
        for message in issue.get("messages") or ():
            if isinstance(message, str) and WANTS_JSON.search(message):
                wants_json.add(field)
            about, near = getattr(message, "about", ""), getattr(message, "near", "")  # of the contract's check
            if about == "value" and is_local:
                values[field] = near
            elif about and is_local:
                old, new = (field, inside + near) if about == "field" else (inside + near, field)
                names[old] = new

    def change(flag: str, value: str | None) -> Unit:
        key, mark, text = (value or "").partition("=")
        if not mark or flag not in (*TEXT_FLAGS, *JSON_FLAGS, *([""] if failed.name == "generate" else [])):
            return flag, value
        if key in wants_json and re.match(r"[\d\[{-]|(true|false)\Z", text):
            flag = TEXT_FLAGS.get(flag, flag)
        return flag, f"{names.get(key, key)}={values.get(key, text)}"

    words = failed.changed(change)
    return _extended(words, ("--dry-run",)) if (names or values) and not failed.is_same(words) else words


def _about_the_record(failed: FailedCall) -> Words | None:
    """Waits for a resource that is not ready yet, or lists what exists instead of an unknown id."""
    status = failed.fact("status")
    if failed.name in ("wait", "cancel"):
        return ("history",) if status in (400, 404) else None
    parts = failed.endpoint.partition("?")[0].strip("/").split("/")
    if status == 409 and len(parts) >= 3:
        family = f"/{parts[0]}/{parts[1]}/"
        return ("wait", family + parts[2]) if family in CREATED_BY else None
    if status != 404 or failed.name != "request" or len(parts) != 3:
        return None
    if COMMAND_MODULES.get(parts[1]) == "lists":
        return (parts[1], "list")
    return ("history",) if parts[1] == "tasks" else None


def _reference(failed: FailedCall) -> Words | None:
    """Shows the fields of the endpoint, for the model that the call names unless that was refused.

    An endpoint that the API does not know is looked up, not repeated.
    """
    failure = failed.failure
    flags, _ = failed.fact("bad_value") or ((), "")
    if isinstance(failure, UsageError):  # of the body's options alone, and of the contract's check
        is_about_body = (
            not BODY_FLAGS.isdisjoint(flags) if flags else failed.name == "request" or failed.fact("contract")
        )
    else:
        is_about_body = isinstance(failure, ApiError) and failure.status in (400, 404, 405, 409, 415, 422)
    if not is_about_body or not failed.endpoint or ":" in failed.endpoint.partition("/")[0]:
        return None
    if failed.fact("status") in (404, 405):
        return ["reference", *(failed.fact("endpoint") or ())]
    path = full_path(failed.endpoint.partition("?")[0])
    known = matching(endpoints(snapshot().document), path)
    if all(each.method != failed.method for each in known):
        return ["reference"]
    is_refused = any(issue.get("field") == "model" for issue in failed.fact("issues") or ())
    if is_refused and failed.name == "generate":
        return ["models", short_name(path)]
    fields = [value for flag, value, _ in failed.tokens() if flag in (*TEXT_FLAGS, "")]
    model = next((field[len("model=") :] for field in fields if field and field.startswith("model=")), None)
    return ["reference", failed.method, path, *(("--model", model) if model and not is_refused else ())]
