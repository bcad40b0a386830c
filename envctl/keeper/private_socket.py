"""The Unix socket in an instance's folder: whoever may not enter that cannot even connect, let alone keep others from it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

NAME = "keeper.sock"
LONGEST = 100
"""Bytes of a path; the kernel takes 107, macOS 103."""


def listen(folder: str) -> socket.socket | None:
    """One that accepts connections, in the place of an earlier keeper's; None where there can be none."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _short(folder) as path:
            with suppress(FileNotFoundError):
                os.unlink(path)
            listener.bind(path)
        os.chmod(os.path.join(folder, NAME), 0o600)
        listener.listen(128)
    except OSError:  # not every file system has sockets
        listener.close()
        return None
    return listener


def connect(folder: str, timeout: float | None) -> socket.socket:
    """
    Raises:
        OSError: nobody listens.
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
    """Its path, by way of a descriptor of the folder where it is too long for an address (Linux)."""
    path = os.path.join(folder, NAME)
    if len(os.fsencode(path)) <= LONGEST:
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)
