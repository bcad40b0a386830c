"""`down NAME` without the parser of the command line, which takes longer to import than a database takes to go."""

from __future__ import annotations

import sys

from envctl.cli.settings import export
from envctl.engines import open_engine
from envctl.engines.choice import known_locations
from envctl.inspect.lookup import project_of_here, try_record
from envctl.instance import instance_id
from envctl.lifecycle import gc
from envctl.lifecycle.gc import Removed


def down_named(name: str, wait: bool = True) -> int:
    """Removes the instance and says so; an instance without a record is found by its label."""
    record = try_record(name)
    removed = [gc.remove(record, wait)] if record else _without_record(name)
    return tell(list(filter(None, removed)), f"nothing named '{name}' is up")


def _without_record(name: str) -> list[Removed | None]:
    """What carries the id that this checkout gives the name, or that is the name."""
    export()
    engines = [open_engine(*place) for place in known_locations()]
    wanted = {name, instance_id(name, project_of_here())}
    return [gc.remove_by_label(engine, seen.name, seen.id) for engine in engines for seen in engine.list() if seen.id in wanted]


def tell(removed: list[Removed], nothing: str) -> int:
    """Prints what is gone and what is not; the exit status."""
    if not removed:
        print(nothing, file=sys.stderr)
    for each in removed:
        why = f" ({each.why})" if each.why else ""
        print(f"{each.name} is gone{why}" if not each.left else f"{each.name}: left behind: {', '.join(each.left)}", file=sys.stderr)
    return 1 if any(each.left for each in removed) else 0
