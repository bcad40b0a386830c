"""Bind mounts of a job in a container use the paths of the daemon's machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.engines.docker.nested_paths import as_on_its_machine, mounts_of
from envctl.errors import UsageError

CONTAINER = {
    "Mounts": [
        {"Type": "bind", "Source": "/srv/ci", "Destination": "/builds"},
        {"Type": "volume", "Name": "cache", "Source": "/var/lib/docker/volumes/cache/_data", "Destination": "/builds/shop/cache"},
        {"Type": "tmpfs", "Source": "", "Destination": "/tmp"},
    ]
}


def moved(project: str = "/builds/shop", **document: Any) -> dict[str, Any]:
    return as_on_its_machine({"services": {}, **document}, mounts_of(CONTAINER), Path(project), Path(project))


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({"type": "bind", "source": "/builds/shop/a$$b", "target": "/x"}, {"type": "bind", "source": "/srv/ci/shop/a$$b", "target": "/x"}),
        ({"type": "bind", "source": "/builds/shop/cache/a"}, {"type": "bind", "source": "/var/lib/docker/volumes/cache/_data/a"}),
        ({"type": "bind", "source": "/etc/localtime"}, {"type": "bind", "source": "/etc/localtime"}),
        ({"type": "volume", "source": "data"}, {"type": "volume", "source": "data"}),
        ("./init:/init:ro", "/srv/ci/shop/init:/init:ro"),
        ("data:/data", "data:/data"),
        ("/data", "/data"),
    ],
)
def test_volumes(volume: Any, expected: Any) -> None:
    assert moved(services={"x": {"image": "x:1", "volumes": [volume]}})["services"]["x"] == {"image": "x:1", "volumes": [expected]}


def test_secrets_and_configs() -> None:
    found = moved(secrets={"a": {"file": "/builds/shop/a"}, "b": {"environment": "B"}}, configs={"c": {"content": "c"}})
    assert found["secrets"] == {"a": {"file": "/srv/ci/shop/a"}, "b": {"environment": "B"}}
    assert found["configs"] == {"c": {"content": "c"}}


def test_a_part_of_the_project_that_its_machine_does_not_have_is_told() -> None:
    with pytest.raises(UsageError, match="/work/shop/init is only in the container") as caught:
        moved("/work/shop", services={"x": {"volumes": ["./init:/init"]}})
    assert caught.value.hint == "mount the project there from outside: `docker run -v /work/shop:/work/shop ...`"
