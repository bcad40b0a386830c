"""The lock for changes to a preview: a Lease for each pull request, which names the newest run and the run that works now.

A write only succeeds if the Lease has not changed since it was read (`resourceVersion`), so that two runs never both hold the lock. A run
ends by itself when it sees a newer one in the Lease. The lock of a run that has died expires.
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
"""The seconds until a lock that is not renewed expires, and those between two checks of a waiting command."""
PREFIX = "envctl.preview/"
VERSION = "coordination.k8s.io/v1"


class Superseded(EnvctlError):
    """A newer run works on the pull request, or the pull request is closed."""


@dataclass(frozen=True)
class Lock:
    """The content of a Lease.

    Attributes:
        id: the id of the preview.
        key: the key of the pull request (`host/owner/repository#17`); empty for a Lease that is not envctl's.
        newest: the identity of the newest run that has asked for the lock; *order*, *url* and *head* belong to this run.
        closed: whether the newest run removes the preview.
        holder: the identity of the run that works now; empty if none does.
        renewed: when the lock was last renewed, in seconds since 1970.
        error: the error with which the newest run ended; empty if it succeeded.
        version: the resource version of the Lease; empty if it does not exist yet.
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
        """Whether a run holds the lock and has renewed it in the last LASTS seconds."""
        return bool(self.holder) and time.time() < self.renewed + LASTS

    def by(self) -> str:
        """Return a description of the newest run for messages, such as `superseded by URL (HEAD)`."""
        what = "closed by" if self.closed else "superseded by"
        head = f" ({self.head[:12]})" if self.head else ""
        return f"{what} {self.url or 'another command'}{head}"


@dataclass(frozen=True)
class Locks:
    """The locks in one namespace of a cluster."""

    api: Api
    namespace: str

    def read(self, id: str) -> Lock | None:
        """Return the lock of a preview; None if it does not exist.

        Raises:
            EnvctlError: the cluster refuses the request, or does not answer.
        """
        found = self._asked(lambda: self.api.get(VERSION, "Lease", self.namespace, id))
        return lock_of(found) if found else None

    def all(self, repository: str) -> list[Lock]:
        """Return the locks of all pull requests of *repository* (host/owner/repository).

        Raises:
            EnvctlError: the cluster refuses the request, or does not answer.
        """
        found = self._asked(lambda: self.api.list(VERSION, "Lease", self.namespace))
        return [lock for lock in map(lock_of, found) if lock.key.rpartition("#")[0] == repository]

    def write(self, lock: Lock) -> Lock | None:
        """Write a lock, and return it with its new version; None if another command has changed it since it was read.

        Raises:
            EnvctlError: the cluster refuses the request, or does not answer.
        """
        item = lease_of(lock, self.namespace)
        method, name = ("PUT", lock.id) if lock.version else ("POST", None)
        try:
            return lock_of(self.api.request(method, path_of(VERSION, "Lease", self.namespace, name), item))
        except ApiError as error:
            if error.status == 409 or (error.status == 404 and lock.version):
                return None
            raise self._refused(error) from None

    def remove(self, lock: Lock) -> None:
        """Remove the lock, unless another command has changed it since it was read.

        Raises:
            EnvctlError: the cluster refuses the request, or does not answer.
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
        hint = "`envctl cluster install` creates it, with the rights; `locks` in [preview] of envctl.toml names another namespace"
        return EnvctlError(f"the locks of previews in the namespace {self.namespace}: {error.message}", hint=hint)


@dataclass
class Claim:
    """The claim of one command to the preview of a pull request.

    Attributes:
        closing: whether the command removes the preview.
        identity: identifies this command in the lock.
    """

    locks: Locks
    id: str
    request: PullRequest
    closing: bool = False
    seen: str | None = None
    """The version of the lock for which the claim is made, empty if there was no lock; None for any version."""
    identity: str = field(default_factory=lambda: uuid.uuid4().hex)
    _asked_before: bool = False
    """Whether this command was once the newest one in the lock, so that another one there is newer."""

    def acquire(self, until: float, pause: Callable[[float], None] = time.sleep) -> Lock:
        """Enter this command in the lock as the newest, wait until the current holder has ended, and return the lock.

        Args:
            until: how long to wait, as a time of `time.monotonic`.

        Raises:
            Superseded: a newer command has the pull request, or has closed it.
            OutOfTime: the current holder has not ended in time.
            EnvctlError: the cluster refuses a request, or does not answer.
        """
        while True:
            lock = self._stand() or Lock(self.id, self.request.key)
            if lock.newest == self.identity and (not lock.held or lock.holder == self.identity):
                held = self.locks.write(replace(lock, holder=self.identity, renewed=time.time()))
                if held is not None:
                    return held
                continue
            if time.monotonic() > until:
                raise OutOfTime(f"{self.request.key}: another command is still working on it")
            pause(POLL)

    def _stand(self) -> Lock | None:
        """Return the lock with this command as the newest; if another command has changed it at the same time, as it was before."""
        lock = self.locks.read(self.id)
        if lock is not None and lock.newest == self.identity:
            return lock
        self._refuse_older(lock)
        if self.seen is not None and not self._asked_before and (lock.version if lock is not None else "") != self.seen:
            raise Superseded(f"{self.request.key}: another command has changed it")
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
        """Renew the lock; return why this command has to end, or an empty text.

        Raises:
            EnvctlError: the cluster refuses a request, or does not answer.
        """
        lock = self.locks.read(self.id)
        if lock is None or lock.newest != self.identity:
            return lock.by() if lock is not None else "its lock was removed"
        self.locks.write(replace(lock, renewed=time.time()))
        return ""

    def release(self, error: str = "") -> None:
        """Give up the lock, so that waiting commands can continue. The error of this command is kept for `status` and `comment`.

        Raises:
            EnvctlError: the cluster refuses a request, or does not answer.
        """
        while (lock := self.locks.read(self.id)) is not None and lock.holder == self.identity:
            ours = lock.newest == self.identity
            if self.locks.write(replace(lock, holder="", error=error if ours else lock.error)) is not None:
                return


def lock_of(item: Any) -> Lock:
    """Return the lock that a Lease contains; its key is empty if the Lease is not envctl's."""
    told = {key.removeprefix(PREFIX): text for key, text in (item["metadata"].get("annotations") or {}).items() if key.startswith(PREFIX)}
    spec = item.get("spec") or {}
    return Lock(
        id=item["metadata"]["name"], key=told.get("key", ""), newest=told.get("newest", ""), order=_order(told.get("order", "")),
        url=told.get("url", ""), head=told.get("head", ""), closed=told.get("closed") == "true", holder=spec.get("holderIdentity") or "",
        renewed=_seconds(spec.get("renewTime")), error=told.get("error", ""), version=item["metadata"].get("resourceVersion", ""),
    )  # fmt: skip


def lease_of(lock: Lock, namespace: str) -> dict[str, Any]:
    """Return the Lease for a lock, as a Kubernetes object."""
    told = {
        "key": lock.key, "newest": lock.newest, "order": "{}.{}".format(*lock.order), "url": lock.url, "head": lock.head,
        "closed": str(lock.closed).lower(), "error": lock.error[:20_000],
    }  # fmt: skip
    meta: dict[str, Any] = {"name": lock.id, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "envctl"}}
    meta["annotations"] = {f"{PREFIX}{key}": text for key, text in told.items()}
    spec: dict[str, Any] = {"leaseDurationSeconds": LASTS}
    if lock.renewed:  # also without a holder, since `gc` needs the age of the lock
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
