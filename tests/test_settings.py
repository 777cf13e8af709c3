"""What the environment may hold, and what is refused before anything is sent."""

from __future__ import annotations

from typing import Any

from tests.fake import SECRET, FakeRunway
from tests.program import ProgramTest, call

SHOW = ("request", "GET", "/v1/avatars", "--dry-run")
KEY = "RUNWAY_SKILLS_API_SECRET"


class ShownTest(ProgramTest):
    def show(self, *options: str, **env: str) -> dict[str, Any]:
        """The request of a dry run."""
        result = call(*SHOW, *options, env=env)
        self.assert_success(result, stderr="")
        shown: dict[str, Any] = result.json
        return shown


class BaseUrlTest(ShownTest):
    def test_bases_that_can_be_used(self) -> None:
        for base, url in (
            ("  \n", "https://api.dev.runwayml.com/v1/avatars"),
            (" https://runway.example\n", "https://runway.example/v1/avatars"),
            ("https://runway.example//", "https://runway.example/v1/avatars"),
            ("https://runway.example:8443/api/", "https://runway.example:8443/api/v1/avatars"),
            ("HTTPS://Runway.Example", "HTTPS://Runway.Example/v1/avatars"),
            ("http://localhost:8080", "http://localhost:8080/v1/avatars"),
            ("http://LOCALHOST", "http://LOCALHOST/v1/avatars"),
            ("http://127.0.0.1", "http://127.0.0.1/v1/avatars"),
            ("http://127.255.0.9:1", "http://127.255.0.9:1/v1/avatars"),
            ("http://[::1]:8080", "http://[::1]:8080/v1/avatars"),
        ):
            with self.subTest(base=base):
                self.assertEqual(self.show(RUNWAY_SKILLS_BASE_URL=base)["url"], url)

    def test_bases_that_are_refused(self) -> None:
        plain = "runway.example 192.168.0.1 127.0.0.1.evil.example localhost.example 127.1 127.0.0.256 0.0.0.0"
        hosts = "user@host user:pw@host @host host?x=1 host? host#part host:port host:99999 host:0 [::1 höst.example"
        others = "ftp://127.0.0.1 file:///etc/passwd //host runway.example localhost:8080 https:// https:///v1"
        for base in (
            *(f"http://{host}" for host in plain.split()),
            *(f"https://{host}" for host in (*hosts.split(), "ho st", "host\r\nX: y", "good.example\\@evil.example")),
            *(*others.split(), "javascript:alert(1)", "x" * 3000),
        ):
            gateway = ("--gateway", "lowcodeapi")
            for variable, options in (("RUNWAY_SKILLS_BASE_URL", ()), ("LOWCODEAPI_BASE_URL", gateway)):
                with self.subTest(base=base, variable=variable):
                    result = call(*SHOW, *options, env={variable: base})
                    self.assert_error(result, 78, kind="config", example="runway-cli help environment")
                    self.assertTrue(result.error["error"].startswith(f"{variable} "), result)
                    self.assertEqual(result.stdout, "")
                    for part in ("pw", "evil", "passwd"):  # a base may hold a password: it is not repeated
                        self.assertNotIn(part, result.stderr)

    def test_each_service_has_its_own(self) -> None:
        env = {"RUNWAY_SKILLS_BASE_URL": "https://runway.example", "LOWCODEAPI_BASE_URL": "https://gateway.example/r"}
        for options, url in (
            ((), "https://runway.example/v1/avatars"),
            (("--stage",), "https://runway.example/v1/avatars"),
            (("--gateway", "lowcodeapi"), "https://gateway.example/r/v1/avatars?api_token=***"),
        ):
            with self.subTest(options=options):
                self.assertEqual(self.show(*options, **env)["url"], url)

    def test_a_base_of_the_other_service_does_not_matter(self) -> None:
        self.show(LOWCODEAPI_BASE_URL="nonsense")
        self.show("--gateway", "lowcodeapi", RUNWAY_SKILLS_BASE_URL="nonsense")


class SecretTest(ShownTest):
    def setUp(self) -> None:
        self.fake = FakeRunway()
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)

    def test_an_unset_or_empty_one_is_named_and_nothing_is_sent(self) -> None:
        for line in ("avatars list", "request POST /v1/x --body {}", "wait T", "cancel T"):
            for secret in ("", " ", "\t\r\n"):
                with self.subTest(line, secret=secret):
                    result = call(*line.split(), env={**self.fake.env(), KEY: secret})
                    self.assert_error(result, 77, kind="auth")
                    self.assertIn(f"set {KEY} or RUNWAYML_API_SECRET in the environment", result.error["error"])
        self.assertEqual(self.fake.requests, [])

    def test_one_that_no_header_can_hold_is_refused_and_never_shown(self) -> None:
        for secret in (
            *("key_first_half\nkey_second_half", "key_first_half\r\nX-Evil: key_second_half", "key_first_half second"),
            *("key_first_half\x7f", "key_first_half\x1b[2J", "key_first_hälf", "key_first\u2028half"),
            *("“key_first_half”", "\ufeff" + SECRET, "key_first_half\udcff"),
            *(f'"{SECRET}"', f"'{SECRET}'", f"`{SECRET}`", f' "{SECRET}', f"“{SECRET}”", "'key_first_half key_second'"),
        ):
            for words in (("auth", "status"), ("avatars", "list"), ("--verbose", "request", "GET", "/v1/x")):
                with self.subTest(secret=ascii(secret), words=words):
                    result = call(*words, env={**self.fake.env(), KEY: secret})
                    self.assert_error(result, 78, kind="config", example="runway-cli auth login")
                    self.assertTrue(result.error["error"].startswith(KEY), result)
                    self.assertEqual(result.stdout, "")
                    for part in ("first", "second", SECRET):
                        self.assertNotIn(part, result.stderr)
        self.assertEqual(self.fake.requests, [])

    def test_white_space_around_one_is_dropped(self) -> None:
        for secret in (f" {SECRET}", f"{SECRET}\n", f"\t{SECRET}\r\n"):
            self.assertEqual(call("avatars", "list", env={**self.fake.env(), KEY: secret}).exit, 0)
        self.assertEqual({request.headers["authorization"] for request in self.fake.requests}, {f"Bearer {SECRET}"})

    def test_a_dry_run_needs_none_and_looks_at_none(self) -> None:
        for secret in ("", "two\nlines", SECRET):
            self.assertEqual(self.show(**{KEY: secret})["headers"]["Authorization"], "Bearer ***")


class ClientIdTest(ShownTest):
    def test_it_is_the_given_text_or_a_fresh_uuid(self) -> None:
        uuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
        fresh = {self.show()["headers"]["X-Runway-Client-Id"] for _ in range(2)}
        self.assertEqual(len(fresh), 2)
        for identity in fresh:
            self.assertRegex(identity, f"^{uuid}$")
        for given in ("ABCDEF01-2345-6789-abcd-ef0123456789", "session:7/{x}", "x" * 200):
            for shown in (self.show("--client-id", given), self.show(RUNWAY_SKILLS_CLIENT_ID=f" {given} ")):
                self.assertEqual(shown["headers"]["X-Runway-Client-Id"], given)

    def test_one_process_has_one(self) -> None:
        with FakeRunway() as fake:
            for _ in range(101):
                fake.add_voice()
            self.assertEqual(call("voices", "list", env=fake.env()).exit, 0)
            self.assertEqual(len(fake.requests), 2)
            self.assertEqual(len({request.headers["x-runway-client-id"] for request in fake.requests}), 1)

    def test_what_no_header_can_hold_is_refused(self) -> None:
        for word in ("", "two words", "x\r\nEvil: 1", "\u0661", "\x7f", "x" * 201):
            with self.subTest(word=word):
                self.assert_error(call(*SHOW, "--client-id", word), 2, kind="usage")


class SwitchTest(ShownTest):
    """RUNWAY_SKILLS_STAGE chooses a server: a word that may mean anything must not choose one."""

    def test_yes_and_no_words_switch_it(self) -> None:
        production, stage = "https://api.dev.runwayml.com", "https://api.dev-stage.runwayml.com"
        for base, words in (
            (stage, ("1", "true", "yes", "on", "ON", " True ")),
            (production, ("0", "false", "no", "off", "OFF", "", " ")),
        ):
            for word in words:
                with self.subTest(word=word):
                    self.assertEqual(self.show(RUNWAY_SKILLS_STAGE=word)["url"], f"{base}/v1/avatars")

    def test_other_words_are_refused(self) -> None:
        for variable in ("RUNWAY_SKILLS_STAGE", "RUNWAY_SKILLS_QUIET", "RUNWAY_SKILLS_VERBOSE"):
            for word in ("maybe", "2", "stage", "y", "\u0661"):
                with self.subTest(variable=variable, word=word):
                    result = call(*SHOW, env={variable: word})
                    self.assert_error(result, 78, kind="config")
                    self.assertTrue(result.error["error"].startswith(f"{variable} must be one of "), result)


class NumbersTest(ProgramTest):
    ODD = ("1_0", "10_0.5", "\u0661\u0660", "\uff11\uff10", "1\u00b2", "0x10", "1e", "ten", "")  # for no number

    def test_numbers_are_ascii_digits_within_their_range(self) -> None:
        wait = ("request", "POST", "/v1/text_to_image", "--dry-run", "--wait")
        for words, option, out_of_range in (
            (SHOW, "--timeout", ("0", "-1", "nan", "inf", "1e9", "1e400")),
            (SHOW, "--retries", ("-1", "101", "1.5", "9" * 5000)),
            (wait, "--max-wait", ("-1", "nan")),
            (wait, "--interval", ("0", "4.9")),
            (("avatars", "list"), "--limit", ("0", "-1", "1.5")),
            (("history",), "--limit", ("0", "-1", "1.5")),
        ):
            for word in (*self.ODD, *out_of_range):
                with self.subTest(option=option, word=word[:20]):
                    result = call(*words, f"{option}={word}")
                    self.assert_error(result, 2, kind="usage")
                    self.assertTrue(result.error["error"].startswith(f"{option}: "), result)

    def test_usual_numbers_are_accepted(self) -> None:
        for words in (("--timeout", "0.5"), ("--timeout", "86400"), ("--retries", "0"), ("--retries", "100")):
            self.assertEqual(call(*SHOW, *words).exit, 0)
