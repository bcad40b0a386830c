"""Snapshots as images, without a daemon: the container that starts from a snapshot, moved data, and names in an image file."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from envctl.engines.docker.api import ApiError, Daemon, Endpoint
from envctl.engines.docker.connection import Connection, sdk_errors
from envctl.engines.docker.snapshot_to_volume import config_hashes, has_moved, made_anew, move
from envctl.engines.docker.snapshots import ServerImage, Watched, names_in, read, restored, run_from, server_image
from envctl.errors import EnvctlError
from envctl.instance.labels import IMAGE, SERVICE
from envctl.instance.record import SnapshotRecord
from envctl.plan.model import ServicePlan
from tests.builders import plan_of
from tests.fakedaemon import FakeDaemon, running

SERVER = ServerImage("sha256:base", ["entry.sh"], ["server"])
BASE = {"Id": "sha256:base", "Config": {"Entrypoint": ["entry.sh"], "Cmd": ["server"]}}


def of_kind(folder: Path, kind: str) -> ServicePlan:
    return plan_of(folder, f"services:\n  db: {{kind: {kind}}}\n").services["db"]


def test_the_data_is_in_the_image_and_in_no_volume(tmp_path: Path) -> None:
    found = restored(of_kind(tmp_path, "postgres"), "envctl/snapshot:k", SERVER)

    assert (found.image, found.data) == ("envctl/snapshot:k", None)
    assert found.env["PGDATA"] == "/var/lib/envctl/data/pgdata"
    assert found.entrypoint[:2] == ("sh", "-ec")
    assert found.entrypoint[-1] == "entry.sh"
    assert "/var/lib/envctl/restore.sql" in found.files
    assert found.labels == {IMAGE: "postgres:17 sha256:base"}


def test_what_knows_one_place_only_is_left_out(tmp_path: Path) -> None:
    found = restored(of_kind(tmp_path, "mariadb"), "envctl/snapshot:k", SERVER)

    assert "entry.sh" not in found.entrypoint
    assert found.command[-2:] == ("--datadir=/var/lib/envctl/mysql", "--init-file=/var/lib/envctl/restore.sql")


def test_without_passwords_in_the_data_the_image_starts_as_ever(tmp_path: Path) -> None:
    found = restored(of_kind(tmp_path, "valkey"), "envctl/snapshot:k", SERVER)

    assert found.entrypoint == ("entry.sh",)
    assert restored(replace(of_kind(tmp_path, "valkey"), command=()), "k", SERVER).command[0] == "server"


def test_a_compose_file_s_server_has_it_where_it_always_is(tmp_path: Path) -> None:
    folder, script = "/var/lib/postgresql/data", {"type": "bind", "source": "/p/1.sql", "target": "/docker-entrypoint-initdb.d/1.sql"}
    given = {
        "restart": "always",
        "pull_policy": "always",
        "volumes": [script, {"type": "volume", "source": "a", "target": f"{folder}/"}, f"b:{folder}", "/c"],
    }
    planned = replace(of_kind(tmp_path, "postgres"), compose=given, from_compose=True)

    found = run_from(planned, "envctl/snapshot:k", SERVER, folder)

    assert (found.image, found.labels) == ("envctl/snapshot:k", {IMAGE: "postgres:17 sha256:base"})
    assert found.compose == {"restart": "always", "volumes": [script, "/c"]}
    assert (found.env, found.command, found.entrypoint) == (planned.env, planned.command, planned.entrypoint)


def test_data_that_has_moved_is_in_a_volume_below_the_server_s_own_image(tmp_path: Path) -> None:
    found = restored(of_kind(tmp_path, "postgres"), "envctl/snapshot:k", SERVER, moved=True)

    assert (found.image, found.data) == ("postgres:17", "/var/lib/envctl/data")


KEPT = SnapshotRecord("k", "envctl/snapshot:k", "kept", place="/var/lib/envctl/data", volume="i_db-data")
RUNNING = {"Id": "c1", "ImageID": "kept", "Labels": {"envctl.instance": "i", "com.docker.compose.project": "i"}}


def played(server: FakeDaemon, **changes: Any) -> Connection:
    api = SimpleNamespace(
        stop=lambda container, timeout: None, create_host_config=dict, create_container=lambda image, **more: None,
        get_archive=lambda container, path: (b"data", {}), put_archive=lambda container, path, data: True,
    )  # fmt: skip
    return cast(Connection, SimpleNamespace(api=SimpleNamespace(**{**vars(api), **changes}), daemon=Daemon(Endpoint(server.host))))


def test_a_move_clears_away_what_another_one_left() -> None:
    with running(lambda method, path, query: (204, None)) as server:
        move(played(server), "db", RUNNING, KEPT, "d1")
    helper = "DELETE /containers/i_db-data"
    assert server.asked == [helper, "DELETE /volumes/i_db-data", "POST /volumes/create", helper, "DELETE /containers/c1"]
    assert server.queries[0] == {"force": "1", "v": "1"}


def test_a_move_that_fails_leaves_the_container_with_the_data() -> None:
    def full(container: str, path: str, data: object) -> None:
        raise sdk_errors.APIError("no space left on device")

    with (
        running(lambda method, path, query: (204, None)) as server,
        pytest.raises(EnvctlError, match=r"db: its data cannot be moved .* no space"),
    ):
        move(played(server, put_archive=full), "db", RUNNING, KEPT, "d1")
    assert "DELETE /containers/c1" not in server.asked


@pytest.mark.parametrize(
    ("image", "mark", "expected"),
    [
        (BASE, "postgres:17 sha256:old", ServerImage("sha256:base", ["entry.sh"], ["server"])),
        (None, "postgres:17 sha256:old", ServerImage("sha256:old", ["kept.sh"], [])),
        (None, "postgres:16 sha256:old", ServerImage("", ["kept.sh"], [])),
    ],
)
def test_a_server_s_own_image_may_have_been_removed(tmp_path: Path, image: dict[str, Any] | None, mark: str, expected: ServerImage) -> None:
    there = {"/images/postgres:17/json": image, "/images/kept/json": {"Config": {"Entrypoint": ["kept.sh"], "Cmd": None}}}
    daemon = cast(Daemon, SimpleNamespace(find=there.get))
    containers = [{"Labels": {SERVICE: "db", IMAGE: mark}}, {"Labels": {SERVICE: "other", IMAGE: "postgres:17 x"}}]

    found = server_image(daemon, of_kind(tmp_path, "postgres"), KEPT, containers)

    assert (found.id, list(found.entrypoint), list(found.command)) == tuple(expected)


@pytest.mark.parametrize(
    ("pieces", "seen"), [([b"a.M", b"YI"], True), ([b"x", b".MYI", b"y"], True), ([b"a.M", b"YD", b".MY"], False), ([], False)]
)
def test_a_word_is_noticed_across_the_pieces_of_a_stream(pieces: list[bytes], seen: bool) -> None:
    watched = Watched(pieces, b".MYI")
    assert (list(watched), watched.seen) == (pieces, seen)


class Volumes:
    """A daemon that has the named volumes."""

    def __init__(self, *names: str) -> None:
        self.names = names

    find = Daemon.find

    def get(self, path: str, **query: Any) -> Any:
        if path.removeprefix("/volumes/") not in self.names:
            raise ApiError(404, "no such volume")
        return {}


def container(image: str) -> dict[str, Any]:
    return {"ImageID": image, "Labels": {"com.docker.compose.service": "db", "com.docker.compose.config-hash": "1"}}


def test_as_long_as_the_container_has_it_the_volume_may_be_half_full() -> None:
    daemon: Any = Volumes("i_db-data")

    assert has_moved(daemon, "i_db-data", "db", "kept", [])
    assert has_moved(daemon, "i_db-data", "db", "kept", [container("other")])
    assert not has_moved(daemon, "i_db-data", "db", "kept", [container("kept")])
    assert not has_moved(daemon, "i_cache-data", "cache", "kept", [])


def test_compose_says_what_it_makes_anew() -> None:
    hashes = config_hashes("db 1\ncache 2\n\n")

    assert not made_anew(container("x"), hashes)
    assert made_anew(container("x"), config_hashes("db 2\n"))
    assert made_anew(container("x"), {})


def packed(file: Path, **parts: Any) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, told in parts.items():
            content = json.dumps(told).encode()
            entry = tarfile.TarInfo(name if name.endswith("repositories") else f"{name}.json")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file


@pytest.mark.parametrize(
    "parts",
    [
        {"manifest": [{"RepoTags": ["postgres:17"]}]},
        {"repositories": {"postgres": {"17": "x"}}},
        {"index": {"manifests": [{"annotations": {"io.containerd.image.name": "docker.io/postgres:17"}}]}},
        {"index": {"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "postgres:17"}}, {"annotations": None}]}},
        {"./manifest": [{"RepoTags": ["postgres:17"]}]},
        {"x/../repositories": {"postgres": {"17": "x"}}},
    ],
)
def test_every_name_that_a_file_gives_is_seen(tmp_path: Path, parts: dict[str, Any]) -> None:
    assert names_in(packed(tmp_path / "f", **parts)) == {"postgres:17"}
    assert names_in(packed(tmp_path / "g", manifest=[{"RepoTags": None}])) == set()


@pytest.mark.parametrize(
    "ref", ["postgres:17", "envctl/snapshot:latest", f"envctl/snapshot:{'0' * 32}:17", f"x/envctl/snapshot:{'0' * 32}"]
)
def test_no_name_of_another_image_is_loaded(tmp_path: Path, ref: str) -> None:
    with pytest.raises(EnvctlError, match="is not the name of a snapshot"):
        read(cast(Any, None), ref, packed(tmp_path / "f", manifest=[{"RepoTags": [ref]}]))


@pytest.mark.parametrize("told", [b"[" * 100_000, b"7", b"{"], ids=["deep", "number", "broken"])
def test_what_is_no_list_of_images(tmp_path: Path, told: bytes) -> None:
    entry = tarfile.TarInfo("manifest.json")
    entry.size = len(told)
    with tarfile.open(tmp_path / "f", "w") as tar:
        tar.addfile(entry, io.BytesIO(told))
    with pytest.raises(EnvctlError, match="is not an image"):
        read(cast(Any, None), f"envctl/snapshot:{'0' * 32}", tmp_path / "f")
