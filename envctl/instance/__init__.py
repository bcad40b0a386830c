"""An instance on disk: who it is, what it promised, how far it got. One folder, one lock, replaced by rename."""

from __future__ import annotations

import errno
import fcntl
import getpass
import hashlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from envctl.errors import UsageError
from envctl.keeper.system import start_time

RECORD = "instance.json"
ID = re.compile(r"[a-z0-9-]{1,48}-[0-9a-f]{6}")
"""What `instance_id` gives."""
REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)
STAMP = "%Y-%m-%dT%H:%M:%SZ"


def state_home() -> Path:
    base = os.environ.get("XDG_STATE_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.local/state")) / "envctl"


def user_name() -> str:
    """The user's; the number where nobody knows a name (a container with a foreign uid)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def instance_id(name: str, project: Path) -> str:
    """The name, fit for Compose and Kubernetes, and six digits of project folder, user and host."""
    mark = hashlib.sha256("\0".join((str(project), user_name(), socket.gethostname())).encode()).hexdigest()[:6]
    return f"{re.sub(r'[^a-z0-9-]', '-', name.lower())}-{mark}"


@dataclass
class Record:
    """What is known of an instance; written before anything is created, removed when everything is gone."""

    name: str
    id: str
    environment: str
    engine: str
    project: str
    file: str
    created: str
    secret: str
    context: str | None = None
    namespace: str | None = None
    """A namespace of others', where the instance has none of its own."""
    registry: str | None = None
    """Where images that are built here are pushed."""
    owner: str = ""
    state: str = "starting"
    expires: str | None = None
    subnet: str | None = None
    process: str = ""
    """The process that works on it now, as `pid:start time`."""
    keeper: str = ""
    """Its keeper, likewise."""
    local: list[str] = field(default_factory=list)
    """Services that are processes of this machine though the engine is another one."""
    options: dict[str, Any] = field(default_factory=dict)
    """What the definition was changed by (--set, --only, --stub, ...), to plan it again."""
    ports: dict[str, int] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    stop: dict[str, float] = field(default_factory=dict)
    seeds: dict[str, dict[str, Any]] = field(default_factory=dict)
    write: dict[str, str] = field(default_factory=dict)
    timings_ms: dict[str, int] = field(default_factory=dict)
    error: str = ""

    @property
    def folder(self) -> Path:
        return state_home() / self.id

    def save(self) -> None:
        make_folder(self.folder)
        with _usable():
            write_private(self.folder / RECORD, json.dumps(asdict(self), ensure_ascii=False))

    def remove(self) -> None:
        forget(self.id)

    @property
    def location(self) -> tuple[str, str | None, str | None]:
        """Engine, context and namespace."""
        return self.engine, self.context, self.namespace

    @property
    def process_variables(self) -> dict[str, str]:
        """What a test process receives beside the outputs."""
        return {"ENVCTL_NAME": self.name, "ENVCTL_INSTANCE": self.id, "ENVCTL_ENGINE": self.engine} | self._cluster_variables

    @property
    def _cluster_variables(self) -> dict[str, str]:
        told = {"ENVCTL_CONTEXT": self.context, "ENVCTL_NAMESPACE": self.namespace} if self.engine == "kubernetes" else {}
        return {key: value for key, value in told.items() if value}

    @property
    def marks(self) -> dict[str, str]:
        """The labels that everything of it carries."""
        return {
            "envctl.name": self.name, "envctl.instance": self.id, "envctl.project": self.project, "envctl.owner": self.owner,
            "envctl.environment": self.environment,
        }  # fmt: skip

    @property
    def expired(self) -> bool:
        return self.expires is not None and self.expires <= now()


def make_folder(folder: Path) -> None:
    """The folder of an instance; nobody else reads it, nor the names beside it.

    Raises:
        UsageError: there can be none where the state is to be.
    """
    with _usable():
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _usable() -> Iterator[None]:
    """A place that is none for state is the user's to change; a full disk is another matter.

    Raises:
        UsageError
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        hint = "XDG_STATE_HOME says where it is (else ~/.local/state): a folder that this user can write to"
        raise UsageError(f"no state can be kept in {state_home()}: {error.filename}: {error.strerror}", hint=hint) from None


def write_private(path: Path, text: str) -> None:
    """Replaces *path* at once, readable by its owner alone."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(beside, path)


def load(id: str) -> Record | None:
    """The record of *id*; None where there is none, or where it cannot be read."""
    try:
        return Record(**json.loads((state_home() / id / RECORD).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def records() -> list[Record]:
    try:
        folders = sorted(path.name for path in state_home().iterdir() if path.is_dir())
    except OSError:
        return []
    return [record for folder in folders if (record := load(folder)) is not None]


def forget(id: str) -> None:
    shutil.rmtree(state_home() / id, ignore_errors=True)


def sweep() -> None:
    """Removes folders without a record that nobody works on: a command was killed before its first word, or after its last."""
    for folder in state_home().glob("*/"):
        if not (folder / RECORD).exists():
            with suppress(UsageError), lock(folder.name, wait=0.0):
                pass  # whoever lets the lock go removes such a folder


@contextmanager
def lock(id: str, *, wait: float = 600.0) -> Iterator[None]:
    """One command at a time works on an instance.

    Raises:
        UsageError: another one does, for longer than *wait* seconds.
    """
    folder = state_home() / id
    deadline = time.monotonic() + wait
    while True:
        make_folder(folder)
        try:
            with _usable():
                descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        except FileNotFoundError:
            continue  # removed again in between
        if _locked(descriptor, deadline) and _still_there(descriptor, folder / "lock"):
            break
        os.close(descriptor)  # `down` removed the folder while we waited: the lock was on a file that is gone
        if time.monotonic() > deadline:
            raise UsageError(f"another envctl command works on {id}", hint="wait for it, or stop it")
    try:
        yield
    finally:
        # Before the lock is let go: whoever waits for it may write a record at once.
        if not (folder / RECORD).exists():
            shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _locked(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def _still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except OSError:
        return False


def now(after: float = 0.0) -> str:
    return datetime.fromtimestamp(time.time() + after, UTC).strftime(STAMP)


def process_mark(pid: int | None = None) -> str:
    """`host:pid:start`, which no later process of this machine shares."""
    pid = pid or os.getpid()
    return f"{socket.gethostname()}:{pid}:{start_time(pid)}"


def process_alive(mark: str) -> bool | None:
    """Whether the process of *mark* runs; None where it is another machine's, or no mark of ours."""
    host, _, rest = mark.partition(":")
    pid, _, start = rest.partition(":")
    if host != socket.gethostname() or not pid.isdecimal():
        return None
    return bool(start) and start_time(int(pid)) == start


def running(pid: int) -> bool:
    """Whether there is such a process; one that has ended and whom nobody has asked (a zombie) is none."""
    return bool(start_time(pid))
