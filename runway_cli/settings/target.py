"""Where requests go, and with which secret and limits."""

from __future__ import annotations


class Target:
    """How to reach a service; never changed once it is made.

    `base_url` has no slash at its end. `secret` is None where none is set; `variable` names the variable that it came
    from, `secret_names` those that were tried. `timeout` is in seconds.
    """

    __slots__ = (
        "base_url",
        "client_id",
        "retries",
        "secret",
        "secret_names",
        "source",
        "timeout",
        "url_format",
        "variable",
    )

    def __init__(
        self,
        *,
        base_url: str,
        secret: str | None,
        secret_names: tuple[str, ...],
        client_id: str,
        variable: str | None = None,
        source: str = "environment",
        url_format: str = "auto",
        timeout: float = 60.0,
        retries: int = 2,
    ) -> None:
        self.base_url = base_url
        self.secret = secret
        self.secret_names = secret_names
        self.client_id = client_id
        self.variable = variable
        self.source = source
        self.url_format = url_format
        self.timeout = timeout
        self.retries = retries
