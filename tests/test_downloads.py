"""Downloads: a file is there whole under its name or not at all, and never replaces another."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable
from unittest import mock
from urllib.parse import quote

from runway_cli.files.download import MAX_NAME, Download, name_of
from tests import links
from tests.fake import SECRET, Fault, pseudo_content, sample
from tests.loopback import OK, Conversation, Script, Server
from tests.program import Clock, Result, call, run
from tests.served import ServedTest, pasted

CONTENT = b"".join(pseudo_content(0, 700_000))
TOO_LONG = () if sys.platform == "win32" else ("n" * 300,)  # a name that no folder can hold; Windows says it late
LIMITED = (
    "import resource, sys; from runway_cli.cli.main import main; "
    "resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, resource.RLIM_INFINITY)); sys.exit(main())"
)


def breaking(breaks: Sequence[tuple[str, int]]) -> Script:
    """A server of CONTENT, each of whose answers ends early: (how: fin, rst or stall; after how many bytes)."""
    rest = list(breaks)

    def script(conversation: Conversation) -> None:
        found = re.search(r"(?im)^range: bytes=(\d+)-", conversation.read_head())
        start = int(found[1]) if found else 0
        status = f"206 Partial Content\r\nContent-Range: bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        head = f'ETag: "fox"\r\nContent-Length: {len(CONTENT) - start}\r\nConnection: close\r\n\r\n'
        how, size = rest.pop(0) if rest else ("fin", len(CONTENT))
        conversation.say(f"HTTP/1.1 {status if found else '200 OK'}\r\n{head}".encode())
        conversation.say(CONTENT[start : start + size])
        if how == "stall":
            conversation.wait()
        elif how == "rst":
            time.sleep(0.2)  # else the reset would overtake what was sent
            conversation.reset()

    return script


class RunningClock(Clock):
    """Time that passes by itself, and at once where somebody sleeps."""

    def monotonic(self) -> float:
        return self.now + time.monotonic()


class DownloadTest(ServedTest):
    def saved(self, *argv: str | Path, **output: Any) -> Result:
        """A download of CONTENT, or of another output, to fox.bin in the test's folder."""
        url = self.fake.add_output(**{"content": CONTENT, **output})
        return self.call("download", url, "--to", self.folder / "fox.bin", *argv)

    def appearing(self, path: Path, content: bytes) -> Any:
        """Another program writes this file just before a download gets its name."""
        take_name = Download._take_name

        def race(download: Download) -> bool:
            path.write_bytes(content)
            return take_name(download)

        return mock.patch.object(Download, "_take_name", race)

    def ranges(self) -> list[str | None]:
        return [seen.headers.get("range") for seen in self.fake.sent(server="storage")]

    def assert_whole(self, result: Result, content: bytes = CONTENT) -> None:
        path = self.folder / "fox.bin"
        self.assertEqual(result.json, {"saved": str(path), "bytes": len(content)}, result)
        self.assertTrue(path.read_bytes() == content, "the content differs")
        self.assertEqual(self.listing(), ["fox.bin"])


class WholeOrNothing(DownloadTest):
    def test_a_file_arrives_without_the_secret_being_sent(self) -> None:
        self.assert_whole(self.saved())
        (seen,) = self.fake.requests
        self.assertEqual(sorted(seen.headers), ["accept", "accept-encoding", "host", "user-agent"])

    def test_a_trace_shows_no_signature_of_an_output_on_the_services_own_origin_either(self) -> None:
        url = f"{self.fake.storage_url}/fox.png?X-Amz-Signature=0123456789abcdef"
        found = self.call("download", url, "--verbose", env={"RUNWAY_SKILLS_BASE_URL": self.fake.storage_url})
        self.assertIn(f"> GET {self.fake.storage_url}/fox.png?***", found.notes)
        self.assertNotIn("0123456789abcdef", found.stderr)

    def test_a_broken_download_is_resumed_where_it_broke_off(self) -> None:
        self.assert_whole(self.saved(break_after=300_000, breaks=2))
        self.assertEqual(self.ranges(), [None, "bytes=300000-", "bytes=600000-"])
        self.assertEqual(len(self.fake.requests[1].headers["if-range"]), 34)

    def test_it_starts_over_if_the_server_has_no_ranges_or_another_content(self) -> None:
        for output, content in (
            ({"ranges": False}, CONTENT),
            ({"changes_to": CONTENT[::-1]}, CONTENT[::-1]),
            ({"changes_to": CONTENT[:200_000]}, CONTENT[:200_000]),
        ):
            with self.subTest(list(output)):
                self.assert_whole(self.saved("--force", break_after=300_000, **output), content)

    def test_a_range_that_is_not_the_rest_is_not_added(self) -> None:
        same = f'"{hashlib.sha256(CONTENT).hexdigest()[:32]}"'
        for etag, content_range in (
            (same, "bytes 5-699999/700000"),
            (same, "bytes 300000-699999/700001"),
            ('"another"', "bytes 300000-699999/700000"),
            ("", "bytes 300000-699999/700000"),
            (same, ""),
            (same, "nonsense"),
        ):
            with self.subTest(content_range, etag=etag):
                headers = {"Content-Range": content_range, **({"ETag": etag} if etag else {})}
                self.fake.fault(
                    Fault("status", status=206, headers=headers, body=b"x" * 400_000), server="storage", after=1
                )
                self.assert_whole(self.saved("--force", break_after=300_000))

    def test_a_status_or_a_length_beside_the_whole_content_does_not_matter(self) -> None:
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
        for fault in (
            Fault("status", status=203, body=CONTENT),
            Fault("raw", body=chunked % (len(CONTENT), CONTENT)),
        ):
            with self.subTest(fault.status):
                self.fake.requests.clear()
                self.fake.fault(fault, server="storage")
                self.assert_whole(self.saved("--force"))
                self.assertEqual(self.ranges(), [None])

    def test_a_refusal_that_trickles_is_told_within_the_timeout(self) -> None:
        def dripping(conversation: Conversation) -> None:
            conversation.read_head()
            conversation.say(b"HTTP/1.1 403 Forbidden\r\n\r\nno")
            conversation.trickle(b" way" * 99, 0.1, 4)

        with Server(dripping) as server:
            result = self.call("download", server.url, "--to", self.folder / "fox.bin", "--timeout", "0.35")
        self.assert_error(result, 77, kind="auth", status=403)
        self.assertRegex(result.error["error"], "^the download was refused: HTTP 403 no( way)+; ")

    def test_a_key_that_tags_cut_in_two_is_masked_in_the_hosts_words(self) -> None:
        for cut in ("<wbr>", "&lt;wbr&gt;", "<b title='>x>'>", "\x1b[31m"):
            with self.subTest(cut):
                said = f"<Error><Code>X</Code><Message>no {SECRET[:30]}{cut}{SECRET[30:]} here</Message></Error>"
                self.fake.fault(Fault("status", status=400, body=said.encode()), server="storage")
                self.assert_error(self.saved(), 1, error="the download was refused: HTTP 400 ***")

    def test_what_cannot_become_whole_ends_in_a_failure(self) -> None:
        part = Fault("status", status=206, headers={"Content-Range": "bytes 0-4/9"}, body=b"12345")
        for fault, output in ((part, {}), (None, {"wrong_length": 800_000})):
            with self.subTest(fault=fault):
                self.fake.requests.clear()
                if fault:
                    self.fake.fault(fault, server="storage", times=None)
                self.assert_error(self.saved(**output), 69, kind="network")
                self.assertLess(len(self.fake.requests), 8)
                self.assertEqual(self.listing(), [])
                self.fake.clear_faults()

    def test_without_a_strong_etag_it_starts_over(self) -> None:
        for etag in ("", 'ETag: W/"weak"\r\n'):
            with self.subTest(etag):
                self.fake.requests.clear()
                broken = f"HTTP/1.1 200 OK\r\n{etag}Content-Length: 9\r\n\r\n12345"
                self.fake.fault(Fault("raw", body=broken.encode()), server="storage")
                self.assert_whole(self.saved("--force"))
                self.assertEqual(self.ranges(), [None, None])

    def test_an_unknown_length_does_not_matter(self) -> None:
        self.assert_whole(self.saved(no_length=True))

    def test_an_empty_output_is_a_failed_download(self) -> None:
        for output in ({}, {"no_length": True}):
            with self.subTest(output):
                result = self.saved(content=b"", **output)
                words = f"{str(self.folder / 'fox.bin')!r} was not saved: the output is empty"
                self.assert_error(result, 74, kind="io", error=words)
        self.assertEqual((len(self.fake.requests), self.listing()), (2, []))

    def test_a_content_encoding_that_is_no_compression_counts_as_none(self) -> None:
        for name in ("aws-chunked", "UTF-8", "none", "", "identity", "binary"):
            with self.subTest(name):
                answer = Fault("status", status=200, headers={"Content-Encoding": name}, body=CONTENT)
                self.fake.fault(answer, server="storage")
                self.assert_whole(self.saved("--force"))

    def test_passing_failures_are_retried_and_lasting_ones_leave_nothing(self) -> None:
        self.fake.fault(Fault("reset_before"), server="storage")
        self.fake.fault(Fault("status"), server="storage")
        self.assert_whole(self.saved())
        for fault, expected in (
            (Fault("status", status=404), 1),
            (Fault("status", status=403), 77),
            (Fault("reset_after_request"), 69),
            (Fault("no_answer"), 69),
            (Fault("status", status=200, headers={"Content-Encoding": "aws-chunked, gzip"}, body=b"x"), 1),
            (Fault("raw", body=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), 1),
            (Fault("redirect", target="http://example.com/"), 1),
            (Fault("redirect"), 1),
        ):
            with self.subTest(fault):
                self.fake.clear_faults()
                self.fake.fault(fault, server="storage", times=None)
                (self.folder / "fox.bin").unlink(missing_ok=True)
                limit = "0.3" if fault.kind == "no_answer" else "60"
                self.assert_error(self.saved("--retries", "1", "--timeout", limit), expected)
                self.assertEqual(self.listing(), [])

    def test_an_expired_url_leads_to_the_history(self) -> None:
        result = self.saved(expires_after_uses=0)
        self.assert_error(result, 77, kind="auth", status=403)
        self.assertEqual(pasted(result), ["history"])
        self.assertNotIn("_jwt", result.stderr)

    def test_redirects_are_followed_five_times(self) -> None:
        url = self.fake.add_output(CONTENT)
        for _ in range(5):
            url = self.fake.add_output(b"", redirect_to=url)
        self.assert_whole(self.call("download", url, "--to", self.folder / "fox.bin"))
        result = self.saved("--force", content=b"", redirect_to=url)
        self.assert_error(result, 1, error="the download was redirected more than 5 times")

    def test_one_that_fails_does_not_stop_the_others_and_the_worst_exit_counts(self) -> None:
        urls = [
            self.fake.add_output(name.encode(), name=f"{name}.bin", expires_after_uses=uses)
            for name, uses in (("a", None), ("b", 0), ("c", None), ("d", None))
        ]
        self.file("a.bin", b"another")
        paths = [str(self.folder / f"{name}.bin") for name in "abcd"]
        result = self.call("download", *urls, "--to", self.folder)
        self.assert_error(result, 77, kind="auth", status=403)
        self.assertEqual([entry["id"] for entry in result.error["failed"]], paths[:2])
        self.assertEqual([entry["kind"] for entry in result.error["failed"]], ["io", "auth"])
        self.assertEqual(result.lines, [{"saved": path, "bytes": 1} for path in paths[2:]])
        self.assertEqual(self.listing(), ["a.bin", "c.bin", "d.bin"])

    def test_max_wait_bounds_a_download_that_stalls_or_trickles(self) -> None:
        for fault in (Fault("no_answer"), Fault("drip")):
            with self.subTest(fault.kind):
                self.fake.clear_faults()
                self.fake.fault(fault, server="storage", times=None)
                task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[CONTENT])
                start = time.monotonic()
                words = ("wait", task, "--download", f"{self.folder}/", "--max-wait", "0.5")
                result = call(*words, env=self.fake.env(), clock=RunningClock())
                self.assert_error(result, 75, kind="timeout", id=task)
                self.assertLess(time.monotonic() - start, 30, "the timeout of a transfer is a minute")
                self.assertEqual(result.json["saved"], [])
                self.assertEqual(self.listing(), [])
                self.assertCountEqual(pasted(result), words)

    def test_a_task_without_outputs_saves_nothing_and_says_so(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[])
        result = self.call("wait", task, "--download", f"{self.folder}/")
        self.assert_success(result, notes=[f"{task} has no outputs to save"])
        self.assertEqual((result.json["saved"], self.listing()), ([], []))

    def test_only_https_is_asked_for(self) -> None:
        for url in (
            "http://example.com/x.png",
            "file:///etc/passwd",
            "ftp://example.com/x",
            "https://user:password@example.com/x",
            "https://example.com:0/x",
            "https://exa mple.com/",
            "https://\u00e4.example/x.png",
            "https://example.com/\udc80\ud800",
            "https://[::1/x",
        ):
            with self.subTest(url):
                self.assert_error(self.call("download", url), 2, kind="usage")

    def test_spaces_and_letters_that_are_not_ascii_are_percent_encoded(self) -> None:
        def script(conversation: Conversation) -> None:
            is_first = "/redirect" in conversation.read_head()
            place = "HTTP/1.1 302 Found\r\nLocation: /red fox.png?\u043b\r\nContent-Length: 0\r\n\r\n"
            conversation.say(place.encode() if is_first else OK)

        for path, sent in (
            ("/red fox.png", ["/red%20fox.png"]),
            ("/\u043b.png?a=%20|b", ["/%D0%BB.png?a=%20|b"]),
            ("/redirect", ["/redirect", "/red%20fox.png?%D0%BB"]),
        ):
            with self.subTest(path), Server(script) as server:
                self.assert_success(self.call("download", server.url + path, "--to", self.folder / "o.png", "--force"))
                self.assertEqual([head.split()[1] for head in server.heads], sent)


class Breaks(DownloadTest):
    def test_every_byte_that_arrived_before_a_break_is_kept(self) -> None:
        for how in ("fin", "rst", "stall"):
            for sizes in ((1,), (5_000,), (200_000,), (100, 7_000, 30_000)):
                with self.subTest(how, sizes=sizes), Server(breaking([(how, size) for size in sizes])) as server:
                    result = self.broken(server, "--timeout", "0.4", "--force")
                    self.assert_whole(result)
                    starts = [sum(sizes[: number + 1]) for number in range(len(sizes))]
                    found = [re.findall(r"(?i)range: bytes=(\d+)-", head) for head in server.heads]
                    self.assertEqual(found, [[], *([str(start)] for start in starts)])

    def test_bytes_that_arrive_earn_new_tries(self) -> None:
        with Server(breaking([("fin", 20_000)] * 12)) as server:
            self.assert_whole(self.broken(server, "--retries", "1"))
            self.assertEqual(len(server.heads), 13)

    def test_breaks_without_a_byte_or_with_a_few_end_it(self) -> None:
        for size in (0, 5):
            with self.subTest(size), Server(breaking([("fin", size)] * 50)) as server:
                self.assert_error(self.broken(server, "--retries", "2"), 69, kind="network")
                self.assertEqual((len(server.heads), self.listing()), (3, []))

    def test_more_than_the_total_ends_it(self) -> None:
        def generous(conversation: Conversation) -> None:
            found = re.search(r"(?im)^range: bytes=(\d+)-", conversation.read_head())
            if not found:
                conversation.say(b'HTTP/1.1 200 OK\r\nETag: "fox"\r\nContent-Length: 2000\r\n\r\n' + bytes(1000))
                return
            start = int(found[1])
            body = bytes(max(0, 2000 - start)) + b"EXTRA"
            head = f'HTTP/1.1 206 P\r\nETag: "fox"\r\nContent-Range: bytes {start}-1999/2000\r\n'
            conversation.say(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

        with Server(generous) as server:
            result = self.broken(server, "--retries", "1")
            self.assert_error(result, 69, kind="network")
            self.assertIn("2005 of 2000 bytes arrived", result.stderr)
            self.assertLess(len(server.heads), 6)
            self.assertEqual(self.listing(), [])

    def broken(self, server: Server, *words: str) -> Result:
        return self.call("download", f"{server.url}/fox.bin", "--to", self.folder / "fox.bin", *words)


class NeverOverAFile(DownloadTest):
    def test_an_existing_file_is_kept(self) -> None:
        path = self.folder / "fox.bin"
        words = f"{str(path)!r} exists: choose another name, or use --force to replace it"
        makes: list[Callable[[], object]] = [lambda: path.write_bytes(b"mine"), lambda: path.symlink_to("nowhere")]
        for make in makes if links.ARE_POSSIBLE else makes[:1]:
            make()
            before = path.lstat()
            self.assert_error(self.saved(), 74, kind="io", error=words)
            self.assertEqual((path.lstat().st_ino, path.lstat().st_size), (before.st_ino, before.st_size))
            path.unlink()

    def test_a_file_that_appears_meanwhile_is_kept(self) -> None:
        path = self.folder / "fox.bin"
        for link in (os.link, mock.Mock(side_effect=OSError)):
            with self.subTest(link=link), self.appearing(path, b"mine"), mock.patch("os.link", link):
                self.assert_error(self.saved(), 74, kind="io")
                self.assertEqual((path.read_bytes(), self.listing()), (b"mine", ["fox.bin"]))
                path.unlink()

    def test_a_file_system_without_links_works(self) -> None:
        with mock.patch("os.link", side_effect=OSError):
            self.assert_whole(self.saved())

    @links.need_links
    def test_force_replaces_a_link_but_not_what_it_leads_to(self) -> None:
        other = self.file("other.bin", b"mine")
        (self.folder / "fox.bin").symlink_to(other)
        self.assertEqual(self.saved("--force").exit, 0)
        self.assertEqual((other.read_bytes(), (self.folder / "fox.bin").is_symlink()), (b"mine", False))

    @unittest.skipIf(sys.platform == "win32", "there are no FIFOs")
    def test_force_replaces_nothing_but_regular_files(self) -> None:
        path = self.folder / "fox.bin"
        os.mkfifo(path)
        words = f"{str(path)!r} is not a regular file: --force does not replace it"
        self.assert_error(self.saved("--force"), 74, kind="io", error=words)
        self.assertTrue(path.is_fifo())

    def test_an_output_that_another_run_saves_meanwhile_is_skipped(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[CONTENT])
        path = self.folder / f"{task}.png"
        with self.appearing(path, CONTENT):
            result = self.call("wait", task, "--download", f"{self.folder}/")
        self.assert_success(result)
        self.assertEqual(result.json["saved"], [f"{self.folder}/{path.name}"])
        self.assertEqual(self.listing(), [path.name])

    def test_old_part_files_are_removed_and_recent_ones_are_kept(self) -> None:
        old = self.file(".a.bin.0123456789ab.part", b"half")
        recent = self.file(".b.bin.0123456789ab.part", b"half")
        other = self.file(".c.bin.part", b"mine")
        for path, age in ((old, 90_000), (recent, 60), (other, 90_000)):
            os.utime(path, (time.time() - age,) * 2)
        self.assert_success(self.saved())
        self.assertEqual(self.listing(), [recent.name, other.name, "fox.bin"])

    def test_what_a_killed_run_left_of_an_output_is_removed_when_it_is_saved(self) -> None:
        left = self.file(".owl.png.0123456789ab.part", b"half")
        neighbour = self.file(".owls.png.0123456789ab.part", b"half")
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[CONTENT])
        self.assert_success(self.call("wait", task, "--download", f"{self.folder}/owl.png"))
        self.assertEqual(self.listing(), [neighbour.name, "owl.png"], left)

    def test_in_a_folder_a_file_of_the_same_length_is_already_saved(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[CONTENT, b"second"])
        names = [str(self.folder / f"{task}-{number}.png") for number in (1, 2)]
        for expected in (0, 2):
            result = self.call("wait", task, "--download", self.folder)
            self.assertEqual((result.exit, result.json["saved"]), (0, names))
            self.assertEqual(sum("is already saved" in note for note in result.notes), expected)
            self.clock.sleep(5)
        Path(names[1]).write_bytes(b"longer than before")
        self.assert_error(self.call("wait", task, "--download", self.folder), 74, kind="io")
        self.assertEqual(self.call("wait", task, "--download", self.folder, "--force").exit, 0)
        self.assertEqual([Path(name).read_bytes() for name in names], [CONTENT, b"second"])


class Disks(DownloadTest):
    def test_a_destination_that_cannot_be_written_is_an_io_error(self) -> None:
        blocked = self.file("a file")
        url = self.fake.add_output(CONTENT)
        for to in (f"{blocked}/x.bin", f"{blocked}/", *TOO_LONG):
            with self.subTest(to):
                self.assert_error(self.call("download", url, "--to", to), 74, kind="io")
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        for to in (f"{blocked}/x.bin", f"{blocked}/", blocked, *TOO_LONG):
            with self.subTest(to):
                result = self.call("wait", task, "--download", to)
                self.assert_error(result, 74, kind="io")
                self.assertNotIn("--force", pasted(result))
        self.assertEqual(self.listing(), ["a file"])
        self.assertEqual(self.polls(), [])
        self.assert_success(self.call(*pasted(self.call("wait", task, "--download", blocked))))
        self.assertEqual(self.listing(), ["a file", "a file-2"])

    @unittest.skipIf(sys.platform == "win32", "there is no resource module")
    def test_a_full_disk_leaves_nothing_and_the_example_continues(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[CONTENT])
        start = ("-c", LIMITED.format(100_000))
        result = run("wait", task, "--download", f"{self.folder}/", env=self.fake.env(), start=start)
        self.assert_error(result, 74, kind="io", id=task)
        self.assertIn("cannot be written: File too large", result.error["error"])
        self.assertEqual((result.json["status"], self.listing()), ("SUCCEEDED", []))
        self.assertTrue(result.error["example"].endswith(f" wait {task}"), result)
        self.clock.sleep(5)
        (url,) = self.call("wait", task).json["output"]
        self.assert_whole(self.call("download", url, "--to", self.folder / "fox.bin"))


class Names(DownloadTest):
    def test_a_name_is_safe_everywhere(self) -> None:
        for url, name in (
            ("https://x/a/fox.png?_jwt=1", "fox.png"),
            ("https://x/a%20b.png", "a_b.png"),
            ("https://x/", "output"),
            ("https://x/..%2f..%2fetc%2fpasswd", "etc_passwd"),
            ("https://x/%2e%2e", "output"),
            ("https://x/a/../b", "b"),
            ("https://x/.bashrc", "bashrc"),
            ("https://x/c:%5cwindows%5ca.exe", "c_windows_a.exe"),
            ("https://x/con", "_con"),
            ("https://x/NUL.txt", "_NUL.txt"),
            ("https://x/a*%3F%22%3C.png", "a_.png"),
            ("https://x/console.png", "console.png"),
            ("https://x/a.png.", "a.png"),
            ("https://x/-rf.png", "rf.png"),
            ("https://x/a%00b%0a.png", "a_b_.png"),
            ("https://x/%F0%9F%A6%8A.png", "\U0001f98a.png"),
            ("https://x/%D0%BB%D0%B8%D1%81%D0%B0.png", "\u043b\u0438\u0441\u0430.png"),
            ("https://x/a/", "a"),
            ("https://x/%ff%fe", "output"),
            ("https://x/%ff.png", "output.png"),
            ("https://x/" + "n" * 400 + ".png", "n" * 116 + ".png"),
            ("https://x/a." + "e" * 400, "a" + "." + "e" * 19),
        ):
            with self.subTest(url[:40]):
                self.assertEqual(name_of(url), name)
                self.assertLessEqual(len(name), MAX_NAME)

    def test_two_ids_that_are_made_safe_alike_are_two_files(self) -> None:
        ids = ("a:b", "a;b")
        for number, identity in enumerate(ids):
            url = self.fake.add_output(CONTENT + str(number).encode())
            done = {"id": identity, "status": "SUCCEEDED", "output": [url]}
            self.fake.fault(Fault("status", 200, body=done), path=f"/v1/tasks/{quote(identity)}")
        self.assert_success(self.call("wait", *ids, "--download", f"{self.folder}/outputs/"))
        found = {path.read_bytes() for path in (self.folder / "outputs").iterdir()}
        self.assertEqual(found, {CONTENT + b"0", CONTENT + b"1"})

    def test_stdout_is_not_a_destination(self) -> None:
        url = self.fake.add_output(CONTENT)
        for words in (("download", url, "--to", "-"), ("wait", "x", "--download", "-"), ("download", url, "--to", "")):
            with self.subTest(words):
                self.assert_error(self.call(*words), 2, kind="usage")
        self.assertEqual(self.fake.requests, [])

    def test_a_wrong_extension_is_kept_and_named_in_the_result(self) -> None:
        url = self.fake.add_output(sample("png"))
        path = self.folder / "fox.jpg"
        result = self.call("download", url, "--to", path)
        warning = f"{path} is image/png, not image/jpeg"
        self.assert_success(result, notes=[warning])
        self.assertEqual((result.json["saved"], result.json["warnings"]), (str(path), [warning]))

    def test_equal_names_are_numbered(self) -> None:
        urls = [
            self.fake.add_output(bytes([number]), name=name)
            for number, name in enumerate(["a.png", "a.png", "A.PNG", "a-2.png", "b", "b"])
        ]
        result = self.call("download", *urls, "--to", f"{self.folder}/new/")
        self.assertEqual(
            [Path(line["saved"]).name for line in result.lines],
            ["a.png", "a-2.png", "A-3.PNG", "a-2-2.png", "b", "b-2"],
        )
        self.assertEqual((self.folder / "new" / "A-3.PNG").read_bytes(), b"\2")
        numbered = self.call("download", *urls[:2], "--to", self.folder / "fox.png")
        self.assertEqual([Path(line["saved"]).name for line in numbered.lines], ["fox-1.png", "fox-2.png"])

    def test_the_default_is_the_working_directory(self) -> None:
        url = self.fake.add_output(CONTENT, name="%2e%2e%2ffox.bin")
        result = run("download", url, env=self.fake.env(), cwd=self.folder)
        self.assert_success(result, json={"saved": "fox.bin", "bytes": len(CONTENT)})
        self.assertEqual(self.listing(), ["fox.bin"])

    def test_in_a_folder_a_task_names_its_outputs(self) -> None:
        for name, media_type, expected in (
            ("x.webp", "image/png", "webp"),
            ("x", "image/jpeg", "jpg"),
            ("x", "image/jpg", "jpg"),
            ("x", "audio/x-m4a", "m4a"),
            ("x", "", "png"),
            ("x", "binary/octet-stream", "png"),
            ("x.mov", "video/mp4", "mov"),
            ("x.a/b", "video/mp4; q=1", "mp4"),
            ("..%2f..%2fx.MP4", "", "mp4"),
            ("x.toolong", "audio/mpeg", "mp3"),
        ):
            with self.subTest(name, media_type=media_type):
                url = self.fake.add_output(sample("image"), name=name, media_type=media_type)
                task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[url])
                result = self.call("wait", task, "--download", f"{self.folder}/deep/er/")
                self.assertEqual(result.json["saved"], [f"{self.folder}/deep/er/{task}.{expected}"], result)
        url = self.fake.add_output(bytes(9), name="x", media_type="binary/octet-stream", no_length=True)
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[url])
        self.assertEqual(self.call("wait", task, "--download", f"{self.folder}/").json["saved"][0][-4:], ".bin")

    def test_a_workflows_outputs_are_numbered_in_their_order(self) -> None:
        task = self.fake.add_task(kind="workflow", statuses=["SUCCEEDED"], outputs=[b"one", b"two"])
        result = self.call("wait", f"/v1/workflow_invocations/{task}", "--download", self.folder / "fox.png")
        self.assertEqual([Path(path).read_bytes() for path in result.json["saved"]], [b"one", b"two"])
        self.assertEqual(self.listing(), ["fox-1.png", "fox-2.png"])

    @unittest.skipIf(sys.platform == "win32", "whole paths are short there")
    def test_a_long_name_of_the_users_own_is_kept(self) -> None:
        for name in ("n" * 250, "\u65e5" * 80):
            with self.subTest(name[0]):
                url = self.fake.add_output(CONTENT)
                self.assertEqual(self.call("download", url, "--to", self.folder / name).exit, 0)
        self.assertEqual(len(self.listing()), 2)


class ExpiredOutputs(DownloadTest):
    def test_the_task_is_read_once_more_at_its_pace(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[CONTENT, b"two"], stale_reads=1)
        result = self.call("wait", task, "--download", self.folder)
        self.assertEqual((result.exit, len(result.json["saved"]), self.fake.hasty), (0, 2, []), result)
        self.assertEqual((len(self.polls()), self.listing()), (2, [f"{task}-1.png", f"{task}-2.png"]))

    def test_passing_failures_are_endured_until_the_time_is_up(self) -> None:
        for limit, expected in ((0, 0), (11, 1)):
            with self.subTest(limit):
                self.fake.requests.clear()
                task = self.fake.add_task(statuses=["SUCCEEDED"], stale_reads=1)
                self.fake.fault(Fault("status"), path=f"/v1/tasks/{task}", after=1, times=2)
                result = self.call("wait", task, "--download", f"{self.folder}/", "--max-wait", str(limit))
                self.assertEqual((result.exit, len(self.polls()), self.fake.hasty), (expected, 3 if limit else 4, []))
        self.assertEqual(pasted(result), ["wait", task, "--download", f"{self.folder}/", "--max-wait", "11"])

    def test_urls_that_stay_expired_end_it(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"], stale_reads=9)
        result = self.call("wait", task, "--download", self.folder)
        self.assert_error(result, 77, status=403, id=task)
        self.assertEqual(len(self.polls()), 2)

    def test_an_output_that_is_not_a_url_is_not_requested(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=["file:///etc/passwd"])
        self.assert_error(self.call("wait", task, "--download", self.folder), 1, kind="api", id=task)
        self.assertEqual(self.listing(), [])

    def test_a_named_output_that_was_saved_does_not_stop_the_rest(self) -> None:
        bad = self.fake.add_output(b"two", break_after=1, breaks=3)
        outputs = [self.fake.add_output(b"one"), bad]
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=outputs)
        result = self.call("wait", task, "--download", self.folder / "fox.png", "--retries", "0")
        self.assert_error(result, 69, kind="network", id=task)
        self.assertEqual(result.json["saved"], [str(self.folder / "fox-1.png")])
        self.assertEqual(self.listing(), ["fox-1.png"])
        free = str(self.folder / "fox-2.png")
        self.assertEqual(pasted(result), ["wait", task, "--download", free, "--retries", "0"])
        self.fake.outputs[bad.split("/")[3]].breaks = 0
        self.clock.sleep(5)
        self.assert_success(self.call(*pasted(result)))
        self.assertEqual(self.listing(), ["fox-1.png", "fox-2-1.png", "fox-2-2.png"])

    def test_a_named_output_that_exists_is_refused_before_any_is_saved(self) -> None:
        self.file("fox-2.png", b"mine")
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[b"one", b"two"])
        self.assert_error(self.call("wait", task, "--download", self.folder / "fox.png"), 74, kind="io")
        self.assertEqual((self.listing(), (self.folder / "fox-2.png").read_bytes()), (["fox-2.png"], b"mine"))
