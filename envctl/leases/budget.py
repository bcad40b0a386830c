"""How much room the units of leases may take together: `[leases]` of envctl.toml."""

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
"""What a unit of a server counts that cannot tell."""


@dataclass(frozen=True)
class Table:
    """The table's keys."""

    disk: str = field(default="2G", metadata={"example": 'disk = "2G"'})
    memory: str = field(default="512M", metadata={"example": 'memory = "512M"'})


class Sizeable(Protocol):
    """What takes room: a pool.

    Attributes:
        units: as many as it has.
        size: of one.
    """

    size: Size

    @property
    def units(self) -> Collection[str]: ...


@dataclass
class Budget:
    """
    Attributes:
        most: bytes of all units together.
        lock: of every pool, so that one that waits for room learns of what another has thrown away.
    """

    most: Size
    lock: threading.Condition = field(default_factory=threading.Condition)
    pools: list[Sizeable] = field(default_factory=list)

    def wake(self) -> None:
        """What the pools lack is made, and what nobody has any more is thrown away."""
        with self.lock:
            self.lock.notify_all()

    def lacking(self, size: Size) -> str:
        """`disk` or `memory`, whichever is not enough for one more unit of *size*; empty where both are."""
        for name, most, one in zip(Size._fields, self.most, size, strict=True):
            taken = sum(len(pool.units) * int(getattr(pool.size, name)) for pool in self.pools)
            if one and taken + one > most:
                return name
        return ""


def budget_of(project: Path) -> Budget:
    """As the settings of the project in that folder say.

    Raises:
        DefinitionError: one of its keys there is no size.
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
    """Of a copy of *template*.

    Raises:
        UnitError: the server does not tell.
    """
    return driver.size(template) if isinstance(driver, Sized) else UNKNOWN
