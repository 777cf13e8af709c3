"""`skill install`: this program as a skill of an agent, copied so that it runs from there with nothing installed.

A skill is the folder `runway-cli` in a host's folder of skills: SKILL.md, AUTH.md, the package `runway_cli` and a
manifest with the hashes of these files. By the manifest the next install knows what it may replace.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import __version__
from ..errors import OutputError, UsageError
from ..settings import absolute, expanded, home
from ..terminal.program import NAME, PACKAGE
from ..terminal.tables import Column
from .context import for_each
from .options import WRITES, Command, Operand, Option, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from importlib.abc import Traversable

    from .context import Context


MANIFEST = ".runway-cli.json"
NOT_OURS = "was not written by skill install, or was changed since"
NEW, OLD = ".new", ".old"  # the ends of the names of folders that an install works with
COMMON = "agents"  # the folder that several hosts read
HOSTS = ("claude", "cursor", "codex", COMMON)  # the skills of a host are in ~/.HOST/skills
COLUMNS = (Column("Host", "host"), Column("Path", "path"), Column("Files", "files"), Column("Version", "version"))


def install(context: Context, options: Options) -> int:
    """Writes the skill for each host and prints where; writes nothing where one of them is someone else's folder."""
    targets = _targets(options.hosts, options.project)
    files = _contents()
    for folder in targets:
        if os.access(os.path.join(folder.parent, ""), os.R_OK):  # else there is nothing, or the write tells why
            with _alone(context, folder):
                _check(folder, files)

    def install_one(folder: Path) -> None:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _alone(context, folder):
                _check(folder, files)
                _write(folder, files)
        except OSError as error:
            detail = error.args[0][0][2].partition("] ")[2] if isinstance(error, shutil.Error) else error.strerror
            raise OutputError(f"{str(folder)!r} could not be written: {detail or error}") from None
        row = {"host": targets[folder], "path": str(folder), "files": len(files), "version": __version__}
        context.console.row(row, alone=len(targets) == 1)

    return for_each(context.console, COLUMNS, [(str(folder), folder) for folder in targets], install_one)


def _targets(hosts: list[str], project: bool) -> dict[Path, str]:
    """Returns the host of each skill's folder; without hosts, of those that are there. Raises UsageError."""
    base = absolute(os.curdir) if project else home()
    if not hosts and base:
        hosts = [host for host in HOSTS if os.path.isdir(os.path.join(base, f".{host}"))]
    found = {}
    for host in hosts or [COMMON]:
        if host in HOSTS:
            if base is None:
                words = "this user has no home folder: name a folder of skills, or use --project"
                raise UsageError(words, try_next=("skill", "install", "--project"))
            folder = os.path.join(base, f".{host}", "skills")
        elif host.startswith((".", "~")) or "/" in host or os.sep in host:
            folder = expanded(os.path.join(host, ""))
        else:
            words = f"{host!r} is not a host: choose from {', '.join(HOSTS)}, or name a folder such as ./{host}"
            raise UsageError(words, try_next=("skill", "install", COMMON))
        found[Path(absolute(folder), NAME)] = host
    return found


def _contents() -> dict[str, bytes]:
    """Returns the skill's files by their path in it, from wherever this program runs: checkout, skill, wheel, zipapp.

    Raises UsageError where a file is missing, or is a device or a pipe, which may never end.
    """
    from importlib.resources import files

    package = files(PACKAGE)
    found: dict[str, Traversable] = dict(_modules(package, PACKAGE))
    for name in ("AUTH.md", "SKILL.md"):  # in the wheel and the zipapp they are in the package, else beside it
        inside = package / "skill" / name
        found[name] = inside if inside.is_file() else Path(str(package)).parent / name
    for name, file in found.items():
        if not file.is_file():
            words = "this copy of the program is incomplete: install the skill from a checkout, the wheel or the zipapp"
            raise UsageError(f"{words} ({name} is not a file)")
    return {name: file.read_bytes() for name, file in found.items()}


def _modules(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _modules(item, f"{path}/{item.name}")
        elif item.name.endswith((".py", ".json.gz")) or item.name in ("py.typed", "LICENSE"):
            yield f"{path}/{item.name}", item


@contextmanager
def _alone(context: Context, folder: Path) -> Iterator[None]:
    """Keeps other installs out, and tidies up after one that was killed. Raises OutputError and OSError."""
    end = context.clock.monotonic() + 10
    while (descriptor := _lock(folder.parent)) is None:
        if context.clock.monotonic() > end:
            raise OutputError(f"another install is writing {str(folder)!r}")
        context.shutdown.sleep(context.clock, 0.05)
    try:
        _tidy(folder)
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """Locks a folder, and returns what to close to unlock it; None where another process has it."""
    if sys.platform == "win32":  # this file is removed when it is closed; PermissionError: it is about to be
        with suppress(FileExistsError, PermissionError):
            return os.open(folder / f".{NAME}-lock", os.O_CREAT | os.O_EXCL | os.O_TEMPORARY)
        return None
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError):  # else a network folder that has no locks
            os.close(descriptor)
            return None
    return descriptor


def _check(folder: Path, files: Collection[str]) -> None:
    """Raises UsageError unless the folder is free, or holds what an earlier install wrote and nobody changed since."""
    if not os.path.lexists(folder):
        return
    written = None if folder.is_symlink() else _manifest(folder)
    if written is None:
        raise _refusal(folder, NOT_OURS)
    for path in (Path(root, name) for root, folders, names in os.walk(folder) for name in (*folders, *names)):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):  # nothing is written through one, or read
            raise _refusal(path, "is a link, a device or a pipe")
        name = path.relative_to(folder).as_posix()
        is_same = path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == written.get(name)
        if (name in written or name in files) and not is_same:
            raise _refusal(path, NOT_OURS)


def _refusal(path: Path, reason: str) -> UsageError:
    words = f"{str(path)!r} {reason}: move it away, and nothing is lost. Nothing was written"
    return UsageError(words, try_next=("skill", "install", "--help"))


def _manifest(folder: Path) -> dict[str, str] | None:
    """Returns the hashes by file of an earlier install, None where there was none."""
    try:
        if not (folder / MANIFEST).is_file():  # a pipe may never end
            return None
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        return {str(name): str(found) for name, found in files.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Puts the skill there whole: it is written beside its place, and takes it at the end. Raises OSError.

    What else is in the old folder is kept.
    """
    new = folder.with_name(f".{NAME}-{os.urandom(4).hex()}{NEW}")
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = json.dumps({"version": __version__, "files": hashes}, indent=2).encode() + b"\n"
    try:
        if folder.exists():
            written = [folder / name for name in _manifest(folder) or ()]

            def left_out(parent: str, names: list[str]) -> list[str]:
                return [name for name in names if name == "__pycache__" or Path(parent, name) in written]

            shutil.copytree(folder, new, ignore=left_out)
        for name, content in {**files, MANIFEST: manifest}.items():
            file = new / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        if not folder.exists():
            new.rename(folder)
        elif not _exchange(os.fsencode(new), os.fsencode(folder)):
            folder.rename(new.with_suffix(OLD))
            new.rename(folder)
    finally:
        _tidy(folder)


def _exchange(one: bytes, other: bytes) -> bool:
    """Lets two paths change places in one step. Returns False where the system, or its file system, cannot do that."""
    try:
        import ctypes

        libc = ctypes.CDLL(None)
        if hasattr(libc, "renamex_np"):  # macOS; 2 is RENAME_SWAP
            return bool(libc.renamex_np(one, other, 2) == 0)
        return bool(libc.renameat2(-100, one, -100, other, 2) == 0)  # Linux; AT_FDCWD and RENAME_EXCHANGE
    except (ImportError, AttributeError, OSError, TypeError):  # TypeError: Windows
        return False


def _tidy(folder: Path) -> None:
    """Removes what an install worked with; puts the old skill back where the new one has not taken its place."""
    names = filter(re.compile(rf"\.{NAME}-[0-9a-f]{{8}}\.(old|new)").fullmatch, os.listdir(folder.parent))
    for left in (folder.with_name(name) for name in sorted(names, reverse=True)):  # .old before .new
        if left.suffix == OLD and not os.path.lexists(folder):
            with suppress(OSError):
                left.rename(folder)
        else:
            shutil.rmtree(left, ignore_errors=True)


COMMANDS = {
    "skill install": Command(
        install,
        summary="copy this program into the skills folders of agents",
        operands=(
            Operand(
                "hosts",
                "[HOST...]",
                f"{', '.join(HOSTS)}, or a folder of skills such as ./skills (default: the hosts whose folder "
                "exists, else agents)",
            ),
        ),
        options=(Option("--project", "for the current folder, not for the user"),),
        examples=("skill install", "skill install claude --project", "skill install ./skills"),
        prints='{"host", "path", "files", "version"} for each host',
        effect=WRITES,
        has_rows=True,
    )
}
