"""`skill install`: copies this program as a skill of an agent, which runs there with nothing installed.

A skill is the folder `runway-cli` in a host's folder of skills: SKILL.md, AUTH.md, the package `runway_cli` and a
manifest with the hashes of these files. From the manifest the next install knows what it may replace.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from .. import __version__
from ..errors import OutputError, UsageError
from ..settings import absolute, expanded, home
from ..terminal.program import NAME, PACKAGE
from ..terminal.tables import Column
from .context import Context, for_each
from .options import WRITES, Command, Operand, Options

MANIFEST = ".runway-cli.json"
NOT_OURS = "was not written by skill install, or was changed since"
NEW, OLD = ".new", ".old"  # suffixes of the folders that an install works with
ABANDONED = 3600.0  # seconds after which such a folder is assumed to be left by a killed install
COMMON = "agents"  # the folder that several hosts read
HOSTS = ("claude", "cursor", "codex", COMMON)  # the skills of a host are in ~/.HOST/skills
COLUMNS = (Column("Host", "host"), Column("Path", "path"), Column("Files", "files"), Column("Version", "version"))


def install(context: Context, options: Options) -> int:
    """Writes the skill for each host and prints where; one that fails does not stop the others."""
    targets = _targets(options.hosts)
    files = _contents()

    def install_one(folder: Path) -> None:
        try:
            _write(folder, files)
        except OSError as error:
            raise OutputError(f"{str(folder)!r} could not be written: {error.strerror or error}") from None
        row = {"host": targets[folder], "path": str(folder), "files": len(files), "version": __version__}
        context.console.row(row, alone=len(targets) == 1)

    return for_each(context.console, COLUMNS, [(str(folder), folder) for folder in targets], install_one)


def _targets(hosts: list[str]) -> dict[Path, str]:
    """Returns the host of each folder to install into; without hosts, those found here. Raises UsageError."""
    base = home()
    there = [host for host in HOSTS if base and os.path.isdir(os.path.join(base, f".{host}"))]
    found = {}
    for host in hosts or there or [COMMON]:
        if host.startswith((".", "~")) or "/" in host or os.sep in host:
            folder = expanded(os.path.join(host, ""))
        elif host not in HOSTS:
            words = f"{host!r} is not a host: choose from {', '.join(HOSTS)}, or name a folder such as ./{host}"
            raise UsageError(words, try_next=("skill", "install", COMMON))
        elif base is None:
            words = "this user has no home folder: name a folder of skills"
            raise UsageError(words, try_next=("skill", "install", f"./.{host}/skills"))
        else:
            folder = os.path.join(base, f".{host}", "skills")
        found[Path(absolute(folder), NAME)] = host
    return found


def _contents() -> dict[str, bytes]:
    """Returns the skill's files by their path in it, from wherever this program runs: checkout, skill, wheel, zipapp.

    Raises UsageError where a file is missing, or is a device or a pipe, which may never end.
    """
    from importlib.resources import files

    package = files(PACKAGE)
    found = {}
    rest = [(PACKAGE, package)]
    while rest:
        path, item = rest.pop()
        if item.is_dir():
            rest += [(f"{path}/{each.name}", each) for each in item.iterdir()]
        elif path.endswith((".py", ".json.gz", "/py.typed", "/LICENSE")):
            found[path] = item
    for name in ("AUTH.md", "SKILL.md"):  # in the wheel and the zipapp they are in the package, else beside it
        inside = package / "skill" / name
        found[name] = inside if inside.is_file() else Path(str(package)).parent / name
    for name, file in found.items():
        if not file.is_file():
            words = "this copy of the program is incomplete: install the skill from a checkout, the wheel or the zipapp"
            raise UsageError(f"{words} ({name} is not a file)")
    return {name: found[name].read_bytes() for name in sorted(found)}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Puts the whole skill in place in one step, and keeps other files of the old one. Raises OSError, UsageError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Tidy up after an install that was killed, but not after one that is still running.
    pattern = re.compile(rf"\.{NAME}-[0-9a-f]{{8}}\.(old|new)")
    left = [folder.with_name(name) for name in os.listdir(folder.parent) if pattern.fullmatch(name)]
    _settle(folder, *left, before=time.time() - ABANDONED)
    old = {folder / name for name in _written(folder, files)}
    hashes = {name: sha256(content).hexdigest() for name, content in files.items()}
    manifest = json.dumps({"version": __version__, "files": hashes}, indent=2).encode() + b"\n"
    new = folder.with_name(f".{NAME}-{os.urandom(4).hex()}{NEW}")

    def left_out(parent: str, names: list[str]) -> list[str]:
        return [name for name in names if name == "__pycache__" or Path(parent, name) in old]

    try:
        if folder.exists():
            shutil.copytree(folder, new, ignore=left_out)
        for name, content in {**files, MANIFEST: manifest}.items():
            file = new / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        try:
            new.rename(folder)
        except OSError:  # an old skill is there
            if not _exchange(os.fsencode(new), os.fsencode(folder)):
                folder.rename(new.with_suffix(OLD))
                new.rename(folder)
    finally:
        _settle(folder, new.with_suffix(OLD), new)


def _written(folder: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    """Returns the hashes of the files that an earlier install wrote into a folder.

    Raises UsageError unless the folder is free, or holds what an install wrote and nobody changed since.
    """
    hashes: dict[str, str] = {}
    faults: list[tuple[Path, str]] = []
    if not os.path.lexists(folder):
        return hashes
    try:
        if folder.is_symlink() or not (folder / MANIFEST).is_file():  # reading a pipe may never end
            raise ValueError("no manifest")
        hashes.update(json.loads((folder / MANIFEST).read_bytes())["files"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        faults.append((folder, NOT_OURS))
    ours = {*hashes, *files}
    for path in (Path(root, name) for root, folders, names in os.walk(folder) for name in (*folders, *names)):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):  # nothing is written or read through one
            faults.append((path, "is a link, a device or a pipe"))
        elif name in ours and (path.is_dir() or sha256(path.read_bytes()).hexdigest() != hashes.get(name)):
            faults.append((path, NOT_OURS))
    for path, reason in faults:
        words = f"{str(path)!r} {reason}: move it away, and nothing is lost"
        raise UsageError(words, try_next=("skill", "install", "--help"))
    return hashes


def _exchange(one: bytes, other: bytes) -> bool:
    """Exchanges two paths in one step. Returns False where the system or the file system cannot."""
    try:
        import ctypes

        libc = ctypes.CDLL(None)
        if hasattr(libc, "renamex_np"):  # macOS; 2 is RENAME_SWAP
            return bool(libc.renamex_np(one, other, 2) == 0)
        return bool(libc.renameat2(-100, one, -100, other, 2) == 0)  # Linux; AT_FDCWD and RENAME_EXCHANGE
    except (ImportError, AttributeError, OSError, TypeError):  # TypeError: Windows
        return False


def _settle(folder: Path, *left: Path, before: float = float("inf")) -> None:
    """Removes folders that an install worked with, last changed before this moment.

    An old skill is put back where no new one has taken its place: it holds files of the user.
    """
    for each in left:
        with suppress(OSError):
            if each.suffix == OLD and not os.path.lexists(folder):
                each.rename(folder)
            elif each.stat().st_mtime < before:
                shutil.rmtree(each, ignore_errors=True)


COMMANDS = {
    "skill install": Command(
        install,
        summary="copy this program into the skills folders of agents",
        operands=(
            Operand("hosts", "[HOST...]", f"{', '.join(HOSTS)}, or a folder (default: those found, else agents)"),
        ),
        examples=("skill install", "skill install claude", "skill install ./skills"),
        prints='{"host", "path", "files", "version"} for each host',
        effect=WRITES,
        has_rows=True,
    )
}
