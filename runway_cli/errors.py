"""The ways to fail, and the exit status of each.

    Failure
    ├── Interrupted          a signal arrived
    └── RunwayError          an expected failure
        ├── UsageError       the call is wrong: nothing was sent
        │   └── Mistyped     a word is unknown, and a known one is near
        ├── ConfigError      an environment variable cannot be used: nothing was sent
        ├── AuthError        no secret is set: nothing was sent
        ├── ApiError         a complete HTTP answer that is not a success
        │   ├── DeniedError  401 or 403
        │   └── CreditsError the account has too few credits
        ├── NetworkError     no complete HTTP answer
        ├── BudgetError      a limit of credits allows no further job: nothing was sent
        ├── TaskError        a task ended FAILED or CANCELLED, or with failed nodes; its JSON is on stdout
        ├── WaitTimeout      a task was still running when the time was up
        ├── OutputError      stdout or a file could not be written
        └── InternalError    a defect of this program
    ClosedOutput             stdout was closed: the program ends quietly

An exception never changes once it is raised; `error.but(…)` makes a new one. It carries facts by name: the error object
on stderr shows those in `REPORTED`, and `cli.examples` chooses the suggested next command by the others.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs 3 ms to import; type checkers take any variable of this name as true
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeVar

    F = TypeVar("F", bound="Failure")

# Exit statuses, the kind of failure of each ("" for none), and its meaning. If several things fail, the kind that comes
# first here sets the status.
EXITS = (
    (0, "", "done"),
    (78, "config", "an environment variable or base URL cannot be used"),
    (77, "auth", "no key, or 401 or 403"),
    (2, "usage", "bad arguments or input: nothing was sent"),
    (1, "credits", "the account has too few credits"),
    (1, "budget", "a limit of credits allows no further job"),
    (1, "api", "a complete answer that is not a success"),
    (1, "task", "the task ended FAILED or CANCELLED"),
    (1, "internal", "a defect of this program"),
    (74, "io", "an output could not be written"),
    (69, "network", "no complete answer: refused, reset, timed out, cut off, TLS failed"),
    (75, "timeout", "still running when the time was up: the example resumes"),
    (129, "interrupted", "SIGHUP: the message names what was paid for"),
    (130, "interrupted", "SIGINT: the same"),
    (143, "interrupted", "SIGTERM: the same"),
    (141, "", "stdout was closed"),
)
EXIT_STATUS = {kind: status for status, kind, _ in EXITS if kind not in ("", "interrupted")}
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
    "spent": "spent",
    "limit": "limit",
    "failed": "failed",
}


class Failure(BaseException):
    """The base of every failure: `kind`, `message` for a user, and `facts` by name, which are attributes too."""

    kind = "api"
    signal = 0  # the number of the one that ended the run

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts: Mapping[str, Any] = facts
        vars(self).update({name: fact for name, fact in facts.items() if fact is not None})

    @property
    def exit_status(self) -> int:
        return 128 + self.signal if self.signal else EXIT_STATUS[self.kind]

    def fact(self, name: str, default: Any = None) -> Any:
        """Returns a fact by its name, `default` where it is unknown."""
        return vars(self).get(name, default)

    def but(self: F, message: str | None = None, **facts: Any) -> F:
        """Returns a new exception of the same class with these facts, and perhaps another message."""
        return type(self)(self.message if message is None else message, **{**self.facts, **facts})


class Interrupted(Failure):
    """The end by SIGINT, SIGTERM or SIGHUP. Not an Exception, so that no error handler swallows it.

    Fact: `maybe_received`, whether a byte of a request was sent that has no answer yet.
    """

    kind = "interrupted"


class RunwayError(Failure, Exception):
    """An expected failure, reported as one JSON object on stderr. For several, `kind` is that of the worst."""


class UsageError(RunwayError):
    kind = "usage"


class Mistyped(UsageError):
    """An unknown word. Facts: `wrong`, the word; `right`, the closest known word."""


class ConfigError(RunwayError):
    """An environment variable or base URL that cannot be used. Fact: `variable`."""

    kind = "config"


class AuthError(RunwayError):
    kind = "auth"


class ApiError(RunwayError):
    """An error answer. Facts: `issues`, as [{"field", "messages"}]; `more`, the other keys of its body."""

    status = 0  # of HTTP
    retry_after = 0.0  # seconds that the service asks to wait
    is_json = True  # False for a 2xx whose body is something else
    permanent = False  # True where waiting cannot help: another service answered, with a page in place of JSON
    final = False  # True where the service says that it must not be sent again
    from_provider = True  # False for what only a gateway says


class DeniedError(ApiError):
    kind = "auth"


class NetworkError(RunwayError):
    kind = "network"
    maybe_received = False  # True once a byte of the request was sent
    permanent = False  # True where waiting cannot help: refused, no such host, no TLS, or `final`
    final = False  # True where this side refused: a certificate that is not trusted, a URL that cannot be sent


class CreditsError(ApiError):
    kind = "credits"


class BudgetError(RunwayError):
    kind = "budget"


class TaskError(RunwayError):
    kind = "task"


class WaitTimeout(RunwayError):
    kind = "timeout"


class OutputError(RunwayError):
    kind = "io"


class InternalError(RunwayError):
    kind = "internal"

    @classmethod
    def of(cls, defect: BaseException, **facts: Any) -> InternalError:
        """Returns the failure for an exception that nothing expected."""
        return cls(f"{type(defect).__name__}: {defect}", **facts)


class ClosedOutput(Exception):
    """A closed stdout. Not a failure: the program ends quietly with CLOSED_OUTPUT."""


def heaviest(failures: Sequence[RunwayError]) -> RunwayError:
    """Returns the failure whose kind comes first in EXITS; the first of several."""
    return min(failures, key=lambda failure: list(EXIT_STATUS).index(failure.kind))
