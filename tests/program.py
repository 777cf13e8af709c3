"""Runs the program, as a process or within this one, and looks for secrets on everything it prints."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import unittest
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from runway_cli.cli.main import LAST_RESORT, main
from runway_cli.cli.parser import HelpRequested, parse
from runway_cli.errors import ConfigError, UsageError
from tests.fake import SECRET, STAGE_SECRET, TOKEN

ROOT = Path(__file__).resolve().parent.parent
BODY = '{"model":"gen4_image","promptText":"a fox","ratio":"1280:720"}'
EXITS = (0, 1, 2, 69, 74, 75, 77, 78, 129, 130, 141, 143)
KEPT = ("PATH", "HOME", "TMPDIR", "SYSTEMROOT", "TEMP", "TMP", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
# The developer's own history and cache are neither read nor written: nothing can be created below the null device.
ISOLATED = {"RUNWAY_SKILLS_HISTORY": "off", "XDG_CACHE_HOME": os.path.join(os.devnull, "cache")}
SECRET_VARIABLES = (
    "RUNWAY_SKILLS_API_SECRET",
    "RUNWAY_SKILLS_API_SECRET_STAGE",
    "RUNWAYML_API_SECRET",
    "LOWCODEAPI_API_TOKEN",
)


class Result:
    """How one call ended: `exit`, both streams as text, and their JSON."""

    def __init__(self, argv: Sequence[str], exit_status: int, stdout: bytes, stderr: bytes) -> None:
        self.argv = list(argv)
        self.exit = exit_status
        self.raw = stdout
        self.stdout = stdout.decode("utf-8")
        self.stderr = stderr.decode("utf-8")

    @property
    def json(self) -> Any:
        """Returns stdout as one JSON document."""
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[Any]:
        """Returns stdout as JSON lines."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """Returns the JSON object that is the last line of stderr."""
        found = json.loads(self.stderr.splitlines()[-1])
        assert isinstance(found, dict), found
        return found

    @property
    def notes(self) -> list[str]:
        """Returns the lines of stderr before the error."""
        lines = self.stderr.splitlines()
        return lines[:-1] if self.exit else lines

    def __repr__(self) -> str:
        return f"{self.argv}: exit {self.exit}\nstdout: {self.stdout[:2000]}\nstderr: {self.stderr[:2000]}"


class Clock:
    """Time that passes only when somebody sleeps; `slept` holds every wait in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time() + self.now - 1000.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns what of this process's environment a call may see, without the developer's own files, and `extra`."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, **ISOLATED, **(extra or {})}


def shell_words(command: str) -> list[str]:
    """Returns the words of a pasted call as a shell passes them on: PowerShell on Windows."""
    if os.name != "nt":
        return shlex.split(command)
    words = re.findall(r"'(?:[^']|'')*'|\S+", command[2:] if command.startswith("& ") else command)
    return [word[1:-1].replace("''", "'") if word.startswith("'") else word for word in words]


def in_markdown(path: str | Path) -> str:
    """Returns a path as a Markdown table shows it, which escapes the backslashes of Windows."""
    return str(path).replace("\\", "\\\\")


def reset_signals() -> None:
    """Makes sure that children heed signals: a shell that runs the tests in the background ignores SIGINT for them."""
    for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def run(
    *argv: str,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    cwd: str | Path | None = None,
    start: Sequence[str] = ("-m", "runway_cli"),
    timeout: float = 90,
) -> Result:
    """Runs the program as a process, without a terminal: what users see. Fails if a secret is printed."""
    surroundings = environment({"PYTHONPATH": str(ROOT), **(env or {})})
    done = subprocess.run(
        [sys.executable, *start, *argv],
        env=surroundings,
        cwd=cwd,
        input=stdin or b"",
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return checked(Result(argv, done.returncode, done.stdout, done.stderr), surroundings)


def call(*argv: str, env: Mapping[str, str] | None = None, stdin: bytes = b"", clock: Clock | None = None) -> Result:
    """Runs the program within this process: no start-up to wait for, and a clock that does not wait either."""
    surroundings = environment(env)
    unsliced = mock.patch("runway_cli.shutdown.SLICE", float("inf"))  # or a wait is several on Windows
    with _streams(stdin) as (stdout, stderr), unsliced, mock.patch.dict(os.environ, surroundings, clear=True):
        status = main(list(argv), clock or Clock())
        result = Result(argv, status, stdout.getvalue(), stderr.getvalue())
    return checked(result, surroundings)


def checked(result: Result, surroundings: Mapping[str, str]) -> Result:
    """Returns the result, if it shows no secret and no traceback, has an example, and ends as the contract says."""
    secrets = {SECRET, STAGE_SECRET, TOKEN, *(surroundings.get(name, "").strip() for name in SECRET_VARIABLES)}
    for secret in secrets:
        if len(secret) > 8 and secret in result.stdout + result.stderr:
            raise AssertionError(f"a secret was printed: {result!r}".replace(secret, "SECRET"))
    if "Traceback (most recent call last)" in result.stderr or result.exit not in EXITS:
        raise AssertionError(f"no proper end: {result!r}")
    if f'"{LAST_RESORT}"' in result.stderr and "--session" not in result.argv:  # without it that is the example
        raise AssertionError(f"choosing an example failed: {result!r}")
    found = re.search(r'"example":("(?:[^"\\]|\\.)*")', result.stderr)
    if found:
        check_example(json.loads(found[1]), result)
    return result


def check_example(example: str, result: Result) -> None:
    """Raises AssertionError for an example that is no call of this program, or replaces a file, or pays again."""
    words = shell_words(example)
    program = next(place for place, word in enumerate(words) if word.endswith(("runway-cli", "runway_cli", ".pyz")))
    try:
        parse(words[program + 1 :])
    except (HelpRequested, ConfigError):
        pass
    except UsageError as error:
        raise AssertionError(f"the example is no call ({error.message}): {result!r}") from None
    if {"--force", "--again"} & {*words}:
        raise AssertionError(f"the example replaces a file or pays again: {result!r}")


class ProgramTest(unittest.TestCase):
    """Assertions on whole results."""

    def assert_success(self, result: Result, **expected: Any) -> None:
        """Asserts exit status 0, and these attributes of the result: `stdout`, `stderr`, `json`, `lines`, `notes`."""
        self.assertEqual(result.exit, 0, result)
        for name, value in expected.items():
            self.assertEqual(getattr(result, name), value, f"{name} of {result!r}")

    def assert_error(self, result: Result, exit_status: int, **expected: Any) -> None:
        """Asserts the exit status, and these keys of the JSON error, which always explains itself."""
        self.assertEqual(result.exit, exit_status, result)
        found = result.error
        self.assertEqual({key: found.get(key) for key in expected}, expected, result)
        for key in ("error", "kind", "example"):
            self.assertTrue(found.get(key), result)


@contextmanager
def _streams(stdin: bytes) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Yields streams that cannot hold more than ASCII: the program writes UTF-8 whatever the locale."""
    stdout, stderr = io.BytesIO(), io.BytesIO()
    with mock.patch.multiple(
        sys,
        stdin=io.TextIOWrapper(io.BytesIO(stdin), encoding="ascii"),
        stdout=io.TextIOWrapper(stdout, encoding="ascii"),
        stderr=io.TextIOWrapper(stderr, encoding="ascii"),
    ):
        yield stdout, stderr


reset_signals()
