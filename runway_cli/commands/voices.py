"""`voices list`."""

from __future__ import annotations

from .listing import print_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..parser import Parser
    from .listing import ListArguments

COLUMNS = {"Name": "name", "Provider": "provider", "Preview": "preview"}


def configure(parser: Parser) -> None:
    parser.examples = (("voices", "list"),)
    parser.command("list", "list voices: id, name, provider, status, preview", _configure_list)


def _configure_list(parser: Parser) -> None:
    parser.examples = (("voices", "list"), ("voices", "list", "--limit", "20", "--output", "table"))
    parser.limit()
    parser.set_defaults(run=run)


def run(args: ListArguments) -> int:
    """Prints the voices."""
    return print_list(args, "/v1/voices", compact, COLUMNS)


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
