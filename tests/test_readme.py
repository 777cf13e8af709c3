"""Every block of README.md that is marked `sh` runs as it is written, one after the other, in the shell it proposes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import unittest

from runway_cli.api.client import SERVICES
from runway_cli.commands.lists import LISTS
from runway_cli.terminal.console import FORMATS
from tests.fake.__main__ import variables
from tests.program import KEPT, ROOT
from tests.served import ServedTest

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class CoverageTest(unittest.TestCase):
    def test_it_names_every_list_format_and_variable_of_a_service(self) -> None:
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        named = [f"{name} list" for name in LISTS] + [f"`{name}`" for name in FORMATS[1:]]
        named += [name for service in SERVICES.values() for name, _ in service.variables]
        self.assertEqual([name for name in named if name not in text], [])


@unittest.skipUnless(os.name == "posix" and shutil.which("bash"), "needs bash")
class ReadmeTest(ServedTest):
    polls_to_finish = 0

    def test_its_blocks_run_in_the_shell_that_it_opens(self) -> None:
        script = "set -e\n" + "\n".join(BLOCK.findall((ROOT / "README.md").read_text("utf-8")))
        state, work = self.folder / "state", self.folder / "work"
        state.mkdir()
        work.mkdir()
        self.fake.seed()
        env = {**{name: os.environ[name] for name in KEPT if name in os.environ}, **variables(self.fake, str(state))}
        env["TMPDIR"] = str(work)  # where the first block makes its folder
        done = subprocess.run(["bash", "-c", script], cwd=work, env=env, capture_output=True, check=False, timeout=60)
        told = done.stderr.decode()
        self.assertEqual(done.returncode, 0, told)
        self.assertNotIn("Traceback", told)
        (work,) = work.iterdir()
        for name in ("good-morning.wav", "slow-dolly-in.mp4", "fox.png", "blue.png", "sky/dawn.png", "clips/sit.mp4"):
            self.assertTrue((work / name).is_file(), (name, told))
        paid = [accepted.body.get("promptText") for accepted in self.fake.accepted]
        self.assertEqual(len(paid), len({*map(str, paid)}) + 1, paid)  # slow dolly in, through the gateway too
