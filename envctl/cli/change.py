"""The commands `restart`, `seed`, `reset` and `extend`, which change an instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from envctl.cli.arguments import Instance, Lane, ServiceName, duration, session_of
from envctl.cli.completion import SERVICES
from envctl.cli.progress import listener
from envctl.cli.times import relative
from envctl.errors import UsageError
from envctl.lifecycle import change
from envctl.lifecycle.adoption import record_named
from envctl.lifecycle.options import DEFAULT_TIMEOUT
from envctl.process.terminal import tell

Timeout = Annotated[
    str | None,
    typer.Option(
        "--timeout", metavar="D", envvar="ENVCTL_TIMEOUT", help="Deadline for the whole command (default: 10m).", show_default=False
    ),
]
OneService = Annotated[
    list[str] | None, typer.Argument(metavar="[S]...", show_default=False, help="Services (default: all).", autocompletion=SERVICES)
]


def restart(
    ctx: typer.Context,
    name: Instance,
    service: ServiceName,
    build: Annotated[bool, typer.Option("--build", help="Rebuild its image first.")] = False,
    timeout: Timeout = None,
) -> None:
    """Restart one service; its ports and its data stay."""
    session = session_of(ctx)
    record = record_named(session, name)
    change.restart(session, record, service, build=build, listeners=[listener(session)], timeout=_seconds(timeout))


def seed(ctx: typer.Context, name: Instance, service: OneService = None, timeout: Timeout = None) -> None:
    """Run the seed steps that have not been run yet."""
    session = session_of(ctx)
    record = record_named(session, name)
    change.seed(session, record, service or (), listeners=[listener(session)], timeout=_seconds(timeout))


def reset(ctx: typer.Context, name: Instance, service: OneService = None, lane: Lane = None, timeout: Timeout = None) -> None:
    """Go back to the seeded state: undo whatever tests have changed."""
    session = session_of(ctx)
    record = record_named(session, name)
    found = change.reset(session, record, service or (), lane=lane, listeners=[listener(session)], timeout=_seconds(timeout))
    for sentence in reset_said(record.name, service or (), f" in lane {lane}" if lane else "", found):
        tell(sentence)


def reset_said(name: str, wanted: Sequence[str], where: str, found: change.Reset) -> Iterator[str]:
    """Yield sentences on what a reset restored, and on what it could not restore, with the command that recreates it."""
    if found.done or not found.left:
        done = wanted or (found.done if found.left else [name])
        yield f"{' and '.join(done)}{where}: back in the seeded state"
    if found.left:
        was, they_have, them = ("was", "it has", "it") if len(found.left) == 1 else ("were", "they have", "them")
        why = f"{was} not reset: {they_have} no `seed:`, so envctl cannot restore what others have written there"
        yield f"{' and '.join(found.left)} {why}; `envctl reset {name} {' '.join(found.left)}` gives {them} the data of a first start"


def extend(
    ctx: typer.Context,
    name: Instance,
    time: Annotated[str, typer.Argument(metavar="D", show_default=False, help="How long from now: 30m, 2h, 1d.")],
) -> None:
    """Set a new lifetime, counted from now."""
    seconds = duration("lifetime", time)
    if not seconds:
        raise UsageError(f"{time} is not a lifetime", hint=f"write it like 2h; `envctl down {name}` removes it now")
    session = session_of(ctx)
    record = change.extend(session, record_named(session, name), seconds)
    tell(f"{record.name} expires {relative(record.expires)}")


def _seconds(timeout: str | None) -> float:
    return duration("--timeout", timeout) or DEFAULT_TIMEOUT
