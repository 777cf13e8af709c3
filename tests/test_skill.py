"""`skill install`: the program as an agent's skill, from wherever it runs, over nobody else's work."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import unittest
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from unittest import mock

from runway_cli import __version__
from runway_cli.commands import skill
from tests.links import need_links
from tests.program import ROOT, ProgramTest, Result, run

PAGES = {"SKILL.md": b"---\nname: runway-cli\n---\n", "AUTH.md": b"# Keys\n"}
CODE = {
    file.relative_to(ROOT).as_posix(): file.read_bytes()
    for file in ROOT.glob("runway_cli/**/*")
    if file.is_file() and file.suffix != ".pyc"
}
SKILL = {**PAGES, **CODE}
INSIDE = {**CODE, **{f"runway_cli/skill/{name}": content for name, content in PAGES.items()}}


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Puts files into a folder."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def hashes(files: dict[str, bytes]) -> dict[str, str]:
    """The hashes of files, as a manifest has them."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, without what Python keeps for itself."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


class SkillTest(ProgramTest):
    """A checkout, a home folder and a project in a folder of their own."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp()).resolve()
        self.addCleanup(shutil.rmtree, self.folder)
        self.home, self.project = self.folder / "home", self.folder / "project"
        self.home.mkdir()
        self.project.mkdir()
        self.checkout = self.folder / "checkout"
        write(self.checkout, SKILL)

    def install(self, *words: str, start: tuple[str, ...] | None = None, **env: str) -> Result:
        home = {"HOME": str(self.home), "USERPROFILE": str(self.home)}
        surroundings = {**home, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1", **env}
        start = start or (str(self.checkout / "runway_cli"),)
        return run("skill", "install", *words, env=surroundings, cwd=self.project, start=start)

    def row(self, host: str, path: Path) -> dict[str, object]:
        return {"host": host, "path": str(path), "files": len(SKILL), "version": __version__}

    def assert_installed(self, path: Path) -> None:
        found = tree(path)
        manifest = json.loads(found.pop(".runway-cli.json"))
        self.assertEqual(found, SKILL)
        self.assertEqual(manifest, {"version": __version__, "files": hashes(SKILL)})
        self.assertEqual(os.listdir(path.parent), ["runway-cli"])


class Sources(SkillTest):
    def check(self, *start: str, **env: str) -> None:
        result = self.install("claude", start=start, **env)
        path = self.home / ".claude" / "skills" / "runway-cli"
        self.assert_success(result, json=self.row("claude", path), stderr="")
        self.assert_installed(path)
        status = run("auth", "status", start=(str(path / "runway_cli"),), cwd=self.project, env={"PYTHONPATH": ""})
        self.assertEqual(status.exit, 77)
        self.assertEqual(status.json["authenticated"], False)

    def test_a_checkout(self) -> None:
        self.check(str(self.checkout / "runway_cli"))

    def test_a_wheel(self) -> None:
        write(self.folder / "site-packages", INSIDE)
        self.check("-m", "runway_cli", PYTHONPATH=str(self.folder / "site-packages"))

    def test_a_zipapp(self) -> None:
        archive = self.folder / "runway-cli.pyz"
        with zipfile.ZipFile(archive, "w") as target:
            target.writestr("__main__.py", "from runway_cli.cli.main import run\nrun()\n")
            for name in sorted({name.rpartition("/")[0] for name in INSIDE}):
                target.writestr(name + "/", "")
            for name, content in INSIDE.items():
                target.writestr(name, content)
        self.check(str(archive))

    def test_an_installed_skill_installs_itself_anew_and_elsewhere(self) -> None:
        self.install("claude")
        first = self.home / ".claude" / "skills" / "runway-cli"
        result = self.install("claude", "cursor", start=(str(first / "runway_cli"),))
        self.assertEqual(result.exit, 0, result)
        self.assert_installed(first)
        self.assert_installed(self.home / ".cursor" / "skills" / "runway-cli")

    def test_a_copy_without_its_pages_says_so(self) -> None:
        (self.checkout / "SKILL.md").unlink()
        result = self.install("claude")
        self.assert_error(result, 2, kind="usage")
        self.assertIn("this copy of the program is incomplete", result.error["error"])
        self.assertEqual(os.listdir(self.home), [])


class Targets(SkillTest):
    def assert_paths(self, result: Result, *expected: tuple[str, Path]) -> None:
        rows = [self.row(host, folder / "runway-cli") for host, folder in expected]
        self.assert_success(result, lines=rows, stderr="")
        for _, folder in expected:
            self.assert_installed(folder / "runway-cli")

    def test_every_host_has_its_place_and_without_one_those_that_are_there(self) -> None:
        for words, there, hosts in (
            (("claude", "cursor", "codex", "agents", "claude"), (), ("claude", "cursor", "codex", "agents")),
            ((), ("claude", "codex"), ("claude", "codex")),
            ((), (), ("agents",)),
        ):
            with self.subTest(words, there=there):
                self.home = Path(tempfile.mkdtemp(dir=self.folder))
                for host in there:
                    (self.home / f".{host}").mkdir()
                self.assert_paths(self.install(*words), *((host, self.home / f".{host}" / "skills") for host in hosts))

    def test_a_folder(self) -> None:
        for word, folder in (
            ("./skills", self.project / "skills"),
            ("a/b", self.project / "a" / "b"),
            (".", self.project),
            ("~/mine", self.home / "mine"),
        ):
            with self.subTest(word=word):
                result = self.install(word)
                self.assert_success(result, json=self.row(word, folder / "runway-cli"))
                self.assertEqual(tree(folder / "runway-cli").keys(), {*SKILL, ".runway-cli.json"})

    def test_an_unknown_host_is_refused(self) -> None:
        words = "'claud' is not a host: choose from claude, cursor, codex, agents, or name a folder such as ./claud"
        self.assert_error(self.install("claude", "claud"), 2, kind="usage", error=words)
        self.assertEqual(os.listdir(self.home), [])

    @unittest.skipIf(os.name == "nt", "Windows finds the home folder in another way")
    def test_no_home(self) -> None:
        told = "this user has no home folder: name a folder of skills"
        for words in ((), ("claude",)):
            self.assert_error(self.install(*words, HOME="/nonexistent"), 2, kind="usage", error=told)


class Replacing(SkillTest):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.home / ".claude" / "skills" / "runway-cli"

    def assert_refused(self, path: Path, reason: str = skill.NOT_OURS) -> None:
        """The error, and that nothing was written; another host gets the skill all the same."""
        before = os.listdir(self.path.parent)
        words = f"{str(path)!r} {reason}: move it away, and nothing is lost"
        result = self.install("cursor", "claude")
        self.assert_error(result, 2, kind="usage", error=f"1 of 2 failed: {words}")
        self.assertEqual([row["host"] for row in result.lines], ["cursor"])
        self.assertEqual(os.listdir(self.path.parent), before)

    def test_an_older_version_makes_room(self) -> None:
        old = {"SKILL.md": b"old page", "runway_cli/cli.py": b"old code", "runway_cli/gone.py": b"not needed any more"}
        write(self.path, {**old, ".runway-cli.json": json.dumps({"version": "0.1", "files": hashes(old)}).encode()})
        self.assertEqual(self.install("claude").exit, 0)
        self.assert_installed(self.path)

    def test_what_was_deleted_comes_back_and_what_someone_put_beside_it_stays(self) -> None:
        self.install("claude")
        (self.path / "AUTH.md").unlink()
        extra = {"notes.md": b"mine", "runway_cli/commands/own.txt": b"mine too"}
        write(self.path, {**extra, "runway_cli/__pycache__/cli.cpython-39.pyc": b"stale"})
        self.assertEqual(self.install("claude").exit, 0)
        self.assertEqual({name: tree(self.path)[name] for name in extra}, extra)
        self.assertEqual(tree(self.path).keys(), {*SKILL, *extra, ".runway-cli.json"})
        self.assertFalse((self.path / "runway_cli" / "__pycache__").exists())

    def test_a_folder_of_someone_else_is_refused(self) -> None:
        for name, content in (
            ("SKILL.md", b"another skill"),
            (".runway-cli.json", b"[]"),
            (".runway-cli.json", b'{"files": "x"}'),
            (".runway-cli.json", b"[" * 100_000),  # nested too deeply
        ):
            with self.subTest(name=name, content=content[:20]):
                write(self.path, {name: content})
                self.assert_refused(self.path)

    @need_links
    def test_a_file_or_a_link_in_its_place_is_refused(self) -> None:
        self.path.parent.mkdir(parents=True)
        for target in ("", str(self.checkout), "nowhere"):
            if target:
                self.path.symlink_to(target)
            else:
                self.path.touch()
            self.assert_refused(self.path)
            self.path.unlink()
        self.assertEqual(tree(self.checkout), SKILL)

    def test_an_edited_file_is_refused_and_one_that_stands_where_a_new_one_belongs(self) -> None:
        self.install("claude")
        write(self.path, {"SKILL.md": b"my own words"})
        self.assert_refused(self.path / "SKILL.md")
        write(self.path, {"SKILL.md": SKILL["SKILL.md"]})
        manifest = json.loads((self.path / ".runway-cli.json").read_bytes())
        del manifest["files"]["AUTH.md"]
        write(self.path, {".runway-cli.json": json.dumps(manifest).encode()})
        self.assert_refused(self.path / "AUTH.md")

    @need_links
    def test_nothing_is_written_or_read_through_a_link_a_device_or_a_pipe(self) -> None:
        self.install("claude")
        elsewhere = self.folder / "elsewhere"
        makers: list[Callable[[Path], object]] = [partial(os.symlink, elsewhere), partial(os.symlink, os.devnull)]
        makers += [os.mkfifo] if hasattr(os, "mkfifo") else []
        for name in ("runway_cli", "runway_cli/commands", "AUTH.md", "notes", "runway_cli/cli/notes"):
            for make in makers:
                with self.subTest(name, make=make):
                    if (self.path / name).exists():
                        (self.path / name).rename(elsewhere)
                    make(self.path / name)
                    self.assert_refused(self.path / name, "is a link, a device or a pipe")
                    (self.path / name).unlink()
                    if elsewhere.exists():
                        elsewhere.rename(self.path / name)
        for make in makers[1:]:
            for path in (self.path / ".runway-cli.json", self.checkout / "AUTH.md"):  # which are read
                path.unlink()
                make(path)
            self.assertIn("(AUTH.md is not a file)", self.install("claude").error["error"])
            (self.checkout / "AUTH.md").unlink()
            write(self.checkout, PAGES)
            self.assert_refused(self.path)

    def test_a_place_that_cannot_be_written(self) -> None:
        write(self.home, {".claude/skills": b"not a folder"})
        result = self.install("claude")
        self.assert_error(result, 74, kind="io")
        self.assertIn(f"{str(self.path)!r} could not be written", result.error["error"])
        self.assertEqual(tree(self.home), {".claude/skills": b"not a folder"})

    def test_the_next_install_tidies_up_after_one_that_was_killed(self) -> None:
        for left, is_there in ((("old", "new"), False), (("new",), True)):  # between two renames; before or after
            with self.subTest(left):
                self.install("claude")
                write(self.path, {"notes.md": b"mine"})
                for end in left:
                    copy = self.path.parent / f".runway-cli-0123abcd.{end}"
                    shutil.copytree(self.path, copy)
                    os.utime(copy, (0, 0))
                if not is_there:
                    shutil.rmtree(self.path)
                self.assertEqual(self.install("claude").exit, 0)
                self.assertEqual(tree(self.path)["notes.md"], b"mine")
                self.assertEqual(os.listdir(self.path.parent), ["runway-cli"])
        for name in (".runway-cli-mine.old", ".runway-cli-0123abcd.old.txt"):
            write(self.path.parent, {f"{name}/notes.md": b"mine"})
            self.assertEqual(self.install("claude").exit, 0)
            self.assertEqual(tree(self.path.parent / name), {"notes.md": b"mine"})

    def test_several_installs_at_once_leave_a_whole_skill(self) -> None:
        for _ in range(2):  # the first one, and over an old one
            with ThreadPoolExecutor() as pool:
                found = list(pool.map(lambda _: self.install("claude"), range(3)))
            if os.name == "posix":  # Windows cannot exchange two folders: one may find none there, and change nothing
                self.assertEqual([result.exit for result in found], [0, 0, 0], found)
            self.assert_installed(self.path)

    def test_a_new_skill_takes_the_place_of_the_old_one_in_one_step_or_not_at_all(self) -> None:
        rename = Path.rename

        def fail_for_new(path: Path, target: Path) -> Path:
            if path.suffix == skill.NEW:
                raise FileExistsError if target.exists() else KeyboardInterrupt
            return rename(path, target)

        is_linux = sys.platform.startswith("linux")
        old = {"SKILL.md": b"old"}
        write(self.path, {**old, ".runway-cli.json": json.dumps({"files": hashes(old)}).encode()})
        with mock.patch.object(Path, "rename", fail_for_new):
            with nullcontext() if is_linux else self.assertRaises(KeyboardInterrupt):
                skill._write(self.path, {"SKILL.md": b"new"})
            there = tree(self.path)
            self.assertEqual(there["SKILL.md"], b"new" if is_linux else b"old")
            with mock.patch.object(skill, "_exchange", return_value=False), self.assertRaises(KeyboardInterrupt):
                skill._write(self.path, {"SKILL.md": b"newer"})
        self.assertEqual(tree(self.path), there)
        self.assertEqual(os.listdir(self.path.parent), ["runway-cli"])
