"""Write the arguments of a command in its help and on its page in one style: `ENV`, `[S]...`, `-- CMD...`."""

from __future__ import annotations

from typing import Any


def word(argument: Any) -> str:
    """Return *argument* as a usage line shows it: in brackets if it is optional."""
    text = str(argument.metavar or argument.name.upper())
    return text if argument.required or text.startswith(("[", "--")) else f"[{text}]"


def plain(command: Any) -> Any:
    """Return the Typer *command*, changed so that its help writes arguments with `word`.

    Versions of Typer differ in how they show a metavar, and newer versions add types and braces: `{ENV} [[S]...]... <list[str]>`.
    """
    for inner in getattr(command, "commands", {}).values():
        plain(inner)
    for param in command.params:
        if param.param_type_name == "argument":
            _write(param, word(param))
    return command


def _write(argument: Any, text: str) -> None:
    argument.get_usage_pieces = lambda ctx: [text]
    argument.get_help_record = lambda ctx: (text, argument.help or "")
