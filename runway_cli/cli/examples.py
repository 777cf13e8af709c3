"""The `example` of an error: the call that helps after a failure.

Where it is raised, a failure names that call in the fact `try_next`, as the words of a call. Where the call depends on
what the user typed, it carries one of these facts instead, and the typed words are changed here:

    drop, add            options that the call should lose or gain
    taken                a path that exists: the call with a free name
    as_folder            True where --download has to be a folder: the call with a / at its end
    join                 words that are to be one, in quotes
    use_upload           the file of a --data-uri that is too large: the call with --upload
    waiting_for          ids of what is still running: `wait` with the options that it shares with the call
    batch_call           how a batch goes on: a key of BATCH_CALLS, or the words of a call
    variable             an environment variable that stands in the way; `is_secret` where it holds a secret
    instead              the words that give the value in `bad_value` as its option wants it
    issues, bad_value    what is wrong with fields or options, sometimes with the word that was meant
    endpoint             the (method, path) that the contract has for the call, or one like it
    may_have_been_accepted, was_sent   True for a request that must not be repeated

No example overwrites a file, deletes anything or starts what costs credits, unless the failed call was exactly that
step and nothing was sent: so none contains a word of NEVER. None is the failed call itself, unless time may help. None
shows what is masked elsewhere.
"""

from __future__ import annotations

import os
import re

from ..api.retry import may_pass
from ..api.services import SERVICES
from ..commands.options import GLOBAL_OPTIONS, SERVICE_FLAGS, VALUE, Command, tokens
from ..contract.schema import full_path
from ..errors import (
    ApiError,
    AuthError,
    ConfigError,
    DeniedError,
    Mistyped,
    NetworkError,
    UsageError,
)
from ..settings import HISTORY_VARIABLE, destination
from ..terminal import masking
from ..terminal.program import command_line
from .parser import COMMAND_MODULES, HelpRequested, VersionRequested, declared, parse

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
BODY_FLAGS = {*TEXT_FLAGS, *JSON_FLAGS, "--text-file", "--data-uri", "--upload", "--body"}
OUTPUT_FLAGS = ("--download", "--to")
RETRY_FLAGS = ("--retry-failed", "--retry-uncertain")
# The fact `batch_call`: the options that the call of a batch loses, and those that it gains.
BATCH_CALLS = {
    "same": (RETRY_FLAGS, ()),  # rows that this run has sent again are not to be sent once more
    "dry run": (RETRY_FLAGS, ("--dry-run",)),
    "retry failed": ((), ("--retry-failed", "--dry-run")),
}
CHOOSES_SERVER = ("RUNWAY_SKILLS_STAGE", "RUNWAY_SKILLS_GATEWAY", "RUNWAY_SKILLS_BASE_URL", "LOWCODEAPI_BASE_URL")


def example(failure: Failure, words: Words, call: Call | None) -> str:
    """Returns the call that helps, as it can be pasted. `call` is None where the words could not be parsed."""
    attempt = Attempt(failure, words, call)
    prefix = _environment_prefix(attempt)
    found = (words for words in _candidates(attempt, prefix) if words and _is_usable(attempt, words, prefix))
    chosen = _without_deletion(attempt, next(found, (*attempt.path, "--help")))
    if "--help" not in chosen and chosen[0] != "help" and not attempt.fact("drop"):
        chosen = _extended(chosen, attempt.typed({*SERVICE_FLAGS} - {*chosen}))
    return prefix + command_line(chosen)


class Attempt:
    """A failed call: the failure, the words but those of NEVER, and as much of the parsed call as there is.

    `path` is that of the command. `method` and `endpoint` are METHOD and PATH as the words name them, "" without any.
    """

    def __init__(self, failure: Failure, words: Words, call: Call | None) -> None:
        self.failure = failure
        self.fact = failure.fact
        self.words = [word for word in words if word not in NEVER]
        self.call = call
        self.path: tuple[str, ...] = call.path if call else tuple(failure.fact("path", ()))
        self.name = self.path[0] if self.path else ""
        self.command: Command | None = call.command if call else declared(self.path)
        self.method, self.endpoint = self._endpoint()

    def _endpoint(self) -> tuple[str, str]:
        if self.name not in ("request", "batch", "generate"):
            return "", ""
        from ..commands.request import METHODS

        operands = [value or "" for flag, value, _ in self.tokens() if flag == "" and value != self.name]
        if self.name == "generate":
            return "POST", full_path(next(iter(operands), ""))
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
            elif new and new[0] and not VALUE.match(new[1] or ""):
                found.append(f"{new[0]}={new[1]}")  # a value that looks like an option
            elif new:
                found += [word for word in new if word]
        return found

    def tokens(self) -> Iterator[Token]:
        """Yields the options and operands, as `options.tokens` does."""
        options = [*GLOBAL_OPTIONS, *(self.command.options if self.command else ())]
        return tokens(list(self.words), options, [self.fact("wrong")] if self.fact("value") is not None else [])

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


def _candidates(attempt: Attempt, prefix: str) -> Iterator[Words | None]:
    """Yields the calls that may help, the best first; None where a rule does not apply."""
    fact, failure = attempt.fact, attempt.failure
    # What was paid for, or may have been, comes before anything that was wrong with the call.
    batch_call = fact("batch_call")
    if isinstance(batch_call, str):
        dropped, added = BATCH_CALLS[batch_call]
        yield _extended(attempt.without(dropped), added)
    else:
        yield batch_call
    yield _wait(attempt)
    yield _look(attempt)
    yield fact("try_next")
    # The surroundings.
    if fact("variable"):
        yield ("auth", "login") if fact("is_secret") else attempt.words if prefix else ("help", "environment")
    if isinstance(failure, (AuthError, DeniedError)):
        yield ("auth", "login") if attempt.path == ("auth", "status") else ("auth", "status")
    # The words of the call, corrected.
    if fact("taken"):
        yield attempt.changed(lambda flag, value: (flag, _free(value) if value and flag in OUTPUT_FLAGS else value))
    if fact("join"):
        words = [word for word in attempt.words if word not in fact("join")[1:]]
        yield [" ".join(fact("join")) if word == fact("join")[0] else word for word in words]
    if fact("as_folder"):
        yield attempt.changed(lambda flag, value: (flag, f"{value}/" if flag in OUTPUT_FLAGS else value))
    if fact("use_upload"):
        end = f"={fact('use_upload')}"
        yield attempt.changed(
            lambda flag, value: ("--upload" if flag == "--data-uri" and (value or "").endswith(end) else flag, value)
        )
    yield _known_words(failure, attempt.words)
    if fact("drop"):
        yield attempt.without(fact("drop"))
    elif fact("add"):
        yield _extended(attempt.words, fact("add"))
    yield _instead(attempt)
    yield _other_value(attempt)
    yield _with_method(attempt)
    yield _refused_fields(attempt)
    # Another call that tells more.
    yield _about_the_record(attempt)
    yield _reference(attempt)
    if attempt.is_matter_of_time():
        yield attempt.words
        if attempt.name == "request":  # one that cannot be repeated here: does the service answer again?
            yield _account(attempt)


def _is_usable(attempt: Attempt, words: Words, prefix: str) -> bool:
    """Returns whether to show a call: nothing forced, masked or too long; the failed call only where time may help."""
    if not {*NEVER}.isdisjoint(words) or any(masking.text(word) != word for word in words):
        return False
    if any(re.search("[\ud800-\udfff]", word) for word in words):  # undecodable bytes cannot be pasted
        return False
    if sum(map(len, words)) > MAX_EXAMPLE and words[0] != "wait":
        return False
    return not attempt.is_same(words) or bool(prefix or attempt.fact("batch_call")) or attempt.is_matter_of_time()


def _without_deletion(attempt: Attempt, words: Words) -> Words:
    """Makes a call that deletes one that shows it, or one that looks; it stays where nothing can have been sent."""
    if "request" not in words or "DELETE" not in map(str.upper, words) or {"--dry-run", "--help"} & {*words}:
        return words
    if isinstance(attempt.failure, UsageError):
        return [*words, "--dry-run"]
    if isinstance(attempt.failure, NetworkError) and not attempt.failure.maybe_received:
        return words
    return ("request", "GET", attempt.endpoint)


def _environment_prefix(attempt: Attempt) -> str:
    """Returns `env -u VARIABLE ` where a variable stands in the way, "" for a secret; Windows has no such command."""
    variable = None if attempt.fact("is_secret") else attempt.fact("variable")
    typed = {word.upper() for word in attempt.words}
    may_change = not typed.isdisjoint(("POST", "PATCH", "PUT", "DELETE", "BATCH")) and "--DRY-RUN" not in typed
    if variable in (*CHOOSES_SERVER, HISTORY_VARIABLE) and may_change:  # elsewhere it might cost something
        return ""
    if "--gateway" in (attempt.fact("drop") or ()) and not attempt.typed(("--gateway", "--url-format")):
        variable = "RUNWAY_SKILLS_GATEWAY"
    return f"env -u {variable} " if variable and os.name != "nt" else ""


def _wait(attempt: Attempt) -> Words | None:
    """Waits for what the call started or waited for, with the options that it gave for that."""
    names, wait = attempt.fact("waiting_for"), declared(("wait",))
    if names and attempt.option("unfinished") and attempt.is_matter_of_time():
        return attempt.words  # it knows the destination of each
    if not names or not wait or (attempt.name == "wait" and isinstance(attempt.failure, DeniedError)):
        return None
    kept = {flag for option in (*GLOBAL_OPTIONS, *wait.options) for flag in option.flags}
    kept -= {"--unfinished", *SERVICE_FLAGS}  # the ids are named; the service follows for every example

    def change(flag: str, value: str | None) -> Unit | None:
        if flag in OUTPUT_FLAGS and value:
            return "--download", _free(value, is_taken=bool(attempt.fact("taken")))
        return (flag, value) if flag in kept else None

    operands = ["--", *names] if any(name.startswith("-") for name in names) else names
    words = _extended(["wait", *operands], attempt.changed(change))
    if attempt.name == "generate" and attempt.option("download") and "--download" not in words:
        words = _extended(words, ["--download", attempt.option("download")])
    if attempt.is_same(words) and not attempt.is_matter_of_time():  # a disk is full: the URLs can still be had
        kept -= {"--download", "--open"}
        return _extended(["wait", *operands], attempt.typed(kept))
    return words


def _look(attempt: Attempt) -> Words | None:
    """Looks at the record or the account, after a POST or PATCH that may have been accepted."""
    is_uncertain = attempt.fact("may_have_been_accepted") or attempt.fact("was_sent")
    is_cut_off = attempt.name in ("request", "generate") and attempt.failure.kind in ("internal", "io", "interrupted")
    if not is_uncertain and not (is_cut_off and attempt.method in ("POST", "PATCH")):
        return None
    is_patch = attempt.method == "PATCH" and not attempt.option("gateway")
    return ("request", "GET", attempt.endpoint) if is_patch else _account(attempt)


def _account(attempt: Attempt) -> Words:
    """Shows what the service can tell about the account."""
    return SERVICES[attempt.option("gateway")].balance_call


def _free(path: str, *, is_taken: bool = True) -> str:
    """Returns where outputs can go: the file or folder, or one beside it; a folder is replaced only if `is_taken`."""
    from ..files.download import free_folder, free_path, is_folder

    full = destination(path)
    if is_folder(full):
        return free_folder(full) if is_taken else path
    found = free_path(full)
    return path if found == full else found


def _known_words(failure: Failure | None, words: Words) -> Words | None:
    """Replaces each unknown word; the command's help where something else is wrong with the call too."""
    if not isinstance(failure, Mistyped):
        return _other_command(failure, words) if failure and failure.fact("unknown_command") else None
    wrong, right, ours = failure.fact("wrong"), failure.fact("right"), failure.fact("ours")
    attempt = Attempt(failure, words, None)
    operands = [value for flag, value, _ in attempt.tokens() if flag == ""]

    def change(flag: str, value: str | None) -> Unit | None:
        if right is None:
            if (flag, value) not in ((wrong, failure.fact("value")), ("", wrong)):
                return flag, value
            if not ours or ours[0] in operands:  # not needed here, or there already: -X GET
                return None
            option, *values = ours if ours[0].startswith("-") else ["", *ours]
            return option, next(iter(values), None)
        if flag != wrong:
            return flag, right if value == wrong else value
        return None if right in NEVER else (right, value)

    changed = attempt.changed(change)
    try:
        parse(changed)
    except (HelpRequested, VersionRequested, ConfigError):
        return changed
    except UsageError as other:
        found = _known_words(other, changed) if changed != list(words) else None
        return found or (*other.fact("path", ()), "--help")
    return changed


def _other_command(failure: Failure, words: Words) -> Words | None:
    """Translates a command of other tools."""
    from ..commands.request import METHODS
    from . import translate

    attempt, typed = Attempt(failure, words, None), failure.fact("unknown_command")
    operands = [value or "" for flag, value, _ in attempt.tokens() if flag == ""]
    if len(typed) == 2 and typed[0] not in translate.LISTS:
        return None
    if len(typed) == 1 and typed[0].upper() in METHODS and "/" in "".join(operands[1:2]):
        return ["request", *attempt.words]
    if typed[0] in translate.GENERATE:
        generate = attempt.changed(lambda flag, value: (flag, "generate" if value == typed[0] else value))
        return _known_words(Mistyped("", wrong="", right=""), generate) if operands[1:] else ("generate", "--help")
    return translate.command(operands)


def _other_value(attempt: Attempt) -> Words | None:
    """Puts a value that an option cannot take where it can stand: a file for --output, text for -F."""
    flags, text = attempt.fact("bad_value") or ((), "")
    typed = {word.upper() for word in attempt.words}
    if "--output" in flags and re.search(r"[./\\]", text) and (attempt.name == "wait" or "POST" in typed):
        words = attempt.changed(lambda flag, value: ("--download" if flag == "--output" else flag, value))
        return {"wait": words, "request": _extended(words, ("--wait",))}.get(attempt.name)
    return None


def _instead(attempt: Attempt) -> Words | None:
    """Gives values as their options want them, all that are wrong so."""
    words, failure = attempt.words, attempt.failure
    for _ in attempt.words:
        instead, (flags, text) = failure.fact("instead"), failure.fact("bad_value") or ((), "")
        if not instead:
            break
        key = text.partition("=")[0]
        found: list[str] = []
        for flag, value, typed in Attempt(failure, words, None).tokens():
            found += instead if flag in flags and (value or "").partition("=")[0] == key else typed
        words = found if found != words else _extended(words, instead)  # what is in the body is replaced by a field
        try:
            parse(words)
            break
        except (HelpRequested, VersionRequested):
            break
        except (UsageError, ConfigError) as other:
            failure = other
    return None if words is attempt.words else words


def _with_method(attempt: Attempt) -> Words | None:
    """Puts the METHOD of `request` in front of its PATH: GET where none is named, and the call only reads."""
    flags, path = attempt.fact("bad_value") or ((), "")
    if attempt.name != "request" or flags or "/" not in path:
        return None
    from ..commands.request import METHODS

    operands = [value or "" for flag, value, _ in attempt.tokens() if flag == ""]
    method = next((word for word in operands if word.upper() in METHODS), "")
    words = attempt.changed(lambda flag, value: None if flag == "" and value == method else (flag, value))
    has_body = bool(attempt.typed({*BODY_FLAGS, "--stdin", "--wait", "--check"}))
    words.insert(words.index(path), method or ("POST" if has_body else "GET"))
    return words if method or not has_body else _extended(words, ("--dry-run",))


def _refused_fields(attempt: Attempt) -> Words | None:
    """Corrects fields that the API or its contract refused: JSON for text; the nearest name or value, as a dry run.

    The nearest by its spelling may be another one than was meant, with another price.
    """
    wants_json: set[str] = set()
    names: dict[str, str] = {}
    values: dict[str, str] = {}
    for issue in attempt.fact("issues") or ():
        field = str(issue.get("field"))
        inside = field[: field.rfind(".") + 1]
        for message in issue.get("messages") or ():
            if isinstance(message, str) and re.search(
                r"(?i)(expected|must be) (an? )?(number|integer|int|boolean|array|object|list)\b", message
            ):
                wants_json.add(field)
            about, near = getattr(message, "about", ""), getattr(message, "near", "")  # of the contract's check
            if about == "value":
                values[field] = near
            elif about:
                old, new = (field, inside + near) if about == "field" else (inside + near, field)
                names[old] = new
    if not isinstance(attempt.failure, UsageError):  # of a refused call only what is sure
        names, values = {}, {}

    def change(flag: str, value: str | None) -> Unit:
        key, mark, text = (value or "").partition("=")
        if not mark or flag not in (*TEXT_FLAGS, *JSON_FLAGS, *([""] if attempt.name == "generate" else [])):
            return flag, value
        if key in wants_json and _is_json(text):
            flag = TEXT_FLAGS.get(flag, flag)
        return flag, f"{names.get(key, key)}={values.get(key, text)}"

    words = attempt.changed(change)
    return _extended(words, ("--dry-run",)) if (names or values) and not attempt.is_same(words) else words


def _is_json(text: str) -> bool:
    """Returns whether a text is JSON, and no string."""
    from .. import jsontext

    try:
        return not isinstance(jsontext.loads(text), str)
    except ValueError:
        return False


def _about_the_record(attempt: Attempt) -> Words | None:
    """Waits for a resource that is not ready yet, or lists what exists instead of an unknown id."""
    status = attempt.fact("status")
    if attempt.name in ("wait", "cancel"):
        return ("history",) if status in (400, 404) else None
    parts = attempt.endpoint.partition("?")[0].strip("/").split("/")
    if status == 409 and len(parts) >= 3:
        from ..jobs.tasks import STARTED_IN_PLACE

        kind = f"/{parts[0]}/{parts[1]}"
        return ("wait", f"{kind}/{parts[2]}") if kind in STARTED_IN_PLACE else None
    if status != 404 or attempt.name != "request" or len(parts) != 3:
        return None
    if COMMAND_MODULES.get(parts[1]) == "lists":
        return (parts[1], "list")
    return ("history",) if parts[1] == "tasks" else None


def _reference(attempt: Attempt) -> Words | None:
    """Shows the fields of the endpoint, for the model that the call names unless that was refused.

    An endpoint that the API does not know is looked up, not repeated.
    """
    failure = attempt.failure
    if attempt.name not in ("request", "batch", "generate"):
        return None
    if attempt.name == "generate" and isinstance(failure, UsageError) and not attempt.fact("issues"):
        return None
    if isinstance(failure, UsageError):  # no other option than the body's, and no row of a batch
        flags, _ = attempt.fact("bad_value") or ((), "")
        if BODY_FLAGS.isdisjoint(flags) if flags else attempt.name == "batch" and not attempt.fact("contract"):
            return None
    elif not isinstance(failure, ApiError) or failure.status not in (400, 404, 405, 409, 415, 422):
        return None
    if not attempt.endpoint.startswith(("/", "v1/")):
        return None
    if attempt.fact("status") in (404, 405):
        return ["reference", *(attempt.fact("endpoint") or ())]
    path = "/" + attempt.endpoint.partition("?")[0].lstrip("/")
    is_refused = any(issue.get("field") == "model" for issue in attempt.fact("issues") or ())
    if is_refused and attempt.name == "generate":
        return ["models", path.replace("/v1/", "", 1)]
    model = _model(attempt) if attempt.method == "POST" and not is_refused else None
    return ["reference", attempt.method, path, *(("--model", model) if model else ())]


def _model(attempt: Attempt) -> str | None:
    """Returns the model that a field or the body of the call names."""
    for flag, value, _ in attempt.tokens():
        if flag in (*TEXT_FLAGS, "") and value and value.startswith("model="):
            return value[len("model=") :]
    body = attempt.option("body")
    match = re.search(r'"model"\s*:\s*"([^"\\]+)"', body) if isinstance(body, str) else None
    return match[1] if match else None
