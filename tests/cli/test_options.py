from __future__ import annotations

import inspect
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from envctl.cli import app
from envctl.cli.options import Chosen, Running, expanded, pairs, selection, up_options
from envctl.errors import UsageError
from envctl.lifecycle.options import DEFAULT_TIMEOUT, UpOptions

# K=V


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {}),
        (["a=b", "c="], {"a": "b", "c": ""}),
        (["a=b=c", "a=d"], {"a": "d"}),
        (["url=postgresql://u:p@h/d?x=y"], {"url": "postgresql://u:p@h/d?x=y"}),
    ],
)
def test_pairs(values: list[str], expected: dict[str, str]) -> None:
    assert pairs("--set", values, "K=V") == expected


@pytest.mark.parametrize("value", ["a", "", "=b"])
def test_what_is_no_pair(value: str) -> None:
    with pytest.raises(UsageError, match=f"--use {value}: not of the form S=URL") as caught:
        pairs("--use", [value], "S=URL")
    assert caught.value.exit_code == 2


# Options of `up`


def test_the_standard_options() -> None:
    found = up_options("shop", Running(engine="docker"))
    assert found == UpOptions("shop", engine="docker")
    assert (found.name, found.ttl, found.timeout, found.fresh, found.keep) == (None, None, DEFAULT_TIMEOUT, False, False)


def test_every_option_reaches_up() -> None:
    options = Running(
        name="n", set=["a=b"], only=["x"], stub=["y"], use=["z=http://h"], port=["x=8000"], image=["x=i:1"], local=["x"],
        engine="docker", context="c", namespace="ns", registry="r", ttl="2h", timeout="1m", fresh=True, keep=True,
    )  # fmt: skip
    found = up_options("shop", options, "out")
    assert found == UpOptions(
        "shop", "n", "docker", "c", "ns", "r", {"a": "b"}, ("x",), ("y",), {"z": "http://h"}, {"x": "i:1"}, {"x": 8000}, ("x",),
        7200, 60, True, True, "out",
    )  # fmt: skip
    assert found.selection == selection(Chosen(only=["x"], stub=["y"], use=["z=http://h"], image=["x=i:1"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": ["db=0"]}, "--port db=0: not a port number"),
        ({"port": ["db=65536"]}, "--port db=65536: not a port number"),
        ({"port": ["db=x"]}, "--port db=x: not a port number"),
        ({"port": ["db=-1"]}, "--port db=-1: not a port number"),
        ({"port": ["db=²"]}, "--port db=²: not a port number"),
        ({"port": ["5432"]}, "--port 5432: not of the form S=N"),
        ({"ttl": "soon"}, "--ttl soon: 'soon' is not a duration; write it like 30s, 15m, 2h or 1h30m"),
        ({"timeout": "-1"}, "--timeout -1: '-1' is not a duration"),
    ],
)
def test_options_that_are_not_of_their_form(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        up_options("shop", Running(engine="docker", **options))
    assert caught.value.message.startswith(message)


# Options that several commands share


@dataclass(frozen=True)
class Base:
    name: Annotated[str | None, typer.Option(help="Its name.")] = None


@dataclass(frozen=True)
class More(Base):
    only: Annotated[list[str], typer.Option(help="Several.")] = field(default_factory=list)
    fresh: Annotated[bool, typer.Option("--fresh")] = False


def command(env: str, options: More, loud: bool = False) -> str:
    """Says what it got."""
    return f"{env} {options.name} {options.only} {options.fresh} {loud}"


def test_the_fields_are_parameters() -> None:
    found = expanded(command)
    assert list(inspect.signature(found).parameters) == ["env", "loud", "name", "only", "fresh"]
    assert found.__doc__ == "Says what it got."
    assert found(env="e", loud=True, name="n", only=["a"], fresh=True) == "e n ['a'] True True"


def test_typer_takes_them() -> None:
    cli = typer.Typer()
    cli.command()(lambda **given: None)
    cli = typer.Typer()

    @cli.command()
    @expanded
    def shown(env: str, options: More, loud: bool = False) -> None:
        print(command(env, options, loud))

    runner = CliRunner()
    assert runner.invoke(cli, ["e"]).output == "e None [] False False\n"
    assert runner.invoke(cli, ["e", "--only", "a", "--only", "b", "--fresh", "--name", "n"]).output == "e n ['a', 'b'] True False\n"
    assert runner.invoke(cli, ["e", "--unknown"]).exit_code == 2


def test_every_option_but_set_is_a_variable_too() -> None:
    cli = typer.main.get_command(app.build(["up"]))
    parameters = {parameter.name: parameter for parameter in cli.commands["up"].params}  # type: ignore[attr-defined]
    for option in fields(Running):
        expected = None if option.name == "set" else f"ENVCTL_{option.name.upper()}"
        assert parameters[option.name].envvar == expected
        assert parameters[option.name].help
