"""`down`, `gc`: what ends an instance. Nothing here needs a definition."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from envctl.cli.arguments import Context, Engine, Namespace, look_there_too
from envctl.cli.down import down_named, tell
from envctl.engines import open_engine
from envctl.engines.choice import known_locations
from envctl.errors import EngineMissing, EnvctlError, UsageError
from envctl.inspect.lookup import records_here
from envctl.instance import Record, records
from envctl.lifecycle import gc as collecting
from envctl.lifecycle.gc import Removed


def down(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The instance.", show_default=False)] = None,
    all: Annotated[bool, typer.Option("--all", help="Every instance of this checkout.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="On Kubernetes: do not wait until the namespace is gone.")] = False,
) -> int:
    """Remove an instance: containers, networks, volumes, state. Works without the definition, and twice."""
    if (name is None) == (not all):
        raise UsageError("name one instance, or --all")
    if name is not None:
        return down_named(name, not no_wait)
    return tell(list(filter(None, [_removed(record, not no_wait) for record in records_here()])), "nothing is up in this checkout")


def _removed(record: Record, wait: bool) -> Removed | None:
    """A daemon that does not answer keeps its instance; the others go all the same."""
    try:
        return collecting.remove(record, wait)
    except EngineMissing as error:
        return Removed(record.name, record.id, "", (error.message,))


def gc(
    images: Annotated[bool, typer.Option("--images", help="Also every image that envctl built and nothing uses.")] = False,
    engine: Engine = None,
    context: Context = None,
    namespace: Namespace = None,
) -> int:
    """Remove what has expired, and what has lost its owner on this host."""
    look_there_too(engine, context, namespace)
    wanted = {record.location for record in records()} | set(known_locations())
    engines = {}
    for place in wanted:
        try:
            engines[place] = open_engine(*place)
        except EnvctlError as error:
            print(f"envctl: {place[0]}: {error.message}", file=sys.stderr)
    status = tell(list(collecting.collect(engines)), "nothing to collect")
    for opened in engines.values():
        for image in opened.prune_images(all=images):
            what = "image" if opened.name == "docker" else "data directory"
            print(f"removed {what} {image}", file=sys.stderr)
    return status
