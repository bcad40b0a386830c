"""How the environment was: the `status.json` and the logs that `--report` left beside the results."""

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
"""Words of our own in a failure."""
LINES = 15
"""Of one service's log."""
STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?")
WIDEST = 2000
"""Characters of a line."""
LARGEST_STATUS, LARGEST_LOG, LARGEST_LOGS = 4_000_000, 8_000_000, 64_000_000
"""Bytes: of a status, of the end of a log that is read, and of all logs."""
SLACK = timedelta(seconds=1)


class Log(NamedTuple):
    """Of one service.

    Attributes:
        timed: lines with their times, in that order; a line without one, as of a trace, has that of the line before.
        last: its last lines.
    """

    timed: Sequence[tuple[datetime, str]]
    last: Sequence[str]

    @classmethod
    def of(cls, lines: Sequence[str]) -> Log:
        timed, at = [], None
        for line in lines:
            if stamp := STAMP.search(line[:80]):
                at = _at(stamp.group())
            if at is not None:
                timed.append((at, line))
        return cls(sorted(timed, key=itemgetter(0)), lines[-LINES:])

    def during(self, case: Case) -> Sequence[str]:
        """The last of the lines that were written while *case* ran."""
        if case.ended is None:
            return []
        begin, end = case.ended - timedelta(seconds=min(case.seconds, 1e8)) - SLACK, case.ended + SLACK
        after = bisect_right(self.timed, end, key=itemgetter(0))
        return [line for at, line in self.timed[max(after - LINES, 0) : after] if at >= begin]


@dataclass(frozen=True)
class Surroundings:
    """One folder of a run: what it says of the environment, nothing where it has no `status.json`.

    Attributes:
        broken: services that did not run when it was written, with their states.
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
        """Why the environment is at fault; empty where it was fine."""
        parts = [str(self.status.get("error") or ""), ", ".join(f"{name} {state}" for name, state in self.broken.items())]
        return "; ".join(filter(None, parts))

    def at_fault(self, case: Case) -> bool:
        """Whether a red test is the environment's: a service had ended, or the test's tool says so itself."""
        return bool(self.error or OURS.search("\n".join((case.message, case.text, case.evidence))))

    def of(self, case: Case) -> list[str]:
        """How it was when *case* failed: what its tool noted then, else states and what services logged at that time."""
        if case.evidence:
            return case.evidence.splitlines()
        states = [f"{name}: {each.get('state')}" for name, each in (self.status.get("services") or {}).items()]
        return states + [line for name in self.status.get("services") or {} for line in self._log(name, case)]

    def _log(self, service: str, case: Case) -> Iterator[str]:
        """The lines of the test's time; of a service that is broken, or has no times in its log, the last ones."""
        log = self._read(service)
        timed = log.during(case)
        shown = timed or (log.last if service in self.broken else [])
        if shown:
            yield f"{service}, {'at that time' if timed else 'last lines'}:"
            yield from (f"  {line}" for line in shown)

    def _read(self, service: str) -> Log:
        """Its log, read once for all tests."""
        if service not in self._logs:
            text = b""
            with suppress(OSError, FileRefused, ValueError):
                text = self._end(self.folder / f"{service}.log")
            self._logs[service] = Log.of([line[:WIDEST] for line in text.decode(errors="replace").splitlines()])
        return self._logs[service]

    def _end(self, path: Path) -> bytes:
        """The end of a log, as far as there is room for it."""
        with open_file(path, self.folder) as stream:
            stream.seek(max(0, stream.seek(0, 2) - min(LARGEST_LOG, self._room[0])))
            text = stream.read(self._room[0])
        self._room[0] -= len(text)
        return text


def surroundings(folder: Path, room: list[int]) -> Surroundings:
    """What *folder* says of its environment.

    Args:
        room: one number, of the bytes of logs that may still be read; all folders of a run share it.

    Raises:
        DefinitionError: its status.json is damaged.
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
    """What a server in a container writes without a zone is UTC."""
    with suppress(ValueError, OverflowError):
        at = datetime.fromisoformat(text.replace(" UTC", "+00:00").replace(",", ".").replace(" +", "+"))
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return None
