"""The budget for the disk space and memory of all leased units together: `[leases]` of envctl.toml."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from envctl.definition.amounts import parse_size
from envctl.errors import DefinitionError, Problem
from envctl.session.settings import nearest
from envctl.units import Driver, Size, Sized

UNKNOWN = Size(disk=16 << 20, memory=8 << 20)
"""The assumed size, in bytes, of a unit whose server does not report its size."""


@dataclass(frozen=True)
class Table:
    """The keys of the table `[leases]`."""

    disk: str = field(default="2G", metadata={"example": 'disk = "2G"'})
    memory: str = field(default="512M", metadata={"example": 'memory = "512M"'})


class Sizeable(Protocol):
    """Something whose size counts: a pool.

    Attributes:
        units: its units.
        size: the size of one unit, in bytes.
    """

    size: Size

    @property
    def units(self) -> Collection[str]: ...


@dataclass
class Budget:
    """The limits for all pools of an instance.

    Attributes:
        most: the largest total size of all units, in bytes.
        lock: shared by all pools, so that a pool that waits for space is notified when another pool removes a unit.
        pools: the pools whose units count.
    """

    most: Size
    lock: threading.Condition = field(default_factory=threading.Condition)
    pools: list[Sizeable] = field(default_factory=list)

    def wake(self) -> None:
        """Let the pools create missing units, and remove used ones."""
        with self.lock:
            self.lock.notify_all()

    def lacking(self, size: Size) -> str:
        """Return `disk` or `memory`, whichever does not suffice for one more unit of *size*; empty if both suffice."""
        for name, most, one in zip(Size._fields, self.most, size, strict=True):
            taken = sum(len(pool.units) * int(getattr(pool.size, name)) for pool in self.pools)
            if one and taken + one > most:
                return name
        return ""


def budget_of(project: Path) -> Budget:
    """Return the budget from the settings of the project in a folder.

    Raises:
        DefinitionError: a value in `[leases]` is not a size.
    """
    settings = nearest(project)
    sizes = {"disk": Table.disk, "memory": Table.memory, **settings.table("leases", Table)}
    for name, text in sizes.items():
        try:
            sizes[name] = parse_size(text)
        except ValueError as error:
            raise DefinitionError([Problem(settings.file, 1, f"leases.{name}", str(error), f'{name} = "1G"')]) from None
    return Budget(Size(**sizes))


def size_of(driver: Driver, template: str) -> Size:
    """Return the size of a copy of *template*, in bytes; UNKNOWN if the driver does not support this.

    Raises:
        UnitError: the server does not report the size.
    """
    return driver.size(template) if isinstance(driver, Sized) else UNKNOWN
