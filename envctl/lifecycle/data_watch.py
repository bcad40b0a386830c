"""`test --watch-data`: what the tests of a run leave behind. The keeper checks the data when the test tool, or its plugin, asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from envctl.errors import EnvctlError
from envctl.instance.record import Record
from envctl.keeper_client.client import KeeperClient
from envctl.process.terminal import tell
from envctl.session import Session

WATCH = "ENVCTL_WATCH_DATA"
"""The variable by which a test process learns that a checkpoint is wanted after each test."""
PATH = "/v1/checkpoints"
PATIENCE = 120.0
"""Seconds for a look at all data."""
Shown = Callable[[Sequence[Mapping[str, Any]], int], None]


class Leavings(NamedTuple):
    """
    Attributes:
        show: given the checkpoints of a run and its exit status, once it has ended.
        stdout: the descriptor that gets what the tests write there; theirs without it.
    """

    show: Shown
    stdout: int | None = None

    def begin(self, session: Session, record: Record) -> None:
        """What is there now is nobody's.

        Raises:
            EnvctlError: a server cannot be looked into.
        """
        _asked(session, record, "DELETE")

    def end(self, session: Session, record: Record, status: int) -> None:
        """However this goes, the tests have ended with *status*."""
        try:
            found = _asked(session, record, "GET")
        except EnvctlError as error:
            tell(f"envctl: what tests left behind is not known: {error.message}")
            found = []
        self.show(found, status)


def _asked(session: Session, record: Record, method: str) -> Any:
    keeper = KeeperClient.at(session.store.folder(record.id))
    if keeper is None:
        raise EnvctlError(f"{record.name} has no keeper any more")
    status, answer = keeper.ask(method, PATH, timeout=PATIENCE)
    if status >= 400:
        raise EnvctlError(f"the data of {record.name} cannot be watched: {answer.get('error', status)}", hint=answer.get("hint"))
    return answer
