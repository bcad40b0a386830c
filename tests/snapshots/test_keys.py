"""Tests of a snapshot's key: which changes give another key, and which do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envctl.plan.make import make_plan
from envctl.plan.model import Plan, Selection, ServicePlan
from envctl.plan.transforms import apply
from envctl.snapshots.keys import can_be_kept, kept_steps, key_of
from tests.builders import environment_of, plan_of, setting_of

TEXT = """
variables: {n: 100, token: {from: TOKEN, secret: true, default: sesame}}
services:
  db:
    kind: postgres
    with: {databases: [app, audit], password: first, users: {bob: {password: hush}}, settings: {max_connections: "${var.n}"}}
    env: {TOKEN: "${var.token}", WHERE: "${api.url}"}
    files: {/etc/more.conf: more.conf}
    seed:
      - sql: schema
      - {csv: a.csv, into: a}
      - {command: python migrate.py, in: api, inputs: ["*.py"]}
  api: {kind: api, image: "api:1", port: 80, env: {SIZE: small, TOKEN: "${var.token}"}, env_file: api.env}
"""
FILES: dict[str, str | bytes] = {
    "schema/1.sql": "create table a (i int);", "schema/2.sql": "select 1;", "a.csv": "i\n1\n", "migrate.py": "1", "more.conf": "x",
    "api.env": "A=1",
}  # fmt: skip


def by_image(service: ServicePlan) -> str:
    return f"id of {service.image}"


def nobodys(folder: Path, text: str = TEXT, files: Mapping[str, str | bytes] = FILES, **changes: Any) -> Plan:
    folder.mkdir(exist_ok=True)
    plan = plan_of(folder, text, files, **changes)
    assert plan.of_nobody is not None
    return plan.of_nobody()


def key(folder: Path, text: str = TEXT, files: Mapping[str, str | bytes] = FILES, **changes: Any) -> str:
    return key_of(nobodys(folder, text, files, **changes), "db", by_image)


@pytest.fixture
def first(tmp_path: Path) -> str:
    return key(tmp_path / "p")


OTHER_TEXTS = {
    "version": ("kind: postgres\n", 'kind: postgres\n    version: "16"\n'),
    "parameter": ("[app, audit]", "[app, audits]"),
    "order of databases": ("[app, audit]", "[audit, app]"),
    "user": ("bob", "eve"),
    "user name that is given": ("password: first", "password: first, username: me"),
    "variable": ("n: 100", "n: 101"),
    "variable of the container": ("env: {", "env: {X: '1', "),
    "arguments": ("    seed:", "    command: [postgres, -c, fsync=off]\n    seed:"),
    "step": ("into: a}", "into: b}"),
    "database of a step": ("{csv: a.csv,", "{csv: a.csv, database: audit,"),
    "program of a step": ("python migrate.py", "python migrate.py --more"),
    "image of a step": ("api:1", "api:2"),
    "variable of the program of a step": ("SIZE: small", "SIZE: large"),
    "place of a file": ("/etc/more.conf", "/etc/most.conf"),
}


@pytest.mark.parametrize("change", OTHER_TEXTS.values(), ids=list(OTHER_TEXTS))
def test_another_definition_is_another_key(tmp_path: Path, first: str, change: tuple[str, str]) -> None:
    assert change[0] in TEXT

    assert key(tmp_path / "p", TEXT.replace(*change)) != first


OTHER_FILES: dict[str, dict[str, str | bytes]] = {
    "a byte of a seed": {"a.csv": "i\n2\n"},
    "a line end": {"a.csv": "i\r\n1\n"},
    "a byte in a folder": {"schema/2.sql": "select 2;"},
    "one more in a folder": {"schema/3.sql": ""},
    "an input of a program": {"migrate.py": "2"},
    "one more input": {"more.py": ""},
    "a file of the container": {"more.conf": "y"},
    "a file of variables of a program": {"api.env": "A=2"},
}


@pytest.mark.parametrize("change", OTHER_FILES.values(), ids=list(OTHER_FILES))
def test_another_byte_of_a_file_is_another_key(tmp_path: Path, first: str, change: dict[str, str | bytes]) -> None:
    assert key(tmp_path / "p", files={**FILES, **change}) != first


def test_the_names_in_a_folder_count(tmp_path: Path, first: str) -> None:
    swapped = {"schema/1.sql": FILES["schema/2.sql"], "schema/2.sql": FILES["schema/1.sql"]}

    assert key(tmp_path / "p", files={**FILES, **swapped}) != first


def test_the_order_of_steps_counts(tmp_path: Path, first: str) -> None:
    one, other = "      - sql: schema\n", "      - {csv: a.csv, into: a}\n"

    assert key(tmp_path / "p", TEXT.replace(one + other, other + one)) != first


def test_what_runs_it_counts(tmp_path: Path, first: str) -> None:
    assert key_of(nobodys(tmp_path / "p"), "db", lambda service: f"newer {service.image}") != first


def test_what_the_kind_says_counts(tmp_path: Path) -> None:
    text, kind = "services:\n  db: {kind: own}\n", "kind: own\nextends: postgres\n"
    more = "env: {LANG: C}\n"

    assert key(tmp_path / "p", text, {"templates/kinds/own.yaml": kind}) != key(
        tmp_path / "p", text, {"templates/kinds/own.yaml": kind + more}
    )


SAME = {
    "password": ("password: first", "password: second"),
    "password of a user": ("password: hush", "password: shush"),
    "secret variable": ("default: sesame", "default: mustard"),
    "name of the environment's other services": ("services:\n", "services:\n  more: {kind: nats}\n"),
}


@pytest.mark.parametrize("change", SAME.values(), ids=list(SAME))
def test_no_credential_is_part_of_it(tmp_path: Path, first: str, change: tuple[str, str]) -> None:
    assert change[0] in TEXT

    assert key(tmp_path / "p", TEXT.replace(*change)) == first


def test_an_instance_s_own_is_no_part_of_it(tmp_path: Path, first: str) -> None:
    assert key(tmp_path / "p", name="other", id="other-123456", secret=lambda service, parameter: f"x{service}{parameter}") == first


@pytest.mark.parametrize("where", ["host", "api"])
def test_what_a_program_is_told_counts(tmp_path: Path, where: str) -> None:
    """A program's inputs are its command, its service's variables, and on this machine the outputs."""
    text = TEXT.replace("in: api", f"in: {where}").replace("SIZE: small", "SIZE: '${var.n}'")
    text += "outputs: {SIZE: '${var.n}', URL: '${db.url}'}\n"
    for own in (', settings: {max_connections: "${var.n}"}', ', WHERE: "${api.url}"'):
        text = text.replace(own, "")
    text = text.replace("SIZE: '${var.n}', TOKEN", "SIZE: '${var.n}', URL: '${db.url}', TOKEN")

    def found(value: str, lanes: int = 0, password: str = "first") -> str:
        environment = environment_of(tmp_path, text.replace("n: 100", f"n: {value}").replace("first", password), FILES)
        environment = apply(environment, Selection(lanes=lanes))
        plan = make_plan(environment, setting_of(environment, name=f"with-{lanes}"))
        assert plan.of_nobody is not None
        return key_of(plan.of_nobody(), "db", by_image)

    assert found("100") == found("100", lanes=2)
    assert found("100") == found("100", password="a/b@c%"), "which a URL has otherwise"
    assert found("100") != found("101")


def test_data_of_a_program_is_for_its_project_alone(tmp_path: Path) -> None:
    """A program may read more than its declared inputs; SQL and other data give the same result in every project."""
    fed = TEXT.replace('      - {command: python migrate.py, in: api, inputs: ["*.py"]}\n', "")

    assert key(tmp_path / "p") != key(tmp_path / "q")
    assert key(tmp_path / "p", fed) == key(tmp_path / "q", fed)


def is_kept(folder: Path, more: str) -> bool:
    plan = nobodys(folder, f"services:\n  db: {{kind: postgres, {more}}}\n")
    return can_be_kept(plan, plan.services["db"])


def service_of(folder: Path, seed: str, more: str = "") -> ServicePlan:
    text = f"services:\n  db:\n    kind: postgres\n{more}    seed:\n{seed}  api: {{kind: api, image: 'api:1', port: 80}}\n"
    return plan_of(folder, text, FILES).services["db"]


@pytest.mark.parametrize(
    "step",
    ["{command: python migrate.py, in: api}", "{command: x, in: api, inputs: ['*.py'], needs: [api]}"],
    ids=["nothing says what it depends on", "it depends on what another service answers"],
)
def test_what_cannot_be_repeated_is_done_each_time_and_what_comes_behind_it(tmp_path: Path, step: str) -> None:
    found = service_of(tmp_path, f"      - sql: schema\n      - {step}\n      - sql: a.csv\n")

    assert [step.step.file for step in kept_steps(found)] == ["schema"]


def test_what_is_beside_the_kind_is_not_kept(tmp_path: Path) -> None:
    plain = service_of(tmp_path, "      - sql: schema\n")

    plan = nobodys(tmp_path)
    assert can_be_kept(plan, plain)
    assert not can_be_kept(plan, replace(plain, compose={"volumes": ["/srv:/var/lib/envctl/data"]}))
    assert not can_be_kept(plan, replace(plain, run=("x",)))
    assert not can_be_kept(plan, replace(plain, replicas=2))
    assert not can_be_kept(plan, replace(plain, snapshot=None))


def test_a_server_that_makes_nothing_at_its_first_start_is_kept_for_its_seeds(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "services:\n  cache: {kind: valkey}\n  db: {kind: postgres}\n")

    assert [name for name, service in plan.services.items() if can_be_kept(plan, service)] == ["db"]


PERSONAL_STEPS = {
    "a password": "{rows: {t: [{a: '${self.password}'}]}}",
    "an address": "{rows: {t: [{a: '${api.url}'}]}}",
    "a name": "{generate: {table: t, count: 1, columns: {a: {value: '${instance.name}'}}}}",
    "a secret variable": "{rows: {t: [{a: '${var.token}'}]}}",
    "a secret in a command": "{command: 'x --admin ${var.token}', in: api, inputs: ['*.py']}",
}


@pytest.mark.parametrize("step", PERSONAL_STEPS.values(), ids=list(PERSONAL_STEPS))
def test_what_an_instance_alone_is_told_is_in_no_snapshot(tmp_path: Path, step: str) -> None:
    token = "variables: {token: {from: TOKEN, secret: true, default: sesame}}\n"
    api = "  api: {kind: api, image: 'api:1', port: 80}\n"
    text = f"{token}services:\n  db:\n    kind: postgres\n    seed:\n      - sql: schema\n      - {step}\n{api}"

    assert [step.step.file for step in kept_steps(plan_of(tmp_path, text, FILES).services["db"])] == ["schema"]


def test_variables_and_logins_of_programs_are_nobody_s_own(tmp_path: Path) -> None:
    command = "{command: 'migrate ${self.url} ${var.n}', in: api, inputs: ['*.py']}"
    text = TEXT.replace("      - sql: schema\n", f"      - rows: {{a: [{{i: '${{var.n}}'}}]}}\n      - {command}\n")

    assert len(kept_steps(plan_of(tmp_path, text, FILES).services["db"])) == 4


@pytest.mark.parametrize(
    "more", ["with: {databases: ['a_${instance.name}']}", "with: {databases: ['${self.username}']}", "env: {A: '${instance.id}'}"]
)
def test_what_is_named_after_an_instance_is_not_kept(tmp_path: Path, more: str) -> None:
    assert not is_kept(tmp_path, more)


def test_a_variable_with_its_own_port_is_no_part_of_the_data(tmp_path: Path) -> None:
    assert is_kept(tmp_path, "env: {PORT: '${self.port}'}")


def test_lanes_with_a_server_each_share_one_snapshot(tmp_path: Path) -> None:
    plan = nobodys(
        tmp_path, "services:\n  db: {kind: postgres, seed: [{sql: schema}]}\n  db-lane2: {kind: postgres, seed: [{sql: schema}]}\n"
    )

    assert key_of(plan, "db", by_image) == key_of(plan, "db-lane2", by_image)
