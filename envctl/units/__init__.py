"""Units: what one lane, or one lease, has of a server that all of them share - a database, a virtual host, a bucket.

One module a protocol, each with `open_driver(properties)`, imported when it is used. A driver knows nothing of plans and
engines: it is given the server's properties as a test process sees them, and names.

    seeded base  --keep-->  template  --clone-->  unit of a lane  --reset-->  the same again

A server without namespaces of its own is one unit as a whole: its driver can reset it, and the names are empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple, Protocol, runtime_checkable

from envctl.errors import EnvctlError
from envctl.instance.units import Names, Unit

__all__ = [
    "Driver",
    "DriverMissing",
    "Emptied",
    "Names",
    "Prepares",
    "Size",
    "Sized",
    "TemplateGone",
    "Unit",
    "UnitError",
    "connected",
    "opened",
]


class UnitError(EnvctlError):
    """A server refused what was asked for; the message has its words."""


class TemplateGone(UnitError):
    """What was kept to reset from is not there any more, or was never made: the server has to be seeded again."""


class DriverMissing(UnitError):
    """The library that a driver needs is not installed."""


class Emptied:
    """A driver of a server that is one unit as a whole: a base of the other verbs, which nobody calls."""

    def keep(self, base: str, template: str) -> None:
        raise NotImplementedError

    def clone(self, template: str, unit: str) -> None:
        raise NotImplementedError

    def drop(self, unit: str) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """It holds no connection."""


class Driver(Protocol):
    """An open connection to one server. Not for two threads at once. Every verb raises UnitError with the server's words."""

    def keep(self, base: str, template: str) -> None:
        """*template* holds what *base* holds now; what it held before is gone. Nobody else uses a template."""

    def clone(self, template: str, unit: str) -> None:
        """*unit* holds what *template* does; what it held before is gone.

        Raises:
            TemplateGone: there is none.
        """

    def reset(self, template: str, unit: str) -> None:
        """The same for a unit that somebody uses: clients go on, or connect again.

        Raises:
            TemplateGone: there is none; *unit* is as it was.
        """

    def drop(self, unit: str) -> None:
        """It is gone, also where somebody uses it. Nothing happens where there is none."""

    def close(self) -> None:
        """Ends the connection."""


@runtime_checkable
class Prepares(Protocol):
    """A driver that can do most of a reset before anybody asks for it."""

    def prepare(self, template: str, unit: str) -> None:
        """The next reset of *unit* is quick. Whoever uses it notices nothing.

        Raises:
            TemplateGone: there is no template.
        """


class Size(NamedTuple):
    """Bytes that a unit takes at its server."""

    disk: int = 0
    memory: int = 0


@runtime_checkable
class Sized(Protocol):
    """A driver whose server can tell how large a unit is."""

    def size(self, unit: str) -> Size:
        """Of *unit*, about; nothing where there is none."""


@contextmanager
def opened(driver: str, properties: Mapping[str, Any]) -> Iterator[Driver]:
    """The driver of that name, as `connected` gives it, closed at the end."""
    found = connected(driver, properties)
    try:
        yield found
    finally:
        found.close()


def connected(driver: str, properties: Mapping[str, Any]) -> Driver:
    """The driver of that name, connected.

    Args:
        properties: of the server, as a test process sees it: host, port, username, password and the kind's own.

    Raises:
        UnitError: the server does not answer, or not to these credentials.
        DriverMissing: a library is not installed.
    """
    try:
        found: Driver = import_module(f"envctl.units.{driver}").open_driver(properties)
    except ModuleNotFoundError as error:
        raise DriverMissing(
            f"{driver}: the Python package '{error.name}' is not here", hint="`pip install 'envctl-testing[lanes]'`"
        ) from None
    return found
