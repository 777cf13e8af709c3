"""usage: python3 -m tests.fake [COMMAND ...]

Starts a stand-in for the Runway API on loopback, with a few records in it and tasks that take about a second.
With a COMMAND: runs it against the stand-in and ends with its exit status.
Without: prints the variables to set and serves until Ctrl-C.

  python3 -m tests.fake python3 -m runway_cli avatars list
  python3 -m tests.fake sh        (a shell in which every command meets the stand-in)
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time

from tests.fake import FakeRunway


def main() -> int:
    """Runs a command against a fresh stand-in, or serves one. Returns the exit status."""
    command = sys.argv[1:]
    if command[:1] in (["-h"], ["--help"]):
        print(__doc__, end="")
        return 0
    with FakeRunway(seconds_to_finish=1.5) as fake:
        fake.seed()
        variables = {**fake.env(), **fake.gateway_env(), "RUNWAY_SKILLS_OPENAPI_URL": fake.contract_url}
        if command:
            child = subprocess.Popen(command, env={**os.environ, **variables})
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the child too, which decides what to do
            status = child.wait()
            return status if status >= 0 else 128 - status
        for name, value in variables.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        time.sleep(1e9)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
