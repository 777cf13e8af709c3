"""Values that a schema takes: what the stand-in answers where a test has said nothing else."""

from __future__ import annotations

import re
import uuid
from typing import Any

# Tried in order for a string: the first that has the pattern, the format and the length is taken.
TEXTS = (
    "text.png",
    "text",
    "some longer text that says enough",
    "https://example.com/a.png",
    "data:image/png;base64,AAAA",
    "data:video/mp4;base64,AAAA",
    "data:audio/wav;base64,AAAA",
    "2026-01-02T03:04:05.678Z",
    "2026-01-02",
    "0190f5c1-7f3a-7c3e-8a52-0123456789ab",
)
FORMATS = {
    "uuid": r"[0-9a-f-]{36}",
    "date-time": r"\d{4}-\d\d-\d\dT.*",
    "date": r"\d{4}-\d\d-\d\d",
    "uri": r"https?://.*",
}


def instance(schema: dict[str, Any]) -> Any:
    """The smallest value that the schema takes; of alternatives the first, and null where it is one.

    Raises ValueError for a string that none of the known texts fits.
    """
    for union in ("oneOf", "anyOf"):
        if union in schema:
            null = any(branch.get("type") == "null" for branch in schema[union])
            return None if null else instance(schema[union][0])
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: instance(schema["properties"][name]) for name in schema.get("required", [])}
    if kind == "array":
        return [instance(schema["items"])] * schema.get("minItems", 0)
    if kind in ("integer", "number"):
        return schema["exclusiveMinimum"] + 1 if "exclusiveMinimum" in schema else max(schema.get("minimum", 0), 0)
    if kind == "string":
        return text(schema)
    return {"boolean": False, "null": None}.get(str(kind), {})


def text(schema: dict[str, Any]) -> str:
    """A string that the schema takes."""
    least, most = schema.get("minLength", 0), schema.get("maxLength", 1 << 30)
    for candidate in (*TEXTS, str(uuid.uuid4())):
        fitting = least <= len(candidate) <= most and re.search(schema.get("pattern", ""), candidate)
        if fitting and re.fullmatch(FORMATS.get(schema.get("format", ""), ".*"), candidate):
            return candidate
    raise ValueError(f"no text for {schema}")
