"""`avatars list`, `voices list`, `documents list`: every page of a list as compact rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from ..api.client import pages
from ..jsontext import Json
from ..settings import integer, not_empty
from ..terminal.tables import Column
from .context import Context
from .options import Command, Option, Options

Record = dict[str, Json]

MAX_ROWS = 1000  # without --limit
LIMIT = Option("--limit N", "print N rows at most (default: 1000)", integer(1))
AVATAR_ID = Option("--avatar-id ID", "only the documents that this avatar uses", not_empty)
VOICE_TYPES = {"custom": " (custom)", "preset": " (preset)", "runway-live-preset": " (preset)"}


def run(name: str, context: Context, options: Options) -> int:
    """Prints the rows of /v1/NAME."""
    row, columns, query, _ = LISTS[name]
    most, avatar_id = options.limit or MAX_ROWS, vars(options).get("avatar_id")
    if avatar_id:
        query = {**query, "avatarId": avatar_id}
    rows: list[Record] = []
    is_cut = False
    for records, has_more in pages(context.client(), f"/v1/{name}", query, float("inf") if avatar_id else most):
        found = [record if isinstance(record, dict) else {} for record in records]  # no odd record breaks the list
        kept = [record for record in found if not avatar_id or _uses(record, avatar_id)]
        is_cut = has_more or len(rows) + len(kept) > most
        rows += map(row, kept[: most - len(rows)])
        if len(rows) >= most:
            break
    context.console.rows(rows, columns, is_cut=is_cut)
    return 0


def avatar(record: Record) -> Record:
    """Returns the row of an avatar: its voice by name with (custom) or (preset); older answers give a bare string."""
    voice, documents = record.get("voice"), record.get("documentIds")
    if isinstance(voice, dict):
        names = (voice.get(key) for key in ("name", "presetId", "id"))
        name = next((name for name in names if name and isinstance(name, str)), "Unknown")
        voice = name + VOICE_TYPES.get(str(voice.get("type")), "")
    count = len(documents) if isinstance(documents, list) else 0
    return _row(record, "id name status", voice=voice or None, documents=count, createdAt=iso_time(record))


def voice(record: Record) -> Record:
    """Returns the row of a voice; older answers spell provider and preview in other ways."""
    provider = record.get("provider") or record.get("type")
    preview = record.get("previewUrl") or record.get("previewAudioUri") or record.get("previewUri") or None
    return _row(record, "id name", provider=provider, status=record.get("status"), preview=preview)


def document(record: Record) -> Record:
    """Returns the row of a document."""
    users = _users(record)
    avatar_id = record.get("avatarId") or (users[0].get("id") if users else None)
    names = [user.get("name") for user in users]
    return _row(record, "id name type", avatarId=avatar_id, usedBy=names, createdAt=iso_time(record))


def _row(record: Record, keys: str, **more: Json) -> Record:
    return {**{key: record.get(key) for key in keys.split()}, **more}


def _uses(record: Record, avatar_id: str) -> bool:
    """Returns whether a document may belong to the avatar: a server that ignores the query must not mislead."""
    is_known = "avatarId" in record or "usedBy" in record
    return not is_known or avatar_id in (record.get("avatarId"), *(user.get("id") for user in _users(record)))


def _users(record: Record) -> list[Record]:
    users = record.get("usedBy")
    return [user for user in users if isinstance(user, dict)] if isinstance(users, list) else []


def iso_time(record: Record) -> Json:
    """Returns createdAt as YYYY-MM-DDTHH:MM:SS.mmmZ, in UTC unless it names a zone; other texts stay as they are."""
    from datetime import datetime, timezone

    value = record.get("createdAt")
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d([T ]\d\d:|$)", value):
        return value
    text = re.sub(r"\.(\d+)", lambda fraction: f".{fraction[1]:0<3.3}", value.replace("Z", "+00:00"))
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(timezone.utc) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return value
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


NAME, CREATED = Column("Name", "name"), Column("Created", "createdAt")
VOICE, DOCUMENTS = Column("Voice", "voice", rank=1), Column("Docs", "documents", rank=2)
AVATAR_COLUMNS = (NAME, Column("Status", "status"), VOICE, DOCUMENTS, CREATED)
VOICE_COLUMNS = (NAME, Column("Provider", "provider", rank=1), Column("Preview", "preview", link="listen", rank=2))
DOCUMENT_COLUMNS = (NAME, Column("Avatar", "avatarId", rank=1), CREATED)
NEWEST = {"sort": "createdAt", "order": "desc"}  # required; avatarId is no longer documented, but accepted
# By the last part of the path: the function that makes a row, the columns, the query, the options of an example.
LISTS: dict[str, tuple[Callable[[Record], Record], tuple[Column, ...], dict[str, str], str]] = {
    "avatars": (avatar, AVATAR_COLUMNS, {}, "--output markdown"),
    "voices": (voice, VOICE_COLUMNS, {}, "--limit 20 --output table"),
    "documents": (document, DOCUMENT_COLUMNS, NEWEST, "--avatar-id ID"),
}
COMMANDS = {
    f"{name} list": Command(
        partial(run, name),
        summary=f"list {name}: {', '.join(row({}))}",
        options=(AVATAR_ID, LIMIT) if name == "documents" else (LIMIT,),
        examples=(f"{name} list", f"{name} list {example}"),
        prints=f'{{"data": [{{{", ".join(row({}))}}}]}}, with "truncated": true if there are more',
        has_rows=True,
    )
    for name, (row, _, _, example) in LISTS.items()
}
