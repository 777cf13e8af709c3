"""The benchmarks still measure, and say what they measured. Speed is not judged here: a test may be disturbed."""

from __future__ import annotations

import io
import os
import unittest
from contextlib import redirect_stderr, redirect_stdout

from tests.benchmarks.__main__ import cells, line, main
from tests.benchmarks.bench import Bench, BenchmarkError, Command, Run
from tests.benchmarks.rows import MIB, Ratio, Result, Row, compared, noise

CALL = Command(("runway-cli", "--version"))


def ran(argv: list[str]) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the benchmarks within this process."""
    with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()) as stderr:
        status = main(argv)
    return status, stdout.getvalue(), stderr.getvalue()


@unittest.skipUnless(hasattr(os, "wait4"), "the benchmarks need os.wait4")
class MeasuringTest(unittest.TestCase):
    def test_a_row_is_measured_and_printed(self) -> None:
        status, stdout, stderr = ran(["-n", "3", "-k", "version"])
        self.assertIn(status, (0, 1), stderr)
        row = stdout.splitlines()[1]
        self.assertRegex(row, r"^version( +\d+\.\d ms +\d+\.\d MiB){2} +\d\.\d\d \+-\d\.\d\d <= 1\.35")
        self.assertEqual("MISSED" in row, status == 1)
        self.assertEqual("missed: version" in stdout, status == 1)

    def test_a_command_that_fails_or_does_not_do_its_work_is_no_measurement(self) -> None:
        with Bench() as bench:
            run = bench.run(bench.call("request", "GET", "/v1/tasks/1", proof='"status":"SUCCEEDED"'), check=True)
            with self.assertRaisesRegex(BenchmarkError, "unknown option"):
                bench.run(bench.call("--no-such-option"))
            with self.assertRaisesRegex(BenchmarkError, "did not print 'PENDING'"):
                bench.run(bench.call("request", "GET", "/v1/tasks/1", proof="PENDING"), check=True)
        self.assertGreater(run.seconds, 0)
        self.assertGreater(run.memory, MIB)


class JudgingTest(unittest.TestCase):
    def test_a_bound_is_missed_only_beyond_the_noise(self) -> None:
        for value, bound, spread, missed in (
            (1.19, 1.2, 0.0, False),
            (1.21, 1.2, 0.0, True),
            (1.25, 1.2, 0.05, False),
            (1.27, 1.2, 0.05, True),
            (9.0, None, 0.0, False),
        ):
            with self.subTest(value=value, bound=bound, noise=spread):
                self.assertEqual(Ratio(value, bound, spread).missed, missed)

    def test_noise_is_the_spread_of_the_floor_against_itself(self) -> None:
        self.assertEqual(noise([0.02] * 9), 0.0)
        self.assertAlmostEqual(noise([1.0, 1.1, 1.1, 1.1, 1.21]), 1.57 * 0.1 / 2)

    def test_ratios_are_those_of_each_round(self) -> None:
        steady = compared([[1.0, 1.0, 1.0, 1.0], [1.5, 1.5, 1.5, 1.5]], 1, 1.2)
        self.assertEqual((steady.value, steady.noise, steady.missed), (1.5, 0.0, True))
        uneasy = compared([[1.0, 2.0, 1.0, 2.0], [1.5, 3.0, 1.5, 3.0]], 1, 1.2)
        self.assertEqual((uneasy.value, uneasy.missed), (1.5, False))

    def test_what_a_start_costs_is_taken_off_and_growth_divides(self) -> None:
        starts = [[1.0] * 3, [2.0] * 3]
        self.assertEqual(compared([*starts, [2.0] * 3, [32.0] * 3], 10, None).value, 3.0)

    def test_the_table_marks_what_is_missed(self) -> None:
        runs = [Run(0.5, 64 * MIB)] * 3
        result = Result(Row("wait", CALL, most=40 * MIB), [], runs, None, None)
        self.assertTrue(result.missed)
        self.assertEqual(" ".join(line(cells(result)).split()), "wait 500.0 ms 64.0 MiB <= 40 MiB MISSED")
        result = Result(Row("wait", CALL), runs, runs, Ratio(2.0, 1.5, 0.01), Ratio(1.0, None, 0.0))
        self.assertTrue(result.missed)
        self.assertIn(" 2.00 +-0.01 <= 1.5 MISSED ", line(cells(result)))


if __name__ == "__main__":
    unittest.main()
