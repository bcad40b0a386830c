"""Kinds as local processes: reported differences, errors for kinds that cannot run here, and a user who is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from envctl.engines.local.folders import reachable
from tests.kinds.listening import listening, words
from tests.support import REPO, Done, Project


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("local") / "envctl-tests"
    folder.mkdir()
    (folder / "envctl.toml").write_text("")
    project = Project(folder, "local")
    yield project
    project.down()


def test_differences_are_said(home: Project) -> None:
    home.environment(
        "losses",
        """services:
  db: {kind: postgres, image: "postgis/postgis:17-3.5"}
  cache: {kind: redis}
  mail: {kind: mail}
  site: {kind: web}
""",
    )
    said = home.envctl("up", "losses").ok().err
    assert "db: PostgreSQL 18 (installed here) instead of 17" in said
    assert "db: postgres of this machine instead of the image postgis/postgis:17-3.5" in said
    assert "db: text is sorted by code point" in said
    assert shutil.which("redis-server") or "cache: valkey-server instead of redis-server" in said
    assert shutil.which("mailpit") or "mail: envctl's own server instead of Mailpit" in said
    assert "site: envctl's own server instead of nginx" in said
    home.envctl("down", "losses").ok()


# Refusals before anything starts


def refused(home: Project, services: str) -> Done:
    """Return how `up` ends; check that no service starts and that no instance is left."""
    home.environment("cannot", services)
    before = home.envctl("list", "--json").ok().json
    done = home.envctl("up", "cannot")
    assert home.envctl("list", "--json").ok().json == before
    assert "starting" not in done.err
    return done


def test_a_program_that_is_not_there(home: Project) -> None:
    kind = "title: X\nimage: x\nversion: '1'\nports: {x: 1}\nready: {probe: tcp}\n"
    home.write(
        "templates/kinds/strange.yaml", f"{kind}local: {{programs: [{{path: no-such-server}}], install: '`brew install strange`'}}\n"
    )
    done = refused(home, "services: {db: {kind: postgres}, s: {kind: strange}}\n")
    assert done.status == 3
    assert "s: there is no program for the kind 'strange' on this machine" in done.err
    assert "`brew install strange`; or run this service on Docker" in done.err


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (
            "{kind: postgres, with: {extensions: [vector, pg_trgm]}}",
            "the extension 'pg_trgm' is not available in the PostgreSQL of this machine",
        ),
        ("{kind: web, with: {config: proxy.conf}}", "the configuration 'proxy.conf' is for nginx"),
    ],
)
def test_a_program_that_cannot_do_it(home: Project, service: str, words: str) -> None:
    home.write("environments/proxy.conf", "server {}")
    done = refused(home, f"services: {{cache: {{kind: valkey}}, s: {service}}}\n")
    assert done.status == 3
    assert f"s: {words}" in done.err
    assert "run this service on Docker" in done.err


def test_what_only_runs_in_a_container(home: Project) -> None:
    done = refused(
        home, "services:\n  cache: {kind: valkey}\n  image: {image: busybox}\n  api: {kind: api, image: x, port: 80}\n  k: {kind: kafka}\n"
    )
    assert done.status == 2
    assert "cannot.yaml:4: services.image: nothing says how it runs as a process of this machine; `run: COMMAND`" in done.err
    assert "cannot.yaml:5: services.api: nothing says how it runs" in done.err
    assert "cannot.yaml:6: services.k: the kind 'kafka' only runs in a container; use Docker, or `--use S=URL`" in done.err


# As another user


THEIRS = """name: theirs
services:
  db: {kind: postgres, with: {databases: [shop]}}
  cache: {kind: valkey}
  events: {kind: nats}
  mail: {kind: mail}
  payments: {kind: stub}
"""


@pytest.fixture
def theirs() -> Iterator[Path]:
    """Yield the home folder of a user who is not root, with a virtual environment that uses this checkout."""
    if os.geteuid() != 0:
        pytest.skip("all of it runs as a user who is not root already")
    if not sys.platform.startswith("linux"):
        pytest.skip("processes of another user, as /proc shows them")
    # PostgreSQL refuses to run for a user id without a name.
    user = next((each.pw_uid for each in pwd.getpwall() if 0 < each.pw_uid < 1000 and not of_user(each.pw_uid)), None)
    if user is None:
        pytest.skip("every user of this machine runs something")
    python = next((path for path in _pythons() if path.exists() and reachable(path)), None)
    if python is None or not reachable(REPO / "envctl") or not all(map(reachable, map(Path, _packages()))):
        pytest.skip("no other user can read this checkout, its packages and a Python of this version")
    home = Path(tempfile.mkdtemp(prefix="envctl-user-"))
    subprocess.run([python, "-m", "venv", "--without-pip", home / "venv"], check=True)
    (packages,) = (home / "venv" / "lib").glob("*/site-packages")
    (packages / "ours.pth").write_text("\n".join([str(REPO), *_packages()]))
    for program in ("nats-server", "weed"):
        (home / "venv/bin" / program).symlink_to(Path(sys.executable).parent / program)
    (home / "project/environments").mkdir(parents=True)
    (home / "project/envctl.toml").write_text("")
    (home / "project/environments/theirs.yaml").write_text(THEIRS)
    for path in [home, *home.rglob("*")]:
        os.chown(path, user, user, follow_symlinks=False)
    yield home
    envctl(home, "down", "--all")
    shutil.rmtree(home)


def _pythons() -> list[Path]:
    return [Path(sys.executable).resolve(), Path(f"/usr/bin/python3.{sys.version_info.minor}")]


def _packages() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


def envctl(home: Path, *words: str) -> Done:
    user = home.stat().st_uid
    env = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    done = subprocess.run(
        [home / "venv/bin/python", "-m", "envctl", *words], cwd=home / "project", env=env, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=120, check=False, user=user, group=user, extra_groups=[],
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def of_user(uid: int) -> set[int]:
    """Return the ids of the user's running processes."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return {pid for pid in pids if words(pid) and _owner(pid) == uid}


def _owner(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def test_a_user_who_is_not_root(theirs: Path) -> None:
    shown = envctl(theirs, "up", "theirs", "--engine", "local", "--json").ok().json
    assert shown["state"] == "seeded"
    user = theirs.stat().st_uid
    running = of_user(user)
    shown_ports = {at["port"] for service in shown["services"].values() for at in service["endpoints"].values()}
    assert shown_ports <= {port for places in listening(running).values() for _, port in places}
    asked = envctl(theirs, "exec", "theirs", "cache", "--", "sh", "-c", "valkey-cli -p $1 ping", "sh", shown["outputs"]["CACHE_PORT"])
    assert asked.ok().out == "PONG\n"
    assert (theirs / "state/envctl").stat().st_mode & 0o777 == 0o700
    assert envctl(theirs, "down", "theirs").status == 0
    assert of_user(user) == set()
    assert not list((theirs / "state/envctl").glob("theirs*"))
