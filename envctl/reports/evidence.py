"""The state of the environment during a run: the `status.json` and the logs that `--report` wrote beside the results."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from envctl.errors import DefinitionError, Problem
from envctl.files.folders import FileRefused
from envctl.files.reading import open_file, read_file
from envctl.reports.junit import Case

BROKEN = ("failed", "stopped", "pending", "starting", "unknown")
OURS = re.compile(r"the environment is broken: |^envctl: ", re.MULTILINE)
"""Matches envctl's own messages in a failure."""
LINES = 15
"""The maximum number of lines from the log of one service."""
STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?")
WIDEST = 2000
"""The maximum length of a line in characters."""
LARGEST_STATUS, LARGEST_LOG, LARGEST_LOGS = 4_000_000, 8_000_000, 64_000_000
"""The maximum sizes in bytes: of a status, of the end of a log that is read, and of all logs together."""
SLACK = timedelta(seconds=1)


class Log(NamedTuple):
    """The log of one service.

    Attributes:
        timed: lines with their times, sorted by time; a line without a time, as in a trace, has the time of the line before it.
        last: the last lines.
    """

    timed: Sequence[tuple[datetime, str]]
    last: Sequence[str]

    @classmethod
    def of(cls, lines: Sequence[str]) -> Log:
        """Return the log with the lines *lines*."""
        timed, at = [], None
        for line in lines:
            if stamp := STAMP.search(line[:80]):
                at = _at(stamp.group())
            if at is not None:
                timed.append((at, line))
        return cls(sorted(timed, key=itemgetter(0)), lines[-LINES:])

    def during(self, case: Case) -> Sequence[str]:
        """Return the last of the lines that were written while *case* ran."""
        if case.ended is None:
            return []
        begin, end = case.ended - timedelta(seconds=min(case.seconds, 1e8)) - SLACK, case.ended + SLACK
        after = bisect_right(self.timed, end, key=itemgetter(0))
        return [line for at, line in self.timed[max(after - LINES, 0) : after] if at >= begin]


@dataclass(frozen=True)
class Surroundings:
    """The state of the environment in one folder of a run; empty if the folder has no `status.json`.

    Attributes:
        broken: the services that did not run when the status was written, with their states.
    """

    folder: Path
    status: dict[str, Any] = field(default_factory=dict)
    _room: list[int] = field(default_factory=lambda: [LARGEST_LOGS], repr=False, compare=False)
    _logs: dict[str, Log] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def broken(self) -> dict[str, str]:
        services = self.status.get("services") or {}
        return {name: str(each["state"]) for name, each in services.items() if each.get("state") in BROKEN}

    @cached_property
    def error(self) -> str:
        """The reason why the environment is at fault; empty if it is not."""
        parts = [str(self.status.get("error") or ""), ", ".join(f"{name} {state}" for name, state in self.broken.items())]
        return "; ".join(filter(None, parts))

    def at_fault(self, case: Case) -> bool:
        """Return whether a failed test is the environment's fault: a service did not run, or the test tool reports it."""
        return bool(self.error or OURS.search("\n".join((case.message, case.text, case.evidence))))

    def of(self, case: Case) -> list[str]:
        """Return the state of the environment when *case* failed: as the test tool noted it, or else states and logs of that time."""
        if case.evidence:
            return case.evidence.splitlines()
        states = [f"{name}: {each.get('state')}" for name, each in (self.status.get("services") or {}).items()]
        return states + [line for name in self.status.get("services") or {} for line in self._log(name, case)]

    def _log(self, service: str, case: Case) -> Iterator[str]:
        """Yield the log lines from the time of the test; for a broken service without such lines, the last lines."""
        log = self._read(service)
        timed = log.during(case)
        shown = timed or (log.last if service in self.broken else [])
        if shown:
            yield f"{service}, {'at that time' if timed else 'last lines'}:"
            yield from (f"  {line}" for line in shown)

    def _read(self, service: str) -> Log:
        """Return the log of *service*, which is read only once for all tests."""
        if service not in self._logs:
            text = b""
            with suppress(OSError, FileRefused, ValueError):
                text = self._end(self.folder / f"{service}.log")
            self._logs[service] = Log.of([line[:WIDEST] for line in text.decode(errors="replace").splitlines()])
        return self._logs[service]

    def _end(self, path: Path) -> bytes:
        """Return the end of a log, limited by the bytes that may still be read."""
        with open_file(path, self.folder) as stream:
            stream.seek(max(0, stream.seek(0, 2) - min(LARGEST_LOG, self._room[0])))
            text = stream.read(self._room[0])
        self._room[0] -= len(text)
        return text


def surroundings(folder: Path, room: list[int]) -> Surroundings:
    """Return the state of the environment that *folder* contains.

    Args:
        room: one number, the bytes of logs that may still be read; all folders of a run share it.

    Raises:
        DefinitionError: status.json is damaged.
        FileRefused: status.json is not a regular file, or is too large.
    """
    path = folder / "status.json"
    if not path.is_file():
        return Surroundings(folder)
    text = read_file(path, folder, largest=LARGEST_STATUS).decode(errors="replace")
    try:
        found = json.loads(text) if text.strip() else {"error": "its engine did not answer when the report was written"}
        if not isinstance(found, dict) or not all(isinstance(each, dict) for each in (found.get("services") or {}).values()):
            raise ValueError("no document of `envctl status --json`")
    except (ValueError, AttributeError, RecursionError) as error:
        raise DefinitionError([Problem(path, 1, "", f"not the status of an instance: {error}", "`--report DIR` writes it")]) from None
    return Surroundings(folder, found, room)


def _at(text: str) -> datetime | None:
    """Return the time; None if *text* is not a time. A time without a zone is UTC, as servers in containers write it."""
    with suppress(ValueError, OverflowError):
        at = datetime.fromisoformat(text.replace(" UTC", "+00:00").replace(",", ".").replace(" +", "+"))
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return None
