"""A shell that waits beside a command until there is a keeper: should the command be killed before that, it has the keepers minded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

WAIT = 'read -r word && exit; exec "$@"'
MIND = "from envctl.lifecycle.recovery import recover_instances; recover_instances()"

_children: list[subprocess.Popen[bytes]] = []
"""Nobody waits for them, and Python must not complain."""


@contextmanager
def guarded() -> Iterator[Callable[[], None]]:
    """To be entered before anything is on disk; what it yields is called once a keeper watches."""
    reader, writer = os.pipe()
    try:
        _children.append(
            subprocess.Popen(
                ["sh", "-c", WAIT, "envctl", sys.executable, "-c", MIND], cwd="/", start_new_session=True,
                stdin=reader, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
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
