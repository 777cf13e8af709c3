"""The outputs of a finished task: which URLs it has, and each saved in its place."""

from __future__ import annotations

from ..downloads import places, refuse_taken, save
from ..errors import ApiError, DeniedError, RunwayError
from ..media import url_fault
from ..tasks import look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..client import Client
    from ..tasks import Watch


def save_outputs(client: Client, watch: Watch, path: str, *, force: bool, end: float | None,
                 report: Callable[[int, int | None], None]) -> None:
    """Saves every output of a watch that ended well, adding each path to `watch.saved` once its file is whole.

    `end` is a moment of the clock past which no further try is made. Raises OutputError, ApiError or NetworkError.
    """
    urls = urls_of(watch.task)
    if not urls:
        client.console.note(f"{watch.name} has no outputs to save")
    targets = places(path, watch.id, len(urls))
    if not force:
        refuse_taken(targets)  # before the first is saved, so that what is there afterwards is this run's
    fresh = False
    for index, place in enumerate(targets):
        try:
            saved = save(client, _checked(urls[index]), place, force=force, report=report, end=end)
        except DeniedError as denied:
            if fresh:
                raise
            fresh = True
            urls = _fresh_urls(client, watch, len(urls), end, denied)
            saved = save(client, _checked(urls[index]), place, force=force, report=report, end=end)
        watch.saved.append(saved.path)
        if saved.skipped:
            client.console.note(f"{saved.path} is already saved")


def urls_of(task: Any) -> list[str]:
    """The output URLs of a task (a list) or of a workflow invocation ({nodeId: list}), in their order."""
    output = task.get("output") if isinstance(task, dict) else None
    found: list[str] = []
    for item in output.values() if isinstance(output, dict) else [output]:
        found += [url for url in (item if isinstance(item, list) else [item]) if isinstance(url, str)]
    return found


def _checked(url: str) -> str:
    fault = url_fault(url)
    if fault:
        raise ApiError(f"the output {url!r} {fault}", status=200)
    return url


def _fresh_urls(client: Client, watch: Watch, count: int, end: float | None, denied: DeniedError) -> list[str]:
    """The URLs of the task read once more, at its pace: signed URLs expire, and the API signs new ones.

    Raises `denied` when the time is up before that.
    """
    client.console.note(f"{watch.name}: the output URLs have expired; the task is read once more")
    trouble: RunwayError | None = denied
    while trouble:
        if end is not None and client.clock.monotonic() + watch.interval > end:
            raise trouble
        client.clock.sleep(watch.interval)
        look(client, watch, end)
        if watch.error:
            raise watch.error
        trouble = watch.trouble
    urls = urls_of(watch.task)
    if len(urls) != count:
        raise ApiError(f"{watch.name} no longer has its {count} outputs", status=200)
    return urls
