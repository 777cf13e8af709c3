"""Whatever path, id or redirect is given: the request goes to the base URL's origin, and the secret nowhere else."""

from __future__ import annotations

import itertools
import random
import string
from urllib.parse import urlsplit

from runway_cli.api.paths import checked_path, segment, with_query
from runway_cli.errors import UsageError
from tests.fake import SECRET, FakeRunway, Fault
from tests.program import call
from tests.served import ServiceTest

BASES = (
    "https://api.dev.runwayml.com",
    "http://127.0.0.1:8080",
    "https://gateway.example:8443/some/where",
    "http://[::1]:9000",
)
WORDS = (
    "// .. %2f %2F %5c %2e %00 %0d%0a :80 %zz v1 tasks http:// https:// file:// //evil.example evil.example user:pw@ "
    "[::1] javascript: URL: localhost 127.0.0.1"
)
PIECES = (*WORDS.split(), *"\t\n\r\0 \u00a0\u2215\uff0f\u3002\udcff\x7f\x85@/\\.%?#&=;:<>\"'|^{}*ü🦊")


class PathTest(ServiceTest):
    """What PATH becomes."""

    def test_no_path_leaves_the_origin(self) -> None:
        chance = random.Random(20241106)
        paths = ["".join(pair) for pair in itertools.product(PIECES, repeat=2)]
        paths += ["".join(chance.choice(PIECES) for _ in range(chance.randint(1, 9))) for _ in range(4000)]
        taken = 0
        for path in paths:
            for base in BASES:
                try:
                    url = base + checked_path(path, base)
                except UsageError:
                    continue
                taken += 1
                self.assert_within(url, base, path)
        self.assertGreater(taken, len(paths) * len(BASES) / 2, "most paths can be sent")

    def assert_within(self, url: str, base: str, path: str) -> None:
        """The URL is the base's, as several readers see it, and can stand in a request line as it is."""
        parts, origin = urlsplit(url), urlsplit(base)
        self.assertEqual(parts.scheme, origin.scheme, path)
        self.assertEqual(parts.netloc, origin.netloc, path)
        self.assertTrue(url.startswith(base + "/") and not url.startswith(base + "//"), (path, url))
        self.assertLessEqual(set(url), set(string.ascii_letters + string.digits + "-._~:/?[]@!$&'()*+,;=%"), path)
        self.assertFalse({".", ".."} & set(parts.path.lower().replace("%2e", ".").split("/")), (path, url))

    def test_paths_arrive_as_they_were_meant(self) -> None:
        for path, target in {
            "v1/organization": "/v1/organization",
            "/v1/organization": "/v1/organization",
            "//v1/organization": "/v1/organization",
            "/v1//organization": "/v1//organization",
            "/v1/a b": "/v1/a%20b",
            "/v1/ü?q=ö&r=a b": "/v1/%C3%BC?q=%C3%B6&r=a%20b",
            "/v1/%C3%BC%20x?q=%26": "/v1/%C3%BC%20x?q=%26",
            "/v1/100%": "/v1/100%25",
            "/v1/a%2Fb": "/v1/a%2Fb",
            "/v1/@me": "/v1/@me",
            "@evil.example/v1": "/@evil.example/v1",
            "\\\\evil.example\\v1": "/%5C%5Cevil.example%5Cv1",
            ":80/v1": "/:80/v1",
            "/v1/x?next=https://evil.example/": "/v1/x?next=https://evil.example/",
            self.fake.url + "/v1/organization?a=b": "/v1/organization?a=b",
            self.fake.url.upper().replace("HTTP", "http") + "/v1/organization": "/v1/organization",
        }.items():
            with self.subTest(path):
                self.forget()
                self.request("GET", path, "--retries", "0")
                self.assertEqual([(r.server, r.target) for r in self.fake.requests], [("api", target)])
                self.assertEqual(self.fake.requests[0].headers["host"], urlsplit(self.fake.url).netloc)

    def test_paths_that_would_leave_are_refused_before_anything_is_sent(self) -> None:
        port = urlsplit(self.fake.url).port or 0
        for path in (
            "https://evil.example/v1",
            "http://evil.example/v1",
            "HTTPS://evil.example",
            "file:///etc/passwd",
            "ftp://127.0.0.1/x",
            f"https://127.0.0.1:{port}/v1/x",
            f"http://127.0.0.1:{port + 1}/v1/x",
            f"http://user@127.0.0.1:{port}/v1/x",
            f"http://127.0.0.1:{port}@evil.example/",
            f"http://127.0.0.1:{port}\\@evil.example/",
            f"http://127.0.0.1:{port}.evil.example/",
            *("/v1/../admin", "/v1/./x", "/v1/%2e%2e/x", "/v1/.%2E/x", "..", "/v1/..\\x", "/v1/x%2f..%2fy"),
            *("/v1/x\ny", "/v1/x\r\nHost: evil.example", "/v1/\tx", "/v1/x\0", "/v1/x#y", "\x7f"),
        ):
            with self.subTest(path):
                self.assert_error(self.request("GET", path), 2, kind="usage")
                self.assertEqual(self.fake.requests, [])

    def test_a_base_below_the_root_is_never_left(self) -> None:
        base = "https://gateway.example/runwayml"
        self.assertEqual(checked_path(base + "/v1/x?y=z", base), "/v1/x?y=z")
        for url in (
            "https://gateway.example/v1/x",
            "https://gateway.example/runwaymlevil/x",
            "https://gateway.example/runwayml/../x",
        ):
            with self.subTest(url), self.assertRaises(UsageError):
                checked_path(url, base)

    def test_a_port_that_the_scheme_implies_is_the_same_origin(self) -> None:
        for base, url in (
            ("https://api.example", "https://api.example:443/v1/x?y=z"),
            ("https://api.example:443", "https://API.example/v1/x?y=z"),
            ("http://127.0.0.1", "http://127.0.0.1:80/v1/x?y=z"),
            ("http://[::1]:80", "http://[::1]/v1/x?y=z"),
        ):
            with self.subTest(url):
                self.assertEqual(checked_path(url, base), "/v1/x?y=z")
        for base, url in (
            ("https://api.example", "https://api.example:80/v1/x"),
            ("https://api.example:80", "https://api.example/v1/x"),
            ("http://127.0.0.1", "http://127.0.0.1:443/v1/x"),
            ("https://api.example", "https://user@api.example:443/v1/x"),
        ):
            with self.subTest(url), self.assertRaises(UsageError):
                checked_path(url, base)

    def test_an_id_is_one_segment(self) -> None:
        for identity in (
            *("a/b", "../x", "a?b", "a#b", "a b", "", ".", "..", "a\\b", "a\nb", "\u2028", "https://evil.example/x"),
            *("/v1/tasks/", "/v1/tasks/..", "/v1/tasks/a/b", "/v1/avatars/a?b", "/v1/organization"),
        ):
            with self.subTest(identity):
                self.assert_error(call("wait", identity, env=self.fake.env()), 2, kind="usage")
                self.assertEqual(self.fake.requests, [])
        for identity in ("a%2fb", "ü", "@", ":", "a%2e", "%"):
            with self.subTest(identity):
                self.forget()
                call("wait", identity, "--max-wait", "1", env=self.fake.env())
                self.assertEqual({r.target for r in self.fake.requests}, {"/v1/tasks/" + segment(identity)})

    def test_queries_cannot_become_something_else(self) -> None:
        query = [("a&b", "c=d#e"), ("ü", "\udcff"), ("x", "?/ +%")]
        self.assertEqual(with_query("/v1/x?y=z", query), "/v1/x?y=z&a%26b=c%3Dd%23e&%C3%BC=%FF&x=%3F%2F%20%2B%25")
        self.request("GET", "/v1/x", "-f", "a&b=c=d#e", "--retries", "0")
        self.assertEqual(self.fake.requests[0].query, {"a&b": ["c=d#e"]})


class HeaderTest(ServiceTest):
    """Values from outside cannot add a header, nor end one."""

    def test_a_request_has_these_headers_and_no_other(self) -> None:
        self.request("POST", "/v1/text_to_image", "--body", "{}", "--client-id", "123e4567-e89b-42d3-a456-426614174000")
        headers = dict(self.fake.requests[0].headers)
        self.assertRegex(headers.pop("user-agent"), r"^runway-cli/\d+\.\d+\.\d+\S*$")
        self.assertRegex(headers.pop("x-runway-source-application-version"), r"^\d+\.\d+\.\d+\S*$")
        self.assertEqual(
            headers,
            {
                "authorization": f"Bearer {SECRET}",
                "x-runway-version": "2024-11-06",
                "x-runway-client-id": "123e4567-e89b-42d3-a456-426614174000",
                "x-runway-source-application": "skills",
                "accept": "application/json",
                "accept-encoding": "identity",
                "content-type": "application/json",
                "content-length": "2",
                "host": urlsplit(self.fake.url).netloc,
            },
        )


class RedirectTest(ServiceTest):
    """No redirect is followed."""

    def test_redirects_of_every_kind_are_reported_and_reach_nobody(self) -> None:
        with FakeRunway() as other:
            for status, target, method in itertools.product(
                (300, 301, 302, 303, 307, 308),
                (f"{other.url}/v1/organization", f"{self.fake.url}/v1/avatars", "/v1/avatars", "file:///etc/passwd"),
                ("GET", "POST"),
            ):
                with self.subTest(status=status, target=target, method=method):
                    self.forget()
                    body = {"error": "moved"} if status % 2 else None
                    self.fake.fault(Fault("redirect", status=status, target=target, body=body))
                    result = self.request(method, "/v1/organization")
                    words = f"HTTP {status}: a redirect to {target} is not followed"
                    self.assert_error(result, 1, kind="api", status=status, error=words)
                    self.assertEqual([r.path for r in self.fake.requests], ["/v1/organization"])
            self.assertEqual(other.requests, [])

    def test_the_target_is_named_without_its_signature_whatever_the_answer_says(self) -> None:
        for target, shown in (("v2", "v2"), ("v2?token=eyJhbGciOi", "v2?***")):
            location = {"Location": f"https://elsewhere.example/{target}"}
            self.fake.fault(Fault("status", status=307, body={"error": "Moved"}, headers=location))
            words = f"HTTP 307: a redirect to https://elsewhere.example/{shown} is not followed"
            self.assert_error(self.request("GET", "/v1/organization"), 1, error=words)
