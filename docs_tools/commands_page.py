"""Generate the reference of the commands, their arguments and options from the Typer application, and the exit codes from the errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from docs_tools.markdown import sentence, table
from envctl import errors
from envctl.cli.app import build
from envctl.cli.options import Running, expanded
from envctl.cli.usage import word


def commands() -> str:
    """Return a Markdown section for each command."""
    found: Any = typer.main.get_command(build([]))
    return "\n\n".join("\n\n".join(_section(name, command)) for name, command in _flat(found))


def _flat(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the full name and the object of each command, including the commands of groups."""
    for name, command in group.commands.items():
        yield from _flat(command, f"{before}{name} ") if hasattr(command, "commands") else [(f"{before}{name}", command)]


def _section(name: str, command: Any) -> Iterator[str]:
    yield f"### envctl {name}"
    yield f"```text\n{_usage(name, command)}\n```"
    yield sentence(" ".join(inspect.cleandoc(command.help or "").split()))
    shared = _shared() if name in ("up", "run", "test", "preview up") else set()
    rows = [_row(param) for param in command.params if param.name not in shared and not getattr(param, "hidden", False)]
    if rows:
        yield table(("Argument or option", "Description", "Variable"), rows)
    if shared:
        yield "It also takes the [options of `up`, `run` and `test`](#options-of-up-run-and-test)."


def _usage(name: str, command: Any) -> str:
    words = [word(param) for param in command.params if param.param_type_name == "argument"]
    return " ".join(["envctl", name, *(["[OPTIONS]"] if len(words) < len(command.params) else []), *words])


def _row(param: Any) -> tuple[str, str, str]:
    if param.param_type_name == "argument":
        return (f"`{word(param)}`", sentence(getattr(param, "help", "") or ""), "")
    names = ", ".join(f"`{name}`" for name in [*param.opts, *param.secondary_opts])
    value = f" `{param.metavar}`" if param.metavar and not param.is_flag else ""
    default = f" Default: `{param.default}`." if param.show_default and param.default not in (None, False, [], ()) else ""
    return (names + value, sentence(param.help or "") + default, f"`{param.envvar}`" if param.envvar else "")


def options_table() -> str:
    """Return the table of the options that `up`, `run` and `test` share."""

    @expanded
    def nothing(options: Running) -> None:
        """Nothing."""

    app = typer.Typer(add_completion=False)
    app.command()(nothing)
    command: Any = typer.main.get_command(app)
    return table(("Option", "Description", "Variable"), [_row(param) for param in command.params])


def _shared() -> set[str]:
    return set(Running.__dataclass_fields__)


def tree_of_errors() -> str:
    """Return the tree of errors as the docstring of `envctl.errors` draws it."""
    text = inspect.getdoc(errors) or ""
    drawn = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    return "```text\n" + "\n".join(drawn) + "\n```"
