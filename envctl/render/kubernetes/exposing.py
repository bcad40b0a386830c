"""Render the URL of an exposed service: an Ingress or an HTTPRoute, and the NetworkPolicy rule that admits its controller."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from envctl.errors import UsageError
from envctl.plan.addressing import dns_label
from envctl.plan.exposing import Exposed, Exposure, check_user
from envctl.plan.model import ServicePlan
from envctl.render.kubernetes.rendering import Rendering
from envctl.render.kubernetes.templates import Object

NGINX = "nginx.ingress.kubernetes.io"
NO_DOMAIN = "a URL for browsers: envctl.toml names no domain; [kubernetes.expose] needs `domain` and `namespace`"


def objects(rendering: Rendering, service: ServicePlan) -> Iterator[Object]:
    """Yield the objects for the URL of *service*; nothing if it is not exposed.

    Raises:
        UsageError: settings in `[kubernetes.expose]` are missing or contradict each other.
    """
    if service.exposed is None:
        return
    settings = Exposure.of(rendering.options.cluster.expose)
    _check(settings, service)
    metadata = rendering.metadata(service.host, service)
    values = {"exposed": service.exposed._asdict(), "service": service.host}
    if settings.gateway:
        namespace, _, name = settings.gateway.rpartition("/")
        metadata |= {"annotations": dict(settings.annotations)} if settings.annotations else {}
        parent = {"name": name, **({"namespace": namespace} if namespace else {})}
        yield rendering.templates.render("httproute", metadata=metadata, parent=parent, **values)
        return
    annotations = dict(settings.annotations)
    if settings.basic_auth:
        secret = dns_label(service.host, "basic-auth")
        password = rendering.plan.setting.secret(service.name, "basic-auth")
        data = {"auth": htpasswd(settings.basic_auth, password), "password": base64.b64encode(password.encode()).decode()}
        yield rendering.templates.render("secret", metadata=rendering.metadata(secret, service), data=data)
        annotations |= {f"{NGINX}/auth-type": "basic", f"{NGINX}/auth-secret": secret}
    metadata |= {"annotations": annotations} if annotations else {}
    yield rendering.templates.render(
        "ingress", metadata=metadata, class_name=settings.class_, tls=_tls(settings, service.exposed), **values
    )


def peer(rendering: Rendering, service: ServicePlan) -> Iterator[Object]:
    """Yield a NetworkPolicy rule that admits the controller, if *service* is exposed."""
    if service.exposed is not None:
        namespace = Exposure.of(rendering.options.cluster.expose).namespace
        source = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
        yield {"from": [source], "ports": [{"protocol": "TCP", "port": service.exposed.port}]}


def htpasswd(user: str, password: str) -> str:
    """Return a line of htpasswd, in base64.

    It uses SHA-1, which every server supports. A slow hash would add nothing, because the password is random with 92 bits.
    """
    digest = base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()
    return base64.b64encode(f"{user}:{{SHA}}{digest}\n".encode()).decode()


def _tls(settings: Exposure, exposed: Exposed) -> list[Object]:
    if not settings.tls:
        return []
    return [{"hosts": [exposed.host], **({"secretName": settings.tls} if settings.tls != "default" else {})}]


def _check(settings: Exposure, service: ServicePlan) -> None:
    where = f"{service.name} is exposed, and [kubernetes.expose] of envctl.toml"
    if settings.gateway and settings.class_:
        raise UsageError(f"{where} has both a class and a gateway", hint="`class` for Ingresses, `gateway` for HTTPRoutes")
    if settings.gateway and settings.basic_auth:
        raise UsageError(f"{where} has basic_auth, which no HTTPRoute can ask for", hint="an Ingress can: `class`")
    check_user(settings.basic_auth, where)
    if not settings.namespace:
        raise UsageError(
            f"{where} does not say where the controller is", hint='namespace = "ingress-nginx": the NetworkPolicy lets it in from there'
        )
