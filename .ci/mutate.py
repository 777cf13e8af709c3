"""Breaks what must never break, one place at a time, and expects the tests to notice: `python3 .ci/mutate.py [WORD]`.

Each mutation is made in a copy of the tree, and the test modules named for it must fail there. Exits with 1 where one
survives, or where the program or its tests have moved on and a mutation no longer fits. WORD chooses the mutations
whose title contains it.
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
TIMEOUT = 300  # seconds for the tests of one mutation; a mutant that hangs is noticed too
SOURCES = {path: path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("runway_cli/**/*.py"))}
# Below, a test is the beginning of the names of modules.
RETRY_TESTS = ("retr", "client", "faults", "lowcodeapi")
SECRET_TESTS = ("masking", "console", "output", "faults")
HISTORY_TESTS = ("history", "ledger", "once")
FILE_TESTS = ("download", "flow", "wait")


class Mutation:
    """One change: `old`, a snippet that occurs once in the program, becomes `new`, and these tests must fail."""

    def __init__(self, title: str, old: str, new: str, *tests: str) -> None:
        self.title = title
        self.old = old
        self.new = new
        self.modules = [path.stem for test in tests for path in sorted(ROOT.glob(f"tests/test_{test}*.py"))]

    def fault(self) -> str:
        """Returns why the mutation does not fit the program; empty if it does."""
        count = sum(text.count(self.old) for text in SOURCES.values())
        if count != 1:
            return f"{self.title}: {self.old!r} occurs {count} times"
        return "" if self.modules else f"{self.title}: there is no test module"

    def apply(self, tree: Path) -> None:
        """Makes the change in a copy of the tree."""
        (path,) = (path for path, text in SOURCES.items() if self.old in text)
        text = SOURCES[path].replace(self.old, self.new)
        (tree / path.relative_to(ROOT)).write_text(text, encoding="utf-8")


def retry_mutations() -> Iterator[Mutation]:
    """Yields the tables of what is retried, each without one of its entries, and with one that it must not have."""
    for start, added in (
        ("SAFE_RETRIES = (", ("404", "NOT_JSON")),
        ("DIRECT = RetryPolicy((", ("408", "500", "LOST")),
        ("GATEWAY = RetryPolicy((", ("502", "503", "LOST")),
    ):
        rows = [line for text in SOURCES.values() for line in text.splitlines() if line.startswith(start)]
        (row,) = rows or [start]  # which then occurs twice or not at all, and is reported
        entries = re.split(r", ?", row[len(start) :].partition(")")[0])
        for changed in (*([e for e in entries if e != gone] for gone in entries), *([*entries, e] for e in added)):
            new = f"{start}{', '.join(changed)},)"
            yield Mutation(f"retry: {new}", f"{start}{', '.join(entries)})", new, *RETRY_TESTS)


MUTATIONS = (
    Mutation("retry: a refused POST is accepted", "300 <= outcome < 500", "False", *RETRY_TESTS),
    Mutation("retry: 408 refuses", "and outcome != 408", "", *RETRY_TESTS),
    Mutation("retry: a bad certificate", ' or failure.fact("final")', "", *RETRY_TESTS, "tls"),
    Mutation("origin", "len(origins) > 1 or ", "", "urls", "request"),
    Mutation("origin: user name", '"@" in parts.netloc or ', "", "urls"),
    Mutation("path: dot segments", 'unquote(part) in (".", "..")', "part in ()", "urls", "request"),
    Mutation(
        "masking: stdout", "sys.stdout, self.secrets.mask(text, masking.MIN_LENGTH_IN_RESULTS, in_disguise=False)",
        "sys.stdout, text", *SECRET_TESTS,
    ),
    Mutation("masking: stderr", "printable(self.mask(text))", "printable(text)", *SECRET_TESTS),
    Mutation("masking: errors", "masking.value(document, self.mask)", "dict(document)", *SECRET_TESTS),
    Mutation("masking: traces", "masking.body(body, self.mask)", "body.decode()", *SECRET_TESTS),
    Mutation("masking: excerpts", 'text = mask(" ".join(', 'text = str(" ".join(', *SECRET_TESTS),
    Mutation("masking: messages", "mask(said)[:MAX_MESSAGE]", "said[:MAX_MESSAGE]", *SECRET_TESTS),
    Mutation("masking: rows", "[hide(row) for row in rows]", "list(rows)", *SECRET_TESTS),
    Mutation("masking: prompts", '"data:…", self._mask(fact))', '"data:…", fact)', *HISTORY_TESTS),
    Mutation("order: intent and POST", "        history.intend(path, value, **facts)", "        pass", *HISTORY_TESTS),
    Mutation("order: id", "ledger.settle(key, STARTED, id=pollable.name, credits=credits_of(answer))", "pass",
             *HISTORY_TESTS, "batch_ledger"),
    Mutation("order: refused", "ledger.forget(key)", "pass", *HISTORY_TESTS),
    Mutation("order: the batch's intent", "batch.intend(path, value, **facts)", "pass",
             "batch_ledger"),
    Mutation("files: never over another", "else os.link  #", "else os.replace  #", *FILE_TESTS),
    Mutation("files: another's content", " and cmp(self._part, self.path, shallow=False)", "", *FILE_TESTS),
    Mutation("files: another ETag", "place and is_same)", "place)", *FILE_TESTS),
    Mutation("files: an empty output", "if not self._done:", "if False:", *FILE_TESTS),
    Mutation("files: no media", 'if kind is None or not kind.startswith(', "if kind is None or False and (", "uploads"),
    Mutation("files: taken names", "        check_name(path, force=force, failure=failure)\n", "", *FILE_TESTS),
    Mutation("files: regular ones only", "if not os.path.isfile(path):\n            raise",
             "if False:\n            raise", *FILE_TESTS),
    Mutation("files: hidden names", '"_", name)).strip("._-")', '"_", name)).strip("_")', *FILE_TESTS),
    Mutation("files: incomplete", "self._total not in (None, self._done):", "False:", *FILE_TESTS),
    Mutation("signals: an answer is not thrown away", "    for ledger in ledgers:\n        if not",
             "    client.shutdown.check()\n    for ledger in ledgers:\n        if not", "signals"),
    Mutation("cancel: look again", '"DELETE", path, retries=0', '"DELETE", path, retries=2', "cancel"),
    Mutation("transport: chunks", "self.chunked, self.chunk_left, self.length = True, None, None", "pass", "transport"),
    Mutation("transport: the end over TLS", "suppress_ragged_eofs=False", "suppress_ragged_eofs=True", "tls"),
    Mutation("transport: a POST over an old connection", 'place if method == "GET" else ""', "place", "transport"),
    Mutation("transport: kept for another host", "kept.place == place and", "", "transport"),
    Mutation("transport: bytes unasked for", "socket.socket.recv(kept, 1, socket.MSG_PEEK)", "raise BlockingIOError",
             "transport"),
    Mutation("ledger: a refusal in a common commit", "if len(group) == len(own):", "if group:", "ledger"),
    Mutation("ledger: late records", "if each is change or each[1]]", "if each is change]", "ledger"),
    Mutation(
        "transport: the secret's host", 'answer = self.transport.send(method, url, headers',
        "answer = self.transport.send(method, url, {**self.headers(False), **headers}",
        "reference", "client",
    ),
)  # fmt: skip


def passes(modules: Iterable[str], mutation: Mutation | None = None) -> bool:
    """Returns whether these test modules pass in a copy of the tree, broken by the mutation."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in ("runway_cli", "tests"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for page in ROOT.glob("*.md"):
            shutil.copy(page, tree)
        if mutation:
            mutation.apply(tree)
        command = [sys.executable, "-m", "unittest", "-f", *(f"tests.{module}" for module in modules)]
        try:
            done = subprocess.run(command, cwd=tree, capture_output=True, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def main() -> int:
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    mutations = [mutation for mutation in (*retry_mutations(), *MUTATIONS) if word in mutation.title]
    faults = list(filter(None, (mutation.fault() for mutation in mutations)))
    for module in sorted({module for mutation in mutations for module in mutation.modules}):
        if not faults and not passes([module]) and not passes([module]):  # it would seem to notice every mutation
            faults.append(f"{module} fails without any mutation")
    if faults or not mutations:
        print("\n".join(faults or [f"no mutation has {word!r} in its title"]))
        return 1
    survivors = 0
    with ThreadPoolExecutor(2) as workers:
        outcomes = workers.map(lambda mutation: passes(mutation.modules, mutation), mutations)
        for mutation, survived in zip(mutations, outcomes):
            survivors += survived
            print(f"{'SURVIVED' if survived else 'noticed '} {mutation.title}", flush=True)
    print(f"{len(mutations) - survivors} of {len(mutations)} mutations were noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
