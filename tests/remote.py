"""Docker daemons that are not at the usual socket: a second daemon in its own network namespace, and TCP access to the first one."""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.processes import until

SOCKET = "/var/run/docker.sock"


class Forward(socketserver.BaseRequestHandler):
    """Copy bytes to the daemon's socket and back; the end of one side is passed on, because an exec with input needs it."""

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as daemon:
            daemon.connect(SOCKET)
            back = threading.Thread(target=copied, args=(daemon, self.request), daemon=True)
            back.start()
            copied(self.request, daemon)
            back.join()


def copied(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Forwarder(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


@contextmanager
def on_loopback(port: int = 0) -> Iterator[str]:
    """Yield a TCP address of this machine that leads to the first daemon."""
    with Forwarder(("127.0.0.1", port), Forward) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def on_another_machine(images: Sequence[str]) -> Iterator[str]:
    """Yield the address of a second daemon that has *images*. Its own addresses, ports and rules make it another machine for envctl."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "nsenter", "unshare"))):
        pytest.skip("a second daemon needs root, ip, nsenter and unshare")
    folder = Path(tempfile.mkdtemp(prefix="envctl-remote-"))
    with network(number := os.getpid() % 250) as (namespace, address):
        host = f"tcp://{address}:2375"
        # Not `ip netns exec`, which mounts another /sys without the control groups.
        line = ["nsenter", f"--net={namespace}", "dockerd", "-H", host, "--tls=false", "--bip", f"10.233.{number}.1/24"]
        line += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")]
        with (folder / "log").open("wb") as log:
            daemon = subprocess.Popen(line, stdout=log, stderr=log, start_new_session=True)
        try:
            until(lambda: daemon.poll() is not None or docker(host, "version").returncode == 0, 60, "a second daemon")
            assert daemon.poll() is None, (folder / "log").read_text()[-2000:]
            load(host, images)
            yield host
        finally:
            daemon.terminate()
            daemon.wait(60)
    shutil.rmtree(folder)


@contextmanager
def network(number: int) -> Iterator[tuple[str, str]]:
    """Create a network namespace, connected by a pair of interfaces, and yield its file and its address.

    `ip netns add` is not used: its first call mounts /run/netns over itself, and then pods that run on this machine at that moment never
    end.
    """
    ours, theirs = f"ect{os.getpid()}", f"ecr{os.getpid()}"
    with subprocess.Popen(["unshare", "--net", "sleep", "infinity"]) as holder:
        namespace = f"/proc/{holder.pid}/ns/net"
        inside = ["nsenter", f"--net={namespace}", "ip"]
        commands = [
            ["ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", str(holder.pid)],
            ["ip", "addr", "add", f"10.232.{number}.1/30", "dev", ours],
            ["ip", "link", "set", ours, "up"],
            [*inside, "addr", "add", f"10.232.{number}.2/30", "dev", theirs],
            [*inside, "link", "set", theirs, "up"],
            [*inside, "link", "set", "lo", "up"],
        ]
        try:
            until(lambda: os.readlink(namespace) != os.readlink("/proc/self/ns/net"))
            for words in commands:
                subprocess.run(words, check=True)
            yield namespace, f"10.232.{number}.2"
        finally:
            subprocess.run(["ip", "link", "del", ours], check=False, stderr=subprocess.DEVNULL)
            holder.kill()


def docker(host: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", "--host", host, *words], capture_output=True, text=True)


def load(host: str, images: Sequence[str]) -> None:
    with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
        subprocess.run(["docker", "--host", host, "load"], stdin=saved.stdout, stdout=subprocess.DEVNULL, check=True)
