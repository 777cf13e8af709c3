"""Measures commands: installs the program, starts a server, makes files."""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import Any

from tests.benchmarks.server import identity

ROOT = Path(__file__).resolve().parents[2]
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


class Bench:
    """A folder with a virtual environment that holds nothing but the program, and a server; a context manager.

    Program and floor are run by that environment's Python, with modules compiled and no .pth file or user's
    site-packages, whose cost would hide the difference.
    """

    def __enter__(self) -> Bench:
        self.folder = tempfile.mkdtemp(prefix="runway-cli-benchmark-")
        self.python, self.program = self._install()
        certificate = self._certificate()
        server = [sys.executable, "-m", "tests.benchmarks.server", *certificate]
        self._server = subprocess.Popen(server, cwd=ROOT, stdin=PIPE, stdout=PIPE, encoding="utf-8")
        assert self._server.stdout
        self.url, *secure = self._server.stdout.readline().split()
        self.tls_url = secure[0] if secure else ""
        self.tls_env = {"SSL_CERT_FILE": certificate[0]} if certificate else {}
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.communicate()  # closes its stdin, which ends it
        shutil.rmtree(self.folder)

    def path(self, name: str) -> str:
        """Returns the path of a file in this folder."""
        return os.path.join(self.folder, name)

    def zeros(self, size: int) -> str:
        """Makes a file of `size` bytes that no disk has to hold."""
        with open(self.path(f"{size}.mp4"), "wb") as file:
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

    def call(self, *argv: str, tls: bool = False, env: Mapping[str, str] | None = None, **options: Any) -> Command:
        """Returns a call of the program, led to the server. `options` are those of Command."""
        surroundings = {
            "RUNWAY_SKILLS_OPENAPI_URL": f"{self.url}/contract.json",
            "RUNWAY_SKILLS_BASE_URL": self.tls_url if tls else self.url,
            "RUNWAY_SKILLS_API_SECRET": "key_benchmark",
            **(self.tls_env if tls else {}),
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

    def _certificate(self) -> list[str]:
        """Makes a certificate for localhost and its key; nothing where there is no openssl."""
        openssl = shutil.which("openssl")
        if not openssl:
            return []
        names = [self.path("cert.pem"), self.path("key.pem")]
        words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        command = [openssl, *words.split(), "-out", names[0], "-keyout", names[1]]
        subprocess.run(command, check=True, capture_output=True)
        return names
