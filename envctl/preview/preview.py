"""up, down, status of previews: what `envctl` does anyway, under a lock that every run of a pull request asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from envctl.engines.choice import lasting_context
from envctl.engines.kubernetes.engine import KubernetesEngine, open_engine
from envctl.engines.registry import cluster_engine
from envctl.errors import EnvctlError
from envctl.instance.identity import instance_id
from envctl.instance.record import Location, Record
from envctl.instance.store import UnreadableRecord
from envctl.lifecycle.down import Removed, remove_by_label
from envctl.lifecycle.events import Listener
from envctl.lifecycle.expiry import Previews
from envctl.lifecycle.options import DEFAULT_TIMEOUT, UpOptions
from envctl.lifecycle.up import up as bring_up
from envctl.preview.github import GitHub
from envctl.preview.lease_renewal import working
from envctl.preview.lock import Claim, Lock, Locks, Superseded
from envctl.preview.pull_request import PullRequest
from envctl.session import Session


@dataclass(frozen=True)
class Place:
    """The cluster of the previews, and their locks."""

    session: Session
    engine: KubernetesEngine
    location: Location
    locks: Locks

    @classmethod
    def of(cls, session: Session, context: str | None = None) -> Place:
        """
        Raises:
            EngineMissing, UsageError: there is no cluster, or none to act on unasked.
        """
        name = cluster_engine()
        location = Location(name, lasting_context(name, session.environ, context or session.option("context")))
        engine = open_engine(location, session.host)
        return cls(session, engine, location, Locks(engine.api, Previews.of(session).locks))

    def id_of(self, request: PullRequest, name: str | None = None) -> str:
        return instance_id(name or request.name, Path(), request.key)


def up(
    session: Session, place: Place, request: PullRequest, options: UpOptions, listeners: Sequence[Listener] = (), *,
    told: Callable[[EnvctlError], str] | None = None,
) -> Record:  # fmt: skip
    """Brings the preview up, or changes the one that is there: same passwords, data and addresses.

    Args:
        told: a failure as everybody may read it.

    Raises:
        Superseded: a newer run has the pull request, or it is closed.
        EnvctlError: as `up` does.
    """
    id = place.id_of(request, options.name)
    _refuse_moved_on(session, request)
    with working(Claim(place.locks, id, request), time.monotonic() + options.timeout, told or masked(session)):
        forget_local(session, id)
        wanted = replace(
            options, name=options.name or request.name, key=request.key, engine=place.location.engine, context=place.location.context,
            reseed=True,
        )  # fmt: skip
        record = bring_up(session, wanted, listeners).record
        _refuse_moved_on(session, request)
    return record


def masked(session: Session) -> Callable[[EnvctlError], str]:
    return lambda error: session.mask(str(error))


def _refuse_moved_on(session: Session, request: PullRequest) -> None:
    """Asked of GitHub, where there is a token: that the pull request is open, and that this is its head."""
    github = GitHub.of(session.environ, request.repository)
    if github is None:
        return
    state = github.state(request.number)
    if not state.open:
        raise Superseded(f"{request.key} is closed", hint="`envctl preview down` removes what is left of it")
    if request.head and state.head != request.head:
        raise Superseded(f"{request.key}: superseded by {state.head[:12]}, its head now", hint="the run of that head brings it up")


def forget_local(session: Session, id: str) -> None:
    """What this machine knows may be old: other runners work on it, too. The record in the cluster counts."""
    with suppress(UnreadableRecord):
        if session.store.load(id) is None:
            return
    keeper = session.keepers.find(id)
    session.store.remove(id)
    session.keepers.dismiss(keeper, id)


def down(session: Session, place: Place, request: PullRequest, name: str | None = None) -> Removed | None:
    """Removes the preview, and marks the pull request closed: an older run's `up` comes too late from now on.

    None where nothing was there.

    Raises:
        Superseded: a newer run has opened it again.
    """
    id = place.id_of(request, name)
    with working(Claim(place.locks, id, request, closing=True), time.monotonic() + DEFAULT_TIMEOUT, masked(session)):
        there = place.engine.list(id)
        forget_local(session, id)
        removed = remove_by_label(session, place.engine, name or request.name, id)
        if removed is not None and removed.left:
            raise EnvctlError(f"{request.name} ({id}): left behind: {', '.join(removed.left)}", hint="`envctl preview down` tries again")
        return removed if there else None


@dataclass(frozen=True)
class State:
    """What is known of a preview: its lock, and the record beside its instance."""

    request: PullRequest
    id: str
    lock: Lock | None
    document: dict[str, Any] | None

    @property
    def word(self) -> str:
        if self.lock is not None and self.lock.held:
            return "closing" if self.lock.closed else "changing"
        if self.document is None:
            return "closed" if self.lock is not None and self.lock.closed else "failed" if self.lock and self.lock.error else "absent"
        return "failed" if self.lock is not None and self.lock.error else "up"


def look(place: Place, request: PullRequest, name: str | None = None) -> State:
    """Raises EnvctlError: nobody could look."""
    id = place.id_of(request, name)
    lock = place.locks.read(id)
    there = [found for found in place.engine.list(id) if not found.ending]
    published = place.engine.published(id, "") if there else None
    document = dict(published.document) if published is not None else None
    if document is not None:
        document["expires"] = there[0].expires
    return State(request, id, lock, document)
