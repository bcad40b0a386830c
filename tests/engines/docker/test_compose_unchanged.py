"""Compose is not run when it would change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.engines.docker.api import ApiError
from envctl.engines.docker.compose import forget, remember, stranded, unchanged
from envctl.instance.labels import INSTANCE
from tests.builders import plan_with, service

TEXT = "services: {}"
PLAN = plan_with(service("db"), service("api", replicas=2))


def container(name: str, image: str) -> dict[str, Any]:
    networks = {"t": {"NetworkID": "n1"}}
    host = {"NetworkMode": "t"}
    return {
        "Id": f"c-{name}", "Labels": {"com.docker.compose.service": name}, "ImageID": image,
        "HostConfig": host, "NetworkSettings": {"Networks": networks},
    }  # fmt: skip


class Daemon:
    """A fake daemon that holds everything PLAN creates: containers, networks and images."""

    def __init__(self) -> None:
        self.containers = [container("db", "id of db:1"), container("api", "id of api:1"), container("api", "id of api:1")]
        self.networks: list[Any] = [{"Id": "n0", "Labels": None}, {"Id": "n1", "Labels": {INSTANCE: PLAN.setting.id}}]
        self.images = {"db:1": "id of db:1", "api:1": "id of api:1"}

    def get(self, path: str, **query: Any) -> Any:
        if path.startswith("/images/"):
            image = path.removeprefix("/images/").removesuffix("/json")
            if image not in self.images:
                raise ApiError(404, "no such image")
            return {"Id": self.images[image]}
        return {"/containers/json": self.containers, "/networks": self.networks}[path]


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    remember(tmp_path, TEXT)
    return Daemon()


def test_nothing_is_to_be_done(daemon: Daemon, tmp_path: Path) -> None:
    assert unchanged(daemon, PLAN, tmp_path, TEXT)


def test_another_text(daemon: Daemon, tmp_path: Path) -> None:
    assert not unchanged(daemon, PLAN, tmp_path, TEXT + " ")


def test_nobody_knows_what_was_made(daemon: Daemon, tmp_path: Path) -> None:
    """Compose was killed before it finished, or has created only part of another plan."""
    forget(tmp_path)
    assert not unchanged(daemon, PLAN, tmp_path, TEXT)
    forget(tmp_path)


@pytest.mark.parametrize("number", [0, 2])
def test_a_container_has_gone(daemon: Daemon, tmp_path: Path, number: int) -> None:
    del daemon.containers[number]
    assert not unchanged(daemon, PLAN, tmp_path, TEXT)


def test_a_container_of_a_service_that_the_plan_does_not_name(daemon: Daemon, tmp_path: Path) -> None:
    daemon.containers.append(container("old", "id of old:1"))
    assert not unchanged(daemon, PLAN, tmp_path, TEXT)


def test_the_network_has_gone(daemon: Daemon, tmp_path: Path) -> None:
    daemon.networks.pop()
    assert not unchanged(daemon, PLAN, tmp_path, TEXT)


@pytest.mark.parametrize("networks", [{}, {"t": {"NetworkID": "n9"}}], ids=["of a running one", "of a stopped one"])
def test_a_container_has_lost_its_network(daemon: Daemon, tmp_path: Path, networks: dict[str, Any]) -> None:
    """A network of the same name exists again, but the container was connected to the earlier network."""
    daemon.containers[0]["NetworkSettings"]["Networks"] = networks
    assert not unchanged(daemon, PLAN, tmp_path, TEXT)
    assert stranded(daemon.containers, daemon.networks) == ["c-db"]
    daemon.containers[0]["HostConfig"]["NetworkMode"] = "container:x"
    assert stranded(daemon.containers, daemon.networks) == []


def test_a_tag_stands_for_another_image(daemon: Daemon, tmp_path: Path) -> None:
    daemon.images["db:1"] = "id of another"
    assert not unchanged(daemon, PLAN, tmp_path, TEXT)


def test_an_image_has_gone(daemon: Daemon, tmp_path: Path) -> None:
    del daemon.images["db:1"]
    assert not unchanged(daemon, PLAN, tmp_path, TEXT)


def test_a_fragment_of_a_compose_file_may_say_what_we_do_not_know(daemon: Daemon, tmp_path: Path) -> None:
    plan = plan_with(service("db", compose={"deploy": {"replicas": 3}}), service("api", replicas=2))
    assert not unchanged(daemon, plan, tmp_path, TEXT)
