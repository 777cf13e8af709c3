"""What is shown of tasks while they are waited for."""

from __future__ import annotations

from ..output import terminal_width
from ..progress import REDRAW, bar, live, transferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client import Clock
    from ..output import Console
    from ..tasks import Watch


SHORTEST = 8  # characters of an id: its first group tells the tasks of a run apart


class Board:
    """Progress: one live line a task on a terminal, elsewhere a line when the status changes or a tenth was made."""

    def __init__(self, console: Console, clock: Clock, watches: Sequence[Watch]) -> None:
        self.console = console
        self.clock = clock
        self.live = live(console)
        self.start = clock.monotonic()
        self.watches = watches
        self.told: dict[str, tuple[str, int]] = {}
        self.throttled = False
        self.drawn = self.start - 1

    def show(self, seen: Watch | None) -> None:
        """Called after every look, with what was looked at, and about every second."""
        if seen and seen.status:
            news = (seen.status, int((seen.progress or 0.0) * 10))
            if self.told.get(seen.path) != news:
                self.told[seen.path] = news
                self._tell(seen)
        now = self.clock.monotonic()
        if self.live and (seen is None or now - self.drawn > REDRAW):
            self.drawn = now
            self.live.show([self._line(watch) for watch in self.watches if watch.transfer or not watch.ended])

    def transfer(self, watch: Watch, done: int, total: int | None) -> None:
        """Hears of a download's bytes; with one watch nothing else draws meanwhile."""
        if self.live:
            watch.transfer = transferred(done, total)
            if len(self.watches) == 1:
                self.show(watch)

    def _tell(self, watch: Watch) -> None:
        if watch.status == "THROTTLED" and not self.throttled:
            self.throttled = True
            self.console.note("THROTTLED: queued until a running generation makes room in your tier's concurrency")
        if not self.live:
            self.console.note(self._line(watch))

    def _line(self, watch: Watch) -> str:
        share = watch.progress
        drawn = "" if share is None else f"{bar(share)} {share:.0%}" if self.live else f"{share:.0%}"
        seconds = f"{self.clock.monotonic() - self.start:.0f} s"
        rest = " ".join(filter(None, (watch.status, watch.transfer or drawn, seconds, _credits(watch))))
        return f"{self._name(watch, len(rest))} {rest}"

    def _name(self, watch: Watch, taken: int) -> str:
        """In a narrow terminal an id is cut before what is told of it."""
        room = terminal_width() - 2 - taken if self.live else len(watch.name)
        return watch.name if len(watch.name) <= room else watch.name[:max(room - 1, SHORTEST)] + "…"

    def close(self) -> None:
        """Takes the live lines away."""
        if self.live:
            self.live.close()


def _credits(watch: Watch) -> str:
    cost = (watch.task or {}).get("cost") or (watch.task or {}).get("estimatedCost")
    credits = cost.get("credits") if isinstance(cost, dict) else None
    return "" if credits is None else f"{credits} credits"
