"""What a command works with: the streams, the clock, the service and the history of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..api.client import Client, service
from ..errors import RunwayError, heaviest
from ..settings import history_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..jobs.ledger import Ledger
    from ..shutdown import Clock, Shutdown
    from ..terminal.console import Console
    from ..terminal.tables import Column
    from .options import Options


class Context:
    """What a run has once. `program` returns all declared commands, for those commands that describe them."""

    def __init__(
        self, console: Console, clock: Clock, shutdown: Shutdown, options: Options, program: Callable[[], Any]
    ) -> None:
        self.console = console
        self.clock = clock
        self.shutdown = shutdown
        self.options = options
        self.program = program
        self._open: list[Client | Ledger] = []

    def client(self, *, with_secret: bool = True) -> Client:
        """Returns a client of the chosen service, with *** for a secret unless `with_secret`. Raises ConfigError."""
        chosen = service(self.options, with_secret=with_secret)
        client = Client(chosen, console=self.console, clock=self.clock, shutdown=self.shutdown)
        self._open.append(client)
        return client

    def history(self, client: Client) -> Ledger:
        """Returns the history of the client's account."""
        return self.ledger(client, history_path())

    def ledger(self, client: Client, path: str | None, *, exclusive: bool = False) -> Ledger:
        """Returns a ledger of the client's account, which is closed at the end of the run."""
        from ..jobs.ledger import Ledger

        found = Ledger(path, client, exclusive=exclusive)
        self._open.append(found)
        return found

    def close(self) -> None:
        """Closes ledgers and connections, and removes part files, so that nothing of the run is left behind."""
        self.shutdown.end()
        for each in self._open:
            each.close()


def for_each(
    console: Console, columns: Sequence[Column], items: Sequence[tuple[str, Any]], work: Callable[[Any], None]
) -> int:
    """Does the work, which prints a row, for each (name, item). Returns 0, or raises one error for all that failed."""
    failures: list[tuple[str, RunwayError]] = []
    try:
        for name, item in items:
            try:
                work(item)
            except RunwayError as error:
                failures.append((name, error))
    finally:
        console.end_rows(columns)
    if failures:
        raise summary(failures, len(items))
    return 0


def summary(failures: Sequence[tuple[str, RunwayError]], count: int) -> RunwayError:
    """Returns one error for all (name, error) that failed, out of `count`; the worst one sets the exit status."""
    worst = heaviest([failure for _, failure in failures])
    if count == 1:
        return worst
    facts = {
        "kind": worst.kind,
        "task_id": None,
        "waiting_for": tuple(name for name, failure in failures if failure.fact("waiting_for")),
        "failed": [{"id": name, "kind": failure.kind, "error": failure.message} for name, failure in failures],
    }
    return RunwayError(f"{len(failures)} of {count} failed: {worst.message}", **{**worst.facts, **facts})
