"""ROWS of `batch`: JSON Lines and tables, files, names, and what is refused before anything is sent."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from tests.batches import PATH, BatchTest, by_name
from tests.fake import sample
from tests.program import Result

VIDEO = ("batch", "/v1/image_to_video")


class JsonLinesTest(BatchTest):
    def bodies(self) -> list[Any]:
        return sorted((seen.json() for seen in self.fake.sent("POST", PATH)), key=lambda body: str(body["promptText"]))

    def test_dots_nest_and_a_rows_own_field_wins(self) -> None:
        self.write({"promptText": "fox", "ratio": "1080:1080", "contentModeration.publicFigureThreshold": "low"})
        self.assert_success(self.batch())
        self.assertEqual(
            self.bodies()[0],
            {
                "model": "gen4_image",
                "ratio": "1080:1080",
                "promptText": "fox",
                "contentModeration": {"publicFigureThreshold": "low"},
            },
        )

    def test_a_rows_object_takes_the_place_of_a_shared_part(self) -> None:
        self.write({"promptText": "fox", "contentModeration": {"publicFigureThreshold": "low"}}, "owl")
        self.assert_success(self.batch("-f", "contentModeration.publicFigureThreshold=auto"))
        thresholds = [body["contentModeration"]["publicFigureThreshold"] for body in self.bodies()]
        self.assertEqual(thresholds, ["low", "auto"])

    def test_a_byte_order_mark_empty_lines_and_line_ends_of_windows_are_taken(self) -> None:
        self.prompts.write_bytes(b'\xef\xbb\xbf{"promptText": "fox"}\r\n\r\n{"promptText": "owl"}')
        result = self.batch()
        self.assert_success(result)
        self.assertEqual(sorted(row["row"] for row in result.lines), [1, 2])

    def test_numbers_are_sent_as_they_are_written(self) -> None:
        self.prompts.write_text('{"promptText": "fox", "seed": 12345678901234567890}\n', encoding="utf-8")
        result = self.batch("--dry-run")
        self.assertIn('"seed":12345678901234567890', result.stdout)

    def test_a_shared_body_is_laid_under_each_row(self) -> None:
        self.write("fox", "owl")
        self.assert_success(self.batch("--body", '{"seed": 4}'))
        self.assertEqual([body["seed"] for body in self.bodies()], [4, 4])

    def test_every_bad_row_is_named_and_nothing_is_sent(self) -> None:
        self.prompts.write_bytes(
            b'{"promptText": "fox"}\nnot json\n[1]\n{"@size": 3}\n{"a..b": 1}\n{"@name": ""}\n'
            b'{"@path": "/v1/uploads"}\n{"@upload.promptImage": "missing.png"}\n\xff\n{"a": 1, "a.b": 2}\n'
        )
        result = self.batch()
        self.assert_error(result, 2, kind="usage")
        for line in range(2, 11):
            self.assertIn(f"line {line}: ", result.error["error"])
        self.assertNotIn("line 1:", result.error["error"])
        self.assertEqual(len(result.error["issues"]), 9)
        self.assertEqual(self.fake.requests, [])
        self.assertFalse(self.log.exists())

    def test_unknown_keys_of_ours_are_errors(self) -> None:
        self.write({"promptText": "fox", "@nmae": "fox"})
        self.assert_error(
            self.batch(), 2, error="line 1: unknown key '@nmae': use @name, @path, @upload.KEY or @data-uri.KEY"
        )

    def test_no_rows_are_an_error(self) -> None:
        self.prompts.write_bytes(b"\n")
        self.assert_error(self.batch(), 2, error=f"ROWS {str(self.prompts)!r} has no rows")

    def test_a_missing_file_is_an_error(self) -> None:
        self.assert_error(self.batch(), 2, kind="usage")

    def test_utf_16_is_named(self) -> None:
        self.prompts.write_bytes('{"promptText": "fox"}'.encode("utf-16"))
        self.assertIn("UTF-16", self.batch().error["error"])

    def test_an_endpoint_that_starts_nothing_is_refused(self) -> None:
        self.write("fox")
        self.assert_error(self.call("batch", "/v1/documents", self.prompts, env=self.env), 2, kind="usage")

    def test_a_dry_run_of_the_api_is_refused(self) -> None:
        self.write({"promptText": "fox", "dryRun": True})
        self.assert_error(self.call("batch", "/v1/generate/image", self.prompts, env=self.env), 2, kind="usage")


class NamesTest(BatchTest):
    def refused(self, *rows: dict[str, Any]) -> Result:
        self.write(*rows)
        result = self.download()
        self.assert_error(result, 2, kind="usage")
        self.assertEqual(self.fake.requests, [])
        return result

    def test_two_rows_with_one_name_are_refused(self) -> None:
        result = self.refused({"promptText": "a", "@name": "fox"}, {"promptText": "b", "@name": "fox"})
        self.assertEqual(result.error["error"], "line 2: the name 'fox' is taken by line 1")

    def test_names_that_become_the_same_are_refused(self) -> None:
        for one, other in (("a/b", "a?b"), ("Fox", "fox"), ("fox.", "fox")):
            with self.subTest(one=one, other=other):
                self.refused({"promptText": "a", "@name": one}, {"promptText": "b", "@name": other})

    def test_names_are_made_safe(self) -> None:
        self.write({"promptText": "a", "@name": "../../etc/pass wd"}, {"promptText": "b", "@name": "con"})
        self.assert_success(self.download())
        self.assertEqual(self.saved(), ["_con.png", "etc_pass_wd.png"])

    def test_a_number_that_is_a_name_is_not_given_again(self) -> None:
        self.write("fox", {"promptText": "owl", "@name": "1"})
        result = self.download()
        self.assert_success(result)
        self.assertEqual({name: row["row"] for name, row in by_name(result).items()}, {"1": 2, "2": 1})

    def test_a_foreign_file_is_not_replaced(self) -> None:
        self.file("sky/2.jpeg", b"mine")
        self.write("fox", "owl")
        result = self.download()
        self.assert_error(result, 2, kind="usage")
        self.assertIn("line 2: ", result.error["error"])
        self.assertEqual(self.posts(), [])
        self.assertIn(f"{self.folder / 'sky-2'}/", result.error["example"])

    def test_force_replaces_a_foreign_file(self) -> None:
        path = self.file("sky/1.png", b"mine")
        self.write("fox")
        self.assert_success(self.download("--force"))
        self.assertEqual(path.read_bytes(), sample("image"))

    def test_a_file_with_a_number_is_in_the_way_too(self) -> None:
        self.file("sky/fox-1.png", b"mine")
        self.write({"promptText": "a", "@name": "fox"})
        self.assert_error(self.download(), 2, kind="usage")

    def test_files_of_other_rows_are_not_in_the_way(self) -> None:
        self.write({"promptText": "a", "@name": "fox-1"})
        self.assert_success(self.download())
        self.write({"promptText": "a", "@name": "fox-1"}, {"promptText": "b", "@name": "fox"})
        self.assert_success(self.download())
        self.assertEqual(self.saved(), ["fox-1.png", "fox.png"])


class TableTest(BatchTest):
    def table(self, text: str, *words: str, encoding: str = "utf-8") -> Result:
        path = self.file("products.csv", text.encode(encoding))
        return self.batch("--dry-run", *words, rows=path)

    def test_cells_are_texts_json_or_left_out(self) -> None:
        rows = self.table('promptText,seed:json,@name\n"a fox, ""red""",7,fox\nan owl,,owl\n').lines
        self.assertEqual(rows[0]["body"]["promptText"], 'a fox, "red"')
        self.assertEqual(rows[0]["body"]["seed"], 7)
        self.assertNotIn("seed", rows[1]["body"])
        self.assertEqual([row["name"] for row in rows], ["fox", "owl"])

    def test_a_byte_order_mark_and_line_ends_of_spreadsheets_are_taken(self) -> None:
        rows = self.table("promptText\r\nfox\r\n\r\n,\r\nowl\r\n", encoding="utf-8-sig").lines
        self.assertEqual([row["body"]["promptText"] for row in rows], ["fox", "owl"])

    def test_a_cell_may_have_several_lines(self) -> None:
        result = self.table('promptText,seed:json\n"two\nlines",x\n')
        self.assert_error(result, 2)
        self.assertIn("line 2: seed: 'x' is not JSON", result.error["error"])

    def test_lines_are_counted_behind_a_cell_of_several_lines(self) -> None:
        result = self.table('promptText,seed:json\n"two\nlines",1\nfox,x\n')
        self.assertIn("line 4: seed", result.error["error"])

    def test_a_cell_without_a_column_is_an_error(self) -> None:
        self.assertIn("line 3: a cell has no column", self.table("promptText\nfox\nowl,x\n").error["error"])

    def test_empty_columns_at_the_end_are_dropped(self) -> None:
        self.assertEqual(self.table("promptText,,\nfox,,\n").lines[0]["body"]["promptText"], "fox")

    def test_headers_that_cannot_be_meant_are_refused(self) -> None:
        for header in ("promptText,promptText", "seed,seed:json", "promptText;seed"):
            with self.subTest(header):
                self.assert_error(self.table(f"{header}\na,1\n"), 2, kind="usage")

    def test_a_quote_that_does_not_end_is_an_error(self) -> None:
        self.assertIn("line 2: not CSV", self.table('promptText\n"fox\n').error["error"])

    def test_what_is_not_utf_8_is_named_with_its_line(self) -> None:
        self.assertIn("line 3: not UTF-8", self.table("promptText\nfox\nm\xfcde\n", encoding="latin-1").error["error"])

    def test_a_table_without_rows_is_an_error(self) -> None:
        self.assert_error(self.table("promptText\n"), 2, kind="usage")

    def test_columns_in_another_order_are_the_same_rows(self) -> None:
        path = self.file("products.csv", b"promptText,seed:json\nfox,1\n")
        self.assert_success(self.batch(rows=path))
        self.file("products.csv", b"seed:json,promptText\n1,fox\n")
        self.assertTrue(self.batch(rows=path).lines[0]["skipped"])


class FilesTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.cat = self.file("cat.png", sample("image"))

    def run_rows(self, *words: str | os.PathLike[str], **env: str) -> Result:
        found = map(str, words)
        shared = ("-f", "model=gen4_turbo", "-f", "ratio=1280:720")
        return self.call(*VIDEO, self.prompts, *shared, *found, env={**self.env, **env})

    def images(self) -> list[str]:
        return [seen.json()["promptImage"] for seen in self.fake.sent("POST", "/v1/image_to_video")]

    def test_a_file_is_uploaded_for_its_row(self) -> None:
        self.write({"promptText": "fox", "@upload.promptImage": str(self.cat)})
        self.assert_success(self.run_rows())
        uri = self.images()[0]
        self.assertEqual(self.fake.uploads[uri]["sha256"], hashlib.sha256(sample("image")).hexdigest())

    def test_a_shared_upload_happens_once(self) -> None:
        self.write("fox", "owl", "elk", "bee", "cow")
        self.assert_success(self.run_rows("--upload", f"promptImage={self.cat}"))
        self.assertEqual(len(self.fake.uploads), 1)
        self.assertEqual(len(set(self.images())), 1)

    def test_one_file_of_several_rows_is_uploaded_once(self) -> None:
        copy = self.file("copy.png", sample("image"))
        self.write(*({"promptText": str(path), "@upload.promptImage": str(path)} for path in (self.cat, copy)))
        self.assert_success(self.run_rows())
        self.assertEqual(len(self.fake.uploads), 1)

    def test_a_shared_upload_that_every_row_replaces_does_not_happen(self) -> None:
        self.write({"promptText": "fox", "promptImage": "https://example.com/a.png"})
        self.assert_success(self.run_rows("--upload", f"promptImage={self.cat}"))
        self.assertEqual(len(self.fake.uploads), 0)

    def test_a_file_is_inlined_for_its_row(self) -> None:
        self.write({"promptText": "fox", "@data-uri.promptImage": str(self.cat)})
        self.assert_success(self.run_rows())
        self.assertTrue(self.images()[0].startswith("data:image/png;base64,"))

    def test_no_upload_is_repeated_for_a_row_that_is_done(self) -> None:
        self.write({"promptText": "fox", "@upload.promptImage": str(self.cat)})
        self.assert_success(self.run_rows())
        self.clock.now += 90_000
        result = self.run_rows()
        self.assertTrue(result.lines[0]["skipped"])
        self.assertEqual(len(self.fake.uploads), 1)

    def test_an_upload_is_used_again_for_a_day(self) -> None:
        for seconds, count in ((80_000, 1), (8_000, 2)):
            with self.subTest(seconds):
                rows = ("fox", "owl", "elk")[: count + 1]
                self.write(*({"promptText": name, "@upload.promptImage": str(self.cat)} for name in rows[:count]))
                self.assert_success(self.run_rows())
                self.clock.now += seconds
                self.write(*({"promptText": name, "@upload.promptImage": str(self.cat)} for name in rows))
                self.assert_success(self.run_rows())
                self.assertEqual(len(self.fake.uploads), count)

    def test_a_changed_file_makes_another_row(self) -> None:
        self.write({"promptText": "fox", "@upload.promptImage": str(self.cat)})
        self.assert_success(self.run_rows())
        self.cat.write_bytes(sample("image") + b"changed")
        self.assert_success(self.run_rows())
        self.assertEqual(len(self.fake.accepted), 2)

    def test_a_renamed_file_makes_no_other_row(self) -> None:
        self.write({"promptText": "fox", "@data-uri.promptImage": str(self.cat)})
        self.assert_success(self.run_rows())
        renamed = self.cat.rename(self.folder / "dog.png")
        self.write({"promptText": "fox", "@data-uri.promptImage": str(renamed)})
        self.assertTrue(self.run_rows().lines[0]["skipped"])

    def test_a_file_that_is_too_large_to_be_inlined_is_refused(self) -> None:
        self.file("large.png", sample("image") + bytes(5_000_000))
        self.write({"promptText": "fox", "@data-uri.promptImage": str(self.folder / "large.png")})
        result = self.run_rows()
        self.assert_error(result, 2)
        self.assertIn("line 1: @data-uri.promptImage", result.error["error"])

    def test_a_file_that_changes_during_the_run_is_not_sent(self) -> None:
        self.write("fox", {"promptText": "owl", "@data-uri.promptImage": str(self.cat)})

        def change(_: str) -> None:
            self.cat.write_bytes(b"\x89PNG\r\n\x1a\nanother")

        self.fake.on("post accepted", change)
        result = self.run_rows("-f", "promptImage=https://example.com/a.png", "--parallel", "1")
        self.assert_error(result, 74)
        self.assertEqual(len(self.fake.accepted), 1)
        self.assertEqual(by_name(result)["2"]["status"], "NOT_STARTED")

    def test_through_a_gateway_that_takes_no_uploads_nothing_is_sent(self) -> None:
        self.write({"promptText": "fox", "@upload.promptImage": str(self.cat)})
        result = self.run_rows("--gateway", "lowcodeapi", **self.fake.gateway_env())
        self.assert_error(result, 2)
        self.assertEqual(self.fake.requests, [])
