"""Uploads: `upload`, `--upload` and `--data-uri`; both steps, their limits, and what the host hears."""

from __future__ import annotations

import base64
import json
import os
import sys
import unittest

from runway_cli.errors import UsageError
from runway_cli.files.upload import MAX_DATA_URI, MAX_UPLOAD, Form, InputFile
from tests.fake import Fault, sample
from tests.served import ServedTest

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF"
EBML = b"\x1aE\xdf\xa3\x9fB\x82\x88"  # how Matroska begins; the name of its kind follows
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 12345\n"


def ftyp(*brands: bytes) -> bytes:
    """The beginning of an ISO file with a major and further brands."""
    size = (12 + 4 * len(brands)).to_bytes(4, "big")
    return size + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:]) + bytes(600)


KINDS = ("upload", "data-uri")


class Uploads(ServedTest):
    def test_a_file_becomes_a_uri_in_two_steps(self) -> None:
        cat = self.file("cat.png", sample("image"))
        result = self.call("upload", cat)
        (uri,) = self.fake.uploads
        self.assertEqual(result.json, {"uri": uri, "file": str(cat), "bytes": len(sample("image"))})
        slot, form = self.fake.requests
        self.assertEqual((slot.server, slot.json()), ("api", {"filename": "cat.png", "type": "ephemeral"}))
        received = self.fake.uploads[uri]
        self.assertEqual((received["content"], received["mediaType"]), (sample("image"), "image/png"))
        self.assertEqual(
            sorted(form.headers),
            ["accept-encoding", "content-length", "content-type", "host", "user-agent"],
        )
        self.assertEqual(form.headers["content-length"], str(len(form.body)))

    @unittest.skipIf(sys.platform in ("win32", "darwin"), "these names are not possible there")
    def test_odd_names_arrive_as_they_are_or_escaped(self) -> None:
        for name, told, quoted in (
            ("Füchse im Schnee.png", "Füchse im Schnee.png", b'filename="F\xc3\xbcchse im Schnee.png"'),
            ('a"b.png', 'a"b.png', b'filename="a%22b.png"'),
            ("a\r\nb.png", "a\r\nb.png", b'filename="a%0D%0Ab.png"'),
            ("a;b=c.png", "a;b=c.png", b'filename="a;b=c.png"'),
            (os.fsdecode(b"a\xff.png"), "a\ufffd.png", b'filename="a\xef\xbf\xbd.png"'),
            ("n" * 251 + ".png", "n" * 251 + ".png", b'filename="' + b"n" * 251 + b'.png"'),
        ):
            with self.subTest(name[:20]):
                form = Form({}, InputFile(str(self.file(name, PNG)), "upload", is_upload=True))
                self.assertIn(quoted, form.head)
                result = self.call("upload", self.folder / name)
                self.assertEqual(result.json["file"], str(self.folder / told))
                self.assertEqual(self.fake.sent("POST", "/v1/uploads")[-1].json()["filename"], told)

    def test_a_file_is_sent_as_what_it_is_and_a_note_names_a_wrong_name(self) -> None:
        for name, named, content, told, kind in (
            ("cat.jpg", "image/jpeg", PNG, "cat.png", "image/png"),
            ("IMG.HEIC", "image/heic", JPEG, "IMG.jpg", "image/jpeg"),
            ("clip.mp4", "video/mp4", ftyp(b"qt  "), "clip.mov", "video/quicktime"),
            ("song.mp4", "video/mp4", ftyp(b"M4A ", b"isom"), "song.m4a", "audio/mp4"),
            ("song.mp3", "audio/mpeg", b"RIFF\0\0\0\0WAVEfmt ", "song.wav", "audio/wav"),
        ):
            with self.subTest(name):
                path = self.file(name, content)
                result = self.call("upload", path)
                self.assert_success(result, notes=[f"{path} is {kind}, not {named}: sent as {kind}"])
                self.assertEqual(self.fake.sent("POST", "/v1/uploads")[-1].json()["filename"], told)
                self.assertEqual(list(self.fake.uploads.values())[-1]["mediaType"], kind)

    def test_a_name_that_suits_is_kept_and_one_without_an_extension_gets_it(self) -> None:
        for name, content, kind in (
            ("A.JPEG", JPEG, "image/jpeg"),
            ("cat.hif", ftyp(b"heix", b"mif1", b"heix"), "image/heif"),
            ("talk.m4a", ftyp(b"mp42", b"isom"), "audio/mp4"),
            ("phone.mp4", ftyp(b"3gp4"), "video/mp4"),
            ("talk.mka", EBML + b"matroska", "audio/x-matroska"),
            ("odd.mp3", bytes(500), "audio/mpeg"),  # a content that tells nothing
            ("x", PNG, "image/png"),
            ("IMG.2024", PNG, "image/png"),
            (".png", PNG, "image/png"),
        ):
            with self.subTest(name):
                found = InputFile(str(self.file(name, content)), "upload", is_upload=True)
                told = f"{name}.png" if content == PNG else name
                self.assertEqual((found.name, found.type, found.note), (told, kind, None))

    def test_several_files_are_a_line_each(self) -> None:
        files = [self.file("a.png", PNG), self.file("b.png", PNG + b"2")]
        result = self.call("upload", *files)
        uris = list(self.fake.uploads)
        self.assertEqual(
            result.lines, [{"uri": uris[number], "file": str(files[number]), "bytes": 8 + number} for number in (0, 1)]
        )

    def test_values_of_the_form_that_the_host_repeats_are_masked(self) -> None:
        fields = {"policy": "eyJleHBpcmF0aW9u", "x-amz-signature": "eyJleHBpcmF0aW9uAndMore", "key": "short"}
        slot = {"uploadUrl": f"{self.fake.storage_url}/uploads/x", "fields": fields, "runwayUri": "runway://x"}
        said = f"<Code>Denied</Code><Message>{' and '.join(fields.values())} do not match</Message>"
        self.fake.fault(Fault("status", status=200, body=slot), path="/v1/uploads")
        self.fake.fault(Fault("status", status=400, body=said.encode()), server="storage")
        words = "the upload was refused: HTTP 400 Denied: *** and *** and short do not match"
        self.assert_error(self.call("upload", self.file("cat.png", PNG)), 1, status=400, error=words)

    def test_a_file_that_cannot_be_uploaded_is_refused_before_anything_is_sent(self) -> None:
        good = self.file("good.png", sample("image"))
        huge = self.file("huge.mp4", ftyp(b"isom"))
        os.truncate(huge, MAX_UPLOAD + 1)
        for path, words in (
            (self.folder / "missing.png", "cannot be read: "),
            (self.file("empty.png"), "is empty"),
            (self.folder, "is not a file"),
            (self.file("notes.txt", b"some words"), "is not a media file: its content is text/plain"),
            (self.file("noext", b"\1\2"), "is not a media file: neither its content nor its name tells"),
            (self.file("unknown", ftyp(b"abcd", b"isom")), "is not a media file"),
            (self.file("page.png", b"<!DOCTYPE html><html>"), "its content is text/html"),
            (self.file("error.mp4", b"<?xml version='1.0'?><Error/>"), "its content is application/xml"),
            (self.file("frames.mp4", b"PK\3\4"), "its content is application/zip"),
            (self.file("print.png", b"%PDF-1.7"), "its content is application/pdf"),
            (self.file("answer.png", b'{"error": "no"}'), "its content is application/json"),
            (self.file("word.png", b"AccessDenied"), "its content is text/plain"),
            (self.file("zeros.png", bytes(5000)), "its content is of an unknown format"),
            (self.file("lfs.png", LFS), "its content is a Git LFS pointer"),
            (huge, "larger than 200 MB"),
            (f"{self.folder}/good.png/x.png", "cannot be read: "),
        ):
            with self.subTest(path):
                result = self.call("upload", good, path)
                self.assert_error(result, 2, kind="usage")
                self.assertIn(words, result.error["error"])
        self.assertEqual(self.fake.requests, [])
        os.truncate(huge, MAX_UPLOAD)
        self.assertEqual(InputFile(str(huge), "upload", is_upload=True).size, MAX_UPLOAD)

    def test_stdin_and_empty_names_are_refused_in_words(self) -> None:
        for word, told in (
            ("-", "upload: '-' cannot be read: No such file or directory"),
            ("", "must not be empty: is a variable unset?"),
        ):
            self.assert_error(self.call("upload", word), 2, kind="usage", error=told)
        self.assertEqual(self.fake.requests, [])

    @unittest.skipIf(sys.platform == "win32", "there are no such files")
    def test_a_pipe_or_a_device_is_refused_at_once(self) -> None:
        os.mkfifo(self.folder / "pipe.png")
        (self.folder / "link.png").symlink_to("/dev/zero")
        for path in (self.folder / "pipe.png", self.folder / "link.png", "/dev/null"):
            for words in (("upload", path), *(("request", "POST", "/v1/x", f"--{kind}=a={path}") for kind in KINDS)):
                with self.subTest(words):
                    result = self.call(*words)
                    self.assert_error(result, 2, kind="usage")
                    self.assertIn(f"{str(path)!r} is not a file", result.error["error"])

    def test_a_slow_answer_or_an_expired_policy_gets_a_fresh_place_once(self) -> None:
        cat = self.file("cat.png", PNG)
        for status, code, words in (
            (400, "RequestTimeout", "Your socket connection to the server was not read from or written to"),
            (403, "AccessDenied", "Invalid according to Policy: Policy expired."),
        ):
            for times in (1, 2):
                with self.subTest(code, times=times):
                    self.fake.requests.clear()
                    answer = f"<Error><Code>{code}</Code><Message>{words}</Message></Error>".encode()
                    self.fake.fault(Fault("status", status=status, body=answer), server="storage", times=times)
                    result = self.call("upload", cat)
                    self.assertEqual(result.exit, (0, 77 if status == 403 else 1)[times - 1], result)
                    self.assertEqual([seen.server for seen in self.fake.requests], ["api", "storage"] * 2)

    def test_the_hosts_own_words_are_shown(self) -> None:
        cat = self.file("cat.png", PNG + bytes(92))
        self.fake.storage.upload_limit = 99
        result = self.call("upload", cat)
        words = "the upload was refused: HTTP 400 EntityTooLarge: Your proposed upload exceeds the maximum allowed size"
        self.assert_error(result, 1, kind="api", status=400, error=words)
        self.fake.storage.upload_limit = 100
        for body, words in ((b"<html><body><h1>Forbidden</h1></body></html>", "HTTP 403 Forbidden"), (b"", "HTTP 403")):
            self.fake.fault(Fault("status", status=403, body=body), server="storage")
            self.assert_error(self.call("upload", cat), 77, status=403, error=f"the upload was refused: {words}")

    def test_both_steps_are_retried(self) -> None:
        cat = self.file("cat.png", PNG + bytes(300_000))
        self.fake.fault(Fault("status"), path="/v1/uploads")
        for kind in ("reset_mid_body", "status"):
            self.fake.fault(Fault(kind), server="storage")
        result = self.call("upload", cat)
        self.assertEqual(result.exit, 0, result)
        self.assertEqual(
            [seen.server for seen in self.fake.requests], ["api", "api", "storage", "storage", "storage"], result
        )
        self.assertEqual(self.clock.slept[0] // 1, 1)
        self.fake.fault(Fault("reset_after_request"), server="storage", times=None)
        self.assert_error(self.call("upload", cat, "--retries", "1"), 69, kind="network")

    def test_no_file_goes_to_an_upload_url_that_cannot_be_used(self) -> None:
        cat = self.file("cat.png", PNG)
        for url in ("http://example.com/x", "file:///etc/passwd", "https://user@example.com/", "x"):
            with self.subTest(url):
                slot: dict[str, object] = {"uploadUrl": url, "fields": {}, "runwayUri": "runway://x"}
                self.fake.fault(Fault("status", status=200, body=slot))
                self.assert_error(self.call("upload", cat), 1, kind="api")
        self.fake.fault(Fault("status", status=200, body={"uploadUrl": "https://x"}))
        words = "the answer of /v1/uploads has no uploadUrl, fields and runwayUri"
        self.assert_error(self.call("upload", cat), 1, kind="api", error=words)

    def test_a_file_that_shrinks_meanwhile_is_not_sent_short(self) -> None:
        found = InputFile(str(self.file("cat.png", PNG + bytes(500))), "upload", is_upload=True)
        os.truncate(found.path, 200)
        with self.assertRaisesRegex(UsageError, "became shorter"):
            list(Form({}, found).pieces(lambda done, total: None))


class DataUris(ServedTest):
    def test_the_limit_is_met_to_the_character(self) -> None:
        most = (MAX_DATA_URI - len("data:image/png;base64,")) // 4 * 3
        path = str(self.file("cat.png", PNG + bytes(most - len(PNG))))
        uri = InputFile(path, "--data-uri", is_upload=False).data_uri()
        self.assertEqual(uri[:24], "data:image/png;base64,iV")
        self.assertLessEqual(len(uri), MAX_DATA_URI)
        self.assertGreater(len(uri), MAX_DATA_URI - 4)
        self.file("cat.png", PNG + bytes(most + 1 - len(PNG)))
        result = self.call("request", "POST", "/v1/x", "--data-uri", f"a={path}")
        self.assert_error(result, 2, kind="usage")
        self.assertTrue(result.error["error"].endswith("is over the limit of 5 MiB as encoded: use --upload instead"))
        self.assertEqual(self.fake.requests, [])

    def test_what_arrives_is_the_file(self) -> None:
        self.fake.fault(Fault("empty"))
        self.call("request", "POST", "/v1/x", "--data-uri", f"a={self.file('noext', sample('audio'))}")
        expected = "data:audio/wav;base64," + base64.b64encode(sample("audio")).decode()
        self.assertEqual(json.loads(self.fake.requests[-1].body), {"a": expected})
