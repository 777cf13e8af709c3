"""JSON in and out, unchanged: numbers keep their spelling, NaN and Infinity are refused.

`json` alone rounds 1e400 to Infinity, prints 1.10 as 1.1 and stops at integers of 4,300 digits. Here a number that
Python would not print as it came becomes a `Number`, which `dumps` writes back letter by letter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = Any  # a value as `loads` returns it
else:
    Json = object

# C1 controls, DEL, tag characters and direction marks: they can control a terminal, or are invisible.
_STEERING = "[\x7f-\x9f\u061c\u180e\u200e\u200f\u2028-\u202e\u2061-\u206f\ufff9-\ufffb\U000e0000-\U000e007f]"


class Number:
    """A JSON number that int or float would spell differently, or not hold at all."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __float__(self) -> float:
        return float(self.text)

    def __repr__(self) -> str:
        return self.text


def loads(data: bytes | str, pairs: Callable[[list[tuple[str, Json]]], Json] | None = None) -> Json:
    """Returns the value of a JSON text, UTF-8 with or without a byte order mark; `pairs` makes an object of members.

    Raises ValueError with words for a user: empty, not UTF-8, not JSON, nested too deeply.
    """
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise ValueError(f"not UTF-8 (byte {error.start + 1} is 0x{data[error.start]:02x})") from None
    if not data or data.isspace():
        raise ValueError("empty")
    import json  # help and --version do without: 2 ms

    try:
        exact: Json = {"parse_int": _integer, "parse_float": _decimal, "parse_constant": _refuse}
        return json.loads(data, **exact, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _integer(text: str) -> int | Number:
    return int(text) if len(text) < 19 and text != "-0" else Number(text)


def _decimal(text: str) -> float | Number:
    value = float(text)
    return value if repr(value) == text else Number(text)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def dumps(value: Json, indent: int | None = None, *, is_sorted: bool = False) -> str:
    """Returns one line without spaces, or indented lines, with the keys in their order unless `is_sorted`.

    Characters that can control a terminal are escaped. Halves of surrogate pairs stay: UTF-8 cannot hold them, so
    `encoded` writes them as escapes too.
    """
    import json

    mark = os.urandom(8).hex()
    separators = (",", ":") if indent is None else (",", ": ")
    options: Json = {"ensure_ascii": False, "allow_nan": False, "sort_keys": is_sorted, "separators": separators}
    text = json.dumps(value, indent=indent, default=lambda number: mark + number.text, **options)
    if mark in text:
        text = re.sub(f'"{mark}([^"]*)"', r"\1", text)
    return text if text.isprintable() else re.sub(_STEERING, lambda found: json.dumps(found[0])[1:-1], text)


def encoded(value: Json, *, is_sorted: bool = False) -> bytes:
    """Returns one line without spaces, as UTF-8."""
    return dumps(value, is_sorted=is_sorted).encode("utf-8", "backslashreplace")
