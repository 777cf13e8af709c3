"""stdout and stderr of whole calls: every value as it came, no secret, and a proper end when nobody reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

if sys.platform != "win32":
    import fcntl
    import termios

from tests.fake import SECRET, FakeRunway, Fault
from tests.program import ROOT, ProgramTest, call, environment, run
from tests.served import eventually, pasted
from tests.test_masking import DATA_URI, SIGNED, UPLOAD

POST = ("request", "POST", "/v1/text_to_image", "--body", '{"model":"gen4_image","promptText":"a","ratio":"1024:1024"}')


class FakeTest(ProgramTest):
    def setUp(self) -> None:
        self.fake = FakeRunway()
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)

    def answer(self, body: bytes, status: int = 200) -> None:
        self.fake.fault(Fault("status", status=status, body=body), times=None)


class MaskingTest(FakeTest):
    def test_a_service_that_repeats_the_secret_does_not_reveal_it(self) -> None:
        for status in (200, 400, 401):
            self.fake.clear_faults()
            self.answer(json.dumps({"error": f"key {SECRET}", SECRET: [SECRET]}).encode(), status)
            for options in ((), ("--verbose",)):
                result = call("request", "GET", "/v1/x", *options, env=self.fake.env())  # `call` looks for it
                self.assertIn("***", result.stdout + result.stderr)

    def test_the_trace_and_the_dry_run_of_a_call(self) -> None:
        body = json.dumps({"promptImage": DATA_URI, "sessionKey": "abc"})
        self.answer(json.dumps({**UPLOAD, "sessionKey": "abc", "output": [SIGNED]}).encode())
        words = ("request", "POST", "/v1/uploads?a=1", "--body", body)
        masked = {"promptImage": "data:image/png;base64,… (825 B)", "sessionKey": "***"}
        result = call(*words, "--verbose", env=self.fake.env())
        self.assertEqual(result.json, {**UPLOAD, "sessionKey": "abc", "output": [SIGNED]})
        lines = [line[2:] for line in result.notes]
        self.assertEqual(lines[:2], [f"POST {self.fake.url}/v1/uploads?a=1", "Authorization: Bearer ***"])
        self.assertEqual(
            [json.loads(line) for line in lines if line.startswith("{")],
            [
                masked,
                {
                    "uploadUrl": "https://storage.example/a/b.png?***",
                    "fields": "***",
                    "runwayUri": "runway://u",
                    "sessionKey": "***",
                    "output": ["https://storage.example/a/b.png?***"],
                },
            ],
        )
        self.assertEqual(call(*words, "--dry-run", env=self.fake.env()).json["body"], masked)

    def test_no_example_repeats_what_is_masked_elsewhere(self) -> None:
        image = ("request", "POST", "/v1/image_to_video", "--retries", "0", "-f")
        look = "runway-cli request --help"
        for status, words, env, exit_status, example in (
            (200, ("download", SIGNED, "--ot", "x.png"), {}, 2, "runway-cli download --help"),
            (403, ("download", self.fake.add_output() + "x"), {}, 77, "runway-cli history"),
            *(
                (status, (*image, f"promptImage={item}"), {}, 1, look)
                for status in (429, 503)
                for item in (SIGNED, DATA_URI, "sessionKey=abcdef")
            ),
            (503, ("request", "GET", f"/v1/x?image={SIGNED}", "--retries", "0"), {}, 1, look),
            (
                429,
                ("request", "GET", "/v1/x?api_token=at_1234", "--retries", "0", "--gateway", "lowcodeapi"),
                self.fake.gateway_env(),
                1,
                look,
            ),
        ):
            with self.subTest(words=[word[:40] for word in words], status=status):
                self.fake.clear_faults()
                for server in ("api", "gateway"):
                    self.fake.fault(Fault("status", status=status), server=server)
                result = call(*words, env={**self.fake.env(), **env})
                self.assert_error(result, exit_status, example=example)

    def test_a_signed_url_in_a_query_is_masked_in_a_dry_run(self) -> None:
        shown = call("request", "GET", f"/v1/x?a=1&image={SIGNED}", "--dry-run", env=self.fake.env()).json
        self.assertEqual(shown["url"], f"{self.fake.url}/v1/x?a=1&image=https://storage.example/a/b.png?***")
        fields = ("-f", "a=1", "-f", f"image={SIGNED}", "-f", "b=x y")
        shown = call("request", "GET", "/v1/x", *fields, "--dry-run", env=self.fake.env()).json
        self.assertEqual(
            shown["url"], f"{self.fake.url}/v1/x?a=1&image=https%3A%2F%2Fstorage.example%2Fa%2Fb.png%3F***&b=x%20y"
        )

    def test_a_message_has_four_thousand_characters_at_most(self) -> None:
        self.answer(json.dumps({"error": "x" * 5000}).encode(), 400)
        self.assert_error(call("request", "GET", "/v1/x", env=self.fake.env()), 1, error="x" * 4000)

    def test_a_trace_shows_two_kilobytes_of_a_body(self) -> None:
        self.answer(json.dumps({"a": "é" * 5000}).encode())
        notes = call("request", "GET", "/v1/x", "--verbose", env=self.fake.env()).notes
        self.assertEqual(notes[-2:], ['< {"a":"' + "é" * (2048 - 6), f"< … {5008 - 2048} characters more"])

    def test_notes_are_masked_as_errors_are(self) -> None:
        words = {"error": f"see {SIGNED} and sessionKey=abcdef with {SECRET}"}
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        for argv in (("request", "GET", f"/v1/tasks/{task}"), ("wait", task), ("auth", "status")):
            with self.subTest(argv):
                self.fake.clear_faults()
                self.fake.fault(Fault("status", status=503, body=words))
                result = call(*argv, env=self.fake.env())
                self.assertEqual(result.exit, 0, result)
                told = result.json.get("note", "") + result.stderr
                self.assertIn("https://storage.example/a/b.png?*** and sessionKey=*** with ***", told)
                for hidden in ("eyJ", "abcdef", SECRET):
                    self.assertNotIn(hidden, told)


class FormatTest(FakeTest):
    """--output where there are rows, and --select everywhere."""

    def test_output_is_refused_where_it_cannot_apply(self) -> None:
        for argv in (
            ("auth", "status"),
            ("schema",),
            ("completions", "bash"),
            ("request", "POST", "/v1/documents", "--body", "{}"),
            ("request", "DELETE", "/v1/avatars/x"),
            ("request", "GET", "/v1/organization", "--dry-run"),
        ):
            for format in ("jsonl", "table", "markdown"):
                with self.subTest(argv, format=format):
                    result = call(*argv, "--output", format, env=self.fake.env())
                    self.assert_error(result, 2, kind="usage")
                    shown = ["--dry-run"] if "DELETE" in argv else []
                    self.assertEqual(pasted(result), [*argv, *shown])
                    self.assertEqual(result.stdout, "")
        self.assertEqual(self.fake.requests, [])

    def test_a_list_of_any_endpoint_has_rows(self) -> None:
        self.fake.add_avatar(id="a1", name="Mira")
        result = call(
            "request", "GET", "/v1/avatars?limit=9", "--select", "id,name", "--output", "markdown", env=self.fake.env()
        )
        self.assertEqual(result.stdout, "| id | name |\n| --- | --- |\n| a1 | Mira |\n")
        for body, rows in ((b"[1,2]", '{"value":1}\n{"value":2}\n'), (b'{"data":[{"a":1}]}', '{"a":1}\n')):
            with self.subTest(body):
                self.fake.clear_faults()
                self.answer(body)
                result = call("request", "GET", "/v1/x", "--output", "jsonl", env=self.fake.env())
                self.assertEqual(result.stdout, rows)

    def test_an_answer_without_rows_cannot_be_a_table(self) -> None:
        result = call("request", "GET", "/v1/organization", "--output", "table", env=self.fake.env())
        self.assert_error(result, 2, kind="usage")
        self.assertEqual(pasted(result), ["request", "GET", "/v1/organization"])

    def test_parts_of_a_result_are_selected(self) -> None:
        self.fake.add_avatar(id="a1", name="Mira")
        self.fake.add_avatar(id="a2", name="狐")
        for argv, shown in (
            (("request", "GET", "/v1/organization", "--select", "tier.maxMonthlyCreditSpend"), "100000\n"),
            (("request", "GET", "/v1/avatars?limit=9", "--select", "data.*.name"), "Mira\n狐\n"),
            (("avatars", "list", "--select", "id,name"), '{"id":"a1","name":"Mira"}\n{"id":"a2","name":"狐"}\n'),
            (("avatars", "list", "--select", "name"), "Mira\n狐\n"),
        ):
            with self.subTest(argv):
                result = call(*argv, env=self.fake.env())
                self.assertEqual(result.exit, 0, result)
                self.assertEqual(result.stdout, shown)
                self.assertEqual(result.stderr, "")

    def test_a_path_that_no_row_of_a_list_has_is_an_error(self) -> None:
        self.fake.add_avatar(id="a1", name="Mira")
        for words, path in (
            (("avatars", "list"), "nam"),
            (("request", "GET", "/v1/avatars?limit=9"), "data.*.nam"),
            (("request", "GET", "/v1/avatars", "--paginate"), "nam"),
            (("models",), "mode"),
            (("reference",), "summry"),
            (("reference", "POST", "/v1/text_to_image"), "pth"),
            (("avatars", "list", "--output", "table"), "nam"),
        ):
            with self.subTest(words):
                result = call(*words, "--quiet", "--select", path, env=self.fake.env())
                self.assert_error(result, 2, kind="usage")
                self.assertIn(f"--select {path} matches nothing: the keys ", result.error["error"])
                if "table" not in words:
                    self.assertEqual({*result.stdout.split()}, {"null"})
                self.assertEqual(pasted(result), [*words, "--quiet"])
        self.assertEqual(call("voices", "list", "--select", "nam", env=self.fake.env()).exit, 0)
        empty = call("request", "GET", "/v1/voices?limit=9", "--select", "data.*.id", env=self.fake.env())
        self.assertEqual((empty.exit, empty.stdout), (0, "null\n"))

    def test_a_path_that_matches_nothing_is_null_and_explained(self) -> None:
        result = call("request", "GET", "/v1/organization", "--select", "credits", "--quiet", env=self.fake.env())
        self.assert_success(result, stdout="null\n")
        self.assertIn("--select credits matches nothing: the keys are tier, creditBalance, usage\n", result.stderr)


def waiting(process: subprocess.Popen[bytes]) -> int:
    """How many bytes of its output nobody has read yet."""
    assert process.stdout
    return int.from_bytes(fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4)), sys.byteorder)


class ReaderTest(FakeTest):
    def test_a_reader_that_has_gone_ends_it_quietly(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            for argv in (["avatars", "list"], ["--help"], ["--version"], ["voices", "list", "--output", "table"]):
                with self.subTest(argv=argv):
                    done = subprocess.run(
                        [sys.executable, "-m", "runway_cli", *argv],
                        stdout=writer,
                        timeout=30,
                        env=environment({**self.fake.env(), "PYTHONPATH": str(ROOT)}),
                        stderr=subprocess.PIPE,
                        check=False,
                    )
                    self.assertEqual(done.returncode, 141)
                    self.assertEqual(done.stderr, b"")
        finally:
            os.close(writer)

    @unittest.skipIf(os.name == "nt", "POSIX pipes and signals")
    def test_what_nobody_reads_does_not_stand_in_the_way_of_a_signal(self) -> None:
        for _ in range(40):
            self.fake.add_voice(name="x" * 4000)
        for number, option, stderr in (
            (signal.SIGTERM, "--quiet", subprocess.PIPE),
            (signal.SIGINT, "--verbose", subprocess.STDOUT),
        ):
            with self.subTest(number=number):
                process = subprocess.Popen(
                    [sys.executable, "-m", "runway_cli", "voices", "list", option],
                    env=environment({**self.fake.env(), "PYTHONPATH": str(ROOT)}),
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                )
                with process:
                    eventually(lambda: waiting(process) > 8192)  # noqa: B023
                    process.send_signal(number)
                    self.assertEqual(process.wait(5), 128 + number)
                    if process.stderr:
                        self.assertEqual(json.loads(process.stderr.read())["kind"], "interrupted")


@unittest.skipIf(os.name == "nt", "for a POSIX shell")
class StreamsTest(FakeTest):
    def shell(self, redirection: str, *argv: str, **env: str) -> tuple[int, bytes, bytes]:
        """Exit status and streams of a call whose streams a shell has redirected."""
        command = f'"$PYTHON" -m runway_cli "$@" {redirection}'
        surroundings = environment({**self.fake.env(), "PYTHONPATH": str(ROOT), "PYTHON": sys.executable, **env})
        done = subprocess.run(
            ["/bin/sh", "-c", command, "sh", *argv],
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def test_a_closed_stdout_ends_it_quietly(self) -> None:
        self.assertEqual(self.shell(">&-", "avatars", "list"), (141, b"", b""))

    def test_what_a_post_started_is_named_to_whoever_still_listens(self) -> None:
        status, _, stderr = self.shell(">&-", *POST)
        identity = next(iter(self.fake.tasks))
        self.assertEqual(status, 141)
        self.assertEqual(stderr.decode(), f"the answer could not be written; its id is {identity}\n")

    @unittest.skipUnless(Path("/dev/full").exists(), "there is no /dev/full")
    def test_a_full_disk_is_told_with_the_id_of_what_was_paid_for(self) -> None:
        for argv in (["avatars", "list"], ["--help"], ["--version"]):
            status, _, stderr = self.shell(">/dev/full", *argv)
            self.assertEqual(status, 74)
            self.assertEqual(json.loads(stderr)["kind"], "io")
        status, _, stderr = self.shell(">/dev/full", *POST)
        error = json.loads(stderr.splitlines()[-1])
        self.assertEqual(status, 74)
        self.assertEqual(error["kind"], "io")
        self.assertEqual(error["id"], next(iter(self.fake.tasks)))
        self.assertNotIn("POST", error["example"])
        self.assertEqual(len(self.fake.sent("POST")), 1)

    def test_a_stderr_that_is_closed_or_full_does_not_matter(self) -> None:
        for redirection in ("2>&-", "2>/dev/full"):
            if redirection == "2>&-" or Path("/dev/full").exists():
                self.assertEqual(self.shell(redirection, "avatars", "lst"), (2, b"", b""))
                self.assertEqual(self.shell(redirection, "avatars", "list", "--verbose")[:2], (0, b'{"data":[]}\n'))

    def test_it_is_utf8_whatever_the_locale(self) -> None:
        self.fake.add_voice(id="v1", name="Zoë 狐")
        expected = '{"data":[{"id":"v1","name":"Zoë 狐","provider":null,"status":"READY","preview":'.encode()
        for env in (
            {"LC_ALL": "C"},
            {"LANG": ""},
            {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            {"PYTHONIOENCODING": "ascii:strict"},
            {"PYTHONIOENCODING": "utf-16"},
        ):
            with self.subTest(env=env):
                result = run("voices", "list", env={**self.fake.env(), **env})
                self.assertTrue(result.raw.startswith(expected), result)
                body = '{"name":"Zoë 狐","content":"é"}'
                result = run("request", "POST", "/v1/documents", "--body", body, env={**self.fake.env(), **env})
                self.assertEqual(result.exit, 0)
                self.assertEqual(result.json["name"], "Zoë 狐")
                self.assertEqual(self.fake.requests[-1].body, body.encode())

    def test_json_is_one_line_for_a_program_and_indented_for_a_person(self) -> None:
        self.assertEqual(run("avatars", "list", env=self.fake.env()).stdout, '{"data":[]}\n')
        shown = self.at_terminal("request", "GET", "/v1/organization")
        self.assertEqual(shown, json.dumps(self.fake.organization, indent=2) + "\n")

    def at_terminal(self, *words: str, **env: str) -> str:
        """What a call that goes well writes on a terminal, and nothing elsewhere."""
        main, terminal = os.openpty()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "runway_cli", *words],
                env=environment({**self.fake.env(), "PYTHONPATH": str(ROOT), "TERM": "xterm", "NO_COLOR": "1", **env}),
                stdout=terminal,
                stderr=subprocess.PIPE,
                timeout=30,
                check=False,
            )
            shown = os.read(main, 100_000)
        finally:
            os.close(main)
            os.close(terminal)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return shown.decode().replace("\r\n", "\n")

    def test_a_variable_makes_tables_the_default_for_rows_at_a_terminal(self) -> None:
        self.fake.add_avatar(id="a1", name="Mira", status="READY")
        variable = {"RUNWAY_SKILLS_OUTPUT": "table"}
        rows = ("avatars", "list")
        self.assertEqual(self.at_terminal(*rows, "--select", "id,status", **variable), "id  status\na1  READY\n")
        self.assertEqual(
            self.at_terminal(*rows, "--select", "id,status", NO_COLOR="", **variable),
            "\x1b[2mid\x1b[0m  \x1b[2mstatus\x1b[0m\na1  \x1b[32mREADY\x1b[0m\n",
        )
        self.assertEqual(self.at_terminal(*rows, "--select", "id", "--output", "json", **variable), "a1\n")
        for argv in (("request", "GET", "/v1/organization"), ("auth", "status")):
            self.assertTrue(self.at_terminal(*argv, **variable).startswith("{\n"), argv)
        for format in ("table", "markdown", "jsonl", "json"):
            for argv in (rows, ("auth", "status")):
                with self.subTest(argv, format=format):
                    piped = call(*argv, env={**self.fake.env(), "RUNWAY_SKILLS_OUTPUT": format})
                    self.assert_success(piped, stderr="", stdout=call(*argv, env=self.fake.env()).stdout)
        self.assert_error(call(*rows, env={**self.fake.env(), "RUNWAY_SKILLS_OUTPUT": "xml"}), 78, kind="config")
