"""`documents list`."""

from __future__ import annotations

from .listing import iso_time, print_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..parser import Parser
    from . import listing

    class ListArguments(listing.ListArguments):
        avatar_id: str | None


COLUMNS = {"Name": "name", "Avatar": "avatarId", "Created": "createdAt"}


def configure(parser: Parser) -> None:
    parser.examples = (("documents", "list"),)
    parser.command("list", "list documents: id, name, type, avatarId, usedBy, createdAt", _configure_list)


def _configure_list(parser: Parser) -> None:
    parser.examples = (("documents", "list"), ("documents", "list", "--avatar-id", "ID"))
    parser.option("--avatar-id", metavar="ID", help="only the documents that this avatar uses")
    parser.limit()
    parser.set_defaults(run=run)


def run(args: ListArguments) -> int:
    """Prints the documents, newest first; of one avatar if asked for.

    The API's contract requires `sort` and `order`. It no longer lists `avatarId`: the parameter is sent, and rows that
    tell their avatars are filtered here too, so that a server which ignores it cannot mislead.
    """
    query = {"sort": "createdAt", "order": "desc"}
    if args.avatar_id is None:
        return print_list(args, "/v1/documents", compact, COLUMNS, query=query)
    wanted = args.avatar_id
    return print_list(args, "/v1/documents", compact, COLUMNS, query={**query, "avatarId": wanted},
                      keep=lambda document: _may_belong(document, wanted))


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


def _may_belong(document: Mapping[str, Any], avatar: str) -> bool:
    if "avatarId" not in document and "usedBy" not in document:
        return True
    return avatar == document.get("avatarId") or any(user.get("id") == avatar for user in _users(document))


def _users(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    users = document.get("usedBy")
    return [user for user in users if isinstance(user, dict)] if isinstance(users, list) else []
