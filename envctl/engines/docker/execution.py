"""A command inside a container, fed and heard over one connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from envctl.engines.docker import sdk
from envctl.engines.seam import CommandResult, Execution

if TYPE_CHECKING:
    from docker import APIClient


def execute(api: APIClient, container: str, what: Execution) -> CommandResult:
    """Runs *what* in *container*; status 126 where it cannot be started.

    Raises:
        Exception: whatever the command's input raised.
    """
    given = what.stdin if not isinstance(what.stdin, tuple) or what.stdin else None
    try:
        made = api.exec_create(container, list(what.argv), stdin=given is not None, environment=dict(what.env))
        output = _fed(api.exec_start(made["Id"], socket=True), what.stdin if given is not None else ())
        return CommandResult(int(api.exec_inspect(made["Id"])["ExitCode"] or 0), output)
    except sdk.APIError as error:
        return CommandResult(126, str(error.explanation or error))


def _fed(stream: Any, stdin: Iterable[bytes]) -> str:
    """Both output streams of an exec, while *stdin* is written to it and then closed for writing.

    Raises:
        Exception: whatever *stdin* raised; the command sees its input end.
    """
    from docker.utils.socket import consume_socket_output, demux_adaptor, frames_iter

    errors: list[Exception] = []
    raw = getattr(stream, "_sock", stream)
    writer = threading.Thread(target=_write, args=(raw, stdin, errors), daemon=True)
    writer.start()
    frames = (demux_adaptor(*frame) for frame in frames_iter(stream, tty=False))  # type: ignore[no-untyped-call]
    output = consume_socket_output((part for out, err in frames for part in (out or err,)), demux=False)
    writer.join()
    for each in (stream, raw):  # the one does not close the other
        each.close()
    if errors:
        raise errors[0]
    return (output or b"").decode(errors="replace")


def _write(raw: Any, stdin: Iterable[bytes], errors: list[Exception]) -> None:
    try:
        for piece in stdin:
            raw.sendall(piece)
    except OSError:
        pass  # the command ended before it had read everything; its status says so
    except Exception as error:
        errors.append(error)
    with suppress(OSError):
        raw.shutdown(socket.SHUT_WR)
