"""`auth`: a key that works, a key that is refused and a service that does not answer are three different results."""

from __future__ import annotations

import json
from typing import Any

from runway_cli.cli.main import main
from tests.fake import SECRET, STAGE_SECRET, Fault
from tests.program import ProgramTest, Result, call
from tests.served import ServedTest
from tests.streams import captured

ORGANIZATION, AVATARS = "/v1/organization", "/v1/avatars"
NO_KEY = "no API key: set RUNWAY_SKILLS_API_SECRET or RUNWAYML_API_SECRET in the environment"
WRONG_KEY = "The API key you provided was incorrect. Keys are made at https://dev.runwayml.com/"


class StatusTest(ServedTest):
    def status(self, *options: str, **env: str) -> Result:
        return self.call("auth", "status", *options, env=env)

    def fails(self, path: str, status: int, words: str) -> None:
        """From now on, every request for `path` is answered so; status 0 is a lost answer."""
        fault = Fault("status", status=status, body={"error": words}) if status else Fault("reset_after_request")
        self.fake.fault(fault, path=path, times=None)

    def anew(self) -> None:
        self.fake.clear_faults()
        self.fake.requests.clear()

    def assert_requested(self, *targets: str) -> None:
        found = [f"{request.method} {request.target}" for request in self.fake.requests]
        self.assertEqual(found, [f"GET {target}" for target in targets])

    def shown(self, **changed: Any) -> dict[str, Any]:
        """What is printed for a key that works, with these changes."""
        return {
            "authenticated": True,
            "source": "environment",
            "variable": "RUNWAY_SKILLS_API_SECRET",
            "baseUrl": self.fake.url,
            "keyPrefix": "key_0123...",
            "organization": None,
            "creditBalance": None,
            **changed,
        }

    def test_status_shows_the_organization_and_its_credits(self) -> None:
        self.fake.organization["name"] = "Acme"
        result = self.status()
        self.assert_success(result, stderr="")
        self.assertEqual(list(result.json.items()), list(self.shown(organization="Acme", creditBalance=10000).items()))
        self.assert_requested(ORGANIZATION)

    def test_without_a_key_nothing_is_sent(self) -> None:
        for secret in ("", " \n"):
            result = self.status(RUNWAY_SKILLS_API_SECRET=secret)
            self.assert_error(result, 77, kind="auth", error=NO_KEY, example="runway-cli auth login")
            self.assertEqual(result.json, self.shown(authenticated=False, variable=None, keyPrefix=None, error=NO_KEY))
        self.assert_requested()

    def test_a_wrong_key_is_reported_after_one_request(self) -> None:
        result = self.status(RUNWAY_SKILLS_API_SECRET="key_f" + "0" * 40)
        self.assert_error(result, 77, kind="auth", status=401, error=WRONG_KEY, example="runway-cli auth login")
        self.assertEqual(result.json, self.shown(authenticated=False, keyPrefix="key_f000...", error=WRONG_KEY))
        self.assert_requested(ORGANIZATION)

    def test_a_list_proves_that_the_key_works_while_the_organization_fails(self) -> None:
        for first in (403, 404, 500, 503, 429, 0):
            with self.subTest(first=first):
                self.anew()
                self.fails(ORGANIZATION, first, "not today")
                result = self.status()
                self.assert_success(result, stderr="")
                note = result.json.pop("note")
                self.assertIn("/v1/organization does not answer: ", note)
                self.assertEqual(result.json, self.shown(note=note))
                self.assert_requested(ORGANIZATION, AVATARS + "?limit=1")

    def test_two_failures_tell_a_bad_key_from_a_bad_service(self) -> None:
        for first, second, authenticated, exit_status, kind in (
            (403, 403, False, 77, "auth"),
            (403, 401, False, 77, "auth"),
            (500, 401, False, 77, "auth"),
            (0, 401, False, 77, "auth"),
            (403, 500, None, 1, "api"),
            (403, 0, None, 69, "network"),
            (503, 503, None, 1, "api"),
            (500, 403, None, 1, "api"),
            (0, 0, None, 69, "network"),
            (0, 503, None, 69, "network"),
            (429, 0, None, 1, "api"),
        ):
            with self.subTest(first=first, second=second):
                self.anew()
                self.fails(ORGANIZATION, first, "the first")
                self.fails(AVATARS, second, "the second")
                result = self.status("--retries", "5")
                self.assert_error(result, exit_status, kind=kind)
                error = result.json["error"]
                self.assertEqual(error if first else "the first", "the first")
                self.assertEqual(result.json, self.shown(authenticated=authenticated, error=error))
                self.assert_requested(ORGANIZATION, AVATARS + "?limit=1")

    def test_any_object_is_an_organization(self) -> None:
        bodies: tuple[Any, ...] = ({}, {"creditBalance": None}, {"usage": {}})
        for body in bodies:
            with self.subTest(body=body):
                self.fake.fault(Fault("status", status=200, body=body), path=ORGANIZATION)
                self.assertEqual(self.status().json, self.shown())

    def test_what_any_server_may_answer_proves_nothing(self) -> None:
        for fault in (b"null", b"[]", b"[1]", b'"text"', b"7", b"true", b"", b" \n", b"<html>", b'{"tier":'):
            with self.subTest(fault):
                self.anew()
                self.fake.fault(Fault("status", status=200, body=fault), path=ORGANIZATION)
                result = self.status()
                self.assert_success(result, json=self.shown(note=result.json["note"]))
                self.fake.fault(Fault("status", status=200, body=fault), times=None)
                result = self.status()
                self.assert_error(result, 1, kind="api", status=200)
                self.assertEqual(result.json, self.shown(authenticated=None, error=result.error["error"]))
                self.assertIn("JSON", result.error["error"])

    def test_status_names_the_variable_that_the_key_came_from(self) -> None:
        other = "key_f" + "0" * 40
        own, sdks = "RUNWAY_SKILLS_API_SECRET", "RUNWAYML_API_SECRET"
        stage = "RUNWAY_SKILLS_API_SECRET_STAGE"
        cases: tuple[tuple[tuple[str, ...], dict[str, str], str, str], ...] = (
            ((), {own: SECRET, sdks: other}, own, SECRET),
            ((), {own: "", sdks: SECRET}, sdks, SECRET),
            ((), {own: f" \t{SECRET}\r\n"}, own, SECRET),
            ((), {stage: other}, own, SECRET),
            (("--stage",), {stage: STAGE_SECRET}, stage, STAGE_SECRET),
            (("--stage",), {stage: ""}, own, SECRET),
        )
        for options, env, variable, secret in cases:
            with self.subTest(options=options, env=list(env)):
                self.fake.requests.clear()
                result = self.status(*options, **env)
                source = "environment (stage)" if options else "environment"
                shown = self.shown(source=source, variable=variable, keyPrefix=secret[:8] + "...", creditBalance=10000)
                self.assertEqual(result.json, shown)
                (sent,) = self.fake.requests
                self.assertEqual(sent.headers["authorization"], f"Bearer {secret}")

    def test_stage_ignores_the_variable_of_the_sdks(self) -> None:
        result = self.status("--stage", RUNWAY_SKILLS_API_SECRET="", RUNWAYML_API_SECRET=SECRET)
        self.assert_error(result, 77, kind="auth")
        self.assertIn("RUNWAY_SKILLS_API_SECRET_STAGE", result.error["error"])
        self.assert_requested()

    def test_the_shown_prefix_is_at_most_a_third_of_the_key(self) -> None:
        for length, shown in ((1, 0), (2, 0), (4, 1), (10, 3), (23, 7), (24, 8), (100, 8)):
            with self.subTest(length=length):
                key = ("abcdefghijklmnopqrstuvwxyz" * 4)[:length]
                result = self.status(RUNWAY_SKILLS_API_SECRET=key)
                self.assertEqual(result.json["keyPrefix"], key[:shown] + "...")


class LoginTest(ProgramTest):
    def test_on_a_terminal_it_is_an_answer_and_no_error(self) -> None:
        with captured(err_is_terminal=True, columns=200) as kept:
            self.assertEqual(main(["auth", "login", "--stage"]), 2)
            self.assertEqual(main(["auth", "logout", "--output", "json"]), 2)
        first, second, last = kept.err.lines
        self.assertTrue(first.startswith("this program stores nothing: set RUNWAY_SKILLS_API_SECRET_STAGE in "))
        self.assertTrue(second.endswith(" auth status --stage"))
        self.assertEqual(json.loads(last)["kind"], "usage")

    def test_login_and_logout_name_the_variable_and_store_nothing(self) -> None:
        keys = "https://dev.runwayml.com/settings/api-keys"
        for verb in ("login", "logout"):
            for options, variable in (
                ((), "RUNWAY_SKILLS_API_SECRET"),
                (("--stage",), "RUNWAY_SKILLS_API_SECRET_STAGE"),
                (("--gateway", "lowcodeapi"), "LOWCODEAPI_API_TOKEN"),
            ):
                with self.subTest(verb=verb, options=options):
                    result = call("auth", verb, *options)
                    example = " ".join(("runway-cli auth status", *options))
                    self.assert_error(result, 2, kind="usage", example=example)
                    self.assertEqual(result.stdout, "")
                    words = result.error["error"]
                    self.assertRegex(words, rf"^this program stores nothing: (un)?set {variable} in the ")
                    self.assertEqual(keys in words, verb == "login" and "--gateway" not in options)
