"""The pytest plugin: `pytest --envctl ENV` brings an environment up once per run, and gives each worker its own lane.

The plugin imports the rest of envctl only if an environment is named, because pytest loads every installed plugin.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from envctl.pytest_plugin.environment import TestEnvironment
    from envctl.pytest_plugin.fixtures import Lane, Leasing

RESETS = ("never", "module", "test")
KEY, LANE = "envctl_instance", "envctl_lane"
"""Keys with which xdist's controller passes the instance's id and the lane's number (None without lanes) to a worker."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("envctl", "environments for integration tests")
    group.addoption("--envctl", metavar="ENV", help="Bring this environment up for the tests: a name, a path, or a Compose file.")
    group.addoption("--envctl-lanes", metavar="N", type=int, help="The number of lanes (default: that of xdist's workers).")
    group.addoption("--envctl-keep", action="store_true", help="Leave the instance up, with the leases of failed tests.")
    group.addoption("--envctl-watch-data", action="store_true", help="Report which tests leave data behind.")
    parser.addini("envctl", "The environment that tests need, as --envctl names it.")
    parser.addini("envctl_reset", "When a worker's lane is reset to the seeded state: never, module or test.", default="never")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "envctl_reset(when): reset the lane before each 'test' or 'module', or 'never'.")
    named = config.getoption("--envctl") or config.getini("envctl")
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    watched = all(os.environ.get(name) for name in ("ENVCTL_WATCH_DATA", "ENVCTL_INSTANCE"))  # Set by `envctl test --watch-data`.
    if config.option.collectonly or not (named or watched or (worker and worker.get(KEY))):
        return
    from envctl.pytest_plugin.environment import EnvironmentPlugin

    config.pluginmanager.register(EnvironmentPlugin(config, named, worker), "envctl-environment")


def environment_of(config: pytest.Config) -> TestEnvironment:
    """Return the environment of this run.

    Raises:
        pytest.UsageError: no environment is named.
    """
    plugin: Any = config.pluginmanager.get_plugin("envctl-environment")
    if plugin is None:
        raise pytest.UsageError("the test needs an environment: name one with --envctl ENV, or `envctl = ENV` in pytest's settings")
    found: TestEnvironment = plugin.environment
    return found


@pytest.fixture(scope="session")
def envctl(request: pytest.FixtureRequest) -> TestEnvironment:
    """The environment: `name`, `outputs`, `services`, `reset()`."""
    return environment_of(request.config)


@pytest.fixture(scope="session")
def envctl_lane(request: pytest.FixtureRequest) -> Lane:
    """The outputs of this worker's lane, with its `number`."""
    return environment_of(request.config).lane


@pytest.fixture
def envctl_lease(request: pytest.FixtureRequest) -> Iterator[Leasing]:
    """`envctl_lease("db")` leases a database for this test alone (`.properties["url"]`); it is returned after the test."""
    from envctl.pytest_plugin.fixtures import leasing

    yield from leasing(request, environment_of(request.config).ask)
