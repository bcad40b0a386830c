"""Starting a keeper: its configuration, its process, and its first word.

The keeper itself is `envctl/keeper`, a program of its own. It watches the other end of a socket that its owner holds: when
that ends without a word, it tears the instance down.
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
"""Set for the commands that a keeper runs."""
FORGET = "forget"
"""Its value where somebody else has removed the instance, whose id may be another one's by now."""
PROCESS_MARKS = {
    "RUNNER_TRACKING_ID", "VSTS_PROCESS_LOOKUP_ID", "JENKINS_NODE_COOKIE", "JENKINS_SERVER_COOKIE", "HUDSON_SERVER_COOKIE",
    "HUDSON_COOKIE", "BUILD_ID",
}  # fmt: skip
"""By these CI systems find what a job has left behind, and kill it: a keeper is to remove more than they can."""
ABOUT = "ENVCTL_ABOUT"
"""In the environment of keepers: the instance's labels, and its engine."""
START_TIMEOUT = 15.0
WAIT = 'read -r word && exit; exec "$@"'
RECOVER = "from envctl.lifecycle.recovery import recover_here; recover_here()"


class Duties(NamedTuple):
    """What a keeper does beside watching: it holds local processes; it has data that went with its server made anew."""

    processes: bool = False
    reseed: bool = False


def start_keeper(
    record: Record, folder: Path, duties: Duties, environ: Mapping[str, str], watched: bool, started: Callable[[str], object]
) -> tuple[Callable[[], KeeperClient], socket.socket | None]:
    """What waits for a keeper's first word; where it watches us, our end of the socket too.

    The one that is to be called raises EnvctlError where it does not start.

    Raises:
        OSError: its process cannot be made.
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
    """Ours without what chooses options, as the command that it runs in the end must mean this instance; and whose it is."""
    plain = {key: value for key, value in _outliving(environ).items() if not key.startswith("ENVCTL_")}
    about = labels_of(record) | {ENGINE: record.engine, FOLDER: str(folder)}
    return {**plain, MARK: record.id, ABOUT: quote(json.dumps(about), safe="")}


def _outliving(environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* for what is to see to an instance after the job's end, in another folder."""
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
    raise EnvctlError(f"the keeper of {folder.name} does not start: {words[-1] if words else 'it says nothing'}")


@contextmanager
def watched_until_kept(environ: Mapping[str, str]) -> Iterator[Callable[[], None]]:
    """A shell waits beside this command: should that be killed before there is a keeper, the shell starts the recovery.

    To be entered before anything is on disk; what it yields is called once a keeper watches.
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
            with suppress(BrokenPipeError):  # somebody has killed it
                os.write(writer, b"go\n")
            os.close(writer)

    try:
        yield let_go
    finally:
        let_go()


FOLDER = "folder"
"""Beside the labels: where the instance's state is."""
KEPT = (labels.NAME, labels.INSTANCE, labels.PROJECT, labels.OWNER, labels.ENVIRONMENT, labels.KEY, labels.ENGINE, FOLDER)


def labels_of_keepers() -> dict[str, dict[str, str]]:
    """The labels of instances whose keeper runs, and their folders, by id: also of those whose state somebody has deleted.

    An environment is what whoever started the process says: only our own processes are asked, and what is no id is no path either.
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
