"""The rules of `hints` that correct the call: its own words with the part that was wrong replaced."""

from __future__ import annotations

import re

from ..errors import Mistyped, RunwayError, UsageError
from .attempt import Attempt, with_known_word
from .other_words import DELETING_WORDS, OTHER_WORDS, READING_WORDS, RESOURCES
from .parser import HelpRequested, VersionRequested, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..errors import Failure

    Words = Sequence[str]

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

    from ..files.destination import is_folder

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
