"""Build `runway-cli.pyz` in the current folder: `python3 .ci/pyz.py`. The same tree gives the same bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path("runway-cli.pyz")
SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = b"from runway_cli.cli.main import run\n\nrun()\n"
BESIDE_THE_CODE = {
    "runway_cli/LICENSE": "runway_cli/LICENSE",
    "runway_cli/contract/snapshot.json.gz": "runway_cli/contract/snapshot.json.gz",
    "runway_cli/py.typed": "runway_cli/py.typed",
    "runway_cli/skill/AUTH.md": "AUTH.md",
    "runway_cli/skill/SKILL.md": "SKILL.md",
}


def contents() -> dict[str, Path]:
    """What the program consists of, here and in the wheel: the name in the archive and the file, sorted by name."""
    code = [file.relative_to(ROOT).as_posix() for file in ROOT.glob("runway_cli/**/*.py")]
    names = {**{name: name for name in code}, **BESIDE_THE_CODE}
    return {name: ROOT / names[name] for name in sorted(names)}


def main() -> None:
    with TARGET.open("wb") as target:
        target.write(SHEBANG)
        with zipfile.ZipFile(target, "w") as archive:
            _add(archive, "__main__.py", MAIN)
            folders = {name.rpartition("/")[0] + "/" for name in contents()}
            for name in sorted(folders):  # without an entry of its own, a folder is not a package for zipimport
                _add(archive, name, b"")
            for name, file in contents().items():
                _add(archive, name, file.read_bytes())
    TARGET.chmod(0o755)
    print(TARGET)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """One file with the date and mode that every build gives it."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix, whatever this machine is: the mode below is one of its
    entry.external_attr = 0o100644 << 16
    archive.writestr(entry, content, compress_type=zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
