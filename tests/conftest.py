"""Fixtures for all tests: the available engines, a separate state folder for the session, and the check that nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from envctl.instance.ci import SYSTEMS
from tests.processes import until
from tests.support import ENGINES, NOTHING_KEPT, REQUIRED, Project, command, labelled, missing, namespaces, why_not

# No deadline: benchmarks measure times, and on a busy machine an example may take long.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def _heed_signals() -> None:
    """Reset ignored signals: processes under nohup, or behind a shell's `&`, ignore signals, and so would all of their children."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_configure(config: pytest.Config) -> None:
    _heed_signals()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each command of a test would compile the package again
    _leave_ci()
    for name in ENGINES:
        if why := why_not(name):
            missing[name] = why


def _leave_ci() -> None:
    """Remove the variables of CI systems: in a CI job ids are made from them, but tests expect ids that are made from folders."""
    for system in SYSTEMS:
        os.environ.pop(system.mark, None)


ON_A_CLUSTER = re.compile(r"/kubernetes/test_live|\[(.*-)?kubernetes\b")
"""Tests on a cluster, which mostly wait for it: they share a queue that starts first, and each file of tests/kinds has a shorter one."""
ONE_BY_ONE = re.compile(r"^tests/(cli|crash|faults)/|^tests/conformance/test_services")
"""Tests that remove resources without an owner from the whole machine, or inspect all of it: no two of them run at the same time."""
QUICK = re.compile(
    r"^tests/(definition|docs|environment|errors|files|fuzz|init|instance|keeper|keeper_client|leases|outputs|plan|process|readiness"
    r"|render|reports|seeding|servers|session|units)/"
)
"""Packages whose tests bring up little or nothing; they run last, to even out the lengths of the queues."""


def _queue(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    if ON_A_CLUSTER.search(nodeid):
        return f"{file} on a cluster" if file.startswith("tests/kinds/") else "cluster"
    return "one by one" if ONE_BY_ONE.search(nodeid) else file


def _turn(nodeid: str) -> int:
    queue = _queue(nodeid)
    first = [queue == "cluster", queue == "one by one", queue.endswith("on a cluster")]
    return first.index(True) if any(first) else 4 if QUICK.search(nodeid) else 3


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return a scheduler that runs files in order, the longest queues first; a worker that has finished takes the next queue.

    `--dist loadgroup` of xdist 3.8 does not group anything under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Queues(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return _queue(nodeid)

    config.option.loadscopereorder = False
    return Queues(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item, name in ((item, name) for item in items for name in ENGINES):
        if item.get_closest_marker(name) and name in missing and name not in REQUIRED:
            item.add_marker(pytest.mark.skip(reason=f"no {name} here: {missing[name]}"))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: _turn(item.nodeid))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the images once, when no queue needs them any more."""
    if not hasattr(session.config, "workerinput") and "docker" not in missing:
        command(["gc", "--images"])


def pytest_sessionstart(session: pytest.Session) -> None:
    lacking = [f"{name}: {missing[name]}" for name in REQUIRED if name in missing]
    if lacking:
        pytest.exit(f"ENVCTL_TEST_REQUIRE names engines that are not here: {'; '.join(lacking)}", returncode=3)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for name, why in missing.items():
        terminalreporter.write_line(f"engine not here, its tests were skipped: {name} ({why})", yellow=True)


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the state of instances apart from other runs, and check at the end that nothing is left anywhere."""
    folder = tmp_path_factory.mktemp("state")
    os.environ.update(NOTHING_KEPT)
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(folder)
    yield folder
    _nothing_is_left(folder)
    if before is None:
        del os.environ["XDG_STATE_HOME"]
    else:
        os.environ["XDG_STATE_HOME"] = before


def _nothing_is_left(folder: Path) -> None:
    def left_there() -> list[str]:
        return sorted(path.name for path in (folder / "envctl").glob("*"))

    with suppress(AssertionError):
        until(lambda: not left_there(), 30.0)  # a keeper may be about to remove the last one
    instances = left_there()
    assert not instances, f"left in the state folder: {instances}"
    if "docker" not in missing:
        left = [thing for thing in labelled() if f"{folder.parent}/" in thing]
        assert not left, f"left on Docker: {left}"
    if "kubernetes" not in missing:
        left = [name for name, project in namespaces().items() if project.startswith(f"{folder.parent}/")]
        assert not left, f"left on the cluster: {left}"


@pytest.fixture(params=ENGINES)
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """Yield a project on the engine under test; a test that uses it runs once for every available engine."""
    engine = str(request.param)
    if engine in missing and engine not in REQUIRED:
        pytest.skip(f"no {engine} here: {missing[engine]}")
    folder = tmp_path / "envctl-tests"
    folder.mkdir()
    (folder / "envctl.toml").write_text("")
    project = Project(folder, engine)
    yield project
    project.down()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Yield an empty project; what a test left up in it is removed."""
    folder = tmp_path / "envctl-tests"
    folder.mkdir()
    (folder / "envctl.toml").write_text("")
    found = Project(folder)
    yield found
    if "docker" not in missing:
        found.down()
