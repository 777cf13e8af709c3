"""Runs one command: STDIN STDOUT STDERR COMMAND... Prints seconds, peak bytes of memory and the wait status.

A process of its own, and a small one, because Linux lets a child's peak begin at that of the process that forked it.
"""

from __future__ import annotations

import os
import sys
import time


def main() -> None:
    """Runs the command of the arguments. Its streams are files."""
    stdin, stdout, stderr, *command = sys.argv[1:]
    written = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    streams = [(0, stdin, os.O_RDONLY), (1, stdout, written), (2, stderr, written)]
    actions = [(os.POSIX_SPAWN_OPEN, number, path, flags, 0o600) for number, path, flags in streams]
    begin = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - begin
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    print(seconds, usage.ru_maxrss * unit, status)


if __name__ == "__main__":
    main()
