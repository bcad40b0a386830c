"""The environment of a test run. pytest brings it up, or xdist's controller for its workers, or it is up already."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from itertools import count
from typing import Any

import pytest

from envctl.errors import EnvctlError, ServiceFailed, UsageError
from envctl.instance.machine import process_mark
from envctl.instance.record import Record
from envctl.keeper_client.kept import KeptKeeper
from envctl.lifecycle.adoption import record_named
from envctl.lifecycle.api import Instance
from envctl.lifecycle.data_watch import WATCH
from envctl.lifecycle.down import remove
from envctl.lifecycle.options import DEFAULT_TIMEOUT, UpOptions
from envctl.lifecycle.up import up
from envctl.outputs.worker_lane import OURS as LANE_VARIABLE
from envctl.outputs.worker_lane import lane_of, outputs_of
from envctl.pytest_plugin import KEY, LANE, RESETS
from envctl.pytest_plugin.evidence import add_evidence
from envctl.pytest_plugin.fixtures import Lane
from envctl.reports.polluters import report
from envctl.session import Session

OURS = 125
"""The exit code of pytest if the environment does not come up; the same as that of `envctl run`."""


class TestEnvironment(Instance):
    """An environment that is up, as tests use it.

    Attributes:
        lane: the outputs for this worker.
    """

    __test__ = False

    def __init__(self, session: Session, record: Record, lane: int | None = None) -> None:
        super().__init__(session, record)
        self.session = session
        self.lane = _lane(record, lane or lane_of(session.environ) or 1)
        self._keeper = KeptKeeper(session.store.folder(record.id))

    def reset(self, *services: str, lane: int | None = None) -> None:
        """Return services to the seeded state, in this worker's lane, or in the whole instance if there are no lanes.

        Args:
            services: the names of the services; all services if there are none.
            lane: the number of another lane to reset.

        Raises:
            EnvctlError: the keeper refuses the request.
        """
        path = f"/v1/lanes/{lane or self.lane.number}/reset" if self.record.lanes else "/v1/reset"
        self.ask("POST", path, {"services": list(services)})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the keeper's API and return the answer.

        Raises:
            EnvctlError: the keeper refuses the request; the message is the keeper's.
        """
        status, answer = self._keeper.ask(method, path, body, timeout=660.0)
        if status >= 400:
            raise EnvctlError(f"{method} {path}: {answer.get('error', status)}", hint=answer.get("hint"))
        return answer

    def close(self) -> None:
        """Close the connections to the keeper. The instance stays up."""
        self._keeper.close()


def _words(error: EnvctlError) -> Iterator[str]:
    yield f"envctl: {error.message}"
    if isinstance(error, ServiceFailed) and error.evidence is not None:
        yield from (f"  {line}" for line in error.evidence.logs)
    if error.hint:
        yield f"  {error.hint}"


def _lane(record: Record, number: int) -> Lane:
    return Lane(number, outputs_of(record, number) if record.lanes else record.outputs)


def workers_of(config: pytest.Config) -> int:
    """Return the number of workers that xdist starts: from `-n 2`, or from `--dist load --tx 2*popen`."""
    if getattr(config.option, "dist", "no") == "no":
        return 0
    several = [spec.partition("*")[0] if "*" in spec else "1" for spec in config.option.tx]
    return sum(int(times) if times.isdigit() else 1 for times in several)


class EnvironmentPlugin:
    """The hooks of the plugin. They are registered only if the run uses an environment.

    Attributes:
        environment: the environment; it is set when the run begins.
    """

    environment: TestEnvironment

    def __init__(self, config: pytest.Config, named: str, worker: Mapping[str, Any] | None) -> None:
        self._config, self._named, self._worker = config, named, worker
        self._session = Session.here()
        self._ours: Record | None = None
        self._lanes: dict[str, int] = {}
        """The lanes of the running workers, by the worker's name."""
        self._module: object = None
        self._variables = pytest.MonkeyPatch()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        try:
            record = self._known() or self._brought_up()
            self._refuse_too_many(record.name, len(record.lanes))
            self.environment = TestEnvironment(self._session, record, self._lane_given())
            self._checkpoint("")
        except EnvctlError as error:
            self._remove()
            pytest.exit(self._session.mask("\n".join(_words(error))), OURS)

    def _known(self) -> Record | None:
        """Return the record of the instance that xdist's controller or a surrounding `envctl run` brought up; None if there is none."""
        id = self._worker[KEY] if self._worker else self._session.environ.get("ENVCTL_INSTANCE")
        return record_named(self._session, id) if id else None

    def _lane_given(self) -> int | None:
        """Return the lane that the controller chose for this worker, and set the variable for programs that tests start."""
        given: int | None = self._worker[LANE] if self._worker else None
        if given is not None:
            self._variables.setenv(LANE_VARIABLE, str(given))
        return given

    def _refuse_too_many(self, name: str, lanes: int) -> None:
        """Raise UsageError if there are more workers than lanes.

        This is checked before the workers start, because xdist would replace workers that stop for lack of a lane.
        """
        workers = workers_of(self._config)
        if not self._worker and 0 < lanes < workers:
            hint = f"`--envctl-lanes {workers}` (of an environment that is up: `envctl up ... --lanes {workers}`), or `-n {lanes}`"
            raise UsageError(f"{name} has {lanes} lane{'s' if lanes > 1 else ''}, and there are {workers} workers", hint=hint)

    def _brought_up(self) -> Record:
        workers = workers_of(self._config)
        lanes = self._config.getoption("--envctl-lanes")
        self._refuse_too_many(self._named, lanes or 0)
        options = UpOptions(
            self._named, engine=self._session.option("engine"), context=self._session.option("context"),
            namespace=self._session.option("namespace"), registry=self._session.option("registry"), timeout=DEFAULT_TIMEOUT,
            lanes=lanes if lanes is not None else workers if workers > 1 else 0,
        )  # fmt: skip
        owner = "" if self._config.getoption("--envctl-keep") else process_mark()
        done = up(self._session, options, owner=owner)
        self._ours = None if done.existed or not owner else done.record
        return done.record

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Pass the instance and a lane to a worker of xdist. The replacement of a crashed worker has a new name, and gets the free lane."""
        taken = set(self._lanes.values())
        self._lanes[node.gateway.id] = free = next(number for number in count(1) if number not in taken)
        node.workerinput |= {KEY: self.environment.id, LANE: free if self.environment.record.lanes else None}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._lanes.pop(node.gateway.id, None)

    def pytest_report_header(self) -> str:
        return f"envctl: {self._named or 'the instance of `envctl run`'}"

    def pytest_unconfigure(self) -> None:
        if hasattr(self, "environment"):
            self.environment.close()
        self._variables.undo()
        self._remove()

    def _remove(self) -> None:
        record, self._ours = self._ours, None
        if record is not None:
            remove(self._session, record)

    def _checkpoint(self, test: str) -> None:
        """Record the state of the data after *test*; an empty name records the state to compare the first test with.

        The controller of workers has no lane, so it records nothing. `envctl test --watch-data` sets the variable and prints the report
        itself.
        """
        watch = self._config.getoption("--envctl-watch-data") or self._session.environ.get(WATCH)
        if watch and (self._worker or not workers_of(self._config)):
            self.environment.ask("POST", "/v1/checkpoints", {"test": test, "lane": self.environment.lane.number})

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        self._checkpoint(item.nodeid)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._config.getoption("--envctl-watch-data"):
            terminalreporter.section("data that tests left")
            for line in report(self.environment.ask("GET", "/v1/checkpoints")):
                terminalreporter.write_line(line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        when = self._when(item)
        module = getattr(item, "module", None)
        if when == "test" or (when == "module" and module is not self._module):
            self.environment.reset()
        self._module = module

    def _when(self, item: pytest.Item) -> str:
        marker = item.get_closest_marker("envctl_reset")
        told = str(marker.args[0] if marker is not None and marker.args else self._config.getini("envctl_reset"))
        if told not in RESETS:
            raise pytest.UsageError(f"envctl_reset: unknown value {told!r}; known: {', '.join(RESETS)}")
        workers = self._session.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
        if told != "never" and int(workers) > 1 and not self.environment.record.lanes:
            raise UsageError("a reset would empty what other workers use", hint="bring it up with --envctl-lanes N")
        return told

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed:
            add_evidence(report, self.environment.session, self.environment.record, self.environment.lane.number)
            item.user_properties += [(title, text) for title, text in report.sections if title == "envctl"]  # for JUnit files
        return report
