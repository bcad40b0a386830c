"""Tests of docs/architecture.md: it lists every subpackage and every step of `up`, and has few enough steps to follow."""

from __future__ import annotations

import ast
import re

import pytest

from docs_tools.pages import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
FUNCTIONS = re.findall(r"`(envctl/[\w/]+\.py)` `(\w+)`", TEXT)
MOST_STATIONS = 15


def test_every_room_is_named() -> None:
    rooms = {path.name for path in (ROOT / "envctl").iterdir() if (path / "__init__.py").exists()}
    assert rooms == set(re.findall(r"`(\w+)/`", TEXT.partition("## A walk")[0])) - {
        "docker",
        "kubernetes",
        "local",
        "transforms",
        "templates",
        "environments",
    }


def test_there_are_only_rooms() -> None:
    loose = {path.name for path in (ROOT / "envctl").iterdir() if path.is_file() and path.suffix != ".pyc"}
    assert loose == {"__init__.py", "__main__.py", "py.typed"}


@pytest.mark.parametrize(("file", "function"), FUNCTIONS)
def test_a_station_is_where_it_is_said_to_be(file: str, function: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_walk_is_short_and_straight() -> None:
    walk = TEXT.partition("## A walk")[2].partition("\n## ")[0]
    stations = re.findall(r"^\| (\d+) \| (.+?) \|", walk, re.MULTILINE)
    assert [int(number) for number, _ in stations] == list(range(1, len(stations) + 1))
    assert len(stations) <= MOST_STATIONS
    assert len({where for _, where in stations}) == len(stations)


def test_the_stages_are_those_of_the_list() -> None:
    from envctl.lifecycle.stages import STAGES

    told = re.search(r"The stages of a service are ([^.]+)\.", TEXT)
    assert told is not None
    assert re.findall(r"`(\w+)`", told[1]) == [stage.__name__ for stage in STAGES]
