"""Who may change a preview: a Lease for each pull request, in which the newest run stands and the one that works now.

Only its last writer's version is replaced (`resourceVersion`), so two runs never both believe that they have it. A run that a newer one
has asked to end does so by itself; one that has died is taken over when its lease is over.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from envctl.engines.kubernetes.api import Api, ApiError
from envctl.errors import EnvctlError, OutOfTime
from envctl.keeper.cluster.protocol import path_of
from envctl.preview.pull_request import PullRequest

LASTS, POLL = 45, 1.0
"""Seconds: of a lease that nobody renews, and between two looks."""
PREFIX = "envctl.preview/"
VERSION = "coordination.k8s.io/v1"


class Superseded(EnvctlError):
    """A newer run has the pull request, or it is closed."""


@dataclass(frozen=True)
class Lock:
    """What a Lease says.

    Attributes:
        newest: the identity of the newest run that has asked for it; *order*, *url* and *head* are that run's.
        holder: the identity of the one that works now; empty where none does.
        renewed: when one that works was heard of last, in seconds since 1970.
        error: what the newest run ended with.
    """

    id: str
    key: str
    newest: str = ""
    order: tuple[int, int] = (0, 0)
    url: str = ""
    head: str = ""
    closed: bool = False
    holder: str = ""
    renewed: float = 0.0
    error: str = ""
    version: str = ""

    @property
    def held(self) -> bool:
        """Whether somebody works under it who has been heard of."""
        return bool(self.holder) and time.time() < self.renewed + LASTS

    def by(self) -> str:
        """Its newest run, in words."""
        what = "closed by" if self.closed else "superseded by"
        head = f" ({self.head[:12]})" if self.head else ""
        return f"{what} {self.url or 'another command'}{head}"


@dataclass(frozen=True)
class Locks:
    """Those in a namespace of a cluster."""

    api: Api
    namespace: str

    def read(self, id: str) -> Lock | None:
        """Raises EnvctlError: nobody could look."""
        found = self._asked(lambda: self.api.get(VERSION, "Lease", self.namespace, id))
        return lock_of(found) if found else None

    def all(self, repository: str) -> list[Lock]:
        """Those of pull requests of *repository*."""
        found = self._asked(lambda: self.api.list(VERSION, "Lease", self.namespace))
        return [lock for lock in map(lock_of, found) if lock.key.rpartition("#")[0] == repository]

    def write(self, lock: Lock) -> Lock | None:
        """Replaces what was read; None where another one was quicker."""
        item = lease_of(lock, self.namespace)
        method, name = ("PUT", lock.id) if lock.version else ("POST", None)
        try:
            return lock_of(self.api.request(method, path_of(VERSION, "Lease", self.namespace, name), item))
        except ApiError as error:
            if error.status == 409 or (error.status == 404 and lock.version):
                return None
            raise self._refused(error) from None

    def remove(self, lock: Lock) -> None:
        """Unless somebody has written it since.

        Raises:
            EnvctlError: it may not be removed.
        """
        try:
            self.api.delete(VERSION, "Lease", self.namespace, lock.id, seen=lock.version)
        except ApiError as error:
            if error.status != 409:
                raise self._refused(error) from None

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except ApiError as error:
            raise self._refused(error) from None

    def _refused(self, error: ApiError) -> EnvctlError:
        hint = "`envctl cluster install` makes it, with the rights; `locks` in [preview] of envctl.toml names another namespace"
        return EnvctlError(f"the locks of previews in the namespace {self.namespace}: {error.message}", hint=hint)


@dataclass
class Claim:
    """One command's claim to a pull request's preview."""

    locks: Locks
    id: str
    request: PullRequest
    closing: bool = False
    seen: str | None = None
    """The version of the lock for which it was made, empty for none: of another one it is not any more."""
    identity: str = field(default_factory=lambda: uuid.uuid4().hex)
    _asked_before: bool = False
    """We stood there: whoever stands there now has come after us."""

    def acquire(self, until: float, pause: Callable[[float], None] = time.sleep) -> Lock:
        """Waits until whoever works has ended; those that are older than we are asked to.

        Args:
            until: by `time.monotonic`.

        Raises:
            Superseded: somebody newer has it, or it was closed after we began.
            OutOfTime
        """
        while True:
            lock = self._stand() or Lock(self.id, self.request.key)
            if lock.newest == self.identity and (not lock.held or lock.holder == self.identity):
                held = self.locks.write(replace(lock, holder=self.identity, renewed=time.time()))
                if held is not None:
                    return held
                continue
            if time.monotonic() > until:
                raise OutOfTime(f"{self.request.key}: another command still works on it")
            pause(POLL)

    def _stand(self) -> Lock | None:
        """The lock with us as its newest; what it was where another one was quicker."""
        lock = self.locks.read(self.id)
        if lock is not None and lock.newest == self.identity:
            return lock
        self._refuse_older(lock)
        if self.seen is not None and not self._asked_before and (lock.version if lock is not None else "") != self.seen:
            raise Superseded(f"{self.request.key}: another command has changed it meanwhile")
        if lock is not None and lock.newest and self._asked_before:
            raise Superseded(f"{self.request.key}: {lock.by()}")
        before = lock or Lock(self.id, self.request.key)
        asked = self.locks.write(
            replace(
                before, key=self.request.key, newest=self.identity, order=self.request.run or before.order, url=self.request.url,
                head=self.request.head, closed=self.closing, error="",
            )
        )  # fmt: skip
        self._asked_before = self._asked_before or asked is not None
        return asked or lock

    def _refuse_older(self, lock: Lock | None) -> None:
        mine = self.request.run
        if lock is None or mine is None or not lock.newest:
            return
        if mine < lock.order or (lock.closed and not self.closing and mine <= lock.order):
            raise Superseded(f"{self.request.key}: {lock.by()}", hint="a newer run has changed it; this one changes nothing")

    def renew(self) -> str:
        """Says that we live; in words why we are to end, or nothing."""
        lock = self.locks.read(self.id)
        if lock is None or lock.newest != self.identity:
            return lock.by() if lock is not None else "its lock was removed"
        self.locks.write(replace(lock, renewed=time.time()))
        return ""

    def release(self, error: str = "") -> None:
        """Whoever waits may go on; what the command has ended with is kept for `status` and `comment`."""
        while (lock := self.locks.read(self.id)) is not None and lock.holder == self.identity:
            ours = lock.newest == self.identity
            if self.locks.write(replace(lock, holder="", error=error if ours else lock.error)) is not None:
                return


def lock_of(item: Any) -> Lock:
    """Of a Lease; one that is not ours has no key."""
    told = {key.removeprefix(PREFIX): text for key, text in (item["metadata"].get("annotations") or {}).items() if key.startswith(PREFIX)}
    spec = item.get("spec") or {}
    return Lock(
        id=item["metadata"]["name"], key=told.get("key", ""), newest=told.get("newest", ""), order=_order(told.get("order", "")),
        url=told.get("url", ""), head=told.get("head", ""), closed=told.get("closed") == "true", holder=spec.get("holderIdentity") or "",
        renewed=_seconds(spec.get("renewTime")), error=told.get("error", ""), version=item["metadata"].get("resourceVersion", ""),
    )  # fmt: skip


def lease_of(lock: Lock, namespace: str) -> dict[str, Any]:
    told = {
        "key": lock.key, "newest": lock.newest, "order": "{}.{}".format(*lock.order), "url": lock.url, "head": lock.head,
        "closed": str(lock.closed).lower(), "error": lock.error[:20_000],
    }  # fmt: skip
    meta: dict[str, Any] = {"name": lock.id, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "envctl"}}
    meta["annotations"] = {f"{PREFIX}{key}": text for key, text in told.items()}
    spec: dict[str, Any] = {"leaseDurationSeconds": LASTS}
    if lock.renewed:  # also of one that nobody holds any more: it tells how old it is
        spec["renewTime"] = datetime.fromtimestamp(lock.renewed, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if lock.holder:
        spec["holderIdentity"] = lock.holder
    meta |= {"resourceVersion": lock.version} if lock.version else {}
    return {"apiVersion": VERSION, "kind": "Lease", "metadata": meta, "spec": spec}


def _order(text: str) -> tuple[int, int]:
    first, _, second = text.partition(".")
    return (int(first), int(second)) if first.isdecimal() and second.isdecimal() else (0, 0)


def _seconds(text: str | None) -> float:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0
    except ValueError:
        return 0.0
