"""What other tools call things, as calls of this program."""

from __future__ import annotations

import difflib
import re

from ..api.retry import may_pass
from ..commands.options import GLOBAL_OPTIONS, SERVICE_OPTIONS
from ..errors import (
    ApiError,
    AuthError,
    DeniedError,
    Interrupted,
    Mistyped,
    NetworkError,
    RunwayError,
    UsageError,
    WaitTimeout,
)
from ..terminal import masking
from ..terminal.program import command_line
from .parser import HelpRequested, VersionRequested, load, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from ..commands.options import Option
    from ..errors import Failure
    from .parser import Call

    Words = Sequence[str]
    from collections.abc import Callable, Sequence
    from typing import Optional

    Rule = Callable[["Attempt"], Optional[Words]]


# What other tools call things: the words of a command that does not exist → a call
OTHER_WORDS: dict[tuple[str, ...], Sequence[str]] = {
    ("tasks",): ("history",),
    ("task",): ("history",),
    ("jobs",): ("history",),
    ("log",): ("history",),
    ("generate",): ("models",),
    ("create",): ("models",),
    ("image",): ("models", "text_to_image"),
    ("video",): ("models", "image_to_video"),
    ("videos",): ("models", "image_to_video"),
    ("list",): ("avatars", "list"),
    ("ls",): ("avatars", "list"),
    ("login",): ("auth", "login"),
    ("logout",): ("auth", "logout"),
    ("whoami",): ("auth", "status"),
    ("status",): ("auth", "status"),
    ("balance",): ("auth", "status"),
    ("credits",): ("auth", "status"),
    ("config",): ("help", "environment"),
    ("docs",): ("reference",),
    ("api",): ("reference",),
    ("endpoints",): ("reference",),
    ("install",): ("skill", "install"),
    ("version",): ("--version",),
}
# Their options → ours; one that ends in = is a field, with the option's value
OTHER_OPTIONS = {
    "--json": "--output json",
    "--markdown": "--output markdown",
    "--table": "--output table",
    "--format": "--output",
    "--out": "--download",
    "-o": "--download",
    "--to": "--download",
    "--budget": "--max-credits",
    "--max-cost": "--max-credits",
    "--check-only": "--check",
    "--prompt": "-f promptText=",
    "--model": "-f model=",
    "--ratio": "-f ratio=",
    "--duration": "-F duration=",
}
RESOURCES = ("avatars", "voices", "documents")
READING_WORDS = ("get", "show", "read", "describe", "view")
DELETING_WORDS = ("delete", "remove", "rm", "del")


# --- What is said about a word that is not known: the nearest known one, if there is one. Loaded only when needed.


SIMILARITY = 0.65  # from 0 to 1, of a mistyped word and the one that is suggested for it
MIN_BEGINNING = 3  # characters that are enough to recognize the only word that begins with them


def unknown(message: str, wrong: str, known: Collection[str], **facts: Any) -> UsageError:
    """The error for a word that is not known, with the nearest known one."""
    other = OTHER_OPTIONS.get(wrong, "")
    is_other = other.partition(" ")[0] in known
    plain, words = wrong.lstrip("-"), {word.lstrip("-"): word for word in known}  # equal dashes are no likeness
    longer = [word for word in words if len(plain) >= MIN_BEGINNING and word.startswith(plain)]
    close = longer if len(longer) == 1 else difflib.get_close_matches(plain, words, 1, SIMILARITY)
    near = [other] if is_other else [words[word] for word in close]
    if near and near[0] != wrong:
        return Mistyped(f"{message}; did you mean {near[0]}?", wrong=wrong, right=near[0], **facts)
    return UsageError(message, **facts)


# --- A failed call, and the changes that make another call of it.


def with_known_word(words: Words, wrong: str, right: str) -> list[str]:
    """`words` with `right` in place of `wrong`, which is a word or the part of one before or after its `=`."""
    for index, word in enumerate(words):
        name, mark, value = word.partition("=")
        if name == wrong and right.endswith("="):  # an option that is a field here
            flag, key = right.split(" ")
            if mark:
                return [*words[:index], flag, key + value, *words[index + 1 :]]
            if words[index + 1 : index + 2] and not words[index + 1].startswith("-"):
                return [*words[:index], flag, key + words[index + 1], *words[index + 2 :]]
            break  # it has no value
        if word == wrong:
            replacement = right.split(" ")
        elif mark and name == wrong:
            replacement = [f"{right}={value}"]
        elif mark and value == wrong and name.startswith("-"):
            replacement = [f"{name}={right}"]
        else:
            continue
        return [*words[:index], *replacement, *words[index + 1 :]]
    return list(words)


class Attempt:
    """A failed call: the failure, its words, and as much of the parsed call as there is."""

    def __init__(self, failure: Failure, words: Words, call: Call | None) -> None:
        self.failure = failure
        self.words = [word for word in words if word != "--force"]
        self.call = call
        self.path: tuple[str, ...] = call.path if call else tuple(failure.fact("path", ()))

    @property
    def command(self) -> str:
        return self.path[0] if self.path else ""

    def fact(self, name: str) -> Any:
        return self.failure.fact(name)

    def option(self, name: str) -> Any:
        """An option of the call, None where it was not parsed."""
        return getattr(self.call.options, name, None) if self.call else None

    def is_same(self, words: Words) -> bool:
        """Whether these words make the failed call again, in whatever order."""
        return sorted(words) == sorted(self.words)

    def extended(self, words: Words, call: Words | None = None) -> list[str]:
        """The failed call, or another `call`, with these words too, before a `--`; a switch that it has stays once."""
        call = self.words if call is None else call
        new = [word for word in words if word not in call or not word.startswith("--")]
        end = call.index("--") if "--" in call else len(call)
        return [*call[:end], *new, *call[end:]]

    def without(self, flags: Words) -> Words:
        """The failed call without these options and their values."""
        valued = {flag for option in self._options() if not option.is_switch for flag in option.flags}
        kept: list[str] = []
        skip = False
        for word in self.words:
            if skip:
                skip = False
                continue
            name = word.partition("=")[0]
            if name in flags:
                skip = name in valued and "=" not in word
                continue
            kept.append(word)
        return kept

    def repeated(self, options: Sequence[Option]) -> list[str]:
        """The words of those options that the call gave and that another call takes too."""
        if not self.call:
            return []
        left_out = ("force", "unfinished", *SERVICE_OPTIONS)  # the names are there
        given = [option for option in options if option.dest in self.call.given and option.dest not in left_out]
        return [word for option in given for word in option.words(self.call.given[option.dest])]

    def typed(self, option: Option) -> list[str]:
        """The words that give an option in the failed call, parsed or not; none where it is not there."""
        for index, word in enumerate(self.words):
            if word in option.flags:
                return list(self.words[index : index + (1 if option.is_switch else 2)])
            if word.partition("=")[0] in option.flags:
                return [word]
        return []

    def _options(self) -> list[Option]:
        found = list(GLOBAL_OPTIONS)
        declared = load(self.command) if self.command else None
        commands = declared.values() if isinstance(declared, dict) else [declared]
        for command in commands:
            found += getattr(command, "options", ())
        return found


# --- The rules of `hints` that correct the call: its own words with the part that was wrong replaced.


FIELD_FLAGS = {"-f": "-F", "--field": "--json-field"}
VALUE_FLAGS = {"-F": "-f", "--json-field": "--field"}
PATH_FLAGS = ("--download", "--to")


def take_a_free_name(attempt: Attempt) -> Words | None:
    if not attempt.fact("taken"):
        return None
    words = list(attempt.words)
    for flag in PATH_FLAGS:
        path = attempt.option(flag[2:])
        for index, word in enumerate(words):
            if path and word == f"{flag}={path}":
                words[index] = f"{flag}={free_name(path)}"
            elif path and word == path and words[index - 1 : index] == [flag]:
                words[index] = free_name(path)
    return words


def name_a_folder(attempt: Attempt) -> Words | None:
    path = attempt.fact("as_folder")
    return [f"{word}/" if word in (path, f"--download={path}") else word for word in attempt.words] if path else None


def upload_the_file(attempt: Attempt) -> Words | None:
    """--upload for a --data-uri whose file is too large."""
    path = attempt.fact("use_upload")
    words = list(attempt.words)
    for index, word in enumerate(words[1:], 1):
        if path and words[index - 1] == "--data-uri" and word.partition("=")[2] == path:
            words[index - 1] = "--upload"
    return words if words != attempt.words else None


def use_the_known_words(attempt: Attempt) -> Words | None:
    """The call with each mistyped word replaced; the command's help where something else is wrong with it too."""
    if not isinstance(attempt.failure, Mistyped):
        return None
    words: Words = attempt.words
    failure: Failure | None = attempt.failure
    for _ in words:
        if isinstance(failure, Mistyped):
            wrong, right = failure.fact("wrong"), failure.fact("right")
            is_force = right == "--force"
            words = [word for word in words if word != wrong] if is_force else with_known_word(words, wrong, right)
            failure = _parse_failure(words)
    return (*failure.fact("path", ()), "--help") if isinstance(failure, UsageError) else words


def translate_other_tools(attempt: Attempt) -> Words | None:
    unknown = attempt.fact("unknown_command")
    if not unknown:
        return None
    if len(unknown) == 2 and unknown[0] in RESOURCES:
        name, verb = unknown
        ids = attempt.words[attempt.words.index(verb) + 1 :][:1]
        path = f"/v1/{name}/{ids[0] if ids else 'ID'}"
        if verb in READING_WORDS:
            return ("request", "GET", path) if ids else (name, "list")
        if verb in DELETING_WORDS:
            return ("request", "DELETE", path, "--dry-run") if ids else (name, "list")
        return (name, "list")
    return OTHER_WORDS.get(unknown)


def change_the_options(attempt: Attempt) -> Words | None:
    drop, add = attempt.fact("drop"), attempt.fact("add")
    if drop:
        return attempt.without(drop)
    return attempt.extended(add) if add else None


def use_the_suggested_values(attempt: Attempt) -> Words | None:
    """The call with each field or value that the contract refused replaced by the nearest one, as a dry run.

    The nearest by its spelling may be another one than was meant, with another price.
    """
    if not isinstance(attempt.failure, UsageError):
        return None
    keys: dict[str, str] = {}
    values: dict[str, str] = {}
    for issue in attempt.fact("issues") or ():
        field = str(issue["field"])
        inside = field[: field.rfind(".") + 1]
        for message in issue["messages"]:
            found = re.match(r"(must|unknown|is required)\b.*; did you (?:mean|misspell it as) (\S+)\?$", message)
            if found and found[1] == "must":
                values[field] = found[2]
            elif found and found[1] == "unknown":
                keys[field] = inside + found[2]
            elif found:
                keys[inside + found[2]] = field
    words = list(attempt.words)
    for index, word in enumerate(words):
        name, _, value = word.partition("=")
        if words[index - 1] in (*FIELD_FLAGS, *VALUE_FLAGS):
            words[index] = f"{keys.get(name, name)}={values.get(name, value)}"
    return attempt.extended(("--dry-run",), words) if words != attempt.words else None


def save_to_the_file(attempt: Attempt) -> Words | None:
    """--download for an --output that names a file."""
    flags, text = attempt.fact("bad_value") or ((), "")
    if "--output" not in flags or attempt.command not in ("request", "wait") or not re.search(r"[./\\]", text):
        return None
    if attempt.command == "request" and "POST" not in map(str.upper, attempt.words):
        return None
    changed = {"--output": "--download", f"--output={text}": f"--download={text}"}
    words = [changed.get(word, word) for word in attempt.words]
    return words if attempt.command == "wait" else attempt.extended(("--wait",), words)


def use_text_for_json(attempt: Attempt) -> Words | None:
    flags, text = attempt.fact("bad_value") or ((), "")
    if "-F" not in flags:
        return None
    for index, word in enumerate(attempt.words):
        after = attempt.words[index + 1 :]
        if word in VALUE_FLAGS and after[:1] == [text]:
            return [*attempt.words[:index], *_as_text(attempt, text, VALUE_FLAGS[word]), *after[1:]]
        if word in (f"-F{text}", f"--json-field={text}"):
            return [*attempt.words[:index], *_as_text(attempt, text, "-f"), *after]
    return None


def use_json_for_text(attempt: Attempt) -> Words | None:
    """-F where the API, or its contract, wanted another type than text."""
    wanted = {str(issue.get("field")) for issue in attempt.fact("issues") or () if _wants_no_text(issue)}
    words = list(attempt.words)
    for index, word in enumerate(words[:-1]):
        key, _, value = words[index + 1].partition("=")
        if word in FIELD_FLAGS and key in wanted and _is_json(value):
            words[index] = FIELD_FLAGS[word]
    return words if words != attempt.words else None


def _as_text(attempt: Attempt, text: str, flag: str) -> list[str]:
    """KEY=TEXT as an option of its own; other tools read the file in KEY=@FILE, where there is a body."""
    from ..files.media import TYPES

    key, _, value = text.partition("=")
    if not value.startswith("@") or len(value) == 1 or {"GET", "DELETE"} & {word.upper() for word in attempt.words}:
        return [flag, text]
    is_media = value.rpartition(".")[2].lower() in TYPES
    return ["--upload" if is_media else "--text-file", f"{key}={value[1:]}"]


def free_name(path: str) -> str:
    """The path, or the first name beside it under which neither a file nor a numbered output exists."""
    import os

    from ..files.download import is_folder

    if is_folder(path):
        return path
    root, extension = os.path.splitext(path)
    candidate, number = path, 1
    while os.path.lexists(candidate) or os.path.lexists(f"{os.path.splitext(candidate)[0]}-1{extension}"):
        number += 1
        candidate = f"{root}-{number}{extension}"
    return candidate


def _parse_failure(words: Words) -> Failure | None:
    """What is wrong with the words of a call, None if nothing is."""
    try:
        parse(words)
    except (HelpRequested, VersionRequested):
        return None
    except RunwayError as failure:
        return failure
    return None


def _wants_no_text(issue: dict[str, Any]) -> bool:
    kinds = "number|integer|int|boolean|array|object|list"
    words = " ".join(map(str, issue.get("messages") or ()))
    return re.search(rf"(?i)(expected|must be) (an? )?({kinds})\b", words) is not None


def _is_json(text: str) -> bool:
    from .. import jsontext

    try:
        return not isinstance(jsontext.loads(text), str)
    except ValueError:
        return False


# --- The rules of `hints` that name another call: each looks at the facts of a failure, and answers with words or None.


CHOOSES_SERVER = ("RUNWAY_SKILLS_STAGE", "RUNWAY_SKILLS_GATEWAY", "RUNWAY_SKILLS_BASE_URL", "LOWCODEAPI_BASE_URL")
BODY_FLAGS = {"-f", "--field", "-F", "--json-field", "--text-file", "--data-uri", "--upload", "--body"}
RETRY_FLAGS = ("--retry-failed", "--retry-uncertain")
GATEWAY_FLAGS = ("--gateway", "--url-format")


def is_matter_of_time(attempt: Attempt) -> bool:
    failure = attempt.failure
    if attempt.fact("may_have_been_accepted") or attempt.fact("was_sent"):
        return False
    return may_pass(failure) or isinstance(failure, (WaitTimeout, Interrupted))


def environment_prefix(attempt: Attempt) -> str:
    """`env -u VARIABLE` where a variable stands in the way, not for a secret; Windows has no such command."""
    import os

    variable = None if attempt.fact("is_secret") else attempt.fact("variable")
    if attempt.fact("call_directly") and not any(flag in attempt.words for flag in GATEWAY_FLAGS):
        variable = "RUNWAY_SKILLS_GATEWAY"
    changes_something = "--dry-run" not in attempt.words and not {"POST", "PATCH", "PUT", "DELETE", "batch"}.isdisjoint(
        word if word == "batch" else word.upper() for word in attempt.words
    )
    if variable in CHOOSES_SERVER and changes_something and not attempt.fact("call_directly"):
        return ""
    return f"env -u {variable} " if variable and os.name != "nt" else ""


def go_on_with_the_batch(attempt: Attempt) -> Words | None:
    found = attempt.fact("batch_call")
    if found == "same":  # rows that this run has sent again are not to be sent once more
        return attempt.without(RETRY_FLAGS)
    if found == "dry run":
        return attempt.extended(("--dry-run",), attempt.without(RETRY_FLAGS))
    if found == "retry failed":
        return attempt.extended(("--retry-failed", "--dry-run"))
    return found or None


def go_on_waiting(attempt: Attempt) -> Words | None:
    names = attempt.fact("waiting_for")
    if not names or (attempt.command == "wait" and isinstance(attempt.failure, DeniedError)):
        return None
    options = [*load("wait").options, *GLOBAL_OPTIONS]  # type: ignore[union-attr]
    words = ["wait", *names, *attempt.repeated(options)]
    path = attempt.option("download")
    if path and path in words:
        from ..files.download import free_folder, is_folder

        other = free_folder if attempt.fact("taken") and is_folder(path) else free_name
        words[words.index("--download") + 1] = other(path)
    if attempt.is_same(words) and not is_matter_of_time(attempt):  # a disk is full: the URLs can still be had
        kept = [option for option in options if option.dest not in ("download", "open")]
        return ["wait", *names, *attempt.repeated(kept)]
    return words


def look_at_the_balance(attempt: Attempt) -> Words | None:
    is_uncertain = attempt.fact("may_have_been_accepted") or attempt.fact("was_sent")
    if not is_uncertain and attempt.failure.kind in ("internal", "io", "interrupted"):
        method = attempt.option("method")
        is_uncertain = method in ("POST", "PATCH")
    if not is_uncertain:
        return None
    path = attempt.option("path")
    if attempt.option("method") == "PATCH" and path and not attempt.option("gateway"):
        return ("request", "GET", path)
    default = ("auth", "status") if attempt.option("gateway") else ("request", "GET", "/v1/organization")
    found: Words = attempt.fact("balance_call") or default
    return found


def call_directly(attempt: Attempt) -> Words | None:
    found = attempt.fact("call_directly")
    return attempt.without(GATEWAY_FLAGS) if found is True else found


def fix_the_environment(attempt: Attempt) -> Words | None:
    if not attempt.fact("variable"):
        return None
    if attempt.fact("is_secret"):
        return ("auth", "login")
    return attempt.words if environment_prefix(attempt) else ("help", "environment")


def log_in(attempt: Attempt) -> Words | None:
    if attempt.fact("expired_url"):
        return ("history",)
    if not isinstance(attempt.failure, (AuthError, DeniedError)):
        return None
    return ("auth", "login") if attempt.path[:2] == ("auth", "status") else ("auth", "status")


def try_next(attempt: Attempt) -> Words | None:
    found: Words | None = attempt.fact("try_next")
    return found


def save_the_outputs(attempt: Attempt) -> Words | None:
    name = attempt.fact("save_outputs_of")
    return ("wait", name, "--download", "outputs/") if name else None


def show_the_deletion(attempt: Attempt) -> Words | None:
    path = attempt.fact("delete_path")
    return ("request", "DELETE", path, "--dry-run") if path else None


def wait_for_the_resource(attempt: Attempt) -> Words | None:
    path = attempt.option("path")
    if attempt.fact("status") != 409 or not path:
        return None
    from ..jobs.tasks import STARTED_IN_PLACE

    plain = "/" + path.partition("?")[0].strip("/")
    parts = plain.split("/")
    return ("wait", "/".join(parts[:4])) if len(parts) >= 4 and "/".join(parts[:3]) in STARTED_IN_PLACE else None


def look_for_the_id(attempt: Attempt) -> Words | None:
    """For an id that does not exist; a list for the ids of records that have one."""
    is_unknown = attempt.fact("status") in (400, 404) or attempt.fact("bad_id") is not None
    if attempt.command in ("wait", "cancel"):
        return ("history",) if is_unknown else None
    parts = without_origin(attempt.option("path") or "").partition("?")[0].strip("/").split("/")
    if attempt.fact("status") != 404 or attempt.command != "request" or len(parts) != 3:
        return None
    return (parts[1], "list") if parts[1] in RESOURCES else ("history",) if parts[1] == "tasks" else None


def look_at_the_task(attempt: Attempt) -> Words | None:
    path = attempt.fact("look_at")
    return ("request", "GET", path) if path else None


def read_the_reference(attempt: Attempt) -> Words | None:
    """The fields of the endpoint, of the model that the call names unless the model was refused.

    An endpoint that the API does not know is looked up, not repeated.
    """
    if attempt.command not in ("request", "batch") or not isinstance(attempt.failure, (ApiError, UsageError)):
        return None
    if isinstance(attempt.failure, UsageError) and not _is_about_the_body(attempt):
        return None
    if isinstance(attempt.failure, ApiError) and attempt.failure.status not in (400, 404, 405, 409, 415, 422):
        return None
    method, path = attempt.option("method") or "POST", attempt.option("path")
    if not path:
        method, path = _typed_endpoint(attempt)
    path = without_origin(path)
    if not path.startswith(("/", "v1/")):
        return None
    words = ["reference", method, "/" + path.partition("?")[0].lstrip("/")]
    if attempt.fact("status") in (404, 405):
        endpoint = attempt.fact("endpoint")
        return ["reference", *endpoint] if endpoint else ["reference"]
    is_refused = any(issue.get("field") == "model" for issue in attempt.fact("issues") or ())
    model = _model(attempt)
    return [*words, "--model", model] if model and not is_refused and method == "POST" else words


def _is_about_the_body(attempt: Attempt) -> bool:
    """Whether what is wrong with a call may be its body: no other option, and no row of a batch."""
    flags, _ = attempt.fact("bad_value") or ((), "")
    return not BODY_FLAGS.isdisjoint(flags) if flags else attempt.command == "request" or bool(attempt.fact("contract"))


def try_again(attempt: Attempt) -> Words | None:
    return attempt.words if is_matter_of_time(attempt) else None


def look_at_the_account(attempt: Attempt) -> Words | None:
    """Whether the service answers again, where the failed call cannot be repeated here."""
    found: Words | None = attempt.fact("balance_call") if is_matter_of_time(attempt) else None
    return found


def usual(attempt: Attempt) -> Words | None:
    """The command's own example for errors."""
    if attempt.call and attempt.call.command.after_error:
        return attempt.call.command.after_error
    declared = load(attempt.command) if attempt.command else None
    if isinstance(declared, dict):
        declared = declared.get(attempt.path[1]) if len(attempt.path) > 1 else None
    return getattr(declared, "after_error", None)


def _typed_endpoint(attempt: Attempt) -> tuple[str, str]:
    """METHOD and PATH among the words of a call that could not be parsed."""
    from ..commands.request import METHODS

    words = [word for word in attempt.words if not word.startswith("-")]
    method = next((word.upper() for word in words if word.upper() in METHODS), "")
    path = next((word for word in words if word.startswith(("/v1/", "v1/"))), "")
    if attempt.command == "batch":
        return "POST", path
    return (method, path) if method else ("", "")


def without_origin(path: str) -> str:
    """The path of a full URL, from `/v1` on; any other path as it is."""
    before, mark, rest = path.partition("/v1/")
    return mark + rest if "://" in before else path


def _model(attempt: Attempt) -> str | None:
    """The model that the words give."""
    for index, word in enumerate(attempt.words):
        value = attempt.words[index + 1] if word in ("-f", "--field") and index + 1 < len(attempt.words) else word
        if value.startswith("model="):
            return value[len("model=") :]
        if value.startswith("--field=model="):
            return value[len("--field=model=") :]
    return _model_of_body(attempt)


def _model_of_body(attempt: Attempt) -> str | None:
    import re

    body = attempt.option("body")
    match = re.search(r'"model"\s*:\s*"([^"\\]+)"', body) if isinstance(body, str) else None
    return match[1] if match else None


# --- Which call helps after a failure. One table of rules decides, from the facts that the failure carries.

# The rules of an example: it never overwrites a file, deletes anything or starts something that costs credits, unless the
# failed call was exactly that step and nothing was sent; so it never contains --force. It is the failed call itself only
# where failing was a matter of time. It repeats the caller's own values, but none that is masked elsewhere.


MAX_EXAMPLE = 1000  # characters of a failed call that are worth repeating; the ids of a wait are kept, however many

# In this order: the first rule whose answer can be used decides.
RULES: tuple[Rule, ...] = (
    go_on_with_the_batch,
    go_on_waiting,
    look_at_the_balance,
    call_directly,
    fix_the_environment,
    log_in,
    try_next,
    take_a_free_name,
    name_a_folder,
    upload_the_file,
    save_the_outputs,
    show_the_deletion,
    use_the_known_words,
    translate_other_tools,
    change_the_options,
    save_to_the_file,
    use_text_for_json,
    use_json_for_text,
    use_the_suggested_values,
    wait_for_the_resource,
    look_for_the_id,
    look_at_the_task,
    read_the_reference,
    try_again,
    look_at_the_account,
    usual,
)


def example(failure: Failure, words: Words, call: Call | None) -> str:
    """The call that helps, as it can be pasted."""
    attempt = Attempt(failure, words, call)
    prefix = environment_prefix(attempt)
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
    return not attempt.is_same(words) or bool(prefix) or is_matter_of_time(attempt) or attempt.command == "batch"


def _service_words(attempt: Attempt, words: Words) -> list[str]:
    """The options that choose the service, where the chosen call does not have them yet."""
    if "--help" in words or attempt.fact("call_directly") or attempt.fact("drop") or words[:1] == ("help",):
        return []
    kept = [option for option in GLOBAL_OPTIONS if option.dest in SERVICE_OPTIONS]
    return [word for option in kept if option.flags[-1] not in words for word in attempt.typed(option)]
