"""What tests are given: a lane, and leases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from envctl.errors import EnvctlError

Ask = Callable[[str, str, Any], Any]
"""Method, path and body of a request to the keeper, to its answer."""


class Lane(Mapping[str, str]):
    """The outputs of one worker's lane; 1 where there are no lanes."""

    def __init__(self, number: int, outputs: Mapping[str, str]) -> None:
        self.number, self._outputs = number, outputs

    def __getitem__(self, key: str) -> str:
        return self._outputs[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)


class Lease(NamedTuple):
    """One test's own unit of a server: a database, a virtual host, a bucket."""

    id: str
    service: str
    properties: Mapping[str, Any]
    """As in a definition: `url`, `host`, `port`, ..."""


class Leasing:
    """Takes leases for one test."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.leases: list[Lease] = []

    def __call__(self, service: str, name: str | None = None, ttl: float | str | None = None) -> Lease:
        """
        Args:
            name: which of the server's databases, buckets, ...; the first without it.
            ttl: seconds, or a text such as `5m`, after which it is taken back.

        Raises:
            EnvctlError: there is nothing of that name, or none came free.
        """
        body = {"service": service, "name": name, "ttl": ttl, "pid": os.getpid()}
        told = self._ask("POST", "/v1/leases", {key: value for key, value in body.items() if value is not None})
        self.leases.append(Lease(told["id"], told["service"], told["properties"]))
        return self.leases[-1]


def leasing(request: pytest.FixtureRequest, ask: Ask) -> Iterator[Leasing]:
    """Gives back at the end what was leased; what a failed test has had is kept where somebody wants to look at it."""
    found = Leasing(ask)
    failures = request.session.testsfailed
    yield found
    keep = bool(request.config.getoption("--envctl-keep")) and request.session.testsfailed > failures
    for lease in found.leases:
        if keep:
            print(f"envctl: kept {lease.service}: {lease.properties.get('url', lease.id)}")
        with suppress(EnvctlError):  # its time was over
            ask("DELETE", f"/v1/leases/{lease.id}", {"keep": keep})
