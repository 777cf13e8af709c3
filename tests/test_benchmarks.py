"""The benchmarks still measure, and say what they measured. Speed is not judged here: a test may be disturbed."""

from __future__ import annotations

import io
import os
import unittest
from contextlib import redirect_stdout

from tests.benchmarks.__main__ import MIB, Bench, BenchmarkError, Ratio, main


@unittest.skipUnless(hasattr(os, "wait4"), "the benchmarks need os.wait4")
class MeasuringTest(unittest.TestCase):
    def test_a_row_is_measured_and_printed(self) -> None:
        with redirect_stdout(io.StringIO()) as stdout:
            status = main(["-n", "3", "-k", "version"])
        row = stdout.getvalue().splitlines()[1]
        self.assertRegex(row, r"^version( +\d+\.\d ms +\d+\.\d MiB){2} +\d+\.\d\d \+-\d+\.\d\d <= 1")
        self.assertEqual("MISSED" in row, status == 1)
        self.assertEqual("missed: version" in stdout.getvalue(), status == 1)

    def test_a_command_that_fails_or_does_not_do_its_work_is_no_measurement(self) -> None:
        task = ("request", "GET", "/v1/tasks/1")
        with Bench() as bench:
            run = bench.run(bench.call(*task, proof='"status":"SUCCEEDED"'), check=True)
            with self.assertRaisesRegex(BenchmarkError, "unknown option"):
                bench.run(bench.call("--no-such-option"))
            with self.assertRaisesRegex(BenchmarkError, "did not print 'PENDING'"):
                bench.run(bench.call(*task, proof="PENDING"), check=True)
        self.assertGreater(run.seconds, 0)
        self.assertGreater(run.memory, MIB)


class JudgingTest(unittest.TestCase):
    def test_a_bound_is_missed_only_beyond_the_noise(self) -> None:
        for value, bound, noise, missed in (
            (1.21, 1.2, 0.0, True),
            (1.25, 1.2, 0.05, False),
            (1.27, 1.2, 0.05, True),
            (9.0, None, 0.0, False),
        ):
            self.assertEqual(Ratio(value, bound, noise).missed, missed, (value, bound, noise))
