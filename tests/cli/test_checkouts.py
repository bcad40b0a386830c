"""The checkout that an instance belongs to: no command touches an instance of another checkout or of another environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.processes import nothing_is_left, processes_of, states_of
from tests.support import Project

SLEEP = 'services: {a: {image: "python:3.13-slim", run: sleep 600}}\n'


@pytest.fixture
def local(project: Project) -> Iterator[Project]:
    project.environment("env", SLEEP)
    project.environment("other", SLEEP)
    found = Project(project.folder, "local")
    yield found
    found.down()


@pytest.fixture
def link(local: Project) -> Project:
    """Return the same checkout, entered through a symbolic link."""
    path = local.folder.parent / "link"
    path.symlink_to(local.folder)
    return replace(local, folder=path)


@pytest.mark.parametrize("through_the_link", [True, False])
def test_a_checkout_behind_a_link_is_the_same(local: Project, link: Project, through_the_link: bool) -> None:
    first, second = (link, local) if through_the_link else (local, link)
    shown = first.envctl("up", "env", "--json").ok().json
    assert second.envctl("status", "env", "--json").ok().json["id"] == shown["id"]
    assert [row["name"] for row in second.envctl("list", "--json").ok().json] == ["env"]
    assert [row["project"] for row in first.envctl("list", "--json").ok().json] == [str(local.folder)]
    assert second.envctl("up", "env", "--json").ok().json["id"] == shown["id"]
    assert "env is gone" in second.envctl("down", "env").ok().err
    nothing_is_left(local)


def test_a_path_through_the_link_from_elsewhere(local: Project, link: Project, tmp_path: Path) -> None:
    outside = replace(local, folder=tmp_path)
    shown = outside.envctl("up", str(link.folder / "environments/env.yaml"), "--json").ok().json
    assert local.envctl("status", "env", "--json").ok().json["id"] == shown["id"]
    assert "env is gone" in link.envctl("down", "env").ok().err
    nothing_is_left(local)


@pytest.mark.parametrize("words", [["up", "other"], ["up", "other", "--fresh"], ["run", "other"], ["run", "other", "--fresh"]])
def test_an_environment_under_the_name_of_anothers_instance_is_refused(local: Project, words: list[str]) -> None:
    local.envctl("up", "env").ok()
    (folder,) = states_of(local)
    before, there = (folder / "instance.json").read_text(), processes_of(folder.name)
    done = local.envctl(*words, "--name", "env", *(["--", "true"] if words[0] == "run" else []))
    assert done.status == (125 if words[0] == "run" else 2), done
    assert "env is an instance of the environment 'env'" in done.err
    assert "use another --name, or `envctl down env` first" in done.err
    assert (folder / "instance.json").read_text() == before
    assert processes_of(folder.name) == there


def test_nor_is_it_touched_on_another_engine(local: Project) -> None:
    local.envctl("up", "env").ok()
    done = local.envctl("up", "env", "--engine", "docker")
    assert done.status == 2, done
    assert "env is up on local" in done.err
    assert local.envctl("status", "env", "--json").ok().json["state"] == "seeded"
