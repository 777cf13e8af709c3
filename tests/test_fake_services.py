"""The stand-in's storage host, gateways and faults behave as the real ones were seen to."""

from __future__ import annotations

import json
import sys
import unittest
from typing import Any

from tests.fake import TOKEN, Fault
from tests.test_fake import HEADERS, IMAGE, UNKNOWN_ID, VIDEO, FakeCase, Reply, call


def form(fields: dict[str, str], content: bytes) -> tuple[bytes, dict[str, str]]:
    """A multipart body with its file last, and the headers that go with it."""
    parts = [f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    parts.append('--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: image/png\r\n\r\n')
    return "".join(parts).encode() + content + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}


class StorageTest(FakeCase):
    def setUp(self) -> None:
        super().setUp()
        self.made = self.api("POST", "/v1/uploads", {"filename": "füchse.png", "type": "ephemeral"}).json()

    def test_an_upload_can_be_used(self) -> None:
        body, headers = form({**self.made["fields"], "fileMetadata": "{}"}, b"the file")
        self.assertEqual(call("POST", self.made["uploadUrl"], body, headers).status, 204)
        self.assertEqual(self.fake.uploads[self.made["runwayUri"]]["content"], b"the file")
        posted = self.api("POST", "/v1/image_to_video", {**VIDEO, "promptImage": self.made["runwayUri"]})
        self.assertEqual(posted.status, 200)

    def test_uploads_that_break_the_policy_are_refused(self) -> None:
        body, headers = form(self.made["fields"], b"the file")
        swapped, _ = form(dict(reversed(list(self.made["fields"].items()))), b"the file")
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
                self.assertEqual(call("POST", self.made["uploadUrl"], sent, with_headers).status, status)
        self.assertEqual(self.fake.uploads[self.made["runwayUri"]]["received"], 0)

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
        self.post = f"/v1/image_to_video?api_token={TOKEN}"

    def own(self, path: str, method: str = "GET", body: Any = None) -> Reply:
        """A call to the self-hosted gateway."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return call(method, self.fake.self_hosted_url + path, body, headers, seconds=0.5)

    def test_the_hosted_one_knows_both_formats(self) -> None:
        for path in (self.new, self.old):
            self.assertEqual(call("GET", self.fake.gateway_url + path).json()["data"]["id"], self.task)
        self.assertEqual(call("DELETE", self.fake.gateway_url + self.new).json(), {"data": {}})
        self.assertEqual(call("GET", self.fake.gateway_url + "/v1/tasks/x").json()["data"]["error"]["code"], 401)

    def test_the_self_hosted_one_refuses_as_recorded(self) -> None:
        without, bad = self.old.partition("&")[0], "api_token=at_WRONG"
        cases: list[tuple[str, int, str, list[str]]] = [
            (self.new, 404, "Not Found", ["message"]),
            (f"/v1/tasks/{self.task}?{bad}", 404, "Not Found", ["message"]),
            ("/openapi", 404, "Not Found", ["message"]),
            (without, 401, "A valid API token is required", ["error", "message", "provider"]),
            (f"{without}&{bad}", 403, "Invalid api_token", ["error", "message", "provider"]),
            (f"{self.old}&api_token={TOKEN}", 500, "Prisma", ["error", "message", "provider"]),
            (
                self.old.replace(self.task, UNKNOWN_ID),
                404,
                "Error received",
                ["error", "headers", "message", "provider"],
            ),
        ]
        for path, status, words, keys in cases:
            with self.subTest(path):
                answer = self.own(path)
                self.assertEqual((answer.status, sorted(answer.json())), (status, keys))
                self.assertIn(words, answer.json()["message"])
        self.fake.self_hosted.connected = False
        self.assertEqual(self.own(self.old).status, 403)

    def test_the_self_hosted_one_never_answers_a_delete(self) -> None:
        with self.assertRaises(TimeoutError if sys.version_info >= (3, 10) else OSError):
            self.own(self.old, "DELETE")
        self.assertTrue(self.fake.tasks[self.task]["deleted"])

    def test_the_self_hosted_one_wraps_what_the_provider_answers(self) -> None:
        self.assertEqual(self.own(self.old).json()["result"]["id"], self.task)
        cases: list[tuple[Fault, int, str, Any]] = [
            (Fault("status", status=429, headers={"Retry-After": "7"}), 429, "error", {"error": "a fault was ordered"}),
            (Fault("html", status=502, body=b"<h1>"), 502, "error", "<h1>"),
            (Fault("reset_after_request"), 500, "error", {"message": "read ECONNRESET"}),
            (Fault("status", status=201, body={"id": "x"}), 200, "result", {"id": "x"}),
            (Fault("status", status=200, body=b"{", headers={"Content-Type": "application/json"}), 200, "result", "{"),
        ]
        for fault, status, key, value in cases:
            with self.subTest(fault.kind, status=fault.status):
                self.fake.fault(fault, server="upstream")
                answer = self.own(self.post, "POST", VIDEO)
                self.assertEqual((answer.status, answer.json()[key]), (status, value))
                self.assertNotIn("Retry-After", answer.headers)
                if status == 429:
                    self.assertEqual(answer.json()["headers"]["retry-after"], "7")

    def test_the_self_hosted_one_as_published_sends_no_version(self) -> None:
        self.fake.self_hosted.sends_version = False
        self.assertIn("X-Runway-Version", self.own(self.post, "POST", VIDEO).json()["error"]["error"])


class FaultTest(FakeCase):
    def test_faults_that_reset(self) -> None:
        kinds = ("reset_before", "reset_after_headers", "reset_mid_body", "reset_after_request", "forward_then_reset")
        for kind in kinds:
            with self.subTest(kind):
                self.fake.fault(Fault(kind))
                with self.assertRaises(ConnectionError):
                    self.api("POST", "/v1/text_to_image", IMAGE)
        whole = json.dumps(IMAGE).encode()
        sizes = [len(request.body) for request in self.fake.requests]
        self.assertEqual(sizes[:2] + sizes[3:], [0, 0, len(whole), len(whole)])
        self.assertEqual(len(self.fake.accepted), 1)

    def test_a_fault_takes_the_requests_it_was_ordered_for(self) -> None:
        self.fake.fault(Fault("empty"), method="GET", path="/v1/organization", times=2, after=1)
        seen = [len(self.api("GET", "/v1/organization?a=b").body) > 0 for _ in range(4)]
        self.assertEqual(seen, [True, False, False, True])
        with self.assertRaises(ValueError):
            self.fake.fault(Fault("reset_before"), path="/v1/avatars")


if __name__ == "__main__":
    unittest.main()
