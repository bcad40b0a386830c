from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envctl.definition.env_files import variables_of
from envctl.definition.expressions import escape
from envctl.definition.models import Service
from envctl.engines.registry import traits
from envctl.errors import DefinitionError
from envctl.plan.make import make_plan
from envctl.plan.model import Port, ServicePlan
from envctl.plan.reading import as_text
from tests.builders import FIRST_PORT, environment_of, plan_of, setting_of

DB = "db: {kind: postgres}\n"


def planned(folder: Path, service: str, files: Mapping[str, str | bytes] | None = None, **changes: Any) -> ServicePlan:
    """Return the planned service `x`, beside a database."""
    return plan_of(folder, f"services:\n  {DB}  x: {{{service}}}\n", files, **changes).services["x"]


# Commands


def test_run_is_the_whole_program(tmp_path: Path) -> None:
    found = planned(tmp_path, 'image: "a", run: "serve --db ${db.url} \'${self.bind}\'"')
    assert found.run == ("serve", "--db", "postgresql://db-username:db-password@db:5432/app", "0.0.0.0")
    assert found.command == ()


def test_command_is_for_the_entry_point(tmp_path: Path) -> None:
    found = planned(tmp_path, "image: a, command: [x, 'y z', '${db.port}']")
    assert (found.run, found.command) == ((), ("x", "y z", "5432"))


def test_a_kind_has_a_command_of_its_own(tmp_path: Path) -> None:
    found = planned(tmp_path, "kind: postgres, with: {settings: {jit: false}}")
    assert found.command == (
        *("postgres", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"),
        *("-c", "jit=false"),
    )


def test_command_replaces_that_of_the_kind(tmp_path: Path) -> None:
    assert planned(tmp_path, "kind: postgres, command: postgres -c a=b").command == ("postgres", "-c", "a=b")


# Images


@pytest.mark.parametrize(
    ("service", "image"),
    [
        ("kind: postgres", "postgres:17"),
        ("kind: postgres, version: 16", "postgres:16"),
        ("kind: postgres, image: 'corp/pg:1'", "corp/pg:1"),
        ("kind: rabbitmq, with: {management: true}", "rabbitmq:4.0-management"),
        ("image: 'a:1', run: x", "a:1"),
    ],
)
def test_images(tmp_path: Path, service: str, image: str) -> None:
    assert planned(tmp_path, service).image == image


def test_every_pull_is_rewritten(tmp_path: Path) -> None:
    rewrite = {"docker.io": "mirror.corp"}
    assert planned(tmp_path, "kind: postgres", rewrite=rewrite).image == "mirror.corp/library/postgres:17"
    assert planned(tmp_path, "image: 'a/b:1', run: x", rewrite=rewrite).image == "mirror.corp/a/b:1"


@pytest.mark.parametrize("build", ["./app", "{context: ./app, target: test}"])
def test_what_is_built_is_called_by_its_content(tmp_path: Path, build: str) -> None:
    found = planned(tmp_path, f"build: {build}, run: x", {"app/Dockerfile": "FROM scratch\n"})
    assert found.build is not None
    assert found.build.context == tmp_path / "app"
    assert found.image == found.build.tag
    assert found.image.startswith("envctl/app:")
    assert found.folder == tmp_path / "app"


def test_a_built_image_can_have_a_name(tmp_path: Path) -> None:
    found = planned(tmp_path, "build: app, image: 'me/app:1'", {"app/Dockerfile": ""}, rewrite={"docker.io": "mirror.corp"})
    assert found.image.startswith("envctl/me-app:")
    found = planned(tmp_path, "build: app, image: 'me/app:1'", rewrite={"docker.io": "mirror.corp"}, image_names=True)
    assert found.image == "me/app:1"


def test_without_a_build_a_program_starts_beside_the_definition(tmp_path: Path) -> None:
    assert planned(tmp_path, "image: a, run: x").folder == tmp_path


# Environment variables


def test_the_variables(tmp_path: Path) -> None:
    found = planned(
        tmp_path,
        "image: a, env_file: [a.env, b.env], env: {URL: '${db.url}', N: 1, T: true, PORT: '${db.port}', L: '${[1, db.name]}', "
        "A: own, LITERAL: '$${x} $HOME', FROM_HERE: null, NOT_HERE: null}",
        {"a.env": "A=file\nB='two words'\nE=${HOME}\n", "b.env": "B=later\nBARE\n"},
        environ={"FROM_HERE": "here"},
    )
    assert found.env == {
        "URL": "postgresql://db-username:db-password@db:5432/app",
        "N": "1",
        "T": "true",
        "PORT": "5432",
        "L": '[1, "db"]',
        "A": "own",
        "B": "later",
        "E": "${HOME}",
        "LITERAL": "${x} $HOME",
        "FROM_HERE": "here",
    }


def test_the_definition_wins_over_the_kind(tmp_path: Path) -> None:
    found = planned(tmp_path, "kind: postgres, env: {POSTGRES_DB: other, TZ: UTC}")
    assert found.env["POSTGRES_DB"] == "other"
    assert found.env["TZ"] == "UTC"
    assert found.env["POSTGRES_USER"] == "x-username"


@settings(max_examples=50)
@given(st.text(st.characters(max_codepoint=0xFFFD, exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_a_password_reaches_the_service_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, password: str) -> None:
    given = json.dumps(escape(password))
    plan = plan_of(tmp_path_factory.mktemp("password"), f"services: {{db: {{kind: postgres, with: {{password: {given}}}}}}}")
    assert plan.services["db"].env["POSTGRES_PASSWORD"] == password


# Other properties


@pytest.mark.parametrize(
    ("service", "ports"),
    [
        ("kind: postgres", {"postgres": 5432}),
        ("kind: postgres, port: 6000", {"postgres": 6000}),
        ("kind: mail, port: 25", {"smtp": 25, "web": 8025}),
        ("kind: mail, ports: {web: 8080, extra: 9}", {"smtp": 1025, "web": 8080, "extra": 9}),
        ("kind: api, image: a, port: 80", {"http": 80}),
        ("image: a, port: 80, ports: {grpc: 81}", {"main": 80, "grpc": 81}),
        ("image: a", {}),
    ],
)
def test_ports(tmp_path: Path, service: str, ports: dict[str, int]) -> None:
    found = planned(tmp_path, service).ports
    assert {port.name: port.number for port in found} == ports
    assert [port.outside for port in found] == [FIRST_PORT + 1 + number for number in range(len(ports))]


def test_a_port_is_reserved_when_its_outside_address_is_read_inside(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        """
        services:
          page: {image: a, port: 80, ports: {admin: 81}}
          other: {image: a, port: 82}
          shop: {image: a, port: 83, env: {PAGE: "${page.outside.url}"}}
        outputs: {OTHER: "${other.url}"}
        """,
    )
    assert {name for name, service in plan.services.items() for port in service.ports if port.reserved} == {"page"}
    assert plan.services["page"].ports[0] == Port("main", 80, FIRST_PORT, True)
    assert plan.services["shop"].env["PAGE"] == f"http://127.0.0.1:{FIRST_PORT}"


@pytest.mark.parametrize(
    ("service", "stop"),
    [
        ("kind: postgres", 0),
        ("kind: postgres, stop: 3s", 3),
        ("image: a", 10),
        ("image: a, stop: 0", 0),
        ("kind: api, image: a, port: 1", 10),
    ],
)
def test_own_services_are_stopped_gently(tmp_path: Path, service: str, stop: float) -> None:
    assert planned(tmp_path, service).stop == stop


def test_properties_of_both_sides(tmp_path: Path) -> None:
    found = planned(tmp_path, "kind: api, image: a, port: 80")
    assert (found.inside["url"], found.outside["url"]) == ("http://x:80", f"http://127.0.0.1:{FIRST_PORT + 1}")
    assert not {"inside", "outside", "first", "bind"} & found.inside.keys()


def test_a_kind_sets_up_every_item(tmp_path: Path) -> None:
    setup = planned(tmp_path, "kind: kafka, with: {topics: [a, b]}").setup
    assert [argv[:2] for argv, _, _ in setup] == [("bash", "-c")] * 2
    assert planned(tmp_path, "kind: kafka").setup == ()


def test_a_kind_sets_up_once_when_there_is_something(tmp_path: Path) -> None:
    assert len(planned(tmp_path, "kind: s3, with: {buckets: [one, two]}").setup) == 1
    assert planned(tmp_path, "kind: s3").setup == ()


def test_readiness(tmp_path: Path) -> None:
    found = planned(tmp_path, "kind: api, image: a, port: 80, ready: {http: '/h?of=${db.name}', timeout: 5s}")
    assert [(check.probe, check.options) for check in found.checks] == [("http", {"path": "/h?of=db"})]
    assert found.ready_timeout == 5
    assert "http://127.0.0.1:80/h?of=db" in found.healthcheck[1]


def test_the_health_check_of_a_kind_is_its_own(tmp_path: Path) -> None:
    assert "psql" in planned(tmp_path, "kind: postgres").healthcheck[1]
    assert planned(tmp_path, "kind: nats").healthcheck == ()


@pytest.mark.parametrize(
    ("service", "tester"),
    [("image: a, env: {A: '${tester.host}'}", True), ("image: a, run: 'x ${tester.host}'", True), ("image: a, env: {A: tester}", False)],
)
def test_who_refers_to_the_machine_of_the_tests(tmp_path: Path, service: str, tester: bool) -> None:
    assert planned(tmp_path, service).tester is tester


def test_what_is_handed_through(tmp_path: Path) -> None:
    raw = "compose: {tty: true}, kubernetes: {spec: {paused: true}}"
    found = planned(tmp_path, f"image: a, replicas: 3, resources: {{cpu: 0.5, memory: 1G}}, {raw}")
    assert found.replicas == 3
    assert found.resources is not None
    assert (found.resources.cpu, found.resources.memory) == (0.5, 1 << 30)
    assert (found.compose, found.kubernetes) == ({"tty": True}, {"spec": {"paused": True}})


def test_a_job_is_done_and_everything_else_seeded(tmp_path: Path) -> None:
    assert (planned(tmp_path, "kind: job, image: a").final, planned(tmp_path, "image: a").final) == ("done", "seeded")


# Services of a Compose file


def composed(folder: Path, kind: str = "service", engine: Any = "docker", **given: Any) -> ServicePlan:
    """Return the service `x` as a Compose file describes it."""
    environment = environment_of(folder, "services: {x: {image: a}}")
    described = Service.model_validate({"kind": kind, "image": "a:1", "from_compose": True, **given})
    changed = environment.definition.model_copy(update={"services": {"x": described}})
    environment = replace(environment, definition=changed)
    return make_plan(environment, setting_of(environment, engine=traits(engine))).services["x"]


def test_nothing_of_its_kind_is_added_to_a_service_of_a_compose_file(tmp_path: Path) -> None:
    found = composed(tmp_path, "postgres", env={"POSTGRES_PASSWORD": "p"}, ports={"5432": 5432}, **{"with": {"password": "p"}})
    assert (found.env, found.command, found.files, found.data, found.user) == ({"POSTGRES_PASSWORD": "p"}, (), {}, None, None)
    assert [port.number for port in found.ports] == [5432]
    assert found.outside["url"].endswith(f":p@127.0.0.1:{FIRST_PORT}/app")
    assert found.stop == 0


@pytest.mark.parametrize(
    ("fragment", "probes"),
    [
        ({"healthcheck": {"test": "x"}, "ports": [{"target": 1}]}, ["health"]),
        ({"healthcheck": {"disable": True}, "ports": [{"target": 1}]}, ["tcp"]),
        ({"ports": [{"target": 1}]}, ["tcp"]),
        ({}, []),
    ],
)
def test_a_service_of_a_compose_file_is_ready_as_compose_has_it(tmp_path: Path, fragment: dict[str, Any], probes: list[str]) -> None:
    assert [check.probe for check in composed(tmp_path, compose=fragment, ports={"main": 1}).checks] == probes


def test_a_variable_without_a_value_is_taken_from_the_image_of_a_compose_file(tmp_path: Path) -> None:
    found = composed(tmp_path, env={"A": None, "B": ""})
    assert (found.env, found.unset) == ({"B": ""}, ("A",))
    assert planned(tmp_path, "image: a, env: {A: null}").unset == ()


# Mistakes


def test_all_mistakes_in_one_go(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        planned(tmp_path, "image: a, env: {A: '${db.port // 0}', B: fine, C: '${self.name + 1}'}, run: 'x ${db.port + db.name}'")
    assert [problem.path for problem in caught.value.problems] == ["services.x.env.A", "services.x.env.C", "services.x.run"]
    assert {problem.line for problem in caught.value.problems} == {4}


def test_an_expression_that_is_known_now_only_is_one_of_re2(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"x\.ready\.log: '\(\?=x\)' is not a valid regular expression here: .*look-around"):
        planned(tmp_path, "image: a, ready: {log: '(?=${self.name})'}")


def test_a_mistake_in_a_kind_is_located_at_its_service(tmp_path: Path) -> None:
    kind = {"templates/kinds/odd.yaml": "image: odd\nenv: {A: '${self.name // 0}'}\ncommand: [x, '${self.name + 1}']\n"}
    with pytest.raises(DefinitionError) as caught:
        planned(tmp_path, "kind: odd", kind)
    assert [problem.path for problem in caught.value.problems] == ["services.x.1", "services.x.A"]
    assert {problem.line for problem in caught.value.problems} == {4}


# Values as text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (1, "1"),
        (1.5, "1.5"),
        (True, "true"),
        ([1, "ü"], '[1, "ü"]'),
        ({"b": (1,), "a": True}, '{"a": true, "b": [1]}'),
    ],
)
def test_a_value_as_text(value: object, text: str) -> None:
    assert as_text(value) == text


# Local processes


def local(folder: Path, service: str, files: Mapping[str, str | bytes] | None = None) -> ServicePlan:
    environment = environment_of(folder, f"services:\n  {DB}  x: {{{service}}}\n", files)
    return make_plan(environment, setting_of(environment, engine=traits("local"), folder=Path("/services"))).services["x"]


def test_a_process_listens_on_loopback_below_its_folder(tmp_path: Path) -> None:
    found = local(tmp_path, "run: \"serve ${self.bind} ${self.port} ${self.prefix}/etc/x\", port: 8000, env: {DB: '${db.host}:${db.port}'}")
    assert found.run == ("serve", "127.0.0.1", str(FIRST_PORT + 1), "/services/x/etc/x")
    assert found.env == {"DB": f"127.0.0.1:{FIRST_PORT}"}
    assert (found.folder, found.image, found.build) == (tmp_path, "", None)


def test_it_runs_in_the_folder_of_its_source(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"source/Dockerfile": "FROM x\n"}
    assert local(tmp_path, "build: ./source, run: serve", files).folder == tmp_path / "source"
    assert local(tmp_path, "build: {context: source}, run: serve", files).folder == tmp_path / "source"


@pytest.mark.parametrize(
    ("service", "run"),
    [
        ("run: 'a | b \"$X\" ${db.port}', shell: true", ("sh", "-c", f'a | b "$X" {FIRST_PORT}')),
        ("run: 'a | b', shell: false", ("a", "|", "b")),
        ("run: [a, '| b'], shell: true", ("a", "| b")),
    ],
)
def test_a_shell_only_where_it_is_asked_for(tmp_path: Path, service: str, run: tuple[str, ...]) -> None:
    assert local(tmp_path, service).run == run


def test_a_shell_in_a_container_too(tmp_path: Path) -> None:
    assert planned(tmp_path, "image: a, run: 'a | b', shell: true").run == ("sh", "-c", "a | b")


def test_a_server_as_a_process(tmp_path: Path) -> None:
    found = local(tmp_path, "kind: postgres, version: 16, with: {extensions: [hstore]}")
    assert found.local is not None
    assert found.local.version == "16"
    assert [file for file, _ in found.local.missing] == ["share/postgresql/extension/hstore.control"]
    assert "/services/x/data" in found.command
    assert found.entrypoint == ()
    assert planned(tmp_path, "kind: postgres").local is None


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("image: a", "nothing says how it runs as a process of this machine; `run: COMMAND` starts it from source"),
        ("kind: kafka", "the kind 'kafka' only runs in a container; use Docker, or `--use S=URL`"),
    ],
)
def test_what_cannot_be_a_process(tmp_path: Path, service: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        local(tmp_path, service)
    [problem] = caught.value.problems
    assert message in str(problem)


def test_a_server_of_a_compose_file_is_no_process(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="a container; `kind: postgres` without `from:` also runs here"):
        composed(tmp_path, "postgres", engine="local")


def beside(folder: Path) -> dict[str, ServicePlan]:
    """Return services of which `x` is a local process; `page` and the database are containers."""
    text = f"""
    services:
      {DB}
      x: {{run: "serve ${{self.bind}}", port: 8000, env: {{DB: "${{db.host}}:${{db.port}}"}}}}
      page: {{image: a, port: 80, env: {{X: "${{x.host}}:${{x.port}}", DB: "${{db.host}}:${{db.port}}"}}}}
    outputs: {{X: "${{x.host}}:${{x.port}}"}}
    """
    environment = environment_of(folder, text)
    return dict(make_plan(environment, setting_of(environment, local=frozenset(["x"]), folder=Path("/services"))).services)


def test_a_process_beside_containers_reaches_them_where_the_tests_do(tmp_path: Path) -> None:
    x = beside(tmp_path)["x"]
    assert (x.env, x.run) == ({"DB": f"127.0.0.1:{FIRST_PORT}"}, ("serve", "127.0.0.1"))


def test_containers_reach_it_by_its_name_and_its_outside_port(tmp_path: Path) -> None:
    assert beside(tmp_path)["page"].env == {"X": f"x:{FIRST_PORT + 1}", "DB": "db:5432"}


def test_dotenv_files_are_not_templated(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# c\nA=1\nexport B='x y'\nC=\"a\\nb\"\nD=$A ${A}\nE=\nF\n")
    assert variables_of(file, tmp_path, {}) == {"A": "1", "B": "x y", "C": "a\nb", "D": "$A ${A}", "E": ""}


@pytest.mark.parametrize(("given", "scheme"), [("", "mariadb"), ("jdbc_driver: mysql, ", "mysql")])
def test_a_jdbc_url_is_for_the_driver_that_is_named(tmp_path: Path, given: str, scheme: str) -> None:
    server = f"services: {{db: {{kind: mariadb, with: {{{given}databases: [a, b]}}}}}}\n"
    outputs = plan_of(tmp_path, f"{server}outputs: {{A: '${{db.jdbc_url}}', B: '${{db.databases.b.jdbc_url}}'}}\n").outputs
    assert [url.partition("://")[0] for url in outputs.values()] == [f"jdbc:{scheme}"] * 2
