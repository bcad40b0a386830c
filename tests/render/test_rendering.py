from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.engines.registry import traits
from envctl.environment import Environment
from envctl.errors import UsageError
from envctl.plan.make import make_plan
from envctl.plan.render_setting import COUNT, FIRST, render_setting
from envctl.render.compose import render_compose
from tests.builders import environment_of

SERVICES = """
services:
  db: {kind: postgres}
  mail: {kind: mail}
  worker: {image: x}
"""
KEYS = [("db", "postgres"), ("mail", "smtp"), ("mail", "web")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return environment_of(tmp_path_factory.mktemp("rendering"), SERVICES)


def test_everything_follows_from_the_name(environment: Environment) -> None:
    one, two, other = (render_setting(environment, name, traits("docker"), {}) for name in ("shop", "shop", "other"))
    assert (one.id, one.allocation, one.secret("db", "password")) == (two.id, two.allocation, two.secret("db", "password"))
    assert (one.allocation, one.secret("db", "password")) != (other.allocation, other.secret("db", "password"))
    assert (one.name, one.environment, one.engine) == ("shop", "t", traits("docker"))


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", fullmatch=True))
def test_a_name_makes_an_id_and_ports_that_fit(environment: Environment, name: str) -> None:
    found = render_setting(environment, name, traits("docker"), {})
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", found.id)
    assert list(found.allocation.ports) == KEYS
    assert len(set(found.allocation.ports.values())) == len(KEYS)
    assert all(FIRST <= port < FIRST + COUNT + len(KEYS) for port in found.allocation.ports.values())


def test_a_given_port_is_that_of_the_main_one(environment: Environment) -> None:
    ports = render_setting(environment, "shop", traits("docker"), {}, {"mail": 2525}).allocation.ports
    assert ports["mail", "smtp"] == 2525
    assert ports["mail", "web"] != 2525


def test_a_given_port_is_kept_even_if_another_service_hashes_to_it(environment: Environment) -> None:
    taken = render_setting(environment, "shop", traits("docker"), {}).allocation.ports["db", "postgres"]
    ports = render_setting(environment, "shop", traits("docker"), {}, {"mail": taken}).allocation.ports
    assert ports["mail", "smtp"] == taken
    assert ports["db", "postgres"] != taken


def test_a_given_port_is_in_the_rendered_file(environment: Environment) -> None:
    plan = make_plan(environment, render_setting(environment, "shop", traits("docker"), {}, {"mail": 2525}))
    smtp, web = render_compose(plan, standalone=True).document["services"]["mail"]["ports"]
    assert smtp["published"] == "2525"
    assert "published" not in web


@pytest.mark.parametrize(("service", "hint"), [("dbb", "did you mean 'db'?"), ("worker", "known: db, mail, mail")])
def test_a_port_of_a_service_that_has_none(environment: Environment, service: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"--port {service}: there is no such service with a port") as caught:
        render_setting(environment, "shop", traits("docker"), {}, {service: 1})
    assert caught.value.hint.startswith(hint[:9])


def test_the_rest_is_handed_through(environment: Environment) -> None:
    found = render_setting(environment, "shop", traits("docker"), {"docker.io": "x"}, environ={"A": "b"})
    assert (found.rewrite, found.environ, found.project) == ({"docker.io": "x"}, {"A": "b"}, Path(environment.loaded.project))
    assert (found.allocation.subnet, found.owner) == (None, "")
