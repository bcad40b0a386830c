"""Fixed addresses in a service's environment, which lead all lanes to one service: they become references, or are errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envctl.definition.models import Service
from envctl.environment import Environment
from envctl.errors import DefinitionError
from envctl.plan.make import make_plan
from envctl.plan.model import Plan
from envctl.plan.transforms import Selection, apply
from envctl.plan.transforms.fixed_addresses import with_references
from tests.builders import environment_of, setting_of

DATABASE = {"databases": ["shop", "audit-log"], "username": "app", "password": "secret"}


def environment(
    folder: Path, env: dict[str, Any], *, from_compose: bool = True, others: Mapping[str, Service] | None = None, **changes: Any
) -> Environment:
    """Return an environment as a Compose file describes it.

    Lanes share the database and the broker; each lane has its own cache and API. *others* are added.
    """
    found = environment_of(folder, "services: {}\n")
    aliases = {"networks": {"back": {"aliases": ["database"]}}}
    services = {
        "db": Service(kind="postgres", image="postgres:17", ports={"postgres": 5432}, with_=DATABASE, compose=aliases),
        "mq": Service(kind="rabbitmq", image="rabbitmq:4.0", ports={"amqp": 5672}, with_={"virtual_hosts": ["/", "jobs"]}),
        "cache": Service(kind="redis", image="redis:8.0", ports={"redis": 6379}),
        "api": Service(image="a:1", env=env, ports={"http": 8000}, **changes),
        **(others or {}),
    }
    theirs = {name: service.model_copy(update={"from_compose": from_compose}) for name, service in services.items()}
    definition = found.definition.model_copy(update={"services": theirs})
    loaded = replace(found.loaded, definition=definition, compose_extra={"networks": {"back": None}})
    return replace(found, definition=definition, loaded=loaded)


def planned(folder: Path, env: dict[str, Any], lanes: int = 2, **changes: Any) -> Plan:
    laned = apply(environment(folder, env, **changes), Selection(lanes=lanes))
    return make_plan(laned, setting_of(laned))


def refused(folder: Path, env: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        apply(environment(folder, env, **changes), Selection(lanes=2))
    return [(problem.message, problem.hint) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("value", "second"),
    [
        ("postgres://app:secret@db:5432/shop", "postgres://app:secret@db:5432/shop_lane2"),
        ("postgresql+asyncpg://app@db/shop?sslmode=disable", "postgresql+asyncpg://app@db/shop_lane2?sslmode=disable"),
        ("jdbc:postgresql://db:5432/audit-log", "jdbc:postgresql://db:5432/audit-log_lane2"),
        ("postgres://database/shop", "postgres://database/shop_lane2"),
        ("amqp://u:p@mq:5672", "amqp://u:p@mq:5672/%2F-lane2"),
        ("amqp://u:p@mq/%2f", "amqp://u:p@mq/%2F-lane2"),
        ("amqp://mq/jobs", "amqp://mq/jobs-lane2"),
        ("redis://cache:6379/0", "redis://cache-lane2:6379/0"),
        ("cache:6379", "cache-lane2:6379"),
        ("http://api:8000/v1", "http://api-lane2:8000/v1"),
        ("http://api:9999/v1", "http://api-lane2:9999/v1"),
        ("postgres://elsewhere/shop", "postgres://elsewhere/shop"),
        ("a db of $${x}", "a db of ${x}"),
        ("/srv/db", "/srv/db"),
        ("db", "db"),
    ],
)
def test_an_address_that_is_sure_leads_to_the_lane(tmp_path: Path, value: str, second: str) -> None:
    plan = planned(tmp_path, {"WHERE": value})
    assert plan.services["api-lane2"].env["WHERE"] == second
    assert plan.services["api"].env["WHERE"] == second.replace("_lane2", "_lane1").replace("%2F-lane2", "%2F-lane1").replace(
        "jobs-lane2", "jobs-lane1"
    ).replace("-lane2", "")


def test_one_lane_has_a_database_of_its_own_too(tmp_path: Path) -> None:
    assert planned(tmp_path, {"URL": "postgres://db/shop"}, lanes=1).services["api"].env["URL"] == "postgres://db/shop_lane1"
    assert planned(tmp_path, {"URL": "postgres://db/shop"}, lanes=0).services["api"].env["URL"] == "postgres://db/shop"


@pytest.mark.parametrize(("host", "name"), [("PGHOST", "PGDATABASE"), ("DB_HOST", "DB_NAME"), ("HOST", "DATABASE"), ("db_server", "db_db")])
def test_a_host_and_the_database_that_belongs_to_it(tmp_path: Path, host: str, name: str) -> None:
    found = planned(tmp_path, {host: "db:5432", name: "shop", "TITLE": "shop", "CACHE_HOST": "cache"}).services["api-lane2"].env
    assert found == {host: "db:5432", name: "shop_lane2", "TITLE": "shop", "CACHE_HOST": "cache-lane2"}


def test_what_is_divided_is_waited_for_and_nothing_else_is(tmp_path: Path) -> None:
    env = {"A": "postgres://db/shop", "B": "redis://cache"}
    assert planned(tmp_path, env, needs={"db": "ready"}).services["api-lane2"].needs == {"db": "seeded"}
    assert planned(tmp_path, env, needs={"cache": "ready"}).services["api-lane2"].needs == {"db": "seeded", "cache-lane2": "ready"}


@pytest.mark.parametrize(
    ("env", "key", "way"),
    [
        ({"URL": "postgres://db/other"}, "URL", "`env: {URL: ${db.url}}`"),
        ({"URL": "postgres://db:5433/shop"}, "URL", "`env: {URL: ${db.url}}`"),
        ({"DSN": "host=db dbname=shop"}, "DSN", "`env: {DSN: ${db.url}}`"),
        ({"SERVERS": "mq:5672,mq:5672"}, "SERVERS", "`env: {SERVERS: ${mq.url}}`"),
        ({"DB_HOST": "db"}, "DB_HOST", '`env: {DB_HOST: ${db.host}}`, and `${db.databases["shop"].name}` where'),
        ({"DB_HOST": "db", "DB_NAME": "other"}, "DB_HOST", "${db.host}"),
        ({"DB_HOST": "db", "DB_NAME": "shop", "DB_DATABASE": "shop"}, "DB_HOST", "${db.host}"),
        ({"CACHES": "redis://cache:6379,redis://cache:6379"}, "CACHES", "`env: {CACHES: ${cache.url}}`"),
    ],
)
def test_what_is_not_sure_is_said(tmp_path: Path, env: dict[str, str], key: str, way: str) -> None:
    [(message, hint)] = refused(tmp_path, env)
    assert message.startswith(f"{key} of 'api' contains a fixed address of '")
    assert message.endswith("which is separate in each lane")
    assert hint.startswith("in a definition with `from:` this file, ")
    assert way in hint


def test_words_that_are_no_addresses_stay(tmp_path: Path) -> None:
    env = {"DB_SERVER_TYPE": "db", "HOSTS_FILE": "db", "CACHE": "cache", "IMAGE": "db:17", "PATHS": "/db:/cache"}
    assert planned(tmp_path, env).services["api-lane2"].env == env
    assert planned(tmp_path, {**env, "SERVER": "api"}, from_compose=False).services["api-lane2"].env == {**env, "SERVER": "api"}


def test_every_one_of_them_is_said(tmp_path: Path) -> None:
    env = {"A": "postgres://db/other", "B": "host=db", "C": "postgres://db/shop", "D": 5}
    assert [message.split()[0] for message, _ in refused(tmp_path, env)] == ["A", "B"]
    [(message, _)] = refused(tmp_path, {}, compose={"command": ["serve", "--db", "postgres://db/shop"]})
    assert message == "the command of 'api' contains a fixed address of 'db', which is separate in each lane"


def test_a_definition_of_ours_stays_as_it_is_written(tmp_path: Path) -> None:
    [(message, hint)] = refused(tmp_path, {"URL": "postgres://db/shop"}, from_compose=False)
    assert message == "URL of 'api' contains a fixed address of 'db', which is separate in each lane"
    assert hint == "`env: {URL: ${db.url}}`"


@pytest.mark.parametrize(
    "value",
    [
        "app:secret@db:5432/shop",
        "postgres://u:p@ss@db:5432/shop",
        '{"host":"db","port":5432,"database":"shop"}',
        "postgres://DB/shop",
        "postgres://db./shop",
        "postgres://database:5432,db:5432/shop",
    ],
)
def test_an_address_in_another_spelling_is_said(tmp_path: Path, value: str) -> None:
    assert [message for message, _ in refused(tmp_path, {"WHERE": value})] == [
        "WHERE of 'api' contains a fixed address of 'db', which is separate in each lane"
    ]


def test_a_text_with_two_addresses_is_said_for_both(tmp_path: Path) -> None:
    problems = refused(tmp_path, {"URL": "redis://cache:6379/?next=postgres://db/shop"})
    assert [message.split("'")[3] for message, _ in problems] == ["cache", "db"]


def test_a_name_that_a_link_gives_is_an_address(tmp_path: Path) -> None:
    linked = {"links": ["db:pg", "cache:store"]}
    env = {"URL": "postgres://pg/shop", "CACHE": "redis://store:6379"}
    found = planned(tmp_path, env, compose=linked).services["api-lane2"].env
    assert found == {"URL": "postgres://pg/shop_lane2", "CACHE": "redis://cache-lane2:6379"}
    [(message, _)] = refused(tmp_path, {"URL": "postgres://pg/other"}, compose=linked)
    assert message.startswith("URL of 'api' contains a fixed address of 'db'")
    assert planned(tmp_path, {"URL": "postgres://pg/other"}).services["api-lane2"].env == {"URL": "postgres://pg/other"}


def test_files_of_variables_are_looked_through(tmp_path: Path) -> None:
    (tmp_path / "app.env").write_text("URL=postgres://db/shop\nTITLE=db\n")
    [(message, hint)] = refused(tmp_path, {}, from_compose=False, env_file=["app.env"])
    assert message == "URL in app.env of 'api' contains a fixed address of 'db', which is separate in each lane"
    assert hint == "`env: {URL: ${db.url}}`"
    found = planned(tmp_path, {"URL": "${db.url}"}, from_compose=False, env_file=["app.env"]).services["api-lane2"].env
    assert found["URL"].endswith("@db:5432/shop_lane2")


@pytest.mark.parametrize("given", [{"URL": "postgres://db/shop", "N": 1}, ["URL=postgres://db/shop", "N"]])
def test_variables_under_compose_are_looked_through(tmp_path: Path, given: object) -> None:
    [(message, hint)] = refused(tmp_path, {}, from_compose=False, compose={"environment": given})
    assert message == "URL in `compose:` of 'api' contains a fixed address of 'db', which is separate in each lane"
    assert hint == "`env: {URL: ${db.url}}`"


@pytest.mark.parametrize("command", [["psql", "-h", "db", "shop"], ["sh", "-c", "psql --host=db shop"], ["nc", "-z", "db", "5432"]])
def test_a_command_has_addresses_of_its_own(tmp_path: Path, command: list[str]) -> None:
    [(message, _)] = refused(tmp_path, {}, compose={"command": command})
    assert message == "the command of 'api' contains a fixed address of 'db', which is separate in each lane"


def test_one_for_all_lanes_has_no_address_of_a_lane(tmp_path: Path) -> None:
    [(message, hint)] = refused(tmp_path, {"URL": "postgres://app@db:5432/shop"}, scope="environment")
    assert message == "'api' is shared by all lanes, but refers to 'db', which is separate in each lane, by a fixed address (URL)"
    assert hint == "`scope: lane` for 'api'"
    gateway = Service(image="g:1", env={"API": "http://api:8000"}, scope="environment")
    [(message, hint)] = refused(tmp_path, {}, others={"gateway": gateway})
    assert message == "'gateway' is shared by all lanes, but refers to 'api', which is separate in each lane, by a fixed address (API)"
    assert hint == "`scope: lane` for 'gateway'; or `scope: environment` for 'api' makes all lanes share it"
    shared = {"gateway": gateway}
    assert planned(tmp_path, {}, others=shared, scope="environment").services["gateway"].env == {"API": "http://api:8000"}


def test_the_hint_names_the_service_that_could_be_shared(tmp_path: Path) -> None:
    web = {"web": Service(image="w:1", env={"APIS": "http://api:8000,http://api:8000"})}
    [(_, hint)] = refused(tmp_path, {}, others=web)
    assert hint.endswith("`env: {APIS: ${api.url}}`; or `scope: environment` for 'api' makes all lanes share it")
    [(_, hint)] = refused(tmp_path, {"URL": "postgres://db/shop"}, others=web)
    assert hint.endswith("`env: {APIS: ${api.url}}`")


def test_a_service_is_known_by_its_name_where_the_file_has_no_ports_of_it(tmp_path: Path) -> None:
    others = {"worker": Service(image="w:1")}
    env = {"WORKER_ADDR": "worker:9091", "WORKER": "worker:9091", "WORKERS": "worker:50", "WORKER_IMAGE": "worker:2024"}
    assert planned(tmp_path, env, others=others).services["api-lane2"].env == {
        **env,
        "WORKER_ADDR": "worker-lane2:9091",
        "WORKER": "worker-lane2:9091",
    }


def test_the_reference_to_write_is_one_that_there_is(tmp_path: Path) -> None:
    others = {"worker": Service(image="w:1")}
    [(_, hint)] = refused(tmp_path, {"URLS": "http://worker,http://worker"}, others=others)
    assert "`env: {URLS: ${worker.name}}`" in hint


def test_what_is_changed_is_told(tmp_path: Path) -> None:
    env = {"DB_HOST": "db", "DB_NAME": "shop", "CACHE": "redis://cache", "TITLE": "x"}
    assert planned(tmp_path, env).losses == ("api: with lanes, DB_NAME, CACHE lead each lane to its own",)
    assert planned(tmp_path, {"TITLE": "x"}).losses == ()
    assert planned(tmp_path, env, lanes=0).losses == ()


def test_a_service_without_addresses_is_the_same_object(tmp_path: Path) -> None:
    given = environment(tmp_path, {"TITLE": "a db"})
    found, problems = with_references(given, ["api", "cache"])
    assert (found.definition.services["api"] is given.definition.services["api"], problems) == (True, [])


@pytest.mark.parametrize("key", ["SERVER_NAME", "SERVER_ROLE", "HOSTED_ZONE", "ALLOWED_HOSTS", "VIRTUAL_HOST"])
def test_a_value_that_is_no_address_stays(tmp_path: Path, key: str) -> None:
    assert planned(tmp_path, {key: "api"}).services["api-lane2"].env == {key: "api"}


def test_what_cannot_be_read_as_compose_is_no_address(tmp_path: Path) -> None:
    found = with_references(environment(tmp_path, {}, compose={"links": 5, "networks": {"back": 5}, "environment": 5}), ["api"])
    assert found[1] == []
