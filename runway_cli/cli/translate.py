"""The words that gh, curl, jq, httpie, replicate, fal and the SDKs taught people → the words of this program."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ..commands.options import VALUE, Command
from ..errors import Mistyped, UsageError
from ..terminal.console import FORMATS
from .parser import COMMAND_MODULES, mistyped

# Paths of jq that --select has too: `.id`, `.data[] | .id`, `.id, .name`; no functions.
JQ_PATHS = r"(?=.*\w)[\w.*\[\]-]+(?:\s*\|\s*\.[\w.*\[\]-]+|\s*,\s*[\w.*\[\]-]+)*"
ANY, NUMBER = r".+", r"\d+(?:\.\d+)?s?"
# Their options, the values that each is used with (None for a switch), and our words, with {} for the value. The first
# line that matches is used, and of its words the first whose option the command has; "" where none is needed here.
OPTIONS = (
    ("--json", r"[\[{@].*", "--body {}"),
    ("--json", r"\w+(?:,\w+)+", "--select {}"),
    ("--json", None, "--output json"),
    ("--markdown --md", None, "--output markdown"),
    ("--table", None, "--output table"),
    ("-o --format --output-format", "|".join(FORMATS), "--output {}"),
    ("--format --output-format", ANY, "--output {}"),
    ("--jq --query", JQ_PATHS, "--select {}"),
    ("-o -O --out --out-file --outfile --output-file --save --save-to --to --download", ANY, "--download {}|--to {}"),
    ("--output-dir --out-dir --outdir --directory --save-dir --download-dir", ANY, "--download {}/|--to {}/"),
    ("-d --data --data-raw --data-binary --payload --json-body", ANY, "--body {}"),
    ("-i --input --param --arg --raw-field", r"[\w.]+=.*", "-f {}"),
    ("--input --data-file --from-file --body-file --input-file", ANY, "--body @{}"),
    ("--file --image --video --audio", r"[\w.]+=.+", "--upload {}"),
    ("--prompt --prompt-text --promptText --text", ANY, "-f promptText={}"),
    ("-m --model", r".*[^\d.].*", "-f model={}"),
    ("--ratio --aspect-ratio --size", ANY, "-f ratio={}"),
    ("--duration --seconds", NUMBER, "-F duration={}"),
    ("--seed", NUMBER, "-F seed={}"),
    ("--image --prompt-image --promptImage", ANY, "--upload promptImage={}"),
    ("-f --field --raw-field -F --json-field --upload --data-uri", r"[\w.]+=.*", "{}"),
    ("-X --method --request", r"(?i:get|post|patch|put|delete)", "{}"),
    ("--file --url --id --task-id --path", ANY, "{}"),
    ("--poll --sync --block --watch --follow --await --wait", None, "--wait|"),
    ("--wait-for --wait-timeout --poll-timeout", NUMBER, "--max-wait {}"),
    ("--async --detach --background --no-wait", None, "--no-wait|"),
    ("-m --max-time --connect-timeout", NUMBER, "--timeout {}"),
    ("-n -L --count --max-items --max-results --page-size --per-page", NUMBER, "--limit {}"),
    ("-j -P --jobs --concurrency --workers", NUMBER, "--parallel {}"),
    ("--budget --max-cost --max-spend", NUMBER, "--max-credits {}"),
    ("--idempotency-key --request-id", ANY, "--once {}"),
    ("--session --session-id", ANY, "--client-id {}"),
    ("--dryrun --noop --preview", None, "--dry-run"),
    ("--all --all-pages --auto-paginate --paginate", None, "--paginate|"),
    ("-s --silent --no-progress", None, "--quiet"),
    ("-i --include --debug --trace", None, "--verbose"),
    ("-H --header --headers", ANY, ""),
    ("-y --yes --no-input --non-interactive --no-color --raw-output -r --raw --location --fail", None, ""),
)
# Options that do not exist here, by a part of their name, and the call that explains more. A key is never repeated.
CALLS = ((r"key|token|secret|password|bearer", ("auth", "login")), (r"url|host|endpoint", ("help", "environment")))
TASKS = r"(?:tasks?|jobs?|runs|predictions)"
LISTS = f"({'|'.join(name for name, module in COMMAND_MODULES.items() if module == 'lists')})"
READ = r"(?:get|show|read|describe|view|status|inspect|result)"
DELETE, GENERATE = r"(?:delete|remove|rm|del|destroy)", r"(?:run|create|make|predict|submit|imagine)"
# Their commands, whatever follows → ours. The first line that matches is used.
COMMANDS = (
    (rf"list {LISTS}|{LISTS} (?:list|ls)", r"\1\2 list"),
    (rf"{LISTS} (?:create|new|add)", r"reference POST /v1/\1"),
    (rf"{LISTS} {READ} (\S+)", r"request GET /v1/\1/\2"),
    (rf"{LISTS} {DELETE} (\S+)", r"request DELETE /v1/\1/\2 --dry-run"),
    (rf"{READ} (\S*/\S+)", r"request GET \1"),
    (rf"{DELETE} (\S*/\S+)", r"request DELETE \1 --dry-run"),
    (rf"(?:{TASKS} )?(?:wait|watch) (\S+)", r"wait \1"),
    (rf"(?:{TASKS} )?(?:cancel|stop|kill|abort) (\S+)", r"cancel \1"),
    (rf"(?:{TASKS} )?{READ} (\S+)", r"request GET /v1/tasks/\1"),
    (rf"(?:{TASKS} )?{DELETE} (\S+)", r"request DELETE /v1/tasks/\1 --dry-run"),
    (rf"(?:{TASKS} )?{GENERATE}", "generate --help"),
    (rf"{TASKS} (?:list|ls|{READ})|logs?", "history"),
    (rf"{TASKS} (\S+)", r"request GET /v1/tasks/\1"),
    (TASKS, "history"),
    (LISTS, r"\1 list"),
    ("list", "avatars list"),
    ("images?", "models text_to_image"),
    ("videos?", "models image_to_video"),
    ("(login|logout)", r"auth \1"),
    ("whoami|me|status|account|balance|credits", "auth status"),
    ("config|configure|env", "help environment"),
    ("docs|api|endpoints|spec|openapi", "reference"),
    ("install", "skill install"),
    ("version", "--version"),
)


def unknown_option(word: str, behind: Sequence[str], known: Collection[str], command: Command | None) -> UsageError:
    """Returns the error for an unknown option: its name in this program or, if no tool has it, the most similar one.

    `behind` are the words after it; the first may be its value. `known` are the flags of the command.
    """
    flag, mark, value = word.partition("=")
    if len(word) > 2 and word[1] != "-":  # -XPOST
        flag, mark, value = word[:2], "=", word[2:]
    operands = [operand.metavar for operand in command.operands] if command else []
    for flags, pattern, templates in OPTIONS:
        typed = value if mark else behind[0] if pattern and behind and VALUE.match(behind[0]) else ""
        if flag not in flags.split() or (mark and not pattern) or not re.fullmatch(pattern or "", typed, re.DOTALL):
            continue
        if "TEXT|KEY=VALUE" in operands:  # `generate`, where the fields of the body are operands
            templates = re.sub("^(-f|-F|--upload) ", "", templates)  # noqa: PLW2901
        for ours in templates.split("|"):
            name = ours.partition(" ")[0]
            if name not in known if name.startswith("-") else name and not operands:
                continue
            text = _selection(typed, is_row="METHOD" not in operands) if name == "--select" else typed
            text = text.rstrip("/") if ours.endswith("/") else text
            hint = "write its value alone" if name else "it is not needed here"
            hint = f"did you mean {ours.replace('{}', '…')}?" if name.startswith("-") else hint
            facts = {"value": typed if pattern else None, "ours": [part.replace("{}", text) for part in ours.split()]}
            return Mistyped(f"unknown option {flag}; {hint}", wrong=flag, **facts)
    name = word.partition("=")[0]
    for part, call in CALLS:
        if re.search(part, name, re.IGNORECASE):
            return UsageError(f"unknown option {name}", try_next=call)
    is_theirs = any(name in flags.split() for flags, _, _ in OPTIONS)  # and is not a misspelling of ours
    return mistyped(f"unknown option {name}", name, () if is_theirs else known)


def _selection(path: str, *, is_row: bool) -> str:
    """Returns a path of jq as --select has it: `.data[] | .id` is data.*.id, or id where --select is given a row."""
    plain = re.sub(r"\s*\|\s*", "", path).replace(" ", "")
    found = ",".join(re.sub(r"\[(\d*)\]", lambda at: f".{at[1] or '*'}", part).strip(".") for part in plain.split(","))
    return re.sub(r"^(data\.)?\*\.", "", found) if is_row else found


def command(operands: Sequence[str]) -> list[str] | None:
    """Returns our call for the operands of a command that does not exist; None where none is known."""
    typed = " ".join(word for word in operands if not re.search(r"\s", word))  # an id has no white space
    found = ((re.match(f"(?:{theirs})(?: |$)", typed), ours) for theirs, ours in COMMANDS)
    return next((match.expand(ours).split() for match, ours in found if match), None)
