"""The history of version 2: JSON Lines with the events intent, started, refused and ended."""

from __future__ import annotations

import os

from .. import jsontext
from .attempts import GONE, SENDING, STARTED, number_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def imported(path: str) -> list[dict[str, Any]]:
    """Returns the columns of its attempts for a ledger, in their order."""
    from datetime import datetime, timezone

    rows: dict[str, dict[str, Any]] = {}
    ends: list[dict[str, Any]] = []
    for line in [*_lines(path + ".1"), *_lines(path)]:
        try:
            record = jsontext.loads(line)
            texts = {name: value for name, value in record.items() if isinstance(value, str)}
            event, owner = texts["event"], texts["account"]
            time = datetime.strptime(texts["at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
            key = texts["id" if event == "ended" else "key"]
        except (ValueError, AttributeError, KeyError):  # a line that was cut off
            continue
        moment = time.timestamp()
        new = dict.fromkeys(("path", "model", "prompt", "id", "credits", "ended", "saved"))
        new.update(key=key, account=owner, client=texts.get("clientId"), at=moment, status=SENDING)
        if event == "ended":  # another process may have written it before the start
            ends.append({**record, "status": texts.get("status"), "ended": moment})
        elif event == "refused":
            rows.pop(key, None)
        elif event == "intent":
            rows.setdefault(key, new).update((column, texts.get(column)) for column in ("path", "model", "prompt"))
        elif event == "started":
            credits = number_of(record.get("credits"))
            rows.setdefault(key, new).update(status=STARTED, id=texts.get("id"), credits=credits)
    by_id = {(row["account"], row["id"]): row for row in rows.values()}
    for end in ends:
        row = by_id.get((end["account"], end["id"]), {})
        files = end.get("saved")
        folders: dict[str, list[str]] = {}
        for file in files if isinstance(files, list) else ():
            folders.setdefault(os.path.dirname(str(file)), []).append(str(file))
        credits = number_of(end.get("credits"))
        row.update(status=end["status"] or GONE, ended=end["ended"])
        row["credits"] = row.get("credits") if credits is None else credits
        row["saved"] = jsontext.encoded(folders).decode() if folders else row.get("saved")
    return sorted(rows.values(), key=lambda row: float(row["at"]))


def _lines(path: str) -> list[bytes]:
    if not os.path.isfile(path):
        return []  # none, or a pipe that might never answer
    try:
        with open(path, "rb") as file:
            return file.readlines()
    except OSError:
        return []
