"""Default options: each command gets the defaults for the options that it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from envctl.cli import app
from envctl.errors import DefinitionError
from envctl.session.settings import OPTIONS
from tests.builders import session_in, write


def command(*words: str) -> Any:
    return typer.main.get_command(app.build(words))


def defaults(folder: Path, text: str) -> dict[str, Any]:
    write(folder, {".git/HEAD": "", "envctl.toml": text})
    return app.default_map(session_in(folder), command())


def test_defaults_go_to_the_commands_that_know_them(tmp_path: Path) -> None:
    found = defaults(tmp_path, 'engine = "docker"\nttl = "1h"\nset = {pg = "16"}\nonly = ["db"]\n[images]\na = "b"\n')
    assert found["up"] == {"engine": "docker", "ttl": "1h", "set": ["pg=16"], "only": ["db"]}
    assert found["run"] == found["up"]
    assert found["render"] == {"engine": "docker", "set": ["pg=16"], "only": ["db"]}
    assert found["down"] == {}
    assert found["list"] == found["gc"] == {"engine": "docker"}


def test_without_defaults_nothing_is_looked_up(tmp_path: Path) -> None:
    assert defaults(tmp_path, "") == {}


@pytest.mark.parametrize("given", ['only = "db"', 'only = ["db"]'])
def test_one_of_several_may_be_a_text(tmp_path: Path, given: str) -> None:
    assert defaults(tmp_path, given)["up"]["only"] == ["db"]


def test_a_key_that_is_no_option_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="zzz: unknown key"):
        defaults(tmp_path, "zzz = 1\n")


def test_keys_are_options_of_some_command() -> None:
    known = {parameter.name for each in command().commands.values() for parameter in each.params}
    assert known >= OPTIONS


def test_every_option_of_up_is_a_key() -> None:
    options = {parameter.name for parameter in command("up").commands["up"].params if parameter.name not in ("env", "as_json", "help")}
    assert options - {"image_names", "untrusted", "key"} <= OPTIONS, "a project's own file may say none of them"
    assert not {"image_names", "untrusted", "key"} & set(OPTIONS)
