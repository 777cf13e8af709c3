"""usage: python3 -m tests.fake [COMMAND ...]

Starts a stand-in for the Runway API on loopback, with a few records in it and tasks that take about a second.
With a COMMAND: runs it against the stand-in and ends with its exit status.
Without: prints the variables to set and serves until Ctrl-C.

  python3 -m tests.fake runway-cli avatars list
  python3 -m tests.fake sh        (a shell in which every command meets the stand-in)

`runway-cli` is this checkout's there. History and cache are in a folder that is removed at the end.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.fake import FakeRunway

ROOT = Path(__file__).resolve().parent.parent.parent
ENTRY = "runway_cli.cli.main"


def variables(fake: FakeRunway, folder: str) -> dict[str, str]:
    """Returns an environment where `runway-cli` is this checkout's and meets the stand-in, with files in `folder`."""
    bin_folder = Path(folder, "bin")
    bin_folder.mkdir()
    if os.name == "nt":
        (bin_folder / "runway-cli.cmd").write_text(
            f'@"{sys.executable}" "{ROOT / "runway_cli"}" %*\n', encoding="utf-8"
        )
    else:
        start = bin_folder / "runway-cli"  # as an installer writes it, so that examples call it by its name
        lines = (
            f"#!{sys.executable}",
            "import sys",
            f"sys.path.insert(0, {str(ROOT)!r})",
            f"from {ENTRY} import run",
            "run()",
        )
        start.write_text("\n".join([*lines, ""]), encoding="utf-8")
        start.chmod(0o755)
    return {
        **fake.env(),
        **fake.gateway_env(),
        "RUNWAY_SKILLS_OPENAPI_URL": fake.contract_url,
        "RUNWAY_SKILLS_HISTORY": str(Path(folder, "history.db")),
        "XDG_CACHE_HOME": str(Path(folder, "cache")),
        "PATH": os.pathsep.join([str(bin_folder), os.environ.get("PATH", os.defpath)]),
    }


def main() -> int:
    """Runs a command against a fresh stand-in, or serves one. Returns the exit status."""
    command = sys.argv[1:]
    if command[:1] in (["-h"], ["--help"]):
        print(__doc__, end="")
        return 0
    with tempfile.TemporaryDirectory() as folder, FakeRunway(seconds_to_finish=1.5) as fake:
        fake.seed()
        env = variables(fake, folder)
        if command:
            program = shutil.which(command[0], path=env["PATH"]) or command[0]  # Windows looks in its own PATH only
            child = subprocess.Popen([program, *command[1:]], env={**os.environ, **env})
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the child too, which decides what to do
            status = child.wait()
            return status if status >= 0 else 128 - status
        for name, value in env.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        with suppress(KeyboardInterrupt):
            time.sleep(1e9)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
