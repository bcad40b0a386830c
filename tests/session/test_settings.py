from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.errors import DefinitionError
from envctl.render.kubernetes_settings import Cluster
from envctl.session.settings import Settings, nearest
from tests.builders import session_in, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Create a project with the folder `a/b`, from which the tests look for settings; return the project."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "a" / "b").mkdir(parents=True)
    return tmp_path


def settings(folder: Path, text: str | None = None) -> Settings:
    if text is not None:
        write(folder, {"envctl.toml": text})
    return nearest(folder / "a" / "b")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, {}),
        ({"envctl.toml": 'ttl = "1h"'}, {"ttl": "1h"}),
        ({"pyproject.toml": '[tool.envctl]\nttl = "1h"'}, {"ttl": "1h"}),
        ({"a/envctl.toml": 'ttl = "near"', "envctl.toml": 'ttl = "far"'}, {"ttl": "near"}),
        ({"envctl.toml": 'ttl = "own"', "pyproject.toml": '[tool.envctl]\nttl = "shared"'}, {"ttl": "own"}),
        ({"a/pyproject.toml": "[tool.other]", "envctl.toml": 'ttl = "far"'}, {"ttl": "far"}),
        ({"a/pyproject.toml": "not valid TOML", "envctl.toml": 'ttl = "far"'}, {"ttl": "far"}),
        ({"a/pyproject.toml": "tool = 1", "envctl.toml": 'ttl = "far"'}, {"ttl": "far"}),
        ({"a/envctl.toml": "", "envctl.toml": 'ttl = "far"'}, {}),
        ({"a/.git/HEAD": "", "envctl.toml": 'ttl = "of the project around"'}, {}),
        ({"envctl.toml": 'existing-secret = "s"'}, {"existing_secret": "s"}),
    ],
)
def test_the_nearest_file_counts(folder: Path, files: dict[str, str | bytes], expected: dict[str, Any]) -> None:
    write(folder, files)
    assert settings(folder).options() == expected


def test_a_file_that_is_no_toml(folder: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        settings(folder, 'ttl = "1h"\n= 1\n')
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (folder / "envctl.toml", 2)
    assert problem.message.startswith("not valid TOML: ")


def test_a_file_that_cannot_be_read(folder: Path) -> None:
    (folder / "envctl.toml").mkdir()
    with pytest.raises(DefinitionError, match=r"envctl\.toml:1: .* is not a regular file"):
        settings(folder)


@pytest.mark.parametrize(("text", "expected"), [('[images]\n"docker.io" = "mirror"\n', {"docker.io": "mirror"}), ("", {})])
def test_images(folder: Path, text: str, expected: dict[str, str]) -> None:
    found = settings(folder, text)
    assert found.images() == expected
    assert found.options() == {}


@pytest.mark.parametrize("text", ["images = 1", "[images]\nx = 1"])
def test_images_that_are_no_table(folder: Path, text: str) -> None:
    with pytest.raises(DefinitionError, match=r"envctl\.toml:1: images: expected a table"):
        settings(folder, text).images()


@pytest.mark.parametrize(("key", "hint"), [("engin", "did you mean 'engine'?"), ("zzz", "known: context, docker, engine")])
def test_a_key_that_is_no_option(folder: Path, key: str, hint: str) -> None:
    with pytest.raises(DefinitionError, match=f"{key}: unknown key") as caught:
        settings(folder, f"{key} = 1\n").options()
    assert caught.value.problems[0].file == folder / "envctl.toml"
    assert caught.value.problems[0].hint.startswith(hint)
    assert caught.value.exit_code == 2


def test_the_file_with_the_unknown_key_is_named(folder: Path) -> None:
    write(folder, {"pyproject.toml": "[tool.envctl]\nzzz = 1\n"})
    with pytest.raises(DefinitionError) as caught:
        settings(folder).options()
    assert caught.value.problems[0].file == folder / "pyproject.toml"


# Settings of a cluster


def test_the_cluster(folder: Path) -> None:
    text = '[kubernetes]\nlabels = {team = "shop"}\npull_secrets = ["a"]\npriority_class = "low"\nquota = {pods = "4"}\n'
    assert settings(folder, text).table("kubernetes", Cluster) == {
        "labels": {"team": "shop"}, "pull_secrets": ["a"], "priority_class": "low", "quota": {"pods": "4"},
    }  # fmt: skip
    assert settings(folder, "").table("kubernetes", Cluster) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kubernetes = 1", "kubernetes: expected a table"),
        ("[kubernetes]\nlables = {}", "kubernetes.lables: unknown key; did you mean 'labels'?"),
        ("[kubernetes]\nlabels = 1", "kubernetes.labels: not of the right form"),
        ("[kubernetes]\npull_secrets = [1]", "kubernetes.pull_secrets: not of the right form"),
        ("[kubernetes]\nquota = {pods = 4}", "kubernetes.quota: not of the right form"),
    ],
)
def test_a_cluster_that_is_not_of_its_form(folder: Path, text: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        settings(folder, text).table("kubernetes", Cluster)
    assert message in str(caught.value)


# Options without a value


def test_a_command_counts_more_than_the_environment_than_the_file(folder: Path) -> None:
    write(folder, {"envctl.toml": 'engine = "file"\nfresh = true\n'})
    assert session_in(folder).option("engine") == "file"
    environ = {"ENVCTL_ENGINE": "environment"}
    session = session_in(folder, None, **environ)
    assert session.option("engine") == "environment"
    session.told = {"engine": "told"}
    assert session.option("engine") == "told"
    assert session.option("context") is None
    assert session.option("fresh") is None, "what is not text names no place"
