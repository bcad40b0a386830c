"""Start processes that outlive the process that starts them."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from typing import Any


def spawn_detached(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start *argv* in its own session with `/` as working folder; *options* are those of Popen. A thread reaps the process when it ends.

    Raises:
        OSError: *argv* cannot be started.
    """
    process: subprocess.Popen[bytes] = subprocess.Popen(argv, cwd="/", start_new_session=True, **options)
    threading.Thread(target=process.wait, name="reaper", daemon=True).start()
    return process
