"""`--` ends the options: the same on every version of Python, wherever it stands."""

from __future__ import annotations

import unittest

from tests.served import ServedTest, pasted


class DashesTest(ServedTest):
    def test_it_may_stand_before_between_and_after_the_words_of_a_command(self) -> None:
        avatar = self.fake.add_avatar(name="Mira")
        for words in (
            ("--", "avatars", "list"),
            ("avatars", "--", "list"),
            ("avatars", "list", "--"),
            ("--quiet", "--", "avatars", "list"),
            ("avatars", "list", "--limit", "5", "--"),
        ):
            with self.subTest(words):
                result = self.call(*words)
                self.assertEqual(result.exit, 0, result)
                self.assertEqual([row["id"] for row in result.json["data"]], [avatar])

    def test_operands_may_follow_it(self) -> None:
        for words in (
            ("request", "--", "GET", "/v1/organization"),
            ("request", "GET", "--", "/v1/organization"),
            ("request", "GET", "/v1/organization", "--"),
            ("--", "request", "GET", "/v1/organization"),
            ("request", "--retries", "0", "--", "GET", "/v1/organization"),
        ):
            with self.subTest(words):
                result = self.call(*words)
                self.assertEqual(result.exit, 0, result)
                self.assertEqual(result.json, self.fake.organization)

    def test_an_option_after_it_is_an_operand(self) -> None:
        for words in (
            ("request", "--", "GET", "/v1/x", "--dry-run"),
            ("request", "GET", "/v1/x", "--", "--dry-run"),
            ("--", "request", "GET", "/v1/x", "--dry-run"),
        ):
            with self.subTest(words):
                result = self.call(*words)
                self.assert_error(result, 2, kind="usage", error="unexpected argument '--dry-run'")
                self.assertNotIn("did you mean", result.stderr)
        self.assertEqual(self.fake.requests, [])

    def test_an_id_that_looks_like_an_option_can_be_waited_for(self) -> None:
        result = self.call("wait", "--max-wait", "1", "--", "-x", "--quiet")
        self.assert_error(result, 1, kind="api", status=400)
        self.assertEqual(sorted(self.polls()), ["/v1/tasks/--quiet", "/v1/tasks/-x"])

    def test_a_second_one_is_an_operand(self) -> None:
        result = self.call("request", "GET", "/v1/x", "--", "--")
        self.assert_error(result, 2, kind="usage", error="unexpected argument '--'")

    def test_alone_it_is_like_no_word_at_all(self) -> None:
        self.assertEqual(self.call("--").stdout, self.call().stdout)
        self.assertEqual(self.call("--").exit, self.call().exit)

    def test_a_flag_after_it_is_not_a_command(self) -> None:
        for word in ("--version", "--help", "-q"):
            with self.subTest(word):
                result = self.call("--", word)
                self.assert_error(result, 2, kind="usage")
                self.assertIn(f"unknown command {word!r}", result.error["error"])
        self.assertNotEqual(pasted(self.call("--", "--version")), ["--", "--version"])


if __name__ == "__main__":
    unittest.main()
