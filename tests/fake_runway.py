"""An honest stand-in for the Runway API, its storage host and the LowCodeAPI gateways, on loopback.

In front of a command:   python3 -m tests.fake_runway python3 -m runway_cli avatars list
By itself:               python3 -m tests.fake_runway        (prints `export` lines and serves until Ctrl-C)
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Callable

from tests.fake_api import Api
from tests.fake_checks import SECRET, STAGE_SECRET
from tests.fake_faults import Fault, Faults
from tests.fake_gateway import PROVIDER, TOKEN, Gateway
from tests.fake_http import FakeServer, Journal, Recorded
from tests.fake_storage import KEEP_UPLOAD, Output, Storage, pseudo_content, sample

__all__ = ["SECRET", "STAGE_SECRET", "TOKEN", "FakeRunway", "Fault", "Output", "Recorded", "pseudo_content", "sample"]


class FakeRunway:
    """All the services, started and stopped together as a context manager.

    A new task is PENDING at its first poll, then RUNNING, and SUCCEEDED at poll number `polls_to_finish` + 1; with
    `seconds_to_finish` set, time moves it instead. `tls`: (certfile, keyfile), for the API and the storage host.
    State that tests may seed and look at, each a dict by id: `avatars`, `voices`, `documents`, `routers`,
    `conversations`, `usage`, `audit_logs`, `workflows`, `tasks`, `invocations`, `sessions`, `uploads`; `organization`
    is what the API shows of it, with the `creditBalance` that calls use up. `hasty`: (task id, seconds since the poll
    before) of every poll that came sooner than after 5 s.
    """

    def __init__(
        self,
        *,
        tls: tuple[str, str] | None = None,
        polls_to_finish: int = 2,
        seconds_to_finish: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        storage = Storage()
        api = Api(storage, polls_to_finish, seconds_to_finish, clock)
        self.gateway = Gateway(api.service, "hosted", ("new", "old"))
        self.self_hosted = Gateway(api.service, "self_hosted", ("old",))
        self._journal, self._faults, self._storage, self._api = Journal(), Faults(), storage, api
        self._servers = [
            FakeServer("api", api.service, self._journal, self._faults, tls=tls),
            FakeServer("storage", storage.service, self._journal, self._faults, tls=tls, keep=KEEP_UPLOAD),
            FakeServer("gateway", self.gateway.service, self._journal, self._faults),
            FakeServer("self_hosted", self.self_hosted.service, self._journal, self._faults),
        ]
        self.url, self.storage_url, hosted, self_hosted = (server.url for server in self._servers)
        self.gateway_url, self.self_hosted_url = f"{hosted}/{PROVIDER}", f"{self_hosted}/{PROVIDER}"
        self.openapi_url = f"{self.storage_url}/openapi.json"
        storage.url = self.storage_url
        self.requests = self._journal.requests
        self.avatars, self.voices, self.documents = api.avatars, api.voices, api.documents
        self.routers, self.router_requests, self.workflows = api.routers, api.router_requests, api.workflows
        self.conversations, self.usage, self.audit_logs = api.conversations, api.usage, api.audit_logs
        self.tasks, self.invocations, self.sessions = api.tasks, api.invocations, api.sessions
        self.organization, self.hasty = api.organization, api.hasty
        self.uploads, self.outputs = storage.uploads, storage.outputs
        self.add_task, self.add_session, self.add_avatar = api.add_task, api.add_session, api.add_avatar
        self.add_voice, self.add_document = api.add_voice, api.add_document
        self.add_router, self.add_workflow = api.add_router, api.add_workflow
        self.expire_urls = storage.expire

    def __enter__(self) -> FakeRunway:
        for server in self._servers:
            server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Together: each waits for its own loop to come round.
        stops = [threading.Thread(target=server.stop) for server in self._servers]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()

    @property
    def upload_limit(self) -> int:
        """The largest file, in bytes, that the storage host accepts."""
        return self._storage.upload_limit

    @upload_limit.setter
    def upload_limit(self, size: int) -> None:
        self._storage.upload_limit = size

    def sent(self, method: str | None = None, path: str | None = None, server: str | None = None) -> list[Recorded]:
        """The requests so far that match; `path` is compared without the query."""
        return [
            request
            for request in list(self.requests)
            if method in (None, request.method) and path in (None, request.path) and server in (None, request.server)
        ]

    def env(self) -> dict[str, str]:
        """The environment that leads a command to the API and the storage host. An empty variable counts as unset."""
        return {
            "RUNWAY_SKILLS_BASE_URL": self.url,
            "RUNWAY_SKILLS_API_SECRET": SECRET,
            "RUNWAY_SKILLS_CLIENT_ID": "",
            "RUNWAY_SKILLS_OPENAPI_URL": self.openapi_url,
        }

    def gateway_env(self, *, self_hosted: bool = False) -> dict[str, str]:
        """The environment that leads a command to a gateway."""
        url = self.self_hosted_url if self_hosted else self.gateway_url
        return {"LOWCODEAPI_BASE_URL": url, "LOWCODEAPI_API_TOKEN": TOKEN}

    def fault(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        server: str = "api",
        after: int = 0,
    ) -> None:
        """Let the next `times` matching requests (None: all) meet the fault, after `after` that pass.

        The first order that matches takes the request. On a gateway `path` is the whole one, from `/runwayml`.
        """
        self._faults.add(fault, server=server, method=method, path=path, times=times, after=after)

    def clear_faults(self) -> None:
        """Forget all orders for faults."""
        self._faults.clear()

    def add_output(
        self,
        content: bytes | None = None,
        *,
        name: str = "output.png",
        media_type: str = "image/png",
        size: int | None = None,
        expires_after_uses: int | None = None,
        **behaviour: Any,
    ) -> str:
        """Put a file on the storage host; returns a signed URL.

        `size` instead of `content`: that many bytes of `pseudo_content`, which nobody holds. `name` ends the URL's
        path, as it is where it holds a %. `behaviour` is any of `Output`'s: `ranges=False`; `break_after` bytes, for
        the first `breaks` reads; `wrong_length`; `no_length`; `redirect_to`; `changes_to`, from the second read on.
        """
        output = Output(str(uuid.uuid4()), name, media_type, size or 0 if content is None else content, **behaviour)
        return self._storage.sign(self._storage.add(output), uses=expires_after_uses)

    def seed(self) -> None:
        """A few plausible records to look at."""
        guide = self.add_document(name="House rules", content="Breakfast is served from seven to ten.")
        self.add_document(name="Opening hours", content="Monday to Friday, nine to five.")
        voice = self.add_voice(name="Harbour", description="Low and unhurried")
        self.add_voice(name="Clear Sky", description="Bright", statuses=("PROCESSING", "READY"))
        self.add_avatar(name="Mira the concierge", documentIds=[guide])
        self.add_avatar(name="Captain Holt", voice={"type": "custom", "id": voice, "deleted": False, "name": "Harbour"})
        self.add_avatar(name="Unfinished", statuses=("PROCESSING", "FAILED"))
        self.add_router(name="Everyday", slug="default")
        self.add_workflow(name="Poster from a photo")


USAGE = """usage: python3 -m tests.fake_runway [COMMAND ...]

Starts a stand-in for the Runway API on loopback, with a few records in it and tasks that take about a second.
With a COMMAND: runs it against the stand-in and ends with its exit status.
Without: prints the variables to set and serves until Ctrl-C.

  python3 -m tests.fake_runway python3 -m runway_cli avatars list
  python3 -m tests.fake_runway sh        (a shell in which every command meets the stand-in)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command against a fresh stand-in, or serve one. Returns the exit status."""
    command = list(sys.argv[1:] if argv is None else argv)
    if command[:1] in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    with FakeRunway(seconds_to_finish=1.5) as fake:
        fake.seed()
        variables = {**fake.env(), **fake.gateway_env()}
        return _run(command, variables) if command else _serve(variables)


def _run(command: list[str], variables: dict[str, str]) -> int:
    try:
        child = subprocess.Popen(command, env={**os.environ, **variables})
    except OSError as error:
        print(f"fake_runway: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    # Ctrl-C reaches the child too: it decides what to do, and this waits for it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return status if status >= 0 else 128 - status


def _serve(variables: dict[str, str]) -> int:
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}", flush=True)
    print("# serving until Ctrl-C", file=sys.stderr)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
