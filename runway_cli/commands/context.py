"""What a command works with: the streams, the time, the service and the history of one run."""

from __future__ import annotations

from ..errors import SeveralFailed, heaviest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..api.client import Client
    from ..errors import RunwayError
    from ..jobs.history import History
    from ..shutdown import Clock, Shutdown
    from ..terminal.console import Console
    from .options import GlobalOptions


class Context:
    """Made once for a run. `program` is the declared command line, for the commands that describe it."""

    def __init__(
        self,
        console: Console,
        clock: Clock,
        shutdown: Shutdown,
        *,
        options: GlobalOptions,
        words: Sequence[str],
        program: Callable[[], Any],
    ) -> None:
        self.console = console
        self.clock = clock
        self.shutdown = shutdown
        self.options = options
        self.words = words
        self.program = program
        self._clients: list[Client] = []

    def client(self, *, with_secret: bool = True) -> Client:
        """A client for the service that the options choose. What needs no secret has *** for one.

        Raises ConfigError for an environment that cannot be used.
        """
        from ..api import services as registry
        from ..api.client import Client

        target = registry.target(self.options, with_secret=with_secret)
        service = registry.service(self.options.gateway, target)
        client = Client(
            target,
            service,
            console=self.console,
            clock=self.clock,
            shutdown=self.shutdown,
        )
        self._clients.append(client)
        return client

    def history(self, client: Client) -> History:
        """The history of the client's account."""
        from ..jobs.history import History, account
        from ..settings import history_path

        target = client.target
        return History(
            history_path(),
            account=account(target.base_url, target.secret or ""),
            client_id=target.client_id,
            clock=self.clock,
            note=self.console.note,
            mask=self.console.mask,
        )

    def close(self) -> None:
        """Closes connections and removes part files: nothing is left of the run."""
        self.shutdown.end()
        for client in self._clients:
            client.close()


# --- One error for several that failed.


def summary(failures: Sequence[tuple[str, RunwayError]], count: int) -> RunwayError:
    """One error for the (name, error) of all that failed, out of `count`: the heaviest exit status counts."""
    worst = heaviest([failure for _, failure in failures])
    if count == 1:
        return worst
    facts = {key: value for key, value in worst.facts.items() if key not in ("task_id", "waiting_for")}
    return SeveralFailed(
        f"{len(failures)} of {count} failed: {worst.message}",
        **{
            **facts,
            "worst": worst,
            "waiting_for": tuple(name for name, failure in failures if failure.fact("waiting_for")),
            "failed": [{"id": name, "kind": failure.kind, "error": failure.message} for name, failure in failures],
        },
    )
