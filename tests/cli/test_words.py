"""The command line itself: help, unknown words, completion, the file of defaults, colours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from envctl import __version__
from envctl.cli.app import COMMANDS, build
from envctl.session.settings import OPTIONS
from tests.support import Project, command

ESCAPE = "\x1b["
COMPLETE = {"_ENVCTL_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
STUB = "services: {site: {kind: stub}}\n"


def options(name: str) -> list[Any]:
    commands: Any = typer.main.get_command(build([]))
    return [parameter for parameter in commands.commands[name].params if parameter.param_type_name == "option"]


def test_help_of_every_command(tmp_path: Path) -> None:
    for name in COMMANDS:
        shown = command([name, "--help"], tmp_path).ok()
        assert shown.out.startswith(f"Usage: envctl {name} ")
        assert shown.err == ""
        assert ESCAPE not in shown.out
        assert all(option.opts[-1] in shown.out for option in options(name) if not option.hidden)


def test_help_names_every_command() -> None:
    shown = command(["-h"]).ok()
    assert all(re.search(rf"^  {name} ", shown.out, re.MULTILINE) for name in COMMANDS)


def test_version() -> None:
    assert command(["--version"]).ok().out == f"envctl {__version__}\n"


WRONG: list[tuple[list[str], int, str]] = [
    (["nosuch"], 2, "No such command 'nosuch'"),
    (["--nosuch"], 2, "No such option: --nosuch"),
    (["up"], 2, "Missing argument 'ENV'.\n  known: env\n"),
    (["up", "env", "--nosuch"], 2, "No such option: --nosuch"),
    (["up", "env", "--port", "site"], 2, "--port site: not of the form S=N"),
    (["up", "env", "--port", "site=many"], 2, "--port site=many: not a port number"),
    (["up", "env", "--port", "site=70000"], 2, "not a port number"),
    (["up", "env", "--ttl", "soon"], 2, "--ttl soon"),
    (["up", "env", "--engine", "dokcer"], 2, "did you mean 'docker'?"),
    (["up", "env", "--name", "a b"], 2, "'a b' is not a valid name"),
    (["up", "env", "--set", "x"], 2, "--set x: not of the form K=V"),
    (["up", "env", "--use", "site=nothing"], 2, "not a URL"),
    (["up", "env", "--only", "sit"], 2, "did you mean 'site'?"),
    (["up", "nev"], 2, "did you mean 'env'?"),
    (["render", "env", "--engine", "paper"], 2, "there is no engine 'paper'"),
    (["run", "env"], 125, "there is no command to run"),
    (["run", "env", "--nosuch", "--", "true"], 125, "No such option: --nosuch"),
    (["run", "nev", "--", "true"], 125, "did you mean 'env'?"),
    (["run"], 125, "Missing argument 'ENV'"),
    (["test", "env"], 125, "env has no `tests:`"),
    (["test", "env", "--nosuch"], 125, "No such option: --nosuch"),
    (["exec", "env"], 125, "Missing argument 'S'"),
    (["exec", "env", "site", "--", "true"], 125, "nothing named 'env' is up"),
    (["exec", "--nosuch", "env", "site"], 125, "No such option: --nosuch"),
    (["down"], 2, "give the name of an instance, or --all"),
    (["down", "env", "--all"], 2, "give the name of an instance, or --all"),
    (["status", "env"], 2, "nothing named 'env' is up"),
    (["logs", "env"], 2, "nothing named 'env' is up"),
    (["env", "env"], 2, "nothing named 'env' is up"),
    (["shell", "env", "site"], 2, "nothing named 'env' is up"),
    (["restart", "env", "site"], 2, "nothing named 'env' is up"),
    (["seed", "env"], 2, "nothing named 'env' is up"),
    (["reset", "env"], 2, "nothing named 'env' is up"),
]


def test_wrong_words(project: Project, tmp_path: Path) -> None:
    project.environment("env", STUB)
    for words, status, said in WRONG:
        done = command(list(words), project.folder)
        assert (done.status, done.out) == (status, ""), (words, done)
        assert said in done.err
        assert "Traceback" not in done.err
        assert ESCAPE not in done.err


def test_keys_are_the_options_that_exist() -> None:
    """The file has no defaults for a kind of output, or for what only a user may choose; all other options may have a default."""
    shapes = {"as_json", "output", "watch", "watch_data", "passed_on"}  # chosen for each call
    shapes |= {"untrusted", "image_names", "report", "key", "inside", "random"}  # a project must not choose these for its users
    found = {option.name for name in ("up", "run", "test", "render") for option in options(name)} - shapes
    assert found == OPTIONS


def test_every_option_of_up_is_a_variable() -> None:
    variables = {option.name: option.envvar for option in options("up") if option.name != "as_json"}
    assert variables.pop("set") is None, "ENVCTL_VAR_NAME sets a variable"
    assert variables == {name: f"ENVCTL_{name.upper()}" for name in variables}


@pytest.mark.parametrize(
    ("words", "offered"),
    [("envctl re", {"render", "restart", "reset", "report"}), ("envctl up --t", {"--ttl", "--timeout"})],
)
def test_completion(words: str, offered: set[str]) -> None:
    count = str(len(words.split()) - 1)
    done = command([], env={**COMPLETE, "COMP_WORDS": words, "COMP_CWORD": count})
    assert set(done.out.split()) == offered
    assert done.err == ""


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("envctl up on", {"one"}),
        ("envctl run one --only s", {"site", "store"}),
        ("envctl run --engine docker --name mine one --in s", {"site", "store"}),
        ("envctl test one u", {"unit"}),
        ("envctl env one --format j", {"json"}),
        ("envctl up one --engine l", {"local"}),
        ("envctl up nosuch --only s", set()),
        ("envctl up comp", {"compose.yml"}),
    ],
)
def test_completion_of_names(project: Project, words: str, offered: set[str]) -> None:
    project.environment("one", "services: {site: {kind: stub}, store: {kind: stub}, db: {kind: postgres}}\ntests: {unit: 'true'}\n")
    project.write("compose.yml", "services: {}\n")
    environ = {**COMPLETE, "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    assert set(command([], project.folder, environ).out.split()) == offered


def test_completion_can_be_shown() -> None:
    assert "complete" in command(["--show-completion", "bash"]).ok().out


def test_an_unknown_key_of_the_file(project: Project) -> None:
    project.environment("env", STUB)
    project.write("envctl.toml", "\ntimeuot = '1m'\n")
    done = project.envctl("validate", "env")
    assert done.status == 2
    assert "envctl.toml:" in done.err
    assert "timeuot" in done.err
    assert "did you mean 'timeout'?" in done.err
    assert project.envctl("run", "env", "--", "true").status == 125


def test_a_file_that_is_no_toml(project: Project) -> None:
    project.environment("env", STUB)
    project.write("envctl.toml", "engine = 'docker'\nttl = \n")
    done = project.envctl("render", "env")
    assert done.status == 2
    assert "envctl.toml:2: not valid TOML" in done.err


def test_a_name_in_the_file_is_for_options_alone(project: Project) -> None:
    """In the file, `name` is an option of `up`, never an argument of a command that removes instances."""
    project.environment("env", STUB)
    project.write("envctl.toml", "name = 'other'\n")
    assert project.envctl("down", "--all").ok().err.strip() == "nothing is up in this checkout"
    assert project.envctl("status").ok().out.strip() == "nothing is up in this checkout"


def test_pyproject_holds_defaults_too(project: Project) -> None:
    project.environment("env", "variables: {word: a}\nservices: {site: {kind: stub, env: {WORD: '${var.word}'}}}\n")
    (project.folder / "envctl.toml").unlink()
    project.write("pyproject.toml", "[tool.envctl]\nset = {word = 'b'}\n")
    assert "WORD: b" in project.envctl("render", "env").ok().out


def test_no_color_is_obeyed_on_a_terminal(project: Project) -> None:
    project.environment("env", STUB)
    assert ESCAPE in on_a_terminal(project, {})
    assert ESCAPE not in on_a_terminal(project, {"NO_COLOR": "1"})


def on_a_terminal(project: Project, env: dict[str, str]) -> str:
    """Return what `envctl doctor` prints when stdout is a terminal."""
    import os
    import pty
    import subprocess
    import sys

    ours, theirs = pty.openpty()
    environ = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"} | env
    with subprocess.Popen(
        [sys.executable, "-m", "envctl", "doctor"], cwd=project.folder, env=environ, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 65536):
                text += piece
        except OSError:
            pass  # Linux reports a closed terminal as an error
        process.wait(60)
    os.close(ours)
    return text.decode()
