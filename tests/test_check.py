"""`request --check`: what the API's contract refuses is not sent, and the refusal is in the API's own form."""

from __future__ import annotations

import time

from tests.fake import Fault, sample
from tests.program import Result
from tests.served import ServedTest

IMAGE = "/v1/text_to_image"
GOOD = ("-f", "model=gen4_image", "-f", "promptText=a fox", "-f", "ratio=1024:1024")


class CheckTest(ServedTest):
    def check(self, *words: str, path: str = IMAGE, env: dict[str, str] | None = None) -> Result:
        return self.call("request", "POST", path, "--check", *words, env=env)

    def to_the_api(self) -> list[str]:
        """The requests but for those of the contract."""
        return [seen.path for seen in self.fake.requests if seen.path != "/openapi.json"]

    def test_a_body_that_fits_is_sent(self) -> None:
        result = self.check(*GOOD)
        self.assertEqual(result.exit, 0, result)
        self.assertEqual(self.posts(), [IMAGE])
        self.assertEqual(result.stderr, "")

    def test_a_body_that_does_not_fit_is_refused_with_the_allowed_values(self) -> None:
        for words, field, told in (
            (("-f", "model=gen4_image", "-f", "promptText=a fox"), "ratio", "required"),
            ((*GOOD[:-1], "ratio=7:7"), "ratio", "1024:1024"),
            ((*GOOD, "-F", 'seed="x"'), "seed", "integer"),
            ((*GOOD, "-F", "seed=-1"), "seed", "0"),
            (("-f", "model=gen5", *GOOD[2:]), "model", "gen4_image"),
        ):
            with self.subTest(words):
                result = self.check(*words)
                self.assert_error(result, 2, kind="usage")
                issues = {issue["field"]: " ".join(issue["messages"]) for issue in result.error["issues"]}
                self.assertIn(field, issues)
                self.assertIn(told, issues[field])
                today = time.strftime("%Y-%m-%d", time.gmtime())
                self.assertEqual(result.error["contract"], {"date": today, "source": self.fake.openapi_url})
                self.assertEqual(result.stdout, "")
        self.assertEqual(self.to_the_api(), [])

    def test_every_fault_is_named_at_once(self) -> None:
        result = self.check("-f", "model=gen4_image", "-f", "ratio=7:7")
        self.assertEqual(sorted(issue["field"] for issue in result.error["issues"]), ["promptText", "ratio"])

    def test_nothing_is_uploaded_for_a_body_that_is_refused(self) -> None:
        cat = self.file("cat.png", sample("image"))
        words = ("-f", "model=gen4_turbo", "-f", "ratio=7:7", "-F", "duration=5", "--upload", f"promptImage={cat}")
        self.assert_error(self.check(*words, path="/v1/image_to_video"), 2, kind="usage")
        self.assertEqual(self.to_the_api(), [])

    def test_an_upload_counts_as_a_uri(self) -> None:
        cat = self.file("cat.png", sample("image"))
        words = ("-f", "model=gen4_turbo", "-f", "ratio=1280:720", "-F", "duration=5", "--upload", f"promptImage={cat}")
        result = self.check(*words, "-f", "promptText=dolly in", "--dry-run", path="/v1/image_to_video")
        self.assertEqual(result.exit, 0, result)
        self.assertEqual(self.to_the_api(), [])

    def test_a_call_that_is_refused_or_a_dry_run_is_never_sent(self) -> None:
        result = self.check(*GOOD, "--dry-run", env={"RUNWAY_SKILLS_API_SECRET": ""})
        self.assertTrue(result.json["dry_run"])
        self.assertRegex(result.json["checked"], r"^20\d\d-\d\d-\d\d$")
        unknown = self.check("-f", "a=b", "--dry-run", path="/v1/new_endpoint")
        self.assertNotIn("checked", unknown.json)
        for words in ((), ("--dry-run",)):  # without a body
            result = self.check(*words)
            self.assert_error(result, 2, kind="usage")
            self.assertTrue(result.error["issues"])
        self.assertEqual(self.to_the_api(), [])

    def test_without_a_source_the_contract_that_comes_with_the_program_decides(self) -> None:
        self.fake.fault(Fault("status", status=503), path="/openapi.json", server="storage", times=None)
        result = self.check("-f", "model=gen4_image", "-f", "ratio=1:1", "-f", "promptText=a fox")
        self.assert_error(result, 2, kind="usage")
        self.assertEqual([issue["field"] for issue in result.error["issues"]], ["ratio"])
        self.assertEqual(self.to_the_api(), [])

    def test_an_endpoint_that_the_contract_does_not_have_is_sent_with_a_note(self) -> None:
        self.fake.fault(Fault("status", status=200, body={"id": "x"}), path="/v1/new_endpoint")
        result = self.check("-f", "a=b", path="/v1/new_endpoint")
        self.assertEqual(result.exit, 0, result)
        (note,) = result.notes
        self.assertIn("POST /v1/new_endpoint", note)
        self.assertEqual(self.to_the_api(), ["/v1/new_endpoint"])
