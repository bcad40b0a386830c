"""The Python API: what the command line does, for programs.

    from envctl import up

    with up("shop", engine="local") as shop:
        requests.get(shop.outputs["ORDERS_URL"])

Everything takes a `session`: the variables and the folder that count. Without one it is this process's own, as it is now.
Calls of different threads do not disturb each other.
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

    As a context manager it is removed at the end, unless it was up before.

    Attributes:
        record: what is known of it.
    """

    def __init__(self, session: Session, record: Record, made: bool = False) -> None:
        self._session, self.record, self._made = session, record, made

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def outputs(self) -> Mapping[str, str]:
        """What a test process receives."""
        return self.record.outputs

    @property
    def services(self) -> Mapping[str, Any]:
        """Service to `{"kind", "state", "ready_ms", "endpoints": {port: {"host", "port"}}}`, as `up --json` has it."""
        services: Mapping[str, Any] = self.document["services"]
        return services

    @property
    def document(self) -> dict[str, Any]:
        """All of what `up --json` prints."""
        return document(self.record)

    def env(self, lane: int | None = None) -> dict[str, str]:
        """The outputs and `ENVCTL_*`, as `envctl env` prints them."""
        return env(self.record.id, lane=lane, session=self._session)

    @property
    def lanes(self) -> Sequence[Mapping[str, str]]:
        """What a test process receives in each lane, from the first."""
        return [lane.outputs for lane in self.record.lanes]

    def reset(self, *services: str, lane: int | None = None) -> None:
        """Back to the seeded state: all data or that of some services, everywhere or in one lane."""
        reset(self.record.id, services, lane=lane, session=self._session)

    def down(self) -> None:
        """Removes it.

        Raises:
            EnvctlError: something is left.
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
            if error is None:  # else that is what the caller must see
                raise


def up(
    environment: str | os.PathLike[str],
    *,
    name: str | None = None,
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
    """Brings an environment up: running, ready and seeded. What is up already is changed where that is needed.

    Args:
        environment: a name under environments/, a path, or a Compose file.
        ttl, timeout: seconds, or as on the command line: `2h`.
        listeners: told of what happens, from several threads.

    The others are the options of `envctl up`.

    Raises:
        DefinitionError, UsageError, EngineMissing: nothing was started.
        ServiceFailed, OutOfTime: it was torn down again, unless it is to be kept (`keep`) or was up before.
    """
    from envctl.lifecycle.up import up as bring_up

    session = session or Session.here()
    options = UpOptions(
        environment=os.fspath(environment), name=name, engine=engine, context=context, namespace=namespace, registry=registry,
        set=set or {}, only=only, stub=stub, use=use or {}, image=image or {}, ports=ports or {}, local=local,
        ttl=_seconds("ttl", ttl), timeout=_seconds("timeout", timeout) or DEFAULT_TIMEOUT, fresh=fresh, keep=keep, report=report,
        lanes=lanes, image_names=image_names, untrusted=untrusted, no_snapshots=no_snapshots,
    )  # fmt: skip
    result = bring_up(session, options, listeners)
    return Instance(session, result.record, made=not result.existed)


def down(name: str, *, session: Session | None = None) -> list[Removed]:
    """Removes the instance of that name or id; an empty list where there is none.

    Raises:
        EnvctlError: something is left, or nobody could look.
    """
    removed = remove_named(session or Session.here(), name)
    left = [thing for each in removed for thing in each.left]
    if left:
        raise EnvctlError(f"{name}: left behind: {', '.join(left)}", hint="`envctl gc` tries again")
    return removed


def env(name: str, *, lane: int | None = None, session: Session | None = None) -> dict[str, str]:
    """What a test process receives from the instance of that name or id: its outputs and `ENVCTL_*`.

    Args:
        lane: from 1; without it, the one of the test worker that this process is, else the first.

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
    """Data back to the seeded state: of all services or of some, everywhere or in one lane; who uses it goes on running.

    Raises:
        UsageError: there is no such instance, service or lane.
        ServiceFailed, OutOfTime: it could not be seeded again.
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
