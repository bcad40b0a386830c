"""Run the example suites against the shop as local processes; `make examples` runs every tool, on any engine.

newman and Vitest run only if `make examples` has installed them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from docs_tools.tools_page import SUITES
from examples.tools import HERE, TOOLS, installed
from tests.support import REPO, Done, Project

IGNORED = shutil.ignore_patterns("node_modules", "results", "target", "__pycache__")
OWN_WORDS = {
    "pytest": "assert 201 == 402",
    "newman": "expected response to have status code 402 but got 201",
    "vitest": "expected 201 to be 402",
}
HERE_NOW = [name for name in OWN_WORDS if name == "pytest" or installed(name)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Yield a project with a copy of the examples and of the shop, so that no reports are written to the repository."""
    folder = tmp_path_factory.mktemp("examples") / "envctl-tests"
    for name in ("examples", "environments"):
        shutil.copytree(REPO / name, folder / name, ignore=IGNORED)
    for modules in HERE.glob("*/node_modules"):
        (folder / "examples" / modules.parent.name / "node_modules").symlink_to(modules)
    (folder / "envctl.toml").touch()
    project = Project(folder, "local")
    yield project
    project.down()


@pytest.fixture(scope="module")
def shop(home: Project) -> Project:
    """Start the shop for all suites of this module."""
    home.envctl("up", "examples/shop.yaml").ok()
    return home


def suites(project: Project, definition: str, *names: str, first: str = "", **env: str) -> Done:
    """Run `envctl test` with *first* and this Python's folder in front of PATH; the reports are in the folder `out`."""
    path = os.pathsep.join([first, str(Path(sys.executable).parent), os.environ["PATH"]])
    words = ["test", f"examples/{definition}", *(names or HERE_NOW), "--report", "out"]
    return project.envctl(*words, env={"PATH": path, **env})


def test_every_example_is_complete() -> None:
    tests = yaml.safe_load((HERE / "shop.yaml").read_text("utf-8"))["tests"]
    folders = {path.parent.name for path in HERE.glob("*/README.md")}
    assert folders == {*SUITES} == {*TOOLS} == {name for name, test in tests.items() if test is not None}


@pytest.mark.parametrize("file", sorted(HERE.glob("*.yaml")), ids=lambda file: file.stem)
def test_definitions_are_valid(home: Project, file: Path) -> None:
    home.envctl("validate", f"examples/{file.name}").ok()


def test_suites_are_green_and_their_reports_are_collected(shop: Project) -> None:
    suites(shop, "shop.yaml").ok()
    for name in HERE_NOW:
        cases = list(ET.parse(shop.folder / "out" / "tests" / name / "junit.xml").iter("testcase"))
        assert len(cases) >= 6
        assert not [case for case in cases if case.find("failure") is not None or case.find("error") is not None]


def test_a_broken_shop_is_red_in_each_tool_s_own_words(home: Project) -> None:
    done = suites(home, "broken-status.yaml")
    assert done.status == 1
    for name in HERE_NOW:
        assert OWN_WORDS[name] in done.out
        assert len(HERE_NOW) == 1 or f"envctl: {name}: exit 1\n" in done.err


STAND_IN = """#!/bin/sh
# A stand-in, and not the real {name}: it writes down what it was given.
mkdir -p results
{{ echo "$0 $*"; env; }} > "$STAND_IN_SAID"
echo '<testsuite name="a stand-in for {name}"><testcase name="handed over"/></testsuite>' > results/stand-in.xml
exit 7
"""


def stand_in(project: Project, name: str) -> list[str]:
    """Replace the program *name* by a stand-in; return the command line and the variables that `envctl test` gives it."""
    program, said = project.write(f"stand-ins/{name}", STAND_IN.format(name=name)), project.folder / f"{name}.said"
    program.chmod(0o755)
    done = suites(project, "shop.yaml", name, first=str(program.parent), STAND_IN_SAID=str(said))
    assert done.status == 7, done.err
    return said.read_text("utf-8").splitlines()


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here")
def test_a_stand_in_for_cypress_gets_its_variables(shop: Project) -> None:
    command, *variables = stand_in(shop, "cypress")
    outputs = shop.envctl("env", "shop-examples", "--format", "json").ok().json
    assert command.endswith("cypress run --reporter junit --reporter-options mochaFile=results/[hash].xml")
    assert f"CYPRESS_BASE_URL={outputs['SHOP_URL']}" in variables
    assert f"CYPRESS_MAIL_PASSWORD={outputs['MAIL_PASSWORD']}" in variables
    assert (shop.folder / "out" / "tests" / "cypress" / "stand-in.xml").exists()
    assert json.loads(shop.envctl("env", "shop-examples", "--format", "cypress").ok().out)["BASE_URL"] == outputs["SHOP_URL"]


def test_a_stand_in_for_keploy_gets_the_address(shop: Project) -> None:
    command, *variables = stand_in(shop, "keploy")
    outputs = shop.envctl("env", "shop-examples", "--format", "json").ok().json
    assert command.endswith(f"keploy test --path keploy --base-path {outputs['ORDERS_URL']}")
    assert any(each.startswith("ENVCTL_INSTANCE=shop-examples-") for each in variables)
