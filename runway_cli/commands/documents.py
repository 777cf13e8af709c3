"""`documents list`."""

from __future__ import annotations

from ..settings.values import not_empty
from ..terminal.columns import Column
from ._command import Option
from ._lists import List, ListOptions, iso_time, list_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

COLUMNS = (
    Column("Name", "name"),
    Column("Avatar", "avatarId"),
    Column("Created", "createdAt"),
)


class Options(ListOptions):
    avatar_id: str | None


def compact(document: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a document."""
    users = _users(document)
    first = users[0].get("id") if users else None
    return {
        "id": document.get("id"),
        "name": document.get("name"),
        "type": document.get("type"),
        "avatarId": document.get("avatarId") or first,
        "usedBy": [user.get("name") for user in users],
        "createdAt": iso_time(document.get("createdAt")),
    }


def _query(options: Options) -> dict[str, str]:
    """The API's contract requires `sort` and `order`. It no longer lists `avatarId`, which is sent all the same."""
    query = {"sort": "createdAt", "order": "desc"}
    return query if options.avatar_id is None else {**query, "avatarId": options.avatar_id}


def _belongs(options: Options, document: Mapping[str, Any]) -> bool:
    """Whether a document may belong to the avatar: a server that ignores the query must not mislead."""
    if "avatarId" not in document and "usedBy" not in document:
        return True
    wanted = options.avatar_id
    return wanted == document.get("avatarId") or any(user.get("id") == wanted for user in _users(document))


def _users(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    users = document.get("usedBy")
    return [user for user in users if isinstance(user, dict)] if isinstance(users, list) else []


COMMANDS = {
    "list": list_command(
        List(
            "/v1/documents",
            compact,
            COLUMNS,
            query=_query,
            keep=_belongs,
            is_filtered=lambda options: options.avatar_id is not None,
        ),
        "documents",
        "id, name, type, avatarId, usedBy, createdAt",
        (("documents", "list", "--avatar-id", "ID"),),
        (Option("--avatar-id", metavar="ID", read=not_empty, help="only the documents that this avatar uses"),),
    )
}
