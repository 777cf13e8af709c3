"""Exit with 1 unless the wheel holds the program, its skill's pages and nothing else: `check_wheel.py WHEEL`."""

from __future__ import annotations

import sys
import zipfile

from pyz import contents


def main() -> int:
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        found = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
    wanted = {name: file.read_bytes() for name, file in contents().items()}
    wrong = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    for name in wrong:
        print(f"{name}: missing, different or not wanted")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
