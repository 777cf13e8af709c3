"""One error for several that failed."""

from __future__ import annotations

from ..errors import SeveralFailed, heaviest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import RunwayError


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
