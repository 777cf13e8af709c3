"""Media types: by a file's name, by its content, and by what a server declares. One table for uploads and downloads."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from io import BufferedIOBase

# What may come before the first element of XML or HTML.
PROLOG = rb"(?i)\s*((<\?[^>]*>|<!--((?!-->).)*-->|<!doctype\s+svg[^>[]*(\[[^]]*\]\s*)?>)\s*)*"
# A type, its extensions, and how its files begin. The first extension is for new names. After the bar come those of
# other types whose content looks the same, because the container is. The first row that matches is used. ISO media (MP4
# and its relatives) differ in their brand; an unknown brand says nothing.
TYPES = (
    ("image/jpeg", "jpg jpeg jpe jfif", rb"\xff\xd8\xff"),
    ("image/png", "png apng", rb"\x89PNG\r\n\x1a\n"),
    ("image/webp", "webp", rb"RIFF....WEBP"),
    ("image/gif", "gif", rb"GIF8[79]a"),
    ("image/avif", "avif avifs", rb"....ftyp(avi[fos]|m[is]f1....(....)*?avi[fs])"),
    ("image/heic", "heic heics | heif heifs hif", rb"....ftyp(he[iv][cmsx]|m[is]f1....(....)*?he[iv][cmsx])"),
    ("image/heif", "heif heifs hif | heic heics avif avifs", rb"....ftyp(mif[12]|msf1|miaf)"),
    ("image/jxl", "jxl", rb"\xff\x0a|\0\0\0\x0cJXL \r\n"),
    ("image/bmp", "bmp", rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
    ("image/x-canon-cr3", "cr3", rb"....ftypcrx "),
    ("image/tiff", "tif tiff dng", rb"II[*+]\0|MM\0[*+]"),
    ("image/x-exr", "exr", rb"v/1\x01"),
    ("image/svg+xml", "svg | xml", PROLOG + rb"<(\w+:)?svg[\s>]"),
    ("audio/mp4", "m4a m4b m4p f4a f4b", rb"....ftyp(M4[ABP]|[Ff]4[AB]) "),
    ("video/x-m4v", "m4v | mp4 f4v", rb"....ftyp(M4V|M4VH|M4VP)"),
    ("video/3gpp", "3gp 3gpp 3g2 | mp4 f4v", rb"....ftyp(3g|kddi)"),
    ("video/mp4", "mp4 f4v | m4a m4b m4p f4a f4b m4v 3gp 3gpp 3g2", rb"....ftyp(iso|mp[47]|av[0c]1|h[ev]|dash|cmf)"),
    ("video/quicktime", "mov qt", rb"....(ftypqt  |moov|mdat|wide|pnot)"),
    ("audio/webm", "weba | webm mka mkv mk3d", rb"\x1aE\xdf\xa3(?!.{0,64}?matroska)(?=.*?\x86.A_)(?!.*?\x86.V_)"),
    ("video/webm", "webm | weba mkv mk3d", rb"\x1aE\xdf\xa3(?!.{0,64}?matroska)"),
    ("audio/x-matroska", "mka", rb"\x1aE\xdf\xa3(?=.*?\x86.A_)(?!.*?\x86.V_)"),
    ("video/x-matroska", "mkv mk3d | mka", rb"\x1aE\xdf\xa3"),
    ("video/x-msvideo", "avi", rb"RIFF....AVI[ X\x19]"),
    ("video/ogg", "ogv | ogg oga opus spx", rb"OggS.{24,}?(\x80theora|\x01video)"),
    ("video/mpeg", "mpg mpeg vob m2v", rb"\0\0\x01[\xb3\xba]"),
    ("video/mp2t", "ts mts m2ts", rb"G.{187}G.{187}G|....G.{191}G.{191}G"),
    ("video/x-flv", "flv", rb"FLV\x01"),
    ("video/x-ms-wmv", "wmv asf | wma", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("audio/x-ms-wma", "wma", None),
    ("video/mxf", "mxf", rb".{0,64}?\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02"),
    ("audio/mpeg", "mp3 mp2 mpga", rb"ID3|\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd][^\xf0-\xff]"),
    ("audio/aac", "aac adts", rb"ADIF|\xff[\xf0\xf1\xf8\xf9]"),
    ("audio/wav", "wav wave", rb"(RIF[FX]|RF64|BW64)....WAVE"),
    ("audio/flac", "flac", rb"fLaC"),
    ("audio/ogg", "ogg oga opus spx | ogv", rb"OggS"),
    ("audio/aiff", "aif aiff aifc", rb"FORM....AIF[CF]"),
    ("audio/x-caf", "caf", rb"caff\0"),
    # What servers and wrong names give instead.
    ("application/pdf", "pdf", rb"%PDF-"),
    ("application/zip", "zip", rb"PK(\x03\x04|\x05\x06|\x07\x08)"),
    ("text/html", "html htm", PROLOG + rb"<(!doctype\s+html|html|head|body|title|meta|script|style|h\d|div|p)\b"),
    ("application/xml", "xml", PROLOG + rb"<[a-z_!?]"),
    ("application/json", "json | txt", rb'\s*(\{\s*["}]|\[\s*[]"{[\d])'),
    ("a Git LFS pointer", "txt", rb"version https://git-lfs\.github\.com/spec/"),
    ("text/plain", "txt | json xml html htm", None),
)
UNKNOWN = "of an unknown format"  # content that begins like nothing here
LOOSE = ("audio/mpeg", "audio/aac", "video/mpeg", "video/mp2t", "video/mxf")  # media that may begin so; no others do
ISO = rb"....(ftyp|styp|moov|moof|mdat|wide|pnot|free|skip|junk|udta|uuid)"
TEXT = "[^\0-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]+\ufffd?"  # whose last character may be cut
MEDIA = ("image/", "video/", "audio/")
HEAD = 8192  # bytes that identify a media type: the tracks of Matroska are named in the first few thousand
MAX_TAGS = 1 << 20  # bytes of ID3 tags, with pictures, that are skipped for what is behind them
SUITED = {kind: extensions.split() for kind, extensions, _ in TYPES}
EXTENSIONS = {kind: extensions[0] for kind, extensions in SUITED.items()}
NAMED = {name: kind for kind, extensions, _ in TYPES for name in extensions.partition(" | ")[0].split()}


def mismatch(path: str) -> str | None:
    """Returns a warning if a file's extension is of another media type than its content, else None."""
    kind = named = None
    with suppress(OSError), open(path, "rb") as file:
        kind, named = judged(path, file)
    return None if named in (None, kind) else f"{path} is {kind}, not {named}"


def judged(name: str, file: BufferedIOBase) -> tuple[str | None, str | None]:
    """Returns a file's media type, that of its name if the content fits, else that of the content; and the name's."""
    extension = os.path.splitext(name)[1][1:].lower()  # "" for .png, a hidden file
    named, found = NAMED.get(extension), type_by_content(file)
    if found == UNKNOWN:
        is_suited = named is None or named in LOOSE or not named.startswith(MEDIA)
    else:
        is_suited = found in (None, named) or extension in SUITED.get(found or "", ())
    return (named if is_suited else found), named


def declared_type(header: str) -> str | None:
    """Returns the media type that a Content-Type declares; None for an unknown one, such as octet-stream.

    Servers write audio/x-wav for audio/wav, image/jpg or audio/mp3 with the extension, and image/heic-sequence.
    """
    declared = header.partition(";")[0].strip().lower().replace("/x-", "/").removesuffix("-sequence")
    known = (kind for kind in EXTENSIONS if kind.replace("/x-", "/") == declared)
    return next(known, None) or NAMED.get(declared.partition("/")[2])


def type_by_content(file: BufferedIOBase) -> str | None:
    """Returns the media type by the beginning of a file, None for ISO media of an unknown brand, else UNKNOWN."""
    head, start = file.read(HEAD), 0
    while start < MAX_TAGS and ((len(head) > 9 and head.startswith(b"ID3")) or (start and head.startswith(b"\0"))):
        start += len(head) - len(head.lstrip(b"\0"))  # padding
        if head.startswith(b"ID3"):  # 10 bytes, perhaps 10 more at its end, and a size of four times seven bits
            start += 10 + (head[5] & 16 and 10) + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
        file.seek(start)
        head = file.read(HEAD)
    if re.match(rb"\xff\xfe[^\0]|\xfe\xff", head):  # UTF-16
        head = head.decode("utf-16", "ignore").encode("utf-8", "ignore")
    head = head.removeprefix(b"\xef\xbb\xbf")
    found = next((kind for kind, _, begins in TYPES if begins and re.match(begins, head, re.DOTALL)), None)
    if start:  # tags come before audio
        return found if found and found.startswith("audio/") else "audio/mpeg"
    if found is None and re.fullmatch(TEXT, head.decode("utf-8", "replace")):
        return "text/plain"
    return found or (None if re.match(ISO, head, re.DOTALL) else UNKNOWN)
