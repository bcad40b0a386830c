"""Run one command on one input in a forked process with limits, and report how it failed."""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import time
from pathlib import Path

# Imported before the fork, so that the limits of time and memory do not include the imports.
import envctl.cli.definitions
import envctl.cli.init
import envctl.cli.report
import envctl.definition.sandbox
import envctl.init.propose
import envctl.render.kubernetes  # noqa: F401
from envctl.__main__ import main

SECONDS, MEGABYTES = 10, 500
_LOCATED = re.compile(r"^[^\s:][^:\n]*:\d+: ", re.MULTILINE)
_FAULTS = ("Traceback (most recent", "envctl's fault", "fault of envctl")


def run(arguments: list[str], folder: Path) -> str:
    """Run `envctl ARGUMENTS` in *folder*; return what is wrong with its result, or an empty text."""
    output = folder.parent / f"{folder.name}.output"
    child = os.fork()
    if child == 0:
        _child(arguments, folder, output)
    code = _waited(child)
    text = output.read_text("utf-8", "replace")
    if code is None:
        return f"it takes longer than {SECONDS} s"
    if any(fault in text for fault in _FAULTS) or code not in ((0, 1, 2) if arguments[0] == "report" else (0, 2)):
        return f"it ends with {code}"
    if code == 2 and not _LOCATED.search(text) and arguments[0] not in ("init", "report"):
        return "an error without file and line"
    return ""


def _child(arguments: list[str], folder: Path, output: Path) -> None:
    code = 70
    try:
        os.chdir(folder)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (MEGABYTES << 20),) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for number in (1, 2):
            os.dup2(stream, number)
        os.environ["XDG_STATE_HOME"] = str(folder.parent / "state")
        sys.argv = ["envctl", *arguments]
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        code = _code(main)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _code(main: object) -> int:
    try:
        result = main() if callable(main) else 0
    except SystemExit as error:
        result = error.code
    return result if isinstance(result, int) else int(result is not None)


def _waited(child: int) -> int | None:
    """Return the child's exit code, 128 + N after signal N; kill the child and return None at the time limit."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return None if code == -signal.SIGXCPU else code if code >= 0 else 128 - code
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
