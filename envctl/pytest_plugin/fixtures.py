"""The values that fixtures give to tests: a lane, and leases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from envctl.errors import EnvctlError

Ask = Callable[[str, str, Any], Any]
"""A function that sends a request to the keeper: method, path and body. It returns the answer."""


class Lane(Mapping[str, str]):
    """The outputs of one worker's lane. Without lanes, `number` is 1."""

    def __init__(self, number: int, outputs: Mapping[str, str]) -> None:
        self.number, self._outputs = number, outputs

    def __getitem__(self, key: str) -> str:
        return self._outputs[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)


class Lease(NamedTuple):
    """One test's own unit of a server: a database, a virtual host or a bucket."""

    id: str
    service: str
    properties: Mapping[str, Any]
    """The unit's properties, named as in a definition: `url`, `host`, `port` and so on."""


class Leasing:
    """Take leases for one test."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.leases: list[Lease] = []

    def __call__(self, service: str, name: str | None = None, ttl: float | str | None = None) -> Lease:
        """Take a lease of *service* and return it.

        Args:
            service: the name of the server.
            name: which of the server's databases, buckets and so on; by default the first one.
            ttl: the time after which the lease ends, in seconds or as text such as `5m`.

        Raises:
            EnvctlError: there is no such unit, or none became free in time.
        """
        body = {"service": service, "name": name, "ttl": ttl, "pid": os.getpid()}
        told = self._ask("POST", "/v1/leases", {key: value for key, value in body.items() if value is not None})
        self.leases.append(Lease(told["id"], told["service"], told["properties"]))
        return self.leases[-1]


def leasing(request: pytest.FixtureRequest, ask: Ask) -> Iterator[Leasing]:
    """Yield a Leasing, and return its leases at the end. With --envctl-keep, the units of a failed test are kept for inspection."""
    found = Leasing(ask)
    failures = request.session.testsfailed
    yield found
    keep = bool(request.config.getoption("--envctl-keep")) and request.session.testsfailed > failures
    for lease in found.leases:
        if keep:
            print(f"envctl: kept {lease.service}: {lease.properties.get('url', lease.id)}")
        with suppress(EnvctlError):  # The lease has ended.
            ask("DELETE", f"/v1/leases/{lease.id}", {"keep": keep})
