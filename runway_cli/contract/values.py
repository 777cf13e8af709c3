"""JSON values as a schema sees them: exact numbers, equality, and a short form for messages."""

from __future__ import annotations

from .. import jsontext
from ..jsontext import Number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from decimal import Decimal
    from typing import Any, Union

    Exact = Union[int, Decimal]

MAX_SHOWN = 60  # characters of a value
_KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    Number: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def kind_of(value: Any) -> str:
    """The JSON type of a value: null, boolean, number, string, array or object; "" for anything else."""
    return _KINDS.get(type(value), "")


def exact(value: Any) -> Exact | None:
    """A number as an int or a Decimal, nothing rounded; None for what is not a number."""
    if type(value) is int:
        return value
    if not isinstance(value, (float, Number)):
        return None
    from decimal import Decimal, InvalidOperation  # only for numbers that are not plain integers

    try:
        return Decimal(repr(value))
    except InvalidOperation:  # an exponent of 19 digits
        sign = "-" if repr(value).startswith("-") else ""
        return Decimal(f"{sign}1e-999999" if "e-" in repr(value).lower() else f"{sign}Infinity")


def is_integer(number: Exact) -> bool:
    """Whether a number has no fraction: 1.0 and 1e3 have none (JSON Schema 2020-12, validation 6.1.1)."""
    return isinstance(number, int) or bool(number == number.to_integral_value())


def is_multiple(number: Exact, divisor: Exact) -> bool:
    """Whether a number is a whole multiple of another, in decimal digits: 0.3 is one of 0.1."""
    value, exponent = _split(number)
    unit, unit_exponent = _split(divisor)
    if unit == 0:
        return True
    shift = exponent - unit_exponent
    if shift >= 0:
        return value * pow(10, shift, abs(unit)) % unit == 0
    if value == 0 or -shift > value.bit_length():  # fewer digits than the divisor has zeros
        return value == 0
    zeros: int = 10**-shift
    return value % (unit * zeros) == 0


def key_of(value: Any) -> Hashable:
    """What two values have in common if and only if JSON Schema calls them equal: 1 and 1.0, but not 1 and true."""
    number = exact(value)
    if number is not None:
        return ("number", number)
    if isinstance(value, list):
        return ("array", tuple(map(key_of, value)))
    if isinstance(value, dict):
        return ("object", frozenset((name, key_of(item)) for name, item in value.items()))
    return (kind_of(value), value)


def shown(value: Any) -> str:
    """A value in a message: at most MAX_SHOWN characters, without what is inside of arrays and objects."""
    if isinstance(value, str):
        return _shown_text(value)
    if isinstance(value, list):
        return f"an array of {len(value)}"
    return "an object" if isinstance(value, dict) else _cut(jsontext.dumps(value))


def plain(value: Any) -> str:
    """An allowed value in a message: strings without quotes where they can be read so."""
    if isinstance(value, str) and value and value.isprintable() and value == value.strip() and ", " not in value:
        return _cut(value)
    return shown(value)


def _shown_text(text: str) -> str:
    if text.startswith("data:") and len(text) > MAX_SHOWN:
        head, comma, content = text.partition(",")
        size = len(content) * 3 // 4 if head.endswith(";base64") else len(content)
        if comma and len(head) <= MAX_SHOWN:
            return jsontext.dumps(f"{head},… ({readable_size(size)})")
    return jsontext.dumps(_cut(text))


def readable_size(size: float) -> str:
    """Bytes as a person reads them: 999 B, 1.2 MB."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95 or unit == "GB":
            break
    return f"{size:.1f} {unit}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _split(number: Exact) -> tuple[int, int]:
    """A number's digits and its power of ten."""
    if isinstance(number, int):
        return number, 0
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):  # infinite
        return 0, 0
    from decimal import Decimal

    return int(Decimal((sign, digits, 0))), exponent
