"""`avatars list`."""

from __future__ import annotations

from .listing import iso_time, print_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..parser import Parser
    from .listing import ListArguments

COLUMNS = {"Name": "name", "Status": "status", "Voice": "voice", "Docs": "documents", "Created": "createdAt"}
VOICE_TYPES = {"custom": " (custom)", "preset": " (preset)", "runway-live-preset": " (preset)"}


def configure(parser: Parser) -> None:
    parser.examples = (("avatars", "list"),)
    parser.command("list", "list avatars: id, name, status, voice, documents, createdAt", _configure_list)


def _configure_list(parser: Parser) -> None:
    parser.examples = (("avatars", "list"), ("avatars", "list", "--output", "markdown"))
    parser.limit()
    parser.set_defaults(run=run)


def run(args: ListArguments) -> int:
    """Prints the avatars."""
    return print_list(args, "/v1/avatars", compact, COLUMNS)


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
    """A voice's name with (custom) or (preset) behind it; older answers give a bare string."""
    if not isinstance(voice, dict):
        return voice or None
    names = (voice.get(key) for key in ("name", "presetId", "id"))
    name = next((name for name in names if name and isinstance(name, str)), "Unknown")
    return f"{name}{VOICE_TYPES.get(str(voice.get('type')), '')}"
