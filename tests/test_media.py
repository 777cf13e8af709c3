"""Media types: one table tells them by content, by name and by what servers declare."""

from __future__ import annotations

import io
import time
import unittest

from runway_cli.files.media import declared_type, mismatch, type_by_content
from tests.batches import BatchTest
from tests.fake import Fault
from tests.served import ServedTest
from tests.test_uploads import EBML, LFS, PNG, ftyp

ID3 = b"ID3\4\0\0\0\0\2\0" + bytes(256)  # a tag of 256 bytes
ADTS = b"\xff\xf1\x50\x80"
TRACK = b"\x86\x85"  # before the name of a codec
# A name, what such a file begins with, and its media type.
FILES = (
    ("a.png", PNG, "image/png"),
    ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    ("a.avif", ftyp(b"avif", b"mif1"), "image/avif"),
    ("seq.avif", ftyp(b"avis", b"avif", b"msf1"), "image/avif"),
    ("a.heic", ftyp(b"mif1", b"mif1", b"heic"), "image/heic"),
    ("a.hif", ftyp(b"heix", b"mif1"), "image/heic"),
    ("a.heif", ftyp(b"mif1", b"mif1", b"miaf"), "image/heif"),
    ("a.cr3", ftyp(b"crx ", b"crx ", b"isom"), "image/x-canon-cr3"),
    ("a.tif", b"II*\0\x08\0\0\0", "image/tiff"),
    ("a.dng", b"MM\0*\0\0\0\x08", "image/tiff"),
    ("a.exr", b"v/1\x01\2\0\0\0", "image/x-exr"),
    ("a.svg", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a fox -->\n<svg xmlns=''/>", "image/svg+xml"),
    ("a.mp4", ftyp(b"isom", b"iso2", b"avc1", b"mp41"), "video/mp4"),
    ("phone.mp4", ftyp(b"3gp4", b"isom"), "video/3gpp"),
    ("a.mov", ftyp(b"qt  "), "video/quicktime"),
    ("a.m4a", ftyp(b"M4A ", b"mp42", b"isom"), "audio/mp4"),
    ("tube.m4a", ftyp(b"dash", b"iso6", b"mp41"), "video/mp4"),
    ("book.m4b", ftyp(b"M4B ", b"M4A "), "audio/mp4"),
    ("song.f4a", ftyp(b"F4A ", b"isom"), "audio/mp4"),
    ("a.webm", EBML + b"webm" + TRACK + b"V_VP9" + TRACK + b"A_OPUS", "video/webm"),
    ("sound.webm", EBML + b"webm" + TRACK + b"A_OPUS", "audio/webm"),
    ("a.mkv", EBML + b"matroska" + TRACK + b"V_MPEG4" + TRACK + b"A_AAC", "video/x-matroska"),
    ("a.mka", EBML + b"matroska" + TRACK + b"A_AAC", "audio/x-matroska"),
    ("a.ts", (b"G" + bytes(187)) * 3, "video/mp2t"),
    ("a.ogv", b"OggS" + bytes(24) + b"\x80theora", "video/ogg"),
    ("a.mp3", b"\xff\xfb\x90\x64", "audio/mpeg"),
    ("low.mp3", b"\xff\xe3\x18\xc4", "audio/mpeg"),
    ("tag.mp3", ID3 + b"\xff\xfb\x90\x64", "audio/mpeg"),
    ("long.mp3", b"ID3\4\0\0\0\1\0\0" + bytes(99), "audio/mpeg"),  # a tag that is longer than what is read
    ("a.aac", ADTS, "audio/aac"),
    ("tag.aac", ID3 + ADTS, "audio/aac"),
    ("a.flac", b"fLaC", "audio/flac"),
    ("foot.aac", b"ID3\4\0\x10\0\0\0\1x3DI\4\0\x10\0\0\0\1" + ADTS, "audio/aac"),
    ("padded.flac", ID3 + bytes(9000) + b"fLaC", "audio/flac"),
    ("tag.flac", ID3 + ID3 + b"fLaC", "audio/flac"),
    ("a.html", b"\n<!-- x --><!DOCTYPE HTML>", "text/html"),
    ("b.html", b"<?xml version='1.0'?><html xmlns=''><svg/>", "text/html"),
    ("a.xml", b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "application/xml"),
    ("b.txt", "no\u00eb l\u00e0\n".encode(), "text/plain"),
)
WRONG = (
    ("fox.mp4", ftyp(b"qt  "), "video/quicktime, not video/mp4"),
    ("fox.mp4", ftyp(b"M4A "), "audio/mp4, not video/mp4"),
    ("fox.mkv", EBML + b"matroska" + TRACK + b"A_AAC", "audio/x-matroska, not video/x-matroska"),
    ("fox.webm", EBML + b"matroska" + TRACK + b"V_MPEG4", "video/x-matroska, not video/webm"),
    ("fox.mp3", ADTS, "audio/aac, not audio/mpeg"),
    ("fox.JPG", PNG, "image/png, not image/jpeg"),
    ("fox.png", b"<Error><Code>AccessDenied</Code></Error>", "application/xml, not image/png"),
    ("fox.png", b"<html><svg></svg></html>", "text/html, not image/png"),
    ("fox.png", b"Access denied", "text/plain, not image/png"),
    *(("fox.png", text, "text/plain, not image/png") for text in (b"null", b"https://a.test/a.png", b"iVBORw0KGgo=")),
    ("fox.png", "<svg xmlns='x'/>".encode("utf-16"), "image/svg+xml, not image/png"),
    ("fox.png", "\ufeff<Error/>".encode("utf-16-be"), "application/xml, not image/png"),
    ("fox.mp4", b"PK\3\4", "application/zip, not video/mp4"),
    ("fox.png", LFS, "a Git LFS pointer, not image/png"),
    ("fox.mp4", b"%PDF-1.7", "application/pdf, not video/mp4"),
    ("fox.png", b"v/1\x01", "image/x-exr, not image/png"),
)


class MediaTypes(ServedTest):
    def test_a_content_has_its_type_and_a_name_that_suits_it_no_warning(self) -> None:
        for name, content, kind in FILES:
            with self.subTest(name):
                self.assertEqual(type_by_content(io.BytesIO(content)), kind)
                self.assertIsNone(mismatch(str(self.file(name, content))))

    def test_iso_media_of_an_unknown_brand_may_be_any(self) -> None:
        for content in (ftyp(b"abcd", b"isom"), b"\0\0\0\x08free\0\0\0\x08mdat"):
            with self.subTest(content[:20]):
                self.assertIsNone(type_by_content(io.BytesIO(content)))
                self.assertIsNone(mismatch(str(self.file("fox.mp4", content))))

    def test_a_content_without_a_signature_is_unknown_but_to_types_that_have_none(self) -> None:
        for content in (
            bytes(5000),
            b"caf\xe9 noir",
            bytes(range(256)),
            b"\x1f\x8b\x08\0abc",
            b"\x7fELF\x02\x01\x01\0",
        ):
            with self.subTest(content[:20]):
                for extension in ("png", "jpg", "gif", "webp", "mp4", "mov", "webm", "wav", "flac", "ogg"):
                    path = str(self.file(f"fox.{extension}", content))
                    self.assertIn("is of an unknown format, not ", mismatch(path) or "")
                for name in ("fox.mp3", "fox.bin", "fox"):
                    self.assertIsNone(mismatch(str(self.file(name, content))))

    def test_a_name_of_another_type_is_named(self) -> None:
        for name, content, words in WRONG:
            with self.subTest(name, words=words):
                path = str(self.file(name, content))
                self.assertEqual(mismatch(path), f"{path} is {words}")

    def test_a_hostile_file_is_judged_at_once(self) -> None:
        start = time.process_time()
        for piece in (
            b"ID3\4\0\0\0\0\0\0\0",
            b"<??>",
            b"<!---->",
            b"<!doctype svg[]>",
            b"<!--",
            b"ID3\4\0\0\0\0\0\0",
            b"\x86\x85A_",
            b" ",
        ):
            type_by_content(io.BytesIO(piece * (1_000_000 // len(piece)) + b"\0"))
        self.assertLess(time.process_time() - start, 1)


class RowsOfABatch(BatchTest):
    def test_a_row_names_an_output_that_is_no_media(self) -> None:
        self.write("fox")
        self.fake.fault(Fault("status", 200, body=b"<html><title>Sign in</title></html>"), server="storage")
        result = self.download()
        warning = f"{self.sky}/1.png is text/html, not image/png"
        self.assertEqual(result.lines[0]["warnings"], [warning])
        self.assertIn(warning, result.notes)


class DeclaredTypes(unittest.TestCase):
    def test_aliases_are_the_usual_type_and_what_tells_nothing_is_none(self) -> None:
        for declared, kind in (
            ("image/jpg", "image/jpeg"),
            ("Image/JPEG; q=1", "image/jpeg"),
            ("image/x-png", "image/png"),
            ("image/heic-sequence", "image/heic"),
            ("audio/mp3", "audio/mpeg"),
            ("audio/x-m4a", "audio/mp4"),
            ("audio/x-wav", "audio/wav"),
            ("audio/opus", "audio/ogg"),
            ("video/x-m4v", "video/x-m4v"),
            ("application/mp4", "video/mp4"),
            ("application/mxf", "video/mxf"),
            ("text/xml", "application/xml"),
            ("binary/octet-stream", None),
            ("application/octet-stream", None),
            ("", None),
            ("png", None),
        ):
            with self.subTest(declared):
                self.assertEqual(declared_type(declared), kind)
