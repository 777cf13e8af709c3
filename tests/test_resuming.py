"""Downloads that break off in every way that a connection can, and two runs that save the same outputs at once."""

from __future__ import annotations

import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest
from collections.abc import Sequence

from tests.fake import Fault
from tests.program import ROOT, Result, checked, environment
from tests.served import PATIENCE, ServedTest

CONTENT = random.Random(20241106).randbytes(300_000)
RST = struct.pack("ii", 1, 0)  # SO_LINGER without a wait: closing resets the connection


class BreakingServer:
    """A server of CONTENT on loopback. Each of `breaks` is (how, after how many bytes) one answer ends early.

    `how` is "fin", "rst" or "stall". `ranges` are the Range headers of the requests.
    """

    def __init__(self, breaks: Sequence[tuple[str, int]]) -> None:
        self.breaks = list(breaks)
        self.ranges: list[str | None] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/fox.bin"

    def __enter__(self) -> BreakingServer:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            with link:
                self._answer(link)

    def _answer(self, link: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += link.recv(4096)
        found = re.search(rb"(?im)^range: bytes=(\d+)-", head)
        start = int(found[1]) if found else 0
        self.ranges.append(f"bytes={start}-" if found else None)
        status = (
            f"206 Partial Content\r\nContent-Range: bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
            if found
            else "200 OK"
        )
        lines = (
            f'HTTP/1.1 {status}\r\nETag: "fox"\r\nContent-Length: {len(CONTENT) - start}\r\nConnection: close\r\n\r\n'
        )
        how, size = self.breaks.pop(0) if self.breaks else ("fin", len(CONTENT))
        link.sendall(lines.encode() + CONTENT[start : start + size])
        if how == "stall":
            link.settimeout(PATIENCE)
            link.recv(1)  # until the client leaves
        elif how == "rst":
            time.sleep(0.2)  # else the reset would overtake what was sent
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)


class BreakTest(ServedTest):
    def test_every_byte_that_arrived_before_a_break_is_kept(self) -> None:
        for how in ("fin", "rst", "stall"):
            for sizes in ((1,), (5_000,), (200_000,), (100, 7_000, 30_000)):
                with self.subTest(how, sizes=sizes), BreakingServer([(how, size) for size in sizes]) as server:
                    path = self.folder / f"{how}-{sizes[0]}-{len(sizes)}.bin"
                    result = self.call("download", server.url, "--to", path, "--timeout", "0.4")
                    self.assertEqual(result.exit, 0, result)
                    self.assertTrue(path.read_bytes() == CONTENT, "the content differs")
                    expected = [f"bytes={sum(sizes[: number + 1])}-" for number in range(len(sizes))]
                    self.assertEqual(server.ranges, [None, *expected])

    def test_many_small_breaks_are_no_more_than_one_each(self) -> None:
        """What has arrived earns new tries, whatever its size."""
        with BreakingServer([("fin", 1_000)] * 12) as server:
            path = self.folder / "fox.bin"
            result = self.call("download", server.url, "--to", path, "--retries", "1")
            self.assertEqual(result.exit, 0, result)
            self.assertTrue(path.read_bytes() == CONTENT, "the content differs")
            self.assertEqual(len(server.ranges), 13)

    def test_breaks_without_a_byte_end_it(self) -> None:
        with BreakingServer([("fin", 0)] * 9) as server:
            result = self.call("download", server.url, "--to", self.folder / "fox.bin", "--retries", "2")
            self.assert_error(result, 69, kind="network")
            self.assertEqual(server.ranges, [None] * 3)
            self.assertEqual(self.listing(), [])


class AtOnceTest(ServedTest):
    def test_two_waits_that_save_the_same_output_at_once_both_end_well(self) -> None:
        self.fake.fault(Fault("drip", seconds=0.01, chunk=2_000), server="storage", times=None)
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[CONTENT[:100_000]])
        surroundings = environment({"PYTHONPATH": str(ROOT), **self.fake.env()})
        words = ("wait", task, "--download", f"{self.folder}/out/")
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "runway_cli", *words],
                env=surroundings,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(3)
        ]
        results = []
        for process in processes:
            stdout, stderr = process.communicate(timeout=30)
            results.append(checked(Result(words, process.returncode, stdout, stderr), surroundings))
        path = os.path.join(self.folder, "out", f"{task}.png")
        for result in results:
            self.assertEqual(result.exit, 0, result)
            self.assertEqual(result.json["saved"], [f"{self.folder}/out/{task}.png"])
        self.assertEqual(sum("is already saved" in result.stderr for result in results), 2)
        self.assertEqual(self.listing(), [f"out/{task}.png"])
        with open(path, "rb") as file:
            self.assertTrue(file.read() == CONTENT[:100_000], "the content differs")


if __name__ == "__main__":
    unittest.main()
