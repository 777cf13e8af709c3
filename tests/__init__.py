"""The tests. `python3 -m unittest` runs their modules in several processes at once: they wait half of their time.

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

FOLDER = Path(__file__).parent
PROCESSES = 2 * (os.cpu_count() or 1) + 1
SLOW = ("limits", "signals", "transport", "flow", "kills")  # words in the names of modules that wait: these come first


def load_tests(_loader: unittest.TestLoader, _tests: unittest.TestSuite, _pattern: str | None) -> unittest.TestSuite:
    """Returns what discovery runs for this package."""
    return SeveralProcesses()


class SeveralProcesses(unittest.TestSuite):
    """Runs every module in a process of its own, and adds its outcomes to the result of this process."""

    def run(self, result: unittest.TestResult, debug: bool = False) -> unittest.TestResult:
        paths = sorted(FOLDER.glob("test_*.py"), key=lambda path: -path.stat().st_size)
        paths.sort(key=lambda path: not any(word in path.stem for word in SLOW))
        with ThreadPoolExecutor(PROCESSES) as threads:
            for outcomes in threads.map(_outcomes, [path.stem for path in paths]):
                for kind, name, text in outcomes:
                    test = Elsewhere(name)
                    result.startTest(test)
                    if kind == "passed":
                        result.addSuccess(test)
                    elif kind == "skipped":
                        result.addSkip(test, text)
                    else:
                        (result.failures if kind == "failures" else result.errors).append((test, text))
                    result.stopTest(test)
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
    """Keeps the tests that passed, too."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[tuple[unittest.TestCase, str]] = []

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.passed.append((test, ""))


def record(module: str, report: str) -> None:
    """Runs the tests of a module and writes their outcomes as JSON: kind, name and text of each."""
    sys.argv = ["python3 -m unittest"]  # from which the program reads how it was started
    recorder = Recorder()
    unittest.defaultTestLoader.loadTestsFromName(module).run(recorder)
    kinds = ("passed", "skipped", "failures", "errors")
    outcomes = [(kind, str(test), text) for kind in kinds for test, text in getattr(recorder, kind)]
    Path(report).write_text(json.dumps(outcomes), encoding="utf-8")


def _outcomes(module: str) -> list[tuple[str, str, str]]:
    """Returns the outcome of each test of a module; an error where the process was ended early."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        code = f"import tests; tests.record('tests.{module}', {str(report)!r})"
        command = [sys.executable, *options, "-c", code]
        done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if report.exists():
            found: list[tuple[str, str, str]] = json.loads(report.read_text(encoding="utf-8"))
            return found
        text = f"the process ended with {done.returncode}: {done.stderr.decode('utf-8', 'replace')[-4000:]}"
        return [("errors", module, text)]
