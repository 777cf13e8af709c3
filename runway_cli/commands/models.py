"""`models`: the models of the API's contract, and what each allows at an endpoint."""

from __future__ import annotations

from ..errors import UsageError
from ..terminal.columns import Column
from ._command import Command, GlobalOptions, Operand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._context import Context

COLUMNS = (Column("Model", "model"), Column("Endpoints", "endpoints", wrap=True))


class Options(GlobalOptions):
    endpoint: str | None


def run(context: Context, options: Options) -> int:
    """Prints every model with its endpoints, or the models of one endpoint with their allowed values."""
    from ..contract import source
    from ..contract.models import models, models_of
    from ..contract.schema import endpoints, full_path, matching, nearest

    document = source.load(context.client(with_secret=False)).document
    if options.endpoint is None:
        context.console.rows(models(document), COLUMNS, {})
        return 0
    path = full_path(options.endpoint)
    known = endpoints(document)
    endpoint = next((found for found in matching(known, path) if found.method == "POST"), None)
    if endpoint is None:
        near = [name.replace("/v1/", "", 1) for name in nearest(known, path)]
        suggestion = f"; the nearest: {', '.join(near)}" if near else ": `models` lists all of them"
        words = f"the contract has no POST endpoint {options.endpoint!r}{suggestion}"
        raise UsageError(words, try_next=("models", *near[:1]))
    rows = models_of(document, endpoint)
    if not rows:
        words = f"{endpoint.path} has no models"
        raise UsageError(words, try_next=("reference", "POST", endpoint.path))
    context.console.rows(rows, _columns(rows), {})
    return 0


def _columns(rows: list[dict[str, Any]]) -> list[Column]:
    """What a person compares models by: the keys that several models have. JSON has them all."""
    counts: dict[str, int] = {}
    for row in rows:
        for key in row:
            counts[key] = counts.get(key, 0) + 1
    keys = [key for key, count in counts.items() if count > 1 or len(rows) == 1]
    return [Column(key[0].upper() + key[1:], key, wrap=key != "model") for key in keys]


COMMAND = Command(
    run,
    summary="list the models and their allowed values",
    operands=(
        Operand("endpoint", "ENDPOINT", takes="?", help="such as image_to_video; without it all models are listed"),
    ),
    examples=(("models",), ("models", "image_to_video"), ("models", "text_to_image", "--output", "table")),
    prints="rows: each model with its endpoints, or with the allowed `ratio`, `duration` and other values",
    has_rows=True,
)
