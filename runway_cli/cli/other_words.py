"""What other tools call things, as calls of this program."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# What other tools call things: the words of a command that does not exist → a call
OTHER_WORDS: dict[tuple[str, ...], Sequence[str]] = {
    ("tasks",): ("history",),
    ("task",): ("history",),
    ("jobs",): ("history",),
    ("log",): ("history",),
    ("generate",): ("models",),
    ("create",): ("models",),
    ("image",): ("models", "text_to_image"),
    ("video",): ("models", "image_to_video"),
    ("videos",): ("models", "image_to_video"),
    ("list",): ("avatars", "list"),
    ("ls",): ("avatars", "list"),
    ("login",): ("auth", "login"),
    ("logout",): ("auth", "logout"),
    ("whoami",): ("auth", "status"),
    ("status",): ("auth", "status"),
    ("balance",): ("auth", "status"),
    ("credits",): ("auth", "status"),
    ("config",): ("help", "environment"),
    ("docs",): ("reference",),
    ("api",): ("reference",),
    ("endpoints",): ("reference",),
    ("install",): ("skill", "install"),
    ("version",): ("--version",),
}
# Their options → ours; one that ends in = is a field, with the option's value
OTHER_OPTIONS = {
    "--json": "--output json",
    "--markdown": "--output markdown",
    "--table": "--output table",
    "--format": "--output",
    "--out": "--download",
    "-o": "--download",
    "--to": "--download",
    "--budget": "--max-credits",
    "--max-cost": "--max-credits",
    "--check-only": "--check",
    "--prompt": "-f promptText=",
    "--model": "-f model=",
    "--ratio": "-f ratio=",
    "--duration": "-F duration=",
}
RESOURCES = ("avatars", "voices", "documents")
READING_WORDS = ("get", "show", "read", "describe", "view")
DELETING_WORDS = ("delete", "remove", "rm", "del")
