"""The rules of `hints` that name another call: each looks at the facts of a failure, and answers with words or None."""

from __future__ import annotations

from ..errors import ApiError, AuthError, DeniedError, Interrupted, UsageError, WaitTimeout
from .attempt import Attempt
from .options import GLOBAL_OPTIONS
from .other_words import RESOURCES
from .parser import load
from .word_rules import free_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Words = Sequence[str]

CHOOSES_SERVER = ("RUNWAY_SKILLS_STAGE", "RUNWAY_SKILLS_GATEWAY", "RUNWAY_SKILLS_BASE_URL", "LOWCODEAPI_BASE_URL")
BODY_FLAGS = {"-f", "--field", "-F", "--json-field", "--text-file", "--data-uri", "--upload", "--body"}
RETRY_FLAGS = ("--retry-failed", "--retry-uncertain")
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
        from ..files.destination import free_folder, is_folder

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
    from ..jobs.pollable import STARTED_IN_PLACE

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
