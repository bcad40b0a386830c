"""How the arguments of a command are written in its help and on its page: `ENV`, `[S]...`, `-- CMD...`."""

from __future__ import annotations

from typing import Any


def word(argument: Any) -> str:
    """An argument as a usage line has it: in brackets where it may be left out."""
    text = str(argument.metavar or argument.name.upper())
    return text if argument.required or text.startswith(("[", "--")) else f"[{text}]"


def plain(command: Any) -> Any:
    """The Typer *command*, whose help writes arguments so.

    Versions of Typer differ in what they make of a metavar, and newer ones add types and braces: `{ENV} [[S]...]... <list[str]>`.
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
