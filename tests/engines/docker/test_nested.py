"""A job in a container that has Docker's socket finds an address at which it reaches published ports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.engines.docker.api import ApiError
from envctl.engines.docker.inside_container import gateway, own_container
from envctl.errors import EngineMissing

ID = "c0ffee" * 10 + "beef"
MOUNT = f"700 650 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n"


class Daemon:
    def __init__(self, networks: dict[str, Any] | None) -> None:
        self.networks = networks

    def get(self, path: str, **query: Any) -> Any:
        if path.startswith("/networks/"):
            return {"Internal": path.endswith("vault")}
        assert path == f"/containers/{ID}/json"
        if self.networks is None:
            raise ApiError(404, "no such container")
        return {"NetworkSettings": {"Networks": self.networks}}


@pytest.mark.parametrize(
    ("mounts", "networks", "expected"),
    [
        (MOUNT, {"ci": {"Gateway": "172.18.0.1"}}, "172.18.0.1"),
        (MOUNT, {"vault": {"Gateway": "172.18.0.1"}, "ci": {"Gateway": "172.19.0.1"}}, "172.19.0.1"),
        (MOUNT, {"host": {"Gateway": ""}}, ""),
        (MOUNT, None, ""),
        ("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", {}, ""),
    ],
)
def test_the_gateway_of_our_own_container(tmp_path: Path, mounts: str, networks: dict[str, Any] | None, expected: str) -> None:
    (tmp_path / "mountinfo").write_text(mounts)
    daemon = Daemon(networks)
    assert gateway(daemon, own_container(daemon, tmp_path / "mountinfo")) == expected


def test_where_nothing_says_so() -> None:
    assert own_container(Daemon(None), Path("/nowhere")) == {}


@pytest.mark.parametrize(
    ("networks", "told"),
    [
        ({"none": {"Gateway": ""}}, "this container has no network"),
        ({"vault": {"Gateway": "172.18.0.1"}}, "this container cannot reach anything outside, because its networks are `internal`: vault"),
    ],
)
def test_a_container_from_which_nothing_is_reached_is_told(networks: dict[str, Any], told: str) -> None:
    with pytest.raises(EngineMissing, match=told):
        gateway(Daemon(networks), {"NetworkSettings": {"Networks": networks}})
