"""Engines that are here, a state folder of the session's own, and the promise that nothing is left."""

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

# Tests check, benchmarks measure: an example takes as long as a busy machine makes it.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def _heed_signals() -> None:
    """What runs under nohup, or behind a shell's `&`, is born ignoring signals, and so is all that it starts."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_configure(config: pytest.Config) -> None:
    _heed_signals()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each command of a test would compile the package anew
    _leave_ci()
    for name in ENGINES:
        if why := why_not(name):
            missing[name] = why


def _leave_ci() -> None:
    """In a job of CI ids are made of that; what tests bring up has ids of folders, as on a desk."""
    for system in SYSTEMS:
        os.environ.pop(system.mark, None)


ON_A_CLUSTER = re.compile(r"/kubernetes/test_live|\[(.*-)?kubernetes\b")
"""They mostly wait for it: a queue of their own, from the first moment on; those of one kind of service are shorter ones."""
ONE_BY_ONE = re.compile(r"^tests/(cli|crash|faults)/|^tests/conformance/test_services")
"""They collect what nobody owns any more, wherever it is, or look at the whole machine: never two at once."""
QUICK = re.compile(
    r"^tests/(definition|docs|environment|errors|files|fuzz|init|instance|keeper|keeper_client|leases|outputs|plan|process|readiness"
    r"|render|reports|seeding|servers|session|units)/"
)
"""Rooms whose tests bring up little or nothing: they even out what is left at the end."""


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
    """Files in their order, the longest queues first; who has finished takes the next one.

    (`--dist loadgroup` of xdist 3.8 does not group anything under pytest 9.2.)
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
    """Once, when no queue can need them any more."""
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
    """State of instances that no other run sees; at the end nothing of ours is anywhere."""
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
    """A project on the engine under test: what uses it runs once for every engine that is here."""
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
    """An empty project; whatever a test left up in it is removed."""
    folder = tmp_path / "envctl-tests"
    folder.mkdir()
    (folder / "envctl.toml").write_text("")
    found = Project(folder)
    yield found
    if "docker" not in missing:
        found.down()
