"""Requests to a server of the environment, with its own words where it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from envctl.units import UnitError

TIMEOUT = 30


class WebClient:
    """For one server; no proxy and no .netrc of the machine: the endpoint is ours."""

    def __init__(self, url: str, properties: Mapping[str, Any] | None = None) -> None:
        """
        Args:
            properties: with the `username` and `password` that the server wants; an empty password is none.
        """
        self.url, self._session = url, requests.Session()
        self._session.trust_env = False
        if properties and properties["password"]:
            # Bytes: requests writes texts in Latin-1.
            login: Any = (str(properties["username"]).encode(), str(properties["password"]).encode())
            self._session.auth = login

    def __call__(self, method: str, path: str, *, allowed: tuple[int, ...] = (), **more: Any) -> requests.Response:
        """The answer, with a status below 400 or one that is *allowed*. Raises UnitError."""
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
