"""A program inside the service, `command`, exits with code 0."""

from __future__ import annotations

import shlex

from envctl.readiness import NotReady, Target, shown


def probe(target: Target) -> None:
    """Raise NotReady if the exit code is not 0, with the last line that the program printed."""
    command = target.options["command"]
    argv = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    code, output = target.run(argv)
    if code:
        last = output.strip().splitlines()[-1:] or ["it printed nothing"]
        raise NotReady(f"{argv[0]} ended with {code}: {shown(last[0])}")
