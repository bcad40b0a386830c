"""Readiness by protocol: one module a protocol, each with `probe(target)`, imported when a service needs it.

A probe makes ONE attempt over the endpoint that the tests will use, within `target.timeout` seconds, and returns when the
server answered as it will answer the tests (authenticated, on the named database). Otherwise it raises `NotReady` with a
short reason, or lets `OSError` through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class NotReady(Exception):
    """The server is not ready yet; the text says what it did instead."""


class LoginRefused(NotReady):
    """The server is there, and does not know these credentials."""


@dataclass(frozen=True)
class Target:
    """What a probe may use: the endpoint from outside, the service's outside properties, and the check's options."""

    host: str
    port: int
    ports: Mapping[str, int] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 2.0
    run: Callable[[Sequence[str]], tuple[int, str]] = lambda argv: (127, "no programs can be run here")
    logs: Callable[[], str] = lambda: ""
    health: Callable[[], str] = lambda: ""


class Probe(Protocol):
    def __call__(self, target: Target) -> None: ...
