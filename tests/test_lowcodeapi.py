"""The gateway: the same commands with another address and secret, and neither secret sent to the other service."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from runway_cli.api.lowcodeapi import Service
from runway_cli.settings import Target
from tests.fake import SECRET, STAGE_SECRET, TOKEN, Fault, sample
from tests.program import Result, call
from tests.served import ServedTest, pasted

VALUES = ("-f", "model=gen4_turbo", "-f", "promptImage=https://example.com/a.png", "-f", "ratio=1280:720")
POST = ("request", "POST", "/v1/image_to_video", *VALUES)
NOTE = "the gateway uses the old URL format: --url-format old saves a request"
THREE = "POST /v1/image_to_video, GET /v1/tasks/ID and DELETE /v1/tasks/ID"
UNKNOWN = "123e4567-e89b-42d3-a456-426614174000"  # well-formed, and no task
UNWRAPPED = {"error": "Task not found."}


class GatewayTest(ServedTest):
    def through(self, *argv: str, self_hosted: bool = False, env: dict[str, str] | None = None) -> Result:
        """A call through a gateway; Runway's secret is set as well, and must not leave."""
        variables = {**self.fake.env(), **self.fake.gateway_env(self_hosted=self_hosted), **(env or {})}
        return call(*argv, "--gateway", "lowcodeapi", env=variables, clock=self.clock)

    def targets(self, method: str | None = None) -> list[str]:
        """What the gateways were asked for, without the token."""
        return [
            seen.target.replace(f"api_token={TOKEN}", "TOKEN").replace("/runwayml", "", 1)
            for seen in self.fake.sent(method)
        ]


class WholeFlows(GatewayTest):
    def test_from_a_prompt_to_a_file_through_either_gateway(self) -> None:
        for self_hosted in (False, True):
            with self.subTest(self_hosted=self_hosted):
                self.fake.requests.clear()
                path = self.folder / f"{self_hosted}.mp4"
                result = self.through(*POST, "--wait", "--download", str(path), self_hosted=self_hosted)
                self.assert_success(result)
                self.assertEqual(result.json["saved"], [str(path)])
                self.assertEqual(result.json["status"], "SUCCEEDED")
                self.assertEqual(path.read_bytes(), sample("video"))
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
                # the self-hosted gateway never answers a DELETE that Runway answers without a body
                result = self.through("cancel", task, "--timeout", "1", self_hosted=self_hosted)
                self.assertEqual(result.json, {"id": task, "cancelled": True, "status": "RUNNING"}, result)
                self.assertTrue(self.fake.tasks[task]["deleted"])

    def test_waiting_goes_on_through_the_gateway(self) -> None:
        result = self.through(*POST, "--wait", "--max-wait", "4", self_hosted=True)
        self.assert_error(result, 75, kind="timeout")
        words = pasted(result)
        self.assertEqual(words, ["wait", result.json["id"], "--max-wait", "4", "--gateway", "lowcodeapi"])
        self.assertEqual(result.notes[0], f"started {result.json['id']}")
        self.clock.sleep(60)
        again = call(*words, env=self.fake.gateway_env(self_hosted=True), clock=self.clock)
        self.assert_error(again, 75, kind="timeout")
        self.assertEqual(again.json["id"], result.json["id"])


class Formats(GatewayTest):
    def test_a_pinned_format_is_the_only_one(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        for pin, target in (("new", f"/v1/tasks/{task}?TOKEN"), ("old", f"/v1/tasks/id?id={task}&TOKEN")):
            for argv, env in ((["--url-format", pin], {}), ([], {"LOWCODEAPI_URL_FORMAT": pin})):
                with self.subTest(pin, argv=argv):
                    self.fake.requests.clear()
                    result = self.through("request", "GET", f"/v1/tasks/{task}", *argv, env=env)
                    self.assert_success(result, stderr="")
                    self.assertEqual(self.targets(), [target])
        self.fake.requests.clear()
        result = self.through("request", "GET", f"/v1/tasks/{task}", "--url-format", "new", self_hosted=True)
        self.assert_error(result, 1, status=404)
        self.assertEqual(self.targets(), [f"/v1/tasks/{task}?TOKEN"])

    def test_the_old_format_is_tried_only_where_it_may_help(self) -> None:
        for fault, tried in (
            *((Fault("status", status=status), 2) for status in (400, 404, 405, 422, 500, 502, 503)),
            *((Fault("status", status=status), 1) for status in (401, 403, 429, 409)),
            (Fault("reset_after_request"), 1),
            (Fault("html"), 1),
        ):
            for method in ("GET", "DELETE"):
                with self.subTest(fault.kind, status=fault.status, method=method):
                    self.fake.requests.clear()
                    self.fake.clear_faults()
                    task = self.fake.add_task(statuses=["SUCCEEDED"])
                    self.fake.fault(fault, server="gateway", times=1)
                    self.through("request", method, f"/v1/tasks/{task}", "--retries", "0")
                    both = [f"/v1/tasks/{task}?TOKEN", f"/v1/tasks/id?id={task}&TOKEN"]
                    self.assertEqual(self.targets(method), both[:tried])

    def test_a_get_that_failed_in_both_formats_is_retried(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        self.fake.fault(Fault("status"), server="gateway", times=2)
        self.assert_success(self.through("request", "GET", f"/v1/tasks/{task}"))
        self.assertEqual(len(self.clock.slept), 1)

    def test_a_post_and_a_path_without_a_parameter_have_one_address(self) -> None:
        self.fake.fault(Fault("status", status=404), server="gateway", times=None)
        for argv in (POST, ("request", "GET", "/v1/organization"), ("request", "PATCH", "/v1/tasks/x", "--body", "{}")):
            with self.subTest(argv):
                self.fake.requests.clear()
                self.assert_error(self.through(*argv), 1, status=404)
                self.assertEqual(len(self.fake.requests), 1)

    def test_an_unusual_id_stays_one_parameter(self) -> None:
        self.through("request", "GET", "/v1/tasks/a%26b%3D1%2Fc?x=1", "--url-format", "old")
        self.assertEqual(self.targets(), ["/v1/tasks/id?id=a%26b%3D1%2Fc&x=1&TOKEN"])

    def test_the_more_telling_of_two_errors_is_reported(self) -> None:
        result = self.through("request", "GET", f"/v1/tasks/{UNKNOWN}", self_hosted=True)
        self.assert_error(result, 1, status=404, error="Task not found.")
        self.assertEqual(len(self.fake.requests), 2)

    def test_the_first_error_is_reported_if_the_old_format_gets_no_answer(self) -> None:
        gone = {"data": {"error": {"message": "Gone.", "code": 404}}}
        self.fake.fault(Fault("status", status=404, body=gone), server="gateway")
        self.fake.fault(Fault("reset_after_request"), server="gateway")
        result = self.through("request", "GET", "/v1/tasks/x", "--retries", "0")
        self.assert_error(result, 1, kind="api", status=404, error="Gone.")
        self.assertEqual(self.targets(), ["/v1/tasks/x?TOKEN", "/v1/tasks/id?id=x&TOKEN"])


class Envelopes(GatewayTest):
    def test_every_envelope_is_unwrapped_to_runways_own_answer(self) -> None:
        task = {"id": "x", "status": "RUNNING"}
        page = {"data": [{"id": "x"}], "hasMore": False}
        own = {"error": "Validation failed", "issues": [{"path": ["a"], "message": "No"}], "docUrl": "https://d"}
        no = {"message": "No", "code": "bad"}
        lost = {"message": "Route not found", "code": 404}
        for value, status, expected in (
            ({"data": task}, 200, (200, task, True)),
            ({"data": page}, 200, (200, page, True)),
            ({"data": [1]}, 200, (200, [1], True)),
            ({"data": None}, 200, (200, {}, True)),
            (page, 200, (200, page, False)),
            ([1], 200, (200, [1], False)),
            (task, 200, (200, task, False)),
            ({"message": "m", "provider": "p", "result": task, "response_headers": {}}, 200, (200, task, True)),
            ({"message": "m", "provider": "p", "result": ""}, 200, (200, {}, True)),
            ({"message": "m", "provider": "p", "error": own, "headers": {}}, 400, (400, own, True)),
            ({"message": "m", "provider": "p", "error": "words"}, 502, (502, {"error": "words"}, True)),
            ({"message": "m", "provider": "p", "error": None}, 502, (502, {"error": "m"}, True)),
            ({"data": {"error": no}}, 404, (404, {"error": "No", "message": "No", "code": "bad"}, True)),
            ({"data": {"error": {**no, "code": "429"}}}, 200, (429, {"error": "No", "message": "No"}, True)),
            ({"data": {"error": no}}, 200, (500, {"error": "No", "message": "No", "code": "bad"}, True)),
            ({"data": own}, 400, (400, own, True)),
            ({"data": {"error": "No"}}, 200, (500, {"error": "No"}, True)),
            ({"data": {"error": lost}}, 404, (404, {"error": "Route not found", "message": "Route not found"}, False)),
        ):
            with self.subTest(value):
                found = service().unwrap(status, value)
                self.assertEqual((found.status, found.value, found.from_provider), expected)

    def test_an_error_keeps_its_words_status_and_issues(self) -> None:
        issues = [{"path": ["a", 0], "message": "No"}]
        own = {"error": "Validation failed", "issues": issues, "docUrl": "https://d", "code": "bad"}
        hosted = {"data": {"error": {**own, "message": "Validation failed"}}}
        for server, body in (
            ("gateway", {"data": own}),
            ("gateway", hosted),
            ("self_hosted", {"provider": "p", "error": own}),
        ):
            with self.subTest(body):
                self.fake.fault(Fault("status", status=422, body=body), server=server)
                result = self.through(*POST, self_hosted=server == "self_hosted")
                found = {**own, "issues": [{"field": "a.0", "messages": ["No"]}]}
                self.assert_error(result, 1, status=422, **found)


class Secrets(GatewayTest):
    def test_neither_secret_reaches_the_other_service(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        more = {"RUNWAY_SKILLS_API_SECRET_STAGE": STAGE_SECRET, "RUNWAYML_API_SECRET": STAGE_SECRET}
        self.through("wait", task, "--download", f"{self.folder}/", "--verbose", env=more)
        seen = self.fake.requests[0]
        self.assertEqual(sorted(seen.headers), ["accept", "accept-encoding", "host", "user-agent"])
        for secret in (SECRET, STAGE_SECRET):
            self.assertNotIn(secret, repr(self.fake.requests))
        self.assertNotIn(TOKEN, repr(self.fake.sent(server="storage")))
        self.fake.requests.clear()
        self.call("request", "GET", "/v1/organization", env=self.fake.gateway_env())
        self.assertNotIn(TOKEN, repr(self.fake.requests))

    def test_the_token_is_masked_wherever_its_url_is_shown(self) -> None:
        for token in (TOKEN, "at_with/odd+chars=and%more&"):
            for argv in (
                ("request", "GET", "/v1/tasks/x", "--verbose"),
                ("request", "GET", "/v1/tasks/x", "--dry-run"),
                (*POST, "--verbose", "-f", f"note={token}"),
                ("request", "GET", f"/v1/x?api_token={quote(token)}"),
            ):
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

    def test_an_unusual_token_arrives_unchanged(self) -> None:
        self.through("request", "GET", "/v1/x", env={"LOWCODEAPI_API_TOKEN": "a/b+c=d%e&f"})
        self.assertEqual(self.fake.requests[0].query, {"api_token": ["a/b+c=d%e&f"]})


class NotOffered(GatewayTest):
    def test_other_endpoints_are_answered_with_what_is_offered(self) -> None:
        for argv in (
            ("request", "POST", "/v1/text_to_image", "--body", "{}"),
            ("request", "GET", "/v1/organization"),
            ("request", "POST", "/v1/chat/completions", "--body", "{}"),
            ("avatars", "list"),
        ):
            with self.subTest(argv):
                result = self.through(*argv)
                self.assert_error(result, 1, status=404)
                self.assertIn(f"The gateway offers {THREE}; for anything else call Runway", result.error["error"])
                self.assertNotIn("--gateway", pasted(result))

    def test_uploads_need_a_runway_key(self) -> None:
        cat = self.file("cat.png", sample("image"))
        for argv in (("upload", str(cat)), (*POST[:3], "--upload", f"promptImage={cat}")):
            with self.subTest(argv):
                result = self.through(*argv)
                self.assert_error(result, 2, kind="usage")
                self.assertIn("uploads need a Runway key", result.error["error"])
                self.assertNotIn("--gateway", result.error["example"])
        self.assertEqual(self.fake.requests, [])

    def test_an_example_for_a_gateway_of_the_environment_leads_to_its_variable(self) -> None:
        env = {**self.fake.gateway_env(), "RUNWAY_SKILLS_GATEWAY": "lowcodeapi"}
        result = self.call("upload", str(self.file("cat.png", b"x")), env=env)
        self.assert_error(result, 2, example="runway-cli help environment")


class SelfHosted(GatewayTest):
    """What the open-source gateway was seen to answer."""

    def answers(self, status: int, body: object, **options: Any) -> None:
        """The self-hosted gateway answers everything so, from now on."""
        self.fake.clear_faults()
        self.fake.requests.clear()
        self.fake.fault(Fault("status", status=status, body=body, **options), server="self_hosted", times=None)

    def failed(self, *argv: str, **expected: Any) -> Result:
        """A call that fails with these keys in its error."""
        result = self.through(*argv, "--retries", "0", self_hosted=True)
        self.assert_error(result, expected.pop("exit_status", 1), **expected)
        return result

    def test_its_own_errors_are_reported_in_its_words(self) -> None:
        query = {"query": {"api_token": TOKEN}}
        for status, message, more, exit_status in (
            (401, "A valid API token is required to access this API.", {"code": 401, "logging": query}, 77),
            (403, "Invalid api_token", {"code": 403}, 77),
            (403, "No access token is associated with this api_token", {"code": 403}, 77),
            (500, "read ECONNRESET", {"message": "read ECONNRESET"}, 1),
        ):
            with self.subTest(message):
                envelope = {"message": message, "provider": "runwayml", "error": more}
                self.answers(status, {"error": more} if status == 500 else envelope)
                path = "/v1/tasks/x"
                result = self.failed("request", "GET", path, "--url-format", "old", exit_status=exit_status)
                self.assertEqual(result.error["error"], message)
                self.assertNotIn("logging", result.stderr)

    def test_a_refusal_with_runways_headers_says_that_the_token_is_good(self) -> None:
        error = {"error": "The API key you provided was incorrect."}
        self.answers(401, upstream(error))
        result = self.failed("request", "GET", "/v1/tasks/x", exit_status=77)
        self.assertIn("The API key you provided was incorrect.", result.error["error"])
        self.assertIn("the token itself is good", result.error["error"])

    def test_retry_after_of_the_provider_counts(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        limited = upstream({"error": "Slow down."}, {"Retry-After": "17"})
        self.fake.fault(Fault("status", status=429, body=limited), server="self_hosted")
        path = f"/v1/tasks/{task}"
        self.assert_success(self.through("request", "GET", path, "--url-format", "old", self_hosted=True))
        self.assertGreaterEqual(self.clock.slept[0], 17)

    def test_a_page_in_an_error_is_shown_without_its_tags(self) -> None:
        self.answers(502, upstream("<html><h1>Bad gateway</h1></html>"))
        result = self.failed("request", "GET", "/v1/tasks/x", status=502)
        self.assertIn("Bad gateway", result.error["error"])
        self.assertNotIn("<", result.error["error"])

    def test_a_result_that_is_text_is_not_json(self) -> None:
        self.answers(200, {"message": "Request completed", "provider": "runwayml", "result": '{"id": "half'})
        result = self.failed(*POST, maybeAccepted=True)
        self.assertIn("not JSON", result.error["error"])
        self.assertEqual(len(self.fake.sent("POST")), 1)

    def test_a_delete_without_an_answer_is_checked_with_the_task(self) -> None:
        for fault in ("forward_then_reset", "reset_after_request"):
            with self.subTest(fault):
                task = self.fake.add_task(statuses=["RUNNING"])
                self.fake.requests.clear()
                self.fake.fault(Fault(fault), server="self_hosted", method="DELETE")
                words = ("request", "DELETE", f"/v1/tasks/{task}", "--url-format", "old", "--timeout", "1")
                result = self.through(*words, self_hosted=True)
                self.assert_success(result, stdout="{}\n")
                methods = [seen.method for seen in self.fake.requests]
                self.assertEqual(methods[:2], ["DELETE", "GET"])
                self.assertEqual(methods.count("DELETE"), 2 if fault == "reset_after_request" else 1)
                self.assertTrue(self.fake.tasks[task]["deleted"])

    def test_a_404_of_the_route_does_not_count_as_cancelled(self) -> None:
        task = self.fake.add_task(statuses=["RUNNING"])
        missing = Fault("status", status=404, body={"message": "Not Found"})
        self.fake.fault(missing, server="self_hosted", method="DELETE")
        result = self.through("cancel", task, "--url-format", "old", self_hosted=True)
        self.assert_error(result, 1, kind="api", status=404, id=task)
        self.assertIs(result.json["cancelled"], False)

    def test_a_base_url_without_the_provider_is_named(self) -> None:
        self.answers(404, {"message": "Not Found"})
        base = self.fake.self_hosted_url.replace("/runwayml", "")
        result = self.through("request", "GET", "/v1/tasks/x", self_hosted=True, env={"LOWCODEAPI_BASE_URL": base})
        self.assert_error(result, 1, status=404)
        self.assertIn("LOWCODEAPI_BASE_URL should end in /runwayml", result.error["error"])

    def test_a_silent_old_format_is_reported_rather_than_an_unknown_route(self) -> None:
        self.fake.fault(Fault("status", status=404, body={"message": "Not Found"}), server="self_hosted")
        self.fake.fault(Fault("reset_after_request"), server="self_hosted", times=None)
        self.failed("request", "GET", "/v1/tasks/x", exit_status=69, kind="network")


class AuthStatus(GatewayTest):
    def assert_status(self, exit_status: int, authenticated: bool | None, *faults: Fault, **options: Any) -> Result:
        """What `auth status` finds while the gateway answers with these faults."""
        self.fake.requests.clear()
        self.fake.clear_faults()
        for fault in faults:
            self.fake.fault(fault, server="gateway", times=None)
        result = self.through("auth", "status", **options)
        self.assertEqual(result.exit, exit_status, result)
        self.assertIs(result.json["authenticated"], authenticated, result)
        return result

    def test_an_answer_of_the_provider_proves_the_token(self) -> None:
        for self_hosted in (False, True):
            with self.subTest(self_hosted=self_hosted):
                self.assert_status(0, True, self_hosted=self_hosted)
        self.assertEqual(self.targets()[0], "/v1/tasks/00000000-0000-4000-8000-000000000000?TOKEN")
        result = self.assert_status(0, True, Fault("status", status=400, body={"data": UNWRAPPED}))
        self.assertIn(UNWRAPPED["error"], result.json["note"])
        self.assertEqual(len(self.fake.requests), 1)

    def test_a_refused_token_is_not_authenticated(self) -> None:
        self.assert_status(77, False, env={"LOWCODEAPI_API_TOKEN": "at_wrong_token"})
        self.assert_status(77, False, Fault("status", status=403, body={"data": UNWRAPPED}))

    def test_other_failures_prove_nothing_about_the_token(self) -> None:
        route = {"data": {"error": {"message": "Route not found", "code": 404}}}
        for fault, expected in (
            (Fault("status", status=404, body=route), 1),
            (Fault("status"), 1),
            (Fault("status", status=404, body=b"<h1>Not found</h1>"), 1),
            (Fault("reset_after_request"), 69),
            (Fault("html"), 1),
            *((Fault("status", 200, body=body), 1) for body in (b"", b"null", b"[]", b'{"id":"x"}', b'{"data":null}')),
        ):
            with self.subTest(fault):
                self.assert_status(expected, None, fault)


def upstream(error: object, headers: dict[str, str] | None = None) -> dict[str, object]:
    """How the self-hosted gateway passes on an error of the provider."""
    message = "Error received from the runwayml API"
    return {"message": message, "provider": "runwayml", "error": error, "headers": headers or {}}


def service() -> Service:
    """The hosted gateway, without a network."""
    return Service(Target(base_url="https://x", secret=TOKEN, secret_names=("LOWCODEAPI_API_TOKEN",), client_id=""))
