"""Compares speed and memory of the program with the least that Python needs: `python3 -m tests.benchmarks`.

A row runs two commands in turn, the floor and the program, and compares medians. The noise is that of the floor against
itself; a bound counts as missed only beyond it. Ends with 1 when a bound is missed, with 2 when a command could not be
measured.
"""

from __future__ import annotations

import argparse
import compileall
import math
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import Any

from tests.benchmarks.server import CONTRACT, LISTED, identity

ROOT = Path(__file__).resolve().parents[2]
MB, MIB = 1_000_000, 1 << 20
TRANSFER = 200 * MB  # bytes, the largest file that the API takes
BODY = 50 * MB
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


# What an installer writes for the entry point of pyproject.toml
SCRIPT = "from runway_cli.cli.main import run\nrun()\n"
# STDIN STDOUT STDERR COMMAND...: runs the command; prints seconds, peak bytes of memory and the wait status. A small
# process of its own, because on Linux a child's peak begins at that of the process that forked it.
LAUNCHER = """
import os, sys, time
stdin, stdout, stderr, *command = sys.argv[1:]
written = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
streams = [(0, stdin, os.O_RDONLY), (1, stdout, written), (2, stderr, written)]
actions = [(os.POSIX_SPAWN_OPEN, number, path, flags, 0o600) for number, path, flags in streams]
begin = time.perf_counter()
child = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - begin, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), status)
"""


class BenchmarkError(Exception):
    """A command could not be measured: it failed, or did not do its work."""


@dataclass(frozen=True)
class Command:
    """What is run. `proof` must be in its stdout, so that nothing fast and wrong is measured."""

    argv: Sequence[str]
    proof: str = ""
    stdin: str = os.devnull
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One run: wall time in seconds, peak memory in bytes."""

    seconds: float
    memory: int


@dataclass(frozen=True)
class Row:
    """Two commands and the bounds of the second: ratios of time and memory, and `most` bytes of memory.

    `rounds` is the share of the rounds asked for that a slow row takes.
    """

    name: str
    program: Command
    floor: Command | None = None
    time: float | None = None
    memory: float | None = None
    most: float | None = None
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


class Bench:
    """A folder with a virtual environment that holds nothing but the program, and a server; a context manager.

    Program and floor are run by that environment's Python, with modules compiled and no .pth file or user's
    site-packages, whose cost would hide the difference.
    """

    def __enter__(self) -> Bench:
        self.folder = tempfile.mkdtemp(prefix="runway-cli-benchmark-")
        self.python, self.program = self._install()
        server = [sys.executable, "-m", "tests.benchmarks.server"]
        self._server = subprocess.Popen(server, cwd=ROOT, stdin=PIPE, stdout=PIPE, encoding="utf-8")
        assert self._server.stdout
        self.url = self._server.stdout.readline().strip()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.communicate()  # closes its stdin, which ends it
        shutil.rmtree(self.folder)

    def path(self, name: str) -> str:
        """Returns the path of a file in this folder."""
        return os.path.join(self.folder, name)

    def zeros(self, size: int) -> str:
        """Makes a file of `size` bytes that no disk has to hold, and that begins as an MP4 does."""
        with open(self.path(f"{size}.mp4"), "wb") as file:
            file.write(b"\0\0\0\x18ftypisom\0\0\0\0isommp42")
            file.truncate(size)
        return file.name

    def text(self, name: str, content: str) -> str:
        """Makes a file with this content in UTF-8."""
        Path(self.path(name)).write_text(content, encoding="utf-8")
        return self.path(name)

    def ids(self, count: int) -> str:
        """Makes a file with ids, one a line."""
        return self.text(f"{count}.ids", "".join(identity(number) + "\n" for number in range(count)))

    def script(self, source: str, *argv: str, **options: Any) -> Command:
        """Returns a floor: Python with this source. `options` are those of Command."""
        return Command((self.python, "-c", source, *argv), **options)

    def call(self, *argv: str, env: Mapping[str, str] | None = None, **options: Any) -> Command:
        """Returns a call of the program, led to the server. `options` are those of Command."""
        surroundings = {
            "RUNWAY_SKILLS_OPENAPI_URL": f"{self.url}/contract.json",
            "RUNWAY_SKILLS_BASE_URL": self.url,
            "RUNWAY_SKILLS_API_SECRET": "key_benchmark",
            **(env or {}),
        }
        return Command((self.python, self.program, *argv), env=surroundings, **options)

    def run(self, command: Command, *, check: bool = False) -> Run:
        """Runs a command to its end, with `check` looks at what it printed. Raises BenchmarkError."""
        stdout, stderr = (self.path("stdout") if check else os.devnull), self.path("stderr")
        launched = subprocess.run(
            [sys.executable, "-I", "-S", "-c", LAUNCHER, command.stdin, stdout, stderr, *command.argv],
            env={"PATH": os.defpath, "HOME": self.folder, **command.env},
            cwd=self.folder,
            stdout=PIPE,
            encoding="utf-8",
            check=True,
        )
        seconds, memory, status = launched.stdout.split()
        words = " ".join(command.argv[1:4])
        if status != "0":
            raise BenchmarkError(f"{words} failed: {Path(stderr).read_text(encoding='utf-8', errors='replace')[:500]}")
        if check and command.proof not in Path(stdout).read_text(encoding="utf-8"):
            raise BenchmarkError(f"{words} did not print {command.proof!r}")
        return Run(float(seconds), int(memory))

    def _install(self) -> tuple[str, str]:
        """Makes an environment with the package, compiled, and the script that starts it; returns Python and script."""
        environment = os.path.join(self.folder, "venv")
        venv.create(environment, symlinks=True, with_pip=False)
        modules = sysconfig.get_path("purelib", "posix_prefix", {"base": environment, "platbase": environment})
        package = os.path.join(modules, "runway_cli")
        shutil.copytree(ROOT / "runway_cli", package, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(package, quiet=1)
        return os.path.join(environment, "bin", "python"), self.text("runway-cli", SCRIPT)


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
    taken = [[bench.run(command) for command in commands] for _ in range(rounds)]
    floor, program = [runs[0] for runs in taken if row.floor], [runs[-1] for runs in taken]
    time = memory = None
    if row.floor:
        time = compared([run.seconds for run in floor], [run.seconds for run in program], row.time)
        memory = compared([run.memory for run in floor], [run.memory for run in program], row.memory)
    return show(row, floor, program, time, memory)


def compared(floor: Sequence[float], program: Sequence[float], bound: float | None) -> Ratio:
    """Returns the ratio of program to floor: the median of the rounds' ratios, as both meet the same load.

    The noise is that of the floor's runs, each against the one before: the notch of a box plot, 1.57 times the
    interquartile range over the root of the count (McGill, Tukey and Larsen, Variations of Box Plots, 1978).
    """
    unrest = [later / earlier for earlier, later in zip(floor, floor[1:])]
    lower, _, upper = statistics.quantiles(unrest, n=4)
    ratios = [value / beside for value, beside in zip(program, floor)]
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
    """Yields every row, quick ones first; files are made as they are needed."""
    least = bench.script("import argparse")
    yield Row("version", bench.call("--version", proof="."), least, time=1.0)
    yield Row("help", bench.call("--help", proof="Examples:"), least, time=1.6)
    image = ("request", "POST", "/v1/text_to_image", *RED_FOX, "--dry-run")
    yield Row("dry run", bench.call(*image, proof="a red fox"), least, time=1.6)
    typed = ("generate", "text_to_image", "a red fox", "model=gen4_image", "ratio=1280:720", "--dry-run")
    yield Row("generate, dry run", bench.call(*typed, proof="a red fox"), least, time=2.0)

    post = ("request", "POST", "/v1/tasks/done", *RED_FOX)
    without = bench.call(*post, proof=DONE, env={"RUNWAY_SKILLS_HISTORY": "off"})
    recorded = bench.call(*post, proof=DONE, env={"RUNWAY_SKILLS_HISTORY": bench.path("history")})
    yield Row("POST with history / without", recorded, without, time=1.2)
    read = bench.script(f"import argparse, gzip, json; [*map(json.loads, gzip.open({str(CONTRACT)!r}))]")
    yield Row("models", bench.call("models", proof="gen4_image"), read, time=1.6)
    checked = bench.call(*image, "-f", "model=gen4_image", "-f", "ratio=1280:720", "--check", proof="a red fox")
    yield Row("--check", checked, read, time=2.0)
    last = identity(LISTED - 1)
    listed = bench.script(CALL, f"{bench.url}/v1/avatars?limit=100", proof=last)
    yield Row("list", bench.call("avatars", "list", proof=last), listed, time=1.0, memory=1.1)

    # A file of 50 MB as text in the body, with a character that no single byte holds.
    file = "data:video/mp4;base64," + "A" * BODY
    stdin = bench.text("body.json", f'{{"promptText":"\U0001f98a","promptVideo":"{file}"}}')
    floor = bench.script(CALL, f"{bench.url}/v1/tasks/done", stdin=stdin, proof=DONE)
    sent = bench.call("request", "POST", "/v1/tasks/done", "--stdin", stdin=stdin, proof=DONE)
    yield Row("stdin 50 MB", sent, floor, time=1.5, memory=1.5, rounds=0.4)
    uploaded = bench.call("upload", bench.zeros(TRANSFER), proof="runway://film")
    yield Row("upload 200 MB", uploaded, most=40 * MIB, rounds=0.4)
    source = ("download", f"{bench.url}/zeros/{TRANSFER}.mp4", "--to", bench.path("saved.mp4"), "--force")
    yield Row("download 200 MB", bench.call(*source, proof=str(TRANSFER)), most=40 * MIB, rounds=0.4)

    # Ten times as much takes ten times as long at most; 1.3 is for caches that no longer hold it all.
    few, many = (
        bench.call("request", "GET", f"/v1/records/{total}", "--paginate", proof=identity(total - 1))
        for total in (1_000, 10_000)
    )
    yield Row("10,000 records / 1,000", many, few, time=13, memory=13)
    few, many = (bench.call("wait", "-", "--quiet", stdin=bench.ids(count), proof=DONE) for count in (100, 1_000))
    yield Row("wait for 1,000 ids / 100", many, few, time=13, most=40 * MIB)

    second, ideal = (bench.script(f"import time; time.sleep({seconds})") for seconds in (1, 30))
    yield Row("batch, 1,000 rows", batch(bench, 1000, "--parallel", "16"), most=45 * MIB, rounds=0.2)
    again = batch(bench, 1000, "--parallel", "16", anew=False)
    yield Row("batch, 1,000 done rows / 1 s", again, second, time=1.0, rounds=0.2)
    timed = batch(bench, 60, "--parallel", "10", path="/v1/timed")
    yield Row("batch, 60 rows of 5 s / ideal", timed, ideal, time=1.15, rounds=0.2)


def batch(bench: Bench, count: int, *words: str, path: str = "/v1/quick", anew: bool = True) -> Command:
    """Returns a batch of so many rows; the same again, when all are done, without `anew`."""
    prompts = "".join(f'{{"promptText":"fox {number}"}}\n' for number in range(count))
    log = bench.path(f"{count}.log")
    argv = ("batch", path, bench.text(f"{count}.jsonl", prompts), "--log", log, "--quiet", *words)
    call = bench.call(*argv, proof=DONE, env={"RUNWAY_SKILLS_HISTORY": "off"})
    removing = ("/bin/sh", "-c", 'rm -f "$0"; exec "$@"', log) if anew else ()
    return Command((*removing, *call.argv), call.proof, call.stdin, call.env)


if __name__ == "__main__":
    sys.exit(main())
