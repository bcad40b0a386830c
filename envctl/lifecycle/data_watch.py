"""`test --watch-data`: report what tests leave behind in the data. The keeper checks the data when the test tool or plugin requests it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from envctl.errors import EnvctlError
from envctl.instance.record import Record
from envctl.keeper_client.client import KeeperClient
from envctl.process.terminal import tell
from envctl.session import Session

WATCH = "ENVCTL_WATCH_DATA"
"""The variable that tells a test process to request a checkpoint after each test."""
PATH = "/v1/checkpoints"
PATIENCE = 120.0
"""The seconds to wait for a check of all data."""
Shown = Callable[[Sequence[Mapping[str, Any]], int], None]


class Leavings(NamedTuple):
    """The watch on one run of tests.

    Attributes:
        show: called at the end with the checkpoints of the run and its exit code.
        stdout: the descriptor that receives the stdout of the tests; None: they inherit stdout.
    """

    show: Shown
    stdout: int | None = None

    def begin(self, session: Session, record: Record) -> None:
        """Set the current data as the baseline.

        Raises:
            EnvctlError: a server's data cannot be read.
        """
        _asked(session, record, "DELETE")

    def end(self, session: Session, record: Record, status: int) -> None:
        """Show the checkpoints of a run that has ended with *status*; an error is printed and changes nothing about the result."""
        try:
            found = _asked(session, record, "GET")
        except EnvctlError as error:
            tell(f"envctl: cannot tell what tests left behind: {error.message}")
            found = []
        self.show(found, status)


def _asked(session: Session, record: Record, method: str) -> Any:
    keeper = KeeperClient.at(session.store.folder(record.id))
    if keeper is None:
        raise EnvctlError(f"{record.name} no longer has a keeper")
    status, answer = keeper.ask(method, PATH, timeout=PATIENCE)
    if status >= 400:
        raise EnvctlError(f"the data of {record.name} cannot be watched: {answer.get('error', status)}", hint=answer.get("hint"))
    return answer
