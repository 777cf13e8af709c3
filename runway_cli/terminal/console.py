"""What a run prints: results on stdout; notes, traces, live lines and errors on stderr.

stdout is data: only the secrets are masked there. Every line for stderr passes `Console.shown`, which masks first and
makes the text printable after; a JSON error is masked value by value, so that it stays JSON. Text is cut last: what is
masked must not be cut in two before that.
"""

from __future__ import annotations

import sys

from .. import jsontext
from . import streams
from .results import Results
from .secrets import MIN_LENGTH_IN_RESULTS, Secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from .columns import Column, Row
    from .progress import Live
    from .select import Selection

MAX_BODY = 2048  # characters of a body that --verbose shows
MAX_NOTE = 1000  # characters
MAX_MESSAGE = 4000  # characters of an error's message
_INSPECTED = (
    "data:",
    "http",
    "key",
    "token",
    "fields",
    "authorization",
)  # a text without them holds nothing that `masking` masks


class Console:
    """The streams of one run.

    `format` is json, jsonl, table or markdown. `needs_rows`: the format has rows, so that a command whose result has
    none must refuse it. `live` are the live lines of `progress.live`.
    """

    def __init__(
        self,
        *,
        format: str | None = None,
        select: Selection | None = None,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self.secrets = Secrets()
        self.live: Live | None = None
        self._has_ended = False
        self.configure(format=format, select=select, quiet=quiet, verbose=verbose)

    def configure(self, *, format: str | None, select: Selection | None, quiet: bool, verbose: bool) -> None:
        """Sets what the options say, once they are known. `format` is None if --output was not given."""
        self.format = format or "json"
        self.needs_rows = self.format != "json"
        self.quiet = quiet
        self.verbose = verbose
        self._wants_json_errors = format == "json"
        self._results = Results(self.format, select, self.secrets, self.write, self.note)

    def keep_secret(self, secret: str) -> None:
        """Masks `secret` from now on, in every encoding."""
        self.secrets.keep(secret)

    def result(self, value: Any, full: Any = None) -> None:
        """One JSON document on stdout: indented on a terminal, else on one line. --select looks at `full`, if given.

        Raises ClosedOutput or, with the `id` of the document as `task_id`, OutputError.
        """
        self._results.result(value, value if full is None else full)
        if self.needs_rows:  # what was paid for must not be lost because a command did not refuse the format
            self.note(f"--output {self.format} does not apply here: this is JSON")

    def row(self, row: Row, *, alone: bool, full: Row | None = None) -> None:
        """One of several results, printed as soon as it is there; in a table it waits for `end_rows`.

        `alone`: it is the only one, a JSON document by itself. --select looks at `full`, if given.
        """
        self._results.row(row, row if full is None else full, alone=alone)

    def end_rows(self, columns: Sequence[Column]) -> None:
        """Prints the rows that waited to become a table."""
        self._results.end_rows(columns)

    def rows(self, rows: Sequence[Row], columns: Sequence[Column], more: Mapping[str, Any]) -> None:
        """A list in the format asked for. In JSON, `more` stands beside `data`."""
        self._results.rows(rows, columns, more)

    def write(self, text: str) -> None:
        """Text on stdout, without secrets of 8 characters or more. Raises ClosedOutput or OutputError."""
        if self.live is not None:
            self.live.close()
        streams.write_stdout(self.secrets.mask(text, MIN_LENGTH_IN_RESULTS))

    def note(self, text: str) -> None:
        """A line on stderr, unless --quiet."""
        if not self.quiet:
            self._put(text, MAX_NOTE)

    def tell(self, text: str) -> None:
        """A line on stderr, with --quiet too: what must not be lost, such as the id of what was paid for."""
        self._put(text)

    def trace(self, mark: str, lines: Iterable[str], body: bytes = b"", own: str = "") -> None:
        """With --verbose: `lines` about a request or an answer, then the beginning of its body.

        In the URLs of `lines` that are below `own`, the service's base URL, the query stays readable.
        """
        if not self.verbose:
            return
        from . import masking

        text = self.mask(masking.body(body))
        for line in lines:
            self._put(f"{mark} {line}", MAX_BODY, own)
        for line in text[:MAX_BODY].splitlines():
            self._put(f"{mark} {line}")
        if len(text) > MAX_BODY:
            self._put(f"{mark} … {len(text) - MAX_BODY} characters more")

    def error(self, document: Mapping[str, Any]) -> None:
        """The failure, last on stderr: a JSON object on one line; on a terminal plain text, unless --output json.

        `document` has `error` and `example`. Later notes are dropped.
        """
        shown: dict[str, Any] = {}
        for key, item in document.items():  # one by one: what is nested too deeply must not hide the rest
            shown.update(self._masked({key: item}))
        shown["error"] = shown["error"][:MAX_MESSAGE]
        if isinstance(shown.get("issues"), list):
            shown["issues"] = [_shortened(issue) for issue in shown["issues"]]
        if self.live is not None:
            self.live.close()
        if streams.is_terminal(sys.stderr) and not self._wants_json_errors:
            from .failure_text import plain_lines

            for line in plain_lines(shown):
                self._put(line)
        else:
            streams.write_stderr(jsontext.dumps(shown) + "\n")
        self._has_ended = True

    def mask(self, text: str, own: str = "") -> str:
        """`text` without the secrets and all else that must not be shown for inspection.

        In URLs below `own`, a service's base URL, the query stays readable.
        """
        text = self.secrets.mask(text)
        lowered = text.lower()
        if not any(word in lowered for word in _INSPECTED):
            return text
        from . import masking

        return masking.text(text, own)

    def inspected(self, value: Any) -> Any:
        """A JSON value as it may be shown for inspection; the secrets themselves are masked where it is printed."""
        try:
            lowered = jsontext.dumps(value).lower()
            if not any(word in lowered for word in _INSPECTED):
                return value  # most dry runs: they do without a module
        except RecursionError:
            pass  # `masking` says that it is nested too deeply
        from . import masking

        return masking.value(value)

    def shown(self, text: str, own: str = "") -> str:
        """`text` as stderr may show it: masked, then on one line that cannot steer a terminal."""
        return streams.printable(self.mask(text, own))

    def _masked(self, document: Mapping[str, Any]) -> dict[str, Any]:
        from . import masking

        try:
            masked = masking.value(self.secrets.mask_value(document))
        except RecursionError:
            masked = masking.TOO_DEEP
        return masked if isinstance(masked, dict) else dict.fromkeys(map(self.mask, document), masked)

    def _put(self, text: str, limit: int | None = None, own: str = "") -> None:
        """The one way to stderr, for a line: masked, made printable, cut to `limit` characters, in this order."""
        line = self.shown(text, own)
        if limit is not None and len(line) > limit:
            line = line[: limit - 1] + "…"
        if self._has_ended:  # the error is the last word, whatever other threads still have to say
            return
        if self.live is not None:
            self.live.above(line + "\n")
        else:
            streams.write_stderr(line + "\n")


def _shortened(issue: Any) -> Any:
    """An issue with messages of MAX_NOTE characters at most."""
    messages = issue.get("messages") if isinstance(issue, dict) else None
    if not isinstance(messages, list):
        return issue
    return {**issue, "messages": [word[:MAX_NOTE] if isinstance(word, str) else word for word in messages]}
