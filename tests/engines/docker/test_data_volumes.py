"""How the data of a Compose file's services is identified, on a simulated daemon; test_data_volumes_live.py uses a real daemon."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from envctl.engines.docker.api import ApiError
from envctl.engines.docker.connection import Connection
from envctl.engines.docker.data_volumes import in_container, known_as, make, named, planned
from envctl.engines.docker.deployment import DockerDeployment
from envctl.engines.protocol import DeploymentSettings
from envctl.errors import EnvctlError, ServiceFailed, UsageError
from envctl.plan.model import Plan, ServicePlan, Step
from tests.builders import plan_with, service

PLACES = ("/var/lib/postgresql/data", "/var/lib/postgresql", "PGDATA", "--datadir")
FOLDER = "/var/lib/postgresql/data"
NAMELESS = "a" * 64
SEED = cast(Step, object())


@dataclass
class Played:
    """A simulated daemon with volumes (name to labels) and at most one container, of the service `db`."""

    volumes: dict[str, dict[str, str] | None] = field(default_factory=dict)
    container: str = ""
    mounts: list[dict[str, Any]] = field(default_factory=list)
    others: tuple[str, ...] = ()
    alone: str = ""
    """The name of a volume that only `db` uses, not the services in `others`."""
    removed: list[str] = field(default_factory=list)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    refuses: tuple[int, str] = (0, "")
    """The status and the reason with which a request to remove a volume is refused; status 0 refuses nothing."""

    @property
    def daemon(self) -> Played:
        return self

    @property
    def api(self) -> Played:
        return self

    def get(self, path: str, **query: Any) -> Any:
        names = ["db", *self.others] if "volume" in query["filters"] else ["db"]
        if self.others and query["filters"].get("volume") == [self.alone]:
            names = ["db"]
        return [{"Id": self.container, "Labels": {"com.docker.compose.service": name}} for name in names] if self.container else []

    def find(self, path: str) -> Any:
        what, name = path.strip("/").split("/")[:2]
        if what == "volumes":
            return {"Labels": self.volumes[name], "CreatedAt": "now"} if name in self.volumes else None
        return {"Mounts": self.mounts, "Config": {"Env": []}} if name == self.container else None

    def request(self, method: str, path: str, query: Any = None, patience: float = 0.0, body: Any = None) -> Any:
        self.asked.append((path, body))
        if self.refuses[0] and (method, path.split("/")[1]) == ("DELETE", "volumes"):
            raise ApiError(*self.refuses)
        if method == "DELETE":
            self.removed.append(path.rpartition("/")[2])


def mount(name: str, target: str = FOLDER, **more: Any) -> dict[str, Any]:
    return {"Type": "volume", "Name": name, "Destination": target, "RW": True, **more}


def composed(*volumes: Any, **changes: Any) -> ServicePlan:
    return service("db", **{"from_compose": True, "places": PLACES, "data": None, "compose": {"volumes": list(volumes)}, **changes})


def written(source: str | None, target: str = FOLDER, **more: Any) -> dict[str, Any]:
    return {"type": "volume", **({"source": source} if source else {}), "target": target, **more}


def plan_of_db(db: ServicePlan, **volumes: Any) -> Plan:
    return replace(plan_with(db), compose_extra={"volumes": {"pgdata": {}, **volumes}})


def deployment(daemon: Played, db: ServicePlan, **volumes: Any) -> DockerDeployment:
    plan = plan_of_db(db, **volumes)
    return DockerDeployment(cast(Connection, daemon), plan.setting.id, plan=plan, settings=DeploymentSettings(Path()))


@pytest.mark.parametrize(
    ("db", "names"),
    [
        (composed(written("pgdata")), ["pgdata"]),
        (composed(written("pgdata", f"{FOLDER}/pgdata/")), ["pgdata"]),
        (composed(written("pgdata", "/var/lib")), ["pgdata"]),
        (composed("pgdata:/var/lib/postgresql/data"), ["pgdata"]),
        (composed("pgdata:/var/lib/postgresql/data:ro"), []),
        (composed("./pgdata:/var/lib/postgresql/data", FOLDER, written(None)), []),
        (composed(written("pgdata", read_only=True)), []),
        (composed(written("pgdata", "/backup")), []),
        (composed(written("pgdata", "/elsewhere"), env={"PGDATA": "/elsewhere/17"}), ["pgdata"]),
        (composed(written("pgdata", "/elsewhere"), command=("--datadir=/elsewhere",)), ["pgdata"]),
        (composed(written("pgdata", "/elsewhere"), command=("--datadir", "/elsewhere")), ["pgdata"]),
        (composed(written("pgdata", "/uploads"), places=()), []),
        (composed(written("pgdata", "/uploads"), places=(), steps=(SEED,)), ["pgdata"]),
    ],
)  # fmt: skip
def test_data_lies_where_its_server_keeps_it_or_in_any_volume_of_a_seeded_program(db: ServicePlan, names: list[str]) -> None:
    assert [each.source for each in named(plan_of_db(db), db)] == names


def test_an_external_volume_has_its_own_name() -> None:
    db = composed(written("pgdata"))
    plan = plan_of_db(db, pgdata={"external": True, "name": "everybodys"})
    assert named(plan, db) == [("pgdata", "everybodys", True)]
    assert named(plan_of_db(db), db) == [("pgdata", f"{plan.setting.id}_pgdata", False)]


@pytest.mark.parametrize(
    ("db", "mounts", "names"),
    [
        (composed(), [mount(NAMELESS)], [NAMELESS]),
        (composed(), [mount(NAMELESS), mount("t_pgdata")], ["t_pgdata"]),
        (composed(), [mount(NAMELESS, "/tmp/other")], []),
        (composed(), [mount("t_pgdata", RW=False)], []),
        (composed(), [{"Type": "bind", "Source": "/p", "Destination": FOLDER}], []),
        (composed(written(None, "/app/node_modules"), places=(), steps=(SEED,)), [mount(NAMELESS, "/app/node_modules")], []),
        (composed(places=(), steps=(SEED,)), [mount(NAMELESS, "/data")], [NAMELESS]),
        (composed(places=(), steps=(SEED,)), [mount("t_uploads", "/uploads"), mount("t_data", "/app/data")], ["t_data"]),
        (composed(places=()), [mount("t_data", "/data")], []),
    ],
)
def test_a_container_shows_what_its_file_does_not_say(db: ServicePlan, mounts: list[dict[str, Any]], names: list[str]) -> None:
    assert in_container(db, {"Mounts": mounts, "Config": {"Env": []}}) == names


def test_data_in_a_volume_stays_the_same_when_its_container_is_made_anew() -> None:
    db = composed(written("pgdata"))
    id = plan_of_db(db).setting.id
    daemon = Played({f"{id}_pgdata": {"envctl.data": "mark"}}, "first", [mount(f"{id}_pgdata")])

    first = deployment(daemon, db).data_id(db)
    daemon.container = "second"

    assert (first, deployment(daemon, db).data_id(db)) == ("mark", "mark")
    daemon.container = ""
    assert deployment(daemon, db).data_id(db) == "mark"
    daemon.volumes.clear()
    assert deployment(daemon, db).data_id(db) == ""


def test_data_in_the_container_itself_goes_with_it() -> None:
    db, daemon = composed(), Played(container="first")

    first = deployment(daemon, db).data_id(db)
    daemon.container = "second"

    assert (first, deployment(daemon, db).data_id(db)) == ("first", "second")


def test_what_a_program_keeps_beside_its_uploads_goes_with_its_container() -> None:
    app = composed(written("pgdata", "/uploads"), places=(), steps=(SEED,))
    id = plan_of_db(app).setting.id
    daemon = Played({f"{id}_pgdata": {"envctl.data": "mark"}}, "first", [mount(f"{id}_pgdata", "/uploads")])

    first = deployment(daemon, app).data_id(app)
    daemon.container = "second"

    assert (first, deployment(daemon, app).data_id(app)) == ("first", "second")
    assert planned(plan_of_db(app), app) == []
    beside = replace(app, compose={"volumes": [written("pgdata", "/data")]})
    assert planned(plan_of_db(beside), beside) == [f"{id}_pgdata"]


def test_a_volume_without_a_mark_is_known_while_a_container_has_it() -> None:
    daemon: Any = Played({"b": None, "a": {"x": "y"}, "c": {"envctl.data": "mark"}, NAMELESS: None})
    assert known_as(daemon, ["b", "a", "gone"], "first") == "a@first b@first"
    assert known_as(daemon, ["c", NAMELESS], "first") == f"{NAMELESS} mark"
    assert known_as(daemon, ["gone"], "first") == ""


def test_a_volume_of_the_same_name_counts_for_the_same_only_where_its_container_was_made_anew_by_us(monkeypatch: Any) -> None:
    db = composed(written("pgdata"))
    daemon = Played({"mine": None}, "first", [mount("mine")])
    on = deployment(daemon, db, pgdata={"external": True, "name": "mine"})
    first = on.data_id(db)
    monkeypatch.setattr(DockerDeployment, "_compose", lambda self, text, whole: setattr(daemon, "container", "second"))

    on.create(whole=False)

    assert on.data_id(db) != first
    assert on.former_data_id(db) == first
    assert deployment(daemon, db).former_data_id(db) == "second"
    daemon.mounts = [mount("other")]
    assert on.former_data_id(db) == "second"


def test_what_an_earlier_version_knew_by_its_container_is_told() -> None:
    db = composed(written("pgdata"))
    assert deployment(Played(container="first"), db).former_data_id(db) == "first"
    assert deployment(Played(), db).former_data_id(db) == ""


def test_volumes_get_a_mark_beside_all_that_their_file_says() -> None:
    daemon: Any = Played()
    plan = plan_of_db(composed(written("pgdata"), written("mine")), mine={"external": True, "name": "mine"}, unused={})
    given = {"name": "t_pgdata", "driver": "local", "driver_opts": {"o": "size=$$1"}, "labels": {"envctl.instance": "t"}}

    make(daemon, plan, {"pgdata": given, "mine": {"external": True}, "unused": {"name": "t_unused"}})

    [(path, body)] = daemon.asked
    assert (path, body["Name"], body["Driver"], body["DriverOpts"]) == ("/volumes/create", "t_pgdata", "local", {"o": "size=$1"})
    assert body["Labels"]["com.docker.compose.volume"] == "pgdata"
    assert body["Labels"]["com.docker.compose.project"] == plan.setting.id
    assert body["Labels"]["envctl.instance"] == "t"
    assert body["Labels"]["envctl.data"]


def test_what_is_built_meanwhile_is_there_when_its_container_is() -> None:
    """Until the container has been replaced, the data id would be read from the container that is about to be removed."""
    db = composed()
    on = deployment(Played(), db)
    on._unbuilt, on._made = frozenset({"db"}), Future()
    on._made.set_exception(ServiceFailed("it cannot be made"))

    with pytest.raises(ServiceFailed, match="it cannot be made"):
        on.await_image(db)
    on.await_image(replace(db, name="other"))


def test_data_that_others_have_or_that_is_not_ours_is_not_thrown_away() -> None:
    db, daemon = composed(written("pgdata")), Played(container="c", others=("web",))

    with pytest.raises(UsageError, match="db keeps its data in the volume 'pgdata', which is also used by web"):
        deployment(daemon, db).discard(db)
    with pytest.raises(UsageError, match="in the external volume 'everybodys', which is not the instance's own"):
        deployment(daemon, db, pgdata={"external": True, "name": "everybodys"}).discard(db)
    assert daemon.removed == []


def test_of_a_program_what_it_has_alone_goes_and_the_rest_is_told() -> None:
    app = composed(written("pgdata", "/static"), written("own", "/uploads"), written("mine", "/m"), places=(), steps=(SEED,))
    id = plan_of_db(app).setting.id
    daemon = Played(container="c", others=("web",), alone=f"{id}_own")
    on = deployment(daemon, app, own={}, mine={"external": True, "name": "everybodys"})

    assert on.staying(app) == [
        "the volume 'pgdata', which is also used by web, stays as it is",
        "the external volume 'everybodys', which is not the instance's own, stays as it is",
    ]
    assert daemon.removed == []
    on.discard(app)
    assert daemon.removed == ["c", f"{id}_own"]


def test_a_volume_that_somebody_else_has_is_said_and_one_that_is_gone_is_no_mistake() -> None:
    db = service("db", data="/data")
    with pytest.raises(EnvctlError, match=r"db: its data cannot be removed: volume is in use - \[f00\]"):
        deployment(Played(container="first", refuses=(409, "volume is in use - [f00]")), db).discard(db)
    gone = Played(container="first", refuses=(404, "no such volume"))
    deployment(gone, db).discard(db)
    assert gone.removed == ["first"]
