"""Fields of an endpoint as rows of a table: one row for each name."""

from __future__ import annotations

from .. import jsontext
from .forms import joined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .fields import Field


def field_rows(fields: Iterable[Field]) -> list[dict[str, str]]:
    """Rows with name, type, required, values and description; fields of one name, which differ in `when`, share one."""
    named: dict[tuple[str, str], list[Field]] = {}
    for field in fields:
        named.setdefault((field["name"], field.get("in", "")), []).append(field)
    return [_row(same) for same in named.values()]


def _row(same: list[Field]) -> dict[str, str]:
    place = f" ({same[0]['in']})" if "in" in same[0] else ""
    always = all("required" in field for field in same)
    sometimes = any("required" in field for field in same)
    return {
        "name": same[0]["name"],
        "type": joined(field["type"] for field in same) + place,
        "required": "yes" if always else "for some" if sometimes else "",
        "values": " / ".join(dict.fromkeys(filter(None, map(_choices, same)))),
        "description": " / ".join(dict.fromkeys(filter(None, (field.get("description") for field in same)))),
    }


def _choices(field: Field) -> str:
    """Values, limits, default and condition as words."""
    limits = [f"{name} {_limit(value)}" for name, value in field.get("limits", {}).items()]
    values = [" | ".join(map(_word, field["values"]))] if field.get("values") else []
    default = [f"default {_word(field['default'])}"] if "default" in field else []
    when = [f"when {field['when']}"] if "when" in field else []
    varies = [f"by model: {', '.join(field['varies'])}"] if "varies" in field else []
    return "; ".join((*values, *limits, *default, *when, *varies))


def _limit(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{item} ({kind})" for kind, item in value.items())
    return _word(value)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else jsontext.dumps(value)
