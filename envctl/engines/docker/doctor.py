"""The checks of `doctor` for Docker: the program, the daemon, Compose, and what they depend on."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from envctl.engines.docker.compose import compose_program
from envctl.engines.docker.connection import connect
from envctl.engines.docker.engine import free_subnet
from envctl.engines.protocol import Finding
from envctl.errors import EngineMissing, EnvctlError
from envctl.session.session import Host

COMPOSE = (2, 20)
"""The first version of Compose whose `create` supports everything that envctl renders."""
FREE_BYTES = 2 * 1024**3
"""The free disk space in bytes below which `doctor` warns."""
SECONDS = 10
"""The timeout of a program, in seconds."""
_finding = partial(Finding, "docker")


def findings(host: Host) -> Iterator[Finding]:
    """Yield the results of all checks; nothing is changed."""
    environ = host.environ
    program = shutil.which("docker", path=environ.get("PATH"))
    text = f"the docker program is {program}" if program else "there is no docker program on the PATH"
    advice = "not needed by envctl itself; `docker ps` and `docker compose -p ID logs` are handy, though"
    yield _finding(bool(program), text, "" if program else advice)
    yield from _daemon(environ)
    yield _compose(environ)
    if environ.get("DOCKER_BUILDKIT") == "0":
        yield _finding(False, "DOCKER_BUILDKIT=0 turns BuildKit off", "unset it: builds are faster, and Dockerfiles may need it")
    else:
        yield _finding(True, "BuildKit builds images (DOCKER_BUILDKIT does not turn it off)")


def _daemon(environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        _knock(environ.get("DOCKER_HOST", ""))
        connection = connect(environ.get("ENVCTL_CONTEXT"), environ)
    except EngineMissing as error:
        # Its hint ends with the advice to run this command.
        yield _finding(False, error.message, error.hint.partition("; `envctl doctor`")[0], needed=True)
        return
    info = connection.daemon.get("/info")
    where = connection.endpoint.host + (f", context {connection.context}" if connection.context else "")
    yield _finding(True, f"Docker Engine {info.get('ServerVersion')} answers, API {connection.version}, at {where}", needed=True)
    yield cgroups(info)
    if not connection.hostname:
        yield from disk(Path(str(info.get("DockerRootDir") or "")))
    yield _networks(connection.daemon)


def _knock(host: str) -> None:
    """Raise EngineMissing if the daemon's TCP port does not answer within five seconds, as behind a firewall that drops packets."""
    parts = urlsplit(host)
    if parts.scheme != "tcp" or not parts.hostname:
        return
    try:
        socket.create_connection((parts.hostname, parts.port or 2375), timeout=5).close()
    except OSError as error:
        raise EngineMissing(f"Docker does not answer at {host}: {error}", hint="check DOCKER_HOST") from None


def cgroups(info: Mapping[str, Any]) -> Finding:
    """Return whether the daemon with this *info* can limit resources."""
    version, driver = str(info.get("CgroupVersion") or "unknown"), info.get("CgroupDriver") or "unknown"
    text = f"cgroup version {version}, driver {driver}"
    rootless = any("rootless" in str(option) for option in info.get("SecurityOptions") or [])
    if rootless and version != "2":
        return _finding(False, f"{text}, rootless", "`resources:` has no effect: rootless Docker needs cgroup version 2")
    return _finding(True, text + (", rootless" if rootless else ""))


def disk(root: Path) -> Iterator[Finding]:
    """Yield the free space where the daemon keeps its data; nothing if this machine cannot see the folder (that of a virtual machine)."""
    try:
        free = shutil.disk_usage(root).free if root.is_absolute() else None
    except OSError:
        return
    if free is not None:
        text = f"{free / 1024**3:.1f} GB free for images and data in {root}"
        advice = "`docker system df` shows what uses the space, `envctl gc` removes what envctl has left"
        yield _finding(free >= FREE_BYTES, text, "" if free >= FREE_BYTES else advice)


def _networks(daemon: Any) -> Finding:
    count = len(daemon.get("/networks"))
    try:
        subnet = free_subnet(daemon, "doctor", 10, ())
    except EnvctlError as error:
        return _finding(False, f"{count} networks, and {error.message}", error.hint)
    return _finding(True, f"{count} networks; the next one could get {subnet}")


def _compose(environ: Mapping[str, str]) -> Finding:
    advice = f"install the docker-compose-plugin package, version {'.'.join(map(str, COMPOSE))} or later"
    try:
        program = compose_program(environ)
    except EngineMissing as error:
        return _finding(False, error.message, advice, needed=True)
    found = _output([*program, "version", "--short"], environ)
    version = re.search(r"(\d+)\.(\d+)\S*", found)
    if version is None:
        return _finding(False, f"Docker Compose v2 does not answer ({' '.join(program)})", advice, needed=True)
    ok = (int(version[1]), int(version[2])) >= COMPOSE
    return _finding(ok, f"Compose {version[0]} ({' '.join(program)})", "" if ok else advice, needed=True)


def _output(command: list[str], environ: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(command, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
