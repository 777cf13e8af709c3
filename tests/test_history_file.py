"""The history: what was started is known, by id or as uncertain; and nothing private is in the file."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import unittest
from pathlib import Path
from typing import Any

from runway_cli.errors import OutputError
from runway_cli.jobs.history import MAX_SIZE, History, account, iso_time, parse_since, total
from runway_cli.jsontext import Number
from tests.recorded_disk import RecordedDisk

BASE_URL = "https://api.dev.runwayml.com"
SECRET = "key_0123456789abcdef"
NOW = 1_795_512_600.0  # 2026-11-24T09:30:00Z
HOUR = 3600.0
COLUMNS = ["id", "startedAt", "path", "model", "prompt", "status", "credits", "saved"]
FOX = {"model": "gen4_image", "promptText": "a fox"}


class FakeClock:
    def __init__(self) -> None:
        self.now = NOW

    def time(self) -> float:
        return self.now


def mask(text: str) -> str:
    """As the console masks: the secret, and the query of URLs."""
    head, mark, query = text.replace(SECRET, "***").partition("?")
    return f"{head}?***{query.partition(' ')[2]}" if mark and "https://" in head else head + mark + query


class HistoryCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(folder.name, "history.jsonl")
        self.clock = FakeClock()
        self.notes: list[str] = []
        self.disk = RecordedDisk()
        self.history = self.open()

    def open(
        self,
        *,
        base_url: str = BASE_URL,
        secret: str = SECRET,
        client_id: str = "client-1",
        path: str | None = "",
        max_size: int = MAX_SIZE,
    ) -> History:
        return History(
            self.path if path == "" else path,
            account=account(base_url, secret),
            client_id=client_id,
            clock=self.clock,
            note=self.notes.append,
            mask=mask,
            max_size=max_size,
            system=self.disk,
        )

    def start(self, name: str, credits: Any = 5, body: Any = None) -> str:
        """Records a POST that went well, a second after the one before."""
        self.clock.now += 1
        key = self.history.intend("/v1/text_to_image", body or FOX)
        self.history.started(key, name, credits)
        return key

    def ids(self, **options: Any) -> list[str | None]:
        return [row["id"] for row in self.open().entries(**options)]

    def content(self) -> str:
        return Path(self.path).read_text(encoding="utf-8")


class Rows(HistoryCase):
    def test_a_row_has_the_columns_of_the_contract(self) -> None:
        key = self.history.intend("/v1/text_to_image", FOX)
        self.history.started(key, "task-1", 5)
        [row] = self.open().entries()
        self.assertEqual(list(row), COLUMNS)
        self.assertEqual(
            row,
            {
                "id": "task-1",
                "startedAt": "2026-11-24T09:30:00.000Z",
                "path": "/v1/text_to_image",
                "model": "gen4_image",
                "prompt": "a fox",
                "status": "STARTED",
                "credits": 5,
                "saved": [],
            },
        )

    def test_a_post_without_an_answer_is_uncertain(self) -> None:
        self.history.intend("/v1/text_to_image", FOX)
        [row] = self.open().entries()
        self.assertEqual(row["status"], "UNCERTAIN")
        self.assertIsNone(row["id"])

    def test_a_refused_post_is_not_listed(self) -> None:
        self.history.refused(self.history.intend("/v1/text_to_image", FOX))
        self.assertEqual(self.open().entries(), [])

    def test_an_end_gives_status_credits_and_files(self) -> None:
        self.start("task-1", credits=5)
        self.history.ended("task-1", "SUCCEEDED", 4, ["/home/fox.png"])
        [row] = self.open().entries()
        self.assertEqual(row["status"], "SUCCEEDED")
        self.assertEqual(row["credits"], 4)
        self.assertEqual(row["saved"], ["/home/fox.png"])

    def test_a_later_end_keeps_what_it_does_not_know(self) -> None:
        self.start("task-1")
        self.history.ended("task-1", "SUCCEEDED", 4, ["/home/fox.png"])
        self.history.ended("task-1", "SUCCEEDED", None, ["/home/fox.png", "/tmp/fox.png"])
        self.history.ended("task-1", "GONE", None)
        [row] = self.open().entries()
        self.assertEqual(row["status"], "GONE")
        self.assertEqual(row["credits"], 4)
        self.assertEqual(row["saved"], ["/home/fox.png", "/tmp/fox.png"])

    def test_the_end_of_something_else_is_not_listed(self) -> None:
        self.history.ended("task-from-elsewhere", "SUCCEEDED", 4)
        self.assertEqual(self.open().entries(), [])

    def test_a_path_to_poll_is_an_id(self) -> None:
        self.history.started(self.history.intend("/v1/avatars", {"name": "Ada"}), "/v1/avatars/a1", None)
        self.history.ended("/v1/avatars/a1", "READY")
        [row] = self.open().entries()
        self.assertEqual(row["id"], "/v1/avatars/a1")
        self.assertEqual(row["prompt"], "Ada")
        self.assertEqual(row["status"], "READY")
        self.assertIsNone(row["credits"])

    def test_the_newest_comes_first(self) -> None:
        for name in ("one", "two", "three"):
            self.start(name)
        self.assertEqual(self.ids(), ["three", "two", "one"])

    def test_of_two_in_the_same_millisecond_the_last_comes_first(self) -> None:
        for name in ("one", "two"):
            self.history.started(self.history.intend("/v1/text_to_image", FOX), name, 5)
        self.assertEqual(self.ids(), ["two", "one"])

    def test_the_order_of_records_does_not_matter(self) -> None:
        self.start("task-1")
        self.history.ended("task-1", "SUCCEEDED", 4)
        lines = self.content().splitlines(keepends=True)
        expected = self.open().entries()
        Path(self.path).write_text("".join(reversed(lines)), encoding="utf-8")
        self.assertEqual(self.open().entries(), expected)

    def test_an_id_is_listed_without_its_intent(self) -> None:
        self.start("task-1")
        started = self.content().splitlines(keepends=True)[1]
        Path(self.path).write_text(started, encoding="utf-8")
        [row] = self.open().entries()
        self.assertEqual(row["id"], "task-1")
        self.assertIsNone(row["path"])

    def test_records_of_an_unexpected_shape_are_skipped(self) -> None:
        self.start("task-1")
        expected = self.open().entries()
        changes: list[dict[str, Any]] = [
            {"key": ["x"]},
            {"event": ["x"]},
            {"event": "new"},
            {"id": {}},
            {"account": 1},
            {"id": "task-1", "status": 1, "credits": "4", "saved": 1},
            {"id": "task-1", "saved": [1]},
        ]
        for change in changes:
            event = {"event": "ended", "at": 1, "account": account(BASE_URL, SECRET), "id": "task-2", **change}
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(event) + "\nnot JSON\n")
        self.assertEqual(self.open().entries(), expected)

    def test_credits_keep_their_spelling_and_are_numbers(self) -> None:
        cases: list[tuple[Any, Any]] = [(0, 0), (2.5, 2.5), (None, None), ("5", None), (True, None)]
        for given, shown in cases:
            with self.subTest(given=given):
                self.start("task-1", credits=given)
                self.assertEqual(self.open().entries()[0]["credits"], shown)


class Filters(HistoryCase):
    def test_unfinished_is_what_can_be_waited_for(self) -> None:
        self.start("running")
        self.start("done")
        self.history.ended("done", "FAILED")
        self.history.intend("/v1/text_to_image", FOX)
        self.history.started(self.history.intend("/v1/text_to_image", FOX), None, None)
        self.assertEqual(self.ids(unfinished=True), ["running"])

    def test_since_leaves_what_was_started_later(self) -> None:
        self.start("old")
        self.clock.now += HOUR
        self.start("new")
        self.assertEqual(self.ids(since=self.clock.now - 60), ["new"])
        self.assertEqual(self.ids(since=self.clock.now), ["new"])
        self.assertEqual(self.ids(since=self.clock.now + 1), [])
        self.assertEqual(self.ids(since=-1e12), ["new", "old"])

    def test_session_is_this_client_id(self) -> None:
        self.start("mine")
        other = self.open(client_id="client-2")
        other.started(other.intend("/v1/text_to_image", FOX), "theirs", 5)
        other.ended("mine", "SUCCEEDED", 4)
        [row] = self.history.entries(session=True)
        self.assertEqual(row["id"], "mine")
        self.assertEqual(row["status"], "SUCCEEDED")

    def test_another_key_or_base_url_sees_nothing(self) -> None:
        key = self.start("mine")
        for other in (self.open(secret="key_another"), self.open(base_url="https://api.dev-stage.runwayml.com")):
            self.assertEqual(other.entries(), [])
            self.assertEqual(other.fates([key]), {})
            other.ended("mine", "FAILED", 0)
        self.assertEqual(self.open().entries()[0]["status"], "STARTED")


class Finding(HistoryCase):
    def test_the_id_of_a_key_is_found(self) -> None:
        key = self.start("task-1")
        self.start("task-2")
        self.assertEqual(self.open().fates([key]), {key: "task-1"})

    def test_a_refused_post_is_told(self) -> None:
        key = self.history.intend("/v1/text_to_image", FOX)
        self.history.refused(key)
        self.assertEqual(self.open().fates([key]), {key: ""})

    def test_a_start_without_an_id_is_no_refusal(self) -> None:
        key = self.history.intend("/v1/text_to_image", FOX)
        self.history.started(key, None)
        self.assertEqual(self.open().fates([key]), {})

    def test_credits_without_an_end_are_no_credits(self) -> None:
        self.history.started(self.history.intend("/v1/text_to_image", FOX), "task-1", Number("1e400"))
        self.assertEqual(total(row["credits"] for row in self.open().entries()), 0)

    def test_an_intent_alone_has_no_id(self) -> None:
        self.assertEqual(self.open().fates([self.history.intend("/v1/text_to_image", FOX)]), {})

    def test_a_history_that_cannot_be_read_has_no_id_and_one_note(self) -> None:
        os.mkdir(self.path)
        self.assertEqual(self.history.fates(["0" * 32]), {})
        self.assertEqual(self.history.fates(["0" * 32]), {})
        self.assertEqual(len(self.notes), 1)
        self.assertIn("the history cannot be read", self.notes[0])


class Disk(HistoryCase):
    def test_intent_and_id_are_written_and_flushed_in_this_order(self) -> None:
        key = self.history.intend("/v1/text_to_image", FOX)
        self.disk.calls.append(("POST", None))
        self.history.started(key, "task-1", 5)
        self.disk.calls.append(("GET", None))
        self.history.ended("task-1", "SUCCEEDED", 5)
        steps = [
            json.loads(what)["event"] if isinstance(what, bytes) else call
            for call, what in self.disk.calls
            if what != os.path.basename(self.folder)  # the fsync of the folder
        ]
        self.assertEqual(steps, ["intent", "fsync", "POST", "started", "fsync", "GET", "ended", "fsync"])

    def test_a_disk_that_fails_gives_one_note_for_the_whole_run(self) -> None:
        for call, number in (("write", errno.ENOSPC), ("fsync", errno.EIO), ("open", errno.EROFS)):
            with self.subTest(call):
                self.notes.clear()
                self.disk.failing = {call: number}
                history = self.open()
                key = history.intend("/v1/text_to_image", FOX)
                history.started(key, "task-1", 5)
                history.ended("task-1", "SUCCEEDED", 5)
                self.assertEqual(len(key), 32)
                self.assertEqual(self.notes, [f"the history cannot be written: {self.path!r}: {os.strerror(number)}"])

    def test_a_folder_that_cannot_be_made_gives_one_note(self) -> None:
        Path(self.path).write_text("a file", encoding="utf-8")
        history = self.open(path=os.path.join(self.path, "runway-cli", "history.jsonl"))
        history.refused(history.intend("/v1/text_to_image", FOX))
        self.assertEqual(len(self.notes), 1)
        self.assertEqual(history.entries(), [])

    def test_an_id_is_recorded_although_its_intent_was_not(self) -> None:
        self.disk.fail("write")
        key = self.history.intend("/v1/text_to_image", FOX)
        self.disk.failing.clear()
        self.history.started(key, "task-1", 5)
        self.assertEqual(self.ids(unfinished=True), ["task-1"])

    def test_a_torn_line_costs_no_other(self) -> None:
        self.start("task-1")
        with open(self.path, "a", encoding="utf-8") as file:
            file.write('{"event":"intent","key":"0')
        self.start("task-2")
        self.assertEqual(self.ids(), ["task-2", "task-1"])

    def test_start_and_end_in_two_files_are_joined(self) -> None:
        self.start("task-1")
        self.history = self.open(max_size=600)
        self.history.ended("task-1", "SUCCEEDED", 4)
        self.assertNotIn("SUCCEEDED", Path(self.path + ".1").read_text(encoding="utf-8"))
        [row] = self.open().entries()
        self.assertEqual(row["status"], "SUCCEEDED")
        self.assertEqual(row["path"], "/v1/text_to_image")

    def test_off_writes_and_reads_nothing(self) -> None:
        history = self.open(path=None)
        key = history.intend("/v1/text_to_image", FOX)
        history.started(key, "task-1", 5)
        self.assertEqual(history.fates([key]), {})
        self.assertEqual(history.entries(), [])
        self.assertEqual(self.disk.calls, [])
        self.assertEqual(len(key), 32)

    def test_a_file_that_cannot_be_read_is_an_error_for_the_list(self) -> None:
        os.mkdir(self.path)
        with self.assertRaises(OutputError):
            self.history.entries()


class Privacy(HistoryCase):
    def prompt(self, text: str) -> str:
        self.start("task-1", body={"promptText": text})
        return str(self.open().entries()[0]["prompt"])

    def test_a_prompt_is_cut_at_80_characters(self) -> None:
        self.assertEqual(self.prompt("ä" * 100), "ä" * 80)
        self.assertNotIn("ä" * 81, self.content())

    def test_a_secret_is_masked_before_the_cut(self) -> None:
        self.assertEqual(self.prompt("x" * 70 + SECRET), "x" * 70 + "***")

    def test_a_signed_url_loses_its_signature(self) -> None:
        self.assertNotIn("_jwt", self.prompt("like https://cdn.example.com/fox.png?_jwt=abc"))
        self.assertNotIn("_jwt", self.content())

    def test_no_data_uri_is_kept_whatever_its_length(self) -> None:
        for uri in (
            "data:image/png;base64,iVBOR",
            "data:,iVBOR",
            "DATA:text/plain;charset=utf-8,iVBOR",
            "data:;base64,iVBOR",
            'data:text/plain;charset="utf-8";base64,iVBOR',
        ):
            with self.subTest(uri):
                self.assertEqual(self.prompt(f"a fox {uri} and\niVBOR more"), "a fox data:…")
        self.assertNotIn("iVBOR", self.content())

    def test_words_with_a_colon_and_a_comma_are_not_a_data_uri(self) -> None:
        self.assertEqual(self.prompt("a chart of data: blue, green"), "a chart of data: blue, green")
        self.assertEqual(self.prompt("metadata:blue,green"), "metadata:blue,green")

    def test_secrets_are_masked_wherever_a_service_repeats_them(self) -> None:
        key = self.history.intend(f"/v1/workflows/{SECRET}", {"model": SECRET, "promptText": SECRET})
        self.history.started(key, SECRET, 5)
        self.history.ended(SECRET, SECRET, 5, [f"/home/{SECRET}.png"])
        self.assertNotIn(SECRET, self.content())

    def test_only_the_prompt_and_the_model_of_a_body_are_kept(self) -> None:
        body = {**FOX, "promptImage": "https://example.com/private.png", "references": [{"uri": "x"}]}
        self.start("task-1", body=body)
        self.assertNotIn("private.png", self.content())
        self.assertNotIn("references", self.content())

    def test_bodies_of_any_shape_are_recorded(self) -> None:
        for body in (None, [], [FOX], "text", 1, {"model": 1, "promptText": ["a"]}):
            with self.subTest(body=body):
                self.history.intend("/v1/text_to_image", body)
                row = self.open().entries()[0]
                self.assertIsNone(row["model"])
                self.assertIsNone(row["prompt"])
        self.assertEqual(self.notes, [])

    def test_an_account_tells_keys_apart_and_does_not_hold_them(self) -> None:
        own = account(BASE_URL, SECRET)
        self.assertTrue(own.startswith(BASE_URL))
        self.assertNotIn(SECRET[:8], own)
        self.assertNotEqual(own, account(BASE_URL, SECRET + "0"))


class Since(unittest.TestCase):
    def test_a_moment_is_read(self) -> None:
        cases = {
            "2h": NOW - 2 * HOUR,
            "45m": NOW - 2700,
            "3d": NOW - 72 * HOUR,
            "1w": NOW - 168 * HOUR,
            "2026-11-24": NOW - 9.5 * HOUR,
            "2026-11-24T09:30": NOW,
            "2026-11-24 09:30:15": NOW + 15,
            "2026-11-24T09:30:15.250Z": NOW + 15.25,
            "2026-11-24T09:30Z": NOW,
            "2026-11-24T10:30+01:00": NOW,
            "2026-11-24T04:00-05:30": NOW,
        }
        for text, moment in cases.items():
            with self.subTest(text):
                self.assertEqual(parse_since(text, NOW), moment)

    def test_anything_else_is_refused_in_words(self) -> None:
        for text in (
            "",
            "yesterday",
            "2",
            "h",
            "-2h",
            "1.5h",
            "2 h",
            "2H",
            "٢h",
            "9999999d",
            "2026-13-01",
            "2026-11-31",
            "20261124",
            "2026-11-24T25:00",
            "2026-11-24T",
            "2026-W48",
            "2026-11-24T09:30+99:00",
            "0000-01-01",
        ):
            with self.subTest(text), self.assertRaisesRegex(ValueError, "must be a time such as 2h, 3d"):
                parse_since(text, NOW)

    def test_the_time_of_a_row_is_a_moment(self) -> None:
        self.assertEqual(iso_time(parse_since("2026-11-24T09:30:15.250Z", NOW)), "2026-11-24T09:30:15.250Z")

    def test_moments_far_away_have_a_time(self) -> None:
        self.assertEqual(iso_time(-1e15), "1970-01-01T00:00:00.000Z")
        self.assertEqual(iso_time(parse_since("9999-12-31", NOW)), "3000-12-31T23:59:59.000Z")


if __name__ == "__main__":
    unittest.main()
