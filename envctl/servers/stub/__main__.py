"""Start the stub: `python3 -m envctl.servers.stub`, or `python3 FOLDER` for a folder with its files and those of `servers/http`."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import types


def _package() -> str:
    """Return the name of the package to which this file belongs.

    A folder that is run directly is not a package, but the modules use relative imports. So this function creates packages for the
    folder. The modules of `servers/http` are either in the same folder, which saves a mount, or in the folder `http` beside it.
    """
    if __package__:
        return __package__
    folder = os.path.dirname(os.path.abspath(__file__))
    _pose("envctl_servers", [])
    _pose("envctl_servers.stub", [folder])
    _pose("envctl_servers.http", [folder, os.path.join(os.path.dirname(folder), "http")])
    return "envctl_servers.stub"


def _pose(name: str, folders: list[str]) -> None:
    sys.modules[name] = package = types.ModuleType(name)
    package.__path__ = folders


if __name__ == "__main__":
    # Set before anything else, because the kernel does not deliver signals without a handler to PID 1. os._exit ends the process at
    # once, because the interpreter's shutdown can abort while a daemon thread prints.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    sys.exit(importlib.import_module(".stub", _package()).main())
