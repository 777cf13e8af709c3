"""The tests. `python3 -m unittest` runs their modules in several processes at once: half of their time is waiting.

`python3 -m unittest tests.test_wait` runs one module in this process, as usual.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PROCESSES = (os.cpu_count() or 1) + 1
LONGEST = (
    "test_transport_limits",
    "test_signals",
    "test_batch_kills",
    "test_flow",
)  # they wait


def load_tests(_loader: unittest.TestLoader, _tests: unittest.TestSuite, _pattern: str | None) -> unittest.TestSuite:
    """What discovery runs for this package."""
    return SeveralProcesses()


class SeveralProcesses(unittest.TestSuite):
    """Every module in a process of its own; its outcomes are told to the result of this process."""

    def run(self, result: unittest.TestResult, debug: bool = False) -> unittest.TestResult:
        largest_first = sorted(FOLDER.glob("test_*.py"), key=lambda path: -path.stat().st_size)
        modules = dict.fromkeys([*LONGEST, *(path.stem for path in largest_first)])
        with ThreadPoolExecutor(PROCESSES) as threads:
            for outcomes in threads.map(_outcomes, modules):
                for name, outcome, text in outcomes:
                    _tell(result, name, outcome, text)
        return result


class _Elsewhere(unittest.TestCase):
    """Stands for a test that ran in another process."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def runTest(self) -> None:
        raise NotImplementedError

    def __str__(self) -> str:
        return self.name

    def id(self) -> str:
        return self.name


def _outcomes(module: str) -> list[tuple[str, str, str]]:
    """(name, outcome, text) of each test of a module; an error where the process did not come to its end."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        command = [sys.executable, *options, "-m", "tests.process", f"tests.{module}", str(report)]
        done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if report.exists():
            found: list[tuple[str, str, str]] = json.loads(report.read_text(encoding="utf-8"))
            return found
        return [(module, "error", done.stderr.decode("utf-8", "replace")[-4000:])]


def _tell(result: Any, name: str, outcome: str, text: str) -> None:
    test = _Elsewhere(name)
    result.startTest(test)
    if outcome == "success":
        result.addSuccess(test)
    elif outcome == "skip":
        result.addSkip(test, text)
    else:
        add = result.addFailure if outcome == "failure" else result.addError
        try:
            raise AssertionError(text)
        except AssertionError:
            add(test, sys.exc_info())
    result.stopTest(test)
