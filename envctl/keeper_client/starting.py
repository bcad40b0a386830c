"""Start a keeper: write its configuration, start its process, and wait until it answers.

The keeper itself is `envctl/keeper`, a separate program. It holds one end of a socket and its owner the other. When the owner's end
closes without a release, the keeper removes the instance.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from envctl.errors import EnvctlError
from envctl.instance import labels
from envctl.instance.folder import write_private
from envctl.instance.identity import ID
from envctl.instance.labels import ENGINE, labels_of
from envctl.instance.machine import process_mark
from envctl.instance.record import Record
from envctl.keeper.process_marks import MARK
from envctl.keeper_client.client import ADDRESS, KeeperClient
from envctl.process.spawning import spawn_detached

CONFIG, LOG = "keeper-config.json", "keeper.log"
PROGRAM = Path(__file__).resolve().parent.parent / "keeper"
BY_KEEPER = "ENVCTL_KEEPER"
"""The variable that is set in the environment of commands that a keeper runs."""
FORGET = "forget"
"""The value of BY_KEEPER if another machine has removed the instance. Another instance may have the same id by now."""
PROCESS_MARKS = {
    "RUNNER_TRACKING_ID", "VSTS_PROCESS_LOOKUP_ID", "JENKINS_NODE_COOKIE", "JENKINS_SERVER_COOKIE", "HUDSON_SERVER_COOKIE",
    "HUDSON_COOKIE", "BUILD_ID",
}  # fmt: skip
"""The variables by which CI systems find and kill leftover processes of a job. A keeper must survive, as it removes more than they can."""
ABOUT = "ENVCTL_ABOUT"
"""The variable in a keeper's environment with the instance's labels, engine and folder, as quoted JSON."""
START_TIMEOUT = 15.0
"""Seconds to wait for a new keeper to answer."""
WAIT = 'read -r word && exit; exec "$@"'
"""The shell script of the process that waits for a command to end: it runs the recovery if the command ends without a message."""
RECOVER = "from envctl.lifecycle.recovery import recover_here; recover_here()"
"""The Python program of the recovery."""


class Duties(NamedTuple):
    """The tasks of a keeper besides watching.

    Attributes:
        processes: whether the keeper runs local processes.
        reseed: whether the keeper lets a service that has lost its data be seeded again.
    """

    processes: bool = False
    reseed: bool = False


def start_keeper(
    record: Record, folder: Path, duties: Duties, environ: Mapping[str, str], watched: bool, started: Callable[[str], object]
) -> tuple[Callable[[], KeeperClient], socket.socket | None]:
    """Start a keeper.

    Args:
        folder: the instance's folder.
        duties: what the keeper has to do besides watching.
        environ: the environment of this process.
        watched: whether the keeper removes the instance when this process ends without a release.
        started: called with the process mark of the keeper as soon as its process exists.

    Returns:
        A function that waits until the keeper answers and returns its client, and this process's end of the socket if the keeper
        watches it, else None. The function raises EnvctlError if the keeper does not start.

    Raises:
        OSError: the process cannot be created.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        (folder / ADDRESS).unlink(missing_ok=True)
        write_private(folder / CONFIG, json.dumps(_config(record, folder, duties, theirs.fileno() if watched else None)))
        process = _spawn(record, folder, environ, theirs.fileno())
    started(process_mark(process.pid))
    if not watched:
        ours.close()
    return partial(_published, folder, process), ours if watched else None


def _config(record: Record, folder: Path, duties: Duties, owner: int | None) -> dict[str, object]:
    command = [sys.executable, "-m", "envctl"]
    return {
        "id": record.id, "folder": str(folder), "address_file": str(folder / ADDRESS),
        "tokens": {secrets.token_urlsafe(24): ["control", "tests"], secrets.token_urlsafe(24): ["tests"]},
        "expires": record.expires, "owner_fd": owner, "mark": record.id,
        "teardown": [*command, "down", record.id], "teardown_env": {BY_KEEPER: "1"}, "forget_env": {BY_KEEPER: FORGET},
        "processes": duties.processes, "reseed": [*command, "seed", record.id] if duties.reseed else [],
        "data": [sys.executable, "-m", "envctl.leases", str(folder)],
    }  # fmt: skip


def _spawn(record: Record, folder: Path, environ: Mapping[str, str], descriptor: int) -> subprocess.Popen[bytes]:
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return spawn_detached(
            [sys.executable, "-I", "-S", str(PROGRAM), str(folder / CONFIG)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=_environment(record, folder, environ), pass_fds=[descriptor],
        )  # fmt: skip
    finally:
        os.close(log)


def _environment(record: Record, folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the keeper's environment: *environ* without envctl's own variables, with the instance's mark and description.

    Variables such as ENVCTL_ENGINE are options, and must not affect the commands that the keeper runs for this instance.
    """
    plain = {key: value for key, value in _outliving(environ).items() if not key.startswith("ENVCTL_")}
    about = labels_of(record) | {ENGINE: record.engine, FOLDER: str(folder)}
    return {**plain, MARK: record.id, ABOUT: quote(json.dumps(about), safe="")}


def _outliving(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* for a process that outlives the CI job and works in another folder."""
    kept = {key: value for key, value in environ.items() if key not in PROCESS_MARKS}
    if kept.get("KUBECONFIG"):
        kept["KUBECONFIG"] = os.pathsep.join(map(os.path.abspath, filter(None, kept["KUBECONFIG"].split(os.pathsep))))
    return kept


def _published(folder: Path, process: subprocess.Popen[bytes]) -> KeeperClient:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        keeper = KeeperClient.at(folder)
        if keeper is not None:
            return keeper
        time.sleep(0.005)
    with suppress(OSError):
        process.kill()
    words = (folder / LOG).read_text("utf-8", "replace").strip().splitlines()
    raise EnvctlError(f"the keeper of {folder.name} did not start: {words[-1] if words else 'it printed nothing'}")


@contextmanager
def watched_until_kept(environ: Mapping[str, str]) -> Iterator[Callable[[], None]]:
    """Start a shell that runs the recovery if this command is killed before its keeper runs.

    Enter the context before anything is written to disk, and call the function that it yields once a keeper watches.

    Raises:
        OSError: the shell cannot be started.
    """
    reader, writer = os.pipe()
    try:
        spawn_detached(
            ["sh", "-c", WAIT, "envctl", sys.executable, "-c", RECOVER], env=_outliving(environ),
            stdin=reader, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        os.close(reader)
    told = False

    def let_go() -> None:
        nonlocal told
        if not told:
            told = True
            with suppress(BrokenPipeError):  # the shell was killed
                os.write(writer, b"go\n")
            os.close(writer)

    try:
        yield let_go
    finally:
        let_go()


FOLDER = "folder"
"""The key, beside the labels, of the folder with the instance's state."""
KEPT = (labels.NAME, labels.INSTANCE, labels.PROJECT, labels.OWNER, labels.ENVIRONMENT, labels.KEY, labels.ENGINE, FOLDER)
"""The keys that `labels_of_keepers` returns."""


def labels_of_keepers() -> dict[str, dict[str, str]]:
    """Return the labels and the folder of each instance whose keeper runs, by id, even if the instance's state was deleted.

    They come from the environments of processes, and any user can start a process with any environment. So only processes of the
    current user count, and the id must be valid, as it becomes part of a path.
    """
    from envctl.keeper.system import variables

    told = [values.get(ABOUT, "") for pid, values in variables([ABOUT]).items() if _is_ours(pid)]
    found = [read for text in told if (read := _labels(text))]
    return {each[labels.INSTANCE]: each for each in found}


def _is_ours(pid: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}").st_uid == os.geteuid() if os.path.isdir("/proc/self") else True
    except OSError:
        return False


def _labels(text: str) -> dict[str, str]:
    with suppress(ValueError):
        found = json.loads(unquote(text))
        if isinstance(found, dict) and ID.fullmatch(str(found.get(labels.INSTANCE))):
            return {key: str(found.get(key, "")) for key in KEPT}
    return {}
