"""`python -m runway_cli`, and `python path/to/runway_cli`, where the folder itself would shadow its parent."""

import os
import sys

if not __package__:
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
try:
    from runway_cli.cli.main import run
except KeyboardInterrupt:  # before the signal handlers are installed
    os._exit(130)

run()
