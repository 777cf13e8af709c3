"""An honest stand-in for the Runway API, its storage host and the LowCodeAPI gateways, on loopback.

In front of a command:   python3 -m tests.fake python3 -m runway_cli avatars list
By itself:               python3 -m tests.fake        (prints `export` lines and serves until Ctrl-C)
"""

from __future__ import annotations

from tests.fake.contract import data
from tests.fake.faults import Fault
from tests.fake.gateway import TOKEN
from tests.fake.http import FakeServer
from tests.fake.messages import Recorded
from tests.fake.moments import Accepted
from tests.fake.refusals import SECRET, STAGE_SECRET
from tests.fake.runway import FakeRunway
from tests.fake.samples import pseudo_content, sample
from tests.fake.storage import Output

DOCUMENT = data("openapi")  # what `openapi_url` serves

__all__ = ["DOCUMENT", "SECRET", "STAGE_SECRET", "TOKEN", "Accepted", "FakeRunway", "FakeServer", "Fault", "Output",
           "Recorded", "pseudo_content", "sample"]  # fmt: skip
