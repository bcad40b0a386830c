"""The keeper's Unix socket in the instance's folder. The folder is private, so other users cannot connect or exhaust the connections."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

NAME = "keeper.sock"
"""The file name of the socket."""
LONGEST = 100
"""The longest path of a socket, in bytes. Linux accepts 107 bytes, macOS 103."""


def listen(folder: str) -> socket.socket | None:
    """Create the socket, replacing that of an earlier keeper, and return it; None if the file system does not support sockets."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _short(folder) as path:
            with suppress(FileNotFoundError):
                os.unlink(path)
            listener.bind(path)
        os.chmod(os.path.join(folder, NAME), 0o600)
        listener.listen(128)
    except OSError:  # not every file system supports sockets
        listener.close()
        return None
    return listener


def connect(folder: str, timeout: float | None) -> socket.socket:
    """Connect to the keeper of the instance in *folder*.

    Args:
        timeout: seconds for connecting and for each later operation; None for no limit.

    Raises:
        OSError: no keeper listens there.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    try:
        with _short(folder) as path:
            connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _short(folder: str) -> Iterator[str]:
    """Yield the path of the socket; if it is too long for an address, a path through a descriptor of the folder (Linux only)."""
    path = os.path.join(folder, NAME)
    if len(os.fsencode(path)) <= LONGEST:
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)
