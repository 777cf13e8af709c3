"""Calls that are wrong: each is refused with its reason before anything is sent, and none ends in a traceback."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from runway_cli import parser
from tests.fake_runway import FakeRunway, Fault
from tests.program import ROOT, ProgramTest, call, environment

POST = ("request", "POST", "/v1/x")


class RefusedTest(ProgramTest):
    """Nothing of what is tried here may reach the service."""

    def setUp(self) -> None:
        self.fake = FakeRunway()
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)
        self.addCleanup(lambda: self.assertEqual(self.fake.requests, []))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def refused(self, argv: Sequence[str], words: str, stdin: bytes = b"", exit_status: int = 2) -> None:
        """The call ends with one JSON object on stderr that holds these words, and an example that can be read."""
        with self.subTest(argv=[word[:60] for word in argv], stdin=stdin[:20]):
            result = call(*argv, env=self.fake.env(), stdin=stdin)
            self.assert_error(result, exit_status, kind="usage")
            self.assertIn(words, result.error["error"])
            self.assertEqual((result.stdout, len(result.stderr.splitlines())), ("", 1))
            example = shlex.split(result.error["example"])[1:]
            self.assertTrue("--help" in example or callable(parser.parse(example).run), example)

    def test_words_that_are_not_known_or_missing(self) -> None:
        for line, words in (
            ("videos list", "'videos' is no command"), ("avatars delete", "'delete' is no command"),
            ("auth whoami", "'whoami' is no command"), ("avatars list --all", "unknown option --all"),
            ("-x avatars list", "unknown option -x"), ("-- avatars list", "'--' is no command"),
            ("request FETCH /v1/x", "'FETCH' is no METHOD: choose from GET, POST, PATCH, PUT, DELETE"),
            ("request HEAD /v1/x", "'HEAD' is no METHOD"), ("request GET", "required: PATH"),
            ("request", "required: METHOD, PATH"), ("wait", "required: ID"), ("cancel", "required: ID"),
            ("upload", "required: FILE"), ("download", "required: URL"), ("request GET /v1/x /v1/y", "'/v1/y'"),
            ("avatars list --limit 0", "'0' is no whole number from 1 on"), ("avatars list --limit 1.5", "'1.5'"),
            ("avatars list --limit -3", "--limit"), ("avatars list --limit 9999999999", "no whole number"),
            ("wait T --interval 4", "least that the API allows"), ("wait T --max-wait -1", "--max-wait"),
        ):
            self.refused(line.split(), words)
        self.refused([""], "'' is no command")
        self.refused(["avatars", "list", ""], "unexpected argument ''")
        self.refused(["avatars", "list", "--limit", "٣"], "no whole number")

    def test_json_that_is_none(self) -> None:
        for body, words in (
            (b"", "empty"), (b" \r\n\t", "empty"), (b"{nope", "line 1, column 2"), (b"{'a':1}", "line 1, column 2"),
            (b'{"a":1,}', "line 1"), (b'{"a":1} {}', "Extra data"), (b'{"a":NaN}', "NaN is not a JSON number"),
            (b"Infinity", "Infinity is not"), (b"[-Infinity]", "-Infinity is not"),
            (b"\xff\xfe{\x00}\x00", "not UTF-8"), (b'{"a":"\xe9"}', "not UTF-8 (byte 7 is 0xe9)"),
            (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
            (b"[" * 100_000, "nested too deeply"), (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
            (b'{"a":"line\nbreak"}', "line 1"), (b"01", "Extra data"), (b".5", "line 1"), (b'"\\x41"', "line 1"),
        ):
            file = self.folder / "body.json"
            file.write_bytes(body)
            self.refused([*POST, "--body", f"@{file}"], f"the body from {file} is not JSON: ")
            self.refused([*POST, "--body", f"@{file}"], words)
            self.refused([*POST, "--stdin"], words, stdin=body)
            self.refused([*POST, "--body", "-", "--dry-run"], words, stdin=body)
            self.refused([*POST, "--body", body.decode("utf-8", "surrogateescape")], words)

    def test_bodies_that_contradict_the_call(self) -> None:
        file = self.folder / "body.json"
        file.write_bytes(b"{}")
        for method in ("GET", "DELETE", "get"):
            self.refused(["request", method, "/v1/x", "--stdin"], f"{method.upper()} takes no body")
            for body in ("{}", "-", f"@{file}", ""):
                self.refused(["request", method, "/v1/x", "--body", body], f"{method.upper()} takes no body")
        for body in ("{}", "-", f"@{file}"):
            self.refused([*POST, "--stdin", "--body", body], "two bodies")
        self.refused([*POST, "--paginate"], "--paginate is for GET")
        self.refused(["request", "PATCH", "/v1/avatars/A", "--wait"], "--wait is for a POST")
        self.refused([*POST, "--wait"], "--wait is for a POST")
        self.refused([*POST, "--download", "fox.png"], "--download needs --wait")

    def test_files_that_cannot_be_read(self) -> None:
        missing = self.folder / "missing.json"
        for path in (str(missing), str(self.folder), "", "with\x00nul", "x" * 5000):
            self.refused([*POST, "--body", f"@{path}"], "cannot be read")
        self.refused([*POST, "--data-uri", f"a={missing}"], "missing.json")
        self.refused([*POST, "--upload", f"a={missing}"], "missing.json")
        self.refused(["upload", str(missing)], "missing.json")

    @unittest.skipIf(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, "root may read everything")
    def test_a_file_without_permission(self) -> None:
        file = self.folder / "secret.json"
        file.write_bytes(b"{}")
        file.chmod(0)
        self.refused([*POST, "--body", f"@{file}"], "Permission denied")

    @unittest.skipIf(os.name == "nt", "needs a pseudo-terminal")
    def test_stdin_from_a_terminal_is_not_waited_for(self) -> None:
        main, terminal = os.openpty()
        try:
            for argv in ((*POST, "--stdin"), (*POST, "--body", "-"), ("wait", "-")):
                with self.subTest(argv=argv):
                    done = subprocess.run([sys.executable, "-m", "runway_cli", *argv], stdin=terminal, timeout=30,
                                          env=environment({**self.fake.env(), "PYTHONPATH": str(ROOT)}),
                                          capture_output=True, check=False)
                    self.assertEqual((done.returncode, done.stdout), (2, b""))
                    self.assertIn(b"nothing is piped in", done.stderr)
        finally:
            os.close(main)
            os.close(terminal)

    @unittest.skipIf(os.name == "nt", "for a POSIX shell")
    def test_no_stdin_at_all(self) -> None:
        command = '"$PYTHON" -m runway_cli request POST /v1/x --stdin <&-'
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, timeout=30, check=False,
                              env=environment({**self.fake.env(), "PYTHONPATH": str(ROOT), "PYTHON": sys.executable}))
        self.assertEqual((done.returncode, done.stdout, done.stderr[:10]), (2, b"", b'{"error":"'))

    def test_fields_that_are_none(self) -> None:
        for options, words in (
            (["-f", "model"], "'model' is not KEY=TEXT"), (["-F", "n=seven"], "the value of n is not JSON"),
            (["-F", "n=NaN"], "NaN"), (["-f", "=x"], "is not KEY=TEXT"), (["-f", "a..b=x"], "is not KEY=TEXT"),
            (["-f", "a=1", "-f", "a.b=2"], "would undo the other"), (["--body", "[]", "-f", "5=x"], "0 items"),
            (["--body", "7", "-f", "a=x"], "neither an object nor a list"),
        ):
            self.refused([*POST, *options], words)

    def test_ids_that_try_to_leave_their_place(self) -> None:
        for identity in ("../avatars", "..", ".", "a/b", "a?b=c", "a#b", "a b", "a\tb", "a\nb", "/v1/avatars",
                         "/v1/organization", "/v1/avatars/../organization", "/v1/avatars/A/B", "/v1/avatars/..",
                         "https://evil.example/T", ""):
            for command in ("wait", "cancel"):
                self.refused([command, identity], f"{identity!r} is no id")
        self.refused(["wait", "-"], "no ids on stdin", stdin=b" \n")
        self.refused(["wait", "-"], "'../bad' is no id", stdin=b"good ../bad")

    def test_paths_that_try_to_leave_the_service(self) -> None:
        base = self.fake.url
        for path, words in (
            ("https://evil.example/v1/x", "is not below"), ("http://evil.example", "is not below"),
            (f"{base}@evil.example/v1/x", "is not below"), (f"{base}.evil.example/v1/x", "is not below"),
            (f"{base[:-1]}/v1/x", "is not below"), (base.replace("http:", "https:"), "is not below"),
            ("file:///etc/passwd", "is not below"), ("//evil.example/../x", "'..' segment"),
            ("/v1/../admin", "'..' segment"), ("/v1/%2e%2E/admin", "'..' segment"), ("/v1/./x", "'..' segment"),
            ("/v1/..%2fadmin", "'..' segment"), ("/v1\\..\\admin", "'..' segment"), ("..", "'..' segment"),
            (f"{base}/../x", "'..' segment"), ("/v1/x#part", "holds a '#'"), ("/v1/x\x7f", "control character"),
            ("/v1/x\r\nHost: evil.example", "control character"), ("/v1/x\x00", "control character"),
        ):
            for method in ("GET", "POST", "DELETE"):
                self.refused(["request", method, path], words)
                self.refused(["request", method, path, "--dry-run"], words)


class SentTest(ProgramTest):
    def test_paths_that_look_odd_stay_below_the_base(self) -> None:
        with FakeRunway() as fake:
            for path, target in (
                ("v1/x", "/v1/x"), ("//evil.example/x", "/evil.example/x"), (".evil.example/x", "/.evil.example/x"),
                ("@evil.example/x", "/@evil.example/x"), (":80/x", "/:80/x"), ("\\\\evil.example\\x", None),
                ("/v1/a b/é?q=ü&r=1 2", "/v1/a%20b/%C3%A9?q=%C3%BC&r=1%202"), ("/v1/100%/x%2Fy", "/v1/100%25/x%2Fy"),
                (f"{fake.url}/v1/x?a=1", "/v1/x?a=1"), ("", "/"),
            ):
                with self.subTest(path=path):
                    fake.requests.clear()
                    result = call("request", "GET", path, env=fake.env())
                    self.assert_error(result, 1, kind="api", status=404)
                    sent = [request.target for request in fake.requests]
                    self.assertEqual(sent, ["/%5C%5Cevil.example%5Cx" if target is None else target])

    def test_a_key_that_is_refused_is_answered_with_how_to_check_it(self) -> None:
        with FakeRunway() as fake:
            for status in (401, 403):
                fake.fault(Fault("status", status=status, body={"error": "no"}))
                result = call("avatars", "list", "--stage", env=fake.env())
                self.assert_error(result, 77, kind="auth", status=status, example="runway-cli auth status --stage")

    def test_a_defect_is_still_one_json_object(self) -> None:
        with mock.patch("runway_cli.commands.avatars.run", side_effect=ZeroDivisionError("oh")):
            result = call("avatars", "list")
        self.assert_error(result, 1, kind="internal", error="ZeroDivisionError: oh", example="runway-cli avatars list")
        self.assertEqual(result.notes, [])
        with mock.patch("runway_cli.commands.request.run", side_effect=ZeroDivisionError("oh")):
            result = call(*POST, "--body", "{}", "--stage")
        self.assert_error(result, 1, kind="internal", example="runway-cli request GET /v1/organization --stage")


if __name__ == "__main__":
    unittest.main()
