"""Behaviour that only a real cluster shows: network policies, lost pods, sufficient rights, and objects that envctl leaves alone."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pg8000.native
import pytest
import redis

from envctl.cluster.manifests import cluster_objects
from envctl.instance.labels import EXPIRES, INSTANCE
from envctl.instance.record import now
from tests.processes import until
from tests.support import Project, missing

pytestmark = pytest.mark.kubernetes

DB = """
services:
  db:
    kind: postgres
    seed:
      - sql: schema.sql
  friend:
    image: python:3.13-slim
    run: python3 -c 'import time; time.sleep(9999)'
    env: {DB: "${db.host}:${db.port}"}
  stranger:
    image: python:3.13-slim
    run: python3 -c 'import time; time.sleep(9999)'
outputs: {HOST: "${db.host}", PORT: "${db.port}", USER: "${db.username}", PASSWORD: "${db.password}", DB: "${db.database}"}
"""
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 5432), 3); print('rea' + 'ched')"


def kubectl(*words: str, stdin: str | None = None, check: bool = True) -> str:
    done = subprocess.run(["kubectl", *words], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout if check else done.stdout + done.stderr


@pytest.fixture
def cluster(project: Project) -> Iterator[Project]:
    found = Project(project.folder, "kubernetes")
    found.write("environments/schema.sql", "create table t (n int); insert into t values (1), (2);\n")
    yield found
    if "kubernetes" not in missing:
        found.down()


def rows(outputs: dict[str, str], before: str = "select 1") -> Any:
    with pg8000.native.Connection(
        outputs["USER"], host=outputs["HOST"], port=int(outputs["PORT"]), password=outputs["PASSWORD"], database=outputs["DB"], timeout=5
    ) as connection:
        connection.run(before)
        return connection.run("select count(*) from t")[0][0]


@pytest.fixture
def other_namespace() -> Iterator[str]:
    name = f"envctl-others-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def test_only_who_refers_to_a_database_reaches_it(cluster: Project, other_namespace: str) -> None:
    cluster.environment("env", DB)
    shown = cluster.envctl("up", "env", "--json").ok().json
    id = shown["id"]

    def reached(namespace: str, *pod: str, host: str = "db") -> str:
        return kubectl("exec", "-n", namespace, *pod, "--", "python3", "-c", CONNECT, host, check=False)

    assert "reached" in reached(id, "deploy/friend")
    assert "reached" not in reached(id, "deploy/stranger")
    spec = {"containers": [{"name": "p", "image": "python:3.13-slim", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "999"]}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    kubectl("apply", "-n", other_namespace, "-f", "-", stdin=json.dumps(pod))
    kubectl("wait", "-n", other_namespace, "--for=condition=Ready", "pod/p", "--timeout=60s")
    address = kubectl("get", "pod", "-n", id, "-l", "envctl.service=db", "-o", "jsonpath={.items[0].status.podIP}")
    for host in (f"db.{id}.svc.cluster.local", address):
        assert "reached" not in reached(other_namespace, "p", host=host)


def test_a_deleted_pod_is_seeded_again_before_its_endpoint_answers(cluster: Project) -> None:
    cluster.environment("env", DB)
    outputs = cluster.envctl("up", "env", "--json").ok().json["outputs"]
    id = cluster.envctl("status", "env", "--json").ok().json["id"]
    assert rows(outputs) == 2
    kubectl("delete", "pod", "-n", id, "-l", "envctl.service=db", "--wait=false")
    seen: list[int | None] = []

    def answers() -> bool:
        seen.append(rows(outputs) if listens(outputs) else None)
        return seen[-1] is not None and None in seen

    until(answers, seconds=90, what="the endpoint answers again")
    assert set(seen) <= {None, 2}, "never without its data"


def test_two_machines_seed_a_replaced_pod_once(cluster: Project, tmp_path: Path) -> None:
    cluster.environment("env", DB)
    cluster.write("environments/schema.sql", "create table t (n int); select pg_sleep(1); insert into t values (1), (2);\n")
    shown = cluster.envctl("up", "env", "--json").ok().json
    elsewhere, id = {"XDG_STATE_HOME": str(tmp_path / "elsewhere")}, shown["id"]
    cluster.envctl("seed", id, env=elsewhere).ok()
    theirs = cluster.envctl("env", id, "--format", "json", env=elsewhere).ok().json
    for _ in range(3):
        kubectl("delete", "pod", "-n", id, "-l", "envctl.service=db")
        for outputs in (shown["outputs"], theirs):
            until(lambda outputs=outputs: listens(outputs), seconds=90, what="the endpoint answers again")  # type: ignore[misc]
            assert rows(outputs) == 2
    cluster.envctl("seed", id, env=elsewhere).ok()
    cluster.envctl("down", id).ok()


MACHINE = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]


def test_two_machines_that_bring_it_up_at_the_same_time_share_it(cluster: Project, tmp_path: Path) -> None:
    if subprocess.run([*MACHINE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces of processes here")
    cluster.environment("env", DB)
    told, name = [tmp_path / f"{each}.json" for each in ("one", "two")], f"shared-{uuid.uuid4().hex[:6]}"
    words = f"{sys.executable} -m envctl up env --name {name} --key shared --ttl 1h --json"
    started = [
        subprocess.Popen(
            [*MACHINE, f"hostname runner; {words} > {path}"], cwd=cluster.folder, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "ENVCTL_ENGINE": "kubernetes", "HOME": str(tmp_path), "XDG_STATE_HOME": str(path.with_suffix(""))},
        )
        for path in told
    ]  # fmt: skip
    said = [each.communicate(timeout=180)[1] for each in started]
    try:
        assert [each.returncode for each in started] == [0, 0], "\n".join(said)
        one, two = (json.loads(path.read_text()) for path in told)
        assert (one["id"], one["outputs"]["PASSWORD"]) == (two["id"], two["outputs"]["PASSWORD"])
        assert any("waiting for a command of another machine" in text for text in said)
    finally:
        kubectl("delete", "namespace", "-l", f"envctl.name={name}", "--wait=false")


CACHE = """
services: {cache: {kind: valkey, seed: [{command: valkey-cli set key seeded, in: server}]}}
outputs: {CACHE: "${cache.url}"}
"""


def test_a_server_that_keeps_nothing_is_seeded_again_before_its_endpoint_answers(cluster: Project) -> None:
    """The container exits and is restarted in the same pod."""
    cluster.environment("env", CACHE)
    shown = cluster.envctl("up", "env", "--json").ok().json
    seen: list[bytes | None] = []

    def answers() -> bool:
        try:
            with redis.Redis.from_url(shown["outputs"]["CACHE"], socket_timeout=5) as client:
                seen.append(client.get("key"))
                return True
        except redis.RedisError:
            return False

    assert answers()
    kubectl("exec", "-n", shown["id"], "deploy/cache", "--", "sh", "-c", "valkey-cli set key lost; kill 1")
    until(lambda: not answers(), what="the end of its server")
    until(answers, seconds=90, what="the endpoint answers again")
    assert set(seen) <= {b"seeded", b"lost"}, "never without its data"
    assert seen[-1] == b"seeded"
    pods = json.loads(kubectl("get", "pods", "-n", shown["id"], "-o", "json"))["items"]
    assert len(pods) == 1
    assert any(status["restartCount"] for status in pods[0]["status"]["containerStatuses"])


def listens(outputs: dict[str, str]) -> bool:
    """Return whether PostgreSQL answers an SSLRequest at HOST and PORT (a driver would leave its socket open when it is refused)."""
    try:
        with socket.create_connection((outputs["HOST"], int(outputs["PORT"])), 5) as stream:
            stream.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f")
            return stream.recv(1) in (b"N", b"S")
    except OSError:
        return False


def test_a_namespace_of_others_is_neither_used_nor_removed(cluster: Project) -> None:
    cluster.environment("env", "services: {s: {kind: stub}}\n")
    id = cluster.envctl("up", "env", "--json").ok().json["id"]
    cluster.envctl("down", "env").ok()
    kubectl("create", "namespace", id)
    try:
        refused = cluster.envctl("up", "env")
        assert refused.status == 2
        assert f"the namespace {id} exists, and is not envctl's" in refused.err
        cluster.envctl("down", "env")
        assert id in kubectl("get", "namespace", id, "-o", "name")
    finally:
        kubectl("delete", "namespace", id, "--wait=false")


def test_an_existing_namespace_keeps_what_is_not_ours(cluster: Project, other_namespace: str) -> None:
    kubectl("create", "configmap", "theirs", "-n", other_namespace)
    cluster.environment("env", DB)
    first = cluster.envctl("up", "env", "--json", "--namespace", other_namespace, "--name", "one").ok().json
    second = cluster.envctl("up", "env", "--json", "--namespace", other_namespace, "--name", "two").ok().json
    assert rows(first["outputs"]) == rows(second["outputs"]) == 2
    cluster.envctl("down", "one").ok()
    assert rows(second["outputs"]) == 2
    cluster.envctl("down", "two").ok()
    left = kubectl("get", "all,configmaps,secrets,networkpolicies,serviceaccounts", "-n", other_namespace, "-o", "name")
    assert "configmap/theirs" in left
    assert not [line for line in left.splitlines() if "one-" in line or "two-" in line]


def as_account(namespace: str, account: str, folder: Path) -> dict[str, str]:
    """Write a kubeconfig for the service account; return the environment variables that select it."""
    token = kubectl("create", "token", account, "-n", namespace, "--duration=1h").strip()
    view = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    view["users"] = [{"name": "restricted", "user": {"token": token}}]
    view["contexts"] = [{"name": "restricted", "context": {"cluster": view["clusters"][0]["name"], "user": "restricted"}}]
    path = folder / "restricted.json"
    path.write_text(json.dumps(view | {"current-context": "restricted"}))
    return {"KUBECONFIG": str(path), "ENVCTL_CONTEXT": "restricted"}


def use_all(cluster: Project, env: dict[str, str]) -> None:
    """Run the commands that a user runs on an instance, from `up` to `down`."""
    cluster.environment("env", DB)
    shown = cluster.envctl("up", "env", "--json", env=env).ok().json
    assert rows(shown["outputs"]) == 2
    assert "database system is ready" in cluster.envctl("logs", "env", "db", env=env).ok().out
    cluster.envctl("extend", "env", "1h", env=env).ok()
    cluster.envctl("restart", "env", "friend", env=env).ok()
    rows(shown["outputs"], "insert into t values (3)")
    cluster.envctl("restart", "env", "db", env=env).ok()
    assert rows(shown["outputs"]) == 3, "its data stays"
    assert shown["id"] in [row["id"] for row in cluster.envctl("list", "--json", env=env).ok().json]
    cluster.envctl("down", "env", env=env).ok()
    assert not [line for line in kubectl("get", "deploy,secret,svc", "-A", "-o", "name").splitlines() if shown["id"] in line]


def test_the_rights_in_one_namespace_suffice(cluster: Project, other_namespace: str) -> None:
    found = cluster_objects(teams=[other_namespace], teams_only=True)
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": found}))
    env = as_account(other_namespace, "envctl", cluster.folder) | {"ENVCTL_NAMESPACE": other_namespace}
    use_all(cluster, env)

    ids = [
        cluster.envctl("up", "env", "--json", "--only", "stranger", "--name", name, env=env).ok().json["id"] for name in ("late", "alive")
    ]
    for id, expires in zip(ids, (now(-1), now(3600)), strict=True):
        kubectl("annotate", "secret", f"{id}-instance", "-n", other_namespace, "--overwrite", f"{EXPIRES}={expires}")
    kubectl("create", "job", "sweep", "--from=cronjob/envctl-reaper", "-n", other_namespace)

    def left() -> set[str]:
        shown = kubectl("get", "deploy,networkpolicy,secret,serviceaccount", "-n", other_namespace, "-l", INSTANCE, "-o", "json")
        return {str(item["metadata"]["labels"][INSTANCE]) for item in json.loads(shown)["items"]}

    until(lambda: left() == {ids[1]}, seconds=120, what="what has expired is gone, and what has not is there")
    cluster.envctl("down", "late", env=env)
    cluster.envctl("down", "alive", env=env).ok()


def test_another_machine_uses_it_by_its_id(cluster: Project, tmp_path: Path) -> None:
    cluster.environment("env", DB)
    shown = cluster.envctl("up", "env", "--json", "--ttl", "1h").ok().json
    elsewhere = {"XDG_STATE_HOME": str(tmp_path / "elsewhere")}
    again = cluster.envctl("status", shown["id"], "--json", env=elsewhere).ok().json
    assert again["state"] == "seeded"
    assert cluster.envctl("env", shown["id"], "--format", "json", env=elsewhere).ok().json["PASSWORD"] == shown["outputs"]["PASSWORD"]
    assert "database system is ready" in cluster.envctl("logs", shown["id"], "db", env=elsewhere).ok().out
    cluster.envctl("seed", shown["id"], env=elsewhere).ok()
    assert rows(shown["outputs"]) == 2, "it had its data, and has it once"
    cluster.envctl("extend", shown["id"], "3h", env=elsewhere).ok()
    assert [row["expires"] > shown["expires"] for row in cluster.envctl("list", "--json").ok().json if row["id"] == shown["id"]]
    cluster.envctl("down", shown["id"], env=elsewhere).ok()
    assert shown["id"] not in kubectl("get", "namespaces", "-o", "name")


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("{image: 'envctl.invalid/none:1', port: 80}", ["cannot be pulled", "--image"]),
        ("{kind: stub, kubernetes: {spec: {template: {spec: {nodeSelector: {no: where}}}}}}", ["no node accepts it", "selector"]),
        ("{kind: stub, kubernetes: {spec: {template: {spec: {hostNetwork: true}}}}}", ["Pod Security", "restricted", "host"]),
    ],
)
def test_what_cannot_heal_is_said_in_a_sentence_and_given_up(cluster: Project, service: str, words: list[str]) -> None:
    cluster.environment("env", f"services: {{s: {service}}}\n")
    failed = cluster.envctl("up", "env", "--timeout", "50s")
    assert failed.status == 1, failed.err
    assert all(word in failed.err for word in words), failed.err
    assert cluster.envctl("list", "--json").ok().json == []


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("ResourceQuota", {"hard": {"limits.memory": "1Mi"}}, "quota team"),
        ("LimitRange", {"limits": [{"type": "Container", "max": {"cpu": "50m"}}]}, "maximum cpu usage per Container is 50m"),
    ],
)
def test_a_limit_is_named(cluster: Project, other_namespace: str, kind: str, spec: dict[str, Any], words: str) -> None:
    limit = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "team"}, "spec": spec}
    kubectl("apply", "-n", other_namespace, "-f", "-", stdin=json.dumps(limit))
    cluster.environment("env", "services: {s: {kind: stub}}\n")
    failed = cluster.envctl("up", "env", "--namespace", other_namespace, "--timeout", "60s")
    assert failed.status == 1
    assert words in failed.err, failed.err


def test_a_context_that_nobody_named_is_refused(cluster: Project, tmp_path: Path) -> None:
    view = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    view["clusters"][0]["cluster"]["server"] = "https://10.255.255.1:6443"
    (tmp_path / "config").write_text(json.dumps(view))
    cluster.environment("env", "services: {s: {kind: stub}}\n")
    refused = cluster.envctl("up", "env", env={"KUBECONFIG": str(tmp_path / "config")})
    assert refused.status == 2
    assert view["current-context"] in refused.err
    assert "--context" in refused.err


def test_passwords_are_in_secrets_alone(cluster: Project) -> None:
    cluster.environment("env", DB.replace('DB: "${db.host}', 'URL: "${db.url}", DB: "${db.host}'))
    shown = cluster.envctl("up", "env", "--json").ok().json
    password = shown["outputs"]["PASSWORD"]
    objects = kubectl("get", "all,configmaps,networkpolicies,serviceaccounts", "-n", shown["id"], "-o", "json")
    assert password not in objects
    assert base64.b64encode(password.encode()).decode() not in objects
    # On a busy node, `exec` may fail for a moment after the kubelet has restarted the container.
    asked = ("exec", "-n", shown["id"], "deploy/friend", "--", "printenv", "URL")
    until(lambda: password in kubectl(*asked, check=False), what=kubectl("describe", "pods", "-n", shown["id"]))
