"""stdout and stderr of this process in memory, as pipes or as terminals of a given size."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from runway_cli.terminal import console as streams


class Stream(io.TextIOWrapper):
    """A stream whose bytes are kept."""

    def __init__(self, *, is_terminal: bool) -> None:
        self.bytes = io.BytesIO()
        self.is_terminal = is_terminal
        super().__init__(self.bytes, encoding="ascii")

    def isatty(self) -> bool:
        return self.is_terminal

    @property
    def text(self) -> str:
        return self.bytes.getvalue().decode("utf-8")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class Streams:
    """Both streams of a run; `size` are the columns and lines of their terminal."""

    def __init__(self, *, out_is_terminal: bool, err_is_terminal: bool, columns: int, lines: int) -> None:
        self.out = Stream(is_terminal=out_is_terminal)
        self.err = Stream(is_terminal=err_is_terminal)
        self.size = (columns, lines)

    def terminal_size(self) -> tuple[int, int]:
        return self.size


@contextmanager
def captured(
    *, out_is_terminal: bool = False, err_is_terminal: bool = False, columns: int = 80, lines: int = 24
) -> Iterator[Streams]:
    """Replaces the streams of this process; their terminal understands ANSI escape sequences, without colours."""
    kept = Streams(out_is_terminal=out_is_terminal, err_is_terminal=err_is_terminal, columns=columns, lines=lines)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.multiple(sys, stdout=kept.out, stderr=kept.err))
        stack.enter_context(mock.patch.object(streams, "terminal_size", kept.terminal_size))
        stack.enter_context(mock.patch.object(streams, "has_ansi", streams.is_terminal))
        stack.enter_context(mock.patch.dict("os.environ", {"TERM": "xterm", "NO_COLOR": "1"}))
        yield kept
