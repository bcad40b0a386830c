"""The keeper of an instance as a command sees it: started before anything else, held, told to let go. `asking` says the rest.

The keeper itself is `envctl/keeper`, a program of its own. It watches the other end of a socket that its owner holds: when
that ends without a word, it tears the instance down.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

from envctl import instance
from envctl.errors import EnvctlError
from envctl.instance import Record
from envctl.keeper_client.client import ADDRESS, QUICK, Keeper, KeeperGone, KeeperSilent, end_silent, find, stop_processes

__all__ = [
    "BY_KEEPER", "MARK", "QUICK", "Keeper", "KeeperGone", "KeeperSilent", "dismiss", "ensure", "find", "lost", "marking", "release",
    "replaced", "seen_alone", "stop_processes",
]  # fmt: skip

CONFIG, LOG = "keeper-config.json", "keeper.log"
PROGRAM = Path(__file__).resolve().parent.parent / "keeper"
BY_KEEPER = "ENVCTL_KEEPER"
"""Set for the command that a keeper runs: nobody is left who would wait for a gentle end."""
ABOUT = "ENVCTL_ABOUT"
"""In the environment of keepers: the instance's labels, and its engine."""
MARK = "ENVCTL_MARK"
"""In the environment of all that belongs to an instance: its id."""
LABELS = ("envctl.name", "envctl.instance", "envctl.project", "envctl.owner", "envctl.environment", "envctl.engine")
START_TIMEOUT = 15.0

_held: dict[str, socket.socket] = {}
"""Our ends of the sockets by which keepers watch us."""
_children: list[subprocess.Popen[bytes]] = []
"""Keepers that we have started: nobody waits for them, and Python must not complain."""


@contextmanager
def marking(id: str) -> Iterator[None]:
    """What this process starts meanwhile carries the instance's mark: should we be killed, the keeper finds it."""
    before = os.environ.get(MARK)
    os.environ[MARK] = id
    try:
        yield
    finally:
        if before is None:
            del os.environ[MARK]
        else:
            os.environ[MARK] = before


def ensure(record: Record, *, watched: bool) -> Keeper:
    """The instance's keeper, started where none runs.

    Args:
        watched: it tears the instance down when this process ends before `release`.

    Raises:
        EnvctlError: it cannot be started.
    """
    keeper = find(record.id)
    if keeper is not None:
        try:
            keeper.ask("POST", "/v1/expires", {"expires": record.expires}, QUICK)
        except KeeperSilent:
            end_silent(keeper, record.id)
        except KeeperGone:
            pass  # it removes an earlier instance of this name: that its keeper is another one now tells it to stop
        else:
            return keeper
    return _spawn(record, watched=watched)


def _spawn(record: Record, *, watched: bool) -> Keeper:
    ours, theirs = socket.socketpair()
    folder = record.folder
    config = {
        "id": record.id, "folder": str(folder), "address_file": str(folder / ADDRESS),
        "tokens": {secrets.token_urlsafe(24): ["control", "tests"], secrets.token_urlsafe(24): ["tests"]},
        "expires": record.expires, "owner_fd": theirs.fileno() if watched else None,
        "teardown": [sys.executable, "-m", "envctl", "down", record.id], "teardown_env": {BY_KEEPER: "1"}, "mark": record.id,
        "processes": record.engine == "local" or bool(record.local),
        "reseed": [sys.executable, "-m", "envctl", "seed", record.id] if record.engine == "kubernetes" else [],
    }  # fmt: skip
    (folder / ADDRESS).unlink(missing_ok=True)
    instance.write_private(folder / CONFIG, json.dumps(config))
    process = _started(folder, theirs.fileno(), {**record.marks, "envctl.engine": record.engine})
    theirs.close()
    _children.append(process)
    record.keeper = instance.process_mark(process.pid)
    record.save()
    if watched:
        _held[record.id] = ours
    else:
        ours.close()
    return _published(record.id, process)


def _started(folder: Path, descriptor: int, marks: Mapping[str, str]) -> subprocess.Popen[bytes]:
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(PROGRAM), str(folder / CONFIG)], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=_environment(folder.name, marks), start_new_session=True, pass_fds=[descriptor],
        )  # fmt: skip
    finally:
        os.close(log)


def _environment(id: str, marks: Mapping[str, str]) -> dict[str, str]:
    """Ours without what chooses options, as the command that it runs in the end must mean this instance; and whose it is."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("ENVCTL_")}
    if plain.get("KUBECONFIG"):  # its commands are run in another folder
        plain["KUBECONFIG"] = os.pathsep.join(map(os.path.abspath, filter(None, plain["KUBECONFIG"].split(os.pathsep))))
    return {**plain, MARK: id, ABOUT: quote(json.dumps(dict(marks)), safe="")}


def seen_alone() -> dict[str, dict[str, str]]:
    """The labels of instances whose keeper runs, by id: also of those whose state somebody has deleted.

    An environment is what whoever started the process says: only our own processes are asked, and what is no id is no path either.
    """
    from envctl.keeper.system import variables

    told = [values.get(ABOUT, "") for pid, values in variables([ABOUT]).items() if _is_ours(pid)]
    labels = [found for text in told if (found := _labels(text))]
    return {found["envctl.instance"]: found for found in labels}


def _is_ours(pid: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}").st_uid == os.geteuid() if os.path.isdir("/proc/self") else True
    except OSError:
        return False


def _labels(text: str) -> dict[str, str]:
    with suppress(ValueError):
        found = json.loads(unquote(text))
        if isinstance(found, dict) and instance.ID.fullmatch(str(found.get("envctl.instance"))):
            return {key: str(found.get(key, "")) for key in LABELS}
    return {}


def _published(id: str, process: subprocess.Popen[bytes]) -> Keeper:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        keeper = find(id)
        if keeper is not None:
            return keeper
        time.sleep(0.005)
    with suppress(OSError):
        process.kill()
    words = (instance.state_home() / id / LOG).read_text("utf-8", "replace").strip().splitlines()
    raise EnvctlError(f"the keeper of {id} does not start: {words[-1] if words else 'it says nothing'}")


def replaced(record: Record) -> bool:
    """Whether we tear down for a keeper whose instance has another one by now: a command has started anew meanwhile."""
    ours = bool(os.environ.get(BY_KEEPER)) and record.keeper != instance.process_mark(os.getppid())
    return ours and instance.process_alive(record.keeper) is True


def release(id: str) -> None:
    """From now on the instance outlives this process."""
    held = _held.pop(id, None)
    if held is not None:
        with suppress(OSError):
            held.sendall(b"release\n")
        held.close()


def lost(record: Record) -> bool:
    """Whether the keeper has ended: the one that watches us, or that of an instance that was up before."""
    held = _held.get(record.id)
    if held is None:
        return instance.process_alive(record.keeper) is False
    readable, _, _ = select.select([held], [], [], 0)
    return bool(readable)


def dismiss(keeper: Keeper | None, id: str) -> None:
    """The keeper ends; nothing is torn down. (It is found before the record goes, and told after.)"""
    held = _held.pop(id, None)
    if keeper is not None:
        with suppress(KeeperGone):
            keeper.ask("POST", "/v1/stop", {})
    if held is not None:
        held.close()
