"""What is different about an engine for whoever plans, renders or shows: nobody compares its name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineTraits:
    """Of one engine.

    Attributes:
        place: where its services are, in words.
        runs_processes: services are processes of this machine; they end with their keeper.
        has_namespaces: instances may share a part of it with others, and are found there by other machines.
        replaces_servers: a server may be replaced at any time, and its data goes with it.
    """

    name: str
    place: str
    runs_processes: bool = False
    has_namespaces: bool = False
    replaces_servers: bool = False


@dataclass(frozen=True)
class Addresses:
    """Where an engine's services are reached: by the tests, on this machine; and the tests' machine, by the services."""

    outside_host: str = "127.0.0.1"
    publish_on: str = "127.0.0.1"
    tester_host: str = "host.docker.internal"
