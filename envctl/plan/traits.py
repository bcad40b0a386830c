"""What a plan and its rendering must know of an engine: each engine says it of itself, and nobody asks for its name."""

from __future__ import annotations

from typing import NamedTuple


class Addresses(NamedTuple):
    """Where an engine's services are reached: by the tests, on this machine; and the tests' machine, by the services."""

    outside_host: str = "127.0.0.1"
    publish_on: str = "127.0.0.1"
    tester_host: str = "host.docker.internal"
    internal: frozenset[str] = frozenset()
    """Networks of others in which services are, and which nobody outside reaches."""


class EngineTraits(NamedTuple):
    """An engine as the plan sees it."""

    name: str
    place: str = ""
    """Where its services are, in words."""
    runs_processes: bool = False
    """Its services are processes of this machine, and end with their keeper."""
    replaces_servers: bool = False
    """A server may be replaced at any time, and its data goes with it: the keeper has it seeded again."""
    uses_images: bool = True
    """A service that is no process of this machine needs an image."""
    dns_labels: bool = False
    """Inside, a service is found under its name as a DNS label; otherwise under its name as it is."""
    reaches_tests: bool = True
    """Its services can reach the machine of the tests."""
    proxies: bool = False
    """A web server of ours stands before what is exposed, since nothing else there does."""
    copies_kept: bool = False
    """A server of a Compose file can begin with a copy of what was kept."""
    brings_kept: bool = False
    """Its servers begin as what another engine has kept."""
    shares_namespaces: bool = False
    """`--namespace` puts an instance beside those of others."""
    lasting_seconds: float = 0.05
    """How long a connection must last to be the server's: what relays it accepts it for a server that is not there, too."""
    addresses: Addresses = Addresses()
    """Where its services are reached when nobody has asked the engine itself."""
    manifests: str = ""
    """The format in which `render` writes what it would run; empty where there is none."""
    joins_others: bool = False
    """The external networks and volumes of a Compose file are there, and used."""


UNDECIDED = EngineTraits("", uses_images=False)
"""Of `validate`, which is for no engine: what only one of them wants is not asked for."""
