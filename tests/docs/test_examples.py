"""Tests of the documentation: examples are valid, commands exist, links lead to existing targets, generated pages are current."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from docs_tools import pages, picture
from docs_tools.pages import PAGES, ROOT
from envctl.cli.app import COMMANDS, GROUPS, build
from envctl.definition.find import find_environment
from envctl.definition.kinds import load_kinds
from envctl.engines.registry import traits
from envctl.environment import open_environment
from envctl.plan.make import make_plan
from envctl.plan.render_setting import render_setting
from envctl.session.settings import OPTIONS, TABLES

APP: Any = typer.main.get_command(build([]))
DEFINITIONS = [block for page in PAGES for block in pages.blocks(page) if block.definition]
SHOWN = [item for page in PAGES for item in pages.commands(page)]


@pytest.mark.parametrize("block", DEFINITIONS, ids=lambda block: block.where)
def test_definitions_are_valid(block: pages.Block, tmp_path: Path) -> None:
    if "from: ../docker-compose.yml" in block.text and shutil.which("docker") is None:
        pytest.skip("Docker Compose reads Compose files")
    pages.write_project(block.page, tmp_path)
    environment = open_environment(str(tmp_path / block.definition), cwd=tmp_path, environ={})
    plan = make_plan(environment, render_setting(environment, environment.definition.name, traits("docker"), {}))
    assert plan.services


def test_every_kind_has_an_example() -> None:
    kinds = load_kinds()
    assert {path.stem for path in (ROOT / "docs" / "examples").glob("*.yaml")} == {kinds[name].kind for name in kinds}


def test_definitions_of_a_page_have_names_of_their_own() -> None:
    """The definitions of the tutorial are excluded: they share a name and grow from step to step."""
    files = [(block.page, block.definition) for block in DEFINITIONS if block.page.name != "tutorial.md"]
    assert sorted(set(files)) == sorted(files)


def called(name: str, *words: str) -> tuple[Any, list[str]]:
    """Return the command *name*, or its subcommand if it is a group, and the remaining arguments."""
    command: Any = APP.commands[name]
    inner = getattr(command, "commands", {}).get(words[0]) if words else None
    return (inner, list(words[1:])) if inner is not None else (command, list(words))


@pytest.mark.parametrize(("where", "line"), SHOWN, ids=lambda text: text[:50])
def test_commands_can_be_typed(where: str, line: str) -> None:
    command, words = called(*shlex.split(line)[1:])
    with command.make_context(command.name, words):
        pass


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_sentences_mention_exists(page: Path) -> None:
    for text in pages.mentions(page):
        _, name, *words = text.partition(" -- ")[0].split()
        if name.startswith("-"):
            continue
        assert name in {**COMMANDS, **GROUPS}, text
        command, words = called(name, *words)
        known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
        assert [word for word in words if word.startswith("-") and word.partition("=")[0] not in known] == [], text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in pages.links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in pages.anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_other_blocks_can_be_read(page: Path) -> None:
    readers: dict[str, Callable[[str], Any]] = {"yaml": yaml.safe_load, "json": yaml.safe_load, "toml": tomllib.loads}
    for block in pages.blocks(page):
        content = readers.get(block.language, str)(block.text)
        if block.language == "toml" and "images" in content:
            assert set(content) <= OPTIONS | set(TABLES), block.where


def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, "-m", "docs_tools.generate", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_examples_of_the_repository_name_the_schema() -> None:
    for name in ("minimal", "shop", "streaming"):
        file = find_environment(name, ROOT).file
        first = file.read_text("utf-8").splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema="), file
        assert (file.parent / first.partition("=")[2]).resolve() == ROOT / "docs" / "schema.json"


def test_the_picture_is_the_same_each_time() -> None:
    drawn = picture.picture()
    assert drawn == picture.picture()
    kept = ET.parse(ROOT / "docs" / "run.svg").getroot()
    words = " ".join("".join(kept.itertext()).split())
    environment = open_environment("shop", cwd=ROOT, environ={})
    assert [name for name in environment.definition.services if name not in words] == []
    assert set(picture.MOMENTS) == set(environment.definition.services)


def test_benchmarks_can_be_asked_for() -> None:
    """The benchmarks do not run here: tests do not measure times."""
    done = subprocess.run([sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    from benchmarks.harness import ROWS, load

    assert all(name in done.stdout for name in ROWS)
    for name in ROWS:
        row = load(name)
        assert row.WHAT
        assert row.GOAL.text
        assert callable(row.sides)
