"""Explain failed tests: whether the environment failed, what its services logged during the tests, and where to read more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from envctl.engines import RunningInstance
from envctl.engines.logs import text
from envctl.engines.mixed import running_instance
from envctl.inspect.lookup import called
from envctl.inspect.status import document
from envctl.instance.record import Record
from envctl.process.threads import each
from envctl.session import Session

ERROR = re.compile(
    r"\b(ERROR|FATAL|CRITICAL|PANIC|SEVERE|EMERG)\b|^Traceback|^panic:|^(\w+ )?\w*[Ee]rror: |\bUnhandled\b"
    r"|\blevel=(error|fatal)\b|\"level\": ?\"(error|fatal)\""
)
"""The pattern of log lines by which servers and frameworks report errors."""
MARK_LINES = 3
"""The number of last log lines that mark the place where the tests began."""


@dataclass
class Aftermath:
    """The state of the logs before the tests, compared with the logs after them. Create it before the tests start."""

    session: Session
    record: Record
    _marks: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def mark(service: str) -> None:
            with suppress(Exception):  # a log that cannot be read now counts as empty: more lines are reported then, not fewer
                self._marks[service] = text(self._there.logs(service, MARK_LINES))

        each(mark, list(self.record.services))

    @property
    def _there(self) -> RunningInstance:
        return running_instance(self.session.host, self.record.location, self.record.id, self.record.choices.local)

    def lines(self, what: str, status: int) -> Iterator[str]:
        """Yield lines for people after *what* has ended with the exit code *status*."""
        ended: Mapping[str, str] = {}
        with suppress(Exception):  # an engine that fails now must not hide the result of the tests
            ended = {
                name: service["state"]
                for name, service in document(self.record, self._there.states())["services"].items()
                if service["state"] in ("failed", "stopped")
            }
        gone = f"but {_and(ended)} {'was' if len(ended) == 1 else 'were'} no longer running" if ended else ""
        yield f"envctl: {what} ended with {status}; {gone or 'the environment was fine'}"
        counts = {name: self._errors(name) for name in self.record.services}
        if erring := [f"{name} ({count} line{'' if count == 1 else 's'})" for name, count in counts.items() if count]:
            yield f"  errors logged during that time: {', '.join(erring)}"
        yield f"  `envctl logs {called(self.session, self.record)}` shows what its services logged"
        keep = "--keep leaves the instance up, " if self.record.owner else ""
        yield f"  {keep}--report DIR writes logs and states to a folder"

    def _errors(self, service: str) -> int:
        """Return the number of error lines in the service's log since the tests began."""
        log = ""
        with suppress(Exception):
            log = text(self._there.logs(service))
        mark = self._marks.get(service, "")
        since = log.rpartition(mark)[2] if mark and mark in log else log
        return sum(1 for line in since.splitlines() if ERROR.search(line))


def _and(names: Mapping[str, str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
