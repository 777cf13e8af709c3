"""An error object in plain text, for people at a terminal."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


def plain_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """`error: message`, a line for each issue and for each of several failures, and `  try: example`."""
    accepted = " (the request may have been accepted)" if document.get("maybeAccepted") else ""
    yield f"error: {document['error']}{accepted}"
    for issue in document.get("issues") or ():
        yield "  " + ": ".join(filter(None, (str(issue.get("field", "")), "; ".join(issue.get("messages") or ()))))
    for failure in document.get("failed") or ():
        yield f"  {failure.get('id')}: {failure.get('error')}"
    if document.get("example"):
        yield f"  try: {document['example']}"
