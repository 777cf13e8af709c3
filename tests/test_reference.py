"""`reference` and `models`: an endpoint in one short answer, and where the contract comes from."""

from __future__ import annotations

import json
import os
import stat
import time
import unittest
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from runway_cli.api import lowcodeapi, runway
from runway_cli.api.client import Client
from runway_cli.contract import source
from runway_cli.contract.describe import models_of
from runway_cli.contract.schema import Endpoint, models
from runway_cli.errors import NetworkError
from tests.fake import DOCUMENT, SECRET, Fault
from tests.fake.contract import data
from tests.program import Clock, Result
from tests.served import ServedTest, pasted
from tests.test_contract_describe import STRING, document, thing

DATA = Path(__file__).parent / "data"
DAY = 24 * 3600  # seconds


@contextmanager
def fetched_urls() -> Iterator[list[str]]:
    """The URLs that are asked for, none of which answers."""
    urls: list[str] = []

    def fetch(_: Client, url: str, *__: object) -> None:
        urls.append(url)
        raise NetworkError("unreachable")

    with mock.patch.object(Client, "fetch", fetch):
        yield urls


class ReferenceCase(ServedTest):
    """The stand-in serves a document; each test has a home folder of its own."""

    command = "reference"

    def setUp(self) -> None:
        super().setUp()
        self.cache = self.folder / "cache" / "runway-cli"
        self.env = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.cache.parent)}

    def told(self, *words: str, later: float = 0, **env: str) -> Result:
        """Runs the command, `later` seconds from now."""
        self.clock = Clock()
        self.clock.now += later
        return self.call(self.command, *words, env={**self.env, **env})

    def shown(self, *words: str) -> Any:
        """What a call that succeeds without a note prints."""
        result = self.told(*words)
        self.assert_success(result, stderr="")
        return result.json

    def serve(self, content: Any, status: int = 200, times: int | None = 1) -> None:
        """Lets the source answer with this instead of its document."""
        self.fault(Fault("status", status=status, body=content), times)

    def fault(self, fault: Fault, times: int | None = 1, path: str = "/openapi.json") -> None:
        self.fake.fault(fault, path=path, server="storage", times=times)

    def fetches(self) -> int:
        return len(self.fake.sent(path="/openapi.json"))

    def copies(self) -> list[Path]:
        return sorted(self.cache.iterdir()) if self.cache.exists() else []


class CommandTest(ReferenceCase):
    def test_endpoints_one_a_line(self) -> None:
        paths = DOCUMENT["paths"].items()
        expected = [(method.upper(), path) for path, item in paths for method in item]
        self.assertEqual([(row["method"], row["path"]) for row in self.shown()["data"]], expected)
        lines = self.told("--output", "jsonl").stdout.splitlines()
        self.assertEqual(json.loads(lines[0]), {"method": "GET", "path": "/v1/avatars", "summary": "List avatars"})
        self.assertEqual(len(lines), len(expected))

    def test_one_model(self) -> None:
        result = self.told("post", "v1/text_to_image", "--model", "gen4_image_turbo")
        self.assert_success(result, stderr="")
        self.assertEqual(list(result.json), ["method", "path", "summary", "body", "response"])
        reference = ["referenceImages", "referenceImages.0.uri", "referenceImages.0.tag"]
        self.assertEqual(
            [field["name"] for field in result.json["body"]["fields"]],
            ["promptText", "ratio", "seed", *reference, "model"],
        )
        self.assertEqual(result.json["response"], {"id": "uuid", "estimatedCost.credits": "number?"})
        self.assertEqual(result.stdout.count("\n"), 1)
        again = self.told("--model", "gen4_image_turbo", "POST", "text_to_image")
        self.assertEqual(again.stdout, result.stdout)

    def test_fields_as_lines_and_as_a_table(self) -> None:
        lines = self.told("POST", "/v1/text_to_image", "--output", "jsonl").stdout.splitlines()
        models = {"name": "model", "type": "string", "required": True, "values": ["gen4_image", "gen4_image_turbo"]}
        self.assertEqual(json.loads(lines[0]), models)
        self.assertEqual([json.loads(line)["name"] for line in lines[1:4]], ["promptText", "ratio", "seed"])
        table = self.told("POST", "/v1/text_to_image", "--output", "markdown").stdout.splitlines()
        self.assertEqual(table[0], "| Name | Type | Required | Values | Description |")
        self.assertEqual(table[2], "| model | string | yes | gen4_image \\| gen4_image_turbo |  |")

    def test_a_table_has_a_note_where_it_is_not_the_fields_of_one_model(self) -> None:
        for method, path, names, note in (
            ("GET", "/v1/organization", [], "GET /v1/organization takes no fields\n"),
            ("DELETE", "/v1/tasks/{id}", ["id"], ""),
            (
                "POST",
                "/v1/text_to_image",
                ["model", "promptText", "ratio", "seed"],
                "these fields are common to all models; --model M shows all that M takes\n",
            ),
        ):
            result = self.told(method, path, "--output", "table")
            self.assertEqual([line.split()[0] for line in result.stdout.splitlines()[1:5]], names)
            self.assertEqual(result.stderr, note)
            self.assertEqual(self.told(method, path, "--output", "jsonl").stderr, "")

    def test_the_document_of_a_gateway(self) -> None:
        self.serve((DATA / "gateway-definition.json").read_bytes(), times=None)
        gateway = ("--gateway", "lowcodeapi")
        for words, expected in (
            (("GET", "/v1/tasks/8b0f6e0a-5d0c-4c4e-9a51-1d2f3a4b5c6d"), ["id"]),
            (("POST", "/v1/image_to_video"), ["uri", "seed", "model", "ratio", "duration"]),
        ):
            with self.subTest(words=words):
                result = self.told(*words, *gateway, "--output", "jsonl")
                names = [json.loads(line)["name"] for line in result.stdout.splitlines()]
                self.assertEqual(names[:5], expected)
        self.assertNotIn("models", self.told("POST", "/v1/image_to_video", *gateway).json["body"])

    def test_wrong_calls_name_the_right_one(self) -> None:
        cases = [
            (("POST", "/v1/text_to_imgae"), "/v1/text_to_image", "reference POST /v1/text_to_image"),
            (("GET", "/v1/text_to_imgae"), "/v1/text_to_image", "reference POST /v1/text_to_image"),
            (("DELETE", "/v1/text_to_image"), "it takes POST", "reference POST /v1/text_to_image"),
            (("PUT", "/v1/tasks/7"), "it takes GET and DELETE", "reference GET /v1/tasks/{id}"),
            (("GET", "qqq"), "no endpoint 'qqq'", "reference"),
            (
                ("POST", "/v1/text_to_image", "--model", "gen4_imag"),
                "it has gen4_image, gen4_image_turbo",
                "reference POST /v1/text_to_image --model gen4_image",
            ),
            (("POST", "/v1/documents", "--model", "x"), "has no models", "reference POST /v1/documents"),
            (("GET", "/v1/avatars", "--model", "x"), "has no models", "reference GET /v1/avatars"),
        ]
        for words, told, example in cases:
            with self.subTest(words=words):
                result = self.told(*words)
                self.assert_error(result, 2, kind="usage")
                self.assertEqual(result.stdout, "")
                self.assertIn(told, result.error["error"])
                self.assertEqual(" ".join(pasted(result)), example)
        self.assertEqual(self.fetches(), 1)

    def test_incomplete_calls_name_a_whole_one(self) -> None:
        cases = [
            (("GET",), "reference POST /v1/text_to_image"),
            (("/v1/avatars",), "reference GET /v1/avatars"),
            (("GET", "/v1/avatars", "more"), "reference GET /v1/avatars"),
            (("FETCH", "/v1/avatars"), "reference GET /v1/avatars"),
            (("FETCH", "/v1/unknown"), "reference"),
            (("--model", "gen4_image"), "reference POST /v1/text_to_image --model gen4_image"),
        ]
        for words, example in cases:
            with self.subTest(words=words):
                result = self.told(*words)
                self.assert_error(result, 2, kind="usage")
                self.assertEqual(" ".join(pasted(result)), example)


class ModelsTest(ReferenceCase):
    command = "models"

    def test_every_model_has_its_endpoints(self) -> None:
        rows = {row["model"]: row["endpoints"] for row in self.shown()["data"]}
        self.assertIn("text_to_image", rows["gen4_image_turbo"])

    def test_an_endpoint_has_its_models_with_their_allowed_values(self) -> None:
        for word in ("text_to_image", "/v1/text_to_image", "v1/text_to_image/"):
            with self.subTest(word):
                rows = {row["model"]: row for row in self.shown(word)["data"]}
                self.assertEqual(rows["gen4_image"]["ratio"], ["1024:1024", "1360:768", "1920:1080"])

    def test_a_model_has_its_endpoints_with_their_allowed_values(self) -> None:
        (row,) = self.shown("gen4_image")["data"]
        self.assertEqual(row["endpoint"], "text_to_image")
        self.assertIn("1024:1024", row["ratio"])
        self.assertEqual(row["required"], ["promptText"])
        self.assertNotIn("model", row)

    def test_a_wrong_endpoint_leads_to_the_nearest_or_to_its_fields(self) -> None:
        for word, example in (
            ("text_to_imgae", ["models", "text_to_image"]),
            ("gen4_imag", ["models", "gen4_image"]),
            ("qqq", ["models"]),
            ("documents", ["reference", "POST", "/v1/documents"]),
        ):
            with self.subTest(word):
                result = self.told(word)
                self.assert_error(result, 2, kind="usage")
                self.assertEqual(pasted(result), example)


class SnapshotTest(unittest.TestCase):
    """The contract that comes with the program."""

    def test_it_has_what_the_sdks_add_to_the_document(self) -> None:
        document = source.snapshot().document
        pairs = {(row["model"], end) for row in models(document) for end in row["endpoints"]}
        self.assertGreaterEqual(len(pairs), 100)
        self.assertLessEqual(
            {("kling_4", "video_to_video"), ("ruby", "video_to_hdr"), ("eleven_v4", "text_to_speech")}, pairs
        )
        for name, model, field, value in (
            ("image_to_video", "hailuo3", "resolution", "768p"),
            ("image_to_video", "gen4.5", "outputFormat", "hdr10"),
            ("image_to_video", "seedance2", "duration", "or auto"),
            ("text_to_image", "gpt_image_2", "background", "transparent"),
            ("text_to_speech", "eleven_v4", "voice.presetId", "Maya"),
        ):
            with self.subTest(model, field=field):
                endpoint = Endpoint("POST", name, document["paths"][f"/v1/{name}"]["post"])
                (row,) = (row for row in models_of(document, endpoint) if row["model"] == model)
                self.assertIn(value, row[field])

    def test_it_holds_facts_in_few_bytes(self) -> None:
        path = Path(source.__file__).with_name(source.SNAPSHOT)
        self.assertLess(path.stat().st_size, 26_000)
        text = json.dumps(data("contract"))
        for prose in ('"summary"', '"title"', '"example"', "Varying the seed", "https://docs"):
            self.assertNotIn(prose, text)


class HostileTest(ReferenceCase):
    """A document that is valid JSON and larger or deeper than any API's."""

    def test_every_command_that_reads_it_ends_soon(self) -> None:
        many = [f"model{number}" for number in range(50_000)]
        again, string = {"$ref": "#/components/schemas/A"}, {"type": "string"}
        for made in (
            document(thing({"x": {**string, "description": "[](" * 20_000}})),
            document(thing({"model": {"enum": many}, "x": {"enum": many}})),
            document(again, A={"oneOf": [thing({"a": again}), thing({"b": again})]}),
            json.dumps(document("X")).replace('"X"', "[" * 50_000 + "]" * 50_000).encode(),
        ):
            self.serve(made, times=None)
            for words in (
                ("reference", "POST", "/v1/make"),
                ("reference", "POST", "/v1/make", "--model", "x"),
                ("models",),
                ("models", "make"),
                ("request", "POST", "/v1/make", "--check", "--dry-run", "--body", '{"a":{"b":{"a":1}}}'),
            ):
                with self.subTest(made=str(made)[:200], words=words):
                    start = time.process_time()
                    result = self.call(*words, env=self.env)
                    self.assertLess(time.process_time() - start, 5)
                    self.assertIn(result.exit, (0, 1, 2, 69), result)
                    self.assertNotEqual(result.exit and result.error["kind"], "internal")
            self.fake.clear_faults()
            for copy in self.copies():
                copy.unlink()


class SourceTest(ReferenceCase):
    def test_nothing_of_the_user_is_sent(self) -> None:
        self.assertEqual(self.told("--verbose").exit, 0)
        (sent,) = self.fake.requests
        self.assertEqual(set(sent.headers), {"accept", "accept-encoding", "user-agent", "host"})
        self.assertNotIn(SECRET, repr(sent))

    def test_the_sources_follow_from_the_service_unless_a_variable_names_one(self) -> None:
        own = self.fake.openapi_url
        cases: list[tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]] = [
            ({}, (), tuple(runway.Service.contract_urls)),
            ({}, ("--gateway", "lowcodeapi"), tuple(lowcodeapi.HOSTED_CONTRACTS)),
            ({"RUNWAY_SKILLS_OPENAPI_URL": own}, (), (own,)),
            ({"RUNWAY_SKILLS_OPENAPI_URL": own}, ("--gateway", "lowcodeapi"), (own,)),
        ]
        for env, words, expected in cases:
            with self.subTest(env=env, words=words), fetched_urls() as urls:
                surroundings = {"RUNWAY_SKILLS_OPENAPI_URL": "", "LOWCODEAPI_BASE_URL": "", **env}
                result = self.call("reference", *words, env={**self.env, **surroundings})
                self.assertEqual(result.exit, 0, result)
                self.assertEqual(tuple(urls), expected)

    def test_the_second_source_is_asked_where_the_first_fails(self) -> None:
        for fault in (Fault("status", status=404), Fault("status", status=503), Fault("html"), Fault("reset_before")):
            with self.subTest(fault.kind, status=fault.status), self.two_sources():
                self.fake.fault(fault, path="/first.json" if fault.kind != "reset_before" else None, server="storage")
                result = self.told(RUNWAY_SKILLS_OPENAPI_URL="")
                self.assert_success(result, stderr="")
                self.assertEqual(len(result.json["data"]), len(self.told().json["data"]))
                self.assertEqual(self.clock.slept, [])
                self.fake.requests.clear()
                self.assertEqual(self.told(RUNWAY_SKILLS_OPENAPI_URL="").stdout, result.stdout)  # for a day too
                self.assertEqual(self.fake.requests, [])
                self.copies()[0].unlink()

    def test_where_every_source_fails_the_snapshot_is_used_and_the_note_names_the_first_failure(self) -> None:
        with self.two_sources():
            self.fake.fault(Fault("status", status=404), path="/first.json", server="storage")
            self.fake.fault(Fault("status", status=403), path="/openapi.json", server="storage")
            self.assert_snapshot(self.told(RUNWAY_SKILLS_OPENAPI_URL=""), "/first.json answered HTTP 404")
            self.assertEqual(self.clock.slept, [])

    def assert_snapshot(self, result: Result, reason: str) -> None:
        """The contract that comes with the program is shown, and a note gives its date and why."""
        date = source.snapshot().date
        self.assertRegex(date, r"^2026-\d\d-\d\d$")
        self.assert_success(result)
        self.assertIn(f"using the API's contract of {date} that comes with this program: ", result.stderr)
        self.assertIn(reason, result.stderr)
        self.assertIn("/v1/video_to_hdr", [row["path"] for row in result.json["data"]])

    def test_a_file_can_be_the_source(self) -> None:
        path = self.file("own.json", json.dumps(document(STRING)).encode())
        result = self.told(RUNWAY_SKILLS_OPENAPI_URL=str(path))
        self.assert_success(result, stderr="")
        self.assertEqual([row["path"] for row in result.json["data"]], ["/v1/make"])
        self.assertEqual((self.fetches(), self.copies()), (0, []))

    @unittest.skipUnless(hasattr(os, "mkfifo"), "named pipes")
    def test_a_file_that_is_no_contract_is_a_config_error(self) -> None:
        os.mkfifo(self.folder / "fifo")
        for path, reason in (
            (self.folder / "none.json", "no such file"),
            (self.folder, "not a file"),
            (self.folder / "fifo", "not a file"),
            (self.file("list.json", b"[]"), "it has no paths"),
            (self.file("page.json", b"<html>"), "Expecting value"),
        ):
            with self.subTest(path=path):
                result = self.told(RUNWAY_SKILLS_OPENAPI_URL=str(path))
                self.assert_error(result, 78, kind="config")
                self.assertIn(reason, result.error["error"])

    def test_each_source_has_ten_seconds_or_the_timeout_if_it_is_shorter(self) -> None:
        for words, seconds in (((), 10.0), (("--timeout", "3"), 3.0), (("--timeout", "300"), 10.0)):
            with (
                self.subTest(words),
                mock.patch.object(Client, "fetch", autospec=True, side_effect=Client.fetch) as fetch,
            ):
                self.told(*words)
                self.assertEqual([call.args[3] for call in fetch.call_args_list], [seconds])
                self.copies()[0].unlink()

    def two_sources(self) -> AbstractContextManager[Any]:
        """Runway's contract has two sources on the stand-in, which knows the second."""
        urls = (f"{self.fake.storage_url}/first.json", self.fake.openapi_url)
        return mock.patch.object(runway.Service, "contract_urls", urls)

    def test_an_answer_that_is_not_a_contract_is_not_kept(self) -> None:
        for content, status, reason in (
            ({"swagger": "2.0"}, 200, "is not an OpenAPI document (it has no paths)"),
            ([1], 200, "it has no paths"),
            (b"<html>", 200, "is not an OpenAPI document (Expecting value"),
            (b"", 200, "empty"),
            (b'{"paths":{}}' + b" " * source.MAX_SIZE, 200, "larger than 20 MB"),
            (b"not found", 404, "HTTP 404"),
            (None, 302, "HTTP 302"),
            (None, 0, "connection reset"),
        ):
            fault = Fault("status", status=status, body=content)
            if content is None:
                fault = (
                    Fault("redirect", target=self.fake.url + "/elsewhere") if status else Fault("reset_after_request")
                )
            with self.subTest(reason=reason):
                self.fake.requests.clear()
                self.fault(fault)
                self.assert_snapshot(self.told(), reason)
                self.assertEqual(self.copies(), [])
                self.assertEqual(len(self.fake.requests), 1)


class CacheTest(ReferenceCase):
    """The contract is fetched once a day, and an old one is better than none."""

    def test_a_fresh_copy_is_used(self) -> None:
        first = self.told()
        self.assertEqual(self.told(later=DAY - 60).stdout, first.stdout)
        self.assertEqual(self.fetches(), 1)
        (copy,) = self.copies()
        self.assertRegex(copy.name, r"^openapi-[0-9a-f]{8}\.json$")
        if os.name != "nt":
            self.assertEqual(stat.S_IMODE(self.cache.stat().st_mode), 0o700)

    def test_after_a_day_it_is_fetched_again(self) -> None:
        self.told()
        self.serve(document(STRING))
        result = self.told(later=DAY + 60)
        self.assertEqual([row["path"] for row in result.json["data"]], ["/v1/make"])
        self.assertEqual(self.fetches(), 2)
        self.assertEqual(len(self.copies()), 1)
        self.assertEqual(self.told().stdout, result.stdout)
        self.told(later=-DAY)  # a copy from the future
        self.assertEqual(self.fetches(), 3)

    def test_offline_the_old_copy_is_used_with_a_note(self) -> None:
        first = self.told()
        date = time.strftime("%Y-%m-%d", time.gmtime(self.copies()[0].stat().st_mtime))
        cases = [Fault("status", status=503), Fault("reset_after_request"), Fault("html"), Fault("half_answer")]
        for fault in cases:
            with self.subTest(fault=fault.kind):
                self.fake.fault(fault, path="/openapi.json", server="storage")
                result = self.told(later=3 * DAY + 60)
                self.assert_success(result, stdout=first.stdout)
                self.assertEqual(self.clock.slept, [])
                self.assertIn(f"using the API's contract of {date}: ", result.stderr)
        self.fake.fault(cases[0], path="/openapi.json", server="storage")
        self.assertEqual(self.told("--quiet", later=3 * DAY).stderr, "")

    def test_a_damaged_copy_is_ignored(self) -> None:
        first = self.told()
        (copy,) = self.copies()
        for damaged in (b"", b"{", b"[]", b"\xff", copy.read_bytes()[:-9]):
            with self.subTest(damaged=damaged[:5]):
                copy.write_bytes(damaged)
                self.assertEqual(self.told().stdout, first.stdout)
        self.assertEqual(self.fetches(), 6)
        self.assertEqual(self.copies(), [copy])

    @unittest.skipUnless(hasattr(os, "mkfifo"), "named pipes")
    def test_a_copy_that_is_no_regular_file_is_ignored(self) -> None:
        first = self.told()
        (copy,) = self.copies()
        os.mkfifo(self.folder / "fifo")
        for target in (self.folder / "fifo", Path("/dev/zero"), self.folder):
            copy.unlink()
            copy.symlink_to(target)
            self.assertEqual(self.told().stdout, first.stdout)
        copy.unlink()
        copy.mkdir()
        self.assertEqual(self.told().stdout, first.stdout)

    def test_a_folder_that_cannot_be_written_does_not_matter(self) -> None:
        self.cache.parent.mkdir()
        self.cache.write_text("a file where the folder should be", encoding="utf-8")
        self.assertEqual(self.told().exit, 0)
        self.cache.unlink()
        with mock.patch("os.replace", side_effect=PermissionError):
            self.assertEqual(self.told().exit, 0)
        with mock.patch("runway_cli.contract.source.user_folder", return_value=None):  # without a home
            self.assertEqual(self.told().exit, 0)
        self.assertEqual((self.fetches(), self.copies()), (3, []))
