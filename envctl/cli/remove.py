"""The commands `down` and `gc`, which remove instances. They need no definition."""

from __future__ import annotations

from typing import Annotated

import typer

from envctl.cli.arguments import Context, Namespace, looking_at, session_of
from envctl.cli.completion import INSTANCES
from envctl.cli.down import down_named, tell_removed
from envctl.cli.others import tell_others
from envctl.engines.protocol import Prunes
from envctl.errors import EnvctlError, UsageError
from envctl.inspect.list import engines
from envctl.inspect.lookup import project_here, unreadable_here
from envctl.lifecycle.down import remove_all
from envctl.lifecycle.gc import collect
from envctl.lifecycle.snapshot_commands import sweep
from envctl.process.terminal import tell


def down(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The instance.", show_default=False, autocompletion=INSTANCES)] = None,
    all: Annotated[bool, typer.Option("--all", help="Remove all instances of this checkout.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="On Kubernetes: do not wait until the namespace is gone.")] = False,
) -> int:
    """Remove an instance: containers, networks, volumes, state. It needs no definition, and may be called twice."""
    if (name is None) == (not all):
        raise UsageError("give the name of an instance, or --all")
    session = session_of(ctx)
    if name is not None:
        return down_named(session, name, not no_wait)
    removed = remove_all(session, not no_wait)
    seen_all = tell_others(session)
    return tell_removed(removed, "nothing is up in this checkout" if seen_all else "") or (0 if seen_all else 1)


def gc(
    ctx: typer.Context,
    images: Annotated[bool, typer.Option("--images", help="Also remove all images that envctl built and nothing uses.")] = False,
    here: Annotated[bool, typer.Option("--here", help="Only remove instances of this checkout.")] = False,
    engine: Annotated[str | None, typer.Option("--engine", metavar="E", show_default=False, help="Only look on this engine.")] = None,
    context: Context = None,
    namespace: Namespace = None,
) -> int:
    """Remove instances that have expired, and those of this host whose owner has ended."""
    session = looking_at(ctx, engine, context, namespace)
    unseen: list[str] = []
    found = engines(session, unseen.append, only=engine)
    for error in session.store.unreadable():
        tell(f"envctl: {error.message}; it is left alone")
    removed = list(collect(session, found, unseen.append, project_here(session) if here else None))
    status = tell_removed(removed, "" if unseen else "nothing to remove")
    for opened in found.values():
        try:
            for thing in opened.prune(images) if isinstance(opened, Prunes) else ():
                tell(f"removed {thing}")
        except EnvctlError as error:
            unseen.append(error.message)
    for ref in () if here else sweep(session):
        tell(f"removed snapshot {ref}, which was incomplete")
    for why in dict.fromkeys(unseen):
        tell(f"envctl: {session.mask(why)}")
    return 1 if unseen or unreadable_here(session) else status
