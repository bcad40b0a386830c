"""`envctl preview gc`: the removal of previews whose pull requests are no longer open."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping

from envctl.errors import EnvctlError, UsageError
from envctl.instance.labels import INSTANCE, KEY
from envctl.lifecycle.down import Removed, remove_by_label
from envctl.lifecycle.options import DEFAULT_TIMEOUT
from envctl.preview.github import GitHub
from envctl.preview.lease_renewal import working
from envctl.preview.lock import Claim, Lock, Superseded
from envctl.preview.preview import Place, forget_local, masked
from envctl.preview.pull_request import pull_request
from envctl.process.terminal import tell
from envctl.session import Session

REMEMBERED = 30 * 86400.0
"""The seconds for which GitHub can repeat an old run. The lock of a closed pull request is kept as long, to refuse such a run."""
AT_ONCE = 5
"""The number of previews that `gc` removes without consent, so that a wrong list of open pull requests cannot remove everything."""


def open_numbers(session: Session, repository: str, told: str | None) -> set[int]:
    """Return the numbers of the open pull requests, from *told* (`17,18`) or from GitHub.

    Raises:
        UsageError: *told* is not a list of numbers, or it is None and there is no token for GitHub.
        EnvctlError: no pull request is open, which counts as a mistake, or GitHub gives no usable answer.
    """
    if told is None:
        github = GitHub.of(session.environ, repository)
        if github is None:
            raise UsageError("envctl cannot tell which pull requests are open", hint="use --open 17,18, or set GITHUB_TOKEN")
        found = set(github.open_numbers())
    else:
        words = [word.strip() for word in told.split(",") if word.strip()]
        if not all(word.isdecimal() for word in words):
            raise UsageError(f"--open {told}: expected numbers", hint="write it like --open 17,18")
        found = set(map(int, words))
    if not found:
        raise EnvctlError("no open pull request is known, so nothing is removed", hint="`envctl preview down` removes one")
    return found


def collectable(place: Place, repository: str, open: Collection[int], locks: Mapping[str, Lock]) -> dict[str, str]:
    """Return id to key for the previews of *repository* whose pull requests are not *open* and on which no command works.

    Args:
        locks: preview id to its lock.

    Raises:
        EnvctlError: the cluster refuses the request, or does not answer.
    """
    there = {item["metadata"]["name"]: item["metadata"] for item in place.engine.api.list("v1", "Namespace", None, INSTANCE)}
    keys = {id: locks[id].key if id in locks else (meta.get("annotations") or {}).get(KEY, "") for id, meta in there.items()}
    held = {id for id, lock in locks.items() if lock.held}
    return {id: key for id, key in keys.items() if id not in held and _is_closed(key, repository, open)}


def _is_closed(key: str, repository: str, open: Collection[int]) -> bool:
    whose, _, number = key.rpartition("#")
    return whose == repository and number.isdecimal() and int(number) not in open


def collect(session: Session, place: Place, repository: str, told: str | None = None, yes: bool = False) -> Iterator[Removed]:
    """Remove the previews of closed pull requests, and their locks when no old run can be repeated any more; yield what was removed.

    If a preview cannot be removed, the others still are.

    Args:
        told: the open pull requests, as in `open_numbers`.
        yes: whether the user has agreed to the removal of more than AT_ONCE previews.

    Raises:
        UsageError: more than AT_ONCE previews would be removed, and *yes* is false; or as `open_numbers`.
        EnvctlError: the cluster refuses a request, or as `open_numbers`.
    """
    # Locks are read before the list of open pull requests: one that changes afterwards may belong to a pull request opened since.
    locks = {lock.id: lock for lock in place.locks.all(repository)}
    numbers = open_numbers(session, repository, told)
    due = collectable(place, repository, numbers, locks)
    if len(due) > AT_ONCE and not yes:
        raise UsageError(f"{len(due)} previews would be removed: {', '.join(sorted(due))}", hint="--yes removes them")
    for id, key in due.items():
        seen = locks[id].version if id in locks else ""
        try:
            removed = _removed(session, place, id, key, seen, asking=told is None)
        except Superseded as error:  # another command works on this preview
            tell(f"envctl: {error.message}: it stays")
        except EnvctlError as error:
            yield Removed(id, id, f"{key} is not open", (error.message,))
        else:
            yield from [removed] if removed is not None else []
    for id in set(locks) - set(due):
        if locks[id].closed and _is_closed(locks[id].key, repository, numbers) and 0 < locks[id].renewed < time.time() - REMEMBERED:
            place.locks.remove(locks[id])


def _removed(session: Session, place: Place, id: str, key: str, seen: str, asking: bool) -> Removed | None:
    """Remove one preview.

    Args:
        seen: the version of its lock that was read; empty if it had none.
        asking: whether to ask GitHub again if the pull request is open.

    Raises:
        Superseded: the lock has changed since then, or the pull request is open.
        EnvctlError: the preview cannot be removed.
    """
    # A list with several pages lacks a pull request if another one is closed between the requests for two pages.
    request = pull_request(session.environ, key)
    github = GitHub.of(session.environ, request.repository) if asking else None
    if github is not None and github.state(request.number).open:
        raise Superseded(f"{key} is open")
    with working(Claim(place.locks, id, request, closing=True, seen=seen), time.monotonic() + DEFAULT_TIMEOUT, masked(session)):
        forget_local(session, id)
        return remove_by_label(session, place.engine, request.name, id, f"{key} is not open")
