from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from envctl.engines.registry import traits
from envctl.errors import DefinitionError, UsageError
from envctl.plan import model
from envctl.plan.make import environment_outside, make_plan
from envctl.plan.referenced_services import published
from envctl.plan.traits import Addresses
from envctl.plan.transforms import Selection, apply
from envctl.session.mask import Mask
from tests.builders import FIRST_PORT, environment_of, plan_of, setting_of, write

PAIR = """
services:
  b: {{{b}}}
  a: {{{a}}}
"""


def needs_of(folder: Path, b: str, a: str) -> dict[str, str]:
    """Return the needs of `b`."""
    return dict(plan_of(folder, PAIR.format(a=a, b=b)).services["b"].needs)


# Needs


@pytest.mark.parametrize(
    ("b", "a", "expected"),
    [
        ("image: x, env: {A: '${a.url}'}", "kind: postgres", {"a": "seeded"}),
        ("image: x, run: 'x ${a.url}'", "kind: postgres", {"a": "seeded"}),
        ("image: x, command: ['${a.url}']", "kind: postgres", {"a": "seeded"}),
        ("kind: api, image: x, port: 1, ready: {http: '/${a.host}'}", "kind: postgres", {"a": "seeded"}),
        ("kind: postgres, with: {username: '${a.name}'}", "kind: valkey", {"a": "seeded"}),
        ("image: x, env: {A: '${a.outside.url | upper}'}", "kind: postgres", {"a": "seeded"}),
        ("image: x, env: {A: '${a.url}'}, needs: {a: started}", "kind: postgres", {"a": "started"}),
        ("image: x, env: {A: '${a.url}'}, needs: {a: none}", "kind: postgres", {}),
        ("image: x, needs: {a: none}", "kind: postgres", {}),
        ("image: x, needs: [a]", "kind: postgres", {"a": "ready"}),
        ("image: x, needs: [a]", "kind: job, image: x", {"a": "done"}),
        ("image: x, needs: {a: seeded}", "kind: job, image: x", {"a": "done"}),
        ("image: x, needs: {a: started}", "kind: job, image: x", {"a": "started"}),
        ("image: x, port: 1, env: {A: '${self.url}'}", "kind: postgres", {}),
        ("image: x", "kind: postgres", {}),
    ],
)
def test_a_reference_is_a_need(tmp_path: Path, b: str, a: str, expected: dict[str, str]) -> None:
    assert needs_of(tmp_path, b, a) == expected


def test_services_stand_in_the_order_of_starting(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, PAIR.format(b="image: x, env: {A: '${a.url}'}", a="kind: postgres"))
    assert list(plan.services) == ["a", "b"]


@pytest.mark.parametrize(
    ("b", "a"),
    [
        ("image: x, port: 1, env: {A: '${a.url}'}", "image: x, port: 1, env: {B: '${b.url}'}"),
        ("image: x, needs: [a]", "image: x, needs: {b: started}"),
        ("image: x, port: 1, env: {A: '${a.url}'}", "kind: postgres, seed: [{command: x, in: server, needs: [b]}]"),
    ],
)
def test_a_cycle_is_printed(tmp_path: Path, b: str, a: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        plan_of(tmp_path, PAIR.format(a=a, b=b))
    (problem,) = caught.value.problems
    assert problem.message in ("services need each other: a -> b -> a", "services need each other: b -> a -> b")
    first, second = problem.message.split(" -> ")[0][-1], problem.message.split(" -> ")[1]
    assert problem.path == f"services.{first}"
    assert problem.hint == f"break it with `needs: {{{second}: none}}` in '{first}'"
    assert problem.line == {"b": 4, "a": 5}[first]
    assert caught.value.exit_code == 2


def test_a_cycle_can_be_broken(tmp_path: Path) -> None:
    urls = "image: x, port: 1, env: {A: '${%s.url}'}"
    plan = plan_of(tmp_path, PAIR.format(b=urls % "a", a=urls % "b" + ", needs: {b: none}"))
    assert list(plan.services) == ["a", "b"]
    assert plan.services["a"].env == {"A": "http://b:1"}


def test_a_seed_step_that_need_not_wait(tmp_path: Path) -> None:
    step = "kind: postgres, seed: [{command: x, in: server, needs: {b: none}}]"
    assert plan_of(tmp_path, PAIR.format(b="image: x", a=step)).services["a"].steps[0].needs == {}


@pytest.mark.parametrize(
    ("b", "condition", "expected"),
    [
        ("kind: job, image: x", "ready", "done"),
        ("kind: job, image: x", "done", "done"),
        ("image: x", "done", "seeded"),
        ("image: x", "started", "started"),
        ("image: x", "ready", "ready"),
    ],
)
def test_what_a_seed_step_waits_for_can_come_true(tmp_path: Path, b: str, condition: str, expected: str) -> None:
    step = f"kind: postgres, seed: [{{command: x, in: server, needs: {{b: {condition}}}}}]"
    assert plan_of(tmp_path, PAIR.format(b=b, a=step)).services["a"].steps[0].needs == {"b": expected}


# Outputs


def outputs_of(folder: Path, text: str, **changes: Any) -> dict[str, str]:
    return dict(plan_of(folder, text, **changes).outputs)


def test_outputs_are_outside_addresses(tmp_path: Path) -> None:
    text = """
    services: {db: {kind: postgres}, x: {image: x, port: 80}}
    outputs: {URL: "${db.url}", X: "${x.inside.url}", N: "${db.port}", LIST: "${[db.port]}", FIXED: 1, ON: true, LITERAL: "$${x}"}
    """
    assert outputs_of(tmp_path, text) == {
        "URL": f"postgresql://db-username:db-password@127.0.0.1:{FIRST_PORT}/app",
        "X": "http://x:80",
        "N": str(FIRST_PORT),
        "LIST": f"[{FIRST_PORT}]",
        "FIXED": "1",
        "ON": "true",
        "LITERAL": "${x}",
    }


def test_without_outputs_there_are_those_of_every_service(tmp_path: Path) -> None:
    text = "services: {orders-db: {kind: postgres}, worker: {image: x}}"
    found = outputs_of(tmp_path, text)
    assert found["ORDERS_DB_URL"] == f"postgresql://orders-db-username:orders-db-password@127.0.0.1:{FIRST_PORT}/app"
    assert found["ORDERS_DB_PORT"] == str(FIRST_PORT)
    assert found["ORDERS_DB_DATABASE"] == "app"
    assert {key for key in found if key.startswith("WORKER")} == set()
    assert {"ORDERS_DB_NAME", "ORDERS_DB_BIND", "ORDERS_DB_PORTS", "ORDERS_DB_DURABLE"} & found.keys() == set()


def test_a_map_or_a_list_is_handed_out_as_json(tmp_path: Path) -> None:
    text = """
    variables: {v: 7}
    services: {c: {kind: postgres, port: 5432}}
    outputs:
      A: {x: "${c.url}", y: ["${c.port}", "$${n}", {deep: "${var.v}"}], z: null, t: true}
      B: ["${c.host}", 1]
    """
    found = outputs_of(tmp_path, text)
    assert json.loads(found["A"]) == {
        "x": f"postgresql://c-username:c-password@127.0.0.1:{FIRST_PORT}/app", "y": [FIRST_PORT, "${n}", {"deep": 7}], "z": None, "t": True,
    }  # fmt: skip
    assert json.loads(found["B"]) == ["127.0.0.1", 1]


def test_a_reference_within_an_output_is_checked_where_it_stands(tmp_path: Path) -> None:
    text = 'services: {c: {image: x}}\noutputs:\n  A:\n    x: fine\n    y: ["${c.name}", "%s"]'
    with pytest.raises(DefinitionError, match=r"environment\.yaml:6: outputs\.A\.y\.1: `\$\{c\.urll\}`: 'c' has no 'urll'"):
        environment_of(tmp_path, text % "${c.urll}")
    with pytest.raises(DefinitionError, match=r"environment\.yaml:6: outputs\.A\.y\.1: `c\.name - 1`: unsupported operand"):
        outputs_of(tmp_path, text % "${c.name - 1}")


def test_without_a_service_outputs_that_name_it_deeper_are_left_out_too(tmp_path: Path) -> None:
    environment = environment_of(
        tmp_path, "services: {a: {image: x, port: 1}, b: {image: x}}\noutputs: {A: {x: ['${a.url}']}, B: {x: ['b']}}"
    )
    chosen = apply(environment, Selection(only=["b"]))
    assert make_plan(chosen, setting_of(chosen)).outputs == {"B": '{"x": ["b"]}'}


def test_no_outputs_are_no_outputs(tmp_path: Path) -> None:
    assert outputs_of(tmp_path, "services: {db: {kind: postgres}}\noutputs: {}") == {}


def test_on_another_machine_everything_is_reached_there(tmp_path: Path) -> None:
    text = "services: {x: {image: x, port: 80, env: {T: '${tester.host}'}}}\noutputs: {X: '${x.url}'}"
    plan = plan_of(tmp_path, text, addresses=Addresses("docker.corp", tester_host="10.0.0.1"))
    assert plan.outputs == {"X": f"http://docker.corp:{FIRST_PORT}"}
    assert plan.services["x"].env == {"T": "10.0.0.1"}


def test_kafka_is_reached_at_its_outside_listener(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "services: {bus: {kind: kafka}}\noutputs: {BUS: '${bus.bootstrap}'}")
    assert plan.outputs == {"BUS": f"127.0.0.1:{FIRST_PORT}"}
    assert f"OUTSIDE://127.0.0.1:{FIRST_PORT}\n" in str(plan.services["bus"].files["/mnt/shared/config/server.properties"].text)
    inside, outside = plan.services["bus"].ports
    assert (inside.outside, outside.outside, outside.reserved) == (None, FIRST_PORT, True)


def test_tests_are_arguments(tmp_path: Path) -> None:
    text = """
    services: {x: {image: x, port: 80}}
    tests:
      api: newman run 'a b.json' --url=${x.url}
      e2e: {run: [npx, "${x.port}"], reports: "r/*.xml", only: [x]}
    """
    assert plan_of(tmp_path, text).tests == {
        "api": model.TestPlan(("newman", "run", "a b.json", f"--url=http://127.0.0.1:{FIRST_PORT}"), (), ()),
        "e2e": model.TestPlan(("npx", str(FIRST_PORT)), ("r/*.xml",), ("x",)),
    }


def test_the_instance_and_the_variables_can_be_named(tmp_path: Path) -> None:
    text = """
    variables: {v: 17}
    services: {x: {image: x, env: {A: "${instance.id} ${instance.name} ${lane.number} ${var.v}"}}}
    outputs: {V: "${var.v}"}
    """
    plan = plan_of(tmp_path, text)
    assert plan.services["x"].env == {"A": "t-123456 t 1 17"}
    assert plan.outputs == {"V": "17"}


# Secrets


def test_secrets_are_passwords_and_secret_variables_as_they_are(tmp_path: Path) -> None:
    text = """
    variables: {key: {secret: true, default: "k/1"}, plain: nothing}
    services: {db: {kind: postgres, with: {password: "p w"}}, mail: {kind: mail}}
    """
    assert plan_of(tmp_path, text).secrets == {"k/1", "p w", "mail-password"}


def test_a_secret_is_known_as_it_stands_within_json(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "services: {db: {kind: postgres, with: {password: 'a\"bc'}}}\noutputs: {A: {x: '${db.password}'}}")
    assert plan.outputs["A"] == '{"x": "a\\"bc"}'
    assert Mask(plan.secrets)(plan.outputs["A"]) == '{"x": "***"}'


def test_the_password_in_a_url_of_use_is_a_secret(tmp_path: Path) -> None:
    environment = environment_of(tmp_path, "services: {db: {kind: postgres}}")
    chosen = apply(environment, Selection(use={"db": "postgresql://u:s%2Fcret@db.corp/x"}))
    assert "s/cret" in make_plan(chosen, setting_of(chosen)).secrets


def test_drawn_passwords_are_asked_for_by_what_they_are(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def secret(service: str, parameter: str) -> str:
        asked.append((service, parameter))
        return "drawn"

    plan_of(tmp_path, "services: {a: {kind: postgres}, b: {kind: valkey, with: {password: x}}}", secret=secret)
    assert sorted(asked) == [("a", "password"), ("a", "username"), ("b", "username")]


# Parts of an environment


def test_who_runs_elsewhere_is_not_planned(tmp_path: Path) -> None:
    text = PAIR.format(b="image: x, port: 1, env: {A: '${a.url}'}, needs: {a: started}", a="kind: postgres") + "outputs: {A: '${a.url}'}"
    environment = environment_of(tmp_path, text)
    chosen = apply(environment, Selection(use={"a": "postgresql://u:p@localhost:6000/x"}))
    plan = make_plan(chosen, setting_of(chosen))
    assert list(plan.services) == ["b"]
    assert plan.services["b"].needs == {}
    assert plan.services["b"].env == {"A": "postgresql://u:p@host.docker.internal:6000/x"}
    assert plan.outputs == {"A": "postgresql://u:p@localhost:6000/x"}
    assert plan.used == {"a": "postgresql://u:p@localhost:6000/x"}
    assert published(chosen) == [("b", "main")]


def test_processes_of_this_machine_are_refused_where_nothing_reaches_it(tmp_path: Path) -> None:
    text = "services: {b: {run: serve, image: x, port: 1}, a: {run: serve, image: x}}"
    with pytest.raises(UsageError, match="--local a, b: a cluster cannot reach this machine"):
        plan_of(tmp_path, text, engine=traits("kubernetes"), local=frozenset("ab"))


def test_a_service_by_hand_has_outside_addresses(tmp_path: Path) -> None:
    text = "services: {db: {kind: postgres}, x: {image: x, port: 80, env: {DB: '${db.url}', AT: '${self.bind}:${self.port}', N: null}}}"
    environment = environment_of(tmp_path, text)
    assert environment_outside(environment, setting_of(environment), "x") == {
        "DB": f"postgresql://db-username:db-password@127.0.0.1:{FIRST_PORT}/app",
        "AT": f"127.0.0.1:{FIRST_PORT + 1}",
    }


# The same input, the same plan

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.builders import environment_of, setting_of
from envctl.environment import open_environment
from envctl.plan.make import make_plan
from envctl.render.compose import compose_yaml, render_compose
environment = open_environment(Path(sys.argv[1]) / "environment.yaml", cwd=Path(sys.argv[1]), environ={})
plan = make_plan(environment, setting_of(environment))
rendered = render_compose(plan, standalone=True)
print(compose_yaml(rendered), rendered.losses, [s.steps and s.steps[0].hash for s in plan.services.values()], list(plan.outputs.items()))
"""


def test_another_process_plans_the_same(tmp_path: Path) -> None:
    """Python orders sets differently in each process, because its string hashes are random."""
    text = """
    name: t
    services:
      a: {kind: postgres, with: {databases: [x, y]}, seed: [{command: x, in: server, inputs: [files/**]}]}
      b: {kind: rabbitmq, with: {users: [u, v]}}
      c: {kind: mail}
      d: {image: x, env: {A: "${a.outside.url}", B: "${b.url}", C: "${c.url}"}, files: {/in: files}}
    """
    write(tmp_path, {"environment.yaml": text, "envctl.toml": "", **{f"files/{n}": str(n) for n in range(9)}})
    here = str(Path(__file__).parent.parent)
    shown = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), here], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert b"postgres:17" in shown[0]
    assert shown[0] == shown[1]
