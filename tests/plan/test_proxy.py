"""The proxy for exposed services on engines other than Kubernetes: its hosts, their targets and their URLs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.engines.registry import traits
from envctl.errors import DefinitionError, UsageError
from envctl.instance.allocation import Allocation
from envctl.plan.exposing import Exposure
from envctl.plan.make import make_plan
from envctl.plan.model import Plan, Selection
from envctl.plan.proxy import PROXY, PROXY_PORT
from envctl.plan.render_setting import render_setting
from envctl.plan.traits import Addresses
from envctl.plan.transforms import apply
from tests.builders import environment_of, ports_of, setting_of

DEFINITION = """
services:
  web: {kind: api, image: web:1, run: serve, port: 8000, ports: {admin: 9000}, expose: %s, env: {SELF: "${self.public_url}"}}
  plain: {kind: stub}
outputs: {URL: "${web.public_url}"}
"""


def planned(folder: Path, given: str = "true", engine: str = "docker", selection: Selection | None = None, **changes: Any) -> Plan:
    environment = apply(environment_of(folder, DEFINITION % given), selection or Selection())
    allocation = Allocation({**ports_of(environment).ports, PROXY_PORT: 30000}, changes.pop("subnet", None))
    return make_plan(environment, setting_of(environment, engine=traits(engine), allocation=allocation, **changes))


def configuration(plan: Plan) -> str:
    return plan.services[PROXY].files["/etc/nginx/envctl.conf"].text or ""


@pytest.mark.parametrize("engine", ["docker", "local"])
@pytest.mark.parametrize(
    ("expose", "domain", "url"),
    [
        ("true", "", "http://web-t-123456.localhost:30000"),
        ("{path: /shop/}", "", "http://web-t-123456.localhost:30000/shop"),
        ("{host: demo}", "", "http://demo.localhost:30000"),
        ("{host: demo}", "previews.test", "http://demo.previews.test:30000"),
        ("{host: demo.example.org}", "", "http://demo.example.org:30000"),
    ],
)
def test_its_url_is_the_same_inside_and_outside(tmp_path: Path, engine: str, expose: str, domain: str, url: str) -> None:
    plan = planned(tmp_path, expose, engine, expose=Exposure(domain=domain))
    assert plan.outputs["URL"] == plan.services["web"].env["SELF"] == url
    assert plan.services[PROXY].needs == {"web": "seeded"}


def test_a_host_leads_to_the_port_that_is_named_by_the_path_that_is_named(tmp_path: Path) -> None:
    text = configuration(planned(tmp_path, "{port: admin, path: /shop}"))
    assert "server_name web-t-123456.localhost;" in text
    assert 'location = "/shop" {' in text
    assert 'location "/shop/" {' in text
    assert 'set $behind "http://web:9000";' in text
    assert "resolver 127.0.0.11" in text
    assert "plain" not in text


def test_a_path_is_a_place_of_its_own(tmp_path: Path) -> None:
    assert 'location = "/shop/v1.2" {' in configuration(planned(tmp_path, "{path: /shop/v1.2}"))


def test_a_process_of_this_machine_is_reached_through_the_gateway(tmp_path: Path) -> None:
    plan = planned(tmp_path, local=frozenset(["web"]), subnet="10.1.2.0/27")
    number = plan.setting.allocation.ports["web", "http"]
    assert f'"http://10.1.2.1:{number}"' in configuration(plan)


def test_each_lane_has_urls_of_its_own(tmp_path: Path) -> None:
    plan = planned(tmp_path, "{host: demo.test}", selection=Selection(lanes=2))
    assert [lane["URL"] for lane in plan.lanes] == ["http://demo.test:30000", "http://demo-lane2.test:30000"]
    assert 'set $behind "http://web-lane2:8000";' in configuration(plan)


def test_a_daemon_elsewhere_wants_a_domain(tmp_path: Path) -> None:
    """Names below localhost do not lead to a remote daemon."""
    there = Addresses(outside_host="10.0.0.7", publish_on="0.0.0.0")
    assert planned(tmp_path, addresses=there).outputs["URL"].startswith("http://10.0.0.7:2")
    known = planned(tmp_path, addresses=there, expose=Exposure(domain="previews.test"))
    assert known.outputs["URL"] == "http://web-t-123456.previews.test:30000"


def test_a_password_is_asked_for_and_masked(tmp_path: Path) -> None:
    plan = planned(tmp_path, expose=Exposure(basic_auth="reviewer"), secret=lambda *words: "!".join(words))
    assert "auth_basic_user_file" in configuration(plan)
    files = plan.services[PROXY].files
    assert (files["/etc/nginx/envctl.users"].text or "").strip().startswith("reviewer:{SSHA}")
    assert files["/etc/nginx/envctl.password"].text == f"{PROXY}!basic-auth"
    assert files["/etc/nginx/envctl.users"].secret
    assert f"{PROXY}!basic-auth" in plan.secrets
    with pytest.raises(UsageError, match="not a valid user name"):
        planned(tmp_path, expose=Exposure(basic_auth="a:b"))


def test_what_runs_elsewhere_is_where_it_runs(tmp_path: Path) -> None:
    plan = planned(tmp_path, selection=Selection(use={"web": "http://127.0.0.1:3000/x"}))
    assert plan.outputs["URL"] == "http://127.0.0.1:3000/x"
    assert PROXY not in plan.services


def test_nothing_exposed_is_no_proxy(tmp_path: Path) -> None:
    environment = environment_of(tmp_path, "services: {web: {kind: stub}}")
    assert PROXY not in make_plan(environment, setting_of(environment)).services
    assert PROXY not in planned(tmp_path, engine="kubernetes", expose=Exposure(domain="d.test", namespace="n")).services


def test_nobody_has_asked_for_the_proxy_among_the_outputs(tmp_path: Path) -> None:
    environment = environment_of(tmp_path, "services: {web: {kind: stub, expose: true}}")
    assert {name.partition("_")[0] for name in make_plan(environment, setting_of(environment)).outputs} == {"WEB"}


def test_render_knows_its_port(tmp_path: Path) -> None:
    environment = environment_of(tmp_path, DEFINITION % "true")
    plan = make_plan(environment, render_setting(environment, "t", traits("docker"), {}))
    port = plan.services[PROXY].ports[0]
    assert port.reserved
    assert plan.outputs["URL"] == f"http://web-t.localhost:{port.outside}"


def test_one_url_for_two_is_a_mistake(tmp_path: Path) -> None:
    text = DEFINITION % "{host: one}"
    text = text.replace("plain: {kind: stub}", "plain: {kind: stub, expose: {host: one}}")
    environment = environment_of(tmp_path, text)
    with pytest.raises(DefinitionError, match=r"environment.yaml:\d+: services\.plain\.expose: .*would both be http://one"):
        make_plan(environment, setting_of(environment))


def test_a_projects_own_web_is_not_the_proxy(tmp_path: Path) -> None:
    own = "kind: web\ntitle: Ours\ndescription: Ours.\nimage: ours\nversion: '1'\nports: {http: 80}\n"
    environment = environment_of(tmp_path, DEFINITION % "true", {"templates/kinds/web.yaml": own})
    assert make_plan(environment, setting_of(environment)).services[PROXY].image == "nginx:1.26"
