"""Build the command line. Only the module of the called command is imported: `down`, for example, needs no definition parser."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from io import StringIO
from typing import Any

import typer

from envctl import __version__
from envctl.cli.overview import overview, unknown_command
from envctl.cli.usage import plain
from envctl.process.terminal import show, tell
from envctl.session import Session

COMMANDS = {
    "init": "init",
    "validate": "definitions",
    "schema": "definitions",
    "render": "definitions",
    "up": "up",
    "run": "up",
    "test": "up",
    "restart": "change",
    "env": "inspect",
    "status": "inspect",
    "logs": "inspect",
    "exec": "inspect",
    "shell": "inspect",
    "seed": "change",
    "reset": "change",
    "list": "inspect",
    "down": "remove",
    "extend": "change",
    "gc": "remove",
    "report": "report",
    "snapshots": "snapshots",
    "doctor": "doctor",
}
"""Commands, in the order of `--help`, each with its module in this package."""
GROUPS = {"preview": "preview", "cluster": "cluster"}
"""Groups of commands, each with its module in this package. The module contains the Typer application `app`."""
COMPLETING = "_ENVCTL_COMPLETE"
"""The environment variable that a shell sets to ask for completions."""
CLICK_ERROR: Any = typer.BadParameter.__mro__[2]
"""The base class of Click's usage errors, from Click itself or from the copy in newer versions of Typer."""


def build(words: Sequence[str]) -> typer.Typer:
    """Return the application with the command in *words*. If *words* name no command, the application has all commands."""
    app = typer.Typer(
        name="envctl",
        help="Brings up the environments that integration tests need, and removes them again.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    called = next((word for word in words if not word.startswith("-")), "")
    known = {**COMMANDS, **GROUPS}
    for name in [called] if called in known else known:
        if name in GROUPS:
            app.add_typer(import_module(f"envctl.cli.{GROUPS[name]}").app, name=name)
        else:
            app.command(name)(_function(name))
    return app


def _function(name: str) -> Callable[..., Any]:
    module = import_module(f"envctl.cli.{COMMANDS[name]}")
    function: Callable[..., Any] = getattr(module, name, None) or getattr(module, f"{name}_")
    return function


def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        print(f"envctl {__version__}")
        raise typer.Exit


def invoke(session: Session, words: Sequence[str], usage_status: int) -> int:
    """Run the command line *words* and return its exit code; a usage error is printed and returns *usage_status*.

    Raises:
        UsageError: there is no such command.
        EnvctlError: the command failed.
        KeyboardInterrupt: the user aborted a prompt.
    """
    words = list(words)
    if words[:1] == ["help"] and words[1:]:
        words = [*words[1:], "--help"]
    if COMPLETING not in session.environ:
        called = next((word for word in words if not word.startswith("-")), "")
        if words in ([], ["help"], ["-h"], ["--help"]):
            show(*overview())
            return 0
        if words[:1] == [called] and called not in {**COMMANDS, **GROUPS}:
            raise unknown_command(called)
        if called == "test":
            words = passed_on(words)
    try:
        command = plain(typer.main.get_command(build(words)))
        defaults = default_map(session, command)
        result = command.main(list(words), prog_name="envctl", standalone_mode=False, default_map=defaults, obj=session)
    except typer.Exit as end:
        return int(end.exit_code)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except CLICK_ERROR as error:
        shown = StringIO()
        error.show(shown)
        tell(*shown.getvalue().rstrip("\n").split("\n"), *_candidates(error))
        return usage_status
    return result if isinstance(result, int) else 0


def _candidates(error: Any) -> list[str]:
    """Return a line with the possible values of a missing argument, which are those that shell completion offers."""
    param = getattr(error, "param", None)
    if param is None or param.param_type_name != "argument" or error.ctx is None:
        return []
    offered = [item.value for item in param.shell_complete(error.ctx, "")]
    return [f"  known: {', '.join(offered)}"] if offered else []


def passed_on(words: list[str]) -> list[str]:
    """Return *words* with the arguments behind `--` as one option, so that none of them is read as the name of a test."""
    if "--" not in words:
        return words
    at = words.index("--")
    return [*words[:at], f"--passed-on={json.dumps(words[at + 1 :])}"]


def default_map(session: Session, command: Any) -> dict[str, Any]:
    """Return Click's default map: for each command, the defaults of its options from the project's settings.

    Raises:
        DefinitionError: a key in the settings is not an option of any command.
    """
    plain = {key: _default(value) for key, value in session.settings.options().items()}
    return {name: _known(sub, plain) for name, sub in command.commands.items()} if plain else {}


def _known(command: Any, plain: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults for the options of *command*, or of its subcommands. Arguments (`down NAME`) have no defaults."""
    if hasattr(command, "commands"):
        return {name: _known(sub, plain) for name, sub in command.commands.items()}
    options = {param.name: param for param in command.params if param.param_type_name == "option"}
    return {key: [value] if options[key].multiple and isinstance(value, str) else value for key, value in plain.items() if key in options}


def _default(value: Any) -> Any:
    return [f"{key}={item}" for key, item in value.items()] if isinstance(value, dict) else value
