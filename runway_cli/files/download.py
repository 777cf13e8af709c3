"""Outputs on their way to the disk: whole or not at all, resumed where they broke off, never over another file.

A file is written as a hidden part file beside its destination and gets its name at the end. The network may break it
off at any byte: what has arrived is kept, and the next try asks for the rest (RFC 9110, 14: Range, If-Range).
"""

from __future__ import annotations

import os
import re

from ..errors import ApiError, NetworkError, OutputError, WaitTimeout
from .destination import replacement_fault, taken_message
from .part_file import PartFile
from .storage import storage_error, url_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..api.client import Client
    from ..transport.http import Stream
    from .destination import Destination
    from .storage import Transferred

    Emit = Callable[[Transferred], None]

MAX_REDIRECTS = 5
PIECE = 256 * 1024  # bytes read and written at a time


class Saved:
    """A file that is there, whole: its path and its size in bytes; `skipped` if it was there before."""

    __slots__ = ("path", "size", "skipped")

    def __init__(self, path: str, size: int, skipped: bool) -> None:
        self.path = path
        self.size = size
        self.skipped = skipped


def save(
    client: Client, url: str, destination: Destination, *, force: bool, emit: Emit, deadline: float | None = None
) -> Saved:
    """Saves what `url` gives; a download that breaks off is resumed.

    `emit` takes the events; `deadline` is a moment of the client's clock that ends the download. Raises OutputError
    (the file exists, the disk is full), ApiError (DeniedError for an expired URL), NetworkError, or WaitTimeout past
    the deadline.
    """
    download = _Download(client, url, destination, force=force, emit=emit, deadline=deadline)
    try:
        return client.transfer_retrying(deadline).run("GET", lambda _: download.run(), lambda: download.done)
    except NetworkError as error:
        if deadline is not None and client.clock.monotonic() >= deadline:
            raise WaitTimeout(f"{download.name}: the time limit was reached during the download") from None
        raise error
    finally:
        download.close()


class _Download:
    """One file: begun, perhaps resumed, then given its name."""

    def __init__(
        self, client: Client, url: str, destination: Destination, *, force: bool, emit: Emit, deadline: float | None
    ) -> None:
        self.client = client
        self.url = url
        self.destination = destination
        self.force = force
        self.emit = emit
        self.deadline = deadline
        self.total: int | None = None
        self.validator = ""  # the ETag or date that a Range must still match
        self.path = ""
        self.part: PartFile | None = None

    @property
    def name(self) -> str:
        return self.path or self.destination.path

    @property
    def done(self) -> int:
        """Bytes that have arrived."""
        return self.part.size if self.part else 0

    def run(self) -> Saved:
        """One try, from where the last one broke off."""
        from .storage import Transferred

        with self._open() as answer:
            self._begin(answer)
            if self._is_there():
                return Saved(self.path, self.total or 0, skipped=True)
            if self.part is None:
                self.part = PartFile(self.path, self.client.shutdown, self.client.clock)
            while piece := answer.read(PIECE):
                self.part.write(piece)
                self.emit(Transferred(self.done, self.total))
        if self.total is not None and self.done != self.total:
            raise NetworkError(f"{self.path}: {self.done} of {self.total} bytes arrived", maybe_received=True)
        return self._finish()

    def close(self) -> None:
        """Leaves no part file behind."""
        if self.part:
            self.part.remove()

    def _open(self) -> Stream:
        """The answer to a GET after its redirects; its status is 200 or 206."""
        url = self.url
        headers = {"Accept": "*/*"}
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
            if self.validator:
                headers["If-Range"] = self.validator
        for _ in range(MAX_REDIRECTS + 1):
            answer = self.client.stream("GET", url, headers, deadline=self.deadline)
            if answer.status not in (301, 302, 303, 307, 308):
                return self._checked(answer)
            answer.close()
            url = _redirected(url, answer.headers.get("Location"))
        raise ApiError(f"the download was redirected more than {MAX_REDIRECTS} times", status=answer.status)

    def _checked(self, answer: Stream) -> Stream:
        """The answer if its body is worth reading. Raises ApiError or NetworkError."""
        try:
            if answer.status not in (200, 206, 416):
                raise storage_error("the download was refused", answer, self.client.console.mask)
            packed = answer.headers.get("Content-Encoding", "identity").lower()
            if packed != "identity":
                words = f"the download came {packed}-compressed, which was not requested"
                raise ApiError(words, status=answer.status)
            if answer.status != 200 and not self._continues(answer):
                self._start_over()
                words = "the server cannot resume the download; starting over"
                raise NetworkError(words, maybe_received=True)
        except BaseException:
            answer.close()
            raise
        return answer

    def _continues(self, answer: Stream) -> bool:
        """Whether a 206 holds the rest of this file; its Content-Range may tell a total that was not known."""
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""), re.ASCII)
        if answer.status != 206 or not self.done or not match or int(match[1]) != self.done:
            return False
        if match[2] == "*":
            return True
        if self.total is None:
            self.total = int(match[2])
        return int(match[2]) == self.total

    def _begin(self, answer: Stream) -> None:
        """Notes what the headers say; a whole answer to a Range starts the file anew."""
        if answer.status == 206:
            return
        self._start_over()
        length = answer.headers.get("Content-Length", "")
        self.total = int(length) if length.isascii() and length.isdigit() else None
        tag = answer.headers.get("ETag", "")
        self.validator = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
        self.path = self.destination.file_name(self.url, answer.headers)

    def _start_over(self) -> None:
        if self.part:
            self.part.clear()

    def _is_there(self) -> bool:
        """Whether the file was saved before. Raises OutputError if something else has its name."""
        if not os.path.lexists(self.path):
            return False
        if self.force:
            fault = replacement_fault(self.path)
            if fault:
                raise OutputError(fault, taken=self.path)
            return False
        if self._is_saved_output():
            return not self.destination.by_content  # that is seen when all has arrived
        raise OutputError(taken_message(self.path), taken=self.path)

    def _is_saved_output(self) -> bool:
        is_ours = self.destination.in_folder and os.path.isfile(self.path)
        return is_ours and self.total is not None and os.path.getsize(self.path) == self.total

    def _finish(self) -> Saved:
        """Gives the whole file its name; without --force never in place of another, even one made just now."""
        assert self.part is not None
        if self.destination.by_content and not self.force and self.part.equals(self.path):
            return Saved(self.path, self.done, skipped=True)
        try:
            self.part.take_name(force=self.force)
        except OutputError:
            if self.force or self.destination.by_content or not self._is_saved_output():
                raise
            return Saved(self.path, self.done, skipped=True)  # another run saved the same output meanwhile
        return Saved(self.path, self.done, skipped=False)


def _redirected(url: str, location: str | None) -> str:
    """The URL that a redirect leads to. Raises ApiError for one that is not used."""
    from urllib.parse import urljoin

    try:
        target = urljoin(url, location or "")
        fault = url_fault(target) if location else "has no Location"
    except ValueError:
        target, fault = location or "", "is not a URL"
    if fault:
        raise ApiError(f"the download was redirected to {target!r}, which {fault}", status=302)
    return target
