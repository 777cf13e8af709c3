"""Random calls, environments and answers: the program always ends as it promises.

RUNWAY_FUZZ=20000 python3 -m unittest tests.test_fuzz    for more rounds; each depends on its number alone
"""

from __future__ import annotations

import json
import os
import random
import socket
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from runway_cli.settings import is_loopback
from tests.fake import Fault, sample
from tests.program import BODY, ROOT, Clock, Result, call
from tests.served import ServiceTest

ROUNDS = int(os.environ.get("RUNWAY_FUZZ", "250"))
FIRST = 20_241_106  # the number of the first round
KINDS = {"api": 1, "task": 1, "usage": 2, "network": 69, "io": 74, "timeout": 75, "auth": 77, "config": 78}
AGAIN = (429, 502, 503, 504)  # statuses after which a POST may be sent again
MOST_TRIES = 101  # --retries 100 and the first
PACE = 200  # seconds of the clock in one real second: threads that really wait must not wait long

ODD_TEXTS = (
    "", " ", "-", "--", "@", "@missing", "x", "0", "-1", "1e400", "nan", "\u00fc", "\U0001f98a", "\udcff", "a\nb",
    "\r\n", "\x1b[31m", "../x", "a" * 300, "null", "[]", "{", '{"a":', "%", "%s", "{0}", "%2e%2e", "=", "a=b",
    "a.b=c", "a.9=1", "..=1", "key_", "http://127.0.0.1:1/x", "https://host.invalid/x?sig=1", "runway://x",
    "data:image/png;base64,AA==",
)  # fmt: skip
METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "get", "post")
PATHS = (
    "/v1/organization", "/v1/text_to_image", "v1/avatars", "/v1/tasks/an-id", "/v1/voices?limit=1", "//x/y",
    "/v1/image_to_video", "/v1/generate/video", "/v1/workflows/an-id", "/v1/avatars", "/v1/realtime_sessions",
    "/v1/uploads", "ODD",
)  # fmt: skip
GLOBAL = (
    ("--stage",), ("--gateway", "lowcodeapi"), ("--url-format", "old"), ("--client-id", "ODD"), ("--timeout", "ODD"),
    ("--retries", "1"), ("--retries", "ODD"), ("--output", "table"), ("--output", "jsonl"), ("--output", "markdown"),
    ("--output", "ODD"), ("--select", "id"), ("--select", "data.*.id"), ("--select", "ODD"), ("-q",), ("--verbose",),
    ("--verbose",), ("--help",), ("--no-such-option",), ("ODD",),
)  # fmt: skip
SENDING = (
    ("--body", BODY), ("--body", "JSON"), ("--body", "ODD"), ("--body", "@cat.png"), ("--body", "-"), ("--stdin",),
    ("-f", "a.b=c"), ("-f", "ODD"), ("-F", "a.0=JSON"), ("-F", "ODD"), ("--data-uri", "image=cat.png"),
    ("--dry-run",), ("--upload", "image=cat.png"), ("--upload", "ODD"), ("--text-file", "promptText=cat.png"),
    ("--text-file", "promptText=-"), ("--text-file", "ODD"), ("--check",), ("--paginate",), ("--wait",),
)  # fmt: skip
WAITING = (("--download", "saved/"), ("--download", "cat.png"), ("--force",), ("--open",), ("--interval", "ODD"))
LISTING = (("--limit", "ODD"), ("--limit", "3"))
# The words of a call, and the options that fit it
CALLS: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...] = (
    (("request", "METHOD", "PATH"), SENDING),
    (("request", "POST", "PATH", "--body", BODY), SENDING),
    (("request", "POST", "/v1/text_to_image", "--body", BODY), SENDING),
    (("request", "POST", "/v1/text_to_image", "--body", BODY, "--wait"), WAITING),
    (
        ("generate", "text_to_image", "ODD", "model=gen4_image", "ratio=1280:720"),
        (("--to", "saved.png"), ("--once", "ODD")),
    ),
    (("generate", "ODD", "ODD", "ODD=JSON", "ODD:=JSON"), (("--no-wait",), ("--again",), ("--dry-run",))),
    (("request", "GET", "/v1/avatars", "--paginate"), ()),
    (("wait", "an-id"), WAITING),
    (("wait", "ODD"), WAITING),
    (("wait", "-"), WAITING),
    (("wait", "--unfinished"), WAITING),
    (("history",), (("--limit", "3"), ("--since", "2h"), ("--since", "ODD"), ("--unfinished",), ("--session",))),
    (("models",), ()),
    (("models", "ODD"), ()),
    (("models", "text_to_image"), ()),
    (("schema",), ()),
    (("help", "ODD"), ()),
    (("completions", "bash"), ()),
    (("wait", "/v1/realtime_sessions/an-id"), WAITING),
    (("cancel", "an-id"), (("--force",),)),
    (("upload", "cat.png"), ()),
    (("upload", "ODD"), ()),
    (("download", "URL"), (("--to", "saved.png"), ("--to", "saved/"), ("--force",))),
    (("download", "ODD"), (("--to", "saved.png"),)),
    (("avatars", "list"), LISTING),
    (("voices", "list"), LISTING),
    (("documents", "list"), (*LISTING, ("--avatar-id", "ODD"))),
    (("auth", "status"), ()),
    (("auth", "logout"), ()),
    (("reference",), ()),
    (("reference", "METHOD", "PATH"), (("--model", "ODD"), ("--model", "gen4_image"))),
    (("ODD",), ()),
)
VARIABLES = (
    "RUNWAY_SKILLS_API_SECRET", "RUNWAYML_API_SECRET", "RUNWAY_SKILLS_API_SECRET_STAGE", "RUNWAY_SKILLS_BASE_URL",
    "RUNWAY_SKILLS_CLIENT_ID", "RUNWAY_SKILLS_TIMEOUT", "RUNWAY_SKILLS_RETRIES", "RUNWAY_SKILLS_GATEWAY",
    "RUNWAY_SKILLS_STAGE", "RUNWAY_SKILLS_QUIET", "RUNWAY_SKILLS_VERBOSE", "LOWCODEAPI_API_TOKEN",
    "LOWCODEAPI_BASE_URL", "LOWCODEAPI_URL_FORMAT", "RUNWAY_SKILLS_OPENAPI_URL", "RUNWAY_SKILLS_HISTORY",
    "XDG_STATE_HOME", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "TERM", "COLUMNS",
)  # fmt: skip
KEYS = (
    "id", "status", "output", "data", "hasMore", "nextCursor", "error", "message", "issues", "path", "errors",
    "code", "progress", "uploadUrl", "fields", "runwayUri", "name", "voice", "type", "usedBy", "documentIds",
    "createdAt", "docUrl", "failure", "failureCode", "sessionKey", "cost", "credits", "estimatedCost", "provider",
    "result",
)  # fmt: skip
ODD_NUMBERS = ("0", "-0", "1.10", "1e400", "-1e-400", "9" * 400, "1e5", "0.5", "NaN", "Infinity")
STATUSES = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "READY", "THROTTLED", "COMPLETED", "ODD")
CODES = (200, 200, 200, 201, 204, 304, 400, 401, 403, 404, 408, 418, 429, 500, 502, 503, 504, 599)
FAULTS = (
    "status", "status", "status", "status", "raw", "raw", "html", "empty", "redirect", "reset_before",
    "reset_mid_body", "reset_after_headers", "reset_after_request", "half_answer", "no_answer", "drip",
    "forward_then_reset", "forward_then_status",
)  # fmt: skip


class Round:
    """The random choices for one call."""

    def __init__(self, number: int, fake_env: dict[str, str], urls: list[str]) -> None:
        self.chance = random.Random(number)
        self.urls = urls
        self.fault = self.a_fault() if self.chance.random() < 0.7 else None
        self.times = self.chance.choice((1, 1, 2, None))
        self.after = self.chance.choice((0, 0, 0, 1, 2))
        self.argv = self.a_call()
        self.env = {**fake_env, "RUNWAY_SKILLS_TIMEOUT": "0.05"}
        while self.chance.random() < 0.15:
            self.env[self.chance.choice(VARIABLES)] = self.an_odd_text()
        self.stdin = self.chance.choice((b"", b"an-id\n", BODY.encode(), b"\xff\n", self.a_body()))

    def a_call(self) -> list[str]:
        call, fitting = self.chance.choice(CALLS)
        words = list(call)
        while self.chance.random() < 0.4:
            options = fitting if fitting and self.chance.random() < 0.7 else GLOBAL
            place = self.chance.choice((0, len(words))) if options is GLOBAL else len(words)
            words[place:place] = self.chance.choice(options)
        if {"wait", "--wait", "generate"} & {*words}:
            words += ["--max-wait", "20"]
        return [self.filled(word) for word in words]

    def filled(self, word: str) -> str:
        return {
            "METHOD": self.chance.choice(METHODS),
            "URL": self.chance.choice(self.urls),
            "PATH": self.chance.choice(PATHS).replace("ODD", self.an_odd_text()),
        }.get(word) or word.replace("ODD", self.an_odd_text()).replace("JSON", self.a_value(2))

    def an_odd_text(self) -> str:
        if self.chance.random() < 0.8:
            return self.chance.choice(ODD_TEXTS)
        return "".join(
            chr(self.chance.randint(1, self.chance.choice((127, 0x2FFF)))) for _ in range(self.chance.randint(0, 12))
        )

    def a_fault(self) -> Fault:
        kind = self.chance.choice(FAULTS)
        headers = {"Retry-After": self.chance.choice(("1", "60", "61", "x"))} if self.chance.random() < 0.2 else {}
        if self.chance.random() < 0.1:
            headers["Content-Encoding"] = self.chance.choice(("gzip", "br", "identity"))
        status = self.chance.choice(CODES)
        if kind == "raw":
            head = b"HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\n" % status
            return Fault(kind, body=self.garbled(head + self.a_body()))
        if kind in ("status", "forward_then_status"):
            return Fault(kind, status=status, body=self.a_body(), headers=headers)
        return Fault(kind, target=self.chance.choice(("https://host.invalid/", "/v1/x", "")))

    def a_body(self) -> bytes:
        body = self.a_value(4).encode("utf-8", "surrogatepass")
        return self.garbled(body) if self.chance.random() < 0.2 else body

    def a_value(self, depth: int) -> str:
        """Returns JSON text with the keys that the API uses and values that it does not."""
        kind = self.chance.random()
        if depth and kind < 0.45:
            keys = self.chance.sample(KEYS, self.chance.randint(0, 6))
            return "{" + ",".join(f'"{key}":{self.a_value_of(key, depth - 1)}' for key in keys) + "}"
        if depth and kind < 0.6:
            return "[" + ",".join(self.a_value(depth - 1) for _ in range(self.chance.randint(0, 3))) + "]"
        if kind < 0.7:
            return self.chance.choice(ODD_NUMBERS)
        if kind < 0.8:
            return self.chance.choice(("null", "true", "false"))
        return json.dumps(self.an_odd_text(), ensure_ascii=self.chance.random() < 0.5)

    def a_value_of(self, key: str, depth: int) -> str:
        if key == "status" and self.chance.random() < 0.8:
            return json.dumps(self.chance.choice(STATUSES))
        if key in ("output", "uploadUrl") and self.chance.random() < 0.6:
            url = json.dumps(self.chance.choice((*self.urls, "https://host.invalid/x")))
            return url if key == "uploadUrl" else f"[{url}]"
        return self.a_value(depth)

    def garbled(self, data: bytes) -> bytes:
        """Returns the data with a few bytes lost, changed or repeated."""
        changed = bytearray(data)
        for _ in range(self.chance.randint(0, 3)):
            place = self.chance.randrange(len(changed) + 1)
            changed[place : place + self.chance.randint(0, 5)] = self.chance.choice(
                (b"", b"\xff", b"\r\n", b"\0", changed[:50], b"9" * 20, b":")
            )
        return bytes(changed)

    def posts(self) -> int:
        """Returns how many POSTs that cost credits may be sent at most."""
        if not self.fault:
            return 1
        told = self.fault.kind in ("status", "forward_then_status") and self.fault.status in AGAIN
        raw = self.fault.body if self.fault.kind == "raw" and isinstance(self.fault.body, bytes) else b""
        return MOST_TRIES if told or any(b"%d" % status in raw for status in AGAIN) else 1


class FuzzClock(Clock):
    """Sleeping takes no time; for threads that really wait, time passes quickly."""

    def monotonic(self) -> float:
        return self.now + time.monotonic() * PACE


class FuzzTest(ServiceTest):
    """Makes one call a round, within this process, in a folder of its own; only loopback's names can be resolved."""

    def setUp(self) -> None:
        super().setUp()
        self.urls = [self.fake.add_output(sample("png")), self.fake.add_output(size=100_000, break_after=10)]
        self.addCleanup(os.chdir, os.getcwd())
        guard = mock.patch("socket.getaddrinfo", self.loopback_alone(socket.getaddrinfo))
        guard.start()
        self.addCleanup(guard.stop)

    def loopback_alone(self, look_up: Any) -> Any:
        def find(host: str, *more: Any) -> Any:
            if not is_loopback(host):
                raise socket.gaierror(socket.EAI_NONAME, "no names here")
            return look_up(host, *more)

        return find

    def test_every_call_ends_as_promised(self) -> None:
        for number in range(FIRST, FIRST + ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                self.play(number, Path(folder))
                os.chdir(ROOT)

    def play(self, number: int, folder: Path) -> None:
        """Plays one round, in a folder below `folder`, so that ../x is still within."""
        here = folder / "here"
        here.mkdir()
        os.chdir(here)
        (here / "cat.png").write_bytes(sample("png"))
        self.forget()
        self.fake.add_task(task_id="an-id")
        usual = {**self.fake.env(), **self.fake.gateway_env(), "HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
        usual["RUNWAY_SKILLS_HISTORY"] = str(folder / "history.jsonl")
        chosen = Round(number, usual, self.urls)
        if chosen.fault:
            server = chosen.chance.choice(("api", "api", "api", "gateway", "storage"))
            self.fake.fault(chosen.fault, server=server, times=chosen.times, after=chosen.after)
        odd = {name: text for name, text in chosen.env.items() if usual.get(name) != text}
        with self.subTest(number, argv=chosen.argv, fault=chosen.fault, env=odd):
            self.check(call(*chosen.argv, env=chosen.env, stdin=chosen.stdin, clock=FuzzClock()), chosen)

    def check(self, result: Result, chosen: Round) -> None:
        """Asserts what holds for every call. (`call` has checked that no secret shows and the exit status is known.)"""
        posts = [r for r in self.fake.sent("POST") if r.server != "storage" and r.path != "/v1/uploads"]
        self.assertLessEqual(len(posts), chosen.posts(), result)
        if result.exit == 0:
            return
        self.assertEqual(KINDS.get(result.error["kind"]), result.exit, result)
        self.assertTrue(result.error["error"], result)
        self.assertTrue(result.error["example"], result)
        self.assertNotIn("--force", result.error["example"].split(), result)
        if result.exit == 2:
            self.assertEqual(posts, [], result)
