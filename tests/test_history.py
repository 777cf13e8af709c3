"""`history` and `wait --unfinished`: what was started is found again, by who started it and by nobody else."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import time
import unittest
import uuid
from typing import Any

from runway_cli.settings import SESSION_VARIABLES
from tests.fake import SECRET, Fault
from tests.program import Result
from tests.served import ServedTest, pasted

IMAGE = ("request", "POST", "/v1/text_to_image", "-f", "model=gen4_image", "-f", "ratio=1280:720")
FOX = (*IMAGE, "-f", "promptText=a red fox")
SESSION = "11111111-2222-4333-8444-555555555555"


class HistoryTest(ServedTest):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / "state" / "history.db"
        self.env = {"RUNWAY_SKILLS_HISTORY": str(self.path)}

    def program(self, *words: str, **env: str) -> Result:
        return self.call(*words, env={**self.env, **env})

    def rows(self, *words: str, **env: str) -> list[dict[str, Any]]:
        result = self.program("history", *words, **env)
        self.assertEqual(result.exit, 0, result)
        found = result.json["data"]
        assert isinstance(found, list)
        return found

    def only_row(self, **env: str) -> dict[str, Any]:
        rows = self.rows(**env)
        self.assertEqual(len(rows), 1, rows)
        return rows[0]

    def statuses(self) -> list[str]:
        """What the file on the disk says, read as another process would."""
        ledger = sqlite3.connect(self.path)
        try:
            return [status for (status,) in ledger.execute("SELECT status FROM attempts ORDER BY n")]
        finally:
            ledger.close()


class RecordedTest(HistoryTest):
    def test_a_generation_is_listed_from_its_start_to_its_end(self) -> None:
        name = self.program(*FOX).json["id"]
        row = self.only_row()
        started = {
            "id": name,
            "startedAt": row["startedAt"],
            "path": "/v1/text_to_image",
            "model": "gen4_image",
            "prompt": "a red fox",
            "status": "STARTED",
            "credits": 5,
            "saved": [],
        }
        self.assertEqual(list(row.items()), list(started.items()))
        target = self.folder / "fox.png"
        self.program("wait", name, "--download", str(target))
        self.assertEqual(self.only_row(), {**started, "status": "SUCCEEDED", "saved": [str(target)]})
        self.assertEqual(self.program("history").json["credits"], 5)

    def test_an_end_that_a_later_call_sees_is_listed(self) -> None:
        for command, is_deleted, status in (
            ("wait", False, "SUCCEEDED"),
            ("cancel", False, "CANCELLED"),
            ("wait", True, "GONE"),
        ):
            with self.subTest(status):
                name = self.program(*FOX).json["id"]
                self.fake.tasks[name]["deleted"] = is_deleted
                self.assertEqual(self.program(command, name).exit, int(is_deleted))
                self.assertEqual(self.rows()[0]["status"], status)

    def test_a_lost_answer_is_listed_as_uncertain(self) -> None:
        self.fake.fault(Fault("forward_then_reset"), method="POST")
        self.assert_error(self.program(*FOX), 69, maybeAccepted=True)
        row = self.only_row()
        self.assertEqual((row["status"], row["id"]), ("UNCERTAIN", None))

    def test_what_was_refused_or_never_sent_or_is_no_generation_is_not_listed(self) -> None:
        self.assert_error(self.program(*IMAGE), 1, status=400)
        self.assert_error(self.program(*FOX, RUNWAY_SKILLS_BASE_URL="http://127.0.0.1:9"), 69)
        self.assertEqual(self.rows(RUNWAY_SKILLS_BASE_URL="http://127.0.0.1:9"), [])
        picture = self.file("cat.png", b"\x89PNG\r\n\x1a\n" + bytes(600))
        self.program("upload", str(picture))
        self.program("request", "POST", "/v1/documents", "-f", "name=a", "-f", "content=b")
        self.program(*FOX, "--dry-run")
        self.assertEqual(self.rows(), [])

    def test_an_avatar_is_listed_by_the_path_that_wait_takes(self) -> None:
        body = {
            "name": "Ada",
            "personality": "You are brief.",
            "voice": {"type": "runway-live-preset", "presetId": "clara"},
            "referenceImage": "https://example.com/ada.png",
        }
        answer = self.program("request", "POST", "/v1/avatars", "--body", json.dumps(body))
        self.assertEqual(answer.exit, 0, answer)
        name = f"/v1/avatars/{answer.json['id']}"
        self.assertEqual(self.only_row()["id"], name)
        waited = self.program("wait", "--unfinished")
        self.assertEqual(waited.exit, 0, waited)
        self.assertIn(name, self.polls())


class UnfinishedTest(HistoryTest):
    def test_everything_that_runs_is_waited_for_and_saved(self) -> None:
        names = [self.program(*FOX).json["id"] for _ in range(2)]
        result = self.program("wait", "--unfinished", "--download", f"{self.folder}/out/")
        self.assertEqual(result.exit, 0, result)
        self.assertEqual({row["id"] for row in result.lines}, set(names))
        self.assertEqual(len(list((self.folder / "out").iterdir())), 2)
        self.assertEqual(self.rows("--unfinished"), [])
        result = self.program("wait", "--unfinished")
        self.assert_success(result)
        self.assertIn("nothing to wait for", result.stderr)

    def test_what_has_no_answer_and_what_others_started_is_noted(self) -> None:
        self.fake.fault(Fault("forward_then_status"), path="/v1/text_to_image")
        self.program(*FOX)
        result = self.program("wait", "--unfinished")
        self.assertEqual(result.exit, 0, result)
        self.assertIn("1 request of unknown outcome, which may have been accepted: see `history`", result.stderr)
        self.assertEqual(self.polls(), [])
        result = self.program("history", RUNWAY_SKILLS_API_SECRET="key_" + "1" * 128)
        self.assertEqual(result.json["data"], [])
        self.assertIn("the history also has entries of other keys or base URLs", result.stderr)

    def test_ids_and_unfinished_exclude_each_other(self) -> None:
        self.assert_error(self.program("wait", "--unfinished", "ID"), 2)
        self.assert_error(self.program("wait"), 2)


class ChosenTest(HistoryTest):
    def test_the_newest_is_first_and_limit_counts_rows(self) -> None:
        first = self.program(*FOX).json["id"]
        self.clock.now += 5
        second = self.program(*FOX).json["id"]
        self.assertEqual([row["id"] for row in self.rows()], [second, first])
        self.assertEqual([row["id"] for row in self.rows("--limit", "1")], [second])

    def test_since_leaves_out_what_is_older(self) -> None:
        self.program(*FOX)
        self.clock.now += 3 * 3600
        second = self.program(*FOX).json["id"]
        self.assertEqual([row["id"] for row in self.rows("--since", "2h")], [second])
        for words in (
            ("--since", "tomorrow"),
            ("--since", "20261124"),
            ("--since", "0001-01-01"),
            ("--until", "9999-12-31"),
        ):
            self.assert_error(self.program("history", *words), 2)

    def test_days_and_times_are_local(self) -> None:
        noon = time.mktime((*time.localtime()[:3], 12, 0, 0, 0, 0, -1))
        self.clock.now += noon - time.time() - 86_400
        old = self.program(*FOX).json["id"]
        self.clock.now += 86_400
        new = self.program(*FOX).json["id"]
        yesterday = time.strftime("%Y-%m-%d", time.localtime(noon - 86_400))
        for words, expected in (
            (("--since", "today"), [new]),
            (("--until", "yesterday"), [old]),
            (("--since", "yesterday", "--until", "yesterday"), [old]),
            (("--until", yesterday), [old]),
            (("--since", f"{yesterday}T11:59", "--until", f"{yesterday}T12:01"), [old]),
            (("--since", "2020-01-01T00:00:00Z"), [new, old]),
        ):
            with self.subTest(words):
                self.assertEqual([row["id"] for row in self.rows(*words)], expected)

    def test_what_days_models_and_endpoints_cost(self) -> None:
        self.program(*FOX)
        self.program(*FOX)
        day = time.strftime("%Y-%m-%d", time.localtime(self.clock.time()))
        for by, key in (("day", day), ("model", "gen4_image"), ("endpoint", "/v1/text_to_image")):
            with self.subTest(by):
                self.assertEqual(self.rows("--by", by), [{by: key, "jobs": 2, "credits": 10}])
        table = self.program("history", "--by", "model", "--output", "table").stdout.splitlines()
        self.assertEqual(table[0].split(), ["Model", "Jobs", "Credits"])

    def test_session_shows_what_one_client_id_started(self) -> None:
        self.program(*FOX)
        mine = self.program(*FOX, "--client-id", SESSION).json["id"]
        self.assertEqual([row["id"] for row in self.rows("--session", "--client-id", SESSION)], [mine])
        self.assert_error(self.program("history", "--session"), 2)

    def test_an_agents_session_is_one_client_id_in_all_its_calls(self) -> None:
        for variable in SESSION_VARIABLES:
            with self.subTest(variable):
                session = {variable: f"{variable} 7", "CURSOR_TRACE_ID": f"{variable} 7"}
                started = {self.program(*FOX, **session).json["id"] for _ in range(2)}
                client_id = self.fake.sent("POST")[-1].headers["x-runway-client-id"]
                self.assertEqual(client_id, str(uuid.uuid5(uuid.NAMESPACE_URL, f"{variable}={variable} 7")))
                self.assertEqual({row["id"] for row in self.rows("--session", **session)}, started)
                self.assertEqual(self.rows("--session", **{variable: "another"}), [])
        given = {"CODEX_THREAD_ID": "a", "RUNWAY_SKILLS_CLIENT_ID": SESSION}
        self.assertEqual(self.program(*FOX, "--dry-run", **given).json["headers"]["X-Runway-Client-Id"], SESSION)

    def test_a_table_has_when_model_prompt_status_credits_and_file(self) -> None:
        self.program(*FOX)
        heading = self.program("history", "--output", "table").stdout.splitlines()[0].split()
        self.assertEqual(heading, ["Id", "Started", "Model", "Prompt", "Status", "Credits", "Saved"])


class PrivateTest(HistoryTest):
    @unittest.skipIf(os.name == "nt", "POSIX permissions")
    def test_only_its_owner_reads_it(self) -> None:
        self.program(*FOX)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.path.parent.stat().st_mode), 0o700)

    def test_it_holds_no_secret_no_file_and_no_more_than_the_beginning_of_a_prompt(self) -> None:
        prompt = f"{SECRET} " + "x" * 200
        self.program(*IMAGE, "-f", f"promptText={prompt}")
        content = self.path.read_bytes()
        self.assertIn(b"xxxx", content)
        self.assertNotIn(SECRET.encode(), content)
        self.assertNotIn(b"x" * 80, content)

    def test_off_writes_nothing(self) -> None:
        self.call(*FOX, env={"RUNWAY_SKILLS_HISTORY": "off", "XDG_STATE_HOME": str(self.folder)})
        self.assertEqual(self.listing(), [])

    def test_without_a_variable_it_is_in_the_state_folder(self) -> None:
        self.call(*FOX, env={"RUNWAY_SKILLS_HISTORY": "", "XDG_STATE_HOME": str(self.folder)})
        self.assertEqual(self.listing(), ["runway-cli/history.db", "runway-cli/history.db-lock"])

    def test_a_folder_that_cannot_be_written_is_one_note_and_no_failure(self) -> None:
        blocked = self.file("blocked", b"a file where a folder should be")
        env = {"RUNWAY_SKILLS_HISTORY": str(blocked / "history.db")}
        result = self.call(*FOX, "--wait", env=env)
        self.assertEqual(result.exit, 0, result)
        self.assertEqual(result.stderr.count("the history is not kept"), 1, result)

    def test_a_damaged_ledger_is_an_error_before_anything_is_sent(self) -> None:
        self.program(*FOX)
        self.path.write_bytes(self.path.read_bytes()[:-5])
        self.assert_error(self.program(*FOX), 74, kind="io")
        self.assertEqual(len(self.fake.accepted), 1)

    def test_a_short_key_is_not_masked_inside_an_id(self) -> None:
        key = "f1a2"
        self.fake.fault(Fault("status", status=200, body={"id": f"task-{key}-1"}), path="/v1/text_to_image")
        self.program(*FOX, RUNWAY_SKILLS_API_SECRET=key)
        self.assertEqual(self.only_row(RUNWAY_SKILLS_API_SECRET=key)["id"], f"task-{key}-1")


class OrderTest(HistoryTest):
    def test_the_disk_has_the_intent_before_the_post_and_the_id_before_the_first_poll(self) -> None:
        seen: list[list[str]] = []
        for moment in ("post accepted", "first poll"):
            self.fake.on(moment, lambda _: seen.append(self.statuses()))
        self.program(*FOX, "--wait")
        self.assertEqual(seen, [["UNCERTAIN"], ["STARTED"]])
        self.assertEqual(self.statuses(), ["SUCCEEDED"])

    def test_an_unknown_id_points_to_the_history(self) -> None:
        self.assertEqual(pasted(self.program("wait", "00000000-0000-4000-8000-000000000001")), ["history"])
