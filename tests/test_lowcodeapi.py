"""The gateway: the same commands through another door, with another secret, and nothing of either at the other's."""

from __future__ import annotations

import os
import shlex
import unittest
from typing import Any
from unittest import mock
from urllib.parse import quote

from runway_cli.lowcodeapi import LowCodeAPI, _error
from runway_cli.settings import Target
from tests.fake_runway import SECRET, TOKEN, Fault, sample
from tests.program import Result, call
from tests.served import ServedTest, pasted, without_program

POST = ("request", "POST", "/v1/image_to_video", "-f", "model=gen4_turbo", "-f", "promptImage=https://example.com/a.png",
        "-f", "ratio=1280:720")
NOTE = "the gateway knows the old URL format: --url-format old saves a request"
THREE = "POST /v1/image_to_video, GET /v1/tasks/ID and DELETE /v1/tasks/ID"
UNWRAPPED = {"error": "Task not found."}


class GatewayTest(ServedTest):
    def through(self, *argv: str, self_hosted: bool = False, env: dict[str, str] | None = None) -> Result:
        """A call through a gateway; Runway's secret is set as well, and must not leave."""
        variables = {**self.fake.env(), **self.fake.gateway_env(self_hosted=self_hosted), **(env or {})}
        return call(*argv, "--gateway", "lowcodeapi", env=variables, clock=self.clock)

    def targets(self, method: str | None = None) -> list[str]:
        """What the gateways were asked for, without the token."""
        return [seen.target.replace(f"api_token={TOKEN}", "TOKEN").replace("/runwayml", "", 1)
                for seen in self.fake.sent(method)]


class WholeFlows(GatewayTest):
    def test_from_a_prompt_to_a_file_through_either_gateway(self) -> None:
        for self_hosted in (False, True):
            with self.subTest(self_hosted=self_hosted):
                self.fake.requests.clear()
                path = self.folder / f"{self_hosted}.mp4"
                result = self.through(*POST, "--wait", "--download", str(path), self_hosted=self_hosted)
                self.assertEqual((result.exit, result.json["saved"]), (0, [str(path)]), result)
                self.assertEqual((path.read_bytes(), result.json["status"]), (sample("video"), "SUCCEEDED"))
                task = result.json["id"]
                new, old = f"/v1/tasks/{task}?TOKEN", f"/v1/tasks/id?id={task}&TOKEN"
                polls = [new, old, old, old] if self_hosted else [new] * 3
                self.assertEqual(self.targets()[:-1], ["/v1/image_to_video?TOKEN", *polls])
                self.assertEqual(result.notes.count(NOTE), self_hosted)
                self.assertEqual(self.fake.hasty, [])

    def test_a_task_is_cancelled(self) -> None:
        for self_hosted in (False, True):
            with self.subTest(self_hosted=self_hosted):
                task = self.fake.add_task(statuses=["RUNNING"])
                result = self.through("cancel", task, self_hosted=self_hosted)
                self.assertEqual(result.json, {"id": task, "cancelled": True, "status": "RUNNING"}, result)
                self.assertTrue(self.fake.tasks[task]["deleted"])

    def test_several_are_waited_for(self) -> None:
        ids = [self.fake.add_task(statuses=["RUNNING", "SUCCEEDED"]) for _ in range(3)]
        result = self.through("wait", *ids, self_hosted=True)
        self.assertEqual((result.exit, sorted(line["id"] for line in result.lines)), (0, sorted(ids)), result)

    def test_what_ends_the_waiting_goes_on_through_the_gateway(self) -> None:
        result = self.through(*POST, "--wait", "--max-wait", "4", self_hosted=True)
        self.assert_error(result, 75, kind="timeout")
        words = pasted(result)
        self.assertEqual(words, ["wait", result.json["id"], "--max-wait", "4", "--gateway", "lowcodeapi"])
        self.assertEqual(without_program(result.notes[0].partition("; to go on waiting: ")[2]), words)
        self.clock.sleep(60)
        again = call(*words, env=self.fake.gateway_env(self_hosted=True), clock=self.clock)
        self.assertEqual((again.json["id"], again.exit), (result.json["id"], 75), again)


class Formats(GatewayTest):
    def test_a_pinned_format_is_the_only_one(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        for pin, target in (("new", f"/v1/tasks/{task}?TOKEN"), ("old", f"/v1/tasks/id?id={task}&TOKEN")):
            for argv, env in ((["--url-format", pin], {}), ([], {"LOWCODEAPI_URL_FORMAT": pin})):
                with self.subTest(pin, argv=argv):
                    self.fake.requests.clear()
                    result = self.through("request", "GET", f"/v1/tasks/{task}", *argv, env=env)
                    self.assertEqual((result.exit, result.stderr, self.targets()), (0, "", [target]))
        self.fake.requests.clear()
        result = self.through("request", "GET", f"/v1/tasks/{task}", "--url-format", "new", self_hosted=True)
        self.assert_error(result, 1, status=404)
        self.assertEqual(self.targets(), [f"/v1/tasks/{task}?TOKEN"])

    def test_the_old_format_is_tried_exactly_where_it_may_help(self) -> None:
        for fault, tried in (
            *((Fault("status", status=status), 2) for status in (400, 404, 405, 422, 500, 502, 503)),
            *((Fault("status", status=status), 1) for status in (401, 403, 429, 409)),
            (Fault("reset_after_request"), 1), (Fault("html"), 1),
        ):
            for method in ("GET", "DELETE"):
                with self.subTest(fault.kind, status=fault.status, method=method):
                    self.fake.requests.clear()
                    self.fake.clear_faults()
                    task = self.fake.add_task(statuses=["SUCCEEDED"])
                    self.fake.fault(fault, server="gateway", times=1)
                    self.through("request", method, f"/v1/tasks/{task}", "--retries", "0")
                    both = [f"/v1/tasks/{task}?TOKEN", f"/v1/tasks/id?id={task}&TOKEN"]
                    self.assertEqual(self.targets(), both[:tried])

    def test_a_post_and_a_path_without_a_parameter_have_one_address(self) -> None:
        self.fake.fault(Fault("status", status=404), server="gateway", times=None)
        for argv in (POST, ("request", "GET", "/v1/organization"), ("request", "PATCH", "/v1/tasks/x", "--body", "{}")):
            with self.subTest(argv):
                self.fake.requests.clear()
                self.assert_error(self.through(*argv), 1, status=404)
                self.assertEqual(len(self.fake.requests), 1)

    def test_an_odd_id_stays_one_parameter(self) -> None:
        self.through("request", "GET", "/v1/tasks/a%26b%3D1%2Fc?x=1", "--url-format", "old")
        self.assertEqual(self.targets(), ["/v1/tasks/id?id=a%26b%3D1%2Fc&x=1&TOKEN"])

    def test_of_two_errors_the_telling_one_is_reported(self) -> None:
        result = self.through("request", "GET", "/v1/tasks/gone", self_hosted=True)
        self.assert_error(result, 1, status=404, error="Task not found.")
        self.assertEqual(len(self.fake.requests), 2)

    def test_an_old_format_that_gets_no_answer_leaves_the_first_error(self) -> None:
        self.fake.fault(Fault("status", status=404, body={"data": {"error": {"message": "Gone.", "code": 404}}}),
                        server="gateway")
        self.fake.fault(Fault("reset_after_request"), server="gateway")
        result = self.through("request", "GET", "/v1/tasks/x", "--retries", "0")
        self.assert_error(result, 1, kind="api", status=404, error="Gone.")
        self.assertEqual(self.targets(), ["/v1/tasks/x?TOKEN", "/v1/tasks/id?id=x&TOKEN"])


class Envelopes(GatewayTest):
    def test_every_answer_comes_out_as_runways_own(self) -> None:
        task = {"id": "x", "status": "RUNNING"}
        page = {"data": [{"id": "x"}], "hasMore": False}
        own = {"error": "Validation failed", "issues": [{"path": ["a"], "message": "No"}], "docUrl": "https://d"}
        for value, status, expected in (
            ({"data": task}, 200, (200, task, True)), ({"data": page}, 200, (200, page, True)),
            ({"data": [1]}, 200, (200, [1], True)), ({"data": None}, 200, (200, {}, True)),
            (page, 200, (200, page, False)), ([1], 200, (200, [1], False)), (task, 200, (200, task, False)),
            ({"message": "m", "provider": "p", "result": task, "response_headers": {}}, 200, (200, task, True)),
            ({"message": "m", "provider": "p", "result": ""}, 200, (200, {}, True)),
            ({"message": "m", "provider": "p", "error": own, "headers": {}}, 400, (400, own, True)),
            ({"message": "m", "provider": "p", "error": "words"}, 502, (502, {"error": "words"}, True)),
            ({"message": "m", "provider": "p", "error": None}, 502, (502, {"error": "m"}, True)),
            ({"data": {"error": {"message": "No", "code": 404}}}, 404, (404, {"error": "No", "message": "No"}, True)),
            ({"data": {"error": {"message": "No", "code": "429"}}}, 200, (429, {"error": "No", "message": "No"}, True)),
            ({"data": {"error": {"message": "No", "code": "bad_key"}}}, 200,
             (500, {"error": "No", "message": "No", "code": "bad_key"}, True)),
            ({"data": own}, 400, (400, own, True)), ({"data": {"error": "No"}}, 200, (500, {"error": "No"}, True)),
            ({"data": {"error": {"message": "Route not found", "code": 404}}}, 404,
             (404, {"error": "Route not found", "message": "Route not found"}, False)),
        ):
            with self.subTest(value):
                self.assertEqual(dialect().unwrapped(status, value), expected)
        self.assertEqual(_error(400, {"error": {"error": "Inner", "issues": [1]}})[1]["error"], "Inner")

    def test_an_error_keeps_its_words_status_and_issues(self) -> None:
        own = {"error": "Validation failed", "issues": [{"path": ["a", 0], "message": "No"}], "docUrl": "https://d",
               "code": "bad"}
        hosted = {"data": {"error": {**own, "message": "Validation failed"}}}
        for server, body in (("gateway", {"data": own}), ("gateway", hosted),
                             ("self_hosted", {"provider": "p", "error": own})):
            with self.subTest(body):
                self.fake.fault(Fault("status", status=422, body=body), server=server)
                result = self.through(*POST, self_hosted=server == "self_hosted")
                self.assert_error(result, 1, status=422, error="Validation failed", code="bad", docUrl="https://d",
                                  issues=[{"field": "a.0", "messages": ["No"]}])

    def test_errors_under_200_are_errors(self) -> None:
        self.fake.gateway.errors_under_200 = self.fake.self_hosted.errors_under_200 = True
        result = self.through("request", "GET", "/v1/tasks/gone")
        self.assert_error(result, 1, status=404, error="Task not found.")
        result = self.through(*POST[:3], self_hosted=True)
        self.assertEqual((result.exit, result.error["status"], result.stdout), (1, 500, ""))

    def test_lists_are_printed_as_they_came(self) -> None:
        page = {"data": [{"id": "x", "name": "Ada"}], "hasMore": False, "nextCursor": None}
        for body in ({"data": page}, {"data": page["data"]}):
            self.fake.fault(Fault("status", status=200, body=body), server="gateway")
            self.assertEqual(self.through("avatars", "list").json["data"][0]["name"], "Ada")


class Secrets(GatewayTest):
    def test_neither_secret_reaches_the_other_service(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        self.through("wait", task, "--download", f"{self.folder}/", "--verbose")
        seen = self.fake.requests[0]
        self.assertEqual(sorted(seen.headers), ["accept", "accept-encoding", "connection", "host", "user-agent"])
        self.assertNotIn(SECRET, repr(self.fake.requests))
        self.assertNotIn(TOKEN, repr(self.fake.sent(server="storage")))
        self.fake.requests.clear()
        self.call("request", "GET", "/v1/organization", env=self.fake.gateway_env())
        self.assertNotIn(TOKEN, repr(self.fake.requests))

    def test_the_token_is_masked_wherever_its_url_is_shown(self) -> None:
        for token in (TOKEN, "at_with/odd+chars=and%more&"):
            for argv in (("request", "GET", "/v1/tasks/x", "--verbose"), ("request", "GET", "/v1/tasks/x", "--dry-run"),
                         (*POST, "--verbose", "-f", f"note={token}"),
                         ("request", "GET", f"/v1/x?api_token={quote(token)}")):
                with self.subTest(token, argv=argv):
                    result = self.through(*argv, env={"LOWCODEAPI_API_TOKEN": token})
                    for form in (token, quote(token, safe=""), quote(token)):
                        self.assertNotIn(form, result.stdout + result.stderr)
                    if "--dry-run" in argv or "--verbose" in argv:
                        self.assertIn("api_token=***", result.stdout + result.stderr)
        self.fake.fault(Fault("redirect", target=f"https://example.com/?api_token={TOKEN}"), server="gateway")
        result = self.through("request", "GET", "/v1/x")
        self.assert_error(result, 1, status=302)
        self.assertNotIn(TOKEN, result.stderr)

    def test_an_odd_token_arrives_as_it_is(self) -> None:
        self.through("request", "GET", "/v1/x", env={"LOWCODEAPI_API_TOKEN": "a/b+c=d%e&f"})
        self.assertEqual(self.fake.requests[0].query, {"api_token": ["a/b+c=d%e&f"]})

    def test_what_contradicts_itself_is_refused(self) -> None:
        self.assert_error(self.through("wait", "x", "--stage"), 2, kind="usage")
        self.assert_error(self.call("wait", "x", "--url-format", "old"), 2, kind="usage")
        self.assert_error(self.through("wait", "x", env={"LOWCODEAPI_BASE_URL": "http://x.example"}), 78, kind="config")
        self.assert_error(self.through("wait", "x", env={"LOWCODEAPI_API_TOKEN": ""}), 77, kind="auth")
        self.assertEqual(self.fake.requests, [])


class Retries(GatewayTest):
    def test_a_post_is_sent_again_only_when_it_was_surely_refused(self) -> None:
        for fault, posts, accepted in (
            (Fault("status", status=429), 2, None), (Fault("status", status=500), 1, True),
            (Fault("status", status=502), 1, True), (Fault("status", status=503), 1, True),
            (Fault("status", status=504), 1, True), (Fault("status", status=408), 1, True),
            (Fault("forward_then_reset"), 1, True), (Fault("html"), 1, True), (Fault("status", status=400), 1, None),
        ):
            with self.subTest(fault.kind, status=fault.status):
                self.fake.requests.clear()
                self.fake.fault(fault, server="gateway")
                result = self.through(*POST)
                found = result.error.get("maybeAccepted") if result.exit else None
                self.assertEqual((len(self.fake.requests), found), (posts, accepted), result)
                if accepted:
                    self.assertEqual(pasted(result), ["auth", "status", "--gateway", "lowcodeapi"])

    def test_a_get_is_sent_again_as_ever(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        self.fake.fault(Fault("status"), server="gateway", times=2)
        self.assertEqual(self.through("request", "GET", f"/v1/tasks/{task}").exit, 0)
        self.assertEqual(len(self.clock.slept), 1)


class NotOffered(GatewayTest):
    def test_other_endpoints_say_which_there_are_and_how_to_go_on(self) -> None:
        for argv in (("request", "POST", "/v1/text_to_image", "--body", "{}"), ("request", "GET", "/v1/organization"),
                     ("request", "POST", "/v1/chat/completions", "--body", "{}"), ("avatars", "list")):
            with self.subTest(argv):
                result = self.through(*argv)
                self.assert_error(result, 1, status=404)
                self.assertIn(f"The gateway offers {THREE}; for anything else call Runway", result.error["error"])
                self.assertNotIn("--gateway", shlex.split(result.error["example"]))

    def test_uploads_need_runways_own_key(self) -> None:
        cat = self.file("cat.png", sample("image"))
        for argv in (("upload", str(cat)), (*POST[:3], "--upload", f"promptImage={cat}")):
            with self.subTest(argv):
                result = self.through(*argv)
                self.assert_error(result, 2, kind="usage")
                self.assertIn("uploads need a Runway key", result.error["error"])
                self.assertNotIn("--gateway", result.error["example"])
        self.assertEqual(self.fake.requests, [])

    @unittest.skipIf(os.name == "nt", "there is no env there")
    def test_an_example_without_the_gateway_leaves_out_one_that_the_environment_names(self) -> None:
        cat = str(self.file("cat.png", b"x"))
        env = {**self.fake.gateway_env(), "RUNWAY_SKILLS_GATEWAY": "lowcodeapi"}
        for argv in (("upload", cat), ("avatars", "list")):
            with self.subTest(argv):
                result = self.call(*argv, env=env)
                self.assertTrue(result.error["example"].startswith("env -u RUNWAY_SKILLS_GATEWAY "), result)

    def test_a_data_uri_does_through_the_gateway_too(self) -> None:
        cat = self.file("cat.png", sample("image"))
        result = self.through(*POST[:5], "-f", "ratio=1280:720", "--data-uri", f"promptImage={cat}")
        self.assertEqual((result.exit, sorted(result.json)), (0, ["estimatedCost", "id"]), result)


class AuthStatus(GatewayTest):
    def status(self, *faults: dict[str, Any], **options: Any) -> tuple[int, Any]:
        self.fake.requests.clear()
        self.fake.clear_faults()
        for fault in faults:
            self.fake.fault(Fault(**fault), server="gateway", times=None)
        result = self.through("auth", "status", **options)
        return result.exit, result.json["authenticated"]

    def test_an_answer_of_the_provider_means_that_the_token_works(self) -> None:
        for self_hosted in (False, True):
            with self.subTest(self_hosted=self_hosted):
                self.assertEqual(self.status(self_hosted=self_hosted), (0, True))
        self.assertEqual(self.targets()[0], "/v1/tasks/00000000-0000-4000-8000-000000000000?TOKEN")
        self.assertEqual(self.status({"kind": "status", "status": 400, "body": {"data": UNWRAPPED}}), (0, True))
        self.assertEqual(len(self.fake.requests), 1)

    def test_a_refused_token_is_not_authenticated(self) -> None:
        self.assertEqual(self.status(env={"LOWCODEAPI_API_TOKEN": "at_wrong_token"}), (77, False))
        self.assertEqual(self.status({"kind": "status", "status": 403, "body": {"data": UNWRAPPED}}), (77, False))

    def test_what_says_nothing_of_the_token_leaves_it_open(self) -> None:
        route = {"data": {"error": {"message": "Route not found", "code": 404}}}
        for fault, expected in (({"kind": "status", "status": 404, "body": route}, 1), ({"kind": "status"}, 1),
                                ({"kind": "status", "status": 404, "body": b"<h1>Not found</h1>"}, 1),
                                ({"kind": "reset_after_request"}, 69)):
            with self.subTest(fault):
                self.assertEqual(self.status(fault), (expected, None))


def dialect() -> LowCodeAPI:
    return LowCodeAPI(mock.Mock(spec=Target, base_url="https://x", secret=TOKEN, url_format="auto"))


if __name__ == "__main__":
    unittest.main()
