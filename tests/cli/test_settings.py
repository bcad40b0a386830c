from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from envctl.cli import app, settings
from envctl.errors import DefinitionError
from tests.builders import write


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory below a project."""
    settings.settings.cache_clear()
    (tmp_path / ".git").mkdir()
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    yield tmp_path
    settings.settings.cache_clear()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, {}),
        ({"envctl.toml": 'ttl = "1h"'}, {"ttl": "1h"}),
        ({"pyproject.toml": '[tool.envctl]\nttl = "1h"'}, {"ttl": "1h"}),
        ({"a/envctl.toml": 'ttl = "near"', "envctl.toml": 'ttl = "far"'}, {"ttl": "near"}),
        ({"envctl.toml": 'ttl = "own"', "pyproject.toml": '[tool.envctl]\nttl = "shared"'}, {"ttl": "own"}),
        ({"a/pyproject.toml": "[tool.other]", "envctl.toml": 'ttl = "far"'}, {"ttl": "far"}),
        ({"a/pyproject.toml": "this is no TOML", "envctl.toml": 'ttl = "far"'}, {"ttl": "far"}),
        ({"a/pyproject.toml": "tool = 1", "envctl.toml": 'ttl = "far"'}, {"ttl": "far"}),
        ({"a/envctl.toml": "", "envctl.toml": 'ttl = "far"'}, {}),
        ({"a/.git/HEAD": "", "envctl.toml": 'ttl = "of the project around"'}, {}),
    ],
)
def test_the_nearest_file_counts(folder: Path, files: dict[str, str | bytes], expected: dict[str, Any]) -> None:
    write(folder, files)
    assert settings.settings() == expected


def test_a_file_that_is_no_toml(folder: Path) -> None:
    write(folder, {"envctl.toml": 'ttl = "1h"\n= 1\n'})
    with pytest.raises(DefinitionError) as caught:
        settings.settings()
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (folder / "envctl.toml", 2)
    assert problem.message.startswith("this is no TOML: ")


def test_a_file_that_cannot_be_read(folder: Path) -> None:
    (folder / "envctl.toml").mkdir()
    with pytest.raises(DefinitionError, match=r"envctl\.toml:1: this is no TOML"):
        settings.settings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [('[images]\n"docker.io" = "mirror"\n', {"docker.io": "mirror"}), ("", {})],
)
def test_images(folder: Path, text: str, expected: dict[str, str]) -> None:
    write(folder, {"envctl.toml": text})
    assert settings.images() == expected


@pytest.mark.parametrize("text", ["images = 1", "[images]\nx = 1"])
def test_images_that_are_no_table(folder: Path, text: str) -> None:
    write(folder, {"envctl.toml": text})
    with pytest.raises(DefinitionError, match=r"envctl\.toml:1: images: expected a table"):
        settings.images()


# Defaults of options


def command(*words: str) -> Any:
    return typer.main.get_command(app.build(words))


def test_defaults_go_to_the_commands_that_know_them(folder: Path) -> None:
    write(folder, {"envctl.toml": 'engine = "docker"\nttl = "1h"\nset = {pg = "16"}\nonly = ["db"]\nreport = "out"\n[images]\na = "b"\n'})
    found = settings.default_map(command())
    assert found["up"] == {"engine": "docker", "ttl": "1h", "set": ["pg=16"], "only": ["db"]}
    assert found["run"] == {**found["up"], "report": "out"}
    assert found["render"] == {"engine": "docker", "set": ["pg=16"], "only": ["db"]}
    assert found["down"] == {}


def test_without_defaults_nothing_is_looked_up() -> None:
    assert settings.default_map(command()) == {}


@pytest.mark.parametrize(("key", "hint"), [("engin", "did you mean 'engine'?"), ("zzz", "known: context, engine")])
def test_a_key_that_is_no_option(folder: Path, key: str, hint: str) -> None:
    write(folder, {"envctl.toml": f"{key} = 1\n"})
    with pytest.raises(DefinitionError, match=f"{key}: unknown key") as caught:
        settings.default_map(command())
    assert caught.value.problems[0].file == folder / "envctl.toml"
    assert caught.value.problems[0].hint.startswith(hint)
    assert caught.value.exit_code == 2


def test_the_file_with_the_unknown_key_is_named(folder: Path) -> None:
    write(folder, {"pyproject.toml": "[tool.envctl]\nzzz = 1\n"})
    with pytest.raises(DefinitionError) as caught:
        settings.default_map(command())
    assert caught.value.problems[0].file == folder / "pyproject.toml"


def test_keys_are_options_of_some_command() -> None:
    known = {parameter.name for each in command().commands.values() for parameter in each.params}
    assert known >= settings.KEYS


def test_every_option_of_up_is_a_key() -> None:
    options = {parameter.name for parameter in command("up").commands["up"].params if parameter.name not in ("env", "as_json", "help")}
    assert options <= settings.KEYS


@pytest.mark.parametrize("given", ['only = "db"', 'only = ["db"]'])
def test_one_of_several_may_be_a_text(folder: Path, given: str) -> None:
    write(folder, {"envctl.toml": given})
    assert settings.default_map(command())["up"]["only"] == ["db"]
