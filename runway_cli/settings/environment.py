"""The environment of the process. Nothing else reads os.environ."""

from __future__ import annotations

import os
import sys

from ..errors import ConfigError

OPENAPI_VARIABLE = "RUNWAY_SKILLS_OPENAPI_URL"
HISTORY_VARIABLE = "RUNWAY_SKILLS_HISTORY"
FOLDER = "runway-cli"  # this program's folder in the user's folders for caches and state


def setting(variable: str) -> str | None:
    """A variable without the white space around it; None if it is unset or empty."""
    return os.environ.get(variable, "").strip() or None


def secret(variable: str) -> str | None:
    """A secret without the white space around it. Raises ConfigError, without showing it, if no header can hold it."""
    found = setting(variable)
    if found and not is_plain(found):
        raise ConfigError(
            f"{variable} cannot be sent in a header: it contains a line break, a space or a character that is not "
            "ASCII. Copy the key again",
            variable=variable,
            is_secret=True,
        )
    return found


def secret_words(variables: list[str]) -> list[str]:
    """What these variables hold, usable or not, and the parts of a value that was pasted with white space."""
    values = [os.environ.get(name, "") for name in variables]
    return [word for value in values for word in {value.strip(), *value.split()} if word]


def base_url(variable: str, default: str) -> str:
    """The base URL that a variable names, else the default, without a slash at its end. Raises ConfigError."""
    text = setting(variable)
    if not text:
        return default
    from urllib.parse import urlsplit  # only a base URL from outside has to be taken apart

    try:
        parts = urlsplit(text)
        is_usable = parts.port != 0 and is_plain(text)
    except ValueError:
        is_usable = False
    if not is_usable or parts.scheme not in ("https", "http") or not parts.hostname:
        raise ConfigError(f"{variable} is not a URL such as {default}", variable=variable)
    if parts.username is not None or parts.password is not None or "?" in text or "#" in text:
        words = f"{variable} must not contain a user name, a query or a fragment; an example is {default}"
        raise ConfigError(words, variable=variable)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigError(f"{variable} must be https; http is for a loopback address only", variable=variable)
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine: localhost, 127.0.0.0/8 or ::1."""
    numbers = host.split(".")
    return host.lower() in ("localhost", "::1") or (
        len(numbers) == 4
        and numbers[0] == "127"
        and all(n.isascii() and n.isdigit() and len(n) <= 3 and int(n) < 256 for n in numbers)
    )


def is_plain(text: str) -> bool:
    """Only visible ASCII: what may stand in a header or a URL as it is."""
    return text.isascii() and text.isprintable() and " " not in text


def contract_url() -> str | None:
    """RUNWAY_SKILLS_OPENAPI_URL, checked, or None."""
    return (
        base_url(OPENAPI_VARIABLE, "https://docs.dev.runwayml.com/openapi.json") if setting(OPENAPI_VARIABLE) else None
    )


def proxy_variable() -> str | None:
    """The variable that names the proxy for https; lower case comes first, as everywhere. None where none is set."""
    return next((name for name in ("https_proxy", "HTTPS_PROXY") if setting(name)), None)


def is_dumb_terminal() -> bool:
    """Whether the terminal cannot move its cursor."""
    return os.environ.get("TERM") == "dumb"


def home() -> str | None:
    """The user's folder, None where there is none."""
    found = os.path.expanduser("~") if os.name == "nt" or setting("HOME") else ""
    return found if os.path.isabs(found) and found != "/nonexistent" else None


def absolute(path: str) -> str:
    """A path from the root on. Raises ConfigError where the working directory no longer exists."""
    try:
        return os.path.abspath(path)
    except OSError:
        raise ConfigError("the working directory no longer exists: change to another one") from None


def cache_folder() -> str | None:
    """This program's folder for what can be fetched again; None where the user has none."""
    return _user_folder("XDG_CACHE_HOME", ("Library", "Caches"), (".cache",))


def history_path() -> str | None:
    """The history file; None where it is off, or where the user has no folder for it."""
    named = setting(HISTORY_VARIABLE)
    if named:
        return None if named.lower() == "off" else absolute(os.path.expanduser(named))
    folder = _user_folder("XDG_STATE_HOME", ("Library", "Application Support"), (".local", "state"))
    return os.path.join(folder, "history.jsonl") if folder else None


def _user_folder(variable: str, on_macos: tuple[str, ...], elsewhere: tuple[str, ...]) -> str | None:
    """An XDG variable everywhere if it is set; else LOCALAPPDATA on Windows, a folder below the home elsewhere."""
    parent = setting(variable)
    if not parent or not os.path.isabs(parent):
        user = home()
        if os.name == "nt":
            parent = setting("LOCALAPPDATA")
        elif user:
            parent = os.path.join(user, *(on_macos if sys.platform == "darwin" else elsewhere))
        else:
            parent = None
    return os.path.join(parent, FOLDER) if parent else None
