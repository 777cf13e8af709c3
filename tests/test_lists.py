"""The lists: every page, no more than asked for, and no record that breaks one."""

from __future__ import annotations

import json
import unittest
from typing import Any

from runway_cli.commands.lists import avatar as avatar_row
from runway_cli.commands.lists import document as document_row
from runway_cli.commands.lists import iso_time
from runway_cli.commands.lists import voice as voice_row
from tests.fake import FakeRunway, Fault
from tests.program import ProgramTest, Result, call

CREATED = "2026-01-02T03:04:05.678Z"
NOTHING = {"id": None, "name": None, "status": None, "voice": None, "documents": 0, "createdAt": None}


class ListTest(ProgramTest):
    def setUp(self) -> None:
        self.fake = FakeRunway()
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)

    def listed(self, noun: str, *options: str) -> Result:
        result = call(noun, "list", *options, env=self.fake.env())
        self.assert_success(result)
        return result

    def targets(self) -> list[str]:
        found = [request.target for request in self.fake.requests]
        self.fake.requests.clear()
        return found

    def assert_truncated(self, result: Any, ids: list[str]) -> None:
        """The result has the rows with these ids and says that there are more."""
        self.assertEqual([row["id"] for row in result["data"]], ids)
        self.assertIs(result["truncated"], True)

    def answers(self, *bodies: Any) -> None:
        """The next answers, one each."""
        for body in bodies:
            self.fake.fault(Fault("status", status=200, body=body))


class PagesTest(ListTest):
    def test_every_page_is_fetched(self) -> None:
        for number in range(250):
            self.fake.add_voice(id=f"v{number:03}", name=f"Voice {number}")
        result = self.listed("voices")
        self.assertEqual([row["id"] for row in result.json["data"]], [f"v{number:03}" for number in range(250)])
        self.assertEqual(sorted(result.json), ["data"])
        targets = self.targets()
        self.assertEqual([target.partition("&")[0] for target in targets], ["/v1/voices?limit=100"] * 3)
        self.assertEqual(["cursor=" in target for target in targets], [False, True, True])

    def test_a_limit_counts_rows_and_requests_no_more(self) -> None:
        for number in range(250):
            self.fake.add_avatar(id=f"a{number:03}")
        for limit, pages, truncated in (
            (1, [1], True),
            (99, [99], True),
            (100, [100], True),
            (101, [100, 1], True),
            (249, [100, 100, 49], True),
            (250, [100, 100, 50], False),
            (999, [100, 100, 100], False),
            (10**8, [100, 100, 100], False),
        ):
            with self.subTest(limit=limit):
                result = self.listed("avatars", "--limit", str(limit)).json
                self.assertEqual([row["id"] for row in result["data"]], [f"a{n:03}" for n in range(min(limit, 250))])
                self.assertEqual(result.get("truncated", False), truncated)
                sizes = [int(target.partition("limit=")[2].partition("&")[0]) for target in self.targets()]
                self.assertEqual(sizes, pages)

    def test_without_a_limit_a_list_ends_at_1000_rows(self) -> None:
        for number in range(1001):
            self.fake.voices[f"v{number}"] = {"id": f"v{number}"}
        result = self.listed("voices").json
        self.assertEqual(len(result["data"]), 1000)
        self.assertIs(result["truncated"], True)
        self.assertEqual(len(self.targets()), 10)
        del self.fake.voices["v1000"]
        result = self.listed("voices").json
        self.assertEqual(len(result["data"]), 1000)
        self.assertEqual(list(result), ["data"])
        self.assertEqual(len(self.targets()), 10)

    def test_more_records_than_requested_are_cut(self) -> None:
        self.answers({"data": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "hasMore": False, "nextCursor": None})
        result = self.listed("voices", "--limit", "2").json
        self.assert_truncated(result, ["a", "b"])

    def test_a_cursor_that_repeats_ends_the_list(self) -> None:
        page = {"data": [{"id": "a"}], "hasMore": True, "nextCursor": "same/ +é"}
        self.fake.fault(Fault("status", status=200, body=page), times=None)
        result = self.listed("voices").json
        self.assert_truncated(result, ["a", "a"])
        self.assertEqual(self.targets(), ["/v1/voices?limit=100", "/v1/voices?limit=100&cursor=same%2F%20%2B%C3%A9"])

    def test_ten_empty_pages_in_a_row_end_the_list(self) -> None:
        bodies = [{"data": [], "hasMore": True, "nextCursor": f"c{number}"} for number in range(40)]
        bodies[9] = {**bodies[9], "data": [{"id": "a"}]}
        self.answers(*bodies)
        result = self.listed("voices").json
        self.assert_truncated(result, ["a"])
        cursors = ["", *(f"&cursor=c{number}" for number in range(19))]
        self.assertEqual(self.targets(), [f"/v1/voices?limit=100{cursor}" for cursor in cursors])

    def test_answers_of_other_shapes(self) -> None:
        for body, ids, truncated in (
            ([{"id": "a"}], ["a"], False),
            ([], [], False),
            ({"data": [{"id": "a"}]}, ["a"], False),
            ({"data": [{"id": "a"}], "hasMore": False, "nextCursor": "next"}, ["a"], False),
            ({"data": [{"id": "a"}], "hasMore": True, "nextCursor": None}, ["a"], True),
            ({"data": [{"id": "a"}], "hasMore": True, "nextCursor": 7}, ["a"], True),
        ):
            with self.subTest(body=body):
                self.answers(body)
                result = self.listed("voices").json
                self.assertEqual([row["id"] for row in result["data"]], ids)
                self.assertEqual(result.get("truncated", False), truncated)
                self.assertEqual(len(self.targets()), 1)

    def test_an_answer_that_is_not_a_list_is_an_error_that_shows_it(self) -> None:
        bodies: tuple[Any, ...] = ({"data": {"id": "a"}}, {"voices": []}, "text", 7, None)
        for body in bodies:
            with self.subTest(body=body):
                self.fake.clear_faults()
                self.answers(json.dumps(body).encode())
                result = call("voices", "list", env=self.fake.env())
                self.assert_error(result, 1, kind="api", status=200)
                self.assertIn("the answer of /v1/voices is not a list", result.error["error"])
                self.assertEqual(result.stdout, "")

    def test_an_error_on_a_later_page_prints_no_half_list(self) -> None:
        for number in range(101):
            self.fake.voices[f"v{number}"] = {"id": f"v{number}"}
        self.fake.fault(Fault("status", status=400, body={"error": "cursor has expired"}), after=1)
        result = call("voices", "list", env=self.fake.env())
        self.assert_error(result, 1, kind="api", error="cursor has expired", example="runway-cli voices list --help")
        self.assertEqual(result.stdout, "")


class RowsTest(ListTest):
    def test_avatars(self) -> None:
        self.fake.add_avatar(id="a1", name="Ada", documentIds=["d1", "d2"], createdAt=CREATED, personality="x" * 5000)
        self.fake.add_avatar(id="a2", name="Bo", statuses=["FAILED"], createdAt=CREATED, voice=None)
        self.assertEqual(
            self.listed("avatars").json,
            {
                "data": [
                    {
                        "id": "a1",
                        "name": "Ada",
                        "status": "READY",
                        "voice": "Clara (preset)",
                        "documents": 2,
                        "createdAt": CREATED,
                    },
                    {"id": "a2", "name": "Bo", "status": "FAILED", "voice": None, "documents": 0, "createdAt": CREATED},
                ]
            },
        )

    def test_voices(self) -> None:
        self.fake.add_voice(id="v1", name="Deep", previewUrl="https://x.example/p.mp3?_jwt=1")
        self.assertEqual(
            self.listed("voices").json,
            {
                "data": [
                    {
                        "id": "v1",
                        "name": "Deep",
                        "provider": None,
                        "status": "READY",
                        "preview": "https://x.example/p.mp3?_jwt=1",
                    }
                ]
            },
        )

    def test_documents_newest_first(self) -> None:
        self.fake.add_document(id="d1", name="FAQ", createdAt="2026-01-02T03:04:05Z")
        self.fake.add_document(id="d2", name="Rules", createdAt="2026-02-02T03:04:05Z")
        self.fake.add_avatar(id="a1", name="Ada", documentIds=["d1"])
        self.fake.add_avatar(id="a2", name="Bo", documentIds=["d1"])
        self.assertEqual(
            self.listed("documents").json,
            {
                "data": [
                    {
                        "id": "d2",
                        "name": "Rules",
                        "type": "text",
                        "avatarId": None,
                        "usedBy": [],
                        "createdAt": "2026-02-02T03:04:05.000Z",
                    },
                    {
                        "id": "d1",
                        "name": "FAQ",
                        "type": "text",
                        "avatarId": "a1",
                        "usedBy": ["Ada", "Bo"],
                        "createdAt": "2026-01-02T03:04:05.000Z",
                    },
                ]
            },
        )
        self.assertEqual(self.targets(), ["/v1/documents?limit=100&sort=createdAt&order=desc"])

    def test_documents_of_one_avatar_whether_the_server_filters_or_not(self) -> None:
        mixed = [
            {"id": "d1", "usedBy": [{"id": "other"}, {"id": "a/1"}]},
            {"id": "d2", "usedBy": []},
            {"id": "d3", "avatarId": "a/1"},
            {"id": "d4", "avatarId": "other"},
            {"id": "d5"},
            {"id": "d6", "usedBy": None},
            {"id": "d7", "usedBy": ["a/1"]},
            None,
        ]
        self.answers({"data": mixed, "hasMore": False, "nextCursor": None})
        rows = self.listed("documents", "--avatar-id", "a/1").json["data"]
        self.assertEqual([row["id"] for row in rows], ["d1", "d3", "d5", None])
        self.assertEqual(self.targets(), ["/v1/documents?limit=100&sort=createdAt&order=desc&avatarId=a%2F1"])

    def test_a_limit_counts_the_rows_that_a_filter_leaves(self) -> None:
        for number in range(205):
            self.fake.documents[f"d{number}"] = {"id": f"d{number}", "avatarId": "a" if number % 50 == 0 else "b"}
        rows = self.listed("documents", "--avatar-id", "a", "--limit", "3").json
        self.assertEqual(len(rows["data"]), 3)
        self.assertIs(rows["truncated"], True)
        sizes = [target.partition("?limit=")[2].partition("&")[0] for target in self.targets()]
        self.assertEqual(sizes, ["100", "100"])
        self.assertEqual(len(self.listed("documents", "--avatar-id", "a").json["data"]), 5)

    def test_a_record_of_any_shape_is_a_row(self) -> None:
        odd: list[Any] = [None, 7, "text", [], [{"id": "x"}], {}, {"id": ["x"], "name": {"a": 1}, "voice": 5}, True]
        for noun, keys in (
            ("avatars", sorted(NOTHING)),
            ("voices", ["id", "name", "preview", "provider", "status"]),
            ("documents", ["avatarId", "createdAt", "id", "name", "type", "usedBy"]),
        ):
            for options in ((), ("--output", "table"), ("--output", "markdown"), ("--output", "jsonl")):
                with self.subTest(noun=noun, options=options):
                    self.answers({"data": odd})
                    result = self.listed(noun, *options)
                    if not options:
                        self.assertEqual([sorted(row) for row in result.json["data"]], [keys] * len(odd))
                    else:
                        heading = {"table": 1, "markdown": 2, "jsonl": 0}[options[1]]
                        self.assertEqual(len(result.stdout.splitlines()), len(odd) + heading)


class FormatsTest(ListTest):
    def setUp(self) -> None:
        super().setUp()
        self.fake.add_avatar(id="a1", name="Ada | 狐", documentIds=[], createdAt=CREATED)
        self.fake.add_avatar(id="a2", name="Bo", statuses=["PROCESSING"], voice="clara", createdAt=CREATED)

    def test_every_format(self) -> None:
        row = (
            '{"id":"a1","name":"Ada | 狐","status":"READY","voice":"Clara (preset)","documents":0,'
            f'"createdAt":"{CREATED}"}}'
        )
        other = f'{{"id":"a2","name":"Bo","status":"PROCESSING","voice":"clara","documents":0,"createdAt":"{CREATED}"}}'
        for name, text in (
            ("json", f'{{"data":[{row},{other}]}}\n'),
            ("jsonl", f"{row}\n{other}\n"),
            (
                "table",
                "Id  Name      Status      Voice           Docs  Created\n"
                f"a1  Ada | 狐  READY       Clara (preset)  0     {CREATED}\n"
                f"a2  Bo        PROCESSING  clara           0     {CREATED}\n",
            ),
            (
                "markdown",
                "| Name | Status | Voice | Docs | Created |\n| --- | --- | --- | --- | --- |\n"
                f"| Ada \\| 狐 | READY | Clara (preset) | 0 | {CREATED} |\n"
                f"| Bo | PROCESSING | clara | 0 | {CREATED} |\n",
            ),
        ):
            with self.subTest(format=name):
                result = self.listed("avatars", "--output", name)
                self.assertEqual(result.stdout, text)
                self.assertEqual(result.stderr, "")

    def test_the_columns_of_each_list(self) -> None:
        for noun, heading in (
            ("voices", "| Name | Provider | Preview |"),
            ("documents", "| Name | Avatar | Created |"),
        ):
            self.assertEqual(self.listed(noun, "--output", "markdown").stdout.splitlines()[0], heading)

    def test_a_note_tells_that_a_table_was_cut(self) -> None:
        for name, lines in (("table", 2), ("markdown", 3), ("jsonl", 1)):
            for options, notes in (((), ["there are more: raise --limit"]), (("-q",), [])):
                result = self.listed("avatars", "--limit", "1", "--output", name, *options)
                self.assertEqual(len(result.stdout.splitlines()), lines)
                self.assertEqual(result.notes, notes)


class FieldsTest(unittest.TestCase):
    def test_a_voice_in_one_word(self) -> None:
        for voice, shown in (
            ({"type": "runway-live-preset", "presetId": "clara", "name": "Clara"}, "Clara (preset)"),
            ({"type": "runway-live-preset", "presetId": "clara"}, "clara (preset)"),
            ({"type": "custom", "id": "v1", "deleted": True}, "v1 (custom)"),
            ({"type": "custom", "id": "v1", "name": ""}, "v1 (custom)"),
            ({"type": "preset", "name": "Clara"}, "Clara (preset)"),
            ({"type": "other", "name": "Clara"}, "Clara"),
            ({"type": ["custom"], "name": "Clara"}, "Clara"),
            ({"name": {"en": "Clara"}, "id": "v1"}, "v1"),
            ({"id": 7}, "Unknown"),
            ({}, "Unknown"),
            ("clara", "clara"),
            (None, None),
        ):
            with self.subTest(voice=voice):
                self.assertEqual(avatar_row({"voice": voice}), {**NOTHING, "voice": shown})

    def test_documents_are_counted(self) -> None:
        for documents, count in (([], 0), (["a", "b"], 2), (None, 0), ("ab", 0), (2, 0), ({"a": 1}, 0)):
            self.assertEqual(avatar_row({"documentIds": documents}), {**NOTHING, "documents": count})

    def test_a_voices_provider_and_preview_under_any_of_their_names(self) -> None:
        for voice, provider, preview in (
            ({"provider": "eleven", "type": "custom", "previewUrl": "u", "previewUri": "x"}, "eleven", "u"),
            ({"type": "custom", "previewAudioUri": "a", "previewUri": "x"}, "custom", "a"),
            ({"previewUrl": None, "previewAudioUri": "", "previewUri": "x"}, None, "x"),
            ({}, None, None),
        ):
            row = voice_row(voice)
            self.assertEqual(row["provider"], provider)
            self.assertEqual(row["preview"], preview)

    def test_a_documents_avatars(self) -> None:
        users = [{"id": "a1", "name": "Ada"}, {"id": "a2"}]
        for document, avatar, names in (
            ({"usedBy": users}, "a1", ["Ada", None]),
            ({"avatarId": "a9", "usedBy": users}, "a9", ["Ada", None]),
            ({"avatarId": "a9"}, "a9", []),
            ({"usedBy": []}, None, []),
            ({"usedBy": "a1"}, None, []),
            ({"usedBy": [None, "a1", users[0]]}, "a1", ["Ada"]),
        ):
            row = document_row(document)
            self.assertEqual(row["avatarId"], avatar)
            self.assertEqual(row["usedBy"], names)

    def test_dates(self) -> None:
        for text, shown in (
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
            ("2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600Z"),
            ("2026-01-02T03:04:05.678912Z", "2026-01-02T03:04:05.678Z"),
            ("2026-01-02T03:04:05,678z", "2026-01-02T03:04:05.678Z"),
            ("2026-01-02T03:04:05.678+02:00", "2026-01-02T01:04:05.678Z"),
            ("2026-01-02 03:04:05-0530", "2026-01-02T08:34:05.000Z"),
            ("2026-01-02T03:04", "2026-01-02T03:04:00.000Z"),
            ("2026-01-02", "2026-01-02T00:00:00.000Z"),
            ("2024-02-29T23:59:59-01:00", "2024-03-01T00:59:59.000Z"),
        ):
            self.assertEqual(iso_time(text), shown)
        for value in (
            "2026-02-30T00:00:00Z",
            "2026-13-01",
            "2026-01-02T25:00:00Z",
            "0001-01-01T00:00:00+23:00",
            "",
            "yesterday",
            "20260102",
            "2026-01-02T03:04:05Zulu",
            1767323045,
            None,
            ["2026-01-02"],
            True,
        ):
            self.assertEqual(iso_time(value), value)


if __name__ == "__main__":
    unittest.main()
