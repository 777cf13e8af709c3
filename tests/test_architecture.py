"""The structure of the program: who may import whom, no state in modules, no long files.

The rules are tables at the top. Every module is read, not run; an import inside a function counts like any other. An
import under `if TYPE_CHECKING:` never runs, so that it may go up, but each one that does is listed in UPWARD_TYPES.
"""

from __future__ import annotations

import ast
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path

from tests.program import ROOT

PACKAGE = ROOT / "runway_cli"
BASE = {"errors", "jsontext", "settings", "shutdown", "terminal", "version"}
# layer: the layers that it may import, besides itself. `version` stands for the package's own __init__.py.
LAYERS = {
    "__main__": {"cli"},
    "cli": {"commands", "jobs", "files", "contract", "api", "transport", *BASE},
    "commands": {"jobs", "files", "contract", "api", "transport", *BASE},
    "jobs": {"files", "api", "transport", *BASE},
    "files": {"api", "transport", *BASE},
    "contract": {"api", "transport", *BASE},
    "api": {"transport", *BASE},
    "transport": BASE,
    "terminal": {"errors", "jsontext", "settings"},
    "settings": {"errors"},
    "shutdown": {"errors"},
    "jsontext": set[str](),
    "errors": set[str](),
    "version": set[str](),
}
# Types that a module names although they are above it: (module, layer)
UPWARD_TYPES: set[tuple[str, str]] = set()
# Not at run time: each costs milliseconds of every start.
SLOW_IMPORTS = {"typing", "dataclasses", "enum", "uuid", "inspect", "pathlib", "logging"}
SELDOM_STARTED = {"runway_cli.commands.skill": ["pathlib"]}  # a command where that does not matter
MAX_LINES = 700
MAX_FILES = 60
CONTAINERS = {"list", "dict", "set", "defaultdict", "deque", "OrderedDict", "Counter"}
CACHES = {"cache", "lru_cache", "cached_property"}
CHANGES = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "remove", "discard", "clear"}
CHANGES |= {"sort", "reverse", "appendleft", "popleft"}


class Import:
    """One import: the line, the module's full name, and whether it is under `if TYPE_CHECKING:`."""

    def __init__(self, line: int, name: str, is_for_types: bool) -> None:
        self.line = line
        self.name = name
        self.is_for_types = is_for_types


def imports(source: str, module: str) -> list[Import]:
    """Every import of a module, with relative names resolved. `module` is its full name."""
    tree = ast.parse(source)
    for_types = {id(inner) for node in ast.walk(tree) if _is_type_checking(node) for inner in _body(node)}
    return [
        Import(getattr(node, "lineno", 0), name, id(node) in for_types)
        for node in ast.walk(tree)
        for name in _imported(node, module)
    ]


def layer(module: str) -> str | None:
    """The layer of a module by its full name; None for a module of the standard library."""
    parts = module.split(".")
    if parts[0] != "runway_cli":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else "version"


def upward_imports(source: str, module: str, *, for_types: bool = False) -> list[str]:
    """The imports that LAYERS does not allow, as `line 3: cli → commands`. `for_types` chooses those that never run."""
    own = layer(module)
    assert own is not None
    found = []
    for each in imports(source, module):
        other = layer(each.name)
        if each.is_for_types is for_types and other is not None and other not in {own, *LAYERS[own]}:
            found.append(f"line {each.line}: {own} → {other}")
    return found


def slow_imports(source: str, module: str) -> list[str]:
    """The imports at run time of what is slow to import."""
    names = {each.name.partition(".")[0] for each in imports(source, module) if not each.is_for_types}
    return sorted(names & SLOW_IMPORTS)


def module_state(source: str) -> list[str]:
    """What looks like state in a module: a variable, a container to be filled, a cache, a change of a constant."""
    tree = ast.parse(source)
    names = set()
    found = []
    for statement in tree.body:
        for name in _assigned(statement):
            names.add(name)
            value = getattr(statement, "value", None)
            if not name.lstrip("_").isupper() and not name.startswith("__"):
                found.append(f"line {statement.lineno}: {name} is a variable")
            if _is_empty_container(value):
                found.append(f"line {statement.lineno}: {name} is a container to be filled")
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            found.append(f"line {node.lineno}: global {', '.join(node.names)}")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found += [
                f"line {node.lineno}: {node.name} keeps a cache" for each in node.decorator_list if _is_cache(each)
            ]
        changed = _changed_name(node)
        if changed in names:
            found.append(f"line {getattr(node, 'lineno', 0)}: {changed} is changed")
    return found


def modules() -> Iterator[tuple[str, Path, str]]:
    """Every module of the program: its full name, file and source."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = (*parts[:-1], "__init__")
        yield ".".join(parts), path, path.read_text(encoding="utf-8")


class ImportsTest(unittest.TestCase):
    def test_no_module_imports_one_above_it(self) -> None:
        for name, _, source in modules():
            with self.subTest(name):
                self.assertEqual(upward_imports(source, name), [])

    def test_types_from_above_are_listed(self) -> None:
        found = {
            (name, each.rpartition(" ")[2])
            for name, _, source in modules()
            for each in upward_imports(source, name, for_types=True)
        }
        self.assertEqual(found, UPWARD_TYPES)

    def test_the_table_names_every_layer_that_exists(self) -> None:
        found = {layer(name) for name, _, _ in modules()}
        self.assertEqual(found, set(LAYERS))

    def test_the_table_has_no_circle(self) -> None:
        placed: set[str] = set()
        while len(placed) < len(LAYERS):
            ready = {name for name, below in LAYERS.items() if below <= placed} - placed
            self.assertTrue(ready, f"a circle among {set(LAYERS) - placed}")
            placed |= ready

    def test_nothing_slow_is_imported_at_run_time(self) -> None:
        for name, _, source in modules():
            with self.subTest(name):
                self.assertEqual(slow_imports(source, name), SELDOM_STARTED.get(name, []))

    @unittest.skipUnless(hasattr(sys, "stdlib_module_names"), "Python 3.9 does not list its modules")
    def test_nothing_but_the_standard_library_is_imported(self) -> None:
        known = {"runway_cli", *getattr(sys, "stdlib_module_names", ())}
        for name, _, source in modules():
            names = {each.name.partition(".")[0] for each in imports(source, name)}
            with self.subTest(name):
                self.assertLessEqual(names, known)


class FilesTest(unittest.TestCase):
    def test_the_init_file_of_a_subpackage_is_empty(self) -> None:
        for path in PACKAGE.rglob("*/__init__.py"):
            with self.subTest(path.relative_to(PACKAGE).as_posix()):
                self.assertEqual(path.read_text(encoding="utf-8"), "")

    def test_no_file_is_long(self) -> None:
        found = {
            path.relative_to(PACKAGE).as_posix()
            for _, path, source in modules()
            if len(source.splitlines()) > MAX_LINES
        }
        self.assertEqual(found, set())

    def test_no_module_keeps_state(self) -> None:
        for name, _, source in modules():
            with self.subTest(name):
                self.assertEqual(module_state(source), [])


class PlantedTest(unittest.TestCase):
    """The checks themselves: each finds what it is for."""

    def test_an_import_that_runs_up_is_found(self) -> None:
        for module, source, expected in (
            ("runway_cli.api.client", "from ..commands import wait", "line 1: api → commands"),
            ("runway_cli.api.client", "from ..jobs.polling import PolledTask", "line 1: api → jobs"),
            ("runway_cli.api.services.runway", "from ...cli.main import main", "line 1: api → cli"),
            ("runway_cli.jobs.polling", "import runway_cli.cli.main", "line 1: jobs → cli"),
            ("runway_cli.files.upload", "import os, runway_cli.jobs.batch as batch", "line 1: files → jobs"),
            ("runway_cli.files.upload", "from runway_cli import cli", "line 1: files → cli"),
            ("runway_cli.errors", "from . import jsontext", "line 1: errors → jsontext"),
            ("runway_cli.contract.source", "from ..files import media", "line 1: contract → files"),
            ("runway_cli.terminal.console", "def f():\n    from ..api import client", "line 2: terminal → api"),
            ("runway_cli.jobs.polling", "try:\n    from ..cli import help\nexcept E: pass", "line 2: jobs → cli"),
            ("runway_cli.api.registry", "import_module('..commands.wait', __package__)", "line 1: api → commands"),
            ("runway_cli.api.registry", "import_module(f'..cli.{name}', __package__)", "line 1: api → cli"),
            ("runway_cli.api.registry", "importlib.import_module('runway_cli.cli')", "line 1: api → cli"),
            ("runway_cli.api.__init__", "from .. import cli", "line 1: api → cli"),
            (
                "runway_cli.api.client",
                "if TYPE_CHECKING:\n    pass\nelse:\n    from .. import cli",
                "line 4: api → cli",
            ),
        ):
            with self.subTest(source, module=module):
                self.assertEqual(upward_imports(source, module), [expected])

    def test_an_import_that_runs_down_is_allowed(self) -> None:
        for module, source in (
            ("runway_cli.cli.main", "from ..commands import wait"),
            ("runway_cli.commands.wait", "from ..contract import source"),
            ("runway_cli.jobs.polling", "from .. import __version__, jsontext"),
            ("runway_cli.jobs.polling", "from .scheduler import Scheduler"),
            ("runway_cli.api.client", "import os.path, json"),
            ("runway_cli.cli.parser", "import_module(f'..commands.{name}', __package__)"),
        ):
            with self.subTest(source, module=module):
                self.assertEqual(upward_imports(source, module), [])

    def test_a_type_from_above_is_told_from_an_import_that_runs(self) -> None:
        source = "if TYPE_CHECKING:\n    from ..commands._context import Context"
        self.assertEqual(upward_imports(source, "runway_cli.api.client"), [])
        self.assertEqual(upward_imports(source, "runway_cli.api.client", for_types=True), ["line 2: api → commands"])

    def test_a_slow_import_is_found(self) -> None:
        self.assertEqual(slow_imports("def f():\n    from typing import Any", "runway_cli.errors"), ["typing"])
        source = "if TYPE_CHECKING:\n    from typing import Any"
        self.assertEqual(slow_imports(source, "runway_cli.errors"), [])

    def test_state_in_a_module_is_found(self) -> None:
        for source, expected in (
            ("client = Client()", "line 1: client is a variable"),
            ("SEEN = []", "line 1: SEEN is a container to be filled"),
            ("SEEN: set[str] = set()", "line 1: SEEN is a container to be filled"),
            ("def f():\n    global N\n    N = 1", "line 2: global N"),
            ("@functools.lru_cache\ndef f(): pass", "line 2: f keeps a cache"),
            ("@lru_cache(maxsize=2)\ndef f(): pass", "line 2: f keeps a cache"),
            ("ROWS = [1]\ndef f():\n    ROWS.append(2)", "line 3: ROWS is changed"),
            ("ROWS = {1: 2}\ndef f():\n    ROWS[3] = 4", "line 3: ROWS is changed"),
            ("ROWS = {1: 2}\ndef f():\n    del ROWS[1]", "line 3: ROWS is changed"),
            ("ROWS = {1: 2}\ndef f():\n    ROWS[1] += 1", "line 3: ROWS is changed"),
        ):
            with self.subTest(source):
                self.assertEqual(module_state(source), [expected])

    def test_constants_and_tables_are_not_state(self) -> None:
        for source in (
            "__version__ = '1'",
            "MAX = 3\nROWS = {1: [2]}\n_NAMES = ('a', 'b')",
            "def f():\n    rows = []\n    rows.append(1)",
            "if TYPE_CHECKING:\n    Words = Sequence[str]",
        ):
            with self.subTest(source):
                self.assertEqual(module_state(source), [])


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _body(node: ast.AST) -> Iterator[ast.AST]:
    """Everything in the first branch of an `if`."""
    assert isinstance(node, ast.If)
    for statement in node.body:
        yield from ast.walk(statement)


def _imported(node: ast.AST, module: str) -> Iterator[str]:
    """The full names of the modules that a node imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        start = _resolved("." * node.level, module) if node.level else ""
        base = ".".join(filter(None, (start, node.module)))
        if base == "runway_cli":  # each name may be a module
            yield from (f"{base}.{alias.name}" for alias in node.names)
        else:
            yield base
    elif isinstance(node, ast.Call) and _last_name(node.func) == "import_module" and node.args:
        text = _beginning(node.args[0])
        if text:
            yield _resolved(text, module) if text.startswith(".") else text.rstrip(".")


def _resolved(name: str, module: str) -> str:
    """A relative name such as `..commands.` as a full one."""
    level = len(name) - len(name.lstrip("."))
    parts = module.split(".")[:-level]
    return ".".join([*parts, *filter(None, name.strip(".").split("."))])


def _beginning(node: ast.expr) -> str:
    """The text of a string, or what an f-string begins with."""
    if isinstance(node, ast.JoinedStr) and node.values:
        return _beginning(node.values[0])
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _assigned(node: ast.stmt) -> list[str]:
    """The names that a statement of a module assigns."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
        targets = [node.target]
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def _is_empty_container(node: ast.expr | None) -> bool:
    if isinstance(node, (ast.List, ast.Set)):
        return not node.elts
    if isinstance(node, ast.Dict):
        return not node.keys
    return isinstance(node, ast.Call) and _last_name(node.func) in CONTAINERS and not node.args


def _is_cache(node: ast.expr) -> bool:
    return _last_name(node.func if isinstance(node, ast.Call) else node) in CACHES


def _changed_name(node: ast.AST) -> str | None:
    """The name whose value a node changes in place."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
        return node.func.value.id if isinstance(node.func.value, ast.Name) else None
    if isinstance(node, (ast.Assign, ast.Delete)):
        targets = node.targets
    elif isinstance(node, ast.AugAssign):
        targets = [node.target]
    for target in targets:
        if isinstance(target, (ast.Subscript, ast.Attribute)) and isinstance(target.value, ast.Name):
            return target.value.id
    return None


def _last_name(node: ast.expr) -> str:
    """`c` for `a.b.c`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


if __name__ == "__main__":
    unittest.main()
