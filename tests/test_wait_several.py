"""`wait` for several ids: together, each printed as it ends, and none of them lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import unittest

from tests.fake import Fault
from tests.program import ROOT, Result, checked, environment, in_markdown
from tests.served import ServedTest, pasted

RUNNING = "RUNNING"


class Several(ServedTest):
    def test_each_is_a_line_as_soon_as_it_ends(self) -> None:
        late = self.fake.add_task(statuses=[RUNNING, RUNNING, RUNNING, "SUCCEEDED"])
        soon = self.fake.add_task(statuses=["SUCCEEDED"])
        avatar = self.fake.add_avatar(statuses=["PROCESSING", "READY"])
        result = self.call("wait", late, f"/v1/avatars/{avatar}", soon)
        self.assertEqual([line["id"] for line in result.lines], [soon, avatar, late], result)
        self.assertEqual(result.exit, 0)
        self.assertEqual(self.fake.hasty, [])
        self.assertAlmostEqual(sum(self.clock.slept), 15)

    def test_ids_come_from_stdin_and_each_counts_once(self) -> None:
        one, two = (self.fake.add_task(statuses=["SUCCEEDED"]) for _ in range(2))
        result = self.call("wait", "-", one, f"/v1/tasks/{two}", stdin=f" {two}\n\n{one}\t{two}\n".encode())
        self.assertEqual(sorted(line["id"] for line in result.lines), sorted([one, two]))
        self.assertEqual(len(self.polls()), 2)
        self.assert_error(self.call("wait", "-", stdin=b" \n"), 2, kind="usage")

    def test_a_lone_dash_behind_an_option_is_an_operand(self) -> None:
        one, two = (self.fake.add_task(statuses=["SUCCEEDED"]) for _ in range(2))
        for argv in ([two, "-q", "-"], ["-q", "-", two], ["-", "--max-wait", "9", two, "-q"]):
            with self.subTest(argv):
                self.clock.sleep(5)
                result = self.call("wait", *argv, stdin=one.encode())
                self.assertEqual(result.exit, 0)
                self.assertEqual(sorted(line["id"] for line in result.lines), sorted([one, two]))
                self.assertEqual(result.stderr, "")

    def test_a_hundred_at_once_keep_the_pace(self) -> None:
        ids = [self.fake.add_task(statuses=["PENDING", RUNNING, "SUCCEEDED"]) for _ in range(100)]
        result = self.call("wait", *ids)
        self.assertEqual(result.exit, 0)
        self.assertEqual(sorted(line["id"] for line in result.lines), sorted(ids))
        self.assertEqual(self.fake.hasty, [])
        self.assertEqual(len(self.polls()), 300)

    def test_throttled_is_explained_once_for_all(self) -> None:
        ids = [self.fake.add_task(statuses=["THROTTLED", "SUCCEEDED"]) for _ in range(3)]
        self.assertEqual(sum("tier" in note for note in self.call("wait", *ids).notes), 1)

    def test_one_that_fails_does_not_stop_the_others_and_the_worst_exit_counts(self) -> None:
        good = self.fake.add_task(statuses=[RUNNING, "SUCCEEDED"])
        failed = self.fake.add_task(statuses=["FAILED"], failure="No.", failureCode=None)
        endless = self.fake.add_task(statuses=[RUNNING])
        denied = self.fake.add_task()
        self.fake.fault(Fault("status", status=403), path=f"/v1/tasks/{denied}", times=None)
        for ids, expected, kind in (
            ([good, failed], 1, "task"),
            ([good, endless], 75, "timeout"),
            ([endless, failed], 1, "task"),
            ([failed, denied, endless, good], 77, "auth"),
            (["missing", denied], 77, "auth"),
            (["missing", endless], 1, "api"),
        ):
            with self.subTest(ids):
                self.clock.sleep(10)
                result = self.call("wait", *ids, "--max-wait", "20")
                bad = [name for name in ids if name != good]
                self.assert_error(result, expected, kind=kind)
                self.assertEqual(sorted(entry["id"] for entry in result.error["failed"]), sorted(bad))
                self.assertRegex(result.error["error"], f"^{len(bad)} of {len(ids)} failed: ")
                if endless in ids:
                    self.assertEqual(pasted(result), ["wait", endless, "--max-wait", "20"])
        self.assertEqual(self.fake.hasty, [])

    def test_outputs_of_several_go_into_a_folder(self) -> None:
        one, two = self.fake.add_task(statuses=["SUCCEEDED"]), self.fake.add_task(statuses=[RUNNING, "SUCCEEDED"])
        result = self.call("wait", one, two, "--download", self.folder / "fox.png", "--output", "json")
        self.assert_error(result, 2, kind="usage")
        self.assertEqual(
            pasted(result), ["wait", one, two, "--download", f"{self.folder / 'fox.png'}/", "--output", "json"]
        )
        self.assertEqual(
            [self.call(*pasted(result)).exit, self.listing()], [0, sorted([f"fox.png/{one}.png", f"fox.png/{two}.png"])]
        )

    def test_only_the_download_that_failed_is_in_the_example(self) -> None:
        one, two = (self.fake.add_task(statuses=["SUCCEEDED"]) for _ in range(2))
        taken = self.file(f"out/{one}.png", b"something else")
        out = taken.parent
        result = self.call("wait", one, two, "--download", out)
        self.assert_error(result, 74, kind="io")
        self.assertEqual(pasted(result), ["wait", one, "--download", f"{out}-2/"])
        saved = {line["id"]: line.get("saved") for line in result.lines}
        self.assertEqual(saved, {one: [], two: [str(out / f"{two}.png")]})
        self.clock.sleep(5)
        again = self.call(*pasted(result))
        self.assertEqual(again.exit, 0, again)
        self.assertEqual(again.json["saved"], [f"{out}-2/{one}.png"], again)
        self.assertEqual(taken.read_bytes(), b"something else")

    def test_a_table_has_a_row_for_each(self) -> None:
        ids = [self.fake.add_avatar(statuses=["READY"]) for _ in range(2)]
        result = self.call("wait", *(f"/v1/avatars/{name}" for name in ids), "--output", "markdown")
        self.assertEqual(result.stdout.splitlines()[0], "| Id | Status | Credits | Output |")
        self.assertEqual([name in result.stdout for name in ids], [True, True])

    def test_a_table_of_what_was_saved_has_paths_and_no_urls(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        result = self.call("wait", task, "--download", f"{self.folder}/", "--output", "markdown")
        self.assertEqual(
            result.stdout.replace("\\_", "_").splitlines(),
            [  # a folder's name may hold a _
                "| Id | Status | Credits | Saved |",
                "| --- | --- | --- | --- |",
                f"| {task} | SUCCEEDED | 5 | {in_markdown(self.folder)}/{task}.png |",
            ],
        )


class Signals(ServedTest):
    """These need a process of their own, and real time."""

    def interrupted(self, number: int, ids: list[str], *argv: str, ready: int) -> Result:
        """A wait that gets a signal once the API and the storage host have seen `ready` requests."""
        surroundings = environment({"PYTHONPATH": str(ROOT), **self.fake.env()})
        words = ["wait", *ids, *argv]
        with subprocess.Popen(
            [sys.executable, "-m", "runway_cli", *words],
            env=surroundings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            deadline = time.monotonic() + 20
            while len(self.fake.requests) < ready and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.1)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=20)
        return checked(Result(words, process.returncode, stdout, stderr), surroundings)

    @unittest.skipIf(sys.platform == "win32", "signals are another matter there")
    def test_those_that_have_not_ended_are_named(self) -> None:
        one, two = self.fake.add_task(statuses=[RUNNING]), self.fake.add_task(statuses=[RUNNING])
        done = self.fake.add_task(statuses=["SUCCEEDED"])
        result = self.interrupted(signal.SIGINT, [one, done, two], "--max-wait", "99", ready=3)
        self.assert_error(result, 130, kind="interrupted", error=f"interrupted while waiting for {one}, {two}")
        self.assertEqual(pasted(result), ["wait", one, two, "--max-wait", "99"])
        self.assertEqual([line["id"] for line in result.lines], [done])

    @unittest.skipIf(sys.platform == "win32", "signals are another matter there")
    def test_downloads_that_were_under_way_leave_nothing(self) -> None:
        for count in (1, 2):
            with self.subTest(count):
                self.fake.requests.clear()
                self.fake.clear_faults()
                self.fake.fault(Fault("drip", seconds=0.05, chunk=300), server="storage", times=None)
                ids = [self.fake.add_task(statuses=["SUCCEEDED"], outputs=[bytes(100_000)]) for _ in range(count)]
                result = self.interrupted(signal.SIGTERM, ids, "--download", f"{self.folder}/", ready=2 * count)
                self.assert_error(result, 143, kind="interrupted")
                self.assertEqual(pasted(result), ["wait", *ids, "--download", f"{self.folder}/"])
                self.assertEqual(self.listing(), [])


if __name__ == "__main__":
    unittest.main()
