"""What works on this machine, and what to do about what does not: findings, in the order in which they are read."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from envctl import __version__
from envctl.definition.kinds import Kind, Local, load_kinds
from envctl.engines.local.programs import find_program
from envctl.errors import EngineMissing, EnvctlError
from envctl.instance.processes import process_alive
from envctl.instance.record import InstanceState, Record
from envctl.plan.services import local_program
from envctl.session import Session

COMPOSE = (2, 20)
"""The first Compose whose `create` does all that is rendered."""
FREE_BYTES = 2 * 1024**3
SECONDS = 10
ENGINES = ("docker", "kubernetes", "local")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    area: str
    ok: bool
    text: str
    advice: str = ""
    needed: bool = False
    """The engine of this area does not work without it."""


def findings(session: Session) -> list[Finding]:
    """Everything that was found; nothing is changed."""
    environ = session.environ
    checks: dict[str, Callable[[], Iterable[Finding]]] = {
        "docker": lambda: docker(environ),
        "kubernetes": lambda: kubernetes(environ),
        "local": lambda: local(environ),
        "state": lambda: state(session.store.home),
        "instances": lambda: [*instances(session.store.all()), *unreadable(session)],
        "python": python,
        "envctl": lambda: ours(environ),
    }
    return [finding for area, check in checks.items() for finding in _guarded(area, check)]


def working(found: Iterable[Finding]) -> list[str]:
    """The engines of which everything needed was found."""
    needed = [finding for finding in found if finding.needed]
    return [name for name in ENGINES if (own := [f.ok for f in needed if f.area == name]) and all(own)]


def _guarded(area: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What stops one check must not hide what the others find."""
    try:
        yield from check()
    except Exception as error:
        text = f"could not be checked: {type(error).__name__}: {error}".splitlines()[0]
        yield Finding(area, False, text, needed=area in ENGINES)


def docker(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The daemon, Compose, and what both stand on."""
    program = shutil.which("docker")
    if program:
        yield Finding("docker", True, f"the docker program is {program}")
    else:
        advice = "not needed by envctl itself; `docker ps` and `docker compose -p ID logs` are handy, though"
        yield Finding("docker", False, "there is no docker program on the PATH", advice)
    yield from _daemon(environ)
    yield _compose(environ)
    if environ.get("DOCKER_BUILDKIT") == "0":
        advice = "unset it: builds are faster, and Dockerfiles may need it"
        yield Finding("docker", False, "DOCKER_BUILDKIT=0 turns BuildKit off", advice)
    else:
        yield Finding("docker", True, "BuildKit builds images (DOCKER_BUILDKIT does not turn it off)")


def _daemon(environ: Mapping[str, str]) -> Iterator[Finding]:
    from envctl.engines.docker.connection import connect

    try:
        _knock(environ.get("DOCKER_HOST", ""))
        connection = connect(environ.get("ENVCTL_CONTEXT"), environ)
    except EngineMissing as error:
        # Its hint ends with the advice to run this command.
        yield Finding("docker", False, error.message, error.hint.partition("; `envctl doctor`")[0], needed=True)
        return
    info = connection.daemon.get("/info")
    context = f", context {connection.context}" if connection.context else ""
    where = f"{connection.endpoint.host}{context}"
    text = f"Docker Engine {info.get('ServerVersion')} answers, API {connection.version}, at {where}"
    yield Finding("docker", True, text, needed=True)
    yield cgroups(info)
    if not connection.hostname:
        yield from disk(Path(str(info.get("DockerRootDir") or "")))
    yield _networks(connection.daemon)


def _knock(host: str) -> None:
    """A daemon behind TCP that drops packets would cost the client's whole minute.

    Raises:
        EngineMissing: nobody listens there.
    """
    parts = urlsplit(host)
    if parts.scheme != "tcp" or not parts.hostname:
        return
    try:
        socket.create_connection((parts.hostname, parts.port or 2375), timeout=5).close()
    except OSError as error:
        raise EngineMissing(f"Docker does not answer at {host}: {error}", hint="check DOCKER_HOST") from None


def cgroups(info: Mapping[str, Any]) -> Finding:
    version, driver = str(info.get("CgroupVersion") or "unknown"), info.get("CgroupDriver") or "unknown"
    text = f"cgroup version {version}, driver {driver}"
    rootless = any("rootless" in str(option) for option in info.get("SecurityOptions") or [])
    if rootless and version != "2":
        advice = "`resources:` has no effect: rootless Docker needs cgroup version 2"
        return Finding("docker", False, f"{text}, rootless", advice)
    return Finding("docker", True, text + (", rootless" if rootless else ""))


def disk(root: Path) -> Iterator[Finding]:
    """Free space where the daemon keeps its data; nothing where that cannot be seen from here (a virtual machine's)."""
    try:
        free = shutil.disk_usage(root).free if root.is_absolute() else None
    except OSError:
        return
    if free is not None:
        text = f"{free / 1024**3:.1f} GB free for images and data in {root}"
        advice = "`docker system df` shows what takes the space, `envctl gc` removes what is ours"
        yield Finding("docker", free >= FREE_BYTES, text, "" if free >= FREE_BYTES else advice)


def _networks(daemon: Any) -> Finding:
    from envctl.engines.docker.networks import free_subnet

    count = len(daemon.get("/networks"))
    try:
        subnet = free_subnet(daemon, "doctor", 10, ())
    except EnvctlError as error:
        return Finding("docker", False, f"{count} networks, and {error.message}", error.hint)
    return Finding("docker", True, f"{count} networks; the next one could get {subnet}")


def _compose(environ: Mapping[str, str]) -> Finding:
    from envctl.engines.docker.composer import compose_program

    advice = f"install the docker-compose-plugin package, version {'.'.join(map(str, COMPOSE))} or later"
    try:
        program = compose_program(environ)
    except EngineMissing as error:
        return Finding("docker", False, error.message, advice, needed=True)
    found = _output([*program, "version", "--short"], environ)
    version = re.search(r"(\d+)\.(\d+)\S*", found)
    if version is None:
        return Finding("docker", False, f"Docker Compose v2 does not answer ({' '.join(program)})", advice, needed=True)
    ok = (int(version[1]), int(version[2])) >= COMPOSE
    return Finding("docker", ok, f"Compose {version[0]} ({' '.join(program)})", "" if ok else advice, needed=True)


def _output(command: list[str], environ: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(command, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def kubernetes(environ: Mapping[str, str]) -> Iterator[Finding]:
    """What the kubeconfig says, and what its cluster answers."""
    yield from _engine("kubernetes", "the Kubernetes engine")
    program = shutil.which("kubectl")
    text = f"kubectl is {program}" if program else "there is no kubectl on the PATH"
    yield Finding("kubernetes", bool(program), text, "" if program else "not needed by envctl itself")
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    files = named or [Path.home() / ".kube" / "config"]
    context, file = _current_context(files)
    if context:
        yield Finding("kubernetes", True, f"the current context is {context} ({file})", needed=True)
        yield from _cluster(environ)
    elif environ.get("KUBERNETES_SERVICE_HOST"):
        yield Finding("kubernetes", True, "this is a pod of a cluster", needed=True)
    else:
        names = ", ".join(map(str, files))
        advice = "`kubectl config use-context NAME`, or set KUBECONFIG; `--context` names one for a command"
        yield Finding("kubernetes", False, f"no current context in {names}", advice, needed=True)


def _cluster(environ: Mapping[str, str]) -> Iterator[Finding]:
    from envctl.engines.kubernetes.doctor import examine

    for ok, text, advice in examine(environ):
        yield Finding("kubernetes", ok, text, advice, needed=True)


def _current_context(files: Iterable[Path]) -> tuple[str, Path | None]:
    """The first file that names one wins, as with kubectl."""
    from envctl.definition.source import read

    for file in files:
        name = (read(file).tree or {}).get("current-context") if file.is_file() else None
        if name:
            return str(name), file
    return "", None


def local(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The kinds that this machine can run, and what is missing for the others."""
    yield from _engine("local", "the local engine")
    system = platform.system()
    supported = system in ("Linux", "Darwin")
    yield Finding("local", supported, system, "" if supported else "Linux and macOS are supported", needed=True)
    kinds = load_kinds()
    found = {name: kind for name in sorted(kinds.files) if not (kind := kinds[name]).own}
    yield from (_program(kind, kind.local, environ.get("PATH")) for kind in found.values() if kind.local)
    contained = [name for name, kind in found.items() if not kind.local]
    if contained:
        yield Finding("local", False, f"only in a container: {', '.join(contained)}", "`--use S=URL` takes one that runs already")


def _program(kind: Kind, local: Local, path: str | None) -> Finding:
    found = find_program(local_program(local), kind.version or "", path)
    if found is None:
        return Finding("local", False, f"{kind.kind}: no program for it", local.install)
    where = "this Python" if found.python else f"{found.version} ({found.path})"
    return Finding("local", True, f"{kind.kind}: {where}")


def _engine(name: str, title: str) -> Iterator[Finding]:
    if find_spec(f"envctl.engines.{name}") is None:
        yield Finding(name, False, "not in this version of envctl", f"comes with {title}", needed=True)
    else:
        yield Finding(name, True, f"{title} is here", needed=True)


def state(folder: Path) -> Iterator[Finding]:
    """The folder of the instances' state: ours alone, since passwords are in it."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding("state", False, f"{folder} cannot be written", "check its owner and mode, or set XDG_STATE_HOME")
    elif there != folder:
        yield Finding("state", True, f"{folder} will be made by the first `up`")
    else:
        mode = stat.S_IMODE(folder.stat().st_mode)
        advice = f"others can see what is in it: chmod 700 {folder}" if mode & 0o077 else ""
        yield Finding("state", not advice, f"{folder}, mode {mode:04o}", advice)


def instances(records: list[Record]) -> Iterator[Finding]:
    """Instances that nobody will miss."""
    left = [(record, why) for record in records if (why := _why_left(record))]
    for record, why in left:
        advice = f"`envctl gc`, or `envctl down {record.name}` in {record.project}"
        yield Finding("instances", False, f"{record.name} ({record.id}) {why}", advice)
    if not left:
        up = f"{len(records)} up, none of them expired or without its owner" if records else "nothing is up"
        yield Finding("instances", True, up)


def unreadable(session: Session) -> Iterator[Finding]:
    """Records that this version cannot read."""
    for error in session.store.unreadable():
        yield Finding("instances", False, error.message, error.hint)


def _why_left(record: Record) -> str:
    if record.expired:
        return f"expired at {record.expires}"
    if record.owner and _gone(record.owner):
        return "has lost its owner"
    if record.state is InstanceState.STARTING and record.process and _gone(record.process):
        return "was interrupted while it came up"
    return ""


def _gone(mark: str) -> bool:
    try:
        return process_alive(mark) is False
    except ValueError:
        return False  # a mark that is not of our form says nothing


def python() -> Iterator[Finding]:
    ok = sys.version_info >= (3, 11)
    advice = "" if ok else "envctl needs Python 3.11 or later"
    yield Finding("python", ok, f"Python {platform.python_version()}, {sys.executable}", advice)


def ours(environ: Mapping[str, str]) -> Iterator[Finding]:
    yield Finding("envctl", True, f"envctl {__version__}, {Path(__file__).parent}")
    shell = Path(environ.get("SHELL", "")).name
    files = {
        "bash": ".bash_completions/envctl.sh",
        "zsh": ".zfunc/_envctl",
        "fish": ".config/fish/completions/envctl.fish",
    }
    if shell in files:
        there = (Path.home() / files[shell]).exists()
        text = f"completion for {shell} " + ("is installed" if there else "can be installed")
        yield Finding("envctl", True, text, "" if there else "`envctl --install-completion`")
