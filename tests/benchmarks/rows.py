"""What is compared, and what it may cost."""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.bench import MB, Bench, Command, Run
from tests.benchmarks.server import CONTRACT, LISTED, identity

MIB = 1 << 20
TRANSFER = 200 * MB  # bytes, the largest file that the API takes
BODY = 50 * MB
HISTORY = 7 * MB
GROWTH = 10  # how much larger the larger one of two runs is
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
    """Two commands and how the second may compare: ratios of time and memory, and `most` bytes of memory.

    `starts` are the same two commands on next to nothing: what these cost is taken off, so that speeds are compared
    and not starts, which have rows of their own. `growth` is how much more than the floor the program is given: the
    ratios are then those of one unit's cost. `rounds` is the share of the rounds asked for that a slow row takes.
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
    """A median ratio, the bound it must keep, and the noise that is no miss yet, as a share of the bound."""

    value: float
    bound: float | None
    noise: float

    @property
    def missed(self) -> bool:
        """Whether the bound is missed by more than noise."""
        return self.bound is not None and self.value > self.bound * (1 + self.noise)


@dataclass(frozen=True)
class Result:
    """What a row measured; the ratios are None where it has no floor."""

    row: Row
    floor: Sequence[Run]
    program: Sequence[Run]
    time: Ratio | None
    memory: Ratio | None

    @property
    def too_large(self) -> bool:
        """Whether the program took more memory than the row allows."""
        return self.row.most is not None and statistics.median(run.memory for run in self.program) > self.row.most

    @property
    def missed(self) -> bool:
        """Whether any bound is missed."""
        return self.too_large or any(ratio.missed for ratio in (self.time, self.memory) if ratio)


def measure(bench: Bench, row: Row, rounds: int) -> Result:
    """Floor and program in turn, after one run of each that is checked and not counted."""
    rounds = max(3, round(rounds * row.rounds))
    for command in (row.floor, row.program):
        if command:
            bench.run(command, check=True)
    starts = [[bench.run(command) for _ in range(rounds)] for command in row.starts or ()]
    floor, program = [], []
    for _ in range(rounds):
        if row.floor:
            floor.append(bench.run(row.floor))
        program.append(bench.run(row.program))
    if not row.floor:
        return Result(row, floor, program, None, None)
    sides = [*starts, floor, program]
    time = compared([[run.seconds for run in runs] for runs in sides], row.growth, row.time)
    memory = None
    if row.memory or not row.starts:  # what a transfer adds to a start's memory may be nothing, which has no ratio
        memory = compared([[float(run.memory) for run in runs] for runs in sides], row.growth, row.memory)
    return Result(row, floor, program, time, memory)


def compared(sides: Sequence[Sequence[float]], growth: int, bound: float | None) -> Ratio:
    """The ratio of the last two of these lists, floor and program; the two before them, if any, are their starts.

    It is the median of the rounds' ratios: both runs of a round meet the same weather on a machine that others use.
    """
    *starts, floor, program = sides
    least, base = (statistics.median(start) for start in starts) if starts else (0.0, 0.0)
    floor = [value - least for value in floor]
    ratios = [(value - base) / growth / beside for value, beside in zip(program, floor)]
    return Ratio(statistics.median(ratios), bound, noise(floor))


def noise(floor: Sequence[float]) -> float:
    """How far the median of as many ratios is from 1 by chance: the floor's runs, each against the one before.

    This is the notch of a box plot, 1.57 times the quartiles' distance over the root of the count (McGill, Tukey and
    Larsen, Variations of Box Plots, 1978).
    """
    ratios = [later / earlier for earlier, later in zip(floor, floor[1:])]
    lower, _, upper = statistics.quantiles(ratios, n=4)
    return 1.57 * (upper - lower) / math.sqrt(len(ratios))


def rows(bench: Bench) -> Iterator[Row]:
    """Every row that this machine can measure, quick ones first; files are made as they are needed."""
    yield from _starts(bench)
    yield from _records(bench)
    yield from _lists(bench)
    yield from _bodies(bench)
    if shutil.which("curl"):
        yield from _transfers(bench)
    done = '"status":"SUCCEEDED"'
    yield Row("wait 50", bench.call("wait", "-", "--quiet", stdin=bench.ids(50), proof=done), most=40 * MIB)
    yield from _growth(bench)
    yield from _batches(bench)


def _starts(bench: Bench) -> Iterator[Row]:
    floor = bench.script("import argparse")
    yield Row("version", bench.call("--version", proof="."), floor, time=1.35)
    yield Row("help", bench.call("--help", proof="Examples:"), floor, time=1.6)
    yield Row("command help", bench.call("request", "--help", proof="Examples:"), floor, time=1.6)
    words = ("request", "POST", "/v1/text_to_image", "-f", "promptText=a red fox", "--dry-run")
    yield Row("dry run", bench.call(*words, proof="a red fox"), floor, time=1.3)


def _records(bench: Bench) -> Iterator[Row]:
    """What a POST pays for its record, beside a history of 7 MB; and what the contract in the cache costs to use."""
    line = '{"event":"ended","at":"2026-10-01T09:00:00.000Z","id":"x","status":"FAILED","account":"another"}\n'
    history = bench.text("history.jsonl", line * (HISTORY // len(line)))
    words = ("request", "POST", "/v1/tasks/done", "-f", "promptText=a red fox")
    done = '"status":"SUCCEEDED"'
    without = bench.call(*words, proof=done, env={"RUNWAY_SKILLS_HISTORY": "off"})
    recorded = bench.call(*words, proof=done, env={"RUNWAY_SKILLS_HISTORY": history})
    yield Row("POST with history / without", recorded, without, time=1.1)
    read = f"import argparse, json; json.load(open({str(CONTRACT)!r}, 'rb'))"
    yield Row("models", bench.call("models", proof="gen4_image"), bench.script(read), time=1.6)
    body = ("-f", "model=gen4_image", "-f", "promptText=a red fox", "-f", "ratio=1280:720")
    checked = bench.call("request", "POST", "/v1/text_to_image", *body, "--check", "--dry-run", proof="a red fox")
    yield Row("--check", checked, bench.script(read), time=2.0)


def _batches(bench: Bench) -> Iterator[Row]:
    """Memory of 1,000 rows, the same again when all are done, and 60 tasks of 5 s with 10 in flight against 30 s."""

    def prompts(count: int) -> str:
        return bench.text(f"{count}.jsonl", "".join(f'{{"promptText":"fox {number}"}}\n' for number in range(count)))

    def batch(count: int, *words: str, path: str = "/v1/tasks/done", anew: bool = True) -> Command:
        log = bench.path(f"{count}.log")
        call = bench.call(
            *("batch", path, prompts(count), "--log", log, "--quiet", *words),
            proof='"status":"SUCCEEDED"',
            env={"RUNWAY_SKILLS_HISTORY": "off"},
        )
        removing = ("/bin/sh", "-c", 'rm -f "$0"; exec "$@"', log) if anew else ()
        return Command((*removing, *call.argv), call.proof, call.stdin, call.env)

    many = ("--parallel", "16")
    yield Row("batch, 1,000 rows", batch(1000, *many), most=45 * MIB, rounds=0.2)
    second = bench.script("import time; time.sleep(1)")
    yield Row("batch, 1,000 done rows / 1 s", batch(1000, *many, anew=False), second, time=1.0, rounds=0.2)
    ideal = bench.script("import time; time.sleep(30)")
    timed = batch(60, "--parallel", "10", path="/v1/timed")
    yield Row("batch, 60 rows of 5 s / ideal", timed, ideal, time=1.15, rounds=0.2)


def _lists(bench: Bench) -> Iterator[Row]:
    last = identity(LISTED - 1)
    # From Python 3.12 on urllib reads the trusted certificates for http too: the floor is given few, so as not to rise
    floor = bench.script(CALL, f"{bench.url}/v1/avatars?limit=100", proof=last, env=bench.tls_env)
    yield Row("list", bench.call("avatars", "list", proof=last), floor, time=1.2, memory=1.1)
    if bench.tls_url:
        floor = bench.script(CALL, f"{bench.tls_url}/v1/avatars?limit=100", proof=last, env=bench.tls_env)
        yield Row("list, TLS", bench.call("avatars", "list", proof=last, tls=True), floor, time=1.2, memory=1.1)


def _bodies(bench: Bench) -> Iterator[Row]:
    """Bodies of 50 MB: an inlined file, the same with a character that no single byte holds, and many records."""
    file = "data:video/mp4;base64," + "A" * BODY
    each = '{"name":"Guide","weights":[1,2.5,-3e4],"tags":["a","b"],"hidden":false}'
    for name, content in (
        ("inlined file", f'{{"promptVideo":"{file}"}}'),
        ("inlined file and emoji", f'{{"promptText":"\U0001f98a","promptVideo":"{file}"}}'),
        ("records", f'{{"data":[{",".join([each] * (BODY // (len(each) + 1)))}]}}'),
    ):
        stdin = bench.text(f"{name}.json", content)
        done = '"status":"SUCCEEDED"'
        floor = bench.script(CALL, f"{bench.url}/v1/tasks/done", stdin=stdin, proof=done)
        program = bench.call("request", "POST", "/v1/tasks/done", "--stdin", stdin=stdin, proof=done)
        yield Row(f"stdin 50 MB, {name}", program, floor, time=1.5, memory=1.5, most=4 * BODY, rounds=0.4)


def _transfers(bench: Bench) -> Iterator[Row]:
    """0.8 of curl's speed is 1.25 of its time."""
    for words, tls in (("", False), (", TLS", True)) if bench.tls_url else (("", False),):
        for what, commands in (("upload", _uploads), ("download", _downloads)):
            floor, program = commands(bench, TRANSFER, tls)
            yield Row(
                f"{what} 200 MB{words}",
                program,
                floor,
                time=1.25,
                most=40 * MIB,
                starts=commands(bench, 1, tls),
                rounds=0.6,
            )


def _uploads(bench: Bench, size: int, tls: bool) -> tuple[Command, Command]:
    """curl and the program, which asks the API for a place first."""
    film = bench.zeros(size)
    url = f"{bench.tls_url if tls else bench.url}/storage"
    form = ("-F", "key=uploads/film", "-F", f"file=@{film};type=video/mp4", url)
    return _curl(bench, "http_code", form, proof="200"), bench.call("upload", film, proof="runway://film", tls=tls)


def _downloads(bench: Bench, size: int, tls: bool) -> tuple[Command, Command]:
    saved = bench.path("saved.mp4")
    url = f"{bench.tls_url if tls else bench.url}/zeros/{size}.mp4"
    program = bench.call("download", url, "--to", saved, "--force", proof=str(size), tls=tls)
    return _curl(bench, "size_download", ("-o", saved, url), proof=str(size)), program


def _curl(bench: Bench, told: str, words: Sequence[str], *, proof: str) -> Command:
    trust = ("--cacert", bench.tls_env["SSL_CERT_FILE"]) if bench.tls_env else ()
    return Command((shutil.which("curl") or "curl", "-sS", "-w", f"%{{{told}}}", *trust, *words), proof)


def _growth(bench: Bench) -> Iterator[Row]:
    """Ten times as much may cost ten times as much, not more; 1.3 leaves room for caches that no longer hold it all."""

    def paged(total: int) -> Command:
        return bench.call("request", "GET", f"/v1/records/{total}", "--paginate", proof=identity(total - 1))

    def waited(count: int) -> Command:
        return bench.call("wait", "-", "--quiet", stdin=bench.ids(count), proof=identity(count - 1))

    def answered(size: int) -> Command:
        return bench.call("request", "GET", f"/v1/json/{size}", proof=identity(0))

    for name, command, small, least, memory, most, rounds in (
        ("10,000 records / 1,000", paged, 1_000, 1, 1.3, None, 1.0),
        ("1,000 ids / 100", waited, 100, 2, None, 40 * MIB, 1.0),
        ("100 MB answer / 10 MB", answered, 10 * MB, 1, 1.3, None, 0.4),
    ):
        start = command(least)
        yield Row(name, command(small * GROWTH), command(small), 1.3, memory, most, (start, start), GROWTH, rounds)
