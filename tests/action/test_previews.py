"""Tests of a pull request's previews, from opened to closed, with docs/ci/previews.yaml run by `act` against a cluster."""

from __future__ import annotations

import json
import subprocess
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.action.conftest import Act
from tests.engines.kubernetes.test_live import kubectl
from tests.preview.github import Api, preview_id
from tests.processes import until
from tests.support import REGISTRY

pytestmark = [pytest.mark.docker, pytest.mark.kubernetes]
SHOP = """
name: shop
services:
  db: {kind: postgres, with: {username: shop}, seed: [{sql: seed.sql}]}
  orders: {kind: api, build: ../app, port: 8000, env: {DB: "${db.url}"}}
outputs: {DB_URL: "${db.url}", ORDERS: "${orders.url}"}
"""
DOCKERFILE = 'FROM python:3.13-slim\nENV PUSH={push}\nCMD ["python", "-m", "http.server", "8000"]\n'
ELSEWHERE = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
"""A command prefix that simulates another machine: the processes of envctl do not see the keepers of other runs."""
NUMBERS = {"ours": 17, "theirs": 18}


class Previews:
    """A repository with pull requests; each call of `happens` plays one event of GitHub.

    Attributes:
        heads: The commits of each pull request's branch, in the order in which they were pushed.
    """

    def __init__(self, act: Act, api: Api, locks: str) -> None:
        self.act, self.api, self.locks = act, api, locks
        self.registry, self.repository = f"{REGISTRY}/{locks}", f"o/{locks}"
        self._git("remote", "set-url", "origin", f"https://github.com/{self.repository}")
        self._git("checkout", "-q", "-b", "base")
        (act.folder / "envctl.toml").write_text(f'[preview]\nlocks = "{locks}"\n')
        self._commit()
        self.heads = {name: [self._push(f"{name}-{push}") for push in range(pushes)] for name, pushes in (("ours", 3), ("theirs", 1))}
        self._git("checkout", "-q", "base")

    def _git(self, *words: str) -> str:
        return subprocess.run(["git", *words], cwd=self.act.folder, check=True, capture_output=True, text=True).stdout.strip()

    def _commit(self) -> str:
        self._git("add", ".")
        self._git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x")
        return self._git("rev-parse", "HEAD")

    def _push(self, name: str) -> str:
        self._git("checkout", "-q", "-b", name)
        for file, text in (("app/Dockerfile", DOCKERFILE.format(push=name)), ("environments/shop.yaml", SHOP)):
            (self.act.folder / file).parent.mkdir(exist_ok=True)
            (self.act.folder / file).write_text(text)
        return self._commit()

    def happens(self, action: str, name: str = "ours", push: int = -1, *, run: int, attempt: int = 1, label: str = "") -> tuple[int, str]:
        """Play an event of the pull request *name*; return the exit code of the workflow run and its output."""
        head, repository = self.heads[name][push], self.repository if name == "ours" else "stranger/fork"
        pull = {
            "number": NUMBERS[name], "head": {"sha": head, "ref": name, "repo": {"full_name": repository}},
            "base": {"ref": "base", "sha": "", "repo": {"full_name": self.repository}},
        }  # fmt: skip
        told = {"action": action, "pull_request": pull, **({"label": {"name": label}} if label else {})}
        return self._run("pull_request_target", told, run, attempt)

    def id(self, name: str) -> str:
        return preview_id(self.repository, NUMBERS[name])

    def is_there(self, name: str) -> bool:
        return bool(kubectl("get", "namespace", self.id(name), "--ignore-not-found", "-o", "name"))

    def shown(self, id: str) -> str:
        """Return the commit whose image the preview *id* runs."""
        image = in_cluster(id, "deployment/orders", "{.spec.template.spec.containers[0].image}")
        assert image.startswith(f"{self.registry}/shop:"), image
        return image.rpartition(":")[2]

    def sweeps(self, run: int) -> tuple[int, str]:
        return self._run("schedule", {"schedule": "17 * * * *"}, run, 1)

    def _run(self, event: str, told: dict[str, Any], run: int, attempt: int) -> tuple[int, str]:
        folder = self.act.home / f"run-{run}-{attempt}"
        (folder / "kept").mkdir(parents=True)
        (folder / "event.json").write_text(json.dumps(told))
        secrets = {"GITHUB_TOKEN": "t0ken", "PREVIEWS_KUBECONFIG": _kubeconfig()}
        more = ["-e", str(folder / "event.json"), *(word for name, text in secrets.items() for word in ("-s", f"{name}={text}"))]
        done = self.act.run(
            "previews", "kubernetes", event=event, more=more, instead=("registry.example.org/previews", self.registry),
            KEPT_HERE=str(folder / "kept"), PROJECT=str(self.act.folder),
            GITHUB_RUN_ID=str(run), GITHUB_RUN_ATTEMPT=str(attempt), STAND_IN_API=self.api.url,
            XDG_STATE_HOME=str(folder / "state"), within=ELSEWHERE if told.get("action") in (None, "closed") else (),
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


def _kubeconfig() -> str:
    """Return this machine's kubeconfig as a secret of the workflow holds it: self-contained, with the context `previews`."""
    told = json.loads(kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json"))
    told["contexts"][0]["name"] = told["current-context"] = "previews"
    return json.dumps(told)


def in_cluster(id: str, what: str, path: str) -> str:
    return kubectl("get", what, "-n", id, "-o", f"jsonpath={path}")


@pytest.fixture(scope="module")
def previews(act: Act) -> Iterator[Previews]:
    place, api = f"envctl-locks-{uuid.uuid4().hex[:8]}", Api()
    kubectl("create", "namespace", place)
    heads: list[str] = []
    try:
        found = Previews(act, api, place)
        heads += [head for pushed in found.heads.values() for head in pushed]
        yield found
    finally:
        api.server.shutdown()
        api.server.server_close()
        made = [preview_id(f"o/{place}", number) for number in NUMBERS.values()]
        kubectl("delete", "namespace", place, *made, "--wait=false", "--ignore-not-found")
        listed = subprocess.run(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"], capture_output=True, text=True, check=True)
        ours = [name for name in listed.stdout.split() if name.rpartition(":")[2] in heads]
        subprocess.run(["docker", "rmi", *ours], capture_output=True, check=False)


def test_the_life_of_a_pull_request(previews: Previews) -> None:
    api, heads, id = previews.api, previews.heads["ours"], previews.id("ours")
    api.pulls = {17: ("open", heads[0]), 18: ("open", previews.heads["theirs"][0])}
    status, said = previews.happens("opened", push=0, run=10)
    assert status == 0, said
    assert previews.shown(id) == heads[0]
    assert [heads[0][:12] in each["body"] for each in api.comments] == [True]
    server = in_cluster(id, "deployment/db", "{.metadata.uid}")

    (late, said), (newest, words) = two_pushes_at_once(previews)
    assert newest == 0, f"{words}\n--- the older run:\n{said}"
    assert late == 1, said
    assert "superseded by" in said
    assert previews.shown(id) == heads[2]
    assert (len(api.comments), heads[2][:12] in api.comments[0]["body"]) == (1, True)

    status, said = previews.happens("synchronize", run=12, attempt=2)
    assert status == 0, said
    assert previews.shown(id) == heads[2]
    assert in_cluster(id, "deployment/db", "{.metadata.uid}") == server, "its data survives"

    a_fork(previews)
    api.pulls[18] = ("closed", previews.heads["theirs"][0])
    status, said = previews.sweeps(run=22)
    assert status == 0, said
    assert [previews.is_there(name) for name in NUMBERS] == [True, False], "what nobody has closed in time is swept"

    api.pulls[17] = ("closed", heads[2])
    status, said = previews.happens("closed", run=23)
    assert status == 0, said
    assert not previews.is_there("ours")
    lock = json.loads(kubectl("get", "lease", id, "-n", previews.locks, "-o", "json"))
    assert lock["metadata"]["annotations"]["envctl.preview/closed"] == "true"
    until(lambda: not list(previews.act.home.glob("run-*/state/envctl/pr-*")), what="that each runner's keeper forgets it")


def two_pushes_at_once(previews: Previews) -> list[tuple[int, str]]:
    """Push twice: the second push comes as soon as the first run has found that its commit is the newest. Return both results."""
    api, heads, began = previews.api, previews.heads["ours"], threading.Event()
    api.pulls[17] = ("open", heads[1])

    def asked(number: int) -> None:
        api.pulls[17], api.asked = ("open", heads[2]), lambda number: None
        began.set()

    api.asked = asked
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(previews.happens, "synchronize", push=1, run=11)
        began.wait(120)
        second = pool.submit(previews.happens, "synchronize", push=2, run=12)
        return [first.result(), second.result()]


def a_fork(previews: Previews) -> None:
    """Play a pull request from a fork: its preview starts only once the label is set, and with the limits of `--untrusted`."""
    id = previews.id("theirs")
    assert previews.happens("opened", "theirs", run=20)[0] == 0
    assert not previews.is_there("theirs")
    status, said = previews.happens("labeled", "theirs", run=21, label="preview")
    assert status == 0, said
    assert "--untrusted" in said
    assert previews.shown(id) == previews.heads["theirs"][0]
    assert in_cluster(id, "resourcequota", "{.items[*].metadata.name}") == "envctl-quota"
