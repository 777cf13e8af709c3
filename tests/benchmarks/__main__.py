"""Compares speed and memory of the program with the least that Python needs: `python3 -m tests.benchmarks`.

A row runs two commands in turn, the floor and the program, and compares medians. The noise is that of the floor against
itself; a bound counts as missed only beyond it. Ends with 1 when a bound is missed, with 2 when a command could not be
measured.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.bench import Bench, BenchmarkError, Command, Run
from tests.benchmarks.server import CONTRACT, LISTED, identity

MB, MIB = 1_000_000, 1 << 20
TRANSFER = 200 * MB  # bytes, the largest file that the API takes
BODY = 50 * MB
GROWTH = 10  # how much larger the larger one of two runs is
DONE = '"status":"SUCCEEDED"'
RED_FOX = ("-f", "promptText=a red fox")
CALL = """
import json, sys, urllib.request
body = sys.stdin.buffer.read() or None
if body:
    json.loads(body)
headers = {"Authorization": "Bearer key_benchmark", "Content-Type": "application/json"}
with urllib.request.urlopen(urllib.request.Request(sys.argv[1], body, headers)) as answer:
    print(json.dumps(json.load(answer), separators=(",", ":")))
"""


@dataclass(frozen=True)
class Row:
    """Two commands and the bounds of the second: ratios of time and memory, and `most` bytes of memory.

    `starts` are the same two commands on next to nothing; their cost is subtracted, so that speeds are compared and not
    starts. `growth` is how much more work the program is given than the floor; the ratios are then per unit of work.
    `rounds` is the share of the rounds asked for that a slow row takes.
    """

    name: str
    program: Command
    floor: Command | None = None
    time: float | None = None
    memory: float | None = None
    most: float | None = None
    starts: tuple[Command, Command] | None = None
    growth: int = 1
    rounds: float = 1.0


@dataclass(frozen=True)
class Ratio:
    """A median ratio, its bound, and the noise as a share of the bound."""

    value: float
    bound: float | None
    noise: float

    @property
    def missed(self) -> bool:
        """Returns whether the bound is missed by more than noise."""
        return self.bound is not None and self.value > self.bound * (1 + self.noise)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.benchmarks", description=__doc__)
    parser.add_argument("-n", metavar="RUNS", type=int, default=15, help="runs of each command; slow rows take fewer")
    parser.add_argument("-k", metavar="WORD", default="", help="only the rows whose name holds this word")
    args = parser.parse_args(argv)
    if args.n < 3:
        parser.error("-n: three runs at least, or there is no noise to measure")
    if not hasattr(os, "wait4"):
        parser.error("this needs os.wait4, which only Unix has")
    _print("", "floor", "", "program", "", "time", "", "memory", "", "")
    missed = []
    try:
        with Bench() as bench:
            for row in rows(bench):
                if args.k in row.name and not measure(bench, row, args.n):
                    missed.append(row.name)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    if missed:
        print(f"missed: {'; '.join(missed)}")
    return 1 if missed else 0


def measure(bench: Bench, row: Row, rounds: int) -> bool:
    """Runs floor and program in turn, after one run of each that is checked and not counted. Prints the row.

    Returns whether it keeps its bounds.
    """
    rounds = max(3, round(rounds * row.rounds))
    commands = [command for command in (row.floor, row.program) if command]
    for command in commands:
        bench.run(command, check=True)
    starts = [[bench.run(command) for _ in range(rounds)] for command in row.starts or ()]
    taken = [[bench.run(command) for command in commands] for _ in range(rounds)]
    floor, program = [runs[0] for runs in taken if row.floor], [runs[-1] for runs in taken]
    sides = [*starts, floor, program]
    time = memory = None
    if row.floor:
        time = compared([[run.seconds for run in runs] for runs in sides], row.growth, row.time)
        if row.memory or not row.starts:  # a transfer may add nothing to a start's memory, which has no ratio
            memory = compared([[float(run.memory) for run in runs] for runs in sides], row.growth, row.memory)
    return show(row, floor, program, time, memory)


def compared(sides: Sequence[Sequence[float]], growth: int, bound: float | None) -> Ratio:
    """Returns the ratio of the last two of these lists, floor and program; any two before them are their starts.

    It is the median of the rounds' ratios, as both runs of a round meet the same load of the machine. The noise is that
    of the floor's runs, each against the one before: the notch of a box plot, 1.57 times the interquartile range over
    the root of the count (McGill, Tukey and Larsen, Variations of Box Plots, 1978).
    """
    *starts, floor, program = sides
    least, base = (statistics.median(start) for start in starts) if starts else (0.0, 0.0)
    floor = [value - least for value in floor]
    ratios = [(value - base) / growth / beside for value, beside in zip(program, floor)]
    unrest = [later / earlier for earlier, later in zip(floor, floor[1:])]
    lower, _, upper = statistics.quantiles(unrest, n=4)
    return Ratio(statistics.median(ratios), bound, 1.57 * (upper - lower) / math.sqrt(len(unrest)))


def show(row: Row, floor: Sequence[Run], program: Sequence[Run], time: Ratio | None, memory: Ratio | None) -> bool:
    """Prints medians, ratios with bound and noise, and what is missed. Returns whether nothing is."""
    cells = [row.name]
    for runs in (floor, program):
        seconds, size = (
            statistics.median(getattr(run, name) for run in runs or [Run(0, 0)]) for name in ("seconds", "memory")
        )
        cells += [f"{seconds * 1000:.1f} ms", f"{size / MIB:.1f} MiB"] if runs else ["", ""]
    for ratio in (time, memory):
        bound = f" <= {ratio.bound:g}" if ratio and ratio.bound else ""
        mark = " MISSED" if ratio and ratio.missed else ""
        cells += [f"{ratio.value:.2f}", f"+-{ratio.noise:.2f}{bound}{mark}"] if ratio else ["", ""]
    is_too_large = row.most is not None and statistics.median(run.memory for run in program) > row.most
    cells.append((f"<= {row.most / MIB:.0f} MiB" if row.most else "") + (" MISSED" if is_too_large else ""))
    _print(*cells)
    return not any("MISSED" in cell for cell in cells)


def _print(*cells: str) -> None:
    widths = (-35, 8, 9, 8, 9, 6, -23, 6, -23, -1)
    words = (f"{word:{'<' if width < 0 else '>'}{abs(width)}}" for word, width in zip(cells, widths))
    print(" ".join(words).rstrip(), flush=True)


def rows(bench: Bench) -> Iterator[Row]:
    """Yields every row that this machine can measure, quick ones first; files are made as they are needed."""
    least = bench.script("import argparse")
    yield Row("version", bench.call("--version", proof="."), least, time=1.0)
    yield Row("help", bench.call("--help", proof="Examples:"), least, time=1.6)
    image = ("request", "POST", "/v1/text_to_image", *RED_FOX, "--dry-run")
    yield Row("dry run", bench.call(*image, proof="a red fox"), least, time=1.6)

    post = ("request", "POST", "/v1/tasks/done", *RED_FOX)
    without = bench.call(*post, proof=DONE, env={"RUNWAY_SKILLS_HISTORY": "off"})
    recorded = bench.call(*post, proof=DONE, env={"RUNWAY_SKILLS_HISTORY": bench.path("history")})
    yield Row("POST with history / without", recorded, without, time=1.2)
    read = bench.script(f"import argparse, gzip, json; json.load(gzip.open({str(CONTRACT)!r}))")
    yield Row("models", bench.call("models", proof="gen4_image"), read, time=1.6)
    checked = bench.call(*image, "-f", "model=gen4_image", "-f", "ratio=1280:720", "--check", proof="a red fox")
    yield Row("--check", checked, read, time=2.0)

    # From Python 3.12 on urllib reads the trusted certificates for http too: the floor is given few, so as not to rise
    last = identity(LISTED - 1)
    for name, url, bound in (("list", bench.url, 1.0), ("list, TLS", bench.tls_url, 1.2)):
        if url:
            floor = bench.script(CALL, f"{url}/v1/avatars?limit=100", proof=last, env=bench.tls_env)
            program = bench.call("avatars", "list", proof=last, tls=url == bench.tls_url)
            yield Row(name, program, floor, time=bound, memory=1.1)

    yield from _bodies(bench)
    if shutil.which("curl"):
        yield from _transfers(bench)
    yield Row("wait 50", bench.call("wait", "-", "--quiet", stdin=bench.ids(50), proof=DONE), most=40 * MIB)
    yield from _growth(bench)
    yield from _batches(bench)


def _bodies(bench: Bench) -> Iterator[Row]:
    """Yields bodies of 50 MB: an inlined file, the same with a character that no single byte holds, many records."""
    file = "data:video/mp4;base64," + "A" * BODY
    each = '{"name":"Guide","weights":[1,2.5,-3e4],"tags":["a","b"],"hidden":false}'
    for name, content in (
        ("inlined file", f'{{"promptVideo":"{file}"}}'),
        ("inlined file and emoji", f'{{"promptText":"\U0001f98a","promptVideo":"{file}"}}'),
        ("records", f'{{"data":[{",".join([each] * (BODY // (len(each) + 1)))}]}}'),
    ):
        stdin = bench.text(f"{name}.json", content)
        floor = bench.script(CALL, f"{bench.url}/v1/tasks/done", stdin=stdin, proof=DONE)
        program = bench.call("request", "POST", "/v1/tasks/done", "--stdin", stdin=stdin, proof=DONE)
        yield Row(f"stdin 50 MB, {name}", program, floor, time=1.5, memory=1.5, most=4 * BODY, rounds=0.4)


def _transfers(bench: Bench) -> Iterator[Row]:
    """Yields curl against the program: 0.8 of its speed is 1.25 of its time."""

    def curl(told: str, *words: str, proof: str) -> Command:
        trust = ("--cacert", bench.tls_env["SSL_CERT_FILE"]) if bench.tls_env else ()
        return Command((shutil.which("curl") or "", "-sS", "-w", f"%{{{told}}}", *trust, *words), proof)

    def upload(url: str, size: int) -> tuple[Command, Command]:
        film = bench.zeros(size)
        form = ("-F", "key=uploads/film", "-F", f"file=@{film};type=video/mp4", f"{url}/storage")
        program = bench.call("upload", film, proof="runway://film", tls=url == bench.tls_url)
        return curl("http_code", *form, proof="200"), program

    def download(url: str, size: int) -> tuple[Command, Command]:
        saved, source = bench.path("saved.mp4"), f"{url}/zeros/{size}.mp4"
        words = ("download", source, "--to", saved, "--force")
        program = bench.call(*words, proof=str(size), tls=url == bench.tls_url)
        return curl("size_download", "-o", saved, source, proof=str(size)), program

    for name, url in (("", bench.url), (", TLS", bench.tls_url)):
        for commands in (upload, download) if url else ():
            floor, program = commands(url, TRANSFER)
            title, starts = f"{commands.__name__} 200 MB{name}", commands(url, 1)
            yield Row(title, program, floor, time=1.25, most=40 * MIB, starts=starts, rounds=0.6)


def _growth(bench: Bench) -> Iterator[Row]:
    """Yields rows of ten times as much: it may cost ten times as much; 1.3 is for caches that no longer hold it all."""

    def paged(total: int) -> Command:
        return bench.call("request", "GET", f"/v1/records/{total}", "--paginate", proof=identity(total - 1))

    def waited(count: int) -> Command:
        return bench.call("wait", "-", "--quiet", stdin=bench.ids(count), proof=identity(count - 1))

    def answered(size: int) -> Command:
        return bench.call("request", "GET", f"/v1/json/{size}", proof=identity(0))

    cases: tuple[tuple[str, Callable[[int], Command], int, int, float | None, int | None, float], ...] = (
        ("10,000 records / 1,000", paged, 1_000, 1, 1.3, None, 1.0),
        ("1,000 ids / 100", waited, 100, 2, None, 40 * MIB, 1.0),
        ("100 MB answer / 10 MB", answered, 10 * MB, 1, 1.3, None, 0.4),
    )
    for name, command, small, least, memory, most, rounds in cases:
        starts = (command(least), command(least))
        program, floor = command(small * GROWTH), command(small)
        yield Row(name, program, floor, 1.3, memory, most, starts, GROWTH, rounds)


def _batches(bench: Bench) -> Iterator[Row]:
    """Yields 1,000 rows, the same again when all are done, and 60 tasks of 5 s with 10 in flight against 30 s."""

    def batch(count: int, *words: str, path: str = "/v1/tasks/done", anew: bool = True) -> Command:
        prompts = "".join(f'{{"promptText":"fox {number}"}}\n' for number in range(count))
        log = bench.path(f"{count}.log")
        argv = ("batch", path, bench.text(f"{count}.jsonl", prompts), "--log", log, "--quiet", *words)
        call = bench.call(*argv, proof=DONE, env={"RUNWAY_SKILLS_HISTORY": "off"})
        removing = ("/bin/sh", "-c", 'rm -f "$0"; exec "$@"', log) if anew else ()
        return Command((*removing, *call.argv), call.proof, call.stdin, call.env)

    many = ("--parallel", "16")
    yield Row("batch, 1,000 rows", batch(1000, *many), most=45 * MIB, rounds=0.2)
    second = bench.script("import time; time.sleep(1)")
    yield Row("batch, 1,000 done rows / 1 s", batch(1000, *many, anew=False), second, time=1.0, rounds=0.2)
    ideal = bench.script("import time; time.sleep(30)")
    timed = batch(60, "--parallel", "10", path="/v1/timed")
    yield Row("batch, 60 rows of 5 s / ideal", timed, ideal, time=1.15, rounds=0.2)


if __name__ == "__main__":
    sys.exit(main())
