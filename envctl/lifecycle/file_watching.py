"""`test --watch`: wait until a file of the project changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from envctl.environment import Environment
from envctl.errors import UsageError
from envctl.process.terminal import tell


def watched(environment: Environment) -> Callable[[], str]:
    """Return a function that waits for the next change in the project of *environment*, and returns a text that names the changed file.

    Changes by `up` and the tests are ignored: files of `write:`, reports, caches, and everything that changes while the tests run.

    Raises:
        UsageError: watchfiles is not installed.
    """
    try:
        from watchfiles import DefaultFilter, watch
    except ImportError:
        raise UsageError("--watch needs watchfiles", hint="`pip install 'envctl-testing[watch]'` installs it") from None
    loaded, definition = environment.loaded, environment.definition
    written = [os.path.normpath(loaded.folder / name) for name in definition.write]
    reports = [str(loaded.folder / pattern) for test in definition.tests.values() for pattern in test.reports]

    class Ours(DefaultFilter):
        def __call__(self, change: object, path: str) -> bool:
            ours = path in written or any(Path(path).match(pattern) for pattern in reports)
            return not ours and super().__call__(change, path)  # type: ignore[arg-type]

    def changed() -> str:
        told = False
        # The first result is empty: from then on no change is missed, and only then the message is printed.
        for changes in watch(loaded.project, watch_filter=Ours(), rust_timeout=200, yield_on_timeout=True):
            if changes:
                return os.path.relpath(min(path for _, path in changes), loaded.project) + " has changed"
            if not told:
                tell(f"envctl: waiting for a change in {loaded.project}; Ctrl-C ends it")
            told = True
        raise KeyboardInterrupt

    return changed
