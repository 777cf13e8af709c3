"""`generate`: from a prompt to a file, as `request POST … --wait --download` with fields that the contract types."""

from __future__ import annotations

import os
import re

from .. import jsontext
from ..api.paths import api_path
from ..contract import source
from ..contract.schema import Schema, Schemas, beginning_of, full_path, kind_of, models, nearest, reading, short_name
from ..errors import Mistyped, UsageError
from ..jobs import fields
from ..jobs.fields import Field
from ..jobs.tasks import created_by
from ..settings import MIN_INTERVAL, Miswritten, as_text, destination, expanded, not_empty
from . import request
from .body import Checker
from .context import Context
from .options import COSTS, Command, Operand, Option, Options
from .wait import MAX_WAIT, WAIT_OPTIONS

TEXT_FIELDS = ("promptText", "text", "prompt")  # the first one of the endpoint, also one level down, takes TEXT
SETTING = re.compile(r"([A-Za-z_][\w.\[\]-]*?)(:?=)(.*)", re.ASCII | re.DOTALL)  # KEY=VALUE or KEY:=JSON
SHARED = ("--output-of", "--once", "--again", "--check", "--dry-run")  # with `request`


def run(context: Context, options: Options) -> int:
    """Makes the body of a POST from the words, and sends it as `request` does."""
    if options.no_wait and (options.open or options.max_wait != MAX_WAIT or options.interval != MIN_INTERVAL):
        words = "--max-wait, --interval and --open cannot be used with --no-wait"
        raise UsageError(words, drop=("--max-wait", "--interval", "--open"))
    path = full_path(api_path(options.endpoint))
    if not created_by(path):
        words = f"POST {path} creates no task: send it with `request`"
        raise UsageError(words, try_next=("reference", "POST", path))

    # Separate settings from TEXT.
    settings = [found.groups() for found in map(SETTING.fullmatch, options.words) if found]
    texts = [word for word in options.words if not SETTING.fullmatch(word)]
    if len(texts) > 1:
        operands = [" ".join(texts), *(word for word in options.words if word not in texts)]
        words = f"TEXT is one argument: put it in quotes: {operands[0]!r}"
        raise UsageError(words, operands=operands, add=("--dry-run",))  # what the words mean is a guess

    # Find the field of each word in the contract.
    client = context.client(with_secret=False)
    options.checker = checker = Checker(client, source.load(client, may_fetch=False), lenient=True)
    endpoint = checker.endpoint("POST", path)
    if endpoint is None:
        _refuse_unknown(checker, options.endpoint, path, [key for key, _, _ in settings], texts)
    with reading(checker.contract.document) as schemas:
        named = {value for key, _, value in settings if key == "model"}
        by_model, forms = (schemas.by_model(endpoint), schemas.body(endpoint)) if endpoint else ({}, [])
        # For an unknown model, the fields of all models are used.
        forms = [form for model in by_model if model in named for form in by_model[model]] or forms
        found = [_field(schemas, forms, *setting) for setting in settings]
        key = _text_key(schemas, forms)
        if texts and not key:
            words = f"POST {path} has no field for TEXT: give its fields as KEY=VALUE"
            raise UsageError(words, try_next=("reference", "POST", path))
        if texts:
            found.insert(0, Field(fields.TEXT_FILE if texts[0] == "-" else fields.TEXT, key, texts[0]))
        elif key and all(field.key != key for field in (*found, *options.fields)):
            for word, (name, mark, text) in zip(options.words, settings):
                if mark == "=" and re.search(r"\s", text) and not _below(schemas, forms, name.split(".")):
                    meant = f"{'.'.join(key)}={word}"
                    words = f"POST {path} has no field {name}: if {word!r} is TEXT, give it as {'.'.join(key)}=…"
                    raise UsageError(words, bad_value=(("",), word), instead=(meant,))

    # Send it as `request` does.
    for field in found:
        field.option = ""
    options.method, options.path, options.wait = "POST", path, not options.no_wait
    options.fields = [*found, *options.fields]
    options.is_typed, options.body, options.stdin, options.paginate = True, None, False, False
    return request.Request(context, options).run()


def _refuse_unknown(checker: Checker, name: str, path: str, settings: list[str], texts: list[str]) -> None:
    """Raises UsageError if the endpoint is the name of a model, and for TEXT, whose field is then unknown."""
    ends = next((row["endpoints"] for row in models(checker.contract.document) if row["model"] == name), None)
    if ends:
        added = [] if "model" in settings else [f"model={name}"]
        words = f"{name} is a model of {' and '.join(ends)}: write {ends[0]} … model={name}"
        raise Mistyped(words, wrong=name, right=ends[0], add=(*added, "--dry-run"))
    if texts:
        words = f"the API's contract has no POST {path}, so there is no field known for TEXT: give it as KEY=VALUE"
        near = nearest([each for each in checker.endpoints if each.method == "POST" and "{" not in each.path], path)[:1]
        if not near:
            raise UsageError(words, try_next=("reference",))
        right = short_name(near[0])
        raise Mistyped(f"{words}; did you mean {right}?", wrong=name, right=right, add=("--dry-run",))


def _text_key(schemas: Schemas, forms: list[Schema]) -> list[str]:
    """Returns the key of the field that takes TEXT, [] where there is none."""
    holders = [[], *([name] for form in forms for name in form.get("properties", ()))]
    for name in TEXT_FIELDS:
        for holder in holders:
            if any(form.get("type") == "string" for form in _below(schemas, forms, [*holder, name])):
                return [*holder, name]
    return []


def _field(schemas: Schemas, forms: list[Schema], name: str, mark: str, text: str) -> Field:
    """Returns the field of KEY=VALUE with the type that the contract gives it; an unknown one is text."""
    allowed = _below(schemas, forms, name.split("."))
    kind = fields.JSON if mark == ":=" or _is_json(allowed, text) else fields.TEXT
    is_uri, is_address = any(map(beginning_of, allowed)), bool(fields.ADDRESS.match(text))
    if kind == fields.TEXT and not is_uri and (is_address or os.path.isfile(text)):
        for inner in ("uri", "0.uri", "0"):  # where an object or a list may take it
            if any(map(beginning_of, _below(schemas, allowed, inner.split(".")))):
                right = f"{name}.{inner}={text}"
                words = f"{name} does not take a URL itself: write {right}"
                raise UsageError(words, bad_value=(("",), f"{name}="), instead=(right,))
    file = fields.named_file(name.split("."), text)
    if kind == fields.TEXT and (is_uri or file):
        kind = fields.UPLOAD
        text = text if is_address else expanded(file or text)
        if not is_address and not os.path.lexists(text):
            raise UsageError(f"{name} takes a URL or a file, and there is no file {text!r}")
    try:
        return fields.reader(kind)(f"{name}={text}")
    except ValueError as error:
        facts: dict[str, object] = {}
        if isinstance(error, Miswritten) and kind != fields.JSON:  # brackets in the key
            facts = {"bad_value": (("",), f"{name}={text}"), "instead": error.instead[1:]}
        words = str(error).replace("; for plain text use -f", f"; for plain text: {name}=…")
        raise UsageError(words, **facts) from None


def _is_json(allowed: list[Schema], text: str) -> bool:
    """Returns whether a text is meant as a number, true, false, a list or an object, which the field may be."""
    try:
        kind = kind_of(jsontext.loads(text.encode("utf-8", "surrogateescape")))
    except ValueError:
        return False
    kinds = ("number", "integer") if kind == "number" else (kind,)
    return kind not in ("string", "null") and any(form.get("type") in kinds for form in allowed)


def _below(schemas: Schemas, forms: list[Schema], key: list[str]) -> list[Schema]:
    """Returns the forms of what is at a key inside a value of these forms, [] where the contract knows none."""
    for part in key:
        inner = [
            form.get("items") if part.isdigit() and "items" in form else form.get("properties", {}).get(part)
            for form in forms
        ]
        forms = [form for each in inner if each is not None for form in schemas.forms(each)]
    return forms


COMMANDS = {
    "generate": Command(
        run,
        operands=(
            Operand("endpoint", "ENDPOINT", "such as text_to_image; `models` lists them", not_empty),
            Operand(
                "words",
                "[TEXT|KEY=VALUE...]",
                "the prompt, or - for stdin; fields of the body, files among them; KEY:=JSON",
                lambda word: word if SETTING.fullmatch(word) else as_text(word),
            ),
        ),
        options=(
            Option(
                "--to PATH",
                "save the outputs: a folder or a file (default: named after TEXT)",
                destination,
                dest="download",
            ),
            *(option for option in request.COMMANDS["request"].options if option.flags[-1] in SHARED),
            Option("--no-wait", "start it, and print its id"),
            *(option for option in WAIT_OPTIONS if option.flags[-1] != "--download"),
        ),
        examples=(
            "generate text_to_image 'a red fox' model=gen4_image ratio=1280:720 --to fox.png",
            "generate image_to_video 'slow dolly in' model=gen4_turbo ratio=1280:720 duration=5 promptImage=cat.png",
        ),
        prints="the finished task with `saved`, and without `output`",
        effect=COSTS,
        has_rows=True,
    )
}
