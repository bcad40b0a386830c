"""Drivers for units: the parts of a shared server that belong to one lane or one lease, such as a database, a virtual host or a bucket.

Each protocol has one module with `open_driver(properties)`, which raises UnitError; the module is imported when it is used. A driver knows
nothing of plans and engines: it receives the server's properties, as a test process sees them, and names.

    seeded base  --keep-->  template  --clone-->  unit of a lane  --reset-->  same content as the template

A server without namespaces is one unit as a whole: its driver can only reset the server, and all names are empty.
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
    """A request that a server refused; the message contains the server's own words."""


class TemplateGone(UnitError):
    """A missing template: it was deleted or never created, and the server has to be seeded again."""


class DriverMissing(UnitError):
    """A library that a driver needs is not installed."""


class Emptied:
    """The base class of drivers whose server is one unit as a whole.

    It defines the methods that do not apply to such a server and are never called.
    """

    def keep(self, base: str, template: str) -> None:
        raise NotImplementedError

    def clone(self, template: str, unit: str) -> None:
        raise NotImplementedError

    def drop(self, unit: str) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Do nothing, because the driver holds no connection."""


class Driver(Protocol):
    """An open connection to one server, for use by one thread at a time.

    Every method raises UnitError with the server's message.
    """

    def keep(self, base: str, template: str) -> None:
        """Make *template* a copy of *base*, and discard its previous content. Tests never use a template."""

    def clone(self, template: str, unit: str) -> None:
        """Make *unit* a copy of *template*, and discard its previous content.

        Raises:
            TemplateGone: The template does not exist.
        """

    def reset(self, template: str, unit: str) -> None:
        """Reset *unit*, which may be in use, to the content of *template*. Clients keep their connections or reconnect.

        Raises:
            TemplateGone: The template does not exist; *unit* is unchanged.
        """

    def drop(self, unit: str) -> None:
        """Delete *unit*, even if it is in use. Do nothing if it does not exist."""

    def close(self) -> None:
        """Close the connection."""


@runtime_checkable
class Prepares(Protocol):
    """A driver that can do most of the work of a reset in advance."""

    def prepare(self, template: str, unit: str) -> None:
        """Prepare the next reset of *unit*, so that it is fast. Clients of the unit do not notice.

        Raises:
            TemplateGone: The template does not exist.
        """


class Size(NamedTuple):
    """The size in bytes of a unit at its server."""

    disk: int = 0
    memory: int = 0


@runtime_checkable
class Sized(Protocol):
    """A driver whose server can report the size of a unit."""

    def size(self, unit: str) -> Size:
        """Return the approximate size of *unit* in bytes; zero if it does not exist."""


@contextmanager
def opened(driver: str, properties: Mapping[str, Any]) -> Iterator[Driver]:
    """Open the driver *driver* as `connected` does, and close it at the end."""
    found = connected(driver, properties)
    try:
        yield found
    finally:
        found.close()


def connected(driver: str, properties: Mapping[str, Any]) -> Driver:
    """Return the driver *driver*, connected to its server.

    Args:
        properties: The server's properties as a test process sees them: host, port, username, password and those of its kind.

    Raises:
        UnitError: The server does not answer, or refuses the credentials.
        DriverMissing: A library is not installed.
    """
    try:
        found: Driver = import_module(f"envctl.units.{driver}").open_driver(properties)
    except ModuleNotFoundError as error:
        raise DriverMissing(
            f"{driver}: the Python package '{error.name}' is not installed", hint="`pip install 'envctl-testing[lanes]'`"
        ) from None
    return found
