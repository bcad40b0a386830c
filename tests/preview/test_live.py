"""Test a pull request's preview on a real cluster: opened, pushed from another runner and checkout, superseded, closed, collected."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import pytest

from envctl.instance.record import now
from tests.engines.kubernetes.test_live import kubectl, rows
from tests.preview.github import Api, preview_id
from tests.support import Done, Project

pytestmark = pytest.mark.kubernetes
DB = """
services:
  db:
    kind: postgres
    seed: [{sql: schema.sql}]
  web: {kind: stub, expose: true}
outputs: {HOST: "${db.host}", PORT: "${db.port}", USER: "${db.username}", PASSWORD: "${db.password}", DB: "${db.database}"}
"""


EXPOSE = '[kubernetes.expose]\nclass = "nobodys"\ndomain = "previews.test"\nnamespace = "default"\nbasic_auth = "reviewer"\n'


class Runner:
    """A CI runner with its own checkout and state folder."""

    def __init__(self, project: Project, api: Api, folder: Path, repository: str, locks: str) -> None:
        self.project, self.api, self.repository = Project(folder / "checkout", "kubernetes"), api, repository
        self.home = folder
        folder.mkdir()
        shutil.copytree(project.folder, self.project.folder)
        self.project.environment("env", DB)
        self.project.write("environments/schema.sql", "create table t (n int); insert into t values (1), (2);\n")
        self.project.write("envctl.toml", f'[preview]\nlocks = "{locks}"\n' + EXPOSE)

    def envctl(self, *words: str, run: int, head: str, token: bool = True, source: str = "") -> Done:
        """Run `envctl preview` as in a CI run of the pull request; *source* is the head's repository if it is a fork."""
        event = self.home / "event.json"
        base, fork = {"repo": {"full_name": self.repository}}, {"repo": {"full_name": source or self.repository}}
        event.write_text(json.dumps({"pull_request": {"number": 17, "head": {"sha": head, **fork}, "base": base}}))
        env = {
            "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": self.repository, "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": str(run), "GITHUB_RUN_ATTEMPT": "1", "GITHUB_EVENT_PATH": str(event), "GITHUB_API_URL": self.api.url,
            "XDG_STATE_HOME": str(self.home / "state"), **({"GITHUB_TOKEN": "t0ken"} if token else {}),
        }  # fmt: skip
        return self.project.envctl("preview", *words, env=env)


def test_the_life_of_a_pull_request(project: Project, api: Api, tmp_path: Path) -> None:
    place, repository = f"envctl-locks-{uuid.uuid4().hex[:8]}", f"o/{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", place)
    one, two = (Runner(project, api, tmp_path / name, repository, place) for name in ("one", "two"))
    try:
        api.pulls[17] = ("open", "aaaa")
        first = one.envctl("up", "env", "--json", run=10, head="aaaa").ok()
        opened = first.json
        assert opened["name"] == "pr-17"
        assert opened["expires"] is not None
        assert rows(opened["outputs"], "insert into t values (3)") == 3
        one.envctl("comment", "env", "--post", run=10, head="aaaa").ok()

        url = f"http://web-{opened['id']}.previews.test"
        unresolved = f"does not answer yet: DNS does not resolve {url.removeprefix('http://')} here"
        assert f"web: its public URL {url} {unresolved}" in first.err
        assert opened["services"]["web"]["public_url"] == url
        assert f"| {url} ({unresolved}) |" in api.comments[0]["body"]
        assert kubectl("get", "ingress", "web", "-n", opened["id"], "-o", "jsonpath={.spec.rules[0].host}") == url.removeprefix("http://")

        api.pulls[17] = ("open", "bbbb")
        pushed = two.envctl("up", "env", "--json", run=12, head="bbbb").ok().json
        assert (pushed["id"], pushed["outputs"]["PASSWORD"]) == (opened["id"], opened["outputs"]["PASSWORD"])
        assert rows(pushed["outputs"]) == 3, "its data survives a push"
        two.envctl("comment", "env", "--post", run=12, head="bbbb").ok()
        assert len(api.comments) == 1
        assert "bbbb" in api.comments[0]["body"]
        assert opened["outputs"]["PASSWORD"] not in api.comments[0]["body"]

        late = one.envctl("up", "env", run=11, head="aaaa", token=False)
        assert late.status == 1
        assert "superseded by https://github.com/" in late.err
        assert "runs/12" in late.err
        moved = one.envctl("up", "env", run=13, head="aaaa")
        assert moved.status == 1
        assert "superseded by bbbb" in moved.err

        one.project.write("environments/schema.sql", "create table t (n int); insert into t values (7);\n")
        # The other runner's keeper also sees the pod without data, and must leave the seeding to this `up`.
        reseeded = one.envctl("up", "env", "--json", run=14, head="bbbb").ok()
        assert "its data is created again" in reseeded.err
        assert rows(reseeded.json["outputs"]) == 1
        assert "up, head bbbb" in two.envctl("status", "env", run=14, head="bbbb").ok().out

        api.pulls[17] = ("closed", "bbbb")
        two.envctl("down", "env", run=15, head="bbbb").ok()
        assert not kubectl("get", "namespace", opened["id"], "--ignore-not-found", "-o", "name")
        after = one.envctl("up", "env", run=14, head="bbbb", token=False)
        assert after.status == 1
        assert "closed by https://github.com/" in after.err
    finally:
        kubectl("delete", "namespace", place, preview_id(repository), "--wait=false", "--ignore-not-found")


RED = """
name: red
ttl: 7d
services:
  web: {kind: stub}
  red: {image: "python:3.13-slim", run: "python3 -c 'import time; time.sleep(9999)'", env: {WEB: "${web.url}"}}
"""
TRY = """
import os, socket, sys
def reaches(place):
    host, port = place.split(":")
    try:
        return bool(socket.create_connection((host, int(port)), 2).close() or True)
    except OSError:
        return False
print(*(name for name, place in (each.split("=") for each in sys.argv[1:]) if reaches(place)),
      *(["token"] if os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token") else []))
"""


def test_a_fork_reaches_nothing_but_itself(project: Project, api: Api, tmp_path: Path) -> None:
    digits = uuid.uuid4().hex[:8]
    place, other = f"envctl-locks-{digits}", f"envctl-other-{digits}"
    for name in (place, other):
        kubectl("create", "namespace", name)
    runner = Runner(project, api, tmp_path / "one", f"o/{digits}", place)
    runner.project.write("head/.git/HEAD", "")
    runner.project.write("head/environments/red.yaml", RED)
    pod = {"containers": [{"name": "p", "image": "python:3.13-slim", "command": ["python3", "-m", "http.server", "8080"]}]}
    item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": other}, "spec": pod}
    kubectl("apply", "-f", "-", stdin=json.dumps(item))
    api.pulls[17] = ("open", "aaaa")
    try:
        opened = runner.envctl("up", "head/environments/red.yaml", "--json", run=10, head="aaaa", source="stranger/fork").ok()
        assert "--untrusted" in opened.err
        id = opened.json["id"]
        assert opened.json["expires"] < now(4 * 3600 + 60), "whatever it says itself"
        assert kubectl("get", "resourcequota,limitrange", "-n", id, "-o", "name").split() == [
            "resourcequota/envctl-quota", "limitrange/envctl-limits",
        ]  # fmt: skip
        kubectl("wait", "-n", other, "--for=condition=Ready", "pod/p", "--timeout=60s")
        places = {
            "own": kubectl("get", "service", "web", "-n", id, "-o", "jsonpath={.spec.clusterIP}") + ":8080",
            "other": kubectl("get", "pod", "p", "-n", other, "-o", "jsonpath={.status.podIP}") + ":8080",
            "api": kubectl("get", "service", "kubernetes", "-n", "default", "-o", "jsonpath={.spec.clusterIP}") + ":443",
            "kubelet": kubectl("get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}") + ":10250",
        }
        words = ("--", "python3", "-c", TRY, *(f"{name}={place}" for name, place in places.items()))
        assert kubectl("exec", "-n", other, "p", *words).split() == ["other", "api", "kubelet", "token"], "what a pod reaches by itself"
        assert kubectl("exec", "-n", id, "deploy/red", *words).split() == ["own"]
    finally:
        kubectl("delete", "namespace", place, other, preview_id(f"o/{digits}"), "--wait=false", "--ignore-not-found")
