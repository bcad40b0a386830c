"""Starts the stub: `python3 -m envctl.servers.stub`, or `python3 FOLDER` where its files and those of `servers/http` were copied to."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import types


def _package() -> str:
    """The name of the package that this file belongs to.

    A folder that is run directly is no package, and the modules import each other relatively: it becomes one. Those of `servers/http` are
    in the same folder, which is one mount in place of two, or beside it as they are here.
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
    # First of all: PID 1 ignores signals without a handler, and the daemon threads must not outlive the interpreter's
    # own shutdown, which can abort while one of them prints.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    sys.exit(importlib.import_module(".stub", _package()).main())
