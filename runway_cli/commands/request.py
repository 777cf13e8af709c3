"""`request`: any endpoint; from a prompt to a saved file with --wait and --download."""

from __future__ import annotations

import os
import re
from functools import cache

from .. import jsontext
from ..api.paths import api_path, checked_path, with_query
from ..errors import (
    ApiError,
    ClosedOutput,
    ConfigError,
    Failure,
    InternalError,
    Interrupted,
    OutputError,
    TaskError,
    UsageError,
)
from ..jobs import fields
from ..settings import MIN_INTERVAL, UnknownWord, absolute, as_text, counted, history_path, not_empty, relative
from ..terminal.console import TABLES
from .options import COSTS, Command, Operand, Option, Options
from .wait import MAX_WAIT, WAIT_OPTIONS, check_open

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..jobs.fields import Files, Input
    from ..jobs.ledger import Ledger
    from ..jobs.start import Job, Started
    from ..terminal.console import Console
    from .context import Context


METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
BODY_METHODS = ("POST", "PATCH", "PUT")
MAX_STEM = 50  # characters of a file's name that is made from a text
REFUSED = (400, 404, 405, 422)  # statuses that the contract may explain


def _field(spelling: str, words: str, kind: str) -> Option:
    return Option(spelling, words, fields.reader(kind), dest="fields", is_list=True)


BODY_OPTIONS = (
    Option("--body JSON", "the body: JSON, @FILE, or - for stdin; it is sent unchanged", fields.read_inline),
    _field("-f --field KEY=TEXT", "set a body field to text; dots nest (GET, DELETE: a query parameter)", fields.TEXT),
    _field("-F --json-field KEY=JSON", "the same for a number, true, null, a list or an object", fields.JSON),
    _field("--text-file KEY=FILE", "the text of a file, - for stdin", fields.TEXT_FILE),
    _field("--data-uri KEY=FILE", "a file of up to 5 MiB, inlined in the body", fields.DATA_URI),
    _field("--upload KEY=FILE", "a file of up to 200 MB, uploaded first; a URL stays as it is", fields.UPLOAD),
)


def run(context: Context, options: Options) -> int:
    """Sends the request and prints the answer; with --wait, waits for what it started."""
    return _Call(context, options).run()


class _Call:
    """One call of `request`, from its options to what is printed."""

    def __init__(self, context: Context, options: Options) -> None:
        self.context = context
        self.options = options
        self.console = context.console
        self.method = options.method
        self.client = context.client(with_secret=False) if options.dry_run else context.client()
        self.path = checked_path(options.path, self.client.target.base_url)
        self.job: Job | None = None
        self.given: bytes | None = None  # the body of --body
        self.body: Any = fields.NOTHING  # the same with the fields merged in
        self.destination: str | None = None  # the absolute path of --download, with a slash at its end for a folder
        if options.download:
            from ..files.download import is_folder

            self.destination = absolute(options.download)
            if is_folder(options.download):
                self.destination = os.path.join(self.destination, "")

    def run(self) -> int:
        options = self.options
        self._check_options()

        # Read and check all input; a key that does not fit is refused before anything is uploaded.
        self.given = fields.read_body(options.body, options.stdin, self.context.shutdown)
        if self.method in BODY_METHODS:
            self._merge()
        else:
            self.path = with_query(self.path, fields.query(options.fields))
        if options.paginate and "?limit=" not in self.path and "&limit=" not in self.path:
            from ..api.client import PAGE

            self.path = with_query(self.path, [("limit", str(PAGE))])
        value = self._value(lambda each: each.shown())
        checked = None
        if options.check or options.is_typed:
            from .body import check_body

            has_body = self._encoded(value) is not None
            checker = None if options.check else options.checker
            checked = check_body(self.client, self.method, self.path, value, has_body=has_body, checker=checker)
        if options.dry_run:
            return self._show(value, checked if options.check else None)
        self.job = self._job()
        self.client.check_secret()
        if options.paginate:
            return self._print_pages()

        # Continue the job where an earlier call started it.
        history = self.context.history(self.client)
        found = self._known(history, value) if self.method == "POST" else None
        if found is not None:
            return self._continue(history, found)

        # Upload the files, then send the request.
        if options.download or options.is_typed:
            from ..files.download import check_destination

            check_destination(options.download or os.curdir, force=options.force)
        value = self._value(cache(self._sent))  # a file is uploaded once, however many fields have it
        try:
            if self.method == "POST":
                return self._post(history, value)
            self._print(self.client.call(self.method, self.path, self._encoded(value)).value)
            return 0
        except ApiError as error:
            if error.status not in REFUSED or error.fact("task_id"):
                raise
            from .body import explained

            raise explained(self.client, self.method, self.path, value, error) from None

    def _check_options(self) -> None:
        """Raises UsageError for options that contradict the method or each other."""
        options, method = self.options, self.method
        if method not in BODY_METHODS and (options.body is not None or options.stdin):
            words = f"{method} takes no body: use -f KEY=TEXT for its query, or another method"
            raise UsageError(words, drop=("--body", "--stdin"))
        if options.body is not None and options.stdin:
            raise UsageError("use either --body or --stdin", drop=("--stdin",))
        from_stdin = [field for field in options.fields if field.kind == fields.TEXT_FILE and field.value == "-"]
        if len(from_stdin) + (options.stdin or options.body in ("-", "@-")) > 1:
            raise UsageError("stdin can be read only once: name a file for the other option")
        if (options.once is not None or options.again) and method != "POST":
            raise UsageError(f"--once and --again are for POST, not {method}", drop=("--once", "--again"))
        if options.paginate and method != "GET":
            read = ("request", "GET", options.path, "--paginate") if method in BODY_METHODS else None
            raise UsageError(f"--paginate is for GET, not {method}", drop=("--paginate",), try_next=read)
        if options.check and method not in BODY_METHODS:
            raise UsageError(f"--check is for POST, PATCH and PUT, not {method}", drop=("--check",))
        if options.wait:
            from ..jobs.tasks import may_start

            if method != "POST" or not may_start(self.path):
                words = f"--wait is for a POST that starts something, not for {method} {self.path.partition('?')[0]}"
                raise UsageError(words, drop=("--wait", "--download", "--open", "--max-wait", "--interval"))
        if options.download and not options.wait and not options.is_typed:
            words = "--download needs --wait, which is for a POST: it saves the outputs of a task that has ended"
            raise UsageError(words, **({"add": ("--wait",)} if method == "POST" else {"drop": ("--download",)}))
        if not options.wait and (options.max_wait != MAX_WAIT or options.interval != MIN_INTERVAL):
            change = {"add": ("--wait",)} if method == "POST" else {"drop": ("--max-wait", "--interval")}
            raise UsageError("--max-wait and --interval need --wait", **change)
        check_open(options)
        if self.console.needs_rows and (options.dry_run or (method != "GET" and not options.wait)):
            words = f"--output {self.console.format} is for rows: a list, or the task of --wait"
            raise UsageError(words, drop=("--output",))

    def _merge(self) -> None:
        """Merges the fields into the body, with what is yet to be uploaded or read as it is."""
        files: Files = {}
        values = [(field, fields.value_of(field, files, self.context.shutdown)) for field in self.options.fields]
        if any(file.is_upload for file in files.values()):
            from ..files.upload import refuse_service

            refuse_service(self.client)
        self.body = fields.merge(fields.NOTHING if self.given is None else jsontext.loads(self.given), values)

    def _value(self, of_input: Callable[[Input], Any]) -> Any:
        """Returns the body as a JSON value, with what `of_input` gives for each input; None without a body."""
        return None if self.body is fields.NOTHING else fields.rendered(self.body, of_input)

    def _encoded(self, value: Any) -> bytes | None:
        """Returns the body that is sent for this value: without fields the very bytes of --body."""
        is_given = not self.options.fields or self.body is fields.NOTHING
        return self.given if is_given else jsontext.encoded(value)

    def _job(self) -> Job | None:
        """Returns what the call pays for once: the job of --once, or the file that it saves; None for neither."""
        once, folder = self.options.once, None
        if self.options.is_typed and not self.destination:
            folder = os.path.join(absolute(os.curdir), "")
        elif once is None and (self.method != "POST" or not self.destination or self.destination.endswith(os.sep)):
            return None
        from ..jobs.start import Job

        value = self._value(fields.content_of)
        stem = _stem(self.console.mask, self.path, value) if folder else None
        return Job(self.path, value, once=once, destination=folder or self.destination, stem=stem)

    def _show(self, value: Any, checked: str | None) -> int:
        """Prints the request as it would be sent, masked, with what the history tells of its job and its price."""
        from ..terminal import masking

        url = masking.text(self.client.address(self.method, self.path), self.client.target.base_url)
        headers = self.client.headers(self._encoded(value) is not None)
        result = {"dry_run": True, "method": self.method, "url": url, "headers": headers, "body": masking.value(value)}
        if checked:
            result["checked"] = checked
        if self.method == "POST" and os.path.lexists(history_path() or ""):
            from ..jobs.start import foreseen

            try:
                history = self.context.history(self.context.client())
                result.update(foreseen(history, self.path, value, self._job()))
            except (ConfigError, OutputError) as fault:  # it writes nothing, so that this does not stand in the way
                self.console.note(f"not known whether the job was started before: {fault.message}")
        self.console.result(result)
        return 0

    def _known(self, history: Ledger, value: Any) -> Started | None:
        """Returns the job as an earlier call started it. Raises TaskError, with the record on stdout, for a bad end."""
        from ..jobs.start import is_recorded, known

        if not is_recorded(self.path, value, self.job):
            return None
        try:
            return known(self.client, history, self.job, again=self.options.again)
        except (TaskError, ApiError) as failure:
            if failure.fact("recorded"):
                self.console.result(failure.fact("recorded"))
            raise

    def _continue(self, history: Ledger, started: Started) -> int:
        """Waits for a job that an earlier call started, or prints what is recorded of it."""
        from ..jobs.ledger import STARTED
        from ..jobs.start import recorded
        from .wait import columns, open_files, wait_for

        attempt, pollable, options = started.attempt, started.pollable, self.options
        assert attempt
        self._take_destination(started, history)
        if attempt.status == STARTED:
            from ..settings import readable_time

            age = readable_time(max(0.0, self.context.clock.time() - attempt.at))
            self.console.note(f"continuing {attempt.id}, started {age} ago")
            is_recorded = not options.wait
        else:
            wants_output = any(path.partition(".")[0] == "output" for path in options.select or ())
            is_recorded = not wants_output and (not self.destination or attempt.has_files(self.destination))
        if is_recorded or pollable is None:
            shown = recorded(attempt, self.job)
            if options.wait and self.console.format in TABLES:
                self.console.row({**shown, "credits": attempt.credits}, alone=True)
                self.console.end_rows(columns(has_saved=bool(options.download)))
            else:
                self.console.result(shown)
            if options.open:
                open_files(self.context, attempt.files)
            return 0
        own = {}
        if options.download and attempt.destination in (None, self.destination):
            own = {pollable.name: options.download}
        elif options.download:
            from ..files.download import check_destination

            check_destination(options.download, force=options.force)
        return wait_for(self.context, options, self.client, history, [pollable], answer={}, own=own)

    def _sent(self, each: Input) -> str:
        """Returns the value that is sent for an input."""
        if isinstance(each, fields.OutputOf):
            return each.url(self.client)
        if each.is_upload:
            from ..files.upload import upload
            from .display import TransferLine

            with TransferLine(self.console, self.context.clock, each.name) as line:
                uri = upload(self.client, each, line)
        else:
            uri = each.data_uri()
        each.check_unchanged()  # the job is known by the content that was read first
        return uri

    def _post(self, history: Ledger, value: Any) -> int:
        """Sends a POST, and prints its answer or waits. From the answer on, every failure names what was started."""
        from ..jobs.start import is_api_dry_run, no_id, start

        options = self.options
        started = start(
            self.client,
            history,
            self.path,
            self._encoded(value),
            value,
            job=self.job,
            again=options.again,
            destination=self.destination,
        )
        if started.attempt:  # another process was faster
            return self._continue(history, started)
        if started.pollable is None:
            self._print(started.answer)
            if options.wait and not is_api_dry_run(self.path, value):
                raise no_id(started.answer)
            return 0
        self._take_destination(started, history)
        facts: dict[str, Any] = {"task_id": started.pollable.id, "waiting_for": (started.pollable.name,)}
        try:
            if not options.wait:
                self._print(started.answer)
                return 0
            from .wait import wait_for

            self.console.tell(f"started {started.pollable.name}")
            found = [started.pollable]
            return wait_for(self.context, options, self.client, history, found, answer=started.answer, body=value)
        except ClosedOutput:
            raise
        except Failure as failure:
            if failure.fact("waiting_for") or failure.fact("try_next"):
                raise
            raise failure.but(**facts) from None
        except Exception as defect:
            raise InternalError.of(defect, **facts) from None

    def _take_destination(self, started: Started, history: Ledger) -> None:
        """Saves where the job was saved, or was to be, if this call does not say where; else under a free name."""
        if not self.options.is_typed or self.destination:
            return
        from ..files.download import ANY, free_name

        assert self.job and self.job.stem
        path, attempt = started.destination, started.attempt
        if attempt:
            files = attempt.saved.get(os.path.dirname(path or self.job.folder))
            if files:
                path = os.path.splitext(files[0])[0].removesuffix("-1" if files[1:] else "") + ANY
            root = os.path.splitext(path or "")[0]
            others = [file for each in history.attempts() if each.n != attempt.n for file in each.files]
            if any(os.path.splitext(file)[0] in (root, f"{root}-1") and os.path.isfile(file) for file in others):
                path = None
        self.destination = path or free_name(self.job.folder, self.job.stem, history.claimed())
        self.options.download = relative(self.destination)
        self.options.is_recorded = not history.is_missed and history.failure is None

    def _print(self, answer: Any) -> None:
        """Prints an answer. Where that fails, the error names what a POST started, and never leads to a second POST."""
        from ..api.retry import UNSAFE_METHODS  # a dry run does without

        is_unsafe = self.method in UNSAFE_METHODS
        identity = answer.get("id") if isinstance(answer, dict) and is_unsafe else None
        try:
            if self.method == "GET":
                _print_got(self.console, answer)
            else:
                self.console.result(answer)
        except ClosedOutput:
            if identity is not None:
                self.console.tell(f"the answer could not be written; its id is {identity}")
            raise
        except (OutputError, Interrupted) as failure:
            facts = {"task_id": identity} if isinstance(identity, str) else {}
            raise failure.but(**facts, was_sent=is_unsafe) from None

    def _print_pages(self) -> int:
        """Prints every page of a list as one."""
        from ..api.client import pages

        found = list(pages(self.client, self.path, {}, None))
        records = [record for page, _ in found for record in page]
        _, has_more = found[-1]
        if has_more:
            self.console.note(f"there are more than {counted(len(records), 'record')}")
        _print_got(self.console, {"data": records, **({"truncated": True} if has_more else {})})
        return 0


def _stem(mask: Callable[[str], str], path: str, value: Any) -> str:
    """Returns the name of a file after the text of a body, else after its endpoint: `a-red-fox`."""
    from ..files.download import safe_name
    from ..jobs.ledger import PROMPT_FIELDS

    found = value if isinstance(value, dict) else {}
    holders = [found, *(each for each in found.values() if isinstance(each, dict))]
    texts = [each[name] for each in holders for name in PROMPT_FIELDS if isinstance(each.get(name), str)]
    words = safe_name(mask(next(iter(texts), path.rpartition("/")[2])).lower())
    stem = re.sub("[._-]+", "-", words)
    return safe_name(stem if len(stem) <= MAX_STEM else stem[:MAX_STEM].rpartition("-")[0] or stem[:MAX_STEM])


def _print_got(console: Console, answer: Any) -> None:
    """Prints the answer to a GET, as rows where they are asked for. Raises UsageError for one that has none."""
    from ..terminal.tables import columns_of, rows_of

    rows = rows_of(answer)
    if console.format == "json" or (rows is None and not console.needs_rows):
        console.result(answer, has_rows=bool(rows))
    elif rows is None:
        raise UsageError(f"--output {console.format} is for rows, but the answer is not a list", drop=("--output",))
    else:
        console.rows(rows, columns_of(rows), {})


def _method(text: str) -> str:
    method = text.upper()
    if not text.isascii() or method not in METHODS:
        raise UnknownWord(f"unknown METHOD {text!r}: choose from {', '.join(METHODS)}", METHODS)
    return method


COMMANDS = {
    "request": Command(
        run,
        operands=(
            Operand("method", "METHOD", ", ".join(METHODS), _method),
            Operand("path", "PATH", "below the base URL, such as /v1/organization", api_path),
        ),
        options=(
            BODY_OPTIONS[0],
            Option("--stdin", "read the body from stdin"),
            *BODY_OPTIONS[1:],
            _field(
                "--output-of KEY=ID[.N]",
                "the URL of an output of an earlier task: the first, or number N from 0",
                fields.OUTPUT_OF,
            ),
            Option("--dry-run", "show the request and send nothing"),
            Option("--check", "check the body against the API's contract first"),
            Option("--paginate", "GET every page and print one list"),
            Option("--wait", "wait for what the POST started"),
            Option(
                "--once NAME",
                "pay once for the job NAME: run it again to resume",
                lambda name: not_empty(as_text(name)),
            ),
            Option("--again", "pay for a new attempt at a job that has ended"),
            *WAIT_OPTIONS,
        ),
        examples=(
            "request POST /v1/image_to_video -f model=gen4_turbo -f 'promptText=slow dolly in' -f ratio=1280:720 "
            "-F duration=5 --upload promptImage=cat.png --wait --download generated/cat.mp4",
            "request GET /v1/organization",
            'request PATCH /v1/avatars/ID --body \'{"name":"Ada"}\'',
            "request DELETE /v1/avatars/ID --dry-run",
        ),
        prints="the API's answer, {} for an empty success; with --wait, the finished task merged in",
        effect=COSTS,
        has_rows=True,
    )
}
