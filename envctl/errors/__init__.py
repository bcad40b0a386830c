"""Every error that a user can see, with its exit code.

    EnvctlError                 1   the environment failed
    ├── DefinitionError         2   the definition is wrong (one Problem per mistake)
    ├── UsageError              2   the command line is wrong
    │   └── CommandMissing    127   the command of `run` does not exist (126: it is not executable)
    ├── EngineMissing           3   Docker, a cluster or a program is missing
    ├── ServiceFailed           1   a service died or never became ready, or a seed failed; with the evidence
    ├── OutOfTime             124   the deadline passed
    └── Interrupted           130   Ctrl-C or SIGTERM

They are raised anywhere and printed once, in `envctl.cli`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from envctl.errors.printable import harmless


class EnvctlError(Exception):
    """The base class of all errors for users: one sentence, and an optional hint on what to do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.record: object = None
        """The record of the instance that the error is about, for callers that print the instance as JSON."""

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class Problem(NamedTuple):
    """One mistake in a definition: where it is, what is wrong, and what would be right."""

    file: Path
    line: int
    path: str
    message: str
    hint: str = ""

    def masked(self, mask: Callable[[str], str]) -> Problem:
        """Return the problem with *mask* applied to its message and hint."""
        return self._replace(message=mask(self.message), hint=mask(self.hint))

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " + (f"{self.path}: " if self.path else "")
        return harmless(where + self.message + (f"; {self.hint}" if self.hint else ""))


class DefinitionError(EnvctlError):
    """All mistakes of a definition, in the order of their lines."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(EnvctlError):
    """The command line or an option is wrong."""

    exit_code = 2


class CommandMissing(UsageError):
    """The command of `run` cannot be started: the program does not exist (127) or is not executable (126), as in shells."""

    exit_code = 127

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class EngineMissing(EnvctlError):
    """Docker, a cluster or a program is missing."""

    exit_code = 3


class Evidence(NamedTuple):
    """The facts about a failed service, in the order in which they are printed."""

    service: str
    step: str
    history: tuple[str, ...] = ()
    exit_status: int | None = None
    logs: tuple[str, ...] = ()
    advice: str = ""


class ServiceFailed(EnvctlError):
    """A service died or never became ready, or a seed failed."""

    def __init__(self, message: str, evidence: Evidence | None = None, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.evidence = evidence


class OutOfTime(ServiceFailed):
    """The deadline has passed."""

    exit_code = 124


class Interrupted(EnvctlError):
    """Ctrl-C or a signal has stopped the command."""

    exit_code = 130


def did_you_mean(word: str, known: Sequence[str], *, limit: int = 12) -> str:
    """Return a hint for the unknown *word*: the most similar name in *known*, or else the first *limit* names."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    if not known or not limit:
        return ""
    shown = ", ".join(sorted(known)[:limit]) + (", ..." if len(known) > limit else "")
    return f"known: {shown}"
