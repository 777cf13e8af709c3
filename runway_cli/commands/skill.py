"""`skill install`: this program as a skill of an agent, copied so that it runs from there with nothing installed.

A skill is the folder `runway-cli` in a host's folder of skills: SKILL.md, AUTH.md, the package `runway_cli` and a
manifest with the hashes of these files. By the manifest the next install knows what it may replace.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from .. import __version__
from ..errors import OutputError, UsageError
from ..settings import absolute, home
from ..terminal.tables import Column
from .options import WRITES, Command, GlobalOptions, Operand, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.abc import Traversable

    from .context import Context


NAME = "runway-cli"
MANIFEST = ".runway-cli.json"
PAGES = ("AUTH.md", "SKILL.md")
LICENSE = "LICENSE"
PACKAGE = "runway_cli"
HOSTS = {"claude": ".claude", "cursor": ".cursor", "codex": ".codex", "agents": ".agents"}
COMMON = "agents"  # the folder that several hosts read
COLUMNS = (
    Column("Host", "host"),
    Column("Path", "path"),
    Column("Files", "files"),
    Column("Version", "version"),
)


class Options(GlobalOptions):
    hosts: list[str]
    project: bool


def install(context: Context, options: Options) -> int:
    """Writes the skill for each host and prints where; writes nothing where one of them is someone else's folder."""
    targets = _targets(options.hosts, options.project)
    files = _contents()
    for folder in targets:
        _check(folder, files)
    try:
        for folder, host in targets.items():
            try:
                _write(folder, files)
            except OSError as error:
                raise OutputError(f"{str(folder)!r} could not be written: {error.strerror or error}") from None
            row = {"host": host, "path": str(folder), "files": len(files), "version": __version__}
            context.console.row(row, alone=len(targets) == 1)
    finally:
        context.console.end_rows(COLUMNS)
    return 0


def _targets(hosts: list[str], project: bool) -> dict[Path, str]:
    """The skill's folder for each host; one folder once. Raises UsageError."""
    return {_skills(host, project) / NAME: host for host in hosts or _present(project)}


def _present(project: bool) -> list[str]:
    base = _base(project)
    return [host for host, folder in HOSTS.items() if os.path.isdir(base / folder)] or [COMMON]


def _skills(host: str, project: bool) -> Path:
    if host in HOSTS:
        return _base(project) / HOSTS[host] / "skills"
    if not (host.startswith((".", "~")) or "/" in host or os.sep in host):
        raise UsageError(
            f"{host!r} is not a host: choose from {', '.join(HOSTS)}, or name a folder such as ./{host}",
            try_next=("skill", "install", COMMON),
        )
    folder = os.path.expanduser(host)
    if folder.startswith("~"):
        raise UsageError(f"{host!r}: this user does not exist", try_next=("skill", "install", "./skills"))
    return Path(absolute(folder))


def _base(project: bool) -> Path:
    base = absolute(os.curdir) if project else home()
    if base is None:
        raise UsageError(
            "this user has no home folder: name a folder of skills, or use --project",
            try_next=("skill", "install", "--project"),
        )
    return Path(base)


def _contents() -> dict[str, bytes]:
    """The skill's files by their path in it, read from wherever this program runs: checkout, skill, wheel or zipapp.

    Raises UsageError where a page is missing.
    """
    from importlib.resources import files

    package = files(PACKAGE)
    try:
        pages = {name: _page(package, name).read_bytes() for name in PAGES}
        return {**pages, **{f"{PACKAGE}/{name}": file.read_bytes() for name, file in _modules(package, "")}}
    except OSError as error:
        raise UsageError(
            "this copy of the program is incomplete: install the skill from a checkout, the wheel or the "
            f"zipapp ({error})"
        ) from None


def _page(package: Traversable, name: str) -> Traversable:
    """In the wheel and the zipapp the pages lie in the package, in a checkout and in a skill beside it."""
    inside = package / "skill" / name
    return inside if inside.is_file() else Path(str(package)).parent / name


def _modules(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _modules(item, f"{prefix}{item.name}/")
        elif item.name.endswith(".py") or item.name in ("py.typed", LICENSE):
            yield prefix + item.name, item


def _check(folder: Path, files: Mapping[str, bytes]) -> None:
    """Raises UsageError unless the folder is free, or holds what an earlier install wrote and nobody changed since."""
    if not os.path.lexists(folder):
        return
    written = None if folder.is_symlink() else _manifest(folder)
    if written is None:
        raise _refusal(folder, "was not written by skill install")
    for name in {**written, **files}:
        file = folder / name
        _refuse_link(folder, name)
        if not os.path.lexists(file):
            continue
        if name not in written:
            raise _refusal(file, "was not written by skill install")
        if not _is_unchanged(file, written[name]):
            raise _refusal(file, "was changed since skill install wrote it")


def _refuse_link(folder: Path, name: str) -> None:
    """Raises UsageError where a folder on the way to a file is a symbolic link: nothing is written through one."""
    for parent in list(Path(name).parents)[:-1]:
        if (folder / parent).is_symlink():
            raise _refusal(folder / parent, "is a symbolic link, which skill install did not make")


def _is_unchanged(file: Path, expected: str) -> bool:
    try:
        return not file.is_symlink() and _hash(file.read_bytes()) == expected
    except OSError:
        return False


def _refusal(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"{str(path)!r} {reason}: move it away, and nothing is lost. Nothing was written",
        try_next=("skill", "install", "--help"),
    )


def _manifest(folder: Path) -> dict[str, str] | None:
    """The hashes by file of an earlier install, None where there was none."""
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        return {str(name): str(found) for name, found in files.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Puts the skill there whole: it is written beside its place, and takes it at the end. Raises OSError.

    What else lies in the old folder goes along.
    """
    mark = os.urandom(4).hex()
    new, old = folder.with_name(f".{NAME}-{mark}.new"), folder.with_name(f".{NAME}-{mark}.old")
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        if folder.exists():
            written = _manifest(folder) or {}
            shutil.copytree(
                folder,
                new,
                symlinks=True,
                ignore=lambda where, names: [
                    name
                    for name in names
                    if name == "__pycache__" or Path(where, name).relative_to(folder).as_posix() in (*written, MANIFEST)
                ],
            )
        for name, content in files.items():
            _save(new / name, content)
        hashes = {name: _hash(content) for name, content in files.items()}
        _save(new / MANIFEST, json.dumps({"version": __version__, "files": hashes}, indent=2).encode() + b"\n")
        _swap(new, folder, old)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _save(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _swap(new: Path, folder: Path, old: Path) -> None:
    """Puts `new` in the place of `folder`, which is back there if that fails."""
    try:
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except BaseException:  # an interrupt too
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


COMMANDS = {
    "skill install": Command(
        install,
        summary="copy this program into the skills folders of agents",
        operands=(
            Operand(
                "hosts",
                "HOST",
                takes="*",
                help=f"{', '.join(HOSTS)}, or a folder of skills such as ./skills (default: the hosts whose folder "
                "exists, else agents)",
            ),
        ),
        options=(Option("--project", help="for the current folder, not for the user"),),
        examples=(("skill", "install"), ("skill", "install", "claude", "--project"), ("skill", "install", "./skills")),
        prints='{"host", "path", "files", "version"} for each host',
        effect=WRITES,
        has_rows=True,
    )
}
