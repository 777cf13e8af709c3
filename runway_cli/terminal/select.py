"""`--select PATH[,PATH…]`: parts of a result.

A path is dotted: `cost.credits`. A number is the index of a list, `*` each element of a list or each value of an
object. An object's own key counts first; where it leads nowhere, keys that contain dots are tried (`models.veo3.1`).
Keys that contain a comma cannot be named.
"""

from __future__ import annotations

from .. import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

EACH = "*"
MAX_PARTS = 100  # of one path; each part is one call deep
MAX_KEYS = 30  # that a note names


class Selection:
    """The paths of one `--select`, as they were written."""

    __slots__ = ("paths",)

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def lines(self, value: Any) -> list[str]:
        """The lines that stand for `value`.

        One path: one line per match, strings raw, everything else compact JSON; `null` where nothing matches. A string
        that does not fit on one line (a line break or another control character) is printed as JSON too, so that a
        match is one line always. Several paths: one compact JSON object.
        """
        if len(self.paths) > 1:
            return [jsontext.dumps(self.row(value))]
        return [_line(match) for match in matches(value, self.paths[0].split("."))] or ["null"]

    def row(self, value: Any) -> dict[str, Any]:
        """What each path matches in `value`, by path: null for nothing; a list where the path has a `*`."""
        row: dict[str, Any] = {}
        for path in self.paths:
            parts = path.split(".")
            found = matches(value, parts)
            row[path] = (found if EACH in parts else found[0]) if found else None
        return row

    def unmatched(self, value: Any) -> list[str]:
        """The paths that match nothing in `value`."""
        return [path for path in self.paths if not matches(value, path.split("."))]


def parse(text: str) -> Selection:
    """The selection that an option's text describes. Raises ValueError with words for a user."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # an ASCII locale does not decode é
    paths = [path.strip() for path in text.split(",")]
    for path in paths:
        _check(path, text)
    return Selection(paths)


def matches(value: Any, parts: Sequence[str]) -> list[Any]:
    """Everything in `value` that a path leads to, in order."""
    if not parts:
        return [value]
    part, rest = parts[0], parts[1:]
    if part == EACH:
        return [match for item in _elements(value) for match in matches(item, rest)]
    if isinstance(value, list):
        index = _index(part)
        return matches(value[index], rest) if index is not None and index < len(value) else []
    if isinstance(value, dict):
        for end in range(1, len(parts) + 1):
            key = ".".join(parts[:end])
            found = matches(value[key], parts[end:]) if key in value else []
            if found:
                return found
    return []


def explain(value: Any, path: str) -> str:
    """Why a path matches nothing in `value`: what is there at the last place that it reaches."""
    place: list[str] = []
    for part in path.split("."):
        following = matches(value, [part])
        if not following:
            break
        value = following[0]
        place.append(part)
    return f"--select {path} matches nothing: {_description(value, '.'.join(place))}"


def _check(path: str, whole: str) -> None:
    parts = path.split(".")
    if not path:
        words = "must name a path, such as id or output.0"
        raise ValueError(f"{words}; {whole!r} has an empty one" if whole.strip(" ,") or "," in whole else words)
    if any("[" in part and part.endswith("]") for part in parts):
        raise ValueError(f"{path!r} has brackets: write output.0 for the first element, output.* for each")
    if not all(parts):
        raise ValueError(f"{path!r} has an empty part: write id or data.*.id, without a dot at either end")
    if len(parts) > MAX_PARTS:
        raise ValueError(f"a path has {MAX_PARTS} parts at most, not {len(parts)}")


def _line(value: Any) -> str:
    text = jsontext.dumps(value)
    if not isinstance(value, str):
        return text
    is_one_line = text[1:-1] == value.replace("\\", "\\\\").replace('"', '\\"')  # nothing else had to be escaped
    return value if is_one_line else text


def _elements(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _index(part: str) -> int | None:
    return int(part) if part.isascii() and part.isdigit() and len(part) < 10 else None


def _description(value: Any, place: str) -> str:
    if isinstance(value, dict) and value:
        keys = [*list(value)[:MAX_KEYS], *(["…"] if len(value) > MAX_KEYS else [])]
        return f"the keys{' of ' + place if place else ''} are {', '.join(keys)}"
    place = place or "the result"
    if isinstance(value, dict):
        return f"{place} has no keys"
    if isinstance(value, list):
        count = f"{len(value)} element{'' if len(value) == 1 else 's'}"
        return f"{place} is a list of {count}: use a number from 0, or *" if value else f"{place} is an empty list"
    kind = {str: "a string", bool: "true or false", type(None): "null"}.get(type(value), "a number")
    return f"{place} is {kind}"
