"""The outputs of a task that ended well: which URLs it has, and each saved as a file."""

from __future__ import annotations

from ..errors import ApiError, DeniedError, RunwayError
from ..files.destination import destinations, refuse_taken
from ..files.download import save
from ..files.media import mismatch
from ..files.storage import url_fault
from .polling import TaskProgress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..files.destination import Destination
    from ..files.download import Saved
    from ..files.storage import Transferred
    from .polling import PolledTask
    from .scheduler import Emit


def saver(path: str, *, force: bool, stem: str | None = None) -> Callable[[PolledTask, Emit], None]:
    """What saves the outputs of a polled task at `path`, in a folder under the name `stem`, else the task's id."""

    def save_all(task: PolledTask, emit: Emit) -> None:
        name, count = stem or task.pollable.id, len(urls_of(task.answer))
        save_outputs(task, destinations(path, name, count, by_content=stem is not None), force, emit)

    return save_all


def save_outputs(task: PolledTask, targets: list[Destination], force: bool, emit: Emit) -> None:
    """Saves every output, adding each path to `task.saved` once its file is whole.

    Raises OutputError, ApiError, NetworkError or WaitTimeout.
    """
    client = task.client
    urls = urls_of(task.answer)
    if not urls:
        client.console.note(f"{task.name} has no outputs to save")
    if not force:
        refuse_taken(targets)  # before the first is saved, so that what is there afterwards is this run's

    def save_one(index: int) -> Saved:
        def report(event: Transferred) -> None:
            emit(TaskProgress(task, event.done, event.total))

        return save(client, _checked(urls[index]), targets[index], force=force, emit=report, deadline=task.deadline)

    is_fresh = False
    for index, target in enumerate(targets):
        try:
            saved = save_one(index)
        except DeniedError as denied:
            if is_fresh:
                raise
            is_fresh = True
            urls = _fresh_urls(task, len(urls), denied)
            saved = save_one(index)
        task.saved.append(saved.path)
        if saved.skipped:
            client.console.note(f"{saved.path} is already saved")
        warning = None if target.in_folder else mismatch(saved.path)
        if warning:
            task.warnings.append(warning)
            client.console.note(warning)
    task.is_saved = bool(urls)


def urls_of(answer: Any) -> list[str]:
    """The output URLs of a task (a list) or of a workflow invocation ({nodeId: list}), in their order."""
    output = answer.get("output") if isinstance(answer, dict) else None
    found: list[str] = []
    for item in output.values() if isinstance(output, dict) else [output]:
        found += [url for url in (item if isinstance(item, list) else [item]) if isinstance(url, str)]
    return found


def _checked(url: str) -> str:
    fault = url_fault(url)
    if fault:
        raise ApiError(f"the output {url!r} {fault}", status=200)
    return url


def _fresh_urls(task: PolledTask, count: int, denied: DeniedError) -> list[str]:
    """The URLs of the task polled once more, at its pace: signed URLs expire, and the API signs new ones.

    Raises `denied` when the time is up before that.
    """
    client = task.client
    client.console.note(f"{task.name}: the output URLs have expired; reading the task once more")
    trouble: RunwayError | None = denied
    while trouble:
        if task.deadline is not None and client.clock.monotonic() + task.interval > task.deadline:
            raise trouble
        client.shutdown.sleep(client.clock, task.interval)
        task.poll()
        if task.error:
            raise task.error
        trouble = task.trouble
    urls = urls_of(task.answer)
    if len(urls) != count:
        raise ApiError(f"{task.name} no longer has its {count} outputs", status=200)
    return urls
