"""The end of an instance: everything that carries its id, then its record."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from envctl.engines import Engine
from envctl.errors import UsageError
from envctl.instance import Record
from envctl.outputs import write_outputs


def tear_down(engine: Engine, record: Record) -> list[str]:
    """Removes everything of the instance; what could not be removed comes back, and then its record stays."""
    record.state = "removing"
    with suppress(OSError):
        record.save()
    left = list(engine.remove(record.id, record.stop))
    if not left:
        with suppress(UsageError):  # a file of `write:` that cannot be emptied must not keep the rest
            write_outputs(replace(record, outputs={}))
        record.remove()
    return left
