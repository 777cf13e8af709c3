"""`python3 -m tests.process MODULE REPORT`: runs the tests of a module and writes their outcomes as JSON."""

from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path
from typing import Any


class Recorder(unittest.TestResult):
    """Outcomes as [name, outcome, text]; a test of which a part failed has one for each such part."""

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
            super().addSubTest(test, subtest, err)
            found = self.failures if issubclass(err[0], test.failureException) else self.errors
            self.outcomes.append((str(subtest), "failure", found[-1][1]))


def main() -> None:
    module, report = sys.argv[1:]
    sys.argv = ["python3 -m unittest"]  # from which the program reads how it was started
    recorder = Recorder()
    unittest.defaultTestLoader.loadTestsFromName(module).run(recorder)
    Path(report).write_text(json.dumps(recorder.outcomes), encoding="utf-8")


if __name__ == "__main__":
    main()
