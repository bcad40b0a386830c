"""A job in a container with Docker's socket finds the way to what the daemon publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.engines.docker.api import ApiError
from envctl.engines.docker.inside_container import gateway
from envctl.errors import EngineMissing

ID = "c0ffee" * 10 + "beef"
MOUNT = f"700 650 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n"


class Daemon:
    def __init__(self, networks: dict[str, Any] | None) -> None:
        self.networks = networks

    def get(self, path: str, **query: Any) -> Any:
        assert path == f"/containers/{ID}/json"
        if self.networks is None:
            raise ApiError(404, "no such container")
        return {"NetworkSettings": {"Networks": self.networks}}


@pytest.mark.parametrize(
    ("mounts", "networks", "expected"),
    [
        (MOUNT, {"ci": {"Gateway": "172.18.0.1"}}, "172.18.0.1"),
        (MOUNT, {"host": {"Gateway": ""}}, ""),
        (MOUNT, None, ""),
        ("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", {}, ""),
    ],
)
def test_the_gateway_of_our_own_container(tmp_path: Path, mounts: str, networks: dict[str, Any] | None, expected: str) -> None:
    (tmp_path / "mountinfo").write_text(mounts)
    assert gateway(Daemon(networks), tmp_path / "mountinfo") == expected


def test_where_nothing_says_so() -> None:
    assert gateway(Daemon(None), Path("/nowhere")) == ""


def test_a_container_without_a_network_is_told(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(MOUNT)
    with pytest.raises(EngineMissing, match="this container has no network"):
        gateway(Daemon({"none": {"Gateway": ""}}), tmp_path / "mountinfo")
