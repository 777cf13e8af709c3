"""The environment of the process, the values of options and variables, and the target of requests.

Nothing else reads os.environ.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from .errors import ConfigError, UsageError

OPENAPI_VARIABLE = "RUNWAY_SKILLS_OPENAPI_URL"
HISTORY_VARIABLE = "RUNWAY_SKILLS_HISTORY"
BUDGET_VARIABLE = "RUNWAY_SKILLS_MAX_CREDITS"
OUTPUT_VARIABLE = "RUNWAY_SKILLS_OUTPUT"  # for a terminal only; a pipe gets JSON
# What `help environment` says about them. A service's own are in its module, those of options in their declarations.
VARIABLES = (
    (HISTORY_VARIABLE, "the history file, or off"),
    (BUDGET_VARIABLE, "the credits that may be spent here in 24 hours"),
    (OPENAPI_VARIABLE, "where the API's contract comes from: a URL or a file"),
    ("RUNWAY_SKILLS_DIR", "a checkout of the skill"),
    ("HTTPS_PROXY, NO_PROXY", "the proxy, and hosts and networks to reach without it"),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "additional certificate authorities"),
)
# The variables by which agents tell the programs that they start which session this is; the first one set is used. If
# one agent may start another, the one whose id is in every shell comes last.
SESSION_VARIABLES = (
    "CLAUDE_CODE_SESSION_ID",  # Claude Code
    "CODEX_THREAD_ID",  # Codex
    "CURSOR_CONVERSATION_ID",  # Cursor
    "GEMINI_SESSION_ID",  # Gemini CLI: in its hooks; its shell has GEMINI_CLI alone
    "COPILOT_AGENT_SESSION_ID",  # GitHub Copilot CLI
    "AMP_CURRENT_THREAD_ID",  # Amp
    "QWEN_CODE_SESSION_ID",  # Qwen Code
    "PI_SESSION_ID",  # pi
    "AGENT_SESSION_ID",  # goose
    "CURSOR_TRACE_ID",  # older versions of Cursor: in every terminal of a window
)
NAMESPACE = bytes.fromhex("6ba7b8119dad11d180b400c04fd430c8")  # of URLs, RFC 9562
IN_REQUEST_LINE = "/?%:@!$&'()*+,;=~[]-._"  # characters of a URL that stay as they are, beside letters and digits
QUOTES = "\"'`\u201c\u201d\u2018\u2019"  # around a pasted value; the last four are typographic
LEDGER_ID = 0x52775943  # of SQLite's header: no other program's database is ever written to, and ours never replaced


def setting(variable: str) -> str | None:
    """Returns a variable without the white space around it; None if it is unset or empty."""
    return os.environ.get(variable, "").strip() or None


def secret(variable: str) -> str | None:
    """Returns a secret, None if it is unset. Raises ConfigError, which does not show it, for an impossible value."""
    found = setting(variable)
    if found and found.strip(QUOTES) != found:
        words = "is in quotes, which docker --env-file and others pass on as part of the value: set it without quotes"
    elif found and not _is_plain(found):
        reason = "it contains a line break, a space or a character that is not ASCII"
        words = f"cannot be sent in a header: {reason}. Copy the key again"
    else:
        return found
    raise ConfigError(f"{variable} {words}", variable=variable, is_secret=True)


def base_url(variable: str, default: str) -> str:
    """Returns the base URL that a variable names, else the default, without a slash at its end. Raises ConfigError."""
    text = setting(variable)
    if not text:
        return default
    fault = url_fault(text) or ("contains a query or a fragment" if "?" in text or "#" in text else None)
    if fault:  # the URL may contain a password, so it is not shown
        raise ConfigError(f"{variable} {fault}; a valid value is {default}", variable=variable)
    return text.rstrip("/")


def budget() -> float | None:
    """Returns the credits that may be spent in 24 hours, None without a limit. Raises ConfigError."""
    text = setting(BUDGET_VARIABLE)
    try:
        return None if text is None else number(0, MAX_CREDITS, "a number of credits")(text)
    except ValueError as error:
        raise ConfigError(f"{BUDGET_VARIABLE} {error}", variable=BUDGET_VARIABLE) from None


def url_fault(url: str) -> str | None:
    """Returns why a URL is not used, as the rest of a sentence; None for https, and for http to a loopback address."""
    import re  # imported late: signals are handled first

    found = re.fullmatch(r"(?i)(https?)://([^/?#]*@)?(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{0,5}))?([/?#].*)?", url, re.ASCII)
    if not found or not _is_plain(url) or not 0 < int(found[4] or 443) < 65536:
        return "is not an https URL"
    if found[2]:
        return "contains a user name"
    if found[1].lower() == "http" and not is_loopback(found[3].strip("[]")):
        return "is http: only https is used, except for a loopback address"
    return None


def is_loopback(host: str) -> bool:
    """Returns whether a host name is this machine: localhost, 127.0.0.0/8 or ::1."""
    import re

    byte = r"\.(25[0-5]|2[0-4]\d|1\d\d|\d?\d)"
    return bool(re.fullmatch(rf"localhost|::1|127{byte}{byte}{byte}", host, re.IGNORECASE | re.ASCII))


def _is_plain(text: str) -> bool:
    """Returns whether a text is visible ASCII only, which a header or a URL may contain as it is."""
    return text.isascii() and text.isprintable() and " " not in text


def proxy_variable() -> str | None:
    """Returns the variable that names the proxy for https, lower case first as everywhere; None if none is set."""
    return next((name for name in ("https_proxy", "HTTPS_PROXY") if setting(name)), None)


def bypasses_proxy(host: str, port: int) -> bool:
    """Returns whether no_proxy, else NO_PROXY, names a host, as curl and Go read it.

    An element is `*`, an address, a network such as 10.0.0.0/8 or fd00::/8, or a domain, with or without a leading dot,
    which includes its subdomains; each may have a port.
    """
    host = host.rstrip(".").lower()
    elements = (setting("no_proxy") or setting("NO_PROXY") or "").lower().replace(",", " ").split()
    return any(_names_host(element, host, port) for element in elements)


def _names_host(element: str, host: str, port: int) -> bool:
    import re

    found = re.fullmatch(r"(\[.+\]|[^:]+):(\d{1,5})", element)
    if found and int(found[2]) != port:
        return False
    element = (found[1] if found else element).replace("[", "").replace("]", "")
    if element == "*":
        return True
    if ":" in host or host.replace(".", "").isdigit():
        import ipaddress

        try:
            address = ipaddress.ip_address(host)
            address = getattr(address, "ipv4_mapped", None) or address  # ::ffff:10.0.0.1 is 10.0.0.1
            return address in ipaddress.ip_network(element, strict=False)
        except ValueError:
            return False
    domain = element.lstrip("*").strip(".")
    return host == domain or host.endswith(f".{domain}")


def home() -> str | None:
    """Returns the user's home folder; None where there is none."""
    found = os.path.expanduser("~") if os.name == "nt" or setting("HOME") else ""
    return found if os.path.isabs(found) and found != "/nonexistent" else None


def expanded(path: str, variable: str = "") -> str:
    """Replaces a `~` that no shell did. Raises UsageError, or ConfigError for a `variable`, where no home is known."""
    found = path if os.environ.get("HOME") == "" else os.path.expanduser(path)  # expanduser would return the root
    if found == "~" or (found.startswith("~") and os.path.dirname(found)):
        words = f"{path!r}: the home folder is not known: write the path without ~, or with ./~"
        raise ConfigError(f"{variable}: {words}", variable=variable) if variable else UsageError(words)
    return found


def absolute(path: str) -> str:
    """Returns an absolute path. Raises ConfigError where the working directory no longer exists."""
    try:
        return os.path.abspath(path)
    except OSError:
        raise ConfigError("the working directory no longer exists: change to another one") from None


def relative(path: str) -> str:
    """Returns a path below the working directory relative to it, any other as it is."""
    try:
        here = os.path.join(os.getcwd(), "")
    except OSError:
        return path
    return path[len(here) :] if path.startswith(here) else path


def history_path() -> str | None:
    """Returns the history file; None where it is off, or where the user has no folder for it."""
    if named := setting(HISTORY_VARIABLE):
        return None if named.lower() == "off" else absolute(expanded(named, HISTORY_VARIABLE))
    folder = user_folder("XDG_STATE_HOME", ("Library", "Application Support"), (".local", "state"))
    return os.path.join(folder, "history.db") if folder else None


def is_ledger(path: str) -> bool:
    """Returns whether a file is a ledger of this program, whatever its name."""
    try:
        with open(path, "rb") as file:
            head = file.read(72)
    except OSError:
        return False
    return head.startswith(b"SQLite format 3\0") and head[68:] == LEDGER_ID.to_bytes(4, "big")


def user_folder(variable: str, on_macos: tuple[str, ...], elsewhere: tuple[str, ...]) -> str | None:
    """Returns this program's folder below that of an XDG variable, else in the system's place; None without a home."""
    named, user = setting(variable), setting("LOCALAPPDATA") if os.name == "nt" else home()
    if named and os.path.isabs(named):
        return os.path.join(named, "runway-cli")
    names = () if os.name == "nt" else on_macos if sys.platform == "darwin" else elsewhere
    return os.path.join(user, *names, "runway-cli") if user else None


# The text of an option or a variable → its value. Each function raises ValueError with words for a user.
MAX_TIMEOUT = 86_400  # seconds; not every platform's socket timeout can be longer
MAX_WAIT = 10 * 365 * 86_400  # seconds
MAX_CREDITS = 1e12  # of one job; a larger number is not a price
MIN_INTERVAL = 5.0  # seconds between two polls of a task; the API asks for it
ON = ("1", "true", "yes", "on")
OFF = ("0", "false", "no", "off")


def number(least: float, most: float, noun: str, kind: Callable[[str], float] = float) -> Callable[[str], float]:
    """Returns a reader of decimal numbers within these limits, in ASCII and without underscores."""

    def read(text: str) -> float:
        try:
            value = kind(text) if text.isascii() and "_" not in text else float("nan")
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise ValueError(f"must be {noun} from {shown_number(least)} to {shown_number(most)}, not {text!r}")
        return value

    return read


def integer(least: int, most: int = 999_999_999) -> Callable[[str], float]:
    return number(least, most, "an integer", int)


seconds = number(0.001, MAX_TIMEOUT, "a number of seconds")
seconds_or_forever = number(0, MAX_WAIT, "a number of seconds")  # 0 for no limit
interval = number(MIN_INTERVAL, MAX_TIMEOUT, "a number of seconds")


def client_id(text: str) -> str:
    """Reads what X-Runway-Client-Id may hold."""
    if not text or not _is_plain(text) or len(text) > 200:
        raise ValueError(f"must be 1 to 200 characters of ASCII without spaces, not {text!r}")
    return text


def session_uuid() -> str | None:
    """Returns a UUID, version 5, that hides the agent's id of this session; None without such an id."""
    for name in filter(setting, SESSION_VARIABLES):
        import hashlib

        text = NAMESPACE + f"{name}={setting(name)}".encode("utf-8", "surrogateescape")
        return uuid(hashlib.sha1(text, usedforsecurity=False).digest(), version=5)
    return None


def uuid(source: bytes, *, version: int) -> str:
    """Returns the first 16 bytes as a UUID (RFC 9562). Importing uuid takes over 5 ms in Python 3.9, 2 ms in 3.11."""
    digits = source.hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-{version}{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def as_text(word: str) -> str:
    """Returns a word of the command line as it was typed, whatever the locale. Raises ValueError unless it is UTF-8."""
    try:
        return word.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise ValueError(f"{word!r} is not UTF-8") from None


def not_empty(text: str) -> str:
    """Reads a text that must not be empty."""
    if not text:
        raise ValueError("must not be empty: is a variable unset?")
    return text


def destination(text: str) -> str:
    """Reads the path of an output, a file or a folder."""
    if text == "-":
        raise ValueError("'-' is not a path: stdout is for the result. Use a file name or a folder")
    return expanded(not_empty(text))


class Miswritten(ValueError):
    """A value that should be written differently: `instead` are the words that do so, `known` are the valid values."""

    def __init__(self, message: str, instead: Sequence[str] = (), known: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.instead = tuple(instead)
        self.known = known


def one_of(*words: str) -> Callable[[str], str]:
    """Returns a reader that accepts one of these words."""

    def read(text: str) -> str:
        if text not in words:
            raise Miswritten(f"must be one of {', '.join(words)}, not {text!r}", known=words)
        return text

    return read


def switch(text: str) -> bool:
    return one_of(*ON, *OFF)(text.lower()) in ON


def number_of(credits: object) -> float | None:
    """Returns credits, which may be text, as an int or a float; None for what is not a price."""
    try:
        found = number(0, MAX_CREDITS, "a price")(str(credits))
    except ValueError:
        return None
    return int(found) if found == int(found) else found


def shown_number(value: float) -> str:
    """Returns 60.0 as 60, 0.5 as 0.5."""
    return f"{round(value, 4):.15g}"


def counted(number: float, noun: str) -> str:
    """Returns `1 credit`, `2.5 credits`."""
    return f"{shown_number(number)} {noun}{'s' * (number != 1)}"


def readable_size(size: float) -> str:
    """Returns bytes as people read them: 999 B, 1.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.95 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"


def readable_time(seconds: float) -> str:
    """Returns seconds as people read them: 45 s, 3 min 20 s, 1 h 5 min."""
    whole = max(1, round(seconds))
    minutes, hours = whole // 60, whole // 3600
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


class Target:
    """A service's address, secret and limits. Never changed once it is made."""

    base_url: str  # without a slash at its end
    secret: str | None  # None where none is set
    secret_names: tuple[str, ...]  # the variables that were tried for it
    variable: str | None = None  # the one that it came from
    client_id: str
    url_format = "auto"
    timeout = 60.0  # seconds
    retries = 2

    def __init__(self, **values: object) -> None:
        vars(self).update(values)

    @property
    def account(self) -> str:
        """Returns what identifies an account: the base URL and a hash of the key, which does not reveal it."""
        import hashlib

        key = hashlib.sha256((self.secret or "").encode("utf-8", "surrogateescape"))
        return f"{self.base_url} {key.hexdigest()[:12]}"
