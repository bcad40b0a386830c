"""A URL for browsers: what `expose:` of a service and `[kubernetes.expose]` of envctl.toml make together."""

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
    """The keys of `[kubernetes.expose]`: how a cluster is reached from outside."""

    class_: str = _key(str, 'class = "nginx"')
    """Of an Ingress; the cluster's own without it, where there is no gateway."""
    gateway: str = _key(str, 'gateway = "infra/public"')
    """Namespace and name of a Gateway: HTTPRoutes in the place of Ingresses."""
    domain: str = _key(str, 'domain = "previews.example.org"')
    tls: str = _key(str, 'tls = "default"')
    """A Secret's name; `default`: what the controller or the gateway has itself. Without it: http."""
    annotations: Mapping[str, str] = _key(dict, 'annotations = {"cert-manager.io/cluster-issuer" = "letsencrypt"}')
    namespace: str = _key(str, 'namespace = "ingress-nginx"')
    """The controller's, or the gateway's: from there, and from nowhere else, what is exposed is reached."""
    basic_auth: str = _key(str, 'basic_auth = "reviewer"')
    """The name that a browser asks for, with a random password (ingress-nginx)."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Exposure:
        """Of a table that has been checked; what a later version has added is left out."""
        return cls(**{each.name: told[key] for each in fields(cls) if (key := each.name.rstrip("_")) in told})


@dataclass(frozen=True)
class ProxyExposure:
    """The keys of `[docker.expose]`: the same, as far as a proxy of ours has them."""

    domain: str = _key(str, 'domain = "previews.example.org"')
    """It and all names below it lead to the daemon's host; `localhost` without it, where that is this machine."""
    basic_auth: str = _key(str, 'basic_auth = "reviewer"')


@dataclass(frozen=True)
class OnDocker:
    """The keys of `[docker]`."""

    expose: Mapping[str, Any] = field(
        default_factory=dict, metadata={"example": 'expose = {domain = "previews.example.org"}', "shape": ProxyExposure}
    )


class Exposed(NamedTuple):
    """One service's URL."""

    host: str
    path: str
    port: int
    """Inside."""
    url: str


def exposed(
    given: Expose | bool | None, ports: Mapping[str, int], label: str, cluster: Exposure, outside: int | None = None
) -> Exposed | None:
    """What *given* says of a service; None where it is not exposed, or there is no domain for it.

    Args:
        label: what the host is called below the domain, where the definition does not say.
        outside: the port of the URL, where it is another one than browsers take by themselves.

    Raises:
        ValueError: there is no such port.
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
    """Raises UsageError: a browser cannot ask for *name*."""
    if ":" in name or not name.isprintable():
        raise UsageError(f"{where}: basic_auth: not a valid user name", hint='like basic_auth = "reviewer"')


def _port(given: int | str | None, ports: Mapping[str, int]) -> int:
    found = next(iter(ports.values()), None) if given is None else ports.get(given) if isinstance(given, str) else given
    if found is None or found not in ports.values():
        known = ", ".join(f"{name} ({number})" for name, number in ports.items()) or "it has none: give it `port:`"
        raise ValueError(f"expose: there is no port {given or ''}; ports: {known}".replace("port ;", "port;"))
    return found
