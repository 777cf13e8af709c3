"""An honest stand-in for the Runway API, its storage host and the LowCodeAPI gateways, on loopback.

In front of a command:   python3 -m tests.fake python3 -m runway_cli avatars list
By itself:               python3 -m tests.fake        (prints `export` lines and serves until Ctrl-C)
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any, Callable

from tests.fake.api import SECRET, STAGE_SECRET, Api
from tests.fake.contract import data
from tests.fake.faults import Fault, Faults
from tests.fake.gateways import PROVIDER, TOKEN, HostedGateway, SelfHostedGateway
from tests.fake.http import FakeServer, Moments, Request
from tests.fake.storage import Output, Storage, pseudo_content, sample
from tests.fake.tasks import Accepted, Pace

DOCUMENT = data("openapi")  # what `openapi_url` serves

__all__ = ["DOCUMENT", "SECRET", "STAGE_SECRET", "TOKEN", "Accepted", "FakeRunway", "Fault", "Output", "Request",
           "pseudo_content", "sample"]  # fmt: skip


class FakeRunway(Api):
    """The API, its storage host and both gateways, started and stopped together as a context manager.

    A new task is PENDING at its first poll, then RUNNING, and SUCCEEDED at poll number `polls_to_finish` + 1; with
    `seconds_to_finish` set, time moves it instead; both can be changed in `pace`. `tls`: (certfile, keyfile), for the
    API and the storage host. Requests and answers are checked against the contract that comes with the program.

    State that tests may seed and look at, each a dict by id: `avatars`, `voices`, `documents`, `workflows`, `tasks`,
    `invocations`, `sessions`, `uploads`, `outputs`; `records` holds all of them by the path of their list.
    `organization` is what the API shows of it, with the `creditBalance` that calls use up.
    `storage.upload_limit` is in bytes, and so is `output_size`, of outputs that are made from now on, where it is set.
    What happened: `requests`; `accepted`, the POSTs that were accepted and charged; `hasty`, (task id, seconds since
    the poll before) of every poll that came sooner than after 5 s; `invalid_answers`, faults of the stand-in itself.
    `on(moment, callback)` and `with hold(moment) as held`: see `tests.fake.http`. `fault(…)`: see `tests.fake.faults`.
    """

    def __init__(
        self,
        *,
        tls: tuple[str, str] | None = None,
        polls_to_finish: int = 2,
        seconds_to_finish: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(Storage(), Pace(polls_to_finish, seconds_to_finish, clock))
        self.uploads, self.outputs, self.expire_urls = self.storage.uploads, self.storage.outputs, self.storage.expire
        self.requests: list[Request] = []
        faults, moments = Faults(), Moments()
        self.fault, self.clear_faults = faults.fault, faults.clear
        self.on, self.hold = moments.on, moments.hold
        self.gateway, self.self_hosted = HostedGateway(self.service), SelfHostedGateway(self.service)
        self._servers = [
            FakeServer(name, service, self.requests, faults, moments, tls=certificate)
            for name, service, certificate in (
                ("api", self.service, tls),
                ("storage", self.storage.service, tls),
                ("gateway", self.gateway.service, None),
                ("self_hosted", self.self_hosted.service, None),
            )
        ]
        self.url, self.storage_url, hosted, self_hosted = (server.url for server in self._servers)
        self.gateway_url, self.self_hosted_url = f"{hosted}/{PROVIDER}", f"{self_hosted}/{PROVIDER}"
        self.openapi_url = f"{self.storage_url}/openapi.json"  # a small one, with descriptions
        self.contract_url = f"{self.storage_url}/contract.json"  # the facts of the API's own
        self.storage.url = self.storage_url

    def __enter__(self) -> FakeRunway:
        for server in self._servers:
            server.start()
        return self

    def __exit__(self, *_: Any) -> None:
        # Together: each waits for its own loop to come round.
        stops = [threading.Thread(target=server.stop) for server in self._servers]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()

    def is_idle(self) -> bool:
        """Returns whether no connection is open: a request may arrive after its client has gone."""
        return not any(server.connections for server in self._servers)

    def sent(self, method: str | None = None, path: str | None = None, server: str | None = None) -> list[Request]:
        """Returns the requests so far that match; `path` is compared without the query."""
        return [
            request
            for request in list(self.requests)
            if method in (None, request.method) and path in (None, request.path) and server in (None, request.server)
        ]

    def env(self) -> dict[str, str]:
        """Returns the environment that leads a command here. An empty variable counts as unset."""
        return {
            "RUNWAY_SKILLS_BASE_URL": self.url,
            "RUNWAY_SKILLS_API_SECRET": SECRET,
            "RUNWAY_SKILLS_CLIENT_ID": "",
            "RUNWAY_SKILLS_OPENAPI_URL": self.openapi_url,
        }

    def gateway_env(self, *, self_hosted: bool = False) -> dict[str, str]:
        """Returns the environment that leads a command to a gateway."""
        url = self.self_hosted_url if self_hosted else self.gateway_url
        return {"LOWCODEAPI_BASE_URL": url, "LOWCODEAPI_API_TOKEN": TOKEN}

    def add_output(
        self,
        content: bytes | None = None,
        *,
        name: str = "output.png",
        media_type: str = "image/png",
        size: int = 0,
        expires_after_uses: int | None = None,
        **behaviour: Any,
    ) -> str:
        """Puts a file on the storage host; returns a signed URL.

        `size` instead of `content`: that many bytes of `pseudo_content`. `name` ends the URL's path, as it is where it
        holds a %. `behaviour` is any of `Output`'s: `ranges=False`; `break_after` bytes, for the first `breaks` reads;
        `wrong_length`; `no_length`; `redirect_to`; `changes_to`, from the second read on.
        """
        whole = b"".join(pseudo_content(0, size)) if content is None else content
        output = Output(str(uuid.uuid4()), name, media_type, whole, **behaviour)
        return self.storage.sign(self.storage.add(output), uses=expires_after_uses)

    def seed(self) -> None:
        """Makes a few plausible records to look at."""
        guide = self.add_document(name="House rules", content="Breakfast is served from seven to ten.")
        self.add_voice(name="Harbour", description="Low and unhurried")
        self.add_avatar(name="Mira the concierge", documentIds=[guide])
        self.add_avatar(name="Unfinished", statuses=("PROCESSING", "FAILED"))
        self.add_router(name="Everyday", slug="default")
        self.add_workflow(name="Poster from a photo")
