"""Starts the stub: `python3 -m envctl.servers.stub`, or `python3 FOLDER` wherever these files were copied to."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys


def _package() -> str:
    if __package__:
        return __package__
    # A folder that is run directly is no package, and the modules import each other relatively.
    folder = os.path.dirname(os.path.abspath(__file__))
    name = "envctl_stub"
    spec = importlib.util.spec_from_file_location(name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])
    if spec is None:
        raise ImportError(f"{folder} holds no package")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    return name


if __name__ == "__main__":
    # First of all: PID 1 ignores signals without a handler, and the daemon threads must not outlive the interpreter's
    # own shutdown, which can abort while one of them prints.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    sys.exit(importlib.import_module(".cli", _package()).main())
