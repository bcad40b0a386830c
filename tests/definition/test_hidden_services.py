"""Tests of the error and its hint if an expression cannot name a service, because the service's name means something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.definition.hidden_services import hidden
from envctl.definition.models import RESERVED
from envctl.definition.source import TreePath
from envctl.environment.references import check_references
from tests.builders import environment_of

OUTPUT: TreePath = ("outputs", "X")
INSIDE: TreePath = ("services", "web", "env", "X")
NAMES = (*RESERVED, "true", "in", "a.b", "a", "db")


@pytest.mark.parametrize("name", RESERVED)
def test_a_name_that_means_something_else_is_explained(name: str) -> None:
    assert hidden(f"x${{ {name}.host }}", NAMES, OUTPUT) is not None
    message, hint = hidden(f"${{{name}['host']}}", NAMES, OUTPUT) or ("", "")
    assert message.startswith(f"`${{{name}['host']}}`: `{name}` stands for ")
    assert message.endswith(f", not for the service '{name}'")
    assert "leave `outputs:` out" in hint


@pytest.mark.parametrize("name", ["true", "in", "a.b"])
def test_a_name_that_no_expression_has_is_said(name: str) -> None:
    message, hint = hidden(f"redis://${{{name}.host}}", NAMES, INSIDE) or ("", "")
    assert message == f"`${{{name}.host}}`: it cannot name the service '{name}'"
    assert hint == f"rename the service in its Compose file, or write its address as it is: inside, it is reached as `{name}`"


@pytest.mark.parametrize("text", ["${db.host}", "${a.host}", "${environment.x}", "${env", "$${env.x}", "${envx.y}", "env.x"])
def test_everything_else_is_what_it_is(text: str) -> None:
    assert hidden(text, NAMES, OUTPUT) is None


def test_a_service_speaks_of_itself(tmp_path: Path) -> None:
    assert hidden("${self.x}", NAMES, INSIDE) is None
    assert hidden("${self.x}", NAMES, OUTPUT) is not None
    assert hidden("${env.host}", ("db",), OUTPUT) is None


def test_it_is_said_in_the_place_of_what_is_wrong_otherwise(tmp_path: Path) -> None:
    loaded = environment_of(tmp_path, "services: {}\noutputs: {A: x}\n").loaded
    loaded.tree["services"] = {"tester": {}, "db": {}}
    loaded.tree["outputs"] = {"A": "${tester.port}", "B": "${tester.host}"}
    [problem] = check_references(loaded, {}, {})
    assert "`tester` stands for the machine on which the tests run" in problem.message
