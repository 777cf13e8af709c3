"""The stand-in by hand: in front of a command, or by itself."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from tests.fake import FakeRunway

USAGE = """usage: python3 -m tests.fake [COMMAND ...]

Starts a stand-in for the Runway API on loopback, with a few records in it and tasks that take about a second.
With a COMMAND: runs it against the stand-in and ends with its exit status.
Without: prints the variables to set and serves until Ctrl-C.

  python3 -m tests.fake python3 -m runway_cli avatars list
  python3 -m tests.fake sh        (a shell in which every command meets the stand-in)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command against a fresh stand-in, or serve one. Returns the exit status."""
    command = list(sys.argv[1:] if argv is None else argv)
    if command[:1] in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    with FakeRunway(seconds_to_finish=1.5) as fake:
        fake.seed()
        variables = {**fake.env(), **fake.gateway_env(), "RUNWAY_SKILLS_OPENAPI_URL": fake.contract_url}
        return _run(command, variables) if command else _serve(variables)


def _run(command: list[str], variables: dict[str, str]) -> int:
    try:
        child = subprocess.Popen(command, env={**os.environ, **variables})
    except OSError as error:
        print(f"tests.fake: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    # Ctrl-C reaches the child too: it decides what to do, and this waits for it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return status if status >= 0 else 128 - status


def _serve(variables: dict[str, str]) -> int:
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}", flush=True)
    print("# serving until Ctrl-C", file=sys.stderr)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
