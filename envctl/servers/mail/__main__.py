"""Starts the mail server: `python -m envctl.servers.mail`."""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    # First of all, and abruptly: the daemon threads must not outlive the interpreter's own shutdown.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    from .server import main

    sys.exit(main())
