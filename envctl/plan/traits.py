"""The facts about an engine that a plan and its rendering need. Each engine describes itself, so no code depends on an engine's name."""

from __future__ import annotations

from typing import NamedTuple


class Addresses(NamedTuple):
    """The hosts under which tests on this machine reach services, and under which services reach the machine of the tests."""

    outside_host: str = "127.0.0.1"
    publish_on: str = "127.0.0.1"
    tester_host: str = "host.docker.internal"
    internal: frozenset[str] = frozenset()
    """External networks of services that cannot be reached from outside."""


class EngineTraits(NamedTuple):
    """An engine as the plan sees it."""

    name: str
    place: str = ""
    """The place where the services run, in words."""
    runs_processes: bool = False
    """Whether services are processes on this machine, which end with their keeper."""
    replaces_servers: bool = False
    """Whether a server may be replaced at any time and lose its data, so that the keeper has to seed it again."""
    uses_images: bool = True
    """Whether a service that is not a process on this machine needs an image."""
    dns_labels: bool = False
    """Whether services have DNS labels made from their names inside; if not, their names are unchanged."""
    reaches_tests: bool = True
    """Whether services can reach the machine on which the tests run."""
    proxies: bool = False
    """Whether envctl adds a web server in front of exposed services, because the engine has none."""
    copies_kept: bool = False
    """Whether a server of a Compose file can start with a copy of kept data."""
    brings_kept: bool = False
    """Whether servers start from snapshots that another engine has made."""
    shares_namespaces: bool = False
    """Whether `--namespace` can put several instances into one namespace."""
    lasting_seconds: float = 0.05
    """The seconds that a connection must last to count: a relay also accepts connections for a server that does not run."""
    addresses: Addresses = Addresses()
    """The addresses of the services if the engine itself was not asked."""
    manifests: str = ""
    """The format that `render` writes; empty if there is none."""
    joins_others: bool = False
    """Whether the engine can use the external networks and volumes of a Compose file."""


UNDECIDED = EngineTraits("", uses_images=False)
"""The traits for `validate`, which does not know the engine: it does not require what only one engine needs."""
