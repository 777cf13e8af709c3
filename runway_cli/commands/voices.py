"""`voices list`."""

from __future__ import annotations

from ..terminal.columns import Column
from ._lists import List, list_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

COLUMNS = (
    Column("Name", "name"),
    Column("Provider", "provider"),
    Column("Preview", "preview", link="listen"),
)


def compact(voice: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a voice; older answers spell provider and preview in other ways."""
    previews = (voice.get(key) for key in ("previewUrl", "previewAudioUri", "previewUri"))
    return {
        "id": voice.get("id"),
        "name": voice.get("name"),
        "provider": voice.get("provider") or voice.get("type"),
        "status": voice.get("status"),
        "preview": next(filter(None, previews), None),
    }


COMMANDS = {
    "list": list_command(
        List("/v1/voices", compact, COLUMNS),
        "voices",
        "id, name, provider, status, preview",
        (("voices", "list", "--limit", "20", "--output", "table"),),
    )
}
