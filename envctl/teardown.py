"""The end of an instance: everything that carries its id, then its record, then its keeper."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from envctl import keeping
from envctl.engines import Engine, open_engine
from envctl.errors import UsageError
from envctl.instance import Record
from envctl.outputs import write_outputs


def tear_down(engine: Engine, record: Record) -> list[str]:
    """Removes everything of the instance; what could not be removed comes back, and then its record stays."""
    record.state = "removing"
    with suppress(OSError):
        record.save()
    keeper = keeping.find(record.id)
    left = _removed(engine, record.id, {} if os.environ.get(keeping.BY_KEEPER) else record.stop)
    if not left:
        with suppress(UsageError):  # a file of `write:` that cannot be emptied must not keep the rest
            write_outputs(replace(record, outputs={}))
        record.remove()
        # Last: until here a killed command is noticed by it.
        keeping.dismiss(keeper, record.id)
    return left


def clear(engine: Engine, id: str, stop: Mapping[str, float]) -> list[str]:
    """Removes what carries *id*, its keeper too; a record stays."""
    keeper = keeping.find(id)
    left = _removed(engine, id, stop)
    keeping.dismiss(keeper, id)
    return left


def _removed(engine: Engine, id: str, stop: Mapping[str, float]) -> list[str]:
    """Processes of this machine first: they use what runs elsewhere."""
    local: Sequence[str] = () if engine.name == "local" else open_engine("local").remove(id, stop)
    return [*local, *engine.remove(id, stop)]
