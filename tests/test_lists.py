"""The lists: every page, no more than asked for, and no record that breaks one."""

from __future__ import annotations

import json
import unittest
from typing import Any
from unittest import mock

from runway_cli.api import client
from runway_cli.commands.lists import avatar as avatar_row
from runway_cli.commands.lists import document as document_row
from runway_cli.commands.lists import iso_time
from runway_cli.commands.lists import voice as voice_row
from tests.fake import Fault
from tests.fake.http import Answer
from tests.program import Result
from tests.served import ServedTest

CREATED = "2026-01-02T03:04:05.678Z"
AVATAR_KEYS = ("id", "name", "status", "voice", "documents", "createdAt")
VOICE_KEYS = ("id", "name", "provider", "status", "preview")
DOCUMENT_KEYS = ("id", "name", "type", "avatarId", "usedBy", "createdAt")


class ListTest(ServedTest):
    def listed(self, noun: str, *options: str) -> Result:
        result = self.call(noun, "list", *options)
        self.assert_success(result)
        return result

    def assert_listed(self, result: Result, ids: list[str], *, truncated: bool = False) -> None:
        """The result has the rows with these ids, and says whether there are more."""
        expected = ["data", "truncated"] if truncated else ["data"]
        self.assertEqual([row["id"] for row in result.json["data"]], ids)
        self.assertEqual(list(result.json), expected)

    def targets(self) -> list[str]:
        """What was requested since the last look."""
        found = [request.target for request in self.fake.requests]
        self.fake.requests.clear()
        return found

    def sizes(self) -> list[int]:
        """The sizes of the pages that were requested since the last look."""
        return [int(target.partition("limit=")[2].partition("&")[0]) for target in self.targets()]

    def answers(self, *bodies: Any) -> None:
        """The next answers, one each."""
        for body in bodies:
            self.fake.fault(Fault("status", status=200, body=body))


class PagesTest(ListTest):
    def test_every_page_is_fetched(self) -> None:
        for number in range(250):
            self.fake.add_voice(id=f"v{number:03}", name=f"Voice {number}")
        self.assert_listed(self.listed("voices"), [f"v{number:03}" for number in range(250)])
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
            (10**8, [100, 100, 100], False),
        ):
            with self.subTest(limit=limit):
                result = self.listed("avatars", "--limit", str(limit))
                self.assert_listed(result, [f"a{n:03}" for n in range(min(limit, 250))], truncated=truncated)
                self.assertEqual(self.sizes(), pages)

    def test_without_a_limit_a_list_ends_at_1000_rows(self) -> None:
        self.fake.voices.update({f"v{number}": {"id": f"v{number}"} for number in range(1001)})
        for truncated in (True, False):
            self.assert_listed(self.listed("voices"), [f"v{number}" for number in range(1000)], truncated=truncated)
            self.assertEqual(len(self.targets()), 10)
            self.fake.voices.pop("v1000", None)

    def test_a_cursor_that_repeats_ends_the_list(self) -> None:
        page = {"data": [{"id": "a"}], "hasMore": True, "nextCursor": "same/ +é"}
        self.fake.fault(Fault("status", status=200, body=page), times=None)
        self.assert_listed(self.listed("voices"), ["a", "a"], truncated=True)
        self.assertEqual(self.targets(), ["/v1/voices?limit=100", "/v1/voices?limit=100&cursor=same%2F%20%2B%C3%A9"])

    def test_pages_that_never_end_are_cut(self) -> None:
        self.assertEqual(client.MAX_PAGES, 1000)
        pages = (json.dumps({"data": [{"id": f"{number}"}], "nextCursor": f"c{number}"}) for number in range(200))
        self.fake.fault(Fault("status"), times=None)
        for words in (("documents", "list", "--avatar-id", "a"), ("request", "GET", "/v1/documents", "--paginate")):
            answer = mock.patch.object(Fault, "answer", lambda _: Answer(200, {}, next(pages).encode()))
            with answer, mock.patch.object(client, "MAX_PAGES", 30):
                self.assertIs(self.call(*words).json["truncated"], True)
                self.assertEqual(len(self.targets()), 30)

    def test_answers_of_other_shapes(self) -> None:
        a, b = {"id": "a"}, {"id": "b"}
        for body, ids, truncated in (
            ([a, b], ["a", "b"], False),
            ([], [], False),
            ({"data": [a]}, ["a"], False),
            ({"data": [a], "hasMore": False, "nextCursor": "next"}, ["a"], False),
            ({"data": [a], "hasMore": True, "nextCursor": None}, ["a"], True),
            ({"data": [a], "hasMore": True, "nextCursor": 7}, ["a"], True),
            ({"data": [a, b, a], "hasMore": False}, ["a", "b"], True),  # more than was asked for
        ):
            with self.subTest(body=body):
                self.answers(body)
                self.assert_listed(self.listed("voices", "--limit", "2"), ids, truncated=truncated)
                self.assertEqual(len(self.targets()), 1)

    def test_an_answer_that_is_not_a_list_is_an_error_that_shows_it(self) -> None:
        bodies: tuple[Any, ...] = ({"data": {"id": "a"}}, {"voices": []}, "text", 7, None)
        for body in bodies:
            with self.subTest(body=body):
                self.answers(json.dumps(body).encode())
                result = self.call("voices", "list")
                self.assert_error(result, 1, kind="api", status=200)
                self.assertIn("the answer of /v1/voices is not a list", result.error["error"])
                self.assertEqual(result.stdout, "")

    def test_an_error_on_a_later_page_prints_no_half_list(self) -> None:
        self.fake.voices.update({f"v{number}": {"id": f"v{number}"} for number in range(101)})
        self.fake.fault(Fault("status", status=400, body={"error": "cursor has expired"}), after=1)
        result = self.call("voices", "list")
        self.assert_error(result, 1, kind="api", error="cursor has expired", example="runway-cli voices list --help")
        self.assertEqual(result.stdout, "")


class RowsTest(ListTest):
    def test_documents_newest_first(self) -> None:
        self.fake.add_document(id="d1", name="FAQ", createdAt="2026-01-02T03:04:05Z")
        self.fake.add_document(id="d2", name="Rules", createdAt="2026-02-02T03:04:05Z")
        self.fake.add_avatar(id="a1", name="Ada", documentIds=["d1"])
        self.fake.add_avatar(id="a2", name="Bo", documentIds=["d1"])
        rules: tuple[Any, ...] = ("d2", "Rules", "text", None, [], "2026-02-02T03:04:05.000Z")
        faq = ("d1", "FAQ", "text", "a1", ["Ada", "Bo"], "2026-01-02T03:04:05.000Z")
        found = [list(row.items()) for row in self.listed("documents").json["data"]]
        self.assertEqual(found, [list(zip(DOCUMENT_KEYS, row)) for row in (rules, faq)])
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
        result = self.listed("documents", "--avatar-id", "a", "--limit", "3")
        self.assert_listed(result, ["d0", "d50", "d100"], truncated=True)
        self.assertEqual(self.sizes(), [100, 100])
        self.assertEqual(len(self.listed("documents", "--avatar-id", "a").json["data"]), 5)

    def test_a_record_of_any_shape_is_a_row_in_every_format(self) -> None:
        odd: list[Any] = [None, 7, "text", [], [{"id": "x"}], {}, {"id": ["x"], "name": {"a": 1}, "voice": 5}, True]
        for noun, keys in (("avatars", AVATAR_KEYS), ("voices", VOICE_KEYS), ("documents", DOCUMENT_KEYS)):
            self.answers({"data": odd})
            self.assertEqual([tuple(row) for row in self.listed(noun).json["data"]], [keys] * len(odd))
            for format, heading in (("table", 1), ("markdown", 2), ("jsonl", 0)):
                with self.subTest(noun=noun, format=format):
                    self.answers({"data": odd})
                    lines = self.listed(noun, "--output", format).stdout.splitlines()
                    self.assertEqual(len(lines), len(odd) + heading)


class FormatsTest(ListTest):
    def setUp(self) -> None:
        super().setUp()
        self.fake.add_avatar(id="a1", name="Ada | 狐", documentIds=[], createdAt=CREATED)
        self.fake.add_avatar(id="a2", name="Bo", statuses=["PROCESSING"], voice="clara", createdAt=CREATED)

    def test_a_list_as_a_table(self) -> None:
        for name, text in (
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
                self.assert_success(self.listed("avatars", "--output", name), stdout=text, stderr="")

    def test_the_columns_of_each_list(self) -> None:
        for noun, heading in (
            ("voices", "| Name | Provider | Preview |"),
            ("documents", "| Name | Avatar | Created |"),
        ):
            self.assertEqual(self.listed(noun, "--output", "markdown").stdout.splitlines()[0], heading)


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
                self.assertEqual(avatar_row({"voice": voice})["voice"], shown)

    def test_documents_are_counted(self) -> None:
        for documents, count in (([], 0), (["a", "b"], 2), (None, 0), ("ab", 0), (2, 0), ({"a": 1}, 0)):
            self.assertEqual(avatar_row({"documentIds": documents})["documents"], count)

    def test_a_voices_provider_and_preview_under_any_of_their_names(self) -> None:
        for voice, provider, preview in (
            ({"provider": "eleven", "type": "custom", "previewUrl": "u", "previewUri": "x"}, "eleven", "u"),
            ({"type": "custom", "previewAudioUri": "a", "previewUri": "x"}, "custom", "a"),
            ({"previewUrl": None, "previewAudioUri": "", "previewUri": "x"}, None, "x"),
            ({}, None, None),
        ):
            row = voice_row(voice)
            self.assertEqual((row["provider"], row["preview"]), (provider, preview))

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
            self.assertEqual((row["avatarId"], row["usedBy"]), (avatar, names))

    def test_dates(self) -> None:
        for text, shown in (
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
            ("2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600Z"),
            ("2026-01-02T03:04:05.678912Z", "2026-01-02T03:04:05.678Z"),
            ("2026-01-02T03:04:05.678+02:00", "2026-01-02T01:04:05.678Z"),
            ("2026-01-02 03:04:05-05:30", "2026-01-02T08:34:05.000Z"),
            ("2026-01-02T03:04", "2026-01-02T03:04:00.000Z"),
            ("2026-01-02", "2026-01-02T00:00:00.000Z"),
            ("2024-02-29T23:59:59-01:00", "2024-03-01T00:59:59.000Z"),
        ):
            self.assertEqual(iso_time({"createdAt": text}), shown)
        for value in (
            *("2026-02-30T00:00:00Z", "2026-13-01", "2026-01-02T25:00:00Z", "0001-01-01T00:00:00+23:00", "20260102"),
            *("", "yesterday", "2026-01-02T03:04:05Zulu", 1767323045, None, ["2026-01-02"], True),
        ):
            self.assertEqual(iso_time({"createdAt": value}), value)
