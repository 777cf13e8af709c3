"""The ways to fail. Each exception knows its kind, its exit status and a call that helps.

`example` is a list of command-line words without the program's name, or None: then the front door finds one by the kind
of the failure. `details` are further keys of the JSON object on stderr.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs 3 ms to import; type checkers take any variable of this name as true
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class RunwayError(Exception):
    """An expected failure, reported as one JSON object on stderr."""

    kind = "api"
    exit_status = 1
    directly = False  # with True the example leaves a gateway out
    force_helps = False  # with True the call would have worked with --force
    variable: str | None = None  # the environment variable to leave out in the example

    def __init__(self, message: str, *, example: Sequence[str] | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.example = example
        self.details = details


class UsageError(RunwayError):
    """The call itself is wrong: nothing was sent."""

    kind = "usage"
    exit_status = 2


class ConfigError(RunwayError):
    """An environment variable or base URL cannot be used: nothing was sent."""

    kind = "config"
    exit_status = 78

    def __init__(self, message: str, variable: str | None = None, *, example: Sequence[str] | None = None) -> None:
        super().__init__(message, example=example)
        self.variable = variable


class InternalError(RunwayError):
    """A defect of this program."""

    kind = "internal"


class AuthError(RunwayError):
    """There is no secret: nothing was sent."""

    kind = "auth"
    exit_status = 77


class ApiError(RunwayError):
    """A complete HTTP answer that is no success.

    `status` is the HTTP status code; `retry_after` the seconds that the service asks to wait, None without such a
    wish; `is_json` is False for a 2xx whose body is something else; `from_provider` is False for what only a gateway
    says.
    """

    def __init__(self, message: str, *, status: int, retry_after: float | None = None, is_json: bool = True,
                 from_provider: bool = True, **details: Any) -> None:
        super().__init__(message, status=status, **details)
        self.status = status
        self.retry_after = retry_after
        self.is_json = is_json
        self.from_provider = from_provider


class DeniedError(ApiError):
    """401 or 403."""

    kind = "auth"
    exit_status = 77


class NetworkError(RunwayError):
    """No complete HTTP answer.

    `maybe_received` is True once a byte of the request was sent; `permanent` means that trying again
    cannot help (a certificate that is not trusted).
    """

    kind = "network"
    exit_status = 69

    def __init__(self, message: str, *, maybe_received: bool = False, permanent: bool = False) -> None:
        super().__init__(message)
        self.maybe_received = maybe_received
        self.permanent = permanent


class TaskError(RunwayError):
    """A task ended FAILED or CANCELLED; its JSON is on stdout."""

    kind = "task"


class WaitTimeout(RunwayError):
    """A task was still running when its time was up."""

    kind = "timeout"
    exit_status = 75


class OutputError(RunwayError):
    """An output, stdout or a file, could not be written."""

    kind = "io"
    exit_status = 74


class ClosedOutput(Exception):
    """The reader of stdout has gone: the program ends quietly."""

    exit_status = 141


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived. No Exception, so that nothing that handles errors swallows it."""

    kind = "interrupted"

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_status = 128 + signal_number
        self.message = "interrupted" if signal_number == 2 else "terminated"
        self.example: Sequence[str] | None = None
        self.details: dict[str, Any] = {}
        self.maybe_received = True  # unless the transport, which alone knows, says that nothing was sent
