"""What can be polled: the families of ids, and which one a POST starts."""

from __future__ import annotations

from ..api.paths import segment
from ..errors import UsageError
from ..settings.values import MIN_INTERVAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SESSION_INTERVAL = 1.0  # seconds; realtime sessions may be polled every second


class Family:
    """A kind of resource with a status: the path above its ids. `interval` is None where a call may choose it."""

    __slots__ = ("interval", "path")

    def __init__(self, path: str, interval: float | None = None) -> None:
        self.path = path
        self.interval = interval


TASKS = Family("/v1/tasks/")
INVOCATIONS = Family("/v1/workflow_invocations/")
FAMILIES = (
    TASKS,
    INVOCATIONS,
    Family("/v1/avatars/"),
    Family("/v1/voices/"),
    Family("/v1/realtime_sessions/", SESSION_INTERVAL),
)
STARTED_IN_PLACE = ("/v1/avatars", "/v1/voices", "/v1/realtime_sessions")  # a POST here makes what is polled below it
STARTS_NOTHING = ("/v1/documents", "/v1/uploads", "/v1/organization/usage", "/v1/routers", "/v1/voices/preview")


class Pollable:
    """One resource that is polled until it ends."""

    __slots__ = ("family", "id")

    def __init__(self, family: Family, id: str) -> None:
        self.family = family
        self.id = id

    @property
    def path(self) -> str:
        """Its path in the API."""
        return self.family.path + segment(self.id)

    @property
    def name(self) -> str:
        """What a user calls it by: a task's id, else the path."""
        return self.id if self.family is TASKS else self.family.path + self.id

    def interval(self, chosen: float = MIN_INTERVAL) -> float:
        """Seconds between two polls."""
        return self.family.interval or chosen


def parse(name: str) -> Pollable:
    """The pollable that an id, or one of the families' paths with an id, stands for. Raises UsageError."""
    family = next((family for family in FAMILIES if name.startswith(family.path)), TASKS)
    identity = name[len(family.path) :] if name.startswith(family.path) else name
    if not is_id(identity):
        paths = ", ".join(family.path + "ID" for family in FAMILIES)
        raise UsageError(f"{name!r} is not an id, nor one of {paths}", bad_id=name)
    return Pollable(family, identity)


def parse_all(names: Sequence[str]) -> list[Pollable]:
    """The pollables of several names, each once."""
    return list({pollable.path: pollable for pollable in map(parse, names)}.values())


def is_id(text: str) -> bool:
    """Whether a text can be an id: it must not leave its segment of a path."""
    is_strange = any(c in "/\\?#" or c.isspace() or not c.isprintable() for c in text)
    return bool(text) and text not in (".", "..") and not is_strange


def may_start(path: str) -> bool:
    """Whether a POST to this path may start something that costs credits or is polled."""
    return _plain(path) not in STARTS_NOTHING


def started_by(path: str, identity: str) -> Pollable:
    """What a POST to `path` started: a new endpoint starts a task until the API says something else."""
    plain = _plain(path)
    if plain.startswith("/v1/workflows/"):
        return Pollable(INVOCATIONS, identity)
    family = next((f for f in FAMILIES if plain in STARTED_IN_PLACE and f.path == plain + "/"), TASKS)
    return Pollable(family, identity)


def _plain(path: str) -> str:
    return "/" + path.partition("?")[0].strip("/")
