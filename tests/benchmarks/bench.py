"""The place where commands are measured: the program as it is installed, the server, files; and one measurement."""

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
from types import TracebackType

from tests.benchmarks.server import identity

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = Path(__file__).with_name("launch.py")
# What an installer writes for the entry point of pyproject.toml
SCRIPT = "from runway_cli.cli.main import run\nrun()\n"
MB = 1_000_000


class BenchmarkError(Exception):
    """A command could not be measured: it failed, or did not do its work."""


@dataclass(frozen=True)
class Command:
    """What is run. `proof` must stand in its stdout, so that nothing fast and wrong is measured."""

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

    Program and floor are run by that environment's Python: the same interpreter, modules compiled, and no .pth file
    or user's site-packages that would cost both of them the same and hide their difference.
    """

    def __enter__(self) -> Bench:
        self.folder = tempfile.mkdtemp(prefix="runway-cli-benchmark-")
        self.python, self.program = _install(Path(self.folder))
        certificate = self._certificate()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.server", *certificate],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self._server.stdout
        self.url, *secure = self._server.stdout.readline().split()
        self.tls_url = secure[0] if secure else ""
        self.tls_env = {"SSL_CERT_FILE": certificate[0]} if certificate else {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.communicate()  # closes its stdin, which ends it
        shutil.rmtree(self.folder)

    def path(self, name: str) -> str:
        """A file of this folder."""
        return os.path.join(self.folder, name)

    def zeros(self, size: int) -> str:
        """A file of `size` bytes that no disk has to hold."""
        path = self.path(f"{size}.mp4")
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def text(self, name: str, content: str) -> str:
        """A file with this content in UTF-8."""
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        return path

    def ids(self, count: int) -> str:
        """A file with ids, one a line."""
        return self.text(f"{count}.ids", "".join(identity(number) + "\n" for number in range(count)))

    def script(
        self, source: str, *argv: str, proof: str = "", stdin: str = os.devnull, env: Mapping[str, str] | None = None
    ) -> Command:
        """A floor: Python with this source."""
        return Command((self.python, "-c", source, *argv), proof, stdin, env or {})

    def call(
        self,
        *argv: str,
        proof: str = "",
        stdin: str = os.devnull,
        tls: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> Command:
        """The program, led to the server."""
        surroundings = {
            "RUNWAY_SKILLS_OPENAPI_URL": f"{self.url}/contract.json",
            "RUNWAY_SKILLS_BASE_URL": self.tls_url if tls else self.url,
            "RUNWAY_SKILLS_API_SECRET": "key_benchmark",
            **(self.tls_env if tls else {}),
            **(env or {}),
        }
        return Command((self.python, self.program, *argv), proof, stdin, surroundings)

    def run(self, command: Command, *, check: bool = False) -> Run:
        """Runs a command to its end, with `check` looks at what it printed. Raises BenchmarkError."""
        stdout, stderr = (self.path("stdout") if check else os.devnull), self.path("stderr")
        launched = subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), command.stdin, stdout, stderr, *command.argv],
            env={"PATH": os.defpath, "HOME": self.folder, **command.env},
            cwd=self.folder,
            stdout=subprocess.PIPE,
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

    def _certificate(self) -> list[str]:
        """A certificate for localhost and its key; nothing where there is no openssl."""
        openssl = shutil.which("openssl")
        if not openssl:
            return []
        names = [self.path("cert.pem"), self.path("key.pem")]
        subprocess.run(
            [
                openssl,
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
                "-out",
                names[0],
                "-keyout",
                names[1],
            ],
            check=True,
            capture_output=True,
        )
        return names


def _install(folder: Path) -> tuple[str, str]:
    """A Python with the package among its modules, compiled, and the script that starts it."""
    venv.create(folder / "venv", symlinks=True, with_pip=False)
    python = folder / "venv" / "bin" / "python"
    base = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    package = Path(sysconfig.get_path("purelib", "posix_prefix", base)) / "runway_cli"
    shutil.copytree(ROOT / "runway_cli", package, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(package, quiet=1)
    script = folder / "venv" / "bin" / "runway-cli"
    script.write_text(SCRIPT, encoding="utf-8")
    return str(python), str(script)
