"""Loads the API's contract: as published (kept for a day), else the snapshot, which .ci/make_contract.py makes."""

from __future__ import annotations

import os
import time
import zlib

from ..api.client import Client
from ..errors import ApiError, ConfigError, NetworkError
from ..jsontext import Json, loads
from ..settings import OPENAPI_VARIABLE, base_url, expanded, setting, user_folder
from ..shutdown import remove

MAX_AGE = 24 * 3600  # seconds that a copy is used without asking again
MAX_SIZE = 20_000_000  # bytes of a document
TIMEOUT = 10.0  # seconds for each source
SNAPSHOT = "snapshot.json.gz"  # beside this file, in a zipapp too


class Contract:
    """An OpenAPI document, its source (a URL, a path, or SNAPSHOT: this package), and its date, YYYY-MM-DD."""

    def __init__(self, document: dict[str, Json], source: str, changed: float, date: str = "") -> None:
        self.document = document
        self.source = source
        self.changed = changed  # seconds of the epoch
        self.date = date or time.strftime("%Y-%m-%d", time.gmtime(changed))


def load(client: Client, *, may_fetch: bool = True) -> Contract:
    """Returns the contract: a copy younger than a day, else fetched, else an older copy or the snapshot, with a note.

    Without `may_fetch`, a copy of any age is used. Raises ConfigError where the variable names a file that holds none.
    """
    chosen = setting(OPENAPI_VARIABLE)
    if chosen and "://" not in chosen:
        chosen = expanded(chosen, OPENAPI_VARIABLE)
        try:
            return _read(chosen, chosen)
        except (OSError, ValueError) as error:
            words = f"{chosen!r} is not an OpenAPI document ({getattr(error, 'strerror', None) or error})"
            raise ConfigError(f"{OPENAPI_VARIABLE}: {words}", variable=OPENAPI_VARIABLE) from None
    # A copy of any source that is new enough, else the first source that answers.
    urls, copies, failures = client.service.contract_urls, [], []
    urls = [base_url(OPENAPI_VARIABLE, urls[0])] if chosen else urls
    for url in urls:
        try:
            copies.append(_read(_cache_path(url), url))
        except (OSError, ValueError):
            continue
        if not may_fetch or 0 <= client.clock.time() - copies[-1].changed < MAX_AGE:
            return copies[-1]
    for url in urls if may_fetch else ():
        try:
            return _fetched(client, url)
        except (ApiError, NetworkError) as error:
            failures.append(error.message)
    found = (copies or [snapshot()])[0]
    if failures:
        words = "" if copies else " that comes with this program"
        client.console.note(f"using the API's contract of {found.date}{words}: {failures[0]}")
    return found


def snapshot() -> Contract:
    """Returns the contract that comes with this program. Each operation is a line of JSON, parsed when it is used."""
    path = os.path.join(os.path.dirname(__file__), SNAPSHOT)
    data: bytes = __spec__.loader.get_data(path)  # type: ignore[union-attr]  # from a zipapp too
    head, *lines = zlib.decompress(data, 31).splitlines()
    document = loads(head)
    for item in document["paths"].values():
        item.update({method: lines[number] for method, number in item.items()})
    return Contract(document, SNAPSHOT, 0, document["info"]["x-date"])


def _read(path: str, source: str) -> Contract:
    """Returns the contract in a file. Raises OSError, or ValueError for a file that does not hold one."""
    if not os.path.isfile(path):  # a FIFO or a device might block
        raise ValueError("not a file" if os.path.lexists(path) else "no such file")
    with open(path, "rb") as file:
        return Contract(_parsed(file.read(MAX_SIZE + 1)), source, os.fstat(file.fileno()).st_mtime)


def _parsed(content: bytes) -> dict[str, Json]:
    """Returns an OpenAPI document. Raises ValueError for anything else."""
    if len(content) > MAX_SIZE:
        raise ValueError(f"it is larger than {MAX_SIZE // 1_000_000} MB")
    document = loads(content)
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise ValueError("it has no paths")
    return {**document, "paths": {path: item for path, item in document["paths"].items() if isinstance(item, dict)}}


def _fetched(client: Client, url: str) -> Contract:
    """Fetches the document, without anything about the user, and saves a copy. Raises NetworkError or ApiError."""
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
    response = client.fetch(url, headers, min(TIMEOUT, client.target.timeout))
    if not 200 <= response.status < 300:
        raise ApiError(f"{url} answered HTTP {response.status}", status=response.status)
    try:
        document = _parsed(response.body)
    except ValueError as error:
        raise ApiError(f"{url} is not an OpenAPI document ({error})", status=response.status) from None
    # A copy is saved whole or not at all. A failure does not matter: the next call fetches again.
    path = _cache_path(url)
    part = f"{path}.{os.urandom(6).hex()}.part"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(part, "xb") as file:
            file.write(response.body)
        os.replace(part, path)
    except OSError:
        remove(part)
    return Contract(document, url, client.clock.time())


def _cache_path(url: str) -> str:
    """Returns the file for a source's copy; "" where the user has no cache."""
    folder = user_folder("XDG_CACHE_HOME", ("Library", "Caches"), (".cache",))
    return os.path.join(folder, f"openapi-{zlib.crc32(url.encode()):08x}.json") if folder else ""
