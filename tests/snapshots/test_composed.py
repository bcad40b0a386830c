"""Tests of snapshots of a Compose file's services: which data is kept, and under which key. In doubt, data is created again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envctl.plan.model import File, Plan, SnapshotPlan
from envctl.snapshots.keys import can_be_kept, key_of
from tests.builders import plan_of, write

PLACES = ("/var/lib/postgresql/data", "/var/lib/postgresql", "PGDATA")
DATA = {"type": "volume", "source": "pgdata", "target": "/var/lib/postgresql/data", "volume": {}}
ENV = {"POSTGRES_USER": "shop", "POSTGRES_PASSWORD": "sesame"}


def composed(folder: Path, compose: Mapping[str, Any], env: Mapping[str, str] = ENV, **changes: Any) -> Plan:
    """Return the plan of a Compose file's database with another service beside it."""
    given = {"other": {}, "files": {}, "volumes": {"pgdata": {}}, "secrets": {"pw": {"file": str(folder / "pw.txt")}}, **changes}
    write(folder, {"pw.txt": "sesame\n"})
    plan = plan_of(folder, "services:\n  db: {kind: postgres}\n  other: {kind: service, image: 'other:1'}\n")
    db, other = plan.services["db"], plan.services["other"]
    assert db.snapshot is not None
    kept = SnapshotPlan(db.snapshot.folder, always=True, kind=db.snapshot.kind)
    own = {"compose": compose, "env": env, "files": given["files"], "places": PLACES, "snapshot": kept}
    bare = replace(db, from_compose=True, command=(), user=None, data=None, **own)
    services = {"db": bare, "other": replace(other, from_compose=True, compose=given["other"])}
    extra = {key: given.get(key, {}) for key in ("volumes", "secrets", "networks")}
    secrets = frozenset({env["POSTGRES_PASSWORD"]}) if "POSTGRES_PASSWORD" in env else frozenset()
    return replace(plan, services=services, compose_extra=extra, secrets=secrets)


def is_kept(plan: Plan) -> bool:
    return can_be_kept(plan, plan.services["db"])


def key(plan: Plan) -> str:
    return key_of(plan, "db", lambda service: service.image)


KEPT: dict[str, dict[str, Any]] = {
    "nothing but an image": {},
    "ports, networks and how it is started again": {"ports": [{"target": 5432}], "networks": {"back": None}, "restart": "always"},
    "a health check": {"healthcheck": {"test": ["CMD-SHELL", "pg_isready -U shop"]}},
    "a volume of its own": {"volumes": [DATA]},
    "a volume that only its image names": {"volumes": [{**DATA, "source": None}]},
    "options of its server": {"command": ["postgres", "-c", "max_connections=300"]},
    "limits": {"shm_size": "128mb", "deploy": {"resources": {"limits": {"memory": "1g"}}}},
    "a secret of the project": {"secrets": [{"source": "pw"}]},
}


@pytest.mark.parametrize("compose", KEPT.values(), ids=list(KEPT))
def test_what_a_server_alone_decides_about_is_kept(tmp_path: Path, compose: dict[str, Any]) -> None:
    assert is_kept(composed(tmp_path, compose))


SCRIPTS = "/docker-entrypoint-initdb.d"
SCRIPT = {"type": "bind", "source": "/p/init.sql", "target": f"{SCRIPTS}/init.sql", "read_only": True}
NOT_KEPT: dict[str, dict[str, Any]] = {
    "a first script that is not the project's": {"volumes": [SCRIPT]},
    "first scripts in a volume": {"volumes": [DATA, {**DATA, "source": "scripts", "target": SCRIPTS}]},
    "a file beside the volume": {"volumes": [DATA, {**SCRIPT, "target": "/etc/postgresql.conf"}]},
    "a folder of this machine": {"volumes": [{**DATA, "type": "bind", "source": "/srv/pg"}]},
    "a volume elsewhere": {"volumes": [{**DATA, "target": "/backups"}]},
    "a part of a volume": {"volumes": [{**DATA, "volume": {"subpath": "a"}}]},
    "a volume that it only reads": {"volumes": [{**DATA, "read_only": True}]},
    "tmpfs": {"tmpfs": ["/var/lib/postgresql/data"]},
    "a config": {"configs": [{"source": "x", "target": "/docker-entrypoint-initdb.d/x.sql"}]},
    "another user": {"user": "1000"},
    "another entry point": {"entrypoint": ["/bin/sh"]},
    "another working folder": {"working_dir": "/x"},
    "a read-only root": {"read_only": True},
    "the volumes of another": {"volumes_from": ["other"]},
    "another place in an argument": {"command": ["postgres", "-D", "/data"]},
    "a file in an argument": {"command": ["postgres", "-c", "config_file=/etc/postgresql.conf"]},
    "a script": {"command": ["sh", "-c", "echo hello; exec postgres"]},
    "a key that nobody knows yet": {"use_api_socket": True},
    "a secret that nobody says": {"secrets": [{"source": "missing"}]},
}


@pytest.mark.parametrize("compose", NOT_KEPT.values(), ids=list(NOT_KEPT))
def test_what_something_else_may_decide_about_is_not_kept(tmp_path: Path, compose: dict[str, Any]) -> None:
    assert not is_kept(composed(tmp_path, compose))


PLAIN_VARIABLES = {
    "a time zone": {"TZ": "Europe/Berlin"},
    "a folder inside of its volume": {"PGDATA": "/var/lib/postgresql/data/pgdata"},
    "a file with a secret": {"POSTGRES_PASSWORD_FILE": "/run/secrets/pw"},
    "a password with a slash": {"POSTGRES_PASSWORD": "a/b"},
}
ODD_VARIABLES = {
    "another folder": {"PGDATA": "/pg"},
    "a relative folder": {"PGDATA": "pg"},
    "a folder beside its volume": {"PGDATA": "/var/lib/postgresql/data/../../x"},
    "another folder for its log": {"POSTGRES_INITDB_WALDIR": "/wal"},
    "a folder in its arguments": {"POSTGRES_INITDB_ARGS": "-E UTF8 -X /wal"},
    "a password that the image draws": {"MARIADB_RANDOM_ROOT_PASSWORD": "1"},
    "a password that has to be changed first": {"MYSQL_ONETIME_PASSWORD": "1"},
    "another server": {"MARIADB_MASTER_HOST": "other"},
}


@pytest.mark.parametrize("env", PLAIN_VARIABLES.values(), ids=list(PLAIN_VARIABLES))
def test_variables_that_say_all_are_fine(tmp_path: Path, env: dict[str, str]) -> None:
    assert is_kept(composed(tmp_path, {}, {**ENV, **env}))


@pytest.mark.parametrize("env", ODD_VARIABLES.values(), ids=list(ODD_VARIABLES))
def test_variables_that_lead_elsewhere_are_not(tmp_path: Path, env: dict[str, str]) -> None:
    assert not is_kept(composed(tmp_path, {}, {**ENV, **env}))


@pytest.mark.parametrize("volume", [{"external": True, "name": "x"}, {"driver": "nfs"}, {"driver_opts": {"type": "nfs"}}])
def test_a_volume_that_is_somebody_else_s_is_not_replaced(tmp_path: Path, volume: dict[str, Any]) -> None:
    assert not is_kept(composed(tmp_path, {"volumes": [DATA]}, volumes={"pgdata": volume}))


@pytest.mark.parametrize("other", [{"volumes": [{**DATA, "target": "/backup"}]}, {"volumes": ["pgdata:/backup"]}, {"volumes_from": ["db"]}])
def test_data_that_another_service_sees_is_not_replaced(tmp_path: Path, other: dict[str, Any]) -> None:
    assert not is_kept(composed(tmp_path, {"volumes": [DATA]}, other=other))


def test_a_secret_of_the_surroundings_is_not_kept(tmp_path: Path) -> None:
    assert not is_kept(composed(tmp_path, {"secrets": [{"source": "pw"}]}, secrets={"pw": {"environment": "PW"}}))


def test_a_secret_that_lies_elsewhere_is_not_read(tmp_path: Path) -> None:
    elsewhere = tmp_path / "pw.txt"
    elsewhere.write_text("x")

    assert not is_kept(composed(tmp_path / "p", {"secrets": [{"source": "pw"}]}, secrets={"pw": {"file": str(elsewhere)}}))


def test_what_runs_in_several_containers_is_not_kept(tmp_path: Path) -> None:
    plan = composed(tmp_path, {})

    assert not can_be_kept(plan, replace(plan.services["db"], replicas=2))
    assert not can_be_kept(plan, replace(plan.services["db"], personal=True))


def test_what_waits_for_others_is_not_kept(tmp_path: Path) -> None:
    plan = composed(tmp_path, {})

    assert not can_be_kept(plan, replace(plan.services["db"], needs={"other": "ready"}))


@pytest.mark.parametrize("name", ["default", "shared"])
def test_no_twin_appears_on_a_network_of_others(tmp_path: Path, name: str) -> None:
    compose = {} if name == "default" else {"networks": {name: None}}

    assert not is_kept(composed(tmp_path, compose, networks={name: {"external": True, "name": "corporate"}}))
    assert is_kept(composed(tmp_path, compose, networks={name: {}}))


def test_what_nobody_outside_can_ask_is_not_kept(tmp_path: Path) -> None:
    """envctl could not find out whether such a server has been initialised."""
    networks = {"back": {"internal": True}, "front": {}}

    assert not is_kept(composed(tmp_path, {"networks": {"back": None}}, networks=networks))
    assert is_kept(composed(tmp_path, {"networks": {"back": None, "front": None}}, networks=networks))


OTHERS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "password": ({}, {"POSTGRES_PASSWORD": "mustard"}),
    "user": ({}, {"POSTGRES_USER": "me"}),
    "variable": ({}, {"POSTGRES_INITDB_ARGS": "--data-checksums"}),
    "arguments": ({"command": ["postgres", "-c", "fsync=off"]}, {}),
    "place": ({"volumes": [{**DATA, "target": "/var/lib/postgresql"}]}, {}),
    "memory": ({"shm_size": "128mb"}, {}),
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=list(OTHERS))
def test_whatever_else_the_file_says_is_another_key(tmp_path: Path, change: tuple[dict[str, Any], dict[str, str]]) -> None:
    compose, env = change

    assert key(composed(tmp_path, compose, {**ENV, **env})) != key(composed(tmp_path, {}))


def test_what_has_no_part_in_the_data_is_the_same_key(tmp_path: Path) -> None:
    more = {"ports": [{"target": 5432, "published": "5433"}], "labels": {"a": "b"}, "restart": "always", "networks": {"back": None}}

    assert key(composed(tmp_path, more)) == key(composed(tmp_path, {}))


def test_the_bytes_of_a_secret_count(tmp_path: Path) -> None:
    plan = composed(tmp_path, {"secrets": [{"source": "pw"}]})
    before = key(plan)

    (tmp_path / "pw.txt").write_text("mustard\n")

    assert key(plan) != before


def scripted(folder: Path, source: str, target: str = SCRIPTS) -> Plan:
    return composed(folder, {"volumes": [DATA, {"type": "bind", "source": str(folder / source), "target": target}]})


def test_the_names_and_the_bytes_of_first_scripts_count(tmp_path: Path) -> None:
    write(tmp_path, {"init/1.sql": "select 1;", "init/2.sql": "\\connect shop\nselect 'a';"})
    plan = scripted(tmp_path, "init")
    assert is_kept(plan)
    keys = [key(plan), key(scripted(tmp_path, "init/1.sql", f"{SCRIPTS}/1.sql")), key(composed(tmp_path, {"volumes": [DATA]}))]

    write(tmp_path, {"init/1.sql": "select 2;"})
    keys.append(key(plan))
    (tmp_path / "init/1.sql").rename(tmp_path / "init/3.sql")
    keys.append(key(plan))

    assert len(set(keys)) == 5


CALLS = [
    "\\! curl example.org",
    " \\i /tmp/x",
    "\\set a `date`",
    "copy t from program 'date'",
    "source /tmp/x",
    "select 1; \\! date",
    "select 1 \\! date",
    "select 1 \\g | sh",
    "select dblink('host=other')",
    "create extension postgres_fdw",
    "create subscription s connection 'host=other' publication p",
    "create table t (a int) engine=federated connection='mysql://other/x/t'",
    "change master to master_host='other'",
]


@pytest.mark.parametrize("text", CALLS)
def test_sql_that_calls_a_program_or_reads_a_file_is_not_kept(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"init/1.sql": f"select 1;\n{text}\n"})
    assert not is_kept(scripted(tmp_path, "init"))


def test_first_scripts_lie_where_compose_looks_for_them(tmp_path: Path) -> None:
    """Compose looks for a relative path in its project's folder, wherever the command runs."""
    write(tmp_path, {"init/1.sql": "select 1;"})
    plan = composed(tmp_path, {"volumes": [DATA, {"type": "bind", "source": "./init", "target": SCRIPTS}]})
    plan = replace(plan, folder=tmp_path)
    assert is_kept(plan)
    before = key(plan)
    write(tmp_path, {"init/1.sql": "select 2;"})
    assert key(plan) != before


def test_what_a_definition_adds_in_the_short_form_is_not_kept(tmp_path: Path) -> None:
    assert not is_kept(composed(tmp_path, {"volumes": ["pgdata:/var/lib/postgresql/data"]}))
    assert not is_kept(composed(tmp_path, {"secrets": ["pw"]}))


def test_a_first_script_that_may_ask_anybody_is_not_kept(tmp_path: Path) -> None:
    write(tmp_path, {"init/1.sql": "select 1;", "init/2.sh": "curl example.org"})

    assert not is_kept(scripted(tmp_path, "init"))
    assert is_kept(scripted(tmp_path, "init/1.sql", f"{SCRIPTS}/1.sql"))


def test_first_scripts_behind_a_link_are_not_read(tmp_path: Path) -> None:
    write(tmp_path, {"elsewhere/1.sql": "select 1;", "p/init/2.sql": "select 2;"})
    (tmp_path / "p/init/1.sql").symlink_to(tmp_path / "elsewhere/1.sql")

    assert not is_kept(scripted(tmp_path / "p", "init"))


@pytest.mark.parametrize(("text", "kept"), [("select 1;", True), ("select 1;\n\\! date\n", False)])
def test_first_scripts_that_a_definition_adds_are_looked_through_too(tmp_path: Path, text: str, kept: bool) -> None:
    plan = composed(tmp_path, {}, files={f"{SCRIPTS}/2.sql": File(text)})
    assert is_kept(plan) is kept


def test_null_in_the_first_column_is_no_command(tmp_path: Path) -> None:
    write(tmp_path, {"init/1.sql": "copy t from stdin;\n\\N\t1\n\\.\n"})
    assert is_kept(scripted(tmp_path, "init"))
