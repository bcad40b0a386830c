"""The fixed outside ports of `publish`, and the outputs as a service inside the instance sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.environment import open_environment
from envctl.errors import DefinitionError
from envctl.plan.make import make_plan
from tests.builders import environment_of, setting_of

SERVICES = "services:\n  db: {kind: postgres, publish: 15432}\n  web: {image: w:1, port: 80, ports: {admin: 81}, publish: {admin: 8081}}\n"


def test_numbers_outside(tmp_path: Path) -> None:
    environment = environment_of(tmp_path, SERVICES)
    plan = make_plan(environment, setting_of(environment))
    assert plan.ports_fixed == {("db", "postgres"): 15432, ("web", "admin"): 8081}


def test_outputs_inside(tmp_path: Path) -> None:
    environment = environment_of(tmp_path, SERVICES + "outputs: {HOST: '${db.host}:${db.port}'}\n")
    plan = make_plan(environment, setting_of(environment))
    assert plan.outputs_in("web") == {"HOST": "db:5432"}
    assert plan.outputs["HOST"] != "db:5432"


@pytest.mark.parametrize(
    ("services", "path", "message"),
    [
        ("a: {image: x:1, publish: 8000}", "services.a.publish", "there is no port to publish"),
        ("a: {image: x:1, port: 80, publish: {htpp: 8000}}", "services.a.publish.htpp", "there is no port 'htpp'"),
        (
            "a: {image: x:1, port: 80, publish: 8000}\n  b: {image: x:1, port: 80, publish: 8000}",
            "services.b.publish",
            "a has the port 8000",
        ),
        ("a: {image: x:1, port: 80, publish: 80000}", "services.a.publish", "65535"),
    ],
)
def test_mistakes(tmp_path: Path, services: str, path: str, message: str) -> None:
    (tmp_path / "e.yaml").write_text(f"name: e\nservices:\n  {services}\n")
    with pytest.raises(DefinitionError) as caught:
        open_environment("e.yaml", cwd=tmp_path, environ={})
    (problem,) = caught.value.problems
    assert problem.path == path
    assert message in f"{problem.message} {problem.hint}"
