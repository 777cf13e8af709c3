"""Loads the API's contract: its OpenAPI document, fetched without the secret and kept for a day."""

from __future__ import annotations

import os
import time

from .. import jsontext
from ..errors import ApiError, DeniedError, NetworkError, RunwayError
from ..settings import cache_folder, contract_url
from ..shutdown import remove
from .schema import is_openapi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..api.client import Client

MAX_AGE = 24 * 3600  # seconds that a copy is used without asking again
MAX_SIZE = 20_000_000  # bytes of a document
TIMEOUT = 10.0  # seconds for each source


class Contract:
    """An OpenAPI document, the URL it came from, and when it was fetched, in seconds since 1970."""

    __slots__ = ("document", "fetched", "source")

    def __init__(self, document: dict[str, Any], source: str, fetched: float) -> None:
        self.document = document
        self.source = source
        self.fetched = fetched

    @property
    def date(self) -> str:
        """Returns the day it was fetched, YYYY-MM-DD."""
        return time.strftime("%Y-%m-%d", time.gmtime(self.fetched))


def sources(client: Client) -> Sequence[str]:
    """Returns the URLs of the contract, in the order they are tried."""
    chosen = contract_url()
    return [chosen] if chosen else client.service.contract_urls


def load(client: Client) -> Contract:
    """Returns the contract: a copy of less than a day, else fetched, else an older copy with a note.

    Raises the failure of the first source: NetworkError or ApiError.
    """
    urls, now = sources(client), client.clock.time()
    copies = [copy for copy in map(_cached, urls) if copy]
    for copy in copies:
        if 0 <= now - copy.fetched < MAX_AGE:
            return copy
    failures: list[RunwayError] = []
    for url in urls:
        try:
            return _fetched(client, url, retries=1 if len(urls) == 1 and not copies else 0)
        except (ApiError, NetworkError) as error:
            failures.append(error)
    if not copies:
        raise failures[0]
    client.console.note(f"using the API's contract of {copies[0].date}: {failures[0].message}")
    return copies[0]


def kept(client: Client) -> Contract | None:
    """Returns the copy in the cache, whatever its age; never from the network."""
    return next((copy for copy in map(_cached, sources(client)) if copy), None)


def _fetched(client: Client, url: str, retries: int) -> Contract:
    """Fetches the document with a request that carries nothing about the user, and keeps it for the next time."""
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
    timeout = min(TIMEOUT, client.target.timeout)

    def attempt(_: RunwayError | None) -> tuple[bytes, dict[str, Any]]:
        """Raises ApiError for everything but OpenAPI."""
        response = client.fetch(url, headers, timeout)
        status = response.status
        if not 200 <= status < 300:
            location = response.headers.get("Location")
            words = f", a redirect to {client.console.mask(location)}, which is not followed" if location else ""
            kind = DeniedError if status in (401, 403) else ApiError
            raise kind(f"{url} answered HTTP {status}{words}", status=status)
        if len(response.body) > MAX_SIZE:
            raise ApiError(f"{url} is larger than {MAX_SIZE // 1_000_000} MB", status=status, is_json=False)
        try:
            document = jsontext.loads(response.body)
        except ValueError as error:
            raise ApiError(f"{url} is not JSON ({error})", status=status, is_json=False) from None
        if not is_openapi(document):
            raise ApiError(f"{url} is not an OpenAPI document: it has no paths", status=status, is_json=False)
        return response.body, document

    content, document = client.retry("GET", attempt, retries=min(retries, client.target.retries))
    _keep(url, content)
    return Contract(document, url, client.clock.time())


def _cache_path(url: str) -> str | None:
    """Returns the file for a source's copy; None where the user has no cache."""
    folder = cache_folder()
    if folder is None:
        return None
    from hashlib import sha256

    return os.path.join(folder, f"openapi-{sha256(url.encode()).hexdigest()[:12]}.json")


def _cached(url: str) -> Contract | None:
    """Returns the copy of a source, None where there is none that can be used."""
    path = _cache_path(url)
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            fetched = os.fstat(file.fileno()).st_mtime
            document = jsontext.loads(file.read())
    except (OSError, ValueError):
        return None
    return Contract(document, url, fetched) if is_openapi(document) else None


def _keep(url: str, content: bytes) -> None:
    """Puts a copy in its place, whole or not at all. A failure does not matter: the next call fetches."""
    path = _cache_path(url)
    if path is None:
        return
    part = f"{path}.{os.urandom(6).hex()}.part"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(part, "xb") as file:
            file.write(content)
        os.replace(part, path)
    except OSError:
        pass
    finally:
        remove(part)
