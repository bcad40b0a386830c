"""Processes that outlive whoever starts them."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from typing import Any


def spawn_detached(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Starts *argv* in a session of its own, in `/` (*options* are Popen's); it is reaped when it ends while this process still runs.

    Raises:
        OSError: it cannot be started.
    """
    process: subprocess.Popen[bytes] = subprocess.Popen(argv, cwd="/", start_new_session=True, **options)
    threading.Thread(target=process.wait, name="reaper", daemon=True).start()
    return process
