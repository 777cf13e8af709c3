"""Realtime sessions."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from tests.fake.pace import Pace, Record
from tests.fake.refusals import existing


class Sessions:
    """Realtime sessions by id."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.sessions: dict[str, Record] = {}

    def add_session(self, *, statuses: Sequence[str] | None = None, **fields: Any) -> str:
        """Make a realtime session. Its session key is shown once, with the first READY. Returns its id."""
        course = self._pace.course(statuses or self._pace.session_statuses())
        session = {"id": str(uuid.uuid4()), "createdAt": self._pace.stamp(), **fields, **course}
        self.sessions[session["id"]] = session
        return str(session["id"])

    def get_session(self, session_id: str) -> Record:
        """A realtime session as a poll finds it."""
        session = existing(self.sessions, session_id, "Session")
        status = "RUNNING" if session.get("joined") else self._pace.status(session, poll=True)
        shown = {"id": session_id, "createdAt": session["createdAt"], "status": status}
        if status == "READY":
            session["joined"] = True
            shown.update(expiresAt=self._pace.stamp(minutes=5), sessionKey=f"session_{uuid.uuid4().hex}")
        if status == "COMPLETED":
            shown["duration"] = 12
        if status == "FAILED":
            shown.update(failure="The session could not start.", failureCode="INTERNAL")
        return shown

    def delete_session(self, session_id: str) -> None:
        """Cancel a session."""
        session = existing(self.sessions, session_id, "Session")
        session.update(statuses=("CANCELLED",), joined=False)
