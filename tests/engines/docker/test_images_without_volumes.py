"""Copies of images without their `VOLUME` instructions, on a simulated daemon; tests/snapshots/test_composed_live.py uses a real daemon."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from types import SimpleNamespace
from typing import Any, cast

import pytest

from envctl.engines.docker.connection import Connection, sdk_errors
from envctl.engines.docker.images_without_volumes import without_volumes

ID = f"sha256:{'5' * 64}"
SEEN = {
    "Created": "2026-01-01T00:00:00Z", "Architecture": "arm64", "Variant": "v8", "Os": "linux", "RootFS": {"Layers": ["a", "b"]},
    "Config": {"Env": ["A=1"], "Volumes": {"/data": {}}, "Labels": {"theirs": "1"}, "Healthcheck": {"Test": ["CMD", "x"]}, "User": "999"},
}  # fmt: skip


def played(load_image: Any) -> Connection:
    return cast(Connection, SimpleNamespace(api=SimpleNamespace(inspect_image=lambda image: SEEN, load_image=load_image)))


def test_all_but_its_volumes_stays() -> None:
    sent: list[bytes] = []

    def load(packed: bytes) -> list[dict[str, str]]:
        sent.append(packed)
        return [{"stream": f"Loaded image ID: {ID}\n"}]

    assert without_volumes(played(load), "db:1", {"ours": "2"}) == ID
    with tarfile.open(fileobj=io.BytesIO(sent[0])) as tar:
        files = {name: cast(Any, tar.extractfile(name)).read() for name in tar.getnames()}
    image = json.loads(files["manifest.json"])[0]
    content = files[image["Config"]]
    assert image["Config"] == f"{hashlib.sha256(content).hexdigest()}.json"
    assert (image["RepoTags"], len(image["Layers"])) == (None, 2)
    told = json.loads(content)
    assert told["config"] == {**SEEN["Config"], "Volumes": None, "Labels": {"theirs": "1", "ours": "2"}}  # type: ignore[dict-item]
    assert (told["architecture"], told["variant"], told["os"], told["rootfs"]["diff_ids"]) == ("arm64", "v8", "linux", ["a", "b"])


@pytest.mark.parametrize("answer", [[], [{"stream": "Loaded image: other:1"}], [{"error": "layer not found"}], ["?"]])
def test_a_daemon_that_loads_none_is_no_error(answer: list[Any]) -> None:
    assert without_volumes(played(lambda packed: answer), "db:1", {}) == ""


def test_nor_is_one_that_refuses() -> None:
    def refused(packed: bytes) -> None:
        raise sdk_errors.APIError("layer not found")

    assert without_volumes(played(refused), "db:1", {}) == ""
