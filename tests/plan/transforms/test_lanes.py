"""`--lanes`: which services exist once for each lane, which are divided into units, and which service sees which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from envctl.definition.escaping import hex_bytes
from envctl.environment import Environment
from envctl.errors import DefinitionError, UsageError
from envctl.plan.make import make_plan
from envctl.plan.model import Plan, Selection
from envctl.plan.transforms import apply
from envctl.plan.transforms.lanes import lanes_of
from tests.builders import environment_of, setting_of

SHOP = """
services:
  db:
    kind: postgres
    with: {databases: [shop, audit], users: [reader]}
    seed:
      - {command: migrate, in: orders}
      - {command: [check, "${self.url}"]}
  files: {kind: s3, with: {buckets: [uploads]}}
  cache: {kind: valkey, scope: environment, with: {database: 3}}
  own: {kind: valkey}
  payments: {kind: stub}
  orders:
    kind: api
    image: x
    port: 80
    run: serve --lane ${lane.number} --bucket ${files.buckets.uploads.bucket}
    env:
      DB: ${db.url}
      AUDIT: ${db.databases.audit.url}
      READER: ${db.users.reader.url}
      CACHE: ${cache.url}
      OWN: ${own.url}
      PAY: ${payments.url}
    needs: {page: started}
  page: {image: x, port: 81}
outputs:
  ORDERS: ${orders.url}
  DB: ${db.url}
  LANE: ${lane.number}
tests: {api: "test ${db.database}"}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lanes")


@pytest.fixture(scope="module")
def plan(folder: Path) -> Plan:
    return planned(environment_of(folder, SHOP), 2)


def planned(environment: Environment, count: int) -> Plan:
    environment = apply(environment, Selection(lanes=count))
    return make_plan(environment, setting_of(environment))


def refused(folder: Path, text: str, count: int = 2) -> str:
    with pytest.raises(DefinitionError) as raised:
        planned(environment_of(folder, text), count)
    return "\n".join(map(str, raised.value.problems))


def test_without_lanes_nothing_changes(folder: Path) -> None:
    environment = environment_of(folder, SHOP)
    assert apply(environment, Selection()) == environment
    plan = planned(environment, 0)
    assert (plan.lanes, plan.outputs["DB"], plan.services["orders"].lane) == (
        (),
        "postgresql://db-username:db-password@127.0.0.1:20000/shop",
        0,
    )


def test_the_teams_own_are_there_once_per_lane_and_servers_with_units_once(plan: Plan) -> None:
    own = {"own", "payments", "orders", "page"}
    assert set(plan.services) == {"db", "files", "cache"} | own | {f"{name}-lane2" for name in own}
    assert {name: service.lane for name, service in plan.services.items() if service.written == "orders"} == {
        "orders": 1,
        "orders-lane2": 2,
    }


@pytest.mark.parametrize(("name", "lane", "own"), [("orders", 1, ""), ("orders-lane2", 2, "-lane2")])
def test_a_lanes_own_sees_its_lane_alone(plan: Plan, name: str, lane: int, own: str) -> None:
    service = plan.services[name]
    database = f"@db:5432/shop_lane{lane}"
    assert service.env == {
        "DB": f"postgresql://db-username:db-password{database}",
        "AUDIT": f"postgresql://db-username:db-password@db:5432/audit_lane{lane}",
        "READER": service.env["READER"],
        "CACHE": f"redis://cache-username:cache-password@cache:6379/{3 + lane}",
        "OWN": f"redis://own{own}-username:own{own}-password@own{own}:6379/0",
        "PAY": f"http://payments{own}:8080",
    }
    assert service.env["READER"].endswith(database)
    assert service.run == ("serve", "--lane", str(lane), "--bucket", f"uploads-lane{lane}")
    assert service.needs == {"db": "seeded", "files": "seeded", "cache": "seeded", f"own{own}": "seeded", f"payments{own}": "seeded",
                             f"page{own}": "started"}  # fmt: skip


def test_the_server_itself_knows_of_no_lane(plan: Plan) -> None:
    db = plan.services["db"]
    assert db.env["POSTGRES_DB"] == "shop"
    assert db.unit is not None
    assert [(n.base, n.template, n.lanes) for n in db.unit.names] == [
        ("shop", "shop_seeded", ("shop_lane1", "shop_lane2")),
        ("audit", "audit_seeded", ("audit_lane1", "audit_lane2")),
    ]


def test_what_is_seeded_is_seeded_without_a_lane(plan: Plan) -> None:
    migrate, check = plan.services["db"].steps
    assert migrate.env is not None
    assert migrate.env["DB"] == "postgresql://db-username:db-password@db:5432/shop"
    assert migrate.env["CACHE"].endswith("/3")
    assert check.env is not None
    assert (check.command[1], check.env["DB"]) == (check.env["DB"], "postgresql://db-username:db-password@127.0.0.1:20000/shop")


def test_outputs_of_each_lane(plan: Plan) -> None:
    first, second = plan.lanes
    assert plan.outputs == first
    assert (first["LANE"], second["LANE"]) == ("1", "2")
    assert first["DB"].endswith("/shop_lane1")
    assert second["DB"].endswith("/shop_lane2")
    assert first["ORDERS"] != second["ORDERS"]
    assert plan.tests["api"].run == ("test", "shop_lane1")


def test_default_outputs_have_the_names_of_the_definition(folder: Path) -> None:
    text = "services:\n  cache: {kind: valkey, scope: environment}\n  orders: {image: x, port: 80, env: {C: '${cache.url}'}}\n"
    plan = planned(environment_of(folder, text), 2)
    assert plan.lanes[0].keys() == plan.lanes[1].keys() >= {"ORDERS_URL", "CACHE_URL"}
    assert plan.lanes[1]["CACHE_DATABASE"] == "2"


def test_a_lease_has_the_properties_of_a_unit_with_any_name(plan: Plan) -> None:
    unit = plan.services["db"].unit
    assert unit is not None
    assert unit.properties_of("x7", "shop")["url"] == "postgresql://db-username:db-password@127.0.0.1:20000/x7"
    assert list(unit.properties_of("x7", "shop")["databases"]) == ["shop"]
    assert unit.server["url"].endswith("/shop")


def test_a_server_of_the_lanes_own_is_reset_from_its_own_template(folder: Path) -> None:
    text = "services:\n  db: {kind: postgres, scope: lane}\n  orders: {image: x, port: 80, env: {D: '${db.url}'}}\n"
    plan = planned(environment_of(folder, text), 2)
    assert plan.services["orders-lane2"].env["D"].endswith("@db-lane2:5432/app")
    unit = plan.services["db-lane2"].unit
    assert unit is not None
    assert [(n.base, n.template, n.lanes) for n in unit.names] == [("app", "app_seeded", ())]


def test_long_names_stay_apart(folder: Path) -> None:
    name = "d" * 60
    plan = planned(environment_of(folder, f"services:\n  db: {{kind: postgres, with: {{databases: [{name}]}}}}\n"), 12)
    unit = plan.services["db"].unit
    assert unit is not None
    names = [unit.names[0].base, unit.names[0].template, *unit.names[0].lanes]
    assert len(set(names)) == 14
    assert max(map(len, names)) <= 63


@pytest.mark.parametrize(
    ("fragment", "said"),
    [
        ("compose: {ports: ['8080:80']}", "port 8080 of this machine"),
        ("compose: {ports: ['127.0.0.1:8080:80/tcp']}", "port 8080 of this machine"),
        ("compose: {ports: [{target: 80, published: 8080}]}", "port 8080 of this machine"),
        ("compose: {network_mode: host}", "`network_mode: host`"),
        ("publish: 8080\n    port: 80", "port 8080 of this machine"),
        ("compose: {container_name: me}", "`container_name`"),
        ("compose: {volumes: ['data:/data']}", "the volume 'data'"),
        ("compose: {volumes: [{type: volume, source: data, target: /data}]}", "the volume 'data'"),
        ("compose: {networks: {default: {ipv4_address: 10.1.2.3}}}", "`ipv4_address`"),
        ("kubernetes: {spec: {hostNetwork: true}}", "`hostNetwork: true`"),
    ],
)
def test_what_cannot_be_there_twice_is_said_with_its_line(folder: Path, fragment: str, said: str) -> None:
    text = f"services:\n  orders:\n    image: x\n    {fragment}\n"
    found = refused(folder, text)
    assert said in found
    assert "environment.yaml:5: services.orders" in found
    assert "`scope: environment`" in found
    planned(environment_of(folder, text), 1)
    assert "orders-lane2" not in planned(environment_of(folder, text + "    scope: environment\n"), 2).services


@pytest.mark.parametrize("fragment", ["ports: ['80']", "ports: [{target: 80}]", "volumes: ['./here:/there', '/tmp/x', 'data:/data:ro']"])
def test_what_two_can_share_is_no_mistake(folder: Path, fragment: str) -> None:
    planned(environment_of(folder, f"services:\n  orders: {{image: x, compose: {{{fragment}}}}}\n"), 2)


@pytest.mark.parametrize("other", ["db: {kind: postgres}", "db: {kind: api, image: x, port: 5}"])
def test_one_for_all_lanes_cannot_use_what_is_a_lanes(folder: Path, other: str) -> None:
    text = f"services:\n  {other}\n  login: {{image: x, port: 80, scope: environment, env: {{D: '${{db.url}}'}}}}\n"
    found = refused(folder, text)
    assert "'login' is shared by all lanes, but refers to 'db', which is separate in each lane" in found
    assert "environment.yaml:4" in found


def test_a_server_without_anything_to_divide(folder: Path) -> None:
    assert "'files' has no buckets" in refused(folder, "services:\n  files: {kind: s3}\n")


@pytest.mark.parametrize("env", ["D: 'postgresql://${db.host}:${db.port}/app'", "D: '${db.username}'"])
def test_a_lanes_own_that_names_its_database_itself(folder: Path, env: str) -> None:
    found = refused(folder, f"services:\n  db: {{kind: postgres}}\n  orders: {{image: x, env: {{{env}}}}}\n")
    assert found.count("'orders' refers only to parts of 'db' that are the same in all lanes") == 1
    assert "environment.yaml:4" in found


def test_a_name_that_is_taken(folder: Path) -> None:
    environment = environment_of(folder, "services:\n  a: {image: x}\n  a-lane2: {image: x}\n")
    with pytest.raises(UsageError, match="'a-lane2', which is another service"):
        planned(environment, 2)


def test_what_runs_elsewhere_cannot_be_divided(folder: Path) -> None:
    environment = environment_of(folder, SHOP)
    use = {"db": "postgresql://u:p@127.0.0.1:1/x"}
    with pytest.raises(UsageError, match="all 2 lanes would share it"):
        apply(environment, Selection(use=use, lanes=2))
    assert apply(environment, Selection(use=use, lanes=1)).lanes.count == 1


def test_a_mistake_is_said_once_for_all_lanes(folder: Path) -> None:
    found = refused(folder, "services:\n  a: {image: x, port: 80, env: {A: '${self.port / 0}'}}\n", 3)
    assert found.count("services.a") == 1


@pytest.mark.parametrize(("text", "count"), [(None, 0), ("1", 1), ("12", 12), ("auto", 4)])
def test_how_many(text: str | None, count: int) -> None:
    assert lanes_of(text, 4) == count


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "1.5", "65", "²"])
def test_no_number_of_lanes(text: str) -> None:
    with pytest.raises(UsageError, match="not a number of lanes"):
        lanes_of(text, 4)


BROKERS = """
services:
  bus: {kind: nats, with: {accounts: [audit, {}], users: {ann: {publish: [a]}}}}
  broker: {kind: mqtt, scope: SCOPE, with: {users: {narrow: {subscribe: [state]}}}}
  events: {kind: kafka, with: {topics: [orders]}}
  app:
    image: x
    env:
      {BUS: "${bus.url}", AUDIT: "${bus.accounts.audit.url}", ANN: "${bus.users.ann.url}",
      MQTT: "${broker.url}", KAFKA: "${events.topics.orders.name}"
      PREFIX}
"""


def brokers(scope: str = "environment", prefix: str = ', PREFIX: "${broker.topic_prefix}", GROUP: "${events.topic_prefix}x"') -> str:
    return BROKERS.replace(", {}]", "]").replace("SCOPE", scope).replace("\n      PREFIX", prefix)


def test_a_lane_has_users_and_accounts_of_its_own_in_a_nats_that_all_share(folder: Path) -> None:
    plan = planned(environment_of(folder, brokers()), 2)
    env = [plan.services[name].env for name in ("app", "app-lane2")]
    assert "bus-lane2" not in plan.services
    users = [[str(urlsplit(each[key]).username) for key in ("BUS", "AUDIT", "ANN")] for each in env]
    assert users == [[f"bus-username-lane{n}", f"audit-lane{n}", f"ann-lane{n}"] for n in (1, 2)]
    passwords = {str(urlsplit(each[key]).password) for each in env for key in ("BUS", "AUDIT", "ANN")}
    assert len(passwords) == 6
    assert passwords <= plan.secrets
    text = plan.services["bus"].files["/etc/nats/envctl.conf"].text or ""
    assert all(hex_bytes(word) in text for word in (*users[0], *users[1], *passwords, "envctl-lane1", "audit-lane2"))
    unit = plan.services["bus"].unit
    assert unit is not None
    assert [(names.base, names.template, names.lanes) for names in unit.names] == [("", "", ("envctl-lane1", "envctl-lane2"))]
    assert unit.server["units"]["envctl-lane2"]["accounts"]["audit"]["username"] == "audit-lane2"


def test_without_lanes_nats_has_its_own_accounts_alone_and_nothing_to_copy(folder: Path) -> None:
    plan = planned(environment_of(folder, brokers()), 0)
    unit = plan.services["bus"].unit
    assert unit is not None
    assert (unit.names, unit.properties, unit.server["units"]) == ((), {}, {})
    assert urlsplit(plan.services["app"].env["BUS"]).username == "bus-username"


def test_a_lane_is_handed_the_prefix_of_its_topics(folder: Path) -> None:
    plan = planned(environment_of(folder, brokers()), 2)
    told = [[plan.services[name].env[key] for key in ("PREFIX", "KAFKA", "GROUP")] for name in ("app", "app-lane2")]
    assert told == [[f"envctl/lane{n}/", f"lane{n}.orders", f"lane{n}.x"] for n in (1, 2)]
    rights = (plan.services["broker"].files["/mosquitto/config/rights"].text or "").splitlines()
    assert rights[rights.index("user narrow") + 1 :] == [f"topic read {prefix}state" for prefix in ("", "envctl/lane1/", "envctl/lane2/")]
    alone = planned(environment_of(folder, brokers()), 0).services["app"].env
    assert [alone[key] for key in ("PREFIX", "KAFKA", "GROUP")] == ["", "orders", "x"]


def test_lanes_that_share_a_broker_without_its_prefix_are_refused(folder: Path) -> None:
    assert "'broker'" in refused(folder, brokers(prefix=""))
    assert "broker-lane2" in planned(environment_of(folder, brokers("lane", "")), 2).services


def test_a_nats_of_a_compose_file_has_no_accounts_of_lanes(folder: Path) -> None:
    found = environment_of(folder, "services:\n  bus: {kind: nats}\n")

    def composed(**changes: str) -> Environment:
        bus = found.definition.services["bus"].model_copy(update={"from_compose": True, **changes})
        return replace(found, definition=found.definition.model_copy(update={"services": {"bus": bus}}))

    assert list(apply(composed(), Selection(lanes=2)).definition.services) == ["bus", "bus-lane2"]
    with pytest.raises(DefinitionError, match="'bus' has the configuration of its Compose file"):
        apply(composed(scope="environment"), Selection(lanes=2))


def composed(folder: Path, text: str) -> Environment:
    """Return the environment of *text* as if a Compose file described its services."""
    found = environment_of(folder, text)
    services = {name: service.model_copy(update={"from_compose": True}) for name, service in found.definition.services.items()}
    definition = found.definition.model_copy(update={"services": services})
    return replace(found, definition=definition, loaded=replace(found.loaded, definition=definition))


def test_a_service_may_depend_on_one_that_all_lanes_share(folder: Path) -> None:
    text = """
        services:
          search: {image: s}
          api: {image: a, needs: {search: ready}}
    """
    with pytest.raises(DefinitionError) as raised:
        apply(composed(folder, text), Selection(lanes=2))
    [problem] = raised.value.problems
    assert "'api' comes from a Compose file and reaches 'search' by a fixed address" in problem.message
    way = "give it the address with a reference: `env: {NAME: ${search.name}}`"  # without a port the service has no URL
    assert problem.hint == f"{way}; or `scope: environment` for 'search' makes all lanes share it"
    shared = apply(composed(folder, text.replace("image: s}", "image: s, scope: environment}")), Selection(lanes=2))
    assert list(shared.definition.services) == ["search", "api", "api-lane2"]


def test_a_hint_does_not_propose_to_share_what_uses_a_lanes_own(folder: Path) -> None:
    text = """
        services:
          db: {kind: postgres}
          api: {image: a, env: {URL: "${db.url}"}, compose: {container_name: api}}
          web: {image: a, compose: {container_name: web}}
    """
    problems = refused(folder, text)
    assert "'api' cannot exist once per lane: `container_name`: two containers cannot have one name; remove it\n" in problems
    assert problems.endswith("; remove it, or `scope: environment` for 'web' makes all lanes share it")
