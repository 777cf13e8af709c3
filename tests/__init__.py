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
SLOW = ("limits", "signals", "transport", "flow", "kills")  # words in the names of modules that wait: these come first


def load_tests(_loader: unittest.TestLoader, _tests: unittest.TestSuite, _pattern: str | None) -> unittest.TestSuite:
    """Returns what discovery runs for this package."""
    return SeveralProcesses()


class SeveralProcesses(unittest.TestSuite):
    """Every module in a process of its own; its outcomes are told to the result of this process."""

    def run(self, result: unittest.TestResult, debug: bool = False) -> unittest.TestResult:
        paths = sorted(FOLDER.glob("test_*.py"), key=lambda path: -path.stat().st_size)
        paths.sort(key=lambda path: not any(word in path.stem for word in SLOW))
        with ThreadPoolExecutor(PROCESSES) as threads:
            for outcomes in threads.map(_outcomes, [path.stem for path in paths]):
                for name, outcome, text in outcomes:
                    _tell(result, name, outcome, text)
        return result


class Elsewhere(unittest.TestCase):
    """A test that ran in another process."""

    def __init__(self, name: str) -> None:
        super().__init__("id")  # any method will do
        self.name = name

    def __str__(self) -> str:
        return self.name

    id = __str__


class Recorder(unittest.TestResult):
    """Outcomes as (name, outcome, text); a test of which a part failed has one for each such part."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[tuple[str, str, str]] = []

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.outcomes.append((str(test), "success", ""))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.outcomes.append((str(test), "skip", reason))

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self.outcomes.append((str(test), "failure", self.failures[-1][1]))

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self.outcomes.append((str(test), "error", self.errors[-1][1]))

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            (self.addFailure if issubclass(err[0], test.failureException) else self.addError)(subtest, err)


def record(module: str, report: str) -> None:
    """Runs the tests of a module and writes their outcomes as JSON."""
    sys.argv = ["python3 -m unittest"]  # from which the program reads how it was started
    recorder = Recorder()
    unittest.defaultTestLoader.loadTestsFromName(module).run(recorder)
    Path(report).write_text(json.dumps(recorder.outcomes), encoding="utf-8")


def _outcomes(module: str) -> list[tuple[str, str, str]]:
    """Returns the outcome of each test of a module; an error where the process did not come to its end."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        code = f"import tests; tests.record('tests.{module}', {str(report)!r})"
        command = [sys.executable, *options, "-c", code]
        done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if report.exists():
            found: list[tuple[str, str, str]] = json.loads(report.read_text(encoding="utf-8"))
            return found
        return [(module, "error", done.stderr.decode("utf-8", "replace")[-4000:])]


def _tell(result: Any, name: str, outcome: str, text: str) -> None:
    test = Elsewhere(name)
    result.startTest(test)
    if outcome == "success":
        result.addSuccess(test)
    elif outcome == "skip":
        result.addSkip(test, text)
    else:
        try:
            raise AssertionError(text)
        except AssertionError:
            (result.addFailure if outcome == "failure" else result.addError)(test, sys.exc_info())
    result.stopTest(test)
