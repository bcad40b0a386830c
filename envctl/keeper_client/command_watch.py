"""A shell that waits beside a command until there is a keeper: should the command be killed before that, it starts the recovery."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from envctl.process.spawning import spawn_detached

WAIT = 'read -r word && exit; exec "$@"'
RECOVER = "from envctl.lifecycle.recovery import recover_here; recover_here()"


@contextmanager
def watched_until_kept(environ: Mapping[str, str]) -> Iterator[Callable[[], None]]:
    """To be entered before anything is on disk; what it yields is called once a keeper watches."""
    reader, writer = os.pipe()
    try:
        spawn_detached(
            ["sh", "-c", WAIT, "envctl", sys.executable, "-c", RECOVER], env=dict(environ),
            stdin=reader, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        os.close(reader)
    told = False

    def let_go() -> None:
        nonlocal told
        if not told:
            told = True
            with suppress(BrokenPipeError):  # somebody has killed it
                os.write(writer, b"go\n")
            os.close(writer)

    try:
        yield let_go
    finally:
        let_go()
