from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from envctl.cluster.manifests import cluster_objects
from envctl.engines.registry import traits
from envctl.environment import open_environment
from envctl.errors import DefinitionError, UsageError
from envctl.plan.addressing import Addressing
from envctl.plan.make import make_plan
from envctl.plan.model import Check, File, Limits, Plan, Requested, ServicePlan, Setting
from envctl.plan.render_setting import render_setting
from envctl.render.kubernetes import Manifests, Options, manifests_yaml, once_job, pushed_image, render_kubernetes
from envctl.render.kubernetes.rendering import ImageFacts, label_value
from envctl.render.kubernetes.secrets import one_of
from envctl.render.kubernetes_settings import Cluster
from tests.builders import job, plan_of, plan_with, port, service, step_of

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [
    ROOT / "environments/minimal.yaml",
    ROOT / "environments/shop/environment.yaml",
    ROOT / "environments/streaming/environment.yaml",
]
EXAMPLES += sorted((ROOT / "docs/examples").glob("*.yaml"))
SECRET = "s3cret/of $(the) db"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def options(**changes: Any) -> Options:
    return Options(**{"standalone": True, "namespace": "t-123456", **changes})


def planned(path: Path, **changes: Any) -> Plan:
    environment = open_environment(path, cwd=ROOT, environ={})
    return make_plan(environment, replace(render_setting(environment, environment.definition.name, traits("kubernetes"), {}), **changes))


def rendered(*services: ServicePlan, plan: Mapping[str, Any] | None = None, **changes: Any) -> Manifests:
    given = {"setting": replace(plan_with().setting, engine=traits("kubernetes")), **(plan or {})}
    addressing = Addressing(given["setting"])
    named = [replace(each, host=addressing.name(each.name)) for each in services]
    return render_kubernetes(plan_with(*named, **given), options(**changes))


def objects(found: Manifests, kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in found.everything() if each["kind"] == kind}


def pod(found: Manifests, name: str) -> dict[str, Any]:
    (running,) = found.services[name].workload
    return dict(running["spec"]["template"]["spec"])


def containers(found: Manifests) -> Iterator[dict[str, Any]]:
    for parts in found.services.values():
        for running in parts.workload:
            spec = running["spec"]["template"]["spec"]
            yield from (*spec.get("initContainers", []), *spec["containers"])


def main(found: Manifests, name: str) -> dict[str, Any]:
    return dict(pod(found, name)["containers"][0])


def secrets(found: Manifests) -> dict[tuple[str, str], str]:
    return {
        (name, key): base64.b64decode(value).decode()
        for name, each in objects(found, "Secret").items()
        for key, value in each["data"].items()
    }


def expanded(text: str, known: Mapping[str, str]) -> str:
    """Expand a variable as the kubelet does: `$(NAME)` if NAME is known, `$$` to `$`, and nothing else."""
    return re.sub(r"\$(\$|\(([^)]*)\))", lambda m: "$" if m[1] == "$" else known.get(m[2], m[0]), text)


def environment(container: Mapping[str, Any], held: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """Return a container's environment variables; a reference only sees the variables before it."""
    found: dict[str, str] = {}
    for each in container.get("env", []):
        if "valueFrom" in each:
            reference = each["valueFrom"]["secretKeyRef"]
            found[each["name"]] = held[reference["name"], reference["key"]]
        else:
            found[each["name"]] = expanded(each["value"], found)
    return found


def of_team(name: str, **changes: Any) -> ServicePlan:
    return service(name, **{"own": True, **changes})


# Every example


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.parent.name if path.stem == "environment" else path.stem)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return an example's definition, with its files beside it if it has a folder of its name."""
    found: Path = request.param
    if not found.with_suffix("").is_dir():
        return found
    shutil.copytree(found.with_suffix(""), tmp_path, dirs_exist_ok=True)
    return Path(shutil.copy(found, tmp_path))


@pytest.mark.parametrize("standalone", [True, False])
def test_every_example_is_fit_for_clusters_of_others(path: Path, standalone: bool) -> None:
    found = render_kubernetes(planned(path), options(standalone=standalone))
    assert found.services
    for parts in found.services.values():
        (running,) = parts.workload
        spec = running["spec"]["template"]["spec"]
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
        assert spec["serviceAccountName"] in objects(found, "ServiceAccount")
        assert set(running["metadata"]["labels"]) <= set(running["spec"]["template"]["metadata"]["labels"])
    for container in containers(found):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert all(container["resources"][what][of] for what in ("requests", "limits") for of in ("cpu", "memory"))


@pytest.mark.parametrize("standalone", [True, False])
def test_every_example_refers_to_what_is_there(path: Path, standalone: bool) -> None:
    found = render_kubernetes(planned(path), options(standalone=standalone))
    held, maps = secrets(found), objects(found, "ConfigMap")
    for parts in found.services.values():
        spec = parts.workload[0]["spec"]["template"]["spec"]
        volumes = {each["name"]: each for each in spec.get("volumes", [])}
        assert len(volumes) == len(spec.get("volumes", []))
        for container in (*spec.get("initContainers", []), *spec["containers"]):
            environment(container, held)
            paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
            assert len(paths) == len(set(paths))
            for mount in container.get("volumeMounts", []):
                volume = volumes[mount["name"]]
                if "configMap" in volume and "subPath" in mount:
                    content = maps[volume["configMap"]["name"]]
                    assert mount["subPath"] in {**content.get("data", {}), **content.get("binaryData", {})}
                if "secret" in volume:
                    assert all((volume["secret"]["secretName"], item["key"]) in held for item in volume["secret"]["items"])


def test_passwords_are_in_secrets_only(path: Path) -> None:
    plan = planned(path)
    found = render_kubernetes(plan, options())
    text = json.dumps([each for each in found.everything() if each["kind"] != "Secret"], ensure_ascii=False)
    assert [secret for secret in plan.secrets if secret in text] == []
    passwords = [p for s in plan.services.values() for key, p in s.inside.items() if "password" in key and p]
    assert [password for password in passwords if password in text] == []


def test_with_a_secret_of_somebody_else_no_password_is_written(path: Path) -> None:
    plan = planned(path)
    found = render_kubernetes(plan, options(existing_secret="of-the-vault"))
    text = manifests_yaml(found) + "\n".join(found.losses)
    hidden = set(plan.secrets) | {base64.b64encode(secret.encode()).decode() for secret in plan.secrets}
    assert [secret for secret in hidden if secret in text] == []
    assert objects(found, "Secret") == {}
    asked = set(re.findall(r"secretKeyRef:\n\s+name: of-the-vault\n\s+key: (\S+)", text))
    assert {key for key in asked if f"the Secret of-the-vault must have the key {key}: " not in text} == set()


def test_the_same_plan_gives_the_same_bytes(path: Path) -> None:
    first, second = (manifests_yaml(render_kubernetes(planned(path), options())) for _ in range(2))
    assert first == second
    assert list(yaml.safe_load_all(first)) == list(render_kubernetes(planned(path), options()).everything())


def test_the_environment_that_a_container_gets_is_that_of_the_plan(path: Path) -> None:
    plan = planned(path)
    found = render_kubernetes(plan, options(standalone=False))
    held = secrets(found)
    for each in plan.services.values():
        container = main(found, each.name)
        given = environment(container, held)
        assert {key: given[key] for key in each.env} == dict(each.env)
        words = [expanded(word, given) for word in (*container.get("command", []), *container.get("args", []))]
        assert words == [*(each.run or each.entrypoint), *each.command]


# Values byte for byte


@given(TEXT, TEXT.filter(bool), st.text("$()AB_ENVCTLSR", max_size=12), st.booleans())
def test_composed_values_come_back_byte_for_byte(before: str, secret: str, after: str, names_clash: bool) -> None:
    value = before + secret + after
    env = {"A": value, "B": after, "C": secret} | ({"ENVCTL_SECRET_X_C": "taken"} if names_clash else {})
    found = rendered(service("x", env=env, run=("sh", value), command=(after, value)), plan={"secrets": frozenset({secret})})
    container, held = main(found, "x"), secrets(found)
    given_env = environment(container, held)
    assert {key: given_env[key] for key in env} == env
    assert [expanded(word, given_env) for word in container["command"]] == ["sh", value]
    assert [expanded(word, given_env) for word in container["args"]] == [after, value]
    assert list(yaml.safe_load_all(manifests_yaml(found))) == list(found.everything())


@given(st.lists(st.text("ab(.", min_size=1, max_size=6), min_size=1, unique=True), st.text("ab(.", max_size=30))
def test_the_longest_secret_is_found(texts: list[str], text: str) -> None:
    longest_first = "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    found = [each[0] for each in re.finditer(one_of(sorted(texts)), text)]
    assert found == [each[0] for each in re.finditer(longest_first, text)]


def test_a_secret_stands_in_no_other_object() -> None:
    found = rendered(
        of_team("x", env={"URL": f"pg://u:{SECRET}@db"}, files={"/etc/x": File(text=f"password {SECRET}"), "/etc/y": File(text="plain")}),
        plan={"secrets": frozenset({SECRET})},
    )
    assert objects(found, "ConfigMap")["x-files"]["data"] == {"etc_y": "plain"}
    assert SECRET not in json.dumps([each for each in found.everything() if each["kind"] != "Secret"])
    assert sorted(secrets(found).values()) == sorted([SECRET, f"password {SECRET}"])


def test_a_probe_that_names_a_password_is_a_script_in_the_secret() -> None:
    found = rendered(
        service("x", healthcheck=("CMD", "client", SECRET), checks=(Check("command", {"command": ["client", SECRET]}),)),
        plan={"secrets": frozenset({SECRET})},
    )
    assert main(found, "x")["startupProbe"]["exec"] == {"command": ["sh", "/opt/envctl-probe/check"]}
    assert secrets(found)["x", "x.probe"] == f"client '{SECRET}'\n"


# Files


def test_binary_and_executable_files(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("#!/bin/sh\n")
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "image").write_bytes(b"\xff\0\xfe")
    found = rendered(
        service(
            "x",
            files={"/bin/run": File(source=tmp_path / "run", root=tmp_path), "/srv/image": File(source=tmp_path / "image", root=tmp_path)},
        )
    )
    content = objects(found, "ConfigMap")["x-files"]
    assert (content["data"], content["binaryData"]) == ({"bin_run": "#!/bin/sh\n"}, {"srv_image": "/wD+"})
    modes = {v["name"]: v["configMap"]["defaultMode"] for v in pod(found, "x")["volumes"] if "configMap" in v}
    mounts = {m["mountPath"]: modes.get(m["name"]) for m in main(found, "x")["volumeMounts"]}
    assert (mounts["/bin/run"], mounts["/srv/image"]) == (0o555, 0o444)


def test_files_are_spread_over_as_many_config_maps_as_kubectl_can_apply() -> None:
    found = rendered(service("x", files={f"/srv/{n}": File(text="x" * 60_000) for n in range(8)}))
    maps = objects(found, "ConfigMap")
    assert sorted(maps) == ["x-files", "x-files-2", "x-files-3"]
    assert all(len(json.dumps(each)) < 262_144 for each in maps.values())


def test_a_file_that_only_server_side_apply_takes_is_a_loss() -> None:
    found = rendered(service("x", files={"/srv/x": File(text="x" * 300_000)}))
    assert "x: /srv/x is too large for plain `kubectl apply`; `kubectl apply --server-side` takes it" in found.losses


def test_a_file_that_kubernetes_does_not_take() -> None:
    with pytest.raises(UsageError, match=r"x: /srv/x has 1025 KiB, and a file on Kubernetes may have 1024"):
        rendered(service("x", files={"/srv/x": File(text="x" * (1025 << 10))}))


def test_a_folder_of_ours_is_mounted_whole() -> None:
    found = rendered(service("x", files={"/opt/envctl-stub/b.py": File(text="b"), "/opt/envctl-stub/c.py": File(text="c")}))
    (volume,) = (each for each in pod(found, "x")["volumes"] if "projected" in each)
    items = [{"key": "opt_envctl-stub_b.py", "path": "b.py"}, {"key": "opt_envctl-stub_c.py", "path": "c.py"}]
    assert volume["projected"]["sources"] == [{"configMap": {"name": "x-files", "items": items}}]


def test_one_with_folders_inside_is_not_for_they_would_be_links() -> None:
    found = rendered(service("x", files={"/opt/envctl-routes/a/b.json": File(text="b"), "/opt/envctl-routes/c.json": File(text="c")}))
    assert not [each for each in pod(found, "x")["volumes"] if "projected" in each]
    mounts = {each["mountPath"] for each in pod(found, "x")["containers"][0]["volumeMounts"]}
    assert mounts >= {"/opt/envctl-routes/a/b.json", "/opt/envctl-routes/c.json"}


# The network


def allowed(found: Manifests) -> set[tuple[str, str, int]]:
    """Return the reader, target and port of each connection that the policies of both sides allow."""
    ingress, egress = set(), set()
    for policy in objects(found, "NetworkPolicy").values():
        own = policy["spec"]["podSelector"]["matchLabels"].get("envctl.network")
        for rule in policy["spec"].get("ingress", []):
            ingress |= {(p["podSelector"]["matchLabels"]["envctl.network"], own, q["port"]) for p in rule["from"] for q in rule["ports"]}
        for rule in policy["spec"].get("egress", []):
            peers = [p for p in rule.get("to", []) if "podSelector" in p]
            egress |= {(own, p["podSelector"]["matchLabels"]["envctl.network"], q["port"]) for p in peers for q in rule["ports"]}
    assert ingress == egress
    return ingress


def test_the_network_allows_what_the_references_need_and_no_more(tmp_path: Path) -> None:
    text = """
        services:
          db: {kind: postgres, seed: [{command: migrate, in: orders}]}
          cache: {kind: valkey}
          mail: {kind: mail}
          orders: {image: "x:1", port: 8000, needs: {mail: started}}
          web: {image: "x:1", port: 80, env: {API: "${orders.url}"}, needs: {orders: none}}
    """
    found = render_kubernetes(plan_of(tmp_path, text, engine=traits("kubernetes")), options())
    assert allowed(found) == {("orders", "db", 5432), ("orders", "mail", 1025), ("orders", "mail", 8025), ("web", "orders", 8000)}
    deny = objects(found, "NetworkPolicy")["envctl-deny"]["spec"]
    assert deny == {"podSelector": {"matchLabels": {"envctl.instance": "t-123456"}}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://10.1.2.3:8080/x", {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 8080}]}),
        ("https://api.example.com", {"ports": [{"protocol": "TCP", "port": 443}]}),
        ("http://127.0.0.1:8080", None),
    ],
)
def test_a_server_that_runs_elsewhere(url: str, rule: Any) -> None:
    found = rendered(service("x", refers=frozenset({"api"})), plan={"used": {"api": url}})
    policy = objects(found, "NetworkPolicy").get("x")
    assert (policy["spec"]["egress"] if policy else []) == ([rule] if rule else [])
    assert any(loss.startswith("api: ") for loss in found.losses) == (rule is None)


# Order


def test_plain_kubectl_keeps_the_order_of_starting() -> None:
    services = [service("db", ports=(port("db", 5432),)), job("migrate", needs={"db": "seeded"})]
    services += [service("api", needs={"migrate": "done", "db": "ready"}), service("late", needs={"api": "ready", "db": "started"})]
    found = rendered(*services)
    (waiting,) = pod(found, "api")["initContainers"]
    assert waiting["command"][3:] == ["migrate:15098", "db:5432"]
    assert "initContainers" not in pod(found, "late")
    assert "late: it needs api, which listens on no port, so nothing waits for it" in found.losses
    migrating = pod(found, "migrate")
    assert [each["name"] for each in migrating["initContainers"]] == ["envctl-wait", "migrate"]
    assert [each["name"] for each in migrating["containers"]] == ["envctl-done"]
    assert objects(found, "Service")["migrate"]["spec"]["ports"][0]["port"] == 15098
    assert ("api", "migrate", 15098) in allowed(found)


def test_under_up_nobody_waits_and_a_job_is_a_job() -> None:
    services = [service("db", ports=(port("db", 5432),)), job("migrate", needs={"db": "seeded"}), service("api", needs={"migrate": "done"})]
    found = rendered(*services, standalone=False)
    assert not any("initContainers" in pod(found, each.name) for each in services)
    assert objects(found, "Job")["migrate"]["spec"]["backoffLimit"] == 0
    assert pod(found, "migrate")["restartPolicy"] == "Never"


# Probes


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (Check("http", {"path": "/healthz"}), {"httpGet": {"path": "/healthz", "port": 8000}}),
        (Check("http", {"path": "/", "status": "any"}), {"tcpSocket": {"port": 8000}}),
        (Check("http", {"path": "/", "port": "admin"}), {"httpGet": {"path": "/", "port": 9000}}),
        (Check("tcp", {"port": 77}), {"tcpSocket": {"port": 77}}),
    ],
)
def test_checks_of_an_own_service_are_native(check: Check, expected: dict[str, Any]) -> None:
    ports = (port("http", 8000), port("admin", 9000))
    container = main(rendered(of_team("x", ports=ports, checks=(check,), healthcheck=("CMD-SHELL", "true"), ready_timeout=20.0)), "x")
    assert container["startupProbe"] == {**expected, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 100}
    assert container["readinessProbe"] == {**expected, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}


def test_a_check_that_nobody_in_a_cluster_can_make_is_a_loss() -> None:
    found = rendered(of_team("x", checks=(Check("log", {"log": "ready"}),)))
    assert "startupProbe" not in main(found, "x")
    assert "x: its readiness (log), which the kubelet cannot check" in found.losses


def test_a_status_that_the_kubelet_does_not_take_is_a_loss() -> None:
    found = rendered(of_team("x", ports=(port("http", 80),), checks=(Check("http", {"path": "/", "status": 401}),)))
    assert "x: its readiness (http with status 401), which the kubelet cannot check" in found.losses


# Settings of a definition


def test_resources() -> None:
    asked = main(rendered(service("x", resources=Limits(cpu=0.01, memory=32 << 20))), "x")["resources"]
    assert asked == {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "10m", "memory": "32Mi"}}


@pytest.mark.parametrize(("stop", "grace"), [(0.0, 1), (0.5, 1), (10.0, 10), (2.5, 3)])
def test_stop(stop: float, grace: int) -> None:
    assert pod(rendered(service("x", stop=stop)), "x")["terminationGracePeriodSeconds"] == grace


def test_a_user_that_nobody_knows() -> None:
    found = rendered(service("x"))
    assert pod(found, "x")["securityContext"]["runAsUser"] == 65534
    assert any(loss.startswith("x: its image's user is not known") for loss in found.losses)


def test_a_fragment_is_merged_into_the_workload() -> None:
    container = {"name": "x", "securityContext": {"runAsUser": 7}}
    spec = {"nodeSelector": {"disk": "ssd"}, "enableServiceLinks": None, "containers": [container, {"name": "more", "image": "y:1"}]}
    raw = {
        "metadata": {"labels": {"envctl.instance": "of-another", "mine": "1"}},
        "spec": {"template": {"metadata": {"labels": {"envctl.service": "y"}}, "spec": spec}},
    }
    found = rendered(service("x", kubernetes=raw))
    (running,) = found.services["x"].workload
    assert running["metadata"]["labels"] | {"mine": "1", "envctl.instance": "t-123456"} == running["metadata"]["labels"]
    assert running["spec"]["template"]["metadata"]["labels"]["envctl.service"] == "x"
    assert "enableServiceLinks" not in pod(found, "x")
    own, more = pod(found, "x")["containers"]
    assert (own["image"], own["securityContext"]["runAsUser"]) == ("x:1", 7)
    assert own["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert more == {"name": "more", "image": "y:1"}


def test_objects_of_a_definition_get_our_labels_and_namespace() -> None:
    raw = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "labels": {"a": "b"}}, "data": {"x": "${y}"}}]
    mine = objects(rendered(service("x", kubernetes=raw)), "ConfigMap")["mine"]
    assert (mine["data"], mine["metadata"]["namespace"]) == ({"x": "${y}"}, "t-123456")
    assert mine["metadata"]["labels"] | {"a": "b", "envctl.service": "x"} == mine["metadata"]["labels"]


def test_two_services_of_one_name() -> None:
    with pytest.raises(UsageError, match="a_b and a-b would both have the Deployment a-b"):
        rendered(service("a_b"), service("a-b"))


def test_a_namespace_of_others(tmp_path: Path) -> None:
    setting = replace(plan_with().setting, engine=traits("kubernetes"), shared=True)
    found = rendered(
        service("db", ports=(port("db", 1),)), plan={"setting": setting}, namespace="theirs", cluster=Cluster(quota={"pods": "9"})
    )
    assert objects(found, "Namespace") == objects(found, "ResourceQuota") == {}
    assert {each["metadata"]["namespace"] for each in found.everything()} == {"theirs"}
    assert all(each["metadata"]["name"].startswith("t-123456") for each in found.everything())
    assert any("quota" in loss for loss in found.losses)


def test_what_envctl_toml_says_of_clusters() -> None:
    wanted = Cluster({"team": "x", "envctl.name": "theirs"}, ["login"], "low", {"pods": "9"})
    found = rendered(service("x"), cluster=wanted)
    assert all(each["metadata"]["labels"]["team"] == "x" for each in found.everything())
    assert all(each["metadata"]["labels"]["envctl.name"] == "t" for each in found.everything())
    assert (pod(found, "x")["imagePullSecrets"], pod(found, "x")["priorityClassName"]) == ([{"name": "login"}], "low")
    assert objects(found, "ResourceQuota")["envctl-quota"]["spec"] == {"hard": {"pods": "9"}}


@pytest.mark.parametrize(
    ("image", "registry", "expected"),
    [("a/b:1", None, "a/b:1"), ("a/b:1", "127.0.0.1:5000", "127.0.0.1:5000/a/b:1"), ("a/b:1", "r/x/", "r/x/a/b:1")],
)
def test_pushed_images(image: str, registry: str | None, expected: str) -> None:
    assert pushed_image(image, registry) == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_labels_are_always_ones(text: str) -> None:
    assert re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", label_value(text))


# The exec agent, and jobs in a service's place


def test_hands_only_where_somebody_needs_them() -> None:
    setting = Setting("t", "t-123456", "t", Path("/project"), traits("kubernetes"), lambda service, parameter: f"{service}-{parameter}")
    steps = (step_of("db", step={"command": "seed", "in": "server"}),)
    for standalone, expected in ((True, ["db"]), (False, ["db", "envctl-ears", "envctl-exec-agent"])):
        found = rendered(service("db", steps=steps), service("api"), plan={"setting": setting}, standalone=standalone)
        assert [each["name"] for each in pod(found, "db")["containers"]] == expected
        assert [each["name"] for each in pod(found, "api")["containers"]] == ["api"]
    assert secrets(found)["db", "exec-agent"] == "db-exec-agent"
    assert "def main" in objects(found, "ConfigMap")["db-exec-agent"]["data"]["exec_agent.py"]
    assert "shareProcessNamespace" not in pod(found, "db")


def test_a_job_in_the_place_of_a_service(tmp_path: Path) -> None:
    text = """
        services:
          db: {kind: postgres, seed: [{command: "migrate ${self.url}", in: orders}]}
          orders: {image: "x:1", run: serve, port: 8000, env: {A: "${db.url}"}}
    """
    plan = plan_of(tmp_path, text, engine=traits("kubernetes"))
    wanted = options(standalone=False)
    found, orders = render_kubernetes(plan, wanted), plan.services["orders"]
    made = once_job(plan, orders, plan.services["db"].steps[0].command, "db-seed-0", wanted)
    spec, marks = made["spec"]["template"]["spec"], made["spec"]["template"]["metadata"]["labels"]
    assert (made["kind"], made["metadata"]["name"], spec["restartPolicy"]) == ("Job", "db-seed-0", "Never")
    assert (marks["envctl.once"], marks["envctl.for"], marks["envctl.network"]) == ("true", "orders", "orders")
    assert "envctl.service" not in marks
    (container,) = spec["containers"]
    known = environment(container, secrets(found))
    assert [expanded(word, known) for word in container["command"]] == list(plan.services["db"].steps[0].command)
    assert known["A"] == orders.env["A"]
    assert not {"args", "startupProbe", "readinessProbe"} & container.keys()


# A project's own templates


def in_project(folder: Path, template: str) -> Manifests:
    (folder / "templates/kubernetes").mkdir(parents=True)
    (folder / "templates/kubernetes/service.yaml.j2").write_text(template)
    setting = replace(plan_with().setting, project=folder)
    return rendered(service("x", ports=(port("http", 80),)), plan={"setting": setting})


def test_a_project_s_own_template_wins(tmp_path: Path) -> None:
    found = in_project(
        tmp_path, "apiVersion: v1\nkind: Service\nmetadata: {{ metadata }}\nspec: {type: NodePort, note: 'for {{ ports[0].name }}'}\n"
    )
    assert objects(found, "Service")["x"]["spec"] == {"type": "NodePort", "note": "for http"}


ALIASES = [f"{to}: &{to} [{', '.join([f'*{of}'] * 10)}]\n" for of, to in zip("abcdefg", "bcdefgh", strict=True)]


@pytest.mark.parametrize(
    ("template", "line", "words"),
    [
        ("kind: {{ unknown }}", 1, "'unknown' is not defined"),
        ("a: 1\nkind: {{ unknown.x }}", 2, "'unknown' is not defined"),
        ("a: 1\n{% if %}", 2, "TemplateSyntaxError"),
        ("a: [", 1, "not valid YAML"),
        ("kind: Service", 1, "not a Kubernetes object"),
        ("- a", 1, "this is a list"),
        ("a: 1\n{% for x in range(9999) %}{% set y = [" + "1, " * 3000 + "] %}{% endfor %}", 2, "steps together"),
        ("{% macro m(n) %}{% for x in range(9999) %}{{ m(n) }}{% endfor %}{% endmacro %}\n{{ m(1) }}", 1, ""),
        ("{% set x = 'x' * 4999999 %}\na: [{{ x }}, {{ x }}]", 1, "characters together"),
        ("a: 1\nb: {{ 'x' | center(10 ** 9) }}", 2, "too large"),
        ("a: 1\n{% include 'service.yaml.j2' %}", 2, "includes itself"),
        ("{% set x %}{% for n in range(9000) %}{% filter center(5000) %}x{% endfilter %}{% endfor %}{% endset %}", 1, "together"),
        ("a: &a [1, 1, 1, 1, 1, 1]\n" + "".join(ALIASES), 1, "values in this file"),
        ("{{ ''.__class__.__mro__ }}", 1, "unsafe"),
    ],
)  # fmt: skip
def test_a_template_that_is_wrong_is_named(tmp_path: Path, template: str, line: int, words: str) -> None:
    with pytest.raises(DefinitionError, match=rf"templates/kubernetes/service\.yaml\.j2:{line}: ") as caught:
        in_project(tmp_path, template)
    assert words in str(caught.value)


# Compose files


def test_what_a_compose_file_says() -> None:
    compose = {
        "command": ["serve", "$$HOME"],
        "entrypoint": ["/entry"],
        "user": "1000:1000",
        "working_dir": "/srv",
        "healthcheck": {"test": ["CMD-SHELL", "test $$A = 1"]},
        "volumes": [{"type": "volume", "source": "data", "target": "/data"}, {"type": "bind", "source": "/home/x", "target": "/x"}],
        "cap_add": ["NET_ADMIN"],
        "deploy": {"resources": {"limits": {"cpus": "0.5", "memory": "67108864"}}},
    }
    found = rendered(service("x", from_compose=True, own=True, compose=compose))
    container = main(found, "x")
    assert (container["command"], container["args"], container["workingDir"]) == (["/entry"], ["serve", "$$HOME"], "/srv")
    assert container["startupProbe"]["exec"]["command"] == ["sh", "-c", "test $A = 1"]
    assert container["resources"]["limits"] == {"cpu": "500m", "memory": "64Mi"}
    assert pod(found, "x")["securityContext"]["runAsUser"] == 1000
    assert "/data" in [mount["mountPath"] for mount in container["volumeMounts"]]
    text = "\n".join(found.losses)
    assert [words for words in ("cap_add", "/home/x", "the volume data") if words not in text] == []


def test_a_fragment_for_compose_is_a_loss() -> None:
    found = rendered(service("x", compose={"cap_add": ["NET_ADMIN"]}))
    assert any("`compose:` (cap_add)" in loss for loss in found.losses)


def test_files_that_a_compose_file_binds_are_copied_where_they_are_few(tmp_path: Path) -> None:
    (tmp_path / "init").mkdir()
    (tmp_path / "init" / "one.sql").write_text("select 1;")
    (tmp_path / "many").mkdir()
    for number in range(51):
        (tmp_path / "many" / str(number)).touch()
    (tmp_path / "token").write_text("of the file")
    volumes = [{"type": "bind", "source": str(tmp_path / name), "target": f"/{name}"} for name in ("init", "many")]
    volumes.append({"type": "bind", "source": "/etc/hostname", "target": "/hostname"})
    compose = {"volumes": volumes, "configs": [{"source": "c", "target": "/etc/c"}], "secrets": [{"source": "token"}, {"source": "gone"}]}
    compose["secrets"].append({"source": "told", "target": "/etc/told"})
    shared = {"token": {"file": str(tmp_path / "token")}, "gone": {"environment": "X"}, "told": {"environment": "Y"}}
    setting = replace(plan_with().setting, engine=traits("kubernetes"), project=tmp_path)
    given = {"compose_extra": {"configs": {"c": {"content": "a $$b"}}, "secrets": shared}, "compose_variables": {"Y": "$y"}}
    found = rendered(service("x", from_compose=True, compose=compose), plan={"setting": setting, **given})
    assert objects(found, "ConfigMap")["x-files"]["data"] == {"init_one.sql": "select 1;", "etc_c": "a $b"}
    assert secrets(found) == {("x", "x.file.run_secrets_token"): "of the file", ("x", "x.file.etc_told"): "$y"}
    text = "\n".join(found.losses)
    assert [words for words in (f"{tmp_path}/many is not on", "/etc/hostname is not on", "secrets: gone") if words not in text] == []


@pytest.mark.parametrize(
    ("networks", "told"), [({"default": {}}, False), ({"a": None, "b": {}}, False), ({"a": {"external": True}}, True), ({}, False)]
)
def test_networks_that_keep_nobody_apart_are_no_loss_unless_others_are_there(networks: dict[str, Any], told: bool) -> None:
    losses = rendered(service("x", from_compose=True), plan={"compose_extra": {"networks": networks}}).losses
    assert any("reach each other on one" in loss for loss in losses) is told


def test_services_of_a_compose_file_reach_each_other_on_every_port() -> None:
    aliased = {"networks": {"default": {"aliases": ["my-cache", "not_a_name"]}}}
    found = rendered(service("api", from_compose=True), service("cache", from_compose=True, compose=aliased))
    services = objects(found, "Service")
    assert sorted(services) == ["api", "cache", "my-cache"]
    assert {each["spec"]["clusterIP"] for each in services.values()} == {"None"}
    (rule,) = objects(found, "NetworkPolicy")["cache"]["spec"]["ingress"]
    assert rule == {"from": [{"podSelector": {"matchLabels": {"envctl.instance": "t-123456", "envctl.network": "api"}}}]}


@pytest.mark.parametrize(
    ("joined", "told"),
    [
        ([None, None], False),
        ([None, ["default"]], False),
        ([["back"], ["back"]], False),
        ([["front", "back"], ["back"]], False),
        ([["front"], ["front", "back"], ["back"]], True),
        ([None, ["back"]], True),
    ],
)
def test_networks_are_a_loss_where_they_keep_services_apart(joined: list[list[str] | None], told: bool) -> None:
    composes = [{"networks": dict.fromkeys(names)} if names else {} for names in joined]
    services = [service(f"s{number}", from_compose=True, compose=compose) for number, compose in enumerate(composes)]
    shared = service("shared", from_compose=True, compose={"network_mode": "service:s0"})
    found = rendered(*services, shared, plan={"compose_extra": {"networks": {"back": {}, "default": {}}}})
    assert any("reach each other on one" in loss for loss in found.losses) is told


@pytest.mark.parametrize(
    ("compose", "lost"),
    [
        ({"develop": {"watch": []}, "attach": False}, ""),
        ({"links": ["db", "db:db"], "logging": {"driver": "json-file", "options": {"max-size": "1m"}}}, ""),
        ({"pull_policy": "build", "logging": {"options": {"tag": "x"}}}, ""),
        ({"links": ["db:database"]}, "links"),
        ({"logging": {"driver": "syslog"}, "pull_policy": "always"}, "logging, pull_policy"),
        ({"platform": "linux/amd64"}, "platform"),
    ],
)
def test_what_makes_no_difference_in_a_pod_is_no_loss(compose: dict[str, Any], lost: str) -> None:
    found = rendered(service("x", from_compose=True, compose=compose))
    assert [loss for loss in found.losses if "of its Compose file" in loss] == ([f"x: of its Compose file: {lost}"] if lost else [])


@pytest.mark.parametrize(("user", "known", "told"), [("postgres", 999, False), ("postgres", None, True), ("root", 999, True)])
def test_a_user_by_name_is_a_loss_unless_the_kind_knows_its_number(user: str, known: int | None, told: bool) -> None:
    found = rendered(service("x", user=known, from_compose=True, compose={"user": user}))
    assert any(f"`user: {user}`" in loss for loss in found.losses) is told


# Rights

ROLES = {each["metadata"]["name"]: each for each in cluster_objects(teams=["team"]) if each["kind"] in ("Role", "ClusterRole")}
PLURALS = {"NetworkPolicy": "networkpolicies"}


def rights(role: str) -> set[tuple[str, str, str]]:
    """Return the API group, resource and verb of each right of *role*."""
    rules = ROLES[role]["rules"]
    return {(group, what, verb) for rule in rules for group in rule["apiGroups"] for what in rule["resources"] for verb in rule["verbs"]}


@pytest.mark.parametrize("role", ["envctl-system-instance", "envctl"])
def test_a_role_suffices_for_every_kind_of_object(role: str) -> None:
    plan = planned(ROOT / "environments/shop/environment.yaml", shared=role == "envctl")
    found = [*render_kubernetes(plan, options(standalone=False, cluster=Cluster(quota={"pods": "9"}))).everything()]
    found.append(once_job(plan, plan.services["orders"], ["true"], "x", options(standalone=False)))
    for each in found:
        group, resource = each["apiVersion"].rpartition("/")[0], PLURALS.get(each["kind"], each["kind"].lower() + "s")
        wanted = {(group, resource, verb) for verb in ("get", "list", "create", "patch", "delete")}
        assert wanted <= rights(role if each["kind"] != "Namespace" else "envctl-system-provisioner")


INGRESS = {
    "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
    "spec": {
        "tls": [{"secretName": "cert"}],
        "rules": [{"http": {"paths": [{"backend": {"service": {"name": "my_web", "port": {"number": 80}}}}]}}],
    },
}  # fmt: skip
CERT = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cert"}, "stringData": {"secretName": "other"}}


@pytest.mark.parametrize(("shared", "prefix"), [(False, ""), (True, "t-123456-")])
def test_what_is_added_has_the_names_of_the_instance(shared: bool, prefix: str) -> None:
    setting = replace(plan_with().setting, engine=traits("kubernetes"), shared=shared, id="t-123456")
    web = service("my_web", ports=(port("http", 80),), kubernetes=[INGRESS, CERT])
    found = rendered(web, plan={"setting": setting})
    [ingress] = objects(found, "Ingress").values()
    assert ingress["metadata"]["name"] == f"{prefix}web"
    assert ingress["spec"]["tls"] == [{"secretName": f"{prefix}cert"}]
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] in objects(found, "Service")
    assert objects(found, "Secret")[f"{prefix}cert"]["stringData"] == {"secretName": "other"}
    assert ingress["metadata"]["labels"]["envctl.instance"] == "t-123456"


def test_a_workload_refers_to_what_another_service_adds() -> None:
    setting = replace(plan_with().setting, engine=traits("kubernetes"), shared=True, id="t-123456")
    env = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "theirs"}}]
    fragment = {"spec": {"template": {"spec": {"containers": [{"name": "a", "envFrom": env}]}}}}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    found = rendered(service("a", kubernetes=fragment), service("b", kubernetes=[settings]), plan={"setting": setting})
    [container] = next(iter(objects(found, "Deployment").values()))["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "t-123456-settings"}}, {"secretRef": {"name": "theirs"}}]


def test_expressions_in_fragments(tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text(
        "name: e\nservices:\n  web: {image: 'nginx:1.26', kubernetes: {metadata: {annotations: {who: '${instance.name}'}}}}\n"
    )
    found = render_kubernetes(planned(tmp_path / "env.yaml"), options())
    assert objects(found, "Deployment")["web"]["metadata"]["annotations"] == {"who": "e"}
    (tmp_path / "env.yaml").write_text(
        "name: e\nservices:\n  web: {image: 'nginx:1.26', kubernetes: {metadata: {annotations: {who: '${nobody.name}'}}}}\n"
    )
    with pytest.raises(DefinitionError, match="nobody"):
        planned(tmp_path / "env.yaml")


def pod_of(found: Manifests, name: str = "a") -> dict[str, Any]:
    template: dict[str, Any] = objects(found, "Deployment")[name]["spec"]["template"]
    return template


def test_what_resources_say() -> None:
    kept = Requested(0.25, 100 << 20, 1 << 30)
    a = service("a", data="/data", resources=Limits(0.5, 256 << 20, 2 << 30, kept))
    spec = pod_of(rendered(a))["spec"]
    assert spec["containers"][0]["resources"] == {
        "requests": {"cpu": "250m", "memory": "100Mi", "ephemeral-storage": "1Gi"},
        "limits": {"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "2Gi"},
    }
    assert {"name": "folder-of-0", "emptyDir": {"sizeLimit": "2Gi"}} in spec["volumes"]


def test_a_request_is_never_above_its_limit() -> None:
    def amounts(said: Limits) -> Any:
        return pod_of(rendered(service("a", resources=said)))["spec"]["containers"][0]["resources"]

    small = amounts(Limits(0.01, 1 << 20))
    assert (small["requests"], small["limits"]) == ({"cpu": "10m", "memory": "1Mi"}, {"cpu": "10m", "memory": "1Mi"})
    large = amounts(Limits(requests=Requested(4, 1 << 30)))
    assert (large["requests"], large["limits"]) == ({"cpu": "4000m", "memory": "1Gi"}, {"cpu": "4000m", "memory": "1Gi"})


WANTED = Cluster(
    annotations={"cost": "42", "karpenter.sh/do-not-disrupt": "false"}, node_selector={"pool": "tests"},
    tolerations=["dedicated=tests:NoSchedule", "spot"], runtime_class="gvisor", dns=["fd00::10/128", "dns:5353"],
)  # fmt: skip


def test_what_a_cluster_of_others_wants() -> None:
    found = rendered(service("a"), cluster=WANTED)
    pod = pod_of(found)
    assert pod["spec"]["nodeSelector"] == {"pool": "tests"}
    assert pod["spec"]["tolerations"] == [
        {"key": "dedicated", "operator": "Equal", "value": "tests", "effect": "NoSchedule"}, {"key": "spot", "operator": "Exists"},
    ]  # fmt: skip
    assert pod["spec"]["runtimeClassName"] == "gvisor"
    told = pod["metadata"]["annotations"]
    assert (told["cost"], told["karpenter.sh/do-not-disrupt"], told["cluster-autoscaler.kubernetes.io/safe-to-evict"]) == (
        "42",
        "false",
        "false",
    )
    assert all(each["metadata"]["annotations"]["cost"] == "42" for each in found.everything())
    rules = objects(found, "NetworkPolicy")["envctl-dns"]["spec"]["egress"]
    assert {"ipBlock": {"cidr": "fd00::10/128"}} in rules[0]["to"]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dns"}}} in rules[1]["to"]
    assert [rule["ports"][0]["port"] for rule in rules] == [53, 5353]


@pytest.mark.parametrize("changes", [{"cluster": Cluster(users="namespace")}, {"ranged": True}])
def test_users_that_the_cluster_gives(changes: dict[str, Any]) -> None:
    security = pod_of(rendered(service("a", user=70), **changes))["spec"]["securityContext"]
    assert security == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_what_an_image_says_of_itself() -> None:
    facts = {"x:1": ImageFacts("sha256:1", 1000, ("linux", "arm64"))}
    spec = pod_of(rendered(service("a", image="x:1"), images=facts))["spec"]
    assert spec["securityContext"]["runAsUser"] == 1000
    assert spec["containers"][0]["image"] == "x:1@sha256:1"
    assert "nodeSelector" not in spec, "whoever has not built it does not know what else there is of it"
    assert pod_of(rendered(service("a", image="x:1", user=7), images=facts))["spec"]["securityContext"]["runAsUser"] == 7


@pytest.mark.parametrize(
    ("known", "told"),
    [(None, ["A, B"]), ({"x:1": ImageFacts(variables={"PATH", "B"})}, ["B"]), ({"x:1": ImageFacts(variables=set())}, [])],
)
def test_a_variable_that_a_pod_cannot_take_from_its_image_is_told(known: dict[str, ImageFacts] | None, told: list[str]) -> None:
    losses = rendered(service("a", image="x:1", unset=("A", "B")), images=known or {}).losses
    assert [loss for loss in losses if "without a value" in loss] == [
        f"a: variables without a value ({names}): Compose removes them if the image sets them, but a pod cannot" for names in told
    ]


def test_a_database_passes_strict(tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text("name: e\nservices: {db: {kind: postgres}}\n")
    plan = planned(tmp_path / "env.yaml")
    found = render_kubernetes(plan, options())
    assert [loss for loss in found.losses if "derived from the name e" in loss] == list(found.losses)
    assert any("is lost with its pod" in note for note in found.notes)
    environment = open_environment(tmp_path / "env.yaml", cwd=ROOT, environ={})
    drawn = [make_plan(environment, render_setting(environment, "e", traits("kubernetes"), {}, random=True)) for _ in range(2)]
    assert render_kubernetes(drawn[0], options()).losses == ()
    assert drawn[0].secrets != drawn[1].secrets


GATED = """
name: e
services:
  db: {kind: postgres, seed: [{sql: a.sql}]}
  api: {image: "x:1", env: {DB: "${db.url}"}MORE}
"""


@pytest.mark.parametrize(
    ("more", "gated"),
    [
        ("", True),
        (", needs: {db: ready}", False),
        (", seed: [{command: migrate, in: api}]", True),
        (", seed: [{command: migrate, in: api, needs: {db: ready}}]", False),
    ],
)
def test_nobody_reaches_a_server_without_its_data(tmp_path: Path, more: str, gated: bool) -> None:
    (tmp_path / "a.sql").touch()
    (tmp_path / "env.yaml").write_text(GATED.replace("MORE", more))
    found = render_kubernetes(planned(tmp_path / "env.yaml"), options(standalone=False))
    assert pod_of(found, "db")["spec"].get("readinessGates", []) == ([{"conditionType": "envctl/seeded"}] if gated else [])
    assert objects(found, "Service")["db"]["spec"].get("publishNotReadyAddresses", False) is not gated
    plain = render_kubernetes(planned(tmp_path / "env.yaml"), options())
    assert "readinessGates" not in pod_of(plain, "db")["spec"], "plain kubectl would never open it"
