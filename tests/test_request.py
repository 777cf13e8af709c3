"""`request`: what is sent is what was given, and nothing is sent that could have been refused before."""

from __future__ import annotations

import json
from unittest import mock

from runway_cli.terminal.console import Console
from tests.fake import Fault, sample
from tests.program import call
from tests.served import ServedTest, pasted

IMAGE = "/v1/text_to_image"
FIELDS = ("-f", "model=gen4_image", "-f", "promptText=a red fox", "-f", "ratio=1280:720")


class Bodies(ServedTest):
    def setUp(self) -> None:
        super().setUp()
        self.fake.fault(Fault("status", status=200, body={}), method="POST", path=IMAGE, times=None)

    def sent(self, *options: str, stdin: bytes = b"") -> bytes:
        """Returns the body of a POST with these options."""
        self.assert_success(self.call("request", "POST", IMAGE, *options, stdin=stdin))
        return self.fake.requests[-1].body

    def test_a_body_arrives_byte_for_byte_from_wherever_it_comes(self) -> None:
        body = '{"promptText":"Füchse 🦊 \\u00e9", "seed":1e400,"a" : 1.10,"big":12345678901234567890123,"a":2}\n'
        data = body.encode()
        path = self.file("body.json", data)
        for argv in (["--body", body], ["--body", f"@{path}"], ["--body", "-"], ["--body", "@-"], ["--stdin"]):
            with self.subTest(argv):
                self.assertEqual(self.sent(*argv, stdin=data), data)

    def test_a_byte_order_mark_is_not_sent(self) -> None:
        data = b'\xef\xbb\xbf{"a":1.10}'
        path = self.file("body.json", data)
        for argv, stdin in ((["--body", f"@{path}"], b""), (["--body", "-"], data), (["--stdin"], data)):
            with self.subTest(argv):
                self.assertEqual(self.sent(*argv, stdin=stdin), b'{"a":1.10}')
                self.assertEqual(self.sent(*argv, "-f", "b=c", stdin=stdin), b'{"a":1.10,"b":"c"}')

    def test_a_text_file_becomes_a_text_without_its_last_line_break(self) -> None:
        for content, text in (
            (b"a fox", "a fox"),
            (b"a fox\n", "a fox"),
            (b"a fox\r\n", "a fox"),
            (b"a fox\n\n", "a fox\n"),
            (b"\n", ""),
            (b"", ""),
            (b"\xef\xbb\xbfa fox\n", "a fox"),
            ('"F\u00fcchse" \\ \U0001f98a\n'.encode(), '"F\u00fcchse" \\ \U0001f98a'),
        ):
            path = self.file("prompt.txt", content)
            for value, stdin in ((str(path), b""), ("-", content)):
                with self.subTest(content, value=value):
                    sent = self.sent("--text-file", f"input.text={value}", stdin=stdin)
                    self.assertEqual(json.loads(sent), {"input": {"text": text}})

    def test_a_text_file_that_is_not_utf8_is_refused(self) -> None:
        path = self.file("prompt.txt", b"a f\xffx")
        result = self.call("request", "POST", IMAGE, "--text-file", f"promptText={path}")
        self.assert_error(result, 2, error=f"--text-file: {str(path)!r} is not UTF-8 (byte 4)")
        self.assertEqual(self.fake.requests, [])

    def test_fields_are_merged_into_a_body_whose_numbers_stay_as_they_were(self) -> None:
        sent = self.sent("--body", '{"z":1.10,"n":1e400,"a":{"b":1}}', "-F", "a.c=0.50", "-f", "text=10")
        self.assertEqual(sent, b'{"z":1.10,"n":1e400,"a":{"b":1,"c":0.50},"text":"10"}')
        self.assertEqual(self.fake.requests[-1].headers["content-type"], "application/json")

    def test_a_call_without_a_body_sends_none(self) -> None:
        self.fake.fault(Fault("empty"))
        self.assertEqual(self.call("request", "POST", "/v1/x").stdout, "{}\n")
        seen = self.fake.requests[-1]
        self.assertEqual((seen.body, seen.headers.get("content-type")), (b"", None))

    def test_with_get_and_delete_fields_go_into_the_query(self) -> None:
        self.fake.fault(Fault("empty"), times=None)
        for method in ("GET", "DELETE"):
            with self.subTest(method):
                self.call("request", method, "/v1/x?a=1", "-f", "name=ä &=", "-F", "n=[1,true]")
                seen = self.fake.requests[-1]
                self.assertEqual((seen.method, seen.target), (method, "/v1/x?a=1&name=%C3%A4%20%26%3D&n=1&n=true"))

    def test_files_are_inlined_or_uploaded_where_their_key_is(self) -> None:
        image, video = self.file("cat.png", sample("image")), self.file("dog.mp4", sample("video"))
        options = ("--upload", f"videos.0.uri={video}", "-f", "a=b", "--data-uri", f"image={image}")
        body = json.loads(self.sent(*options))
        (uri,) = self.fake.uploads
        self.assertTrue(body.pop("image").startswith("data:image/png;base64,iVBO"))
        self.assertEqual(body, {"videos": [{"uri": uri}], "a": "b"})
        self.assertEqual(self.fake.uploads[uri]["content"], sample("video"))


class RefusedBeforeSending(ServedTest):
    def test_options_and_files_that_cannot_be_used(self) -> None:
        for name, content in (("cat.png", sample("image")), ("notes.txt", b"words"), ("taken.png", b"old")):
            self.file(name, content)
        for words in (
            "GET /v1/x --upload a=DIR/cat.png",
            "DELETE /v1/x --data-uri a=DIR/cat.png",
            "GET /v1/tasks/x --wait",
            f"POST {IMAGE} --wait --download DIR/taken.png",
            f"POST {IMAGE} --wait --download DIR/cat.png/below.png",
            f"POST {IMAGE} --wait --download=",
            f"POST {IMAGE} --wait --download -",
            f"POST {IMAGE} --wait --open",
            f"POST {IMAGE} --output table",
            f"POST {IMAGE} --dry-run --wait --output table",
            f"GET {IMAGE} --check",
            "POST /v1/x --upload a=",
            "POST /v1/x --upload a=-",
            "POST /v1/x --data-uri a=",
            "POST /v1/x --data-uri a=-",
            "POST /v1/x --text-file a=",
            "POST /v1/x --text-file a=missing.txt",
            "POST /v1/x --text-file a=DIR/cat.png",
            "\u0261et /v1/x",
            "PO\u017fT /v1/x",
            "POST /v1/x --upload a=DIR/notes.txt",
            "POST /v1/x --upload b=DIR/cat.png -f a.5=x",
            "HEAD /v1/x",
        ):
            with self.subTest(words):
                argv = [word.replace("DIR", str(self.folder)) for word in words.split()]
                self.assert_error(self.call("request", *argv), 2, kind="usage")
        self.assertEqual(self.fake.requests, [])

    def test_stdin_can_be_read_only_once(self) -> None:
        for words in ("--stdin", "--body -", "--body @-", "--text-file b=-"):
            with self.subTest(words):
                result = self.call("request", "POST", "/v1/x", *words.split(), "--text-file", "a=-", stdin=b"{}")
                self.assert_error(result, 2, kind="usage")
                self.assertIn("only once", result.error["error"])
        self.assertEqual(self.fake.requests, [])

    def test_what_is_refused_leaves_no_folder_behind(self) -> None:
        new = self.folder / "new"
        options = (IMAGE, "--wait", "--download", new / "fox.png")
        for argv, env, expected in (
            (["--body", "{"], {}, 2),
            (["-f", "a=1", "-f", "a.b=2"], {}, 2),
            (FIELDS, {"RUNWAY_SKILLS_API_SECRET": ""}, 77),
            (FIELDS, {"RUNWAY_SKILLS_BASE_URL": "http://example.com"}, 78),
        ):
            with self.subTest(argv, env=env):
                self.assert_error(self.call("request", "POST", *options, *argv, env=env), expected)
                self.assertFalse(new.exists())
        self.assertEqual(self.fake.requests, [])


class DryRuns(ServedTest):
    def test_it_shows_the_whole_request_masked_and_does_nothing(self) -> None:
        big = self.file("big.png", sample("image") + bytes(3000))
        cat = self.file("cat.png", sample("image"))
        result = call(
            *("request", "POST", "v1/image_to_video", "-f", "model=gen4_turbo", "-f", "sessionKey=abc"),
            *("--data-uri", f"big={big}", "--upload", f"promptImage={cat}", "--dry-run"),
            *("--wait", "--download", str(self.folder / "new" / "x.mp4")),
            *("--client-id", "123e4567-e89b-42d3-a456-426614174000"),
        )
        shown = result.json
        self.assertRegex(shown["body"].pop("big"), r"^data:image/png;base64,… \(3\.\d kB\)$")
        headers = shown.pop("headers")
        self.assertEqual((headers["Authorization"], headers["Content-Type"]), ("Bearer ***", "application/json"))
        self.assertEqual(headers["X-Runway-Client-Id"], "123e4567-e89b-42d3-a456-426614174000")
        body = {"model": "gen4_turbo", "promptImage": "runway://… (cat.png)", "sessionKey": "***"}
        url = "https://api.dev.runwayml.com/v1/image_to_video"
        self.assertEqual(shown, {"dry_run": True, "method": "POST", "url": url, "body": body})
        self.assertEqual(self.fake.requests, [])
        self.assertEqual(self.listing(), ["big.png", "cat.png"])
        self.assertFalse((self.folder / "new").exists())

    def test_without_a_body_it_says_so(self) -> None:
        shown = self.call("request", "GET", "/v1/tasks/x", "-f", "a=b", "--dry-run").json
        self.assertEqual((shown["url"], shown["body"]), (f"{self.fake.url}/v1/tasks/x?a=b", None))
        self.assertNotIn("Content-Type", shown["headers"])

    def test_pages_are_shown_with_their_size(self) -> None:
        for argv, query in (([], "limit=100"), (["-f", "a=b"], "a=b&limit=100"), (["-f", "limit=7"], "limit=7")):
            with self.subTest(argv):
                shown = self.call("request", "GET", "/v1/avatars", "--paginate", "--dry-run", *argv).json
                self.assertEqual(shown["url"], f"{self.fake.url}/v1/avatars?{query}")


class Answers(ServedTest):
    def test_every_method_in_any_case(self) -> None:
        self.fake.fault(Fault("empty"), times=None)
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
            self.assertEqual(self.call("request", method.lower(), "/v1/x").stdout, "{}\n")
            self.assertEqual(self.fake.requests[-1].method, method)

    def test_pages_are_merged_into_one_list(self) -> None:
        for number in range(205):
            self.fake.add_avatar(name=f"Avatar {number}")
        result = self.call("request", "GET", "/v1/avatars", "--paginate")
        self.assertEqual(result.json, {"data": list(self.fake.avatars.values())})
        self.assertEqual([seen.query["limit"] for seen in self.fake.requests], [["100"]] * 3)
        self.fake.requests.clear()
        self.call("request", "GET", "/v1/avatars?limit=90", "--paginate")
        self.assertEqual([seen.query["limit"] for seen in self.fake.requests], [["90"]] * 3)

    def test_what_the_service_does_not_know_leads_to_the_reference(self) -> None:
        on_model = {"error": "No", "issues": [{"path": ["model"], "message": "No such model"}]}
        on_other = {"error": "No", "issues": [{"path": ["ratio"], "message": "No such ratio"}]}
        model = ["--model", "gen4_image"]
        for body, kept in ((on_model, []), (on_other, model), ({"error": "No"}, model)):
            for status in (400, 422):
                with self.subTest(body, status=status):
                    self.fake.fault(Fault("status", status=status, body=body))
                    result = self.call("request", "POST", IMAGE, *FIELDS)
                    self.assert_error(result, 1, status=status, error="No")
                    self.assertEqual(pasted(result), ["reference", "POST", IMAGE, *kept])
        for argv, status, known in (
            (["GET", "/v1/nonsense?a=b"], 404, []),
            (["DELETE", "v1/organization"], 405, ["GET", "/v1/organization"]),
            (["PATCH", "/v1/nonsense", "-f", "model=x"], 404, []),
        ):
            with self.subTest(argv):
                result = self.call("request", *argv)
                self.assert_error(result, 1, status=status)
                self.assertEqual(pasted(result), ["reference", *known])  # alone it lists the endpoints that there are

    def test_a_defect_after_a_post_was_answered_leads_to_what_it_started(self) -> None:
        with mock.patch.object(Console, "result", side_effect=KeyError("surprise")):
            result = self.call("request", "POST", IMAGE, *FIELDS)
        (task,) = self.fake.tasks
        self.assert_error(result, 1, kind="internal", id=task)
        self.assertEqual(pasted(result), ["wait", task])


class PolledPaths(ServedTest):
    def test_what_is_polled_follows_from_the_path(self) -> None:
        workflow = self.fake.add_workflow()
        unlisted = ("/v1/new_endpoint", "/v2/text_to_image", "/v1/text_to_image/x", "/v1/avatars/ID/speak")
        generations = ("/v1/video_to_hdr", "/v1/avatar_videos", "/v1/recipes/product_ad", "/v1/generate/video")
        spelled = (IMAGE, "v1/image_to_video/", f"{self.fake.url}/v1/sound_effect")
        for path, polled in (
            *((path, "/v1/tasks/ID") for path in (*spelled, *generations, *unlisted)),
            (f"/v1/workflows/{workflow}", "/v1/workflow_invocations/ID"),
            ("/v1/avatars", "/v1/avatars/ID"),
            ("/v1/voices", "/v1/voices/ID"),
            ("/v1/realtime_sessions?x=y", "/v1/realtime_sessions/ID"),
        ):
            with self.subTest(path):
                self.fake.requests.clear()
                self.fake.fault(Fault("status", status=200, body={"id": "ID", "kept": 1}), method="POST")
                self.fake.fault(Fault("status", status=200, body={"id": "ID", "status": "READY"}), method="GET")
                result = self.call("request", "POST", path, "--wait", "--body", "{}")
                self.assertEqual(result.json, {"id": "ID", "kept": 1, "status": "READY"}, result)
                self.assertEqual(self.polls(), [polled])

    def test_posts_that_start_nothing_cannot_be_waited_for(self) -> None:
        paths = ("/v1/documents", "v1/documents/", "/v1/documents?x=y", "/v1/uploads", "/v1/organization/usage")
        for path in (*paths, "/v1/routers", "/v1/voices/preview", f"{self.fake.url}/v1/uploads"):
            with self.subTest(path):
                result = self.call("request", "POST", path, "--wait", "--max-wait", "9")
                self.assert_error(result, 2, kind="usage")
                self.assertEqual(pasted(result), ["request", "POST", path])
        self.assertEqual(self.fake.requests, [])

    def test_a_dry_run_of_the_api_is_printed_and_not_waited_for(self) -> None:
        body = {"dryRun": True, "routing": {"model": "gen4_image"}}
        self.fake.fault(Fault("status", status=200, body=body), method="POST")
        result = self.call("request", "POST", "/v1/generate/image", "-F", "dryRun=true", "--wait")
        self.assert_success(result, json=body)
        self.assertEqual(self.polls(), [])

    def test_routing_of_the_post_is_kept_and_the_model_known(self) -> None:
        self.fake.add_router(slug="default")
        fields = ("-f", "configId=default", "-f", "input.promptText=a fox")
        result = self.call("request", "POST", "/v1/generate/image", *fields, "--wait")
        self.assertEqual((result.json["routing"]["model"], result.json["status"]), ("gen4_image", "SUCCEEDED"))

    def test_an_answer_without_an_id_is_shown_and_not_forgotten(self) -> None:
        for body in ({"id": 5}, {"id": ""}, {"id": "a/b"}, {}, [1]):
            with self.subTest(body):
                self.fake.fault(Fault("status", status=200, body=body), method="POST")
                result = self.call("request", "POST", IMAGE, *FIELDS, "--wait")
                self.assert_error(result, 1, kind="api", maybeAccepted=True)
                self.assertEqual(result.json, body)
