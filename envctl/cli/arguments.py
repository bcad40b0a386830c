"""Arguments that several commands share."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from envctl.cli.completion import ENGINES, ENVIRONMENTS, INSTANCES, SERVICES
from envctl.definition.amounts import parse_duration
from envctl.engines.registry import cluster_engine
from envctl.errors import UsageError
from envctl.session import Session

Environment = Annotated[
    str,
    typer.Argument(
        metavar="ENV", help="A name under environments/, a path, or a Compose file.", show_default=False, autocompletion=ENVIRONMENTS
    ),
]
Instance = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The instance: the environment's name, unless --name gave another.",
        show_default=False,
        autocompletion=INSTANCES,
    ),
]
ServiceName = Annotated[str, typer.Argument(metavar="S", help="A service of the instance.", show_default=False, autocompletion=SERVICES)]


Lane = Annotated[int | None, typer.Option("--lane", metavar="N", help="Only this lane; lanes are numbered from 1.", show_default=False)]


def duration(option: str, text: str | None) -> float | None:
    """Return the duration *text* of *option* in seconds; None if *text* is None.

    Raises:
        UsageError: *text* is not a duration.
    """
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from None


Engine = Annotated[
    str | None,
    typer.Option("--engine", metavar="E", show_default=False, help="Also look on this engine: kubernetes.", autocompletion=ENGINES),
]
Context = Annotated[str | None, typer.Option("--context", metavar="C", show_default=False, help="A context of the kubeconfig.")]
Namespace = Annotated[str | None, typer.Option("--namespace", metavar="NS", show_default=False, help="A namespace that instances share.")]


def looking_at(ctx: typer.Context, engine: str | None, context: str | None, namespace: str | None) -> Session:
    """Return the command's session, which also searches the cluster that the options name."""
    named = engine or (cluster_engine() if context or namespace else None)
    told = {"engine": named, "context": context, "namespace": namespace}
    return replace(session_of(ctx), told={key: value for key, value in told.items() if value})


def session_of(ctx: typer.Context) -> Session:
    """Return the session of the command."""
    session: Session = ctx.obj
    return session
