from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from envctl.engines.docker import compose
from envctl.engines.docker.compose import ComposeFailed, compose_program, run_compose
from envctl.errors import EngineMissing


def test_what_waits_for_an_image_and_what_compose_would_not_create_without_it() -> None:
    services: dict[str, dict[str, Any]] = {
        "db": {"image": "postgres"},
        "app": {"image": "built", "depends_on": {"db": {}}},
        "front": {"image": "nginx", "depends_on": {"app": {}}},
        "side": {"image": "nginx", "network_mode": "service:front"},
        "linked": {"image": "nginx", "links": ["app:alias"], "volumes_from": ["db:ro"]},
        "files": {"image": "nginx", "volumes_from": ["app:ro"]},
        "host": {"image": "nginx", "network_mode": "host", "pid": "host"},
    }
    assert compose.dependants(services, {"built"}) == {"app", "front", "side", "linked", "files"}
    assert compose.dependants(services, {"none"}) == frozenset()


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a fake Compose plugin where it is found first, and return its path; each test writes its own script into it."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    path = tmp_path / "cli-plugins" / "docker-compose"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_plugin_itself_is_run(plugin: Path) -> None:
    assert compose_program(os.environ) == [str(plugin)]


def test_the_plugin_of_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / ".docker/cli-plugins/docker-compose"
    path.parent.mkdir(parents=True)
    path.touch(0o755)
    assert compose_program(os.environ) == [str(path)]


def test_a_plugin_that_is_no_program_is_passed_over(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin.chmod(0o644)
    monkeypatch.setattr(compose, "_PLUGINS", ())
    monkeypatch.setattr("shutil.which", lambda name, path=None: f"/bin/{name}")
    assert compose_program(os.environ) == ["docker", "compose"]


def test_there_is_no_compose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(compose, "_PLUGINS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineMissing, match="Docker Compose v2 is not installed") as caught:
        compose_program(os.environ)
    assert caught.value.exit_code == 3
    assert "docker-compose-plugin" in caught.value.hint


def test_its_output_is_both_streams(plugin: Path, tmp_path: Path) -> None:
    plugin.write_text("#!/bin/sh\necho \"$@\"; pwd; echo err >&2; printf '\\377\\n'\n")
    assert run_compose(["-f", "x", "create"], os.environ, tmp_path) == f"-f x create\n{tmp_path.resolve()}\nerr\n\ufffd\n"


def test_it_prints_plainly_and_asks_nothing(plugin: Path) -> None:
    plugin.write_text('#!/bin/sh\necho "$COMPOSE_ANSI $COMPOSE_PROGRESS $COMPOSE_IGNORE_ORPHANS $COMPOSE_MENU $OURS"; cat\n')
    assert run_compose([], {**os.environ, "OURS": "yes"}) == "never plain 1 0 yes\n"


def test_a_failure_is_what_it_printed(plugin: Path) -> None:
    plugin.write_text("#!/bin/sh\necho no such image >&2; exit 18\n")
    with pytest.raises(ComposeFailed, match=r"^no such image$"):
        run_compose(["create"], os.environ)


def test_an_interrupt_ends_it(plugin: Path, tmp_path: Path) -> None:
    plugin.write_text(f"#!/bin/sh\ntrap 'echo asked > {tmp_path}/end; exit 1' TERM\ntouch {tmp_path}/began\nwhile :; do sleep 0.02; done\n")

    seen: list[str] = []

    def interrupt(number: int, frame: object) -> None:
        # On a busy machine the plugin may run before `Popen` has returned: the interrupt comes later.
        if seen:
            raise KeyboardInterrupt
        seen.extend(path.name for path in tmp_path.glob("began"))
        signal.setitimer(signal.ITIMER_REAL, 0.5 if seen else 0.01)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(KeyboardInterrupt):
            run_compose(["create"], os.environ)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert (tmp_path / "end").read_text() == "asked\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_envctl_leaves_no_compose_behind(plugin: Path, tmp_path: Path) -> None:
    plugin.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid\nwhile :; do sleep 0.02; done\n")
    code = "from envctl.engines.docker.compose import run_compose; import os; run_compose([], dict(os.environ))"
    with subprocess.Popen([sys.executable, "-c", code]) as ours:
        pid = _once(lambda: int((tmp_path / "pid").read_text()))
        ours.kill()
    _once(lambda: _has_ended(pid))


def _has_ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    if state in "ZX":
        return True
    raise FileNotFoundError


def _once(found: object) -> int:
    """Return the result of calling *found*, retrying for 10 seconds while it raises FileNotFoundError."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return int(found())  # type: ignore[operator]
        except FileNotFoundError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
