"""`avatars list`."""

from __future__ import annotations

from ..terminal.columns import Column
from ._lists import List, iso_time, list_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

COLUMNS = (
    Column("Name", "name"),
    Column("Status", "status"),
    Column("Voice", "voice"),
    Column("Docs", "documents"),
    Column("Created", "createdAt"),
)
VOICE_TYPES = {"custom": " (custom)", "preset": " (preset)", "runway-live-preset": " (preset)"}


def compact(avatar: Mapping[str, Any]) -> dict[str, Any]:
    """The row of an avatar."""
    documents = avatar.get("documentIds")
    return {
        "id": avatar.get("id"),
        "name": avatar.get("name"),
        "status": avatar.get("status"),
        "voice": _voice(avatar.get("voice")),
        "documents": len(documents) if isinstance(documents, list) else 0,
        "createdAt": iso_time(avatar.get("createdAt")),
    }


def _voice(voice: Any) -> Any:
    """A voice's name followed by (custom) or (preset); older answers give a bare string."""
    if not isinstance(voice, dict):
        return voice or None
    names = (voice.get(key) for key in ("name", "presetId", "id"))
    name = next((name for name in names if name and isinstance(name, str)), "Unknown")
    return f"{name}{VOICE_TYPES.get(str(voice.get('type')), '')}"


COMMANDS = {
    "list": list_command(
        List("/v1/avatars", compact, COLUMNS),
        "avatars",
        "id, name, status, voice, documents, createdAt",
        (("avatars", "list", "--output", "markdown"),),
    )
}
