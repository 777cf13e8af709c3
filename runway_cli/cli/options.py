"""The global options: each declared once. Parser, environment, precedence, help and examples derive from this table."""

from __future__ import annotations

from ..api.registry import GATEWAYS
from ..commands._command import Option
from ..errors import ConfigError, UsageError
from ..settings import values
from ..settings.environment import setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

FORMATS = ("json", "jsonl", "table", "markdown")
URL_FORMATS = ("auto", "new", "old")


def _select(text: str) -> Any:
    from ..terminal.select import parse

    return parse(text)


GLOBAL_OPTIONS = (
    Option("--stage", help="use the staging environment", variable="RUNWAY_SKILLS_STAGE"),
    Option(
        "--gateway",
        metavar="NAME",
        choices=GATEWAYS,
        help=f"call through a gateway: {', '.join(GATEWAYS)}",
        variable="RUNWAY_SKILLS_GATEWAY",
    ),
    Option(
        "--url-format",
        metavar="FORMAT",
        choices=URL_FORMATS,
        default="auto",
        help="the gateway's URLs: auto, new or old (default: auto)",
        variable="LOWCODEAPI_URL_FORMAT",
    ),
    Option(
        "--client-id",
        metavar="UUID",
        read=values.client_id,
        help="groups the requests of a session (default: a new one)",
        variable="RUNWAY_SKILLS_CLIENT_ID",
    ),
    Option(
        "--timeout",
        metavar="SECONDS",
        read=values.seconds,
        default=60.0,
        help="request timeout; for transfers, the idle timeout (default: 60)",
        variable="RUNWAY_SKILLS_TIMEOUT",
    ),
    Option(
        "--retries",
        metavar="N",
        read=values.count,
        default=2,
        help="maximum number of retries (default: 2)",
        variable="RUNWAY_SKILLS_RETRIES",
    ),
    Option("--output", metavar="FORMAT", choices=FORMATS, help="json, jsonl, table or markdown (default: json)"),
    Option(
        "--select", metavar="PATH[,PATH]", read=_select, help="print parts of the result, or of each row: id, output.0"
    ),
    Option(
        "-q",
        "--quiet",
        help="no progress or notes; the id of a started task is still shown",
        variable="RUNWAY_SKILLS_QUIET",
    ),
    Option("--verbose", help="show requests and answers on stderr", variable="RUNWAY_SKILLS_VERBOSE"),
)
# Every command has these too; they end the call before it begins.
HELP_FLAGS = ("-h", "--help")
VERSION_FLAGS = ("-v", "-V", "--version")
SERVICE_OPTIONS = ("stage", "gateway", "url_format")  # which choose the service: every example keeps them


def resolved(given: Mapping[str, Any], options: Sequence[Option]) -> dict[str, Any]:
    """The value of each option: of the command line, else of its variable, else its default.

    Raises ConfigError for a variable that cannot be read, UsageError for options that contradict each other.
    """
    found = {option.dest: _value(option, given) for option in options}
    gateway, stage = found.get("gateway"), found.get("stage")
    if "url_format" in given and not gateway:
        raise UsageError("--url-format is for a gateway: add --gateway lowcodeapi", add=("--gateway", GATEWAYS[0]))
    if stage and gateway:
        words = "--stage and --gateway contradict each other: a gateway calls Runway's production environment"
        drop = tuple(f"--{name}" for name in ("stage", "gateway") if name in given)
        variable = (
            None if len(drop) == 2 else "RUNWAY_SKILLS_STAGE" if drop == ("--gateway",) else "RUNWAY_SKILLS_GATEWAY"
        )
        raise UsageError(words, drop=("--gateway", "--url-format") if not variable else (), variable=variable)
    return found


def _value(option: Option, given: Mapping[str, Any]) -> Any:
    if option.dest in given:
        return given[option.dest]
    text = setting(option.variable) if option.variable else None
    if text is None:
        return () if option.is_list else option.default
    try:
        return _from_variable(option, text)
    except ValueError as error:
        raise ConfigError(f"{option.variable} {error}", variable=option.variable) from None


def _from_variable(option: Option, text: str) -> Any:
    """The value of a variable's text. Raises ValueError."""
    if option.is_switch:
        return values.switch(text)
    is_off = text.lower() in values.OFF
    if is_off and option.default is None:
        return None
    read = option.read or values.one_of(*option.choices)
    try:
        return read("0" if is_off else text)
    except ValueError:
        if is_off and text != "0":
            return option.default  # off where 0 is not a value: as if it were unset
        raise
