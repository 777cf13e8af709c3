"""The structure of the program: who may import whom, few files and none of them long.

Every module is read, not run; an import inside a function counts like any other. An import under `if TYPE_CHECKING:`
never runs, and may go up.
"""

from __future__ import annotations

import ast
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path

from tests.program import ROOT

PACKAGE = ROOT / "runway_cli"
MAX_LINES = 700
MAX_FILES = 60
BASE = {"errors", "jsontext", "settings", "shutdown", "terminal", "__init__"}
LAYERS = {  # layer: the layers that it may import, besides itself
    "__main__": {"cli"},
    "cli": {"commands", "jobs", "files", "contract", "api", "transport", *BASE},
    "commands": {"jobs", "files", "contract", "api", "transport", *BASE},
    "jobs": {"files", "contract", "api", "transport", *BASE},
    "files": {"api", "transport", *BASE},
    "contract": {"api", "transport", *BASE},
    "api": {"transport", *BASE},
    "transport": BASE,
    "terminal": {"errors", "jsontext", "settings"},
    "settings": {"errors"},
    "shutdown": {"errors"},
    **{name: set[str]() for name in ("jsontext", "errors", "__init__")},
}
# Not at run time: each costs milliseconds of every start.
SLOW_IMPORTS = {"typing", "dataclasses", "enum", "uuid", "inspect", "pathlib", "logging"}
SELDOM_STARTED = {"commands/skill.py": {"pathlib"}}  # a command where that does not matter


def imports(source: str, path: Path) -> Iterator[tuple[int, str]]:
    """Yields the line and the full name of every import that runs, relative names resolved."""
    tree = ast.parse(source)
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    for_types = {inner for block in blocks for statement in block.body for inner in ast.walk(statement)}
    folder = path.relative_to(PACKAGE.parent).parent.parts

    def full(name: str) -> str:
        level = len(name) - len(name.lstrip("."))
        return ".".join([*(folder[: len(folder) + 1 - level] if level else ()), name.strip(".")]).strip(".")

    for node in set(ast.walk(tree)) - for_types:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = full("." * node.level + (node.module or ""))
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            name = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
            yield node.lineno, full(str(name.value) if isinstance(name, ast.Constant) else "")


def layer(name: str) -> str | None:
    """Returns the layer of a full name; None for one of the standard library."""
    package, _, rest = name.partition(".")
    first = rest.partition(".")[0]
    return None if package != "runway_cli" else first if first in LAYERS else "__init__"


def upward_imports(source: str, path: Path) -> list[str]:
    """Returns the imports that LAYERS does not allow, as `line 3: cli → commands`."""
    own = path.relative_to(PACKAGE).parts[0].partition(".")[0]
    found = [(line, layer(name)) for line, name in imports(source, path)]
    return [f"line {line}: {own} → {other}" for line, other in found if other not in {None, own, *LAYERS[own]}]


class ArchitectureTest(unittest.TestCase):
    def setUp(self) -> None:
        self.sources = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}

    def test_no_module_imports_one_above_it(self) -> None:
        for path, source in self.sources.items():
            self.assertEqual(upward_imports(source, path), [], path)

    def test_the_table_of_layers_has_no_circle(self) -> None:
        placed: set[str] = set()
        while len(placed) < len(LAYERS):
            ready = {name for name, below in LAYERS.items() if below <= placed} - placed
            self.assertTrue(ready, f"a circle among {set(LAYERS) - placed}")
            placed |= ready

    def test_nothing_slow_is_imported_at_run_time(self) -> None:
        for path, source in self.sources.items():
            names = {name.partition(".")[0] for _, name in imports(source, path)}
            allowed = SELDOM_STARTED.get(path.relative_to(PACKAGE).as_posix(), set())
            self.assertLessEqual(names & SLOW_IMPORTS, allowed, path)

    @unittest.skipUnless(hasattr(sys, "stdlib_module_names"), "Python 3.9 does not list its modules")
    def test_nothing_but_the_standard_library_is_imported(self) -> None:
        known = {"runway_cli", *getattr(sys, "stdlib_module_names", ())}
        for path, source in self.sources.items():
            self.assertLessEqual({name.partition(".")[0] for _, name in imports(source, path)}, known, path)

    def test_files_are_few_and_none_is_long(self) -> None:
        self.assertLessEqual(len(self.sources), MAX_FILES)
        lengths = {path.relative_to(PACKAGE).as_posix(): len(text.splitlines()) for path, text in self.sources.items()}
        self.assertEqual({name: length for name, length in lengths.items() if length > MAX_LINES}, {})
