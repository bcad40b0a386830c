"""gc of previews: what belongs to pull requests that are not open any more."""

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
"""Seconds for which GitHub lets an older run be run again: for so long the lock of a closed pull request refuses it."""
AT_ONCE = 5
"""More than these `gc` removes only when it is told to: a list that is wrong must not cost everything."""


def open_numbers(session: Session, repository: str, told: str | None) -> set[int]:
    """The open pull requests: as *told* (`17,18`), or as GitHub says.

    Raises:
        UsageError: nobody says it, or it is no list of numbers.
        EnvctlError: there is none, which is taken for a mistake.
    """
    if told is None:
        github = GitHub.of(session.environ, repository)
        if github is None:
            raise UsageError("it is not known which pull requests are open", hint="--open 17,18, or GITHUB_TOKEN to ask")
        found = set(github.open_numbers())
    else:
        words = [word.strip() for word in told.split(",") if word.strip()]
        if not all(word.isdecimal() for word in words):
            raise UsageError(f"--open {told}: not numbers", hint="like --open 17,18")
        found = set(map(int, words))
    if not found:
        raise EnvctlError("no pull request is open, as far as is known; nothing is removed", hint="`envctl preview down` removes one")
    return found


def collectable(place: Place, repository: str, open: Collection[int], locks: Mapping[str, Lock]) -> dict[str, str]:
    """Ids of the previews of *repository* whose pull requests are not *open*, with their keys; none that a command works on.

    Raises:
        EnvctlError: nobody could look.
    """
    there = {item["metadata"]["name"]: item["metadata"] for item in place.engine.api.list("v1", "Namespace", None, INSTANCE)}
    keys = {id: locks[id].key if id in locks else (meta.get("annotations") or {}).get(KEY, "") for id, meta in there.items()}
    held = {id for id, lock in locks.items() if lock.held}
    return {id: key for id, key in keys.items() if id not in held and _is_closed(key, repository, open)}


def _is_closed(key: str, repository: str, open: Collection[int]) -> bool:
    whose, _, number = key.rpartition("#")
    return whose == repository and number.isdecimal() and int(number) not in open


def collect(session: Session, place: Place, repository: str, told: str | None = None, yes: bool = False) -> Iterator[Removed]:
    """Removes what belongs to pull requests that are not open, as *told* or as GitHub says; what cannot be removed keeps no other.

    Locks go with it that refuse nobody any more.

    Raises:
        UsageError: more than `AT_ONCE`, and nobody has agreed to that; or as `open_numbers`.
    """
    # Before anybody is asked who is open: what changes from now on belongs to one that may have been opened after the answer.
    locks = {lock.id: lock for lock in place.locks.all(repository)}
    numbers = open_numbers(session, repository, told)
    due = collectable(place, repository, numbers, locks)
    if len(due) > AT_ONCE and not yes:
        raise UsageError(f"{len(due)} previews would be removed: {', '.join(sorted(due))}", hint="--yes removes them")
    for id, key in due.items():
        seen = locks[id].version if id in locks else ""
        try:
            removed = _removed(session, place, id, key, seen, asking=told is None)
        except Superseded as error:  # somebody works on it: it is his
            tell(f"envctl: {error.message}: it stays")
        except EnvctlError as error:
            yield Removed(id, id, f"{key} is not open", (error.message,))
        else:
            yield from [removed] if removed is not None else []
    for id in set(locks) - set(due):
        if locks[id].closed and _is_closed(locks[id].key, repository, numbers) and 0 < locks[id].renewed < time.time() - REMEMBERED:
            place.locks.remove(locks[id])


def _removed(session: Session, place: Place, id: str, key: str, seen: str, asking: bool) -> Removed | None:
    """
    Raises:
        Superseded: it has changed since *seen*, or GitHub says that it is open.
    """
    # A list of several pages has a gap where one of the first is closed before the second is asked for.
    request = pull_request(session.environ, key)
    github = GitHub.of(session.environ, request.repository) if asking else None
    if github is not None and github.state(request.number).open:
        raise Superseded(f"{key} is open")
    with working(Claim(place.locks, id, request, closing=True, seen=seen), time.monotonic() + DEFAULT_TIMEOUT, masked(session)):
        forget_local(session, id)
        return remove_by_label(session, place.engine, request.name, id, f"{key} is not open")
