"""`batch` with `@output-of`: a row starts when another one has succeeded, with its output as an input."""

from __future__ import annotations

from typing import Any

from tests.batches import PATH, BatchTest, by_name, statuses
from tests.fake import Fault

VIDEO = "/v1/image_to_video"


class ChainTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        clip = {"@path": VIDEO, "model": "gen4_turbo", "@output-of.promptImage": "fox"}
        self.rows: list[dict[str, Any]] = [
            {**clip, "@name": "clip", "promptText": "it runs"},
            {"@name": "fox", "promptText": "a fox"},
        ]
        self.write(*self.rows)
        for _ in range(4):  # the stand-in takes no http URL for an image
            self.next_task(path=VIDEO, statuses=["SUCCEEDED"])

    def images(self) -> list[str]:
        return [seen.json()["promptImage"] for seen in self.fake.sent("POST", VIDEO)]

    def test_a_row_is_sent_after_the_one_that_it_needs_with_its_first_output(self) -> None:
        self.assert_success(self.download())
        self.assertEqual(self.posts(), [PATH, VIDEO])
        self.assertRegex(self.images()[0], r"^http.*\.png\?_jwt=")
        self.assertEqual(self.saved(), ["clip.png", "fox.png"])
        self.assertEqual(self.fake.hasty, [])

    def test_a_number_chooses_another_output(self) -> None:
        self.write({**self.rows[0], "@output-of.promptImage": "fox.1"}, self.rows[1])
        task = self.next_task(outputs=2, statuses=["SUCCEEDED"])
        self.assert_success(self.batch())
        urls = self.call("wait", task, env=self.env).json["output"]
        self.assertEqual(self.images()[0].partition("?")[0], urls[1].partition("?")[0])
        self.write({**self.rows[0], "@output-of.promptImage": "fox.7"}, self.rows[1])
        self.assertIn("no output number 7", by_name(self.batch())["clip"]["error"])

    def test_after_a_failure_it_is_skipped_and_starts_in_the_run_that_repeats_the_other(self) -> None:
        chained = {**self.rows[0], "@name": "cut", "@output-of.promptImage": "clip"}
        self.write(chained, *self.rows)
        self.next_task(statuses=["FAILED"])
        for sent in (1, 1):
            result = self.batch()
            self.assert_error(result, 1, kind="task")
            self.assertEqual(statuses(result), {"cut": "SKIPPED", "clip": "SKIPPED", "fox": "FAILED"})
            self.assertEqual(len(self.posts()), sent)
        self.assertEqual([row["name"] for row in self.batch("--dry-run").lines], [])
        self.assertEqual(len(self.batch("--dry-run", "--retry-failed").lines), 3)
        self.assert_success(self.batch("--retry-failed"))
        self.assertEqual(self.posts(), [PATH, PATH, VIDEO, VIDEO])

    def test_in_a_later_run_the_output_is_read_from_the_api_again(self) -> None:
        self.fake.clear_faults()
        self.fake.fault(Fault("status", 503), path=VIDEO, times=None)
        self.batch("--retries", "0")
        self.fake.clear_faults()
        self.next_task(path=VIDEO, statuses=["SUCCEEDED"])
        self.fake.requests.clear()
        self.assert_success(self.batch())
        self.assertEqual(self.posts(), [VIDEO])

    def test_a_name_is_found_however_its_letters_are_composed(self) -> None:
        self.write(
            {**self.rows[0], "@output-of.promptImage": "e\u0301te\u0301.0"}, {**self.rows[1], "@name": "\u00e9t\u00e9"}
        )
        self.assertEqual(len(self.batch("--dry-run").lines), 2)

    def test_another_input_makes_a_new_row(self) -> None:
        self.assert_success(self.batch())
        self.write(self.rows[0], {**self.rows[1], "promptText": "another fox"})
        self.assert_success(self.batch())
        self.assertEqual(self.posts(), [PATH, VIDEO] * 2)

    def test_unknown_names_and_circles_are_refused_before_anything_is_sent(self) -> None:
        row = self.rows[0]
        for rows, words in (
            ([row], "line 1: @output-of: no row has the @name 'fox'"),
            ([{**row, "@output-of.promptImage": "clip"}], "line 1: @output-of is circular: clip → clip"),
            (
                [{**row, "@name": name, "@output-of.promptImage": other} for name, other in ("ab", "bc", "ca")],
                "is circular: a → b → c → a",
            ),
        ):
            with self.subTest(words):
                self.write(*rows)
                self.assert_refused(self.batch(), words)

    def test_an_output_that_is_not_there_yet_passes_the_check(self) -> None:
        self.env |= {"RUNWAY_SKILLS_OPENAPI_URL": self.fake.contract_url, "XDG_CACHE_HOME": str(self.folder)}
        row = {**self.rows[0], "ratio": "1280:720", "duration": 5}
        self.write(row, self.rows[1])
        self.assert_success(self.batch("--check", "--dry-run"))

    def test_a_chain_may_be_long(self) -> None:
        count = 1200
        first = {"@name": "0", "promptText": "fox"}
        rest = [{"@name": str(n), "promptText": "on", "@output-of.image": str(n - 1)} for n in range(1, count)]
        self.write(*reversed([first, *rest]))
        self.assertEqual(len(self.batch("--dry-run").lines), count)
