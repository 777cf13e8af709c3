"""The ways to fail, as values: an exception is complete when it is raised and never changes.

    Failure
    ├── Interrupted          a signal arrived
    └── RunwayError          an expected failure
        ├── UsageError       the call is wrong: nothing was sent
        │   └── Mistyped     a word is unknown, and a known one is near
        ├── ConfigError      an environment variable cannot be used
        ├── AuthError        no secret is set
        ├── ApiError         a complete HTTP answer that is not a success
        │   └── DeniedError  401 or 403
        ├── NetworkError     no complete HTTP answer
        ├── TaskError        a task ended FAILED or CANCELLED
        ├── WaitTimeout      a task was still running when its time was up
        ├── OutputError      stdout or a file could not be written
        ├── SeveralFailed    some of several ended badly
        └── InternalError    a defect of this program
    ClosedOutput             the reader of stdout has gone

An exception carries facts by name. `REPORTED` lists the facts that the error object on stderr shows; the others are for
`cli.examples`, which chooses the call that helps. To add a fact to an exception that is on its way, raise `error.but(…)`,
a new exception.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs 3 ms to import; type checkers take any variable of this name as true
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeVar

    F = TypeVar("F", bound="Failure")


class Exit:
    """An exit status, the kind of failure that has it, "" for none, and what it means."""

    __slots__ = ("kind", "meaning", "status")

    def __init__(self, status: int, kind: str, meaning: str) -> None:
        self.status = status
        self.kind = kind
        self.meaning = meaning


# Where several of many fail, the kind that comes first here counts.
EXITS = (
    Exit(0, "", "done"),
    Exit(78, "config", "an environment variable or base URL cannot be used"),
    Exit(77, "auth", "no key, or 401 or 403"),
    Exit(2, "usage", "bad arguments or input: nothing was sent"),
    Exit(1, "api", "a complete answer that is not a success"),
    Exit(1, "task", "the task ended FAILED or CANCELLED"),
    Exit(1, "internal", "a defect of this program"),
    Exit(74, "io", "an output could not be written"),
    Exit(69, "network", "no complete answer: refused, reset, timed out, cut off, TLS failed"),
    Exit(75, "timeout", "still running when the time was up: the example goes on"),
    Exit(129, "interrupted", "SIGHUP: the message names what was paid for"),
    Exit(130, "interrupted", "SIGINT: the same"),
    Exit(143, "interrupted", "SIGTERM: the same"),
    Exit(141, "", "the reader of stdout has gone"),
)
EXIT_STATUS = {found.kind: found.status for found in EXITS if found.kind not in ("", "interrupted")}
CLOSED_OUTPUT = 141  # exit status; as of a process that SIGPIPE ended

# fact: its key in the error object, in this order
REPORTED = {
    "status": "status",
    "code": "code",
    "issues": "issues",
    "doc_url": "docUrl",
    "contract": "contract",
    "task_id": "id",
    "failure_code": "failureCode",
    "may_have_been_accepted": "maybeAccepted",
    "failed": "failed",
}


class Failure(BaseException):
    """What every way to fail has: `kind`, `message` for a user, and `facts` by name."""

    kind = "api"

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts: Mapping[str, Any] = facts

    @property
    def exit_status(self) -> int:
        return EXIT_STATUS[self.kind]

    def fact(self, name: str, default: Any = None) -> Any:
        """A fact by its name, `default` where it is not known."""
        return self.facts.get(name, default)

    def but(self: F, message: str | None = None, **facts: Any) -> F:
        """A new exception of the same class with these facts, and perhaps another message."""
        return type(self)(self.message if message is None else message, **{**self.facts, **facts})

    def reported(self) -> dict[str, Any]:
        """The facts that the error object shows, by their keys there."""
        found = {key: self.facts[name] for name, key in REPORTED.items() if self.facts.get(name) not in (None, False)}
        return {**found, **self.facts.get("more", {})}


class RunwayError(Failure, Exception):
    """An expected failure, reported as one JSON object on stderr."""


class UsageError(RunwayError):
    """The call itself is wrong: nothing was sent."""

    kind = "usage"


class Mistyped(UsageError):
    """A word that is not known; `wrong` is the word, `right` the known word nearest to it."""


class ConfigError(RunwayError):
    """An environment variable or base URL cannot be used: nothing was sent. Fact: `variable`."""

    kind = "config"


class InternalError(RunwayError):
    """A defect of this program."""

    kind = "internal"

    @classmethod
    def of(cls, defect: BaseException, **facts: Any) -> InternalError:
        """Returns the failure for an exception that nothing expected."""
        return cls(f"{type(defect).__name__}: {defect}", **facts)


class AuthError(RunwayError):
    """No secret is set: nothing was sent."""

    kind = "auth"


class ApiError(RunwayError):
    """A complete HTTP answer that is not a success.

    Facts: `status`, the HTTP status code; `retry_after`, the seconds that the service asks to wait; `is_json`, False
    for a 2xx whose body is something else; `from_provider`, False for what only a gateway says; `issues`, the API's
    own, as [{"field", "messages"}]; `more`, further keys of the API's error body.
    """

    @property
    def status(self) -> int:
        return int(self.facts.get("status", 0))

    @property
    def retry_after(self) -> float:
        return float(self.facts.get("retry_after") or 0.0)

    @property
    def is_json(self) -> bool:
        return bool(self.facts.get("is_json", True))

    @property
    def from_provider(self) -> bool:
        return bool(self.facts.get("from_provider", True))


class DeniedError(ApiError):
    """401 or 403."""

    kind = "auth"


class NetworkError(RunwayError):
    """No complete HTTP answer.

    Facts: `maybe_received`, True once a byte of the request was sent; `permanent`, True where trying again cannot help
    (a certificate that is not trusted).
    """

    kind = "network"

    @property
    def maybe_received(self) -> bool:
        return bool(self.facts.get("maybe_received", False))

    @property
    def permanent(self) -> bool:
        return bool(self.facts.get("permanent", False))


class TaskError(RunwayError):
    """A task ended FAILED or CANCELLED, or with failed nodes; its JSON is on stdout."""

    kind = "task"


class WaitTimeout(RunwayError):
    """A task was still running when its time was up."""

    kind = "timeout"


class OutputError(RunwayError):
    """An output, stdout or a file, could not be written."""

    kind = "io"


class SeveralFailed(RunwayError):
    """Some of several ended badly: the heaviest of their kinds is the kind of the whole. Fact: `worst`, that error."""

    @property
    def kind(self) -> str:  # type: ignore[override]
        return str(self.facts["worst"].kind)


class ClosedOutput(Exception):
    """The reader of stdout has gone: the program ends quietly."""


class Interrupted(Failure):
    """SIGINT, SIGTERM or SIGHUP arrived. Not an Exception, so that nothing that handles errors swallows it.

    Facts: `signal`, its number; `maybe_received`, whether a byte of a request was sent that has no answer yet.
    """

    kind = "interrupted"

    @property
    def exit_status(self) -> int:
        return 128 + int(self.facts["signal"])

    @classmethod
    def by(cls, number: int) -> Interrupted:
        """The failure for a signal's number."""
        return cls("interrupted" if number == 2 else "terminated", signal=number)


def heaviest(failures: Sequence[RunwayError]) -> RunwayError:
    """The failure whose kind counts where several failed, the first of them."""
    weights = list(EXIT_STATUS)
    return min(failures, key=lambda failure: weights.index(failure.kind))
