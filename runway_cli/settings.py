"""The environment of the process. Nothing else reads os.environ."""

from __future__ import annotations

import os
import sys

from .errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


OPENAPI_VARIABLE = "RUNWAY_SKILLS_OPENAPI_URL"
HISTORY_VARIABLE = "RUNWAY_SKILLS_HISTORY"
# What `help environment` says of them. A service's own are in its module, those of options in their declarations.
VARIABLES = (
    (HISTORY_VARIABLE, "the history file, or off"),
    (OPENAPI_VARIABLE, "where the API's contract comes from"),
    ("RUNWAY_SKILLS_DIR", "a checkout of the skill"),
    ("HTTPS_PROXY, NO_PROXY", "the proxy, and hosts that are reached without it"),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "further certificate authorities"),
)
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


# --- The text of an option or a variable → its value. Every function raises ValueError with words for a user.


MAX_TIMEOUT = 86_400  # seconds; more does not fit into every platform's socket timeout
MAX_WAIT = 10 * 365 * 86_400  # seconds
MIN_INTERVAL = 5.0  # seconds between two polls of a task, which the API asks for
ON = ("1", "true", "yes", "on")
OFF = ("0", "false", "no", "off")


def seconds(text: str, most: float = MAX_TIMEOUT) -> float:
    """A positive number of seconds."""
    value = _number(text)
    if not 0 < value <= most:
        raise ValueError(f"must be a number of seconds above 0, {most} at most, not {text!r}")
    return value


def seconds_or_forever(text: str) -> float:
    """Seconds; 0 stands for no limit."""
    return 0.0 if _number(text) == 0 else seconds(text, MAX_WAIT)


def interval(text: str) -> float:
    """A polling interval in seconds."""
    value = seconds(text)
    if value < MIN_INTERVAL:
        raise ValueError(f"must be 5 seconds or more, not {text!r}: the API allows no shorter interval")
    return value


def count(text: str) -> int:
    """An integer from 0 to 100."""
    if not _is_digits(text, 3) or int(text) > 100:
        raise ValueError(f"must be an integer from 0 to 100, not {text!r}")
    return int(text)


def positive(text: str) -> int:
    """An integer from 1 on."""
    if not _is_digits(text, 9) or int(text) == 0:
        raise ValueError(f"must be a positive integer, not {text!r}")
    return int(text)


def parallel(text: str) -> int:
    """An integer from 1 to 64."""
    if not _is_digits(text, 2) or not 1 <= int(text) <= 64:
        raise ValueError(f"must be an integer from 1 to 64, not {text!r}")
    return int(text)


def client_id(text: str) -> str:
    """A UUID, which the API expects in X-Runway-Client-Id."""
    groups = text.split("-")
    is_hex = all(character in "0123456789abcdefABCDEF" for character in "".join(groups))
    if [len(group) for group in groups] != [8, 4, 4, 4, 12] or not is_hex:
        raise ValueError(f"must be a UUID such as 123e4567-e89b-42d3-a456-426614174000, not {text!r}")
    return text


def not_empty(text: str) -> str:
    """A text that must be there."""
    if not text:
        raise ValueError("must not be empty: is a variable unset?")
    return text


def destination(text: str) -> str:
    """The path of an output: a file or a folder."""
    if not text:
        raise ValueError("must not be empty: is a variable unset?")
    if text == "-":
        raise ValueError("'-' is not a path: stdout is for the result. Use a file name or a folder")
    return text


def input_file(text: str) -> str:
    """The path of a file to read."""
    if not text:
        raise ValueError("must not be empty: is a variable unset?")
    if text == "-":
        raise ValueError("'-' is not a file name: files are not read from stdin here")
    return text


class UnknownWord(ValueError):
    """A word that is not one of the `known` ones."""

    def __init__(self, message: str, known: Sequence[str]) -> None:
        super().__init__(message)
        self.known = known


def one_of(*words: str) -> Callable[[str], str]:
    """A reader that takes one of these words."""

    def read(text: str) -> str:
        if text not in words:
            raise UnknownWord(f"must be one of {', '.join(words)}, not {text!r}", words)
        return text

    return read


def switch(text: str) -> bool:
    """The value of a switch's variable."""
    word = text.lower()
    if word not in (*ON, *OFF):
        raise ValueError(f"must be one of {', '.join((*ON, *OFF))}, not {text!r}")
    return word in ON


def shown_number(value: float) -> str:
    """60.0 as 60, 0.5 as 0.5."""
    return str(int(value)) if value == int(value) else str(value)


def shown_credits(credits: float) -> str:
    """30.0 as 30, 2.5 as 2.5."""
    return shown_number(round(credits, 4))


def random_uuid() -> str:
    """A random UUID, version 4 (RFC 9562). The module uuid would cost 6 ms to import."""
    bits = bytearray(os.urandom(16))
    bits[6] = bits[6] & 0x0F | 0x40
    bits[8] = bits[8] & 0x3F | 0x80
    text = bits.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _is_digits(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= most


def _number(text: str) -> float:
    """A decimal number in ASCII without underscores, NaN for anything else."""
    if not text.isascii() or "_" in text or not text.strip():
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return float("nan")


# --- Where requests go, and with which secret and limits.


class Target:
    """How to reach a service; never changed once it is made.

    `base_url` has no slash at its end. `secret` is None where none is set; `variable` names the variable that it came
    from, `secret_names` those that were tried. `timeout` is in seconds.
    """

    __slots__ = (
        "base_url",
        "client_id",
        "retries",
        "secret",
        "secret_names",
        "source",
        "timeout",
        "url_format",
        "variable",
    )

    def __init__(
        self,
        *,
        base_url: str,
        secret: str | None,
        secret_names: tuple[str, ...],
        client_id: str,
        variable: str | None = None,
        source: str = "environment",
        url_format: str = "auto",
        timeout: float = 60.0,
        retries: int = 2,
    ) -> None:
        self.base_url = base_url
        self.secret = secret
        self.secret_names = secret_names
        self.client_id = client_id
        self.variable = variable
        self.source = source
        self.url_format = url_format
        self.timeout = timeout
        self.retries = retries


def url_fault(url: str) -> str | None:
    """Returns why a URL is never requested, None for one that may be.

    It must be https, or http to a loopback host, in visible ASCII and without a user name.
    """
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        is_usable = bool(parts.hostname) and parts.port != 0 and parts.username is None and is_plain(url)
    except ValueError:
        is_usable = False
    if not is_usable or parts.scheme not in ("https", "http"):
        return "is not an https URL"
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return "is http: only https is used, except for a loopback address"
    return None
