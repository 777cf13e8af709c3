"""The text of an option or a variable → its value. Every function raises ValueError with words for a user."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
