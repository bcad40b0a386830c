"""What another user of the machine sees of an instance of local processes: nothing of its state, and no secret of its processes."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from envctl.definition.kinds import load_kinds
from envctl.engines.local.folders import kept_in
from envctl.engines.local.programs import find_program
from envctl.errors import UsageError
from envctl.instance.folder import make_folder
from envctl.keeper import private_socket
from tests.processes import digits_of, folders_of, processes_of
from tests.support import Project, command

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

OTHER = 12345
"""Nobody has to have that number."""
PASSWORD = "Pa55word-of-a-test"
KINDS = {name: kind for name, kind in load_kinds().items() if name == kind.kind and kind.local is not None}
CREDENTIALS = f"username: somebody, password: {PASSWORD}"
ALL = f"""
variables: {{token: {{from: NO_SUCH_VARIABLE, secret: true, default: {PASSWORD}}}}}
services:
  db: {{kind: postgres, with: {{{CREDENTIALS}}}}}
  cache: {{kind: valkey, with: {{{CREDENTIALS}}}}}
  worker: {{run: "sh -c 'echo up; exec sleep 600'", env: {{TOKEN: "${{var.token}}", DATABASE: "${{db.url}}"}}}}
outputs: {{DATABASE: "${{db.url}}"}}
write: {{.env.test: dotenv}}
"""


def as_other(*argv: str) -> str:
    """What a command of the other user prints."""
    done = subprocess.run(argv, cwd="/", user=OTHER, group=OTHER, extra_groups=[], env={"PATH": os.defpath}, capture_output=True, text=True)
    return done.stdout


def readable(*paths: Path) -> list[Path]:
    """Those files and folders that the other user can read."""
    script = 'for path; do { test -d "$path" && ls "$path" || cat "$path"; } >/dev/null 2>&1 && echo "$path"; done'
    return [Path(line) for line in as_other("sh", "-c", script, "sh", *map(str, paths)).splitlines()]


@dataclass
class Home:
    """A project whose state stands where everybody comes by, as it does in a home that is not closed."""

    project: Project
    state: Path

    def envctl(self, *words: str) -> str:
        return self.project.envctl(*words, env={"XDG_STATE_HOME": str(self.state)}).ok().out

    @property
    def folder(self) -> Path:
        [folder] = (self.state / "envctl").iterdir()
        return folder


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    folder = tmp_path / "envctl-tests"
    folder.mkdir()
    (folder / "envctl.toml").touch()
    with tempfile.TemporaryDirectory() as state:
        os.chmod(state, 0o755)
        found = Home(Project(folder, "local"), Path(state))
        yield found
        found.envctl("down", "--all")


@pytest.fixture
def up(home: Home) -> Home:
    home.project.environment("env", ALL)
    home.envctl("up", "env")
    return home


@dataclass
class Watch:
    """Every line of arguments that was seen on the machine."""

    seen: set[str] = field(default_factory=set)
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.done.wait(0.002):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    self.seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    def holding(self, text: str) -> set[str]:
        return {line for line in self.seen if text in line}


@contextmanager
def watching() -> Iterator[Watch]:
    watch = Watch()
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    yield watch
    watch.done.set()
    thread.join()


# Files


def test_the_state_of_an_instance_cannot_be_read(up: Home) -> None:
    open_to_all = up.state / "open"
    open_to_all.touch(0o644)
    names = {"keeper.json", "keeper-config.json", "keeper.log", "instance.json", "local.json", "logs", "lock"}
    assert names <= {path.name for path in up.folder.iterdir()}
    assert readable(open_to_all, up.folder.parent, up.folder, *up.folder.rglob("*")) == [open_to_all]


def test_nor_can_the_folders_of_its_services(up: Home) -> None:
    [folder] = folders_of(up.project)
    inside = [path for path in folder.rglob("*") if path.stat().st_uid != OTHER]
    assert {"db", "cache", "worker"} <= {path.name for path in folder.iterdir()}
    assert any(path.name == "pg_hba.conf" for path in inside)
    assert readable(folder, *inside) == []


def test_nor_can_what_is_written_for_tests(up: Home) -> None:
    written = up.project.folder / "environments/.env.test"
    assert PASSWORD in written.read_text()
    assert written.stat().st_mode & 0o077 == 0


# Its keeper


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Bearer guessed"}, {"Authorization": "Basic eDp5"}]
)
def test_its_keeper_does_not_talk_to_strangers(up: Home, headers: dict[str, str]) -> None:
    """The port can be seen; the token cannot."""
    address = json.loads((up.folder / "keeper.json").read_text())
    for method, path in (("GET", "/v1/processes"), ("GET", "/v1/keeper"), ("POST", "/v1/stop"), ("POST", "/v1/processes")):
        connection = http.client.HTTPConnection("127.0.0.1", address["port"], timeout=20)
        connection.request(method, path, b"{}", headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        assert answer.status == 401
        assert address["token"] not in body
    assert up.envctl("logs", "env", "worker") == "up\n", "nothing was stopped"


@contextmanager
def other(does: Callable[[], bytes]) -> Iterator[bytes]:
    """What *does* says in a process of the other user, which stays until the block is left. (Python itself they may not start here.)"""
    (said, say), (wait, release) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.close(release)
            os.setgroups([])
            os.setgid(OTHER)
            os.setuid(OTHER)
            os.write(say, does())
            os.read(wait, 1)
        os._exit(0)
    os.close(say)
    try:
        yield os.read(said, 100)
    finally:
        for descriptor in (release, wait, said):
            os.close(descriptor)
        os.waitpid(child, 0)


def test_their_idle_connections_do_not_silence_it_and_its_socket_refuses_them(up: Home) -> None:
    address, held = ("127.0.0.1", json.loads((up.folder / "keeper.json").read_text())["port"]), list[socket.socket]()

    def hold() -> bytes:
        held.extend(socket.create_connection(address, 20) for _ in range(400))
        try:
            private_socket.connect(str(up.folder), 20)
        except PermissionError:
            return b"refused"
        return b"let in"

    with other(hold) as said:
        assert said == b"refused"
        assert "seeded" in up.envctl("status", "env")


# What they have put in its place


def theirs(path: Path) -> None:
    os.chown(path, OTHER, OTHER, follow_symlinks=False)


@pytest.mark.parametrize("words", [["list"], ["up", "env", "--engine", "local"], ["down", "--all"]])
def test_a_state_folder_of_theirs_is_not_believed(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "envctl.toml").touch()
    make_folder(tmp_path / "state/envctl")
    theirs(tmp_path / "state/envctl")
    Project(tmp_path, "local").environment("env", "services: {s: {run: sleep 100}}\n")
    done = command(words, tmp_path, {"XDG_STATE_HOME": str(tmp_path / "state"), "DOCKER_HOST": "unix:///nowhere"})
    assert done.status != 0
    assert f"it belongs to another user ({OTHER}, not 0)" in done.err
    assert "Traceback" not in done.err


def test_a_cache_of_theirs_is_not_used(tmp_path: Path) -> None:
    """(Root's own stands elsewhere, so that this asks the one function that opens all of them.)"""
    make_folder(tmp_path / "templates")
    theirs(tmp_path / "templates")
    with pytest.raises(UsageError, match="it belongs to another user"):
        kept_in(tmp_path, "templates")


def test_files_of_theirs_are_not_written_over(home: Home) -> None:
    """Where `write:` puts its file, and in the folder of a report."""
    folder = home.project.folder
    home.project.environment("env", "services: {s: {run: sleep 100}}\nwrite: {.env.test: dotenv}\noutputs: {A: b}\n")
    written = folder / "environments/.env.test"
    written.write_text("THEIRS=1\n")
    theirs(written)
    environ = {"XDG_STATE_HOME": str(home.state)}
    done = home.project.envctl("up", "env", env=environ)
    assert (done.status, written.read_text(), written.stat().st_uid) == (2, "THEIRS=1\n", OTHER)
    assert f"{written} exists already, and was not written by envctl" in done.err
    written.unlink()
    target, report = folder / "target", folder / "report"
    report.mkdir()
    (report / "status.json").symlink_to(target)
    theirs(report)
    theirs(report / "status.json")
    done = home.project.envctl("run", "env", "--report", str(report), "--", "sh", "-c", "exit 7", env=environ)
    assert (done.status, target.exists()) == (7, False)
    assert "status.json is a symbolic link, which envctl does not follow here" in done.err
    assert not written.exists() or written.stat().st_size == 0


# Its processes


def test_environments_cannot_be_read(up: Home) -> None:
    found = processes_of(digits_of(up.project))
    assert any("postgres" in line for line in found.values())
    assert any("sleep" in line for line in found.values())
    with subprocess.Popen(["sleep", "600"], user=OTHER, group=OTHER, extra_groups=[]) as own:
        theirs = Path(f"/proc/{own.pid}/environ")
        assert readable(theirs, *(Path(f"/proc/{pid}/environ") for pid in found)) == [theirs]
        own.kill()


def test_no_secret_stands_in_the_table_of_processes(up: Home) -> None:
    record = json.loads((up.folder / "instance.json").read_text())
    address = json.loads((up.folder / "keeper.json").read_text())
    table = as_other("ps", "-eo", "args")
    assert "postgres" in table
    assert not [secret for secret in [*record["secrets"], record["secret"], address["token"], PASSWORD] if secret in table]


@pytest.mark.parametrize("name", KINDS)
def test_no_password_stands_in_arguments(home: Home, name: str) -> None:
    """Of the server, of what initialises it, asks it and feeds it, and of commands inside it."""
    kind = KINDS[name]
    assert kind.local is not None
    if find_program(kind.local, kind.version or "", os.environ.get("PATH")) is None:
        pytest.skip(f"no {name} on this machine")
    given = f", with: {{{CREDENTIALS}}}" if kind.credentials else ""
    home.project.environment("env", f"services:\n  it: {{kind: {name}{given}}}\noutputs: {{NAME: '${{it.name}}'}}\n")
    with watching() as watch:
        home.envctl("up", "env")
        record = json.loads((home.folder / "instance.json").read_text())
        home.envctl("exec", "env", "it", "--", "env")
        home.project.envctl("shell", "env", "it", env={"XDG_STATE_HOME": str(home.state)})
        home.envctl("down", "env")
    secrets = {PASSWORD, record["secret"], *record["secrets"]}
    assert [secret for secret in secrets if watch.holding(secret)] == []


def test_arguments_are_seen_by_this_test() -> None:
    """Else the others could not fail."""
    with watching() as watch:
        subprocess.run(["sh", "-c", "sleep 0.2", PASSWORD], check=True)
    assert watch.holding(PASSWORD)
