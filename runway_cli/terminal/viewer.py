"""Shows a file with the system's viewer."""

from __future__ import annotations

import os
import sys


def show(path: str) -> bool:
    """Opens a file with the program that the system chooses for it. Returns False where there is none."""
    if sys.platform == "win32":
        try:
            os.startfile(path)
        except OSError:
            return False
        return True
    import subprocess  # only for this

    opener = "open" if sys.platform == "darwin" else "xdg-open"
    quiet = subprocess.DEVNULL
    try:
        subprocess.Popen([opener, os.path.abspath(path)], stdin=quiet, stdout=quiet, stderr=quiet)
    except OSError:
        return False
    return True
