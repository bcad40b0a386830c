"""Tests of `expose:`: the public URL, the Ingress or HTTPRoute, and which connections the network policy allows."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from envctl.engines.registry import traits
from envctl.errors import DefinitionError, UsageError
from envctl.plan.exposing import Exposure
from envctl.plan.model import Plan
from envctl.render.kubernetes import Manifests, Options, render_kubernetes
from envctl.render.kubernetes_settings import Cluster
from tests.builders import plan_of

DEFINITION = """
services:
  web:
    kind: api
    image: web:1
    port: 8000
    ports: {admin: 9000}
    expose: %s
    env: {SELF: "${self.public_url}"}
outputs: {URL: "${web.public_url}"}
"""
SETTINGS = {"domain": "previews.test", "namespace": "ingress"}


def plan(folder: Path, expose: str = "true", engine: str = "kubernetes", **settings: Any) -> Plan:
    return plan_of(folder, DEFINITION % expose, engine=traits(engine), expose=Exposure.of(settings), secret=lambda *words: "!".join(words))


def rendered(folder: Path, expose: str = "true", **settings: Any) -> Manifests:
    cluster = Cluster(expose=settings)
    return render_kubernetes(plan(folder, expose, **settings), Options(standalone=False, namespace="t-123456", cluster=cluster))


def the(found: Manifests, kind: str, name: str = "web") -> dict[str, Any]:
    return next(each for each in found.everything() if (each["kind"], each["metadata"]["name"]) == (kind, name))


@pytest.mark.parametrize("path", ["/", "/shop", "/shop/", "/.well-known/a~b", "/v1.2/a_b-c", "/a..b"])
def test_a_path_is_a_path(tmp_path: Path, path: str) -> None:
    assert plan(tmp_path, f"{{path: {path}}}", **SETTINGS).outputs["URL"] == "http://web-t-123456.previews.test" + path.rstrip("/")


@pytest.mark.parametrize(
    "path", ["shop", "/../admin", "/a/..", "/a/./b", "//a", "/a//", "/;}", "/{a}", "/$1", "/a'b", "/a%2Fb", "/a b", "/a\\nb", "/ä"]
)
def test_one_that_a_controller_could_read_as_more_is_a_mistake(tmp_path: Path, path: str) -> None:
    with pytest.raises(DefinitionError, match=r"expose\.path: .* does not have the right form"):
        plan(tmp_path, f'{{path: "{path}"}}', **SETTINGS)


@pytest.mark.parametrize(
    ("expose", "settings", "url"),
    [
        ("true", {}, "http://web-t-123456.previews.test"),
        ("true", {"tls": "default"}, "https://web-t-123456.previews.test"),
        ("{path: /shop}", {}, "http://web-t-123456.previews.test/shop"),
        ("{host: demo}", {}, "http://demo.previews.test"),
        ("{host: demo.example.org}", {}, "http://demo.example.org"),
    ],
)
def test_the_url_is_the_same_inside_and_outside(tmp_path: Path, expose: str, settings: dict[str, str], url: str) -> None:
    found = plan(tmp_path, expose, **SETTINGS, **settings)
    assert found.outputs["URL"] == found.services["web"].env["SELF"] == url


def test_without_a_domain_it_is_the_published_port(tmp_path: Path) -> None:
    found = plan(tmp_path, "{port: admin, path: /a/}")
    host, _, port = found.outputs["URL"].removeprefix("http://").removesuffix("/a").partition(":")
    assert host == "127.0.0.1"
    assert port == str(found.services["web"].outside_ports["admin"])
    assert found.services["web"].env["SELF"] == found.outputs["URL"]


def test_an_ingress_and_a_way_in(tmp_path: Path) -> None:
    found = rendered(tmp_path, "{port: admin, path: /x}", **SETTINGS, **{"class": "nginx", "tls": "cert", "annotations": {"a/b": "c"}})
    ingress = the(found, "Ingress")
    assert ingress["metadata"]["annotations"] == {"a/b": "c"}
    assert ingress["metadata"]["labels"]["envctl.instance"] == "t-123456"
    backend = {"service": {"name": "web", "port": {"number": 9000}}}
    paths = [{"path": "/x", "pathType": "Prefix", "backend": backend}]
    host = "web-t-123456.previews.test"
    assert ingress["spec"] == {
        "ingressClassName": "nginx", "tls": [{"hosts": [host], "secretName": "cert"}], "rules": [{"host": host, "http": {"paths": paths}}],
    }  # fmt: skip
    (rule,) = the(found, "NetworkPolicy")["spec"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 9000}], "the exposed port alone"
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]


def test_a_route_of_a_gateway(tmp_path: Path) -> None:
    spec = the(rendered(tmp_path, **SETTINGS, gateway="infra/public"), "HTTPRoute")["spec"]
    assert spec["parentRefs"] == [{"name": "public", "namespace": "infra"}]
    assert spec["hostnames"] == ["web-t-123456.previews.test"]
    assert spec["rules"][0]["backendRefs"] == [{"name": "web", "port": 8000}]


def test_a_password_is_asked_for_and_stands_in_a_secret_alone(tmp_path: Path) -> None:
    found = rendered(tmp_path, **SETTINGS, basic_auth="reviewer")
    annotations = the(found, "Ingress")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/auth-type"] == "basic"
    held = the(found, "Secret", annotations["nginx.ingress.kubernetes.io/auth-secret"])["data"]
    password, line = base64.b64decode(held["password"]), base64.b64decode(held["auth"]).decode()
    assert line == f"reviewer:{{SHA}}{base64.b64encode(hashlib.sha1(password).digest()).decode()}\n"
    assert password.decode() not in str(the(found, "Ingress"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"domain": "d.test"}, "does not say where the controller is"),
        ({**SETTINGS, "class": "a", "gateway": "b"}, "both a class and a gateway"),
        ({**SETTINGS, "gateway": "b", "basic_auth": "u"}, "no HTTPRoute can ask for"),
        ({**SETTINGS, "basic_auth": "a:b"}, "not a valid user name"),
    ],
)
def test_settings_that_do_not_go_together(tmp_path: Path, settings: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        rendered(tmp_path, **settings)


@pytest.mark.parametrize("expose", ["{port: nope}", "{port: 1}", "{path: shop}", "{host: 'A B'}", "{hosts: x}", "[1]"])
def test_what_is_no_exposure(tmp_path: Path, expose: str) -> None:
    with pytest.raises(DefinitionError, match=r"environment.yaml:\d+: services\.web\.expose"):
        plan(tmp_path, expose, **SETTINGS)


def test_without_a_domain_its_loss_is_told_and_nobody_is_let_in(tmp_path: Path) -> None:
    found = rendered(tmp_path)
    assert not [each for each in found.everything() if each["kind"] == "Ingress"]
    assert "envctl.toml names no domain" in "\n".join(found.losses)


def test_false_is_not_exposed(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="expose"):
        plan(tmp_path, "false", **SETTINGS)
