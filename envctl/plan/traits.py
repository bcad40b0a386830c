"""What a plan and its rendering must know about an engine. Each engine describes itself, so no code depends on its name."""

from __future__ import annotations

from typing import NamedTuple


class Addresses(NamedTuple):
    """Where an engine's services are reached: by the tests, on this machine; and the tests' machine, by the services."""

    outside_host: str = "127.0.0.1"
    publish_on: str = "127.0.0.1"
    tester_host: str = "host.docker.internal"
    internal: frozenset[str] = frozenset()
    """External networks of services that cannot be reached from outside."""


class EngineTraits(NamedTuple):
    """An engine as the plan sees it."""

    name: str
    place: str = ""
    """The place where its services run, in words."""
    runs_processes: bool = False
    """Whether its services are processes of this machine, which end with their keeper."""
    replaces_servers: bool = False
    """Whether a server may be replaced at any time and lose its data, so that the keeper has it seeded again."""
    uses_images: bool = True
    """Whether a service that is not a process of this machine needs an image."""
    dns_labels: bool = False
    """Whether services inside have DNS labels made from their names; if not, they have their names unchanged."""
    reaches_tests: bool = True
    """Whether its services can reach the machine on which the tests run."""
    proxies: bool = False
    """Whether envctl adds a web server in front of exposed services, because the engine has none."""
    copies_kept: bool = False
    """Whether a server of a Compose file can start with a copy of kept data."""
    brings_kept: bool = False
    """Whether its servers start from snapshots that another engine has made."""
    shares_namespaces: bool = False
    """Whether `--namespace` can put several instances into one namespace."""
    lasting_seconds: float = 0.05
    """Seconds that a connection must last to count: a relay also accepts connections for a server that does not run."""
    addresses: Addresses = Addresses()
    """The addresses of its services if the engine itself was not asked."""
    manifests: str = ""
    """The format that `render` writes; empty if there is none."""
    joins_others: bool = False
    """Whether it has, and uses, the external networks and volumes of a Compose file."""


UNDECIDED = EngineTraits("", uses_images=False)
"""For `validate`, which is for no engine: it does not require what only one engine needs."""
