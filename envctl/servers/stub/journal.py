"""The received requests, for tests that check which requests were made."""

from __future__ import annotations

import base64
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping as Object

from ..http.message import Headers, Request
from .mappings import Mapping


class Entry:
    """A received request with the status of its response.

    Attributes:
        mapping: the mapping that has matched; None if none did.
        logged: the time of the response, in seconds since 1970.
    """

    def __init__(self, request: Request, status: int, mapping: Mapping | None) -> None:
        self.request, self.status, self.mapping = request, status, mapping
        self.logged, self.id = time.time(), str(uuid.uuid4())

    def described(self) -> dict[str, object]:
        """Return the entry in WireMock's format."""
        description: dict[str, object] = {
            "id": self.id,
            "request": self.described_request(),
            "responseDefinition": {"status": self.status},
            "wasMatched": self.mapping is not None,
        }
        if self.mapping:
            description["stubMapping"] = self.mapping.described()
        return description

    def described_request(self) -> dict[str, object]:
        """Return the request in WireMock's format."""
        request = self.request
        host = next(iter(request.header("Host")), "")
        whole, fraction = divmod(int(self.logged * 1000), 1000)
        return {
            "url": request.url,
            "absoluteUrl": f"http://{host}{request.url}",
            "method": request.method,
            "clientIp": request.client,
            "headers": _merged(request.headers),
            "cookies": {name: values[0] if len(values) == 1 else values for name, values in request.cookies.items()},
            "queryParams": {name: {"key": name, "values": values} for name, values in request.query.items()},
            "body": request.text or "",
            "bodyAsBase64": base64.b64encode(request.content).decode(),
            "protocol": request.version,
            "loggedDate": int(self.logged * 1000),
            "loggedDateString": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{fraction:03}Z",
        }


class Journal:
    """The latest requests, for any number of threads.

    Args:
        most_entries: the largest number of requests that are kept.
        most_bytes: the largest total size of their bodies.
    """

    def __init__(self, most_entries: int = 10_000, most_bytes: int = 128 << 20) -> None:
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def record(self, entry: Entry) -> None:
        """Add a request, and drop the oldest ones if a limit is exceeded."""
        with self._lock:
            self._entries.append(entry)
            self._bytes += len(entry.request.body)
            while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
                self._bytes -= len(self._entries.popleft().request.body)

    def entries(self) -> list[Entry]:
        """Return the requests, the oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Remove all requests."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0


def _merged(headers: Headers) -> Object[str, object]:
    """Return headers by name, with a list as the value of a header that occurs several times."""
    names: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(names.setdefault(name.lower(), name), []).append(value)
    return {name: given[0] if len(given) == 1 else given for name, given in values.items()}
