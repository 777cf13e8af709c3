"""ROWS of `batch`: JSON Lines and tables, files, names, and what is refused before anything is sent."""

from __future__ import annotations

import hashlib
import os
import sys
import unittest
from pathlib import Path
from typing import Any

from tests.batches import PATH, BatchTest, by_name
from tests.fake import sample
from tests.program import Result

MARK = b"\xef\xbb\xbf"


class JsonLinesTest(BatchTest):
    def bodies(self, *words: str) -> list[Any]:
        """The bodies that would be sent."""
        result = self.batch("--dry-run", *words)
        self.assert_success(result)
        return [line["body"] for line in result.lines]

    def test_dots_nest_and_a_rows_own_field_wins(self) -> None:
        self.write({"promptText": "fox", "ratio": "1080:1080", "contentModeration.publicFigureThreshold": "low"})
        moderation = {"publicFigureThreshold": "low"}
        body = {"model": "gen4_image", "ratio": "1080:1080", "promptText": "fox", "contentModeration": moderation}
        self.assertEqual(self.bodies(), [body])
        self.assert_success(self.batch())
        self.assertEqual([seen.json() for seen in self.fake.sent("POST", PATH)], [body])

    def test_the_fields_of_a_row_do_not_reach_the_next(self) -> None:
        key = "contentModeration.publicFigureThreshold"
        shared = '{"contentModeration":{"publicFigureThreshold":"auto"},"seed":4}'
        for own in ({key: "low"}, {"contentModeration": {"publicFigureThreshold": "low"}}):
            for words in (("--body", shared), ("-f", f"{key}=auto", "-F", "seed=4")):
                with self.subTest(own=own, words=words):
                    self.write({"promptText": "fox", **own}, "owl")
                    bodies = self.bodies(*words)
                    thresholds = [body["contentModeration"]["publicFigureThreshold"] for body in bodies]
                    self.assertEqual(thresholds, ["low", "auto"])
                    self.assertEqual([body["seed"] for body in bodies], [4, 4])

    def test_a_byte_order_mark_empty_lines_and_line_ends_of_windows_are_taken(self) -> None:
        self.prompts.write_bytes(MARK + b'{"promptText": "fox"}\r\n\r\n{"promptText": "owl"}')
        self.assertEqual([body["promptText"] for body in self.bodies()], ["fox", "owl"])

    def test_numbers_are_sent_as_they_are_written(self) -> None:
        self.prompts.write_text('{"promptText": "fox", "seed": 12345678901234567890}\n', encoding="utf-8")
        self.assertIn('"seed":12345678901234567890', self.batch("--dry-run").stdout)

    def test_every_bad_row_is_named_and_nothing_is_sent(self) -> None:
        faults = {
            b"not json": "not JSON: ",
            b"[1]": "not a JSON object",
            b'{"a": 1, "a": 2}': "not JSON: duplicate key 'a'",
            b'{"a":' + b"[" * 900 + b"]" * 900 + b"}": "nested too deeply",
            b'{"@nmae": "fox"}': "unknown key '@nmae': use @name, @path, @upload.KEY, @data-uri.KEY, @output-of.KEY",
            b'{"@name": ""}': '@name must be a non-empty string, not ""',
            b'{"@path": "/v1/uploads"}': "a POST to /v1/uploads creates no task: use `request`",
            b'{"@path": "/v1/generate/image", "dryRun": true}': "dryRun: true creates no task: use `request`",
            b'{"@upload.promptImage": "missing.png"}': "@upload.promptImage: 'missing.png' cannot be read",
            b'{"a[0].b": 1}': "the key 'a[0].b' has brackets: write a.0.b",
            b'{"a": "\\ud83d"}': "\\ud83d is half of a surrogate pair",
            b'{"a..b": 1}': "'a..b' is not a field key: it has an empty part",
            b'{"a": 1, "a.b": 2}': "a.b is given twice, or as a part of another field",
        }
        self.prompts.write_bytes(b'{"promptText": "fox"}\n' + b"\n".join(faults))
        result = self.batch()
        self.assert_refused(result)
        found = {issue["field"]: issue["messages"][0] for issue in result.error["issues"]}
        self.assertEqual(list(found), [f"line {line}" for line in range(2, len(faults) + 2)])
        for line, words in enumerate(faults.values(), 2):
            with self.subTest(words):
                self.assertIn(words, found[f"line {line}"])
                self.assertIn(f"line {line}: {found[f'line {line}']}", result.error["error"])
        self.assertEqual(self.fake.requests, [])
        self.assertFalse(self.ledger.exists())

    def test_a_file_without_usable_rows_and_an_array_that_is_none_are_refused(self) -> None:
        self.assert_refused(self.batch(), "cannot be read")
        for content, words in (
            (b"\n", f"ROWS {str(self.prompts)!r} has no rows"),
            ('{"promptText": "fox"}'.encode("utf-16"), "is UTF-16: save it as UTF-8"),
            (b'[\n {"a": 1},\n 7\n]', "line 3: not a JSON object"),
            (b'[\n {"a": 1},\n {"a": 1, "a": 2}\n]', "line 3: not JSON: duplicate key 'a'"),
            (b'[\n {"a": 1}\n {"a": 2}\n]', "Expecting ',' delimiter at line 3"),
            (b'[{"a": 1}', "Expecting ',' delimiter at line 1"),
            (b'[{"a": 1},]', "at line 1, column 1"),  # the words are Python's, and so is the column: 10 or 11
            (b'[{"a": 1}]\n{"a": 2}', "Extra data at line 2"),
            (b"[]", "has no rows"),
        ):
            with self.subTest(content):
                self.prompts.write_bytes(content)
                self.assert_refused(self.batch(), words)

    @unittest.skipUnless(hasattr(os, "mkfifo"), "named pipes")
    def test_a_pipe_a_device_and_a_folder_are_refused_at_once(self) -> None:
        os.mkfifo(self.folder / "pipe")
        (self.folder / "link").symlink_to(self.folder / "pipe")
        for path in (self.folder / "pipe", self.folder / "link", "/dev/zero", self.folder):
            with self.subTest(path):
                self.assert_refused(self.batch(rows=path), "is not a regular file: use - for rows on stdin")

    def test_shared_and_own_fields_are_laid_together_in_the_order_of_a_list(self) -> None:
        shared = ("-f", "referenceImages.1.uri=https://b", "-f", "referenceImages.1.tag=b")
        self.write({"promptText": "fox", "referenceImages.0.uri": "https://a", "referenceImages.1.tag": "own"})
        images = [{"uri": "https://a"}, {"uri": "https://b", "tag": "own"}]
        self.assertEqual(self.bodies(*shared)[0]["referenceImages"], images)
        self.write("fox")
        self.assert_refused(self.batch(*shared), "line 1: referenceImages.1.uri: referenceImages has 0 items")

    def test_an_endpoint_that_creates_no_task_is_refused(self) -> None:
        self.write("fox")
        self.assert_refused(self.call("batch", "/v1/documents", self.prompts, env=self.env), "creates no task")


class NamesTest(BatchTest):
    def named(self, *names: str | None) -> None:
        """Write rows with these names, None for a row without one."""
        rows = [{"promptText": str(number), "@name": name} for number, name in enumerate(names)]
        self.write(*({key: value for key, value in row.items() if value is not None} for row in rows))

    def test_two_rows_with_one_name_are_refused(self) -> None:
        for one, other in (("fox", "fox"), ("a/b", "a?b"), ("Fox", "fox"), ("fox.", "fox")):
            with self.subTest(one=one, other=other):
                self.named(one, other)
                self.assert_refused(self.download(), "' is taken by line 1")
        self.assertEqual(self.fake.requests, [])

    def test_names_are_made_safe(self) -> None:
        self.named("../../etc/pass wd", "con")
        self.assert_success(self.download())
        self.assertEqual(self.saved(), ["_con.png", "etc_pass_wd.png"])

    def test_names_keep_the_letters_of_every_script(self) -> None:
        names = ("狐狸", "лиса", "हिन्दी", "e\u0301te\u0301", "x" * 300 + "狐" * 300)
        self.named(*names)
        self.assert_success(self.download())
        found = self.saved()
        for name in ("狐狸.png", "лиса.png", "हिन्दी.png", "\u00e9t\u00e9.png"):
            self.assertIn(name, found)
        self.named("\u00c9t\u00e9", "e\u0301te\u0301")
        self.assert_refused(self.download(), "is taken by line 1", sent=5)

    @unittest.skipIf(sys.platform == "win32", "the folder of the rows has another drive there")
    def test_rows_and_ledgers_are_not_replaced_even_with_force(self) -> None:
        for name in ("prompts", "history"):
            self.named(name)
            self.history.touch()
            with self.subTest(name):
                result = self.batch("--download", self.folder, "--force")
                self.assert_refused(result, "exists: use another @name")
        rows = self.file("rows.jsonl", b'{"promptText": "fox", "@name": "fox"}\n')
        log = self.ledger_named("fox.png")
        self.assert_refused(self.batch("--download", self.folder, "--log", log, "--force", rows=rows))

    def ledger_named(self, name: str) -> Path:
        """A ledger with the name of an output."""
        rows = self.file("other.jsonl", b'{"promptText": "owl"}\n')
        self.assert_success(self.batch("--log", self.folder / name, rows=rows))
        self.fake.requests.clear()
        return self.folder / name

    def test_a_number_that_is_a_name_is_not_given_again(self) -> None:
        self.named(None, "1")
        result = self.download("--dry-run")
        self.assertEqual({name: row["row"] for name, row in by_name(result).items()}, {"1": 2, "2": 1})

    def test_a_foreign_file_is_replaced_with_force_only(self) -> None:
        path = self.file("sky/2.png", b"mine")
        self.write("fox", "owl")
        result = self.download()
        self.assert_refused(result, f"line 2: {f'{self.sky}/2.png'!r} exists: use another @name or --force")
        self.assertIn(f"{self.folder / 'sky-2'}/", result.error["example"])
        self.assert_success(self.download("--force"))
        self.assertEqual(path.read_bytes(), sample("image"))

    def test_a_file_of_another_type_or_with_a_number_is_in_the_way_too(self) -> None:
        self.named("fox")
        for name in ("sky/fox.jpeg", "sky/fox-1.png"):
            with self.subTest(name):
                path = self.file(name, b"mine")
                self.assert_refused(self.download(), "exists")
                path.unlink()

    def test_files_of_other_rows_are_not_in_the_way(self) -> None:
        self.named("fox-1")
        self.assert_success(self.download())
        self.named("fox-1", "fox")
        self.assert_success(self.download())
        self.assertEqual(self.saved(), ["fox-1.png", "fox.png"])


class TableTest(BatchTest):
    def table(self, content: bytes) -> Result:
        return self.batch("--dry-run", rows=self.file("products.csv", content))

    def test_cells_are_texts_json_or_left_out(self) -> None:
        rows = self.table(b'promptText,seed:json,@name\n"a fox, ""red""",7,fox\nan owl,,owl\n').lines
        self.assertEqual(rows[0]["body"]["promptText"], 'a fox, "red"')
        self.assertEqual(rows[0]["body"]["seed"], 7)
        self.assertNotIn("seed", rows[1]["body"])
        self.assertEqual([row["name"] for row in rows], ["fox", "owl"])

    def test_what_spreadsheets_write_is_taken(self) -> None:
        for content in (
            MARK + b"promptText\r\nfox\r\n\r\n,\r\nowl\r\n",
            b"promptText,,\nfox,,\nowl,,\n",
            b"promptText\n\nfox\nowl",
        ):
            with self.subTest(content):
                self.assertEqual([row["body"]["promptText"] for row in self.table(content).lines], ["fox", "owl"])

    def test_a_fault_is_named_with_its_line(self) -> None:
        for content, words in (
            (b'promptText,seed:json\n"two\nlines",x\n', "line 2: seed: 'x' is not JSON"),
            (b'promptText,seed:json\n"two\nlines",1\nfox,x\n', "line 4: seed: 'x' is not JSON"),
            (b"promptText\nfox\nowl,x\n", "line 3: a cell has no column"),
            (b"promptText,promptText\na,1\n", "line 1: duplicate key 'promptText'"),
            (b"@name,a[0].uri\nx,y\n", "line 1: the key 'a[0].uri' has brackets: write a.0.uri"),
            (b'promptText,a:json\nfox,"""\\ud83d"""\n', "line 2: a: "),
            (b"seed,seed:json\na,1\n", "line 1: duplicate key 'seed'"),
            (b"promptText;seed\na,1\n", "line 1: the header has only one column"),
            (b'promptText\n"fox\n', "line 2: unexpected end of data"),
            (b"promptText\nfox\nm\xfcde\n", "line 3 has bytes that are not UTF-8"),
            (b"promptText\n", "has no rows"),
            (b"promptText\na\nb\0c\n", "line 3 has a NUL byte"),
            ("promptText\nfox\n".encode("utf-16-le"), "line 1 has a NUL byte"),
            (MARK * 2 + b"promptText\nfox\n", "line 1 has a second byte order mark"),
            (b"promptText\nfox\n" + MARK + b"promptText\nowl\n", "line 3 has a second byte order mark"),
            (b"promptText\rfox\r" + MARK + b"promptText\rowl\r", "line 3 has a second byte order mark"),
            (b'sep="\npromptText\nfox\n', "line 1: sep= does not name a separator"),
        ):
            with self.subTest(words):
                self.assert_refused(self.table(content), words)

    def test_other_ways_to_write_a_table_are_taken(self) -> None:
        for name, content in (
            (
                "a.csv",
                b"sep=,\r\npromptText,audio:json,seed:json\r\na fox,TRUE,1\r\nan owl,FALSE,2\r\n\x1a",
            ),  # the end of a file of DOS
            ("a.csv", b"sep=;\r\npromptText;audio:json;seed:json\r\na fox;TRUE;1\r\nan owl;FALSE;2\r\n"),
            ("a.csv", b'audio:json, promptText, seed:json\ntrue, a fox, 1\nfalse, "an owl", 2\n'),
            ("a.csv", b"promptText,audio:json,seed:json\ra fox,true,1\ran owl,false,2\r"),
            (
                "a.jsonl",
                b'{"promptText":"a fox","audio":true,"seed":1}\r{"promptText":"an owl","audio":false,"seed":2}',
            ),
            ("a.tsv", b"promptText\taudio:json\tseed:json\na fox\ttrue\t1\nan owl\tfalse\t2\n"),
            (
                "a.json",
                b'[{"promptText":"a fox","audio":true,"seed":1},\n{"promptText":"an owl","audio":false,"seed":2}]',
            ),
        ):
            with self.subTest(content):
                bodies = [row["body"] for row in self.batch("--dry-run", rows=self.file(name, content)).lines]
                found = [(body["promptText"], body["audio"], body["seed"]) for body in bodies]
                self.assertEqual(found, [("a fox", True, 1), ("an owl", False, 2)])
        faults = (
            (b"sep=,\npromptText,seed:json\nfox,x\n", "line 3: seed"),
            (b"sep=,\npromptText\n\nfox,x\n", "line 4: a cell has no column"),
        )
        for content, words in faults:
            with self.subTest(content):
                self.assert_refused(self.table(content), words)

    def test_columns_in_another_order_are_the_same_rows(self) -> None:
        path = self.file("products.csv", b"promptText,seed:json\nfox,1\n")
        self.assert_success(self.batch(rows=path))
        self.file("products.csv", b"seed:json,promptText\n1,fox\n")
        self.assertTrue(self.batch(rows=path).lines[0]["skipped"])


class FilesTest(BatchTest):
    def setUp(self) -> None:
        super().setUp()
        self.cat = self.file("cat.png", sample("image"))
        self.shared = ("--upload", f"promptImage={self.cat}")

    def run_rows(self, *words: str | os.PathLike[str], **env: str) -> Result:
        shared = ("-f", "model=gen4_turbo", "-f", "ratio=1280:720")
        found = map(str, words)
        return self.call("batch", "/v1/image_to_video", self.prompts, *shared, *found, env={**self.env, **env})

    def write_rows(self, *prompts: str, key: str = "@upload.promptImage", file: os.PathLike[str] | None = None) -> None:
        """Write a row with the file for each prompt."""
        self.write(*({"promptText": prompt, key: str(file or self.cat)} for prompt in prompts))

    def images(self) -> list[str]:
        return [seen.json()["promptImage"] for seen in self.fake.sent("POST", "/v1/image_to_video")]

    def test_a_file_is_uploaded_for_its_row(self) -> None:
        self.write_rows("fox")
        self.assert_success(self.run_rows())
        uri = self.images()[0]
        self.assertEqual(self.fake.uploads[uri]["sha256"], hashlib.sha256(sample("image")).hexdigest())

    def test_an_upload_that_is_an_address_stays_as_it_is_and_a_file_in_place_of_one_is_refused(self) -> None:
        address = "https://example.com/a.png"
        self.write({"promptText": "fox", "@upload.promptImage": address}, "owl")
        rows = self.run_rows("--upload", "promptImage=runway://owl", "--dry-run").lines
        self.assertEqual([row["body"]["promptImage"] for row in rows], [address, "runway://owl"])
        self.write_rows("owl", key="promptImage")
        self.assert_refused(self.run_rows(), f"line 1: promptImage: {str(self.cat)!r} is a file, and the field takes")
        self.write("fox")
        result = self.run_rows("-f", f"promptImage={self.cat}")
        self.assert_refused(result, "is a file, and the field takes a URL")
        self.assertIn(f"--upload promptImage={self.cat}", result.error["example"])

    def test_a_file_of_several_rows_is_uploaded_once(self) -> None:
        self.write("fox", "owl", "elk", "bee", "cow")
        self.assert_success(self.run_rows(*self.shared))
        copy = self.file("copy.png", sample("image"))
        self.write_rows("ant", file=copy)
        self.assert_success(self.run_rows())
        self.assertEqual(len(self.fake.uploads), 1)
        self.assertEqual(len(set(self.images())), 1)

    def test_an_upload_is_used_again_for_a_day_and_none_is_repeated_for_a_row_that_is_done(self) -> None:
        rows = ("fox", "owl", "elk")
        for seconds, count, uploads in ((0, 1, 1), (80_000, 2, 1), (8_000, 2, 1), (0, 3, 2)):
            with self.subTest(seconds=seconds, rows=count):
                self.clock.now += seconds
                self.write_rows(*rows[:count])
                self.assert_success(self.run_rows())
                self.assertEqual(len(self.fake.uploads), uploads)
                self.assertEqual(len(self.fake.accepted), count)

    def test_a_row_follows_the_content_of_its_file_and_not_its_name(self) -> None:
        self.write_rows("fox", key="@data-uri.promptImage")
        self.assert_success(self.run_rows())
        renamed = self.cat.rename(self.folder / "dog.png")
        self.write_rows("fox", key="@data-uri.promptImage", file=renamed)
        self.assertTrue(self.run_rows().lines[0]["skipped"])
        renamed.write_bytes(sample("image") + b"changed")
        self.assert_success(self.run_rows())
        self.assertEqual(len(self.fake.accepted), 2)

    def test_a_file_that_changes_during_the_run_is_not_sent(self) -> None:
        def change(_: str) -> None:
            self.cat.write_bytes(b"\x89PNG\r\n\x1a\nanother")

        self.fake.on("post accepted", change)
        for key in ("@data-uri.promptImage", "@upload.promptImage"):
            with self.subTest(key):
                self.cat.write_bytes(sample("image"))
                first = {"promptText": key, "promptImage": "https://example.com/a.png"}
                self.write(first, {"promptText": "owl", key: str(self.cat)})
                before = len(self.fake.accepted)
                result = self.run_rows("--parallel", "1")
                self.assert_error(result, 74, kind="io")
                self.assertIn("was changed or removed during the run", by_name(result)["2"]["error"])
                self.assertEqual(by_name(result)["2"]["status"], "NOT_STARTED")
                self.assertEqual(len(self.fake.accepted), before + 1)
                self.assertEqual(len(self.fake.uploads), 0)
                self.ledger.unlink()

    def test_through_a_gateway_that_takes_no_uploads_nothing_is_sent(self) -> None:
        self.write_rows("fox")
        self.assert_refused(self.run_rows("--gateway", "lowcodeapi", **self.fake.gateway_env()))
        self.assertEqual(self.fake.requests, [])
