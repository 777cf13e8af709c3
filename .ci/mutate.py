"""Break what must never break, one place at a time, and expect the tests to notice: `python3 .ci/mutate.py [WORD]`.

Each mutation is made in a copy of the tree, and the test modules named for it must fail there. Exits with 1 where one
survives. WORD chooses the mutations whose title contains it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "runway_cli"
TIMEOUT = 300  # seconds for the tests of one mutation; a mutant that hangs is noticed too
RETRY_TESTS = ("test_retry_policy", "test_retries", "test_faults", "test_lowcodeapi")
SECRET_TESTS = ("test_masking", "test_console", "test_output")


class Mutation:
    """One change: `old` becomes `new` in a file, at its occurrence number `which`, and these tests must fail."""

    def __init__(self, title: str, file: str, old: str, new: str, *tests: str, which: int = 0) -> None:
        self.title = title
        self.file = file
        self.old = old
        self.new = new
        self.tests = tests
        self.which = which

    def apply(self, tree: Path) -> None:
        """Raises ValueError where the text is not there: the list below is then out of date."""
        path = tree / PACKAGE / self.file
        text = path.read_text(encoding="utf-8")
        places = [match.start() for match in re.finditer(re.escape(self.old), text)]
        if self.which >= len(places):
            raise ValueError(f"{self.file} has no {self.old!r} number {self.which + 1}")
        start = places[self.which]
        path.write_text(text[:start] + self.new + text[start + len(self.old) :], encoding="utf-8")


def retry_mutations() -> Iterator[Mutation]:
    """Every entry of the retry tables, turned round."""
    text = (ROOT / PACKAGE / "api/retry.py").read_text(encoding="utf-8")
    seen: dict[str, int] = {}
    for match in re.finditer(r"([\w\"]+): \((True|False), (True|False)\)", text):
        which = seen.get(match[0], 0)
        seen[match[0]] = which + 1
        for position in (2, 3):
            flags = [match[2], match[3]]
            flags[position - 2] = "False" if flags[position - 2] == "True" else "True"
            title = f"retry table: {match[0]} → ({', '.join(flags)})"
            new = f"{match[1]}: ({', '.join(flags)})"
            yield Mutation(title, "api/retry.py", match[0], new, *RETRY_TESTS, which=which)


MUTATIONS = (
    Mutation("refusals: 502", "api/retry.py", "(*_CLIENT_ERRORS, 502, 503, 504)", "_CLIENT_ERRORS", *RETRY_TESTS),
    Mutation("refusals: 408", "api/retry.py", "if status != 408)", ")", *RETRY_TESTS),
    Mutation("retry: a bad certificate", "api/retry.py", "failure.permanent:", "False:", *RETRY_TESTS, "test_tls"),
    Mutation("origin", "api/paths.py", "_origin(parts) == _origin(base)", "True", "test_urls", "test_request"),
    Mutation("origin: user name", "api/paths.py", 'rpartition("@")', 'partition("@")', "test_urls"),
    Mutation("path: dot segments", "api/paths.py", 'in (".", "..")', "in ()", "test_urls", "test_request"),
    Mutation(
        "masking: stdout",
        "terminal/console.py",
        "self.secrets.mask(text, masking.MIN_LENGTH_IN_RESULTS)",
        "text",
        *SECRET_TESTS,
    ),
    Mutation(
        "masking: stderr",
        "terminal/console.py",
        "return printable(self.mask(text, own))",
        "return printable(text)",
        *SECRET_TESTS,
    ),
    Mutation(
        "masking: errors", "terminal/console.py", "self.secrets.mask_value({key: item})", "{key: item}", *SECRET_TESTS
    ),
    Mutation("masking: traces", "terminal/console.py", "self.mask(masking.body(body))", "body.decode()", *SECRET_TESTS),
    Mutation(
        "masking: excerpts",
        "api/responses.py",
        "text = mask(text)[: 20 * MAX_EXCERPT]",
        "text = text[: 20 * MAX_EXCERPT]",
        "test_faults",
        "test_output",
        "test_masking",
    ),
    Mutation(
        "masking: messages",
        "api/responses.py",
        "return mask(found)[:MAX_MESSAGE]",
        "return found[:MAX_MESSAGE]",
        "test_faults",
        "test_output",
        "test_masking",
    ),
    Mutation(
        "masking: rows",
        "terminal/console.py",
        "rows = [hide(row) for row in rows]",
        "rows = list(rows)",
        *SECRET_TESTS,
    ),
    Mutation(
        "masking: prompts",
        "jobs/history.py",
        "masked = self._mask(text)",
        "masked = text",
        "test_history",
        "test_history_file",
    ),
    Mutation(
        "order: intent and POST",
        "jobs/starting.py",
        "key = history.intend(path, value)",
        'key = ""',
        "test_history",
        "test_history_kills",
    ),
    Mutation(
        "order: id",
        "jobs/starting.py",
        "history.started(key, pollable.name, credits_of(answer))",
        "pass",
        "test_history",
        "test_history_kills",
    ),
    Mutation("order: refused", "jobs/starting.py", "history.refused(key)", "pass", "test_history"),
    Mutation("disk: fsync", "jobs/journal.py", ".fsync(", ".fstat(", "test_history", "test_journal"),
    Mutation(
        "files: never over another",
        "files/part_file.py",
        "os.link(part, path)",
        "os.replace(part, path)",
        "test_downloads",
        "test_flow",
    ),
    Mutation(
        "files: force",
        "files/download.py",
        "if self.force or self.destination.by_content",
        "if self.destination.by_content",
        "test_downloads",
    ),
    Mutation(
        "files: taken names",
        "files/destination.py",
        "if not destination.in_folder and os.path.lexists(destination.path):",
        "if False:",
        "test_downloads",
        "test_flow",
        "test_wait",
    ),
    Mutation(
        "files: regular ones only",
        "files/destination.py",
        "None if stat.S_ISREG(mode)",
        "None if True",
        "test_downloads",
    ),
    Mutation("files: hidden names", "files/destination.py", '.strip("._-")', '.strip("_")', "test_downloads"),
    Mutation(
        "files: incomplete",
        "files/download.py",
        "if self.total is not None and self.done != self.total:",
        "if False:",
        "test_downloads",
    ),
    Mutation(
        "signals: an answer is not thrown away",
        "jobs/starting.py",
        "    history.started(",
        "    client.shutdown.check()\n    history.started(",
        "test_signals",
    ),
    Mutation("cancel: look again", "commands/cancel.py", "retries=0)\n", "retries=2)\n", "test_cancel"),
    Mutation(
        "transport: the secret's host",
        "api/client.py",
        'return self.transport.send(Request("GET", url, {**headers',
        'return self.transport.send(Request("GET", url, {**self.headers(False), **headers',
        "test_reference",
    ),
)


def passes(tests: Iterable[str], mutation: Mutation | None = None) -> bool:
    """Whether these test modules pass in a copy of the tree, broken by the mutation."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in (PACKAGE, "tests"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("README.md", "SKILL.md", "AUTH.md"):
            shutil.copy(ROOT / name, tree / name)
        if mutation:
            mutation.apply(tree)
        command = [sys.executable, "-m", "unittest", "-f", *(f"tests.{name}" for name in tests)]
        try:
            done = subprocess.run(command, cwd=tree, capture_output=True, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def main() -> int:
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    mutations = [mutation for mutation in (*retry_mutations(), *MUTATIONS) if word in mutation.title]
    for test in sorted({test for mutation in mutations for test in mutation.tests}):
        if not passes([test]):  # it would notice every mutation
            print(f"{test} fails without any mutation")
            return 1
    survivors = 0
    with ThreadPoolExecutor(2) as workers:
        outcomes = workers.map(lambda mutation: passes(mutation.tests, mutation), mutations)
        for mutation, survived in zip(mutations, outcomes):
            survivors += survived
            print(f"{'SURVIVED' if survived else 'noticed '} {mutation.title}", flush=True)
    print(f"{len(mutations) - survivors} of {len(mutations)} mutations were noticed")
    return 1 if survivors or not mutations else 0


if __name__ == "__main__":
    sys.exit(main())
