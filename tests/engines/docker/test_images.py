from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest
from docker.errors import APIError

from envctl.definition.models import Build
from envctl.engines.docker import images
from envctl.engines.docker.api import Daemon, Endpoint
from envctl.engines.docker.compose import ComposeFailed
from envctl.engines.docker.connection import Connection
from envctl.errors import ServiceFailed
from envctl.instance.labels import SNAPSHOT
from envctl.plan.model import BuildPlan, ServicePlan
from tests.builders import plan_with, service
from tests.fakedaemon import FakeDaemon, running


class FakeApi:
    """A fake Docker SDK client that records pulls and removals."""

    def __init__(self) -> None:
        self.pulled: list[tuple[str, str | None]] = []
        self.removed: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.error: APIError | None = None
        self.listed: list[dict[str, Any]] = []
        self.used: list[dict[str, Any]] = []
        self.in_use: set[str] = set()

    def pull(self, name: str, tag: str | None, stream: bool, decode: bool) -> Iterator[dict[str, Any]]:
        self.pulled.append((name, tag))
        if self.error is not None:
            raise self.error
        yield from self.events

    def containers(self, all: bool) -> list[dict[str, Any]]:
        return self.used

    def images(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        assert filters == {"label": "envctl.build"}
        return self.listed

    def remove_image(self, id: str, force: bool) -> None:
        if id in self.in_use:
            raise APIError("conflict")
        self.removed.append(id)


class Fake:
    """A daemon that has the images in *here*; `composed` records the words and the parsed file of each Compose run."""

    def __init__(self, server: FakeDaemon, here: set[str]) -> None:
        self.api, self.here = FakeApi(), here
        self.connection = Connection(Endpoint(server.host), None, Daemon(Endpoint(server.host), 5), "1.41")
        self.connection._local.client = self.api
        self.composed: list[tuple[list[str], dict[str, Any]]] = []
        self.environment: dict[str, str] = {}
        self.said: list[tuple[str, str]] = []
        self.fails = ""
        self.labels: dict[str, str] | None = None

    def compose(self, words: list[str], environment: dict[str, str], told: object, stdin: IO[bytes]) -> str:
        self.composed.append((words, json.load(stdin)))
        self.environment = environment
        if self.fails:
            raise ComposeFailed(self.fails)
        return ""

    def ensure(self, *services: ServicePlan) -> None:
        images.ensure_images(self.connection, plan_with(*services), {}, lambda name, text: self.said.append((name, text)))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    here: set[str] = set()

    def answer(method: str, path: str, query: dict[str, str]) -> tuple[int, Any]:
        image = path.removeprefix("/images/").removesuffix("/json")
        if image == "broken:1":
            return 500, {"message": "disk"}
        return (200, {"Id": image, "Config": {"Labels": found.labels}}) if image in here else (404, {"message": "no such image"})

    with running(answer) as server:
        found = Fake(server, here)
        # otherwise each thread would create its own client
        monkeypatch.setattr(Connection, "api", found.api)
        monkeypatch.setattr(images, "run_compose", found.compose)
        yield found


def built(name: str, tag: str = "app:abc", **build: Any) -> ServicePlan:
    return service(name, image=tag, build=BuildPlan(Build(**build), Path("/p/app"), tag))


# Pulling


def test_only_what_is_missing_is_pulled_and_once(fake: Fake) -> None:
    fake.here.add("here:1")
    fake.ensure(service("a", image="here:1"), service("b", image="gone:1"), service("c", image="gone:1"))
    assert fake.api.pulled == [("gone", "1")]


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ("postgres:17", ("postgres", "17")),
        ("postgres", ("postgres", "latest")),
        ("corp:5000/a/b", ("corp:5000/a/b", "latest")),
        ("corp:5000/a/b:1", ("corp:5000/a/b", "1")),
        ("a@sha256:00", ("a@sha256:00", None)),
        ("a:1@sha256:00", ("a:1@sha256:00", None)),
    ],
)
def test_an_image_without_a_tag_is_its_latest(fake: Fake, image: str, reference: tuple[str, str | None]) -> None:
    fake.ensure(service("a", image=image))
    assert fake.api.pulled == [reference]


def test_progress_is_told(fake: Fake) -> None:
    fake.api.events = [
        {"status": "Pulling fs layer", "progressDetail": {}},
        {"status": "Downloading", "progressDetail": {"current": 5, "total": 10}},
        {"status": "Downloading", "progressDetail": {}},
        {"status": "Download complete"},
    ]
    fake.ensure(service("a", image="x:1"))
    assert fake.said == [("a", "pulling x:1: 50 % of a layer")]


@pytest.mark.parametrize(
    ("why", "advice"),
    [
        ("pull access denied for x", "log in to the registry (`docker login`), or check the image's name"),
        ("Unauthorized", "log in to the registry"),
        (
            "Credentials store error: StoreError('docker-credential-x not installed or not available in PATH')",
            "install docker-credential-x",
        ),
        ("write: no space left on device", "the daemon's disk is full: `docker system df` shows what uses the space"),
        ("manifest unknown", "check the name and the network; `images` in envctl.toml sends pulls to a mirror"),
    ],
)
def test_a_pull_that_fails_says_why_and_what_to_do(fake: Fake, why: str, advice: str) -> None:
    fake.api.events = [{"error": f"{why}\n  and more"}]
    with pytest.raises(ServiceFailed) as caught:
        fake.ensure(service("a", image="x:1"))
    assert caught.value.message == f"a: the image x:1 cannot be pulled: {why} and more"
    assert caught.value.evidence is not None
    assert caught.value.evidence.step == "pull"
    assert caught.value.evidence.advice.startswith(advice)


def test_a_registry_that_refuses(fake: Fake) -> None:
    fake.api.error = APIError("500 Server Error", explanation="Get https://registry: no such host")
    with pytest.raises(ServiceFailed, match="the image x:1 cannot be pulled: Get https://registry: no such host"):
        fake.ensure(service("a", image="x:1"))


def test_a_daemon_that_cannot_say(fake: Fake) -> None:
    with pytest.raises(ServiceFailed, match="Docker cannot tell whether broken:1 exists: disk"):
        fake.ensure(service("a", image="broken:1"))


# Building


@pytest.mark.parametrize(
    ("named", "secrets"),
    [
        (["token"], {"token": {"file": "/p/token"}}),
        ([{"source": "key", "target": "k"}, "token"], {"token": {"file": "/p/token"}, "key": {"environment": "KEY"}}),
        (["key"], {"key": {"environment": "KEY"}}),
        ([], {}),
    ],
)
def test_a_build_gets_the_secrets_that_it_names(fake: Fake, tmp_path: Path, named: list[Any], secrets: dict[str, Any]) -> None:
    """Secrets take their values from the plan, not from the `.env` file beside the Compose file."""
    (tmp_path / ".env").write_text("KEY=other\nFROM=mine")
    extra = {"secrets": {"token": {"file": "/p/token"}, "key": {"environment": "KEY"}, "other": {"file": "/p/other"}}}
    values = {"KEY": "of .env", "SHELLS": "of .env"}
    plan = replace(plan_with(built("a", secrets=named)), folder=tmp_path, compose_extra=extra, compose_variables=values)
    images.ensure_images(fake.connection, plan, {"SHELLS": "mine"}, lambda name, text: None)
    ((words, document),) = fake.composed
    assert document["secrets"] == secrets
    assert words[:2] == ["--env-file", os.devnull]
    assert fake.environment.items() >= {"KEY": "of .env", "SHELLS": "mine"}.items()


def test_what_is_built_already_is_not_built_again(fake: Fake) -> None:
    fake.here.add("app:abc")
    fake.ensure(built("a"), built("b"))
    assert fake.composed == []


@pytest.mark.parametrize(("label", "builds"), [("abc", 0), ("old", 1), (None, 1)])
def test_the_content_decides_where_the_tag_does_not_say_it(fake: Fake, label: str | None, builds: int) -> None:
    fake.here.add("app:1")
    fake.labels = {"envctl.build": label} if label else None
    fake.ensure(service("a", image="app:1", build=BuildPlan(Build(), Path("/p/app"), "app:1", "abc")))
    assert len(fake.composed) == builds
    assert all(file["services"]["a"]["build"]["labels"] == {"envctl.build": "abc"} for _, file in fake.composed)


def test_two_services_share_what_is_built(fake: Fake) -> None:
    fake.ensure(built("a"), built("b"), built("c", "other:abc"))
    ((words, file),) = fake.composed
    assert words[-3:] == ["build", *file["services"]]
    assert len(file["services"]) == 2
    assert {entry["image"] for entry in file["services"].values()} == {"app:abc", "other:abc"}
    assert sorted(text for _, text in fake.said) == ["building app:abc", "building other:abc", "built app:abc", "built other:abc"]


@pytest.mark.parametrize("labels", [{"mine": "$1"}, ["mine=$1"]])
def test_a_built_image_is_labelled(fake: Fake, labels: Any) -> None:
    fake.ensure(built("a", labels=labels, target="t"))
    build = fake.composed[0][1]["services"]["a"]["build"]
    assert build == {"context": "/p/app", "target": "t", "labels": {"mine": "$$1", "envctl.build": "app:abc"}}


def test_a_build_that_fails(fake: Fake) -> None:
    fake.fails = "\n".join(["#1 ..."] * 80 + ["#9 [b 2/3] RUN false", "ERROR: exit code: 1"])
    with pytest.raises(ServiceFailed) as caught:
        fake.ensure(built("a"), built("b", "other:abc"))
    evidence = caught.value.evidence
    assert evidence is not None
    assert caught.value.message in ("a, b: the image cannot be built", "b, a: the image cannot be built")
    assert (evidence.service, evidence.step, len(evidence.logs)) == ("b", "build", 60)
    assert evidence.logs[-1] == "ERROR: exit code: 1"
    assert evidence.advice == "`docker build /p/app` shows the same"


def test_of_several_builds_the_one_that_fails_is_named(fake: Fake) -> None:
    fake.fails = "#9 [b 2/3] RUN true\n#9 CANCELED\n------\n > [c build 2/3] RUN false:\n------\nfailed to solve: exit code: 1"
    with pytest.raises(ServiceFailed, match=r"^c: the image cannot be built$") as caught:
        fake.ensure(built("a"), built("b", "other:abc"), built("c", "third:abc"))
    assert caught.value.evidence is not None
    assert caught.value.evidence.service == "c"


HELPER = 'error getting credentials - err: exec: "docker-credential-desktop": executable file not found in $PATH, out: ``'


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("write /x: no space left on device\nexit code: 1", "the daemon's disk is full: `docker system df`"),
        (f"#4 [a auth] sharing credentials\nfailed to solve: {HELPER}", "install docker-credential-desktop, or remove `credsStore`"),
        ("failed to solve: pulling from host r:5000 failed with status code [manifests 1]: 401 Unauthorized", "log in to the registry"),
        ("#9 0.1 mkdir: permission denied\n#9 0.2 denied\nfailed to solve: exit code: 1", "`docker build /p/app` shows the same"),
    ],
)
def test_a_build_that_fails_for_a_reason_that_is_known(fake: Fake, output: str, advice: str) -> None:
    fake.fails = output
    with pytest.raises(ServiceFailed) as caught:
        fake.ensure(built("a"))
    assert caught.value.evidence is not None
    assert caught.value.evidence.advice.startswith(advice)


# Removing old images


@pytest.fixture
def stored(fake: Fake) -> Callable[[bool], list[str]]:
    old = time.time() - 30 * 86400
    fake.api.used = [{"ImageID": "used"}]
    fake.api.in_use = {"stuck"}
    fake.api.listed = [
        {"Id": "used", "Created": old, "RepoTags": ["a:1"]},
        {"Id": "old", "Created": old, "RepoTags": ["b:1", "b:2"]},
        {"Id": "kept", "Created": old, "RepoTags": ["envctl/snapshot:k"], "Labels": {SNAPSHOT: "k"}},
        {"Id": "new", "Created": time.time(), "RepoTags": ["c:1"]},
        {"Id": "stuck", "Created": old, "RepoTags": ["d:1"]},
        {"Id": "sha256:0123456789abcdef", "Created": old, "RepoTags": None},
    ]
    return lambda everything: images.prune(fake.connection, everything)


@pytest.mark.parametrize(
    ("everything", "removed"), [(False, ["b:1", "b:2", "sha256:0123456789ab"]), (True, ["b:1", "b:2", "c:1", "sha256:0123456789ab"])]
)
def test_old_images_that_nobody_uses_are_removed(stored: Callable[[bool], list[str]], everything: bool, removed: list[str]) -> None:
    assert stored(everything) == removed
