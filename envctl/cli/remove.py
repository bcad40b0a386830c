"""`down`, `gc`: what ends an instance. Nothing here needs a definition."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from envctl import collection
from envctl.collection import Removed
from envctl.engines import open_engine
from envctl.engines.choice import default_engine
from envctl.errors import EnvctlError, UsageError
from envctl.instance import instance_id, records
from envctl.lookup import project_of_here, records_here, try_record


def down(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The instance.", show_default=False)] = None,
    all: Annotated[bool, typer.Option("--all", help="Every instance of this checkout.")] = False,
) -> int:
    """Remove an instance: containers, networks, volumes, state. Works without the definition, and twice."""
    if (name is None) == (not all):
        raise UsageError("name one instance, or --all")
    removed = [collection.remove(record) for record in records_here()] if all else []
    if name is not None:
        record = try_record(name)
        removed = [collection.remove(record)] if record else _without_record(name)
    return _tell(removed, "nothing is up in this checkout" if all else f"nothing named '{name}' is up")


def _without_record(name: str) -> list[Removed]:
    """Its state is gone: what carries the id that this checkout gives the name, or that is the name, is still found by label."""
    engine = open_engine(default_engine())
    wanted = {name, instance_id(name, project_of_here())}
    return [collection.remove_by_label(engine, seen.name, seen.id) for seen in engine.instances() if seen.id in wanted]


def gc(
    images: Annotated[bool, typer.Option("--images", help="Also every image that envctl built and nothing uses.")] = False,
) -> int:
    """Remove what has expired, and what has lost its owner on this host."""
    wanted = {(record.engine, record.context) for record in records()} | {(default_engine(), None)}
    engines = {}
    for engine, context in wanted:
        try:
            engines[engine, context] = open_engine(engine, context)
        except EnvctlError as error:
            print(f"envctl: {engine}: {error.message}", file=sys.stderr)
    status = _tell(list(collection.collect(engines)), "nothing to collect")
    for opened in engines.values():
        for image in opened.prune_images(all=images):
            print(f"removed image {image}", file=sys.stderr)
    return status


def _tell(removed: list[Removed], nothing: str) -> int:
    if not removed:
        print(nothing, file=sys.stderr)
    for each in removed:
        why = f" ({each.why})" if each.why else ""
        print(f"{each.name} is gone{why}" if not each.left else f"{each.name}: left behind: {', '.join(each.left)}", file=sys.stderr)
    return 1 if any(each.left for each in removed) else 0
