"""The rules of `hints`: each looks at the facts of a failure, and answers with a call or with None."""

from __future__ import annotations

from ..errors import ApiError, AuthError, DeniedError, Interrupted, Mistyped, RunwayError, UsageError, WaitTimeout
from .attempt import Attempt, with_known_word
from .options import GLOBAL_OPTIONS
from .other_words import DELETING_WORDS, OTHER_WORDS, READING_WORDS, RESOURCES
from .parser import HelpRequested, VersionRequested, load, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Optional

    from ..errors import Failure

    Words = Sequence[str]
    Rule = Callable[[Attempt], Optional[Words]]

CHOOSES_SERVER = ("RUNWAY_SKILLS_STAGE", "RUNWAY_SKILLS_GATEWAY", "RUNWAY_SKILLS_BASE_URL", "LOWCODEAPI_BASE_URL")
FIELD_FLAGS = {"-f": "-F", "--field": "--json-field"}
VALUE_FLAGS = {"-F": "-f", "--json-field": "--field"}
PATH_FLAGS = ("--download", "--to")
GATEWAY_FLAGS = ("--gateway", "--url-format")


def is_matter_of_time(attempt: Attempt) -> bool:
    failure = attempt.failure
    if attempt.fact("may_have_been_accepted") or attempt.fact("was_sent"):
        return False
    status = failure.fact("status", 0)
    is_network = failure.kind == "network" and not failure.fact("permanent")
    return is_network or isinstance(failure, (WaitTimeout, Interrupted)) or status in (408, 429) or status >= 500


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


def _go_on_with_the_batch(attempt: Attempt) -> Words | None:
    found = attempt.fact("batch_call")
    if found == "same":
        return attempt.words
    if found == "dry run":
        return [*attempt.words, *(["--dry-run"] if "--dry-run" not in attempt.words else [])]
    if found == "retry failed":
        return [*(word for word in attempt.words if word != "--retry-failed"), "--retry-failed", "--dry-run"]
    return found or None


def _go_on_waiting(attempt: Attempt) -> Words | None:
    names = attempt.fact("waiting_for")
    if not names or (attempt.command == "wait" and isinstance(attempt.failure, DeniedError)):
        return None
    options = [*load("wait").options, *GLOBAL_OPTIONS]  # type: ignore[union-attr]
    words = ["wait", *names, *attempt.repeated(options)]
    path = attempt.option("download")
    if path and path in words:
        words[words.index("--download") + 1] = _free_folder(path) if attempt.fact("taken") else _free_name(path)
    if attempt.is_same(words) and not is_matter_of_time(attempt):  # a disk is full: the URLs can still be had
        kept = [option for option in options if option.dest not in ("download", "open")]
        return ["wait", *names, *attempt.repeated(kept)]
    return words


def _look_at_the_balance(attempt: Attempt) -> Words | None:
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


def _call_directly(attempt: Attempt) -> Words | None:
    found = attempt.fact("call_directly")
    return attempt.without(GATEWAY_FLAGS) if found is True else found


def _fix_the_environment(attempt: Attempt) -> Words | None:
    if not attempt.fact("variable"):
        return None
    if attempt.fact("is_secret"):
        return ("auth", "login")
    return attempt.words if environment_prefix(attempt) else ("help", "environment")


def _log_in(attempt: Attempt) -> Words | None:
    if attempt.fact("expired_url"):
        return ("history",)
    if not isinstance(attempt.failure, (AuthError, DeniedError)):
        return None
    return ("auth", "login") if attempt.path[:2] == ("auth", "status") else ("auth", "status")


def _try_next(attempt: Attempt) -> Words | None:
    found: Words | None = attempt.fact("try_next")
    return found


def _take_a_free_name(attempt: Attempt) -> Words | None:
    if not attempt.fact("taken"):
        return None
    words = list(attempt.words)
    for flag in PATH_FLAGS:
        path = attempt.option(flag[2:])
        for index, word in enumerate(words):
            if path and word == f"{flag}={path}":
                words[index] = f"{flag}={_free_name(path)}"
            elif path and word == path and words[index - 1 : index] == [flag]:
                words[index] = _free_name(path)
    return words


def _name_a_folder(attempt: Attempt) -> Words | None:
    path = attempt.fact("as_folder")
    return [f"{word}/" if word in (path, f"--download={path}") else word for word in attempt.words] if path else None


def _upload_the_file(attempt: Attempt) -> Words | None:
    """--upload for a --data-uri whose file is too large."""
    path = attempt.fact("use_upload")
    words = list(attempt.words)
    for index, word in enumerate(words[1:], 1):
        if path and words[index - 1] == "--data-uri" and word.partition("=")[2] == path:
            words[index - 1] = "--upload"
    return words if words != attempt.words else None


def _save_the_outputs(attempt: Attempt) -> Words | None:
    name = attempt.fact("save_outputs_of")
    return ("wait", name, "--download", "outputs/") if name else None


def _show_the_deletion(attempt: Attempt) -> Words | None:
    path = attempt.fact("delete_path")
    return ("request", "DELETE", path, "--dry-run") if path else None


def _use_the_known_words(attempt: Attempt) -> Words | None:
    """The call with each mistyped word replaced; the command's help where something else is wrong with it too."""
    if not isinstance(attempt.failure, Mistyped):
        return None
    words: Words = attempt.words
    failure: Failure | None = attempt.failure
    for _ in words:
        if isinstance(failure, Mistyped):
            words = with_known_word(words, failure.fact("wrong"), failure.fact("right"))
            failure = _parse_failure(words)
    return (*failure.fact("path", ()), "--help") if isinstance(failure, UsageError) else words


def _parse_failure(words: Words) -> Failure | None:
    """What is wrong with the words of a call, None if nothing is."""
    try:
        parse(words)
    except (HelpRequested, VersionRequested):
        return None
    except RunwayError as failure:
        return failure
    return None


def _translate_other_tools(attempt: Attempt) -> Words | None:
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


def _change_the_options(attempt: Attempt) -> Words | None:
    drop, add = attempt.fact("drop"), attempt.fact("add")
    if drop:
        return attempt.without(drop)
    return [*attempt.words, *add] if add else None


def _use_text_for_json(attempt: Attempt) -> Words | None:
    flags, text = attempt.fact("bad_value") or ((), "")
    if "-F" not in flags:
        return None
    for index, word in enumerate(attempt.words):
        if word in VALUE_FLAGS and attempt.words[index + 1 : index + 2] == [text]:
            return [*attempt.words[:index], VALUE_FLAGS[word], *attempt.words[index + 1 :]]
        if word == f"--json-field={text}":
            return [*attempt.words[:index], f"--field={text}", *attempt.words[index + 1 :]]
    return None


def _use_json_for_text(attempt: Attempt) -> Words | None:
    """-F where the API, or its contract, wanted another type than text."""
    wanted = {str(issue.get("field")) for issue in attempt.fact("issues") or () if _wants_no_text(issue)}
    words = list(attempt.words)
    for index, word in enumerate(words[:-1]):
        key, _, value = words[index + 1].partition("=")
        if word in FIELD_FLAGS and key in wanted and _is_json(value):
            words[index] = FIELD_FLAGS[word]
    return words if words != attempt.words else None


def _wait_for_the_resource(attempt: Attempt) -> Words | None:
    path = attempt.option("path")
    if attempt.fact("status") != 409 or not path:
        return None
    from ..jobs.pollable import STARTED_IN_PLACE

    plain = "/" + path.partition("?")[0].strip("/")
    parts = plain.split("/")
    return ("wait", "/".join(parts[:4])) if len(parts) >= 4 and "/".join(parts[:3]) in STARTED_IN_PLACE else None


def _look_at_the_history(attempt: Attempt) -> Words | None:
    is_unknown = attempt.fact("status") == 404 or attempt.fact("bad_id") is not None
    return ("history",) if attempt.command in ("wait", "cancel") and is_unknown else None


def _look_at_the_task(attempt: Attempt) -> Words | None:
    path = attempt.fact("look_at")
    return ("request", "GET", path) if path else None


def _read_the_reference(attempt: Attempt) -> Words | None:
    """The fields of the endpoint, of the model that the call names unless the model was refused.

    An endpoint that the API does not know is looked up, not repeated.
    """
    if attempt.command not in ("request", "batch") or not isinstance(attempt.failure, (ApiError, UsageError)):
        return None
    if isinstance(attempt.failure, ApiError) and attempt.failure.status not in (400, 404, 405, 409, 415, 422):
        return None
    method, path = attempt.option("method") or "POST", attempt.option("path")
    if not path:
        method, path = _typed_endpoint(attempt)
    path = _without_origin(path)
    if not path.startswith(("/", "v1/")):
        return None
    words = ["reference", method, "/" + path.partition("?")[0].lstrip("/")]
    if attempt.fact("status") in (404, 405):
        endpoint = attempt.fact("endpoint")
        return ["reference", *endpoint] if endpoint else ["reference"]
    is_refused = any(issue.get("field") == "model" for issue in attempt.fact("issues") or ())
    model = _model(attempt)
    return [*words, "--model", model] if model and not is_refused and method == "POST" else words


def _try_again(attempt: Attempt) -> Words | None:
    return attempt.words if is_matter_of_time(attempt) else None


def _look_at_the_account(attempt: Attempt) -> Words | None:
    """Whether the service answers again, where the failed call cannot be repeated here."""
    found: Words | None = attempt.fact("balance_call") if is_matter_of_time(attempt) else None
    return found


def _usual(attempt: Attempt) -> Words | None:
    """The command's own example for errors."""
    if attempt.call and attempt.call.command.after_error:
        return attempt.call.command.after_error
    declared = load(attempt.command) if attempt.command else None
    if isinstance(declared, dict):
        declared = declared.get(attempt.path[1]) if len(attempt.path) > 1 else None
    return getattr(declared, "after_error", None)


def _free_name(path: str) -> str:
    """The path, or the first name beside it under which neither a file nor a numbered output exists."""
    import os

    from ..files.destination import is_folder

    if is_folder(path):
        return path
    root, extension = os.path.splitext(path)
    candidate, number = path, 1
    while os.path.lexists(candidate) or os.path.lexists(f"{os.path.splitext(candidate)[0]}-1{extension}"):
        number += 1
        candidate = f"{root}-{number}{extension}"
    return candidate


def _free_folder(path: str) -> str:
    """A folder beside this one, for what must not replace a file in it; of a file name, the first free one."""
    import os

    from ..files.destination import first_free, is_folder

    if not is_folder(path):
        return _free_name(path)
    plain = path.rstrip("/" + os.sep)
    if os.path.basename(plain) in ("", os.curdir, os.pardir):
        plain = os.path.join(path, "outputs")
    return first_free(plain) + "/"


def _typed_endpoint(attempt: Attempt) -> tuple[str, str]:
    """METHOD and PATH among the words of a call that could not be parsed."""
    from ..commands.request import METHODS

    words = [word for word in attempt.words if not word.startswith("-")]
    method = next((word.upper() for word in words if word.upper() in METHODS), "")
    path = next((word for word in words if word.startswith(("/v1/", "v1/"))), "")
    return (method, path) if method or attempt.command == "batch" else ("", "")


def _without_origin(path: str) -> str:
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


def _wants_no_text(issue: dict[str, Any]) -> bool:
    import re

    kinds = "number|integer|int|boolean|array|object|list"
    words = " ".join(map(str, issue.get("messages") or ()))
    return re.search(rf"(?i)(expected|must be) (an? )?({kinds})\b", words) is not None


def _is_json(text: str) -> bool:
    from .. import jsontext

    try:
        return not isinstance(jsontext.loads(text), str)
    except ValueError:
        return False


# In this order: the first rule that answers decides.
RULES: tuple[Rule, ...] = (
    _go_on_with_the_batch,
    _go_on_waiting,
    _look_at_the_balance,
    _call_directly,
    _fix_the_environment,
    _log_in,
    _try_next,
    _take_a_free_name,
    _name_a_folder,
    _upload_the_file,
    _save_the_outputs,
    _show_the_deletion,
    _use_the_known_words,
    _translate_other_tools,
    _change_the_options,
    _use_text_for_json,
    _use_json_for_text,
    _wait_for_the_resource,
    _look_at_the_history,
    _look_at_the_task,
    _read_the_reference,
    _try_again,
    _look_at_the_account,
    _usual,
)
