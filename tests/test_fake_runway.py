"""The stand-in refuses what the services refuse and fails as it is told to: what the other tests rest on."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import subprocess
import sys
import time
import unittest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fake_runway import SECRET, STAGE_SECRET, TOKEN, FakeRunway, Fault, pseudo_content, sample

HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Runway-Version": "2024-11-06"}
JSON = {**HEADERS, "Content-Type": "application/json"}
PNG_URI = "data:image/png;base64," + base64.b64encode(sample("image")).decode("ascii")
IMAGE = {"model": "gen4_image", "promptText": "a fox", "ratio": "1024:1024"}
VIDEO = {"model": "gen4_turbo", "promptImage": PNG_URI, "ratio": "1280:720"}
ROOT = Path(__file__).resolve().parent.parent


class Reply:
    """A whole answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self) -> Any:
        return json.loads(self.body)


def call(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
    """Send one request over a connection of its own; a body that is no bytes goes as JSON."""
    parts = urlsplit(url)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    sent = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
    try:
        connection.request(method, url[len(f"{parts.scheme}://{parts.netloc}") :], sent, headers or {})
        return Reply(connection.getresponse())
    finally:
        connection.close()


def form(fields: dict[str, str], content: bytes, *, media_type: str = "image/png") -> tuple[bytes, dict[str, str]]:
    """A multipart body with its file last, and the headers that go with it."""
    parts = [f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    parts.append(
        f'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: {media_type}\r\n\r\n'
    )
    return "".join(parts).encode() + content + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}


class FakeCase(unittest.TestCase):
    """A fresh stand-in for each test."""

    def setUp(self) -> None:
        self.now = 100.0
        self.fake = FakeRunway(clock=lambda: self.now)
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)

    def api(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        return call(method, self.fake.url + path, body, headers or (JSON if body is not None else HEADERS))

    def balance(self) -> int:
        return int(self.api("GET", "/v1/organization").json()["creditBalance"])


class RefusalTest(FakeCase):
    def test_headers_are_checked(self) -> None:
        version, uuid = {"X-Runway-Version": "2024-11-06"}, "8b0f6e0a-5d0c-4c4e-9a51-1d2f3a4b5c6d"
        cases: list[tuple[dict[str, str], int]] = [
            (version, 401),
            ({**HEADERS, "Authorization": "Bearer key_0"}, 401),
            ({"Authorization": f"Bearer {SECRET}"}, 400),
            ({**HEADERS, "X-Runway-Version": "2024-09-13"}, 400),
            ({**HEADERS, "X-Runway-Client-Id": "me"}, 400),
            ({**HEADERS, "X-Runway-Client-Id": uuid}, 200),
            ({**HEADERS, "Authorization": f"Bearer {STAGE_SECRET}"}, 200),
        ]
        for headers, status in cases:
            with self.subTest(headers=headers):
                self.assertEqual(self.api("GET", "/v1/organization", headers=headers).status, status)

    def test_calls_that_do_not_hold_are_refused(self) -> None:
        avatar = self.fake.add_avatar()
        huge = "data:image/png;base64," + "A" * 5_242_880
        cases: list[tuple[str, str, Any, int]] = [
            ("GET", "/v1/nothing", None, 404),
            ("PUT", "/v1/avatars", {}, 405),
            ("GET", "/v1/avatars?limit=1", {"a": 1}, 400),
            ("GET", "/v1/avatars", None, 400),
            ("GET", "/v1/voices?limit=0", None, 400),
            ("GET", "/v1/voices?limit=101", None, 400),
            ("GET", "/v1/voices?limit=many", None, 400),
            ("GET", "/v1/avatars?limit=1&cursor=x", None, 400),
            ("GET", "/v1/documents?limit=1", None, 400),
            ("GET", "/v1/tasks/8b0f6e0a-5d0c-4c4e-9a51-1d2f3a4b5c6d", None, 404),
            ("POST", "/v1/documents", b"{", 400),
            ("POST", "/v1/documents", b'{"name": "n", "content": NaN}', 400),
            ("POST", "/v1/documents", {"name": "n", "content": "c", "avatarId": avatar}, 400),
            ("POST", "/v1/documents", {"name": "n" * 256, "content": "c"}, 400),
            ("POST", "/v1/documents", {"name": "n", "content": "c" * 200_001}, 400),
            ("PATCH", f"/v1/avatars/{avatar}", {"documentIds": ["gone"]}, 400),
            ("POST", "/v1/text_to_image", {**IMAGE, "model": "gen9"}, 400),
            ("POST", "/v1/text_to_image", {"model": "gen4_image", "promptText": "a fox"}, 400),
            ("POST", "/v1/image_to_video", {**VIDEO, "promptImage": "http://example.com/a.png"}, 400),
            ("POST", "/v1/image_to_video", {**VIDEO, "promptImage": "runway://never"}, 400),
            ("POST", "/v1/image_to_video", {**VIDEO, "promptImage": huge}, 400),
            ("POST", "/v1/generate/image", {"configId": "none", "input": {"promptText": "a"}}, 404),
            ("POST", "/v1/uploads", {"filename": "notes.txt", "type": "ephemeral"}, 400),
            ("POST", "/v1/workflows/none", {}, 404),
        ]
        for method, path, body, status in cases:
            with self.subTest(method=method, path=path):
                answer = self.api(method, path, body)
                self.assertEqual((answer.status, next(iter(answer.json()))), (status, "error"))
        self.assertEqual(self.api("POST", "/v1/documents", {}, HEADERS).status, 415)
        self.assertEqual(self.balance(), 10000)

    def test_issues_tell_the_field(self) -> None:
        missing = self.api("POST", "/v1/text_to_image", {"model": "gen4_image", "ratio": "1024:1024"}).json()
        self.assertEqual(missing["issues"][0]["path"], ["promptText"])
        union = self.api("POST", "/v1/image_to_video", {**VIDEO, "promptImage": "fox.png"}).json()["issues"][0]
        self.assertEqual((union["path"], union["message"], len(union["errors"])), (["promptImage"], "Invalid input", 3))
        extra = self.api("POST", "/v1/documents", {"name": "n", "content": "c", "avatarId": "a"}).json()
        self.assertEqual(extra["issues"][0]["code"], "unrecognized_keys")


class RecordTest(FakeCase):
    def test_lists_come_in_pages(self) -> None:
        ids = [self.fake.add_avatar() for _ in range(5)]
        seen, cursor = [], ""
        while True:
            page = self.api("GET", f"/v1/avatars?limit=2{cursor}").json()
            seen += [row["id"] for row in page["data"]]
            if not page["hasMore"]:
                break
            cursor = f"&cursor={page['nextCursor']}"
        self.assertEqual((seen, page["nextCursor"]), (ids, None))

    def test_a_document_is_attached_detached_and_deleted(self) -> None:
        document = self.api("POST", "/v1/documents", {"name": "n", "content": "c"}).json()["id"]
        avatar = self.fake.add_avatar(name="Mira")
        self.assertEqual(self.api("PATCH", f"/v1/avatars/{avatar}", {"documentIds": [document]}).status, 200)
        rows = self.api("GET", "/v1/documents?limit=9&sort=createdAt&order=desc&avatarId=ignored").json()["data"]
        self.assertEqual(rows[0]["usedBy"], [{"id": avatar, "name": "Mira", "imageUrl": None}])
        self.assertEqual(self.api("PATCH", f"/v1/documents/{document}", {"name": "m"}).status, 204)
        self.assertEqual(self.api("DELETE", f"/v1/documents/{document}").status, 204)
        self.assertEqual(self.api("GET", f"/v1/documents/{document}").status, 404)
        self.assertEqual(self.fake.avatars[avatar]["documentIds"], [])

    def test_an_avatar_and_a_session_become_ready(self) -> None:
        voice = {"type": "runway-live-preset", "presetId": "clara"}
        body = {"name": "A", "referenceImage": PNG_URI, "personality": "calm", "voice": voice}
        avatar = self.api("POST", "/v1/avatars", body).json()
        session = self.api("POST", "/v1/realtime_sessions", {"model": "gwm1_avatars", "avatar": {}}).json()["id"]
        seen = [self.api("GET", f"/v1/avatars/{avatar['id']}").json()["status"] for _ in range(3)]
        self.assertEqual([avatar["status"], *seen], ["PROCESSING", "PROCESSING", "PROCESSING", "READY"])
        states = [self.api("GET", f"/v1/realtime_sessions/{session}").json() for _ in range(4)]
        self.assertEqual([state["status"] for state in states], ["NOT_READY", "NOT_READY", "READY", "RUNNING"])
        self.assertEqual(["sessionKey" in state for state in states], [False, False, True, False])


class TaskTest(FakeCase):
    def test_a_task_is_paid_runs_and_can_be_downloaded(self) -> None:
        made = self.api("POST", "/v1/text_to_image", IMAGE).json()
        self.assertEqual((made["estimatedCost"], self.balance()), ({"credits": 5}, 9995))
        polls = [self.api("GET", f"/v1/tasks/{made['id']}").json() for _ in range(3)]
        self.assertEqual([poll["status"] for poll in polls], ["PENDING", "RUNNING", "SUCCEEDED"])
        self.assertEqual(polls[2]["cost"], {"credits": 5})
        self.assertEqual(self.fake.hasty, [(made["id"], 0.0)] * 2)
        self.assertEqual(call("GET", polls[2]["output"][0]).body, sample("image"))

    def test_time_can_move_tasks(self) -> None:
        with FakeRunway(seconds_to_finish=2, clock=lambda: self.now) as fake:
            task = fake.add_task()
            seen = []
            for self.now in (100.0, 100.9, 101.0, 102.0):
                seen.append(call("GET", f"{fake.url}/v1/tasks/{task}", headers=HEADERS).json()["status"])
            self.assertEqual(seen, ["PENDING", "PENDING", "RUNNING", "SUCCEEDED"])

    def test_credits_run_out(self) -> None:
        self.fake.organization["creditBalance"] = 4
        answer = self.api("POST", "/v1/text_to_image", IMAGE)
        self.assertEqual((answer.status, self.fake.tasks), (400, {}))

    def test_deleting_cancels_a_running_task_and_destroys_a_finished_one(self) -> None:
        running, done = self.fake.add_task(), self.fake.add_task(statuses=["SUCCEEDED"])
        url = self.api("GET", f"/v1/tasks/{done}").json()["output"][0]
        for task in (running, done):
            self.assertEqual(self.api("DELETE", f"/v1/tasks/{task}").status, 204)
            self.assertEqual(self.api("GET", f"/v1/tasks/{task}").status, 404)
        self.assertEqual(self.fake.tasks[running]["statuses"], ("CANCELLED",))
        self.assertEqual(call("GET", url).status, 404)

    def test_a_failed_task_says_why_and_costs_nothing(self) -> None:
        task = self.fake.add_task(statuses=["FAILED"], failure="No.", failureCode="SAFETY.INPUT.IMAGE")
        shown = self.api("GET", f"/v1/tasks/{task}").json()
        expected = {"failure": "No.", "failureCode": "SAFETY.INPUT.IMAGE", "cost": {"credits": 0}}
        self.assertEqual({key: shown[key] for key in expected}, expected)

    def test_urls_may_have_expired_until_the_task_is_read_again(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[b"one"], stale_reads=1)
        urls = [self.api("GET", f"/v1/tasks/{task}").json()["output"][0] for _ in range(2)]
        self.assertEqual([call("GET", url).status for url in urls], [403, 200])
        self.fake.expire_urls()
        self.assertEqual(call("GET", urls[1]).status, 403)

    def test_progress_and_outputs_can_be_scripted(self) -> None:
        url = self.fake.add_output(b"x")
        statuses = ["THROTTLED", "RUNNING", "RUNNING", "SUCCEEDED"]
        task = self.fake.add_task(statuses=statuses, progress=[0.1, 0.8], outputs=[url, b"y"], kind="video")
        polls = [self.api("GET", f"/v1/tasks/{task}").json() for _ in range(4)]
        self.assertEqual([poll["status"] for poll in polls], statuses)
        self.assertEqual([poll.get("progress") for poll in polls], [None, 0.1, 0.8, None])
        self.assertEqual([call("GET", output).body for output in polls[3]["output"]], [b"x", b"y"])

    def test_a_workflow_shows_part_of_its_output_while_running(self) -> None:
        workflow = self.fake.add_workflow()
        invocation = self.api("POST", f"/v1/workflows/{workflow}", {}).json()["id"]
        polls = [self.api("GET", f"/v1/workflow_invocations/{invocation}").json() for _ in range(3)]
        self.assertEqual([len(poll.get("output", {})) for poll in polls], [0, 1, 2])

    def test_a_router_chooses_the_model(self) -> None:
        self.fake.add_router(slug="cheap")
        made = self.api("POST", "/v1/generate/image", {"configId": "cheap", "input": {"promptText": "a"}}).json()
        self.assertEqual((list(made), made["routing"]["model"]), (["id", "routing"], "gen4_image"))


class StorageTest(FakeCase):
    def opened(self) -> dict[str, Any]:
        made = self.api("POST", "/v1/uploads", {"filename": "füchse.png", "type": "ephemeral"}).json()
        assert isinstance(made, dict)
        return made

    def test_an_upload_can_be_used(self) -> None:
        made = self.opened()
        body, headers = form(made["fields"], b"the file")
        self.assertEqual(call("POST", made["uploadUrl"], body, headers).status, 204)
        upload = self.fake.uploads[made["runwayUri"]]
        found = [upload[key] for key in ("content", "size", "sha256", "mediaType", "partFilename")]
        self.assertEqual(found, [b"the file", 8, hashlib.sha256(b"the file").hexdigest(), "image/png", "f"])
        self.assertEqual(
            self.api("POST", "/v1/image_to_video", {**VIDEO, "promptImage": made["runwayUri"]}).status, 200
        )

    def test_uploads_that_break_the_policy_are_refused(self) -> None:
        made = self.opened()
        body, headers = form(made["fields"], b"the file")
        swapped, _ = form(dict(reversed(list(made["fields"].items()))), b"the file")
        untyped, _ = form(made["fields"], b"the file", media_type="")
        cases: list[tuple[bytes, dict[str, str], int]] = [
            (body, {**headers, "Authorization": "Bearer x"}, 400),
            (body, {**headers, "X-Runway-Version": "2024-11-06"}, 400),
            (swapped, headers, 403),
            (untyped, headers, 400),
            (body[:-10], headers, 400),
            (body, {"Content-Type": "application/json"}, 412),
        ]
        for sent, with_headers, status in cases:
            with self.subTest(status=status, headers=with_headers):
                self.assertEqual(call("POST", made["uploadUrl"], sent, with_headers).status, status)
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        self.assertEqual(
            call("POST", made["uploadUrl"], chunked, {**headers, "Transfer-Encoding": "chunked"}).status, 411
        )
        self.fake.upload_limit = 7
        self.assertIn(b"EntityTooLarge", call("POST", made["uploadUrl"], body, headers).body)
        self.assertEqual(self.fake.uploads[made["runwayUri"]]["received"], 0)

    def test_outputs_come_in_parts(self) -> None:
        url = self.fake.add_output(b"0123456789")
        tag = call("GET", url).headers["ETag"]
        cases: list[tuple[dict[str, str], int, bytes]] = [
            ({"Range": "bytes=2-4"}, 206, b"234"),
            ({"Range": "bytes=7-"}, 206, b"789"),
            ({"Range": "bytes=-2"}, 206, b"89"),
            ({"Range": "bytes=7-", "If-Range": tag}, 206, b"789"),
            ({"Range": "bytes=7-", "If-Range": '"other"'}, 200, b"0123456789"),
        ]
        for headers, status, body in cases:
            with self.subTest(headers=headers):
                answer = call("GET", url, headers=headers)
                self.assertEqual((answer.status, answer.body), (status, body))
        self.assertEqual(call("GET", url, headers={"Range": "bytes=10-"}).status, 416)

    def test_signed_urls_are_guarded(self) -> None:
        url = self.fake.add_output(b"x", expires_after_uses=1)
        self.assertEqual(call("GET", url, headers=HEADERS).status, 400)
        self.assertEqual(call("HEAD", url).status, 403)
        self.assertEqual(call("GET", url.partition("?")[0]).status, 403)
        self.assertEqual([call("GET", url).status for _ in range(2)], [200, 403])

    def test_outputs_misbehave_as_told(self) -> None:
        broken = self.fake.add_output(b"0123456789", break_after=4)
        with self.assertRaises(http.client.IncompleteRead) as caught:
            call("GET", broken)
        self.assertEqual(caught.exception.partial, b"0123")
        self.assertEqual(call("GET", broken).body, b"0123456789")
        with self.assertRaises(http.client.IncompleteRead):
            call("GET", self.fake.add_output(b"0123", wrong_length=9))
        self.assertIsNone(call("GET", self.fake.add_output(b"0123", no_length=True)).headers["Content-Length"])
        changing = self.fake.add_output(b"old", changes_to=b"newer")
        before, after = call("GET", changing), call("GET", changing)
        self.assertEqual((before.body, after.body), (b"old", b"newer"))
        self.assertNotEqual(before.headers["ETag"], after.headers["ETag"])
        moved = call("GET", self.fake.add_output(b"", redirect_to="https://example.com/"))
        self.assertEqual((moved.status, moved.headers["Location"]), (302, "https://example.com/"))

    def test_pseudo_content_is_the_same_wherever_it_begins(self) -> None:
        size = 200_001
        whole = b"".join(pseudo_content(0, size))
        url = self.fake.add_output(size=size)
        self.assertEqual(call("GET", url).body, whole)
        self.assertEqual(call("GET", url, headers={"Range": "bytes=70003-199999"}).body, whole[70003:200000])

    def test_the_contract_is_served_without_a_secret(self) -> None:
        self.assertIn("/v1/tasks/{id}", call("GET", self.fake.openapi_url).json()["paths"])
        self.assertEqual(call("GET", self.fake.openapi_url, headers=HEADERS).status, 400)


class GatewayTest(FakeCase):
    def test_calls_go_through_in_their_envelopes(self) -> None:
        task = self.fake.add_task(statuses=["RUNNING"])
        token = f"api_token={TOKEN}"
        new, old = f"/v1/tasks/{task}?{token}", f"/v1/tasks/id?id={task}&{token}"
        for url in (self.fake.gateway_url + new, self.fake.gateway_url + old):
            self.assertEqual(call("GET", url).json()["data"]["id"], task)
        self.assertEqual(call("GET", self.fake.self_hosted_url + old).json()["result"]["id"], task)
        self.assertEqual(call("GET", self.fake.self_hosted_url + new).status, 404)
        posted = call(
            "POST", f"{self.fake.gateway_url}/v1/image_to_video?{token}", VIDEO, {"Content-Type": "application/json"}
        )
        self.assertEqual((posted.status, list(posted.json()["data"])), (200, ["id", "estimatedCost"]))
        self.assertEqual(call("DELETE", self.fake.gateway_url + new).json(), {"data": {}})
        self.assertEqual((self.fake.sent(server="api"), len(self.fake.sent(server="gateway"))), ([], 4))

    def test_gateways_refuse(self) -> None:
        url, token = self.fake.gateway_url, f"api_token={TOKEN}"
        cases: list[tuple[str, dict[str, str], int]] = [
            ("/v1/tasks/x", {}, 401),
            ("/v1/tasks/x?api_token=at_0", {}, 401),
            (f"/v1/tasks/x?{token}", {"Authorization": "Bearer x"}, 400),
            (f"/v1/tasks/x?{token}", {"X-Other": SECRET}, 400),
            (f"/v1/organization?{token}", {}, 404),
            (f"/v1/tasks/x?{token}", {}, 404),
        ]
        for path, headers, status in cases:
            with self.subTest(path=path, headers=headers):
                answer = call("GET", url + path, headers=headers)
                self.assertEqual((answer.status, answer.json()["data"]["error"]["code"]), (status, status))
        self.fake.gateway.errors_under_200 = True
        hidden = call("GET", f"{url}/v1/tasks/x?{token}")
        self.assertEqual((hidden.status, hidden.json()["data"]["error"]["code"]), (200, 404))
        own = call("GET", f"{self.fake.self_hosted_url}/v1/tasks/id?id=x&{token}").json()
        self.assertEqual((own["provider"], own["error"]), ("runwayml", {"error": "Task not found."}))


class FaultTest(FakeCase):
    def test_faults_that_answer(self) -> None:
        cases: list[tuple[Fault, int, bytes]] = [
            (
                Fault("status", status=429, body={"error": "slow"}, headers={"Retry-After": "3"}),
                429,
                b'{"error": "slow"}',
            ),
            (Fault("html"), 200, b"<!doctype html><html><title>Welcome</title></html>\n"),
            (Fault("empty"), 200, b""),
            (Fault("redirect", target="https://example.com/"), 302, b""),
            (Fault("raw", body=b"HTTP/1.1 299 Odd\r\n\r\nodd"), 299, b"odd"),
            (Fault("forward_then_status", status=502, body=b"late"), 502, b"late"),
        ]
        for fault, status, body in cases:
            with self.subTest(kind=fault.kind):
                self.fake.fault(fault)
                answer = self.api("POST", "/v1/text_to_image", IMAGE)
                self.assertEqual((answer.status, answer.body), (status, body))
        self.assertEqual(self.balance(), 9995)

    def test_faults_that_reset(self) -> None:
        for kind in (
            "reset_before",
            "reset_after_headers",
            "reset_mid_body",
            "reset_after_request",
            "forward_then_reset",
        ):
            with self.subTest(kind=kind):
                self.fake.fault(Fault(kind))
                with self.assertRaises(ConnectionError):
                    self.api("POST", "/v1/text_to_image", IMAGE)
        whole = json.dumps(IMAGE).encode()
        bodies = [request.body for request in self.fake.requests]
        self.assertEqual([bodies[0], bodies[1], *bodies[3:]], [b"", b"", whole, whole])
        self.assertTrue(whole.startswith(bodies[2]))
        self.assertEqual((self.balance(), len(self.fake.tasks)), (9995, 1))

    def test_an_answer_is_cut_in_half(self) -> None:
        self.fake.fault(Fault("half_answer", body={"id": "0123456789"}))
        with self.assertRaises(http.client.IncompleteRead) as caught:
            self.api("GET", "/v1/organization")
        self.assertEqual(caught.exception.partial, b'{"id": "01')

    def test_faults_that_take_time(self) -> None:
        began = time.monotonic()
        self.fake.fault(Fault("slow", seconds=0.1))
        self.fake.fault(Fault("drip", seconds=0.01, chunk=50))
        self.fake.fault(Fault("no_answer", seconds=0.1))
        self.assertEqual([self.balance(), self.balance()], [10000, 10000])
        with self.assertRaises(http.client.RemoteDisconnected):
            self.balance()
        self.assertGreater(time.monotonic() - began, 0.2)
        self.fake.fault(Fault("endless_headers", seconds=0))
        with self.assertRaises(http.client.HTTPException):
            self.balance()

    def test_a_fault_takes_the_requests_it_was_ordered_for(self) -> None:
        self.fake.fault(Fault("empty"), method="GET", path="/v1/organization", times=2, after=1)
        seen = [len(self.api("GET", "/v1/organization?a=b").body) > 0 for _ in range(4)]
        self.assertEqual(seen, [True, False, False, True])
        self.fake.fault(Fault("status"), path="/v1/avatars", times=None)
        self.assertEqual([self.api("GET", "/v1/avatars?limit=1").status for _ in range(3)], [503] * 3)
        self.fake.clear_faults()
        self.assertEqual(self.api("GET", "/v1/avatars?limit=1").status, 200)
        with self.assertRaises(ValueError):
            self.fake.fault(Fault("reset_before"), path="/v1/avatars")
        with self.assertRaises(ValueError):
            Fault("no such thing")


class RecordedTest(FakeCase):
    def test_requests_are_written_down(self) -> None:
        self.api("POST", "/v1/text_to_image?a=1&a=%20", IMAGE)
        call("GET", self.fake.openapi_url)
        first, second = self.fake.requests
        found = (
            first.server,
            first.method,
            first.target,
            first.path,
            first.query,
            first.json(),
            first.headers["content-type"],
        )
        target, path = "/v1/text_to_image?a=1&a=%20", "/v1/text_to_image"
        self.assertEqual(found, ("api", "POST", target, path, {"a": ["1", " "]}, IMAGE, "application/json"))
        self.assertEqual((self.fake.sent("GET"), self.fake.sent(server="storage")), ([second], [second]))
        self.assertEqual(self.fake.sent(path=path), [first])


class ByHandTest(unittest.TestCase):
    def test_a_command_meets_the_stand_in_and_its_status_comes_back(self) -> None:
        code = (
            "import os, sys, urllib.request as u\n"
            "e = os.environ\n"
            "h = {'Authorization': 'Bearer ' + e['RUNWAY_SKILLS_API_SECRET'], 'X-Runway-Version': '2024-11-06'}\n"
            "r = u.Request(e['RUNWAY_SKILLS_BASE_URL'] + '/v1/avatars?limit=9', headers=h)\n"
            "sys.stdout.write(u.urlopen(r).read().decode())\n"
            "sys.exit(75)\n"
        )
        command = [sys.executable, "-m", "tests.fake_runway", sys.executable, "-c", code]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=20)
        self.assertEqual((done.returncode, done.stderr), (75, b""))
        self.assertEqual(json.loads(done.stdout)["data"][0]["name"], "Mira the concierge")


if __name__ == "__main__":
    unittest.main()
