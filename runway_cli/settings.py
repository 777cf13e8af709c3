"""The process environment and the global options → how to reach the service. Nothing else reads os.environ."""

from __future__ import annotations

import os

from .errors import ConfigError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PRODUCTION = "https://api.dev.runwayml.com"
STAGE = "https://api.dev-stage.runwayml.com"
GATEWAY = "https://api.lowcodeapi.com/runwayml"
REFERENCE = "https://raw.githubusercontent.com/runwayml/openapi/refs/heads/next/openapi.json"

SECRET = "RUNWAY_SKILLS_API_SECRET"
SDK_SECRET = "RUNWAYML_API_SECRET"
STAGE_SECRET = "RUNWAY_SKILLS_API_SECRET_STAGE"
GATEWAY_TOKEN = "LOWCODEAPI_API_TOKEN"
LONGEST_TIMEOUT = 86_400  # seconds; more does not fit into every platform's socket timeout

GATEWAYS = ("lowcodeapi",)
URL_FORMATS = ("auto", "new", "old")
FORMATS = ("json", "jsonl", "table", "markdown")


class Options:
    """The global options of every command, as `complete` leaves them in the parsed namespace."""

    stage: bool
    gateway: str | None
    url_format: str
    client_id: str | None
    timeout: float
    retries: int
    output: str | None
    quiet: bool
    verbose: bool
    given: list[str]  # the global options of the command line, to be repeated in examples


class Target:
    """How to reach a service, never changed once it is made. A frozen dataclass would cost every start 8 ms of imports.

    `base_url` has no slash at its end; `secret` is None where none is set; `dialect` is runway or lowcodeapi.
    """

    __slots__ = ("base_url", "client_id", "dialect", "retries", "secret", "secret_names", "source", "timeout",
                 "url_format")

    def __init__(self, *, base_url: str, secret: str | None, secret_names: tuple[str, ...], source: str, dialect: str,
                 url_format: str, client_id: str, timeout: float, retries: int) -> None:
        self.base_url = base_url
        self.secret = secret
        self.secret_names = secret_names
        self.source = source
        self.dialect = dialect
        self.url_format = url_format
        self.client_id = client_id
        self.timeout = timeout
        self.retries = retries


def seconds(text: str, most: float = LONGEST_TIMEOUT) -> float:
    """A positive number of seconds. Raises ValueError with words for a user."""
    value = _number(text)
    if not 0 < value <= most:
        raise ValueError(f"{text!r} is no number of seconds above 0, {most} at most")
    return value


def count(text: str) -> int:
    """A whole number from 0 to 100."""
    if not (text.isascii() and text.isdigit()) or len(text) > 3 or int(text) > 100:
        raise ValueError(f"{text!r} is no whole number from 0 to 100")
    return int(text)


def client_id(text: str) -> str:
    """A UUID, which is what the API expects of X-Runway-Client-Id."""
    groups = text.split("-")
    if [len(group) for group in groups] != [8, 4, 4, 4, 12] or not _is_hex("".join(groups)):
        raise ValueError(f"{text!r} is no UUID such as 123e4567-e89b-42d3-a456-426614174000")
    return text


def _one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text

    return read


# dest: (environment variable, how its text is read, what holds without it); flags are read as on or off
_OPTIONS: dict[str, tuple[str, Callable[[str], Any] | None, Any]] = {
    "stage": ("RUNWAY_SKILLS_STAGE", None, False),
    "gateway": ("RUNWAY_SKILLS_GATEWAY", _one_of(GATEWAYS), None),
    "url_format": ("LOWCODEAPI_URL_FORMAT", _one_of(URL_FORMATS), "auto"),
    "client_id": ("RUNWAY_SKILLS_CLIENT_ID", client_id, None),
    "timeout": ("RUNWAY_SKILLS_TIMEOUT", seconds, 60.0),
    "retries": ("RUNWAY_SKILLS_RETRIES", count, 2),
    "quiet": ("RUNWAY_SKILLS_QUIET", None, False),
    "verbose": ("RUNWAY_SKILLS_VERBOSE", None, False),
}


def complete(args: Any) -> None:
    """Fills the global options that the command line left out from the environment.

    Raises ConfigError for a variable that cannot be read, UsageError for options that contradict each other.
    """
    args.given = _given(args)
    if getattr(args, "url_format", None) and not (getattr(args, "gateway", None) or _setting("RUNWAY_SKILLS_GATEWAY")):
        args.given = ["--gateway", "lowcodeapi", *args.given]
        raise UsageError("--url-format is for a gateway: add --gateway lowcodeapi")
    for name, (variable, read, default) in _OPTIONS.items():
        if not hasattr(args, name):
            setattr(args, name, _from_environment(variable, read, default))
    if not hasattr(args, "output"):
        args.output = None
    if args.stage and args.gateway:
        contradiction = UsageError("--stage and --gateway contradict each other: a gateway calls Runway's production")
        given, args.given = args.given, []  # the example leaves both out
        if "--gateway" not in given or "--stage" not in given:
            contradiction.variable = "RUNWAY_SKILLS_GATEWAY" if "--stage" in given else "RUNWAY_SKILLS_STAGE"
        raise contradiction


def target_options(given: list[str]) -> list[str]:
    """Of the global options of a command line, those that choose the service: every example keeps them."""
    kept = []
    for index, word in enumerate(given):
        if word == "--stage":
            kept.append(word)
        elif word in ("--gateway", "--url-format"):
            kept += given[index:index + 2]
    return kept


def other_options(given: list[str]) -> list[str]:
    """The rest: an example that goes on with something keeps these too."""
    target = target_options(given)
    return given[len(target):]


def target(args: Options, *, with_secret: bool = True) -> Target:
    """Where this run's requests go. Raises ConfigError for a base URL or secret that cannot be used.

    What needs no secret looks at none: then it is ***.
    """
    if args.gateway:
        names: tuple[str, ...] = (GATEWAY_TOKEN,)
        base_url = base("LOWCODEAPI_BASE_URL", GATEWAY)
    else:
        names = (STAGE_SECRET, SECRET) if args.stage else (SECRET, SDK_SECRET)
        base_url = base("RUNWAY_SKILLS_BASE_URL", STAGE if args.stage else PRODUCTION)
    secret = next(filter(None, map(_secret, names)), None) if with_secret else "***"
    return Target(
        base_url=base_url, secret=secret, secret_names=names,
        source="environment (stage)" if args.stage else "environment",
        dialect=args.gateway or "runway", url_format=args.url_format,
        client_id=args.client_id or random_uuid(), timeout=args.timeout, retries=args.retries)


def secrets() -> list[str]:
    """Every secret that the environment holds, usable or not, and the parts of one that was pasted with white space."""
    values = [os.environ.get(name, "") for name in (SECRET, SDK_SECRET, STAGE_SECRET, GATEWAY_TOKEN)]
    return [word for value in values for word in {value.strip(), *value.split()} if word]


def base(variable: str, default: str) -> str:
    """The base URL that a variable names, else the default; checked, and without a slash at its end."""
    text = _setting(variable)
    if not text:
        return default
    from urllib.parse import urlsplit  # only a base URL from outside has to be taken apart

    try:
        parts = urlsplit(text)
        usable = parts.port != 0 and _is_plain(text)
    except ValueError:
        usable = False
    if not usable or parts.scheme not in ("https", "http") or not parts.hostname:
        raise ConfigError(f"{variable} is no URL such as {default}", variable)
    if parts.username is not None or parts.password is not None or "?" in text or "#" in text:
        raise ConfigError(f"{variable} must have no user name, query or fragment: it looks like {default}", variable)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigError(f"{variable} must be https; plain http is for a loopback address", variable)
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine: localhost, 127.0.0.0/8 or ::1."""
    numbers = host.split(".")
    return host.lower() in ("localhost", "::1") or (
        len(numbers) == 4 and numbers[0] == "127"
        and all(n.isascii() and n.isdigit() and len(n) <= 3 and int(n) < 256 for n in numbers))


def random_uuid() -> str:
    """A random UUID, version 4 (RFC 9562). The module uuid would cost 6 ms to import."""
    bits = bytearray(os.urandom(16))
    bits[6] = bits[6] & 0x0F | 0x40
    bits[8] = bits[8] & 0x3F | 0x80
    text = bits.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def reference_url() -> str | None:
    """RUNWAY_SKILLS_OPENAPI_URL, checked, or None."""
    return base("RUNWAY_SKILLS_OPENAPI_URL", REFERENCE) if _setting("RUNWAY_SKILLS_OPENAPI_URL") else None


def proxy_variable() -> str:
    """The variable that names the proxy for https: the spelling in small letters comes first, as everywhere."""
    return "https_proxy" if _setting("https_proxy") else "HTTPS_PROXY"


def is_dumb_terminal() -> bool:
    """Whether the terminal cannot move its cursor."""
    return os.environ.get("TERM") == "dumb"


def home() -> str | None:
    """The user's folder, None where there is none."""
    found = os.path.expanduser("~") if os.name == "nt" or _setting("HOME") else ""
    return found if os.path.isabs(found) and found != "/nonexistent" else None


def cache_folder() -> str | None:
    """This program's folder for what can be fetched again; None where the user has none.

    XDG_CACHE_HOME everywhere if it is set; else LOCALAPPDATA, ~/Library/Caches or ~/.cache by platform.
    """
    import sys

    parent = _setting("XDG_CACHE_HOME")
    if not parent or not os.path.isabs(parent):
        user = home()
        if os.name == "nt":
            parent = _setting("LOCALAPPDATA")
        elif user:
            parent = os.path.join(user, *(("Library", "Caches") if sys.platform == "darwin" else (".cache",)))
        else:
            parent = None
    return os.path.join(parent, "runway-cli") if parent else None


def _given(args: Any) -> list[str]:
    words = []
    for name in (*_OPTIONS, "output"):
        value = getattr(args, name, None)
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif value is not None:
            words += [option, shown_number(value) if isinstance(value, float) else str(value)]
    return words


def shown_number(value: float) -> str:
    """60.0 as 60, 0.5 as 0.5."""
    return str(int(value)) if value == int(value) else str(value)


def _from_environment(variable: str, read: Callable[[str], Any] | None, default: Any) -> Any:
    text = _setting(variable)
    if text is None:
        return default
    off = text.lower() in ("0", "false", "no", "off")
    if read is None:
        return not off
    if off and default is None:
        return default
    try:
        return read("0" if off else text)
    except ValueError as error:
        raise ConfigError(f"{variable}: {error}", variable) from None


def _setting(variable: str) -> str | None:
    return os.environ.get(variable, "").strip() or None


def _secret(variable: str) -> str | None:
    """A secret without the white space around it. Raises ConfigError, never showing it, if no header can hold it."""
    secret = _setting(variable)
    if secret and not _is_plain(secret):
        raise ConfigError(f"{variable} cannot be sent in a header: it has a line break, a space or a character that "
                          "is not ASCII. Copy the key again", example=("auth", "login"))
    return secret


def _is_plain(text: str) -> bool:
    """Only visible ASCII: what may stand in a header or a URL as it is."""
    return text.isascii() and text.isprintable() and " " not in text


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
