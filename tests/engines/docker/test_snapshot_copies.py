"""Where snapshot data is copied to, on a simulated daemon; tests/snapshots/test_composed_live.py uses a real daemon."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from envctl.engines.docker.api import ApiError
from envctl.engines.docker.snapshot_copies import begin, discard, holds, mounted
from envctl.errors import EnvctlError
from envctl.instance.record import SnapshotRecord
from envctl.plan.model import Plan, ServicePlan, SnapshotPlan
from envctl.process.creation import InFlight
from envctl.render.compose import render_compose
from tests.builders import plan_of, service
from tests.processes import until

PLACES = ("/var/lib/postgresql/data", "/var/lib/postgresql", "PGDATA")
FOLDER = "/var/lib/postgresql/data"
KEPT = SnapshotRecord("k", "envctl/snapshot:k", "content")


@dataclass
class Played:
    """A simulated daemon with the image of one service and the image of one snapshot."""

    volumes: tuple[str, ...] = (FOLDER,)
    kept: tuple[str, ...] = (FOLDER,)
    """The volumes of the snapshot's image."""
    env: tuple[str, ...] = (f"PGDATA={FOLDER}",)
    full: bool = False
    refused: dict[tuple[str, str], int] = field(default_factory=dict)
    """Method and path of each request that is refused, with the status of the answer."""
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def get(self, path: str, **query: Any) -> Any:
        images = {"/images/db:1/json": self.volumes, "/images/envctl/snapshot:k/json": self.kept}
        if path not in images:
            raise ApiError(404, "no such image")
        return {"Config": {"Volumes": {key: {} for key in images[path]}, "Env": list(self.env)}}

    def request(self, method: str, path: str, query: Any = None, patience: float = 0.0, body: Any = None) -> Any:
        self.asked.append((method, path, body))
        if status := self.refused.get((method, path)):
            raise ApiError(status, "refused")
        if self.full and path == "/containers/create":
            raise ApiError(500, "no space left on device")
        return {"Id": "c"}


def composed(**changes: Any) -> ServicePlan:
    kept = SnapshotPlan("/var/lib/envctl/data", always=True, kind="k")
    return service("db", **{"from_compose": True, "places": PLACES, "snapshot": kept, **changes})


@pytest.mark.parametrize(
    ("daemon", "changes"),
    [
        (Played(), {}),
        (Played(), {"env": {"PGDATA": f"{FOLDER}/pgdata"}}),
        (Played(("/var/lib/postgresql",), ("PGDATA=/var/lib/postgresql/18/docker",)), {}),
        (Played(), {"compose": {"volumes": [{"type": "volume", "source": "a", "target": f"{FOLDER}/"}]}}),
    ],
)
def test_an_image_with_its_data_in_one_volume_holds_it(daemon: Any, changes: dict[str, Any]) -> None:
    assert holds(daemon, composed(**changes))


@pytest.mark.parametrize(
    ("daemon", "changes"),
    [
        (Played(()), {}),
        (Played((FOLDER, "/docker-entrypoint-initdb.d")), {}),
        (Played(("/elsewhere",)), {}),
        (Played(env=("PGDATA=/var/lib/postgresql/18",)), {}),
        (Played(), {"env": {"PGDATA": "/var/lib/postgresql/other"}}),
        (Played(), {"compose": {"volumes": [{"type": "volume", "source": "a", "target": "/var/lib/postgresql"}]}}),
        (Played(), {"image": "missing:1"}),
    ],
)
def test_data_that_may_lie_elsewhere_is_not_taken(daemon: Any, changes: dict[str, Any]) -> None:
    assert not holds(daemon, composed(**changes))


def test_a_copy_is_made_anew_from_the_snapshot() -> None:
    daemon: Any = Played()

    found = begin(daemon, composed(), KEPT, "t-1", {"envctl.instance": "t-1"}, InFlight())

    assert found == replace(KEPT, folder=FOLDER)
    made = {path: body for method, path, body in daemon.asked if method == "POST"}
    assert made["/volumes/create"]["Labels"]["envctl.instance"] == "t-1"
    assert made["/containers/create"]["HostConfig"] == {"Binds": ["t-1.db:/var/lib/envctl/data"]}
    removed = ["/containers/t-1.db", "/volumes/t-1.db", "/containers/t-1.db"]
    until(lambda: [path for method, path, _ in daemon.asked if method == "DELETE"] == removed)


def test_a_copy_that_finds_no_room_is_an_error() -> None:
    daemon: Any = Played(full=True)

    with pytest.raises(EnvctlError, match="no space left"):
        begin(daemon, composed(), KEPT, "t-1", {"envctl.instance": "t-1"}, InFlight())


def test_an_image_with_the_data_at_its_place_needs_no_copy() -> None:
    daemon: Any = Played(kept=())

    found = begin(daemon, composed(), KEPT, "t-1", {"envctl.instance": "t-1"}, InFlight())
    assert found == replace(KEPT, place=FOLDER, volume="t-1.db")
    assert {method for method, _, _ in daemon.asked} == {"DELETE"}


@pytest.mark.parametrize(("status", "more"), [(0, []), (404, []), (409, [("POST", "/containers/t-1.db/wait")])])
def test_a_copy_goes_when_the_container_that_made_it_has_gone(status: int, more: list[tuple[str, str]]) -> None:
    daemon: Any = Played(refused={("DELETE", "/containers/t-1.db"): status})

    discard(daemon, "t-1", "db")

    assert [each[:2] for each in daemon.asked] == [("DELETE", "/containers/t-1.db"), *more, ("DELETE", "/volumes/t-1.db")]


@pytest.mark.parametrize("path", ["/containers/t-1.db", "/volumes/t-1.db"])
def test_a_copy_that_cannot_go_is_an_error_that_names_it(path: str) -> None:
    daemon: Any = Played(refused={("DELETE", path): 500})

    with pytest.raises(EnvctlError, match=r"cannot remove the volume t-1\.db with the data of db: refused"):
        discard(daemon, "t-1", "db")


def plan_with(tmp_path: Any, volumes: list[Any]) -> Plan:
    plan = plan_of(tmp_path, "services:\n  db: {kind: postgres}\n")
    return replace(plan, services={"db": composed(compose={"volumes": volumes})}, compose_extra={"volumes": {"pgdata": {}}})


def test_the_copy_stands_in_the_place_of_the_data_and_of_nothing_else(tmp_path: Any) -> None:
    script = {"type": "bind", "source": "/p/1.sql", "target": "/docker-entrypoint-initdb.d/1.sql"}
    plan = plan_with(tmp_path, [script, {"type": "volume", "source": "pgdata", "target": FOLDER}])

    document = render_compose(mounted(plan, {"db": FOLDER, "gone": FOLDER}), standalone=False).document

    own = {"type": "volume", "source": "db.kept", "target": FOLDER, "volume": {}}
    assert document["services"]["db"]["volumes"] == [script, own]
    assert document["volumes"]["db.kept"] == {"external": True, "name": f"{plan.setting.id}.db"}


def test_what_a_definition_adds_later_in_the_short_form_stays_beside_the_copy(tmp_path: Any) -> None:
    plan = plan_with(tmp_path, ["./conf:/etc/db:ro", f"pgdata:{FOLDER}", FOLDER])

    document = render_compose(mounted(plan, {"db": FOLDER}), standalone=False).document

    own = {"type": "volume", "source": "db.kept", "target": FOLDER, "volume": {}}
    assert document["services"]["db"]["volumes"] == ["./conf:/etc/db:ro", own]
