"""`python3 -m tests.benchmarks`: prints the table and ends with 1 when a bound is missed by more than the noise."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence

from tests.benchmarks.bench import Bench, BenchmarkError, Run
from tests.benchmarks.rows import MIB, Ratio, Result, measure, rows

HEADINGS = ("", "floor", "", "program", "", "time", "", "memory", "", "")


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints; 0, or 1 for a missed bound, 2 for a command that could not be measured."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.benchmarks", description=__doc__)
    parser.add_argument("-n", metavar="RUNS", type=int, default=15, help="runs of each command; slow rows take fewer")
    parser.add_argument("-k", metavar="WORD", default="", help="only the rows whose name holds this word")
    args = parser.parse_args(argv)
    if args.n < 3:
        parser.error("-n: three runs at least, or there is no noise to measure")
    if not hasattr(os, "wait4"):
        parser.error("this needs os.wait4, which only Unix has")
    print(line(HEADINGS), flush=True)
    missed = []
    try:
        with Bench() as bench:
            for row in rows(bench):
                if args.k in row.name:
                    result = measure(bench, row, args.n)
                    print(line(cells(result)), flush=True)
                    missed += [row.name] if result.missed else []
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    if missed:
        print(f"missed: {'; '.join(missed)}")
    return 1 if missed else 0


def cells(result: Result) -> tuple[str, ...]:
    """A row of the table: medians of time and memory, ratios with bound and noise, and a mark for what is missed."""
    most = f"<= {result.row.most / MIB:.0f} MiB" if result.row.most else ""
    return (
        result.row.name,
        *_medians(result.floor),
        *_medians(result.program),
        *_ratio(result.time),
        *_ratio(result.memory),
        most + (" MISSED" if result.too_large else ""),
    )


def line(words: Sequence[str]) -> str:
    """The words in columns."""
    widths = (-35, 8, 9, 8, 9, 6, -23, 6, -23, -1)
    return " ".join(f"{word:{'<' if width < 0 else '>'}{abs(width)}}" for word, width in zip(words, widths)).rstrip()


def _medians(runs: Sequence[Run]) -> tuple[str, str]:
    if not runs:
        return "", ""
    seconds = statistics.median(run.seconds for run in runs)
    return f"{seconds * 1000:.1f} ms", f"{statistics.median(run.memory for run in runs) / MIB:.1f} MiB"


def _ratio(ratio: Ratio | None) -> tuple[str, str]:
    if ratio is None:
        return "", ""
    bound = f" <= {ratio.bound:g}" if ratio.bound else ""
    return f"{ratio.value:.2f}", f"+-{ratio.noise:.2f}{bound}{' MISSED' if ratio.missed else ''}"


if __name__ == "__main__":
    sys.exit(main())
