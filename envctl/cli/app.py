"""The commands together: one module a group, each with functions that Typer turns into commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from envctl import __version__
from envctl.cli import bring, change, define, look, settings

CLICK_ERROR: Any = typer.BadParameter.__mro__[2]
"""Click's base of usage errors: of Click itself, or of the copy that newer versions of Typer bring along."""
GROUPS = (define, bring, look, change)

app = typer.Typer(
    name="envctl",
    help="Environments for integration tests: declared once, brought up anywhere, gone without a trace.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        print(f"envctl {__version__}")
        raise typer.Exit


for group in GROUPS:
    for command in group.COMMANDS:
        options: dict[str, Any] = getattr(command, "options", {})
        app.command(command.__name__.removesuffix("_"), **options)(command)


def invoke(words: Sequence[str], usage_status: int) -> int:
    """The exit status of the command line *words*; usage errors are printed and give *usage_status*."""
    try:
        command = typer.main.get_command(app)
        result = command.main(list(words), prog_name="envctl", standalone_mode=False, default_map=settings.default_map(command))
    except typer.Exit as end:
        return int(end.exit_code)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except CLICK_ERROR as error:
        error.show()
        return usage_status
    return result if isinstance(result, int) else 0
