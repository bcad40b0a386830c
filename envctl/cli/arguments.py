"""Arguments that many commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from envctl.durations import parse_duration
from envctl.errors import UsageError

Environment = Annotated[
    str, typer.Argument(metavar="ENV", help="A name under environments/, a path, or a Compose file.", show_default=False)
]
Instance = Annotated[
    str, typer.Argument(metavar="NAME", help="The instance: its environment's name unless --name said otherwise.", show_default=False)
]
ServiceName = Annotated[str, typer.Argument(metavar="S", help="A service of the instance.", show_default=False)]


def duration(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from None
