"""`envctl preview up`, `down` and `status`: the usual commands, under a lock that all runs of a pull request share."""

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
    """The cluster with the previews and their locks."""

    session: Session
    engine: KubernetesEngine
    location: Location
    locks: Locks

    @classmethod
    def of(cls, session: Session, context: str | None = None) -> Place:
        """Return the cluster of *context*; without it, that of the settings.

        Raises:
            EngineMissing: the cluster does not exist or does not answer.
            UsageError: the user has not named the context, and it is not on this machine.
        """
        name = cluster_engine()
        location = Location(name, lasting_context(name, session.environ, context or session.option("context")))
        engine = open_engine(location, session.host)
        return cls(session, engine, location, Locks(engine.api, Previews.of(session).locks))

    def id_of(self, request: PullRequest, name: str | None = None) -> str:
        """Return the instance id of the preview."""
        return instance_id(name or request.name, Path(), request.key)


def up(
    session: Session, place: Place, request: PullRequest, options: UpOptions, listeners: Sequence[Listener] = (), *,
    told: Callable[[EnvctlError], str] | None = None,
) -> Record:  # fmt: skip
    """Bring the preview up, or update it: passwords, data and addresses stay.

    Args:
        told: returns the text of an error as everybody may read it; by default, with the secrets of *session* masked.

    Raises:
        Superseded: a newer run has the pull request, or the pull request is closed.
        EnvctlError: as `envctl.lifecycle.up.up`.
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
    """Return a function that returns the text of an error with the secrets of *session* masked."""
    return lambda error: session.mask(str(error))


def _refuse_moved_on(session: Session, request: PullRequest) -> None:
    """Ask GitHub, if there is a token, whether the pull request is open and this commit is its last one.

    Raises:
        Superseded: the pull request is closed, or has a newer commit.
        EnvctlError: GitHub gives no usable answer.
    """
    github = GitHub.of(session.environ, request.repository)
    if github is None:
        return
    state = github.state(request.number)
    if not state.open:
        raise Superseded(f"{request.key} is closed", hint="`envctl preview down` removes what is left of it")
    if request.head and state.head != request.head:
        raise Superseded(f"{request.key}: superseded by {state.head[:12]}, which is its head now", hint="the run of that head brings it up")


def forget_local(session: Session, id: str) -> None:
    """Remove this machine's own state of the preview, which may be outdated because other runners change it; the cluster has the record."""
    with suppress(UnreadableRecord):
        if session.store.load(id) is None:
            return
    keeper = session.keepers.find(id)
    session.store.remove(id)
    session.keepers.dismiss(keeper, id)


def down(session: Session, place: Place, request: PullRequest, name: str | None = None) -> Removed | None:
    """Remove the preview, and mark the pull request as closed, so that older runs cannot bring it up again.

    Return what was removed; None if there was no preview.

    Raises:
        Superseded: a newer run has the pull request.
        EnvctlError: something could not be removed.
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
    """The state of a preview: its lock, and the published record of its instance as JSON; each is None if it does not exist."""

    request: PullRequest
    id: str
    lock: Lock | None
    document: dict[str, Any] | None

    @property
    def word(self) -> str:
        """The state in one word: `absent`, `changing`, `up`, `failed`, `closing` or `closed`."""
        if self.lock is not None and self.lock.held:
            return "closing" if self.lock.closed else "changing"
        if self.document is None:
            return "closed" if self.lock is not None and self.lock.closed else "failed" if self.lock and self.lock.error else "absent"
        return "failed" if self.lock is not None and self.lock.error else "up"


def look(place: Place, request: PullRequest, name: str | None = None) -> State:
    """Return the state of the preview.

    Raises:
        EnvctlError: the cluster refuses a request, or does not answer.
    """
    id = place.id_of(request, name)
    lock = place.locks.read(id)
    there = [found for found in place.engine.list(id) if not found.ending]
    published = place.engine.published(id, "") if there else None
    document = dict(published.document) if published is not None else None
    if document is not None:
        document["expires"] = there[0].expires
    return State(request, id, lock, document)
