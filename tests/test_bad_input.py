"""Wrong calls: each is refused with its reason before anything is sent, and none ends in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from collections.abc import Sequence
from unittest import mock

from runway_cli.cli import parser
from runway_cli.commands.options import GLOBAL_OPTIONS
from tests.fake import Fault
from tests.program import ROOT, environment, shell_words
from tests.served import ServedTest

POST = ("request", "POST", "/v1/x")


class RefusedTest(ServedTest):
    """Nothing that is tried here may reach the service."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(lambda: self.assertEqual(self.fake.requests, []))

    def refused(self, argv: Sequence[str], words: str, stdin: bytes = b"") -> None:
        """The call ends with one JSON object on stderr that holds these words, and an example that can be read."""
        with self.subTest(argv=[word[:60] for word in argv], stdin=stdin[:20]):
            result = self.call(*argv, stdin=stdin)
            self.assert_error(result, 2, kind="usage")
            self.assertIn(words, result.error["error"])
            self.assertEqual(result.stdout, "")
            self.assertEqual(result.notes, [])
            example = shell_words(result.error["example"])[1:]
            self.assertTrue("--help" in example or callable(parser.parse(example).command.run), example)

    def test_unknown_and_missing_words(self) -> None:
        for line, words in (
            ("avatars delete", "unknown command 'avatars delete'"),
            ("auth whoami", "unknown command 'auth whoami'"),
            ("avatars list --all", "unknown option --all"),
            ("-- -x avatars list", "unknown command '-x'"),
            ("request HEAD /v1/x", "must be one of GET, POST, PATCH, PUT, DELETE, not 'HEAD'"),
            ("request GET", "missing PATH"),
            ("request", "missing METHOD and PATH"),
            ("request GET /v1/x /v1/y", "'/v1/y'"),
            ("avatars list --limit 0", "must be an integer from 1 to 999999999, not '0'"),
            ("avatars list --limit 1.5", "'1.5'"),
            ("avatars list --limit -3", "--limit"),
            ("wait T --interval 4", "must be a number of seconds from 5 to"),
            ("wait T --max-wait -1", "must be a number of seconds from 0 to"),
        ):
            self.refused(line.split(), words)
        self.refused([""], "unknown command ''")
        self.refused(["request", "GET", " "], "PATH is empty")
        self.refused(["avatars", "list", ""], "unexpected argument ''")
        self.refused(["avatars", "list", "--limit", "٣"], "must be an integer from 1")

    def test_text_that_is_not_utf_8_in_any_option_or_operand(self) -> None:
        for path, command in parser.declared_commands().items():
            known = {"METHOD": "POST", "PATH": "/v1/x"}
            words = [known.get(operand.metavar, "x") for operand in command.operands if operand.is_required]
            for option in [option for option in (*command.options, *GLOBAL_OPTIONS) if option.metavar]:
                key = "a=" if (option.metavar or "").startswith("KEY=") else ""
                for bad in ("caf\udce9", "\ud83d"):
                    self.refused([*path, *words, option.flags[-1], key + bad], "is not UTF-8")
            for index in range(len(words)):
                self.refused([*path, *words[:index], "caf\udce9", *words[index + 1 :]], "is not UTF-8")
        if sys.platform == "linux":  # where a file may be called so
            name = str(self.file(os.fsdecode(b"caf\xe9")))
            for words in ([*POST, "-f", f"a={name}"], [*POST, "--once", name], ["generate", "text_to_image", name]):
                self.refused(words, "is not UTF-8")
        self.refused([*POST, "--body", r'{"a":["\ud83d x"]}'], r"\ud83d is half of a surrogate pair")
        self.refused([*POST, "--stdin"], r"\udc00 is half of a surrogate pair", stdin=rb'{"a":"\udc00"}')

    def test_bodies_that_are_not_json(self) -> None:
        for body, words in (
            (b"", "empty"),
            (b" \r\n\t", "empty"),
            (b"{nope", "line 1, column 2"),
            (b"{'a':1}", "line 1, column 2"),
            (b'{"a":1,}', "line 1"),
            (b'{"a":NaN}', "NaN is not a JSON number"),
            (b"Infinity", "Infinity is not"),
            (b'{"a":"\xe9"}', "not UTF-8 (byte 7 is 0xe9)"),
            (b"\xef\xbb\xbf", "empty"),
            (b"\xef\xbb\xbf{nope", "line 1, column 2"),
            (b"[" * 100_000, "nested too deeply"),
            (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
            (b'{"a":"line\nbreak"}', "line 1"),
            (b"01", "Extra data"),
            (b'"\\x41"', "line 1"),
        ):
            file = self.file("body.json", body)
            self.refused([*POST, "--body", f"@{file}"], f"the body from {file} is not JSON: ")
            self.refused([*POST, "--body", f"@{file}"], words)
            self.refused([*POST, "--stdin"], words, stdin=body)
            self.refused([*POST, "--body", "-", "--dry-run"], words, stdin=body)
            inline = body.decode("utf-8", "surrogateescape")
            self.refused([*POST, "--body", inline], words.partition(" (")[0])

    def test_a_body_in_utf_16_is_named(self) -> None:
        for codec in ("utf-16-le", "utf-16-be"):
            body = '\ufeff{"a":1}'.encode(codec)
            file = self.file("body.json", body)
            self.refused([*POST, "--body", f"@{file}"], f"the body: {str(file)!r} is UTF-16: save it as UTF-8")
            self.refused([*POST, "--stdin"], "the body: '-' is UTF-16: save it as UTF-8", stdin=body)

    def test_bodies_that_contradict_the_call(self) -> None:
        file = self.file("body.json", b"{}")
        for method in ("GET", "DELETE", "get"):
            self.refused(["request", method, "/v1/x", "--stdin"], f"cannot be used with {method.upper()}")
            for body in ("{}", "-", f"@{file}", ""):
                self.refused(["request", method, "/v1/x", "--body", body], f"cannot be used with {method.upper()}")
        for body in ("{}", "-", f"@{file}"):
            self.refused([*POST, "--stdin", "--body", body], "use either --body or --stdin")
        self.refused([*POST, "--paginate"], "--paginate cannot be used with POST")
        self.refused(["request", "PATCH", "/v1/avatars/A", "--wait"], "--wait cannot be used with PATCH")
        self.refused([*POST, "--download", "fox.png"], "need --wait")

    def test_files_that_cannot_be_read(self) -> None:
        missing = self.folder / "missing.json"
        for path in (str(missing), str(self.folder), "", "with\x00nul", "x" * 5000):
            self.refused([*POST, "--body", f"@{path}"], "cannot be read")
        if os.name == "posix":
            self.refused([*POST, "--body", "@/dev/zero"], "it is not a regular file")
        self.refused([*POST, "--body", "@" + "x" * 5000], "File name too long" if os.name == "posix" else "cannot")
        self.refused([*POST, "--data-uri", f"a={missing}"], "missing.json")
        self.refused([*POST, "--upload", f"a={missing}"], "missing.json")
        self.refused(["upload", str(missing)], "missing.json")

    @unittest.skipIf(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, "root may read everything")
    def test_a_file_without_permission(self) -> None:
        file = self.file("secret.json", b"{}")
        file.chmod(0)
        self.refused([*POST, "--body", f"@{file}"], "Permission denied")

    @unittest.skipIf(os.name == "nt", "needs a pseudo-terminal")
    def test_a_terminal_on_stdin_is_not_read(self) -> None:
        main, terminal = os.openpty()
        try:
            for argv in ((*POST, "--stdin"), (*POST, "--body", "-"), ("wait", "-")):
                with self.subTest(argv=argv):
                    done = subprocess.run(
                        [sys.executable, "-m", "runway_cli", *argv],
                        stdin=terminal,
                        timeout=30,
                        env=environment({**self.fake.env(), "PYTHONPATH": str(ROOT)}),
                        capture_output=True,
                        check=False,
                    )
                    self.assertEqual((done.returncode, done.stdout), (2, b""))
                    self.assertIn(b"nothing is piped in", done.stderr)
        finally:
            os.close(main)
            os.close(terminal)

    @unittest.skipIf(os.name == "nt", "for a POSIX shell")
    def test_no_stdin_at_all(self) -> None:
        command = '"$PYTHON" -m runway_cli request POST /v1/x --stdin <&-'
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            capture_output=True,
            timeout=30,
            check=False,
            env=environment({**self.fake.env(), "PYTHONPATH": str(ROOT), "PYTHON": sys.executable}),
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr[:10]), (2, b"", b'{"error":"'))

    def test_fields_that_cannot_be_used(self) -> None:
        for options, words in (
            (["-f", "model"], "must be KEY=TEXT, not 'model'"),
            (["-F", "n=seven"], "n: 'seven' is not JSON"),
            (["--body", "7", "-f", "a=x"], "neither an object nor a list"),
        ):
            self.refused([*POST, *options], words)

    def test_ids_that_would_change_the_path(self) -> None:
        paths = ("/v1/avatars", "/v1/organization", "/v1/avatars/../organization", "/v1/avatars/A/B", "/v1/avatars/..")
        for identity in (
            *("", ".", "..", "../avatars", "a/b", "a?b=c", "a#b", "a b", "a\tb", "a\nb", "https://evil.example/T"),
            *paths,
        ):
            for command in ("wait", "cancel"):
                self.refused([command, identity], f"{identity!r} is not an id")
        self.refused(["wait", "-"], "no ids on stdin", stdin=b" \n")
        self.refused(["wait", "-"], "'../bad' is not an id", stdin=b"good ../bad")


class SentTest(ServedTest):
    def test_a_refused_key_leads_to_auth_status(self) -> None:
        for status in (401, 403):
            self.fake.fault(Fault("status", status=status, body={"error": "no"}))
            result = self.call("avatars", "list", "--stage")
            self.assert_error(result, 77, kind="auth", status=status, example="runway-cli auth status --stage")

    def test_a_defect_of_the_program_is_one_json_object(self) -> None:
        with mock.patch("runway_cli.commands.lists.pages", side_effect=ZeroDivisionError("oh")):
            result = self.call("avatars", "list")
        self.assert_error(
            result, 1, kind="internal", error="ZeroDivisionError: oh", example="runway-cli avatars list --help"
        )
        self.assertEqual(result.notes, [])

    def test_a_defect_during_a_post_leads_to_the_balance(self) -> None:
        with mock.patch("runway_cli.jobs.start.start", side_effect=ZeroDivisionError("oh")):
            result = self.call(*POST, "--body", "{}", "--stage")
        self.assert_error(result, 1, kind="internal", example="runway-cli request GET /v1/organization --stage")
