"""The setting of `render`, and generated credentials.

Everything in the setting follows from the instance's name, so that the same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping

from envctl.environment import Environment
from envctl.errors import UsageError, did_you_mean
from envctl.instance.allocation import Allocation
from envctl.plan.model import PortKey, Setting
from envctl.plan.proxy import PROXY_PORT, stands_behind
from envctl.plan.referenced_services import fixed_ports, published
from envctl.plan.traits import EngineTraits

FIRST, COUNT = 20000, 12000


def render_setting(
    environment: Environment,
    name: str,
    engine: EngineTraits,
    images: Mapping[str, str],
    ports: Mapping[str, int] | None = None,
    environ: Mapping[str, str] | None = None,
    shared: bool = False,
    random: bool = False,
) -> Setting:
    """Return the setting. Ports and passwords follow from *name*, but *random* passwords are generated as for `up`.

    Args:
        images: prefixes of image names and their replacements.
        ports: services and the outside numbers of their main ports (`--port`).
        shared: whether the namespace is shared with other instances.

    Raises:
        UsageError: *ports* has a service that does not exist, or that has no port.
    """
    keys = [*published(environment), *([PROXY_PORT] if stands_behind(environment, engine) else [])]
    for service in ports or {}:
        if service not in {key[0] for key in keys}:
            raise UsageError(f"--port {service}: there is no such service with a port", hint=did_you_mean(service, [k[0] for k in keys]))
    main = {service: (service, port) for service, port in reversed(keys)}
    fixed = fixed_ports(environment, keys) | {main[service]: port for service, port in (ports or {}).items()}
    return Setting(
        name=name,
        id="".join(c if c.isalnum() or c == "-" else "-" for c in name.lower()),
        environment=environment.definition.name,
        project=environment.loaded.project,
        engine=engine,
        addresses=engine.addresses,
        secret=drawn_from(os.urandom(32) if random else key_of_name(name)),
        known_key=not random,
        allocation=Allocation(_spread(keys, name, fixed)),
        fixed=frozenset(fixed),
        environ=environ or {},
        rewrite=images,
        shared=shared,
    )


def _spread(keys: list[PortKey], name: str, fixed: Mapping[PortKey, int]) -> dict[PortKey, int]:
    """Return a port for each key: the fixed one, or one from a hash. A port that is taken is replaced by the next free one."""
    found = dict(fixed)
    for key in keys:
        port = FIRST + int(hashlib.sha256(f"{name}/{key}".encode()).hexdigest(), 16) % COUNT
        while port in found.values():
            port += 1
        found.setdefault(key, port)
    return {key: found[key] for key in keys}


def drawn_from(key: bytes) -> Callable[[str, str], str]:
    """Return a function that makes a text from a service and a parameter: 24 letters and digits, first a letter, fixed for each *key*."""

    def draw(service: str, parameter: str) -> str:
        digest = hmac.new(key, f"{service}\0{parameter}".encode(), hashlib.sha256).hexdigest()
        return "e" + digest[:23]

    return draw


def key_of_name(name: str) -> bytes:
    """Return the key that `render` uses. Anyone who knows the name can compute it, so `up` never uses it."""
    return hashlib.sha256(f"envctl render {name}".encode()).digest()
