"""The Python API: the functions of the command line, for programs.

    from envctl import up

    with up("shop", engine="local") as shop:
        requests.get(shop.outputs["ORDERS_URL"])

Every function takes a `session`: the environment variables and the working folder to use. Without a session, those of the current process
are used. Calls from different threads do not disturb each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from envctl.definition.amounts import parse_duration
from envctl.errors import EnvctlError, UsageError
from envctl.inspect.status import document
from envctl.instance.record import Record
from envctl.lifecycle.adoption import record_named
from envctl.lifecycle.down import Removed, remove_named
from envctl.lifecycle.events import Event, Listener, Phase
from envctl.lifecycle.options import DEFAULT_TIMEOUT, UpOptions
from envctl.outputs.worker_lane import access_variables, worker_variables
from envctl.session import Session

__all__ = ["Event", "Instance", "Listener", "Phase", "Removed", "Session", "down", "env", "reset", "up"]


class Instance:
    """An environment that is up.

    As a context manager, the instance is removed at the end, unless it was up before.

    Attributes:
        record: everything that envctl knows about the instance; only the part in `document` is stable between versions.
    """

    def __init__(self, session: Session, record: Record, made: bool = False) -> None:
        self._session, self.record, self._made = session, record, made

    @property
    def name(self) -> str:
        """The name of the instance."""
        return self.record.name

    @property
    def id(self) -> str:
        """The id of the instance: its name and six hexadecimal digits."""
        return self.record.id

    @property
    def outputs(self) -> Mapping[str, str]:
        """The outputs that a test process receives, name to text."""
        return self.record.outputs

    @property
    def services(self) -> Mapping[str, Any]:
        """Service to `{"kind", "state", "ready_ms", "endpoints": {port: {"host", "port"}}}`, as in `up --json`."""
        services: Mapping[str, Any] = self.document["services"]
        return services

    @property
    def document(self) -> dict[str, Any]:
        """Everything that `up --json` prints, as a dictionary."""
        return document(self.record)

    def env(self, lane: int | None = None) -> dict[str, str]:
        """Return the outputs and the `ENVCTL_*` variables, name to text, as `envctl env` prints them; *lane* counts from 1.

        Raises:
            UsageError: there is no such lane, or the instance was removed.
        """
        return env(self.record.id, lane=lane, session=self._session)

    @property
    def lanes(self) -> Sequence[Mapping[str, str]]:
        """The outputs of each lane, name to text, the first lane first; empty without lanes."""
        return [lane.outputs for lane in self.record.lanes]

    def reset(self, *services: str, lane: int | None = None) -> None:
        """Restore the seeded data of all services, or only of *services*, everywhere or in one lane (from 1).

        Raises:
            UsageError: there is no such service or lane, or the instance was removed.
            ServiceFailed, OutOfTime: seeding failed.
        """
        reset(self.record.id, services, lane=lane, session=self._session)

    def down(self) -> None:
        """Remove the instance; do nothing if it was already removed.

        Raises:
            EnvctlError: something is left behind.
        """
        down(self.record.id, session=self._session)

    def __enter__(self) -> Instance:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._made:
            return
        try:
            self.down()
        except EnvctlError:
            if error is None:  # else the caller must see the first error
                raise


def up(
    environment: str | os.PathLike[str],
    *,
    name: str | None = None,
    key: str | None = None,
    engine: str | None = None,
    context: str | None = None,
    namespace: str | None = None,
    registry: str | None = None,
    set: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    stub: Sequence[str] = (),
    use: Mapping[str, str] | None = None,
    image: Mapping[str, str] | None = None,
    ports: Mapping[str, int] | None = None,
    local: Sequence[str] = (),
    ttl: float | str | None = None,
    timeout: float | str = DEFAULT_TIMEOUT,
    fresh: bool = False,
    keep: bool = False,
    report: str | None = None,
    lanes: int = 0,
    image_names: bool = False,
    untrusted: bool = False,
    no_snapshots: bool = False,
    session: Session | None = None,
    listeners: Sequence[Listener] = (),
) -> Instance:
    """Bring an environment up: running, ready and seeded. If it is up already, apply the changes of its definition.

    Args:
        environment: a name under environments/, a path, or a Compose file.
        name: the instance's name (default: the environment's).
        key: a text that identifies the instance's owner instead of folder, user and machine.
        engine: `docker`, `kubernetes` or `local`; by default `docker` if a daemon answers, otherwise `local`.
        set: variable of the definition to its value.
        only, stub, local: names of services.
        use, image, ports: service to its URL, image, or local port number.
        ttl, timeout: seconds, or a text as on the command line: `2h`; by default the definition's `ttl`, and a timeout of 10 minutes.
        lanes: the number of lanes; 0 means none.
        report: a folder to which logs and status are written if the environment does not come up.
        session: the environment variables and the working folder to use (default: this process's).
        listeners: called for each event, from several threads.

    All other arguments are options of `envctl up`.

    Returns:
        The instance; as a context manager, it is removed at the end, unless it was up before.

    Raises:
        DefinitionError, UsageError, EngineMissing: the definition, an option or the engine is wrong or missing; nothing was started.
        ServiceFailed, OutOfTime: a service failed, or time ran out; the instance was removed, unless `keep` is given or it was up before.
    """
    from envctl.lifecycle.up import up as bring_up

    session = session or Session.here()
    options = UpOptions(
        environment=os.fspath(environment), name=name, key=key, engine=engine, context=context, namespace=namespace, registry=registry,
        set=set or {}, only=only, stub=stub, use=use or {}, image=image or {}, ports=ports or {}, local=local,
        ttl=_seconds("ttl", ttl), timeout=_seconds("timeout", timeout) or DEFAULT_TIMEOUT, fresh=fresh, keep=keep, report=report,
        lanes=lanes, image_names=image_names, untrusted=untrusted, no_snapshots=no_snapshots,
    )  # fmt: skip
    result = bring_up(session, options, listeners)
    return Instance(session, result.record, made=not result.existed)


def down(name: str, *, session: Session | None = None) -> list[Removed]:
    """Remove the instance with the name or id *name*.

    Returns:
        The removed instances, usually one; an empty list if there was none.

    Raises:
        EnvctlError: something is left behind, or an engine could not be queried.
    """
    removed = remove_named(session or Session.here(), name)
    left = [thing for each in removed for thing in each.left]
    if left:
        raise EnvctlError(f"{name}: left behind: {', '.join(left)}", hint="`envctl gc` tries again")
    return removed


def env(name: str, *, lane: int | None = None, session: Session | None = None) -> dict[str, str]:
    """Return what a test process receives from the instance with the name or id *name*: its outputs and `ENVCTL_*`, name to text.

    Args:
        lane: the number of a lane, from 1 (default: the lane of the test worker in which this process runs, else lane 1).

    Raises:
        UsageError: there is no such instance or lane.
    """
    session = session or Session.here()
    record = record_named(session, name)
    return {**worker_variables(record, session.environ, lane), **access_variables(session.store.folder(record.id))}


def reset(
    name: str,
    services: Iterable[str] = (),
    *,
    lane: int | None = None,
    timeout: float | str = DEFAULT_TIMEOUT,
    session: Session | None = None,
    listeners: Sequence[Listener] = (),
) -> None:
    """Restore the seeded data; the services that use the data keep running.

    Args:
        name: the instance's name or id.
        services: the services whose data is restored (default: all).
        lane: the number of a lane, from 1 (default: everywhere).
        timeout: seconds, or a text as on the command line: `2h`.

    Raises:
        UsageError: there is no such instance, service or lane.
        ServiceFailed, OutOfTime: seeding failed.
    """
    from envctl.lifecycle import change

    session = session or Session.here()
    seconds = _seconds("timeout", timeout) or DEFAULT_TIMEOUT
    change.reset(session, record_named(session, name), services, lane=lane, listeners=listeners, timeout=seconds)


def _seconds(option: str, value: float | str | None) -> float | None:
    try:
        found = parse_duration(value) if isinstance(value, str) else value
    except ValueError as error:
        raise UsageError(f"{option}={value!r}: {error}") from None
    if found is not None and found <= 0:
        raise UsageError(f"{option}={value!r}: not a duration", hint="seconds, or a text like '2h'")
    return found
