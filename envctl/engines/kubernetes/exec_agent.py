"""Commands beside a server: a port forward leads to the exec agent in its pod (`templates/kubernetes/exec_agent.py`), which runs them.

A port forward cannot transmit that only the sending side of a connection is closed. So the input is sent in frames, each with its length,
a newline and that many bytes; the length 0 ends the input.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable

from envctl.engines.free_ports import any_port
from envctl.engines.kubernetes.api import Api
from envctl.engines.kubernetes.forwards import EXEC_AGENT, EXEC_AGENT_PORT, forward, kept, set_forwards
from envctl.engines.protocol import CommandResult, Execution
from envctl.errors import EnvctlError
from envctl.keeper.cluster.protocol import Object
from envctl.process.threads import Feeder
from envctl.render.kubernetes.exec_agent import AGENT
from envctl.session.session import Host

BEGIN = 60.0
"""The seconds that the exec agent may take to start."""
PAUSE = 0.1


def has_agent(pod: Object) -> bool:
    """Return whether *pod* has an exec agent, so that commands can run beside its server."""
    return any(each["name"] == AGENT for each in pod["spec"]["containers"])


def execute(api: Api, host: Host, id: str, namespace: str, service: str, token: str, what: Execution) -> CommandResult:
    """Run a command with the client programs of the service's image, and return its result.

    Args:
        token: the secret with which the exec agent recognizes envctl.

    Raises:
        EnvctlError: the exec agent does not answer.
        Exception: whatever the input of the command raised.
    """
    head = json.dumps({"token": token, "argv": list(what.argv), "env": dict(what.env)}).encode() + b"\n"
    port = _port(api, host, id, namespace, service)
    until = time.monotonic() + BEGIN
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as stream:
                stream.settimeout(None)
                return _spoken(stream, head, what.stdin)
        except (ConnectionError, _Unheard) as error:
            # The command has not run yet: the port forward or the exec agent is not up, and the agent answers after reading all input.
            if time.monotonic() > until or isinstance(error, _Broken):
                raise EnvctlError(f"{service}: its exec agent does not answer: {error or type(error).__name__}") from None
            time.sleep(PAUSE)


class _Unheard(Exception):
    """The connection ended before any input was sent."""


class _Broken(ConnectionError):
    """The connection ended after input was sent; the command may have run."""


def _port(api: Api, host: Host, id: str, namespace: str, service: str) -> int:
    name = f"{service}/{EXEC_AGENT}"
    for entry in kept(host, id):
        if entry["name"] == name and entry["listen"][1]:
            return int(entry["listen"][1])
    made = set_forwards(host, id, api.context, namespace, [forward(id, service, EXEC_AGENT, EXEC_AGENT_PORT, any_port())], whole=False)
    return made[name]


def _spoken(stream: socket.socket, head: bytes, stdin: Iterable[bytes]) -> CommandResult:
    sent = threading.Event()

    def write(piece: bytes) -> None:
        stream.sendall(b"%d\n" % len(piece) + piece)
        sent.set()

    def end(error: Exception | None) -> None:
        if error is None:
            stream.sendall(b"0\n")
        else:
            stream.shutdown(socket.SHUT_RDWR)

    stream.sendall(head)
    feeder = Feeder(filter(None, stdin), write, end)
    with stream.makefile("rb") as answer:
        line = answer.readline()
        if feeder.error is not None:
            raise feeder.error
        if not line:
            raise _Broken("the connection ended") if sent.is_set() else _Unheard()
        told = json.loads(line)
        output = answer.read(int(told["size"]))
    feeder.join(1)
    return CommandResult(int(told["status"]), output.decode(errors="replace"))
