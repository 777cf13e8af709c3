"""`request`: any endpoint; from a prompt to a saved file with --wait and --download."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache

from .. import jsontext, settings
from ..api.client import PAGE, pages
from ..api.paths import api_path, checked_path, with_query
from ..errors import ApiError, ClosedOutput, ConfigError, Failure, InternalError, Interrupted, OutputError, UsageError
from ..jobs import fields
from ..terminal.console import TABLES
from .context import Context
from .options import COSTS, Command, Operand, Option, Options
from .wait import WAIT_OPTIONS, check_open, columns, open_files, wait_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..jobs.ledger import Ledger
    from ..jobs.start import Job, Started

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
BODY_METHODS = ("POST", "PATCH", "PUT")
FOR_METHODS = {  # options that only these methods take
    "--body --stdin --check": BODY_METHODS,
    "--once --again --wait --download --open --max-wait --interval": ("POST",),
    "--paginate": ("GET",),
}
MAX_STEM = 50  # characters of a file's name that is made from a text
REFUSED = (400, 404, 405, 422)  # statuses that the contract may explain


class Request:
    """One call of `request`, with what its steps share."""

    def __init__(self, context: Context, options: Options) -> None:
        self.context = context
        self.options = options
        self.console = context.console
        self.method = options.method
        self.client = context.client(with_secret=not options.dry_run)
        self.path = checked_path(options.path, self.client.target.base_url)
        self.has_body = False
        self.given: bytes | None = None  # the bytes of --body if no field changes them: they are sent as they are
        self.body: Any = None  # the body with the fields merged in, and with files and outputs as Inputs
        self.job: Job | None = None
        self.destination: str | None = None  # the absolute path of --download, with a slash at its end for a folder
        if options.download:
            from ..files.download import is_folder

            path = settings.absolute(options.download)
            self.destination = os.path.join(path, "") if is_folder(options.download) else path

    def run(self) -> int:
        """Sends the request and prints the answer; with --wait, waits for what it started."""
        options, client, method = self.options, self.client, self.method
        self._check_options()

        # Read and check all input; a key that does not fit is refused before anything is uploaded.
        data, body = fields.read_body(options.body, options.stdin, self.context.shutdown)
        if method not in BODY_METHODS:
            self.path = with_query(self.path, fields.query(options.fields))
        elif data is not None or options.fields:
            files: fields.Files = {}
            values = [(field, fields.value_of(field, files, self.context.shutdown)) for field in options.fields]
            if any(file.is_upload for file in files.values()):
                from ..files.upload import refuse_service

                refuse_service(client)
            self.has_body, self.given = True, None if values else data
            self.body = fields.merge(body, values)
        if options.paginate and not re.search("[?&]limit=", self.path):
            self.path = with_query(self.path, [("limit", str(PAGE))])
        value = fields.rendered(self.body, lambda each: each.placeholder())
        checked = None
        if options.check or options.is_typed:
            from .body import Checker

            checker = Checker(client) if options.check else options.checker
            checked = checker.check(method, self.path, value if self.has_body else {})
        if options.dry_run:
            return self._show(value, checked if options.check else None)
        self.job = self._job()
        client.check_secret()

        try:
            if method == "POST":
                return self._post(value)
            if not options.paginate:
                self._print(client.call(method, self.path, self._sent()).value)
                return 0
        except ApiError as error:
            if error.status not in REFUSED or error.fact("task_id"):
                raise
            from .body import explained

            raise explained(client, method, self.path, value, error) from None

        # Print every page of a list as one.
        found = list(pages(client, self.path, {}, float("inf")))
        records = [record for page, _ in found for record in page]
        is_cut = found[-1][1]
        if is_cut:
            self.console.note(f"there are more than {settings.counted(len(records), 'record')}")
        self._print({"data": records, **({"truncated": True} if is_cut else {})})
        return 0

    def _check_options(self) -> None:
        """Raises UsageError for options that contradict the method or each other."""
        options, method, console = self.options, self.method, self.console
        declared = COMMANDS["request"].options
        given = {each.flags[-1] for each in declared if vars(options).get(each.dest, each.default) != each.default}
        unfit = [flag for flags, methods in FOR_METHODS.items() if method not in methods for flag in flags.split()]
        if wrong := [flag for flag in unfit if flag in given]:
            read = ("request", "GET", options.path, "--paginate") if method in BODY_METHODS else None
            raise UsageError(f"{' and '.join(wrong)} cannot be used with {method}", drop=unfit, try_next=read)
        if options.body is not None and options.stdin:
            raise UsageError("use either --body or --stdin", drop=("--stdin",))
        texts = [field.value for field in options.fields if field.kind == fields.TEXT_FILE]
        if texts.count("-") + (options.stdin or options.body in ("-", "@-")) > 1:
            raise UsageError("stdin can be read only once: name a file for the other option")
        if options.wait:
            from ..jobs.tasks import created_by

            if not created_by(self.path):
                words = f"POST {self.path.partition('?')[0]} creates no task to wait for"
                raise UsageError(words, drop=("--wait", "--download", "--open", "--max-wait", "--interval"))
        elif not given.isdisjoint(("--download", "--max-wait", "--interval")) and not options.is_typed:
            raise UsageError("--download, --max-wait and --interval need --wait", add=("--wait",))
        check_open(options)
        if console.needs_rows and (options.dry_run or (method != "GET" and not options.wait)):
            words = f"--output {console.format} is for rows: a list, or the task of --wait"
            raise UsageError(words, drop=("--output",))

    def _job(self) -> Job | None:
        """Returns what the call pays for once: the job of --once, or of the file that it saves; None for neither."""
        once, destination, stem = self.options.once, self.destination, None
        is_named = self.options.is_typed and not destination  # it is named after its text
        if once is None and not is_named and (destination or os.sep).endswith(os.sep):
            return None
        from ..jobs.start import Job

        value = fields.rendered(self.body, fields.content_of)
        if is_named:
            destination = os.path.join(settings.absolute(os.curdir), "")
            stem = _stem(self.console.mask, self.path, value)
        return Job(self.path, value, once=once, destination=destination, stem=stem)

    def _show(self, value: Any, checked: str | None) -> int:
        """Prints the request as it would be sent, masked, with what the history tells of its job and its price."""
        result = {"dry_run": True, **self.client.preview(self.method, self.path, value, has_body=self.has_body)}
        if checked:
            result["checked"] = checked
        if self.method == "POST" and os.path.lexists(settings.history_path() or ""):
            from ..jobs.start import foreseen

            try:
                history = self.context.history(self.context.client())
                result.update(foreseen(history, self.path, value, self._job()))
            except (ConfigError, OutputError) as fault:  # a dry run writes nothing, and needs no ledger
                self.console.note(f"it is unknown whether the job was started before: {fault.message}")
        self.console.result(result)
        return 0

    def _post(self, value: Any) -> int:
        """Starts the job, or continues it where an earlier call started it; then prints its answer or waits."""
        from ..jobs.start import find_started, is_api_dry_run, needs_ledger, no_id, start

        options, client = self.options, self.client
        history = self.context.history(client)
        started = None
        try:
            if needs_ledger(self.path, value, self.job):
                started = find_started(client, history, self.job, again=options.again)
            if started is None:
                facts: dict[str, Any] = {"job": self.job, "again": options.again, "destination": self.destination}
                started = start(client, history, self.path, self._sent(), value, **facts)
        except Failure as failure:
            if failure.fact("recorded"):
                self.console.result(failure.fact("recorded"))
            raise
        if started.attempt:
            return self._continue(history, started)
        if started.pollable is None:
            self._print(started.answer)
            if options.wait and not is_api_dry_run(self.path, value):
                raise no_id(started.answer)
            return 0
        self._choose_destination(started, history)
        pollable = started.pollable
        try:
            if not options.wait:
                self._print(started.answer)
                return 0
            self.console.tell(f"started {pollable.name}")
            return wait_for(self.context, client, history, {pollable: None}, started.answer)
        except (Failure, Exception) as stop:  # from the answer on, every failure names what was started
            stopped = stop if isinstance(stop, Failure) else InternalError.of(stop)
            if isinstance(stop, ClosedOutput) or stopped.fact("waiting_for") or stopped.fact("try_next"):
                raise
            raise stopped.but(task_id=pollable.id, waiting_for=(pollable.name,)) from None

    def _sent(self) -> bytes | None:
        """Returns the body as it is sent. Reads or uploads its files, after the place of the outputs was checked."""
        options = self.options
        if options.download or options.is_typed:
            from ..files.download import check_destination

            check_destination(options.download or os.curdir, force=options.force)

        @cache  # a file is uploaded once, however many fields have it
        def of_input(each: fields.Input) -> str:
            if isinstance(each, fields.OutputOf):
                return each.url(self.client)
            if each.is_upload:
                from ..files.upload import upload
                from .display import transfer_line

                with transfer_line(self.console, self.context.clock, each.name) as line:
                    uri = upload(self.client, each, line)
            else:
                uri = each.data_uri()
            each.check_unchanged()  # the job is identified by the content that was read first
            return uri

        if not self.has_body:
            return None
        return self.given or jsontext.encoded(fields.rendered(self.body, of_input))

    def _continue(self, history: Ledger, started: Started) -> int:
        """Waits for a job that an earlier call started, or prints what the ledger has recorded of it."""
        from ..jobs.ledger import STARTED
        from ..jobs.start import has_files, recorded

        attempt, pollable, options = started.attempt, started.pollable, self.options
        assert attempt
        self._choose_destination(started, history)
        if attempt.status == STARTED:
            age = settings.readable_time(self.context.clock.time() - attempt.at)
            self.console.note(f"continuing {attempt.id}, started {age} ago")
            needs_wait = options.wait
        else:
            wants_output = any(path.partition(".")[0] == "output" for path in options.select or ())
            needs_wait = wants_output or (self.destination and not has_files(attempt, self.destination))
        if not needs_wait or pollable is None:
            row = recorded(attempt, self.job)
            if self.console.format in TABLES:
                row["credits"] = attempt.credits
            self.console.row(row, alone=True)
            self.console.end_rows(columns(has_saved=bool(options.download)))
            if options.open:
                open_files(self.context, attempt.files)
            return 0
        own = options.download if attempt.destination in (None, self.destination) else None
        if options.download and not own:
            from ..files.download import check_destination

            check_destination(options.download, force=options.force)
        return wait_for(self.context, self.client, history, {pollable: own}, {})

    def _choose_destination(self, started: Started, history: Ledger) -> None:
        """Chooses the file of a `generate` without --to: the one that the job was to be saved as, else a free name."""
        options, job, attempt, path = self.options, self.job, started.attempt, started.destination
        if not options.is_typed or self.destination:
            return
        from ..files.download import ANY, free_path

        assert job and job.stem
        files = attempt.saved.get(os.path.dirname(path or job.folder)) if attempt else None
        if files:
            path = os.path.splitext(files[0])[0].removesuffix("-1" if files[1:] else "") + ANY
        self.destination = path or free_path(job.folder + job.stem + ANY, history.claimed())
        options.download = settings.relative(self.destination)
        options.is_resumable = not history.is_unavailable and history.failure is None

    def _print(self, answer: Any) -> None:
        """Prints an answer, of a GET as rows if asked for. A failure names what was created, so none is repeated."""
        console = self.console
        if self.method == "GET":
            from ..terminal.tables import columns_of, rows_of

            rows = rows_of(answer)
            if rows is None and console.needs_rows:
                words = f"--output {console.format} is for rows, but the answer is not a list"
                raise UsageError(words, drop=("--output",))
            if rows is None or console.format == "json":
                return console.result(answer, has_rows=bool(rows))
            return console.rows(rows, columns_of(rows))
        identity = answer.get("id") if isinstance(answer, dict) else None
        try:
            console.result(answer)
        except ClosedOutput:
            if identity is not None:
                console.tell(f"the answer could not be written; its id is {identity}")
            raise
        except (OutputError, Interrupted) as failure:
            raise failure.but(task_id=identity if isinstance(identity, str) else None, was_sent=True) from None


def _stem(mask: Callable[[str], str], path: str, value: Any) -> str:
    """Returns a file name made from the text of a body, else from its endpoint: `a-red-fox`."""
    from ..files.download import safe_name
    from ..jobs.ledger import PROMPT_FIELDS

    found = value if isinstance(value, dict) else {}
    holders = [found, *(each for each in found.values() if isinstance(each, dict))]
    texts = [each[name] for each in holders for name in PROMPT_FIELDS if isinstance(each.get(name), str)]
    words = safe_name(mask(next(iter(texts), path.rpartition("/")[2])).lower())
    stem = re.sub("[._-]+", "-", words)
    return safe_name(stem if len(stem) <= MAX_STEM else stem[:MAX_STEM].rpartition("-")[0] or stem[:MAX_STEM])


def _method(word: str) -> str:
    return settings.one_of(*METHODS)({each.lower(): each for each in METHODS}.get(word.lower(), word))


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

COMMANDS = {
    "request": Command(
        lambda context, options: Request(context, options).run(),
        operands=(
            Operand("method", "METHOD", ", ".join(METHODS), _method),
            Operand("path", "PATH", "below the base URL, such as /v1/organization", api_path),
        ),
        options=(
            BODY_OPTIONS[0],
            Option("--stdin", "read the body from stdin"),
            *BODY_OPTIONS[1:],
            _field("--output-of KEY=ID[.N]", "the URL of a task's output: number N, from 0", fields.OUTPUT_OF),
            Option("--dry-run", "show the request and send nothing"),
            Option("--check", "check the body against the API's contract first"),
            Option("--paginate", "GET every page and print one list"),
            Option("--wait", "wait for what the POST started"),
            Option(
                "--once NAME",
                "pay once for the job NAME: run it again to resume",
                lambda name: settings.not_empty(settings.as_text(name)),
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
