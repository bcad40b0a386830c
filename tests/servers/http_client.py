"""A client for the HTTP servers in tests."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    """The response of a server."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(port: int, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
    """Send a request to *port* of this machine and return the response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, url, body, headers)
        response = connection.getresponse()
        return Reply(response.status, response.reason, dict(response.getheaders()), response.read())
    finally:
        connection.close()
