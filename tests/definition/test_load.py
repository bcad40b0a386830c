"""Tests of loading a definition file: includes, variables, types and paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.definition.load import load

from .conftest import Load, Write

VARIABLES = """\
    name: shop
    variables:
      text: "17"
      number: 3
      half: 0.5
      flag: false
      tags: [a]
      key: {from: KEY, secret: true, default: sk}
      url: http://${var.text}/${env.HOST | default("localhost")}
    services:
      w:
        image: w:${var.text}
        port: ${var.number}
        shell: ${var.flag}
        env: {A: "${var.half}", B: "${var.key}", C: "${var.tags}", D: "x${var.flag}"}
"""


def test_variables_keep_their_types(loaded: Load) -> None:
    found = loaded(VARIABLES)
    assert found.variables == {
        "text": "17",
        "number": 3,
        "half": 0.5,
        "flag": False,
        "tags": ["a"],
        "key": "sk",
        "url": "http://17/localhost",
    }
    assert found.definition is not None
    service = found.definition.services["w"]
    assert (service.image, service.port, service.shell) == ("w:17", 3, False)
    assert found.tree["services"]["w"]["env"] == {"A": 0.5, "B": "sk", "C": "${var.tags}", "D": "xfalse"}


def test_overrides_are_typed_like_the_default(loaded: Load) -> None:
    found = loaded(VARIABLES, text="18", number="5", half="2", flag="true", tags="[b, c]")
    assert [found.variables[name] for name in ("text", "number", "half", "flag", "tags")] == [
        "18",
        5,
        2,
        True,
        ["b", "c"],
    ]
    assert found.variables["url"] == "http://18/localhost"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("number", "many", "expected a whole number, like its default; --set gives 'many'"),
        ("number", "true", "expected a whole number"),
        ("flag", "yes", "expected true or false"),
        ("half", "x", "expected a number"),
        ("tags", "a", "expected a list"),
        ("nubmer", "1", "--set nubmer: there is no such variable; did you mean 'number'?"),
    ],
)
def test_a_wrong_override(loaded: Load, name: str, value: str, message: str) -> None:
    (problem,) = loaded(VARIABLES, problems=True, **{name: value}).problems
    assert message in str(problem)
    assert problem.path.startswith("variables")


def test_who_wins(loaded: Load) -> None:
    environ = {"KEY": "from", "ENVCTL_VAR_KEY": "variable", "ENVCTL_VAR_NUMBER": "7", "HOST": "h"}
    assert loaded(VARIABLES, environ=environ).variables["key"] == "variable"
    assert loaded(VARIABLES, environ=environ, key="set").variables["key"] == "set"
    assert loaded(VARIABLES, environ={"KEY": "from"}).variables["key"] == "from"
    assert loaded(VARIABLES, environ=environ).variables["number"] == 7
    assert loaded(VARIABLES, environ=environ).variables["url"] == "http://17/h"


def test_secrets_are_known(loaded: Load) -> None:
    assert loaded(VARIABLES).secrets == {"sk"}
    assert loaded(VARIABLES, environ={"KEY": "hush"}).secrets == {"hush"}


def test_secrets_are_not_told(loaded: Load) -> None:
    text = "name: shop\nvariables: {key: {secret: true}}\nservices:\n  w: {image: w, port: '${var.key}'}\n"
    (problem,) = loaded(text, problems=True, key="hunter2").problems
    assert problem.message == "expected a whole number, not '***'"


def test_a_secret_of_the_wrong_type_is_not_told_either(loaded: Load) -> None:
    text = "name: shop\nvariables: {key: {secret: true, default: 5}}\nservices:\n  w: {image: w}\n"
    (problem,) = loaded(text, problems=True, key="hunter2").problems
    assert problem.message == "expected a whole number, like its default; --set gives '***'"


def test_a_value_from_outside_is_never_a_template(loaded: Load) -> None:
    from envctl.definition.expressions import evaluate

    found = loaded(VARIABLES, environ={"KEY": "p${db.url}$$x"})
    assert found.variables["key"] == "p${db.url}$$x"
    assert evaluate(found.tree["services"]["w"]["env"]["B"], {}) == "p${db.url}$$x"


def test_numbers_as_text_are_what_stands_in_the_file(loaded: Load) -> None:
    found = loaded(
        """\
        name: shop
        variables: {python: 3.10}
        services:
          db: {kind: postgres, version: 17.10}
          w: {image: "w:${var.python}", env: {A: 007, B: 0x1F, C: yes, D: true, E: 1e3, F: "", G: }}
        """
    )
    assert found.definition is not None
    services = found.definition.services
    assert services["db"].version == "17.10"
    assert services["w"].image == "w:3.10"
    assert services["w"].env == {"A": "007", "B": "0x1F", "C": "yes", "D": "true", "E": "1e3", "F": "", "G": None}


def test_references_wait_and_literals_are_kept(loaded: Load) -> None:
    found = loaded(
        """\
        name: shop
        variables: {v: x}
        services:
          db: {kind: postgres}
          w:
            image: w
            env: {A: "${db.url}?${var.v}", B: "$${no}", C: "${var.v} $${no}"}
            compose: {labels: {a: "$${no}", b: "${var.v}"}}
        """
    )
    service = found.tree["services"]["w"]
    assert service["env"] == {"A": "${db.url}?${var.v}", "B": "$${no}", "C": "x $${no}"}
    assert service["compose"] == {"labels": {"a": "${no}", "b": "x"}}


def test_extras_are_free(loaded: Load) -> None:
    found = loaded("name: shop\nx-a: {b: 1}\nservices:\n  w: {image: w, x-owner: me}\n")
    assert found.tree == {"name": "shop", "services": {"w": {"image": "w"}}, "variables": {}}


def test_short_forms(loaded: Load) -> None:
    found = loaded(
        """\
        name: shop
        ttl: 90m
        services:
          db: {kind: postgres}
          a: {image: a, needs: db, stop: 5}
          b: {image: b, needs: [db, a], run: [x, 1, true]}
        tests: {api: newman run, e2e: [npx, playwright], all: {run: make, only: a}}
        """
    )
    assert found.definition is not None
    services, tests = found.definition.services, found.definition.tests
    assert found.definition.ttl == 5400
    assert (services["a"].needs, services["a"].stop) == ({"db": "ready"}, 5)
    assert services["b"].needs == {"db": "ready", "a": "ready"}
    assert services["b"].run == ["x", "1", "true"]
    assert [tests[name].run for name in tests] == ["newman run", ["npx", "playwright"], "make"]
    assert tests["all"].only == ["a"]


def test_includes(write: Write, project: Path) -> None:
    write("name: base\nservices:\n  db: {kind: postgres, version: '16'}\n  cache: {kind: redis}\n", "a/base.yaml")
    write("include: base.yaml\nservices:\n  orders: {build: orders, port: 80}\n", "a/common.yaml")
    write("FROM scratch\n", "a/orders/Dockerfile")
    file = write(
        """\
        name: shop
        include: [a/common.yaml]
        services:
          db: {version: "17"}
          cache: null
          orders: {port: 8000}
        """
    )
    found = load(file, project=project, environ={})
    assert found.problems == []
    assert found.definition is not None
    assert found.definition.name == "shop"
    assert list(found.definition.services) == ["db", "orders"]
    assert found.definition.services["db"].version == "17"
    assert found.path("orders", ("services", "orders", "build")) == project / "a" / "orders"
    assert found.source.at(("services", "db", "kind")) == (Path("a/base.yaml"), 3)
    assert found.source.at(("services", "db", "version")) == (Path("shop.yaml"), 4)


def test_what_an_include_has_can_be_removed(write: Write, project: Path) -> None:
    common = "services: {a: {image: a}, b: {image: b}}\noutputs: {A: x, B: y}\nwrite: {.env: dotenv}\ntests: {one: a, two: b}\n"
    write(common, "common.yaml")
    file = write(
        "name: shop\ninclude: common.yaml\nservices: {b: null}\noutputs: {B: null}\nwrite: {.env: null}\ntests: {two: null, own: c}\n"
    )
    definition = load(file, project=project, environ={}).definition
    assert definition is not None
    found = (definition.services, definition.outputs or {}, definition.write, definition.tests)
    assert [[*section] for section in found] == [["a"], ["A"], [], ["one", "own"]]


def test_paths_are_relative_to_the_file_they_stand_in(write: Write, project: Path) -> None:
    write("A=1", "a/common.env")
    write("B=1", "own.env")
    write("x", "a/app.ini")
    write("services:\n  w: {image: w, env_file: [common.env], files: {/a: app.ini}}\n", "a/common.yaml")
    file = write("name: shop\ninclude: [a/common.yaml]\nservices: {w: {files: {/b: own.env}}}\n")
    found = load(file, project=project, environ={})
    assert found.problems == []
    assert found.path("common.env", ("services", "w", "env_file")) == project / "a" / "common.env"
    assert found.path("app.ini", ("services", "w", "files")) == project / "a" / "app.ini"
    assert found.path("own.env", ("services", "w", "files")) == project / "own.env"
    assert found.base(("services", "w", "env_file")) == project / "a"


def test_a_diamond_of_includes_is_no_cycle(write: Write, project: Path) -> None:
    write("services: {db: {kind: postgres}}\n", "base.yaml")
    write("include: [base.yaml]\n", "a.yaml")
    write("include: [base.yaml]\n", "b.yaml")
    found = load(write("name: shop\ninclude: [a.yaml, b.yaml]\n"), project=project, environ={})
    assert found.problems == []
    assert list(found.tree["services"]) == ["db"]


def test_a_broken_service_hides_nothing_of_the_others(loaded: Load) -> None:
    found = loaded(
        """\
        name: shop
        services:
          a: {image: a, port: x, env: {U: "${db.ulr}"}}
          db: {kind: postgres, verison: 1, with: {durabel: true}}
          c: postgres
        """,
        problems=True,
    )
    assert [problem.path for problem in found.problems] == [
        *("services.a.env.U", "services.a.port", "services.db.verison", "services.db.with.durabel", "services.c"),
    ]


def test_a_seed_command_takes_references_and_a_seed_file_none(loaded: Load) -> None:
    text = "name: shop\nservices:\n  db: {kind: postgres, seed: [{command: 'load ${self.url}'}, {sql: '${self.url}'}]}\n"
    (problem,) = loaded(text, problems=True).problems
    assert problem.path == "services.db.seed.1.sql"


def test_a_command_line_is_split_before_it_is_evaluated(loaded: Load) -> None:
    text = "name: shop\nvariables: {word: a b}\nservices:\n  j: {kind: job, image: x:1, run: 'say ${var.word}', env: {W: '${var.word}'}}\n"
    definition = loaded(text).definition
    assert definition is not None
    service = definition.services["j"]
    assert (service.run, service.env["W"]) == ("say ${var.word}", "a b")


@pytest.mark.parametrize("value", ["${db.port}", "x${db.port}", "${self.port}"])
def test_a_typed_value_takes_no_references(loaded: Load, value: str) -> None:
    (problem,) = loaded(f'name: shop\nservices:\n  db: {{kind: postgres}}\n  w: {{image: w, port: "{value}"}}\n', problems=True).problems
    assert problem.path == "services.w.port"
    assert "only `var` and `env` can be used here" in problem.message


def test_the_same_input_gives_the_same(loaded: Load) -> None:
    first: Any = loaded(VARIABLES)
    second: Any = loaded(VARIABLES)
    assert (first.definition, first.tree, first.variables) == (second.definition, second.tree, second.variables)
