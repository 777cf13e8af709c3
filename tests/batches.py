"""What the tests of `batch` share: a file of rows, its ledger, and calls that resume."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from tests.fake import Fault
from tests.program import Result
from tests.served import ServedTest

PATH = "/v1/text_to_image"
SHARED = ("-f", "model=gen4_image", "-f", "ratio=1280:720")


class BatchTest(ServedTest):
    """A batch in the test's folder: `prompts` is its file, `ledger` its ledger, `sky` the folder of its outputs."""

    def setUp(self) -> None:
        super().setUp()
        self.prompts = self.folder / "prompts.jsonl"
        self.ledger = self.folder / "prompts.jsonl.batch.db"
        self.sky = self.folder / "sky"
        self.history = self.folder / "history.db"
        self.env = {"RUNWAY_SKILLS_HISTORY": str(self.history)}

    def write(self, *rows: str | dict[str, Any]) -> None:
        """Write ROWS; a text stands for a row with that prompt."""
        found = [{"promptText": row} if isinstance(row, str) else row for row in rows]
        self.prompts.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")

    def batch(self, *words: str | Path, rows: str | Path | None = None, **options: Any) -> Result:
        """`batch` with these words after the shared fields, without --download unless they have it."""
        env = {**self.env, **options.pop("env", {})}
        source = self.prompts if rows is None else rows
        return self.call("batch", PATH, source, *SHARED, *words, env=env, **options)

    def download(self, *words: str | Path, **options: Any) -> Result:
        """The same with --download."""
        return self.batch("--download", f"{self.sky}/", *words, **options)

    def next_task(self, *, path: str = PATH, after: int = 0, answer: dict[str, Any] | None = None, **task: Any) -> str:
        """Let the next POST, or one after some others, start a task like this. `answer` is sent beside its id."""
        identity = self.fake.add_task(**task)
        self.fake.fault(Fault("status", 200, body={"id": identity, **(answer or {})}), path=path, after=after)
        return identity

    def assert_refused(self, result: Result, words: str = "", *, sent: int = 0) -> None:
        """A usage error with these words; `sent` POSTs were sent before."""
        self.assert_error(result, 2, kind="usage")
        self.assertIn(words, result.error["error"])
        self.assertEqual(len(self.posts()), sent)

    def prompts_sent(self) -> list[str]:
        """The prompts of the POSTs that the API saw, in their order."""
        return [seen.json()["promptText"] for seen in self.fake.sent("POST", PATH, server="api")]

    def attempts(self, path: Path | None = None) -> list[dict[str, Any]]:
        """The attempts of the ledger, or of another one, also while a batch has it locked."""
        db = sqlite3.connect(f"file:{path or self.ledger}?immutable=1", uri=True)
        db.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in db.execute("SELECT * FROM attempts ORDER BY n")]
        finally:
            db.close()

    def forget_answers(self) -> None:
        """Leave only the intents in the ledger, as a kill would have."""
        self._change("status = 'UNCERTAIN', id = NULL, credits = NULL, saved = NULL")

    def forget_ends(self) -> None:
        """Leave every row started in the ledger, as a kill would have."""
        self._change("status = 'STARTED', saved = NULL")

    def _change(self, words: str) -> None:
        db = sqlite3.connect(self.ledger)
        db.execute(f"UPDATE attempts SET {words}")
        db.commit()
        db.close()

    def saved(self) -> list[str]:
        """The names in the folder of outputs, hidden ones too."""
        return sorted(path.name for path in self.sky.iterdir()) if self.sky.is_dir() else []


def by_name(result: Result) -> dict[str, dict[str, Any]]:
    """The rows on stdout by their names."""
    return {row["name"]: row for row in result.lines}


def statuses(result: Result) -> dict[str, str]:
    """The statuses on stdout by the rows' names."""
    return {row["name"]: row["status"] for row in result.lines}
