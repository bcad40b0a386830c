"""`down`, `gc`: what ends an instance. Nothing here needs a definition."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from envctl import collection
from envctl.cli.ending import down_named, tell
from envctl.collection import Removed
from envctl.engines import open_engine
from envctl.engines.choice import default_engine, lasting_context
from envctl.errors import EngineMissing, EnvctlError, UsageError
from envctl.instance import Record, records
from envctl.lookup import records_here


def down(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The instance.", show_default=False)] = None,
    all: Annotated[bool, typer.Option("--all", help="Every instance of this checkout.")] = False,
) -> int:
    """Remove an instance: containers, networks, volumes, state. Works without the definition, and twice."""
    if (name is None) == (not all):
        raise UsageError("name one instance, or --all")
    if name is not None:
        return down_named(name)
    return tell(list(filter(None, map(_removed, records_here()))), "nothing is up in this checkout")


def _removed(record: Record) -> Removed | None:
    """A daemon that does not answer keeps its instance; the others go all the same."""
    try:
        return collection.remove(record)
    except EngineMissing as error:
        return Removed(record.name, record.id, "", (error.message,))


def gc(
    images: Annotated[bool, typer.Option("--images", help="Also every image that envctl built and nothing uses.")] = False,
) -> int:
    """Remove what has expired, and what has lost its owner on this host."""
    default = default_engine()
    wanted = {(record.engine, record.context) for record in records()} | {(default, lasting_context(default)), ("local", None)}
    engines = {}
    for engine, context in wanted:
        try:
            engines[engine, context] = open_engine(engine, context)
        except EnvctlError as error:
            print(f"envctl: {engine}: {error.message}", file=sys.stderr)
    status = tell(list(collection.collect(engines)), "nothing to collect")
    for opened in engines.values():
        for image in opened.prune_images(all=images):
            what = "image" if opened.name == "docker" else "data directory"
            print(f"removed {what} {image}", file=sys.stderr)
    return status
