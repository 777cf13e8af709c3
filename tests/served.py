"""What tests of whole calls share: the services, a clock that does not wait, a folder, and examples run again."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

from tests.fake import FakeRunway, Request
from tests.program import Clock, ProgramTest, Result, call, shell_words

PATIENCE = 40.0  # seconds that a busy machine may take for what is sure to happen


def pasted(result: Result) -> list[str]:
    """Returns the words of an error's example as a shell would pass them on, without the program's own."""
    return without_program(result.error["example"])


def without_program(command: str) -> list[str]:
    """Returns the words of a call that a note or an error shows, without the program's own."""
    words = shell_words(command)
    return words[3:] if words[1:3] == ["-m", "runway_cli"] else words[1:]


class ServedTest(ProgramTest):
    """Gives every test fresh services, whose clock is the program's, and a folder of its own."""

    polls_to_finish = 2  # of a new task

    def setUp(self) -> None:
        self.clock = Clock()
        self.fake = FakeRunway(clock=self.clock.monotonic, polls_to_finish=self.polls_to_finish)
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def call(self, *argv: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
        """Runs the program within this process, directed to the services."""
        return call(*map(str, argv), stdin=stdin, env={**self.fake.env(), **(env or {})}, clock=self.clock)

    def file(self, name: str, content: bytes = b"") -> Path:
        """Writes a file in the test's folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def listing(self) -> list[str]:
        """Returns every file below the test's folder, hidden ones too."""
        found = [Path(root) / name for root, _, names in os.walk(self.folder) for name in names]
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def posts(self) -> list[str]:
        """Returns the paths of the POSTs that the API saw, but for those of uploads, which cost nothing."""
        return [seen.path for seen in self.fake.sent("POST", server="api") if seen.path != "/v1/uploads"]

    def polls(self) -> list[str]:
        """Returns the paths of the GETs that the API saw."""
        return [seen.path for seen in self.fake.sent("GET", server="api")]


class ServiceTest(ProgramTest):
    """`fake` serves one class; every test begins with no faults ordered and nothing sent."""

    fake: FakeRunway

    @classmethod
    def setUpClass(cls) -> None:
        cls.fake = FakeRunway()
        cls.fake.__enter__()
        cls.addClassCleanup(cls.fake.__exit__, None, None, None)

    def setUp(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Orders no faults, and forgets what was sent."""
        eventually(self.fake.is_idle)
        self.fake.clear_faults()
        self.fake.requests.clear()

    def request(self, *words: str, env: Mapping[str, str] | None = None, clock: Clock | None = None) -> Result:
        """Runs `request` with these words, on the stand-in."""
        return call("request", *words, env={**self.fake.env(), **(env or {})}, clock=clock)


def arrived(fake: FakeRunway, number: int) -> list[Request]:
    """Returns the requests, once there are `number`: a server may read what a client has already given up."""
    eventually(lambda: len(fake.requests) >= number)
    return list(fake.requests)


def eventually(condition: Callable[[], Any]) -> None:
    """Waits until the condition holds. Raises AssertionError when it does not."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it has not happened")
        time.sleep(0.005)
