"""`avatars list`, `voices list`, `documents list`: every page of a list as compact rows."""

from __future__ import annotations

from ..settings import integer, not_empty
from ..terminal.tables import Column
from .options import Command, Option, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from .context import Context

    Record = dict[str, Any]

MAX_ROWS = 1000  # without --limit
LIMIT = Option("--limit N", "print N rows at most (default: 1000)", integer(1))
AVATAR_ID = Option("--avatar-id ID", "only the documents that this avatar uses", not_empty)
VOICE_TYPES = {"custom": " (custom)", "preset": " (preset)", "runway-live-preset": " (preset)"}


def avatar(record: Record) -> Record:
    """Returns the row of an avatar: its voice by name with (custom) or (preset); older answers give a bare string."""
    voice, documents = record.get("voice"), record.get("documentIds")
    if isinstance(voice, dict):
        names = (voice.get(key) for key in ("name", "presetId", "id"))
        name = next((name for name in names if name and isinstance(name, str)), "Unknown")
        voice = name + VOICE_TYPES.get(str(voice.get("type")), "")
    return {
        **{key: record.get(key) for key in ("id", "name", "status")},
        "voice": voice or None,
        "documents": len(documents) if isinstance(documents, list) else 0,
        "createdAt": iso_time(record.get("createdAt")),
    }


def voice(record: Record) -> Record:
    """Returns the row of a voice; older answers spell provider and preview in other ways."""
    previews = (record.get(key) for key in ("previewUrl", "previewAudioUri", "previewUri"))
    return {
        "id": record.get("id"),
        "name": record.get("name"),
        "provider": record.get("provider") or record.get("type"),
        "status": record.get("status"),
        "preview": next(filter(None, previews), None),
    }


def document(record: Record) -> Record:
    """Returns the row of a document."""
    users = _users(record)
    return {
        **{key: record.get(key) for key in ("id", "name", "type")},
        "avatarId": record.get("avatarId") or (users[0].get("id") if users else None),
        "usedBy": [user.get("name") for user in users],
        "createdAt": iso_time(record.get("createdAt")),
    }


def _uses(record: Record, avatar_id: str) -> bool:
    """Returns whether a document may belong to the avatar: a server that ignores the query must not mislead."""
    if "avatarId" not in record and "usedBy" not in record:
        return True
    return avatar_id in (record.get("avatarId"), *(user.get("id") for user in _users(record)))


def _users(record: Record) -> list[Record]:
    users = record.get("usedBy")
    return [user for user in users if isinstance(user, dict)] if isinstance(users, list) else []


def _list(
    name: str, row: Callable[[Record], Record], columns: Sequence[Column], example: str, query: Mapping[str, str]
) -> Command:
    """Returns the command that lists /v1/NAME. With a query, --avatar-id adds to it."""
    keys = ", ".join(row({}))

    def run(context: Context, options: Options) -> int:
        from ..api.client import pages

        most, avatar_id = options.limit or MAX_ROWS, getattr(options, "avatar_id", None)
        asked = {**query, **({"avatarId": avatar_id} if avatar_id else {})}
        rows: list[Record] = []
        truncated = False
        for records, has_more in pages(context.client(), f"/v1/{name}", asked, None if avatar_id else most):
            found = [record if isinstance(record, dict) else {} for record in records]  # no shape breaks the list
            kept = [record for record in found if not avatar_id or _uses(record, avatar_id)]
            truncated = has_more or len(rows) + len(kept) > most
            rows += [row(record) for record in kept[: most - len(rows)]]
            if len(rows) >= most:
                break
        context.console.rows(rows, columns, {"truncated": True} if truncated else {})
        return 0

    return Command(
        run,
        summary=f"list {name}: {keys}",
        options=(AVATAR_ID, LIMIT) if query else (LIMIT,),
        examples=(f"{name} list", f"{name} list {example}"),
        prints=f'{{"data": [{{{keys}}}]}}, with "truncated": true where there are more',
        has_rows=True,
    )


def iso_time(value: Any) -> Any:
    """Returns a date as YYYY-MM-DDTHH:MM:SS.mmmZ, read as UTC where it names no zone; anything else unchanged."""
    import re
    from datetime import datetime, timezone

    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d([T ]\d\d:|$)", value):
        return value
    text = re.sub(r"\.(\d+)", lambda fraction: f".{fraction[1]:0<3.3}", value.replace("Z", "+00:00"))
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(timezone.utc) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return value
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


_NAME, _CREATED, _DOCS = Column("Name", "name"), Column("Created", "createdAt"), Column("Docs", "documents", rank=2)
_AVATAR = (_NAME, Column("Status", "status"), Column("Voice", "voice", rank=1), _DOCS, _CREATED)
_VOICE = (_NAME, Column("Provider", "provider", rank=1), Column("Preview", "preview", link="listen", rank=2))
_DOCUMENT = (_NAME, Column("Avatar", "avatarId", rank=1), _CREATED)
_ORDER = {"sort": "createdAt", "order": "desc"}  # required; the API no longer lists avatarId, and takes it
COMMANDS = {
    "avatars list": _list("avatars", avatar, _AVATAR, "--output markdown", {}),
    "voices list": _list("voices", voice, _VOICE, "--limit 20 --output table", {}),
    "documents list": _list("documents", document, _DOCUMENT, "--avatar-id ID", _ORDER),
}
