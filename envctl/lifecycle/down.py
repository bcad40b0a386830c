"""The end of an instance: everything that carries its id, then its record, then its keeper."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from envctl import instance
from envctl.engines import Engine, open_engine
from envctl.errors import UsageError
from envctl.instance import Record
from envctl.keeper_client import keepers
from envctl.outputs import write_outputs

LAST_CREATE = 1.0
"""Seconds after which that is there, too, what a killed command had asked an engine for."""


def tear_down(engine: Engine, record: Record, wait: bool = True) -> list[str]:
    """Removes everything of the instance; what could not be removed comes back, and then its record stays."""
    killed = was_killed(record)
    record.state, record.process = "removing", instance.process_mark()  # by which the next command sees that we were killed
    _save(record)
    keeper = keepers.find(record.id)
    left = _removed(engine, record.id, {} if os.environ.get(keepers.BY_KEEPER) else record.stop, killed, wait)
    if not left:
        with suppress(UsageError):  # a file of `write:` that cannot be emptied must not keep the rest
            write_outputs(replace(record, outputs={}))
        record.remove()
        # Last: until here a killed command is noticed by it.
        keepers.dismiss(keeper, record.id)
    else:
        record.process = ""
        _save(record)
    return left


def _save(record: Record) -> None:
    """A full disk must not keep anybody from removing what fills it."""
    with suppress(OSError, UsageError):
        record.save()


def clear(engine: Engine, id: str, stop: Mapping[str, float], killed: bool = False) -> list[str]:
    """Removes what carries *id*, its keeper too; a record stays."""
    keeper = keepers.find(id)
    left = _removed(engine, id, stop, killed)
    keepers.dismiss(keeper, id)
    return left


def was_killed(record: Record) -> bool:
    """Whether a command ended while it worked on the instance."""
    return instance.process_alive(record.process) is False


def _removed(engine: Engine, id: str, stop: Mapping[str, float], killed: bool, wait: bool = True) -> list[str]:
    """Processes of this machine first: they use what runs elsewhere."""
    if engine.name == "local":
        return list(engine.remove(id, stop))
    left = [*open_engine("local").remove(id, stop), *engine.remove(id, stop, wait)]
    if killed and not left:
        time.sleep(LAST_CREATE)
        left = list(engine.remove(id, stop))
    return left
