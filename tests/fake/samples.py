"""Contents of files: tiny ones that open, and large ones that nobody has to hold."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from tests.fake.messages import PIECE

EXTENSIONS = {"image": "png", "video": "mp4", "audio": "wav", "workflow": "png"}
MEDIA_TYPES = {"image": "image/png", "video": "video/mp4", "audio": "audio/wav", "workflow": "image/png"}


def media_type(filename: str) -> str:
    """The media type that a file's extension suggests."""
    extension = filename.rpartition(".")[2].lower()
    return next((MEDIA_TYPES[kind] for kind, own in EXTENSIONS.items() if own == extension), "application/octet-stream")


def pseudo_content(start: int, stop: int) -> Iterator[bytes]:
    """Bytes that nobody has to hold: every 8 of them are their own number, big-endian."""
    at = start
    while at < stop:
        first, last = at // 8, min((at + PIECE) // 8, (stop + 7) // 8)
        piece = struct.pack(f">{last - first}Q", *range(first, last))
        piece = piece[at - first * 8 : stop - first * 8]
        yield piece
        at += len(piece)


def sample(kind: str) -> bytes:
    """A tiny file of a kind that opens: a PNG, a WAV, or what begins like an MP4."""
    if kind == "audio":
        tone = bytes(128 + (40 if step // 20 % 2 else -40) for step in range(1600))
        head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(tone), b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8,
                           b"data", len(tone))  # fmt: skip
        return head + tone
    if kind == "video":
        brand = b"isom" + struct.pack(">I", 512) + b"isomiso2mp41"
        return struct.pack(">I4s", 8 + len(brand), b"ftyp") + brand + struct.pack(">I4s", 8 + 256, b"mdat") + bytes(256)
    rows = b"".join(b"\0" + bytes((x * 16, y * 16, 160)[c] for x in range(16) for c in range(3)) for y in range(16))
    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
