"""The stand-in refuses what the services refuse and fails as ordered: the other tests rely on it."""

from __future__ import annotations

import http.client
import io
import json
import re
import subprocess
import sys
import unittest
from collections.abc import Iterator
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from tests.fake import SECRET, TOKEN, FakeRunway, Fault, Request, sample
from tests.fake.contract import Operation, instance, operations
from tests.program import ROOT

HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Runway-Version": "2024-11-06"}
JSON = {**HEADERS, "Content-Type": "application/json"}
IMAGE = {"model": "gen4_image", "promptText": "a fox", "ratio": "1024:1024"}
VIDEO = {"model": "gen4_turbo", "promptImage": "https://example.com/a.png", "ratio": "1280:720"}
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
EVENT_ID = "0190f5c1-7f3a-7c3e-8a52-0123456789ab"


class Reply:
    """A whole answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.body = response.status, response.read()

    def json(self) -> Any:
        return json.loads(self.body)


def call(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None, seconds: float = 5) -> Reply:
    """Sends one request over a connection of its own; a body that is not bytes goes as JSON."""
    parts = urlsplit(url)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
    sent = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
    try:
        connection.request(method, url[len(f"{parts.scheme}://{parts.netloc}") :], sent, headers or {})
        return Reply(connection.getresponse())
    finally:
        connection.close()


def form(fields: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    """Returns a multipart body with its file last, and the headers that go with it."""
    parts = [f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    parts.append('--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: image/png\r\n\r\n')
    return "".join(parts).encode() + b"the file\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}


class FakeCase(unittest.TestCase):
    """A fresh stand-in for each test, whose own answers are all valid."""

    def setUp(self) -> None:
        self.fake = FakeRunway(clock=lambda: 100.0)
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)
        self.addCleanup(lambda: self.assertEqual(self.fake.invalid_answers, []))

    def api(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        return call(method, self.fake.url + path, body, headers or (JSON if body is not None else HEADERS))

    def get(self, path: str) -> Any:
        return self.api("GET", path).json()


class ContractTest(FakeCase):
    """Sends to every endpoint with a body the smallest of each alternative."""

    def setUp(self) -> None:
        super().setUp()
        routers, made = self.fake.records["/v1/routers"], self.fake.add_router(slug="text")
        routers[UNKNOWN_ID] = {**routers[made], "id": UNKNOWN_ID}
        for add in (self.fake.add_avatar, self.fake.add_workflow, self.fake.add_document, self.fake.add_voice):
            add(id=UNKNOWN_ID)

    def bodies(self) -> Iterator[tuple[Operation, dict[str, Any], dict[str, Any]]]:
        """Yields each operation, the schema of an alternative, and its smallest body, which names what there is."""
        for operation in operations():
            schema = operation.body or {}
            for branch in schema.get("oneOf") or schema.get("anyOf") or [schema]:
                if branch:
                    body = json.dumps(instance(branch))
                    yield operation, branch, json.loads(re.sub(r'"[0-9a-f]{8}-[0-9a-f-]{27}"', f'"{UNKNOWN_ID}"', body))

    def status(self, operation: Operation, body: Any) -> int:
        path, sent = re.sub(r"\{\w+\}", UNKNOWN_ID, operation.template), json.dumps(body).encode()
        headers = {**{name.lower(): value for name, value in JSON.items()}, "content-length": str(len(sent))}
        return self.fake.service(Request("api", operation.method, path, headers, stream=io.BytesIO(sent))).status

    def test_valid_bodies_are_accepted(self) -> None:
        for operation, _, body in self.bodies():
            with self.subTest(operation.template, method=operation.method, body=body):
                self.assertIn(self.status(operation, body), (200, 204))

    def test_bodies_with_one_fault_are_refused(self) -> None:
        for operation, branch, body in self.bodies():
            faulty = [17, *({k: v for k, v in body.items() if k != name} for name in branch.get("required", ()))]
            faulty += [{**body, name: {"wrong": "type"}} for name in body]
            faulty += [{**body, "noSuchField": 1}] if branch.get("additionalProperties") is False else []
            for each in faulty:
                with self.subTest(operation.template, method=operation.method, body=each):
                    self.assertEqual(self.status(operation, each), 400)
        self.assertEqual(self.fake.accepted, [])

    def test_every_list_and_calculation_is_answered(self) -> None:
        dates = "startDate=2026-01-01T00:00:00Z&endDate=2026-01-02T00:00:00Z&from=2026-01-01T00:00:00Z"
        query = f"limit=2&sort=createdAt&order=asc&{dates}&to=2026-01-02T00:00:00Z"
        for operation in operations():
            if operation.method == "GET" and "{" not in operation.template:
                with self.subTest(operation.template):
                    self.assertEqual(self.api("GET", f"{operation.template}?{query}").status, 200)

    def test_an_invalid_answer_is_loud(self) -> None:
        self.fake.organization["creditBalance"] = "much"
        with mock.patch("sys.__stderr__", io.StringIO()) as stderr:
            self.assertEqual(self.api("GET", "/v1/organization").status, 500)
        self.assertIn("THE STAND-IN'S ANSWER IS INVALID: GET /v1/organization", stderr.getvalue())
        self.assertEqual(len(self.fake.invalid_answers), 1)
        self.fake.invalid_answers.clear()


class RefusalTest(FakeCase):
    def test_wrong_values_paths_and_media_are_refused(self) -> None:
        cases: list[tuple[str, str, Any, int]] = [
            ("GET", "/v1/nothing", None, 404),
            ("PUT", "/v1/avatars", {}, 405),
            ("GET", "/v1/avatars?limit=1", {"a": 1}, 400),
            ("GET", "/v1/avatars", None, 400),
            ("GET", "/v1/voices?limit=101", None, 400),
            ("GET", "/v1/voices?limit=many", None, 400),
            ("GET", "/v1/avatars?limit=1&cursor=x", None, 400),
            ("GET", "/v1/documents?limit=1", None, 400),
            ("GET", "/v1/tasks/not-an-id", None, 400),
            ("GET", f"/v1/tasks/{UNKNOWN_ID}", None, 404),
            ("GET", f"/v1/organization/webapp/audit_logs/{EVENT_ID}", None, 404),
            ("GET", "/v1/avatar_usage?startDate=today&endDate=2026-01-02T00:00:00Z", None, 400),
            ("POST", "/v1/text_to_image", {**IMAGE, "ratio": "1:2"}, 400),
            ("POST", "/v1/text_to_image", {**IMAGE, "promptText": "a" * 1001}, 400),
            ("POST", "/v1/documents", b"{", 400),
            ("POST", "/v1/documents", b'{"name": "n", "content": NaN}', 400),
            ("POST", "/v1/image_to_video", {**VIDEO, "promptImage": "runway://never/uploaded"}, 400),
            ("POST", "/v1/image_to_video", {**VIDEO, "promptImage": "data:image/png;base64,a"}, 400),
            ("POST", "/v1/generate/image", {"configId": "none", "input": {"promptText": "a"}}, 404),
            ("POST", "/v1/uploads", {"filename": "notes.txt", "type": "ephemeral"}, 400),
            ("POST", f"/v1/workflows/{UNKNOWN_ID}", {}, 404),
        ]
        for method, path, body, status in cases:
            with self.subTest(method=method, path=path):
                self.assertEqual(self.api(method, path, body).status, status)
        self.assertEqual(self.fake.accepted, [])

    def test_a_body_is_json_or_absent(self) -> None:
        workflow = self.fake.add_workflow()
        self.assertEqual(self.api("POST", "/v1/documents", {}, HEADERS).status, 415)
        self.assertEqual(call("POST", f"{self.fake.url}/v1/workflows/{workflow}", None, HEADERS).status, 200)


class RecordTest(FakeCase):
    def test_what_a_post_makes_can_be_read(self) -> None:
        preset, own = {"type": "runway-live-preset", "presetId": "drew"}, {"type": "custom", "id": UNKNOWN_ID}
        self.fake.add_voice(id=UNKNOWN_ID, name="Deep", description=None)
        avatar = {"name": "Mira", "personality": "calm", "referenceImage": VIDEO["promptImage"]}
        shown = {**own, "name": "Deep", "description": None, "deleted": False}
        document = {"name": "n", "content": "c"}
        for path, body, changed, expected in (
            ("/v1/avatars", {**avatar, "voice": own}, {"voice": preset}, {"voice": shown}),
            ("/v1/avatars", {**avatar, "voice": preset}, {"voice": own}, {"name": "Mira"}),
            ("/v1/documents", document, {"name": "m"}, document),
        ):
            with self.subTest(path, body=body):
                made = self.api("POST", path, body).json()
                one = f"{path}/{made['id']}"
                self.assertEqual(self.get(one), made)
                self.assertLessEqual(expected.items(), made.items())
                self.assertIn(
                    made["id"], [row["id"] for row in self.get(f"{path}?limit=9&sort=createdAt&order=asc")["data"]]
                )
                self.assertIn(self.api("PATCH", one, changed).status, (200, 204))

    def test_a_task_is_paid_runs_and_can_be_downloaded(self) -> None:
        made = self.api("POST", "/v1/text_to_image", IMAGE).json()["id"]
        polls = [self.get(f"/v1/tasks/{made}") for _ in range(3)]
        self.assertEqual([poll["status"] for poll in polls], ["PENDING", "RUNNING", "SUCCEEDED"])
        self.assertEqual(self.fake.hasty, [(made, 0.0)] * 2)
        self.assertEqual(call("GET", polls[2]["output"][0]).body, sample("image"))
        (accepted,) = self.fake.accepted
        self.assertEqual((accepted.id, accepted.body, accepted.credits), (made, IMAGE, 5))
        self.assertEqual(self.fake.organization["creditBalance"], 9_995)

    def test_a_router_starts_what_its_settings_allow(self) -> None:
        self.fake.add_router(slug="all")
        self.fake.add_router(slug="none", settings={"models": {"mode": "allowlist_only", "ids": []}})
        self.fake.add_router(slug="cheap", settings={"maxCreditsPerGeneration": {"video": 1}})
        wanted = {"promptText": "a fox", "duration": 7}
        made = self.api("POST", "/v1/generate/video", {"configId": "all", "input": wanted}).json()
        self.assertEqual((made["routing"]["configId"], made["routing"]["resolvedInput"]["duration"]), ("all", 7))
        for slug, reason in (("none", "allow_deny"), ("cheap", "price")):
            refused = self.api("POST", "/v1/generate/video", {"configId": slug, "input": wanted})
            self.assertEqual((refused.status, refused.json()["emptiedBy"]), (400, [reason]))

    def test_deleting_cancels_a_running_task_and_destroys_a_finished_one(self) -> None:
        running, done = self.fake.add_task(), self.fake.add_task(statuses=["SUCCEEDED"])
        url = self.get(f"/v1/tasks/{done}")["output"][0]
        for task in (running, done):
            self.assertEqual(self.api("DELETE", f"/v1/tasks/{task}").status, 204)
            self.assertEqual(self.api("GET", f"/v1/tasks/{task}").status, 404)
        self.assertEqual(call("GET", url).status, 404)


class StorageTest(FakeCase):
    def test_uploads_that_break_the_policy_are_refused(self) -> None:
        made = self.api("POST", "/v1/uploads", {"filename": "füchse.png", "type": "ephemeral"}).json()
        body, headers = form(made["fields"])
        swapped, _ = form(dict(reversed(list(made["fields"].items()))))
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        cases: list[tuple[bytes, dict[str, str], int]] = [
            (body, {**headers, "Authorization": "Bearer x"}, 400),
            (body, {**headers, "X-Runway-Version": "2024-11-06"}, 400),
            (swapped, headers, 403),
            (body[:-10], headers, 400),
            (body, {"Content-Type": "application/json"}, 412),
            (chunked, {**headers, "Transfer-Encoding": "chunked"}, 411),
        ]
        for sent, with_headers, status in cases:
            with self.subTest(status=status, headers=with_headers):
                self.assertEqual(call("POST", made["uploadUrl"], sent, with_headers).status, status)
        self.assertEqual(self.fake.uploads[made["runwayUri"]]["received"], 0)

    def test_signed_urls_are_guarded(self) -> None:
        url = self.fake.add_output(b"x", expires_after_uses=1)
        self.assertEqual(call("GET", url, headers=HEADERS).status, 400)
        self.assertEqual(call("GET", url.partition("?")[0]).status, 403)
        self.assertEqual([call("GET", url).status for _ in range(2)], [200, 403])


class GatewayTest(FakeCase):
    def setUp(self) -> None:
        super().setUp()
        self.task = self.fake.add_task(statuses=["RUNNING"])
        self.new = f"/v1/tasks/{self.task}?api_token={TOKEN}"
        self.old = f"/v1/tasks/id?id={self.task}&api_token={TOKEN}"

    def own(self, path: str, method: str = "GET", body: Any = None) -> Reply:
        """Calls the self-hosted gateway."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return call(method, self.fake.self_hosted_url + path, body, headers, seconds=0.5)

    def test_the_self_hosted_one_refuses_as_recorded(self) -> None:
        without, bad = self.old.partition("&")[0], "api_token=at_WRONG"
        own = ["error", "message", "provider"]
        unknown = self.old.replace(self.task, UNKNOWN_ID)
        cases: list[tuple[str, int, str, list[str]]] = [
            (self.new, 404, "Not Found", ["message"]),
            (f"/v1/tasks/{self.task}?{bad}", 404, "Not Found", ["message"]),
            ("/openapi", 404, "Not Found", ["message"]),
            (without, 401, "A valid API token is required", own),
            (f"{without}&{bad}", 403, "Invalid api_token", own),
            (f"{self.old}&api_token={TOKEN}", 500, "Prisma", own),
            (unknown, 404, "Error received", ["error", "headers", "message", "provider"]),
        ]
        for path, status, words, keys in cases:
            with self.subTest(path):
                answer = self.own(path)
                self.assertEqual((answer.status, sorted(answer.json())), (status, keys))
                self.assertIn(words, answer.json()["message"])

    def test_the_self_hosted_one_never_answers_a_delete(self) -> None:
        with self.assertRaises(TimeoutError if sys.version_info >= (3, 10) else OSError):
            self.own(self.old, "DELETE")
        self.assertTrue(self.fake.tasks[self.task]["deleted"])


class FaultTest(FakeCase):
    def test_a_fault_meets_the_requests_it_was_ordered_for(self) -> None:
        self.fake.fault(Fault("empty"), method="GET", path="/v1/organization", times=2, after=1)
        seen = [len(self.api("GET", "/v1/organization?a=b").body) > 0 for _ in range(4)]
        self.assertEqual(seen, [True, False, False, True])
        with self.assertRaises(ValueError):
            self.fake.fault(Fault("reset_before"), path="/v1/avatars")


class ByHandTest(unittest.TestCase):
    def test_a_command_meets_the_stand_in_and_its_status_comes_back(self) -> None:
        for words, status in ((["avatars", "list"], 0), (["wait", UNKNOWN_ID], 1)):
            command = [sys.executable, "-m", "tests.fake", sys.executable, "-m", "runway_cli", *words]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
            self.assertEqual(done.returncode, status, done)
            self.assertEqual(b"Mira the concierge" in done.stdout, words[0] == "avatars", done)
