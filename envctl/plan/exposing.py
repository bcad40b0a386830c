"""The URL of a service for browsers, from the service's `expose:` and from `[kubernetes.expose]` in envctl.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from envctl.definition.models import Expose
from envctl.errors import UsageError


def _key(standard: type, example: str) -> Any:
    return field(default_factory=standard, metadata={"example": example})


@dataclass(frozen=True)
class Exposure:
    """The keys of `[kubernetes.expose]`: how browsers reach a cluster."""

    class_: str = _key(str, 'class = "nginx"')
    """The class of an Ingress; without it, and without a gateway, the cluster's default class."""
    gateway: str = _key(str, 'gateway = "infra/public"')
    """The namespace and name of a Gateway; with it, envctl creates HTTPRoutes instead of Ingresses."""
    domain: str = _key(str, 'domain = "previews.example.org"')
    tls: str = _key(str, 'tls = "default"')
    """The name of a Secret, or `default` for the certificate of the controller or the gateway. Without it, URLs use http."""
    annotations: Mapping[str, str] = _key(dict, 'annotations = {"cert-manager.io/cluster-issuer" = "letsencrypt"}')
    namespace: str = _key(str, 'namespace = "ingress-nginx"')
    """The namespace of the controller or the gateway. Only its pods can reach exposed services."""
    basic_auth: str = _key(str, 'basic_auth = "reviewer"')
    """The user name that a browser asks for, with a random password (ingress-nginx)."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Exposure:
        """Return the exposure from a table that has been checked. Keys that a later version has added are ignored."""
        return cls(**{each.name: told[key] for each in fields(cls) if (key := each.name.rstrip("_")) in told})


@dataclass(frozen=True)
class ProxyExposure:
    """The keys of `[docker.expose]`: those keys of `[kubernetes.expose]` that envctl's own proxy supports."""

    domain: str = _key(str, 'domain = "previews.example.org"')
    """A domain that resolves, with all names below it, to the daemon's host; by default `localhost`, if the daemon is on this machine."""
    basic_auth: str = _key(str, 'basic_auth = "reviewer"')


@dataclass(frozen=True)
class OnDocker:
    """The keys of `[docker]`."""

    expose: Mapping[str, Any] = field(
        default_factory=dict, metadata={"example": 'expose = {domain = "previews.example.org"}', "shape": ProxyExposure}
    )


class Exposed(NamedTuple):
    """The URL of one service."""

    host: str
    path: str
    port: int
    """The port inside the environment."""
    url: str


def exposed(
    given: Expose | bool | None, ports: Mapping[str, int], label: str, cluster: Exposure, outside: int | None = None
) -> Exposed | None:
    """Return the URL that *given* asks for; None if the service is not exposed, or if there is no domain for it.

    Args:
        label: the host's name below the domain, if the definition has none.
        outside: the port in the URL; None for the default port of the scheme.

    Raises:
        ValueError: the service does not have the port.
    """
    if not given:
        return None
    told = given if isinstance(given, Expose) else Expose()
    host = told.host or label
    if "." not in host:
        if not cluster.domain:
            return None
        host = f"{host}.{cluster.domain}"
    place = host if outside is None else f"{host}:{outside}"
    return Exposed(host, told.path, _port(told.port, ports), f"{'https' if cluster.tls else 'http'}://{place}{told.path.rstrip('/')}")


def check_user(name: str, where: str) -> None:
    """Raise UsageError if a browser cannot send *name* as a user name. *where* begins the message."""
    if ":" in name or not name.isprintable():
        raise UsageError(f"{where}: basic_auth: not a valid user name", hint='like basic_auth = "reviewer"')


def _port(given: int | str | None, ports: Mapping[str, int]) -> int:
    found = next(iter(ports.values()), None) if given is None else ports.get(given) if isinstance(given, str) else given
    if found is None or found not in ports.values():
        known = ", ".join(f"{name} ({number})" for name, number in ports.items()) or "it has none: give it `port:`"
        raise ValueError(f"expose: there is no port {given or ''}; ports: {known}".replace("port ;", "port;"))
    return found
