"""Send HTTP requests to a server of the environment, and quote the server's answer if it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from envctl.units import UnitError

TIMEOUT = 30


class WebClient:
    """A client for one server. It ignores the machine's proxy and .netrc, because the server belongs to the instance."""

    def __init__(self, url: str, properties: Mapping[str, Any] | None = None) -> None:
        """Create a client.

        Args:
            properties: The server's properties with `username` and `password`; an empty password means no authentication.
        """
        self.url, self._session = url, requests.Session()
        self._session.trust_env = False
        if properties and properties["password"]:
            # Bytes, because `requests` encodes strings as Latin-1.
            login: Any = (str(properties["username"]).encode(), str(properties["password"]).encode())
            self._session.auth = login

    def __call__(self, method: str, path: str, *, allowed: tuple[int, ...] = (), **more: Any) -> requests.Response:
        """Send a request and return the answer. Raise UnitError if there is none, or for a status of 400 or more that is not *allowed*."""
        try:
            answer = self._session.request(method, self.url + path, timeout=TIMEOUT, **more)
        except requests.RequestException as error:
            raise UnitError(f"{method} {self.url}{path}: {error}") from None
        if answer.status_code >= 400 and answer.status_code not in allowed:
            raise UnitError(f"{method} {self.url}{path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def __enter__(self) -> WebClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()
